//! How cost grows: with rules, members, headers, body; memory with threads and workers.

use super::load::Load;
use super::measure::{Outcomes, rollup_kib, settle};
use super::peer::{Peer, Scene};

/// One quantity that grows with another.
pub(super) struct Growth {
    /// For file names.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What grows, and the unit of what it costs.
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    /// What a slope says, and by what it is multiplied to be a readable number.
    pub(super) slope: &'static str,
    factor: f64,
    pub(super) lines: Vec<Line>,
}

/// One peer's points.
pub(super) struct Line {
    pub(super) peer: Peer,
    pub(super) points: Vec<(f64, f64)>,
}

impl Line {
    /// The slope of the straight line that fits best.
    fn slope(&self) -> f64 {
        let count = self.points.len() as f64;
        let mean =
            |value: fn(&(f64, f64)) -> f64| self.points.iter().map(value).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let over: f64 = self.points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let under: f64 = self.points.iter().map(|point| (point.0 - x).powi(2)).sum();
        over / under
    }
}

impl Growth {
    /// The slope of a line in the unit that [`Growth::slope`] names.
    pub(super) fn slope_of(&self, line: &Line) -> f64 {
        line.slope() * self.factor
    }
}

const PEERS: [Peer; 4] = [Peer::Ours, Peer::C, Peer::Ajp, Peer::Http];

/// CPU time per request: what rows of the table say together. Families of which rows are missing
/// are left out.
pub(super) fn of_time(rows: &[Outcomes]) -> Vec<Growth> {
    let family = |name, title, x, slope, factor, members: &[(&str, f64)]| {
        let points = |peer| {
            let points = members.iter().map(|(name, x)| {
                let row = rows.iter().find(|row| row.name == *name)?;
                Some((*x, row.peer(peer)?.median(|sample| sample.cpu)))
            });
            points.collect::<Option<Vec<_>>>()
        };
        let lines = PEERS
            .into_iter()
            .map(|peer| Some(Line { peer, points: points(peer)? }))
            .collect::<Option<Vec<_>>>()?;
        Some(Growth { name, title, x, y: "CPU µs per request", slope, factor, lines })
    };
    let rules = [("rules-10", 10.0), ("rules-1000", 1000.0), ("rules-10000", 10_000.0)];
    let members = [("members-1", 1.0), ("members-10", 10.0), ("members-100", 100.0)];
    let headers = [("small-16", 0.0), ("headers-100", 100.0), ("headers-200", 200.0)];
    let body = [("small-16", 0.1), ("get-10k", 10.0), ("get-100k", 100.0), ("get-1m", 1000.0)];
    [
        family("rules", "CPU time and rules", "rules", "ns per rule", 1000.0, &rules),
        family("members", "CPU time and members", "members", "ns per member", 1000.0, &members),
        family("headers", "CPU time and headers", "headers", "ns per header", 1000.0, &headers),
        family("body", "CPU time and response body", "KB", "ns per KB", 1000.0, &body),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Memory of a child after load, with threads and with workers.
pub(super) fn of_memory() -> Result<Vec<Growth>, String> {
    let threads = |count: usize| Scene { threads: count as u32, ..Scene::default() };
    let workers = |count: usize| Scene { threads: 32, idle_workers: count - 1, ..Scene::default() };
    Ok(vec![
        Growth {
            name: "threads",
            title: "Memory of a child and its threads",
            x: "threads",
            y: "KiB",
            slope: "KiB per thread",
            factor: 1.0,
            lines: lines(&[8, 32, 128], threads, |count| count as u32 / 2)?,
        },
        Growth {
            name: "workers",
            title: "Memory of a child and workers that are defined",
            x: "workers",
            y: "KiB",
            slope: "KiB per worker",
            factor: 1.0,
            lines: lines(&[1, 10, 100], workers, |_| 16)?,
        },
    ])
}

fn lines(
    counts: &[usize],
    scene: impl Fn(usize) -> Scene,
    connections: impl Fn(usize) -> u32,
) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for peer in PEERS {
        let mut points = Vec::new();
        for count in counts {
            let scene = scene(*count);
            let httpd = scene.builder(peer).start();
            settle(&httpd, scene.threads);
            let load = Load::Get { connections: connections(*count), headers: 0, tls: false };
            load.run(&httpd, "/b/s", 1).map_err(|error| format!("{}: {error}", peer.name()))?;
            points.push((*count as f64, rollup_kib(httpd.only_child(), "Pss") as f64));
        }
        lines.push(Line { peer, points });
    }
    Ok(lines)
}
