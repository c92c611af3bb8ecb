//! Every property of a worker of type ajp13: default, set, odd, and what is said of it.
#![forbid(unsafe_code)]

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
    let mut workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
    let shown = problems.iter().map(ToString::to_string).collect();
    let WorkerConfig::Ajp13(config) = workers.workers.remove(0) else { panic!() };
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
    assert_eq!((config.pool_min_size, config.pool_idle_timeout), (13, None));
    assert_eq!((config.ping_interval, config.idle_ping), (None, Some(10 * SECOND)));
    assert_eq!(config.recovery, RecoveryOptions(None));
    assert!(config.fail_on_status.is_empty());
    assert_eq!(config.busy_limit, None);
    assert_eq!((config.connect.source, config.connect.dns_ttl), (None, 60 * SECOND));
}

#[test]
fn takes_over_what_is_set() {
    let config = config(
        "host=ivy\nport=8010\nsecret=s\nmax_packet_size=64k\nconnection_pool_size=27\n\
         connection_acquire_timeout=1500\nsocket_connect_timeout=300\nsocket_keepalive=on\n\
         socket_buffer=100k\nprefer_ipv6=true\nsocket_timeout=5\nreply_timeout=30000\n\
         retries=3\nretry_interval=50\nconnection_pool_minsize=0\nconnection_pool_timeout=60\n\
         connection_ping_interval=30\nrecovery_options=3\nfail_on_status=500,-503\nbusy_limit=9\n\
         source=127.0.0.2\ndns_ttl=86400\nping_timeout=5000",
    );
    assert_eq!(config.target, Target::Tcp { host: "ivy".to_string(), port: 8010 });
    assert_eq!(config.secret, Some(Secret::new(b"s")));
    assert_eq!(config.packet_size, PacketSize::MAX);
    assert_eq!(config.pool_size, 27);
    assert_eq!((config.pool_min_size, config.pool_idle_timeout), (0, Some(60 * SECOND)));
    assert_eq!((config.ping_interval, config.idle_ping), (Some(30 * SECOND), Some(5 * SECOND)));
    assert_eq!(config.recovery, RecoveryOptions(Some(3)));
    assert_eq!(config.fail_on_status.statuses(), [500, -503]);
    assert_eq!(config.busy_limit, Some(9));
    assert_eq!(config.connect.source.as_deref(), Some("127.0.0.2"));
    assert_eq!(config.connect.dns_ttl, 86_400 * SECOND);
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
    assert_eq!(read("socket_buffer=1").0.connect.buffer, Some(8192));
    assert_eq!(config("socket_buffer=0").connect.buffer, None);
    let min_size = |lines| config(lines).pool_min_size;
    assert_eq!(min_size("connection_pool_size=100"), 50);
    assert_eq!(min_size("connection_pool_size=31\nconnection_pool_minsize=31"), 31);
    assert_eq!(config("ping_timeout=0").idle_ping, None);
    for line in ["busy_limit=0", "connection_pool_timeout=0", "connection_ping_interval=0"] {
        let config = config(line);
        assert_eq!((config.busy_limit, config.pool_idle_timeout), (None, None));
        assert_eq!(config.ping_interval, None);
    }
    assert_eq!(config("recovery_options=0").recovery, RecoveryOptions(Some(0)), "set by hand");
}

#[test]
fn pings_as_the_mode_and_the_timeouts_say() {
    let pings = |lines: &str| {
        let (config, _) = read(lines);
        (config.connect_ping, config.prepost_ping, config.ping_interval)
    };
    let ten = Some(10 * SECOND);
    let hundred = Some(100 * SECOND);
    assert_eq!(pings("ping_timeout=700"), (None, None, None));
    assert_eq!(pings("ping_mode=C"), (ten, None, None));
    assert_eq!(pings("ping_mode=p"), (None, ten, None));
    assert_eq!(pings("ping_mode=i"), (None, None, hundred));
    assert_eq!(pings("ping_mode=A"), (ten, ten, hundred));
    assert_eq!(pings("ping_mode=xa"), (ten, ten, hundred));
    assert_eq!(pings("ping_mode=none"), (None, None, None));
    let seven = Some(700 * MS);
    assert_eq!(pings("ping_mode=cPI\nping_timeout=700"), (seven, seven, Some(7 * SECOND)));
    assert_eq!(pings("ping_mode=I\nping_timeout=99").2, None, "99 / 100");
    assert_eq!(pings("ping_mode=CP\nprepost_timeout=500"), (ten, Some(500 * MS), None));
    assert_eq!(pings("ping_mode=I\nconnection_ping_interval=5").2, Some(5 * SECOND));
    assert_eq!(pings("ping_mode=CP\nping_timeout=0"), (None, None, None));
    assert_eq!(pings("connect_timeout=500"), (Some(500 * MS), None, None));
    // As in C mod_jk 0 leaves on what the mode switches on, and less switches it off.
    let zero = "ping_mode=A\nconnect_timeout=0\nprepost_timeout=0\nconnection_ping_interval=0";
    assert_eq!(pings(zero), (ten, ten, hundred));
    assert_eq!(pings(&zero.replace("=0", "=-1")), (None, None, None));
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
        ["w:3: worker.a.socket: \"ajp.sock\" is not an absolute path; begin it with /, such as \
          /run/ivy/ajp.sock"]
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
             connecting), P (before each request), I (while idle) or A (all of them)",
            "w:3: worker.a.port: \"80x9\" is not a port number, it is read as 80; use a number \
             from 1 to 65535",
            "w:4: worker.a.reply_timeout: \"abc\" is not a number of milliseconds, it is read \
             as 0; use a whole number without a unit, such as 10000 for ten seconds",
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

/// As C mod_jk does: the other workers work.
#[test]
fn warns_of_what_is_never_contacted() {
    let never =
        "the engine is never contacted, requests get 503, a member of a balancer is stopped";
    let number = "use a number from 1 to 65535";
    for (line, what, remedy) in [
        ("port=0", "0 is no port number", number),
        ("port=-1", "-1 is no port number", number),
        ("port=65536", "65536 is no port number", number),
        ("host=ivy:8010", "\"ivy:8010\" has a port", "write host=ivy and port=8010"),
        ("host=[::1]", "\"[::1]\" has brackets around the address", "write host=::1"),
        ("host=/run/ajp", "\"/run/ajp\" is a path", "use socket for the path of a Unix socket"),
        (
            "host=i vy",
            "\"i vy\" has a blank or a control character",
            "use a host name or an address, such as localhost or ::1",
        ),
    ] {
        let (config, problems) = read(line);
        let property = line.split('=').next().unwrap_or_default();
        assert_eq!(problems, [format!("w:3: worker.a.{property}: {what}: {never}; {remedy}")]);
        let Target::Never { host, why } = config.target else { panic!("{line}") };
        assert_eq!(host, line.strip_prefix("host=").unwrap_or("localhost"));
        assert_eq!(why, format!("{property} {}; {remedy}", what));
    }
    let (config, problems) = read("port=0\nhost=a b");
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(matches!(config.target, Target::Never { .. }));
}

#[test]
fn reads_a_large_port_as_c_does() {
    let (config, problems) = read("port=73545");
    assert_eq!(config.target, Target::Tcp { host: "localhost".to_string(), port: 8009 });
    assert_eq!(
        problems,
        ["w:3: worker.a.port: 73545 is read as 8009, its lower 16 bits; use a number from 1 to \
          65535"]
    );
}

#[test]
fn warns_of_a_pool_of_nothing() {
    let said = "a pool of 0 connections serves no request: all of them get 503; use at least 1, or \
                remove the line";
    warned("connection_pool_size=0", &[said]);
    let (config, problems) = read("cachesize=0");
    assert_eq!((config.pool_size, config.pool_min_size), (0, 0));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(read("connection_pool_size=0\ncachesize=5").0.pool_size, 0);
}

/// What is said of one line, without its place.
#[track_caller]
fn warned(line: &str, expected: &[&str]) {
    let (_, problems) = read(line);
    let property = line.split('=').next().unwrap_or_default();
    let begin = format!("w:3: worker.a.{property}: ");
    let said: Vec<&str> =
        problems.iter().map(|problem| problem.strip_prefix(&begin).unwrap_or(problem)).collect();
    assert_eq!(said, expected, "{line}");
}

#[test]
fn falls_back_to_old_names_as_c_mod_jk_does() {
    let sizes = |lines: &str| {
        let (config, _) = read(lines);
        (config.pool_size, config.pool_idle_timeout)
    };
    let old = "cachesize=30\ncache_timeout=5";
    assert_eq!(sizes(old), (30, Some(5 * SECOND)));
    let set =
        |size: &str| format!("{old}\nconnection_pool_size={size}\nconnection_pool_timeout={size}");
    assert_eq!(sizes(&set("40")), (40, Some(40 * SECOND)));
    assert_eq!(sizes(&set("-1")), (30, Some(5 * SECOND)));
    assert_eq!(sizes("cachesize=30\nconnection_pool_timeout=0\ncache_timeout=5"), (30, None));
    assert_eq!(
        read(old).1,
        [
            "w:3: worker.a.cachesize: is the old name of connection_pool_size; write \
             connection_pool_size instead",
            "w:4: worker.a.cache_timeout: is the old name of connection_pool_timeout; write \
             connection_pool_timeout instead",
        ]
    );
    assert_eq!(
        read("cachesize=30\nconnection_pool_size=40").1,
        ["w:3: worker.a.cachesize: is the old name of connection_pool_size, which is set too and \
          goes first; remove the line"]
    );
}

#[test]
fn warns_of_the_wrong_unit_of_time() {
    for property in [
        "connect_timeout",
        "connection_acquire_timeout",
        "ping_timeout",
        "prepost_timeout",
        "reply_timeout",
        "socket_connect_timeout",
    ] {
        let said = "10 is read as 10 milliseconds; write 10000 if you mean seconds";
        warned(&format!("{property}=10"), &[said]);
        warned(&format!("{property}=100"), &[]);
        warned(&format!("{property}=0"), &[]);
    }
    warned("retry_interval=10", &[]);
    let said = "2 is read as 2 milliseconds; write 2000 if you mean seconds";
    warned("retry_interval=2", &[said]);
    for property in ["socket_timeout", "connection_ping_interval"] {
        let said = "30000 is read as 30000 seconds; write 30 if you mean milliseconds";
        warned(&format!("{property}=30000"), &[said]);
        warned(&format!("{property}=9999"), &[]);
    }
    warned("dns_ttl=86400", &[]);
}

/// The unit that the table names is the one that is read.
#[test]
fn reads_times_in_the_unit_of_the_table() {
    use crate::config::keys::{KEYS, Key, Role, Status};
    let is_live = |key: &&Key| key.status == Status::Supported;
    for key in KEYS.iter().filter(|key| key.applies.contains(&Role::Ajp13)).filter(is_live) {
        let (_, problems) = read(&format!("{}=x", key.name));
        let said = |unit| problems.iter().any(|problem| problem.contains(unit));
        assert_eq!(said("number of milliseconds"), key.unit == "ms", "{problems:?}");
        assert_eq!(said("number of seconds"), key.unit == "s", "{problems:?}");
        assert_eq!(said("neither on nor off"), key.unit == "switch", "{problems:?}");
        assert_eq!(said("number of bytes"), key.unit == "bytes", "{problems:?}");
    }
}

#[test]
fn warns_of_pools_that_are_too_small() {
    let (config, problems) = read("connection_pool_size=7\nretry_interval=50");
    assert_eq!((config.pool_size, config.pool_min_size), (7, 4));
    assert_eq!(
        problems,
        ["w:3: worker.a.connection_pool_size: 7 connections for 25 threads: when all are in use, \
          further requests wait 100 ms and get 503; use at least 25, or remove the line"]
    );
    warned("connection_pool_size=25", &[]);
}

#[test]
fn warns_of_connections_that_the_engine_may_close() {
    let said = "connections that are idle for up to 600 seconds are used again: where the engine \
                closes them earlier, requests find them closed; set keepAliveTimeout of its \
                connector to 600000 or more, and ping_mode=P";
    warned("connection_pool_timeout=600", &[said]);
    warned("connection_pool_timeout=60", &[]);
    for ping in ["ping_mode=A", "prepost_timeout=500", "connection_ping_interval=5"] {
        let (config, problems) = read(&format!("connection_pool_timeout=600\n{ping}"));
        assert_eq!(problems, [""; 0]);
        assert_eq!(config.pool_idle_timeout, Some(600 * SECOND));
    }
}

#[test]
fn reads_the_other_odd_numbers_as_c_does() {
    for asked in [26, -1] {
        let (config, problems) = read(&format!("connection_pool_minsize={asked}"));
        assert_eq!(config.pool_min_size, 25);
        assert_eq!(
            problems,
            [format!(
                "w:3: worker.a.connection_pool_minsize: {asked} is not from 0 to 25, the size of \
                 the pool: no idle connection is closed; use a smaller number, or remove the line"
            )]
        );
    }
    let none = "-5 is less than nothing, 0 is used";
    warned("busy_limit=-5", &[&format!("{none}; use a whole number such as 2")]);
    assert_eq!(read("busy_limit=-5").0.busy_limit, None);
    let bytes = "use a whole number, with k or m directly behind it for KiB or MiB";
    warned("socket_buffer=-5", &[&format!("{none}; {bytes}")]);
    assert_eq!(read("socket_buffer=-5").0.connect.buffer, None);
    let (_, problems) = read("connection_ping_interval=5\nping_timeout=0");
    assert_eq!(
        problems,
        ["w:4: worker.a.ping_timeout: no time to answer: idle connections are not pinged; write \
          10000 for ten seconds"]
    );
}

#[test]
fn explains_recovery_options() {
    let both = "27 has the bits 8 (HEAD) and 16 (GET); C mod_jk ignores 16 beside 8, here both \
                count; take 16 out if GET must not be sent again";
    warned("recovery_options=27", &[both]);
    assert_eq!(read("recovery_options=27").0.recovery, RecoveryOptions(Some(27)));
    warned("recovery_options=11", &[]);
    let bits = "has bits that mean nothing; use a sum of 1, 2, 4, 8 and 16";
    warned("recovery_options=35", &[&format!("35 {bits}")]);
    assert_eq!(read("recovery_options=35").0.recovery, RecoveryOptions(Some(3)));
    assert_eq!(read("recovery_options=-1").0.recovery, RecoveryOptions(Some(31)));
}

#[test]
fn reads_lists_of_statuses() {
    let statuses = |line: &str| read(line).0.fail_on_status.statuses().to_vec();
    assert_eq!(config("fail_on_status=500 503,-404\t,").fail_on_status.statuses().len(), 3);
    assert_eq!(statuses("fail_on_status=500\nfail_on_status=-404"), [500, -404]);
    assert_eq!(statuses("fail_on_status=500-599"), [500]);
    let remedy = "list single statuses, such as 500 or -503";
    warned("fail_on_status=500-599", &[&format!("\"500-599\" is read as 500; {remedy}")]);
    for item in ["5xx", "0", "none", "1000", "-99"] {
        let line = format!("fail_on_status={item}");
        warned(&line, &[&format!("\"{item}\" is no status, it never matches; {remedy}")]);
        assert_eq!(statuses(&line), [0; 0]);
    }
    let twice = "-500 has no effect, 500 stands before it; keep one of them";
    warned("fail_on_status=500,-500", &[twice]);
}

#[test]
fn refuses_addresses_that_are_too_long() {
    let limit = "bytes, the limit is 63; use a shorter name, or the address";
    for (property, noun) in [("source", "address"), ("host", "host")] {
        let fits = "x".repeat(63);
        assert_eq!(read(&format!("{property}={fits}")).1, [""; 0]);
        warned(&format!("{property}={fits}x"), &[&format!("the {noun} has 64 {limit}")]);
    }
}
