//! Random rules and paths from so few words that they meet often. A seed gives the same ones again.

pub(super) use crate::support::random::Random;

/// Segments of patterns and paths.
const WORDS: [&str; 7] = ["a", "b", "ab", "a.x", "b.x", "c", "\u{e9}"];

/// What makes paths hard.
const TRICKS: [&str; 24] = [
    ".",
    "..",
    "",
    ";",
    ";x",
    "a;x=1",
    "..;",
    "..;x",
    ".;",
    "%2e",
    "%2E%2e",
    "%2e.;x",
    "%3b",
    "a%3bx",
    "%25",
    "%252e%252e",
    "%5c",
    "a%5cb",
    "%2f",
    "a%2fb",
    "..%2f",
    "%e9",
    "%C3%A9",
    "*",
];

impl Random {
    /// A pattern of a rule that begins with `/`.
    pub(super) fn pattern(&mut self, bar: bool) -> String {
        let mut pattern = String::new();
        for _ in 0..=self.below(3) {
            pattern.push('/');
            pattern += self.pick(&WORDS);
            match self.below(9) {
                0 => pattern.push('*'),
                1 => pattern.push('?'),
                2 => pattern += "*.x",
                3 => pattern += "/*",
                4 if bar => pattern += "|/*",
                5 if bar => pattern.push('|'),
                6 => pattern.push('/'),
                _ => {}
            }
        }
        if self.one_in(12) { "/*".into() } else { pattern }
    }

    /// What a client may ask for.
    pub(super) fn target(&mut self) -> String {
        let mut target = String::new();
        for _ in 0..=self.below(4) {
            target.push('/');
            match self.below(5) {
                0 | 1 => target += self.pick(&TRICKS),
                _ => target += &self.pick(&WORDS).replace('\u{e9}', "%C3%A9"),
            }
        }
        if self.one_in(4) {
            target.push('/');
        }
        target
    }
}
