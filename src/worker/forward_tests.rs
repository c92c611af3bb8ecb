#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fmt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::*;
use crate::ajp::frame::{Frame, TO_CONTAINER, split};
use crate::ajp::message::{
    ResponseHead, encode_body_chunk, encode_end, encode_get_body_chunk, encode_head,
};
use crate::config::{
    ConnectOptions, PacketSize, RecoveryOptions, Secret, StatusList, Target, WorkerName,
};
use crate::host::{BodyError, Policy, RequestBody, ResponseError};
use crate::log::{Log, Site};

/// A request in memory.
#[derive(Default)]
struct Memory {
    method: &'static str,
    headers: Vec<(String, String)>,
    query: Option<&'static str>,
    /// Body parts as reads give them; an error ends them.
    body: Vec<Result<Vec<u8>, BodyError>>,
    length: Option<u64>,
    status: Option<u16>,
    sent_headers: Vec<String>,
    held: Vec<u8>,
    client: Vec<u8>,
    committed: bool,
    finished: bool,
    aborted: bool,
    pauses: RefCell<Vec<Duration>>,
    log: RefCell<Vec<String>>,
}

impl Memory {
    fn get() -> Self {
        Self { method: "GET", ..Self::default() }
    }

    fn post(body: &[u8]) -> Self {
        let length = Some(u64::try_from(body.len()).unwrap());
        Self { method: "POST", body: vec![Ok(body.to_vec())], length, ..Self::default() }
    }

    fn logged(&self, event: &str) -> usize {
        self.log.borrow().iter().filter(|line| line.contains(event)).count()
    }
}

impl Log for Memory {
    fn enabled(&self, _: Level) -> bool {
        true
    }

    fn write(&self, level: Level, _: Site, text: fmt::Arguments<'_>) {
        self.log.borrow_mut().push(format!("[{}] {text}", level.name()));
    }
}

impl Request for Memory {
    fn facts(&self) -> Facts<'_> {
        Facts {
            method: self.method.as_bytes(),
            is_head: self.method == "HEAD",
            protocol: b"HTTP/1.1",
            uri: b"/app",
            query: self.query.map(str::as_bytes),
            remote_addr: Some(b"127.0.0.1"),
            remote_host: None,
            remote_port: Some(b"1"),
            local_addr: Some(b"127.0.0.1"),
            server_name: b"localhost",
            server_port: 80,
            remote_user: None,
            auth_type: None,
            route: None,
            tls: None,
            environment: &[],
        }
    }

    fn policy(&self) -> Policy<'_> {
        Policy::default()
    }

    fn add_challenge(&mut self, value: &[u8]) {
        self.sent_headers.push(format!("challenge: {}", value.escape_ascii()));
    }

    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
    }

    fn body(&self) -> RequestBody {
        match (self.length, self.body.is_empty()) {
            (Some(length), _) => RequestBody::Length(length),
            (None, true) => RequestBody::None,
            (None, false) => RequestBody::Unknown,
        }
    }

    fn read_body(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        if self.body.is_empty() {
            return Ok(0);
        }
        let mut part = self.body.remove(0)?;
        let rest = part.split_off(part.len().min(buf.len()));
        buf[..part.len()].copy_from_slice(&part);
        if !rest.is_empty() {
            self.body.insert(0, Ok(rest));
        }
        Ok(part.len())
    }

    fn start_response<'h>(
        &mut self,
        head: &ResponseHead<'_>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        self.status = Some(head.status);
        self.sent_headers = headers.map(|(name, _)| name.escape_ascii().to_string()).collect();
    }

    fn write_body(&mut self, parts: &[&[u8]]) -> Result<(), ResponseError> {
        self.held.extend_from_slice(&parts.concat());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ResponseError> {
        self.committed = true;
        self.client.append(&mut self.held);
        Ok(())
    }

    fn finish_response(&mut self, _: bool) -> Result<(), ResponseError> {
        self.finished = true;
        self.flush()
    }

    fn is_committed(&self) -> bool {
        self.committed
    }

    fn retract(&mut self) {
        self.status = None;
        self.held.clear();
    }

    fn pause(&self, time: Duration) {
        self.pauses.borrow_mut().push(time);
    }

    fn abort(&mut self) {
        self.aborted = true;
    }
}

/// What a scripted engine does with one connection: answers request after request, then closes.
type Script = Vec<Vec<u8>>;

/// Serves one connection per script and returns the packets that each received.
fn engine(scripts: Vec<Script>) -> (Ajp13Config, JoinHandle<Vec<Vec<Vec<u8>>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let run = move || {
        let serve = |script: Script| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut packets = Vec::new();
            for answer in script {
                let Some(packet) = read_packet(&mut stream) else {
                    return packets;
                };
                packets.push(packet);
                stream.write_all(&answer).unwrap();
            }
            packets
        };
        scripts.into_iter().map(serve).collect()
    };
    (config(port), thread::spawn(run))
}

fn read_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    loop {
        let missing = match split(&packet, TO_CONTAINER, 65536).unwrap() {
            Frame::Packet { .. } => return Some(packet),
            Frame::Incomplete { missing } => missing,
        };
        let start = packet.len();
        packet.resize(start + missing, 0);
        stream.read_exact(&mut packet[start..]).ok()?;
    }
}

fn config(port: u16) -> Ajp13Config {
    Ajp13Config {
        name: WorkerName::new(b"w").unwrap(),
        target: Target::Tcp { host: "127.0.0.1".into(), port },
        secret: Some(Secret::new(b"hidden-word")),
        packet_size: PacketSize::MIN,
        pool_size: 1,
        pool_min_size: 1,
        pool_idle_timeout: None,
        acquire_timeout: Duration::ZERO,
        connect: ConnectOptions {
            socket_connect_timeout: Some(Duration::from_secs(10)),
            keepalive: false,
            buffer: None,
            prefer_ipv6: false,
            source: None,
            dns_ttl: Duration::from_secs(60),
        },
        socket_timeout: Some(Duration::from_secs(20)),
        connect_ping: None,
        prepost_ping: None,
        ping_interval: None,
        idle_ping: None,
        reply_timeout: None,
        retries: 2,
        retry_interval: Duration::from_millis(7),
        recovery: RecoveryOptions::default(),
        fail_on_status: StatusList::default(),
        busy_limit: None,
    }
}

fn worker(config: Ajp13Config) -> Worker {
    Worker::new(config, Arc::new(vec![WorkerState::default()]), 0)
}

fn answer(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_head(200, None, [(&b"Connection"[..], &b"close"[..])].into_iter(), &mut out, 8192)
        .unwrap();
    encode_body_chunk(body, &mut out, 8192).unwrap();
    encode_end(true, &mut out).unwrap();
    out
}

fn run(worker: &Worker, request: &mut Memory) -> Outcome {
    serve(worker, &Buffers::new(1), request)
}

#[test]
fn a_connection_is_used_again_after_a_clean_end() {
    let (config, engine) = engine(vec![vec![answer(b"one"), answer(b"two")]]);
    let worker = worker(config);
    for expected in ["one", "two"] {
        let mut request = Memory::get();
        assert_eq!(run(&worker, &mut request), Outcome::Completed);
        assert_eq!(request.client, expected.as_bytes());
        assert!(request.finished && request.sent_headers.is_empty());
    }
    drop(worker);
    assert_eq!(engine.join().unwrap().concat().len(), 2);
}

#[test]
fn an_idempotent_request_survives_a_connection_that_was_lost_while_idle() {
    // The second request is read from the first connection before that is closed without an answer.
    let (config, engine) = engine(vec![vec![answer(b"one"), vec![]], vec![answer(b"two")]]);
    let worker = worker(config);
    run(&worker, &mut Memory::get());
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"two");
    assert_eq!(request.logged("retry: eof_before_head"), 1);
    drop(worker);
    assert_eq!(engine.join().unwrap().concat().len(), 3);
}

#[test]
fn a_post_is_never_sent_twice() {
    let (config, engine) = engine(vec![vec![answer(b"one"), vec![], vec![]]]);
    let worker = worker(config);
    run(&worker, &mut Memory::get());
    let mut request = Memory::post(b"body");
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("eof_before_head"), 1);
    assert_eq!(request.logged("retry"), 0);
    drop(worker);
    let packets = engine.join().unwrap().concat();
    assert_eq!(packets.len(), 3, "one GET, one POST with its body");
}

#[test]
fn a_get_on_a_new_connection_is_not_repeated() {
    let (config, engine) = engine(vec![vec![vec![]]]);
    let worker = worker(config);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(engine.join().unwrap().concat().len(), 1);
    assert_eq!(request.logged("tries=1 outcome=502"), 1);
}

#[test]
fn a_refused_connection_is_tried_again_with_the_configured_pause() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let worker = worker(Ajp13Config { retries: 3, ..config(port) });
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
    assert_eq!(*request.pauses.borrow(), [Duration::from_millis(7); 2]);
    assert_eq!(request.logged("[info] (w) retry: connect_refused"), 2);
    assert_eq!(request.logged("[error] (w) connect_refused"), 1);
    assert_eq!(request.logged("hidden-word"), 0, "a secret is never logged");
}

#[test]
fn a_request_that_cannot_be_forwarded_never_reaches_an_engine() {
    let worker = worker(config(1));
    let big = ("Cookie".to_owned(), "x".repeat(9000));
    let stalls = vec![Ok(b"abc".to_vec()), Err(BodyError::Timeout)];
    let cases = [
        (Memory { method: "G E T", ..Memory::get() }, 501, "bad_method"),
        (Memory { query: Some("a b"), ..Memory::get() }, 400, "bad_query"),
        (Memory { headers: vec![big], ..Memory::get() }, 413, "header Cookie with 9000 bytes"),
        (Memory { body: stalls, ..Memory::post(b"0123456789") }, 408, "(got 3 bytes)"),
        (Memory { length: Some(9), ..Memory::post(b"short") }, 400, "client_abort"),
    ];
    for (mut request, status, words) in cases {
        assert_eq!(run(&worker, &mut request), Outcome::Refused(status), "{words}");
        assert_eq!(request.logged(words), 1, "{words}: {:?}", request.log);
        assert_eq!(request.logged("phase=prepare"), 1, "{words}");
    }
}

#[test]
fn a_response_that_breaks_is_retracted_before_and_aborted_after_its_first_byte() {
    let mut begun = Vec::new();
    encode_head(200, None, std::iter::empty(), &mut begun, 8192).unwrap();
    encode_body_chunk(b"part", &mut begun, 8192).unwrap();
    let mut flushed = begun.clone();
    encode_body_chunk(b"", &mut flushed, 8192).unwrap();
    let (config, engine) = engine(vec![vec![begun], vec![flushed]]);
    let worker = worker(config);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert!(request.client.is_empty() && !request.aborted);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Aborted);
    assert_eq!(request.client, b"part");
    assert!(request.aborted && !request.finished);
    assert_eq!(request.logged("eof_mid_body"), 1);
    engine.join().unwrap();
}

#[test]
fn a_complete_response_does_not_wait_for_an_end_that_never_comes() {
    let mut no_end = Vec::new();
    encode_head(200, None, [(&b"Content-Length"[..], &b"2"[..])].into_iter(), &mut no_end, 8192)
        .unwrap();
    encode_body_chunk(b"ok", &mut no_end, 8192).unwrap();
    let (config, engine) = engine(vec![vec![no_end]]);
    let worker = worker(config);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"ok");
    assert_eq!(request.logged("[warn] (w) no_end"), 1);
    assert_eq!(worker.pool().idle(), 0);
    engine.join().unwrap();
}

#[test]
fn an_upload_follows_the_asks_of_the_engine() {
    let mut ask = Vec::new();
    encode_get_body_chunk(8186, &mut ask).unwrap();
    let script = vec![vec![], ask.clone(), ask, answer(b"done")];
    let (config, engine) = engine(vec![script]);
    let worker = worker(config);
    let mut request = Memory::post(&[7; 10_000]);
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    let packets = engine.join().unwrap().concat();
    let sizes: Vec<usize> = packets.iter().skip(1).map(Vec::len).collect();
    assert_eq!(sizes, [8192, 6 + 10_000 - 8186, 4]);
    assert_eq!(worker.pool().idle(), 1);
}

#[test]
fn all_connections_in_use_is_said_at_once() {
    let worker = worker(config(1));
    let _held = worker.pool().acquire(Duration::ZERO);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
    assert_eq!(request.logged("worker_saturated"), 1);
}
