//! What all processes of a web server see of the workers: atomics in memory that the border maps,
//! and nothing else (DESIGN.md 2). Contents start as zeros, which stand for a worker that nobody has
//! used yet and a member as it is configured.
#![forbid(unsafe_code)]

mod balancer;
mod worker;

use std::fmt::Debug;

pub use balancer::{BalancerState, MemberState, State};
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
}

impl Layout {
    /// The records of both.
    #[must_use]
    pub fn and(self, other: Layout) -> Layout {
        Layout {
            workers: self.workers.saturating_add(other.workers),
            balancers: self.balancers.saturating_add(other.balancers),
            members: self.members.saturating_add(other.members),
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
}

/// Memory of one process alone.
#[derive(Debug)]
pub struct Heap {
    workers: Vec<WorkerState>,
    balancers: Vec<BalancerState>,
    members: Vec<MemberState>,
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
}
