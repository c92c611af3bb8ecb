//! The configuration directives (spec/mod_jk.md 1.1).
//!
//! What is wrong is collected rather than returned, so that `httpd -t` shows all of it at once; the
//! check at the end of [`super::lifecycle`] refuses to start.

mod engine;
mod global;
mod line;
mod logging;
mod mounts;
mod request;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use self::line::{Line, argument, directive};
use super::environment::Variable;
use super::ffi::{self, cmd_func, cmd_parms, command_rec};

/// What a directive takes, and who takes it.
#[derive(Clone, Copy)]
enum Take {
    /// One argument.
    One(fn(&mut Line<'_>, &CStr)),
    /// One or two arguments.
    OneOrTwo(fn(&mut Line<'_>, &CStr, Option<&CStr>)),
    /// The rest of the line as it is.
    Rest(fn(&mut Line<'_>, &CStr)),
    /// On or Off.
    Flag(fn(&mut Line<'_>, bool)),
    /// The name of an environment variable.
    Indicator(Variable),
}

use Take::{Flag, Indicator, One, OneOrTwo, Rest};

/// A directive: name, who takes its arguments, and what httpd says of it.
type Directive = (&'static CStr, Take, &'static CStr);

const PATH_AND_WORKER: &CStr = c"path and worker; in a <Location> only the worker";
const VARIABLE: &CStr = c"name of an environment variable";

/// All 37 directives of C mod_jk, and those that it does not have: JkStrict, JkIvyEngine,
/// JkUserHeader.
static DIRECTIVES: [Directive; 40] = [
    (
        c"JkWorkersFile",
        One(global::workers_file),
        c"path of workers.properties, relative to ServerRoot",
    ),
    (
        c"JkWorkerProperty",
        Rest(global::worker_property),
        c"one line of workers.properties: name=value",
    ),
    (c"JkShmFile", One(global::shm_file), c"accepted, has no effect: no file is needed"),
    (c"JkShmSize", One(global::shm_size), c"accepted, has no effect: the size is found out"),
    (
        c"JkWatchdogInterval",
        One(global::watchdog_interval),
        c"seconds between maintenance of connections; 0 is off",
    ),
    (c"JkStrict", Flag(global::strict), c"On: what would be a warning keeps httpd from starting"),
    (
        c"JkIvyEngine",
        Rest(engine::ivy_engine),
        c"folder of an Axon Ivy Engine or its ivy.yaml, and key=value ...; or Off",
    ),
    (
        c"JkUserHeader",
        One(engine::user_header),
        c"name of the header that tells the engine the authenticated user",
    ),
    (c"JkMount", OneOrTwo(mounts::jk_mount), PATH_AND_WORKER),
    (c"JkUnMount", OneOrTwo(mounts::jk_unmount), PATH_AND_WORKER),
    (
        c"JkMountFile",
        One(mounts::mount_file),
        c"path of uriworkermap.properties, relative to ServerRoot",
    ),
    (
        c"JkMountFileReload",
        One(mounts::mount_file_reload),
        c"seconds between checks of the JkMountFile; 0 is never",
    ),
    (
        c"JkMountCopy",
        One(mounts::mount_copy),
        c"On or Off: whether a virtual host inherits mounts; All: every one does",
    ),
    (
        c"JkAutoAlias",
        One(mounts::auto_alias),
        c"folder of web applications, whose files httpd serves itself",
    ),
    (
        c"JkStripSession",
        OneOrTwo(mounts::strip_session),
        c"On or Off, and the session parameter to take out of unmapped paths",
    ),
    (c"JkLogFile", One(logging::log_file), c"path of the log file, or |program"),
    (c"JkLogLevel", One(logging::log_level), c"trace, debug, info, warn, error or emerg"),
    (
        c"JkLogStampFormat",
        One(logging::log_stamp_format),
        c"format of strftime; %Q is milliseconds, %q microseconds",
    ),
    (
        c"JkRequestLogFormat",
        One(logging::request_log_format),
        c"format of a line for each request that was forwarded",
    ),
    (c"JkExtractSSL", Flag(request::extract_ssl), c"On or Off: whether TLS data is forwarded"),
    (c"JkOptions", Rest(request::options), c"options, each with + or - before it"),
    (
        c"JkEnvVar",
        OneOrTwo(request::env_var),
        c"environment variable that the engine gets as attribute, and its default",
    ),
    (c"JkWorkerIndicator", Indicator(Variable::Worker), VARIABLE),
    (c"JkRequestIdIndicator", Indicator(Variable::RequestId), VARIABLE),
    (c"JkRemoteAddrIndicator", Indicator(Variable::RemoteAddr), VARIABLE),
    (c"JkRemotePortIndicator", Indicator(Variable::RemotePort), VARIABLE),
    (c"JkRemoteHostIndicator", Indicator(Variable::RemoteHost), VARIABLE),
    (c"JkRemoteUserIndicator", Indicator(Variable::RemoteUser), VARIABLE),
    (c"JkAuthTypeIndicator", Indicator(Variable::AuthType), VARIABLE),
    (c"JkLocalNameIndicator", Indicator(Variable::LocalName), VARIABLE),
    (c"JkLocalAddrIndicator", Indicator(Variable::LocalAddr), VARIABLE),
    (c"JkLocalPortIndicator", Indicator(Variable::LocalPort), VARIABLE),
    (c"JkIgnoreCLIndicator", Indicator(Variable::IgnoreContentLength), VARIABLE),
    (c"JkHTTPSIndicator", Indicator(Variable::Https), VARIABLE),
    (c"JkSSLPROTOCOLIndicator", Indicator(Variable::TlsProtocol), VARIABLE),
    (c"JkCERTSIndicator", Indicator(Variable::TlsCertificate), VARIABLE),
    (c"JkCIPHERIndicator", Indicator(Variable::TlsCipher), VARIABLE),
    (c"JkSESSIONIndicator", Indicator(Variable::TlsSession), VARIABLE),
    (c"JkKEYSIZEIndicator", Indicator(Variable::TlsKeySize), VARIABLE),
    (c"JkCERTCHAINPrefix", Indicator(Variable::TlsChainPrefix), VARIABLE),
];

/// httpd's table of our directives. The last entry is empty.
pub(super) struct Commands(pub [command_rec; DIRECTIVES.len() + 1]);

// SAFETY: the table is never written to; its pointers are to constant strings.
unsafe impl Sync for Commands {}

const SERVER: c_int = ffi::RSRC_CONF as c_int;
const SECTION: c_int = ffi::RSRC_CONF as c_int | ffi::ACCESS_CONF as c_int;

const END: command_rec = command_rec {
    name: ptr::null(),
    func: cmd_func { no_args: None },
    cmd_data: ptr::null_mut(),
    req_override: 0,
    args_how: ffi::RAW_ARGS,
    errmsg: ptr::null(),
};

/// The directives as httpd knows them.
pub(super) static COMMANDS: Commands = Commands(commands());

#[allow(clippy::indexing_slicing, reason = "evaluated while the module is compiled")]
const fn commands() -> [command_rec; DIRECTIVES.len() + 1] {
    let mut commands = [END; DIRECTIVES.len() + 1];
    let mut at = 0;
    while at < DIRECTIVES.len() {
        let (name, take, help) = DIRECTIVES[at];
        let (func, args_how) = match take {
            One(_) | Indicator(_) => (cmd_func { take1: Some(take_one) }, ffi::TAKE1),
            OneOrTwo(_) => (cmd_func { take2: Some(take_two) }, ffi::TAKE12),
            Rest(_) => (cmd_func { raw_args: Some(take_one) }, ffi::RAW_ARGS),
            Flag(_) => (cmd_func { flag: Some(take_flag) }, ffi::FLAG),
        };
        commands[at] = command_rec {
            name: name.as_ptr(),
            func,
            cmd_data: ptr::without_provenance_mut(at),
            req_override: if is_mount(name) { SECTION } else { SERVER },
            args_how,
            errmsg: help.as_ptr(),
        };
        at += 1;
    }
    commands
}

/// Whether a directive may stand in a section.
const fn is_mount(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"JkMount" | b"JkUnMount")
}

/// Who takes the arguments of a directive.
fn taker(line: &Line<'_>) -> Option<Take> {
    DIRECTIVES.get(line.index()).map(|(_, take, _)| *take)
}

unsafe extern "C" fn take_one(
    parms: *mut cmd_parms,
    _: *mut c_void,
    first: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes an argument of the directive, or the rest of its line.
    let first = unsafe { argument(first) }.unwrap_or_default();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| match taker(line) {
            Some(One(function) | Rest(function)) => function(line, first),
            Some(Indicator(variable)) => request::indicator(line, variable, first),
            Some(OneOrTwo(_) | Flag(_)) | None => {}
        })
    }
}

unsafe extern "C" fn take_two(
    parms: *mut cmd_parms,
    _: *mut c_void,
    first: *const c_char,
    second: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes an argument of the directive.
    let first = unsafe { argument(first) }.unwrap_or_default();
    // SAFETY: as above; null where there is no second one.
    let second = unsafe { argument(second) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if let Some(OneOrTwo(function)) = taker(line) {
                function(line, first, second);
            }
        })
    }
}

unsafe extern "C" fn take_flag(parms: *mut cmd_parms, _: *mut c_void, on: c_int) -> *const c_char {
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if let Some(Flag(function)) = taker(line) {
                function(line, on != 0);
            }
        })
    }
}
