//! The five answers of a container (spec/mod_jk.md 4.1, 4.7).
#![forbid(unsafe_code)]

use super::codes::{self, packet};
use super::error::{DecodeError, EncodeError};
use super::frame::TO_SERVER;
use super::reader::Reader;
use super::writer::Writer;

/// An answer, decoded without copying.
#[derive(Debug, Clone, Copy)]
pub enum Message<'a> {
    /// SEND_HEADERS.
    Head(ResponseHead<'a>),
    /// SEND_BODY_CHUNK; no data means: flush what you have.
    BodyChunk(&'a [u8]),
    /// END_RESPONSE; `None` where the flag is missing.
    End {
        /// Whether the container will read another request from this connection.
        reuse: Option<bool>,
    },
    /// GET_BODY_CHUNK: at most this many bytes of request body are wanted.
    GetBodyChunk(u16),
    /// CPONG.
    CPong,
}

/// Status and headers of a response. All of it has been checked when this exists: names are HTTP
/// tokens, values have no control characters but the tab.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a> {
    /// Status as sent; any 16-bit number.
    pub status: u16,
    /// Reason phrase; `None` where it is absent, empty or has a control character.
    pub reason: Option<&'a [u8]>,
    /// Whether a reason was dropped because of a control character (spec/reliability.md P21).
    pub bad_reason: bool,
    /// Whether there is a `Connection`.
    pub has_connection: bool,
    /// Whether there is a `Content-Length`.
    pub has_content_length: bool,
    /// Whether there is a `Transfer-Encoding`.
    pub has_transfer_encoding: bool,
    header_count: u16,
    headers: Reader<'a>,
}

impl<'a> ResponseHead<'a> {
    /// Whether responses of this status have no body, whatever the engine sends.
    pub fn has_no_body(&self) -> bool {
        matches!(self.status, 204 | 205 | 304)
    }

    /// Header names and values in their order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let mut r = self.headers;
        (0..self.header_count).map_while(move |_| raw_header(&mut r).ok())
    }
}

impl<'a> Message<'a> {
    /// Decodes the payload of one packet of a container.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let Some(&kind) = payload.first() else {
            return Err(DecodeError::EmptyPacket);
        };
        let mut r = Reader::new(payload);
        r.u8()?;
        match kind {
            packet::SEND_HEADERS => head(r).map(Self::Head),
            packet::SEND_BODY_CHUNK => body_chunk(payload).map(Self::BodyChunk),
            packet::END_RESPONSE => {
                let reuse = if r.rest().is_empty() { None } else { Some(r.u8()? != 0) };
                r.end(kind)?;
                Ok(Self::End { reuse })
            }
            packet::GET_BODY_CHUNK => {
                let wanted = r.u16()?;
                r.end(kind)?;
                Ok(Self::GetBodyChunk(wanted))
            }
            packet::CPONG => {
                r.end(kind)?;
                Ok(Self::CPong)
            }
            other => Err(DecodeError::UnknownType(other)),
        }
    }
}

/// The first byte of a header name's code.
const FIRST_OF_CODE: u8 = 0xA0;

fn body_chunk(payload: &[u8]) -> Result<&[u8], DecodeError> {
    let mut r = Reader::new(payload);
    r.u8()?;
    let Ok(len) = r.u16() else {
        return Err(DecodeError::ShortChunk { len: payload.len() });
    };
    let have = r.rest().len();
    let Ok(data) = r.bytes(usize::from(len)) else {
        return Err(DecodeError::BadChunk { len: usize::from(len), have });
    };
    // Containers append one zero byte, as to a string.
    if r.rest() != b"\0" {
        r.end(packet::SEND_BODY_CHUNK)?;
    }
    Ok(data)
}

fn head(mut r: Reader<'_>) -> Result<ResponseHead<'_>, DecodeError> {
    let status = r.u16()?;
    let reason = r.string()?.filter(|reason| !reason.is_empty());
    let bad_reason = reason.is_some_and(|reason| reason.iter().any(u8::is_ascii_control));
    let header_count = r.u16()?;
    let mut head = ResponseHead {
        status,
        reason: reason.filter(|_| !bad_reason),
        bad_reason,
        has_connection: false,
        has_content_length: false,
        has_transfer_encoding: false,
        header_count,
        headers: r,
    };
    for index in 1..=header_count {
        let name = checked_header(&mut r, header_count, index)?;
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // Noted here, so that nobody has to look for what is hardly ever there.
        match name.len() {
            10 => head.has_connection |= is(b"connection"),
            14 => head.has_content_length |= is(b"content-length"),
            17 => head.has_transfer_encoding |= is(b"transfer-encoding"),
            _ => {}
        }
    }
    r.end(packet::SEND_HEADERS)?;
    Ok(head)
}

/// Checks the next header, and returns its name.
fn checked_header<'a>(
    r: &mut Reader<'a>,
    announced: u16,
    index: u16,
) -> Result<&'a [u8], DecodeError> {
    if r.rest().is_empty() {
        return Err(DecodeError::HeadTruncated { announced, index });
    }
    let offset = r.offset();
    let is_coded = r.peek(0) == FIRST_OF_CODE;
    let (name, value) = raw_header(r)?;
    // Names that have a code are tokens.
    if !is_coded && (name.is_empty() || !name.iter().copied().all(is_token_byte)) {
        return Err(DecodeError::BadHeaderName { index, offset });
    }
    let is_bad = |b: &u8| b.is_ascii_control() && *b != b'\t';
    // Without a way out of the loop the compiler looks at many bytes at once.
    let has_bad = value.iter().fold(false, |bad, b| bad | is_bad(b));
    if has_bad && let Some(at) = value.iter().position(is_bad) {
        let from_end = value.len().saturating_sub(at).saturating_add(1);
        return Err(DecodeError::BadHeaderValue {
            index,
            byte: value.get(at).copied().unwrap_or_default(),
            offset: r.offset().saturating_sub(from_end),
        });
    }
    Ok(name)
}

fn raw_header<'a>(r: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    let offset = r.offset();
    // A string of 0xA000 bytes or more would be taken for a code, so no name is that long.
    let name = if r.peek(0) == FIRST_OF_CODE {
        let code = r.u16()?;
        codes::response_header_name(code).ok_or(DecodeError::BadHeaderCode { code, offset })?
    } else {
        r.required_string()?
    };
    Ok((name, r.required_string()?))
}

/// Whether HTTP allows the byte in a method or field name (RFC 9110 5.6.2 `tchar`).
pub fn is_token_byte(b: u8) -> bool {
    // Spelled out, it is a test of one bit; a search in a string takes its time for each byte.
    matches!(
        b,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z'
            | b'|' | b'~'
    )
}

/// Appends SEND_HEADERS, as a container does it.
///
/// # Errors
/// [`EncodeError`]; `out` is then unchanged.
pub fn encode_head<'h>(
    status: u16,
    reason: Option<&[u8]>,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone,
    out: &mut Vec<u8>,
    max: usize,
) -> Result<(), EncodeError> {
    let count = u16::try_from(headers.clone().count()).map_err(|_| EncodeError::TooManyHeaders)?;
    let mut w = Writer::with_magic(out, max, TO_SERVER);
    w.u8(packet::SEND_HEADERS);
    w.u16(status);
    w.optional_string(reason);
    w.u16(count);
    for (name, value) in headers {
        match codes::response_header_code(name) {
            Some(code) => w.u16(code),
            None => w.string(name),
        }
        w.string(value);
    }
    w.finish()
}

/// Appends SEND_BODY_CHUNK, as a container does it.
///
/// # Errors
/// [`EncodeError`]; `out` is then unchanged.
pub fn encode_body_chunk(data: &[u8], out: &mut Vec<u8>, max: usize) -> Result<(), EncodeError> {
    let mut w = Writer::with_magic(out, max, TO_SERVER);
    w.u8(packet::SEND_BODY_CHUNK);
    w.string(data);
    w.finish()
}

/// Appends END_RESPONSE, as a container does it.
///
/// # Errors
/// [`EncodeError`]; `out` is then unchanged.
pub fn encode_end(reuse: bool, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut w = Writer::with_magic(out, super::MIN_PACKET_SIZE, TO_SERVER);
    w.u8(packet::END_RESPONSE);
    w.u8(u8::from(reuse));
    w.finish()
}

/// Appends GET_BODY_CHUNK, as a container does it.
///
/// # Errors
/// [`EncodeError`]; `out` is then unchanged.
pub fn encode_get_body_chunk(wanted: u16, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let mut w = Writer::with_magic(out, super::MIN_PACKET_SIZE, TO_SERVER);
    w.u8(packet::GET_BODY_CHUNK);
    w.u16(wanted);
    w.finish()
}

/// A CPING packet.
pub const CPING: [u8; 5] = [0x12, 0x34, 0, 1, packet::CPING];
/// A CPONG packet.
pub const CPONG: [u8; 5] = [b'A', b'B', 0, 1, packet::CPONG];

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(payload: &[u8]) -> Result<Message<'_>, &'static str> {
        Message::decode(payload).map_err(|e| e.event())
    }

    fn head_of(payload: &[u8]) -> Result<ResponseHead<'_>, &'static str> {
        match decode(payload)? {
            Message::Head(head) => Ok(head),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_head_gives_status_reason_and_headers_in_order() {
        let payload = b"\x04\0\xc8\0\x02OK\0\0\x03\xa0\x01\0\x0atext/plain\0\0\x01X\0\0\0\0\xa0\x07\0\x03a=b\0";
        let head = head_of(payload).unwrap();
        assert_eq!((head.status, head.reason), (200, Some(&b"OK"[..])));
        let headers: Vec<_> = head.headers().collect();
        assert_eq!(
            headers,
            [(&b"Content-Type"[..], &b"text/plain"[..]), (b"X", b""), (b"Set-Cookie", b"a=b"),]
        );
    }

    #[test]
    fn a_reason_that_would_break_the_status_line_is_dropped() {
        let head = head_of(b"\x04\0\xc8\0\x03O\nK\0\0\0").unwrap();
        assert_eq!((head.reason, head.bad_reason), (None, true));
        let head = head_of(b"\x04\0\xc8\xff\xff\0\0").unwrap();
        assert_eq!((head.reason, head.bad_reason), (None, false));
    }

    #[test]
    fn broken_heads_are_told_apart() {
        for (payload, event) in [
            (&b"\x04"[..], "short_packet"),
            (b"\x04\0\xc8\0\x02OK\0\0\x05", "head_truncated"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\xa0\0\0\x01x\0", "bad_header_code"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\xa0\x0c\0\x01x\0", "bad_header_code"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\xa0\xff\0\x01x\0", "bad_header_code"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\xa0\x01\xff\xff", "bad_string"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\xff\xff\0\x01x\0", "bad_string"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\0\0\0\0\x01x\0", "bad_header_name"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\0\x03a b\0\0\x01x\0", "bad_header_name"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\0\x01a\0\0\x03x\ry\0", "bad_header"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\0\x01a\0\0\x03x\0y\0", "bad_header"),
            (b"\x04\0\xc8\0\x02OK\0\0\x01\0\x01a\0\0\x01x!", "bad_string"),
            (b"\x04\0\xc8\0\x02OK\0\0\0!", "trailing_bytes"),
        ] {
            assert_eq!(head_of(payload).map(|h| h.status), Err(event), "{payload:?}");
        }
    }

    #[test]
    fn a_token_has_letters_digits_and_fifteen_others() {
        for b in 0..=u8::MAX {
            let expected = b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            assert_eq!(is_token_byte(b), expected, "{b}");
        }
    }

    #[test]
    fn a_bad_value_is_located() {
        let payload = b"\x04\0\xc8\0\x02OK\0\0\x01\0\x01a\0\0\x03x\ry\0";
        let at = payload.iter().position(|b| *b == b'\r').unwrap();
        assert_eq!(
            Message::decode(payload).unwrap_err(),
            DecodeError::BadHeaderValue { index: 1, byte: b'\r', offset: at }
        );
    }

    #[test]
    fn high_bytes_and_tabs_are_values_like_others() {
        let head = head_of(b"\x04\0\xc8\0\x02OK\0\0\x01\0\x01a\0\0\x03\xe4\t\xff\0").unwrap();
        assert_eq!(head.headers().next(), Some((&b"a"[..], &b"\xe4\t\xff"[..])));
    }

    #[test]
    fn a_chunk_ends_with_its_packet() {
        assert!(matches!(decode(b"\x03\0\x02ab\0"), Ok(Message::BodyChunk(b"ab"))));
        assert!(matches!(decode(b"\x03\0\x02ab"), Ok(Message::BodyChunk(b"ab"))));
        assert!(matches!(decode(b"\x03\0\0\0"), Ok(Message::BodyChunk(b""))));
        for k in 1..3 {
            assert_eq!(decode(&b"\x03\0\0"[..k]).err(), Some("short_chunk"), "{k} bytes");
        }
        assert_eq!(decode(b"\x03\x10\0ab\0").err(), Some("bad_chunk"));
        assert_eq!(decode(b"\x03\0\x02lorem\0").err(), Some("bad_chunk_trailing"));
    }

    #[test]
    fn the_short_packets_are_checked_as_well() {
        assert!(matches!(decode(b"\x05\x01"), Ok(Message::End { reuse: Some(true) })));
        assert!(matches!(decode(b"\x05\0"), Ok(Message::End { reuse: Some(false) })));
        assert!(matches!(decode(b"\x05"), Ok(Message::End { reuse: None })));
        assert!(matches!(decode(b"\x06\x1f\xfa"), Ok(Message::GetBodyChunk(8186))));
        assert_eq!(decode(b"\x06\x1f").err(), Some("short_packet"));
        assert!(matches!(decode(b"\x09"), Ok(Message::CPong)));
        assert_eq!(decode(b"").err(), Some("empty_packet"));
        assert_eq!(decode(b"\x63").err(), Some("unknown_type"));
        assert_eq!(decode(b"\x05\x01\x01").err(), Some("trailing_bytes"));
    }
}
