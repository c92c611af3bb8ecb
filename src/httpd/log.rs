//! The two sinks: JkLogFile in mod_jk's layout, or httpd's error log.

use std::ffi::{CStr, CString, c_int};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::ffi;
use super::module;
use super::pool::{Pool, int};
use super::request::Record;
use super::server::Runtime;
use crate::log::{Level, Log, Origin, Site, end_line, format_line};

/// What JkLogFile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LogTarget {
    /// A file.
    File(PathBuf),
    /// A program that reads the lines, without the `|`.
    Pipe(CString),
}

impl fmt::Display for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Pipe(program) => write!(f, "|{}", program.to_string_lossy()),
        }
    }
}

/// An open JkLogFile.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
}

impl LogFile {
    /// Opens it.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(target: &LogTarget, pool: Pool<'_>) -> io::Result<Self> {
        match target {
            LogTarget::File(path) => Self::append(path),
            LogTarget::Pipe(program) => Self::pipe(program, pool),
        }
    }

    /// Opens a file for appending; creates it with mode 0644 (less the umask).
    fn append(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
        options.open(path).map(|file| Self { file })
    }

    /// Starts a program that httpd starts again whenever it ends, and that ends with `pool`.
    #[cfg(unix)]
    fn pipe(program: &CStr, pool: Pool<'_>) -> io::Result<Self> {
        use std::os::fd::BorrowedFd;

        // SAFETY: the configuration pool and a C string, which httpd copies.
        let log = unsafe { ffi::ap_open_piped_log(pool.raw(), program.as_ptr()) };
        if log.is_null() {
            return Err(io::Error::other("httpd cannot start the program"));
        }
        // SAFETY: the log that httpd has just opened.
        let end = unsafe { ffi::ap_piped_log_write_fd(log) };
        let mut descriptor = -1;
        // SAFETY: an open file of APR; the result is written to our variable.
        let status = unsafe { ffi::apr_os_file_get(&raw mut descriptor, end) };
        if status != 0 || descriptor < 0 {
            return Err(io::Error::other("httpd has no pipe to the program"));
        }
        // SAFETY: open until httpd ends the pool; our own copy is made at once.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        Ok(Self { file: descriptor.try_clone_to_owned()?.into() })
    }

    #[cfg(not(unix))]
    fn pipe(_: &CStr, _: Pool<'_>) -> io::Result<Self> {
        Err(io::Error::other("piped logs are not supported on this system"))
    }

    /// Writes one line, newline included.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn write_line(&self, line: &[u8]) -> io::Result<()> {
        // One write to a file opened for appending, or of so little to a pipe: lines of other
        // processes cannot mix in.
        (&self.file).write_all(line)
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
    pub runtime: &'a Runtime,
    pub speaker: Speaker<'a>,
}

/// Who a line is about.
#[derive(Clone, Copy)]
pub(super) enum Speaker<'a> {
    /// A request.
    Request(Record<'a>),
    /// A server, and what stands in the place of a request's id.
    Server(&'a ffi::server_rec, &'static str),
}

impl Sink<'_> {
    fn file(&self) -> Option<(&LogFile, Level)> {
        Some((&**self.runtime.log_file.get()?, self.runtime.log_level))
    }
}

impl Sink<'_> {
    /// Writes a line of JkRequestLogFormat, whatever the level.
    pub(super) fn write_request(&self, mut text: Vec<u8>) {
        if let Some(log) = self.runtime.log_file.get() {
            let mut line = self.runtime.stamp.now();
            line.append(&mut text);
            end_line(&mut line);
            if log.write_line(&line).is_ok() {
                return;
            }
            text = line;
        }
        let site = Site { module: module_path!(), file: file!(), line: line!() };
        // httpd writes notices to a file at every level.
        self.write_to_httpd(int(ffi::APLOG_NOTICE), site, &String::from_utf8_lossy(&text));
    }

    fn write_to_httpd(&self, level: c_int, site: Site, text: &str) {
        let text = escaped(text);
        let file = escaped(site.file);
        let (index, line) = (module::index(), int(site.line));
        match self.speaker {
            // httpd gives the request a log id here, so it must have a pointer it may write to.
            // SAFETY: file and text are C strings, the request record is alive.
            Speaker::Request(request) => unsafe {
                let r = request.raw();
                ffi::jk_shim_log_request(file.as_ptr(), line, index, level, r, text.as_ptr());
            },
            // SAFETY: file and text are C strings, the server record is alive.
            Speaker::Server(server, _) => unsafe {
                ffi::jk_shim_log_server(file.as_ptr(), line, index, level, server, text.as_ptr());
            },
        }
    }
}

impl Log for Sink<'_> {
    fn enabled(&self, level: Level) -> bool {
        if let Some((_, lowest)) = self.file() {
            return level >= lowest;
        }
        let (index, level) = (module::index(), httpd_level(level));
        let logs = match self.speaker {
            Speaker::Request(request) => {
                // SAFETY: the request record is alive.
                unsafe { ffi::jk_shim_request_logs(request.raw(), index, level) }
            }
            Speaker::Server(server, _) => {
                // SAFETY: the server record is alive.
                unsafe { ffi::jk_shim_server_logs(server, index, level) }
            }
        };
        logs != 0
    }

    fn write(&self, level: Level, site: Site, text: fmt::Arguments<'_>) {
        if let Some((log, _)) = self.file() {
            let request = match self.speaker {
                Speaker::Request(request) => request.id(self.runtime),
                Speaker::Server(_, id) => id.as_bytes(),
            };
            let origin = Origin { request, pid: process::id(), tid: thread_id() };
            let line = format_line(&self.runtime.stamp.now(), origin, level, site, text);
            if log.write_line(&line).is_ok() {
                return;
            }
        }
        self.write_to_httpd(httpd_level(level), site, &text.to_string());
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
