//! What passes between the client and the engine, and what does not: spec/reliability.md 2, and what
//! administrators are told of it (4).
//!
//! A test is named by its row (`f01_…` in 2.1, `g01_…` in 2.2), or stands in the table of its section.

mod headers;
mod identity;
mod methods;
mod pains;
mod paths;
mod request_framing;
mod response_framing;
mod rows;
