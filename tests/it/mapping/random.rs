//! Random rules and paths from so few words that they meet often. A seed gives the same ones again.

/// A generator of random numbers (SplitMix64).
pub(super) struct Random(u64);

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
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    /// True once in `n`.
    pub(super) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

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
