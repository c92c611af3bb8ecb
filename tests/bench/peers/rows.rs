//! What is measured.

use super::load::Load;
use super::peer::{Peer, Places, Scene};

/// One row: a load on a configuration, for some peers.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What it is, for people.
    pub(super) title: &'static str,
    pub(super) load: Load,
    pub(super) path: String,
    pub(super) scene: Scene,
    pub(super) peers: Vec<Peer>,
    pub(super) engine: EngineKind,
    /// Whether system calls towards the engine are counted. They do not depend on how many
    /// connections there are.
    pub(super) calls: bool,
    /// Whether instructions are counted.
    pub(super) instructions: bool,
}

/// Which engine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EngineKind {
    Cheap,
    CheapUnix,
    /// With this `packetSize`.
    Tomcat(u32),
}

/// Those of every row that has no reason for others.
const ALL: [Peer; 6] = [Peer::Ours, Peer::C, Peer::Ajp, Peer::Http, Peer::Least, Peer::Floor];
const BACK_ENDS: [Peer; 4] = [Peer::Ours, Peer::C, Peer::Ajp, Peer::Http];

/// Bytes of an upload.
pub(super) const UPLOAD: usize = 20_000_000;

impl Row {
    fn get(name: &'static str, title: &'static str, connections: u32, body: &str) -> Self {
        Self {
            name,
            title,
            load: Load::Get { connections, headers: 0, tls: false },
            path: format!("/b/{body}"),
            scene: Scene::default(),
            peers: ALL.to_vec(),
            engine: EngineKind::Cheap,
            calls: false,
            instructions: false,
        }
    }

    fn back_ends(mut self) -> Self {
        self.peers = BACK_ENDS.to_vec();
        self
    }

    fn calls(mut self) -> Self {
        self.calls = true;
        self
    }

    fn instructions(mut self) -> Self {
        self.instructions = true;
        self
    }

    fn unix(mut self) -> Self {
        self.engine = EngineKind::CheapUnix;
        self.peers = vec![Peer::Ours, Peer::OursTcp, Peer::C, Peer::Ajp, Peer::Http, Peer::Least];
        self
    }

    fn tls(mut self) -> Self {
        self.scene.tls = true;
        self.load = Load::Get { connections: 16, headers: 0, tls: true };
        self
    }

    fn http2(mut self) -> Self {
        self.scene.http2 = true;
        self.load = Load::Http2 { connections: 4, streams: 4 };
        self
    }

    fn headers(mut self, headers: usize) -> Self {
        self.load = Load::Get { connections: 16, headers, tls: false };
        self.back_ends()
    }

    fn rules(mut self, rules: usize) -> Self {
        self.scene.rules = rules;
        self.path = format!("/app{}/s", rules - 1);
        self.back_ends()
    }

    fn members(mut self, members: usize) -> Self {
        self.scene.members = members;
        self.back_ends()
    }

    fn upload(mut self, packet: u32) -> Self {
        self.load = Load::Upload { bytes: UPLOAD };
        self.scene.packet = packet;
        self.back_ends()
    }

    fn tomcat(mut self, packet: u32, page: &str) -> Self {
        self.engine = EngineKind::Tomcat(packet);
        self.path = format!("/bench/{page}");
        self.back_ends()
    }
}

/// All rows, in the order of the table.
pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::get("small-1", "small GET, 1 connection", 1, "s").calls().instructions(),
        Row::get("small-16", "small GET, 16 connections", 16, "s"),
        Row::get("small-64", "small GET, 64 connections", 64, "s"),
        Row::get("unix-1", "small GET, Unix socket, 1 connection", 1, "s")
            .unix()
            .calls()
            .instructions(),
        Row::get("unix-16", "small GET, Unix socket, 16 connections", 16, "s").unix(),
        Row::get("http2", "small GET, HTTP/2, 4 connections with 4 streams", 4, "s").http2(),
        Row::get("tls", "small GET, TLS, 16 connections", 16, "s").tls(),
        Row::get("get-10k", "GET of 10 KB, 16 connections", 16, "k10"),
        Row::get("get-100k", "GET of 100 KB, 16 connections", 16, "k100").calls().instructions(),
        Row::get("get-1m", "GET of 1 MB, 4 connections", 4, "m1").calls().instructions(),
        Row::get("headers-100", "GET with 100 headers, 16 connections", 16, "s").headers(100),
        Row::get("headers-200", "GET with 200 headers, 16 connections", 16, "s")
            .headers(200)
            .instructions(),
        Row::get("rules-10", "10 rules, 16 connections", 16, "s").rules(10).instructions(),
        Row::get("rules-1000", "1,000 rules, 16 connections", 16, "s").rules(1000).instructions(),
        Row::get("rules-10000", "10,000 rules, 16 connections", 16, "s").rules(10_000),
        Row::get("members-1", "balancer with 1 member, 16 connections", 16, "s")
            .members(1)
            .instructions(),
        Row::get("members-10", "balancer with 10 members, 16 connections", 16, "s").members(10),
        Row::get("members-100", "balancer with 100 members, 16 connections", 16, "s")
            .members(100)
            .instructions(),
        Row::get("upload-8k", "upload of 20 MB, packets of 8 KiB", 1, "upload8")
            .upload(8192)
            .calls()
            .instructions(),
        Row::get("upload-64k", "upload of 20 MB, packets of 64 KiB", 1, "upload64")
            .upload(65536)
            .calls()
            .instructions(),
        Row::get("tomcat-small", "Tomcat: small GET, 16 connections", 16, "").tomcat(8192, "s.jsp"),
        Row::get("tomcat-100k", "Tomcat: GET of 100 KB, 16 connections", 16, "")
            .tomcat(8192, "k100"),
        Row::get("tomcat-upload-8k", "Tomcat: upload of 20 MB, packets of 8 KiB", 1, "")
            .upload(8192)
            .tomcat(8192, "upload.jsp"),
        Row::get("tomcat-upload-64k", "Tomcat: upload of 20 MB, packets of 64 KiB", 1, "")
            .upload(65536)
            .tomcat(65536, "upload.jsp"),
    ]
}

impl EngineKind {
    /// Whatever a row needs to find the cheap engine on Unix sockets.
    pub(super) fn places(self, staged: &super::stage::Staged) -> Option<Places> {
        match self {
            Self::Cheap => None,
            Self::CheapUnix => Some(staged.unix().clone()),
            Self::Tomcat(packet) => Some(staged.tomcat(packet)),
        }
    }
}
