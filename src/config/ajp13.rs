//! One worker of type ajp13: its properties with the rules and defaults of [2.3].
#![forbid(unsafe_code)]

use std::time::Duration;

use super::{
    pings::Pings,
    properties::Property,
    settings::{BYTES, COUNT, Settings, unless_zero},
    target::target,
    text::quoted,
    value,
    worker::{
        Ajp13Config, ConnectOptions, MAX_NAME, PacketSize, RecoveryOptions, Secret, StatusList,
    },
};

/// Decided in spec/reliability.md 0; C mod_jk leaves it to the system.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_DNS_TTL: Duration = Duration::from_secs(60);
pub(super) const DEFAULT_RETRIES: u32 = 2;
pub(super) const DEFAULT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Idle connections that live longer than this, in seconds, meet engines that have closed them.
const LONG_IDLE: u64 = 60;

/// All that `recovery_options` can say.
const RECOVERY_BITS: u32 = 31;

/// Reads one worker. `threads` is how many connections a process can use, at least 1.
pub(super) fn worker(settings: &mut Settings<'_>, threads: usize) -> Ajp13Config {
    let packet_size = packet_size(settings);
    let socket_timeout = settings.seconds("socket_timeout").and_then(unless_zero);
    let pings = Pings::read(settings);
    let retries = settings.at_least("retries", 1, DEFAULT_RETRIES);
    let retry_interval = retry_interval(settings);
    let acquire_timeout = settings
        .milliseconds("connection_acquire_timeout")
        .unwrap_or(retry_interval.saturating_mul(retries));
    let pool_size = pool_size(settings, threads, acquire_timeout);
    Ajp13Config {
        name: settings.name.clone(),
        target: target(settings),
        secret: settings.find("secret").map(|found| Secret::new(&found.value)),
        packet_size,
        pool_size,
        pool_min_size: pool_min_size(settings, pool_size),
        pool_idle_timeout: pool_idle_timeout(settings, &pings),
        acquire_timeout,
        connect: ConnectOptions {
            socket_connect_timeout: match settings.milliseconds("socket_connect_timeout") {
                Some(time) => unless_zero(time),
                None => Some(socket_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT)),
            },
            keepalive: settings.switch("socket_keepalive", false),
            buffer: buffer(settings, packet_size),
            prefer_ipv6: settings.switch("prefer_ipv6", false),
            source: source(settings),
            dns_ttl: settings.long_seconds("dns_ttl").unwrap_or(DEFAULT_DNS_TTL),
        },
        socket_timeout,
        connect_ping: pings.connect,
        prepost_ping: pings.prepost,
        ping_interval: pings.interval,
        idle_ping: unless_zero(pings.timeout),
        reply_timeout: settings.milliseconds("reply_timeout").and_then(unless_zero),
        retries,
        retry_interval,
        recovery: recovery(settings),
        fail_on_status: fail_on_status(settings),
        busy_limit: positive(settings, "busy_limit"),
        max_inflight: positive(settings, "max_inflight"),
        health_check: settings.seconds("health_check_interval").and_then(unless_zero),
    }
}

/// The pause between attempts or rounds. A few milliseconds make sense here.
pub(super) fn retry_interval(settings: &mut Settings<'_>) -> Duration {
    settings.milliseconds_from("retry_interval", 10).unwrap_or(DEFAULT_RETRY_INTERVAL)
}

fn packet_size(settings: &mut Settings<'_>) -> PacketSize {
    let Some(asked) = settings.number("max_packet_size", &BYTES) else {
        return PacketSize::default();
    };
    let size = PacketSize::rounded(asked);
    if usize::try_from(asked).ok() != Some(size.bytes())
        && let Some(found) = settings.find("max_packet_size")
    {
        let what = format!("{asked} is rounded to {}", size.bytes());
        let remedy =
            "use a multiple of 1024 from 8192 to 65536, the same as packetSize of the engine";
        settings.warning(found, what, remedy);
    }
    size
}

fn pool_size(settings: &mut Settings<'_>, threads: usize, acquire_timeout: Duration) -> usize {
    // C mod_jk goes on to the old name when today's has no number from 0 up.
    for name in ["connection_pool_size", "cachesize"] {
        let Some(found) = settings.find(name) else { continue };
        let Some(asked) = settings.number(name, &COUNT) else { continue };
        let Ok(size) = usize::try_from(asked) else {
            let what = format!("{asked} is less than nothing, the default is used");
            settings.warning(found, what, "use at least 1, or remove the line");
            continue;
        };
        if size == 0 {
            let what = "a pool of 0 connections serves no request: all of them get 503";
            settings.warning(found, what, "use at least 1, or remove the line");
        } else if size < threads {
            let what = format!(
                "{size} connections for {threads} threads: when all are in use, further requests \
                 wait {} ms and get 503",
                acquire_timeout.as_millis()
            );
            let remedy = format!("use at least {threads}, or remove the line");
            settings.warning(found, what, &remedy);
        }
        return size;
    }
    threads
}

fn pool_min_size(settings: &mut Settings<'_>, pool_size: usize) -> usize {
    let default = pool_size.div_ceil(2);
    let Some(asked) = settings.number("connection_pool_minsize", &COUNT) else { return default };
    match usize::try_from(asked) {
        Ok(size) if size <= pool_size => size,
        // To C mod_jk a negative number is a huge one.
        _ => {
            if let Some(found) = settings.find("connection_pool_minsize") {
                let what = format!(
                    "{asked} is not from 0 to {pool_size}, the size of the pool: no idle \
                     connection is closed"
                );
                settings.warning(found, what, "use a smaller number, or remove the line");
            }
            pool_size
        }
    }
}

fn pool_idle_timeout(settings: &mut Settings<'_>, pings: &Pings) -> Option<Duration> {
    for name in ["connection_pool_timeout", "cache_timeout"] {
        let Some(time) = settings.seconds(name) else { continue };
        let Some(found) = settings.find(name) else { continue };
        // As with the size: a negative number is none.
        if settings.is_negative(name) {
            continue;
        }
        let seconds = time.as_secs();
        if seconds > LONG_IDLE && pings.interval.is_none() && pings.prepost.is_none() {
            let what = format!(
                "connections that are idle for up to {seconds} seconds are used again: where the \
                 engine closes them earlier, requests find them closed"
            );
            let remedy = format!(
                "set keepAliveTimeout of its connector to {seconds}000 or more, and ping_mode=P"
            );
            settings.warning(found, what, &remedy);
        }
        return unless_zero(time);
    }
    None
}

/// A number that 0 switches off.
pub(super) fn positive(settings: &mut Settings<'_>, property: &str) -> Option<u32> {
    let asked = settings.number(property, &COUNT)?;
    let Ok(number) = u32::try_from(asked) else {
        if let Some(found) = settings.find(property) {
            let what = format!("{asked} is less than nothing, 0 is used");
            settings.warning(found, what, COUNT.remedy);
        }
        return None;
    };
    (number > 0).then_some(number)
}

fn buffer(settings: &mut Settings<'_>, packet_size: PacketSize) -> Option<usize> {
    let asked = settings.number("socket_buffer", &BYTES)?;
    let found = settings.find("socket_buffer")?;
    let Ok(bytes) = usize::try_from(asked) else {
        let what = format!("{asked} is less than nothing, 0 is used");
        settings.warning(found, what, BYTES.remedy);
        return None;
    };
    if bytes == 0 {
        return None;
    }
    if bytes < packet_size.bytes() {
        let what = format!("{bytes} is raised to {}, the size of a packet", packet_size.bytes());
        settings.warning(found, what, "use at least that, or remove the line");
    }
    Some(bytes.max(packet_size.bytes()))
}

fn source(settings: &mut Settings<'_>) -> Option<String> {
    let found = settings.find("source")?;
    if found.value.len() > MAX_NAME {
        let what = format!("the address has {} bytes, the limit is {MAX_NAME}", found.value.len());
        settings.error(found, what, "use a shorter name, or the address");
        return None;
    }
    let Ok(source) = std::str::from_utf8(&found.value) else {
        let what = format!("{} is not UTF-8 and is not used", quoted(&found.value));
        settings.warning(found, what, "use an address of this host");
        return None;
    };
    Some(source.to_string())
}

fn recovery(settings: &mut Settings<'_>) -> RecoveryOptions {
    let Some(asked) = settings.number("recovery_options", &COUNT) else {
        return RecoveryOptions::default();
    };
    let bits = asked.cast_unsigned();
    if let Some(found) = settings.find("recovery_options") {
        if bits & !RECOVERY_BITS != 0 {
            let what = format!("{asked} has bits that mean nothing");
            settings.warning(found, what, "use a sum of 1, 2, 4, 8 and 16");
        }
        if bits & 24 == 24 {
            let what = format!(
                "{asked} has the bits 8 (HEAD) and 16 (GET); C mod_jk ignores 16 beside 8, here \
                 both count"
            );
            settings.warning(found, what, "take 16 out if GET must not be sent again");
        }
    }
    RecoveryOptions(Some(bits & RECOVERY_BITS))
}

fn fail_on_status(settings: &mut Settings<'_>) -> StatusList {
    let Some(found) = settings.find("fail_on_status") else { return StatusList::default() };
    let mut statuses: Vec<i32> = Vec::new();
    for item in value::list(&found.value) {
        if let Some(status) = status(settings, found, item, &statuses) {
            statuses.push(status);
        }
    }
    StatusList::new(statuses)
}

/// One item of the list; `None` for an item that could never match.
fn status(
    settings: &mut Settings<'_>,
    found: &Property,
    item: &[u8],
    earlier: &[i32],
) -> Option<i32> {
    let read = value::list_integer(item);
    let shown = quoted(item);
    let remedy = "list single statuses, such as 500 or -503";
    if !(100..=999).contains(&read.value.unsigned_abs()) {
        settings.warning(found, format!("{shown} is no status, it never matches"), remedy);
        return None;
    }
    if !read.is_clean {
        settings.warning(found, format!("{shown} is read as {}", read.value), remedy);
    }
    let status = read.value.unsigned_abs();
    if earlier.iter().any(|earlier| earlier.unsigned_abs() == status) {
        let what = format!("{} has no effect, {status} stands before it", read.value);
        settings.warning(found, what, "keep one of them");
        return None;
    }
    Some(read.value)
}

#[cfg(test)]
#[path = "ajp13_tests.rs"]
mod tests;
