//! What can be wrong with a packet, and with a peer's sequence of packets.
#![forbid(unsafe_code)]

use thiserror::Error;

/// A packet from the peer that cannot be decoded (spec/reliability.md 5.2, 5.3).
///
/// Offsets count from the first payload byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The packet does not begin with the magic of its direction.
    #[error(
        "a packet must begin with {expected:04x}, but this begins with {:02x}{:02x}; is this the port of an \
         AJP connector?",
        got[0],
        got[1]
    )]
    BadMagic {
        /// The two bytes that were due.
        expected: u16,
        /// What came; the second byte is 0 if only one has arrived.
        got: [u8; 2],
    },
    /// The length field says more than fits into a packet.
    #[error("a packet says that it is {len} bytes long, but max_packet_size allows {max}")]
    PacketTooBig {
        /// Length of packet header and payload, bytes.
        len: usize,
        /// Configured `max_packet_size`, bytes.
        max: usize,
    },
    /// A packet without payload.
    #[error("a packet without content")]
    EmptyPacket,
    /// A packet type that a container does not send, or not at this point.
    #[error("unknown or unexpected packet type 0x{0:02x}")]
    UnknownType(u8),
    /// The packet ends within a field.
    #[error("the packet ends within a field at offset {offset}: {needed} bytes missing")]
    Truncated {
        /// Where the field begins.
        offset: usize,
        /// Bytes that are missing.
        needed: usize,
    },
    /// A string goes past the end of the packet.
    #[error("a string of {len} bytes at offset {offset} goes past the end of its packet")]
    StringTooLong {
        /// Where the string's length field begins.
        offset: usize,
        /// Announced length, bytes.
        len: usize,
    },
    /// A string is not followed by its NUL byte.
    #[error("a string at offset {offset} is not terminated by a zero byte")]
    StringNotTerminated {
        /// Where the string's length field begins.
        offset: usize,
    },
    /// The null string (length 0xFFFF) where a value is required.
    #[error("a null string at offset {offset}, where a value is required")]
    NullString {
        /// Where the string's length field begins.
        offset: usize,
    },
    /// A header code that stands for no name.
    #[error("header code {code:04x} at offset {offset} stands for no name")]
    BadHeaderCode {
        /// The code.
        code: u16,
        /// Where it begins.
        offset: usize,
    },
    /// The header count is larger than the number of headers in the packet.
    #[error("{announced} headers announced, but the packet ends within header {index}")]
    HeadTruncated {
        /// Announced number of headers.
        announced: u16,
        /// Number of the header (from 1) within which the packet ends.
        index: u16,
    },
    /// A header name that is empty or has a byte that no HTTP field name may have.
    #[error("header {index} has a name that HTTP does not allow (offset {offset})")]
    BadHeaderName {
        /// Number of the header, from 1.
        index: u16,
        /// Where the name begins.
        offset: usize,
    },
    /// A control character in a header value.
    #[error(
        "the value of header {index} contains the control byte 0x{byte:02x} at offset {offset}"
    )]
    BadHeaderValue {
        /// Number of the header, from 1.
        index: u16,
        /// The byte.
        byte: u8,
        /// Where it stands.
        offset: usize,
    },
    /// A body chunk that is longer than its packet.
    #[error("a body chunk says {len} bytes, but its packet has {have}")]
    BadChunk {
        /// Announced length, bytes.
        len: usize,
        /// Bytes behind the length field.
        have: usize,
    },
    /// A body chunk packet too short for its length field.
    #[error("a body chunk packet of {len} bytes is too short for its length field")]
    ShortChunk {
        /// Payload length, bytes.
        len: usize,
    },
    /// Bytes behind the last field of a packet.
    #[error("{extra} bytes behind the last field of a packet of type 0x{packet:02x}")]
    TrailingBytes {
        /// Packet type.
        packet: u8,
        /// Number of bytes too many.
        extra: usize,
    },
}

impl DecodeError {
    /// Name of the log event, stable (spec/reliability.md 5).
    pub fn event(&self) -> &'static str {
        match self {
            Self::BadMagic { .. } => "bad_magic",
            Self::PacketTooBig { .. } => "packet_too_big",
            Self::EmptyPacket => "empty_packet",
            Self::UnknownType(_) => "unknown_type",
            Self::Truncated { .. } => "short_packet",
            Self::StringTooLong { .. }
            | Self::StringNotTerminated { .. }
            | Self::NullString { .. } => "bad_string",
            Self::BadHeaderCode { .. } => "bad_header_code",
            Self::HeadTruncated { .. } => "head_truncated",
            Self::BadHeaderName { .. } => "bad_header_name",
            Self::BadHeaderValue { .. } => "bad_header",
            Self::BadChunk { .. } => "bad_chunk",
            Self::ShortChunk { .. } => "short_chunk",
            Self::TrailingBytes { packet, .. } => {
                if *packet == super::codes::packet::SEND_BODY_CHUNK {
                    "bad_chunk_trailing"
                } else {
                    "trailing_bytes"
                }
            }
        }
    }
}

/// A request that cannot be written into a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The packet would be larger than `max_packet_size`.
    #[error("the request needs a packet of {size} bytes, but max_packet_size is {max}")]
    TooLarge {
        /// Size with packet header, bytes.
        size: usize,
        /// Configured `max_packet_size`, bytes.
        max: usize,
    },
    /// A string longer than the 65534 bytes that its length field can say.
    #[error("a value of {len} bytes is longer than AJP13 can say (65534)")]
    StringTooLong {
        /// Length, bytes.
        len: usize,
    },
    /// More than 65535 headers.
    #[error("more than 65535 headers")]
    TooManyHeaders,
}

/// The container broke the protocol: a bad packet, or a good one at the wrong time.
///
/// Policy: always 502 (or an aborted connection once the response has begun), never repeated, the
/// connection is closed (spec/reliability.md 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A packet that cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// END_RESPONSE without SEND_HEADERS before it.
    #[error("the response ended without status and headers")]
    EndWithoutHead,
    /// Body data without SEND_HEADERS before it.
    #[error("body data came before status and headers")]
    BodyBeforeHead,
    /// SEND_HEADERS for the second time.
    #[error("status and headers came twice")]
    DoubleHead,
    /// A status that is no HTTP status.
    #[error("{0} is not an HTTP status")]
    BadStatus(u16),
    /// An interim status, for which AJP13 has no encoding.
    #[error("interim status {0}, which AJP13 cannot carry")]
    InterimStatus(u16),
    /// 101 Switching Protocols: an AJP13 connection cannot be upgraded.
    #[error("status 101, but AJP13 cannot switch protocols (WebSocket needs an HTTP connector)")]
    UpgradeImpossible,
    /// Content-Length that is no number or stands there twice.
    #[error("Content-Length is not one decimal number")]
    BadContentLength,
    /// The response ended before the announced Content-Length was reached.
    #[error("the body ended after {got} of {announced} bytes announced by Content-Length")]
    BodyTooShort {
        /// Announced length, bytes.
        announced: u64,
        /// Received length, bytes.
        got: u64,
    },
    /// Request body data was asked for again after its end had been sent.
    #[error("the engine asked for request body data again after its end")]
    BodyOverAsk,
}

impl ProtocolError {
    /// Name of the log event, stable (spec/reliability.md 5).
    pub fn event(&self) -> &'static str {
        match self {
            Self::Decode(e) => e.event(),
            Self::EndWithoutHead => "end_without_head",
            Self::BodyBeforeHead => "body_before_head",
            Self::DoubleHead => "double_head",
            Self::BadStatus(_) => "bad_status",
            Self::InterimStatus(_) => "interim_status",
            Self::UpgradeImpossible => "upgrade_impossible",
            Self::BadContentLength => "bad_cl",
            Self::BodyTooShort { .. } => "cl_short",
            Self::BodyOverAsk => "body_overask",
        }
    }
}
