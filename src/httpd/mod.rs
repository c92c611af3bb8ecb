//! The border to Apache httpd: the only module that says `unsafe` or names a C type.
//!
//! ```text
//! module       the module record, hooks
//! directives   what the configuration says      check        what is meant by it
//! server       one server's configuration       lifecycle    start, child start
//! options environment stamp request_log         what some directives mean in detail
//! translate    mapping of requests              handler      serving of requests
//! request      httpd's record of a request      service      the same as the core sees it
//! body         request body                     response     response
//! ivy          Axon Ivy Engines                conftree     directives of other modules
//! identity     who the user is, for the engine
//! shm          memory that children share       upkeep       repair of what killed ones leave there
//! retained     what outlives a graceful restart   watchdog the thread for maintenance
//! table pool path log guard                     what the others stand on
//! ffi          generated bindings; shim.c: macros and variadic functions
//! ```
#![allow(unsafe_code, reason = "the one border to C")]

mod body;
mod check;
mod conftree;
mod directives;
mod environment;
mod ffi;
mod guard;
mod handler;
mod identity;
mod ivy;
mod lifecycle;
mod log;
mod module;
mod options;
mod path;
mod pool;
mod request;
mod request_log;
mod response;
mod retained;
mod server;
mod service;
mod shm;
mod stamp;
mod status;
mod table;
#[cfg(feature = "test-memory")]
mod test_memory;
mod translate;
mod upkeep;
mod watchdog;
