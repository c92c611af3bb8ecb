//! AJP13 as the harness understands it: deliberately not the module's own codec, so that the
//! two check each other. Decoding panics with the offending bytes: a request that cannot be
//! read is a failed test.

/// Method names by their code, from code 1.
pub(crate) const METHODS: [&str; 27] = [
    "OPTIONS",
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "ACL",
    "REPORT",
    "VERSION-CONTROL",
    "CHECKIN",
    "CHECKOUT",
    "UNCHECKOUT",
    "SEARCH",
    "MKWORKSPACE",
    "UPDATE",
    "LABEL",
    "MERGE",
    "BASELINE-CONTROL",
    "MKACTIVITY",
];

/// Request header names by their code, from 0xA001.
pub(crate) const REQUEST_HEADERS: [&str; 14] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "connection",
    "content-type",
    "content-length",
    "cookie",
    "cookie2",
    "host",
    "pragma",
    "referer",
    "user-agent",
];

/// Response header names by their code, from 0xA001.
const RESPONSE_HEADERS: [&str; 11] = [
    "Content-Type",
    "Content-Language",
    "Content-Length",
    "Date",
    "Last-Modified",
    "Location",
    "Set-Cookie",
    "Set-Cookie2",
    "Servlet-Engine",
    "Status",
    "WWW-Authenticate",
];

/// What precedes a packet to the engine, and one from it.
pub(crate) const TO_ENGINE: [u8; 2] = [0x12, 0x34];
pub(crate) const FROM_ENGINE: [u8; 2] = [0x41, 0x42];

pub(crate) const FORWARD_REQUEST: u8 = 2;
pub(crate) const SEND_BODY_CHUNK: u8 = 3;
pub(crate) const SEND_HEADERS: u8 = 4;
pub(crate) const END_RESPONSE: u8 = 5;
pub(crate) const GET_BODY_CHUNK: u8 = 6;
pub(crate) const CPONG: u8 = 9;
pub(crate) const CPING: u8 = 10;

/// The most data a body chunk holds in a packet of the default size.
pub(crate) const CHUNK_MAX: usize = 8192 - 4 - 4;

/// A packet from the engine: magic, length, payload.
pub(crate) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a payload below 64 KiB");
    [&FROM_ENGINE[..], &length.to_be_bytes(), payload].concat()
}

/// SEND_HEADERS. Names that have a code are sent as their code.
pub(crate) fn send_headers(status: u16, reason: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut payload = vec![SEND_HEADERS];
    payload.extend(status.to_be_bytes());
    put_string(&mut payload, reason.as_bytes());
    payload.extend(u16::try_from(headers.len()).expect("few headers").to_be_bytes());
    for (name, value) in headers {
        match RESPONSE_HEADERS.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            Some(index) => payload.extend([0xA0, u8::try_from(index + 1).expect("a code")]),
            None => put_string(&mut payload, name.as_bytes()),
        }
        put_string(&mut payload, value.as_bytes());
    }
    frame(&payload)
}

/// SEND_BODY_CHUNK, with the NUL that Tomcat appends. Empty data asks for a flush.
pub(crate) fn body_chunk(data: &[u8]) -> Vec<u8> {
    let mut payload = vec![SEND_BODY_CHUNK];
    payload.extend(u16::try_from(data.len()).expect("a chunk below 64 KiB").to_be_bytes());
    payload.extend(data);
    payload.push(0);
    frame(&payload)
}

/// END_RESPONSE.
pub(crate) fn end_response(reuse: bool) -> Vec<u8> {
    frame(&[END_RESPONSE, u8::from(reuse)])
}

/// GET_BODY_CHUNK for `length` bytes.
pub(crate) fn get_body_chunk(length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    frame(&[GET_BODY_CHUNK, high, low])
}

/// CPONG.
pub(crate) fn cpong() -> Vec<u8> {
    frame(&[CPONG])
}

/// A whole answer: headers, the body in chunks of the default packet size, the end.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut packets = send_headers(status, "", headers);
    for chunk in body.chunks(CHUNK_MAX) {
        packets.extend(body_chunk(chunk));
    }
    packets.extend(end_response(true));
    packets
}

fn put_string(payload: &mut Vec<u8>, text: &[u8]) {
    payload.extend(u16::try_from(text.len()).expect("a string below 64 KiB").to_be_bytes());
    payload.extend(text);
    payload.push(0);
}

/// A header name as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Code(u16),
    Text(String),
}

impl Name {
    /// The name, whichever way it was sent.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Code(code) => usize::from(*code)
                .checked_sub(0xA001)
                .and_then(|index| REQUEST_HEADERS.get(index))
                .copied()
                .unwrap_or("(unknown code)"),
            Self::Text(text) => text,
        }
    }
}

/// A request attribute. Strings may be null on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attr {
    Context(Text),
    ServletPath(Text),
    RemoteUser(Text),
    AuthType(Text),
    QueryString(Text),
    Route(Text),
    SslCert(Text),
    SslCipher(Text),
    SslSession(Text),
    Named(Text, Text),
    SslKeySize(u16),
    Secret(Text),
    StoredMethod(Text),
}

/// A string of the wire: `None` is the null string.
pub(crate) type Text = Option<String>;

/// A FORWARD_REQUEST, decoded. Bytes that are not UTF-8 show as U+FFFD; `raw` has them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// Number of the connection it came over, from 0.
    pub(crate) connection: usize,
    /// The whole packet, its header included.
    pub(crate) raw: Vec<u8>,
    pub(crate) method_code: u8,
    pub(crate) protocol: Text,
    pub(crate) uri: Text,
    pub(crate) remote_addr: Text,
    pub(crate) remote_host: Text,
    pub(crate) server_name: Text,
    pub(crate) server_port: u16,
    pub(crate) is_ssl: bool,
    pub(crate) headers: Vec<(Name, Vec<u8>)>,
    pub(crate) attributes: Vec<Attr>,
}

impl Request {
    /// Decodes a whole packet.
    #[track_caller]
    pub(crate) fn decode(connection: usize, raw: &[u8]) -> Self {
        assert_eq!(raw[..2], TO_ENGINE, "magic of {raw:02x?}");
        let mut input = Input { raw, at: 4 };
        assert_eq!(input.u8(), FORWARD_REQUEST, "code of {raw:02x?}");
        let mut request = Self {
            connection,
            raw: raw.to_vec(),
            method_code: input.u8(),
            protocol: input.text(),
            uri: input.text(),
            remote_addr: input.text(),
            remote_host: input.text(),
            server_name: input.text(),
            server_port: input.u16(),
            is_ssl: input.u8() != 0,
            headers: Vec::new(),
            attributes: Vec::new(),
        };
        for _ in 0..input.u16() {
            let name = input.name();
            request.headers.push((name, input.bytes().unwrap_or_default().to_vec()));
        }
        while let Some(attribute) = input.attribute() {
            request.attributes.push(attribute);
        }
        assert_eq!(input.at, raw.len(), "bytes after the end of {raw:02x?}");
        request
    }

    /// The method's name, from its code or from the stored_method attribute.
    pub(crate) fn method(&self) -> &str {
        if self.method_code == 0xFF {
            return self
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    Attr::StoredMethod(name) => name.as_deref(),
                    _ => None,
                })
                .unwrap_or("(none stored)");
        }
        let index = usize::from(self.method_code).checked_sub(1);
        index.and_then(|index| METHODS.get(index)).copied().unwrap_or("(unknown code)")
    }

    pub(crate) fn uri(&self) -> &str {
        self.uri.as_deref().unwrap_or("(null)")
    }

    /// The query string, if one was sent.
    pub(crate) fn query(&self) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attr::QueryString(query) => query.as_deref(),
            _ => None,
        })
    }

    /// The first value of a header, whichever case and way its name was sent in.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.header_values(name).into_iter().next()
    }

    /// All values of a header, in order.
    pub(crate) fn header_values(&self, name: &str) -> Vec<String> {
        self.headers
            .iter()
            .filter(|(known, _)| known.as_str().eq_ignore_ascii_case(name))
            .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            .collect()
    }

    /// The value of a request attribute that has a name rather than a code.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| match attribute {
            Attr::Named(Some(known), value) if known == name => value.as_deref(),
            _ => None,
        })
    }

    /// How the body arrives.
    pub(crate) fn body(&self) -> Body {
        match self.header("content-length").map(|value| value.trim().parse()) {
            Some(Ok(0)) => Body::None,
            Some(Ok(length)) => Body::Length(length),
            Some(Err(_)) => panic!("content-length of {self:?}"),
            None => Body::Unknown,
        }
    }
}

/// What a request says about its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Body {
    /// `content-length: 0`.
    None,
    /// This many bytes, the first packet of them unasked.
    Length(u64),
    /// No content-length: the client sends chunks, and the engine asks until the end.
    Unknown,
}

struct Input<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    #[track_caller]
    fn take(&mut self, length: usize) -> &'a [u8] {
        let end = self.at + length;
        assert!(end <= self.raw.len(), "packet ends at {}: {:02x?}", self.raw.len(), self.raw);
        let bytes = &self.raw[self.at..end];
        self.at = end;
        bytes
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        let bytes = self.take(2);
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u16();
        if length == 0xFFFF {
            return None;
        }
        let bytes = self.take(usize::from(length));
        assert_eq!(self.u8(), 0, "a string ends with NUL: {:02x?}", self.raw);
        Some(bytes)
    }

    fn text(&mut self) -> Text {
        self.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn name(&mut self) -> Name {
        let start = self.at;
        let word = self.u16();
        if word >> 8 == 0xA0 {
            return Name::Code(word);
        }
        self.at = start;
        Name::Text(self.text().expect("a header has a name"))
    }

    fn attribute(&mut self) -> Option<Attr> {
        Some(match self.u8() {
            1 => Attr::Context(self.text()),
            2 => Attr::ServletPath(self.text()),
            3 => Attr::RemoteUser(self.text()),
            4 => Attr::AuthType(self.text()),
            5 => Attr::QueryString(self.text()),
            6 => Attr::Route(self.text()),
            7 => Attr::SslCert(self.text()),
            8 => Attr::SslCipher(self.text()),
            9 => Attr::SslSession(self.text()),
            10 => Attr::Named(self.text(), self.text()),
            11 => Attr::SslKeySize(self.u16()),
            12 => Attr::Secret(self.text()),
            13 => Attr::StoredMethod(self.text()),
            0xFF => return None,
            code => panic!("attribute code {code} at {} of {:02x?}", self.at - 1, self.raw),
        })
    }
}

#[test]
fn a_hand_written_request_decodes() {
    let mut payload = vec![FORWARD_REQUEST, 2];
    for text in ["HTTP/1.1", "/a", "127.0.0.1"] {
        put_string(&mut payload, text.as_bytes());
    }
    payload.extend([0xFF, 0xFF]);
    put_string(&mut payload, b"host");
    payload.extend([0, 80, 1, 0, 2, 0xA0, 0x0B]);
    put_string(&mut payload, b"h:1");
    put_string(&mut payload, b"X-A");
    put_string(&mut payload, b"\xff");
    payload.push(5);
    put_string(&mut payload, b"q=1");
    payload.extend([11, 1, 0, 0xFF]);
    let mut raw = frame(&payload);
    raw[..2].copy_from_slice(&TO_ENGINE);

    let request = Request::decode(0, &raw);

    assert_eq!((request.method(), request.uri(), request.query()), ("GET", "/a", Some("q=1")));
    assert_eq!((request.server_port, request.is_ssl, &request.remote_host), (80, true, &None));
    assert_eq!(request.header("Host").as_deref(), Some("h:1"));
    assert_eq!(request.headers[1], (Name::Text("X-A".into()), vec![0xFF]));
    assert_eq!(request.attributes[1], Attr::SslKeySize(256));
    assert_eq!(request.body(), Body::Unknown);
}
