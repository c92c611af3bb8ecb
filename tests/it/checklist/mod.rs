//! The checklist: every directive and every property of the C mod_jk, each shown to do something.
//!
//! One table of cases: lines of configuration, what is asked, what is looked at. Each case runs with
//! the C module and with ours, as it stands and once more without each line that is marked: what is
//! seen must change when the line is gone, and must be the same with both modules, unless the case
//! names a row of misc/doc/COMPAT.md.

mod balancers;
mod case;
mod dialect;
mod errors;
mod indicators;
mod logs;
mod mounts;
mod obsolete;
mod options;
mod rows;
mod run;
mod starts;
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
