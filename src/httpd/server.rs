//! What a server (main or virtual host) is configured with, and what it runs with.

use std::array;
use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::environment::{EnvVar, Plan, Renamed};
use super::ivy::IvyRules;
use super::log::{LogFile, LogTarget};
use super::notices::Notices;
use super::options::{Options, Set};
use super::request_log::RequestLog;
use super::shm::SharedMemory;
use super::stamp::Stamp;
use super::upkeep::Upkeep;
use crate::config::ivy::EngineLine;
use crate::config::{Place, Problems, Properties, WorkerConfig};
use crate::log::{Level, Log};
use crate::mapping::{LiveTable, Mount, WorkerKind, WorkerNames, copy_mounts};
use crate::net::NameCache;
use crate::worker::buffers::Buffers;
use crate::worker::{Balancer, Engine, Live, Schedule, Worker};

/// The module's record of one server. Lives in the configuration pool: it ends with the
/// configuration generation.
#[derive(Debug)]
pub(super) struct ServerConfig {
    /// What the directives say.
    pub raw: RawConfig,
    /// What it means; set once the whole configuration has been checked.
    pub runtime: OnceLock<Runtime>,
}

impl From<RawConfig> for ServerConfig {
    fn from(raw: RawConfig) -> Self {
        Self { raw, runtime: OnceLock::new() }
    }
}

/// A value with the line that sets it.
pub(super) type Setting<T> = Option<(T, Place)>;

/// The directives of one server, checked one by one. By default those of a virtual host without any.
#[derive(Debug, Clone, Default)]
pub(super) struct RawConfig {
    /// JkMount and JkUnMount, in their order.
    pub mounts: Vec<Mount>,
    /// JkMountFile, resolved.
    pub mount_file: Setting<PathBuf>,
    /// JkMountFileReload; zero is never.
    pub mount_file_reload: Setting<Duration>,
    /// JkMountCopy On or Off.
    pub mount_copy: Setting<bool>,
    /// What this virtual host has of the main server's mounts.
    pub inherited: Inherited,
    /// JkAutoAlias.
    pub auto_alias: Setting<PathBuf>,
    /// JkStripSession: the parameter to take out, or nothing.
    pub strip_session: Setting<Option<Vec<u8>>>,
    /// JkLogFile.
    pub log_file: Setting<LogTarget>,
    /// JkLogLevel.
    pub log_level: Setting<Level>,
    /// JkLogStampFormat.
    pub stamp: Setting<Stamp>,
    /// JkRequestLogFormat; `None` inside: none, as its format is wrong.
    pub request_log: Setting<Option<RequestLog>>,
    /// The *Indicator directives.
    pub variables: Renamed,
    /// JkExtractSSL.
    pub extract_tls: Option<bool>,
    /// JkOptions.
    pub options: Options,
    /// The last JkOptions line of this server.
    pub options_place: Option<Place>,
    /// JkEnvVar, each name once.
    pub env_vars: Vec<EnvVar>,
    /// JkIvyEngine.
    pub ivy: Engines,
    /// JkUserHeader.
    pub user_header: Setting<Vec<u8>>,
    /// What only the main server has.
    pub global: Global,
    /// What was wrong already while the directives were read.
    pub problems: Problems,
}

/// The JkIvyEngine lines of a server.
#[derive(Debug, Clone, Default)]
pub(super) struct Engines {
    /// In their order.
    pub engines: Vec<EngineLine>,
    /// JkIvyEngine Off.
    pub off: Option<Place>,
}

impl Engines {
    /// A virtual host's own, else the main server's.
    fn inherit(self, main: &Self) -> Self {
        match self.is_silent() {
            true => Self { engines: main.engines.clone(), off: None },
            false => self,
        }
    }

    fn is_silent(&self) -> bool {
        self.engines.is_empty() && self.off.is_none()
    }
}

/// What a virtual host has of the main server's mounts (spec/mod_jk.md 1.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Inherited {
    /// Nothing.
    #[default]
    Nothing,
    /// Its rules, beside the host's own.
    Copy,
    /// Its table, as the host has no rules of its own.
    Table,
}

/// Directives for all servers; main server only.
#[derive(Debug, Clone, Default)]
pub(super) struct Global {
    /// JkWorkersFile: name as written and resolved.
    pub workers_file: Option<(String, PathBuf, Place)>,
    /// JkWorkerProperty lines.
    pub worker_properties: Vec<(Vec<u8>, Place)>,
    /// JkWatchdogInterval; zero is off.
    pub watchdog: Setting<Duration>,
    /// JkMountCopy All.
    pub mount_copy_all: bool,
    /// JkStrict On.
    pub strict: bool,
}

impl RawConfig {
    /// A main server without a directive.
    pub(super) fn main() -> Self {
        Self { options: Options::MAIN, ..Self::default() }
    }

    /// Adds a JkEnvVar. Where its name is known in another spelling, that one stays, as in the table
    /// of C mod_jk; tells whether it is.
    pub(super) fn env_var(&mut self, var: EnvVar) -> bool {
        let is_same =
            |known: &&mut EnvVar| known.name.to_bytes().eq_ignore_ascii_case(var.name.to_bytes());
        match self.env_vars.iter_mut().find(is_same) {
            Some(known) => {
                known.default = var.default;
                true
            }
            None => {
                self.env_vars.push(var);
                false
            }
        }
    }

    /// Whether the server has mapping rules of its own.
    fn has_mounts(&self) -> bool {
        !self.mounts.is_empty() || self.mount_file.is_some() || !self.ivy.is_silent()
    }

    /// This virtual host's settings: its own, else the main server's. Mounts are inherited only
    /// with JkMountCopy (spec/mod_jk.md 1.3).
    pub(super) fn inherit(&self, main: &Self) -> Self {
        let own = self.clone();
        let or = |own: &Option<CString>, main: &Option<CString>| own.clone().or(main.clone());
        let mut merged = Self {
            mounts: own.mounts,
            mount_file: own.mount_file,
            mount_file_reload: own.mount_file_reload.or(main.mount_file_reload.clone()),
            mount_copy: own.mount_copy,
            inherited: Inherited::Nothing,
            auto_alias: own.auto_alias,
            strip_session: own.strip_session.or(main.strip_session.clone()),
            log_file: own.log_file.or(main.log_file.clone()),
            log_level: own.log_level.or(main.log_level.clone()),
            stamp: own.stamp.or(main.stamp.clone()),
            request_log: own.request_log.or(main.request_log.clone()),
            variables: array::from_fn(|at| {
                let of = |variables: &Renamed| variables.get(at).cloned().flatten();
                or(&of(&own.variables), &of(&main.variables))
            }),
            extract_tls: own.extract_tls.or(main.extract_tls),
            options: own.options.inherit(main.options),
            options_place: own.options_place,
            env_vars: own.env_vars,
            ivy: own.ivy.inherit(&main.ivy),
            user_header: own.user_header.or(main.user_header.clone()),
            global: Global::default(),
            problems: own.problems,
        };
        for var in &main.env_vars {
            let is_same =
                |own: &EnvVar| own.name.to_bytes().eq_ignore_ascii_case(var.name.to_bytes());
            if !self.env_vars.iter().any(is_same) {
                merged.env_vars.push(var.clone());
            }
        }
        let copies = self.mount_copy.as_ref().map_or(main.global.mount_copy_all, |(on, _)| *on);
        if copies {
            merged.auto_alias = merged.auto_alias.or(main.auto_alias.clone());
            if self.has_mounts() {
                merged.inherited = Inherited::Copy;
                merged.mounts = copy_mounts(&self.mounts, &main.mounts);
                merged.mount_file = merged.mount_file.or(main.mount_file.clone());
            } else {
                merged.inherited = Inherited::Table;
            }
        }
        merged
    }
}

/// What a server runs with.
#[derive(Debug)]
pub(super) struct Runtime {
    /// Its mapping rules.
    pub maps: Arc<LiveTable>,
    /// JkLogFile, opened at start; without one the lines go to httpd's error log.
    pub log_file: OnceLock<Arc<LogFile>>,
    /// JkLogLevel.
    pub log_level: Level,
    /// JkLogStampFormat.
    pub stamp: Stamp,
    /// JkRequestLogFormat.
    pub request_log: Option<RequestLog>,
    /// JkOptions.
    pub options: Set,
    /// Which variables of a request's environment are read.
    pub environment: Plan,
    /// JkStripSession.
    pub strip_session: Option<Vec<u8>>,
    /// JkAutoAlias.
    pub auto_alias: Option<PathBuf>,
    /// JkIvyEngine.
    pub ivy: IvyRules,
    /// JkUserHeader.
    pub user_header: Option<Vec<u8>>,
    /// The workers, common to all servers.
    pub workers: Arc<WorkerSet>,
}

/// All workers of a configuration generation.
#[derive(Debug)]
pub(super) struct WorkerSet {
    /// As configured, in the order of worker.list.
    pub configs: Vec<WorkerConfig>,
    /// Their names, for mapping rules.
    pub names: Arc<WorkerNames>,
    /// What the files say about them.
    pub properties: Properties,
    /// The mapping rules of all servers, the main one first, each under the server's name on status
    /// pages; set once all have been checked.
    pub maps: OnceLock<Vec<(String, Arc<LiveTable>)>>,
    /// What the check of the configuration knows of their hosts and sources.
    pub resolved: NameCache,
    /// What all processes see of them; set when httpd starts.
    pub memory: OnceLock<Arc<SharedMemory>>,
    /// Time between two maintenance runs (`worker.maintain`); `None`: there are none.
    pub maintain: Option<Duration>,
    /// Time between two looks of the watchdog; `None`: requests do its work.
    pub watchdog: Option<Duration>,
    /// For each worker the headers in which its engines believe to find the user (SSO.UserHeader).
    pub user_headers: Vec<Vec<Vec<u8>>>,
    /// Connections and memory of this process; set in child_init.
    pub child: OnceLock<Child>,
}

/// What belongs to one child process.
#[derive(Debug)]
pub(super) struct Child {
    /// Same order as [`WorkerSet::configs`].
    pub workers: Vec<Running>,
    pub buffers: Buffers,
    pub upkeep: Upkeep,
    pub notices: Notices,
    /// When idle connections are looked after again; `None`: never.
    pub schedule: Option<Schedule>,
}

/// A worker in a child process.
#[derive(Debug)]
pub(super) enum Running {
    /// One engine.
    Ajp13(Box<Live<Worker>>),
    /// Several engines.
    Balancer(Box<Live<Balancer>>),
    /// The pages that show the others.
    Status,
}

impl WorkerSet {
    /// Workers that nobody uses yet.
    pub(super) fn new(
        configs: Vec<WorkerConfig>,
        properties: Properties,
        resolved: NameCache,
        maintain: Option<Duration>,
        watchdog: Option<Duration>,
        user_headers: Vec<Vec<Vec<u8>>>,
    ) -> Self {
        let names = configs.iter().map(|config| (config.name().as_bytes(), kind(config)));
        Self {
            names: Arc::new(WorkerNames::new(names)),
            configs,
            properties,
            maps: OnceLock::new(),
            resolved,
            memory: OnceLock::new(),
            maintain,
            watchdog,
            user_headers,
            child: OnceLock::new(),
        }
    }
}

/// Now, seconds since 1970.
pub(super) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

impl Child {
    /// Counts the connections of this process out, which is about to end. Waits for nobody, as a
    /// signal may have interrupted anything.
    pub(super) fn end(&self) {
        for worker in &self.workers {
            match worker {
                Running::Ajp13(worker) => worker.current().end(),
                Running::Balancer(balancer) => {
                    balancer.current().members().for_each(|member| member.worker.end());
                }
                Running::Status => {}
            }
        }
    }

    /// Looks after what all processes share, if it is time for that and no other one does it. Waits
    /// for nobody. `unix`: now, seconds since 1970.
    pub(super) fn maintain_states(&self, unix: u64, log: &impl Log) {
        self.upkeep.repair(unix, log);
        for worker in &self.workers {
            if let Running::Balancer(balancer) = worker {
                balancer.current().maintain_states(unix, log);
            }
        }
    }

    /// Looks after the idle connections of all workers, if it is time for that. Takes as long as
    /// engines take to answer pings.
    pub(super) fn maintain_connections(&self, now: Instant, log: &impl Log) {
        if !self.schedule.as_ref().is_some_and(|schedule| schedule.is_due(now)) {
            return;
        }
        for worker in &self.workers {
            match worker {
                Running::Ajp13(worker) => worker.current().maintain(now, log),
                Running::Balancer(balancer) => balancer.current().maintain(now, log),
                Running::Status => {}
            }
        }
    }

    /// All workers that serve requests, with the settings that hold now.
    pub(super) fn current(&self) -> Vec<Current> {
        let current = |worker: &Running| match worker {
            Running::Ajp13(worker) => Some(Current::Ajp13(worker.current())),
            Running::Balancer(balancer) => Some(Current::Balancer(balancer.current())),
            Running::Status => None,
        };
        self.workers.iter().filter_map(current).collect()
    }

    /// Asks the resolver again for the names of all workers, where it is time for that. Takes as
    /// long as the resolver does.
    pub(super) fn renew_names(&self, log: &impl Log) {
        for worker in &self.workers {
            match worker {
                Running::Ajp13(worker) => worker.current().renew_names(log),
                Running::Balancer(balancer) => balancer.current().renew_names(log),
                Running::Status => {}
            }
        }
    }
}

/// A worker with the settings that hold now.
#[derive(Debug)]
pub(super) enum Current {
    /// One engine.
    Ajp13(Arc<Worker>),
    /// Several engines.
    Balancer(Arc<Balancer>),
}

impl Current {
    /// Its engines, in their order.
    pub(super) fn engines(&self) -> impl Iterator<Item = Engine<'_>> + Clone {
        let (single, balancer) = match self {
            Self::Ajp13(worker) => (Some(Engine::Single(worker)), None),
            Self::Balancer(balancer) => (None, Some(balancer.engines())),
        };
        single.into_iter().chain(balancer.into_iter().flatten())
    }
}

/// What mapping rules must know of a worker.
fn kind(config: &WorkerConfig) -> WorkerKind {
    match config {
        WorkerConfig::Balancer(balancer) => {
            let members = balancer.members.iter();
            WorkerKind::Balancer(
                members.map(|member| member.worker.name.as_bytes().into()).collect(),
            )
        }
        WorkerConfig::Ajp13(_) | WorkerConfig::Status(_) => WorkerKind::Other,
    }
}

impl Runtime {
    /// What a server runs with whose directives say `raw`. `environment_is_read`: whether others may
    /// look at a request's environment behind us.
    pub(super) fn new(
        raw: &RawConfig,
        maps: Arc<LiveTable>,
        workers: Arc<WorkerSet>,
        ivy: IvyRules,
        environment_is_read: bool,
    ) -> Self {
        let value = |(value, _): &(_, Place)| Clone::clone(value);
        Self {
            maps,
            log_file: OnceLock::new(),
            log_level: raw.log_level.as_ref().map_or(Level::Info, |(level, _)| *level),
            stamp: raw.stamp.as_ref().map(|(stamp, _)| stamp.clone()).unwrap_or_default(),
            request_log: raw.request_log.as_ref().and_then(|(log, _)| log.clone()),
            options: raw.options.effective(),
            environment: Plan::new(
                &raw.variables,
                raw.env_vars.clone(),
                raw.extract_tls.unwrap_or(true),
                environment_is_read,
            ),
            strip_session: raw.strip_session.as_ref().and_then(|(name, _)| name.clone()),
            auto_alias: raw.auto_alias.as_ref().map(value),
            ivy,
            user_header: raw.user_header.as_ref().map(|(name, _)| name.clone()),
            workers,
        }
    }
}
