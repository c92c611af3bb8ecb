//! The table of differences from the C mod_jk, misc/doc/COMPAT.md:
//! `| Subject | C mod_jk | Ours | Why, allowed by | Test |`.

use std::collections::BTreeSet;

/// What is wrong with the tables of `text`. `tests` are the names of all tests there are.
pub(super) fn problems(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut columns: Option<(usize, usize)> = None;
    let mut tables = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(cells) = cells(line) else {
            columns = None;
            continue;
        };
        let column = |name: &str| cells.iter().position(|cell| cell == name);
        if let (Some(why), Some(test)) = (column("Why, allowed by"), column("Test")) {
            columns = Some((why, test));
            tables += 1;
            continue;
        }
        let Some((why, test)) = columns else { continue };
        if cells.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':' | ' '))) {
            continue;
        }
        let mut complain = |what: &str| {
            let subject = cells.first().map_or("", String::as_str);
            problems.push(format!("misc/doc/COMPAT.md:{number}: {subject}: {what}"));
        };
        if !cells.get(why).is_some_and(|cell| has_citation(cell)) {
            complain(
                "cites nothing that allows it (`reliability.md 0`, `[9.2] n`, `issue n`, \
                 `DESIGN.md n`)",
            );
        }
        let named = test_names(cells.get(test).map_or("", String::as_str));
        if named.is_empty() {
            complain("names no test");
        }
        for name in named.iter().filter(|name| !tests.contains(*name)) {
            complain(&format!("there is no test {name}"));
        }
    }
    if tables == 0 {
        problems.push("misc/doc/COMPAT.md: no table with `Why, allowed by` and `Test`".into());
    }
    problems
}

/// Rows of spec/mod_jk.md 9.2.
const TRAPS: u32 = 24;

/// The traps that no row cites.
pub(super) fn missing_traps(text: &str) -> Vec<String> {
    let missing = (1..=TRAPS).filter(|trap| !cites_trap(text, *trap));
    missing.map(|trap| format!("misc/doc/COMPAT.md: no row cites trap {trap} of [9.2]")).collect()
}

/// True if some row has `[9.2]` with this number: `[9.2] 8, 9 and 13`.
fn cites_trap(text: &str, trap: u32) -> bool {
    let is_listed = |rest: &str| {
        let rest = rest.replace(" and ", ", ");
        let ends = |c: char| !c.is_ascii_digit() && !matches!(c, ' ' | ',');
        let list = rest.split(ends).next().unwrap_or_default();
        list.split([' ', ',']).any(|number| number == trap.to_string())
    };
    text.lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(|line| line.split("[9.2]").skip(1))
        .any(is_listed)
}

/// The cells of a table row, or `None` if the line is none. `\|` does not end a cell.
pub(super) fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?;
    let mut cells = vec![String::new()];
    let mut signs = inner.chars().peekable();
    while let Some(sign) = signs.next() {
        let cell = cells.last_mut().expect("at least one");
        match sign {
            '\\' if signs.peek() == Some(&'|') => cell.extend(signs.next()),
            '|' => cells.push(String::new()),
            sign => cell.push(sign),
        }
    }
    // What follows the last bar is no cell.
    if cells.last().is_some_and(|last| last.trim().is_empty()) {
        cells.pop();
    }
    Some(cells.iter().map(|cell| cell.trim().to_owned()).collect())
}

/// True if a cell names what allows the difference.
fn has_citation(cell: &str) -> bool {
    // Prose may wrap the file names in backticks.
    let cell = cell.replace('`', "");
    let number_after = |words: &str, number: fn(&str) -> bool| {
        cell.match_indices(words).any(|(at, _)| {
            let rest = cell[at + words.len()..].trim_start_matches([' ', '#']);
            let rest = rest.strip_prefix("trap").map_or(rest, str::trim_start);
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            number(&digits)
        })
    };
    number_after("reliability.md", |digits| digits == "0")
        || number_after("[9.2]", |digits| !digits.is_empty())
        || number_after("issue ", |digits| !digits.is_empty())
        || number_after("DESIGN.md", |digits| !digits.is_empty())
}

/// The last segments of the paths in backticks, or of all words if nothing is in backticks.
pub(super) fn test_names(cell: &str) -> Vec<String> {
    let quoted: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    let words = if quoted.is_empty() { cell.split([',', ' ']).collect() } else { quoted };
    words
        .iter()
        .filter_map(|word| word.trim().rsplit("::").next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[test]
fn bad_rows_are_found() {
    let tests = BTreeSet::from(["it_differs".to_owned()]);
    let check = |why: &str, test: &str| {
        let text = format!(
            "# Compat\n\n| Subject | C mod_jk | Ours | Why, allowed by | Test |\n\
             |---|---|---|---|---|\n| A | b \\| c | d | {why} | {test} |\n\nText.\n"
        );
        problems(&text, &tests).len()
    };
    for why in [
        "safer: `reliability.md` 0",
        "reliability.md 0, row Re-sending",
        "trap, see [9.2] 19",
        "[9.2] trap 1",
        "issue 2",
        "DESIGN.md 3",
    ] {
        assert_eq!(check(why, "`compliance::it_differs`"), 0, "{why}");
    }
    for why in ["", "better", "reliability.md 2", "[9.2]", "issue", "DESIGN.md", "[9.1] 2"] {
        assert_eq!(check(why, "it_differs"), 1, "{why}");
    }
    assert_eq!(check("issue 2", ""), 1);
    assert_eq!(check("issue 2", "`gone`"), 1);
    assert_eq!(check("issue 2", "`it_differs`, `gone`"), 1);
    assert_eq!(check("", "gone"), 2);
    assert_eq!(problems("no table", &tests).len(), 1);
    assert_eq!(problems("| A | B |\n|---|---|\n| c | d |\n", &tests).len(), 1);
}

#[test]
fn missing_traps_are_found() {
    let all = "| A | b | c | [9.2] 1, 2 and 3; [9.2] 4 | t |\n[9.2] 5\n| x, [9.2] 6, issue 7 |";
    let missing = missing_traps(all);
    assert_eq!(missing.len(), 19, "{missing:?}");
    assert!(missing[0].contains("trap 5 ") && missing[1].contains("trap 7 "), "{missing:?}");
}
