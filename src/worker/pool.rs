//! Connections of one worker in one process (spec/mod_jk.md 5.1).
//!
//! A request holds a *slot*; slots and idle connections together never exceed the pool size, so
//! neither do the connections at the engine. The idle connection that was used last is taken
//! first: it is the likeliest to be alive, and the others grow old enough to be closed.
//!
//! A slot that becomes free while requests wait is handed to the one that has waited longest: a
//! request that comes later cannot take it away.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::endpoint::Connection;
use crate::net::{Deadline, IdleState};

/// Longest wait for a slot that a ping of an idle connection holds. The ping gives way within a
/// fraction of it, so that no request is refused for the sake of maintenance.
const PING_GIVES_WAY: Duration = Duration::from_secs(2);

/// The pool of one worker.
#[derive(Debug)]
pub struct Pool {
    size: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The one that was used last stands last.
    idle: Vec<Connection>,
    /// Slots that are taken or handed over.
    slots: usize,
    /// Slots that pings hold.
    pings: usize,
    /// Requests that wait for a slot, in their order. Who is taken out has one.
    queue: VecDeque<Waiting>,
    /// Requests that have ever waited.
    waited: u64,
    opened: u64,
}

#[derive(Debug)]
struct Waiting {
    ticket: u64,
    thread: Thread,
}

/// The right to one connection. Dropping it gives a connection back that was not taken out.
#[derive(Debug)]
pub struct Slot<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    is_ping: bool,
}

impl Pool {
    /// An empty pool of at most `size` connections; of 0 there is never a slot.
    pub fn new(size: usize) -> Self {
        Self { size, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot, with an idle connection if there is one; waits at most `timeout` for it.
    /// `None` where all stayed busy.
    pub fn acquire(&self, timeout: Duration) -> Option<Slot<'_>> {
        if self.size == 0 {
            return None;
        }
        let mut state = self.state();
        if state.slots < self.size {
            state.slots = state.slots.saturating_add(1);
        } else {
            state = self.wait(state, timeout)?;
        }
        let connection = state.idle.pop();
        Some(Slot { pool: self, connection, is_ping: false })
    }

    /// Waits until a slot is handed over.
    fn wait<'p>(
        &'p self,
        mut state: MutexGuard<'p, State>,
        timeout: Duration,
    ) -> Option<MutexGuard<'p, State>> {
        let ticket = state.waited;
        state.waited = state.waited.wrapping_add(1);
        let gets_place_of_ping = state.queue.len() < state.pings;
        let timeout = if gets_place_of_ping { timeout.max(PING_GIVES_WAY) } else { timeout };
        state.queue.push_back(Waiting { ticket, thread: thread::current() });
        let deadline = Deadline::after(timeout);
        while let Some(place) = state.queue.iter().position(|waiting| waiting.ticket == ticket) {
            let Some(left) = deadline.remaining() else {
                state.queue.remove(place);
                return None;
            };
            drop(state);
            thread::park_timeout(left);
            state = self.state();
        }
        Some(state)
    }

    /// Number of idle connections.
    pub fn idle(&self) -> usize {
        self.state().idle.len()
    }

    /// Closes all idle connections.
    pub(super) fn close_idle(&self) {
        let idle = mem::take(&mut self.state().idle);
        // Not while others wait for the lock.
        drop(idle);
    }

    /// Whether a slot is free.
    pub(super) fn has_slot(&self) -> bool {
        self.state().slots < self.size
    }

    /// Whether a request waits for a slot.
    pub(super) fn is_wanted(&self) -> bool {
        !self.state().queue.is_empty()
    }

    /// Takes out the idle connections that the engine has closed or has sent something on. A look
    /// at one is a system call that does not wait, so the lock may be held meanwhile.
    pub(super) fn take_unusable(&self) -> Vec<(Connection, IdleState)> {
        let mut unusable = Vec::new();
        let mut state = self.state();
        for connection in mem::take(&mut state.idle) {
            match connection.idle_state() {
                IdleState::Quiet => state.idle.push(connection),
                found => unusable.push((connection, found)),
            }
        }
        unusable
    }

    /// Takes out the connections that have been idle for longer than `limit`, oldest first, as
    /// long as more than `keep` connections are open.
    pub(super) fn take_expired(
        &self,
        now: Instant,
        limit: Duration,
        keep: usize,
    ) -> Vec<Connection> {
        let mut state = self.state();
        let excess = state.slots.saturating_add(state.idle.len()).saturating_sub(keep);
        let is_expired = |connection: &&Connection| connection.idle_time(now) > limit;
        let expired = state.idle.iter().take(excess).take_while(is_expired).count();
        state.idle.drain(..expired).collect()
    }

    /// Takes a slot with the oldest connection that nobody has looked at for longer than
    /// `interval`, to ping it.
    pub(super) fn take_unchecked(&self, now: Instant, interval: Duration) -> Option<Slot<'_>> {
        let mut state = self.state();
        if state.slots >= self.size {
            return None;
        }
        let is_due = |idle: &Connection| now.saturating_duration_since(idle.checked_at) > interval;
        let at = state.idle.iter().position(is_due)?;
        let connection = Some(state.idle.remove(at));
        state.slots = state.slots.saturating_add(1);
        state.pings = state.pings.saturating_add(1);
        Some(Slot { pool: self, connection, is_ping: true })
    }
}

impl Slot<'_> {
    /// Takes the connection out, or the next idle one of the pool where this slot has none.
    pub(super) fn take(&mut self) -> Option<Connection> {
        self.connection.take().or_else(|| self.pool.state().idle.pop())
    }

    /// Closes the connection of this slot, where it has one.
    pub(super) fn discard(&mut self) {
        self.connection = None;
    }

    /// Number of the next connection that is opened, from 1, for the log.
    pub(super) fn next_id(&self) -> u64 {
        let mut state = self.pool.state();
        state.opened = state.opened.saturating_add(1);
        state.opened
    }

    /// Gives a connection whose request has ended well back for the next one, and the slot.
    pub(super) fn release(mut self, mut connection: Connection, now: Instant) {
        connection.idle_since = now;
        connection.checked_at = now;
        self.connection = Some(connection);
    }

    /// Gives a connection that was only looked at back, and the slot.
    pub(super) fn put_back(mut self, mut connection: Connection, now: Instant) {
        connection.checked_at = now;
        self.connection = Some(connection);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if let Some(connection) = self.connection.take() {
            // A pinged connection goes back to where it was.
            let older = |idle: &Connection| idle.idle_since <= connection.idle_since;
            let at = state.idle.partition_point(older);
            state.idle.insert(at, connection);
        }
        if self.is_ping {
            state.pings = state.pings.saturating_sub(1);
        }
        if let Some(next) = state.queue.pop_front() {
            drop(state);
            next.thread.unpark();
        } else {
            state.slots = state.slots.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_limited_and_come_back_on_drop() {
        let pool = Pool::new(2);
        let a = pool.acquire(Duration::ZERO).unwrap();
        let _b = pool.acquire(Duration::ZERO).unwrap();
        assert!(pool.acquire(Duration::ZERO).is_none());
        drop(a);
        assert!(pool.acquire(Duration::ZERO).is_some());
    }

    #[test]
    fn a_pool_of_nothing_refuses_without_waiting() {
        assert!(Pool::new(0).acquire(Duration::MAX).is_none());
    }

    #[test]
    fn a_waiting_request_gets_the_slot_that_becomes_free() {
        let pool = Pool::new(1);
        let held = pool.acquire(Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.acquire(Duration::from_secs(20)));
            while !pool.is_wanted() {
                thread::yield_now();
            }
            drop(held);
            // Whether it has woken up already or not, the slot is not to be had.
            assert!(pool.acquire(Duration::ZERO).is_none());
            assert!(waiter.join().unwrap().is_some());
        });
        assert!(pool.acquire(Duration::ZERO).is_some());
    }

    #[test]
    fn every_one_of_many_waiting_requests_has_its_turn() {
        let pool = Pool::new(2);
        thread::scope(|scope| {
            let turn = || (0..200).all(|_| pool.acquire(Duration::from_secs(20)).is_some());
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(turn)).collect();
            assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
        });
        let state = pool.state();
        assert_eq!((state.slots, state.queue.len()), (0, 0));
    }
}
