//! Integration tests: a real httpd, a real Tomcat and a scripted AJP engine.
//!
//! Everything that starts, stops or talks to something lives in [`support`]; a test file
//! says what is configured, what is asked and what must be seen.

#![deny(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod app;
mod asan;
mod balancer;
mod bench;
mod build;
mod checklist;
mod compliance;
mod config;
mod cost;
mod decode;
mod faults;
mod harness;
mod ivy;
mod mapping;
mod package;
#[path = "../bench/peers/mod.rs"]
mod peers;
mod policy;
mod pool;
mod soak;
mod status;
mod support;
