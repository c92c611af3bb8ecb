//! What HTTP allows a client to do with a connection: keep it, pipeline, expect, multiplex; and
//! what httpd does with a request inside: redirect it, ask for parts of a page.

use std::process::Command;

use super::{SplitMix, app, dumped, ok, under};
use crate::support::client::{self, Client, Noise, curl};
use crate::support::httpd::{Httpd, Mpm};
use crate::support::process::{Sha256, output};
use crate::support::temp_dir;
use crate::support::tls::certificates;

under!(event: Event, worker: Worker, prefork: Prefork; [
    fifty_requests_on_one_connection_get_their_own_answers,
    fifty_pipelined_requests_get_their_own_answers_in_order,
    a_client_that_expects_100_sends_its_body_after_it,
    internal_redirects_reach_the_engine,
    parts_of_a_page_come_from_the_engine,
]);

// mod_http2 refuses prefork.
under!(event_h2: Event, worker_h2: Worker; [
    twenty_http2_streams_get_their_own_content,
    twenty_http2_uploads_arrive_whole,
]);

fn fifty_requests_on_one_connection_get_their_own_answers(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    let from = client.local_addr().port().to_string();
    for number in 0..50 {
        if number % 3 == 0 {
            let body = Noise::bytes(9_000 + number);
            let answer = client.request("POST", "/ivy/upload.jsp", &[], &body);
            let expected = format!("size={} sha256={}\n", body.len(), Sha256::of(&body));
            assert_eq!(answer.text(), expected);
        } else {
            let dump = ok(&mut client, &format!("/ivy/dump.jsp?number={number}")).text();
            assert_eq!(dumped(&dump, "queryString"), format!("number={number}"));
            assert_eq!(dumped(&dump, "remotePort"), from, "the connection was not kept");
        }
    }
}

fn fifty_pipelined_requests_get_their_own_answers_in_order(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    let mut all = Vec::new();
    for number in 0..50_usize {
        let (method, target, length) = request(number);
        let body = Noise::bytes(length);
        let mut head = client::head(method, &target, &[]);
        if number % 5 == 4 {
            head += "Transfer-Encoding: chunked\r\n";
        } else if length > 0 {
            head += &format!("Content-Length: {length}\r\n");
        }
        all.extend(head.as_bytes());
        all.extend(b"\r\n");
        if number % 5 == 4 {
            all.extend(format!("{length:x}\r\n").as_bytes());
        }
        all.extend(&body);
        if number % 5 == 4 {
            all.extend(b"\r\n0\r\n\r\n");
        }
    }
    client.send(&all).expect("sent");
    for number in 0..50_usize {
        let (method, target, length) = request(number);
        let answer = client.read_response(method);
        assert_eq!(answer.status(), 200, "{number}: {}", answer.text());
        match (method, length) {
            ("HEAD", _) => assert_eq!(answer.header("Content-Length"), Some("123")),
            ("GET", 0) if target.starts_with("/ivy/dump") => {
                let query = format!("number={number}");
                assert_eq!(dumped(&answer.text(), "queryString"), query);
            }
            ("GET", _) => assert!(answer.body == SplitMix::bytes(40_000, number as u64)),
            _ => {
                let sha256 = Sha256::of(&Noise::bytes(length));
                assert_eq!(answer.text(), format!("size={length} sha256={sha256}\n"));
            }
        }
    }
}

/// Method, target and body length of the n-th pipelined request.
fn request(number: usize) -> (&'static str, String, usize) {
    match number % 5 {
        0 => ("GET", format!("/ivy/dump.jsp?number={number}"), 0),
        1 => ("GET", format!("/ivy/download.jsp?bytes=40000&length=false&seed={number}"), 0),
        2 => ("HEAD", "/ivy/download.jsp?bytes=123".to_owned(), 0),
        3 => ("POST", format!("/ivy/upload.jsp?number={number}"), 20_000 + number),
        _ => ("PUT", format!("/ivy/upload.jsp?number={number}"), 5_000 + number),
    }
}

fn a_client_that_expects_100_sends_its_body_after_it(mpm: Mpm) {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    let body = Noise::bytes(30_000);
    let expected = format!("size=30000 sha256={}\n", Sha256::of(&body));
    for chunked in [false, true, false] {
        let length = match chunked {
            true => ("Transfer-Encoding", "chunked"),
            false => ("Content-Length", "30000"),
        };
        let head = client::head("POST", "/ivy/upload.jsp", &[("Expect", "100-continue"), length]);
        client.send((head + "\r\n").as_bytes()).expect("sent");
        // Nothing of the body is sent before the server asks for it.
        client.peek(CONTINUE.len());
        if chunked {
            client.send(b"7530\r\n").expect("sent");
        }
        client.send(&body).expect("sent");
        if chunked {
            client.send(b"\r\n0\r\n\r\n").expect("sent");
        }
        let answer = client.read_response("POST");
        assert_eq!((answer.status(), answer.text()), (200, expected.clone()));
        assert_eq!(answer.head.interim, [100], "chunked: {chunked}");
    }
    let dump = client.request("POST", "/ivy/dump.jsp", &[("Expect", "100-continue")], b"x");
    assert!(!dump.text().contains("header.expect"), "{}", dump.text());
}

fn internal_redirects_reach_the_engine(mpm: Mpm) {
    let httpd = app(mpm)
        .modules(&["rewrite"])
        .config(
            "ErrorDocument 404 /ivy/status.jsp?code=404&body=page+of+the+engine\n\
             ErrorDocument 403 /ivy/dump.jsp?from=403\n\
             <Location \"/closed\">\nRequire all denied\n</Location>\n\
             <Directory \"@ROOT@/htdocs\">\nRewriteEngine On\n\
             RewriteRule ^old$ /ivy/dump.jsp?moved [QSA]\n\
             </Directory>",
        )
        .start();
    let mut client = Client::connect(httpd.addr());

    let missing = client.get("/missing");
    assert_eq!((missing.status(), missing.text().as_str()), (404, "page of the engine"));

    // httpd makes a GET of it, and says what the request was in its own environment only.
    let closed = client.request("POST", "/closed/x?y", &[], b"body");
    assert_eq!(closed.status(), 200, "the status is the engine's");
    assert_eq!(dumped(&closed.text(), "method"), "GET");
    assert_eq!(dumped(&closed.text(), "queryString"), "from=403");

    let moved = client.request("POST", "/old?a=1", &[], b"body");
    assert_eq!(moved.status(), 200, "{}", moved.text());
    assert_eq!(dumped(&moved.text(), "requestURI"), "/ivy/dump.jsp");
    assert_eq!(dumped(&moved.text(), "queryString"), "moved&a=1");
    assert_eq!(dumped(&moved.text(), "method"), "POST");
    assert_eq!(dumped(&moved.text(), "contentLength"), "4");

    ok(&mut client, "/ivy/dump.jsp");
}

fn parts_of_a_page_come_from_the_engine(mpm: Mpm) {
    let page = "<!--#include virtual=\"/ivy/download.jsp?bytes=9000&seed=1\" -->|\
                <!--#include virtual=\"/ivy/status.jsp?body=second\" -->|\
                <!--#include virtual=\"/ivy/status.jsp?body=third\" -->.";
    let httpd = app(mpm)
        .modules(&["include", "mime"])
        .config("<Directory \"@ROOT@/htdocs\">\nOptions +Includes\nSetOutputFilter INCLUDES\n</Directory>")
        .file("htdocs/page.txt", page)
        .start();
    let mut client = Client::connect(httpd.addr());
    let expected = [&SplitMix::bytes(9_000, 1)[..], b"|second|third."].concat();
    for _ in 0..3 {
        assert!(ok(&mut client, "/page.txt").body == expected);
    }
}

/// Twenty transfers by one curl over one HTTP/2 connection; returns what each brought. With TLS:
/// curl 7.88 fails by itself (16) when streams are to share a connection of prior knowledge.
fn twenty_streams(httpd: &Httpd, target: impl Fn(usize, &mut Command) -> String) -> Vec<Vec<u8>> {
    let dir = temp_dir("jk-h2-");
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--fail", "--noproxy", "*", "--max-time", "60", "-H", "Expect:"]);
    command.args([
        "-Z",
        "--parallel-max",
        "20",
        "-w",
        "%{http_code} %{http_version} %{num_connects}\n",
    ]);
    command.arg("--http2").arg("--cacert").arg(&certificates().ca);
    for number in 0..20 {
        let target = target(number, &mut command);
        command.arg("-o").arg(dir.path().join(number.to_string()));
        command.arg(httpd.https(&target));
    }
    let written = output(&mut command);
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 20, "{written}");
    assert!(lines.iter().all(|line| line.starts_with("200 2 ")), "{written}");
    let connects: u32 = lines.iter().filter_map(|line| line[6..].parse::<u32>().ok()).sum();
    assert_eq!(connects, 1, "all streams share a connection:\n{written}");
    let file = |number: usize| std::fs::read(dir.path().join(number.to_string())).expect("a file");
    (0..20).map(file).collect()
}

fn twenty_http2_streams_get_their_own_content(mpm: Mpm) {
    let httpd = app(mpm).size(25, 1).http2().tls("JkMount /ivy|/* ivy").start();
    let bodies = twenty_streams(&httpd, |number, _| match number % 4 {
        0 => format!("/ivy/dump.jsp?number={number}"),
        _ => format!("/ivy/download.jsp?bytes=200000&length={}&seed={number}", number % 4 == 1),
    });
    for (number, body) in bodies.iter().enumerate() {
        if number % 4 == 0 {
            let dump = String::from_utf8_lossy(body);
            assert_eq!(dumped(&dump, "queryString"), format!("number={number}"));
            assert_eq!(dumped(&dump, "protocol"), "HTTP/2.0");
            assert_eq!(dumped(&dump, "scheme"), "https");
        } else {
            assert!(*body == SplitMix::bytes(200_000, number as u64), "stream {number}");
        }
    }
    // Without TLS, one after the other.
    let url = httpd.http("/ivy/download.jsp?bytes=200000&seed=5");
    let plain = curl(&["--http2-prior-knowledge", &url]);
    assert_eq!((plain.status, plain.version.as_str()), (200, "2"), "{}", plain.complaint);
    assert!(plain.body == SplitMix::bytes(200_000, 5));
}

fn twenty_http2_uploads_arrive_whole(mpm: Mpm) {
    let httpd = app(mpm).size(25, 1).http2().tls("JkMount /ivy|/* ivy").start();
    let dir = temp_dir("jk-h2-up-");
    let contents: Vec<Vec<u8>> = (0..20).map(|number| Noise::bytes(50_000 + number)).collect();
    let file = |number: usize| dir.path().join(number.to_string());
    for (number, content) in contents.iter().enumerate() {
        std::fs::write(file(number), content).expect("a file");
    }
    let bodies = twenty_streams(&httpd, |number, command| {
        command.arg("-T").arg(file(number));
        "/ivy/upload.jsp".to_owned()
    });
    for (content, answer) in contents.iter().zip(&bodies) {
        let expected = format!("size={} sha256={}\n", content.len(), Sha256::of(content));
        assert_eq!(String::from_utf8_lossy(answer), expected);
    }
}
