//! From directives to a running configuration: check, start, child start.
//!
//! All of the configuration is checked in the check_config hook, which `httpd -t` runs as well;
//! every problem is reported with its place before httpd refuses to start.

use std::collections::HashMap;
use std::ffi::c_int;
use std::iter;
use std::path::PathBuf;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use super::ffi;
use super::guard::guard;
use super::log::{self, LogFile};
use super::module;
use super::pool::{self, Pool, int};
use super::server::{Child, RawConfig, Running, Runtime, ServerConfig, WorkerSet};
use super::shm::SharedMemory;
use crate::config::{
    Defaults, Place, Problem, Problems, Properties, Severity, Target, WorkerConfig, validate,
};
use crate::log::Level;
use crate::mapping::{Table, WorkerKind, WorkerNames, rules_of};
use crate::net;
use crate::worker::Worker;
use crate::worker::buffers::Buffers;

const OK: c_int = ffi::OK as c_int;
const REFUSE: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;

/// A virtual host's settings: its own, else the main server's. Mounts are never inherited
/// (spec/mod_jk.md 1.3).
pub(super) fn merge(base: &ServerConfig, own: &ServerConfig) -> ServerConfig {
    let (base, own) = (&base.raw, &own.raw);
    ServerConfig {
        raw: RawConfig {
            mounts: own.mounts.clone(),
            log_file: own.log_file.clone().or_else(|| base.log_file.clone()),
            log_level: own.log_level.clone().or_else(|| base.log_level.clone()),
            workers_file: None,
            worker_properties: Vec::new(),
            problems: own.problems.clone(),
        },
        runtime: OnceLock::new(),
    }
}

/// The servers of a configuration, main server first.
///
/// # Safety
/// `main` is null or the main server of a configuration that stays alive and unchanged for `'a`.
unsafe fn servers<'a>(main: *mut ffi::server_rec) -> impl Iterator<Item = &'a ffi::server_rec> {
    // SAFETY: the caller's promise.
    let first: Option<&'a ffi::server_rec> = unsafe { main.as_ref() };
    iter::successors(first, |server| {
        // SAFETY: httpd links its servers by this field; the last one has null.
        unsafe { server.next.as_ref() }
    })
}

/// Our record of a server.
fn config_of(server: &ffi::server_rec) -> Option<NonNull<ServerConfig>> {
    // SAFETY: a live server's vector, and what create_server_config puts there.
    unsafe { module::config(server.module_config) }
}

/// What a server runs with; `None` before the check.
pub(super) fn runtime(server: &ffi::server_rec) -> Option<&Runtime> {
    let config = config_of(server)?;
    // SAFETY: the record lives as long as the configuration, which the server belongs to, and
    // is no longer written to.
    unsafe { config.as_ref() }.runtime.get()
}

/// Gives every virtual host that has no directive of ours a record of its own: httpd lets it share
/// the main server's, whose mounts it must not inherit.
///
/// # Safety
/// As [`servers`], and no other reference to the records exists.
unsafe fn separate(pool: Pool<'_>, main: *mut ffi::server_rec) {
    // SAFETY: the caller's promise.
    let Some(main_config) = unsafe { main.as_ref() }.and_then(config_of) else {
        return;
    };
    // SAFETY: the caller's promise.
    for server in unsafe { servers(main) }.skip(1) {
        if config_of(server).is_some_and(|config| config != main_config) {
            continue;
        }
        // SAFETY: alive, and only read here.
        let merged = merge(unsafe { main_config.as_ref() }, &ServerConfig::default());
        let own = pool.park(merged);
        // SAFETY: the server's own vector, and a record that lives as long as it.
        unsafe { module::set_config(server.module_config, own) };
    }
}

/// Runs a hook of httpd's start; after a panic httpd does not start.
fn start_hook(body: impl FnOnce() -> c_int) -> c_int {
    guard(
        |message| {
            log::startup(None, Level::Emerg, &format!("mod_jk: internal error: {message}"));
            REFUSE
        },
        body,
    )
}

pub(super) unsafe extern "C" fn check_config(
    pconf: *mut ffi::apr_pool_t,
    _plog: *mut ffi::apr_pool_t,
    _ptemp: *mut ffi::apr_pool_t,
    main: *mut ffi::server_rec,
) -> c_int {
    start_hook(|| {
        // SAFETY: httpd passes the configuration pool.
        let pool = unsafe { Pool::new(pconf) };
        // SAFETY: httpd passes the main server; one thread runs the hooks of the check.
        unsafe { separate(pool, main) };
        // SAFETY: as above.
        let all: Vec<&ffi::server_rec> = unsafe { servers(main) }.collect();
        check(&all)
    })
}

fn check(servers: &[&ffi::server_rec]) -> c_int {
    let records: Vec<&ServerConfig> = servers
        .iter()
        .filter_map(|server| config_of(server))
        // SAFETY: alive as long as the configuration; from here on only read.
        .map(|config| unsafe { config.as_ref() })
        .collect();
    let Some(main) = records.first() else {
        return OK;
    };
    let mut problems = Problems::new();
    for problem in records.iter().flat_map(|record| record.raw.problems.iter()) {
        problems.push(problem.clone());
    }
    let workers = Arc::new(WorkerSet {
        configs: read_workers(
            &main.raw,
            servers.first().map_or(1, |main| threads(main)),
            &mut problems,
        ),
        memory: OnceLock::new(),
        child: OnceLock::new(),
    });
    let names = workers.configs.iter().map(|w| (w.name().as_bytes(), WorkerKind::Other));
    let names = WorkerNames::new(names);
    for record in &records {
        let rules = rules_of(&record.raw.mounts, &mut problems);
        let table = Table::new(rules, |name| names.position(name));
        table.check(&names, &mut problems);
        let runtime = Runtime {
            table,
            log_file: OnceLock::new(),
            log_level: record.raw.log_level.as_ref().map_or(Level::Info, |(level, _)| *level),
            workers: Arc::clone(&workers),
        };
        if record.runtime.set(runtime).is_err() {
            problems.error(
                &Place::new("mod_jk", 0),
                "",
                "the configuration was checked twice",
                "report this as a fault of mod_jk",
            );
        }
    }
    warn_of_useless_log_levels(&records, &mut problems);
    let server = servers.first().copied();
    for problem in in_order(&problems) {
        // The console shows no level: without the word nobody sees what keeps httpd from starting.
        let (level, kind) = match problem.severity {
            Severity::Error => (Level::Error, ""),
            Severity::Warning => (Level::Warn, "warning: "),
        };
        log::startup(server, level, &format!("mod_jk: {kind}{problem}"));
    }
    if problems.has_errors() { REFUSE } else { OK }
}

/// The problems as somebody works them off: file by file, line by line.
fn in_order(problems: &Problems) -> Vec<&Problem> {
    let mut ordered: Vec<&Problem> = problems.iter().collect();
    let file = |problem: &Problem| problems.iter().position(|any| any.source == problem.source);
    ordered.sort_by_key(|problem| (file(problem), problem.line));
    ordered
}

/// The workers of JkWorkerProperty lines and the workers file.
fn read_workers(raw: &RawConfig, pool_size: usize, problems: &mut Problems) -> Vec<WorkerConfig> {
    let environment = |name: &[u8]| environment_variable(name);
    let mut properties = Properties::new();
    for (line, place) in &raw.worker_properties {
        properties.read_line(line, place, &environment, problems);
    }
    properties.define(b"ServerRoot", &server_root(), &Place::new("mod_jk", 0));
    if let Some((name, path, place)) = &raw.workers_file {
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
    let workers = validate(&properties, &Defaults { pool_size }, problems).workers;
    warn_of_unresolved_hosts(&workers, &properties, problems);
    workers
}

/// A host without address may get one while httpd runs, so it does not keep httpd from starting.
/// Each is looked up once, however many workers have it: a resolver that is out of reach takes its
/// time.
fn warn_of_unresolved_hosts(workers: &[WorkerConfig], all: &Properties, problems: &mut Problems) {
    let mut looked_up: HashMap<&str, Result<(), String>> = HashMap::new();
    for worker in workers {
        let WorkerConfig::Ajp13(worker) = worker;
        let Target::Tcp { host, port } = &worker.target else {
            continue;
        };
        let result = looked_up
            .entry(host)
            .or_insert_with(|| net::resolve(host, *port).map(drop).map_err(|e| e.to_string()));
        let key = format!("worker.{}.host", worker.name);
        let (Err(e), Some(property)) = (result, all.find(key.as_bytes())) else {
            continue;
        };
        problems.warning(
            &property.place,
            key,
            format!("\"{host}\" cannot be resolved now ({e}): requests get 503 until it can"),
            "correct the name, or make it known to this host",
        );
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
fn threads(main: &ffi::server_rec) -> usize {
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

/// Warns of each JkLogLevel line that no server with a JkLogFile has or inherits.
fn warn_of_useless_log_levels(records: &[&ServerConfig], problems: &mut Problems) {
    let has_file = |place: &Place| {
        records.iter().any(|record| {
            record.raw.log_file.is_some()
                && record.raw.log_level.as_ref().is_some_and(|(_, own)| own == place)
        })
    };
    let mut warned: Vec<&Place> = Vec::new();
    for (level, place) in records.iter().filter_map(|record| record.raw.log_level.as_ref()) {
        if has_file(place) || warned.contains(&place) {
            continue;
        }
        warned.push(place);
        problems.warning(
            place,
            "JkLogLevel",
            "has no effect without JkLogFile, the lines go to httpd's ErrorLog",
            format!("use LogLevel jk:{}, or set JkLogFile", level.name()),
        );
    }
}

pub(super) unsafe extern "C" fn post_config(
    pconf: *mut ffi::apr_pool_t,
    _plog: *mut ffi::apr_pool_t,
    _ptemp: *mut ffi::apr_pool_t,
    main: *mut ffi::server_rec,
) -> c_int {
    start_hook(|| {
        // SAFETY: httpd passes the main server of the configuration that has been checked.
        let all: Vec<&ffi::server_rec> = unsafe { servers(main) }.collect();
        if !open_logs(&all) || !share_memory(&all) {
            return REFUSE;
        }
        let version = concat!("mod_jk/", env!("CARGO_PKG_VERSION"), "\0");
        // SAFETY: the configuration pool and a constant C string.
        unsafe { ffi::ap_add_version_component(pconf, version.as_ptr().cast()) };
        OK
    })
}

/// Maps what all processes see of the workers.
fn share_memory(servers: &[&ffi::server_rec]) -> bool {
    let main = servers.first().copied();
    let Some(workers) = main.and_then(runtime).map(|runtime| &runtime.workers) else {
        return true;
    };
    match SharedMemory::new(workers.configs.len()) {
        // post_config runs once for a configuration, so this is the first value.
        Ok(memory) => workers.memory.set(Arc::new(memory)).is_ok(),
        Err(e) => {
            let text = format!("mod_jk: no memory can be shared with the children: {e}");
            log::startup(main, Level::Emerg, &text);
            false
        }
    }
}

/// A configured worker in this child.
fn run(config: &WorkerConfig, memory: &Arc<SharedMemory>, position: usize) -> Running {
    match config {
        WorkerConfig::Ajp13(config) => {
            let memory = Arc::clone(memory);
            Running::Ajp13(Box::new(Worker::new((**config).clone(), memory, position)))
        }
    }
}

/// Opens each JkLogFile once, however many servers share it.
fn open_logs(servers: &[&ffi::server_rec]) -> bool {
    let mut open: Vec<(PathBuf, Arc<LogFile>)> = Vec::new();
    for server in servers {
        let Some(config) = config_of(server) else {
            continue;
        };
        // SAFETY: alive as long as the configuration; only read.
        let config = unsafe { config.as_ref() };
        let (Some(runtime), Some((path, place))) = (config.runtime.get(), &config.raw.log_file)
        else {
            continue;
        };
        let known = open.iter().find(|(known, _)| known == path).map(|(_, log)| Arc::clone(log));
        let log = match known.map_or_else(|| LogFile::open(path).map(Arc::new), Ok) {
            Ok(log) => log,
            Err(e) => {
                let text = format!(
                    "mod_jk: {place}: JkLogFile: {} cannot be opened ({e}); create its folder, \
                     or correct the path",
                    path.display()
                );
                log::startup(Some(server), Level::Error, &text);
                return false;
            }
        };
        open.push((path.clone(), Arc::clone(&log)));
        // post_config runs once for a configuration, so this is the first value.
        let _ = runtime.log_file.set(log);
    }
    true
}

pub(super) unsafe extern "C" fn child_init(
    _pchild: *mut ffi::apr_pool_t,
    main: *mut ffi::server_rec,
) {
    guard(
        // Without its workers the child answers 503 for our paths.
        |message| {
            log::startup(None, Level::Emerg, &format!("mod_jk: child not ready: {message}"));
        },
        || {
            // SAFETY: httpd passes the main server of the running configuration.
            let Some(main) = (unsafe { main.as_ref() }) else {
                return;
            };
            let Some(runtime) = runtime(main) else {
                return;
            };
            let Some(memory) = runtime.workers.memory.get() else {
                return;
            };
            let configs = runtime.workers.configs.iter().enumerate();
            let child = Child {
                workers: configs.map(|(at, config)| run(config, memory, at)).collect(),
                buffers: Buffers::new(threads(main)),
            };
            // child_init runs once in a process, so this is the first value.
            let _ = runtime.workers.child.set(child);
        },
    );
}
