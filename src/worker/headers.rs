//! Which headers pass, in both directions (spec/mod_jk.md 4.2, spec/reliability.md 0 and 2.3).
#![forbid(unsafe_code)]

use crate::ajp::message::ResponseHead;
use crate::host::{Policy, RequestBody};

/// Whether a request header belongs to the framing of the client's connection, which ends here
/// whatever is configured.
fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// Whether a request header ends at this hop, whatever the client says in `Connection`.
fn is_hop_by_hop_request(name: &[u8]) -> bool {
    // The length leaves at most two names to compare.
    let known: &[u8] = match name.len() {
        2 => b"te",
        5 => b"proxy",
        6 => b"expect",
        7 => return is(name, b"trailer") || is(name, b"upgrade"),
        10 => return is(name, b"connection") || is(name, b"keep-alive"),
        16 => b"proxy-connection",
        19 => b"proxy-authorization",
        _ => return false,
    };
    is(name, known)
}

/// Whether a response header ends at this hop. `Status` is the CGI convention's status line,
/// which no client may see (spec/mod_jk.md 9.2 row 19).
fn is_hop_by_hop_response(name: &[u8]) -> bool {
    let known: &[u8] = match name.len() {
        2 => b"te",
        6 => b"status",
        7 => return is(name, b"trailer") || is(name, b"upgrade"),
        10 => return is(name, b"connection") || is(name, b"keep-alive"),
        16 => b"proxy-connection",
        17 => b"transfer-encoding",
        18 => b"proxy-authenticate",
        _ => return false,
    };
    is(name, known)
}

fn is(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// Header names that a value of `Connection` lists.
pub fn connection_options(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

/// The request headers that the engine gets, in the client's order. What the client named in
/// `Connection` has been taken out by the host, which alone knows whether a header is still the
/// client's; with `JkOptions +ForwardHopByHop` it leaves them in.
pub fn forwarded<'h, H>(headers: H, body: RequestBody, policy: &Policy<'_>) -> Forwarded<H>
where
    H: Iterator<Item = (&'h [u8], &'h [u8])> + Clone,
{
    Forwarded {
        headers,
        body,
        keeps_hop_by_hop: policy.forward_hop_by_hop,
        drops_underscores: policy.drop_underscore_headers,
        length_sent: false,
    }
}

/// See [`forwarded`].
#[derive(Debug, Clone)]
pub struct Forwarded<H> {
    headers: H,
    body: RequestBody,
    keeps_hop_by_hop: bool,
    drops_underscores: bool,
    length_sent: bool,
}

impl<'h, H: Iterator<Item = (&'h [u8], &'h [u8])>> Forwarded<H> {
    fn passes(&mut self, name: &[u8], value: &[u8]) -> bool {
        if is(name, b"content-length") {
            let wanted = match self.body {
                RequestBody::None => is_zero(value),
                RequestBody::Length(_) => true,
                RequestBody::Unknown => false,
            };
            let is_first = !self.length_sent;
            self.length_sent |= wanted;
            return wanted && is_first;
        }
        !(is_framing(name)
            || !self.keeps_hop_by_hop && is_hop_by_hop_request(name)
            || self.drops_underscores && name.contains(&b'_'))
    }
}

impl<'h, H: Iterator<Item = (&'h [u8], &'h [u8])>> Iterator for Forwarded<H> {
    type Item = (&'h [u8], &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some((name, value)) = self.headers.next() {
            if self.passes(name, value) {
                return Some((name, value));
            }
        }
        // A body-less request says so explicitly, as C mod_jk does.
        let is_missing = self.body == RequestBody::None && !self.length_sent;
        self.length_sent = true;
        is_missing.then_some((b"content-length", b"0"))
    }
}

fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|b| *b == b'0')
}

/// The response headers that the client gets, in the engine's order.
pub fn returned<'h>(
    head: &ResponseHead<'h>,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> + use<'h> {
    let head = *head;
    head.headers().filter(move |(name, _)| {
        let named = || {
            head.headers()
                .filter(|(n, _)| n.eq_ignore_ascii_case(b"connection"))
                .flat_map(|(_, value)| connection_options(value))
                .any(|option| option.eq_ignore_ascii_case(name))
        };
        !(is_hop_by_hop_response(name) || head.has_connection && named())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ajp::frame::HEADER_LEN;
    use crate::ajp::message::{Message, encode_head};

    type List<'a> = Vec<(&'a [u8], &'a [u8])>;

    fn list<'a>(headers: &[(&'a str, &'a str)]) -> List<'a> {
        headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect()
    }

    fn sent<'a>(headers: &[(&'a str, &'a str)], body: RequestBody) -> Vec<String> {
        sent_with(headers, body, &Policy::default())
    }

    fn sent_with<'a>(
        headers: &[(&'a str, &'a str)],
        body: RequestBody,
        policy: &Policy<'_>,
    ) -> Vec<String> {
        let headers = list(headers);
        forwarded(headers.iter().copied(), body, policy)
            .map(|(n, v)| format!("{}: {}", n.escape_ascii(), v.escape_ascii()))
            .collect()
    }

    #[test]
    fn the_content_length_rules() {
        let zero = "content-length: 0";
        assert_eq!(sent(&[("Host", "h")], RequestBody::None), ["Host: h", zero]);
        assert_eq!(
            sent(&[("Content-Length", "0"), ("A", "b")], RequestBody::None),
            ["Content-Length: 0", "A: b"]
        );
        assert_eq!(sent(&[("Content-Length", "7")], RequestBody::None), [zero]);
        assert_eq!(sent(&[("Content-Length", "7")], RequestBody::Length(7)), ["Content-Length: 7"]);
        assert!(sent(&[("Content-Length", "7")], RequestBody::Unknown).is_empty());
    }

    #[test]
    fn hop_by_hop_request_headers_stay_here() {
        let all = [
            ("Connection", "x"),
            ("Keep-Alive", "x"),
            ("Proxy-Connection", "x"),
            ("PROXY-AUTHORIZATION", "x"),
            ("Proxy", "x"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("Trailer", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "websocket"),
            ("X_Under", "kept"),
        ];
        assert_eq!(sent(&all, RequestBody::Unknown), ["X_Under: kept"]);
    }

    #[test]
    fn options_say_otherwise_of_hop_by_hop_headers_and_underscores() {
        let all = [
            ("Connection", "x"),
            ("TE", "trailers"),
            ("Proxy", "x"),
            ("Transfer-Encoding", "chunked"),
            ("X_Under", "x"),
        ];
        let policy = Policy { forward_hop_by_hop: true, ..Policy::default() };
        assert_eq!(
            sent_with(&all, RequestBody::Unknown, &policy),
            ["Connection: x", "TE: trailers", "Proxy: x", "X_Under: x"]
        );
        let policy = Policy { drop_underscore_headers: true, ..Policy::default() };
        let length = [("Content-Length", "7"), ("X_Under", "x"), ("X-Dash", "x")];
        assert_eq!(
            sent_with(&length, RequestBody::Length(7), &policy),
            ["Content-Length: 7", "X-Dash: x"]
        );
    }

    #[test]
    fn hop_by_hop_response_headers_stay_here() {
        let all = list(&[
            ("Connection", "close, X-Secret ,,"),
            ("connection", "x-other"),
            ("Keep-Alive", "x"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "x"),
            ("Trailer", "x"),
            ("Proxy-Authenticate", "x"),
            ("Status", "200 OK"),
            ("x-secret", "1"),
            ("X-Other", "2"),
            ("Set-Cookie", "a=b"),
            ("WWW-Authenticate", "Basic"),
        ]);
        let mut packet = Vec::new();
        encode_head(200, None, all.iter().copied(), &mut packet, 8192).unwrap();
        let Message::Head(head) = Message::decode(&packet[HEADER_LEN..]).unwrap() else {
            panic!("no head");
        };
        let kept: Vec<_> = returned(&head).map(|(name, _)| name).collect();
        assert_eq!(kept, [&b"Set-Cookie"[..], b"WWW-Authenticate"]);
    }

    #[test]
    fn odd_connection_values_are_harmless() {
        assert_eq!(connection_options(b",,;\"").collect::<Vec<_>>(), [b";\""]);
        assert_eq!(connection_options(&[b','; 8192]).count(), 0);
    }
}
