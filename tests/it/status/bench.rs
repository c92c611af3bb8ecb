//! How long a large status page takes: numbers to look at, no verdict. With the module of a release:
//! `JK_MODULE=target/release/libmod_jk.so cargo test --test it -- --ignored --nocapture status::bench`.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{engine, work};
use crate::support::client::Client;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};

const BALANCERS: usize = 100;
const ROUNDS: usize = 41;
/// Requests of a part, alone or beside the page, and how often each part comes.
const PART: usize = 400;
const TURNS: usize = 10;
/// Requests from one page to the next.
const APART: usize = 50;

fn start(module: Module, engine: &Engine) -> Httpd {
    work::balancers(module, engine, BALANCERS).start()
}

/// Processor time of an httpd and its processes so far, as the kernel has measured it: waiting for
/// other programs does not count.
fn busy(httpd: &Httpd) -> Duration {
    let threads = httpd.child_pids().into_iter().flat_map(|pid| {
        std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten()
    });
    let times = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

/// Processor time and waiting time of one request, each the median of many.
fn cost(httpd: &Httpd, target: &str) -> [Duration; 2] {
    let mut costs: [Vec<Duration>; 2] = Default::default();
    for _ in 0..ROUNDS {
        let (begin, before) = (Instant::now(), busy(httpd));
        assert_eq!(Client::connect(httpd.addr()).get(target).status(), 200, "{target}");
        costs[1].push(begin.elapsed());
        costs[0].push(busy(httpd) - before);
    }
    costs.map(median)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Times of requests; `before` is called with the number of each.
fn requests(httpd: &Httpd, before: impl Fn(usize)) -> Vec<Duration> {
    let mut client = Client::connect(httpd.addr());
    let ask = |at| {
        before(at);
        let begin = Instant::now();
        client.send(b"GET /b0/x/10 HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        if client.try_read_response("GET").is_err() {
            client = Client::connect(httpd.addr());
            return None;
        }
        Some(begin.elapsed())
    };
    (0..PART).filter_map(ask).collect()
}

#[test]
#[ignore = "prints ratios, judges nothing"]
fn pages_of_a_thousand_members() {
    let engine = engine();
    let [ours, theirs] = Module::BOTH.map(|module| start(module, &engine));
    for (our, their) in [
        ("html", "html"),
        ("xml", "xml"),
        ("prop", "prop"),
        ("txt", "txt"),
        ("json", "xml"),
        ("prom", "xml"),
    ] {
        let targets = [(&ours, our), (&theirs, their)];
        let [our_cost, their_cost] =
            targets.map(|(httpd, format)| cost(httpd, &format!("/jk?mime={format}")));
        for (what, at) in [("processor", 0), ("waiting", 1)] {
            let ratio = our_cost[at].as_secs_f64() / their_cost[at].as_secs_f64();
            let [here, there] = [our_cost[at], their_cost[at]];
            println!("{our}, {what}: {here:?}, C's {their} {there:?}, ratio {ratio:.2}");
        }
    }
    // Requests alone, and with a page for every so many of them: a faster page must not be asked for
    // more often. By turns, as other programs may be busy for a while.
    let mut times: [[Vec<Duration>; 2]; 2] = Default::default();
    for _ in 0..TURNS {
        for (httpd, times) in [&ours, &theirs].into_iter().zip(&mut times) {
            times[0].extend(requests(httpd, |_| {}));
            let (ask, asked) = mpsc::channel();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    for () in asked {
                        Client::connect(httpd.addr()).get("/jk");
                    }
                });
                let beside = |at| {
                    if at % APART == 0 {
                        ask.send(()).expect("a reader");
                    }
                };
                times[1].extend(requests(httpd, beside));
                drop(ask);
            });
        }
    }
    for (name, times) in ["ours", "C"].into_iter().zip(times) {
        let [alone, beside] = times.map(median);
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        println!("requests, {name}: {alone:?} alone, {beside:?} beside the page, ratio {ratio:.2}");
    }
}
