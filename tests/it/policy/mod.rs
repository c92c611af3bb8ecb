//! Rules of the house that neither the compiler nor clippy checks, each with a proof that
//! its check can fail.

mod compat;
mod delicate;
mod hardening;
mod layering;
mod security;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::httpd::Module;
use crate::support::process::output;
use source::Source;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// True once the border to httpd exists: before, there is nothing to export and no behaviour
/// that could differ from the C module's.
fn has_border() -> bool {
    root().join("src/httpd").is_dir()
}

/// All `.rs` files below a directory of the repository, as relative path and text.
fn rust_files(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut todo = vec![root().join(below)];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("it")) {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("UTF-8");
                let relative = path.strip_prefix(root()).expect("below the root");
                found.push((relative.to_owned(), text));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust below {below}");
    found
}

/// The names of all tests there are.
fn all_tests() -> BTreeSet<String> {
    ["src", "tests"]
        .into_iter()
        .flat_map(rust_files)
        .flat_map(|(_, text)| Source::new(&text).test_names())
        .collect()
}

fn at_border(path: &Path) -> bool {
    ["src/httpd", "src/httpd.rs", "src/iis", "src/iis.rs"].iter().any(|at| path.starts_with(at))
}

#[track_caller]
fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

// --- unsafe ---------------------------------------------------------------------------------

#[test]
fn only_the_border_may_be_unsafe() {
    report(&unsafe_outside_the_border(&rust_files("src")));
}

/// Files beside the border that say `unsafe`, or that the compiler lets say it.
fn unsafe_outside_the_border(files: &[(PathBuf, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !at_border(path)) {
        let source = Source::new(text);
        let attributes = source.leading_attributes();
        // The root has the border below it, which `forbid` would not let allow anything.
        let wanted = match path == Path::new("src/lib.rs") {
            true => "deny(unsafe_code)",
            false => "forbid(unsafe_code)",
        };
        if !attributes.iter().any(|attribute| attribute == wanted) {
            problems.push(format!("{}: #![{wanted}] is missing", path.display()));
        }
        for line in source.unsafe_words() {
            problems.push(format!("{}:{line}: unsafe outside the border", path.display()));
        }
    }
    problems
}

#[test]
fn unsafe_outside_the_border_is_found() {
    let problems =
        |path: &str, text: &str| unsafe_outside_the_border(&[(path.into(), text.to_owned())]).len();
    let forbidden = "//! A.\n#![forbid(unsafe_code)]\n";
    assert_eq!(problems("src/net/a.rs", &format!("{forbidden}fn a() {{}} // unsafe {{}}")), 0);
    assert_eq!(problems("src/net/a.rs", "fn a() {}"), 1);
    assert_eq!(problems("src/net/a.rs", &format!("{forbidden}// SAFETY: a\nunsafe {{ b() }}")), 1);
    assert_eq!(problems("src/net/a.rs", &format!("{forbidden}unsafe impl Send for A {{}}")), 1);
    assert_eq!(problems("src/httpdx.rs", "unsafe { b() }"), 2);
    assert_eq!(problems("src/lib.rs", "#![deny(unsafe_code)]\nmod a;"), 0);
    assert_eq!(
        problems("src/lib.rs", "#![deny(unsafe_code)]\n#[allow(unsafe_code)]\nunsafe fn a() {}"),
        1
    );
    assert_eq!(problems("src/httpd/a.rs", "unsafe { b() }"), 0);
}

#[test]
fn the_scanner_finds_leading_attributes_only() {
    let found = |text: &str| Source::new(text).leading_attributes();
    assert_eq!(found("//! A.\n#![forbid(unsafe_code)]\nuse a;"), ["forbid(unsafe_code)"]);
    assert_eq!(found("#![a]\n/* b */ #![ forbid( unsafe_code ) ]"), ["a", "forbid(unsafe_code)"]);
    assert_eq!(found("// #![forbid(unsafe_code)]\nfn a() {}"), [""; 0]);
    assert_eq!(found("fn a() {}\nmod b { #![forbid(unsafe_code)] }"), [""; 0]);
    assert_eq!(found("//! \"#![forbid(unsafe_code)]\"\n"), [""; 0]);
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    let files: Vec<_> = ["src", "tests"].into_iter().flat_map(rust_files).collect();
    report(&unsafe_without_reason(&files));
}

fn unsafe_without_reason(files: &[(PathBuf, String)]) -> Vec<String> {
    let mut problems = Vec::new();
    for (path, text) in files {
        for line in Source::new(text).unsafe_blocks_without_safety() {
            problems.push(format!("{}:{line}: unsafe without // SAFETY:", path.display()));
        }
    }
    problems
}

#[test]
fn a_block_without_a_reason_is_found_in_the_border_itself() {
    let files = rust_files("src");
    let path = Path::new("src/httpd/pool.rs");
    let (_, text) = files.iter().find(|(known, _)| known == path).expect("the pool");
    let without = text.replacen("// SAFETY:", "// ", 1);
    assert_eq!(unsafe_without_reason(&[(path.into(), text.clone())]), [""; 0]);
    assert_eq!(unsafe_without_reason(&[(path.into(), without)]).len(), 1);
}

#[test]
fn the_scanner_finds_undocumented_unsafe_blocks() {
    let found = |text: &str| Source::new(text).unsafe_blocks_without_safety();
    assert_eq!(found("// SAFETY: a\nunsafe { b() }"), [0; 0]);
    assert_eq!(found("// SAFETY: a\n// and more\nlet b =\n    unsafe { c() };"), [0; 0]);
    assert_eq!(found("// SAFETY: a\n#[allow(x)]\nunsafe { b() }"), [0; 0]);
    assert_eq!(found("unsafe fn a() {}\nunsafe impl B for C {}\n// unsafe {}"), [0; 0]);
    assert_eq!(found("let s = \"\\\" // SAFETY: unsafe { }\";"), [0; 0]);
    assert_eq!(found("unsafe { b() }"), [1]);
    assert_eq!(found("// SAFETY: for the first\na();\nunsafe\n{ b() }"), [3]);
    assert_eq!(found("// SAFETY: x\nlet a = unsafe { b() };\nlet c = unsafe { d() };"), [3]);
    assert_eq!(found("// Why: because\nunsafe { b() }"), [2]);
}

#[test]
fn the_ten_most_delicate_blocks_are_there() {
    let text = std::fs::read_to_string(root().join("misc/doc/SAFETY.md")).expect("SAFETY.md");
    report(&delicate::problems(&text, &rust_files("src"), &all_tests()));
}

// --- layers ---------------------------------------------------------------------------------

#[test]
fn the_storeys_depend_in_one_direction() {
    let files = rust_files("src");
    let tests = source::out_of_line_tests(&files);
    let macros = exported_macros(&files);
    let mut problems = Vec::new();
    for (path, text) in files.iter().filter(|(path, _)| !tests.contains(path)) {
        let Some(module) = source::module_path(path) else { continue };
        for (line, reference) in Source::new(text).without_tests().references(&module) {
            let home = match &reference[..] {
                [root, name] if root == "crate" => macros.get(name).unwrap_or(&reference),
                _ => &reference,
            };
            if let Some(rule) = layering::broken_by(&module, home) {
                let reference = reference.join("::");
                problems.push(format!("{}:{line}: {reference}: {rule}", path.display()));
            }
        }
    }
    report(&problems);
}

/// Where each exported macro is written, by its name.
fn exported_macros(files: &[(PathBuf, String)]) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for (path, text) in files {
        for name in Source::new(text).exported_macros() {
            let mut home = vec!["crate".to_owned()];
            home.extend(source::module_path(path).unwrap_or_default());
            home.push(name.clone());
            found.insert(name, home);
        }
    }
    found
}

#[test]
fn tests_wait_for_conditions_and_in_one_place() {
    let place = Path::new("tests/it/support/mod.rs");
    let mut problems = Vec::new();
    for (path, text) in rust_files("tests").iter().filter(|(path, _)| path != place) {
        for (line, reference) in Source::new(text).references(&[]) {
            if reference.ends_with(&["thread".into(), "sleep".into()]) {
                problems.push(format!("{}:{line}: use support::eventually", path.display()));
            }
        }
    }
    report(&problems);
}

// --- documents ------------------------------------------------------------------------------

#[test]
fn every_difference_from_the_c_module_is_allowed_and_tested() {
    let path = root().join("misc/doc/COMPAT.md");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // Before there is a module there is no difference; afterwards the table must exist.
        Err(_) if !has_border() => return,
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let mut problems = compat::problems(&text, &all_tests());
    problems.extend(compat::missing_traps(&text));
    report(&problems);
}

#[test]
fn every_advisory_is_walked_through_and_tested() {
    let text = std::fs::read_to_string(root().join("misc/doc/SECURITY.md")).expect("a document");
    report(&security::problems(&text, &all_tests()));
}

// --- what is built --------------------------------------------------------------------------

#[test]
fn the_module_exports_one_symbol() {
    let file = Module::Ours.path();
    let listing = output(Command::new("nm").args(["-D", "--defined-only"]).arg(&file));
    let expected = if has_border() { vec!["jk_module"] } else { Vec::new() };
    assert_eq!(exported(&listing), expected, "{}", file.display());
}

/// The names in the output of `nm -D --defined-only`, versions cut off.
fn exported(listing: &str) -> Vec<&str> {
    listing
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(|name| name.split('@').next().unwrap_or(name))
        .collect()
}

#[test]
fn every_exported_symbol_is_counted() {
    let listing = "0000000000001000 D jk_module\n0000000000002000 T rust_eh_personality@@V1\n";
    assert_eq!(exported(listing), ["jk_module", "rust_eh_personality"]);
    assert_eq!(exported(""), [""; 0]);
}

// --- the top level --------------------------------------------------------------------------

/// DESIGN.md, section 1.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "apache-conf",
    "build.rs",
    "misc",
    "src",
    "tests",
];

#[test]
fn the_top_level_stays_small() {
    let names = std::fs::read_dir(root())
        .expect("the repository")
        .map(|entry| entry.expect("it").file_name().to_string_lossy().into_owned());
    let strangers = strangers(names);
    assert!(strangers.is_empty(), "not of the top level: {strangers:?}");
}

/// What has no place at the top level. Dotfiles may be there, and cargo's own directory.
fn strangers(names: impl Iterator<Item = String>) -> Vec<String> {
    names
        .filter(|name| !name.starts_with('.') && name != "target")
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .collect()
}

#[test]
fn a_stranger_at_the_top_level_is_found() {
    let names = ["src", ".ci", "target", "Makefile", "docs"].map(str::to_owned);
    assert_eq!(strangers(names.into_iter()), ["Makefile", "docs"]);
}
