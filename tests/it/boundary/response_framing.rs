//! What the client gets of an answer, by its status, its lengths and the order of its packets:
//! spec/reliability.md 2.2, over HTTP/1.1 and HTTP/2. That nothing is left of it on the connection is
//! looked at by the stage.

use crate::faults::case::{Ask, Case, Sees, end, flush, ok};
use crate::faults::stage::{Stage, Variant, poison};
use crate::support::packet::{body_chunk, send_headers};

/// Plays all cases over both protocols.
#[track_caller]
fn check(cases: &[Case]) {
    let stage = Stage::with(|builder| builder.http2());
    for case in cases {
        stage.run_as(case, Variant::Fresh);
        stage.run_http2(case, Variant::Fresh);
    }
}

/// An answer whose body is `fine`.
fn answer(status: u16, headers: &[(&str, &str)]) -> Vec<u8> {
    [send_headers(status, "", headers), body_chunk(b"fine"), end()].concat()
}

#[test]
fn g01_transfer_encoding_is_not_the_engines_affair() {
    let chunks = b"4\r\nfine\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let with = |value| [ok(&[("Transfer-Encoding", value)]), body_chunk(chunks), end()].concat();
    let case = |value| {
        Case::good(format!("G1 {value}"), with(value), chunks)
            .event("warn", "dropped_header")
            .without(&["TE", "Trailer"])
    };
    check(&["chunked", "gzip, chunked", "identity", ""].map(case));
}

#[test]
fn g02_the_right_length_is_kept() {
    let length = [("Content-Length", "4")];
    check(&[
        Case::good("G2", answer(200, &length), b"fine").with(&length),
        Case::good("G2 HEAD", answer(200, &length), b"")
            .ask(Ask::Head)
            .with(&length)
            .event("debug", "body_dropped"),
    ]);
}

#[test]
fn g03_a_length_above_the_body_is_seen_to_be_wrong() {
    let head = ok(&[("Content-Length", "10"), ("X-Engine", "1")]);
    let begun = [head.clone(), body_chunk(b"hello"), flush(), end()].concat();
    check(&[
        Case::bad("G3", [head, body_chunk(b"hello"), end()].concat(), "cl_short"),
        Case::bad("G3 begun", begun, "cl_short").sees(Sees::Broken(b"hello".to_vec())),
    ]);
}

#[test]
fn g04_a_body_above_its_length_is_cut() {
    let answer = [ok(&[("Content-Length", "4")]), body_chunk(b"fine, and more"), end()].concat();
    let case = Case::good("G4", answer, b"fine").with(&[("Content-Length", "4")]);
    check(&[case.event("warn", "cl_excess").closed()]);
}

#[test]
fn g05_a_length_that_is_none_is_refused() {
    let case = |value| {
        let id = format!("G5 {value}");
        Case::bad(id, answer(200, &[("Content-Length", value)]), "bad_cl")
    };
    let mut cases = vec![case("-4"), case("4, 4"), case("0x4"), case("18446744073709551620")];
    let twice = [("Content-Length", "4"), ("content-length", "4")];
    cases.push(Case::bad("G5 twice", answer(200, &twice), "bad_cl"));
    check(&cases);
}

#[test]
fn g06_head_has_no_body_and_keeps_its_length() {
    let with = [("Content-Length", "4"), ("X-Engine", "1")];
    let case = |id: &str, headers: &[(&str, &str)]| {
        Case::good(id, answer(200, headers), b"").ask(Ask::Head).event("debug", "body_dropped")
    };
    check(&[case("G6", &with).with(&with), case("G6 no length", &with[1..]).with(&with[1..])]);
}

#[test]
fn g07_statuses_without_a_body_have_none() {
    let case = |status| {
        let case = Case::good(format!("G7 {status}"), answer(status, &[("X-A", "1")]), b"");
        case.status(status).with(&[("X-A", "1")]).event("debug", "body_dropped")
    };
    let lengths = |case: Case| case.without(&["Content-Length", "Transfer-Encoding"]);
    check(&[lengths(case(204)), lengths(case(304)), case(205)]);
}

#[test]
fn g08_there_is_no_interim_response() {
    let case = |status| {
        let bytes = [send_headers(status, "", &[]), answer(200, &[])].concat();
        Case::bad(format!("G8 {status}"), bytes, "interim_status")
    };
    check(&[100, 102, 103].map(case));
}

#[test]
fn g09_nothing_can_be_upgraded() {
    let bytes = answer(101, &[("Upgrade", "websocket"), ("Connection", "Upgrade")]);
    check(&[Case::bad("G9", bytes, "upgrade_impossible")]);
}

#[test]
fn g10_a_status_that_is_none_is_refused() {
    let case = |status| Case::bad(format!("G10 {status}"), answer(status, &[]), "bad_status");
    check(&[0, 1, 99, 1000, 65535].map(case));
}

#[test]
fn g11_any_final_status_passes() {
    let case = |status| {
        let case = Case::good(format!("G11 {status}"), answer(status, &[("X-A", "1")]), b"fine");
        case.status(status).with(&[("X-A", "1")])
    };
    check(&[200, 226, 299, 418, 451, 599, 600, 799, 999].map(case));
}

#[test]
fn g12_an_end_alone_is_no_answer() {
    check(&[Case::bad("G12", end(), "end_without_head")]);
}

#[test]
fn g13_a_body_before_its_head_is_refused_and_a_flush_is_not() {
    let early = [body_chunk(b"early"), answer(200, &[])].concat();
    let flushed = [flush(), flush(), answer(200, &[])].concat();
    check(&[
        Case::bad("G13", early, "body_before_head"),
        Case::good("G13 flush", [flush(), answer(200, &[])].concat(), b"fine")
            .event("debug", "early_flush"),
        Case::good("G13 flushes", flushed, b"fine"),
    ]);
}

#[test]
fn g14_a_second_head_breaks_the_answer_off() {
    let head = ok(&[("X-Engine", "1")]);
    let begun = [head.clone(), body_chunk(b"begin"), flush(), poison()].concat();
    check(&[
        Case::bad("G14", [head, poison()].concat(), "double_head"),
        Case::bad("G14 begun", begun, "double_head").sees(Sees::Broken(b"begin".to_vec())),
    ]);
}

#[test]
fn g15_every_challenge_passes() {
    let challenges = [("WWW-Authenticate", "Basic realm=a"), ("WWW-Authenticate", "Negotiate")];
    check(&[Case::good("G15", answer(401, &challenges), b"fine").status(401).with(&challenges)]);
}

#[test]
fn g16_an_error_without_a_page_stays_without_one() {
    let case = |status: u16| {
        let bytes = [send_headers(status, "", &[("X-A", "1")]), end()].concat();
        Case::good(format!("G16 {status}"), bytes, b"").status(status).with(&[("X-A", "1")])
    };
    check(&[400, 404, 500, 503].map(case));
}
