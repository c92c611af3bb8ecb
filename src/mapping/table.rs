//! The rules of one server, compiled for lookups [3.3].
#![forbid(unsafe_code)]

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    extensions::RuleOptions,
    prefixes::Prefixes,
    rule::{Rule, RuleSource},
};

/// Position of a rule in [`Table::rules`]. The smaller one goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub usize);

/// What a table says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// No rule matches: not our request.
    Unmapped,
    /// A rule matches, and an exclusion takes the path away from its worker: not our request.
    Excluded {
        /// The rule that would have had it.
        rule: RuleId,
        /// The exclusion.
        exclusion: RuleId,
    },
    /// RejectUnsafeURI keeps the path from the worker. It must not be looked for in the file system
    /// either, where C mod_jk leaves it to: the rule says that it is the worker's (trap 12 of [9.2]).
    Unsafe {
        /// The rule that would have had it.
        rule: RuleId,
    },
    /// The request belongs to the worker of this rule.
    Mapped {
        /// The first rule that matches.
        rule: RuleId,
    },
}

/// The greater one goes first: more slashes, then more bytes, then the source.
fn precedence(rule: &Rule) -> (usize, usize, RuleSource) {
    let path = rule.pattern.as_bytes();
    let slashes = path.iter().filter(|byte| **byte == b'/').count();
    (slashes, path.len(), rule.source)
}

/// The rules of one server. Immutable; a lookup allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rules: Vec<Rule>,
    /// For each rule the position of its worker.
    workers: Vec<Option<usize>>,
    /// For each rule its options, where they change something.
    options: Vec<Option<Arc<RuleOptions>>>,
    mounts: Index,
    exclusions: Index,
    rejects_unsafe: bool,
}

impl Table {
    /// Sorts and compiles rules; equal ones keep their order. `position` says where a worker with some
    /// name is, or that there is none.
    pub fn new(mut rules: Vec<Rule>, position: impl Fn(&[u8]) -> Option<usize>) -> Table {
        rules.sort_by_key(|rule| Reverse(precedence(rule)));
        let workers = rules.iter().map(|rule| position(&rule.worker)).collect();
        let none = RuleOptions::default();
        let changes = |rule: &Rule| (*rule.options != none).then(|| Arc::clone(&rule.options));
        let options = rules.iter().map(changes).collect();
        let mounts = Index::new(&rules, |rule| !rule.is_exclusion);
        let exclusions = Index::new(&rules, |rule| rule.is_exclusion);
        Table { rules, workers, options, mounts, exclusions, rejects_unsafe: false }
    }

    /// The same table under `JkOptions +RejectUnsafeURI` [3.6], or without it.
    pub fn rejecting_unsafe(self, rejects_unsafe: bool) -> Table {
        Table { rejects_unsafe, ..self }
    }

    /// All rules in the order in which they are tried, exclusions and disabled ones included.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule with an id of this table.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.0)
    }

    /// Position of the worker of a rule; `None` where there is no such worker.
    pub fn worker(&self, id: RuleId) -> Option<usize> {
        self.workers.get(id.0).copied().flatten()
    }

    /// Options of a rule; `None` where they change nothing.
    pub fn options(&self, id: RuleId) -> Option<&Arc<RuleOptions>> {
        self.options.get(id.0)?.as_ref()
    }

    /// Whether no path can be mapped.
    pub fn is_empty(&self) -> bool {
        self.mounts.is_empty()
    }

    /// What becomes of a path that [`normalize`](super::normalize()) returned; `*` is unmapped.
    ///
    /// The first rule that matches has the path. An exclusion for its worker, or for `*`, takes it
    /// away, and then no other rule gets it. An exclusion for another worker does nothing.
    pub fn lookup(&self, normalized: &[u8]) -> Lookup {
        let Some(rule) = self.mounts.first(&self.rules, normalized, |_| true) else {
            return Lookup::Unmapped;
        };
        let worker = self.rule(rule).map_or(&b""[..], |rule| &rule.worker);
        let excludes = |exclusion: &Rule| exclusion.excludes(worker);
        match self.exclusions.first(&self.rules, normalized, excludes) {
            Some(exclusion) => Lookup::Excluded { rule, exclusion },
            None if self.rejects_unsafe && is_unsafe(normalized) => Lookup::Unsafe { rule },
            None => Lookup::Mapped { rule },
        }
    }
}

/// Whether a decoded path looks as if it should be decoded once more, or as if it were one of Windows.
fn is_unsafe(path: &[u8]) -> bool {
    path.iter().any(|byte| matches!(byte, b'%' | b'\\'))
}

/// Ids of rules, ascending.
type Ids = Vec<RuleId>;

/// Ids by literal suffix read backwards.
type BySuffix = BTreeMap<Box<[u8]>, Ids>;

/// Finds the first of some rules that matches a path without trying them one by one: rules without
/// wildcards by their path, the others by the literal text at both ends of their pattern.
#[derive(Debug, Clone, Default)]
struct Index {
    exact: HashMap<Box<[u8]>, Ids>,
    /// By literal prefix, then by literal suffix read backwards.
    wildcard: Prefixes<Prefixes<Ids>>,
}

impl Index {
    fn new(rules: &[Rule], wanted: impl Fn(&Rule) -> bool) -> Index {
        let mut exact: HashMap<Box<[u8]>, Ids> = HashMap::new();
        let mut wildcard: BTreeMap<Box<[u8]>, BySuffix> = BTreeMap::new();
        for (at, rule) in rules.iter().enumerate() {
            if rule.is_disabled || !wanted(rule) {
                continue;
            }
            let pattern = &rule.pattern;
            let ids = if pattern.is_exact() {
                exact.entry(pattern.as_bytes().into()).or_default()
            } else {
                let by_suffix = wildcard.entry(pattern.literal_prefix().into()).or_default();
                by_suffix
                    .entry(pattern.literal_suffix().iter().rev().copied().collect())
                    .or_default()
            };
            ids.push(RuleId(at));
        }
        let compiled = wildcard.into_iter().map(|(prefix, by)| (prefix, Prefixes::new(by)));
        Index { exact, wildcard: Prefixes::new(compiled.collect()) }
    }

    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcard.is_empty()
    }

    /// The first rule that matches `path` and is `accepted`.
    fn first(
        &self,
        rules: &[Rule],
        path: &[u8],
        accepted: impl Fn(&Rule) -> bool,
    ) -> Option<RuleId> {
        let is_accepted = |id: &RuleId| rules.get(id.0).is_some_and(&accepted);
        let mut best = self.exact.get(path).and_then(|ids| ids.iter().copied().find(is_accepted));
        for by_suffix in self.wildcard.of(path.iter()) {
            for ids in by_suffix.of(path.iter().rev()) {
                for id in ids.iter().copied() {
                    if best.is_some_and(|best| best < id) {
                        break;
                    }
                    let rule = rules.get(id.0);
                    if rule.is_some_and(|rule| accepted(rule) && rule.pattern.matches(path)) {
                        best = Some(id);
                        break;
                    }
                }
            }
        }
        best
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::{Place, Problems},
        mapping::{normalize, pattern::naive_matches},
    };

    /// Rules of lines of a map file; those that begin with `+` stand for JkMount and JkUnMount.
    pub(in crate::mapping) fn rules(lines: &[&str]) -> Vec<Rule> {
        let mut problems = Problems::new();
        let mut rules = Vec::new();
        for (line, number) in lines.iter().zip(1..) {
            let place = Place::new("map", number);
            let (key, worker) = line.split_once('=').unwrap();
            let worker = worker.as_bytes();
            rules.extend(match (key.strip_prefix("+!"), key.strip_prefix('+')) {
                (Some(path), _) => Rule::unmount(path.as_bytes(), worker, &place, &mut problems),
                (None, Some(path)) => Rule::mount(path.as_bytes(), worker, &place, &mut problems),
                (None, None) => Rule::from_map_file(key.as_bytes(), worker, &place, &mut problems),
            });
        }
        assert!(problems.is_empty());
        rules
    }

    fn table(lines: &[&str]) -> Table {
        Table::new(rules(lines), |_| None)
    }

    /// `worker`, `-` for unmapped, `!worker` for excluded.
    fn ask(table: &Table, path: &str) -> String {
        let worker = |id| String::from_utf8_lossy(&table.rule(id).unwrap().worker).into_owned();
        match table.lookup(path.as_bytes()) {
            Lookup::Unmapped => "-".to_string(),
            Lookup::Excluded { rule, .. } => format!("!{}", worker(rule)),
            Lookup::Unsafe { rule } => format!("%{}", worker(rule)),
            Lookup::Mapped { rule } => worker(rule),
        }
    }

    #[track_caller]
    fn check(lines: &[&str], expected: &[(&str, &str)]) {
        let table = table(lines);
        for (path, answer) in expected {
            assert_eq!(ask(&table, path), *answer, "{path}");
        }
    }

    #[test]
    fn an_empty_table_maps_nothing() {
        assert!(Table::default().is_empty());
        check(&[], &[("/", "-"), ("*", "-")]);
        assert!(table(&["!/a=w", "-/b=w"]).is_empty());
    }

    #[test]
    fn maps_exact_paths_and_wildcards() {
        check(
            &["/app|/*=a", "/*.jsp=j", "/x?z=q"],
            &[
                ("/app", "a"),
                ("/app/", "a"),
                ("/app/b/c.jsp", "a"),
                ("/apple", "-"),
                ("/b.jsp", "j"),
                ("/b/c.jsp", "j"),
                ("/xyz", "q"),
                ("/xz", "-"),
                ("/App", "-"),
                ("*", "-"),
                ("", "-"),
            ],
        );
    }

    #[test]
    fn more_slashes_win_then_length_then_source() {
        check(&["/*=a", "/a/*=b", "/a/b/*=c"], &[("/x", "a"), ("/a/x", "b"), ("/a/b/x", "c")]);
        // Wildcards count like other characters: the exact rule is shorter and comes later.
        check(&["/a/b=exact", "/a/*b=wild"], &[("/a/b", "wild")]);
        check(&["/a/b=exact", "/a/*=wild"], &[("/a/b", "exact")]);
        check(
            &["/aaaaaaaa*=long", "/a/*=deep"],
            &[("/aaaaaaaa/x", "long"), ("/a/aaaaaaa", "deep")],
        );
        check(&["+/a/*=mount", "/a/*=file"], &[("/a/b", "file")]);
        check(&["/a=file", "+/a=mount"], &[("/a", "file")]);
    }

    #[test]
    fn equal_rules_keep_their_order() {
        check(&["/a*=x", "/*a=y"], &[("/aa", "x")]);
        check(&["/*a=y", "/a*=x"], &[("/aa", "y")]);
    }

    #[test]
    fn the_first_of_equal_paths_wins() {
        check(&["/a|=x", "/a=y"], &[("/a", "x")]);
        check(&["-/a=x", "/a=y"], &[("/a", "y")]);
        check(&["/a=x", "!/a=x", "!/a=y"], &[("/a", "!x")]);
    }

    #[test]
    fn knows_where_each_worker_is() {
        let position = |name: &[u8]| [&b"v"[..], b"w"].iter().position(|known| *known == name);
        let table = Table::new(rules(&["/a=v", "/b/*=w", "/c=x", "!/d=*"]), position);
        let worker = |path: &[u8]| match table.lookup(path) {
            Lookup::Mapped { rule } => table.worker(rule),
            other => panic!("{other:?}"),
        };
        assert_eq!((worker(b"/a"), worker(b"/b/x"), worker(b"/c")), (Some(0), Some(1), None));
        assert_eq!(table.worker(RuleId(99)), None);
    }

    #[test]
    fn unsafe_paths_are_kept_from_workers_and_from_files() {
        let table = table(&["/a/*=w", "!/a/s/*=w"]).rejecting_unsafe(true);
        for (path, answer) in [
            ("/a/b", "w"),
            ("/a/b%", "%w"),
            ("/a/\\b", "%w"),
            ("/a/s/%", "!w"),
            ("/b/%", "-"),
            ("/b\\", "-"),
        ] {
            assert_eq!(ask(&table, path), answer, "{path}");
        }
        assert_eq!(ask(&table.rejecting_unsafe(false), "/a/b%"), "w");
    }

    #[test]
    fn exclusions_take_away_without_falling_through() {
        let rules = ["/app/*=a", "/*=b", "!/app/static/*=a", "!/*.gif=*", "!/app/other/*=b"];
        check(
            &rules,
            &[
                ("/app/x", "a"),
                ("/app/static/x", "!a"),
                ("/app/x.gif", "!a"),
                ("/x.gif", "!b"),
                ("/app/other/x", "a"),
                ("/static/x", "b"),
            ],
        );
        let table = table(&rules);
        let Lookup::Excluded { rule, exclusion } = table.lookup(b"/app/static/x") else {
            panic!("not excluded")
        };
        assert_eq!(table.rule(rule).unwrap().place.line, 1);
        assert_eq!(table.rule(exclusion).unwrap().place.line, 3);
        check(&["+/app|/*=a", "+!/app/s*=a"], &[("/app/s", "!a"), ("/app/t", "a")]);
        check(&["/a=w", "!/a*=v", "!/*=w"], &[("/a", "!w")]);
    }

    #[test]
    fn disabled_rules_match_nothing_and_are_kept() {
        let rules = ["/a/*=a", "-/a/b/*=b", "-!/a/c/*=a"];
        check(&rules, &[("/a/b/x", "a"), ("/a/c/x", "a")]);
        assert_eq!(table(&rules).rules().len(), 3);
    }

    #[test]
    fn ids_are_positions_in_the_sorted_rules() {
        let table = table(&["/*=a", "/a/*=b", "/a/bc=c"]);
        let sorted: Vec<String> = table.rules().iter().map(|r| r.pattern.to_string()).collect();
        assert_eq!(sorted, ["/a/bc", "/a/*", "/*"]);
        assert_eq!(table.lookup(b"/a/x"), Lookup::Mapped { rule: RuleId(1) });
    }

    /// How many patterns a lookup compares with a path at most.
    fn comparisons(table: &Table, path: &str) -> usize {
        let compared = |index: &Index| -> usize {
            let by_suffix = index.wildcard.of(path.as_bytes().iter());
            by_suffix.flat_map(|by| by.of(path.as_bytes().iter().rev())).map(Vec::len).sum()
        };
        compared(&table.mounts) + compared(&table.exclusions)
    }

    /// Four kinds of rules for each of some applications, and one for all.
    fn applications(count: usize) -> Table {
        let mut lines = vec!["/*.jsp=j".to_string(), "!/*.gif=*".to_string()];
        for n in 0..count {
            lines.push(format!("/app{n}|/*=w{n}"));
            lines.push(format!("!/app{n}/static/*=w{n}"));
            lines.push(format!("/*.ext{n}=e"));
        }
        table(&lines.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn ten_thousand_rules_cost_what_ten_cost() {
        let (few, many) = (applications(2), applications(2500));
        assert_eq!((few.rules().len(), many.rules().len()), (10, 10_002));
        for (path, answer, most) in [
            ("/app1/x", "w1", 1),
            ("/app1", "w1", 0),
            ("/app1/static/x.gif", "!w1", 3),
            ("/none/x.jsp", "j", 1),
            ("/app1/x.ext0", "w1", 2),
            ("/nothing/here", "-", 0),
        ] {
            for table in [&few, &many] {
                assert_eq!(ask(table, path), answer, "{path}");
                assert_eq!(comparisons(table, path), most, "{path}");
            }
        }
        assert_eq!(ask(&many, "/app2499/x"), "w2499");
    }

    /// The algorithm of the specification, step by step over the sorted rules.
    fn naive(table: &Table, path: &[u8]) -> Lookup {
        let matching = |id: &RuleId| {
            let rule = table.rule(*id).unwrap();
            !rule.is_disabled && naive_matches(rule.pattern.as_bytes(), path)
        };
        let ids: Vec<RuleId> = (0..table.rules().len()).map(RuleId).filter(matching).collect();
        let rule_of = |id: &RuleId| table.rule(*id).unwrap();
        let Some(rule) = ids.iter().copied().find(|id| !rule_of(id).is_exclusion) else {
            return Lookup::Unmapped;
        };
        let worker = &rule_of(&rule).worker;
        let excludes = |id: &RuleId| {
            let exclusion = rule_of(id);
            exclusion.is_exclusion && (exclusion.worker == *worker || &*exclusion.worker == b"*")
        };
        match ids.iter().copied().find(excludes) {
            Some(exclusion) => Lookup::Excluded { rule, exclusion },
            None => Lookup::Mapped { rule },
        }
    }

    fn is_sorted(table: &Table) -> bool {
        let key = |rule: &Rule| {
            let path = rule.pattern.to_string();
            (path.matches('/').count(), path.len(), rule.source)
        };
        table.rules().is_sorted_by(|a, b| key(a) >= key(b))
    }

    proptest! {
        #![proptest_config(crate::generated(1000))]

        #[test]
        fn agrees_with_a_scan_of_the_sorted_rules(
            lines in prop::collection::vec(r"(\+!?|-?!?)/[ab/.*?|]{0,6}=[vw*]", 0..14),
            paths in prop::collection::vec(
                prop::collection::vec(prop::sample::select(&b"aaabb//..;%2e\xc3\xa9\xff\\"[..]), 0..12),
                8,
            ),
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let table = table(&lines);
            prop_assert!(is_sorted(&table));
            for path in paths {
                let path = [b"/", path.as_slice()].concat();
                let normal = normalize(&path).unwrap_or(Cow::Borrowed(b"*"));
                prop_assert_eq!(table.lookup(&normal), naive(&table, &normal));
                prop_assert_eq!(table.lookup(&path), naive(&table, &path));
            }
        }
    }
}
