//! Faults where other parts of httpd stand between the engine and the client: output filters,
//! included pages, error documents.

use super::case::{flush, ok};
use super::stage::{Stage, unique};
use crate::support::client::{self, BodyEnd, Client, NoResponse, Noise, curl};
use crate::support::engine::Action;
use crate::support::packet::{CHUNK_MAX, body_chunk};

/// Scripts an answer that ends within its body: `chunks` packets, with or without a flush.
fn breaks_off(stage: &Stage, chunks: usize, flushed: bool) -> String {
    let path = unique("w", "case");
    stage.play(&path, move |conn, _| {
        conn.send(&ok(&[("Content-Type", "text/html")]))?;
        for _ in 0..chunks {
            conn.send(&body_chunk(&Noise::bytes(CHUNK_MAX)))?;
        }
        if flushed {
            conn.send(&flush())?;
        }
        Ok(Action::Close)
    });
    path
}

/// What came is an error or visibly no whole answer.
#[track_caller]
fn assert_not_whole(what: &str, answer: &Result<client::Response, NoResponse>) {
    match answer {
        Ok(answer) if answer.status() == 502 => assert!(answer.end.is_complete(), "{what}"),
        Ok(answer) => {
            let end = answer.end;
            assert!(matches!(end, BodyEnd::Truncated | BodyEnd::Reset), "{what}: {end:?}");
        }
        Err(error) => {
            let expected = [NoResponse::Closed, NoResponse::Reset, NoResponse::Truncated];
            assert!(expected.contains(error), "{what}: {error:?}");
        }
    }
}

#[test]
fn an_output_filter_does_not_complete_a_broken_answer() {
    for filter in ["DEFLATE", "SUBSTITUTE", "BUFFER", "INCLUDES", "RATE_LIMIT"] {
        let stage = Stage::with(|builder| {
            builder
                .http2()
                .modules(&[
                    "env",
                    "filter",
                    "deflate",
                    "substitute",
                    "buffer",
                    "include",
                    "ratelimit",
                ])
                .config(&format!(
                    "<Location /w/case>\nSetOutputFilter {filter}\nSubstitute s/abc/def/\n\
                     SetEnv rate-limit 100000\nOptions +Includes\n</Location>"
                ))
        });
        for (chunks, flushed) in [(0, true), (1, true), (4, true), (4, false)] {
            let what = format!("{filter}, {chunks} chunks, flushed {flushed}");
            let path = breaks_off(&stage, chunks, flushed);
            let mark = stage.mark();
            let mut client = Client::connect(stage.httpd.addr());
            let head = client::head("GET", &path, &[("Accept-Encoding", "gzip")]) + "\r\n";
            client.send(head.as_bytes()).expect("sent");
            assert_not_whole(&what, &client.try_read_response("GET"));
            drop(client);
            assert_eq!(stage.executions(&mark, &path), 1, "{what}");
            stage.check_after(&what, &mark, "w", Some(("error", "eof_mid_body")), None);

            let mark = stage.mark();
            let url = stage.httpd.http(&path);
            let answer = curl(&["--http2-prior-knowledge", "-H", "Accept-Encoding: gzip", &url]);
            let failed = answer.exit != 0 || answer.status == 502;
            assert!(failed, "{what}: a clean end over HTTP/2: {answer:?}");
            stage.check_after(&what, &mark, "w", Some(("error", "eof_mid_body")), None);
        }
    }
}

#[test]
fn a_page_that_includes_a_broken_answer_is_broken() {
    let stage = Stage::with(|builder| {
        builder
            .modules(&["include"])
            .config("<Location /pages>\nSetOutputFilter INCLUDES\nOptions +Includes\n</Location>")
    });
    let page = |path: &str| {
        std::fs::create_dir_all(stage.httpd.path("htdocs/pages")).expect("a directory");
        let text = format!("before <!--#include virtual=\"{path}\" --> after");
        std::fs::write(stage.httpd.path("htdocs/pages/p.html"), text).expect("a page");
    };
    for (chunks, flushed) in [(1, true), (4, false), (4, true)] {
        let path = breaks_off(&stage, chunks, flushed);
        page(&path);
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        client.send((client::head("GET", "/pages/p.html", &[]) + "\r\n").as_bytes()).expect("sent");
        let what = format!("included, {chunks} chunks, flushed {flushed}");
        assert_not_whole(&what, &client.try_read_response("GET"));
        drop(client);
        assert_eq!(stage.executions(&mark, &path), 1, "{what}");
        stage.check_after(&what, &mark, "w", Some(("error", "eof_mid_body")), None);
    }
    let path = unique("w", "echo");
    page(&path);
    assert_eq!(
        client::get(stage.httpd.addr(), "/pages/p.html").text(),
        format!("before {path} after")
    );
}

#[test]
fn an_error_document_may_come_from_the_engine() {
    let stage = Stage::with(|builder| builder.config("ErrorDocument 502 /w/echo/sorry"));
    let big = Noise::bytes(60_000);
    for (method, body) in [("GET", &b""[..]), ("POST", &big[..100]), ("POST", &big), ("PUT", &big)]
    {
        let what = format!("{method} with {} bytes", body.len());
        let path = unique("w", "case");
        stage.play(&path, |conn, request| {
            conn.read_body_packet().map(drop).or_else(|error| match request.method() {
                "GET" => Ok(()),
                _ => Err(error),
            })?;
            conn.send(b"nonsense")?;
            conn.wait_closed();
            Ok(Action::Close)
        });
        if method == "GET" {
            stage.play(&path, |conn, _| {
                conn.send(b"nonsense")?;
                Ok(Action::Keep)
            });
        }
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request(method, &path, &[], body);
        // The page's own status counts, as it does with C mod_jk.
        assert_eq!((answer.status(), answer.text().as_str()), (200, "/w/echo/sorry"), "{what}");
        if answer.header("Connection") != Some("close") {
            let next = unique("w", "echo");
            assert_eq!(client.get(&next).text(), next, "{what}");
        }
        drop(client);
        assert_eq!(stage.executions(&mark, &path), 1, "{what}");
        stage.check_after(&what, &mark, "w", Some(("error", "bad_magic")), None);
    }
}
