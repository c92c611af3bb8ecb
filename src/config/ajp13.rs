//! One worker of type ajp13: its properties with the rules and defaults of [2.3].
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    properties::Property,
    settings::{BYTES, COUNT, Settings, unless_zero},
    target::target,
    text::{quoted, suggestion},
    worker::{Ajp13Config, ConnectOptions, PacketSize, RecoveryOptions, Secret, StatusList},
};

/// The types of C mod_jk.
const TYPES: [&str; 5] = ["ajp12", "ajp13", "ajp14", "lb", "status"];

/// Decided in spec/reliability.md 0; C mod_jk leaves it to the system.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_DNS_TTL: Duration = Duration::from_secs(60);
const DEFAULT_RETRIES: u32 = 2;
const DEFAULT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Reads one worker. `default_pool_size` is at least 1.
pub(super) fn worker(settings: &mut Settings<'_>, default_pool_size: usize) -> Ajp13Config {
    check_type(settings);
    let packet_size = packet_size(settings);
    let socket_timeout = settings.seconds("socket_timeout").and_then(unless_zero);
    let pings = Pings::read(settings);
    let retries = retries(settings);
    let pool_size = pool_size(settings, default_pool_size);
    let retry_interval = settings.milliseconds("retry_interval").unwrap_or(DEFAULT_RETRY_INTERVAL);
    Ajp13Config {
        name: settings.name.clone(),
        target: target(settings),
        secret: settings.find("secret").map(|found| Secret::new(&found.value)),
        packet_size,
        pool_size,
        pool_min_size: pool_size.div_ceil(2),
        pool_idle_timeout: None,
        acquire_timeout: settings
            .milliseconds("connection_acquire_timeout")
            .unwrap_or(retry_interval.saturating_mul(retries)),
        connect: ConnectOptions {
            socket_connect_timeout: match settings.milliseconds("socket_connect_timeout") {
                Some(time) => unless_zero(time),
                None => Some(socket_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT)),
            },
            keepalive: settings.switch("socket_keepalive", false),
            buffer: buffer(settings, packet_size),
            prefer_ipv6: settings.switch("prefer_ipv6", false),
            source: None,
            dns_ttl: DEFAULT_DNS_TTL,
        },
        socket_timeout,
        connect_ping: pings.connect,
        prepost_ping: pings.prepost,
        ping_interval: None,
        idle_ping: Some(DEFAULT_PING_TIMEOUT),
        reply_timeout: settings.milliseconds("reply_timeout").and_then(unless_zero),
        retries,
        retry_interval,
        recovery: RecoveryOptions::default(),
        fail_on_status: StatusList::default(),
        busy_limit: None,
    }
}

fn check_type(settings: &mut Settings<'_>) {
    let Some(found) = settings.find("type") else { return };
    let shown = quoted(&found.value);
    match found.value.as_slice() {
        b"ajp13" => {}
        b"lb" | b"status" => settings.error(
            found,
            format!("type {shown} is not supported yet by this version"),
            "use type ajp13, or take the worker out of worker.list",
        ),
        b"ajp12" | b"ajp14" => settings.error(
            found,
            format!("type {shown} is not supported"),
            "use type ajp13, which every Tomcat speaks",
        ),
        unknown => {
            let remedy = match suggestion(unknown, TYPES) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", TYPES.join(", ")),
            };
            settings.error(found, format!("there is no worker type {shown}"), &remedy);
        }
    }
}

fn packet_size(settings: &mut Settings<'_>) -> PacketSize {
    let Some(asked) = settings.number("max_packet_size", &BYTES) else {
        return PacketSize::default();
    };
    let size = PacketSize::rounded(asked);
    if usize::try_from(asked).ok() != Some(size.bytes())
        && let Some(found) = settings.find("max_packet_size")
    {
        let what = format!("{asked} is rounded to {}", size.bytes());
        let remedy =
            "use a multiple of 1024 from 8192 to 65536, the same as packetSize of the engine";
        settings.warning(found, what, remedy);
    }
    size
}

fn pool_size(settings: &mut Settings<'_>, default: usize) -> usize {
    let Some(asked) = settings.number("connection_pool_size", &COUNT) else { return default };
    let Some(found) = settings.find("connection_pool_size") else { return default };
    match usize::try_from(asked) {
        Ok(0) => {
            let what = "a pool of 0 connections can serve no request";
            settings.error(found, what, "use at least 1, or remove the line");
            default
        }
        Ok(size) => size,
        Err(_) => {
            let what = format!("{asked} is less than nothing, the default is used");
            settings.warning(found, what, "use at least 1, or remove the line");
            default
        }
    }
}

fn retries(settings: &mut Settings<'_>) -> u32 {
    let Some(asked) = settings.number("retries", &COUNT) else { return DEFAULT_RETRIES };
    match u32::try_from(asked) {
        Ok(retries) if retries > 0 => retries,
        _ => {
            if let Some(found) = settings.find("retries") {
                settings.warning(found, format!("{asked} is read as 1"), "use at least 1");
            }
            1
        }
    }
}

fn buffer(settings: &mut Settings<'_>, packet_size: PacketSize) -> Option<usize> {
    let bytes = settings.number("socket_buffer", &BYTES)?;
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
    Some(bytes.max(packet_size.bytes()))
}

/// When a connection is pinged, and how long the engine may take to answer.
struct Pings {
    connect: Option<Duration>,
    prepost: Option<Duration>,
}

impl Pings {
    fn read(settings: &mut Settings<'_>) -> Pings {
        let timeout = settings.milliseconds("ping_timeout").unwrap_or(DEFAULT_PING_TIMEOUT);
        let mode = settings.find("ping_mode");
        if let Some(mode) = mode {
            Pings::check_mode(settings, mode);
        }
        let has = |letter: u8| mode.is_some_and(|mode| Pings::has(mode, &[letter, b'A']));
        // As in C mod_jk a time of 0 cannot switch off what the mode switches on.
        let mut ping = |property: &str, letter: u8| {
            let explicit = settings.milliseconds(property).and_then(unless_zero);
            explicit.or_else(|| has(letter).then_some(timeout).and_then(unless_zero))
        };
        Pings { connect: ping("connect_timeout", b'C'), prepost: ping("prepost_timeout", b'P') }
    }

    /// Whether a mode has one of these upper case letters, in either case.
    fn has(mode: &Property, letters: &[u8]) -> bool {
        mode.value.iter().any(|letter| letters.contains(&letter.to_ascii_uppercase()))
    }

    fn check_mode(settings: &mut Settings<'_>, mode: &Property) {
        if Pings::has(mode, b"IA") {
            let what = "interval pings (I, and A which includes them) are not supported yet by \
                        this version";
            settings.error(mode, what, "use CP");
        }
        if !mode.value.iter().all(|letter| b"CPIA".contains(&letter.to_ascii_uppercase())) {
            let what = format!("{} has letters that mean nothing", quoted(&mode.value));
            let remedy = "use C (ping after connecting), P (before each request) or CP";
            settings.warning(mode, what, remedy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, Problems, Properties, Target, WorkerConfig, validate};

    /// Worker `a` with these properties, and what is said about them.
    fn read(lines: &str) -> (Ajp13Config, Vec<String>) {
        let mut text = "worker.list=a\nworker.a.type=ajp13\n".to_string();
        for line in lines.lines() {
            text.push_str(&format!("worker.a.{line}\n"));
        }
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        let mut workers = validate(&properties, &Defaults { pool_size: 25 }, &mut problems);
        let shown = problems.iter().map(ToString::to_string).collect();
        let WorkerConfig::Ajp13(config) = workers.workers.remove(0);
        (*config, shown)
    }

    fn config(lines: &str) -> Ajp13Config {
        let (config, problems) = read(lines);
        assert_eq!(problems, [""; 0]);
        config
    }

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn has_the_defaults_of_the_specification() {
        let config = config("");
        assert_eq!(config.target, Target::Tcp { host: "localhost".to_string(), port: 8009 });
        assert_eq!(config.secret, None);
        assert_eq!(config.packet_size, PacketSize::MIN);
        assert_eq!(config.pool_size, 25);
        assert_eq!(config.acquire_timeout, 200 * MS);
        assert_eq!(config.connect.socket_connect_timeout, Some(10 * SECOND));
        assert_eq!(config.connect.buffer, None);
        assert!(!config.connect.keepalive && !config.connect.prefer_ipv6);
        assert_eq!(config.socket_timeout, None);
        assert_eq!((config.connect_ping, config.prepost_ping), (None, None));
        assert_eq!(config.reply_timeout, None);
        assert_eq!((config.retries, config.retry_interval), (2, 100 * MS));
    }

    #[test]
    fn takes_over_what_is_set() {
        let config = config(
            "host=ivy\nport=8010\nsecret=s\nmax_packet_size=64k\nconnection_pool_size=7\n\
             connection_acquire_timeout=1500\nsocket_connect_timeout=300\nsocket_keepalive=on\n\
             socket_buffer=100k\nprefer_ipv6=true\nsocket_timeout=5\nreply_timeout=30000\n\
             retries=3\nretry_interval=50",
        );
        assert_eq!(config.target, Target::Tcp { host: "ivy".to_string(), port: 8010 });
        assert_eq!(config.secret, Some(Secret::new(b"s")));
        assert_eq!(config.packet_size, PacketSize::MAX);
        assert_eq!(config.pool_size, 7);
        assert_eq!(config.acquire_timeout, 1500 * MS);
        assert_eq!(config.connect.socket_connect_timeout, Some(300 * MS));
        assert_eq!(config.connect.buffer, Some(102_400));
        assert!(config.connect.keepalive && config.connect.prefer_ipv6);
        assert_eq!(config.socket_timeout, Some(5 * SECOND));
        assert_eq!(config.reply_timeout, Some(30 * SECOND));
        assert_eq!((config.retries, config.retry_interval), (3, 50 * MS));
    }

    #[test]
    fn derives_what_is_not_set() {
        let connect = |lines| config(lines).connect.socket_connect_timeout;
        assert_eq!(connect("socket_timeout=5"), Some(5 * SECOND));
        assert_eq!(connect("socket_timeout=0"), Some(10 * SECOND));
        assert_eq!(connect("socket_timeout=5\nsocket_connect_timeout=0"), None);
        assert_eq!(config("retries=3\nretry_interval=50").acquire_timeout, 150 * MS);
        assert_eq!(config("retry_interval=0").acquire_timeout, Duration::ZERO);
        assert_eq!(config("connection_acquire_timeout=0").acquire_timeout, Duration::ZERO);
        assert_eq!(config("socket_buffer=1").connect.buffer, Some(8192));
        assert_eq!(config("socket_buffer=0").connect.buffer, None);
    }

    #[test]
    fn pings_as_the_mode_and_the_timeouts_say() {
        let pings = |lines| {
            let config = config(lines);
            (config.connect_ping, config.prepost_ping)
        };
        let ten = Some(10 * SECOND);
        assert_eq!(pings("ping_timeout=7"), (None, None));
        assert_eq!(pings("ping_mode=C"), (ten, None));
        assert_eq!(pings("ping_mode=p"), (None, ten));
        assert_eq!(pings("ping_mode=cP\nping_timeout=7"), (Some(7 * MS), Some(7 * MS)));
        assert_eq!(pings("ping_mode=CP\nprepost_timeout=5"), (ten, Some(5 * MS)));
        assert_eq!(pings("ping_mode=C\nconnect_timeout=0"), (ten, None));
        assert_eq!(pings("ping_mode=CP\nping_timeout=0"), (None, None));
        assert_eq!(pings("connect_timeout=5"), (Some(5 * MS), None));
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_wins_over_host_and_port() {
        let socket = Target::Unix("/run/ivy/ajp.sock".into());
        assert_eq!(config("socket=/run/ivy/ajp.sock").target, socket);
        let (config, problems) = read("socket=/run/ivy/ajp.sock\nhost=ivy\nport=0");
        assert_eq!(config.target, socket);
        assert_eq!(
            problems,
            [
                "w:4: worker.a.host: has no effect beside socket, which is used; remove it, or \
                 remove socket",
                "w:5: worker.a.port: has no effect beside socket, which is used; remove it, or \
                 remove socket",
            ]
        );
        let (_, problems) = read("socket=ajp.sock");
        assert_eq!(
            problems,
            [
                "w:3: worker.a.socket: \"ajp.sock\" is not an absolute path; begin it with /, such as \
              /run/ivy/ajp.sock"
            ]
        );
        let (_, problems) = read(&format!("socket=/{}", "x".repeat(200)));
        assert!(problems[0].contains("the path has 201 bytes"), "{problems:?}");
    }

    #[test]
    fn reads_odd_values_as_c_does_and_says_so() {
        let (config, problems) = read(
            "port=80x9\nreply_timeout=abc\nsocket_timeout=5s\nretries=0\nretry_interval=-1\n\
             max_packet_size=9000\nconnection_pool_size=-5\nsocket_keepalive=maybe\nping_mode=CX",
        );
        assert_eq!(config.target, Target::Tcp { host: "localhost".to_string(), port: 80 });
        assert_eq!(config.reply_timeout, None);
        assert_eq!(config.socket_timeout, Some(5 * SECOND));
        assert_eq!((config.retries, config.retry_interval), (1, Duration::ZERO));
        assert_eq!(config.packet_size.bytes(), 9216);
        assert_eq!(config.pool_size, 25);
        assert_eq!(config.connect_ping, Some(10 * SECOND));
        let mut problems = problems;
        problems.sort();
        assert_eq!(
            problems,
            [
                "w:10: worker.a.socket_keepalive: \"maybe\" is neither on nor off, off is used; use \
                 on or off",
                "w:11: worker.a.ping_mode: \"CX\" has letters that mean nothing; use C (ping after \
                 connecting), P (before each request) or CP",
                "w:3: worker.a.port: \"80x9\" is not a port number, it is read as 80; use a number \
                 from 1 to 65535",
                "w:4: worker.a.reply_timeout: \"abc\" is not a number of milliseconds, the default \
                 is used; use a whole number without a unit, such as 10000 for ten seconds",
                "w:5: worker.a.socket_timeout: \"5s\" is not a number of seconds, it is read as 5; \
                 use a whole number without a unit, such as 10 for ten seconds",
                "w:6: worker.a.retries: 0 is read as 1; use at least 1",
                "w:7: worker.a.retry_interval: -1 is less than nothing, 0 is used; use a whole \
                 number without a unit, such as 10000 for ten seconds",
                "w:8: worker.a.max_packet_size: 9000 is rounded to 9216; use a multiple of 1024 from \
                 8192 to 65536, the same as packetSize of the engine",
                "w:9: worker.a.connection_pool_size: -5 is less than nothing, the default is used; \
                 use at least 1, or remove the line",
            ]
        );
    }

    #[test]
    fn refuses_what_cannot_work() {
        for (line, expected) in [
            ("port=70000", "port: 70000 is not a port number; use a number from 1 to 65535"),
            ("host=ivy:8010", "host: \"ivy:8010\" has a port; write host=ivy and port=8010"),
            (
                "connection_pool_size=0",
                "connection_pool_size: a pool of 0 connections can serve no request; use at least \
                 1, or remove the line",
            ),
            (
                "ping_mode=A",
                "ping_mode: interval pings (I, and A which includes them) are not supported yet by \
                 this version; use CP",
            ),
        ] {
            let (_, problems) = read(line);
            assert_eq!(problems, [format!("w:3: worker.a.{expected}")]);
        }
    }

    #[test]
    fn warns_of_a_port_that_is_never_contacted() {
        for port in ["0", "-1"] {
            let (config, problems) = read(&format!("port={port}"));
            assert_eq!(config.target, Target::Tcp { host: "localhost".to_string(), port: 0 });
            assert_eq!(
                problems,
                [format!(
                    "w:3: worker.a.port: {port} means that the engine is never contacted, requests \
                     get 503; use a number from 1 to 65535"
                )]
            );
        }
    }
}
