//! Directives for all servers: workers, shared memory, watchdog, JkStrict.

use std::ffi::{c_char, c_int, c_void};
use std::time::Duration;

use super::super::environment::number;
use super::super::ffi::cmd_parms;
use super::line::{Line, argument, directive};

pub(super) unsafe extern "C" fn workers_file(
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
            if line.raw().is_some_and(|raw| raw.global.workers_file.is_some()) {
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
            line.set(|raw, place| raw.global.workers_file = Some((shown, resolved, place)));
        })
    }
}

pub(super) unsafe extern "C" fn worker_property(
    parms: *mut cmd_parms,
    _: *mut c_void,
    text: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the rest of the line.
    let text = unsafe { argument(text) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if line.is_global() {
                let text = text.to_bytes().to_vec();
                line.set(|raw, place| raw.global.worker_properties.push((text, place)));
            }
        })
    }
}

pub(super) unsafe extern "C" fn shm_file(
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
            if line.server_path(name).is_none() {
                line.error("JkShmFile file name invalid", "remove the line, no file is needed");
                return;
            }
            line.note(
                "has no effect: httpd's children share memory that has no file",
                "remove the line once C mod_jk is not needed any more",
            );
        })
    }
}

pub(super) unsafe extern "C" fn shm_size(
    parms: *mut cmd_parms,
    _: *mut c_void,
    size: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let size = unsafe { argument(size) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if !line.is_global() {
                return;
            }
            if whole_number(size).is_none() {
                let what = format!("\"{}\" is not a number of KiB", size.escape_ascii());
                line.warning(what, "remove the line, the size is found out");
            }
            line.note(
                "has no effect: the size is found out from the workers",
                "remove the line once C mod_jk is not needed any more",
            );
        })
    }
}

pub(super) unsafe extern "C" fn watchdog_interval(
    parms: *mut cmd_parms,
    _: *mut c_void,
    seconds: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let text = unsafe { argument(seconds) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if line.is_global() {
                let interval = seconds_or_warning(line, text);
                line.set(|raw, place| raw.global.watchdog = Some((interval, place)));
            }
        })
    }
}

pub(super) unsafe extern "C" fn strict(
    parms: *mut cmd_parms,
    _: *mut c_void,
    on: c_int,
) -> *const c_char {
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if line.is_global() {
                line.set(|raw, _| raw.global.strict = on != 0);
            }
        })
    }
}

/// A number of seconds read as C mod_jk reads it, with a warning where it is none.
pub(super) fn seconds_or_warning(line: &mut Line<'_>, text: &[u8]) -> Duration {
    let seconds = u64::try_from(number(text)).unwrap_or(0);
    if whole_number(text).is_none() {
        let what = format!(
            "\"{}\" is not a number of seconds, it is read as {seconds}",
            text.escape_ascii()
        );
        line.warning(what, "use a whole number without a unit, such as 60");
    }
    Duration::from_secs(seconds)
}

fn whole_number(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}
