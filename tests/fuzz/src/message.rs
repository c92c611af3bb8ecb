//! One packet of either direction: what is understood can be written again and means the same.

use mod_jk::ajp::forward::{Attribute, Attributes, ForwardRequest, Received};
use mod_jk::ajp::frame::{Frame, TO_CONTAINER, TO_SERVER, split};
use mod_jk::ajp::message::{
    CPING, CPONG, Message, ResponseHead, encode_body_chunk, encode_end, encode_get_body_chunk,
    encode_head, is_token_byte,
};
use mod_jk::ajp::{DecodeError, EncodeError, MAX_PACKET_SIZE, body, codes};

use super::memory;

/// Takes the payload of a packet.
pub fn message(data: &[u8]) {
    for kind in [data.first().copied().unwrap_or(0), 2, 3, 4, 5, 6, 9] {
        // So that each kind gets each payload.
        let mut payload = data.to_vec();
        if let Some(first) = payload.first_mut() {
            *first = kind;
        }
        from_engine(&payload);
        to_engine(&payload);
    }
    body_packet(data);
    words(data);
}

fn from_engine(payload: &[u8]) {
    let decoded = memory::at_most(0, || Message::decode(payload));
    let mut again = Vec::new();
    let max = MAX_PACKET_SIZE;
    let written = match decoded {
        Err(error) => return refused(error, payload),
        Ok(Message::Head(head)) => {
            checked(&head, payload);
            encode_head(head.status, head.reason, head.headers(), &mut again, max)
        }
        Ok(Message::BodyChunk(data)) => {
            assert_eq!(data, &payload[3..3 + data.len()]);
            encode_body_chunk(data, &mut again, max)
        }
        Ok(Message::End { reuse }) => encode_end(reuse.unwrap_or(false), &mut again),
        Ok(Message::GetBodyChunk(wanted)) => encode_get_body_chunk(wanted, &mut again),
        Ok(Message::CPong) => {
            again.extend_from_slice(&CPONG);
            Ok(())
        }
    };
    // A reason or value may be written longer than it was read, but for these few bytes.
    if payload.len() < max - 100 {
        written.expect("what was read can be written");
    }
    let Ok(Frame::Packet { payload: second, .. }) = split(&again, TO_SERVER, max) else {
        assert!(again.is_empty(), "no packet: {again:?}");
        return;
    };
    match (decoded, Message::decode(second)) {
        (Ok(Message::Head(one)), Ok(Message::Head(two))) => {
            assert_eq!((one.status, one.reason), (two.status, two.reason));
            assert!(one.headers().eq(two.headers()));
        }
        (Ok(Message::BodyChunk(one)), Ok(Message::BodyChunk(two))) => assert_eq!(one, two),
        (Ok(Message::End { reuse: one }), Ok(Message::End { reuse: two })) => {
            assert_eq!(one.unwrap_or(false), two.unwrap_or(true));
        }
        (Ok(Message::GetBodyChunk(one)), Ok(Message::GetBodyChunk(two))) => assert_eq!(one, two),
        (Ok(Message::CPong), Ok(Message::CPong)) => {}
        other => panic!("{other:?}"),
    }
}

/// What a head promises about itself.
fn checked(head: &ResponseHead<'_>, payload: &[u8]) {
    for (name, value) in head.headers() {
        assert!(!name.is_empty() && name.iter().copied().all(is_token_byte), "{name:?}");
        assert!(!value.iter().any(|b| b.is_ascii_control() && *b != b'\t'), "{value:?}");
    }
    assert!(head.headers().count() * 4 <= payload.len());
    assert!(head.reason.is_none_or(|reason| !reason.iter().any(u8::is_ascii_control)));
    assert_eq!(head.has_no_body(), [204, 205, 304].contains(&head.status));
}

/// A message is one line with a stable name, whatever the peer sent.
fn refused(error: DecodeError, payload: &[u8]) {
    let text = error.to_string();
    assert!(!text.is_empty() && text.bytes().all(|b| (0x20..0x7f).contains(&b)), "{text:?}");
    assert!(error.event().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    if let DecodeError::BadHeaderValue { byte, offset, .. } = error {
        assert_eq!(payload.get(offset), Some(&byte));
    }
}

fn to_engine(payload: &[u8]) {
    let received = match memory::at_most(0, || Received::decode(payload)) {
        Err(error) => return refused(error, payload),
        Ok(received) => received,
    };
    let mut attributes = Attributes::default();
    let mut environment = Vec::new();
    for attribute in received.attributes() {
        use codes::attribute as code;
        match attribute {
            Attribute::Coded(code::SECRET, value) => attributes.secret = Some(value),
            Attribute::Coded(code::REMOTE_USER, value) => attributes.remote_user = Some(value),
            Attribute::Coded(code::AUTH_TYPE, value) => attributes.auth_type = Some(value),
            Attribute::Coded(code::QUERY_STRING, value) => attributes.query_string = Some(value),
            Attribute::Coded(code::ROUTE, value) => attributes.route = Some(value),
            Attribute::Coded(code::SSL_CERT, value) => attributes.ssl_cert = Some(value),
            Attribute::Coded(code::SSL_CIPHER, value) => attributes.ssl_cipher = Some(value),
            Attribute::Coded(code::SSL_SESSION, value) => attributes.ssl_session = Some(value),
            Attribute::Coded(..) => {}
            Attribute::KeySize(bits) => attributes.ssl_key_size = Some(bits),
            Attribute::Named(name, value) => environment.push((name, value)),
        }
    }
    attributes.environment = &environment;
    let request = ForwardRequest { attributes, ..received.request };
    let mut packet = b"before".to_vec();
    // A packet that is too small is refused and leaves nothing behind.
    let small = usize::from(payload.last().copied().unwrap_or(0));
    if let Err(error) = request.encode(received.headers(), &mut packet, small) {
        assert!(matches!(error, EncodeError::TooLarge { size, max } if size > max && max == small));
        assert_eq!(packet, b"before");
    } else {
        assert!(packet.len() - 6 <= small);
        packet.truncate(6);
    }
    if payload.len() > MAX_PACKET_SIZE - 100 {
        return;
    }
    request.encode(received.headers(), &mut packet, MAX_PACKET_SIZE).expect("as much as before");
    let Ok(Frame::Packet { payload: second, .. }) =
        split(&packet[6..], TO_CONTAINER, MAX_PACKET_SIZE)
    else {
        panic!("no packet");
    };
    let again = Received::decode(second).expect("what was written can be read");
    let line = |request: &ForwardRequest<'_>| format!("{request:?}");
    let plain = ForwardRequest { attributes: Attributes::default(), ..received.request };
    assert_eq!(line(&again.request), line(&plain));
    assert_eq!(received.headers().count(), again.headers().count());
    for (one, two) in received.headers().zip(again.headers()) {
        assert!(one.0.eq_ignore_ascii_case(two.0) && one.1 == two.1, "{one:?} {two:?}");
    }
    let named = |received: &Received<'_>| {
        received.attributes().filter(|a| matches!(a, Attribute::Named(..))).count()
    };
    assert_eq!(named(&received), named(&again));
    let last = |received: &Received<'_>, code: u8| {
        let found = |attribute| match attribute {
            Attribute::Coded(known, value) if known == code => Some(value.to_vec()),
            _ => None,
        };
        received.attributes().filter_map(found).last()
    };
    for code in [3, 4, 5, 6, 7, 8, 9, 12] {
        assert_eq!(last(&received, code), last(&again, code), "attribute {code}");
    }
}

/// A packet with request body data.
fn body_packet(payload: &[u8]) {
    let data = match memory::at_most(0, || body::decode(payload)) {
        Err(error) => return refused(error, payload),
        Ok(data) => data,
    };
    let Ok(length) = u16::try_from(data.len()) else { panic!("longer than its field") };
    let packet = [&body::prefix(length)[..], data].concat();
    let Ok(Frame::Packet { payload, consumed }) = split(&packet, TO_CONTAINER, MAX_PACKET_SIZE)
    else {
        panic!("no packet");
    };
    assert_eq!(consumed, packet.len());
    assert_eq!(body::decode(payload), Ok(data));
    assert!(packet.len() <= body::capacity(MAX_PACKET_SIZE) + body::PREFIX_LEN);
}

/// Names and codes stand for each other.
fn words(data: &[u8]) {
    let code = u16::from_be_bytes([0xA0, data.first().copied().unwrap_or(0)]);
    if let Some(name) = codes::request_header_name(code) {
        assert!(codes::request_header_code(name).is_none_or(|found| found == code));
    }
    if let Some(name) = codes::response_header_name(code) {
        assert_eq!(codes::response_header_code(name), Some(code));
    }
    let method = code.to_be_bytes()[1];
    if let Some(name) = codes::method_name(method) {
        assert_eq!(codes::method_code(name), Some(method));
    }
    assert!(codes::method_code(data).is_none_or(|code| codes::method_name(code) == Some(data)));
    assert!(!codes::packet::name(method).is_empty());
    for magic in [TO_CONTAINER, TO_SERVER] {
        match split(data, magic, MAX_PACKET_SIZE) {
            Ok(Frame::Packet { payload, consumed }) => {
                assert_eq!(payload, &data[4..consumed]);
            }
            Ok(Frame::Incomplete { missing }) => assert!(missing > 0),
            Err(error) => refused(error, data),
        }
    }
    assert!(split(&CPING, TO_CONTAINER, 8192).is_ok());
}
