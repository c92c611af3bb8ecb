//! What a member has had of the load (`method`) [6.2], and how that is forgotten [6.3].
//!
//! | method | a request counts | when |
//! |---|---|---|
//! | Request | its weight | it is sent |
//! | Sessions, Next | its weight if it seems to open a session | it is sent |
//! | Traffic | its bytes in both directions, weighted | it is done |
//! | Busyness | its weight | while it runs, from the connection on |
//! | Address | nothing | never: the client's address decides |
//!
//! A member that recovered weighs more for some time (`slow_start`): it comes to a tenth of its share
//! at first, and to all of it in the end.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::group::{Group, Seat};
use crate::config::balancer::{Activation, BalanceMethod, Member};

/// What a request weighs at each member, so that members with twice the factor get twice the load.
pub(super) fn multipliers(members: &[Member]) -> Vec<u64> {
    let factors = || members.iter().map(|member| u64::from(member.lbfactor.max(1)));
    // Loads are sums of weights, or of bytes times weights, in 64 bits: beyond 32 bits of weight a busy
    // minute would overflow them, as it does in C mod_jk. So the weights of factors without a smaller
    // common multiple are rounded: the share of a factor of 1,000 is then wrong by a quarter of a
    // millionth, that of a million by 0.03 %.
    let common = factors().try_fold(1, lowest_common_multiple).unwrap_or(u64::from(u32::MAX));
    factors().map(|factor| common.checked_div(factor).unwrap_or(1).max(1)).collect()
}

fn lowest_common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor.checked_rem(rest)?);
    }
    a.checked_div(divisor)?.checked_mul(b).filter(|multiple| *multiple <= u64::from(u32::MAX))
}

/// A part of a member's share, more than none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub part: u64,
    pub whole: u64,
}

impl Part {
    /// What a load counts as, so that less of it fills the part.
    fn raise(self, load: u64) -> u64 {
        let raised = u128::from(load).saturating_mul(self.whole.into());
        let raised = raised.checked_div(self.part.into()).unwrap_or_default();
        u64::try_from(raised).unwrap_or(u64::MAX)
    }

    /// The weight of the request with this number: whole numbers that are right on average.
    fn weight(self, multiplier: u64, number: u64) -> u64 {
        let number = number.checked_rem(self.part).unwrap_or_default();
        let until = |requests: u64| self.raise(multiplier.saturating_mul(requests));
        until(number.saturating_add(1)).saturating_sub(until(number))
    }
}

/// Adds to a load. A sum that is too large stays at the end of the range.
fn add(load: &AtomicU64, more: u64) {
    let sum = |load: u64| Some(load.saturating_add(more));
    let _ = load.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
}

impl Group {
    /// The load of a member; the lowest one is chosen.
    pub(super) fn load(&self, seat: &Seat<'_>) -> u64 {
        match self.config.method {
            // From the requests that it is serving, so that a process that was killed spoils
            // nothing that the repair of that number does not mend.
            BalanceMethod::Busyness => {
                u64::from(seat.worker.busy.load(Ordering::Relaxed)).saturating_mul(seat.multiplier)
            }
            _ => seat.state.lb_value.load(Ordering::Relaxed),
        }
    }

    /// The load of a member for a choice at `now`: in proportion to the part of its share that it has
    /// come to.
    pub(super) fn load_at(&self, seat: &Seat<'_>, now: u64) -> u64 {
        let load = self.load(seat);
        match self.config.method {
            BalanceMethod::Busyness => {
                // Fractions count where some weigh more.
                let fine = load.saturating_mul(1 << 10);
                self.part(seat, now).map_or(fine, |part| part.raise(fine))
            }
            _ => load,
        }
    }

    /// The part of its share that a member has come to; `None`: all of it.
    pub(super) fn part(&self, seat: &Seat<'_>, now: u64) -> Option<Part> {
        let slow_start = self.config.slow_start.as_secs();
        let since = seat.state.warming_since.load(Ordering::Relaxed);
        // After a clock was set back nobody knows how long it has been.
        let time = now.checked_sub(since).filter(|_| since > 0 && slow_start > 0)?;
        (time < slow_start).then(|| Part {
            part: slow_start.saturating_add(time.saturating_mul(9)),
            whole: slow_start.saturating_mul(10),
        })
    }

    /// Whether a member that has not come to its full share leaves a request to others. For methods
    /// whose loads are no memory of what it had.
    pub(super) fn leaves_to_others(&self, seat: &Seat<'_>, now: u64) -> bool {
        let Some(Part { part, whole }) = self.part(seat, now) else { return false };
        let turn = seat.state.turns.fetch_add(1, Ordering::Relaxed);
        let taken =
            |turns: u64| u128::from(turns).saturating_mul(part.into()).checked_div(whole.into());
        taken(turn) == taken(turn.saturating_add(1))
    }

    /// Lets a member that has recovered begin with a part of its share.
    pub(super) fn begin_slow_start(&self, seat: &Seat<'_>, now: u64) {
        if self.config.slow_start.is_zero() {
            return;
        }
        // It must not get all requests at once because it had none.
        seat.state.lb_value.fetch_max(self.highest_load(), Ordering::Relaxed);
        seat.state.turns.store(0, Ordering::Relaxed);
        seat.state.warming_since.store(now, Ordering::Relaxed);
    }

    /// The highest load of all members.
    pub(super) fn highest_load(&self) -> u64 {
        self.seats().map(|seat| self.load(&seat)).max().unwrap_or_default()
    }

    /// Counts a request that is sent to a member. `opens_session`: it has no session id and a
    /// response may bring one. Returns the load that it is counted as.
    pub(super) fn charge(&self, seat: &Seat<'_>, opens_session: bool, now: u64) -> u64 {
        let turn = seat.worker.used.fetch_add(1, Ordering::Relaxed);
        if opens_session {
            seat.state.sessions.fetch_add(1, Ordering::Relaxed);
        }
        if !self.counts_at_start(opens_session) {
            return 0;
        }
        let part = self.part(seat, now);
        let weight = part.map_or(seat.multiplier, |part| part.weight(seat.multiplier, turn));
        add(&seat.state.lb_value, weight);
        weight
    }

    /// Takes back what [`Group::charge`] counted: the request was never sent. `charged`: what it
    /// returned.
    pub(super) fn refund(&self, seat: &Seat<'_>, opens_session: bool, charged: u64) {
        // An administrator may have set all of them back meanwhile.
        let take = |count: &AtomicU64, n: u64| {
            let less = |count: u64| Some(count.saturating_sub(n));
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        };
        take(&seat.worker.used, 1);
        if opens_session {
            take(&seat.state.sessions, 1);
        }
        take(&seat.state.lb_value, charged);
    }

    fn counts_at_start(&self, opens_session: bool) -> bool {
        match self.config.method {
            BalanceMethod::Request => true,
            BalanceMethod::Sessions | BalanceMethod::Next => opens_session,
            BalanceMethod::Traffic | BalanceMethod::Busyness | BalanceMethod::Address => false,
        }
    }

    /// Counts the bytes of a request that is done.
    pub(super) fn charge_traffic(&self, seat: &Seat<'_>, bytes: u64, now: u64) {
        if self.config.method == BalanceMethod::Traffic {
            let weighted = bytes.saturating_mul(seat.multiplier);
            let weighted = self.part(seat, now).map_or(weighted, |part| part.raise(weighted));
            add(&seat.state.lb_value, weighted);
        }
    }

    /// Forgets old load: half of it for each of `halvings`. Returns the highest load that is left.
    pub(super) fn decay(&self, halvings: u64) -> u64 {
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        for seat in self.seats() {
            let halve = |value: u32| Some(value.checked_shr(halvings).unwrap_or_default());
            let timeouts = &seat.worker.reply_timeouts;
            let _ = timeouts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, halve);
        }
        let change = |seat: &Seat<'_>, by: &dyn Fn(u64) -> u64| {
            let value = &seat.state.lb_value;
            let _ = value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |v| Some(by(v)));
        };
        match self.config.method {
            BalanceMethod::Busyness | BalanceMethod::Address => 0,
            BalanceMethod::Next => {
                // As in C mod_jk the highest is that before the lowest is taken away.
                let before = self.highest_load();
                let is_usable = |seat: &Seat<'_>| {
                    seat.state.state().is_usable() && seat.activation() == Activation::Active
                };
                let lowest = self.seats().filter(is_usable).map(|seat| self.load(&seat)).min();
                let lowest = lowest.unwrap_or_default();
                self.seats().for_each(|seat| change(&seat, &|value| value.saturating_sub(lowest)));
                before
            }
            _ => {
                let halve = |value: u64| value.checked_shr(halvings).unwrap_or_default();
                self.seats().for_each(|seat| change(&seat, &halve));
                self.highest_load()
            }
        }
    }
}

#[cfg(test)]
#[path = "slow_start_tests.rs"]
mod slow_start;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::balancer::testing::{group, member};

    const NOW: u64 = 1_000_000;

    fn weights(factors: &[u32]) -> Vec<u64> {
        let members: Vec<Member> =
            factors.iter().map(|f| Member { lbfactor: *f, ..member("m") }).collect();
        multipliers(&members)
    }

    #[test]
    fn weights_are_the_common_multiple_by_the_factor() {
        assert_eq!(weights(&[2, 1]), [1, 2]);
        assert_eq!(weights(&[5, 3, 1]), [3, 5, 15]);
        assert_eq!(weights(&[4, 6]), [3, 2]);
        assert_eq!(weights(&[7]), [1]);
        // No common multiple in 32 bits: nearly right.
        let odd = weights(&[1_000_003, 999_983, 999_979]);
        assert!(odd.iter().all(|weight| (4294..=4295).contains(weight)), "{odd:?}");
        assert_eq!(weights(&[u32::MAX, 1]), [1, u64::from(u32::MAX)]);
    }

    fn loads(group: &Group) -> Vec<u64> {
        group.seats().map(|seat| group.load(&seat)).collect()
    }

    #[test]
    fn each_method_counts_what_it_is_named_for() {
        // method, load after one request with a session and one without, 10 bytes each, and a
        // third one that is still running
        for (method, expected) in [
            (BalanceMethod::Request, 6),
            (BalanceMethod::Sessions, 2),
            (BalanceMethod::Next, 2),
            (BalanceMethod::Traffic, 40),
            (BalanceMethod::Busyness, 2),
            (BalanceMethod::Address, 0),
        ] {
            let mut members = [member("a"), member("b")];
            members[1].lbfactor = 2;
            let group = group(&members, |config| config.method = method);
            let seat = group.seat(0).unwrap();
            for opens in [false, true] {
                group.charge(&seat, opens, NOW);
                group.charge_traffic(&seat, 10, NOW);
            }
            group.charge(&seat, false, NOW);
            let _running = seat.worker.enter(None);
            assert_eq!(loads(&group), [expected, 0], "{method:?}");
            assert_eq!(seat.state.sessions.load(Ordering::Relaxed), 1);
            let charged = group.charge(&seat, true, NOW);
            group.refund(&seat, true, charged);
            assert_eq!(loads(&group), [expected, 0], "{method:?}");
        }
    }

    #[test]
    fn what_was_set_back_meanwhile_is_not_refunded() {
        let group = group(&[member("a"), member("b")], |_| ());
        let seat = group.seat(0).unwrap();
        let charged = group.charge(&seat, true, NOW);
        seat.state.reset();
        seat.worker.reset(NOW);
        group.refund(&seat, true, charged);
        assert_eq!(seat.worker.used.load(Ordering::Relaxed), 0);
        assert_eq!(seat.state.sessions.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn old_load_is_forgotten() {
        for (method, halvings, expected, highest) in [
            (BalanceMethod::Request, 1, [50, 30, 10], 50),
            (BalanceMethod::Traffic, 2, [25, 15, 5], 25),
            (BalanceMethod::Sessions, 64, [0, 0, 0], 0),
            (BalanceMethod::Sessions, u64::MAX, [0, 0, 0], 0),
            // The third one is disabled: the second is the lowest, and nothing goes below zero.
            (BalanceMethod::Next, 1, [40, 0, 0], 100),
            (BalanceMethod::Busyness, 1, [0, 0, 0], 0),
        ] {
            let mut members = [member("a"), member("b"), member("c")];
            members[2].activation = Activation::Disabled;
            let group = group(&members, |config| config.method = method);
            for (seat, value) in group.seats().zip([100, 60, 20]) {
                seat.state.lb_value.store(value, Ordering::Relaxed);
                seat.worker.reply_timeouts.store(4, Ordering::Relaxed);
            }
            assert_eq!(group.decay(halvings), highest, "{method:?}");
            assert_eq!(loads(&group), expected, "{method:?}");
            let timeouts = group.seat(0).unwrap().worker.reply_timeouts.load(Ordering::Relaxed);
            assert_eq!(timeouts, if halvings > 2 { 0 } else { 4 >> halvings });
        }
    }
}
