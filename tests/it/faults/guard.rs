//! A panic in the handler: issue 2, "Shown by" 6. The module for it is one of its own, built with
//! a feature that nobody ships.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::case::{flush, ok};
use super::stage::unique;
use crate::support::client::{self, BodyEnd, Client, NoResponse, curl};
use crate::support::engine::{Action, Engine, echo};
use crate::support::httpd::Httpd;
use crate::support::packet::{body_chunk, end_response};
use crate::support::process;

/// The module that panics where the header `X-Jk-Test-Panic` says so.
fn module() -> &'static PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // A directory of its own, so that neither cargo waits for the other.
        let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("test-panic");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let mut command = Command::new(cargo);
        command
            .args(["build", "--quiet", "--locked", "--offline", "--lib"])
            .args(["--features", "test-panic"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", &target);
        process::output(&mut command);
        target.join("debug/libmod_jk.so")
    })
}

/// An engine that begins each answer visibly and ends it.
fn engine() -> Engine {
    Engine::scripted(|conn, request| {
        if request.header("X-Jk-Test-Panic").is_some() {
            conn.send(&[ok(&[]), body_chunk(b"begun"), flush()].concat())?;
            conn.send(&[body_chunk(b" and ended"), end_response(true)].concat())?;
        } else {
            conn.send(&echo(request, 0))?;
        }
        Ok(Action::Keep)
    })
    .start()
}

fn httpd(engine: &Engine) -> Httpd {
    let load = format!(
        "LoadModule jk_module {}\nJkWorkersFile conf/workers.properties\n\
         JkLogFile logs/jk.log\nJkLogLevel info",
        module().display()
    );
    Httpd::builder_without_jk()
        .http2()
        .worker("w", &engine.endpoint())
        .workers("worker.w.connection_pool_size=2")
        .config(&load)
        .mount("/w/*", "w")
        .start()
}

/// Runs `panic` often enough to lose every connection, thread and buffer if each cost one, and
/// looks at what must be left after it.
fn survives(moment: &str, panic: impl Fn(&Httpd, &str)) {
    const TIMES: usize = 10;
    let engine = engine();
    let httpd = httpd(&engine);
    let child = httpd.only_child();
    for time in 1..=TIMES {
        panic(&httpd, &unique("w", "panic"));
        let path = unique("w", "echo");
        assert_eq!(client::get(httpd.addr(), &path).text(), path);
        let log = httpd.jk_log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(" [error] ")).collect();
        assert_eq!(lines.len(), time, "one line each:\n{log}");
        let last = lines[time - 1];
        assert!(last.contains(": (w) internal_error: "), "{last}");
        assert!(last.contains(&format!("asked to panic {moment} the response")), "{last}");
    }
    assert_eq!(httpd.only_child(), child);
    let errors = httpd.error_log();
    for word in ["panicked", "exit signal", "backtrace", "asked to panic"] {
        assert!(!errors.contains(word), "{word}:\n{errors}");
    }
    engine.wait_until("no connection but an idle one", |seen| seen.open == 1);
}

#[test]
fn a_panic_before_the_response_is_an_error_page() {
    survives("before", |httpd, path| {
        let mut client = Client::connect(httpd.addr());
        let answer = client.request("GET", path, &[("X-Jk-Test-Panic", "before")], b"");
        assert_eq!((answer.status(), answer.end), (500, BodyEnd::Length), "{answer:?}");
        let next = unique("w", "echo");
        if answer.header("Connection") != Some("close") {
            assert_eq!(client.get(&next).text(), next);
        }
    });
}

#[test]
fn a_panic_within_the_response_breaks_it_off() {
    survives("after", |httpd, path| {
        let mut client = Client::connect(httpd.addr());
        let head = client::head("GET", path, &[("X-Jk-Test-Panic", "after")]) + "\r\n";
        client.send(head.as_bytes()).expect("sent");
        match client.try_read_response("GET") {
            Ok(answer) => {
                assert!(matches!(answer.end, BodyEnd::Truncated | BodyEnd::Reset), "{answer:?}");
                assert!(b"begun".starts_with(&answer.body), "{answer:?}");
            }
            Err(error) => {
                assert!(matches!(error, NoResponse::Closed | NoResponse::Reset), "{error:?}");
            }
        }
    });
}

#[test]
fn a_panic_over_http2() {
    for moment in ["before", "after"] {
        survives(moment, |httpd, path| {
            let header = format!("X-Jk-Test-Panic: {moment}");
            let answer = curl(&["--http2-prior-knowledge", "-H", &header, &httpd.http(path)]);
            if moment == "before" {
                assert_eq!((answer.exit, answer.status), (0, 500), "{}", answer.complaint);
            } else {
                assert_ne!(answer.exit, 0, "a clean end");
            }
        });
    }
}
