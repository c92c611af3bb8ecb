//! The fault matrix of spec/reliability.md 5, all 96 rows of it: which tests show a row, and the
//! rows that are [cases](super::case::Case) under every MPM, over HTTP/1.1 and over HTTP/2. Under
//! event and over HTTP/1.1 they run where they are defined, beside each other.

use std::path::Path;

use super::case::{Case, Then};
use super::stage::{Stage, Variant};
use super::{body, head, is_long, one_process, seed, upload};
use crate::support::httpd::Mpm;

/// Who shows a row.
enum Shown {
    /// Cases with its id, which run under every MPM, over HTTP/1.1 and HTTP/2.
    Cases,
    /// Tests: `file::test` below tests/it, without folders' mod.rs.
    Tests(&'static [&'static str]),
}

use Shown::{Cases, Tests};

const ROWS: [(&str, Shown); 96] = [
    ("C1", Tests(&["faults::connect::c1_nobody_listens", "faults::connect::c1_on_a_unix_socket"])),
    ("C2", Tests(&["faults::connect::c2_connects_that_are_never_answered"])),
    ("C3", Tests(&["faults::connect::c3_every_address_of_a_name_is_tried"])),
    ("C4", Tests(&["faults::connect::c4_a_name_that_does_not_exist"])),
    ("C5", Tests(&["faults::connect::c5_a_ping_that_is_never_answered"])),
    (
        "C6",
        Tests(&[
            "faults::connect::c6_an_idle_connection_that_answers_a_ping_with_something_else",
            "faults::connect::c6_a_new_connection_that_answers_a_ping_with_something_else",
        ]),
    ),
    ("C7", Tests(&["faults::connect::c7_an_idle_connection_that_the_engine_closed"])),
    ("C8", Tests(&["faults::connect::c8_an_idle_connection_whose_peer_has_vanished"])),
    ("C9", Tests(&["faults::connect::c9_bytes_that_wait_on_an_idle_connection"])),
    ("C10", Tests(&["faults::connect::c10_all_idle_connections_die_at_once"])),
    ("C11", Tests(&["faults::connect::c11_no_descriptor_is_left"])),
    ("C12", Tests(&["faults::connect::c12_an_engine_that_accepts_and_never_reads"])),
    ("P1", Cases),
    ("P2", Cases),
    ("P3", Cases),
    ("P4", Cases),
    ("P5", Cases),
    ("P6", Cases),
    ("P7", Cases),
    ("P8", Cases),
    ("P9", Cases),
    ("P10", Cases),
    ("P11", Cases),
    ("P12", Cases),
    ("P13", Cases),
    ("P14", Cases),
    ("P15", Cases),
    ("P16", Cases),
    ("P17", Cases),
    ("P18", Cases),
    ("P19", Cases),
    ("P20", Cases),
    ("P21", Cases),
    ("P22", Cases),
    ("P23", Cases),
    ("P24", Cases),
    ("P25", Cases),
    ("P26", Cases),
    ("P27", Cases),
    ("P28", Cases),
    ("P29", Cases),
    ("S1", Cases),
    ("S2", Cases),
    ("S3", Cases),
    ("S4", Cases),
    ("S5", Cases),
    ("S6", Cases),
    ("S7", Cases),
    ("S8", Cases),
    ("S9", Cases),
    ("S10", Cases),
    ("S11", Cases),
    ("S12", Cases),
    ("S13", Cases),
    ("S14", Cases),
    ("S15", Cases),
    ("S16", Cases),
    ("S17", Cases),
    ("S18", Cases),
    ("S19", Tests(&["faults::body::s19_bytes_on_an_idle_connection_poison_nobody"])),
    ("S20", Tests(&["faults::client_gone::s20_a_client_that_goes_away_in_mid_download"])),
    ("S21", Tests(&["faults::client_gone::s21_a_slow_client_does_not_fill_the_memory"])),
    ("S22", Tests(&["faults::body::s22_each_flush_reaches_the_client_before_the_next_event"])),
    ("U1", Tests(&["faults::upload::u1_a_client_that_stalls_in_its_body"])),
    (
        "U2",
        Tests(&[
            "faults::upload::u2_a_client_that_closes_within_its_body",
            "faults::upload::u2_a_client_that_ends_its_body_early_is_told",
        ]),
    ),
    ("U3", Cases),
    ("U4", Cases),
    ("U5", Cases),
    ("U6", Tests(&["faults::upload::u6_the_engine_may_refuse_a_body_that_is_not_sent_yet"])),
    ("U7", Cases),
    ("U8", Cases),
    ("U9", Tests(&["app::large::large_transfers_need_no_memory_under_event"])),
    ("U10", Tests(&["faults::upload::u10_a_filter_that_gives_nothing_does_not_end_the_body"])),
    ("U11", Tests(&["faults::upload::u11_a_malformed_chunk_is_the_clients_fault"])),
    ("U12", Tests(&["faults::upload::u12_a_body_limit_is_the_clients_fault"])),
    ("L1", Tests(&["faults::life::l1_requests_that_end_engines_take_nothing_from_others"])),
    ("L2", Tests(&["faults::life::l2_another_member_answers_and_one_line_says_so"])),
    ("L3", Tests(&["balancer::failover::a_post_is_executed_once"])),
    ("L4", Tests(&["faults::life::l4_no_member_is_left"])),
    (
        "L5",
        Tests(&[
            "balancer::failover::one_request_tests_a_member_that_recovers",
            "balancer::failover::a_member_that_comes_back_has_a_slow_start",
        ]),
    ),
    ("L6", Tests(&["balancer::sessions::session_ids", "balancer::sessions::session_cookies"])),
    ("L7", Tests(&["faults::life::l7_a_route_that_nobody_has"])),
    ("L8", Tests(&["balancer::sequences::distance_and_activation"])),
    (
        "L9",
        Tests(&[
            "balancer::tomcats::a_tomcat_that_hangs_costs_no_more_than_what_it_has",
            "balancer::failover::busyness_keeps_requests_from_a_slow_member",
        ]),
    ),
    ("L10", Tests(&["faults::pool::l10_a_pool_that_is_in_use_refuses_at_once"])),
    ("L11", Tests(&["balancer::restart::restarts_under_load_cost_nobody_anything"])),
    ("L12", Tests(&["balancer::failover::a_killed_process_leaves_no_request_counted"])),
    ("L13", Tests(&["faults::hints::l13_a_wrong_secret_on_one_member"])),
    // There is no file that could be in the way.
    ("L14", Tests(&["faults::life::l14_no_file_of_shared_memory_is_made"])),
    ("L15", Tests(&["config::mistakes::a_misspelt_key_names_what_may_have_been_meant"])),
    ("L16", Tests(&["boundary::headers::l16_a_request_too_large_for_a_packet"])),
    ("H1", Tests(&["boundary::request_framing::f16_an_http2_upload_without_a_length"])),
    (
        "H2",
        Tests(&[
            "faults::client_gone::h2_a_client_that_goes_away_in_mid_download",
            "faults::client_gone::h2_a_client_that_goes_away_in_mid_upload",
        ]),
    ),
    ("H3", Tests(&["faults::matrix::event_http2"])),
    ("H4", Tests(&["faults::matrix::event_http2"])),
    ("H5", Tests(&["faults::life::h5_crumbs_of_cookies_are_one_header"])),
];

fn all() -> Vec<Case> {
    [head::all(), body::all(), upload::all()].concat()
}

fn has_id(case: &Case, id: &str) -> bool {
    case.id.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == id)
}

#[test]
fn every_row_is_shown() {
    let cases = all();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut missing = Vec::new();
    for (id, shown) in ROWS {
        let is_shown = match shown {
            Cases => cases.iter().any(|case| has_id(case, id)),
            Tests(tests) => tests.iter().all(|test| {
                let (file, name) = test.rsplit_once("::").expect("file::test");
                let path = dir.join(file.replace("::", "/") + ".rs");
                let source = std::fs::read_to_string(path).unwrap_or_default();
                source.contains(&format!("#[test]\nfn {name}() {{"))
            }),
        };
        if !is_shown {
            missing.push(id);
        }
    }
    assert!(missing.is_empty(), "nobody shows {missing:?}");
    // Each row once, and in each group as many as the specification has.
    for (group, count) in [('C', 12), ('P', 29), ('S', 22), ('U', 12), ('L', 16), ('H', 5)] {
        let ids = (1..=count).map(|number| format!("{group}{number}"));
        let found = ROWS.iter().map(|(id, _)| *id).filter(|id| id.starts_with(group));
        assert!(ids.eq(found), "rows of {group}");
    }
}

/// On which connections, and how cut, a case runs. At random, but the same again with `JK_SEED`.
fn variants(case: &Case, random: u64) -> Vec<Variant> {
    // What is behind the end must come with it, and what is lost in a reset is nobody's choice.
    let is_one_segment = has_id(case, "S18") || has_id(case, "U5") || case.then == Then::Reset;
    match (is_one_segment, is_long()) {
        (true, _) => vec![Variant::Fresh, Variant::Reused],
        (false, false) => vec![Variant::Fresh, Variant::Split(random)],
        (false, true) => vec![Variant::Fresh, Variant::Reused, Variant::Split(random)],
    }
}

/// Cases under one MPM, in one httpd.
fn run(mpm: Mpm, is_http2: bool, cases: &[Case]) {
    let stage = Stage::with(|builder| {
        let builder = one_process(builder, mpm);
        if is_http2 { builder.http2() } else { builder }
    });
    let seed = seed();
    eprintln!("JK_SEED={seed}");
    stage.each(cases, |case| {
        let variants = variants(case, seed);
        for variant in &variants {
            match is_http2 {
                true => stage.run_http2(case, *variant),
                false => stage.run_as(case, *variant),
            }
        }
        variants.len()
    });
}

#[test]
fn event_http2() {
    run(Mpm::Event, true, &all());
}

#[test]
fn prefork_http1() {
    run(Mpm::Prefork, false, &all());
}

/// Worker is event without its listener's tricks: all of it in the long run only.
#[test]
fn worker_http1() {
    let every = if is_long() { 1 } else { 7 };
    run(Mpm::Worker, false, &all().into_iter().step_by(every).collect::<Vec<_>>());
}

#[test]
fn worker_http2() {
    let every = if is_long() { 1 } else { 13 };
    run(Mpm::Worker, true, &all().into_iter().step_by(every).collect::<Vec<_>>());
}
