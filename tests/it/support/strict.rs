//! Parsers of what status pages are written in, which take nothing that a strict reader would not.
#![allow(clippy::string_slice, reason = "they cut behind characters that they have found")]

/// A document of JSON with a newline behind it; returns its strings, names of members too.
pub(crate) fn json(text: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let rest = json_value(text, &mut strings);
    assert_eq!(rest, "\n");
    strings
}

/// Reads a value; returns what follows.
fn json_value<'t>(text: &'t str, strings: &mut Vec<String>) -> &'t str {
    match text.as_bytes()[0] {
        b'{' => {
            let mut names = std::collections::HashSet::new();
            json_list(&text[1..], "}", |rest| {
                assert!(rest.starts_with('"'), "{rest}");
                let value = json_value(rest, strings).strip_prefix(':').expect("a colon");
                let name = strings.last().expect("a name").clone();
                assert!(names.insert(name), "{strings:?}");
                json_value(value, strings)
            })
        }
        b'[' => json_list(&text[1..], "]", |rest| json_value(rest, strings)),
        b'"' => json_string(&text[1..], strings),
        _ => {
            let words = ["true", "false", "null"];
            if let Some(rest) = words.iter().find_map(|word| text.strip_prefix(word)) {
                return rest;
            }
            let end = text.find(|c: char| !(c.is_ascii_digit() || "-.".contains(c))).unwrap();
            let (number, rest) = text.split_at(end);
            let digits = number.strip_prefix('-').unwrap_or(number);
            let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
            let are_digits =
                |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            assert!(are_digits(whole) && are_digits(part), "{number}");
            assert!(!whole.starts_with('0') || whole == "0", "{number}");
            rest
        }
    }
}

fn json_list<'t>(text: &'t str, end: &str, mut item: impl FnMut(&'t str) -> &'t str) -> &'t str {
    if let Some(rest) = text.strip_prefix(end) {
        return rest;
    }
    let mut rest = item(text);
    while let Some(more) = rest.strip_prefix(',') {
        rest = item(more);
    }
    rest.strip_prefix(end).expect("the end of a list")
}

fn json_string<'t>(text: &'t str, strings: &mut Vec<String>) -> &'t str {
    let mut rest = text;
    let mut string = String::new();
    loop {
        let at = rest.find(|c: char| c < ' ' || c == '"' || c == '\\').expect("an end");
        string.push_str(&rest[..at]);
        let (found, more) = rest[at..].split_at(1);
        match found {
            "\"" => {
                strings.push(string);
                return more;
            }
            "\\" if more.starts_with('u') => {
                assert!(more[1..5].bytes().all(|byte| byte.is_ascii_hexdigit()), "{more}");
                let number = u32::from_str_radix(&more[1..5], 16).expect("hexadecimal");
                string.push(char::from_u32(number).expect("no half of a pair"));
                rest = &more[5..];
            }
            "\\" => {
                let at = "\"\\/bfnrt".find(&more[..1]).expect("an escape");
                string.push("\"\\/\u{8}\u{c}\n\r\t".as_bytes()[at].into());
                rest = &more[1..];
            }
            other => panic!("{other:?} in a string"),
        }
    }
}

/// A well-formed document of XML without text; returns the values of its attributes.
pub(crate) fn xml(text: &str) -> Vec<String> {
    let rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n").expect("a head");
    assert!(rest.chars().all(|c| c == '\n' || (!c.is_ascii_control() && is_xml(c))), "{rest:?}");
    let mut values = Vec::new();
    let text = |text: &str| assert!(text.trim().is_empty(), "{text:?}");
    assert_eq!(elements(rest, &[], &mut values, text), 1);
    values
}

/// Whether a document of XML can have this character, as such or by its number.
fn is_xml(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// A document of HTML in which all elements are closed and all attributes are quoted.
pub(crate) fn html(text: &str) {
    let rest = text.strip_prefix("<!DOCTYPE html>\n").expect("a head");
    assert!(!rest.contains('\0'));
    let empty = ["br", "input", "link", "meta"];
    assert_eq!(elements(rest, &empty, &mut Vec::new(), |text| drop(references(text))), 1);
}

/// Reads elements up to the end; returns how many stand at the top.
fn elements(
    mut rest: &str,
    never_closed: &[&str],
    values: &mut Vec<String>,
    text: impl Fn(&str),
) -> usize {
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    while let Some(at) = rest.find('<') {
        text(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(closed) = rest.strip_prefix('/') {
            let (name, more) = closed.split_once('>').expect("an end");
            assert_eq!(open.pop(), Some(name));
            rest = more;
            continue;
        }
        roots += usize::from(open.is_empty());
        let (name, more) = name(rest);
        let is_empty;
        (rest, is_empty) = attributes(more, !never_closed.is_empty(), values);
        if matches!(name, "script" | "style") {
            rest = rest.split_once(&format!("</{name}>")).expect("an end").1;
        } else if !is_empty && !never_closed.contains(&name) {
            open.push(name);
        }
    }
    text(rest);
    assert!(open.is_empty(), "{open:?}");
    roots
}

/// Reads up to the end of a tag; returns what follows, and whether the element is closed as well.
fn attributes<'t>(
    mut rest: &'t str,
    may_have_no_value: bool,
    values: &mut Vec<String>,
) -> (&'t str, bool) {
    let mut names = Vec::new();
    loop {
        let trimmed = rest.trim_start();
        if let Some(more) = trimmed.strip_prefix("/>") {
            return (more, true);
        }
        if let Some(more) = trimmed.strip_prefix('>') {
            return (more, false);
        }
        assert!(trimmed.len() < rest.len(), "a blank before {rest}");
        let (name, more) = name(trimmed);
        assert!(!names.contains(&name), "{name:?} in {trimmed}");
        names.push(name);
        let Some(value) = more.strip_prefix("=\"") else {
            assert!(may_have_no_value && !more.starts_with('='), "{trimmed}");
            rest = more;
            continue;
        };
        let (value, more) = value.split_once('"').expect("an end");
        assert!(!value.contains(|c: char| c == '<' || c.is_ascii_control()), "{value:?}");
        values.push(references(value));
        rest = more;
    }
}

/// A name of an element or an attribute, and what follows it.
fn name(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.:".contains(c)));
    let (name, rest) = text.split_at(end.expect("an end"));
    assert!(name.starts_with(|c: char| c.is_ascii_alphabetic() || "_:".contains(c)), "{text:?}");
    (name, rest)
}

/// The text that text with references stands for.
fn references(text: &str) -> String {
    let mut parts = text.split('&');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for reference in parts {
        let (name, rest) = reference.split_once(';').expect("the end of a reference");
        let named = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"')];
        let number = || {
            let digits = name.strip_prefix('#')?;
            let are_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            char::from_u32(digits.parse().ok().filter(|_| are_digits)?).filter(|c| is_xml(*c))
        };
        let known = named.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
        whole.push(known.or_else(number).unwrap_or_else(|| panic!("&{name};")));
        whole.push_str(rest);
    }
    whole
}

/// The text format of Prometheus: each series once, of a family whose HELP and TYPE stand once and
/// before it. Returns the values by the whole left sides.
pub(crate) fn prometheus(text: &str) -> std::collections::HashMap<String, f64> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut types: std::collections::HashMap<&str, &str> = Default::default();
    let (mut samples, mut helps) = (std::collections::HashMap::new(), Vec::new());
    for line in text.strip_suffix('\n').unwrap_or_default().split('\n') {
        if text.is_empty() {
            break;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("a help");
            assert!(is_label(name) && !help.is_empty() && !helps.contains(&name), "{line}");
            helps.push(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(types.insert(name, kind).is_none(), "{line}");
        } else if !line.is_empty() && !line.starts_with("# ") {
            let (series, value) = line.rsplit_once(' ').expect("a value");
            let (name, labels) =
                series.split_once('{').map_or((series, None), |(n, l)| (n, Some(l)));
            let base = match types.get(name) {
                Some(kind) => Some(name).filter(|_| *kind != "histogram"),
                None => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|part| name.strip_suffix(part))
                    .filter(|base| types.get(base) == Some(&"histogram")),
            };
            assert!(base.is_some_and(|base| helps.contains(&base)), "{line}");
            if let Some(labels) = labels {
                check_labels(labels.strip_suffix('}').expect("a brace"));
            }
            let value: f64 = value.parse().expect("a number");
            assert!(samples.insert(series.to_owned(), value).is_none(), "{line}");
        }
    }
    samples
}

fn is_label(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

fn check_labels(labels: &str) {
    let (mut rest, mut names) = (labels, Vec::new());
    loop {
        let (name, value) = rest.split_once("=\"").expect("a label");
        assert!(is_label(name) && !names.contains(&name), "{labels}");
        names.push(name);
        rest = label_end(value);
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => break,
        }
    }
    assert!(rest.is_empty(), "{labels}");
}

fn label_end(mut value: &str) -> &str {
    loop {
        let at = value.find(['"', '\\']).expect("the end of a label");
        if value[at..].starts_with('"') {
            return &value[at + 1..];
        }
        assert!(value[at + 1..].starts_with(['\\', '"', 'n']), "{value}");
        value = &value[at + 2..];
    }
}

/// Lines without control characters.
pub(crate) fn lines(text: &[u8]) {
    for line in text.split(|byte| *byte == b'\n') {
        assert!(!line.iter().any(u8::is_ascii_control), "{}", line.escape_ascii());
    }
}

/// A file of properties, on each line a key, an equals sign and a value: those that Java reads.
pub(crate) fn properties(text: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    lines(text);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(property).collect()
}

/// A key ends at a blank, a colon or an equals sign without backslash; blanks before a value are none
/// of it. A line that begins with a blank is no mistake for Java, for us it is.
fn property(line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    assert!(!matches!(line[0], b'#' | b'!' | b' ' | b'='), "{}", line.escape_ascii());
    let mut key = Vec::new();
    let mut rest = line;
    loop {
        let end = rest.iter().position(|byte| b"=: \\".contains(byte)).expect("the end of a key");
        key.extend_from_slice(&rest[..end]);
        match rest[end] {
            b'\\' => rest = unescaped(&rest[end + 1..], &mut key),
            b'=' => {
                rest = &rest[end + 1..];
                break;
            }
            // A blank that C mod_jk has in the name of an attribute: what follows is the value.
            b' ' if key.ends_with(b".error_time_unix") || key.ends_with(b".error_time_ago") => {
                rest = &rest[end + 1..];
                assert!(rest.starts_with(b"seconds="), "{}", line.escape_ascii());
                break;
            }
            _ => panic!("{}", line.escape_ascii()),
        }
    }
    assert!(rest.first() != Some(&b' '), "{}", line.escape_ascii());
    let mut value = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\\') {
        value.extend_from_slice(&rest[..end]);
        rest = unescaped(&rest[end + 1..], &mut value);
    }
    value.extend_from_slice(rest);
    (key, value)
}

/// Reads what is behind a backslash; returns what follows. The last one of a line would take the next
/// line to it.
fn unescaped<'t>(text: &'t [u8], into: &mut Vec<u8>) -> &'t [u8] {
    let (first, rest) = text.split_first().expect("a line ends without backslash");
    if *first == b'u' {
        let digits = std::str::from_utf8(&rest[..4]).expect("four digits");
        let number = u32::from_str_radix(digits, 16).expect("hexadecimal");
        let c = char::from_u32(number).expect("no half of a pair");
        into.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return &rest[4..];
    }
    let at = b"tnrf".iter().position(|byte| byte == first);
    into.push(at.map_or(*first, |at| b"\t\n\r\x0c"[at]));
    rest
}
