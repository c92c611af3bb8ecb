//! The effective configuration of a worker as text: each property with what goes, set or not.
#![forbid(unsafe_code)]

use std::{fmt::Display, time::Duration};

use super::{
    balancer::{ACTIVATIONS, BalancerConfig, LOCKS, METHODS, Member},
    status::StatusConfig,
    text::escaped,
    worker::{Ajp13Config, Secret, Target, WorkerConfig},
};

const NOT_SET: &str = "not set";

/// Name and effective value of a property.
type Fact = (&'static str, String);

impl WorkerConfig {
    /// Each property that applies to the type with its effective value, in the property's own unit. A secret is `set` or `not set`. `reference` and `mount` are not
    /// there: the first is in the values, the second in the mapping table. A balancer ends with one
    /// `member` for each of its members.
    pub fn describe(&self) -> impl Iterator<Item = (&'static str, String)> {
        let mut facts = vec![("type", self.type_name().to_string())];
        match self {
            WorkerConfig::Ajp13(config) => facts.extend(engine(config)),
            WorkerConfig::Balancer(config) => facts.extend(balancer(config)),
            WorkerConfig::Status(config) => facts.extend(status(config)),
        }
        facts.into_iter()
    }
}

impl Member {
    /// Each property of a member with its effective value, likewise.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        member(self).into_iter().chain(engine(&self.worker)).collect()
    }
}

fn engine(config: &Ajp13Config) -> Vec<Fact> {
    let connect = &config.connect;
    let (host, port, socket) = match &config.target {
        Target::Tcp { host, port } => (escaped(host.as_bytes()), port.to_string(), NOT_SET.into()),
        Target::Never { host, .. } => (escaped(host.as_bytes()), "0".into(), NOT_SET.into()),
        #[cfg(unix)]
        Target::Unix(path) => {
            let unused = || "not used".to_string();
            (unused(), unused(), path.display().to_string())
        }
    };
    vec![
        ("host", host),
        ("port", port),
        ("socket", socket),
        ("prefer_ipv6", switch(connect.prefer_ipv6)),
        ("source", connect.source.as_deref().map_or(NOT_SET.into(), |s| escaped(s.as_bytes()))),
        ("dns_ttl", connect.dns_ttl.as_secs().to_string()),
        ("secret", secret(config.secret.as_ref())),
        ("max_packet_size", config.packet_size.bytes().to_string()),
        ("connection_pool_size", config.pool_size.to_string()),
        ("connection_pool_minsize", config.pool_min_size.to_string()),
        ("connection_pool_timeout", seconds(config.pool_idle_timeout)),
        ("connection_acquire_timeout", config.acquire_timeout.as_millis().to_string()),
        ("connection_ping_interval", seconds(config.ping_interval)),
        ("ping_mode", ping_mode(config)),
        ("ping_timeout", milliseconds(config.idle_ping)),
        ("connect_timeout", milliseconds(config.connect_ping)),
        ("prepost_timeout", milliseconds(config.prepost_ping)),
        ("reply_timeout", milliseconds(config.reply_timeout)),
        ("socket_connect_timeout", milliseconds(connect.socket_connect_timeout)),
        ("socket_timeout", seconds(config.socket_timeout)),
        ("socket_keepalive", switch(connect.keepalive)),
        ("socket_buffer", or_zero(connect.buffer)),
        ("retries", config.retries.to_string()),
        ("retry_interval", config.retry_interval.as_millis().to_string()),
        ("recovery_options", config.recovery.0.map_or(NOT_SET.into(), |bits| bits.to_string())),
        ("fail_on_status", list(config.fail_on_status.statuses().iter().map(i32::to_string))),
        ("busy_limit", or_zero(config.busy_limit)),
        ("max_inflight", or_zero(config.max_inflight)),
        ("health_check_interval", seconds(config.health_check)),
    ]
}

fn balancer(config: &BalancerConfig) -> Vec<Fact> {
    let mut facts = vec![
        (
            "balance_workers",
            list(config.members.iter().map(|member| member.worker.name.to_string())),
        ),
        ("method", word(&METHODS, config.method)),
        ("lock", word(&LOCKS, config.lock)),
        ("sticky_session", switch(config.sticky_session)),
        ("sticky_session_force", switch(config.sticky_session_force)),
        ("session_cookie", escaped(config.session_cookie.as_bytes())),
        ("session_path", escaped(config.session_path.as_bytes())),
        ("set_session_cookie", switch(config.set_session_cookie)),
        ("session_cookie_path", escaped(config.session_cookie_path.as_bytes())),
        ("recover_time", config.recover_time.as_secs().to_string()),
        ("error_escalation_time", config.error_escalation_time.as_secs().to_string()),
        ("max_reply_timeouts", config.max_reply_timeouts.map_or("-1".into(), |n| n.to_string())),
        ("lb_retries", config.lb_retries.to_string()),
        ("retries", config.retries.to_string()),
        ("retry_interval", config.retry_interval.as_millis().to_string()),
        ("max_inflight", or_zero(config.max_inflight)),
        ("slow_start", config.slow_start.as_secs().to_string()),
        ("secret", secret(config.secret.as_ref())),
    ];
    facts.extend(config.members.iter().map(|member| ("member", member_text(member))));
    facts
}

/// All of a member in one value: `node1 (route=node1 lbfactor=1 … host=ivy …)`.
fn member_text(config: &Member) -> String {
    let facts = config.describe().into_iter();
    let facts: Vec<String> = facts.map(|(key, value)| format!("{key}={value}")).collect();
    format!("{} ({})", config.worker.name, facts.join(" "))
}

fn member(config: &Member) -> Vec<Fact> {
    vec![
        ("route", escaped(config.route.as_bytes())),
        ("domain", escaped(config.domain.as_bytes())),
        ("redirect", escaped(config.redirect.as_bytes())),
        ("distance", config.distance.to_string()),
        ("lbfactor", config.lbfactor.to_string()),
        ("activation", word(&ACTIVATIONS, config.activation)),
    ]
}

fn status(config: &StatusConfig) -> Vec<Fact> {
    let optional = |value: &Option<Vec<u8>>| value.as_ref().map_or(NOT_SET.into(), |v| escaped(v));
    vec![
        ("css", optional(&config.css)),
        ("ns", escaped(&config.ns)),
        ("xmlns", escaped(&config.xmlns)),
        ("doctype", optional(&config.doctype)),
        ("prefix", escaped(&config.prefix)),
        ("read_only", switch(config.read_only)),
        ("user", list(config.users.iter().map(|user| escaped(user)))),
        ("user_case_insensitive", switch(config.user_case_insensitive)),
        ("good", config.good.to_string()),
        ("bad", config.bad.to_string()),
    ]
}

fn ping_mode(config: &Ajp13Config) -> String {
    let pings = [
        ('C', config.connect_ping.is_some()),
        ('P', config.prepost_ping.is_some()),
        ('I', config.ping_interval.is_some()),
    ];
    let letters: String =
        pings.iter().filter(|(_, is_on)| *is_on).map(|(letter, _)| letter).collect();
    if letters.is_empty() { "none".to_string() } else { letters }
}

fn secret(secret: Option<&Secret>) -> String {
    secret.map_or(NOT_SET, |_| "set").to_string()
}

fn switch(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_string()
}

fn seconds(time: Option<Duration>) -> String {
    or_zero(time.map(|time| time.as_secs()))
}

fn milliseconds(time: Option<Duration>) -> String {
    or_zero(time.map(|time| time.as_millis()))
}

fn or_zero(number: Option<impl Display>) -> String {
    number.map_or("0".to_string(), |number| number.to_string())
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() { "none".to_string() } else { items.join(",") }
}

fn word<T: Copy + PartialEq>(words: &[(&str, T)], of: T) -> String {
    let found = words.iter().find(|(_, choice)| *choice == of);
    found.map_or("", |(word, _)| word).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        Defaults, Problems, Properties,
        keys::{KEYS, Role, Status},
        validate,
    };

    fn described(text: &str) -> Vec<Vec<Fact>> {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        let workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        assert!(!problems.has_errors(), "{problems:?}");
        workers.workers.iter().map(|worker| worker.describe().collect()).collect()
    }

    const ALL: &str = "worker.list=a,l,s\nworker.a.type=ajp13\nworker.l.type=lb\n\
        worker.l.balance_workers=m,n\nworker.s.type=status\nworker.m.port=1\nworker.n.port=2\n";

    fn text(facts: &[Fact]) -> String {
        let facts: Vec<String> =
            facts.iter().map(|(key, value)| format!("{key}={value}")).collect();
        facts.join("; ")
    }

    #[test]
    fn covers_every_property_of_the_type() {
        let workers = described(ALL);
        for (facts, role) in workers.iter().zip([Role::Ajp13, Role::Balancer, Role::Status]) {
            let mut named: Vec<&str> = facts.iter().map(|(key, _)| *key).collect();
            named.retain(|key| *key != "member");
            named.sort_unstable();
            let applies = KEYS.iter().filter(|key| key.status == Status::Supported);
            let mut expected: Vec<&str> =
                applies.filter(|key| key.applies.contains(&role)).map(|key| key.name).collect();
            expected.retain(|key| !["mount", "reference"].contains(key));
            assert_eq!(named, expected);
        }
        let last = &workers[1].last().unwrap().1;
        for key in KEYS.iter().filter(|key| key.status == Status::Supported) {
            if key.applies.contains(&Role::Member) {
                assert!(last.contains(&format!("{}=", key.name)), "{} in {last}", key.name);
            }
        }
    }

    #[test]
    fn shows_defaults() {
        let workers = described(ALL);
        assert_eq!(
            text(&workers[0]),
            "type=ajp13; host=localhost; port=8009; socket=not set; prefer_ipv6=off; \
             source=not set; dns_ttl=60; secret=not set; max_packet_size=8192; \
             connection_pool_size=25; connection_pool_minsize=13; connection_pool_timeout=0; \
             connection_acquire_timeout=200; connection_ping_interval=0; ping_mode=none; \
             ping_timeout=10000; connect_timeout=0; prepost_timeout=0; reply_timeout=0; \
             socket_connect_timeout=10000; socket_timeout=0; socket_keepalive=off; \
             socket_buffer=0; retries=2; retry_interval=100; recovery_options=not set; \
             fail_on_status=none; busy_limit=0; max_inflight=0; health_check_interval=0"
        );
        let balancer = text(&workers[1]);
        let (own, members) = balancer.split_once("; member=").unwrap();
        assert_eq!(
            own,
            "type=lb; balance_workers=m,n; method=Request; lock=Optimistic; sticky_session=on; \
             sticky_session_force=off; session_cookie=JSESSIONID; session_path=;jsessionid; \
             set_session_cookie=off; session_cookie_path=/; recover_time=60; \
             error_escalation_time=30; max_reply_timeouts=0; lb_retries=2; retries=2; \
             retry_interval=100; max_inflight=0; slow_start=0; secret=not set"
        );
        let begin = "m (route=m domain= redirect= distance=0 lbfactor=1 activation=Active host=";
        assert!(members.starts_with(begin), "{members}");
        assert_eq!(
            text(&workers[2]),
            "type=status; css=not set; ns=jk:; xmlns=xmlns:jk=\\\"http://tomcat.apache.org\\\"; \
             doctype=not set; prefix=worker; read_only=off; user=none; user_case_insensitive=off; \
             good=a.o,a.i,a.b,a.r; bad=a.e,d.e,s.o,s.i,s.b,s.r,s.e"
        );
    }

    /// A property that is set has to show: otherwise nobody could see that it counts.
    #[test]
    fn every_property_shows_its_effect() {
        let values = [
            ("activation", "Stopped"),
            ("balance_workers", "n"),
            ("bad", "s"),
            ("good", "a"),
            ("domain", "d"),
            ("doctype", "d"),
            ("css", "c"),
            ("fail_on_status", "500"),
            ("host", "h"),
            ("lock", "P"),
            ("method", "B"),
            ("ns", "-"),
            ("ping_mode", "A"),
            ("prefix", "p"),
            ("prefer_ipv6", "on"),
            ("read_only", "on"),
            ("redirect", "r"),
            ("route", "r"),
            ("secret", "s3cret"),
            ("session_cookie", "c"),
            ("session_cookie_path", "/x"),
            ("session_path", ";x"),
            ("set_session_cookie", "on"),
            ("socket", "/s"),
            ("socket_keepalive", "on"),
            ("source", "s"),
            ("sticky_session", "off"),
            ("sticky_session_force", "on"),
            ("user", "u"),
            ("user_case_insensitive", "on"),
            ("xmlns", "-"),
            ("max_packet_size", "16384"),
            ("connection_pool_minsize", "3"),
        ];
        let before = described(ALL);
        for key in KEYS.iter().filter(|key| key.status == Status::Supported) {
            if ["mount", "reference", "type"].contains(&key.name) {
                continue;
            }
            for role in key.applies {
                let (worker, position) = match role {
                    Role::Ajp13 => ("a", 0),
                    Role::Member => ("m", 1),
                    Role::Balancer => ("l", 1),
                    Role::Status => ("s", 2),
                    Role::Global => continue,
                };
                let value = values.iter().find(|(name, _)| *name == key.name);
                let value = value.map_or("7", |(_, value)| *value);
                let base = match key.name {
                    "balance_workers" => ALL.replace("balance_workers=m,n", "mount=/x"),
                    _ => ALL.to_string(),
                };
                let after = described(&format!("{base}worker.{worker}.{}={value}", key.name));
                assert_ne!(before[position], after[position], "{}", key.name);
                assert!(!format!("{after:?}").contains("s3cret"));
            }
        }
    }
}
