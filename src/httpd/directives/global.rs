//! Directives for all servers: workers, shared memory, watchdog, JkStrict.

use std::ffi::CStr;
use std::time::Duration;

use super::super::environment::number;
use super::line::Line;

pub(super) fn workers_file(line: &mut Line<'_>, name: &CStr) {
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
        line.error(what, "create it, or correct the path (relative ones are below ServerRoot)");
        return;
    }
    line.set(|raw, place| raw.global.workers_file = Some((shown, resolved, place)));
}

pub(super) fn worker_property(line: &mut Line<'_>, text: &CStr) {
    if line.is_global() {
        let text = text.to_bytes().to_vec();
        line.set(|raw, place| raw.global.worker_properties.push((text, place)));
    }
}

pub(super) fn shm_file(line: &mut Line<'_>, name: &CStr) {
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
}

pub(super) fn shm_size(line: &mut Line<'_>, size: &CStr) {
    let size = size.to_bytes();
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
}

pub(super) fn watchdog_interval(line: &mut Line<'_>, seconds: &CStr) {
    let text = seconds.to_bytes();
    if line.is_global() {
        let interval = seconds_or_warning(line, text);
        line.set(|raw, place| raw.global.watchdog = Some((interval, place)));
    }
}

pub(super) fn strict(line: &mut Line<'_>, on: bool) {
    if line.is_global() {
        line.set(|raw, _| raw.global.strict = on);
    }
}

/// A number of seconds read as C mod_jk reads it, with a warning where it is none.
pub(super) fn seconds_or_warning(line: &mut Line<'_>, text: &[u8]) -> Duration {
    let most = u64::try_from(i32::MAX).unwrap_or(u64::MAX);
    let seconds = u64::try_from(number(text)).unwrap_or(0).min(most);
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
