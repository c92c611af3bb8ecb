//! Which headers pass, in both directions: spec/reliability.md 2.3.

use crate::faults::case::{Fate, end, head_with, raw_head, string};
use crate::faults::stage::{Stage, unique};
use crate::support::client::{self, Client};
use crate::support::engine::Action;
use crate::support::packet::{self, Request, body_chunk};

/// Sends a GET with these headers and returns it as the engine sees it.
pub(super) fn forwarded(stage: &Stage, headers: &[(&str, &str)]) -> Request {
    let path = unique("w", "echo");
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let answer = client.request("GET", &path, headers, b"");
    assert_eq!((answer.status(), answer.text()), (200, path.clone()), "{headers:?}");
    drop(client);
    let number = stage.carried_by(&mark, &path).expect("sent");
    stage.check_after("headers", &mark, "w", None, Some((number, Fate::Pooled)));
    let seen = stage.engine.seen();
    seen.requests.iter().rfind(|request| request.uri() == path).cloned().expect("sent")
}

#[test]
fn hop_by_hop_request_headers_do_not_pass() {
    let stage = Stage::new();
    let dropped = [
        ("Connection", "keep-alive, X-Secret ,x-other"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("Upgrade", "h2c"),
        ("Proxy", "http://evil.example/"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Proxy-Connection", "keep-alive"),
        ("X-Secret", "named in Connection"),
        ("X-OTHER", "named in Connection"),
    ];
    let kept = [("X-Kept", "1"), ("X_Under", "2"), ("Authorization", "Basic eA==")];
    let request = forwarded(&stage, &[&dropped[..], &kept[..]].concat());
    for (name, _) in dropped {
        assert_eq!(request.header(name), None, "{name}");
    }
    for (name, value) in kept {
        assert_eq!(request.header(name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_header_that_the_server_sets_passes_whatever_the_client_says() {
    // CVE-2022-31813: the client must not be able to have a trusted header dropped.
    let stage = Stage::with(|builder| {
        builder.modules(&["headers"]).config(
            "RequestHeader set X-Late trusted\n\
             RequestHeader set X-Early trusted early\n\
             RequestHeader append X-List trusted\n\
             RequestHeader set X-New trusted",
        )
    });
    let connection = ("Connection", "close, X-Late, X-Early, X-List, X-New, X-Client");
    let request = forwarded(
        &stage,
        &[
            connection,
            ("X-Late", "forged"),
            ("X-Early", "forged"),
            ("X-List", "forged"),
            ("X-Client", "forged"),
        ],
    );
    for name in ["X-Late", "X-Early", "X-New"] {
        assert_eq!(request.header_values(name), ["trusted"], "{name}");
    }
    assert_eq!(request.header("X-List").as_deref(), Some("forged, trusted"));
    assert_eq!(request.header("X-Client"), None);
}

#[test]
fn odd_connection_headers_are_survived() {
    let stage = Stage::new();
    let commas = ",".repeat(8000);
    for value in [",,;\"", commas.as_str(), "close, close, host", "content-length, cookie"] {
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        let path = unique("w", "echo");
        let answer = client.request("GET", &path, &[("Connection", value)], b"");
        assert!([200, 400].contains(&answer.status()), "{}: {answer:?}", &value[..4]);
        drop(client);
        stage.check_after("Connection", &mark, "w", None, None);
    }
}

#[test]
fn duplicate_cookies_are_one_line() {
    let stage = Stage::new();
    let request = forwarded(&stage, &[("Cookie", "a=1"), ("Cookie", "b=2")]);
    assert_eq!(request.header_values("Cookie"), ["a=1, b=2"]);
}

#[test]
fn bytes_above_127_pass_unchanged_both_ways() {
    let stage = Stage::new();
    let high: Vec<u8> = (0x80..=0xFF).collect();
    let path = unique("w", "case");
    let value = high.clone();
    stage.play(&path, move |conn, _| {
        conn.send(&[head_with(b"X-High", &value), body_chunk(b"fine"), end()].concat())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let head = client::head("GET", &path, &[("Connection", "close")]);
    client.send(&[head.as_bytes(), b"X-High: ", &high, b"\r\n\r\n"].concat()).expect("sent");
    let mut answer = Vec::new();
    loop {
        let some = client.read_some(4096).expect("data");
        if some.is_empty() {
            break;
        }
        answer.extend(some);
    }
    let line = [b"X-High: ", &high[..], b"\r\n"].concat();
    assert!(answer.windows(line.len()).any(|part| part == line), "{}", answer.escape_ascii());
    {
        let seen = stage.engine.seen();
        let request = seen.requests.iter().find(|request| request.uri() == path).expect("sent");
        let passed = request.headers.iter().find(|(name, _)| name.as_str() == "X-High");
        assert!(passed.is_some_and(|(_, value)| *value == high));
    }
    drop(client);
    stage.check_after("high bytes", &mark, "w", None, None);
}

#[test]
fn headers_of_an_answer_that_come_twice() {
    let stage = Stage::new();
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        let head = packet::send_headers(
            401,
            "",
            &[
                ("Content-Type", "text/first"),
                ("Content-Type", "Text/Second"),
                ("Location", "/first"),
                ("Location", "/second"),
                ("WWW-Authenticate", "Basic realm=a"),
                ("WWW-Authenticate", "Negotiate"),
                ("Set-Cookie", "a=1"),
                ("Set-Cookie", "a=1"),
                ("X-Empty", ""),
            ],
        );
        conn.send(&[head, body_chunk(b"fine"), end()].concat())?;
        Ok(Action::Keep)
    });
    let answer = client::get(stage.httpd.addr(), &path);
    assert_eq!((answer.status(), answer.text().as_str()), (401, "fine"));
    assert_eq!(answer.head.header_values("Content-Type"), ["text/second"]);
    assert_eq!(answer.head.header_values("Location"), ["/second"]);
    assert_eq!(answer.head.header_values("WWW-Authenticate"), ["Basic realm=a", "Negotiate"]);
    assert_eq!(answer.head.header_values("Set-Cookie"), ["a=1", "a=1"]);
    assert_eq!(answer.head.header_values("X-Empty"), [""]);
}

#[test]
fn a_location_is_never_followed_here() {
    // CVE-2024-38476.
    let stage = Stage::with(|builder| builder.file("htdocs/secret.txt", "of this machine"));
    for status in [200, 302, 500] {
        let path = unique("w", "case");
        stage.play(&path, move |conn, _| {
            let head = packet::send_headers(status, "", &[("Location", "/secret.txt")]);
            conn.send(&[head, body_chunk(b"fine"), end()].concat())?;
            Ok(Action::Keep)
        });
        let answer = client::get(stage.httpd.addr(), &path);
        assert_eq!((answer.status(), answer.text().as_str()), (status, "fine"));
        assert_eq!(answer.header("Location"), Some("/secret.txt"));
    }
}

#[test]
fn an_error_page_repeats_nothing_of_either_side() {
    let stage = Stage::new();
    let path = unique("w", "case") + "/%3Csvg%20onload";
    stage.play(&path, |conn, _| {
        let reason = string(b"<b>reason\r\n</b>");
        conn.send(&raw_head(99, &reason, 1, &[&string(b"X-Engine"), &string(b"<b>1")]))?;
        Ok(Action::Keep)
    });
    let answer = client::get(stage.httpd.addr(), &path);
    assert_eq!(answer.status(), 502);
    for text in ["svg", "<b>", "reason", "case"] {
        assert!(!answer.text().contains(text), "{text}: {}", answer.text());
    }
}

#[test]
fn l16_a_request_too_large_for_a_packet() {
    let stage = Stage::new();
    let large = "x".repeat(1000);
    let largest = "x".repeat(1500);
    let mut headers: Vec<(String, &str)> =
        (0..8).map(|number| (format!("X-{number}"), large.as_str())).collect();
    headers.push(("X-Largest".to_owned(), &largest));
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let before = stage.warm("w");
    let mark = stage.mark();
    let path = unique("w", "echo");
    let mut client = Client::connect(stage.httpd.addr());
    let answer = client.request("GET", &path, &headers, b"");
    drop(client);
    assert_eq!(answer.status(), 413);
    assert_eq!(stage.executions(&mark, &path), 0);
    let lines = stage.log_since(&mark).join("\n");
    for part in ["max_packet_size", "packetSize", "X-Largest", "1500", "8192"] {
        assert!(lines.contains(part), "{part} is missing:\n{lines}");
    }
    let event = Some(("info", "request_too_big"));
    stage.check_after("L16", &mark, "w", event, Some((before, Fate::Pooled)));
}

#[test]
fn a_control_byte_in_the_query_is_refused() {
    // CVE-2023-25690: a rewritten query is no place for a blank or a line end.
    let stage = Stage::with(|builder| {
        builder.modules(&["rewrite"]).config(
            "RewriteEngine on\n\
             RewriteRule ^/w/query/(.*)$ /w/rewritten?q=$1 [PT,B,BNP]\n\
             RewriteRule ^/w/raw/(.*)$ /w/rewritten?q=$1 [PT,UnsafeAllow3F]",
        )
    });
    for target in ["/w/raw/a%20b", "/w/raw/a%0d%0aX:%201", "/w/raw/a%01"] {
        let mark = stage.mark();
        let answer = client::get(stage.httpd.addr(), target);
        assert!([400, 403, 404].contains(&answer.status()), "{target}: {answer:?}");
        assert_eq!(stage.executions(&mark, "/w/rewritten"), 0, "{target}");
    }
}

/// A header that httpd's own configuration breaks is httpd's to refuse; its page stands.
#[test]
fn a_response_that_httpd_refuses_is_answered_by_httpd() {
    let stage = Stage::with(|builder| {
        builder.modules(&["headers", "env"]).config(
            "<Location /w/case>\nSetEnv BAD \"a\u{1}b\"\nHeader set X-Bad \"%{BAD}e\"\n</Location>",
        )
    });
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        conn.send(&packet::answer(200, &[], b"fine"))?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let answer = client::get(stage.httpd.addr(), &path);
    assert_eq!(answer.status(), 500, "{answer:?}");
    stage.check_after("refused", &mark, "w", Some(("warn", "response_refused")), None);
}
