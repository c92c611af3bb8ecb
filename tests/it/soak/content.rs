//! What clients and engines agree upon: a request names its token and the length of its answer, and
//! every byte of both bodies follows from the token. So each answer tells whose it is.

use std::fmt::Write as _;

use crate::support::random::Random;

/// One request and the answer that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) token: u64,
    /// Bytes of the answer after its first line.
    pub(super) length: usize,
    /// Bytes of the request body; `None`: a GET.
    pub(super) upload: Option<usize>,
}

impl Wish {
    pub(super) fn method(self) -> &'static str {
        if self.upload.is_some() { "POST" } else { "GET" }
    }

    pub(super) fn target(self) -> String {
        format!("/soak/x.jsp?t={:016x}&n={}", self.token, self.length)
    }

    /// What an engine was asked for, from the query string.
    pub(super) fn of_query(query: &str) -> Option<Self> {
        let (token, length) = query.strip_prefix("t=")?.split_once("&n=")?;
        let token = u64::from_str_radix(token, 16).ok()?;
        Some(Self { token, length: length.parse().ok()?, upload: None })
    }

    /// The body of the request.
    pub(super) fn request_body(self) -> Vec<u8> {
        bytes(!self.token, self.upload.unwrap_or(0))
    }

    /// The answer of an engine that was sent this body.
    pub(super) fn answer(self, body: &[u8]) -> Vec<u8> {
        let mut answer = first_line(self.token, body.len(), digest(body)).into_bytes();
        answer.extend(bytes(self.token, self.length));
        answer
    }

    /// The answer that this request must get.
    pub(super) fn expected(self) -> Vec<u8> {
        self.answer(&self.request_body())
    }

    /// What is wrong with `body`, of which all or some came.
    pub(super) fn fault(self, body: &[u8], is_complete: bool) -> Option<String> {
        let expected = self.expected();
        if is_complete && body == expected || !is_complete && expected.starts_with(body) {
            return None;
        }
        let same = body.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        Some(format!(
            "{} of {} bytes came, complete: {is_complete}, the first {same} right: {shown:?}",
            body.len(),
            expected.len()
        ))
    }
}

fn first_line(token: u64, length: usize, digest: u64) -> String {
    format!("{token:016x} {length} {digest:x}\n")
}

/// The bytes that follow from a token.
fn bytes(token: u64, length: usize) -> Vec<u8> {
    let mut random = Random::new(token);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(random.next().to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// A body in chunks of random sizes.
pub(super) fn chunked(body: &[u8], random: &mut Random) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(body.len() + 64), body);
    while !rest.is_empty() {
        let (chunk, more) = rest.split_at(rest.len().min(1 + random.below(20_000)));
        out.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
        rest = more;
    }
    out.extend(b"0\r\n\r\n");
    out
}

/// The head of a request with its empty line. `more`: header lines, each with its end.
pub(super) fn head(wish: Wish, more: &str) -> String {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: localhost\r\n", wish.method(), wish.target());
    if wish.upload.is_some() {
        head += "Content-Type: application/octet-stream\r\n";
    }
    write!(head, "{more}\r\n").expect("a String");
    head
}

/// The page that makes a Tomcat answer as [`Wish::answer`] says.
pub(super) const JSP: &str = r#"<%@ page session="false" trimDirectiveWhitespaces="true"
  import="java.io.InputStream,java.io.OutputStream" %><%
  long token = Long.parseUnsignedLong(request.getParameter("t"), 16);
  int left = Integer.parseInt(request.getParameter("n"));
  long length = 0, digest = 0xcbf29ce484222325L;
  byte[] block = new byte[8192];
  InputStream in = request.getInputStream();
  for (int n; (n = in.read(block)) > 0; length += n)
    for (int i = 0; i < n; i++) digest = (digest ^ (block[i] & 0xff)) * 0x100000001b3L;
  String line = String.format("%016x %d %x\n", token, length, digest);
  response.setContentType("application/octet-stream");
  if (token % 2 == 0) response.setContentLength(line.length() + left);
  OutputStream body = response.getOutputStream();
  body.write(line.getBytes("ISO-8859-1"));
  long state = token;
  int at = 0;
  while (left > 0) {
    state += 0x9E3779B97F4A7C15L;
    long z = state;
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    z ^= z >>> 31;
    for (int shift = 56; shift >= 0 && left > 0; shift -= 8, left--) {
      block[at++] = (byte) (z >>> shift);
      if (at == block.length) { body.write(block); at = 0; }
    }
  }
  body.write(block, 0, at);
%>"#;

#[test]
fn an_answer_of_another_request_is_noticed() {
    let wish = Wish { token: 7, length: 100, upload: Some(10) };
    let other = Wish { token: 8, ..wish };
    assert_eq!(wish.fault(&wish.expected(), true), None);
    assert_eq!(wish.fault(&wish.expected()[..50], false), None);
    assert!(wish.fault(&wish.expected()[..50], true).is_some());
    assert!(wish.fault(&other.expected(), true).is_some());
    assert!(wish.fault(&other.expected()[..40], false).is_some());
    assert!(wish.fault(&wish.answer(&wish.request_body()[1..]), true).is_some());
    assert_eq!(Wish::of_query("t=0000000000000007&n=100"), Some(Wish { upload: None, ..wish }));
}
