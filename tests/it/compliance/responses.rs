//! What the engine answers, as the client sees it.

use super::case::{Case, get, request};
use super::run::Group;
use super::seen::Answer;
use crate::support::client::Noise;
use crate::support::engine::Action;
use crate::support::packet::{self, answer, body_chunk, end_response, send_headers};

const PLAIN: (&str, &str) = ("Content-Type", "text/plain");

pub(super) fn group() -> Group {
    let mut cases = Vec::new();
    cases.extend(statuses());
    cases.extend(reasons());
    cases.extend(headers());
    cases.extend(bodies());
    Group {
        test: "the_client_sees_the_same_responses",
        modules: &[],
        config: "JkMount /* w".into(),
        workers: String::new(),
        files: &[],
        cases,
    }
}

/// A GET that names what it is answered with.
fn ask(what: &str) -> Case {
    get("/r").named(what)
}

fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut statuses: Vec<u16> = (200..=208).collect();
    statuses.extend([226, 250, 299]);
    statuses.extend(300..=308);
    statuses.extend(400..=418);
    statuses.extend([421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499]);
    statuses.extend(500..=511);
    statuses.extend([520, 599, 600, 700, 999]);
    for status in statuses {
        let body = match status {
            204 | 304 => &b""[..],
            _ => b"body",
        };
        let case = ask(&format!("{status}")).answered(answer(status, &[PLAIN], body));
        cases.push(match status {
            205 => case.differs("Body of a response with status 205", |seen| {
                for answer in &mut seen.answers {
                    if let Answer::Response { headers, body, .. } = answer {
                        body.clear();
                        headers[1] = ("Content-Length".into(), "0".into());
                    }
                }
            }),
            _ => case,
        });
    }
    for status in [200, 201, 204, 302, 304, 400, 401, 404, 500, 503, 599] {
        let empty = answer(status, &[], b"");
        cases.push(ask(&format!("{status} without a body")).answered(empty.clone()));
        cases.push(request("HEAD", "/r").named(&format!("{status}")).answered(empty));
        let zero = answer(status, &[("Content-Length", "0")], b"");
        cases.push(ask(&format!("{status} with length 0")).answered(zero));
    }
    for status in [204, 304] {
        let name = format!("{status} with a body");
        cases.push(ask(&name).answered(answer(status, &[PLAIN], b"unwanted")));
    }
    cases
}

fn reasons() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [200, 404, 499, 700] {
        for reason in ["", "OK", "Custom Reason", "x", "l\u{e4}ngst", "404 Not Found"] {
            let mut packets = send_headers(status, reason, &[PLAIN]);
            packets.extend(body_chunk(b"body"));
            packets.extend(end_response(true));
            cases.push(ask(&format!("{status} {reason:?}")).answered(packets));
        }
        let [high, low] = status.to_be_bytes();
        let mut packets = packet::frame(&[packet::SEND_HEADERS, high, low, 0xFF, 0xFF, 0, 0]);
        packets.extend(end_response(true));
        cases.push(ask(&format!("{status} with a null reason")).answered(packets));
    }
    cases
}

fn headers() -> Vec<Case> {
    let one = |name: &str, value: &str| {
        ask(&format!("{name}: {value}")).answered(answer(200, &[(name, value)], b"body"))
    };
    let mut cases = Vec::new();
    for value in [
        "text/html",
        "Text/HTML;Charset=UTF-8",
        "TEXT/plain; charset=ISO-8859-15; x=Y",
        "application/JSON",
        "garbage",
        "",
        "multipart/form-data; boundary=AbC",
    ] {
        cases.push(one("Content-Type", value));
    }
    for value in [
        "Thu, 01 Jan 2015 10:20:30 GMT",
        "Thursday, 01-Jan-15 10:20:30 GMT",
        "Thu Jan  1 10:20:30 2015",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "garbage",
        "",
    ] {
        cases.push(one("Last-Modified", value));
    }
    for (name, value) in [
        ("Location", "http://www.example.test:8888/next?q#f"),
        ("Location", "/relative"),
        ("Location", ""),
        ("Content-Language", "de"),
        ("Content-Encoding", "gzip"),
        ("Servlet-Engine", "Tomcat"),
        ("Server", "Engine"),
        ("Date", "Thu, 01 Jan 2015 10:20:30 GMT"),
        ("Expires", "0"),
        ("ETag", "\"x\""),
        ("ETag", "W/\"x\""),
        ("Vary", "Accept"),
        ("Cache-Control", "no-store"),
        ("Accept-Ranges", "bytes"),
        ("X-Empty", ""),
        ("x-lower", "a  b"),
        ("X_Under", "1"),
        ("X-High", "\u{e4}\u{20ac}"),
        ("X-Tab", "a\tb"),
        ("X-Blank", " a "),
        ("Warning", "199 - x"),
        ("Set-Cookie2", "a=b"),
        ("Via", "1.1 engine"),
        ("Refresh", "1"),
        ("Content-Range", "bytes 0-3/4"),
        ("Retry-After", "5"),
        ("Allow", "GET"),
        ("Strict-Transport-Security", "max-age=1"),
    ] {
        cases.push(one(name, value));
    }
    let many: Vec<(String, String)> =
        (0..400).map(|number| (format!("X-{number}"), "v".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let large = "x".repeat(8000);
    let several = |what: &str, status, headers: &[(&str, &str)]| {
        ask(what).answered(answer(status, headers, b"body"))
    };
    const STATUS: &str = "Status and hop-by-hop response headers";
    cases.extend([
        several(
            "cookies",
            200,
            &[
                ("Set-Cookie", "a=1; Path=/"),
                ("X-A", "1"),
                ("set-cookie", "b=2; HttpOnly"),
                ("X-a", "2"),
                ("Set-Cookie", "a=3"),
            ],
        ),
        several("two locations", 302, &[("Location", "/a"), ("Location", "/b")]),
        several("two types", 200, &[("Content-Type", "text/a"), ("Content-Type", "text/b")]),
        several("a login", 401, &[("WWW-Authenticate", "Basic realm=\"x\""), PLAIN]),
        several(
            "two logins",
            401,
            &[("WWW-Authenticate", "Negotiate"), ("www-authenticate", "Basic realm=\"x\"")],
        ),
        several("a redirect", 302, &[("Location", "/next"), ("Content-Length", "4")]),
        several("many", 200, &many),
        several("large", 200, &[("X-Large", &large)]),
        several(
            "everything",
            200,
            &[
                ("Content-Type", "Text/Plain"),
                ("Last-Modified", "Thu, 01 Jan 2015 10:20:30 GMT"),
                ("Content-Length", "4"),
                ("X-Z", "1"),
                ("Set-Cookie", "a=b"),
                ("X-A", "2"),
            ],
        ),
        several(
            "hop by hop",
            200,
            &[
                ("Connection", "X-Named"),
                ("X-Named", "1"),
                ("X-Other", "2"),
                ("Keep-Alive", "timeout=1"),
                ("Upgrade", "websocket"),
                ("Trailer", "X-T"),
                ("Proxy-Authenticate", "Basic"),
                ("Status", "204 No Content"),
            ],
        )
        .differs(STATUS, |seen| {
            seen.without_response_headers(&[
                "connection",
                "x-named",
                "keep-alive",
                "upgrade",
                "trailer",
                "proxy-authenticate",
                "status",
            ]);
        }),
        several("Status", 200, &[("Status", "404 Not Found")])
            .differs(STATUS, |seen| seen.without_response_headers(&["status"])),
    ]);
    cases
}

fn bodies() -> Vec<Case> {
    let noise = Noise::bytes(100_000);
    let mut cases = Vec::new();
    for length in [1, 100, 4000, 8000, 8192, 16_384, 20_000, 100_000] {
        let body = &noise[..length];
        let told = [("Content-Length", length.to_string())];
        let told = [(told[0].0, told[0].1.as_str())];
        for (what, headers) in [("", &[][..]), (" told", &told[..])] {
            let packets = answer(200, headers, body);
            cases.push(ask(&format!("{length} bytes{what}")).answered(packets.clone()));
            cases.push(
                request("HEAD", "/r").named(&format!("{length} bytes{what}")).answered(packets),
            );
        }
    }
    let parts = |status, parts: &[&[u8]]| {
        let mut packets = send_headers(status, "", &[PLAIN]);
        for part in parts {
            packets.extend(body_chunk(part));
        }
        packets.extend(end_response(true));
        packets
    };
    cases.extend([
        ask("20000 bytes by HTTP/1.0").http10().answered(answer(200, &[], &noise[..20_000])),
        ask("small parts").answered(parts(200, &[b"a", b"b", b"c"])),
        ask("a flush in the middle").answered(parts(200, &[b"a", b"", b"b"])),
        ask("flushes everywhere").answered(parts(200, &[b"", b"a", b"", b"", b"b", b""])),
        ask("a flush, no body").answered(parts(200, &[b""])),
        ask("a flush, 404").answered(parts(404, &[b"", b"not here"])),
        request("HEAD", "/r").named("flushes").answered(parts(200, &[b"", b"a", b""])),
        ask("a flush, then large").answered(parts(200, &[b"", &noise[..8000], &noise[..8000]])),
        ask("a part without its NUL").answered({
            let mut packets = send_headers(200, "", &[PLAIN]);
            packets.extend(packet::frame(b"\x03\x00\x04body"));
            packets.extend(end_response(true));
            packets
        }),
        ask("no reuse").scripted(|conn, _| {
            conn.send(&send_headers(200, "", &[PLAIN]))?;
            conn.send(&body_chunk(b"body"))?;
            conn.send(&end_response(false))?;
            Ok(Action::Close)
        }),
        ask("a flush before the head")
            .answered([body_chunk(b""), answer(200, &[PLAIN], b"body")].concat()),
        request("GET", "/1")
            .named("a large one")
            .answered(answer(200, &[], &noise[..20_000]))
            .then(get("/2")),
    ]);
    cases
}
