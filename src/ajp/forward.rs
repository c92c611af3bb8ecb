//! FORWARD_REQUEST (spec/mod_jk.md 4.2, 4.3).
#![forbid(unsafe_code)]

use super::codes::{self, attribute, packet};
use super::error::{DecodeError, EncodeError};
use super::reader::Reader;
use super::writer::Writer;

/// Name of the free-form attribute that carries the TLS version.
pub const SSL_PROTOCOL: &[u8] = b"AJP_SSL_PROTOCOL";
/// Name of the free-form attribute that carries the client's port.
pub const REMOTE_PORT: &[u8] = b"AJP_REMOTE_PORT";
/// Name of the free-form attribute that carries the server's address.
pub const LOCAL_ADDR: &[u8] = b"AJP_LOCAL_ADDR";
/// Name of the free-form attribute that carries the member's activation.
pub const LB_ACTIVATION: &[u8] = b"JK_LB_ACTIVATION";

/// One request as the container shall see it, but for its headers.
///
/// Optional strings are sent as the null string, or their attribute is left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct ForwardRequest<'a> {
    /// Method name; sent as a code where it has one.
    pub method: &'a [u8],
    /// Protocol of the request line, for example `HTTP/1.1`.
    pub protocol: &'a [u8],
    /// Path as the container shall decode it, without query.
    pub uri: &'a [u8],
    /// Client address.
    pub remote_addr: Option<&'a [u8]>,
    /// Client host name, where it was looked up.
    pub remote_host: Option<&'a [u8]>,
    /// Server name of the request.
    pub server_name: &'a [u8],
    /// Server port of the request.
    pub server_port: u16,
    /// Whether the client connection is TLS.
    pub is_ssl: bool,
    /// The attributes.
    pub attributes: Attributes<'a>,
}

/// Attributes of a request, in the order in which they are sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Shared secret.
    pub secret: Option<&'a [u8]>,
    /// Authenticated user.
    pub remote_user: Option<&'a [u8]>,
    /// Authentication scheme.
    pub auth_type: Option<&'a [u8]>,
    /// Query string; `Some` even if empty where the request had a `?`.
    pub query_string: Option<&'a [u8]>,
    /// Route of the chosen member.
    pub route: Option<&'a [u8]>,
    /// Client certificate, PEM.
    pub ssl_cert: Option<&'a [u8]>,
    /// Cipher suite.
    pub ssl_cipher: Option<&'a [u8]>,
    /// TLS session id.
    pub ssl_session: Option<&'a [u8]>,
    /// Key size, bits.
    pub ssl_key_size: Option<u16>,
    /// TLS version.
    pub ssl_protocol: Option<&'a [u8]>,
    /// Client port.
    pub remote_port: Option<&'a [u8]>,
    /// Server address.
    pub local_addr: Option<&'a [u8]>,
    /// Activation of the member: ACT, DIS or STP.
    pub activation: Option<&'a [u8]>,
    /// Configured environment variables.
    pub environment: &'a [(&'a [u8], &'a [u8])],
}

impl<'a> ForwardRequest<'a> {
    /// Appends the packet to `out`, with `headers` in their order.
    ///
    /// `max` is `max_packet_size` in bytes.
    ///
    /// # Errors
    /// [`EncodeError`]; `out` is then unchanged.
    pub fn encode<'h, H>(
        &self,
        headers: H,
        out: &mut Vec<u8>,
        max: usize,
    ) -> Result<(), EncodeError>
    where
        H: Iterator<Item = (&'h [u8], &'h [u8])>,
    {
        let code = codes::method_code(self.method);
        let mut w = Writer::new(out, max);
        w.u8(packet::FORWARD_REQUEST);
        w.u8(code.unwrap_or(codes::METHOD_STORED));
        w.string(self.protocol);
        w.string(self.uri);
        w.optional_string(self.remote_addr);
        w.optional_string(self.remote_host);
        w.string(self.server_name);
        w.u16(self.server_port);
        w.u8(u8::from(self.is_ssl));
        let count_at = w.reserve_u16();
        let mut count = 0usize;
        for (name, value) in headers {
            count = count.saturating_add(1);
            match codes::request_header_code(name) {
                Some(code) => w.u16(code),
                None => w.string(name),
            }
            w.string(value);
        }
        let stored_method = code.is_none().then_some(self.method);
        self.attributes.encode(stored_method, &mut w);
        match u16::try_from(count) {
            Ok(count) => w.fill_u16(count_at, count),
            Err(_) => return Err(w.abandon(EncodeError::TooManyHeaders)),
        }
        w.finish()
    }
}

impl Attributes<'_> {
    fn encode(&self, stored_method: Option<&[u8]>, w: &mut Writer<'_>) {
        let mut coded = |code: u8, value: Option<&[u8]>| {
            if let Some(value) = value {
                w.u8(code);
                w.string(value);
            }
        };
        coded(attribute::SECRET, self.secret);
        coded(attribute::REMOTE_USER, self.remote_user);
        coded(attribute::AUTH_TYPE, self.auth_type);
        coded(attribute::QUERY_STRING, self.query_string);
        coded(attribute::ROUTE, self.route);
        coded(attribute::SSL_CERT, self.ssl_cert);
        coded(attribute::SSL_CIPHER, self.ssl_cipher);
        coded(attribute::SSL_SESSION, self.ssl_session);
        if let Some(bits) = self.ssl_key_size {
            w.u8(attribute::SSL_KEY_SIZE);
            w.u16(bits);
        }
        if let Some(method) = stored_method {
            w.u8(attribute::STORED_METHOD);
            w.string(method);
        }
        let mut named = |name: &[u8], value: Option<&[u8]>| {
            if let Some(value) = value {
                w.u8(attribute::REQ_ATTRIBUTE);
                w.string(name);
                w.string(value);
            }
        };
        named(SSL_PROTOCOL, self.ssl_protocol);
        named(REMOTE_PORT, self.remote_port);
        named(LOCAL_ADDR, self.local_addr);
        named(LB_ACTIVATION, self.activation);
        for (name, value) in self.environment {
            named(name, Some(value));
        }
        w.u8(attribute::ARE_DONE);
    }
}

/// A FORWARD_REQUEST taken apart, as a container does it.
///
/// Headers and attributes are walked by [`Received::headers`] and [`Received::attributes`].
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Everything up to the headers; the method is resolved, its attributes are empty.
    pub request: ForwardRequest<'a>,
    header_count: u16,
    headers: Reader<'a>,
    attributes: Reader<'a>,
}

/// One attribute of a received FORWARD_REQUEST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// A code with a string.
    Coded(u8, &'a [u8]),
    /// The key size in bits.
    KeySize(u16),
    /// A free-form attribute: name and value.
    Named(&'a [u8], &'a [u8]),
}

impl<'a> Received<'a> {
    /// Takes the payload of a packet to the container apart and checks all of it.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(payload);
        let kind = r.u8()?;
        if kind != packet::FORWARD_REQUEST {
            return Err(DecodeError::UnknownType(kind));
        }
        let method = r.u8()?;
        let mut request = ForwardRequest {
            method: codes::method_name(method).unwrap_or_default(),
            protocol: r.required_string()?,
            uri: r.required_string()?,
            remote_addr: r.string()?,
            remote_host: r.string()?,
            server_name: r.required_string()?,
            server_port: r.u16()?,
            is_ssl: r.u8()? != 0,
            attributes: Attributes::default(),
        };
        let header_count = r.u16()?;
        let headers = r;
        for _ in 0..header_count {
            header(&mut r)?;
        }
        let attributes = r;
        loop {
            match next_attribute(&mut r)? {
                Some(Attribute::Coded(attribute::STORED_METHOD, name)) => request.method = name,
                Some(_) => {}
                None => break,
            }
        }
        r.end(packet::FORWARD_REQUEST)?;
        Ok(Self { request, header_count, headers, attributes })
    }

    /// Header names (lower-case where they came as a code) and values, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone + use<'a> {
        let mut r = self.headers;
        (0..self.header_count).map_while(move |_| header(&mut r).ok())
    }

    /// The attributes in their order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut r = self.attributes;
        std::iter::from_fn(move || next_attribute(&mut r).ok().flatten())
    }
}

fn header<'a>(r: &mut Reader<'a>) -> Result<(&'a [u8], &'a [u8]), DecodeError> {
    let offset = r.offset();
    let name = if r.peek(0) == 0xA0 {
        let code = r.u16()?;
        codes::request_header_name(code).ok_or(DecodeError::BadHeaderCode { code, offset })?
    } else {
        r.required_string()?
    };
    Ok((name, r.required_string()?))
}

fn next_attribute<'a>(r: &mut Reader<'a>) -> Result<Option<Attribute<'a>>, DecodeError> {
    Ok(Some(match r.u8()? {
        attribute::ARE_DONE => return Ok(None),
        attribute::SSL_KEY_SIZE => Attribute::KeySize(r.u16()?),
        attribute::REQ_ATTRIBUTE => Attribute::Named(r.required_string()?, r.required_string()?),
        code => Attribute::Coded(code, r.required_string()?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ajp::frame::{Frame, TO_CONTAINER, split};
    use proptest::prelude::*;

    fn payload(packet: &[u8], max: usize) -> &[u8] {
        match split(packet, TO_CONTAINER, max) {
            Ok(Frame::Packet { payload, consumed }) if consumed == packet.len() => payload,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_has_the_bytes_of_the_specification() {
        let request = ForwardRequest {
            method: b"GET",
            protocol: b"HTTP/1.1",
            uri: b"/a",
            remote_addr: Some(b"::1"),
            remote_host: None,
            server_name: b"h",
            server_port: 80,
            is_ssl: false,
            attributes: Attributes {
                secret: Some(b"s"),
                query_string: Some(b""),
                remote_port: Some(b"9"),
                activation: Some(b"ACT"),
                ..Attributes::default()
            },
        };
        let headers = [(&b"Host"[..], &b"h"[..]), (b"X-A", b"1")];
        let mut out = Vec::new();
        request.encode(headers.into_iter(), &mut out, 8192).unwrap();
        let mut expected =
            b"\x02\x02\0\x08HTTP/1.1\0\0\x02/a\0\0\x03::1\0\xff\xff\0\x01h\0\0\x50\0".to_vec();
        expected.extend_from_slice(b"\0\x02\xa0\x0b\0\x01h\0\0\x03X-A\0\0\x011\0");
        expected.extend_from_slice(b"\x0c\0\x01s\0\x05\0\0\0");
        expected.extend_from_slice(b"\x0a\0\x0fAJP_REMOTE_PORT\0\0\x019\0");
        expected.extend_from_slice(b"\x0a\0\x10JK_LB_ACTIVATION\0\0\x03ACT\0\xff");
        assert_eq!(payload(&out, 8192), expected);
    }

    #[test]
    fn a_method_without_code_travels_by_name() {
        for method in ["PATCH", "get", "X"] {
            let request = ForwardRequest { method: method.as_bytes(), ..Default::default() };
            let mut out = Vec::new();
            request.encode(std::iter::empty(), &mut out, 8192).unwrap();
            assert_eq!(out.get(5), Some(&codes::METHOD_STORED));
            let received = Received::decode(payload(&out, 8192)).unwrap();
            assert_eq!(received.request.method, method.as_bytes());
        }
    }

    #[test]
    fn a_request_that_does_not_fit_says_the_size_it_needs() {
        let long = vec![b'x'; 9000];
        let request = ForwardRequest { method: b"GET", uri: &long, ..Default::default() };
        let mut out = Vec::new();
        let Err(EncodeError::TooLarge { size, max }) =
            request.encode(std::iter::empty(), &mut out, 8192)
        else {
            panic!("fits");
        };
        assert_eq!(max, 8192);
        assert!(out.is_empty());
        request.encode(std::iter::empty(), &mut out, size).unwrap();
        assert_eq!(out.len(), size);
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..40)
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            method in prop_oneof![Just(b"POST".to_vec()), "[A-Z]{1,12}".prop_map(String::into_bytes)],
            uri in text(), host in prop::option::of(text()), port: u16, ssl: bool,
            headers in prop::collection::vec(("[A-Za-z-]{1,20}", text()), 0..8),
            user in prop::option::of(text()), query in prop::option::of(text()),
            bits in prop::option::of(any::<u16>()), env in prop::collection::vec((text(), text()), 0..4),
        ) {
            let environment: Vec<(&[u8], &[u8])> =
                env.iter().map(|(n, v)| (&n[..], &v[..])).collect();
            let request = ForwardRequest {
                method: &method, protocol: b"HTTP/1.1", uri: &uri, remote_addr: Some(b"1.2.3.4"),
                remote_host: host.as_deref(), server_name: b"s", server_port: port, is_ssl: ssl,
                attributes: Attributes {
                    remote_user: user.as_deref(), query_string: query.as_deref(),
                    ssl_key_size: bits, environment: &environment, ..Attributes::default()
                },
            };
            let mut out = Vec::new();
            let list = headers.iter().map(|(n, v)| (n.as_bytes(), &v[..]));
            request.encode(list, &mut out, 65536).unwrap();
            let got = Received::decode(payload(&out, 65536)).unwrap();
            prop_assert_eq!(got.request.method, &method[..]);
            prop_assert_eq!(got.request.uri, &uri[..]);
            prop_assert_eq!(got.request.remote_host, host.as_deref());
            prop_assert_eq!((got.request.server_port, got.request.is_ssl), (port, ssl));
            let sent: Vec<_> = headers.iter()
                .map(|(n, v)| (match codes::request_header_code(n.as_bytes()) {
                    Some(code) => codes::request_header_name(code).unwrap().to_vec(),
                    None => n.as_bytes().to_vec(),
                }, v.clone())).collect();
            let back: Vec<_> = got.headers().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(sent, back);
            let mut expected = Vec::new();
            if let Some(u) = &user { expected.push(Attribute::Coded(attribute::REMOTE_USER, u)); }
            if let Some(q) = &query { expected.push(Attribute::Coded(attribute::QUERY_STRING, q)); }
            if let Some(b) = bits { expected.push(Attribute::KeySize(b)); }
            if codes::method_code(&method).is_none() {
                expected.push(Attribute::Coded(attribute::STORED_METHOD, &method));
            }
            expected.extend(environment.iter().map(|(n, v)| Attribute::Named(n, v)));
            prop_assert_eq!(got.attributes().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn a_mutilated_request_is_an_error_and_never_a_panic(
            cut in 0usize..200, flip in prop::collection::vec((0usize..200, any::<u8>()), 0..4),
        ) {
            let request = ForwardRequest {
                method: b"PATCH", protocol: b"HTTP/1.1", uri: b"/ivy/app", server_name: b"host",
                attributes: Attributes { remote_user: Some(b"u"), ..Attributes::default() },
                ..Default::default()
            };
            let mut out = Vec::new();
            request.encode([(&b"Accept"[..], &b"*/*"[..])].into_iter(), &mut out, 8192).unwrap();
            let whole = payload(&out, 8192);
            if cut < whole.len() {
                prop_assert!(Received::decode(&whole[..cut]).is_err());
            }
            let mut bad = whole.to_vec();
            for (at, byte) in flip {
                let at = at % bad.len();
                bad[at] = byte;
            }
            if let Ok(received) = Received::decode(&bad) {
                received.headers().for_each(drop);
                received.attributes().for_each(drop);
            }
        }
    }
}
