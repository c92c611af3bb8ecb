//! misc/doc/reference.md says what the code's own tables say.

use std::collections::BTreeMap;
use std::path::Path;

use mod_jk::config::keys::{KEYS, Key, Status};

use super::with;

type Row = Vec<String>;

/// The rows of the tables below a heading of level two, by their first cell.
fn rows(heading: &str) -> BTreeMap<String, Row> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/doc/reference.md");
    let text = std::fs::read_to_string(file).expect("misc/doc/reference.md");
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).expect(heading);
    let section = section.split("\n## ").next().unwrap_or_default();
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")) {
        // A bar within a cell is written `\|`.
        let cells = line.replace("\\|", "\0");
        let cells: Row =
            cells.trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
        let known = rows.insert(cells[0].clone(), cells);
        assert!(known.is_none(), "twice: {line}");
    }
    rows
}

/// httpd itself lists the directives of the loaded modules, with where they may stand.
#[test]
fn every_directive_is_there_with_its_place() {
    let mut rows = rows("Directives");
    assert!(rows.remove("Directive").is_some());
    let listed = with("").list_directives();
    let mut names = Vec::new();
    let mut lines = listed.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, _)) = line.strip_suffix("(mod_jk.c)").map(|name| (name.trim(), ())) else {
            continue;
        };
        let rest: Vec<&str> =
            std::iter::from_fn(|| lines.next_if(|l| l.starts_with('\t'))).collect();
        let row = rows.get(name).unwrap_or_else(|| panic!("{name} is not in the reference"));
        let in_sections = rest.iter().any(|line| line.contains("Allowed in *.conf anywhere"));
        assert_eq!(row[1] == "section", in_sections, "{name}: {rest:?}");
        // main or server: `config::directives` shows which.
        assert!(["main", "server", "section"].contains(&&*row[1]), "{row:?}");
        names.push(name.to_owned());
    }
    names.sort();
    let documented: Vec<String> = rows.keys().cloned().collect();
    assert_eq!(documented, names);
    for (name, row) in &rows {
        assert!(row.iter().take(6).all(|cell| !cell.is_empty()), "{row:?}");
        assert!(row[4].starts_with(&format!("`{name} ")), "an example: {row:?}");
    }
}

fn of(key: &Key) -> Vec<&'static str> {
    match key.applies {
        [] => vec!["nowhere"],
        roles => roles.iter().map(|role| role.name()).collect(),
    }
}

#[test]
fn every_property_is_there_as_the_code_has_it() {
    let rows = rows("Worker properties");
    let mut documented = 0;
    for key in &KEYS {
        let name = match key.name {
            "list" | "maintain" => format!("worker.{}", key.name),
            name => format!("worker.X.{name}"),
        };
        match key.status {
            Status::Supported => {
                let row = rows.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
                let [_, roles, default, unit, example, meaning, _] = &row[..] else {
                    panic!("{row:?}")
                };
                assert_eq!(*roles, of(key).join(", "), "{name}");
                assert_eq!((&**default, &**unit), (key.default, key.unit), "{name}");
                assert!(meaning.eq_ignore_ascii_case(key.meaning), "{name}: {}", key.meaning);
                let example = example.trim_matches('`');
                let set = example.split('=').next().unwrap_or_default();
                assert_eq!(set.replace(".ivy.", ".X."), name, "{example}");
                documented += 1;
            }
            Status::Deprecated(Some(today)) => {
                let row = rows.get(&name).unwrap_or_else(|| panic!("{name} is missing"));
                assert!(row[1].starts_with(&format!("worker.X.{today}")), "{row:?}");
            }
            Status::Deprecated(None) => {
                let dead = rows.values().find(|row| row[1].starts_with("none: they never"));
                let names: Vec<&str> = dead.expect("the row")[0].split(", ").collect();
                assert!(names.contains(&key.name), "{}", key.name);
            }
        }
    }
    assert_eq!(rows.keys().filter(|name| name.starts_with("worker.")).count(), documented + 6);
}

/// The examples load, all of them together with what they need.
#[test]
fn the_examples_of_properties_are_good() {
    let rows = rows("Worker properties");
    let mut lines =
        String::from("worker.list=ivy,lb,st\nworker.lb.type=lb\nworker.st.type=status\n");
    for row in rows.values().filter(|row| row.len() == 7 && row[0].starts_with("worker.")) {
        let example = row[4].trim_matches('`');
        let worker = match row[1].split(", ").next().unwrap_or_default() {
            "lb" => "lb",
            "status" => "st",
            _ => "ivy",
        };
        // What stands for another set-up than this one.
        let alone = ["type", "reference", "redirect", "secretkey", "socket", "balance_workers"];
        let name = row[0].rsplit('.').next().unwrap_or_default();
        if alone.contains(&name) || row[1] == "global" {
            continue;
        }
        lines += &example.replace("worker.ivy.", &format!("worker.{worker}."));
        lines.push('\n');
    }
    lines += "worker.lb.balance_workers=ivy\n";
    let result = with("").workers(&lines).config_test();
    assert!(result.status.success(), "{}", result.output);
    let doubts = ["is not a", "is neither", "is none of", "there is no"];
    for doubt in doubts {
        assert!(!result.output.contains(doubt), "{}", result.output);
    }
}

#[test]
fn every_key_of_an_engine_is_there() {
    let rows = rows("JkIvyEngine");
    let code = super::files::read("src/config/ivy/line.rs");
    let (_, keys) = code.split_once("const KEYS").expect("the keys");
    let keys = keys.split(';').nth(1).expect("the keys");
    let known: Vec<String> =
        keys.split('"').skip(1).step_by(2).map(|key| format!("{key}=")).collect();
    assert_eq!(known.len(), 8, "{keys}");
    assert_eq!(rows.len(), known.len() + 1, "{:?}", rows.keys());
    for key in known {
        assert!(rows.contains_key(&key), "{key} is missing");
    }
}

#[test]
fn every_option_and_token_is_there() {
    let options = rows("JkOptions");
    let named: String = options.keys().cloned().collect::<Vec<_>>().join(", ");
    for line in super::files::read("src/httpd/options.rs").lines() {
        let name = line.trim().strip_prefix("(\"").and_then(|rest| rest.split_once("\", "));
        if let Some((name, option)) = name
            && option == format!("{name}),")
        {
            assert!(named.split(", ").any(|known| known == name), "{name} is missing");
        }
    }
    let tokens = rows("JkRequestLogFormat");
    let cells: Vec<&String> = tokens.values().flatten().collect();
    for letter in "bBHmpqrsTUvVwR".chars() {
        assert!(cells.contains(&&format!("`%{letter}`")), "{letter}");
    }
    let extensions = rows("Rule extensions");
    let named: String = extensions.keys().cloned().collect::<Vec<_>>().join(", ");
    for name in super::files::read("src/mapping/extensions.rs").split('"').skip(1).step_by(2) {
        let is_name = name.len() > 5 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if is_name && name.contains('_') {
            assert!(named.split(", ").any(|known| known == name), "{name} is missing");
        }
    }
}
