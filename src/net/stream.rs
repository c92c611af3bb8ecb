//! A blocking connection with a timeout for each call.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use socket2::Socket;
use thiserror::Error;

/// Shortest read timeout that stays on a socket where a longer one is wanted.
const SHORTEST_KEPT: Duration = Duration::from_secs(1);

/// A connection to an engine.
///
/// The timeouts are set on the socket only where the ones that it has do not do, so that a request
/// costs no system call for them.
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
        let mut timeout = timeout.map(whole_milliseconds);
        let deadline = timeout.map(Deadline::after);
        loop {
            if !self.suits(timeout) {
                self.socket.set_read_timeout(timeout)?;
                self.read_timeout = timeout;
            }
            match io::Read::read(&mut &self.socket, buf) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // Only the socket's patience is at an end, not the caller's.
                Err(e) if is_timeout(&e) && self.read_timeout != timeout => {
                    if let Some(deadline) = deadline {
                        timeout = Some(whole_milliseconds(deadline.remaining().ok_or(e)?));
                    }
                }
                result => return result,
            }
        }
    }

    /// Whether the timeout that the socket has can stay: a shorter one does as well, since its end can
    /// be followed by another wait, unless it would wake the thread all the time.
    fn suits(&self, wanted: Option<Duration>) -> bool {
        match (self.read_timeout, wanted) {
            (Some(now), Some(wanted)) => now == wanted || now >= SHORTEST_KEPT && now < wanted,
            (Some(now), None) => now >= SHORTEST_KEPT,
            (now, wanted) => now == wanted,
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
                .set_write_timeout(timeout.map(whole_milliseconds))
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

/// Rounds up: what is left of a limit that has just begun is that limit, and a socket timeout of zero
/// would mean none at all.
fn whole_milliseconds(timeout: Duration) -> Duration {
    let millis = timeout.as_nanos().div_ceil(1_000_000).max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Stream::new(near.into()), listener.accept().unwrap().0)
    }

    #[test]
    fn a_timeout_stays_on_the_socket_where_it_does_as_well() {
        let (mut stream, far) = pair();
        let seconds = |n| Some(Duration::from_secs(n));
        let mut set = |wanted: Option<Duration>| {
            io::Write::write_all(&mut &far, b"x").unwrap();
            stream.recv(&mut [0; 1], wanted).unwrap();
            stream.socket.read_timeout().unwrap()
        };
        assert_eq!(set(None), None);
        assert_eq!(set(seconds(5)), seconds(5));
        assert_eq!(set(Some(Duration::from_micros(4_999_500))), seconds(5), "as good as all of it");
        assert_eq!(set(None), seconds(5), "for ever is 5 seconds again and again");
        assert_eq!(set(seconds(60)), seconds(5));
        assert_eq!(set(seconds(2)), seconds(2), "never longer than wanted");
        let short = Some(Duration::from_millis(20));
        assert_eq!(set(short), short);
        assert_eq!(set(None), None, "nobody wakes fifty times a second");
    }

    #[test]
    fn a_wait_is_as_long_as_wanted_on_a_socket_with_a_shorter_timeout() {
        let (mut stream, far) = pair();
        let kept = SHORTEST_KEPT;
        assert!(is_timeout(&stream.recv(&mut [0; 1], Some(kept)).unwrap_err()));
        let begin = Instant::now();
        let wanted = kept + Duration::from_millis(300);
        assert!(is_timeout(&stream.recv(&mut [0; 1], Some(wanted)).unwrap_err()));
        assert!(begin.elapsed() >= wanted, "{:?}", begin.elapsed());
        drop(far);
        assert_eq!(stream.recv(&mut [0; 1], None).unwrap(), 0);
    }
}
