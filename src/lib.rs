//! mod_jk: an Apache httpd 2.4 module that connects httpd to Tomcat and the Axon Ivy Engine over
//! AJP13. It takes the place of the C mod_jk with the same configuration.
//!
//! ```text
//! ajp                      bytes on the wire; pure
//! config mapping           what the files say; which path belongs to whom
//! shared                   what all processes see
//! status                   what status pages show
//! net worker               sockets; pool, exchange, retries
//! host log                 the seam between worker and web server
//! httpd                    Apache httpd: all C, all unsafe code
//! ```
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | engine, container | the Java process with the AJP connector |
//! | worker | a configured engine, by the name that mounts use |
//! | balancer, member | a worker that is several engines, one of them |
//! | activation | which requests a member gets: all, those of its sessions, none |
//! | domain | members that take over each other's sessions |
//! | mount | a rule that maps paths to a worker |
//! | exclusion | a rule that takes paths away from a worker (JkUnMount) |
//! | pool | the connections of one worker in one httpd process |
//! | slot | the right of a request to one connection of a pool |
//! | exchange | one request and its response on a connection |
//! | verdict | whether a connection may be used again, else why not |
//! | first body packet | request body data that follows the request unasked |
//! | ask | GET_BODY_CHUNK: the engine wants more request body |
//! | commit | a byte of the response may have left for the client |
//! | retract | to take a response back that is not committed |
//! | abort | to end a committed response so that the client sees it |
//! | CPING, CPONG | are you there, yes |
//! | route | name of an engine within session ids |
//! | generation | everything that belongs to one reading of the configuration |
//! | edit | a setting that an administrator changed at run time |
//! | main server, virtual host | as in httpd |
//! | border | code that talks C to a web server |
//! | event | the stable name of a fact in the log |
#![deny(unsafe_code)]

pub mod ajp;
pub mod config;
pub mod host;
pub mod log;
pub mod mapping;
pub mod net;
pub mod shared;
pub mod status;
pub mod worker;

#[cfg(feature = "httpd")]
mod httpd;

// tests/fuzz/src/site.rs is compiled into the unit tests as well, and names this crate as the fuzz
// targets do.
#[cfg(test)]
extern crate self as mod_jk;

/// As many generated cases as a property takes, unless PROPTEST_CASES says how many (`misc/dev miri`).
#[cfg(test)]
fn generated(cases: u32) -> proptest::prelude::ProptestConfig {
    let config = proptest::prelude::ProptestConfig::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        None => proptest::prelude::ProptestConfig { cases, ..config },
    }
}
