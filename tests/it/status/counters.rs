//! Counters that are right: every number of every process against the clients' and the engines' own.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{ask, json};
use crate::balancer::load::{PROCESSES, count, processes};
use crate::support::client::{self, Client, NoResponse, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::Httpd;
use crate::support::strict;
use crate::support::{Gate, packet};

/// The engines: members of `lb`, and one by itself.
const NAMES: [&str; 3] = ["a", "b", "one"];
const ONE: usize = 2;

/// How long requests to `/one/slow/` are waited for.
const REPLY_TIMEOUT: Duration = Duration::from_millis(100);

/// How often a test takes member `a` out.
const BREAKS: u64 = 3;

/// An engine that counts what it sends.
struct Counting {
    engine: Engine,
    sent: Arc<AtomicU64>,
    gate: Gate,
}

/// Answers with as many bytes as the path's last part says, and its name. `/once/`: it breaks off the
/// first time that it sees the path. `/lost/`: it always does, and `/down/` if it is `a`. `/slow/`: it
/// says nothing. `/soft/`: it is `a` that answers 503. `/gate/`: it waits for the gate.
fn counting(name: &'static str) -> Counting {
    let sent = Arc::new(AtomicU64::new(0));
    let (counter, known) = (Arc::clone(&sent), Mutex::new(HashSet::new()));
    let gate = Gate::default();
    let door = gate.clone();
    let engine = Engine::scripted(move |conn, request| {
        let uri = request.uri().to_owned();
        let is_new = known.lock().expect("no panic").insert(uri.clone());
        let is_a = name == "a";
        if uri.contains("/lost/") || (uri.contains("/once/") && is_new) {
            return Ok(Action::Close);
        }
        if uri.contains("/down/") && is_a {
            return Ok(Action::Close);
        }
        if uri.contains("/slow/") {
            return Ok(Action::Hold);
        }
        if uri.contains("/gate/") {
            door.pass();
        }
        let body = conn.read_body(request)?;
        // Each further part of a body is asked for; the first one is not.
        let asked = body.len().saturating_sub(1) / 8186;
        let length = uri.rsplit('/').next().and_then(|n| n.parse().ok()).unwrap_or(7);
        let answer = match uri.contains("/soft/") && is_a {
            true => packet::answer(503, &[], b""),
            false => packet::answer(200, &[("X-Engine", name)], &vec![b'x'; length]),
        };
        let asks = asked * packet::get_body_chunk(8186).len();
        // Before it is sent: the client may look as soon as it has it.
        counter.fetch_add((answer.len() + asks) as u64, Ordering::SeqCst);
        conn.send(&answer)?;
        Ok(Action::Keep)
    })
    .start();
    Counting { engine, sent, gate }
}

impl Counting {
    /// Bytes that it has got.
    fn received(&self) -> u64 {
        let seen = self.engine.seen();
        let packets = seen.connections.iter().flat_map(|connection| &connection.packets);
        packets.map(|packet| packet.len() as u64).sum()
    }

    /// Bytes that it has sent, with its answers to pings.
    fn sent(&self) -> u64 {
        let pongs = self.engine.seen().pings * packet::cpong().len();
        self.sent.load(Ordering::SeqCst) + pongs as u64
    }

    /// Requests that it has got whose path has a part, those that it broke off included.
    fn attempts(&self, part: &str) -> u64 {
        self.engine.seen().requests.iter().filter(|r| r.uri().contains(part)).count() as u64
    }

    fn open(&self) -> u64 {
        self.engine.seen().open as u64
    }
}

/// What clients know of their requests to one engine.
#[derive(Debug, Default, Clone)]
struct Known {
    /// Requests that were for it, whoever answered in the end.
    used: u64,
    /// Those that it failed at.
    errors: u64,
    /// Those that nothing can be sent of.
    client_errors: u64,
    /// Those that it did not answer in time.
    reply_timeouts: u64,
    /// Those that count against it as a member.
    failures: u64,
    /// Those without a session.
    sessions: u64,
    /// How long the clients waited for those that were sent.
    times: Vec<Duration>,
}

/// What they know of all.
#[derive(Debug, Default, Clone)]
struct Tally {
    engines: [Known; 3],
    /// Requests that another member answered.
    failovers: u64,
}

impl Tally {
    /// Writes down what became of a request.
    fn add(&mut self, target: &str, has_session: bool, answer: &Response, time: Duration) {
        let name = answer.header("X-Engine");
        let server = NAMES.iter().position(|known| name == Some(known)).unwrap_or(ONE);
        let one = &mut self.engines[server];
        one.used += 1;
        one.sessions += u64::from(!has_session);
        match answer.status() {
            413 => one.client_errors += 1,
            status => {
                assert_eq!(status == 200, name.is_some(), "{target}: {status}");
                one.errors += u64::from(status != 200);
                one.reply_timeouts += u64::from(status == 504 && target.contains("/slow/"));
                one.times.push(time);
            }
        }
        if target.contains("/soft/") || target.contains("/down/") {
            assert_eq!(name, Some("b"), "{target}: a fails, b answers");
            let failed = &mut self.engines[0];
            failed.used += 1;
            failed.errors += 1;
            failed.failures += u64::from(target.contains("/down/"));
            failed.times.push(time);
            self.failovers += 1;
        }
    }

    fn merge(&mut self, other: Tally) {
        self.failovers += other.failovers;
        for (all, part) in self.engines.iter_mut().zip(other.engines) {
            all.used += part.used;
            all.errors += part.errors;
            all.client_errors += part.client_errors;
            all.reply_timeouts += part.reply_timeouts;
            all.failures += part.failures;
            all.sessions += part.sessions;
            all.times.extend(part.times);
        }
    }
}

/// A client with a connection of its own, which in these servers is a process of its own.
struct User<'h> {
    httpd: &'h Httpd,
    client: Client,
    tally: Tally,
}

impl<'h> User<'h> {
    fn new(httpd: &'h Httpd) -> Self {
        Self { httpd, client: Client::connect(httpd.addr()), tally: Tally::default() }
    }

    fn ask(&mut self, target: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Response {
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.unwrap_or_default();
        let length = body.len().to_string();
        let mut all = headers.to_vec();
        if method == "POST" {
            all.push(("Content-Length", &length));
        }
        let bytes = client::head(method, target, &all) + "\r\n";
        loop {
            let begin = Instant::now();
            // A request is sent again only where httpd has closed an idle connection without reading
            // it.
            let _ = self.client.send(bytes.as_bytes());
            let _ = self.client.send(body);
            match self.client.try_read_response(method) {
                Ok(answer) => {
                    let has_session = headers.iter().any(|(name, _)| *name == "Cookie");
                    self.tally.add(target, has_session, &answer, begin.elapsed());
                    return answer;
                }
                Err(NoResponse::Closed | NoResponse::Reset) => {
                    self.client = Client::connect(self.httpd.addr());
                }
                Err(other) => panic!("{target}: {other:?}"),
            }
        }
    }

    /// The kinds of requests by turns. What is broken off is tried again where the connection was
    /// there before, so those follow one that leaves it open.
    fn ask_one(&mut self, number: usize) {
        let large = "v".repeat(7000);
        let large = [("X-A", large.as_str()), ("X-B", large.as_str())];
        let upload = vec![b'u'; 20_000];
        let of_a = SESSIONS[0];
        let turn = number / PROCESSES;
        let (path, headers, body) = match turn % 12 {
            0 => ("/one/", &[][..], None),
            1 => ("/one/once/", &[][..], None),
            2 => ("/one/up/", &[][..], Some(&upload[..])),
            3 => ("/one/lost/", &[][..], None),
            4 => ("/one/large/", &large[..], None),
            5 => ("/lb/up/", &[][..], Some(&upload[..9000])),
            6 => ("/lb/", of_a, None),
            7 => ("/lb/soft/", of_a, None),
            11 if turn % 60 == 59 => ("/one/slow/", &[][..], None),
            _ => ("/lb/", &[][..], None),
        };
        let answer = self.ask(&format!("{path}{number}"), headers, body);
        let expected = match path {
            "/one/large/" => 413,
            "/one/slow/" => 504,
            "/one/lost/" => answer.status().clamp(502, 503),
            _ => 200,
        };
        assert_eq!(answer.status(), expected, "{path}");
        if expected == 200 {
            assert_eq!(answer.body.len(), number, "{path}");
        }
    }
}

/// Sessions of the members.
const SESSIONS: [&[(&str, &str)]; 2] =
    [&[("Cookie", "JSESSIONID=1.a")], &[("Cookie", "JSESSIONID=1.b")]];

/// All requests at the same time, with as many at each engine as there are processes.
fn load(httpd: &Httpd, engines: &[Counting; 3], requests: usize) -> Tally {
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..PROCESSES)
            .map(|first| {
                scope.spawn(move || {
                    let mut user = User::new(httpd);
                    for number in (first..requests).step_by(PROCESSES) {
                        user.ask_one(number);
                    }
                    user.ask("/lb/gate/1", SESSIONS[0], None);
                    user.ask("/lb/gate/1", SESSIONS[1], None);
                    user.ask("/one/gate/1", &[], None);
                    user.tally
                })
            })
            .collect();
        for one in engines {
            one.engine.wait_until("each process has a request here", |seen| {
                let waiting = seen.requests.iter().filter(|r| r.uri().contains("/gate/"));
                waiting.count() == PROCESSES
            });
            one.gate.open();
        }
        for client in clients {
            tally.merge(client.join().expect("a client"));
        }
    });
    tally
}

/// Takes `a` out again and again: each time it is the test of a member in recovery, and fails.
fn take_out(httpd: &Httpd) -> Tally {
    let mut user = User::new(httpd);
    for n in 0..BREAKS {
        user.ask(&format!("/lb/down/{n}"), SESSIONS[0], None);
        let shown = ask(httpd, "mime=prop&cmd=show&w=lb").text();
        assert!(shown.contains("worker.a.state=ERR\n"), "{shown}");
        assert_eq!(ask(httpd, "mime=txt&cmd=recover&w=lb&sw=a").status(), 200);
    }
    assert_eq!(user.ask("/lb/1", SESSIONS[0], None).header("X-Engine"), Some("a"));
    user.tally
}

/// Both documents, and what was wrong with them so far.
struct Shown {
    document: json::Value,
    samples: BTreeMap<String, f64>,
    /// Metrics that were compared.
    compared: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Shown {
    /// Compares a number with what it must be in between. An empty path: JSON does not have it.
    fn within(&mut self, path: &str, (metric, labels): (&str, &str), least: f64, most: f64) {
        let series =
            if labels.is_empty() { metric.to_owned() } else { format!("{metric}{{{labels}}}") };
        self.compared.insert(metric.to_owned());
        let here = self.samples.get(&series).copied();
        if !here.is_some_and(|number| (least..=most).contains(&number)) {
            self.wrong.push(format!("{series} is {here:?}, not {least} to {most}"));
        }
        let there = self.document.path(path).number();
        if !path.is_empty() && there != here {
            self.wrong.push(format!("{path} is {there:?}, {series} {here:?}"));
        }
    }

    fn is(&mut self, path: &str, series: (&str, &str), expected: u64) {
        self.within(path, series, expected as f64, expected as f64);
    }

    /// Compares what the clients and the engine know. `at`: where JSON has the engine.
    fn engine(&mut self, at: &str, labels: &str, known: &Known, counting: &Counting, max: u64) {
        let Known { used, errors, client_errors, reply_timeouts, .. } = *known;
        let retries = counting.attempts("/") - (used - client_errors);
        let (received, sent) = (counting.received(), counting.sent());
        let is_member = labels.contains("member=");
        let field = |name: &str| format!("{at}.{name}");
        let used_name = if is_member { "elected" } else { "used" };
        // A member's errors are those that count against it.
        let errors_path = if is_member { String::new() } else { field("errors") };
        self.is(&field(used_name), ("jk_requests_total", labels), used);
        self.is(&errors_path, ("jk_errors_total", labels), errors);
        self.is(&field("client_errors"), ("jk_client_errors_total", labels), client_errors);
        let timeouts = ("jk_reply_timeouts_total", labels);
        self.is(&field("reply_timeouts_total"), timeouts, reply_timeouts);
        self.is(&field("retries_total"), ("jk_retries_total", labels), retries);
        self.is(&field("transferred"), ("jk_sent_bytes_total", labels), received);
        self.is(&field("read"), ("jk_received_bytes_total", labels), sent);
        self.is(&field("busy"), ("jk_busy_requests", labels), 0);
        self.is(&field("max_busy"), ("jk_busy_requests_max", labels), max);
        self.is(&field("connected"), ("jk_connections", labels), counting.open());
        self.is(&field("max_connected"), ("jk_connections_max", labels), max);
        self.is("", ("jk_idle_connections", labels), counting.open());
        // One thread each.
        self.is("", ("jk_pool_size", labels), 1);
        let since = if errors > 0 { 1.0 } else { 0.0 };
        let now = if errors > 0 { unix() } else { 0.0 };
        self.within("", ("jk_last_error_timestamp_seconds", labels), since, now);
        self.latency(at, labels, known);
    }

    /// Who waits for an answer waits longer than the engine took; what timed out took as long as that.
    fn latency(&mut self, at: &str, labels: &str, known: &Known) {
        let name = "jk_request_duration_seconds";
        self.compared.insert(name.to_owned());
        let all = known.times.len() as u64;
        let slow = known.reply_timeouts as f64;
        let waited: Duration = known.times.iter().sum();
        let field = |name: &str| format!("{at}.latency.{name}");
        self.is(&field("count"), (&format!("{name}_count"), labels), all);
        let least = slow * REPLY_TIMEOUT.as_secs_f64();
        let sum = format!("{name}_sum");
        self.within(&field("sum"), (&sum, labels), least, waited.as_secs_f64());
        let buckets = self.document.path(&field("buckets")).list().len();
        assert!(buckets > 5, "{at}");
        for place in 0..buckets {
            let bound = self.document.path(&field(&format!("buckets.{place}.le"))).number();
            let in_time = |time: &&Duration| bound.is_none_or(|bound| time.as_secs_f64() <= bound);
            let least = known.times.iter().filter(in_time).count() as f64;
            let is_short = bound.is_some_and(|bound| bound < REPLY_TIMEOUT.as_secs_f64());
            let most = all as f64 - if is_short { slow } else { 0.0 };
            let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            let labels = format!("{labels},le=\"{bound}\"");
            let path = field(&format!("buckets.{place}.count"));
            self.within(&path, (&format!("{name}_bucket"), &labels), least, most);
        }
    }

    /// What is told of a member beside its engine.
    fn member(&mut self, at: &str, labels: &str, known: &Known) {
        let field = |name: &str| format!("{at}.{name}");
        self.is(&field("sessions"), ("jk_sessions_total", labels), known.sessions);
        self.is(&field("errors"), ("jk_member_failures_total", labels), known.failures);
        self.is(&field("lbfactor"), ("jk_member_factor", labels), 1);
        let load = self.document.path(&field("lbvalue")).number().unwrap_or(-1.0);
        self.within(&field("lbvalue"), ("jk_member_load", labels), 0.0, load);
        let words = [
            ("state", &["OK/IDLE", "OK", "ERR/REC", "ERR/FRC", "OK/BUSY", "ERR", "ERR/PRB"][..]),
            ("activation", &["ACT", "DIS", "STP"][..]),
        ];
        for (what, words) in words {
            let now = self.document.path(&field(what)).text().expect("a word").to_owned();
            assert!(["OK", "ACT"].contains(&now.as_str()), "{at}: {now}");
            for word in words {
                let labels = format!("{labels},{what}=\"{word}\"");
                let metric = format!("jk_member_{what}");
                self.is("", (&metric, &labels), u64::from(now == *word));
            }
        }
    }

    fn balancer(&mut self, tally: &Tally) {
        let labels = "balancer=\"lb\"";
        let field = |name: &str| format!("balancers.0.{name}");
        self.is(&field("failovers"), ("jk_failovers_total", labels), tally.failovers);
        self.is(&field("busy"), ("jk_balancer_busy_requests", labels), 0);
        let max = ("jk_balancer_busy_requests_max", labels);
        self.is(&field("max_busy"), max, PROCESSES as u64);
        for (rating, expected) in [("good", 2), ("degraded", 0), ("bad", 0)] {
            let labels = format!("{labels},rating=\"{rating}\"");
            self.is(&field(rating), ("jk_balancer_members", &labels), expected);
        }
    }
}

fn unix() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs_f64()
}

#[test]
fn every_number_is_the_clients_and_the_engines_own() {
    let requests = count(10_000, 1200);
    let engines = NAMES.map(counting);
    let [a, b, one] = [0, 1, 2].map(|at: usize| engines[at].engine.worker(NAMES[at]));
    let before = unix().floor();
    let httpd = processes()
        .workers(&format!(
            "worker.list=lb,one,st\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n\
             worker.st.type=status\n{a}worker.a.fail_on_status=-503\n\
             worker.a.recovery_options=4\n{b}{one}"
        ))
        .mount("/jk", "st")
        .mount("/lb/*", "lb")
        .mount("/one/*", "one")
        .mount("/one/slow/*", &format!("one;reply_timeout={}", REPLY_TIMEOUT.as_millis()))
        .config("MaxKeepAliveRequests 0\nKeepAliveTimeout 60")
        .start();
    let mut tally = load(&httpd, &engines, requests);
    crate::balancer::load::all_processes_served(&httpd, requests);
    tally.merge(take_out(&httpd));

    // Nothing that is compared has stayed at nothing.
    let [of_a, of_b, of_one] = &tally.engines;
    let turns = requests / PROCESSES;
    let [all, slow] = [12, 60].map(|every| (turns / every * PROCESSES) as u64);
    assert!(of_one.errors >= all && of_one.client_errors >= all && tally.failovers >= all);
    assert!(of_one.reply_timeouts >= slow && of_a.errors > of_a.failures);
    assert_eq!(of_a.failures, BREAKS);
    assert!(of_a.sessions > 0 && of_b.sessions > 0 && of_b.errors == 0);
    let lost = engines[ONE].attempts("/lost/") + engines[ONE].attempts("/once/");
    assert!(lost >= 4 * all, "each was tried again, once: {lost}");
    assert_eq!(engines[0].attempts("/soft/") + BREAKS, tally.failovers);

    let mut shown = Shown {
        document: json::parse(&ask(&httpd, "mime=json").text()),
        samples: strict::prometheus(&ask(&httpd, "mime=prom").text()).into_iter().collect(),
        compared: BTreeSet::new(),
        wrong: Vec::new(),
    };
    let max = PROCESSES as u64;
    for at in 0..ONE {
        let place = format!("balancers.0.members.{at}");
        let labels = format!("balancer=\"lb\",member=\"{}\"", NAMES[at]);
        shown.engine(&place, &labels, &tally.engines[at], &engines[at], max);
        shown.member(&place, &labels, &tally.engines[at]);
    }
    shown.engine("ajp_workers.0", "worker=\"one\"", of_one, &engines[ONE], max);
    shown.is("", ("jk_worker_failing", "worker=\"one\""), 0);
    shown.balancer(&tally);
    shown.within("", ("jk_start_time_seconds", ""), before, unix());
    let build = shown.samples.keys().find(|key| key.starts_with("jk_build_info{")).cloned();
    let build = build.expect("the version");
    let labels = build.trim_start_matches("jk_build_info{").trim_end_matches('}').to_owned();
    shown.is("", ("jk_build_info", &labels), 1);
    assert!(shown.wrong.is_empty(), "{}", shown.wrong.join("\n"));
    // That was all of them.
    let series = shown.samples.keys().map(|series| series.split('{').next().unwrap_or_default());
    let missing: BTreeSet<_> = series.filter(|name| !shown.compared.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
