//! The table of misc/doc/SAFETY.md that discusses the most delicate unsafe blocks:
//! `| Block | What could go wrong | Why it does not | Shown by |`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::Source;

const HEADING: &str = "## The ten most delicate blocks";
const ROWS: usize = 10;

/// What is wrong with the table in `text`. `files` is all code, `tests` the names of all tests.
pub(super) fn problems(
    text: &str,
    files: &[(PathBuf, String)],
    tests: &BTreeSet<String>,
) -> Vec<String> {
    let section = text.split_once(HEADING).map_or("", |(_, rest)| rest);
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
    let mut problems = Vec::new();
    if rows.len() != ROWS {
        problems.push(format!("SAFETY.md: {} rows instead of {ROWS}", rows.len()));
    }
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [block, wrong, reason, shown] = cells[..] else {
            problems.push(format!("SAFETY.md: not four cells: {row}"));
            continue;
        };
        let block = block.trim_matches('`');
        let mut complain = |what: String| problems.push(format!("SAFETY.md: {block}: {what}"));
        let (file, function) = block.split_once("::").unwrap_or((block, ""));
        let file = files.iter().find(|(path, _)| path == Path::new(file));
        match file.and_then(|(_, text)| Source::new(text).unsafe_blocks_of(function)) {
            None => complain("there is no such function".into()),
            Some(0) => complain("it has no unsafe block".into()),
            Some(_) => {}
        }
        if wrong.is_empty() || reason.is_empty() {
            complain("nothing is discussed".into());
        }
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            complain("names no test".into());
        }
        for name in named.iter().filter(|name| !tests.contains(**name)) {
            complain(format!("there is no test {name}"));
        }
    }
    problems
}

#[test]
fn rows_about_nothing_are_found() {
    let files = [(
        PathBuf::from("src/httpd/a.rs"),
        "fn b() { // SAFETY: c\n unsafe { d() } }\nfn safe() {}".to_owned(),
    )];
    let tests = BTreeSet::from(["shown".to_owned()]);
    let check = |row: &str| {
        let text = format!("# Safety\n\n{HEADING}\n\n| Block | A | B | C |\n|---|---|---|---|\n");
        problems(&(text + &format!("{row}\n").repeat(ROWS)), &files, &tests).len()
    };
    assert_eq!(check("| `src/httpd/a.rs::b` | wrong | right | `shown` |"), 0);
    for row in [
        "| `src/httpd/a.rs::gone` | wrong | right | `shown` |",
        "| `src/httpd/gone.rs::b` | wrong | right | `shown` |",
        "| `src/httpd/a.rs::safe` | wrong | right | `shown` |",
        "| `src/httpd/a.rs` | wrong | right | `shown` |",
        "| `src/httpd/a.rs::b` | | right | `shown` |",
        "| `src/httpd/a.rs::b` | wrong | right | |",
        "| `src/httpd/a.rs::b` | wrong | right | `gone` |",
        "| `src/httpd/a.rs::b` | wrong |",
    ] {
        assert_eq!(check(row), ROWS, "{row}");
    }
    assert_eq!(problems("no table", &files, &tests).len(), 1);
}
