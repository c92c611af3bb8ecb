//! Modules: src/mapping/rule.rs src/mapping/extensions.rs src/mapping/mount.rs src/mapping/check.rs src/mapping/table.rs src/mapping/pattern.rs src/mapping/prefixes.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::uriworkermap(data));
