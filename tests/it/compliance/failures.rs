//! What follows when the engine fails: differences for the most part.
//!
//! The faults themselves are tested elsewhere, with ours alone. Here is what people who come from
//! the C module will notice.

use std::sync::atomic::{AtomicBool, Ordering};

use super::case::{Case, get, request};
use super::run::Group;
use super::seen::{Answer, Seen};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, answer, send_headers};
use crate::support::{Endpoint, ReservedPort, client};

pub(super) const TEST: &str = "failures_differ_only_as_documented";

pub(super) fn group(dead: &ReservedPort) -> Group {
    Group {
        test: TEST,
        modules: &[],
        config: "JkMount /dead dead\nJkMount /* w".into(),
        workers: format!("worker.list=dead\n{}", Endpoint::Tcp(dead.addr()).worker("dead")),
        files: &[],
        cases: cases(),
    }
}

/// The C module sent everything twice.
pub(crate) fn once(seen: &mut Seen) {
    let (first, second) = seen.packets.split_at(seen.packets.len() / 2);
    assert_eq!(first, second, "sent twice");
    seen.packets.truncate(seen.packets.len() / 2);
}

fn cases() -> Vec<Case> {
    const RETRY_AFTER: &str = "Status 503";
    const AGAIN: &str = "Re-sending a request";
    const MALFORMED: &str = "Malformed answers of the engine";
    let closing = |method: &str| request(method, "/closing").scripted(|_, _| Ok(Action::Close));
    // The first time that it is asked it closes, then it answers; and so on.
    let closed = AtomicBool::new(false);
    let stale = get("/stale").scripted(move |conn, _| {
        if !closed.fetch_xor(true, Ordering::SeqCst) {
            return Ok(Action::Close);
        }
        conn.send(&answer(200, &[], b"at the second time"))?;
        Ok(Action::Keep)
    });
    let malformed = |what: &str, packet: Vec<u8>| {
        let case = get("/malformed").named(what);
        case.answered([packet, packet::end_response(true)].concat()).failed(MALFORMED, 1, 502)
    };
    vec![
        get("/dead").differs(RETRY_AFTER, |seen| {
            for answer in &mut seen.answers {
                if let Answer::Response { headers, .. } = answer {
                    headers.insert(1, ("Retry-After".into(), "10".into()));
                }
            }
        }),
        // On a new connection, so that it cannot have been closed before the request came.
        closing("POST").differs(AGAIN, once),
        closing("GET").differs(AGAIN, once),
        closing("DELETE").differs(AGAIN, once),
        request("POST", "/closing")
            .body(b"once")
            .scripted(|_, _| Ok(Action::Close))
            .differs(AGAIN, once),
        get("/kept"),
        // On the connection of the one before.
        stale,
        request("POST", "/closing")
            .named("used connection")
            .scripted(|_, _| Ok(Action::Close))
            .differs(AGAIN, once),
        malformed("an unknown code", packet::frame(&[0x63])),
        malformed(
            "an unknown header code",
            packet::frame(b"\x04\0\xc8\0\0\0\0\x01\xa0\xff\0\x01x\0"),
        ),
        malformed(
            "more headers than sent",
            packet::frame(b"\x04\0\xc8\0\0\0\0\x05\xa0\x01\0\x01x\0"),
        ),
        malformed("status 0", send_headers(0, "", &[])),
        get("/after"),
    ]
}

/// DESIGN.md 3: without JkLogFile, httpd's log is the log. The C module is not asked: Debian's
/// writes to a file of the system then.
#[test]
fn without_jk_log_file_httpd_has_the_lines() {
    let engine = Engine::recording().start();
    engine.refuse();
    let httpd = Httpd::builder(Module::Ours)
        .no_jk_log()
        .worker("w", &engine.endpoint())
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/").status(), 503);
    assert!(httpd.error_log().contains("(w) connect_refused"), "{}", httpd.error_log());
    assert!(!httpd.path("logs/mod_jk.log").exists());
}
