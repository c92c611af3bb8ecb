//! Who is serving which request, so that the counts of running requests can be repaired after a
//! process was killed.
//!
//! A request takes a free record before it is counted and frees it after it was counted out. The
//! records of a process that is gone tell what is counted too much, wherever it was killed: the
//! counts must become what the records say.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::{Memory, connections};

/// A request that some process may be serving.
#[derive(Debug, Default)]
#[repr(C)]
pub struct RequestState {
    /// The process in the upper half, the count in the lower one; zero for nobody.
    owner: AtomicU64,
}

/// What a request is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// [`super::WorkerState::busy`] of the worker at this position.
    Busy(usize),
    /// [`super::WorkerState::inflight`] of the worker at this position.
    Inflight(usize),
    /// [`super::BalancerState::inflight`] of the balancer at this position.
    BalancerInflight(usize),
    /// [`super::WorkerState::connected`] of the worker at this position: not of requests, but left
    /// behind as they are.
    Connected(usize),
}

/// Bits of a position; those above say what is counted.
const POSITION_BITS: u32 = 30;

impl Count {
    /// The count as a number other than zero; `None` for a position that is too high.
    fn number(self) -> Option<u32> {
        let (kind, position) = match self {
            Self::Busy(position) => (0_u32, position),
            Self::Inflight(position) => (1, position),
            Self::BalancerInflight(position) => (2, position),
            Self::Connected(position) => (3, position),
        };
        let position = u32::try_from(position).ok()?.checked_add(1)?;
        (position >> POSITION_BITS == 0).then_some(kind << POSITION_BITS | position)
    }

    fn from_number(number: u32) -> Option<Self> {
        let mask = (1_u32 << POSITION_BITS).wrapping_sub(1);
        let position = usize::try_from((number & mask).checked_sub(1)?).ok()?;
        match number >> POSITION_BITS {
            0 => Some(Self::Busy(position)),
            1 => Some(Self::Inflight(position)),
            2 => Some(Self::BalancerInflight(position)),
            3 => Some(Self::Connected(position)),
            _ => None,
        }
    }
}

/// All counts with what they count.
fn counts(memory: &dyn Memory) -> Vec<(Count, &AtomicU32)> {
    let workers = memory.workers().iter().enumerate();
    let busy = workers.clone().map(|(at, worker)| (Count::Busy(at), &worker.busy));
    let connected = workers.clone().map(|(at, worker)| (Count::Connected(at), &worker.connected));
    let inflight = workers.map(|(at, worker)| (Count::Inflight(at), &worker.inflight.count));
    let balancers = memory.balancers().iter().enumerate();
    let balancers =
        balancers.map(|(at, balancer)| (Count::BalancerInflight(at), &balancer.inflight.count));
    busy.chain(inflight).chain(balancers).chain(connected).collect()
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
    /// What its request is counted in.
    fn count(&self) -> Option<Count> {
        let owner = self.owner.load(Ordering::Acquire);
        Count::from_number(u32::try_from(owner & u64::from(u32::MAX)).ok()?)
    }
}

/// Takes a free record, the one at `start` first. `None` where all are taken.
pub fn take(
    requests: &[RequestState],
    start: usize,
    process: u32,
    count: Count,
) -> Option<Ticket<'_>> {
    let owner = u64::from(process) << 32 | u64::from(count.number()?);
    let (before, after) = requests.split_at(start.checked_rem(requests.len())?);
    let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
    let take =
        |request: &&RequestState| request.owner.compare_exchange(0, owner, set, seen).is_ok();
    after.iter().chain(before).find(take).map(|request| Ticket(&request.owner))
}

/// Frees the records of processes that are gone. `own`: who does so.
pub fn free_dead(memory: &dyn Memory, own: u32, is_alive: impl Fn(u32) -> bool) {
    connections::free_dead(memory, own, &is_alive);
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

/// By how much each count is higher than the number of its records. A request that is just coming
/// or going makes a difference for a moment.
pub fn excess(memory: &dyn Memory) -> Vec<(Count, i64)> {
    let counts = counts(memory);
    let mut excess: Vec<(Count, i64)> = counts
        .iter()
        .map(|(what, count)| (*what, i64::from(count.load(Ordering::Relaxed))))
        .collect();
    let workers = memory.workers().len();
    for count in memory.requests().iter().filter_map(RequestState::count) {
        // In the order of `counts`.
        let at = match count {
            Count::Busy(at) => at,
            Count::Inflight(at) => workers.saturating_add(at),
            Count::BalancerInflight(at) => workers.saturating_mul(2).saturating_add(at),
            Count::Connected(_) => continue,
        };
        if let Some((_, excess)) = excess.get_mut(at).filter(|(what, _)| *what == count) {
            *excess = excess.saturating_sub(1);
        }
    }
    for (what, excess) in &mut excess {
        if let Count::Connected(at) = what {
            *excess = excess.saturating_sub(connections::of(memory, *at).into());
        }
    }
    excess
}

/// Takes out of each count what was in excess both times. Returns the counts and what was taken out.
/// A count that is too low is that of a request which is just coming or going.
pub fn correct(
    memory: &dyn Memory,
    first: &[(Count, i64)],
    second: &[(Count, i64)],
) -> Vec<(Count, i64)> {
    let lasting = first.iter().zip(second).filter(|(a, b)| a == b && a.1 > 0);
    let (mut corrected, counts) = (Vec::new(), counts(memory));
    for ((what, excess), _) in lasting {
        let Some((_, count)) = counts.iter().find(|(known, _)| known == what) else { continue };
        let correct = |count: u32| {
            let right = i64::from(count).saturating_sub(*excess).max(0);
            Some(u32::try_from(right).unwrap_or(u32::MAX))
        };
        let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct);
        corrected.push((*what, *excess));
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::{Heap, Layout};

    const BUSY: Count = Count::Busy(1);

    fn heap() -> Heap {
        Heap::new(Layout { workers: 2, balancers: 1, requests: 3, ..Layout::default() })
    }

    fn repair(memory: &Heap, dead: u32) -> Vec<(Count, i64)> {
        free_dead(memory, 7, |process| process != dead);
        let excess = excess(memory);
        correct(memory, &excess, &excess)
    }

    #[test]
    fn records_are_taken_and_freed() {
        let memory = heap();
        let held: Vec<_> =
            (0..3).map(|start| take(memory.requests(), start, 7, BUSY).unwrap()).collect();
        assert!(take(memory.requests(), 0, 7, BUSY).is_none());
        drop(held);
        assert!(take(memory.requests(), 99, 7, BUSY).is_some());
        assert!(take(&[], 0, 7, BUSY).is_none());
    }

    #[test]
    fn what_a_killed_process_leaves_is_taken_out() {
        // Killed before it counted, while it was counted, after it was counted out.
        for counted in [0, 1, 0] {
            let memory = heap();
            let ticket = |process| take(memory.requests(), 0, process, BUSY).unwrap();
            let (alive, one) = memory.workers()[1].enter(Some(ticket(7)));
            assert_eq!(one, 1);
            std::mem::forget(ticket(8));
            memory.workers()[1].busy.fetch_add(counted, Ordering::Relaxed);
            let expected: Vec<_> = (counted > 0).then_some((BUSY, 1)).into_iter().collect();
            assert_eq!(repair(&memory, 8), expected);
            assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 1);
            assert!(repair(&memory, 8).is_empty());
            drop(alive);
            assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 0);
            assert!(excess(&memory).iter().all(|(_, excess)| *excess == 0));
        }
    }

    #[test]
    fn a_moments_difference_is_left_alone() {
        let memory = heap();
        memory.workers()[0].busy.store(4, Ordering::Relaxed);
        let excess = |n| [(Count::Busy(0), n), (BUSY, 0)];
        assert!(correct(&memory, &excess(4), &excess(3)).is_empty());
        assert_eq!(correct(&memory, &excess(4), &excess(4)), [(Count::Busy(0), 4)]);
        // A request that is just coming has its record first.
        let _ticket = take(memory.requests(), 0, 7, BUSY).unwrap();
        assert_eq!(repair(&memory, 8), []);
        assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn every_count_is_repaired_for_itself() {
        let memory = heap();
        for at in [0, 1] {
            memory.workers()[at].busy.store(1, Ordering::Relaxed);
            memory.workers()[at].inflight.count.store(2, Ordering::Relaxed);
        }
        memory.balancers()[0].inflight.count.store(3, Ordering::Relaxed);
        let alive = [Count::Busy(0), Count::Inflight(1), Count::BalancerInflight(0)];
        let _tickets = alive.map(|count| take(memory.requests(), 0, 7, count).unwrap());
        let expected = [
            (Count::Busy(1), 1),
            (Count::Inflight(0), 2),
            (Count::Inflight(1), 1),
            (Count::BalancerInflight(0), 2),
        ];
        assert_eq!(repair(&memory, 8), expected);
        assert!(repair(&memory, 8).is_empty());
        for count in
            [BUSY, Count::Inflight(5), Count::BalancerInflight((1 << 30) - 2), Count::Connected(3)]
        {
            assert_eq!(count.number().and_then(Count::from_number), Some(count));
        }
        assert_eq!(Count::Busy((1 << 30) - 1).number(), None);
    }
}
