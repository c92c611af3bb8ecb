//! The checklist: every directive and every property of the C mod_jk, each shown to do something.
//!
//! One table of cases: lines of configuration, what is asked, what is looked at. Each case runs
//! with the C module and with ours, as it stands and once more without each line that is marked:
//! what is seen must change when the line is gone, and must be the same with both modules, unless
//! the case names a row of misc/doc/COMPAT.md.

use std::collections::BTreeSet;

use crate::compliance::{assert_each_has_its_name, rows_that_name};
use case::{Case, OnOurs, Side};
use rows::{EXTENSIONS, NOTES, OPTIONS, ROWS, TOKENS, VARIABLES};

mod balancers;
mod case;
mod dialect;
mod engines;
mod errors;
mod indicators;
mod judge;
mod logs;
mod looks;
mod mounts;
mod obsolete;
mod options;
mod rows;
mod run;
mod scenes;
mod stage;
mod starts;
mod traps;
mod workers;

/// Directives that name variables, and the variables.
#[test]
fn environment_variables_do_the_same() {
    indicators::group().check();
}

/// JkOptions.
#[test]
fn options_do_the_same() {
    options::group().check();
}

/// JkOptions of the main server.
#[test]
fn options_of_the_main_server_are_inherited() {
    options::inheriting().check();
}

/// JkMount, JkUnMount, map files, rule extensions.
#[test]
fn mounts_do_the_same() {
    mounts::group().check();
}

/// JkMountCopy.
#[test]
fn mounts_of_the_main_server_are_copied() {
    mounts::copying().check();
}

/// JkMountCopy All.
#[test]
fn mounts_are_copied_to_all_sites() {
    mounts::copying_to_all().check();
}

/// Rule extensions.
#[test]
fn rule_extensions_do_the_same() {
    mounts::extending().check();
}

/// The worker log, the request log, the notes.
#[test]
fn logs_say_the_same() {
    logs::group().check();
}

/// Properties of plain workers.
#[test]
fn worker_properties_do_the_same() {
    workers::group().check();
}

/// Properties about idle connections.
#[test]
fn idle_connections_end_the_same() {
    workers::idle().check();
}

/// Properties of balancers, their members and status workers.
#[test]
fn balancers_and_status_workers_read_the_same() {
    balancers::group().check();
}

/// What belongs to the whole server.
#[test]
fn the_whole_server_does_the_same() {
    starts::group().check();
}

/// Deprecated properties.
#[test]
fn old_names_are_warned_of() {
    obsolete::group().check();
}

/// Lines, variables, duplicates, references and values of properties files.
#[test]
fn the_properties_dialect_is_the_same() {
    dialect::group().check();
}

/// Error texts.
#[test]
fn mistakes_are_refused_with_the_same_words() {
    errors::group().check();
}

/// Traps of the C module.
#[test]
fn traps_are_kept_or_mended_as_documented() {
    traps::group().check();
}

fn groups() -> Vec<run::Group> {
    vec![
        indicators::group(),
        options::group(),
        options::inheriting(),
        mounts::group(),
        mounts::copying(),
        mounts::copying_to_all(),
        mounts::extending(),
        logs::group(),
        workers::group(),
        workers::idle(),
        balancers::group(),
        starts::group(),
        obsolete::group(),
        dialect::group(),
        errors::group(),
        traps::group(),
    ]
}

/// Rows that the installed C module does not know.
const NEWER: [&str; 1] = ["JkRequestIdIndicator"];

/// Each row is taken out of a case with each module that knows it.
#[test]
fn every_row_has_a_case() {
    let groups = groups();
    let covered = |side: fn(&Case) -> bool| -> BTreeSet<String> {
        let cases = groups.iter().flat_map(|group| &group.cases);
        cases.filter(|case| side(case)).flat_map(Case::rows).collect()
    };
    let theirs = covered(|case| case.side != Side::Ours);
    let ours = covered(|case| case.side != Side::C);
    let lost = |covered: &BTreeSet<String>, known: &[&str]| -> Vec<&str> {
        let rows = ROWS.into_iter().filter(|row| !known.contains(row));
        rows.filter(|row| !covered.contains(*row)).collect()
    };
    assert_eq!(lost(&theirs, &NEWER), [""; 0], "not covered with the C module");
    assert_eq!(lost(&ours, &[]), [""; 0], "not covered with ours");
}

/// Words of options, extensions, tokens, variables and notes stand in a case.
#[test]
fn every_other_name_has_a_case() {
    let groups = groups();
    let mut texts: Vec<&str> = Vec::new();
    for case in groups.iter().flat_map(|group| &group.cases) {
        texts.push(&case.site);
        texts.extend(case.files.iter().map(|(_, text)| *text));
    }
    let is_in_a_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let words: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.split(|c| !is_in_a_word(c)))
        .map(|word| word.trim_start_matches('-').trim_end_matches('0'))
        .collect();
    for names in [&OPTIONS[..], &EXTENSIONS, &VARIABLES, &NOTES] {
        let lost: Vec<_> = names.iter().filter(|name| !words.contains(*name)).collect();
        assert!(lost.is_empty(), "no case names {lost:?}");
    }
    for token in TOKENS {
        assert!(texts.iter().any(|text| text.contains(token)), "no case has {token}");
    }
}

#[test]
fn there_are_enough_cases_and_each_has_its_name() {
    let groups = groups();
    for group in &groups {
        assert_each_has_its_name(group.test, group.cases.iter().map(|case| case.name.as_str()));
    }
    let cases: usize = groups.iter().map(|group| group.cases.len()).sum();
    assert!(cases >= 400, "{cases} cases");
}

/// Every difference is a row of misc/doc/COMPAT.md that names the test which shows it, and every
/// row that names such a test is shown.
#[test]
fn differences_and_rows_are_the_same() {
    let groups = groups();
    let mut shown = BTreeSet::new();
    for group in &groups {
        for case in &group.cases {
            let changed = case.difference.map(|difference| difference.row);
            let lost = match case.ours {
                OnOurs::NoEffect(row) => Some(row),
                OnOurs::Same | OnOurs::Config(_) => None,
            };
            for row in changed.into_iter().chain(lost) {
                shown.insert((row.to_owned(), group.test.to_owned()));
            }
        }
    }
    let tests: Vec<&str> = groups.iter().map(|group| group.test).collect();
    let written = rows_that_name(&tests);
    assert_eq!(shown, written, "left: what the cases show, right: what COMPAT.md says");
}
