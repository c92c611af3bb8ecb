//! The walk through the advisories, misc/doc/SECURITY.md: `| Id | Cause | Why not here | Test |`.

use std::collections::BTreeSet;

use super::compat::{cells, test_names};

/// The advisories that spec/reliability.md 1 has.
const ADVISORIES: &str = "2005-3164 2006-7197 2007-0450 2007-0774 2007-1860 2007-6420 2007-6421 2007-6422 \
     2008-2364 2008-5519 2009-0033 2009-1191 2009-1890 2010-0408 2011-3190 2011-3348 \
     2011-4608 2012-1154 2012-3499 2012-3502 2012-4557 2012-4558 2013-4286 2013-5704 \
     2014-0095 2014-0099 2014-0117 2014-8111 2015-0298 2016-3110 2016-5387 2016-6808 \
     2016-8612 2016-8743 2018-11759 2018-1323 2019-0220 2019-10092 2020-11985 2020-1938 \
     2020-27782 2020-5902 2021-33193 2021-40438 2022-1319 2022-2053 2022-26377 2022-31813 \
     2022-36760 2022-37436 2023-25690 2023-27522 2023-34981 2023-38709 2023-41081 2023-45802 \
     2023-46747 2023-5379 2023-6710 2024-10306 2024-24795 2024-38473 2024-38476 2024-38477 \
     2024-39573 2024-42516 2024-43204 2024-46544 2024-6162 2025-23048 2026-103119 2026-23918 \
     2026-28780 2026-33523 2026-33857 2026-34032 2026-34059 2026-34356 2026-43514 2026-63718 \
     2026-78383";

/// What is wrong with the document. `tests` are the names of all tests there are.
pub(super) fn problems(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut named = BTreeSet::new();
    let mut column = None;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(cells) = cells(line) else {
            column = None;
            continue;
        };
        if column.is_none() {
            column = cells.iter().position(|cell| cell == "Test");
            continue;
        }
        let row = column.and_then(|at| cells.get(at)).map(|cell| test_names(cell));
        let row: Vec<String> = row.unwrap_or_default();
        if row.is_empty() {
            problems.push(format!("misc/doc/SECURITY.md:{number}: names no test"));
        }
        if cells.iter().all(|cell| cell.chars().all(|c| matches!(c, '-' | ':'))) {
            problems.pop();
            continue;
        }
        for name in &row {
            if !tests.contains(name) {
                problems.push(format!("misc/doc/SECURITY.md:{number}: there is no test {name}"));
            }
        }
        named.extend(row);
    }
    for test in tests.iter().filter(|test| test.starts_with("cve_") && !named.contains(*test)) {
        problems.push(format!("misc/doc/SECURITY.md: no row names the test {test}"));
    }
    for id in ADVISORIES.split_whitespace().map(|number| format!("CVE-{number}")) {
        let ends = |at: usize| !text[at + id.len()..].starts_with(|c: char| c.is_ascii_digit());
        if !text.match_indices(&id).any(|(at, _)| ends(at)) {
            problems.push(format!("misc/doc/SECURITY.md: {id} is missing"));
        }
    }
    problems
}

#[test]
fn gaps_are_found() {
    let all: String =
        ADVISORIES.split_whitespace().map(|number| format!("CVE-{number} ")).collect();
    let tests = BTreeSet::from(["cve_1".to_owned(), "other".to_owned()]);
    let check = |test: &str| {
        problems(&format!("{all}\n\n| Id | Test |\n|---|---|\n| x | {test} |\n"), &tests)
    };
    assert_eq!(check("`cve_1`"), [""; 0]);
    assert_eq!(check("`other`"), ["misc/doc/SECURITY.md: no row names the test cve_1"]);
    assert_eq!(check("`cve_1`, `gone`"), ["misc/doc/SECURITY.md:5: there is no test gone"]);
    assert_eq!(check("").len(), 2);
    let few = all.replacen("CVE-", "", 1);
    assert_eq!(problems(&few, &BTreeSet::new()).len(), 1);
}
