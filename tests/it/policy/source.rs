//! A reader of Rust source that knows just enough for the rules: what is code and what is
//! comment or text, what is only compiled for tests, and which paths are named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A source file and its twin in which everything but code is blank, byte for byte.
pub(super) struct Source {
    text: String,
    code: String,
}

impl Source {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), code: blank(text) }
    }

    /// The contents of the `#![…]` before the first item, without blanks.
    pub(super) fn leading_attributes(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut rest = self.code.trim_start();
        while let Some(inner) = rest.strip_prefix("#![") {
            let Some(end) = closing(inner.as_bytes(), b'[', b']') else { break };
            found.push(inner[..end].split_whitespace().collect());
            rest = inner[end + 1..].trim_start();
        }
        found
    }

    /// The lines of `unsafe {` whose statement has no comment with `SAFETY:` right above it.
    pub(super) fn unsafe_blocks_without_safety(&self) -> Vec<usize> {
        let tokens = self.tokens();
        let text: Vec<&str> = self.text.lines().collect();
        let code: Vec<&str> = self.code.lines().collect();
        tokens
            .windows(2)
            .filter(|pair| pair[0].1 == "unsafe" && pair[1].1 == "{")
            .map(|pair| pair[0].0)
            .filter(|line| !has_safety(&text, &code, *line))
            .collect()
    }

    /// The lines on which the code says `unsafe`, whatever for.
    pub(super) fn unsafe_words(&self) -> Vec<usize> {
        self.tokens().iter().filter(|token| token.1 == "unsafe").map(|token| token.0).collect()
    }

    /// How many unsafe blocks the functions of this name have; `None` if there is no such function.
    pub(super) fn unsafe_blocks_of(&self, function: &str) -> Option<usize> {
        let tokens: Vec<&str> = self.tokens().iter().map(|token| token.1).collect();
        let mut found = None;
        for (index, _) in
            tokens.windows(2).enumerate().filter(|(_, pair)| *pair == ["fn", function])
        {
            let body = tokens[index..].iter().skip_while(|token| **token != "{");
            let mut depth = 0;
            let body: Vec<&str> = body
                .take_while(|token| {
                    depth += i32::from(**token == "{") - i32::from(**token == "}");
                    depth > 0
                })
                .copied()
                .collect();
            let blocks = body.windows(2).filter(|pair| *pair == ["unsafe", "{"]).count();
            found = Some(found.unwrap_or(0) + blocks);
        }
        found
    }

    /// The same file without what is only compiled for tests.
    pub(super) fn without_tests(mut self) -> Self {
        for (start, end) in self.test_items() {
            let hidden: String =
                self.code[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
            self.code.replace_range(start..end, &hidden);
        }
        self
    }

    /// Byte ranges of the items under `#[cfg(test)]`, that attribute included.
    fn test_items(&self) -> Vec<(usize, usize)> {
        let bytes = self.code.as_bytes();
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = self.code[at..].find("#[cfg(").map(|offset| at + offset) {
            let inner = start + 2;
            let Some(length) = closing(&bytes[inner..], b'[', b']') else { break };
            let attribute: String = self.code[inner..inner + length].split_whitespace().collect();
            at = inner + length + 1;
            if !(attribute == "cfg(test)" || attribute.starts_with("cfg(all(test,")) {
                continue;
            }
            // The item ends with its first `;` or its first block.
            let Some(stop) = self.code[at..].find([';', '{']).map(|offset| at + offset) else {
                break;
            };
            let end = match bytes[stop] {
                b';' => stop + 1,
                _ => closing(&bytes[stop + 1..], b'{', b'}').map_or(bytes.len(), |n| stop + n + 2),
            };
            found.push((start, end));
            at = end;
        }
        found
    }

    /// Names of the functions under `#[test]`.
    pub(super) fn test_names(&self) -> Vec<String> {
        let tokens = self.tokens();
        let mut found = Vec::new();
        let mut marked = false;
        for (index, (_, token)) in tokens.iter().enumerate() {
            let text = |offset: usize| tokens.get(index + offset).map_or("", |token| token.1);
            if *token == "#" && text(1) == "[" && text(2) == "test" && text(3) == "]" {
                marked = true;
            } else if *token == "fn" && std::mem::take(&mut marked) {
                found.push(text(1).to_owned());
            }
        }
        found
    }

    /// Names of the macros under `#[macro_export]`: wherever they are written, they are named
    /// as if they were in the crate's root.
    pub(super) fn exported_macros(&self) -> Vec<String> {
        let tokens = self.tokens();
        let mut found = Vec::new();
        let mut marked = false;
        for (index, (_, token)) in tokens.iter().enumerate() {
            if *token == "macro_export" {
                marked = true;
            } else if *token == "macro_rules" && std::mem::take(&mut marked) {
                found.extend(tokens.get(index + 2).map(|token| token.1.to_owned()));
            }
        }
        found
    }

    /// Every path that the code names, with its line: those of this crate from `crate` on,
    /// others as they are written. `module` is where the file is.
    pub(super) fn references(&self, module: &[String]) -> Vec<(usize, Vec<String>)> {
        Paths { tokens: self.tokens(), at: 0, module: module.to_vec(), found: Vec::new() }.read()
    }

    /// Identifiers, `::` and single signs, with the line they are on.
    fn tokens(&self) -> Vec<(usize, &str)> {
        let bytes = self.code.as_bytes();
        let (mut at, mut line, mut found) = (0, 1, Vec::new());
        let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
        while at < bytes.len() {
            let start = at;
            at += 1;
            match bytes[start] {
                b'\n' => line += 1,
                byte if byte.is_ascii_whitespace() || !byte.is_ascii() => {}
                byte if is_word(byte) => {
                    while at < bytes.len() && is_word(bytes[at]) {
                        at += 1;
                    }
                    found.push((line, &self.code[start..at]));
                }
                b':' if bytes.get(at) == Some(&b':') => {
                    at += 1;
                    found.push((line, "::"));
                }
                _ => found.push((line, &self.code[start..at])),
            }
        }
        found
    }
}

/// Offset of the sign that closes a bracket opened just before `bytes`.
fn closing(bytes: &[u8], open: u8, close: u8) -> Option<usize> {
    let mut depth = 1;
    bytes.iter().position(|byte| {
        depth += i32::from(*byte == open) - i32::from(*byte == close);
        depth == 0
    })
}

/// Walks up from the block on `line` (from 1) to the start of its statement and looks at the
/// comment above.
fn has_safety(text: &[&str], code: &[&str], line: usize) -> bool {
    let mut at = line - 1;
    // A comment before the block on its own line counts too.
    if text[at].split("unsafe").next().is_some_and(|before| before.contains("SAFETY:")) {
        return true;
    }
    while at > 0 {
        at -= 1;
        let (text, code) = (text[at].trim(), code[at].trim());
        if code.is_empty() {
            if text.is_empty() {
                return false;
            }
            if text.contains("SAFETY:") {
                return true;
            }
        } else if !code.starts_with("#[") && code.ends_with([';', '{', '}', ',']) {
            return false;
        }
    }
    false
}

/// Replaces comments and the contents of strings and characters by blanks.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => {
                bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n)
            }
            b'/' if bytes[at..].starts_with(b"/*") => end_of_comment(bytes, at),
            b'"' => end_of_string(bytes, at),
            b'\'' => end_of_char(bytes, at),
            byte if byte == b'_' || byte.is_ascii_alphabetic() => {
                let word = bytes[at..]
                    .iter()
                    .position(|b| *b != b'_' && !b.is_ascii_alphanumeric())
                    .map_or(bytes.len(), |n| at + n);
                match end_of_raw_string(bytes, at, word) {
                    Some(end) => end,
                    None => {
                        at = word;
                        continue;
                    }
                }
            }
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("whole characters were replaced")
}

fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start + 2, 1);
    while at < bytes.len() && depth > 0 {
        let step = match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
    }
    at
}

fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of a character literal; of a lifetime only its apostrophe.
fn end_of_char(bytes: &[u8], start: usize) -> usize {
    if bytes.get(start + 1) == Some(&b'\\') {
        let rest = bytes.get(start + 3..).unwrap_or_default();
        return rest.iter().position(|b| *b == b'\'').map_or(bytes.len(), |n| start + n + 4);
    }
    // One character of up to four bytes, then the closing apostrophe.
    let width = match bytes.get(start + 1) {
        Some(0xF0..) => 4,
        Some(0xE0..) => 3,
        Some(0xC0..) => 2,
        _ => 1,
    };
    if bytes.get(start + 1 + width) == Some(&b'\'') { start + width + 2 } else { start + 1 }
}

/// The end of `r"…"`, `br#"…"#` and the like, if the word at `start..word` begins one.
fn end_of_raw_string(bytes: &[u8], start: usize, word: usize) -> Option<usize> {
    if !matches!(&bytes[start..word], b"r" | b"br" | b"cr") {
        return None;
    }
    let hashes = bytes[word..].iter().take_while(|b| **b == b'#').count();
    if bytes.get(word + hashes) != Some(&b'"') {
        return None;
    }
    let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let inside = word + hashes + 1;
    let length = bytes[inside..].windows(close.len()).position(|part| part == close);
    Some(length.map_or(bytes.len(), |n| inside + n + close.len()))
}

struct Paths<'a> {
    tokens: Vec<(usize, &'a str)>,
    at: usize,
    module: Vec<String>,
    found: Vec<(usize, Vec<String>)>,
}

impl Paths<'_> {
    fn read(mut self) -> Vec<(usize, Vec<String>)> {
        // The modules written out in this file, each with the depth its block is at.
        let (mut depth, mut inline) = (0, Vec::new());
        while self.at < self.tokens.len() {
            match self.token(0) {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        self.module.pop();
                    }
                }
                "mod" if self.token(2) == "{" => {
                    inline.push(depth);
                    self.module.push(self.token(1).to_owned());
                    self.at += 1;
                }
                // `impl Trait + use<'a>` is no import.
                "use" if self.token(1) != "<" => {
                    self.at += 1;
                    self.tree(&[]);
                    continue;
                }
                word if is_name(word) && self.token(1) == "::" && !self.continues() => {
                    let line = self.tokens[self.at].0;
                    let mut path = vec![word.to_owned()];
                    while self.token(1) == "::" && is_name(self.token(2)) {
                        path.push(self.token(2).to_owned());
                        self.at += 2;
                    }
                    self.add(line, path);
                }
                _ => {}
            }
            self.at += 1;
        }
        self.found
    }

    fn token(&self, offset: usize) -> &str {
        self.tokens.get(self.at + offset).map_or("", |token| token.1)
    }

    /// True if what is here is the rest of a longer path, as in `<T as A>::b::c`.
    fn continues(&self) -> bool {
        let before = |offset| self.at.checked_sub(offset).map_or("", |at| self.tokens[at].1);
        before(1) == "::" && (is_name(before(2)) || before(2) == ">")
    }

    /// Reads one tree of a `use` item and what separates it from the next.
    fn tree(&mut self, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.0);
        loop {
            match self.token(0) {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.token(0), "}" | "") {
                        self.tree(&path);
                    }
                    self.at += 1;
                    path.clear();
                }
                "as" => self.at += 2,
                "," | ";" => {
                    self.at += 1;
                    break;
                }
                "}" | "" => break,
                name => {
                    path.push(name.to_owned());
                    self.at += 1;
                }
            }
        }
        if !path.is_empty() {
            self.add(line, path);
        }
    }

    fn add(&mut self, line: usize, path: Vec<String>) {
        let mut base = self.module.clone();
        let mut rest = path.as_slice();
        match rest.first().map(String::as_str) {
            Some("crate") => base.clear(),
            Some("self") => {}
            Some("super") => {
                while let [first, after @ ..] = rest
                    && first == "super"
                {
                    base.pop();
                    rest = after;
                }
                self.found.push((line, in_crate(base, rest)));
                return;
            }
            _ => {
                self.found.push((line, path));
                return;
            }
        }
        let path = in_crate(base, &rest[1..]);
        self.found.push((line, path));
    }
}

fn in_crate(base: Vec<String>, rest: &[String]) -> Vec<String> {
    std::iter::once("crate".to_owned()).chain(base).chain(rest.iter().cloned()).collect()
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
}

/// `src/ajp/frame.rs` is the module `ajp::frame`; `None` for the crate's root.
pub(super) fn module_path(path: &Path) -> Option<Vec<String>> {
    let below = path.strip_prefix("src").ok()?.with_extension("");
    let mut parts: Vec<String> =
        below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    (parts != ["lib"]).then_some(parts)
}

/// The files of modules declared as `#[cfg(test)] mod name;`, with or without `#[path]`.
pub(super) fn out_of_line_tests(files: &[(PathBuf, String)]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for (path, text) in files {
        let source = Source::new(text);
        let dir = path.parent().expect("a directory");
        // The modules below src/a/b.rs are in src/a/b/, those below src/a/mod.rs in src/a/.
        let is_owner = path.file_name().is_some_and(|name| name == "mod.rs" || name == "lib.rs");
        let below = if is_owner { dir.to_owned() } else { path.with_extension("") };
        for (start, end) in source.test_items() {
            let item = &text[start..end];
            let name = item.trim_end_matches(';').split_whitespace().last().unwrap_or_default();
            if !item.ends_with(';') || !item.contains("mod ") {
                continue;
            }
            match item.split("path = \"").nth(1).and_then(|rest| rest.split('"').next()) {
                Some(file) => drop(found.insert(dir.join(file))),
                None => {
                    found.insert(below.join(format!("{name}.rs")));
                    found.insert(below.join(name).join("mod.rs"));
                }
            }
        }
    }
    found
}

#[test]
fn paths_are_found_wherever_they_are_named() {
    let module = ["worker".to_owned(), "pool".to_owned()];
    let found = |text: &str| -> Vec<String> {
        let found = Source::new(text).without_tests().references(&module);
        found.into_iter().map(|(_, path)| path.join("::")).collect()
    };
    assert_eq!(
        found("use crate::{ajp::{self, X as Y}, httpd};"),
        ["crate::ajp::self", "crate::ajp::X", "crate::httpd"]
    );
    assert_eq!(
        found("use super::super::net; fn f() -> super::A {}"),
        ["crate::net", "crate::worker::A"]
    );
    assert_eq!(found("pub(crate) use std::io;"), ["std::io"]);
    assert_eq!(found("fn f(x: &::std::net::IpAddr) {}"), ["std::net::IpAddr"]);
    assert_eq!(found("let x = std::time::Instant::now();"), ["std::time::Instant::now"]);
    assert_eq!(found("let x = <A as B>::c::d(); Vec::<u8>::new()"), ["Vec"]);
    assert_eq!(
        found("mod a { use super::b; }\nuse super::c;"),
        ["crate::worker::pool::b", "crate::worker::c"]
    );
    assert_eq!(
        found("// use crate::httpd;\n/* a /* b */ crate::x */ let s = \"crate::y\";"),
        [""; 0]
    );
    assert_eq!(
        found("let s = r#\"\" crate::a\"#; let c = '\"'; let d = '\\''; crate::b();"),
        ["crate::b"]
    );
    assert_eq!(found("#[cfg(test)]\nmod t { use crate::a; }\nuse crate::b;"), ["crate::b"]);
    assert_eq!(found("#[cfg(unix)]\nuse crate::a;"), ["crate::a"]);
    assert_eq!(found("macro_rules! m { () => { $crate::httpd::x() } }"), ["crate::httpd::x"]);
}

#[test]
fn lines_are_those_of_the_file() {
    let source = Source::new("// ü 'x'\nfn f<'a>() {}\n\"a\nb\"\nuse crate::a;");
    assert_eq!(source.references(&[])[0].0, 5);
}

#[test]
fn test_modules_in_files_of_their_own_are_found() {
    let file = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let files = [
        file("src/a/b.rs", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;"),
        file("src/a/mod.rs", "#[cfg(test)]\nmod tests;\nmod b;"),
    ];
    let found = out_of_line_tests(&files);
    let found: Vec<_> = found.iter().map(|path| path.to_str().expect("UTF-8")).collect();
    assert_eq!(found, ["src/a/b_tests.rs", "src/a/tests/mod.rs", "src/a/tests.rs"]);
}

#[test]
fn exported_macros_are_told_from_others() {
    let names =
        Source::new("macro_rules! a { }\n#[macro_export]\nmacro_rules! b { }").exported_macros();
    assert_eq!(names, ["b"]);
}

#[test]
fn test_functions_are_told_from_others() {
    let names =
        Source::new("#[test]\n#[ignore = \"why\"]\nfn a() {}\nfn b() {}\n// #[test] fn c()")
            .test_names();
    assert_eq!(names, ["a"]);
}
