//! The same configuration and the same requests through both modules: the same documents.

use std::fmt::Write as _;

use super::{Scene, ask};
use crate::support::httpd::Module;

/// What is asked in each of the formats of C mod_jk that programs read.
const QUERIES: [&str; 26] = [
    "cmd=list",
    "cmd=list&opt=1",
    "cmd=list&opt=2",
    "cmd=list&opt=8",
    "cmd=list&opt=16",
    "cmd=list&opt=63",
    "cmd=show&w=lb",
    "cmd=show&w=lb&opt=3",
    "cmd=show&w=lb&sw=b",
    "cmd=show&w=one",
    "cmd=show&w=one&w=lb",
    "cmd=edit&w=lb",
    "cmd=version",
    "cmd=dump",
    "cmd=foo",
    "cmd=list&mime=foo",
    "cmd=show",
    "cmd=show&w=",
    "cmd=show&w=nobody",
    "cmd=show&w=one&sw=x",
    "cmd=show&w=lb&sw=x",
    "cmd=show&w=lb&sw=",
    "cmd=show&w=lb&sw=*",
    "cmd=update&w=lb&opt=32",
    "cmd=recover&w=lb&opt=32",
    "cmd=show&w=%zz",
];

/// Names of numbers that time changes.
const TIMES: [&str; 14] = [
    "datetime",
    "unix",
    "time_datetime",
    "time_unix",
    "time_to_maintenance_min",
    "time_to_maintenance_max",
    "time_to_recover_min",
    "time_to_recover_max",
    "last_reset_at",
    "last_reset_ago",
    "error_time_datetime",
    "error_time_unix_seconds",
    "error_time_ago",
    "seconds",
];

/// A document with what differs between two runs masked: times, ports of httpd, paths, versions.
fn masked(scene: &Scene, text: &str) -> String {
    let httpd = &scene.httpd;
    let mut text = text.to_owned();
    for (port, name) in [(httpd.addr().port(), "MAIN"), (httpd.vhost("vh").port(), "VHOST")] {
        text = text.replace(&port.to_string(), name);
    }
    for (at, engine) in scene.engines.iter().enumerate() {
        text = text.replace(&engine.port().to_string(), &format!("ENGINE{at}"));
    }
    let root = httpd.path("").display().to_string();
    text = text.replace(root.trim_end_matches('/'), "ROOT");
    for version in [concat!("mod_jk/", env!("CARGO_PKG_VERSION")), "mod_jk/1.2.48"] {
        text = text.replace(version, "mod_jk/VERSION");
    }
    for name in TIMES {
        text = mask_number(&text, &format!("{name}="));
    }
    text
}

/// Replaces the digits behind each occurrence of `key`.
fn mask_number(text: &str, key: &str) -> String {
    let mut parts = text.split(key);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (quote, rest) = part.strip_prefix('"').map_or(("", part), |rest| ("\"", rest));
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number = if digits > 0 { "N" } else { "" };
        write!(masked, "{key}{quote}{number}{}", &rest[digits..]).unwrap();
    }
    masked
}

#[test]
fn documents_are_those_of_the_c_module() {
    let [ours, theirs] = Module::BOTH.map(|module| {
        let scene = Scene::start(module, "");
        scene.traffic();
        scene
    });
    let mut faults = String::new();
    for query in QUERIES {
        for format in ["xml", "txt", "prop"] {
            let query = format!("mime={format}&{query}");
            let [our, their] = [&ours, &theirs].map(|scene| ask(&scene.httpd, &query));
            let [our_type, their_type] =
                [&our, &their].map(|answer| answer.header("Content-Type").unwrap().to_owned());
            assert_eq!(our_type, their_type, "{query}");
            let (our, their) = (masked(&ours, &our.text()), masked(&theirs, &their.text()));
            if our == their {
                continue;
            }
            let lines = our.lines().zip(their.lines()).filter(|(our, their)| our != their);
            for (our, their) in lines.take(6) {
                writeln!(faults, "{query}\n  ours {our}\n  C    {their}").unwrap();
            }
            let counts = (our.lines().count(), their.lines().count());
            if counts.0 != counts.1 {
                writeln!(faults, "{query}: lines {counts:?}").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
