//! Serves one request with one worker: prepare, acquire a connection, exchange, and then either
//! done, once more, or an error (spec/mod_jk.md 5.4, spec/reliability.md 0).
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::buffers::{Buffer, Buffers};
use super::endpoint::Connection;
use super::error::{Failure, Phase, PingError};
use super::exchange::{Drive, Finished, Progress, Sending, Timeouts, append_body};
use super::headers;
use super::pool::{Pool, Slot};
use crate::ajp::exchange::{CloseReason, Exchange, Verdict};
use crate::ajp::forward::{Attributes, ForwardRequest};
use crate::ajp::message::is_token_byte;
use crate::config::{Ajp13Config, Secret, WorkerName};
use crate::host::{BodyError, Facts, Request, ResponseError};
use crate::jk_log;
use crate::log::Level;
use crate::net::{Connector, IdleState, KnownAddress};
use crate::shared::{Memory, WorkerState};

/// Longest method name that is forwarded, bytes (spec/reliability.md 2.6).
const LONGEST_METHOD: usize = 64;

/// One configured worker with its connections in this process.
#[derive(Debug)]
pub struct Worker {
    config: Ajp13Config,
    pool: Pool,
    peer: String,
    known: KnownAddress,
    memory: Arc<dyn Memory>,
    position: usize,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client has a complete response.
    Completed,
    /// Nothing was sent to the client; it gets this status.
    Refused(u16),
    /// The response had begun and was broken off visibly.
    Aborted,
    /// The client went away.
    ClientGone,
    /// The web server has answered by itself while the body was read.
    Answered,
}

impl Worker {
    /// A worker without connections, at a position of `memory`.
    pub fn new(config: Ajp13Config, memory: Arc<dyn Memory>, position: usize) -> Self {
        Self {
            pool: Pool::new(config.pool_size),
            peer: config.target.to_string(),
            known: KnownAddress::default(),
            config,
            memory,
            position,
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

    fn name(&self) -> &WorkerName {
        &self.config.name
    }
}

/// State of one request over all its attempts.
struct Serving<'s, R> {
    worker: &'s Worker,
    request: &'s mut R,
    progress: Progress,
    /// Label of the connection in use.
    connection: (u64, u64),
    tries: u32,
}

/// Serves `request`. Logs what fails, once.
pub fn serve<R: Request>(worker: &Worker, buffers: &Buffers, request: &mut R) -> Outcome {
    let _busy = worker.state().map(WorkerState::enter);
    let progress = Progress { phase: Phase::Prepare, received: 0, sent: 0, body_read: 0 };
    let mut serving = Serving { worker, request, progress, connection: (0, 0), tries: 0 };
    match serving.run(buffers) {
        Ok(()) => Outcome::Completed,
        Err(failure) => serving.give_up(&failure),
    }
}

impl<R: Request> Serving<'_, R> {
    fn run(&mut self, buffers: &Buffers) -> Result<(), Failure> {
        let mut buffer = buffers.lend();
        let max = self.worker.config.packet_size.bytes();
        encode(&*self.request, &self.worker.config, &mut buffer.send)?;
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
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            // Once a body packet was asked for, the request is no longer in the buffer.
            let replayable = self.progress.phase <= Phase::Head && !self.request.is_committed();
            let (_, carried) = self.connection;
            if replayable
                && !fresh_only
                && idempotent
                && carried > 0
                && self.progress.received == 0
                && failure.is_lost_connection()
            {
                fresh_only = true;
                self.log_retry(&failure);
            } else if replayable
                && failure.is_retryable()
                && self.tries < self.worker.config.retries
            {
                self.log_retry(&failure);
                self.request.pause(self.worker.config.retry_interval);
            } else {
                return Err(failure);
            }
        }
    }

    /// One attempt: a connection, the exchange, and the connection's fate.
    fn attempt(
        &mut self,
        buffer: &mut Buffer,
        exchange: Exchange,
        sending: Sending,
        fresh_only: bool,
    ) -> Result<(), Failure> {
        self.progress = Progress { phase: Phase::Connect, received: 0, sent: 0, ..self.progress };
        let config = &self.worker.config;
        let mut slot =
            self.worker.pool.acquire(config.acquire_timeout).ok_or(Failure::NoEndpoint {
                size: config.pool_size,
                waited: config.acquire_timeout,
            })?;
        let mut connection = self.connect(&mut slot, fresh_only)?;
        self.connection = (connection.id, connection.carried);
        let mut drive = Drive {
            worker: self.worker.name(),
            request: self.request,
            connection: &mut connection,
            timeouts: Timeouts { reply: config.reply_timeout, socket: config.socket_timeout },
            progress: &mut self.progress,
            noticed: None,
        };
        let Finished { verdict, response } = drive.run(buffer, exchange, sending)?;
        match verdict {
            Verdict::Reuse => {
                connection.carried = connection.carried.saturating_add(1);
                slot.release(connection);
            }
            Verdict::Close(reason) => {
                self.log_close(reason);
                drop(connection);
                drop(slot);
            }
        }
        if response {
            return Ok(());
        }
        self.request.finish_response(false).map_err(Failure::Response)
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
            known: &self.worker.known,
        };
        let (stream, failed) = connector.connect().map_err(Failure::Connect)?;
        if let Some(failed) = failed {
            jk_log!(
                *self.request,
                Level::Info,
                "({}) connect_fallback: connected after other addresses failed: {failed}",
                self.worker.name()
            );
        }
        let mut connection = Connection { stream, id: slot.next_id(), carried: 0 };
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
        let (id, carried) = self.connection;
        jk_log!(
            *self.request,
            level,
            "({}) {}: {}; the connection is closed, the response is complete; conn={id}/{carried}",
            self.worker.name(),
            reason.event(),
            reason.sentence()
        );
    }
}

/// Methods that RFC 9110 9.2.2 calls idempotent.
fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"PUT" | b"DELETE" | b"OPTIONS" | b"TRACE")
}

/// Writes the request into `out`.
fn encode<R: Request>(request: &R, config: &Ajp13Config, out: &mut Vec<u8>) -> Result<(), Failure> {
    let facts = request.facts();
    let is_token = !facts.method.is_empty() && facts.method.iter().copied().all(is_token_byte);
    if !is_token || facts.method.len() > LONGEST_METHOD {
        return Err(Failure::BadMethod);
    }
    let unsafe_byte = |b: &&u8| b.is_ascii_control() || **b == b' ';
    if let Some(byte) = facts.query.unwrap_or_default().iter().find(unsafe_byte) {
        return Err(Failure::BadQuery(*byte));
    }
    let forward = forward_request(&facts, config);
    let headers = headers::forwarded(request.headers(), request.body());
    forward.encode(headers.clone(), out, config.packet_size.bytes()).map_err(|source| {
        let (largest, size) = largest_part(&facts, headers);
        Failure::TooLarge { source, largest, size }
    })
}

fn forward_request<'f>(facts: &Facts<'f>, config: &'f Ajp13Config) -> ForwardRequest<'f> {
    let tls = facts.tls.unwrap_or_default();
    ForwardRequest {
        method: facts.method,
        protocol: facts.protocol,
        uri: facts.uri,
        remote_addr: facts.remote_addr,
        remote_host: facts.remote_host,
        server_name: facts.server_name,
        server_port: facts.server_port,
        is_ssl: facts.tls.is_some(),
        attributes: Attributes {
            secret: config.secret.as_ref().map(Secret::expose),
            remote_user: facts.remote_user,
            auth_type: facts.auth_type,
            query_string: facts.query,
            route: facts.route,
            ssl_cert: tls.certificate,
            ssl_cipher: tls.cipher,
            ssl_session: tls.session,
            ssl_key_size: tls.key_size,
            ssl_protocol: tls.protocol,
            remote_port: facts.remote_port,
            local_addr: facts.local_addr,
            activation: Some(b"ACT"),
            environment: facts.environment,
        },
    }
}

/// Name and size in bytes of what takes most room in a request that is too large.
fn largest_part<'h>(
    facts: &Facts<'_>,
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
) -> (String, usize) {
    let certificate = facts.tls.and_then(|tls| tls.certificate).unwrap_or_default();
    let fixed = [
        ("the path".to_owned(), facts.uri.len()),
        ("the query string".to_owned(), facts.query.unwrap_or_default().len()),
        ("the client certificate".to_owned(), certificate.len()),
    ];
    headers
        .map(|(name, value)| {
            let name: &[u8] = name.get(..64).unwrap_or(name);
            (format!("header {}", name.escape_ascii()), value.len())
        })
        .chain(fixed)
        .max_by_key(|(_, size)| *size)
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
