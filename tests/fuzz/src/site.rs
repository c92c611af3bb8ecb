//! What a status worker shows, made of names and values that come from anywhere: for the fuzz target
//! and the unit tests of src/status.

use std::cell::RefCell;
use std::sync::atomic::Ordering;

use mod_jk::config::edit::{self, Edit};
use mod_jk::config::{
    Activation, Defaults, Place, Problems, Properties, StatusConfig, WorkerConfig, WorkerName,
    validate,
};
use mod_jk::mapping::Rule;
use mod_jk::shared::{BalancerState, MemberState, State, WorkerState};
use mod_jk::status::action::Action;
use mod_jk::status::answer::{Changed, Entry, Mapped, NotDone, Setting, Source};
use mod_jk::status::snapshot::{Balancer, Change, Engine, Head, Map, Member, Snapshot};

/// A configuration with names and values that come from anywhere.
pub(crate) struct Site {
    /// The status worker that is asked.
    pub config: StatusConfig,
    workers: Vec<WorkerConfig>,
    rules: Vec<Rule>,
    states: (MemberState, WorkerState, BalancerState),
    /// What all that can have any bytes has.
    pub value: Vec<u8>,
    text: String,
    /// What was to be changed.
    pub acts: RefCell<Vec<(WorkerConfig, Vec<Edit>)>>,
    /// Why the next change is refused.
    pub refusal: RefCell<Option<NotDone>>,
}

impl Site {
    /// `decisions`: which states and settings. `name`: of a member and perhaps of an engine, where it
    /// can be one. `value`: of all that can have any bytes.
    pub(crate) fn new(decisions: u16, name: &[u8], value: &[u8]) -> Self {
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
        states.0.first_error_time.store(u64::from(decisions) % 80, Ordering::Relaxed);
        states.0.last_error_time.store(u64::from(decisions) % 90, Ordering::Relaxed);
        states.1.used.store(decisions.into(), Ordering::Relaxed);
        states.1.failing.store(u32::from(decisions >> 3) & 1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(value).into_owned();
        let value = value.to_vec();
        let (acts, refusal) = Default::default();
        Self { config: *config, workers, rules, states, value, text, acts, refusal }
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
        let keys = [&b"plain.key"[..], &self.value, b"a:b", b"xmlns", b"1"];
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
        if let Some(refusal) = self.refusal.take() {
            return Err(refusal);
        }
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
