//! What a test needs to stage a scene: a web server, an engine, a client.
//!
//! Nothing here waits on the clock. The one loop that sleeps is [`eventually`]; everything
//! else blocks on a socket, a child or a condition variable with a deadline. Slowness that is
//! part of a scene comes from [`dawdle`].

#![allow(dead_code, reason = "a toolbox: not every test uses every tool")]

pub(crate) mod callgrind;
pub(crate) mod client;
pub(crate) mod engine;
pub(crate) mod httpd;
pub(crate) mod namespace;
pub(crate) mod packet;
pub(crate) mod process;
pub(crate) mod random;
mod socket;
pub(crate) mod strict;
pub(crate) mod tls;
pub(crate) mod tomcat;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

/// How long a condition may take to become true before a test gives up. Generous: it is
/// spent only by a test that fails.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Whether the module runs under a sanitizer, which keeps back what is freed: memory says nothing then.
pub(crate) fn is_sanitized() -> bool {
    std::env::var_os("JK_SANITIZER").is_some()
}

/// Polls `condition` until it is true. False if `deadline` passes first.
pub(crate) fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    // The module under a sanitizer has a fraction of its speed.
    let patience = if is_sanitized() { 4 } else { 1 };
    let end = Instant::now() + deadline * patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Does nothing for a while: how a slow client or engine is slow. Never a way to wait for something.
pub(crate) fn dawdle(time: Duration) {
    std::thread::sleep(time);
}

/// Polls `condition` until it is true and panics with `what` if [`DEADLINE`] passes first.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(eventually(DEADLINE, condition), "waited {DEADLINE:?} in vain: {what}");
}

/// A door that a script waits at until the test opens it: how a test holds an exchange at a
/// certain point without guessing times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().expect("no holder panics") = true;
        self.0.1.notify_all();
    }

    /// Closes it again for those who come later.
    pub(crate) fn close(&self) {
        *self.0.0.lock().expect("no holder panics") = false;
    }

    /// Waits until the gate is open; panics after the usual deadline.
    #[track_caller]
    pub(crate) fn pass(&self) {
        let open = self.0.0.lock().expect("no holder panics");
        let (open, _) =
            self.0.1.wait_timeout_while(open, DEADLINE, |open| !*open).expect("no holder panics");
        let is_open = *open;
        // Whoever waits at the same gate is not to fail for a panic.
        drop(open);
        assert!(is_open, "waited {DEADLINE:?} in vain for a gate to open");
    }
}

/// Where an engine listens, as a worker of mod_jk names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Endpoint {
    /// The lines of workers.properties that define an ajp13 worker for this endpoint.
    pub(crate) fn worker(&self, name: &str) -> String {
        let place = match self {
            Self::Tcp(addr) => {
                format!("worker.{name}.host={}\nworker.{name}.port={}\n", addr.ip(), addr.port())
            }
            Self::Unix(path) => format!("worker.{name}.socket={}\n", path.display()),
        };
        format!("worker.{name}.type=ajp13\n{place}")
    }
}

/// A loopback port that is ours for as long as the value lives.
///
/// The port is bound but not listened on, with SO_REUSEADDR: Linux gives it to nobody who
/// asks for any free port, lets a server that asks for it by number listen on it, and
/// refuses connections while no server does.
#[derive(Debug)]
pub(crate) struct ReservedPort {
    addr: SocketAddr,
    _socket: Socket,
}

impl ReservedPort {
    /// Reserves a port of 127.0.0.1.
    pub(crate) fn v4() -> Self {
        Self::on(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Reserves a port of ::1.
    pub(crate) fn v6() -> Self {
        Self::on(IpAddr::V6(Ipv6Addr::LOCALHOST))
    }

    pub(crate) fn on(ip: IpAddr) -> Self {
        Self::at(SocketAddr::new(ip, 0))
    }

    /// Reserves this very port, where nobody else can have it: in a network namespace.
    pub(crate) fn at(addr: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))
            .expect("a TCP socket");
        socket.set_reuse_address(true).expect("SO_REUSEADDR");
        socket.bind(&addr.into()).expect("a free port");
        let addr = socket.local_addr().expect("its address").as_socket().expect("an IP address");
        Self { addr, _socket: socket }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }
}

/// A directory that goes away with the value, and that httpd's unprivileged children may
/// enter.
pub(crate) fn temp_dir(prefix: &str) -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix(prefix).tempdir().expect("a temp directory");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))
        .expect("chmod 755");
    dir
}
