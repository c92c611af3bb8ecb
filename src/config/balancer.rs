//! One worker of type lb: its properties and those of its members, with the rules and defaults of
//! [2.3].
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    ajp13::{DEFAULT_RETRIES, positive, retry_interval},
    settings::{COUNT, Settings},
    value,
    worker::{Ajp13Config, Label, Secret, Target, WorkerName},
};

const DEFAULT_SESSION_COOKIE: &[u8] = b"JSESSIONID";
const DEFAULT_SESSION_PATH: &[u8] = b";jsessionid";
const DEFAULT_COOKIE_PATH: &[u8] = b"/";
const DEFAULT_RECOVER_TIME: Duration = Duration::from_secs(60);
const LEAST_RECOVER_TIME: Duration = Duration::from_secs(1);
const DEFAULT_LB_RETRIES: u32 = 2;

/// The words of `method`, those of C mod_jk at the place of their number.
pub(super) const METHODS: [(&str, BalanceMethod); 6] = [
    ("Request", BalanceMethod::Request),
    ("Traffic", BalanceMethod::Traffic),
    ("Busyness", BalanceMethod::Busyness),
    ("Sessions", BalanceMethod::Sessions),
    ("Next", BalanceMethod::Next),
    ("Address", BalanceMethod::Address),
];
/// How many of them C mod_jk knows, by their first letter or their number.
const METHODS_OF_C: usize = 5;
/// The words of `lock`, likewise.
pub(super) const LOCKS: [(&str, BalanceLock); 2] =
    [("Optimistic", BalanceLock::Optimistic), ("Pessimistic", BalanceLock::Pessimistic)];
/// The words of `activation`, likewise.
pub(super) const ACTIVATIONS: [(&str, Activation); 3] = [
    ("Active", Activation::Active),
    ("Disabled", Activation::Disabled),
    ("Stopped", Activation::Stopped),
];

/// Where the next request goes (`method`) [6.2].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BalanceMethod {
    /// By the number of requests.
    #[default]
    Request,
    /// By the number of bytes.
    Traffic,
    /// By the number of requests that are running.
    Busyness,
    /// By the number of requests without a session.
    Sessions,
    /// As by sessions, in turns.
    Next,
    /// By the client's address. New here.
    Address,
}

/// How the choice of a member is protected from other choices (`lock`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BalanceLock {
    /// From those of the same process.
    #[default]
    Optimistic,
    /// From those of all processes.
    Pessimistic,
}

/// Which requests a member gets (`activation`) [6.1].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// All kinds.
    #[default]
    Active,
    /// Those of its own sessions.
    Disabled,
    /// None.
    Stopped,
}

/// What a balancer knows about one of its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The engine.
    pub worker: Ajp13Config,
    /// Name of the engine within session ids; no two members of a balancer have the same.
    pub route: Label,
    /// Group of members that take over each other's sessions; empty for none.
    pub domain: Label,
    /// Route of the member that takes over first; empty for none.
    pub redirect: Label,
    /// Members with a smaller one go first.
    pub distance: i32,
    /// Share of the load, 1 or more.
    pub lbfactor: u32,
    /// Which requests it gets at the start. [`Activation::Stopped`] for [`Target::Never`].
    pub activation: Activation,
}

/// A balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancerConfig {
    /// Its name in `worker.list`.
    pub name: WorkerName,
    /// At least one, in the order of `balance_workers`.
    pub members: Vec<Member>,
    /// How members are chosen.
    pub method: BalanceMethod,
    /// What the choice is protected from.
    pub lock: BalanceLock,
    /// Whether a session stays on its member.
    pub sticky_session: bool,
    /// Whether a session fails rather than move to another member.
    pub sticky_session_force: bool,
    /// Cookie that holds the session id.
    pub session_cookie: Label,
    /// Path parameter that holds the session id, with its `;`.
    pub session_path: Label,
    /// Whether a cookie with the route is set.
    pub set_session_cookie: bool,
    /// Path of that cookie.
    pub session_cookie_path: Label,
    /// Time in error after which a member is tried again, whole seconds, at least 1.
    pub recover_time: Duration,
    /// Time after which an error that one process sees counts for all, whole seconds; zero: at once.
    pub error_escalation_time: Duration,
    /// Reply timeouts that a member may have before it is in error; `None`: any number.
    pub max_reply_timeouts: Option<u32>,
    /// Most members that one round of a request tries, at least 1.
    pub lb_retries: u32,
    /// Rounds over the members, at least 1.
    pub retries: u32,
    /// Pause before each round but the first; zero for none.
    pub retry_interval: Duration,
    /// Most requests at a time of all members together, over all processes; `None`: no limit. New
    /// here.
    pub max_inflight: Option<u32>,
    /// Time within which a recovered member comes to its full share, whole seconds; zero: at once.
    /// New here.
    pub slow_start: Duration,
    /// The secret of members without one of their own; they have it already.
    pub secret: Option<Secret>,
}

/// Reads a balancer; its members are read already.
pub(super) fn balancer(settings: &mut Settings<'_>, mut members: Vec<Member>) -> BalancerConfig {
    let secret = settings.find("secret").map(|found| Secret::new(&found.value));
    for member in &mut members {
        member.worker.secret = member.worker.secret.take().or_else(|| secret.clone());
    }
    let recover_time = recover_time(settings);
    let half = Duration::from_secs(recover_time.as_secs() / 2);
    BalancerConfig {
        name: settings.name.clone(),
        members,
        method: settings.choice_of("method", &METHODS, METHODS_OF_C).unwrap_or_default(),
        lock: settings.choice("lock", &LOCKS).unwrap_or_default(),
        sticky_session: settings.switch("sticky_session", true),
        sticky_session_force: settings.switch("sticky_session_force", false),
        session_cookie: label_or(settings, "session_cookie", DEFAULT_SESSION_COOKIE),
        session_path: session_path(settings),
        set_session_cookie: settings.switch("set_session_cookie", false),
        session_cookie_path: label_or(settings, "session_cookie_path", DEFAULT_COOKIE_PATH),
        recover_time,
        error_escalation_time: settings.seconds("error_escalation_time").unwrap_or(half),
        max_reply_timeouts: max_reply_timeouts(settings),
        lb_retries: settings.at_least("lb_retries", 1, DEFAULT_LB_RETRIES),
        retries: settings.at_least("retries", 1, DEFAULT_RETRIES),
        retry_interval: retry_interval(settings),
        max_inflight: positive(settings, "max_inflight"),
        slow_start: settings.seconds("slow_start").unwrap_or_default(),
        secret,
    }
}

/// Reads what a balancer has to know about a member.
pub(super) fn member(settings: &mut Settings<'_>, worker: Ajp13Config) -> Member {
    let old_route = |settings: &mut Settings<'_>| settings.label("jvm_route");
    let route = settings.label("route").or_else(|| old_route(settings));
    let route = route.unwrap_or_else(|| Label::from(settings.name));
    let domain = settings.label("domain").unwrap_or_else(|| route.before_dot());
    let is_unreachable = matches!(worker.target, Target::Never { .. });
    let activation = activation(settings);
    Member {
        domain,
        redirect: settings.label("redirect").unwrap_or_default(),
        distance: settings.number("distance", &COUNT).unwrap_or_default(),
        lbfactor: settings.at_least("lbfactor", 1, 1),
        activation: if is_unreachable { Activation::Stopped } else { activation },
        route,
        worker,
    }
}

fn activation(settings: &mut Settings<'_>) -> Activation {
    if settings.find("activation").is_some() {
        return settings.choice("activation", &ACTIVATIONS).unwrap_or_default();
    }
    // As in C mod_jk the old switches count only without today's property, stopped first.
    let is_stopped = settings.switch("stopped", false);
    let is_disabled = settings.switch("disabled", false);
    match (is_stopped, is_disabled) {
        (true, _) => Activation::Stopped,
        (false, true) => Activation::Disabled,
        (false, false) => Activation::Active,
    }
}

fn label_or(settings: &mut Settings<'_>, property: &str, default: &[u8]) -> Label {
    settings.label(property).unwrap_or_else(|| Label::new(default).unwrap_or_default())
}

fn session_path(settings: &mut Settings<'_>) -> Label {
    let path = label_or(settings, "session_path", DEFAULT_SESSION_PATH);
    if !path.as_bytes().starts_with(b";")
        && let Some(found) = settings.find("session_path")
    {
        let what = "does not begin with ';', so no path has it";
        let remedy = format!("write ;{path}");
        settings.warning(found, what, &remedy);
    }
    path
}

fn recover_time(settings: &mut Settings<'_>) -> Duration {
    let Some(time) = settings.seconds("recover_time") else { return DEFAULT_RECOVER_TIME };
    if time < LEAST_RECOVER_TIME
        && let Some(found) = settings.find("recover_time")
    {
        settings.warning(found, "less than 1 is read as 1", "use at least 1");
    }
    time.max(LEAST_RECOVER_TIME)
}

fn max_reply_timeouts(settings: &mut Settings<'_>) -> Option<u32> {
    let asked = settings.number("max_reply_timeouts", &COUNT).unwrap_or_default();
    let number = u32::try_from(asked).ok();
    if number.is_none()
        && let Some(found) = settings.find("max_reply_timeouts")
    {
        let what = format!("{asked} is less than nothing: no number of reply timeouts is an error");
        settings.warning(found, what, COUNT.remedy);
    }
    number
}

/// The names of the members in their order, maybe wrong ones. An error when there are none.
pub(super) fn member_names(settings: &mut Settings<'_>) -> Vec<Vec<u8>> {
    let mut empty = None;
    for property in ["balance_workers", "balanced_workers"] {
        let Some(found) = settings.find(property) else { continue };
        let names: Vec<Vec<u8>> = value::list(&found.value).map(<[u8]>::to_vec).collect();
        if !names.is_empty() {
            return names;
        }
        empty = empty.or(Some(found));
    }
    let remedy = "name its members, such as balance_workers=node1,node2";
    let about = empty.or_else(|| settings.find("type"));
    if let Some(about) = about {
        let what = match empty {
            Some(_) => "names no member",
            None => "a worker of type lb needs balance_workers, which is missing",
        };
        settings.error(about, what, remedy);
    }
    Vec::new()
}

#[cfg(test)]
#[path = "balancer_tests.rs"]
mod tests;
