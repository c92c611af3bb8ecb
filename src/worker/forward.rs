//! Serves one request with one worker: prepare, acquire a connection, exchange, and then either
//! done, once more, or an error (spec/mod_jk.md 5.4, spec/reliability.md 0).
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::ajp13::Worker;
use super::buffers::{Buffers, Lent};
use super::endpoint::Connection;
use super::error::{Failure, Phase, PingError};
use super::exchange::{Drive, Finished, Progress, Response, Sending, Timeouts};
use super::pool::Slot;
use super::prepare::{Routing, encode};
use super::recovery;
use super::report::Tried;
use super::tally;
use super::upload::append_body;
use crate::ajp::exchange::{Exchange, Verdict};
use crate::host::Request;
use crate::jk_log;
use crate::log::Level;
use crate::net::{ConnectError, Connector, IdleState, Notice};
use crate::shared::requests::Count;
use crate::shared::{Admission, Busy};

/// Longest wait for the CPONG of a member that may not work, where ping_timeout is 0.
const DOUBTED: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client has a complete response.
    Completed,
    /// Nothing was sent to the client; it gets this status.
    Refused(u16),
    /// The engine's answer is replaced by the web server's error page for its status
    /// (`use_server_errors`); nothing was sent to the client.
    ServerError(u16),
    /// The response had begun and was broken off visibly.
    Aborted,
    /// The client went away.
    ClientGone,
    /// The web server has answered by itself while the body was read.
    Answered,
}

/// A request that goes from engine to engine until one answers.
pub(super) struct Parcel<'b> {
    buffer: Lent<'b>,
    /// What lies in the buffer; `None`: nothing yet.
    sending: Option<Sending>,
    /// Size of the packet that the first part of the body must fit into, bytes.
    packet: usize,
    /// Attempts of which nobody knows whether the engine has executed the request.
    executions: u32,
    /// Attempts before the one under way.
    pub(super) tried: Tried,
    /// How far the request has got at the engine before, or without one.
    pub(super) got: Progress,
    /// Attempts at engines before.
    pub(super) tries: u32,
}

impl<'b> Parcel<'b> {
    /// Nothing yet. `packet`: the smallest packet size of all engines that it may go to, bytes.
    pub(super) fn new(buffers: &'b Buffers, packet: usize) -> Self {
        Self {
            buffer: buffers.lend(),
            sending: None,
            packet,
            executions: 0,
            tried: Tried::default(),
            got: Progress::new(),
            tries: 0,
        }
    }

    /// Bytes of the larger one of the packets that go out unasked.
    pub(super) fn largest_packet(&self) -> usize {
        let first = self.sending.map_or(0, |sending| sending.request);
        first.max(self.buffer.send.len().saturating_sub(first))
    }
}

/// State of one request at one worker, over all its attempts there.
pub(super) struct Serving<'s, 'b, R> {
    pub(super) worker: &'s Worker,
    pub(super) request: &'s mut R,
    pub(super) routing: Routing<'s>,
    pub(super) parcel: &'s mut Parcel<'b>,
    pub(super) progress: Progress,
    /// The request among those that the worker is serving, from its first slot on.
    busy: Option<Busy<'s>>,
    /// The request among those that `max_inflight` limits.
    admission: Option<Admission<'s>>,
    /// Label of the connection in use.
    pub(super) connection: (u64, u64),
    pub(super) tries: u32,
    /// Idle connections that were found dead by a ping.
    pub(super) given_up: Vec<(PingError, (u64, u64))>,
    /// How many of them are among what was tried.
    pub(super) noted: usize,
    /// Bytes to and from the engine in all attempts.
    traffic: u64,
}

/// Serves `request`. Logs what fails, once.
pub fn serve<R: Request>(worker: &Worker, buffers: &Buffers, request: &mut R) -> Outcome {
    let mut parcel = Parcel::new(buffers, worker.config.packet_size.bytes());
    let mut serving = Serving::new(worker, request, Routing::DIRECT, &mut parcel);
    // A request that must wait for its client's body should not do so in vain.
    if worker.is_full() {
        return serving.refuse();
    }
    if let Some(state) = worker.state() {
        state.used.fetch_add(1, Ordering::Relaxed);
    }
    let result = match serving.prepare() {
        Ok(()) if !serving.admit() => return serving.refuse(),
        Ok(()) => serving.run(false),
        Err(failure) => Err(failure),
    };
    match result {
        Ok(outcome) => {
            serving.log_retried();
            outcome
        }
        Err(failure) => serving.give_up(&failure),
    }
}

impl<'s, 'b, R: Request> Serving<'s, 'b, R> {
    pub(super) fn new(
        worker: &'s Worker,
        request: &'s mut R,
        routing: Routing<'s>,
        parcel: &'s mut Parcel<'b>,
    ) -> Self {
        let progress = Progress { body_read: parcel.got.body_read, ..Progress::new() };
        Self {
            worker,
            request,
            routing,
            parcel,
            progress,
            busy: None,
            admission: None,
            connection: (0, 0),
            tries: 0,
            given_up: Vec::new(),
            noted: 0,
            traffic: 0,
        }
    }

    /// Counts the request in for `max_inflight`. `false` where there are as many as there may be.
    pub(super) fn admit(&mut self) -> bool {
        let worker = self.worker;
        let Some((limit, state)) = worker.config.max_inflight.zip(worker.state()) else {
            return true;
        };
        let Some(ticket) = worker.ticket(Count::Inflight(worker.position)) else {
            // Records are many more than requests.
            return true;
        };
        self.admission = state.inflight.enter(limit, ticket);
        self.admission.is_some()
    }

    /// Refuses a request beyond `max_inflight`. All can see it once a minute, with the number of those
    /// that were refused since.
    #[cold]
    fn refuse(&mut self) -> Outcome {
        let (name, now) = (self.worker.name(), self.request.now());
        let limit = self.worker.config.max_inflight.unwrap_or_default();
        let inflight = self.worker.state().map(|state| &state.inflight);
        let count = inflight.map_or(0, |inflight| inflight.count.load(Ordering::Relaxed));
        let refused = inflight.and_then(|inflight| inflight.refuse(now));
        let level = if refused.is_some() { Level::Error } else { Level::Debug };
        jk_log!(
            *self.request,
            level,
            "({name}) max_inflight: the engine serves as many requests as it may; inflight={count} \
             limit={limit} refused={} {} tries={} outcome=503",
            refused.unwrap_or(1),
            self.progress,
            self.tries
        );
        self.request.retract();
        Outcome::Refused(503)
    }

    /// Puts the request as this worker's engine wants it into the buffer.
    ///
    /// # Errors
    /// [`Failure`]; no engine was contacted, and no other one would do.
    pub(super) fn prepare(&mut self) -> Result<(), Failure> {
        let result = self.prepare_uncounted();
        if let (Err(_), Some(state)) = (&result, self.worker.state()) {
            state.client_errors.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn prepare_uncounted(&mut self) -> Result<(), Failure> {
        let (config, routing) = (&self.worker.config, self.routing);
        let send = &mut self.parcel.buffer.send;
        let before = self.parcel.sending.map(|Sending { request, data }| {
            let body = send.split_off(request.min(send.len()));
            send.clear();
            (body, data)
        });
        encode(&*self.request, config, routing, send)?;
        let request = send.len();
        let data = if let Some((body, data)) = before {
            send.extend_from_slice(&body);
            data
        } else {
            let (body, is_head) = (self.request.body(), self.request.facts().is_head);
            let wanted = Exchange::new(is_head, body, self.parcel.packet).first_body_len();
            // The client's first bytes are read before an engine is bothered (reliability.md F8).
            append_body(self.request, send, wanted, &mut self.progress.body_read)?
        };
        self.parcel.got.body_read = self.progress.body_read;
        self.parcel.sending = Some(Sending { request, data });
        Ok(())
    }

    /// Tries the worker as often as its settings say, and counts what comes of it. `is_test`: it has
    /// failed before, and this request is to find out whether it works again.
    ///
    /// # Errors
    /// [`Failure`] of the last attempt.
    pub(super) fn run(&mut self, is_test: bool) -> Result<Outcome, Failure> {
        let begin = Instant::now();
        let result = self.run_uncounted(is_test);
        if !self.given_up.is_empty() {
            self.log_given_up(&result);
        }
        if let Some(state) = self.worker.state() {
            let retries = u64::from(self.tries.saturating_sub(1));
            let is_alone = self.routing.balancer.is_none();
            tally::count(state, &result, retries, is_alone, self.request.now());
            state.latency.add(begin.elapsed());
        }
        result
    }

    fn run_uncounted(&mut self, is_test: bool) -> Result<Outcome, Failure> {
        let config = &self.worker.config;
        // What must not be executed twice is lost with an engine that accepts and does not answer:
        // that one is to answer a CPING first.
        let mut fresh_only = is_test && !is_idempotent(self.request.facts().method);
        loop {
            self.tries = self.tries.saturating_add(1);
            let result = self.attempt(fresh_only);
            self.count_traffic();
            let failure = match result {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => failure,
            };
            self.note_given_up();
            if !failure.is_retryable() && !failure.is_saturation() {
                self.parcel.executions = self.parcel.executions.saturating_add(1);
            }
            if !self.is_replayable() {
                return Err(failure);
            }
            let (_, carried) = self.connection;
            let was_lost_while_idle = carried > 0 && failure.is_lost_connection();
            if was_lost_while_idle && self.may_be_executed_again() && !fresh_only {
                fresh_only = true;
                self.log_retry(&failure);
            } else if self.tries < config.retries && self.may_be_repeated(&failure) {
                self.log_retry(&failure);
                if self.progress.phase == Phase::Stream {
                    self.request.retract();
                }
                self.request.pause(config.retry_interval);
            } else {
                return Err(failure);
            }
        }
    }

    /// Whether the request is still in the buffer, and nothing of an answer on its way.
    fn is_replayable(&self) -> bool {
        self.progress.asks == 0 && !self.request.is_committed()
    }

    /// Whether an engine that has not said a word may have executed the request, and a second time
    /// does no harm.
    fn may_be_executed_again(&self) -> bool {
        let nothing_came = self.progress.phase <= Phase::Head && self.progress.received == 0;
        let is_first = self.parcel.executions <= 1;
        nothing_came && is_first && is_idempotent(self.request.facts().method)
    }

    /// Whether the administrator does not mind that the engine may have executed the request.
    fn is_allowed(&self, failure: &Failure) -> bool {
        let (options, phase) = (self.worker.config.recovery, self.progress.phase);
        recovery::allows(options, failure, phase, self.request.facts().method)
    }

    /// Whether another attempt on the same engine can help and is allowed.
    fn may_be_repeated(&self, failure: &Failure) -> bool {
        if matches!(failure, Failure::Connect(ConnectError::Never(_))) {
            return false;
        }
        // Where there are others, nobody waits twice for the one that does not answer.
        let is_for_others = self.routing.balancer.is_some()
            && matches!(
                failure,
                Failure::ReplyTimeout(_) | Failure::StatusFatal { .. } | Failure::Status { .. }
            );
        failure.is_retryable() || !is_for_others && self.is_allowed(failure)
    }

    /// Whether another engine may get the request (spec/reliability.md 0, (a) and (c)).
    pub(super) fn may_go_elsewhere(&self, failure: &Failure) -> bool {
        let is_unsent = failure.is_retryable() || failure.is_saturation();
        let is_silent = failure.is_lost_connection() || matches!(failure, Failure::ReplyTimeout(_));
        let again = is_silent && self.may_be_executed_again();
        self.is_replayable() && (is_unsent || again || self.is_allowed(failure))
    }

    /// Bytes to and from the engine.
    pub(super) fn traffic(&self) -> u64 {
        self.traffic
    }

    fn count_traffic(&mut self) {
        let Progress { received, sent, .. } = self.progress;
        self.traffic = self.traffic.saturating_add(received).saturating_add(sent);
        if let Some(state) = self.worker.state() {
            state.read.fetch_add(received, Ordering::Relaxed);
            state.transferred.fetch_add(sent, Ordering::Relaxed);
        }
    }

    /// One attempt: a connection, the exchange, and the connection's fate.
    fn attempt(&mut self, fresh_only: bool) -> Result<Outcome, Failure> {
        let Progress { body_read, .. } = self.progress;
        self.progress = Progress { phase: Phase::Connect, body_read, ..Progress::new() };
        let config = &self.worker.config;
        let mut slot =
            self.worker.pool.acquire(config.acquire_timeout).ok_or(Failure::NoEndpoint {
                size: config.pool_size,
                waited: config.acquire_timeout,
            })?;
        self.enter()?;
        let mut connection = self.connect(&mut slot, fresh_only)?;
        self.connection = (connection.id, connection.carried);
        let policy = self.request.policy();
        let disable_reuse = policy.disable_reuse;
        let timeouts = Timeouts {
            reply: policy.reply_timeout.unwrap_or(config.reply_timeout),
            socket: config.socket_timeout,
        };
        let (is_head, body) = (self.request.facts().is_head, self.request.body());
        let exchange = Exchange::new(is_head, body, config.packet_size.bytes());
        let (cookie, connection_used) = (self.routing.cookie, &mut connection);
        let progress = &mut self.progress;
        let mut drive =
            Drive::new(config, self.request, connection_used, timeouts, cookie, progress);
        let Parcel { buffer, sending, .. } = &mut *self.parcel;
        buffer.inbox.clear();
        let sending = sending.unwrap_or(Sending { request: 0, data: 0 });
        let Finished { verdict, response } = drive.run(buffer, exchange, sending)?;
        match verdict {
            Verdict::Reuse if disable_reuse => {
                self.log_closed(Level::Debug, "reuse_disabled: JkOptions +DisableReuse");
                // All that the engine needs has been read, so that a close without waiting for its
                // own takes nothing away from it.
                drop(connection);
                drop(slot);
            }
            Verdict::Reuse => {
                connection.carried = connection.carried.saturating_add(1);
                slot.release(connection, Instant::now());
            }
            Verdict::Close(reason) => {
                self.log_close(reason);
                self.hint_at_answer(reason);
                drop(connection);
                drop(slot);
            }
        }
        match response {
            Response::Completed => Ok(Outcome::Completed),
            Response::Replaced(status) => Ok(Outcome::ServerError(status)),
            Response::Begun => {
                let finished = self.request.finish_response(false);
                finished.map(|()| Outcome::Completed).map_err(Failure::Response)
            }
        }
    }

    /// Counts the request in where it is not yet, unless the worker has enough (`busy_limit`).
    fn enter(&mut self) -> Result<(), Failure> {
        if self.busy.is_some() {
            return Ok(());
        }
        let Some((busy, count)) = self.worker.enter() else {
            return Ok(());
        };
        match self.worker.config.busy_limit {
            Some(limit) if count > limit => Err(Failure::Busy { limit }),
            _ => {
                self.busy = Some(busy);
                Ok(())
            }
        }
    }

    /// An idle connection that is alive, or a new one.
    fn connect(&mut self, slot: &mut Slot<'_>, fresh_only: bool) -> Result<Connection, Failure> {
        let config = &self.worker.config;
        if fresh_only {
            // After one dead connection the next idle one is likely to be dead as well.
            slot.discard();
        }
        while !fresh_only && let Some(mut connection) = slot.take() {
            match connection.idle_state() {
                IdleState::Quiet => {}
                state => {
                    self.log_stale(&connection, state);
                    continue;
                }
            }
            let Some(timeout) = config.prepost_ping else {
                return Ok(connection);
            };
            self.progress.phase = Phase::Cping;
            match tally::ping(self.worker, &mut connection, timeout) {
                Ok(()) => return Ok(connection),
                Err(e) => {
                    // An engine that hangs would take the time of every idle connection.
                    let hangs = matches!(e, PingError::Timeout(_));
                    self.given_up.push((e, (connection.id, connection.carried)));
                    if hangs {
                        break;
                    }
                }
            }
        }
        self.open(slot, fresh_only)
    }

    /// A new connection. Rare, so that the code of it stays apart.
    #[cold]
    fn open(&mut self, slot: &mut Slot<'_>, fresh_only: bool) -> Result<Connection, Failure> {
        let config = &self.worker.config;
        self.progress.phase = Phase::Connect;
        let connector = Connector {
            target: &config.target,
            options: &config.connect,
            names: &self.worker.names,
        };
        let mut tell = |notice: &Notice| self.log_notice(notice);
        let stream = connector.connect(&mut tell).map_err(Failure::Connect)?;
        let now = Instant::now();
        let (id, _opened) = (slot.next_id(), self.worker.open.count());
        let mut connection =
            Connection { stream, id, carried: 0, idle_since: now, checked_at: now, _opened };
        self.connection = (connection.id, 0);
        // An engine that is just going down, or hangs, still accepts connections. Where there are
        // others, it gets neither the one repetition that a request has nor a request that cannot be
        // repeated unless it answers.
        let doubted = (fresh_only && self.routing.balancer.is_some())
            .then(|| config.idle_ping.unwrap_or(DOUBTED));
        if let Some(timeout) = config.connect_ping.or(config.prepost_ping).or(doubted) {
            self.progress.phase = Phase::Cping;
            tally::ping(self.worker, &mut connection, timeout).map_err(Failure::Ping)?;
        }
        Ok(connection)
    }
}

/// Methods that RFC 9110 9.2.2 calls idempotent.
fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
