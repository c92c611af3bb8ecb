//! How long a worker takes for a request, as a histogram over all processes.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of all buckets but the last, which has none, milliseconds.
pub const BOUNDS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

const BUCKETS: usize = BOUNDS.len() + 1;

/// Times of requests, retries included.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Latency {
    /// Requests by the first bound that they do not exceed.
    buckets: [AtomicU64; BUCKETS],
    /// All times together, microseconds.
    sum: AtomicU64,
}

/// A [`Latency`] at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Requests by the first of [`BOUNDS`] that they do not exceed; those above all stand last.
    pub buckets: [u64; BUCKETS],
    /// All times together, microseconds.
    pub micros: u64,
}

impl Times {
    /// Requests.
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, bucket| sum.saturating_add(*bucket))
    }
}

impl Latency {
    /// Counts a request in.
    pub fn add(&self, time: Duration) {
        let bound = |bound: &u64| time <= Duration::from_millis(*bound);
        let at = BOUNDS.iter().position(bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn times(&self) -> Times {
        let load = |bucket: &AtomicU64| bucket.load(Ordering::Relaxed);
        Times { buckets: self.buckets.each_ref().map(load), micros: load(&self.sum) }
    }

    /// Takes over what another one says.
    pub fn carry(&self, from: &Self) {
        let Self { buckets, sum } = from;
        let all = buckets.iter().zip(&self.buckets).chain([(sum, &self.sum)]);
        for (from, to) in all {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Forgets everything.
    pub fn reset(&self) {
        for number in self.buckets.iter().chain([&self.sum]) {
            number.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_first_bucket_that_holds_it() {
        let latency = Latency::default();
        for millis in [0, 5, 6, 30_000, 30_001, 1 << 40] {
            latency.add(Duration::from_millis(millis));
        }
        let times = latency.times();
        assert_eq!(times.buckets, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(times.count(), 6);
        assert_eq!(times.micros, (60_012 + (1 << 40)) * 1000);
        latency.reset();
        assert_eq!(latency.times(), Times::default());
    }
}
