//! Why a request failed, and what follows from it (spec/mod_jk.md 5.6 as amended by
//! spec/reliability.md 0).
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::ajp::{EncodeError, ProtocolError};
use crate::host::{BodyError, ResponseError};
use crate::log::Level;
use crate::net::ConnectError;

/// How far a request had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The request was looked at; no engine has been contacted.
    Prepare,
    /// A connection was looked for or opened.
    Connect,
    /// A CPING was sent.
    Cping,
    /// The request was being sent.
    Send,
    /// The request was sent, nothing of the answer has come.
    Head,
    /// More of the request body was being sent.
    Body,
    /// The answer's status and headers have come.
    Stream,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "prepare",
            Self::Connect => "connect",
            Self::Cping => "cping",
            Self::Send => "send",
            Self::Head => "head",
            Self::Body => "body",
            Self::Stream => "stream",
        })
    }
}

/// Why a request could not be served by an engine.
///
/// | failure | status | may be sent again | engine's fault |
/// |---|---|---|---|
/// | BadMethod | 501 | no | no |
/// | BadQuery | 400 | no | no |
/// | TooLarge | 413 | no | no |
/// | NoEndpoint, Busy | 503 | no | no |
/// | Connect, Ping, Send | 503 | yes: nothing can have been processed | yes |
/// | Closed, Reset | 502 | once, if idempotent on a reused connection without answer | yes |
/// | SocketTimeout | 502 | no | yes |
/// | ReplyTimeout | 504 | no | yes |
/// | Protocol | 502 | no | yes |
/// | BodySend | 502 | no | yes |
/// | StatusFatal | 503 | no | yes |
/// | Status | 503 | no | no |
/// | ClientBody | 400, 408, 413 or none | no | no |
/// | Response | none | no | no |
///
/// `recovery_options` set by hand lets more be sent again (spec/mod_jk.md 5.5).
#[derive(Debug, Error)]
pub enum Failure {
    /// The method is no HTTP token or longer than 64 bytes.
    #[error("the method is not an HTTP token of at most 64 bytes")]
    BadMethod,
    /// The query has a control character or a blank.
    #[error("the query string contains the byte 0x{0:02x}, which no URI may contain")]
    BadQuery(u8),
    /// The request does not fit into a packet.
    #[error(
        "{source}; the largest part is {largest} with {size} bytes; raise max_packet_size of \
         the worker and packetSize of the engine's AJP connector together"
    )]
    TooLarge {
        /// What is too large.
        source: EncodeError,
        /// Name of the largest part.
        largest: String,
        /// Its size, bytes.
        size: usize,
    },
    /// All connections of the pool are in use, or it has none.
    #[error("{}", no_endpoint(*size, *waited))]
    NoEndpoint {
        /// Pool size.
        size: usize,
        /// Acquire timeout.
        waited: Duration,
    },
    /// All processes together serve as many requests as they may.
    #[error("the processes of httpd are serving {limit} requests already (busy_limit)")]
    Busy {
        /// `busy_limit`.
        limit: u32,
    },
    /// No connection could be opened.
    #[error("{0}")]
    Connect(ConnectError),
    /// A new connection did not answer a CPING.
    #[error("the engine accepted a connection, but {0}")]
    Ping(PingError),
    /// The request could not be sent as a whole, its first body part aside.
    #[error("the request could not be sent: {0}")]
    Send(io::Error),
    /// The engine closed the connection.
    #[error("the engine closed the connection{}", within_packet(*partial, *missing))]
    Closed {
        /// Bytes of an incomplete packet that had come.
        partial: usize,
        /// Bytes that it lacked.
        missing: usize,
    },
    /// The connection was reset.
    #[error("the connection broke: {0}")]
    Reset(io::Error),
    /// Nothing came within `socket_timeout`.
    #[error("the engine sent nothing for {0:?} (socket_timeout)")]
    SocketTimeout(Duration),
    /// No packet came within `reply_timeout`.
    #[error("the engine sent no packet for {0:?} (reply_timeout)")]
    ReplyTimeout(Duration),
    /// The engine broke the protocol.
    #[error("{0}")]
    Protocol(ProtocolError),
    /// A part of the request body could not be sent.
    #[error("request body data could not be sent: {0}")]
    BodySend(io::Error),
    /// The engine answered with a status that stands for its failure.
    #[error(
        "the engine answered with status {status}, which fail_on_status={list} takes for its failure"
    )]
    StatusFatal {
        /// The engine's status.
        status: u16,
        /// The list that names it.
        list: String,
    },
    /// The engine answered with a status that stands for the failure of this request alone.
    #[error(
        "the engine answered with status {status}, which fail_on_status={list} takes for a failed request"
    )]
    Status {
        /// The engine's status.
        status: u16,
        /// The list that names it.
        list: String,
    },
    /// The request body could not be read from the client.
    #[error("{source} (got {got} bytes)")]
    ClientBody {
        /// What the web server says.
        source: BodyError,
        /// Bytes read before.
        got: u64,
    },
    /// The response could not be sent on.
    #[error("{0}")]
    Response(ResponseError),
}

fn no_endpoint(size: usize, waited: Duration) -> String {
    match size {
        0 => "the pool has no connections (connection_pool_size=0)".to_owned(),
        _ => format!(
            "all {size} connections of this process are in use and none became free within \
             {waited:?} (connection_pool_size, connection_acquire_timeout)"
        ),
    }
}

fn within_packet(partial: usize, missing: usize) -> String {
    match partial {
        0 => String::new(),
        _ => format!(" within a packet: need={} got={partial}", partial.saturating_add(missing)),
    }
}

/// Why a CPING was not answered as it should be.
#[derive(Debug, Error)]
pub enum PingError {
    /// No answer in time.
    #[error("it did not answer a CPING within {0:?}")]
    Timeout(Duration),
    /// Something else than a CPONG.
    #[error("it answered a CPING with something else: {0}")]
    Unexpected(String),
    /// Closed or broken.
    #[error("the connection broke at a CPING: {0}")]
    Broken(io::Error),
    /// A request needed the place of the idle connection before the answer came.
    #[error("a request needed its place before it answered a CPING")]
    GaveWay,
}

impl PingError {
    /// Name of the log event, stable.
    pub fn event(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "cping_timeout",
            Self::Unexpected(_) => "cping_unexpected",
            Self::Broken(_) => "cping_broken",
            Self::GaveWay => "cping_gave_way",
        }
    }
}

impl Failure {
    /// Status for the client; `None` where there is nobody to answer or an answer is under way.
    pub fn http_status(&self) -> Option<u16> {
        match self {
            Self::BadMethod => Some(501),
            Self::BadQuery(_) => Some(400),
            Self::TooLarge { .. } => Some(413),
            Self::NoEndpoint { .. }
            | Self::Busy { .. }
            | Self::Connect(_)
            | Self::Ping(_)
            | Self::Send(_)
            | Self::StatusFatal { .. }
            | Self::Status { .. } => Some(503),
            Self::Closed { .. }
            | Self::Reset(_)
            | Self::SocketTimeout(_)
            | Self::Protocol(_)
            | Self::BodySend(_) => Some(502),
            Self::ReplyTimeout(_) => Some(504),
            Self::ClientBody { source, .. } => source.http_status(),
            Self::Response(_) => None,
        }
    }

    /// Whether the engine cannot have processed the request, so that it may be sent again with
    /// `retries` (spec/reliability.md 0 (a)).
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Ping(_) | Self::Send(_))
    }

    /// Whether not even a connection was looked for, as too many are in use.
    pub fn is_saturation(&self) -> bool {
        matches!(self, Self::NoEndpoint { .. } | Self::Busy { .. })
    }

    /// Whether the connection ended as one does that the engine closed while it was idle
    /// (spec/reliability.md 0 (b)): no byte of an answer came.
    pub fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Closed { partial: 0, .. } | Self::Reset(_))
    }

    /// Whether the worker's state should know of it.
    pub fn marks_worker_down(&self) -> bool {
        self.level() == Level::Error && !self.is_saturation()
    }

    /// Whether the client, not the engine, is to blame.
    pub fn is_of_client(&self) -> bool {
        matches!(
            self,
            Self::BadMethod
                | Self::BadQuery(_)
                | Self::TooLarge { .. }
                | Self::ClientBody { .. }
                | Self::Response(_)
        )
    }

    /// Level of the log line.
    pub fn level(&self) -> Level {
        match self {
            Self::BadMethod
            | Self::BadQuery(_)
            | Self::TooLarge { .. }
            | Self::ClientBody { .. }
            | Self::Response(ResponseError::ClientGone | ResponseError::Answered(400..500)) => {
                Level::Info
            }
            Self::Response(_) | Self::Status { .. } => Level::Warn,
            _ => Level::Error,
        }
    }

    /// Name of the log event, stable (spec/reliability.md 5). `phase`: when it happened.
    pub fn event(&self, phase: Phase) -> &'static str {
        match self {
            Self::BadMethod => "bad_method",
            Self::BadQuery(_) => "bad_query",
            Self::TooLarge { .. } => "request_too_big",
            Self::NoEndpoint { .. } => "worker_saturated",
            Self::Busy { .. } => "busy_limit",
            Self::Connect(e) => e.event(),
            Self::Ping(e) => e.event(),
            Self::Send(_) => "send_failed",
            Self::Closed { partial: 1.., .. } => "short_packet",
            Self::Closed { .. } => match phase {
                Phase::Stream => "eof_mid_body",
                Phase::Body => "eof_in_body",
                _ => "eof_before_head",
            },
            Self::Reset(_) => match phase {
                Phase::Stream => "reset_mid_body",
                Phase::Body => "reset_in_body",
                _ => "reset_before_head",
            },
            Self::SocketTimeout(_) => "socket_timeout",
            Self::ReplyTimeout(_) => "reply_timeout",
            Self::Protocol(e) => e.event(),
            Self::BodySend(_) => "eof_in_body",
            Self::StatusFatal { .. } | Self::Status { .. } => "fail_on_status",
            Self::ClientBody { source, .. } => source.event(),
            Self::Response(ResponseError::ClientGone) => "client_abort",
            Self::Response(ResponseError::Answered(_)) => "response_refused",
            Self::Response(ResponseError::Failed(_)) => "response_failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_table_holds() {
        let io = || io::Error::from(io::ErrorKind::ConnectionReset);
        let list = || "500".to_owned();
        let second = Duration::from_secs(1);
        let body = |source| Failure::ClientBody { source, got: 3 };
        let refused = ConnectError::Connect { attempts: String::new(), source: io() };
        // failure, status, retryable, lost connection, marks the worker down
        let table = [
            (Failure::BadMethod, Some(501), false, false, false),
            (Failure::BadQuery(1), Some(400), false, false, false),
            (Failure::NoEndpoint { size: 1, waited: second }, Some(503), false, false, false),
            (Failure::Busy { limit: 1 }, Some(503), false, false, false),
            (Failure::Connect(refused), Some(503), true, false, true),
            (Failure::Ping(PingError::Timeout(second)), Some(503), true, false, true),
            (Failure::Send(io()), Some(503), true, false, true),
            (Failure::Closed { partial: 0, missing: 4 }, Some(502), false, true, true),
            (Failure::Closed { partial: 9, missing: 4 }, Some(502), false, false, true),
            (Failure::Reset(io()), Some(502), false, true, true),
            (Failure::SocketTimeout(second), Some(502), false, false, true),
            (Failure::ReplyTimeout(second), Some(504), false, false, true),
            (Failure::Protocol(ProtocolError::DoubleHead), Some(502), false, false, true),
            (Failure::BodySend(io()), Some(502), false, false, true),
            (Failure::StatusFatal { status: 500, list: list() }, Some(503), false, false, true),
            (Failure::Status { status: 500, list: list() }, Some(503), false, false, false),
            (body(BodyError::Timeout), Some(408), false, false, false),
            (body(BodyError::Disconnected), Some(400), false, false, false),
            (body(BodyError::Malformed), Some(400), false, false, false),
            (body(BodyError::TooLarge), Some(413), false, false, false),
            (body(BodyError::Refused(7)), Some(400), false, false, false),
            (body(BodyError::Answered(413)), None, false, false, false),
            (Failure::Response(ResponseError::ClientGone), None, false, false, false),
            (Failure::Response(ResponseError::Answered(416)), None, false, false, false),
            (Failure::Response(ResponseError::Failed(7)), None, false, false, false),
        ];
        for (failure, status, retryable, lost, down) in table {
            assert_eq!(failure.http_status(), status, "{failure:?}");
            assert_eq!(failure.is_retryable(), retryable, "{failure:?}");
            assert_eq!(failure.is_lost_connection(), lost, "{failure:?}");
            assert_eq!(failure.marks_worker_down(), down, "{failure:?}");
        }
    }
}
