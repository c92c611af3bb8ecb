//! What this module has beyond C mod_jk: method=Address, max_inflight and checks of engines.

use std::time::Instant;

use super::scene::engines;
use crate::support::client::{self, Client, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Builder, Httpd, Module, Mpm};
use crate::support::packet;
use crate::support::process::{self, Target};
use crate::support::{DEADLINE, Gate, wait_until};

/// A balancer `lb` of these engines in this order, each called by its letter. `more`: properties.
fn balanced(members: &[(&str, &Engine)], more: &str) -> Builder {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let engines: String = members.iter().map(|(name, engine)| engine.worker(name)).collect();
    Httpd::builder(Module::Ours)
        .workers(&format!(
            "worker.list=lb\nworker.maintain=1\nworker.lb.type=lb\n\
             worker.lb.balance_workers={}\n{engines}{more}\n",
            names.join(",")
        ))
        .mount("/*", "lb")
}

fn get(httpd: &Httpd, path: &str) -> Response {
    Client::connect(httpd.addr()).request("GET", path, &[], b"")
}

/// Answers with a name; a request for `/hold` once the gate is open.
fn holding(name: &'static str, gate: &Gate) -> Engine {
    let gate = gate.clone();
    Engine::scripted(move |conn, request| {
        if request.uri().starts_with("/hold") {
            gate.pass();
        }
        conn.send(&packet::answer(200, &[], name.as_bytes()))?;
        Ok(Action::Keep)
    })
    .start()
}

/// Begins a request that the engine holds.
fn hold(httpd: &Httpd, path: &str) -> Client {
    let mut client = Client::connect(httpd.addr());
    client.send(client::head("GET", path, &[]).as_bytes()).expect("sent");
    client.send(b"\r\n").expect("sent");
    client
}

fn is_refused(response: &Response) -> bool {
    (response.status(), response.header("Retry-After")) == (503, Some("10"))
}

#[test]
fn addresses_have_the_same_member_behind_every_httpd() {
    let engines = engines(3);
    let [a, b, c] = [("a", &engines[0]), ("b", &engines[1]), ("c", &engines[2])];
    let start = |members: &[(&str, &Engine)], lines: &str| {
        balanced(members, "worker.lb.method=Address\nworker.lb.recover_time=1")
            .size(8, 1)
            .modules(&["remoteip"])
            .config("RemoteIPHeader X-Client-IP\nRemoteIPInternalProxy 127.0.0.1")
            .config(lines)
            .start()
    };
    // What the engine is told of the client is another matter.
    let first = start(&[a, b, c], "JkOptions +ForwardPhysicalAddress");
    let second = start(&[c, a, b], "");
    let member = |httpd: &Httpd, address: &str, path: &str| -> String {
        let mut client = Client::connect(httpd.addr());
        let response = client.request("GET", path, &[("X-Client-IP", address)], b"");
        response.text().split(' ').next().unwrap_or_default().to_owned()
    };
    let addresses: Vec<String> = (0..40).map(|n| format!("198.51.100.{n}")).collect();
    let all = |httpd: &Httpd| -> Vec<String> {
        addresses.iter().map(|address| member(httpd, address, "/x")).collect()
    };
    let before = all(&first);
    assert_eq!(before, all(&second));
    for name in ["a", "b", "c"] {
        assert!(before.iter().filter(|member| *member == name).count() > 3, "{before:?}");
    }
    assert_eq!(member(&first, "::ffff:198.51.100.7", "/x"), before[7]);
    for name in ["a", "b", "c"] {
        assert_eq!(member(&first, &addresses[0], &format!("/x;jsessionid=1.{name}")), name);
    }
    engines[0].refuse();
    engines[0].close_connections();
    let without: Vec<String> = all(&first);
    for (before, without) in before.iter().zip(&without) {
        assert_ne!(without, "a");
        assert!(before == "a" || before == without, "{before} {without}");
    }
    engines[0].listen();
    let lost = before.iter().position(|member| member == "a").expect("one of a");
    wait_until("the first one is back", || member(&first, &addresses[lost], "/x") == "a");
    assert_eq!(all(&first), before);
}

#[test]
fn as_many_requests_as_may_be_are_in_flight_and_others_are_refused_at_once() {
    let gate = Gate::default();
    let engine = holding("w", &gate);
    // Refusals leave no trace in the states of the pool either: 16 threads, 3 requests.
    let httpd = Httpd::builder(Module::Ours)
        .size(4, 4)
        .worker("w", &engine.endpoint())
        .workers("worker.w.max_inflight=3\nworker.w.retries=5\nworker.w.retry_interval=60000\n")
        .mount("/*", "w")
        .start();
    wait_until("four children run", || httpd.child_pids().len() == 4);
    for round in 1..=2 {
        gate.close();
        let arrived = engine.requests().len();
        std::thread::scope(|scope| {
            let ask = || scope.spawn(|| get(&httpd, "/hold"));
            let asked: Vec<_> = (0..12).map(|_| ask()).collect();
            engine.wait_until("three are there", |seen| seen.requests.len() == arrived + 3);
            // The others have their answers while those three have none.
            wait_until("the others are refused", || {
                asked.iter().filter(|client| client.is_finished()).count() == 9
            });
            assert!(is_refused(&get(&httpd, "/x")));
            gate.open();
            let answers: Vec<Response> =
                asked.into_iter().map(|client| client.join().expect("an answer")).collect();
            let count = |wanted: &dyn Fn(&Response) -> bool| {
                answers.iter().filter(|answer| wanted(answer)).count()
            };
            let served = count(&|answer| answer.status() == 200);
            assert_eq!((served, count(&is_refused)), (3, 9), "round {round}");
        });
        assert_eq!(engine.requests().len(), arrived + 3);
        assert_eq!(get(&httpd, "/x").text(), "w");
    }
    let log = httpd.jk_log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("max_inflight: ")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    let line = "(w) max_inflight: the engine serves as many requests as it may; inflight=3 limit=3 \
                refused=1 phase=prepare in=0 out=0 body=0 tries=0 outcome=503";
    assert!(lines[0].contains(line), "{log}");
}

#[test]
fn a_full_member_keeps_its_sessions_and_sends_nobody_else_away() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), holding("b", &gate));
    let httpd = balanced(
        &[("a", &a), ("b", &b)],
        "worker.a.max_inflight=1\nworker.b.max_inflight=1\nworker.lb.retries=5\n\
         worker.lb.retry_interval=60000",
    )
    .size(16, 1)
    .start();
    let mut first = hold(&httpd, "/hold;jsessionid=1.a");
    a.wait_until("it is there", |seen| seen.requests.len() == 1);
    assert!(is_refused(&get(&httpd, "/x;jsessionid=2.a")), "its session would be lost elsewhere");
    for _ in 0..4 {
        assert_eq!(get(&httpd, "/x").text(), "b");
    }
    assert_eq!(get(&httpd, "/x;jsessionid=3.b").text(), "b");
    let mut second = hold(&httpd, "/hold");
    b.wait_until("it is there", |seen| seen.requests.len() == 6);
    assert!(is_refused(&get(&httpd, "/x")), "all are full");
    gate.open();
    assert_eq!(first.read_response("GET").text(), "a");
    assert_eq!(second.read_response("GET").text(), "b");
    assert_eq!(get(&httpd, "/x;jsessionid=2.a").text(), "a");
    let log = httpd.jk_log();
    assert!(log.contains("elsewhere there is no session; member=a:1/1 refused=1"), "{log}");
    assert!(
        log.contains("no usable member may have another request; members=a:1/1,b:1/1"),
        "{log}"
    );
    for event in ["member_busy", "member_down", "member_recovers", "no_usable_member"] {
        assert!(!log.contains(event), "{log}");
    }
}

#[test]
fn all_members_together_have_a_limit() {
    let gate = Gate::default();
    let (a, b) = (holding("a", &gate), holding("b", &gate));
    let httpd = balanced(&[("a", &a), ("b", &b)], "worker.lb.max_inflight=2").size(16, 1).start();
    let mut held = [hold(&httpd, "/hold"), hold(&httpd, "/hold")];
    for engine in [&a, &b] {
        engine.wait_until("it is there", |seen| seen.requests.len() == 1);
    }
    assert!(is_refused(&get(&httpd, "/x")));
    gate.open();
    for client in &mut held {
        assert_eq!(client.read_response("GET").status(), 200);
    }
    assert_eq!(get(&httpd, "/x").status(), 200);
    assert!(httpd.jk_log().contains("(lb) max_inflight: "), "{}", httpd.jk_log());
    assert!(httpd.jk_log().contains(
        "inflight=2 limit=2 refused=1 phase=prepare in=0 out=0 body=0 tries=0 outcome=503"
    ));
}

#[test]
fn a_killed_process_leaves_nothing_in_flight() {
    let gate = Gate::default();
    let engine = holding("w", &gate);
    let httpd = balanced(&[("w", &engine)], "worker.w.max_inflight=1\nworker.lb.max_inflight=1")
        .size(4, 1)
        .start();
    let _held = hold(&httpd, "/hold");
    engine.wait_until("it is there", |seen| seen.requests.len() == 1);
    assert!(is_refused(&get(&httpd, "/x")));
    assert!(process::signal(Target::Process(httpd.only_child()), libc::SIGKILL));
    for name in ["w", "lb"] {
        assert!(httpd.wait_log(&format!("({name}) busy_repaired: "), DEADLINE));
    }
    wait_until("it serves again", || get(&httpd, "/x").status() == 200);
    gate.open();
}

#[test]
fn engines_are_checked_by_one_process_of_all() {
    let [a, b] = [(); 2].map(|()| Engine::recording().start());
    let begin = Instant::now();
    let httpd = balanced(
        &[("a", &a), ("b", &b)],
        "worker.a.health_check_interval=1\nworker.lb.recover_time=3600",
    )
    .mpm(Mpm::Event)
    .size(2, 4)
    .start();
    wait_until("four children run", || httpd.child_pids().len() == 4);
    a.wait_until("five checks", |seen| seen.pings >= 5);
    let count = |engine: &Engine| {
        let seen = engine.seen();
        (seen.pings, seen.connections.len())
    };
    let ((pings, connections), seconds) = (count(&a), begin.elapsed().as_secs());
    assert!(connections >= pings, "each on a connection of its own");
    assert!(pings <= usize::try_from(seconds).unwrap() + 2, "{pings} in {seconds} s");
    assert_eq!(b.seen().pings, 0);
    // Out and back without a request.
    a.refuse();
    assert!(httpd.wait_log("(a) health_check_failed: ", DEADLINE));
    assert!(httpd.wait_log("(lb) member_down: ", DEADLINE));
    a.listen();
    assert!(httpd.wait_log("(a) health_check_passed: the engine answers again", DEADLINE));
    assert!(httpd.wait_log("(lb) member_up: ", DEADLINE));
    assert_eq!(httpd.jk_log().matches("(a) health_check_failed: ").count(), 1, "told once");
    assert_eq!((a.requests().len(), b.requests().len()), (0, 0));
    // Whoever makes the checks may die.
    for child in httpd.child_pids() {
        assert!(process::signal(Target::Process(child), libc::SIGKILL));
    }
    let before = a.seen().pings;
    a.wait_until("others go on", |seen| seen.pings >= before + 3);
}

#[test]
fn an_engine_of_two_balancers_is_one_engine() {
    let gate = Gate::default();
    let (w, x) = (holding("w", &gate), holding("x", &gate));
    let httpd = balanced(
        &[("w", &w), ("x", &x)],
        "worker.list=other\nworker.other.type=lb\nworker.other.balance_workers=x,w\n\
         worker.w.max_inflight=1\nworker.w.health_check_interval=1\n\
         worker.lb.recover_time=3600\nworker.other.recover_time=3600",
    )
    .mount("/other/*", "other")
    .size(16, 1)
    .start();
    let mut held = hold(&httpd, "/hold;jsessionid=1.w");
    w.wait_until("it is there", |seen| seen.requests.len() == 1);
    assert!(is_refused(&get(&httpd, "/other/x;jsessionid=2.w")), "the limit is the engine's");
    assert_eq!(get(&httpd, "/other/x;jsessionid=2.x").text(), "x");
    gate.open();
    assert_eq!(held.read_response("GET").text(), "w");
    wait_until("there is room", || get(&httpd, "/other/x;jsessionid=2.w").text() == "w");
    // One check tells both of them.
    w.refuse();
    for name in ["lb", "other"] {
        assert!(httpd.wait_log(&format!("({name}) member_down: "), DEADLINE));
    }
    assert_eq!(httpd.jk_log().matches("(w) health_check_failed: ").count(), 1, "told once");
    w.listen();
    for name in ["lb", "other"] {
        assert!(httpd.wait_log(&format!("({name}) member_up: "), DEADLINE));
    }
}

/// A check that hangs holds up neither the others nor the end of a child.
#[test]
fn an_engine_that_hangs_does_not_hold_up_checks() {
    let silent = Engine::recording().ignore_cping().start();
    let good = Engine::recording().start();
    let lines = "worker.silent.health_check_interval=1\nworker.silent.ping_timeout=300000\n\
                 worker.good.health_check_interval=1\nworker.maintain=1\n";
    for mpm in Mpm::ALL {
        // The first check may be there before httpd says that it runs.
        let before = silent.seen().pings;
        let mut httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .size(2, 1)
            .worker("silent", &silent.endpoint())
            .worker("good", &good.endpoint())
            .workers(lines)
            .mount("/*", "good")
            .start();
        silent.wait_until("a check hangs", |seen| seen.pings > before);
        let before = good.seen().pings;
        good.wait_until("others go on", |seen| seen.pings >= before + 2);
        assert!(httpd.stop().success(), "{mpm:?}");
    }
}
