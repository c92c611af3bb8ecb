//! Writes one packet, and knows how large it would have become where it does not fit.
#![forbid(unsafe_code)]

use super::error::EncodeError;
use super::frame::{HEADER_LEN, TO_CONTAINER};
use super::reader::NULL_STRING;

/// Bytes of a string beside its text: length and zero byte.
const STRING_EXTRA: usize = 3;
/// What the codes of header names begin with.
const FIRST_CODE: usize = 0xA000;

/// Appends one packet to a buffer that may already hold others.
///
/// What no longer fits is counted but not written, so that the error can name the size that would
/// have been needed. The buffer never grows past its length at the start plus the packet size.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    size: usize,
    max: usize,
    too_long: Option<usize>,
}

impl<'b> Writer<'b> {
    /// Begins a packet to the container of at most `max` bytes, header included.
    pub fn new(out: &'b mut Vec<u8>, max: usize) -> Self {
        Self::with_magic(out, max, TO_CONTAINER)
    }

    /// Begins a packet with the magic of either direction.
    pub fn with_magic(out: &'b mut Vec<u8>, max: usize, magic: u16) -> Self {
        let start = out.len();
        let mut w = Self { out, start, size: 0, max, too_long: None };
        w.u16(magic);
        w.u16(0);
        w
    }

    /// Leaves room for a 16-bit number that is not known yet. Returns its place.
    pub fn reserve_u16(&mut self) -> usize {
        let at = self.out.len();
        self.u16(0);
        at
    }

    /// Writes a number into the room that [`Writer::reserve_u16`] has left.
    pub fn fill_u16(&mut self, at: usize, n: u16) {
        // There is no room in a packet that has become too large.
        if let Some(field) = self.out.get_mut(at..at.saturating_add(2)) {
            field.copy_from_slice(&n.to_be_bytes());
        }
    }

    /// Takes the packet back.
    pub fn abandon(self, why: EncodeError) -> EncodeError {
        self.out.truncate(self.start);
        why
    }

    /// Appends bytes as they are.
    ///
    /// A call of its own: the code of a request is longer than the processor's first cache for it.
    #[inline(never)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len());
        if self.size <= self.max {
            self.out.extend_from_slice(bytes);
        }
    }

    /// Appends an 8-bit number.
    pub fn u8(&mut self, n: u8) {
        self.bytes(&[n]);
    }

    /// Appends a 16-bit number, big-endian.
    pub fn u16(&mut self, n: u16) {
        self.bytes(&n.to_be_bytes());
    }

    /// Appends a string with its length and zero byte.
    pub fn string(&mut self, text: &[u8]) {
        let (len, text) = match u16::try_from(text.len()) {
            Ok(len) if len != NULL_STRING => (len, text),
            _ => {
                self.too_long = self.too_long.or(Some(text.len()));
                self.size = self.size.saturating_add(text.len());
                (0, &[][..])
            }
        };
        let size = text.len().saturating_add(STRING_EXTRA);
        self.size = self.size.saturating_add(size);
        if self.size <= self.max {
            self.out.reserve(size);
            self.out.extend_from_slice(&len.to_be_bytes());
            self.out.extend_from_slice(text);
            self.out.push(0);
        }
    }

    /// Appends the name of a header, which must not be as long as a code is large: its length would be
    /// read as one.
    pub fn name(&mut self, name: &[u8]) {
        if name.len() >= FIRST_CODE {
            self.too_long = self.too_long.or(Some(name.len()));
        }
        self.string(name);
    }

    /// Appends a string, or the null string.
    pub fn optional_string(&mut self, text: Option<&[u8]>) {
        match text {
            Some(text) => self.string(text),
            None => self.u16(NULL_STRING),
        }
    }

    /// Ends the packet: writes its length.
    ///
    /// # Errors
    /// [`EncodeError::TooLarge`], [`EncodeError::StringTooLong`]. The buffer is then as it was
    /// before the packet.
    pub fn finish(mut self) -> Result<(), EncodeError> {
        let problem = if self.size > self.max {
            Some(EncodeError::TooLarge { size: self.size, max: self.max })
        } else {
            self.too_long.map(|len| EncodeError::StringTooLong { len })
        };
        let payload = self.size.saturating_sub(HEADER_LEN);
        let length = u16::try_from(payload).ok();
        match (problem, length) {
            (None, Some(length)) => {
                self.fill_u16(self.start.saturating_add(2), length);
                Ok(())
            }
            (problem, _) => {
                let too_large = EncodeError::TooLarge { size: self.size, max: self.max };
                Err(self.abandon(problem.unwrap_or(too_large)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_field_counts_the_payload_only() {
        let mut out = b"before".to_vec();
        let mut w = Writer::new(&mut out, 8192);
        w.string(b"ab");
        w.optional_string(None);
        w.finish().unwrap();
        assert_eq!(out, b"before\x12\x34\0\x07\0\x02ab\0\xff\xff");
    }

    #[test]
    fn what_does_not_fit_is_measured_and_leaves_nothing() {
        let mut out = vec![1, 2, 3];
        let mut w = Writer::new(&mut out, 16);
        w.bytes(&[0; 20]);
        w.u8(1);
        assert_eq!(w.finish(), Err(EncodeError::TooLarge { size: 25, max: 16 }));
        assert_eq!(out, [1, 2, 3]);
    }

    #[test]
    fn a_string_longer_than_its_length_field_is_refused() {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out, 1 << 20);
        w.string(&vec![b'x'; 65535]);
        assert_eq!(w.finish(), Err(EncodeError::StringTooLong { len: 65535 }));
    }
}
