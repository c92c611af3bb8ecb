//! Runs the cases of a group with the C module, then with ours, and judges what was seen.

use std::fmt::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use socket2::{Domain, Socket, Type};

use super::case::{Case, Look, OnOurs, Place, Scene, Side, Variant, get};
use crate::compliance::case::{Case as Talk, Reply};
use crate::compliance::run::{answer, judge, newer, packets};
use crate::compliance::seen::{Answer, Seen};
use crate::support::client::{Client, NoResponse};
use crate::support::engine::{Action, End, Engine};
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::{DEADLINE, Gate, ReservedPort, packet, wait_until};

/// Cases that one httpd serves, but for those that need one of their own.
pub(super) struct Group {
    /// Name of its test function.
    pub(super) test: &'static str,
    /// Modules of httpd to load.
    pub(super) modules: &'static [&'static str],
    /// The main server's configuration.
    pub(super) config: &'static str,
    /// Lines of workers.properties for all.
    pub(super) workers: &'static str,
    /// Files below the ServerRoot.
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) cases: Vec<Case>,
}

/// The ports that show in packets and answers: both modules get the same ones, one after the other.
struct Ports {
    main: ReservedPort,
    sites: ReservedPort,
    client: ReservedPort,
}

/// What was seen of a case, variant by variant.
type Variants = Vec<Seen>;

impl Group {
    /// Compares the two modules, and fails with all that is wrong.
    pub(super) fn check(&self) {
        let ports = Ports {
            main: ReservedPort::v4(),
            sites: ReservedPort::v4(),
            client: ReservedPort::v4(),
        };
        let theirs = self.observe(Module::C, &ports);
        let ours = self.observe(Module::Ours, &ports);
        let mut problems = Vec::new();
        for (case, (theirs, ours)) in self.cases.iter().zip(theirs.iter().zip(&ours)) {
            let found = judge_case(case, theirs.as_deref(), ours.as_deref());
            problems.extend(found.iter().map(|problem| format!("{}: {problem}", case.name)));
        }
        let count = self.cases.len();
        assert!(
            problems.is_empty(),
            "{} problems in {count} cases:\n{}",
            problems.len(),
            problems.join("\n")
        );
    }

    fn observe(&self, module: Module, ports: &Ports) -> Vec<Option<Variants>> {
        let engines = Engines::start();
        let shared: Vec<(usize, &Case)> = self
            .cases
            .iter()
            .enumerate()
            .filter(|(_, case)| case.runs_with(module))
            .filter(|(_, case)| matches!(case.place, Place::Site | Place::Main))
            .collect();
        let mut seen: Vec<Option<Variants>> = self.cases.iter().map(|_| None).collect();
        if !shared.is_empty() {
            let stage = Stage::new(module, &engines, ports.main.addr(), ports.sites.addr(), ports);
            let mut builder = self.builder(module, ports);
            for (number, case) in &shared {
                builder = stage.add(builder, *number, case);
            }
            let mut httpd = builder.start();
            for (number, case) in &shared {
                seen[*number] = Some(stage.play(&httpd, *number, case));
            }
            for (number, case) in &shared {
                stage.wait(*number, case, seen[*number].as_mut().expect("played"));
            }
            // Whatever is written after an answer is written now.
            httpd.stop();
            for (number, case) in &shared {
                let logs = Logs::of(&httpd);
                stage.read(&logs, *number, case, seen[*number].as_mut().expect("seen above"));
            }
        }
        for (number, case) in self.cases.iter().enumerate() {
            if case.runs_with(module) && matches!(case.place, Place::Alone | Place::Test) {
                let stage =
                    Stage::new(module, &engines, ports.main.addr(), ports.main.addr(), ports);
                let variants = (0..case.variants().len())
                    .map(|variant| stage.play_alone(self, number, case, variant))
                    .collect();
                seen[number] = Some(variants);
            }
        }
        engines.assert_no_faults(module);
        seen
    }

    fn builder(&self, module: Module, ports: &Ports) -> Builder {
        let mut builder = Httpd::builder(module)
            .jk_log_level("debug")
            .modules(self.modules)
            .config(&format!(
                "ServerTokens Prod\nListen {}\nListen {}",
                ports.main.addr(),
                ports.sites.addr()
            ))
            .config(self.config)
            .workers(self.workers);
        for (path, text) in self.files {
            builder = builder.file(path, text);
        }
        builder
    }
}

impl Case {
    fn runs_with(&self, module: Module) -> bool {
        match self.side {
            Side::Both => true,
            Side::C => module == Module::C,
            Side::Ours => module == Module::Ours,
        }
    }

    /// Its questions; one if it says none.
    fn questions(&self) -> Vec<Talk> {
        if self.talk.is_empty() { vec![get("/x")] } else { self.talk.clone() }
    }
}

/// The engines of a run.
struct Engines {
    all: Vec<Engine>,
    reply: Arc<Mutex<Reply>>,
    /// CPINGs of the last engine wait for this; each scene has its own.
    dead: ReservedPort,
    full: (Socket, Vec<TcpStream>),
    pong: Gate,
}

const NAMES: [&str; 4] = ["{one}", "{two}", "{mute}", "{late}"];

impl Engines {
    fn start() -> Self {
        let reply = Arc::new(Mutex::new(Reply::Echo));
        let pong = Gate::default();
        let scripted = || {
            let reply = Arc::clone(&reply);
            Engine::scripted(move |conn, request| answer(&reply, conn, request))
        };
        Self {
            all: vec![
                scripted().start(),
                scripted().start(),
                scripted().ignore_cping().start(),
                scripted().answer_cping_behind(&pong).start(),
            ],
            reply,
            dead: ReservedPort::v4(),
            full: black_hole(),
            pong,
        }
    }

    /// Puts the ports into a text.
    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, engine) in NAMES.iter().zip(&self.all) {
            text = text.replace(name, &engine.port().to_string());
        }
        let full = self.full.0.local_addr().expect("bound").as_socket().expect("IP");
        text.replace("{dead}", &self.dead.port().to_string())
            .replace("{full}", &full.port().to_string())
            .replace("{root}", "@ROOT@")
    }

    fn set(&self, reply: &Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply.clone();
    }

    fn packets(&self) -> Vec<Vec<Vec<Vec<u8>>>> {
        self.all.iter().map(packets).collect()
    }

    /// The numbers of an engine's connections on which a request named this site.
    fn connections_of(&self, name: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        for (engine, number) in self.all.iter().zip(0..) {
            let seen = engine.seen();
            for (connection, at) in seen.connections.iter().zip(0..) {
                if connection.packets.iter().any(|packet| has(packet, name.as_bytes())) {
                    found.push((number, at));
                }
            }
        }
        found
    }

    fn assert_no_faults(&self, module: Module) {
        for engine in &self.all {
            assert_eq!(engine.seen().faults, [""; 0], "{module:?}");
        }
    }
}

/// A listener whose queue is full: Linux drops every further SYN.
fn black_hole() -> (Socket, Vec<TcpStream>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&any.into()).expect("bound");
    listener.listen(0).expect("listens");
    let addr = listener.local_addr().expect("bound").as_socket().expect("IP");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
        waiting.push(stream);
    }
    (listener, waiting)
}

/// The name of a variant's worker and site: of the same length for all, so that one variant's
/// packets become another's by a new name.
fn name(case: usize, variant: usize) -> String {
    let letter = char::from(b'a' + u8::try_from(variant).expect("few marks"));
    format!("{letter}{case:03}q")
}

/// Where the cases of one run play.
struct Stage<'a> {
    module: Module,
    engines: &'a Engines,
    main: SocketAddr,
    sites: SocketAddr,
    ports: &'a Ports,
}

impl<'a> Stage<'a> {
    fn new(
        module: Module,
        engines: &'a Engines,
        main: SocketAddr,
        sites: SocketAddr,
        ports: &'a Ports,
    ) -> Self {
        Self { module, engines, main, sites, ports }
    }

    fn own(&self, text: &str, name: &str) -> String {
        self.engines.fill(&text.replace('@', name))
    }

    /// Adds a case's variants; the case as it stands comes last.
    fn add(&self, mut builder: Builder, number: usize, case: &Case) -> Builder {
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
    fn play(&self, httpd: &Httpd, number: usize, case: &Case) -> Variants {
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

    fn addr(&self, case: &Case) -> SocketAddr {
        if case.place == Place::Site { self.sites } else { self.main }
    }

    fn bytes(talk: &Talk, name: &str) -> Vec<u8> {
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
    fn talk(&self, case: &Case, name: &str) -> Seen {
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
            let on = self.peers(name).into_iter().map(has_keepalive);
            seen.facts.push(format!("keep-alive: {:?}", on.collect::<Vec<_>>()));
        }
        if case.looks.contains(&Look::Peers) {
            let peers = self.peers(name).into_iter().map(|peer| peer.ip().to_string());
            seen.facts.push(format!("from {}", peers.collect::<Vec<_>>().join(", ")));
        }
        seen
    }

    /// Where the connections of the site came from.
    fn peers(&self, name: &str) -> Vec<SocketAddr> {
        let connections = self.engines.connections_of(name).into_iter();
        let peer = |(engine, at): (usize, usize)| {
            self.engines.all[engine].seen().connections[at].peer.expect("TCP")
        };
        connections.map(peer).collect()
    }

    /// The engine holds all requests until one variant has its answer.
    fn hold(&self, case: &Case, names: &[String], settles: usize, busy: bool) -> Variants {
        let gate = Gate::default();
        let (door, pong) = (gate.clone(), self.engines.pong.clone());
        let talk = case.questions().remove(0);
        self.engines.set(
            &talk
                .clone()
                .scripted(move |conn, request| {
                    conn.read_body(request)?;
                    door.pass();
                    conn.send(&packet::answer(200, &[], b"at last"))?;
                    Ok(Action::Keep)
                })
                .reply,
        );
        let ask = |name: &String| self.ask(case, &talk, name);
        let mut first: Vec<Client> = Vec::new();
        if busy {
            first = names.iter().map(ask).collect();
            for name in names {
                wait_until("the first request is at the engine", || {
                    !self.engines.connections_of(name).is_empty()
                });
            }
        }
        let mut clients: Vec<Client> = names.iter().map(ask).collect();
        let methods = talk.methods();
        let read = |client: &mut Client| Answer::new(client.try_read_response(methods[0]));
        let settled = read(&mut clients[settles]);
        gate.open();
        pong.open();
        let mut variants: Variants = clients
            .iter_mut()
            .enumerate()
            .map(|(at, client)| if at == settles { settled.clone() } else { read(client) })
            .map(|answer| Seen { answers: vec![answer], ..Seen::default() })
            .collect();
        for (seen, client) in variants.iter_mut().zip(&mut first) {
            seen.answers.push(read(client));
        }
        pong.close();
        variants
    }

    /// All variants are asked, and only the case as it stands gets an answer.
    fn hang(&self, case: &Case, names: &[String]) -> Variants {
        let talk = case.questions().remove(0);
        let mut clients: Vec<Client> =
            names.iter().map(|name| self.ask(case, &talk, name)).collect();
        let answer = Answer::new(clients[0].try_read_response(talk.methods()[0]));
        let others = clients[1..].iter().map(|client| Seen {
            facts: vec![format!("waits: {}", client.is_silent())],
            ..Seen::default()
        });
        let first = Seen { answers: vec![answer], ..Seen::default() };
        std::iter::once(first).chain(others).collect()
    }

    /// The engine sends the beginning of its answer, and the rest once the case's client has it.
    fn stream(&self, case: &Case, names: &[String], begin: fn() -> Vec<u8>) -> Variants {
        let gate = Gate::default();
        let door = gate.clone();
        let talk = case.questions().remove(0).scripted(move |conn, request| {
            conn.read_body(request)?;
            conn.send(&begin())?;
            door.pass();
            conn.send(&packet::end_response(true))?;
            Ok(Action::Keep)
        });
        self.engines.set(&talk.reply);
        let mut clients: Vec<Client> =
            names.iter().rev().map(|name| self.ask(case, &talk, name)).collect();
        clients.reverse();
        clients[0].wait_for_bytes().expect("the beginning of the answer");
        let silent: Vec<bool> = clients[1..].iter().map(Client::is_silent).collect();
        gate.open();
        let seen = clients.iter_mut().zip([false].iter().chain(&silent)).map(|(client, silent)| {
            let answer = Answer::new(client.try_read_response(talk.methods()[0]));
            let fact = format!("silent before the end: {silent}");
            Seen { answers: vec![answer], facts: vec![fact], ..Seen::default() }
        });
        seen.collect()
    }

    fn ask(&self, case: &Case, talk: &Talk, name: &str) -> Client {
        let mut client = Client::connect(self.addr(case));
        client.send(&Self::bytes(talk, name)).expect("httpd reads");
        client
    }

    /// Waits until the engine sees what becomes of an idle connection.
    fn wait(&self, number: usize, case: &Case, variants: &mut Variants) {
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
    fn play_alone(&self, group: &Group, number: usize, case: &Case, variant: usize) -> Seen {
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

    /// Adds what the files say once httpd has ended.
    fn read(&self, logs: &Logs, number: usize, case: &Case, variants: &mut Variants) {
        for (at, seen) in variants.iter_mut().enumerate() {
            let name = name(number, at);
            self.read_variant(logs, &name, case, seen);
            rename(seen, &name, number);
        }
    }

    fn read_variant(&self, logs: &Logs, name: &str, case: &Case, seen: &mut Seen) {
        if self.module == Module::Ours
            && let OnOurs::Config(text) = case.ours
        {
            let text = text.replace('@', name);
            let found = logs
                .all
                .lines()
                .filter(|line| line.contains("config: "))
                .any(|line| line.contains(&format!("({name}")) && matches(line, &text));
            *seen = Seen::default();
            seen.facts.push(format!("config has {text}: {found}"));
            return;
        }
        for look in &case.looks {
            match look {
                Look::Logged { c, ours } | Look::Own { c, ours } => {
                    let text = if self.module == Module::C { c } else { ours };
                    let text = text.replace('@', name);
                    let own = logs.file(&format!("logs/{name}.log")).unwrap_or_default();
                    let shared = matches!(look, Look::Logged { .. }) && matches(&logs.all, &text);
                    let found = shared || matches(&own, &text);
                    seen.facts.push(format!("logged {c}: {found}"));
                }
                Look::Body(text) => {
                    let body = match seen.answers.last() {
                        Some(Answer::Response { body, .. }) => String::from_utf8_lossy(body),
                        _ => "".into(),
                    };
                    let found = matches(&body, &text.replace('@', name));
                    let fact = format!("the answer has {text}: {found}");
                    seen.facts.push(fact);
                }
                Look::File { path, digits } => {
                    let text = logs.file(&path.replace('@', name));
                    let text = text.map(|text| {
                        if *digits { text.replace(|c: char| c.is_ascii_digit(), "9") } else { text }
                    });
                    seen.facts.push(format!("{path} has {text:?}"));
                }
                Look::Exists(_)
                | Look::Connections
                | Look::Keepalive
                | Look::Peers
                | Look::StatusOnly => {}
            }
        }
        if case.looks.iter().any(|look| matches!(look, Look::Body(_) | Look::StatusOnly)) {
            let statuses: Vec<String> = seen.answers.iter().map(status_of).collect();
            seen.facts.push(format!("answers {}", statuses.join(", ")));
            seen.answers.clear();
        }
    }
}

fn status_of(answer: &Answer) -> String {
    match answer {
        Answer::Response { status, .. } => status.to_string(),
        Answer::None(NoResponse::Silence) => "nothing for a long time".into(),
        Answer::None(error) => format!("{error:?}"),
    }
}

/// Whether the connection whose end in httpd has this address has a timer for keep-alive.
fn has_keepalive(addr: SocketAddr) -> bool {
    let SocketAddr::V4(addr) = addr else { panic!("{addr} is no IPv4") };
    let hex = format!("{:08X}:{:04X}", u32::from(*addr.ip()).swap_bytes(), addr.port());
    let mut kind = None;
    wait_until("the connection has no timer of its last packets", || {
        // Other connections come and go while the table is read, so a line may be missed.
        let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&hex));
        // The sixth column: kind of timer, and when. 1 is retransmission, 2 is keep-alive.
        let timer = line.and_then(|line| line.split_whitespace().nth(5));
        kind = timer.and_then(|timer| timer.split(':').next()).map(str::to_owned);
        matches!(kind.as_deref(), Some("00" | "02"))
    });
    kind.as_deref() == Some("02")
}

/// Whether there is a file whose path begins like this.
fn exists(path: &Path) -> bool {
    let begin = path.file_name().expect("a name").to_string_lossy().into_owned();
    let files = std::fs::read_dir(path.parent().expect("a folder")).expect("the folder");
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with(&begin))
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

/// What is on disk after httpd ended.
struct Logs {
    all: String,
    root: Option<PathBuf>,
}

impl Logs {
    fn of(httpd: &Httpd) -> Self {
        let output = std::fs::read_to_string(httpd.path("logs/output.log")).unwrap_or_default();
        Self {
            all: [output, httpd.error_log(), httpd.jk_log()].concat(),
            root: Some(httpd.path("")),
        }
    }

    fn text(text: String) -> Self {
        Self { all: text, root: None }
    }

    fn file(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.root.as_ref()?.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether `text` contains `pattern`, in which `#` is any digit.
fn matches(text: &str, pattern: &str) -> bool {
    if !pattern.contains('#') {
        return text.contains(pattern);
    }
    let fits = |part: &[u8]| {
        let pairs = part.iter().zip(pattern.as_bytes());
        pairs.into_iter().all(|(a, b)| a == b || (*b == b'#' && a.is_ascii_digit()))
    };
    text.as_bytes().windows(pattern.len()).any(fits)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Takes out of the answers what every run has its own of, and the one header that ours adds to
/// all of a kind: row `Status 503` of COMPAT.md, which has a test of its own.
fn without_noise(seen: &mut Seen) {
    seen.without_response_headers(&["Last-Modified", "ETag"]);
    for answer in &mut seen.answers {
        if let Answer::Response { status: 503, headers, .. } = answer {
            headers.retain(|(name, _)| name != "Retry-After");
        }
    }
}

/// Gives all variants the same name.
fn rename(seen: &mut Seen, from: &str, case: usize) {
    without_noise(seen);
    let to = name(case, 0);
    for packet in &mut seen.packets {
        while let Some(at) = packet.windows(from.len()).position(|part| part == from.as_bytes())
            && from != to
        {
            packet[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    for answer in &mut seen.answers {
        if let Answer::Response { headers, body, .. } = answer {
            for (_, value) in headers {
                *value = value.replace(from, &to);
            }
            *body = String::from_utf8_lossy(body).replace(from, &to).into_bytes();
        }
    }
    for fact in &mut seen.facts {
        *fact = fact.replace(from, &to);
    }
}

/// What is wrong with a case.
fn judge_case(case: &Case, theirs: Option<&[Seen]>, ours: Option<&[Seen]>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut moved = |who: &str, seen: &[Seen], expected: bool| {
        for (number, without) in seen.iter().enumerate().skip(1) {
            if (*without != seen[0]) != expected {
                problems.push(format!(
                    "with {who}, {} changes when mark {number} is taken out",
                    if expected { "nothing" } else { "something" }
                ));
            }
        }
    };
    if let Some(theirs) = theirs {
        moved("the C module", theirs, true);
    }
    if let Some(ours) = ours {
        moved("ours", ours, !matches!(case.ours, OnOurs::NoEffect(_)));
    }
    let (Some(theirs), Some(ours)) = (theirs, ours) else { return problems };
    match case.ours {
        OnOurs::Same => {}
        OnOurs::NoEffect(_) => return problems,
        OnOurs::Config(text) => {
            if ours[0].facts.iter().any(|fact| fact.ends_with("false")) {
                problems.push(format!("ours does not say {text}"));
            }
            return problems;
        }
    }
    let mut differ = case.difference.is_none();
    for (number, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        if theirs == ours {
            continue;
        }
        differ = true;
        let found = judge(case.difference, theirs, ours);
        let what = match number {
            0 => "as it stands".to_owned(),
            number => format!("without mark {number}"),
        };
        problems.extend(found.iter().map(|problem| format!("{what}: {problem}")));
    }
    if !differ {
        let row = case.difference.map_or("", |difference| difference.row);
        problems.push(format!("does not differ, so `{row}` of COMPAT.md is not true here"));
    }
    problems
}
