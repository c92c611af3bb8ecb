//! Modules: src/ajp/frame.rs src/ajp/exchange.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::chunks(data));
