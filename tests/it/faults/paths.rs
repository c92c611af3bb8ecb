//! Which paths are mapped and what the engine gets of them: the table of spec/reliability.md 2.5,
//! with the mount `/t|/*` and a denied `/t/secret`.

use super::stage::Stage;
use crate::support::client::{self, Client, Response};
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};

/// What becomes of a path.
enum Wanted {
    /// Not allowed: 403.
    Denied,
    /// Not ours: 404.
    Unmapped,
    /// One of these.
    Refused(&'static [u16]),
    /// The engine gets this URI.
    Forwarded(&'static str),
}

use Wanted::{Denied, Forwarded, Refused, Unmapped};

const TABLE: [(&str, Wanted); 48] = [
    ("/t/secret", Denied),
    ("/t//secret", Denied),
    ("//t/secret", Denied),
    ("/t/./secret", Denied),
    ("/t/x/../secret", Denied),
    ("/t/%2e/secret", Denied),
    ("/t/x/%2e%2e/secret", Denied),
    ("/t/s%65cret", Denied),
    ("/t/secret/deep", Denied),
    ("/%74/secret", Denied),
    ("/t/;x/secret", Denied),
    ("/t/secret;x", Denied),
    ("/t/secret;x/y", Denied),
    ("/t;x/secret", Denied),
    ("/t/..;/t/secret", Denied),
    ("/t/x/..;/secret", Denied),
    ("/t/x/..;a=b/secret", Denied),
    ("/t/x/%2e%2e;/secret", Denied),
    ("/t/x/.;/../secret", Forwarded("/t/x/secret")),
    ("/t/x/./..;x/./secret", Denied),
    ("/t/secret%3bx", Denied),
    ("/t/%3bx/secret", Denied),
    ("/t/..;/other", Unmapped),
    ("/t/..;x/other", Unmapped),
    ("/t/%2e%2e;/other", Unmapped),
    ("/t/../other", Unmapped),
    ("/t/%2e%2e/other", Unmapped),
    ("/t/..%2fother", Unmapped),
    ("/t/x%2f..%2fsecret", Unmapped),
    ("/t/..;/..;/t/x", Refused(&[400, 404])),
    ("/t/..%5cother", Refused(&[400])),
    ("/t/x\\..\\secret", Refused(&[400])),
    ("/t/x%5c..%5csecret", Refused(&[400])),
    ("/t/%00secret", Refused(&[400, 404])),
    ("/t/secret%00", Refused(&[400, 404])),
    ("/t/%zz", Refused(&[400])),
    ("/t/x/%c0%ae%c0%ae/secret", Forwarded("/t/x/%C0%AE%C0%AE/secret")),
    ("/t/%252e%252e/other", Forwarded("/t/%252e%252e/other")),
    ("/t/%2573ecret", Forwarded("/t/%2573ecret")),
    ("/t/a%3fb", Forwarded("/t/a%3Fb")),
    ("/t/a%23b", Forwarded("/t/a%23b")),
    ("/t/a%25b", Forwarded("/t/a%25b")),
    ("/t/normal;jsessionid=A.n1/x", Forwarded("/t/normal;jsessionid=A.n1/x")),
    ("/t", Forwarded("/t")),
    ("/t/", Forwarded("/t/")),
    ("/tx", Unmapped),
    ("/T/normal", Unmapped),
    ("/t2/../tx", Unmapped),
];

fn ask(httpd: &Httpd, path: &str) -> Response {
    // Every test of a path is one of its own connection: some are refused with it.
    Client::connect(httpd.addr()).request("GET", path, &[], b"")
}

#[test]
fn authorisation_mapping_and_engine_see_the_same_path() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .jk_log_level("debug")
        .worker("w", &engine.endpoint())
        .config("JkMount /t|/* w\n<Location /t/secret>\nRequire all denied\n</Location>")
        .start();
    let child = httpd.only_child();
    let mut wrong = Vec::new();
    for (path, wanted) in TABLE {
        let before = engine.requests().len();
        let status = ask(&httpd, path).status();
        let sent: Vec<String> =
            engine.requests()[before..].iter().map(|request| request.uri().to_owned()).collect();
        let right = match wanted {
            Denied => status == 403 && sent.is_empty(),
            Unmapped => status == 404 && sent.is_empty(),
            Refused(statuses) => statuses.contains(&status) && sent.is_empty(),
            Forwarded(uri) => status == 200 && sent == [uri],
        };
        if !right {
            wrong.push(format!("{path}: {status}, the engine got {sent:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(httpd.only_child(), child);
}

#[test]
fn an_exclusion_cannot_be_walked_around() {
    // CVE-2014-8111.
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .config("JkMount /t|/* w\nJkUnMount /t/private/* w")
        .start();
    for path in [
        "/t/private/x",
        "/t//private/x",
        "//t/private/x",
        "/t/./private/x",
        "/t/a/../private/x",
        "/t/;a/private/x",
        "/t/private;a/x",
        "/t/a/..;/private/x",
        "/t/%70rivate/x",
    ] {
        assert_eq!(ask(&httpd, path).status(), 404, "{path}");
    }
    assert!(engine.requests().is_empty(), "{:?}", engine.requests());
    assert_eq!(ask(&httpd, "/t/privately/x").text(), "/t/privately/x");
}

#[test]
fn long_paths_are_mapped_or_refused() {
    // CVE-2007-0774.
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .config("JkMount /t|/* w\nLimitRequestLine 70000")
        .start();
    let child = httpd.only_child();
    for length in [1, 255, 4095, 4096, 8000, 8192, 20_000, 65_535, 69_000] {
        for part in ["x", "/", "../x", "a/", ";"] {
            let path = format!("/t/{}", &part.repeat(length)[..length]);
            let status = ask(&httpd, &path).status();
            assert!([200, 400, 403, 404, 413, 414].contains(&status), "{part} {length}: {status}");
        }
    }
    assert_eq!(httpd.only_child(), child);
    assert_eq!(ask(&httpd, "/t/next").text(), "/t/next");
}

#[test]
fn a_refused_path_is_logged_however_the_request_came_here() {
    let stage = Stage::with(|builder| {
        builder.modules(&["env"]).config(
            "<Location /by-handler>\nSetHandler jakarta-servlet\nSetEnv JK_WORKER_NAME w\n</Location>",
        )
    });
    for path in ["/w/a%5cb", "/by-handler/a%5cb"] {
        let before = stage.httpd.jk_log().matches("bad_path").count();
        assert_eq!(client::get(stage.httpd.addr(), path).status(), 400, "{path}");
        assert_eq!(stage.httpd.jk_log().matches("bad_path").count(), before + 1, "{path}");
    }
}
