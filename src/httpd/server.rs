//! What a server (main or virtual host) is configured with, and what it runs with.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::log::LogFile;
use super::shm::SharedMemory;
use crate::config::{Place, Problems, WorkerConfig};
use crate::log::Level;
use crate::mapping::{Mount, RuleId, Table};
use crate::worker::Worker;
use crate::worker::buffers::Buffers;

/// The module's record of one server. Lives in the configuration pool: it ends with the
/// configuration generation.
#[derive(Debug, Default)]
pub(super) struct ServerConfig {
    /// What the directives say.
    pub raw: RawConfig,
    /// What it means; set once the whole configuration has been checked.
    pub runtime: OnceLock<Runtime>,
}

/// The directives of one server, checked one by one.
#[derive(Debug, Default, Clone)]
pub(super) struct RawConfig {
    /// JkMount and JkUnMount, in their order.
    pub mounts: Vec<Mount>,
    /// JkLogFile, resolved.
    pub log_file: Option<(PathBuf, Place)>,
    /// JkLogLevel.
    pub log_level: Option<(Level, Place)>,
    /// JkWorkersFile: name as written and resolved; main server only.
    pub workers_file: Option<(String, PathBuf, Place)>,
    /// JkWorkerProperty lines; main server only.
    pub worker_properties: Vec<(Vec<u8>, Place)>,
    /// What was wrong already while the directives were read.
    pub problems: Problems,
}

/// What a server runs with.
#[derive(Debug)]
pub(super) struct Runtime {
    /// Its mapping rules.
    pub table: Table,
    /// JkLogFile, opened at start; without one the lines go to httpd's error log.
    pub log_file: OnceLock<Arc<LogFile>>,
    /// JkLogLevel.
    pub log_level: Level,
    /// The workers, common to all servers.
    pub workers: Arc<WorkerSet>,
}

/// All workers of a configuration generation.
#[derive(Debug)]
pub(super) struct WorkerSet {
    /// As configured, in the order of worker.list.
    pub configs: Vec<WorkerConfig>,
    /// What all processes see of them; set when httpd starts.
    pub memory: OnceLock<Arc<SharedMemory>>,
    /// Connections and memory of this process; set in child_init.
    pub child: OnceLock<Child>,
}

/// What belongs to one child process.
#[derive(Debug)]
pub(super) struct Child {
    /// Same order as [`WorkerSet::configs`].
    pub workers: Vec<Running>,
    pub buffers: Buffers,
}

/// A worker in a child process.
#[derive(Debug)]
pub(super) enum Running {
    /// One engine.
    Ajp13(Box<Worker>),
}

impl WorkerSet {
    /// Position of the worker with a name.
    pub(super) fn position(&self, name: &[u8]) -> Option<usize> {
        self.configs.iter().position(|worker| worker.name().as_bytes() == name)
    }
}

impl Runtime {
    /// Name of the worker of a rule.
    pub(super) fn worker_name(&self, rule: RuleId) -> &[u8] {
        self.table.rule(rule).map_or(&[], |rule| &rule.worker)
    }
}
