//! One directive as httpd hands it to us, and the frame around every directive function.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;
use std::ptr;

use super::super::ffi::{self, cmd_parms};
use super::super::guard::guard;
use super::super::log::lossy;
use super::super::module;
use super::super::path::path_of;
use super::super::pool::{self, Pool};
use super::super::server::{RawConfig, ServerConfig};
use crate::config::Place;

/// One directive as it stands in the configuration.
pub(super) struct Line<'c> {
    parms: &'c mut cmd_parms,
    /// The directive as httpd spells it.
    pub(super) name: String,
    /// File and line.
    pub(super) place: Place,
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

    /// What the server's directives say so far.
    pub(super) fn raw(&mut self) -> Option<&mut RawConfig> {
        // SAFETY: httpd passes the server that it is reading the configuration of.
        let server = unsafe { self.parms.server.as_ref() }?;
        // SAFETY: our own record, made by create_server_config.
        let config = unsafe { module::config::<ServerConfig>(server.module_config) };
        // SAFETY: configuration is read by one thread, and no other reference is held meanwhile.
        config.map(|mut config| unsafe { &mut config.as_mut().raw })
    }

    /// Reports what keeps httpd from starting.
    pub(super) fn error(&mut self, what: impl Into<String>, remedy: &str) {
        let (place, name) = (self.place.clone(), self.name.clone());
        if let Some(raw) = self.raw() {
            raw.problems.error(&place, name, what, remedy);
        }
    }

    /// Reports what httpd can start with.
    pub(super) fn warning(&mut self, what: impl Into<String>, remedy: &str) {
        let (place, name) = (self.place.clone(), self.name.clone());
        if let Some(raw) = self.raw() {
            raw.problems.warning(&place, name, what, remedy);
        }
    }

    /// Whether the directive stands in the main server; otherwise that is an error.
    pub(super) fn is_global(&mut self) -> bool {
        // SAFETY: the record that httpd passed us, and a flag word of httpd.
        let refusal = unsafe { ffi::ap_check_cmd_context(self.parms, ffi::GLOBAL_ONLY) };
        if refusal.is_null() {
            return true;
        }
        self.error(lossy(refusal), "move it out of the section, into the main server");
        false
    }

    /// A file name of the configuration, resolved against ServerRoot.
    pub(super) fn server_path(&self, name: &CStr) -> Option<PathBuf> {
        // SAFETY: a live pool and a C string.
        let path = unsafe { ffi::ap_server_root_relative(self.parms.pool, name.as_ptr()) };
        // SAFETY: null or a C string in that pool.
        unsafe { pool::text(path) }.map(path_of)
    }

    /// The whole line behind the directive's name.
    pub(super) fn text(&self) -> String {
        // SAFETY: httpd sets it for every directive that it reads.
        let directive = unsafe { self.parms.directive.as_ref() };
        directive.map(|directive| lossy(directive.args)).unwrap_or_default()
    }

    /// Sets a value of the server.
    pub(super) fn set(&mut self, change: impl FnOnce(&mut RawConfig, Place)) {
        let place = self.place.clone();
        if let Some(raw) = self.raw() {
            change(raw, place);
        }
    }

    /// What is of interest only to those who look for it.
    pub(super) fn note(&mut self, what: impl Into<String>, remedy: &str) {
        let (place, name) = (self.place.clone(), self.name.clone());
        if let Some(raw) = self.raw() {
            raw.problems.note(&place, name, what, remedy);
        }
    }

    /// The number that the directive function was registered with.
    pub(super) fn index(&self) -> usize {
        self.parms.info.addr()
    }

    /// The next word of an argument list, without its quotes; `None` at its end.
    pub(super) fn next_word(&self, rest: &mut *const c_char) -> Option<Vec<u8>> {
        // SAFETY: a live pool, and a C string that httpd's function moves on within.
        let word = unsafe { ffi::ap_getword_conf(self.parms.pool, rest) };
        // SAFETY: null or a C string in that pool.
        unsafe { pool::text(word) }.filter(|word| !word.is_empty()).map(<[u8]>::to_vec)
    }

    /// Whether the directive stands in a virtual host.
    pub(super) fn is_virtual(&self) -> bool {
        // SAFETY: httpd passes the server that it is reading the configuration of.
        unsafe { self.parms.server.as_ref() }.is_some_and(|server| server.is_virtual != 0)
    }

    /// The path of the section that the directive stands in.
    pub(super) fn section(&self) -> Option<&[u8]> {
        // SAFETY: null or a C string in the configuration pool.
        unsafe { pool::text(self.parms.path) }
    }
}

/// What every directive function does around its work; the result is the error for httpd.
///
/// # Safety
/// As [`Line::new`].
pub(super) unsafe fn directive(
    parms: *mut cmd_parms,
    work: impl FnOnce(&mut Line<'_>),
) -> *const c_char {
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

/// An argument of a directive; `None` for a null pointer.
///
/// # Safety
/// `argument` is null or a C string that outlives the call.
pub(super) unsafe fn argument<'a>(argument: *const c_char) -> Option<&'a CStr> {
    if argument.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(argument) })
}
