//! Instructions, by callgrind, in a run of their own.
//!
//! Counted is what httpd's hooks cost that run for each request and that the module takes part in,
//! with everything they call: other modules, APR, the C library. The kernel's part is not in it.

use super::load::Load;
use super::peer::{Peer, Scene};
use super::{calls, measure};
use crate::support::callgrind;
use crate::support::client::Client;

/// The hooks that run for each request; what calls them is in httpd itself.
const HOOKS: [&str; 12] = [
    "ap_run_post_read_request",
    "ap_run_quick_handler",
    "ap_run_pre_translate_name",
    "ap_run_translate_name",
    "ap_run_map_to_storage",
    "ap_run_header_parser",
    "ap_run_check_access_ex",
    "ap_run_type_checker",
    "ap_run_fixups",
    "ap_run_insert_filter",
    "ap_run_handler",
    "ap_run_log_transaction",
];

/// How many requests are counted: what the first ones do once is to vanish among them.
fn requests(load: &Load) -> u32 {
    if load.uploaded().is_some() { 3 } else { 300 }
}

/// Instructions per request in the module's hooks.
pub(super) fn per_request(
    scene: &Scene,
    peer: Peer,
    load: &Load,
    path: &str,
) -> Result<f64, String> {
    let small = Scene { threads: 4, ..scene.clone() };
    let run = callgrind::Run::new();
    let httpd = run.under(small.builder(peer)).start();
    measure::settle(&httpd, small.threads);
    let mut client = Client::connect(httpd.addr());
    let requests = requests(load);
    for _ in 0..requests {
        calls::request(&mut client, load, path)?;
    }
    drop(client);
    match run.end(httpd).inclusive(&HOOKS, peer.modules()) {
        0 => Err("callgrind saw no hook of the module".into()),
        count => Ok(count as f64 / f64::from(requests)),
    }
}
