//! A strict reader of JSON, for what the status worker and browsers' drivers write.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

static NULL: Value = Value::Null;

impl Value {
    /// What a path of names and positions leads to, `a.0.b`; null where there is nothing.
    pub(crate) fn path(&self, path: &str) -> &Value {
        path.split('.').fold(self, |value, part| match value {
            Value::Object(members) => {
                let found = members.iter().find(|(name, _)| name == part);
                found.map_or(&NULL, |(_, value)| value)
            }
            Value::List(values) => {
                part.parse().ok().and_then(|at: usize| values.get(at)).unwrap_or(&NULL)
            }
            _ => &NULL,
        })
    }

    pub(crate) fn number(&self) -> Option<f64> {
        if let Value::Number(number) = self { Some(*number) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn list(&self) -> &[Value] {
        if let Value::List(values) = self { values } else { &[] }
    }
}

/// A text as JSON.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out + "\""
}

/// Reads a whole document; panics at what is not JSON, a name that comes twice included.
#[track_caller]
pub(crate) fn parse(text: &str) -> Value {
    let mut rest = text;
    let value = value(&mut rest);
    assert!(rest.trim_start().is_empty(), "behind the document: {rest:.60}");
    value
}

fn skip(rest: &mut &str, token: &str) -> bool {
    *rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
    let found = rest.strip_prefix(token);
    *rest = found.unwrap_or(rest);
    found.is_some()
}

#[track_caller]
fn value(rest: &mut &str) -> Value {
    if skip(rest, "{") {
        let mut members: Vec<(String, Value)> = Vec::new();
        if skip(rest, "}") {
            return Value::Object(members);
        }
        loop {
            assert!(skip(rest, "\""), "a name: {rest:.60}");
            let name = string(rest);
            assert!(skip(rest, ":"), "a colon: {rest:.60}");
            assert!(members.iter().all(|(known, _)| *known != name), "{name} twice");
            members.push((name, value(rest)));
            if !skip(rest, ",") {
                assert!(skip(rest, "}"), "an end: {rest:.60}");
                return Value::Object(members);
            }
        }
    }
    if skip(rest, "[") {
        let mut values = Vec::new();
        if skip(rest, "]") {
            return Value::List(values);
        }
        loop {
            values.push(value(rest));
            if !skip(rest, ",") {
                assert!(skip(rest, "]"), "an end: {rest:.60}");
                return Value::List(values);
            }
        }
    }
    if skip(rest, "\"") {
        return Value::Text(string(rest));
    }
    for (word, value) in
        [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
    {
        if skip(rest, word) {
            return value;
        }
    }
    let end = rest.find(|c: char| !"+-.eE0123456789".contains(c)).unwrap_or(rest.len());
    let (number, after) = rest.split_at(end);
    *rest = after;
    Value::Number(number.parse().unwrap_or_else(|_| panic!("a value: {number}{after:.60}")))
}

fn string(rest: &mut &str) -> String {
    let mut out = String::new();
    let mut units: Vec<u16> = Vec::new();
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        assert!(c >= ' ', "a control character");
        let mut escaped = None;
        if c == '\\' {
            let (_, c) = chars.next().expect("an escape");
            escaped = Some(match c {
                'u' => {
                    let four: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
                    u16::from_str_radix(&four, 16).expect("four digits")
                }
                'n' => 10,
                't' => 9,
                'r' => 13,
                'b' => 8,
                'f' => 12,
                '"' | '\\' | '/' => c as u16,
                other => panic!("\\{other}"),
            });
        }
        if let Some(unit) = escaped {
            units.push(unit);
            continue;
        }
        out += &String::from_utf16(&std::mem::take(&mut units)).expect("pairs");
        if c == '"' {
            *rest = &rest[at + 1..];
            return out;
        }
        out.push(c);
    }
    panic!("a text without end");
}

#[test]
fn json_is_read_strictly() {
    let value =
        parse(" {\"a\": [1, -2.5e1, \"\\u00e9\\n\\ud83d\\ude00\", null, true], \"b\": {}} ");
    assert_eq!(value.path("a.1").number(), Some(-25.0));
    assert_eq!(value.path("a.2").text(), Some("é\n😀"));
    assert_eq!(value.path("a").list().len(), 5);
    assert_eq!(value.path("c.9"), &Value::Null);
    assert_eq!(parse(&quote("a\"\\\n")).text(), Some("a\"\\\n"));
    for wrong in ["{", "[1,]", "{\"a\":1,\"a\":2}", "1 2", "\"\n\"", "'a'", "tru", "\"\\x\""] {
        assert!(std::panic::catch_unwind(|| parse(wrong)).is_err(), "{wrong}");
    }
}
