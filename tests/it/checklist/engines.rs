//! The engines behind the workers of a run, and the ports that nobody serves.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::compliance::case::Reply;
use crate::compliance::run::{answer, packets};
use crate::support::engine::Engine;
use crate::support::httpd::Module;
use crate::support::{Gate, ReservedPort, wait_until};

/// The engines of a run.
pub(super) struct Engines {
    pub(super) all: Vec<Engine>,
    reply: Arc<Mutex<Reply>>,
    dead: ReservedPort,
    full: (Socket, Vec<TcpStream>),
    /// CPINGs of the last engine wait for this.
    pub(super) pong: Gate,
}

pub(super) const NAMES: [&str; 4] = ["{one}", "{two}", "{mute}", "{late}"];

impl Engines {
    pub(super) fn start() -> Self {
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
    pub(super) fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, engine) in NAMES.iter().zip(&self.all) {
            text = text.replace(name, &engine.port().to_string());
        }
        let full = self.full.0.local_addr().expect("bound").as_socket().expect("IP");
        text.replace("{dead}", &self.dead.port().to_string())
            .replace("{full}", &full.port().to_string())
            .replace("{over}", &(u32::from(self.all[0].port()) + (1 << 16)).to_string())
            .replace("{root}", "@ROOT@")
    }

    pub(super) fn set(&self, reply: &Reply) {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = reply.clone();
    }

    pub(super) fn packets(&self) -> Vec<Vec<Vec<Vec<u8>>>> {
        self.all.iter().map(packets).collect()
    }

    /// The numbers of an engine's connections on which a request named this site.
    pub(super) fn connections_of(&self, name: &str) -> Vec<(usize, usize)> {
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

    pub(super) fn assert_no_faults(&self, module: Module) {
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

/// Whether the connection between these ports has a timer for keep-alive on httpd's side.
pub(super) fn has_keepalive(httpd: SocketAddr, engine: u16) -> bool {
    let hex = |port: u16| format!("0100007F:{port:04X}");
    let ends = [hex(httpd.port()), hex(engine)];
    let mut kind = None;
    wait_until("the connection has no timer of its last packets", || {
        // Other connections come and go while the table is read, so a line may be missed.
        let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|line| line.get(1..3).is_some_and(|found| found == ends));
        // The sixth column: kind of timer, and when. 1 is retransmission, 2 is keep-alive.
        kind = line.and_then(|line| line.get(5)?.split(':').next().map(str::to_owned));
        matches!(kind.as_deref(), Some("00" | "02"))
    });
    kind.as_deref() == Some("02")
}

pub(super) fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
