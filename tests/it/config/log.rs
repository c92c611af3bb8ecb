//! Where log lines go, how they look, and which of them are written.

use super::with;
use crate::support::client;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::{DEADLINE, Endpoint, ReservedPort, wait_until};

/// A line of JkLogFile, taken apart.
#[derive(Debug)]
struct Line<'l> {
    id: &'l str,
    pid: u32,
    level: &'l str,
    text: &'l str,
}

/// The layout of spec/mod_jk.md 1.5, default stamp:
/// `[Mon Nov 02 03:04:05.067 2026] [id] [pid:tid] [level] function::file (line): text`.
fn parse(line: &str) -> Option<Line<'_>> {
    let (stamp, rest) = line.strip_prefix('[')?.split_once("] [")?;
    let parts: Vec<&str> = stamp.split(' ').collect();
    let [day, month, date, time, year] = parts[..] else { return None };
    let is_time = time.len() == 12
        && time.char_indices().all(|(at, c)| match at {
            2 | 5 => c == ':',
            8 => c == '.',
            _ => c.is_ascii_digit(),
        });
    let is_word = |word: &str| word.len() == 3 && word.chars().all(|c| c.is_ascii_alphabetic());
    let is_number =
        |word: &str, length| word.len() == length && word.chars().all(|c| c.is_ascii_digit());
    if !(is_word(day) && is_word(month) && is_number(date, 2) && is_time && is_number(year, 4)) {
        return None;
    }
    let (id, rest) = rest.split_once("] [")?;
    let (process, rest) = rest.split_once("] [")?;
    let (pid, tid) = process.split_once(':')?;
    tid.parse::<u64>().ok()?;
    let (level, rest) = rest.split_once("] ")?;
    let (function, rest) = rest.split_once("::")?;
    let (file, rest) = rest.split_once(" (")?;
    let (number, text) = rest.split_once("): ")?;
    number.parse::<u32>().ok()?;
    let is_name = |name: &str| !name.is_empty() && !name.contains([' ', '/', ':']);
    (is_name(function) && is_name(file)).then(|| Line {
        id,
        pid: pid.parse().unwrap_or(0),
        level,
        text,
    })
}

#[test]
fn the_parser_of_lines_takes_one_layout_only() {
    let good = "[Mon Nov 02 03:04:05.067 2026] [NO-ID] [12:34] [error] a::b.rs (7): (w) x: y";
    let line = parse(good).expect("the layout");
    assert_eq!((line.id, line.pid, line.level, line.text), ("NO-ID", 12, "error", "(w) x: y"));
    for bad in ["", "[Mon", &good.replace(".067", ""), &good.replace("] [12", "] 12"), &good[1..]] {
        assert!(parse(bad).is_none(), "{bad}");
    }
}

/// A worker that refuses connections.
fn dead() -> (ReservedPort, Endpoint) {
    let port = ReservedPort::v4();
    let endpoint = Endpoint::Tcp(port.addr());
    (port, endpoint)
}

#[test]
fn every_line_of_the_log_file_has_the_layout_of_mod_jk() {
    let engine = Engine::recording().start();
    let (_port, dead) = dead();
    for mpm in Mpm::ALL {
        let httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .worker("w", &engine.endpoint())
            .worker("dead", &dead)
            .mount("/*", "w")
            .mount("/dead/*", "dead")
            .jk_log_level("trace")
            .start();
        assert_eq!(client::get(httpd.addr(), "/a%0Ab?c").status(), 200);
        assert_eq!(client::get(httpd.addr(), "/dead/x").status(), 503);
        let log = httpd.jk_log();
        let children = httpd.child_pids();
        let lines: Vec<Line<'_>> = log
            .lines()
            .map(|line| parse(line).unwrap_or_else(|| panic!("{mpm:?}: another layout: {line}")))
            .collect();
        let start = lines.iter().filter(|line| line.id == "POST_CONFIG").count();
        assert!(start > 0, "nothing about the start in\n{log}");
        for line in lines.iter().skip(start) {
            assert_eq!(line.id, "NO-ID", "{line:?}");
            assert!(children.contains(&line.pid), "{line:?}");
            assert!(["trace", "debug", "info", "warn", "error"].contains(&line.level), "{line:?}");
        }
        for level in ["debug", "info", "error"] {
            assert!(lines.iter().any(|line| line.level == level), "no {level} line in\n{log}");
        }
        let errors: Vec<&Line<'_>> = lines.iter().filter(|line| line.level == "error").collect();
        assert_eq!(errors.len(), 1, "one line for one failed request:\n{log}");
        assert!(errors[0].text.starts_with("(dead) connect_refused: "), "{:?}", errors[0]);
        assert!(errors[0].text.contains("outcome=503"), "{:?}", errors[0]);
    }
}

#[test]
fn trace_shows_the_packets() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .workers("worker.w.secret=hush")
        .mount("/*", "w")
        .jk_log_level("trace")
        .start();
    assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
    let log = httpd.jk_log();
    assert!(log.contains("[trace]"), "no trace line in\n{log}");
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn a_request_id_stands_in_its_lines() {
    let (_port, dead) = dead();
    let httpd = Httpd::builder(Module::Ours)
        .modules(&["unique_id", "headers"])
        .config("Header always set X-Id %{UNIQUE_ID}e")
        .worker("dead", &dead)
        .mount("/*", "dead")
        .start();
    let answer = client::get(httpd.addr(), "/x");
    let id = answer.header("X-Id").expect("an id").to_owned();
    let log = httpd.jk_log();
    let lines = log.lines().map(|line| parse(line).expect("the layout"));
    let about: Vec<_> = lines.filter(|line| line.id != "POST_CONFIG").collect();
    assert!(!about.is_empty(), "{log}");
    for line in about {
        assert_eq!(line.id, id, "{line:?}");
    }
}

#[test]
fn lines_below_the_level_are_not_written() {
    let levels = ["trace", "debug", "info", "warn", "error", "emerg"];
    let engine = Engine::recording().start();
    let (_port, dead) = dead();
    for (lowest, name) in levels.iter().enumerate() {
        let httpd = Httpd::builder(Module::Ours)
            .worker("w", &engine.endpoint())
            .worker("dead", &dead)
            .mount("/*", "w")
            .mount("/dead/*", "dead")
            // Case does not matter.
            .jk_log_level(&name.to_uppercase())
            .start();
        assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
        assert_eq!(client::get(httpd.addr(), "/dead/x").status(), 503);
        let log = httpd.jk_log();
        for line in log.lines().map(|line| parse(line).expect("the layout")) {
            let level = levels.iter().position(|level| *level == line.level).expect("a level");
            assert!(level >= lowest, "{name}: {line:?}");
        }
        let has_error = log.contains("[error]");
        assert_eq!(has_error, *name != "emerg", "{name}: {log}");
        assert_eq!(log.contains("mapped:"), lowest <= 1, "{name}: {log}");
        assert!(!httpd.error_log().contains("[jk:"), "{name}: {}", httpd.error_log());
    }
}

#[test]
fn without_a_log_file_the_lines_go_to_the_error_log_by_its_level() {
    let engine = Engine::recording().start();
    let (_port, dead) = dead();
    for (level, debug, info, error) in [
        ("LogLevel warn jk:debug", true, true, true),
        ("LogLevel warn jk:info", false, true, true),
        ("LogLevel warn", false, false, true),
        ("LogLevel debug jk:crit", false, false, false),
    ] {
        let httpd = with(&format!("JkMount /* w\nJkMount /dead/* dead\n{level}"))
            .worker("w", &engine.endpoint())
            .worker("dead", &dead)
            .start();
        assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
        assert_eq!(client::get(httpd.addr(), "/dead/x").status(), 503);
        let log = httpd.error_log();
        assert_eq!(log.contains("[jk:debug] "), debug, "{level}: {log}");
        assert_eq!(log.contains("mapped: /x to worker w"), debug, "{level}: {log}");
        assert_eq!(log.contains("[jk:info] "), info, "{level}: {log}");
        let lines: Vec<&str> =
            log.lines().filter(|line| line.contains("(dead) connect_refused: ")).collect();
        assert_eq!(lines.iter().any(|line| line.contains("[jk:error] ")), error, "{level}: {log}");
        if error {
            let line = lines.iter().find(|line| line.contains("[jk:error] ")).expect("a line");
            // httpd's own beginning of the line: the client is named as it does everywhere.
            assert!(line.contains("[client 127.0.0.1:"), "{line}");
        }
        assert!(!httpd.path("logs/mod_jk.log").exists() && httpd.jk_log().is_empty());
    }
}

#[test]
fn a_virtual_host_or_a_location_can_have_its_own_level_in_the_error_log() {
    let engine = Engine::recording().start();
    let httpd =
        with("LogLevel warn\nJkMount /* w\n<Location \"/loud\">\nLogLevel jk:debug\n</Location>")
            .worker("w", &engine.endpoint())
            .start();
    assert_eq!(client::get(httpd.addr(), "/quiet").status(), 200);
    assert_eq!(client::get(httpd.addr(), "/loud").status(), 200);
    assert!(httpd.wait_log("[jk:debug]", DEADLINE), "{}", httpd.error_log());
    assert!(!httpd.error_log().contains("/quiet"), "{}", httpd.error_log());
}

#[test]
fn a_piped_log_gets_the_lines_and_is_started_again() {
    let engine = Engine::recording().start();
    let script = "#!/bin/sh\necho $$ > @ROOT@/logs/pid.log\nexec cat >> @ROOT@/logs/piped.log\n";
    let httpd = with("JkLogFile \"|/bin/sh @ROOT@/conf/pipe.sh\"\nJkLogLevel debug\nJkMount /* w")
        .file("conf/pipe.sh", script)
        .worker("w", &engine.endpoint())
        .start();
    let file = |name: &str| {
        std::fs::read_to_string(httpd.path(&format!("logs/{name}.log"))).unwrap_or_default()
    };
    let ask = |path: &str| {
        assert_eq!(client::get(httpd.addr(), path).status(), 200);
        let expected = format!("mapped: {path} to worker w");
        wait_until("the line of the program", || file("piped").contains(&expected));
    };
    ask("/first");
    let pid = || file("pid").trim().parse::<i32>().unwrap_or(0);
    let first = pid();
    assert!(first > 1, "{first}");
    // SAFETY: kill has no memory effects; the process is the program that this httpd has started.
    assert_eq!(unsafe { libc::kill(first, libc::SIGTERM) }, 0);
    wait_until("another program", || pid() > 1 && pid() != first);
    ask("/second");
}

#[test]
fn a_request_log_is_written_whatever_the_level_is() {
    let engine = Engine::recording().start();
    let format = "JkRequestLogFormat \"%w %m %U %q %s %b %B %H %V %R\"";
    for (target, level) in [("JkLogFile logs/jk.log\nJkLogLevel emerg", "warn"), ("", "emerg")] {
        let lines = format!(
            "{target}\nLogLevel {level}\n{format}\nJkMount /app/* w\nJkMount /dead/* nobody"
        );
        let httpd = with(&lines).worker("w", &engine.endpoint()).start();
        assert_eq!(client::get(httpd.addr(), "/app/a%0Ab?q=1").status(), 200);
        assert_eq!(client::get(httpd.addr(), "/dead/x").status(), 500);
        assert_eq!(client::get(httpd.addr(), "/other").status(), 404);
        let log = || if target.is_empty() { httpd.error_log() } else { httpd.jk_log() };
        let is_line = |line: &&str| line.contains(" GET /");
        // A line is written once its response has gone.
        wait_until("two lines", || log().lines().filter(is_line).count() >= 2);
        let log = log();
        for expected in
            ["w GET /app/a?b ?q=1 200 10 10 HTTP/1.1 localhost -", "nobody GET /dead/x  500 "]
        {
            assert!(log.lines().any(|line| line.contains(expected)), "{expected} in\n{log}");
        }
        assert_eq!(log.lines().filter(is_line).count(), 2, "{log}");
    }
}

#[test]
fn lines_begin_with_the_stamp_of_their_server() {
    let engine = Engine::recording().start();
    let httpd = with(
        "JkLogFile logs/jk.log\nJkLogLevel debug\nJkLogStampFormat \"<main%t%Q> \"\nJkMount /* w",
    )
    .worker("w", &engine.endpoint())
    .vhost("other.test", "JkLogStampFormat \"<host %q %Q> \"\nJkMount /* w")
    .vhost("same.test", "JkMount /* w")
    .start();
    let stamp_of = |addr, path: &str| {
        assert_eq!(client::get(addr, path).status(), 200);
        let log = httpd.jk_log();
        let line = log.lines().find(|line| line.contains(&format!("mapped: {path} "))).expect("it");
        let stamp = line.split_once("> ").expect("a stamp").0.to_owned();
        let shape = |c: char| if c.is_ascii_digit() { '9' } else { c };
        stamp.chars().map(shape).collect::<String>()
    };
    // The tab is the administrator's.
    assert_eq!(stamp_of(httpd.addr(), "/a"), "<main\t999");
    assert_eq!(stamp_of(httpd.vhost("other.test"), "/b"), "<host %q 999");
    assert_eq!(stamp_of(httpd.vhost("same.test"), "/c"), "<main\t999");
}
