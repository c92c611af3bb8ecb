//! One request/response cycle as a state machine (spec/mod_jk.md 4.5, 4.7; spec/reliability.md
//! 2.1, 2.2, 5.2 to 5.4).
//!
//! ```text
//!                 Head                     last byte            End
//!   AwaitHead ───────────► Body ─────────────────────► Body ───────────► Done(verdict)
//!     │  ▲ └ GET_BODY_CHUNK: BodyWanted ┘ (answered with `body_sent`)
//!     └──┘ empty chunk: ignored
//! ```
//!
//! Bytes go in as one slice with all that has been received and not consumed yet, events come out.
//! The machine owns no buffer: the caller keeps the bytes, drops what was consumed, and calls again.
#![forbid(unsafe_code)]

use super::body;
use super::error::{DecodeError, ProtocolError};
use super::frame::{self, Frame, TO_SERVER};
use super::message::{Message, ResponseHead};

/// The request body as far as its length is known before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// No body.
    None,
    /// Content-Length, bytes, more than 0.
    Length(u64),
    /// Chunked or otherwise of unknown length.
    Unknown,
}

/// What the engine's next packet means.
#[derive(Debug)]
pub enum Event<'a> {
    /// Status and headers. Comes once, before any body.
    Head(ResponseHead<'a>),
    /// A part of the body, never empty, never more in all than Content-Length.
    Body(&'a [u8]),
    /// Send what you have to the client now.
    Flush,
    /// Answer with one body packet of at most this many bytes and report it with
    /// [`Exchange::body_sent`]; 0 means the packet [`body::END`].
    BodyWanted(usize),
    /// A packet that needs nothing but perhaps a log line.
    Ignored(Notice),
    /// The response is complete; no further call.
    End(Verdict),
}

/// Why a packet was ignored or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Flush before the headers, which some containers send.
    EarlyFlush,
    /// Body data of a response that has none (HEAD, 204, 205, 304).
    BodyDropped,
    /// Body data beyond Content-Length.
    BodyExcess,
}

/// What becomes of the connection after a complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may serve the next request.
    Reuse,
    /// It must be closed.
    Close(CloseReason),
}

/// Why a connection is closed after a complete response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// END_RESPONSE says so.
    EngineAsked,
    /// END_RESPONSE without its flag.
    EndShort,
    /// Something came behind END_RESPONSE.
    UnexpectedBytes,
    /// More body than Content-Length.
    BodyExcess,
    /// The engine asked for body data and ended the response without waiting for it.
    AskUnanswered,
    /// The response ended while the request body was still being sent.
    EarlyResponse,
    /// No END_RESPONSE after the whole body.
    NoEnd,
    /// The rest of a response that the client does not get is not waited for.
    Unwanted,
}

impl CloseReason {
    /// Name of the log event, stable.
    pub fn event(self) -> &'static str {
        match self {
            Self::EngineAsked => "end_no_reuse",
            Self::EndShort => "end_short",
            Self::UnexpectedBytes => "unexpected_bytes",
            Self::BodyExcess => "cl_excess",
            Self::AskUnanswered => "ask_unanswered",
            Self::EarlyResponse => "early_response",
            Self::NoEnd => "no_end",
            Self::Unwanted => "rest_unwanted",
        }
    }

    /// One sentence for the log.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::EngineAsked => "the engine closes the connection after this response",
            Self::EndShort => "END_RESPONSE came without its reuse flag",
            Self::UnexpectedBytes => "the engine sent bytes behind the end of the response",
            Self::BodyExcess => "the engine sent more body than its Content-Length announced",
            Self::AskUnanswered => "the engine asked for body data and did not wait for it",
            Self::EarlyResponse => "the response ended before the request body was read",
            Self::NoEnd => "the engine did not say that the response has ended (no END_RESPONSE)",
            Self::Unwanted => "the rest of a response that the client does not get is not awaited",
        }
    }

    /// Whether this is a mistake of the engine rather than a normal end.
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::EngineAsked | Self::EarlyResponse | Self::Unwanted)
    }
}

/// One step of the machine.
#[derive(Debug)]
pub enum Step<'a> {
    /// At least this many more bytes are needed.
    Incomplete(usize),
    /// A packet of `consumed` bytes was understood.
    Event {
        /// Bytes of the input that are done with.
        consumed: usize,
        /// Their meaning.
        event: Event<'a>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    AwaitHead,
    /// `left`: bytes up to Content-Length, where there is one.
    Body {
        left: Option<u64>,
        announced: u64,
        excess: bool,
    },
    /// A response that has no body, whatever comes.
    NoBody,
}

/// The state machine of one exchange.
#[derive(Debug)]
pub struct Exchange {
    phase: Phase,
    head_request: bool,
    max_packet: usize,
    upload: Upload,
    /// Something stood behind a GET_BODY_CHUNK before that could be answered: the engine does not
    /// wait for its answer, so nobody knows whether it will read it.
    asked_without_waiting: bool,
}

/// How far the request body has got.
#[derive(Debug)]
struct Upload {
    body: RequestBody,
    packets: u32,
    sent: u64,
    /// The end packet was sent.
    ended: bool,
    /// The engine asked for 0 bytes: its empty answer says nothing about the body's end.
    nothing_wanted: bool,
}

impl Upload {
    fn left(&self) -> Option<u64> {
        match self.body {
            RequestBody::None => Some(0),
            RequestBody::Length(n) => Some(n.saturating_sub(self.sent)),
            RequestBody::Unknown if self.ended => Some(0),
            RequestBody::Unknown => None,
        }
    }
}

impl Exchange {
    /// Begins with the sending of a request. `head_request`: its method is HEAD; `max_packet`:
    /// `max_packet_size` in bytes.
    pub fn new(head_request: bool, body: RequestBody, max_packet: usize) -> Self {
        Self {
            phase: Phase::AwaitHead,
            head_request,
            max_packet,
            upload: Upload { body, packets: 0, sent: 0, ended: false, nothing_wanted: false },
            asked_without_waiting: false,
        }
    }

    /// Data bytes that belong right behind the request, without being asked for: as much of a
    /// body of known length as fits into one packet, 0 for any other.
    pub fn first_body_len(&self) -> usize {
        match self.upload.body {
            RequestBody::Length(n) => {
                usize::try_from(n).unwrap_or(usize::MAX).min(body::capacity(self.max_packet))
            }
            _ => 0,
        }
    }

    /// Reports that a body packet with `data` bytes was sent; 0 stands for the end packet.
    pub fn body_sent(&mut self, data: usize) {
        self.upload.packets = self.upload.packets.saturating_add(1);
        self.upload.sent = self.upload.sent.saturating_add(u64::try_from(data).unwrap_or(u64::MAX));
        self.upload.ended |= data == 0 && !self.upload.nothing_wanted;
        self.upload.nothing_wanted = false;
    }

    /// Whether the engine has all of the request body, so that it cannot ask for more.
    pub fn is_upload_complete(&self) -> bool {
        self.upload.left() == Some(0)
    }

    /// Whether all that the client will get has come, so that only END_RESPONSE is missing.
    pub fn is_body_complete(&self) -> bool {
        match self.phase {
            Phase::AwaitHead => false,
            Phase::Body { left, .. } => left == Some(0),
            Phase::NoBody => true,
        }
    }

    /// Takes the next packet from `input`, which holds all that was received and not consumed.
    ///
    /// # Errors
    /// [`ProtocolError`]: the engine's answer is unusable; close the connection.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Result<Step<'a>, ProtocolError> {
        let (payload, consumed) = match frame::split(input, TO_SERVER, self.max_packet)? {
            Frame::Incomplete { missing } => return Ok(Step::Incomplete(missing)),
            Frame::Packet { payload, consumed } => (payload, consumed),
        };
        let more = input.len() > consumed;
        let event = match Message::decode(payload)? {
            Message::Head(head) => self.head(head)?,
            Message::BodyChunk(data) => self.body_chunk(data)?,
            Message::GetBodyChunk(wanted) => self.body_wanted(wanted, more)?,
            Message::End { reuse } => Event::End(self.end(reuse, more)?),
            Message::CPong => {
                return Err(DecodeError::UnknownType(super::codes::packet::CPONG).into());
            }
        };
        Ok(Step::Event { consumed, event })
    }

    fn head<'a>(&mut self, head: ResponseHead<'a>) -> Result<Event<'a>, ProtocolError> {
        if self.phase != Phase::AwaitHead {
            return Err(ProtocolError::DoubleHead);
        }
        match head.status {
            101 => return Err(ProtocolError::UpgradeImpossible),
            100..=199 => return Err(ProtocolError::InterimStatus(head.status)),
            200..=999 => {}
            status => return Err(ProtocolError::BadStatus(status)),
        }
        let announced = content_length(&head)?;
        self.phase = if self.head_request || head.has_no_body() {
            Phase::NoBody
        } else {
            Phase::Body { left: announced, announced: announced.unwrap_or(0), excess: false }
        };
        Ok(Event::Head(head))
    }

    fn body_chunk<'a>(&mut self, data: &'a [u8]) -> Result<Event<'a>, ProtocolError> {
        match &mut self.phase {
            Phase::AwaitHead if data.is_empty() => Ok(Event::Ignored(Notice::EarlyFlush)),
            Phase::AwaitHead => Err(ProtocolError::BodyBeforeHead),
            _ if data.is_empty() => Ok(Event::Flush),
            Phase::NoBody => Ok(Event::Ignored(Notice::BodyDropped)),
            Phase::Body { left: None, .. } => Ok(Event::Body(data)),
            Phase::Body { left: Some(left), excess, .. } => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                if length <= *left {
                    *left = left.saturating_sub(length);
                    return Ok(Event::Body(data));
                }
                *excess = true;
                let allowed = usize::try_from(*left).unwrap_or(usize::MAX);
                *left = 0;
                match data.get(..allowed) {
                    Some(cut) if !cut.is_empty() => Ok(Event::Body(cut)),
                    _ => Ok(Event::Ignored(Notice::BodyExcess)),
                }
            }
        }
    }

    fn body_wanted<'a>(&mut self, wanted: u16, more: bool) -> Result<Event<'a>, ProtocolError> {
        self.asked_without_waiting |= more;
        self.upload.nothing_wanted = wanted == 0;
        let fits = usize::from(wanted).min(body::capacity(self.max_packet));
        Ok(Event::BodyWanted(match self.upload.left() {
            Some(0) if self.upload.ended => return Err(ProtocolError::BodyOverAsk),
            Some(left) => fits.min(usize::try_from(left).unwrap_or(usize::MAX)),
            None => fits,
        }))
    }

    fn end(&mut self, reuse: Option<bool>, more: bool) -> Result<Verdict, ProtocolError> {
        let excess = match self.phase {
            Phase::AwaitHead => return Err(ProtocolError::EndWithoutHead),
            Phase::Body { left: Some(left), announced, .. } if left > 0 => {
                return Err(ProtocolError::BodyTooShort {
                    announced,
                    got: announced.saturating_sub(left),
                });
            }
            Phase::Body { excess, .. } => excess,
            Phase::NoBody => false,
        };
        let reason = if more {
            CloseReason::UnexpectedBytes
        } else if excess {
            CloseReason::BodyExcess
        } else if reuse.is_none() {
            CloseReason::EndShort
        } else if reuse == Some(false) {
            CloseReason::EngineAsked
        } else if self.asked_without_waiting {
            CloseReason::AskUnanswered
        } else if self.upload.packets > 1 && self.upload.left() != Some(0) {
            CloseReason::EarlyResponse
        } else {
            return Ok(Verdict::Reuse);
        };
        Ok(Verdict::Close(reason))
    }
}

fn content_length(head: &ResponseHead<'_>) -> Result<Option<u64>, ProtocolError> {
    let mut found = None;
    if !head.has_content_length {
        return Ok(found);
    }
    for (name, value) in head.headers() {
        if name.eq_ignore_ascii_case(b"content-length") {
            if found.is_some() {
                return Err(ProtocolError::BadContentLength);
            }
            found = Some(decimal(value).ok_or(ProtocolError::BadContentLength)?);
        }
    }
    Ok(found)
}

/// A decimal number of at most 2^63 - 1, digits only.
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let value = text.iter().try_fold(0u64, |n, b| {
        let digit = b.checked_sub(b'0').filter(|d| *d < 10)?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    i64::try_from(value).ok()?;
    Some(value)
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
