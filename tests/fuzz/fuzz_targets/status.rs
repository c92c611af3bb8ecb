//! Modules: src/status/*.rs src/status/page/*.rs src/config/edit.rs src/config/edit_field.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::status(data));
