//! Where a session is found, what the client and the engine are told.

use super::scene::Step::{Cookie, Get, Times};
use super::scene::{Scenario, compare};

#[test]
fn session_ids() {
    let ids = || {
        vec![
            Get("x;jsessionid=1.c"),
            Get("x;jsessionid=1.c;y=z"),
            Get("x;jsessionid=1.c/y"),
            Get("x;jsessionid=1.c?q=;jsessionid=2.b"),
            Get("x;jsessionid=1"),
            Get("x;sid=1.b"),
            Cookie("JSESSIONID=1.c"),
            Cookie("x=y; JSESSIONID=\"1.c\"; z=1"),
            Cookie("JSESSIONID=1.nobody; JSESSIONID=2.b"),
            Cookie("JSESSIONID=1,JSESSIONID=2.b"),
            Cookie("XJSESSIONID=1.c"),
            Cookie("jsessionid=1.c"),
            Cookie("JSESSIONID =1.c"),
            Cookie("JSESSIONID=;x=y"),
            Cookie("SID=1.b"),
            Cookie("IVYSESSIONID=1.b"),
            Times(2),
        ]
    };
    compare(
        &[
            Scenario::new("default", 3, &[], ids()),
            Scenario::new("S", 3, &["method=S"], ids()),
            Scenario::new("names", 3, &["session_cookie=SID", "session_path=;sid"], ids()),
            Scenario::new("rule names", 3, &[], ids())
                .extensions(";session_cookie=IVYSESSIONID;session_path=;sid"),
            Scenario::new("ignored", 3, &["method=S"], ids()).extensions(";sticky_ignore=1"),
            Scenario::new("off", 3, &["sticky_session=no"], ids()),
        ],
        "",
    );
}

/// A row about [9.2] 13.
const COOKIE: &str = "Cookie of set_session_cookie in a rule";

#[test]
fn session_cookies() {
    let ids = || {
        vec![
            Times(2),
            Get("x;jsessionid=1.b"),
            Get("x;jsessionid=1.nobody"),
            Cookie("JSESSIONID=1.a"),
        ]
    };
    compare(
        &[
            Scenario::new("worker", 2, &["set_session_cookie=1"], ids()),
            Scenario::new("rule", 2, &[], ids()).extensions(";set_session_cookie=1"),
            Scenario::new(
                "path and name",
                2,
                &["set_session_cookie=1", "session_cookie_path=/app", "session_cookie=SID"],
                ids(),
            ),
            Scenario::new("a name of the rule", 2, &[], ids())
                .extensions(";set_session_cookie=1;session_cookie=SID;session_cookie_path=/y")
                .differs(COOKIE),
        ],
        "",
    );
}

#[test]
fn the_environment_decides() {
    let requests = || {
        vec![
            Get("x"),
            Get("route-b"),
            Get("route-b;jsessionid=1.c"),
            Get("route-none"),
            Get("ignore;jsessionid=1.c"),
            Get("ignore;jsessionid=1.c"),
            Get("heed;jsessionid=1.c"),
            Get("empty;jsessionid=1.c"),
            Get("stateless"),
            Get("stateless"),
            Get("stateful"),
            Times(3),
        ]
    };
    compare(
        &[
            Scenario::new("R", 3, &["b.lbfactor=3"], requests()),
            Scenario::new("S", 3, &["method=S"], requests()),
            Scenario::new("rule", 3, &["method=S"], requests())
                .extensions(";sticky_ignore=1;stateless=1"),
            Scenario::new("cookie", 3, &["set_session_cookie=1"], requests()),
        ],
        "SetEnvIf Request_URI route-b JK_ROUTE=b\n\
         SetEnvIf Request_URI route-none JK_ROUTE=elsewhere\n\
         SetEnvIf Request_URI ignore JK_STICKY_IGNORE=1\n\
         SetEnvIf Request_URI heed JK_STICKY_IGNORE=0\n\
         SetEnvIf Request_URI empty JK_STICKY_IGNORE=\n\
         SetEnvIf Request_URI stateless JK_STATELESS=1\n\
         SetEnvIf Request_URI stateful JK_STATELESS=0",
    );
}
