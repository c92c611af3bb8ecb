//! Every row of the tables has a test that bears its name, and every pain of users its row in the
//! document for administrators.

use std::collections::BTreeSet;
use std::path::Path;

/// Rows of spec/reliability.md 2.1 and 2.2.
const FRAMING: [(&str, u32); 2] = [("f", 18), ("g", 16)];

/// Rows of spec/reliability.md 4.
const PAINS: usize = 25;

/// The rows that no function of these names is for.
fn missing(names: &BTreeSet<String>) -> Vec<String> {
    let all = FRAMING
        .iter()
        .flat_map(|(table, last)| (1..=*last).map(move |n| format!("{table}{n:02}_")));
    all.filter(|row| !names.iter().any(|name| name.starts_with(row))).collect()
}

/// Names of the test functions in a source text.
fn tests(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split("#[test]").skip(1).filter_map(|text| {
        let name = text.split_once("fn ")?.1;
        name.split_once('(').map(|(name, _)| name.to_owned())
    })
}

fn all_tests() -> BTreeSet<String> {
    fn collect(folder: &Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(&path, names);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(tests(&std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    let mut names = BTreeSet::new();
    for folder in ["tests/it", "src"] {
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut names);
    }
    names
}

#[test]
fn every_row_of_the_framing_tables_has_a_test() {
    assert_eq!(missing(&all_tests()), [""; 0]);
}

#[test]
fn a_row_without_a_test_is_found() {
    let mut names = all_tests();
    names.retain(|name| !name.starts_with("g07_"));
    assert_eq!(missing(&names), ["g07_"]);
    let text = "#[test]\n#[cfg(unix)]\nfn f01_a() {}\nfn f02_b() {}";
    assert_eq!(tests(text).collect::<Vec<_>>(), ["f01_a"]);
}

/// The numbers of the rows, and what each names as its test.
fn pains(text: &str) -> Vec<(usize, Vec<String>)> {
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.split(" | ").collect();
        let number = cells.first()?.strip_prefix("| ")?.trim().parse().ok()?;
        let named = cells.last()?.split('`').skip(1).step_by(2);
        Some((
            number,
            named.filter_map(|name| name.rsplit("::").next()).map(str::to_owned).collect(),
        ))
    });
    rows.collect()
}

#[test]
fn every_pain_has_its_row_and_its_test() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/doc/reliability.md");
    let rows = pains(&std::fs::read_to_string(path).expect("a document"));
    assert_eq!(
        rows.iter().map(|(number, _)| *number).collect::<Vec<_>>(),
        (1..=PAINS).collect::<Vec<_>>()
    );
    let known = all_tests();
    for (number, names) in rows {
        assert!(!names.is_empty(), "row {number} names no test");
        for name in names {
            assert!(known.contains(&name), "row {number}: there is no test {name}");
        }
    }
}
