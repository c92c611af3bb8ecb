//! Every advisory and security fix of spec/reliability.md 1 that can apply to us: one test each,
//! named after it. misc/doc/SECURITY.md walks through them; `policy` compares the two.
//!
//! Those about paths are in `mapping::advisories`, those about the status worker in
//! `status::advisories`. Where a test says "on ours only" nothing is known of anything else.

mod ajp;
mod core;
mod engines;
mod jk;
mod pair;

use super::case::{Ask, Case, Fate, Sees, Step, Then, end, flush, head_with, ok, string};
use super::stage::{Stage, poison, unique};
use crate::support::client::{self, Client, Response};
use crate::support::engine::Action;
use crate::support::packet::{self, Request, body_chunk, frame};

/// What the engine got for a path.
#[track_caller]
fn forwarded(stage: &Stage, path: &str) -> Request {
    let seen = stage.engine.seen();
    let request = seen.requests.iter().rfind(|request| request.uri() == path);
    request.cloned().unwrap_or_else(|| panic!("{path} was not sent"))
}

/// Sends a request with header lines as they are, without a blank line of its own, and a body.
fn send(stage: &Stage, method: &str, path: &str, lines: &str, body: &[u8]) -> Client {
    let mut client = Client::connect(stage.httpd.addr());
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    // httpd may refuse and close before it has read it all.
    let _ = client.send(&[head.as_bytes(), body].concat());
    client
}

/// A request that httpd or we refuse before any engine hears of it.
#[track_caller]
fn refused(stage: &Stage, method: &str, lines: &str, statuses: &[u16]) {
    let path = unique("w", "echo");
    let mark = stage.mark();
    let answer = send(stage, method, &path, lines, b"abc").read_response(method);
    assert!(statuses.contains(&answer.status()), "{lines:?}: {answer:?}");
    assert_eq!(stage.executions(&mark, &path), 0, "{lines:?}");
}

/// A SEND_BODY_CHUNK that claims `length` bytes and has `data`, without a NUL behind it.
fn chunk(length: u16, data: &[u8]) -> Vec<u8> {
    frame(&[&[packet::SEND_BODY_CHUNK][..], &length.to_be_bytes(), data].concat())
}

/// The same bad packet before and after the client has a byte of the answer: 502, or an answer
/// that is broken off, and of the packet nothing.
fn before_and_after(id: &str, bytes: &[u8], event: &'static str) -> Vec<Case> {
    let head = ok(&[("X-Engine", "1")]);
    let bytes = [bytes, &end()].concat();
    let begun = vec![
        Step::Say([head.clone(), flush()].concat()),
        Step::ClientHasHead,
        Step::Say(bytes.clone()),
    ];
    vec![
        Case::bad(format!("{id}, before"), [head, bytes].concat(), event),
        Case::get(format!("{id}, after"), begun).sees(Sees::Broken(Vec::new())).error(event),
    ]
}
