//! A worker as it is meant: types that can hold nothing that makes no sense.
#![forbid(unsafe_code)]

use std::{fmt, time::Duration};

#[cfg(unix)]
use std::path::PathBuf;

use thiserror::Error;

use super::{balancer::BalancerConfig, error::Place, status::StatusConfig, text::printable};

/// Longest worker name, host, route and the like, in bytes [2.1].
pub const MAX_NAME: usize = 63;

/// Name of a worker: 1 to 63 bytes, any but the separators of a list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(Box<[u8]>);

/// Why bytes are no [`WorkerName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WorkerNameError {
    /// Nothing there.
    #[error("the name is empty")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("the name has {0} bytes, the limit is {MAX_NAME}")]
    TooLong(usize),
    /// A blank, a tab or a comma, so no list could hold it.
    #[error("the name has a blank, a tab or a comma")]
    Separator,
}

impl WorkerName {
    /// Checks the rules of a name.
    pub fn new(name: &[u8]) -> Result<WorkerName, WorkerNameError> {
        if name.is_empty() {
            return Err(WorkerNameError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(WorkerNameError::TooLong(name.len()));
        }
        if name.iter().any(|byte| matches!(byte, b' ' | b'\t' | b',')) {
            return Err(WorkerNameError::Separator);
        }
        Ok(WorkerName(name.into()))
    }

    /// The name as it was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key of one of this worker's properties.
    pub(super) fn key(&self, property: &str) -> Vec<u8> {
        [b"worker.", self.as_bytes(), b".", property.as_bytes()].concat()
    }
}

impl fmt::Display for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl fmt::Debug for WorkerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A route, domain, cookie name or the like: at most [`MAX_NAME`] bytes of any kind, maybe none.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Label(Box<[u8]>);

impl Label {
    /// Takes the bytes, or tells how many there are when they are more than [`MAX_NAME`].
    pub fn new(text: &[u8]) -> Result<Label, usize> {
        if text.len() > MAX_NAME { Err(text.len()) } else { Ok(Label(text.into())) }
    }

    /// The bytes as they were written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What stands before the first dot; nothing when there is none.
    pub(super) fn before_dot(&self) -> Label {
        let dot = self.0.iter().position(|byte| *byte == b'.').unwrap_or_default();
        Label(self.0.get(..dot).unwrap_or_default().into())
    }
}

impl From<&WorkerName> for Label {
    fn from(name: &WorkerName) -> Label {
        Label(name.as_bytes().into())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The AJP secret. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes as they stand in the file.
    pub fn new(secret: &[u8]) -> Secret {
        Secret(secret.into())
    }

    /// The bytes, for the engine and for nothing else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// Most bytes of one AJP packet in either direction: a multiple of 1024 from 8192 to 65536.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PacketSize(u32);

impl PacketSize {
    /// What the protocol guarantees, and the default.
    pub const MIN: PacketSize = PacketSize(8192);
    /// What the protocol can carry.
    pub const MAX: PacketSize = PacketSize(65536);

    /// The size that C mod_jk makes of a number: rounded up to a multiple of 1024, then brought into
    /// the range.
    pub fn rounded(bytes: i32) -> PacketSize {
        let bytes = u32::try_from(bytes).unwrap_or(0);
        let size = PacketSize(bytes.checked_next_multiple_of(1024).unwrap_or(u32::MAX));
        size.clamp(PacketSize::MIN, PacketSize::MAX)
    }

    /// The size in bytes.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Default for PacketSize {
    fn default() -> PacketSize {
        PacketSize::MIN
    }
}

/// Where the engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A TCP port.
    Tcp {
        /// Name or address, at most 63 bytes, never with a port; not resolved yet.
        host: String,
        /// From 1 on.
        port: u16,
    },
    /// Nowhere: requests get 503 and no connection is tried, as in C mod_jk.
    Never {
        /// What the configuration has for a host, as text that may be anything.
        host: String,
        /// What is wrong with host or port, and what would be right.
        why: String,
    },
    /// A Unix socket: an absolute path. New here.
    #[cfg(unix)]
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Target::Tcp { host, port } => write!(f, "{host}:{port}"),
            Target::Never { .. } => f.write_str("none"),
            #[cfg(unix)]
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// How a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Longest time for one address to accept; `None` leaves it to the system
    /// (`socket_connect_timeout=0` written out).
    pub socket_connect_timeout: Option<Duration>,
    /// SO_KEEPALIVE.
    pub keepalive: bool,
    /// SO_SNDBUF and SO_RCVBUF in bytes, never below the packet size; `None` leaves them to the system.
    pub buffer: Option<usize>,
    /// Among several addresses take IPv6 first.
    pub prefer_ipv6: bool,
    /// Local name or address to connect from (`source`); `None` leaves it to the system.
    pub source: Option<String>,
    /// Age from which the addresses of a name are looked up again while they are in use, at least
    /// 1 s; failed connections do that before. New here: C mod_jk resolves once.
    pub dns_ttl: Duration,
}

/// `recovery_options`: what may be sent again beyond the rules of spec/reliability.md 0, set by hand
/// ([5.5], bits 1 to 16). `None` where the property is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecoveryOptions(pub Option<u32>);

/// `fail_on_status`: statuses of an engine that count as its failure [5.7].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StatusList(Box<[i32]>);

/// What a status in a [`StatusList`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFailure {
    /// The engine is taken for broken.
    Engine,
    /// Only this request failed (the list has the negative number).
    Request,
}

impl StatusList {
    /// A list of numbers; 0 matches nothing.
    pub fn new(statuses: impl IntoIterator<Item = i32>) -> StatusList {
        StatusList(statuses.into_iter().collect())
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The numbers as written.
    pub fn statuses(&self) -> &[i32] {
        &self.0
    }

    /// What the list says of a status of the engine; the first entry for it decides.
    pub fn failure(&self, status: u16) -> Option<StatusFailure> {
        let status = i32::from(status);
        let found = self.0.iter().find(|listed| listed.checked_abs() == Some(status))?;
        Some(if *found > 0 { StatusFailure::Engine } else { StatusFailure::Request })
    }
}

/// One worker of type ajp13, ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ajp13Config {
    /// Its name in `worker.list` and in mounts.
    pub name: WorkerName,
    /// Where the engine listens.
    pub target: Target,
    /// Sent with every request when set.
    pub secret: Option<Secret>,
    /// Most bytes of one packet in either direction.
    pub packet_size: PacketSize,
    /// Connections per process; 0: requests get 503, as in C mod_jk.
    pub pool_size: usize,
    /// Connections that idle closing leaves open (`connection_pool_minsize`).
    pub pool_min_size: usize,
    /// Idle connections older than this are closed (`connection_pool_timeout`); `None`: never.
    pub pool_idle_timeout: Option<Duration>,
    /// Longest wait for a free connection. Zero: one attempt without waiting (C mod_jk: every request
    /// gets 503, trap 3 of [9.2]).
    pub acquire_timeout: Duration,
    /// How a connection is made.
    pub connect: ConnectOptions,
    /// Longest time for one blocking read or write on the socket; `None` for no limit.
    pub socket_timeout: Option<Duration>,
    /// Send CPING after each new connection and wait this long for CPONG; `None` for no ping.
    pub connect_ping: Option<Duration>,
    /// Send CPING before each request and wait this long for CPONG; `None` for no ping.
    pub prepost_ping: Option<Duration>,
    /// Idle connections get a CPING after this time (`connection_ping_interval`); `None`: never.
    pub ping_interval: Option<Duration>,
    /// Longest wait for the CPONG of an idle connection (`ping_timeout`); `None`: no pings of idle
    /// connections.
    pub idle_ping: Option<Duration>,
    /// Longest time between two packets of an answer; `None` for no limit.
    pub reply_timeout: Option<Duration>,
    /// Attempts on this engine, at least 1.
    pub retries: u32,
    /// Pause before each attempt but the first; zero for none.
    pub retry_interval: Duration,
    /// What else may be sent again.
    pub recovery: RecoveryOptions,
    /// Statuses that count as failures.
    pub fail_on_status: StatusList,
    /// Most requests at a time over all processes; `None`: no limit.
    pub busy_limit: Option<u32>,
    /// Most requests at a time over all processes, those included that wait for a connection; `None`:
    /// no limit. New here.
    pub max_inflight: Option<u32>,
    /// Time between two checks of the engine (`health_check_interval`), whole seconds; `None`: there
    /// are none. New here.
    pub health_check: Option<Duration>,
}

/// One worker of `worker.list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerConfig {
    /// One engine.
    Ajp13(Box<Ajp13Config>),
    /// A load balancer over several engines, type lb.
    Balancer(Box<BalancerConfig>),
    /// The pages that show and change workers, type status.
    Status(Box<StatusConfig>),
}

impl WorkerConfig {
    /// Its name in `worker.list` and in mounts.
    pub fn name(&self) -> &WorkerName {
        match self {
            WorkerConfig::Ajp13(config) => &config.name,
            WorkerConfig::Balancer(config) => &config.name,
            WorkerConfig::Status(config) => &config.name,
        }
    }

    /// Its type in a file and in the note JK_WORKER_TYPE.
    pub fn type_name(&self) -> &'static str {
        match self {
            WorkerConfig::Ajp13(_) => "ajp13",
            WorkerConfig::Balancer(_) => "lb",
            WorkerConfig::Status(_) => "status",
        }
    }
}

/// A path that the workers file itself maps to a worker: one item of `worker.X.mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerMount {
    /// A worker of `worker.list`.
    pub worker: WorkerName,
    /// As written, not checked.
    pub pattern: Vec<u8>,
    /// The last line that adds to the list.
    pub place: Place,
}

/// All workers that requests can be mapped to, in the order of `worker.list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workers {
    /// No two have the same name.
    pub workers: Vec<WorkerConfig>,
    /// Rules for the main server, in the order of the workers.
    pub mounts: Vec<WorkerMount>,
    /// Time between two maintenance runs (`worker.maintain`), whole seconds; `None`: there are none.
    pub maintain: Option<Duration>,
}

impl Workers {
    /// The worker with a name and its position. Case matters.
    pub fn find(&self, name: &[u8]) -> Option<(usize, &WorkerConfig)> {
        self.workers.iter().enumerate().find(|(_, worker)| worker.name().as_bytes() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_rules() {
        assert_eq!(WorkerName::new(b"a.b").unwrap().to_string(), "a.b");
        assert_eq!(WorkerName::new(b""), Err(WorkerNameError::Empty));
        assert!(WorkerName::new(&[b'x'; 63]).is_ok());
        assert_eq!(WorkerName::new(&[b'x'; 64]), Err(WorkerNameError::TooLong(64)));
        assert_eq!(WorkerName::new(b"a,b"), Err(WorkerNameError::Separator));
        assert_eq!(format!("{:?}", WorkerName::new(b"a\n").unwrap()), "a\\n");
    }

    #[test]
    fn packet_sizes_are_rounded_up_and_clamped() {
        for (asked, size) in [
            (i32::MIN, 8192),
            (0, 8192),
            (8192, 8192),
            (8193, 9216),
            (65000, 65536),
            (65536, 65536),
            (i32::MAX, 65536),
        ] {
            assert_eq!(PacketSize::rounded(asked).bytes(), size, "{asked}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new(b"s3cret")), "Secret(redacted)");
    }

    #[test]
    fn targets_are_shown_as_addresses() {
        let tcp = |host: &str| Target::Tcp { host: host.to_string(), port: 8009 }.to_string();
        assert_eq!(tcp("ivy"), "ivy:8009");
        assert_eq!(tcp("::1"), "[::1]:8009");
    }
}
