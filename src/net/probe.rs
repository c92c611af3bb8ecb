//! Looks at an idle connection without waiting (spec/mod_jk.md 4.9, spec/reliability.md C7, C9).
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::mem::MaybeUninit;

use super::Stream;

/// What an idle connection looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleState {
    /// Open, nothing to read: it may be used.
    Quiet,
    /// The engine has closed it, or it is broken.
    Closed,
    /// There is something to read, although nothing was asked: it must be closed.
    UnexpectedBytes,
}

impl Stream {
    /// One non-blocking peek.
    pub fn idle_state(&self) -> IdleState {
        let mut byte = [MaybeUninit::uninit()];
        loop {
            return match self.peek_now(&mut byte) {
                Ok(0) => IdleState::Closed,
                Ok(_) => IdleState::UnexpectedBytes,
                Err(e) if e.kind() == ErrorKind::WouldBlock => IdleState::Quiet,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => IdleState::Closed,
            };
        }
    }

    #[cfg(unix)]
    fn peek_now(&self, buf: &mut [MaybeUninit<u8>]) -> std::io::Result<usize> {
        self.socket().recv_with_flags(buf, libc::MSG_PEEK | libc::MSG_DONTWAIT)
    }

    #[cfg(not(unix))]
    fn peek_now(&self, buf: &mut [MaybeUninit<u8>]) -> std::io::Result<usize> {
        self.socket().set_nonblocking(true)?;
        let result = self.socket().peek(buf);
        self.socket().set_nonblocking(false)?;
        result
    }
}
