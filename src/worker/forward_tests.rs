#![forbid(unsafe_code)]

use super::super::testing::{Memory, answer, config, engine, run, worker};
use super::*;
use crate::ajp::message::{encode_body_chunk, encode_get_body_chunk, encode_head};
use crate::config::{Ajp13Config, Target};
use crate::host::BodyError;
use std::net::TcpListener;
use std::time::Duration;

#[test]
fn a_connection_is_used_again_after_a_clean_end() {
    let (config, engine) = engine(vec![vec![answer(b"one"), answer(b"two")]]);
    let worker = worker(config);
    for expected in ["one", "two"] {
        let mut request = Memory::get();
        assert_eq!(run(&worker, &mut request), Outcome::Completed);
        assert_eq!(request.client, expected.as_bytes());
        assert!(request.finished && request.sent_headers.is_empty());
    }
    drop(worker);
    assert_eq!(engine.join().unwrap().concat().len(), 2);
}

#[test]
fn an_idempotent_request_survives_a_connection_that_was_lost_while_idle() {
    // The second request is read from the first connection before that is closed without an answer.
    let (config, engine) = engine(vec![vec![answer(b"one"), vec![]], vec![answer(b"two")]]);
    let worker = worker(config);
    run(&worker, &mut Memory::get());
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"two");
    assert_eq!(request.logged("[info] (w) retried: "), 1);
    assert_eq!(request.logged("tried=w:eof_before_head"), 1);
    drop(worker);
    assert_eq!(engine.join().unwrap().concat().len(), 3);
}

#[test]
fn a_post_is_never_sent_twice() {
    let (config, engine) = engine(vec![vec![answer(b"one"), vec![], vec![]]]);
    let worker = worker(config);
    run(&worker, &mut Memory::get());
    let mut request = Memory::post(b"body");
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("eof_before_head"), 1);
    assert_eq!(request.logged("retry"), 0);
    drop(worker);
    let packets = engine.join().unwrap().concat();
    assert_eq!(packets.len(), 3, "one GET, one POST with its body");
}

#[test]
fn a_get_on_a_new_connection_is_not_repeated() {
    let (config, engine) = engine(vec![vec![vec![]]]);
    let worker = worker(config);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(engine.join().unwrap().concat().len(), 1);
    assert_eq!(request.logged("tries=1 outcome=502"), 1);
}

#[test]
fn a_refused_connection_is_tried_again_with_the_configured_pause() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let worker = worker(Ajp13Config { retries: 3, ..config(port) });
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
    assert_eq!(*request.pauses.borrow(), [Duration::from_millis(7); 2]);
    assert_eq!(request.logged("[debug] (w) retry: connect_refused"), 2);
    assert_eq!(request.logged("tries=3 outcome=503 tried=w:connect_refused*2"), 1);
    assert_eq!(request.logged("[error] (w) connect_refused"), 1);
    assert_eq!(request.retractions, 1, "what other modules have set stays for a later attempt");
    assert_eq!(request.logged("hidden-word"), 0, "a secret is never logged");
}

#[test]
fn a_request_that_cannot_be_forwarded_never_reaches_an_engine() {
    let worker = worker(config(1));
    let big = ("Cookie".to_owned(), "x".repeat(9000));
    let stalls = vec![Ok(b"abc".to_vec()), Err(BodyError::Timeout)];
    let cases = [
        (Memory { method: "G E T", ..Memory::get() }, 501, "bad_method"),
        (Memory { query: Some("a b"), ..Memory::get() }, 400, "bad_query"),
        (Memory { headers: vec![big], ..Memory::get() }, 413, "header Cookie with 9000 bytes"),
        (Memory { body: stalls, ..Memory::post(b"0123456789") }, 408, "(got 3 bytes)"),
        (Memory { length: Some(9), ..Memory::post(b"short") }, 400, "client_abort"),
    ];
    for (mut request, status, words) in cases {
        assert_eq!(run(&worker, &mut request), Outcome::Refused(status), "{words}");
        assert_eq!(request.logged(words), 1, "{words}: {:?}", request.log);
        assert_eq!(request.logged("phase=prepare"), 1, "{words}");
    }
}

#[test]
fn a_response_that_breaks_is_retracted_before_and_aborted_after_its_first_byte() {
    let mut begun = Vec::new();
    encode_head(200, None, std::iter::empty(), &mut begun, 8192).unwrap();
    encode_body_chunk(b"part", &mut begun, 8192).unwrap();
    let mut flushed = begun.clone();
    encode_body_chunk(b"", &mut flushed, 8192).unwrap();
    let (config, engine) = engine(vec![vec![begun], vec![flushed]]);
    let worker = worker(config);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert!(request.client.is_empty() && !request.aborted);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Aborted);
    assert_eq!(request.client, b"part");
    assert!(request.aborted && !request.finished);
    assert_eq!(request.logged("eof_mid_body"), 1);
    engine.join().unwrap();
}

#[test]
fn a_complete_response_does_not_wait_for_an_end_that_never_comes() {
    let mut no_end = Vec::new();
    encode_head(200, None, [(&b"Content-Length"[..], &b"2"[..])].into_iter(), &mut no_end, 8192)
        .unwrap();
    encode_body_chunk(b"ok", &mut no_end, 8192).unwrap();
    let (config, engine) = engine(vec![vec![no_end]]);
    let worker = worker(config);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"ok");
    assert_eq!(request.logged("[warn] (w) no_end"), 1);
    assert_eq!(worker.pool().idle(), 0);
    engine.join().unwrap();
}

#[test]
fn an_upload_follows_the_asks_of_the_engine() {
    let mut ask = Vec::new();
    encode_get_body_chunk(8186, &mut ask).unwrap();
    let script = vec![vec![], ask.clone(), ask, answer(b"done")];
    let (config, engine) = engine(vec![script]);
    let worker = worker(config);
    let mut request = Memory::post(&[7; 10_000]);
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    let packets = engine.join().unwrap().concat();
    let sizes: Vec<usize> = packets.iter().skip(1).map(Vec::len).collect();
    assert_eq!(sizes, [8192, 6 + 10_000 - 8186, 4]);
    assert_eq!(worker.pool().idle(), 1);
}

#[test]
fn all_connections_in_use_is_said_at_once() {
    let worker = worker(config(1));
    let _held = worker.pool().acquire(Duration::ZERO);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
    assert_eq!(request.logged("worker_saturated"), 1);
}

#[test]
fn a_pool_of_nothing_refuses_every_request() {
    let mut config = config(1);
    config.pool_size = 0;
    let mut request = Memory::get();
    assert_eq!(run(&worker(config), &mut request), Outcome::Refused(503));
    assert_eq!(request.logged("worker_saturated: the pool has no connections"), 1);
    assert!(request.pauses.borrow().is_empty());
}

#[test]
fn an_engine_that_is_never_contacted_is_said_with_its_cause() {
    let mut config = config(1);
    let why = "port 0 is no port number".to_owned();
    config.target = Target::Never { host: "ivy".to_owned(), why };
    let mut request = Memory::get();
    assert_eq!(run(&worker(config), &mut request), Outcome::Refused(503));
    let said =
        "never_contacted: the engine is never contacted: port 0 is no port number; peer=none";
    assert_eq!(request.logged(said), 1, "{:?}", request.log);
    assert!(request.pauses.borrow().is_empty(), "there is nothing to wait for");
}

#[test]
fn within_a_packet_both_timeouts_count() {
    let (config, engine) = engine(vec![vec![b"AB\x00".to_vec(), vec![]]]);
    let worker = worker(Ajp13Config {
        reply_timeout: Some(Duration::from_secs(20)),
        socket_timeout: Some(Duration::from_millis(30)),
        ..config
    });
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("(w) socket_timeout"), 1, "{:?}", request.log);
    engine.join().unwrap();
}
