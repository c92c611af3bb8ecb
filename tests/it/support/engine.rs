//! An AJP engine that does what a test tells it to, and remembers what it was sent.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::packet::{self, Body, Request};
use super::socket::{Listener, Socket};
use super::{DEADLINE, Endpoint, Gate, ReservedPort, eventually};

/// What becomes of the connection after the script has dealt with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Wait for the next packet.
    Keep,
    /// Close in an orderly way: FIN.
    Close,
    /// Drop the connection: RST.
    Reset,
    /// Say nothing more until the peer goes or the test ends.
    Hold,
}

/// Everything an engine has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: Vec<Connection>,
    /// All requests in the order of arrival.
    pub(crate) requests: Vec<Request>,
    /// Connections open now, and the most there were at one time.
    pub(crate) open: usize,
    pub(crate) max_open: usize,
    /// CPINGs received.
    pub(crate) pings: usize,
    /// What the tester did wrong or the peer broke: panics of scripts, undecodable packets.
    pub(crate) faults: Vec<String>,
}

/// One connection that was accepted.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// Raw packets, headers included, in order.
    pub(crate) packets: Vec<Vec<u8>>,
    /// Why it ended, once it has.
    pub(crate) end: Option<End>,
    /// Where it came from; `None` for a Unix socket.
    pub(crate) peer: Option<SocketAddr>,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer closed it between two packets.
    Closed,
    /// The peer closed it within a packet, or it broke.
    Broken(io::ErrorKind),
    /// The script ended it.
    ByScript(Action),
    /// The test dropped the engine or called [`Engine::close_connections`].
    ByTest,
}

type Script = dyn Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync;

/// How an engine is set up.
pub(crate) struct Builder {
    script: Arc<Script>,
    place: Place,
    cping: CPing,
    records_bodies: bool,
    records: bool,
}

/// What becomes of a CPING.
enum CPing {
    Answered,
    Ignored,
    AnsweredBehind(Gate),
}

enum Place {
    V4,
    V6,
    At(SocketAddr),
    Unix(PathBuf),
}

impl Builder {
    /// Listen on `::1` rather than 127.0.0.1.
    pub(crate) fn ipv6(mut self) -> Self {
        self.place = Place::V6;
        self
    }

    /// Listen at this very address, in a network namespace that nobody else uses.
    pub(crate) fn at(mut self, addr: SocketAddr) -> Self {
        self.place = Place::At(addr);
        self
    }

    /// Listen on a Unix socket, readable and writable for everybody.
    pub(crate) fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.place = Place::Unix(path.into());
        self
    }

    /// Leave CPINGs unanswered.
    pub(crate) fn ignore_cping(mut self) -> Self {
        self.cping = CPing::Ignored;
        self
    }

    /// Answer CPINGs once the gate is open.
    pub(crate) fn answer_cping_behind(mut self, gate: &Gate) -> Self {
        self.cping = CPing::AnsweredBehind(gate.clone());
        self
    }

    /// Do not remember body packets: for bodies that should not fill the memory.
    pub(crate) fn forget_bodies(mut self) -> Self {
        self.records_bodies = false;
        self
    }

    /// Remember neither requests nor packets: for hours of service.
    pub(crate) fn forget_all(mut self) -> Self {
        self.records = false;
        self
    }

    pub(crate) fn start(self) -> Engine {
        let (endpoint, reserved) = match self.place {
            Place::V4 => reserve(ReservedPort::v4()),
            Place::V6 => reserve(ReservedPort::v6()),
            Place::At(addr) => reserve(ReservedPort::at(addr)),
            Place::Unix(path) => (Endpoint::Unix(path), None),
        };
        let shared = Arc::new(Shared {
            script: self.script,
            cping: self.cping,
            records_bodies: self.records_bodies,
            records: self.records,
            seen: Mutex::default(),
            changed: Condvar::new(),
            live: Mutex::default(),
        });
        let engine = Engine { endpoint, shared, door: Mutex::default(), _reserved: reserved };
        engine.listen();
        engine
    }
}

fn reserve(port: ReservedPort) -> (Endpoint, Option<ReservedPort>) {
    (Endpoint::Tcp(port.addr()), Some(port))
}

/// A running engine. Dropping it closes every connection.
pub(crate) struct Engine {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    door: Mutex<Option<Door>>,
    _reserved: Option<ReservedPort>,
}

/// The listener and the thread that accepts from it.
struct Door {
    listener: Arc<Listener>,
    thread: JoinHandle<()>,
}

struct Shared {
    script: Arc<Script>,
    cping: CPing,
    records_bodies: bool,
    records: bool,
    seen: Mutex<Seen>,
    changed: Condvar,
    live: Mutex<Live>,
}

/// The connections being served, so that a test can end them.
#[derive(Default)]
struct Live {
    sockets: Vec<(usize, Socket)>,
    threads: Vec<JoinHandle<()>>,
    /// Connections below this number are to end.
    ended_below: usize,
}

impl Engine {
    /// An engine whose echoes of requests wait for `gate`.
    pub(crate) fn behind(gate: &Gate) -> Self {
        let gate = gate.clone();
        Self::scripted(move |conn, request| {
            gate.pass();
            conn.send(&echo(request, 0))?;
            Ok(Action::Keep)
        })
        .start()
    }

    /// An engine that lets `script` answer each request.
    pub(crate) fn scripted(
        script: impl Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync + 'static,
    ) -> Builder {
        Builder {
            script: Arc::new(script),
            place: Place::V4,
            cping: CPing::Answered,
            records_bodies: true,
            records: true,
        }
    }

    /// An engine that reads the whole request body and answers 200: the body of the answer is
    /// the request URI, `X-Connection` the number of the connection, `X-Body` the length of
    /// the request body.
    pub(crate) fn recording() -> Builder {
        Self::scripted(|conn, request| {
            let body = conn.read_body(request)?;
            conn.send(&echo(request, body.len()))?;
            Ok(Action::Keep)
        })
    }

    /// An engine that answers every request with the same bytes, after reading its body.
    pub(crate) fn answering(bytes: Vec<u8>, then: Action) -> Builder {
        Self::scripted(move |conn, request| {
            conn.read_body(request)?;
            conn.send(&bytes)?;
            Ok(then)
        })
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The lines of workers.properties for this engine.
    pub(crate) fn worker(&self, name: &str) -> String {
        self.endpoint.worker(name)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        match &self.endpoint {
            Endpoint::Tcp(addr) => addr.port(),
            Endpoint::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// What it has seen so far. Holds the engine's lock: keep it short.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.shared.seen)
    }

    /// A copy of the requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    /// How many connections were accepted in all.
    pub(crate) fn accepted(&self) -> usize {
        self.seen().connections.len()
    }

    /// Waits until `condition` holds for what was seen. False if `deadline` passes first.
    pub(crate) fn wait_for(
        &self,
        deadline: Duration,
        mut condition: impl FnMut(&Seen) -> bool,
    ) -> bool {
        let end = Instant::now() + deadline;
        let mut seen = self.seen();
        loop {
            if condition(&seen) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            seen = self
                .shared
                .changed
                .wait_timeout(seen, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until `condition` holds; panics with `what` after the usual deadline.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl FnMut(&Seen) -> bool) {
        if !self.wait_for(DEADLINE, condition) {
            let seen = self.seen();
            panic!(
                "waited {DEADLINE:?} in vain: {what}; {} requests, {} connections, {} open, {:?}",
                seen.requests.len(),
                seen.connections.len(),
                seen.open,
                seen.faults
            );
        }
    }

    /// Stops listening: connects are refused. Connections that exist go on.
    pub(crate) fn refuse(&self) {
        let Some(door) = lock(&self.door).take() else { return };
        door.listener.shut();
        let _ = door.thread.join();
        if let Endpoint::Unix(path) = &self.endpoint {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Listens again at the same place, after [`Engine::refuse`].
    pub(crate) fn listen(&self) {
        let listener = Arc::new(Listener::bind(&self.endpoint));
        let (mine, shared) = (Arc::clone(&listener), Arc::clone(&self.shared));
        let thread = std::thread::spawn(move || accept(&mine, &shared));
        let before = lock(&self.door).replace(Door { listener, thread });
        assert!(before.is_none(), "the engine listens already");
    }

    /// Ends every connection there is (FIN), as an engine that is stopped does.
    pub(crate) fn close_connections(&self) {
        let connections = self.accepted();
        let mut live = lock(&self.shared.live);
        live.ended_below = connections;
        for (_, socket) in &live.sockets {
            socket.shut();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.refuse();
        self.close_connections();
        // A script may be waiting for something of the test's that is dropped only after us,
        // so its thread is given time, not joined.
        let threads = std::mem::take(&mut lock(&self.shared.live).threads);
        eventually(Duration::from_secs(2), || threads.iter().all(JoinHandle::is_finished));
        if std::thread::panicking() {
            let seen = self.seen();
            eprintln!("--- engine at {:?}", self.endpoint);
            for request in &seen.requests {
                eprintln!("{} {} on {}", request.method(), request.uri(), request.connection);
            }
            for (number, connection) in seen.connections.iter().enumerate() {
                let packets = connection.packets.len();
                eprintln!("connection {number}: {packets} packets, end {:?}", connection.end);
            }
            for fault in &seen.faults {
                eprintln!("fault: {fault}");
            }
        }
    }
}

/// The answer of [`Engine::recording`].
pub(crate) fn echo(request: &Request, body: usize) -> Vec<u8> {
    let (connection, body) = (request.connection.to_string(), body.to_string());
    let headers =
        [("Content-Type", "text/plain"), ("X-Connection", &connection), ("X-Body", &body)];
    packet::answer(200, &headers, request.uri().as_bytes())
}

fn accept(listener: &Listener, shared: &Arc<Shared>) {
    while let Ok(socket) = listener.accept() {
        let number = {
            let mut seen = lock(&shared.seen);
            seen.connections.push(Connection { peer: socket.peer(), ..Connection::default() });
            seen.open += 1;
            seen.max_open = seen.max_open.max(seen.open);
            seen.connections.len() - 1
        };
        shared.changed.notify_all();
        let twin = socket.try_clone().expect("dup of a socket");
        let conn = Conn { number, socket, shared: Arc::clone(shared), owed_body: false };
        let mut live = lock(&shared.live);
        if number < live.ended_below {
            twin.shut();
        }
        live.sockets.push((number, twin));
        live.threads.retain(|thread| !thread.is_finished());
        live.threads.push(std::thread::spawn(move || conn.serve()));
    }
}

/// A connection, in the hands of a script.
pub(crate) struct Conn {
    number: usize,
    socket: Socket,
    shared: Arc<Shared>,
    /// The first body packet of a request with a Content-Length comes unasked, and was not
    /// read yet.
    owed_body: bool,
}

impl Conn {
    /// Number of the connection, from 0 in the order of acceptance.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// Sends bytes, packets or not, in one write.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.socket.write_all(bytes)
    }

    /// Sends bytes in writes of at most `size`; TCP_NODELAY makes each its own segment unless
    /// the peer is slower than we are.
    pub(crate) fn send_split(&mut self, bytes: &[u8], size: usize) -> io::Result<()> {
        bytes.chunks(size).try_for_each(|part| self.socket.write_all(part))
    }

    /// Reads one packet, whatever it is. `None` at an orderly end of the connection.
    pub(crate) fn read_packet(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut packet = vec![0; 4];
        if self.socket.read(&mut packet[..1])? == 0 {
            return Ok(None);
        }
        self.socket.read_exact(&mut packet[1..])?;
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        packet.resize(4 + length, 0);
        self.socket.read_exact(&mut packet[4..])?;
        Ok(Some(packet))
    }

    /// Reads one packet of the request body and returns its data; empty at the end of the
    /// body. A request with a Content-Length sends its first one unasked, every other must
    /// have been asked for with [`packet::get_body_chunk`].
    pub(crate) fn read_body_packet(&mut self) -> io::Result<Vec<u8>> {
        let Some(packet) = self.read_packet()? else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.owed_body = false;
        self.record(&packet, self.shared.records_bodies);
        if packet.len() < 6 {
            return Ok(Vec::new());
        }
        let length = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
        if length != packet.len() - 6 {
            let what = format!("a body packet says {length} bytes and has {}", packet.len() - 6);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(packet[6..].to_vec())
    }

    /// Asks for up to `length` bytes of the body and returns what comes.
    pub(crate) fn ask_body(&mut self, length: u16) -> io::Result<Vec<u8>> {
        self.send(&packet::get_body_chunk(length))?;
        self.read_body_packet()
    }

    /// Reads the rest of the request body, asking as Tomcat asks.
    pub(crate) fn read_body(&mut self, request: &Request) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.read_body_into(request, |data| body.extend_from_slice(data))?;
        Ok(body)
    }

    /// Like [`Conn::read_body`], handing over each packet's data; returns the length.
    pub(crate) fn read_body_into(
        &mut self,
        request: &Request,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<u64> {
        let length = match request.body() {
            Body::None => return Ok(0),
            Body::Length(length) => length,
            Body::Unknown => u64::MAX,
        };
        let mut read = 0;
        while read < length {
            let data = if self.owed_body { self.read_body_packet()? } else { self.ask_body(8186)? };
            if data.is_empty() {
                break;
            }
            read += data.len() as u64;
            sink(&data);
        }
        Ok(read)
    }

    /// Blocks until the peer closes the connection or the test ends. What the peer sends
    /// meanwhile is read and dropped.
    pub(crate) fn wait_closed(&mut self) {
        let mut waste = [0; 4096];
        while matches!(self.socket.read(&mut waste), Ok(n) if n > 0) {}
    }

    fn serve(mut self) {
        let run = std::panic::AssertUnwindSafe(|| self.run());
        let end = std::panic::catch_unwind(run).unwrap_or_else(|panic| {
            let what = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_default();
            lock(&self.shared.seen).faults.push(what);
            Ok(Action::Reset)
        });
        let end = match end {
            Ok(Action::Keep) => End::Closed,
            Ok(action) => End::ByScript(action),
            Err(error) => End::Broken(error.kind()),
        };
        let by_test = {
            let mut live = lock(&self.shared.live);
            live.sockets.retain(|(number, _)| *number != self.number);
            self.number < live.ended_below
        };
        let end = match end {
            End::ByScript(action) => End::ByScript(action),
            _ if by_test => End::ByTest,
            end => end,
        };
        if end == End::ByScript(Action::Reset) {
            self.socket.reset_on_close();
        }
        let shared = Arc::clone(&self.shared);
        let number = self.number;
        // Closed before it is counted as closed.
        drop(self);
        let mut seen = lock(&shared.seen);
        seen.open -= 1;
        seen.connections[number].end = Some(end);
        drop(seen);
        shared.changed.notify_all();
    }

    /// Serves until the connection ends. `Keep` means that the peer closed it.
    fn run(&mut self) -> io::Result<Action> {
        while let Some(packet) = self.read_packet()? {
            let code = packet.get(4).copied();
            self.record(&packet, true);
            match code {
                Some(packet::CPING) if packet.len() == 5 => {
                    lock(&self.shared.seen).pings += 1;
                    self.shared.changed.notify_all();
                    match &self.shared.cping {
                        CPing::Ignored => {}
                        CPing::Answered => self.send(&packet::cpong())?,
                        CPing::AnsweredBehind(gate) => {
                            gate.pass();
                            self.send(&packet::cpong())?;
                        }
                    }
                }
                _ => match self.request(&packet)? {
                    Action::Keep => {}
                    Action::Hold => {
                        self.wait_closed();
                        return Ok(Action::Hold);
                    }
                    action => return Ok(action),
                },
            }
        }
        Ok(Action::Keep)
    }

    fn request(&mut self, packet: &[u8]) -> io::Result<Action> {
        let request = Request::decode(self.number, packet);
        self.owed_body = matches!(request.body(), Body::Length(_));
        if self.shared.records {
            lock(&self.shared.seen).requests.push(request.clone());
        }
        self.shared.changed.notify_all();
        let script = Arc::clone(&self.shared.script);
        let action = script(self, &request)?;
        if action == Action::Keep && self.owed_body {
            // The script answered without looking at the body: it is on its way all the same.
            self.read_body_packet()?;
        }
        Ok(action)
    }

    fn record(&self, packet: &[u8], keep: bool) {
        if keep && self.shared.records {
            lock(&self.shared.seen).connections[self.number].packets.push(packet.to_vec());
        }
        self.shared.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
