//! The text format [7.6]: a line for each thing, with all that is known of it.
#![forbid(unsafe_code)]

use super::answer::{Document, Part, Shown, VERSION};
use super::fields::{self, Field, Quotes, in_lines};
use super::{escape, properties};
use crate::config::WorkerName;
use crate::config::status::StatusConfig;

/// The whole document.
pub(super) fn write(status: &StatusConfig, document: &Document<'_>) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(shown) = &document.shown {
        head(&mut text, shown);
        if let Some(part) = shown.workers() {
            workers(&mut text, status, &part);
        }
        if let Shown::Configuration { entries, .. } = shown {
            text.extend_from_slice(b"Configuration:\n");
            properties::entries(&mut text, entries);
        }
    }
    let (kind, message) = document.result();
    text.extend_from_slice(format!("Result: type={kind} message=").as_bytes());
    escape::text(&mut text, message.as_bytes(), true);
    text.push(b'\n');
    text
}

fn count<'a>(number: usize) -> (&'a str, Vec<u8>) {
    ("count", number.to_string().into_bytes())
}

/// One line. `before`: what comes first, written already.
fn line(text: &mut Vec<u8>, title: &str, fields: &[Field<'_>], before: &[(&str, Vec<u8>)]) {
    let key = |text: &mut Vec<u8>, name: &str| {
        text.push(b' ');
        text.extend_from_slice(name.as_bytes());
        text.push(b'=');
    };
    text.extend_from_slice(title.as_bytes());
    for (name, value) in before {
        key(text, name);
        text.extend_from_slice(value);
    }
    for field in fields {
        key(text, field.name);
        escape::text(text, &field.value, field.quotes == Quotes::Quoted);
    }
    text.push(b'\n');
}

fn head(text: &mut Vec<u8>, shown: &Shown<'_>) {
    let head = shown.head();
    let escaped = |value: &[u8], is_quoted| {
        let mut text = Vec::new();
        escape::text(&mut text, value, is_quoted);
        text
    };
    let name = escaped(head.server_name, false);
    let port = head.server_port.to_string().into_bytes();
    line(text, "Server:", &[], &[("name", name), ("port", port)]);
    if shown.has_software() {
        let local = head.local(head.now);
        let time = [
            ("datetime", local.digits().into_bytes()),
            ("tz", local.zone().into_bytes()),
            ("unix", head.now.to_string().into_bytes()),
        ];
        line(text, "Time:", &[], &time);
        let software = escaped(head.software, true);
        let version = VERSION.as_bytes().to_vec();
        line(text, "Software:", &[], &[("web_server", software), ("jk_version", version)]);
    }
}

fn workers(text: &mut Vec<u8>, status: &StatusConfig, part: &Part<'_>) {
    let head = &part.snapshot.head;
    if part.is_list && !part.balancers.is_empty() {
        line(text, "Balancer Workers:", &[], &[count(part.balancers.len())]);
    }
    for balancer in part.balancers {
        let name = &balancer.config.name;
        let count = part.snapshot.maps.count(name);
        line(text, "Balancer Worker:", &fields::balancer(balancer, status, head, count), &[]);
        for member in part.members(balancer) {
            line(text, "Member:", &in_lines(fields::member(balancer, member, head)), &[]);
        }
        maps(text, part, name);
    }
    if part.is_list && !part.engines.is_empty() {
        line(text, "AJP Workers:", &[], &[count(part.engines.len())]);
    }
    for engine in part.engines {
        let count = part.snapshot.maps.count(&engine.config.name);
        line(text, "AJP Worker:", &in_lines(fields::engine(engine, head, count)), &[]);
        maps(text, part, &engine.config.name);
    }
}

fn maps(text: &mut Vec<u8>, part: &Part<'_>, worker: &WorkerName) {
    for (id, map) in part.maps(worker) {
        line(text, "Map:", &fields::map(map), &[("id", id.to_string().into_bytes())]);
    }
}
