//! Drives one exchange over one connection: bytes from the socket into the state machine, its
//! events to the client (spec/mod_jk.md 4.5, 4.7).
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::buffers::{Buffer, Inbox};
use super::endpoint::Connection;
use super::error::{Failure, Phase};
use crate::ajp::codes;
use crate::ajp::exchange::{CloseReason, Event, Exchange, Notice, Step, Verdict};
use crate::ajp::frame::HEADER_LEN;
use crate::config::Ajp13Config;
use crate::host::Request;
use crate::jk_log;
use crate::log::Level;
use crate::net::{Deadline, is_timeout};

/// Body parts handed to the client's side at once: as many 8 KiB packets as the inbox holds.
const PARTS: usize = 8;

/// Longest wait for END_RESPONSE once the client has all of the response.
const END_GRACE: Duration = Duration::from_secs(5);

/// Most bytes of a replaced answer that are read so that the connection can be used again.
const MOST_UNWANTED: usize = 1 << 20;

/// One exchange that is under way.
pub(super) struct Drive<'x, R> {
    pub config: &'x Ajp13Config,
    pub request: &'x mut R,
    pub connection: &'x mut Connection,
    pub timeouts: Timeouts,
    pub flush: FlushPolicy,
    /// A cookie that is added to the response.
    pub cookie: Option<&'x [u8]>,
    pub progress: &'x mut Progress,
    /// The status of an answer that the web server's error page replaces.
    pub replaced: Option<u16>,
    /// Bytes of such an answer.
    pub unwanted: usize,
    /// The last notice that was logged: a peer that repeats itself gets one line.
    pub noticed: Option<Notice>,
    /// Request body bytes in the send buffer, behind the room for a packet's prefix, that the engine
    /// has not asked for yet.
    pub ahead: usize,
}

/// What is flushed to the client unasked.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlushPolicy {
    pub header: bool,
    pub packets: bool,
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
    /// What has become of the response.
    pub response: Response,
}

/// The response at the end of an exchange.
#[derive(Debug, Clone, Copy)]
pub(super) enum Response {
    /// It has to be completed.
    Begun,
    /// It has been completed already.
    Completed,
    /// The web server answers itself with this status of the engine.
    Replaced(u16),
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
    /// How often the engine has asked for a part of the request body; once is enough to make it
    /// impossible to send the request again.
    pub asks: u32,
    /// Status of the answer; 0: none yet.
    pub status: u16,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { phase: Phase::Prepare, received: 0, sent: 0, body_read: 0, asks: 0, status: 0 }
    }
}

/// `phase=head in=0 out=170 body=0`, as in every line about a request that failed.
impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phase, received, sent, body_read, .. } = self;
        write!(f, "phase={phase} in={received} out={sent} body={body_read}")
    }
}

impl<'x, R: Request> Drive<'x, R> {
    pub(super) fn new(
        config: &'x Ajp13Config,
        request: &'x mut R,
        connection: &'x mut Connection,
        timeouts: Timeouts,
        cookie: Option<&'x [u8]>,
        progress: &'x mut Progress,
    ) -> Self {
        let policy = request.policy();
        let flush = FlushPolicy { header: policy.flush_header, packets: policy.flush_packets };
        Self {
            config,
            request,
            connection,
            timeouts,
            flush,
            cookie,
            progress,
            replaced: None,
            unwanted: 0,
            noticed: None,
            ahead: 0,
        }
    }

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
        let mut is_completed = false;
        let mut missing = 1;
        loop {
            // Nothing more can follow but the end: the client need not wait for it.
            let only_end_is_due = exchange.is_body_complete() && exchange.is_upload_complete();
            if end_deadline.is_none() && (only_end_is_due || self.replaced.is_some()) {
                if self.replaced.is_none() {
                    self.request.finish_response(true).map_err(Failure::Response)?;
                    is_completed = true;
                }
                let grace = self.timeouts.reply.map_or(END_GRACE, |t| t.min(END_GRACE));
                end_deadline = Some(Deadline::after(grace));
            }
            let received = match end_deadline {
                Some(deadline) => self.fill_until(inbox, deadline),
                None => self.fill(inbox, &mut packet_deadline, missing),
            };
            let asks = self.progress.asks;
            let burst = match received {
                Ok(()) => self.burst(inbox.unread(), &mut exchange, send),
                Err(_) if exchange.is_body_complete() => {
                    return Ok(self.finished(Verdict::Close(CloseReason::NoEnd), is_completed));
                }
                Err(failure) => Err(failure),
            };
            let (consumed, step) = match burst {
                Ok(burst) => burst,
                // The client's answer does not depend on the rest.
                Err(failure) if self.replaced.is_some() && failure.marks_worker_down() => {
                    self.log_unwanted(&failure);
                    return Ok(self.finished(Verdict::Close(CloseReason::Unwanted), false));
                }
                Err(failure) => return Err(failure),
            };
            inbox.consume(consumed);
            if consumed > 0 {
                packet_deadline = None;
            }
            if self.replaced.is_some() && self.progress.asks != asks {
                // The time of the client's upload is not the engine's.
                end_deadline = None;
            }
            match step {
                Burst::Ended(verdict) => return Ok(self.finished(verdict, is_completed)),
                Burst::NeedsMore(n) => missing = n,
            }
        }
    }

    fn finished(&self, verdict: Verdict, is_completed: bool) -> Finished {
        let response = match self.replaced {
            Some(status) => Response::Replaced(status),
            None if is_completed => Response::Completed,
            None => Response::Begun,
        };
        Finished { verdict, response }
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
                let left = deadline.remaining().ok_or_else(timed_out)?;
                // Within a packet the worker's patience with the socket counts as well.
                match self.timeouts.socket.filter(|socket| *socket < left) {
                    Some(socket) => {
                        let timed_out = || Failure::SocketTimeout(socket);
                        return self.recv(inbox, Some(socket), missing, timed_out);
                    }
                    None => left,
                }
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
                Event::Head(head) => self.head(&head)?,
                Event::Body(data) if self.replaced.is_some() => {
                    self.unwanted = self.unwanted.saturating_add(data.len());
                    if self.unwanted > MOST_UNWANTED {
                        return Ok((at, Burst::Ended(Verdict::Close(CloseReason::Unwanted))));
                    }
                }
                Event::Body(data) => {
                    if !parts.push(data) {
                        self.write(&mut parts)?;
                        parts.push(data);
                    }
                    if self.flush.packets {
                        self.write(&mut parts)?;
                        self.request.flush().map_err(Failure::Response)?;
                    }
                }
                Event::Flush if self.replaced.is_some() => {}
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

    /// Type and length only: what a packet contains may be a secret.
    pub(super) fn log_packet(&self, direction: &str, kind: Option<u8>, length: usize) {
        jk_log!(
            *self.request,
            Level::Trace,
            "({}) packet: {} {direction} the engine; length={length} conn={}/{}",
            self.config.name,
            kind.map_or("request body", codes::packet::name),
            self.connection.id,
            self.connection.carried
        );
    }

    #[cold]
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
        jk_log!(*self.request, Level::Debug, "({}) {text}", self.config.name);
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

/// A number of bytes as the log counts them.
pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
