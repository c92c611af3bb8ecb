//! A blocking connection with a timeout for each call.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use socket2::Socket;
use thiserror::Error;

/// A connection to an engine.
///
/// The timeouts are set on the socket only when they change, so that a request that keeps to its
/// worker's values costs no system call for them.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

/// A packet that could not be sent as a whole.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct SendError {
    /// Bytes that the system has taken.
    pub sent: usize,
    /// Why no more.
    #[source]
    pub source: io::Error,
}

impl Stream {
    /// Takes over a connected, blocking socket without timeouts.
    pub fn new(socket: Socket) -> Self {
        Self { socket, read_timeout: None, write_timeout: None }
    }

    /// The socket.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Receives what has arrived, at least one byte; 0 means that the peer has closed. Waits at
    /// most `timeout`, or for ever.
    ///
    /// # Errors
    /// `WouldBlock` or `TimedOut` after the timeout (see [`is_timeout`]), else what the system says.
    pub fn recv(&mut self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        if self.read_timeout != timeout {
            self.socket.set_read_timeout(timeout.map(at_least_a_millisecond))?;
            self.read_timeout = timeout;
        }
        loop {
            match io::Read::read(&mut &self.socket, buf) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Sends all of `bytes`. `timeout` limits each wait for room in the socket's buffer.
    ///
    /// # Errors
    /// [`SendError`] with the number of bytes that the system has taken.
    pub fn send_all(&mut self, bytes: &[u8], timeout: Option<Duration>) -> Result<(), SendError> {
        let mut sent = 0;
        let failed = |sent, source| SendError { sent, source };
        if self.write_timeout != timeout {
            self.socket
                .set_write_timeout(timeout.map(at_least_a_millisecond))
                .map_err(|e| failed(sent, e))?;
            self.write_timeout = timeout;
        }
        while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.send(rest) {
                Ok(0) => return Err(failed(sent, ErrorKind::WriteZero.into())),
                Ok(n) => sent = sent.saturating_add(n),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(sent, e)),
            }
        }
        Ok(())
    }
}

/// Whether an error of [`Stream::recv`] or [`Stream::send_all`] says that the time is up.
pub fn is_timeout(e: &io::Error) -> bool {
    matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A socket timeout of zero would mean none at all.
fn at_least_a_millisecond(timeout: Duration) -> Duration {
    timeout.max(Duration::from_millis(1))
}

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        Self(Instant::now() + timeout)
    }

    /// Time that is left, more than zero; `None` once the moment has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}
