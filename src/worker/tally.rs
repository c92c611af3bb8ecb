//! Counts what status pages show of an engine (spec/mod_jk.md 6.9).
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::ajp13::Worker;
use super::endpoint::Connection;
use super::error::{Failure, PingError};
use super::exchange::count as bytes;
use super::forward::Outcome;
use crate::ajp::message::{CPING, CPONG};
use crate::shared::WorkerState;

/// Pings a connection, and counts its bytes as C mod_jk does.
///
/// # Errors
/// [`PingError`]; the connection must be closed.
pub(super) fn ping(
    worker: &Worker,
    connection: &mut Connection,
    timeout: Duration,
) -> Result<(), PingError> {
    let result = connection.ping(timeout);
    if let Some(state) = worker.state() {
        state.transferred.fetch_add(bytes(CPING.len()), Ordering::Relaxed);
        if result.is_ok() {
            state.read.fetch_add(bytes(CPONG.len()), Ordering::Relaxed);
        }
    }
    result
}

/// Counts the result of a request . `is_alone`: no balancer counts its reply timeouts. `now`:
/// seconds since 1970.
pub(super) fn count(
    state: &WorkerState,
    result: &Result<Outcome, Failure>,
    retries: u64,
    is_alone: bool,
    now: u64,
) {
    if retries > 0 {
        state.retries.fetch_add(retries, Ordering::Relaxed);
    }
    let is_failing = match result {
        Ok(_) => false,
        Err(failure) if failure.is_of_client() => {
            state.client_errors.fetch_add(1, Ordering::Relaxed);
            false
        }
        Err(failure) => {
            if matches!(failure, Failure::ReplyTimeout(_)) {
                state.all_reply_timeouts.fetch_add(1, Ordering::Relaxed);
                if is_alone {
                    state.reply_timeouts.fetch_add(1, Ordering::Relaxed);
                }
            }
            state.errors.fetch_add(1, Ordering::Relaxed);
            state.error_time.store(now, Ordering::Relaxed);
            true
        }
    };
    if (state.failing.load(Ordering::Relaxed) == 1) != is_failing {
        state.failing.store(u32::from(is_failing), Ordering::Relaxed);
    }
}
