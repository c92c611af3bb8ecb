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
            assert!(number.parse::<f64>().is_ok() && !number.ends_with('.'), "{number}");
            let digits = number.strip_prefix('-').unwrap_or(number);
            assert!(!digits.starts_with('0') || digits.len() == 1 || digits.starts_with("0."));
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
    let is_bad =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    assert!(!rest.contains(is_bad));
    let mut values = Vec::new();
    let text = |text: &str| assert!(text.trim().is_empty(), "{text:?}");
    assert_eq!(elements(rest, &[], &mut values, text), 1);
    values
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
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        let end = rest.find(|c| !is_name(c)).expect("an end");
        let (name, more) = rest.split_at(end);
        assert!(name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'), "<{rest}");
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
        let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
        let end = trimmed.find(|c| !is_name(c)).expect("an end");
        let (name, more) = trimmed.split_at(end);
        assert!(!name.is_empty() && !names.contains(&name), "{name:?} in {trimmed}");
        names.push(name);
        let Some(value) = more.strip_prefix("=\"") else {
            assert!(may_have_no_value && !more.starts_with('='), "{trimmed}");
            rest = more;
            continue;
        };
        let (value, more) = value.split_once('"').expect("an end");
        assert!(!value.contains('<'), "{value}");
        values.push(references(value));
        rest = more;
    }
}

/// The text that text with references stands for.
fn references(text: &str) -> String {
    let mut parts = text.split('&');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for reference in parts {
        let (name, rest) = reference.split_once(';').expect("the end of a reference");
        let named = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"')];
        let number = || char::from_u32(name.strip_prefix('#')?.parse().ok().filter(|n| *n > 0)?);
        let known = named.iter().find(|(known, _)| *known == name).map(|(_, c)| *c);
        whole.push(known.or_else(number).unwrap_or_else(|| panic!("&{name};")));
        whole.push_str(rest);
    }
    whole
}

/// The text format of Prometheus: each series once, below the type of its name.
pub(crate) fn prometheus(text: &str) {
    assert!(text.is_empty() || text.ends_with('\n'));
    let is_name = |name: &str| {
        name.starts_with("jk_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    let mut family = "";
    let mut known: Vec<&str> = Vec::new();
    let mut series = std::collections::HashSet::new();
    for line in text.strip_suffix('\n').unwrap_or_default().split('\n') {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert!(is_name(name) && ["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(!known.contains(&name), "{line}");
            known.push(name);
            family = name;
            continue;
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok() && series.insert(name), "{line}");
        let (name, labels) = name.split_once('{').map_or((name, None), |(n, l)| (n, Some(l)));
        assert!(is_name(name) && !family.is_empty() && name.starts_with(family), "{line}");
        let Some(mut rest) = labels else { continue };
        while rest != "}" {
            let (label, value) = rest.split_once("=\"").expect("a label");
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            rest = label_end(value);
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
}

fn label_end(mut value: &str) -> &str {
    loop {
        let at = value.find(['"', '\\']).expect("the end of a label");
        if value[at..].starts_with('"') {
            return &value[at + 1..];
        }
        assert!("\\\"n".contains(&value[at + 1..at + 2]), "{value}");
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
