//! The request body on its way from the client to the engine (spec/mod_jk.md 4.5).
#![forbid(unsafe_code)]

use super::error::{Failure, Phase};
use super::exchange::{Drive, count};
use crate::ajp::body;
use crate::ajp::exchange::Exchange;
use crate::host::{BodyError, Request, RequestBody};

/// Bytes of a packet with chunked data that may stay unused.
const CHUNK_ROOM: usize = 12;

impl<R: Request> Drive<'_, R> {
    /// Answers a GET_BODY_CHUNK.
    pub(super) fn send_body(
        &mut self,
        send: &mut Vec<u8>,
        exchange: &mut Exchange,
        max: usize,
    ) -> Result<(), Failure> {
        let phase = self.progress.phase;
        self.progress.phase = Phase::Body;
        self.progress.asks = self.progress.asks.saturating_add(1);
        let size = max.saturating_add(body::PREFIX_LEN);
        if send.len() < size {
            send.resize(size, 0);
        }
        // What is left in the buffer is overwritten, and not worth to be cleared for each packet.
        let room = send.get_mut(..size).unwrap_or_default();
        let data = fill(self.request, room, &mut self.progress.body_read)?;
        let packet = match data {
            0 => &body::END,
            _ => room.get(..data.saturating_add(body::PREFIX_LEN)).unwrap_or_default(),
        };
        self.log_packet("to", None, packet.len());
        let sending = self.connection.stream.send_all(packet, self.timeouts.socket);
        let sent = sending.as_ref().map_or_else(|e| e.sent, |()| packet.len());
        self.progress.sent = self.progress.sent.saturating_add(count(sent));
        sending.map_err(|e| Failure::BodySend(e.source))?;
        exchange.body_sent(data);
        if phase == Phase::Stream {
            self.progress.phase = phase;
        }
        Ok(())
    }
}

/// Appends one body packet with up to `max` data bytes read from the client; returns how many, 0 at
/// the end (nothing is appended then).
///
/// # Errors
/// [`Failure::ClientBody`].
pub(super) fn append_body<R: Request>(
    request: &mut R,
    send: &mut Vec<u8>,
    max: usize,
    body_read: &mut u64,
) -> Result<usize, Failure> {
    let start = send.len();
    send.resize(start.saturating_add(max).saturating_add(body::PREFIX_LEN), 0);
    let data = fill(request, send.get_mut(start..).unwrap_or_default(), body_read)?;
    let size = if data == 0 { 0 } else { data.saturating_add(body::PREFIX_LEN) };
    send.truncate(start.saturating_add(size));
    Ok(data)
}

/// Fills `packet` with a body packet whose data is read from the client. A body of known length fills
/// all of it, another all but that or ends. Returns the number of data bytes, 0 at the end.
///
/// # Errors
/// [`Failure::ClientBody`].
fn fill<R: Request>(
    request: &mut R,
    packet: &mut [u8],
    body_read: &mut u64,
) -> Result<usize, Failure> {
    let Some((prefix, data)) = packet.split_first_chunk_mut::<{ body::PREFIX_LEN }>() else {
        return Ok(0);
    };
    let max = data.len();
    let has_length = matches!(request.body(), RequestBody::Length(_));
    let mut got = 0;
    // A packet of a chunked body is full enough where C mod_jk, which left room for a chunk header,
    // takes it for full: engines get bodies cut at the same places.
    let enough = if has_length { max } else { max.saturating_sub(CHUNK_ROOM).max(1).min(max) };
    while got < enough {
        let room = data.get_mut(got..).unwrap_or_default();
        let failed = |source| Failure::ClientBody { source, got: *body_read };
        match request.read_body(room).map_err(failed)? {
            0 if has_length => return Err(failed(BodyError::Disconnected)),
            0 => break,
            n => {
                got = got.saturating_add(n).min(max);
                *body_read = body_read.saturating_add(count(n));
            }
        }
    }
    *prefix = body::prefix(u16::try_from(got).unwrap_or(u16::MAX));
    Ok(got)
}
