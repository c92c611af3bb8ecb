//! How long a large status page takes: numbers to look at, no verdict. With the module of a release:
//! `JK_MODULE=target/release/libmod_jk.so cargo test --test it -- --ignored --nocapture status::bench`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::engine;
use crate::support::client::Client;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};

const BALANCERS: usize = 100;
const MEMBERS: usize = 10;
const ROUNDS: usize = 41;

fn start(module: Module, engine: &Engine) -> Httpd {
    let mut workers = String::from("worker.st.type=status\nworker.list=st\n");
    for balancer in 0..BALANCERS {
        let names: Vec<String> = (0..MEMBERS).map(|at| format!("m{balancer}x{at}")).collect();
        workers += &format!(
            "worker.list=lb{balancer}\nworker.lb{balancer}.type=lb\n\
             worker.lb{balancer}.balance_workers={}\n",
            names.join(",")
        );
        for name in names {
            workers +=
                &format!("worker.{name}.host=127.0.0.1\nworker.{name}.port={}\n", engine.port());
        }
    }
    let mounts: Vec<String> = (0..BALANCERS).map(|at| format!("JkMount /b{at}/* lb{at}")).collect();
    Httpd::builder(module)
        .size(8, 1)
        .workers(&workers)
        .mount("/jk", "st")
        .config(&mounts.join("\n"))
        .start()
}

/// Median of the times that one request takes.
fn median(httpd: &Httpd, target: &str, rounds: usize) -> Duration {
    let mut times: Vec<Duration> = (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            assert_eq!(Client::connect(httpd.addr()).get(target).status(), 200, "{target}");
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[rounds / 2]
}

#[test]
#[ignore = "prints ratios, judges nothing"]
fn pages_of_a_thousand_members() {
    let engine = engine();
    let [ours, theirs] = Module::BOTH.map(|module| start(module, &engine));
    for format in ["html", "xml", "prop", "txt"] {
        let target = format!("/jk?mime={format}");
        let [our, their] = [&ours, &theirs].map(|httpd| median(httpd, &target, ROUNDS));
        let ratio = our.as_secs_f64() / their.as_secs_f64();
        println!("{format}: {our:?}, C {their:?}, ratio {ratio:.2}");
    }
    let their = median(&theirs, "/jk?mime=xml", ROUNDS);
    for format in ["json", "prom"] {
        let our = median(&ours, &format!("/jk?mime={format}"), ROUNDS);
        let ratio = our.as_secs_f64() / their.as_secs_f64();
        println!("{format}: {our:?}, C's xml {their:?}, ratio {ratio:.2}");
    }
    // Requests alone, and while one client asks for the page all the time.
    for (name, httpd) in [("ours", &ours), ("C", &theirs)] {
        let alone = median(httpd, "/b0/x/10", 401);
        let over = AtomicBool::new(false);
        let beside = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    Client::connect(httpd.addr()).get("/jk");
                }
            });
            let beside = median(httpd, "/b0/x/10", 401);
            over.store(true, Ordering::Relaxed);
            beside
        });
        let ratio = beside.as_secs_f64() / alone.as_secs_f64();
        println!("requests, {name}: {alone:?} alone, {beside:?} beside the page, ratio {ratio:.2}");
    }
}
