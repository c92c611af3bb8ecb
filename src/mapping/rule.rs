//! One rule: a pattern and a worker, from a JkMount, a JkUnMount or a line of a map file [3.2].
#![forbid(unsafe_code)]

use thiserror::Error;

use super::pattern::Pattern;
use crate::config::{Place, text::printable};

/// Where a rule comes from. Between rules that are otherwise equal the greater source goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleSource {
    /// The property `mount` of a worker.
    WorkerDefinition = 1,
    /// JkMount or JkUnMount.
    JkMount = 2,
    /// A map file.
    UriWorkerMap = 3,
}

impl RuleSource {
    /// The name that C mod_jk's status worker shows [3.1].
    pub fn name(self) -> &'static str {
        match self {
            RuleSource::WorkerDefinition => "worker definition",
            RuleSource::JkMount => "JkMount",
            RuleSource::UriWorkerMap => "uriworkermap",
        }
    }
}

/// Why a text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RuleError {
    /// The path begins with something else, or is empty.
    #[error("the path \"{0}\" does not begin with \"/\"")]
    NotAbsolute(String),
    /// The worker's name is empty.
    #[error("the rule names no worker")]
    NoWorker,
    /// Something follows the worker's name.
    #[error("rule extension \"{0}\" is not supported yet by this version")]
    Extension(String),
}

/// One rule of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which paths it matches; begins with `/`.
    pub pattern: Pattern,
    /// The worker's name as written, never empty. In an exclusion `*` means every worker.
    pub worker: Box<[u8]>,
    /// The rule takes paths away from `worker` instead of giving them to it.
    pub is_exclusion: bool,
    /// The rule is kept for display and matches nothing.
    pub is_disabled: bool,
    /// What kind of configuration it comes from.
    pub source: RuleSource,
    /// Which line it comes from.
    pub place: Place,
}

impl Rule {
    /// The rules of `JkMount path worker`: one, or two when the path has a `|`.
    pub fn mount(path: &[u8], worker: &[u8], place: &Place) -> Result<Vec<Rule>, RuleError> {
        let marks = Marks { is_exclusion: false, is_disabled: false };
        expand(path, worker, marks, RuleSource::JkMount, place)
    }

    /// The rules of `JkUnMount path worker`: one, or two when the path has a `|`.
    pub fn unmount(path: &[u8], worker: &[u8], place: &Place) -> Result<Vec<Rule>, RuleError> {
        let marks = Marks { is_exclusion: true, is_disabled: false };
        expand(path, worker, marks, RuleSource::JkMount, place)
    }

    /// The rules of the line `key=worker` of a map file. The key may begin with `-` (disabled), with
    /// `!` (exclusion) or with `-!`.
    pub fn from_map_file(key: &[u8], worker: &[u8], place: &Place) -> Result<Vec<Rule>, RuleError> {
        let (is_disabled, key) = strip(key, b"-");
        let (is_exclusion, path) = strip(key, b"!");
        let marks = Marks { is_exclusion, is_disabled };
        expand(path, worker, marks, RuleSource::UriWorkerMap, place)
    }

    /// Whether `worker` is affected by this exclusion.
    pub fn excludes(&self, worker: &[u8]) -> bool {
        *self.worker == *b"*" || *self.worker == *worker
    }
}

#[derive(Clone, Copy)]
struct Marks {
    is_exclusion: bool,
    is_disabled: bool,
}

fn strip<'a>(text: &'a [u8], mark: &[u8]) -> (bool, &'a [u8]) {
    match text.strip_prefix(mark) {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// `A|B` stands for `A` and `AB`; a second `|` is an ordinary character.
fn expand(
    path: &[u8],
    worker: &[u8],
    marks: Marks,
    source: RuleSource,
    place: &Place,
) -> Result<Vec<Rule>, RuleError> {
    let worker = worker_name(worker)?;
    let mut halves = path.splitn(2, |byte| *byte == b'|');
    let first = halves.next().unwrap_or_default();
    if !first.starts_with(b"/") {
        return Err(RuleError::NotAbsolute(printable(path)));
    }
    let both = halves.next().map(|second| [first, second].concat());
    let rule = |path: &[u8]| Rule {
        pattern: Pattern::new(path),
        worker: worker.into(),
        is_exclusion: marks.is_exclusion,
        is_disabled: marks.is_disabled,
        source,
        place: place.clone(),
    };
    Ok(std::iter::once(first).chain(both.as_deref()).map(rule).collect())
}

/// The name before the first `;`. Rule extensions [3.4] will be read from what follows it.
fn worker_name(text: &[u8]) -> Result<&[u8], RuleError> {
    let mut parts = text.split(|byte| *byte == b';');
    let name = parts.next().unwrap_or_default();
    if name.is_empty() {
        return Err(RuleError::NoWorker);
    }
    match parts.find(|part| !part.is_empty()) {
        Some(extension) => {
            let name = extension.split(|byte| *byte == b'=').next().unwrap_or_default();
            Err(RuleError::Extension(printable(name)))
        }
        None => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new("httpd.conf", 7)
    }

    fn patterns(rules: Result<Vec<Rule>, RuleError>) -> Vec<String> {
        rules.unwrap().iter().map(|rule| rule.pattern.to_string()).collect()
    }

    #[test]
    fn a_bar_makes_two_rules() {
        for (path, expected) in [
            ("/app", vec!["/app"]),
            ("/app|/*", vec!["/app", "/app/*"]),
            ("/app|", vec!["/app", "/app"]),
            ("/a|b|c", vec!["/a", "/ab|c"]),
        ] {
            assert_eq!(patterns(Rule::mount(path.as_bytes(), b"w", &place())), expected);
        }
    }

    #[test]
    fn directives_know_no_marks() {
        for path in ["", "app", "*", "?", "!/app", "-/app", "|/app"] {
            let refused = Rule::mount(path.as_bytes(), b"w", &place()).unwrap_err();
            assert_eq!(
                refused.to_string(),
                format!("the path \"{path}\" does not begin with \"/\"")
            );
        }
        let rules = Rule::unmount(b"/a|/b", b"w", &place()).unwrap();
        assert!(rules.iter().all(|rule| rule.is_exclusion && !rule.is_disabled));
        assert!(rules.iter().all(|rule| rule.source == RuleSource::JkMount));
    }

    #[test]
    fn map_files_mark_both_rules() {
        for (key, is_disabled, is_exclusion) in [
            ("/a|/b", false, false),
            ("-/a", true, false),
            ("!/a", false, true),
            ("-!/a|b", true, true),
        ] {
            for rule in Rule::from_map_file(key.as_bytes(), b"w", &place()).unwrap() {
                assert_eq!((rule.is_disabled, rule.is_exclusion), (is_disabled, is_exclusion));
                assert!(rule.pattern.as_bytes().starts_with(b"/a"));
                assert_eq!(rule.place, place());
            }
        }
        for key in ["!-/a", "--/a", "a", "*"] {
            assert!(Rule::from_map_file(key.as_bytes(), b"w", &place()).is_err(), "{key}");
        }
    }

    #[test]
    fn workers_have_names_and_no_extensions_yet() {
        for (worker, expected) in [
            ("", "the rule names no worker"),
            (";stateless=1", "the rule names no worker"),
            (
                "w;reply_timeout=5;stateless=1",
                "rule extension \"reply_timeout\" is not supported yet by this version",
            ),
            ("w;x", "rule extension \"x\" is not supported yet by this version"),
        ] {
            let refused = Rule::mount(b"/a", worker.as_bytes(), &place()).unwrap_err();
            assert_eq!(refused.to_string(), expected);
        }
        let rules = Rule::mount(b"/a", b"w;", &place()).unwrap();
        assert_eq!(&*rules[0].worker, b"w");
    }

    #[test]
    fn exclusions_name_a_worker_or_all() {
        let excludes = |of: &[u8], worker: &[u8]| {
            Rule::unmount(b"/a", of, &place()).unwrap()[0].excludes(worker)
        };
        assert!(excludes(b"w", b"w") && excludes(b"*", b"w"));
        assert!(!excludes(b"w", b"W") && !excludes(b"w*", b"w"));
    }

    #[test]
    fn sources_are_ordered_as_in_c() {
        assert!(RuleSource::UriWorkerMap > RuleSource::JkMount);
        assert!(RuleSource::JkMount > RuleSource::WorkerDefinition);
        assert_eq!(RuleSource::UriWorkerMap.name(), "uriworkermap");
    }
}
