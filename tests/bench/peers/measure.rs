//! Rounds in which the peers take turns, so that whatever else the machine does hits all alike.

use std::time::Duration;

use super::load::Load;
use super::peer::Peer;
use super::rows::Row;
use super::stage::Staged;
use super::{Options, calls, instructions};
use crate::support::httpd::Httpd;
use crate::support::wait_until;

/// Reading 10,000 rules takes C mod_jk half a minute on a quiet machine.
const START: Duration = Duration::from_secs(300);

/// What one turn gave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// Requests per second.
    pub(super) rate: f64,
    /// Microseconds.
    pub(super) p50: f64,
    /// Microseconds.
    pub(super) p99: f64,
    /// CPU time of httpd's child per request, in microseconds.
    pub(super) cpu: f64,
}

/// What a peer gave in a row.
pub(super) struct Measured {
    pub(super) peer: Peer,
    /// One for each round.
    pub(super) samples: Vec<Sample>,
    /// System calls per request on sockets to the engine.
    pub(super) calls: Option<f64>,
    /// Instructions per request in the module's hooks, see [`instructions`].
    pub(super) instructions: Option<f64>,
    /// Proportional share of memory of the child after the last round, KiB.
    pub(super) pss: u64,
    /// Memory of the child that belongs to no file, KiB.
    pub(super) anon: u64,
}

/// A measured row.
pub(super) struct Outcomes {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) peers: Vec<Measured>,
}

/// A median with the smallest and the largest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        Self { median, least: values[0], most: values[values.len() - 1] }
    }
}

impl Measured {
    /// The median of one column.
    pub(super) fn median(&self, column: fn(&Sample) -> f64) -> f64 {
        Spread::of(self.samples.iter().map(column)).median
    }
}

impl Outcomes {
    pub(super) fn peer(&self, peer: Peer) -> Option<&Measured> {
        self.peers.iter().find(|measured| measured.peer == peer)
    }

    /// The ratio of two peers in one column, round by round: neighbours in time are compared.
    pub(super) fn ratio(&self, peer: Peer, to: Peer, column: fn(&Sample) -> f64) -> Option<Spread> {
        let (peer, to) = (self.peer(peer)?, self.peer(to)?);
        let rounds = peer.samples.iter().zip(&to.samples);
        Some(Spread::of(rounds.map(|(a, b)| column(a) / column(b))))
    }
}

/// Measures one row.
pub(super) fn row(row: &Row, staged: &Staged, options: &Options) -> Result<Outcomes, String> {
    let mut scene = row.scene.clone();
    scene.places = row.engine.places(staged);
    let servers: Vec<(Peer, Httpd)> = row
        .peers
        .iter()
        .map(|peer| {
            let httpd = scene.builder(*peer).patience(START).start();
            settle(&httpd, scene.threads);
            (*peer, httpd)
        })
        .collect();
    for (_, httpd) in &servers {
        // What is done once is done now; errors do not count yet.
        let _ = row.load.run(httpd, &row.path, 1);
    }
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); servers.len()];
    for _ in 0..options.rounds {
        for ((peer, httpd), samples) in servers.iter().zip(&mut samples) {
            let sample = turn(httpd, &row.load, &row.path, options.seconds);
            samples.push(sample.map_err(|problem| format!("{}: {problem}", peer.name()))?);
        }
    }
    let mut peers = Vec::new();
    for ((peer, httpd), samples) in servers.into_iter().zip(samples) {
        let child = httpd.only_child();
        let (pss, anon) = (rollup_kib(child, "Pss"), httpd.anon_kib(child));
        let counted = row.calls && peer != Peer::Floor && !options.quick;
        let calls = counted
            .then(|| calls::per_request(&httpd, &scene.socket_mark(peer), &row.load, &row.path));
        let calls = calls.transpose()?;
        drop(httpd);
        let counted = row.instructions && peer != Peer::Floor && !options.quick;
        let instructions =
            counted.then(|| instructions::per_request(&scene, peer, &row.load, &row.path));
        let instructions = instructions.transpose()?;
        peers.push(Measured { peer, samples, calls, instructions, pss, anon });
    }
    Ok(Outcomes { name: row.name, title: row.title, peers })
}

/// Waits until all threads of the child have started: before, httpd closes idle connections.
pub(super) fn settle(httpd: &Httpd, threads: u32) {
    let tasks = format!("/proc/{}/task", httpd.only_child());
    wait_until("httpd's threads", || {
        std::fs::read_dir(&tasks).is_ok_and(|tasks| tasks.count() > threads as usize)
    });
}

fn turn(httpd: &Httpd, load: &Load, path: &str, seconds: u32) -> Result<Sample, String> {
    let children = httpd.child_pids();
    let before: Duration = children.iter().map(|child| cpu_time(*child)).sum();
    let outcome = load.run(httpd, path, seconds)?;
    if httpd.child_pids() != children {
        return Err("a child of httpd ended or was started".into());
    }
    let cpu = children.iter().map(|child| cpu_time(*child)).sum::<Duration>() - before;
    Ok(Sample {
        rate: outcome.requests / outcome.elapsed.as_secs_f64(),
        p50: outcome.p50,
        p99: outcome.p99,
        cpu: cpu.as_secs_f64() * 1e6 / outcome.requests,
    })
}

/// CPU time that all threads of a process took, those that ended included, to the nanosecond.
fn cpu_time(pid: u32) -> Duration {
    let pid = libc::pid_t::try_from(pid).expect("a pid");
    let mut clock = 0;
    // SAFETY: the pointer is to a variable of ours.
    let found = unsafe { libc::clock_getcpuclockid(pid, &raw mut clock) };
    assert_eq!(found, 0, "process {pid} is gone");
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a variable of ours.
    let read = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(read, 0, "process {pid} is gone");
    let seconds = u64::try_from(time.tv_sec).expect("a positive time");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}

/// A line of /proc/pid/smaps_rollup.
pub(super) fn rollup_kib(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no {field} in smaps_rollup of {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_least_and_most() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0]).median, 2.5);
    }

    fn measured(peer: Peer, rates: [f64; 3]) -> Measured {
        let sample = |rate| Sample { rate, p50: 1.0, p99: 1.0, cpu: 1.0 };
        let samples = rates.map(sample).to_vec();
        Measured { peer, samples, calls: None, instructions: None, pss: 1, anon: 1 }
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        let peers =
            vec![measured(Peer::Ours, [20.0, 3.0, 40.0]), measured(Peer::C, [10.0, 1.0, 40.0])];
        let row = Outcomes { name: "a", title: "b", peers };
        let ratio = row.ratio(Peer::Ours, Peer::C, |sample| sample.rate);
        assert_eq!(ratio, Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(row.ratio(Peer::Ours, Peer::Http, |sample| sample.rate), None);
    }
}
