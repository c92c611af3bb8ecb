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
    /// [`super::BalancerState::busy`] of the balancer at this position.
    BalancerBusy(usize),
    /// [`super::WorkerState::connected`] of the worker at this position: not of requests and without
    /// records, but left behind as they are.
    Connected(usize),
}

/// How often a count must be in excess to be wrong.
const LOOKS: usize = 16;

/// Bits of a position; those above say what is counted.
const POSITION_BITS: u32 = 30;

impl Count {
    /// The count as a number other than zero; `None` for a position that is too high.
    fn number(self) -> Option<u32> {
        let (kind, position) = match self {
            Self::Busy(position) => (0_u32, position),
            Self::Inflight(position) => (1, position),
            Self::BalancerInflight(position) => (2, position),
            Self::BalancerBusy(position) => (3, position),
            Self::Connected(_) => return None,
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
            3 => Some(Self::BalancerBusy(position)),
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
    let of_balancers = balancers
        .clone()
        .map(|(at, balancer)| (Count::BalancerInflight(at), &balancer.inflight.count));
    let busy_balancers = balancers.map(|(at, balancer)| (Count::BalancerBusy(at), &balancer.busy));
    busy.chain(inflight).chain(of_balancers).chain(busy_balancers).chain(connected).collect()
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
    let (workers, balancers) = (memory.workers().len(), memory.balancers().len());
    let before_balancers = workers.saturating_mul(2);
    for count in memory.requests().iter().filter_map(RequestState::count) {
        // In the order of `counts`.
        let at = match count {
            Count::Busy(at) => at,
            Count::Inflight(at) => workers.saturating_add(at),
            Count::BalancerInflight(at) => before_balancers.saturating_add(at),
            Count::BalancerBusy(at) => {
                before_balancers.saturating_add(balancers).saturating_add(at)
            }
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

/// Takes out of each count what was in excess at every one of many looks. Returns the counts and
/// what was taken out. `pause`: waits for a moment between two looks.
///
/// A look takes time. A request that goes meanwhile is in excess, one that comes is lacking: under
/// load one or the other is seen at any time, but never as often as what a killed process has left.
pub fn repair(memory: &dyn Memory, pause: impl Fn()) -> Vec<(Count, i64)> {
    let mut lasting = excess(memory);
    for _ in 1..LOOKS {
        if lasting.iter().all(|(_, excess)| *excess <= 0) {
            return Vec::new();
        }
        pause();
        for ((_, least), (_, now)) in lasting.iter_mut().zip(excess(memory)) {
            *least = now.min(*least);
        }
    }
    lasting.retain(|(_, excess)| *excess > 0);
    let counts = counts(memory);
    for (what, excess) in &lasting {
        let Some((_, count)) = counts.iter().find(|(known, _)| known == what) else { continue };
        let correct = |count: u32| {
            let right = i64::from(count).saturating_sub(*excess).max(0);
            Some(u32::try_from(right).unwrap_or(u32::MAX))
        };
        let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, correct);
    }
    lasting
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;
    use crate::shared::{Heap, Layout};

    const BUSY: Count = Count::Busy(1);

    fn heap() -> Heap {
        Heap::new(Layout { workers: 2, balancers: 1, requests: 3, ..Layout::default() })
    }

    fn bury(memory: &Heap, dead: u32) -> Vec<(Count, i64)> {
        free_dead(memory, 7, |process| process != dead);
        repair(memory, || ())
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
            assert_eq!(bury(&memory, 8), expected);
            assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 1);
            assert!(bury(&memory, 8).is_empty());
            drop(alive);
            assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 0);
            assert!(excess(&memory).iter().all(|(_, excess)| *excess == 0));
        }
    }

    #[test]
    fn a_moments_difference_is_left_alone() {
        let memory = heap();
        memory.workers()[0].busy.store(4, Ordering::Relaxed);
        let looks = std::cell::Cell::new(0);
        let then = |at: u32, busy: u32| {
            let looks = &looks;
            looks.set(0);
            memory.workers()[0].busy.store(4, Ordering::Relaxed);
            move |memory: &Heap| {
                looks.set(looks.get() + 1);
                let busy = if looks.get() == at { busy } else { 4 };
                memory.workers()[0].busy.store(busy, Ordering::Relaxed);
            }
        };
        for at in [1, 7, 15] {
            let change = then(at, 0);
            assert!(repair(&memory, || change(&memory)).is_empty(), "{at}");
        }
        let change = then(15, 4);
        assert_eq!(repair(&memory, || change(&memory)), [(Count::Busy(0), 4)]);
        // A request that is just coming has its record first.
        let _ticket = take(memory.requests(), 0, 7, BUSY).unwrap();
        assert_eq!(bury(&memory, 8), []);
        assert_eq!(memory.workers()[1].busy.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn requests_that_come_and_go_meanwhile_are_left_alone() {
        let memory = Heap::new(Layout { workers: 2, requests: 4096, ..Layout::default() });
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for start in [4000, 4050] {
                let (memory, stop) = (&memory, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let ticket = take(memory.requests(), start, 7, BUSY);
                        let running = memory.workers()[1].enter(ticket);
                        (0..200).for_each(|_| std::hint::spin_loop());
                        drop(running);
                        (0..200).for_each(|_| std::hint::spin_loop());
                    }
                });
            }
            let repaired = (0..500).map(|_| repair(&memory, thread::yield_now));
            let repaired = repaired.filter(|repaired| !repaired.is_empty()).count();
            stop.store(true, Ordering::Relaxed);
            assert_eq!(repaired, 0);
        });
    }

    #[test]
    fn every_count_is_repaired_for_itself() {
        let memory = heap();
        for at in [0, 1] {
            memory.workers()[at].busy.store(1, Ordering::Relaxed);
            memory.workers()[at].inflight.count.store(2, Ordering::Relaxed);
        }
        memory.balancers()[0].inflight.count.store(3, Ordering::Relaxed);
        memory.balancers()[0].busy.store(5, Ordering::Relaxed);
        let alive = [Count::Busy(0), Count::Inflight(1), Count::BalancerInflight(0)];
        let _tickets = alive.map(|count| take(memory.requests(), 0, 7, count).unwrap());
        let expected = [
            (Count::Busy(1), 1),
            (Count::Inflight(0), 2),
            (Count::Inflight(1), 1),
            (Count::BalancerInflight(0), 2),
            (Count::BalancerBusy(0), 5),
        ];
        assert_eq!(bury(&memory, 8), expected);
        assert!(bury(&memory, 8).is_empty());
        for count in [BUSY, Count::Inflight(5), Count::BalancerInflight((1 << 30) - 2)] {
            assert_eq!(count.number().and_then(Count::from_number), Some(count));
        }
        assert_eq!(Count::Busy((1 << 30) - 1).number(), None);
    }
}
