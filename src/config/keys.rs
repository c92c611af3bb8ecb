//! The one table of all worker properties: what [2.3] and [10.2] of the specification list, and ours.
//!
//! Everything that needs to know about a property asks this table: the reader (may it stand in a
//! file, what do two lines of it mean), the validation (is it an old name, does it have an effect on
//! this worker), the messages (what may have been meant), the reference page.
#![forbid(unsafe_code)]

use super::text::suggestion;

/// What a second line with the same key means [2.1].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A list: the values are joined with `,`.
    List,
    /// One value: the last line wins.
    Unique,
    /// Joined with a separator that hardly anyone wants: C mod_jk's rule for all the others.
    Joined(char),
}

/// What becomes of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In force.
    Supported,
    /// An old name of C mod_jk. `Some` says today's name, which it stands in for where that is not
    /// set; `None`: it never had an effect.
    Deprecated(Option<&'static str>),
}

/// What a worker is to a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// No single worker's: `worker.list`.
    Global,
    /// Of type ajp13, members of a balancer included.
    Ajp13,
    /// Of type ajp13 and a member of a balancer.
    Member,
    /// Of type lb.
    Balancer,
    /// Of type status.
    Status,
}

impl Role {
    /// As documentation names it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Global => "global",
            Role::Ajp13 => "ajp13",
            Role::Member => "member",
            Role::Balancer => "lb",
            Role::Status => "status",
        }
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The part of the key after its last dot.
    pub name: &'static str,
    /// What a second line means.
    pub kind: Kind,
    /// Whether it is in force.
    pub status: Status,
    /// Where it has an effect; empty: nowhere.
    pub applies: &'static [Role],
    /// What goes when no line sets it, as text.
    pub default: &'static str,
    /// What its value is: `ms`, `s`, `bytes`, `switch` and so on; empty for a word.
    pub unit: &'static str,
    /// What it does, as a short phrase.
    pub meaning: &'static str,
}

impl Key {
    /// The row for a suffix, or `None` when there is no such property. Case matters.
    pub fn find(name: &[u8]) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name.as_bytes() == name)
    }

    /// The property that a misspelt suffix may have meant.
    pub fn nearest(name: &[u8]) -> Option<&'static str> {
        suggestion(name, KEYS.iter().map(|key| key.name))
    }

    /// Whether its value must never be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.name, "secret" | "secretkey")
    }
}

/// A key taken apart: `worker.a.b.port` is the property `port` of worker `a.b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerKey<'a> {
    /// Between `worker.` and the last dot; empty in `worker.list`.
    pub worker: &'a [u8],
    /// After the last dot.
    pub property: &'a [u8],
}

impl<'a> WorkerKey<'a> {
    /// Takes a key apart; `None` when it does not begin with `worker.` and so is a custom variable.
    pub fn parse(key: &'a [u8]) -> Option<WorkerKey<'a>> {
        let rest = key.strip_prefix(b"worker.")?;
        let mut from_the_end = rest.rsplitn(2, |byte| *byte == b'.');
        let property = from_the_end.next().unwrap_or_default();
        let worker = from_the_end.next().unwrap_or_default();
        Some(WorkerKey { worker, property })
    }
}

const fn key(
    name: &'static str,
    applies: &'static [Role],
    default: &'static str,
    unit: &'static str,
    meaning: &'static str,
) -> Key {
    Key { name, kind: Kind::Unique, status: Status::Supported, applies, default, unit, meaning }
}

const fn old(name: &'static str, today: &'static str, applies: &'static [Role]) -> Key {
    let status = Status::Deprecated(Some(today));
    Key { status, ..key(name, applies, "", "", "old name") }
}

const fn dead(name: &'static str) -> Key {
    Key { status: Status::Deprecated(None), ..key(name, &[], "", "", "never had an effect") }
}

impl Key {
    const fn joined(self, kind: Kind) -> Key {
        Key { kind, ..self }
    }
}

const GLOBAL: &[Role] = &[Role::Global];
const AJP: &[Role] = &[Role::Ajp13];
const MEMBER: &[Role] = &[Role::Member];
const LB: &[Role] = &[Role::Balancer];
const STATUS: &[Role] = &[Role::Status];
const AJP_LB: &[Role] = &[Role::Ajp13, Role::Balancer];
const ALL: &[Role] = &[Role::Ajp13, Role::Balancer, Role::Status];

/// C mod_jk's separator of search paths.
pub(super) const PATH: Kind = Kind::Joined(if cfg!(windows) { ';' } else { ':' });
const STAR: Kind = Kind::Joined('*');

/// The 80 properties of C mod_jk and five that are new here (`dns_ttl`, `health_check_interval`,
/// `max_inflight`, `slow_start`, `socket`), sorted by name.
pub const KEYS: [Key; 85] = [
    key(
        "activation",
        MEMBER,
        "Active",
        "",
        "which requests a member gets: Active, Disabled or Stopped",
    ),
    key("bad", STATUS, "s,a.e,d.e", "ratings", "what the status pages rate bad").joined(Kind::List),
    key("balance_workers", LB, "none, required", "names", "the members").joined(Kind::List),
    old("balanced_workers", "balance_workers", LB).joined(STAR),
    dead("bridge").joined(STAR),
    key(
        "busy_limit",
        AJP,
        "0, no limit",
        "requests",
        "most requests at a time, over all processes",
    ),
    old("cache_timeout", "connection_pool_timeout", AJP),
    old("cachesize", "connection_pool_size", AJP),
    dead("class_path").joined(PATH),
    dead("cmd_line").joined(Kind::Joined(' ')),
    key(
        "connect_timeout",
        AJP,
        "0, off; with ping_mode C: ping_timeout",
        "ms",
        "ping each new connection and wait that long for the answer",
    ),
    key(
        "connection_acquire_timeout",
        AJP,
        "retries x retry_interval",
        "ms",
        "longest wait for a free connection",
    ),
    key(
        "connection_ping_interval",
        AJP,
        "0, off; with ping_mode I: ping_timeout / 100",
        "s",
        "idle time after which a connection is pinged",
    ),
    key(
        "connection_pool_minsize",
        AJP,
        "half of connection_pool_size, rounded up",
        "connections",
        "connections that idle closing leaves open",
    ),
    key(
        "connection_pool_size",
        AJP,
        "threads per child",
        "connections",
        "connections of one httpd process; 0: every request gets 503",
    ),
    key(
        "connection_pool_timeout",
        AJP,
        "0, never",
        "s",
        "idle time after which a connection is closed",
    ),
    key("css", STATUS, "none", "URL", "style sheet of the status pages"),
    old("disabled", "activation", MEMBER),
    key("distance", MEMBER, "0", "number", "members with a smaller one go first").joined(STAR),
    key("dns_ttl", AJP, "60", "s", "how long a resolved address of host is good for"),
    key("doctype", STATUS, "none", "text", "line after the XML declaration"),
    key(
        "domain",
        MEMBER,
        "the part of route before its first dot",
        "",
        "members that take over each other's sessions",
    ),
    key(
        "error_escalation_time",
        LB,
        "recover_time / 2",
        "s",
        "time until an error of one process counts for all",
    ),
    key(
        "fail_on_status",
        AJP,
        "none",
        "statuses",
        "statuses of the engine that count as its failure; negative: only of the request",
    )
    .joined(Kind::List),
    key("good", STATUS, "a.o,a.i,a.b,a.r", "ratings", "what the status pages rate good")
        .joined(Kind::List),
    key(
        "health_check_interval",
        AJP,
        "0, off",
        "s",
        "time between two pings of the engine on a connection of their own, one per httpd",
    ),
    key("host", AJP, "localhost", "", "name or address of the engine, without port"),
    dead("jvm_lib").joined(STAR),
    old("jvm_route", "route", MEMBER),
    key("lb_retries", LB, "2", "members", "most members that one round tries"),
    key("lbfactor", MEMBER, "1", "number", "share of the load"),
    dead("ld_path").joined(PATH),
    key("list", GLOBAL, "ajp13", "names", "the workers that can be mounted").joined(Kind::List),
    dead("local_worker"),
    dead("local_worker_only"),
    key(
        "lock",
        LB,
        "Optimistic",
        "",
        "what the choice of a member is protected from: Optimistic or Pessimistic",
    ),
    // C mod_jk lists it as unique, but under its full name, which its test by suffix never matches.
    key("maintain", GLOBAL, "60", "s", "time between two maintenance runs; 0: none").joined(STAR),
    key(
        "max_inflight",
        AJP_LB,
        "0, no limit",
        "requests",
        "most requests at a time over all processes, further ones get 503 at once; of a balancer: of \
         all its members together",
    ),
    key(
        "max_packet_size",
        AJP,
        "8192",
        "bytes",
        "most bytes of a packet, the same as packetSize of the engine",
    ),
    key(
        "max_reply_timeouts",
        LB,
        "0",
        "timeouts",
        "reply timeouts that a member may have before it is in error",
    ),
    key(
        "method",
        LB,
        "Request",
        "",
        "how members are chosen: Request, Traffic, Busyness, Sessions, Next or Address",
    ),
    key("mount", ALL, "none", "paths", "paths of the main server that go to the worker")
        .joined(Kind::List),
    dead("ms").joined(STAR),
    dead("mx").joined(STAR),
    dead("native_lib").joined(STAR),
    key("ns", STATUS, "jk:", "text", "prefix of each XML element; - for none"),
    key(
        "ping_mode",
        AJP,
        "none",
        "letters",
        "pings at connect (C), prepost (P), interval (I), or all (A)",
    ),
    key("ping_timeout", AJP, "10000", "ms", "longest wait for the answer to a ping"),
    key("port", AJP, "8009", "", "port of the AJP connector; less than 1: never contacted"),
    key("prefer_ipv6", AJP, "off", "switch", "try IPv6 addresses first"),
    key("prefix", STATUS, "worker", "text", "first part of each key of the properties format"),
    key(
        "prepost_timeout",
        AJP,
        "0, off; with ping_mode P: ping_timeout",
        "ms",
        "ping before each request and wait that long for the answer",
    ),
    key("read_only", STATUS, "off", "switch", "nothing can be changed"),
    key("recover_time", LB, "60", "s", "time in error after which a member is tried again"),
    key("recovery_options", AJP, "not set", "bits", "what else may be sent again"),
    dead("recycle_timeout"),
    key("redirect", MEMBER, "none", "", "route of the member that takes over first"),
    key(
        "reference",
        ALL,
        "none",
        "key",
        "takes over all properties below that key that are not set here",
    ),
    key(
        "reply_timeout",
        AJP,
        "0, no limit",
        "ms",
        "longest time between two packets of the answer",
    ),
    key(
        "retries",
        AJP_LB,
        "2",
        "attempts",
        "attempts on the engine; of a balancer: rounds over its members",
    ),
    key("retry_interval", AJP_LB, "100", "ms", "pause before another attempt or round"),
    key("route", MEMBER, "name of the worker", "", "jvmRoute of the engine"),
    key(
        "secret",
        AJP_LB,
        "none",
        "",
        "secret of the connector; of a balancer: of the members without one",
    ),
    key("secretkey", &[], "none", "", "login key of type ajp14, which is not supported")
        .joined(STAR),
    key("session_cookie", LB, "JSESSIONID", "", "cookie with the session id"),
    key("session_cookie_path", LB, "/", "path", "path of the cookie of set_session_cookie"),
    key("session_path", LB, ";jsessionid", "", "path parameter with the session id"),
    key("set_session_cookie", LB, "off", "switch", "set a cookie with the route"),
    key(
        "slow_start",
        LB,
        "0, off",
        "s",
        "time within which a recovered member comes to its full share of the load",
    ),
    key("socket", AJP, "none", "path", "a Unix socket instead of host and port"),
    key("socket_buffer", AJP, "0, the system's", "bytes", "send and receive buffer"),
    key(
        "socket_connect_timeout",
        AJP,
        "socket_timeout, else 10000",
        "ms",
        "longest time to connect; 0: as long as the system takes",
    ),
    key("socket_keepalive", AJP, "off", "switch", "TCP keep-alive"),
    key("socket_timeout", AJP, "0, no limit", "s", "longest time of one read or write"),
    key("source", AJP, "the system's", "", "local name or address to connect from"),
    dead("stderr").joined(STAR),
    dead("stdout").joined(STAR),
    key("sticky_session", LB, "on", "switch", "a session stays on its member"),
    key("sticky_session_force", LB, "off", "switch", "a session fails rather than move"),
    old("stopped", "activation", MEMBER),
    dead("sysprops").joined(STAR),
    key("type", ALL, "ajp13", "", "ajp13, lb or status"),
    key("user", STATUS, "everyone", "names", "who may see the status pages").joined(Kind::List),
    key(
        "user_case_insensitive",
        STATUS,
        "off",
        "switch",
        "upper and lower case of user are the same",
    ),
    key(
        "xmlns",
        STATUS,
        "xmlns:jk=\"http://tomcat.apache.org\"",
        "text",
        "declares the prefix of the XML elements; - for none",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn named(wanted: impl Fn(&Key) -> bool) -> Vec<&'static str> {
        KEYS.iter().filter(|key| wanted(key)).map(|key| key.name).collect()
    }

    #[test]
    fn is_sorted_and_complete() {
        assert!(KEYS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(named(|key| matches!(key.status, Status::Deprecated(_))).len(), 20);
        let ours = ["dns_ttl", "health_check_interval", "max_inflight", "slow_start", "socket"];
        let live = |key: &Key| key.status == Status::Supported && !ours.contains(&key.name);
        assert_eq!(named(live).len(), 60);
    }

    #[test]
    fn old_names_apply_where_todays_do() {
        for key in KEYS {
            let Status::Deprecated(today) = key.status else {
                assert!(!key.meaning.is_empty() && !key.default.is_empty(), "{}", key.name);
                continue;
            };
            match today.map(|today| Key::find(today.as_bytes()).unwrap()) {
                Some(today) => {
                    assert_eq!(today.status, Status::Supported, "{}", key.name);
                    assert_eq!(today.applies, key.applies, "{}", key.name);
                }
                None => assert_eq!(key.applies, []),
            }
        }
    }

    #[test]
    fn only_what_belongs_to_ajp14_applies_nowhere() {
        let supported = |key: &Key| key.status == Status::Supported;
        assert_eq!(named(|key| supported(key) && key.applies.is_empty()), ["secretkey"]);
        assert_eq!(named(|key| key.applies.contains(&Role::Global)), ["list", "maintain"]);
    }

    #[test]
    fn joins_the_lists_of_the_specification() {
        assert_eq!(
            named(|key| key.kind == Kind::List),
            ["bad", "balance_workers", "fail_on_status", "good", "list", "mount", "user"]
        );
        assert_eq!(named(|key| key.kind == PATH), ["class_path", "ld_path"]);
        assert_eq!(named(|key| key.is_secret()), ["secret", "secretkey"]);
    }

    #[test]
    fn takes_keys_apart_at_the_last_dot() {
        for (key, worker, property) in
            [("worker.list", "", "list"), ("worker.a.b.port", "a.b", "port"), ("worker.", "", "")]
        {
            let parsed = WorkerKey::parse(key.as_bytes()).unwrap();
            assert_eq!(parsed.worker, worker.as_bytes());
            assert_eq!(parsed.property, property.as_bytes());
        }
        assert_eq!(WorkerKey::parse(b"workers.a.port"), None);
    }
}
