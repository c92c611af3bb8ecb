//! Lines that do not do what they seem to: old names, and properties of another kind of worker.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::{
    error::{Place, Problems},
    keys::{Key, Role, Status, WorkerKey},
    line::key_text,
    properties::{Properties, Property},
    text::printable,
    worker::{WorkerConfig, WorkerName, Workers},
};

/// Warns of each old name, once for each line.
pub(super) fn warn_of_old_names(properties: &Properties, problems: &mut Problems) {
    for found in properties.iter().filter(|found| !found.is_inherited) {
        let Some((worker, key)) = known(found) else { continue };
        let Status::Deprecated(today) = key.status else { continue };
        let (what, remedy) = match today {
            None => ("never has an effect".to_string(), "remove the line".to_string()),
            Some(today) if properties.find(&key_of(worker, today)).is_some() => (
                format!("is the old name of {today}, which is set too and goes first"),
                "remove the line".to_string(),
            ),
            Some(today) => {
                let today_s_line = match key.name {
                    "disabled" => "activation=Disabled",
                    "stopped" => "activation=Stopped",
                    _ => today,
                };
                (format!("is the old name of {today}"), format!("write {today_s_line} instead"))
            }
        };
        problems.warning(&found.place, key_text(&found.key), what, remedy);
    }
}

/// Warns of the properties of workers in use that have no effect on their kind of worker. What a
/// template says for several workers has to have an effect on one of them.
pub(super) fn warn_of_no_effect(
    properties: &Properties,
    workers: &Workers,
    mistyped: &HashSet<WorkerName>,
    problems: &mut Problems,
) {
    let roles = roles(workers);
    let listed: HashSet<&[u8]> =
        workers.workers.iter().map(|worker| worker.name().as_bytes()).collect();
    let mistyped: HashSet<&[u8]> = mistyped.iter().map(WorkerName::as_bytes).collect();
    let mut effective: HashSet<(&Place, &str)> = HashSet::new();
    let mut useless: Vec<(&Property, &Key, &[Role])> = Vec::new();
    for found in properties.iter() {
        let Some((worker, key)) = known(found) else { continue };
        let Some(roles) = roles.get(worker) else { continue };
        let applies = match key.name {
            "mount" => listed.contains(worker),
            _ => key.applies.iter().any(|role| roles.contains(role)),
        };
        let is_other = key.status == Status::Deprecated(None) || key.applies == [Role::Global];
        if applies || is_other || mistyped.contains(worker) {
            effective.insert((&found.place, key.name));
        } else {
            useless.push((found, key, roles));
        }
    }
    let mut warned: HashSet<(&Place, &str)> = HashSet::new();
    for (found, key, roles) in useless {
        let line = (&found.place, key.name);
        if effective.contains(&line) || !warned.insert(line) {
            continue;
        }
        let (what, remedy) = explain(key, roles);
        problems.warning(&found.place, printable(&found.key), what, remedy);
    }
}

fn explain(key: &Key, roles: &[Role]) -> (String, String) {
    let what = match (key.name, roles) {
        ("mount", _) => "has no effect on a worker that is not in worker.list".to_string(),
        (_, [role, ..]) if key.applies == [Role::Member] && *role == Role::Ajp13 => {
            "has no effect on a worker that is no member of a balancer".to_string()
        }
        (_, [role, ..]) => format!("has no effect on a worker of type {}", role.name()),
        (_, []) => "has no effect".to_string(),
    };
    let for_whom: Vec<&str> = key.applies.iter().map(|role| role.name()).collect();
    let remedy = match (key.name, key.applies) {
        ("mount", _) => "add the worker to worker.list, or remove the line".to_string(),
        ("secretkey", _) => "use secret, which type ajp13 has instead".to_string(),
        (_, [Role::Member]) => "remove the line, it is for members of a balancer".to_string(),
        _ => format!("remove the line, it is for type {}", for_whom.join(" or ")),
    };
    (what, remedy)
}

/// What the workers in use are: those of `worker.list`, and members.
fn roles(workers: &Workers) -> HashMap<&[u8], Vec<Role>> {
    let mut roles: HashMap<&[u8], Vec<Role>> = HashMap::new();
    for worker in &workers.workers {
        let role = match worker {
            WorkerConfig::Ajp13(_) => Role::Ajp13,
            WorkerConfig::Balancer(_) => Role::Balancer,
            WorkerConfig::Status(_) => Role::Status,
        };
        roles.entry(worker.name().as_bytes()).or_default().push(role);
        let WorkerConfig::Balancer(balancer) = worker else { continue };
        for member in &balancer.members {
            let known = roles.entry(member.worker.name.as_bytes()).or_default();
            known.extend([Role::Ajp13, Role::Member]);
        }
    }
    roles
}

/// The worker and the row of a property of a worker.
fn known(found: &Property) -> Option<(&[u8], &'static Key)> {
    let parsed = WorkerKey::parse(&found.key)?;
    Some((parsed.worker, Key::find(parsed.property)?))
}

fn key_of(worker: &[u8], property: &str) -> Vec<u8> {
    [b"worker.", worker, b".", property.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, keys::KEYS, validate};

    fn said(text: &str) -> Vec<String> {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    const BASE: &str = "worker.list=a,l,s\nworker.a.type=ajp13\nworker.l.type=lb\n\
        worker.l.balance_workers=m\nworker.m.type=ajp13\nworker.s.type=status\n";

    /// Each property on each kind of worker: a warning exactly where it has no effect.
    #[test]
    fn warns_of_every_property_without_effect() {
        let members: &[Role] = &[Role::Ajp13, Role::Member];
        for key in KEYS.iter().filter(|key| key.applies != [Role::Global]) {
            for (worker, roles) in [
                ("a", &[Role::Ajp13][..]),
                ("m", members),
                ("l", &[Role::Balancer]),
                ("s", &[Role::Status]),
            ] {
                let line = format!("worker.{worker}.{}", key.name);
                let problems = said(&format!("{BASE}{line}=1"));
                let warns = problems.iter().any(|problem| {
                    problem.starts_with(&format!("w:7: {line}: has no effect on a worker "))
                });
                let applies = key.applies.iter().any(|role| roles.contains(role));
                let applies = applies && (key.name, worker) != ("mount", "m");
                let is_dead = key.status == Status::Deprecated(None);
                assert_eq!(warns, !applies && !is_dead, "{line}: {problems:?}");
            }
        }
    }

    #[test]
    fn names_whom_a_property_is_for() {
        let about = |line: &str| {
            let mut problems = said(&format!("{BASE}{line}"));
            problems.retain(|problem| problem.starts_with("w:7"));
            problems
        };
        for (line, expected) in [
            (
                "worker.a.lbfactor=2",
                "has no effect on a worker that is no member of a balancer; remove the line, it is \
                 for members of a balancer",
            ),
            (
                "worker.l.port=1",
                "has no effect on a worker of type lb; remove the line, it is for type ajp13",
            ),
            (
                "worker.s.retries=1",
                "has no effect on a worker of type status; remove the line, it is for type ajp13 \
                 or lb",
            ),
            (
                "worker.m.mount=/x",
                "has no effect on a worker that is not in worker.list; add the worker to \
                 worker.list, or remove the line",
            ),
            (
                "worker.a.secretkey=x",
                "has no effect on a worker of type ajp13; use secret, which type ajp13 has instead",
            ),
        ] {
            let key = line.split('=').next().unwrap_or_default();
            assert_eq!(about(line), [format!("w:7: {key}: {expected}")]);
        }
    }

    #[test]
    fn a_template_needs_an_effect_on_one_worker_only() {
        let all = "worker.a.reference=worker.t\nworker.l.reference=worker.t\n\
            worker.m.reference=worker.t\nworker.t.lbfactor=2\nworker.t.sticky_session=0\n\
            worker.t.css=x\nworker.t.mx=1\nworker.t.cachesize=25\n";
        let problems = said(&format!("{BASE}{all}"));
        let of_the_template: Vec<&String> =
            problems.iter().filter(|problem| problem.contains("effect")).collect();
        assert_eq!(
            of_the_template,
            [
                "w:13: worker.t.mx: never has an effect; remove the line",
                "w:12: worker.a.css: has no effect on a worker of type ajp13; remove the line, it \
                 is for type status",
            ]
        );
        let old = "w:14: worker.t.cachesize: is the old name of connection_pool_size; write \
                   connection_pool_size instead";
        assert_eq!(problems.iter().filter(|problem| *problem == old).count(), 1);
    }

    #[test]
    fn a_wrong_type_makes_no_other_property_wrong() {
        let text = "worker.list=l\nworker.l.type=LB\nworker.l.balance_workers=m\n\
            worker.m.port=1\nworker.l.method=B";
        assert_eq!(
            said(text),
            ["w:2: worker.l.type: there is no worker type \"LB\"; did you mean lb?"]
        );
    }

    #[test]
    fn every_old_name_is_warned_of() {
        for key in KEYS.iter().filter(|key| key.status != Status::Supported) {
            let problems = said(&format!("{BASE}worker.m.{}=1", key.name));
            let expected = match key.status {
                Status::Deprecated(Some(today)) => format!("is the old name of {today}; write "),
                _ => "never has an effect; remove the line".to_string(),
            };
            let begin = format!("w:7: worker.m.{}: {expected}", key.name);
            let warnings = problems.iter().filter(|problem| problem.starts_with(&begin)).count();
            assert_eq!(warnings, 1, "{problems:?}");
        }
    }
}
