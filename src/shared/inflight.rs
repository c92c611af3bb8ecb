//! How many requests a worker has at a time, for `max_inflight`.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::requests::Ticket;

/// Seconds between two lines about refused requests of one worker.
const QUIET: u64 = 60;

/// The requests of one worker over all processes, from before they wait for a connection.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Inflight {
    /// How many there are.
    pub count: AtomicU32,
    /// Refused ones that no line has told of.
    refused: AtomicU32,
    /// When a line told of refused ones last, seconds since 1970.
    told: AtomicU64,
}

/// One request that is counted; dropping it takes the request out.
#[derive(Debug)]
pub struct Admission<'s> {
    count: &'s AtomicU32,
    /// Freed after the request was counted out.
    _ticket: Ticket<'s>,
}

impl Inflight {
    /// Counts a request in, unless that makes them more than `limit`. `ticket`: what tells others
    /// about it, should this process be killed.
    pub fn enter<'s>(&'s self, limit: u32, ticket: Ticket<'s>) -> Option<Admission<'s>> {
        let more = |count: u32| (count < limit).then(|| count.saturating_add(1));
        self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(Admission { count: &self.count, _ticket: ticket })
    }

    /// Whether no further request may come now.
    pub fn is_full(&self, limit: Option<u32>) -> bool {
        limit.is_some_and(|limit| self.count.load(Ordering::Relaxed) >= limit)
    }

    /// Counts a refused request. Returns how many there have been since the last line about them, if
    /// it is time for another one. `now`: seconds since 1970.
    pub fn refuse(&self, now: u64) -> Option<u32> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let told = self.told.load(Ordering::Relaxed);
        let is_due = told == 0 || told > now || now.saturating_sub(told) >= QUIET;
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        let is_ours = is_due && self.told.compare_exchange(told, now.max(1), set, seen).is_ok();
        is_ours.then(|| self.refused.swap(0, Ordering::Relaxed))
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        // Never below zero, whatever a process that was killed has left behind.
        let less = |count: u32| count.checked_sub(1);
        let _ = self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::requests::{Count, take};
    use crate::shared::{Heap, Layout, Memory as _};

    #[test]
    fn no_more_come_in_than_may() {
        let memory = Heap::new(Layout { workers: 1, requests: 64, ..Layout::default() });
        let inflight = &memory.workers()[0].inflight;
        let enter = |start| {
            inflight.enter(3, take(memory.requests(), start, 7, Count::Inflight(0)).unwrap())
        };
        let most = std::sync::atomic::AtomicUsize::new(0);
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (most, inside, enter) = (&most, &inside, &enter);
                scope.spawn(move || {
                    for _ in 0..2000 {
                        let Some(admission) = enter(thread * 16) else { continue };
                        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(admission);
                    }
                });
            }
        });
        assert!((1..=3).contains(&most.into_inner()));
        assert_eq!(inflight.count.load(Ordering::Relaxed), 0);
        let held: Vec<_> = (0..3).map(|start| enter(start).unwrap()).collect();
        assert!(inflight.is_full(Some(3)) && !inflight.is_full(Some(4)) && !inflight.is_full(None));
        assert!(enter(0).is_none());
        drop(held);
        assert!(enter(0).is_some());
    }

    #[test]
    fn a_line_a_minute_tells_of_all_that_were_refused() {
        let inflight = Inflight::default();
        assert_eq!(inflight.refuse(1000), Some(1));
        assert!((1001..1060).all(|now| inflight.refuse(now).is_none()));
        assert_eq!(inflight.refuse(1060), Some(60));
        // A clock that was set back does not silence it.
        assert_eq!(inflight.refuse(10), Some(1));
    }
}
