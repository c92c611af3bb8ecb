//! Names and values in every format: whatever bytes they have, a parser of the format gets them
//! whole, and nothing else.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;

/// Bytes as text. What is not UTF-8 becomes `\xNN`.
pub(super) fn unicode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                for byte in chunk.invalid() {
                    hex(&mut text, u32::from(*byte));
                }
            }
            Cow::Owned(text)
        }
    }
}

fn hex(text: &mut String, number: u32) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\\x{number:02x}");
}

/// Whether no XML document can have a character, however it is written.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// As the value of an attribute or the text of an element of XML or HTML.
pub(super) fn markup(bytes: &[u8]) -> Cow<'_, str> {
    let text = unicode(bytes);
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/ ".contains(&byte)) {
        return text;
    }
    let is_special = |c: char| {
        matches!(c, '&' | '<' | '>' | '"' | '\'' | '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}')
            || is_forbidden(c)
    };
    if !text.contains(is_special) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len().saturating_add(16));
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' => escaped.push_str("&#9;"),
            '\n' => escaped.push_str("&#10;"),
            '\r' => escaped.push_str("&#13;"),
            c if is_forbidden(c) => hex(&mut escaped, u32::from(c)),
            // HTML makes other characters of their references.
            '\u{7f}'..='\u{9f}' => hex(&mut escaped, u32::from(c)),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Whether a key can be the name of an attribute that no name space is concerned with.
pub(super) fn is_attribute_name(key: &[u8]) -> bool {
    let is_start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    key.first().is_some_and(is_start) && key.iter().all(is_part) && key != b"xmlns"
}

/// Adds a string of JSON, with its quotes.
pub(super) fn json(escaped: &mut String, bytes: &[u8]) {
    let text = unicode(bytes);
    escaped.push('"');
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\<".contains(&byte) || byte == b' ';
    if text.bytes().all(is_plain) {
        escaped.push_str(&text);
        escaped.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            // A page that takes it into a script must not be left by it.
            '<' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(escaped, "\\u{:04x}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped.push('"');
}

/// As the value of a label of Prometheus, without its quotes.
pub(super) fn label(bytes: &[u8]) -> String {
    unicode(bytes).replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Adds a value of the text format: as it is, or where it would not end where it ends, in quotes with
/// escapes. `is_quoted`: it is in quotes anyway.
pub(super) fn text(into: &mut Vec<u8>, bytes: &[u8], is_quoted: bool) {
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !b"\"\\".contains(byte) || *byte >= 0x80;
    let is_all_plain = bytes.iter().all(|byte| is_plain(byte) || is_quoted && *byte == b' ');
    if is_all_plain && !is_quoted {
        into.extend_from_slice(bytes);
        return;
    }
    into.push(b'"');
    if is_all_plain {
        into.extend_from_slice(bytes);
    } else {
        for byte in bytes {
            match byte {
                b'"' | b'\\' => into.extend_from_slice(&[b'\\', *byte]),
                b' ' => into.push(b' '),
                byte if is_plain(byte) => into.push(*byte),
                byte => into.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            }
        }
    }
    into.push(b'"');
}

/// Adds the value of a property.
pub(super) fn property_value(into: &mut Vec<u8>, bytes: &[u8]) {
    property(into, bytes, |at, byte| at == 0 && byte == b' ');
}

/// Adds the key of a property, or a part of it.
pub(super) fn property_key(into: &mut Vec<u8>, bytes: &[u8]) {
    property(into, bytes, |at, byte| {
        matches!(byte, b' ' | b'=' | b':') || at == 0 && matches!(byte, b'#' | b'!')
    });
}

fn property(escaped: &mut Vec<u8>, bytes: &[u8], is_special: impl Fn(usize, u8) -> bool) {
    if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_./,".contains(byte)) {
        escaped.extend_from_slice(bytes);
        return;
    }
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' => escaped.extend(b"\\n"),
            b'\r' => escaped.extend(b"\\r"),
            b'\t' => escaped.extend(b"\\t"),
            b'\\' => escaped.extend(b"\\\\"),
            0..=0x1f | 0x7f => escaped.extend(format!("\\u{byte:04x}").bytes()),
            byte if is_special(at, *byte) => escaped.extend([b'\\', *byte]),
            byte => escaped.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_has_no_way_out() {
        assert_eq!(markup(b"plain"), "plain");
        assert_eq!(markup(b"<a b='\"&>"), "&lt;a b=&#39;&quot;&amp;&gt;");
        assert_eq!(markup(b"\t\n\r\0\x1b\x7f"), "&#9;&#10;&#13;\\x00\\x1b\\x7f");
        assert_eq!(markup("Ä\u{85}".as_bytes()), "Ä\\x85");
        assert_eq!(markup(b"\xff\xc3"), "\\xff\\xc3");
    }

    #[test]
    fn other_formats_too() {
        let json = |bytes: &[u8]| {
            let mut into = String::new();
            json(&mut into, bytes);
            into
        };
        assert_eq!(json(b"plain text"), "\"plain text\"");
        assert_eq!(json(b"a\"\\\n</script>\x01\xff"), r#""a\"\\\u000a\u003c/script>\u0001\\xff""#);
        assert_eq!(label(b"a\"\\\n\xff"), r#"a\"\\\n\\xff"#);
        let text = |bytes: &[u8], is_quoted| {
            let mut into = b"x=".to_vec();
            text(&mut into, bytes, is_quoted);
            into
        };
        assert_eq!(text(b"node1", false), b"x=node1");
        assert_eq!(text(b"node 1", true), b"x=\"node 1\"");
        assert_eq!(text(b"a \"b\"\n", false), br#"x="a \"b\"\x0a""#);
        assert_eq!(text(b"a b", false), b"x=\"a b\"");
        let mut property = Vec::new();
        property_key(&mut property, b"#a b=c:d");
        property.push(b'=');
        property_value(&mut property, b" a=b\\c\n\0");
        assert_eq!(property, br"\#a\ b\=c\:d=\ a=b\\c\n\u0000");
    }

    #[test]
    fn names_of_attributes_are_recognised() {
        for name in ["worker.list", "_a-b", "ServerRoot"] {
            assert!(is_attribute_name(name.as_bytes()), "{name}");
        }
        for name in ["", "1a", "a:b", "xmlns", "a b", "a<", "ä", "-a"] {
            assert!(!is_attribute_name(name.as_bytes()), "{name}");
        }
    }
}
