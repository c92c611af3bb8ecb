//! An HTTP/1.1 client that shows what came over the wire, and `curl` for what it cannot do.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::process::Sha256;
use super::{DEADLINE, eventually};

/// One connection to a web server.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

/// Everything up to the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) version: String,
    pub(crate) status: u16,
    pub(crate) reason: String,
    /// In the order of arrival, names as sent.
    pub(crate) headers: Vec<(String, String)>,
    /// Status codes of the 1xx responses that came before.
    pub(crate) interim: Vec<u16>,
}

impl Head {
    /// The first value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.header_values(name).into_iter().next()
    }

    /// All values of a header, in order.
    pub(crate) fn header_values(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// A response with its body in memory.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) end: BodyEnd,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A response whose body was counted and hashed as it came.
#[derive(Debug, Clone)]
pub(crate) struct Streamed {
    pub(crate) head: Head,
    pub(crate) length: u64,
    pub(crate) sha256: String,
    pub(crate) end: BodyEnd,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    /// There is none: HEAD, 1xx, 204, 304.
    NoBody,
    /// All bytes of its Content-Length came.
    Length,
    /// The last chunk came, with the empty line after it.
    Chunked,
    /// It had no length and the server closed the connection: nobody can tell if that was all.
    Close,
    /// The server closed the connection within the body.
    Truncated,
    /// The connection was reset within the body.
    Reset,
}

impl BodyEnd {
    /// True if the client can know that it has all of the body.
    pub(crate) fn is_complete(self) -> bool {
        matches!(self, Self::NoBody | Self::Length | Self::Chunked)
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoResponse {
    /// The server closed the connection before the first byte.
    Closed,
    Reset,
    /// The server closed the connection within the head.
    Truncated,
    /// Nothing came for as long as [`DEADLINE`].
    Silence,
    /// What came is no HTTP/1 response.
    Garbage(String),
}

impl From<io::Error> for NoResponse {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Silence,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Reset,
            _ => Self::Garbage(error.to_string()),
        }
    }
}

/// How an upload says how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upload {
    ContentLength,
    /// Chunks of this many bytes.
    Chunked(usize),
}

/// One GET over a connection of its own.
#[track_caller]
pub(crate) fn get(addr: SocketAddr, target: &str) -> Response {
    Client::connect(addr).get(target)
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).unwrap_or_else(|error| panic!("{addr}: {error}")))
    }

    /// Connects to a server that may not be there.
    pub(crate) fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(addr).map(Self::new)
    }

    /// Connects from a certain local address, so that two servers see the same client port;
    /// see [`super::ReservedPort`].
    #[track_caller]
    pub(crate) fn connect_from(from: SocketAddr, to: SocketAddr) -> Self {
        let connect = || {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.bind(&from.into())?;
            socket.connect(&to.into())?;
            Ok(socket)
        };
        let mut result: io::Result<Socket> = connect();
        // A process that another test is just starting may still hold the socket that had the
        // address before.
        eventually(DEADLINE, || {
            let busy =
                matches!(&result, Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable);
            if busy {
                result = connect();
            }
            !busy
        });
        let socket = result.unwrap_or_else(|error| panic!("{to} from {from}: {error}"));
        Self::new(socket.into())
    }

    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a write timeout");
        Self { stream: BufReader::with_capacity(64 * 1024, stream) }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.stream.get_ref().local_addr().expect("a connected socket")
    }

    /// True if no byte has come, and none is on its way that has reached us.
    pub(crate) fn is_silent(&self) -> bool {
        let stream = self.stream.get_ref();
        stream.set_nonblocking(true).expect("a socket");
        let silent = self.stream.buffer().is_empty()
            && matches!(stream.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        stream.set_nonblocking(false).expect("a socket");
        silent
    }

    /// Waits until a byte has come, or the server closes the connection.
    pub(crate) fn wait_for_bytes(&mut self) -> io::Result<()> {
        self.stream.fill_buf().map(|_| ())
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// GET on this connection, which stays open.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.request("GET", target, &[], b"")
    }

    /// Sends a request and reads its response. `Host: localhost` is added unless given, and
    /// a Content-Length if there is a body.
    #[track_caller]
    pub(crate) fn request(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        let mut bytes = head(method, target, headers);
        if !body.is_empty() {
            bytes += &format!("Content-Length: {}\r\n", body.len());
        }
        bytes += "\r\n";
        // A server may answer and close without reading it all: its answer is what counts.
        let _ = self.send(&[bytes.as_bytes(), body].concat());
        self.read_response(method)
    }

    /// Sends a request whose body is sent in the given chunks, and reads its response.
    #[track_caller]
    pub(crate) fn request_chunked(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        chunks: &[&[u8]],
    ) -> Response {
        let bytes = head(method, target, headers) + "Transfer-Encoding: chunked\r\n\r\n";
        let mut bytes = bytes.into_bytes();
        for data in chunks {
            put_chunk(&mut bytes, data);
        }
        bytes.extend(b"0\r\n\r\n");
        let _ = self.send(&bytes);
        self.read_response(method)
    }

    /// Sends `length` bytes of [`Noise`] and returns their SHA-256; the response is still to
    /// be read. Stops early, with an error, if the server does not want more.
    pub(crate) fn upload(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        length: u64,
        upload: Upload,
    ) -> io::Result<String> {
        let mut bytes = head(method, target, headers);
        let step = match upload {
            Upload::ContentLength => {
                bytes += &format!("Content-Length: {length}\r\n\r\n");
                Noise::BLOCK
            }
            Upload::Chunked(size) => {
                bytes += "Transfer-Encoding: chunked\r\n\r\n";
                size.clamp(1, Noise::BLOCK)
            }
        };
        self.send(bytes.as_bytes())?;
        let (mut noise, mut hash) = (Noise::new(length), Sha256::new());
        let mut chunk = Vec::with_capacity(Noise::BLOCK + 16);
        while let Some(block) = noise.next_block() {
            hash.update(block);
            if upload == Upload::ContentLength {
                self.send(block)?;
                continue;
            }
            for data in block.chunks(step) {
                chunk.clear();
                put_chunk(&mut chunk, data);
                self.send(&chunk)?;
            }
        }
        if upload != Upload::ContentLength {
            self.send(b"0\r\n\r\n")?;
        }
        Ok(hash.finish())
    }

    /// Reads the next response in full. `method` is that of its request: it decides whether
    /// there is a body.
    #[track_caller]
    pub(crate) fn read_response(&mut self, method: &str) -> Response {
        self.try_read_response(method).unwrap_or_else(|error| panic!("no response: {error:?}"))
    }

    pub(crate) fn try_read_response(&mut self, method: &str) -> Result<Response, NoResponse> {
        let head = self.read_head()?;
        let mut body = Vec::new();
        let end = self.read_body(method, &head, |data| body.extend_from_slice(data))?;
        Ok(Response { head, body, end })
    }

    /// Reads the next response, counting and hashing its body rather than keeping it.
    pub(crate) fn read_streamed(&mut self, method: &str) -> Result<Streamed, NoResponse> {
        let head = self.read_head()?;
        let (mut hash, mut length) = (Sha256::new(), 0);
        let end = self.read_body(method, &head, |data| {
            length += data.len() as u64;
            hash.update(data);
        })?;
        Ok(Streamed { head, length, sha256: hash.finish(), end })
    }

    /// Reads up to the empty line before the body, and past 1xx responses.
    pub(crate) fn read_head(&mut self) -> Result<Head, NoResponse> {
        let mut interim = Vec::new();
        loop {
            let mut head = self.read_one_head()?;
            if (100..200).contains(&head.status) && head.status != 101 {
                interim.push(head.status);
                continue;
            }
            head.interim = interim;
            return Ok(head);
        }
    }

    fn read_one_head(&mut self) -> Result<Head, NoResponse> {
        let Some(line) = self.read_line()? else { return Err(NoResponse::Closed) };
        let mut words = line.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status = words.next().and_then(|word| word.parse().ok());
        let (true, Some(status)) = (version.starts_with("HTTP/"), status) else {
            return Err(NoResponse::Garbage(line));
        };
        let reason = words.next().unwrap_or_default().to_owned();
        let mut headers = Vec::new();
        loop {
            let line = self.read_line()?.ok_or(NoResponse::Truncated)?;
            if line.is_empty() {
                return Ok(Head { version, status, reason, headers, interim: Vec::new() });
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(NoResponse::Garbage(line));
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// A line without its CRLF; `None` at the end of the connection.
    fn read_line(&mut self) -> Result<Option<String>, NoResponse> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(match line.last() {
                Some(b'\n') => NoResponse::Garbage(String::from_utf8_lossy(&line).into_owned()),
                _ => NoResponse::Truncated,
            });
        };
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }

    /// Reads the body that follows `head`. Silence is an error, every other end a result.
    pub(crate) fn read_body(
        &mut self,
        method: &str,
        head: &Head,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<BodyEnd, NoResponse> {
        if method == "HEAD" || matches!(head.status, 100..=199 | 204 | 304) {
            return Ok(BodyEnd::NoBody);
        }
        let chunked = head
            .header("Transfer-Encoding")
            .is_some_and(|value| value.to_ascii_lowercase().ends_with("chunked"));
        let end = if chunked {
            self.read_chunks(&mut sink)
        } else if let Some(length) = head.header("Content-Length") {
            let length = length.parse().map_err(|_| NoResponse::Garbage(length.to_owned()))?;
            self.read_exactly(length, &mut sink).map(|()| BodyEnd::Length)
        } else {
            self.read_exactly(u64::MAX, &mut sink).map(|()| BodyEnd::Length)
        };
        match end {
            Err(NoResponse::Truncated | NoResponse::Closed)
                if !chunked && head.header("Content-Length").is_none() =>
            {
                Ok(BodyEnd::Close)
            }
            Err(NoResponse::Truncated | NoResponse::Closed) => Ok(BodyEnd::Truncated),
            Err(NoResponse::Reset) => Ok(BodyEnd::Reset),
            end => end,
        }
    }

    fn read_chunks(&mut self, sink: &mut impl FnMut(&[u8])) -> Result<BodyEnd, NoResponse> {
        loop {
            let line = self.read_line()?.ok_or(NoResponse::Truncated)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| NoResponse::Garbage(line))?;
            if size == 0 {
                // Trailers, if any, up to the empty line.
                while !self.read_line()?.ok_or(NoResponse::Truncated)?.is_empty() {}
                return Ok(BodyEnd::Chunked);
            }
            self.read_exactly(size, sink)?;
            let line = self.read_line()?.ok_or(NoResponse::Truncated)?;
            if !line.is_empty() {
                return Err(NoResponse::Garbage(line));
            }
        }
    }

    fn read_exactly(
        &mut self,
        mut length: u64,
        sink: &mut impl FnMut(&[u8]),
    ) -> Result<(), NoResponse> {
        while length > 0 {
            let data = self.stream.fill_buf()?;
            if data.is_empty() {
                return Err(NoResponse::Truncated);
            }
            let take = usize::try_from(length).unwrap_or(usize::MAX).min(data.len());
            sink(&data[..take]);
            self.stream.consume(take);
            length -= take as u64;
        }
        Ok(())
    }

    /// Reads body bytes as they come, without looking at their framing: at least one, at
    /// most `most`. Empty at the end of the connection.
    pub(crate) fn read_some(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; most];
        let length = self.stream.read(&mut data)?;
        data.truncate(length);
        Ok(data)
    }

    /// Waits until `length` bytes can be read, and leaves them to be read.
    pub(crate) fn peek(&mut self, length: usize) {
        let mut seen = vec![0; length];
        super::wait_until("bytes to arrive", || {
            self.stream.get_ref().peek(&mut seen).expect("peek") >= length
        });
        let buffered = self.stream.fill_buf().expect("bytes").len();
        assert!(buffered >= length, "{buffered} of {length} bytes fit the buffer");
    }

    /// True if the server closes the connection without sending anything more.
    pub(crate) fn is_closed_by_server(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(data) => data.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    /// Ends our direction of the connection.
    pub(crate) fn finish_sending(&self) {
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Goes away with a reset.
    pub(crate) fn abort(self) {
        let _ = SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO));
    }
}

/// The request line and headers, without the empty line after them.
pub(crate) fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += "Host: localhost\r\n";
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head
}

fn put_chunk(bytes: &mut Vec<u8>, data: &[u8]) {
    bytes.extend(format!("{:x}\r\n", data.len()).as_bytes());
    bytes.extend(data);
    bytes.extend(b"\r\n");
}

/// Bytes that do not compress and do not repeat: one random block, numbered. The same length
/// always gives the same bytes.
pub(crate) struct Noise {
    block: Vec<u8>,
    left: u64,
    number: u64,
}

impl Noise {
    pub(crate) const BLOCK: usize = 64 * 1024;

    pub(crate) fn new(length: u64) -> Self {
        let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut block = Vec::with_capacity(Self::BLOCK);
        while block.len() < Self::BLOCK {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend(state.to_le_bytes());
        }
        Self { block, left: length, number: 0 }
    }

    fn next_block(&mut self) -> Option<&[u8]> {
        if self.left == 0 {
            return None;
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(Self::BLOCK);
        self.block[..8].copy_from_slice(&self.number.to_le_bytes());
        self.number += 1;
        self.left -= length as u64;
        Some(&self.block[..length])
    }

    /// All of it, in memory.
    pub(crate) fn bytes(length: usize) -> Vec<u8> {
        let (mut noise, mut bytes) = (Self::new(length as u64), Vec::with_capacity(length));
        while let Some(block) = noise.next_block() {
            bytes.extend_from_slice(block);
        }
        bytes
    }
}

/// What one run of `curl` brought.
#[derive(Debug, Clone)]
pub(crate) struct Curl {
    /// curl's exit code: 0, or what failed.
    pub(crate) exit: i32,
    pub(crate) status: u16,
    /// `1.1`, `2`.
    pub(crate) version: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What curl complained about.
    pub(crate) complaint: String,
}

/// Runs `curl` for one transfer: HTTP/2 (`--http2`, `--http2-prior-knowledge`), TLS
/// (`--cacert`, `--cert`).
#[track_caller]
pub(crate) fn curl(args: &[&str]) -> Curl {
    let dir = super::temp_dir("jk-curl-");
    let (head, body) = (dir.path().join("head"), dir.path().join("body"));
    let out = Command::new("curl")
        .args(["-q", "-sS", "--noproxy", "*", "--max-time", "60", "-H", "Expect:"])
        .args(["-w", "%{http_code} %{http_version}"])
        .arg("-D")
        .arg(&head)
        .arg("-o")
        .arg(&body)
        .args(args)
        .output()
        .unwrap_or_else(|error| panic!("curl: {error}; misc/dev test installs it"));
    let written = String::from_utf8_lossy(&out.stdout).into_owned();
    let (status, version) = written.split_once(' ').unwrap_or(("0", ""));
    // The last head: interim responses come first.
    let head = std::fs::read_to_string(&head).unwrap_or_default();
    let head = head.trim_end().rsplit("\r\n\r\n").next().unwrap_or_default();
    let headers = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Curl {
        exit: out.status.code().unwrap_or(-1),
        status: status.parse().unwrap_or(0),
        version: version.to_owned(),
        headers,
        body: std::fs::read(&body).unwrap_or_default(),
        complaint: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}
