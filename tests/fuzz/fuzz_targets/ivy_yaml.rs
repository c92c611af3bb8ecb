//! Modules: src/config/ivy/*.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::ivy_yaml(data));
