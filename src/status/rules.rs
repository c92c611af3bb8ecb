//! Where settings come from, and which rule has which path.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::{Part, Setting, Source};
use super::escape::markup;
use super::fields;
use super::html::{Context, anchor, hidden};
use crate::config::WorkerName;

impl Context<'_> {
    /// The settings that go, and where they come from.
    pub(super) fn settings(
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
        let shown = |setting: &&Setting| {
            let only = self.query.find("sw");
            let member = setting.member.as_ref().map(WorkerName::as_bytes);
            only.is_none() || member.is_none() || member == only
        };
        let _ = write!(
            body,
            "<details open data-key=\"settings-{}\"><summary>Settings and where they come from\
             </summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
             aria-label=\"Settings of {name}\"><table><thead><tr><th scope=\"col\">Member</th>\
             <th scope=\"col\">Property</th><th scope=\"col\">Value</th><th scope=\"col\">Source</th></tr></thead><tbody>\n",
            anchor(worker.as_bytes()),
            name = markup(worker.as_bytes())
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
        body.push_str("</tbody></table></div></details>\n");
    }

    pub(super) fn maps(&self, body: &mut String, part: &Part<'_>, worker: &WorkerName) {
        if part.opt.hides_maps() {
            return;
        }
        let name = markup(worker.as_bytes());
        let count = part.snapshot.maps.count(worker);
        if count == 0 {
            let _ = writeln!(body, "<p>Warning: No URI Mappings defined for {name} !</p>");
            return;
        }
        let open = if part.is_list { "" } else { " open" };
        let _ = write!(
            body,
            "<details{open} data-key=\"maps-{}\"><summary>URI Mappings for {name} ({count} maps)\
             </summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" \
             aria-label=\"URI mappings of {name}\"><table><thead><tr>",
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
        body.push_str("</tbody></table></div></details>\n");
    }

    /// Which rule has a URL.
    pub(super) fn which_rule(&self, body: &mut String, source: &impl Source) {
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
