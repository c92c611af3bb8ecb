//! A worker that is one engine, with its connections in this process.
#![forbid(unsafe_code)]

use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::endpoint::Open;
use super::pool::Pool;
use crate::config::{Ajp13Config, Target, WorkerName};
use crate::net::{NameCache, Names};
use crate::shared::requests::{Count, Ticket, take};
use crate::shared::{Busy, Memory, WorkerState};

/// One configured worker with its connections in this process.
#[derive(Debug)]
pub struct Worker {
    pub(super) config: Ajp13Config,
    pub(super) pool: Arc<Pool>,
    pub(super) peer: String,
    pub(super) names: Arc<Names>,
    pub(super) memory: Arc<dyn Memory>,
    pub(super) position: usize,
    pub(super) process: u32,
    /// Where a free record for the next request is likely to be.
    pub(super) turn: AtomicUsize,
    pub(super) open: Arc<Open>,
    /// Held by the thread that looks after the idle connections.
    pub(super) upkeep: Mutex<()>,
}

impl Worker {
    /// A worker of this process without connections, at a position of `memory`.
    pub fn new(
        config: Ajp13Config,
        names: Names,
        memory: Arc<dyn Memory>,
        position: usize,
    ) -> Self {
        Self {
            pool: Arc::new(Pool::new(config.pool_size)),
            peer: config.target.to_string(),
            names: Arc::new(names),
            config,
            open: Open::new(Arc::clone(&memory), position),
            memory,
            position,
            process: process::id(),
            turn: AtomicUsize::new(position),
            upkeep: Mutex::default(),
        }
    }

    /// The same worker with other settings: with the same connections, unless its engine is now
    /// elsewhere.
    pub(super) fn renew(&self, config: Ajp13Config) -> Self {
        let is_moved = config.target != self.config.target;
        let (pool, names) = if is_moved {
            let names = NameCache::default().names(&config.target, &config.connect);
            (Arc::new(Pool::new(config.pool_size)), Arc::new(names))
        } else {
            (Arc::clone(&self.pool), Arc::clone(&self.names))
        };
        Self {
            pool,
            peer: config.target.to_string(),
            names,
            config,
            open: Arc::clone(&self.open),
            memory: Arc::clone(&self.memory),
            position: self.position,
            process: self.process,
            turn: AtomicUsize::new(self.turn.load(Ordering::Relaxed)),
            upkeep: Mutex::default(),
        }
    }

    /// Closes the idle connections that another worker, which takes the place of this one, does
    /// not take over.
    pub(super) fn leave_to(&self, next: &Self) {
        if !Arc::ptr_eq(&self.pool, &next.pool) {
            self.pool.close_idle();
        }
    }

    /// Counts a request in among those that it is serving. Returns how many there are now. `None`
    /// where there is no record for it, as many old children are still busy after restarts: what no
    /// repair could tell from the trace of a killed process is not counted.
    pub(super) fn enter(&self) -> Option<(Busy<'_>, u32)> {
        let ticket = self.ticket(Count::Busy(self.position))?;
        self.state().map(|state| state.enter(Some(ticket)))
    }

    /// Counts the connections of this process out, which is about to end. Waits for nobody.
    pub fn end(&self) {
        self.open.end();
    }

    /// A record that tells others about a request, should this process be killed.
    pub(super) fn ticket(&self, count: Count) -> Option<Ticket<'_>> {
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        take(self.memory.requests(), start, self.process, count)
    }

    /// Whether it has as many requests as it may (`max_inflight`).
    pub(super) fn is_full(&self) -> bool {
        self.state().is_some_and(|state| state.inflight.is_full(self.config.max_inflight))
    }

    /// What all processes see of it.
    pub fn state(&self) -> Option<&WorkerState> {
        self.memory.workers().get(self.position)
    }

    /// The worker's settings.
    pub fn config(&self) -> &Ajp13Config {
        &self.config
    }

    /// Where its connections go, as far as this process knows.
    pub fn address(&self) -> Option<String> {
        let Ajp13Config { target, connect, .. } = &self.config;
        match target {
            Target::Tcp { port, .. } => {
                self.names.address(*port, connect.prefer_ipv6).map(|address| address.to_string())
            }
            Target::Never { .. } => None,
            #[cfg(unix)]
            Target::Unix(path) => Some(path.display().to_string()),
        }
    }

    /// The worker's pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Where its engine is, for the log.
    pub(super) fn peer(&self) -> &str {
        &self.peer
    }

    pub(super) fn name(&self) -> &WorkerName {
        &self.config.name
    }
}
