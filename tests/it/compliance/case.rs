//! What is asked: one conversation of a client with httpd, and what the engine says to it.

use std::io;
use std::sync::Arc;

use super::seen::Seen;
use crate::support::engine::{Action, Conn};
use crate::support::packet::{self, Request};

/// The name and port that every request names unless its case says otherwise.
pub(crate) const HOST: &str = "www.example.test:8888";

/// One conversation: one client connection, one or more requests, as many responses.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: String,
    version: &'static str,
    method: String,
    target: Vec<u8>,
    host: Option<String>,
    lines: Vec<u8>,
    body: Vec<u8>,
    following: Vec<Case>,
    /// Over TLS, and with which credentials.
    pub(crate) tls: Option<Credentials>,
    pub(crate) reply: Reply,
    pub(crate) difference: Option<Difference>,
}

/// Who the client of a TLS connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    Anonymous,
    Certificate,
}

type Script = dyn Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync;

/// What the engine does with the requests of a case.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Reads the body and says what it got.
    Echo,
    /// Reads the body and sends these bytes.
    Bytes(Vec<u8>),
    Script(Arc<Script>),
}

/// How ours differs on purpose.
#[derive(Clone, Copy)]
pub(crate) struct Difference {
    /// The row's subject in misc/doc/COMPAT.md.
    pub(crate) row: &'static str,
    pub(crate) ours: Ours,
}

/// What ours does instead.
#[derive(Clone, Copy)]
pub(crate) enum Ours {
    /// What the C module does, changed in this way and no other.
    Changed(fn(&mut Seen)),
    /// httpd's own error page with this status; the engine does not see the request.
    Refused(u16),
    /// The engine sees the request this many times; the client gets httpd's own error page
    /// with this status.
    Failed { sent: usize, status: u16 },
    /// The engine sees the request once, and the client gets its answer with this status.
    Served(u16),
}

/// A GET without further headers.
pub(crate) fn get(target: impl AsRef<[u8]>) -> Case {
    request("GET", target)
}

/// A request without further headers.
pub(crate) fn request(method: &str, target: impl AsRef<[u8]>) -> Case {
    let target = target.as_ref().to_vec();
    let shown: String = target.escape_ascii().to_string().chars().take(60).collect();
    Case {
        name: format!("{method} {shown}"),
        version: "HTTP/1.1",
        method: method.to_owned(),
        target,
        host: Some(HOST.to_owned()),
        lines: Vec::new(),
        body: Vec::new(),
        following: Vec::new(),
        tls: None,
        reply: Reply::Echo,
        difference: None,
    }
}

impl Case {
    /// Adds to the name, which is to be unique within its group.
    pub(crate) fn named(mut self, what: &str) -> Self {
        self.name = format!("{} ({what})", self.name);
        self
    }

    /// The Host header, which comes first.
    pub(crate) fn host(self, host: &str) -> Self {
        self.to(host).named(host)
    }

    /// The Host header; the name stays as it is.
    pub(crate) fn to(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        for next in &mut self.following {
            next.host = Some(host.to_owned());
        }
        self
    }

    pub(crate) fn without_host(mut self) -> Self {
        self.host = None;
        self.named("no Host")
    }

    pub(crate) fn http10(mut self) -> Self {
        self.version = "HTTP/1.0";
        self.named("HTTP/1.0")
    }

    /// Adds `name: value`.
    pub(crate) fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.lines(&[name.as_bytes(), b": ", value.as_ref(), b"\r\n"].concat())
    }

    /// Adds bytes to the head as they are.
    pub(crate) fn lines(mut self, lines: &[u8]) -> Self {
        self.lines.extend(lines);
        self
    }

    /// A body with its Content-Length.
    pub(crate) fn body(self, body: &[u8]) -> Self {
        let mut case = self.header("Content-Length", body.len().to_string());
        case.name = format!("{} ({} bytes)", case.name, body.len());
        case.body = body.to_vec();
        case
    }

    /// A body in chunks.
    pub(crate) fn chunked(self, chunks: &[&[u8]]) -> Self {
        let total: usize = chunks.iter().map(|chunk| chunk.len()).sum();
        let mut case = self.header("Transfer-Encoding", "chunked");
        case.name = format!("{} ({total} bytes in {} chunks)", case.name, chunks.len());
        for chunk in chunks {
            case.body.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            case.body.extend(*chunk);
            case.body.extend(b"\r\n");
        }
        case.body.extend(b"0\r\n\r\n");
        case
    }

    /// Another request on the same connection, sent without waiting for the first answer.
    pub(crate) fn then(mut self, next: Self) -> Self {
        self.name = format!("{}, then {}", self.name, next.name);
        self.following.push(next);
        self
    }

    pub(crate) fn tls(mut self, credentials: Credentials) -> Self {
        self.tls = Some(credentials);
        self
    }

    /// Packets that the engine answers with.
    pub(crate) fn answered(mut self, packets: Vec<u8>) -> Self {
        self.reply = Reply::Bytes(packets);
        self
    }

    pub(crate) fn scripted(
        mut self,
        script: impl Fn(&mut Conn, &Request) -> io::Result<Action> + Send + Sync + 'static,
    ) -> Self {
        self.reply = Reply::Script(Arc::new(script));
        self
    }

    /// Ours does what `change` makes of what the C module does.
    pub(crate) fn differs(mut self, row: &'static str, change: fn(&mut Seen)) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Changed(change) });
        self
    }

    /// Ours refuses the request with `status`.
    pub(crate) fn refused(mut self, row: &'static str, status: u16) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Refused(status) });
        self
    }

    /// Ours fails with `status` after the engine has seen the request `sent` times.
    pub(crate) fn failed(mut self, row: &'static str, sent: usize, status: u16) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Failed { sent, status } });
        self
    }

    /// Ours has the engine answer it with `status`.
    pub(crate) fn served(mut self, row: &'static str, status: u16) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Served(status) });
        self
    }

    /// All that the client sends.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            [self.method.as_bytes(), b" ", &self.target, b" ", self.version.as_bytes(), b"\r\n"]
                .concat();
        if let Some(host) = &self.host {
            bytes.extend([b"Host: ", host.as_bytes(), b"\r\n"].concat());
        }
        bytes.extend(&self.lines);
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes.extend(self.following.iter().flat_map(Self::bytes));
        bytes
    }

    /// The methods of its requests, in order.
    pub(crate) fn methods(&self) -> Vec<&str> {
        let following = self.following.iter().flat_map(Self::methods);
        std::iter::once(self.method.as_str()).chain(following).collect()
    }
}

/// What an engine says to [`Reply::Echo`].
pub(crate) fn echo(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    let body = conn.read_body(request)?;
    let text = format!("{} {} {}", request.method(), request.uri(), body.len());
    conn.send(&packet::answer(200, &[("Content-Type", "text/plain")], text.as_bytes()))?;
    Ok(Action::Keep)
}
