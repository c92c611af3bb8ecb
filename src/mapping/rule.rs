//! One rule: a pattern and a worker, from a JkMount, a JkUnMount, a line of a map file or the property
//! `mount` of a worker [3.2].
#![forbid(unsafe_code)]

use std::{borrow::Cow, sync::Arc};

use super::{
    extensions::{self, RuleOptions},
    pattern::Pattern,
};
use crate::config::{Place, Problem, Problems, Severity, text::printable};

/// Where a rule comes from. Between rules that are otherwise equal the greater source goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleSource {
    /// JkIvyEngine: what somebody has written out goes first.
    IvyEngine = 0,
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
            RuleSource::IvyEngine => "JkIvyEngine",
            RuleSource::WorkerDefinition => "worker definition",
            RuleSource::JkMount => "JkMount",
            RuleSource::UriWorkerMap => "uriworkermap",
        }
    }
}

/// One rule of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which paths it matches; begins with `/`.
    pub pattern: Pattern,
    /// The worker's name as written. In an exclusion `*` means every worker.
    pub worker: Box<[u8]>,
    /// What the rule changes about its worker; nothing in an exclusion.
    pub options: Arc<RuleOptions>,
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
    /// The rules of `JkMount path worker`: one, or two when the path has a `|`. None, with an error,
    /// when the path does not begin with `/`.
    pub fn mount(path: &[u8], worker: &[u8], place: &Place, problems: &mut Problems) -> Vec<Rule> {
        let line = Line::directive("JkMount", place);
        line.rules(Marks::default(), expand(path), worker, problems)
    }

    /// The rules of the application of a JkIvyEngine.
    pub fn engine(path: &[u8], worker: &[u8], place: &Place) -> Vec<Rule> {
        let rule = |path: Cow<'_, [u8]>| Rule {
            pattern: Pattern::new(&path),
            worker: worker.into(),
            options: Arc::default(),
            is_exclusion: false,
            is_disabled: false,
            source: RuleSource::IvyEngine,
            place: place.clone(),
        };
        expand(path).into_iter().map(rule).collect()
    }

    /// The rules of `JkUnMount path worker`; as [`Rule::mount`].
    pub fn unmount(
        path: &[u8],
        worker: &[u8],
        place: &Place,
        problems: &mut Problems,
    ) -> Vec<Rule> {
        let marks = Marks { is_exclusion: true, is_disabled: false };
        Line::directive("JkUnMount", place).rules(marks, expand(path), worker, problems)
    }

    /// The rule of one item of the property `mount` of a worker, which may begin with marks as in a
    /// map file; a `|` is an ordinary character. None, with an error, when it is no path.
    pub fn definition(
        item: &[u8],
        worker: &[u8],
        place: &Place,
        problems: &mut Problems,
    ) -> Option<Rule> {
        let key = format!("worker.{}.mount", printable(worker));
        let source = RuleSource::WorkerDefinition;
        let line = Line { key, severity: Severity::Error, source, place };
        let (marks, path) = Marks::read(item);
        line.rules(marks, vec![path.into()], worker, problems).pop()
    }

    /// The rules of the line `key=worker` of a map file: one, or two when the key has a `|`. The key
    /// may begin with `-` (disabled), with `!` (exclusion) or with `-!`. What is no path is left out,
    /// with a warning.
    pub fn from_map_file(
        key: &[u8],
        worker: &[u8],
        place: &Place,
        problems: &mut Problems,
    ) -> Vec<Rule> {
        let (severity, source) = (Severity::Warning, RuleSource::UriWorkerMap);
        let line = Line { key: printable(key), severity, source, place };
        let (marks, path) = Marks::read(key);
        line.rules(marks, expand(path), worker, problems)
    }

    /// Whether `worker` is affected by this exclusion.
    pub fn excludes(&self, worker: &[u8]) -> bool {
        *self.worker == *b"*" || *self.worker == *worker
    }

    /// What a message about the rule calls it: the directive, the key of the map file's line, or the
    /// property.
    pub fn label(&self) -> String {
        match (self.source, self.is_exclusion) {
            (RuleSource::JkMount, false) => "JkMount".to_string(),
            (RuleSource::JkMount, true) => "JkUnMount".to_string(),
            (RuleSource::IvyEngine, _) => "JkIvyEngine".to_string(),
            (RuleSource::WorkerDefinition, _) => {
                format!("worker.{}.mount", printable(&self.worker))
            }
            (RuleSource::UriWorkerMap, is_exclusion) => {
                let disabled = if self.is_disabled { "-" } else { "" };
                let excluded = if is_exclusion { "!" } else { "" };
                format!("{disabled}{excluded}{}", self.pattern)
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    is_exclusion: bool,
    is_disabled: bool,
}

impl Marks {
    fn read(key: &[u8]) -> (Marks, &[u8]) {
        let (is_disabled, key) = strip(key, b"-");
        let (is_exclusion, path) = strip(key, b"!");
        (Marks { is_exclusion, is_disabled }, path)
    }
}

fn strip<'a>(text: &'a [u8], mark: &[u8]) -> (bool, &'a [u8]) {
    match text.strip_prefix(mark) {
        Some(rest) => (true, rest),
        None => (false, text),
    }
}

/// `A|B` stands for `A` and `AB`; a second `|` is an ordinary character.
fn expand(path: &[u8]) -> Vec<Cow<'_, [u8]>> {
    let mut halves = path.splitn(2, |byte| *byte == b'|');
    let first = halves.next().unwrap_or_default();
    let both = halves.next().map(|second| [first, second].concat().into());
    std::iter::once(first.into()).chain(both).collect()
}

/// A line that rules are made of.
struct Line<'a> {
    /// The key of its messages.
    key: String,
    /// How bad it is when there is no path in it.
    severity: Severity,
    source: RuleSource,
    place: &'a Place,
}

impl<'a> Line<'a> {
    fn directive(name: &str, place: &'a Place) -> Line<'a> {
        let (severity, source) = (Severity::Error, RuleSource::JkMount);
        Line { key: name.to_string(), severity, source, place }
    }

    fn rules(
        &self,
        marks: Marks,
        paths: Vec<Cow<'_, [u8]>>,
        worker: &[u8],
        problems: &mut Problems,
    ) -> Vec<Rule> {
        let (worker, options) = self.worker(worker, marks, problems);
        let mut rules = Vec::with_capacity(paths.len());
        for path in paths {
            if !path.starts_with(b"/") {
                self.refuse(&path, problems);
                continue;
            }
            rules.push(Rule {
                pattern: Pattern::new(&path),
                worker: worker.into(),
                options: Arc::clone(&options),
                is_exclusion: marks.is_exclusion,
                is_disabled: marks.is_disabled,
                source: self.source,
                place: self.place.clone(),
            });
        }
        rules
    }

    fn worker<'w>(
        &self,
        text: &'w [u8],
        marks: Marks,
        problems: &mut Problems,
    ) -> (&'w [u8], Arc<RuleOptions>) {
        // The list of workers ends at blanks and commas only: a name there may have a semicolon.
        if self.source == RuleSource::WorkerDefinition {
            return (text, Arc::default());
        }
        let (worker, mut options, odd) = extensions::parse(text);
        for problem in odd {
            problems.warning(self.place, self.key.as_str(), problem.to_string(), problem.remedy());
        }
        if marks.is_exclusion && options != RuleOptions::default() {
            let what = "rule extensions mean nothing in a rule that takes paths away";
            problems.warning(self.place, self.key.as_str(), what, "remove them");
            options = RuleOptions::default();
        }
        (worker, Arc::new(options))
    }

    fn refuse(&self, path: &[u8], problems: &mut Problems) {
        let path = printable(path);
        problems.push(Problem {
            severity: self.severity,
            source: self.place.source.to_string(),
            line: self.place.line,
            key: self.key.clone(),
            what: format!("the path \"{path}\" does not begin with \"/\""),
            remedy: "begin the path with /".to_string(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new("httpd.conf", 7)
    }

    fn read(line: impl FnOnce(&mut Problems) -> Vec<Rule>) -> (Vec<Rule>, Vec<String>) {
        let mut problems = Problems::new();
        let rules = line(&mut problems);
        (rules, problems.iter().map(ToString::to_string).collect())
    }

    fn mount(path: &str, worker: &str) -> (Vec<Rule>, Vec<String>) {
        read(|problems| Rule::mount(path.as_bytes(), worker.as_bytes(), &place(), problems))
    }

    fn map_file(key: &str) -> (Vec<Rule>, Vec<String>) {
        read(|problems| Rule::from_map_file(key.as_bytes(), b"w", &place(), problems))
    }

    fn definition(item: &str) -> (Vec<Rule>, Vec<String>) {
        read(|problems| {
            Rule::definition(item.as_bytes(), b"w", &place(), problems).into_iter().collect()
        })
    }

    fn patterns(rules: &[Rule]) -> Vec<String> {
        rules.iter().map(|rule| rule.pattern.to_string()).collect()
    }

    #[test]
    fn a_bar_makes_two_rules() {
        for (path, expected) in [
            ("/app", vec!["/app"]),
            ("/app|/*", vec!["/app", "/app/*"]),
            ("/app|", vec!["/app", "/app"]),
            ("/a|b|c", vec!["/a", "/ab|c"]),
        ] {
            assert_eq!(patterns(&mount(path, "w").0), expected);
        }
    }

    #[test]
    fn directives_know_no_marks() {
        for path in ["", "app", "*", "?", "!/app", "-/app"] {
            let (rules, problems) = mount(path, "w");
            assert!(rules.is_empty(), "{path}");
            assert_eq!(
                problems,
                [format!(
                    "httpd.conf:7: JkMount: the path \"{path}\" does not begin with \"/\"; begin \
                     the path with /"
                )]
            );
        }
        let (rules, _) = read(|problems| Rule::unmount(b"/a|/b", b"w", &place(), problems));
        assert_eq!(rules.len(), 2);
        assert!(rules.iter().all(|rule| rule.is_exclusion && !rule.is_disabled));
        assert!(rules.iter().all(|rule| rule.source == RuleSource::JkMount));
    }

    #[test]
    fn map_files_mark_both_rules() {
        for (key, is_disabled, is_exclusion) in [
            ("/a|/b", false, false),
            ("-/a|", true, false),
            ("!/a|b", false, true),
            ("-!/a|b", true, true),
        ] {
            let (rules, problems) = map_file(key);
            assert_eq!((rules.len(), problems.len()), (2, 0), "{key}");
            for rule in rules {
                assert_eq!((rule.is_disabled, rule.is_exclusion), (is_disabled, is_exclusion));
                assert!(rule.pattern.as_bytes().starts_with(b"/a"));
                assert_eq!(rule.place, place());
            }
        }
    }

    #[test]
    fn a_map_file_leaves_out_what_is_no_path() {
        for key in ["!-/a", "--/a", "a", "*", "worker.list"] {
            let (rules, problems) = map_file(key);
            assert!(rules.is_empty(), "{key}");
            let shown = key.strip_prefix(['!', '-']).unwrap_or(key);
            assert_eq!(
                problems,
                [format!(
                    "httpd.conf:7: {key}: the path \"{shown}\" does not begin with \"/\"; begin the \
                     path with /"
                )]
            );
        }
        // As in C mod_jk, the better half stays.
        let (rules, problems) = map_file("!|/a");
        assert_eq!(patterns(&rules), ["/a"]);
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn definitions_know_marks_but_no_bars() {
        let (rules, _) = definition("-!/a|/*");
        assert_eq!(patterns(&rules), ["/a|/*"]);
        assert!(rules[0].is_disabled && rules[0].is_exclusion);
        assert_eq!(rules[0].source, RuleSource::WorkerDefinition);
        let (rules, problems) = definition("a");
        assert!(rules.is_empty());
        assert_eq!(
            problems,
            [
                "httpd.conf:7: worker.w.mount: the path \"a\" does not begin with \"/\"; begin the path \
              with /"
            ]
        );
    }

    #[test]
    fn a_worker_may_have_extensions() {
        let (rules, problems) = mount("/a|/*", "w;stateless=1;nonsense");
        assert!(rules.iter().all(|rule| &*rule.worker == b"w" && rule.options.stateless));
        assert_eq!(
            problems,
            [
                "httpd.conf:7: JkMount: there is no rule extension \"nonsense\", it is ignored; remove \
              it, or correct its name"
            ]
        );
        let (rules, problems) =
            read(|problems| Rule::from_map_file(b"!/a", b"*;stateless=1", &place(), problems));
        assert_eq!((&*rules[0].worker, rules[0].options.stateless), (&b"*"[..], false));
        assert_eq!(
            problems,
            ["httpd.conf:7: !/a: rule extensions mean nothing in a rule that takes paths away; \
              remove them"]
        );
    }

    #[test]
    fn labels_lead_to_the_line() {
        let label = |rules: &[Rule]| rules[0].label();
        assert_eq!(label(&mount("/a", "w").0), "JkMount");
        let unmount = read(|problems| Rule::unmount(b"/a", b"w", &place(), problems)).0;
        assert_eq!(label(&unmount), "JkUnMount");
        assert_eq!(label(&definition("/a").0), "worker.w.mount");
        assert_eq!(label(&map_file("-!/a").0), "-!/a");
        assert_eq!(label(&map_file("/a").0), "/a");
    }

    #[test]
    fn exclusions_name_a_worker_or_all() {
        let excludes = |of: &[u8], worker: &[u8]| {
            let rules = read(|problems| Rule::unmount(b"/a", of, &place(), problems)).0;
            rules[0].excludes(worker)
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
