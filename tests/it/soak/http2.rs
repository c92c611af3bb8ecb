//! As much of an HTTP/2 client as it takes to run several streams at once and reset some of them.
//! Of the headers of an answer it reads the status only.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::content::Wish;
use crate::support::DEADLINE;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// One stream to be run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub(super) wish: Wish,
    /// Reset by us once this many bytes of the body came; 0: right after the request.
    pub(super) reset_after: Option<usize>,
}

/// What came of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Clean,
    /// The server's RST_STREAM.
    Reset,
    /// Ours.
    ByUs,
    /// The connection ended.
    Lost,
    /// Nothing came for as long as [`DEADLINE`].
    Silence,
}

/// A connection. Its request bodies must stay below 64 KiB in all: windows are not watched.
pub(super) struct Http2 {
    stream: BufReader<TcpStream>,
    next: u32,
}

struct Frame {
    kind: u8,
    flags: u8,
    id: u32,
    payload: Vec<u8>,
}

impl Http2 {
    pub(super) fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        let mut client = Self { stream: BufReader::new(stream), next: 1 };
        // No table of headers, no push, and windows that never fill.
        let settings = [[0, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0], [0, 4, 0x7F, 0xFF, 0xFF, 0xFF]];
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        put(&mut hello, SETTINGS, 0, 0, &settings.concat());
        put(&mut hello, WINDOW_UPDATE, 0, 0, &[0x7F, 0, 0, 0]);
        client.send(&hello)?;
        Ok(client)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Runs all streams at the same time.
    pub(super) fn run(&mut self, orders: &[Order]) -> Vec<Stream> {
        let mut streams = BTreeMap::new();
        for order in orders {
            let id = self.next;
            self.next += 2;
            let mut stream = Stream::default();
            let mut packets = request(id, order.wish);
            if order.reset_after == Some(0) {
                put(&mut packets, RST_STREAM, 0, id, &[0, 0, 0, 8]);
                stream.end = Some(End::ByUs);
            }
            // What could not be sent gets no answer, which is seen below.
            let _ = self.send(&packets);
            streams.insert(id, (stream, order.reset_after));
        }
        while streams.values().any(|(stream, _)| stream.end.is_none()) {
            let gone = match self.frame() {
                Ok(frame) => self.take(&frame, &mut streams).err().map(|_| End::Lost),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(End::Silence),
                Err(_) => Some(End::Lost),
            };
            if let Some(end) = gone {
                streams.values_mut().for_each(|(stream, _)| {
                    stream.end.get_or_insert(end);
                });
            }
        }
        streams.into_values().map(|(stream, _)| stream).collect()
    }

    fn take(
        &mut self,
        frame: &Frame,
        streams: &mut BTreeMap<u32, (Stream, Option<usize>)>,
    ) -> io::Result<()> {
        let mut reply = Vec::new();
        match (frame.kind, frame.flags & ACK) {
            (SETTINGS, 0) => put(&mut reply, SETTINGS, ACK, 0, &[]),
            (PING, 0) => put(&mut reply, PING, ACK, 0, &frame.payload),
            _ => {}
        }
        if let Some((stream, reset_after)) = streams.get_mut(&frame.id)
            && stream.end.is_none()
        {
            match frame.kind {
                HEADERS if stream.status == 0 => stream.status = status(&frame.content()),
                DATA => stream.body.extend(frame.content()),
                RST_STREAM => stream.end = Some(End::Reset),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                stream.end = Some(End::Clean);
            } else if reset_after.is_some_and(|after| stream.body.len() >= after) {
                put(&mut reply, RST_STREAM, 0, frame.id, &[0, 0, 0, 8]);
                stream.end = Some(End::ByUs);
            }
        }
        if reply.is_empty() { Ok(()) } else { self.send(&reply) }
    }

    fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, d, e, f, g] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, id: u32::from_be_bytes([d & 0x7F, e, f, g]), payload })
    }
}

impl Frame {
    /// The payload without padding and priority.
    fn content(&self) -> Vec<u8> {
        let (mut start, mut end) = (0, self.payload.len());
        if self.flags & PADDED != 0 {
            start = 1;
            end -= usize::from(self.payload[0]);
        }
        if self.kind == HEADERS && self.flags & PRIORITY != 0 {
            start += 5;
        }
        self.payload[start..end].to_vec()
    }
}

/// The status of a header block that begins with it, as those of all servers do: an entry of the
/// static table, or 1 for what has none, such as 502.
fn status(block: &[u8]) -> u16 {
    let first = block.iter().find(|byte| **byte >> 5 != 1);
    match first {
        Some(0x88) => 200,
        Some(0x8B) => 304,
        Some(0x8C) => 400,
        Some(0x8D) => 404,
        Some(0x8E) => 500,
        _ => 1,
    }
}

fn put(out: &mut Vec<u8>, kind: u8, flags: u8, id: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    out.extend(&length[1..]);
    out.extend([kind, flags]);
    out.extend(id.to_be_bytes());
    out.extend(payload);
}

fn request(id: u32, wish: Wish) -> Vec<u8> {
    let mut block = Vec::new();
    let target = wish.target();
    let headers = [
        (":method", wish.method()),
        (":scheme", "http"),
        (":path", &target),
        (":authority", "localhost"),
        ("content-type", "application/octet-stream"),
    ];
    for (name, value) in headers {
        // Literal, new name, not indexed, not compressed.
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).ok().filter(|n| *n < 127).expect("short"));
            block.extend(text.as_bytes());
        }
    }
    let mut out = Vec::new();
    let body = wish.request_body();
    let end = if wish.upload.is_some() { 0 } else { END_STREAM };
    put(&mut out, HEADERS, END_HEADERS | end, id, &block);
    if wish.upload.is_some() {
        for part in body.chunks(16_384) {
            put(&mut out, DATA, 0, id, part);
        }
        put(&mut out, DATA, END_STREAM, id, &[]);
    }
    out
}
