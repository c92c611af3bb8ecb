//! Engines that are processes: they can be killed and stopped like a real one, and start at once.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::content::Wish;
use crate::support::engine::{Action, Conn, Engine};
use crate::support::packet::{self, Request};
use crate::support::process::{self, Target};
use crate::support::random::Random;
use crate::support::{Endpoint, ReservedPort, dawdle, wait_until};

/// Tells a process of this program where to listen.
const ADDRESS: &str = "JK_ENGINE_ADDRESS";

/// An engine in a process of its own. It is killed with the value.
pub(super) struct EngineProcess {
    port: ReservedPort,
    child: Option<Child>,
}

impl EngineProcess {
    pub(super) fn start() -> Self {
        let mut engine = Self { port: ReservedPort::v4(), child: None };
        engine.launch();
        engine
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Tcp(self.port.addr())
    }

    /// Starts it again at the same place, after [`EngineProcess::kill`].
    #[track_caller]
    pub(super) fn launch(&mut self) {
        assert!(self.child.is_none(), "the engine runs already");
        let program = std::env::current_exe().expect("the test binary has a path");
        let mut command = Command::new(program);
        command
            .args(["soak::engine::process_of_an_engine", "--exact", "--ignored", "--nocapture"])
            .env(ADDRESS, self.port.addr().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.child = Some(process::spawn(command, libc::SIGKILL).expect("the test binary"));
        let addr = self.port.addr();
        wait_until("the engine listens", || TcpStream::connect(addr).is_ok());
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// See [`crate::support::tomcat::Tomcat::freeze`].
    pub(super) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub(super) fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = self.child.as_ref().expect("the engine runs").id();
        assert!(process::signal(Target::Process(pid), signal), "the engine is gone");
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Serves until it is killed, where a test started it as a process; else there is nothing to do.
#[test]
#[ignore = "the process of an engine, which tests start"]
fn process_of_an_engine() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let address: SocketAddr = address.parse().expect("an address");
    let _engine = Engine::scripted(answer).forget_all().at(address).start();
    loop {
        std::thread::park();
    }
}

/// Answers as the token wants it, and in a way that follows from the token: whole or in parts, with or
/// without a length, and some connections are given up afterwards.
pub(super) fn answer(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    let Some(wish) = request.query().and_then(Wish::of_query) else {
        conn.send(&packet::answer(404, &[], b"no wish"))?;
        return Ok(Action::Keep);
    };
    let body = conn.read_body(request)?;
    let answer = wish.answer(&body);
    let mut random = Random::new(wish.token.rotate_left(32));
    let length = answer.len().to_string();
    let headers: &[(&str, &str)] =
        if random.one_in(2) { &[("Content-Length", &length)] } else { &[] };
    if random.one_in(8) {
        dawdle(Duration::from_millis(random.below(30) as u64));
    }
    let gives_up = random.one_in(50);
    let mut packets = packet::send_headers(200, "OK", headers);
    let mut rest = &answer[..];
    while !rest.is_empty() {
        let most = if random.one_in(4) { 1 + random.below(500) } else { packet::CHUNK_MAX };
        let (part, more) = rest.split_at(rest.len().min(most));
        packets.extend(packet::body_chunk(part));
        if random.one_in(10) {
            packets.extend(packet::body_chunk(b""));
        }
        rest = more;
    }
    packets.extend(packet::end_response(!gives_up));
    match random.below(6) {
        0 => conn.send_split(&packets, 1 + random.below(1500))?,
        _ => conn.send(&packets)?,
    }
    Ok(if gives_up { Action::Close } else { Action::Keep })
}
