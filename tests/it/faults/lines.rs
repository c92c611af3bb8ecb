//! One line for each request that fails, wherever it fails, with all that must be in it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::one_process;
use super::stage::{Mark, Stage, unique};
use crate::support::client::{self, Client};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet;
use crate::support::{DEADLINE, Endpoint, eventually};

/// The one line of a log about a failed request, checked for the parts that each must have.
#[track_caller]
fn the_line(what: &str, lines: &[String], level: &str, event: &str) -> String {
    let is_failure = |line: &&String| line.contains(" outcome=");
    let failures: Vec<&String> = lines.iter().filter(is_failure).collect();
    assert_eq!(failures.len(), 1, "{what}: not one line\n{}", lines.join("\n"));
    let line = failures[0].clone();
    assert!(line.contains(&format!(" [{level}] ")), "{what}: {line}");
    assert!(line.contains(&format!(") {event}: ")), "{what}: {line}");
    let keys = [" phase=", " in=", " out=", " body=", " tries=", " outcome="];
    let at = keys.map(|key| {
        assert_eq!(line.matches(key).count(), 1, "{what}: {key} in {line}");
        line.find(key).expect("counted")
    });
    assert!(at.is_sorted(), "{what}: {line}");
    // [time] [request] [pid:tid] [level] …
    let id = line.split(['[', ']']).nth(3).expect("a request id");
    assert!(!id.is_empty() && id != "NO-ID", "{what}: {line}");
    line
}

#[track_caller]
fn since(stage: &Stage, mark: &Mark) -> Vec<String> {
    let has = || stage.log_since(mark).iter().any(|line| line.contains(" outcome="));
    assert!(eventually(DEADLINE, has), "no line:\n{}", stage.log_since(mark).join("\n"));
    stage.log_since(mark)
}

const NOWHERE: &str = " phase=prepare in=0 out=0 body=0 tries=0 outcome=";

#[test]
fn a_request_that_is_refused_before_an_engine_is_chosen_has_one_whole_line() {
    let stage = Stage::with(|builder| {
        builder
            .modules(&["unique_id", "env"])
            .mount("/nobody/*", "unlisted")
            .config("<Location /w/limit>\nLimitRequestBody 10\n</Location>")
            .config(
                "<Location /by-handler>\nSetHandler jakarta-servlet\n\
                     SetEnv JK_WORKER_NAME w\n</Location>",
            )
    });
    let post = |path: &str, lines: &str, body: &str| {
        client::head("POST", path, &[]) + lines + "\r\n" + body
    };
    let get = |path: &str| client::head("GET", path, &[]) + "\r\n";
    let length = "Content-Length: 20\r\n";
    let level = "info";
    for (what, request, status, level, event, worker) in [
        ("length", post("/w/limit", length, &"x".repeat(20)), 413, level, "client_body_limit", "w"),
        (
            "framing",
            post("/w/a", "Transfer-Encoding: gzip, chunked\r\n", ""),
            501,
            level,
            "bad_framing",
            "w",
        ),
        ("path", get("/w/a%5cb"), 400, level, "bad_path", "-"),
        ("handler's path", get("/by-handler/a%5cb"), 400, level, "bad_path", "-"),
        (
            "method",
            client::head(&"M".repeat(65), "/w/a", &[]) + "\r\n",
            501,
            level,
            "bad_method",
            "w",
        ),
        ("nobody", get("/nobody/a"), 500, "error", "unknown_worker", "unlisted"),
    ] {
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        client.send(request.as_bytes()).expect("sent");
        assert_eq!(client.read_response("POST").status(), status, "{what}");
        let line = the_line(what, &since(&stage, &mark), level, event);
        assert!(line.contains(&format!(": ({worker}) {event}: ")), "{what}: {line}");
        assert!(line.contains(&format!("{NOWHERE}{status}")), "{what}: {line}");
    }
}

/// What the client's own wish leads to is no warning; what is wrong with the answer is one.
#[test]
fn an_answer_that_httpd_replaces_is_told_by_its_status() {
    let stage = Stage::with(|builder| {
        builder.modules(&["unique_id", "headers", "env"]).config(
            "<Location /w/broken>\nSetEnv BAD \"a\u{1}b\"\nHeader set X-Bad \"%{BAD}e\"\n</Location>",
        )
    });
    for (path, headers, status, level) in [
        (unique("w", "range"), &[("Range", "bytes=100-200")][..], 416, "info"),
        (unique("w", "broken"), &[][..], 500, "warn"),
    ] {
        stage.play(&path, |conn, _| {
            conn.send(&packet::answer(200, &[("Content-Length", "4")], b"fine"))?;
            Ok(Action::Keep)
        });
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        assert_eq!(client.request("GET", &path, headers, b"").status(), status);
        let line = the_line(&path, &since(&stage, &mark), level, "response_refused");
        assert!(line.contains(&format!(" tries=1 outcome={status} by httpd")), "{line}");
        drop(client);
        let event = Some((level, "response_refused"));
        stage.check_after(&path, &mark, "w", event, None);
    }
}

/// An engine that is stopped: it has answered one request, and then accepts and says nothing.
#[test]
fn an_engine_that_is_stopped_costs_one_line_whether_or_not_it_was_known() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = Endpoint::Tcp(listener.local_addr().expect("bound"));
    let engine = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("mod_jk");
        stream.read_exact(&mut [0; 5]).expect("a ping");
        stream.write_all(&packet::cpong()).expect("sent");
        stream.read(&mut [0; 1000]).map(drop).expect("a request");
        stream.write_all(&packet::answer(200, &[], b"last words")).expect("sent");
        (listener, stream)
    });
    let httpd = one_process(Httpd::builder(Module::Ours), Mpm::Event)
        .modules(&["unique_id"])
        .worker("w", &place)
        .workers("worker.w.ping_mode=CP\nworker.w.ping_timeout=200\nworker.w.retries=1")
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/a").text(), "last words");
    let _stopped = engine.join().expect("it has answered");
    let before = httpd.jk_log().lines().count();
    assert_eq!(client::get(httpd.addr(), "/b").status(), 503);
    let log = httpd.jk_log();
    let lines: Vec<String> = log.lines().skip(before).map(str::to_owned).collect();
    let line = the_line("stopped", &lines, "error", "cping_timeout");
    assert!(line.contains(" tries=1 outcome=503 tried=w:cping_timeout"), "{line}");
    assert_eq!(lines.len(), 1, "{log}");
}

#[test]
fn a_balancer_without_members_says_how_far_the_request_got() {
    let engine = Engine::recording().start();
    let (a, b) = (engine.worker("a"), engine.worker("b"));
    engine.refuse();
    let httpd = one_process(Httpd::builder(Module::Ours), Mpm::Event)
        .modules(&["unique_id"])
        .workers(&format!(
            "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n{a}{b}\n\
             worker.a.retries=1\nworker.b.activation=S"
        ))
        .mount("/*", "lb")
        .start();
    let mut client = Client::connect(httpd.addr());
    assert_eq!(client.request("POST", "/a", &[], b"12345").status(), 503);
    let log = httpd.jk_log();
    let lines: Vec<String> = log.lines().map(str::to_owned).collect();
    let line = the_line("balancer", &lines, "error", "no_usable_member");
    assert!(line.contains(" phase=connect in=0 out=0 body=5 tries=2 outcome=503"), "{line}");
    assert!(line.ends_with(" tried=a:connect_refused*2"), "{line}");
}
