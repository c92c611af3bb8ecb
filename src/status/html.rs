//! The page for people: first what is wrong, in words, then everything.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::{Document, Part, Shown, Source, VERSION, is_read_only};
use super::escape::markup;
use super::page::{Frame, document as frame};
use super::query::{Command, Format, Query, encode, leading_number};
use super::snapshot::Head;
use super::{form, health};
use crate::config::WorkerName;
use crate::config::status::StatusConfig;

/// Seconds between two loads of the page, if nobody says otherwise.
const REFRESH: u32 = 10;

/// What every part of a page needs.
pub(super) struct Context<'a> {
    pub status: &'a StatusConfig,
    pub query: &'a Query,
    pub is_read_only: bool,
    /// What forms send along.
    pub token: &'a str,
}

/// The whole page.
pub(super) fn write(
    status: &StatusConfig,
    document: &Document<'_>,
    query: &Query,
    source: &impl Source,
    token: &str,
) -> Vec<u8> {
    let context = Context { status, query, is_read_only: is_read_only(status, query), token };
    let head = source.head();
    let mut body = String::new();
    if let Some(problem) = &document.problem {
        let message = markup(problem.message.as_bytes());
        let _ = write!(
            body,
            "<section class=\"health bad\" role=\"alert\"><p class=\"result\">Result: ERROR - \
             {message}</p>\n<p><a href=\"?\">JK Status Manager Start Page</a></p></section>\n"
        );
    }
    let mut goes_to = None;
    if let Some(changed) = &document.changed {
        let href = context.back();
        form::result(&mut body, changed, &href);
        goes_to = Some(href);
    }
    if let Some(shown) = &document.shown {
        match shown {
            Shown::Version(_) => {}
            Shown::Form(_, found) => context.form(&mut body, *found, source),
            Shown::Configuration { entries, .. } => dump(&mut body, entries),
            Shown::Workers { .. } | Shown::Balancer { .. } | Shown::Engine { .. } => {
                if let Some(part) = shown.workers() {
                    context.workers(&mut body, &part, source);
                }
            }
        }
    }
    let is_shown = document.shown.is_some();
    let mut title = format!(
        "JK Status Manager for {}:{}",
        String::from_utf8_lossy(head.server_name),
        head.server_port
    );
    if context.is_read_only {
        title.push_str(" (read only)");
    }
    let is_list = matches!(document.shown, Some(Shown::Workers { .. }));
    let is_view =
        is_list || matches!(document.shown, Some(Shown::Balancer { .. } | Shown::Engine { .. }));
    frame(&Frame {
        title,
        note: if is_shown { note(&head) } else { String::new() },
        css: status.css.as_deref(),
        refresh: if is_view { query.refresh() } else { 0 },
        goes_to,
        nav: context.nav(is_list, is_view),
        body,
    })
}

fn note(head: &Head<'_>) -> String {
    format!(
        "<p class=\"soft\">{} &#183; {VERSION} &#183; <time datetime=\"{}\">{}</time></p>",
        markup(head.software),
        head.local(head.now).iso(),
        head.local(head.now).words()
    )
}

fn dump(body: &mut String, entries: &[super::answer::Entry<'_>]) {
    body.push_str(
        "<section><h2>Configuration Data</h2>\n<p class=\"soft\">This dump does not include any \
         changes applied by the status worker to the configuration after the initial startup.</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Configuration\">\
         <table><thead><tr><th scope=\"col\">Property</th><th scope=\"col\">Value</th>\
         <th scope=\"col\">Line</th></tr></thead><tbody>\n",
    );
    for entry in entries {
        let _ = writeln!(
            body,
            "<tr><td class=\"mono\">{}</td><td class=\"mono\">{}</td><td class=\"soft\">{}</td></tr>",
            markup(entry.key),
            markup(entry.value),
            markup(entry.place.as_bytes())
        );
    }
    body.push_str("</tbody></table></div></section>\n");
}

impl Context<'_> {
    /// The address of a view. What is hidden stays hidden, and the refresh goes on where `keeps` says
    /// so.
    pub(super) fn href(&self, parameters: &[(&str, &[u8])], keeps_refresh: bool) -> String {
        let mut href = String::with_capacity(96);
        let mut add = |key: &str, value: &[u8]| {
            href.push_str(if href.is_empty() { "?" } else { "&amp;" });
            href.push_str(key);
            href.push('=');
            encode(&mut href, value);
        };
        for (key, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            add(key, value);
        }
        for key in ["opt", "re"] {
            let is_given = parameters.iter().any(|(known, _)| *known == key);
            let value = self.query.find(key).unwrap_or_default();
            if !is_given && !value.is_empty() && (key != "re" || keeps_refresh) {
                add(key, value);
            }
        }
        if href.is_empty() { "?".to_owned() } else { href }
    }

    fn nav(&self, is_list: bool, is_view: bool) -> String {
        let mut nav = String::new();
        let worker = self.query.find("w").unwrap_or_default();
        let member = self.query.find("sw").unwrap_or_default();
        let command = self.query.command().filter(|command| command.is_harmless());
        let command = command.unwrap_or(Command::List);
        if !is_list {
            let href = self.href(&[("cmd", b"list")], true);
            let _ = write!(nav, "<a href=\"{href}\">Back to worker list</a>");
        }
        let here = [("cmd", command.name().as_bytes()), ("w", worker), ("sw", member)];
        for format in [
            (Format::Xml, "XML"),
            (Format::Properties, "Properties"),
            (Format::Text, "Text"),
            (Format::Json, "JSON"),
            (Format::Prometheus, "Prometheus"),
        ] {
            let mut parameters = here.to_vec();
            parameters.push(("mime", format.0.name().as_bytes()));
            let _ = write!(nav, "<a href=\"{}\">{}</a>", self.href(&parameters, false), format.1);
        }
        let _ = write!(nav, "<a href=\"{}\">Dump</a>", self.href(&[("cmd", b"dump")], false));
        if is_view && !self.status.read_only {
            let options = self.query.find("opt").map_or(0, leading_number) ^ 0x20;
            let options = options.to_string();
            let mut parameters = here.to_vec();
            parameters.push(("opt", options.as_bytes()));
            let words = if self.is_read_only { "Read/Write" } else { "Read Only" };
            let _ = write!(nav, "<a href=\"{}\">{words}</a>", self.href(&parameters, true));
        }
        if is_view {
            self.refresh(&mut nav, &here);
        }
        nav
    }

    fn refresh(&self, nav: &mut String, here: &[(&str, &[u8])]) {
        if self.query.refresh() > 0 {
            let mut parameters = here.to_vec();
            parameters.push(("re", b""));
            let href = self.href(&parameters, false);
            let _ = write!(
                nav,
                "<span>every {} s <button type=\"button\" id=\"pause\" aria-pressed=\"false\" \
                 hidden>Pause</button> <a href=\"{href}\">Stop auto refresh</a> \
                 <span id=\"note\" role=\"status\"></span></span>",
                self.query.refresh()
            );
            return;
        }
        nav.push_str("<form method=\"get\">");
        for (key, value) in
            here.iter().copied().chain(self.query.find("opt").map(|value| ("opt", value)))
        {
            if !value.is_empty() {
                hidden(nav, key, value);
            }
        }
        let _ = write!(
            nav,
            "<button>Start auto refresh</button> <label>every <input name=\"re\" \
             inputmode=\"numeric\" size=\"3\" value=\"{REFRESH}\"> s</label></form>"
        );
    }

    fn workers(&self, body: &mut String, part: &Part<'_>, source: &impl Source) {
        self.health(body, part);
        for balancer in part.balancers {
            self.balancer(body, part, balancer);
            self.settings(body, &balancer.config.name, part.is_list, source);
            self.maps(body, part, &balancer.config.name);
            body.push_str("</section>\n");
        }
        if !part.engines.is_empty() {
            self.engines(body, part, source);
        }
        health::changes(body, part.snapshot);
        self.which_rule(body, source);
        legend(body);
    }

    /// Links of a worker or a member. `may_recover`: it is in error.
    pub(super) fn links(
        &self,
        worker: &WorkerName,
        member: Option<&WorkerName>,
        may_recover: bool,
    ) -> String {
        let (w, sw) = (worker.as_bytes(), member.map(WorkerName::as_bytes).unwrap_or_default());
        let name = markup(if sw.is_empty() { w } else { sw }).into_owned();
        let from = match self.query.find("w") {
            Some(_) => &b"show"[..],
            None => b"list",
        };
        let mut links = String::with_capacity(2048);
        let link = |links: &mut String, command: &str, word: &str| {
            let from = if command == "show" { &b""[..] } else { from };
            let parameters = [("cmd", command.as_bytes()), ("w", w), ("sw", sw), ("from", from)];
            let href = self.href(&parameters, true);
            for part in
                ["<a href=\"", &href, "\" aria-label=\"", word, " ", &name, "\">", word, "</a>"]
            {
                links.push_str(part);
            }
        };
        link(&mut links, "show", "Show");
        if self.is_read_only {
            return links;
        }
        link(&mut links, "edit", "Edit");
        let mut button = |command: &str, word: &str| {
            links.push_str("<form method=\"post\" action=\"?\">");
            for (key, value) in [("cmd", command.as_bytes()), ("w", w), ("sw", sw), ("from", from)]
            {
                if !value.is_empty() {
                    hidden(&mut links, key, value);
                }
            }
            self.hidden_common(&mut links);
            for part in ["<button aria-label=\"", word, " ", &name, "\">", word, "</button></form>"]
            {
                links.push_str(part);
            }
        };
        button("reset", "Reset");
        if may_recover {
            button("recover", "Try");
        }
        links
    }

    /// What every form that changes something has.
    pub(super) fn hidden_common(&self, body: &mut String) {
        for key in ["opt", "re"] {
            if let Some(value) = self.query.find(key) {
                hidden(body, key, value);
            }
        }
        hidden(body, "token", self.token.as_bytes());
    }

    /// The view that a form was opened from.
    pub(super) fn back(&self) -> String {
        let worker = self.query.find("w").unwrap_or_default();
        match self.query.find("from") {
            Some(b"show") => self.href(&[("cmd", b"show"), ("w", worker)], true),
            _ => self.href(&[("cmd", b"list")], true),
        }
    }
}

pub(super) fn hidden(body: &mut String, key: &str, value: &[u8]) {
    for part in ["<input type=\"hidden\" name=\"", key, "\" value=\"", &markup(value), "\">"] {
        body.push_str(part);
    }
}

/// A name that an element can be found by.
pub(super) fn anchor(name: &[u8]) -> String {
    let mut text = String::from("w");
    for byte in name {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn legend(body: &mut String) {
    body.push_str("<details data-key=\"legend\"><summary>Legend</summary><dl>");
    for (name, text) in [
        ("Acc", "requests sent"),
        ("Sess", "sessions opened"),
        ("Err", "failed requests"),
        ("CE", "failures of clients"),
        ("RE", "reply timeouts"),
        ("Con", "open connections"),
        ("Wr, Rd", "bytes to and from the engine"),
        ("F/D", "load factor and distance"),
        ("ACT", "active: all requests"),
        ("DIS", "disabled: requests of its sessions"),
        ("STP", "stopped: no requests"),
    ] {
        let _ = write!(body, "<div><dt>{name}</dt><dd>{text}</dd></div>");
    }
    body.push_str("</dl></details>\n");
}
