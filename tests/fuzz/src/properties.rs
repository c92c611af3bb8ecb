//! workers.properties: whatever is in it, it is read within bounds, nothing that is said shows a
//! secret, and what comes of it is what workers can have.

use mod_jk::config::edit::{self, Edit, Key, Scope, Stored};
use mod_jk::config::keys::WorkerKey;
use mod_jk::config::text::printable;
use mod_jk::config::{
    Ajp13Config, Defaults, PacketSize, Place, Problems, Properties, Severity, Target, WorkerConfig,
    Workers, validate,
};

use super::memory;

const SECRET: &str = "Xq7-only-the-two-know-this";

/// A file; behind a zero byte, lines for JkWorkerProperty.
pub fn properties(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let lines = parts.next().unwrap_or_default();
    let limit = 200_000 + data.len() * 4000;
    let (mut read, mut problems) = memory::at_most(limit, || read(text, lines));
    reads_back(&read, Properties::new());
    let defaults = Defaults { pool_size: usize::from(data.first().copied().unwrap_or(0)) };
    let workers = memory::at_most(limit, || validate(&mut read, &defaults, &mut problems));
    let count = text.iter().chain(lines).filter(|byte| **byte == b'\n').count();
    said_well(&problems, count + 3);
    checked(&workers, problems.has_errors());
    if !problems.has_errors() {
        workers.workers.iter().for_each(changed);
    }
    let shown = format!("{read:?} {workers:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    let dump: Vec<_> = read.without_secrets().collect();
    assert!(!dump.iter().any(|property| property.value == SECRET.as_bytes()));
    let count = problems.iter().count();
    problems.escalate();
    assert!(problems.iter().count() >= count);
    assert!(!problems.iter().any(|problem| problem.severity == Severity::Warning));
}

/// Reads the file, then the lines, and in between a secret of some worker.
fn read(text: &[u8], lines: &[u8]) -> (Properties, Problems) {
    let (mut read, mut problems) = (Properties::new(), Problems::new());
    read.define(b"ServerRoot", b"/etc/httpd", &Place::new("ServerRoot", 0));
    let environment = |name: &[u8]| (name == b"HOME").then(|| b"/home/ivy".to_vec());
    read.read_text(text, "w", &environment, &mut problems);
    let worker = read.iter().find_map(|p| WorkerKey::parse(&p.key).map(|key| key.worker.to_vec()));
    let key = [b"worker.", &worker.unwrap_or(b"a".to_vec())[..], b".secret="].concat();
    let name = "Place of a secret";
    read.read_line(
        &[&key, SECRET.as_bytes()].concat(),
        &Place::new(name, 1),
        &environment,
        &mut problems,
    );
    let joined =
        read.iter().any(|p| p.value != SECRET.as_bytes() && p.place.source.as_ref() == name);
    assert!(!joined, "a secret is not joined with another value");
    for (line, number) in lines.split(|byte| *byte == b'\n').zip(1..) {
        // What an administrator writes into a visible setting is there to be seen.
        if !line.windows(2).any(|pair| pair == b"$(") {
            read.read_line(line, &Place::new("c", number), &environment, &mut problems);
        }
    }
    (read, problems)
}

/// What is wrong is said in one line each, with a place that there is, and never with the secret.
pub(super) fn said_well(problems: &Problems, lines: usize) {
    for problem in problems {
        let text = problem.to_string();
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(usize::try_from(problem.line).unwrap() <= lines, "{text} of {lines}");
        assert!(!problem.what.is_empty() && !problem.source.is_empty());
        assert!(text.len() < 100_000, "{} bytes", text.len());
    }
    assert_eq!(problems.is_empty(), problems.iter().next().is_none());
    let is_error = |problem: &mod_jk::config::Problem| problem.severity == Severity::Error;
    assert_eq!(problems.has_errors(), problems.iter().any(is_error));
}

/// Written out and read again, properties are the same.
pub(super) fn reads_back(read: &Properties, mut again: Properties) {
    let is_plain = |text: &[u8]| {
        text.trim_ascii() == text
            && !text.windows(2).any(|pair| pair == b"$(")
            && !text.iter().any(|byte| matches!(byte, b'#' | b'\n' | 0))
    };
    let mut text = Vec::new();
    let mut expected = Vec::new();
    for property in read.iter() {
        assert!(!property.key.is_empty() && !property.value.is_empty());
        assert_eq!(read.find(&property.key), Some(property));
        assert_eq!(read.value(&property.key), Some(&property.value[..]));
        let (key, value) = (&property.key, &property.value);
        let length = key.len() + value.len();
        if is_plain(key) && is_plain(value) && length < 8000 && !key.starts_with(b"\xef\xbb\xbf") {
            text.extend([key, &b"="[..], value, b"\n"].concat());
            expected.push((key, value));
        }
    }
    again.read_text(&text, "again", &|_| None, &mut Problems::new());
    let found: Vec<_> = again.iter().map(|property| (&property.key, &property.value)).collect();
    assert_eq!(found, expected);
}

fn checked(workers: &Workers, has_errors: bool) {
    for (at, worker) in workers.workers.iter().enumerate() {
        let name = worker.name().as_bytes();
        assert_eq!(workers.find(name).map(|(at, _)| at), Some(at), "names are different");
        assert!(worker.describe().all(|(key, value)| !key.is_empty() && !value.contains(SECRET)));
        match worker {
            WorkerConfig::Ajp13(config) => engine(config),
            WorkerConfig::Balancer(config) => {
                assert!(!config.members.is_empty() || has_errors);
                assert!(config.recover_time.as_secs() >= 1);
                for member in &config.members {
                    engine(&member.worker);
                    assert!(member.lbfactor >= 1);
                    let is_same = |other: &&mod_jk::config::Member| other.route == member.route;
                    let same = config.members.iter().filter(is_same).count();
                    assert!(same == 1 || has_errors || member.route.is_empty(), "routes");
                }
            }
            WorkerConfig::Status(_) => {}
        }
    }
    for mount in &workers.mounts {
        assert!(workers.find(mount.worker.as_bytes()).is_some() && !mount.pattern.is_empty());
    }
    assert!(workers.maintain.is_none_or(|time| !time.is_zero()));
}

fn engine(config: &Ajp13Config) {
    let size = config.packet_size.bytes();
    assert!(
        (PacketSize::MIN.bytes()..=PacketSize::MAX.bytes()).contains(&size)
            && size.is_multiple_of(1024)
    );
    assert!(config.retries >= 1);
    assert!(config.pool_min_size <= config.pool_size);
    let times = [
        config.pool_idle_timeout,
        config.socket_timeout,
        config.connect_ping,
        config.prepost_ping,
        config.ping_interval,
        config.idle_ping,
        config.reply_timeout,
        config.health_check,
    ];
    assert!(times.into_iter().flatten().all(|time| !time.is_zero()));
    assert!(config.busy_limit != Some(0) && config.max_inflight != Some(0));
    if let Target::Tcp { host, port } = &config.target {
        assert!(!host.is_empty() && *port > 0);
    }
    assert!(!config.target.to_string().is_empty());
}

/// Any setting of the worker as it is can be kept as an administrator's change of it.
fn changed(worker: &WorkerConfig) {
    let members = match worker {
        WorkerConfig::Balancer(balancer) => balancer.members.len(),
        _ => 0,
    };
    let mut edits = Vec::new();
    for member in std::iter::once(None).chain((0..members.min(3)).map(Some)) {
        for key in Key::ALL.iter().copied() {
            let Some(value) = edit::value(worker, member, key) else { continue };
            assert!(!printable(key.name().as_bytes()).is_empty());
            assert!(member.is_none() || key.scope() != Scope::Balancer);
            edits.push(Edit { member, key, value });
        }
    }
    let merged = edit::merge(worker, Vec::new(), &edits).expect("nothing is new");
    assert!(merged.stored.is_empty() && merged.changes.is_empty() && merged.config == *worker);
    let stored: Vec<Stored> = edits
        .into_iter()
        .map(|Edit { member, key, value }| Stored { member, key, file: value.clone(), value })
        .collect();
    let bytes = edit::encode(&stored);
    assert_eq!(edit::encode(&edit::decode(&bytes)), bytes);
}
