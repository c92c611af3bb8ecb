//! How often an engine executes a request: spec/reliability.md 0, row "Re-sending a request".

use super::case::{Fate, ok};
use super::stage::{Mark, Stage, unique};
use crate::support::client::{self, Client, NoResponse, Noise, Response};
use crate::support::engine::{Action, Conn, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::body_chunk;
use crate::support::{Gate, wait_until};

/// Sends one request to a path whose first execution ends as `first` says; every other one is
/// answered. Returns what the client got and how often the engine was asked.
fn twice(
    stage: &Stage,
    method: &str,
    body: &[u8],
    first: impl Fn(&mut Conn) -> std::io::Result<Action> + Send + Sync + 'static,
) -> (Result<Response, NoResponse>, usize, Mark) {
    let path = unique("w", "case");
    let done = std::sync::atomic::AtomicBool::new(false);
    stage.play(&path, move |conn, request| {
        if !done.swap(true, std::sync::atomic::Ordering::SeqCst) {
            return first(conn);
        }
        let body = conn.read_body(request)?;
        conn.send(&crate::support::engine::echo(request, body.len()))?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let mut bytes = client::head(method, &path, &[]);
    if !body.is_empty() {
        bytes += &format!("Content-Length: {}\r\n", body.len());
    }
    bytes += "\r\n";
    client.send(&[bytes.as_bytes(), body].concat()).expect("sent");
    let answer = client.try_read_response(method);
    let executions = stage.executions(&mark, &path);
    (answer, executions, mark)
}

fn close(_: &mut Conn) -> std::io::Result<Action> {
    Ok(Action::Close)
}

fn reset(_: &mut Conn) -> std::io::Result<Action> {
    Ok(Action::Reset)
}

/// RFC 9110 9.2.2, and what it says nothing of.
const IDEMPOTENT: [&str; 5] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"];
const OTHERS: [&str; 5] = ["POST", "PATCH", "LOCK", "get", "MADE-UP"];

#[test]
fn a_lost_reused_connection_costs_an_idempotent_request_nothing() {
    let stage = Stage::new();
    for method in IDEMPOTENT {
        for end in [close, reset] {
            stage.warm("w");
            let (answer, executions, mark) = twice(&stage, method, b"", end);
            let answer = answer.expect("an answer");
            assert_eq!((answer.status(), executions), (200, 2), "{method}");
            stage.check_after(method, &mark, "w", Some(("info", "retried")), None);
        }
    }
    // A body that is in one packet can be sent again.
    stage.warm("w");
    let (answer, executions, mark) = twice(&stage, "PUT", &Noise::bytes(5000), |conn| {
        conn.read_body_packet()?;
        Ok(Action::Close)
    });
    let answer = answer.expect("an answer");
    assert_eq!((answer.header("X-Body"), executions), (Some("5000"), 2));
    stage.check_after("PUT", &mark, "w", Some(("info", "retried")), None);
}

#[test]
fn other_methods_are_never_executed_twice() {
    let stage = Stage::new();
    for method in OTHERS {
        for (end, event) in [
            (close as fn(&mut Conn) -> _, "eof_before_head"),
            (reset as fn(&mut Conn) -> _, "reset_before_head"),
        ] {
            for reused in [true, false] {
                if reused {
                    stage.warm("w")
                } else {
                    stage.drain("w")
                };
                let (answer, executions, mark) = twice(&stage, method, b"", end);
                let answer = answer.expect("an answer");
                assert_eq!((answer.status(), executions), (502, 1), "{method} {reused}");
                stage.check_after(method, &mark, "w", Some(("error", event)), None);
            }
        }
    }
}

#[test]
fn a_fresh_connection_is_not_given_a_second_chance() {
    let stage = Stage::new();
    for method in IDEMPOTENT {
        stage.drain("w");
        let (answer, executions, mark) = twice(&stage, method, b"", close);
        assert_eq!((answer.expect("an answer").status(), executions), (502, 1), "{method}");
        stage.check_after(method, &mark, "w", Some(("error", "eof_before_head")), None);
    }
}

#[test]
fn the_second_chance_is_the_last_one() {
    let stage = Stage::new();
    // Three idle connections, all of which end at the next request.
    let gate = Gate::default();
    let (path, wait) = (unique("w", "case"), gate.clone());
    stage.play(&path, move |conn, request| {
        wait.pass();
        conn.send(&crate::support::engine::echo(request, 0))?;
        Ok(Action::Keep)
    });
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..3).map(|_| scope.spawn(|| client::get(stage.httpd.addr(), &path))).collect();
        stage.engine.wait_until("three requests", |seen| {
            seen.requests.iter().filter(|request| request.uri() == path).count() == 3
        });
        gate.open();
        for client in clients {
            assert_eq!(client.join().expect("a client").text(), path);
        }
    });
    let path = unique("w", "case");
    stage.play(&path, |_, _| Ok(Action::Close));
    let mark = stage.mark();
    assert_eq!(client::get(stage.httpd.addr(), &path).status(), 502);
    assert_eq!(stage.executions(&mark, &path), 2);
    stage.check_after("last", &mark, "w", Some(("error", "eof_before_head")), None);
}

#[test]
fn nothing_is_sent_again_once_the_engine_has_said_a_byte() {
    let stage = Stage::new();
    let starts: [(&str, Vec<u8>, &str); 4] = [
        ("one byte", vec![b'A'], "short_packet"),
        ("half a head", ok(&[])[..9].to_vec(), "short_packet"),
        ("a flush", body_chunk(b""), "eof_before_head"),
        ("a head", ok(&[]), "eof_mid_body"),
    ];
    for (what, bytes, event) in starts {
        stage.warm("w");
        let (answer, executions, mark) = twice(&stage, "GET", b"", move |conn| {
            conn.send(&bytes)?;
            Ok(Action::Close)
        });
        assert_eq!((answer.expect("an answer").status(), executions), (502, 1), "{what}");
        stage.check_after(what, &mark, "w", Some(("error", event)), None);
    }
    // Nor where it asked for a part of the body, although that could be had again.
    stage.warm("w");
    let (answer, executions, mark) = twice(&stage, "PUT", &Noise::bytes(20_000), |conn| {
        conn.read_body_packet()?;
        conn.ask_body(8186)?;
        Ok(Action::Close)
    });
    assert_eq!((answer.expect("an answer").status(), executions), (502, 1));
    stage.check_after("an ask", &mark, "w", Some(("error", "eof_in_body")), None);
    // Nor where the client has a byte of the answer.
    stage.warm("w");
    let (answer, executions, mark) = twice(&stage, "GET", b"", |conn| {
        conn.send(&[ok(&[]), body_chunk(b"begun"), body_chunk(b"")].concat())?;
        Ok(Action::Close)
    });
    assert!(answer.is_err() || answer.is_ok_and(|answer| !answer.end.is_complete()));
    assert_eq!(executions, 1);
    stage.check_after("begun", &mark, "w", Some(("error", "eof_mid_body")), None);
}

#[test]
fn a_reply_timeout_is_no_reason_to_ask_again() {
    let stage = Stage::new();
    for method in ["GET", "POST"] {
        let number = stage.warm("t");
        let path = unique("t", "case");
        stage.play(&path, |_, _| Ok(Action::Hold));
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        assert_eq!(client.request(method, &path, &[], b"").status(), 504);
        drop(client);
        assert_eq!(stage.executions(&mark, &path), 1, "{method}");
        let fate = Some((number, Fate::Closed));
        stage.check_after(method, &mark, "t", Some(("error", "reply_timeout")), fate);
    }
}

#[test]
fn a_refused_connect_is_tried_again_even_for_a_post() {
    let engine = Engine::recording().start();
    engine.refuse();
    let httpd = Httpd::builder(Module::Ours)
        .jk_log_level("debug")
        .worker("w", &engine.endpoint())
        .workers("worker.w.retries=1000\nworker.w.retry_interval=2")
        .mount("/w/*", "w")
        .start();
    let mut client = Client::connect(httpd.addr());
    let head = client::head("POST", "/w/a", &[("Content-Length", "4")]) + "\r\nbody";
    client.send(head.as_bytes()).expect("sent");
    wait_until("a first refusal", || httpd.jk_log().contains("(w) retry: connect_refused: "));

    engine.listen();

    let answer = client.read_response("POST");
    assert_eq!((answer.status(), answer.header("X-Body")), (200, Some("4")));
    assert_eq!(engine.requests().len(), 1);
    assert!(!httpd.jk_log().contains(" [error] "), "{}", httpd.jk_log());
}
