//! Counters that are right: every number of every process against the clients' and the engines' own.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::formats::samples;
use super::{ask, json};
use crate::balancer::load::{PROCESSES, count, processes};
use crate::support::client::{self, Client, NoResponse};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet;
use crate::support::process::{self, Target};
use crate::support::wait_until;

/// An engine that counts what it sends.
struct Counting {
    engine: Engine,
    sent: Arc<AtomicU64>,
}

/// Answers with as many bytes as the path's last part says. `/once/`: it breaks off the first time that
/// it sees the path. `/lost/`: it always does.
fn counting() -> Counting {
    let sent = Arc::new(AtomicU64::new(0));
    let (counter, known) = (Arc::clone(&sent), Mutex::new(HashSet::new()));
    let engine = Engine::scripted(move |conn, request| {
        let uri = request.uri().to_owned();
        let is_new = known.lock().expect("no panic").insert(uri.clone());
        if uri.contains("/lost/") || (uri.contains("/once/") && is_new) {
            return Ok(Action::Close);
        }
        let body = conn.read_body(request)?;
        // Each further part of a body is asked for; the first one is not.
        let asked = body.len().saturating_sub(1) / 8186;
        let length = uri.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(7);
        let answer = packet::answer(200, &[], &vec![b'x'; length]);
        let asks = asked * packet::get_body_chunk(8186).len();
        // Before it is sent: the client may look as soon as it has it.
        counter.fetch_add((answer.len() + asks) as u64, Ordering::SeqCst);
        conn.send(&answer)?;
        Ok(Action::Keep)
    })
    .start();
    Counting { engine, sent }
}

impl Counting {
    /// Bytes that it has got.
    fn received(&self) -> u64 {
        let seen = self.engine.seen();
        let packets = seen.connections.iter().flat_map(|connection| &connection.packets);
        packets.map(|packet| packet.len() as u64).sum()
    }

    /// Requests that it has got, those that it broke off included.
    fn attempts(&self) -> u64 {
        self.engine.seen().requests.len() as u64
    }

    fn open(&self) -> u64 {
        self.engine.seen().open as u64
    }
}

/// What clients know of their requests to one worker.
#[derive(Debug, Default, Clone, Copy)]
struct Known {
    requests: u64,
    /// Answered by 502, 503 or 504.
    errors: u64,
    /// Answered by 413: nothing of them can be sent.
    client_errors: u64,
}

/// The kinds of requests by turns.
fn ask_one(client: &mut Client, httpd: &Httpd, number: usize, known: &mut [Known; 2]) {
    let large = "v".repeat(7000);
    let large = [("X-A", large.as_str()), ("X-B", large.as_str())];
    let upload = vec![b'u'; 20_000];
    // What is broken off is tried again where the connection was there before, so each client first has
    // a connection opened.
    let (worker, method, target, headers, body) = match number / PROCESSES % 10 {
        0 => (1, "GET", format!("/one/{number}"), &[][..], &[][..]),
        1 => (1, "GET", format!("/one/once/{number}"), &[][..], &[][..]),
        2 => (1, "POST", format!("/one/up/{number}"), &[][..], &upload[..]),
        3 => (1, "GET", format!("/one/lost/{number}"), &[][..], &[][..]),
        4 => (1, "GET", format!("/one/large/{number}"), &large[..], &[][..]),
        5 => (0, "POST", format!("/lb/up/{number}"), &[][..], &upload[..9000]),
        6 => (0, "GET", format!("/lb/{number}"), &[("Cookie", "JSESSIONID=1.a")][..], &[][..]),
        _ => (0, "GET", format!("/lb/{number}"), &[][..], &[][..]),
    };
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    if method == "POST" {
        headers.push(("Content-Length", &length));
    }
    let bytes = client::head(method, &target, &headers) + "\r\n";
    let answer = loop {
        // A request is sent again only where httpd has closed an idle connection without reading it.
        let _ = client.send(bytes.as_bytes());
        let _ = client.send(body);
        match client.try_read_response(method) {
            Ok(answer) => break answer,
            Err(NoResponse::Closed | NoResponse::Reset) => *client = Client::connect(httpd.addr()),
            Err(other) => panic!("{target}: {other:?}"),
        }
    };
    let known = &mut known[worker];
    known.requests += 1;
    match answer.status() {
        200 => assert_eq!(answer.body.len(), number, "{target}"),
        413 => known.client_errors += 1,
        502..=504 => known.errors += 1,
        other => panic!("{target}: {other}"),
    }
}

/// The numbers of one engine as JSON and Prometheus name them.
fn compare(
    what: &str,
    (json, labels): (&json::Value, &str),
    samples: &BTreeMap<String, f64>,
    expected: &[(&str, &str, u64)],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (field, metric, expected) in expected {
        let found = json.path(field).number();
        if found != Some(*expected as f64) {
            wrong.push(format!("{what}: JSON {field} is {found:?}, not {expected}"));
        }
        let series = format!("{metric}{{{labels}}}");
        let found = samples.get(&series);
        if found != Some(&(*expected as f64)) {
            wrong.push(format!("{what}: {series} is {found:?}, not {expected}"));
        }
    }
    wrong
}

#[test]
fn every_number_is_the_clients_and_the_engines_own() {
    let requests = count(10_000, 1200);
    let [a, b, one] = [(); 3].map(|()| counting());
    let httpd = processes()
        .workers(&format!(
            "worker.list=lb,one,st\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n\
             worker.st.type=status\n{}{}{}",
            a.engine.worker("a"),
            b.engine.worker("b"),
            one.engine.worker("one"),
        ))
        .mount("/jk", "st")
        .mount("/lb/*", "lb")
        .mount("/one/*", "one")
        .config("MaxKeepAliveRequests 0\nKeepAliveTimeout 60")
        .start();
    let mut known = [Known::default(); 2];
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..PROCESSES)
            .map(|first| {
                let httpd = &httpd;
                scope.spawn(move || {
                    let mut known = [Known::default(); 2];
                    let mut client = Client::connect(httpd.addr());
                    for number in (first..requests).step_by(PROCESSES) {
                        ask_one(&mut client, httpd, number, &mut known);
                    }
                    known
                })
            })
            .collect();
        for client in clients {
            for (all, part) in known.iter_mut().zip(client.join().expect("a client")) {
                all.requests += part.requests;
                all.errors += part.errors;
                all.client_errors += part.client_errors;
            }
        }
    });
    let [lb, alone] = known;
    assert_eq!((lb.requests + alone.requests, lb.errors), (requests as u64, 0));
    assert_eq!(alone.errors, requests as u64 / 10, "all of /lost/ and no other");
    assert_eq!(alone.client_errors, requests as u64 / 10);
    crate::balancer::load::all_processes_served(&httpd, requests);

    let document = json::parse(&ask(&httpd, "mime=json").text());
    let prometheus: BTreeMap<_, _> =
        samples(&ask(&httpd, "mime=prom").text()).into_iter().collect();
    let members = document.path("balancers.0.members");
    let mut wrong = Vec::new();
    for (at, name, counting) in [(0, "a", &a), (1, "b", &b)] {
        let labels = format!("balancer=\"lb\",member=\"{name}\"");
        let json = members.path(&at.to_string());
        let attempts = counting.attempts();
        let mut expected = numbers(counting, attempts, (0, 0, 0));
        expected[0].0 = "elected";
        let has_session = |request: &&packet::Request| request.header("cookie").is_some();
        let with_session = counting.engine.requests().iter().filter(has_session).count() as u64;
        assert_eq!(with_session > 0, name == "a");
        expected.push(("sessions", "jk_sessions_total", attempts - with_session));
        expected.push(("errors", "jk_member_failures_total", 0));
        wrong.extend(compare(name, (json, &labels), &prometheus, &expected));
    }
    assert_eq!(a.attempts() + b.attempts(), lb.requests);
    assert!(a.attempts() > 0 && b.attempts() > 0);
    let sent = alone.requests - alone.client_errors;
    let retries = one.attempts() - sent;
    assert_eq!(retries, 2 * alone.errors, "each of /once/ and of /lost/ was tried again, once");
    let expected = numbers(&one, alone.requests, (alone.errors, alone.client_errors, retries));
    let json = document.path("ajp_workers.0");
    wrong.extend(compare("one", (json, "worker=\"one\""), &prometheus, &expected));
    for (name, expected) in [
        ("jk_failovers_total{balancer=\"lb\"}", 0),
        ("jk_balancer_busy_requests{balancer=\"lb\"}", 0),
    ] {
        if prometheus[name] as u64 != expected {
            wrong.push(format!("{name} is {}", prometheus[name]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What JSON and Prometheus must say of an engine. `trouble`: errors, client errors, retries.
fn numbers(
    counting: &Counting,
    used: u64,
    (errors, client_errors, retries): (u64, u64, u64),
) -> Vec<(&'static str, &'static str, u64)> {
    vec![
        ("used", "jk_requests_total", used),
        ("client_errors", "jk_client_errors_total", client_errors),
        ("retries_total", "jk_retries_total", retries),
        ("transferred", "jk_sent_bytes_total", counting.received()),
        ("read", "jk_received_bytes_total", counting.sent.load(Ordering::SeqCst)),
        ("busy", "jk_busy_requests", 0),
        ("connected", "jk_connections", counting.open()),
        ("reply_timeouts_total", "jk_reply_timeouts_total", 0),
        ("latency.count", "jk_request_duration_seconds_count", used - client_errors),
        ("errors", "jk_errors_total", errors),
    ]
}

#[test]
fn connections_of_a_killed_process_do_not_stay_counted() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .mpm(Mpm::Prefork)
        .size(3, 1)
        .workers(&format!(
            "worker.list=one,st\nworker.maintain=1\nworker.st.type=status\n{}",
            engine.worker("one")
        ))
        .mount("/jk", "st")
        .mount("/one/*", "one")
        .start();
    let connected = || {
        let document = json::parse(&ask(&httpd, "mime=json").text());
        document.path("ajp_workers.0.connected").number().expect("a number") as usize
    };
    let open = || engine.seen().open;
    // Clients that stay keep their processes apart.
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(httpd.addr());
        assert_eq!(client.get("/one/x").status(), 200);
        clients.push(client);
    }
    wait_until("two processes have connections", || open() == 2 && connected() == 2);
    let of_engine = engine.seen().connections[0].peer.expect("TCP").port();
    let owner = httpd
        .child_pids()
        .into_iter()
        .find(|pid| has_port(*pid, of_engine))
        .expect("a process that has the connection");
    assert!(process::signal(Target::Process(owner), libc::SIGKILL));
    wait_until("the engine sees its connection end", || open() == 1);
    wait_until("what is counted is what is open", || connected() == open());
    assert!(httpd.jk_log().contains("(one) connected_repaired: "));
    drop(clients);
    assert_eq!(client::get(httpd.addr(), "/one/x").status(), 200);
    wait_until("and stays so", || connected() == open());
}

/// Whether a process has a TCP socket with this local port.
fn has_port(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the sockets");
    let inodes: Vec<String> = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let local = u16::from_str_radix(words[1].rsplit(':').next()?, 16).ok()?;
            (local == port).then(|| format!("socket:[{}]", words[9]))
        })
        .collect();
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    links.any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}
