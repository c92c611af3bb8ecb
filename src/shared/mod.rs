//! What all processes of a web server see of the workers: atomics in memory that the border maps,
//! and nothing else (DESIGN.md 2). Contents start as zeros, which stand for a worker that nobody has
//! used yet and a member as it is configured.
#![forbid(unsafe_code)]

mod balancer;
pub mod carry;
pub mod connections;
pub mod edits;
mod hints;
mod inflight;
pub mod journal;
pub mod latency;
mod positions;
pub mod requests;
mod worker;

use std::fmt::Debug;
use std::process;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::config::WorkerConfig;

pub use balancer::{BalancerState, MemberState, Serving, State};
pub use connections::ProcessState;
pub use hints::{Hint, Hints};
pub use inflight::{Admission, Inflight};
pub use journal::Journal;
pub use positions::{Positions, engines, positions};
pub use requests::RequestState;
pub use worker::{Busy, WorkerState};

/// How many records of each kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// Workers that are one engine, members of balancers included.
    pub workers: usize,
    /// Balancers.
    pub balancers: usize,
    /// Members of all balancers.
    pub members: usize,
    /// Requests that all processes together can serve at a time.
    pub requests: usize,
    /// Processes that can have connections at a time.
    pub processes: usize,
    /// Words for the edits of workers ([`edits`]).
    pub edits: usize,
}

impl Layout {
    /// The records of one worker.
    pub fn of(worker: &WorkerConfig) -> Layout {
        let edits = edits::engines(worker).map(edits::words).unwrap_or_default();
        let layout = Layout { edits, ..Layout::default() };
        match worker {
            WorkerConfig::Ajp13(_) => Layout { workers: 1, ..layout },
            WorkerConfig::Balancer(balancer) => {
                let members = balancer.members.len();
                Layout { workers: members, balancers: 1, members, ..layout }
            }
            WorkerConfig::Status(_) => layout,
        }
    }

    /// Counts of connections: one for each process and worker.
    pub fn connections(self) -> usize {
        self.processes.saturating_mul(self.workers)
    }

    /// The records of both.
    #[must_use]
    pub fn and(self, other: Layout) -> Layout {
        Layout {
            workers: self.workers.saturating_add(other.workers),
            balancers: self.balancers.saturating_add(other.balancers),
            members: self.members.saturating_add(other.members),
            requests: self.requests.saturating_add(other.requests),
            processes: self.processes.saturating_add(other.processes),
            edits: self.edits.saturating_add(other.edits),
        }
    }
}

/// Memory that all processes share. Who uses a record knows its position.
pub trait Memory: Debug + Send + Sync {
    /// One for each engine.
    fn workers(&self) -> &[WorkerState];

    /// One for each balancer.
    fn balancers(&self) -> &[BalancerState];

    /// One for each member of a balancer.
    fn members(&self) -> &[MemberState];

    /// One for each request that is being served.
    fn requests(&self) -> &[RequestState];

    /// One for each process.
    fn processes(&self) -> &[ProcessState];

    /// Open connections: for each process those to each worker.
    fn connections(&self) -> &[AtomicU16];

    /// Words in which edits are kept.
    fn edits(&self) -> &[AtomicU64];

    /// What concerns all of it.
    fn common(&self) -> &CommonState;

    /// Whether there is such a process.
    fn is_alive(&self, process: u32) -> bool;
}

/// What there is once.
#[derive(Debug, Default)]
#[repr(C)]
pub struct CommonState {
    /// When some process looked for the traces of killed ones last, seconds since 1970.
    pub repaired: AtomicU64,
    /// When the memory was created, seconds since 1970.
    pub created: AtomicU64,
    /// Numbers that nobody outside can guess.
    pub secret: [AtomicU64; 2],
    /// The last changes of members' states.
    pub journal: Journal,
}

impl CommonState {
    /// Whether the caller is to look for the traces of killed processes now; true for one of all
    /// processes every `interval` seconds.
    pub fn is_repair_due(&self, now: u64, interval: u64) -> bool {
        let last = self.repaired.load(Ordering::Relaxed);
        // A clock that was set back ends nothing; one look at it that was a moment earlier than
        // another one's is no such clock.
        let is_due = now.abs_diff(last) >= interval;
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        is_due && self.repaired.compare_exchange(last, now, set, seen).is_ok()
    }
}

/// Memory of one process alone.
#[derive(Debug)]
pub struct Heap {
    workers: Vec<WorkerState>,
    balancers: Vec<BalancerState>,
    members: Vec<MemberState>,
    requests: Vec<RequestState>,
    processes: Vec<ProcessState>,
    connections: Vec<AtomicU16>,
    edits: Vec<AtomicU64>,
    common: CommonState,
}

impl Heap {
    /// Zeros.
    pub fn new(layout: Layout) -> Self {
        fn zeros<T: Default>(n: usize) -> Vec<T> {
            std::iter::repeat_with(T::default).take(n).collect()
        }
        Self {
            workers: zeros(layout.workers),
            balancers: zeros(layout.balancers),
            members: zeros(layout.members),
            requests: zeros(layout.requests),
            processes: zeros(layout.processes),
            connections: zeros(layout.connections()),
            edits: zeros(layout.edits),
            common: CommonState::default(),
        }
    }
}

impl Memory for Heap {
    fn workers(&self) -> &[WorkerState] {
        &self.workers
    }

    fn balancers(&self) -> &[BalancerState] {
        &self.balancers
    }

    fn members(&self) -> &[MemberState] {
        &self.members
    }

    fn requests(&self) -> &[RequestState] {
        &self.requests
    }

    fn processes(&self) -> &[ProcessState] {
        &self.processes
    }

    fn connections(&self) -> &[AtomicU16] {
        &self.connections
    }

    fn edits(&self) -> &[AtomicU64] {
        &self.edits
    }

    fn common(&self) -> &CommonState {
        &self.common
    }

    fn is_alive(&self, process: u32) -> bool {
        process == process::id()
    }
}
