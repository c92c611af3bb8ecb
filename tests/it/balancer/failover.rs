//! Engines that fail under requests: who answers instead, and how often a request is executed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::scene::engines;
use crate::support::client::{self, Client};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet;
use crate::support::process::{self, Target};
use crate::support::{DEADLINE, Gate, wait_until};

/// A balancer of these engines, which are called a, b and so on. `more`: properties.
fn balanced(engines: &[&Engine], more: &str) -> Httpd {
    balanced_under(Mpm::Event, engines, more)
}

fn balanced_under(mpm: Mpm, engines: &[&Engine], more: &str) -> Httpd {
    let names = &["a", "b", "c"][..engines.len()];
    let members: String =
        names.iter().zip(engines).map(|(name, engine)| engine.worker(name)).collect();
    let lines = format!(
        "worker.list=lb\nworker.maintain=1\nworker.lb.type=lb\n\
         worker.lb.balance_workers={}\n{members}{more}",
        names.join(",")
    );
    Httpd::builder(Module::Ours).mpm(mpm).size(16, 1).workers(&lines).mount("/*", "lb").start()
}

fn status(httpd: &Httpd, method: &str, body: &[u8]) -> u16 {
    Client::connect(httpd.addr()).request(method, "/x", &[], body).status()
}

/// An engine that reads a request and ends the connection.
fn closing() -> Engine {
    Engine::scripted(|conn, request| {
        conn.read_body(request)?;
        Ok(Action::Close)
    })
    .start()
}

#[test]
fn no_get_fails_when_an_engine_ends() {
    let engines = engines(3);
    let all: Vec<&Engine> = engines.iter().collect();
    let httpd = balanced(&all, "worker.lb.recover_time=1");
    let stop = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    let more = |n: usize| {
        let before = served.load(Ordering::SeqCst);
        wait_until("requests go on", || served.load(Ordering::SeqCst) >= before + n);
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut client = Client::connect(httpd.addr());
                while !stop.load(Ordering::SeqCst) {
                    assert_eq!(client.get("/x").status(), 200);
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for engine in &engines[..2] {
            more(100);
            engine.refuse();
            engine.close_connections();
            more(100);
            engine.listen();
            let before = engine.requests().len();
            engine.wait_until("it has requests again", |seen| seen.requests.len() > before);
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert!(httpd.wait_log("(lb) failover: ", DEADLINE));
}

#[test]
fn a_post_is_executed_once() {
    let (a, b) = (closing(), engines(1).remove(0));
    let httpd = balanced(&[&a, &b], "worker.lb.sticky_session=0");
    assert_eq!(status(&httpd, "POST", b"body"), 502);
    assert_eq!((a.requests().len(), b.requests().len()), (1, 0));
    // The next one goes to the other, as would one that could not be sent.
    assert_eq!(status(&httpd, "POST", b"body"), 200);
    assert_eq!((a.requests().len(), b.requests().len()), (1, 1));
    assert!(httpd.wait_log("(a) eof_before_head: ", DEADLINE));
}

#[test]
fn an_idempotent_request_goes_to_one_other_member() {
    let engines = [closing(), closing(), closing()];
    let all: Vec<&Engine> = engines.iter().collect();
    let httpd = balanced(&all, "worker.lb.lb_retries=3");
    assert_eq!(status(&httpd, "PUT", b"body"), 502);
    let executions: usize = engines.iter().map(|engine| engine.requests().len()).sum();
    assert_eq!(executions, 2);
}

#[test]
fn a_reply_timeout_is_not_repeated_on_the_same_member() {
    let a = Engine::scripted(|_, _| Ok(Action::Hold)).start();
    let b = engines(1).remove(0);
    let more = "worker.a.reply_timeout=200\nworker.a.retries=5\nworker.lb.max_reply_timeouts=9";
    let httpd = balanced(&[&a, &b], more);
    assert_eq!(status(&httpd, "GET", b""), 200);
    assert_eq!((a.requests().len(), b.requests().len()), (1, 1));
    // A sound member of another turn, and a request that nobody may repeat.
    let post = || Client::connect(httpd.addr()).request("POST", "/x;jsessionid=1.a", &[], b"body");
    assert_eq!(post().status(), 504);
    assert_eq!((a.requests().len(), b.requests().len()), (2, 1));
}

#[test]
fn a_post_that_could_not_be_sent_goes_elsewhere_with_its_body() {
    let engines = engines(2);
    let httpd = balanced(&[&engines[0], &engines[1]], "worker.lb.set_session_cookie=1");
    engines[0].refuse();
    let body = vec![b'x'; 20_000];
    let response = Client::connect(httpd.addr()).request("POST", "/x", &[], &body);
    assert_eq!(response.text(), "b b ACT 20000");
    let cookies = response.head.header_values("Set-Cookie");
    assert_eq!(cookies, ["JSESSIONID=.b;PATH=/;HttpOnly"], "one cookie, of the one who answers");
}

#[test]
fn fail_on_status_takes_the_member_out_and_repeats_nothing() {
    let a = Engine::answering(packet::answer(503, &[], b"down"), Action::Keep).start();
    let b = engines(1).remove(0);
    let httpd = balanced(&[&a, &b], "worker.a.fail_on_status=503");
    assert_eq!(status(&httpd, "GET", b""), 503);
    assert!(httpd.wait_log("from=OK/IDLE to=ERR", DEADLINE));
    for _ in 0..3 {
        assert_eq!(status(&httpd, "GET", b""), 200);
    }
    assert_eq!(a.requests().len(), 1);
    // As in C mod_jk for who asks for it.
    let wide = balanced(&[&a, &b], "worker.a.fail_on_status=503\nworker.a.recovery_options=0");
    assert_eq!(status(&wide, "GET", b""), 200);
    assert_eq!(a.requests().len(), 2);
}

#[test]
fn one_request_tests_a_member_that_recovers() {
    let (gate, holds) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (door, must_hold) = (gate.clone(), Arc::clone(&holds));
    let a = Engine::scripted(move |conn, request| {
        if must_hold.load(Ordering::SeqCst) {
            door.pass();
        }
        conn.send(&crate::support::engine::echo(request, 0))?;
        Ok(Action::Keep)
    })
    .start();
    let b = engines(1).remove(0);
    let httpd = balanced(&[&a, &b], "worker.lb.recover_time=1");
    a.refuse();
    assert_eq!(status(&httpd, "GET", b""), 200);
    holds.store(true, Ordering::SeqCst);
    a.listen();
    // Nobody asks meanwhile.
    assert!(httpd.wait_log("member_recovers", DEADLINE));
    let answered = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
                answered.fetch_add(1, Ordering::SeqCst);
            });
        }
        a.wait_until("the test is under way", |seen| seen.requests.len() == 1);
        wait_until("all others are answered", || answered.load(Ordering::SeqCst) == 6);
        assert_eq!(a.requests().len(), 1);
        gate.open();
    });
    assert!(httpd.wait_log("member_up", DEADLINE));
    for _ in 0..4 {
        assert_eq!(status(&httpd, "GET", b""), 200);
    }
    assert!(a.requests().len() > 1);
}

/// Fault L5 with slow_start: a member that is back gets less than its share at first.
#[test]
fn a_member_that_comes_back_has_a_slow_start() {
    for mpm in [Mpm::Event, Mpm::Prefork] {
        let engines = engines(2);
        let all: Vec<&Engine> = engines.iter().collect();
        let more = "worker.lb.recover_time=1\nworker.lb.slow_start=100000";
        let httpd = balanced_under(mpm, &all, more);
        engines[0].refuse();
        assert_eq!(status(&httpd, "GET", b""), 200);
        engines[0].listen();
        assert!(httpd.wait_log("member_recovers", DEADLINE));
        wait_until("the member is back", || {
            assert_eq!(status(&httpd, "GET", b""), 200);
            httpd.jk_log().contains("member_up")
        });
        let before = engines[0].requests().len();
        for _ in 0..100 {
            assert_eq!(status(&httpd, "GET", b""), 200);
        }
        // A tenth of its share of one half, and soon no more than that.
        let got = engines[0].requests().len() - before;
        assert!((1..=25).contains(&got), "{mpm:?}: {got} of 100 requests");
    }
}

/// Fault L9: while one member works on slow requests, the others go to the other one.
#[test]
fn busyness_keeps_requests_from_a_slow_member() {
    const SLOW: usize = 3;
    for mpm in [Mpm::Event, Mpm::Prefork] {
        let gate = Gate::default();
        let slow = Engine::behind(&gate);
        let fast = engines(1).remove(0);
        let more = "worker.lb.method=Busyness";
        let httpd = balanced_under(mpm, &[&slow, &fast], more);
        std::thread::scope(|scope| {
            let held: Vec<_> = (0..SLOW)
                .map(|number| {
                    // The route of its session takes each of them to `a`, whatever else is busy there.
                    let path = format!("/held/{number};jsessionid=1.a");
                    let httpd = &httpd;
                    scope.spawn(move || client::get(httpd.addr(), &path).status())
                })
                .collect();
            slow.wait_until("they are under way", |seen| seen.requests.len() == SLOW);
            for _ in 0..30 {
                assert_eq!(status(&httpd, "GET", b""), 200);
            }
            assert_eq!((slow.requests().len(), fast.requests().len()), (SLOW, 30), "{mpm:?}");
            gate.open();
            for client in held {
                assert_eq!(client.join().expect("a client"), 200);
            }
        });
        assert!(!httpd.jk_log().contains(" [error] "), "{}", httpd.jk_log());
    }
}

#[test]
fn members_recover_when_maintenance_is_off() {
    let engines = engines(2);
    let more = "worker.lb.recover_time=1\nworker.maintain=0";
    let names = engines.iter().zip(["a", "b"]).map(|(engine, name)| engine.worker(name));
    let httpd = Httpd::builder(Module::Ours)
        .size(4, 1)
        .workers(&format!(
            "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n{}{more}",
            names.collect::<String>()
        ))
        .mount("/*", "lb")
        .start();
    engines[0].refuse();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "b b ACT 0");
    engines[0].listen();
    wait_until("a serves again", || client::get(httpd.addr(), "/x").text() == "a a ACT 0");
}

#[test]
fn requests_are_spread_over_processes() {
    for mpm in Mpm::ALL {
        let engines = engines(2);
        let members: String =
            engines.iter().zip(["a", "b"]).map(|(engine, name)| engine.worker(name)).collect();
        let httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .size(4, 3)
            .workers(&format!(
                "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n\
                 worker.a.lbfactor=2\n{members}"
            ))
            .mount("/*", "lb")
            .start();
        wait_until("several children run", || httpd.child_pids().len() >= 3);
        // New connections reach all children, whose counts are one.
        for _ in 0..300 {
            assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
        }
        let [a, b] = [0, 1].map(|place: usize| engines[place].requests().len());
        assert!((190..=210).contains(&a) && a + b == 300, "{mpm:?} {a} {b}");
    }
}

#[test]
fn what_one_process_finds_all_know() {
    let engines = engines(2);
    let members: String =
        engines.iter().zip(["a", "b"]).map(|(engine, name)| engine.worker(name)).collect();
    let httpd = Httpd::builder(Module::Ours)
        .mpm(Mpm::Prefork)
        .size(4, 1)
        .workers(&format!(
            "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n{members}"
        ))
        .mount("/*", "lb")
        .start();
    engines[0].refuse();
    wait_until("several children run", || httpd.child_pids().len() >= 3);
    // Connections that stay keep their children, so that others get the next ones.
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(httpd.addr());
        assert_eq!(client.get("/x").status(), 200);
        clients.push(client);
    }
    for client in &mut clients {
        assert_eq!(client.get("/x").text(), "b b ACT 0");
    }
    assert!(httpd.wait_log("tried=a:connect_refused", DEADLINE));
    assert_eq!(httpd.jk_log().matches("tried=a:connect_refused").count(), 1);
    assert_eq!(httpd.jk_log().matches("(lb) member_down: ").count(), 1);
}

#[test]
fn a_killed_process_leaves_no_request_counted() {
    let holds = Arc::new(AtomicBool::new(true));
    let must_hold = Arc::clone(&holds);
    let engine = Engine::scripted(move |conn, request| {
        if must_hold.swap(false, Ordering::SeqCst) {
            return Ok(Action::Hold);
        }
        conn.send(&crate::support::engine::echo(request, 0))?;
        Ok(Action::Keep)
    })
    .start();
    let lines = "worker.maintain=1\nworker.w.busy_limit=1\n";
    let httpd = Httpd::builder(Module::Ours)
        .size(4, 1)
        .worker("w", &engine.endpoint())
        .workers(lines)
        .mount("/*", "w")
        .start();
    let mut client = Client::connect(httpd.addr());
    client.send(client::head("GET", "/x", &[]).as_bytes()).expect("sent");
    client.send(b"\r\n").expect("sent");
    engine.wait_until("the request is there", |seen| seen.requests.len() == 1);
    assert_eq!(client::get(httpd.addr(), "/x").status(), 503, "the worker has enough to do");
    let child = httpd.only_child();
    assert!(process::signal(Target::Process(child), libc::SIGKILL));
    assert!(httpd.wait_log("(w) busy_repaired: ", DEADLINE));
    assert!(httpd.jk_log().contains("; n=1"));
    assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
}

/// An engine that is being killed still accepts connections for a moment, and resets them.
#[test]
fn a_member_that_goes_down_does_not_get_a_request_again() {
    let dying = Engine::scripted(|conn, request| {
        if request.connection == 0 && request.uri() == "/first" {
            conn.send(&packet::answer(200, &[], b"a"))?;
            return Ok(Action::Keep);
        }
        Ok(Action::Reset)
    })
    .ignore_cping()
    .start();
    let sound = Engine::scripted(|conn, _| {
        conn.send(&packet::answer(200, &[], b"b"))?;
        Ok(Action::Keep)
    })
    .start();
    let more = "worker.a.ping_timeout=50\nworker.b.activation=Disabled\nworker.a.redirect=b\n";
    let httpd = balanced(&[&dying, &sound], more);
    let mut client = Client::connect(httpd.addr());
    assert_eq!(client.get("/first").text(), "a");
    assert_eq!(client.get("/second").text(), "b", "{}", httpd.jk_log());
    assert_eq!(dying.requests().len(), 2, "the first, and the second once");
}
