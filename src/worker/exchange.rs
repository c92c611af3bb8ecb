//! Drives one exchange over one connection: bytes from the socket into the state machine, its
//! events to the client (spec/mod_jk.md 4.5, 4.7).
#![forbid(unsafe_code)]

use std::time::Duration;

use super::buffers::{Buffer, Inbox};
use super::endpoint::Connection;
use super::error::{Failure, Phase};
use super::headers;
use crate::ajp::body;
use crate::ajp::codes;
use crate::ajp::exchange::{CloseReason, Event, Exchange, Notice, Step, Verdict};
use crate::ajp::frame::HEADER_LEN;
use crate::config::WorkerName;
use crate::host::{BodyError, Request, RequestBody};
use crate::jk_log;
use crate::log::Level;
use crate::net::{Deadline, is_timeout};

/// Body parts handed to the client's side at once: as many 8 KiB packets as the inbox holds, and
/// some.
const PARTS: usize = 16;

/// Bytes of a packet with chunked data that may stay unused.
const CHUNK_ROOM: usize = 12;

/// Longest wait for END_RESPONSE once the client has all of the response.
const END_GRACE: Duration = Duration::from_secs(5);

/// One exchange that is under way.
pub(super) struct Drive<'x, R> {
    pub worker: &'x WorkerName,
    pub request: &'x mut R,
    pub connection: &'x mut Connection,
    pub timeouts: Timeouts,
    pub progress: &'x mut Progress,
    /// The last notice that was logged: a peer that repeats itself gets one line.
    pub noticed: Option<Notice>,
}

/// Limits of one exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Longest gap between two packets.
    pub reply: Option<Duration>,
    /// Longest single wait for the socket.
    pub socket: Option<Duration>,
}

/// What lies in the send buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    /// Bytes of the request.
    pub request: usize,
    /// Data bytes of the body packet behind it; 0 where there is none.
    pub data: usize,
}

/// How an exchange ended well.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finished {
    /// What becomes of the connection.
    pub verdict: Verdict,
    /// Whether the response has been completed already.
    pub response: bool,
}

/// How far an exchange has got, for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub phase: Phase,
    /// Bytes received from the engine.
    pub received: u64,
    /// Bytes sent to the engine.
    pub sent: u64,
    /// Request body bytes read from the client.
    pub body_read: u64,
}

impl<R: Request> Drive<'_, R> {
    /// Sends what is in `buffer.send`, a request of `request` bytes and a body packet with `data`
    /// bytes, and answers the client with what comes back.
    ///
    /// # Errors
    /// [`Failure`]; the connection must be closed.
    pub(super) fn run(
        &mut self,
        buffer: &mut Buffer,
        mut exchange: Exchange,
        Sending { request, data }: Sending,
    ) -> Result<Finished, Failure> {
        self.progress.phase = Phase::Send;
        self.log_packet("to", Some(codes::packet::FORWARD_REQUEST), request);
        let sending = self.connection.stream.send_all(&buffer.send, self.timeouts.socket);
        let sent = sending.as_ref().map_or_else(|e| e.sent, |()| buffer.send.len());
        self.progress.sent = count(sent);
        // An engine that has all of the request may act on it before it reads the body.
        let failure = if sent < request { Failure::Send } else { Failure::BodySend };
        sending.map_err(|e| failure(e.source))?;
        if data > 0 {
            exchange.body_sent(data);
        }
        self.progress.phase = Phase::Head;
        self.receive(buffer, exchange)
    }

    fn receive(
        &mut self,
        buffer: &mut Buffer,
        mut exchange: Exchange,
    ) -> Result<Finished, Failure> {
        let Buffer { send, inbox } = buffer;
        let mut packet_deadline = None;
        let mut end_deadline = None;
        let mut missing = 1;
        loop {
            // Nothing more can follow but the end: the client need not wait for it.
            let only_end_is_due = exchange.is_body_complete() && exchange.is_upload_complete();
            if only_end_is_due && end_deadline.is_none() {
                self.request.finish_response(true).map_err(Failure::Response)?;
                let grace = self.timeouts.reply.map_or(END_GRACE, |t| t.min(END_GRACE));
                end_deadline = Some(Deadline::after(grace));
            }
            let ended = |verdict| Finished { verdict, response: end_deadline.is_some() };
            let received = match end_deadline {
                Some(deadline) => self.fill_until(inbox, deadline),
                None => self.fill(inbox, &mut packet_deadline, missing),
            };
            match received {
                Ok(()) => {}
                Err(_) if exchange.is_body_complete() => {
                    return Ok(ended(Verdict::Close(CloseReason::NoEnd)));
                }
                Err(failure) => return Err(failure),
            }
            let (consumed, step) = self.burst(inbox.unread(), &mut exchange, send)?;
            inbox.consume(consumed);
            if consumed > 0 {
                packet_deadline = None;
            }
            match step {
                Burst::Ended(verdict) => return Ok(ended(verdict)),
                Burst::NeedsMore(n) => missing = n,
            }
        }
    }

    /// Receives something of the response.
    fn fill(
        &mut self,
        inbox: &mut Inbox,
        deadline: &mut Option<Deadline>,
        missing: usize,
    ) -> Result<(), Failure> {
        let Some(limit) = self.timeouts.reply else {
            let socket = self.timeouts.socket;
            let timed_out = || Failure::SocketTimeout(socket.unwrap_or_default());
            return self.recv(inbox, socket, missing, timed_out);
        };
        let timed_out = || Failure::ReplyTimeout(limit);
        // A peer that sends a packet byte by byte has the same time for all of it.
        let timeout = match *deadline {
            Some(deadline) if !inbox.unread().is_empty() => {
                deadline.remaining().ok_or_else(timed_out)?
            }
            _ => {
                *deadline = Some(Deadline::after(limit));
                limit
            }
        };
        self.recv(inbox, Some(timeout), missing, timed_out)
    }

    /// Receives something while only the end is missing.
    fn fill_until(&mut self, inbox: &mut Inbox, deadline: Deadline) -> Result<(), Failure> {
        let timed_out = || Failure::ReplyTimeout(END_GRACE);
        let left = deadline.remaining().ok_or_else(timed_out)?;
        self.recv(inbox, Some(left), 0, timed_out)
    }

    fn recv(
        &mut self,
        inbox: &mut Inbox,
        timeout: Option<Duration>,
        missing: usize,
        timed_out: impl FnOnce() -> Failure,
    ) -> Result<(), Failure> {
        let partial = inbox.unread().len();
        match self.connection.stream.recv(inbox.space(), timeout) {
            Ok(0) => Err(Failure::Closed { partial, missing }),
            Ok(n) => {
                inbox.received(n);
                self.progress.received = self.progress.received.saturating_add(count(n));
                Ok(())
            }
            Err(e) if is_timeout(&e) => Err(timed_out()),
            Err(e) => Err(Failure::Reset(e)),
        }
    }

    /// Works through everything that has arrived. The body parts stay where they were received
    /// and go to the client's side together.
    fn burst(
        &mut self,
        input: &[u8],
        exchange: &mut Exchange,
        send: &mut Vec<u8>,
    ) -> Result<(usize, Burst), Failure> {
        let mut parts = Parts { list: [&[]; PARTS], used: 0 };
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let (consumed, event) = match exchange.next(rest).map_err(Failure::Protocol)? {
                Step::Incomplete(missing) => {
                    self.write(&mut parts)?;
                    return Ok((at, Burst::NeedsMore(missing)));
                }
                Step::Event { consumed, event } => (consumed, event),
            };
            at = at.saturating_add(consumed);
            self.log_packet("from", rest.get(HEADER_LEN).copied(), consumed);
            match event {
                Event::Head(head) => {
                    self.progress.phase = Phase::Stream;
                    if head.bad_reason {
                        jk_log!(
                            *self.request,
                            Level::Warn,
                            "({}) bad_reason: the engine's reason phrase has a control character; \
                             the standard phrase is used; status={}",
                            self.worker,
                            head.status
                        );
                    }
                    self.log_dropped(&head);
                    self.request.start_response(&head, headers::returned(head.headers()));
                }
                Event::Body(data) => {
                    if !parts.push(data) {
                        self.write(&mut parts)?;
                        parts.push(data);
                    }
                }
                Event::Flush => {
                    self.write(&mut parts)?;
                    self.request.flush().map_err(Failure::Response)?;
                }
                Event::BodyWanted(max) => {
                    self.write(&mut parts)?;
                    self.send_body(send, exchange, max)?;
                }
                Event::Ignored(notice) => self.log_notice(notice),
                Event::End(verdict) => {
                    self.write(&mut parts)?;
                    return Ok((at, Burst::Ended(verdict)));
                }
            }
        }
    }

    fn write(&mut self, parts: &mut Parts<'_>) -> Result<(), Failure> {
        let list = parts.list.get(..parts.used).unwrap_or_default();
        if list.is_empty() {
            return Ok(());
        }
        parts.used = 0;
        self.request.write_body(list).map_err(Failure::Response)
    }

    /// Answers a GET_BODY_CHUNK.
    fn send_body(
        &mut self,
        send: &mut Vec<u8>,
        exchange: &mut Exchange,
        max: usize,
    ) -> Result<(), Failure> {
        let phase = self.progress.phase;
        self.progress.phase = Phase::Body;
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

    /// Type and length only: what a packet contains may be a secret.
    fn log_packet(&self, direction: &str, kind: Option<u8>, length: usize) {
        jk_log!(
            *self.request,
            Level::Trace,
            "({}) packet: {} {direction} the engine; length={length} conn={}/{}",
            self.worker,
            kind.map_or("request body", codes::packet::name),
            self.connection.id,
            self.connection.carried
        );
    }

    fn log_notice(&mut self, notice: Notice) {
        if self.noticed.replace(notice) == Some(notice) {
            return;
        }
        let text = match notice {
            Notice::EarlyFlush => "early_flush: the engine flushed before status and headers",
            Notice::BodyDropped => "body_dropped: body data of a response that has none",
            // Told when the connection is closed for it.
            Notice::BodyExcess => return,
        };
        jk_log!(*self.request, Level::Debug, "({}) {text}", self.worker);
    }

    fn log_dropped(&self, head: &crate::ajp::message::ResponseHead<'_>) {
        let is = |name: &[u8]| name.eq_ignore_ascii_case(b"transfer-encoding");
        if head.headers().any(|(name, _)| is(name)) {
            jk_log!(
                *self.request,
                Level::Warn,
                "({}) dropped_header: the engine sent Transfer-Encoding, which has no meaning \
                 in AJP13; httpd frames the response itself",
                self.worker
            );
        }
    }
}

enum Burst {
    NeedsMore(usize),
    Ended(Verdict),
}

struct Parts<'i> {
    list: [&'i [u8]; PARTS],
    used: usize,
}

impl<'i> Parts<'i> {
    /// `false` where the list is full.
    fn push(&mut self, part: &'i [u8]) -> bool {
        let Some(place) = self.list.get_mut(self.used) else {
            return false;
        };
        *place = part;
        self.used = self.used.saturating_add(1);
        true
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

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
