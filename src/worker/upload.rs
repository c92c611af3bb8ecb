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
    #[inline(never)]
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
        let ahead = self.ahead.min(max);
        let data = fill(self.request, room, ahead, &mut self.progress.body_read)?;
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
        if ahead < self.ahead {
            // The engine wanted less than was here.
            let begin = body::PREFIX_LEN.saturating_add(ahead);
            let end = body::PREFIX_LEN.saturating_add(self.ahead);
            send.copy_within(begin..end, body::PREFIX_LEN);
        }
        self.ahead = self.ahead.saturating_sub(ahead);
        if !exchange.is_upload_complete() {
            self.read_ahead(send.get_mut(body::PREFIX_LEN..size).unwrap_or_default())?;
        }
        if phase == Phase::Stream {
            self.progress.phase = phase;
        }
        Ok(())
    }

    /// Reads what has come from the client for the next packet, while the engine works on this one.
    ///
    /// Only an engine that has asked once gets here: its request cannot go to another one any more,
    /// so nothing is lost but one packet that it may not want. A body of unknown length is left
    /// alone: its end, its limit and its mistakes are found where the engine asks.
    fn read_ahead(&mut self, data: &mut [u8]) -> Result<(), Failure> {
        if !matches!(self.request.body(), RequestBody::Length(_)) {
            return Ok(());
        }
        while let Some(room) = data.get_mut(self.ahead..).filter(|room| !room.is_empty()) {
            let got = self.progress.body_read;
            let failed = |source| Failure::ClientBody { source, got };
            match self.request.read_body_ahead(room).map_err(failed)? {
                0 => break,
                n => {
                    let is_all = n < room.len();
                    self.ahead = self.ahead.saturating_add(n);
                    self.progress.body_read = got.saturating_add(count(n));
                    if is_all {
                        // Another look would find nothing.
                        break;
                    }
                }
            }
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
    let data = fill(request, send.get_mut(start..).unwrap_or_default(), 0, body_read)?;
    let size = if data == 0 { 0 } else { data.saturating_add(body::PREFIX_LEN) };
    send.truncate(start.saturating_add(size));
    Ok(data)
}

/// Fills `packet` with a body packet whose data is read from the client, but for the first `got` bytes,
/// which are there. A body of known length fills
/// all of it, another all but that or ends. Returns the number of data bytes, 0 at the end.
///
/// # Errors
/// [`Failure::ClientBody`].
fn fill<R: Request>(
    request: &mut R,
    packet: &mut [u8],
    mut got: usize,
    body_read: &mut u64,
) -> Result<usize, Failure> {
    let Some((prefix, data)) = packet.split_first_chunk_mut::<{ body::PREFIX_LEN }>() else {
        return Ok(0);
    };
    let max = data.len();
    let has_length = matches!(request.body(), RequestBody::Length(_));
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
