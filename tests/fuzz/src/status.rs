//! Status pages: whatever is asked, and whatever names there are, each format is what its parsers
//! expect, and nothing is changed that must not be.

use mod_jk::config::WorkerConfig;
use mod_jk::config::edit::{self, Edit, Stored};
use mod_jk::status::answer::{Answer, Asked, Source as _, answer};
use mod_jk::status::origin::Browser;
use mod_jk::status::query::Query;
use mod_jk::status::{query, section};

use super::input::Input;
use super::site::Site;
use super::{memory, strict};

/// Decisions, a name, a value, and then a query string; behind a newline, a form.
pub fn status(data: &[u8]) {
    let mut input = Input::new(data);
    let decisions = input.word();
    let (name, value) = (input.text(), input.text());
    // A string of C ends with its first zero byte.
    let rest = input.rest().split(|byte| *byte == 0).next().unwrap_or_default();
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let (query, form) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    parsed(query);
    let site = Site::new(decisions, name, value);
    let browser = browser(&site, decisions);
    for section in [true, false].map(|is_short| section::write(&site.snapshot(), is_short)) {
        assert!(section.ends_with(b"\n"));
    }
    let answered = |query: &[u8]| {
        let user = (decisions & 1 == 1).then_some(value);
        let asked = Asked { query, form, browser, user };
        let limit = 2_000_000 + 2000 * (query.len() + form.len() + value.len());
        memory::at_most(limit, || answer(&site.config, &asked, &site))
    };
    checked(&answered(query));
    // All of them would take six times as long.
    let formats = ["html", "xml", "txt", "prop", "json", "prom"];
    let format = formats[usize::from(decisions >> 5) % formats.len()];
    checked(&answered(&[query, b"&mime=", format.as_bytes()].concat()));
    let is_read_only = site.config.read_only;
    let acts = site.acts.take();
    // Another site, a form that is not ours, a read-only page: nothing is changed.
    assert!(acts.is_empty() || !is_read_only && form.is_empty());
    assert!(acts.is_empty() || browser.fetch_site != Some(b"cross-site"));
    for (worker, edits) in acts {
        edited(&worker, &edits);
    }
}

/// Where a request comes from.
fn browser(site: &Site, decisions: u16) -> Browser<'_> {
    let some = |bit: u16, text: &'static [u8]| (decisions & bit == bit).then_some(text);
    Browser {
        fetch_site: some(16, b"cross-site").or(some(32, b"same-origin")),
        origin: (decisions & 64 == 64).then_some(&site.value),
        referer: some(128, b"http://h/"),
        host: some(8, b"h"),
        language: some(4, b"en"),
    }
}

/// What is read from a query string can be written again.
fn parsed(text: &[u8]) {
    let parsed = Query::parse(text);
    for key in ["cmd", "mime", "w", "sw", "val0", "opt"] {
        let Some(value) = parsed.find(key) else { continue };
        assert!(!value.contains(&0) && value.len() <= text.len());
        let written: String = value.iter().map(|byte| format!("%{byte:02X}")).collect();
        let again = Query::parse(format!("{key}={written}").as_bytes());
        assert_eq!(again.find(key), Some(value));
    }
    assert!(parsed.refresh() <= i32::MAX.unsigned_abs());
    let bits = [query::Options::READ_ONLY, query::Options::NO_MAPS, query::Options::NO_MEMBERS];
    assert!(parsed.find("opt").is_some() || !bits.into_iter().any(|bit| parsed.options().has(bit)));
    if let Some(command) = parsed.command().filter(|_| parsed.find("cmd").is_some()) {
        assert_eq!(parsed.find("cmd"), Some(command.name().as_bytes()));
        assert!(!(command.is_harmless() && command.is_change()));
    }
    let format = parsed.format().filter(|_| parsed.find("mime").is_some());
    assert!(format.is_none_or(|format| parsed.find("mime") == Some(format.name().as_bytes())));
}

fn checked(answer: &Answer) {
    assert!([200, 400, 403, 404].contains(&answer.status), "{}", answer.status);
    assert_eq!(answer.status == 200, answer.problem.is_empty());
    let text = || std::str::from_utf8(&answer.body).expect("UTF-8");
    match answer.content_type {
        "text/html; charset=utf-8" => strict::html(text()),
        "text/xml" => drop(strict::xml(text())),
        "application/json" => drop(strict::json(text())),
        "text/plain; version=0.0.4; charset=utf-8" => drop(strict::prometheus(text())),
        "text/plain" if answer.body.starts_with(b"worker.") => {
            drop(strict::properties(&answer.body));
        }
        "text/plain" => strict::lines(&answer.body),
        other => panic!("{other}"),
    }
}

/// All settings are changed or none, and what is kept gives the same settings again.
fn edited(worker: &WorkerConfig, edits: &[Edit]) {
    let Ok(merged) = edit::merge(worker, Vec::new(), edits) else { return };
    assert_eq!(edit::effective(worker, &merged.stored), merged.config);
    let kept: Vec<Stored> = edit::decode(&edit::encode(&merged.stored));
    assert_eq!(kept, merged.stored);
    for change in &merged.changes {
        let now = edit::value(&merged.config, change.member, change.key);
        assert_eq!(now.as_ref(), Some(&change.new));
        assert_ne!(change.old, change.new);
    }
    let (carried, overruled) = edit::carry(merged.stored.clone(), worker, Some);
    assert!(carried == merged.stored && overruled.is_empty());
}
