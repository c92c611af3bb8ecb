//! Modules: src/status/*.rs src/status/page/*.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::status(data));
