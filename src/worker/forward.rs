//! Serves one request with one worker: prepare, acquire a connection, exchange, and then either
//! done, once more, or an error (spec/mod_jk.md 5.4, spec/reliability.md 0).
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::buffers::{Buffer, Buffers};
use super::endpoint::Connection;
use super::error::{Failure, Phase, PingError};
use super::exchange::{Drive, Finished, Progress, Response, Sending, Timeouts};
use super::pool::{Pool, Slot};
use super::prepare::encode;
use super::recovery;
use super::upload::append_body;
use crate::ajp::exchange::{CloseReason, Exchange, Verdict};
use crate::config::{Ajp13Config, WorkerName};
use crate::host::{BodyError, Request, ResponseError};
use crate::jk_log;
use crate::log::Level;
use crate::net::{ConnectError, Connector, IdleState, Names, Notice};
use crate::shared::{Busy, Memory, WorkerState};

/// One configured worker with its connections in this process.
#[derive(Debug)]
pub struct Worker {
    config: Ajp13Config,
    pool: Pool,
    peer: String,
    pub(super) names: Names,
    memory: Arc<dyn Memory>,
    position: usize,
    /// Held by the thread that looks after the idle connections.
    pub(super) upkeep: Mutex<()>,
}

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

impl Worker {
    /// A worker without connections, at a position of `memory`.
    pub fn new(
        config: Ajp13Config,
        names: Names,
        memory: Arc<dyn Memory>,
        position: usize,
    ) -> Self {
        Self {
            pool: Pool::new(config.pool_size),
            peer: config.target.to_string(),
            names,
            config,
            memory,
            position,
            upkeep: Mutex::default(),
        }
    }

    /// What all processes see of it.
    fn state(&self) -> Option<&WorkerState> {
        self.memory.workers().get(self.position)
    }

    /// The worker's settings.
    pub fn config(&self) -> &Ajp13Config {
        &self.config
    }

    /// The worker's pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Where its engine is, for the log.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    fn name(&self) -> &WorkerName {
        &self.config.name
    }
}

/// State of one request over all its attempts.
struct Serving<'s, R> {
    worker: &'s Worker,
    request: &'s mut R,
    progress: Progress,
    /// The request among those that the worker is serving, from its first slot on.
    busy: Option<Busy<'s>>,
    /// Label of the connection in use.
    connection: (u64, u64),
    tries: u32,
}

/// Serves `request`. Logs what fails, once.
pub fn serve<R: Request>(worker: &Worker, buffers: &Buffers, request: &mut R) -> Outcome {
    let progress = Progress::new();
    let mut serving =
        Serving { worker, request, progress, busy: None, connection: (0, 0), tries: 0 };
    match serving.run(buffers) {
        Ok(outcome) => outcome,
        Err(failure) => serving.give_up(&failure),
    }
}

impl<R: Request> Serving<'_, R> {
    fn run(&mut self, buffers: &Buffers) -> Result<Outcome, Failure> {
        let mut buffer = buffers.lend();
        let config = &self.worker.config;
        let max = config.packet_size.bytes();
        encode(&*self.request, config, &mut buffer.send)?;
        let body = self.request.body();
        let is_head = self.request.facts().is_head;
        // The client's first bytes are read before an engine is bothered (reliability.md F8).
        let request = buffer.send.len();
        let wanted = Exchange::new(is_head, body, max).first_body_len();
        let data =
            append_body(self.request, &mut buffer.send, wanted, &mut self.progress.body_read)?;
        let sending = Sending { request, data };
        let idempotent = is_idempotent(self.request.facts().method);
        let mut fresh_only = false;
        loop {
            self.tries = self.tries.saturating_add(1);
            buffer.inbox.clear();
            let exchange = Exchange::new(is_head, body, max);
            let failure = match self.attempt(&mut buffer, exchange, sending, fresh_only) {
                Ok(outcome) => return Ok(outcome),
                Err(failure) => failure,
            };
            // Once a body packet was asked for, the request is no longer in the buffer.
            if self.progress.asks > 0 || self.request.is_committed() {
                return Err(failure);
            }
            let (_, carried) = self.connection;
            let nothing_came = self.progress.phase <= Phase::Head && self.progress.received == 0;
            let was_lost_while_idle = carried > 0 && nothing_came && failure.is_lost_connection();
            if idempotent && was_lost_while_idle && !fresh_only {
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

    /// Whether another attempt can help, and the engine can have done nothing or the administrator
    /// does not mind.
    fn may_be_repeated(&self, failure: &Failure) -> bool {
        let (options, phase) = (self.worker.config.recovery, self.progress.phase);
        if matches!(failure, Failure::Connect(ConnectError::Never(_))) {
            return false;
        }
        failure.is_retryable()
            || recovery::allows(options, failure, phase, self.request.facts().method)
    }

    /// One attempt: a connection, the exchange, and the connection's fate.
    fn attempt(
        &mut self,
        buffer: &mut Buffer,
        exchange: Exchange,
        sending: Sending,
        fresh_only: bool,
    ) -> Result<Outcome, Failure> {
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
        let mut drive =
            Drive::new(config, self.request, &mut connection, timeouts, &mut self.progress);
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
        let Some((busy, count)) = self.worker.state().map(WorkerState::enter) else {
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
                IdleState::Closed => {
                    self.log_stale(&connection, Level::Debug, "stale_conn: the engine has closed");
                    continue;
                }
                IdleState::UnexpectedBytes => {
                    let text = "unexpected_bytes: the engine sent something unasked on";
                    self.log_stale(&connection, Level::Error, text);
                    continue;
                }
            }
            let Some(timeout) = config.prepost_ping else {
                return Ok(connection);
            };
            self.progress.phase = Phase::Cping;
            match connection.ping(timeout) {
                Ok(()) => return Ok(connection),
                Err(e) => {
                    jk_log!(
                        *self.request,
                        Level::Warn,
                        "({}) {}: an idle connection is given up: {e}; conn={}/{}",
                        self.worker.name(),
                        e.event(),
                        connection.id,
                        connection.carried
                    );
                    // An engine that hangs would take the time of every idle connection.
                    if matches!(e, PingError::Timeout(_)) {
                        break;
                    }
                }
            }
        }
        self.progress.phase = Phase::Connect;
        let connector = Connector {
            target: &config.target,
            options: &config.connect,
            names: &self.worker.names,
        };
        let mut tell = |notice: &Notice| {
            let level = match notice {
                Notice::Fallback(_) | Notice::Moved { .. } => Level::Info,
                Notice::Outdated { .. } | Notice::NoSource { .. } => Level::Warn,
            };
            let (name, event) = (self.worker.name(), notice.event());
            jk_log!(*self.request, level, "({name}) {event}: {notice}");
        };
        let stream = connector.connect(&mut tell).map_err(Failure::Connect)?;
        let now = Instant::now();
        let mut connection =
            Connection { stream, id: slot.next_id(), carried: 0, idle_since: now, checked_at: now };
        self.connection = (connection.id, 0);
        if let Some(timeout) = config.connect_ping.or(config.prepost_ping) {
            self.progress.phase = Phase::Cping;
            connection.ping(timeout).map_err(Failure::Ping)?;
        }
        Ok(connection)
    }

    /// The last word on a request that failed.
    fn give_up(&mut self, failure: &Failure) -> Outcome {
        let Progress { phase, received, sent, .. } = self.progress;
        let (outcome, words) = match failure {
            Failure::Response(ResponseError::Answered)
            | Failure::ClientBody { source: BodyError::Answered(_), .. } => {
                (Outcome::Answered, "answered by httpd".to_owned())
            }
            _ if self.request.is_committed() => {
                self.request.abort();
                match failure {
                    Failure::Response(ResponseError::ClientGone) => {
                        (Outcome::ClientGone, "client gone".to_owned())
                    }
                    _ => (Outcome::Aborted, "aborted".to_owned()),
                }
            }
            _ => {
                self.request.retract();
                match failure.http_status() {
                    Some(status) => (Outcome::Refused(status), status.to_string()),
                    None => (Outcome::ClientGone, "client gone".to_owned()),
                }
            }
        };
        let (id, carried) = self.connection;
        jk_log!(
            *self.request,
            failure.level(),
            "({}) {}: {failure}; peer={} conn={id}/{carried} phase={phase} in={received} \
             out={sent} body={} tries={} outcome={words}",
            self.worker.name(),
            failure.event(phase),
            self.worker.peer,
            self.progress.body_read,
            self.tries
        );
        outcome
    }

    fn log_retry(&self, failure: &Failure) {
        let (id, carried) = self.connection;
        jk_log!(
            *self.request,
            Level::Info,
            "({}) retry: {}: {failure}; peer={} conn={id}/{carried} tries={}",
            self.worker.name(),
            failure.event(self.progress.phase),
            self.worker.peer,
            self.tries
        );
    }

    fn log_stale(&self, connection: &Connection, level: Level, text: &str) {
        jk_log!(
            *self.request,
            level,
            "({}) {text} an idle connection; another one is used; conn={}/{}",
            self.worker.name(),
            connection.id,
            connection.carried
        );
    }

    fn log_close(&self, reason: CloseReason) {
        let level = match reason {
            CloseReason::UnexpectedBytes => Level::Error,
            _ if reason.is_fault() => Level::Warn,
            _ => Level::Debug,
        };
        self.log_closed(level, format_args!("{}: {}", reason.event(), reason.sentence()));
    }

    fn log_closed(&self, level: Level, why: impl Display) {
        let (id, carried) = self.connection;
        jk_log!(
            *self.request,
            level,
            "({}) {why}; the connection is closed, the response is complete; conn={id}/{carried}",
            self.worker.name()
        );
    }
}

/// Methods that RFC 9110 9.2.2 calls idempotent.
fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
