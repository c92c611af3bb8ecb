//! Random rule sets and paths: the compiled table against what the specification says, word by word.

use mod_jk::config::{Place, Problems};
use mod_jk::mapping::{Lookup, Mount, Rule, Table, copy_mounts, normalize, rules_of};
use proptest::prelude::*;

/// A line of some source.
#[derive(Debug, Clone)]
enum Line {
    /// An item of `worker.NAME.mount`.
    Definition { key: String, worker: String },
    /// JkMount or JkUnMount, of the server or of the main server that it copies from.
    Mount { key: String, worker: String, is_copied: bool },
    /// A line of the map file.
    Map { key: String, worker: String },
}

fn line() -> impl Strategy<Value = Line> {
    let path = "(/[abé.*?;%\\\\]{0,3}){1,3}(\\|[/*ab]{0,2})?";
    let worker = "[vw](;stateless=[01])?(;nonsense)?|\\*";
    let key = (prop_oneof![3 => Just(""), 1 => Just("!"), 1 => Just("-"), 1 => Just("-!")], path)
        .prop_map(|(marks, path)| format!("{marks}{path}"));
    (key, worker, 0..5_u8).prop_map(|(key, worker, kind)| match kind {
        0 => Line::Definition { key, worker: worker.chars().take(1).collect() },
        1 => Line::Map { key, worker },
        _ => {
            let key = key.replace('-', "");
            Line::Mount { key, worker, is_copied: kind == 4 }
        }
    })
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::sample::select(&b"//////aaabb..;;%\\*?|\xc3\xa9\xff"[..]);
    prop::collection::vec(bytes, 0..14).prop_map(|rest| [b"/", &rest[..]].concat())
}

fn table(lines: &[Line], rejects_unsafe: bool) -> Table {
    let mut problems = Problems::new();
    let (mut own, mut main, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    for (line, number) in lines.iter().zip(1..) {
        let place = Place::new("test", number);
        match line {
            Line::Definition { key, worker } => {
                let (key, worker) = (key.as_bytes(), worker.as_bytes());
                rules.extend(Rule::definition(key, worker, &place, &mut problems));
            }
            Line::Mount { key, worker, is_copied } => {
                let mount = Mount {
                    path: key.trim_start_matches('!').into(),
                    worker: worker.as_str().into(),
                    is_exclusion: key.starts_with('!'),
                    place,
                };
                if *is_copied { main.push(mount) } else { own.push(mount) }
            }
            Line::Map { key, worker } => {
                let (key, worker) = (key.as_bytes(), worker.as_bytes());
                rules.extend(Rule::from_map_file(key, worker, &place, &mut problems));
            }
        }
    }
    rules.extend(rules_of(&copy_mounts(&own, &main), &mut problems));
    Table::new(rules, |_| None).rejecting_unsafe(rejects_unsafe)
}

/// A rule of the model.
#[derive(Debug)]
struct Plain {
    pattern: Vec<char>,
    worker: String,
    is_stateless: bool,
    is_exclusion: bool,
    source: u8,
}

/// The enabled rules in the order of their lines.
fn plain(lines: &[Line]) -> Vec<Plain> {
    let mut kept: Vec<(String, String, u8)> = Vec::new();
    let copied = |line: &&Line| matches!(line, Line::Mount { is_copied: true, .. });
    // What is copied comes last, and not at all where the server has the key.
    let ordered = lines.iter().filter(|line| !copied(line)).chain(lines.iter().filter(copied));
    let own: Vec<&str> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Mount { key, is_copied: false, .. } => Some(key.as_str()),
            _ => None,
        })
        .collect();
    for line in ordered {
        let (key, worker, source) = match line {
            Line::Definition { key, worker } => {
                kept.push((key.replacen('|', "\n", 1), worker.clone(), 1));
                continue;
            }
            Line::Mount { key, is_copied: true, .. } if own.contains(&key.as_str()) => continue,
            Line::Mount { key, worker, .. } => (key, worker, 2),
            Line::Map { key, worker } => {
                kept.push((key.clone(), worker.clone(), 3));
                continue;
            }
        };
        match kept.iter_mut().find(|(known, _, kind)| known == key && *kind == source) {
            Some(earlier) => earlier.1.clone_from(worker),
            None => kept.push((key.clone(), worker.clone(), source)),
        }
    }
    let mut rules = Vec::new();
    for (key, worker, source) in kept {
        if key.starts_with('-') {
            continue;
        }
        let is_exclusion = key.starts_with('!');
        let key = key.trim_start_matches('!');
        let paths = match key.split_once('|') {
            Some((first, second)) => vec![first.to_owned(), format!("{first}{second}")],
            None => vec![key.replace('\n', "|")],
        };
        for path in paths {
            rules.push(Plain {
                // Rules have bytes, so that `?` is one of the two of an é.
                pattern: path.bytes().map(char::from).collect(),
                worker: worker.split(';').next().unwrap_or_default().to_owned(),
                is_stateless: worker.contains(";stateless=1"),
                is_exclusion,
                source,
            });
        }
    }
    rules
}

fn matches(pattern: &[char], path: &[char]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some(('*', rest)) => {
            matches(rest, path) || !path.is_empty() && matches(pattern, &path[1..])
        }
        Some(('?', rest)) => !path.is_empty() && matches(rest, &path[1..]),
        Some((wanted, rest)) => path.first() == Some(wanted) && matches(rest, &path[1..]),
    }
}

/// What Tomcat makes of a decoded path: the segments that are left, `None` above the root.
pub(super) fn segments(path: &[char]) -> Option<String> {
    let text: String = path.iter().collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = true;
    for segment in text.split('/').skip(1) {
        let name = segment.split(';').next().unwrap_or_default();
        ends_in_folder = matches!(name, "" | "." | "..");
        match name {
            "" | "." => {}
            ".." => {
                kept.pop()?;
            }
            name => kept.push(name),
        }
    }
    let mut normal = format!("/{}", kept.join("/"));
    if ends_in_folder && !kept.is_empty() {
        normal.push('/');
    }
    Some(normal)
}

/// `400`, `-`, `!`, `%`, or the worker, with `+` when the request is stateless.
fn naive(lines: &[Line], rejects_unsafe: bool, path: &[u8]) -> String {
    let path: Vec<char> = path.iter().copied().map(char::from).collect();
    let Some(normal) = segments(&path) else { return "400".to_owned() };
    let normal: Vec<char> = normal.chars().collect();
    let rules = plain(lines);
    let mut winner: Option<&Plain> = None;
    let rank = |rule: &Plain| {
        let slashes = rule.pattern.iter().filter(|c| **c == '/').count();
        (slashes, rule.pattern.len(), rule.source)
    };
    for rule in rules.iter().filter(|rule| !rule.is_exclusion) {
        let is_better = winner.is_none_or(|winner| rank(rule) > rank(winner));
        if is_better && matches(&rule.pattern, &normal) {
            winner = Some(rule);
        }
    }
    let Some(winner) = winner else { return "-".to_owned() };
    let excludes = |rule: &&Plain| {
        rule.is_exclusion
            && (rule.worker == winner.worker || rule.worker == "*")
            && matches(&rule.pattern, &normal)
    };
    if rules.iter().any(|rule| excludes(&rule)) {
        return "!".to_owned();
    }
    if rejects_unsafe && normal.iter().any(|c| matches!(c, '%' | '\\')) {
        return "%".to_owned();
    }
    format!("{}{}", winner.worker, if winner.is_stateless { "+" } else { "" })
}

fn ours(table: &Table, path: &[u8]) -> String {
    let Ok(normal) = normalize(path) else { return "400".to_owned() };
    match table.lookup(&normal) {
        Lookup::Unmapped => "-".to_owned(),
        Lookup::Excluded { .. } => "!".to_owned(),
        Lookup::Unsafe { .. } => "%".to_owned(),
        Lookup::Mapped { rule } => {
            let rule = table.rule(rule).expect("a rule of the table");
            let worker = String::from_utf8_lossy(&rule.worker).into_owned();
            worker + if rule.options.stateless { "+" } else { "" }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if std::env::var_os("JK_LONG").is_some() { 20_000 } else { 1_000 }
    ))]

    #[test]
    fn tables_and_the_naive_model_agree(
        lines in prop::collection::vec(line(), 0..16),
        rejects_unsafe: bool,
        paths in prop::collection::vec(path(), 12),
    ) {
        let table = table(&lines, rejects_unsafe);
        for path in paths {
            let shown = String::from_utf8_lossy(&path).into_owned();
            let expected = naive(&lines, rejects_unsafe, &path);
            prop_assert_eq!(ours(&table, &path), expected, "{}", shown);
        }
    }
}

/// The model would be no witness if nearly all of its answers were the same.
#[test]
fn the_model_gives_all_answers() {
    let definition = |key: &str| Line::Definition { key: key.to_owned(), worker: "w".to_owned() };
    let lines = [definition("/a/*"), definition("!/a/b"), definition("-/b")];
    for (path, expected) in
        [("/a/x", "w"), ("/a/x/../b", "!"), ("/b", "-"), ("/a/%", "%"), ("/..", "400")]
    {
        assert_eq!(naive(&lines, true, path.as_bytes()), expected, "{path}");
        assert_eq!(ours(&table(&lines, true), path.as_bytes()), expected, "{path}");
    }
}
