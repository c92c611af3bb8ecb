//! Parsers of what status pages are written in, which take nothing that a strict reader would not.

/// A document of JSON with a newline behind it.
pub(super) fn json(text: &str) {
    let rest = json_value(text);
    assert_eq!(rest, "\n");
}

/// Reads a value; returns what follows.
fn json_value(text: &str) -> &str {
    match text.as_bytes()[0] {
        b'{' => json_list(&text[1..], "}", |rest| {
            assert!(rest.starts_with('"'), "{rest}");
            json_value(json_value(rest).strip_prefix(':').expect("a colon"))
        }),
        b'[' => json_list(&text[1..], "]", json_value),
        b'"' => json_string(&text[1..]),
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

fn json_list<'t>(text: &'t str, end: &str, item: impl Fn(&'t str) -> &'t str) -> &'t str {
    if let Some(rest) = text.strip_prefix(end) {
        return rest;
    }
    let mut rest = item(text);
    while let Some(more) = rest.strip_prefix(',') {
        rest = item(more);
    }
    rest.strip_prefix(end).expect("the end of a list")
}

fn json_string(text: &str) -> &str {
    let mut rest = text;
    loop {
        let at = rest.find(|c: char| c < ' ' || c == '"' || c == '\\').expect("an end");
        let (found, more) = rest[at..].split_at(1);
        match found {
            "\"" => return more,
            "\\" if more.starts_with('u') => {
                assert!(more[1..5].bytes().all(|byte| byte.is_ascii_hexdigit()), "{more}");
                rest = &more[5..];
            }
            "\\" => {
                assert!("\"\\/bfnrt".contains(&more[..1]), "{more}");
                rest = &more[1..];
            }
            other => panic!("{other:?} in a string"),
        }
    }
}

/// A well-formed document of XML without text.
pub(super) fn xml(text: &str) {
    let rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n").expect("a head");
    let is_bad =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    assert!(!rest.contains(is_bad));
    let roots = elements(rest, &[], |text| assert!(text.trim().is_empty(), "{text:?}"));
    assert_eq!(roots, 1);
}

/// A document of HTML in which all elements are closed and all attributes are quoted.
pub(super) fn html(text: &str) {
    let rest = text.strip_prefix("<!DOCTYPE html>\n").expect("a head");
    assert!(!rest.contains('\0'));
    assert_eq!(elements(rest, &["br", "input", "link", "meta"], references), 1);
}

/// Reads elements up to the end; returns how many stand at the top.
fn elements(mut rest: &str, never_closed: &[&str], text: impl Fn(&str)) -> usize {
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
        (rest, is_empty) = attributes(more, !never_closed.is_empty());
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
fn attributes(mut rest: &str, may_have_no_value: bool) -> (&str, bool) {
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
        references(value);
        rest = more;
    }
}

fn references(text: &str) {
    for reference in text.split('&').skip(1) {
        let (name, _) = reference.split_once(';').expect("the end of a reference");
        let is_number =
            name.strip_prefix('#').is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n > 0));
        assert!(is_number || ["amp", "lt", "gt", "quot"].contains(&name), "&{name};");
    }
}

/// The text format of Prometheus: each series once, below the type of its name.
pub(super) fn prometheus(text: &str) {
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
pub(super) fn lines(text: &[u8]) {
    for line in text.split(|byte| *byte == b'\n') {
        assert!(!line.iter().any(u8::is_ascii_control), "{}", line.escape_ascii());
    }
}

/// A file of properties: on each line a key, an equals sign, a value.
pub(super) fn properties(text: &[u8]) {
    lines(text);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let is_equals = |at: usize| line[at] == b'=' && (at == 0 || line[at - 1] != b'\\');
        let at = (0..line.len()).find(|at| is_equals(*at)).expect("an equals sign");
        assert!(at > 0 && !matches!(line[0], b'#' | b'!'), "{}", line.escape_ascii());
        let key = &line[..at];
        let is_end =
            |at: usize| matches!(key[at], b' ' | b':') && (at == 0 || key[at - 1] != b'\\');
        assert!(!(0..key.len()).any(is_end), "{}", line.escape_ascii());
    }
}
