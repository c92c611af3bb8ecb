//! Drives one exchange over one connection: bytes from the socket into the state machine, its
//! events to the client (spec/mod_jk.md 4.5, 4.7).
#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::time::Duration;

use super::buffers::{Buffer, Inbox};
use super::endpoint::Connection;
use super::error::{Failure, Phase};
use super::headers;
use crate::ajp::body;
use crate::ajp::exchange::{CloseReason, Event, Exchange, Notice, Step, Verdict};
use crate::config::WorkerName;
use crate::host::{BodyError, Request, RequestBody};
use crate::jk_log;
use crate::log::Level;
use crate::net::{Deadline, is_timeout};

/// Body parts handed to the client's side at once: as many 8 KiB packets as the inbox holds, and
/// some.
const PARTS: usize = 16;

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
    /// Sends what is in `buffer.send` and answers the client with what comes back. `first_body`:
    /// data bytes behind the request in that buffer.
    ///
    /// # Errors
    /// [`Failure`]; the connection must be closed.
    pub(super) fn run(
        &mut self,
        buffer: &mut Buffer,
        mut exchange: Exchange,
        first_body: usize,
    ) -> Result<Verdict, Failure> {
        self.progress.phase = Phase::Send;
        let sending = self.connection.stream.send_all(&buffer.send, self.timeouts.socket);
        let sent = sending.as_ref().map_or_else(|e| e.sent, |()| buffer.send.len());
        self.progress.sent = count(sent);
        sending.map_err(|e| Failure::Send(e.source))?;
        if first_body > 0 {
            exchange.body_sent(first_body);
        }
        self.progress.phase = Phase::Head;
        self.receive(buffer, exchange)
    }

    fn receive(&mut self, buffer: &mut Buffer, mut exchange: Exchange) -> Result<Verdict, Failure> {
        let Buffer { send, inbox } = buffer;
        let mut deadline = None;
        let mut missing = 1;
        let mut flushed = false;
        loop {
            if exchange.is_body_complete() && !flushed {
                // Nothing more can follow but the end: the client need not wait for it.
                flushed = true;
                self.request.flush().map_err(Failure::ClientGone)?;
            }
            let received = self.fill(inbox, &mut deadline, missing, flushed);
            match received {
                Ok(()) => {}
                Err(_) if flushed => return Ok(Verdict::Close(CloseReason::NoEnd)),
                Err(failure) => return Err(failure),
            }
            exchange.received();
            let (consumed, step) = self.burst(inbox.unread(), &mut exchange, send)?;
            inbox.consume(consumed);
            if consumed > 0 {
                deadline = None;
            }
            match step {
                Burst::Ended(verdict) => return Ok(verdict),
                Burst::NeedsMore(n) => missing = n,
            }
        }
    }

    /// Receives something.
    fn fill(
        &mut self,
        inbox: &mut Inbox,
        deadline: &mut Option<Deadline>,
        missing: usize,
        complete: bool,
    ) -> Result<(), Failure> {
        let limit = match (self.timeouts.reply, complete) {
            (Some(reply), true) => Some(reply.min(END_GRACE)),
            (None, true) => Some(END_GRACE),
            (reply, false) => reply,
        };
        let timed_out = |socket: Option<Duration>| match (limit, socket) {
            (Some(reply), _) => Failure::ReplyTimeout(reply),
            (None, socket) => Failure::SocketTimeout(socket.unwrap_or_default()),
        };
        let partial = inbox.unread().len();
        // A peer that sends a packet byte by byte has the same time for all of it.
        let timeout = match (limit, *deadline) {
            (Some(_), Some(deadline)) if partial > 0 => {
                Some(deadline.remaining().ok_or_else(|| timed_out(None))?)
            }
            (Some(limit), _) => {
                *deadline = Some(Deadline::after(limit));
                Some(limit)
            }
            (None, _) => self.timeouts.socket,
        };
        match self.connection.stream.recv(inbox.space(), timeout) {
            Ok(0) => Err(Failure::Closed { partial, missing }),
            Ok(n) => {
                inbox.received(n);
                self.progress.received = self.progress.received.saturating_add(count(n));
                Ok(())
            }
            Err(e) if is_timeout(&e) => Err(timed_out(self.timeouts.socket)),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                Err(Failure::Closed { partial, missing })
            }
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
                    self.request.flush().map_err(Failure::ClientGone)?;
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
        self.request.write_body(list).map_err(Failure::ClientGone)
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

/// Appends one body packet with up to `max` data bytes read from the client; returns how many, 0
/// at the end of the body (nothing is appended then). A body of known length fills the packet, any
/// other is passed on as it comes, so that an interactive upload does not wait.
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
    let fill = matches!(request.body(), RequestBody::Length(_));
    let start = send.len();
    let data_start = start.saturating_add(body::PREFIX_LEN);
    send.resize(data_start.saturating_add(max), 0);
    let mut got = 0;
    while got < max {
        let room = send.get_mut(data_start.saturating_add(got)..).unwrap_or_default();
        let failed = |source| Failure::ClientBody { source, got: *body_read };
        match request.read_body(room).map_err(failed)? {
            0 if fill => return Err(failed(BodyError::Disconnected)),
            0 => break,
            n => {
                got = got.saturating_add(n).min(max);
                *body_read = body_read.saturating_add(count(n));
            }
        }
        if !fill {
            break;
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
