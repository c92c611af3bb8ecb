//! mod_jk.
#![forbid(unsafe_code)]
pub mod config;
pub mod mapping;
