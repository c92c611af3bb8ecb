//! What an administrator sees of a balancer, and does to it beside changing its settings
//! (spec/mod_jk.md 7.2, 7.5).
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::group::Seat;
use super::serve::Balancer;
use super::state::Flip;
use crate::config::balancer::{BalanceMethod, BalancerConfig, Member};
use crate::shared::{BalancerState, MemberState, State, WorkerState};
use crate::worker::Worker;

/// A member with what all processes know of it.
#[derive(Debug, Clone, Copy)]
pub struct MemberRecord<'b> {
    /// Its settings.
    pub config: &'b Member,
    /// Its part in the balancer.
    pub state: &'b MemberState,
    /// The engine.
    pub engine: &'b WorkerState,
    /// Its connections in this process.
    pub worker: &'b Worker,
    /// What one request weighs (`lbmult`).
    pub multiplier: u64,
    /// What it has had of the load (`lbvalue`).
    pub load: u64,
}

impl Balancer {
    /// What all processes know of it.
    pub fn state(&self) -> Option<&BalancerState> {
        self.group.state()
    }

    /// The members in their order.
    pub fn members(&self) -> impl Iterator<Item = MemberRecord<'_>> {
        self.group.seats().zip(&self.workers).map(|(seat, worker)| {
            let load = self.group.load(&seat);
            let Seat { config, state, worker: engine, multiplier, .. } = seat;
            MemberRecord { config, state, engine, worker, multiplier, load }
        })
    }

    /// The same balancer with other settings of the same members.
    pub(in crate::worker) fn renew(&self, config: &BalancerConfig) -> Self {
        let members = self.workers.iter().zip(&config.members);
        let packet = config.members.iter().map(|member| member.worker.packet_size.bytes()).min();
        Self {
            workers: members.map(|(worker, member)| worker.renew(member.worker.clone())).collect(),
            packet: packet.unwrap_or_default(),
            group: self.group.renew(config.clone()),
        }
    }

    /// Closes the idle connections that its successor does not take over.
    pub(in crate::worker) fn leave_to(&self, next: &Self) {
        for (worker, next) in self.workers.iter().zip(&next.workers) {
            worker.leave_to(next);
        }
    }

    /// Forgets what the members have had of the load.
    pub(in crate::worker) fn forget_load(&self) {
        if let Some(state) = self.group.state() {
            state.begin_era();
        }
        if self.config().method != BalanceMethod::Busyness {
            self.group.seats().for_each(|seat| seat.state.set_lb_value(0));
        }
    }

    /// Sets counters and state of a member back, or those of all. `now`: seconds since 1970.
    pub(in crate::worker) fn reset(&self, member: Option<usize>, now: u64) {
        if let (None, Some(state)) = (member, self.state()) {
            state.reset(now);
        }
        for (place, seat) in self.group.seats().enumerate() {
            if member.is_none_or(|member| member == place) {
                seat.state.reset();
                seat.worker.reset(now);
            }
        }
    }

    /// Has a member tested that is in error. Fails with its state where it is not. `now`: seconds
    /// since 1970.
    pub(in crate::worker) fn recover(&self, place: usize, now: u64) -> Result<(), State> {
        let Some(seat) = self.group.seat(place) else { return Err(State::Idle) };
        let highest = self.group.seats().map(|seat| self.group.load(&seat)).max();
        if !seat.state.change_state(State::Error, State::Recover) {
            return Err(seat.state.state());
        }
        let flip = Flip { place, from: State::Error, to: State::Recover };
        self.group.write_down(flip, "an administrator wants it tried", now);
        if self.config().method != BalanceMethod::Busyness {
            seat.state.set_lb_value(highest.unwrap_or_default());
        }
        seat.worker.reply_timeouts.store(0, Ordering::Relaxed);
        Ok(())
    }
}
