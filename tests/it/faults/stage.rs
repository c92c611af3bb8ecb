//! One httpd with our module and one engine on which cases run one after the other, and what is
//! looked at after each of them.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::case::{Ask, Case, Fate, Sees, Step, Then};
use super::{one_process, rounds, seed};
use crate::support::client::{self, Client, Curl, NoResponse, Noise, Response};
use crate::support::engine::{self, Action, Conn, Engine};
use crate::support::httpd::{self, Httpd, Module, Mpm};
use crate::support::packet::{self, Request};
use crate::support::random::Random;
use crate::support::{DEADLINE, Gate, eventually};

/// What the engine does with one request.
type Play = dyn Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync;

/// One httpd, one engine.
///
/// The workers are all the same engine: `w` as it comes, `t` with a short `reply_timeout`, `p`
/// which pings before each request; each is mounted at its name. What nobody has scripted is
/// answered with its own URI.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    pub(crate) httpd: Httpd,
    plays: Plays,
    child: u32,
    /// Descriptors of the child without any connection.
    idle_fds: usize,
}

type Plays = Arc<Mutex<HashMap<String, Arc<Play>>>>;

/// How a case is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// On a connection that was opened for it.
    Fresh,
    /// On a connection that has carried a request before.
    Reused,
    /// Reused, and the engine's bytes come one by one.
    Bytes,
    /// Reused, and the engine's bytes come in parts of random sizes. The number is their seed.
    Split(u64),
}

/// A place in the log and in what the engine has seen.
pub(crate) struct Mark {
    log: u64,
    requests: usize,
}

static TOKEN: AtomicUsize = AtomicUsize::new(0);

/// A path below the worker's mount that nothing else uses.
pub(crate) fn unique(worker: &str, what: &str) -> String {
    format!("/{worker}/{what}/{}", TOKEN.fetch_add(1, Ordering::Relaxed))
}

const WORKERS: &str = "worker.t.reply_timeout=500
worker.p.prepost_timeout=500
worker.p.retry_interval=1
worker.list=status
worker.status.type=status";

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// A stage under this MPM: one process, and under prefork one client at a time.
    pub(crate) fn under(mpm: Mpm) -> Self {
        Self::with(|builder| one_process(builder, mpm))
    }

    /// A stage whose httpd has something more.
    pub(crate) fn with(more: impl FnOnce(httpd::Builder) -> httpd::Builder) -> Self {
        let plays = Plays::default();
        let known = Arc::clone(&plays);
        let engine = Engine::scripted(move |conn, request| {
            let play =
                known.lock().unwrap_or_else(PoisonError::into_inner).get(request.uri()).cloned();
            match play {
                Some(play) => play(conn, request),
                None => answer(conn, request),
            }
        })
        .start();
        let mut builder = Httpd::builder(Module::Ours).jk_log_level("debug").workers(WORKERS);
        for worker in ["w", "t", "p"] {
            builder =
                builder.worker(worker, &engine.endpoint()).mount(&format!("/{worker}/*"), worker);
        }
        let httpd = more(builder.mount("/status", "status")).start();
        let child = httpd.only_child();
        let mut stage = Self { engine, httpd, plays, child, idle_fds: 0 };
        for worker in ["w", "t", "p"] {
            stage.drain(worker);
        }
        stage.idle_fds = stage.settled_fds();
        stage
    }

    /// The number of descriptors once it no longer changes.
    fn settled_fds(&self) -> usize {
        let (mut last, mut same) = (0, 0);
        let settled = eventually(DEADLINE, || {
            let now = self.httpd.fd_count(self.child);
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same > 30
        });
        assert!(settled, "the number of descriptors does not settle");
        last
    }

    /// Scripts one path.
    pub(crate) fn play(
        &self,
        path: &str,
        play: impl Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync + 'static,
    ) {
        self.plays.lock().expect("no holder panics").insert(path.to_owned(), Arc::new(play));
    }

    /// Leaves a worker without idle connections. Returns the number of the last one.
    pub(crate) fn drain(&self, worker: &str) -> usize {
        let path = unique(worker, "bye");
        let response = client::get(self.httpd.addr(), &path);
        assert_eq!(response.text(), path);
        let number = connection(&response);
        self.engine
            .wait_until("the connection is closed", |seen| seen.connections[number].end.is_some());
        number
    }

    /// Leaves a worker with one idle connection that has carried a request: its number.
    pub(crate) fn warm(&self, worker: &str) -> usize {
        connection(&self.echo(worker))
    }

    /// Has a connection answer a request with `status`, and then send `late` while it is idle. Returns
    /// its number.
    #[track_caller]
    pub(crate) fn late(&self, worker: &str, status: u16, late: &[u8]) -> usize {
        let (path, received, sent) = (unique(worker, "case"), Gate::default(), Gate::default());
        let (wait, done, late) = (received.clone(), sent.clone(), late.to_vec());
        self.play(&path, move |conn, _| {
            conn.send(&packet::answer(status, &[], b"own"))?;
            wait.pass();
            conn.send(&late)?;
            done.open();
            Ok(Action::Keep)
        });
        let mark = self.mark();
        let answer = client::get(self.httpd.addr(), &path);
        assert_eq!((answer.status(), answer.text().as_str()), (status, "own"));
        received.open();
        sent.pass();
        self.carried_by(&mark, &path).expect("sent")
    }

    /// A request that must get its own answer.
    #[track_caller]
    pub(crate) fn echo(&self, worker: &str) -> Response {
        let path = unique(worker, "echo");
        let response = client::get(self.httpd.addr(), &path);
        assert_eq!((response.status(), response.text()), (200, path));
        response
    }

    /// Requests that a worker is serving, errors, and errors of clients: what its status page says.
    #[track_caller]
    pub(crate) fn counters(&self, worker: &str) -> [u64; 3] {
        let page = client::get(self.httpd.addr(), "/status?mime=prop").text();
        ["busy", "errors", "client_errors"].map(|name| {
            let key = format!("worker.{worker}.{name}=");
            let number = page.lines().find_map(|line| line.strip_prefix(&key)?.trim().parse().ok());
            number.unwrap_or_else(|| panic!("no {name} of {worker}: {page}"))
        })
    }

    pub(crate) fn mark(&self) -> Mark {
        let log = std::fs::metadata(self.httpd.path("logs/jk.log")).map_or(0, |meta| meta.len());
        Mark { log, requests: self.engine.seen().requests.len() }
    }

    /// The lines of the log from a mark on.
    pub(crate) fn log_since(&self, mark: &Mark) -> Vec<String> {
        let mut text = Vec::new();
        let mut file = std::fs::File::open(self.httpd.path("logs/jk.log")).expect("a log");
        file.seek(SeekFrom::Start(mark.log)).expect("seek");
        file.read_to_end(&mut text).expect("a log");
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }

    /// How often the engine was sent a path since a mark.
    pub(crate) fn executions(&self, mark: &Mark, path: &str) -> usize {
        let seen = self.engine.seen();
        seen.requests[mark.requests..].iter().filter(|request| request.uri() == path).count()
    }

    /// The connection on which the engine was last sent a path.
    pub(crate) fn carried_by(&self, mark: &Mark, path: &str) -> Option<usize> {
        let seen = self.engine.seen();
        let sent = seen.requests[mark.requests..].iter().rfind(|request| request.uri() == path)?;
        Some(sent.connection)
    }

    /// What must hold after a case: one line in the log, the connection's fate, everybody gets
    /// their own answers, the same process serves and has no descriptor too many.
    #[track_caller]
    pub(crate) fn check_after(
        &self,
        what: &str,
        mark: &Mark,
        worker: &str,
        event: Option<(&str, &str)>,
        fate: Option<(usize, Fate)>,
    ) {
        if let Some((number, Fate::Closed)) = fate {
            let closed =
                self.engine.wait_for(DEADLINE, |seen| seen.connections[number].end.is_some());
            assert!(closed, "{what}: connection {number} stays open");
        }
        for round in 0..rounds() {
            let response = self.echo(worker);
            if let (0, Some((number, fate))) = (round, fate) {
                let same = connection(&response) == number;
                assert_eq!(same, fate == Fate::Pooled, "{what}: connection {number}, {fate:?}");
            }
        }
        self.check_log(what, mark, worker, event);
        let faults = self.engine.seen().faults.clone();
        assert!(faults.is_empty(), "{what}: the engine complains: {faults:?}");
        assert_eq!(self.httpd.only_child(), self.child, "{what}: another child serves");
        let mut fds = (0, 0);
        let idle = eventually(DEADLINE, || self.counters(worker)[0] == 0);
        assert!(idle, "{what}: a request is still counted");
        let back = eventually(Duration::from_secs(10), || {
            fds = (self.httpd.fd_count(self.child), self.idle_fds + self.engine.seen().open);
            fds.0 == fds.1
        });
        assert!(back, "{what}: {} descriptors rather than {}", fds.0, fds.1);
    }

    /// The one line of an event, and nothing else worth a line.
    #[track_caller]
    pub(crate) fn check_log(
        &self,
        what: &str,
        mark: &Mark,
        worker: &str,
        event: Option<(&str, &str)>,
    ) {
        let mut lines = Vec::new();
        let is = |line: &str, level: &str| line.contains(&format!(" [{level}] "));
        let words = event.map(|(level, event)| (level, format!(": ({worker}) {event}: ")));
        eventually(Duration::from_secs(5), || {
            lines = self.log_since(mark);
            words.as_ref().is_none_or(|(_, words)| lines.iter().any(|line| line.contains(words)))
        });
        let named: Vec<&String> = match &words {
            Some((_, words)) => lines.iter().filter(|line| line.contains(words)).collect(),
            None => Vec::new(),
        };
        if let Some((level, words)) = &words {
            let right = named.len() == 1 && is(named[0], level);
            assert!(right, "{what}: not one line [{level}] {words}\n{}", lines.join("\n"));
        }
        let others = lines.iter().filter(|line| {
            ["warn", "error", "emerg"].iter().any(|level| is(line, level)) && !named.contains(line)
        });
        let others: Vec<_> = others.cloned().collect();
        assert!(others.is_empty(), "{what}: unexpected lines\n{}", others.join("\n"));
    }

    /// Runs a case on a fresh and on a reused connection and there in parts: byte by byte, or where
    /// that takes long, of random sizes. Returns how many runs that were.
    #[track_caller]
    pub(crate) fn run(&self, case: &Case) -> usize {
        let mut variants = vec![Variant::Fresh, Variant::Reused];
        if case.then != Then::Reset {
            let parts = if case.is_short() { Variant::Bytes } else { Variant::Split(seed()) };
            variants.push(parts);
        }
        variants.iter().for_each(|variant| self.run_as(case, *variant));
        variants.len()
    }

    /// Runs cases; a failure does not keep the others from being looked at.
    #[track_caller]
    pub(crate) fn run_all(&self, cases: &[Case]) {
        self.each(cases, |case| self.run(case));
    }

    /// Does `run`, which returns how many runs that were, with all cases.
    #[track_caller]
    pub(crate) fn each(&self, cases: &[Case], run: impl Fn(&Case) -> usize) {
        let (mut runs, mut failures) = (0, Vec::new());
        for case in cases {
            let run = std::panic::AssertUnwindSafe(|| run(case));
            match std::panic::catch_unwind(run) {
                Ok(more) => runs += more,
                Err(_) => failures.push(case.id.as_str()),
            }
        }
        assert!(
            failures.is_empty(),
            "{} of {} cases fail: {failures:?}",
            failures.len(),
            cases.len()
        );
        assert!(!self.httpd.error_log().contains("exit signal"), "a child crashed");
        eprintln!("{} cases, {runs} runs", cases.len());
    }

    #[track_caller]
    pub(crate) fn run_as(&self, case: &Case, variant: Variant) {
        let what = format!("{} {variant:?}", case.id);
        let reused = variant != Variant::Fresh;
        let before = if reused { self.warm(case.worker) } else { self.drain(case.worker) };
        let path = unique(case.worker, "case");
        let gate = Gate::default();
        self.play(&path, script(case, variant, gate.clone()));
        let counted = self.counters(case.worker);
        let mark = self.mark();

        let mut client = Client::connect(self.httpd.addr());
        let answer = ask(&mut client, case, &path, &gate);

        check_answer(&what, case, &answer);
        let number = self.carried_by(&mark, &path).unwrap_or_else(|| panic!("{what}: not sent"));
        assert_eq!(self.executions(&mark, &path), case.executions(reused), "{what}: executions");
        let same = number == before;
        let expected = reused && case.executions(reused) == 1;
        assert_eq!(same, expected, "{what}: connection {number}, before it {before}");
        if let Ok(answer) = &answer
            && answer.end.is_complete()
            && !answer.header("Connection").is_some_and(|value| value.contains("close"))
        {
            // The client's own connection is in step too.
            let path = unique(case.worker, "echo");
            assert_eq!(client.get(&path).text(), path, "{what}: next on the same connection");
        }
        drop(client);
        self.check_after(&what, &mark, case.worker, case.event, Some((number, case.fate)));
        self.check_counters(&what, case, counted);
    }

    /// A request that failed because of the engine counts as an error, once, and no other one.
    #[track_caller]
    fn check_counters(&self, what: &str, case: &Case, [_, errors, of_clients]: [u64; 3]) {
        let failed = u64::from(!matches!(case.sees, Sees::Whole(..)));
        let expected = [0, errors + failed, of_clients];
        assert_eq!(self.counters(case.worker), expected, "{what}: busy, errors, client errors");
    }

    /// Runs a case over HTTP/2.
    #[track_caller]
    pub(crate) fn run_http2(&self, case: &Case, variant: Variant) {
        let what = format!("{} over HTTP/2 {variant:?}", case.id);
        let reused = variant != Variant::Fresh;
        let before = if reused { self.warm(case.worker) } else { self.drain(case.worker) };
        let path = unique(case.worker, "case");
        let gate = Gate::default();
        gate.open();
        self.play(&path, script(case, variant, gate));
        let counted = self.counters(case.worker);
        let mark = self.mark();
        let url = self.httpd.http(&path);
        let data = "x".repeat(match case.ask {
            Ask::Post(length) | Ask::Chunked(length) => length,
            _ => 0,
        });
        let mut args = vec!["--http2-prior-knowledge", &url];
        match case.ask {
            Ask::Get => {}
            Ask::Head => args.push("--head"),
            Ask::Post(_) => args.extend(["--data-binary", &data]),
            // Over HTTP/2 this header is but curl's way to leave Content-Length out.
            Ask::Chunked(_) => {
                args.extend(["-H", "Transfer-Encoding: chunked", "--data-binary", &data]);
            }
        }
        let answer = client::curl(&args);
        check_curl(&what, case, &answer);
        let number = self.carried_by(&mark, &path).unwrap_or_else(|| panic!("{what}: not sent"));
        assert_eq!(self.executions(&mark, &path), case.executions(reused), "{what}: executions");
        let expected = reused && case.executions(reused) == 1;
        assert_eq!(number == before, expected, "{what}: connection {number}, before it {before}");
        self.check_after(&what, &mark, case.worker, case.event, Some((number, case.fate)));
        self.check_counters(&what, case, counted);
    }
}

/// The number of the engine's connection that an echo came over.
pub(crate) fn connection(response: &Response) -> usize {
    response.header("X-Connection").and_then(|number| number.parse().ok()).expect("an echo")
}

/// Answers with the request's URI; `/…/bye/…` ends the connection.
fn answer(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    let body = conn.read_body(request)?;
    let mut packets = engine::echo(request, body.len());
    if request.uri().contains("/bye/") {
        let flag = packets.len() - 1;
        packets[flag] = 0;
    }
    conn.send(&packets)?;
    Ok(Action::Keep)
}

/// The engine's side of a case.
fn script(
    case: &Case,
    variant: Variant,
    gate: Gate,
) -> impl Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync + 'static {
    let (play, then) = (case.play.clone(), case.then);
    move |conn, request| {
        for step in &play {
            match step {
                Step::Say(bytes) => say(conn, bytes, variant)?,
                Step::Ask(length, expected) => {
                    assert_eq!(conn.ask_body(*length)?.len(), *expected, "{}", request.uri());
                }
                Step::ReadBody => drop(conn.read_body(request)?),
                Step::ReadFirst => drop(conn.read_body_packet()?),
                Step::ClientHasHead => gate.pass(),
            }
        }
        Ok(match then {
            Then::Keep => Action::Keep,
            Then::Close => Action::Close,
            Then::Reset => Action::Reset,
        })
    }
}

/// Sends in one piece, byte by byte, or in pieces of random sizes.
fn say(conn: &mut Conn, bytes: &[u8], variant: Variant) -> io::Result<()> {
    match variant {
        Variant::Fresh | Variant::Reused => conn.send(bytes),
        Variant::Bytes => conn.send_split(bytes, 1),
        Variant::Split(seed) => {
            let (mut random, mut rest) = (Random::new(seed), bytes);
            while !rest.is_empty() {
                let (part, behind) = rest.split_at(1 + random.below(rest.len()));
                conn.send(part)?;
                rest = behind;
            }
            Ok(())
        }
    }
}

/// The client's side of a case.
fn ask(client: &mut Client, case: &Case, path: &str, gate: &Gate) -> Result<Response, NoResponse> {
    let (method, length) = match case.ask {
        Ask::Get => ("GET", 0),
        Ask::Head => ("HEAD", 0),
        Ask::Post(length) | Ask::Chunked(length) => ("POST", length),
    };
    let body = Noise::bytes(length);
    let mut bytes = client::head(method, path, &[]).into_bytes();
    match case.ask {
        Ask::Chunked(_) => {
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            for chunk in body.chunks(1000) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend([chunk, b"\r\n"].concat());
            }
            bytes.extend(b"0\r\n\r\n");
        }
        Ask::Post(_) => {
            bytes.extend(format!("Content-Length: {length}\r\n\r\n").as_bytes());
            bytes.extend(&body);
        }
        _ => bytes.extend(b"\r\n"),
    }
    client.send(&bytes).expect("httpd reads what fits its buffers");
    let head = client.read_head();
    gate.open();
    let head = head?;
    let mut body = Vec::new();
    let end = client.read_body(method, &head, |data| body.extend_from_slice(data))?;
    Ok(Response { head, body, end })
}

#[track_caller]
fn check_answer(what: &str, case: &Case, answer: &Result<Response, NoResponse>) {
    match (&case.sees, answer) {
        (Sees::Error(status), Ok(answer)) => {
            assert_eq!(answer.status(), *status, "{what}: {answer:?}");
            assert!(answer.end.is_complete(), "{what}: {answer:?}");
            if !matches!(case.ask, Ask::Head) {
                assert!(answer.text().contains("<!DOCTYPE"), "{what}: {answer:?}");
            }
            assert_eq!(answer.header("Retry-After").is_some(), *status == 503, "{what}");
            assert_eq!(answer.header("X-Engine"), None, "{what}: a header of the engine");
            assert!(!answer.text().contains("/case/"), "{what}: the page repeats the request");
        }
        (Sees::Whole(status, body), Ok(answer)) => {
            assert_eq!(answer.status(), *status, "{what}: {answer:?}");
            assert!(answer.end.is_complete(), "{what}: {answer:?}");
            assert!(
                answer.body == *body,
                "{what}: {} bytes, not {}",
                answer.body.len(),
                body.len()
            );
            for (name, value) in &case.with {
                let values = answer.head.header_values(name);
                assert!(values.contains(value), "{what}: {name} is {values:?}");
            }
            for name in &case.without {
                assert_eq!(answer.header(name), None, "{what}: {name} came through");
            }
        }
        (Sees::Broken(bytes), Ok(answer)) => {
            assert_eq!(answer.status(), 200, "{what}: {answer:?}");
            let end = answer.end;
            let broken = matches!(end, client::BodyEnd::Truncated | client::BodyEnd::Reset);
            assert!(broken, "{what}: the answer ends with {end:?}");
            assert!(bytes.starts_with(&answer.body), "{what}: other bytes: {}", answer.text());
        }
        (Sees::Broken(_), Err(NoResponse::Closed | NoResponse::Reset | NoResponse::Truncated)) => {}
        (_, Err(error)) => panic!("{what}: {error:?}"),
    }
}

#[track_caller]
fn check_curl(what: &str, case: &Case, answer: &Curl) {
    match &case.sees {
        Sees::Error(status) => {
            assert_eq!((answer.exit, answer.status), (0, *status), "{what}: {}", answer.complaint);
        }
        Sees::Whole(status, body) => {
            assert_eq!((answer.exit, answer.status), (0, *status), "{what}: {}", answer.complaint);
            if !matches!(case.ask, Ask::Head) {
                assert!(answer.body == *body, "{what}: {} bytes", answer.body.len());
            }
        }
        Sees::Broken(bytes) => {
            assert_ne!(answer.exit, 0, "{what}: a clean end after {} bytes", answer.body.len());
            assert!(bytes.starts_with(&answer.body), "{what}: other bytes");
        }
    }
    if answer.exit == 0 {
        assert_eq!(answer.version, "2", "{what}");
    }
}

/// A complete answer that no case expects: what a poisoned connection would give.
pub(crate) fn poison() -> Vec<u8> {
    packet::answer(200, &[("X-Engine", "poison")], b"somebody else's answer")
}
