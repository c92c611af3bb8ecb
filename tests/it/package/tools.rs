//! What the commands for developers say where a part of the toolchain is missing: at once, before
//! anything is built, fetched or installed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::root;
use crate::support::process;

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
        program(&dir.path().join(name), script);
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

fn program(file: &Path, script: &str) {
    std::fs::write(file, format!("#!/bin/sh\n{script}\n")).expect("written");
    std::fs::set_permissions(file, Permissions::from_mode(0o755)).expect("executable");
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

/// An advisory as the database has them, about all versions of a package below 99.
fn advisory(package: &str) -> String {
    format!(
        "```toml\n[advisory]\nid = \"RUSTSEC-2026-9999\"\npackage = \"{package}\"\n\
         date = \"2026-01-01\"\n\n[versions]\npatched = [\">= 99.0.0\"]\n```\n\n\
         # Something is wrong with it\n\nNothing really.\n"
    )
}

/// What `misc/dev advisories` says and how it ends, with a database of one advisory in a repository
/// of git, which is cloned as the real one would be.
fn advisories(package: &str, is_there: bool) -> (Option<i32>, String) {
    let dir = crate::support::temp_dir("jk-advisories-");
    let at = |name: &str| dir.path().join(name);
    let folder = at("repository/crates").join(package);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("RUSTSEC-2026-9999.md"), advisory(package)).expect("an advisory");
    let git = |args: &[&str]| {
        let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        process::output(Command::new("git").current_dir(at("repository")).args(who).args(args));
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=One advisory"]);
    // cargo-deny wants a name of a host, which git then leads to the folder.
    let config = at("deny.toml");
    let text = format!(
        "[advisories]\ndb-path = \"{}\"\ndb-urls = [\"https://advisories.invalid/repository\"]\n\
         git-fetch-with-cli = true\n",
        at("database").display()
    );
    std::fs::write(&config, text).expect("a file");
    std::fs::create_dir(at("bin")).expect("a folder");
    let cargo = format!(
        "for word; do shift; [ \"$word\" != .deny.toml ] || word={}; set -- \"$@\" \"$word\"; done\n\
         exec {} \"$@\"",
        config.display(),
        env!("CARGO")
    );
    program(&at("bin/cargo"), &cargo);
    let path = std::env::var("PATH").expect("a path");
    let base = if is_there { dir.path().to_owned() } else { at("nowhere") };
    let output = Command::new(root().join("misc/dev"))
        .arg("advisories")
        .env("PATH", format!("{}:{path}", at("bin").display()))
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", format!("url.file://{}/.insteadOf", base.display()))
        .env("GIT_CONFIG_VALUE_0", "https://advisories.invalid/")
        .output()
        .expect("misc/dev");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn advisories_are_found_where_there_are_any() {
    let (code, text) = advisories("libc", true);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("RUSTSEC-2026-9999") && text.contains("libc"), "{text}");
    let (code, text) = advisories("a-crate-that-nobody-uses", true);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("advisories ok"), "{text}");
}

#[test]
fn a_database_of_advisories_that_is_not_there_is_no_clean_bill() {
    let (code, text) = advisories("libc", false);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("cannot be reached: NOTHING was checked"), "{text}");
}
