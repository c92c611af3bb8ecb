//! Status pages: whatever is asked, and whatever names there are, each format is what its parsers
//! expect, and nothing is changed that must not be.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use mod_jk::config::edit::{self, Edit, Stored};
use mod_jk::config::{
    Activation, Defaults, Place, Problems, Properties, StatusConfig, WorkerConfig, WorkerName,
    validate,
};
use mod_jk::mapping::Rule;
use mod_jk::shared::{BalancerState, MemberState, State, WorkerState};
use mod_jk::status::action::Action;
use mod_jk::status::answer::{
    Answer, Asked, Changed, Entry, Mapped, NotDone, Setting, Source, answer,
};
use mod_jk::status::origin::Browser;
use mod_jk::status::query::Query;
use mod_jk::status::snapshot::{Balancer, Change, Engine, Head, Map, Member, Snapshot};
use mod_jk::status::{query, section};

use super::input::Input;
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
    let browser = site.browser(decisions);
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
        "text/xml" => strict::xml(text()),
        "application/json" => strict::json(text()),
        "text/plain; version=0.0.4; charset=utf-8" => strict::prometheus(text()),
        "text/plain" if answer.body.starts_with(b"worker.") => strict::properties(&answer.body),
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

/// A configuration with names and values that come from anywhere.
struct Site {
    config: StatusConfig,
    workers: Vec<WorkerConfig>,
    rules: Vec<Rule>,
    states: (MemberState, WorkerState, BalancerState),
    value: Vec<u8>,
    text: String,
    acts: RefCell<Vec<(WorkerConfig, Vec<Edit>)>>,
}

impl Site {
    fn new(decisions: u16, name: &[u8], value: &[u8]) -> Self {
        let text = b"worker.list=lb,st,one\nworker.lb.type=lb\nworker.lb.balance_workers=n1,n2\n\
                     worker.n1.route=r1.x\nworker.n2.activation=d\nworker.st.type=status\n\
                     worker.st.css=/c.css\n";
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text, "w", &|_| None, &mut problems);
        let workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        let mut workers = workers.workers;
        let WorkerConfig::Status(mut config) = workers.remove(1) else { panic!("{workers:?}") };
        config.read_only = decisions & 2 == 2;
        let name: Vec<u8> =
            name.iter().copied().filter(|b| !b" \t,".contains(b)).take(63).collect();
        if let Ok(name) = WorkerName::new(&name) {
            for worker in &mut workers {
                match worker {
                    WorkerConfig::Balancer(balancer) if name.as_bytes() != b"n2" => {
                        balancer.members[0].worker.name = name.clone();
                    }
                    WorkerConfig::Ajp13(engine)
                        if decisions & 4 == 4 && name.as_bytes() != b"lb" =>
                    {
                        engine.name = name.clone();
                    }
                    _ => {}
                }
            }
        }
        let place = Place::new(&String::from_utf8_lossy(value), 7);
        let uri = [b"/", value, b"*"].concat();
        let rules = Rule::mount(&uri, b"lb;active=n1", &place, &mut problems);
        let states = <(MemberState, WorkerState, BalancerState)>::default();
        let all = [
            State::Idle,
            State::Ok,
            State::Busy,
            State::Recover,
            State::Force,
            State::Error,
            State::Probe,
        ];
        states.0.set_state(all[usize::from(decisions >> 8) % all.len()]);
        states.0.last_error_time.store(u64::from(decisions) % 90, Ordering::Relaxed);
        states.1.used.store(decisions.into(), Ordering::Relaxed);
        states.1.failing.store(u32::from(decisions >> 3) & 1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(value).into_owned();
        let (value, acts) = (value.to_vec(), RefCell::default());
        Self { config: *config, workers, rules, states, value, text, acts }
    }

    fn browser(&self, decisions: u16) -> Browser<'_> {
        let some = |bit: u16, text: &'static [u8]| (decisions & bit == bit).then_some(text);
        Browser {
            fetch_site: some(16, b"cross-site").or(some(32, b"same-origin")),
            origin: (decisions & 64 == 64).then_some(&self.value),
            referer: some(128, b"http://h/"),
            host: some(8, b"h"),
            language: some(4, b"en"),
        }
    }
}

impl Source for Site {
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
        let (member, worker, balancer) = &self.states;
        let mut snapshot = Snapshot {
            head: self.head(),
            balancers: Vec::new(),
            engines: Vec::new(),
            maps: self.rules.iter().map(|rule| Map { server: &self.text, rule }).collect(),
            changes: Vec::new(),
        };
        let engine = |config| Engine::new(config, worker, Some(self.text.clone()), 1);
        for config in &self.workers {
            match config {
                WorkerConfig::Ajp13(config) => snapshot.engines.push(engine(config)),
                WorkerConfig::Balancer(config) => {
                    let (from, to) = (State::Ok, member.state());
                    let name = &config.members[0].worker.name;
                    let change = Change {
                        time: 9,
                        balancer: &config.name,
                        member: name,
                        from,
                        to,
                        cause: "",
                    };
                    snapshot.changes.push(change);
                    let member = |one| {
                        let all = [Activation::Active, Activation::Disabled, Activation::Stopped];
                        let activation = all[self.value.len() % 3];
                        Member::new(one, engine(&one.worker), member, activation, (3, 1))
                    };
                    let members = config.members.iter().map(member).collect();
                    snapshot.balancers.push(Balancer::new(config, balancer, members, 1));
                }
                WorkerConfig::Status(_) => {}
            }
        }
        snapshot
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        let keys = [&b"plain.key"[..], &self.value, b"a:b"];
        let keys = keys.into_iter().filter(|key| !key.is_empty());
        keys.map(|key| Entry { key, value: &self.value, place: &self.text }).collect()
    }

    fn settings(&self, worker: &WorkerName) -> Vec<Setting> {
        let setting = |member| Setting {
            member,
            key: "route",
            value: self.text.clone(),
            source: Some(self.text.clone()).filter(|text| !text.is_empty()),
        };
        vec![setting(None), setting(Some(worker.clone()))]
    }

    fn lookup(&self, path: &[u8]) -> Vec<Mapped<'_>> {
        let verdict = String::from_utf8_lossy(path).into_owned();
        let rule = Some((self.text.clone(), self.text.clone()));
        vec![Mapped { server: &self.text, verdict, rule }]
    }

    fn config(&self, worker: &WorkerName) -> Option<WorkerConfig> {
        self.workers.iter().find(|config| config.name() == worker).cloned()
    }

    fn secret(&self) -> (u64, u64) {
        (1, 2)
    }

    fn act(&self, worker: &WorkerName, action: &Action) -> Result<Vec<Changed>, NotDone> {
        let config = self.workers.iter().find(|config| config.name() == worker).expect("a worker");
        let Action::Update(edits) = action else {
            self.acts.borrow_mut().push((config.clone(), Vec::new()));
            return Ok(Vec::new());
        };
        self.acts.borrow_mut().push((config.clone(), edits.clone()));
        let merged = edit::merge(config, Vec::new(), edits).map_err(|refusals| {
            NotDone::Refused(refusals.iter().map(ToString::to_string).collect())
        })?;
        let changed = |change: edit::Change| Changed {
            member: change.member.map(|_| worker.clone()),
            key: change.key.name(),
            old: change.old,
            new: change.new,
        };
        Ok(merged.changes.into_iter().map(changed).collect())
    }
}
