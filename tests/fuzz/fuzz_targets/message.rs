//! Modules: src/ajp/message.rs src/ajp/forward.rs src/ajp/frame.rs src/ajp/reader.rs src/ajp/writer.rs src/ajp/body.rs src/ajp/codes.rs src/ajp/error.rs
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::message(data));
