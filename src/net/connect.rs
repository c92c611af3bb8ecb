//! Connecting: names, several addresses, Unix sockets, socket options.
#![forbid(unsafe_code)]

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Mutex, PoisonError};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use thiserror::Error;

use super::Stream;
use crate::config::{ConnectOptions, Target};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The host name cannot be resolved.
    #[error("{host} cannot be resolved: {source}")]
    Resolve {
        /// The configured host.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No address accepted a connection; the message names each with its error.
    #[error("{attempts}")]
    Connect {
        /// One `address: error` per attempt, separated by `, `.
        attempts: String,
        /// The last error.
        source: io::Error,
    },
}

impl ConnectError {
    /// Name of the log event, stable (spec/reliability.md 5.1).
    pub fn event(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve_failed",
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::ConnectionRefused => "connect_refused",
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "connect_timeout",
                _ if is_out_of_descriptors(source) => "no_fd",
                _ => "connect_failed",
            },
        }
    }
}

#[cfg(unix)]
fn is_out_of_descriptors(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(not(unix))]
fn is_out_of_descriptors(_: &io::Error) -> bool {
    false
}

/// Opens connections to one worker's engine.
#[derive(Debug)]
pub struct Connector<'c> {
    /// Where the engine listens.
    pub target: &'c Target,
    /// How to connect.
    pub options: &'c ConnectOptions,
    /// The address that took the last connection.
    pub known: &'c KnownAddress,
}

/// Which of a name's addresses took the last connection, so that one that does not is not tried
/// before it again and again.
#[derive(Debug, Default)]
pub struct KnownAddress(Mutex<Option<SocketAddr>>);

impl KnownAddress {
    fn last(&self) -> Option<SocketAddr> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, address: SocketAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }
}

/// The addresses of a host, in the resolver's order.
///
/// # Errors
/// What the resolver says.
pub fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

impl Connector<'_> {
    /// Connects. A name with several addresses is tried address by address, each with the whole
    /// `socket_connect_timeout`.
    ///
    /// Returns the stream and, where not the first address took the connection, the failed ones.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(&self) -> Result<(Stream, Option<String>), ConnectError> {
        match self.target {
            Target::Tcp { host, port } => self.connect_tcp(host, *port),
            #[cfg(unix)]
            Target::Unix(path) => {
                let address = SockAddr::unix(path);
                let attempt = address.and_then(|address| self.open(Domain::UNIX, &address));
                attempt.map(|stream| (stream, None)).map_err(|source| ConnectError::Connect {
                    attempts: format!("{}: {source}", path.display()),
                    source,
                })
            }
        }
    }

    fn connect_tcp(&self, host: &str, port: u16) -> Result<(Stream, Option<String>), ConnectError> {
        let addresses = resolve(host, port)
            .map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
        self.connect_any(host, addresses)
    }

    fn connect_any(
        &self,
        host: &str,
        mut addresses: Vec<SocketAddr>,
    ) -> Result<(Stream, Option<String>), ConnectError> {
        if self.options.prefer_ipv6 {
            addresses.sort_by_key(SocketAddr::is_ipv4);
        }
        let known = self.known.last();
        addresses.sort_by_key(|address| Some(*address) != known);
        let mut attempts = String::new();
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match self.open(Domain::for_address(address), &address.into()) {
                Ok(stream) => {
                    if Some(address) != known {
                        self.known.remember(address);
                    }
                    return Ok((stream, Some(attempts).filter(|failed| !failed.is_empty())));
                }
                Err(e) => {
                    let separator = if attempts.is_empty() { "" } else { ", " };
                    attempts.push_str(&format!("{separator}{address}: {e}"));
                    last = e;
                }
            }
        }
        if attempts.is_empty() {
            attempts = format!("{host} has no address");
        }
        Err(ConnectError::Connect { attempts, source: last })
    }

    fn open(&self, domain: Domain, address: &SockAddr) -> io::Result<Stream> {
        let is_tcp = domain != Domain::UNIX;
        let socket = Socket::new(domain, Type::STREAM, is_tcp.then_some(Protocol::TCP))?;
        if is_tcp {
            socket.set_tcp_nodelay(true)?;
            socket.set_keepalive(self.options.keepalive)?;
        }
        if let Some(bytes) = self.options.buffer {
            socket.set_send_buffer_size(bytes)?;
            socket.set_recv_buffer_size(bytes)?;
        }
        match self.options.socket_connect_timeout {
            Some(timeout) if is_tcp => socket.connect_timeout(address, timeout)?,
            Some(timeout) => {
                // A Unix socket whose backlog is full makes a non-blocking connect fail at once.
                socket.set_write_timeout(Some(timeout))?;
                socket.connect(address)?;
                socket.set_write_timeout(None)?;
            }
            None => socket.connect(address)?,
        }
        Ok(Stream::new(socket))
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    const OPTIONS: ConnectOptions = ConnectOptions {
        socket_connect_timeout: Some(Duration::from_secs(10)),
        keepalive: true,
        buffer: Some(16384),
        prefer_ipv6: false,
        source: None,
        dns_ttl: Duration::from_secs(60),
    };

    fn connector<'c>(target: &'c Target, known: &'c KnownAddress) -> Connector<'c> {
        Connector { target, options: &OPTIONS, known }
    }

    #[test]
    fn addresses_are_tried_in_turn_and_the_one_that_worked_first() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listening.local_addr().unwrap();
        let bad = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let (target, known) =
            (Target::Tcp { host: "name".into(), port: 1 }, KnownAddress::default());
        let connector = connector(&target, &known);
        let (_, failed) = connector.connect_any("name", vec![bad, good]).unwrap();
        assert!(failed.unwrap().starts_with(&bad.to_string()));
        let (_, failed) = connector.connect_any("name", vec![bad, good]).unwrap();
        assert_eq!(failed, None);
        drop(listening);
        let error = connector.connect_any("name", vec![bad, good]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&bad.to_string()) && text.contains(&good.to_string()), "{text}");
        assert_eq!(error.event(), "connect_refused");
        let error = connector.connect_any("name", vec![]).unwrap_err();
        assert_eq!(error.to_string(), "name has no address");
    }

    #[test]
    fn a_name_without_address_is_its_own_error() {
        let target = Target::Tcp { host: "no.such.host.invalid".into(), port: 1 };
        let error = connector(&target, &KnownAddress::default()).connect().unwrap_err();
        assert_eq!(error.event(), "resolve_failed");
    }
}
