//! Addresses of a host name, kept for a while (issue 3: `dns_ttl`).
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shortest time between two questions for a name whose addresses are of no use: an engine that is
/// down must not make every request ask the resolver.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What a process knows of one host name. No lock is held while the resolver works.
#[derive(Debug, Default)]
pub(super) struct Addresses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// In the resolver's order.
    list: Vec<SocketAddr>,
    /// When `list` was asked for; a thread that goes to ask sets it, so that others do not.
    asked: Option<Instant>,
    /// When the resolver failed although nothing is known, and how.
    failed: Option<(Instant, ErrorKind, String)>,
    /// The address that took the last connection.
    last: Option<SocketAddr>,
}

/// Where a host can be found.
#[derive(Debug)]
pub(super) struct Found {
    /// In the resolver's order, never empty.
    pub list: Vec<SocketAddr>,
    /// Whether the resolver was asked for this.
    pub is_new: bool,
    /// Why the resolver was asked in vain; `list` is what was known before.
    pub outdated: Option<io::Error>,
}

impl Addresses {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses that are known, where they are younger than `max_age`; else those that
    /// `resolve` gives, or the old ones if it fails.
    ///
    /// # Errors
    /// What `resolve` says, where nothing is known from before.
    pub(super) fn find(
        &self,
        now: Instant,
        max_age: Duration,
        resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>>,
    ) -> io::Result<Found> {
        let is_recent = |then: Instant, limit| now.saturating_duration_since(then) < limit;
        let before = {
            let mut known = self.known();
            match &known.failed {
                Some((then, kind, text)) if is_recent(*then, ASK_AGAIN) => {
                    return Err(io::Error::new(*kind, text.clone()));
                }
                _ => {}
            }
            if known.asked.is_some_and(|then| is_recent(then, max_age)) {
                return Ok(Found { list: known.list.clone(), is_new: false, outdated: None });
            }
            if !known.list.is_empty() {
                known.asked = Some(now);
            }
            known.list.clone()
        };
        let answer = resolve().and_then(|list| match list.is_empty() {
            true => Err(io::Error::new(ErrorKind::NotFound, "it has no address")),
            false => Ok(list),
        });
        match answer {
            Ok(list) => {
                let mut known = self.known();
                known.list.clone_from(&list);
                known.asked = Some(now);
                known.failed = None;
                Ok(Found { list, is_new: true, outdated: None })
            }
            Err(e) if before.is_empty() => {
                self.known().failed = Some((now, e.kind(), e.to_string()));
                Err(e)
            }
            Err(e) => Ok(Found { list: before, is_new: false, outdated: Some(e) }),
        }
    }

    /// Asks again for addresses that are of no use, unless somebody has just asked. `None` where
    /// nothing new was learnt.
    pub(super) fn renew(
        &self,
        now: Instant,
        resolve: impl FnOnce() -> io::Result<Vec<SocketAddr>>,
    ) -> Option<Vec<SocketAddr>> {
        let found = self.find(now, ASK_AGAIN, resolve).ok()?;
        found.is_new.then_some(found.list)
    }

    /// The address that took the last connection.
    pub(super) fn last(&self) -> Option<SocketAddr> {
        self.known().last
    }

    /// Notes which address took a connection.
    pub(super) fn remember(&self, address: SocketAddr) {
        self.known().last = Some(address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 8009))
    }

    fn fails() -> io::Result<Vec<SocketAddr>> {
        Err(io::Error::new(ErrorKind::TimedOut, "the resolver is away"))
    }

    fn must_not_ask() -> io::Result<Vec<SocketAddr>> {
        panic!("the resolver is asked")
    }

    #[test]
    fn a_name_is_resolved_once_until_its_time_is_over() {
        let (names, start) = (Addresses::default(), Instant::now());
        let first = names.find(start, TTL, || Ok(vec![address(1)])).unwrap();
        assert_eq!((first.list, first.is_new), (vec![address(1)], true));
        let just_before = start + TTL - Duration::from_millis(1);
        let second = names.find(just_before, TTL, must_not_ask).unwrap();
        assert_eq!((second.list, second.is_new), (vec![address(1)], false));
        let third = names.find(start + TTL, TTL, || Ok(vec![address(2)])).unwrap();
        assert_eq!((third.list, third.is_new), (vec![address(2)], true));
    }

    #[test]
    fn while_one_thread_asks_again_the_others_use_what_is_known() {
        let (names, start) = (Addresses::default(), Instant::now());
        names.find(start, TTL, || Ok(vec![address(1)])).unwrap();
        let later = start + TTL;
        let found = names.find(later, TTL, || {
            let other = names.find(later, TTL, must_not_ask).unwrap();
            assert_eq!(other.list, [address(1)]);
            Ok(vec![address(2)])
        });
        assert_eq!(found.unwrap().list, [address(2)]);
    }

    #[test]
    fn old_addresses_outlive_a_resolver_that_is_away() {
        let (names, start) = (Addresses::default(), Instant::now());
        names.find(start, TTL, || Ok(vec![address(1)])).unwrap();
        let found = names.find(start + TTL, TTL, fails).unwrap();
        assert_eq!(found.list, [address(1)]);
        assert_eq!(found.outdated.unwrap().to_string(), "the resolver is away");
        let again = names.find(start + TTL, TTL, must_not_ask).unwrap();
        assert!(again.outdated.is_none(), "one question and one line for all");
    }

    #[test]
    fn an_unknown_name_is_asked_for_once_a_second() {
        let (names, start) = (Addresses::default(), Instant::now());
        assert!(names.find(start, TTL, || Ok(vec![])).is_err());
        let error = names.find(start, TTL, must_not_ask).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::NotFound, "it has no address")
        );
        let found = names.find(start + ASK_AGAIN, TTL, || Ok(vec![address(1)])).unwrap();
        assert!(found.is_new);
        assert!(names.find(start + ASK_AGAIN, TTL, must_not_ask).is_ok());
    }

    #[test]
    fn useless_addresses_are_renewed_before_their_time_but_once_a_second() {
        let (names, start) = (Addresses::default(), Instant::now());
        names.find(start, TTL, || Ok(vec![address(1)])).unwrap();
        assert_eq!(names.renew(start, must_not_ask), None);
        let later = start + ASK_AGAIN;
        assert_eq!(names.renew(later, || Ok(vec![address(2)])), Some(vec![address(2)]));
        assert_eq!(names.renew(later, must_not_ask), None);
        assert_eq!(names.renew(later + ASK_AGAIN, fails), None);
        assert_eq!(names.find(later + ASK_AGAIN, TTL, must_not_ask).unwrap().list, [address(2)]);
    }
}
