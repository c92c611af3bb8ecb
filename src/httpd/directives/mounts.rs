//! Directives about which paths belong to whom.

use std::ffi::{c_char, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::super::ffi::cmd_parms;
use super::global::seconds_or_warning;
use super::line::{argument, directive};
use crate::mapping::Mount;

/// What JkStripSession takes out where it names nothing else (spec/mod_jk.md 3.8).
const SESSION: &[u8] = b";jsessionid";

pub(super) unsafe extern "C" fn jk_mount(
    parms: *mut cmd_parms,
    _: *mut c_void,
    first: *const c_char,
    second: *const c_char,
) -> *const c_char {
    // SAFETY: called by httpd for a directive with one or two arguments.
    unsafe { mount_or_unmount(parms, first, second, false) }
}

pub(super) unsafe extern "C" fn jk_unmount(
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
            line.set(|raw, place| raw.mounts.push(Mount { path, worker, is_exclusion, place }));
        })
    }
}

pub(super) unsafe extern "C" fn mount_file(
    parms: *mut cmd_parms,
    _: *mut c_void,
    path: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name = unsafe { argument(path) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let Some(resolved) = line.server_path(name) else {
                line.error("JkMountFile file name invalid", "give the path of a file");
                return;
            };
            if !resolved.is_file() {
                let what = format!(
                    "JkMountFile: Can't find the mount file specified: {} is not a file",
                    resolved.display()
                );
                line.error(
                    what,
                    "create it, or correct the path (relative ones are below ServerRoot)",
                );
                return;
            }
            line.set(|raw, place| raw.mount_file = Some((resolved, place)));
        })
    }
}

pub(super) unsafe extern "C" fn mount_file_reload(
    parms: *mut cmd_parms,
    _: *mut c_void,
    seconds: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let text = unsafe { argument(seconds) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let interval = seconds_or_warning(line, text);
            line.set(|raw, place| raw.mount_file_reload = Some((interval, place)));
        })
    }
}

pub(super) unsafe extern "C" fn mount_copy(
    parms: *mut cmd_parms,
    _: *mut c_void,
    what: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let word = unsafe { argument(what) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
            if is(b"all") {
                if line.is_global() {
                    line.set(|raw, _| raw.global.mount_copy_all = true);
                }
            } else if is(b"on") || is(b"off") {
                if is(b"on") && !line.is_virtual() {
                    line.warning(
                        "On has no effect in the main server",
                        "write JkMountCopy All, or On in the virtual hosts that are to inherit",
                    );
                }
                let on = is(b"on");
                line.set(|raw, place| raw.mount_copy = Some((on, place)));
            } else {
                line.error(
                    "JkMountCopy must be All, On or Off",
                    "use All or Off in the main server, On or Off in a virtual host",
                );
            }
        })
    }
}

pub(super) unsafe extern "C" fn auto_alias(
    parms: *mut cmd_parms,
    _: *mut c_void,
    path: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name = unsafe { argument(path) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let Some(folder) = line.server_path(name) else {
                line.error("JkAutoAlias directory invalid", "give the path of a folder");
                return;
            };
            if folder.as_os_str().as_bytes() != name.to_bytes().trim_ascii_end()
                && !name.to_bytes().starts_with(b"/")
            {
                let what = format!("is read as {}", folder.display());
                line.warning(what, "C mod_jk wants an absolute path: write it out");
            }
            if !Path::new(&folder).is_dir() {
                let what = format!("{} is not a folder, nothing is aliased", folder.display());
                line.warning(what, "create it, or correct the path");
            }
            line.set(|raw, place| raw.auto_alias = Some((folder, place)));
        })
    }
}

pub(super) unsafe extern "C" fn strip_session(
    parms: *mut cmd_parms,
    _: *mut c_void,
    on: *const c_char,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's arguments.
    let on = unsafe { argument(on) }.to_bytes();
    // SAFETY: as above.
    let name = unsafe { argument(name) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let is_on = on.eq_ignore_ascii_case(b"on");
            if !is_on && !on.eq_ignore_ascii_case(b"off") {
                line.error("JkStripSession must be On or Off", "use On or Off");
                return;
            }
            let name = if name.is_empty() { SESSION } else { name };
            if !name.starts_with(b";") {
                let what = format!(
                    "\"{}\" does not begin with ;, so it is taken out of names as well",
                    name.escape_ascii()
                );
                line.warning(what, "begin it with ;, such as \";jsessionid\" in quotes");
            }
            let stripped = is_on.then(|| name.to_vec());
            line.set(|raw, place| raw.strip_session = Some((stripped, place)));
        })
    }
}
