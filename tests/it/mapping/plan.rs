//! A random configuration, as text for httpd and as tables of our own.

use mod_jk::config::Place;
use mod_jk::mapping::Mount;

use super::random::Random;
use crate::support::httpd::{Builder, Httpd};

pub(super) const WORKERS: [&str; 3] = ["w1", "w2", "w3"];

/// A whole configuration: the main server, and virtual hosts that differ in what they inherit.
#[derive(Debug)]
pub(super) struct Plan {
    /// Items of `worker.X.mount`.
    definitions: Vec<(&'static str, String)>,
    /// The main server first.
    pub(super) servers: Vec<Server>,
}

#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    copies: bool,
    mounts: Vec<Mount>,
    map: Option<String>,
    encoded_slashes: &'static str,
    rejects_unsafe: bool,
}

const EXTENSIONS: [&str; 6] = [
    "",
    "",
    ";reply_timeout=20000",
    ";stateless=1;session_path=;sid",
    "; oops",
    ";;sticky_ignore=0;active=",
];

impl Plan {
    pub(super) fn random(random: &mut Random) -> Self {
        let mut definitions = Vec::new();
        for worker in WORKERS {
            for _ in 0..random.below(3) {
                let marks = random.pick(&["", "", "", "!", "-"]);
                definitions.push((worker, format!("{marks}{}", random.pattern(true))));
            }
        }
        let mut server = |name, copies, has_mounts| {
            let map = has_mounts && !random.one_in(3);
            Server {
                name,
                copies,
                mounts: if has_mounts { mounts(random) } else { Vec::new() },
                map: map.then(|| map_file(random)),
                encoded_slashes: random.pick(&["Off", "On", "NoDecode"]),
                rejects_unsafe: random.one_in(4),
            }
        };
        let mut servers = vec![
            server("main", false, true),
            server("copies", true, true),
            server("shares", true, false),
            server("alone", false, true),
            server("nothing", false, false),
        ];
        let rejects_unsafe = servers[0].rejects_unsafe;
        for server in &mut servers {
            server.rejects_unsafe |= rejects_unsafe;
        }
        Self { definitions, servers }
    }

    /// Writes it down for httpd.
    pub(super) fn configure(&self, mut builder: Builder) -> Builder {
        for worker in WORKERS {
            let items: Vec<&str> = self.definitions_of(worker).collect();
            if !items.is_empty() {
                builder = builder.workers(&format!("worker.{worker}.mount={}", items.join(" ")));
            }
        }
        for server in &self.servers {
            let lines = server.lines();
            builder = match server.name {
                "main" => builder.config(&lines),
                name => builder.vhost(name, &lines),
            };
            if let Some(map) = &server.map {
                builder = builder.file(&format!("conf/{}.map", server.name), map);
            }
        }
        builder
    }

    fn definitions_of(&self, worker: &'static str) -> impl Iterator<Item = &str> {
        let own = self.definitions.iter().filter(move |(name, _)| *name == worker);
        own.map(|(_, item)| item.as_str())
    }
}

impl Server {
    pub(super) fn addr(&self, httpd: &Httpd) -> std::net::SocketAddr {
        if self.name == "main" { httpd.addr() } else { httpd.vhost(self.name) }
    }

    fn lines(&self) -> String {
        let mut lines = format!("AllowEncodedSlashes {}\n", self.encoded_slashes);
        if self.copies {
            lines += "JkMountCopy On\n";
        }
        if self.rejects_unsafe {
            lines += "JkOptions +RejectUnsafeURI\n";
        }
        if self.map.is_some() {
            lines += &format!("JkMountFile conf/{}.map\n", self.name);
        }
        for mount in &self.mounts {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("a random text");
            let directive = if mount.is_exclusion { "JkUnMount" } else { "JkMount" };
            let (path, worker) = (text(&mount.path), text(&mount.worker));
            lines += &format!("{directive} \"{path}\" \"{worker}\"\n");
        }
        lines
    }
}

fn worker(random: &mut Random, is_exclusion: bool) -> String {
    if is_exclusion && random.one_in(3) {
        return "*".to_owned();
    }
    format!("{}{}", random.pick(&WORKERS), random.pick(&EXTENSIONS))
}

fn mounts(random: &mut Random) -> Vec<Mount> {
    let mount = |line| {
        let is_exclusion = random.one_in(3);
        Mount {
            path: random.pattern(true).into(),
            worker: worker(random, is_exclusion).into(),
            is_exclusion,
            place: Place::new("httpd.conf", line),
        }
    };
    let mut mounts: Vec<Mount> = (1..9).map(mount).collect();
    // The same path again, for another worker.
    let again = Mount { worker: b"w3".to_vec(), ..mounts[random.below(mounts.len())].clone() };
    mounts.push(again);
    mounts
}

fn map_file(random: &mut Random) -> String {
    let mut lines = String::from("# rules\nfavourite=w2\n");
    for _ in 0..random.below(8) {
        let marks = random.pick(&["", "", "", "!", "-", "-!", "!-"]);
        let worker = match random.below(6) {
            0 => "$(favourite)".to_owned(),
            _ => worker(random, marks.ends_with('!')),
        };
        let mut pattern = random.pattern(true);
        match random.below(12) {
            0 => pattern = pattern.replacen('/', "", 1),
            1 => pattern = format!("|{pattern}"),
            _ => {}
        }
        let line = format!("{marks}{pattern} = {worker}\n");
        lines += &line;
        if random.one_in(6) {
            lines += &line.replace("w1", "w3");
        }
    }
    lines
}
