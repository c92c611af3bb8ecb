//! Requests to workers of type status: what there is to show, and the answer to the client.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::ffi;
use super::pool::{self, int};
use super::request::Record;
use super::response::Output;
use super::server::{Child, Running, Runtime, WorkerSet, unix_time};
use crate::config::status::StatusConfig;
use crate::config::{WorkerConfig, WorkerName};
use crate::host::{Facts, ResponseError};
use crate::jk_log;
use crate::log::{Level, Log};
use crate::mapping::{LiveTable, Lookup, Table, normalize};
use crate::shared::{BalancerState, Memory as _, WorkerState};
use crate::status::answer::{Asked, Entry, Mapped, Setting, Source, answer};
use crate::status::snapshot::{Balancer, Change, Engine, Head, Map, Member, Snapshot};
use crate::worker::Worker;

const OK: c_int = ffi::OK as c_int;
const INTERNAL_ERROR: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// What every answer has beside its type.
const HEADERS: [(&CStr, &[u8]); 5] = [
    (c"Cache-Control", b"no-cache"),
    (c"Pragma", b"no-cache"),
    (c"X-Content-Type-Options", b"nosniff"),
    (c"X-Frame-Options", b"SAMEORIGIN"),
    (c"Referrer-Policy", b"same-origin"),
];

/// Everything that can be shown, while a request is answered.
struct View<'a> {
    head: Head<'a>,
    workers: &'a WorkerSet,
    child: &'a Child,
    /// The rules of each server that has some.
    tables: Vec<(&'a str, Arc<Table>)>,
    entries: Vec<(&'a [u8], &'a [u8], String)>,
}

/// Answers a request to the status worker `status`.
pub(super) fn serve(
    record: &Record<'_>,
    runtime: &Runtime,
    child: &Child,
    status: &StatusConfig,
    facts: &Facts<'_>,
    committed: &Cell<bool>,
) -> c_int {
    let sink = record.sink(runtime);
    let view = View::new(&runtime.workers, child, facts, &sink);
    let asked = Asked { query: facts.query.unwrap_or_default(), user: facts.remote_user };
    let answer = answer(status, &asked, &view);
    if !answer.problem.is_empty() {
        jk_log!(
            sink,
            Level::Warn,
            "({}) status_refused: {}; user={} from={} outcome={}",
            status.name,
            answer.problem,
            facts.remote_user.unwrap_or(b"-").escape_ascii(),
            facts.remote_addr.unwrap_or(b"-").escape_ascii(),
            answer.status
        );
    }
    record.set_status(int(answer.status), std::ptr::null());
    let pool = record.pool();
    for (name, value) in HEADERS {
        record.headers_out().set(pool, name, value);
    }
    // SAFETY: a live request and a C string in its pool.
    unsafe { ffi::ap_set_content_type(record.raw(), pool.copy(answer.content_type.as_bytes())) };
    let mut output = Output::new(*record, committed);
    let sent = output.write(&[&answer.body]).and_then(|()| output.finish(false));
    match sent {
        Ok(()) => OK,
        Err(ResponseError::Answered) => ffi::AP_FILTER_ERROR,
        Err(ResponseError::ClientGone) => OK,
        Err(ResponseError::Failed(_)) if committed.get() => {
            output.abort();
            OK
        }
        Err(ResponseError::Failed(_)) => INTERNAL_ERROR,
    }
}

/// How far local time is ahead, seconds.
fn offset() -> i32 {
    let mut parts = ffi::apr_time_exp_t::default();
    // SAFETY: takes no arguments, reads a clock.
    let now = unsafe { ffi::apr_time_now() };
    // SAFETY: writes into a record of ours.
    unsafe { ffi::apr_time_exp_lt(&raw mut parts, now) };
    parts.tm_gmtoff
}

/// As httpd presents itself.
fn software<'a>() -> &'a [u8] {
    // SAFETY: takes no arguments; httpd keeps the string for the life of the configuration.
    let banner = unsafe { ffi::ap_get_server_banner() };
    // SAFETY: null or a C string that nobody changes.
    unsafe { pool::text(banner) }.unwrap_or_default()
}

impl<'a> View<'a> {
    fn new(workers: &'a WorkerSet, child: &'a Child, facts: &Facts<'a>, log: &impl Log) -> Self {
        let created = workers.memory.get().map(|m| m.common().created.load(Ordering::Relaxed));
        let maps = workers.maps.get().map(Vec::as_slice).unwrap_or_default();
        let now = Instant::now();
        let table = |(server, maps): &'a (String, Arc<LiveTable>)| {
            (server.as_str(), maps.check_now(now, log))
        };
        let entries = workers.properties.without_secrets().map(|property| {
            (property.key.as_slice(), property.value.as_slice(), property.place.to_string())
        });
        Self {
            head: Head {
                server_name: facts.server_name,
                server_port: facts.server_port,
                software: software(),
                now: unix_time(),
                offset: offset(),
                created: created.unwrap_or_default(),
                maintain: workers.maintain.map_or(0, |time| time.as_secs()),
            },
            workers,
            child,
            tables: maps.iter().map(table).collect(),
            entries: entries.collect(),
        }
    }

    fn engine<'s>(&'s self, worker: &'s Worker, state: &WorkerState) -> Engine<'s> {
        Engine::new(worker.config(), state, worker.address(), self.head.created)
    }

    fn balancer<'s>(
        &'s self,
        balancer: &'s crate::worker::Balancer,
        state: &BalancerState,
    ) -> Balancer<'s> {
        let members = balancer.standings().map(|standing| {
            let engine = self.engine(standing.engine, standing.worker);
            let load = (standing.load, standing.multiplier);
            Member::new(standing.config, engine, standing.state, standing.activation, load)
        });
        let members = members.collect();
        Balancer::new(balancer.config(), state, members, self.head.created)
    }
}

impl Source for View<'_> {
    fn head(&self) -> Head<'_> {
        self.head
    }

    fn snapshot(&self) -> Snapshot<'_> {
        let (mut balancers, mut engines) = (Vec::new(), Vec::new());
        // Balancer and member of each record, in the order of the records.
        let mut names: Vec<(&WorkerName, &WorkerName)> = Vec::new();
        for worker in &self.child.workers {
            match worker {
                Running::Ajp13(worker) => {
                    engines.extend(worker.state().map(|state| self.engine(worker, state)));
                }
                Running::Balancer(balancer) => {
                    let config = balancer.config();
                    names.extend(config.members.iter().map(|m| (&config.name, &m.worker.name)));
                    balancers.extend(balancer.state().map(|state| self.balancer(balancer, state)));
                }
                Running::Status => {}
            }
        }
        let memory = self.workers.memory.get();
        let changes = memory.map(|memory| memory.common().journal.changes()).unwrap_or_default();
        let changes = changes.into_iter().filter_map(|change| {
            let (balancer, member) = *names.get(change.member)?;
            let crate::shared::journal::Change { time, from, to, cause, .. } = change;
            Some(Change { time, balancer, member, from, to, cause })
        });
        let maps = self
            .tables
            .iter()
            .flat_map(|(server, table)| table.rules().iter().map(|rule| Map { server, rule }));
        Snapshot {
            head: self.head,
            changes: changes.collect(),
            maps: maps.collect(),
            balancers,
            engines,
        }
    }

    fn entries(&self) -> Vec<Entry<'_>> {
        self.entries
            .iter()
            .map(|(key, value, place)| Entry { key, value, place: place.as_str() })
            .collect()
    }

    fn settings(&self, worker: &WorkerName) -> Vec<Setting> {
        let is_named = |config: &&WorkerConfig| config.name() == worker;
        let Some(config) = self.workers.configs.iter().find(is_named) else { return Vec::new() };
        let source = |worker: &WorkerName, key: &str| {
            let key = [b"worker.", worker.as_bytes(), b".", key.as_bytes()].concat();
            self.workers.properties.find(&key).map(|property| property.place.to_string())
        };
        let own = config
            .describe()
            .filter(|(key, _)| *key != "member")
            .map(|(key, value)| Setting { member: None, key, value, source: source(worker, key) });
        let mut settings: Vec<Setting> = own.collect();
        if let WorkerConfig::Balancer(balancer) = config {
            for member in &balancer.members {
                let name = &member.worker.name;
                let of_member = member.describe().into_iter().map(|(key, value)| Setting {
                    member: Some(name.clone()),
                    key,
                    value,
                    source: source(name, key),
                });
                settings.extend(of_member);
            }
        }
        settings
    }

    fn lookup(&self, path: &[u8]) -> Vec<Mapped<'_>> {
        self.tables.iter().map(|(server, table)| mapped(server, table, path)).collect()
    }
}

/// What the rules of a server say about a path.
fn mapped<'a>(server: &'a str, table: &Table, path: &[u8]) -> Mapped<'a> {
    let none = |verdict: &str| Mapped { server, verdict: verdict.to_owned(), rule: None };
    let path = match normalize(path) {
        Ok(path) => path,
        Err(e) => return none(&format!("refused: {e}")),
    };
    let text = |id| {
        let rule = table.rule(id)?;
        let pattern = String::from_utf8_lossy(rule.pattern.as_bytes()).into_owned();
        Some((format!("{} {pattern}", rule.label()), rule.place.to_string()))
    };
    let worker = |id| table.rule(id).map(|rule| String::from_utf8_lossy(&rule.worker).into_owned());
    match table.lookup(&path) {
        Lookup::Unmapped => none("no rule matches"),
        Lookup::Excluded { rule, exclusion } => {
            let verdict = format!("taken away from {}", worker(rule).unwrap_or_default());
            Mapped { server, verdict, rule: text(exclusion) }
        }
        Lookup::Unsafe { rule } => {
            let verdict = "refused by RejectUnsafeURI".to_owned();
            Mapped { server, verdict, rule: text(rule) }
        }
        Lookup::Mapped { rule } => {
            let verdict = format!("goes to {}", worker(rule).unwrap_or_default());
            Mapped { server, verdict, rule: text(rule) }
        }
    }
}
