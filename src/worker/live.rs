//! Workers whose settings an administrator changes while they serve requests.
//!
//! A [`Worker`] and a [`Balancer`] never change. A [`Live`] one holds the file's settings and
//! replaces the worker when the edits in shared memory have another version than last time: each
//! request looks at one number, and goes on with the worker that it has got.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use arc_swap::ArcSwap;
use thiserror::Error;

use super::ajp13::Worker;
use super::balancer::Balancer;
use crate::config::edit::{Change, Edit, Key, Refusal, decode, effective, encode, merge};
use crate::config::text::quoted;
use crate::config::{WorkerConfig, WorkerName};
use crate::jk_log;
use crate::log::{Level, Log};
use crate::net::NameCache;
use crate::shared::edits::{Board, BoardError};
use crate::shared::{Layout, Memory, State};

/// What can take other settings.
pub trait Configured: Sized {
    /// The same with other settings; `None` where they are not those of such a worker.
    fn renew(&self, config: &WorkerConfig) -> Option<Self>;

    /// Closes the idle connections that its successor does not take over.
    fn leave_to(&self, next: &Self);

    /// Does what follows for all processes from changes that were just made.
    fn follow(&self, _: &[Change]) {}
}

impl Configured for Worker {
    fn renew(&self, config: &WorkerConfig) -> Option<Self> {
        let WorkerConfig::Ajp13(config) = config else { return None };
        Some(Worker::renew(self, (**config).clone()))
    }

    fn leave_to(&self, next: &Self) {
        Worker::leave_to(self, next);
    }
}

impl Configured for Balancer {
    fn renew(&self, config: &WorkerConfig) -> Option<Self> {
        let WorkerConfig::Balancer(config) = config else { return None };
        Some(Balancer::renew(self, config))
    }

    fn leave_to(&self, next: &Self) {
        Balancer::leave_to(self, next);
    }

    /// All members begin with the same load, so that none gets all requests because it had none.
    fn follow(&self, changes: &[Change]) {
        if changes.iter().any(|change| matches!(change.key, Key::Activation | Key::Method)) {
            self.forget_load();
        }
    }
}

/// A worker of this process with the settings that hold now.
#[derive(Debug)]
pub struct Live<T> {
    file: WorkerConfig,
    memory: Arc<dyn Memory>,
    /// Position of its edits.
    edits: usize,
    current: ArcSwap<T>,
    /// Version of the edits that `current` has.
    seen: AtomicU64,
    renewal: Mutex<()>,
}

/// Why settings stay as they are.
#[derive(Debug, Error)]
pub enum EditError {
    /// Some make no sense.
    #[error("{} of the changes cannot be made", .0.len())]
    Refused(Vec<Refusal>),
    /// They cannot be kept.
    #[error(transparent)]
    NotKept(#[from] BoardError),
}

impl<T: Configured> Live<T> {
    /// `worker`: with the settings of `file`. `at`: positions of its records in `memory`.
    pub fn new(worker: T, file: WorkerConfig, memory: Arc<dyn Memory>, at: Layout) -> Self {
        let live = Self {
            file,
            memory,
            edits: at.edits,
            current: ArcSwap::from_pointee(worker),
            seen: AtomicU64::new(0),
            renewal: Mutex::default(),
        };
        if let Some(board) = live.board() {
            board.release(process::id());
        }
        live
    }

    /// The settings of the file.
    pub fn file(&self) -> &WorkerConfig {
        &self.file
    }

    /// Its name.
    pub fn name(&self) -> &WorkerName {
        self.file.name()
    }

    /// The settings that hold now.
    pub fn config(&self) -> WorkerConfig {
        let read = self.board().and_then(|board| board.read());
        effective(&self.file, &decode(&read.unwrap_or_default().1))
    }

    fn board(&self) -> Option<Board<'_>> {
        Board::of(&*self.memory, self.edits, &self.file)
    }

    /// The worker with the settings that hold now. While another thread is renewing it, as it was
    /// before.
    pub fn current(&self) -> Arc<T> {
        if let Some(board) = self.board()
            && board.version() != self.seen.load(Ordering::Acquire)
        {
            match self.renewal.try_lock() {
                Ok(alone) => self.renew(&board, alone),
                Err(TryLockError::Poisoned(left)) => self.renew(&board, left.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.current.load_full()
    }

    fn renew(&self, board: &Board<'_>, alone: MutexGuard<'_, ()>) {
        let version = board.version();
        let mut seen = version;
        // What changes meanwhile has yet another version; what nobody can read stays so.
        if let Some((version, bytes)) = board.read() {
            seen = version;
            let config = effective(&self.file, &decode(&bytes));
            if let Some(next) = self.current.load().renew(&config).map(Arc::new) {
                let before = self.current.swap(Arc::clone(&next));
                before.leave_to(&next);
            }
        }
        self.seen.store(seen, Ordering::Release);
        drop(alone);
    }

    /// Changes settings in all processes; all of them or none. `who`: for the log. Waits for the
    /// resolver where a host is changed.
    ///
    /// # Errors
    /// [`EditError`]; nothing is changed.
    pub fn edit(
        &self,
        edits: &[Edit],
        who: impl Display,
        log: &impl Log,
    ) -> Result<Vec<Change>, EditError> {
        let Some(board) = self.board() else {
            return Err(BoardError::Full { needed: edits.len(), room: 0 }.into());
        };
        let stored = || decode(&board.read().unwrap_or_default().1);
        // Before others are kept out: what is wrong, and whether hosts are known.
        let planned = merge(&self.file, stored(), edits).map_err(EditError::Refused)?;
        let unknown = unknown_hosts(&planned.changes);
        if !unknown.is_empty() {
            return Err(EditError::Refused(unknown));
        }
        let writer = board.lock(process::id(), &*self.memory)?;
        let changes = merge(&self.file, stored(), edits).map_err(EditError::Refused)?;
        if !changes.changes.is_empty() {
            writer.write(&encode(&changes.stored))?;
        }
        drop(writer);
        self.renew(&board, self.renewal.lock().unwrap_or_else(PoisonError::into_inner));
        self.current().follow(&changes.changes);
        for change in &changes.changes {
            let member = change.member.and_then(|place| self.member_name(place));
            let member = member.map(|name| format!("member={name} ")).unwrap_or_default();
            jk_log!(
                *log,
                Level::Info,
                "({}) edited: a setting is changed until the file says something else; {member}\
                 key={} old={} new={} by={who}",
                self.name(),
                change.key.name(),
                quoted(&change.old),
                quoted(&change.new)
            );
        }
        Ok(changes.changes)
    }

    fn member_name(&self, place: usize) -> Option<&WorkerName> {
        match &self.file {
            WorkerConfig::Balancer(balancer) => {
                balancer.members.get(place).map(|member| &member.worker.name)
            }
            _ => None,
        }
    }
}

/// Hosts that the resolver does not know.
fn unknown_hosts(changes: &[Change]) -> Vec<Refusal> {
    let mut cache = NameCache::default();
    let hosts = changes.iter().filter(|change| change.key == Key::Host);
    let unknown = hosts.filter_map(|Change { member, key, new, .. }| {
        let host = String::from_utf8_lossy(new);
        let error = cache.look_up(&host).err()?;
        let why = format!("{} cannot be resolved: {error}; check its spelling", quoted(new));
        Some(Refusal { member: *member, key: *key, why })
    });
    unknown.collect()
}

impl Live<Worker> {
    /// Sets all counters back but those of what is going on. `now`: seconds since 1970.
    pub fn reset(&self, now: u64) {
        if let Some(state) = self.current().state() {
            state.reset(now);
        }
    }
}

impl Live<Balancer> {
    /// Sets counters and state of a member back, or those of all members. `now`: seconds since 1970.
    pub fn reset(&self, member: Option<usize>, now: u64) {
        self.current().reset(member, now);
    }

    /// Has a member tested that is in error. `now`: seconds since 1970.
    ///
    /// # Errors
    /// Its state, where that is another one.
    pub fn recover(&self, member: usize, now: u64) -> Result<(), State> {
        self.current().recover(member, now)
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
