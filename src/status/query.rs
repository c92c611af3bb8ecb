//! What is asked: the query string of a request to a status worker [7.1, 7.2, 7.3].
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What to do (`cmd`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Show all workers.
    List,
    /// Show one worker.
    Show,
    /// Show a form for its settings.
    Edit,
    /// Change them.
    Update,
    /// Set its counters to zero.
    Reset,
    /// Say what software this is.
    Version,
    /// Let a member in error be tried.
    Recover,
    /// Show the configuration as it was read.
    Dump,
}

impl Command {
    const ALL: [(&str, Command); 8] = [
        ("list", Command::List),
        ("show", Command::Show),
        ("edit", Command::Edit),
        ("update", Command::Update),
        ("reset", Command::Reset),
        ("version", Command::Version),
        ("recover", Command::Recover),
        ("dump", Command::Dump),
    ];

    /// Its name in a query.
    pub fn name(self) -> &'static str {
        let found = Command::ALL.iter().find(|(_, command)| *command == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether it changes nothing and does not lead to a change.
    pub fn is_harmless(self) -> bool {
        matches!(self, Command::List | Command::Show | Command::Version | Command::Dump)
    }

    /// Whether it changes something.
    pub fn is_change(self) -> bool {
        matches!(self, Command::Update | Command::Reset | Command::Recover)
    }

    /// Whether it is about one worker.
    pub fn needs_worker(self) -> bool {
        !matches!(self, Command::List | Command::Version | Command::Dump)
    }
}

/// How to say it (`mime`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A page for people.
    Html,
    /// XML.
    Xml,
    /// Lines of `key=value` pairs.
    Text,
    /// Properties, one a line.
    Properties,
    /// JSON.
    Json,
    /// The text format of Prometheus.
    Prometheus,
}

impl Format {
    const ALL: [(&str, Format); 6] = [
        ("html", Format::Html),
        ("xml", Format::Xml),
        ("txt", Format::Text),
        ("prop", Format::Properties),
        ("json", Format::Json),
        ("prom", Format::Prometheus),
    ];

    /// Its name in a query.
    pub fn name(self) -> &'static str {
        let found = Format::ALL.iter().find(|(_, format)| *format == self);
        found.map_or("", |(name, _)| name)
    }
}

/// Bits of `opt`: what is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options(i32);

impl Options {
    /// Members of balancers.
    pub const NO_MEMBERS: Options = Options(0x1);
    /// Mapping rules.
    pub const NO_MAPS: Options = Options(0x2);
    /// Balancers.
    pub const NO_BALANCERS: Options = Options(0x8);
    /// Workers that are one engine.
    pub const NO_ENGINES: Options = Options(0x10);
    /// All that could be changed: commands that change something are refused.
    pub const READ_ONLY: Options = Options(0x20);

    /// Whether a bit is set.
    pub fn has(self, bit: Options) -> bool {
        self.0 & bit.0 != 0
    }
}

/// A query string, decoded.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Each key once. Sorted, as anybody can send thousands.
    parameters: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Whether something could not be decoded. What follows is not read then.
    is_broken: bool,
}

impl Query {
    /// Reads a query string. Of several values of a key the last one counts; what has no key or no `=`
    /// is skipped.
    pub fn parse(text: &[u8]) -> Query {
        let mut query = Query::default();
        for part in text.split(|byte| *byte == b'&') {
            let Some(at) = part.iter().position(|byte| *byte == b'=') else { continue };
            let (key, value) = part.split_at_checked(at).unwrap_or_default();
            if key.is_empty() {
                continue;
            }
            let Some(value) = decoded(value.get(1..).unwrap_or_default()) else {
                query.is_broken = true;
                return query;
            };
            query.parameters.insert(key.to_vec(), value.into_owned());
        }
        query
    }

    /// Whether something could not be decoded.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// The value of a parameter.
    pub fn find(&self, key: &str) -> Option<&[u8]> {
        self.parameters.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// What to do; `None` where there is no such command.
    pub fn command(&self) -> Option<Command> {
        let Some(name) = self.find("cmd") else { return Some(Command::List) };
        let found = Command::ALL.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, command)| *command)
    }

    /// How to say it; `None` where there is no such format.
    pub fn format(&self) -> Option<Format> {
        let Some(name) = self.find("mime") else { return Some(Format::Html) };
        let found = Format::ALL.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, format)| *format)
    }

    /// What to leave out.
    pub fn options(&self) -> Options {
        Options(self.find("opt").map_or(0, leading_number))
    }

    /// Seconds after which the page is to be loaded again; zero for never.
    pub fn refresh(&self) -> u32 {
        u32::try_from(self.find("re").map_or(0, leading_number)).unwrap_or(0)
    }
}

/// The number that a text begins with, as C's `atoi` reads it.
pub(super) fn leading_number(text: &[u8]) -> i32 {
    let text = text.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let number = digits.fold(0i64, |number, digit| {
        let digit = i64::from(digit.saturating_sub(b'0'));
        number.saturating_mul(10).saturating_add(digit).min(i64::from(i32::MAX))
    });
    let number = if is_negative { number.saturating_neg() } else { number };
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A value with `+` and `%XX` decoded; `None` where an escape is incomplete or stands for a zero byte.
fn decoded(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !value.iter().any(|byte| matches!(byte, b'+' | b'%')) {
        return Some(Cow::Borrowed(value));
    }
    let mut text = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    while let Some(byte) = bytes.next() {
        text.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (bytes.next().and_then(hex)?, bytes.next().and_then(hex)?);
                Some(high << 4 | low).filter(|byte| *byte != 0)?
            }
            byte => *byte,
        });
    }
    Some(Cow::Owned(text))
}

/// Adds a value as a query string has it.
pub(super) fn encode(text: &mut String, value: &[u8]) {
    for byte in value {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => {
                text.push(char::from(*byte));
            }
            byte => {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'q>(query: &'q Query, key: &str) -> Option<&'q str> {
        query.find(key).map(|value| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn reads_what_scripts_write() {
        let query = Query::parse(b"cmd=update&mime=xml&w=lb&sw=n%2A&vwn=a+b%2b&&x&=y&w=lb2&e=");
        assert!(!query.is_broken());
        assert_eq!((query.command(), query.format()), (Some(Command::Update), Some(Format::Xml)));
        assert_eq!(find(&query, "w"), Some("lb2"));
        assert_eq!(find(&query, "sw"), Some("n*"));
        assert_eq!(find(&query, "vwn"), Some("a b+"));
        assert_eq!(find(&query, "e"), Some(""));
        assert_eq!(find(&query, "x"), None);
        assert_eq!(query.parameters.len(), 6);
        // Values are compared as they are.
        for (name, command) in Command::ALL {
            assert_eq!(Query::parse(format!("cmd={name}").as_bytes()).command(), Some(command));
            assert_eq!(command.name(), name);
        }
        assert_eq!(Query::parse(b"cmd=LIST").command(), None);
        assert_eq!(Query::parse(b"mime=").format(), None);
        assert_eq!(Query::parse(b"").command(), Some(Command::List));
        assert_eq!(Query::parse(b"").format(), Some(Format::Html));
    }

    #[test]
    fn what_cannot_be_decoded_is_broken() {
        for text in ["w=%", "w=%4", "w=%zz", "w=%00", "cmd=list&w=%g1"] {
            assert!(Query::parse(text.as_bytes()).is_broken(), "{text}");
        }
        assert!(!Query::parse(b"%zz=1&%").is_broken());
        for byte in 1..=255u8 {
            let mut text = "w=".to_owned();
            encode(&mut text, &[byte, b'x']);
            assert_eq!(Query::parse(text.as_bytes()).find("w"), Some(&[byte, b'x'][..]));
        }
    }

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, number) in [
            ("12", 12),
            (" 12x", 12),
            ("x", 0),
            ("-3", -3),
            ("+4", 4),
            ("99999999999999999999", i32::MAX),
        ] {
            assert_eq!(leading_number(text.as_bytes()), number, "{text}");
        }
        let query = Query::parse(b"opt=33&re=-1");
        assert!(
            query.options().has(Options::READ_ONLY) && query.options().has(Options::NO_MEMBERS)
        );
        assert!(!query.options().has(Options::NO_MAPS));
        assert_eq!(query.refresh(), 0);
        assert_eq!(Query::parse(b"re=10").refresh(), 10);
    }
}
