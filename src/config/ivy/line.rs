//! One JkIvyEngine line: the keys behind the engine's path.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use crate::config::{
    error::{Place, Problems},
    text::{printable, quoted, suggestion},
    worker::WorkerName,
};

/// The worker of an engine that is given no name.
pub const DEFAULT_WORKER: &[u8] = b"AxonIvyEngine";

const DIRECTIVE: &str = "JkIvyEngine";

/// The keys, in the order in which a message lists them.
const KEYS: [&str; 8] =
    ["worker", "context", "host", "port", "socket", "system", "deny", "redirect"];

/// What a JkIvyEngine line says beside the engine's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineLine {
    /// The line of the directive.
    pub place: Place,
    /// The engine's folder or its ivy.yaml.
    pub path: PathBuf,
    /// `worker=`.
    pub worker: WorkerName,
    /// `context=`, without slashes at its ends; empty: the whole site.
    pub context: Option<Vec<u8>>,
    /// `host=`.
    pub host: Option<Vec<u8>>,
    /// `port=`.
    pub port: Option<u16>,
    /// `socket=`.
    pub socket: Option<Vec<u8>>,
    /// `system=allow`.
    pub allows_system: bool,
    /// `deny=`, each without a slash at its end.
    pub denied: Vec<Vec<u8>>,
    /// `redirect=on`.
    pub redirects: bool,
}

impl EngineLine {
    /// Reads the words behind the path. What is wrong becomes an error.
    pub fn parse(
        path: PathBuf,
        words: &[Vec<u8>],
        place: &Place,
        problems: &mut Problems,
    ) -> Option<EngineLine> {
        let mut line = EngineLine {
            place: place.clone(),
            path,
            worker: WorkerName::new(DEFAULT_WORKER).ok()?,
            context: None,
            host: None,
            port: None,
            socket: None,
            allows_system: false,
            denied: Vec::new(),
            redirects: false,
        };
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut may_be_secret = false;
        for word in words {
            let follows_secret = std::mem::replace(&mut may_be_secret, is_secret(word));
            let Some(at) = word.iter().position(|byte| *byte == b'=') else {
                let what = match follows_secret {
                    true => "the word behind secret is no key=value".to_string(),
                    false => format!("{} is no key=value", quoted(word)),
                };
                let remedy = "put a path or a value with blanks in quotes, such as \"/opt/my ivy\" \
                              or \"socket=/run/my ivy/ajp.sock\"";
                problems.error(place, DIRECTIVE, what, remedy);
                continue;
            };
            let (key, value) = (word.get(..at).unwrap_or_default(), word.get(at..));
            let value = value.and_then(|value| value.get(1..)).unwrap_or_default();
            if key != b"deny" && seen.contains(&key) {
                let what = format!("{}= is there twice", printable(key));
                problems.error(place, DIRECTIVE, what, "keep one of them");
            }
            seen.push(key);
            if let Err((what, remedy)) = line.set(key, value) {
                problems.error(place, DIRECTIVE, what, remedy);
            }
        }
        Some(line)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), (String, String)> {
        let wrong = |what: String, remedy: &str| Err((what, remedy.to_string()));
        if !KEYS.iter().any(|known| known.as_bytes() == key) {
            return Err(unknown(key));
        }
        if value.is_empty() {
            let what = format!("{}= has no value", printable(key));
            return wrong(what, "write one, or remove the key");
        }
        match key {
            b"worker" => match WorkerName::new(value) {
                Ok(name) => self.worker = name,
                Err(e) => {
                    let what = format!("worker={}: {e}", printable(value));
                    return wrong(what, "use letters, digits, - and _");
                }
            },
            b"context" => self.context = Some(context(value).map_err(described("context="))?),
            b"host" => self.host = Some(without_brackets(value).to_vec()),
            b"port" => {
                let port = std::str::from_utf8(value).ok().and_then(port);
                let Some(port) = port else {
                    let what = format!("port={} is no port number", printable(value));
                    return wrong(what, "use a number from 1 to 65535");
                };
                self.port = Some(port);
            }
            b"socket" => self.socket = Some(value.to_vec()),
            b"system" => {
                self.allows_system = switch(key, value, "allow", "deny")?;
            }
            b"redirect" => {
                self.redirects = switch(key, value, "on", "off")?;
            }
            _ => self.denied.push(denied(value)?),
        }
        Ok(())
    }
}

/// Whether a word, but for an = at its end, means the secret of the connector.
fn is_secret(word: &[u8]) -> bool {
    word.strip_suffix(b"=").unwrap_or(word).eq_ignore_ascii_case(b"secret")
}

fn unknown(key: &[u8]) -> (String, String) {
    let what = format!("there is no key {}=", printable(key));
    if is_secret(key) {
        let remedy = "set Connector.AJP.Secret in ivy.yaml, or worker.NAME.secret in \
                      workers.properties";
        return (what, remedy.to_string());
    }
    let remedy = match suggestion(key, KEYS) {
        Some(near) => format!("did you mean {near}=?"),
        None => format!("the keys are {}", KEYS.join(", ")),
    };
    (what, remedy)
}

fn switch(key: &[u8], value: &[u8], on: &str, off: &str) -> Result<bool, (String, String)> {
    if value.eq_ignore_ascii_case(on.as_bytes()) {
        return Ok(true);
    }
    if value.eq_ignore_ascii_case(off.as_bytes()) {
        return Ok(false);
    }
    let what = format!("{}={} is neither {on} nor {off}", printable(key), printable(value));
    Err((what, format!("use {on} or {off}")))
}

/// A port number, in plain digits.
pub(super) fn port(text: &str) -> Option<u16> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| is_plain && *port > 0)
}

/// An address without the brackets that URLs put around it.
pub(super) fn without_brackets(address: &[u8]) -> &[u8] {
    let inside = address.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inside.unwrap_or(address)
}

/// Puts the name of a setting before what is wrong with it.
fn described(key: &'static str) -> impl Fn((String, &'static str)) -> (String, String) {
    move |(what, remedy)| (format!("{key}{what}"), remedy.to_string())
}

/// A context as ivy.yaml and the directive write it, with or without slashes at its ends; empty for
/// the whole site. Else what is wrong with it and what would be right.
pub(super) fn context(value: &[u8]) -> Result<Vec<u8>, (String, &'static str)> {
    let inside = value.strip_prefix(b"/").unwrap_or(value);
    let inside = inside.strip_suffix(b"/").unwrap_or(inside);
    if !inside.is_empty() && !is_plain_path(inside) {
        let what = format!("{} is no path that an application can have", printable(value));
        return Err((what, "use a name such as ivy, or / for the whole site"));
    }
    Ok(inside.to_vec())
}

/// Whether a path without its first slash is what remains of it when it is normalised, and has no
/// character that means something else in a rule.
fn is_plain_path(path: &[u8]) -> bool {
    let is_odd = |byte: &u8| byte.is_ascii_control() || b"*?;%\\#|".contains(byte);
    !path.iter().any(is_odd)
        && path.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

fn denied(value: &[u8]) -> Result<Vec<u8>, (String, String)> {
    let inside = value.strip_suffix(b"/").unwrap_or(value).strip_prefix(b"/");
    match inside {
        Some(inside) if is_plain_path(inside) => Ok([b"/", inside].concat()),
        _ => Err((
            format!("deny={} is no path", printable(value)),
            "write it as the browser shows it but decoded, with the context and without wildcards, \
             such as deny=/ivy/internal; all below it is denied as well"
                .to_string(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (EngineLine, Vec<String>) {
        let words: Vec<Vec<u8>> =
            text.split(' ').filter(|w| !w.is_empty()).map(Into::into).collect();
        let mut problems = Problems::new();
        let line =
            EngineLine::parse(PathBuf::new(), &words, &Place::new("c", 1), &mut problems).unwrap();
        (line, problems.iter().map(|p| format!("{}; {}", p.what, p.remedy)).collect())
    }

    #[test]
    fn reads_every_key() {
        let (line, problems) = parse(
            "worker=w context=/a/b/ host=[::1] port=8010 socket=/s system=allow deny=/a/x/ deny=/y \
             redirect=On",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(line.worker.as_bytes(), b"w");
        assert_eq!(line.context.as_deref(), Some(&b"a/b"[..]));
        assert_eq!(line.host.as_deref(), Some(&b"::1"[..]));
        assert_eq!((line.port, line.socket.as_deref()), (Some(8010), Some(&b"/s"[..])));
        assert_eq!((line.allows_system, line.redirects), (true, true));
        assert_eq!(line.denied, [b"/a/x".to_vec(), b"/y".to_vec()]);
        let (line, _) = parse("context=/");
        assert_eq!((line.context, line.worker.as_bytes()), (Some(Vec::new()), DEFAULT_WORKER));
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            (
                "ivy",
                "\"ivy\" is no key=value; put a path or a value with blanks in quotes, such as \
                     \"/opt/my ivy\" or \"socket=/run/my ivy/ajp.sock\"",
            ),
            ("hots=a", "there is no key hots=; did you mean host=?"),
            (
                "frob=a",
                "there is no key frob=; the keys are worker, context, host, port, socket, \
                        system, deny, redirect",
            ),
            (
                "secret=hush",
                "there is no key secret=; set Connector.AJP.Secret in ivy.yaml, or \
                             worker.NAME.secret in workers.properties",
            ),
            ("host=", "host= has no value; write one, or remove the key"),
            ("port=0", "port=0 is no port number; use a number from 1 to 65535"),
            ("port=65536", "port=65536 is no port number; use a number from 1 to 65535"),
            ("port=+1", "port=+1 is no port number; use a number from 1 to 65535"),
            ("system=on", "system=on is neither allow nor deny; use allow or deny"),
            ("redirect=yes", "redirect=yes is neither on nor off; use on or off"),
            (
                "context=a*",
                "context=a* is no path that an application can have; use a name such as \
                            ivy, or / for the whole site",
            ),
            (
                "context=a//b",
                "context=a//b is no path that an application can have; use a name such \
                              as ivy, or / for the whole site",
            ),
            (
                "deny=x",
                "deny=x is no path; write it as the browser shows it but decoded, with the \
                        context and without wildcards, such as deny=/ivy/internal; all below it is \
                        denied as well",
            ),
            ("port=1 port=2", "port= is there twice; keep one of them"),
        ] {
            assert_eq!(parse(text).1, [expected], "{text}");
        }
        for words in ["secret hush", "Secret= hush"] {
            let said = parse(words).1;
            assert!(said.len() == 2 && !said.concat().contains("hush"), "{said:?}");
        }
        let name = parse("worker=a,b").1;
        assert!(name.len() == 1 && name[0].starts_with("worker=a,b: "), "{name:?}");
        assert_eq!(parse("deny=/ivy/*").1.len(), 1);
        assert_eq!(parse("deny=/").1.len(), 1);
    }
}
