//! Moments as status pages write them.
#![forbid(unsafe_code)]

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A moment in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    year: i64,
    month: i64,
    day: i64,
    /// Seconds since midnight.
    second: i64,
    /// East of Greenwich, seconds.
    offset: i64,
}

impl Local {
    /// `unix`: seconds since 1970. `offset`: how far local time is ahead, seconds.
    pub fn new(unix: u64, offset: i32) -> Self {
        let offset = i64::from(offset);
        // Later than this no calendar reaches.
        let seconds = i64::try_from(unix).unwrap_or_default().min(DAY.saturating_mul(3_000_000));
        let local = seconds.saturating_add(offset);
        let (year, month, day) = date(local.div_euclid(DAY));
        Self { year, month, day, second: local.rem_euclid(DAY), offset }
    }

    fn clock(self) -> (i64, i64, i64) {
        (self.second / 3600, self.second / 60 % 60, self.second % 60)
    }

    /// `20261122135228`.
    pub fn digits(self) -> String {
        let (hour, minute, second) = self.clock();
        let Self { year, month, day, .. } = self;
        format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}")
    }

    /// `+0100`.
    pub fn zone(self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        let minutes = self.offset.abs() / 60;
        format!("{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }

    /// `2026-11-22 13:52:28 +0100`.
    pub fn words(self) -> String {
        let (hour, minute, second) = self.clock();
        let Self { year, month, day, .. } = self;
        let zone = self.zone();
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} {zone}")
    }

    /// `2026-11-22T13:52:28+01:00`.
    pub fn iso(self) -> String {
        let (hour, minute, second) = self.clock();
        let Self { year, month, day, .. } = self;
        let (hours, minutes) = (self.offset.abs() / 3600, self.offset.abs() / 60 % 60);
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}\
             {sign}{hours:02}:{minutes:02}"
        )
    }
}

/// Year, month and day of a day since 1970, by the Gregorian calendar: its years begin in March here,
/// so that the leap day is the last one.
fn date(day: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let since = day.saturating_add(719_468);
    let (era, in_era) = (since.div_euclid(ERA), since.rem_euclid(ERA));
    let leaps = in_era / 1460 - in_era / 36_524 + in_era / (ERA - 1);
    let year_in_era = (in_era - leaps) / 365;
    let in_year = in_era - (365 * year_in_era + year_in_era / 4 - year_in_era / 100);
    let march_month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era.saturating_mul(400) + year_in_era + i64::from(month <= 2);
    (year, month, day)
}

/// `2 h 5 min`: how long something has lasted, in the two largest units.
pub fn lasting(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, size) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count} {name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_calendar() {
        for (unix, offset, expected) in [
            (0, 0, "1970-01-01 00:00:00 +0000"),
            (1_795_355_548, 0, "2026-11-22 13:52:28 +0000"),
            (1_795_355_548, 3600, "2026-11-22 14:52:28 +0100"),
            (1_709_164_800, 0, "2024-02-29 00:00:00 +0000"),
            (1_709_164_800, -34_200, "2024-02-28 14:30:00 -0930"),
            (4_107_542_400, 0, "2100-03-01 00:00:00 +0000"),
            (951_782_399, 0, "2000-02-28 23:59:59 +0000"),
        ] {
            assert_eq!(Local::new(unix, offset).words(), expected);
        }
        assert_eq!(Local::new(1_795_355_548, 0).digits(), "20261122135228");
        assert_eq!(Local::new(1_795_355_548, -34_200).iso(), "2026-11-22T04:22:28-09:30");
        assert!(Local::new(u64::MAX, i32::MAX).words().len() > 10);
    }

    #[test]
    fn says_how_long() {
        for (seconds, expected) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3661, "1 h 1 min"),
            (3601, "1 h"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(lasting(seconds), expected);
        }
    }
}
