//! Turns a request into a FORWARD_REQUEST, or says why it cannot be one (spec/mod_jk.md 4.2, 4.3).
#![forbid(unsafe_code)]

use super::error::Failure;
use super::headers;
use crate::ajp::forward::{Attributes, ForwardRequest};
use crate::ajp::message::is_token_byte;
use crate::config::{Ajp13Config, Secret, WorkerName};
use crate::host::{Facts, Request};

/// Longest method name that is forwarded, bytes (spec/reliability.md 2.6).
const LONGEST_METHOD: usize = 64;

/// What the engine and the client are told about the worker that was chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Routing<'r> {
    /// The route that the engine is told; `None`: what the administrator has set for the request.
    pub route: Option<&'r [u8]>,
    /// The activation that the engine is told.
    pub activation: &'static str,
    /// The cookie that the client gets with the response.
    pub cookie: Option<&'r [u8]>,
    /// The balancer that has chosen the worker and can choose another one.
    pub balancer: Option<&'r WorkerName>,
}

impl Routing<'_> {
    /// Those of a worker that rules name.
    pub(super) const DIRECT: Self =
        Self { route: None, activation: "ACT", cookie: None, balancer: None };
}

/// Writes the request into `out`.
///
/// # Errors
/// [`Failure`]; no engine needs to be contacted.
pub(super) fn encode<R: Request>(
    request: &R,
    config: &Ajp13Config,
    routing: Routing<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Failure> {
    let facts = request.facts();
    let is_token = !facts.method.is_empty() && facts.method.iter().copied().all(is_token_byte);
    if !is_token || facts.method.len() > LONGEST_METHOD {
        return Err(Failure::BadMethod);
    }
    let unsafe_byte = |b: &&u8| b.is_ascii_control() || **b == b' ';
    if let Some(byte) = facts.query.unwrap_or_default().iter().find(unsafe_byte) {
        return Err(Failure::BadQuery(*byte));
    }
    let forward = forward_request(&facts, config, routing);
    let policy = request.policy();
    let headers = headers::forwarded(request.headers(), request.body(), &policy);
    forward.encode(headers.clone(), out, config.packet_size.bytes()).map_err(|source| {
        let (largest, size) = largest_part(&facts, headers);
        Failure::TooLarge { source, largest, size }
    })
}

fn forward_request<'f>(
    facts: &Facts<'f>,
    config: &'f Ajp13Config,
    routing: Routing<'f>,
) -> ForwardRequest<'f> {
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
            route: routing.route.or(facts.route),
            ssl_cert: tls.certificate,
            ssl_cipher: tls.cipher,
            ssl_session: tls.session,
            ssl_key_size: tls.key_size,
            ssl_protocol: tls.protocol,
            remote_port: facts.remote_port,
            local_addr: facts.local_addr,
            activation: Some(routing.activation.as_bytes()),
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
