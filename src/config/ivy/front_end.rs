//! The external base URL: what the engine writes into mails, and what the web server is called.
#![forbid(unsafe_code)]

use super::{EngineFiles, engine::is_placeholder};
use crate::config::{
    error::{Place, Problems},
    text::printable,
};

/// A server of httpd by which users reach an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontEnd {
    /// Whether users speak TLS.
    pub is_tls: bool,
    /// ServerName, then each ServerAlias; `*` and `?` in an alias match as in a file name.
    pub names: Vec<String>,
    /// The ports that users may ask; the first one is the one to write down.
    pub ports: Vec<u16>,
    /// Whether it is a virtual host.
    pub is_virtual: bool,
}

/// A URL of which not everything may be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Url {
    scheme: Option<String>,
    host: Option<String>,
    port: Option<u16>,
}

impl FrontEnd {
    fn scheme(&self) -> &'static str {
        if self.is_tls { "https" } else { "http" }
    }

    fn name(&self) -> &str {
        self.names.first().map_or("localhost", String::as_str)
    }

    fn port(&self) -> u16 {
        let default = if self.is_tls { 443 } else { 80 };
        self.ports.first().copied().unwrap_or(default)
    }

    fn url(&self) -> String {
        let (scheme, name) = (self.scheme(), printable(self.name().as_bytes()));
        match default_port(scheme) == Some(self.port()) {
            true => format!("{scheme}://{name}"),
            false => format!("{scheme}://{name}:{}", self.port()),
        }
    }

    /// The keys for ivy.yaml.
    fn yaml(&self) -> String {
        let name = printable(self.name().as_bytes());
        // Brackets and colons mean something else to YAML.
        let name = if name.contains([':', '[']) { format!("\"{name}\"") } else { name };
        format!(
            "Frontend: {{Protocol: {}, HostName: {name}, Port: {}}}",
            self.scheme(),
            self.port()
        )
    }

    fn is(&self, url: &Url) -> bool {
        let is_host = |host: &String| {
            let host = host.to_ascii_lowercase();
            self.names.iter().any(|name| matches(&name.to_ascii_lowercase(), &host))
        };
        url.scheme.as_ref().is_none_or(|scheme| scheme.eq_ignore_ascii_case(self.scheme()))
            && url.host.as_ref().is_none_or(is_host)
            && url.port.is_none_or(|port| port == self.port() || self.ports.contains(&port))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Whether a name with `*` and `?` stands for a host.
fn matches(pattern: &str, host: &str) -> bool {
    crate::mapping::Pattern::new(pattern.as_bytes()).matches(host.as_bytes())
}

impl Url {
    fn parse(text: &str) -> Option<Url> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let default = default_port(&scheme)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let colon = authority.rfind(':').filter(|at| {
            // Within brackets it belongs to the address.
            !authority.get(*at..).unwrap_or_default().contains(']')
        });
        let (host, port) = match colon.and_then(|at| authority.split_at_checked(at)) {
            Some((host, port)) => (host, port.trim_start_matches(':').parse().ok()?),
            None => (authority, default),
        };
        let url = Url { scheme: Some(scheme), host: Some(host.to_string()), port: Some(port) };
        Some(url).filter(|_| !host.is_empty())
    }

    fn text(&self) -> String {
        let scheme = self.scheme.as_deref().unwrap_or("?");
        let host = self.host.as_deref().unwrap_or("?");
        let url = format!("{scheme}://{host}");
        let port = self.port.filter(|port| default_port(scheme) != Some(*port));
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        printable(format!("{url}{port}").as_bytes())
    }
}

/// Compares the engine's external base URL with the servers that lead to it. `place`: the line of the
/// JkIvyEngine.
pub fn check_base_url(
    files: &EngineFiles,
    servers: &[FrontEnd],
    place: &Place,
    problems: &mut Problems,
) {
    let score = |server: &&FrontEnd| (server.is_virtual, server.is_tls);
    // Of equals the first one.
    let Some(best) = servers.iter().rev().max_by_key(score) else { return };
    let is_open = |text: &str| is_placeholder(text.as_bytes());
    let texts = [&files.frontend_host, &files.frontend_protocol, &files.base_url];
    if let Some(found) = texts.into_iter().flatten().find(|found| is_open(&found.value)) {
        let what = "is not compared with the virtual host: only the engine knows what its ${...} stands \
                    for";
        let remedy = format!("see that it leads to {}", best.url());
        problems.note(&found.place, found.key, what, remedy);
        return;
    }
    let mut is_silent = true;
    let mut compare = |url: &Url, place: &Place, key: &str, yaml: String| {
        is_silent = false;
        if servers.iter().any(|server| server.is(url)) {
            return;
        }
        let what =
            format!("links in mails lead to {}, but the front end is {}", url.text(), best.url());
        problems.warning(place, key, what, format!("write {yaml}"));
    };
    let parts = Url {
        scheme: files.frontend_protocol.as_ref().map(|found| found.value.clone()),
        host: files.frontend_host.as_ref().map(|found| found.value.clone()),
        port: files.frontend_port.as_ref().map(|found| found.value),
    };
    let first = [
        files.frontend_host.as_ref().map(|found| (&found.place, found.key)),
        files.frontend_protocol.as_ref().map(|found| (&found.place, found.key)),
        files.frontend_port.as_ref().map(|found| (&found.place, found.key)),
    ];
    if let Some((place, key)) = first.into_iter().flatten().next() {
        compare(&parts, place, key, best.yaml());
    }
    let yaml = format!("BaseUrl: {}", best.url());
    match files.base_url.as_ref().map(|found| (found, Url::parse(&found.value))) {
        Some((found, Some(url))) => compare(&url, &found.place, found.key, yaml),
        Some((found, None)) => {
            let what = format!("{} is no URL", printable(found.value.as_bytes()));
            problems.warning(&found.place, found.key, what, format!("write {yaml}"));
        }
        None if is_silent => {
            let what = "the engine does not know its external base URL: links in mails lead to its \
                        own address";
            let remedy = format!("write into its ivy.yaml: {}", best.yaml());
            problems.note(place, "JkIvyEngine", what, remedy);
        }
        None => {}
    }
}

#[cfg(test)]
#[path = "front_end_tests.rs"]
mod tests;
