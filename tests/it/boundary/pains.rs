//! What administrators are told where others were left to guess: spec/reliability.md 4.

use std::time::Duration;

use crate::faults::case::{flush, ok};
use crate::faults::stage::{Stage, unique};
use crate::support::client::{self, Client};
use crate::support::engine::{Action, Engine};
use crate::support::eventually;
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, body_chunk};

/// 4: how many connections the engine must be prepared for is said at the start.
#[test]
fn the_start_says_how_many_connections_there_may_be() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .jk_log_level("info")
        .worker("w", &engine.endpoint())
        .worker("n", &engine.endpoint())
        .workers("worker.n.connection_pool_size=3")
        .size(4, 2)
        .start();
    let log = httpd.jk_log();
    for words in [
        "capacity: this httpd opens up to 6 connections to an engine, 3 in each of 2 processes;",
        "capacity: this httpd opens up to 8 connections to an engine, 4 in each of 2 processes;",
        "engines=n\n",
        "engines=w\n",
    ] {
        assert!(log.contains(words), "{words} is missing:\n{log}");
    }
}

/// 12: an access log can tell an answer that was broken off from one that was not.
#[test]
fn the_access_log_says_why_an_answer_was_broken_off() {
    let stage = Stage::with(|builder| {
        builder.config("CustomLog logs/ended.log \"%U %X abort=%{JK_ABORT}n\"")
    });
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        conn.send(&[ok(&[]), body_chunk(b"begun"), flush()].concat())?;
        Ok(Action::Close)
    });
    let mut client = Client::connect(stage.httpd.addr());
    client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
    assert!(!client.try_read_response("GET").is_ok_and(|answer| answer.end.is_complete()));
    let whole = stage.echo("w");
    let mut log = String::new();
    let lines = [format!("{path} X abort=eof_mid_body"), format!("{} + abort=-", whole.text())];
    let is_told = eventually(Duration::from_secs(10), || {
        log = std::fs::read_to_string(stage.httpd.path("logs/ended.log")).unwrap_or_default();
        lines.iter().all(|line| log.contains(line))
    });
    assert!(is_told, "{lines:?} are missing:\n{log}");
}

/// 13: what a WebSocket becomes is said once a minute.
#[test]
fn a_websocket_is_hinted_at() {
    let stage = Stage::new();
    let mark = stage.mark();
    for upgrade in ["WebSocket", "h2c, websocket"] {
        let path = unique("w", "echo");
        let headers = [("Connection", "Upgrade"), ("Upgrade", upgrade)];
        let answer = Client::connect(stage.httpd.addr()).request("GET", &path, &headers, b"");
        assert_eq!((answer.status(), answer.text()), (200, path));
    }
    let other = [("Connection", "Upgrade"), ("Upgrade", "h2c")];
    Client::connect(stage.httpd.addr()).request("GET", &unique("w", "echo"), &other, b"");
    stage.check_log("websocket", &mark, "w", Some(("warn", "websocket")));
}

/// Two members whose engine opens a session with each answer.
fn sessions(cookie: &'static str, lines: &str) -> (Httpd, Engine) {
    let engine = Engine::scripted(move |conn, _| {
        conn.send(&packet::answer(200, &[("Set-Cookie", cookie)], b"fine"))?;
        Ok(Action::Keep)
    })
    .start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("n1", &engine.endpoint())
        .worker("n2", &engine.endpoint())
        .workers("worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=n1,n2")
        .workers(lines)
        .mount("/*", "lb")
        .start();
    (httpd, engine)
}

/// 14: sessions that no later request will find are told of once a minute, without their id.
#[test]
fn sessions_with_a_foreign_route_are_told_of() {
    for (cookie, lines, route) in [
        ("JSESSIONID=4711.n3; Path=/", "", Some("n3")),
        ("JSESSIONID=4711; Path=/; HttpOnly", "", Some("")),
        ("ID=4711.n3", "worker.lb.session_cookie=ID", Some("n3")),
        ("JSESSIONID=4711.n2; Path=/", "", None),
        ("JSESSIONID=4711.d.x", "worker.n1.domain=d", None),
        ("JSESSIONID=; Max-Age=0", "", None),
        ("OTHER=4711.n3", "", None),
        ("JSESSIONID=4711.n3", "worker.lb.sticky_session=0", None),
    ] {
        let (httpd, _engine) = sessions(cookie, lines);
        for _ in 0..3 {
            assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
        }
        let log = httpd.jk_log();
        let told: Vec<&str> =
            log.lines().filter(|line| line.contains("(lb) foreign_route: ")).collect();
        assert_eq!(told.len(), usize::from(route.is_some()), "{cookie} {lines}: {log}");
        if let Some(route) = route {
            assert!(told[0].contains("[warn]"), "{}", told[0]);
            assert!(told[0].ends_with(&format!("route={route}")), "{}", told[0]);
        }
        assert!(!log.contains("4711"), "the id of a session is in the log");
    }
}
