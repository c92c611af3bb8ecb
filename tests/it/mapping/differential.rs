//! The C mod_jk and ours are asked for the same random paths under the same random rules.

use std::time::Instant;

use mod_jk::log::{Level, Log, Site};
use mod_jk::mapping::{Lookup, normalize};

use super::ask::{Answer, Engines, SHOW_PATH, ask, decode};
use super::plan::{Features, Plan, WORKERS};
use super::random::Random;
use crate::support::httpd::Module;

/// Seeds of the plans, and how many paths each is asked for.
fn counts() -> (std::ops::Range<u64>, usize) {
    match std::env::var("JK_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => (seed..seed + 1, 2_000),
        None if std::env::var_os("JK_LONG").is_some() => (1..11, 2_000),
        None => (1..3, 1_000),
    }
}

fn targets(random: &mut Random, count: usize) -> Vec<String> {
    let mut targets: Vec<String> = (0..count).map(|_| random.target()).collect();
    targets.push(format!("/a/{}", "b".repeat(4094)));
    targets
}

/// A target with each `%XX` replaced by its byte.
fn unescaped(target: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = target.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

struct Silent;

impl Log for Silent {
    fn enabled(&self, _level: Level) -> bool {
        false
    }

    fn write(&self, _level: Level, _site: Site, _text: std::fmt::Arguments<'_>) {}
}

/// Our tables decide about a path, as httpd has it, what the C module decides.
#[test]
fn our_tables_map_as_the_c_module_does() {
    let engines = Engines::start(&WORKERS);
    let (seeds, count) = counts();
    for seed in seeds {
        let mut random = Random::new(seed);
        let plan = Plan::random(&mut random, Features { all: true });
        let builder = engines.httpd(Module::C).modules(&["headers"]).config(SHOW_PATH);
        let httpd = plan.configure(builder).start();
        for server in &plan.servers {
            let targets = targets(&mut random, count / plan.servers.len());
            let table = plan.table(server, &httpd);
            for (target, answer) in targets.iter().zip(ask(server.addr(&httpd), &targets)) {
                let path = answer.path.as_deref().map(decode).unwrap_or_default();
                // httpd answers these itself before anybody is asked.
                let is_encoded = target.to_ascii_lowercase().contains("%2f");
                if is_encoded
                    && !server.allows_encoded_slashes()
                    && matches!(answer.status, 400 | 404)
                {
                    continue;
                }
                let Ok(normal) = normalize(&path) else {
                    assert_eq!(answer.status, 400, "seed {seed} {} {target}", server.name);
                    continue;
                };
                if answer.status == 400 {
                    // Refused by httpd, whose path is then anything.
                    let kept = target.replace("%2f", "%252f");
                    let leads_above =
                        [target, &kept].iter().any(|target| normalize(&unescaped(target)).is_err());
                    assert!(leads_above, "seed {seed} {} {target}: {answer:?}", server.name);
                    continue;
                }
                // COMPAT.md: Paths longer than 4095 bytes.
                if normal.len() > 4095 {
                    assert_eq!(answer.worker(), None);
                    continue;
                }
                let table = table.as_ref().map(|table| table.current(Instant::now(), &Silent));
                let ours = table.as_ref().and_then(|table| match table.lookup(&normal) {
                    Lookup::Mapped { rule } => table.worker(rule).map(|at| WORKERS[at]),
                    _ => None,
                });
                assert_eq!(
                    answer.worker(),
                    ours,
                    "seed {seed} {} {target}: {}, {answer:?}\n{plan:#?}",
                    server.name,
                    String::from_utf8_lossy(&normal)
                );
            }
        }
    }
}

/// Both modules in a real httpd.
#[test]
fn both_modules_answer_the_same() {
    let engines = Engines::start(&WORKERS);
    let (seeds, count) = counts();
    for seed in seeds {
        let plan = Plan::random(&mut Random::new(seed), Features { all: false });
        let [ours, c] = Module::BOTH.map(|module| plan.configure(engines.httpd(module)).start());
        for server in &plan.servers {
            let targets = targets(&mut Random::new(seed), count / plan.servers.len());
            let [ours, c] = [&ours, &c].map(|httpd| ask(server.addr(httpd), &targets));
            for ((target, ours), c) in targets.iter().zip(&ours).zip(&c) {
                match allowed(target, c) {
                    Some(Difference::Refused) => assert_eq!(ours.status, 400, "{target}"),
                    Some(Difference::Mapped) => assert_eq!(c.forwarded, None),
                    None => assert_eq!(
                        (ours.status, &ours.forwarded),
                        (c.status, &c.forwarded),
                        "seed {seed} {} {target}\n{plan:#?}",
                        server.name
                    ),
                }
            }
        }
    }
}

/// How ours differs on purpose.
enum Difference {
    /// COMPAT.md: Backslash in a mapped path.
    Refused,
    /// COMPAT.md: Paths longer than 4095 bytes.
    Mapped,
}

fn allowed(target: &str, c: &Answer) -> Option<Difference> {
    if c.forwarded.as_ref().is_some_and(|(_, uri)| uri.contains("%5C")) {
        return Some(Difference::Refused);
    }
    (target.len() > 4095).then_some(Difference::Mapped)
}
