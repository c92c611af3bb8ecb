//! Bounds-checked reads from one packet's payload.
#![forbid(unsafe_code)]

use super::error::DecodeError;

/// Length field of the null string (spec/mod_jk.md 4.1).
pub const NULL_STRING: u16 = 0xFFFF;

/// A cursor over one payload. Every read is checked against the *packet's* end.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    payload: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `payload`.
    pub fn new(payload: &'a [u8]) -> Self {
        Self { payload, at: 0 }
    }

    /// Offset of the next byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.payload.get(self.at..).unwrap_or_default()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] where fewer are left.
    pub fn bytes(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let rest = self.rest();
        let Some(taken) = rest.get(..n) else {
            return Err(DecodeError::Truncated {
                offset: self.at,
                needed: n.saturating_sub(rest.len()),
            });
        };
        self.at = self.at.saturating_add(n);
        Ok(taken)
    }

    /// An 8-bit number.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        let b = self.bytes(1)?;
        Ok(b.first().copied().unwrap_or_default())
    }

    /// A 16-bit number, big-endian.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        let high = self.peek(0);
        let low = self.peek(1);
        self.bytes(2)?;
        Ok(u16::from_be_bytes([high, low]))
    }

    /// A string; `None` is the null string.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`], [`DecodeError::StringTooLong`],
    /// [`DecodeError::StringNotTerminated`].
    pub fn string(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        let offset = self.at;
        let len = self.u16()?;
        if len == NULL_STRING {
            return Ok(None);
        }
        let len = usize::from(len);
        let rest = self.rest();
        let Some(text) = rest.get(..len) else {
            return Err(DecodeError::StringTooLong { offset, len });
        };
        if rest.get(len) != Some(&0) {
            return Err(DecodeError::StringNotTerminated { offset });
        }
        self.at = self.at.saturating_add(len).saturating_add(1);
        Ok(Some(text))
    }

    /// A string that must not be the null string.
    ///
    /// # Errors
    /// As [`Reader::string`], and [`DecodeError::NullString`].
    pub fn required_string(&mut self) -> Result<&'a [u8], DecodeError> {
        let offset = self.at;
        self.string()?.ok_or(DecodeError::NullString { offset })
    }

    /// Ends the packet.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] where something is left.
    pub fn end(&self, packet: u8) -> Result<(), DecodeError> {
        match self.rest().len() {
            0 => Ok(()),
            extra => Err(DecodeError::TrailingBytes { packet, extra }),
        }
    }

    /// The byte `ahead` of the cursor without moving it; 0 behind the end.
    pub fn peek(&self, ahead: usize) -> u8 {
        self.rest().get(ahead).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_never_comes_from_a_packet_that_is_too_short() {
        for k in 0..2 {
            let packet = vec![7; k];
            assert!(Reader::new(&packet).u16().is_err(), "{k} bytes");
        }
        assert_eq!(Reader::new(&[1, 2]).u16(), Ok(0x0102));
        assert!(Reader::new(&[]).u8().is_err());
    }

    #[test]
    fn a_string_is_checked_against_its_packet_and_its_zero_byte() {
        assert_eq!(Reader::new(b"\0\x02ab\0").string(), Ok(Some(&b"ab"[..])));
        assert_eq!(Reader::new(b"\xff\xff").string(), Ok(None));
        assert_eq!(
            Reader::new(b"\0\x03ab\0").string(),
            Err(DecodeError::StringNotTerminated { offset: 0 })
        );
        assert_eq!(
            Reader::new(b"\0\x04ab\0").string(),
            Err(DecodeError::StringTooLong { offset: 0, len: 4 })
        );
        assert_eq!(
            Reader::new(b"\0\x02abX").string(),
            Err(DecodeError::StringNotTerminated { offset: 0 })
        );
    }

    #[test]
    fn a_failed_read_says_where_and_how_much_is_missing() {
        let mut r = Reader::new(b"\x01\x02\x03");
        r.u8().unwrap();
        assert_eq!(r.bytes(5), Err(DecodeError::Truncated { offset: 1, needed: 3 }));
    }
}
