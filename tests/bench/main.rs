//! `cargo bench --bench peers -- [ROW…]`: this module, C mod_jk, mod_proxy_ajp and mod_proxy_http
//! under the same load. `misc/dev bench` installs what it needs; `--help` says what it can do.

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
#![cfg_attr(test, allow(dead_code, unused_imports, reason = "tests/it runs the unit tests"))]

mod peers;
#[path = "../it/support/mod.rs"]
mod support;

fn main() -> std::process::ExitCode {
    // cargo bench adds --bench.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match peers::main(&args) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            std::process::ExitCode::FAILURE
        }
    }
}
