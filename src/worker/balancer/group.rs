//! The members of a balancer with what all processes know of them.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::address::seed;
use super::method::multipliers;
use super::state::Flip;
use crate::config::balancer::{Activation, BalancerConfig, Member};
use crate::shared::{BalancerState, MemberState, Memory, Positions, WorkerState};

/// All that the choice of a member and its consequences need: settings and shared records.
#[derive(Debug)]
pub(super) struct Group {
    pub config: BalancerConfig,
    multipliers: Vec<u64>,
    /// One for each member, of its name.
    seeds: Vec<u64>,
    memory: Arc<dyn Memory>,
    /// Positions of the balancer's records and of its members'.
    at: Positions,
    /// Where this process begins to look for the next member.
    pub offset: AtomicUsize,
    /// `worker.maintain`, whole seconds; `None`: there is no maintenance.
    pub maintain: Option<u64>,
}

/// One member.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat<'g> {
    pub config: &'g Member,
    pub state: &'g MemberState,
    pub worker: &'g WorkerState,
    /// What one request weighs: the less, the more of them it is to have.
    pub multiplier: u64,
    /// What tells it from others where addresses decide.
    pub seed: u64,
}

impl Seat<'_> {
    /// Which requests it gets, if a rule does not say otherwise.
    pub(super) fn activation(&self) -> Activation {
        self.state.activation(self.config.activation)
    }
}

impl Group {
    /// `at`: positions of the balancer's record and of its members' in `memory`.
    pub(super) fn new(
        config: BalancerConfig,
        memory: Arc<dyn Memory>,
        at: Positions,
        maintain: Option<Duration>,
    ) -> Self {
        Self {
            multipliers: multipliers(&config.members),
            seeds: config.members.iter().map(|m| seed(m.worker.name.as_bytes())).collect(),
            config,
            memory,
            at,
            offset: AtomicUsize::new(0),
            maintain: maintain.map(|time| time.as_secs().max(1)),
        }
    }

    /// Keeps a change of a state for status pages. `now`: seconds since 1970.
    pub(super) fn write_down(&self, flip: Flip, why: &str, now: u64) {
        let member = self.at.first.members.saturating_add(flip.place);
        self.memory.common().journal.write(now, member, flip.from, flip.to, why);
    }

    /// The same members with other settings.
    pub(super) fn renew(&self, config: BalancerConfig) -> Self {
        Self {
            multipliers: multipliers(&config.members),
            seeds: self.seeds.clone(),
            config,
            memory: Arc::clone(&self.memory),
            at: self.at.clone(),
            offset: AtomicUsize::new(self.offset.load(Ordering::Relaxed)),
            maintain: self.maintain,
        }
    }

    /// Position of the balancer's record.
    pub(super) fn position(&self) -> usize {
        self.at.first.balancers
    }

    /// The balancer's own record.
    pub(super) fn state(&self) -> Option<&BalancerState> {
        self.memory.balancers().get(self.at.first.balancers)
    }

    /// What all processes know of the members, in their order; shorter where the memory is.
    pub(super) fn members(&self) -> &[MemberState] {
        let first = self.at.first.members;
        let members = self.memory.members().get(first..).unwrap_or_default();
        members.get(..self.config.members.len()).unwrap_or(members)
    }

    /// The members in their order.
    pub(super) fn seats(&self) -> impl Iterator<Item = Seat<'_>> {
        // One look at the memory for all, not one for each: requests walk over all of them.
        let workers = self.memory.workers();
        let all = self.config.members.iter().zip(self.members()).zip(&self.at.engines);
        let all = all.zip(&self.multipliers).zip(&self.seeds);
        all.map_while(|((((config, state), engine), multiplier), seed)| {
            let worker = workers.get(*engine)?;
            Some(Seat { config, state, worker, multiplier: *multiplier, seed: *seed })
        })
    }

    /// One member by its place.
    pub(super) fn seat(&self, place: usize) -> Option<Seat<'_>> {
        Some(Seat {
            config: self.config.members.get(place)?,
            state: self.members().get(place)?,
            worker: self.memory.workers().get(*self.at.engines.get(place)?)?,
            multiplier: *self.multipliers.get(place)?,
            seed: *self.seeds.get(place)?,
        })
    }

    /// The states of all members.
    #[cfg(test)]
    pub(super) fn states(&self) -> Vec<crate::shared::State> {
        self.seats().map(|seat| seat.state.state()).collect()
    }
}
