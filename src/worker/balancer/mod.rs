//! A worker that is several engines (spec/mod_jk.md 6).
//!
//! ```text
//! serve    choose → try → settle → done, another member, or give up
//! group    the members with what all processes know of them; no sockets
//! method   what a member has had of the load        sticky   where a session is
//! choice   the member for a request                 state    what follows from a result
//! tell     what engine, client and log are told      admin     what an administrator sees and does
//! address  the member of a client's address
//! ```
//!
//! Nothing on the path of a request takes a lock: members are atomics that all processes see
//! ([`crate::shared`]), and each request looks at them through a copy of its own, in which it marks
//! the members that it has tried.
#![forbid(unsafe_code)]

mod address;
mod admin;
mod choice;
mod group;
mod method;
mod serve;
#[cfg(test)]
mod simulation;
mod state;
pub mod sticky;
mod tell;
#[cfg(test)]
pub(crate) mod testing;

pub use admin::MemberRecord;
pub use serve::Balancer;
pub use tell::{Report, Snapshot};
