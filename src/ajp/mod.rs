//! AJP13 on the wire (spec/mod_jk.md 4).
//!
//! Pure: no socket, no clock, no log. Decoding borrows from the received bytes and allocates
//! nothing; no input, however broken, leads to a panic.
//!
//! ```text
//! codes      numbers of the protocol and their names
//! reader     bounds-checked reads from one packet        writer  the same in the other direction
//! frame      magic, length, payload
//! forward    FORWARD_REQUEST                             body    request body packets
//! message    the five answers of a container
//! exchange   one request/response cycle as a state machine
//! ```
#![forbid(unsafe_code)]

pub mod body;
pub mod codes;
pub mod error;
pub mod exchange;
pub mod forward;
pub mod frame;
pub mod message;
pub mod reader;
pub mod writer;

pub use error::{DecodeError, EncodeError, ProtocolError};

/// Smallest `max_packet_size` and its default, in bytes, header included (mod_jk.md 2.3).
pub const MIN_PACKET_SIZE: usize = 8192;
/// Largest `max_packet_size`, in bytes, header included (mod_jk.md 2.3).
pub const MAX_PACKET_SIZE: usize = 65536;
