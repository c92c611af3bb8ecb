//! Forms for the settings that can be changed, and what comes of them.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::action::{OF_BALANCER, OF_ENGINE, OF_MEMBER, Parameter, of_all_members};
use super::answer::{Changed, Found, Source};
use super::escape::{markup, unicode};
use super::html::{Context, hidden};
use super::snapshot::Balancer;
use crate::config::WorkerName;
use crate::config::edit::{self, Key};

/// The words of a setting that has a few only.
fn words(key: Key) -> &'static [&'static str] {
    match key {
        Key::Method => &["Request", "Traffic", "Busyness", "Sessions", "Next", "Address"],
        Key::Lock => &["Optimistic", "Pessimistic"],
        Key::Activation => &["Active", "Disabled", "Stopped"],
        _ => &[],
    }
}

/// What was changed. `href`: where to go from here.
pub(super) fn result(body: &mut String, changed: &[Changed], href: &str) {
    body.push_str(
        "<section class=\"health\" role=\"status\"><p class=\"result\">Result: OK - You will be \
         redirected in 3 seconds.</p>\n",
    );
    if !changed.is_empty() {
        body.push_str("<ul>\n");
        for Changed { member, key, old, new } in changed {
            let member = member
                .as_ref()
                .map_or_else(String::new, |member| format!("{}: ", markup(member.as_bytes())));
            let _ = writeln!(
                body,
                "<li>{member}{key} was <code>{}</code>, is <code>{}</code></li>",
                markup(old),
                markup(new)
            );
        }
        body.push_str("</ul>\n");
    }
    let _ = writeln!(body, "<p><a href=\"{href}\">Go there now</a></p></section>");
}

impl Context<'_> {
    /// The form of a worker, of a member, or of one setting of all members.
    pub(super) fn form(&self, body: &mut String, found: Found<'_>, source: &impl Source) {
        match found {
            Found::Engine(engine) => {
                self.fields(body, &engine.config.name, None, &[("Connection", &OF_ENGINE)], source)
            }
            Found::Balancer(balancer, Some(place)) => {
                let parts = [("Balancing", &OF_MEMBER[..]), ("Connection", &OF_ENGINE)];
                self.fields(body, &balancer.config.name, Some((balancer, place)), &parts, source);
            }
            Found::Balancer(balancer, None) => match self.query.find("att") {
                Some(attribute) => self.all_members(body, balancer, attribute, source),
                None => {
                    let name = &balancer.config.name;
                    self.fields(body, name, None, &[("Balancing", &OF_BALANCER)], source);
                    self.choice(body, name);
                }
            },
        }
    }

    fn begin(&self, body: &mut String, worker: &WorkerName, member: Option<&WorkerName>) {
        let title = match member {
            Some(member) => {
                format!("{} of {}", unicode(member.as_bytes()), unicode(worker.as_bytes()))
            }
            None => unicode(worker.as_bytes()).into_owned(),
        };
        let _ = write!(
            body,
            "<section aria-labelledby=\"edit\"><h2 id=\"edit\">Edit settings of {}</h2>\n\
             <p class=\"soft\">Changes go at once, in all processes of this server. They last over \
             graceful restarts until the file says something else.</p>\n\
             <form method=\"post\" action=\"?\">",
            markup(title.as_bytes())
        );
        hidden(body, "cmd", b"update");
        hidden(body, "w", worker.as_bytes());
        if let Some(member) = member {
            hidden(body, "sw", member.as_bytes());
        }
        if let Some(from) = self.query.find("from") {
            hidden(body, "from", from);
        }
        self.hidden_common(body);
    }

    fn end(&self, body: &mut String) {
        let href = self.back();
        let _ = writeln!(
            body,
            "<p><button>Update</button> <a href=\"{href}\">Cancel</a></p></form></section>"
        );
    }

    fn fields(
        &self,
        body: &mut String,
        worker: &WorkerName,
        member: Option<(&Balancer<'_>, usize)>,
        parts: &[(&str, &[Parameter])],
        source: &impl Source,
    ) {
        let place = member.map(|(_, place)| place);
        let name = member
            .and_then(|(balancer, place)| balancer.members.get(place))
            .map(|member| member.name());
        let Some(config) = source.config(worker) else { return };
        self.begin(body, worker, name);
        for (title, parameters) in parts {
            let _ = write!(body, "<h3>{title}</h3>\n<div class=\"fields\">");
            for (parameter, key, label) in *parameters {
                let Some(value) = edit::value(&config, place, *key) else { continue };
                field(body, parameter, *key, label, &value);
            }
            body.push_str("</div>\n");
        }
        self.end(body);
    }

    /// One setting of all members.
    fn all_members(
        &self,
        body: &mut String,
        balancer: &Balancer<'_>,
        attribute: &[u8],
        source: &impl Source,
    ) {
        let name = &balancer.config.name;
        let found = of_all_members().find(|(known, _, _)| known.as_bytes() == attribute);
        let Some((parameter, key, label)) = found else {
            self.choice(body, name);
            return;
        };
        let Some(config) = source.config(name) else { return };
        self.begin(body, name, None);
        hidden(body, "att", parameter.as_bytes());
        let _ = write!(body, "<h3>{label}</h3>\n<div class=\"fields\">");
        for (place, member) in balancer.members.iter().enumerate() {
            let Some(value) = edit::value(&config, Some(place), key) else { continue };
            let member = unicode(member.name().as_bytes());
            field(body, &format!("val{place}"), key, &member, &value);
        }
        body.push_str("</div>\n");
        self.end(body);
    }

    /// Which setting of all members is to be changed.
    fn choice(&self, body: &mut String, worker: &WorkerName) {
        body.push_str("<section><form method=\"get\">");
        hidden(body, "cmd", b"edit");
        hidden(body, "w", worker.as_bytes());
        for key in ["from", "opt", "re"] {
            if let Some(value) = self.query.find(key) {
                hidden(body, key, value);
            }
        }
        body.push_str("<label>Edit this attribute for all members: <select name=\"att\">");
        for (parameter, _, label) in of_all_members() {
            let _ = write!(body, "<option value=\"{parameter}\">{label}</option>");
        }
        body.push_str("</select></label> <button>Go</button></form></section>\n");
    }
}

/// One field; `value` is what goes now.
fn field(body: &mut String, parameter: &str, key: Key, label: &str, value: &[u8]) {
    let label = markup(label.as_bytes());
    let _ = write!(body, "<label>{label}");
    let choices = words(key);
    if matches!(key, Key::StickySession | Key::StickySessionForce) {
        let _ = write!(body, "<select name=\"{parameter}\">");
        for (text, word) in [(&b"true"[..], "True"), (b"false", "False")] {
            let selected = if value == text { " selected" } else { "" };
            let _ = write!(body, "<option value=\"{}\"{selected}>{word}</option>", markup(text));
        }
        body.push_str("</select>");
    } else if choices.is_empty() {
        let _ = write!(body, "<input name=\"{parameter}\" value=\"{}\">", markup(value));
    } else {
        let _ = write!(body, "<select name=\"{parameter}\">");
        for word in choices {
            let selected = if value == word.as_bytes() { " selected" } else { "" };
            let _ = write!(body, "<option{selected}>{word}</option>");
        }
        body.push_str("</select>");
    }
    body.push_str("</label>");
}
