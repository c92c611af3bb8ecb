//! What is wrong and since when, in words, and what has changed.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::Part;
use super::escape::markup;
use super::html::Context;
use super::snapshot::{Balancer, Head, Judgement, Member, Snapshot};
use super::tables::cell;
use super::time::lasting;
use crate::config::Activation;
use crate::shared::State;

impl Context<'_> {
    /// What is wrong and since when, in words.
    pub(super) fn health(&self, body: &mut String, part: &Part<'_>) {
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
                State::Error => match balancer.next_try(member, head) {
                    (least, most) if least == most => format!(", tried again in {most} s"),
                    (least, most) => format!(", tried again in {least} to {most} s"),
                },
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
}

/// Whether something deserves attention, and the sentence about it.
struct Concern {
    is_bad: bool,
    text: String,
}

pub(super) fn state_words(state: State) -> &'static str {
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

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

pub(super) fn changes(body: &mut String, snapshot: &Snapshot<'_>) {
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
