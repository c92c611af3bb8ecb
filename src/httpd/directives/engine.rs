//! Directives about the Axon Ivy Engine: JkIvyEngine, JkUserHeader.

use std::ffi::{CStr, CString};

use super::line::Line;
use crate::config::Problems;
use crate::config::ivy::{EngineLine, check_user_header};

pub(super) fn ivy_engine(line: &mut Line<'_>, words: &CStr) {
    let mut rest = words.as_ptr();
    let Some(first) = line.next_word(&mut rest) else {
        line.error("names no engine", "write it as: JkIvyEngine /path/of/the/engine");
        return;
    };
    let mut keys = Vec::new();
    while let Some(word) = line.next_word(&mut rest) {
        keys.push(word);
    }
    if first.eq_ignore_ascii_case(b"off") {
        switch_off(line, keys.is_empty());
        return;
    }
    // A path may have any character but a NUL, which no C string has.
    let path = CString::new(first).ok().and_then(|first| line.server_path(&first));
    let Some(path) = path else {
        line.error("the path of the engine is invalid", "give the engine's folder or its ivy.yaml");
        return;
    };
    let mut problems = Problems::new();
    let engine = EngineLine::parse(path, &keys, &line.place, &mut problems);
    line.set(|raw, place| {
        for problem in problems.iter() {
            raw.problems.push(problem.clone());
        }
        if raw.ivy.off.is_some() {
            let remedy = "remove one of the two lines";
            raw.problems.error(&place, "JkIvyEngine", "stands beside JkIvyEngine Off", remedy);
        }
        raw.ivy.engines.extend(engine);
    });
}

fn switch_off(line: &mut Line<'_>, is_alone: bool) {
    if !is_alone {
        line.error("Off takes nothing behind it", "write JkIvyEngine Off");
        return;
    }
    if !line.is_virtual() {
        let what = "Off has no effect in the main server, which inherits no engine";
        line.warning(what, "remove the line, or move it into a virtual host");
    }
    if line.raw().is_some_and(|raw| !raw.ivy.engines.is_empty()) {
        line.error("Off stands beside an engine", "remove one of the two lines");
    }
    line.set(|raw, place| raw.ivy.off = Some(place));
}

pub(super) fn user_header(line: &mut Line<'_>, name: &CStr) {
    let name = name.to_bytes();
    if let Some((what, remedy)) = check_user_header(name) {
        line.error(what, remedy);
        return;
    }
    let name = name.to_vec();
    line.set(|raw, place| raw.user_header = Some((name, place)));
}
