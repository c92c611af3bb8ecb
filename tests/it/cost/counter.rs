//! Counts what a module does in httpd, with a library that is preloaded.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::{process, temp_dir};

/// The library and the directory that it lies in.
static LIBRARY: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let dir = temp_dir("jk-count-");
    let file = dir.path().join("count.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cost/count.c");
    process::output(
        Command::new("gcc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&file).arg(source),
    );
    (dir, file)
});

/// Counts of one httpd.
pub(super) struct Counter {
    dir: TempDir,
    module: Module,
}

/// What the module's code has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// System calls.
    pub calls: u64,
    /// Pieces of memory taken from the heap.
    pub allocations: u64,
}

impl Counter {
    pub(super) fn new(module: Module) -> Self {
        let dir = temp_dir("jk-counts-");
        fs::write(dir.path().join("counts"), [0; 40]).expect("a file for the counts");
        Self { dir, module }
    }

    /// An httpd whose module is counted.
    pub(super) fn httpd(&self) -> Builder {
        let of = |name: &str, value: PathBuf| (name.to_owned(), OsString::from(value));
        Httpd::builder(self.module).env([
            of("LD_PRELOAD", LIBRARY.1.clone()),
            of("JK_COUNTS", self.file()),
            of("JK_COUNTED", self.module.path()),
        ])
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("counts")
    }

    fn numbers(&self) -> [u64; 5] {
        let bytes = fs::read(self.file()).expect("the counts");
        let number = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        [0, 8, 16, 24, 32].map(number)
    }

    fn now(&self) -> Counts {
        let [calls, allocations, ..] = self.numbers();
        Counts { calls, allocations }
    }

    /// Bytes that httpd has written to clients, and how many of them lay where the module had
    /// received them.
    pub(super) fn sent(&self) -> (u64, u64) {
        let [_, _, sent, in_place, _] = self.numbers();
        (sent, in_place)
    }

    /// How often httpd has looked at its environment: twice for each request that gets the variables of
    /// CGI programs.
    pub(super) fn looks(&self) -> u64 {
        let [.., looks] = self.numbers();
        looks
    }

    /// Repeats `work` until its counts are at most as said, and at most 20 times; returns the lowest.
    /// Bytes may arrive in pieces on a busy machine, and maintenance comes when it comes.
    pub(super) fn least(&self, wanted: Counts, mut work: impl FnMut()) -> Counts {
        let mut least = Counts { calls: u64::MAX, allocations: u64::MAX };
        for _ in 0..20 {
            let before = self.now();
            work();
            let after = self.now();
            least.calls = least.calls.min(after.calls - before.calls);
            least.allocations = least.allocations.min(after.allocations - before.allocations);
            if least.calls <= wanted.calls && least.allocations <= wanted.allocations {
                break;
            }
        }
        least
    }
}
