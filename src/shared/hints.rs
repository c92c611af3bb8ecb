//! Hints about an engine's settings: over all processes, each at most once a minute.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

/// Seconds between two hints of a kind.
const QUIET: u32 = 60;

/// Most seconds between two moments that belong together.
const TOGETHER: u32 = 600;

/// Moments at which the engine had closed idle connections that make it a habit. One is a restart.
const HABIT: u32 = 3;

/// What a hint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The engine refuses the secret.
    Secret,
    /// Its packets are smaller.
    PacketSize,
    /// It refuses a request attribute.
    Attribute,
    /// It closes idle connections before we do.
    Stale,
    /// What the resolver says of its name.
    Resolver,
}

/// Hints about one engine. Small, as there is one of each member of a balancer.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Hints {
    /// When each kind was given last, the lower half of the seconds since 1970; zero: never.
    given: [AtomicU32; 5],
    /// When an idle connection was found closed last, as above without its two highest bits; in the two
    /// lowest bits, at how many moments that happened, one soon after the other, up to [`HABIT`].
    stale: AtomicU32,
}

impl Hints {
    /// Whether it is time for this hint; then nobody gives it for a minute. `now`: seconds since
    /// 1970.
    pub fn is_due(&self, hint: Hint, now: u64) -> bool {
        let [secret, packet_size, attribute, stale, resolver] = &self.given;
        let given = match hint {
            Hint::Secret => secret,
            Hint::PacketSize => packet_size,
            Hint::Attribute => attribute,
            Hint::Stale => stale,
            Hint::Resolver => resolver,
        };
        let now = low(now);
        let last = given.load(Ordering::Relaxed);
        let is_over = last == 0 || last > now || now.saturating_sub(last) >= QUIET;
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        is_over && given.compare_exchange(last, now.max(1), set, seen).is_ok()
    }

    /// Counts an idle connection that a request found closed. Returns whether the engine makes it a
    /// habit: all that are found within a second may have ended with one engine. `now`: seconds since
    /// 1970.
    pub fn is_habit(&self, now: u64) -> bool {
        let now = low(now) & (u32::MAX >> 2);
        let next = |found: u32| {
            let (last, moments) = (found >> 2, found & 3);
            let is_soon = last <= now && now.saturating_sub(last) <= TOGETHER;
            let moments = match (last == now, is_soon) {
                (true, _) => moments,
                (_, true) => moments.saturating_add(1).min(HABIT),
                _ => 1,
            };
            Some(now << 2 | moments)
        };
        let _ = self.stale.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        self.stale.load(Ordering::Relaxed) & 3 == HABIT
    }

    /// Takes over what another record says of the same engine.
    pub fn carry(&self, from: &Self) {
        let Self { given, stale } = from;
        let own = self.given.iter().chain([&self.stale]);
        for (from, to) in given.iter().chain([stale]).zip(own) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}

fn low(seconds: u64) -> u32 {
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_given_once_a_minute() {
        let hints = Hints::default();
        assert!(hints.is_due(Hint::Secret, 1000));
        assert!((1000..1060).all(|now| !hints.is_due(Hint::Secret, now)));
        assert!(hints.is_due(Hint::Stale, 1001), "another kind is another matter");
        assert!(hints.is_due(Hint::Secret, 1060));
        // A clock that was set back does not silence it.
        assert!(hints.is_due(Hint::Secret, 10));
        let next = Hints::default();
        next.carry(&hints);
        assert!(!next.is_due(Hint::Secret, 11) && next.is_due(Hint::Resolver, 11));
    }

    #[test]
    fn one_restart_is_no_habit() {
        let hints = Hints::default();
        assert!((0..50).all(|_| !hints.is_habit(1000)), "a pool that ended with its engine");
        assert!(!hints.is_habit(1300) && !hints.is_habit(1300));
        assert!(hints.is_habit(1900));
        assert!(!hints.is_habit(2501), "long after");
    }
}
