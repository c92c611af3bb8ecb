//! The tables of the page: balancers with their members, and single engines.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::{Part, Source};
use super::escape::markup;
use super::fields;
use super::health::state_words;
use super::html::{Context, anchor};
use super::snapshot::{Balancer, Engine, Judgement, Member};
use super::time::lasting;
use crate::shared::State;

impl Context<'_> {
    pub(super) fn balancer(&self, body: &mut String, part: &Part<'_>, balancer: &Balancer<'_>) {
        let (config, head) = (balancer.config, &part.snapshot.head);
        let name = markup(config.name.as_bytes());
        let id = anchor(config.name.as_bytes());
        let _ = write!(
            body,
            "<section aria-labelledby=\"{id}\"><h2 id=\"{id}\">Worker Status for {name}</h2>\n\
             <div class=\"actions\">{}</div>\n",
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
        columns(
            body,
            &[
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
            ],
        );
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
            // By default a rule of C mod_jk counts them as good; the section above lists them.
            Judgement::Good if member.state.is_recovering() => "warn",
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
        cell(
            body,
            "State",
            &format!("<span><span class=\"tag {class}\">{state}</span> {words}</span>"),
        );
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
        cell(body, "Route", &format!("<span>{}</span>", route.join("<br>")));
        cell(body, "Address", &address(engine));
        let may_recover = member.state == State::Error;
        cell(
            body,
            "Actions",
            &format!(
                "<div class=\"actions\">{}</div>",
                self.links(name, Some(member.name()), may_recover)
            ),
        );
        body.push_str("</tr>\n");
    }

    pub(super) fn engines(&self, body: &mut String, part: &Part<'_>, source: &impl Source) {
        body.push_str(
            "<section aria-labelledby=\"engines\"><h2 id=\"engines\">AJP Workers</h2>\n\
             <div class=\"scroll\" id=\"s-engines\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Table of AJP workers\"><table class=\"cards\"><thead><tr>",
        );
        columns(
            body,
            &[
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
            ],
        );
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
            cell(body, "Actions", &format!("<div class=\"actions\">{links}</div>"));
            body.push_str("</tr>\n");
        }
        body.push_str("</tbody></table></div>\n");
        for engine in part.engines {
            self.settings(body, &engine.config.name, part.is_list, source);
            self.maps(body, part, &engine.config.name);
        }
        body.push_str("</section>\n");
    }
}

fn yes_no(is_on: bool) -> &'static str {
    if is_on { "True" } else { "False" }
}

fn facts(body: &mut String, facts: &[(&str, String)]) {
    body.push_str("<dl>");
    for (name, value) in facts {
        let _ = write!(body, "<div><dt>{name}</dt><dd>{}</dd></div>", markup(value.as_bytes()));
    }
    body.push_str("</dl>\n");
}

/// A cell; `content` is markup.
pub(super) fn cell(body: &mut String, label: &str, content: &str) {
    for part in ["<td data-l=\"", label, "\">", content, "</td>"] {
        body.push_str(part);
    }
}

/// The counters of an engine. `member`: its sessions, and the failures that count against it.
fn numbers(body: &mut String, engine: &Engine<'_>, member: Option<(u64, u32)>) {
    let mut number = |label: &str, text: String| {
        for part in ["<td class=\"n\" data-l=\"", label, "\">", &text, "</td>"] {
            body.push_str(part);
        }
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

/// The heads of the columns of a table.
fn columns(body: &mut String, names: &[&str]) {
    const NUMBERS: [&str; 9] =
        ["Acc", "Sess", "Err", "CE", "RE", "Busy (max)", "Con (max)", "Wr", "Rd"];
    for name in names {
        let class = if NUMBERS.contains(name) { " class=\"n\"" } else { "" };
        let _ = write!(body, "<th scope=\"col\"{class}>{name}</th>");
    }
}
