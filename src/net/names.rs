//! The names in a configuration: each is resolved once for all workers that have it (issue 3).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::addresses::{Addresses, Resolver};
use crate::config::{ConnectOptions, Target};

/// What is known of all names. The process that reads the configuration fills it; a child process
/// begins with that and goes on by itself.
#[derive(Debug, Default)]
pub struct NameCache(HashMap<String, Arc<Addresses>>);

impl NameCache {
    /// Resolves a name, unless that was tried before.
    ///
    /// # Errors
    /// What the resolver says, or said before.
    pub fn look_up(&mut self, name: &str) -> io::Result<()> {
        self.look_up_by(name, &Resolver::SYSTEM)
    }

    pub(super) fn look_up_by(&mut self, name: &str, resolver: &Resolver<'_>) -> io::Result<()> {
        match self.0.get(name) {
            Some(known) => known.failure().map_or(Ok(()), Err),
            None => {
                let known = self.0.entry(name.to_owned()).or_default();
                known.find(name, resolver).map(drop)
            }
        }
    }

    /// The addresses of a name that was looked up; none where that was in vain.
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let list = self.0.get(name).map(|known| known.list()).unwrap_or_default();
        list.iter().map(SocketAddr::ip).collect()
    }

    /// What is known of the names of a worker.
    pub fn names(&self, target: &Target, options: &ConnectOptions) -> Names {
        let known = |name: &String| self.0.get(name).map(Arc::clone).unwrap_or_default();
        let host = match target {
            Target::Tcp { host, .. } => known(host),
            Target::Never { .. } => Arc::default(),
            #[cfg(unix)]
            Target::Unix(_) => Arc::default(),
        };
        let source = options.source.as_ref().map(known).unwrap_or_default();
        Names { host, source, ..Names::default() }
    }
}

/// What a process knows of the names in one worker's configuration.
#[derive(Debug, Default)]
pub struct Names {
    pub(super) host: Arc<Addresses>,
    pub(super) source: Arc<Addresses>,
    /// Whether it was said that `source` is of no use.
    pub(super) source_was_told: AtomicBool,
    last: Mutex<Option<SocketAddr>>,
}

impl Names {
    /// Where connections to `port` go, as far as one knows: where the last one went, else where the
    /// next one is tried first.
    pub fn address(&self, port: u16, prefer_ipv6: bool) -> Option<SocketAddr> {
        let known = self.host.list();
        let preferred = known.iter().find(|address| address.is_ipv6() == prefer_ipv6);
        let first = || preferred.or(known.first()).copied();
        let mut address = (*self.last()).or_else(first)?;
        address.set_port(port);
        Some(address)
    }

    /// The address that took the last connection.
    pub(super) fn last(&self) -> MutexGuard<'_, Option<SocketAddr>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
