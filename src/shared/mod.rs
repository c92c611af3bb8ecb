//! What all processes of a web server see of the workers: atomics in memory that the border maps,
//! and nothing else (DESIGN.md 2). Contents start as zeros.
#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counters of one worker over all processes.
#[derive(Debug, Default)]
#[repr(C)]
pub struct WorkerState {
    /// Requests that it is serving now.
    pub busy: AtomicU32,
}

/// One request in [`WorkerState::busy`]; dropping it takes the request out.
#[derive(Debug)]
pub struct Busy<'s>(&'s AtomicU32);

impl WorkerState {
    /// Counts a request in. Returns how many there are now, this one included.
    pub fn enter(&self) -> (Busy<'_>, u32) {
        let before = self.busy.fetch_add(1, Ordering::Relaxed);
        (Busy(&self.busy), before.saturating_add(1))
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        // Never below zero, whatever a process that was killed has left behind.
        let less = |busy: u32| busy.checked_sub(1);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// Memory that all processes share, one [`WorkerState`] for each worker of `worker.list`.
pub trait Memory: Debug + Send + Sync {
    /// In the order of the list.
    fn workers(&self) -> &[WorkerState];
}

/// Memory of one process alone.
impl Memory for Vec<WorkerState> {
    fn workers(&self) -> &[WorkerState] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_in_and_out() {
        let state = WorkerState::default();
        let (first, one) = state.enter();
        let (second, two) = state.enter();
        assert_eq!((one, two), (1, 2));
        drop(first);
        assert_eq!(state.busy.load(Ordering::Relaxed), 1);
        state.busy.store(0, Ordering::Relaxed);
        drop(second);
        assert_eq!(state.busy.load(Ordering::Relaxed), 0);
    }
}
