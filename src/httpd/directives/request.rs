//! Directives about what of a request goes to the engine, and how.

use std::ffi::CStr;

use super::super::environment::{EnvVar, Variable};
use super::line::Line;

/// What begins the variables that httpd makes of a client's headers.
const OF_CLIENT: &[u8] = b"HTTP_";

pub(super) fn indicator(line: &mut Line<'_>, variable: Variable, name: &CStr) {
    let start = name.to_bytes().get(..OF_CLIENT.len());
    let is_of_client = start.is_some_and(|start| start.eq_ignore_ascii_case(OF_CLIENT));
    if is_of_client && variable == Variable::RemoteUser {
        let what = format!(
            "{} is a header of the client, who can claim to be any user with it",
            name.to_string_lossy()
        );
        line.warning(what, "let a module of httpd authenticate the user");
    }
    line.set(|raw, _| {
        if let Some(renamed) = raw.variables.get_mut(variable as usize) {
            *renamed = Some(name.to_owned());
        }
    });
}

pub(super) fn extract_ssl(line: &mut Line<'_>, on: bool) {
    line.set(|raw, _| raw.extract_tls = Some(on));
}

pub(super) fn options(line: &mut Line<'_>, words: &CStr) {
    line.set(|raw, place| raw.options_place = Some(place));
    let mut rest = words.as_ptr();
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
}

pub(super) fn env_var(line: &mut Line<'_>, name: &CStr, default: Option<&CStr>) {
    if default.is_none() && line.text().trim_end().ends_with("\"\"") {
        line.warning(
            "an empty default is no default: the attribute is sent only where the \
             variable is set",
            "remove the quotes, or give a default that is not empty",
        );
    }
    let shown = name.to_string_lossy().into_owned();
    let var =
        EnvVar { name: name.to_owned(), default: default.map(|text| text.to_bytes().to_vec()) };
    let mut is_known = false;
    line.set(|raw, _| is_known = raw.env_var(var));
    if is_known {
        let what = format!("{shown} is set again, this line is used");
        line.warning(what, "keep one of the lines");
    }
}
