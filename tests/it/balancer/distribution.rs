//! Each method gives members what it is named for, over several processes at the same time.

use std::sync::Mutex;

use super::load::{
    PROCESSES, all_processes_served, answer, are_shared, ask_all, count, has_session, named,
    processes, workers,
};
use crate::support::client::{self, Client, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, Request};
use crate::support::random::Random;
use crate::support::{Gate, wait_until};

fn targets(count: usize, target: impl Fn(usize) -> String) -> Vec<(String, String)> {
    (0..count).map(|number| (target(number), String::new())).collect()
}

/// What each engine was sent, of what `is_counted`.
fn requests(engines: &[Engine], is_counted: impl Fn(&Request) -> bool) -> Vec<usize> {
    let count = |engine: &Engine| engine.requests().iter().filter(|r| is_counted(r)).count();
    engines.iter().map(count).collect()
}

#[test]
fn requests_are_shared_by_factor() {
    for factors in [&[2, 1][..], &[5, 3, 1]] {
        let engines = named(&vec![0; factors.len()]);
        let httpd = processes()
            .workers(&workers(&engines, factors, "worker.lb.method=R"))
            .mount("/*", "lb")
            .start();
        let targets = targets(count(10_000, 1_000), |_| "/x".into());
        let answers = ask_all(&httpd, &targets);
        assert!(answers.iter().all(|answer| answer.status() == 200));
        all_processes_served(&httpd, targets.len());
        // In the long run the 2 % alone decide.
        are_shared("requests", &requests(&engines, |_| true), factors, 2 * PROCESSES);
    }
}

/// Requests with a session, all of which are a's, and requests of a rule that opens none do not
/// count: of twice as many sessions as before a opens its part only.
fn shares_sessions(method: &str) {
    let factors = [2, 1, 1];
    let engines = named(&[0; 3]);
    let httpd = processes()
        .workers(&workers(&engines, &factors, &format!("worker.lb.method={method}")))
        .mount("/*", "lb")
        .config("JkMount /stateless/* lb;stateless=1")
        .start();
    let mut targets = targets(count(9_000, 900), |number| match number % 3 {
        0 => "/new".into(),
        1 => format!("/known;jsessionid={number}.a"),
        _ => "/stateless/x".into(),
    });
    // Otherwise each client would send requests of few kinds.
    Random::new(4).shuffle(&mut targets);
    let answers = ask_all(&httpd, &targets);
    assert!(answers.iter().all(|answer| answer.status() == 200));
    all_processes_served(&httpd, targets.len());
    let opened = requests(&engines, |request| request.uri() == "/new");
    are_shared(method, &opened, &factors, 2 * PROCESSES);
    let known = requests(&engines, has_session);
    assert_eq!(known, [targets.len() / 3, 0, 0], "sessions stay");
}

#[test]
fn sessions_are_shared_by_factor() {
    shares_sessions("S");
}

#[test]
fn sessions_are_shared_by_factor_with_next() {
    shares_sessions("N");
}

/// The last field of a balancer's note for the member that served.
fn load_of_last(httpd: &Httpd, target: &str) -> u64 {
    let note = || std::fs::read_to_string(httpd.path("logs/load.log")).unwrap_or_default();
    let before = note().matches('\n').count();
    assert_eq!(client::get(httpd.addr(), target).status(), 200);
    wait_until("the note", || note().matches('\n').count() > before);
    note().lines().last().expect("a line").parse().expect("a number")
}

/// What S forgets by half, N keeps: only what all have in common is taken away.
#[test]
fn next_does_not_forget_who_has_more() {
    let engines = named(&[0; 2]);
    let more = "worker.lb.method=N\nworker.maintain=1";
    let httpd = processes()
        .workers(&workers(&engines, &[1, 1], more))
        .mount("/*", "lb")
        .config(
            "JkMount /to-a/* lb;disabled=b\nJkMount /to-b/* lb;disabled=a\n\
             CustomLog logs/load.log \"%{JK_LB_LAST_VALUE}n\"",
        )
        .start();
    let ask = |count: usize, path: &str| {
        let answers = ask_all(&httpd, &targets(count, |_| path.to_owned()));
        assert!(answers.iter().all(|answer| answer.status() == 200));
    };
    ask(40, "/to-a/x");
    ask(8, "/to-b/x");
    // Requests with a session count nothing: b is at zero once maintenance has been.
    wait_until("maintenance", || load_of_last(&httpd, "/known;jsessionid=1.b") == 0);
    assert_eq!(load_of_last(&httpd, "/known;jsessionid=1.a"), 32);
    // However often maintenance comes, b gets what it is behind.
    ask(24, "/new");
    assert_eq!(requests(&engines, |request| request.uri() == "/new"), [0, 24]);
}

/// The answers of a have ten times the size of those of b.
#[test]
fn bytes_are_shared_by_factor() {
    let (factors, sizes) = ([2, 1], [6_000, 600]);
    let engines = named(&sizes);
    let httpd = processes()
        .workers(&workers(&engines, &factors, "worker.lb.method=T"))
        .mount("/*", "lb")
        .start();
    let targets = targets(count(10_000, 1_500), |_| "/x".into());
    let answers = ask_all(&httpd, &targets);
    assert!(answers.iter().all(|answer| answer.status() == 200));
    all_processes_served(&httpd, targets.len());
    let bytes = |(engine, size): (&Engine, usize)| {
        let seen = engine.seen();
        let sent = |packets: &[Vec<u8>]| packets.iter().map(Vec::len).sum::<usize>();
        let asked: usize = seen.connections.iter().map(|c| sent(&c.packets)).sum();
        asked + seen.requests.len() * answer("a", size).len()
    };
    let found: Vec<usize> = engines.iter().zip(sizes).map(bytes).collect();
    are_shared("bytes", &found, &factors, 2 * PROCESSES * sizes[0]);
}

/// An engine that answers once the gate is open.
fn behind(gate: &Gate) -> Engine {
    let gate = gate.clone();
    Engine::scripted(move |conn, _| {
        gate.pass();
        conn.send(&packet::answer(200, &[], b"done"))?;
        Ok(Action::Keep)
    })
    .start()
}

#[test]
fn running_requests_are_shared_by_factor() {
    let gates = [Gate::default(), Gate::default()];
    let engines: Vec<Engine> = gates.iter().map(behind).collect();
    // No process has room for more than a quarter of what is asked for.
    let httpd = Httpd::builder(Module::Ours)
        .size(5, PROCESSES as u32)
        .modules(&["log_config"])
        .config("CustomLog logs/pids.log \"%P\"")
        .workers(&workers(&engines, &[2, 1], "worker.lb.method=B"))
        .mount("/*", "lb")
        .start();
    let begun = || [0, 1].map(|at: usize| engines[at].requests().len());
    let answers: Mutex<Vec<Response>> = Mutex::default();
    std::thread::scope(|scope| {
        let one_more = || {
            let before: usize = begun().iter().sum();
            scope.spawn(|| {
                let answer = Client::connect(httpd.addr()).get("/x");
                answers.lock().expect("no panic").push(answer);
            });
            wait_until("it is with an engine", || begun().iter().sum::<usize>() > before);
        };
        (0..12).for_each(|_| one_more());
        assert_eq!(begun(), [8, 4]);
        // Those of b end: it gets what comes until it has its part again.
        gates[1].open();
        wait_until("b has answered", || answers.lock().expect("no panic").len() == 4);
        wait_until("their requests are over", || {
            let log = std::fs::read_to_string(httpd.path("logs/pids.log")).unwrap_or_default();
            log.matches('\n').count() == 4
        });
        gates[1].close();
        (0..4).for_each(|_| one_more());
        assert_eq!(begun(), [8, 8]);
        (0..3).for_each(|_| one_more());
        assert_eq!(begun(), [10, 9]);
        gates.iter().for_each(Gate::open);
    });
    assert!(answers.lock().expect("no panic").iter().all(|answer| answer.status() == 200));
    wait_until("all are in the log", || {
        let log = std::fs::read_to_string(httpd.path("logs/pids.log")).unwrap_or_default();
        log.matches('\n').count() == 19
    });
    let log = std::fs::read_to_string(httpd.path("logs/pids.log")).expect("a log");
    let pids: std::collections::BTreeSet<&str> = log.lines().collect();
    assert!(pids.len() > 1, "{pids:?}");
}
