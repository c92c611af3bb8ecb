//! What the module is to reach, each from rows of the same run.

use super::measure::{Measured, Outcomes, Sample};
use super::peer::Peer;

/// One number that is to be below or above a limit.
pub(super) struct Target {
    pub(super) number: u32,
    pub(super) what: String,
    pub(super) limit: f64,
    /// Whether the number is to be at least the limit, not at most.
    pub(super) at_least: bool,
    /// `None` if a row that it needs was not measured.
    pub(super) measured: Option<f64>,
}

impl Target {
    pub(super) fn is_reached(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(if self.at_least { measured >= self.limit } else { measured <= self.limit })
    }
}

fn rate(sample: &Sample) -> f64 {
    sample.rate
}

fn cpu(sample: &Sample) -> f64 {
    sample.cpu
}

fn p99(sample: &Sample) -> f64 {
    sample.p99
}

/// All targets, judged by `rows`.
pub(super) fn judge(rows: &[Outcomes]) -> Vec<Target> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let ratio = |name: &str, to: Peer, column: fn(&Sample) -> f64| {
        Some(row(name)?.ratio(Peer::Ours, to, column)?.median)
    };
    let ours = |name: &str| row(name)?.peer(Peer::Ours);
    let calls = |name: &str, peer: Peer| row(name)?.peer(peer)?.calls;
    let to_c = |name: &str, column: fn(&Sample) -> f64| ratio(name, Peer::C, column);

    let mut found = Vec::new();
    let mut put = |number, what: &str, at_least, limit, measured| {
        found.push(Target { number, what: what.to_owned(), limit, at_least, measured });
    };
    put(1, "system calls per small request", false, 3.0, calls("small-1", Peer::Ours));
    let calls_1m = calls("get-1m", Peer::Ours).zip(calls("get-1m", Peer::C)).map(|(a, b)| a / b);
    put(1, "system calls of a 1 MB download, to C", false, 1.0 / 6.0, calls_1m);
    put(2, "CPU of a small GET at 16 connections, to C", false, 0.85, to_c("small-16", cpu));
    let unix = ratio("unix-16", Peer::C, cpu);
    put(2, "CPU of a small GET over a Unix socket, to C over TCP", false, 0.78, unix);
    put(2, "the same above httpd alone, over TCP", false, 0.72, row("small-16").and_then(above));
    put(2, "throughput of a small GET at 16 connections, to C", true, 1.12, to_c("small-16", rate));
    for (peer, name) in [(Peer::Ajp, "mod_proxy_ajp"), (Peer::Http, "mod_proxy_http")] {
        let worst = rows
            .iter()
            .filter(|row| !row.name.contains("upload"))
            .filter_map(|row| Some((row.ratio(Peer::Ours, peer, rate)?.median, row.name)))
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let what = match worst {
            Some((_, row)) => format!("lowest throughput of all GET rows, to {name} ({row})"),
            None => format!("lowest throughput of all GET rows, to {name}"),
        };
        put(2, &what, true, 0.97, worst.map(|(ratio, _)| ratio));
    }
    put(3, "CPU of a GET of 100 KB, to C", false, 0.50, to_c("get-100k", cpu));
    put(3, "throughput of a GET of 100 KB, to C", true, 1.6, to_c("get-100k", rate));
    put(3, "CPU of a GET of 1 MB, to C", false, 0.45, to_c("get-1m", cpu));
    put(3, "throughput of a GET of 1 MB, to C", true, 1.6, to_c("get-1m", rate));
    for (name, packet) in [("tomcat-upload-8k", "8 KiB"), ("tomcat-upload-64k", "64 KiB")] {
        let what = format!("throughput of an upload to Tomcat, packets of {packet}");
        put(4, &format!("{what}, to C"), true, 1.3, to_c(name, rate));
        let ajp = ratio(name, Peer::Ajp, rate);
        put(4, &format!("{what}, to mod_proxy_ajp"), true, 1.0, ajp);
    }
    for name in ["small-1", "small-16", "small-64"] {
        put(5, &format!("p99 of {name}, to C"), false, 1.10, to_c(name, p99));
    }
    let memory = |value: fn(&Measured) -> u64| {
        let row = row("small-16")?;
        Some(value(row.peer(Peer::Ours)?) as f64 / value(row.peer(Peer::C)?) as f64)
    };
    put(5, "memory per child (PSS), to C", false, 1.0, memory(|measured| measured.pss));
    put(5, "memory per child (anonymous), to C", false, 1.0, memory(|measured| measured.anon));
    let rules = ours("rules-10000").zip(ours("rules-10"));
    let rules = rules.map(|(many, few)| many.median(cpu) / few.median(cpu));
    put(5, "CPU with 10,000 rules, to 10 rules", false, 1.1, rules);
    for name in ["unix-1", "unix-16"] {
        let faster = ratio(name, Peer::OursTcp, rate);
        put(5, &format!("throughput of {name}, to TCP"), true, 1.0, faster);
    }
    found
}

/// What a request costs above httpd alone, as a ratio to what C mod_jk costs above it.
fn above(row: &Outcomes) -> Option<f64> {
    let cost = |peer| Some(row.peer(peer)?.median(cpu));
    let floor = cost(Peer::Floor)?;
    Some((cost(Peer::Ours)? - floor) / (cost(Peer::C)? - floor))
}
