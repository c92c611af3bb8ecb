//! What a rule's path matches [3.2].
#![forbid(unsafe_code)]

use std::fmt;

use crate::config::text::printable;

/// A path, or a path with wildcards: `*` stands for any bytes, `/` and none at all included, `?` for
/// exactly one byte. All of the path has to match; case matters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<[u8]>,
}

impl Pattern {
    /// Any bytes are a pattern.
    pub fn new(text: &[u8]) -> Pattern {
        Pattern { text: text.into() }
    }

    /// The pattern as it was written.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Whether it has no wildcard, so that it matches one path only.
    pub fn is_exact(&self) -> bool {
        !self.text.iter().any(is_wildcard)
    }

    /// Whether a path matches. Takes at most path length times pattern length steps, never more.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut pattern: &[u8] = &self.text;
        let mut path = path;
        // Where to go on when what follows the last `*` does not match: behind that `*`, with the `*`
        // standing for one byte more. Earlier ones need no second try, the last one can take over
        // whatever they could.
        let mut retry: Option<(&[u8], &[u8])> = None;
        loop {
            match (pattern, path) {
                ([b'*', after @ ..], _) => {
                    retry = Some((after, path));
                    pattern = after;
                    if after.is_empty() {
                        return true;
                    }
                }
                ([], []) => return true,
                ([b'?', after @ ..], [_, rest @ ..]) => (pattern, path) = (after, rest),
                ([wanted, after @ ..], [byte, rest @ ..]) if wanted == byte => {
                    (pattern, path) = (after, rest);
                }
                _ => {
                    let Some((after, [_, rest @ ..])) = retry else { return false };
                    (pattern, path) = (after, rest);
                    retry = Some((after, rest));
                }
            }
        }
    }

    /// What every match begins with: the text before the first wildcard.
    pub fn literal_prefix(&self) -> &[u8] {
        self.text.split(is_wildcard).next().unwrap_or_default()
    }

    /// What every match ends with: the text after the last wildcard. It may overlap the prefix.
    pub fn literal_suffix(&self) -> &[u8] {
        self.text.rsplit(is_wildcard).next().unwrap_or_default()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&printable(&self.text))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_wildcard(byte: &u8) -> bool {
    matches!(byte, b'*' | b'?')
}

/// What a pattern means, said as plainly as possible. Far too slow for anything but tests.
#[cfg(test)]
pub(super) fn naive_matches(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([b'*', after @ ..], _) => (0..=path.len()).any(|n| naive_matches(after, &path[n..])),
        ([b'?', after @ ..], [_, rest @ ..]) => naive_matches(after, rest),
        ([wanted, after @ ..], [byte, rest @ ..]) => wanted == byte && naive_matches(after, rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn matches_as_the_specification_says() {
        for (pattern, path, expected) in [
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/A", false),
            ("/a/*", "/a/", true),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", true),
            ("/a*", "/a", true),
            ("/*.jsp", "/a/b.jsp", true),
            ("/*.jsp", "/.jsp", true),
            ("/*.jsp", "/a.jspx", false),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", true),
            ("/a?c", "/ac", false),
            ("/a*a", "/a", false),
            ("/*ab*ab", "/abab", true),
            ("/*ab*ab", "/aab", false),
            ("/**", "/", true),
            ("/*?", "/", false),
            ("/?", "/\u{e9}", false),
            ("/??", "/\u{e9}", true),
        ] {
            let matches = Pattern::new(pattern.as_bytes()).matches(path.as_bytes());
            assert_eq!(matches, expected, "{pattern} {path}");
        }
    }

    #[test]
    fn knows_its_literal_ends() {
        for (pattern, prefix, suffix) in [
            ("/a", "/a", "/a"),
            ("/a/*", "/a/", ""),
            ("/*.jsp", "/", ".jsp"),
            ("/a?b*c", "/a", "c"),
            ("/a*", "/a", ""),
        ] {
            let compiled = Pattern::new(pattern.as_bytes());
            assert_eq!(compiled.literal_prefix(), prefix.as_bytes(), "{pattern}");
            assert_eq!(compiled.literal_suffix(), suffix.as_bytes(), "{pattern}");
            assert_eq!(compiled.is_exact(), !pattern.contains(['*', '?']));
        }
    }

    #[test]
    fn has_no_pattern_that_takes_for_ever() {
        let pattern = Pattern::new(format!("/{}b", "a*".repeat(200)).as_bytes());
        assert!(!pattern.matches(format!("/{}", "a".repeat(8000)).as_bytes()));
    }

    proptest! {
        #![proptest_config(crate::generated(4000))]

        #[test]
        fn agrees_with_the_naive_model(pattern in "[ab*?]{0,8}", path in "[ab]{0,10}") {
            let compiled = Pattern::new(pattern.as_bytes());
            let matches = compiled.matches(path.as_bytes());
            prop_assert_eq!(matches, naive_matches(pattern.as_bytes(), path.as_bytes()));
            if matches {
                prop_assert!(path.as_bytes().starts_with(compiled.literal_prefix()));
                prop_assert!(path.as_bytes().ends_with(compiled.literal_suffix()));
            }
        }
    }
}
