//! What is wrong with the rules of a table, seen together with the workers and with each other.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::{rule::Rule, table::Table};
use crate::config::{
    Problems,
    text::{printable, quoted, suggestion},
};

/// What rules must know of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerKind {
    /// A balancer, with the names of its members.
    Balancer(Vec<Box<[u8]>>),
    /// Any other worker.
    Other,
}

/// The workers that rules can name, each at its position.
#[derive(Debug, Clone, Default)]
pub struct WorkerNames {
    workers: Vec<(Box<[u8]>, WorkerKind)>,
    positions: HashMap<Box<[u8]>, usize>,
}

impl WorkerNames {
    /// The workers in the order of `worker.list`. No two have the same name.
    pub fn new<'w>(workers: impl IntoIterator<Item = (&'w [u8], WorkerKind)>) -> WorkerNames {
        let workers: Vec<_> = workers.into_iter().map(|(name, kind)| (name.into(), kind)).collect();
        let positions = workers.iter().zip(0..).map(|((name, _), at)| (Box::clone(name), at));
        WorkerNames { positions: positions.collect(), workers }
    }

    /// Position of the worker with a name. Case matters.
    pub fn position(&self, name: &[u8]) -> Option<usize> {
        self.positions.get(name).copied()
    }

    fn kind(&self, name: &[u8]) -> Option<&WorkerKind> {
        self.workers.get(self.position(name)?).map(|(_, kind)| kind)
    }
}

/// Names that a message lists.
const LISTED: usize = 10;

/// Unknown names that get a "did you mean": looking for what is near takes time, and thousands of
/// unknown names have one cause.
const SUGGESTED: usize = 50;

/// Some of the names, for a message.
fn list<'n>(names: impl ExactSizeIterator<Item = &'n Box<[u8]>>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let shown: Vec<String> = names.take(LISTED).map(|name| printable(name)).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// What to do about names that no worker has, each found out once.
struct Remedies<'w> {
    workers: &'w WorkerNames,
    known: HashMap<Box<[u8]>, String>,
    suggested: usize,
}

impl Remedies<'_> {
    fn of(&mut self, name: &[u8]) -> String {
        if let Some(remedy) = self.known.get(name) {
            return remedy.clone();
        }
        let remedy = self.find(name);
        self.known.insert(name.into(), remedy.clone());
        remedy
    }

    fn find(&mut self, name: &[u8]) -> String {
        if name.is_empty() {
            return "write the name of a worker behind the path".to_string();
        }
        let name_shown = printable(name);
        let names = || self.workers.workers.iter().map(|(name, _)| name);
        if self.suggested < SUGGESTED {
            self.suggested = self.suggested.saturating_add(1);
            if let Some(near) = suggestion(name, names()) {
                let near = printable(near);
                return format!("did you mean {near}? else add {name_shown} to worker.list");
            }
        }
        format!("add {name_shown} to worker.list, which names {}", list(names()))
    }
}

impl Table {
    /// Says which rules name no worker, or ask something of a worker that it cannot do, and which ones
    /// never match because of another one.
    pub fn check(&self, workers: &WorkerNames, problems: &mut Problems) {
        let mut checked = HashSet::new();
        let mut remedies = Remedies { workers, known: HashMap::new(), suggested: 0 };
        for rule in self.rules() {
            // A `|` makes two rules of one line.
            let line = (&rule.place.source, rule.place.line, &rule.worker);
            if &*rule.worker != b"*" && checked.insert(line) {
                check_worker(rule, workers, &mut remedies, problems);
            }
        }
        self.check_duplicates(problems);
    }

    fn check_duplicates(&self, problems: &mut Problems) {
        let mut first: HashMap<&[u8], &Rule> = HashMap::new();
        for rule in self.rules().iter().filter(|rule| !rule.is_exclusion && !rule.is_disabled) {
            let winner = *first.entry(rule.pattern.as_bytes()).or_insert(rule);
            if winner.worker == rule.worker {
                continue;
            }
            problems.warning(
                &rule.place,
                rule.label(),
                format!(
                    "the path {} belongs to worker {} by {}, worker {} never gets it",
                    quoted(rule.pattern.as_bytes()),
                    printable(&winner.worker),
                    winner.place,
                    printable(&rule.worker)
                ),
                "keep one of the lines",
            );
        }
    }
}

fn check_worker(
    rule: &Rule,
    workers: &WorkerNames,
    remedies: &mut Remedies<'_>,
    problems: &mut Problems,
) {
    let name = printable(&rule.worker);
    let Some(kind) = workers.kind(&rule.worker) else {
        let effect = if rule.is_exclusion {
            "the line has no effect"
        } else {
            "requests for this path get status 500"
        };
        let what = match name.as_str() {
            "" => format!("no worker is named: {effect}"),
            name => format!("worker {name} is not in worker.list: {effect}"),
        };
        problems.warning(&rule.place, rule.label(), what, remedies.of(&rule.worker));
        return;
    };
    let options = &rule.options;
    let WorkerKind::Balancer(members) = kind else {
        for option in options.of_balancers() {
            problems.warning(
                &rule.place,
                rule.label(),
                format!("rule extension {option}: worker {name} is no balancer, it is ignored"),
                "remove it, or mount a worker of type lb",
            );
        }
        return;
    };
    for member in options.active.iter().chain(&options.disabled).chain(&options.stopped) {
        if members.contains(member) {
            continue;
        }
        let remedy = match suggestion(member, members) {
            Some(near) => format!("did you mean {}?", printable(near)),
            None => {
                format!("its members are {}", list(members.iter()))
            }
        };
        let what = format!("balancer {name} has no member {}, it is ignored", printable(member));
        problems.warning(&rule.place, rule.label(), what, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;
    use crate::mapping::table::tests::rules;

    fn workers() -> WorkerNames {
        let members = ["node1", "node2"].map(|name| name.as_bytes().into());
        let balancer = WorkerKind::Balancer(members.to_vec());
        WorkerNames::new([(&b"lb"[..], balancer), (&b"tomcat"[..], WorkerKind::Other)])
    }

    /// Lines of a map file; those that begin with `+` stand for JkMount and JkUnMount.
    #[track_caller]
    fn check(lines: &[&str], expected: &[&str]) {
        let mut problems = Problems::new();
        let workers = workers();
        let table = Table::new(rules(lines), |name| workers.position(name));
        table.check(&workers, &mut problems);
        let mut shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        shown.sort();
        assert_eq!(shown, expected);
    }

    #[test]
    fn thousands_of_mistakes_stay_readable() {
        let names: Vec<String> = (0..1000).map(|n| format!("worker{n}")).collect();
        let workers =
            WorkerNames::new(names.iter().map(|name| (name.as_bytes(), WorkerKind::Other)));
        let mut problems = Problems::new();
        let rules = (1..=200).flat_map(|n| {
            let (path, worker) = (format!("/a{n}"), format!("workre{}", 1000 + n));
            let place = Place::new("map", n);
            Rule::mount(path.as_bytes(), worker.as_bytes(), &place, &mut Problems::new())
        });
        let table = Table::new(rules.collect(), |name| workers.position(name));
        table.check(&workers, &mut problems);
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let suggested = shown.iter().filter(|line| line.contains("did you mean")).count();
        assert_eq!((shown.len(), suggested), (200, SUGGESTED));
        let last = &shown[199];
        assert!(last.ends_with("worker8, worker9 and 990 more"), "{last}");
    }

    #[test]
    fn positions_are_those_of_the_list() {
        assert_eq!(workers().position(b"lb"), Some(0));
        assert_eq!(workers().position(b"tomcat"), Some(1));
        assert_eq!(workers().position(b"Tomcat"), None);
    }

    #[test]
    fn good_rules_are_not_mentioned() {
        let rules = [
            "/a|/*=lb;active=node1;stopped=node2;stateless=1;session_cookie=S",
            "!/a/*.gif=*",
            "/b=tomcat;reply_timeout=5;use_server_errors=500;fail_on_status=503",
            "+/b=tomcat",
            "-/b=lb",
        ];
        check(&rules, &[]);
    }

    #[test]
    fn says_which_workers_there_are_not() {
        check(
            &["+/a|/*=tomcta", "+!/b=other", "/c|/*=", "-/d=LB"],
            &[
                "map:1: JkMount: worker tomcta is not in worker.list: requests for this path get \
                 status 500; did you mean tomcat? else add tomcta to worker.list",
                "map:2: JkUnMount: worker other is not in worker.list: the line has no effect; add \
                 other to worker.list, which names lb, tomcat",
                "map:3: /c/*: no worker is named: requests for this path get status 500; write the \
                 name of a worker behind the path",
                "map:4: -/d: worker LB is not in worker.list: requests for this path get status \
                 500; did you mean lb? else add LB to worker.list",
            ],
        );
    }

    #[test]
    fn says_what_a_worker_cannot_do() {
        check(
            &["/a=tomcat;stateless=1;disabled=node1", "/b=lb;active=node,node3 x"],
            &[
                "map:1: /a: rule extension disabled: worker tomcat is no balancer, it is ignored; \
                 remove it, or mount a worker of type lb",
                "map:1: /a: rule extension stateless: worker tomcat is no balancer, it is ignored; \
                 remove it, or mount a worker of type lb",
                "map:2: /b: balancer lb has no member node, it is ignored; did you mean node1?",
                "map:2: /b: balancer lb has no member node3, it is ignored; did you mean node1?",
                "map:2: /b: balancer lb has no member x, it is ignored; its members are node1, \
                 node2",
            ],
        );
    }

    #[test]
    fn says_which_rules_never_match() {
        check(
            &["+/a|/*=lb", "/a=tomcat", "+/a/*=tomcat", "!/a=tomcat"],
            &[
                "map:1: JkMount: the path \"/a\" belongs to worker tomcat by map:2, worker lb never \
                 gets it; keep one of the lines",
                "map:3: JkMount: the path \"/a/*\" belongs to worker lb by map:1, worker tomcat \
                 never gets it; keep one of the lines",
            ],
        );
    }
}
