//! One engine, over all processes.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::hints::Hints;
use super::inflight::Inflight;
use super::latency::Latency;
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
    /// Most requests that it was serving at a time.
    pub max_busy: AtomicU32,
    /// Requests that failed here.
    pub errors: AtomicU32,
    /// Requests that failed because of the client.
    pub client_errors: AtomicU32,
    /// Open connections of all processes.
    pub connected: AtomicU32,
    /// Most connections that were open at a time.
    pub max_connected: AtomicU32,
    /// Whether the last request failed here: zero or one.
    pub failing: AtomicU32,
    /// Attempts that followed another one of the same request here.
    pub retries: AtomicU64,
    /// All reply timeouts.
    pub all_reply_timeouts: AtomicU64,
    /// When a request failed here last, seconds since 1970; zero for never.
    pub error_time: AtomicU64,
    /// When the counters were reset last, seconds since 1970; zero: when they were created.
    pub last_reset: AtomicU64,
    /// How long requests took here.
    pub latency: Latency,
    /// Hints about its settings.
    pub hints: Hints,
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
        let now = before.saturating_add(1);
        raise(&self.max_busy, now);
        (Busy { count: &self.busy, _ticket: ticket }, now)
    }

    /// Counts an opened connection in.
    pub fn connect(&self) {
        let before = self.connected.fetch_add(1, Ordering::Relaxed);
        raise(&self.max_connected, before.saturating_add(1));
    }

    /// Counts closed connections out.
    pub fn disconnect(&self, count: u32) {
        // Never below zero, whatever a process that was killed has left behind.
        let less = |connected: u32| Some(connected.saturating_sub(count));
        let _ = self.connected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Sets all counters to zero, but for what is going on now; when a request failed last stays known.
    /// `now`: seconds since 1970.
    pub fn reset(&self, now: u64) {
        for counter in [
            &self.reply_timeouts,
            &self.max_busy,
            &self.errors,
            &self.client_errors,
            &self.max_connected,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        for counter in
            [&self.used, &self.read, &self.transferred, &self.retries, &self.all_reply_timeouts]
        {
            counter.store(0, Ordering::Relaxed);
        }
        self.latency.reset();
        self.last_reset.store(now, Ordering::Relaxed);
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
            max_busy,
            errors,
            client_errors,
            connected: _,
            max_connected,
            failing,
            retries,
            all_reply_timeouts,
            error_time,
            last_reset,
            latency,
            hints,
        } = from;
        for (from, to) in [
            (used, &self.used),
            (read, &self.read),
            (transferred, &self.transferred),
            (checked, &self.checked),
            (judged, &self.judged),
            (retries, &self.retries),
            (all_reply_timeouts, &self.all_reply_timeouts),
            (error_time, &self.error_time),
            (last_reset, &self.last_reset),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        for (from, to) in [
            (reply_timeouts, &self.reply_timeouts),
            (is_failing, &self.is_failing),
            (max_busy, &self.max_busy),
            (errors, &self.errors),
            (client_errors, &self.client_errors),
            (max_connected, &self.max_connected),
            (failing, &self.failing),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.latency.carry(latency);
        self.hints.carry(hints);
    }

    /// Whether no check that began later than this one has said something yet. From now on this one
    /// has. Both in seconds since 1970; after a clock was set back to `now` the order begins anew.
    pub fn is_newest_check(&self, begun: u64, now: u64) -> bool {
        let newest = |judged: u64| (judged <= begun || judged > now).then_some(begun);
        self.judged.fetch_update(Ordering::AcqRel, Ordering::Acquire, newest).is_ok()
    }
}

/// Makes a maximum at least `now`. It is written to only where it grows, which is seldom.
pub(super) fn raise(most: &AtomicU32, now: u32) {
    if now > most.load(Ordering::Relaxed) {
        most.fetch_max(now, Ordering::Relaxed);
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
        assert_eq!(state.max_busy.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_reset_leaves_what_is_going_on() {
        let state = WorkerState::default();
        let _busy = state.enter(None);
        state.connect();
        state.connect();
        state.disconnect(1);
        state.used.store(7, Ordering::Relaxed);
        state.reset(1234);
        let number = |counter: &AtomicU32| counter.load(Ordering::Relaxed);
        assert_eq!((number(&state.busy), number(&state.connected)), (1, 1));
        assert_eq!((number(&state.max_busy), number(&state.max_connected)), (0, 0));
        assert_eq!(state.used.load(Ordering::Relaxed), 0);
        assert_eq!(state.last_reset.load(Ordering::Relaxed), 1234);
        state.disconnect(5);
        assert_eq!(number(&state.connected), 0);
    }
}
