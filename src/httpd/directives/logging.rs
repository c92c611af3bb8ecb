//! Directives about what is logged, and where.

use std::ffi::{CString, c_char, c_void};
use std::path::Path;

use super::super::ffi::cmd_parms;
use super::super::log::LogTarget;
use super::super::request_log::{RequestLog, Token};
use super::super::stamp::Stamp;
use super::line::{argument, directive};
use crate::config::text::suggestion;
use crate::log::Level;

pub(super) unsafe extern "C" fn log_file(
    parms: *mut cmd_parms,
    _: *mut c_void,
    path: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name = unsafe { argument(path) };
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if let Some(program) = name.to_bytes().strip_prefix(b"|") {
                let program = CString::new(program).unwrap_or_default();
                if program.as_bytes().trim_ascii().is_empty() {
                    line.error("JkLogFile file name invalid", "name the program behind the |");
                    return;
                }
                let target = LogTarget::Pipe(program);
                line.set(|raw, place| raw.log_file = Some((target, place)));
                return;
            }
            let Some(path) = line.server_path(name) else {
                line.error("JkLogFile file name invalid", "give the path of a file");
                return;
            };
            if !path.parent().is_some_and(Path::is_dir) {
                let what = format!("{} cannot be opened: it has no folder", path.display());
                line.error(what, "create its folder, or correct the path");
                return;
            }
            let target = LogTarget::File(path);
            line.set(|raw, place| raw.log_file = Some((target, place)));
        })
    }
}

pub(super) unsafe extern "C" fn log_level(
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
            line.set(|raw, place| raw.log_level = Some((level, place)));
        })
    }
}

pub(super) unsafe extern "C" fn log_stamp_format(
    parms: *mut cmd_parms,
    _: *mut c_void,
    format: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let format = unsafe { argument(format) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let (stamp, is_whole) = Stamp::new(format);
            if !is_whole {
                line.warning(
                    "is longer than 63 characters with its fraction of a second, it is cut",
                    "make it shorter",
                );
            }
            line.set(|raw, place| raw.stamp = Some((stamp, place)));
        })
    }
}

pub(super) unsafe extern "C" fn request_log_format(
    parms: *mut cmd_parms,
    _: *mut c_void,
    format: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let format = unsafe { argument(format) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let log = match RequestLog::compile(format) {
                Ok(log) => Some(log),
                Err(token) => {
                    let known: Vec<String> =
                        Token::ALL.iter().map(|(c, _)| format!("%{}", char::from(*c))).collect();
                    let what = format!(
                        "Unrecognized JkRequestLogFormat directive {token}, no request is logged"
                    );
                    line.warning(what, &format!("use {}", known.join(" ")));
                    None
                }
            };
            line.set(|raw, place| raw.request_log = Some((log, place)));
        })
    }
}
