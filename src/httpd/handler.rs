//! The request hooks: mapping and serving (spec/mod_jk.md 1.6).

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_int};

use super::ffi;
use super::guard::{guard, panic_place};
use super::lifecycle::runtime;
use super::pool::int;
use super::request::{HANDLER, HttpdRequest, Notes, Record};
use super::response::reset_response;
use super::server::{Child, Running, Runtime};
use crate::jk_log;
use crate::log::Level;
use crate::mapping::{Lookup, RuleId, contains_backslash, normalize};
use crate::worker::{Outcome, serve};

const OK: c_int = ffi::OK as c_int;
const DECLINED: c_int = ffi::DECLINED;
const BAD_REQUEST: c_int = ffi::HTTP_BAD_REQUEST as c_int;
const INTERNAL_ERROR: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;
const TOO_LARGE: c_int = ffi::HTTP_REQUEST_ENTITY_TOO_LARGE as c_int;
const UNAVAILABLE: c_int = ffi::HTTP_SERVICE_UNAVAILABLE as c_int;

/// Note and environment variable that name the worker.
const WORKER_NAME: &CStr = c"JK_WORKER_NAME";
/// Environment variable that keeps a request away from us.
const NO_JK: &CStr = c"no-jk";
/// Seconds after which a client may try again (spec/reliability.md 5.1 C1).
const RETRY_AFTER: &[u8] = b"10";

const BACKSLASH: &str = "the path has a backslash";
const UNSAFE: &str = "the path has a percent sign or a backslash";

/// What a path means on a server.
enum Mapping<'u> {
    Unmapped,
    /// Not a path that could be compared: 400.
    Refused(String),
    Mapped(RuleId, Cow<'u, [u8]>),
}

fn map<'u>(runtime: &Runtime, uri: &'u [u8]) -> Mapping<'u> {
    let normalized = match normalize(uri) {
        Ok(normalized) => normalized,
        Err(why) => return Mapping::Refused(why.to_string()),
    };
    match runtime.table.lookup(&normalized) {
        Lookup::Unmapped | Lookup::Excluded { .. } => Mapping::Unmapped,
        Lookup::Unsafe { .. } => Mapping::Refused(UNSAFE.to_owned()),
        Lookup::Mapped { .. } if contains_backslash(uri) => Mapping::Refused(BACKSLASH.to_owned()),
        Lookup::Mapped { rule } => Mapping::Mapped(rule, normalized),
    }
}

/// Runs a hook on a request. After a panic the request gets a 500.
///
/// # Safety
/// `raw` is the request that httpd passes to the hook.
unsafe fn hook(
    raw: *mut ffi::request_rec,
    body: impl for<'r> FnOnce(Record<'r>, &'r Runtime) -> c_int,
) -> c_int {
    let on_panic = |message: &str| {
        // SAFETY: the caller's promise.
        if let Some(record) = unsafe { Record::new(raw) }
            && let Some(runtime) = record.server().and_then(runtime)
        {
            log_panic(&record, runtime, message);
        }
        INTERNAL_ERROR
    };
    guard(on_panic, || {
        // SAFETY: the caller's promise.
        let Some(record) = (unsafe { Record::new(raw) }) else {
            return DECLINED;
        };
        match record.server().and_then(runtime) {
            Some(runtime) => body(record, runtime),
            None => DECLINED,
        }
    })
}

fn log_panic(record: &Record<'_>, runtime: &Runtime, message: &str) {
    jk_log!(
        record.sink(runtime),
        Level::Error,
        "internal_error: {message} at {}; the request is given up, please report this as a fault \
         of mod_jk",
        panic_place()
    );
}

pub(super) unsafe extern "C" fn post_read_request(raw: *mut ffi::request_rec) -> c_int {
    // SAFETY: called by httpd.
    unsafe {
        hook(raw, |record, _| {
            // A redirected request has headers that modules may have set by now.
            if record.main().is_none() && record.previous().is_none() {
                record.note_hop_by_hop();
            }
            DECLINED
        })
    }
}

fn is_ours_already(record: &Record<'_>) -> bool {
    record.handler() == HANDLER.to_bytes()
}

fn is_kept_away(record: &Record<'_>) -> bool {
    record.get().proxyreq != 0 || record.environment().get(NO_JK).is_some()
}

pub(super) unsafe extern "C" fn translate_name(raw: *mut ffi::request_rec) -> c_int {
    // SAFETY: called by httpd.
    unsafe {
        hook(raw, |record, runtime| {
            if is_ours_already(&record) || is_kept_away(&record) {
                return DECLINED;
            }
            match map_request(record, runtime) {
                Err(status) => status,
                Ok(false) => DECLINED,
                Ok(true) => {
                    // A probe of mod_dir makes the directory's request ours.
                    if let Some(main) = record.main() {
                        main.set_handler(HANDLER);
                    }
                    OK
                }
            }
        })
    }
}

fn refuse_path(record: &Record<'_>, runtime: &Runtime, path: &[u8], why: &str) -> c_int {
    jk_log!(
        record.sink(runtime),
        Level::Info,
        "bad_path: {why}; outcome=400 path={}",
        path.get(..200).unwrap_or(path).escape_ascii()
    );
    BAD_REQUEST
}

/// Maps a request and, where a rule matches, makes it ours.
fn map_request(record: Record<'_>, runtime: &Runtime) -> Result<bool, c_int> {
    let original = record.uri();
    let (rule, normalized) = match map(runtime, original) {
        Mapping::Unmapped => return Ok(false),
        Mapping::Refused(why) => return Err(refuse_path(&record, runtime, original, &why)),
        Mapping::Mapped(rule, normalized) => (rule, normalized),
    };
    let pool = record.pool();
    let notes = record.kept().unwrap_or_default();
    let worker = runtime.table.worker(rule);
    record.keep(Notes { original_uri: Some(original), worker, ..notes });
    record.set_handler(HANDLER);
    if let Cow::Owned(normalized) = normalized {
        record.set_uri(pool.copy(&normalized));
    }
    let name = runtime.worker_name(rule);
    record.notes().set(pool, WORKER_NAME, name);
    if let Some(main) = record.main() {
        main.notes().set(main.pool(), WORKER_NAME, name);
    }
    jk_log!(
        record.sink(runtime),
        Level::Debug,
        "mapped: {} to worker {}",
        original.escape_ascii(),
        name.escape_ascii()
    );
    Ok(true)
}

pub(super) unsafe extern "C" fn map_to_storage(raw: *mut ffi::request_rec) -> c_int {
    // SAFETY: called by httpd.
    unsafe {
        hook(raw, |record, runtime| {
            if record.get().proxyreq == 0 && record.notes().get(WORKER_NAME).is_none() {
                // Without a URI it is a file that mod_include reads.
                let is_file = record.uri().is_empty();
                if is_ours_already(&record) || is_kept_away(&record) || is_file {
                    return DECLINED;
                }
                if let Err(status) = map_request(record, runtime) {
                    return status;
                }
            }
            if record.notes().get(WORKER_NAME).is_none() {
                return DECLINED;
            }
            set_file_name(record)
        })
    }
}

/// Gives a mapped request a file name that is none of the file system, but for a probe of mod_dir,
/// which must believe that its index file exists.
fn set_file_name(record: Record<'_>) -> c_int {
    let pool = record.pool();
    let last = record.uri().rsplit(|b| *b == b'/').next().unwrap_or_default();
    let name = pool.copy(last);
    record.set_filename(name);
    let directory = record.main().filter(|main| main.is_directory_request());
    if let Some(main) = directory {
        let root = main.get().filename;
        let flags = int(ffi::APR_FILEPATH_SECUREROOT | ffi::APR_FILEPATH_TRUENAME);
        let mut merged = name;
        // SAFETY: two C strings and the request's pool; the result is written to our variable.
        let status =
            unsafe { ffi::apr_filepath_merge(&raw mut merged, root, name, flags, pool.raw()) };
        if status != 0 {
            return DECLINED;
        }
        record.set_filename(merged);
        let info = record.file_info();
        let wanted = int(ffi::APR_FINFO_TYPE);
        // A file that is not there leaves the record as mod_dir expects it.
        // SAFETY: writes into the request's own record; name and pool are alive.
        unsafe { ffi::apr_stat(info, merged, wanted, pool.raw()) };
    }
    OK
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
            log_panic(&record, runtime, message);
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
        if !is_ours_already(&record) || record.environment().get(NO_JK).is_some() {
            return DECLINED;
        }
        match record.server().and_then(runtime) {
            Some(runtime) => handle(record, runtime, &committed),
            None => DECLINED,
        }
    })
}

fn handle(record: Record<'_>, runtime: &Runtime, committed: &Cell<bool>) -> c_int {
    if record.get().proxyreq != 0 {
        return INTERNAL_ERROR;
    }
    let notes = record.kept().unwrap_or_default();
    let path = notes.original_uri.unwrap_or_else(|| record.uri());
    let named = record
        .notes()
        .get(WORKER_NAME)
        .or_else(|| record.environment().get(WORKER_NAME).filter(|name| !name.is_empty()));
    // SetHandler brings requests here that no rule has looked at.
    let mapping = match notes.original_uri {
        Some(_) => Mapping::Unmapped,
        None => map(runtime, path),
    };
    let (worker, name) = match (notes.worker, named, mapping) {
        (_, _, Mapping::Refused(why)) => return refuse_path(&record, runtime, path, &why),
        (Some(worker), name, _) => (Some(worker), name.unwrap_or_default()),
        (None, Some(_), _) if contains_backslash(path) => {
            return refuse_path(&record, runtime, path, BACKSLASH);
        }
        (None, Some(name), _) => (runtime.workers.position(name), name),
        (None, None, Mapping::Mapped(rule, _)) => {
            (runtime.table.worker(rule), runtime.worker_name(rule))
        }
        (None, None, Mapping::Unmapped) => return DECLINED,
    };
    let Some(worker) = worker else {
        jk_log!(
            record.sink(runtime),
            Level::Error,
            "({}) unknown_worker: there is no such worker in worker.list; outcome=500",
            name.escape_ascii()
        );
        return INTERNAL_ERROR;
    };
    let Some(child) = runtime.workers.child.get() else {
        jk_log!(
            record.sink(runtime),
            Level::Error,
            "({}) not_ready: this process has no workers, see the error log at its start; \
             outcome=503",
            name.escape_ascii()
        );
        return UNAVAILABLE;
    };
    if record.connection().aborted != 0 {
        return OK;
    }
    forward(record, runtime, child, worker, path, committed)
}

fn forward(
    record: Record<'_>,
    runtime: &Runtime,
    child: &Child,
    worker: usize,
    path: &[u8],
    committed: &Cell<bool>,
) -> c_int {
    let Some(Running::Ajp13(worker)) = child.workers.get(worker) else {
        return INTERNAL_ERROR;
    };
    let mut request = match HttpdRequest::new(record, runtime, path, committed) {
        Ok(request) => request,
        Err(status) => {
            let event = match status {
                TOO_LARGE => "client_body_limit",
                _ => "bad_framing",
            };
            jk_log!(
                record.sink(runtime),
                Level::Info,
                "({}) {event}: httpd refuses the request for its body; outcome={status}",
                worker.config().name
            );
            return status;
        }
    };
    #[cfg(feature = "test-panic")]
    request.panic_if_asked("before");
    match serve(worker, &child.buffers, &mut request) {
        Outcome::Completed | Outcome::Aborted => OK,
        Outcome::Refused(status) => {
            if status == 503 {
                record.err_headers_out().set(record.pool(), c"Retry-After", RETRY_AFTER);
            }
            int(status)
        }
        Outcome::ClientGone => {
            record.abort_connection();
            OK
        }
        Outcome::Answered => ffi::AP_FILTER_ERROR,
    }
}
