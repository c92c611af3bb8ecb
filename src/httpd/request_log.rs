//! JkRequestLogFormat: one line for each request that we have handled (spec/mod_jk.md 1.5).

use super::ffi;
use super::pool::{self, Pool};
use super::request::Record;
use crate::log::replace_controls;

/// What a `%` token stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    BytesOrDash,
    Bytes,
    Protocol,
    Method,
    Port,
    Query,
    RequestLine,
    Status,
    Duration,
    Path,
    CanonicalName,
    Name,
    Worker,
    Route,
}

impl Token {
    /// Every token with its letter.
    pub(super) const ALL: [(u8, Self); 14] = [
        (b'b', Self::BytesOrDash),
        (b'B', Self::Bytes),
        (b'H', Self::Protocol),
        (b'm', Self::Method),
        (b'p', Self::Port),
        (b'q', Self::Query),
        (b'r', Self::RequestLine),
        (b's', Self::Status),
        (b'T', Self::Duration),
        (b'U', Self::Path),
        (b'v', Self::CanonicalName),
        (b'V', Self::Name),
        (b'w', Self::Worker),
        (b'R', Self::Route),
    ];
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Text(Vec<u8>),
    Token(Token),
}

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestLog(Vec<Item>);

impl RequestLog {
    /// Compiles a format.
    ///
    /// # Errors
    /// The unknown token, for example `%x`; a single `%` at the end as well.
    pub(super) fn compile(format: &[u8]) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut rest = format;
        while let Some(first) = rest.first() {
            if *first != b'%' {
                let end = rest.iter().position(|b| *b == b'%').unwrap_or(rest.len());
                let (text, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                items.push(Item::Text(unescape(text)));
                rest = after;
                continue;
            }
            let letter = rest.get(1).copied();
            let known = Token::ALL.iter().find(|(known, _)| Some(*known) == letter);
            let Some((_, token)) = known else {
                let shown = rest.get(..2).unwrap_or(rest).escape_ascii().to_string();
                return Err(shown);
            };
            items.push(Item::Token(*token));
            rest = rest.get(2..).unwrap_or_default();
        }
        Ok(Self(items))
    }

    /// The line for a request, without stamp. A missing value is `-`.
    pub(super) fn line(&self, record: &Record<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        for item in &self.0 {
            match item {
                Item::Text(text) => line.extend_from_slice(text),
                Item::Token(token) => match value(*token, record) {
                    Some(mut value) => {
                        replace_controls(&mut value);
                        line.extend_from_slice(&value);
                    }
                    None => line.push(b'-'),
                },
            }
        }
        line
    }
}

/// `\\`, `\n` and `\t`; any other backslash stands for itself.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (byte, after) => (*byte, after),
        };
        out.push(byte);
        rest = after;
    }
    out
}

fn value(token: Token, record: &Record<'_>) -> Option<Vec<u8>> {
    let number = |n: i64| n.to_string().into_bytes();
    let r = record.get();
    let has_body = r.sent_bodyct != 0;
    match token {
        Token::BytesOrDash => has_body.then(|| number(r.bytes_sent)),
        Token::Bytes => Some(if has_body { number(r.bytes_sent) } else { b"0".to_vec() }),
        Token::Protocol => record.text(r.protocol).map(<[u8]>::to_vec),
        Token::Method => record.text(r.method).map(<[u8]>::to_vec),
        Token::Port => Some(number(port(record))),
        Token::Query => {
            Some(record.text(r.args).map_or_else(Vec::new, |args| [b"?", args].concat()))
        }
        Token::RequestLine => request_line(record),
        Token::Status => (r.status > 0).then(|| number(r.status.into())),
        Token::Duration => record.notes().get(c"JK_REQUEST_DURATION").map(<[u8]>::to_vec),
        Token::Path => record.text(r.uri).map(<[u8]>::to_vec),
        Token::CanonicalName => record.text(record.server()?.server_hostname).map(<[u8]>::to_vec),
        Token::Name => {
            // SAFETY: a live request; the result is a string in its pool or the configuration's.
            let name = unsafe { ffi::ap_get_server_name(record.raw()) };
            record.text(name).map(<[u8]>::to_vec)
        }
        Token::Worker => record.notes().get(c"JK_WORKER_NAME").map(<[u8]>::to_vec),
        Token::Route => record.notes().get(c"JK_WORKER_ROUTE").map(<[u8]>::to_vec),
    }
}

fn port(record: &Record<'_>) -> i64 {
    match record.server().map_or(0, |server| server.port) {
        // SAFETY: a live request.
        0 => i64::from(unsafe { ffi::ap_run_default_port(record.raw()) }),
        port => i64::from(port),
    }
}

/// The request line; a password in its URI is replaced by httpd's placeholder.
fn request_line(record: &Record<'_>) -> Option<Vec<u8>> {
    let r = record.get();
    if r.parsed_uri.password.is_null() {
        return record.text(r.the_request).map(<[u8]>::to_vec);
    }
    let pool: Pool<'_> = record.pool();
    // SAFETY: the URI of a live request, and its pool.
    let uri = unsafe { ffi::apr_uri_unparse(pool.raw(), &raw const r.parsed_uri, 0) };
    // SAFETY: null or a C string in the request's pool.
    let uri = unsafe { pool::text(uri) }?;
    let method = record.text(r.method)?;
    let protocol = record.text(r.protocol)?;
    Some(match r.assbackwards {
        0 => [method, b" ", uri, b" ", protocol].concat(),
        _ => [method, b" ", uri].concat(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_format_apart() {
        let compiled = RequestLog::compile(br"%w a\\b\n\t\x %T%").unwrap_err();
        assert_eq!(compiled, "%");
        let RequestLog(items) = RequestLog::compile(br"%w a\\b\n\t\x%T").unwrap();
        assert_eq!(
            items,
            [
                Item::Token(Token::Worker),
                Item::Text(b" a\\b\n\t\\x".to_vec()),
                Item::Token(Token::Duration),
            ]
        );
        assert_eq!(RequestLog::compile(b"%m %>s"), Err("%>".to_owned()));
        assert_eq!(RequestLog::compile(b""), Ok(RequestLog(Vec::new())));
    }
}
