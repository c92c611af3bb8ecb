//! Mapping: which worker, if any, a request path belongs to \[3\].
//!
//! A path is [normalised](normalize()) first, so that the decision is made on the string that the
//! engine will see. A [`Table`], compiled once from [`Rule`]s, then answers without allocating, in
//! about the same time for ten rules as for ten thousand. A [`LiveTable`] is a table that is compiled
//! again when its map file changes.
#![forbid(unsafe_code)]

pub mod auto_alias;
pub mod check;
pub mod denied;
pub mod extensions;
pub mod live;
pub mod mount;
pub mod normalize;
pub mod pattern;
mod prefixes;
pub mod rule;
pub mod session;
pub mod table;
pub mod target;

pub use auto_alias::{AutoAlias, auto_alias};
pub use check::{WorkerKind, WorkerNames};
pub use denied::denied;
pub use extensions::RuleOptions;
pub use live::{LiveTable, MapFile, TableSources};
pub use mount::{Mount, copy_mounts, rules_of};
pub use normalize::{NormalizeError, contains_backslash, normalize};
pub use pattern::Pattern;
pub use rule::{Rule, RuleSource};
pub use session::strip_session;
pub use table::{Lookup, RuleId, Table};
