//! Directives about what of a request goes to the engine, and how.

use std::ffi::{CString, c_char, c_int, c_void};

use super::super::environment::EnvVar;
use super::super::ffi::cmd_parms;
use super::line::{argument, directive};

pub(super) unsafe extern "C" fn indicator(
    parms: *mut cmd_parms,
    _: *mut c_void,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: httpd passes the directive's argument.
    let name: CString = unsafe { argument(name) }.into();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            let at = line.index();
            line.set(|raw, _| {
                if let Some(renamed) = raw.variables.get_mut(at) {
                    *renamed = Some(name);
                }
            });
        })
    }
}

pub(super) unsafe extern "C" fn extract_ssl(
    parms: *mut cmd_parms,
    _: *mut c_void,
    on: c_int,
) -> *const c_char {
    // SAFETY: called by httpd for a directive.
    unsafe { directive(parms, |line| line.set(|raw, _| raw.extract_tls = Some(on != 0))) }
}

pub(super) unsafe extern "C" fn options(
    parms: *mut cmd_parms,
    _: *mut c_void,
    words: *const c_char,
) -> *const c_char {
    // SAFETY: called by httpd for a directive; `words` is the rest of its line.
    unsafe {
        directive(parms, |line| {
            let mut rest = words;
            while let Some(word) = line.next_word(&mut rest) {
                let Some(raw) = line.raw() else { return };
                match raw.options.apply(&word) {
                    Err((what, remedy)) => line.error(what, &remedy),
                    Ok(option) if option.is_ignored() => line.warning(
                        "Deprecated CollapseSlashes setting ignored",
                        "remove it: paths are compared as Tomcat sees them",
                    ),
                    Ok(option) if raw.options.contradicts_itself(option) => {
                        let what = format!(
                            "{} and another line switch the same option on and off, it is off",
                            word.escape_ascii()
                        );
                        line.warning(what, "keep one of the two");
                    }
                    Ok(_) => {}
                }
            }
        })
    }
}

pub(super) unsafe extern "C" fn env_var(
    parms: *mut cmd_parms,
    _: *mut c_void,
    name: *const c_char,
    default: *const c_char,
) -> *const c_char {
    let has_default = !default.is_null();
    // SAFETY: httpd passes the directive's arguments.
    let name: CString = unsafe { argument(name) }.into();
    // SAFETY: as above.
    let default = unsafe { argument(default) }.to_bytes();
    // SAFETY: called by httpd for a directive.
    unsafe {
        directive(parms, |line| {
            if !has_default && line.text().trim_end().ends_with("\"\"") {
                line.warning(
                    "an empty default is no default: the attribute is sent only where the \
                     variable is set",
                    "remove the quotes, or give a default that is not empty",
                );
            }
            let shown = name.to_string_lossy().into_owned();
            let var = EnvVar { name, default: has_default.then(|| default.to_vec()) };
            let mut is_known = false;
            line.set(|raw, _| is_known = raw.env_var(var));
            if is_known {
                let what = format!("{shown} is set again, this line is used");
                line.warning(what, "keep one of the lines");
            }
        })
    }
}
