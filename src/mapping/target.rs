//! The path of a request as it was sent, before anybody has decoded it.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::{contains_backslash, normalize};

/// Why the engine must not get a path as the client sent it (JkOptions +ForwardURICompatUnparsed).
///
/// `sent`: the path that the engine would get. `path`: the decoded path that httpd has authorised and
/// mapped, which is another one after a rewrite. The engine may decode `sent` and take its path
/// parameters out in either order.
pub fn hazard(sent: &[u8], path: &[u8]) -> Option<&'static str> {
    if sent.iter().any(|byte| byte.is_ascii_control() || b" #".contains(byte)) {
        return Some("the path as it was sent has a blank, a # or a control character");
    }
    let decoded = decode(sent);
    if contains_backslash(&decoded) {
        return Some("the path as it was sent has a backslash");
    }
    let Ok(found) = normalize(&decoded) else {
        return Some("the path as it was sent leads nowhere");
    };
    // Without dots the two can only differ where httpd has rewritten the path, which the engine is
    // not to see.
    if !has_dots(&decoded) || normalize(path).is_ok_and(|mapped| mapped == found) {
        return None;
    }
    Some("the path as it was sent leads elsewhere than the one that was mapped")
}

/// Whether a segment is `.` or `..` once its path parameters are gone.
pub fn has_dots(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|segment| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        matches!(name, b"." | b"..")
    })
}

/// A path without the scheme and the host that may stand before it.
pub fn path_of(target: &[u8]) -> &[u8] {
    if target.starts_with(b"/") {
        return target;
    }
    let Some(at) = target.windows(3).position(|text| text == b"://") else { return target };
    let rest = target.get(at.saturating_add(3)..).unwrap_or_default();
    let slash = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
    rest.get(slash..).filter(|path| !path.is_empty()).unwrap_or(b"/")
}

/// Decodes each `%XX`; what is none stays.
pub(super) fn decode(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        rest = after;
        if let ([high, low, after @ ..], b'%') = (after, first)
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(*first);
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_safe(sent: &str, path: &str) -> bool {
        hazard(sent.as_bytes(), path.as_bytes()).is_none()
    }

    #[test]
    fn the_path_of_a_target() {
        for (target, path) in [
            ("/a", "/a"),
            ("/a://b/c", "/a://b/c"),
            ("*", "*"),
            ("http://host/a/b", "/a/b"),
            ("http://host:80", "/"),
            ("http://", "/"),
            ("", ""),
        ] {
            assert_eq!(path_of(target.as_bytes()), path.as_bytes(), "{target}");
        }
    }

    #[test]
    fn a_path_may_be_sent_as_it_came_where_both_find_the_same() {
        for (sent, path) in [
            ("*", "*"),
            ("/t/x", "/t/x"),
            ("/t/%41;p=1/x", "/t/A;p=1/x"),
            ("/t/..;/t/x", "/t/..;/t/x"),
            ("/t/./x/../y", "/t/y"),
            ("/t/a%2fb", "/t/a/b"),
            ("/t/a%2fb", "/t/a%2fb"),
            ("/t/a%3bb", "/t/a;b"),
            ("/t//x", "/t/x"),
            ("/t/100%25", "/t/100%"),
            ("/t/%252e%252e/x", "/t/%2e%2e/x"),
            // Rewritten.
            ("/public/x", "/t/x"),
        ] {
            assert!(is_safe(sent, path), "{sent}");
        }
    }

    #[test]
    fn a_path_that_httpd_and_the_engine_read_in_two_ways_is_not_sent() {
        for (sent, path) in [
            ("/t/x/.;/../secret", "/t/x/secret"),
            ("/t/x/;/../secret", "/t/x/secret"),
            ("/t//../secret", "/t/secret"),
            ("/t/x%2f..%2fsecret", "/t/x%2f..%2fsecret"),
            ("/t/..;/..;/x", "/t/..;/..;/x"),
            ("/public/..;/secret", "/t/secret"),
            ("/public/../secret", "/t/x"),
            ("/public/a%5cb", "/t/x"),
            ("/t/x#/y", "/t/x"),
            ("/t/x y", "/t/x y"),
            ("/t/x%00", "/t/x"),
            ("/t/x\x01", "/t/x"),
        ] {
            assert!(!is_safe(sent, path), "{sent}");
        }
    }
}
