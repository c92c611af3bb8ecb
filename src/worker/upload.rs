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
        send.clear();
        let data = append_body(self.request, send, max, &mut self.progress.body_read)?;
        if data == 0 {
            send.clear();
            send.extend_from_slice(&body::END);
        }
        self.log_packet("to", None, send.len());
        let sending = self.connection.stream.send_all(send, self.timeouts.socket);
        let sent = sending.as_ref().map_or_else(|e| e.sent, |()| send.len());
        self.progress.sent = self.progress.sent.saturating_add(count(sent));
        sending.map_err(|e| Failure::BodySend(e.source))?;
        exchange.body_sent(data);
        if phase == Phase::Stream {
            self.progress.phase = phase;
        }
        Ok(())
    }
}

/// Appends one body packet with up to `max` data bytes read from the client; a body of known length
/// fills it, another all but fills it or ends; returns how many, 0 at the end (nothing is appended then).
///
/// # Errors
/// [`Failure::ClientBody`].
pub(super) fn append_body<R: Request>(
    request: &mut R,
    send: &mut Vec<u8>,
    max: usize,
    body_read: &mut u64,
) -> Result<usize, Failure> {
    if max == 0 {
        return Ok(0);
    }
    let has_length = matches!(request.body(), RequestBody::Length(_));
    let start = send.len();
    let data_start = start.saturating_add(body::PREFIX_LEN);
    send.resize(data_start.saturating_add(max), 0);
    let mut got = 0;
    // A packet of a chunked body is full enough where C mod_jk, which left room for a chunk header,
    // takes it for full: engines get bodies cut at the same places.
    let enough = if has_length { max } else { max.saturating_sub(CHUNK_ROOM).max(1) };
    while got < enough {
        let room = send.get_mut(data_start.saturating_add(got)..).unwrap_or_default();
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
    if got == 0 {
        send.truncate(start);
        return Ok(0);
    }
    send.truncate(data_start.saturating_add(got));
    let prefix = body::prefix(u16::try_from(got).unwrap_or(u16::MAX));
    if let Some(place) = send.get_mut(start..data_start) {
        place.copy_from_slice(&prefix);
    }
    Ok(got)
}
