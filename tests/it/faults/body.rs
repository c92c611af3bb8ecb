//! Faults in the body of the answer: spec/reliability.md 5.3 without S20 and S21, which are in
//! [`super::client_gone`].

use super::case::{Ask, Case, Sees, Step, Then, end, flush, ok};
use super::stage::{Stage, poison, unique};
use super::under_each_mpm;
use crate::support::client::{self, Client, Noise};
use crate::support::engine::Action;
use crate::support::packet::{self, body_chunk, frame, send_headers};
use crate::support::{DEADLINE, Gate};

const SENT: usize = 24_000;

/// `data` in chunks of the default packet size.
fn chunks(data: &[u8]) -> Vec<u8> {
    data.chunks(packet::CHUNK_MAX).flat_map(body_chunk).collect()
}

/// What can go wrong in mid-body: name, the engine's last bytes, its end, worker, event.
fn faults() -> Vec<(&'static str, Vec<u8>, Then, &'static str, &'static str)> {
    let (keep, close, reset) = (Then::Keep, Then::Close, Then::Reset);
    let chunk = |payload: &[u8]| [frame(payload), end()].concat();
    let mut bad_magic = body_chunk(b"more");
    bad_magic[0] = b'X';
    vec![
        ("S1 end of the connection", vec![], close, "w", "eof_mid_body"),
        ("S1 end within a packet", body_chunk(b"more")[..6].to_vec(), close, "w", "short_packet"),
        ("S1 reset", vec![], reset, "w", "reset_mid_body"),
        ("S5 silence", vec![], keep, "t", "reply_timeout"),
        ("S5 silence in a packet", body_chunk(b"more")[..6].to_vec(), keep, "t", "reply_timeout"),
        ("S6 bad magic", bad_magic, keep, "w", "bad_magic"),
        ("P6 oversize length", b"AB\xff\xff\x03".to_vec(), keep, "w", "packet_too_big"),
        ("P7 empty packet", chunk(&[]), keep, "w", "empty_packet"),
        ("P8 unknown type", chunk(&[0x63]), keep, "w", "unknown_type"),
        ("P8 CPONG", [packet::cpong(), end()].concat(), keep, "w", "unknown_type"),
        ("S7 chunk longer than packet", chunk(b"\x03\x10\0abcde\0"), keep, "w", "bad_chunk"),
        ("S7 chunk of 0xFFFF", chunk(b"\x03\xff\xffabc\0"), keep, "w", "bad_chunk"),
        ("S8 trailing bytes", chunk(b"\x03\0\x02lots\0"), keep, "w", "bad_chunk_trailing"),
        ("S8 no NUL but a byte", chunk(b"\x03\0\x02loX"), keep, "w", "bad_chunk_trailing"),
        ("S9 chunk packet of 1 byte", chunk(b"\x03"), keep, "w", "short_chunk"),
        ("S9 chunk packet of 2 bytes", chunk(b"\x03\0"), keep, "w", "short_chunk"),
        ("S9 chunk packet of 3 bytes", chunk(b"\x03\0\x01"), keep, "w", "bad_chunk"),
        ("S10 second SEND_HEADERS", poison(), keep, "w", "double_head"),
    ]
}

/// Each fault at the moments that differ for the client.
fn mid_body() -> Vec<Case> {
    let data = Noise::bytes(SENT);
    let mut cases = Vec::new();
    for (id, bytes, then, worker, event) in faults() {
        let case = |when: &str, mut play: Vec<Step>, sees: Sees| {
            play.push(Step::Say(bytes.clone()));
            let case = Case::get(format!("{id}, {when}"), play).then(then).worker(worker);
            case.sees(sees).error(event)
        };
        let broken = || Sees::Broken(data.clone());
        let start = |headers: &[(&str, &str)]| {
            let headers = [&[("X-Engine", "1")], headers].concat();
            let bytes = [ok(&headers), chunks(&data), flush()].concat();
            vec![Step::Say(bytes), Step::ClientHasHead]
        };
        cases.push(case("24 KB out", start(&[]), broken()));
        cases.push(case("S2 24 of 100 KB out", start(&[("Content-Length", "100000")]), broken()));
        if then == Then::Reset {
            // Without a flush nobody knows how much had been read when the reset came.
            continue;
        }
        let head = ok(&[("X-Engine", "1")]);
        let few = [head.clone(), body_chunk(b"twelve bytes")].concat();
        cases.push(case("S4 only a head", vec![Step::Say(head.clone())], Sees::Error(502)));
        cases.push(case("S3 12 bytes held back", vec![Step::Say(few)], Sees::Error(502)));
        let flushed = Step::Say([head, flush()].concat());
        cases.push(case("head out", vec![flushed, Step::ClientHasHead], broken()));
    }
    for case in &mut cases {
        if case.worker == "t" && matches!(case.sees, Sees::Error(_)) {
            case.sees = Sees::Error(504);
        }
    }
    cases
}

#[test]
fn a_body_that_breaks_off_is_seen_to_be_broken() {
    Stage::new().run_all(&mid_body());
}

fn lengths() -> Vec<Case> {
    let with = |length: &'static str, body: &[u8]| {
        [ok(&[("Content-Length", length)]), body_chunk(body), end()].concat()
    };
    let two = |first, second| {
        let head = ok(&[("Content-Length", first), ("Content-Length", second)]);
        [head, body_chunk(b"hello"), end()].concat()
    };
    let mut short_out = vec![ok(&[("Content-Length", "10")]), body_chunk(b"hello"), flush()];
    short_out.push(end());
    let excess =
        [ok(&[("Content-Length", "5")]), body_chunk(b"hello"), body_chunk(b"world"), end()];
    vec![
        Case::good("G2 Content-Length kept", with("5", b"hello"), b"hello")
            .with(&[("Content-Length", "5")]),
        Case::bad("S11 body shorter than its length", with("10", b"hello"), "cl_short"),
        Case::bad("S11 shorter, begun", short_out.concat(), "cl_short")
            .sees(Sees::Broken(b"hello".to_vec())),
        Case::good("S12 body longer, in one packet", with("5", b"helloworld"), b"hello")
            .event("warn", "cl_excess")
            .closed(),
        Case::good("S12 body longer, by a packet", excess.concat(), b"hello")
            .event("warn", "cl_excess")
            .closed(),
        Case::good("S12 body where the length is 0", with("0", b"hello"), b"")
            .event("warn", "cl_excess")
            .closed(),
        Case::bad("S13 negative length", with("-5", b"hello"), "bad_cl"),
        Case::bad("S13 length with sign", with("+5", b"hello"), "bad_cl"),
        Case::bad("S13 no number", with("5x", b"hello"), "bad_cl"),
        Case::bad("S13 empty", with("", b"hello"), "bad_cl"),
        Case::bad("S13 20 digits", with("99999999999999999999", b"hello"), "bad_cl"),
        Case::bad("S13 list", with("5, 5", b"hello"), "bad_cl"),
        Case::bad("S13 two lengths", two("5", "6"), "bad_cl"),
        Case::bad("S13 twice the same", two("5", "5"), "bad_cl"),
    ]
}

fn bodyless() -> Vec<Case> {
    let body = |status, headers: &[(&str, &str)]| {
        [send_headers(status, "", headers), body_chunk(b"not for you"), end()].concat()
    };
    let mut cases = vec![
        Case::good("S14 HEAD", body(200, &[("Content-Length", "11")]), b"")
            .ask(Ask::Head)
            .with(&[("Content-Length", "11")])
            .event("debug", "body_dropped"),
        Case::good("S14 HEAD with another length", body(200, &[("Content-Length", "99")]), b"")
            .ask(Ask::Head)
            .with(&[("Content-Length", "99")])
            .event("debug", "body_dropped"),
        Case::good("S14 HEAD without length", body(200, &[("X-A", "1")]), b"")
            .ask(Ask::Head)
            .with(&[("X-A", "1")])
            .event("debug", "body_dropped"),
    ];
    let twice = [ok(&[]), body_chunk(b"not"), body_chunk(b"for you"), end()].concat();
    cases.push(
        Case::good("S14 HEAD, two chunks", twice, b"")
            .ask(Ask::Head)
            .event("debug", "body_dropped"),
    );
    for status in [204, 304] {
        let bytes = body(status, &[("Content-Length", "11"), ("ETag", "\"e\"")]);
        let case = Case::good(format!("S14 status {status}"), bytes, b"").status(status);
        let case = case.with(&[("ETag", "\"e\"")]).without(&["Transfer-Encoding"]);
        cases.push(case.event("debug", "body_dropped"));
    }
    cases.push(
        Case::good("G7 status 205", body(205, &[]), b"").status(205).event("debug", "body_dropped"),
    );
    let empty = [send_headers(404, "", &[("X-A", "1")]), end()].concat();
    cases.push(Case::good("G16 404 without a body", empty, b"").status(404).with(&[("X-A", "1")]));
    cases
}

fn ends() -> Vec<Case> {
    let told = [ok(&[("Content-Length", "4")]), body_chunk(b"fine")].concat();
    let untold = [ok(&[]), body_chunk(b"fine")].concat();
    let short_end = frame(&[packet::END_RESPONSE]);
    let behind = |extra: Vec<u8>| [untold.clone(), end(), extra].concat();
    let no_end = |worker, then| {
        Case::good("S15 no END_RESPONSE", told.clone(), b"fine")
            .worker(worker)
            .then(then)
            .event("warn", "no_end")
            .closed()
    };
    vec![
        no_end("t", Then::Keep),
        no_end("w", Then::Close),
        Case::bad("S15 no END_RESPONSE, no length", untold.clone(), "reply_timeout")
            .worker("t")
            .sees(Sees::Error(504)),
        Case::good("S16 END without reuse flag", [untold.clone(), short_end].concat(), b"fine")
            .event("warn", "end_short")
            .closed(),
        Case::bad(
            "S16 END with a byte too many",
            [untold.clone(), frame(&[packet::END_RESPONSE, 1, 1])].concat(),
            "trailing_bytes",
        ),
        Case::good(
            "S17 END without reuse",
            [untold.clone(), packet::end_response(false)].concat(),
            b"fine",
        )
        .event("debug", "end_no_reuse")
        .closed(),
        Case::good("S18 an answer behind END", behind(poison()), b"fine")
            .event("error", "unexpected_bytes")
            .closed(),
        Case::good("S18 one byte behind END", behind(vec![0]), b"fine")
            .event("error", "unexpected_bytes")
            .closed(),
        Case::good("S18 a second END", behind(end()), b"fine")
            .event("error", "unexpected_bytes")
            .closed(),
        Case::good("S18 a CPONG behind END", behind(packet::cpong()), b"fine")
            .event("error", "unexpected_bytes")
            .closed(),
    ]
}

#[test]
fn lengths_are_kept_or_the_answer_is_refused() {
    Stage::new().run_all(&lengths());
}

#[test]
fn answers_without_a_body_stay_in_step() {
    Stage::new().run_all(&bodyless());
}

#[test]
fn odd_ends_of_an_answer() {
    let stage = Stage::new();
    let (split, whole): (Vec<_>, Vec<_>) =
        ends().into_iter().partition(|case| !case.id.starts_with("S18"));
    stage.run_all(&split);
    // Byte by byte it is S19: what is behind END comes when nobody listens any more.
    for case in &whole {
        stage.run_as(case, super::stage::Variant::Fresh);
        stage.run_as(case, super::stage::Variant::Reused);
    }
}

#[test]
fn s19_bytes_on_an_idle_connection_poison_nobody() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        for extra in [poison(), packet::cpong(), b"\0".to_vec()] {
            let mark = stage.mark();
            let number = stage.late("w", 200, &extra);
            let next = stage.echo("w");
            assert_ne!(super::stage::connection(&next), number);
            stage.check_after("S19", &mark, "w", Some(("error", "unexpected_bytes")), None);
            let closed =
                stage.engine.wait_for(DEADLINE, |seen| seen.connections[number].end.is_some());
            assert!(closed, "the poisoned connection stays open");
        }
    });
}

#[test]
fn s22_each_flush_reaches_the_client_before_the_next_event() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        let path = unique("w", "case");
        let gates: Vec<Gate> = (0..5).map(|_| Gate::default()).collect();
        let waits = gates.clone();
        stage.play(&path, move |conn, _| {
            conn.send(&ok(&[("Content-Type", "text/event-stream")]))?;
            for (number, gate) in waits.iter().enumerate() {
                conn.send(&body_chunk(format!("data: {number}\n\n").as_bytes()))?;
                conn.send(&flush())?;
                gate.pass();
            }
            conn.send(&end())?;
            Ok(Action::Keep)
        });
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
        let head = client.read_head().expect("a head");
        let mut seen = String::new();
        let mut events = gates.iter().enumerate();
        let mut next = events.next();

        let end = client.read_body("GET", &head, |data| {
            seen += &String::from_utf8_lossy(data);
            while let Some((number, gate)) = next
                && seen.contains(&format!("data: {number}\n\n"))
            {
                gate.open();
                next = events.next();
            }
        });

        assert_eq!(end, Ok(client::BodyEnd::Chunked));
        assert!(next.is_none());
        drop(client);
        let number = stage.carried_by(&mark, &path).expect("sent");
        let fate = Some((number, super::case::Fate::Pooled));
        stage.check_after("S22", &mark, "w", None, fate);
    });
}

#[test]
fn s15_the_client_does_not_wait_for_the_end() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        let (path, got) = (unique("w", "case"), Gate::default());
        let wait = got.clone();
        stage.play(&path, move |conn, _| {
            conn.send(&[ok(&[("Content-Length", "4")]), body_chunk(b"fine")].concat())?;
            wait.pass();
            conn.send(&end())?;
            Ok(Action::Keep)
        });
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request("GET", &path, &[], b"");
        // Had the client to wait for the end, the gate would close the connection.
        got.open();
        assert_eq!(answer.text(), "fine");
        drop(client);
        let number = stage.carried_by(&mark, &path).expect("sent");
        stage.engine.wait_until("the end", |seen| {
            seen.faults.is_empty() && seen.connections[number].end.is_none()
        });
        stage.check_log("S15", &mark, "w", None);
    });
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    [mid_body(), lengths(), bodyless(), ends()].concat()
}
