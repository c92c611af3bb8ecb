//! One worker of type status: its properties with the rules and defaults of [2.3] and [7.7].
#![forbid(unsafe_code)]

use std::fmt;

use super::{
    balancer::Activation, properties::Property, settings::Settings, text::quoted, value,
    worker::WorkerName,
};

const DEFAULT_NS: &[u8] = b"jk:";
const DEFAULT_XMLNS: &[u8] = b"xmlns:jk=\"http://tomcat.apache.org\"";
const DEFAULT_PREFIX: &[u8] = b"worker";

/// What a member of a balancer does, as ratings tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberHealth {
    /// Its last request worked.
    Ok,
    /// It had no request for a while.
    Idle,
    /// It has no free connection.
    Busy,
    /// It is tried again after an error.
    Recovering,
    /// It failed.
    Error,
}

/// A set of pairs of an [`Activation`] and a [`MemberHealth`] (`good`, `bad`).
///
/// One bit a pair: five for active, five for disabled, five for stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rating(u16);

const HEALTHS: [(MemberHealth, char); 5] = [
    (MemberHealth::Ok, 'o'),
    (MemberHealth::Idle, 'i'),
    (MemberHealth::Busy, 'b'),
    (MemberHealth::Recovering, 'r'),
    (MemberHealth::Error, 'e'),
];
const ACTIVATIONS: [(Activation, char); 3] =
    [(Activation::Active, 'a'), (Activation::Disabled, 'd'), (Activation::Stopped, 's')];

impl Rating {
    const ACTIVE: Rating = Rating(0b11111);
    const DISABLED: Rating = Rating(0b11111 << 5);
    const STOPPED: Rating = Rating(0b11111 << 10);
    const ERROR: Rating = Rating::health(4);
    /// `a.o,a.i,a.b,a.r`
    const GOOD: Rating = Rating(Rating::ACTIVE.0 & !Rating::ERROR.0);
    /// `s,a.e,d.e`
    const BAD: Rating = Rating(Rating::STOPPED.0 | Rating::ERROR.0);

    const fn health(bit: u16) -> Rating {
        Rating((1 | 1 << 5 | 1 << 10) << bit)
    }

    /// What one letter stands for, `None` when it is none.
    fn letter(letter: u8) -> Option<Rating> {
        Some(match letter.to_ascii_lowercase() {
            b'a' => Rating::ACTIVE,
            b'd' => Rating::DISABLED,
            b's' => Rating::STOPPED,
            b'o' => Rating::health(0),
            b'i' | b'n' => Rating::health(1),
            b'b' => Rating::health(2),
            b'r' => Rating::health(3),
            b'e' => Rating::ERROR,
            _ => return None,
        })
    }

    /// One entry of a list as C mod_jk reads it: the first letter, and the one behind the next dot.
    /// `None` when they stand for nothing.
    fn entry(text: &[u8]) -> Option<Rating> {
        let begin = text.iter().position(|byte| *byte != b'.').unwrap_or(text.len());
        let mut parts = text.get(begin..).unwrap_or_default().splitn(2, |byte| *byte == b'.');
        let first = Rating::letter(*parts.next()?.first()?)?;
        match parts.next().and_then(<[u8]>::first) {
            Some(second) => {
                let both = Rating(first.0 & Rating::letter(*second)?.0);
                Some(both).filter(|both| *both != Rating::default())
            }
            None => Some(first),
        }
    }

    /// Whether a member is in the set.
    pub fn has(self, activation: Activation, health: MemberHealth) -> bool {
        let row = ACTIVATIONS.iter().position(|(known, _)| *known == activation);
        let column = HEALTHS.iter().position(|(known, _)| *known == health);
        let (Some(row), Some(column)) = (row, column) else { return false };
        self.0 >> (row * HEALTHS.len() + column) & 1 == 1
    }
}

impl fmt::Display for Rating {
    /// All pairs, such as `a.o,a.i`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (activation, first) in ACTIVATIONS {
            for (health, second) in HEALTHS {
                if self.has(activation, health) {
                    write!(f, "{separator}{first}.{second}")?;
                    separator = ",";
                }
            }
        }
        Ok(())
    }
}

/// The pages that show and change workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusConfig {
    /// Its name in `worker.list`.
    pub name: WorkerName,
    /// Address of a style sheet.
    pub css: Option<Vec<u8>>,
    /// Prefix of each XML element; may be empty.
    pub ns: Vec<u8>,
    /// Attribute of the XML root that declares the prefix; may be empty.
    pub xmlns: Vec<u8>,
    /// Line after the XML declaration.
    pub doctype: Option<Vec<u8>>,
    /// First part of each key of the properties format.
    pub prefix: Vec<u8>,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// Who may see it; empty: everyone.
    pub users: Vec<Vec<u8>>,
    /// Whether upper and lower case of a user are the same.
    pub user_case_insensitive: bool,
    /// What is rated good.
    pub good: Rating,
    /// What is rated bad; goes before `good`.
    pub bad: Rating,
}

/// Reads a status worker.
pub(super) fn status(settings: &mut Settings<'_>) -> StatusConfig {
    let text = |property: &str, default: &[u8]| {
        settings.find(property).map_or(default, |found| &found.value).to_vec()
    };
    let unless_dash = |value: Vec<u8>| if value.starts_with(b"-") { Vec::new() } else { value };
    let ns = unless_dash(text("ns", DEFAULT_NS));
    let xmlns = unless_dash(text("xmlns", DEFAULT_XMLNS));
    let prefix = text("prefix", DEFAULT_PREFIX);
    let optional = |property: &str| settings.find(property).map(|found| found.value.clone());
    let (css, doctype) = (optional("css"), optional("doctype"));
    let good = rating(settings, "good", Rating::GOOD);
    let bad = rating(settings, "bad", Rating::BAD);
    let both = Rating(good.0 & bad.0);
    if both != Rating::default()
        && let Some(found) = settings.find("good").or_else(|| settings.find("bad"))
    {
        let what = format!("{both} is both good and bad, bad is used");
        settings.warning(found, what, "take it out of good or of bad");
    }
    StatusConfig {
        name: settings.name.clone(),
        css,
        ns,
        xmlns,
        doctype,
        prefix,
        read_only: settings.switch("read_only", false),
        users: users(settings),
        user_case_insensitive: settings.switch("user_case_insensitive", false),
        good,
        bad,
    }
}

fn rating(settings: &mut Settings<'_>, property: &str, default: Rating) -> Rating {
    let Some(found) = settings.find(property) else { return default };
    let entries: Vec<&[u8]> = value::list(&found.value).collect();
    if entries.is_empty() {
        warn_of_empty(settings, found, "the default is used");
        return default;
    }
    let mut all = Rating::default();
    for entry in entries {
        match Rating::entry(entry) {
            Some(pairs) => all = Rating(all.0 | pairs.0),
            None => {
                let what = format!("{} stands for nothing", quoted(entry));
                let remedy = "use a, d or s (active, disabled, stopped), o, i, b, r or e (ok, idle, \
                              busy, recovering, error), or both as in a.o";
                settings.warning(found, what, remedy);
            }
        }
    }
    all
}

fn users(settings: &mut Settings<'_>) -> Vec<Vec<u8>> {
    let Some(found) = settings.find("user") else { return Vec::new() };
    let users: Vec<Vec<u8>> = value::list(&found.value).map(<[u8]>::to_vec).collect();
    if users.is_empty() {
        warn_of_empty(settings, found, "everyone may see and change the workers");
    }
    users
}

fn warn_of_empty(settings: &mut Settings<'_>, found: &Property, consequence: &str) {
    let what = format!("{} lists nothing, {consequence}", quoted(&found.value));
    settings.warning(found, what, "write a list, or remove the line");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, Problems, Properties, WorkerConfig, validate};

    /// Status worker `s`, and what is said.
    fn read(lines: &str) -> (StatusConfig, Vec<String>) {
        let mut text = "worker.list=s\nworker.s.type=status\n".to_string();
        for line in lines.lines() {
            text.push_str(&format!("worker.s.{line}\n"));
        }
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        let mut workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        assert!(!problems.has_errors());
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let WorkerConfig::Status(config) = workers.workers.remove(0) else { panic!() };
        (*config, said)
    }

    fn config(lines: &str) -> StatusConfig {
        let (config, problems) = read(lines);
        assert_eq!(problems, [""; 0]);
        config
    }

    #[test]
    fn has_the_defaults_of_the_specification() {
        let config = config("");
        assert_eq!((config.css, config.doctype), (None, None));
        assert_eq!(config.ns, b"jk:");
        assert_eq!(config.xmlns, b"xmlns:jk=\"http://tomcat.apache.org\"");
        assert_eq!(config.prefix, b"worker");
        assert!(!config.read_only && !config.user_case_insensitive && config.users.is_empty());
        assert_eq!(config.good.to_string(), "a.o,a.i,a.b,a.r");
        assert_eq!(config.bad.to_string(), "a.e,d.e,s.o,s.i,s.b,s.r,s.e");
    }

    #[test]
    fn takes_over_what_is_set() {
        let config = config(
            "css=/s.css\nns=x:\nxmlns=xmlns:x=\"urn\"\ndoctype=<!DOCTYPE x>\nprefix=p\n\
             read_only=on\nuser=ann bob\nuser=eve\nuser_case_insensitive=1\ngood=d.i\nbad=e",
        );
        assert_eq!(config.css.as_deref(), Some(&b"/s.css"[..]));
        assert_eq!(config.doctype.as_deref(), Some(&b"<!DOCTYPE x>"[..]));
        assert_eq!((&config.ns[..], &config.prefix[..]), (&b"x:"[..], &b"p"[..]));
        assert_eq!(config.xmlns, b"xmlns:x=\"urn\"");
        assert!(config.read_only && config.user_case_insensitive);
        assert_eq!(config.users, [b"ann", b"bob", b"eve"]);
        assert_eq!(config.good.to_string(), "d.i");
        assert_eq!(config.bad.to_string(), "a.e,d.e,s.e");
        assert!(config.good.has(Activation::Disabled, MemberHealth::Idle));
        assert!(!config.good.has(Activation::Active, MemberHealth::Idle));
        assert!(config.bad.has(Activation::Stopped, MemberHealth::Error));
    }

    #[test]
    fn a_dash_is_no_name_space() {
        let config = config("ns=-\nxmlns=-none");
        assert_eq!((config.ns, config.xmlns), (Vec::new(), Vec::new()));
    }

    #[test]
    fn reads_ratings_by_their_first_letters() {
        for (entry, expected) in [
            ("active.ok", "a.o"),
            ("A.N", "a.i"),
            ("o.a", "a.o"),
            (".s.b", "s.b"),
            ("d.", "d.o,d.i,d.b,d.r,d.e"),
            ("r", "a.r,d.r,s.r"),
            ("a.e.x", "a.e"),
            ("a.d", ""),
        ] {
            let (config, _) = read(&format!("good={entry}"));
            assert_eq!(config.good.to_string(), expected, "{entry}");
        }
    }

    #[test]
    fn says_what_is_odd() {
        let (config, problems) = read("good=x.o,a.o,.,a.d\nbad=a.o\nuser=,");
        assert_eq!(config.good.to_string(), "a.o");
        assert!(config.users.is_empty());
        let letters = "stands for nothing; use a, d or s (active, disabled, stopped), o, i, b, r \
                       or e (ok, idle, busy, recovering, error), or both as in a.o";
        assert_eq!(
            problems,
            [
                format!("w:3: worker.s.good: \"x.o\" {letters}"),
                format!("w:3: worker.s.good: \".\" {letters}"),
                format!("w:3: worker.s.good: \"a.d\" {letters}"),
                "w:3: worker.s.good: a.o is both good and bad, bad is used; take it out of good or \
                 of bad"
                    .to_string(),
                "w:5: worker.s.user: \",\" lists nothing, everyone may see and change the workers; \
                 write a list, or remove the line"
                    .to_string(),
            ]
        );
    }
}
