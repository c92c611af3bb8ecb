//! Configuration: what the files say, and what is meant by it.
#![forbid(unsafe_code)]

pub mod error;
pub mod text;

pub use error::{Place, Problem, Problems, Severity};
