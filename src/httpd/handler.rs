//! The hooks that serve a request and log it (spec/mod_jk.md 1.6).

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::time::Instant;

use super::environment::Variable;
use super::ffi;
use super::guard::guard;
use super::lifecycle::runtime;
use super::options::JkOption;
use super::pool::{Pool, Text, int};
use super::request::{Notes, Record};
use super::response::reset_response;
use super::server::{Child, Running, Runtime, unix_time};
use super::service::HttpdRequest;
use super::status;
use super::translate::{
    BACKSLASH, DIRECTORY, DOTS, Mapping, NO_JK, Refusal, WORKER_NAME, hook, is_ours_already,
    keep_options, log_panic, map, refusal_of, refuse_path,
};
use crate::config::WorkerConfig;
use crate::host::Request as _;
use crate::jk_log;
use crate::log::Level;
use crate::mapping::target::{has_dots, hazard};
use crate::mapping::{RuleOptions, contains_backslash, denied, extensions};
use crate::worker::balancer::{Report, Snapshot};
use crate::worker::{Outcome, UNSENT, serve};

const OK: c_int = ffi::OK as c_int;
const DECLINED: c_int = ffi::DECLINED;
const FORBIDDEN: c_int = ffi::HTTP_FORBIDDEN as c_int;
const INTERNAL_ERROR: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;
const TOO_LARGE: c_int = ffi::HTTP_REQUEST_ENTITY_TOO_LARGE as c_int;
const UNAVAILABLE: c_int = ffi::HTTP_SERVICE_UNAVAILABLE as c_int;

/// Note with the type of the worker.
const WORKER_TYPE: &CStr = c"JK_WORKER_TYPE";
/// Note with the route that was sent to the engine.
const WORKER_ROUTE: &CStr = c"JK_WORKER_ROUTE";
/// Note with the time that the request took, seconds.
const REQUEST_DURATION: &CStr = c"JK_REQUEST_DURATION";
/// Notes with the first member that a balancer has tried, in the order of [`values`].
const FIRST_MEMBER: [&CStr; 10] = [
    c"JK_LB_FIRST_NAME",
    c"JK_LB_FIRST_VALUE",
    c"JK_LB_FIRST_ACCESSED",
    c"JK_LB_FIRST_SESSIONS",
    c"JK_LB_FIRST_READ",
    c"JK_LB_FIRST_TRANSFERRED",
    c"JK_LB_FIRST_ERRORS",
    c"JK_LB_FIRST_BUSY",
    c"JK_LB_FIRST_ACTIVATION",
    c"JK_LB_FIRST_STATE",
];
/// Notes with the last one.
const LAST_MEMBER: [&CStr; 10] = [
    c"JK_LB_LAST_NAME",
    c"JK_LB_LAST_VALUE",
    c"JK_LB_LAST_ACCESSED",
    c"JK_LB_LAST_SESSIONS",
    c"JK_LB_LAST_READ",
    c"JK_LB_LAST_TRANSFERRED",
    c"JK_LB_LAST_ERRORS",
    c"JK_LB_LAST_BUSY",
    c"JK_LB_LAST_ACTIVATION",
    c"JK_LB_LAST_STATE",
];
/// Microseconds in a second.
const MICROS: u64 = 1_000_000;

/// Seconds after which a client may try again (spec/reliability.md 5.1 C1).
const RETRY_AFTER: &[u8] = b"10";

pub(super) unsafe extern "C" fn log_transaction(raw: *mut ffi::request_rec) -> c_int {
    // SAFETY: called by httpd.
    unsafe {
        hook(raw, |record, runtime| {
            if let Some(log) = &runtime.request_log
                && record.kept().is_some_and(|notes| notes.handled.get())
            {
                record.sink(runtime).write_request(log.line(&record));
            }
            DECLINED
        })
    }
}

pub(super) unsafe extern "C" fn handler(raw: *mut ffi::request_rec) -> c_int {
    // What a panic must know is kept outside of what it unwinds.
    let committed = Cell::new(false);
    let on_panic = |message: &str| {
        // SAFETY: the request that httpd passed.
        let Some(record) = (unsafe { Record::new(raw) }) else {
            return INTERNAL_ERROR;
        };
        if let Some(runtime) = record.server().and_then(runtime) {
            log_panic(&record, runtime, message, if committed.get() { "aborted" } else { "500" });
        }
        if committed.get() {
            super::response::Output::new(record, &committed).abort();
            return OK;
        }
        reset_response(&record);
        INTERNAL_ERROR
    };
    guard(on_panic, || {
        // SAFETY: the request that httpd passed.
        let Some(record) = (unsafe { Record::new(raw) }) else {
            return DECLINED;
        };
        let Some(runtime) = record.server().and_then(runtime) else {
            return DECLINED;
        };
        let is_ours = is_ours_already(&record)
            || record.handler() == DIRECTORY && runtime.options.has(JkOption::ForwardDirectories);
        if !is_ours || record.environment().get(NO_JK).is_some() {
            return DECLINED;
        }
        handle(record, runtime, &committed)
    })
}

/// Who is to serve a request.
struct Chosen<'r> {
    /// Position of the worker; `None` where there is none of this name.
    worker: Option<usize>,
    name: &'r [u8],
    options: Option<&'r RuleOptions>,
}

/// The worker of a request: that of the rule which has mapped it, else what the environment names,
/// else what a rule says that had no chance before. `None` where nobody names one.
///
/// # Errors
/// The status of a path that cannot be compared.
fn choose<'r>(
    record: &Record<'r>,
    runtime: &'r Runtime,
    notes: &Notes<'r>,
    path: &[u8],
) -> Result<Option<Chosen<'r>>, c_int> {
    let noted = record.notes().get(WORKER_NAME);
    if let worker @ Some(_) = notes.worker.get() {
        let name = noted.unwrap_or_default();
        return Ok(Some(Chosen { worker, name, options: notes.options() }));
    }
    // SetHandler brings requests here that no rule has looked at.
    let mapping = map(record, runtime, path);
    if let (None, Mapping::Refused(why)) = (notes.original_uri(), &mapping) {
        return Err(refuse_path(record, runtime, path, why));
    }
    let refuse_unauthorised = || match &mapping {
        Mapping::Unmapped(Cow::Owned(normal)) | Mapping::Mapped(_, _, Cow::Owned(normal)) => {
            match refusal_of(record, normal) {
                Some(why) => Err(refuse_path(record, runtime, path, &why)),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    };
    let indicator = runtime.environment.name(Variable::Worker);
    if let Some(text) = noted.or_else(|| record.environment().get(indicator)) {
        if contains_backslash(path) {
            return Err(refuse_path(record, runtime, path, &BACKSLASH));
        }
        if noted.is_none() && has_dots(path) {
            return Err(refuse_path(record, runtime, path, &DOTS));
        }
        refuse_unauthorised()?;
        let (name, options, problems) = match noted {
            Some(name) => (name, RuleOptions::default(), Vec::new()),
            None => extensions::parse(text),
        };
        for problem in problems {
            jk_log!(
                record.sink(runtime),
                Level::Warn,
                "({}) bad_extension: {problem}; {}",
                name.escape_ascii(),
                problem.remedy()
            );
        }
        let options =
            (options != RuleOptions::default()).then(|| keep_options(record, Arc::new(options)));
        return Ok(Some(Chosen { worker: runtime.workers.names.position(name), name, options }));
    }
    if matches!(mapping, Mapping::Mapped(..)) {
        refuse_unauthorised()?;
    }
    let Mapping::Mapped(table, id, _) = mapping else {
        return Ok(None);
    };
    Ok(table.rule(id).map(|rule| Chosen {
        worker: table.worker(id),
        name: record.pool().keep(&rule.worker),
        options: table.options(id).map(|options| keep_options(record, Arc::clone(options))),
    }))
}

fn handle(record: Record<'_>, runtime: &Runtime, committed: &Cell<bool>) -> c_int {
    let notes = record.keep();
    let path = notes.original_uri().unwrap_or_else(|| record.uri());
    if record.get().proxyreq != 0 {
        notes.handled.set(true);
        jk_log!(
            record.sink(runtime),
            Level::Info,
            "(-) proxy_request: the request is one for a proxy, it is not forwarded; {UNSENT} outcome=500"
        );
        return INTERNAL_ERROR;
    }
    let chosen = match choose(&record, runtime, notes, path) {
        Ok(Some(chosen)) => chosen,
        Ok(None) => return DECLINED,
        Err(status) => return status,
    };
    if runtime.options.has(JkOption::ForwardURICompatUnparsed)
        && let Some(why) = hazard(record.sent_path(), path)
    {
        return refuse_path(&record, runtime, path, &Refusal::new(why));
    }
    notes.handled.set(true);
    // SAFETY: parked in the request's pool, or noted before.
    unsafe { notes.set_options(chosen.options) };
    let name = chosen.name;
    if record.notes().get(WORKER_NAME).is_none() {
        record.notes().set(record.pool(), WORKER_NAME, name);
    }
    let Some(worker) = chosen.worker else {
        jk_log!(
            record.sink(runtime),
            Level::Error,
            "({}) unknown_worker: there is no such worker in worker.list; {UNSENT} outcome=500",
            name.escape_ascii()
        );
        return INTERNAL_ERROR;
    };
    if let Some(config) = runtime.workers.configs.get(worker) {
        record.notes().set(record.pool(), WORKER_TYPE, config.type_name().as_bytes());
    }
    let Some(child) = runtime.workers.child.get() else {
        jk_log!(
            record.sink(runtime),
            Level::Error,
            "({}) not_ready: this process has no workers, see the error log at its start; \
             {UNSENT} outcome=503",
            name.escape_ascii()
        );
        return UNAVAILABLE;
    };
    if record.connection().aborted != 0 {
        return OK;
    }
    if runtime.workers.watchdog.is_none() || runtime.workers.maintain.is_none() {
        child.maintain_states(unix_time(), &record.sink(runtime));
        child.maintain_connections(Instant::now(), &record.sink(runtime));
    }
    // SAFETY: takes no arguments, reads a clock.
    let begin = unsafe { ffi::apr_time_now() };
    let status = forward(record, runtime, child, worker, path, committed);
    // SAFETY: as above.
    let micros = unsafe { ffi::apr_time_now() }.saturating_sub(begin);
    let micros = u64::try_from(micros).unwrap_or_default();
    let (seconds, rest) = (micros / MICROS, micros % MICROS);
    let pool = record.pool();
    // Behind the point are six digits, zeros included.
    let fraction = pool.number(rest.saturating_add(MICROS));
    let fraction = fraction.bytes().get(1..).unwrap_or_default();
    let duration = [pool.number(seconds).bytes(), b".", fraction];
    record.notes().set_joined(pool, REQUEST_DURATION, &duration);
    status
}

/// What the notes say about a member.
fn values<'r>(pool: Pool<'r>, member: &Snapshot<'_>) -> [Text<'r>; 10] {
    [
        pool.text(member.name.as_bytes()),
        pool.number(member.value),
        pool.number(member.accessed),
        pool.number(member.sessions),
        pool.number(member.read),
        pool.number(member.transferred),
        pool.number(member.errors.into()),
        pool.number(member.busy.into()),
        pool.text(member.activation.as_bytes()),
        pool.text(member.state.as_bytes()),
    ]
}

/// Notes what a balancer has done with a request.
///
/// Not part of [`forward`], whose frame on the stack every thread pays for.
#[inline(never)]
fn note(record: &Record<'_>, report: &Report<'_>) {
    let (notes, pool) = (record.notes(), record.pool());
    if let Some(route) = report.route.as_ref().filter(|route| !route.is_empty()) {
        notes.set(pool, WORKER_ROUTE, route);
    }
    for (names, member) in [(FIRST_MEMBER, &report.first), (LAST_MEMBER, &report.last)] {
        let Some(member) = member else { continue };
        for (name, value) in names.into_iter().zip(values(pool, member)) {
            notes.add(name, value);
        }
    }
}

fn forward(
    record: Record<'_>,
    runtime: &Runtime,
    child: &Child,
    worker: usize,
    path: &[u8],
    committed: &Cell<bool>,
) -> c_int {
    let Some((running, config)) =
        child.workers.get(worker).zip(runtime.workers.configs.get(worker))
    else {
        return INTERNAL_ERROR;
    };
    let name = config.name();
    let mut request = match HttpdRequest::new(record, runtime, worker, path, committed) {
        Ok(request) => request,
        Err(status) => {
            let event = match status {
                TOO_LARGE => "client_body_limit",
                _ => "bad_framing",
            };
            jk_log!(
                record.sink(runtime),
                Level::Info,
                "({name}) {event}: httpd refuses the request for its body; {UNSENT} outcome={status}"
            );
            return status;
        }
    };
    if let Some(rule) = denied(&runtime.ivy.denied, path, request.facts().uri) {
        jk_log!(
            record.sink(runtime),
            Level::Info,
            "({name}) path_denied: JkIvyEngine denies {} and what is below; {UNSENT} outcome=403 \
             path={}",
            rule.escape_ascii(),
            path.get(..200).unwrap_or(path).escape_ascii()
        );
        return FORBIDDEN;
    }
    #[cfg(feature = "test-panic")]
    request.panic_if_asked("before");
    #[cfg(feature = "test-memory")]
    super::test_memory::spoil_if_asked(&record);
    if let (Running::Status, WorkerConfig::Status(status)) = (running, config) {
        let form = match status::form(&mut request) {
            Ok(form) => form,
            Err(status) => return status,
        };
        let asked = (&request.facts(), form.as_slice());
        return status::serve(&record, runtime, child, status, asked, committed);
    }
    child.notices.websocket(&record, runtime, name);
    let outcome = match running {
        Running::Ajp13(worker) => {
            if let Some(route) = request.facts().route {
                record.notes().set(record.pool(), WORKER_ROUTE, route);
            }
            serve(&worker.current(), &child.buffers, &mut request)
        }
        Running::Balancer(balancer) => {
            let balancer = balancer.current();
            let (outcome, report) = balancer.serve(&child.buffers, &mut request);
            note(&record, &report);
            let balancing = request.policy().balancing;
            if !balancing.sticky_ignore {
                child.notices.session(&record, runtime, &balancer, balancing.session_cookie);
            }
            outcome
        }
        Running::Status => return INTERNAL_ERROR,
    };
    match outcome {
        Outcome::Completed | Outcome::Aborted => OK,
        Outcome::Refused(status) => {
            if status == 503 {
                record.err_headers_out().set(record.pool(), c"Retry-After", RETRY_AFTER);
            }
            int(status)
        }
        Outcome::ServerError(status) => int(status),
        Outcome::ClientGone => {
            record.abort_connection();
            OK
        }
        Outcome::Answered => ffi::AP_FILTER_ERROR,
    }
}
