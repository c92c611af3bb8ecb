//! mod_jk.
#![deny(unsafe_code)]
pub mod ajp;
pub mod config;
pub mod mapping;
