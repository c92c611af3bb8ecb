//! What misc/doc/status.md says.

use std::collections::BTreeSet;
use std::process::Command;

use super::{engine, json, request};
use crate::support::client;
use crate::support::httpd::{Httpd, Module};

const DOCUMENT: &str = include_str!("../../../misc/doc/status.md");

/// The first block of a kind.
fn block(kind: &str) -> &'static str {
    let start = DOCUMENT.split(&format!("```{kind}\n")).nth(1).expect("a block");
    start.split("```").next().expect("its end")
}

/// Names in backquotes that begin so.
fn names(prefix: &str) -> BTreeSet<&'static str> {
    let is_name = |text: &&str| {
        text.starts_with(prefix) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    DOCUMENT.split('`').skip(1).step_by(2).filter(is_name).collect()
}

#[test]
fn prometheus_takes_the_scrape_configuration() {
    let dir = crate::support::temp_dir("jk-prometheus-");
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, block("yaml")).expect("written");
    let program = super::tool("promtool");
    let out =
        Command::new(&program).args(["check", "config"]).arg(&file).output().unwrap_or_else(
            |error| panic!("{}: {error}; misc/dev deps fetches it", program.display()),
        );
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    assert!(out.status.success() && said.contains("SUCCESS"), "{said}");
}

#[test]
fn what_the_document_says_is_so() {
    let [engine, node] = [(); 2].map(|()| engine());
    let workers = block("properties").replace("8009", &engine.port().to_string());
    let httpd = Httpd::builder(Module::Ours)
        .modules(&["authz_host"])
        .workers(&workers.replace("worker.list=", "worker.list=lb,"))
        .workers(&format!(
            "worker.lb.type=lb\nworker.lb.balance_workers=node1\n{}",
            node.worker("node1")
        ))
        .config(block("apache"))
        .mount("/e/*", "AxonIvyEngine")
        .start();
    assert_eq!(request(&httpd, "GET", "/e/1", &[], b""), 200);
    let ask = |query: &str| client::get(httpd.addr(), &format!("/jk-status?{query}"));

    let metrics = ask("mime=prom").text();
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let types: BTreeSet<_> = types.collect();
    let mut named = names("jk_");
    assert!(named.remove("jk_version"), "of JSON");
    let differing: Vec<_> = types.symmetric_difference(&named).copied().collect();
    assert_eq!(differing, [""; 0]);

    let lines = block("sh").lines();
    let queries: Vec<&str> =
        lines.filter_map(|line| line.split('?').nth(1)?.strip_suffix('\'')).collect();
    assert_eq!(queries.len(), 2);
    for (query, state) in queries.into_iter().zip(["DIS", "ACT"]) {
        assert_eq!(ask(query).status(), 200, "{query}");
        let shown = ask("mime=prop&cmd=show&w=lb").text();
        assert!(shown.contains(&format!("worker.node1.activation={state}\n")), "{shown}");
    }

    let list = json::parse(&ask("mime=json").text());
    let dump = json::parse(&ask("mime=json&cmd=dump").text());
    assert_eq!(list.path("schema").number(), Some(1.0));
    let json::Value::Object(members) = &list else { panic!("{list:?}") };
    let json::Value::Object(more) = &dump else { panic!("{dump:?}") };
    for (name, _) in members.iter().chain(more) {
        assert!(DOCUMENT.contains(&format!("\n| `{name}` | ")), "{name}");
    }
    let member = list.path("balancers.0.members.0");
    for name in ["retries_total", "reply_timeouts_total", "latency", "rating"] {
        assert_ne!(member.path(name), &json::Value::Null, "{name}");
    }
    // Every parameter is one that an update takes.
    for name in names("v") {
        let is_known = ["lb", "lb&sw=node1"].iter().any(|worker| {
            let answer = ask(&format!("cmd=update&mime=txt&w={worker}&{name}=%01x"));
            answer.status() == 400
        });
        // A switch or text takes any value.
        let takes_any = ["vls", "vlf", "vwn", "vwr", "vwc", "vahst"].contains(&name);
        assert!(is_known || takes_any || ["version", "value"].contains(&name), "{name}");
    }
}
