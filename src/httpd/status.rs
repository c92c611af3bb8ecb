//! Requests to workers of type status: what there is to show, and the answer to the client.

use std::cell::{Cell, OnceCell};
use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::ffi;
use super::log::Sink;
use super::pool::{self, int};
use super::request::Record;
use super::response::Output;
use super::server::{Child, Running, Runtime, WorkerSet, unix_time};
use super::service::HttpdRequest;
use super::translate::hook;
use crate::config::edit;
use crate::config::status::StatusConfig;
use crate::config::{WorkerConfig, WorkerName};
use crate::host::{Facts, Request as _, ResponseError};
use crate::jk_log;
use crate::log::Level;
use crate::mapping::{LiveTable, Lookup, Table, normalize};
use crate::shared::edits::BoardError;
use crate::shared::{BalancerState, Memory as _, WorkerState};
use crate::status::action::Action;
use crate::status::answer::{Asked, Changed, Entry, Mapped, NotDone, Setting, Source, answer};
use crate::status::origin::Browser;
use crate::status::section::write;
use crate::status::snapshot::{Balancer, Change, Engine, Head, Map, Member, Snapshot};
use crate::worker::balancer::MemberRecord;
use crate::worker::{EditError, Worker};

/// Name and value of a setting.
type Fact = (&'static str, String);

/// Key, value and line of a property.
type Line<'a> = (&'a [u8], &'a [u8], String);

const OK: c_int = ffi::OK as c_int;
const DECLINED: c_int = ffi::DECLINED;
/// The flag of mod_status for a page that programs read: AP_STATUS_SHORT.
const SHORT: c_int = 1;
const INTERNAL_ERROR: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// What every answer has beside its type.
const HEADERS: [(&CStr, &[u8]); 5] = [
    (c"Cache-Control", b"no-cache"),
    (c"Pragma", b"no-cache"),
    (c"X-Content-Type-Options", b"nosniff"),
    (c"X-Frame-Options", b"SAMEORIGIN"),
    (c"Referrer-Policy", b"same-origin"),
];

/// What a page may do: its own style and script, the administrator's style sheet, and nothing else.
const POLICY: &[u8] = b"default-src 'none'; style-src * 'unsafe-inline'; script-src \
    'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'self'; base-uri 'none'";

/// Most bytes of a form.
const MOST_FORM: usize = 64 * 1024;

/// A worker as it is while a request is answered.
enum Now {
    Engine(Arc<Worker>),
    Balancer(Arc<crate::worker::Balancer>),
}

/// Everything that can be shown, while a request is answered.
struct View<'a> {
    head: Head<'a>,
    workers: &'a WorkerSet,
    child: &'a Child,
    now: OnceCell<Vec<Now>>,
    /// The rules of each server that has some.
    tables: Vec<(&'a str, Arc<Table>)>,
    entries: OnceCell<Vec<Line<'a>>>,
    sink: Sink<'a>,
    /// Who asks, for the log.
    who: String,
}

/// The form that a request has posted; nothing where it has posted none.
///
/// # Errors
/// The status for a form that cannot be read or is too long.
///
/// Not part of the handler, whose frame on the stack every thread pays for; nor is [`serve`].
#[inline(never)]
pub(super) fn form(request: &mut HttpdRequest<'_>) -> Result<Vec<u8>, c_int> {
    const TYPE: &[u8] = b"application/x-www-form-urlencoded";
    let is_form = |(name, value): (&[u8], &[u8])| {
        let value = value.get(..TYPE.len()).unwrap_or_default();
        name.eq_ignore_ascii_case(b"content-type") && value.eq_ignore_ascii_case(TYPE)
    };
    let mut form = Vec::new();
    if request.facts().method != b"POST" || !request.headers().any(is_form) {
        return Ok(form);
    }
    let mut part = [0; 8192];
    loop {
        match request.read_body(&mut part) {
            Ok(0) => return Ok(form),
            Ok(n) => form.extend_from_slice(part.get(..n).unwrap_or_default()),
            Err(_) => return Err(int(ffi::HTTP_BAD_REQUEST)),
        }
        if form.len() > MOST_FORM {
            return Err(int(ffi::HTTP_REQUEST_ENTITY_TOO_LARGE));
        }
    }
}

/// Answers a request to the status worker `status`.
#[inline(never)]
pub(super) fn serve(
    record: &Record<'_>,
    runtime: &Runtime,
    child: &Child,
    status: &StatusConfig,
    (facts, form): (&Facts<'_>, &[u8]),
    committed: &Cell<bool>,
) -> c_int {
    let sink = record.sink(runtime);
    let who = format!(
        "{}@{} through={}",
        facts.remote_user.unwrap_or(b"-").escape_ascii(),
        facts.remote_addr.unwrap_or(b"-").escape_ascii(),
        status.name
    );
    let server = (facts.server_name, facts.server_port);
    let view = View::new(&runtime.workers, child, server, sink, who);
    let header = |name| record.headers_in().get(name);
    let asked = Asked {
        query: facts.query.unwrap_or_default(),
        form,
        browser: Browser {
            fetch_site: header(c"Sec-Fetch-Site"),
            origin: header(c"Origin"),
            referer: header(c"Referer"),
            host: header(c"Host"),
            language: header(c"Accept-Language"),
        },
        user: facts.remote_user,
    };
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
    if answer.content_type.starts_with("text/html") {
        record.headers_out().set(pool, c"Content-Security-Policy", POLICY);
    }
    // SAFETY: a live request and a C string in its pool.
    unsafe { ffi::ap_set_content_type(record.raw(), pool.copy(answer.content_type.as_bytes())) };
    let mut output = Output::new(*record, committed);
    let sent = output.write(&[&answer.body]).and_then(|()| output.finish(false));
    match sent {
        Ok(()) => OK,
        Err(ResponseError::Answered(_)) => ffi::AP_FILTER_ERROR,
        Err(ResponseError::ClientGone) => OK,
        Err(ResponseError::Failed(_)) if committed.get() => {
            output.abort();
            OK
        }
        Err(ResponseError::Failed(_)) => INTERNAL_ERROR,
    }
}

/// Our section of the page of mod_status.
pub(super) unsafe extern "C" fn section(raw: *mut ffi::request_rec, flags: c_int) -> c_int {
    let body = |record: Record<'_>, runtime: &Runtime| write_section(&record, runtime, flags);
    // SAFETY: called by mod_status with the request for its page.
    unsafe { hook(raw, body) }
}

fn write_section(record: &Record<'_>, runtime: &Runtime, flags: c_int) -> c_int {
    let Some(child) = runtime.workers.child.get() else { return DECLINED };
    let nowhere = (&b""[..], 0);
    let view = View::new(&runtime.workers, child, nowhere, record.sink(runtime), String::new());
    let text = write(&view.snapshot(), flags & SHORT != 0);
    let (start, length) = (text.as_ptr().cast(), int(text.len()));
    // SAFETY: a live request, and as many bytes as the text has.
    unsafe { ffi::ap_rwrite(start, length, record.raw()) };
    OK
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
    fn new(
        workers: &'a WorkerSet,
        child: &'a Child,
        (server_name, server_port): (&'a [u8], u16),
        sink: Sink<'a>,
        who: String,
    ) -> Self {
        let created = workers.memory.get().map(|m| m.common().created.load(Ordering::Relaxed));
        let maps = workers.maps.get().map(Vec::as_slice).unwrap_or_default();
        let now = Instant::now();
        let table = |(server, maps): &'a (String, Arc<LiveTable>)| {
            (server.as_str(), maps.check_now(now, &sink))
        };
        Self {
            head: Head {
                server_name,
                server_port,
                software: software(),
                now: unix_time(),
                offset: offset(),
                created: created.unwrap_or_default(),
                maintain: workers.maintain.map_or(0, |time| time.as_secs()),
            },
            workers,
            child,
            now: OnceCell::new(),
            who,
            tables: maps.iter().map(table).collect(),
            entries: OnceCell::new(),
            sink,
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
        let members = balancer.members().map(|record| {
            let MemberRecord { config, state, engine, worker, multiplier, load } = record;
            let activation = state.activation(config.activation);
            let engine = self.engine(worker, engine);
            Member::new(config, engine, state, activation, (load, multiplier))
        });
        let members = members.collect();
        Balancer::new(balancer.config(), state, members, self.head.created)
    }

    /// The workers with the settings that hold now.
    fn now(&self) -> &[Now] {
        let now = |running: &Running| match running {
            Running::Ajp13(worker) => Some(Now::Engine(worker.current())),
            Running::Balancer(balancer) => Some(Now::Balancer(balancer.current())),
            Running::Status => None,
        };
        self.now.get_or_init(|| self.child.workers.iter().filter_map(now).collect())
    }

    fn running(&self, worker: &WorkerName) -> Option<&Running> {
        self.child.workers.iter().find(|running| match running {
            Running::Ajp13(live) => live.name() == worker,
            Running::Balancer(live) => live.name() == worker,
            Running::Status => false,
        })
    }

    /// The settings of a worker as its file has them.
    fn file(&self, worker: &WorkerName) -> Option<&WorkerConfig> {
        Some(match self.running(worker)? {
            Running::Ajp13(live) => live.file(),
            Running::Balancer(live) => live.file(),
            Running::Status => return None,
        })
    }

    fn log_done(&self, event: &str, sentence: &str, worker: &WorkerName, member: Option<usize>) {
        let member = member.and_then(|place| self.member(worker, place));
        let member = member.map(|name| format!(" member={name}")).unwrap_or_default();
        jk_log!(self.sink, Level::Info, "({worker}) {event}: {sentence};{member} by={}", self.who);
    }

    fn member(&self, worker: &WorkerName, place: usize) -> Option<WorkerName> {
        match self.file(worker)? {
            WorkerConfig::Balancer(balancer) => {
                balancer.members.get(place).map(|member| member.worker.name.clone())
            }
            _ => None,
        }
    }

    /// What was changed, or all reasons why nothing was.
    fn told(
        &self,
        worker: &WorkerName,
        result: Result<Vec<edit::Change>, EditError>,
    ) -> Result<Vec<Changed>, NotDone> {
        let name = |place: Option<usize>| place.and_then(|place| self.member(worker, place));
        match result {
            Ok(changes) => Ok(changes
                .into_iter()
                .map(|edit::Change { member, key, old, new }| Changed {
                    member: name(member),
                    key: key.name(),
                    old,
                    new,
                })
                .collect()),
            Err(EditError::Refused(refusals)) => {
                let text = |refusal: &edit::Refusal| match name(refusal.member) {
                    Some(member) => format!("{member}: {refusal}"),
                    None => refusal.to_string(),
                };
                Err(NotDone::Refused(refusals.iter().map(text).collect()))
            }
            Err(e @ EditError::NotKept(BoardError::Occupied)) => Err(NotDone::Busy(e.to_string())),
            Err(e) => Err(NotDone::Refused(vec![e.to_string()])),
        }
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
        for worker in self.now() {
            match worker {
                Now::Engine(worker) => {
                    engines.extend(worker.state().map(|state| self.engine(worker, state)));
                }
                Now::Balancer(balancer) => {
                    let config = balancer.config();
                    names.extend(config.members.iter().map(|m| (&config.name, &m.worker.name)));
                    balancers.extend(balancer.state().map(|state| self.balancer(balancer, state)));
                }
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
        let entries = || {
            let all = self.workers.properties.without_secrets().map(|property| {
                (property.key.as_slice(), property.value.as_slice(), property.place.to_string())
            });
            all.collect()
        };
        self.entries
            .get_or_init(entries)
            .iter()
            .map(|(key, value, place)| Entry { key, value, place: place.as_str() })
            .collect()
    }

    fn settings(&self, worker: &WorkerName) -> Vec<Setting> {
        let (Some(now), Some(file)) = (self.config(worker), self.file(worker)) else {
            return Vec::new();
        };
        let setting = |worker: &WorkerName, member: Option<&WorkerName>, fact: Fact, before| {
            let (key, value) = fact;
            let source = if value == before {
                let key = [b"worker.", worker.as_bytes(), b".", key.as_bytes()].concat();
                self.workers.properties.find(&key).map(|property| property.place.to_string())
            } else {
                Some(format!("changed at run time, was {before}"))
            };
            Setting { member: member.cloned(), key, value, source }
        };
        let own = now.describe().zip(file.describe()).filter(|((key, _), _)| *key != "member");
        let mut settings: Vec<Setting> =
            own.map(|(now, (_, before))| setting(worker, None, now, before)).collect();
        if let (WorkerConfig::Balancer(now), WorkerConfig::Balancer(file)) = (&now, file) {
            for (now, file) in now.members.iter().zip(&file.members) {
                let name = &now.worker.name;
                let facts = now.describe().into_iter().zip(file.describe());
                settings
                    .extend(facts.map(|(now, (_, before))| setting(name, Some(name), now, before)));
            }
        }
        settings
    }

    fn config(&self, worker: &WorkerName) -> Option<WorkerConfig> {
        Some(match self.running(worker)? {
            Running::Ajp13(live) => live.config(),
            Running::Balancer(live) => live.config(),
            Running::Status => return None,
        })
    }

    fn secret(&self) -> (u64, u64) {
        let Some(memory) = self.workers.memory.get() else { return (0, 0) };
        let [a, b] = memory.common().secret.each_ref().map(|n| n.load(Ordering::Relaxed));
        (a, b)
    }

    fn act(&self, worker: &WorkerName, action: &Action) -> Result<Vec<Changed>, NotDone> {
        let refused = |why: String| NotDone::Refused(vec![why]);
        let Some(running) = self.running(worker) else { return Err(NotDone::Refused(Vec::new())) };
        let now = self.head.now;
        match (action, running) {
            (Action::Update(edits), Running::Ajp13(live)) => {
                self.told(worker, live.edit(edits, &self.who, &self.sink))
            }
            (Action::Update(edits), Running::Balancer(live)) => {
                self.told(worker, live.edit(edits, &self.who, &self.sink))
            }
            (Action::Reset(member), running) => {
                match running {
                    Running::Ajp13(live) => live.reset(now),
                    Running::Balancer(live) => live.reset(*member, now),
                    Running::Status => {}
                }
                self.log_done("counters_reset", "the counters begin anew", worker, *member);
                Ok(Vec::new())
            }
            (Action::Recover(member), Running::Balancer(live)) => {
                live.recover(*member, now).map_err(|state| {
                    refused(format!("the member is not in error, its state is {}", state.text()))
                })?;
                let sentence = "the next request tests the member";
                self.log_done("member_recovers", sentence, worker, Some(*member));
                Ok(Vec::new())
            }
            (_, Running::Ajp13(_) | Running::Status) => {
                Err(refused("the worker has no members".to_owned()))
            }
        }
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
