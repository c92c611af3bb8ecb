//! The dialect of `workers.properties` and of JkWorkerProperty [2.1]: text in, keys and values out.
//!
//! Keys and values are bytes. A secret, a path or a worker's name may be in any encoding; they reach
//! the engine, the system and the mapping table as they were written. Only messages replace what is
//! not UTF-8.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    ops::Bound,
};

use super::{
    error::{Place, Problems},
    keys::Kind,
    line,
    text::printable,
};

/// Bytes of a physical line of a file that are read as one line; the rest is the next line.
pub const MAX_LINE: usize = 8191;

/// Longest line of JkWorkerProperty, in bytes.
pub const MAX_DIRECTIVE: usize = 8192;

/// `$(name)` that are replaced in one value; further ones stay as they are.
const MAX_SUBSTITUTIONS: usize = 21;

/// Looks up an environment variable for `$(name)`.
pub type Environment<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// One key with its value, after macros were replaced and duplicates were merged.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// Never empty.
    pub key: Vec<u8>,
    /// Never empty.
    pub value: Vec<u8>,
    /// The last line that set it.
    pub place: Place,
    /// Whether it was taken over by a `reference`, so that its line has another key.
    pub is_inherited: bool,
}

impl fmt::Debug for Property {
    // A custom variable may hold a secret that a worker takes over by `$(name)`, so no value is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", line::key_text(&self.key), self.place)
    }
}

/// All properties read so far, in the order in which their keys appeared first.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    is_map: bool,
    entries: Vec<Property>,
    /// Ordered, so that a reference finds what it takes over without a look at all the others.
    positions: BTreeMap<Vec<u8>, usize>,
}

impl Properties {
    /// No properties.
    pub fn new() -> Properties {
        Properties::default()
    }

    /// No lines of a map file. It is written like `workers.properties`, but every key is a rule or a
    /// variable, and of several lines with a key the last one counts [3.2].
    pub fn of_map_file() -> Properties {
        Properties { is_map: true, ..Properties::default() }
    }

    /// Sets a variable that no file sets, such as `ServerRoot`, silently.
    pub fn define(&mut self, name: &[u8], value: &[u8], place: &Place) {
        self.set(name, value.to_vec(), place);
    }

    /// Reads a whole file. `source` is its name as messages show it.
    pub fn read_text(
        &mut self,
        text: &[u8],
        source: &str,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) {
        let mut place = Place::new(source, 0);
        for physical in text.split(|byte| *byte == b'\n') {
            place.line = place.line.saturating_add(1);
            if physical.len() > MAX_LINE {
                problems.warning(
                    &place,
                    "",
                    format!(
                        "the line is longer than {MAX_LINE} bytes and is read as several lines"
                    ),
                    "make it shorter; lists may be spread over several lines with the same key",
                );
            }
            for piece in physical.chunks(MAX_LINE) {
                if let Some(text) = line::visible(piece, &place, problems) {
                    self.read(line::without_comment(text), &place, environment, problems);
                }
            }
        }
    }

    /// Reads one line that stands elsewhere: the argument of JkWorkerProperty, `place` being the file
    /// and line of the directive. Longer than [`MAX_DIRECTIVE`] is an error. `#` begins no comment.
    pub fn read_line(
        &mut self,
        text: &[u8],
        place: &Place,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) {
        if text.len() > MAX_DIRECTIVE {
            let what = format!("the line is longer than {MAX_DIRECTIVE} bytes");
            problems.error(place, "", what, "make it shorter");
            return;
        }
        if let Some(text) = line::visible(text, place, problems) {
            let is_comment = |pair: &[u8]| matches!(pair, [b' ' | b'\t', b'#']);
            if text.windows(2).any(is_comment) {
                let key = text.split(|byte| *byte == b'=').next().unwrap_or_default();
                let what = "the value goes on behind '#', which begins no comment here";
                let remedy = "put the comment on a line of its own";
                problems.warning(place, line::key_text(line::trim(key)), what, remedy);
            }
            self.read(text, place, environment, problems);
        }
    }

    /// The value of a key, or `None` when no line sets it.
    pub fn value(&self, key: &[u8]) -> Option<&[u8]> {
        self.find(key).map(|property| property.value.as_slice())
    }

    /// The property with a key, or `None` when no line sets it.
    pub fn find(&self, key: &[u8]) -> Option<&Property> {
        self.positions.get(key).and_then(|at| self.entries.get(*at))
    }

    /// All of them, in the order in which their keys appeared first.
    pub fn iter(&self) -> std::slice::Iter<'_, Property> {
        self.entries.iter()
    }

    /// All but secrets: neither the properties of that name, however their line is mistyped, nor the
    /// variables that hold the same value.
    pub fn without_secrets(&self) -> impl Iterator<Item = &Property> {
        let is_secret = |key: &[u8]| {
            key.ends_with(b".secret") || key.ends_with(b".secretkey") || line::is_of_secret(key)
        };
        let secrets: HashSet<&[u8]> =
            self.iter().filter(|p| is_secret(&p.key)).map(|p| p.value.as_slice()).collect();
        self.iter().filter(move |p| !is_secret(&p.key) && !secrets.contains(p.value.as_slice()))
    }

    /// Those whose key begins with `prefix`, in their order.
    pub(super) fn below(&self, prefix: &[u8]) -> Vec<&Property> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let found = self.positions.range::<[u8], _>(from);
        let mut found: Vec<usize> =
            found.take_while(|(key, _)| key.starts_with(prefix)).map(|(_, at)| *at).collect();
        found.sort_unstable();
        found.into_iter().filter_map(|at| self.at(at)).collect()
    }

    /// One of [`Properties::iter`] by its position.
    pub(super) fn at(&self, position: usize) -> Option<&Property> {
        self.entries.get(position)
    }

    /// How messages name a key. The paths of a map file hold no secret.
    fn shown(&self) -> fn(&[u8]) -> String {
        if self.is_map { printable } else { line::key_text }
    }

    fn read(
        &mut self,
        text: &[u8],
        place: &Place,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) {
        let Some((key, value)) = line::split(text, self.shown(), place, problems) else { return };
        if !self.is_map && !line::is_known(key, place, problems) {
            return;
        }
        let value = self.replace_macros(key, value, place, environment, problems);
        if value.is_empty() {
            let what = "has no value after its macros were replaced and is ignored";
            problems.warning(place, self.shown()(key), what, "set the variable that it uses");
            return;
        }
        self.merge(key, value, place, problems);
    }

    fn replace_macros(
        &self,
        key: &[u8],
        value: &[u8],
        place: &Place,
        environment: Environment<'_>,
        problems: &mut Problems,
    ) -> Vec<u8> {
        let mut replaced = Vec::with_capacity(value.len());
        let mut rest = value;
        for _ in 0..MAX_SUBSTITUTIONS {
            let Some((before, name, after)) = line::next_macro(rest) else { break };
            replaced.extend_from_slice(before);
            rest = after;
            let found = self.value(name).map(<[u8]>::to_vec).or_else(|| environment(name));
            if let Some(found) = found {
                replaced.extend_from_slice(&found);
                continue;
            }
            replaced.extend_from_slice(b"$(");
            replaced.extend_from_slice(name);
            replaced.push(b')');
            let shown = match line::is_of_secret(key) {
                true => "a macro".to_string(),
                false => format!("$({})", printable(name)),
            };
            problems.warning(
                place,
                self.shown()(key),
                format!(
                    "{shown} is neither set above this line nor an environment variable, it stays \
                     as it is"
                ),
                "set the variable above its use",
            );
        }
        replaced.extend_from_slice(rest);
        replaced
    }

    fn merge(&mut self, key: &[u8], value: Vec<u8>, place: &Place, problems: &mut Problems) {
        let Some(earlier) = self.find(key) else {
            self.set(key, value, place);
            return;
        };
        let kind = if self.is_map { Kind::Unique } else { line::kind_of(key) };
        let separator = match kind {
            Kind::List => ',',
            Kind::Unique => {
                let what = format!("is set again after {}, the last value is used", earlier.place);
                problems.warning(place, self.shown()(key), what, "keep one of the lines");
                self.set(key, value, place);
                return;
            }
            Kind::Joined(separator) => {
                let what = format!(
                    "is set again after {}, the values are joined with '{separator}' as C mod_jk \
                     does",
                    earlier.place
                );
                problems.warning(place, self.shown()(key), what, "keep one of the lines");
                separator
            }
        };
        let mut joined = earlier.value.clone();
        joined.extend_from_slice(separator.encode_utf8(&mut [0; 4]).as_bytes());
        joined.extend_from_slice(&value);
        self.set(key, joined, place);
    }

    fn set(&mut self, key: &[u8], value: Vec<u8>, place: &Place) {
        let property =
            Property { key: key.to_vec(), value, place: place.clone(), is_inherited: false };
        self.put(property);
    }

    /// Adds a property that another key inherits, unless that key is set.
    pub(super) fn inherit(&mut self, key: Vec<u8>, from: &Property) {
        if !self.positions.contains_key(&key) {
            let Property { value, place, .. } = from.clone();
            self.put(Property { key, value, place, is_inherited: true });
        }
    }

    fn put(&mut self, property: Property) {
        let at = self.positions.get(&property.key).copied();
        if let Some(existing) = at.and_then(|at| self.entries.get_mut(at)) {
            *existing = property;
        } else {
            self.positions.insert(property.key.clone(), self.entries.len());
            self.entries.push(property);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> (Properties, Vec<String>) {
        let mut properties = Properties::new();
        let mut problems = Problems::new();
        let environment = |name: &[u8]| match name {
            b"HOME" => Some(b"/home/ivy".to_vec()),
            b"EMPTY" => Some(Vec::new()),
            b"MACRO" => Some(b"$(HOME)".to_vec()),
            _ => None,
        };
        properties.read_text(text, "w.properties", &environment, &mut problems);
        (properties, problems.iter().map(ToString::to_string).collect())
    }

    fn value(text: &str, key: &str) -> Option<String> {
        let (properties, _) = read(text.as_bytes());
        properties.value(key.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn reads_one_property_per_line() {
        let text = "# all\r\n worker.list = a b # two\r\n\n\tx\x0b=\x0c1 = 2 \n=\nlast=1";
        assert_eq!(value(text, "worker.list").as_deref(), Some("a b"));
        assert_eq!(value(text, "x").as_deref(), Some("1 = 2"));
        assert_eq!(value(text, "last").as_deref(), Some("1"));
        assert_eq!(read(text.as_bytes()).0.iter().count(), 3);
    }

    #[test]
    fn keeps_bytes_that_are_not_utf_8() {
        let (properties, problems) = read(b"worker.a.secret=\xfcber");
        assert_eq!(properties.value(b"worker.a.secret"), Some(&b"\xfcber"[..]));
        assert_eq!(problems, [""; 0]);
    }

    #[test]
    fn replaces_macros_from_earlier_lines_then_from_the_environment() {
        for (text, expected) in [
            ("a=1\nb=<$(a)>", "<1>"),
            ("HOME=x\nb=$(HOME)", "x"),
            ("b=$(HOME)/$(HOME)", "/home/ivy//home/ivy"),
            ("b=$(a)\na=1", "$(a)"),
            ("b=$(MACRO)", "$(HOME)"),
            ("b=$(a$(HOME)", "$(a$(HOME)"),
            ("b=$(HOME", "$(HOME"),
            ("$(HOME)=1\nb=1$", "1$"),
        ] {
            assert_eq!(value(text, "b").as_deref(), Some(expected), "{text}");
        }
        let many = format!("a=1\nb={}", "$(a)".repeat(23));
        assert_eq!(value(&many, "b"), Some(format!("{}$(a)$(a)", "1".repeat(21))));
        assert_eq!(value("b=$(EMPTY)", "b"), None);
    }

    #[test]
    fn merges_duplicates_as_the_table_says() {
        let path = if cfg!(windows) { "1;2" } else { "1:2" };
        for (key, expected) in [
            ("worker.list", "1,2"),
            ("worker.a.mount", "1,2"),
            ("worker.a.host", "2"),
            ("worker.a.session_cookie_path", "2"),
            ("worker.a.class_path", path),
            ("worker.a.cmd_line", "1 2"),
            ("worker.a.distance", "1*2"),
            ("worker.maintain", "1*2"),
            ("variable", "1*2"),
            ("my_path", path),
            ("host", "1*2"),
        ] {
            let merged = value(&format!("{key}=1\n{key}=2"), key);
            assert_eq!(merged.as_deref(), Some(expected), "{key}");
        }
    }

    #[test]
    fn a_map_file_has_rules_and_variables() {
        let (mut map, mut problems) = (Properties::of_map_file(), Problems::new());
        let text = b"w=lb1\n/a/*.jsp=$(w) # all\n/b.list=x\n/a/*.jsp=y;active=a\n/b.list=y\n\
            worker.bogus=1\nworkers.a.port=1";
        map.read_text(text, "m", &|_| None, &mut problems);
        let shown = map.iter().map(|p| format!("{}={}", printable(&p.key), printable(&p.value)));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            ["w=lb1", "/a/*.jsp=y;active=a", "/b.list=y", "worker.bogus=1", "workers.a.port=1"]
        );
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "m:4: /a/*.jsp: is set again after m:2, the last value is used; keep one of the \
                 lines",
                "m:5: /b.list: is set again after m:3, the last value is used; keep one of the \
                 lines",
            ]
        );
    }

    #[test]
    fn reads_a_long_line_as_several() {
        let long = format!("a=1{}b=2", " ".repeat(MAX_LINE - 3));
        let (properties, problems) = read(long.as_bytes());
        assert_eq!(properties.value(b"a"), Some(&b"1"[..]));
        assert_eq!(properties.value(b"b"), Some(&b"2"[..]));
        assert!(problems[0].starts_with("w.properties:1: the line is longer than 8191 bytes"));
    }

    #[test]
    fn refuses_a_long_directive() {
        let mut properties = Properties::new();
        let mut problems = Problems::new();
        let place = Place::new("httpd.conf", 7);
        let fits = format!("a={}", "x".repeat(MAX_DIRECTIVE - 2));
        properties.read_line(fits.as_bytes(), &place, &|_| None, &mut problems);
        assert!(problems.is_empty());
        properties.read_line(format!("{fits}x").as_bytes(), &place, &|_| None, &mut problems);
        assert!(problems.has_errors());
        assert_eq!(properties.value(b"a").map(<[u8]>::len), Some(MAX_DIRECTIVE - 2));
    }

    #[test]
    fn a_directive_has_no_comments() {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        let place = Place::new("httpd.conf", 7);
        properties.read_line(b"worker.a.secret=a#b", &place, &|_| None, &mut problems);
        assert_eq!(properties.value(b"worker.a.secret"), Some(&b"a#b"[..]));
        assert!(problems.is_empty());
        properties.read_line(b"worker.a.port = 1 # c", &place, &|_| None, &mut problems);
        assert_eq!(properties.value(b"worker.a.port"), Some(&b"1 # c"[..]));
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["httpd.conf:7: worker.a.port: the value goes on behind '#', which begins no comment \
              here; put the comment on a line of its own"]
        );
    }

    #[test]
    fn merges_directives_file_and_predefined_variables() {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        let directive = Place::new("httpd.conf", 7);
        let none: Environment<'_> = &|_| None;
        properties.read_line(b"worker.list=a", &directive, none, &mut problems);
        properties.read_line(b"worker.a.port=1", &directive, none, &mut problems);
        properties.define(b"ServerRoot", b"/srv", &Place::new("ServerRoot", 0));
        let file = b"worker.list=b\nworker.a.port=2\nworker.a.socket=$(ServerRoot)/ajp";
        properties.read_text(file, "w.properties", none, &mut problems);
        assert_eq!(properties.value(b"worker.list"), Some(&b"a,b"[..]));
        assert_eq!(properties.value(b"worker.a.port"), Some(&b"2"[..]));
        assert_eq!(properties.value(b"worker.a.socket"), Some(&b"/srv/ajp"[..]));
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["w.properties:2: worker.a.port: is set again after httpd.conf:7, the last value is \
              used; keep one of the lines"]
        );
    }

    #[test]
    fn explains_every_line_that_does_nothing() {
        let text = b"worker.a.port 8009\nhello s3cret\n=1\nworker.a.host=\nworker.a.prot=1\n\
            worker.lst=a\nworker.a.bananas=1\nworkers.a.port=1\na=\0b\nv=$(nope)\nv=1\n\
            worker.a.secret=$(nope)\nv=$(EMPTY)";
        assert_eq!(
            read(text).1,
            [
                "w.properties:1: worker.a.port: the line has no '=' and is ignored; write name=value \
                 on one line, or begin the line with '#'",
                "w.properties:2: the line has no '=' and is ignored; write name=value on one line, \
                 or begin the line with '#'",
                "w.properties:3: the line has nothing before its '=' and is ignored; write \
                 name=value, or remove the line",
                "w.properties:4: worker.a.host: has no value and is ignored; write a value, or \
                 remove the line",
                "w.properties:5: worker.a.prot: there is no worker property \"prot\"; did you mean \
                 worker.a.port?",
                "w.properties:6: worker.lst: there is no worker property \"lst\"; did you mean \
                 worker.list?",
                "w.properties:7: worker.a.bananas: there is no worker property \"bananas\"; correct \
                 the name, or remove the line",
                "w.properties:8: workers.a.port: does not begin with \"worker.\", so it is a \
                 variable and sets up no worker; did you mean worker.a.port?",
                "w.properties:9: the line has a NUL byte and is read up to it; remove it",
                "w.properties:9: a: has no value and is ignored; write a value, or remove the line",
                "w.properties:10: v: $(nope) is neither set above this line nor an environment \
                 variable, it stays as it is; set the variable above its use",
                "w.properties:11: v: is set again after w.properties:10, the values are joined with \
                 '*' as C mod_jk does; keep one of the lines",
                "w.properties:12: worker.a.secret: a macro is neither set above this line nor an \
                 environment variable, it stays as it is; set the variable above its use",
                "w.properties:13: v: has no value after its macros were replaced and is ignored; set \
                 the variable that it uses",
            ]
        );
    }

    #[test]
    fn shows_no_secret() {
        let text = b"worker.a.secret=one-s3cret\nworker.a.secret=two-s3cret\n\
            worker.a.secret:thr-s3cret\nsecret s3cret\nworker.a.secrt=s3cret";
        let (properties, problems) = read(text);
        assert_eq!(problems.len(), 4);
        let shown = format!("{problems:?} {properties:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    /// A secret may have `=`, so that what is before it becomes a part of the key.
    #[test]
    fn shows_no_secret_where_its_equals_sign_is_mistyped() {
        let remedy = "write worker.a.secret=VALUE";
        for line in [
            "worker.a.secret:c2VjcmV0==",
            "worker.a.secret c2VjcmV0=",
            "worker.a.secret\tc2VjcmV0=x",
            "worker.a.secret\u{a0}c2VjcmV0=x",
            "worker.a.secret.c2VjcmV0==",
            "worker.a.secret-c2VjcmV0=",
            "worker.a.secretc2VjcmV0==",
        ] {
            let (properties, problems) = read(line.as_bytes());
            let shown = format!("{problems:?} {properties:?}");
            assert!(!shown.contains("c2V"), "{shown}");
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with("w.properties:1: worker.a.secret: "), "{problems:?}");
            assert!(problems[0].ends_with(remedy), "{problems:?}");
        }
        for (line, property) in [
            ("worker.a.secretkey:c2V==", "worker.a.secretkey"),
            ("worker.a.secrt:c2V==", "worker.a.secrt"),
            ("workers.a.secret:c2V==", "workers.a.secret"),
            ("my.secret:c2V==\nmy.secret:c2V==", "my.secret"),
            ("worker.a.secret:$(c2V)==", "worker.a.secret"),
            ("worker.secret.c2V:c2V==", "worker.secret.c2V"),
        ] {
            let (properties, problems) = read(line.as_bytes());
            let shown = format!("{problems:?} {properties:?}").replace(property, "");
            assert!(!problems.is_empty() && !shown.contains("c2V"), "{shown}");
        }
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        let place = Place::new("httpd.conf", 7);
        let line = b"worker.a.secret:c2V # c";
        properties.read_line(line, &place, &|_| None, &mut problems);
        assert!(!problems.is_empty() && !format!("{problems:?}").contains("c2V"), "{problems:?}");
    }

    #[test]
    fn explains_names_that_go_on() {
        for (line, expected) in [
            (
                "worker.a.port 80=x",
                "worker.a.port: the name goes on without an '='; write worker.a.port=VALUE",
            ),
            (
                "worker.a.prot:80=x",
                "worker.a.prot: goes on with a character that no property has; did you mean \
                 worker.a.port?",
            ),
            (
                "worker.münchen.prot=1",
                "worker.münchen.prot: there is no worker property \"prot\"; did you mean \
                 worker.münchen.port?",
            ),
            (
                "worker.secretary.prot=1",
                "worker.secretary.prot: there is no worker property \"prot\"; did you mean \
                 worker.secretary.port?",
            ),
        ] {
            assert_eq!(read(line.as_bytes()).1, [format!("w.properties:1: {expected}")]);
        }
    }

    proptest! {
        #![proptest_config(crate::generated(256))]

        #[test]
        fn survives_any_bytes(text in prop::collection::vec(
            prop::sample::select(&b"worker.list=a#$() \n\t\0\xff"[..]), 0..200)
        ) {
            let (properties, _) = read(&text);
            for property in properties.iter() {
                prop_assert!(!property.key.is_empty() && !property.value.is_empty());
                prop_assert_eq!(properties.find(&property.key), Some(property));
            }
        }
    }

    #[test]
    fn secrets_are_left_out() {
        let mut properties = Properties::new();
        let text =
            b"mine=topsecret\nworker.a.secret=$(mine)\nt.secret=other\nworker.a.secretkey=k\n\
                     worker.a.secret topsecret=x\nworker.a.port=1\n";
        properties.read_text(text, "w", &|_| None, &mut Problems::new());
        let shown: Vec<_> = properties.without_secrets().map(|p| p.key.clone()).collect();
        assert_eq!(shown, [b"worker.a.port"]);
    }
}
