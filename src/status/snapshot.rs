//! Everything that status pages show, as it is at one moment. Plain data: settings as the
//! configuration has them, numbers as they were read.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::time::Local;
use crate::config::status::{MemberHealth, StatusConfig};
use crate::config::{Activation, Ajp13Config, BalancerConfig, Member as MemberConfig, WorkerName};
use crate::mapping::Rule;
use crate::shared::latency::Times;
use crate::shared::{BalancerState, MemberState, State, WorkerState};

/// All of it.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// Where, when and by whom it was taken.
    pub head: Head<'a>,
    /// The balancers of `worker.list`, in its order.
    pub balancers: Vec<Balancer<'a>>,
    /// The workers of `worker.list` that are one engine, in its order.
    pub engines: Vec<Engine<'a>>,
    /// The mapping rules of all servers.
    pub maps: Maps<'a>,
    /// The last changes of members' states, the last one first.
    pub changes: Vec<Change<'a>>,
}

/// Where, when and by whom a snapshot was taken.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Name of the server that was asked.
    pub server_name: &'a [u8],
    /// Its port.
    pub server_port: u16,
    /// The web server, as it presents itself.
    pub software: &'a [u8],
    /// Now, seconds since 1970.
    pub now: u64,
    /// How far local time is ahead now, seconds.
    pub offset: i32,
    /// Since when counters count, seconds since 1970.
    pub created: u64,
    /// Time between two maintenance runs, seconds; zero: there are none.
    pub maintain: u64,
}

impl Head<'_> {
    /// A moment of the past in local time.
    pub fn local(&self, unix: u64) -> Local {
        Local::new(unix, self.offset)
    }

    /// How long ago something was, seconds.
    pub fn ago(&self, unix: u64) -> u64 {
        self.now.saturating_sub(unix)
    }
}

/// One mapping rule.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    /// The server that has it: `host:port`, or `host [address:port]` for a virtual host.
    pub server: &'a str,
    /// The rule.
    pub rule: &'a Rule,
}

/// Mapping rules, found by their workers: a page asks for those of each.
#[derive(Debug, Default)]
pub struct Maps<'a> {
    /// The rules of a worker, each with its place among all.
    of: BTreeMap<&'a [u8], Vec<(usize, Map<'a>)>>,
}

impl<'a> FromIterator<Map<'a>> for Maps<'a> {
    /// From the rules of all servers, the main one first, each server's in the order in which they are
    /// tried.
    fn from_iter<I: IntoIterator<Item = Map<'a>>>(maps: I) -> Self {
        let mut of: BTreeMap<&[u8], Vec<(usize, Map<'_>)>> = BTreeMap::new();
        for (place, map) in maps.into_iter().enumerate() {
            of.entry(&map.rule.worker).or_default().push((place, map));
        }
        Self { of }
    }
}

impl<'a> Maps<'a> {
    fn own(&self, worker: &[u8]) -> &[(usize, Map<'a>)] {
        self.of.get(worker).map(Vec::as_slice).unwrap_or_default()
    }

    /// The rules of all workers; none beside the own ones of a worker with their name.
    fn common(&self, worker: &[u8]) -> &[(usize, Map<'a>)] {
        if worker == b"*" { &[] } else { self.own(b"*") }
    }

    /// How many rules concern a worker: its own, and those of all workers.
    pub fn count(&self, worker: &WorkerName) -> usize {
        let name = worker.as_bytes();
        self.own(name).len().saturating_add(self.common(name).len())
    }

    /// The rules that concern a worker, in the order in which they are shown.
    pub fn of(&self, worker: &WorkerName) -> Vec<&Map<'a>> {
        let name = worker.as_bytes();
        let found = self.own(name).iter().chain(self.common(name));
        let mut found: Vec<&(usize, Map<'a>)> = found.collect();
        found.sort_unstable_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, map)| map).collect()
    }
}

/// A state that has changed.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// When, seconds since 1970.
    pub time: u64,
    /// The balancer.
    pub balancer: &'a WorkerName,
    /// Its member.
    pub member: &'a WorkerName,
    /// What it was.
    pub from: State,
    /// What it became.
    pub to: State,
    /// Why; empty where nobody knows.
    pub cause: &'static str,
}

/// A balancer.
#[derive(Debug)]
pub struct Balancer<'a> {
    /// Its settings.
    pub config: &'a BalancerConfig,
    /// Its members in their order.
    pub members: Vec<Member<'a>>,
    /// Requests that it is serving.
    pub busy: u32,
    /// Most requests that it was serving at a time.
    pub max_busy: u32,
    /// Requests that went to another member because one had failed.
    pub failovers: u64,
    /// When its maintenance ran last, seconds since 1970.
    pub maintained: u64,
    /// Since when its counters count, seconds since 1970.
    pub last_reset: u64,
}

/// A member of a balancer.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its settings.
    pub config: &'a MemberConfig,
    /// The engine behind it.
    pub engine: Engine<'a>,
    /// Which requests it gets.
    pub activation: Activation,
    /// What is known of its health.
    pub state: State,
    /// What it has had of the load.
    pub load: u64,
    /// What a request adds to that.
    pub multiplier: u64,
    /// Requests that opened a session there, as far as one can tell.
    pub sessions: u64,
    /// Failures that count against it.
    pub errors: u32,
    /// First failure since the last success, seconds since 1970; zero for none.
    pub first_error: u64,
    /// Last failure since the last success; zero for none.
    pub last_error: u64,
}

/// One engine: a worker, or what is behind a member.
#[derive(Debug)]
pub struct Engine<'a> {
    /// Its settings.
    pub config: &'a Ajp13Config,
    /// Where connections go; `None` while its name has no address.
    pub address: Option<String>,
    /// Requests that it was chosen for.
    pub used: u64,
    /// Requests that failed there.
    pub errors: u32,
    /// Requests that failed because of the client.
    pub client_errors: u32,
    /// Reply timeouts, older ones less and less where a balancer has the engine.
    pub reply_timeouts: u32,
    /// All reply timeouts.
    pub all_reply_timeouts: u64,
    /// Repeated attempts.
    pub retries: u64,
    /// Bytes sent to it.
    pub transferred: u64,
    /// Bytes received from it.
    pub read: u64,
    /// Requests that it is serving.
    pub busy: u32,
    /// Most requests that it was serving at a time.
    pub max_busy: u32,
    /// Open connections.
    pub connected: u32,
    /// Most open connections at a time.
    pub max_connected: u32,
    /// Whether the last request failed there.
    pub is_failing: bool,
    /// When a request failed there last, seconds since 1970; zero for never.
    pub error_time: u64,
    /// Since when its counters count, seconds since 1970.
    pub last_reset: u64,
    /// How long requests took.
    pub times: Times,
}

fn load(number: &AtomicU64) -> u64 {
    number.load(Ordering::Relaxed)
}

fn load_small(number: &AtomicU32) -> u32 {
    number.load(Ordering::Relaxed)
}

/// Since when counters count that were reset at some time, or never.
fn since(last_reset: &AtomicU64, created: u64) -> u64 {
    Some(load(last_reset)).filter(|time| *time > 0).unwrap_or(created)
}

impl<'a> Engine<'a> {
    /// As its record says now. `created`: since when the record counts.
    pub fn new(
        config: &'a Ajp13Config,
        state: &WorkerState,
        address: Option<String>,
        created: u64,
    ) -> Self {
        Self {
            config,
            address,
            used: load(&state.used),
            errors: load_small(&state.errors),
            client_errors: load_small(&state.client_errors),
            reply_timeouts: load_small(&state.reply_timeouts),
            all_reply_timeouts: load(&state.all_reply_timeouts),
            retries: load(&state.retries),
            transferred: load(&state.transferred),
            read: load(&state.read),
            busy: load_small(&state.busy),
            max_busy: load_small(&state.max_busy),
            connected: load_small(&state.connected),
            max_connected: load_small(&state.max_connected),
            is_failing: load_small(&state.failing) != 0,
            error_time: load(&state.error_time),
            last_reset: since(&state.last_reset, created),
            times: state.latency.times(),
        }
    }

    /// Its state as C mod_jk calls it.
    pub fn state(&self) -> &'static str {
        match (self.is_failing, self.used) {
            (true, _) => "ERR",
            (false, 0) => "OK/IDLE",
            (false, _) => "OK",
        }
    }
}

impl<'a> Member<'a> {
    /// As its record says now. `load`: what it has had of the load, `multiplier`: what a request adds.
    pub fn new(
        config: &'a MemberConfig,
        engine: Engine<'a>,
        state: &MemberState,
        activation: Activation,
        (load_now, multiplier): (u64, u64),
    ) -> Self {
        Self {
            config,
            engine,
            activation,
            state: state.state(),
            load: load_now,
            multiplier,
            sessions: load(&state.sessions),
            errors: load_small(&state.errors),
            first_error: load(&state.first_error_time),
            last_error: load(&state.last_error_time),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'a WorkerName {
        &self.config.worker.name
    }

    /// What ratings tell apart.
    pub fn health(&self) -> MemberHealth {
        match self.state {
            State::Idle => MemberHealth::Idle,
            State::Ok => MemberHealth::Ok,
            State::Busy => MemberHealth::Busy,
            State::Recover | State::Force | State::Probe => MemberHealth::Recovering,
            State::Error => MemberHealth::Error,
        }
    }

    /// What to think of it [7.7].
    pub fn rating(&self, status: &StatusConfig) -> Judgement {
        let health = self.health();
        if status.bad.has(self.activation, health) {
            Judgement::Bad
        } else if status.good.has(self.activation, health) {
            Judgement::Good
        } else {
            Judgement::Degraded
        }
    }
}

/// What to think of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// All is well.
    Good,
    /// It does not do all that it could.
    Degraded,
    /// It does nothing.
    Bad,
}

impl<'a> Balancer<'a> {
    /// As its record says now.
    pub fn new(
        config: &'a BalancerConfig,
        state: &BalancerState,
        members: Vec<Member<'a>>,
        created: u64,
    ) -> Self {
        // Counted anew, as the repair of what a killed process leaves concerns the members first.
        let busy = members.iter().fold(0, |sum: u32, m| sum.saturating_add(m.engine.busy));
        Self {
            config,
            members,
            busy,
            max_busy: load_small(&state.max_busy),
            failovers: load(&state.failovers),
            maintained: Some(load(&state.maintained)).filter(|t| *t > 0).unwrap_or(created),
            last_reset: since(&state.last_reset, created),
        }
    }

    /// How many members are thought so of.
    pub fn count(&self, status: &StatusConfig, judgement: Judgement) -> usize {
        self.members.iter().filter(|member| member.rating(status) == judgement).count()
    }

    /// Seconds until its maintenance runs, at least and at most.
    pub fn next_maintenance(&self, head: &Head<'_>) -> (u64, u64) {
        let maintain = i64::try_from(head.maintain).unwrap_or_default();
        let passed = i64::try_from(head.ago(self.maintained)).unwrap_or(i64::MAX);
        let least = maintain.saturating_sub(passed);
        let not_below_zero = |time: i64| u64::try_from(time).unwrap_or_default();
        (not_below_zero(least), not_below_zero(least.saturating_add(maintain)))
    }

    /// Seconds until a member in error is tried again, at least and at most; zeros for any other one.
    pub fn next_try(&self, member: &Member<'_>, head: &Head<'_>) -> (u64, u64) {
        if member.state != State::Error {
            return (0, 0);
        }
        let recover = self.config.recover_time.as_secs();
        let least = recover.saturating_sub(head.ago(member.last_error));
        let (maintenance, _) = self.next_maintenance(head);
        (least.max(maintenance), least.saturating_add(head.maintain))
    }
}
