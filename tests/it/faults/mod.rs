//! What our module makes of an engine, a client or a configuration that misbehaves
//! (spec/reliability.md 2 and 5, issue 2 "Shown by" 5 and 6).
//!
//! A [`case::Case`] is one row of the fault matrix: what the client asks, what the engine does,
//! what the client sees, which line the log has, what becomes of the connection. A
//! [`stage::Stage`] is one httpd with one engine on which many cases run one after the other; after
//! each it looks at what must hold whatever happened. The names of the cases are the row numbers
//! of the specification.

mod around;
mod body;
pub(crate) mod case;
mod client_gone;
mod connect;
mod cves;
mod edges;
mod growth;
mod guard;
mod head;
mod hints;
mod http2;
mod life;
mod lines;
mod matrix;
mod pool;
mod resend;
pub(crate) mod stage;
mod truncation;
mod upload;

use crate::support::httpd::{self, Mpm};

/// Whether this is the long run.
fn is_long() -> bool {
    std::env::var_os("JK_LONG").is_some()
}

/// How many requests after each case must get their own answer.
fn rounds() -> usize {
    if is_long() { 30 } else { 5 }
}

/// What is random in a run; `JK_SEED` gives it again.
fn seed() -> u64 {
    let given = std::env::var("JK_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| std::process::id().into())
}

/// One process, so that all of it is in one place; prefork's serves one client at a time.
fn one_process(builder: httpd::Builder, mpm: Mpm) -> httpd::Builder {
    builder.mpm(mpm).size(if mpm == Mpm::Prefork { 1 } else { 8 }, 1)
}

/// Stages a row under event and prefork, and in the long run under worker.
fn under_each_mpm(row: impl Fn(Mpm)) {
    let mpms = Mpm::ALL.into_iter().filter(|mpm| is_long() || *mpm != Mpm::Worker);
    for mpm in mpms {
        eprintln!("under {mpm:?}");
        row(mpm);
    }
}
