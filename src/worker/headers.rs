//! Which headers pass, in both directions (spec/mod_jk.md 4.2, spec/reliability.md 0 and 2.3).
#![forbid(unsafe_code)]

use crate::host::{Policy, RequestBody};

/// Whether a request header belongs to the framing of the client's connection, which ends here
/// whatever is configured.
fn is_framing(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"transfer-encoding")
}

/// Whether a request header ends at this hop, whatever the client says in `Connection`.
fn is_hop_by_hop_request(name: &[u8]) -> bool {
    is_one_of(
        name,
        &[
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"proxy-authorization",
            b"proxy",
            b"expect",
            b"te",
            b"trailer",
            b"upgrade",
        ],
    )
}

/// Whether a response header ends at this hop. `Status` is the CGI convention's status line,
/// which no client may see (spec/mod_jk.md 9.2 row 19).
fn is_hop_by_hop_response(name: &[u8]) -> bool {
    is_one_of(
        name,
        &[
            b"connection",
            b"keep-alive",
            b"proxy-connection",
            b"proxy-authenticate",
            b"te",
            b"trailer",
            b"transfer-encoding",
            b"upgrade",
            b"status",
        ],
    )
}

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Header names that a value of `Connection` lists.
pub fn connection_options(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|name| !name.is_empty())
}

/// The request headers that the engine gets, in the client's order. What the client named in
/// `Connection` has been taken out by the host, which alone knows whether a header is still the
/// client's; with `JkOptions +ForwardHopByHop` it leaves them in.
pub fn forwarded<'h>(
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone,
    body: RequestBody,
    policy: &Policy<'_>,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone {
    let (keeps_hop_by_hop, drops_underscores) =
        (policy.forward_hop_by_hop, policy.drop_underscore_headers);
    let is_dropped = move |name: &[u8]| {
        is_framing(name)
            || !keeps_hop_by_hop && is_hop_by_hop_request(name)
            || drops_underscores && name.contains(&b'_')
    };
    let mut length_sent = false;
    let is_length = |name: &[u8]| name.eq_ignore_ascii_case(b"content-length");
    // A body-less request says so explicitly, as C mod_jk does.
    let own_zero = move |(name, value): &(&[u8], &[u8])| is_length(name) && is_zero(value);
    let needs_zero = body == RequestBody::None && !headers.clone().any(|h| own_zero(&h));
    headers
        .filter(move |header| {
            if !is_length(header.0) {
                return !is_dropped(header.0);
            }
            let wanted = match body {
                RequestBody::None => is_zero(header.1),
                RequestBody::Length(_) => true,
                RequestBody::Unknown => false,
            };
            let first = !length_sent;
            length_sent |= wanted;
            wanted && first
        })
        .chain(needs_zero.then_some((&b"content-length"[..], &b"0"[..])))
}

fn is_zero(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|b| *b == b'0')
}

/// The response headers that the client gets, in the engine's order.
pub fn returned<'h>(
    headers: impl Iterator<Item = (&'h [u8], &'h [u8])> + Clone,
) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
    let all = headers.clone();
    let names_some = headers.clone().any(|(n, _)| n.eq_ignore_ascii_case(b"connection"));
    headers.filter(move |(name, _)| {
        let named = || {
            all.clone()
                .filter(|(n, _)| n.eq_ignore_ascii_case(b"connection"))
                .flat_map(|(_, value)| connection_options(value))
                .any(|option| option.eq_ignore_ascii_case(name))
        };
        !(is_hop_by_hop_response(name) || names_some && named())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let kept: Vec<_> = returned(all.iter().copied()).map(|(name, _)| name).collect();
        assert_eq!(kept, [&b"Set-Cookie"[..], b"WWW-Authenticate"]);
    }

    #[test]
    fn odd_connection_values_are_harmless() {
        assert_eq!(connection_options(b",,;\"").collect::<Vec<_>>(), [b";\""]);
        assert_eq!(connection_options(&[b','; 8192]).count(), 0);
    }
}
