//! When an engine is pinged: `ping_mode`, `ping_timeout` and the times that they stand in for [2.3].
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    properties::Property,
    settings::{Settings, unless_zero},
    text::quoted,
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// When a connection is pinged, and how long the engine may take to answer.
pub(super) struct Pings {
    /// After connecting: the time to answer.
    pub(super) connect: Option<Duration>,
    /// Before each request: the time to answer.
    pub(super) prepost: Option<Duration>,
    /// The idle time after which a connection is pinged.
    pub(super) interval: Option<Duration>,
    /// The time to answer such a ping.
    pub(super) timeout: Duration,
}

impl Pings {
    pub(super) fn read(settings: &mut Settings<'_>) -> Pings {
        let timeout = settings.milliseconds("ping_timeout").unwrap_or(DEFAULT_TIMEOUT);
        let mode = settings.find("ping_mode");
        if let Some(mode) = mode {
            check_mode(settings, mode);
        }
        let has = |letter: u8| mode.is_some_and(|mode| has(mode, &[letter, b'A']));
        // C mod_jk divides milliseconds by 100 and takes the result for seconds: ten times as long.
        let tenfold =
            Duration::from_secs(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) / 100);
        let pings = Pings {
            connect: ping(settings.milliseconds("connect_timeout"), has(b'C'), timeout)
                .filter(|_| !settings.is_negative("connect_timeout")),
            prepost: ping(settings.milliseconds("prepost_timeout"), has(b'P'), timeout)
                .filter(|_| !settings.is_negative("prepost_timeout")),
            interval: ping(settings.seconds("connection_ping_interval"), has(b'I'), tenfold)
                .filter(|_| !settings.is_negative("connection_ping_interval")),
            timeout,
        };
        if pings.interval.is_some()
            && timeout.is_zero()
            && let Some(found) = settings.find("ping_timeout")
        {
            let what = "no time to answer: idle connections are not pinged";
            settings.warning(found, what, "write 10000 for ten seconds");
        }
        pings
    }
}

/// What is set, else what the mode switches on. As in C mod_jk a time of 0 cannot switch off what the
/// mode switches on; a negative one can.
fn ping(explicit: Option<Duration>, is_on: bool, by_mode: Duration) -> Option<Duration> {
    explicit.and_then(unless_zero).or_else(|| is_on.then_some(by_mode).and_then(unless_zero))
}

/// Whether a mode has one of these upper case letters, in either case.
fn has(mode: &Property, letters: &[u8]) -> bool {
    mode.value.iter().any(|letter| letters.contains(&letter.to_ascii_uppercase()))
}

fn check_mode(settings: &mut Settings<'_>, mode: &Property) {
    if mode.value.iter().all(|letter| b"CPIA".contains(&letter.to_ascii_uppercase())) {
        return;
    }
    let what = format!("{} has letters that mean nothing", quoted(&mode.value));
    let remedy = "use C (ping after connecting), P (before each request), I (while idle) or A \
                  (all of them)";
    settings.warning(mode, what, remedy);
}
