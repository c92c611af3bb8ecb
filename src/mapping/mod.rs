//! mapping
#![forbid(unsafe_code)]
