//! What is shown of balancers, members, engines and rules, by the names and in the order that scripts
//! know from C mod_jk [7.6].
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::time::Duration;

use super::snapshot::{Balancer, Engine, Head, Judgement, Map, Member};
use crate::config::balancer::{Activation, BalanceLock, BalanceMethod};
use crate::config::status::StatusConfig;
use crate::config::worker::{Ajp13Config, Target};

/// One value with its name.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub name: &'static str,
    pub value: Cow<'a, [u8]>,
    /// What the text format does with it.
    pub quotes: Quotes,
    /// Whose it is in the properties format.
    pub owner: Owner,
    /// What it is in formats that know types.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// `True` or `False`.
    Switch,
}

/// Whether the text format has a value in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// No.
    Bare,
    /// Always.
    Quoted,
}

/// Whose name a property has in its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// The worker's or the member's own.
    Own,
    /// A member's time goes by the name of its balancer, as in C mod_jk.
    Balancer,
}

fn bare<'a>(name: &'static str, value: impl Into<Cow<'a, [u8]>>) -> Field<'a> {
    let (quotes, owner, kind) = (Quotes::Bare, Owner::Own, Kind::Text);
    Field { name, value: value.into(), quotes, owner, kind }
}

fn quoted<'a>(name: &'static str, value: impl Into<Cow<'a, [u8]>>) -> Field<'a> {
    Field { quotes: Quotes::Quoted, ..bare(name, value) }
}

fn number<'a>(name: &'static str, value: impl ToString) -> Field<'a> {
    Field { kind: Kind::Number, ..bare(name, value.to_string().into_bytes()) }
}

fn word<'a>(name: &'static str, value: &'a str) -> Field<'a> {
    bare(name, value.as_bytes())
}

fn switch<'a>(name: &'static str, is_on: bool) -> Field<'a> {
    Field { kind: Kind::Switch, ..word(name, if is_on { "True" } else { "False" }) }
}

fn seconds<'a>(name: &'static str, time: Option<Duration>) -> Field<'a> {
    number(name, time.map_or(0, |time| time.as_secs()))
}

fn millis<'a>(name: &'static str, time: Option<Duration>) -> Field<'a> {
    number(name, time.map_or(0, |time| time.as_millis()))
}

/// As C mod_jk names it.
pub(super) fn method(method: BalanceMethod) -> &'static str {
    match method {
        BalanceMethod::Request => "Request",
        BalanceMethod::Traffic => "Traffic",
        BalanceMethod::Busyness => "Busyness",
        BalanceMethod::Sessions => "Sessions",
        BalanceMethod::Next => "Next",
        BalanceMethod::Address => "Address",
    }
}

/// As C mod_jk names it.
pub(super) fn lock(lock: BalanceLock) -> &'static str {
    match lock {
        BalanceLock::Optimistic => "Optimistic",
        BalanceLock::Pessimistic => "Pessimistic",
    }
}

/// As C mod_jk names it.
pub(super) fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::Active => "ACT",
        Activation::Disabled => "DIS",
        Activation::Stopped => "STP",
    }
}

/// All of a balancer but its members and rules.
pub(super) fn balancer<'a>(
    balancer: &'a Balancer<'_>,
    status: &StatusConfig,
    head: &Head<'_>,
    map_count: usize,
) -> Vec<Field<'a>> {
    let config = balancer.config;
    let (next_min, next_max) = balancer.next_maintenance(head);
    let count = |judgement| balancer.count(status, judgement);
    vec![
        bare("name", config.name.as_bytes()),
        word("type", "lb"),
        switch("sticky_session", config.sticky_session),
        switch("sticky_session_force", config.sticky_session_force),
        number("retries", config.retries),
        seconds("recover_time", Some(config.recover_time)),
        seconds("error_escalation_time", Some(config.error_escalation_time)),
        number("max_reply_timeouts", config.max_reply_timeouts.map_or(-1, i64::from)),
        word("method", method(config.method)),
        word("lock", lock(config.lock)),
        number("member_count", config.members.len()),
        number("good", count(Judgement::Good)),
        number("degraded", count(Judgement::Degraded)),
        number("bad", count(Judgement::Bad)),
        number("busy", balancer.busy),
        number("max_busy", balancer.max_busy),
        number("map_count", map_count),
        number("time_to_maintenance_min", next_min),
        number("time_to_maintenance_max", next_max),
        number("last_reset_at", balancer.last_reset),
        number("last_reset_ago", head.ago(balancer.last_reset)),
    ]
}

/// Name, type, and the settings of an engine.
fn settings<'a>(engine: &'a Engine<'_>) -> Vec<Field<'a>> {
    let config: &Ajp13Config = engine.config;
    let (host, port, is_never) = match &config.target {
        Target::Tcp { host, port } => (Cow::Borrowed(host.as_bytes()), *port, false),
        Target::Never { host, .. } => (Cow::Borrowed(host.as_bytes()), 0, true),
        #[cfg(unix)]
        Target::Unix(path) => (Cow::Owned(path.display().to_string().into_bytes()), 0, false),
    };
    let address = match &engine.address {
        _ if is_never => "invalid",
        Some(address) => address,
        None => "unresolved",
    };
    let source = config.connect.source.as_deref().filter(|source| !source.is_empty());
    vec![
        bare("name", config.name.as_bytes()),
        word("type", "ajp13"),
        bare("host", host),
        number("port", port),
        word("address", address),
        word("source", source.unwrap_or("undefined")),
        seconds("connection_pool_timeout", config.pool_idle_timeout),
        millis("ping_timeout", config.idle_ping),
        millis("connect_timeout", config.connect_ping),
        millis("prepost_timeout", config.prepost_ping),
        millis("reply_timeout", config.reply_timeout),
        seconds("connection_ping_interval", config.ping_interval),
        number("retries", config.retries),
        number("recovery_options", config.recovery.0.unwrap_or_default()),
        number("busy_limit", config.busy_limit.unwrap_or_default()),
        number("max_packet_size", config.packet_size.bytes()),
    ]
}

/// What was counted at an engine, from its client errors on.
fn counters<'a>(engine: &Engine<'_>) -> [Field<'a>; 8] {
    [
        number("client_errors", engine.client_errors),
        number("reply_timeouts", engine.reply_timeouts),
        number("transferred", engine.transferred),
        number("read", engine.read),
        number("busy", engine.busy),
        number("max_busy", engine.max_busy),
        number("connected", engine.connected),
        number("max_connected", engine.max_connected),
    ]
}

/// When counters were reset and when an error was, where there was one.
fn times<'a>(last_reset: u64, error: u64, head: &Head<'_>) -> Vec<Field<'a>> {
    let mut fields =
        vec![number("last_reset_at", last_reset), number("last_reset_ago", head.ago(last_reset))];
    if error > 0 {
        let local = head.local(error);
        fields.extend([
            bare("error_time_datetime", local.digits().into_bytes()),
            bare("error_time_tz", local.zone().into_bytes()),
            number("error_time_unix_seconds", error),
            number("error_time_ago", head.ago(error)),
        ]);
    }
    for field in &mut fields {
        field.owner = Owner::Balancer;
    }
    fields
}

/// All of a member.
pub(super) fn member<'a>(
    balancer: &'a Balancer<'_>,
    member: &'a Member<'_>,
    head: &Head<'_>,
) -> Vec<Field<'a>> {
    let (config, engine) = (member.config, &member.engine);
    let (try_min, try_max) = balancer.next_try(member, head);
    let mut fields = settings(engine);
    fields.extend([
        word("activation", activation(member.activation)),
        number("lbfactor", config.lbfactor),
        quoted("route", config.route.as_bytes()),
        quoted("redirect", config.redirect.as_bytes()),
        quoted("domain", config.domain.as_bytes()),
        number("distance", config.distance),
        word("state", member.state.text()),
        number("lbmult", member.multiplier),
        number("lbvalue", member.load),
        number("elected", engine.used),
        number("sessions", member.sessions),
        number("errors", member.errors),
    ]);
    fields.extend(counters(engine));
    fields.extend([number("time_to_recover_min", try_min), number("time_to_recover_max", try_max)]);
    fields.extend(times(engine.last_reset, member.first_error, head));
    fields
}

/// All of a worker that is one engine, but its rules.
pub(super) fn engine<'a>(
    engine: &'a Engine<'_>,
    head: &Head<'_>,
    map_count: usize,
) -> Vec<Field<'a>> {
    let mut fields = settings(engine);
    fields.extend([number("used", engine.used), number("errors", engine.errors)]);
    fields.extend(counters(engine));
    fields.push(number("map_count", map_count));
    fields.extend(times(engine.last_reset, engine.error_time, head));
    fields
}

/// Names of a list as one value.
fn names<'a>(names: &[Box<[u8]>]) -> Cow<'a, [u8]> {
    names.join(&b","[..]).into()
}

/// All of a rule but its number.
pub(super) fn map<'a>(map: &'a Map<'_>) -> Vec<Field<'a>> {
    let (rule, options) = (map.rule, &*map.rule.options);
    let reply_timeout = match options.reply_timeout {
        None => -1,
        Some(time) => time.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX)),
    };
    let statuses = options.fail_on_status.as_ref().map(|list| list.statuses()).unwrap_or_default();
    let statuses: Vec<String> = statuses.iter().map(i32::to_string).collect();
    let quoted_number = |name, value: i64| Field { quotes: Quotes::Quoted, ..number(name, value) };
    vec![
        quoted("server", map.server.as_bytes()),
        quoted("uri", rule.pattern.as_bytes()),
        quoted("type", kind(map).into_bytes()),
        quoted("source", rule.source.name().as_bytes()),
        quoted_number("reply_timeout", reply_timeout),
        quoted_number("sticky_ignore", options.sticky_ignore.into()),
        quoted_number("stateless", options.stateless.into()),
        quoted("fail_on_status", statuses.join(",").into_bytes()),
        quoted("active", names(&options.active)),
        quoted("disabled", names(&options.disabled)),
        quoted("stopped", names(&options.stopped)),
        quoted_number("use_server_errors", options.use_server_errors.unwrap_or_default().into()),
    ]
}

/// What a rule is: `Exact` or `Wildchar`, and before it what keeps it from mapping.
pub(super) fn kind(map: &Map<'_>) -> String {
    let disabled = if map.rule.is_disabled { "Disabled " } else { "" };
    let unmount = if map.rule.is_exclusion { "Unmount " } else { "" };
    let matching = if map.rule.pattern.is_exact() { "Exact" } else { "Wildchar" };
    format!("{disabled}{unmount}{matching}")
}

/// The order of the text and properties formats: retries stand before connection_ping_interval.
pub(super) fn in_lines(mut fields: Vec<Field<'_>>) -> Vec<Field<'_>> {
    let place = |name| fields.iter().position(|field: &Field<'_>| field.name == name);
    if let (Some(interval), Some(retries)) = (place("connection_ping_interval"), place("retries")) {
        fields.swap(interval, retries);
    }
    fields
}
