//! The last changes of members' states, over all processes: what a status page tells of the past.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::State;

/// Changes that are kept.
const KEPT: usize = 64;

/// Bits of a change's parts within its number; the time has the rest.
const MEMBER: u32 = 20;
const STATE: u32 = 3;
const CAUSE: u32 = 5;

/// Why a state changed, each at the place of its number.
pub const CAUSES: [&str; 15] = [
    "",
    "time",
    "nobody else is left",
    "a request went well",
    "it was the client that failed",
    "it answered, with a status of fail_on_status",
    "it answered with a status of fail_on_status",
    "too many reply timeouts",
    "it sent something that is not AJP13",
    "all connections of a process are in use",
    "it serves busy_limit requests",
    "it cannot be reached, or it broke off",
    "an administrator wants it tried",
    "its engine answers a ping",
    "its engine answers no ping",
];

/// One change of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When, seconds since 1970.
    pub time: u64,
    /// Position of the member's record.
    pub member: usize,
    /// What it was.
    pub from: State,
    /// What it became.
    pub to: State,
    /// One of [`CAUSES`]; empty where it is none of them.
    pub cause: &'static str,
}

/// The last changes, in a ring. A change is one number, so that nobody can see a part of it.
#[derive(Debug)]
#[repr(C)]
pub struct Journal {
    /// Changes ever written.
    written: AtomicU64,
    changes: [AtomicU64; KEPT],
}

impl Default for Journal {
    fn default() -> Self {
        Self { written: AtomicU64::default(), changes: [const { AtomicU64::new(0) }; KEPT] }
    }
}

impl Journal {
    /// Writes a change down. `cause`: one of [`CAUSES`], anything else is not kept.
    pub fn write(&self, time: u64, member: usize, from: State, to: State, cause: &str) {
        let cause = CAUSES.iter().position(|known| *known == cause).unwrap_or_default();
        let fit = |number: usize, bits: u32| {
            u64::try_from(number).ok().filter(|number| number.checked_shr(bits) == Some(0))
        };
        let (Some(member), Some(cause)) = (fit(member, MEMBER), fit(cause, CAUSE)) else { return };
        let parts = [(member, MEMBER), (from as u64, STATE), (to as u64, STATE), (cause, CAUSE)];
        let number = parts.iter().fold(time, |all, (part, bits)| all << bits | part);
        let turn = self.written.fetch_add(1, Ordering::Relaxed);
        let place = usize::try_from(turn).unwrap_or_default() % KEPT;
        if let Some(entry) = self.changes.get(place) {
            entry.store(number, Ordering::Relaxed);
        }
    }

    /// The changes that are kept, the last one first.
    pub fn changes(&self) -> Vec<Change> {
        let numbers = self.changes.iter().map(|entry| entry.load(Ordering::Relaxed));
        let written = self.written.load(Ordering::Relaxed);
        let next = usize::try_from(written).unwrap_or_default() % KEPT;
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.rotate_left(next);
        numbers.iter().rev().filter(|number| **number != 0).map(|number| change(*number)).collect()
    }
}

fn change(mut number: u64) -> Change {
    let mut part = |bits: u32| {
        let part = number & !(u64::MAX << bits);
        number >>= bits;
        part
    };
    let place = |part: u64| usize::try_from(part).unwrap_or_default();
    let state = |part: u64| State::from_number(u32::try_from(part).unwrap_or_default());
    let cause = CAUSES.get(place(part(CAUSE))).copied().unwrap_or_default();
    let to = state(part(STATE));
    let from = state(part(STATE));
    let member = place(part(MEMBER));
    Change { time: number, member, from, to, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_changes_are_kept_and_the_last_one_is_first() {
        let journal = Journal::default();
        assert_eq!(journal.changes(), []);
        for time in 1..=100 {
            journal.write(1_800_000_000 + time, 7, State::Ok, State::Error, "time");
        }
        let changes = journal.changes();
        assert_eq!(changes.len(), KEPT);
        let expected = Change {
            time: 1_800_000_100,
            member: 7,
            from: State::Ok,
            to: State::Error,
            cause: "time",
        };
        assert_eq!(changes.first(), Some(&expected));
        assert_eq!(changes.last().map(|change| change.time), Some(1_800_000_037));
    }

    #[test]
    fn everything_fits() {
        let journal = Journal::default();
        for (at, cause) in CAUSES.iter().enumerate() {
            let member = (1 << MEMBER) - 1 - at;
            journal.write(u64::from(u32::MAX), member, State::Probe, State::Busy, cause);
            let change = journal.changes()[0];
            assert_eq!((change.time, change.member), (u64::from(u32::MAX), member));
            assert_eq!((change.from, change.to), (State::Probe, State::Busy));
            assert_eq!(change.cause, *cause);
        }
        journal.write(1, 1 << MEMBER, State::Ok, State::Error, "time");
        journal.write(1, 1, State::Ok, State::Error, "something else");
        assert_eq!(journal.changes().len(), CAUSES.len() + 1);
        assert_eq!(journal.changes()[0].cause, "");
    }
}
