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

/// The target of a worker. What is wrong becomes an error, and the default stands in for it.
pub(super) fn target(settings: &mut Settings<'_>) -> Target {
    let tcp = Target::Tcp { host: host(settings), port: port(settings) };
    let Some(socket) = settings.find("socket") else { return tcp };
    for ignored in ["host", "port"] {
        if let Some(found) = settings.find(ignored) {
            let what = "has no effect beside socket, which is used";
            settings.warning(found, what, "remove it, or remove socket");
        }
    }
    unix(settings, socket).unwrap_or(tcp)
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

fn host(settings: &mut Settings<'_>) -> String {
    let Some(found) = settings.find("host") else { return DEFAULT_HOST.to_string() };
    match check_host(&found.value) {
        Ok(host) => host.to_string(),
        Err((what, remedy)) => {
            settings.error(found, what, &remedy);
            DEFAULT_HOST.to_string()
        }
    }
}

/// The host, or what is wrong with it and what would be right.
fn check_host(value: &[u8]) -> Result<&str, (String, String)> {
    if value.len() > MAX_NAME {
        let what = format!("the host has {} bytes, the limit is {MAX_NAME}", value.len());
        return Err((what, "use a shorter name, or the address".to_string()));
    }
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

fn port(settings: &mut Settings<'_>) -> u16 {
    let Some(number) = settings.number("port", &PORT) else { return DEFAULT_PORT };
    let Some(found) = settings.find("port") else { return DEFAULT_PORT };
    if number > 0 {
        return u16::try_from(number).unwrap_or_else(|_| {
            settings.error(found, format!("{number} is not {}", PORT.noun), PORT.remedy);
            DEFAULT_PORT
        });
    }
    // A target of a Unix socket needs no port.
    if settings.find("socket").is_none() {
        let what = format!("{number} means that the engine is never contacted, requests get 503");
        settings.warning(found, what, PORT.remedy);
    }
    0
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
        assert!(check_host(&[b'a'; 63]).is_ok());
        assert!(check_host(&[b'a'; 64]).is_err());
        assert!(check_host(b"\xff").is_err());
    }
}
