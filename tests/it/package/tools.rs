//! What the commands for developers say where a part of the toolchain is missing: at once, before
//! anything is built, fetched or installed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::root;

/// A Rust without the components and the toolchain that only some commands need.
const PLAIN: [(&str, &str); 2] = [
    ("cargo", "case $1 in --version) ;; *) exit 101 ;; esac"),
    (
        "rustc",
        "case $1 in -vV) echo 'host: x86_64-unknown-linux-gnu' ;; --print) echo /nonexistent ;; esac",
    ),
];

/// What `misc/dev` says and how it ends, with these programs of Rust and those of the system.
fn says(programs: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let dir = crate::support::temp_dir("jk-tools-");
    for (name, script) in programs {
        let file = dir.path().join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("executable");
    }
    let target = dir.path().join("target");
    let output = Command::new(root().join("misc/dev"))
        .args(args)
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dir.path().display()))
        .env("CARGO_TARGET_DIR", &target)
        .env_remove("JK_MODULE")
        .output()
        .expect("misc/dev");
    assert!(!target.exists(), "{args:?} has begun to build");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_missing_part_is_named_with_the_command_that_brings_it() {
    for (args, remedy) in [
        (
            &["miri"][..],
            "misc/dev miri needs a nightly toolchain: rustup toolchain install nightly --profile \
             minimal --component miri --component rust-src",
        ),
        (
            &["tsan"],
            "misc/dev tsan needs a nightly toolchain: rustup toolchain install nightly --profile \
             minimal --component rust-src",
        ),
        (
            &["fuzz", "path", "1"],
            "llvm-cov of this Rust is missing, which measures the coverage: rustup component add \
             llvm-tools",
        ),
        (&["advisories"], "cargo-deny could not be installed: cargo install cargo-deny --locked"),
    ] {
        let (code, text) = says(&PLAIN, args);
        assert_eq!(code, Some(1), "{args:?}: {text}");
        assert!(text.contains(&format!("misc/dev: {remedy}")), "{args:?}: {text}");
    }
}

#[test]
fn a_nightly_without_a_component_is_told_which() {
    let nightly = [
        ("cargo", "exit 0"),
        ("rustup", "echo 'miri-x86_64-unknown-linux-gnu (installed)'; echo rust-src"),
    ];
    let (code, text) = says(&nightly, &["miri"]);
    assert_eq!(code, Some(1), "{text}");
    let remedy = "needs rust-src: rustup component add --toolchain nightly miri rust-src";
    assert!(text.contains(remedy), "{text}");
}

#[test]
fn an_argument_that_makes_no_sense_is_refused_at_once() {
    for args in [
        &["soak"][..],
        &["soak", "0"],
        &["soak", "1", "2"],
        &["fuzz"],
        &["fuzz", "nothing", "1"],
        &["fuzz", "path", "0"],
        &["fuzz", "path"],
        &["advisories", "all"],
        &["reproducible", "all"],
        &["bogus"],
    ] {
        let (code, text) = says(&PLAIN, args);
        assert_eq!(code, Some(1), "{args:?}: {text}");
        assert!(text.starts_with("misc/dev: ") && text.lines().count() == 1, "{args:?}: {text}");
    }
}
