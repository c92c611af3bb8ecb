//! Modules: src/config/[!e]*.rs src/config/effects.rs src/config/error.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::properties(data));
