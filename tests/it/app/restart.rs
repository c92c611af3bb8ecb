//! Tomcat is killed and comes back, httpd is restarted: while clients go on.
//!
//! 3,000 requests, or 20,000 with JK_LONG=1 (`misc/dev long`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::{self, Client, NoResponse, Response};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::tomcat::{PROBE, Tomcat};
use crate::support::{DEADLINE, Endpoint, eventually, wait_until};

const CLIENTS: usize = 32;

/// How a run is made.
struct Plan {
    mpm: Mpm,
    /// Threads of a child, and children; for prefork their product is the number of children.
    size: (u32, u32),
    /// connection_pool_size; `None` leaves it to the module.
    pool: Option<usize>,
    requests: usize,
}

/// What all clients of a run know.
#[derive(Default)]
struct Run {
    begun: AtomicUsize,
    /// Tomcat is back: from here on nothing may fail.
    back: AtomicBool,
    /// The harness asks Tomcat for a CPING now and then.
    launching: AtomicBool,
    begun_after: AtomicUsize,
    over: AtomicBool,
    /// Status, or what came instead, with its number of times.
    seen: Mutex<BTreeMap<String, usize>>,
    wrong: Mutex<Vec<String>>,
}

fn full() -> usize {
    if std::env::var_os("JK_LONG").is_some() { 20_000 } else { 3_000 }
}

/// One client connection that is kept as long as httpd keeps it.
fn keep_asking(run: &Run, addr: SocketAddr, name: usize) {
    let mut connection: Option<Client> = None;
    for number in 0.. {
        if run.over.load(Ordering::Relaxed) {
            return;
        }
        run.begun.fetch_add(1, Ordering::Relaxed);
        let must_work = run.back.load(Ordering::SeqCst);
        run.begun_after.fetch_add(usize::from(must_work), Ordering::Relaxed);
        let token = format!("{name}-{number}");
        let started = Instant::now();
        let is_kept = connection.is_some();
        let mut client = connection.take().unwrap_or_else(|| Client::connect(addr));
        let outcome = exchange(&mut client, &token, number);
        let time = started.elapsed();
        let (label, keeps, is_fine) = judge(&outcome, &token);
        *run.seen.lock().expect("no panic").entry(label.clone()).or_default() += 1;
        let is_allowed = is_fine || (!must_work && ["502", "503", "504"].contains(&&*label));
        if !is_allowed || time > DEADLINE {
            let text = format!(
                "{token}: {label} after {time:.1?}, connection kept: {is_kept}, Tomcat back: \
                 {must_work}; {:?}",
                outcome.map(|answer| answer.text())
            );
            run.wrong.lock().expect("no panic").push(text);
        }
        if keeps {
            connection = Some(client);
        }
    }
}

/// Every fourth request has a body and may not be sent twice.
fn exchange(client: &mut Client, token: &str, number: usize) -> Result<Response, NoResponse> {
    let (method, length) =
        if number % 4 == 3 { ("POST", 5_000 + number % 7_000) } else { ("GET", 0) };
    let mut request = format!("{method} /probe/?{token} HTTP/1.1\r\nHost: localhost\r\n");
    if length > 0 {
        request += &format!("Content-Length: {length}\r\n");
    }
    request += "\r\n";
    request.extend(std::iter::repeat_n('b', length));
    client.send(request.as_bytes())?;
    client.try_read_response(method)
}

/// What came, whether the connection lives, and whether it is the answer to this very request.
fn judge(outcome: &Result<Response, NoResponse>, token: &str) -> (String, bool, bool) {
    match outcome {
        Ok(answer) if !answer.end.is_complete() => (format!("{:?}", answer.end), false, false),
        Ok(answer) => {
            let keeps = answer.header("Connection") != Some("close");
            let is_own = answer.text().contains(&format!("\nquery={token}\n"));
            let label = match (answer.status(), is_own) {
                (200, false) => "200 to another request".to_owned(),
                (status, _) => status.to_string(),
            };
            (label, keeps, answer.status() == 200 && is_own)
        }
        Err(error) => (format!("{error:?}"), false, false),
    }
}

/// The sockets at httpd's end of connections to the engine, by inode, in a state or in any.
///
/// /proc/net/tcp is no snapshot: while it is read, connections end and others begin. Only what two
/// readings in a row have in common was open at one moment, the one between them.
fn sockets_to(port: u16, state: Option<&str>) -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let remote = format!(":{port:04X}");
    let mut sockets = BTreeSet::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, to, is, _, _, _, _, _, inode, ..] = fields[..] else { continue };
        if to.ends_with(&remote) && state.is_none_or(|state| state == is) {
            sockets.insert(inode.to_owned());
        }
    }
    sockets
}

/// Open connections to the engine.
fn connections_to(port: u16) -> BTreeSet<String> {
    sockets_to(port, Some("01"))
}

/// How many descriptors a process has for the engine, and how many others.
fn descriptors(pid: u32, port: u16) -> (usize, usize) {
    let engine = sockets_to(port, None);
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return (0, 0) };
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    let is_engine = |link: &std::path::PathBuf| {
        let name = link.to_string_lossy();
        let inode = name.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| engine.contains(inode))
    };
    let (engine, own): (Vec<_>, Vec<_>) = links.partition(is_engine);
    (engine.len(), own.len())
}

fn tomcat_restarts_in_the_middle(plan: &Plan) {
    let mut tomcat = Tomcat::builder().max_threads(200).file("probe/index.jsp", PROBE).start();
    let Endpoint::Tcp(engine) = tomcat.endpoint() else { panic!("not TCP") };
    let pool = plan.pool.map_or(String::new(), |size| {
        // A request may have to wait for one of them.
        format!("worker.w.connection_pool_size={size}\nworker.w.connection_acquire_timeout=20000")
    });
    let (threads, servers) = plan.size;
    let httpd = Httpd::builder(Module::Ours)
        .mpm(plan.mpm)
        .size(threads, servers)
        .worker("w", &tomcat.endpoint())
        .workers(&pool)
        .mount("/probe/*", "w")
        // It would start a few and then more by the second.
        .config(match plan.mpm {
            Mpm::Prefork => "StartServers 40\nMinSpareServers 40",
            _ => "",
        })
        .start();
    let most_children = match plan.mpm {
        Mpm::Prefork => threads * servers,
        _ => servers,
    };
    let most_children = usize::try_from(most_children).expect("small");
    let per_child =
        plan.pool.unwrap_or(if plan.mpm == Mpm::Prefork { 1 } else { threads as usize });
    let most = most_children * per_child;
    // The child that has answered is ready: what it has open for itself, each has.
    assert_eq!(client::get(httpd.addr(), "/probe/?first").status(), 200);
    let own = |pid: &u32| descriptors(*pid, engine.port()).1;
    let own_fds = httpd.child_pids().iter().map(own).max().expect("a child");

    let run = Run::default();
    let mut peak = 0;
    let started = Instant::now();
    std::thread::scope(|scope| {
        let addr = httpd.addr();
        for name in 0..CLIENTS {
            let run = &run;
            scope.spawn(move || keep_asking(run, addr, name));
        }
        let sampler = scope.spawn(|| {
            let (mut peak, mut before) = (0, BTreeSet::new());
            eventually(Duration::from_secs(600), || {
                // Asked before and after: the harness's own connection is not httpd's.
                let mut own = usize::from(run.launching.load(Ordering::SeqCst));
                let now = connections_to(engine.port());
                let open = before.intersection(&now).count();
                before = now;
                own = own.max(usize::from(run.launching.load(Ordering::SeqCst)));
                peak = peak.max(open.saturating_sub(own));
                run.over.load(Ordering::Relaxed)
            });
            peak
        });
        let begun = |wanted| move |run: &Run| run.begun.load(Ordering::Relaxed) >= wanted;
        let third = plan.requests / 3;
        let before = eventually(DEADLINE * 4, || begun(third)(&run));
        tomcat.kill();
        let down = run.begun.load(Ordering::Relaxed) + CLIENTS;
        let during = eventually(DEADLINE, || begun(down)(&run));
        run.launching.store(true, Ordering::SeqCst);
        tomcat.launch();
        run.launching.store(false, Ordering::SeqCst);
        run.back.store(true, Ordering::SeqCst);
        let after = eventually(DEADLINE * 4, || {
            begun(plan.requests)(&run) && run.begun_after.load(Ordering::Relaxed) >= third
        });
        run.over.store(true, Ordering::SeqCst);
        peak = sampler.join().expect("the sampler");
        assert!(before && during && after, "too slow: {before} {during} {after}");
    });
    let time = started.elapsed();

    let seen = run.seen.into_inner().expect("no panic");
    let total: usize = seen.values().sum();
    eprintln!(
        "{:?}: {total} requests in {time:.1?}, {} of them after Tomcat was back; {seen:?}; at most \
         {peak} connections to the engine of {most} allowed",
        plan.mpm,
        run.begun_after.into_inner()
    );
    let wrong = run.wrong.into_inner().expect("no panic");
    assert!(
        wrong.is_empty(),
        "{} wrong, the first:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(5)].join("\n")
    );
    assert!(total >= plan.requests, "{total}");
    assert!(seen.keys().any(|label| label.starts_with("50")), "nobody noticed: {seen:?}");
    assert!(peak <= most, "{peak} connections, {most_children} children with {per_child} each");
    assert!(peak > CLIENTS.min(most) / 4, "only {peak} connections were ever seen");

    // The clients are gone. What is left are the idle connections of the pools.
    let mut left = Vec::new();
    let is_idle = eventually(DEADLINE, || {
        let children = httpd.child_pids();
        left = children.iter().map(|pid| descriptors(*pid, engine.port())).collect();
        left.iter().all(|(engine, own)| *engine <= per_child && *own <= own_fds)
    });
    assert!(is_idle, "(to the engine, others) {left:?}, at most {per_child} and {own_fds}");
    tomcat.kill();
    drop(httpd);
    wait_until("no connection is left", || connections_to(engine.port()).is_empty());
}

#[test]
fn tomcat_restarts_in_the_middle_under_event() {
    // event closes idle clients' connections when its threads are all busy: more than clients.
    let plan = Plan { mpm: Mpm::Event, size: (40, 2), pool: Some(16), requests: full() };
    tomcat_restarts_in_the_middle(&plan);
}

#[test]
fn tomcat_restarts_in_the_middle_with_fewer_connections_than_clients() {
    let plan = Plan { mpm: Mpm::Event, size: (40, 2), pool: Some(4), requests: full() / 2 };
    tomcat_restarts_in_the_middle(&plan);
}

#[test]
fn tomcat_restarts_in_the_middle_under_worker() {
    // Here a client that is kept alive occupies a thread.
    let plan = Plan { mpm: Mpm::Worker, size: (20, 2), pool: None, requests: full() / 2 };
    tomcat_restarts_in_the_middle(&plan);
}

#[test]
fn tomcat_restarts_in_the_middle_under_prefork() {
    let plan = Plan { mpm: Mpm::Prefork, size: (40, 1), pool: None, requests: full() / 2 };
    tomcat_restarts_in_the_middle(&plan);
}

#[test]
fn a_graceful_restart_of_httpd_fails_no_request() {
    for mpm in Mpm::ALL {
        let mut httpd = super::app(mpm).size(8, 2).start();
        let first = httpd.child_pids();
        let (addr, over) = (httpd.addr(), AtomicBool::new(false));
        let served = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|name| {
                    let (over, served) = (&over, &served);
                    scope.spawn(move || -> Result<(), String> {
                        for number in 0.. {
                            if over.load(Ordering::Relaxed) {
                                break;
                            }
                            let token = format!("{name}-{number}");
                            let target = format!("/ivy/dump.jsp?{token}");
                            let request = format!(
                                "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                            );
                            let mut client = Client::connect(addr);
                            let _ = client.send(request.as_bytes());
                            let answer = client
                                .try_read_response("GET")
                                .map_err(|error| format!("{token}: {error:?}"))?;
                            let text = answer.text();
                            if answer.status() != 200
                                || !answer.end.is_complete()
                                || super::dumped(&text, "queryString") != token
                            {
                                return Err(format!("{token}: {} {text}", answer.status()));
                            }
                            served.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                })
                .collect();
            let mut moved_on = true;
            for _ in 0..3 {
                let before = served.load(Ordering::Relaxed);
                httpd.graceful();
                moved_on &= eventually(DEADLINE, || served.load(Ordering::Relaxed) >= before + 30);
            }
            over.store(true, Ordering::SeqCst);
            let failures: Vec<String> = clients
                .into_iter()
                .filter_map(|client| client.join().expect("a client").err())
                .collect();
            assert!(failures.is_empty() && moved_on, "{mpm:?}: {failures:?}");
        });
        wait_until("the first generation is gone", || {
            httpd.child_pids().iter().all(|pid| !first.contains(pid))
        });
    }
}
