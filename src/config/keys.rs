//! The one table of all worker properties: what [2.3] and [10.2] of the specification list, and ours.
//!
//! Everything that needs to know about a property asks this table: the reader (may it stand in a
//! file, what do two lines of it mean), the validation (does this version support it), the messages
//! (what may have been meant).
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

/// What this version does with a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// In force.
    Supported,
    /// C mod_jk knows it; this version refuses it by name.
    NotYet,
    /// An old name of C mod_jk, refused by name. `Some` says today's name, `None` that it never had
    /// an effect.
    Deprecated(Option<&'static str>),
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

const fn now(name: &'static str) -> Key {
    Key { name, kind: Kind::Unique, status: Status::Supported }
}

const fn later(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, status: Status::NotYet }
}

const fn old(name: &'static str, kind: Kind, replacement: &'static str) -> Key {
    Key { name, kind, status: Status::Deprecated(Some(replacement)) }
}

const fn dead(name: &'static str, kind: Kind) -> Key {
    Key { name, kind, status: Status::Deprecated(None) }
}

/// C mod_jk's separator of search paths.
const PATH: Kind = Kind::Joined(if cfg!(windows) { ';' } else { ':' });
const STAR: Kind = Kind::Joined('*');

/// The 80 properties of C mod_jk and one that is new here (`socket`), sorted by name.
pub const KEYS: [Key; 81] = [
    later("activation", Kind::Unique),
    later("bad", Kind::List),
    later("balance_workers", Kind::List),
    old("balanced_workers", STAR, "balance_workers"),
    dead("bridge", STAR),
    later("busy_limit", Kind::Unique),
    old("cache_timeout", Kind::Unique, "connection_pool_timeout"),
    old("cachesize", Kind::Unique, "connection_pool_size"),
    dead("class_path", PATH),
    dead("cmd_line", Kind::Joined(' ')),
    now("connect_timeout"),
    now("connection_acquire_timeout"),
    later("connection_ping_interval", Kind::Unique),
    later("connection_pool_minsize", Kind::Unique),
    now("connection_pool_size"),
    later("connection_pool_timeout", Kind::Unique),
    later("css", Kind::Unique),
    old("disabled", Kind::Unique, "activation"),
    later("distance", STAR),
    later("doctype", Kind::Unique),
    later("domain", Kind::Unique),
    later("error_escalation_time", Kind::Unique),
    later("fail_on_status", Kind::List),
    later("good", Kind::List),
    now("host"),
    dead("jvm_lib", STAR),
    old("jvm_route", Kind::Unique, "route"),
    later("lb_retries", Kind::Unique),
    later("lbfactor", Kind::Unique),
    dead("ld_path", PATH),
    Key { name: "list", kind: Kind::List, status: Status::Supported },
    dead("local_worker", Kind::Unique),
    dead("local_worker_only", Kind::Unique),
    later("lock", Kind::Unique),
    // C mod_jk lists it as unique, but under its full name, which its test by suffix never matches.
    later("maintain", STAR),
    now("max_packet_size"),
    later("max_reply_timeouts", Kind::Unique),
    later("method", Kind::Unique),
    later("mount", Kind::List),
    dead("ms", STAR),
    dead("mx", STAR),
    dead("native_lib", STAR),
    later("ns", Kind::Unique),
    now("ping_mode"),
    now("ping_timeout"),
    now("port"),
    now("prefer_ipv6"),
    later("prefix", Kind::Unique),
    now("prepost_timeout"),
    later("read_only", Kind::Unique),
    later("recover_time", Kind::Unique),
    later("recovery_options", Kind::Unique),
    dead("recycle_timeout", Kind::Unique),
    later("redirect", Kind::Unique),
    later("reference", Kind::Unique),
    now("reply_timeout"),
    now("retries"),
    now("retry_interval"),
    later("route", Kind::Unique),
    now("secret"),
    later("secretkey", STAR),
    later("session_cookie", Kind::Unique),
    later("session_cookie_path", Kind::Unique),
    later("session_path", Kind::Unique),
    later("set_session_cookie", Kind::Unique),
    now("socket"),
    now("socket_buffer"),
    now("socket_connect_timeout"),
    now("socket_keepalive"),
    now("socket_timeout"),
    later("source", Kind::Unique),
    dead("stderr", STAR),
    dead("stdout", STAR),
    later("sticky_session", Kind::Unique),
    later("sticky_session_force", Kind::Unique),
    old("stopped", Kind::Unique, "activation"),
    dead("sysprops", STAR),
    now("type"),
    later("user", Kind::List),
    later("user_case_insensitive", Kind::Unique),
    later("xmlns", Kind::Unique),
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
        assert_eq!(named(|key| key.name != "socket").len(), 80);
    }

    #[test]
    fn names_todays_property_for_each_old_one_that_had_an_effect() {
        for key in KEYS {
            if let Status::Deprecated(Some(replacement)) = key.status {
                assert!(Key::find(replacement.as_bytes()).is_some(), "{}", key.name);
            }
        }
    }

    #[test]
    fn supports_what_a_plain_ajp13_worker_needs_today() {
        let supported = named(|key| key.status == Status::Supported);
        assert_eq!(
            supported,
            [
                "connect_timeout",
                "connection_acquire_timeout",
                "connection_pool_size",
                "host",
                "list",
                "max_packet_size",
                "ping_mode",
                "ping_timeout",
                "port",
                "prefer_ipv6",
                "prepost_timeout",
                "reply_timeout",
                "retries",
                "retry_interval",
                "secret",
                "socket",
                "socket_buffer",
                "socket_connect_timeout",
                "socket_keepalive",
                "socket_timeout",
                "type",
            ]
        );
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
