//! Which process has how many connections open, so that their number can be repaired after a process
//! was killed.
//!
//! Each process has a row with a count for each worker. It counts there first and in
//! [`super::WorkerState::connected`] after that, and the other way round when a connection is closed:
//! whenever it is killed, the worker's number is what the rows say or too high.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use super::Memory;

/// A process that may have connections.
#[derive(Debug, Default)]
#[repr(C)]
pub struct ProcessState {
    /// Its number, zero for nobody; with [`CLEANING`] that of the process which empties the row of one
    /// that is gone.
    owner: AtomicU64,
}

/// Marks a row that is being emptied.
const CLEANING: u64 = 1 << 32;

/// The place of the count of a worker in the row of a process.
fn cell(memory: &dyn Memory, row: usize, worker: usize) -> Option<&AtomicU16> {
    let workers = memory.workers().len();
    let at = row.checked_mul(workers)?.checked_add(worker)?;
    memory.connections().get(at).filter(|_| worker < workers)
}

/// The row of a process, which gets one where it has none. `None` where all are taken.
pub fn row(memory: &dyn Memory, process: u32) -> Option<usize> {
    let own = u64::from(process);
    let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
    let find = || {
        let mut rows = memory.processes().iter();
        let has = |row: &ProcessState| row.owner.load(seen) == own;
        let take =
            |row: &ProcessState| row.owner.compare_exchange(0, own, set, Ordering::Relaxed).is_ok();
        memory.processes().iter().position(has).or_else(|| rows.position(take))
    };
    find().or_else(|| {
        // Processes that ended in order leave their rows behind, too.
        free_dead(memory, process, |process| memory.is_alive(process));
        find()
    })
}

/// Counts a connection to a worker in. False where it was not, as the process has more than can be
/// counted: then it must not be counted out.
pub fn open(memory: &dyn Memory, row: usize, worker: usize) -> bool {
    let (Some(cell), Some(state)) = (cell(memory, row, worker), memory.workers().get(worker))
    else {
        return false;
    };
    let more = |open: u16| open.checked_add(1);
    let is_counted = cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_ok();
    if is_counted {
        state.connect();
    }
    is_counted
}

/// Counts closed connections to a worker out.
pub fn close(memory: &dyn Memory, row: usize, worker: usize, count: u32) {
    if let (Some(cell), Some(state)) = (cell(memory, row, worker), memory.workers().get(worker)) {
        state.disconnect(count);
        let count = u16::try_from(count).unwrap_or(u16::MAX);
        let less = |open: u16| Some(open.saturating_sub(count));
        let _ = cell.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }
}

/// How many connections to a worker all processes say that they have.
pub fn of(memory: &dyn Memory, worker: usize) -> u32 {
    let rows = 0..memory.processes().len();
    let counts = rows.filter_map(|row| cell(memory, row, worker));
    counts.fold(0, |sum, cell| sum.saturating_add(cell.load(Ordering::Acquire).into()))
}

/// Empties the rows of processes that are gone, for others. `own`: who does so.
pub fn free_dead(memory: &dyn Memory, own: u32, is_alive: impl Fn(u32) -> bool) {
    let cleaning = CLEANING | u64::from(own);
    for (at, row) in memory.processes().iter().enumerate() {
        let owner = row.owner.load(Ordering::Acquire);
        let process = u32::try_from(owner & !CLEANING).unwrap_or_default();
        if owner == 0 || is_alive(process) {
            continue;
        }
        // One alone empties it: another one could be late and empty it for its next owner.
        let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
        if owner == cleaning || row.owner.compare_exchange(owner, cleaning, set, seen).is_ok() {
            let cells = (0..memory.workers().len()).filter_map(|worker| cell(memory, at, worker));
            cells.for_each(|cell| cell.store(0, Ordering::Release));
            row.owner.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::requests::{self, Count};
    use crate::shared::{Heap, Layout};

    fn heap() -> Heap {
        Heap::new(Layout { workers: 2, processes: 2, ..Layout::default() })
    }

    fn connected(memory: &Heap) -> u32 {
        memory.workers()[1].connected.load(Ordering::Relaxed)
    }

    fn repair(memory: &Heap, dead: u32) -> Vec<(Count, i64)> {
        requests::free_dead(memory, 7, |process| process != dead);
        requests::repair(memory, || ())
    }

    #[test]
    fn connections_of_a_killed_process_are_taken_out_and_no_others() {
        // Killed at rest, and in the middle of counting one in or out.
        for in_row in [0, 1] {
            let memory = heap();
            let rows = [7, 8].map(|process| row(&memory, process).unwrap());
            for (row, count) in rows.into_iter().zip([2, 3]) {
                assert!((0..count).all(|_| open(&memory, row, 1)));
            }
            cell(&memory, rows[1], 1).unwrap().fetch_add(in_row, Ordering::Relaxed);
            assert_eq!(repair(&memory, 8), [(Count::Connected(1), 3)]);
            assert_eq!((connected(&memory), of(&memory, 1)), (2, 2));
            assert!(repair(&memory, 8).is_empty());
            close(&memory, rows[0], 1, 2);
            assert_eq!((connected(&memory), of(&memory, 1), of(&memory, 0)), (0, 0, 0));
        }
    }

    #[test]
    fn a_process_has_one_row_and_rows_of_those_that_are_gone_are_free() {
        let memory = heap();
        let own = std::process::id();
        // No process has these numbers in a heap.
        let (first, second) = (row(&memory, u32::MAX).unwrap(), row(&memory, own).unwrap());
        assert_ne!(first, second);
        assert_eq!(row(&memory, own), Some(second));
        assert!(open(&memory, first, 0));
        assert_eq!(row(&memory, 9), Some(first));
        assert_eq!(of(&memory, 0), 0);
        let nothing = Heap::new(Layout { workers: 1, ..Layout::default() });
        assert_eq!(row(&nothing, 7), None);
    }

    #[test]
    fn who_is_killed_while_it_empties_a_row_leaves_it_to_others() {
        let memory = heap();
        let left = row(&memory, 8).unwrap();
        assert!(open(&memory, left, 1));
        memory.processes()[left].owner.store(CLEANING | 8, Ordering::Relaxed);
        free_dead(&memory, 7, |process| process == 8);
        assert_eq!(of(&memory, 1), 1);
        free_dead(&memory, 7, |process| process != 8);
        assert_eq!(
            (of(&memory, 1), memory.processes()[left].owner.load(Ordering::Relaxed)),
            (0, 0)
        );
    }
}
