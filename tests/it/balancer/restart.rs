//! What outlives a graceful restart of httpd, and what does not.
//!
//! Some restarts under load, or 50 of each MPM with JK_LONG=1 (`misc/dev long`).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::client::{self, Client, NoResponse};
use crate::support::engine::{Action, Conn, Engine, echo};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet::Request;
use crate::support::process::{self, Target};
use crate::support::{DEADLINE, Gate, eventually, is_sanitized, wait_until};

/// An engine that never answers: each request is seen, and fails.
fn broken() -> Engine {
    Engine::scripted(|conn, request| {
        conn.read_body(request)?;
        Ok(Action::Close)
    })
    .start()
}

/// An engine that says which path it was asked for.
fn sound() -> Engine {
    Engine::scripted(answer).start()
}

fn answer(conn: &mut Conn, request: &Request) -> std::io::Result<Action> {
    conn.send(&echo(request, 0))?;
    Ok(Action::Keep)
}

/// The workers file of a balancer of these members. `more`: properties.
fn workers(members: &[(&str, &Engine)], more: &str) -> String {
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let lines: String = members.iter().map(|(name, engine)| engine.worker(name)).collect();
    format!(
        "worker.list=lb\nworker.maintain=1\nworker.lb.type=lb\nworker.lb.recover_time=3600\n\
         worker.lb.balance_workers={}\n{lines}{more}\n",
        names.join(",")
    )
}

fn balanced(mpm: Mpm, members: &[(&str, &Engine)]) -> Httpd {
    Httpd::builder(Module::Ours)
        .mpm(mpm)
        .size(4, 2)
        .workers(&workers(members, ""))
        .mount("/*", "lb")
        .start()
}

/// Asks with a connection of its own.
fn ask(httpd: &Httpd) -> u16 {
    let request = "GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut client = Client::connect(httpd.addr());
    client.send(request.as_bytes()).expect("sent");
    client.read_response("GET").status()
}

/// Each member gets one of them, unless it is in error.
fn ask_some(httpd: &Httpd) {
    for _ in 0..6 {
        assert_eq!(ask(httpd), 200);
    }
}

/// The last line of the log about what was kept, from its fields on.
fn kept(httpd: &Httpd) -> String {
    let log = httpd.jk_log();
    let line = log.lines().rfind(|line| line.contains(" states_kept: ")).unwrap_or_default();
    line.split_once("; ").map(|(_, fields)| fields.to_owned()).unwrap_or_default()
}

fn rewrite(httpd: &Httpd, workers: &str) {
    std::fs::write(httpd.path("conf/workers.properties"), workers).expect("workers.properties");
}

#[test]
fn a_member_in_error_stays_out_until_a_full_restart() {
    for mpm in Mpm::ALL {
        let (a, b) = (broken(), sound());
        let mut httpd = balanced(mpm, &[("a", &a), ("b", &b)]);
        ask_some(&httpd);
        assert_eq!(a.requests().len(), 1, "{mpm:?}");
        assert!(!httpd.jk_log().contains("states_"), "{mpm:?}: nothing is kept at the start");
        for restarts in 1..=2 {
            httpd.graceful();
            ask_some(&httpd);
            assert_eq!(a.requests().len(), 1, "{mpm:?}");
            assert_eq!(httpd.jk_log().matches(" states_kept: ").count(), restarts, "{mpm:?}");
            assert_eq!(kept(&httpd), "kept=2 edits=0 new=- dropped=- moved=-", "{mpm:?}");
        }
        httpd.restart();
        ask_some(&httpd);
        assert_eq!(a.requests().len(), 2, "{mpm:?}");
        assert_eq!(httpd.jk_log().matches(" states_kept: ").count(), 2, "{mpm:?}");
        // It is known again from here on.
        httpd.graceful();
        ask_some(&httpd);
        assert_eq!(a.requests().len(), 2, "{mpm:?}");
    }
}

#[test]
fn members_come_and_go_by_name() {
    let (a, b, c, elsewhere) = (broken(), sound(), sound(), broken());
    let mut httpd = balanced(Mpm::Event, &[("a", &a), ("b", &b)]);
    ask_some(&httpd);
    assert_eq!(a.requests().len(), 1);
    let mappings = shared(httpd.pid());

    rewrite(&httpd, &workers(&[("c", &c), ("b", &b), ("a", &a)], ""));
    httpd.graceful();
    ask_some(&httpd);
    assert_eq!(kept(&httpd), "kept=2 edits=0 new=lb.c dropped=- moved=-");
    assert_eq!(a.requests().len(), 1, "what is known of it went on");
    assert!(!c.requests().is_empty() && c.requests().len() < 6, "it has its share");

    // The name of an engine that is elsewhere now says nothing of this one.
    rewrite(&httpd, &workers(&[("c", &c), ("a", &elsewhere)], ""));
    httpd.graceful();
    ask_some(&httpd);
    assert_eq!(kept(&httpd), "kept=1 edits=0 new=- dropped=lb.b moved=lb.a");
    assert_eq!((a.requests().len(), elsewhere.requests().len()), (1, 1));

    // One that was away is a new one.
    rewrite(&httpd, &workers(&[("c", &c), ("a", &elsewhere), ("b", &b)], ""));
    httpd.graceful();
    ask_some(&httpd);
    assert_eq!(kept(&httpd), "kept=2 edits=0 new=lb.b dropped=- moved=-");
    assert_eq!(elsewhere.requests().len(), 1);

    // The memory of what is no longer there is given back.
    rewrite(&httpd, &workers(&[("a", &a), ("b", &b)], ""));
    httpd.graceful();
    assert_eq!(kept(&httpd), "kept=1 edits=0 new=- dropped=lb.c moved=lb.a");
    assert_eq!(shared(httpd.pid()), mappings);
}

#[test]
fn another_file_of_the_module_begins_anew() {
    let (a, b) = (broken(), sound());
    let module = std::fs::read(Module::Ours.path()).expect("the module");
    let mut httpd = Httpd::builder_without_jk()
        .size(4, 2)
        .file("mod_jk.so", &module)
        .file("conf/workers.properties", workers(&[("a", &a), ("b", &b)], ""))
        .config(
            "LoadModule jk_module @ROOT@/mod_jk.so\nJkWorkersFile conf/workers.properties\n\
             JkLogFile logs/jk.log\nJkMount /* lb",
        )
        .start();
    ask_some(&httpd);
    httpd.graceful();
    ask_some(&httpd);
    assert_eq!(kept(&httpd), "kept=2 edits=0 new=- dropped=- moved=-");
    assert_eq!(a.requests().len(), 1);
    // As a package manager does it: the system goes on with what is loaded under this name.
    std::fs::write(httpd.path("new.so"), &module).expect("written");
    std::fs::rename(httpd.path("new.so"), httpd.path("mod_jk.so")).expect("renamed");
    httpd.graceful();
    ask_some(&httpd);
    assert_eq!(a.requests().len(), 1);
    // Another name is another copy, which cannot know what the first one means.
    std::fs::write(httpd.path("other.so"), &module).expect("written");
    let conf = std::fs::read_to_string(httpd.path("conf/httpd.conf")).expect("httpd.conf");
    let conf = conf.replace("/mod_jk.so", "/other.so");
    std::fs::write(httpd.path("conf/httpd.conf"), conf).expect("written");
    httpd.graceful();
    ask_some(&httpd);
    assert!(httpd.jk_log().contains(" states_forgotten: "), "{}", httpd.jk_log());
    assert_eq!(a.requests().len(), 2, "it is asked again");
    httpd.graceful();
    ask_some(&httpd);
    assert_eq!(httpd.jk_log().matches(" states_kept: ").count(), 3);
    assert_eq!(a.requests().len(), 2);
}

#[test]
fn requests_of_both_generations_are_counted_together() {
    let gate = Gate::default();
    let door = gate.clone();
    let engine = Engine::scripted(move |conn, request| {
        if request.uri() == "/held" {
            door.pass();
        }
        answer(conn, request)
    })
    .start();
    let mut httpd = Httpd::builder(Module::Ours)
        .size(4, 2)
        .worker("w", &engine.endpoint())
        .workers("worker.maintain=1\nworker.w.busy_limit=2")
        .mount("/*", "w")
        .start();
    let hold = |count: usize| {
        let mut client = Client::connect(httpd.addr());
        client.send(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        engine.wait_until("the request is there", |seen| seen.requests.len() == count);
        client
    };
    let mut first = hold(1);
    httpd.graceful();
    assert_eq!(ask(&httpd), 200);
    let hold = |count: usize| {
        let mut client = Client::connect(httpd.addr());
        client.send(b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        engine.wait_until("the request is there", |seen| seen.requests.len() == count);
        client
    };
    let mut second = hold(3);
    assert_eq!(ask(&httpd), 503, "one of the old children, one of the new");
    gate.open();
    assert_eq!(first.read_response("GET").status(), 200);
    assert_eq!(second.read_response("GET").status(), 200);
    wait_until("both are counted out", || ask(&httpd) == 200);
    assert!(!httpd.jk_log().contains("busy_repaired"));
}

/// Requests that go on during restarts.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    served: AtomicUsize,
    /// Connections that httpd closed between two requests, by what they are for.
    closed: Mutex<BTreeMap<&'static str, usize>>,
    wrong: Mutex<Vec<String>>,
}

/// Sends requests below `path` until the run is over. `is_kept`: with one connection, as long as
/// httpd keeps it, else with one for each.
fn keep_asking(load: &Load, addr: SocketAddr, path: &'static str, name: usize, is_kept: bool) {
    let mut connection: Option<Client> = None;
    let mut number = 0;
    while !load.over.load(Ordering::SeqCst) {
        let (target, body) = match path {
            "/static" => ("/static.txt".to_owned(), "static".to_owned()),
            _ => (format!("{path}/{name}-{number}"), format!("{path}/{name}-{number}")),
        };
        let was_used = connection.is_some();
        let mut client = connection.take().unwrap_or_else(|| Client::connect(addr));
        let close = if is_kept { "" } else { "Connection: close\r\n" };
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n");
        let sent = client.send(request.as_bytes()).map_err(NoResponse::from);
        match sent.and_then(|()| client.try_read_response("GET")) {
            Err(NoResponse::Closed | NoResponse::Reset) if was_used => {
                // httpd ends idle connections when it restarts; the request comes again.
                *load.closed.lock().expect("no panic").entry(path).or_default() += 1;
                continue;
            }
            Ok(answer)
                if answer.status() == 200 && answer.end.is_complete() && answer.text() == body =>
            {
                if is_kept && answer.header("Connection") != Some("close") {
                    connection = Some(client);
                }
            }
            other => {
                let text = format!("{target}: {other:?}, connection used before: {was_used}");
                load.wrong.lock().expect("no panic").push(text);
            }
        }
        number += 1;
        load.served.fetch_add(1, Ordering::SeqCst);
    }
}

/// The memory that a process shares with its children: number of mappings and KiB.
fn shared(pid: u32) -> (usize, u64) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("smaps");
    let (mut count, mut kib, mut is_ours) = (0, 0, false);
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, access, _, _, _, ..] if access.len() == 4 && access.ends_with(['p', 's']) => {
                is_ours = access.ends_with('s');
                count += usize::from(is_ours);
            }
            ["Size:", size, _] if is_ours => kib += size.parse::<u64>().expect("KiB"),
            _ => {}
        }
    }
    (count, kib)
}

#[test]
fn restarts_under_load_cost_nobody_anything() {
    restart_under_load(Mpm::Event, if is_long() { 50 } else { 6 });
}

#[test]
fn restarts_under_load_cost_nobody_anything_under_worker() {
    restart_under_load(Mpm::Worker, if is_long() { 50 } else { 4 });
}

#[test]
fn restarts_under_load_cost_nobody_anything_under_prefork() {
    restart_under_load(Mpm::Prefork, if is_long() { 50 } else { 4 });
}

fn is_long() -> bool {
    std::env::var_os("JK_LONG").is_some()
}

fn restart_under_load(mpm: Mpm, restarts: usize) {
    let (a, b, broken) = (sound(), sound(), broken());
    let mut httpd = Httpd::builder(Module::Ours)
        .mpm(mpm)
        .size(24, 2)
        .workers(&workers(&[("a", &a), ("b", &b), ("broken", &broken)], ""))
        .mount("/app/*", "lb")
        .file("htdocs/static.txt", "static")
        .start();
    wait_until("the broken one is out", || {
        assert_eq!(client::get(httpd.addr(), "/app/x").status(), 200);
        httpd.jk_log().contains("member_down")
    });
    let tries = broken.requests().len();
    let (addr, pid) = (httpd.addr(), httpd.pid());
    let level = |httpd: &Httpd| (shared(pid), httpd.fd_count(pid));
    let load = Load::default();
    let (mut before, mut after, mut growth) = (None, None, 0);
    std::thread::scope(|scope| {
        for name in 0..4 {
            let load = &load;
            scope.spawn(move || keep_asking(load, addr, "/app", name, true));
            scope.spawn(move || keep_asking(load, addr, "/static", name, true));
            scope.spawn(move || keep_asking(load, addr, "/app", name + 10, false));
        }
        let mut goes_on = true;
        for restart in 0..restarts {
            let served = load.served.load(Ordering::SeqCst);
            httpd.graceful();
            goes_on &= eventually(DEADLINE, || load.served.load(Ordering::SeqCst) >= served + 60);
            // httpd itself settles during the first ones.
            if restart == 2 {
                before = Some((level(&httpd), httpd.anon_kib(pid)));
            }
        }
        after = Some(level(&httpd));
        if let Some((_, kib)) = before {
            growth = httpd.anon_kib(pid).saturating_sub(kib);
        }
        load.over.store(true, Ordering::SeqCst);
        assert!(goes_on, "requests stopped");
    });
    let closed = load.closed.into_inner().expect("no panic");
    let served = load.served.into_inner();
    eprintln!(
        "{mpm:?}: {restarts} restarts, {served} requests; closed {closed:?}; parent +{growth} KiB"
    );
    let wrong = load.wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} wrong, the first: {}", wrong.len(), wrong[0]);
    assert_eq!(before.map(|(level, _)| level), after, "mappings, their KiB, descriptors");
    assert!(growth < 1024 || is_sanitized(), "the parent grew by {growth} KiB");
    assert_eq!(broken.requests().len(), tries, "the state of a member was forgotten");
    assert_eq!(httpd.jk_log().matches(" states_kept: ").count(), restarts);
    assert!(!httpd.jk_log().contains("busy_repaired"), "a request was counted wrongly");
    let of = |path| closed.get(path).copied().unwrap_or_default();
    // Both have as many clients; each restart may find each of them idle.
    assert!(of("/app") <= of("/static") + restarts / 2 + 4, "{closed:?}");
}

#[test]
fn children_that_are_killed_all_the_time_leave_counts_right() {
    let kills = if is_long() { 60 } else { 8 };
    let (a, b) = (sound(), sound());
    let more = "worker.a.busy_limit=100\nworker.b.busy_limit=100";
    let mut httpd = Httpd::builder(Module::Ours)
        .modules(&["log_config"])
        .size(8, 3)
        .workers(&workers(&[("a", &a), ("b", &b)], more))
        .mount("/*", "lb")
        .config("CustomLog logs/busy.log \"%{JK_LB_LAST_NAME}n=%{JK_LB_LAST_BUSY}n\"")
        .start();
    let (addr, over, served) = (httpd.addr(), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let mut client = Client::connect(addr);
                    let _ = client.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
                    // Whoever is served by a child that is killed gets nothing.
                    if client.try_read_response("GET").is_ok_and(|answer| answer.status() == 200) {
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let mut goes_on = true;
        for kill in 0..kills {
            let before = served.load(Ordering::SeqCst);
            goes_on &= eventually(DEADLINE, || served.load(Ordering::SeqCst) >= before + 40);
            if let Some(child) = httpd.child_pids().get(kill % 3) {
                process::signal(Target::Process(*child), libc::SIGKILL);
            }
            if kill % 4 == 3 {
                httpd.graceful();
            }
        }
        over.store(true, Ordering::SeqCst);
        assert!(goes_on, "requests stopped");
    });
    // Nobody is asking any more: but for the request that is noted, none is counted.
    wait_until("all counts are right", || {
        for _ in 0..4 {
            assert_eq!(ask(&httpd), 200);
        }
        let log = std::fs::read_to_string(httpd.path("logs/busy.log")).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(4).collect();
        last.contains(&"a=0") && last.contains(&"b=0") && last.iter().all(|l| l.ends_with("=0"))
    });
}
