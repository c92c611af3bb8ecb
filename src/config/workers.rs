//! From what the properties say to workers: which exist, and which
//! properties have no effect [2.3].
#![forbid(unsafe_code)]

use std::{collections::HashSet, time::Duration};

use super::{
    effects,
    error::{Place, Problems},
    keys::WorkerKey,
    line::{key_text, worker_text},
    properties::Properties,
    reader::Reader,
    settings::{self, SECONDS, unless_zero},
    text::{MAX_SUGGESTIONS, printable, quoted, suggestion},
    value,
    worker::{WorkerConfig, WorkerMount, WorkerName, Workers},
};

const LIST: &[u8] = b"worker.list";

const MAINTAIN: &[u8] = b"worker.maintain";
const DEFAULT_MAINTAIN: Duration = Duration::from_secs(60);

/// Most workers that a warning about another one names.
const MAX_NAMED: usize = 5;

/// The worker that exists when nothing is configured.
const IMPLICIT_WORKER: &[u8] = b"ajp13";

/// What the web server decides where the configuration says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// Threads of one process that serve requests, at least 1; the default of `connection_pool_size`.
    pub pool_size: usize,
}

/// Turns properties into workers, and adds to them what references bring. What it finds wrong goes
/// into `problems`; when these have errors afterwards, the workers are of no use.
pub fn validate(
    properties: &mut Properties,
    defaults: &Defaults,
    problems: &mut Problems,
) -> Workers {
    properties.resolve_references(problems);
    let properties = &*properties;
    let names = listed(properties, problems);
    warn_of_unused(properties, &names, problems);
    warn_of_misplaced(properties, problems);
    effects::warn_of_old_names(properties, problems);
    let mut reader = Reader::new(properties, defaults.pool_size.max(1), problems);
    let workers: Vec<WorkerConfig> = names.iter().map(|name| reader.worker(name)).collect();
    let mistyped = reader.mistyped;
    let workers = Workers {
        mounts: names.iter().flat_map(|name| mounts(properties, name)).collect(),
        workers,
        maintain: maintain(properties, problems),
    };
    effects::warn_of_no_effect(properties, &workers, &mistyped, problems);
    workers
}

/// The paths that a worker of the list maps to itself.
fn mounts(properties: &Properties, name: &WorkerName) -> Vec<WorkerMount> {
    let Some(found) = properties.find(&name.key("mount")) else { return Vec::new() };
    let mount = |pattern: &[u8]| WorkerMount {
        worker: name.clone(),
        pattern: pattern.to_vec(),
        place: found.place.clone(),
    };
    value::list(&found.value).map(mount).collect()
}

/// The time between two maintenance runs.
fn maintain(properties: &Properties, problems: &mut Problems) -> Option<Duration> {
    let Some(found) = properties.find(MAINTAIN) else { return Some(DEFAULT_MAINTAIN) };
    let Some(asked) = settings::number(found, &SECONDS, problems) else {
        return Some(DEFAULT_MAINTAIN);
    };
    let time = Duration::from_secs(u64::try_from(asked).unwrap_or(0));
    if time.is_zero() {
        let what = format!(
            "{asked} switches maintenance off: idle connections are neither closed nor pinged, and \
             balancers forget no old load"
        );
        problems.warning(&found.place, printable(MAINTAIN), what, "remove the line, or use 60");
    }
    settings::warn_of_milliseconds(found, time, problems);
    unless_zero(time)
}

/// The names in `worker.list`, each once, in order.
fn listed(properties: &Properties, problems: &mut Problems) -> Vec<WorkerName> {
    let Some(list) = properties.find(LIST) else {
        return WorkerName::new(IMPLICIT_WORKER).into_iter().collect();
    };
    let mut names: Vec<WorkerName> = Vec::new();
    let mut seen: HashSet<WorkerName> = HashSet::new();
    let mut is_empty = true;
    for item in value::list(&list.value) {
        is_empty = false;
        match WorkerName::new(item) {
            Ok(name) if !seen.insert(name.clone()) => problems.warning(
                &list.place,
                printable(LIST),
                format!("names {name} twice, one worker is made"),
                "remove one of them",
            ),
            Ok(name) => names.push(name),
            Err(error) => problems.error(
                &list.place,
                printable(LIST),
                format!("{}: {error}", quoted(item)),
                "use letters, digits, - and _",
            ),
        }
    }
    if is_empty {
        let what = format!("{} names no worker", quoted(&list.value));
        problems.error(&list.place, printable(LIST), what, "name one, or remove the line");
    }
    names
}

/// Warns of names in the list without properties, and of properties without a name in the list.
fn warn_of_unused(properties: &Properties, listed: &[WorkerName], problems: &mut Problems) {
    let configured = configured(properties);
    let names: HashSet<&[u8]> = listed.iter().map(WorkerName::as_bytes).collect();
    let mentioned = mentioned(properties);
    let unused: Vec<(&[u8], &Place)> = configured
        .iter()
        .filter(|(worker, _)| !names.contains(worker) && !mentioned.contains(worker))
        .copied()
        .collect();

    if let Some(list) = properties.find(LIST) {
        let known: HashSet<&[u8]> = configured.iter().map(|(worker, _)| *worker).collect();
        let others: Vec<&[u8]> = unused.iter().map(|(worker, _)| *worker).collect();
        let unlisted = unlisted(&others);
        let bare = listed.iter().filter(|name| !known.contains(name.as_bytes()));
        for (number, name) in bare.enumerate() {
            let what = format!(
                "names {name}, which has no properties; it is type ajp13 at localhost, port 8009"
            );
            let candidates = others.iter().take_while(|_| number < MAX_SUGGESTIONS);
            let remedy = match (suggestion(name.as_bytes(), candidates), &unlisted) {
                (Some(near), _) => format!("did you mean {}?", worker_text(near)),
                (None, None) => format!("set worker.{name}.host and worker.{name}.port"),
                (None, Some(unlisted)) => unlisted.clone(),
            };
            problems.warning(&list.place, printable(LIST), what, remedy);
        }
    }
    for (worker, place) in unused {
        let kind = properties.value(&[b"worker.", worker, b".type"].concat());
        let can_be = matches!(kind, None | Some(b"ajp13" | b"lb" | b"status"));
        let worker = worker_text(worker);
        let remedy = match can_be {
            true => format!("add {worker} to worker.list, or remove its properties"),
            false => "remove its properties".to_string(),
        };
        problems.warning(
            place,
            format!("worker.{worker}"),
            "has properties but is not in worker.list, so it is not used",
            remedy,
        );
    }
}

/// Says which workers are in no list, where there are any.
fn unlisted(workers: &[&[u8]]) -> Option<String> {
    let shown: Vec<String> =
        workers.iter().take(MAX_NAMED).map(|worker| worker_text(worker)).collect();
    let more = match workers.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = shown.join(", ");
    (!names.is_empty())
        .then(|| format!("properties without a place in the list exist for {names}{more}"))
}

/// The workers that have properties, each once with its first place.
pub(super) fn configured(properties: &Properties) -> Vec<(&[u8], &Place)> {
    let mut seen = HashSet::new();
    properties
        .iter()
        .filter(|found| !found.is_inherited)
        .filter_map(|found| Some((WorkerKey::parse(&found.key)?.worker, &found.place)))
        .filter(|(worker, _)| !worker.is_empty() && seen.insert(*worker))
        .collect()
}

/// The workers that others need although they are in no list: members and templates.
fn mentioned(properties: &Properties) -> HashSet<&[u8]> {
    let mut mentioned = HashSet::new();
    for found in properties.iter() {
        match WorkerKey::parse(&found.key).map(|parsed| parsed.property) {
            Some(b"balance_workers" | b"balanced_workers") => {
                mentioned.extend(value::list(&found.value));
            }
            Some(b"reference") => mentioned.extend(found.value.strip_prefix(b"worker.")),
            _ => {}
        }
    }
    mentioned
}

/// Warns of `worker.port`, which is no worker's, and of `worker.a.list`, which is no list.
fn warn_of_misplaced(properties: &Properties, problems: &mut Problems) {
    for found in properties.iter().filter(|found| !found.is_inherited) {
        let Some(WorkerKey { worker, property }) = WorkerKey::parse(&found.key) else { continue };
        let is_global = matches!(property, b"list" | b"maintain");
        if is_global == worker.is_empty() {
            continue;
        }
        let property = printable(property);
        let (what, remedy) = match is_global {
            true => {
                ("belongs to no single worker and is not used", format!("write worker.{property}"))
            }
            false => ("names no worker and is not used", format!("write worker.NAME.{property}")),
        };
        problems.warning(&found.place, key_text(&found.key), what, remedy);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::{Ajp13Config, Label, Target, keys::KEYS};

    fn read(text: &str) -> (Workers, Vec<String>, bool) {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        let workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        let shown = problems.iter().map(ToString::to_string).collect();
        (workers, shown, problems.has_errors())
    }

    fn names(workers: &Workers) -> Vec<String> {
        workers.workers.iter().map(|worker| worker.name().to_string()).collect()
    }

    #[test]
    fn without_a_list_there_is_one_worker() {
        let (workers, problems, _) = read("");
        assert_eq!(problems, [""; 0]);
        assert_eq!(names(&workers), ["ajp13"]);
        let (workers, problems, _) = read("worker.ajp13.port=1");
        assert_eq!(problems, [""; 0]);
        let WorkerConfig::Ajp13(config) = &workers.workers[0] else { panic!("{workers:?}") };
        assert_eq!(config.target, Target::Tcp { host: "localhost".to_string(), port: 1 });
    }

    #[test]
    fn finds_workers_by_name() {
        let text = "worker.list=a\nworker.list=b,a.b\nworker.a.port=1\nworker.b.port=2\n\
            worker.a.b.port=3";
        let (workers, problems, _) = read(text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(names(&workers), ["a", "b", "a.b"]);
        assert_eq!(workers.find(b"a.b").map(|(at, _)| at), Some(2));
        assert_eq!(workers.find(b"A"), None);
    }

    #[test]
    fn says_what_is_odd_about_the_list() {
        let long = "x".repeat(64);
        for (text, expected, is_error) in [
            (
                "worker.list=a, a\nworker.a.port=1".to_string(),
                "w:1: worker.list: names a twice, one worker is made; remove one of them"
                    .to_string(),
                false,
            ),
            (
                "worker.list=,".to_string(),
                "w:1: worker.list: \",\" names no worker; name one, or remove the line".to_string(),
                true,
            ),
            (
                format!("worker.list={long}"),
                format!(
                    "w:1: worker.list: \"{}...\": the name has 64 bytes, the limit is 63; use \
                     letters, digits, - and _",
                    "x".repeat(60)
                ),
                true,
            ),
            (
                "worker.list=a".to_string(),
                "w:1: worker.list: names a, which has no properties; it is type ajp13 at \
                 localhost, port 8009; set worker.a.host and worker.a.port"
                    .to_string(),
                false,
            ),
        ] {
            let (_, problems, has_errors) = read(&text);
            assert_eq!(problems, [expected]);
            assert_eq!(has_errors, is_error);
        }
    }

    #[test]
    fn explains_the_mistake_of_the_documented_example() {
        let text = "worker.list=XIvy\nworker.AxonIvyEngine.type=ajp13 \n\
            worker.AxonIvyEngine.host=ivyserver";
        let (workers, problems, has_errors) = read(text);
        assert!(!has_errors);
        assert_eq!(names(&workers), ["XIvy"]);
        assert_eq!(
            problems,
            [
                "w:1: worker.list: names XIvy, which has no properties; it is type ajp13 at \
                 localhost, port 8009; properties without a place in the list exist for \
                 AxonIvyEngine",
                "w:2: worker.AxonIvyEngine: has properties but is not in worker.list, so it is not \
                 used; add AxonIvyEngine to worker.list, or remove its properties",
            ]
        );
        let (_, problems, _) = read("worker.list=AxonIvyEngin\nworker.AxonIvyEngine.port=1");
        assert!(problems[0].ends_with("; did you mean AxonIvyEngine?"), "{problems:?}");
    }

    #[test]
    fn names_few_of_many_unused_workers() {
        let text = |count| {
            let unused = (0..count).map(|n| format!("worker.{n}.port=1\n")).collect::<String>();
            format!("worker.list=ivy-engine\n{unused}")
        };
        let begin = "properties without a place in the list exist for 0, 1, 2, 3, 4";
        for (count, end) in [(5, ""), (6, " and 1 more"), (3000, " and 2995 more")] {
            let (_, problems, _) = read(&text(count));
            assert_eq!(problems.len(), 1 + count);
            assert!(problems[0].ends_with(&format!("; {begin}{end}")), "{}", problems[0]);
        }
        // Thousands of names without properties beside thousands of unused ones.
        let list = (0..3000).map(|n| format!("worker.list=node{n}x\n")).collect::<String>();
        let unused = (0..3000).map(|n| format!("worker.node{n}.port=1\n")).collect::<String>();
        let (_, problems, _) = read(&format!("{list}{unused}"));
        assert!(problems[0].ends_with("; did you mean node0?"), "{}", problems[0]);
        assert!(problems[2999].ends_with(" and 2995 more"), "{}", problems[2999]);
    }

    #[test]
    fn explains_types() {
        for (kind, expected) in [
            ("ajp14", "type \"ajp14\" is not supported; use type ajp13, which every Tomcat speaks"),
            ("Ajp13", "there is no worker type \"Ajp13\"; did you mean ajp13?"),
            ("http", "there is no worker type \"http\"; use one of ajp13, lb, status"),
        ] {
            let (_, problems, has_errors) = read(&format!("worker.list=a\nworker.a.type={kind}"));
            assert_eq!(problems, [format!("w:2: worker.a.type: {expected}")]);
            assert!(has_errors);
        }
    }

    #[test]
    fn warns_of_properties_in_the_wrong_place() {
        let (_, problems, _) = read("worker.list=a\nworker.port=1\nworker.a.list=b");
        assert_eq!(
            problems,
            [
                "w:2: worker.port: names no worker and is not used; write worker.NAME.port",
                "w:3: worker.a.list: belongs to no single worker and is not used; write worker.list",
            ]
        );
    }

    #[test]
    fn maintains_every_minute_unless_told_otherwise() {
        for (line, expected, warnings) in [
            ("", Some(60), vec![]),
            ("worker.maintain=10", Some(10), vec![]),
            (
                "worker.maintain=0",
                None,
                vec![
                    "0 switches maintenance off: idle connections are neither closed nor pinged, \
                     and balancers forget no old load; remove the line, or use 60",
                ],
            ),
            (
                "worker.maintain=-5",
                None,
                vec![
                    "-5 switches maintenance off: idle connections are neither closed nor pinged, \
                     and balancers forget no old load; remove the line, or use 60",
                ],
            ),
            (
                "worker.maintain=60000",
                Some(60_000),
                vec!["60000 is read as 60000 seconds; write 60 if you mean milliseconds"],
            ),
            (
                "worker.maintain=often",
                None,
                vec![
                    "\"often\" is not a number of seconds, it is read as 0; use a whole number \
                     without a unit, such as 10 for ten seconds",
                    "0 switches maintenance off: idle connections are neither closed nor pinged, \
                     and balancers forget no old load; remove the line, or use 60",
                ],
            ),
        ] {
            let (workers, problems, _) = read(&format!("worker.ajp13.port=1\n{line}"));
            assert_eq!(workers.maintain.map(|time| time.as_secs()), expected, "{line}");
            let warnings: Vec<String> =
                warnings.iter().map(|said| format!("w:2: worker.maintain: {said}")).collect();
            assert_eq!(problems, warnings);
        }
        let (workers, problems, _) = read("worker.maintain=5\nworker.maintain=7");
        assert_eq!(workers.maintain, Some(Duration::from_secs(5)), "5*7");
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn collects_the_mounts_of_listed_workers() {
        let (workers, problems, _) = read(
            "worker.list=a,b\nworker.a.mount=/a /a/*\nworker.a.mount=/x|/*\nworker.b.mount=,\n\
             worker.b.reference=worker.t\nworker.t.port=1",
        );
        assert_eq!(problems, [""; 0]);
        let mounts: Vec<(String, &[u8], u32)> = workers
            .mounts
            .iter()
            .map(|mount| (mount.worker.to_string(), &mount.pattern[..], mount.place.line))
            .collect();
        let a = || "a".to_string();
        assert_eq!(mounts, [(a(), &b"/a"[..], 3), (a(), b"/a/*", 3), (a(), b"/x|/*", 3)]);
    }

    #[test]
    fn makes_workers_of_references() {
        let (workers, problems, _) = read(
            "worker.list=a,s\nworker.a.reference=worker.t\nworker.t.type=ajp13\n\
             worker.t.port=1\nworker.s.reference=stat\nstat.type=status",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let types: Vec<&str> = workers.workers.iter().map(WorkerConfig::type_name).collect();
        assert_eq!(types, ["ajp13", "status"]);
        let (_, problems, has_errors) = read("worker.list=a\nworker.a.reference=worker.b");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(has_errors);
    }

    /// Some property of one of the workers `a`, `l`, `m` and `s` with some value.
    fn line() -> impl Strategy<Value = String> {
        let worker = prop::sample::select(vec!["a", "l", "m", "n", "s", "l.x", ""]);
        let key = prop::sample::select(KEYS.as_slice());
        let value = prop_oneof![
            "[-+]?[0-9]{1,12}[kmKM]?x?",
            "[ahloprs,. ;/-]{1,9}",
            "worker\\.[alms]",
            "[x-z]{60,70}",
            prop::sample::select(vec!["lb", "status", "ajp13", "on", "off", "m,n", "CPI"])
                .prop_map(str::to_string),
        ];
        (worker, key, value).prop_map(|(worker, key, value)| match worker {
            "" => format!("worker.{}={value}\n", key.name),
            worker => format!("worker.{worker}.{}={value}\n", key.name),
        })
    }

    proptest! {
        #![proptest_config(crate::generated(256))]

        /// Whatever the lines say: what is not refused makes sense, and no secret is shown.
        #[test]
        fn what_is_accepted_makes_sense(lines in prop::collection::vec(line(), 0..40)) {
            let base = "worker.list=a,l,s\nworker.l.type=lb\nworker.l.balance_workers=m,n\n\
                worker.s.type=status\nworker.a.secret=s3cret\nworker.a.secretkey=s3cret\n";
            let (workers, problems, has_errors) = read(&format!("{base}{}", lines.concat()));
            prop_assert!(!problems.concat().contains("s3cret"));
            for worker in &workers.workers {
                let text: String = worker.describe().map(|(_, value)| value).collect();
                prop_assert!(!text.contains("s3cret"));
                let engines: Vec<&Ajp13Config> = match worker {
                    WorkerConfig::Ajp13(config) => vec![config.as_ref()],
                    WorkerConfig::Status(_) => Vec::new(),
                    WorkerConfig::Balancer(config) => {
                        prop_assert!(has_errors || !config.members.is_empty());
                        prop_assert!(config.retries > 0 && config.lb_retries > 0);
                        prop_assert!(config.recover_time >= Duration::from_secs(1));
                        let routes: HashSet<&Label> =
                            config.members.iter().map(|member| &member.route).collect();
                        prop_assert_eq!(routes.len(), config.members.len());
                        prop_assert!(config.members.iter().all(|member| member.lbfactor > 0));
                        config.members.iter().map(|member| &member.worker).collect()
                    }
                };
                for engine in engines {
                    prop_assert!(engine.pool_min_size <= engine.pool_size);
                    prop_assert!(engine.retries > 0 && engine.busy_limit != Some(0));
                    prop_assert!(engine.connect_ping != Some(Duration::ZERO));
                    let buffer = engine.connect.buffer.unwrap_or(usize::MAX);
                    prop_assert!(buffer >= engine.packet_size.bytes());
                }
            }
        }
    }
}
