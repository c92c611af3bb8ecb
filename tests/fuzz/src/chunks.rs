//! The same bytes give the same events, in whatever pieces they arrive.

use mod_jk::ajp::exchange::{CloseReason, Event, Exchange, RequestBody, Step, Verdict};

use super::input::Input;

/// A decision or two about the request, the sizes of the pieces, and what the engine sends.
pub fn chunks(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = input.byte();
    let sizes = input.text();
    let packets = stream(input.rest());
    let exchange = || {
        let body = match settings >> 1 & 3 {
            0 => RequestBody::None,
            1 => RequestBody::Length(5000),
            2 => RequestBody::Length(100_000),
            _ => RequestBody::Unknown,
        };
        Exchange::new(settings & 1 == 1, body, 8192)
    };
    let whole = run(exchange(), &packets, &[]);
    let pieces = run(exchange(), &packets, sizes);
    assert_eq!((&whole.events, &whole.body), (&pieces.events, &pieces.body));
    // Whether something stands behind a packet can be known only when it has come.
    let depends = |seen: &Seen| {
        use CloseReason::{AskUnanswered, UnexpectedBytes};
        matches!(seen.end, End::Closed(UnexpectedBytes | AskUnanswered))
    };
    if !depends(&whole) {
        assert_eq!(whole.end, pieces.end);
    }
    let bytewise = run(exchange(), &packets, &[1]);
    assert_eq!((&whole.events, &whole.body), (&bytewise.events, &bytewise.body));
    assert!(!depends(&bytewise) || depends(&whole));
}

/// What an engine sends: the bytes as they are, or each text as the payload of a packet.
fn stream(bytes: &[u8]) -> Vec<u8> {
    let mut input = Input::new(bytes);
    if input.coin() {
        return input.rest().to_vec();
    }
    let mut packets = Vec::new();
    while !input.is_empty() {
        let payload = input.text();
        let length = u16::try_from(payload.len()).unwrap();
        packets.extend_from_slice(b"AB");
        packets.extend_from_slice(&length.to_be_bytes());
        packets.extend_from_slice(payload);
    }
    packets
}

#[derive(Debug, PartialEq, Eq)]
enum End {
    Waiting,
    Failed(&'static str),
    Reused,
    Closed(CloseReason),
}

struct Seen {
    events: Vec<String>,
    body: Vec<u8>,
    end: End,
}

/// Feeds `bytes` in pieces of these sizes, again and again; in one where there are none.
fn run(mut exchange: Exchange, bytes: &[u8], sizes: &[u8]) -> Seen {
    let mut seen = Seen { events: Vec::new(), body: Vec::new(), end: End::Waiting };
    let mut upload = exchange.first_body_len();
    if upload > 0 {
        exchange.body_sent(upload);
    }
    let mut sizes = sizes.iter().map(|size| usize::from(*size).max(1)).cycle();
    let (mut from, mut to, mut needed) = (0, 0, 1);
    while to < bytes.len() {
        to = bytes.len().min(to + sizes.next().unwrap_or(bytes.len()));
        loop {
            let input = &bytes[from..to];
            let (consumed, event) = match exchange.next(input) {
                Err(error) => {
                    seen.end = End::Failed(error.event());
                    return seen;
                }
                Ok(Step::Incomplete(missing)) => {
                    assert!(missing > 0);
                    needed = input.len() + missing;
                    break;
                }
                Ok(Step::Event { consumed, event }) => (consumed, event),
            };
            assert!(input.len() >= needed, "an event before all of it had come");
            assert!(consumed >= 4 && consumed <= input.len());
            (from, needed) = (from + consumed, 1);
            match event {
                Event::Head(head) => {
                    let headers: Vec<_> = head.headers().collect();
                    seen.events.push(format!("{} {:?} {headers:?}", head.status, head.reason));
                }
                Event::Body(data) => {
                    seen.events.push(format!("body {}", data.len()));
                    seen.body.extend_from_slice(data);
                }
                Event::BodyWanted(most) => {
                    // The client has no more than 200 kB.
                    let sent = most.min(200_000_usize.saturating_sub(upload));
                    upload += sent;
                    exchange.body_sent(sent);
                    seen.events.push(format!("wanted {most}"));
                }
                Event::Flush => seen.events.push("flush".to_owned()),
                Event::Ignored(notice) => seen.events.push(format!("{notice:?}")),
                Event::End(Verdict::Reuse) => {
                    seen.end = End::Reused;
                    return seen;
                }
                Event::End(Verdict::Close(reason)) => {
                    assert!(!reason.event().is_empty() && !reason.sentence().is_empty());
                    seen.end = End::Closed(reason);
                    return seen;
                }
            }
        }
    }
    seen
}
