//! What was seen of a case: at the engine and at the client.

use crate::support::client::{BodyEnd, NoResponse, Response};
use crate::support::packet::{FORWARD_REQUEST, REQUEST_HEADERS};

/// Everything that one case brought about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// All packets that the engine got, headers included.
    pub(crate) packets: Vec<Vec<u8>>,
    pub(crate) answers: Vec<Answer>,
    /// Whatever else shows what happened, each in words.
    pub(crate) facts: Vec<String>,
}

/// What the client got for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Response {
        status: u16,
        version: String,
        reason: String,
        /// In order, without Date.
        headers: Vec<(String, String)>,
        body: Vec<u8>,
        end: BodyEnd,
        interim: Vec<u16>,
    },
    None(NoResponse),
}

impl Answer {
    pub(crate) fn new(response: Result<Response, NoResponse>) -> Self {
        match response {
            Ok(Response { head, body, end }) => Self::Response {
                status: head.status,
                version: head.version,
                reason: head.reason,
                headers: head.headers.into_iter().filter(|(name, _)| name != "Date").collect(),
                body,
                end,
                interim: head.interim,
            },
            Err(error) => Self::None(error),
        }
    }
}

impl Seen {
    /// Takes headers out of every request that the engine got.
    pub(crate) fn without_request_headers(&mut self, names: &[&str]) {
        for packet in self.packets.iter_mut().filter(|packet| is_request(packet)) {
            *packet = without_headers(packet, names);
        }
    }

    /// Takes headers out of every response.
    pub(crate) fn without_response_headers(&mut self, names: &[&str]) {
        for answer in &mut self.answers {
            if let Answer::Response { headers, .. } = answer {
                headers.retain(|(name, _)| {
                    !names.iter().any(|unwanted| unwanted.eq_ignore_ascii_case(name))
                });
            }
        }
    }

    /// Puts another local address, of the same length, into every request.
    pub(crate) fn with_local_addr(&mut self, addr: &[u8]) {
        const NAME: &[u8] = b"AJP_LOCAL_ADDR\0";
        for packet in self.packets.iter_mut().filter(|packet| is_request(packet)) {
            let at = packet.windows(NAME.len()).position(|part| part == NAME).expect("always sent");
            let value = at + NAME.len();
            assert_eq!(usize::from(word(packet, value)), addr.len());
            packet[value + 2..value + 2 + addr.len()].copy_from_slice(addr);
        }
    }

    /// How many requests the engine got.
    pub(crate) fn requests(&self) -> usize {
        self.packets.iter().filter(|packet| is_request(packet)).count()
    }

    /// True if the only answer has this status, and is httpd's own error page or is not.
    pub(crate) fn is_answered(&self, status: u16, by_httpd: bool) -> bool {
        let title = format!("<title>{status} ");
        matches!(&self.answers[..], [Answer::Response { status: seen, body, .. }]
            if *seen == status
                && String::from_utf8_lossy(body).contains(&title) == by_httpd)
    }

    /// Makes every TLS session id the same: each connection has its own.
    pub(crate) fn with_equal_session_ids(mut self) -> Self {
        const ATTRIBUTE: u8 = 9;
        const DIGITS: usize = 64;
        for packet in self.packets.iter_mut().filter(|packet| is_request(packet)) {
            let mut at = Layout::of(packet).attributes;
            while let Some(&code) = packet.get(at).filter(|code| **code != 0xFF) {
                let value = at + 1;
                let end = match code {
                    11 => value + 2,
                    10 => skip_string(packet, skip_string(packet, value)),
                    _ => skip_string(packet, value),
                };
                if code == ATTRIBUTE {
                    let id = &mut packet[value + 2..end - 1];
                    assert_eq!(id.len(), DIGITS, "a session id: {}", id.escape_ascii());
                    assert!(id.iter().all(u8::is_ascii_hexdigit), "{}", id.escape_ascii());
                    id.fill(b'0');
                }
                at = end;
            }
        }
        self
    }
}

fn is_request(packet: &[u8]) -> bool {
    // Behind code, method and length comes the protocol; a body packet has no code.
    packet.get(4) == Some(&FORWARD_REQUEST)
        && packet.get(8..).is_some_and(|rest| rest.starts_with(b"HTTP/"))
}

/// Where the variable parts of a FORWARD_REQUEST begin.
struct Layout {
    /// The number of headers.
    count: usize,
    /// Begin and end of each header, and its name in lower case if it was sent as a string.
    headers: Vec<(usize, usize, String)>,
    attributes: usize,
}

impl Layout {
    fn of(packet: &[u8]) -> Self {
        // Magic, length, code and method; protocol, URI, address, host, name; port, TLS or not.
        let count = (0..5).fold(6, |at, _| skip_string(packet, at)) + 3;
        let mut at = count + 2;
        let mut headers = Vec::new();
        for _ in 0..word(packet, count) {
            let start = at;
            let code = word(packet, at);
            let name = if code >> 8 == 0xA0 {
                at += 2;
                REQUEST_HEADERS[usize::from(code & 0xFF) - 1].to_owned()
            } else {
                at = skip_string(packet, at);
                String::from_utf8_lossy(&packet[start + 2..at - 1]).to_ascii_lowercase()
            };
            at = skip_string(packet, at);
            headers.push((start, at, name));
        }
        Self { count, headers, attributes: at }
    }
}

fn word(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

fn skip_string(packet: &[u8], at: usize) -> usize {
    match word(packet, at) {
        0xFFFF => at + 2,
        length => at + 2 + usize::from(length) + 1,
    }
}

/// The same request without some of its headers.
fn without_headers(packet: &[u8], names: &[&str]) -> Vec<u8> {
    let layout = Layout::of(packet);
    let kept: Vec<_> = layout
        .headers
        .iter()
        .filter(|(_, _, name)| !names.iter().any(|unwanted| unwanted.eq_ignore_ascii_case(name)))
        .collect();
    let count = u16::try_from(kept.len()).expect("no more than before");
    let mut out = packet[..layout.count].to_vec();
    out.extend(count.to_be_bytes());
    for (start, end, _) in kept {
        out.extend(&packet[*start..*end]);
    }
    out.extend(&packet[layout.attributes..]);
    let length = u16::try_from(out.len() - 4).expect("no more than before");
    out[2..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// What differs, in words and bytes; empty if nothing does.
pub(crate) fn differences(expected: &Seen, ours: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..expected.packets.len().max(ours.packets.len()) {
        let (left, right) = (expected.packets.get(at), ours.packets.get(at));
        if left != right {
            found.push(format!("packet {at}:\n{}", show_bytes(left, right)));
        }
    }
    for at in 0..expected.answers.len().max(ours.answers.len()) {
        let (left, right) = (expected.answers.get(at), ours.answers.get(at));
        if left != right {
            found.push(format!(
                "answer {at}:\n    expected {}\n    ours     {}",
                show_answer(left),
                show_answer(right)
            ));
        }
    }
    for at in 0..expected.facts.len().max(ours.facts.len()) {
        let (left, right) = (expected.facts.get(at), ours.facts.get(at));
        if left != right {
            found.push(format!("fact {at}:\n    expected {left:?}\n    ours     {right:?}"));
        }
    }
    found
}

fn show_bytes(left: Option<&Vec<u8>>, right: Option<&Vec<u8>>) -> String {
    let (Some(left), Some(right)) = (left, right) else {
        return format!("    expected {}\n    ours     {}", around(left, 0), around(right, 0));
    };
    let equal = left.iter().zip(right).skip(4).take_while(|(a, b)| a == b).count();
    // Some context before the first byte that differs.
    let from = (equal + 4).saturating_sub(60);
    format!(
        "    first difference at {}\n    expected {}\n    ours     {}",
        equal + 4,
        around(Some(left), from),
        around(Some(right), from)
    )
}

fn around(packet: Option<&Vec<u8>>, from: usize) -> String {
    let Some(packet) = packet else { return "(none)".into() };
    let part = &packet[from.min(packet.len())..packet.len().min(from + 400)];
    format!("{} bytes: …{}", packet.len(), part.escape_ascii())
}

fn show_answer(answer: Option<&Answer>) -> String {
    match answer {
        None => "(none)".into(),
        Some(Answer::None(error)) => format!("{error:?}"),
        Some(Answer::Response { status, version, reason, headers, body, end, interim }) => {
            let shown = &body[..body.len().min(300)];
            format!(
                "{version} {status} {reason:?} {headers:?} interim {interim:?} {end:?} \
                 {} bytes: {}",
                body.len(),
                shown.escape_ascii()
            )
        }
    }
}

#[test]
fn headers_are_taken_out_of_a_request() {
    let strings = |texts: &[&str]| -> Vec<u8> {
        let string = |text: &&str| {
            let length = u16::try_from(text.len()).expect("short");
            [&length.to_be_bytes()[..], text.as_bytes(), b"\0"].concat()
        };
        texts.iter().flat_map(string).collect()
    };
    let packet = |count: u8, headers: &[u8]| {
        let start = strings(&["HTTP/1.1", "/", "127.0.0.1"]);
        let payload = [
            &[FORWARD_REQUEST, 2][..],
            &start,
            b"\xff\xff",
            &strings(&["name"]),
            &[0, 80, 0, 0, count],
            headers,
            b"\xff",
        ]
        .concat();
        let length = u16::try_from(payload.len()).expect("short");
        [b"\x12\x34", &length.to_be_bytes()[..], &payload].concat()
    };
    let (coded, named) = ([&b"\xa0\x06"[..], &strings(&["close"])].concat(), strings(&["TE", "x"]));
    let host = [&b"\xa0\x0b"[..], &strings(&["name"])].concat();
    let all = packet(3, &[&coded[..], &host, &named].concat());
    assert!(is_request(&all));
    assert_eq!(without_headers(&all, &["Connection", "te"]), packet(1, &host));
    assert_eq!(without_headers(&all, &[]), all);
    assert!(!is_request(b"\x12\x34\x02\x02\x02\x00\x00\x08HTTP"));
}
