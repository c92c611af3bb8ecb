//! What ivy.yaml and ivy.webserver.yaml say to a front end.
#![forbid(unsafe_code)]

use super::{
    line,
    yaml::{Node, Tree},
};
use crate::config::{
    error::{Place, Problems},
    text::{printable, quoted, suggestion},
    worker::Secret,
};

/// The header in which the engine reads the user where it is told nothing else.
const DEFAULT_USER_HEADER: &str = "X-Forwarded-User";

/// Every key that is read.
const KEYS: [&str; 16] = [
    "Connector.AJP.Enabled",
    "Connector.AJP.Port",
    "Connector.AJP.Address",
    "Connector.AJP.Secret",
    "AJP.Enabled",
    "AJP.Port",
    "Connector.HTTP.Enabled",
    "Connector.HTTP.Address",
    "Connector.HTTP.Port",
    "WebServer.IvyContextName",
    "Frontend.HostName",
    "Frontend.Port",
    "Frontend.Protocol",
    "BaseUrl",
    "SSO.Enabled",
    "SSO.UserHeader",
];

/// Mappings that hold nothing but what is in [`KEYS`] and a few others.
const PARENTS: [&str; 7] =
    ["Connector", "Connector.AJP", "AJP", "Connector.HTTP", "Frontend", "SSO", "WebServer"];

/// A value with the line that sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// The line of its key.
    pub place: Place,
    /// Its key.
    pub key: &'static str,
}

/// One of the engine's files: its name as messages show it, and what is in it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'s> {
    /// Name.
    pub name: &'s str,
    /// Content.
    pub text: &'s [u8],
}

/// What the engine's files say. What they are silent about is `None`.
#[derive(Debug, Clone, Default)]
pub struct EngineFiles {
    /// `Connector.AJP.Enabled`, or the older `AJP.Enabled`.
    pub ajp_enabled: Option<Found<bool>>,
    /// `Connector.AJP.Port`, or the older `AJP.Port`.
    pub ajp_port: Option<Found<u16>>,
    /// `Connector.AJP.Address`, without brackets.
    pub ajp_address: Option<Found<String>>,
    /// `Connector.AJP.Secret`.
    pub secret: Option<Found<Secret>>,
    /// `Connector.HTTP.Enabled`.
    pub http_enabled: Option<Found<bool>>,
    /// `Connector.HTTP.Address`, without brackets.
    pub http_address: Option<Found<String>>,
    /// `WebServer.IvyContextName`, without slashes at its ends; empty: the whole site.
    pub context: Option<Found<Vec<u8>>>,
    /// `Frontend.HostName`.
    pub frontend_host: Option<Found<String>>,
    /// `Frontend.Port`.
    pub frontend_port: Option<Found<u16>>,
    /// `Frontend.Protocol`.
    pub frontend_protocol: Option<Found<String>>,
    /// `BaseUrl`.
    pub base_url: Option<Found<String>>,
    /// `SSO.Enabled`.
    pub sso_enabled: Option<Found<bool>>,
    /// `SSO.UserHeader`.
    pub sso_header: Option<Found<String>>,
}

impl EngineFiles {
    /// Reads both files. Where they differ, ivy.webserver.yaml counts.
    pub fn read(
        ivy: Source<'_>,
        web_server: Option<Source<'_>>,
        problems: &mut Problems,
    ) -> EngineFiles {
        let tree = |source: Source<'_>, problems: &mut Problems| {
            let tree = Tree::read(source.text, source.name, problems);
            check_names(&tree, problems);
            tree
        };
        let ivy = tree(ivy, problems);
        let web_server = web_server.map(|source| tree(source, problems)).unwrap_or_default();
        let mut reader = Reader { trees: [&web_server, &ivy], problems };
        let enabled = reader.read("Connector.AJP.Enabled", switch);
        let old_enabled = reader.read("AJP.Enabled", switch);
        let port = reader.read("Connector.AJP.Port", port);
        let old_port = reader.read("AJP.Port", self::port);
        // Read for its mistakes: the front end never speaks HTTP to the engine.
        reader.read("Connector.HTTP.Port", self::port);
        EngineFiles {
            ajp_enabled: reader.newer(enabled, old_enabled),
            ajp_port: reader.newer(port, old_port),
            ajp_address: reader.read("Connector.AJP.Address", address),
            secret: reader.read("Connector.AJP.Secret", secret),
            http_enabled: reader.read("Connector.HTTP.Enabled", switch),
            http_address: reader.read("Connector.HTTP.Address", address),
            context: reader.read("WebServer.IvyContextName", context),
            frontend_host: reader.read("Frontend.HostName", text),
            frontend_port: reader.read("Frontend.Port", self::port),
            frontend_protocol: reader.read("Frontend.Protocol", text),
            base_url: reader.read("BaseUrl", text),
            sso_enabled: reader.read("SSO.Enabled", switch),
            sso_header: reader.read("SSO.UserHeader", header_name),
        }
    }

    /// The header in which the engine believes to find the user; `None` without single sign-on.
    pub fn user_header(&self) -> Option<String> {
        self.sso_enabled.as_ref().filter(|enabled| enabled.value)?;
        let header = self.sso_header.as_ref().map(|found| found.value.clone());
        Some(header.unwrap_or_else(|| DEFAULT_USER_HEADER.to_string()))
    }
}

/// Warns of keys that are not read but look like one that is.
fn check_names(tree: &Tree, problems: &mut Problems) {
    for (key, place) in tree.keys() {
        if KEYS.contains(&key) || PARENTS.contains(&key) {
            continue;
        }
        let known = KEYS.iter().chain(&PARENTS);
        let same = known.copied().find(|known| known.eq_ignore_ascii_case(key));
        let near = || {
            let (parent, name) = key.rsplit_once('.')?;
            let siblings = KEYS.iter().filter_map(|known| {
                known.rsplit_once('.').filter(|(of, _)| *of == parent).map(|(_, name)| name)
            });
            let near = suggestion(name.as_bytes(), siblings)?;
            KEYS.iter().copied().find(|known| known.rsplit_once('.') == Some((parent, near)))
        };
        // The older spelling has no more than two keys.
        let whole = || KEYS.into_iter().find(|known| known.strip_prefix("Connector.") == Some(key));
        let parent = || {
            let (first, rest) = key.split_at(key.find('.').unwrap_or(key.len()));
            let begin = |name: &str| name.chars().next().map(|c| c.to_ascii_lowercase());
            // Short names are near to too many others.
            let is_like = |known: &str| known.len() > 5 && begin(known) == begin(first);
            let tops = PARENTS.into_iter().filter(|known| !known.contains('.') && is_like(known));
            let near = suggestion(first.as_bytes(), tops)?;
            let mut all = KEYS.into_iter().chain([near]);
            all.find(|known| known.strip_prefix(near) == Some(rest))
        };
        if let Some(meant) = same.or_else(whole).or_else(near).or_else(parent) {
            let what = "is no key that is read";
            let remedy = format!("did you mean {meant}?");
            problems.warning(&place, printable(key.as_bytes()), what, remedy);
        }
    }
}

/// What a value is not, and what would be right.
type Mistake = (String, &'static str);

struct Reader<'r> {
    /// The one that wins first.
    trees: [&'r Tree; 2],
    problems: &'r mut Problems,
}

impl Reader<'_> {
    fn read<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: fn(&Node) -> Result<T, Mistake>,
    ) -> Option<Found<T>> {
        let mut result: Option<Found<T>> = None;
        for tree in self.trees {
            self.check_parents(tree, key);
            let Some((node, place)) = tree.find(key).filter(|(node, _)| !node.is_null()) else {
                continue;
            };
            match (parse(node), &result) {
                (Err((what, remedy)), _) => self.problems.error(&place, key, what, remedy),
                (Ok(value), None) => result = Some(Found { value, place, key }),
                (Ok(value), Some(winner)) if value != winner.value => {
                    let what = format!("is not what {} says, which counts", winner.place);
                    self.problems.warning(&place, key, what, "keep one of the two");
                }
                (Ok(_), Some(_)) => {}
            }
        }
        result
    }

    /// A value in the place of the mapping that a key is in.
    fn check_parents(&mut self, tree: &Tree, key: &str) {
        for (at, _) in key.match_indices('.') {
            let Some(parent) = key.get(..at) else { continue };
            if let Some((node, place)) = tree.find(parent)
                && !matches!(node, Node::Mapping(_))
                && !node.is_null()
            {
                let what = "is no mapping, but must be one";
                let remedy = "write its keys below it, indented by two blanks";
                self.problems.error(&place, parent, what, remedy);
            }
        }
    }

    /// The newer spelling of a key, where both are there; but ivy.webserver.yaml counts first.
    fn newer<T: PartialEq>(
        &mut self,
        newer: Option<Found<T>>,
        older: Option<Found<T>>,
    ) -> Option<Found<T>> {
        let [web_server, ivy] = self.trees;
        if let (Some(new), Some(old)) = (&newer, &older)
            && *new.place.source == *ivy.source
            && *old.place.source == *web_server.source
        {
            if new.value != old.value {
                let what = format!("is not what {} at {} says, which counts", old.key, old.place);
                self.problems.warning(&new.place, new.key, what, "keep one of the two");
            }
            return older;
        }
        if let (Some(newer), Some(older)) = (&newer, &older)
            && newer.value != older.value
        {
            let what = format!("is not what {} at {} says, which counts", newer.key, newer.place);
            self.problems.warning(&older.place, older.key, what, "remove the older spelling");
        }
        newer.or(older)
    }
}

/// The text of a scalar, or what stands there instead.
fn scalar(node: &Node) -> Result<(&str, bool), Mistake> {
    match node {
        Node::Scalar { text, is_plain } => Ok((text, *is_plain)),
        Node::List => Err(("is a list".to_string(), "write one value")),
        Node::Mapping(_) => Err(("is a mapping".to_string(), "write one value")),
    }
}

/// A switch as YAML 1.1 spells it.
fn switch(node: &Node) -> Result<bool, Mistake> {
    let (text, _) = scalar(node)?;
    as_switch(text)
        .ok_or_else(|| (format!("{} is no switch", quoted(text.as_bytes())), "write true or false"))
}

fn as_switch(text: &str) -> Option<bool> {
    let is = |words: &[&str]| {
        words.iter().any(|word| {
            let (first, rest) = word.split_at_checked(1).unwrap_or_default();
            text == *word
                || text == word.to_uppercase()
                || text == format!("{}{rest}", first.to_uppercase())
        })
    };
    match () {
        () if is(&["true", "yes", "on"]) => Some(true),
        () if is(&["false", "no", "off"]) => Some(false),
        () => None,
    }
}

fn port(node: &Node) -> Result<u16, Mistake> {
    let (text, _) = scalar(node)?;
    line::port(text).ok_or_else(|| {
        let what = format!("{} is no port number", quoted(text.as_bytes()));
        (what, "use a number from 1 to 65535")
    })
}

/// Whether YAML 1.1 takes a text without quotes for something else than text, so that the engine may
/// see another one than is written. Plain whole numbers are the same either way.
fn is_ambiguous(text: &str) -> bool {
    let is_plain_number = text == "0"
        || text.len() < 16 && !text.starts_with('0') && all(text, |c| c.is_ascii_digit());
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_date = || {
        let mut parts = text.splitn(3, '-');
        let mut number = |length: usize| {
            parts.next().is_some_and(|part| {
                let digits = part.get(..length).unwrap_or(part);
                all(digits, |c| c.is_ascii_digit())
            })
        };
        number(4) && number(2) && number(1) && text.starts_with(|c: char| c.is_ascii_digit())
    };
    !is_plain_number
        && (as_switch(text).is_some() || is_whole(unsigned) || is_float(unsigned) || is_date())
}

fn all(text: &str, is_good: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(is_good)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || c == '_'
}

/// Whether a text without sign is a whole number: binary, hexadecimal, octal, decimal, or of base 60.
fn is_whole(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0b") {
        return all(digits, |c| matches!(c, '0' | '1' | '_'));
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return all(digits, |c| c.is_ascii_hexdigit() || c == '_');
    }
    if let Some(digits) = text.strip_prefix('0') {
        return all(digits, |c| matches!(c, '0'..='7' | '_'));
    }
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.split(':').all(|part| all(part, is_digit))
}

fn is_float(text: &str) -> bool {
    if matches!(text.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let is_exponent = exponent.is_none_or(|exponent| {
        all(exponent.strip_prefix(['+', '-']).unwrap_or(exponent), |c| c.is_ascii_digit())
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = mantissa.chars().any(|c| c.is_ascii_digit());
    let is_mantissa = whole.split(':').chain([fraction]).all(|part| part.chars().all(is_digit));
    has_digits
        && is_mantissa
        && is_exponent
        && !mantissa.starts_with(['_', ':'])
        && (mantissa.contains('.') || exponent.is_some())
}

fn unambiguous(node: &Node) -> Result<&str, Mistake> {
    let (text, is_plain) = scalar(node)?;
    if is_plain && is_ambiguous(text) {
        let what = "can be read as a number or a switch without quotes".to_string();
        return Err((what, "put it in quotes"));
    }
    Ok(text)
}

fn text(node: &Node) -> Result<String, Mistake> {
    let text = unambiguous(node)?.trim();
    if text.is_empty() || text.chars().any(char::is_control) {
        let what = format!("{} is no value for it", quoted(text.as_bytes()));
        return Err((what, "write one, or remove the key"));
    }
    Ok(text.to_string())
}

fn address(node: &Node) -> Result<String, Mistake> {
    let text = text(node)?;
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    Ok(inside.map_or_else(|| text.clone(), str::to_string))
}

fn secret(node: &Node) -> Result<Secret, Mistake> {
    let text = unambiguous(node)?;
    if text.is_empty() {
        return Err(("is empty".to_string(), "write the secret, or remove the key"));
    }
    Ok(Secret::new(text.as_bytes()))
}

fn context(node: &Node) -> Result<Vec<u8>, Mistake> {
    line::context(unambiguous(node)?.as_bytes())
}

fn header_name(node: &Node) -> Result<String, Mistake> {
    let name = text(node)?;
    match check_user_header(name.as_bytes()) {
        Some((what, remedy)) => Err((what, remedy)),
        None => Ok(name),
    }
}

/// Headers that mean something to the web server or to the engine's connector.
const TAKEN: [&str; 15] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with a name for the header with the user, and what would be right.
pub fn check_user_header(name: &[u8]) -> Option<(String, &'static str)> {
    let remedy = "use a name such as X-Forwarded-User";
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    if name.is_empty() || !name.iter().all(is_token) {
        return Some((format!("{} is no name of a header", quoted(name)), remedy));
    }
    let is_switch = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    if ["on", "off", "none"].into_iter().any(is_switch) {
        return Some((format!("{} is no name of a header", quoted(name)), remedy));
    }
    // What clients send under a name is dropped in every spelling of it.
    let dashed: Vec<u8> =
        name.iter().map(|byte| if byte.is_ascii_alphanumeric() { *byte } else { b'-' }).collect();
    if TAKEN.iter().any(|taken| dashed.eq_ignore_ascii_case(taken.as_bytes())) {
        return Some((format!("{} has a meaning of its own", printable(name)), remedy));
    }
    None
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
