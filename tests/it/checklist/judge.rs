//! What is wrong with a case, from what was seen of it.

use super::case::{Case, OnOurs};
use crate::compliance::run::judge;
use crate::compliance::seen::Seen;

/// What is wrong with a case.
pub(super) fn judge_case(
    case: &Case,
    theirs: Option<&[Seen]>,
    ours: Option<&[Seen]>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut moved = |who: &str, seen: &[Seen], expected: bool| {
        for (number, without) in seen.iter().enumerate().skip(1) {
            if (*without != seen[0]) != expected {
                problems.push(format!(
                    "with {who}, {} changes when mark {number} is taken out",
                    if expected { "nothing" } else { "something" }
                ));
            }
        }
    };
    if let Some(theirs) = theirs {
        moved("the C module", theirs, true);
    }
    if let Some(ours) = ours {
        moved("ours", ours, !matches!(case.ours, OnOurs::NoEffect(_)));
    }
    let (Some(theirs), Some(ours)) = (theirs, ours) else { return problems };
    match case.ours {
        OnOurs::Same => {}
        OnOurs::NoEffect(_) => return problems,
        OnOurs::Config(text) => {
            if ours[0].facts.iter().any(|fact| fact.ends_with("false")) {
                problems.push(format!("ours does not say {text}"));
            }
            return problems;
        }
    }
    let mut differ = case.difference.is_none();
    for (number, (theirs, ours)) in theirs.iter().zip(ours).enumerate() {
        if theirs == ours {
            continue;
        }
        differ = true;
        let found = judge(case.difference, theirs, ours);
        let what = match number {
            0 => "as it stands".to_owned(),
            number => format!("without mark {number}"),
        };
        problems.extend(found.iter().map(|problem| format!("{what}: {problem}")));
    }
    if !differ {
        let row = case.difference.map_or("", |difference| difference.row);
        problems.push(format!("does not differ, so `{row}` of COMPAT.md is not true here"));
    }
    problems
}

#[test]
fn every_kind_of_mistake_is_found() {
    use super::case::site;
    let seen = |facts: [&str; 2]| {
        facts.map(|fact| Seen { facts: vec![fact.to_owned()], ..Seen::default() })
    };
    let (moves, stays, other) = (seen(["a", "b"]), seen(["a", "a"]), seen(["c", "b"]));
    let count = |case: &Case, theirs: &[Seen; 2], ours: &[Seen; 2]| {
        judge_case(case, Some(theirs), Some(ours)).len()
    };
    let case = site("case", "");
    assert_eq!(count(&case, &moves, &moves), 0);
    // Nothing changes with either, nothing with ours which also differs, ours differs.
    assert_eq!(count(&case, &stays, &stays), 2);
    assert_eq!(count(&case, &moves, &stays), 2);
    assert_eq!(count(&case, &moves, &other), 1);
    // With one module alone there is nothing to compare with.
    assert_eq!(judge_case(&case, Some(&moves), None), [""; 0]);
    assert_eq!(judge_case(&case, None, Some(&stays)).len(), 1);
    let without_effect = site("case", "").no_effect("row");
    assert_eq!(count(&without_effect, &moves, &stays), 0);
    assert_eq!(count(&without_effect, &moves, &moves), 1);
    let differs = site("case", "").differs("row", |seen| seen.facts = vec!["c".into()]);
    assert_eq!(count(&differs, &moves, &other), 0);
    assert_eq!(count(&differs, &moves, &moves), 1);
    assert_eq!(count(&differs, &moves, &seen(["d", "b"])), 1);
    let config = site("case", "").config("key=value");
    assert_eq!(count(&config, &moves, &seen(["true", "false"])), 0);
    assert_eq!(count(&config, &moves, &seen(["false", "true"])), 1);
}
