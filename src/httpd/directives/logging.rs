//! Directives about what is logged, and where.

use std::ffi::{CStr, CString};
use std::path::Path;

use super::super::log::LogTarget;
use super::super::request_log::{RequestLog, Token};
use super::super::stamp::Stamp;
use super::line::Line;
use crate::config::text::suggestion;
use crate::log::Level;

pub(super) fn log_file(line: &mut Line<'_>, name: &CStr) {
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
    }
    let target = LogTarget::File(path);
    line.set(|raw, place| raw.log_file = Some((target, place)));
}

pub(super) fn log_level(line: &mut Line<'_>, level: &CStr) {
    let name = level.to_string_lossy();
    let level = Level::parse(&name).unwrap_or_else(|| {
        let names = Level::NAMES.map(|(name, _)| name);
        let hint = suggestion(name.as_bytes(), names)
            .map_or(String::new(), |near| format!(", did you mean {near}?"));
        let what = format!("\"{name}\" is not a level, info is used{hint}");
        line.warning(what, "use trace, debug, info, warn, error or emerg");
        Level::Info
    });
    line.set(|raw, place| raw.log_level = Some((level, place)));
}

pub(super) fn log_stamp_format(line: &mut Line<'_>, format: &CStr) {
    let (stamp, is_whole) = Stamp::new(format.to_bytes());
    if !is_whole {
        line.warning(
            "is longer than 63 characters with its fraction of a second, it is cut",
            "make it shorter",
        );
    }
    line.set(|raw, place| raw.stamp = Some((stamp, place)));
}

pub(super) fn request_log_format(line: &mut Line<'_>, format: &CStr) {
    let log = match RequestLog::compile(format.to_bytes()) {
        Ok(log) => Some(log),
        Err(token) => {
            let known: Vec<String> =
                Token::ALL.iter().map(|(c, _)| format!("%{}", char::from(*c))).collect();
            let what =
                format!("Unrecognized JkRequestLogFormat directive {token}, no request is logged");
            line.warning(what, &format!("use {}", known.join(" ")));
            None
        }
    };
    line.set(|raw, place| raw.request_log = Some((log, place)));
}
