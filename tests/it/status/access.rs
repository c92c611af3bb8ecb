//! Who may see a status worker, and what is answered to what makes no sense.

use super::{Scene, ask, engine};
use crate::support::client::{self, Client};
use crate::support::httpd::{Httpd, Module};

#[test]
fn a_refusal_has_its_status() {
    let scene = Scene::start(Module::Ours, "worker.st.read_only=off");
    for (query, status, message) in [
        ("cmd=list", 200, "Action finished"),
        ("cmd=foo", 400, "Invalid command."),
        ("mime=prop&cmd=show", 400, "NULL or EMPTY worker param"),
        ("mime=prop&cmd=show&w=nobody", 404, "Could not find given worker"),
        ("mime=prop&cmd=show&w=lb&sw=nobody", 404, "could not find sub worker"),
        ("mime=prop&cmd=show&w=one&sw=a", 404, "worker type has no sub workers"),
        ("mime=prop&cmd=show&w=lb&sw=?", 400, "wildcard not allowed in sub worker"),
        ("mime=prop&cmd=show&w=%", 400, "Error during parsing of URI"),
        ("mime=foo", 400, "Invalid mime type."),
        ("mime=prop&cmd=reset&w=lb&opt=32", 403, "This command is not allowed in read only mode."),
    ] {
        let answer = ask(&scene.httpd, query);
        assert_eq!(answer.status(), status, "{query}");
        if query.contains("mime=prop") || status != 200 {
            assert!(answer.text().contains(message), "{query}: {}", answer.text());
        }
    }
    let refused = "(st) status_refused: Could not find given worker; user=- from=127.0.0.1 \
                   outcome=404";
    assert!(scene.httpd.jk_log().contains(refused));
}

#[test]
fn only_those_who_may_see_it_do() {
    let engine = engine();
    let httpd = Httpd::builder(Module::Ours)
        .modules(&["setenvif"])
        .worker("w", &engine.endpoint())
        .workers(
            "worker.list=w,st,any\nworker.st.type=status\nworker.st.user=Ann,bob\n\
             worker.any.type=status\nworker.any.user=Ann\nworker.any.user_case_insensitive=on\n\
             worker.any.read_only=on",
        )
        .mount("/jk", "st")
        .mount("/any", "any")
        .config("JkRemoteUserIndicator WHO\nSetEnvIf X-User (.+) WHO=$1")
        .start();
    let status = |path: &str, user: &str| {
        let mut client = Client::connect(httpd.addr());
        client.request("GET", path, &[("X-User", user)], b"").status()
    };
    assert_eq!(client::get(httpd.addr(), "/jk").status(), 403);
    assert!(client::get(httpd.addr(), "/jk?mime=txt").text().contains("Access denied."));
    assert_eq!(status("/jk", "Ann"), 200);
    assert_eq!(status("/jk", "bob"), 200);
    assert_eq!(status("/jk", "ann"), 403);
    assert_eq!(status("/any", "aNN"), 200);
    assert_eq!(status("/any", "bob"), 403);
    assert_eq!(status("/any?cmd=reset&w=w", "Ann"), 403);
    assert!(client::get(httpd.addr(), "/any").text().contains("JK Status Manager"));
    let denied = "(st) status_refused: Access denied.; user=ann from=127.0.0.1 outcome=403";
    assert!(httpd.jk_log().contains(denied), "{}", httpd.jk_log());
}

#[test]
fn a_page_may_load_and_send_nothing_elsewhere() {
    let scene = Scene::start(Module::Ours, "");
    let page = ask(&scene.httpd, "");
    let policy = page.header("Content-Security-Policy").expect("a policy");
    for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.header("X-Frame-Options"), Some("SAMEORIGIN"));
    for query in ["", "mime=txt", "mime=json", "cmd=foo"] {
        let answer = ask(&scene.httpd, query);
        assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{query}");
    }
}

#[test]
fn every_format_tells_the_version() {
    let scene = Scene::start(Module::Ours, "");
    let version = concat!("mod_jk/", env!("CARGO_PKG_VERSION"));
    for format in ["html", "xml", "prop", "txt", "json", "prom"] {
        for command in ["version", "list", "show&w=lb", "dump"] {
            let text = ask(&scene.httpd, &format!("cmd={command}&mime={format}")).text();
            assert!(text.contains(version), "{command} {format}: {text}");
        }
    }
}

#[test]
fn mod_status_shows_our_workers() {
    for extended in ["On", "Off"] {
        let engine = engine();
        let httpd = Httpd::builder(Module::Ours)
            .modules(&["status"])
            .worker("w", &engine.endpoint())
            .mount("/app/*", "w")
            .config(&format!("ExtendedStatus {extended}"))
            .config("<Location /server-status>\nSetHandler server-status\n</Location>")
            .start();
        assert_eq!(client::get(httpd.addr(), "/app/1").status(), 200);
        let page = client::get(httpd.addr(), "/server-status").text();
        assert!(page.contains("<h2>mod_jk</h2>"), "{extended}: {page}");
        let row = "<tr><td>w</td><td>OK</td><td>ACT</td><td>0</td><td>1</td>";
        assert!(page.contains(row), "{extended}: {page}");
        let lines = client::get(httpd.addr(), "/server-status?auto").text();
        let line =
            "JkWorker: name=w state=OK activation=ACT busy=0 accessed=1 errors=0 connected=1";
        assert!(lines.lines().any(|known| known == line), "{extended}: {lines}");
    }
}
