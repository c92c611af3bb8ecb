//! An in-memory host and a scripted engine for the unit tests of this module.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::buffers::Buffers;
use super::{Outcome, Worker, serve};
use crate::ajp::frame::{Frame, TO_CONTAINER, split};
use crate::ajp::message::{ResponseHead, encode_body_chunk, encode_end, encode_head};
use crate::config::{
    Ajp13Config, ConnectOptions, PacketSize, RecoveryOptions, Secret, StatusList, Target,
    WorkerName,
};
use crate::host::{BodyError, Facts, Policy, Request, RequestBody, ResponseError, Tls};
use crate::log::{Level, Log, Site};
use crate::net::Names;
use crate::shared::{Heap, Layout};

/// A request in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub method: &'static str,
    pub uri: &'static str,
    pub route: Option<&'static str>,
    pub is_tls: bool,
    pub client_address: Option<&'static str>,
    pub now: Cell<u64>,
    pub policy: Policy<'static>,
    pub environment: Vec<(&'static [u8], &'static [u8])>,
    pub headers: Vec<(String, String)>,
    pub query: Option<&'static str>,
    /// Body parts as reads give them; an error ends them.
    pub body: Vec<Result<Vec<u8>, BodyError>>,
    pub length: Option<u64>,
    pub status: Option<u16>,
    pub sent_headers: Vec<String>,
    pub cookies: Vec<String>,
    pub held: Vec<u8>,
    pub client: Vec<u8>,
    pub committed: bool,
    pub finished: bool,
    pub aborted: bool,
    pub flushes: usize,
    pub retractions: usize,
    pub pauses: RefCell<Vec<Duration>>,
    pub log: RefCell<Vec<String>>,
}

impl Memory {
    pub(super) fn get() -> Self {
        Self { method: "GET", uri: "/app", ..Self::default() }
    }

    pub(super) fn post(body: &[u8]) -> Self {
        let length = Some(u64::try_from(body.len()).unwrap());
        Self { method: "POST", body: vec![Ok(body.to_vec())], length, ..Self::get() }
    }

    pub(super) fn logged(&self, event: &str) -> usize {
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
            uri: self.uri.as_bytes(),
            query: self.query.map(str::as_bytes),
            client: Some(self.client_address.unwrap_or("127.0.0.1").as_bytes()),
            remote_addr: Some(b"127.0.0.1"),
            remote_host: None,
            remote_port: Some(b"1"),
            local_addr: Some(b"127.0.0.1"),
            server_name: b"localhost",
            server_port: 80,
            remote_user: None,
            auth_type: None,
            route: self.route.map(str::as_bytes),
            tls: self.is_tls.then(Tls::default),
            environment: &self.environment,
        }
    }

    fn policy(&self) -> Policy<'_> {
        self.policy
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

    fn read_body_ahead(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        // A part is there, its error is the next read's to tell.
        if matches!(self.body.first(), Some(Ok(_))) { self.read_body(buf) } else { Ok(0) }
    }

    fn start_response<'h>(
        &mut self,
        head: &ResponseHead<'_>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        self.status = Some(head.status);
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        let headers: Vec<_> = headers.map(|(name, value)| (text(name), text(value))).collect();
        let cookies = headers.iter().filter(|(name, _)| name == "Set-Cookie");
        self.cookies = cookies.map(|(_, value)| value.clone()).collect();
        self.sent_headers = headers.into_iter().map(|(name, _)| name).collect();
    }

    fn write_body(&mut self, parts: &[&[u8]]) -> Result<(), ResponseError> {
        self.held.extend_from_slice(&parts.concat());
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ResponseError> {
        self.committed = true;
        self.flushes += 1;
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
        self.retractions += 1;
        self.status = None;
        self.held.clear();
    }

    fn now(&self) -> u64 {
        self.now.get()
    }

    fn pause(&self, time: Duration) {
        self.pauses.borrow_mut().push(time);
    }

    fn abort(&mut self, _why: &'static str) {
        self.aborted = true;
    }
}

/// What a scripted engine does with one connection: answers request after request, then closes.
pub(super) type Script = Vec<Vec<u8>>;

/// What an engine saw: for each connection its packets.
type Seen = Vec<Vec<Vec<u8>>>;

/// Serves one connection per script and returns the packets that each received.
pub(super) fn engine(scripts: Vec<Script>) -> (Ajp13Config, JoinHandle<Seen>) {
    scripted(scripts, |result| result.unwrap())
}

/// As [`engine`], but does not mind that nobody reads its answers.
pub(super) fn careless_engine(scripts: Vec<Script>) -> (Ajp13Config, JoinHandle<Seen>) {
    scripted(scripts, drop)
}

fn scripted(
    scripts: Vec<Script>,
    written: impl Fn(io::Result<()>) + Send + 'static,
) -> (Ajp13Config, JoinHandle<Seen>) {
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
                written(stream.write_all(&answer));
            }
            packets
        };
        scripts.into_iter().map(serve).collect()
    };
    (config(port), thread::spawn(run))
}

pub(super) fn read_packet(stream: &mut TcpStream) -> Option<Vec<u8>> {
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

pub(crate) fn config(port: u16) -> Ajp13Config {
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
        max_inflight: None,
        health_check: None,
    }
}

pub(super) fn worker(config: Ajp13Config) -> Worker {
    let layout = Layout { workers: 1, requests: 8, ..Layout::default() };
    Worker::new(config, Names::default(), Arc::new(Heap::new(layout)), 0)
}

pub(super) fn answer(body: &[u8]) -> Vec<u8> {
    answer_with(200, &[("Connection", "close")], body)
}

pub(super) fn answer_with(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = begun(status, headers, body);
    encode_end(true, &mut out).unwrap();
    out
}

/// An answer that lacks its end.
pub(super) fn begun(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let headers = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    encode_head(status, None, headers, &mut out, 8192).unwrap();
    for part in body.chunks(8000) {
        encode_body_chunk(part, &mut out, 8192).unwrap();
    }
    out
}

pub(super) fn run(worker: &Worker, request: &mut Memory) -> Outcome {
    serve(worker, &Buffers::new(1), request)
}
