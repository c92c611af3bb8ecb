//! Map files: the compiled table answers as its rules do when they are tried one by one.

use std::cmp::Reverse;

use mod_jk::config::{Place, Problems, Properties};
use mod_jk::mapping::rule::RuleSource;
use mod_jk::mapping::{
    Lookup, Mount, Rule, RuleId, Table, WorkerKind, WorkerNames, copy_mounts, normalize, rules_of,
};

use super::memory;
use super::properties::{reads_back, said_well};

/// A map file; behind a zero byte, lines with paths that are asked for. The paths of the rules are
/// asked for as well.
pub fn uriworkermap(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let paths = parts.next().unwrap_or_default();
    let limit = 100_000 + text.len() * 2000;
    let (table, map, mut problems) = memory::at_most(limit, || read(text));
    let lines = text.split(|byte| *byte == b'\n').count();
    let workers = WorkerNames::new([
        (&b"w"[..], WorkerKind::Other),
        (b"lb", WorkerKind::Balancer(vec![b"n1".as_slice().into(), b"n2".as_slice().into()])),
    ]);
    table.check(&workers, &mut problems);
    said_well(&problems, lines);
    reads_back(&map, Properties::of_map_file());
    checked(&table, &workers);

    let asked = paths.split(|byte| *byte == b'\n').map(<[u8]>::to_vec);
    let of_rules = table.rules().iter().flat_map(|rule| {
        let text = rule.pattern.as_bytes();
        let with = |star: &[u8], one: u8| -> Vec<u8> {
            let part = |byte: &u8| match byte {
                b'*' => star.to_vec(),
                b'?' => vec![one],
                byte => vec![*byte],
            };
            text.iter().flat_map(part).collect()
        };
        [with(b"", b'/'), with(b"x/y", b'z'), [text, b"/"].concat()]
    });
    for path in asked.chain(of_rules).take(40) {
        let Ok(normal) = normalize(&path) else { continue };
        for rejects in [false, true] {
            let table = table.clone().rejecting_unsafe(rejects);
            let found = memory::at_most(0, || table.lookup(&normal));
            assert_eq!(found, naive(&table, &normal, rejects), "{}", path.escape_ascii());
        }
    }
}

/// The rules of the file, and the same lines once more as directives and as properties.
fn read(text: &[u8]) -> (Table, Properties, Problems) {
    let (mut map, mut problems) = (Properties::of_map_file(), Problems::new());
    map.read_text(text, "m", &|_| None, &mut problems);
    let mut rules = Vec::new();
    let mut mounts = Vec::new();
    for line in map.iter() {
        let place = &line.place;
        rules.extend(Rule::from_map_file(&line.key, &line.value, place, &mut problems));
        rules.extend(Rule::definition(&line.key, &line.value, place, &mut problems));
        let is_exclusion = line.key.starts_with(b"!");
        let path = line.key.strip_prefix(b"!").unwrap_or(&line.key);
        let mount = Mount {
            path: path.into(),
            worker: line.value.as_slice().into(),
            is_exclusion,
            place: place.clone(),
        };
        mounts.push(mount);
    }
    let half = mounts.len() / 2;
    let copied = copy_mounts(&mounts[..half], &mounts[half..]);
    rules.extend(rules_of(&copied, &mut problems));
    (Table::new(rules, |name| (name == b"w").then_some(0)), map, problems)
}

fn checked(table: &Table, workers: &WorkerNames) {
    let precedence = |rule: &Rule| {
        let path = rule.pattern.as_bytes();
        (path.iter().filter(|byte| **byte == b'/').count(), path.len(), rule.source)
    };
    assert!(table.rules().is_sorted_by_key(|rule| Reverse(precedence(rule))));
    for (at, rule) in table.rules().iter().enumerate() {
        let pattern = rule.pattern.as_bytes();
        assert!(pattern.starts_with(b"/"), "{rule:?}");
        assert!(!rule.label().bytes().any(|byte| byte.is_ascii_control()));
        assert!(rule.options.of_balancers().all(|name| !name.is_empty()));
        assert!(!rule.is_exclusion || rule.options.of_balancers().next().is_none());
        let is_disabled = rule.is_disabled;
        assert!(!is_disabled || matches!(rule.source.name(), "uriworkermap" | "worker definition"));
        assert_eq!(table.worker(RuleId(at)).is_some(), &*rule.worker == b"w");
        assert_eq!(
            workers.position(&rule.worker).is_some(),
            [&b"w"[..], b"lb"].contains(&&*rule.worker)
        );
    }
    assert_eq!(
        table.is_empty(),
        table.rules().iter().all(|rule| rule.is_disabled || rule.is_exclusion)
    );
    let engine = Rule::engine(b"/a|/*", b"w", &Place::new("c", 1));
    assert!(engine.len() == 2 && engine[0].source == RuleSource::IvyEngine);
}

/// The first rule that matches, unless there is an exclusion.
pub(super) fn naive(table: &Table, path: &[u8], rejects_unsafe: bool) -> Lookup {
    let find = |is_wanted: &dyn Fn(&Rule) -> bool| {
        let is_it = |rule: &Rule| {
            !rule.is_disabled && is_wanted(rule) && matches(rule.pattern.as_bytes(), path)
        };
        table.rules().iter().position(is_it).map(RuleId)
    };
    let Some(rule) = find(&|rule| !rule.is_exclusion) else { return Lookup::Unmapped };
    let worker = &table.rule(rule).unwrap().worker;
    let excludes =
        |rule: &Rule| rule.is_exclusion && (&rule.worker == worker || &*rule.worker == b"*");
    match find(&excludes) {
        Some(exclusion) => Lookup::Excluded { rule, exclusion },
        None if rejects_unsafe && path.iter().any(|b| matches!(b, b'%' | b'\\')) => {
            Lookup::Unsafe { rule }
        }
        None => Lookup::Mapped { rule },
    }
}

/// Whether a path matches, byte by byte of the pattern: for each length of its begin whether that
/// can be it.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let mut can = vec![false; path.len() + 1];
    can[0] = true;
    for wanted in pattern {
        let mut next = vec![false; can.len()];
        for at in 0..can.len() {
            next[at] = match wanted {
                b'*' => can[..=at].contains(&true),
                b'?' => at > 0 && can[at - 1],
                byte => at > 0 && can[at - 1] && path[at - 1] == *byte,
            };
        }
        can = next;
    }
    can[path.len()]
}
