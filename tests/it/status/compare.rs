//! The same configuration and the same requests through both modules: the same documents.

use std::fmt::Write as _;

use super::{Scene, ask, request};
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
    compare([&ours, &theirs], &QUERIES, &mut faults);
    assert!(faults.is_empty(), "{faults}");
}

/// Members that do not work, for each reason, and balancers that have nothing to show.
const STATES: &str = "worker.list=lb2,alone,lb3\nworker.lb2.type=lb\n\
     worker.lb2.balance_workers=d,s,e,g\nworker.lb2.mount=/lb2/*\nworker.lb2.lock=P\n\
     worker.d.host=127.0.0.1\nworker.d.port=1\nworker.d.activation=disabled\n\
     worker.s.host=127.0.0.1\nworker.s.port=1\nworker.s.activation=stopped\n\
     worker.e.host=127.0.0.1\nworker.e.port=1\nworker.e.lbfactor=2\nworker.g.reference=worker.a\n\
     worker.alone.host=127.0.0.1\nworker.alone.port=1\nworker.alone.mount=/alone/*\n\
     worker.lb3.type=lb\nworker.lb3.balance_workers=idle\nworker.idle.host=127.0.0.1\n\
     worker.idle.port=1";

const VIEWS: [&str; 12] = [
    "cmd=list",
    "cmd=list&re=5",
    "cmd=list&from=show",
    "cmd=list&opt=3",
    "cmd=list&opt=4",
    "cmd=show&w=lb2",
    "cmd=show&w=lb2&sw=d",
    "cmd=show&w=lb2&sw=s",
    "cmd=show&w=lb2&sw=e&opt=1",
    "cmd=show&w=lb3",
    "cmd=show&w=alone&re=9&from=list",
    "cmd=edit&w=lb2&sw=e&from=list",
];

#[test]
fn states_are_those_of_the_c_module() {
    let scenes = Module::BOTH.map(|module| Scene::start(module, STATES));
    let [ours, theirs] = &scenes;
    let mut faults = String::new();
    views([ours, theirs], "the start", &mut faults);
    for (target, status) in [("/lb2/1;jsessionid=1.e", 200), ("/alone/1", 503)] {
        for scene in &scenes {
            assert_eq!(request(&scene.httpd, "GET", target, &[], b""), status, "{target}");
        }
    }
    views([ours, theirs], "failures", &mut faults);
    for step in [
        "cmd=recover&w=lb2&sw=e",
        "cmd=update&w=lb2&sw=e&vwa=d",
        "cmd=update&w=lb2&sw=*&vwa=s",
        "cmd=update&w=lb2&vls=0&vlf=0&vlm=B&vlr=5",
        "cmd=update&w=lb2&att=vwa&val0=A&val1=D&val2=S",
        "cmd=reset&w=lb2",
        "cmd=reset&w=alone",
    ] {
        let [our, their] =
            [ours, theirs].map(|scene| ask(&scene.httpd, &format!("{step}&mime=txt")));
        if our.text() != their.text() {
            panic!("{step}: {} {}\n{faults}", our.text(), their.text())
        }
        views([ours, theirs], step, &mut faults);
    }
    assert!(faults.is_empty(), "{faults}");
}

/// Adds where the views differ after a step.
fn views(scenes: [&Scene; 2], step: &str, faults: &mut String) {
    let before = faults.len();
    compare(scenes, &VIEWS, faults);
    if faults.len() > before {
        writeln!(faults, "after: {step}\n").unwrap();
    }
}

/// Adds where the documents differ.
fn compare([ours, theirs]: [&Scene; 2], queries: &[&str], faults: &mut String) {
    for query in queries {
        for format in ["xml", "txt", "prop"] {
            let query = format!("mime={format}&{query}");
            let [our, their] = [ours, theirs].map(|scene| ask(&scene.httpd, &query));
            let [our_type, their_type] =
                [&our, &their].map(|answer| answer.header("Content-Type").unwrap().to_owned());
            assert_eq!(our_type, their_type, "{query}");
            let (our, their) = (masked(ours, &our.text()), masked(theirs, &their.text()));
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
}
