//! Every format with names and values that try to break it, read by a strict parser.
#![forbid(unsafe_code)]

#[path = "../../tests/fuzz/src/site.rs"]
mod site;
#[path = "../../tests/it/support/strict.rs"]
mod strict;

use super::answer::{Answer, Asked, NotDone, Source as _, answer};
use super::origin::{Browser, token};
use site::Site;

/// Bytes that end things in one format or another, but for those that no name can have.
const HOSTILE: &str = "a\"'<b>&amp;]]>--\u{7f}\u{1b}\\u0041${x}{}=:#!é\u{2028}";

/// The third state has an engine that is failing, and a member in error.
const IN_ERROR: u16 = 5 << 8 | 8;

fn site(decisions: u16) -> Site {
    let value = [HOSTILE.as_bytes(), b"\xff\n\r\t \0# TYPE x\njk_x 1\nworker.x=y"].concat();
    Site::new(decisions, &[HOSTILE.as_bytes(), b"\xff"].concat(), &value)
}

/// The member of every byte that is hostile and that a name can have.
fn name(site: &Site) -> Vec<u8> {
    site.snapshot().balancers[0].members[0].name().as_bytes().to_vec()
}

fn ask_of(site: &Site, query: &str, form: &str, browser: Browser<'_>) -> Answer {
    let (query, form) = (query.as_bytes(), form.as_bytes());
    answer(&site.config, &Asked { query, form, browser, user: None }, site)
}

fn ask_as(query: &str, form: &str, browser: Browser<'_>) -> Answer {
    ask_of(&site(IN_ERROR), query, form, browser)
}

fn ask(query: &str) -> Answer {
    ask_as(query, "", Browser::default())
}

/// All commands and what they can be about.
fn queries() -> Vec<String> {
    let mut member = String::new();
    super::query::encode(&mut member, &name(&site(IN_ERROR)));
    let mut queries: Vec<String> =
        ["list", "version", "dump", "foo", "show&w=lb", "show&w=one", "edit&w=lb", "edit&w=one"]
            .map(|command| format!("cmd={command}"))
            .to_vec();
    queries.extend([
        format!("cmd=show&w=lb&sw={member}&url=%3Cscript%3E%22"),
        format!("cmd=edit&w=lb&sw={member}&from=%22%3E%3Cscript%3E"),
        "cmd=edit&w=lb&att=vwa".to_owned(),
        "cmd=update&w=lb&sw=*&vwf=7&vwc=%3Cb%3E".to_owned(),
        "cmd=update&w=lb&sw=*&vwn=%3Cb%3E%22%0A%ff".to_owned(),
        "cmd=update&w=lb&vlm=%3Cb%3E%22%0A%ff".to_owned(),
        "cmd=show&w=%3Cscript%3E%22%01%ff".to_owned(),
        format!("cmd=reset&w=lb&sw={member}"),
        format!("cmd=recover&w=lb&sw={member}"),
    ]);
    queries
}

#[test]
fn every_document_parses() {
    // Names of a member, or of an engine as well; all states.
    for decisions in (0..7).map(|state| state << 8 | 8).chain([IN_ERROR | 4]) {
        let site = site(decisions);
        for query in queries() {
            let get = |format: &str| {
                ask_of(&site, &format!("{query}&mime={format}"), "", Browser::default()).body
            };
            let text = |format: &str| String::from_utf8(get(format)).expect("UTF-8");
            strict::xml(&text("xml"));
            strict::json(&text("json"));
            strict::properties(&get("prop"));
            strict::lines(&get("txt"));
            strict::prometheus(&text("prom"));
            strict::html(&text("html"));
        }
    }
}

/// What a parser gets of a name is the name.
#[test]
fn names_come_whole_out_of_each_format() {
    let site = site(IN_ERROR);
    let name = name(&site);
    let get = |format: &str| {
        ask_of(&site, &format!("cmd=list&mime={format}"), "", Browser::default()).body
    };
    assert!(strict::properties(&get("prop")).iter().any(|(_, value)| *value == name));
    let text = String::from_utf8(get("json")).expect("UTF-8");
    let shown = super::escape::unicode(&name);
    assert!(strict::json(&text).contains(&shown.into_owned()), "{text}");
    let text = String::from_utf8(get("xml")).expect("UTF-8");
    let shown = String::from_utf8_lossy(&name).replace('\u{fffd}', "\\xff");
    let shown = shown.replace('\u{1b}', "\\x1b").replace('\u{7f}', "\\x7f");
    assert!(strict::xml(&text).contains(&shown), "{text}");
}

#[test]
fn all_reasons_are_told_and_nothing_of_them_is_markup() {
    let refused = |why: NotDone| {
        let site = site(IN_ERROR);
        site.refusal.replace(Some(why));
        ask_of(&site, "cmd=update&w=lb&vlm=bad", "", Browser::default())
    };
    let answer = refused(NotDone::Refused(vec![HOSTILE.to_owned(), "second".to_owned()]));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.problem, format!("Update failed: {HOSTILE}; second"));
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("Result: ERROR - Update failed: a&quot;&#39;&lt;b&gt;"), "{page}");
    // What may go well the next time is told from what never will.
    let answer = refused(NotDone::Busy("another one".to_owned()));
    assert_eq!((answer.status, &*answer.problem), (503, "Update failed: another one"));
}

#[test]
fn only_forms_of_our_own_page_change_something() {
    let own = Browser {
        language: None,
        fetch_site: Some(b"same-origin"),
        origin: Some(b"http://h"),
        referer: None,
        host: Some(b"h"),
    };
    let update = "cmd=update&w=lb&vlr=7";
    let known = format!("{update}&token={}", token((1, 2), b"st", None));
    let foreign = Browser { fetch_site: Some(b"cross-site"), ..Browser::default() };
    // A proxy before httpd ends TLS and has another name for it.
    let proxied = Browser { origin: Some(b"https://public.example"), ..own };
    let old = Browser { fetch_site: None, ..proxied };
    for (query, form, browser, status) in [
        (update, "", Browser::default(), 200),
        (update, "", own, 200),
        (update, "", foreign, 403),
        ("cmd=list", "", foreign, 200),
        ("", known.as_str(), own, 200),
        ("", known.as_str(), Browser::default(), 200),
        ("", known.as_str(), foreign, 403),
        ("", known.as_str(), proxied, 200),
        ("", update, proxied, 403),
        ("", known.as_str(), old, 403),
        ("", update, own, 403),
        ("", &format!("{update}&token=0123"), own, 403),
        ("", &format!("{update}&token="), own, 403),
    ] {
        let answer = ask_as(query, form, browser);
        assert_eq!(answer.status, status, "{query} {form} {browser:?}: {}", answer.problem);
    }
}

#[test]
fn a_page_offers_what_may_be_done() {
    let page = |query: &str| String::from_utf8(ask(query).body).unwrap();
    assert!(page("cmd=list").contains("<button aria-label=\"Try "));
    let read_only = page("cmd=list&opt=32");
    assert!(!read_only.contains("method=\"post\"") && read_only.contains("(read only)"));
    let form = page("cmd=edit&w=lb");
    assert!(form.contains("<select name=\"vls\"><option value=\"true\" selected>"), "{form}");
    assert!(form.contains("<input type=\"hidden\" name=\"token\""));
    let form = page("cmd=edit&w=lb&att=vwf");
    assert!(form.contains("<input name=\"val0\" value=\"1\">"), "{form}");
}

/// What the parsers of these tests must not take.
#[test]
fn a_strict_parser_refuses_what_a_reader_would() {
    type Read = fn(&str);
    let xml: Read = |inner| {
        drop(strict::xml(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n{inner}\n")));
    };
    let json: Read = |text| drop(strict::json(&format!("{text}\n")));
    let prometheus: Read = |text| {
        let head = "# HELP jk_a A\n# TYPE jk_a gauge\n# HELP jk_h H\n# TYPE jk_h histogram\n";
        drop(strict::prometheus(&format!("{head}{text}\n")));
    };
    let tests: [(Read, &[&str], &[&str]); 3] = [
        (
            xml,
            &["<a b=\"&#9;&#10;&#13;&#32;&lt;\"/>", "<_a :b=\"1\"></_a>"],
            &[
                "<a b=\"&#1;\"/>",
                "<a b=\"&#27;\"/>",
                "<a b=\"&#55296;\"/>",
                "<a b=\"&#65534;\"/>",
                "<a b=\"&#+9;\"/>",
                "<a b=\"&\"/>",
                "<a 1=\"\"/>",
                "<a -b=\"\"/>",
                "<1/>",
                "<a b=\"<\"/>",
                "<a b=\"\t\"/>",
                "<a b=\"\n\"/>",
                "<a b=\"\u{1b}\"/>",
                "<a b=\"\" b=\"\"/>",
                "<a/><b/>",
                "<a>",
            ],
        ),
        (
            json,
            &["[0,-0.5,10,1.25]", "{\"a\":null}"],
            &[".5", "[.5]", "[-.5]", "[01]", "[-01]", "[1.]", "[-]", "[1,]", "{\"a\":1,\"a\":1}"],
        ),
        (
            prometheus,
            &["jk_a{b=\"1\",c=\"\\n\"} 1", "jk_h_bucket{le=\"1\"} 1\njk_h_sum 1\njk_h_count 1"],
            &[
                "jk_a{b=\"1\"c=\"2\"} 1",
                "jk_a{b=\"1\",} 1",
                "jk_a{=\"1\"} 1",
                "jk_a{b=\"1\",b=\"2\"} 1",
                "jk_a{b=\"\\x\"} 1",
                "jk_ab 1",
                "jk_a_sum 1",
                "jk_h 1",
                "jk_h_max 1",
                "jk_a 1\njk_a 2",
                "# TYPE jk_a gauge",
                "# HELP jk_a A",
                "# TYPE jk_b gauge\njk_b 1",
            ],
        ),
    ];
    for (read, good, bad) in tests {
        good.iter().for_each(|text| read(text));
        for text in bad {
            assert!(std::panic::catch_unwind(|| read(text)).is_err(), "{text}");
        }
    }
}
