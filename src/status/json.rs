//! The JSON format, for programs. Its members never change their meaning within a [`SCHEMA`]; new ones
//! may come.
//!
//! ```text
//! { "schema": 1,
//!   "result": {"type", "message"},
//!   "server": {"name", "port", "web_server", "jk_version", "time", "local_time"},
//!   "balancers":   [{fields of the XML format, "failovers", "members": [ENGINE], "maps": [MAP]}],
//!   "ajp_workers": [ENGINE with "maps"],
//!   "changes": [{"time", "balancer", "member", "from", "to", "cause"}],
//!   "configuration": [{"key", "value", "source"}] }
//! ENGINE: fields of the XML format, "rating" (members), "reply_timeouts_total", "retries_total",
//!         "latency": {"count", "sum": seconds, "buckets": [{"le": seconds or null, "count"}]}
//! ```
//!
//! Numbers are numbers and switches are booleans. Each part is there where the command shows it.
//! Buckets are cumulative.
#![forbid(unsafe_code)]

use std::fmt::{Display, Write as _};

use super::answer::{Document, Part, Shown, VERSION};
use super::escape::json as string;
use super::fields::{self, Field, Kind};
use super::prometheus::seconds;
use super::snapshot::{Balancer, Engine, Judgement, Member, Snapshot};
use crate::config::WorkerName;
use crate::config::status::StatusConfig;
use crate::shared::latency::BOUNDS;

/// Changes when something changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// Writes values one after the other. What stands last tells whether a comma comes first, as no value
/// ends with what begins one.
struct Writer {
    text: String,
    /// The bounds of latency buckets as they are written.
    bounds: Vec<String>,
}

impl Writer {
    fn comma(&mut self) {
        if !self.text.ends_with(['{', '[']) && !self.text.is_empty() {
            self.text.push(',');
        }
    }

    fn key(&mut self, name: &str) {
        self.comma();
        for part in ["\"", name, "\":"] {
            self.text.push_str(part);
        }
    }

    /// A member of an object that is written as it is: a number or a word.
    fn plain(&mut self, name: &str, value: impl Display) {
        self.key(name);
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{value}");
    }

    fn string(&mut self, name: &str, value: &[u8]) {
        self.key(name);
        string(&mut self.text, value);
    }

    fn fields(&mut self, fields: &[Field<'_>]) {
        for Field { name, value, kind, .. } in fields {
            match kind {
                Kind::Text => self.string(name, value),
                Kind::Number => {
                    self.key(name);
                    self.text.push_str(&String::from_utf8_lossy(value));
                }
                Kind::Switch => self.plain(name, **value == *b"True"),
            }
        }
    }

    /// An object; with an empty name, one of an array.
    fn object(&mut self, name: &str, members: impl FnOnce(&mut Self)) {
        match name {
            "" => self.comma(),
            name => self.key(name),
        }
        self.text.push('{');
        members(self);
        self.text.push('}');
    }

    /// An array of objects.
    fn array<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        mut members: impl FnMut(&mut Self, T),
    ) {
        self.key(name);
        self.text.push('[');
        for value in values {
            self.object("", |writer| members(writer, value));
        }
        self.text.push(']');
    }
}

/// The whole document.
pub(super) fn write(status: &StatusConfig, document: &Document<'_>) -> Vec<u8> {
    let bounds = BOUNDS.iter().map(|bound| seconds(bound.saturating_mul(1000)));
    let bounds = bounds.chain(["null".to_owned()]).collect();
    let mut writer = Writer { text: String::new(), bounds };
    let (kind, message) = document.result();
    writer.object("", |all| {
        all.plain("schema", SCHEMA);
        all.object("result", |result| {
            result.string("type", kind.as_bytes());
            result.string("message", message.as_bytes());
        });
        let Some(shown) = &document.shown else { return };
        all.object("server", |writer| server(writer, shown));
        if let Some(part) = shown.workers() {
            workers(all, status, &part);
        }
        if let Shown::Configuration { entries, .. } = shown {
            all.array("configuration", entries, |one, entry| {
                one.string("key", entry.key);
                one.string("value", entry.value);
                one.string("source", entry.place.as_bytes());
            });
        }
    });
    writer.text.push('\n');
    writer.text.into_bytes()
}

fn server(writer: &mut Writer, shown: &Shown<'_>) {
    let head = shown.head();
    writer.string("name", head.server_name);
    writer.plain("port", head.server_port);
    writer.string("web_server", head.software);
    writer.string("jk_version", VERSION.as_bytes());
    writer.plain("time", head.now);
    writer.string("local_time", head.local(head.now).iso().as_bytes());
}

fn workers(writer: &mut Writer, status: &StatusConfig, part: &Part<'_>) {
    let head = &part.snapshot.head;
    writer.array("balancers", part.balancers, |one, balancer| {
        let name = &balancer.config.name;
        let count = part.snapshot.maps.count(name);
        one.fields(&fields::balancer(balancer, status, head, count));
        one.plain("failovers", balancer.failovers);
        one.array("members", part.members(balancer), |one, of| {
            member(one, status, part, (balancer, of));
        });
        maps(one, part, name);
    });
    writer.array("ajp_workers", part.engines, |one, engine| {
        let name = &engine.config.name;
        let count = part.snapshot.maps.count(name);
        one.fields(&fields::engine(engine, head, count));
        one.string("state", engine.state().as_bytes());
        more(one, engine);
        maps(one, part, name);
    });
    changes(writer, part.snapshot);
}

fn member(
    writer: &mut Writer,
    status: &StatusConfig,
    part: &Part<'_>,
    (balancer, member): (&Balancer<'_>, &Member<'_>),
) {
    writer.fields(&fields::member(balancer, member, &part.snapshot.head));
    let rating = match member.rating(status) {
        Judgement::Good => "good",
        Judgement::Degraded => "degraded",
        Judgement::Bad => "bad",
    };
    writer.string("rating", rating.as_bytes());
    more(writer, &member.engine);
}

/// What C mod_jk does not know of an engine.
fn more(writer: &mut Writer, engine: &Engine<'_>) {
    let times = &engine.times;
    writer.plain("reply_timeouts_total", engine.all_reply_timeouts);
    writer.plain("retries_total", engine.retries);
    writer.object("latency", |latency| {
        latency.plain("count", times.count());
        latency.plain("sum", seconds(times.micros));
        let mut count: u64 = 0;
        let bounds = std::mem::take(&mut latency.bounds);
        latency.array("buckets", bounds.iter().zip(times.buckets), |bucket, (bound, here)| {
            count = count.saturating_add(here);
            bucket.plain("le", bound);
            bucket.plain("count", count);
        });
        latency.bounds = bounds;
    });
}

fn maps(writer: &mut Writer, part: &Part<'_>, worker: &WorkerName) {
    writer.array("maps", part.maps(worker), |one, (id, map)| {
        one.plain("id", id);
        one.fields(&fields::map(map));
    });
}

fn changes(writer: &mut Writer, snapshot: &Snapshot<'_>) {
    writer.array("changes", &snapshot.changes, |one, change| {
        one.plain("time", change.time);
        one.string("balancer", change.balancer.as_bytes());
        one.string("member", change.member.as_bytes());
        one.string("from", change.from.text().as_bytes());
        one.string("to", change.to.text().as_bytes());
        one.string("cause", change.cause.as_bytes());
    });
}
