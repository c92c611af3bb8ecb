//! Balancers whose members fail: spec/reliability.md 5.5, and the one line that a request leaves.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::client::{self, Client, curl};
use crate::support::engine::{self, Action, Engine};
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::wait_until;

/// Answers with its requests' paths; a path with `/close` ends the connection instead.
fn closing() -> Engine {
    Engine::scripted(|conn, request| {
        let body = conn.read_body(request)?;
        if request.uri().contains("/close") {
            return Ok(Action::Close);
        }
        conn.send(&engine::echo(request, body.len()))?;
        Ok(Action::Keep)
    })
    .start()
}

/// A balancer of the members n1, n2 and so on.
fn balanced(engines: &[&Engine], more: &str) -> Builder {
    let names: Vec<String> = (1..=engines.len()).map(|number| format!("n{number}")).collect();
    let members: String =
        names.iter().zip(engines).map(|(name, engine)| engine.worker(name)).collect();
    Httpd::builder(Module::Ours)
        .workers(&format!(
            "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers={}\n{members}{more}",
            names.join(",")
        ))
        .mount("/*", "lb")
}

/// What the log has above `info`, the states of members aside.
fn told(httpd: &Httpd) -> Vec<String> {
    let is = |line: &str, level: &str| line.contains(&format!(" [{level}] "));
    let log = httpd.jk_log();
    let lines = log.lines().filter(|line| is(line, "warn") || is(line, "error"));
    lines.filter(|line| !line.contains("(lb) member_")).map(str::to_owned).collect()
}

#[test]
fn l1_requests_that_end_engines_take_nothing_from_others() {
    const ABUSES: usize = 100;
    let engines = [closing(), closing()];
    let httpd = balanced(&[&engines[0], &engines[1]], "").start();
    let child = httpd.only_child();
    let (stop, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let path = format!("/good/{}", served.load(Ordering::SeqCst));
                let answer = client::get(httpd.addr(), &path);
                assert_eq!((answer.status(), answer.text()), (200, path));
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
        for number in 0..ABUSES {
            let path = format!("/close/{number}");
            let answer = Client::connect(httpd.addr()).request("POST", &path, &[], b"body");
            assert_eq!(answer.status(), 502, "{path}");
        }
        let before = served.load(Ordering::SeqCst);
        wait_until("others go on", || served.load(Ordering::SeqCst) > before + 10);
        stop.store(true, Ordering::SeqCst);
    });
    for number in 0..ABUSES {
        let path = format!("/close/{number}");
        let times = |engine: &Engine| {
            engine.seen().requests.iter().filter(|request| request.uri() == path).count()
        };
        assert_eq!(engines.iter().map(times).sum::<usize>(), 1, "{path}");
    }
    assert_eq!(httpd.only_child(), child);
    assert_eq!(httpd.jk_log().matches(" [error] ").count(), ABUSES, "a line for each");
}

#[test]
fn l2_another_member_answers_and_one_line_says_so() {
    let engines = [closing(), closing()];
    engines[0].refuse();
    for method in ["GET", "POST"] {
        let httpd = balanced(&[&engines[0], &engines[1]], "").start();
        let body = if method == "POST" { &b"body"[..] } else { b"" };
        let answer = Client::connect(httpd.addr()).request(method, "/x", &[], body);
        assert_eq!(answer.text(), "/x", "{method}");
        // The client may have its answer before the line is written.
        wait_until("a line", || !told(&httpd).is_empty());
        let told = told(&httpd);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(" [warn] "), "{told:?}");
        assert!(told[0].contains("(lb) failover: "), "{told:?}");
        assert!(told[0].ends_with("to=n2 tried=n1:connect_refused*2"), "{told:?}");
    }
}

#[test]
fn a_request_that_fails_at_two_members_leaves_one_line() {
    let engines = [closing(), closing()];
    let httpd = balanced(&[&engines[0], &engines[1]], "").start();
    assert_eq!(client::get(httpd.addr(), "/close").status(), 502);
    let told = told(&httpd);
    assert_eq!(told.len(), 1, "{told:?}");
    let line = &told[0];
    assert!(line.contains(" [error] ") && line.contains("(n2) eof_before_head: "), "{line}");
    let sent = engines[1].seen().connections[0].packets[0].len();
    let place = format!("phase=head in=0 out={sent} body=0 tries=1 outcome=502 balancer=lb");
    assert!(line.ends_with(&format!("{place} tried=n1:eof_before_head")), "{line}");
    assert!(line.contains(&format!("peer=127.0.0.1:{} conn=1/0 ", engines[1].port())), "{line}");
}

#[test]
fn l4_no_member_is_left() {
    let engines = [closing(), closing()];
    engines.iter().for_each(Engine::refuse);
    let httpd = balanced(&[&engines[0], &engines[1]], "").start();
    for request in 1..=3 {
        let answer = client::get(httpd.addr(), "/x");
        assert_eq!(answer.status(), 503);
        assert!(answer.header("Retry-After").is_some());
        let told = told(&httpd);
        assert_eq!(told.len(), request, "{told:?}");
        let line = told.last().expect("a line");
        assert!(line.contains(" [error] ") && line.contains(" outcome=503"), "{line}");
        let (_, tried) = line.split_once(" tried=").expect(line);
        for member in ["n1", "n2"] {
            let is_named = tried.contains(&format!("{member}:connect_refused"))
                || line.contains(&format!("({member}) connect_refused: "));
            assert!(is_named, "{line}");
        }
    }
    engines[0].listen();
    wait_until("it serves again", || client::get(httpd.addr(), "/y").status() == 200);
}

#[test]
fn l7_a_route_that_nobody_has() {
    let engines = [closing(), closing()];
    let httpd = balanced(&[&engines[0], &engines[1]], "").jk_log_level("debug").start();
    let path = "/x;jsessionid=1.n9";
    assert_eq!(client::get(httpd.addr(), path).status(), 200);
    let log = httpd.jk_log();
    assert_eq!(log.matches("(lb) sticky_miss: ").count(), 1, "{log}");
}

#[test]
fn l14_no_file_of_shared_memory_is_made() {
    let engine = closing();
    let mut httpd = Httpd::builder(Module::Ours)
        .config("JkShmFile logs/own.shm")
        .worker("w", &engine.endpoint())
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "/x");
    let names = || {
        let entries = std::fs::read_dir(httpd.path("logs")).expect("logs");
        entries.map(|entry| entry.expect("it").file_name()).collect::<Vec<_>>()
    };
    assert!(!names().iter().any(|name| name.to_string_lossy().contains("shm")), "{:?}", names());
    httpd.stop();
    // Where somebody else's file stands it is nobody's business either.
    let httpd = Httpd::builder(Module::Ours)
        .file("logs/own.shm", "not yours")
        .config("JkShmFile logs/own.shm")
        .worker("w", &engine.endpoint())
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/y").text(), "/y");
    let left = std::fs::read(httpd.path("logs/own.shm")).expect("the file");
    assert_eq!(left, b"not yours");
}

#[test]
fn h5_crumbs_of_cookies_are_one_header() {
    let engines = [closing(), closing()];
    let httpd = balanced(&[&engines[0], &engines[1]], "").http2().start();
    for number in 0..4 {
        let url = httpd.http(&format!("/{number}"));
        let crumbs = ["-H", "Cookie: a=1", "-H", "cookie: JSESSIONID=7.n2"];
        let args = [&["--http2-prior-knowledge"], &crumbs[..], &[&url]].concat();
        let answer = curl(&args);
        assert_eq!((answer.status, answer.version.as_str()), (200, "2"), "{}", answer.complaint);
    }
    assert_eq!(engines[0].requests().len(), 0, "the session is known");
    for request in engines[1].requests() {
        assert_eq!(request.header_values("Cookie"), ["a=1; JSESSIONID=7.n2"]);
    }
}
