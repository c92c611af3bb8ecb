//! One connection to an engine.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::error::PingError;
use crate::ajp::frame::HEADER_LEN;
use crate::ajp::message::{CPING, CPONG};
use crate::net::{Deadline, IdleState, Stream, is_timeout};
use crate::shared::Memory;

/// A connection with what the log says of it.
#[derive(Debug)]
pub(super) struct Connection {
    /// The socket.
    pub stream: Stream,
    /// Number of the connection within its pool, from 1.
    pub id: u64,
    /// Requests that it has carried before this one.
    pub carried: u64,
    /// When it was opened or its last request ended.
    pub idle_since: Instant,
    /// When it was last known to work: as above, or pinged since.
    pub checked_at: Instant,
    /// Its part in the number of open connections, if it counts.
    pub _opened: Option<Opened>,
}

/// The open connections of a worker: of this process, and with them of all.
#[derive(Debug)]
pub(super) struct Open {
    memory: Arc<dyn Memory>,
    position: usize,
    here: AtomicU32,
}

/// One open connection. Dropping it counts it out.
#[derive(Debug)]
pub(super) struct Opened(Arc<Open>);

impl Open {
    /// None yet, of the worker with this record.
    pub(super) fn new(memory: Arc<dyn Memory>, position: usize) -> Arc<Self> {
        Arc::new(Self { memory, position, here: AtomicU32::new(0) })
    }

    /// Counts one in.
    pub(super) fn count(self: &Arc<Self>) -> Opened {
        self.here.fetch_add(1, Ordering::Relaxed);
        if let Some(worker) = self.memory.workers().get(self.position) {
            worker.connect();
        }
        Opened(Arc::clone(self))
    }

    /// Counts all of this process out, which is about to end. Waits for nobody.
    pub(super) fn end(&self) {
        self.leave(self.here.swap(0, Ordering::Relaxed));
    }

    fn leave(&self, count: u32) {
        if let Some(worker) = self.memory.workers().get(self.position) {
            worker.disconnect(count);
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let less = |here: u32| here.checked_sub(1);
        if self.0.here.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            self.0.leave(1);
        }
    }
}

/// How often a ping that may give way looks whether it must.
const LOOK_AROUND: Duration = Duration::from_millis(20);

impl Connection {
    /// What an idle connection looks like now.
    pub(super) fn idle_state(&self) -> IdleState {
        self.stream.idle_state()
    }

    /// How long it has been idle.
    pub(super) fn idle_time(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.idle_since)
    }

    /// Sends a CPING and waits at most `timeout` for the CPONG (spec/mod_jk.md 4.8).
    ///
    /// # Errors
    /// [`PingError`]; the connection must be closed.
    pub(super) fn ping(&mut self, timeout: Duration) -> Result<(), PingError> {
        self.ping_in_parts(timeout, timeout, || false)
    }

    /// As [`Connection::ping`], but gives up soon after `must_give_way` is true.
    ///
    /// # Errors
    /// [`PingError`]; the connection must be closed.
    pub(super) fn ping_unless(
        &mut self,
        timeout: Duration,
        must_give_way: impl Fn() -> bool,
    ) -> Result<(), PingError> {
        self.ping_in_parts(timeout, LOOK_AROUND, must_give_way)
    }

    fn ping_in_parts(
        &mut self,
        timeout: Duration,
        part: Duration,
        must_give_way: impl Fn() -> bool,
    ) -> Result<(), PingError> {
        let deadline = Deadline::after(timeout);
        self.stream.send_all(&CPING, Some(timeout)).map_err(|e| PingError::Broken(e.source))?;
        // One byte more than a CPONG, so that anything behind it is seen here.
        let mut answer = [0; HEADER_LEN + 2];
        let mut got = 0;
        while got < CPONG.len() {
            let left = deadline.remaining().ok_or(PingError::Timeout(timeout))?;
            let room = answer.get_mut(got..).unwrap_or_default();
            match self.stream.recv(room, Some(left.min(part))) {
                Ok(0) => {
                    return Err(PingError::Broken(io::Error::from(ErrorKind::UnexpectedEof)));
                }
                Ok(n) => got = got.saturating_add(n),
                Err(e) if is_timeout(&e) && must_give_way() => return Err(PingError::GaveWay),
                Err(e) if is_timeout(&e) => {}
                Err(e) => return Err(PingError::Broken(e)),
            }
            let came = answer.get(..got).unwrap_or_default();
            if !CPONG.starts_with(came) {
                return Err(PingError::Unexpected(format!("{came:02x?}")));
            }
        }
        Ok(())
    }
}
