//! Packet framing: magic, length, payload (spec/mod_jk.md 4.1).
#![forbid(unsafe_code)]

use super::error::DecodeError;

/// Bytes before the payload.
pub const HEADER_LEN: usize = 4;
/// Magic of packets from the web server to the container.
pub const TO_CONTAINER: u16 = 0x1234;
/// Magic of packets from the container to the web server.
pub const TO_SERVER: u16 = 0x4142;

/// What the bytes received so far begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// Not a whole packet yet.
    Incomplete {
        /// Bytes that the packet still lacks, as far as is known.
        missing: usize,
    },
    /// A whole packet.
    Packet {
        /// Its payload.
        payload: &'a [u8],
        /// Bytes of the input that it takes.
        consumed: usize,
    },
}

/// Looks at the beginning of `input`.
///
/// `magic` is the direction's magic, `max` the largest packet in bytes, header included.
///
/// # Errors
/// [`DecodeError::BadMagic`] as soon as the first wrong byte is there,
/// [`DecodeError::PacketTooBig`] as soon as the length is.
pub fn split(input: &[u8], magic: u16, max: usize) -> Result<Frame<'_>, DecodeError> {
    let [expected_high, expected_low] = magic.to_be_bytes();
    let high = input.first().copied();
    let low = input.get(1).copied();
    if high.is_some_and(|b| b != expected_high) || low.is_some_and(|b| b != expected_low) {
        return Err(DecodeError::BadMagic {
            expected: magic,
            got: [high.unwrap_or_default(), low.unwrap_or_default()],
        });
    }
    let (Some(&length_high), Some(&length_low)) = (input.get(2), input.get(3)) else {
        return Ok(Frame::Incomplete { missing: HEADER_LEN.saturating_sub(input.len()) });
    };
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let whole = length.saturating_add(HEADER_LEN);
    if whole > max {
        return Err(DecodeError::PacketTooBig { len: whole, max });
    }
    match input.get(HEADER_LEN..whole) {
        Some(payload) => Ok(Frame::Packet { payload, consumed: whole }),
        None => Ok(Frame::Incomplete { missing: whole.saturating_sub(input.len()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_container(input: &[u8]) -> Result<Frame<'_>, DecodeError> {
        split(input, TO_SERVER, 8192)
    }

    #[test]
    fn a_packet_is_split_off_once_it_is_whole() {
        assert_eq!(of_container(b""), Ok(Frame::Incomplete { missing: 4 }));
        assert_eq!(of_container(b"AB\0"), Ok(Frame::Incomplete { missing: 1 }));
        assert_eq!(of_container(b"AB\0\x02\x05"), Ok(Frame::Incomplete { missing: 1 }));
        assert_eq!(
            of_container(b"AB\0\x02\x05\x01rest"),
            Ok(Frame::Packet { payload: b"\x05\x01", consumed: 6 })
        );
    }

    #[test]
    fn only_the_magic_of_the_direction_is_accepted() {
        for bad in [&b"X"[..], b"\x12\x34\0\x01\x09", b"AXxx"] {
            assert!(matches!(of_container(bad), Err(DecodeError::BadMagic { .. })), "{bad:?}");
        }
    }

    #[test]
    fn the_packet_header_counts_towards_the_limit() {
        let longest = [b'A', b'B', 0x1F, 0xFC];
        assert_eq!(of_container(&longest), Ok(Frame::Incomplete { missing: 8188 }));
        for length in 8189u16..=8193 {
            let [h, l] = length.to_be_bytes();
            assert_eq!(
                of_container(&[b'A', b'B', h, l]),
                Err(DecodeError::PacketTooBig { len: usize::from(length) + 4, max: 8192 })
            );
        }
    }
}
