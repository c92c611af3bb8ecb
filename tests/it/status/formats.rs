//! The formats that C mod_jk does not have: numbers that are right, and documents that parse.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::{Scene, ask};
use crate::support::client;
use crate::support::httpd::Module;
use crate::support::strict;

/// Panics unless `promtool check metrics` has nothing to say.
pub(super) fn accepted_by_promtool(metrics: &str) {
    let program = super::tool("promtool");
    let mut child = Command::new(&program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; misc/dev deps fetches it", program.display()));
    child.stdin.take().expect("piped").write_all(metrics.as_bytes()).expect("it reads");
    let out = child.wait_with_output().expect("it ends");
    let said = [out.stdout, out.stderr].concat();
    assert!(out.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn numbers_are_what_has_happened() {
    let scene = Scene::start(Module::Ours, "");
    scene.traffic();
    let answer = ask(&scene.httpd, "mime=prom");
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    accepted_by_promtool(&answer.text());
    let samples = strict::prometheus(&answer.text());
    let one = |name: &str| samples[&format!("{name}{{worker=\"one\"}}")] as u64;
    assert_eq!(one("jk_requests_total"), 7);
    assert_eq!(one("jk_errors_total"), 1);
    assert_eq!(one("jk_client_errors_total"), 1);
    assert_eq!(one("jk_busy_requests"), 0);
    assert_eq!(one("jk_busy_requests_max"), 1);
    assert_eq!(one("jk_worker_failing"), 1);
    assert_eq!(one("jk_connections"), 0);
    assert_eq!(one("jk_request_duration_seconds_count"), 6);
    let member = |name: &str, member: &str| {
        samples[&format!("{name}{{balancer=\"lb\",member=\"{member}\"}}")] as u64
    };
    assert_eq!(member("jk_requests_total", "a") + member("jk_requests_total", "b"), 6);
    assert_eq!(member("jk_member_failures_total", "a"), 1);
    assert_eq!(samples["jk_failovers_total{balancer=\"lb\"}"] as u64, 1);
    let state = "jk_member_state{balancer=\"lb\",member=\"a\",state=\"ERR\"}";
    assert_eq!(samples[state] as u64, 1);

    let json = ask(&scene.httpd, "mime=json").text();
    for part in [
        "\"schema\":1,",
        "\"name\":\"one\",\"type\":\"ajp13\",",
        "\"used\":7,\"errors\":1,\"client_errors\":1,",
        "\"state\":\"ERR\",\"lbmult\":",
        "\"from\":\"OK\",\"to\":\"ERR\",\"cause\":\"it cannot be reached, or it broke off\"",
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn the_page_says_what_is_wrong() {
    let scene = Scene::start(Module::Ours, "");
    let page = ask(&scene.httpd, "").text();
    assert!(page.contains("All is well: 1 balancer with 2 members, 1 single worker."), "{page}");
    scene.traffic();
    let page = ask(&scene.httpd, "cmd=list&url=http://h/lb/no/x").text();
    for part in [
        "<title>JK Status Manager for ",
        "<strong>a</strong> of lb: in error since ",
        "<strong>one</strong>: its last request failed, ",
        "it cannot be reached, or it broke off",
        "taken away from lb: <code>JkUnMount /lb/no/*</code>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(ask(&scene.httpd, "url=/nothing").text().contains("no rule matches"));
    let page = ask(&scene.httpd, "cmd=show&w=lb&sw=b").text();
    for part in [
        "<td>b</td><td class=\"mono\">route</td><td class=\"mono\">r</td>",
        "conf/workers.properties:",
        "<td class=\"mono\">secret</td><td class=\"mono\">set</td>",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let everything =
        ["", "cmd=dump", "cmd=dump&mime=json", "cmd=show&w=lb", "mime=json", "mime=xml"];
    for query in everything {
        assert!(!ask(&scene.httpd, query).text().contains("s3cret"), "{query}");
    }
    // A page with a query of a stranger's has nothing of it but text.
    let page = client::get(scene.httpd.addr(), "/jk?cmd=list&url=%22%3E%3Cscript%3Ealert(1)&re=5");
    assert!(!page.text().contains("<script>alert"));
    assert!(page.text().contains("&quot;&gt;&lt;script&gt;alert(1)"));
}
