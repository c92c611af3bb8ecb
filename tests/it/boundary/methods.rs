//! Methods: spec/reliability.md 2.6.

use crate::faults::case::Fate;
use crate::faults::stage::{Stage, unique};
use crate::support::client::{Client, Response};

fn ask(stage: &Stage, method: &str, path: &str) -> Response {
    Client::connect(stage.httpd.addr()).request(method, path, &[], b"")
}

#[test]
fn trace_is_answered_by_httpd_itself() {
    let stage = Stage::with(|builder| builder.vhost("off", "TraceEnable off\nJkMount /w/* w"));
    let mark = stage.mark();
    let path = unique("w", "echo");
    let on = Client::connect(stage.httpd.addr()).request("TRACE", &path, &[("X-A", "1")], b"");
    assert_eq!(on.status(), 200, "{on:?}");
    assert!(on.text().starts_with(&format!("TRACE {path} HTTP/1.1\r\n")), "{}", on.text());
    let off = Client::connect(stage.httpd.vhost("off")).request("TRACE", &path, &[], b"");
    assert_eq!(off.status(), 405, "{off:?}");
    assert_eq!(stage.executions(&mark, &path), 0);
    stage.check_after("TRACE", &mark, "w", None, None);
}

#[test]
fn every_token_is_forwarded_under_its_own_name() {
    let stage = Stage::new();
    let longest = "M".repeat(64);
    let known = "GET POST PUT DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK ACL \
                 REPORT VERSION-CONTROL CHECKIN CHECKOUT UNCHECKOUT SEARCH MKWORKSPACE UPDATE \
                 LABEL MERGE BASELINE-CONTROL MKACTIVITY PATCH get FOO M!#$%&'*+-.^_`|~1";
    for method in known.split_whitespace().chain([longest.as_str()]) {
        let path = unique("w", "echo");
        let mark = stage.mark();
        let answer = ask(&stage, method, &path);
        assert_eq!((answer.status(), answer.text()), (200, path.clone()), "{method}");
        assert_eq!(stage.executions(&mark, &path), 1, "{method}");
        let seen = stage.engine.seen();
        assert_eq!(seen.requests.last().map(|request| request.method()), Some(method));
    }
}

#[test]
fn what_is_no_method_never_reaches_an_engine() {
    // CVE-2011-3348: nor does it say anything about the engine.
    let stage = Stage::new();
    let before = stage.warm("w");
    let too_long = "M".repeat(65);
    let far_too_long = "M".repeat(5000);
    for (method, expected, event) in [
        (too_long.as_str(), &[501][..], Some(("info", "bad_method"))),
        (&far_too_long, &[501], Some(("info", "bad_method"))),
        ("M(", &[400, 501], None),
        ("M\u{e4}", &[400, 501], None),
        ("CONNECT", &[400, 405], None),
    ] {
        let path = unique("w", "echo");
        let mark = stage.mark();
        let answer = ask(&stage, method, &path);
        let short = &method[..1];
        assert!(expected.contains(&answer.status()), "{short}: {answer:?}");
        assert_eq!(stage.executions(&mark, &path), 0, "{short}");
        stage.check_after(short, &mark, "w", event, Some((before, Fate::Pooled)));
    }
    let mark = stage.mark();
    let connect = ask(&stage, "CONNECT", "localhost:80");
    assert!([400, 405].contains(&connect.status()), "{connect:?}");
    stage.check_after("CONNECT", &mark, "w", None, Some((before, Fate::Pooled)));
}

#[test]
fn an_upgrade_is_not_offered_to_the_engine() {
    let stage = Stage::new();
    let path = unique("w", "echo");
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let answer = Client::connect(stage.httpd.addr()).request("GET", &path, &headers, b"");
    assert_eq!((answer.status(), answer.text()), (200, path));
    let seen = stage.engine.seen();
    assert_eq!(seen.requests.last().and_then(|request| request.header("Upgrade")), None);
}
