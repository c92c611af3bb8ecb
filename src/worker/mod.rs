//! What a worker does with a request: pool, exchange, retries, errors (spec/mod_jk.md 5).
//!
//! ```text
//! forward      prepare → acquire → exchange → retry or give up
//! prepare      the request as a packet                      headers   which headers pass
//! exchange     one request and its answer on a connection
//! upload       the request body on its way                  head      what follows from a status
//! ajp13        a worker that is one engine
//! balancer     a worker that is several: whose turn it is, and what if it fails
//! live         settings that change while requests are served
//! pool         connections of one worker in one process     endpoint  one connection
//! maintenance  idle connections: closed in time, or pinged
//! health       engines that are asked whether they are there
//! buffers      memory that a running exchange borrows
//! error        why a request failed, and what follows from it
//! recovery     what else the administrator wants to be sent again
//! report       one line for each request that fails        hint      settings that seem wrong
//! ```
//!
//! Knows a web server only through [`crate::host`].
#![forbid(unsafe_code)]

mod ajp13;
pub mod balancer;
pub mod buffers;
mod endpoint;
mod error;
mod exchange;
pub mod forward;
mod head;
pub mod headers;
mod health;
mod hint;
pub mod live;
mod maintenance;
#[cfg(test)]
mod policy_tests;
pub mod pool;
mod prepare;
mod recovery;
mod report;
#[cfg(test)]
mod resend_tests;
mod tally;
#[cfg(test)]
pub(crate) mod testing;
mod upload;
pub mod uri;

pub use ajp13::Worker;
pub use balancer::Balancer;
pub use error::{Failure, Phase};
pub use forward::{Outcome, serve};
pub use health::{Checks, Engine};
pub use live::{EditError, Live};
pub use maintenance::Schedule;
pub use report::UNSENT;
