//! Words for messages: values made safe to print, and "did you mean".
#![forbid(unsafe_code)]

/// Longest piece of a file that a message repeats, in characters.
const SHOWN: usize = 60;

/// Text longer than this, in bytes, is no misspelling of a name that we know.
const MISSPELT: usize = 64;

/// A value as a message shows it: in double quotes, control characters escaped, bytes that are not
/// UTF-8 replaced, cut after 60 characters. Never hand it the value of a secret.
pub fn quoted(value: &[u8]) -> String {
    format!("\"{}\"", printable(value))
}

/// As [`quoted`], without the quotes: for keys and worker names.
pub fn printable(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

/// As [`printable`], but whole.
pub fn escaped(value: &[u8]) -> String {
    String::from_utf8_lossy(value).chars().flat_map(char::escape_debug).collect()
}

/// Suggestions that one kind of mistake gets. Each takes a look at all known names, of which there may
/// be thousands, as there may be of mistakes.
pub(super) const MAX_SUGGESTIONS: usize = 20;

/// The known name that `given` is probably a misspelling of, or `None` when none is near.
///
/// Near means: at most one in three characters differs (at least one may), where a missing, an added,
/// a wrong and a swapped pair of characters count one each and upper or lower case counts nothing.
pub fn suggestion<'a, T>(given: &[u8], known: impl IntoIterator<Item = &'a T>) -> Option<&'a T>
where
    T: AsRef<[u8]> + ?Sized + 'a,
{
    if given.is_empty() || given.len() > MISSPELT {
        return None;
    }
    let given = given.to_ascii_lowercase();
    known
        .into_iter()
        .filter(|name| name.as_ref().len() <= MISSPELT)
        .map(|name| (distance(&given, &name.as_ref().to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= tolerance(given.len().max(name.as_ref().len())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn tolerance(length: usize) -> usize {
    (length / 3).max(1)
}

/// Edits that lead from `a` to `b`: insertions, deletions, substitutions, swaps of neighbours.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
    let mut two_above: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_x = None;
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        let mut last_y = None;
        for (j, y) in b.iter().enumerate() {
            let replaced = cell(&above, j).saturating_add(usize::from(x != y));
            let removed = cell(&above, j.saturating_add(1)).saturating_add(1);
            let added = cell(&row, j).saturating_add(1);
            let mut least = replaced.min(removed).min(added);
            if last_x == Some(y) && last_y == Some(x) {
                least = least.min(cell(&two_above, j.saturating_sub(1)).saturating_add(1));
            }
            row.push(least);
            last_y = Some(y);
        }
        two_above = std::mem::replace(&mut above, row);
        last_x = Some(x);
    }
    cell(&above, b.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_each_kind_of_edit_once() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("host", "host", 0),
            ("hst", "host", 1),
            ("hoost", "host", 1),
            ("hoxt", "host", 1),
            ("hsot", "host", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a.as_bytes(), b.as_bytes()), expected, "{a} {b}");
        }
    }

    #[test]
    fn suggests_the_nearest_known_name() {
        let known = ["host", "port", "connect_timeout", "socket_connect_timeout"];
        for (given, expected) in [
            ("prot", Some("port")),
            ("HOST", Some("host")),
            ("connecttimeout", Some("connect_timeout")),
            ("connect_timeuot", Some("connect_timeout")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(suggestion(given.as_bytes(), known), expected, "{given}");
        }
        assert_eq!(suggestion(&[b'h'; 65], known), None);
    }

    #[test]
    fn shows_values_on_one_line() {
        assert_eq!(quoted(b"a\nb\x00\"\xff"), "\"a\\nb\\0\\\"\u{fffd}\"");
        assert_eq!(quoted(&[b'x'; 61]), format!("\"{}...\"", "x".repeat(60)));
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equals(a in "[ab]{0,8}", b in "[ab]{0,8}") {
            let there = distance(a.as_bytes(), b.as_bytes());
            prop_assert_eq!(there, distance(b.as_bytes(), a.as_bytes()));
            prop_assert_eq!(there == 0, a == b);
        }
    }
}
