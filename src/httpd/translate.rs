//! The hooks that find out whether a path is ours (spec/mod_jk.md 1.6).

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::ffi;
use super::guard::{guard, panic_place};
use super::lifecycle::runtime;
use super::path::{name_of, path_of};
use super::pool::int;
use super::request::{HANDLER, Record};
use super::server::Runtime;
use crate::jk_log;
use crate::log::Level;
use crate::mapping::{
    AutoAlias, Lookup, RuleId, RuleOptions, Table, auto_alias, contains_backslash, normalize,
    strip_session,
};
use crate::worker::{UNSENT, uri};

const OK: c_int = ffi::OK as c_int;
const DECLINED: c_int = ffi::DECLINED;
const BAD_REQUEST: c_int = ffi::HTTP_BAD_REQUEST as c_int;
const FOUND: c_int = ffi::HTTP_MOVED_TEMPORARILY as c_int;
const FORBIDDEN: c_int = ffi::HTTP_FORBIDDEN as c_int;
const NOT_FOUND: c_int = ffi::HTTP_NOT_FOUND as c_int;
const INTERNAL_ERROR: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// Note that names the worker.
pub(super) const WORKER_NAME: &CStr = c"JK_WORKER_NAME";
/// Environment variable that keeps a request away from us.
pub(super) const NO_JK: &CStr = c"no-jk";
/// httpd's handler for directories without an index.
pub(super) const DIRECTORY: &[u8] = b"httpd/unix-directory";

/// Why a path is refused, and with which status.
#[derive(Debug)]
pub(super) struct Refusal {
    why: Cow<'static, str>,
    status: c_int,
}

impl Refusal {
    /// A refusal with 400.
    pub(super) const fn new(why: &'static str) -> Self {
        Self { why: Cow::Borrowed(why), status: BAD_REQUEST }
    }

    /// What httpd says to a path without its parameters.
    const fn of_httpd(status: c_int) -> Self {
        Self { why: Cow::Borrowed("httpd refuses the path without its parameters"), status }
    }
}

/// The refusal of a path with a backslash that a rule maps.
pub(super) const BACKSLASH: Refusal = Refusal::new("the path has a backslash");

/// The refusal of a path that a `<Location>` has brought here, and that Tomcat would take for
/// another one.
pub(super) const DOTS: Refusal =
    Refusal::new("the path has a . or .. segment with a path parameter");

/// What RejectUnsafeURI makes of a path; where no file is behind it, the client of C mod_jk gets
/// the same status.
const UNSAFE: Refusal = Refusal {
    why: Cow::Borrowed("the path has a % or \\ when decoded, which RejectUnsafeURI keeps away"),
    status: NOT_FOUND,
};

/// What a path means on a server.
pub(super) enum Mapping<'u> {
    /// Not ours; the path as it was compared.
    Unmapped(Cow<'u, [u8]>),
    /// Not a path that may go anywhere.
    Refused(Refusal),
    /// A rule of the table has it.
    Mapped(Arc<Table>, RuleId, Cow<'u, [u8]>),
}

/// Looks a decoded path up in the server's rules.
pub(super) fn map<'u>(record: &Record<'_>, runtime: &Runtime, uri: &'u [u8]) -> Mapping<'u> {
    let normalized = match normalize(uri) {
        Ok(normalized) => normalized,
        Err(why) => {
            let why = Cow::Owned(why.to_string());
            return Mapping::Refused(Refusal { why, status: BAD_REQUEST });
        }
    };
    let table = runtime.maps.current(Instant::now(), &record.sink(runtime));
    match table.lookup(&normalized) {
        Lookup::Unmapped | Lookup::Excluded { .. } => Mapping::Unmapped(normalized),
        Lookup::Unsafe { .. } => Mapping::Refused(UNSAFE),
        Lookup::Mapped { .. } if contains_backslash(uri) => Mapping::Refused(BACKSLASH),
        Lookup::Mapped { rule } => Mapping::Mapped(table, rule, normalized),
    }
}

/// Options of a rule, kept for the life of the request.
pub(super) fn keep_options<'r>(record: &Record<'r>, options: Arc<RuleOptions>) -> &'r RuleOptions {
    let kept = record.pool().park(options);
    // SAFETY: parked in the request's pool, and never changed.
    unsafe { kept.as_ref() }
}

/// Runs a hook on a request. After a panic the request gets a 500.
///
/// # Safety
/// `raw` is the request that httpd passes to the hook.
pub(super) unsafe fn hook(
    raw: *mut ffi::request_rec,
    body: impl for<'r> FnOnce(Record<'r>, &'r Runtime) -> c_int,
) -> c_int {
    let on_panic = |message: &str| {
        // SAFETY: the caller's promise.
        if let Some(record) = unsafe { Record::new(raw) }
            && let Some(runtime) = record.server().and_then(runtime)
        {
            log_panic(&record, runtime, message, "500");
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

/// The name of the worker that a request is for, as far as that is known.
fn worker_of<'r>(record: &Record<'r>) -> &'r [u8] {
    record.notes().get(WORKER_NAME).unwrap_or(b"-")
}

/// Says that a request is given up for a fault of ours.
#[cold]
pub(super) fn log_panic(record: &Record<'_>, runtime: &Runtime, message: &str, outcome: &str) {
    jk_log!(
        record.sink(runtime),
        Level::Error,
        "({}) internal_error: {message} at {}; the request is given up, please report this as a \
         fault of mod_jk; outcome={outcome}",
        worker_of(record).escape_ascii(),
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
                record.note_tls_claims();
            }
            DECLINED
        })
    }
}

/// Runs once httpd has found out who the user is: before it asks whether that one may pass, and where
/// it need not ask.
pub(super) unsafe extern "C" fn user_is_known(raw: *mut ffi::request_rec) -> c_int {
    // SAFETY: called by httpd.
    unsafe {
        hook(raw, |record, _| {
            if !record.get().user.is_null() {
                record.keep().user_is_known.set(true);
            }
            DECLINED
        })
    }
}

/// Whether the configuration has chosen our handler already.
pub(super) fn is_ours_already(record: &Record<'_>) -> bool {
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
            let alias = runtime.auto_alias.as_deref();
            if let Some(alias) = alias
                && lacks_index_file(&record, alias)
            {
                return DECLINED;
            }
            match map_request(record, runtime) {
                Err(status) => status,
                Ok(None) => {
                    // A probe of mod_dir makes the directory's request ours.
                    if let Some(main) = record.main() {
                        main.set_handler(HANDLER);
                    }
                    OK
                }
                Ok(Some(path)) => match &runtime.ivy.redirect {
                    Some(target) if is_site_root(&record, &path) => redirect(record, target),
                    _ => alias.map_or(DECLINED, |alias| set_alias(record, alias, &path)),
                },
            }
        })
    }
}

/// Whether a client asks for the page of the whole site.
fn is_site_root(record: &Record<'_>, path: &[u8]) -> bool {
    let is_first = record.main().is_none() && record.previous().is_none();
    path == b"/" && is_first && record.get().method_number == int(ffi::M_GET)
}

/// JkIvyEngine redirect=on. The target has no host, so that it is right behind other proxies, too.
fn redirect(record: Record<'_>, target: &[u8]) -> c_int {
    record.headers_out().set(record.pool(), c"Location", &uri::escape(target));
    FOUND
}

/// Whether a subrequest looks for an index file that an aliased application has not got: its folder
/// is listed then instead of sent to the engine.
fn lacks_index_file(record: &Record<'_>, alias: &Path) -> bool {
    let is_directory = |main: Record<'_>| main.handler() == DIRECTORY;
    if !record.main().is_some_and(is_directory) {
        return false;
    }
    let Ok(path) = normalize(record.uri()) else {
        return false;
    };
    path.len() <= 1 || !below(alias, &path).is_file()
}

/// A normalised path below a folder.
fn below(folder: &Path, path: &[u8]) -> PathBuf {
    path_of(&[&*name_of(folder), path].concat())
}

/// JkAutoAlias: a file of a deployed application.
fn set_alias(record: Record<'_>, alias: &Path, path: &[u8]) -> c_int {
    match auto_alias(path) {
        AutoAlias::NoContext => DECLINED,
        AutoAlias::Hidden => NOT_FOUND,
        AutoAlias::Context { directory, is_archive } => {
            if below(alias, directory).is_dir() {
                let file = below(alias, path);
                record.set_filename(record.pool().copy(&name_of(&file)));
                // What httpd authorises next must be the path of the file that it serves.
                if path != record.uri() {
                    record.set_uri(record.pool().copy(path));
                }
                return OK;
            }
            if is_archive { FORBIDDEN } else { DECLINED }
        }
    }
}

/// Why httpd refuses a client the path under which the engine finds what is asked for. Where no rule
/// has mapped a request, httpd has authorised only the path that has parameters.
pub(super) fn refusal_of(record: &Record<'_>, path: &[u8]) -> Option<Refusal> {
    let status = record.try_path(&uri::escape(path));
    (status != int(ffi::HTTP_OK)).then(|| {
        let is_error = status >= BAD_REQUEST;
        Refusal::of_httpd(if is_error { status } else { FORBIDDEN })
    })
}

/// Refuses a path that cannot be compared.
#[cold]
pub(super) fn refuse_path(
    record: &Record<'_>,
    runtime: &Runtime,
    path: &[u8],
    refusal: &Refusal,
) -> c_int {
    let Refusal { why, status } = refusal;
    jk_log!(
        record.sink(runtime),
        Level::Info,
        "({}) bad_path: {why}; {UNSENT} outcome={status} path={}",
        worker_of(record).escape_ascii(),
        path.get(..200).unwrap_or(path).escape_ascii()
    );
    *status
}

/// Maps a request and, where a rule matches, makes it ours; otherwise returns the path that was
/// compared.
fn map_request<'r>(record: Record<'r>, runtime: &Runtime) -> Result<Option<Cow<'r, [u8]>>, c_int> {
    let original = record.uri();
    let (table, rule, normalized) = match map(&record, runtime, original) {
        Mapping::Unmapped(path) => return Ok(Some(path)),
        Mapping::Refused(why) => return Err(refuse_path(&record, runtime, original, &why)),
        Mapping::Mapped(table, rule, normalized) => (table, rule, normalized),
    };
    let Some(found) = table.rule(rule) else {
        return Ok(Some(normalized));
    };
    let pool = record.pool();
    let notes = record.keep();
    // SAFETY: a string of the request, in its pool.
    unsafe { notes.set_original_uri(original) };
    notes.worker.set(table.worker(rule));
    let options = table.options(rule);
    let options = options.map(|options| keep_options(&record, Arc::clone(options)));
    // SAFETY: parked in the request's pool.
    unsafe { notes.set_options(options) };
    record.set_handler(HANDLER);
    if let Cow::Owned(normalized) = normalized {
        record.set_uri(pool.copy(&normalized));
    }
    record.notes().set(pool, WORKER_NAME, &found.worker);
    if let Some(main) = record.main() {
        main.notes().set(main.pool(), WORKER_NAME, &found.worker);
    }
    jk_log!(
        record.sink(runtime),
        Level::Debug,
        "mapped: {} to worker {}",
        original.escape_ascii(),
        found.worker.escape_ascii()
    );
    Ok(None)
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
                match map_request(record, runtime) {
                    Err(status) => return status,
                    Ok(Some(_)) => {
                        strip(record, runtime);
                        return DECLINED;
                    }
                    Ok(None) => {}
                }
            }
            if record.notes().get(WORKER_NAME).is_none() {
                return DECLINED;
            }
            set_file_name(record)
        })
    }
}

/// JkStripSession: takes the session out of a path that httpd serves itself.
fn strip(record: Record<'_>, runtime: &Runtime) {
    let Some(name) = &runtime.strip_session else {
        return;
    };
    let pool = record.pool();
    if let Some(uri) = strip_session(record.uri(), name) {
        record.set_uri(pool.copy(&uri));
    }
    let file = record.text(record.get().filename);
    if let Some(file) = file.and_then(|file| strip_session(file, name)) {
        record.set_filename(pool.copy(&file));
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
