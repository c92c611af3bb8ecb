//! Tests of the attempts of a request, against scripted engines.
#![forbid(unsafe_code)]

use super::*;
use crate::config::balancer::Member;
use crate::config::worker::Label;
use crate::config::{PacketSize, RecoveryOptions};
use crate::host::Policy;
use crate::shared::Heap;
use crate::worker::balancer::testing::{balancer, layout, member};
use crate::worker::testing::{Memory as Client, Script, answer, begun, engine, read_packet};

use std::thread::JoinHandle;

/// Engines, one for each list of scripts, and a balancer of them. Its members are a, b, c.
struct Scene {
    balancer: Balancer,
    engines: Vec<JoinHandle<Vec<Vec<Vec<u8>>>>>,
}

fn alone(config: BalancerConfig, memory: Arc<Heap>) -> Balancer {
    let at = Positions::first(config.members.len());
    Balancer::new(config, &NameCache::default(), memory, at, None)
}

fn scene(scripts: Vec<Vec<Script>>, change: impl FnOnce(&mut BalancerConfig)) -> Scene {
    let names = ["a", "b", "c"];
    let (mut members, mut engines) = (Vec::new(), Vec::new());
    for (name, script) in names.into_iter().zip(scripts) {
        let refuses = script.is_empty();
        let (config, thread) = engine(script);
        if refuses {
            // Nobody listens there any more.
            thread.join().unwrap();
        } else {
            engines.push(thread);
        }
        let Member { mut worker, .. } = member(name);
        worker.target = config.target;
        worker.retries = 1;
        members.push(Member { worker, ..member(name) });
    }
    let mut config = balancer(&members);
    config.retries = 1;
    config.lb_retries = 9;
    change(&mut config);
    let memory = Arc::new(Heap::new(layout(members.len())));
    Scene { balancer: alone(config, memory), engines }
}

impl Scene {
    fn ask(&self, request: &mut Client) -> (Outcome, Report<'_>) {
        self.balancer.serve(&Buffers::new(1), request)
    }

    fn states(&self) -> Vec<&'static str> {
        self.balancer.group.states().into_iter().map(State::text).collect()
    }

    /// What each engine that was reached has seen.
    fn end(self) -> Vec<Vec<Vec<u8>>> {
        let seen = self.engines.into_iter().map(|engine| engine.join().unwrap().concat());
        seen.collect()
    }
}

fn holds(packet: &[u8], text: &str) -> bool {
    packet.windows(text.len()).any(|window| window == text.as_bytes())
}

fn unused() -> Vec<Script> {
    Vec::new()
}

#[test]
fn another_member_gets_a_request_that_could_not_be_sent() {
    let scene = scene(vec![unused(), vec![vec![Vec::new(), answer(b"b")]]], |_| ());
    let mut request = Client::post(b"body");
    let (outcome, report) = scene.ask(&mut request);
    assert_eq!((outcome, &request.client[..]), (Outcome::Completed, &b"b"[..]));
    assert_eq!(request.logged("(lb) failover: "), 1);
    assert_eq!(request.logged("to=b tried=a:connect_refused"), 1);
    assert_eq!(request.logged("(a) member_failed: connect_refused"), 1);
    assert_eq!(request.logged("(lb) member_down"), 1);
    assert_eq!(
        (report.first.unwrap().name.to_string(), report.first.unwrap().state),
        ("a".into(), "ERR")
    );
    assert_eq!(
        (report.last.unwrap().name.to_string(), report.last.unwrap().state),
        ("b".into(), "OK")
    );
    // The one who answers is told its own route, and gets the body as well.
    assert_eq!(report.route.as_deref(), Some(&b"b"[..]));
    assert_eq!(scene.states(), ["ERR", "OK"]);
    let seen = scene.end();
    assert!(holds(&seen[0][0], "JK_LB_ACTIVATION\0\0\x03ACT"));
    assert!(holds(&seen[0][1], "body"));
}

#[test]
fn the_first_part_of_a_body_fits_the_packets_of_all_members() {
    let scene = scene(vec![unused(), vec![vec![Vec::new(), answer(b"b")]]], |config| {
        config.members[0].worker.packet_size = PacketSize::MAX;
    });
    let mut request = Client::post(&[b'x'; 20_000]);
    assert_eq!(scene.ask(&mut request).0, Outcome::Completed);
    assert_eq!(scene.end()[0][1].len(), PacketSize::MIN.bytes());
}

#[test]
fn what_may_have_been_executed_goes_to_one_other_member_if_idempotent() {
    let closes = || vec![vec![Vec::new()]];
    for (request, expected, status) in [
        (Client::get(), 2, None),
        (Client { method: "PUT", ..Client::post(b"x") }, 2, None),
        (Client::post(b"x"), 1, Some(502)),
    ] {
        let mut request = request;
        let scripts = if expected == 1 {
            vec![closes(), unused()]
        } else {
            vec![closes(), vec![vec![answer(b"b")]]]
        };
        let scene = scene(scripts, |_| ());
        let (outcome, _) = scene.ask(&mut request);
        let wanted = status.map_or(Outcome::Completed, Outcome::Refused);
        assert_eq!(outcome, wanted, "{}", request.method);
        let seen: usize = scene.end().iter().filter(|packets| !packets.is_empty()).count();
        assert_eq!(seen, expected, "{}", request.method);
    }
}

#[test]
fn two_executions_are_the_most() {
    let closes = || vec![vec![Vec::new()]];
    let scene = scene(vec![closes(), closes(), unused()], |config| config.retries = 3);
    let mut request = Client::get();
    let (outcome, _) = scene.ask(&mut request);
    assert_eq!(outcome, Outcome::Refused(502));
    assert_eq!(request.logged("eof_before_head"), 2);
    assert_eq!(scene.states(), ["ERR", "ERR", "OK/IDLE"]);
    assert_eq!(scene.end().len(), 2);
}

#[test]
fn a_member_that_may_have_executed_the_request_does_not_get_it_again() {
    let closes = || vec![vec![Vec::new()]];
    // No other one is there; the first is in error and would be forced.
    let scene = scene(vec![closes(), unused()], |config| {
        config.retries = 2;
        config.members[1].activation = Activation::Stopped;
        config.error_escalation_time = Duration::ZERO;
    });
    // It has been failing before, so that it is in error at once.
    scene.balancer.group.seat(0).unwrap().state.first_error_time.store(1, Ordering::Relaxed);
    let mut request = Client::get();
    let (outcome, _) = scene.ask(&mut request);
    assert_eq!(outcome, Outcome::Refused(502));
    assert_eq!(request.logged("(a) member_failed: eof_before_head"), 1);
    assert_eq!(request.logged("member_recovers"), 1);
    assert_eq!(request.logged("no_usable_member"), 1);
    assert_eq!(scene.end()[0].len(), 1);
}

#[test]
fn a_member_in_recovery_is_pinged_before_it_gets_what_cannot_be_repeated() {
    const CPING: [u8; 5] = [0x12, 0x34, 0, 1, 10];
    const CPONG: [u8; 5] = [b'A', b'B', 0, 1, 9];
    let hangs = vec![vec![Vec::new()]];
    let works = vec![vec![CPONG.to_vec(), Vec::new(), answer(b"a")]];
    let tests = [(hangs, &b"b"[..], "ERR"), (works, b"a", "OK")];
    for (script, served_by, state) in tests {
        let other = if served_by == b"b" { vec![vec![Vec::new(), answer(b"b")]] } else { unused() };
        let scene = scene(vec![script, other], |_| ());
        scene.balancer.group.seat(0).unwrap().state.set_state(State::Recover);
        let mut request = Client::post(b"body");
        let (outcome, _) = scene.ask(&mut request);
        assert_eq!((outcome, &request.client[..]), (Outcome::Completed, served_by));
        assert_eq!(scene.states()[0], state);
        assert_eq!(scene.end()[0][0], CPING);
    }
}

#[test]
fn what_has_begun_is_not_sent_again() {
    let partial = || vec![vec![begun(200, &[], b"part")]];
    let scene = scene(vec![partial(), unused()], |_| ());
    let mut request =
        Client { policy: Policy { flush_packets: true, ..Policy::default() }, ..Client::get() };
    let (outcome, _) = scene.ask(&mut request);
    assert_eq!(outcome, Outcome::Aborted);
    assert!(request.aborted);
    // Nor is an answer that has not reached the client, unless recovery_options are set.
    let uncommitted = self::scene(vec![partial(), unused()], |_| ());
    assert_eq!(uncommitted.ask(&mut Client::get()).0, Outcome::Refused(502));
    let wide = self::scene(vec![partial(), vec![vec![answer(b"b")]]], |config| {
        config.members[0].worker.recovery = RecoveryOptions(Some(0));
    });
    let mut request = Client::get();
    assert_eq!(wide.ask(&mut request).0, Outcome::Completed);
    assert_eq!((&request.client[..], request.retractions), (&b"b"[..], 1));
}

#[test]
fn rounds_pause_between_them_and_force_members() {
    let scene = scene(vec![unused(), unused()], |config| config.retries = 3);
    let mut request = Client::get();
    let (outcome, report) = scene.ask(&mut request);
    assert_eq!(outcome, Outcome::Refused(503));
    assert_eq!(*request.pauses.borrow(), [Duration::from_millis(9); 2]);
    // Once for a request, although the member is in error again.
    assert_eq!(request.logged("member_recovers"), 1);
    assert_eq!(request.logged("outcome=503"), 1);
    assert_eq!(report.first.unwrap().errors, 1);
}

#[test]
fn the_line_about_nobody_counts_the_attempts_at_all_members() {
    let scene = scene(vec![unused(), unused(), unused()], |config| {
        config.members[1].worker.retries = 2;
        config.members[2].activation = Activation::Stopped;
        config.error_escalation_time = Duration::ZERO;
        config.retries = 2;
    });
    scene.balancer.group.seat(1).unwrap().state.first_error_time.store(1, Ordering::Relaxed);
    let mut request = Client::get();
    assert_eq!(scene.ask(&mut request).0, Outcome::Refused(503));
    let tried = "a:connect_refused,b:connect_refused*2";
    let end = format!("tries=6 outcome=503 tried={tried},{tried}");
    assert_eq!(request.logged("no_usable_member"), 1, "{:?}", request.log);
    assert_eq!(request.logged(&end), 1, "{:?}", request.log);
}

#[test]
fn the_client_gets_one_cookie_of_the_member_that_answers() {
    let set = |config: &mut BalancerConfig| config.set_session_cookie = true;
    let two = || vec![unused(), vec![vec![answer(b"b")]]];
    let scene = scene(two(), set);
    let mut request = Client::get();
    scene.ask(&mut request);
    let cookies: Vec<&String> = request.cookies.iter().collect();
    assert_eq!(cookies, ["JSESSIONID=.b;PATH=/;HttpOnly"]);
    let secure = self::scene(two(), |config| {
        set(config);
        config.session_cookie_path = Label::default();
        config.members[1].route = Label::new(b"n.b").unwrap();
    });
    let mut request = Client { is_tls: true, ..Client::get() };
    secure.ask(&mut request);
    assert_eq!(request.cookies, ["JSESSIONID=.n.b;HttpOnly;Secure"]);
    // Who finds the member of its session has its cookie.
    let sticky = self::scene(two(), set);
    let mut request = Client { uri: "/x;jsessionid=1.b", ..Client::get() };
    sticky.ask(&mut request);
    assert!(request.cookies.is_empty());
}

#[test]
fn a_busy_member_is_passed_over() {
    let scene = scene(vec![vec![vec![answer(b"a")]], vec![vec![answer(b"b")]]], |_| ());
    let held = scene.balancer.workers[0].pool().acquire(Duration::ZERO).unwrap();
    let mut request = Client::get();
    assert_eq!(scene.ask(&mut request).0, Outcome::Completed);
    assert_eq!(request.client, b"b");
    assert_eq!(scene.states(), ["OK/BUSY", "OK"]);
    let seat = scene.balancer.group.seat(0).unwrap();
    assert_eq!(scene.balancer.group.load(&seat), 0, "it has had none of the load");
    drop(held);
    let mut request = Client::get();
    assert_eq!(scene.ask(&mut request).0, Outcome::Completed);
    assert_eq!(request.client, b"a");
    scene.end();
}

#[test]
fn a_reply_timeout_is_not_repeated_on_the_same_member() {
    let silent = || vec![vec![Vec::new(), Vec::new()]];
    let scene = scene(vec![silent(), vec![vec![answer(b"b")]]], |config| {
        for member in &mut config.members {
            member.worker.retries = 5;
            member.worker.recovery = RecoveryOptions(Some(0));
        }
        config.members[0].worker.reply_timeout = Some(Duration::from_millis(50));
    });
    let mut request = Client::get();
    assert_eq!(scene.ask(&mut request).0, Outcome::Completed);
    assert_eq!(request.logged("(a) member_failed: reply_timeout"), 1);
    assert_eq!(request.logged("retry:"), 0);
    assert_eq!(scene.states(), ["ERR", "OK"]);
    assert_eq!(scene.end()[0].len(), 1);
}

#[test]
fn the_log_says_where_sessions_go() {
    for (uri, event, level) in [
        ("/x;jsessionid=1.a", "session_moved", "[info]"),
        ("/x;jsessionid=1.z", "sticky_miss", "[debug]"),
        ("/x;jsessionid=/", "empty_session", "[info]"),
    ] {
        let scene = scene(vec![unused(), vec![vec![answer(b"b")]]], |_| ());
        scene.balancer.group.seat(0).unwrap().state.set_state(State::Error);
        let mut request = Client { uri, ..Client::get() };
        assert_eq!(scene.ask(&mut request).0, Outcome::Completed);
        assert_eq!(request.logged(&format!("{level} (lb) {event}: ")), 1, "{uri}");
        let log = request.log.borrow().join("\n");
        assert!(!log.contains("jsessionid"), "{log}");
        scene.end();
    }
}

#[test]
fn held_sessions_are_refused() {
    let scene = scene(vec![unused(), unused()], |config| config.sticky_session_force = true);
    let mut request = Client { uri: "/x;jsessionid=1.z", ..Client::get() };
    assert_eq!(scene.ask(&mut request).0, Outcome::Refused(503));
    assert_eq!(request.logged("session_held"), 1);
}

#[test]
fn requests_that_no_engine_can_take_change_nothing() {
    let scene = scene(vec![unused(), unused()], |_| ());
    let mut request = Client { query: Some("a b"), ..Client::get() };
    let (outcome, report) = scene.ask(&mut request);
    assert_eq!(outcome, Outcome::Refused(400));
    assert!(report.last.is_none());
    assert_eq!(scene.states(), ["OK/IDLE", "OK/IDLE"]);
}

#[test]
fn the_administrators_route_is_told_unless_another_member_serves() {
    // JK_ROUTE, what the engine of b is told
    for (route, told) in [("b", "b"), ("a", "b"), ("elsewhere", "elsewhere")] {
        let scene = scene(vec![unused(), vec![vec![answer(b"b")]]], |_| ());
        let mut request = Client { route: Some(route), ..Client::get() };
        let (_, report) = scene.ask(&mut request);
        assert_eq!(report.route.as_deref(), Some(told.as_bytes()), "{route}");
    }
}

#[test]
fn a_full_member_is_passed_over_and_stays_as_it_is() {
    let scene = scene(vec![unused(), vec![vec![answer(b"b")]]], |config| {
        config.members[0].worker.max_inflight = Some(1);
        config.retries = 5;
    });
    let inflight = |place: usize| &scene.balancer.group.seat(place).unwrap().worker.inflight.count;
    inflight(0).store(1, Ordering::Relaxed);
    let mut request = Client::get();
    assert_eq!(scene.ask(&mut request).0, Outcome::Completed);
    assert_eq!((&request.client[..], request.logged("failover")), (&b"b"[..], 0));
    // Its session cannot go elsewhere, and nobody waits.
    for level in ["[error]", "[debug]"] {
        let mut request = Client { uri: "/x;jsessionid=1.a", ..Client::get() };
        request.now.set(1000);
        let (outcome, report) = scene.ask(&mut request);
        assert_eq!(outcome, Outcome::Refused(503));
        assert!(report.last.is_none() && request.pauses.borrow().is_empty());
        let line = format!("{level} (lb) max_inflight: the member of the session may not have");
        assert_eq!(request.logged(&line), 1, "{:?}", request.log);
        assert_eq!(
            request.logged(
                "member=a:1/1 refused=1 phase=prepare in=0 out=0 body=0 tries=0 outcome=503"
            ),
            1
        );
    }
    assert_eq!(scene.states(), ["OK/IDLE", "OK"]);
    assert_eq!(inflight(0).load(Ordering::Relaxed), 1);
    let used = scene.balancer.group.seat(0).unwrap().worker.used.load(Ordering::Relaxed);
    assert_eq!(used, 0, "it was not chosen");
    scene.end();
}

#[test]
fn where_all_are_full_nobody_in_error_is_tried() {
    let scene = scene(vec![unused(), unused()], |config| {
        config.members[0].worker.max_inflight = Some(2);
        config.retries = 5;
    });
    scene.balancer.group.seat(0).unwrap().worker.inflight.count.store(2, Ordering::Relaxed);
    scene.balancer.group.seat(1).unwrap().state.set_state(State::Error);
    let mut request = Client::get();
    assert_eq!(scene.ask(&mut request).0, Outcome::Refused(503));
    assert!(request.pauses.borrow().is_empty());
    assert_eq!(request.logged("max_inflight: no usable member may have another request"), 1);
    assert_eq!(request.logged("members=a:2/2,b:0/- refused=1"), 1, "{:?}", request.log);
    assert_eq!(scene.states(), ["OK/IDLE", "ERR"]);
}

#[test]
fn all_members_together_have_a_limit() {
    let scene = scene(vec![unused(), vec![vec![answer(b"b")]]], |config| {
        config.max_inflight = Some(1);
        config.members[1].worker.max_inflight = Some(1);
    });
    let all = &scene.balancer.group.state().unwrap().inflight.count;
    // Over all attempts it is one request.
    assert_eq!(scene.ask(&mut Client::get()).0, Outcome::Completed);
    assert_eq!(all.load(Ordering::Relaxed), 0);
    all.store(1, Ordering::Relaxed);
    let mut request = Client::post(b"body");
    assert_eq!(scene.ask(&mut request).0, Outcome::Refused(503));
    assert_eq!(
        request.logged(
            "inflight=1 limit=1 refused=1 phase=prepare in=0 out=0 body=0 tries=0 outcome=503"
        ),
        1,
        "{:?}",
        request.log
    );
    assert_eq!(request.body.len(), 1, "nobody waits for the body of a request that is refused");
    assert_eq!(all.load(Ordering::Relaxed), 1);
    scene.end();
}

/// Answers everybody. Its port.
fn busy_engine() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer_all = |mut stream: std::net::TcpStream| {
        while read_packet(&mut stream).is_some() {
            std::io::Write::write_all(&mut stream, &answer(b"")).unwrap();
        }
    };
    // Its threads end with the test's process, if not before.
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer_all(stream));
        }
    });
    port
}

const CLIENTS: usize = 4;

#[test]
fn who_comes_while_another_one_forces_the_members_is_served_as_well() {
    let port = busy_engine();
    let mut only = member("a");
    only.worker.target = crate::config::Target::Tcp { host: "127.0.0.1".into(), port };
    only.worker.pool_size = CLIENTS;
    let mut config = balancer(&[only]);
    config.retries = 1;
    let memory = Arc::new(Heap::new(layout(1)));
    let balancer = alone(config, memory);
    let buffers = Buffers::new(CLIENTS);
    let state = balancer.group.seat(0).unwrap().state;
    let barrier = std::sync::Barrier::new(CLIENTS);
    let refused = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (balancer, buffers) = (&balancer, &buffers);
            let (barrier, refused) = (&barrier, &refused);
            scope.spawn(move || {
                for _ in 0..2000 {
                    if client == 0 {
                        state.set_state(State::Error);
                    }
                    barrier.wait();
                    let mut request = Client::get();
                    if balancer.serve(buffers, &mut request).0 != Outcome::Completed {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                    barrier.wait();
                }
            });
        }
    });
    assert_eq!(refused.into_inner(), 0);
}

#[test]
fn what_began_before_the_loads_did_adds_nothing_to_them() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut members = [member("a"), member("b")];
    members[0].worker.target = crate::config::Target::Tcp {
        host: "127.0.0.1".into(),
        port: listener.local_addr().unwrap().port(),
    };
    members[1].activation = Activation::Disabled;
    let mut config = balancer(&members);
    config.method = BalanceMethod::Traffic;
    let memory = Arc::new(Heap::new(layout(2)));
    let balancer = alone(config, memory);
    let load = || balancer.group.load(&balancer.group.seat(0).unwrap());
    for is_new in [false, true] {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                read_packet(&mut stream);
                if is_new {
                    // The unit is another one from now on.
                    balancer.forget_load();
                }
                std::io::Write::write_all(&mut stream, &answer(b"a")).unwrap();
            });
            let outcome = balancer.serve(&Buffers::new(1), &mut Client::get()).0;
            assert_eq!(outcome, Outcome::Completed);
        });
        assert_eq!(load() == 0, is_new);
    }
}
