//! A random configuration, as text for httpd and as tables of our own.

use std::time::Instant;

use mod_jk::config::{Place, Problems};
use mod_jk::mapping::{
    LiveTable, MapFile, Mount, Rule, Sources, WorkerKind, WorkerNames, copy_mounts, rules_of,
};

use super::random::Random;
use crate::support::httpd::{Builder, Httpd};

pub(super) const WORKERS: [&str; 3] = ["w1", "w2", "w3"];

/// What a plan may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    /// JkMountFile, JkMountCopy, the property `mount` and RejectUnsafeURI.
    pub(super) all: bool,
}

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
    pub(super) fn random(random: &mut Random, features: Features) -> Self {
        let mut definitions = Vec::new();
        if features.all {
            for worker in WORKERS {
                for _ in 0..random.below(3) {
                    let marks = random.pick(&["", "", "", "!", "-"]);
                    definitions.push((worker, format!("{marks}{}", random.pattern(true))));
                }
            }
        }
        let mut server = |name, copies, has_mounts| {
            let map = features.all && has_mounts && !random.one_in(3);
            Server {
                name,
                copies: copies && features.all,
                mounts: if has_mounts { mounts(random) } else { Vec::new() },
                map: map.then(|| map_file(random)),
                encoded_slashes: random.pick(&["Off", "On", "NoDecode"]),
                rejects_unsafe: features.all && random.one_in(4),
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

    /// The table of a server, `None` where nothing is mapped.
    pub(super) fn table(&self, server: &Server, httpd: &Httpd) -> Option<LiveTable> {
        let main = &self.servers[0];
        let copied;
        let (mounts, map, rejects_unsafe) = if server.name == "main" {
            (&server.mounts, Some(main), server.rejects_unsafe)
        } else if server.mounts.is_empty() {
            return server.copies.then(|| self.table(main, httpd)).flatten();
        } else if server.copies {
            copied = copy_mounts(&server.mounts, &main.mounts);
            let map = if server.map.is_some() { server } else { main };
            (&copied, Some(map), server.rejects_unsafe)
        } else {
            (&server.mounts, Some(server), server.rejects_unsafe)
        };
        let mut problems = Problems::new();
        let mut rules = rules_of(mounts, &mut problems);
        if server.name == "main" {
            for (worker, item) in &self.definitions {
                let place = Place::new("workers.properties", 1);
                let (item, worker) = (item.as_bytes(), worker.as_bytes());
                rules.extend(Rule::definition(item, worker, &place, &mut problems));
            }
        }
        let file = map.filter(|owner| owner.map.is_some()).map(|owner| MapFile {
            path: httpd.path(&format!("conf/{}.map", owner.name)),
            name: owner.name.to_owned(),
            reload: None,
        });
        let workers = WORKERS.map(|name| (name.as_bytes(), WorkerKind::Other));
        let sources = Sources {
            rules,
            file,
            rejects_unsafe,
            workers: WorkerNames::new(workers).into(),
            environment: |_| None,
        };
        Some(LiveTable::new(sources, Instant::now(), &mut problems))
    }
}

impl Server {
    pub(super) fn addr(&self, httpd: &Httpd) -> std::net::SocketAddr {
        if self.name == "main" { httpd.addr() } else { httpd.vhost(self.name) }
    }

    /// Whether httpd decodes `%2f`, `true` also if it keeps it as it is.
    pub(super) fn allows_encoded_slashes(&self) -> bool {
        self.encoded_slashes != "Off"
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
