//! Many clients at the same time in front of several httpd processes, all of which serve.

use std::collections::BTreeMap;

use crate::support::client::{self, Client, NoResponse, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{self, Httpd, Module, Mpm};
use crate::support::packet::{self, Request};
use crate::support::wait_until;

/// Processes of httpd, and clients.
pub(crate) const PROCESSES: usize = 4;

/// Whether tests may take minutes.
pub(super) fn is_long() -> bool {
    std::env::var_os("JK_LONG").is_some()
}

/// One number in the long run, another one otherwise.
pub(crate) fn count(long: usize, short: usize) -> usize {
    if is_long() { long } else { short }
}

/// httpd with a process for each client, and a log that tells which process served which request.
pub(crate) fn processes() -> httpd::Builder {
    Httpd::builder(Module::Ours)
        .mpm(Mpm::Prefork)
        .size(PROCESSES as u32, 1)
        .modules(&["log_config"])
        .config("CustomLog logs/pids.log \"%P %U%q\"")
}

/// A balancer `lb` of engines called a, b and so on with these factors. `more`: properties.
pub(super) fn workers(engines: &[Engine], factors: &[u32], more: &str) -> String {
    let names = &super::scene::NAMES[..engines.len()];
    let members = names.iter().zip(engines).zip(factors).map(|((name, engine), factor)| {
        format!("{}worker.{name}.lbfactor={factor}\n", engine.worker(name))
    });
    format!(
        "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers={}\n{}{more}",
        names.join(","),
        members.collect::<String>()
    )
}

/// An answer: a name and `bytes` further ones.
pub(super) fn answer(name: &str, bytes: usize) -> Vec<u8> {
    packet::answer(200, &[], format!("{name} {}", "x".repeat(bytes)).as_bytes())
}

/// Engines that answer with their name and as many further bytes. What counts is their number.
pub(super) fn named(bytes: &[usize]) -> Vec<Engine> {
    let start = |(name, bytes): (&&'static str, &usize)| {
        Engine::answering(answer(name, *bytes), Action::Keep).start()
    };
    super::scene::NAMES.iter().zip(bytes).map(start).collect()
}

/// Asks for all targets, each client for its share of them in turn over a connection that stays,
/// so that every process serves. `cookie`: a Cookie header for each target, or nothing. Returns the
/// answers in the order of the targets.
pub(super) fn ask_all(httpd: &Httpd, targets: &[(String, String)]) -> Vec<Response> {
    let mut answers = BTreeMap::new();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..PROCESSES)
            .map(|number| {
                scope.spawn(move || {
                    let mut client = Client::connect(httpd.addr());
                    let share = targets.iter().enumerate().skip(number).step_by(PROCESSES);
                    let ask = |(at, (target, cookie)): (usize, &(String, String))| {
                        (at, ask(httpd, &mut client, target, cookie))
                    };
                    share.map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        for client in clients {
            answers.extend(client.join().expect("a client"));
        }
    });
    answers.into_values().collect()
}

fn ask(httpd: &Httpd, client: &mut Client, target: &str, cookie: &str) -> Response {
    let headers = [("Cookie", cookie)];
    let headers = if cookie.is_empty() { &headers[..0] } else { &headers[..] };
    let bytes = client::head("GET", target, headers) + "\r\n";
    loop {
        let _ = client.send(bytes.as_bytes());
        match client.try_read_response("GET") {
            Ok(answer) => return answer,
            // httpd may close a connection that is idle.
            Err(NoResponse::Closed | NoResponse::Reset) => {
                *client = Client::connect(httpd.addr());
            }
            Err(other) => panic!("{target}: {other:?}"),
        }
    }
}

/// Waits until `requests` requests are logged, and panics unless every process has served a fair
/// part of them.
#[track_caller]
pub(crate) fn all_processes_served(httpd: &Httpd, requests: usize) {
    let mut log = String::new();
    wait_until("all requests are in the log", || {
        log = std::fs::read_to_string(httpd.path("logs/pids.log")).unwrap_or_default();
        log.matches('\n').count() >= requests
    });
    let mut served: BTreeMap<&str, usize> = BTreeMap::new();
    for line in log.lines() {
        *served.entry(line.split(' ').next().unwrap_or_default()).or_default() += 1;
    }
    assert_eq!(served.len(), PROCESSES, "{served:?}");
    assert!(served.values().all(|n| n * PROCESSES * 2 >= requests), "{served:?}");
}

/// Panics unless `found` are in the ratio of `factors`, within 2 % and what all clients together
/// may have under way.
#[track_caller]
pub(super) fn are_shared(what: &str, found: &[usize], factors: &[u32], under_way: usize) {
    let all: usize = found.iter().sum();
    let parts: usize = factors.iter().map(|factor| *factor as usize).sum();
    for (found_here, factor) in found.iter().zip(factors) {
        let expected = all * *factor as usize / parts;
        let tolerance = (expected / 50).max(under_way);
        let is_near = found_here.abs_diff(expected) <= tolerance;
        assert!(is_near, "{what}: {found:?} of {factors:?}, tolerance {tolerance}");
    }
}

/// Whether a request has a session id.
pub(super) fn has_session(request: &Request) -> bool {
    request.uri().contains(";jsessionid=") || request.header("cookie").is_some()
}
