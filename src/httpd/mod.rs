//! The border to Apache httpd: the only module that says `unsafe` or names a C type.
//!
//! ```text
//! module     the module record, hooks            directives  the configuration directives
//! lifecycle  check, start, child start           server      configuration and run time of a server
//! handler    mapping and serving of requests     request     a request as the core sees it
//! body       request body                        response    response
//! shm        memory that the children share
//! table pool log guard                           what the others stand on
//! ffi        generated bindings, shim.c: macros and variadic functions
//! ```
#![allow(unsafe_code, reason = "the one border to C")]

mod body;
mod directives;
mod ffi;
mod guard;
mod handler;
mod lifecycle;
mod log;
mod module;
mod pool;
mod request;
mod response;
mod server;
mod shm;
mod table;
