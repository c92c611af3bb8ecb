//! Processes of httpd that are killed in the middle of whatever they do, while engines come and go:
//! nothing stays locked, nothing stays counted, everything is served.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::load::{count, named, workers};
use super::scene::NAMES;
use crate::support::client::{self, Client, NoResponse};
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::process::{self, Target};
use crate::support::random::Random;
use crate::support::wait_until;

const CLIENTS: usize = 8;

/// Asks until `over`. What the client of a process that is killed gets is no answer.
fn keep_asking(httpd: &Httpd, over: &AtomicBool, served: &AtomicUsize, wrong: &Mutex<Vec<String>>) {
    let mut client = Client::connect(httpd.addr());
    while !over.load(Ordering::SeqCst) {
        let _ = client.send(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
        match client.try_read_response("GET") {
            Ok(answer) if answer.status() == 200 && answer.end.is_complete() => {
                served.fetch_add(1, Ordering::SeqCst);
            }
            Ok(answer) if answer.status() == 200 => client = Client::connect(httpd.addr()),
            Err(NoResponse::Closed | NoResponse::Reset | NoResponse::Truncated) => {
                client = Client::connect(httpd.addr());
            }
            other => wrong.lock().expect("no panic").push(format!("{other:?}")),
        }
    }
}

/// Requests that are counted as running at a member and its state, after a request of its own.
fn note(httpd: &Httpd, name: &str) -> Option<(String, String)> {
    let log = || std::fs::read_to_string(httpd.path("logs/busy.log")).unwrap_or_default();
    let before = log().matches('\n').count();
    let answer = client::get(httpd.addr(), &format!("/x;jsessionid=1.{name}"));
    assert_eq!(answer.status(), 200);
    wait_until("it is logged", || log().matches('\n').count() > before);
    let log = log();
    let words: Vec<&str> = log.lines().last()?.split(' ').collect();
    let [served_by, busy, state] = words[..] else { panic!("{words:?}") };
    (served_by == name).then(|| (busy.to_owned(), state.to_owned()))
}

fn kill_processes(mpm: Mpm, rounds: usize, random: &mut Random) {
    let engines: Vec<Engine> = named(&[0; 3]);
    let more = "worker.lb.method=B\nworker.maintain=1\nworker.lb.recover_time=1";
    let mut httpd = Httpd::builder(Module::Ours);
    httpd = match mpm {
        Mpm::Prefork => httpd.mpm(mpm).size(CLIENTS as u32, 1),
        _ => httpd.mpm(mpm).size(4, 4),
    };
    let httpd = httpd
        .modules(&["log_config"])
        .config("CustomLog logs/busy.log \"%{JK_LB_LAST_NAME}n %{JK_LB_LAST_BUSY}n %{JK_LB_LAST_STATE}n\"")
        .workers(&workers(&engines, &[2, 1, 1], more))
        .mount("/*", "lb")
        .start();
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let wrong: Mutex<Vec<String>> = Mutex::default();
    let more = |n: usize| {
        let before = served.load(Ordering::SeqCst);
        wait_until("requests are served", || {
            served.load(Ordering::SeqCst) >= before + n
                || !wrong.lock().expect("no panic").is_empty()
        });
    };
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| keep_asking(&httpd, &over, &served, &wrong));
        }
        for round in 0..rounds {
            more(50 + random.below(150));
            let engine = &engines[round % engines.len()];
            engine.refuse();
            engine.close_connections();
            // Some while it fails, some while it is tested.
            more(random.below(100));
            let children = httpd.child_pids();
            let victims = 1 + random.below(2);
            for _ in 0..victims {
                process::signal(Target::Process(random.pick(&children)), libc::SIGKILL);
                more(random.below(20));
            }
            engine.listen();
            wait_until("there are as many processes as before", || {
                httpd.child_pids().len() >= children.len()
            });
        }
        more(200);
        over.store(true, Ordering::SeqCst);
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} of {served:?}: {wrong:?}", wrong.len());
    for name in &NAMES[..3] {
        wait_until("nothing is counted and the member is sound", || {
            note(&httpd, name).is_some_and(|(busy, state)| busy == "0" && state.starts_with("OK"))
        });
    }
    // Each gets requests without a session.
    let before: Vec<usize> = engines.iter().map(|engine| engine.requests().len()).collect();
    for _ in 0..12 {
        assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
    }
    for (engine, before) in engines.iter().zip(before) {
        assert!(engine.requests().len() > before);
    }
}

#[test]
fn processes_that_are_killed_leave_nothing_behind() {
    let seed = std::env::var("JK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("JK_SEED={seed}");
    let mut random = Random::new(seed);
    for mpm in [Mpm::Event, Mpm::Prefork] {
        kill_processes(mpm, count(16, 2), &mut random);
    }
}
