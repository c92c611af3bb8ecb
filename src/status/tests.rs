//! Every format with names and values that try to break it, read by a strict parser.
#![forbid(unsafe_code)]
#![allow(clippy::string_slice, reason = "parsers of tests look at ASCII only")]

use super::action::Action;
use super::answer::{Answer, Asked, Changed, Entry, Mapped, NotDone, Setting, Source, answer};
use super::origin::{Browser, token};
use super::snapshot::{Balancer, Change, Engine, Head, Map, Member, Snapshot};
use crate::config::status::StatusConfig;
use crate::config::{
    Activation, BalancerConfig, Defaults, Place, Problems, Properties, WorkerConfig, WorkerName,
    validate,
};
use crate::mapping::Rule;
use crate::shared::{BalancerState, MemberState, State, WorkerState};

/// Bytes that end things in one format or another, but for those that no name can have.
const HOSTILE: &str = "a\"'<b>&amp;]]>--\u{7f}\u{1b}\\u0041${x}{}=:é\u{2028}";

struct Fake {
    workers: Vec<WorkerConfig>,
    rules: Vec<Rule>,
    states: (MemberState, WorkerState, BalancerState),
    value: Vec<u8>,
}

impl Fake {
    fn new() -> (Self, StatusConfig) {
        let mut text =
            b"worker.list=lb,st,one\nworker.lb.type=lb\nworker.st.type=status\n".to_vec();
        let name = name();
        text.extend_from_slice(b"worker.lb.balance_workers=");
        text.extend_from_slice(name.as_bytes());
        text.push(b'\n');
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(&text, "w", &|_| None, &mut problems);
        let workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        let mut workers = workers.workers;
        let WorkerConfig::Status(status) = workers.remove(1) else { panic!("{workers:?}") };
        if let WorkerConfig::Balancer(balancer) = &mut workers[0] {
            balancer.members[0].worker.name = name;
        }
        let place = Place::new("conf/<httpd>.conf", 7);
        let uri = [b"/", HOSTILE.as_bytes(), b"\xff\n*"].concat();
        let rules = Rule::mount(&uri, b"lb;active=x\"y", &place, &mut problems);
        let states = <(MemberState, WorkerState, BalancerState)>::default();
        states.0.set_state(State::Error);
        states.0.first_error_time.store(5, std::sync::atomic::Ordering::Relaxed);
        let value = [HOSTILE.as_bytes(), b"\xff\n\r\t \0"].concat();
        (Self { workers, rules, states, value }, *status)
    }

    fn balancer(&self) -> &BalancerConfig {
        let WorkerConfig::Balancer(balancer) = &self.workers[0] else { panic!("no balancer") };
        balancer
    }
}

/// A name of every byte that is hostile and that a name can have.
fn name() -> WorkerName {
    let name: Vec<u8> = HOSTILE.bytes().filter(|b| !b" \t,".contains(b)).chain([0xff]).collect();
    WorkerName::new(&name).unwrap()
}

impl Source for Fake {
    fn head(&self) -> Head<'_> {
        Head {
            server_name: &self.value,
            server_port: 80,
            software: &self.value,
            now: 100,
            offset: 3600,
            created: 1,
            maintain: 60,
        }
    }

    fn snapshot(&self) -> Snapshot<'_> {
        let config = self.balancer();
        let (member, worker, balancer) = &self.states;
        let engine = |config| Engine::new(config, worker, Some(HOSTILE.to_owned()), 1);
        let one = &config.members[0];
        let members =
            vec![Member::new(one, engine(&one.worker), member, Activation::Active, (3, 1))];
        let WorkerConfig::Ajp13(single) = &self.workers[1] else { panic!("no engine") };
        let map = |rule| Map { server: HOSTILE, rule };
        Snapshot {
            head: self.head(),
            balancers: vec![Balancer::new(config, balancer, members, 1)],
            engines: vec![engine(single)],
            maps: self.rules.iter().map(map).collect(),
            changes: vec![Change {
                time: 9,
                balancer: &config.name,
                member: &one.worker.name,
                from: State::Ok,
                to: State::Error,
                cause: "time",
            }],
        }
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let keys = [&b"plain.key"[..], &self.value, b"a:b", b"xmlns", b"1"];
        keys.map(|key| Entry { key, value: &self.value, place: "w:1" }).to_vec()
    }

    fn settings(&self, _: &WorkerName) -> Vec<Setting> {
        let value = HOSTILE.to_owned();
        vec![Setting { member: Some(name()), key: "route", value, source: None }]
    }

    fn lookup(&self, path: &[u8]) -> Vec<Mapped<'_>> {
        let verdict = String::from_utf8_lossy(path).into_owned();
        vec![Mapped { server: HOSTILE, verdict, rule: None }]
    }

    fn config(&self, worker: &WorkerName) -> Option<WorkerConfig> {
        self.workers.iter().find(|config| config.name() == worker).cloned()
    }

    fn secret(&self) -> (u64, u64) {
        (1, 2)
    }

    fn act(&self, _: &WorkerName, action: &Action) -> Result<Vec<Changed>, NotDone> {
        match action {
            Action::Update(edits) if edits.iter().any(|edit| edit.value == b"bad") => {
                Err(NotDone::Refused(vec![HOSTILE.to_owned(), "second".to_owned()]))
            }
            Action::Update(edits) if edits.iter().any(|edit| edit.value == b"busy") => {
                Err(NotDone::Busy("another one".to_owned()))
            }
            Action::Update(edits) => Ok(edits
                .iter()
                .map(|edit| Changed {
                    member: Some(name()),
                    key: edit.key.name(),
                    old: self.value.clone(),
                    new: edit.value.clone(),
                })
                .collect()),
            _ => Ok(Vec::new()),
        }
    }
}

fn ask_as(query: &str, form: &str, browser: Browser<'_>) -> Answer {
    let (fake, status) = Fake::new();
    let (query, form) = (query.as_bytes(), form.as_bytes());
    answer(&status, &Asked { query, form, browser, user: None }, &fake)
}

fn ask(query: &str) -> Answer {
    ask_as(query, "", Browser::default())
}

/// All commands and what they can be about.
fn queries() -> Vec<String> {
    let mut member = String::new();
    super::query::encode(&mut member, name().as_bytes());
    let mut queries: Vec<String> =
        ["list", "version", "dump", "foo", "show&w=lb", "show&w=one", "edit&w=lb", "edit&w=one"]
            .map(|command| format!("cmd={command}"))
            .to_vec();
    queries.extend([
        format!("cmd=show&w=lb&sw={member}&url=%3Cscript%3E%22"),
        format!("cmd=edit&w=lb&sw={member}&from=%22%3E%3Cscript%3E"),
        "cmd=edit&w=lb&att=vwa".to_owned(),
        "cmd=update&w=lb&sw=*&vwf=7&vwn=%3Cb%3E".to_owned(),
        "cmd=update&w=lb&vlm=bad".to_owned(),
        "cmd=show&w=%3Cscript%3E%22%01%ff".to_owned(),
        format!("cmd=reset&w=lb&sw={member}"),
        format!("cmd=recover&w=lb&sw={member}"),
    ]);
    queries
}

/// Checks that a document is well-formed: elements, attributes, references, characters.
fn check_xml(text: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n").unwrap();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
    };
    while let Some(at) = rest.find('<') {
        assert!(rest[..at].trim().is_empty(), "text {:?}", &rest[..at]);
        let end = rest[at..].find('>').expect("an end") + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        assert!(is_name(name), "{name}");
        let mut names = Vec::new();
        loop {
            attributes = attributes.trim_start();
            if attributes.is_empty() {
                break;
            }
            let (key, value) = attributes.split_once("=\"").expect("an attribute");
            assert!(is_name(key) && !names.contains(&key), "{key}");
            names.push(key);
            let (value, more) = value.split_once('"').expect("a value");
            attributes = more;
            check_references(value);
        }
        if !is_empty {
            open.push(name);
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty());
}

fn check_references(value: &str) {
    for c in value.chars() {
        assert!(c >= ' ' && c != '<', "{value:?}");
    }
    for reference in value.split('&').skip(1) {
        let name = reference.split(';').next().unwrap();
        assert!(["amp", "lt", "gt", "quot", "#39", "#9", "#10", "#13"].contains(&name), "{value}");
    }
}

/// Reads a value of JSON strictly; returns what follows.
fn json(text: &str) -> &str {
    let list = |mut rest: &'_ str, end: char, is_object: bool| -> usize {
        let whole = rest.len();
        if let Some(after) = rest.strip_prefix(end) {
            return whole - after.len();
        }
        loop {
            if is_object {
                assert!(rest.starts_with('"'), "{rest}");
                rest = json(rest).strip_prefix(':').expect("a colon");
            }
            rest = json(rest);
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return whole - rest.strip_prefix(end).expect("an end").len(),
            }
        }
    };
    match text.chars().next().expect("a value") {
        '{' => &text[1 + list(&text[1..], '}', true)..],
        '[' => &text[1 + list(&text[1..], ']', false)..],
        '"' => {
            let mut escaped = false;
            for (at, c) in text.char_indices().skip(1) {
                assert!(c >= ' ', "{text}");
                match c {
                    c if escaped => {
                        assert!("\"\\u".contains(c), "{text}");
                        escaped = false;
                    }
                    '\\' => escaped = true,
                    '"' => return &text[at + 1..],
                    _ => {}
                }
            }
            panic!("no end: {text}");
        }
        't' | 'n' => &text[4..],
        'f' => &text[5..],
        _ => {
            let end = text.find(|c: char| !(c.is_ascii_digit() || "-.".contains(c))).unwrap();
            assert!(text[..end].parse::<f64>().is_ok(), "{text}");
            &text[end..]
        }
    }
}

#[test]
fn every_document_parses() {
    for query in queries() {
        let get = |format: &str| ask(&format!("{query}&mime={format}")).body;
        let text = |format: &str| String::from_utf8(get(format)).expect("UTF-8");
        check_xml(&text("xml"));
        assert_eq!(json(&text("json")), "\n", "{query}");
        for line in get("prop").split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            assert!(!line.iter().any(|byte| byte.is_ascii_control()), "{query}: {line:?}");
            let is_equals = |at: &usize| line[*at] == b'=' && (*at == 0 || line[at - 1] != b'\\');
            assert!((0..line.len()).find(is_equals).is_some(), "{query}: {line:?}");
        }
        for line in get("txt").split(|byte| *byte == b'\n') {
            assert!(!line.iter().any(|byte| byte.is_ascii_control()), "{query}: {line:?}");
        }
        for line in text("prom").lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok() && series.starts_with("jk_"), "{line}");
        }
        let page = text("html");
        assert!(!page.contains("<b>") && !page.contains("\"><script>"), "{query}: {page}");
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
        let (opened, closed) = (page.matches("<form").count(), page.matches("</form>").count());
        assert_eq!(opened, closed, "{query}");
        for element in ["section", "table", "tr", "td", "details", "ul", "li", "select", "label"] {
            let opened = page.matches(&format!("<{element}>")).count()
                + page.matches(&format!("<{element} ")).count();
            let closed = page.matches(&format!("</{element}>")).count();
            assert_eq!(opened, closed, "{element} in {query}: {page}");
        }
    }
}

#[test]
fn all_reasons_are_told_and_nothing_of_them_is_markup() {
    let answer = ask("cmd=update&w=lb&vlm=bad");
    assert_eq!(answer.status, 400);
    assert_eq!(answer.problem, format!("Update failed: {HOSTILE}; second"));
    let page = String::from_utf8(answer.body).unwrap();
    assert!(page.contains("Result: ERROR - Update failed: a&quot;&#39;&lt;b&gt;"), "{page}");
    // What may go well the next time is told from what never will.
    let answer = ask("cmd=update&w=lb&vlm=busy");
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
