//! What a worker does with a request: pool, exchange, retries, errors (spec/mod_jk.md 5).
//!
//! ```text
//! forward   prepare → acquire → exchange → retry or give up
//! pool      connections of one worker in one process     endpoint  one connection
//! buffers   memory that a running exchange borrows       headers   which headers pass
//! error     why a request failed, and what follows from it
//! ```
//!
//! Knows a web server only through [`crate::host`].
#![forbid(unsafe_code)]

pub mod buffers;
mod endpoint;
mod error;
mod exchange;
pub mod forward;
pub mod headers;
pub mod pool;
pub mod uri;

pub use error::{Failure, Phase};
pub use forward::{Outcome, Worker, serve};
