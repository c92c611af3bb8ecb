//! Real Tomcats behind a balancer, one of which is killed and comes back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::client::{Client, NoResponse};
use crate::support::httpd::{Httpd, Module};
use crate::support::tomcat::Tomcat;
use crate::support::wait_until;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Clients that ask at the same time, and how often in a row one of the Tomcats is killed.
fn counts() -> (usize, usize) {
    if std::env::var_os("JK_LONG").is_some() { (32, 10) } else { (8, 1) }
}

/// Answers with what it is called.
fn start(name: &str) -> Tomcat {
    Tomcat::builder().max_threads(64).file("who/index.txt", name).start()
}

struct Load {
    over: AtomicBool,
    asked: AtomicUsize,
    /// Answers of each Tomcat.
    answers: [AtomicUsize; 3],
    /// Clients that were told that the engine broke off.
    broken: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    fn keep_asking(&self, httpd: &Httpd) {
        let mut client = Client::connect(httpd.addr());
        while !self.over.load(Ordering::Relaxed) {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let _ = client.send(b"GET /who/index.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
            match client.try_read_response("GET") {
                Ok(answer) if answer.status() == 200 => {
                    let name = answer.text();
                    let at = NAMES.iter().position(|known| *known == name).expect("a name");
                    self.answers[at].fetch_add(1, Ordering::Relaxed);
                }
                Ok(answer) if answer.status() == 502 => {
                    self.broken.fetch_add(1, Ordering::Relaxed);
                }
                // While its threads are being started httpd closes connections that are idle.
                Err(NoResponse::Closed | NoResponse::Reset) => {
                    client = Client::connect(httpd.addr());
                }
                other => self.wrong.lock().expect("no panic").push(format!("{other:?}")),
            }
        }
    }

    fn wait_for_more(&self, what: &str, counter: &AtomicUsize, more: usize) {
        let before = counter.load(Ordering::Relaxed);
        wait_until(what, || {
            counter.load(Ordering::Relaxed) >= before + more
                || !self.wrong.lock().expect("no panic").is_empty()
        });
    }
}

#[test]
fn nobody_notices_that_one_of_three_tomcats_is_killed() {
    let (clients, rounds) = counts();
    let mut tomcats = NAMES.map(start);
    let members: String =
        NAMES.iter().zip(&tomcats).map(|(name, tomcat)| tomcat.endpoint().worker(name)).collect();
    let httpd = Httpd::builder(Module::Ours)
        .size(16, 4)
        .workers(&format!(
            "worker.list=lb\nworker.maintain=1\nworker.lb.type=lb\nworker.lb.recover_time=1\n\
             worker.lb.balance_workers={}\n{members}",
            NAMES.join(",")
        ))
        .mount("/*", "lb")
        .start();
    let load = Load {
        over: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
        answers: Default::default(),
        broken: AtomicUsize::new(0),
        wrong: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| load.keep_asking(&httpd));
        }
        for round in 0..rounds {
            let at = round % NAMES.len();
            for (name, answers) in NAMES.iter().zip(&load.answers) {
                load.wait_for_more(&format!("answers of {name}"), answers, 50);
            }
            tomcats[at].kill();
            load.wait_for_more("requests without it", &load.asked, 500);
            tomcats[at].launch();
            load.wait_for_more("its return", &load.answers[at], 50);
        }
        load.over.store(true, Ordering::Relaxed);
    });
    let wrong = load.wrong.lock().expect("no panic");
    assert!(wrong.is_empty(), "{} of {:?}: {wrong:?}", wrong.len(), load.asked);
    let log = httpd.jk_log();
    // Nobody else gets a request whose answer has begun (spec/reliability.md 0).
    let begun = log.lines().filter(|line| line.contains("_mid_body: ")).count();
    assert_eq!(load.broken.load(Ordering::Relaxed), begun, "{log}");
    assert!(log.contains(" member_down: "), "{log}");
    assert!(log.contains(" member_up: "), "{log}");
}
