//! The properties of one worker, read by type, with a warning for each that is not what it says.
//!
//! A file that C mod_jk loads has to load here. So a value that makes no sense gets the meaning that
//! C mod_jk gives it, and a warning that says which.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    error::Problems,
    properties::{Properties, Property},
    text::{printable, quoted},
    value,
    worker::WorkerName,
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
        let found = self.find(property)?;
        let shown = quoted(&found.value);
        let Some(read) = value::integer(&found.value) else {
            let what = format!("{shown} is not {}, the default is used", unit.noun);
            self.warning(found, what, unit.remedy);
            return None;
        };
        if !read.is_clean {
            let what = format!("{shown} is not {}, it is read as {}", unit.noun, read.value);
            self.warning(found, what, unit.remedy);
        }
        Some(read.value)
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

    /// A time; `Some(ZERO)` when it is zero or negative, `None` when there is none. `unit` is
    /// [`MILLISECONDS`] or [`SECONDS`], `one` the length of one.
    pub(super) fn time(&mut self, property: &str, unit: &Unit, one: Duration) -> Option<Duration> {
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

    /// A time in milliseconds; as [`Settings::time`].
    pub(super) fn milliseconds(&mut self, property: &str) -> Option<Duration> {
        self.time(property, &MILLISECONDS, Duration::from_millis(1))
    }

    /// A time in seconds; as [`Settings::time`].
    pub(super) fn seconds(&mut self, property: &str) -> Option<Duration> {
        self.time(property, &SECONDS, Duration::from_secs(1))
    }
}

/// `None` for a time that zero switches off.
pub(super) fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
