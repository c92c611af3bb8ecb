//! The fuzz targets without a fuzzer: each replays its corpus and random changes of it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::print_stderr)]

#[path = "src/lib.rs"]
#[allow(unreachable_pub, reason = "the same file is the library of the fuzz targets")]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use targets::TARGETS;

/// Changed inputs for each target, ten times as many in long runs.
const CHANGED: usize = 1000;

/// SplitMix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ z >> 31) % end.max(1) as u64).expect("below a usize")
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files.iter().map(|file| std::fs::read(file).expect("a file")).collect()
}

/// Cuts, repeats, overwrites and mixes, a few times.
fn change(corpus: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        let (one, other) = (random.below(input.len() + 1), random.below(input.len() + 1));
        let (from, to) = (one.min(other), one.max(other));
        match random.below(5) {
            0 => drop(input.drain(from..to.min(from + 16))),
            1 if input.len() < 4096 => {
                let part = input[from..to].to_vec();
                input.splice(to..to, part);
            }
            2 => {
                let other = &corpus[random.below(corpus.len())];
                let start = random.below(other.len() + 1);
                input.splice(from.., other[start..].iter().copied());
            }
            _ => {
                if let Some(byte) = input.get_mut(from) {
                    let odd = [0, 1, 0x7f, 0xff, b'/', b'.', b';', b'%', b'\n', b'"'];
                    let choice = random.below(odd.len() * 2);
                    *byte = odd.get(choice).copied().unwrap_or(*byte ^ 1 << (choice % 8));
                }
            }
        }
    }
    input
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    let run = |input: &[u8]| {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
            eprintln!("{name} with {}", input.escape_ascii());
            resume_unwind(panic);
        }
    };
    let corpus = corpus(name);
    run(b"");
    corpus.iter().for_each(|input| run(input));
    let mut random = Random(1);
    let times = if std::env::var_os("JK_LONG").is_some() { 10 } else { 1 };
    for _ in 0..CHANGED * times {
        run(&change(&corpus, &mut random));
    }
}

/// A test for each target, so that they run side by side.
macro_rules! tests {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*
    };
}

tests!(chunks exchange ivy_yaml message path properties session status uriworkermap);

#[test]
fn every_target_is_tested_and_built() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let manifest = std::fs::read_to_string(dir.join("Cargo.toml")).expect("the manifest");
    for name in names {
        let path = format!("fuzz_targets/{name}.rs");
        assert!(manifest.contains(&format!("path = \"{path}\"")), "{name}");
        let text = std::fs::read_to_string(dir.join(&path)).expect("a target");
        assert!(text.contains(&format!("targets::{name}(data)")), "{name}");
    }
}
