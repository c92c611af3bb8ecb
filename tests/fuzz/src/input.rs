//! Any bytes as a source of decisions.

/// Bytes that decide something, taken from the front. After their end everything is zero or empty.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    pub(super) fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// True for one half of all bytes.
    pub(super) fn coin(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A length in one byte, and as many bytes.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let count = self.byte();
        self.bytes(count.into())
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}
