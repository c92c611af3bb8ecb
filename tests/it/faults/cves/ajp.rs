//! spec/reliability.md 1.2: what other AJP connectors for httpd had.

use super::pair::Pair;
use super::*;
use crate::support::client::Noise;
use crate::support::engine::echo;

#[test]
fn cve_2009_1191_a_post_without_a_body_leaves_the_connection_in_step() {
    let stage = Stage::new();
    for lines in ["", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n"] {
        let before = stage.warm("w");
        let path = unique("w", "echo");
        let mark = stage.mark();
        let body: &[u8] = if lines.starts_with('T') { b"0\r\n\r\n" } else { b"" };
        let answer = send(&stage, "POST", &path, lines, body).read_response("POST");
        assert_eq!((answer.text(), answer.header("X-Body")), (path, Some("0")), "{lines:?}");
        stage.check_after(lines, &mark, "w", None, Some((before, Fate::Pooled)));
    }
}

#[test]
fn cve_2010_0408_a_client_that_breaks_off_says_nothing_about_the_engine() {
    let pair = Pair::new("");
    for _ in 0..10 {
        let mut client = Client::connect(pair.httpd.addr());
        let head = client::head("POST", "/lb/echo", &[("Content-Length", "60000")]) + "\r\n";
        client.send(&[head.as_bytes(), &Noise::bytes(20_000)].concat()).expect("sent");
        client.finish_sending();
        if let Ok(answer) = client.try_read_response("POST") {
            assert_eq!(answer.status(), 400, "{answer:?}");
        }
    }
    pair.wait_members("client_errors", |counts| counts.iter().sum::<u64>() == 10);
    assert_eq!(pair.members("errors"), [0, 0]);
    pair.check_usable();
}

#[test]
fn cve_2011_3348_an_odd_method_says_nothing_about_the_engine() {
    let pair = Pair::new("");
    let long = "M".repeat(65);
    for (method, status) in
        [("FOO", 200), ("get", 200), (&long, 501), ("M(", 400), ("CONNECT", 400)]
    {
        let mut client = Client::connect(pair.httpd.addr());
        assert_eq!(client.request(method, "/lb/echo", &[], b"").status(), status, "{method}");
    }
    assert_eq!(pair.members("errors"), [0, 0]);
    pair.check_usable();
}

#[test]
fn cve_2012_4557_one_slow_page_takes_nobody_out() {
    let pair = Pair::new(
        "worker.a.reply_timeout=300\nworker.b.reply_timeout=300\nworker.lb.max_reply_timeouts=100",
    );
    for _ in 0..4 {
        let mut client = Client::connect(pair.httpd.addr());
        assert_eq!(client.request("POST", "/lb/silent", &[], b"").status(), 504);
        assert_eq!(client::get(pair.httpd.addr(), "/lb/echo").status(), 200);
    }
    assert_eq!(pair.members("reply_timeouts").iter().sum::<u64>(), 4);
    pair.check_usable();
}

/// Whatever ends an exchange early, the next request has its own answer over a clean connection.
#[test]
fn cve_2012_3502_what_does_not_end_cleanly_is_closed() {
    let stage = Stage::new();
    let mut cases = vec![
        Case::bad("nonsense", b"nonsense".to_vec(), "bad_magic"),
        Case::bad("no head", end(), "end_without_head"),
        Case::bad("a body first", [body_chunk(b"x"), poison()].concat(), "body_before_head"),
        Case::bad("status 0", [packet::send_headers(0, "", &[]), end()].concat(), "bad_status"),
        Case::bad("short", [ok(&[("Content-Length", "9")]), end()].concat(), "cl_short"),
    ];
    cases.push(
        Case::get("silence", vec![]).worker("t").sees(Sees::Error(504)).error("reply_timeout"),
    );
    stage.run_all(&cases);
}

#[test]
fn cve_2022_26377_nobody_but_httpd_says_how_long_a_body_is() {
    let stage = Stage::new();
    let path = unique("w", "echo");
    let lines = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    let body = b"5\r\nhello\r\n0\r\n\r\n";
    let answer = send(&stage, "POST", &path, lines, body).read_response("POST");
    assert_eq!((answer.status(), answer.header("X-Body")), (200, Some("5")));
    let request = forwarded(&stage, &path);
    assert_eq!(request.header_values("Content-Length"), [""; 0]);
    assert_eq!(request.header_values("Transfer-Encoding"), [""; 0]);
    for value in ["gzip, chunked", "chunked, chunked", "xchunked", "identity", "chunked;q=1", ""] {
        let lines = format!("Transfer-Encoding: {value}\r\nContent-Length: 3\r\n");
        refused(&stage, "POST", &lines, &[400, 501]);
    }
}

#[test]
fn cve_2022_36760_what_is_refused_has_touched_no_connection() {
    let stage = Stage::new();
    let before = stage.warm("w");
    let mark = stage.mark();
    for _ in 0..5 {
        refused(&stage, "POST", "Transfer-Encoding: gzip, chunked\r\n", &[400, 501]);
    }
    stage.check_after("refused", &mark, "w", None, Some((before, Fate::Pooled)));
}

#[test]
fn httpd_2_4_56_a_count_of_headers_that_lies_is_refused() {
    let header = [string(b"X-A"), string(b"1")].concat();
    let cases: Vec<Case> = [3, 255, 0x7FFF, 0xFFFF]
        .iter()
        .map(|count| {
            let head =
                super::super::case::raw_head(200, &string(b"OK"), *count, &[&header, &header]);
            let bytes = [head, body_chunk(b"fine"), end()].concat();
            Case::bad(format!("{count} headers"), bytes, "head_truncated")
        })
        .collect();
    Stage::new().run_all(&cases);
}

#[test]
fn cve_2026_28780_a_packet_has_to_fit_with_its_own_header() {
    let max = 8192_u16;
    let cases: Vec<Case> = (max - 3..=max + 1)
        .map(|length| {
            let bytes = [&b"AB"[..], &length.to_be_bytes(), &[4, 0, 200, 0, 0]].concat();
            Case::bad(format!("{length} bytes"), bytes, "packet_too_big")
        })
        .collect();
    let stage = Stage::new();
    stage.run_all(&cases);
    // The largest one that fits is served.
    let body = Noise::bytes(packet::CHUNK_MAX);
    let largest = [ok(&[]), body_chunk(&body), end()].concat();
    stage.run_as(&Case::good("the largest", largest, &body), super::super::stage::Variant::Reused);
}

/// A head, a chunk and an end, each in a packet of exactly k bytes for every k that is too few.
#[test]
fn cve_2026_33857_a_packet_cut_anywhere_is_no_value() {
    let stage = Stage::new();
    let head = packet::send_headers(200, "OK", &[("X-A", "1"), ("Content-Type", "text/html")]);
    let payload = &head[4..];
    for length in 0..payload.len() {
        let path = unique("w", "case");
        let bytes = [frame(&payload[..length]), body_chunk(b"fine"), end()].concat();
        stage.play(&path, move |conn, _| {
            conn.send(&bytes)?;
            Ok(Action::Keep)
        });
        let answer = client::get(stage.httpd.addr(), &path);
        assert_eq!(answer.status(), 502, "{length}: {answer:?}");
        assert_eq!(answer.header("X-A"), None);
    }
    stage.echo("w");
}

#[test]
fn cve_2026_34032_a_string_ends_in_its_packet_and_with_a_nul() {
    let head = |value: &[u8]| {
        let header = [string(b"X-A"), value.to_vec()].concat();
        let head = super::super::case::raw_head(200, &string(b"OK"), 1, &[&header]);
        [head, body_chunk(b"fine"), end()].concat()
    };
    Stage::new().run_all(&[
        Case::bad("past the end", head(b"\x1f\xf0abc\0"), "bad_string"),
        Case::bad("past the end by the NUL", head(b"\0\x03abc"), "bad_string"),
        Case::bad("no NUL", head(b"\0\x03abcd"), "bad_string"),
        Case::bad("length 0xFFFE", head(b"\xff\xfeabc\0"), "bad_string"),
    ]);
}

#[test]
fn cve_2026_34059_a_chunk_of_less_than_its_length_field() {
    let stage = Stage::new();
    for payload in [&b"\x03"[..], b"\x03\0", b"\x03\xff"] {
        let cases = before_and_after(&format!("{payload:?}"), &frame(payload), "short_chunk");
        stage.run_all(&cases);
    }
}

#[test]
fn cve_2026_33523_a_reason_is_one_line() {
    let cases: Vec<Case> = [&b"OK\r\nX-Evil: 1"[..], b"OK\nX-Evil: 1", b"O\x01K", b"OK\x7f", b"\r"]
        .iter()
        .map(|reason| {
            let head = super::super::case::raw_head(404, &string(reason), 0, &[]);
            let bytes = [head, body_chunk(b"fine"), end()].concat();
            let case = Case::good(format!("{reason:?}"), bytes, b"fine").status(404);
            case.event("warn", "bad_reason").without(&["X-Evil"])
        })
        .collect();
    Stage::new().run_all(&cases);
}

/// CVE-2024-24795 and CVE-2026-63718: what the engine says about framing is checked or dropped.
#[test]
fn cve_2024_24795_and_2026_63718_an_answer_cannot_be_two() {
    let with = |headers: &[(&str, &str)]| [ok(headers), body_chunk(b"hello"), end()].concat();
    let both = [("Content-Length", "5"), ("Transfer-Encoding", "chunked")];
    Stage::new().run_all(&[
        Case::good("both", with(&both), b"hello").event("warn", "dropped_header"),
        Case::bad(
            "two lengths",
            with(&[("Content-Length", "5"), ("Content-Length", "50")]),
            "bad_cl",
        ),
        Case::bad("a list", with(&[("Content-Length", "5, 50")]), "bad_cl"),
        Case::bad("a line end", with(&[("Content-Length", "5\r\nX-Evil: 1")]), "bad_header"),
        Case::good("longer", with(&[("Content-Length", "2")]), b"he")
            .event("warn", "cl_excess")
            .closed(),
    ]);
}

/// What 2.4.69 mended: nothing that an engine says becomes an interim answer.
#[test]
fn httpd_2_4_69_no_interim_answer_comes_from_the_engine() {
    let cases: Vec<Case> = [100, 102, 103]
        .iter()
        .map(|status| {
            let bytes = [packet::send_headers(*status, "X\r\nX-Evil: 1", &[]), poison()].concat();
            Case::bad(format!("status {status}"), bytes, "interim_status")
        })
        .collect();
    Stage::new().run_all(&cases);
}

/// A body before its head, and packets of the wrong direction. On ours only.
#[test]
fn ajp_open_packets_out_of_place() {
    let mut wrong = [ok(&[]), body_chunk(b"fine"), end()].concat();
    wrong[..2].copy_from_slice(&packet::TO_ENGINE);
    Stage::new().run_all(&[
        Case::bad("a body first", [body_chunk(b"x"), poison()].concat(), "body_before_head"),
        Case::bad("the other direction", wrong, "bad_magic"),
    ]);
}

/// CVE-2023-25690: what rewriting makes of a path or a query is checked again.
#[test]
fn cve_2023_25690_a_rewritten_target_stays_one_line() {
    let stage = Stage::with(|builder| {
        builder.modules(&["rewrite"]).config(
            "RewriteEngine on\n\
             RewriteRule ^/rq/(.*)$ /w/rewritten?q=$1 [PT,UnsafeAllow3F]\n\
             RewriteRule ^/rp/(.*)$ /w/$1 [PT,UnsafeAllow3F]",
        )
    });
    stage.play("/w/rewritten", |conn, request| {
        conn.send(&echo(request, 0))?;
        Ok(Action::Keep)
    });
    for target in
        ["/rq/a%0d%0aX-Evil:%201", "/rq/a%01", "/rq/a%7f", "/rq/a%0a", "/rp/a%0d%0ab", "/rp/%01"]
    {
        let answer = client::get(stage.httpd.addr(), target);
        let sent = stage.engine.seen().requests.iter().any(|request| {
            let query = request.query().unwrap_or_default();
            let line = format!("{}{query}", request.uri());
            line.bytes().any(|byte| byte <= b' ' || byte == 0x7F)
        });
        assert!(!sent, "{target}: {answer:?}");
        assert!([200, 400, 403, 404].contains(&answer.status()), "{target}: {answer:?}");
    }
    assert_eq!(client::get(stage.httpd.addr(), "/rq/ab").status(), 200);
}
