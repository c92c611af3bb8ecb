//! Serves a request with the members of a balancer: choose, try, draw the consequences, and then
//! done, another member, or an error (spec/mod_jk.md 6.6 as amended by spec/reliability.md 0).
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::address::Address;
use super::choice::{Choice, Full, Mark, Marks, NoChoice, Wish};
use super::group::Group;
use super::state::{Ending, Flip};
use super::sticky::{Session, session};
use super::tell::{Report, text};
use crate::config::balancer::{Activation, BalanceMethod, BalancerConfig};
use crate::host::{Balancing, Request};
use crate::jk_log;
use crate::log::{Level, Log};
use crate::net::NameCache;
use crate::shared::requests::Count;
use crate::shared::{Admission, BalancerState, Memory, Positions, State};
use crate::worker::ajp13::Worker;
use crate::worker::buffers::Buffers;
use crate::worker::error::Failure;
use crate::worker::forward::{Outcome, Parcel, Serving};
use crate::worker::health::Engine;
use crate::worker::prepare::Routing;

/// A configured balancer with its members' connections in this process.
#[derive(Debug)]
pub struct Balancer {
    pub(super) group: Group,
    /// One for each member, in their order.
    pub(super) workers: Vec<Worker>,
    /// The smallest packet size of all members, bytes.
    pub(super) packet: usize,
}

/// State of one request over all its members.
struct Trial<'b> {
    wish: Wish,
    marks: Marks,
    /// The request among those of all members, where their number is limited.
    admission: Option<Admission<'b>>,
    /// Rounds before this one, and attempts in this one.
    round: u32,
    attempt: u32,
    was_forced: bool,
    /// The status for the client if no other member is found than the one that failed last.
    failed: Option<u16>,
    report: Report<'b>,
}

/// What comes after an attempt.
enum Next {
    Done(Outcome),
    /// Another attempt; this one counts.
    Another,
    /// Another choice; the member was not tried.
    Again,
    /// No member will do.
    Nobody(NoChoice),
}

impl Balancer {
    /// A balancer without connections. `resolved`: what is known of names. `at`: positions of its record and of its members' in `memory`. `maintain`: time between two runs of [`Balancer::maintain_states`]; `None`:
    /// there are none.
    pub fn new(
        config: BalancerConfig,
        resolved: &NameCache,
        memory: Arc<dyn Memory>,
        at: Positions,
        maintain: Option<Duration>,
    ) -> Self {
        let members = config.members.iter();
        let packet = members.map(|member| member.worker.packet_size.bytes()).min();
        let workers = config.members.iter().zip(&at.engines).map(|(member, position)| {
            let config = member.worker.clone();
            let names = resolved.names(&config.target, &config.connect);
            Worker::new(config, names, Arc::clone(&memory), *position)
        });
        let workers = workers.collect();
        Self {
            workers,
            packet: packet.unwrap_or_default(),
            group: Group::new(config, memory, at, maintain),
        }
    }

    /// The balancer's settings.
    pub fn config(&self) -> &BalancerConfig {
        &self.group.config
    }

    /// The place of the member that a request without a session would get; `None`: there is none.
    /// Nothing is charged to it. `now`: seconds since 1970. The benchmarks measure this.
    pub fn next_member(&self, now: u64) -> Option<usize> {
        let choice = self.group.choose(&Wish::default(), &Marks::default(), now);
        choice.ok().map(|choice| choice.place)
    }

    /// Looks after the idle connections of all members.
    pub fn maintain(&self, now: Instant, log: &impl Log) {
        for worker in &self.workers {
            worker.maintain(now, log);
        }
    }

    /// Asks the resolver again for the names of all members, where it is time for that. Takes as
    /// long as the resolver does.
    pub fn renew_names(&self, log: &impl Log) {
        for worker in &self.workers {
            worker.renew_names(log);
        }
    }

    /// Once for all processes: what time does to load and states of the members. Waits for nothing.
    /// `unix`: now, seconds since 1970.
    pub fn maintain_states(&self, unix: u64, log: &impl Log) {
        for flip in self.group.maintain(unix) {
            self.log_flip(log, flip, "time", unix);
        }
    }

    /// Its members' engines, in their order.
    pub fn engines(&self) -> impl Iterator<Item = Engine<'_>> + Clone {
        let member = |(place, worker)| Engine::Member { balancer: self, place, worker };
        self.workers.iter().enumerate().map(member)
    }

    /// Draws the consequences of a check of a member's engine. `is_news`: the one before it ended
    /// otherwise. `unix`: now, seconds since 1970.
    pub(in crate::worker) fn settle_check(
        &self,
        place: usize,
        is_good: bool,
        is_news: bool,
        unix: u64,
        log: &impl Log,
    ) {
        if let Some(flip) = self.group.settle_check(place, is_good, is_news, unix) {
            let why =
                if is_good { "its engine answers a ping" } else { "its engine answers no ping" };
            self.log_flip(log, flip, why, unix);
        }
    }

    /// Serves `request`. Logs what fails.
    pub fn serve<R: Request>(&self, buffers: &Buffers, request: &mut R) -> (Outcome, Report<'_>) {
        self.look(request);
        let mut trial = Trial {
            wish: self.wish(request),
            marks: Marks::default(),
            admission: None,
            round: 0,
            attempt: 0,
            was_forced: false,
            failed: None,
            report: Report::default(),
        };
        let mut parcel = Parcel::new(buffers, self.packet);
        let mut why = NoChoice::NoMember;
        loop {
            if trial.attempt >= self.attempts() {
                trial.round = trial.round.saturating_add(1);
                if trial.round >= self.config().retries {
                    break;
                }
                request.pause(self.config().retry_interval);
                self.look(request);
                trial.marks.begin_round();
                trial.attempt = 0;
            }
            let next = match self.choose(&trial, request.now()) {
                Ok(choice) => self.attempt(&mut trial, &mut parcel, request, choice),
                Err(no_choice) => Next::Nobody(no_choice),
            };
            match next {
                Next::Done(outcome) => return (outcome, trial.report),
                Next::Another => trial.attempt = trial.attempt.saturating_add(1),
                Next::Again => {}
                // Where somebody is sound but has enough to do, those in error are left alone.
                Next::Nobody(NoChoice::Full(full)) => {
                    self.log_full(request, full, &parcel);
                    request.retract();
                    return (Outcome::Refused(503), trial.report);
                }
                Next::Nobody(no_choice) => {
                    why = no_choice;
                    if !self.force(&mut trial, request) {
                        trial.attempt = trial.attempt.saturating_add(1);
                    }
                }
            }
        }
        let status = trial.failed.unwrap_or(503);
        self.log_no_member(request, why, status, &parcel);
        request.retract();
        (Outcome::Refused(status), trial.report)
    }

    /// Attempts in one round.
    fn attempts(&self) -> u32 {
        let members = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        members.min(self.config().lb_retries)
    }

    /// Ends states that depend on requests looking.
    fn look<R: Request>(&self, request: &R) {
        let has_slot =
            |place: usize| self.workers.get(place).is_some_and(|worker| worker.pool().has_slot());
        self.group.end_busy(has_slot);
        if self.group.maintain.is_none() {
            for flip in self.group.recover(request.now()) {
                self.log_flip(request, flip, "time", request.now());
            }
        }
    }

    /// Chooses a member. `now`: seconds since 1970.
    fn choose(&self, trial: &Trial<'_>, now: u64) -> Result<Choice, NoChoice> {
        let limit = self.config().max_inflight;
        let is_full = || self.group.state().is_some_and(|state| state.inflight.is_full(limit));
        // A request that must wait for its client's body should not do so in vain.
        if trial.admission.is_none() && is_full() {
            return Err(NoChoice::Full(Full::Balancer));
        }
        self.group.choose(&trial.wish, &trial.marks, now)
    }

    /// Counts a request in among those of all members, where their number is limited.
    fn admit<'b>(&'b self, trial: &mut Trial<'b>) -> Result<(), NoChoice> {
        if trial.admission.is_some() {
            return Ok(());
        }
        let count = Count::BalancerInflight(self.group.position());
        let inflight = self.group.state().map(|state| &state.inflight);
        let Some((limit, inflight)) = self.config().max_inflight.zip(inflight) else {
            return Ok(());
        };
        let Some(ticket) = self.workers.first().and_then(|worker| worker.ticket(count)) else {
            // Records are many more than requests.
            return Ok(());
        };
        trial.admission = inflight.enter(limit, ticket);
        trial.admission.as_ref().map(|_| ()).ok_or(NoChoice::Full(Full::Balancer))
    }

    fn wish<R: Request>(&self, request: &R) -> Wish {
        let (config, policy) = (self.config(), request.policy().balancing);
        let session = if config.sticky_session && !policy.sticky_ignore {
            let path = policy.session_path.unwrap_or(config.session_path.as_bytes());
            let cookie = policy.session_cookie.unwrap_or(config.session_cookie.as_bytes());
            session(request, path, cookie)
        } else {
            Session::None
        };
        if session == Session::Empty {
            let name = &config.name;
            jk_log!(
                *request,
                Level::Info,
                "({name}) empty_session: the request has a session id without a character"
            );
        }
        let address = (config.method == BalanceMethod::Address)
            .then(|| Address::new(request.facts().client.unwrap_or_default()));
        Wish {
            session,
            stateless: policy.stateless,
            activations: self.activations(&policy),
            address,
        }
    }

    /// What the rule says about the members, in their order.
    fn activations(&self, policy: &Balancing<'_>) -> Vec<Option<Activation>> {
        let lists = [
            (policy.active, Activation::Active),
            (policy.disabled, Activation::Disabled),
            (policy.stopped, Activation::Stopped),
        ];
        if lists.iter().all(|(names, _)| names.is_empty()) {
            return Vec::new();
        }
        let of_member = |worker: &Worker| {
            let name = worker.config().name.as_bytes();
            let is_in =
                |(names, _): &&(&[Box<[u8]>], Activation)| names.iter().any(|n| **n == *name);
            lists.iter().find(is_in).map(|(_, activation)| *activation)
        };
        self.workers.iter().map(of_member).collect()
    }

    /// Where nobody is left: members in error are given a chance, once for a request. Returns
    /// whether this was the time for that.
    fn force<R: Request>(&self, trial: &mut Trial<'_>, request: &R) -> bool {
        if trial.was_forced {
            return false;
        }
        trial.was_forced = true;
        let forced = self.group.force();
        for place in &forced {
            let flip = Flip { place: *place, from: State::Error, to: State::Force };
            self.log_flip(request, flip, "nobody else is left", request.now());
        }
        trial.marks.forgive(&forced);
        if !forced.is_empty() {
            trial.report.last = None;
        }
        // Where there is nothing to force another request may have done so just now.
        true
    }

    /// Has a member try.
    fn attempt<'b, R: Request>(
        &'b self,
        trial: &mut Trial<'b>,
        parcel: &mut Parcel<'_>,
        request: &mut R,
        choice: Choice,
    ) -> Next {
        let place = choice.place;
        let (Some(seat), Some(worker)) = (self.group.seat(place), self.workers.get(place)) else {
            trial.marks.add(place, Mark::Failed);
            return Next::Again;
        };
        let name = &worker.config().name;
        let is_elsewhere = choice.is_moved || trial.failed.is_some();
        let asked = request.facts().route;
        let route = self.route(&seat, choice, asked, is_elsewhere).to_vec();
        let cookie = self.cookie(&seat, choice, request);
        if trial.failed.is_none() {
            self.log_choice(request, &trial.wish, &seat, choice);
        }
        let routing = Routing {
            route: Some(&route),
            activation: text(trial.wish.activation(place, &seat)),
            cookie: cookie.as_deref(),
            balancer: Some(&self.config().name),
        };
        let now = request.now();
        let mut serving = Serving::new(worker, request, routing, parcel);
        let prepared = serving.prepare();
        if prepared.is_ok() {
            if let Err(full) = self.admit(trial) {
                return Next::Nobody(full);
            }
            if !serving.admit() {
                trial.marks.add(place, Mark::Full);
                return Next::Again;
            }
            if self.group.claim(&seat, now).is_err() {
                trial.marks.add(place, Mark::Failed);
                return Next::Again;
            }
        }
        trial.report.route = Some(route.clone());
        if let Err(failure) = prepared {
            return Next::Done(serving.give_up(&failure));
        }
        let opens_session = trial.wish.opens_session();
        let era = || self.group.state().map(BalancerState::era);
        let begun_in = era();
        let charged = self.group.charge(&seat, opens_session, now);
        let is_test = seat.state.state() == State::Probe;
        let ticket = worker.ticket(Count::BalancerBusy(self.group.position()));
        let inside = self.group.state().zip(ticket).map(|(state, ticket)| state.enter(ticket));
        let result = serving.run(is_test);
        let goes_on = match &result {
            Ok(_) => false,
            Err(failure) => serving.may_go_elsewhere(failure) && !self.is_last(trial),
        };
        let outcome = match &result {
            Ok(outcome) => Some(*outcome),
            Err(failure) if goes_on => {
                serving.pass_on(failure);
                if let Some(state) = self.group.state() {
                    state.failovers.fetch_add(1, Ordering::Relaxed);
                }
                None
            }
            Err(failure) => Some(serving.give_up(failure)),
        };
        let traffic = serving.traffic();
        match (&result, trial.failed) {
            (Ok(_), None) => serving.log_retried(),
            (Ok(_), Some(_)) => self.log_failover(serving.request, name, &serving.parcel.tried),
            _ => {}
        }
        // It is no longer among those that the member is serving.
        drop(serving);
        drop(inside);
        let (ending, is_unsent) = match &result {
            Ok(_) => (Ending::Done, false),
            Err(failure) => (ending(failure), failure.is_retryable() || failure.is_saturation()),
        };
        if ending == Ending::NoSlot {
            self.group.refund(&seat, opens_session, charged);
        }
        if era() == begun_in {
            self.group.charge_traffic(&seat, traffic, request.now());
        }
        let others = seat.worker.busy.load(Ordering::Relaxed);
        if let Some(flip) = self.group.settle(place, ending, others, request.now()) {
            self.log_flip(request, flip, ending.text(), request.now());
        }
        let snapshot = self.snapshot(&seat);
        trial.report.first = trial.report.first.or(Some(snapshot));
        trial.report.last = Some(snapshot);
        if let Some(outcome) = outcome {
            return Next::Done(outcome);
        }
        trial.marks.add(place, if is_unsent { Mark::Failed } else { Mark::Spent });
        let status = result.err().and_then(|failure| failure.http_status());
        trial.failed = Some(status.unwrap_or(503));
        Next::Another
    }

    /// Whether no attempt can follow the one under way.
    fn is_last(&self, trial: &Trial<'_>) -> bool {
        let in_round = trial.attempt.saturating_add(1);
        in_round >= self.attempts() && trial.round.saturating_add(1) >= self.config().retries
    }
}

/// What a failure says about the member [6.7].
fn ending(failure: &Failure) -> Ending {
    match failure {
        Failure::NoEndpoint { .. } => Ending::NoSlot,
        Failure::Busy { .. } => Ending::Saturated,
        Failure::ReplyTimeout(_) => Ending::ReplyTimeout,
        Failure::StatusFatal { .. } => Ending::StatusFatal,
        Failure::Status { .. } => Ending::StatusSoft,
        // A broken page of an application is no reason to take all others away from its users.
        Failure::Closed { partial: 1.., .. } | Failure::Protocol(_) => Ending::Garbled,
        Failure::Connect(_)
        | Failure::Ping(_)
        | Failure::Send(_)
        | Failure::Closed { .. }
        | Failure::Reset(_)
        | Failure::SocketTimeout(_)
        | Failure::BodySend(_) => Ending::Down,
        Failure::BadMethod
        | Failure::BadQuery(_)
        | Failure::TooLarge { .. }
        | Failure::ClientBody { .. }
        | Failure::Response(_) => Ending::ClientFailed,
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
