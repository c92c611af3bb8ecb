//! The path as it goes to the engine (spec/mod_jk.md 1.2 ForwardURIProxy, 4.4).
#![forbid(unsafe_code)]

use std::borrow::Cow;

/// Encodes a decoded path so that the engine decodes it to the same bytes, exactly once.
///
/// Every byte becomes `%XX` but letters, digits and ``/~$-_.+!*'(),;:@&=``.
pub fn escape(path: &[u8]) -> Cow<'_, [u8]> {
    escape_unless(path, |byte| {
        byte.is_ascii_alphanumeric() || b"/~$-_.+!*'(),;:@&=".contains(&byte)
    })
}

/// Encodes of a decoded path only what would make it another one, or none, at the engine (JkOptions
/// +ForwardURICompat): `%`, `?`, `#`, blanks and control characters.
pub fn escape_least(path: &[u8]) -> Cow<'_, [u8]> {
    escape_unless(path, |byte| !byte.is_ascii_control() && !b"%?# ".contains(&byte))
}

fn escape_unless(path: &[u8], is_literal: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    let unsafe_bytes = path.iter().filter(|b| !is_literal(**b)).count();
    if unsafe_bytes == 0 {
        return Cow::Borrowed(path);
    }
    let mut out = Vec::with_capacity(path.len().saturating_add(unsafe_bytes.saturating_mul(2)));
    for &byte in path {
        if is_literal(byte) {
            out.push(byte);
        } else {
            let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_literal_percent_sign_is_encoded_again() {
        assert_eq!(&*escape(b"/app/%2e%2e/x"), b"/app/%252e%252e/x");
        assert_eq!(&*escape(b"/a b?c#d\"\xe4"), b"/a%20b%3Fc%23d%22%E4");
        let literal = b"/~$-_.+!*'(),;:@&=aZ09";
        assert!(matches!(escape(literal), Cow::Borrowed(same) if same == literal));
    }

    #[test]
    fn what_leads_nowhere_else_stays() {
        assert_eq!(&*escape_least(b"/a%2e ?#\n\x7f"), b"/a%252e%20%3F%23%0A%7F");
        let literal = b"/a;b=^\"<>[]{}|`\xe4\\";
        assert!(matches!(escape_least(literal), Cow::Borrowed(same) if same == literal));
    }

    proptest! {
        #[test]
        fn decoding_once_gives_the_path_back(path in prop::collection::vec(any::<u8>(), 0..60)) {
          for escaped in [escape(&path), escape_least(&path)] {
            let mut decoded = Vec::new();
            let mut rest = &escaped[..];
            while let Some((&b, tail)) = rest.split_first() {
                rest = tail;
                if b == b'%' {
                    let hex = std::str::from_utf8(&rest[..2]).unwrap();
                    decoded.push(u8::from_str_radix(hex, 16).unwrap());
                    rest = &rest[2..];
                } else {
                    decoded.push(b);
                }
            }
            prop_assert!(!escaped.iter().any(|b| b.is_ascii_control() || b"?# ".contains(b)));
            prop_assert_eq!(&decoded, &path);
          }
        }
    }
}
