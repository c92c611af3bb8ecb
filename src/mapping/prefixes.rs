//! A set of texts that finds all of its members that some text begins with.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

/// Values filed under texts.
///
/// The texts are sorted, and each knows the longest other one that it begins with, its parent. Take
/// the last text that is not greater than the one asked for: every member that the asked text begins
/// with is found among its ancestors, because whatever stands between a text and its beginning in the
/// order begins the same way. So a query is one binary search and a short walk, however many there are.
#[derive(Debug, Clone)]
pub(super) struct Prefixes<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    text: Box<[u8]>,
    parent: Option<usize>,
    value: T,
}

impl<T> Prefixes<T> {
    /// Files each value under its text.
    pub(super) fn new(values: BTreeMap<Box<[u8]>, T>) -> Prefixes<T> {
        let mut entries: Vec<Entry<T>> = Vec::with_capacity(values.len());
        for (text, value) in values {
            let mut parent = entries.len().checked_sub(1);
            while let Some(candidate) = parent.and_then(|at| entries.get(at)) {
                if text.starts_with(&candidate.text) {
                    break;
                }
                parent = candidate.parent;
            }
            entries.push(Entry { text, parent, value });
        }
        Prefixes { entries }
    }

    /// Whether nothing is filed.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The values of all texts that `asked` begins with, longest text first. `asked` is an iterator so
    /// that it can be read from its end.
    pub(super) fn of<'a, 'b>(
        &'a self,
        asked: impl Iterator<Item = &'b u8> + Clone,
    ) -> impl Iterator<Item = &'a T> {
        let not_greater = |entry: &Entry<T>| entry.text.iter().le(asked.clone());
        let mut at = self.entries.partition_point(not_greater).checked_sub(1);
        let shared = at.and_then(|at| self.entries.get(at)).map_or(0, |nearest| {
            nearest.text.iter().zip(asked.clone()).take_while(|(a, b)| a == b).count()
        });
        std::iter::from_fn(move || {
            let entry = self.entries.get(at?)?;
            at = entry.parent;
            Some(entry)
        })
        .filter(move |entry| entry.text.len() <= shared)
        .map(|entry| &entry.value)
    }
}

impl<T> Default for Prefixes<T> {
    fn default() -> Prefixes<T> {
        Prefixes { entries: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::generated(2000))]

        #[test]
        fn finds_every_member_that_a_text_begins_with(
            members in prop::collection::btree_set("[ab]{0,6}", 0..12),
            asked in "[abc]{0,8}",
        ) {
            let members: BTreeSet<String> = members;
            let filed = members.iter().map(|text| (text.as_bytes().into(), text.as_str()));
            let prefixes = Prefixes::new(filed.collect());
            let found: Vec<&str> = prefixes.of(asked.as_bytes().iter()).copied().collect();
            let expected: Vec<&str> =
                members.iter().rev().map(String::as_str).filter(|m| asked.starts_with(m)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
