//! A JkIvyEngine line together with the engine's files: what follows for workers and mounts, and
//! what is not secure about it.
#![forbid(unsafe_code)]

use std::net::IpAddr;

use super::{EngineFiles, EngineLine, Found};
use crate::config::{
    error::{Place, Problems},
    exposed::is_loopback,
    properties::{Properties, Property},
    text::printable,
    worker::{Ajp13Config, Target, WorkerConfig},
};

const LIST: &[u8] = b"worker.list";

const DEFAULT_CONTEXT: &[u8] = b"ivy";
const DEFAULT_HOST: &str = "localhost";
const DEFAULT_PORT: u16 = 8009;

/// What is wrong with a value in which the engine puts something else than is written.
const PLACEHOLDER: &str = "has a ${...}, and only the engine knows what that stands for";

/// Whether the engine puts something else in place of a part of a value: `${decrypt:...}` and others.
pub(super) fn is_placeholder(value: &[u8]) -> bool {
    let begin = value.windows(2).position(|text| text == b"${");
    begin.is_some_and(|at| value.get(at..).is_some_and(|rest| rest.contains(&b'}')))
}

/// An engine as one JkIvyEngine line connects it.
#[derive(Debug, Clone, Copy)]
pub struct Engine<'e> {
    /// The line.
    pub line: &'e EngineLine,
    /// What the engine's files say.
    pub files: &'e EngineFiles,
}

/// A property for the worker, and where it comes from.
struct Wanted {
    name: &'static str,
    value: Vec<u8>,
    place: Place,
    /// What the place calls it; `None`: nobody has said it.
    said: Option<&'static str>,
}

impl Wanted {
    fn of<T>(name: &'static str, value: Vec<u8>, found: &Found<T>) -> Wanted {
        Wanted { name, value, place: found.place.clone(), said: Some(found.key) }
    }
}

impl Engine<'_> {
    /// The context without slashes at its ends; empty: the whole site.
    pub fn context(&self) -> &[u8] {
        let said = self.files.context.as_ref().map(|found| found.value.as_slice());
        self.line.context.as_deref().or(said).unwrap_or(DEFAULT_CONTEXT)
    }

    /// The path of a mount for the application.
    pub fn mount(&self) -> Vec<u8> {
        match self.context() {
            b"" => b"/*".to_vec(),
            context => [b"/", context, b"|/*"].concat(),
        }
    }

    /// The paths that answer 403, with all below them.
    pub fn denied(&self) -> Vec<Vec<u8>> {
        let system = match self.context() {
            b"" => b"/system".to_vec(),
            context => [b"/", context, b"/system"].concat(),
        };
        let system = Some(system).filter(|_| !self.line.allows_system);
        system.into_iter().chain(self.line.denied.iter().cloned()).collect()
    }

    /// Where `/` leads.
    pub fn redirect(&self) -> Option<Vec<u8>> {
        let context = Some(self.context()).filter(|context| !context.is_empty());
        let context = context.filter(|_| self.line.redirects)?;
        Some([b"/", context, b"/"].concat())
    }

    /// Says what of the line cannot be as it is.
    pub fn check(&self, problems: &mut Problems) {
        let place = &self.line.place;
        if let Some(found) = self.files.ajp_enabled.as_ref().filter(|found| !found.value) {
            let what = "the AJP connector of the engine is off, so no front end can connect";
            problems.error(&found.place, found.key, what, "write true, or remove the line");
        }
        if let (None, Some(found)) = (&self.line.context, &self.files.context)
            && is_placeholder(&found.value)
        {
            let remedy = "write the name itself, or context= into the JkIvyEngine line";
            problems.error(&found.place, found.key, PLACEHOLDER, remedy);
        }
        if self.line.redirects && self.context().is_empty() {
            let what = "redirect=on has no effect: / is the application itself";
            problems.warning(place, "JkIvyEngine", what, "remove redirect=on");
        }
        for denied in &self.line.denied {
            let is_below = |context: &[u8]| {
                let rest = denied.strip_prefix(b"/").and_then(|path| path.strip_prefix(context));
                rest.is_some_and(|rest| rest.starts_with(b"/") || context.is_empty())
            };
            if is_below(self.context()) {
                continue;
            }
            let context = printable(self.context());
            let path = printable(denied);
            if denied.strip_prefix(b"/") == Some(self.context()) {
                let what = format!("deny={path} denies the whole application");
                let remedy = "remove it, or name a path below";
                problems.error(place, "JkIvyEngine", what, remedy);
                continue;
            }
            problems.error(
                place,
                "JkIvyEngine",
                format!("deny={path} is not below the application, which is at /{context}"),
                format!("write the context as well: deny=/{context}{path}"),
            );
        }
        if self.line.socket.is_some() && (self.line.host.is_some() || self.line.port.is_some()) {
            let what = "host= and port= have no effect beside socket=";
            problems.warning(place, "JkIvyEngine", what, "remove them, or remove socket=");
        }
    }

    /// Makes the worker: its properties, and its place in the list. What the properties say already
    /// wins.
    pub fn add_to(&self, properties: &mut Properties, problems: &mut Problems) {
        self.list(properties);
        let key = |name: &str| self.line.worker.key(name);
        let kind = properties.find(&key("type")).filter(|kind| kind.value != b"ajp13");
        if let Some(kind) = kind {
            let what = format!(
                "worker {} is of type {} by {}: host, port and secret of the engine are not used",
                self.line.worker,
                printable(&kind.value),
                kind.place
            );
            problems.note(&self.line.place, "JkIvyEngine", what, "");
            return;
        }
        for wanted in self.wanted(properties) {
            let key = key(wanted.name);
            let Some(winner) = winner(properties, &key, wanted.name) else {
                if let Some(said) = wanted.said.filter(|_| is_placeholder(&wanted.value)) {
                    let key = printable(&key);
                    let remedy = format!("write the value itself, or set {key}");
                    problems.error(&wanted.place, said, PLACEHOLDER, remedy);
                }
                properties.define(&key, &wanted.value, &wanted.place);
                continue;
            };
            // Another line for the same engine has said it.
            if winner.key == key && winner.value == wanted.value && winner.place == wanted.place {
                continue;
            }
            let Some(said) = wanted.said else { continue };
            let winning = format!("{} at {}", printable(&winner.key), winner.place);
            if winner.key == key && winner.value == wanted.value {
                let what = format!("says the same as {winning}");
                problems.note(&wanted.place, said, what, "");
            } else {
                let what = format!("is not used: {winning} wins");
                problems.warning(&wanted.place, said, what, "remove one of the two");
            }
        }
    }

    /// The properties that the worker gets where nobody sets them otherwise.
    fn wanted(&self, properties: &Properties) -> Vec<Wanted> {
        let (line, files) = (self.line, self.files);
        let by_line =
            |name, value: Vec<u8>, said| Wanted { name, value, place: line.place.clone(), said };
        let mut wanted = Vec::new();
        if let Some(socket) = &line.socket {
            wanted.push(by_line("socket", socket.clone(), Some("JkIvyEngine")));
        } else {
            wanted.push(match (&line.host, &files.ajp_address) {
                (Some(host), _) => by_line("host", host.clone(), Some("JkIvyEngine")),
                (None, Some(address)) => {
                    Wanted::of("host", reachable(&address.value).as_bytes().to_vec(), address)
                }
                (None, None) => by_line("host", DEFAULT_HOST.into(), None),
            });
            let number = |port: u16| port.to_string().into_bytes();
            wanted.push(match (line.port, &files.ajp_port) {
                (Some(port), _) => by_line("port", number(port), Some("JkIvyEngine")),
                (None, Some(port)) => Wanted::of("port", number(port.value), port),
                (None, None) => by_line("port", number(DEFAULT_PORT), None),
            });
        }
        if let Some(secret) = &files.secret
            && properties.find(&line.worker.key("secretkey")).is_none()
        {
            wanted.push(Wanted::of("secret", secret.value.expose().to_vec(), secret));
        }
        wanted
    }

    /// Where the engine listens beside the socket that the line names, by its files.
    pub fn beside_socket(&self) -> Option<Target> {
        self.line.socket.as_ref()?;
        let address = self.files.ajp_address.as_ref().map(|found| reachable(&found.value));
        let port = self.files.ajp_port.as_ref().map_or(DEFAULT_PORT, |found| found.value);
        Some(Target::Tcp { host: address.unwrap_or(DEFAULT_HOST).to_string(), port })
    }

    /// Puts the worker into `worker.list`.
    fn list(&self, properties: &mut Properties) {
        let name = self.line.worker.as_bytes();
        let Some(list) = properties.find(LIST) else {
            properties.define(LIST, name, &self.line.place);
            return;
        };
        if crate::config::value::list(&list.value).any(|known| known == name) {
            return;
        }
        let (longer, place) = ([&list.value, &b","[..], name].concat(), list.place.clone());
        properties.define(LIST, &longer, &place);
    }

    /// An address at which others than this host reach an engine that asks for no secret.
    fn open_without_secret<'a>(
        &'a self,
        worker: Option<&'a WorkerConfig>,
    ) -> Option<(&'a str, &'a Place, &'static str)> {
        let engines: Vec<&Ajp13Config> = match worker? {
            WorkerConfig::Ajp13(config) => vec![config],
            WorkerConfig::Balancer(balancer) => {
                balancer.members.iter().map(|member| &member.worker).collect()
            }
            WorkerConfig::Status(_) => Vec::new(),
        };
        let mut open = engines.into_iter().filter(|engine| engine.secret.is_none()).peekable();
        open.peek()?;
        let bound = self.files.ajp_address.as_ref().filter(|found| !is_loopback(&found.value));
        if let Some(found) = bound {
            return Some((&found.value, &found.place, found.key));
        }
        let host = open.find_map(|engine| match &engine.target {
            Target::Tcp { host, .. } => Some(host.as_str()).filter(|host| !is_loopback(host)),
            _ => None,
        })?;
        Some((host, &self.line.place, "JkIvyEngine"))
    }

    /// Warns where others than the front end may reach the engine. `worker`: what has become of it.
    pub fn check_access(&self, worker: Option<&WorkerConfig>, problems: &mut Problems) {
        let files = self.files;
        if let Some((address, place, key)) = self.open_without_secret(worker) {
            let what = format!(
                "the AJP connector at {} has no secret: whoever reaches it can claim to be any user",
                printable(address.as_bytes())
            );
            let set = match worker {
                // The members of a balancer have theirs by their own properties.
                Some(WorkerConfig::Balancer(balancer)) => {
                    format!("set worker.{}.secret, and Connector.AJP.Secret", balancer.name)
                }
                _ => "set Connector.AJP.Secret".to_string(),
            };
            let remedy = format!(
                "{set} in ivy.yaml, and let only this host in by a firewall on the engine's host"
            );
            problems.warning(place, key, what, remedy);
        }
        let is_off = files.http_enabled.as_ref().is_some_and(|found| !found.value);
        let (Some(sso), Some(header), false) = (&files.sso_enabled, files.user_header(), is_off)
        else {
            return;
        };
        let (place, key, at) = match &files.http_address {
            None => (&sso.place, sso.key, "all addresses"),
            Some(found) if is_loopback(&found.value) => return,
            Some(found) => (&found.place, found.key, found.value.as_str()),
        };
        let what = format!(
            "the HTTP connector of the engine listens on {}, and single sign-on is on: whoever \
             reaches it can claim to be any user with the header {header}",
            printable(at.as_bytes())
        );
        problems.warning(place, key, what, "write Connector.HTTP.Address: localhost");
    }
}

/// The property that wins over one that an engine wants for its worker.
fn winner<'p>(properties: &'p Properties, key: &[u8], name: &str) -> Option<&'p Property> {
    let other = |other: &str| {
        let worker = key.strip_suffix(name.as_bytes()).unwrap_or_default();
        properties.find(&[worker, other.as_bytes()].concat())
    };
    let same = properties.find(key);
    match name {
        "socket" => same.or_else(|| other("host")).or_else(|| other("port")),
        "host" | "port" => same.or_else(|| other("socket")),
        _ => same,
    }
}

/// The address to connect to where the engine listens at `address`.
fn reachable(address: &str) -> &str {
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1",
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "::1",
        _ => address,
    }
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
