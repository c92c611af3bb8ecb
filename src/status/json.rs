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

use super::answer::{Document, Part, Shown, VERSION};
use super::escape::json as string;
use super::fields::{self, Field, Kind};
use super::prometheus::seconds;
use super::snapshot::{Engine, Judgement, Snapshot};
use crate::config::WorkerName;
use crate::config::status::StatusConfig;
use crate::shared::latency::BOUNDS;

/// Changes when something changes its meaning or goes away.
const SCHEMA: u32 = 1;

/// The whole document.
pub(super) fn write(status: &StatusConfig, document: &Document<'_>) -> Vec<u8> {
    let (kind, message) = document.result();
    let result = object([text("type", kind.as_bytes()), text("message", message.as_bytes())]);
    let mut all = vec![member("schema", SCHEMA), member("result", result)];
    if let Some(shown) = &document.shown {
        all.push(member("server", server(shown)));
        if let Some(part) = shown.workers() {
            all.extend(workers(status, &part));
        }
        if let Shown::Configuration { entries, .. } = shown {
            let entries = entries.iter().map(|entry| {
                let source = text("source", entry.place.as_bytes());
                object([text("key", entry.key), text("value", entry.value), source])
            });
            all.push(member("configuration", array(entries)));
        }
    }
    let mut body = object(all).into_bytes();
    body.push(b'\n');
    body
}

fn member(name: &str, value: impl ToString) -> String {
    format!("\"{name}\":{}", value.to_string())
}

fn text(name: &str, value: &[u8]) -> String {
    member(name, string(value))
}

fn object(members: impl IntoIterator<Item = String>) -> String {
    let members: Vec<String> = members.into_iter().collect();
    format!("{{{}}}", members.join(","))
}

fn array(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<String> = values.into_iter().collect();
    format!("[{}]", values.join(","))
}

fn field(field: &Field<'_>) -> String {
    match field.kind {
        Kind::Text => text(field.name, &field.value),
        Kind::Number => member(field.name, String::from_utf8_lossy(&field.value)),
        Kind::Switch => member(field.name, *field.value == *b"True"),
    }
}

fn server(shown: &Shown<'_>) -> String {
    let head = shown.head();
    object([
        text("name", head.server_name),
        member("port", head.server_port),
        text("web_server", head.software),
        text("jk_version", VERSION.as_bytes()),
        member("time", head.now),
        text("local_time", head.local(head.now).iso().as_bytes()),
    ])
}

fn workers(status: &StatusConfig, part: &Part<'_>) -> [String; 3] {
    let head = &part.snapshot.head;
    let balancers = part.balancers.iter().map(|balancer| {
        let name = &balancer.config.name;
        let count = part.snapshot.maps_of(name).count();
        let mut all: Vec<String> =
            fields::balancer(balancer, status, head, count).iter().map(field).collect();
        all.push(member("failovers", balancer.failovers));
        let members = part.members(balancer).map(|one| {
            let mut all: Vec<String> =
                fields::member(balancer, one, head).iter().map(field).collect();
            let rating = match one.rating(status) {
                Judgement::Good => "good",
                Judgement::Degraded => "degraded",
                Judgement::Bad => "bad",
            };
            all.push(text("rating", rating.as_bytes()));
            all.extend(more(&one.engine));
            object(all)
        });
        all.push(member("members", array(members)));
        all.push(member("maps", maps(part, name)));
        object(all)
    });
    let engines = part.engines.iter().map(|engine| {
        let count = part.snapshot.maps_of(&engine.config.name).count();
        let mut all: Vec<String> = fields::engine(engine, head, count).iter().map(field).collect();
        all.push(text("state", engine.state().as_bytes()));
        all.extend(more(engine));
        all.push(member("maps", maps(part, &engine.config.name)));
        object(all)
    });
    [
        member("balancers", array(balancers)),
        member("ajp_workers", array(engines)),
        member("changes", changes(part.snapshot)),
    ]
}

/// What C mod_jk does not know of an engine.
fn more(engine: &Engine<'_>) -> [String; 3] {
    let times = &engine.times;
    let bounds = BOUNDS.iter().map(|bound| seconds(bound.saturating_mul(1000)));
    let bounds = bounds.chain(["null".to_owned()]);
    let mut count: u64 = 0;
    let buckets = bounds.zip(times.buckets).map(|(bound, here)| {
        count = count.saturating_add(here);
        object([member("le", bound), member("count", count)])
    });
    let buckets = array(buckets);
    let latency = object([
        member("count", times.count()),
        member("sum", seconds(times.micros)),
        member("buckets", buckets),
    ]);
    [
        member("reply_timeouts_total", engine.all_reply_timeouts),
        member("retries_total", engine.retries),
        member("latency", latency),
    ]
}

fn maps(part: &Part<'_>, worker: &WorkerName) -> String {
    array(part.maps(worker).map(|(id, map)| {
        let mut all = vec![member("id", id)];
        all.extend(fields::map(map).iter().map(field));
        object(all)
    }))
}

fn changes(snapshot: &Snapshot<'_>) -> String {
    array(snapshot.changes.iter().map(|change| {
        object([
            member("time", change.time),
            text("balancer", change.balancer.as_bytes()),
            text("member", change.member.as_bytes()),
            text("from", change.from.text().as_bytes()),
            text("to", change.to.text().as_bytes()),
            text("cause", change.cause.as_bytes()),
        ])
    }))
}
