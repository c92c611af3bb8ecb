//! What the system says of processes and connections while a soak runs.

use std::time::Duration;

use crate::support::process;

/// Values of one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) parent: Memory,
    pub(super) parent_fds: usize,
    /// Children of the generation that serves, oldest first.
    pub(super) children: Vec<(u32, Memory)>,
    pub(super) child_fds: usize,
    pub(super) child_threads: u64,
    /// Connections to the engines that are established, and what the status worker counts.
    pub(super) connections: usize,
    pub(super) counted: usize,
    /// Requests served and otherwise ended so far.
    pub(super) served: u64,
    pub(super) failed: u64,
    pub(super) aborted: u64,
    /// Which generation of httpd's children it is.
    pub(super) generation: usize,
}

/// Memory of a process in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    pub(super) rss: u64,
    /// Shared pages are divided by who shares them.
    pub(super) pss: u64,
    /// What it allocated: its own share of anonymous pages.
    pub(super) anonymous: u64,
}

/// `None` once the process is gone.
pub(super) fn memory(pid: u32) -> Option<Memory> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(Memory { rss: field("Rss")?, pss: field("Pss")?, anonymous: field("Pss_Anon")? })
}

/// Reads children of an httpd, with their descriptors and threads. Those of an old generation only
/// finish what they have: where there are more than `most`, the first ones started are left out.
pub(super) fn children(parent: u32, most: usize, sample: &mut Sample) {
    let mut pids = process::children_of(parent);
    pids.sort_by_key(|pid| start_time(*pid));
    let old = pids.len().saturating_sub(most);
    for pid in pids.into_iter().skip(old) {
        let Some(memory) = memory(pid) else { continue };
        sample.children.push((pid, memory));
        sample.child_fds += process::fd_count(pid);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        sample.child_threads += threads.and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    }
}

/// In ticks since the system started.
fn start_time(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let behind = stat.rfind(')').map_or("", |at| &stat[at + 1..]);
    behind.split_whitespace().nth(19).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

/// TCP connections to a local port as the kernel counts them at the side that connected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) established: usize,
    /// The engine has closed it, and httpd has not.
    pub(super) half_closed: usize,
}

pub(super) fn connections(ports: &[u16]) -> Connections {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let mut found = Connections::default();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, _, remote, state, ..] = fields[..] else { continue };
        let port = remote.split(':').nth(1).and_then(|port| u16::from_str_radix(port, 16).ok());
        if !port.is_some_and(|port| ports.contains(&port)) {
            continue;
        }
        match state {
            "01" => found.established += 1,
            "08" => found.half_closed += 1,
            _ => {}
        }
    }
    found
}

/// What outlives processes and was made by these, or looks as if: System V segments by who made them,
/// and shared memory by the names that APR gives it. Other tests run beside this one.
pub(super) fn lasting_memory(pids: &[u32]) -> Vec<String> {
    let mut all = Vec::new();
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    for line in table.lines().skip(1) {
        let maker = line.split_whitespace().nth(4).and_then(|pid| pid.parse().ok());
        all.extend(maker.is_some_and(|pid| pids.contains(&pid)).then(|| line.to_owned()));
    }
    let names = std::fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    all.extend(names.filter(|name| name.starts_with("ShM.") || name.contains("jk")));
    all
}

/// The middle one.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Change for each second, by least squares.
pub(super) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (above, below) = points.iter().fold((0.0, 0.0), |(above, below), point| {
        (above + (point.0 - x) * (point.1 - y), below + (point.0 - x).powi(2))
    });
    if below == 0.0 { 0.0 } else { above / below }
}

#[test]
fn trends() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert!((slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]) - 2.0).abs() < 1e-9);
    assert_eq!(slope(&[(1.0, 1.0)]), 0.0);
}
