//! The list of events in misc/doc/troubleshoot.md is the list of those that the module writes.

use std::collections::BTreeSet;
use std::path::Path;

pub(super) fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The event names in the table "By event" of troubleshoot.md.
fn documented_events() -> BTreeSet<String> {
    let text = read("misc/doc/troubleshoot.md");
    let table = text.split("## By event").nth(1).expect("the section");
    let table = table.split("\n## ").next().expect("the section");
    let column = table.lines().filter_map(|line| line.split('|').nth(2));
    let names = column.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// All of our source, tests left out.
fn source() -> String {
    let mut todo = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut all = String::new();
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(
                std::fs::read_dir(&path).expect("src").map(|entry| entry.expect("it").path()),
            );
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            all += text.split("#[cfg(test)]").next().unwrap_or_default();
        }
    }
    all
}

#[test]
fn every_documented_event_is_one_that_the_module_writes() {
    let (events, source) = (documented_events(), source());
    assert!(events.len() > 30, "{events:?}");
    let unknown: Vec<&String> = events
        .iter()
        .filter(|name| {
            // A name by itself, or the beginning of a line's text.
            ![format!("\"{name}\""), format!("\"{name}: "), format!(") {name}: ")]
                .iter()
                .any(|text| source.contains(text))
        })
        .collect();
    assert!(unknown.is_empty(), "documented, but nowhere in src: {unknown:?}");
}

#[test]
fn every_event_that_the_module_writes_is_documented() {
    let (events, source) = (documented_events(), source());
    let is_name =
        |name: &str| name.len() > 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    // `Self::X => "name"` within the functions that name events, and `({}) name: …` in log lines.
    let mut written = BTreeSet::new();
    for function in source.split("fn event(").skip(1) {
        let body = function.split("\n    }").next().unwrap_or_default();
        let names = body.split('"').skip(1).step_by(2).filter(|name| is_name(name));
        written.extend(names.map(str::to_owned));
    }
    for line in source.split("\"({}) ").skip(1) {
        let name = line.split(':').next().unwrap_or_default();
        written.extend(is_name(name).then(|| name.to_owned()));
    }
    for text in source.split("jk_log!(").skip(1) {
        let name = text.split('"').nth(1).and_then(|text| text.split(':').next());
        written.extend(name.filter(|name| is_name(name) && name.contains('_')).map(str::to_owned));
    }
    assert!(written.len() > 30, "{written:?}");
    let missing: Vec<&String> = written.difference(&events).collect();
    assert!(missing.is_empty(), "not in misc/doc/troubleshoot.md: {missing:?}");
}
