//! The fault matrix in short under the other MPMs; event has all of it.

use super::stage::Stage;
use crate::support::httpd::Mpm;

fn run(mpm: Mpm) {
    // One process, so that all of it is in one place; prefork's serves one client at a time.
    let threads = if mpm == Mpm::Prefork { 1 } else { 8 };
    let stage = Stage::with(|builder| builder.mpm(mpm).size(threads, 1));
    stage.run_all(&super::head::representatives());
    stage.run_all(&super::body::representatives());
    stage.run_all(&super::upload::representatives());
}

#[test]
fn faults_under_worker() {
    run(Mpm::Worker);
}

#[test]
fn faults_under_prefork() {
    run(Mpm::Prefork);
}
