//! Load, by wrk and h2load. Whatever went wrong with one request fails the measurement.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::client::{Client, head};
use crate::support::httpd::Httpd;
use crate::support::process::output;
use crate::support::temp_dir;

/// What a client does.
#[derive(Debug, Clone)]
pub(super) enum Load {
    /// GETs over HTTP/1.1 on so many connections, with so many headers beside the usual ones.
    Get { connections: u32, headers: usize, tls: bool },
    /// GETs over HTTP/2 without TLS, so many streams on each connection.
    Http2 { connections: u32, streams: u32 },
    /// Uploads of so many bytes, one after the other.
    Upload { bytes: usize },
}

/// What the client saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) requests: f64,
    pub(super) elapsed: Duration,
    /// Microseconds.
    pub(super) p50: f64,
    /// Microseconds.
    pub(super) p99: f64,
}

impl Load {
    /// Puts load on `path` for about `seconds`.
    pub(super) fn run(&self, httpd: &Httpd, path: &str, seconds: u32) -> Result<Outcome, String> {
        match *self {
            Self::Get { connections, headers, tls } => {
                let url = if tls { httpd.https(path) } else { httpd.http(path) };
                wrk(&url, connections, headers, seconds)
            }
            Self::Http2 { connections, streams } => {
                h2load(&httpd.http(path), connections, streams, seconds)
            }
            Self::Upload { bytes } => upload(httpd.addr(), path, bytes, seconds),
        }
    }
}

/// The headers that a long request has beside the usual ones.
pub(super) fn headers(count: usize) -> Vec<(String, String)> {
    (0..count).map(|index| (format!("X-Bench-{index}"), format!("value-{index}"))).collect()
}

/// Exact numbers instead of the rounded ones that wrk prints for people.
const DONE: &str = r#"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect, e.read, e.write, e.status, e.timeout, latency:percentile(50), latency:percentile(99)))
end
"#;

fn wrk(url: &str, connections: u32, count: usize, seconds: u32) -> Result<Outcome, String> {
    let dir = temp_dir("jk-wrk-");
    let script = dir.path().join("done.lua");
    let mut lua = DONE.to_owned();
    for (name, value) in headers(count) {
        lua += &format!("wrk.headers[\"{name}\"] = \"{value}\"\n");
    }
    std::fs::write(&script, lua).expect("the script");
    let text = output(
        Command::new("wrk")
            .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "20"])
            .arg("-s")
            .arg(&script)
            .arg(url),
    );
    let result = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let numbers: Vec<f64> =
        result.unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();
    let [requests, micros, connect, read, write, status, timeout, p50, p99] = numbers[..] else {
        return Err(format!("wrk said: {text}"));
    };
    if connect + read + write + status + timeout > 0.0 || requests == 0.0 {
        return Err(format!(
            "wrk counts {requests} requests and these errors: connect {connect}, read {read}, \
             write {write}, status {status}, timeout {timeout}"
        ));
    }
    Ok(Outcome { requests, elapsed: Duration::from_secs_f64(micros / 1e6), p50, p99 })
}

fn h2load(url: &str, connections: u32, streams: u32, seconds: u32) -> Result<Outcome, String> {
    let dir = temp_dir("jk-h2load-");
    let log = dir.path().join("log");
    let text = output(
        Command::new("h2load")
            .args(["-t1", &format!("-c{connections}"), &format!("-m{streams}")])
            .args([format!("-D{seconds}"), format!("--log-file={}", log.display())])
            .arg(url),
    );
    let line = text.lines().find(|line| line.starts_with("requests: ")).unwrap_or_default();
    let number = |what: &str| -> Option<f64> {
        let words: Vec<&str> = line.split([' ', ',']).collect();
        words.windows(2).find(|pair| pair[1] == what)?[0].parse().ok()
    };
    let bad = ["failed", "errored", "timeout"].map(number);
    if bad != [Some(0.0); 3] || !text.contains(" 0 3xx, 0 4xx, 0 5xx") {
        return Err(format!("h2load said: {text}"));
    }
    requests_of(&log, f64::from(seconds)).ok_or_else(|| format!("h2load said: {text}"))
}

/// h2load's log has a line per request: when it began, status, how long it took, in microseconds.
fn requests_of(log: &Path, seconds: f64) -> Option<Outcome> {
    let log = std::fs::read_to_string(log).ok()?;
    let times = log.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse().ok());
    outcome(times.collect(), Duration::from_secs_f64(seconds))
}

/// The outcome from the time of each request in microseconds; `None` without any.
fn outcome(mut times: Vec<f64>, elapsed: Duration) -> Option<Outcome> {
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1));
    (!times.is_empty()).then(|| Outcome {
        requests: times.len() as f64,
        elapsed,
        p50: *at(50).expect("not empty"),
        p99: *at(99).expect("not empty"),
    })
}

/// wrk would stop in the middle of a long upload, and its costs would count without it.
fn upload(addr: SocketAddr, path: &str, bytes: usize, seconds: u32) -> Result<Outcome, String> {
    let mut request = head("POST", path, &[("Content-Length", &bytes.to_string())]) + "\r\n";
    request.extend(std::iter::repeat_n('u', bytes));
    let mut client = Client::connect(addr);
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds.into()) {
        let began = Instant::now();
        client.send(request.as_bytes()).map_err(|error| format!("an upload: {error}"))?;
        let response = client.read_response("POST");
        if response.status() != 200 {
            return Err(format!("an upload was answered with {}", response.status()));
        }
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(outcome(times, start.elapsed()).expect("one at least"))
}
