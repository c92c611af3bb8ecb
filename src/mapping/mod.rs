//! Mapping: which worker, if any, a request path belongs to [3].
#![forbid(unsafe_code)]

pub mod normalize;
pub mod pattern;

pub use normalize::{NormalizeError, contains_backslash, normalize};
pub use pattern::Pattern;
