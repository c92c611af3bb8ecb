//! One row of the fault matrix, as data.

use crate::support::packet;

/// One row of the fault matrix.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The row of spec/reliability.md and what distinguishes this case of it.
    pub(crate) id: String,
    pub(crate) ask: Ask,
    pub(crate) play: Vec<Step>,
    pub(crate) then: Then,
    pub(crate) sees: Sees,
    /// Level and name of the one line in the log; nothing at `info` or above if there is none.
    pub(crate) event: Option<(&'static str, &'static str)>,
    pub(crate) fate: Fate,
    /// Worker, and with it the timeouts; see [`super::stage`].
    pub(crate) worker: &'static str,
    /// Headers that the answer must have, and ones that it must not have.
    pub(crate) with: Vec<(&'static str, &'static str)>,
    pub(crate) without: Vec<&'static str>,
    /// The connection ends before a byte of an answer: an idempotent request on a connection
    /// that has carried one before is sent once more.
    pub(crate) lost: bool,
}

/// What the client sends.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Get,
    Head,
    /// POST with a Content-Length.
    Post(usize),
    /// POST in chunks of 1000 bytes.
    Chunked(usize),
}

/// What the engine does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Say(Vec<u8>),
    /// Asks for body data and must get this many bytes.
    Ask(u16, usize),
    /// Reads the whole request body.
    ReadBody,
    /// Reads the first body packet, which came unasked.
    ReadFirst,
    /// Waits until the client has the head of the answer.
    ClientHasHead,
}

/// What becomes of the engine's end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It stays: if it is closed, then by us.
    Keep,
    Close,
    Reset,
}

/// What the client sees.
#[derive(Debug, Clone)]
pub(crate) enum Sees {
    /// httpd's own error page, and nothing of the engine's.
    Error(u16),
    /// A complete answer with this body.
    Whole(u16, Vec<u8>),
    /// An answer that is broken off for everybody to see after a part of these bytes.
    Broken(Vec<u8>),
}

/// What becomes of the connection to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Closed,
    Pooled,
}

impl Case {
    /// A GET to which the engine says `play` and then keeps the connection; 502.
    pub(crate) fn get(id: impl Into<String>, play: Vec<Step>) -> Self {
        Self {
            id: id.into(),
            ask: Ask::Get,
            play,
            then: Then::Keep,
            sees: Sees::Error(502),
            event: None,
            fate: Fate::Closed,
            worker: "w",
            with: Vec::new(),
            without: Vec::new(),
            lost: false,
        }
    }

    /// A GET whose answer is malformed: 502, one error line, the connection is closed.
    pub(crate) fn bad(id: impl Into<String>, bytes: Vec<u8>, event: &'static str) -> Self {
        Self::get(id, vec![Step::Say(bytes)]).error(event)
    }

    /// A GET with an answer that is served whole, over a connection that is kept.
    pub(crate) fn good(id: impl Into<String>, bytes: Vec<u8>, body: &[u8]) -> Self {
        let mut case = Self::get(id, vec![Step::Say(bytes)]).pooled();
        case.sees = Sees::Whole(200, body.to_vec());
        case
    }

    pub(crate) fn ask(mut self, ask: Ask) -> Self {
        self.ask = ask;
        self
    }

    pub(crate) fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    pub(crate) fn sees(mut self, sees: Sees) -> Self {
        self.sees = sees;
        self
    }

    pub(crate) fn status(self, status: u16) -> Self {
        let body = match &self.sees {
            Sees::Whole(_, body) => body.clone(),
            _ => Vec::new(),
        };
        self.sees(Sees::Whole(status, body))
    }

    pub(crate) fn event(mut self, level: &'static str, event: &'static str) -> Self {
        self.event = Some((level, event));
        self
    }

    pub(crate) fn error(self, event: &'static str) -> Self {
        self.event("error", event)
    }

    pub(crate) fn closed(mut self) -> Self {
        self.fate = Fate::Closed;
        self
    }

    pub(crate) fn pooled(mut self) -> Self {
        self.fate = Fate::Pooled;
        self
    }

    pub(crate) fn worker(mut self, worker: &'static str) -> Self {
        self.worker = worker;
        self
    }

    pub(crate) fn with(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.with.extend(headers);
        self
    }

    pub(crate) fn without(mut self, names: &[&'static str]) -> Self {
        self.without.extend(names);
        self
    }

    pub(crate) fn lost(mut self) -> Self {
        self.lost = true;
        self
    }

    /// How often the engine gets the request.
    pub(crate) fn executions(&self, reused: bool) -> usize {
        let idempotent = matches!(self.ask, Ask::Get | Ask::Head);
        if self.lost && idempotent && reused { 2 } else { 1 }
    }

    /// Whether it is worth its time to send the answer byte by byte.
    pub(crate) fn is_short(&self) -> bool {
        let said = self.play.iter().map(|step| match step {
            Step::Say(bytes) => bytes.len(),
            _ => 0,
        });
        said.sum::<usize>() < 2000
    }
}

/// SEND_HEADERS of an ordinary answer.
pub(crate) fn ok(headers: &[(&str, &str)]) -> Vec<u8> {
    packet::send_headers(200, "OK", headers)
}

pub(crate) fn end() -> Vec<u8> {
    packet::end_response(true)
}

/// A flush: what the client has from then on cannot be taken back.
pub(crate) fn flush() -> Vec<u8> {
    packet::body_chunk(b"")
}

/// SEND_HEADERS with everything chosen by hand: the reason and each header as they stand on the
/// wire, length fields included.
pub(crate) fn raw_head(status: u16, reason: &[u8], count: u16, headers: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![packet::SEND_HEADERS];
    payload.extend(status.to_be_bytes());
    payload.extend(reason);
    payload.extend(count.to_be_bytes());
    payload.extend(headers.concat());
    packet::frame(&payload)
}

/// A string as AJP13 writes it.
pub(crate) fn string(text: &[u8]) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short string");
    [&length.to_be_bytes()[..], text, b"\0"].concat()
}

/// SEND_HEADERS 200 with one header, given as bytes.
pub(crate) fn head_with(name: &[u8], value: &[u8]) -> Vec<u8> {
    raw_head(200, &string(b"OK"), 1, &[&string(name), &string(value)])
}
