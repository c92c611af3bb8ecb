//! Rule extensions, as the C module's status worker shows them and as we read them.

use std::collections::BTreeMap;

use mod_jk::mapping::extensions::parse;

use super::random::Random;
use crate::support::client;
use crate::support::httpd::{Httpd, Module};

const WORKERS: &str = "\
worker.list=lb,st
worker.lb.type=lb
worker.lb.balance_workers=a,b
worker.a.port=1
worker.b.port=1
worker.st.type=status";

const NAMES: [&str; 15] = [
    "reply_timeout",
    "sticky_ignore",
    "stateless",
    "use_server_errors",
    "active",
    "disabled",
    "stopped",
    "fail_on_status",
    "session_cookie",
    "session_path",
    "set_session_cookie",
    "session_cookie_path",
    " stateless",
    "Stateless",
    "reply_timeouts",
];

const VALUES: [&str; 20] = [
    "0",
    "1",
    "-1",
    "+7",
    " 9",
    "10s",
    "x",
    "",
    "-",
    "010",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "-99999999999999999999",
    "a",
    "a,b",
    "b a",
    ";a",
];

/// Extensions of one rule.
fn extensions(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..=random.below(4) {
        let equals = if random.one_in(12) { "" } else { "=" };
        let separator = random.pick(&[";", ";", ";;"]);
        text += &[separator, random.pick(&NAMES), equals, random.pick(&VALUES)].concat();
    }
    text
}

/// What the status worker shows of a rule, as it would show ours.
fn ours(text: &str) -> BTreeMap<&'static str, String> {
    let (_, read, _) = parse(text.as_bytes());
    let time = |time: Option<std::time::Duration>| time.map_or(0, |time| time.as_millis());
    let list = |members: &[Box<[u8]>]| {
        let names = members.iter().map(|name| String::from_utf8_lossy(name).into_owned());
        names.collect::<Vec<_>>().join(",")
    };
    BTreeMap::from([
        ("reply_timeout", read.reply_timeout.map_or("-".into(), |set| time(set).to_string())),
        ("sticky_ignore", u8::from(read.sticky_ignore).to_string()),
        ("stateless", u8::from(read.stateless).to_string()),
        ("use_server_errors", read.use_server_errors.map_or(0, |from| from.max(1)).to_string()),
        ("stopped", list(&read.stopped)),
    ])
}

/// The same for the lines of the status worker.
fn theirs(lines: &BTreeMap<String, String>) -> BTreeMap<&'static str, String> {
    let text = |name: &str| lines.get(name).cloned().unwrap_or_default();
    let number = |name: &str| text(name).parse::<i64>().expect("a number");
    let items = text("stopped").replace(' ', ",");
    let items: Vec<&str> = items.split(',').filter(|item| !item.is_empty()).collect();
    let time = number("reply_timeout");
    let threshold = number("use_server_errors");
    BTreeMap::from([
        ("reply_timeout", if time < 0 { "-".into() } else { time.to_string() }),
        ("sticky_ignore", text("sticky_ignore")),
        ("stateless", text("stateless")),
        (
            "use_server_errors",
            if threshold < 0 { "1".into() } else { threshold.min(65535).to_string() },
        ),
        ("stopped", items.join(",")),
    ])
}

/// `worker.lb.map.N.name=value` by the path of the rule.
fn by_path(status: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut rules: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    for line in status.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let Some((number, name)) =
            key.strip_prefix("worker.lb.map.").and_then(|key| key.split_once('.'))
        else {
            continue;
        };
        rules.entry(number).or_default().insert(name.to_owned(), value.to_owned());
    }
    rules.into_values().map(|rule| (rule["uri"].clone(), rule)).collect()
}

#[test]
fn extensions_mean_what_the_c_module_reads() {
    let mut random = Random::new(7);
    let rules: Vec<String> = (0..400).map(|_| extensions(&mut random)).collect();
    let mut builder = Httpd::builder(Module::C).workers(WORKERS).mount("/status", "st");
    for (number, rule) in rules.iter().enumerate() {
        builder = builder.config(&format!("JkMount /{number} \"lb{rule}\""));
    }
    let httpd = builder.start();
    let shown = client::get(httpd.addr(), "/status?cmd=show&mime=prop&w=lb").text();
    let shown = by_path(&shown);
    assert_eq!(shown.len(), rules.len());
    for (number, rule) in rules.iter().enumerate() {
        assert_eq!(ours(&format!("lb{rule}")), theirs(&shown[&format!("/{number}")]), "{rule}");
    }
}
