//! What follows for a member from the requests that it was given, and from time (spec/mod_jk.md
//! 6.3, 6.7 as amended by spec/reliability.md 0).
//!
//! | result | state | failure counted | times |
//! |---|---|---|---|
//! | Done, ClientFailed, StatusSoft | OK | no | cleared |
//! | StatusFatal | ERR | yes | now |
//! | ReplyTimeout, too many | ERR | yes | now |
//! | ReplyTimeout, Garbled | as it was | no | as they were |
//! | NoSlot, Saturated | BUSY | no | as they were |
//! | Down | ERR if no other request runs there or it has been failing for long | yes | now |
//! | good check | OK, if requests did not fail on an engine that answers pings | no | cleared |
//! | bad check | ERR | if it was not | now |
//!
//! Beyond C mod_jk: a member is in error only while another one is sound, unless it has been failing
//! for `error_escalation_time`, so that no single request takes out the last one; and a member
//! that is tested and fails in any way is in error again.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::group::{Group, Seat};
use crate::config::balancer::Activation;
use crate::shared::State;

/// How a member's part in a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It answered.
    Done,
    /// The client broke off.
    ClientFailed,
    /// It answered with a status that stands for the failure of this request.
    StatusSoft,
    /// It answered with a status that stands for its failure.
    StatusFatal,
    /// It did not answer in time.
    ReplyTimeout,
    /// What it sent is no AJP13.
    Garbled,
    /// This process has no connection left for it; nothing was sent.
    NoSlot,
    /// All processes together serve as many requests there as they may; nothing was sent.
    Saturated,
    /// It could not be reached, or it broke off.
    Down,
}

impl Ending {
    /// For the log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Done => "a request went well",
            Self::ClientFailed => "it was the client that failed",
            Self::StatusSoft => "it answered, with a status of fail_on_status",
            Self::StatusFatal => "it answered with a status of fail_on_status",
            Self::ReplyTimeout => "too many reply timeouts",
            Self::Garbled => "it sent something that is not AJP13",
            Self::NoSlot => "all connections of a process are in use",
            Self::Saturated => "it serves busy_limit requests",
            Self::Down => "it cannot be reached, or it broke off",
        }
    }
}

/// A state that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flip {
    /// The member.
    pub place: usize,
    pub from: State,
    pub to: State,
}

impl Group {
    /// Makes members available again that were busy. `has_slot`: whether this process has a
    /// connection left for a member.
    pub(super) fn end_busy(&self, has_slot: impl Fn(usize) -> bool) {
        for (place, member) in self.members().iter().enumerate() {
            if member.state() != State::Busy {
                continue;
            }
            let Some(seat) = self.seat(place) else { continue };
            let busy = seat.worker.busy.load(Ordering::Relaxed);
            let has_room = seat.config.worker.busy_limit.is_none_or(|limit| busy < limit);
            if has_room && has_slot(place) {
                seat.state.change_state(State::Busy, State::Ok);
            }
        }
    }

    /// Takes a member for a request that chose it some time ago. A member that waits for its test is
    /// given to one request only. Fails with its state where the member can no longer be had.
    pub(super) fn claim(&self, seat: &Seat<'_>, now: u64) -> Result<(), State> {
        let state = seat.state.state();
        if !state.is_usable() {
            return Err(state);
        }
        if state == State::Recover {
            // A test whose process dies must not keep others out for ever.
            seat.state.last_error_time.store(now, Ordering::Relaxed);
            if !seat.state.change_state(State::Recover, State::Probe) {
                return Err(State::Probe);
            }
        }
        Ok(())
    }

    /// Draws the consequences of a request. `others`: requests that the member is serving beside
    /// this one.
    pub(super) fn settle(
        &self,
        place: usize,
        ending: Ending,
        others: u32,
        now: u64,
    ) -> Option<Flip> {
        let seat = self.seat(place)?;
        let member = seat.state;
        let from = member.state();
        let is_tested = from == State::Probe;
        let since = member.first_error_time.load(Ordering::Relaxed);
        let patience = self.config.error_escalation_time.as_secs();
        let is_failing_for_long = since > 0 && now.saturating_sub(since) >= patience;
        let fails = || match is_tested || is_failing_for_long || !self.is_last_sound(place) {
            true => State::Error,
            false => State::Ok,
        };
        let count = || {
            member.errors.fetch_add(1, Ordering::Relaxed);
            let _ = set_if_zero(&member.first_error_time, now);
            member.last_error_time.store(now, Ordering::Relaxed);
        };
        // An engine that fails in what it answers, or does not answer, may well answer a ping.
        let count_unfit = |to| {
            count();
            if to == State::Error {
                member.is_unfit.store(1, Ordering::Relaxed);
                member.first_error_time.store(now, Ordering::Relaxed);
            }
        };
        let to = match ending {
            Ending::Done | Ending::ClientFailed | Ending::StatusSoft => {
                member.forget_errors();
                if from.is_recovering() {
                    self.begin_slow_start(&seat, now);
                }
                State::Ok
            }
            Ending::StatusFatal => {
                let to = fails();
                count_unfit(to);
                to
            }
            Ending::ReplyTimeout => {
                let timeouts = &seat.worker.reply_timeouts;
                let count_now = timeouts.fetch_add(1, Ordering::Relaxed).saturating_add(1);
                if self.config.max_reply_timeouts.is_some_and(|most| count_now > most) {
                    let to = fails();
                    count_unfit(to);
                    to
                } else {
                    unchanged(from)
                }
            }
            Ending::Garbled => unchanged(from),
            Ending::NoSlot | Ending::Saturated => match from {
                State::Error => State::Error,
                // It was not tested after all.
                State::Probe | State::Recover => State::Recover,
                _ => State::Busy,
            },
            Ending::Down => {
                let to = match others == 0 || patience == 0 || is_failing_for_long || is_tested {
                    true => fails(),
                    false => unchanged(from),
                };
                count();
                if to == State::Error {
                    member.is_unfit.store(0, Ordering::Relaxed);
                }
                to
            }
        };
        if to == State::Error && from == State::Probe {
            member.last_error_time.store(now, Ordering::Relaxed);
        }
        if from == to {
            return None;
        }
        // What says nothing of the member does not undo what another request has just found out.
        let is_finding = matches!(ending, Ending::Done | Ending::ClientFailed | Ending::StatusSoft)
            || to == State::Error;
        let from = match is_finding {
            true => member.set_state(to),
            false if member.change_state(from, to) => from,
            false => return None,
        };
        (from != to).then_some(Flip { place, from, to })
    }

    /// Draws the consequences of a check of a member's engine. A good one does what a request would do
    /// that tests the member, but for members whose engine answers pings while it fails requests. A
    /// bad one takes the member out as a failed request would that is the only one. `is_news`: the
    /// check before it ended otherwise.
    pub(super) fn settle_check(
        &self,
        place: usize,
        is_good: bool,
        is_news: bool,
        now: u64,
    ) -> Option<Flip> {
        let seat = self.seat(place)?;
        let member = seat.state;
        let from = member.state();
        let to = match (is_good, from) {
            (true, State::Error | State::Recover | State::Force) => {
                if member.is_unfit.load(Ordering::Relaxed) != 0 {
                    return None;
                }
                member.forget_errors();
                seat.worker.reply_timeouts.store(0, Ordering::Relaxed);
                member.lb_value.fetch_max(self.highest_load(), Ordering::Relaxed);
                self.begin_slow_start(&seat, now);
                State::Ok
            }
            // A request tests it.
            (_, State::Probe) => return None,
            (true, _) => {
                // What a check has found does not outlast it, as what requests have found does.
                if is_news {
                    member.forget_errors();
                }
                return None;
            }
            // Nobody else is left, so that requests try it all the same.
            (false, State::Force) if !self.has_substitute(place) => return None,
            (false, State::Error) => {
                // Users need not find out what is known.
                member.last_error_time.store(now, Ordering::Relaxed);
                member.is_unfit.store(0, Ordering::Relaxed);
                return None;
            }
            (false, _) => {
                let since = member.first_error_time.load(Ordering::Relaxed);
                let patience = self.config.error_escalation_time.as_secs();
                let is_failing_for_long = since > 0 && now.saturating_sub(since) >= patience;
                let is_out = is_failing_for_long || !self.is_last_sound(place);
                let _ = set_if_zero(&member.first_error_time, now);
                member.last_error_time.store(now, Ordering::Relaxed);
                if !is_out {
                    return None;
                }
                member.errors.fetch_add(1, Ordering::Relaxed);
                member.is_unfit.store(0, Ordering::Relaxed);
                State::Error
            }
        };
        member.change_state(from, to).then_some(Flip { place, from, to })
    }

    /// Whether this member is sound, and no other one is that could take its place.
    fn is_last_sound(&self, place: usize) -> bool {
        let is_sound = self.seat(place).is_some_and(|seat| seat.state.state().is_sound());
        is_sound && !self.has_substitute(place)
    }

    /// Whether another member is sound and could take this one's place.
    fn has_substitute(&self, place: usize) -> bool {
        let mut others = self.seats().enumerate().filter(|(other, _)| *other != place);
        others.any(|(_, seat)| seat.state.state().is_sound() && self.can_take_over(&seat))
    }

    /// Whether a member gets requests when others fail: an active one does, and one that stands by
    /// as the redirect of another.
    fn can_take_over(&self, seat: &Seat<'_>) -> bool {
        match seat.activation() {
            Activation::Active => true,
            Activation::Stopped => false,
            Activation::Disabled => {
                let mut redirects = self.config.members.iter().map(|member| &member.redirect);
                redirects.any(|redirect| *redirect == seat.config.route)
            }
        }
    }

    /// Lets requests try all members that are in error. Returns their places.
    pub(super) fn force(&self) -> Vec<usize> {
        let mut forced = Vec::new();
        for (place, seat) in self.seats().enumerate() {
            if seat.state.change_state(State::Error, State::Force) {
                seat.worker.reply_timeouts.store(0, Ordering::Relaxed);
                forced.push(place);
            }
        }
        forced
    }

    /// What is to be done once per `worker.maintain`, by whichever process comes first: forgets
    /// old load, lets members be tested that have been in error for long enough, and takes out those
    /// that have been failing for long.
    pub(super) fn maintain(&self, now: u64) -> Vec<Flip> {
        let (Some(interval), Some(state)) = (self.maintain, self.state()) else {
            return Vec::new();
        };
        let before = state.maintained.load(Ordering::Relaxed);
        // Another process may have looked at the clock a moment later.
        let is_due = before == 0 || now.abs_diff(before) >= interval;
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        if !is_due || state.maintained.compare_exchange(before, now, set, seen).is_err() {
            return Vec::new();
        }
        if before == 0 || before > now {
            // The first run begins the count; a clock that was set back begins it anew.
            return self.look_after(now, self.highest_load());
        }
        let halvings = now.saturating_sub(before).checked_div(interval).unwrap_or_default();
        let highest = self.decay(halvings);
        self.look_after(now, highest)
    }

    /// Without maintenance requests see to it that members are tested.
    pub(super) fn recover(&self, now: u64) -> Vec<Flip> {
        let highest = self.highest_load();
        let flips = self.seats().enumerate().filter_map(|(place, seat)| {
            let from = self.recover_member(&seat, now, highest)?;
            Some(Flip { place, from, to: State::Recover })
        });
        flips.collect()
    }

    /// Lets a member be tested that has been in error for long enough, or whose test has gone on for
    /// so long that nobody may be left to end it. Returns the state that it had.
    fn recover_member(&self, seat: &Seat<'_>, now: u64, highest: u64) -> Option<State> {
        let from = seat.state.state();
        let rest = self.config.recover_time;
        let limit = match from {
            State::Error => rest,
            State::Probe => rest.max(seat.config.worker.reply_timeout.unwrap_or_default()),
            _ => return None,
        };
        let since = seat.state.last_error_time.load(Ordering::Relaxed);
        // Who has failed a moment after this look at the clock has not rested.
        let is_due = now.abs_diff(since) > limit.as_secs();
        if !is_due || !seat.state.change_state(from, State::Recover) {
            return None;
        }
        // It must not get all requests at once because it had none.
        seat.state.lb_value.store(highest, Ordering::Relaxed);
        seat.worker.reply_timeouts.store(0, Ordering::Relaxed);
        Some(from)
    }

    fn look_after(&self, now: u64, highest: u64) -> Vec<Flip> {
        let patience = self.config.error_escalation_time.as_secs();
        let mut flips = Vec::new();
        let mut is_any_left = false;
        for (place, seat) in self.seats().enumerate() {
            let from = seat.state.state();
            let since = seat.state.first_error_time.load(Ordering::Relaxed);
            let used = seat.worker.used.load(Ordering::Relaxed);
            let before = seat.state.used_before.swap(used, Ordering::Relaxed);
            if let Some(from) = self.recover_member(&seat, now, highest) {
                is_any_left = true;
                flips.push(Flip { place, from, to: State::Recover });
                continue;
            }
            let last = seat.state.last_error_time.load(Ordering::Relaxed);
            // A single failure of the last one that works says little.
            let has_failed_on = last.saturating_sub(since) >= patience;
            let to = match from {
                State::Error => continue,
                // A test that never ends, for whatever reason, is one that failed.
                _ if since > 0
                    && now.saturating_sub(since) >= patience
                    && from != State::Recover
                    && (has_failed_on || !self.is_last_sound(place)) =>
                {
                    State::Error
                }
                State::Ok if used == before => State::Idle,
                _ => from,
            };
            is_any_left |= to != State::Error;
            if to != from && seat.state.change_state(from, to) {
                flips.push(Flip { place, from, to });
            }
        }
        if !is_any_left {
            let forced = self.force().into_iter();
            flips.extend(forced.map(|place| Flip { place, from: State::Error, to: State::Force }));
        }
        flips
    }
}

/// The state of a member after a request that says nothing about it.
fn unchanged(from: State) -> State {
    match from {
        State::Error | State::Probe => State::Error,
        // Neither has been tested by this request, which began before.
        State::Recover | State::Force => from,
        _ => State::Ok,
    }
}

fn set_if_zero(time: &AtomicU64, now: u64) -> Result<u64, u64> {
    time.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
