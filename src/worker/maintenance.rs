//! What keeps the idle connections of a worker in order (spec/mod_jk.md 5.2), and when it is time
//! for that.
#![forbid(unsafe_code)]

use std::sync::TryLockError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::ajp13::Worker;
use super::endpoint::Connection;
use super::error::PingError;
use crate::config::Ajp13Config;
use crate::jk_log;
use crate::log::{Level, Log};
use crate::net::{Connector, IdleState};

/// Decides which thread of a process runs maintenance: of all that ask, one per interval.
#[derive(Debug)]
pub struct Schedule {
    start: Instant,
    interval: Duration,
    /// Milliseconds after `start`.
    next: AtomicU64,
}

impl Schedule {
    /// The first run is due one `interval` after `now` (`worker.maintain`); zero: never.
    pub fn new(now: Instant, interval: Duration) -> Self {
        Self { start: now, interval, next: AtomicU64::new(milliseconds(interval)) }
    }

    /// Whether the caller is to run maintenance now. True for one caller per interval.
    pub fn is_due(&self, now: Instant) -> bool {
        let elapsed = milliseconds(now.saturating_duration_since(self.start));
        let next = self.next.load(Ordering::Relaxed);
        if self.interval.is_zero() || elapsed < next {
            return false;
        }
        let after = elapsed.saturating_add(milliseconds(self.interval).max(1));
        self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Worker {
    /// Looks after the idle connections: closes those that are of no use or have been idle for
    /// longer than `connection_pool_timeout`, and pings those that nobody has looked at for longer
    /// than `connection_ping_interval`. Requests are served meanwhile; does nothing while another
    /// thread is still at it.
    pub fn maintain(&self, now: Instant, log: &impl Log) {
        let _alone = match self.upkeep.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(left_behind)) => left_behind.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        for (connection, found) in self.pool().take_unusable() {
            let (level, text) = match found {
                IdleState::UnexpectedBytes => {
                    (Level::Error, "unexpected_bytes: the engine sent something unasked on")
                }
                _ => (Level::Debug, "stale_conn: the engine has closed"),
            };
            self.log_idle(log, level, format_args!("{text} an idle connection"), &connection, now);
        }
        if let Some(limit) = self.config().pool_idle_timeout {
            for connection in self.pool().take_expired(now, limit, self.keep_open()) {
                let text = format_args!(
                    "idle_closed: an idle connection is closed after connection_pool_timeout"
                );
                self.log_idle(log, Level::Debug, text, &connection, now);
            }
        }
        let (interval, timeout) = (self.config().ping_interval, self.config().idle_ping);
        if let (Some(interval), Some(timeout)) = (interval, timeout) {
            self.ping_idle(now, interval, timeout, log);
        }
    }

    /// Asks the resolver again for the names whose addresses are older than `dns_ttl`. Takes as long
    /// as the resolver does: it is for a thread that serves no requests.
    pub fn renew_names(&self, log: &impl Log) {
        let Ajp13Config { target, connect, name, .. } = self.config();
        let connector = Connector { target, options: connect, names: &self.names };
        connector.renew_names(&mut |notice| {
            jk_log!(*log, Level::Warn, "({name}) {}: {notice}", notice.event());
        });
    }

    /// Connections that idle closing leaves open. As in C mod_jk it can always close one, so that
    /// a pool of one, which every process of prefork has, does not keep it for ever.
    fn keep_open(&self) -> usize {
        let config = self.config();
        config.pool_min_size.min(config.pool_size.saturating_sub(1))
    }

    fn ping_idle(&self, now: Instant, interval: Duration, timeout: Duration, log: &impl Log) {
        while let Some(mut slot) = self.pool().take_unchecked(now, interval) {
            let Some(mut connection) = slot.take() else {
                return;
            };
            match connection.ping_unless(timeout, || self.pool().is_wanted()) {
                Ok(()) => slot.put_back(connection, now),
                Err(e) => {
                    let level = match e {
                        PingError::GaveWay => Level::Debug,
                        _ => Level::Warn,
                    };
                    let text = format_args!("{}: an idle connection is closed: {e}", e.event());
                    self.log_idle(log, level, text, &connection, now);
                    // Closed before its slot is free.
                    drop(connection);
                    // An engine that hangs would take the time of every idle connection; the next
                    // run goes on.
                    if matches!(e, PingError::Timeout(_)) {
                        return;
                    }
                }
            }
        }
    }

    fn log_idle(
        &self,
        log: &impl Log,
        level: Level,
        text: std::fmt::Arguments<'_>,
        connection: &Connection,
        now: Instant,
    ) {
        jk_log!(
            *log,
            level,
            "({}) {text}; peer={} conn={}/{} idle={:?}",
            self.config().name,
            self.peer(),
            connection.id,
            connection.carried,
            connection.idle_time(now)
        );
    }
}

#[cfg(test)]
#[path = "maintenance_tests.rs"]
mod tests;
