//! An engine that costs next to nothing, in AJP and in HTTP: one thread per connection, one read and
//! one write per request, answers prepared beforehand.
//!
//! The last segment of the path says what is answered: `s`, `k10`, `k100`, `m1` are bodies of that
//! size, `upload8` and `upload64` take a body, in AJP packets of 8 or 64 KiB.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::{LazyLock, Mutex};

use crate::support::Endpoint;

/// The names and lengths in bytes of what can be fetched.
pub(super) const BODIES: [(&str, usize); 4] =
    [("s", 128), ("k10", 10_000), ("k100", 100_000), ("m1", 1_000_000)];

/// Body bytes that fit a packet of 8 KiB towards the web server.
const CHUNK: usize = 8192 - 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Ajp,
    Http,
}

struct Answer {
    ajp: Vec<u8>,
    http: Vec<u8>,
}

static ANSWERS: LazyLock<HashMap<&'static [u8], Answer>> = LazyLock::new(|| {
    let uploads = [("upload8", 16), ("upload64", 16)];
    BODIES
        .into_iter()
        .chain(uploads)
        .map(|(name, length)| (name.as_bytes(), Answer::new(&vec![b'x'; length])))
        .collect()
});

impl Answer {
    fn new(body: &[u8]) -> Self {
        let length = body.len().to_string();
        let mut http = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        http.extend_from_slice(body);

        // SEND_HEADERS with Content-Type (0xA001) and Content-Length (0xA003).
        let mut head = vec![4, 0, 200];
        put_string(&mut head, b"OK");
        head.extend([0, 2, 0xA0, 1]);
        put_string(&mut head, b"text/plain");
        head.extend([0xA0, 3]);
        put_string(&mut head, length.as_bytes());
        let mut ajp = packet(&head);
        for chunk in body.chunks(CHUNK) {
            let mut payload = vec![3];
            put_string(&mut payload, chunk);
            ajp.extend(packet(&payload));
        }
        ajp.extend(packet(&[5, 1]));
        Self { ajp, http }
    }
}

fn short(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("fits a packet").to_be_bytes()
}

fn put_string(to: &mut Vec<u8>, text: &[u8]) {
    to.extend(short(text.len()));
    to.extend(text);
    to.push(0);
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let mut packet = b"AB".to_vec();
    packet.extend(short(payload.len()));
    packet.extend(payload);
    packet
}

/// Where engine number `index` of a protocol listens. It lives as long as the program.
pub(super) fn tcp(protocol: Protocol, index: usize) -> SocketAddr {
    static RUNNING: Mutex<[Vec<SocketAddr>; 2]> = Mutex::new([Vec::new(), Vec::new()]);
    let mut running = RUNNING.lock().expect("no holder panics");
    let running = &mut running[usize::from(protocol == Protocol::Http)];
    while running.len() <= index {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        running.push(listener.local_addr().expect("its address"));
        serve_in_thread(move || {
            for stream in listener.incoming().flatten() {
                let _ = stream.set_nodelay(true);
                serve_in_thread(move || drop(serve(stream, protocol)));
            }
        });
    }
    running[index]
}

/// Listens on a Unix socket, until the program ends.
pub(super) fn unix(protocol: Protocol, dir: &std::path::Path) -> Endpoint {
    let path = dir.join(format!("{protocol:?}.sock"));
    let listener = UnixListener::bind(&path).expect("a new socket");
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&path, everybody).expect("chmod 777");
    serve_in_thread(move || {
        for stream in listener.incoming().flatten() {
            serve_in_thread(move || drop(serve(stream, protocol)));
        }
    });
    Endpoint::Unix(path)
}

fn serve_in_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(128 << 10).spawn(work).expect("a thread");
}

fn serve(stream: impl Read + Write, protocol: Protocol) -> io::Result<()> {
    let mut peer = Peer { stream, buffer: vec![0; 256 << 10], start: 0, end: 0 };
    loop {
        match protocol {
            Protocol::Ajp => peer.ajp()?,
            Protocol::Http => peer.http()?,
        }
    }
}

struct Peer<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<S: Read + Write> Peer<S> {
    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn take(&mut self, length: usize) {
        self.start += length;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.buffer.len() - self.end < 64 << 10 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = self.stream.read(&mut self.buffer[self.end..])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.end += read;
        Ok(())
    }

    /// The length of the packet that comes next, all of which is in the buffer then.
    fn packet(&mut self) -> io::Result<usize> {
        loop {
            if let [a, b, high, low, ..] = *self.unread() {
                if [a, b] != [0x12, 0x34] {
                    return Err(io::Error::other("this is no AJP packet"));
                }
                let length = 4 + usize::from(u16::from_be_bytes([high, low]));
                if self.unread().len() >= length {
                    return Ok(length);
                }
            }
            self.read_more()?;
        }
    }

    fn ajp(&mut self) -> io::Result<()> {
        let length = self.packet()?;
        let payload = &self.unread()[4..length];
        if payload[0] == 10 {
            self.take(length);
            return self.stream.write_all(&packet(&[9]));
        }
        let (answer, upload) = read_forward(payload)?;
        self.take(length);
        if let Some((size, ask)) = upload {
            self.ajp_body(size, ask)?;
        }
        self.stream.write_all(&answer.ajp)
    }

    fn ajp_body(&mut self, mut left: usize, ask: usize) -> io::Result<()> {
        let [high, low] = short(ask);
        let question = packet(&[6, high, low]);
        loop {
            let length = self.packet()?;
            // An empty packet carries no length of its own.
            let data = length.saturating_sub(6);
            self.take(length);
            left = left.saturating_sub(data);
            if left == 0 || data == 0 {
                return Ok(());
            }
            self.stream.write_all(&question)?;
        }
    }

    fn http(&mut self) -> io::Result<()> {
        let head = loop {
            match self.unread().windows(4).position(|four| four == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.read_more()?,
            }
        };
        let text = &self.unread()[..head];
        let path = text.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        let (name, answer) = answer(path)?;
        let mut left = if name.starts_with(b"upload") { content_length(text)? } else { 0 };
        self.take(head);
        while left > 0 {
            if self.unread().is_empty() {
                self.read_more()?;
            }
            let part = self.unread().len().min(left);
            self.take(part);
            left -= part;
        }
        self.stream.write_all(&answer.http)
    }
}

fn answer(path: &[u8]) -> io::Result<(&[u8], &'static Answer)> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let unknown = || io::Error::other("nothing is prepared for this path");
    Ok((name, ANSWERS.get(name).ok_or_else(unknown)?))
}

fn content_length(head: &[u8]) -> io::Result<usize> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = head.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.lines().next());
    let number = value.and_then(|value| value.trim().parse().ok());
    number.ok_or_else(|| io::Error::other("an upload without Content-Length"))
}

/// What to answer to a FORWARD_REQUEST; for an upload its length and how much to ask for at a time.
fn read_forward(payload: &[u8]) -> io::Result<(&'static Answer, Option<(usize, usize)>)> {
    let mut rest = Fields(payload);
    rest.skip(2)?;
    rest.string()?;
    let (name, answer) = answer(rest.string()?)?;
    let ask = match name {
        b"upload8" => 8192 - 6,
        b"upload64" => 65536 - 6,
        _ => return Ok((answer, None)),
    };
    for _ in 0..3 {
        rest.string()?;
    }
    rest.skip(3)?;
    for _ in 0..rest.short()? {
        let is_length = rest.0.starts_with(&[0xA0, 8]);
        if rest.0.first() == Some(&0xA0) {
            rest.skip(2)?;
        } else {
            rest.string()?;
        }
        let value = rest.string()?;
        if is_length {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            let length = length.ok_or_else(|| io::Error::other("a Content-Length"))?;
            return Ok((answer, Some((length, ask))));
        }
    }
    Err(io::Error::other("an upload without Content-Length"))
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn skip(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::InvalidData)?;
        self.0 = rest;
        Ok(taken)
    }

    fn short(&mut self) -> io::Result<u16> {
        let bytes = self.skip(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn string(&mut self) -> io::Result<&'a [u8]> {
        match self.short()? {
            u16::MAX => Ok(&[]),
            length => {
                let text = self.skip(length.into())?;
                self.skip(1)?;
                Ok(text)
            }
        }
    }
}
