//! The two sinks: JkLogFile in mod_jk's layout, or httpd's error log.

use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process;

use super::ffi;
use super::module;
use super::pool::int;
use super::request::Record;
use super::server::Runtime;
use crate::log::{Level, LocalTime, Log, Origin, Site, format_line};

/// An open JkLogFile.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
}

impl LogFile {
    /// Opens for appending; creates it with mode 0644 (less the umask).
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        options.open(path).map(|file| Self { file })
    }
}

/// httpd's level for one of ours.
fn httpd_level(level: Level) -> c_int {
    int(match level {
        Level::Trace => ffi::APLOG_TRACE1,
        Level::Debug => ffi::APLOG_DEBUG,
        Level::Info => ffi::APLOG_INFO,
        Level::Warn => ffi::APLOG_WARNING,
        Level::Error => ffi::APLOG_ERR,
        Level::Emerg => ffi::APLOG_EMERG,
    })
}

/// Where a line about a request or a server goes.
#[derive(Clone, Copy)]
pub(super) struct Sink<'a> {
    pub runtime: Option<&'a Runtime>,
    pub request: Option<Record<'a>>,
}

impl Sink<'_> {
    fn file(&self) -> Option<(&LogFile, Level)> {
        let runtime = self.runtime?;
        Some((&**runtime.log_file.get()?, runtime.log_level))
    }
}

impl Log for Sink<'_> {
    fn enabled(&self, level: Level) -> bool {
        if let Some((_, lowest)) = self.file() {
            return level >= lowest;
        }
        let (index, level) = (module::index(), httpd_level(level));
        self.request.is_none_or(|request| {
            // SAFETY: the request record is alive.
            (unsafe { ffi::jk_shim_request_logs(request.raw(), index, level) }) != 0
        })
    }

    fn write(&self, level: Level, site: Site, text: fmt::Arguments<'_>) {
        if let Some((log, _)) = self.file() {
            let id = self.request.map_or(&b"NO-ID"[..], |request| request.id());
            let origin = Origin { request: id, pid: process::id(), tid: thread_id() };
            let line = format_line(&local_time(), origin, level, site, text);
            // One write to a file opened for appending: lines of other processes cannot mix in.
            if (&log.file).write_all(&line).is_ok() {
                return;
            }
        }
        let text = escaped(&text.to_string());
        let file = escaped(site.file);
        let (index, level, line) = (module::index(), httpd_level(level), int(site.line));
        match self.request {
            // httpd gives the request a log id here, so it must have a pointer it may write to.
            // SAFETY: file and text are C strings, the request record is alive.
            Some(request) => unsafe {
                let r = request.raw();
                ffi::jk_shim_log_request(file.as_ptr(), line, index, level, r, text.as_ptr());
            },
            // SAFETY: file and text are C strings; without a server it is the main log.
            None => unsafe {
                let server = std::ptr::null();
                ffi::jk_shim_log_server(file.as_ptr(), line, index, level, server, text.as_ptr());
            },
        }
    }
}

/// Writes a line at start-up: to the console as long as the error log is not open.
pub(super) fn startup(server: Option<&ffi::server_rec>, level: Level, text: &str) {
    let level = httpd_level(level) | int(ffi::APLOG_STARTUP);
    let text = escaped(text);
    let file = c"lifecycle.rs";
    let server = server.map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: file and text are C strings, the server record is alive or null.
    unsafe {
        ffi::jk_shim_log_server(file.as_ptr(), 0, module::index(), level, server, text.as_ptr());
    }
}

/// A C string; zero bytes, which end one, become question marks.
fn escaped(text: &str) -> CString {
    CString::new(text.replace('\0', "?")).unwrap_or_default()
}

fn local_time() -> LocalTime {
    let mut parts = ffi::apr_time_exp_t::default();
    // SAFETY: takes no arguments, reads a clock.
    let now = unsafe { ffi::apr_time_now() };
    // SAFETY: writes into a record of ours.
    unsafe { ffi::apr_time_exp_lt(&raw mut parts, now) };
    let small = |n: c_int| u32::try_from(n).unwrap_or_default();
    LocalTime {
        year: parts.tm_year.saturating_add(1900),
        month: usize::try_from(parts.tm_mon).unwrap_or_default(),
        day: small(parts.tm_mday),
        weekday: usize::try_from(parts.tm_wday).unwrap_or_default(),
        hour: small(parts.tm_hour),
        minute: small(parts.tm_min),
        second: small(parts.tm_sec),
        micros: small(parts.tm_usec),
    }
}

/// The number that httpd's `%{tid}P` shows.
#[cfg(unix)]
fn thread_id() -> u64 {
    // SAFETY: takes no arguments and cannot fail.
    let thread = unsafe { libc::pthread_self() };
    // A pointer or a number, depending on the system.
    thread as u64
}

#[cfg(not(unix))]
fn thread_id() -> u64 {
    0
}

/// The text of a C string that may be null, for a message.
pub(super) fn lossy(text: *const std::ffi::c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and httpd's strings end with a zero byte.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
