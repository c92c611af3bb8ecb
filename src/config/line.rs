//! One line of the `workers.properties` dialect [2.1]: where its parts begin and end, and what is odd
//! about it.
#![forbid(unsafe_code)]

use super::{
    error::{Place, Problems},
    keys::{Key, Kind, PATH, WorkerKey},
    text::{printable, suggestion},
};

/// What C mod_jk sees of a line: all up to its first NUL. `None` when there is nothing but blanks.
pub(super) fn visible<'a>(
    line: &'a [u8],
    place: &Place,
    problems: &mut Problems,
) -> Option<&'a [u8]> {
    let visible = line.split(|byte| *byte == 0).next().unwrap_or_default();
    if visible.len() < line.len() {
        problems.warning(place, "", "the line has a NUL byte and is read up to it", "remove it");
    }
    Some(trim(visible)).filter(|text| !text.is_empty())
}

/// A line of a file up to its comment.
pub(super) fn without_comment(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b'#').next().unwrap_or_default()
}

/// A key as a message shows it. Where the `=` is mistyped the value follows its name, and may be a
/// secret: only the name is shown.
pub(super) fn key_text(key: &[u8]) -> String {
    printable(name_in(key))
}

/// The name of a worker that may be in no list, as a message shows it.
pub(super) fn worker_text(worker: &[u8]) -> String {
    let key = [b"worker.", worker].concat();
    match is_of_secret(&key) {
        true => printable(name_in(&key).strip_prefix(b"worker.").unwrap_or_default()),
        false => printable(worker),
    }
}

/// What is certainly a name at the beginning of a key.
fn name_in(key: &[u8]) -> &[u8] {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let is_letter = |byte: &u8| is_plain(byte) || !byte.is_ascii();
    let begin = |length: usize| key.get(..length).unwrap_or(key);
    let plain = begin(key.iter().take_while(|byte| is_plain(byte)).count());
    let name = match property_of(plain) {
        Some(known) if known.is_secret() => plain,
        _ => begin(key.iter().take_while(|byte| is_letter(byte)).count()),
    };
    match WorkerKey::parse(name) {
        Some(parsed) if Key::find(parsed.property).is_none() => without_secret(name),
        _ => name,
    }
}

/// What ends with the name of a secret, where `.` or `-` or nothing stands in place of its `=`.
fn without_secret(key: &[u8]) -> &[u8] {
    const SECRET: &[u8] = b".secret";
    let mut windows = key.windows(SECRET.len()).enumerate();
    // A worker may have this name.
    let found = windows.find(|(at, text)| *at > "worker".len() && *text == SECRET);
    let Some((at, _)) = found else { return key };
    let (name, rest) = key.split_at_checked(at.saturating_add(SECRET.len())).unwrap_or((key, b""));
    match rest.starts_with(b"key") {
        true => key.get(..name.len().saturating_add("key".len())).unwrap_or(key),
        false => name,
    }
}

/// What to write where a key goes on behind its name.
fn write_value(key: &[u8]) -> Option<String> {
    let name = name_in(key);
    (name.len() < key.len() && property_of(name).is_some())
        .then(|| format!("write {}=VALUE", printable(name)))
}

/// Key and value of a line, both trimmed and not empty; `None` when C mod_jk ignores the line. Messages
/// name the key as `shown`.
pub(super) fn split<'a>(
    line: &'a [u8],
    shown: fn(&[u8]) -> String,
    place: &Place,
    problems: &mut Problems,
) -> Option<(&'a [u8], &'a [u8])> {
    let text = trim(line);
    if text.is_empty() {
        return None;
    }
    let mut halves = text.splitn(2, |byte| *byte == b'=');
    let key = trim(halves.next().unwrap_or_default());
    let Some(value) = halves.next().map(trim) else {
        problems.warning(
            place,
            leading_key(text),
            "the line has no '=' and is ignored",
            "write name=value on one line, or begin the line with '#'",
        );
        return None;
    };
    if key.is_empty() {
        problems.warning(
            place,
            "",
            "the line has nothing before its '=' and is ignored",
            "write name=value, or remove the line",
        );
        return None;
    }
    if value.is_empty() {
        let remedy = write_value(key);
        let remedy = remedy.unwrap_or_else(|| "write a value, or remove the line".to_string());
        problems.warning(place, shown(key), "has no value and is ignored", remedy);
        return None;
    }
    Some((key, value))
}

/// The key that a line without `=` begins with, when it is recognisable as one. Nothing else of the
/// line is shown: it may be the continuation of a secret.
fn leading_key(text: &[u8]) -> String {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let key: Vec<u8> = text.iter().copied().take_while(is_key).collect();
    match WorkerKey::parse(&key).and_then(|parsed| Key::find(parsed.property)) {
        Some(_) => printable(&key),
        None => String::new(),
    }
}

/// Whether a key may stand in a file: every custom variable, and `worker.…` with a known ending.
pub(super) fn is_known(key: &[u8], place: &Place, problems: &mut Problems) -> bool {
    let Some(parsed) = WorkerKey::parse(key) else {
        warn_of_near_miss(name_in(key), place, problems);
        return true;
    };
    if Key::find(parsed.property).is_some() {
        return true;
    }
    if let Some(remedy) = write_value(key) {
        problems.error(place, key_text(key), "the name goes on without an '='", remedy);
        return false;
    }
    let name = name_in(key);
    let WorkerKey { worker, property } = WorkerKey::parse(name).unwrap_or(parsed);
    let remedy = match Key::nearest(property) {
        Some(name) => format!("did you mean worker.{}{name}?", dotted(worker)),
        None => "correct the name, or remove the line".to_string(),
    };
    let what = match name.len() < key.len() {
        true => "goes on with a character that no property has".to_string(),
        false => format!("there is no worker property \"{}\"", printable(property)),
    };
    problems.error(place, key_text(key), what, remedy);
    false
}

/// `workers.a.port` sets a variable, as in C mod_jk; it hardly ever means to.
fn warn_of_near_miss(key: &[u8], place: &Place, problems: &mut Problems) {
    let mut parts = key.splitn(2, |byte| *byte == b'.');
    let first = parts.next().unwrap_or_default();
    let Some(rest) = parts.next() else { return };
    let property = rest.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let is_worker = suggestion(first, ["worker"]).is_some();
    if !is_worker || Key::find(property).is_none() {
        return;
    }
    problems.warning(
        place,
        printable(key),
        "does not begin with \"worker.\", so it is a variable and sets up no worker",
        format!("did you mean worker.{}?", printable(rest)),
    );
}

fn dotted(worker: &[u8]) -> String {
    match worker {
        [] => String::new(),
        name => format!("{}.", printable(name)),
    }
}

/// The row for the ending of any key: C mod_jk looks at the ending of custom variables, too.
pub(super) fn property_of(key: &[u8]) -> Option<&'static Key> {
    let mut from_the_end = key.rsplitn(2, |byte| *byte == b'.');
    let property = from_the_end.next()?;
    from_the_end.next()?;
    Key::find(property)
}

/// Whether the value of a key must never be shown.
pub(super) fn is_of_secret(key: &[u8]) -> bool {
    property_of(name_in(key)).is_some_and(Key::is_secret)
}

/// What a second line with a key means. C mod_jk looks at `_path` at the end of any name.
pub(super) fn kind_of(key: &[u8]) -> Kind {
    match property_of(key) {
        Some(known) => known.kind,
        None if key.ends_with(b"_path") => PATH,
        None => Kind::Joined('*'),
    }
}

/// The text before the next complete `$(name)`, the name, and the text after it.
pub(super) fn next_macro(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let start = text.windows(2).position(|pair| pair == b"$(")?;
    let (before, from_start) = text.split_at_checked(start)?;
    let inside = from_start.strip_prefix(b"$(")?;
    let end = inside.iter().position(|byte| *byte == b')')?;
    let (name, from_end) = inside.split_at_checked(end)?;
    Some((before, name, from_end.strip_prefix(b")")?))
}

/// Removes what `isspace` of C calls white space at both ends.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\x0b';
    while let [first, rest @ ..] = text
        && is_space(first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_space(last)
    {
        text = rest;
    }
    text
}
