//! Where the records of workers are.
//!
//! An engine has one record, whichever balancers have it as a member and whether it is a worker of its
//! own as well: its name tells which one, as in C mod_jk. So what it serves for all of them counts
//! for its limits.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Layout;
use crate::config::{WorkerConfig, WorkerName};

/// Where the records of one worker are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    /// The first one of each kind but for its engines.
    pub first: Layout,
    /// Positions of its engines, members in their order.
    pub engines: Vec<usize>,
}

impl Positions {
    /// Of a worker with that many engines whose records are the first ones.
    pub fn first(engines: usize) -> Self {
        Self { first: Layout::default(), engines: (0..engines).collect() }
    }
}

/// The engines of a worker, in their order.
pub fn engines(worker: &WorkerConfig) -> Vec<&WorkerName> {
    match worker {
        WorkerConfig::Ajp13(config) => vec![&config.name],
        WorkerConfig::Balancer(balancer) => {
            balancer.members.iter().map(|member| &member.worker.name).collect()
        }
        WorkerConfig::Status(_) => Vec::new(),
    }
}

/// Where the records of all workers are, in their order, and how many records that makes.
pub fn positions(workers: &[WorkerConfig]) -> (Vec<Positions>, Layout) {
    let mut known: HashMap<&WorkerName, usize> = HashMap::new();
    let mut all = Layout::default();
    let mut place = |worker| {
        let first = all;
        let position = |name| {
            let next = known.len();
            *known.entry(name).or_insert(next)
        };
        let engines = engines(worker).into_iter().map(position).collect();
        all = Layout { workers: known.len(), ..all.and(Layout::of(worker)) };
        Positions { first, engines }
    };
    let places = workers.iter().map(&mut place).collect();
    (places, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::balancer::testing::{balancer, member};
    use crate::worker::testing::config;

    #[test]
    fn an_engine_has_one_record_wherever_it_is_named() {
        let lb = |names: &[&str]| {
            let members: Vec<_> = names.iter().map(|name| member(name)).collect();
            WorkerConfig::Balancer(Box::new(balancer(&members)))
        };
        let mut alone = config(1);
        alone.name = WorkerName::new(b"b").unwrap();
        let workers =
            [lb(&["a", "b"]), WorkerConfig::Ajp13(Box::new(alone)), lb(&["c", "a"]), lb(&["d"])];
        let (places, all) = positions(&workers);
        let engines: Vec<&[usize]> = places.iter().map(|place| &*place.engines).collect();
        assert_eq!(engines, [&[0, 1][..], &[1], &[2, 0], &[3]]);
        assert_eq!((all.workers, all.members, all.balancers), (4, 5, 3));
        let members: Vec<usize> = places.iter().map(|place| place.first.members).collect();
        assert_eq!(members, [0, 2, 2, 4]);
    }
}
