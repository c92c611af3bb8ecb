//! The properties format [7.6].
#![forbid(unsafe_code)]

use super::answer::{Document, Entry, Part, Shown, VERSION};
use super::escape::{property_key, property_value};
use super::fields::{self, Field, Owner, in_lines};
use crate::config::WorkerName;
use crate::config::status::StatusConfig;

/// A part of a key.
enum Step<'a> {
    /// One of ours, as it is.
    Word(&'a str),
    /// A worker's name.
    Name(&'a [u8]),
}

/// Writes lines.
struct Writer<'a> {
    text: Vec<u8>,
    /// First part of every key.
    prefix: &'a [u8],
}

impl Writer<'_> {
    /// A line whose key has these parts behind the prefix.
    fn line(&mut self, parts: &[Step<'_>], value: &[u8]) {
        property_key(&mut self.text, self.prefix);
        for part in parts {
            self.text.push(b'.');
            match part {
                Step::Word(word) => self.text.extend_from_slice(word.as_bytes()),
                Step::Name(name) => property_key(&mut self.text, name),
            }
        }
        self.text.push(b'=');
        property_value(&mut self.text, value);
        self.text.push(b'\n');
    }

    fn text(&mut self, key: &str, value: &[u8]) {
        self.line(&[Step::Word(key)], value);
    }

    /// The fields of something. `balancer`: whose name C mod_jk gives to the times of a member.
    fn fields(&mut self, own: &WorkerName, balancer: &WorkerName, fields: &[Field<'_>]) {
        for field in fields.iter().filter(|field| field.name != "name") {
            let owner = match field.owner {
                Owner::Own => own,
                Owner::Balancer => balancer,
            };
            // As C mod_jk has them; whoever reads them knows.
            let name = match field.name {
                "error_time_unix_seconds" => "error_time_unix seconds",
                "error_time_ago" => "error_time_ago seconds",
                name => name,
            };
            self.line(&[Step::Name(owner.as_bytes()), Step::Word(name)], &field.value);
        }
    }
}

/// The whole document.
pub(super) fn write(status: &StatusConfig, document: &Document<'_>) -> Vec<u8> {
    let mut writer = Writer { text: Vec::new(), prefix: &status.prefix };
    if let Some(shown) = &document.shown {
        head(&mut writer, shown);
        if let Some(part) = shown.workers() {
            workers(&mut writer, status, &part);
        }
        if let Shown::Configuration { entries: all, .. } = shown {
            entries(&mut writer.text, all);
        }
    }
    let (kind, message) = document.result();
    writer.text("result.type", kind.as_bytes());
    writer.text("result.message", message.as_bytes());
    writer.text
}

fn head(writer: &mut Writer<'_>, shown: &Shown<'_>) {
    let head = shown.head();
    writer.text("server_name", head.server_name);
    writer.text("server_port", head.server_port.to_string().as_bytes());
    if shown.has_software() {
        let local = head.local(head.now);
        writer.text("time_datetime", local.digits().as_bytes());
        writer.text("time_tz", local.zone().as_bytes());
        writer.text("time_unix", head.now.to_string().as_bytes());
        writer.text("web_server", head.software);
        writer.text("jk_version", VERSION.as_bytes());
    }
}

fn workers(writer: &mut Writer<'_>, status: &StatusConfig, part: &Part<'_>) {
    let head = &part.snapshot.head;
    if part.is_list && !part.balancers.is_empty() {
        writer.text("lb_count", part.balancers.len().to_string().as_bytes());
    }
    for balancer in part.balancers {
        let name = &balancer.config.name;
        let count = part.snapshot.maps.count(name);
        writer.text("list", name.as_bytes());
        writer.fields(name, name, &fields::balancer(balancer, status, head, count));
        for member in part.members(balancer) {
            let key = [Step::Name(name.as_bytes()), Step::Word("balance_workers")];
            writer.line(&key, member.name().as_bytes());
            let fields = in_lines(fields::member(balancer, member, head));
            writer.fields(member.name(), name, &fields);
        }
        maps(writer, part, name);
    }
    if part.is_list && !part.engines.is_empty() {
        writer.text("ajp_count", part.engines.len().to_string().as_bytes());
    }
    for engine in part.engines {
        let name = &engine.config.name;
        let count = part.snapshot.maps.count(name);
        writer.line(&[Step::Name(name.as_bytes()), Step::Word("list")], name.as_bytes());
        writer.fields(name, name, &in_lines(fields::engine(engine, head, count)));
        maps(writer, part, name);
    }
}

fn maps(writer: &mut Writer<'_>, part: &Part<'_>, worker: &WorkerName) {
    for (id, map) in part.maps(worker) {
        let id = id.to_string();
        for field in fields::map(map) {
            let key = [
                Step::Name(worker.as_bytes()),
                Step::Word("map"),
                Step::Word(&id),
                Step::Word(field.name),
            ];
            writer.line(&key, &field.value);
        }
    }
}

/// The lines of the configuration as it was read.
pub(super) fn entries(text: &mut Vec<u8>, entries: &[Entry<'_>]) {
    for entry in entries {
        property_key(text, entry.key);
        text.push(b'=');
        property_value(text, entry.value);
        text.push(b'\n');
    }
}
