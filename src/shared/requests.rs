//! Who is serving which request, so that the counts of running requests can be repaired after a
//! process was killed.
//!
//! A request takes a free record before it is counted and frees it after it was counted out. The
//! records of a process that is gone tell what is counted too much, wherever it was killed: the
//! counts must become what the records say.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::Memory;

/// A request that some process may be serving.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RequestState {
    /// The process in the upper half, one more than the worker's position in the lower; zero for
    /// nobody.
    owner: AtomicU64,
}

/// A record that is taken. Dropping it frees it.
#[derive(Debug)]
pub struct Ticket<'s>(&'s AtomicU64);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl RequestState {
    /// The process and the position of the worker.
    fn owner(&self) -> Option<(u32, usize)> {
        let owner = self.owner.load(Ordering::Acquire);
        let worker = (owner & u64::from(u32::MAX)).checked_sub(1)?;
        Some((u32::try_from(owner >> 32).ok()?, usize::try_from(worker).ok()?))
    }
}

/// Takes a free record, the one at `start` first. `None` where all are taken.
pub fn take(
    requests: &[RequestState],
    start: usize,
    process: u32,
    worker: usize,
) -> Option<Ticket<'_>> {
    let worker = u32::try_from(worker).ok()?.checked_add(1)?;
    let owner = u64::from(process) << 32 | u64::from(worker);
    let (before, after) = requests.split_at(start.checked_rem(requests.len())?);
    let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
    let take =
        |request: &&RequestState| request.owner.compare_exchange(0, owner, set, seen).is_ok();
    after.iter().chain(before).find(take).map(|request| Ticket(&request.owner))
}

/// Frees the records of processes that are gone.
pub fn free_dead(memory: &dyn Memory, is_alive: impl Fn(u32) -> bool) {
    for request in memory.requests() {
        let owner = request.owner.load(Ordering::Acquire);
        let process = u32::try_from(owner >> 32).unwrap_or_default();
        if owner != 0 && !is_alive(process) {
            let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
            // Somebody else may have done so, and a request may have taken it.
            let _ = request.owner.compare_exchange(owner, 0, set, seen);
        }
    }
}

/// By how much each worker's count is higher than the number of its records. A request that is
/// just coming or going makes a difference for a moment.
pub fn excess(memory: &dyn Memory) -> Vec<i64> {
    let count = |worker: &super::WorkerState| i64::from(worker.busy.load(Ordering::Relaxed));
    let mut excess: Vec<i64> = memory.workers().iter().map(count).collect();
    for (_, worker) in memory.requests().iter().filter_map(RequestState::owner) {
        if let Some(excess) = excess.get_mut(worker) {
            *excess = excess.saturating_sub(1);
        }
    }
    excess
}

/// Takes out of each count what was in excess both times. Returns the positions of the workers and
/// what was taken out. A count that is too low is that of a request which is just coming or going.
pub fn correct(memory: &dyn Memory, first: &[i64], second: &[i64]) -> Vec<(usize, i64)> {
    let lasting = first.iter().zip(second).enumerate().filter(|(_, (a, b))| a == b && **a > 0);
    let mut corrected = Vec::new();
    for (position, (excess, _)) in lasting {
        let Some(worker) = memory.workers().get(position) else { continue };
        let correct = |busy: u32| {
            let right = i64::from(busy).saturating_sub(*excess).max(0);
            Some(u32::try_from(right).unwrap_or(u32::MAX))
        };
        let _ = worker.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct);
        corrected.push((position, *excess));
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{Heap, Layout};

    fn heap() -> Heap {
        Heap::new(Layout { workers: 2, requests: 3, ..Layout::default() })
    }

    fn repair(memory: &Heap, dead: u32) -> Vec<(usize, i64)> {
        free_dead(memory, |process| process != dead);
        let excess = excess(memory);
        correct(memory, &excess, &excess)
    }

    #[test]
    fn records_are_taken_and_freed() {
        let memory = heap();
        let held: Vec<_> =
            (0..3).map(|start| take(memory.requests(), start, 7, 1).unwrap()).collect();
        assert!(take(memory.requests(), 0, 7, 1).is_none());
        drop(held);
        assert!(take(memory.requests(), 99, 7, 1).is_some());
        assert!(take(&[], 0, 7, 1).is_none());
    }

    #[test]
    fn what_a_killed_process_leaves_is_taken_out() {
        // Killed before it counted, while it was counted, after it was counted out.
        for counted in [0, 1, 0] {
            let memory = heap();
            let ticket = |process| take(memory.requests(), 0, process, 1).unwrap();
            let (alive, one) = memory.workers()[1].enter(Some(ticket(7)));
            assert_eq!(one, 1);
            std::mem::forget(ticket(8));
            memory.workers()[1].busy.fetch_add(counted, Ordering::Relaxed);
            let expected: Vec<_> = (counted > 0).then_some((1, 1)).into_iter().collect();
            assert_eq!(repair(&memory, 8), expected);
            assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 1);
            assert!(repair(&memory, 8).is_empty());
            drop(alive);
            assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 0);
            assert_eq!(excess(&memory), [0, 0]);
        }
    }

    #[test]
    fn a_moments_difference_is_left_alone() {
        let memory = heap();
        memory.workers()[0].busy.store(4, Ordering::Relaxed);
        assert!(correct(&memory, &[4, 0], &[3, 0]).is_empty());
        assert_eq!(correct(&memory, &[4, 0], &[4, 0]), [(0, 4)]);
        // A request that is just coming has its record first.
        let _ticket = take(memory.requests(), 0, 7, 1).unwrap();
        assert_eq!(repair(&memory, 8), []);
        assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 0);
    }
}
