//! What an administrator is told unasked: how many connections there may be, and that clients or
//! engines do what this configuration cannot serve well (spec/reliability.md 4). At most once a minute
//! in each process.

use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ffi;
use super::pool::int;
use super::request::Record;
use super::server::{Runtime, unix_time};
use crate::config::{Ajp13Config, WorkerConfig, WorkerName};
use crate::jk_log;
use crate::log::{Level, Log};
use crate::worker::balancer::Balancer;

/// Seconds between two lines of a sort.
const QUIET: u64 = 60;

/// Bytes of a foreign route that are shown.
const ROUTE: usize = 64;

/// Engines that are named in a line.
const NAMED: usize = 10;

const UPGRADE: &CStr = c"Upgrade";

/// When a line of each sort was written last.
#[derive(Debug, Default)]
pub(super) struct Notices {
    websocket: Minute,
    foreign_route: Minute,
}

/// When something happened last, seconds since 1970.
#[derive(Debug, Default)]
struct Minute(AtomicU64);

impl Minute {
    /// Whether it is time again; then it counts as done.
    fn is_due(&self, now: u64) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        let is_due = last == 0 || last > now || now.saturating_sub(last) >= QUIET;
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        is_due && self.0.compare_exchange(last, now.max(1), set, seen).is_ok()
    }
}

impl Notices {
    /// A client that asks for a WebSocket.
    pub(super) fn websocket(&self, record: &Record<'_>, runtime: &Runtime, worker: &WorkerName) {
        let is_asked = |value: &[u8]| {
            value.split(|b| *b == b',').any(|v| v.trim_ascii().eq_ignore_ascii_case(b"websocket"))
        };
        if record.headers_in().get(UPGRADE).is_some_and(is_asked)
            && self.websocket.is_due(unix_time())
        {
            jk_log!(
                record.sink(runtime),
                Level::Warn,
                "({worker}) websocket: the client asks for a WebSocket, which AJP13 cannot carry: \
                 give this path to mod_proxy_http; path={}",
                record.uri().get(..200).unwrap_or(record.uri()).escape_ascii()
            );
        }
    }

    /// An engine that opens a session which no later request will find.
    pub(super) fn session(
        &self,
        record: &Record<'_>,
        runtime: &Runtime,
        balancer: &Balancer,
        session_cookie: Option<&[u8]>,
    ) {
        let is_cookie = |name: &[u8]| name.eq_ignore_ascii_case(b"set-cookie");
        let tables = [record.headers_out(), record.err_headers_out()];
        let cookies = tables.iter().flat_map(|table| table.entries());
        let cookies = cookies.filter(|(name, _)| is_cookie(name)).map(|(_, value)| value);
        let Some(route) = balancer.foreign_route(cookies, session_cookie) else { return };
        if !self.foreign_route.is_due(unix_time()) {
            return;
        }
        let shown = route.get(..ROUTE).unwrap_or(route).escape_ascii();
        jk_log!(
            record.sink(runtime),
            Level::Warn,
            "({}) foreign_route: an engine opens sessions whose route no member has, so that their \
             requests may go to any engine; the jvmRoute of each engine must be the route of its \
             member; route={shown}",
            balancer.config().name
        );
    }
}

/// How many connections all processes may open to each engine at start.
pub(super) fn capacity(log: &impl Log, workers: &[WorkerConfig]) {
    let mut processes = 1;
    // SAFETY: writes one int into a variable of ours.
    unsafe { ffi::ap_mpm_query(int(ffi::AP_MPMQ_MAX_DAEMONS), &raw mut processes) };
    let processes = usize::try_from(processes).unwrap_or(1).max(1);
    let mut engines: Vec<&Ajp13Config> = Vec::new();
    for worker in workers {
        match worker {
            WorkerConfig::Ajp13(config) => engines.push(config),
            WorkerConfig::Balancer(balancer) => {
                engines.extend(balancer.members.iter().map(|member| &member.worker));
            }
            WorkerConfig::Status(_) => {}
        }
    }
    engines.sort_by_key(|config| config.pool_size);
    for alike in engines.chunk_by(|a, b| a.pool_size == b.pool_size) {
        let Some(size) = alike.first().map(|config| config.pool_size) else { continue };
        let mut names: Vec<String> = Vec::new();
        for config in alike {
            let name = config.name.to_string();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = if more > 0 { format!(",+{more}") } else { String::new() };
        jk_log!(
            *log,
            Level::Info,
            "capacity: this httpd opens up to {} connections to an engine, {size} in each of \
             {processes} processes; maxConnections and maxThreads of its connector must allow those \
             of all web servers; engines={}{more}",
            size.saturating_mul(processes),
            names.join(",")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_minute() {
        let minute = Minute::default();
        assert!(minute.is_due(1_000));
        assert!(!minute.is_due(1_059));
        assert!(minute.is_due(1_060));
        // The clock was set back.
        assert!(minute.is_due(500));
    }
}
