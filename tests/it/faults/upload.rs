//! Faults while the request body is on its way: spec/reliability.md 5.4 without U9.

use std::io::Write as _;
use std::process::Stdio;

use super::case::{Ask, Case, Fate, Sees, Step, Then, end, flush, ok};
use super::stage::{Stage, unique};
use super::{one_process, under_each_mpm};
use crate::support::client::{self, Client, Noise};
use crate::support::engine::Action;
use crate::support::httpd::Mpm;
use crate::support::packet::{body_chunk, end_response, send_headers};
use crate::support::process;

const FIRST: usize = 8186;
const BIG: usize = 60_000;

/// curl's exit status for a stream of HTTP/2 that was reset.
const CURLE_HTTP2_STREAM: i32 = 92;

fn cases() -> Vec<Case> {
    let answer = || Step::Say([ok(&[]), body_chunk(b"fine"), end()].concat());
    let early = |status, reuse| {
        Step::Say([send_headers(status, "", &[("X-A", "1")]), end_response(reuse)].concat())
    };
    let post = |id: &str, length, play| Case::get(id, play).ask(Ask::Post(length));
    let fine = |case: Case| case.sees(Sees::Whole(200, b"fine".to_vec())).pooled();
    let tells = |case: Case, status| case.sees(Sees::Whole(status, Vec::new()));
    let mut cases = vec![
        post("U3 closed without reading", BIG, vec![]).then(Then::Close).error("reset_before_head"),
        post("U3 closed after the first packet", BIG, vec![Step::ReadFirst])
            .then(Then::Close)
            .error("eof_before_head"),
        post("U3 reset after the first packet", BIG, vec![Step::ReadFirst])
            .then(Then::Reset)
            .error("reset_before_head"),
        post("U4 closed after one more", BIG, vec![Step::ReadFirst, Step::Ask(8186, FIRST)])
            .then(Then::Close)
            .error("eof_in_body"),
        Case::get("U4 chunked, closed after one packet", vec![Step::Ask(500, 500)])
            .ask(Ask::Chunked(5000))
            .then(Then::Close)
            .error("eof_in_body"),
        post("U4 silence after one more", BIG, vec![Step::ReadFirst, Step::Ask(8186, FIRST)])
            .worker("t")
            .sees(Sees::Error(504))
            .error("reply_timeout"),
        fine(post(
            "U7 asked for 0 bytes",
            20_000,
            vec![Step::ReadFirst, Step::Ask(0, 0), Step::Ask(0, 0), Step::ReadBody, answer()],
        )),
        fine(post(
            "U7 asked for 65535 bytes",
            20_000,
            vec![
                Step::ReadFirst,
                Step::Ask(0xFFFF, FIRST),
                Step::Ask(0xFFFF, 20_000 - 2 * FIRST),
                answer(),
            ],
        )),
        fine(post(
            "U7 asked for 1 byte",
            20_000,
            vec![Step::ReadFirst, Step::Ask(1, 1), Step::Ask(1, 1), Step::ReadBody, answer()],
        )),
        fine(
            Case::get("U7 chunked, 0 bytes asked", vec![Step::Ask(0, 0), Step::ReadBody, answer()])
                .ask(Ask::Chunked(3000)),
        ),
        fine(post(
            "F12 asked once behind the end",
            100,
            vec![Step::ReadFirst, Step::Ask(8186, 0), answer()],
        )),
        post(
            "U8 asked twice behind the end",
            100,
            vec![
                Step::ReadFirst,
                Step::Ask(8186, 0),
                Step::Say(crate::support::packet::get_body_chunk(8186)),
            ],
        )
        .error("body_overask"),
        Case::get(
            "U8 asked twice of a GET",
            vec![Step::Ask(8186, 0), Step::Say(crate::support::packet::get_body_chunk(8186))],
        )
        .error("body_overask"),
        Case::get(
            "U8 chunked, asked twice behind the end",
            vec![Step::ReadBody, Step::Say(crate::support::packet::get_body_chunk(8186))],
        )
        .ask(Ask::Chunked(3000))
        .error("body_overask"),
    ];
    for (status, length) in [(413, 100), (413, BIG), (401, BIG), (302, BIG)] {
        let id = format!("U5 {status} at once, {length} bytes");
        // The packet that came unasked is swallowed, as Tomcat does.
        let case = post(&id, length, vec![early(status, true)]);
        cases.push(tells(case, status).with(&[("X-A", "1")]).pooled());
    }
    cases.push(
        tells(post("U5 413 without reuse", BIG, vec![early(413, false)]), 413)
            .event("debug", "end_no_reuse"),
    );
    cases.push(
        tells(
            post(
                "U5 413 after one more",
                BIG,
                vec![Step::ReadFirst, Step::Ask(8186, FIRST), early(413, true)],
            ),
            413,
        )
        .event("debug", "early_response"),
    );
    cases.push(
        tells(
            Case::get("U5 413 to chunks", vec![Step::Ask(500, 500), early(413, true)])
                .ask(Ask::Chunked(5000)),
            413,
        )
        .pooled(),
    );
    cases
}

/// An ask with the answer's end in the same segment has not been waited for.
fn unanswered() -> Case {
    let bytes = [crate::support::packet::get_body_chunk(8186), send_headers(413, "", &[]), end()];
    let play = vec![Step::ReadFirst, Step::Say(bytes.concat()), Step::ReadFirst];
    Case::get("U5 413 and an ask that is still open", play)
        .ask(Ask::Post(BIG))
        .sees(Sees::Whole(413, Vec::new()))
        .event("warn", "ask_unanswered")
}

#[test]
fn an_engine_that_is_odd_about_bodies() {
    Stage::new().run_all(&cases());
}

#[test]
fn u5_an_ask_that_was_not_waited_for_costs_the_connection() {
    let stage = Stage::new();
    let case = unanswered();
    stage.run_as(&case, super::stage::Variant::Fresh);
    stage.run_as(&case, super::stage::Variant::Reused);
}

/// A POST that ends before its body does.
struct Upload<'s> {
    stage: &'s Stage,
    path: String,
    mark: super::stage::Mark,
    client: Client,
}

impl<'s> Upload<'s> {
    fn begin(stage: &'s Stage, at: std::net::SocketAddr, headers: &[(&str, &str)]) -> Self {
        let path = unique("w", "case");
        let mark = stage.mark();
        let mut client = Client::connect(at);
        client.send((client::head("POST", &path, headers) + "\r\n").as_bytes()).expect("sent");
        Self { stage, path, mark, client }
    }

    /// The engine never hears of it.
    fn check_unsent(&self, what: &str) {
        assert_eq!(self.stage.executions(&self.mark, &self.path), 0, "{what}");
    }

    /// Ends it and looks at what must hold after every case.
    fn check(self, what: &str, event: Option<(&str, &str)>) {
        let Self { stage, path, mark, client } = self;
        drop(client);
        let fate = stage.carried_by(&mark, &path).map(|number| (number, Fate::Closed));
        stage.check_after(what, &mark, "w", event, fate);
        assert!(stage.executions(&mark, &path) <= 1, "{what}: executions");
    }
}

#[test]
fn u1_a_client_that_stalls_in_its_body() {
    under_each_mpm(stalls_in_its_body);
}

fn stalls_in_its_body(mpm: Mpm) {
    let stage = Stage::with(|builder| {
        one_process(builder, mpm).vhost("short", "Timeout 1\nJkMount /w/* w")
    });
    let at = stage.httpd.vhost("short");
    let noise = Noise::bytes(30_000);
    let (few, many) = (("Content-Length", "50"), ("Content-Length", "60000"));
    for (what, framing, sent, is_asked) in [
        ("3 of 50 bytes", few, &b"abc"[..], false),
        ("30000 of 60000", many, &noise, true),
        ("chunked", ("Transfer-Encoding", "chunked"), b"3\r\nabc\r\n", true),
    ] {
        let mut upload = Upload::begin(&stage, at, &[framing]);
        upload.client.send(sent).expect("sent");
        let answer = upload.client.read_response("POST");
        assert_eq!(answer.status(), 408, "{what}: {answer:?}");
        let asked = stage.executions(&upload.mark, &upload.path);
        assert_eq!(
            asked,
            usize::from(is_asked),
            "{what}: the engine hears of it once it has a packet"
        );
        if !is_asked {
            let lines = stage.log_since(&upload.mark);
            assert!(
                lines.iter().any(|line| line.contains("body=3 ")),
                "how much had come: {lines:?}"
            );
        }
        upload.check(what, Some(("info", "client_body_timeout")));
    }
}

#[test]
fn u2_a_client_that_closes_within_its_body() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        let at = stage.httpd.addr();
        let length = ("Content-Length", "60000");
        for (what, headers, part) in [
            ("U2 half of it", length, Noise::bytes(30_000)),
            ("U2 before the first packet is full", length, Noise::bytes(3_000)),
            ("U2 nothing of it", length, Vec::new()),
            ("U2 chunked", ("Transfer-Encoding", "chunked"), b"5\r\nhello\r\n".to_vec()),
            ("U2 chunked, within a chunk", ("Transfer-Encoding", "chunked"), b"5\r\nhel".to_vec()),
        ] {
            for reset in [false, true] {
                let mut upload = Upload::begin(&stage, at, &[headers]);
                upload.client.send(&part).expect("sent");
                let (path, contacted) =
                    (upload.path.clone(), part.len() > FIRST || headers != length);
                if contacted {
                    stage.engine.wait_until("the request", |seen| {
                        seen.requests.iter().any(|request| request.uri() == path)
                    });
                }
                let Upload { stage, path, mark, client } = upload;
                if reset {
                    client.abort()
                } else {
                    drop(client)
                }
                let what = format!("{what}, reset {reset}");
                stage.check_log(&what, &mark, "w", Some(("info", "client_abort")));
                let number = stage.carried_by(&mark, &path);
                assert_eq!(number.is_some(), contacted, "{what}: the engine was contacted");
                let fate = number.map(|number| (number, Fate::Closed));
                stage.check_after(&what, &mark, "w", Some(("info", "client_abort")), fate);
            }
        }
    });
}

#[test]
fn u2_a_client_that_ends_its_body_early_is_told() {
    let stage = Stage::new();
    for (header, part) in
        [(("Content-Length", "50"), &b"abc"[..]), (("Transfer-Encoding", "chunked"), b"5\r\nhel")]
    {
        let mut upload = Upload::begin(&stage, stage.httpd.addr(), &[header]);
        upload.client.send(part).expect("sent");
        upload.client.finish_sending();
        match upload.client.try_read_response("POST") {
            Ok(answer) => assert_eq!(answer.status(), 400, "{answer:?}"),
            // The connection has ended: httpd need not answer.
            Err(error) => assert_eq!(error, client::NoResponse::Closed),
        }
        upload.check("U2 half closed", Some(("info", "client_abort")));
    }
}

#[test]
fn u6_the_engine_may_refuse_a_body_that_is_not_sent_yet() {
    under_each_mpm(u6);
}

fn u6(mpm: Mpm) {
    let stage = Stage::under(mpm);
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        conn.send(&[send_headers(413, "", &[]), end()].concat())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let headers = [("Expect", "100-continue"), ("Transfer-Encoding", "chunked")];
    client.send((client::head("POST", &path, &headers) + "\r\n").as_bytes()).expect("sent");

    let answer = client.read_response("POST");

    assert_eq!((answer.status(), answer.head.interim.as_slice()), (413, &[][..]), "{answer:?}");
    drop(client);
    let number = stage.carried_by(&mark, &path).expect("sent");
    stage.check_after("U6", &mark, "w", None, Some((number, Fate::Pooled)));
}

#[test]
fn u10_a_filter_that_gives_nothing_does_not_end_the_body() {
    under_each_mpm(u10);
}

fn u10(mpm: Mpm) {
    let stage = Stage::with(|builder| {
        one_process(builder, mpm)
            .http2()
            .modules(&["filter", "deflate"])
            .config("<Location /w/zipped>\nSetInputFilter DEFLATE\n</Location>")
    });
    let body = Noise::bytes(3_000);
    let zipped = gzip(&body);
    let path = unique("w", "zipped");
    let got = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let sink = std::sync::Arc::clone(&got);
    stage.play(&path, move |conn, request| {
        *sink.lock().expect("no holder panics") = conn.read_body(request)?;
        conn.send(&[ok(&[]), body_chunk(b"fine"), end()].concat())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    // The filter sees chunk by chunk, and of most of them it can make nothing yet.
    let chunks: Vec<&[u8]> = zipped.chunks(1).collect();

    let answer = client.request_chunked("POST", &path, &[("Content-Encoding", "gzip")], &chunks);

    assert_eq!(answer.text(), "fine", "{answer:?}");
    assert!(*got.lock().expect("no holder panics") == body, "the body is another one");
    drop(client);
    let number = stage.carried_by(&mark, &path).expect("sent");
    stage.check_after("U10", &mark, "w", None, Some((number, Fate::Pooled)));

    got.lock().expect("no holder panics").clear();
    let file = stage.httpd.path("htdocs/zipped");
    std::fs::write(&file, &zipped).expect("a file");
    let (data, url) = (format!("@{}", file.display()), stage.httpd.http(&path));
    // The second header is but curl's way to leave Content-Length out, which would be that of the
    // zipped body.
    let headers = ["-H", "Content-Encoding: gzip", "-H", "Transfer-Encoding: chunked"];
    let coding = [&headers[..], &["--data-binary", &data, &url]].concat();
    let answer = client::curl(&[&["--http2-prior-knowledge"][..], &coding[..]].concat());
    assert_eq!((answer.exit, answer.version.as_str()), (0, "2"), "{}", answer.complaint);
    assert_eq!(answer.body, b"fine");
    assert!(*got.lock().expect("no holder panics") == body, "the body is another one");
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut command = std::process::Command::new("gzip");
    command.arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = process::spawn(command, libc::SIGKILL).expect("gzip");
    child.stdin.take().expect("piped").write_all(data).expect("gzip reads");
    let out = child.wait_with_output().expect("gzip ends");
    assert!(out.status.success());
    out.stdout
}

#[test]
fn u11_a_malformed_chunk_is_the_clients_fault() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        for bad in ["xyz\r\n", "5\r\nhelloworld\r\n", "-1\r\n", "\r\n\r\n"] {
            let mut upload =
                Upload::begin(&stage, stage.httpd.addr(), &[("Transfer-Encoding", "chunked")]);
            upload.client.send(format!("5\r\nhello\r\n{bad}").as_bytes()).expect("sent");
            let answer = upload.client.read_response("POST");
            assert_eq!(answer.status(), 400, "{bad:?}: {answer:?}");
            upload.check(&format!("U11 {bad:?}"), Some(("info", "client_bad_chunk")));
        }
    });
}

#[test]
fn u12_a_body_limit_is_the_clients_fault() {
    under_each_mpm(u12);
}

fn u12(mpm: Mpm) {
    let stage = Stage::with(|builder| {
        one_process(builder, mpm)
            .http2()
            .config("<Location /w/case>\nLimitRequestBody 20000\n</Location>")
    });
    let event = Some(("info", "client_body_limit"));
    let body = Noise::bytes(30_000);
    let mut chunks = Vec::new();
    for chunk in body.chunks(1000) {
        chunks.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    let mut upload = Upload::begin(&stage, stage.httpd.addr(), &[("Transfer-Encoding", "chunked")]);
    let _ = upload.client.send(&chunks);
    let answer = upload.client.read_response("POST");
    assert_eq!(answer.status(), 413, "{answer:?}");
    upload.check("U12 chunked", event);

    let mut upload = Upload::begin(&stage, stage.httpd.addr(), &[("Content-Length", "30000")]);
    let _ = upload.client.send(&body);
    let answer = upload.client.read_response("POST");
    assert_eq!(answer.status(), 413, "{answer:?}");
    upload.check_unsent("U12 Content-Length");
    upload.check("U12 Content-Length", event);

    let file = stage.httpd.path("htdocs/body");
    std::fs::write(&file, &body).expect("a file");
    let (data, path) = (format!("@{}", file.display()), unique("w", "case"));
    for length in [&["-H", "Transfer-Encoding: chunked"][..], &[]] {
        let (mark, url) = (stage.mark(), stage.httpd.http(&path));
        let args =
            [&["--http2-prior-knowledge", "--data-binary", &data, &url][..], length].concat();
        let seen = client::curl(&args);
        // httpd resets the stream of a client that still sends, which may forget the answer then: so
        // it does with any body that nobody reads.
        let is_reset = (seen.status, seen.exit) == (0, CURLE_HTTP2_STREAM);
        assert!(seen.status == 413 || is_reset, "{length:?} {} {}", seen.exit, seen.complaint);
        stage.check_after("U12 over HTTP/2", &mark, "w", event, None);
    }
}

#[test]
fn f14_the_engine_answers_while_the_client_still_sends() {
    let stage = Stage::new();
    for status in [413, 401, 200] {
        let path = unique("w", "case");
        stage.play(&path, move |conn, _| {
            conn.send(&[send_headers(status, "", &[]), body_chunk(b"enough"), end()].concat())?;
            Ok(Action::Keep)
        });
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        let head = client::head("POST", &path, &[("Content-Length", "500000")]) + "\r\n";
        client.send(head.as_bytes()).expect("sent");
        client.send(&Noise::bytes(20_000)).expect("sent");

        // The rest of the body waits for the answer.
        let answer = client.read_response("POST");

        assert_eq!((answer.status(), answer.text().as_str()), (status, "enough"));
        // The rest is thrown away or the connection ends: never is it taken for a request.
        let next = unique("w", "echo");
        let rest = client
            .send(&Noise::bytes(480_000))
            .and_then(|()| client.send((client::head("GET", &next, &[]) + "\r\n").as_bytes()));
        if answer.header("Connection") != Some("close") {
            rest.expect("sent");
            assert_eq!(client.read_response("GET").text(), next, "{status}");
        } else if rest.is_ok() {
            let ended = client.try_read_response("GET").expect_err("no second answer");
            let expected = [client::NoResponse::Closed, client::NoResponse::Reset];
            assert!(expected.contains(&ended), "{status}: {ended:?}");
        }
        drop(client);
        assert_eq!(stage.executions(&mark, &path), 1);
        stage.check_after("F14", &mark, "w", None, None);
    }
}

/// All cases.
pub(super) fn all() -> Vec<Case> {
    let mut all = cases();
    all.push(unanswered());
    all
}

/// Once the answer has begun, httpd's refusal of the body must neither end it as if it were whole
/// nor end the upload as if that were.
#[test]
fn a_body_that_httpd_refuses_after_the_answer_has_begun_is_never_taken_for_whole() {
    let stage = Stage::with(|builder| {
        builder.config("<Location /w/case>\nLimitRequestBody 20000\n</Location>")
    });
    let chunk = |data: &[u8]| [format!("{:x}\r\n", data.len()).as_bytes(), data, b"\r\n"].concat();
    let too_much = Noise::bytes(30_000).chunks(1000).flat_map(chunk).collect::<Vec<u8>>();
    for (what, rest) in [("a bad chunk", b"ZZ\r\n".to_vec()), ("too much", too_much)] {
        let path = unique("w", "case");
        stage.play(&path, |conn, _| {
            conn.send(&[ok(&[]), body_chunk(b"begun"), flush()].concat())?;
            // What comes last must be the end of the connection, never the end of the body.
            loop {
                if conn.ask_body(8186)?.is_empty() {
                    conn.send(&[body_chunk(b"whole"), end_response(true)].concat())?;
                    return Ok(Action::Keep);
                }
            }
        });
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        let head = client::head("POST", &path, &[("Transfer-Encoding", "chunked")]) + "\r\n";
        client.send(&[head.as_bytes(), &chunk(b"abcde")].concat()).expect("sent");
        client.peek(b"HTTP/1.1 200".len());
        let _ = client.send(&rest);
        let whole = client.try_read_response("POST").is_ok_and(|answer| answer.end.is_complete());
        assert!(!whole, "{what}: the answer looks whole");
        drop(client);
        stage.check_after(what, &mark, "w", Some(("info", "client_body_refused")), None);
    }
}
