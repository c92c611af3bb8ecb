//! The properties of one worker, read by type, with a warning for each that is not what it says.
//!
//! A file that C mod_jk loads has to load here. So a value that makes no sense gets the meaning that
//! C mod_jk gives it, and a warning that says which.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    error::Problems,
    properties::{Properties, Property},
    text::{printable, quoted, suggestion},
    value,
    worker::{Label, MAX_NAME, WorkerName},
};

/// What a number is, for messages.
pub(super) struct Unit {
    /// With its article: "a port number".
    pub(super) noun: &'static str,
    /// What to write.
    pub(super) remedy: &'static str,
}

pub(super) const PORT: Unit =
    Unit { noun: "a port number", remedy: "use a number from 1 to 65535" };
pub(super) const COUNT: Unit = Unit { noun: "a number", remedy: "use a whole number such as 2" };
pub(super) const BYTES: Unit = Unit {
    noun: "a number of bytes",
    remedy: "use a whole number, with k or m directly behind it for KiB or MiB",
};
pub(super) const MILLISECONDS: Unit = Unit {
    noun: "a number of milliseconds",
    remedy: "use a whole number without a unit, such as 10000 for ten seconds",
};
pub(super) const SECONDS: Unit = Unit {
    noun: "a number of seconds",
    remedy: "use a whole number without a unit, such as 10 for ten seconds",
};

/// Seconds from which on a time is taken for milliseconds.
const SUSPICIOUS_SECONDS: u64 = 10_000;

/// Reads the properties of one worker.
pub(super) struct Settings<'a> {
    pub(super) properties: &'a Properties,
    pub(super) name: &'a WorkerName,
    pub(super) problems: &'a mut Problems,
}

impl<'a> Settings<'a> {
    /// A property as it was read.
    pub(super) fn find(&self, property: &str) -> Option<&'a Property> {
        self.properties.find(&self.name.key(property))
    }

    /// Adds an error about a property.
    pub(super) fn error(&mut self, about: &Property, what: impl Into<String>, remedy: &str) {
        self.problems.error(&about.place, printable(&about.key), what, remedy);
    }

    /// Adds a warning about a property.
    pub(super) fn warning(&mut self, about: &Property, what: impl Into<String>, remedy: &str) {
        self.problems.warning(&about.place, printable(&about.key), what, remedy);
    }

    /// A number as C mod_jk understands it; `None`, which means the default, when there is none.
    pub(super) fn number(&mut self, property: &str, unit: &Unit) -> Option<i32> {
        number(self.find(property)?, unit, self.problems)
    }

    /// Whether a number is less than nothing.
    pub(super) fn is_negative(&self, property: &str) -> bool {
        let read = self.find(property).and_then(|found| value::integer(&found.value));
        read.is_some_and(|number| number.value < 0)
    }

    /// A number that is at least `least`, which smaller ones are taken for.
    pub(super) fn at_least(&mut self, property: &str, least: u32, default: u32) -> u32 {
        let Some(asked) = self.number(property, &COUNT) else { return default };
        match u32::try_from(asked) {
            Ok(number) if number >= least => number,
            _ => {
                if let Some(found) = self.find(property) {
                    let remedy = format!("use at least {least}");
                    self.warning(found, format!("{asked} is read as {least}"), &remedy);
                }
                least
            }
        }
    }

    /// A switch.
    pub(super) fn switch(&mut self, property: &str, default: bool) -> bool {
        let Some(found) = self.find(property) else { return default };
        value::boolean(&found.value).unwrap_or_else(|| {
            let used = if default { "on" } else { "off" };
            let what = format!("{} is neither on nor off, {used} is used", quoted(&found.value));
            self.warning(found, what, "use on or off");
            default
        })
    }

    /// One of several words, of which C mod_jk looks at the first letter only; a digit is the word's
    /// number. `None`, which means the default, when it is none of them.
    pub(super) fn choice<T: Copy>(&mut self, property: &str, words: &[(&str, T)]) -> Option<T> {
        self.choice_of(property, words, words.len())
    }

    /// As [`Settings::choice`], where C mod_jk knows the first `known` words only: each of the others
    /// has to be written as it is, or its beginning, for anything else has a meaning in C mod_jk.
    pub(super) fn choice_of<T: Copy>(
        &mut self,
        property: &str,
        words: &[(&str, T)],
        known: usize,
    ) -> Option<T> {
        let found = self.find(property)?;
        let names = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let first = found.value.first().copied().unwrap_or_default();
        let is_begun = |long: &[u8], short: &[u8]| {
            long.get(..short.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(short))
        };
        let (of_c, ours) = words.split_at(known.min(words.len()));
        let by_letter = of_c.iter().find(|(word, _)| {
            word.as_bytes().first().is_some_and(|letter| letter.eq_ignore_ascii_case(&first))
        });
        let is_written =
            |word: &str| !found.value.is_empty() && is_begun(word.as_bytes(), &found.value);
        let by_letter = by_letter.or_else(|| ours.iter().find(|(word, _)| is_written(word)));
        let by_number = char::from(first).to_digit(10);
        let by_number = by_number.and_then(|at| of_c.get(usize::try_from(at).ok()?));
        let near = suggestion(&found.value, words.iter().map(|(word, _)| *word));
        let Some((word, choice)) = by_letter.or(by_number) else {
            let what =
                format!("{} is none of {}, the default is used", quoted(&found.value), names());
            let remedy = match near {
                Some(near) => format!("did you mean {near}?"),
                None => "use one of them, or remove the line".to_string(),
            };
            self.warning(found, what, &remedy);
            return None;
        };
        let word_bytes = word.as_bytes();
        if found.value.len() > 1
            && !is_begun(word_bytes, &found.value)
            && !is_begun(&found.value, word_bytes)
        {
            let what = format!("{} is read as {word}", quoted(&found.value));
            let remedy = match near {
                Some(near) if near != *word => format!("did you mean {near}?"),
                _ => format!("write {word}"),
            };
            self.warning(found, what, &remedy);
        }
        Some(*choice)
    }

    /// A text of limited length; `None` when no line sets it. Too long is an error.
    pub(super) fn label(&mut self, property: &str) -> Option<Label> {
        let found = self.find(property)?;
        Label::new(&found.value)
            .map_err(|length| {
                let what = format!("the value has {length} bytes, the limit is {MAX_NAME}");
                self.error(found, what, "use a shorter one");
            })
            .ok()
    }

    /// A time; `Some(ZERO)` when it is zero or negative, `None` when there is none. `unit` is
    /// [`MILLISECONDS`] or [`SECONDS`], `one` the length of one.
    fn time(&mut self, property: &str, unit: &Unit, one: Duration) -> Option<Duration> {
        let number = self.number(property, unit)?;
        let Ok(units) = u32::try_from(number) else {
            if let Some(found) = self.find(property) {
                let what = format!("{number} is less than nothing, 0 is used");
                self.warning(found, what, unit.remedy);
            }
            return Some(Duration::ZERO);
        };
        Some(one.saturating_mul(units))
    }

    /// A time in milliseconds; as [`Settings::time`]. Warns of less than `least`, which looks like
    /// seconds.
    pub(super) fn milliseconds_from(&mut self, property: &str, least: u64) -> Option<Duration> {
        let time = self.time(property, &MILLISECONDS, Duration::from_millis(1))?;
        let number = time.as_millis();
        if number > 0
            && number < u128::from(least)
            && let Some(found) = self.find(property)
        {
            let what = format!("{number} is read as {number} milliseconds");
            self.warning(found, what, &format!("write {number}000 if you mean seconds"));
        }
        Some(time)
    }

    /// As [`Settings::milliseconds_from`], with what is usual for a timeout.
    pub(super) fn milliseconds(&mut self, property: &str) -> Option<Duration> {
        self.milliseconds_from(property, 100)
    }

    /// A time in seconds; as [`Settings::time`]. Warns of a number that looks like milliseconds.
    pub(super) fn seconds(&mut self, property: &str) -> Option<Duration> {
        let time = self.long_seconds(property)?;
        if let Some(found) = self.find(property) {
            warn_of_milliseconds(found, time, self.problems);
        }
        Some(time)
    }

    /// As [`Settings::seconds`], for a time that may well be hours.
    pub(super) fn long_seconds(&mut self, property: &str) -> Option<Duration> {
        self.time(property, &SECONDS, Duration::from_secs(1))
    }
}

/// As [`Settings::number`], of any property.
pub(super) fn number(found: &Property, unit: &Unit, problems: &mut Problems) -> Option<i32> {
    let shown = quoted(&found.value);
    let mut warn = |what: String| {
        problems.warning(&found.place, printable(&found.key), what, unit.remedy);
    };
    let Some(read) = value::integer(&found.value) else {
        warn(format!("{shown} is not {}, the default is used", unit.noun));
        return None;
    };
    if !read.is_clean {
        warn(format!("{shown} is not {}, it is read as {}", unit.noun, read.value));
    }
    Some(read.value)
}

/// Warns of seconds that look like milliseconds.
pub(super) fn warn_of_milliseconds(about: &Property, time: Duration, problems: &mut Problems) {
    let number = time.as_secs();
    if number >= SUSPICIOUS_SECONDS {
        let what = format!("{number} is read as {number} seconds");
        let remedy = format!("write {} if you mean milliseconds", time.as_secs() / 1000);
        problems.warning(&about.place, printable(&about.key), what, remedy);
    }
}

/// `None` for a time that zero switches off.
pub(super) fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
