//! Where an engine listens: `host`, `port` and `socket`, checked.
#![forbid(unsafe_code)]

use super::{
    properties::Property,
    settings::{PORT, Settings},
    text::quoted,
    worker::{MAX_NAME, Target},
};

const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 8009;

/// Longest path that fits the system's address of a Unix socket, in bytes.
#[cfg(unix)]
const MAX_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// What a warning says of a target that cannot be one; C mod_jk starts with it.
const NEVER: &str =
    "the engine is never contacted, requests get 503, a member of a balancer is stopped";

/// The target of a worker.
pub(super) fn target(settings: &mut Settings<'_>) -> Target {
    let Some(socket) = settings.find("socket") else { return tcp(settings) };
    for ignored in ["host", "port"] {
        if let Some(found) = settings.find(ignored) {
            let what = "has no effect beside socket, which is used";
            settings.warning(found, what, "remove it, or remove socket");
        }
    }
    unix(settings, socket)
        .unwrap_or_else(|| Target::Tcp { host: DEFAULT_HOST.to_string(), port: DEFAULT_PORT })
}

fn tcp(settings: &mut Settings<'_>) -> Target {
    let (host, port) = (host(settings), port(settings));
    match (host, port) {
        (Ok(host), Ok(port)) => Target::Tcp { host, port },
        (Err(no_host), _) => no_host,
        (Ok(host), Err(why)) => Target::Never { host, why },
    }
}

#[cfg(unix)]
fn unix(settings: &mut Settings<'_>, socket: &Property) -> Option<Target> {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

    let path = &socket.value;
    if !path.starts_with(b"/") {
        let what = format!("{} is not an absolute path", quoted(path));
        settings.error(socket, what, "begin it with /, such as /run/ivy/ajp.sock");
        return None;
    }
    if path.len() > MAX_SOCKET_PATH {
        let what = format!("the path has {} bytes, the limit is {MAX_SOCKET_PATH}", path.len());
        settings.error(socket, what, "use a shorter path");
        return None;
    }
    Some(Target::Unix(PathBuf::from(OsStr::from_bytes(path))))
}

#[cfg(not(unix))]
fn unix(settings: &mut Settings<'_>, socket: &Property) -> Option<Target> {
    settings.error(socket, "this system has no Unix sockets", "use host and port");
    None
}

/// The host, or the target that is none.
fn host(settings: &mut Settings<'_>) -> Result<String, Target> {
    let Some(found) = settings.find("host") else { return Ok(DEFAULT_HOST.to_string()) };
    if found.value.len() > MAX_NAME {
        let what = format!("the host has {} bytes, the limit is {MAX_NAME}", found.value.len());
        settings.error(found, what, "use a shorter name, or the address");
        return Ok(DEFAULT_HOST.to_string());
    }
    check_host(&found.value).map(str::to_string).map_err(|(what, remedy)| {
        settings.warning(found, format!("{what}: {NEVER}"), &remedy);
        let host = String::from_utf8_lossy(&found.value).into_owned();
        Target::Never { host, why: format!("host {what}; {remedy}") }
    })
}

/// The host, or what is wrong with it and what would be right.
pub(super) fn check_host(value: &[u8]) -> Result<&str, (String, String)> {
    let remedy = || "use a host name or an address, such as localhost or ::1".to_string();
    let no_host = |why: &str| format!("{} {why}", quoted(value));
    let Ok(host) = std::str::from_utf8(value) else {
        return Err((no_host("is not UTF-8"), remedy()));
    };
    if host.starts_with('/') {
        let remedy = "use socket for the path of a Unix socket".to_string();
        return Err((no_host("is a path"), remedy));
    }
    if let Some(inside) = host.strip_prefix('[') {
        let (address, port) = inside.split_once(']').unwrap_or((inside, ""));
        let why = "has brackets around the address";
        return Err((no_host(why), split_remedy(address, port.trim_start_matches(':'))));
    }
    if let Some((name, port)) = host.split_once(':')
        && !port.contains(':')
    {
        return Err((no_host("has a port"), split_remedy(name, port)));
    }
    if host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err((no_host("has a blank or a control character"), remedy()));
    }
    Ok(host)
}

fn split_remedy(host: &str, port: &str) -> String {
    match port {
        "" => format!("write host={}", host.escape_debug()),
        port => format!("write host={} and port={}", host.escape_debug(), port.escape_debug()),
    }
}

/// The port, or why the engine is never contacted.
fn port(settings: &mut Settings<'_>) -> Result<u16, String> {
    let Some(number) = settings.number("port", &PORT) else { return Ok(DEFAULT_PORT) };
    let Some(found) = settings.find("port") else { return Ok(DEFAULT_PORT) };
    // C mod_jk tells by the whole number whether there is a port, and connects to its lower 16 bits.
    let [.., high, low] = number.max(0).to_be_bytes();
    let port = u16::from_be_bytes([high, low]);
    if port == 0 {
        settings.warning(found, format!("{number} is no port number: {NEVER}"), PORT.remedy);
        return Err(format!("port {number} is no port number; {}", PORT.remedy));
    }
    if i32::from(port) != number {
        let what = format!("{number} is read as {port}, its lower 16 bits");
        settings.warning(found, what, PORT.remedy);
    }
    Ok(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_and_addresses() {
        for host in ["localhost", "ivy-1.example", "127.0.0.1", "::1", "fe80::1%eth0", "münchen"] {
            assert_eq!(check_host(host.as_bytes()), Ok(host));
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_host() {
        for (host, expected) in [
            ("ivy:8010", "\"ivy:8010\" has a port; write host=ivy and port=8010"),
            ("ivy:", "\"ivy:\" has a port; write host=ivy"),
            ("[::1]", "\"[::1]\" has brackets around the address; write host=::1"),
            (
                "[::1]:8010",
                "\"[::1]:8010\" has brackets around the address; write host=::1 and port=8010",
            ),
            ("/run/ajp", "\"/run/ajp\" is a path; use socket for the path of a Unix socket"),
            (
                "a b",
                "\"a b\" has a blank or a control character; use a host name or an address, such \
                 as localhost or ::1",
            ),
        ] {
            let (what, remedy) = check_host(host.as_bytes()).unwrap_err();
            assert_eq!(format!("{what}; {remedy}"), expected);
        }
        assert!(check_host(b"\xff").is_err());
    }
}
