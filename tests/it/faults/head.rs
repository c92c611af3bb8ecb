//! Faults in the head of the answer: spec/reliability.md 5.2, all P rows.

use super::case::{Ask, Case, Sees, Step, Then, end, flush, head_with, ok, raw_head, string};
use super::stage::Stage;
use crate::support::packet::{self, body_chunk, frame, send_headers};

/// `head`, an `ok` body and the end.
fn whole(head: Vec<u8>) -> Vec<u8> {
    [head, body_chunk(b"fine"), end()].concat()
}

fn lost_connections() -> Vec<Case> {
    let nothing = || Case::get("P1 closed before any reply", vec![]).then(Then::Close);
    let reset = || Case::get("P3 reset before any reply", vec![]).then(Then::Reset);
    let post = |case: Case, id: &str| Case { id: id.into(), ..case.ask(Ask::Post(100)) };
    let read = |mut case: Case| {
        case.play.push(Step::ReadBody);
        case
    };
    vec![
        nothing().error("eof_before_head").lost(),
        nothing().ask(Ask::Head).error("eof_before_head").lost(),
        read(post(nothing(), "P2 closed before any reply, POST")).error("eof_before_head"),
        // Closing with unread data is a reset.
        post(nothing(), "P2 closed with the body unread").error("reset_before_head"),
        reset().error("reset_before_head").lost(),
        post(reset(), "P3 reset before any reply, POST").error("reset_before_head"),
        read(post(reset(), "P3 reset, body read, POST")).error("reset_before_head"),
        Case::get("P4 half a SEND_HEADERS", vec![Step::Say(ok(&[("X-Engine", "1")])[..15].into())])
            .then(Then::Close)
            .error("short_packet"),
        Case::get("P28 silence", vec![]).worker("t").sees(Sees::Error(504)).error("reply_timeout"),
        Case::get("P28 silence, POST", vec![Step::ReadBody])
            .ask(Ask::Post(100))
            .worker("t")
            .sees(Sees::Error(504))
            .error("reply_timeout"),
        Case::get("P28 silence within a packet", vec![Step::Say(ok(&[])[..7].into())])
            .worker("t")
            .sees(Sees::Error(504))
            .error("reply_timeout"),
    ]
}

fn frames() -> Vec<Case> {
    let with_magic = |magic: [u8; 2]| {
        let mut bytes = whole(ok(&[("X-Engine", "1")]));
        bytes[..2].copy_from_slice(&magic);
        bytes
    };
    let long = |length: u16| [&b"AB"[..], &length.to_be_bytes(), &[4, 0, 200, 0, 0]].concat();
    vec![
        Case::bad("P5 magic XY", with_magic(*b"XY"), "bad_magic"),
        Case::bad("P5 magic 0x1234", with_magic([0x12, 0x34]), "bad_magic"),
        Case::bad("P5 magic AX", with_magic(*b"AX"), "bad_magic"),
        Case::bad("P5 one wrong byte", vec![0], "bad_magic"),
        Case::bad("P5 HTTP", b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), "bad_magic"),
        Case::bad("P6 length 0xFFFF", long(0xFFFF), "packet_too_big"),
        Case::bad("P6 length max-3", long(8192 - 3), "packet_too_big"),
        Case::bad("P6 length max", long(8192), "packet_too_big"),
        Case::bad("P6 length 20 KB", long(20_000), "packet_too_big"),
        Case::bad("P7 length 0", frame(&[]), "empty_packet"),
        Case::bad("P8 type 0x63", frame(&[0x63]), "unknown_type"),
        Case::bad("P8 type 0", frame(&[0, 1, 2]), "unknown_type"),
        Case::bad("P8 FORWARD_REQUEST", frame(&[2, 2, 0]), "unknown_type"),
        Case::bad("P8 CPONG", packet::cpong(), "unknown_type"),
    ]
}

fn fields() -> Vec<Case> {
    let header = [string(b"X-A"), string(b"1")].concat();
    let count = |n: u16| raw_head(200, &string(b"OK"), n, &[&header, &header]);
    let coded = |code: [u8; 2]| raw_head(200, &string(b"OK"), 1, &[&code, &string(b"1")]);
    let name = |raw: &[u8]| raw_head(200, &string(b"OK"), 1, &[raw, &string(b"1")]);
    let value = |raw: &[u8]| raw_head(200, &string(b"OK"), 1, &[&string(b"X-A"), raw]);
    vec![
        Case::bad("P9 count 5, 2 present", whole(count(5)), "head_truncated"),
        Case::bad("P9 count 65535", whole(count(65535)), "head_truncated"),
        Case::bad("P9 count 1, 2 present", whole(count(1)), "trailing_bytes"),
        Case::bad("P10 value longer than packet", whole(value(b"\x1f\xffabc\0")), "bad_string"),
        Case::bad("P10 value by one", whole(value(b"\0\x04abc\0")), "bad_string"),
        Case::bad("P10 null value", whole(value(b"\xff\xff")), "bad_string"),
        Case::bad("P10 null name", whole(name(b"\xff\xff")), "bad_string"),
        Case::bad("P10 name longer than packet", whole(name(b"\x1f\xffabc\0")), "bad_string"),
        Case::bad("P10 reason longer", whole(raw_head(200, b"\x1f\xffOK\0", 0, &[])), "bad_string"),
        Case::bad("P11 value without NUL", whole(value(b"\0\x03abcd")), "bad_string"),
        Case::bad("P11 name without NUL", whole(name(b"\0\x03abcd")), "bad_string"),
        Case::bad(
            "P11 reason without NUL",
            whole(raw_head(200, b"\0\x02OKX", 0, &[])),
            "bad_string",
        ),
        Case::bad("P12 header code 0xA000", whole(coded([0xA0, 0])), "bad_header_code"),
        Case::bad("P13 header code 0xA0FF", whole(coded([0xA0, 0xFF])), "bad_header_code"),
        Case::bad("P13 header code 0xA00C", whole(coded([0xA0, 0x0C])), "bad_header_code"),
        Case::bad("P20 CR LF in a value", whole(head_with(b"X-A", b"1\r\nX-B: 2")), "bad_header"),
        Case::bad("P20 LF in a value", whole(head_with(b"X-A", b"1\n2")), "bad_header"),
        Case::bad("P20 CR in a value", whole(head_with(b"X-A", b"1\r2")), "bad_header"),
        Case::bad(
            "P20 LF in Content-Type",
            whole(head_with(b"Content-Type", b"a/b\nX")),
            "bad_header",
        ),
        Case::bad("P20 control byte 0x01", whole(head_with(b"X-A", b"1\x012")), "bad_header"),
        Case::bad("P20 DEL", whole(head_with(b"X-A", b"\x7f")), "bad_header"),
        Case::bad("P22 NUL in a value", whole(head_with(b"X-A", b"1\x002")), "bad_header"),
        Case::bad("P22 NUL in Location", whole(head_with(b"Location", b"/a\0b")), "bad_header"),
        Case::bad("P23 space in a name", whole(head_with(b"X A", b"1")), "bad_header_name"),
        Case::bad("P23 colon in a name", whole(head_with(b"X-A:", b"1")), "bad_header_name"),
        Case::bad("P23 empty name", whole(head_with(b"", b"1")), "bad_header_name"),
        Case::bad("P23 LF in a name", whole(head_with(b"X\nA", b"1")), "bad_header_name"),
        Case::bad("P23 0x80 in a name", whole(head_with(b"X\x80", b"1")), "bad_header_name"),
    ]
}

fn sequence() -> Vec<Case> {
    let status = |status| whole(send_headers(status, "", &[("X-Engine", "1")]));
    let mut cases = vec![
        Case::bad("P14 END_RESPONSE only", end(), "end_without_head"),
        Case::bad(
            "P15 body before SEND_HEADERS",
            [body_chunk(b"early"), whole(ok(&[]))].concat(),
            "body_before_head",
        ),
        Case::good("P16 flush before SEND_HEADERS", [flush(), whole(ok(&[]))].concat(), b"fine")
            .event("debug", "early_flush"),
        Case::bad("P19 status 101", status(101), "upgrade_impossible"),
        Case::good("P27 an ordinary answer, in parts", whole(ok(&[("X-A", "1")])), b"fine")
            .with(&[("X-A", "1")]),
        Case::good("P29 body asked of a GET", whole(ok(&[])), b"fine"),
    ];
    cases.last_mut().expect("P29").play.insert(0, Step::Ask(100, 0));
    for code in [0, 1, 99, 1000, 65535] {
        cases.push(Case::bad(format!("P17 status {code}"), status(code), "bad_status"));
    }
    for code in [100, 102, 103, 199] {
        let then_final = [send_headers(code, "", &[]), status(200)].concat();
        cases.push(Case::bad(format!("P18 status {code}"), then_final, "interim_status"));
    }
    for code in [200, 299, 418, 600, 999] {
        let case = Case::good(format!("G11 status {code}"), status(code), b"fine");
        cases.push(case.status(code).with(&[("X-Engine", "1")]));
    }
    cases
}

fn headers() -> Vec<Case> {
    let chunks = b"5\r\nhello\r\n0\r\n\r\n";
    let framed = [ok(&[("Transfer-Encoding", "chunked")]), body_chunk(chunks), end()].concat();
    let hop = [
        ("Connection", "X-Secret, close"),
        ("X-Secret", "1"),
        ("Keep-Alive", "timeout=1"),
        ("Upgrade", "h2c"),
        ("Trailer", "X-T"),
        ("Proxy-Authenticate", "Basic"),
        ("X-Kept", "yes"),
    ];
    let many: Vec<(String, String)> = (0..500).map(|n| (format!("X{n}"), format!("{n}"))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let cookies = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-A", "x\ty")];
    let reason = |reason: &[u8]| whole(raw_head(200, &string(reason), 0, &[]));
    vec![
        Case::good("P21 CR LF in the reason", reason(b"OK\r\nX-B: 2"), b"fine")
            .event("warn", "bad_reason")
            .without(&["X-B"]),
        Case::good("P21 NUL in the reason", reason(b"O\0K"), b"fine").event("warn", "bad_reason"),
        Case::good("P24 Transfer-Encoding", framed, chunks).event("warn", "dropped_header"),
        Case::good("P25 hop-by-hop headers", whole(ok(&hop)), b"fine")
            .with(&[("X-Kept", "yes")])
            .without(&["X-Secret", "Upgrade", "Trailer", "Proxy-Authenticate"]),
        Case::good("P26 500 headers", whole(ok(&many)), b"fine").with(&[
            ("X0", "0"),
            ("X255", "255"),
            ("X499", "499"),
        ]),
        Case::good("P26 two Set-Cookie", whole(ok(&cookies)), b"fine").with(&[
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-A", "x\ty"),
        ]),
    ]
}

#[test]
fn an_answer_that_never_begins() {
    Stage::new().run_all(&lost_connections());
}

#[test]
fn packets_that_are_none() {
    Stage::new().run_all(&frames());
}

#[test]
fn fields_that_lie() {
    Stage::new().run_all(&fields());
}

#[test]
fn heads_in_the_wrong_order_or_with_a_wrong_status() {
    Stage::new().run_all(&sequence());
}

#[test]
fn headers_that_must_not_pass_and_ones_that_must() {
    Stage::new().run_all(&headers());
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    [lost_connections(), frames(), fields(), sequence(), headers()].concat()
}
