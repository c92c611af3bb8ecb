//! Modules: src/mapping/normalize.rs src/mapping/denied.rs src/mapping/session.rs src/mapping/auto_alias.rs src/mapping/table.rs src/mapping/pattern.rs src/worker/uri.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::path(data));
