//! Instructions, by callgrind, in a run of their own.
//!
//! Counted is what httpd's hooks cost that run for each request and that the module takes part in,
//! with everything they call: other modules, APR, the C library. The kernel's part is not in it.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::load::Load;
use super::peer::{Peer, Scene};
use super::{calls, measure};
use crate::support::client::Client;
use crate::support::process::{self, Target};
use crate::support::{DEADLINE, eventually, temp_dir};

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

const REQUESTS: u32 = 300;

/// Instructions per request in the module's hooks.
pub(super) fn per_request(
    scene: &Scene,
    peer: Peer,
    load: &Load,
    path: &str,
) -> Result<f64, String> {
    let dir = temp_dir("jk-callgrind-");
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(dir.path(), everybody).map_err(|error| error.to_string())?;
    let out = format!("--callgrind-out-file={}/out.%p", dir.path().display());
    let small = Scene { threads: 4, ..scene.clone() };
    let httpd = small
        .builder(peer)
        .under(&["valgrind", "-q", "--tool=callgrind", &out])
        .patience(Duration::from_secs(300))
        .start();
    measure::settle(&httpd, small.threads);
    let child = httpd.only_child();
    let mut client = Client::connect(httpd.addr());
    for _ in 0..REQUESTS {
        calls::request(&mut client, load, path)?;
    }
    drop(client);
    // The file is written when the child ends by itself.
    process::signal(Target::Process(httpd.pid()), libc::SIGTERM);
    if !eventually(DEADLINE, || process::children_of(httpd.pid()).is_empty()) {
        return Err("httpd does not end under callgrind".into());
    }
    let file = dir.path().join(format!("out.{child}"));
    let profile =
        std::fs::read_to_string(&file).map_err(|error| format!("no profile of httpd: {error}"))?;
    match inclusive(&profile, &HOOKS, peer.modules()) {
        0 => Err("callgrind saw no hook of the module".into()),
        count => Ok(count as f64 / f64::from(REQUESTS)),
    }
}

/// The cost of all calls from one of `callers` into one of the files `modules`, from a profile in
/// callgrind's format.
fn inclusive(profile: &str, callers: &[&str], modules: &[&str]) -> u64 {
    let (mut files, mut names) = (Names::default(), Names::default());
    let (mut file, mut caller) = ("", "");
    let mut called = None;
    let mut is_cost = false;
    let mut sum = 0;
    for line in profile.lines() {
        if let Some(rest) = line.strip_prefix("ob=") {
            file = files.resolve(rest);
        } else if let Some(rest) = line.strip_prefix("fn=") {
            caller = names.resolve(rest);
        } else if let Some(rest) = line.strip_prefix("cob=") {
            called = Some(files.resolve(rest));
        } else if let Some(rest) = line.strip_prefix("cfn=") {
            names.resolve(rest);
        } else if line.starts_with("calls=") {
            is_cost = true;
        } else if std::mem::take(&mut is_cost) {
            let into = called.take().unwrap_or(file);
            let into = Path::new(into).file_name().and_then(|name| name.to_str());
            let ours = into.is_some_and(|name| modules.iter().any(|module| name.ends_with(module)));
            if ours && callers.contains(&caller) {
                let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse().ok());
                sum += cost.unwrap_or(0);
            }
        }
    }
    sum
}

/// Names that are written out once, with a number that stands for them later: `(1) name`, `(1)`.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    fn resolve(&mut self, text: &'a str) -> &'a str {
        match text.split_once(' ') {
            Some((number, name)) => {
                self.0.insert(number, name);
                name
            }
            None => self.0.get(text).copied().unwrap_or(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
events: Ir
ob=(1) /usr/sbin/apache2
fn=(1) ap_run_handler
10 5
cob=(2) /somewhere/libmod_jk.so
cfn=(2) 0x1234
calls=3 0
10 300
cfn=(3) ap_log
calls=1 0
+1 7
fn=(4) main
cob=(2)
cfn=(2)
calls=1 0
* 50
ob=(2)
fn=(2)
11 290
ob=(1)
fn=(1)
cob=(2)
cfn=(2)
calls=1 0
10 100
";

    #[test]
    fn only_calls_of_hooks_into_the_module_count() {
        assert_eq!(inclusive(PROFILE, &["ap_run_handler"], &["mod_jk.so"]), 400);
        assert_eq!(inclusive(PROFILE, &["ap_run_handler", "main"], &["mod_jk.so"]), 450);
        assert_eq!(inclusive(PROFILE, &["ap_run_handler"], &["mod_proxy.so"]), 0);
    }
}
