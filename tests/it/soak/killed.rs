//! SIGKILL at random moments under load: for processes of httpd and engines together, and for the parent
//! of all. What is left serves, what is shared is right again, and nothing stays in the file system.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::content::{Wish, head};
use super::engine::EngineProcess;
use super::traffic::{Outcome, page, read, upload};
use super::{seed, watch};
use crate::balancer::load::count;
use crate::status::json::{self, Value};
use crate::support::client::{self, Client};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::process::{self, Target};
use crate::support::random::Random;
use crate::support::{DEADLINE, Endpoint, dawdle, eventually, wait_until};

const CLIENTS: u64 = 6;

#[derive(Default)]
struct Load {
    over: AtomicBool,
    served: AtomicUsize,
    failed: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Load {
    /// Asks until it is over. Whoever is served by what is killed gets an error or no answer, but never
    /// another one.
    fn ask(&self, addr: std::net::SocketAddr, seed: u64) {
        let mut random = Random::new(seed);
        let mut kept: Option<Client> = None;
        while !self.over.load(Ordering::SeqCst) {
            let wish = if random.one_in(3) { upload(&mut random) } else { page(&mut random) };
            let Some(mut client) = kept.take().or_else(|| Client::try_connect(addr).ok()) else {
                std::thread::yield_now();
                continue;
            };
            let _ = client.send(&request(wish));
            let (outcome, stays) = read(&mut client, wish);
            match outcome {
                Outcome::Served => {
                    self.served.fetch_add(1, Ordering::SeqCst);
                }
                Outcome::Wrong(what) => {
                    self.wrong.lock().expect("no panic").push(format!("{wish:x?}: {what}"));
                }
                _ => {
                    self.failed.fetch_add(1, Ordering::SeqCst);
                }
            }
            kept = stays.then_some(client);
        }
    }

    /// Waits for further requests to be served.
    fn more(&self, requests: usize) {
        let before = self.served.load(Ordering::SeqCst);
        wait_until("requests are served", || {
            self.served.load(Ordering::SeqCst) >= before + requests
                || !self.wrong.lock().expect("no panic").is_empty()
        });
    }
}

fn request(wish: Wish) -> Vec<u8> {
    let length = wish.upload.map(|length| format!("Content-Length: {length}\r\n"));
    [head(wish, &length.unwrap_or_default()).into_bytes(), wish.request_body()].concat()
}

fn start(mpm: Mpm, engines: &[EngineProcess]) -> Httpd {
    let names = ["a", "b", "c"];
    let mut workers = format!(
        "worker.list=lb,jk\nworker.jk.type=status\nworker.lb.type=lb\nworker.lb.recover_time=1\n\
         worker.lb.error_escalation_time=1\nworker.maintain=1\n\
         worker.lb.balance_workers={}\n",
        names.join(",")
    );
    for (name, engine) in names.iter().zip(engines) {
        workers += &engine.endpoint().worker(name);
        workers += &format!("worker.{name}.retry_interval=10\nworker.{name}.reply_timeout=5000\n");
    }
    let builder = Httpd::builder(Module::Ours).mpm(mpm);
    let builder = if mpm == Mpm::Prefork { builder.size(8, 1) } else { builder.size(4, 3) };
    builder.workers(&workers).mount("/soak/*", "lb").mount("/jk", "jk").start()
}

fn status(httpd: &Httpd) -> Option<Value> {
    let mut client = Client::try_connect(httpd.addr()).ok()?;
    client
        .send(b"GET /jk?mime=json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .ok()?;
    let answer = client.try_read_response("GET").ok()?;
    (answer.status() == 200).then(|| json::parse(&answer.text()))
}

fn ports(engines: &[EngineProcess]) -> Vec<u16> {
    let port = |engine: &EngineProcess| match engine.endpoint() {
        Endpoint::Tcp(addr) => addr.port(),
        Endpoint::Unix(_) => 0,
    };
    engines.iter().map(port).collect()
}

/// Waits until the status worker shows what is true: nobody is served, all members are sound, and as
/// many connections as there are.
fn settle(httpd: &Httpd, engines: &[EngineProcess]) {
    let ports = ports(engines);
    let mut last = String::new();
    let is_settled = eventually(DEADLINE, || {
        // A member in error is tried with a request.
        for _ in 0..engines.len() {
            client::get(httpd.addr(), &Wish { token: 1, length: 1, upload: None }.target());
        }
        let Some(status) = status(httpd) else { return false };
        let members = status.path("balancers.0.members").list();
        let number = |value: &Value, field| value.path(field).number().expect("a number") as usize;
        let connected: usize = members.iter().map(|member| number(member, "connected")).sum();
        let found = watch::connections(&ports).established;
        let busy: Vec<usize> = members.iter().map(|member| number(member, "busy")).collect();
        let states: Vec<&str> = members.iter().filter_map(|m| m.path("state").text()).collect();
        let all = number(status.path("balancers.0"), "busy");
        last =
            format!("busy {all} {busy:?}, states {states:?}, {connected} of {found} connections");
        all == 0
            && busy.iter().all(|busy| *busy == 0)
            && states.len() == engines.len()
            && states.iter().all(|state| state.starts_with("OK"))
            && connected == found
    });
    assert!(is_settled, "{last}");
}

fn kill_children_and_engines(mpm: Mpm, kills: usize) {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut engines: Vec<EngineProcess> = (0..3).map(|_| EngineProcess::start()).collect();
    let httpd = start(mpm, &engines);
    let load = Load::default();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (load, addr) = (&load, httpd.addr());
            scope.spawn(move || load.ask(addr, seed.wrapping_add(client << 40)));
        }
        for _ in 0..kills {
            load.more(5 + random.below(60));
            let engine = random.below(engines.len());
            engines[engine].kill();
            for _ in 0..1 + random.below(2) {
                // Some while the engine fails, some while it is tested.
                load.more(random.below(30));
                let children = httpd.child_pids();
                if !children.is_empty() {
                    process::signal(Target::Process(random.pick(&children)), libc::SIGKILL);
                }
            }
            engines[engine].launch();
        }
        load.more(100);
        load.over.store(true, Ordering::SeqCst);
    });
    let wrong = load.wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "JK_SEED={seed}: {wrong:?}");
    eprintln!("{mpm:?}: {kills} kills, {:?} served, {:?} failed", load.served, load.failed);
    settle(&httpd, &engines);
}

#[test]
fn children_and_engines_are_killed_under_event() {
    kill_children_and_engines(Mpm::Event, count(100, 6));
}

#[test]
fn children_and_engines_are_killed_under_prefork() {
    kill_children_and_engines(Mpm::Prefork, count(100, 6));
}

/// All files below a directory, but for logs.
fn files(root: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.extension().is_none_or(|extension| extension != "log") {
            all.insert(path);
        }
    }
    all
}

/// Files elsewhere that a process writes to or shares with others: it should have none.
fn files_elsewhere(pid: u32, root: &Path) -> Vec<String> {
    let is_elsewhere = |path: &str| {
        path.starts_with('/') && !Path::new(path).starts_with(root) && !path.starts_with("/dev/")
    };
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let mut all: Vec<String> =
        open.map(|path| path.display().to_string()).filter(|path| is_elsewhere(path)).collect();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let shared =
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|a| a.ends_with('s')));
    let shared = shared.filter_map(|line| line.split_whitespace().nth(5)).map(str::to_owned);
    all.extend(shared.filter(|path| is_elsewhere(path)));
    all
}

#[test]
fn a_parent_that_is_killed_leaves_nothing_behind() {
    let seed = seed();
    let mut random = Random::new(seed);
    let engines: Vec<EngineProcess> = (0..3).map(|_| EngineProcess::start()).collect();
    let mut httpd = start(Mpm::Event, &engines);
    let root = httpd.path("");
    // What httpd itself leaves when it is stopped, and has while it runs.
    let running = files(&root);
    httpd.stop();
    let stopped = files(&root);
    httpd.start_again();
    let (load, mut pids) = (Load::default(), Vec::new());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (load, addr) = (&load, httpd.addr());
            scope.spawn(move || load.ask(addr, seed.wrapping_add(client << 40)));
        }
        for _ in 0..count(20, 2) {
            load.more(10 + random.below(100));
            for pid in httpd.child_pids() {
                assert_eq!(files_elsewhere(pid, &root), Vec::<String>::new());
            }
            pids.push(httpd.pid());
            let orphans = httpd.kill_parent();
            if random.one_in(2) {
                // They go on for a while.
                dawdle(Duration::from_millis(random.below(50) as u64));
            }
            for orphan in &orphans {
                process::signal(Target::Process(*orphan), libc::SIGKILL);
            }
            let is_there = |pid: &u32| Path::new(&format!("/proc/{pid}/fd/0")).exists();
            wait_until("the orphans are gone", || !orphans.iter().any(is_there));
            pids.extend(orphans);
            let more: Vec<PathBuf> = files(&root).difference(&running).cloned().collect();
            assert!(more.is_empty(), "{more:?}");
            assert_eq!(watch::lasting_memory(&pids), Vec::<String>::new());
            httpd.start_again();
        }
        load.more(50);
        load.over.store(true, Ordering::SeqCst);
    });
    let wrong = load.wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "JK_SEED={seed}: {wrong:?}");
    settle(&httpd, &engines);
    assert!(httpd.stop().success());
    assert_eq!(files(&root), stopped);
    wait_until("no connection is left", || {
        watch::connections(&ports(&engines)) == watch::Connections::default()
    });
}
