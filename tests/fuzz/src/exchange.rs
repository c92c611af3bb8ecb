//! An engine that sends any packets in any order, and a client that has any body: whatever the
//! engine does, the client gets one answer that is as long as it says, and only a connection on
//! which nothing is open or left serves the next request.

use mod_jk::ajp::exchange::{CloseReason, Event, Exchange, Notice, RequestBody, Step, Verdict};
use mod_jk::ajp::message::{
    CPONG, encode_body_chunk, encode_end, encode_get_body_chunk, encode_head,
};
use mod_jk::ajp::{ProtocolError, body};

use super::input::Input;
use super::memory;

const MAX: usize = 8192;

/// Content-Length as an engine may write it.
const LENGTHS: [&str; 9] =
    ["0", "5", "100", "20000", "9223372036854775807", "-1", "9223372036854775808", "1x", ""];

/// A packet of the engine.
enum Packet {
    Head { status: u16, length: Option<u64>, is_good: bool },
    Chunk(usize),
    Ask(u16),
    End(bool),
    Other,
}

/// Decisions about the request, and then about one packet of the engine after the other.
pub fn exchange(data: &[u8]) {
    let mut input = Input::new(data);
    let is_head = input.coin();
    let upload = match input.byte() % 4 {
        0 => RequestBody::None,
        1 => RequestBody::Length(u64::from(input.word()).max(1)),
        2 => RequestBody::Length(u64::from(input.word()).max(1) * 1000),
        _ => RequestBody::Unknown,
    };
    // Of a body of unknown length this many bytes come.
    let has = u64::from(input.word()) * 10;
    let mut run = Run {
        exchange: Exchange::new(is_head, upload, MAX),
        upload,
        left: if let RequestBody::Length(length) = upload { length } else { has },
        model: Model { is_head, ..Model::default() },
    };
    let first = run.exchange.first_body_len();
    assert!(first <= body::capacity(MAX));
    if first > 0 {
        run.sent(first);
    }
    let mut unread = Vec::new();
    let mut packets = Vec::new();
    while !input.is_empty() {
        let bytes = packet(&mut input, &mut packets);
        unread.extend_from_slice(&bytes);
        if input.coin() && unread.len() < 200_000 {
            continue;
        }
        if !run.burst(&mut unread, &mut packets) {
            return;
        }
    }
    run.burst(&mut unread, &mut packets);
}

/// The next packet, also as the model has it. What cannot be told apart by the model ends it.
fn packet(input: &mut Input<'_>, packets: &mut Vec<Packet>) -> Vec<u8> {
    let mut out = Vec::new();
    let written = match input.byte() % 10 {
        0 | 1 => {
            let status = match input.byte() % 8 {
                0 => input.word(),
                1 => 204,
                2 => 304,
                3 => 205,
                _ => 200,
            };
            let choice = usize::from(input.byte());
            let value = LENGTHS.get(choice % 16).copied();
            let length = value.and_then(|value| value.parse().ok());
            let is_good = value.is_none() || length.is_some_and(|n| i64::try_from(n).is_ok());
            let is_twice = choice > 200 && value.is_some();
            packets.push(Packet::Head { status, length, is_good: is_good && !is_twice });
            let mut headers: Vec<(&[u8], &[u8])> = vec![(b"X-Own", b"value")];
            if let Some(value) = value {
                headers.push((b"content-LENGTH", value.as_bytes()));
                if is_twice {
                    headers.push((b"Content-Length", value.as_bytes()));
                }
            }
            encode_head(status, Some(b"R"), headers.into_iter(), &mut out, MAX)
        }
        2..=4 => {
            let size = usize::from(input.word() % 8000);
            let size = if input.coin() { size % 7 } else { size };
            packets.push(Packet::Chunk(size));
            encode_body_chunk(&vec![b'x'; size], &mut out, MAX)
        }
        5 | 6 => {
            let wanted = input.word();
            packets.push(Packet::Ask(wanted));
            encode_get_body_chunk(wanted, &mut out)
        }
        7 | 8 => {
            let reuse = !input.byte().is_multiple_of(4);
            packets.push(Packet::End(reuse));
            encode_end(reuse, &mut out)
        }
        _ => {
            packets.push(Packet::Other);
            out.extend_from_slice(match input.byte() % 4 {
                0 => &CPONG,
                1 => b"HTTP/1.1 200 OK\r\n\r\n",
                2 => b"AB\0\x01\x63",
                _ => b"\x12\x34\0\x01\x05",
            });
            Ok(())
        }
    };
    written.expect("it fits");
    out
}

/// What a client has seen, and what the engine has been told.
#[derive(Default)]
struct Model {
    is_head: bool,
    status: Option<u16>,
    length: Option<u64>,
    /// Bytes that the client got.
    body: u64,
    /// Bytes that the engine sent for it.
    offered: u64,
    /// Data packets of the request body, and their bytes.
    packets: u32,
    sent: u64,
    is_upload_over: bool,
    /// The last ask was for nothing, so an empty answer does not end the body.
    wants_nothing: bool,
    /// The engine went on without waiting for an answer to an ask.
    is_impatient: bool,
}

impl Model {
    fn has_no_body(&self) -> bool {
        self.is_head || matches!(self.status, Some(204 | 205 | 304))
    }
}

struct Run {
    exchange: Exchange,
    upload: RequestBody,
    /// Bytes of the request body that the client still has.
    left: u64,
    model: Model,
}

impl Run {
    fn sent(&mut self, count: usize) {
        self.exchange.body_sent(count);
        self.left -= count as u64;
        self.model.packets += 1;
        self.model.sent += count as u64;
        self.model.is_upload_over |= count == 0 && !self.model.wants_nothing;
        self.model.wants_nothing = false;
    }

    /// Works through what has come. False at the end of the exchange.
    fn burst(&mut self, unread: &mut Vec<u8>, packets: &mut Vec<Packet>) -> bool {
        let mut at = 0;
        let mut done = packets.drain(..);
        loop {
            let input = &unread[at..];
            let step = memory::at_most(0, || self.exchange.next(input));
            let Some(packet) = done.next() else {
                assert!(matches!(step, Ok(Step::Incomplete(_))) && input.is_empty(), "{step:?}");
                drop(done);
                unread.clear();
                return true;
            };
            let (consumed, event) = match step {
                Ok(Step::Event { consumed, event }) => (consumed, event),
                Ok(Step::Incomplete(missing)) => panic!("{missing} bytes missing"),
                Err(error) => {
                    self.refused(error, &packet);
                    return false;
                }
            };
            at += consumed;
            let more = at < unread.len();
            match event {
                Event::Head(head) => {
                    let Packet::Head { status, length, is_good } = packet else { panic!("a head") };
                    assert!(is_good && head.status == status && (200..1000).contains(&status));
                    assert_eq!(self.model.status.replace(status), None, "one status");
                    self.model.length = length;
                }
                Event::Body(data) => {
                    let Packet::Chunk(size) = packet else { panic!("a body") };
                    assert!(self.model.status.is_some() && !self.model.has_no_body());
                    assert!(!data.is_empty() && data.len() <= size);
                    self.model.offered += size as u64;
                    self.model.body += data.len() as u64;
                    let allowed = self.model.length.unwrap_or(u64::MAX);
                    assert_eq!(self.model.body, self.model.offered.min(allowed));
                }
                Event::Flush => assert!(matches!(packet, Packet::Chunk(0))),
                Event::Ignored(notice) => self.ignored(notice, &packet),
                Event::BodyWanted(most) => {
                    let Packet::Ask(wanted) = packet else { panic!("an ask") };
                    self.wanted(most, wanted, more);
                }
                Event::End(verdict) => {
                    let Packet::End(reuse) = packet else { panic!("an end") };
                    self.end(verdict, reuse, more);
                    return false;
                }
            }
            let is_complete = self.model.status.is_some()
                && (self.model.has_no_body() || self.model.length == Some(self.model.body));
            assert_eq!(self.exchange.is_body_complete(), is_complete);
        }
    }

    fn ignored(&mut self, notice: Notice, packet: &Packet) {
        let Packet::Chunk(size) = packet else { panic!("only body data is ignored") };
        match notice {
            Notice::EarlyFlush => assert!(self.model.status.is_none() && *size == 0),
            Notice::BodyDropped => assert!(self.model.has_no_body() && *size > 0),
            Notice::BodyExcess => {
                assert_eq!(self.model.length, Some(self.model.body));
                self.model.offered += *size as u64;
            }
        }
    }

    fn wanted(&mut self, most: usize, wanted: u16, more: bool) {
        assert!(most <= usize::from(wanted) && most <= body::capacity(MAX));
        if self.upload != RequestBody::Unknown {
            // Never more than was announced.
            assert!(most as u64 <= self.left);
        }
        self.model.is_impatient |= more;
        self.model.wants_nothing = wanted == 0;
        let count = most.min(usize::try_from(self.left).unwrap());
        self.sent(count);
    }

    fn end(&mut self, verdict: Verdict, reuse: bool, more: bool) {
        let model = &self.model;
        assert!(model.status.is_some(), "an end without a status");
        let has_excess = !model.has_no_body() && model.length.is_some_and(|l| model.offered > l);
        if !model.has_no_body()
            && let Some(length) = model.length
        {
            assert_eq!(model.body, length, "a body that is too short");
        }
        let is_uploaded = match self.upload {
            RequestBody::None => true,
            RequestBody::Length(length) => model.sent == length,
            RequestBody::Unknown => model.is_upload_over,
        };
        assert_eq!(self.exchange.is_upload_complete(), is_uploaded);
        let is_clean = reuse && !more && !has_excess && !model.is_impatient;
        let is_open = model.packets > 1 && !is_uploaded;
        assert_eq!(verdict == Verdict::Reuse, is_clean && !is_open, "{verdict:?}");
        if let Verdict::Close(reason) = verdict {
            let is_fault = more || has_excess || reuse && model.is_impatient;
            assert_eq!(reason.is_fault(), is_fault, "{reason:?}");
            assert_eq!(more, reason == CloseReason::UnexpectedBytes);
        }
    }

    /// Nothing is refused that a well-behaved engine sends.
    fn refused(&self, error: ProtocolError, packet: &Packet) {
        let model = &self.model;
        let has_begun = model.status.is_some();
        assert!(!error.event().is_empty() && !error.to_string().is_empty());
        let is_right = match (error, packet) {
            (ProtocolError::DoubleHead, Packet::Head { .. }) => has_begun,
            (ProtocolError::UpgradeImpossible, Packet::Head { status, .. }) => *status == 101,
            (ProtocolError::InterimStatus(_), Packet::Head { status, .. }) => {
                (100..200).contains(status)
            }
            (ProtocolError::BadStatus(_), Packet::Head { status, .. }) => {
                !(100..1000).contains(status)
            }
            (ProtocolError::BadContentLength, Packet::Head { is_good, .. }) => !is_good,
            (ProtocolError::BodyBeforeHead, Packet::Chunk(size)) => !has_begun && *size > 0,
            (ProtocolError::EndWithoutHead, Packet::End(_)) => !has_begun,
            (ProtocolError::BodyTooShort { announced, got }, Packet::End(_)) => {
                Some(announced) == model.length && got == model.body && got < announced
            }
            (ProtocolError::BodyOverAsk, Packet::Ask(_)) => model.is_upload_over,
            (ProtocolError::Decode(_), Packet::Other) => true,
            _ => false,
        };
        assert!(is_right, "{error:?}");
    }
}
