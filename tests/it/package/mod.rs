//! What is handed out: the Debian package, the archive, the files to copy, and what the documents
//! tell an administrator to write.

mod deb;
mod docs;
mod firewall;
mod install;
mod machine;
mod sites;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::support::httpd::Module;
use crate::support::process::output;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let file = root().join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// `misc/dev` with the module under test.
fn dev(args: &[&str]) -> Command {
    let mut command = Command::new(root().join("misc/dev"));
    command.args(args).env("JK_MODULE", Module::Ours.path());
    command
}

/// What `misc/dev WHAT DIR` leaves in DIR, the file that ends so.
fn built(what: &str, dir: &Path, ending: &str) -> PathBuf {
    output(dev(&[what]).arg(dir));
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut files = entries.map(|entry| entry.expect("it").path());
    files.find(|file| file.to_string_lossy().ends_with(ending)).expect(ending)
}

/// The Debian package, built once for all tests.
fn our_package() -> &'static Path {
    static BUILT: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
        let dir = crate::support::temp_dir("jk-deb-");
        let file = built("deb", dir.path(), ".deb");
        (dir, file)
    });
    &BUILT.1
}

/// Asserts that a list of parts has what is linked into the module, with the sums of Cargo.lock, and
/// nothing that only its build and its tests need.
#[track_caller]
fn lists_what_is_linked(parts: &str) {
    assert!(parts.starts_with("{\n  \"bomFormat\": \"CycloneDX\""), "{parts}");
    for (open, close) in [("{", "}"), ("[", "]")] {
        assert_eq!(parts.matches(open).count(), parts.matches(close).count(), "{parts}");
    }
    let manifest = read("Cargo.toml");
    let section = |name: &str| -> Vec<String> {
        let (_, rest) = manifest.split_once(&format!("[{name}]\n")).expect("a section");
        let lines = rest.lines().take_while(|line| !line.starts_with('['));
        lines.filter_map(|line| Some(line.split_once(" = ")?.0.to_owned())).collect()
    };
    let is_listed = |name: &str| parts.contains(&format!("\"name\": \"{name}\""));
    for name in section("dependencies").iter().map(String::as_str).chain(["mod_jk", "rust-std"]) {
        assert!(is_listed(name), "{name} is missing:\n{parts}");
    }
    for name in section("build-dependencies").iter().chain(&section("dev-dependencies")) {
        assert!(!is_listed(name), "{name} is not linked:\n{parts}");
    }
    let lock = read("Cargo.lock");
    let sums: Vec<&str> =
        parts.split("\"content\": \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(sums.len(), parts.matches("\"purl\"").count(), "{parts}");
    for sum in sums {
        assert!(sum.len() == 64 && lock.contains(&format!("checksum = \"{sum}\"")), "{sum}");
    }
}

/// The files that a document links to.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .map(|target| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}
