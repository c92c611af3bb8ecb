//! Compliance with the C mod_jk: the same configuration, the same bytes from the client, and then
//! the same bytes at the engine and the same answer at the client.
//!
//! A [`case::Case`] is one conversation, a [`run::Group`] the cases that one configuration serves.
//! Where ours differs on purpose, the case says how, and names the row of misc/doc/COMPAT.md: it
//! fails if the two do not differ, or differ in another way. There is nothing else to compare with:
//! a case without a difference is one where the two modules do the same.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::ReservedPort;

pub(crate) mod case;
mod cuts;
mod encrypted;
pub(crate) mod failures;
mod packets;
mod requests;
mod responses;
pub(crate) mod run;
pub(crate) mod seen;
mod sites;
mod tls;

/// Requests to the main server.
#[test]
fn the_engine_sees_the_same_requests() {
    requests::group().check();
}

/// Requests to virtual hosts.
#[test]
fn every_site_does_the_same() {
    sites::group().check();
}

/// Requests over TLS.
#[test]
fn tls_facts_are_the_same() {
    encrypted::group().check();
}

/// What the engine answers.
#[test]
fn the_client_sees_the_same_responses() {
    responses::group().check();
}

/// Another packet size, and a secret.
#[test]
fn large_packets_and_the_secret_are_the_same() {
    packets::group().check();
}

/// Engines that fail.
#[test]
fn failures_differ_only_as_documented() {
    failures::group(&ReservedPort::v4()).check();
}

/// All that is compared, but for what is known to be wrong.
fn groups() -> Vec<run::Group> {
    vec![
        requests::group(),
        sites::group(),
        encrypted::group(),
        responses::group(),
        packets::group(),
        failures::group(&ReservedPort::v4()),
    ]
}

/// The issue asks for 60 requests; a case without a name of its own would hide another.
#[test]
fn there_are_enough_cases_and_each_has_its_name() {
    let groups = groups();
    for group in &groups {
        assert_each_has_its_name(group.test, group.cases.iter().map(|case| case.name.as_str()));
    }
    let requests: usize =
        groups.iter().flat_map(|group| &group.cases).map(|case| case.methods().len()).sum();
    assert!(requests >= 600, "{requests} requests");
}

/// Every difference is a row of misc/doc/COMPAT.md that names the test which shows it, and every
/// row that names such a test is shown.
#[test]
fn differences_and_rows_are_the_same() {
    let groups = groups();
    let mut shown: BTreeSet<(String, String)> = BTreeSet::new();
    for group in &groups {
        for difference in group.cases.iter().filter_map(|case| case.difference) {
            shown.insert((difference.row.to_owned(), group.test.to_owned()));
        }
    }
    let tests: Vec<&str> = groups.iter().map(|group| group.test).collect();
    let written = rows_that_name(&tests);
    assert_eq!(shown, written, "left: what the cases show, right: what COMPAT.md says");
}

/// Fails if two cases of a test have the same name.
pub(crate) fn assert_each_has_its_name<'a>(test: &str, names: impl Iterator<Item = &'a str>) {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{test}: {twice:?}");
}

/// The rows of misc/doc/COMPAT.md that name one of these tests: subject and test.
pub(crate) fn rows_that_name(tests: &[&str]) -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/doc/COMPAT.md");
    let text = std::fs::read_to_string(path).expect("misc/doc/COMPAT.md");
    let mut rows = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        // What stays as it is shows no difference.
        if cells.get(2).is_some_and(|ours| ours.starts_with("the same")) {
            continue;
        }
        for test in cells.last().expect("a cell").split('`').skip(1).step_by(2) {
            let test = test.rsplit("::").next().expect("a name");
            if tests.contains(&test) {
                rows.insert((cells[0].to_owned(), test.to_owned()));
            }
        }
    }
    rows
}
