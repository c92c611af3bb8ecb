//! JkLogStampFormat: what a log line begins with (spec/mod_jk.md 1.1).

use std::ffi::CString;
use std::io::Write;

use super::ffi;

/// Longest format once its fraction of a second is filled in, bytes.
const LONGEST: usize = 63;

/// A part of the format that strftime does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fraction {
    /// `%Q`: 3 digits.
    Milliseconds,
    /// `%q`: 6 digits.
    Microseconds,
}

/// How log lines are stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    before: Vec<u8>,
    fraction: Option<Fraction>,
    after: Vec<u8>,
}

impl Default for Stamp {
    fn default() -> Self {
        Self::new(b"[%a %b %d %H:%M:%S.%Q %Y] ").0
    }
}

impl Stamp {
    /// Compiles a format; the flag tells whether all of it is used. C mod_jk fills in the first
    /// `%Q`, else the first `%q`, and cuts such a format after 63 characters.
    pub(super) fn new(format: &[u8]) -> (Self, bool) {
        let find = |what: &[u8]| format.windows(2).position(|pair| pair == what);
        let found = find(b"%Q")
            .map(|at| (at, Fraction::Milliseconds, 3))
            .or_else(|| find(b"%q").map(|at| (at, Fraction::Microseconds, 6)));
        let whole = |fraction| Self { before: format.to_vec(), fraction, after: Vec::new() };
        let Some((at, fraction, digits)) = found else {
            return (whole(None), true);
        };
        if at.saturating_add(digits) > LONGEST {
            return (whole(None), false);
        }
        let (before, after) = format.split_at_checked(at).unwrap_or((format, &[]));
        let after = after.get(2..).unwrap_or_default();
        let room = LONGEST.saturating_sub(at).saturating_sub(digits);
        let kept = after.get(..room).unwrap_or(after);
        let stamp =
            Self { before: before.to_vec(), fraction: Some(fraction), after: kept.to_vec() };
        (stamp, kept.len() == after.len())
    }

    /// The stamp for now.
    pub(super) fn now(&self) -> Vec<u8> {
        let mut parts = ffi::apr_time_exp_t::default();
        // SAFETY: takes no arguments, reads a clock.
        let now = unsafe { ffi::apr_time_now() };
        // SAFETY: writes into a record of ours.
        unsafe { ffi::apr_time_exp_lt(&raw mut parts, now) };
        let format = CString::new(self.filled(parts.tm_usec)).unwrap_or_default();
        let mut text = [0u8; 256];
        let mut length = 0;
        // SAFETY: writes at most as many bytes as the buffer has, and their number.
        let status = unsafe {
            ffi::apr_strftime(
                text.as_mut_ptr().cast(),
                &raw mut length,
                text.len(),
                format.as_ptr(),
                &raw mut parts,
            )
        };
        let length = if status == 0 { length } else { 0 };
        text.get(..length).unwrap_or_default().to_vec()
    }

    fn filled(&self, micros: i32) -> Vec<u8> {
        let mut format = self.before.clone();
        // Writing into a Vec cannot fail.
        let _ = match self.fraction {
            None => Ok(()),
            Some(Fraction::Milliseconds) => write!(format, "{:03}", micros / 1000),
            Some(Fraction::Microseconds) => write!(format, "{micros:06}"),
        };
        format.extend_from_slice(&self.after);
        format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(format: &str) -> (String, bool) {
        let (stamp, whole) = Stamp::new(format.as_bytes());
        (String::from_utf8(stamp.filled(7_089)).unwrap(), whole)
    }

    #[test]
    fn the_first_fraction_is_filled_in() {
        assert_eq!(filled("[%S.%Q %q %Q] "), ("[%S.007 %q %Q] ".to_owned(), true));
        assert_eq!(filled("[%S.%q] %q"), ("[%S.007089] %q".to_owned(), true));
        assert_eq!(filled("%H:%M "), ("%H:%M ".to_owned(), true));
    }

    #[test]
    fn a_long_format_is_cut() {
        let long = format!("%Q{}", "x".repeat(70));
        assert_eq!(filled(&long), (format!("007{}", "x".repeat(60)), false));
        let late = format!("{}%Q", "x".repeat(61));
        assert_eq!(filled(&late), (late.clone(), false));
        let endless = "x".repeat(200);
        assert_eq!(filled(&endless), (endless.clone(), true));
    }
}
