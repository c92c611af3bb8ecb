//! What a request costs, counted and never timed: system calls of the module, which are all of them on
//! the engine's side, and memory that it takes from the heap (issue 7).

mod counter;

use std::io;

use crate::support::client::{self, Client};
use crate::support::engine::{Action, Conn, Engine};
use crate::support::httpd::Module;
use crate::support::packet::{self, Request};
use counter::{Counter, Counts};

const MEGABYTE: usize = 1 << 20;

/// Bytes of an upload in one packet of the default size.
const PACKET: u64 = 8186;

/// Answers with a megabyte where the path says so, else with a few bytes.
fn answers(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    conn.read_body(request)?;
    let size = if request.uri().ends_with("/large") { MEGABYTE } else { 20 };
    let length = size.to_string();
    let headers = [("Content-Type", "text/plain"), ("Content-Length", length.as_str())];
    conn.send(&packet::answer(200, &headers, &vec![b'x'; size]))?;
    Ok(Action::Keep)
}

/// The lowest counts of `work` with a module, its connections to a TCP engine open and its buffers
/// there.
fn least(module: Module, wanted: Counts, work: impl Fn(&mut dyn FnMut(&str, &[u8]))) -> Counts {
    let engine = Engine::scripted(answers).start();
    let counter = Counter::new(module);
    let httpd =
        counter.httpd().size(2, 1).worker("w", &engine.endpoint()).mount("/w/*", "w").start();
    let mut request = |path: &str, body: &[u8]| {
        let answer = match body {
            [] => client::get(httpd.addr(), path),
            _ => Client::connect(httpd.addr()).request("POST", path, &[], body),
        };
        let size = if path.ends_with("/large") { MEGABYTE } else { 20 };
        assert_eq!((answer.status(), answer.body.len()), (200, size), "{module:?} {path}");
    };
    work(&mut request);
    let counts = counter.least(wanted, || work(&mut request));
    assert!(engine.accepted() <= 2, "{module:?}: connections are used again");
    counts
}

/// Target 1: a look at the connection, the request, the answer. What the counter sees of C mod_jk shows
/// that it counts.
#[test]
fn a_small_request_takes_three_system_calls_and_no_memory() {
    let work =
        |request: &mut dyn FnMut(&str, &[u8])| (0..10).for_each(|_| request("/w/small", b""));
    let wanted = Counts { calls: 30, allocations: 0 };
    let ours = least(Module::Ours, wanted, work);
    assert_eq!(ours, wanted, "ours, for 10 requests");
    let theirs = least(Module::C, Counts { calls: 80, allocations: 0 }, work);
    assert_eq!(theirs.calls, 80, "C mod_jk, for 10 requests");
}

/// Target 1: at most a sixth of C mod_jk's 252.
#[test]
fn a_megabyte_takes_at_most_forty_two_system_calls_and_no_memory() {
    let wanted = Counts { calls: 42, allocations: 0 };
    let ours = least(Module::Ours, wanted, |request| request("/w/large", b""));
    assert!(ours.calls <= 42 && ours.allocations == 0, "{ours:?}");
}

/// A packet of an upload is asked for and sent: two calls, as the engine asks for each.
#[test]
fn an_upload_takes_two_system_calls_for_a_packet_and_no_memory() {
    let body = vec![b'x'; MEGABYTE];
    // The first packet goes with the request; behind the last one comes the answer.
    let packets = u64::try_from(MEGABYTE).expect("64 bits").div_ceil(PACKET);
    let wanted = Counts { calls: 1 + 2 * packets, allocations: 0 };
    let ours = least(Module::Ours, wanted, |request| request("/w/upload", &body));
    assert!(ours.calls <= wanted.calls && ours.allocations == 0, "{ours:?}, wanted {wanted:?}");
}
