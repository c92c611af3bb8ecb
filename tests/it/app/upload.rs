//! Uploads: every byte in its place whatever the engine asks for, and what is read before it asks.

use std::fs;
use std::net::SocketAddr;

use crate::support::client::{self, Client, Noise};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, Body};
use crate::support::{Gate, wait_until};

/// Asks in turn for: next to nothing, all that fits, nothing at all, odd amounts.
const ASKS: [u16; 7] = [1, 0xFFFF, 0, 8186, 3, 5000, 0xFFFF];

/// An engine that sends a body back, and an httpd with packets of this size.
fn echo(packet: usize) -> (Engine, Httpd) {
    let engine = Engine::scripted(move |conn, request| {
        let Body::Length(length) = request.body() else { return Ok(Action::Close) };
        let length = usize::try_from(length).expect("64 bits");
        let mut body = conn.read_body_packet()?;
        assert_eq!(body.len(), length.min(packet - 6), "the first packet");
        for ask in ASKS.iter().cycle() {
            let left = length - body.len();
            if left == 0 {
                break;
            }
            let data = conn.ask_body(*ask)?;
            let expected = usize::from(*ask).min(left).min(packet - 6);
            assert_eq!(data.len(), expected, "asked for {ask}, {left} left");
            body.extend(data);
        }
        let length = body.len().to_string();
        conn.send(&packet::answer(200, &[("Content-Length", &length)], &body))?;
        Ok(Action::Keep)
    })
    .start();
    // One connection: a client has its answer before the connection is free again.
    let lines = format!(
        "worker.list=w\n{}worker.w.max_packet_size={packet}\nworker.w.connection_pool_size=1\n",
        engine.worker("w")
    );
    let httpd = Httpd::builder(Module::Ours).workers(&lines).mount("/w/*", "w").start();
    (engine, httpd)
}

fn check_echo(packet: usize) {
    let (engine, httpd) = echo(packet);
    let full = packet - 6;
    let sizes = [1, full - 1, full, full + 1, full + 2, 2 * full, 2 * full + 1, 3 * full + 7];
    for size in sizes.into_iter().chain([100_000, 1_000_003]) {
        // Another body each time: a byte of an earlier one would show.
        let body: Vec<u8> = Noise::bytes(size).iter().map(|byte| byte ^ size as u8).collect();
        for piece in [body.len(), 7919] {
            let mut client = Client::connect(httpd.addr());
            let length = size.to_string();
            let head = client::head("POST", "/w/echo", &[("Content-Length", &length)]) + "\r\n";
            client.send(head.as_bytes()).expect("sent");
            body.chunks(piece).for_each(|piece| client.send(piece).expect("sent"));
            let answer = client.read_response("POST");
            assert_eq!(answer.status(), 200, "{size} bytes in pieces of {piece}");
            assert!(answer.body == body, "{size} bytes in pieces of {piece} came back changed");
        }
    }
    assert!(engine.seen().faults.is_empty(), "{:?}", engine.seen().faults);
    assert_eq!(engine.accepted(), 1, "all over one connection");
}

#[test]
fn uploads_of_all_sizes_arrive_whole_in_packets_of_8_kib() {
    check_echo(8192);
}

#[test]
fn uploads_of_all_sizes_arrive_whole_in_packets_of_64_kib() {
    check_echo(65536);
}

/// Bytes that the system holds for httpd on its connection with a client.
fn unread(httpd: SocketAddr, client: SocketAddr) -> Option<u64> {
    let ends = [httpd.port(), client.port()].map(|port| format!(":{port:04X}"));
    let table = fs::read_to_string("/proc/net/tcp").expect("a table of connections");
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_it = words.get(1)?.ends_with(&ends[0]) && words.get(2)?.ends_with(&ends[1]);
        let (_, received) = words.get(4)?.split_once(':')?;
        is_it.then(|| u64::from_str_radix(received, 16).ok()).flatten()
    })
}

/// While the engine works on a packet, the next one is read; an engine that has not asked, or asks no
/// more, costs a packet at most, and its early answer arrives.
#[test]
fn the_next_packet_is_read_while_the_engine_works() {
    /// What the engine has asked for and httpd's own buffer of 8,000 bytes take beside it.
    const PACKETS: usize = 10;
    const FULL: u64 = 8186;
    let (may_ask, asked, may_end) = (Gate::default(), Gate::default(), Gate::default());
    let gates = (may_ask.clone(), asked.clone(), may_end.clone());
    let engine = Engine::scripted(move |conn, _| {
        conn.read_body_packet()?;
        gates.0.pass();
        conn.ask_body(8186)?;
        gates.1.open();
        gates.2.pass();
        conn.send(&packet::answer(413, &[], b"enough"))?;
        Ok(Action::Keep)
    })
    .start();
    let httpd =
        Httpd::builder(Module::Ours).worker("w", &engine.endpoint()).mount("/w/*", "w").start();
    let mut client = Client::connect(httpd.addr());
    let body = Noise::bytes(PACKETS * 8186);
    let length = body.len().to_string();
    let head = client::head("POST", "/w/x", &[("Content-Length", &length)]) + "\r\n";
    client.send(&[head.as_bytes(), &body].concat()).expect("sent");
    engine.wait_until("the request", |seen| !seen.requests.is_empty());
    let all = body.len() as u64;
    let left = || unread(httpd.addr(), client.local_addr()).expect("the connection");
    assert!(left() >= all - FULL - 8000, "one packet before the engine asks: {} left", left());
    may_ask.open();
    asked.pass();
    wait_until("the packet that the engine has not asked for", || left() < all - 3 * FULL);
    assert!(left() >= all - 3 * FULL - 8000, "and no more than that: {} left", left());
    may_end.open();
    let answer = client.read_response("POST");
    assert_eq!((answer.status(), answer.text().as_str()), (413, "enough"));
}
