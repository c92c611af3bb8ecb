//! Configuration: what the files say, and what is meant by it.
//!
//! [`Properties`] holds what the lines of a file say, as bytes. [`validate`] turns that into
//! [`Workers`], whose types cannot hold anything that makes no sense. Both put everything that they
//! find wrong into [`Problems`]. Nothing here opens a file, reads the environment or knows the time.
#![forbid(unsafe_code)]

pub mod error;
pub mod keys;
mod line;
pub mod properties;
pub mod text;

pub use error::{Place, Problem, Problems, Severity};
pub use properties::{Properties, Property};
