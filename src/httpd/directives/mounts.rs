//! Directives about which paths belong to whom.

use std::ffi::CStr;

use super::super::path::path_of;
use super::global::seconds_or_warning;
use super::line::Line;
use crate::mapping::Mount;

/// What JkStripSession takes out where it names nothing else (spec/mod_jk.md 3.8).
const SESSION: &[u8] = b";jsessionid";

pub(super) fn jk_mount(line: &mut Line<'_>, first: &CStr, second: Option<&CStr>) {
    mount_or_unmount(line, first, second, false);
}

pub(super) fn jk_unmount(line: &mut Line<'_>, first: &CStr, second: Option<&CStr>) {
    mount_or_unmount(line, first, second, true);
}

fn mount_or_unmount(line: &mut Line<'_>, first: &CStr, second: Option<&CStr>, is_exclusion: bool) {
    let first = first.to_bytes();
    let name = line.name.clone();
    let section = line.section().map(<[u8]>::to_vec);
    let (path, worker) = match (section, second) {
        (None, Some(second)) => (first.to_vec(), second.to_bytes().to_vec()),
        (Some(section), None) => (section, first.to_vec()),
        (None, None) => {
            let what = format!("{name} needs a path when not defined in a location");
            line.error(what, &format!("write it as: {name} /path worker"));
            return;
        }
        (Some(_), Some(_)) => {
            let what = format!("{name} can not have a path when defined in a location");
            line.error(what, "give only the worker; the path is the section's");
            return;
        }
    };
    if !path.starts_with(b"/") {
        let what =
            format!("{name} context should start with /, but this is \"{}\"", path.escape_ascii());
        line.error(what, "begin the path with /");
        return;
    }
    line.set(|raw, place| raw.mounts.push(Mount { path, worker, is_exclusion, place }));
}

pub(super) fn mount_file(line: &mut Line<'_>, name: &CStr) {
    let Some(resolved) = line.server_path(name) else {
        line.error("JkMountFile file name invalid", "give the path of a file");
        return;
    };
    if !resolved.is_file() {
        let what = format!(
            "JkMountFile: Can't find the mount file specified: {} is not a file",
            resolved.display()
        );
        line.error(what, "create it, or correct the path (relative ones are below ServerRoot)");
        return;
    }
    line.set(|raw, place| raw.mount_file = Some((resolved, place)));
}

pub(super) fn mount_file_reload(line: &mut Line<'_>, seconds: &CStr) {
    let text = seconds.to_bytes();
    let interval = seconds_or_warning(line, text);
    line.set(|raw, place| raw.mount_file_reload = Some((interval, place)));
}

pub(super) fn mount_copy(line: &mut Line<'_>, what: &CStr) {
    let word = what.to_bytes();
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
}

pub(super) fn auto_alias(line: &mut Line<'_>, name: &CStr) {
    let Some(folder) = line.server_path(name) else {
        line.error("JkAutoAlias directory invalid", "give the path of a folder");
        return;
    };
    if path_of(name.to_bytes()).is_relative() {
        let what = format!("is read as {}", folder.display());
        line.warning(what, "C mod_jk wants an absolute path: write it out");
    }
    if !folder.is_dir() {
        let what = format!("{} is not a folder, nothing is aliased", folder.display());
        line.warning(what, "create it, or correct the path");
    }
    line.set(|raw, place| raw.auto_alias = Some((folder, place)));
}

pub(super) fn strip_session(line: &mut Line<'_>, on: &CStr, name: Option<&CStr>) {
    let on = on.to_bytes();
    let is_on = on.eq_ignore_ascii_case(b"on");
    if !is_on && !on.eq_ignore_ascii_case(b"off") {
        line.error("JkStripSession must be On or Off", "use On or Off");
        return;
    }
    let name = name.map_or(SESSION, CStr::to_bytes);
    if !name.starts_with(b";") {
        let what = format!(
            "\"{}\" does not begin with ;, so it is taken out of names as well",
            name.escape_ascii()
        );
        line.warning(what, "begin it with ;, such as \";jsessionid\" in quotes");
    }
    let stripped = is_on.then(|| name.to_vec());
    line.set(|raw, place| raw.strip_session = Some((stripped, place)));
}
