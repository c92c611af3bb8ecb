//! What the fuzz targets check. Each takes any bytes and panics where a promise is broken.
//!
//! `fuzz_targets` runs them under libFuzzer; `smoke.rs` replays the corpora as an ordinary test.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod chunks;
mod exchange;
mod input;
mod ivy_yaml;
mod memory;
mod message;
mod path;
mod properties;
mod session;
mod site;
mod status;
#[path = "../../it/support/strict.rs"]
mod strict;
mod uriworkermap;

pub use chunks::chunks;
pub use exchange::exchange;
pub use ivy_yaml::ivy_yaml;
pub use message::message;
pub use path::path;
pub use properties::properties;
pub use session::session;
pub use status::status;
pub use uriworkermap::uriworkermap;

/// Takes an input; panics where a promise is broken.
pub type Target = fn(&[u8]);

/// Names of the targets and of their corpora.
pub const TARGETS: [(&str, Target); 9] = [
    ("chunks", chunks),
    ("exchange", exchange),
    ("ivy_yaml", ivy_yaml),
    ("message", message),
    ("path", path),
    ("properties", properties),
    ("session", session),
    ("status", status),
    ("uriworkermap", uriworkermap),
];
