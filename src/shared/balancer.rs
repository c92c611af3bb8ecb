//! Balancers and their members, over all processes (spec/mod_jk.md 6.1, 6.9). All times are seconds
//! since 1970; zero stands for never.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::inflight::Inflight;
use super::requests::Ticket;
use super::worker::raise;
use crate::config::balancer::Activation;

/// What is known of a member's health [6.1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum State {
    /// Nothing bad; no request of late.
    Idle = 0,
    /// The last request went well.
    Ok = 1,
    /// It has been in error for long enough: the next request tests it.
    Recover = 2,
    /// In error, and so are all others: requests try it all the same.
    Force = 3,
    /// It serves as many requests as it may.
    Busy = 4,
    /// It failed.
    Error = 5,
    /// A request is testing it.
    Probe = 6,
}

impl State {
    const ALL: [State; 7] = [
        State::Idle,
        State::Ok,
        State::Recover,
        State::Force,
        State::Busy,
        State::Error,
        State::Probe,
    ];

    /// Whether requests may go to a member in this state.
    pub fn is_usable(self) -> bool {
        self <= State::Force
    }

    /// Whether nothing speaks against the member but that it may have enough to do.
    pub fn is_sound(self) -> bool {
        matches!(self, State::Idle | State::Ok | State::Busy)
    }

    /// Whether a member in this state is out, or is being tested because it was.
    pub fn is_recovering(self) -> bool {
        matches!(self, State::Error | State::Recover | State::Force | State::Probe)
    }

    /// As the log notes and status pages of mod_jk write it.
    pub fn text(self) -> &'static str {
        match self {
            State::Idle => "OK/IDLE",
            State::Ok => "OK",
            State::Recover => "ERR/REC",
            State::Force => "ERR/FRC",
            State::Busy => "OK/BUSY",
            State::Error => "ERR",
            State::Probe => "ERR/PRB",
        }
    }

    pub(super) fn from_number(number: u32) -> State {
        let place = usize::try_from(number).unwrap_or_default();
        State::ALL.get(place).copied().unwrap_or(State::Idle)
    }
}

/// One balancer.
#[derive(Debug, Default)]
#[repr(C)]
pub struct BalancerState {
    /// When some process ran its maintenance last.
    pub maintained: AtomicU64,
    /// How often the loads of all members began anew, with another unit.
    pub eras: AtomicU64,
    /// Requests of all members together, for `max_inflight`.
    pub inflight: Inflight,
    /// When the counters were reset last; zero: when they were created.
    pub last_reset: AtomicU64,
    /// Requests that went to another member because one had failed.
    pub failovers: AtomicU64,
    /// Requests that its members are serving now.
    pub busy: AtomicU32,
    /// Most requests that its members were serving at a time.
    pub max_busy: AtomicU32,
}

/// One request in [`BalancerState::busy`]; dropping it takes the request out.
#[derive(Debug)]
pub struct Serving<'s> {
    count: &'s AtomicU32,
    /// Freed after the request was counted out.
    _ticket: Ticket<'s>,
}

impl BalancerState {
    /// Counts a request in. `ticket`: what tells others about it, should this process be killed.
    pub fn enter<'s>(&'s self, ticket: Ticket<'s>) -> Serving<'s> {
        let before = self.busy.fetch_add(1, Ordering::AcqRel);
        raise(&self.max_busy, before.saturating_add(1));
        Serving { count: &self.busy, _ticket: ticket }
    }

    /// Sets the counters back. `now`: seconds since 1970.
    pub fn reset(&self, now: u64) {
        self.max_busy.store(0, Ordering::Relaxed);
        self.failovers.store(0, Ordering::Relaxed);
        self.last_reset.store(now, Ordering::Relaxed);
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        // Never below zero, whatever a process that was killed has left behind.
        let less = |busy: u32| busy.checked_sub(1);
        let _ = self.count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, less);
    }
}

impl BalancerState {
    /// What tells loads from those before they began anew.
    pub fn era(&self) -> u64 {
        self.eras.load(Ordering::Acquire)
    }

    /// Has the loads begin anew: what requests that are under way count at their end is no part of
    /// them. To be called before they are set.
    pub fn begin_era(&self) {
        self.eras.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes over what another record says.
    pub fn carry(&self, from: &Self) {
        // What is running now stays with those who serve it, and ends in their record.
        let Self { maintained, eras: _, inflight: _, last_reset, failovers, busy: _, max_busy } =
            from;
        copy_u64(maintained, &self.maintained);
        copy_u64(last_reset, &self.last_reset);
        copy_u64(failovers, &self.failovers);
        copy_u32(max_busy, &self.max_busy);
    }
}

fn copy_u64(from: &AtomicU64, to: &AtomicU64) {
    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
}

fn copy_u32(from: &AtomicU32, to: &AtomicU32) {
    to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// One member of a balancer.
#[derive(Debug, Default)]
#[repr(C)]
pub struct MemberState {
    /// What it has had of the load, weighted; the unit depends on the method.
    pub lb_value: AtomicU64,
    /// Requests that opened a session there, as far as one can tell.
    pub sessions: AtomicU64,
    /// [`super::WorkerState::used`] at the last maintenance.
    pub used_before: AtomicU64,
    /// First failure since the last success.
    pub first_error_time: AtomicU64,
    /// Last failure since the last success.
    pub last_error_time: AtomicU64,
    /// When it recovered, if it is coming to its full share since then (`slow_start`).
    pub warming_since: AtomicU64,
    /// Requests since then that would have been its own, where its load does not see to its share.
    pub turns: AtomicU64,
    /// Failures.
    pub errors: AtomicU32,
    /// Whether it is in error although its engine answers pings: 1, else 0.
    pub is_unfit: AtomicU32,
    state: AtomicU32,
    /// Zero as configured, else one more than the place in [`ACTIVATIONS`].
    activation: AtomicU32,
}

/// What an administrator may have chosen at run time.
const ACTIVATIONS: [Activation; 3] =
    [Activation::Active, Activation::Disabled, Activation::Stopped];

impl MemberState {
    /// Its state.
    pub fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Acquire))
    }

    /// Changes the state, whatever it is. Returns what it was.
    pub fn set_state(&self, state: State) -> State {
        State::from_number(self.state.swap(state as u32, Ordering::AcqRel))
    }

    /// Changes the state from one to another. False where it is no longer the first one.
    pub fn change_state(&self, from: State, to: State) -> bool {
        let (from, to) = (from as u32, to as u32);
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Which requests it gets, by an administrator's choice at run time or as `configured`.
    pub fn activation(&self, configured: Activation) -> Activation {
        let number = usize::try_from(self.activation.load(Ordering::Relaxed)).unwrap_or_default();
        let chosen = number.checked_sub(1).and_then(|place| ACTIVATIONS.get(place));
        chosen.copied().unwrap_or(configured)
    }

    /// Chooses which requests it gets from now on; `None`: as configured.
    pub fn set_activation(&self, activation: Option<Activation>) {
        let place = activation.and_then(|a| ACTIVATIONS.iter().position(|known| *known == a));
        let number = place.and_then(|place| u32::try_from(place.saturating_add(1)).ok());
        self.activation.store(number.unwrap_or_default(), Ordering::Relaxed);
    }

    /// Takes over what another record says of the same member.
    pub fn carry(&self, from: &Self) {
        // A field that is forgotten here does not compile.
        let Self {
            lb_value,
            sessions,
            used_before,
            first_error_time,
            last_error_time,
            warming_since,
            turns,
            errors,
            is_unfit,
            state,
            activation,
        } = from;
        copy_u64(lb_value, &self.lb_value);
        copy_u64(sessions, &self.sessions);
        copy_u64(used_before, &self.used_before);
        copy_u64(first_error_time, &self.first_error_time);
        copy_u64(last_error_time, &self.last_error_time);
        copy_u64(warming_since, &self.warming_since);
        copy_u64(turns, &self.turns);
        copy_u32(errors, &self.errors);
        copy_u32(is_unfit, &self.is_unfit);
        copy_u32(state, &self.state);
        copy_u32(activation, &self.activation);
    }

    /// Begins anew, as an administrator wants it: all counters and the state.
    pub fn reset(&self) {
        self.forget_errors();
        self.set_lb_value(0);
        self.sessions.store(0, Ordering::Relaxed);
        for counter in [&self.used_before, &self.warming_since, &self.turns] {
            counter.store(0, Ordering::Relaxed);
        }
        self.errors.store(0, Ordering::Relaxed);
        self.is_unfit.store(0, Ordering::Relaxed);
        self.set_state(State::Idle);
    }

    /// What it has had of the load.
    pub fn lb_value(&self) -> u64 {
        self.lb_value.load(Ordering::Relaxed)
    }

    /// Decides what it has had of the load.
    pub fn set_lb_value(&self, value: u64) {
        self.lb_value.store(value, Ordering::Relaxed);
    }

    /// Forgets all failures but their number.
    pub fn forget_errors(&self) {
        self.first_error_time.store(0, Ordering::Relaxed);
        self.last_error_time.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::WorkerState;

    #[test]
    fn zeros_are_an_idle_member_as_configured() {
        let member = MemberState::default();
        assert_eq!(member.state(), State::Idle);
        for configured in ACTIVATIONS {
            assert_eq!(member.activation(configured), configured);
            for chosen in ACTIVATIONS {
                member.set_activation(Some(chosen));
                assert_eq!(member.activation(configured), chosen);
            }
            member.set_activation(None);
        }
    }

    #[test]
    fn only_one_changes_a_state() {
        let member = MemberState::default();
        assert!(member.change_state(State::Idle, State::Probe));
        assert!(!member.change_state(State::Idle, State::Probe));
        assert_eq!(member.set_state(State::Error), State::Probe);
        for state in State::ALL {
            member.set_state(state);
            assert_eq!(member.state(), state);
        }
    }

    #[test]
    fn a_thousand_members_take_less_than_a_mebibyte() {
        let bytes = size_of::<MemberState>() + size_of::<WorkerState>();
        assert!(bytes * 1000 + size_of::<BalancerState>() < 1 << 20, "{bytes}");
    }
}
