//! Workers of type status: the pages that show what the balancers and engines are doing
//! (spec/mod_jk.md 7), in every format.
//!
//! ```text
//! query      what is asked          snapshot  what there is to show
//! answer     checks, and the answer     action    what a command changes
//! origin     who has sent a request
//! fields     names and values, as scripts know them
//! xml text properties               the formats of C mod_jk
//! json prometheus html              ours
//! health tables rules form page     the parts of html
//! section    our part of mod_status's page
//! escape     bytes of names and values in each of them
//! ```
//!
//! Pure: what is shown comes from the border as a [`snapshot::Snapshot`], and goes back as bytes.
#![forbid(unsafe_code)]

pub mod action;
pub mod answer;
mod escape;
mod fields;
mod form;
mod health;
mod html;
mod json;
pub mod origin;
mod page;
mod prometheus;
mod properties;
pub mod query;
mod rules;
pub mod section;
pub mod snapshot;
mod tables;
#[cfg(test)]
mod tests;
mod text;
pub mod time;
mod xml;
