//! Connecting: names, several addresses, Unix sockets, socket options.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use thiserror::Error;

use super::Names;
use super::Stream;
use super::addresses::Resolver;
use crate::config::{ConnectOptions, Target};

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The configuration names no place to connect to; the message says why.
    #[error("the engine is never contacted: {0}")]
    Never(String),
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
            Self::Never(_) => "never_contacted",
            Self::Resolve { .. } => "resolve_failed",
            Self::Connect { source, .. } => match source.kind() {
                ErrorKind::ConnectionRefused => "connect_refused",
                ErrorKind::TimedOut | ErrorKind::WouldBlock => "connect_timeout",
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
    /// What is known of the names in both.
    pub names: &'c Names,
}

/// Something worth a line that did not keep a connection from being opened.
#[derive(Debug, Error)]
pub enum Notice {
    /// Some addresses do not answer, another one did.
    #[error("connected after other addresses failed: {0}")]
    Fallback(String),
    /// The host has moved.
    #[error("the known addresses of {host} failed ({attempts}); it has other ones now")]
    Moved {
        /// The configured host.
        host: String,
        /// One `address: error` per attempt, separated by `, `.
        attempts: String,
    },
    /// The name of the host could not be resolved again.
    #[error("{host} cannot be resolved any more: {error}; its addresses from before are used")]
    Outdated {
        /// The configured host.
        host: String,
        /// What the resolver says.
        error: io::Error,
    },
    /// `source` cannot be resolved. Comes once.
    #[error(
        "source {source_name} cannot be resolved: {error}; the system chooses the local address"
    )]
    NoSource {
        /// The configured `source`.
        source_name: String,
        /// What the resolver says.
        error: io::Error,
    },
}

impl Notice {
    /// Name of the log event, stable.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Fallback(_) => "connect_fallback",
            Self::Moved { .. } => "host_moved",
            Self::Outdated { .. } => "host_outdated",
            Self::NoSource { .. } => "source_unresolved",
        }
    }
}

/// Addresses that failed, with their errors.
#[derive(Default)]
struct Attempts {
    text: String,
    tried: Vec<SocketAddr>,
    last: Option<io::Error>,
}

impl Attempts {
    fn failed(&mut self, address: SocketAddr, error: io::Error) {
        let separator = if self.text.is_empty() { "" } else { ", " };
        self.text.push_str(&format!("{separator}{address}: {error}"));
        self.tried.push(address);
        self.last = Some(error);
    }
}

impl Connector<'_> {
    /// Connects. A name with several addresses is tried address by address, the one that took the
    /// last connection first, each with the whole `socket_connect_timeout`. Where all of them fail
    /// the name is resolved again and new addresses are tried as well. Otherwise the resolver is
    /// asked only for a name of which nothing is known.
    ///
    /// `tell` gets what the log should know beside the result.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub fn connect(&self, tell: &mut dyn FnMut(&Notice)) -> Result<Stream, ConnectError> {
        self.connect_by(&Resolver::SYSTEM, tell)
    }

    fn connect_by(
        &self,
        resolver: &Resolver<'_>,
        tell: &mut dyn FnMut(&Notice),
    ) -> Result<Stream, ConnectError> {
        match self.target {
            Target::Tcp { host, port } => match host.parse::<IpAddr>() {
                Ok(ip) => {
                    let sources = self.sources(resolver, tell);
                    let mut attempts = Attempts::default();
                    let addresses = vec![SocketAddr::new(ip, *port)];
                    self.try_all(addresses, &sources, &mut attempts).ok_or_else(|| failed(attempts))
                }
                Err(_) => self.connect_name(host, *port, resolver, tell),
            },
            Target::Never { why, .. } => Err(ConnectError::Never(why.clone())),
            #[cfg(unix)]
            Target::Unix(path) => {
                let address = SockAddr::unix(path);
                let attempt = address.and_then(|address| self.open(Domain::UNIX, &address, None));
                attempt.map_err(|source| ConnectError::Connect {
                    attempts: format!("{}: {source}", path.display()),
                    source,
                })
            }
        }
    }

    fn connect_name(
        &self,
        host: &str,
        port: u16,
        resolver: &Resolver<'_>,
        tell: &mut dyn FnMut(&Notice),
    ) -> Result<Stream, ConnectError> {
        let with_port = |mut list: Vec<SocketAddr>| {
            list.iter_mut().for_each(|address| address.set_port(port));
            list
        };
        let known = &self.names.host;
        let found = known
            .find(host, resolver)
            .map_err(|source| ConnectError::Resolve { host: host.to_owned(), source })?;
        let sources = self.sources(resolver, tell);
        let mut attempts = Attempts::default();
        if let Some(stream) = self.try_all(with_port(found), &sources, &mut attempts) {
            if !attempts.text.is_empty() {
                tell(&Notice::Fallback(attempts.text));
            }
            return Ok(stream);
        }
        let renewed = match known.renew(host, Duration::ZERO, resolver) {
            // Another thread may have asked meanwhile.
            None => known.find(host, resolver).unwrap_or_default(),
            Some(Ok(list)) => list,
            Some(Err(error)) => {
                tell(&Notice::Outdated { host: host.to_owned(), error });
                Vec::new()
            }
        };
        let mut unknown = with_port(renewed);
        unknown.retain(|address| !attempts.tried.contains(address));
        if unknown.is_empty() {
            return Err(failed(attempts));
        }
        tell(&Notice::Moved { host: host.to_owned(), attempts: attempts.text.clone() });
        self.try_all(unknown, &sources, &mut attempts).ok_or_else(|| failed(attempts))
    }

    /// The local addresses to connect from; none where the system chooses.
    fn sources(&self, resolver: &Resolver<'_>, tell: &mut dyn FnMut(&Notice)) -> Vec<SocketAddr> {
        let Some(source) = &self.options.source else {
            return Vec::new();
        };
        if let Ok(ip) = source.parse::<IpAddr>() {
            return vec![SocketAddr::new(ip, 0)];
        }
        let known = &self.names.source;
        // A request can do without, so that it does not wait for the resolver a second time.
        let found = known.failure().map_or_else(|| known.find(source, resolver), Err);
        found.unwrap_or_else(|error| {
            if !self.names.source_was_told.swap(true, Ordering::Relaxed) {
                tell(&Notice::NoSource { source_name: source.clone(), error });
            }
            Vec::new()
        })
    }

    /// Asks again for the names whose addresses are older than `dns_ttl`. Takes as long as the
    /// resolver does, so this is not for a thread that serves a request.
    ///
    /// `tell` gets what the log should know.
    pub fn renew_names(&self, tell: &mut dyn FnMut(&Notice)) {
        self.renew_names_by(&Resolver::SYSTEM, tell);
    }

    fn renew_names_by(&self, resolver: &Resolver<'_>, tell: &mut dyn FnMut(&Notice)) {
        let Target::Tcp { host, .. } = self.target else {
            return;
        };
        let names =
            [(Some(host), &self.names.host), (self.options.source.as_ref(), &self.names.source)];
        for (name, known) in names {
            let Some(name) = name.filter(|name| name.parse::<IpAddr>().is_err()) else {
                continue;
            };
            let renewed = known.renew(name, self.options.dns_ttl, resolver);
            // Where nothing is known the requests say so.
            if let (Some(Err(error)), true) = (renewed, known.is_known()) {
                tell(&Notice::Outdated { host: name.clone(), error });
            }
        }
    }

    fn try_all(
        &self,
        mut addresses: Vec<SocketAddr>,
        sources: &[SocketAddr],
        attempts: &mut Attempts,
    ) -> Option<Stream> {
        if self.options.prefer_ipv6 {
            addresses.sort_by_key(SocketAddr::is_ipv4);
        }
        let last = *self.names.last();
        addresses.sort_by_key(|address| Some(*address) != last);
        for address in addresses {
            match self.open_from(address, sources) {
                Ok(stream) => {
                    if Some(address) != last {
                        *self.names.last() = Some(address);
                    }
                    return Some(stream);
                }
                Err(e) => attempts.failed(address, e),
            }
        }
        None
    }

    fn open_from(&self, address: SocketAddr, sources: &[SocketAddr]) -> io::Result<Stream> {
        let source = sources.iter().find(|source| source.is_ipv4() == address.is_ipv4());
        if source.is_none() && !sources.is_empty() {
            // To connect from elsewhere could pass a firewall that `source` is there for.
            let text = "source has no address of this family";
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, text));
        }
        self.open(Domain::for_address(address), &address.into(), source.copied())
    }

    fn open(
        &self,
        domain: Domain,
        address: &SockAddr,
        source: Option<SocketAddr>,
    ) -> io::Result<Stream> {
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
        if let Some(source) = source {
            let failed = |e: io::Error| {
                io::Error::new(e.kind(), format!("source {} cannot be used: {e}", source.ip()))
            };
            socket.bind(&source.into()).map_err(failed)?;
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

fn failed(attempts: Attempts) -> ConnectError {
    let source = attempts.last.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into());
    ConnectError::Connect { attempts: attempts.text, source }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
