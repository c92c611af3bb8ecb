//! JkMount and JkUnMount as a server has them, before they become rules: what a second line for the
//! same path means [3.2], and what a virtual host copies from the main server [1.3].
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::rule::Rule;
use crate::config::{Place, Problems};

/// One JkMount or JkUnMount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// As written, a `|` included.
    pub path: Vec<u8>,
    /// The worker's name and rule extensions, as written.
    pub worker: Vec<u8>,
    /// Whether it is a JkUnMount.
    pub is_exclusion: bool,
    /// The line of the directive.
    pub place: Place,
}

impl Mount {
    /// Two mounts with the same key are about the same rule. `/a|/*` and `/a` are different ones.
    fn key(&self) -> (bool, &[u8]) {
        (self.is_exclusion, &self.path)
    }

    fn directive(&self) -> &'static str {
        if self.is_exclusion { "JkUnMount" } else { "JkMount" }
    }

    fn rules(&self, problems: &mut Problems) -> Vec<Rule> {
        if self.is_exclusion {
            Rule::unmount(&self.path, &self.worker, &self.place, problems)
        } else {
            Rule::mount(&self.path, &self.worker, &self.place, problems)
        }
    }
}

/// The mounts of a virtual host that has `own` ones and `JkMountCopy On`: its own, then those of the
/// main server about which it says nothing itself.
pub fn copy_mounts(own: &[Mount], main: &[Mount]) -> Vec<Mount> {
    let known: HashSet<_> = own.iter().map(Mount::key).collect();
    let copied = main.iter().filter(|mount| !known.contains(&mount.key()));
    own.iter().chain(copied).cloned().collect()
}

/// The rules of mounts. Of several with the same path the last one counts, at the place of the first.
pub fn rules_of(mounts: &[Mount], problems: &mut Problems) -> Vec<Rule> {
    let mut positions = HashMap::new();
    let mut kept: Vec<&Mount> = Vec::new();
    for mount in mounts {
        let at = *positions.entry(mount.key()).or_insert(kept.len());
        let Some(earlier) = kept.get_mut(at) else {
            kept.push(mount);
            continue;
        };
        let what = format!("the same path is set at {} already, this line is used", earlier.place);
        problems.warning(&mount.place, mount.directive(), what, "keep one of the lines");
        *earlier = mount;
    }
    kept.into_iter().flat_map(|mount| mount.rules(problems)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `!path=worker` for a JkUnMount.
    fn mounts(source: &str, lines: &[&str]) -> Vec<Mount> {
        let mount = |(line, number): (&&str, u32)| {
            let (key, worker) = line.split_once('=').unwrap();
            Mount {
                path: key.trim_start_matches('!').into(),
                worker: worker.into(),
                is_exclusion: key.starts_with('!'),
                place: Place::new(source, number),
            }
        };
        lines.iter().zip(1..).map(mount).collect()
    }

    fn shown(mounts: &[Mount]) -> (Vec<String>, Vec<String>) {
        let mut problems = Problems::new();
        let rules = rules_of(mounts, &mut problems);
        let rules = rules.iter().map(|rule| {
            let mark = if rule.is_exclusion { "!" } else { "" };
            format!("{mark}{}={}", rule.pattern, String::from_utf8_lossy(&rule.worker))
        });
        (rules.collect(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_last_mount_of_a_path_counts() {
        let (rules, problems) =
            shown(&mounts("c", &["/a=x", "/b=x", "!/a=x", "/a=y", "!/a=*", "/b|=z"]));
        assert_eq!(rules, ["/a=y", "/b=x", "!/a=*", "/b=z", "/b=z"]);
        assert_eq!(
            problems,
            [
                "c:4: JkMount: the same path is set at c:1 already, this line is used; keep one of \
                 the lines",
                "c:5: JkUnMount: the same path is set at c:3 already, this line is used; keep one \
                 of the lines",
            ]
        );
    }

    #[test]
    fn a_virtual_host_copies_what_it_does_not_have() {
        let main = mounts("main", &["/a=m", "/a|/*=m", "!/a=m", "/c=m", "/c=n"]);
        let own = mounts("host", &["/a=h", "!/a|/*=h"]);
        let (rules, _) = shown(&copy_mounts(&own, &main));
        assert_eq!(rules, ["/a=h", "!/a=h", "!/a/*=h", "/a=m", "/a/*=m", "!/a=m", "/c=n"]);
        assert_eq!(copy_mounts(&[], &main), main);
        assert_eq!(copy_mounts(&own, &[]), own);
    }

    #[test]
    fn a_path_begins_with_a_slash() {
        let (rules, problems) = shown(&mounts("c", &["a=w", "/b=w", "!*.gif=w"]));
        assert_eq!(rules, ["/b=w"]);
        assert_eq!(
            problems,
            [
                "c:1: JkMount: the path \"a\" does not begin with \"/\"; begin the path with /",
                "c:3: JkUnMount: the path \"*.gif\" does not begin with \"/\"; begin the path with \
                 /",
            ]
        );
    }
}
