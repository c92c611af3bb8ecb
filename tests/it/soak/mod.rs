//! Everything at the same time, for long: mixed traffic against one httpd while engines and processes
//! come and go, with each answer compared to its request.
//!
//! All decisions follow from a seed, which is printed; `JK_SEED` gives it again. The full counts run with
//! `JK_LONG=1` (`misc/dev long`), the soak itself with `misc/dev soak MINUTES`.

mod abuse;
mod chart;
mod content;
mod engine;
mod http2;
mod killed;
mod run;
mod traffic;
mod watch;

/// The seed of this run, printed so that it can be given again.
fn seed() -> u64 {
    let seed = std::env::var("JK_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("JK_SEED={seed}");
    seed
}
