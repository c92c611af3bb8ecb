//! Repairs what killed processes leave in the shared memory (spec/reliability.md 5.5 L12).

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::ffi;
use super::pool::int;
use super::server::WorkerSet;
use super::shm::SharedMemory;
use crate::config::{WorkerConfig, WorkerName};
use crate::jk_log;
use crate::log::{Level, Log};
use crate::shared::requests::{Count, free_dead, repair};
use crate::shared::{Layout, Memory as _, engines, positions};

/// Longer than it takes a request to come or go.
const MOMENT: Duration = Duration::from_millis(1);

/// Seconds between repairs where worker.maintain is off.
const UNTOLD: u64 = 60;

/// What is repaired, and how often.
#[derive(Debug)]
pub(super) struct Upkeep {
    memory: Arc<SharedMemory>,
    /// Names of the workers, members of balancers included, in the order of their records.
    names: Vec<WorkerName>,
    /// Those of the balancers.
    balancers: Vec<WorkerName>,
    /// Seconds.
    interval: u64,
}

/// Requests that have records in any case.
const LEAST_REQUESTS: usize = 1024;

/// Generations of children that may all be busy at a time: those of earlier ones go on until their
/// last response is done.
const GENERATIONS: usize = 2;

/// Records of one request: as running and in flight, each at its worker and at its balancer.
const RECORDS: usize = 4;

/// The records of all workers, and of as many requests as all processes can serve at a time, each
/// with `threads` threads or as many as it may have after a restart.
pub(super) fn layout(workers: &WorkerSet, threads: usize) -> Layout {
    let limit = |what| {
        let mut limit = 1;
        // SAFETY: writes one int into a variable of ours.
        unsafe { ffi::ap_mpm_query(int(what), &raw mut limit) };
        usize::try_from(limit).unwrap_or(1).max(1)
    };
    let threads = threads.max(limit(ffi::AP_MPMQ_HARD_LIMIT_THREADS));
    let processes = limit(ffi::AP_MPMQ_HARD_LIMIT_DAEMONS).saturating_mul(GENERATIONS);
    let requests = processes.saturating_mul(threads).saturating_mul(RECORDS).max(LEAST_REQUESTS);
    let requests = Layout { requests, processes, ..Layout::default() };
    positions(&workers.configs).1.and(requests)
}

impl Upkeep {
    /// For these workers.
    pub(super) fn new(workers: &WorkerSet, memory: Arc<SharedMemory>) -> Self {
        let mut names = Vec::new();
        for (config, place) in workers.configs.iter().zip(positions(&workers.configs).0) {
            for (name, position) in engines(config).into_iter().zip(place.engines) {
                // Positions are counted in this order; other workers may have the engine as well.
                if position == names.len() {
                    names.push(name.clone());
                }
            }
        }
        let balancer = |config: &WorkerConfig| match config {
            WorkerConfig::Balancer(balancer) => Some(balancer.name.clone()),
            WorkerConfig::Ajp13(_) | WorkerConfig::Status(_) => None,
        };
        Self {
            memory,
            names,
            balancers: workers.configs.iter().filter_map(balancer).collect(),
            interval: workers.maintain.map_or(UNTOLD, |time| time.as_secs().max(1)),
        }
    }

    /// Frees the records of an earlier process with this one's number: it has none yet.
    pub(super) fn begin(&self) {
        let own = process::id();
        free_dead(&*self.memory, own, |process| process != own);
    }

    /// Takes the requests of killed processes out of the counts, if it is time and no other
    /// process does it. `unix`: now, seconds since 1970.
    pub(super) fn repair(&self, unix: u64, log: &impl Log) {
        let memory = &*self.memory;
        if !memory.common().is_repair_due(unix, self.interval) {
            return;
        }
        free_dead(memory, process::id(), |process| memory.is_alive(process));
        for (count, n) in repair(memory, || thread::sleep(MOMENT)) {
            let name = match count {
                Count::Busy(at) | Count::Inflight(at) | Count::Connected(at) => self.names.get(at),
                Count::BalancerInflight(at) | Count::BalancerBusy(at) => self.balancers.get(at),
            };
            let name = name.map(WorkerName::to_string).unwrap_or_default();
            if let Count::Connected(_) = count {
                jk_log!(
                    *log,
                    Level::Info,
                    "({name}) connected_repaired: connections were counted that no process has, as \
                     after a process was killed; n={n}"
                );
                continue;
            }
            jk_log!(
                *log,
                Level::Warn,
                "({name}) busy_repaired: requests were counted that nobody is serving, as after a \
                 process was killed; n={n}"
            );
        }
    }
}
