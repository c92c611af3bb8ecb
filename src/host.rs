//! The seam between the core and a web server: what the core needs from one (DESIGN.md 2).
#![forbid(unsafe_code)]

use std::time::Duration;

use thiserror::Error;

pub use crate::ajp::exchange::RequestBody;
use crate::ajp::message::ResponseHead;
use crate::config::StatusList;
use crate::log::Log;

/// Facts of a request as the engine shall see them (spec/mod_jk.md 4.4). The web server's own
/// rules (canonical names, real client addresses, overrides) have been applied.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Method name.
    pub method: &'a [u8],
    /// Whether the client gets no body: HEAD, also where its error page is fetched with GET.
    pub is_head: bool,
    /// Protocol of the request line.
    pub protocol: &'a [u8],
    /// Encoded path without query.
    pub uri: &'a [u8],
    /// Query string without `?`.
    pub query: Option<&'a [u8]>,
    /// Client address as the web server knows it, whatever the engine is told.
    pub client: Option<&'a [u8]>,
    /// Client address.
    pub remote_addr: Option<&'a [u8]>,
    /// Client host name, where known.
    pub remote_host: Option<&'a [u8]>,
    /// Client port.
    pub remote_port: Option<&'a [u8]>,
    /// Server address of the connection.
    pub local_addr: Option<&'a [u8]>,
    /// Server name.
    pub server_name: &'a [u8],
    /// Server port.
    pub server_port: u16,
    /// Authenticated user.
    pub remote_user: Option<&'a [u8]>,
    /// Authentication scheme.
    pub auth_type: Option<&'a [u8]>,
    /// Route that the request must have, set by the administrator (`JK_ROUTE`).
    pub route: Option<&'a [u8]>,
    /// TLS data, where the client connection is TLS.
    pub tls: Option<Tls<'a>>,
    /// Names and values that the administrator adds (JkEnvVar), in their order.
    pub environment: &'a [(&'a [u8], &'a [u8])],
}

/// How one request is to be served: what the server's options, the mapping rule and the request's
/// environment say beyond the worker's own settings (spec/mod_jk.md 6.11).
#[derive(Debug, Clone, Copy, Default)]
pub struct Policy<'a> {
    /// Longest gap between two packets of the answer; `Some(None)`: none. `None`: the worker's.
    pub reply_timeout: Option<Option<Duration>>,
    /// Replaces the worker's `fail_on_status`.
    pub fail_on_status: Option<&'a StatusList>,
    /// Answers with this status and above are replaced by the web server's error page.
    pub use_server_errors: Option<u16>,
    /// How a balancer chooses a member.
    pub balancing: Balancing<'a>,
    /// `JkOptions +DisableReuse`: close the connection to the engine after the response.
    pub disable_reuse: bool,
    /// `JkOptions +FlushPackets`: flush to the client after every body packet.
    pub flush_packets: bool,
    /// `JkOptions +FlushHeader`: flush to the client right after the response headers.
    pub flush_header: bool,
    /// `JkOptions +ForwardHopByHop`: forward hop-by-hop request headers as C mod_jk does, but for
    /// Transfer-Encoding.
    pub forward_hop_by_hop: bool,
    /// `JkOptions +DropUnderscoreHeaders`: drop request headers with `_` in their name.
    pub drop_underscore_headers: bool,
}

/// What the mapping rule and the request's environment say to a balancer, beyond its own settings
/// (spec/mod_jk.md 6.11).
#[derive(Debug, Clone, Copy, Default)]
pub struct Balancing<'a> {
    /// Do not look at sessions.
    pub sticky_ignore: bool,
    /// The request opens no session.
    pub stateless: bool,
    /// Tell the client the route in a cookie.
    pub set_session_cookie: bool,
    /// Replaces the name of the cookie with the session id.
    pub session_cookie: Option<&'a [u8]>,
    /// Replaces the name of the path parameter with the session id.
    pub session_path: Option<&'a [u8]>,
    /// Replaces the path of the cookie with the route.
    pub session_cookie_path: Option<&'a [u8]>,
    /// Names of members that get all kinds of requests.
    pub active: &'a [Box<[u8]>],
    /// Names of members that get those of their own sessions.
    pub disabled: &'a [Box<[u8]>],
    /// Names of members that get none.
    pub stopped: &'a [Box<[u8]>],
}

/// TLS data of the client connection (spec/mod_jk.md 4.6).
#[derive(Debug, Clone, Copy, Default)]
pub struct Tls<'a> {
    /// Client certificate, PEM.
    pub certificate: Option<&'a [u8]>,
    /// Cipher suite.
    pub cipher: Option<&'a [u8]>,
    /// Session id.
    pub session: Option<&'a [u8]>,
    /// Key size, bits.
    pub key_size: Option<u16>,
    /// Protocol version.
    pub protocol: Option<&'a [u8]>,
}

/// Why the request body cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BodyError {
    /// The client sent nothing within the server's timeout.
    #[error("the client stopped sending its request body")]
    Timeout,
    /// The client closed its connection, or sent less than it announced.
    #[error("the client closed its connection within the request body")]
    Disconnected,
    /// The body is larger than the server allows.
    #[error("the request body is larger than httpd allows (LimitRequestBody)")]
    TooLarge,
    /// The body is malformed, for example a bad chunk header.
    #[error("the request body is malformed")]
    Malformed,
    /// A filter of the server refuses the rest of the body, with this status of its own.
    #[error("httpd refuses the rest of the request body (status {0}); its ErrorLog says why")]
    Refused(i32),
    /// The server has answered the request itself, with this status; it must only be abandoned.
    #[error("httpd has refused the request body with status {0}")]
    Answered(u16),
}

impl BodyError {
    /// Status for the client; `None` where an answer is under way already
    /// (spec/reliability.md 0 and 5.4).
    ///
    /// | error | status |
    /// |---|---|
    /// | Timeout | 408 |
    /// | Disconnected, Malformed, Refused | 400 |
    /// | TooLarge | 413 |
    /// | Answered | none |
    pub fn http_status(self) -> Option<u16> {
        match self {
            Self::Timeout => Some(408),
            Self::Disconnected | Self::Malformed | Self::Refused(_) => Some(400),
            Self::TooLarge => Some(413),
            Self::Answered(_) => None,
        }
    }

    /// Name of the log event, stable (spec/reliability.md 5.4).
    pub fn event(self) -> &'static str {
        match self {
            Self::Timeout | Self::Answered(408) => "client_body_timeout",
            Self::Disconnected => "client_abort",
            Self::TooLarge | Self::Answered(413) => "client_body_limit",
            Self::Malformed | Self::Answered(400) => "client_bad_chunk",
            Self::Refused(_) => "client_body_refused",
            Self::Answered(_) => "client_answered",
        }
    }
}

/// Why no more of the response can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResponseError {
    /// The client can no longer be written to.
    #[error("the client closed its connection before the response was complete")]
    ClientGone,
    /// The server has refused the response and answered by itself, with this status.
    #[error("an output filter of httpd has answered with status {0} instead of the response")]
    Answered(u16),
    /// A filter of the server failed, with this status of its own, while the client was there.
    #[error("an output filter of httpd failed (status {0}); its ErrorLog may say why")]
    Failed(i32),
}

/// One request of a web server, with its body and its response.
///
/// The response is *committed* once a byte of it may have left for the client. Until then it can
/// be [retracted](Request::retract) and another one begun; afterwards only completed or aborted.
pub trait Request: Log {
    /// What the engine shall see.
    fn facts(&self) -> Facts<'_>;

    /// How it is to be served.
    fn policy(&self) -> Policy<'_>;

    /// The client's headers in their order.
    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone;

    /// Whether there is a body.
    fn body(&self) -> RequestBody;

    /// Reads request body data into `buf`; 0 is the end of the body. Blocks.
    ///
    /// # Errors
    /// [`BodyError`]; the body must not be read again.
    fn read_body(&mut self, buf: &mut [u8]) -> Result<usize, BodyError>;

    /// As [`Request::read_body`], but takes only what is there already; 0 is nothing, or the end. What
    /// is wrong with the body is said by the read that must have it, unless the server has answered.
    ///
    /// # Errors
    /// [`BodyError::Answered`].
    fn read_body_ahead(&mut self, buf: &mut [u8]) -> Result<usize, BodyError>;

    /// Begins the response. Headers that must not pass have been dropped by the core.
    fn start_response<'h>(
        &mut self,
        head: &ResponseHead<'_>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    );

    /// Adds a `WWW-Authenticate` header to the error page with which the web server replaces an
    /// answer of the engine.
    fn add_challenge(&mut self, value: &[u8]);

    /// Takes parts of the response body; may hold them back until more comes or a flush.
    ///
    /// # Errors
    /// [`ResponseError`].
    fn write_body(&mut self, parts: &[&[u8]]) -> Result<(), ResponseError>;

    /// Sends everything that is held back to the client.
    ///
    /// # Errors
    /// [`ResponseError`].
    fn flush(&mut self) -> Result<(), ResponseError>;

    /// Completes the response. `now`: do not hold anything back for what may follow.
    ///
    /// # Errors
    /// [`ResponseError`].
    fn finish_response(&mut self, now: bool) -> Result<(), ResponseError>;

    /// Whether a byte of the response may have left for the client.
    fn is_committed(&self) -> bool;

    /// Takes a response back that is not committed.
    fn retract(&mut self);

    /// Seconds since 1970.
    fn now(&self) -> u64;

    /// Waits before an attempt is repeated.
    fn pause(&self, time: Duration);

    /// Ends a committed response so that the client can see that it is incomplete. `why`: the event
    /// of the failure.
    fn abort(&mut self, why: &'static str);
}
