#![forbid(unsafe_code)]

use super::*;
use crate::ajp::message::{
    CPONG, encode_body_chunk, encode_end, encode_get_body_chunk, encode_head,
};
use proptest::prelude::*;

const MAX: usize = 8192;

fn head(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let list = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
    encode_head(status, Some(b"Reason"), list, &mut out, MAX).unwrap();
    out
}

fn chunk(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_body_chunk(data, &mut out, MAX).unwrap();
    out
}

fn end(reuse: bool) -> Vec<u8> {
    let mut out = Vec::new();
    encode_end(reuse, &mut out).unwrap();
    out
}

fn ask(wanted: u16) -> Vec<u8> {
    let mut out = Vec::new();
    encode_get_body_chunk(wanted, &mut out).unwrap();
    out
}

/// What a run has shown: events as text, the body, and how it ended.
#[derive(Debug, PartialEq, Eq, Default)]
struct Seen {
    events: Vec<String>,
    body: Vec<u8>,
    outcome: String,
}

/// Feeds `pieces` one after the other; every ask is answered with as much as is wanted of `upload`.
fn run(exchange: &mut Exchange, pieces: &[&[u8]], mut upload: usize) -> Seen {
    let mut seen = Seen::default();
    let first = exchange.first_body_len().min(upload);
    if first > 0 {
        exchange.body_sent(first);
        upload -= first;
    }
    let mut buffer = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let (consumed, event) = match exchange.next(&buffer) {
                Err(e) => {
                    seen.outcome = e.event().into();
                    return seen;
                }
                Ok(Step::Incomplete(missing)) => {
                    assert!(missing > 0);
                    break;
                }
                Ok(Step::Event { consumed, event }) => (consumed, event),
            };
            match event {
                Event::Head(head) => seen.events.push(format!("head {}", head.status)),
                Event::Body(data) => {
                    assert!(!data.is_empty());
                    seen.body.extend_from_slice(data);
                }
                Event::Flush => seen.events.push("flush".into()),
                Event::BodyWanted(max) => {
                    let n = max.min(upload);
                    upload -= n;
                    exchange.body_sent(n);
                    seen.events.push(format!("sent {n}"));
                }
                Event::Ignored(notice) => seen.events.push(format!("{notice:?}")),
                Event::End(verdict) => {
                    seen.outcome = format!("{verdict:?}");
                    return seen;
                }
            }
            buffer.drain(..consumed);
        }
    }
    seen.outcome = "incomplete".into();
    seen
}

fn get(bytes: &[u8]) -> Seen {
    run(&mut Exchange::new(false, RequestBody::None, MAX), &[bytes], 0)
}

fn outcome(parts: &[Vec<u8>]) -> String {
    get(&parts.concat()).outcome
}

#[test]
fn a_plain_response_lets_the_connection_be_reused() {
    let seen = get(&[head(200, &[]), chunk(b"Hello, "), chunk(b"world"), end(true)].concat());
    assert_eq!(seen.body, b"Hello, world");
    assert_eq!((seen.events, seen.outcome), (vec!["head 200".to_owned()], "Reuse".to_owned()));
}

#[test]
fn every_reason_to_close_after_a_complete_response() {
    let ok = || head(200, &[]);
    let cl = |n: &str| head(200, &[("Content-Length", n)]);
    assert_eq!(outcome(&[ok(), end(false)]), "Close(EngineAsked)");
    assert_eq!(outcome(&[ok(), b"AB\0\x01\x05".to_vec()]), "Close(EndShort)");
    assert_eq!(outcome(&[ok(), end(true), b"A".to_vec()]), "Close(UnexpectedBytes)");
    assert_eq!(outcome(&[cl("2"), chunk(b"abc"), end(true)]), "Close(BodyExcess)");
    assert_eq!(outcome(&[cl("2"), chunk(b"ab"), chunk(b"c"), end(true)]), "Close(BodyExcess)");
    assert_eq!(outcome(&[ok(), ask(10), end(true)]), "Close(AskUnanswered)");
    let (raced, rest) = (ask(10).into_iter().chain(ok()).collect::<Vec<u8>>(), end(true));
    let (first, second) = rest.split_at(2);
    let mut exchange = Exchange::new(false, RequestBody::Unknown, MAX);
    let seen = run(&mut exchange, &[&[&raced, first].concat(), second], 5);
    assert_eq!(seen.outcome, "Close(AskUnanswered)");
}

#[test]
fn every_broken_sequence() {
    let ok = || head(200, &[]);
    for (parts, event) in [
        (vec![end(true)], "end_without_head"),
        (vec![chunk(b"a")], "body_before_head"),
        (vec![ok(), ok()], "double_head"),
        (vec![ok(), chunk(b"a"), ok()], "double_head"),
        (vec![head(0, &[])], "bad_status"),
        (vec![head(99, &[])], "bad_status"),
        (vec![head(1000, &[])], "bad_status"),
        (vec![head(65535, &[])], "bad_status"),
        (vec![head(100, &[])], "interim_status"),
        (vec![head(103, &[])], "interim_status"),
        (vec![head(101, &[])], "upgrade_impossible"),
        (vec![head(200, &[("Content-Length", "-1")])], "bad_cl"),
        (vec![head(200, &[("Content-Length", "")])], "bad_cl"),
        (vec![head(200, &[("Content-Length", "9223372036854775808")])], "bad_cl"),
        (vec![head(200, &[("Content-Length", "1"), ("content-length", "1")])], "bad_cl"),
        (vec![head(200, &[("Content-Length", "10")]), chunk(b"short"), end(true)], "cl_short"),
        (vec![CPONG.to_vec()], "unknown_type"),
        (vec![ask(1), ask(1)], "body_overask"),
    ] {
        assert_eq!(outcome(&parts), event, "{parts:?}");
    }
}

#[test]
fn a_body_where_none_may_be_is_dropped_and_the_stream_stays_in_step() {
    for status in [204, 205, 304] {
        let seen = get(&[head(status, &[]), chunk(b"x"), end(true)].concat());
        assert_eq!((seen.body, seen.outcome), (vec![], "Reuse".to_owned()), "{status}");
    }
    let mut exchange = Exchange::new(true, RequestBody::None, MAX);
    let bytes = [head(200, &[("Content-Length", "5")]), chunk(b"hello"), end(true)].concat();
    let seen = run(&mut exchange, &[&bytes], 0);
    assert_eq!((seen.body, seen.outcome), (vec![], "Reuse".to_owned()));
}

#[test]
fn the_body_is_cut_at_its_content_length() {
    let seen = get(&[head(200, &[("Content-Length", "3")]), chunk(b"ab"), chunk(b"cde")].concat());
    assert_eq!(seen.body, b"abc");
}

#[test]
fn all_of_the_response_is_known_before_its_end_comes() {
    let mut exchange = Exchange::new(false, RequestBody::None, MAX);
    let bytes = [head(200, &[("Content-Length", "2")]), chunk(b"ab")].concat();
    assert!(!exchange.is_body_complete());
    run(&mut exchange, &[&bytes], 0);
    assert!(exchange.is_body_complete());
}

#[test]
fn a_flush_before_the_head_is_tolerated_and_later_ones_are_reported() {
    let seen = get(&[chunk(b""), head(200, &[]), chunk(b""), end(true)].concat());
    assert_eq!(seen.events, ["EarlyFlush", "head 200", "flush"]);
    assert_eq!(seen.outcome, "Reuse");
}

#[test]
fn an_upload_is_asked_for_to_its_end() {
    let mut exchange = Exchange::new(false, RequestBody::Length(20_000), MAX);
    assert_eq!(exchange.first_body_len(), 8186);
    let packets: Vec<Vec<u8>> = vec![ask(8186), ask(8186), ask(8186), head(200, &[]), end(true)];
    let pieces: Vec<&[u8]> = packets.iter().map(|p| &p[..]).collect();
    let seen = run(&mut exchange, &pieces, 20_000);
    assert_eq!(seen.events, ["sent 8186", "sent 3628", "sent 0", "head 200"]);
    assert_eq!(seen.outcome, "Reuse");
}

#[test]
fn an_early_response_keeps_the_connection_only_if_just_the_first_packet_was_sent() {
    let early = [head(413, &[]), end(true)].concat();
    let mut exchange = Exchange::new(false, RequestBody::Length(20_000), MAX);
    assert_eq!(run(&mut exchange, &[&early], 20_000).outcome, "Reuse");
    let mut exchange = Exchange::new(false, RequestBody::Length(20_000), MAX);
    let seen = run(&mut exchange, &[&ask(8186), &early], 20_000);
    assert_eq!(seen.outcome, "Close(EarlyResponse)");
}

#[test]
fn odd_asks_are_answered_within_bounds() {
    let mut exchange = Exchange::new(false, RequestBody::Unknown, MAX);
    let pieces: [&[u8]; 5] = [&ask(0), &ask(0xFFFF), &ask(8186), &head(200, &[]), &end(true)];
    let seen = run(&mut exchange, &pieces, 9_000);
    assert_eq!(seen.events, ["sent 0", "sent 8186", "sent 814", "head 200"]);
    let get = run(
        &mut Exchange::new(false, RequestBody::None, MAX),
        &[&ask(8186), &head(200, &[]), &end(true)],
        0,
    );
    assert_eq!(
        (get.events, get.outcome),
        (vec!["sent 0".into(), "head 200".into()], "Reuse".into())
    );
}

#[test]
fn truncation_at_every_offset_never_completes() {
    let whole = [head(200, &[("X", "y")]), chunk(b"abc"), ask(0), chunk(b""), end(true)].concat();
    for cut in 0..whole.len() {
        assert_eq!(get(&whole[..cut]).outcome, "incomplete", "cut at {cut}");
    }
}

fn response() -> impl Strategy<Value = Vec<u8>> {
    let packet = prop_oneof![
        Just(head(200, &[("Content-Length", "20")])),
        Just(head(404, &[("Set-Cookie", "a=b"), ("X-Long", "0123456789")])),
        Just(chunk(b"")),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|d| chunk(&d)),
        any::<u16>().prop_map(ask),
        any::<bool>().prop_map(end),
        Just(CPONG.to_vec()),
    ];
    prop::collection::vec(packet, 0..8).prop_map(|p| [head(200, &[]), p.concat()].concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(
        bytes in response(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        upload in 0usize..30_000,
    ) {
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len())).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        let pieces: Vec<&[u8]> = at.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let body = if upload == 0 { RequestBody::None } else { RequestBody::Unknown };
        let whole = run(&mut Exchange::new(false, body, MAX), &[&bytes], upload);
        let split = run(&mut Exchange::new(false, body, MAX), &pieces, upload);
        prop_assert_eq!(&whole.events, &split.events);
        prop_assert_eq!(&whole.body, &split.body);
        // Only the verdict may know more where everything arrived at once.
        let verdict = |s: &Seen| !s.outcome.starts_with("Close(") && s.outcome != "Reuse";
        prop_assert_eq!(verdict(&whole), verdict(&split));
    }

    #[test]
    fn no_input_leads_to_a_panic(
        bytes in response(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bad = bytes.clone();
        for (at, byte) in flips {
            let at = at.index(bad.len());
            bad[at] = byte;
        }
        get(&bad);
    }

    #[test]
    fn noise_is_refused_or_waited_for(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let seen = get(&noise);
        prop_assert!(seen.outcome != "Reuse" || noise.starts_with(b"AB"));
    }
}
