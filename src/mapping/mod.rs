//! Mapping: which worker, if any, a request path belongs to \[3\].
//!
//! A path is [normalised](normalize()) first, so that the decision is made on the string that the
//! engine will see. A [`Table`], compiled once from [`Rule`]s, then answers without allocating, in
//! about the same time for ten rules as for ten thousand.
#![forbid(unsafe_code)]

pub mod normalize;
pub mod pattern;
mod prefixes;
pub mod rule;
pub mod table;

pub use normalize::{NormalizeError, contains_backslash, normalize};
pub use pattern::Pattern;
pub use rule::{Rule, RuleError, RuleSource};
pub use table::{Lookup, RuleId, Table, TableBuilder};
