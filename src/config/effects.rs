//! Lines that do not do what they seem to: old names, and properties of another kind of worker.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::{
    error::{Place, Problems},
    keys::{Key, Role, Status, WorkerKey},
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
        problems.warning(&found.place, printable(&found.key), what, remedy);
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
    let is_listed = |worker: &[u8]| workers.find(worker).is_some();
    let mut effective: HashSet<(&Place, &str)> = HashSet::new();
    let mut useless: Vec<(&Property, &Key, &[Role])> = Vec::new();
    for found in properties.iter() {
        let Some((worker, key)) = known(found) else { continue };
        let Some(roles) = roles.get(worker) else { continue };
        let applies = match key.name {
            "mount" => is_listed(worker),
            _ => key.applies.iter().any(|role| roles.contains(role)),
        };
        let is_other = key.status == Status::Deprecated(None) || key.applies == [Role::Global];
        let is_mistyped = mistyped.iter().any(|name| name.as_bytes() == worker);
        if applies || is_other || is_mistyped {
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
