//! Connections, timeouts, retries and limits of a worker as its properties say, with C mod_jk and
//! with ours (spec/mod_jk.md 5, issue 3).

mod limits;
mod maintenance;
mod options;
mod resend;
