//! The value types of [2.2], read exactly as leniently as C mod_jk reads them.
#![forbid(unsafe_code)]

/// What a text means as an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integer {
    /// The number, multiplied by 1024 or 1048576 when `k` or `m` follows it directly.
    pub value: i32,
    /// Whether the number is all there is. Otherwise something follows that C mod_jk ignores.
    pub is_clean: bool,
}

/// Reads an integer as C mod_jk 1.2.48 does: sign and decimal digits, times 1024 or 1048576 where
/// the last character is `k` or `m` in either case; 0 where no digit is at the beginning. `None`,
/// which means the default, when the number does not fit 32 bits.
pub fn integer(text: &[u8]) -> Option<Integer> {
    let (factor, text) = match text {
        [before @ .., b'k' | b'K'] => (1024, before),
        [before @ .., b'm' | b'M'] => (1024 * 1024, before),
        _ => (1, text),
    };
    let (number, is_clean) = digits(text)?;
    let value = i32::try_from(number.checked_mul(factor)?).ok()?;
    Some(Integer { value, is_clean })
}

/// Reads an item of a list of integers: as [`integer`], but without `k` and `m`, and 0 where
/// nothing can be read.
pub fn list_integer(text: &[u8]) -> Integer {
    let read = digits(text).and_then(|(number, is_clean)| {
        Some(Integer { value: i32::try_from(number).ok()?, is_clean })
    });
    read.unwrap_or(Integer { value: 0, is_clean: false })
}

/// The number that a text begins with, 0 where it begins with none, and whether it is all there is.
/// `None` where it is too large.
fn digits(text: &[u8]) -> Option<(i64, bool)> {
    let (sign, unsigned) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    let mut rest = unsigned;
    let mut number: i64 = 0;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.checked_mul(10)?.checked_add(i64::from(digit.saturating_sub(b'0')))?;
        rest = after;
    }
    let is_clean = rest.is_empty() && !unsigned.is_empty();
    Some((number.checked_mul(sign)?, is_clean))
}

/// Reads a switch; `None`, which means the default, when it is neither.
pub fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"0" => Some(false),
        b"1" => Some(true),
        [b'F' | b'f' | b'N' | b'n', ..] => Some(false),
        [b'T' | b't' | b'Y' | b'y', ..] => Some(true),
        _ if text.eq_ignore_ascii_case(b"off") => Some(false),
        _ if text.eq_ignore_ascii_case(b"on") => Some(true),
        _ => None,
    }
}

/// Splits a list at blanks, tabs and commas. No item is empty.
pub fn list(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| matches!(byte, b' ' | b'\t' | b',')).filter(|item| !item.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_integers_as_strtol_and_the_suffixes_do() {
        for (text, expected) in [
            ("0", Some((0, true))),
            ("+7", Some((7, true))),
            ("-12", Some((-12, true))),
            ("8k", Some((8192, true))),
            ("2M", Some((2_097_152, true))),
            ("80x9", Some((80, false))),
            ("1*2", Some((1, false))),
            ("8kb", Some((8, false))),
            ("8 k", Some((8192, false))),
            ("80x9m", Some((80 * 1024 * 1024, false))),
            ("0x10", Some((0, false))),
            ("2147483647", Some((i32::MAX, true))),
            ("-2147483648", Some((i32::MIN, true))),
            ("2147483648", None),
            ("2097152k", None),
            ("99999999999999999999999", None),
            ("", Some((0, false))),
            ("abc", Some((0, false))),
            ("-", Some((0, false))),
            ("--1", Some((0, false))),
            ("k", Some((0, false))),
        ] {
            let read = integer(text.as_bytes()).map(|read| (read.value, read.is_clean));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn reads_items_of_lists_without_suffixes() {
        for (text, expected) in [
            ("500", (500, true)),
            ("-503", (-503, true)),
            ("5xx", (5, false)),
            ("1k", (1, false)),
            ("abc", (0, false)),
            ("99999999999", (0, false)),
        ] {
            let read = list_integer(text.as_bytes());
            assert_eq!((read.value, read.is_clean), expected, "{text}");
        }
    }

    #[test]
    fn reads_switches() {
        for text in ["off", "OFF", "f", "False", "no", "Nein", "0"] {
            assert_eq!(boolean(text.as_bytes()), Some(false), "{text}");
        }
        for text in ["on", "On", "t", "True", "yes", "Yo", "1"] {
            assert_eq!(boolean(text.as_bytes()), Some(true), "{text}");
        }
        for text in ["", "00", "10", "offf", "enabled", "ja"] {
            assert_eq!(boolean(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn splits_lists() {
        let items: Vec<&[u8]> = list(b", a,b\tc ,, d").collect();
        assert_eq!(items, [b"a", b"b", b"c", b"d"]);
        assert_eq!(list(b" ,\t").count(), 0);
    }

    proptest! {
        #[test]
        fn every_32_bit_number_is_read(number: i32, tail in "[^0-9kKmM]?") {
            let read = integer(format!("{number}{tail}").as_bytes());
            prop_assert_eq!(read, Some(Integer { value: number, is_clean: tail.is_empty() }));
        }
    }
}
