//! The text format of Prometheus. Numbers are those of all processes of httpd; names of metrics and
//! labels are stable.
//!
//! Series of a member have the labels `balancer` and `member`, those of a worker that is one engine
//! `worker`.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

use super::answer::{Document, Part, VERSION};
use super::escape::label;
use super::snapshot::{Engine, Judgement, Member};
use crate::config::Activation;
use crate::config::status::StatusConfig;
use crate::shared::State;
use crate::shared::latency::BOUNDS;

/// A number of microseconds in seconds.
pub(super) fn seconds(micros: u64) -> String {
    let (whole, rest) = (micros / 1_000_000, micros % 1_000_000);
    let text = format!("{whole}.{rest:06}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Metrics of every engine: name, type, help, value.
type Metric = (&'static str, &'static str, &'static str, fn(&Engine<'_>) -> u64);

const METRICS: [Metric; 14] = [
    ("jk_requests_total", "counter", "Requests that were sent to the engine.", |e| e.used),
    ("jk_errors_total", "counter", "Requests that failed at the engine.", |e| e.errors.into()),
    ("jk_client_errors_total", "counter", "Requests that failed because of the client.", |e| {
        e.client_errors.into()
    }),
    (
        "jk_reply_timeouts_total",
        "counter",
        "Requests that the engine did not answer in time.",
        |e| e.all_reply_timeouts,
    ),
    ("jk_retries_total", "counter", "Further attempts of a request at the same engine.", |e| {
        e.retries
    }),
    ("jk_sent_bytes_total", "counter", "Bytes that were sent to the engine.", |e| e.transferred),
    ("jk_received_bytes_total", "counter", "Bytes that were received from the engine.", |e| e.read),
    ("jk_busy_requests", "gauge", "Requests that the engine is serving.", |e| e.busy.into()),
    (
        "jk_busy_requests_max",
        "gauge",
        "Most requests that the engine was serving at a time.",
        |e| e.max_busy.into(),
    ),
    ("jk_connections", "gauge", "Open connections to the engine.", |e| e.connected.into()),
    ("jk_connections_max", "gauge", "Most connections to the engine at a time.", |e| {
        e.max_connected.into()
    }),
    ("jk_idle_connections", "gauge", "Open connections that serve no request.", |e| {
        e.connected.saturating_sub(e.busy).into()
    }),
    ("jk_pool_size", "gauge", "Most connections that one process of httpd opens.", |e| {
        u64::try_from(e.config.pool_size).unwrap_or(u64::MAX)
    }),
    ("jk_last_error_timestamp_seconds", "gauge", "When a request failed last; 0: never.", |e| {
        e.error_time
    }),
];

const STATES: [State; 7] =
    [State::Idle, State::Ok, State::Recover, State::Force, State::Busy, State::Error, State::Probe];

const ACTIVATIONS: [Activation; 3] =
    [Activation::Active, Activation::Disabled, Activation::Stopped];

/// Writes series.
struct Writer(String);

impl Writer {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &str, value: u64) {
        self.line(name, &[labels], &value.to_string());
    }

    /// One of the series that a label more tells apart. There are many: no formatting here.
    fn one_of(&mut self, name: &str, labels: &str, (label, of): (&str, &str), value: u64) {
        self.line(name, &[labels, ",", label, "=\"", of, "\""], &value.to_string());
    }

    fn line(&mut self, name: &str, labels: &[&str], value: &str) {
        self.0.push_str(name);
        if !matches!(labels, [""]) {
            self.0.push('{');
            labels.iter().for_each(|part| self.0.push_str(part));
            self.0.push('}');
        }
        self.0.push(' ');
        self.0.push_str(value);
        self.0.push('\n');
    }
}

/// The whole document. A refused request has a comment only.
pub(super) fn write(status: &StatusConfig, document: &Document<'_>) -> Vec<u8> {
    let mut writer = Writer(String::new());
    if let Some(problem) = &document.problem {
        let _ = writeln!(writer.0, "# {}", problem.message.replace('\n', " "));
    }
    if let Some(shown) = &document.shown {
        let head = shown.head();
        writer.begin("jk_build_info", "gauge", "The module that these numbers come from.");
        let software = label(head.software);
        let labels = format!("version=\"{}\",web_server=\"{software}\"", label(VERSION.as_bytes()));
        writer.sample("jk_build_info", &labels, 1);
        writer.begin("jk_start_time_seconds", "gauge", "Since when these numbers count.");
        writer.sample("jk_start_time_seconds", "", head.created);
        if let Some(part) = shown.workers() {
            workers(&mut writer, status, &part);
        }
    }
    writer.0.into_bytes()
}

fn workers(writer: &mut Writer, status: &StatusConfig, part: &Part<'_>) {
    let mut members: Vec<(String, &Member<'_>)> = Vec::new();
    for balancer in part.balancers {
        let name = label(balancer.config.name.as_bytes());
        for member in part.members(balancer) {
            let labels =
                format!("balancer=\"{name}\",member=\"{}\"", label(member.name().as_bytes()));
            members.push((labels, member));
        }
    }
    let mut engines: Vec<(String, &Engine<'_>)> =
        members.iter().map(|(labels, member)| (labels.clone(), &member.engine)).collect();
    engines.extend(
        part.engines
            .iter()
            .map(|engine| (format!("worker=\"{}\"", label(engine.config.name.as_bytes())), engine)),
    );
    balancers(writer, status, part);
    if !members.is_empty() {
        states(writer, &members);
    }
    if part.engines.is_empty() && members.is_empty() {
        return;
    }
    if !part.engines.is_empty() {
        let name = "jk_worker_failing";
        writer.begin(name, "gauge", "Whether the last request of the worker failed.");
        for engine in part.engines {
            let labels = format!("worker=\"{}\"", label(engine.config.name.as_bytes()));
            writer.sample(name, &labels, engine.is_failing.into());
        }
    }
    for (name, kind, help, value) in METRICS {
        writer.begin(name, kind, help);
        for (labels, engine) in &engines {
            writer.sample(name, labels, value(engine));
        }
    }
    latency(writer, &engines);
}

fn balancers(writer: &mut Writer, status: &StatusConfig, part: &Part<'_>) {
    if part.balancers.is_empty() {
        return;
    }
    let labels =
        |name: &crate::config::WorkerName| format!("balancer=\"{}\"", label(name.as_bytes()));
    let name = "jk_balancer_members";
    writer.begin(
        name,
        "gauge",
        "Members of the balancer by what the status worker thinks of them.",
    );
    let judgements =
        [("good", Judgement::Good), ("degraded", Judgement::Degraded), ("bad", Judgement::Bad)];
    for balancer in part.balancers {
        for (word, judgement) in judgements {
            let count = u64::try_from(balancer.count(status, judgement)).unwrap_or(u64::MAX);
            writer.one_of(name, &labels(&balancer.config.name), ("rating", word), count);
        }
    }
    let name = "jk_balancer_busy_requests";
    writer.begin(name, "gauge", "Requests that the balancer is serving.");
    for balancer in part.balancers {
        writer.sample(name, &labels(&balancer.config.name), balancer.busy.into());
    }
    let name = "jk_balancer_busy_requests_max";
    writer.begin(name, "gauge", "Most requests that the balancer was serving at a time.");
    for balancer in part.balancers {
        writer.sample(name, &labels(&balancer.config.name), balancer.max_busy.into());
    }
    let name = "jk_failovers_total";
    writer.begin(name, "counter", "Requests that went to another member as one had failed.");
    for balancer in part.balancers {
        writer.sample(name, &labels(&balancer.config.name), balancer.failovers);
    }
}

fn states(writer: &mut Writer, members: &[(String, &Member<'_>)]) {
    let name = "jk_member_state";
    writer.begin(name, "gauge", "Whether the member is in this state.");
    for (labels, member) in members {
        for state in STATES {
            writer.one_of(name, labels, ("state", state.text()), (member.state == state).into());
        }
    }
    let name = "jk_member_activation";
    writer.begin(name, "gauge", "Whether the member gets requests of this kind.");
    for (labels, member) in members {
        for activation in ACTIVATIONS {
            let word = super::fields::activation(activation);
            let value = u64::from(member.activation == activation);
            writer.one_of(name, labels, ("activation", word), value);
        }
    }
    type One = (&'static str, &'static str, &'static str, fn(&Member<'_>) -> u64);
    let more: [One; 4] = [
        ("jk_sessions_total", "counter", "Requests that opened a session there.", |m| m.sessions),
        ("jk_member_failures_total", "counter", "Failures that count against the member.", |m| {
            m.errors.into()
        }),
        ("jk_member_load", "gauge", "What the member has had of the load.", |m| m.load),
        ("jk_member_factor", "gauge", "Share of the load that the member is to have.", |m| {
            m.config.lbfactor.into()
        }),
    ];
    for (name, kind, help, value) in more {
        writer.begin(name, kind, help);
        for (labels, member) in members {
            writer.sample(name, labels, value(member));
        }
    }
}

fn latency(writer: &mut Writer, engines: &[(String, &Engine<'_>)]) {
    let name = "jk_request_duration_seconds";
    writer.begin(name, "histogram", "How long requests took at the engine, retries included.");
    let bounds = BOUNDS.iter().map(|bound| seconds(bound.saturating_mul(1000)));
    let bounds: Vec<String> = bounds.chain(["+Inf".to_owned()]).collect();
    let [bucket, sum, all] = ["bucket", "sum", "count"].map(|end| format!("{name}_{end}"));
    for (labels, engine) in engines {
        let times = &engine.times;
        let mut count: u64 = 0;
        for (bound, here) in bounds.iter().zip(times.buckets) {
            count = count.saturating_add(here);
            writer.one_of(&bucket, labels, ("le", bound), count);
        }
        writer.line(&sum, &[labels], &seconds(times.micros));
        writer.sample(&all, labels, count);
    }
}
