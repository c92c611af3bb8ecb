//! How a rule, an option or a limit changes what becomes of a request.
#![forbid(unsafe_code)]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::testing::{Memory, answer, answer_with, begun, careless_engine, engine, run, worker};
use super::{Outcome, Worker};
use crate::ajp::message::{encode_body_chunk, encode_end};
use crate::config::{Ajp13Config, StatusList};
use crate::host::Policy;
use crate::net::Names;
use crate::shared::requests::{Count, take};
use crate::shared::{Heap, Layout, Memory as _};

fn get(policy: Policy<'static>) -> Memory {
    Memory { policy, ..Memory::get() }
}

fn replacing(threshold: u16) -> Policy<'static> {
    Policy { use_server_errors: Some(threshold), ..Policy::default() }
}

#[test]
fn a_rule_has_its_own_reply_timeout_or_none() {
    let (config, engine) = engine(vec![vec![vec![], vec![]]]);
    let worker = worker(Ajp13Config { reply_timeout: Some(Duration::from_secs(20)), ..config });
    let limit = Some(Some(Duration::from_millis(30)));
    let mut request = get(Policy { reply_timeout: limit, ..Policy::default() });
    assert_eq!(run(&worker, &mut request), Outcome::Refused(504));
    assert_eq!(request.logged("reply_timeout: the engine sent no packet for 30ms"), 1);
    engine.join().unwrap();

    let (config, engine) = super::testing::engine(vec![vec![vec![], vec![]]]);
    let limit = Some(Duration::from_millis(30));
    let config = Ajp13Config { reply_timeout: limit, socket_timeout: limit, ..config };
    let mut request = get(Policy { reply_timeout: Some(None), ..Policy::default() });
    assert_eq!(run(&super::testing::worker(config), &mut request), Outcome::Refused(502));
    assert_eq!(request.logged("socket_timeout: "), 1);
    engine.join().unwrap();
}

#[test]
fn a_rule_has_its_own_list_of_statuses_unless_it_is_empty() {
    static EMPTY: LazyLock<StatusList> = LazyLock::new(StatusList::default);
    static OWN: LazyLock<StatusList> = LazyLock::new(|| StatusList::new([404]));
    let (failed, passed) = (Outcome::Refused(503), Outcome::Completed);
    for (list, status, outcome) in
        [(&*OWN, 404, failed), (&OWN, 500, passed), (&EMPTY, 500, failed), (&EMPTY, 404, passed)]
    {
        let (config, engine) = engine(vec![vec![answer_with(status, &[], b"")]]);
        let fail_on_status = StatusList::new([500]);
        let worker = worker(Ajp13Config { fail_on_status, ..config });
        let mut request = get(Policy { fail_on_status: Some(list), ..Policy::default() });
        assert_eq!(run(&worker, &mut request), outcome, "{status}");
        drop(worker);
        engine.join().unwrap();
    }
}

#[test]
fn packets_and_headers_are_flushed_as_the_options_say() {
    let mut two_packets = begun(200, &[], b"one");
    encode_body_chunk(b"two", &mut two_packets, 8192).unwrap();
    encode_end(true, &mut two_packets).unwrap();
    // The end of the response is a flush for this host.
    for (flush_header, flush_packets, flushes) in
        [(false, false, 1), (true, false, 2), (false, true, 3), (true, true, 4)]
    {
        let (config, engine) = engine(vec![vec![two_packets.clone()]]);
        let worker = worker(config);
        let mut request = get(Policy { flush_header, flush_packets, ..Policy::default() });
        assert_eq!(run(&worker, &mut request), Outcome::Completed);
        assert_eq!((request.flushes, request.client.as_slice()), (flushes, &b"onetwo"[..]));
        drop(worker);
        engine.join().unwrap();
    }
}

#[test]
fn a_connection_that_must_not_be_used_again_is_closed_after_the_response() {
    let (config, engine) = engine(vec![vec![answer(b"one"), vec![]], vec![answer(b"two")]]);
    let worker = worker(config);
    let mut request = get(Policy { disable_reuse: true, ..Policy::default() });
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!((worker.pool().idle(), request.logged("reuse_disabled")), (0, 1));
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    drop(worker);
    assert_eq!(engine.join().unwrap().concat().len(), 2);
}

#[test]
fn the_server_answers_errors_itself_and_the_connection_stays_good() {
    let script = vec![
        answer_with(404, &[("X-Engine", "1")], b"engine page"),
        answer_with(
            401,
            &[("WWW-Authenticate", "Basic"), ("X-Engine", "1"), ("www-authenticate", "Bearer")],
            b"engine page",
        ),
        answer_with(399, &[], b"below"),
    ];
    let (config, engine) = engine(vec![script]);
    let worker = worker(config);
    let mut request = get(replacing(400));
    assert_eq!(run(&worker, &mut request), Outcome::ServerError(404));
    assert!(request.status.is_none() && request.client.is_empty() && !request.finished);
    assert!(request.sent_headers.is_empty());
    let mut request = get(replacing(400));
    assert_eq!(run(&worker, &mut request), Outcome::ServerError(401));
    assert_eq!(request.sent_headers, ["challenge: Basic", "challenge: Bearer"]);
    let mut request = get(replacing(400));
    assert_eq!(run(&worker, &mut request), Outcome::Completed);
    assert_eq!(request.client, b"below");
    assert_eq!(worker.pool().idle(), 1);
    drop(worker);
    assert_eq!(engine.join().unwrap().len(), 1, "one connection for all");
}

#[test]
fn the_rest_of_a_replaced_answer_takes_neither_for_ever_nor_the_answer_away() {
    let huge = answer_with(500, &[], &vec![b'x'; 3 << 20]);
    let mut malformed = begun(500, &[], b"part");
    malformed.extend_from_slice(b"nonsense");
    // An answer, whether the engine then holds the connection and for how long we wait, the event.
    let second = Some(Duration::from_secs(1));
    let cases = [
        (huge, true, None, "[debug] (w) rest_unwanted"),
        (begun(500, &[], b"part"), true, second, "[debug] (w) rest_unwanted"),
        (begun(500, &[], b"part"), false, None, "[warn] (w) eof_mid_body"),
        (malformed, true, None, "[warn] (w) bad_magic"),
    ];
    for (bytes, holds, reply_timeout, event) in cases {
        let script = if holds { vec![bytes, vec![]] } else { vec![bytes] };
        // The engine may find nobody who reads all of its answer.
        let (config, engine) = careless_engine(vec![script]);
        let worker = worker(Ajp13Config { reply_timeout, ..config });
        let mut request = get(replacing(500));
        assert_eq!(run(&worker, &mut request), Outcome::ServerError(500), "{event}");
        assert_eq!(request.logged(event), 1, "{event}: {:?}", request.log);
        assert_eq!((worker.pool().idle(), request.client.len()), (0, 0));
        engine.join().unwrap();
    }
}

#[test]
fn beyond_the_busy_limit_requests_are_refused_and_the_pooled_connection_stays() {
    let (config, engine) = engine(vec![vec![answer(b"one"), answer(b"two")]]);
    let memory = Arc::new(Heap::new(Layout { workers: 1, requests: 8, ..Layout::default() }));
    let config = Ajp13Config { busy_limit: Some(1), ..config };
    let worker = Worker::new(config, Names::default(), memory.clone(), 0);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    let (elsewhere, _) = memory.workers()[0].enter(None);
    let mut request = Memory::get();
    assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
    assert_eq!(request.logged("[error] (w) busy_limit"), 1);
    assert_eq!(request.logged("tries=1 outcome=503"), 1);
    assert_eq!(worker.pool().idle(), 1);
    drop(elsewhere);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    drop(worker);
    assert_eq!(engine.join().unwrap().len(), 1, "one connection for all");
    assert_eq!(memory.workers()[0].busy.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn a_request_without_a_record_is_served_and_not_counted() {
    let (config, engine) = engine(vec![vec![answer(b"one")]]);
    let memory = Arc::new(Heap::new(Layout { workers: 1, requests: 1, ..Layout::default() }));
    let config = Ajp13Config { busy_limit: Some(1), ..config };
    let worker = Worker::new(config, Names::default(), memory.clone(), 0);
    let ticket = take(memory.requests(), 0, 1, Count::Busy(0));
    let (old, _) = memory.workers()[0].enter(ticket);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    let excess = crate::shared::requests::excess(&*memory);
    assert!(excess.iter().all(|(_, excess)| *excess == 0), "nothing is to be repaired");
    drop((worker, old));
    engine.join().unwrap();
    assert_eq!(memory.workers()[0].busy.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn beyond_max_inflight_requests_are_refused_before_anything_is_read() {
    let (config, engine) = engine(vec![vec![answer(b"one"), answer(b"two")]]);
    let layout = Layout { workers: 1, requests: 4, ..Layout::default() };
    let memory = Arc::new(Heap::new(layout));
    let config = Ajp13Config { max_inflight: Some(1), retries: 5, ..config };
    let worker = Worker::new(config, Names::default(), memory.clone(), 0);
    let state = &memory.workers()[0];
    let count = || state.inflight.count.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    assert_eq!(count(), 0);
    state.inflight.count.store(1, std::sync::atomic::Ordering::Relaxed);
    for (now, level, refused) in [(100, "[error]", 1), (159, "[debug]", 1), (160, "[error]", 2)] {
        let mut request = Memory::post(b"body");
        request.now.set(now);
        assert_eq!(run(&worker, &mut request), Outcome::Refused(503));
        let line =
            format!("{level} (w) max_inflight: the engine serves as many requests as it may");
        assert_eq!(request.logged(&line), 1, "{:?}", request.log);
        let numbers = format!(
            "inflight=1 limit=1 refused={refused} phase=prepare in=0 out=0 body=0 tries=0 outcome=503"
        );
        assert_eq!(request.logged(&numbers), 1, "{:?}", request.log);
        assert_eq!((request.body.len(), request.pauses.borrow().len()), (1, 0));
    }
    assert_eq!(count(), 1);
    state.inflight.count.store(0, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    drop(worker);
    assert_eq!(engine.join().unwrap().len(), 1, "one connection for all");
}

#[test]
fn a_request_that_is_too_large_leaves_the_pooled_connection_alone() {
    let (config, engine) = engine(vec![vec![answer(b"one"), answer(b"two")]]);
    let worker = worker(config);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    let headers = vec![("Cookie".to_owned(), "x".repeat(9000))];
    let mut request = Memory { headers, ..Memory::get() };
    assert_eq!(run(&worker, &mut request), Outcome::Refused(413));
    assert_eq!(worker.pool().idle(), 1);
    assert_eq!(run(&worker, &mut Memory::get()), Outcome::Completed);
    drop(worker);
    assert_eq!(engine.join().unwrap().len(), 1);
}

#[test]
fn added_attributes_come_last_in_their_order() {
    let (config, engine) = engine(vec![vec![answer(b"")]]);
    let worker = worker(config);
    let environment = vec![(&b"Z_FIRST"[..], &b"1"[..]), (b"A_SECOND", b"2")];
    let query = Some("q=1");
    run(&worker, &mut Memory { environment, query, ..Memory::get() });
    drop(worker);
    let packet = engine.join().unwrap().concat().remove(0);
    let names = [
        "hidden-word",
        "q=1",
        "AJP_REMOTE_PORT",
        "AJP_LOCAL_ADDR",
        "JK_LB_ACTIVATION",
        "Z_FIRST",
        "A_SECOND",
    ];
    let place = |name: &str| packet.windows(name.len()).position(|part| part == name.as_bytes());
    let places: Vec<usize> = names.iter().map(|name| place(name).unwrap()).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert!(packet.ends_with(b"\x0a\0\x08A_SECOND\0\0\x012\0\xff"), "{packet:02x?}");
}
