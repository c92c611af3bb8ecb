//! From directives to a running configuration: check, start, child start.
//!
//! All of the configuration is checked in the check_config hook, which `httpd -t` runs as well;
//! every problem is reported with its place before httpd refuses to start.

use std::ffi::c_int;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::iter;
use std::process;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::check::{check, threads};
use super::ffi;
use super::guard::guard;
use super::log::{self, LogFile, LogTarget, Sink, Speaker};
use super::module;
use super::notices::{Notices, capacity};
use super::pool::Pool;
use super::retained::{self, Legacy};
use super::server::{Child, RawConfig, Running, Runtime, ServerConfig, WorkerSet, unix_time};
use super::shm::SharedMemory;
use super::upkeep::{Upkeep, layout};
use super::watchdog;
use crate::config::WorkerConfig;
use crate::jk_log;
use crate::log::Level;
use crate::shared::carry::{Carried, Generation, carry, has_same_records};
use crate::shared::{Memory as _, Positions, positions};
use crate::worker::buffers::Buffers;
use crate::worker::{Balancer, Live, Schedule, Worker};

const OK: c_int = ffi::OK as c_int;
const REFUSE: c_int = ffi::HTTP_INTERNAL_SERVER_ERROR as c_int;

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
pub(super) fn config_of(server: &ffi::server_rec) -> Option<NonNull<ServerConfig>> {
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
        let main_raw = &unsafe { main_config.as_ref() }.raw;
        let own = pool.park(ServerConfig::from(RawConfig::default().inherit(main_raw)));
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
        if check(&all) { OK } else { REFUSE }
    })
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
        // SAFETY: httpd passes the configuration pool.
        let pool = unsafe { Pool::new(pconf) };
        if !open_logs(&all, pool) || !share_memory(&all) {
            return REFUSE;
        }
        let version = concat!("mod_jk/", env!("CARGO_PKG_VERSION"), "\0");
        // SAFETY: the configuration pool and a constant C string.
        unsafe { ffi::ap_add_version_component(pconf, version.as_ptr().cast()) };
        log_start(&all);
        OK
    })
}

/// Gives the workers the memory that all processes see: after a graceful restart with what the
/// generation before has found out.
fn share_memory(servers: &[&ffi::server_rec]) -> bool {
    let Some(main) = servers.first().copied() else { return true };
    let Some(runtime) = runtime(main) else { return true };
    let workers = &runtime.workers;
    let legacy = match (retained::replace(Arc::clone(workers)), retained::is_graceful()) {
        (legacy, true) => legacy,
        (_, false) => Legacy::Nothing,
    };
    let before = match &legacy {
        Legacy::Known(before) => before.memory.get().map(|memory| (before, memory)),
        Legacy::Nothing | Legacy::Foreign => None,
    };
    let layout = layout(workers, threads(main));
    let same = before.filter(|(before, memory)| {
        memory.layout() == layout && has_same_records(&before.configs, &workers.configs)
    });
    let memory = match same {
        Some((_, memory)) => Arc::clone(memory),
        None => match SharedMemory::new(layout) {
            Ok(memory) => {
                let created = |(_, old): (_, &Arc<SharedMemory>)| {
                    old.common().created.load(Ordering::Relaxed)
                };
                let created = before.map_or_else(unix_time, created);
                let common = memory.common();
                common.created.store(created, Ordering::Relaxed);
                // Forms that somebody has open go on.
                let known = before.map(|(_, old)| &old.common().secret);
                for (at, number) in common.secret.iter().enumerate() {
                    let new = || RandomState::new().build_hasher().finish();
                    let known = known.and_then(|known| known.get(at));
                    let value = known.map_or_else(new, |known| known.load(Ordering::Relaxed));
                    number.store(value, Ordering::Relaxed);
                }
                Arc::new(memory)
            }
            Err(e) => {
                let text = format!("mod_jk: no memory can be shared with the children: {e}");
                log::startup(Some(main), Level::Emerg, &text);
                return false;
            }
        },
    };
    let sink = Sink { runtime, speaker: Speaker::Server(main, "POST_CONFIG") };
    if let Some((before, old)) = before {
        let old = Generation { workers: &before.configs, memory: &**old };
        let new = Generation { workers: &workers.configs, memory: &*memory };
        let carried = carry(old, new, process::id());
        jk_log!(
            sink,
            Level::Info,
            "states_kept: what was known of the engines before the graceful restart goes on; \
             {carried}"
        );
        log_overruled(sink, &carried);
    } else if let Legacy::Foreign = legacy {
        jk_log!(
            sink,
            Level::Info,
            "states_forgotten: another file of the module was loaded; states and counters begin anew"
        );
    }
    // post_config runs once for a configuration, so this is the first value.
    workers.memory.set(memory).is_ok()
}

/// Says which changes of an administrator hold no longer.
fn log_overruled(sink: Sink<'_>, carried: &Carried) {
    for (worker, overruled) in &carried.overruled {
        jk_log!(
            sink,
            Level::Warn,
            "({worker}) edit_overruled: a setting that was changed at run time has a new value in \
             the file, which counts from now on; {overruled}"
        );
    }
    for (worker, edit) in &carried.ended {
        jk_log!(
            sink,
            Level::Warn,
            "({worker}) edit_ended: a setting that was changed at run time was of an engine that has \
             another host or port now; the value of the file counts, make the change again if it is \
             still wanted; {edit}"
        );
    }
    for worker in &carried.not_kept {
        jk_log!(
            sink,
            Level::Error,
            "({worker}) edits_lost: the changes that were made at run time cannot be kept; make \
             them again, or in the file"
        );
    }
}

/// The configured workers in this child.
fn run(workers: &WorkerSet, memory: &Arc<SharedMemory>) -> Vec<Running> {
    let one = |(file, place): (&WorkerConfig, Positions)| {
        let memory = Arc::<SharedMemory>::clone(memory);
        let (of_live, at) = (Arc::<SharedMemory>::clone(&memory), place.first);
        match file {
            WorkerConfig::Ajp13(config) => {
                let names = workers.resolved.names(&config.target, &config.connect);
                let position = place.engines.first().copied().unwrap_or_default();
                let worker = Worker::new((**config).clone(), names, memory, position);
                Running::Ajp13(Box::new(Live::new(worker, file.clone(), of_live, at)))
            }
            WorkerConfig::Balancer(config) => {
                let (config, names) = ((**config).clone(), &workers.resolved);
                let balancer = Balancer::new(config, names, memory, place, workers.maintain);
                Running::Balancer(Box::new(Live::new(balancer, file.clone(), of_live, at)))
            }
            WorkerConfig::Status(_) => Running::Status,
        }
    };
    workers.configs.iter().zip(positions(&workers.configs).0).map(one).collect()
}

/// Says what runs now, and at debug with which settings.
fn log_start(servers: &[&ffi::server_rec]) {
    for (at, server) in servers.iter().enumerate() {
        let Some(runtime) = runtime(server) else {
            continue;
        };
        let sink = Sink { runtime, speaker: Speaker::Server(server, "POST_CONFIG") };
        if at == 0 {
            jk_log!(
                sink,
                Level::Info,
                "{} initialized",
                concat!("mod_jk/", env!("CARGO_PKG_VERSION"))
            );
            log_workers(sink, &runtime.workers.configs);
            capacity(&sink, &runtime.workers.configs);
        }
        let name = log::lossy(server.server_hostname);
        jk_log!(sink, Level::Debug, "JkOptions for server {name}:{}", runtime.options);
    }
}

/// The effective configuration of each worker: a line of its own, and one for each of its members,
/// for a line has a limit.
fn log_workers(sink: Sink<'_>, workers: &[WorkerConfig]) {
    for worker in workers {
        let (members, own): (Vec<_>, Vec<_>) =
            worker.describe().partition(|(key, _)| *key == "member");
        let text = |(key, value)| format!("{key}={value}");
        let own: Vec<String> = own.into_iter().map(text).collect();
        for facts in iter::once(own.join("; ")).chain(members.into_iter().map(text)) {
            jk_log!(sink, Level::Debug, "({}) config: {facts}", worker.name());
        }
    }
}

/// Opens each JkLogFile once, however many servers share it.
fn open_logs(servers: &[&ffi::server_rec], pool: Pool<'_>) -> bool {
    let mut open: Vec<(LogTarget, Arc<LogFile>)> = Vec::new();
    for server in servers {
        let Some(config) = config_of(server) else {
            continue;
        };
        // SAFETY: alive as long as the configuration; only read.
        let config = unsafe { config.as_ref() };
        let (Some(runtime), Some((target, place))) = (config.runtime.get(), &config.raw.log_file)
        else {
            continue;
        };
        let known = open.iter().find(|(known, _)| known == target).map(|(_, log)| Arc::clone(log));
        let open_now = || LogFile::open(target, pool).map(Arc::new);
        let log = match known.map_or_else(open_now, Ok) {
            Ok(log) => log,
            Err(e) => {
                let text = format!(
                    "mod_jk: {place}: JkLogFile: {target} cannot be opened ({e}); create its \
                     folder, or correct the path"
                );
                log::startup(Some(server), Level::Error, &text);
                return false;
            }
        };
        open.push((target.clone(), Arc::clone(&log)));
        // post_config runs once for a configuration, so this is the first value.
        let _ = runtime.log_file.set(log);
    }
    true
}

pub(super) unsafe extern "C" fn child_init(
    pchild: *mut ffi::apr_pool_t,
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
            let child = Child {
                workers: run(&runtime.workers, memory),
                buffers: Buffers::new(threads(main)),
                upkeep: Upkeep::new(&runtime.workers, Arc::clone(memory)),
                notices: Notices::default(),
                schedule: runtime.workers.maintain.map(|i| Schedule::new(Instant::now(), i)),
            };
            child.upkeep.begin();
            // child_init runs once in a process, so this is the first value.
            let _ = runtime.workers.child.set(child);
            // SAFETY: httpd passes the child's own pool.
            unsafe { Pool::new(pchild) }.park(AtEnd(Arc::clone(&runtime.workers)));
            // SAFETY: httpd passes the child's own pool.
            watchdog::start(main, runtime, unsafe { Pool::new(pchild) });
        },
    );
}

/// Counts the connections of this process out when it ends.
struct AtEnd(Arc<WorkerSet>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(child) = self.0.child.get() {
            child.end();
        }
    }
}
