//! Request body packets: a 16-bit length and data, or nothing at all for the end
//! (spec/mod_jk.md 4.5).
#![forbid(unsafe_code)]

use super::error::DecodeError;
use super::frame::{HEADER_LEN, TO_CONTAINER};
use super::reader::Reader;

/// Bytes of a body packet before its data: packet header and data length.
pub const PREFIX_LEN: usize = HEADER_LEN + 2;

/// The packet that says that the body has ended.
pub const END: [u8; HEADER_LEN] = [0x12, 0x34, 0, 0];

/// Largest number of data bytes in one packet, for a `max_packet_size` in bytes.
pub fn capacity(max_packet: usize) -> usize {
    max_packet.saturating_sub(PREFIX_LEN)
}

/// The bytes to put before `data_len` bytes of body data.
///
/// `data_len` is at most [`capacity`] of the largest packet, 65530.
pub fn prefix(data_len: u16) -> [u8; PREFIX_LEN] {
    let [magic_high, magic_low] = TO_CONTAINER.to_be_bytes();
    let [payload_high, payload_low] = data_len.saturating_add(2).to_be_bytes();
    let [data_high, data_low] = data_len.to_be_bytes();
    [magic_high, magic_low, payload_high, payload_low, data_high, data_low]
}

/// Data of a body packet's payload; empty at the end of the body.
///
/// # Errors
/// [`DecodeError::Truncated`], [`DecodeError::TrailingBytes`] where length and data disagree.
pub fn decode(payload: &[u8]) -> Result<&[u8], DecodeError> {
    if payload.is_empty() {
        return Ok(payload);
    }
    let mut r = Reader::new(payload);
    let len = r.u16()?;
    let data = r.bytes(usize::from(len))?;
    r.end(0)?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ajp::frame::{Frame, split};

    #[test]
    fn a_data_packet_round_trips() {
        let data = vec![7u8; 8186];
        let mut packet = prefix(8186).to_vec();
        packet.extend_from_slice(&data);
        assert_eq!(packet.len(), 8192);
        let Ok(Frame::Packet { payload, consumed }) = split(&packet, TO_CONTAINER, 8192) else {
            panic!("not a packet");
        };
        assert_eq!(consumed, 8192);
        assert_eq!(decode(payload), Ok(&data[..]));
        assert_eq!(capacity(8192), 8186);
        assert_eq!(capacity(65536), 65530);
    }

    #[test]
    fn the_end_packet_has_an_empty_payload() {
        assert_eq!(
            split(&END, TO_CONTAINER, 8192),
            Ok(Frame::Packet { payload: b"", consumed: 4 })
        );
        assert_eq!(decode(b""), Ok(&b""[..]));
        assert_eq!(decode(b"\0\0"), Ok(&b""[..]));
    }
}
