//! Plays cases in an httpd: asks, and does what the scene says.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::case::{Case, Look, OnOurs, Place, Scene, Variant};
use super::engines::{Engines, NAMES, has_keepalive};
use super::looks::{Logs, exists, rename};
use super::run::{Group, Ports, Variants};
use crate::compliance::case::Case as Talk;
use crate::compliance::run::newer;
use crate::compliance::seen::{Answer, Seen};
use crate::support::client::Client;
use crate::support::engine::End;
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::{DEADLINE, packet, wait_until};

/// The name of a variant's worker and site: of the same length for all, so that one variant's
/// packets become another's by a new name.
pub(super) fn name(case: usize, variant: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(variant).expect("few marks"));
    format!("{letter}{case:03}q")
}

/// Where the cases of one run play.
pub(super) struct Stage<'a> {
    pub(super) module: Module,
    pub(super) engines: &'a Engines,
    main: SocketAddr,
    sites: SocketAddr,
    ports: &'a Ports,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        module: Module,
        engines: &'a Engines,
        main: SocketAddr,
        sites: SocketAddr,
        ports: &'a Ports,
    ) -> Self {
        Self { module, engines, main, sites, ports }
    }

    pub(super) fn own(&self, text: &str, name: &str) -> String {
        self.engines.fill(&text.replace('@', name))
    }

    /// Adds a case's variants; the case as it stands comes last.
    pub(super) fn add(&self, mut builder: Builder, number: usize, case: &Case) -> Builder {
        for (at, variant) in case.variants().iter().enumerate().rev() {
            let name = name(number, at);
            builder = builder
                .config(&format!(
                    "<VirtualHost {}>\nServerName {name}.test\n{}</VirtualHost>",
                    self.sites,
                    self.own(&variant.site, &name)
                ))
                .workers(&self.own(&workers(case, variant), &name));
            for (path, text) in &variant.files {
                builder = builder.file(&path.replace('@', &name), self.own(text, &name));
            }
        }
        builder
    }

    /// Plays all variants in one httpd.
    pub(super) fn play(&self, httpd: &Httpd, number: usize, case: &Case) -> Variants {
        if self.module == Module::Ours && matches!(case.ours, OnOurs::Config(_)) {
            return case.variants().iter().map(|_| Seen::default()).collect();
        }
        let names: Vec<String> = (0..case.variants().len()).map(|at| name(number, at)).collect();
        match case.scene {
            Scene::Plain | Scene::Idle { .. } => {
                names.iter().map(|name| self.talk(case, name)).collect()
            }
            Scene::Hangs => self.hang(case, &names),
            Scene::Streams(begin) => self.stream(case, &names, begin),
            Scene::Held { settles, busy } => self.hold(case, &names, settles, busy),
            Scene::Edited { file, text, status } => {
                names.iter().for_each(|name| drop(self.talk(case, name)));
                for name in &names {
                    let path = httpd.path(&file.replace('@', name));
                    std::fs::write(&path, self.own(text, name)).expect("the file");
                    // The C module compares whole seconds.
                    let file = std::fs::File::options().append(true).open(&path).expect("the file");
                    file.set_modified(SystemTime::UNIX_EPOCH + DEADLINE).expect("its time");
                }
                // Every answer of the first variant before the last one is that of the old file.
                let mut first = Seen::default();
                wait_until("the edited file is read", || {
                    first = self.talk(case, &names[0]);
                    matches!(first.answers.last(), Some(Answer::Response { status: s, .. })
                        if *s == status)
                });
                let rest = names.iter().skip(1).map(|name| self.talk(case, name));
                std::iter::once(first).chain(rest).collect()
            }
        }
    }

    pub(super) fn addr(&self, case: &Case) -> SocketAddr {
        if case.place == Place::Site { self.sites } else { self.main }
    }

    pub(super) fn bytes(talk: &Talk, name: &str) -> Vec<u8> {
        let bytes = talk.clone().to("@.test:8888").bytes();
        let mut out = Vec::new();
        let mut rest = bytes.iter().peekable();
        while let Some(byte) = rest.next() {
            match byte {
                b'@' if rest.next_if_eq(&&b'@').is_some() => out.push(b'@'),
                b'@' => out.extend(name.as_bytes()),
                byte => out.push(*byte),
            }
        }
        out
    }

    /// Asks all questions of a case, one after the other.
    pub(super) fn talk(&self, case: &Case, name: &str) -> Seen {
        let before = self.engines.packets();
        let mut answers = Vec::new();
        for talk in case.questions() {
            self.engines.set(&talk.reply);
            let mut client = Client::connect_from(self.ports.client.addr(), self.addr(case));
            let _ = client.send(&Self::bytes(&talk, name));
            let methods = talk.methods();
            answers
                .extend(methods.iter().map(|method| Answer::new(client.try_read_response(method))));
            client.abort();
        }
        let after = self.engines.packets();
        let mut seen = Seen { packets: Vec::new(), answers, facts: Vec::new() };
        let mut connections = 0;
        for (number, (before, after)) in before.iter().zip(after).enumerate() {
            connections += after.len() - before.len();
            let new = newer(before, after);
            if number > 0 && !new.is_empty() {
                seen.facts.push(format!("{} packets at {}", new.len(), NAMES[number]));
            }
            seen.packets.extend(new);
        }
        if case.looks.contains(&Look::Connections) {
            seen.facts.push(format!("{connections} connections"));
        }
        if case.looks.contains(&Look::Keepalive) {
            let on = self.peers(name).into_iter();
            let on = on.map(|(engine, peer)| has_keepalive(peer, self.engines.all[engine].port()));
            seen.facts.push(format!("keep-alive: {:?}", on.collect::<Vec<_>>()));
        }
        if case.looks.contains(&Look::Peers) {
            let peers = self.peers(name).into_iter().map(|(_, peer)| peer.ip().to_string());
            seen.facts.push(format!("from {}", peers.collect::<Vec<_>>().join(", ")));
        }
        seen
    }

    pub(super) fn ask(&self, case: &Case, talk: &Talk, name: &str) -> Client {
        let mut client = Client::connect(self.addr(case));
        client.send(&Self::bytes(talk, name)).expect("httpd reads");
        client
    }

    /// The connections of the site: which engine's, and where they came from.
    fn peers(&self, name: &str) -> Vec<(usize, SocketAddr)> {
        let connections = self.engines.connections_of(name).into_iter();
        let peer = |(engine, at): (usize, usize)| {
            (engine, self.engines.all[engine].seen().connections[at].peer.expect("TCP"))
        };
        connections.map(peer).collect()
    }

    /// Waits until the engine sees what becomes of an idle connection.
    pub(super) fn wait(&self, number: usize, case: &Case, variants: &mut Variants) {
        let Scene::Idle { settles } = case.scene else { return };
        self.wait_idle(&name(number, settles));
        for (at, seen) in variants.iter_mut().enumerate() {
            seen.facts.push(self.fate(&name(number, at)));
        }
    }

    fn wait_idle(&self, name: &str) {
        wait_until("an idle connection is looked after", || {
            self.fate(name) != "open, without pings"
        });
    }

    /// What became of the site's connections after their last request.
    fn fate(&self, name: &str) -> String {
        let mut fates = Vec::new();
        for (engine, at) in self.engines.connections_of(name) {
            let seen = self.engines.all[engine].seen();
            let connection = &seen.connections[at];
            let pinged = connection.packets.last().is_some_and(|last| last[4..] == [packet::CPING]);
            let open = match connection.end {
                None => "open",
                Some(End::Closed) => "closed",
                Some(_) => "broken",
            };
            fates.push(format!("{open}, {} pings", if pinged { "with" } else { "without" }));
        }
        fates.join("; ")
    }

    /// One variant in an httpd of its own.
    pub(super) fn play_alone(
        &self,
        group: &Group,
        number: usize,
        case: &Case,
        variant: usize,
    ) -> Seen {
        let name = name(number, variant);
        let texts = &case.variants()[variant];
        let mut builder = Httpd::builder(self.module)
            .jk_log_level("debug")
            .modules(group.modules)
            .config(&format!("ServerTokens Prod\nListen {}", self.main))
            .config(&self.own(&texts.site, &name));
        if !case.site.contains("JkWorker") {
            builder = builder.workers(&self.own(&workers(case, texts), &name));
        }
        for (path, text) in group.files {
            builder = builder.file(path, text);
        }
        for (path, text) in &texts.files {
            builder = builder.file(&path.replace('@', &name), self.own(text, &name));
        }
        let mut seen;
        let logs;
        if case.place == Place::Test {
            let result = builder.config_test();
            seen = Seen::default();
            seen.facts.push(format!("httpd -t succeeds: {}", result.status.success()));
            logs = Logs::text(result.output);
        } else {
            match builder.try_start() {
                Ok(mut httpd) => {
                    seen = self.talk(case, &name);
                    if let Scene::Idle { settles } = case.scene {
                        if settles == variant {
                            self.wait_idle(&name);
                        }
                        seen.facts.push(self.fate(&name));
                    }
                    for look in &case.looks {
                        if let Look::Exists(path) = look {
                            let found = exists(&httpd.path(&path.replace('@', &name)));
                            seen.facts.push(format!("{path} exists: {found}"));
                        }
                    }
                    httpd.stop();
                    logs = Logs::of(&httpd);
                }
                Err(refusal) => {
                    seen = Seen::default();
                    seen.facts.push("httpd does not start".into());
                    logs = Logs::text(refusal.output);
                }
            }
        }
        self.read_variant(&logs, &name, case, &mut seen);
        rename(&mut seen, &name, number);
        seen
    }
}

/// The lines of a variant in workers.properties: its own, and what they leave out.
fn workers(case: &Case, variant: &Variant) -> String {
    // What is marked is the case's own also where it is taken out.
    let has =
        |key: &str| case.workers.lines().any(|line| line.trim_start_matches("> ").starts_with(key));
    let mut text = String::new();
    let plain = !["worker.@.type=lb", "worker.@.type=status"].iter().any(|key| has(key));
    for (key, line) in [
        ("worker.list=", "worker.list=@"),
        ("worker.@.host=", "worker.@.host=127.0.0.1"),
        ("worker.@.port=", "worker.@.port={one}"),
    ] {
        if !has(key) && (plain || key == "worker.list=") {
            writeln!(text, "{line}").expect("a String");
        }
    }
    text + &variant.workers
}
