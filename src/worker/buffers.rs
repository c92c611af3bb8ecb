//! Memory of running exchanges: borrowed from a free list of the process, so that an idle
//! connection owns none and a request allocates none after warm-up (DESIGN.md 3).
#![forbid(unsafe_code)]

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::ajp::MAX_PACKET_SIZE;

/// What one exchange needs.
#[derive(Debug)]
pub struct Buffer {
    /// Packets to the engine: the request with its first body part, later one body packet.
    pub send: Vec<u8>,
    /// Bytes from the engine.
    pub inbox: Inbox,
}

/// Received bytes that are not consumed yet. Holds the largest packet there is.
#[derive(Debug)]
pub struct Inbox {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn new() -> Self {
        Self { bytes: vec![0; MAX_PACKET_SIZE].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// The received bytes.
    pub fn unread(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks the first `n` received bytes as done with.
    pub fn consume(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Room to receive into; moves a rest to the front, so that it is never empty unless a whole
    /// packet of the largest size is waiting.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Reports that `n` bytes of [`Inbox::space`] have been filled.
    pub fn received(&mut self, n: usize) {
        self.end = self.end.saturating_add(n).min(self.bytes.len());
    }
}

/// The free list.
#[derive(Debug)]
pub struct Buffers {
    free: Mutex<Vec<Buffer>>,
    keep: usize,
}

impl Buffers {
    /// Keeps at most `keep` unused buffers; the number of threads of the process.
    pub fn new(keep: usize) -> Self {
        Self { free: Mutex::new(Vec::with_capacity(keep)), keep }
    }

    /// Lends a buffer, the one used last first.
    pub fn lend(&self) -> Lent<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = free.unwrap_or_else(|| Buffer { send: Vec::new(), inbox: Inbox::new() });
        buffer.send.clear();
        buffer.inbox.clear();
        Lent { list: self, buffer }
    }
}

/// A buffer on loan; goes back on drop.
#[derive(Debug)]
pub struct Lent<'l> {
    list: &'l Buffers,
    buffer: Buffer,
}

impl Deref for Lent<'_> {
    type Target = Buffer;
    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.buffer
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A buffer that a panic passed through is not trusted again.
        if std::thread::panicking() {
            return;
        }
        let empty =
            Buffer { send: Vec::new(), inbox: Inbox { bytes: Box::default(), start: 0, end: 0 } };
        let buffer = mem::replace(&mut self.buffer, empty);
        let mut free = self.list.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.list.keep {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_moves_to_the_front_and_nothing_is_lost() {
        let mut inbox = Inbox::new();
        inbox.space()[..5].copy_from_slice(b"abcde");
        inbox.received(5);
        inbox.consume(3);
        assert_eq!(inbox.unread(), b"de");
        let space = inbox.space();
        assert_eq!(space.len(), MAX_PACKET_SIZE - 2);
        space[0] = b'f';
        inbox.received(1);
        assert_eq!(inbox.unread(), b"def");
        inbox.consume(99);
        assert_eq!(inbox.unread(), b"");
    }

    #[test]
    fn the_free_list_is_bounded_and_gives_the_last_buffer_first() {
        let list = Buffers::new(1);
        {
            let mut a = list.lend();
            let b = list.lend();
            a.send.extend_from_slice(b"x");
            drop(b);
        }
        assert_eq!(list.free.lock().unwrap().len(), 1);
        assert!(list.lend().send.is_empty());
    }
}
