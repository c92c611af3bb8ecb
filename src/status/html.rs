//! The page for people: first what is wrong, in words, then everything.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::{Document, Part, Shown, Source, VERSION, is_read_only};
use super::escape::markup;
use super::fields;
use super::form;
use super::page::{Frame, document as frame};
use super::query::{Command, Format, Query, encoded, leading_number};
use super::snapshot::{Balancer, Engine, Head, Judgement, Member, Snapshot};
use super::time::lasting;
use crate::config::status::StatusConfig;
use crate::config::{Activation, WorkerName};
use crate::shared::State;

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

/// Whether something deserves attention, and the sentence about it.
struct Concern {
    is_bad: bool,
    text: String,
}

impl Context<'_> {
    /// The address of a view. What is hidden stays hidden, and the refresh goes on where `keeps` says
    /// so.
    pub(super) fn href(&self, parameters: &[(&str, &[u8])], keeps_refresh: bool) -> String {
        let mut parts: Vec<String> = parameters
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}={}", encoded(value)))
            .collect();
        for key in ["opt", "re"] {
            let is_given = parameters.iter().any(|(known, _)| *known == key);
            let value = self.query.find(key).unwrap_or_default();
            if !is_given && !value.is_empty() && (key != "re" || keeps_refresh) {
                parts.push(format!("{key}={}", encoded(value)));
            }
        }
        format!("?{}", parts.join("&amp;"))
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
        changes(body, part.snapshot);
        self.which_rule(body, source);
        legend(body);
    }

    /// What is wrong and since when, in words.
    fn health(&self, body: &mut String, part: &Part<'_>) {
        let head = &part.snapshot.head;
        let mut concerns = Vec::new();
        let mut members = 0usize;
        for balancer in part.balancers {
            members = members.saturating_add(balancer.members.len());
            concerns.extend(self.concerns(balancer, head));
        }
        for engine in part.engines.iter().filter(|engine| engine.is_failing) {
            let name = markup(engine.config.name.as_bytes()).into_owned();
            let since = head.ago(engine.error_time);
            let text = format!(
                "<strong>{name}</strong>: its last request failed, {} ago.",
                lasting(since)
            );
            concerns.push(Concern { is_bad: true, text });
        }
        let class = match concerns.iter().map(|concern| concern.is_bad).max() {
            None => "",
            Some(false) => " warn",
            Some(true) => " bad",
        };
        let _ = writeln!(
            body,
            "<section class=\"health{class}\" aria-labelledby=\"health\">\
             <h2 id=\"health\">Health</h2>"
        );
        if concerns.is_empty() {
            let (balancers, engines) = (part.balancers.len(), part.engines.len());
            let _ = writeln!(
                body,
                "<p>All is well: {} with {}, {}.</p>",
                count(balancers, "balancer"),
                count(members, "member"),
                count(engines, "single worker")
            );
        } else {
            concerns.sort_by_key(|concern| !concern.is_bad);
            body.push_str("<ul>\n");
            for concern in concerns {
                let _ = writeln!(body, "<li>{}</li>", concern.text);
            }
            body.push_str("</ul>\n");
        }
        body.push_str("</section>\n");
    }

    fn concerns(&self, balancer: &Balancer<'_>, head: &Head<'_>) -> Vec<Concern> {
        let name = markup(balancer.config.name.as_bytes());
        let mut concerns = Vec::new();
        let is_usable = |m: &Member<'_>| m.state.is_usable() && m.activation == Activation::Active;
        if !balancer.members.iter().any(is_usable) {
            let text = format!(
                "<strong>{name}</strong>: no member takes new sessions; requests may get 503."
            );
            concerns.push(Concern { is_bad: true, text });
        }
        for member in &balancer.members {
            if member.rating(self.status) == Judgement::Good && member.state.is_sound() {
                continue;
            }
            let since = match member.first_error {
                0 => String::new(),
                time => {
                    format!(" since {} ({})", head.local(time).words(), lasting(head.ago(time)))
                }
            };
            let next = match member.state {
                State::Error => {
                    let (least, most) = balancer.next_try(member, head);
                    format!(", tried again in {least} to {most} s")
                }
                _ => String::new(),
            };
            let what = state_words(member.state);
            let active = match member.activation {
                Activation::Active => "",
                Activation::Disabled => "; disabled: it gets requests of its sessions only",
                Activation::Stopped => "; stopped: it gets no requests",
            };
            let text = format!(
                "<strong>{}</strong> of {name}: {what}{since}{next}{active}.",
                markup(member.name().as_bytes())
            );
            let is_bad = member.rating(self.status) == Judgement::Bad
                && member.activation != Activation::Stopped
                || member.state == State::Error;
            concerns.push(Concern { is_bad, text });
        }
        concerns
    }

    fn balancer(&self, body: &mut String, part: &Part<'_>, balancer: &Balancer<'_>) {
        let (config, head) = (balancer.config, &part.snapshot.head);
        let name = markup(config.name.as_bytes());
        let id = anchor(config.name.as_bytes());
        let _ = write!(
            body,
            "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">Worker Status for {name}</h2>\n\
             <p class=\"actions\">{}</p>\n",
            self.links(&config.name, None, false)
        );
        let judged = |judgement| balancer.count(self.status, judgement).to_string();
        let (least, most) = balancer.next_maintenance(head);
        facts(
            body,
            &[
                ("Good", judged(Judgement::Good)),
                ("Degraded", judged(Judgement::Degraded)),
                ("Bad/Stopped", judged(Judgement::Bad)),
                ("Busy", balancer.busy.to_string()),
                ("Max Busy", balancer.max_busy.to_string()),
                ("Failovers", balancer.failovers.to_string()),
                ("Method", fields::method(config.method).to_owned()),
                ("Sticky Sessions", yes_no(config.sticky_session).to_owned()),
                ("Force Sticky", yes_no(config.sticky_session_force).to_owned()),
                ("Next Maintenance", format!("{least}/{most} s")),
                ("Last Reset", format!("{} ago", lasting(head.ago(balancer.last_reset)))),
            ],
        );
        if part.opt.hides_members() {
            return;
        }
        let _ = write!(
            body,
            "<div class=\"scroll\" id=\"s-{id}\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Members of {name}\"><table class=\"cards\"><caption>Balancer Members\
             </caption><thead><tr>"
        );
        for column in [
            "Name",
            "State",
            "Act",
            "Share",
            "Acc",
            "Sess",
            "Err",
            "CE",
            "RE",
            "Busy (max)",
            "Con (max)",
            "Wr",
            "Rd",
            "F/D",
            "Route",
            "Address",
            "Actions",
        ] {
            let _ = write!(body, "<th scope=\"col\">{column}</th>");
        }
        body.push_str("</tr></thead><tbody>\n");
        let all = balancer.members.iter().fold(0u64, |n, m| n.saturating_add(m.engine.used));
        for member in part.members(balancer) {
            self.member(body, balancer, member, all);
        }
        body.push_str("</tbody></table></div>\n");
    }

    fn member(&self, body: &mut String, balancer: &Balancer<'_>, member: &Member<'_>, all: u64) {
        let engine = &member.engine;
        let class = match member.rating(self.status) {
            Judgement::Good => "good",
            Judgement::Degraded => "warn",
            Judgement::Bad => "bad",
        };
        let share = engine.used.saturating_mul(100).checked_div(all).unwrap_or_default();
        let route = [
            (&member.config.route, ""),
            (&member.config.domain, "domain "),
            (&member.config.redirect, "redirect "),
        ];
        let route: Vec<String> = route
            .iter()
            .filter(|(label, _)| !label.is_empty())
            .map(|(label, word)| format!("{word}{}", markup(label.as_bytes())))
            .collect();
        let name = &balancer.config.name;
        let _ = write!(
            body,
            "<tr class=\"{class}\"><th scope=\"row\">{}</th>",
            markup(member.name().as_bytes())
        );
        let state = member.state.text();
        let words = state_words(member.state);
        cell(body, "State", &format!("<span class=\"tag {class}\">{state}</span> {words}"));
        cell(body, "Act", fields::activation(member.activation));
        cell(
            body,
            "Share",
            &format!(
                "<span>{share} %<span class=\"bar\"><i style=\"width:{share}%\"></i></span></span>"
            ),
        );
        numbers(body, engine, Some((member.sessions, member.errors)));
        cell(body, "F/D", &format!("{}/{}", member.config.lbfactor, member.config.distance));
        cell(body, "Route", &route.join("<br>"));
        cell(body, "Address", &address(engine));
        let may_recover = member.state == State::Error;
        cell(
            body,
            "Actions",
            &format!(
                "<span class=\"actions\">{}</span>",
                self.links(name, Some(member.name()), may_recover)
            ),
        );
        body.push_str("</tr>\n");
    }

    fn engines(&self, body: &mut String, part: &Part<'_>, source: &impl Source) {
        body.push_str(
            "<section aria-labelledby=\"engines\"><h2 id=\"engines\">AJP Workers</h2>\n\
             <div class=\"scroll\" id=\"s-engines\" tabindex=\"0\" role=\"region\" \
             aria-label=\"AJP workers\"><table class=\"cards\"><thead><tr>",
        );
        for column in [
            "Name",
            "State",
            "Acc",
            "Err",
            "CE",
            "RE",
            "Busy (max)",
            "Con (max)",
            "Wr",
            "Rd",
            "Address",
            "Last error",
            "Actions",
        ] {
            let _ = write!(body, "<th scope=\"col\">{column}</th>");
        }
        body.push_str("</tr></thead><tbody>\n");
        let head = &part.snapshot.head;
        for engine in part.engines {
            let class = if engine.is_failing { "bad" } else { "good" };
            let name = &engine.config.name;
            let _ = write!(
                body,
                "<tr class=\"{class}\"><th scope=\"row\">{}</th>",
                markup(name.as_bytes())
            );
            cell(body, "State", &format!("<span class=\"tag {class}\">{}</span>", engine.state()));
            numbers(body, engine, None);
            cell(body, "Address", &address(engine));
            let last = match engine.error_time {
                0 => "never".to_owned(),
                time => head.local(time).words(),
            };
            cell(body, "Last error", &last);
            let links = self.links(name, None, false);
            cell(body, "Actions", &format!("<span class=\"actions\">{links}</span>"));
            body.push_str("</tr>\n");
        }
        body.push_str("</tbody></table></div>\n");
        for engine in part.engines {
            self.settings(body, &engine.config.name, part.is_list, source);
            self.maps(body, part, &engine.config.name);
        }
        body.push_str("</section>\n");
    }

    /// Links of a worker or a member. `may_recover`: it is in error.
    fn links(&self, worker: &WorkerName, member: Option<&WorkerName>, may_recover: bool) -> String {
        let (w, sw) = (worker.as_bytes(), member.map(WorkerName::as_bytes).unwrap_or_default());
        let name = markup(if sw.is_empty() { w } else { sw }).into_owned();
        let from = match self.query.find("w") {
            Some(_) => &b"show"[..],
            None => b"list",
        };
        let link = |command: &str, word: &str| {
            let from = if command == "show" { &b""[..] } else { from };
            let parameters = [("cmd", command.as_bytes()), ("w", w), ("sw", sw), ("from", from)];
            let href = self.href(&parameters, true);
            format!("<a href=\"{href}\" aria-label=\"{word} {name}\">{word}</a>")
        };
        let mut links = link("show", "Show");
        if self.is_read_only {
            return links;
        }
        links.push_str(&link("edit", "Edit"));
        let mut button = |command: &str, word: &str| {
            links.push_str("<form method=\"post\" action=\"?\">");
            for (key, value) in [("cmd", command.as_bytes()), ("w", w), ("sw", sw), ("from", from)]
            {
                if !value.is_empty() {
                    hidden(&mut links, key, value);
                }
            }
            self.hidden_common(&mut links);
            let _ = write!(links, "<button aria-label=\"{word} {name}\">{word}</button></form>");
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

    /// The settings that go, and where they come from.
    fn settings(
        &self,
        body: &mut String,
        worker: &WorkerName,
        is_list: bool,
        source: &impl Source,
    ) {
        // A list of many workers would grow long.
        if is_list {
            return;
        }
        let settings = source.settings(worker);
        let shown = |setting: &&super::answer::Setting| {
            let only = self.query.find("sw");
            let member = setting.member.as_ref().map(WorkerName::as_bytes);
            only.is_none() || member.is_none() || member == only
        };
        let _ = write!(
            body,
            "<details open data-key=\"settings-{}\"><summary>Settings and where they come from\
             </summary>\n<table><thead><tr><th scope=\"col\">Member</th><th scope=\"col\">Property\
             </th><th scope=\"col\">Value</th><th scope=\"col\">Source</th></tr></thead><tbody>\n",
            anchor(worker.as_bytes())
        );
        for setting in settings.iter().filter(shown) {
            let member = setting.member.as_ref().map(WorkerName::as_bytes).unwrap_or_default();
            let source = setting.source.as_deref().unwrap_or("default");
            let _ = writeln!(
                body,
                "<tr><td>{}</td><td class=\"mono\">{}</td><td class=\"mono\">{}</td>\
                 <td class=\"soft\">{}</td></tr>",
                markup(member),
                setting.key,
                markup(setting.value.as_bytes()),
                markup(source.as_bytes())
            );
        }
        body.push_str("</tbody></table></details>\n");
    }

    fn maps(&self, body: &mut String, part: &Part<'_>, worker: &WorkerName) {
        if part.opt.hides_maps() {
            return;
        }
        let name = markup(worker.as_bytes());
        let count = part.snapshot.maps_of(worker).count();
        if count == 0 {
            let _ = writeln!(body, "<p>Warning: No URI Mappings defined for {name} !</p>");
            return;
        }
        let open = if part.is_list { "" } else { " open" };
        let _ = write!(
            body,
            "<details{open} data-key=\"maps-{}\"><summary>URI Mappings for {name} ({count} maps)\
             </summary>\n<table><thead><tr>",
            anchor(worker.as_bytes())
        );
        for column in ["Server", "URI", "Match Type", "Source", "Options", "Line"] {
            let _ = write!(body, "<th scope=\"col\">{column}</th>");
        }
        body.push_str("</tr></thead><tbody>\n");
        for (_, map) in part.maps(worker) {
            let options: Vec<String> = fields::map(map)
                .iter()
                .skip(4)
                .filter(|field| !matches!(&*field.value, b"" | b"0" | b"-1"))
                .map(|field| format!("{}={}", field.name, markup(&field.value)))
                .collect();
            let _ = writeln!(
                body,
                "<tr><td>{}</td><td class=\"mono\">{}</td><td>{}</td><td>{}</td>\
                 <td class=\"mono\">{}</td><td class=\"soft\">{}</td></tr>",
                markup(map.server.as_bytes()),
                markup(map.rule.pattern.as_bytes()),
                fields::kind(map),
                map.rule.source.name(),
                options.join(" "),
                markup(map.rule.place.to_string().as_bytes())
            );
        }
        body.push_str("</tbody></table></details>\n");
    }

    /// Which rule has a URL.
    fn which_rule(&self, body: &mut String, source: &impl Source) {
        let url = self.query.find("url").unwrap_or_default();
        body.push_str(
            "<section aria-labelledby=\"rule\"><h2 id=\"rule\">Which rule matches this URL?</h2>\n\
             <form method=\"get\">",
        );
        for key in ["cmd", "w", "sw", "opt"] {
            if let Some(value) = self.query.find(key) {
                hidden(body, key, value);
            }
        }
        let _ = writeln!(
            body,
            "<label>URL or path <input class=\"wide\" name=\"url\" value=\"{}\"></label> \
             <button>Find</button></form>",
            markup(url)
        );
        if !url.is_empty() {
            body.push_str("<ul>\n");
            for mapped in source.lookup(&path_of(url)) {
                let rule = mapped.rule.as_ref().map_or_else(String::new, |(rule, line)| {
                    format!(
                        ": <code>{}</code> <span class=\"soft\">{}</span>",
                        markup(rule.as_bytes()),
                        markup(line.as_bytes())
                    )
                });
                let _ = writeln!(
                    body,
                    "<li>{}: {}{rule}</li>",
                    markup(mapped.server.as_bytes()),
                    markup(mapped.verdict.as_bytes())
                );
            }
            body.push_str("</ul>\n");
        }
        body.push_str("</section>\n");
    }
}

/// The decoded path of a URL.
fn path_of(url: &[u8]) -> Vec<u8> {
    let begin = url.windows(3).position(|three| three == b"://").map_or(0, |at| {
        let host = at.saturating_add(3);
        let rest = url.get(host..).unwrap_or_default();
        let path = rest.iter().position(|byte| *byte == b'/');
        host.saturating_add(path.unwrap_or(rest.len()))
    });
    let path = url.get(begin..).unwrap_or_default();
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let hex = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if hex(high).is_some() && hex(low).is_some() => {
                let (high, low) = (hex(high).unwrap_or_default(), hex(low).unwrap_or_default());
                decoded.push(high << 4 | low);
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

pub(super) fn hidden(body: &mut String, key: &str, value: &[u8]) {
    let _ = write!(body, "<input type=\"hidden\" name=\"{key}\" value=\"{}\">", markup(value));
}

/// A name that an element can be found by.
fn anchor(name: &[u8]) -> String {
    let mut text = String::from("w");
    for byte in name {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn yes_no(is_on: bool) -> &'static str {
    if is_on { "True" } else { "False" }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn facts(body: &mut String, facts: &[(&str, String)]) {
    body.push_str("<dl>");
    for (name, value) in facts {
        let _ = write!(body, "<div><dt>{name}</dt><dd>{}</dd></div>", markup(value.as_bytes()));
    }
    body.push_str("</dl>\n");
}

/// A cell; `content` is markup.
fn cell(body: &mut String, label: &str, content: &str) {
    let _ = write!(body, "<td data-l=\"{label}\">{content}</td>");
}

/// The counters of an engine. `member`: its sessions, and the failures that count against it.
fn numbers(body: &mut String, engine: &Engine<'_>, member: Option<(u64, u32)>) {
    let mut number = |label: &str, text: String| {
        let _ = write!(body, "<td class=\"n\" data-l=\"{label}\">{text}</td>");
    };
    number("Acc", engine.used.to_string());
    if let Some((sessions, _)) = member {
        number("Sess", sessions.to_string());
    }
    number("Err", member.map_or(engine.errors, |(_, errors)| errors).to_string());
    number("CE", engine.client_errors.to_string());
    number("RE", engine.reply_timeouts.to_string());
    number("Busy (max)", format!("{} ({})", engine.busy, engine.max_busy));
    number("Con (max)", format!("{} ({})", engine.connected, engine.max_connected));
    number("Wr", size(engine.transferred));
    number("Rd", size(engine.read));
}

fn address(engine: &Engine<'_>) -> String {
    let address = engine.address.as_deref().unwrap_or("unresolved");
    format!("<span class=\"mono\">{}</span>", markup(address.as_bytes()))
}

/// Bytes with two or three digits and a unit.
fn size(bytes: u64) -> String {
    let mut whole = bytes;
    let mut rest = 0;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if whole < 1000 {
            return match whole < 10 && unit != "B" {
                true => format!("{whole}.{} {unit}", rest * 10 / 1024),
                false => format!("{whole} {unit}"),
            };
        }
        rest = whole % 1024;
        whole /= 1024;
    }
    format!("{whole} EiB")
}

fn state_words(state: State) -> &'static str {
    match state {
        State::Idle => "idle",
        State::Ok => "working",
        State::Recover => "waiting for a test",
        State::Force => "in error, tried as nobody else is left",
        State::Busy => "busy",
        State::Error => "in error",
        State::Probe => "being tested",
    }
}

fn changes(body: &mut String, snapshot: &Snapshot<'_>) {
    if snapshot.changes.is_empty() {
        return;
    }
    body.push_str(
        "<section aria-labelledby=\"changes\"><h2 id=\"changes\">Recent changes of state</h2>\n\
         <table class=\"cards\"><thead><tr><th scope=\"col\">Member</th><th scope=\"col\">When</th>\
         <th scope=\"col\">From</th><th scope=\"col\">To</th><th scope=\"col\">Why</th></tr></thead>\
         <tbody>\n",
    );
    let head = &snapshot.head;
    for change in &snapshot.changes {
        let (balancer, member) = (change.balancer.as_bytes(), change.member.as_bytes());
        let _ =
            write!(body, "<tr><th scope=\"row\">{} of {}</th>", markup(member), markup(balancer));
        let ago = lasting(head.ago(change.time));
        cell(body, "When", &format!("{} ({ago} ago)", head.local(change.time).words()));
        cell(body, "From", change.from.text());
        cell(body, "To", change.to.text());
        cell(body, "Why", change.cause);
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></section>\n");
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
