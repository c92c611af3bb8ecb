//! spec/reliability.md 1.3: what httpd's own modules had, where it would have come through us.

use super::*;
use crate::support::client::curl;
use crate::support::packet::Attr;

/// A GET with these headers as the engine sees it.
fn get(stage: &Stage, headers: &[(&str, &str)]) -> Request {
    let path = unique("w", "echo");
    let answer = Client::connect(stage.httpd.addr()).request("GET", &path, headers, b"");
    assert_eq!((answer.status(), answer.text()), (200, path.clone()));
    forwarded(stage, &path)
}

/// The answer to a path whose engine says `bytes`.
fn answered(stage: &Stage, bytes: Vec<u8>) -> Response {
    let path = unique("w", "case");
    stage.play(&path, move |conn, _| {
        conn.send(&bytes)?;
        Ok(Action::Keep)
    });
    client::get(stage.httpd.addr(), &path)
}

#[test]
fn cve_2013_5704_trailers_are_no_headers() {
    let stage = Stage::new();
    let path = unique("w", "echo");
    let lines = "Trailer: X-Late, Authorization\r\nTransfer-Encoding: chunked\r\n";
    let body = b"3\r\nabc\r\n0\r\nX-Late: 1\r\nAuthorization: x\r\n\r\n";
    let answer = send(&stage, "POST", &path, lines, body).read_response("POST");
    assert_eq!(answer.header("X-Body"), Some("3"));
    let request = forwarded(&stage, &path);
    for name in ["X-Late", "Authorization", "Trailer"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

#[test]
fn cve_2014_0117_odd_connection_headers_crash_nothing() {
    let stage = Stage::new();
    let child = stage.httpd.only_child();
    let commas = ",".repeat(8000);
    for value in [",,;\"", ";", "\"", ", , ,", "close;", commas.as_str()] {
        let path = unique("w", "echo");
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request("GET", &path, &[("Connection", value)], b"");
        assert!([200, 400].contains(&answer.status()), "{answer:?}");
    }
    assert_eq!(stage.httpd.only_child(), child);
}

#[test]
fn cve_2016_5387_no_header_becomes_a_proxy_of_the_application() {
    let stage = Stage::new();
    let request = get(&stage, &[("Proxy", "http://127.0.0.1:1/"), ("pRoXy", "x")]);
    assert_eq!(request.header("Proxy"), None);
    assert!(request.headers.iter().all(|(name, _)| !name.as_str().eq_ignore_ascii_case("proxy")));
}

/// CVE-2016-8743 and CVE-2019-0220: blanks and slashes that layers read differently.
#[test]
fn cve_2016_8743_and_2019_0220_layers_read_a_request_alike() {
    let stage = Stage::with(|builder| {
        builder.config(
            "MergeSlashes Off\nJkUnMount /w/private/* w\n\
             <Location /w/denied>\nRequire all denied\n</Location>",
        )
    });
    for lines in ["X-A : 1\r\n", "Content-Length : 3\r\n", " X-A: 1\r\n", "X\tA: 1\r\n", ": 1\r\n"]
    {
        refused(&stage, "POST", lines, &[400]);
    }
    for (path, status) in [("//w//private/x", 404), ("/w//private//x", 404), ("//w//denied", 403)] {
        let mark = stage.mark();
        assert_eq!(client::get(stage.httpd.addr(), path).status(), status, "{path}");
        assert_eq!(stage.executions(&mark, path), 0, "{path}");
    }
}

#[test]
fn cve_2019_10092_an_error_page_repeats_nothing() {
    let stage = Stage::new();
    let path = unique("w", "case") + "/%3Csvg%20onload=alert(1)%3E";
    stage.play(&path, |conn, _| {
        let head = super::super::case::raw_head(99, &string(b"<svg/reason>"), 0, &[]);
        conn.send(&head)?;
        Ok(Action::Keep)
    });
    let answer = client::get(stage.httpd.addr(), &path);
    assert_eq!(answer.status(), 502);
    for text in ["svg", "alert", "case", "reason"] {
        assert!(!answer.text().contains(text), "{text}: {}", answer.text());
    }
}

#[test]
fn cve_2020_11985_the_address_is_that_of_the_connection_or_of_mod_remoteip() {
    let claims = [
        ("X-Forwarded-For", "10.9.9.9"),
        ("Forwarded", "for=10.9.9.9"),
        ("X-Real-IP", "10.9.9.9"),
        ("AJP_REMOTE_ADDR", "10.9.9.9"),
    ];
    let plain = Stage::new();
    assert_eq!(get(&plain, &claims).remote_addr.as_deref(), Some("127.0.0.1"));
    let behind = |proxy: &str| {
        let lines = format!("RemoteIPHeader X-Forwarded-For\nRemoteIPInternalProxy {proxy}");
        Stage::with(|builder| builder.modules(&["remoteip"]).config(&lines))
    };
    assert_eq!(get(&behind("127.0.0.1"), &claims).remote_addr.as_deref(), Some("10.9.9.9"));
    assert_eq!(get(&behind("192.0.2.1"), &claims).remote_addr.as_deref(), Some("127.0.0.1"));
}

#[test]
fn cve_2021_33193_a_method_is_a_token() {
    let stage = Stage::with(|builder| builder.http2());
    let mark = stage.mark();
    let url = stage.httpd.http("/w/echo");
    for method in ["GET /w/other HTTP/1.1", "G(T", "GET\tX", &"M".repeat(65)] {
        let answer = curl(&["--http2-prior-knowledge", "--request", method, &url]);
        let refused = answer.exit != 0 || [400, 501].contains(&answer.status);
        assert!(refused, "{method:?}: {}", answer.status);
    }
    assert_eq!(stage.executions(&mark, "/w/echo"), 0);
    assert_eq!(stage.executions(&mark, "/w/other"), 0);
}

#[test]
fn cve_2021_40438_no_byte_of_a_request_chooses_the_engine() {
    let stage = Stage::new();
    let other = crate::support::engine::Engine::recording().start();
    let address = format!("127.0.0.1:{}", other.port());
    let targets = [
        format!("/w/unix:{}|ajp://{address}/x", "a".repeat(3000)),
        format!("/w/@{address}/x"),
        format!("/w/x?unix:|http://{address}/"),
        format!("http://{address}/w/x"),
        format!("/w/%7Cajp://{address}"),
    ];
    for target in targets {
        let headers = [("Host", address.as_str()), ("X-Forwarded-Host", &address)];
        let answer = Client::connect(stage.httpd.addr()).request("GET", &target, &headers, b"");
        assert_eq!(answer.status(), 200, "{target}: {answer:?}");
    }
    assert_eq!(other.accepted(), 0);
}

#[test]
fn cve_2022_31813_a_client_cannot_have_a_trusted_header_dropped() {
    let stage = Stage::with(|builder| {
        builder.modules(&["headers"]).config(
            "RequestHeader set X-Forwarded-For trusted\nRequestHeader set X-User trusted early",
        )
    });
    let request =
        get(&stage, &[("Connection", "close, X-Forwarded-For, X-User"), ("X-User", "forged")]);
    for name in ["X-Forwarded-For", "X-User"] {
        assert_eq!(request.header_values(name), ["trusted"], "{name}");
    }
}

/// CVE-2022-37436 and CVE-2023-27522: a bad header does not cut off those behind it.
#[test]
fn cve_2022_37436_and_2023_27522_later_headers_survive_or_nothing_does() {
    let stage = Stage::new();
    for value in [&b"a\r\nb"[..], b"a\nb", b"a\0b", b"\r\n", b"a\x0bb"] {
        let bad = [string(b"X-A"), string(value)].concat();
        let late = [string(b"X-Frame-Options"), string(b"DENY")].concat();
        let head = super::super::case::raw_head(200, &string(b"OK"), 2, &[&bad, &late]);
        let answer = answered(&stage, [head, body_chunk(b"fine"), end()].concat());
        assert_eq!(answer.status(), 502, "{value:?}");
        assert!(!answer.text().contains("DENY"));
    }
}

/// CVE-2023-38709 and CVE-2024-42516: the type of an answer is a value like any other.
#[test]
fn cve_2023_38709_and_2024_42516_a_content_type_is_one_line() {
    let stage = Stage::new();
    for value in [&b"text/html\r\nX-Evil: 1"[..], b"text/html\nX-Evil: 1", b"a/b\0", b"\r"] {
        let bytes = [head_with(b"Content-Type", value), body_chunk(b"fine"), end()].concat();
        let answer = answered(&stage, bytes);
        assert_eq!((answer.status(), answer.header("X-Evil")), (502, None), "{value:?}");
    }
}

/// CVE-2024-38473, -38477, -39573 and -43204: a request that comes by SetHandler or a rewrite rule
/// is looked at as one that comes by a mount.
#[test]
fn cve_2024_38473_and_kin_a_handler_is_no_way_round() {
    let stage = Stage::with(|builder| {
        builder.modules(&["rewrite", "env"]).config(
            "<LocationMatch ^/(set|rewritten)>\nSetHandler jakarta-servlet\nSetEnv JK_WORKER_NAME w\n\
             </LocationMatch>\n\
             RewriteEngine on\n\
             RewriteRule ^/go/(.*)$ /rewritten/$1 [PT,UnsafeAllow3F]",
        )
    });
    let before = stage.engine.seen().requests.len();
    for (target, right) in [
        ("/set/a", 200),
        ("/go/a", 200),
        ("/set/a%5cb", 400),
        ("/go/a%5cb", 400),
        ("/set/..;/x", 400),
        ("/go/..;/..;/x", 400),
        ("/go/a%0d%0ab", 200),
        ("/set/a%01", 200),
    ] {
        let status = client::get(stage.httpd.addr(), target).status();
        let is_right = status == right || (right == 400 && [403, 404].contains(&status));
        assert!(is_right, "{target}: {status}");
    }
    let seen = stage.engine.seen();
    for request in seen.requests.iter().skip(before) {
        assert!(
            ["/set/a", "/rewritten/a", "/rewritten/a%0D%0Ab", "/set/a%01"].contains(&request.uri()),
            "{}",
            request.uri()
        );
    }
}

#[test]
fn cve_2024_38476_a_location_is_not_followed_here() {
    let stage = Stage::with(|builder| builder.file("htdocs/secret.txt", "of this machine"));
    for status in [200, 302] {
        let head = packet::send_headers(status, "", &[("Location", "/secret.txt")]);
        let answer = answered(&stage, [head, body_chunk(b"fine"), end()].concat());
        assert_eq!((answer.status(), answer.text().as_str()), (status, "fine"));
    }
}

#[test]
fn cve_2026_34356_a_long_cookie_of_the_engine_overflows_nothing() {
    let engine = crate::support::engine::Engine::scripted(|conn, request| {
        let length = request.uri().rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        let cookie = format!("a=1; Path=/{}; Domain=x", "p".repeat(length));
        conn.send(&packet::answer(200, &[("Set-Cookie", &cookie)], b"fine"))?;
        Ok(Action::Keep)
    })
    .start();
    let httpd = crate::support::httpd::Httpd::builder(crate::support::httpd::Module::Ours)
        .worker("w", &engine.endpoint())
        .workers("worker.w.max_packet_size=65536")
        .mount("/w/*", "w")
        .start();
    for length in [0, 255, 4096, 8100, 16_384, 60_000, 65_400] {
        let answer = client::get(httpd.addr(), &format!("/w/{length}"));
        let cookie = answer.header("Set-Cookie").map(str::len);
        assert_eq!((answer.status(), cookie), (200, Some(21 + length)), "{length}");
    }
}

/// CVE-2009-1890 and CVE-2008-2364: more body than announced, and heads without end.
#[test]
fn cve_2009_1890_and_2008_2364_neither_side_keeps_us_busy() {
    let stage = Stage::new();
    // What the client sends beyond its length is another request, or none.
    let path = unique("w", "echo");
    let surplus = [b"abc".as_slice(), &[b'x'; 100_000]].concat();
    let mut client = send(&stage, "POST", &path, "Content-Length: 3\r\n", &surplus);
    assert_eq!(client.read_response("POST").header("X-Body"), Some("3"));
    drop(client);
    let interim = packet::send_headers(100, "", &[]).repeat(1000);
    assert_eq!(answered(&stage, interim).status(), 502);
    stage.echo("w");
}

/// The memory and reset faults of mod_http2 (CVE-2023-45802, CVE-2026-23918, -48913, -49975,
/// -57941, -119618): we keep nothing of a stream beyond the call. Many streams that are given up
/// leave neither connections nor descriptors; `faults::client_gone` and the soak go further.
#[test]
fn cve_2023_45802_and_kin_streams_that_are_given_up_leave_nothing() {
    let stage = Stage::with(|builder| builder.http2());
    let (path, mark) = (unique("w", "case"), stage.mark());
    stage.play(&path, |conn, _| {
        conn.send(&[ok(&[]), body_chunk(b"begun"), flush()].concat())?;
        for _ in 0..200 {
            conn.send(&body_chunk(&[b'x'; 8000]))?;
        }
        conn.send(&end())?;
        Ok(Action::Keep)
    });
    let url = stage.httpd.http(&path);
    for _ in 0..10 {
        let answer = curl(&["--http2-prior-knowledge", "--max-filesize", "1000", &url]);
        let _ = answer.exit;
    }
    assert!(stage.executions(&mark, &path) > 0);
    stage.engine.wait_until("no connection in use", |seen| {
        seen.connections.iter().filter(|connection| connection.end.is_none()).count() <= 10
    });
    stage.echo("w");
}

#[test]
fn cve_2025_23048_the_server_that_took_the_connection_decides() {
    let stage = Stage::with(|builder| {
        builder
            .vhost("other", "JkMount /only/* w\n<Location /only>\nRequire all granted\n</Location>")
    });
    for host in ["other", "localhost", "w", "127.0.0.1"] {
        let ask =
            |addr| Client::connect(addr).request("GET", "/only/x", &[("Host", host)], b"").status();
        assert_eq!(ask(stage.httpd.addr()), 404, "{host}");
        assert_eq!(ask(stage.httpd.vhost("other")), 200, "{host}");
    }
}

/// What a client writes is never an attribute that the engine takes for our word.
#[test]
fn cve_2020_1938_no_name_of_an_attribute_comes_from_a_client() {
    let stage = Stage::new();
    let include = "javax.servlet.include.path_info";
    let request = get(
        &stage,
        &[
            (include, "/WEB-INF/web.xml"),
            ("jakarta.servlet.include.servlet_path", "/"),
            ("secret", "guess"),
            ("AJP_SECRET", "guess"),
            ("REMOTE_USER", "admin"),
        ],
    );
    for attribute in &request.attributes {
        let Attr::Named(Some(name), _) = attribute else { panic!("{attribute:?}") };
        let ours = ["AJP_REMOTE_PORT", "AJP_LOCAL_ADDR", "JK_LB_ACTIVATION"];
        assert!(ours.contains(&name.as_str()), "{name}");
    }
}
