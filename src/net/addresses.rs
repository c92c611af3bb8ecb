//! Addresses of a name: one thread at a time asks the resolver, the others do without (issue 3).
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two questions for a name: an engine that is down must not make every
/// request ask the resolver.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Longest wait, from the question on, for an answer that another thread waits for. A resolver that
/// is away must not hold up all threads of httpd.
const PATIENCE: Duration = Duration::from_secs(1);

/// The clock and the resolver; a test has its own.
pub(super) struct Resolver<'r> {
    pub now: &'r dyn Fn() -> Instant,
    /// The addresses of a name, with port 0.
    pub resolve: &'r dyn Fn(&str) -> io::Result<Vec<SocketAddr>>,
}

impl Resolver<'_> {
    /// Those of the system.
    pub(super) const SYSTEM: Resolver<'static> = Resolver {
        now: &Instant::now,
        resolve: &|name| (name, 0).to_socket_addrs().map(Iterator::collect),
    };
}

/// What a process knows of one name. No lock is held while the resolver works.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    known: Mutex<Known>,
    /// The resolver has answered.
    answered: Condvar,
}

#[derive(Debug, Default)]
struct Known {
    /// In the resolver's order. Once known, there is always one: a failure takes nothing away.
    list: Vec<SocketAddr>,
    /// How the resolver failed, where nothing is known.
    failure: Option<(ErrorKind, String)>,
    /// When the resolver answered last, well or not.
    answered: Option<Instant>,
    /// How long it is left alone after that.
    pause: Duration,
    /// Since when a thread has been asking.
    asking: Option<Instant>,
}

impl Known {
    /// Whether a thread may go and ask, where what is known is older than `min_age`.
    fn may_ask(&self, now: Instant, min_age: Duration) -> bool {
        let is_over = |then| now.saturating_duration_since(then) >= min_age.max(self.pause);
        self.asking.is_none() && self.answered.is_none_or(is_over)
    }

    fn failure(&self) -> Option<io::Error> {
        self.failure.as_ref().map(|(kind, text)| io::Error::new(*kind, text.clone()))
    }
}

/// The one thread that asks. Its end, by a panic too, lets others ask.
struct Asking<'a>(&'a Addresses);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.known().asking = None;
        self.0.answered.notify_all();
    }
}

impl Addresses {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses that are known, however old, never none. Where there are none the resolver is
    /// asked, or its failure of a moment ago is told again.
    ///
    /// # Errors
    /// What the resolver says, or that it says nothing.
    pub(super) fn find(&self, name: &str, resolver: &Resolver<'_>) -> io::Result<Vec<SocketAddr>> {
        let mut known = self.known();
        loop {
            if !known.list.is_empty() {
                return Ok(known.list.clone());
            }
            let now = (resolver.now)();
            if known.may_ask(now, Duration::ZERO) {
                return self.ask(known, now, name, resolver);
            }
            if let Some(failure) = known.failure() {
                return Err(failure);
            }
            let waited = known.asking.map(|since| now.saturating_duration_since(since));
            let left = PATIENCE.saturating_sub(waited.unwrap_or_default());
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, "the resolver does not answer"));
            }
            let woken = self.answered.wait_timeout(known, left);
            known = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The addresses that are known, none where the resolver has given none yet.
    pub(super) fn list(&self) -> Vec<SocketAddr> {
        self.known().list.clone()
    }

    /// Asks the resolver again, unless somebody is at it or its last answer is younger than
    /// `min_age`; then `None`.
    pub(super) fn renew(
        &self,
        name: &str,
        min_age: Duration,
        resolver: &Resolver<'_>,
    ) -> Option<io::Result<Vec<SocketAddr>>> {
        let (known, now) = (self.known(), (resolver.now)());
        known.may_ask(now, min_age).then(|| self.ask(known, now, name, resolver))
    }

    fn ask(
        &self,
        mut known: MutexGuard<'_, Known>,
        begin: Instant,
        name: &str,
        resolver: &Resolver<'_>,
    ) -> io::Result<Vec<SocketAddr>> {
        known.asking = Some(begin);
        drop(known);
        let _asking = Asking(self);
        let answer = (resolver.resolve)(name).and_then(|list| match list.is_empty() {
            true => Err(io::Error::new(ErrorKind::NotFound, "it has no address")),
            false => Ok(list),
        });
        let end = (resolver.now)();
        let mut known = self.known();
        known.answered = Some(end);
        // A slow resolver is left alone for longer: it would hold up one request after the other.
        known.pause = ASK_AGAIN.max(end.saturating_duration_since(begin));
        match &answer {
            Ok(list) => {
                known.list.clone_from(list);
                known.failure = None;
            }
            Err(e) if known.list.is_empty() => known.failure = Some((e.kind(), e.to_string())),
            Err(_) => {}
        }
        answer
    }

    /// Why the name is unknown, where the resolver was asked in vain.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.known().failure()
    }

    /// Whether there are addresses.
    pub(super) fn is_known(&self) -> bool {
        !self.known().list.is_empty()
    }
}

#[cfg(test)]
#[path = "addresses_tests.rs"]
mod tests;
