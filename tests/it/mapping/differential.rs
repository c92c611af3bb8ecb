//! The C mod_jk and ours are asked for the same random paths under the same random rules.

use super::ask::{Answer, Engines, ask};
use super::plan::{Plan, WORKERS};
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
pub(super) fn unescaped(target: &str) -> Vec<u8> {
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

/// Both modules in a real httpd.
#[test]
fn both_modules_answer_the_same() {
    let engines = Engines::start(&WORKERS);
    let (seeds, count) = counts();
    let mut mapped = 0;
    for seed in seeds {
        let plan = Plan::random(&mut Random::new(seed));
        let [ours, c] = Module::BOTH.map(|module| plan.configure(engines.httpd(module)).start());
        for server in &plan.servers {
            let targets = targets(&mut Random::new(seed), count / plan.servers.len());
            let [ours, c] = [&ours, &c].map(|httpd| ask(server.addr(httpd), &targets));
            for ((target, ours), c) in targets.iter().zip(&ours).zip(&c) {
                mapped += usize::from(ours.worker().is_some());
                match allowed(target, c) {
                    Some(Difference::Refused) => {
                        assert_eq!(ours.status, 400, "seed {seed} {} {target}", server.name);
                    }
                    Some(Difference::Mapped) => assert_eq!(c.forwarded, None, "seed {seed}"),
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
    assert!(mapped > count / 20, "only {mapped} were mapped: nothing to compare");
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
