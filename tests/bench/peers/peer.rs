//! Who is measured, and how each is configured to do the same.

use std::fmt::Write as _;

use super::engine::{self, Protocol};
use super::least;
use crate::support::Endpoint;
use crate::support::httpd::{Builder, Httpd, Module};

/// What is between the client and the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Ours,
    C,
    Ajp,
    Http,
    /// What every AJP module costs, see `least.c`.
    Least,
    /// httpd alone, with a file of the same size that it holds in memory.
    Floor,
    /// This module over TCP, in rows where [`Peer::Ours`] uses a Unix socket.
    OursTcp,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "mod_jk (this)",
            Self::C => "C mod_jk",
            Self::Ajp => "mod_proxy_ajp",
            Self::Http => "mod_proxy_http",
            Self::Least => "least AJP module",
            Self::Floor => "httpd, file",
            Self::OursTcp => "mod_jk (this), TCP",
        }
    }

    /// The file names of the modules that it is made of.
    pub(super) fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Ours | Self::OursTcp | Self::C => &["mod_jk.so"],
            Self::Ajp | Self::Http => &["mod_proxy.so"],
            Self::Least => &[least::FILE],
            Self::Floor => &[],
        }
    }

    fn protocol(self) -> Protocol {
        if self == Self::Http { Protocol::Http } else { Protocol::Ajp }
    }
}

/// The places where one engine takes AJP and HTTP.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) ajp: Endpoint,
    pub(super) http: Endpoint,
}

impl Places {
    /// The cheap engine over TCP.
    pub(super) fn cheap(index: usize) -> Self {
        let at = |protocol| Endpoint::Tcp(engine::tcp(protocol, index));
        Self { ajp: at(Protocol::Ajp), http: at(Protocol::Http) }
    }

    fn of(&self, peer: Peer) -> &Endpoint {
        match peer.protocol() {
            Protocol::Ajp => &self.ajp,
            Protocol::Http => &self.http,
        }
    }
}

/// How a web server is set up for a row.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// ThreadsPerChild of the one child.
    pub(super) threads: u32,
    /// How many rules there are; the last one is used. 0: one that takes everything.
    pub(super) rules: usize,
    /// How many members the balancer has; 0: there is none.
    pub(super) members: usize,
    /// How many workers are defined beside the one that is used.
    pub(super) idle_workers: usize,
    /// Bytes of an AJP packet.
    pub(super) packet: u32,
    pub(super) tls: bool,
    pub(super) http2: bool,
    /// The engine; the cheap one over TCP unless said.
    pub(super) places: Option<Places>,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            threads: 128,
            rules: 0,
            members: 0,
            idle_workers: 0,
            packet: 8192,
            tls: false,
            http2: false,
            places: None,
        }
    }
}

impl Scene {
    /// Where the peer finds its engine. C mod_jk 1.2.48 knows no Unix sockets: it, and we in
    /// comparison, get the same engine over TCP.
    fn engine(&self, peer: Peer) -> Endpoint {
        let places = self.places.clone().unwrap_or_else(|| Places::cheap(0));
        match places.of(peer) {
            Endpoint::Unix(_) if matches!(peer, Peer::C | Peer::OursTcp) => {
                Places::cheap(0).of(peer).clone()
            }
            endpoint => endpoint.clone(),
        }
    }

    /// Part of the name that strace gives to the sockets between this peer and its engines.
    pub(super) fn socket_mark(&self, peer: Peer) -> Vec<String> {
        if self.members > 0 {
            let ports = (0..self.members).map(|index| engine::tcp(peer.protocol(), index));
            return ports.map(|addr| format!("->{addr}]")).collect();
        }
        match self.engine(peer) {
            Endpoint::Tcp(addr) => vec![format!("->{addr}]")],
            Endpoint::Unix(_) => vec!["<UNIX".into()],
        }
    }

    /// Configures an httpd for the peer.
    pub(super) fn builder(&self, peer: Peer) -> Builder {
        let builder = match peer {
            Peer::Ours | Peer::OursTcp => self.jk(peer, Httpd::builder(Module::Ours)),
            Peer::C => self.jk(peer, Httpd::builder(Module::C)),
            Peer::Ajp | Peer::Http => self.proxy(peer, Httpd::builder_without_jk()),
            Peer::Least => least(&self.engine(peer)),
            Peer::Floor => floor(),
        };
        // Many headers are measured too; httpd takes 100 unless said.
        let builder = builder.size(self.threads, 1).config("LimitRequestFields 300");
        let builder = if self.http2 { builder.http2() } else { builder };
        // Rules of mod_jk stay with their server unless copied.
        let copy = matches!(peer, Peer::Ours | Peer::OursTcp | Peer::C);
        match (self.tls, copy) {
            (false, _) => builder,
            (true, true) => builder.tls("JkMountCopy On"),
            (true, false) => builder.tls(""),
        }
    }

    fn jk(&self, peer: Peer, mut builder: Builder) -> Builder {
        let worker = |name: &str, endpoint: &Endpoint| {
            let mut lines = endpoint.worker(name);
            if self.packet != 8192 {
                let _ = writeln!(lines, "worker.{name}.max_packet_size={}", self.packet);
            }
            lines
        };
        let mut lines = String::new();
        if self.members > 0 {
            let names: Vec<String> = (0..self.members).map(|index| format!("m{index}")).collect();
            lines += "worker.list=w\nworker.w.type=lb\n";
            let _ = writeln!(lines, "worker.w.balance_workers={}", names.join(","));
            for (index, name) in names.iter().enumerate() {
                lines += &worker(name, &Endpoint::Tcp(engine::tcp(Protocol::Ajp, index)));
            }
        } else {
            let idle: Vec<String> =
                (0..self.idle_workers).map(|index| format!("idle{index}")).collect();
            let all: Vec<&str> =
                std::iter::once("w").chain(idle.iter().map(String::as_str)).collect();
            let _ = writeln!(lines, "worker.list={}", all.join(","));
            for name in all {
                lines += &worker(name, &self.engine(peer));
            }
        }
        builder = builder.workers(&lines);
        if self.rules == 0 {
            return builder.config("JkMount /* w");
        }
        let rules: String = (0..self.rules).map(|rule| format!("/app{rule}/*=w\n")).collect();
        builder
            .file("conf/uriworkermap.properties", rules)
            .config("JkMountFile conf/uriworkermap.properties")
    }

    fn proxy(&self, peer: Peer, builder: Builder) -> Builder {
        let (scheme, module) = match peer.protocol() {
            Protocol::Ajp => ("ajp", "proxy_ajp"),
            Protocol::Http => ("http", "proxy_http"),
        };
        let url = |endpoint: &Endpoint| match endpoint {
            Endpoint::Tcp(addr) => format!("{scheme}://{addr}/"),
            Endpoint::Unix(path) => format!("unix:{}|{scheme}://localhost/", path.display()),
        };
        let mut modules = vec!["proxy", module];
        let mut lines = String::new();
        if self.packet != 8192 {
            let _ = writeln!(lines, "ProxyIOBufferSize {}", self.packet);
        }
        let target = if self.members > 0 {
            modules.extend(["slotmem_shm", "proxy_balancer", "lbmethod_byrequests"]);
            lines += "<Proxy balancer://b>\n";
            for index in 0..self.members {
                let addr = engine::tcp(peer.protocol(), index);
                let _ = writeln!(lines, "BalancerMember {scheme}://{addr}");
            }
            lines += "</Proxy>\n";
            "balancer://b/".to_owned()
        } else {
            url(&self.engine(peer))
        };
        for index in 0..self.idle_workers {
            let _ = writeln!(lines, "ProxyPass /idle{index}/ {target}idle{index}/");
        }
        if self.rules == 0 {
            let _ = writeln!(lines, "ProxyPass / {target}");
        }
        for rule in 0..self.rules {
            let _ = writeln!(lines, "ProxyPass /app{rule}/ {target}");
        }
        builder.modules(&modules).config(&lines)
    }
}

/// httpd with the module of `least.c`.
fn least(engine: &Endpoint) -> Builder {
    let engine = match engine {
        Endpoint::Tcp(addr) => addr.to_string(),
        Endpoint::Unix(path) => path.display().to_string(),
    };
    let module = least::module();
    let load = format!("LoadModule least_module {}\nLeast {engine}", module.display());
    Httpd::builder_without_jk().config(&load)
}

/// httpd as it answers with the least work: the files are mapped when it starts, and no directory on
/// the way to them is looked at. Opening and mapping one for every request costs more than a request
/// to an engine.
fn floor() -> Builder {
    let builder = Httpd::builder_without_jk().modules(&["file_cache"]);
    let directories = "<Directory />\nAllowOverride None\nOptions FollowSymLinks\n</Directory>";
    engine::BODIES.into_iter().fold(builder.config(directories), |builder, (name, length)| {
        let file = format!("htdocs/b/{name}");
        builder.config(&format!("MMapFile {file}")).file(&file, vec![b'x'; length])
    })
}
