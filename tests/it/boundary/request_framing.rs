//! How long a request is: spec/reliability.md 2.1. F8 to F12 and F14 are in [`super::upload`], the
//! answers of 2.2 in [`super::head`] and [`super::body`].

use crate::faults::case::Fate;
use crate::faults::stage::{Mark, Stage, unique};
use crate::support::client::{self, Client, Noise, curl};
use crate::support::packet::{Body, Request};

/// The request that the engine got for `path`.
fn seen(stage: &Stage, mark: &Mark, path: &str) -> Request {
    assert_eq!(stage.executions(mark, path), 1, "{path}");
    let seen = stage.engine.seen();
    seen.requests.iter().rfind(|request| request.uri() == path).cloned().expect("sent")
}

/// Sends header lines and a body as they are.
fn send(stage: &Stage, lines: &str, body: &[u8]) -> (String, Mark, Client) {
    let path = unique("w", "echo");
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    client.send(&[head.as_bytes(), body].concat()).expect("sent");
    (path, mark, client)
}

#[test]
fn f1_a_length_beside_chunks_counts_for_nothing() {
    let stage = Stage::new();
    let lines = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
    let (path, mark, mut client) = send(&stage, lines, b"5\r\nhello\r\n0\r\n\r\n");
    let answer = client.read_response("POST");
    assert_eq!((answer.status(), answer.header("X-Body")), (200, Some("5")), "{answer:?}");
    let request = seen(&stage, &mark, &path);
    assert_eq!(request.body(), Body::Unknown);
    assert_eq!(request.header("Transfer-Encoding"), None);
    drop(client);
    stage.check_after("F1", &mark, "w", None, None);
}

#[test]
fn f2_to_f5_framing_that_nobody_can_be_sure_of_is_refused_before_an_engine_hears_of_it() {
    let stage = Stage::new();
    let before = stage.warm("w");
    let mark = stage.mark();
    let (_, _, mut client) = send(&stage, "Transfer-Encoding: gzip, chunked\r\n", b"abc");
    assert_eq!(client.read_response("POST").status(), 501);
    drop(client);
    stage.check_log("F2", &mark, "w", Some(("info", "bad_framing")));
    for lines in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked;x=1\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: -3\r\n",
        "Content-Length: 0x3\r\n",
        "Content-Length: 3 3\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 9223372036854775808\r\n",
        "Content-Length:\r\n",
    ] {
        let (path, mark, mut client) = send(&stage, lines, b"abc");
        let answer = client.read_response("POST");
        assert!([400, 413, 501].contains(&answer.status()), "{lines:?}: {answer:?}");
        assert_eq!(stage.executions(&mark, &path), 0, "{lines:?}");
        drop(client);
        stage.check_after(lines, &mark, "w", None, Some((before, Fate::Pooled)));
    }
}

#[test]
fn f6_names_with_an_underscore_pass_beside_the_real_length() {
    let stage = Stage::new();
    let (path, mark, mut client) =
        send(&stage, "Content_Length: 1\r\nContent-Length: 3\r\n", b"abc");
    assert_eq!(client.read_response("POST").header("X-Body"), Some("3"));
    let request = seen(&stage, &mark, &path);
    assert_eq!(request.header("Content_Length").as_deref(), Some("1"));
    assert_eq!(request.header_values("Content-Length"), ["3"]);
}

#[test]
fn f7_a_request_without_a_body_says_so() {
    let stage = Stage::new();
    let mark = stage.mark();
    let path = unique("w", "echo");
    assert_eq!(client::get(stage.httpd.addr(), &path).status(), 200);
    let request = seen(&stage, &mark, &path);
    assert_eq!(request.header_values("Content-Length"), ["0"]);
}

#[test]
fn f10_a_long_body_comes_in_full_packets_on_demand() {
    let stage = Stage::new();
    let body = Noise::bytes(30_000);
    let mark = stage.mark();
    let path = unique("w", "echo");
    let mut client = Client::connect(stage.httpd.addr());
    let answer = client.request("POST", &path, &[], &body);
    assert_eq!(answer.header("X-Body"), Some("30000"));
    let request = seen(&stage, &mark, &path);
    let seen = stage.engine.seen();
    let packets = &seen.connections[request.connection].packets;
    let first = packets.iter().position(|packet| *packet == request.raw).expect("recorded");
    let lengths: Vec<usize> = packets[first + 1..].iter().map(|packet| packet.len() - 6).collect();
    assert_eq!(lengths, [8186, 8186, 8186, 30_000 - 3 * 8186]);
}

#[test]
fn f13_continue_comes_when_we_begin_to_read() {
    let stage = Stage::new();
    // With a length the first part is read before an engine is contacted.
    let (path, mark, mut client) =
        send(&stage, "Expect: 100-continue\r\nContent-Length: 3\r\n", b"");
    client.peek("HTTP/1.1 100".len());
    assert_eq!(stage.executions(&mark, &path), 0);
    client.send(b"abc").expect("sent");
    let answer = client.read_response("POST");
    assert_eq!((answer.header("X-Body"), answer.head.interim.as_slice()), (Some("3"), &[100][..]));
    assert_eq!(seen(&stage, &mark, &path).header("Expect"), None);
    // Without one it is read when the engine asks.
    let lines = "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n";
    let (path, mark, mut client) = send(&stage, lines, b"");
    client.peek("HTTP/1.1 100".len());
    assert_eq!(stage.executions(&mark, &path), 1);
    client.send(b"3\r\nabc\r\n0\r\n\r\n").expect("sent");
    let answer = client.read_response("POST");
    assert_eq!((answer.header("X-Body"), answer.head.interim.as_slice()), (Some("3"), &[100][..]));
}

#[test]
fn f15_trailers_do_not_pass() {
    let stage = Stage::new();
    let lines = "Trailer: X-Late\r\nTransfer-Encoding: chunked\r\n";
    let body = b"3\r\nabc\r\n0\r\nX-Late: 1\r\nHost: other\r\n\r\n";
    let (path, mark, mut client) = send(&stage, lines, body);
    assert_eq!(client.read_response("POST").header("X-Body"), Some("3"));
    let request = seen(&stage, &mark, &path);
    for name in ["X-Late", "Trailer"] {
        assert_eq!(request.header(name), None, "{name}");
    }
    assert_eq!(request.header_values("Host"), ["localhost"]);
    let next = unique("w", "echo");
    assert_eq!(client.get(&next).text(), next, "the connection is in step");
}

#[test]
fn f16_h1_an_http2_upload_without_a_length() {
    let stage = Stage::with(|builder| builder.http2());
    let path = unique("w", "echo");
    let file = stage.httpd.path("htdocs/body");
    std::fs::write(&file, Noise::bytes(50_000)).expect("a file");
    let mark = stage.mark();
    let url = stage.httpd.http(&path);
    let data = format!("@{}", file.display());
    let answer = curl(&[
        "--http2-prior-knowledge",
        "-H",
        "Transfer-Encoding: chunked",
        "--data-binary",
        &data,
        &url,
    ]);
    assert_eq!((answer.exit, answer.status), (0, 200), "{}", answer.complaint);
    let header = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-body"));
    assert_eq!(header.map(|(_, value)| value.as_str()), Some("50000"));
    let request = seen(&stage, &mark, &path);
    assert_eq!(request.header("Transfer-Encoding"), None);
    stage.check_after("F16", &mark, "w", None, None);
}

#[test]
fn f17_an_absolute_target_does_not_choose_anything() {
    let stage = Stage::new();
    let path = unique("w", "echo");
    let mark = stage.mark();
    let target = format!("http://other.example:99{path}?a=b");
    let answer = client::get(stage.httpd.addr(), &target);
    assert_eq!((answer.status(), answer.text()), (200, path.clone()));
    let request = seen(&stage, &mark, &path);
    assert_eq!((request.uri(), request.query()), (path.as_str(), Some("a=b")));
}

#[test]
fn f18_the_asterisk_belongs_to_nobody() {
    let stage = Stage::with(|builder| builder.mount("/*", "w"));
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let answer = client.request("OPTIONS", "*", &[], b"");
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(stage.executions(&mark, "*"), 0);
    drop(client);
    stage.check_after("F18", &mark, "w", None, None);
}
