//! What is looked at once httpd has ended: logs, other files, answers by what they contain.

use std::path::{Path, PathBuf};

use super::case::{Case, Look, OnOurs};
use super::run::Variants;
use super::stage::{Stage, name};
use crate::compliance::seen::{Answer, Seen};
use crate::support::client::NoResponse;
use crate::support::httpd::{Httpd, Module};

impl Stage<'_> {
    /// Adds what the files say once httpd has ended.
    pub(super) fn read(&self, logs: &Logs, number: usize, case: &Case, variants: &mut Variants) {
        for (at, seen) in variants.iter_mut().enumerate() {
            let name = name(number, at);
            self.read_variant(logs, &name, case, seen);
            rename(seen, &name, number);
        }
    }

    pub(super) fn read_variant(&self, logs: &Logs, name: &str, case: &Case, seen: &mut Seen) {
        if self.module == Module::Ours
            && let OnOurs::Config(text) = case.ours
        {
            let text = text.replace('@', name);
            let found = logs
                .all
                .lines()
                .filter(|line| line.contains("config: "))
                .any(|line| line.contains(&format!("({name}")) && matches(line, &text));
            *seen = Seen::default();
            seen.facts.push(format!("config has {text}: {found}"));
            return;
        }
        for look in &case.looks {
            match look {
                Look::Logged { c, ours } | Look::Own { c, ours } => {
                    let text = if self.module == Module::C { c } else { ours };
                    let text = text.replace('@', name);
                    let own = logs.file(&format!("logs/{name}.log")).unwrap_or_default();
                    let shared = matches!(look, Look::Logged { .. }) && matches(&logs.all, &text);
                    let found = shared || matches(&own, &text);
                    seen.facts.push(format!("logged {c}: {found}"));
                }
                Look::Body(text) => {
                    let body = match seen.answers.last() {
                        Some(Answer::Response { body, .. }) => String::from_utf8_lossy(body),
                        _ => "".into(),
                    };
                    let found = matches(&body, &text.replace('@', name));
                    let fact = format!("the answer has {text}: {found}");
                    seen.facts.push(fact);
                }
                Look::File { path, digits } => {
                    let text = logs.file(&path.replace('@', name));
                    let text = text.map(|text| {
                        if *digits { text.replace(|c: char| c.is_ascii_digit(), "9") } else { text }
                    });
                    seen.facts.push(format!("{path} has {text:?}"));
                }
                Look::Exists(_) | Look::Connections | Look::Keepalive | Look::Peers => {}
            }
        }
        if case.looks.iter().any(|look| matches!(look, Look::Body(_))) {
            let statuses: Vec<String> = seen.answers.iter().map(status_of).collect();
            seen.facts.push(format!("answers {}", statuses.join(", ")));
            seen.answers.clear();
        }
    }
}

fn status_of(answer: &Answer) -> String {
    match answer {
        Answer::Response { status, .. } => status.to_string(),
        Answer::None(NoResponse::Silence) => "nothing for a long time".into(),
        Answer::None(error) => format!("{error:?}"),
    }
}

/// Whether there is a file whose path begins like this.
pub(super) fn exists(path: &Path) -> bool {
    let begin = path.file_name().expect("a name").to_string_lossy().into_owned();
    let files = std::fs::read_dir(path.parent().expect("a folder")).expect("the folder");
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with(&begin))
}

/// What is on disk after httpd ended.
pub(super) struct Logs {
    all: String,
    root: Option<PathBuf>,
}

impl Logs {
    pub(super) fn of(httpd: &Httpd) -> Self {
        let output = std::fs::read_to_string(httpd.path("logs/output.log")).unwrap_or_default();
        Self {
            all: [output, httpd.error_log(), httpd.jk_log()].concat(),
            root: Some(httpd.path("")),
        }
    }

    pub(super) fn text(text: String) -> Self {
        Self { all: text, root: None }
    }

    fn file(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.root.as_ref()?.join(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Whether `text` contains `pattern`, in which `#` is any digit.
fn matches(text: &str, pattern: &str) -> bool {
    if !pattern.contains('#') {
        return text.contains(pattern);
    }
    let fits = |part: &[u8]| {
        let pairs = part.iter().zip(pattern.as_bytes());
        pairs.into_iter().all(|(a, b)| a == b || (*b == b'#' && a.is_ascii_digit()))
    };
    text.as_bytes().windows(pattern.len()).any(fits)
}

/// Takes out of the answers what every run has its own of, and the one header that ours adds to
/// all of a kind: row `Status 503` of COMPAT.md, which has a test of its own.
fn without_noise(seen: &mut Seen) {
    seen.without_response_headers(&["Last-Modified", "ETag"]);
    for answer in &mut seen.answers {
        if let Answer::Response { status: 503, headers, .. } = answer {
            headers.retain(|(name, _)| name != "Retry-After");
        }
    }
}

/// Gives all variants the same name.
pub(super) fn rename(seen: &mut Seen, from: &str, case: usize) {
    without_noise(seen);
    let to = name(case, 0);
    for packet in &mut seen.packets {
        while let Some(at) = packet.windows(from.len()).position(|part| part == from.as_bytes())
            && from != to
        {
            packet[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
    }
    for answer in &mut seen.answers {
        if let Answer::Response { headers, body, .. } = answer {
            for (_, value) in headers {
                *value = value.replace(from, &to);
            }
            *body = String::from_utf8_lossy(body).replace(from, &to).into_bytes();
        }
    }
    for fact in &mut seen.facts {
        *fact = fact.replace(from, &to);
    }
}
