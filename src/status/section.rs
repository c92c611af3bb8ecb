//! Our section of the page of mod_status: a line for each engine.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::escape::{markup, text};
use super::fields::activation;
use super::snapshot::{Engine, Snapshot};

/// The section. `is_short`: for programs, which read lines of `key: value`.
pub fn write(snapshot: &Snapshot<'_>, is_short: bool) -> Vec<u8> {
    let mut section = Vec::new();
    if !is_short {
        section.extend(
            b"<hr />\n<h2>mod_jk</h2>\n<table border=\"0\"><tr><th>Worker</th><th>State</th>\
              <th>Act</th><th>Busy</th><th>Acc</th><th>Err</th><th>Con</th></tr>\n",
        );
    }
    let mut line = |names: [&[u8]; 2], state: &str, act: &str, engine: &Engine<'_>, errors: u32| {
        let Engine { busy, used, connected, .. } = engine;
        if is_short {
            section.extend(b"JkWorker: name=");
            let names: Vec<&[u8]> = names.into_iter().filter(|name| !name.is_empty()).collect();
            text(&mut section, &names.join(&b"."[..]), false);
            let rest = format!(
                " state={state} activation={act} busy={busy} accessed={used} errors={errors} \
                 connected={connected}\n"
            );
            section.extend(rest.bytes());
            return;
        }
        let mut row = String::new();
        let [balancer, name] = names.map(markup);
        let dot = if balancer.is_empty() { "" } else { "." };
        // Writing to a String cannot fail.
        let _ = writeln!(
            row,
            "<tr><td>{balancer}{dot}{name}</td><td>{state}</td><td>{act}</td><td>{busy}</td>\
             <td>{used}</td><td>{errors}</td><td>{connected}</td></tr>"
        );
        section.extend(row.bytes());
    };
    for balancer in &snapshot.balancers {
        for member in &balancer.members {
            let names = [balancer.config.name.as_bytes(), member.name().as_bytes()];
            let act = activation(member.activation);
            line(names, member.state.text(), act, &member.engine, member.errors);
        }
    }
    for engine in &snapshot.engines {
        let names = [&b""[..], engine.config.name.as_bytes()];
        line(names, engine.state(), "ACT", engine, engine.errors);
    }
    if !is_short {
        section.extend(b"</table>\n");
    }
    section
}
