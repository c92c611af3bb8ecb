//! The pool of connections: never more than its size, and what happens when it is empty
//! (spec/reliability.md L10, issue 2 "Shown by" 4).

use super::stage::unique;
use crate::support::Gate;
use crate::support::client::{self, NoResponse};
use crate::support::engine::{Action, Engine, echo};
use crate::support::httpd::{Httpd, Module};

/// An engine that answers at `/w/case/…` only once the gate is open.
fn gated(gate: &Gate) -> Engine {
    let gate = gate.clone();
    Engine::scripted(move |conn, request| {
        if request.uri().contains("/case/") {
            gate.pass();
        }
        conn.send(&echo(request, 0))?;
        Ok(Action::Keep)
    })
    .start()
}

fn httpd(engine: &Engine, lines: &str) -> Httpd {
    Httpd::builder(Module::Ours)
        .size(16, 1)
        .worker("w", &engine.endpoint())
        .workers(lines)
        .mount("/w/*", "w")
        .file("htdocs/static.txt", "static")
        .start()
}

#[test]
fn the_pool_is_never_larger_than_its_size() {
    const CLIENTS: usize = 12;
    let engine = Engine::recording().start();
    let lines = "worker.w.connection_pool_size=3\nworker.w.connection_acquire_timeout=20000";
    let httpd = httpd(&engine, lines);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = client::Client::connect(httpd.addr());
                for _ in 0..50 {
                    let path = unique("w", "echo");
                    let request = client::head("GET", &path, &[]) + "\r\n";
                    // While its threads are being started httpd closes connections that are idle.
                    let answer = loop {
                        let _ = client.send(request.as_bytes());
                        match client.try_read_response("GET") {
                            Ok(answer) => break answer,
                            Err(NoResponse::Closed | NoResponse::Reset) => {
                                client = client::Client::connect(httpd.addr());
                            }
                            Err(other) => panic!("{other:?}"),
                        }
                    };
                    assert_eq!(answer.text(), path);
                }
            });
        }
    });
    let seen = engine.seen();
    assert_eq!((seen.connections.len(), seen.max_open), (3, 3));
    assert_eq!(seen.requests.len(), CLIENTS * 50);
}

#[test]
fn l10_a_pool_that_is_in_use_refuses_at_once() {
    let gate = Gate::default();
    let engine = gated(&gate);
    let lines = "worker.w.connection_pool_size=2\nworker.w.connection_acquire_timeout=50";
    let httpd = httpd(&engine, lines);
    std::thread::scope(|scope| {
        let busy: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| client::get(httpd.addr(), &unique("w", "case"))))
            .collect();
        engine.wait_until("two requests", |seen| seen.requests.len() == 2);

        let refused = client::get(httpd.addr(), "/w/no-room");
        let file = client::get(httpd.addr(), "/static.txt");
        gate.open();

        assert_eq!(refused.status(), 503, "{refused:?}");
        assert!(refused.header("Retry-After").is_some(), "{refused:?}");
        assert_eq!(file.text(), "static");
        for client in busy {
            assert_eq!(client.join().expect("a client").status(), 200);
        }
    });
    assert_eq!(engine.seen().connections.len(), 2);
    let log = httpd.jk_log();
    assert_eq!(log.matches(" [error] ").count(), 1, "{log}");
    assert!(log.contains(": (w) worker_saturated: "), "{log}");
    assert_eq!(client::get(httpd.addr(), "/w/room").text(), "/w/room");
}

#[test]
fn a_request_waits_for_a_connection_that_becomes_free() {
    let gate = Gate::default();
    let engine = gated(&gate);
    let lines = "worker.w.connection_pool_size=1\nworker.w.connection_acquire_timeout=20000";
    let httpd = httpd(&engine, lines);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client::get(httpd.addr(), &unique("w", "case")));
        engine.wait_until("the first request", |seen| seen.requests.len() == 1);
        let second = scope.spawn(|| client::get(httpd.addr(), "/w/second"));
        gate.open();
        assert_eq!(first.join().expect("a client").status(), 200);
        assert_eq!(second.join().expect("a client").text(), "/w/second");
    });
    assert_eq!(engine.seen().connections.len(), 1);
    assert!(!httpd.jk_log().contains(" [error] "), "{}", httpd.jk_log());
}
