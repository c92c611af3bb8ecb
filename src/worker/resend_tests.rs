//! What is sent to an engine a second time (spec/mod_jk.md 5.5, spec/reliability.md 0).
#![forbid(unsafe_code)]

use std::time::Duration;

use super::Outcome;
use super::testing::{Memory, answer, answer_with, begun, engine, run, worker};
use crate::ajp::message::{encode_body_chunk, encode_get_body_chunk};
use crate::config::{Ajp13Config, RecoveryOptions, StatusList};

fn recovery(bits: u32, config: Ajp13Config) -> Ajp13Config {
    Ajp13Config { recovery: RecoveryOptions(Some(bits)), ..config }
}

#[test]
fn recovery_options_0_by_hand_sends_a_post_again_with_its_body() {
    let (config, engine) = engine(vec![vec![vec![], vec![]], vec![vec![], answer(b"done")]]);
    let worker = worker(recovery(0, config));
    let mut request = Memory::post(b"body");
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"done");
    assert_eq!(*request.pauses.borrow(), [Duration::from_millis(7)]);
    drop(worker);
    let packets = engine.join().unwrap();
    assert_eq!(packets[0], packets[1], "the same request and the same body");
    assert_eq!(packets[1].len(), 2);
}

#[test]
fn recovery_options_3_sends_no_post_again() {
    let (config, engine) = engine(vec![vec![vec![], vec![]]]);
    let worker = worker(recovery(3, config));
    let mut request = Memory::post(b"body");
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("tries=1 outcome=502"), 1);
    engine.join().unwrap();
}

#[test]
fn retries_limit_what_recovery_options_allow() {
    let (config, engine) = engine(vec![vec![vec![]], vec![vec![]], vec![vec![]]]);
    let worker = worker(Ajp13Config { retries: 3, ..recovery(0, config) });
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("tries=3 outcome=502"), 1);
    assert_eq!(request.logged("retry: eof_before_head"), 2);
    engine.join().unwrap();
}

#[test]
fn an_answer_that_broke_is_taken_back_before_the_request_is_sent_again() {
    let half = begun(200, &[("X-Old", "1")], b"half");
    let whole = answer_with(201, &[("X-New", "1")], b"whole");
    let (config, engine) = engine(vec![vec![half], vec![whole]]);
    let worker = worker(recovery(0, config));
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!((request.status, request.client.as_slice()), (Some(201), &b"whole"[..]));
    assert_eq!(request.sent_headers, ["X-New"]);
    assert_eq!(request.logged("retry: eof_mid_body"), 1);
    drop(worker);
    engine.join().unwrap();
}

#[test]
fn nothing_is_sent_again_after_the_first_byte_for_the_client() {
    let mut flushed = begun(200, &[], b"part");
    encode_body_chunk(b"", &mut flushed, 8192).unwrap();
    let (config, engine) = engine(vec![vec![flushed]]);
    let worker = worker(recovery(0, config));
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Aborted);
    assert_eq!(request.client, b"part");
    assert_eq!(request.logged("tries=1 outcome=aborted"), 1);
    engine.join().unwrap();
}

#[test]
fn nothing_is_sent_again_after_the_engine_asked_for_more_of_the_body() {
    let mut ask = Vec::new();
    encode_get_body_chunk(8186, &mut ask).unwrap();
    let (config, engine) = engine(vec![vec![vec![], ask, vec![]]]);
    let worker = worker(recovery(0, config));
    let mut request = Memory::post(&[7; 10_000]);
    assert_eq!(run(&worker, &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("phase=body"), 1);
    assert_eq!(request.logged("tries=1"), 1);
    engine.join().unwrap();
}

#[test]
fn a_reply_timeout_is_repeated_only_if_it_is_said_so() {
    let limit = Some(Duration::from_millis(30));
    let (config, engines) = engine(vec![vec![vec![], vec![]]]);
    let strict = worker(Ajp13Config { reply_timeout: limit, ..config });
    let mut request = Memory::get();
    assert_eq!(run(&strict, &mut request), Outcome::Refused(504));
    assert_eq!(request.logged("tries=1 outcome=504"), 1);
    engines.join().unwrap();

    let (config, engines) = engine(vec![vec![vec![], vec![]], vec![vec![], vec![]]]);
    let as_in_c = worker(Ajp13Config { reply_timeout: limit, ..recovery(0, config) });
    let mut request = Memory::get();
    assert_eq!(run(&as_in_c, &mut request), Outcome::Refused(504));
    assert_eq!(request.logged("tries=2 outcome=504"), 1);
    engines.join().unwrap();
}

#[test]
fn a_status_that_stands_for_a_failure_is_503_and_the_request_is_not_sent_again() {
    for (list, level) in [([500, 404], "error"), ([-500, 404], "warn")] {
        let failing = answer_with(500, &[("X-Secret", "1")], b"trace");
        let (config, engine) = engine(vec![vec![failing]]);
        let worker = worker(Ajp13Config { fail_on_status: StatusList::new(list), ..config });
        let mut request = Memory::get();
        assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
        assert!(request.status.is_none() && request.client.is_empty());
        let line = format!("[{level}] (w) fail_on_status: the engine answered with status 500");
        assert_eq!(request.logged(&line), 1, "{:?}", request.log);
        assert_eq!(request.logged(&format!("fail_on_status={},404", list[0])), 1);
        assert_eq!(request.logged("tries=1 outcome=503"), 1);
        assert_eq!(worker.pool().idle(), 0);
        engine.join().unwrap();
    }
}

#[test]
fn a_status_that_stands_for_a_failure_is_repeated_if_it_is_said_so() {
    let scripts = || vec![vec![answer_with(503, &[], b"")], vec![answer(b"up")]];
    let list = StatusList::new([503]);
    let (config, engines) = engine(scripts());
    let worker = worker(Ajp13Config { fail_on_status: list, ..recovery(1, config) });
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"up");
    drop(worker);
    engines.join().unwrap();
}

#[test]
fn statuses_that_are_not_listed_pass() {
    let (config, engine) = engine(vec![vec![answer_with(404, &[], b"gone")]]);
    let worker = worker(Ajp13Config { fail_on_status: StatusList::new([500, -503]), ..config });
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!((request.status, request.client.as_slice()), (Some(404), &b"gone"[..]));
    drop(worker);
    engine.join().unwrap();
}
