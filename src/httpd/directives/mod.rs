//! The configuration directives (spec/mod_jk.md 1.1).
//!
//! What is wrong is collected rather than returned, so that `httpd -t` shows all of it at once; the
//! check at the end of [`super::lifecycle`] refuses to start.

mod global;
mod line;
mod logging;
mod mounts;
mod request;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use super::environment::Variable;
use super::ffi::{self, cmd_func, cmd_parms, command_rec};

/// httpd's table of our directives. The last entry is empty.
pub(super) struct Commands(pub [command_rec; 39]);

// SAFETY: the table is never written to; its pointers are to constant strings.
unsafe impl Sync for Commands {}

const SERVER: c_int = ffi::RSRC_CONF as c_int;
const SECTION: c_int = ffi::RSRC_CONF as c_int | ffi::ACCESS_CONF as c_int;

type One = unsafe extern "C" fn(*mut cmd_parms, *mut c_void, *const c_char) -> *const c_char;
type Two = unsafe extern "C" fn(
    *mut cmd_parms,
    *mut c_void,
    *const c_char,
    *const c_char,
) -> *const c_char;
type Flag = unsafe extern "C" fn(*mut cmd_parms, *mut c_void, c_int) -> *const c_char;

const END: command_rec = command_rec {
    name: ptr::null(),
    func: cmd_func { no_args: None },
    cmd_data: ptr::null_mut(),
    req_override: 0,
    args_how: ffi::RAW_ARGS,
    errmsg: ptr::null(),
};

const fn take1(name: &'static CStr, function: One, help: &'static CStr) -> command_rec {
    command_rec {
        name: name.as_ptr(),
        func: cmd_func { take1: Some(function) },
        req_override: SERVER,
        args_how: ffi::TAKE1,
        errmsg: help.as_ptr(),
        ..END
    }
}

const fn take12(name: &'static CStr, function: Two, help: &'static CStr) -> command_rec {
    command_rec {
        func: cmd_func { take2: Some(function) },
        args_how: ffi::TAKE12,
        ..take1(name, mounts::mount_file, help)
    }
}

const fn mount(name: &'static CStr, function: Two) -> command_rec {
    command_rec {
        req_override: SECTION,
        ..take12(name, function, c"path and worker; in a <Location> only the worker")
    }
}

const fn raw(name: &'static CStr, function: One, help: &'static CStr) -> command_rec {
    command_rec {
        func: cmd_func { raw_args: Some(function) },
        args_how: ffi::RAW_ARGS,
        ..take1(name, function, help)
    }
}

const fn flag(name: &'static CStr, function: Flag, help: &'static CStr) -> command_rec {
    command_rec {
        func: cmd_func { flag: Some(function) },
        args_how: ffi::FLAG,
        ..take1(name, mounts::mount_file, help)
    }
}

const fn indicator(variable: Variable, name: &'static CStr) -> command_rec {
    command_rec {
        cmd_data: ptr::without_provenance_mut(variable as usize),
        ..take1(name, request::indicator, c"name of an environment variable")
    }
}

/// All 37 directives of C mod_jk, and JkStrict.
pub(super) static COMMANDS: Commands = Commands([
    take1(
        c"JkWorkersFile",
        global::workers_file,
        c"path of workers.properties, relative to ServerRoot",
    ),
    raw(
        c"JkWorkerProperty",
        global::worker_property,
        c"one line of workers.properties: name=value",
    ),
    take1(c"JkShmFile", global::shm_file, c"accepted, has no effect: no file is needed"),
    take1(c"JkShmSize", global::shm_size, c"accepted, has no effect: the size is found out"),
    take1(
        c"JkWatchdogInterval",
        global::watchdog_interval,
        c"seconds between maintenance of connections; 0 is off",
    ),
    flag(c"JkStrict", global::strict, c"On: what would be a warning keeps httpd from starting"),
    mount(c"JkMount", mounts::jk_mount),
    mount(c"JkUnMount", mounts::jk_unmount),
    take1(
        c"JkMountFile",
        mounts::mount_file,
        c"path of uriworkermap.properties, relative to ServerRoot",
    ),
    take1(
        c"JkMountFileReload",
        mounts::mount_file_reload,
        c"seconds between checks of the JkMountFile; 0 is never",
    ),
    take1(
        c"JkMountCopy",
        mounts::mount_copy,
        c"On or Off: whether a virtual host inherits mounts; All: every one does",
    ),
    take1(
        c"JkAutoAlias",
        mounts::auto_alias,
        c"folder of web applications, whose files httpd serves itself",
    ),
    take12(
        c"JkStripSession",
        mounts::strip_session,
        c"On or Off, and the session parameter to take out of unmapped paths",
    ),
    take1(c"JkLogFile", logging::log_file, c"path of the log file, or |program"),
    take1(c"JkLogLevel", logging::log_level, c"trace, debug, info, warn, error or emerg"),
    take1(
        c"JkLogStampFormat",
        logging::log_stamp_format,
        c"format of strftime; %Q is milliseconds, %q microseconds",
    ),
    take1(
        c"JkRequestLogFormat",
        logging::request_log_format,
        c"format of a line for each request that was forwarded",
    ),
    flag(c"JkExtractSSL", request::extract_ssl, c"On or Off: whether TLS data is forwarded"),
    raw(c"JkOptions", request::options, c"options, each with + or - before it"),
    take12(
        c"JkEnvVar",
        request::env_var,
        c"environment variable that the engine gets as attribute, and its default",
    ),
    indicator(Variable::Worker, c"JkWorkerIndicator"),
    indicator(Variable::RequestId, c"JkRequestIdIndicator"),
    indicator(Variable::RemoteAddr, c"JkRemoteAddrIndicator"),
    indicator(Variable::RemotePort, c"JkRemotePortIndicator"),
    indicator(Variable::RemoteHost, c"JkRemoteHostIndicator"),
    indicator(Variable::RemoteUser, c"JkRemoteUserIndicator"),
    indicator(Variable::AuthType, c"JkAuthTypeIndicator"),
    indicator(Variable::LocalName, c"JkLocalNameIndicator"),
    indicator(Variable::LocalAddr, c"JkLocalAddrIndicator"),
    indicator(Variable::LocalPort, c"JkLocalPortIndicator"),
    indicator(Variable::IgnoreContentLength, c"JkIgnoreCLIndicator"),
    indicator(Variable::Https, c"JkHTTPSIndicator"),
    indicator(Variable::TlsProtocol, c"JkSSLPROTOCOLIndicator"),
    indicator(Variable::TlsCertificate, c"JkCERTSIndicator"),
    indicator(Variable::TlsCipher, c"JkCIPHERIndicator"),
    indicator(Variable::TlsSession, c"JkSESSIONIndicator"),
    indicator(Variable::TlsKeySize, c"JkKEYSIZEIndicator"),
    indicator(Variable::TlsChainPrefix, c"JkCERTCHAINPrefix"),
    END,
]);
