//! The XML format [7.6]. One attribute a line, as C mod_jk writes it.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::{Document, Entry, Part, Shown};
use super::escape::{is_attribute_name, markup, unicode};
use super::fields::{self, Field};
use crate::config::WorkerName;
use crate::config::status::StatusConfig;

/// Writes elements.
struct Writer<'a> {
    text: String,
    /// What every name of an element begins with.
    prefix: &'a str,
}

impl Writer<'_> {
    fn begin(&mut self, indentation: usize, name: &str) {
        self.text.extend(std::iter::repeat_n(' ', indentation));
        self.text.push('<');
        self.text.push_str(self.prefix);
        self.text.push_str(name);
        self.text.push('\n');
    }

    fn attribute(&mut self, indentation: usize, name: &str, value: &[u8]) {
        self.text.extend(std::iter::repeat_n(' ', indentation.saturating_add(2)));
        self.text.push_str(name);
        self.text.push_str("=\"");
        self.text.push_str(&markup(value));
        self.text.push_str("\"\n");
    }

    fn end(&mut self, indentation: usize, is_empty: bool) {
        self.text.extend(std::iter::repeat_n(' ', indentation));
        self.text.push_str(if is_empty { "/>\n" } else { ">\n" });
    }

    fn close(&mut self, indentation: usize, name: &str) {
        self.text.extend(std::iter::repeat_n(' ', indentation));
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "</{}{name}>", self.prefix);
    }

    fn element(&mut self, indentation: usize, name: &str, fields: &[Field<'_>], is_empty: bool) {
        self.begin(indentation, name);
        for field in fields {
            self.attribute(indentation, field.name, &field.value);
        }
        self.end(indentation, is_empty);
    }

    fn texts(&mut self, indentation: usize, name: &str, attributes: &[(&str, &[u8])]) {
        self.begin(indentation, name);
        for (name, value) in attributes {
            self.attribute(indentation, name, value);
        }
        self.end(indentation, true);
    }
}

/// The whole document.
pub(super) fn write(status: &StatusConfig, document: &Document<'_>) -> Vec<u8> {
    let prefix = unicode(&status.ns);
    let mut writer = Writer { text: String::new(), prefix: &prefix };
    writer.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n");
    if let Some(doctype) = &status.doctype {
        writer.text.push_str(&unicode(doctype));
        writer.text.push('\n');
    }
    writer.begin(0, "status");
    if !status.xmlns.is_empty() {
        writer.text.push_str("  ");
        writer.text.push_str(&unicode(&status.xmlns));
    }
    writer.end(0, false);
    if let Some(shown) = &document.shown {
        head(&mut writer, shown);
        if let Some(part) = shown.workers() {
            workers(&mut writer, status, &part);
        }
        if let Shown::Configuration { entries, .. } = shown {
            configuration(&mut writer, entries);
        }
    }
    let (kind, message) = document.result();
    let result = [("type", kind.as_bytes()), ("message", message.as_bytes())];
    writer.texts(2, "result", &result);
    writer.close(0, "status");
    writer.text.into_bytes()
}

fn head(writer: &mut Writer<'_>, shown: &Shown<'_>) {
    let head = shown.head();
    let port = head.server_port.to_string();
    writer.texts(0, "server", &[("name", head.server_name), ("port", port.as_bytes())]);
    if shown.has_software() {
        let (local, unix) = (head.local(head.now), head.now.to_string());
        let (digits, zone) = (local.digits(), local.zone());
        let time =
            [("datetime", digits.as_bytes()), ("tz", zone.as_bytes()), ("unix", unix.as_bytes())];
        writer.texts(0, "time", &time);
        let version = super::answer::VERSION.as_bytes();
        writer.texts(0, "software", &[("web_server", head.software), ("jk_version", version)]);
    }
}

fn workers(writer: &mut Writer<'_>, status: &StatusConfig, part: &Part<'_>) {
    let list = |writer: &mut Writer<'_>, name, count: usize| {
        if part.is_list && count > 0 {
            writer.begin(0, name);
            writer.attribute(0, "count", count.to_string().as_bytes());
            writer.end(0, false);
        }
    };
    let close = |writer: &mut Writer<'_>, name, count: usize| {
        if part.is_list && count > 0 {
            writer.close(0, name);
        }
    };
    let head = &part.snapshot.head;
    list(writer, "balancers", part.balancers.len());
    for balancer in part.balancers {
        let name = &balancer.config.name;
        let count = part.snapshot.maps.count(name);
        writer.element(2, "balancer", &fields::balancer(balancer, status, head, count), false);
        for member in part.members(balancer) {
            writer.element(6, "member", &fields::member(balancer, member, head), true);
        }
        maps(writer, part, name);
        writer.close(2, "balancer");
    }
    close(writer, "balancers", part.balancers.len());
    list(writer, "ajp_workers", part.engines.len());
    for engine in part.engines {
        let count = part.snapshot.maps.count(&engine.config.name);
        writer.element(2, "ajp", &fields::engine(engine, head, count), true);
        maps(writer, part, &engine.config.name);
    }
    close(writer, "ajp_workers", part.engines.len());
}

fn maps(writer: &mut Writer<'_>, part: &Part<'_>, worker: &WorkerName) {
    for (id, map) in part.maps(worker) {
        writer.begin(6, "map");
        writer.attribute(6, "id", id.to_string().as_bytes());
        for field in fields::map(map) {
            writer.attribute(6, field.name, &field.value);
        }
        writer.end(6, true);
    }
}

/// The configuration as attributes of one element. A key that no attribute can have becomes an
/// element of its own within.
fn configuration(writer: &mut Writer<'_>, entries: &[Entry<'_>]) {
    let is_plain = |entry: &&Entry<'_>| is_attribute_name(entry.key);
    writer.begin(2, "configuration");
    for entry in entries.iter().filter(is_plain) {
        writer.attribute(2, &unicode(entry.key), entry.value);
    }
    if entries.iter().all(|entry| is_plain(&entry)) {
        writer.end(2, true);
        return;
    }
    writer.end(2, false);
    for entry in entries.iter().filter(|entry| !is_plain(entry)) {
        writer.texts(4, "property", &[("key", entry.key), ("value", entry.value)]);
    }
    writer.close(2, "configuration");
}
