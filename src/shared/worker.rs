//! One engine, over all processes.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::inflight::Inflight;
use super::requests::Ticket;

/// Counters of one worker over all processes (spec/mod_jk.md 6.9).
#[derive(Debug, Default)]
#[repr(C)]
pub struct WorkerState {
    /// Requests that it was chosen for, each once however often it was tried.
    pub used: AtomicU64,
    /// Bytes received from the engine.
    pub read: AtomicU64,
    /// Bytes sent to the engine.
    pub transferred: AtomicU64,
    /// Requests that it is serving now.
    pub busy: AtomicU32,
    /// Reply timeouts; older ones count less and less where a balancer has the worker.
    pub reply_timeouts: AtomicU32,
    /// Requests that count for `max_inflight`.
    pub inflight: Inflight,
    /// When some process began its check last, seconds since 1970.
    pub checked: AtomicU64,
    /// When the check began that was the last one to say something, seconds since 1970.
    pub judged: AtomicU64,
    /// Whether the last check failed: 1, else 0.
    pub is_failing: AtomicU32,
}

/// One request in [`WorkerState::busy`]; dropping it takes the request out.
#[derive(Debug)]
pub struct Busy<'s> {
    count: &'s AtomicU32,
    /// Freed after the request was counted out.
    _ticket: Option<Ticket<'s>>,
}

impl WorkerState {
    /// Counts a request in. Returns how many there are now, this one included. `ticket`: what
    /// tells others about it, should this process be killed.
    pub fn enter<'s>(&'s self, ticket: Option<Ticket<'s>>) -> (Busy<'s>, u32) {
        let before = self.busy.fetch_add(1, Ordering::AcqRel);
        (Busy { count: &self.busy, _ticket: ticket }, before.saturating_add(1))
    }

    /// Takes over what another record says of the same engine, but for the requests that others are
    /// serving.
    pub fn carry(&self, from: &Self) {
        // A field that is forgotten here does not compile.
        let Self {
            used,
            read,
            transferred,
            busy: _,
            reply_timeouts,
            inflight: _,
            checked,
            judged,
            is_failing,
        } = from;
        for (from, to) in [
            (used, &self.used),
            (read, &self.read),
            (transferred, &self.transferred),
            (checked, &self.checked),
            (judged, &self.judged),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (from, to) in [(reply_timeouts, &self.reply_timeouts), (is_failing, &self.is_failing)] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Whether no check that began later than this one has said something yet. From now on this one
    /// has. Both in seconds since 1970; after a clock was set back to `now` the order begins anew.
    pub fn is_newest_check(&self, begun: u64, now: u64) -> bool {
        let newest = |judged: u64| (judged <= begun || judged > now).then_some(begun);
        self.judged.fetch_update(Ordering::AcqRel, Ordering::Acquire, newest).is_ok()
    }

    /// Begins anew, as an administrator wants it: all counters but that of running requests.
    pub fn reset(&self) {
        for counter in [&self.used, &self.read, &self.transferred] {
            counter.store(0, Ordering::Relaxed);
        }
        self.reply_timeouts.store(0, Ordering::Relaxed);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        // Never below zero, whatever a process that was killed has left behind.
        let less = |busy: u32| busy.checked_sub(1);
        let _ = self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_in_and_out() {
        let state = WorkerState::default();
        let (first, one) = state.enter(None);
        let (second, two) = state.enter(None);
        assert_eq!((one, two), (1, 2));
        drop(first);
        assert_eq!(state.busy.load(Ordering::Relaxed), 1);
        state.busy.store(0, Ordering::Relaxed);
        drop(second);
        assert_eq!(state.busy.load(Ordering::Relaxed), 0);
    }
}
