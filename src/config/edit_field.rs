//! The settings that can be changed at run time, one by one: how each is written, and what it may
//! be (spec/mod_jk.md 7.4).
#![forbid(unsafe_code)]

use std::time::Duration;

use super::balancer::{ACTIVATIONS, BalancerConfig, LOCKS, METHODS, Member};
use super::edit::Key;
use super::settings::unless_zero;
use super::target::check_host;
use super::text::quoted;
use super::value::{boolean, integer};
use super::worker::{
    Ajp13Config, Label, MAX_NAME, PacketSize, RecoveryOptions, Target, WorkerConfig,
};

/// The text of a setting; `None` where there is no such setting.
pub(super) fn text(config: &WorkerConfig, member: Option<usize>, key: Key) -> Option<Vec<u8>> {
    match (config, member) {
        (WorkerConfig::Ajp13(config), None) => of_engine(config, key),
        (WorkerConfig::Balancer(config), None) => of_balancer(config, key),
        (WorkerConfig::Balancer(config), Some(place)) => {
            let member = config.members.get(place)?;
            of_member(member, key).or_else(|| of_engine(&member.worker, key))
        }
        _ => None,
    }
}

/// Changes a setting.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub(super) fn set(
    config: &mut WorkerConfig,
    member: Option<usize>,
    key: Key,
    text: &[u8],
) -> Result<(), String> {
    let is_set = match (config, member) {
        (WorkerConfig::Ajp13(config), None) => set_engine(config, key, text)?,
        (WorkerConfig::Balancer(config), None) => set_balancer(config, key, text)?,
        (WorkerConfig::Balancer(config), Some(place)) => match config.members.get_mut(place) {
            Some(member) => {
                set_member(member, key, text)? || set_engine(&mut member.worker, key, text)?
            }
            None => false,
        },
        _ => false,
    };
    if is_set { Ok(()) } else { Err("this worker has no such setting".to_owned()) }
}

fn of_balancer(config: &BalancerConfig, key: Key) -> Option<Vec<u8>> {
    Some(match key {
        Key::LbRetries => decimal(config.retries),
        Key::LbRetryInterval => milliseconds(config.retry_interval),
        Key::RecoverTime => seconds(config.recover_time),
        Key::ErrorEscalationTime => seconds(config.error_escalation_time),
        Key::MaxReplyTimeouts => config.max_reply_timeouts.map_or(b"-1".to_vec(), decimal),
        Key::StickySession => switch(config.sticky_session),
        Key::StickySessionForce => switch(config.sticky_session_force),
        Key::Method => word(&METHODS, config.method),
        Key::Lock => word(&LOCKS, config.lock),
        _ => return None,
    })
}

fn set_balancer(config: &mut BalancerConfig, key: Key, text: &[u8]) -> Result<bool, String> {
    match key {
        Key::LbRetries => config.retries = number(text, 1)?,
        Key::LbRetryInterval => config.retry_interval = from_milliseconds(text, 1)?,
        Key::RecoverTime => config.recover_time = from_seconds(text, 1)?,
        Key::ErrorEscalationTime => config.error_escalation_time = from_seconds(text, 1)?,
        Key::MaxReplyTimeouts => config.max_reply_timeouts = Some(number(text, 0)?),
        Key::StickySession => config.sticky_session = from_switch(text)?,
        Key::StickySessionForce => config.sticky_session_force = from_switch(text)?,
        Key::Method => config.method = from_word(&METHODS, text)?,
        Key::Lock => config.lock = from_word(&LOCKS, text)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn of_member(member: &Member, key: Key) -> Option<Vec<u8>> {
    Some(match key {
        Key::Activation => word(&ACTIVATIONS, member.activation),
        Key::Lbfactor => decimal(member.lbfactor),
        Key::Route => member.route.as_bytes().to_vec(),
        Key::Redirect => member.redirect.as_bytes().to_vec(),
        Key::Domain => member.domain.as_bytes().to_vec(),
        Key::Distance => decimal(member.distance),
        _ => return None,
    })
}

fn set_member(member: &mut Member, key: Key, text: &[u8]) -> Result<bool, String> {
    match key {
        Key::Activation => member.activation = from_word(&ACTIVATIONS, text)?,
        Key::Lbfactor => member.lbfactor = number(text, 1)?,
        Key::Route => {
            if text.is_empty() {
                return Err("a member needs a route; give it a name of its own".to_owned());
            }
            member.route = label(text)?;
        }
        Key::Redirect => member.redirect = label(text)?,
        Key::Domain => member.domain = label(text)?,
        Key::Distance => {
            member.distance = i32::try_from(number(text, 0)?).unwrap_or(i32::MAX);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn of_engine(config: &Ajp13Config, key: Key) -> Option<Vec<u8>> {
    let maybe = |time: Option<Duration>| milliseconds(time.unwrap_or_default());
    Some(match key {
        Key::Host => match &config.target {
            Target::Tcp { host, .. } | Target::Never { host, .. } => host.as_bytes().to_vec(),
            #[cfg(unix)]
            Target::Unix(path) => path.display().to_string().into_bytes(),
        },
        Key::Port => match &config.target {
            Target::Tcp { port, .. } => decimal(*port),
            _ => decimal(0),
        },
        Key::ConnectionPoolTimeout => seconds(config.pool_idle_timeout.unwrap_or_default()),
        Key::PingTimeout => maybe(config.idle_ping),
        Key::ConnectTimeout => maybe(config.connect_ping),
        Key::PrepostTimeout => maybe(config.prepost_ping),
        Key::ReplyTimeout => maybe(config.reply_timeout),
        Key::Retries => decimal(config.retries),
        Key::RetryInterval => milliseconds(config.retry_interval),
        Key::ConnectionPingInterval => seconds(config.ping_interval.unwrap_or_default()),
        Key::RecoveryOptions => decimal(config.recovery.0.unwrap_or_default()),
        Key::BusyLimit => decimal(config.busy_limit.unwrap_or_default()),
        Key::MaxPacketSize => decimal(config.packet_size.bytes()),
        _ => return None,
    })
}

fn set_engine(config: &mut Ajp13Config, key: Key, text: &[u8]) -> Result<bool, String> {
    let maybe = |text| from_milliseconds(text, 0).map(unless_zero);
    match key {
        Key::Host => set_host(&mut config.target, text)?,
        Key::Port => set_port(&mut config.target, text)?,
        Key::ConnectionPoolTimeout => {
            config.pool_idle_timeout = unless_zero(from_seconds(text, 0)?);
        }
        Key::PingTimeout => config.idle_ping = maybe(text)?,
        Key::ConnectTimeout => config.connect_ping = maybe(text)?,
        Key::PrepostTimeout => config.prepost_ping = maybe(text)?,
        Key::ReplyTimeout => config.reply_timeout = maybe(text)?,
        Key::Retries => config.retries = number(text, 1)?,
        Key::RetryInterval => config.retry_interval = from_milliseconds(text, 1)?,
        Key::ConnectionPingInterval => config.ping_interval = Some(from_seconds(text, 1)?),
        Key::RecoveryOptions => {
            let bits = number(text, 0)?;
            if bits > 31 {
                return Err(format!(
                    "{bits} has bits that mean nothing; use a sum of 1, 2, 4, 8, 16"
                ));
            }
            config.recovery = RecoveryOptions(Some(bits));
        }
        Key::BusyLimit => config.busy_limit = Some(number(text, 0)?).filter(|limit| *limit > 0),
        Key::MaxPacketSize => {
            let asked = number(text, 0)?;
            let largest = PacketSize::MAX.bytes();
            if usize::try_from(asked).is_ok_and(|asked| asked > largest) {
                return Err(format!("{asked} is more than {largest}, which AJP13 can carry"));
            }
            config.packet_size = PacketSize::rounded(i32::try_from(asked).unwrap_or(i32::MAX));
            let least = config.packet_size.bytes();
            config.connect.buffer = config.connect.buffer.map(|buffer| buffer.max(least));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_host(target: &mut Target, text: &[u8]) -> Result<(), String> {
    if text.is_empty() || text.len() > MAX_NAME {
        return Err(format!("a host has 1 to {MAX_NAME} bytes"));
    }
    let host = check_host(text).map_err(|(what, remedy)| format!("{what}; {remedy}"))?;
    let port = match target {
        Target::Tcp { port, .. } => *port,
        // Until a port comes along.
        Target::Never { .. } => 0,
        #[cfg(unix)]
        Target::Unix(_) => return Err(SOCKET.to_owned()),
    };
    *target = Target::Tcp { host: host.to_owned(), port };
    Ok(())
}

fn set_port(target: &mut Target, text: &[u8]) -> Result<(), String> {
    let new = u16::try_from(number(text, 1)?).map_err(|_| "use a number from 1 to 65535")?;
    match target {
        Target::Tcp { port, .. } => *port = new,
        Target::Never { host, .. } => {
            let host = check_host(host.as_bytes());
            let host = host.map_err(|_| "the file has no usable host; set host as well")?;
            *target = Target::Tcp { host: host.to_owned(), port: new };
        }
        #[cfg(unix)]
        Target::Unix(_) => return Err(SOCKET.to_owned()),
    }
    Ok(())
}

#[cfg(unix)]
const SOCKET: &str = "the worker uses a Unix socket, which cannot be changed at run time";

fn decimal(number: impl ToString) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn milliseconds(time: Duration) -> Vec<u8> {
    decimal(time.as_millis())
}

fn seconds(time: Duration) -> Vec<u8> {
    decimal(time.as_secs())
}

fn switch(on: bool) -> Vec<u8> {
    decimal(on)
}

fn word<T: PartialEq>(words: &[(&str, T)], value: T) -> Vec<u8> {
    let found = words.iter().find(|(_, known)| *known == value);
    found.map(|(word, _)| word.as_bytes().to_vec()).unwrap_or_default()
}

/// A number of at least `least`.
fn number(text: &[u8], least: u32) -> Result<u32, String> {
    let wrong = || format!("{} is not a whole number of at least {least}", quoted(text));
    let read = integer(text).filter(|read| read.is_clean).ok_or_else(wrong)?;
    u32::try_from(read.value).ok().filter(|number| *number >= least).ok_or_else(wrong)
}

fn from_milliseconds(text: &[u8], least: u32) -> Result<Duration, String> {
    Ok(Duration::from_millis(number(text, least)?.into()))
}

fn from_seconds(text: &[u8], least: u32) -> Result<Duration, String> {
    Ok(Duration::from_secs(number(text, least)?.into()))
}

fn from_switch(text: &[u8]) -> Result<bool, String> {
    boolean(text).ok_or_else(|| format!("{} is neither on nor off", quoted(text)))
}

fn label(text: &[u8]) -> Result<Label, String> {
    Label::new(text)
        .map_err(|length| format!("the name has {length} bytes, the limit is {MAX_NAME}"))
}

/// A word by its first letter, or by its number, as in a file.
fn from_word<T: Copy>(words: &[(&str, T)], text: &[u8]) -> Result<T, String> {
    let first = text.first().copied().unwrap_or_default();
    let is_first = |word: &str| word.bytes().next().is_some_and(|b| b.eq_ignore_ascii_case(&first));
    let by_letter = words.iter().find(|(word, _)| is_first(word));
    let place = char::from(first).to_digit(10).and_then(|digit| usize::try_from(digit).ok());
    let found = by_letter.or_else(|| words.get(place?));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("{} is none of {}", quoted(text), all.join(", "))
    })
}
