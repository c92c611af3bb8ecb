//! Random balancers and random sequences of requests and failures: the same engines serve as with
//! C mod_jk. Left out is what rows of COMPAT.md are about: a failure of the last usable member,
//! several session ids once a member has failed, and what an engine is told after a failure or when
//! it was found by its domain.

use std::fmt::Write as _;

use super::load::count;
use super::scene::{Found, NAMES, Scenario, Step, run};
use crate::support::httpd::Module;
use crate::support::random::Random;

/// Routes that members may have; some share what stands before the dot.
const ROUTES: [&str; 5] = ["n1.x", "n1.y", "n2.x", "n2", "long-name.example.ch"];

/// Where bytes decide, what an engine is told must have one length: a row is about what it is.
const EQUAL: [&str; 4] = ["A", "B", "C", "D"];

/// Seeds, and how many balancers each makes.
fn counts() -> (std::ops::Range<u64>, usize) {
    match std::env::var("JK_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => (seed..seed + 1, 25),
        None => (1..1 + count(40, 2) as u64, 25),
    }
}

fn property(all: &mut Vec<&'static str>, text: String) {
    all.push(text.leak());
}

/// A balancer, and what its members are called in session ids.
fn balancer(random: &mut Random) -> (usize, Vec<&'static str>, Vec<&'static str>) {
    let members = 1 + random.below(4);
    let mut all = vec!["retry_interval=1"];
    let method = random.pick(&["R", "S", "T", "B", "N", "Request", "Next"]);
    property(&mut all, format!("method={method}"));
    property(&mut all, format!("lb_retries={}", 1 + random.below(4)));
    property(&mut all, format!("retries={}", 1 + random.below(3)));
    for switch in ["sticky_session=0", "sticky_session_force=1", "set_session_cookie=1", "lock=P"] {
        if random.one_in(6) {
            all.push(switch);
        }
    }
    let counts_bytes = method == "T";
    let choice = if counts_bytes { &EQUAL[..] } else { &ROUTES };
    let mut routes = Vec::new();
    for name in &NAMES[..members] {
        let route = if random.one_in(3) { random.pick(choice) } else { name };
        // Two members with one route are refused.
        if route != *name && !routes.contains(&route) {
            property(&mut all, format!("{name}.route={route}"));
            routes.push(route);
        } else {
            routes.push(name);
        }
    }
    // The first member is one that can always serve.
    for (place, name) in NAMES[..members].iter().enumerate() {
        if random.one_in(2) {
            property(&mut all, format!("{name}.lbfactor={}", 1 + random.below(6)));
        }
        if random.one_in(4) {
            property(&mut all, format!("{name}.distance={}", random.below(3)));
        }
        if !counts_bytes && random.one_in(3) {
            property(&mut all, format!("{name}.domain={}", random.pick(&["n1", "n2", "x"])));
        }
        if random.one_in(4) {
            property(&mut all, format!("{name}.redirect={}", random.pick(&routes)));
        }
        if place > 0 && random.one_in(4) {
            property(&mut all, format!("{name}.activation={}", random.pick(&["D", "S", "A"])));
        }
    }
    (members, all, routes)
}

/// A rule's own mind, which leaves the first member alone.
fn extensions(random: &mut Random, members: usize, sets_cookie: bool) -> &'static str {
    let mut extensions = String::new();
    // A row is about the name of the cookie in a rule.
    if !sets_cookie && random.one_in(3) {
        extensions += random.pick(&[
            ";sticky_ignore=1",
            ";stateless=1",
            ";session_cookie=SID",
            ";session_path=;sid",
            ";set_session_cookie=1",
        ]);
    }
    if members > 1 && random.one_in(4) {
        let what = random.pick(&["active", "disabled", "stopped"]);
        write!(extensions, ";{what}=@{}", NAMES[1 + random.below(members - 1)]).expect("a String");
    }
    extensions.leak()
}

fn id(random: &mut Random, routes: &[&'static str]) -> String {
    let route = match random.below(8) {
        0 => random.pick(&["n1", "n2", "x", "n1.z", "nobody", ""]),
        _ => random.pick(routes),
    };
    format!("{}.{route}", random.below(100))
}

fn steps(random: &mut Random, members: usize, routes: &[&'static str]) -> Vec<Step> {
    let (mut steps, mut down) = (Vec::new(), Vec::new());
    let mut has_failed = false;
    while steps.len() < 16 {
        steps.push(match random.below(10) {
            0..3 => Step::Times(1 + random.below(4)),
            3..6 => Step::Get(format!("x;jsessionid={}", id(random, routes)).leak()),
            6 => Step::Get(format!("x;sid={}", id(random, routes)).leak()),
            7 => {
                let ids = if has_failed { 1 } else { 1 + random.below(3) };
                let name = random.pick(&["JSESSIONID", "JSESSIONID", "SID"]);
                let cookies: Vec<String> =
                    (0..ids).map(|_| format!("{name}={}", id(random, routes))).collect();
                Step::Cookie(cookies.join("; ").leak())
            }
            8 if members > 1 => {
                let engine = 1 + random.below(members - 1);
                if down.contains(&engine) {
                    continue;
                }
                has_failed = true;
                down.push(engine);
                Step::Down(engine)
            }
            9 if !down.is_empty() => Step::Up(down.swap_remove(random.below(down.len()))),
            _ => continue,
        });
    }
    steps
}

fn scenario(random: &mut Random) -> Scenario {
    let (members, properties, routes) = balancer(random);
    let sets_cookie = properties.contains(&"set_session_cookie=1");
    let extensions = extensions(random, members, sets_cookie);
    let steps = steps(random, members, &routes);
    Scenario::new("random", members, properties.leak(), steps).extensions(extensions)
}

/// The note without what follows from the route that the engine was told, which a row is about: its
/// own field and, but for method T, the bytes.
fn essence(note: &str, method: &str) -> String {
    // What lies in the memory of C mod_jk may have blanks.
    let (head, loads) = note.split_once(" first=").unwrap_or((note, ""));
    let head: Vec<&str> = head.split(' ').take(4).collect();
    let fields = format!("{} first={loads}", head.join(" "));
    if method == "T" {
        return fields;
    }
    let fields = fields.split(',').enumerate();
    let is_bytes = |at: usize| matches!(at, 4 | 5 | 13 | 14);
    fields.filter(|(at, _)| !is_bytes(*at)).map(|(_, field)| field).collect::<Vec<_>>().join(",")
}

#[test]
fn random_sequences() {
    let (seeds, scenarios) = counts();
    let mut faults = String::new();
    for seed in seeds {
        let mut random = Random::new(seed);
        let scenarios: Vec<Scenario> = (0..scenarios).map(|_| scenario(&mut random)).collect();
        let [ours, theirs] = Module::BOTH.map(|module| run(module, &scenarios, ""));
        let mut engines = std::collections::BTreeSet::new();
        for ((number, scenario), (ours, theirs)) in
            scenarios.iter().enumerate().zip(ours.iter().zip(&theirs))
        {
            engines.extend(ours.sequence.iter().cloned());
            if let Some(difference) = difference(scenario, ours, theirs) {
                let Scenario { properties, extensions, steps, members, .. } = scenario;
                writeln!(
                    faults,
                    "JK_SEED={seed} {number}: {members} {properties:?} {extensions}\n{steps:?}\n\
                     {difference}"
                )
                .expect("a String");
            }
        }
        assert!(NAMES.iter().all(|name| engines.contains(*name)), "{engines:?}");
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Whether an engine was told the route of a member, not a domain.
fn names_a_member(scenario: &Scenario, told: &str) -> bool {
    let route = told.split(' ').next().unwrap_or_default();
    let of_member = |property: &&str| property.ends_with(&format!(".route={route}"));
    route.is_empty() || NAMES.contains(&route) || scenario.properties.iter().any(of_member)
}

fn difference(scenario: &Scenario, ours: &Found, theirs: &Found) -> Option<String> {
    if ours.sequence != theirs.sequence {
        return Some(format!(
            "ours {}\nC    {}",
            ours.sequence.join(" "),
            theirs.sequence.join(" ")
        ));
    }
    let has_failed = scenario.steps.iter().any(|step| matches!(step, Step::Down(_)));
    let is_plain = !has_failed && ours.told.iter().all(|told| names_a_member(scenario, told));
    if is_plain && ours.told != theirs.told {
        return Some(format!("told ours {:?}\ntold C    {:?}", ours.told, theirs.told));
    }
    let method = scenario.properties.iter().find_map(|p| p.strip_prefix("method=")).unwrap_or("");
    let of = |note: &String| if is_plain { note.clone() } else { essence(note, method) };
    let mut pairs = ours.notes.iter().zip(&theirs.notes);
    let (ours, theirs) = pairs.find(|(ours, theirs)| of(ours) != of(theirs))?;
    Some(format!("note ours {ours}\nnote C    {theirs}"))
}
