//! What our module makes of an engine, a client or a configuration that misbehaves
//! (spec/reliability.md 2 and 5, issue 2 "Shown by" 5 and 6).
//!
//! A [`case::Case`] is one row of the fault matrix: what the client asks, what the engine does,
//! what the client sees, which line the log has, what becomes of the connection. A
//! [`stage::Stage`] is one httpd with one engine on which many cases run one after the other; after
//! each it looks at what must hold whatever happened. The names of the cases are the row numbers
//! of the specification.

mod around;
mod body;
mod case;
mod client_gone;
mod connect;
mod cves;
mod framing;
mod guard;
mod head;
mod http2;
mod hygiene;
mod methods;
mod mpms;
mod paths;
mod pool;
mod resend;
mod stage;
mod truncation;
mod upload;

/// How many requests after each case must get their own answer.
fn rounds() -> usize {
    if std::env::var_os("JK_LONG").is_some() { 30 } else { 5 }
}
