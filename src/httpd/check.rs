//! The check of a whole configuration: from directives and files to what the servers run with.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ffi::c_int;
use std::path::Path;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::conftree;
use super::ffi;
use super::ivy::{Ivy, warn_of_readable};
use super::lifecycle::config_of;
use super::log;
use super::options::JkOption;
use super::pool::{self, int};
use super::server::{Inherited, RawConfig, Runtime, ServerConfig, WorkerSet};
use crate::config::{
    Ajp13Config, Defaults, Place, Problem, Problems, Properties, Severity, Target, WorkerConfig,
    WorkerMount, Workers, validate, warn_of_missing_secrets,
};
use crate::log::Level;
use crate::mapping::{LiveTable, MapFile, Rule, TableSources, rules_of};
use crate::net::NameCache;

/// JkMountFileReload where it is not set (spec/mod_jk.md 1.1).
const RELOAD: Duration = Duration::from_secs(60);

/// Checks the configuration of all servers, the main one first, and gives each what it runs with.
/// Reports every problem; `false` where httpd must not start.
pub(super) fn check(servers: &[&ffi::server_rec]) -> bool {
    let records: Vec<&ServerConfig> = servers
        .iter()
        .filter_map(|server| config_of(server))
        // SAFETY: alive as long as the configuration; from here on only read.
        .map(|config| unsafe { config.as_ref() })
        .collect();
    let (Some(main), Some(main_server)) = (records.first(), servers.first()) else {
        return true;
    };
    let mut problems = Problems::new();
    for problem in records.iter().flat_map(|record| record.raw.problems.iter()) {
        problems.push(problem.clone());
    }
    let ivy = Ivy::read(&records, &mut problems);
    let (Workers { workers, mounts, maintain }, properties, resolved) =
        read_workers(&main.raw, &ivy, threads(main_server), &mut problems);
    let watchdog = match &main.raw.global.watchdog {
        Some((interval, _)) => Some(*interval).filter(|interval| !interval.is_zero()),
        None => maintain,
    };
    let pairs = servers.iter().copied().zip(records.iter().map(|record| &record.raw));
    ivy.check(&pairs.collect::<Vec<_>>(), &workers, &mut problems);
    let headers = ivy.user_headers(&workers, &resolved);
    let workers =
        Arc::new(WorkerSet::new(workers, properties, resolved, maintain, watchdog, headers));
    let definition = |mount: &WorkerMount, problems: &mut Problems| {
        Rule::definition(&mount.pattern, mount.worker.as_bytes(), &mount.place, problems)
    };
    let mut definitions: Vec<Rule> =
        mounts.iter().filter_map(|mount| definition(mount, &mut problems)).collect();
    definitions.extend(ivy.mounts(&main.raw, &mut problems));
    let main_maps = build_maps(&main.raw, definitions, &workers, &mut problems);
    let reader = conftree::reader_of_environment();
    if let Some(reader) = &reader {
        let text = format!(
            "mod_jk: cgi_variables: requests get the variables of CGI programs, which may be read; \
             reader={reader}"
        );
        log::startup(Some(main_server), Level::Debug, &text);
    }
    let mut all_maps = Vec::new();
    for ((at, record), server) in records.iter().enumerate().zip(servers) {
        let maps = match at {
            0 => Arc::clone(&main_maps),
            _ if record.raw.inherited == Inherited::Table => Arc::clone(&main_maps),
            _ => {
                let mounts = ivy.mounts(&record.raw, &mut problems);
                build_maps(&record.raw, mounts, &workers, &mut problems)
            }
        };
        all_maps.push((server_text(server), Arc::clone(&maps)));
        let rules = ivy.rules(&record.raw);
        let runtime =
            Runtime::new(&record.raw, maps, Arc::clone(&workers), rules, reader.is_some());
        if record.runtime.set(runtime).is_err() {
            problems.error(
                &Place::new("mod_jk", 0),
                "",
                "the configuration was checked twice",
                "report this as a fault of mod_jk",
            );
        }
    }
    // The check runs once for a configuration, so this is the first value.
    let _ = workers.maps.set(all_maps);
    warn_of_dropped_user_headers(&records, &mut problems);
    warn_of_lost_mounts(&records, &mut problems);
    warn_of_shared_tables(&records, &mut problems);
    warn_of_useless_log_lines(&records, &mut problems);
    if main.raw.global.strict {
        problems.escalate();
    }
    report(main_server, &problems);
    !problems.has_errors()
}

/// How status pages name a server: `host:port`, or `host [address:port]` for a virtual host.
fn server_text(server: &ffi::server_rec) -> String {
    let host = log::lossy(server.server_hostname);
    if server.is_virtual == 0 {
        return if server.port > 0 { format!("{host}:{}", server.port) } else { host };
    }
    // SAFETY: null or the first address of a live server.
    let Some(address) = (unsafe { server.addrs.as_ref() }) else { return host };
    let port = Some(address.host_port).filter(|port| *port > 0);
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    format!("{host} [{}{port}]", log::lossy(address.virthost))
}

fn report(main: &ffi::server_rec, problems: &Problems) {
    for problem in in_order(problems) {
        // The console shows no level: without the word nobody sees what keeps httpd from starting.
        let (level, kind) = match problem.severity {
            Severity::Error => (Level::Error, ""),
            Severity::Warning => (Level::Warn, "warning: "),
            Severity::Note => (Level::Info, "note: "),
        };
        log::startup(Some(main), level, &format!("mod_jk: {kind}{problem}"));
    }
}

/// The problems as somebody works them off: file by file, line by line.
fn in_order(problems: &Problems) -> Vec<&Problem> {
    let mut files: HashMap<&str, usize> = HashMap::new();
    for (at, problem) in problems.iter().enumerate() {
        files.entry(&problem.source).or_insert(at);
    }
    let mut ordered: Vec<&Problem> = problems.iter().collect();
    ordered.sort_by_key(|problem| (files.get(&*problem.source), problem.line));
    ordered
}

/// The workers of JkWorkerProperty lines and the workers file, and what their names are resolved to.
fn read_workers(
    raw: &RawConfig,
    ivy: &Ivy,
    pool_size: usize,
    problems: &mut Problems,
) -> (Workers, Properties, NameCache) {
    let environment = |name: &[u8]| environment_variable(name);
    let mut properties = Properties::new();
    for (line, place) in &raw.global.worker_properties {
        properties.read_line(line, place, &environment, problems);
    }
    properties.define(b"ServerRoot", &server_root(), &Place::new("mod_jk", 0));
    if let Some((name, path, place)) = &raw.global.workers_file {
        match std::fs::read(path) {
            Ok(text) => properties.read_text(&text, name, &environment, problems),
            Err(e) => problems.error(
                place,
                "JkWorkersFile",
                format!("Error in reading worker properties from '{}': {e}", path.display()),
                "make the file readable for the user that starts httpd",
            ),
        }
    }
    warn_of_readable_secrets(raw, &properties, problems);
    ivy.add_workers(&mut properties, problems);
    let workers = validate(&mut properties, &Defaults { pool_size }, problems);
    let is_engine = |name: &_| ivy.is_engine(name);
    warn_of_missing_secrets(&workers.workers, &properties, is_engine, problems);
    let resolved = resolve_names(&workers.workers, &properties, problems);
    (workers, properties, resolved)
}

/// Warns of files with secrets that every user of the host can read.
fn warn_of_readable_secrets(raw: &RawConfig, properties: &Properties, problems: &mut Problems) {
    let is_secret = |key: &[u8]| key.ends_with(b".secret") || key.ends_with(b".secretkey");
    let mut seen: HashSet<&str> = HashSet::new();
    for property in properties.iter().filter(|property| is_secret(&property.key)) {
        let source = &*property.place.source;
        if !seen.insert(source) {
            continue;
        }
        let file = raw.global.workers_file.as_ref().filter(|(name, _, _)| name == source);
        let path = file.map_or(Path::new(source), |(_, path, _)| path.as_path());
        warn_of_readable(path, &property.place, problems);
    }
}

/// Resolves the names of all workers. Each is looked up once, however many workers have it: a
/// resolver that is out of reach takes its time. A host without address may get one while httpd
/// runs, so it does not keep httpd from starting; of a source the first request tells.
fn resolve_names(workers: &[WorkerConfig], all: &Properties, problems: &mut Problems) -> NameCache {
    let mut resolved = NameCache::default();
    let mut seen = HashSet::new();
    for (worker, is_member) in workers.iter().flat_map(engines) {
        let Target::Tcp { host, port } = &worker.target else {
            continue;
        };
        // A member whose port is 0 is stopped.
        if *port == 0 || !seen.insert(&worker.name) {
            continue;
        }
        if let Some(source) = &worker.connect.source {
            let _ = resolved.look_up(source);
        }
        let key = format!("worker.{}.host", worker.name);
        let (Err(e), Some(property)) = (resolved.look_up(host), all.find(key.as_bytes())) else {
            continue;
        };
        let effect = match is_member {
            true => "its balancer does without this member until it can",
            false => "requests get 503 until it can",
        };
        problems.warning(
            &property.place,
            key,
            format!("\"{host}\" cannot be resolved now ({e}): {effect}"),
            "correct the name, or make it known to this host",
        );
    }
    resolved
}

/// The engines behind a worker, each with whether it is a balancer's member.
fn engines(worker: &WorkerConfig) -> Vec<(&Ajp13Config, bool)> {
    match worker {
        WorkerConfig::Ajp13(config) => vec![(config, false)],
        WorkerConfig::Balancer(balancer) => {
            balancer.members.iter().map(|member| (&member.worker, true)).collect()
        }
        WorkerConfig::Status(_) => Vec::new(),
    }
}

#[cfg(unix)]
fn environment_variable(name: &[u8]) -> Option<Vec<u8>> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    std::env::var_os(std::ffi::OsStr::from_bytes(name)).map(OsStringExt::into_vec)
}

#[cfg(not(unix))]
fn environment_variable(name: &[u8]) -> Option<Vec<u8>> {
    std::env::var(std::str::from_utf8(name).ok()?).ok().map(String::into_bytes)
}

fn server_root() -> Vec<u8> {
    // SAFETY: httpd sets the variable before it reads any configuration, in this same thread.
    let root = unsafe { ffi::ap_server_root };
    // SAFETY: null or a C string that httpd keeps for good.
    unsafe { pool::text(root) }.unwrap_or_default().to_vec()
}

/// Threads of one process that serve requests: the MPM's, and those of mod_http2, which serves its
/// streams in threads of its own.
pub(super) fn threads(main: &ffi::server_rec) -> usize {
    let mut threads: c_int = 1;
    // SAFETY: writes one int into a variable of ours.
    unsafe { ffi::ap_mpm_query(int(ffi::AP_MPMQ_MAX_THREADS), &raw mut threads) };
    if threads > 1 {
        let server = ptr::from_ref(main).cast_mut();
        // SAFETY: a live server; mod_http2 only reads its settings.
        let more = unsafe { ffi::jk_shim_http2_threads(server) };
        threads = threads.saturating_add(more.max(0));
    }
    usize::try_from(threads).unwrap_or(1).max(1)
}

/// The table of a server. `definitions`: rules of the property `mount` of workers, and of engines.
fn build_maps(
    raw: &RawConfig,
    definitions: Vec<Rule>,
    workers: &WorkerSet,
    problems: &mut Problems,
) -> Arc<LiveTable> {
    let mut rules = definitions;
    rules.extend(rules_of(&raw.mounts, problems));
    let reload = raw.mount_file_reload.as_ref().map_or(RELOAD, |(interval, _)| *interval);
    let file = raw.mount_file.as_ref().map(|(path, _)| MapFile {
        path: path.clone(),
        name: path.display().to_string(),
        reload: Some(reload).filter(|interval| !interval.is_zero()),
    });
    let sources = TableSources {
        rules,
        file,
        rejects_unsafe: raw.options.effective().has(JkOption::RejectUnsafeURI),
        workers: Arc::clone(&workers.names),
        environment: environment_variable,
    };
    Arc::new(LiveTable::new(sources, Instant::now(), problems))
}

/// Warns of mounts in the main server that requests never reach, because every virtual host has a
/// table of its own or none.
fn warn_of_lost_mounts(records: &[&ServerConfig], problems: &mut Problems) {
    let [main, hosts @ ..] = records else {
        return;
    };
    let lost = main.raw.mounts.first().map(|mount| &mount.place);
    let lost = lost.or(main.raw.mount_file.as_ref().map(|(_, place)| place));
    let (Some(place), false) = (lost, hosts.is_empty()) else {
        return;
    };
    let inherits = |host: &&ServerConfig| host.raw.inherited != Inherited::Nothing;
    if hosts.iter().any(inherits) {
        return;
    }
    problems.warning(
        place,
        "JkMount",
        "no virtual host inherits the main server's mounts: requests that belong to a virtual host \
         do not get to the engine by them",
        "write JkMountCopy All in the main server, or move the mounts into the virtual host",
    );
}

/// Warns of a JkUserHeader that JkOptions take out again.
fn warn_of_dropped_user_headers(records: &[&ServerConfig], problems: &mut Problems) {
    for record in records {
        let drops = record.raw.options.effective().has(JkOption::DropUnderscoreHeaders);
        if let (Some((name, place)), true) = (&record.raw.user_header, drops)
            && name.contains(&b'_')
        {
            let what = format!(
                "JkOptions +DropUnderscoreHeaders drops {}: the engine does not get the user in it",
                name.escape_ascii()
            );
            problems.warning(place, "JkUserHeader", what, "use - in place of _");
        }
    }
}

/// Warns of virtual hosts that share the main server's table, and with it whether unsafe paths are
/// rejected (spec/mod_jk.md 1.3), but say something else themselves.
fn warn_of_shared_tables(records: &[&ServerConfig], problems: &mut Problems) {
    let rejects =
        |record: &ServerConfig| record.raw.options.effective().has(JkOption::RejectUnsafeURI);
    let [main, hosts @ ..] = records else {
        return;
    };
    for host in hosts.iter().filter(|host| host.raw.inherited == Inherited::Table) {
        if let Some(place) = &host.raw.options_place
            && rejects(host) != rejects(main)
        {
            problems.warning(
                place,
                "JkOptions",
                "RejectUnsafeURI has no effect here: the virtual host has the main server's rules, \
                 and the main server's option with them",
                "set the option in the main server, or mount something in the virtual host",
            );
        }
    }
}

/// Warns of each JkLogLevel and JkLogStampFormat line that no server with a JkLogFile has or
/// inherits.
fn warn_of_useless_log_lines(records: &[&ServerConfig], problems: &mut Problems) {
    let lines_of = |record: &&ServerConfig| {
        let level = record.raw.log_level.as_ref().map(|(level, place)| {
            let remedy = format!("use LogLevel jk:{}, or set JkLogFile", level.name());
            ("JkLogLevel", remedy, place.clone())
        });
        let stamp = record.raw.stamp.as_ref().map(|(_, place)| {
            ("JkLogStampFormat", "set JkLogFile, or remove the line".to_owned(), place.clone())
        });
        level.into_iter().chain(stamp)
    };
    let mut known: Vec<Place> = Vec::new();
    for (_, _, place) in records.iter().filter(|r| r.raw.log_file.is_some()).flat_map(lines_of) {
        known.push(place);
    }
    for (directive, remedy, place) in records.iter().flat_map(lines_of) {
        if known.contains(&place) {
            continue;
        }
        problems.warning(
            &place,
            directive,
            "has no effect without JkLogFile, the lines go to httpd's ErrorLog",
            remedy,
        );
        known.push(place);
    }
}
