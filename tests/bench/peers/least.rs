//! The module of `least.c`, as a floor for every AJP module.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::support::{process, temp_dir};

/// Name of the file that httpd loads.
pub(super) const FILE: &str = "mod_least.so";

static MODULE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = temp_dir("jk-least-");
    let file = dir.path().join(FILE);
    let ask = |what| process::output(Command::new("apxs").args(["-q", what])).trim().to_owned();
    let apr = process::output(Command::new(ask("APR_CONFIG")).args(["--includes", "--cppflags"]));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers/least.c");
    let mut gcc = Command::new("gcc");
    gcc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]).arg(&file).arg(source);
    gcc.arg(format!("-I{}", ask("INCLUDEDIR"))).args(apr.split_whitespace());
    process::output(&mut gcc);
    (dir, file)
});

/// The module, compiled for the httpd that `apxs` names.
pub(super) fn module() -> PathBuf {
    MODULE.1.clone()
}
