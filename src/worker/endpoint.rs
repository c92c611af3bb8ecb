//! One connection to an engine.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::error::PingError;
use crate::ajp::frame::HEADER_LEN;
use crate::ajp::message::{CPING, CPONG};
use crate::net::{Deadline, IdleState, Stream, is_timeout};

/// A connection with what the log says of it.
#[derive(Debug)]
pub(super) struct Connection {
    /// The socket.
    pub stream: Stream,
    /// Number of the connection within its pool, from 1.
    pub id: u64,
    /// Requests that it has carried before this one.
    pub carried: u64,
}

impl Connection {
    /// What an idle connection looks like now.
    pub(super) fn idle_state(&self) -> IdleState {
        self.stream.idle_state()
    }

    /// Sends a CPING and waits at most `timeout` for the CPONG (spec/mod_jk.md 4.8).
    ///
    /// # Errors
    /// [`PingError`]; the connection must be closed.
    pub(super) fn ping(&mut self, timeout: Duration) -> Result<(), PingError> {
        let deadline = Deadline::after(timeout);
        self.stream.send_all(&CPING, Some(timeout)).map_err(|e| PingError::Broken(e.source))?;
        // One byte more than a CPONG, so that anything behind it is seen here.
        let mut answer = [0; HEADER_LEN + 2];
        let mut got = 0;
        while got < CPONG.len() {
            let left = deadline.remaining().ok_or(PingError::Timeout(timeout))?;
            let room = answer.get_mut(got..).unwrap_or_default();
            match self.stream.recv(room, Some(left)) {
                Ok(0) => {
                    return Err(PingError::Broken(io::Error::from(ErrorKind::UnexpectedEof)));
                }
                Ok(n) => got = got.saturating_add(n),
                Err(e) if is_timeout(&e) => return Err(PingError::Timeout(timeout)),
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
