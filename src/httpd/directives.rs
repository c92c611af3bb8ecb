//! The configuration directives (spec/mod_jk.md 1.1).
//!
//! Every directive of C mod_jk is known. What is wrong is collected rather than returned, so that
//! `httpd -t` shows all of it at once; the check at the end of [`super::lifecycle`] refuses to start.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::ptr;

use super::ffi::{self, cmd_func, cmd_parms, command_rec};
use super::guard::guard;
use super::log::lossy;
use super::module;
use super::pool::{self, Pool};
use super::server::{RawConfig, ServerConfig};
use crate::config::Place;
use crate::config::text::suggestion;
use crate::log::Level;
use crate::mapping::Mount;

/// httpd's table of our directives. The last entry is empty.
pub(super) struct Commands(pub [command_rec; 38]);

// SAFETY: the table is never written to; its pointers are to constant strings.
unsafe impl Sync for Commands {}

const SERVER: c_int = ffi::RSRC_CONF as c_int;
const SECTION: c_int = ffi::RSRC_CONF as c_int | ffi::ACCESS_CONF as c_int;

const fn take1(
    name: &'static CStr,
    function: unsafe extern "C" fn(*mut cmd_parms, *mut c_void, *const c_char) -> *const c_char,
    help: &'static CStr,
) -> command_rec {
    command_rec {
        name: name.as_ptr(),
        func: cmd_func { take1: Some(function) },
        cmd_data: ptr::null_mut(),
        req_override: SERVER,
        args_how: ffi::TAKE1,
        errmsg: help.as_ptr(),
    }
}

const fn mount(
    name: &'static CStr,
    function: unsafe extern "C" fn(
        *mut cmd_parms,
        *mut c_void,
        *const c_char,
        *const c_char,
    ) -> *const c_char,
    help: &'static CStr,
) -> command_rec {
    command_rec {
        name: name.as_ptr(),
        func: cmd_func { take2: Some(function) },
        cmd_data: ptr::null_mut(),
        req_override: SECTION,
        args_how: ffi::TAKE12,
        errmsg: help.as_ptr(),
    }
}

const fn raw(
    name: &'static CStr,
    function: unsafe extern "C" fn(*mut cmd_parms, *mut c_void, *const c_char) -> *const c_char,
    help: &'static CStr,
) -> command_rec {
    command_rec {
        name: name.as_ptr(),
        func: cmd_func { raw_args: Some(function) },
        cmd_data: ptr::null_mut(),
        req_override: SERVER,
        args_how: ffi::RAW_ARGS,
        errmsg: help.as_ptr(),
    }
}

const fn not_yet(name: &'static CStr) -> command_rec {
    raw(name, unsupported, c"not supported yet")
}

const END: command_rec = command_rec {
    name: ptr::null(),
    func: cmd_func { no_args: None },
    cmd_data: ptr::null_mut(),
    req_override: 0,
    args_how: ffi::RAW_ARGS,
    errmsg: ptr::null(),
};

/// All 37 directives of C mod_jk.
pub(super) static COMMANDS: Commands = Commands([
    take1(c"JkWorkersFile", workers_file, c"path of workers.properties, relative to ServerRoot"),
    raw(c"JkWorkerProperty", worker_property, c"one line of workers.properties: name=value"),
    mount(c"JkMount", jk_mount, c"path and worker; in a <Location> only the worker"),
    mount(c"JkUnMount", jk_unmount, c"path and worker (or *); in a <Location> only the worker"),
    take1(c"JkLogFile", log_file, c"path of the log file, relative to ServerRoot"),
    take1(c"JkLogLevel", log_level, c"trace, debug, info, warn, error or emerg"),
    not_yet(c"JkShmFile"),
    not_yet(c"JkShmSize"),
    not_yet(c"JkWatchdogInterval"),
    not_yet(c"JkMountFile"),
    not_yet(c"JkMountFileReload"),
    not_yet(c"JkMountCopy"),
    not_yet(c"JkAutoAlias"),
    not_yet(c"JkStripSession"),
    not_yet(c"JkLogStampFormat"),
    not_yet(c"JkRequestLogFormat"),
    not_yet(c"JkWorkerIndicator"),
    not_yet(c"JkRequestIdIndicator"),
    not_yet(c"JkRemoteAddrIndicator"),
    not_yet(c"JkRemotePortIndicator"),
    not_yet(c"JkRemoteHostIndicator"),
    not_yet(c"JkRemoteUserIndicator"),
    not_yet(c"JkAuthTypeIndicator"),
    not_yet(c"JkLocalNameIndicator"),
    not_yet(c"JkLocalAddrIndicator"),
    not_yet(c"JkLocalPortIndicator"),
    not_yet(c"JkIgnoreCLIndicator"),
    not_yet(c"JkExtractSSL"),
    not_yet(c"JkHTTPSIndicator"),
    not_yet(c"JkSSLPROTOCOLIndicator"),
    not_yet(c"JkCERTSIndicator"),
    not_yet(c"JkCIPHERIndicator"),
    not_yet(c"JkSESSIONIndicator"),
    not_yet(c"JkKEYSIZEIndicator"),
    not_yet(c"JkCERTCHAINPrefix"),
    not_yet(c"JkOptions"),
    not_yet(c"JkEnvVar"),
    END,
]);

/// One directive as it stands in the configuration.
struct Line<'c> {
    parms: &'c mut cmd_parms,
    name: String,
    place: Place,
}

impl<'c> Line<'c> {
    /// # Safety
    /// `parms` is what httpd passed to a directive function that has not returned yet.
    unsafe fn new(parms: *mut cmd_parms) -> Option<Self> {
        // SAFETY: the caller's promise; httpd uses the record again only after we return.
        let parms = unsafe { parms.as_mut() }?;
        // SAFETY: httpd sets both for every directive that it reads.
        let command = unsafe { parms.cmd.as_ref() }?;
        // SAFETY: as above.
        let directive = unsafe { parms.directive.as_ref() }?;
        let place = Place::new(
            &lossy(directive.filename),
            u32::try_from(directive.line_num).unwrap_or_default(),
        );
        Some(Self { name: lossy(command.name), place, parms })
    }

    fn raw(&mut self) -> Option<&mut RawConfig> {
        // SAFETY: httpd passes the server that it is reading the configuration of.
        let server = unsafe { self.parms.server.as_ref() }?;
        // SAFETY: our own record, made by create_server_config.
        let config = unsafe { module::config::<ServerConfig>(server.module_config) };
        // SAFETY: configuration is read by one thread, and no other reference is held meanwhile.
        config.map(|mut config| unsafe { &mut config.as_mut().raw })
    }

    fn error(&mut self, what: impl Into<String>, remedy: &str) {
        let (place, name) = (self.place.clone(), self.name.clone());
        if let Some(raw) = self.raw() {
            raw.problems.error(&place, name, what, remedy);
        }
    }

    fn warning(&mut self, what: impl Into<String>, remedy: &str) {
        let (place, name) = (self.place.clone(), self.name.clone());
        if let Some(raw) = self.raw() {
            raw.problems.warning(&place, name, what, remedy);
        }
    }

    /// Whether the directive stands in the main server; otherwise that is an error.
    fn is_global(&mut self) -> bool {
        // SAFETY: the record that httpd passed us, and a flag word of httpd.
        let refusal = unsafe { ffi::ap_check_cmd_context(self.parms, ffi::GLOBAL_ONLY) };
        if refusal.is_null() {
            return true;
        }
        self.error(lossy(refusal), "move it out of the section, into the main server");
        false
    }

    /// A file name of the configuration, resolved against ServerRoot.
    fn server_path(&self, name: &CStr) -> Option<PathBuf> {
        // SAFETY: a live pool and a C string.
        let path = unsafe { ffi::ap_server_root_relative(self.parms.pool, name.as_ptr()) };
        // SAFETY: null or a C string in that pool.
        unsafe { pool::text(path) }.map(bytes_to_path)
    }

    /// The path of the section that the directive stands in.
    fn section(&self) -> Option<&[u8]> {
        // SAFETY: null or a C string in the configuration pool.
        unsafe { pool::text(self.parms.path) }
    }
}

#[cfg(unix)]
fn bytes_to_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn bytes_to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// What every directive function does around its work; the result is the error for httpd.
///
/// # Safety
/// As [`Line::new`].
unsafe fn directive(parms: *mut cmd_parms, work: impl FnOnce(&mut Line<'_>)) -> *const c_char {
    guard(
        |message| {
            let text = format!("mod_jk: internal error in this directive: {message}");
            // SAFETY: httpd's record of the directive being read.
            match unsafe { parms.as_ref() } {
                // SAFETY: its pool is the configuration pool.
                Some(parms) => unsafe { Pool::new(parms.pool) }.copy(text.as_bytes()),
                None => c"mod_jk: internal error".as_ptr(),
            }
        },
        || {
            // SAFETY: the caller's promise.
            if let Some(mut line) = unsafe { Line::new(parms) } {
                work(&mut line);
            }
            ptr::null()
        },
    )
}

/// An argument of a directive; empty for a null pointer.
///
/// # Safety
/// `argument` is null or a C string that outlives the call.
unsafe fn argument<'a>(argument: *const c_char) -> &'a CStr {
    if argument.is_null() {
        return c"";
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(argument) }
}

unsafe extern "C" fn unsupported(
    parms: *mut cmd_parms,
    _: *mut c_void,
    _: *const c_char,
) -> *const c_char {
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            line.error(
                "this directive of mod_jk is not supported yet by this version",
                "remove the line, or stay with C mod_jk until it is",
            );
        })
    }
}

unsafe extern "C" fn workers_file(
    parms: *mut cmd_parms,
    _: *mut c_void,
    path: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name = unsafe { argument(path) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if !line.is_global() {
                return;
            }
            if line.raw().is_some_and(|raw| raw.workers_file.is_some()) {
                line.error("JkWorkersFile only allowed once", "remove one of the two lines");
                return;
            }
            let shown = name.to_string_lossy().into_owned();
            let Some(resolved) = line.server_path(name) else {
                let what = format!("JkWorkersFile file name invalid: \"{shown}\"");
                line.error(what, "give the path of workers.properties");
                return;
            };
            if !resolved.is_file() {
                let what = format!(
                    "JkWorkersFile: Can't find the workers file specified: {} is not a file",
                    resolved.display()
                );
                line.error(
                    what,
                    "create it, or correct the path (relative ones are below ServerRoot)",
                );
                return;
            }
            let place = line.place.clone();
            if let Some(raw) = line.raw() {
                raw.workers_file = Some((shown, resolved, place));
            }
        })
    }
}

unsafe extern "C" fn worker_property(
    parms: *mut cmd_parms,
    _: *mut c_void,
    text: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the rest of the line.
    let text = unsafe { argument(text) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if !line.is_global() {
                return;
            }
            let place = line.place.clone();
            if let Some(raw) = line.raw() {
                raw.worker_properties.push((text.to_bytes().to_vec(), place));
            }
        })
    }
}

unsafe extern "C" fn jk_mount(
    parms: *mut cmd_parms,
    _: *mut c_void,
    first: *const c_char,
    second: *const c_char,
) -> *const c_char {
    // SAFETY: called by httpd for a directive with one or two arguments.
    unsafe { mount_or_unmount(parms, first, second, false) }
}

unsafe extern "C" fn jk_unmount(
    parms: *mut cmd_parms,
    _: *mut c_void,
    first: *const c_char,
    second: *const c_char,
) -> *const c_char {
    // SAFETY: called by httpd for a directive with one or two arguments.
    unsafe { mount_or_unmount(parms, first, second, true) }
}

/// # Safety
/// As [`directive`]; `first` and `second` are its arguments.
unsafe fn mount_or_unmount(
    parms: *mut cmd_parms,
    first: *const c_char,
    second: *const c_char,
    is_exclusion: bool,
) -> *const c_char {
    // SAFETY: the caller's promise.
    let first = unsafe { argument(first) }.to_bytes();
    let has_second = !second.is_null();
    // SAFETY: the caller's promise.
    let second = unsafe { argument(second) }.to_bytes();
    // SAFETY: the caller's promise.
    unsafe {
        directive(parms, |line| {
            let name = line.name.clone();
            let section = line.section().map(<[u8]>::to_vec);
            let (path, worker) = match (section, has_second) {
                (None, true) => (first.to_vec(), second.to_vec()),
                (Some(section), false) => (section, first.to_vec()),
                (None, false) => {
                    let what = format!("{name} needs a path when not defined in a location");
                    line.error(what, &format!("write it as: {name} /path worker"));
                    return;
                }
                (Some(_), true) => {
                    let what = format!("{name} can not have a path when defined in a location");
                    line.error(what, "give only the worker; the path is the section's");
                    return;
                }
            };
            if !path.starts_with(b"/") {
                let what = format!(
                    "{name} context should start with /, but this is \"{}\"",
                    path.escape_ascii()
                );
                line.error(what, "begin the path with /");
                return;
            }
            let place = line.place.clone();
            if let Some(raw) = line.raw() {
                raw.mounts.push(Mount { path, worker, is_exclusion, place });
            }
        })
    }
}

unsafe extern "C" fn log_file(
    parms: *mut cmd_parms,
    _: *mut c_void,
    path: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name = unsafe { argument(path) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if name.to_bytes().starts_with(b"|") {
                line.error(
                    "a piped log is not supported yet by this version",
                    "name a file, or leave JkLogFile out: the lines then go to httpd's ErrorLog",
                );
                return;
            }
            let Some(path) = line.server_path(name).filter(|_| !name.is_empty()) else {
                line.error("JkLogFile file name invalid", "give the path of a file");
                return;
            };
            if !path.parent().is_some_and(Path::is_dir) {
                let what = format!("{} cannot be opened: it has no folder", path.display());
                line.error(what, "create its folder, or correct the path");
                return;
            }
            let place = line.place.clone();
            if let Some(raw) = line.raw() {
                raw.log_file = Some((path, place));
            }
        })
    }
}

unsafe extern "C" fn log_level(
    parms: *mut cmd_parms,
    _: *mut c_void,
    level: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name = unsafe { argument(level) }.to_string_lossy();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let level = Level::parse(&name).unwrap_or_else(|| {
                let names = Level::NAMES.map(|(name, _)| name);
                let hint = suggestion(name.as_bytes(), names)
                    .map_or(String::new(), |near| format!(", did you mean {near}?"));
                let what = format!("\"{name}\" is not a level, info is used{hint}");
                line.warning(what, "use trace, debug, info, warn, error or emerg");
                Level::Info
            });
            let place = line.place.clone();
            if let Some(raw) = line.raw() {
                raw.log_level = Some((level, place));
            }
        })
    }
}
