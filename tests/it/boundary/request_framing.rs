//! How long a request is: spec/reliability.md 2.1. The rest of F12 and F14 is in
//! [`crate::faults`], where uploads fail.

use crate::faults::case::Fate;
use crate::faults::stage::{Mark, Stage, unique};
use crate::support::client::{self, Client, Noise, curl};
use crate::support::engine::Action;
use crate::support::packet::{self, Body, Request};

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
fn f01_a_length_beside_chunks_counts_for_nothing() {
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

/// A body that no length announces is the next request for the engine.
#[test]
fn f01_a_length_that_connection_names_is_announced_all_the_same() {
    let stage = Stage::new();
    for named in ["content-length", "Content-Length, Transfer-Encoding", "x,CONTENT-LENGTH ,close"]
    {
        for length in [1, 8_186, 20_000] {
            let lines = format!("Connection: {named}\r\nContent-Length: {length}\r\n");
            let (path, mark, mut client) = send(&stage, &lines, &Noise::bytes(length));
            let answer = client.read_response("POST");
            let expected = length.to_string();
            assert_eq!((answer.status(), answer.header("X-Body")), (200, Some(expected.as_str())));
            let request = seen(&stage, &mark, &path);
            assert_eq!(request.header_values("Content-Length"), [expected], "{named}");
            drop(client);
            stage.check_after(named, &mark, "w", None, None);
        }
    }
    // Neither is a body announced that does not follow.
    let lines = "Connection: content-length\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n";
    let (path, mark, mut client) = send(&stage, lines, b"5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(client.read_response("POST").header("X-Body"), Some("5"));
    assert_eq!(seen(&stage, &mark, &path).body(), Body::Unknown);
}

/// Each of these lines is refused, and no engine hears of it.
#[track_caller]
fn check_refused(lines: &[&str], statuses: &[u16], event: Option<(&str, &str)>) {
    let stage = Stage::new();
    let before = stage.warm("w");
    for line in lines {
        let (path, mark, mut client) = send(&stage, &format!("{line}\r\n"), b"abc");
        let answer = client.read_response("POST");
        assert!(statuses.contains(&answer.status()), "{line:?}: {answer:?}");
        assert_eq!(stage.executions(&mark, &path), 0, "{line:?}");
        drop(client);
        stage.check_after(line, &mark, "w", event, Some((before, Fate::Pooled)));
    }
}

#[test]
fn f02_a_coding_before_chunked_is_refused() {
    let event = Some(("info", "bad_framing"));
    check_refused(&["Transfer-Encoding: gzip, chunked"], &[501], event);
    check_refused(&["Transfer-Encoding: chunked, gzip"], &[400, 501], None);
}

#[test]
fn f03_what_is_not_chunked_is_refused() {
    let values = ["xchunked", "identity", "chunked;x=1", "", "\x0bchunked", "chunkedx"];
    let lines = values.map(|value| format!("Transfer-Encoding: {value}"));
    check_refused(&lines.each_ref().map(String::as_str), &[400, 501], None);
}

#[test]
fn f04_two_codings_are_refused() {
    let lines = [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
    ];
    check_refused(&lines, &[400, 501], None);
}

#[test]
fn f05_a_length_that_is_none_is_refused() {
    let values = [
        "3\r\nContent-Length: 3",
        "3\r\nContent-Length: 4",
        "+3",
        "-3",
        "0x3",
        "3 3",
        "3, 3",
        "99999999999999999999",
        "9223372036854775808",
        "",
    ];
    let lines = values.map(|value| format!("Content-Length: {value}"));
    check_refused(&lines.each_ref().map(String::as_str), &[400, 413], None);
}

#[test]
fn f06_names_with_an_underscore_pass_beside_the_real_length() {
    let stage = Stage::new();
    let (path, mark, mut client) =
        send(&stage, "Content_Length: 1\r\nContent-Length: 3\r\n", b"abc");
    assert_eq!(client.read_response("POST").header("X-Body"), Some("3"));
    let request = seen(&stage, &mark, &path);
    assert_eq!(request.header("Content_Length").as_deref(), Some("1"));
    assert_eq!(request.header_values("Content-Length"), ["3"]);
}

#[test]
fn f07_a_request_without_a_body_says_so() {
    let stage = Stage::new();
    let mark = stage.mark();
    let path = unique("w", "echo");
    assert_eq!(client::get(stage.httpd.addr(), &path).status(), 200);
    let request = seen(&stage, &mark, &path);
    assert_eq!(request.header_values("Content-Length"), ["0"]);
}

/// Slow clients cost no thread of the engine.
#[test]
fn f08_the_engine_is_contacted_when_the_first_part_of_the_body_is_there() {
    let stage = Stage::with(|builder| builder.vhost("short", "Timeout 1\nJkMount /w/* w"));
    let length = "Content-Length: 20000\r\n";
    let (path, mark, mut client) = send(&stage, length, &[b'x'; 8000]);
    // Another request is served meanwhile: this one had its time.
    stage.echo("w");
    assert_eq!(stage.executions(&mark, &path), 0);
    client.send(&[b'x'; 12_000]).expect("sent");
    assert_eq!(client.read_response("POST").header("X-Body"), Some("20000"));
    assert_eq!(seen(&stage, &mark, &path).body(), Body::Length(20_000));

    let mark = stage.mark();
    let path = unique("w", "echo");
    let mut stalled = Client::connect(stage.httpd.vhost("short"));
    let head = client::head("POST", &path, &[("Content-Length", "50")]);
    stalled.send(format!("{head}\r\nabc").as_bytes()).expect("sent");
    assert_eq!(stalled.read_response("POST").status(), 408);
    assert_eq!(stage.executions(&mark, &path), 0);
    drop((client, stalled));
    stage.check_after("F8", &mark, "w", Some(("info", "client_body_timeout")), None);
}

/// A filter that holds lines back gives nothing until one is whole.
#[test]
fn f09_a_filter_that_gives_nothing_does_not_end_the_body() {
    let stage = Stage::with(|builder| {
        builder.modules(&["filter", "sed"]).config(
            "<Location /w/echo>\nSetInputFilter Sed\nInputSed \"s/never/there/g\"\n</Location>",
        )
    });
    let line = format!("{}\n", "x".repeat(2_999));
    let body = line.repeat(5);
    for pieces in [1, 7, 1000] {
        let mark = stage.mark();
        let path = unique("w", "echo");
        let mut client = Client::connect(stage.httpd.addr());
        let chunks: Vec<&[u8]> = body.as_bytes().chunks(body.len() / pieces + 1).collect();
        let answer = client.request_chunked("POST", &path, &[], &chunks);
        assert_eq!((answer.status(), answer.header("X-Body")), (200, Some("15000")), "{pieces}");
        drop(client);
        stage.check_after("F9", &mark, "w", None, None);
    }
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

/// Plays what asks for a body of `length` bytes in steps: of the ask, and of what comes.
fn asks(stage: &Stage, length: usize, steps: Vec<(u16, usize)>) {
    let path = unique("w", "case");
    stage.play(&path, move |conn, request| {
        if request.body() == Body::Length(length as u64) && length > 0 {
            assert_eq!(conn.read_body_packet()?.len(), length.min(8186), "the first packet");
        }
        for (asked, expected) in &steps {
            assert_eq!(conn.ask_body(*asked)?.len(), *expected, "asked for {asked}");
        }
        conn.send(&packet::answer(200, &[], b"fine"))?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let body = Noise::bytes(length);
    let method = if length == 0 { "GET" } else { "POST" };
    assert_eq!(client.request(method, &path, &[], &body).text(), "fine");
    drop(client);
    let number = stage.carried_by(&mark, &path).expect("sent");
    stage.check_after("asks", &mark, "w", None, Some((number, Fate::Pooled)));
}

#[test]
fn f11_an_ask_gets_no_more_than_it_asks_for_and_than_there_is() {
    let stage = Stage::new();
    asks(&stage, 20_000, vec![(0xFFFF, 8186), (8186, 20_000 - 2 * 8186)]);
    asks(&stage, 9_000, vec![(1, 1), (100, 100), (0xFFFF, 9_000 - 8186 - 101)]);
    asks(&stage, 8_190, vec![(0, 0), (0, 0), (3, 3), (8186, 1)]);
}

#[test]
fn f12_behind_the_end_there_is_one_empty_packet() {
    let stage = Stage::new();
    asks(&stage, 100, vec![(8186, 0)]);
    asks(&stage, 8_186, vec![(8186, 0)]);
    asks(&stage, 0, vec![(100, 0)]);
    for length in [0, 100] {
        let path = unique("w", "case");
        stage.play(&path, move |conn, _| {
            if length > 0 {
                conn.read_body_packet()?;
            }
            assert!(conn.ask_body(8186)?.is_empty());
            conn.send(&packet::get_body_chunk(8186))?;
            Ok(Action::Keep)
        });
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        assert_eq!(client.request("POST", &path, &[], &vec![b'x'; length]).status(), 502);
        drop(client);
        let number = stage.carried_by(&mark, &path).expect("sent");
        let event = Some(("error", "body_overask"));
        stage.check_after("F12", &mark, "w", event, Some((number, Fate::Closed)));
    }
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

/// An engine may send status and headers first, and ask for the body then.
#[test]
fn f13_no_continue_comes_within_a_response() {
    let stage = Stage::new();
    let path = unique("w", "early");
    stage.play(&path, |conn, request| {
        conn.send(&packet::send_headers(200, "OK", &[]))?;
        conn.send(&packet::body_chunk(b""))?;
        let body = conn.read_body(request)?;
        conn.send(&packet::body_chunk(&body))?;
        conn.send(&packet::end_response(true))?;
        Ok(Action::Keep)
    });
    let mut client = Client::connect(stage.httpd.addr());
    let headers = [("Expect", "100-continue"), ("Transfer-Encoding", "chunked")];
    client.send((client::head("POST", &path, &headers) + "\r\n").as_bytes()).expect("sent");
    let head = client.read_head().expect("a head");
    assert_eq!((head.status, head.interim.as_slice()), (200, &[][..]));
    client.send(b"3\r\nabc\r\n0\r\n\r\n").expect("sent");
    let mut body = Vec::new();
    client.read_body("POST", &head, |part| body.extend_from_slice(part)).expect("a body");
    assert_eq!(String::from_utf8_lossy(&body), "abc");
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
fn f16_an_http2_upload_without_a_length() {
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
    assert_eq!((request.body(), request.protocol.as_deref()), (Body::Unknown, Some("HTTP/2.0")));
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
