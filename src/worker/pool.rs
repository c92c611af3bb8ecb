//! Connections of one worker in one process (spec/mod_jk.md 5.1).
//!
//! A request holds a *slot*; slots and idle connections together never exceed the pool size, so
//! neither do the connections at the engine. The idle connection that was used last is taken
//! first: it is the likeliest to be alive, and the others grow old enough to be closed.
#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::endpoint::Connection;

/// The pool of one worker.
#[derive(Debug)]
pub struct Pool {
    size: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    slots: usize,
    waiting: usize,
    opened: u64,
}

/// The right to one connection. Dropping it closes the connection that it holds.
#[derive(Debug)]
pub struct Slot<'p> {
    pool: &'p Pool,
    connection: Option<Connection>,
    keep: bool,
}

impl Pool {
    /// An empty pool of at most `size` connections, at least 1.
    pub fn new(size: usize) -> Self {
        Self { size: size.max(1), state: Mutex::default(), freed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot, with an idle connection if there is one; waits at most `timeout` for it.
    /// `None` where all stayed busy.
    pub fn acquire(&self, timeout: Duration) -> Option<Slot<'_>> {
        let mut state = self.state();
        if state.slots >= self.size {
            state.waiting = state.waiting.saturating_add(1);
            state = self
                .freed
                .wait_timeout_while(state, timeout, |state| state.slots >= self.size)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.waiting = state.waiting.saturating_sub(1);
            if state.slots >= self.size {
                return None;
            }
        }
        state.slots = state.slots.saturating_add(1);
        let connection = state.idle.pop();
        Some(Slot { pool: self, connection, keep: false })
    }

    /// Number of idle connections.
    pub fn idle(&self) -> usize {
        self.state().idle.len()
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

    /// Gives a connection back for the next request, and the slot.
    pub(super) fn release(mut self, connection: Connection) {
        self.connection = Some(connection);
        self.keep = true;
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut connection = self.connection.take();
        let mut state = self.pool.state();
        state.slots = state.slots.saturating_sub(1);
        if self.keep {
            state.idle.extend(connection.take());
        }
        let waiting = state.waiting > 0;
        // What is not kept is closed after the lock is gone.
        drop(state);
        if waiting {
            self.pool.freed.notify_one();
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
    fn a_waiting_request_gets_the_slot_that_becomes_free() {
        let pool = Pool::new(1);
        let held = pool.acquire(Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| pool.acquire(Duration::from_secs(20)).is_some());
            while pool.state().waiting == 0 {
                std::thread::yield_now();
            }
            drop(held);
            assert!(waiter.join().unwrap());
        });
    }
}
