//! Checks engines with a CPING every `health_check_interval`, one process for all.
//!
//! Each check has a connection of its own, which is closed after it: it finds out what a new user
//! would, takes no connection away from requests, and depends on none that has been idle. It also has
//! a thread of its own, so that an engine that hangs delays no other check; an engine has one at a
//! time in a process. Such a thread knows nothing of balancers, states and logs: what follows from
//! its result is the business of the thread that runs [`Checks::run`].
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::ajp13::Worker;
use super::balancer::Balancer;
use super::endpoint::Connection;
use super::error::{Failure, PingError};
use crate::config::{ConnectOptions, Target};
use crate::jk_log;
use crate::log::{Level, Log};
use crate::net::{Connector, Names};

/// Longest time to connect, and to wait for the CPONG, where no property says one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest time between two looks whether a check is due.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An engine that may be checked.
#[derive(Debug, Clone, Copy)]
pub enum Engine<'w> {
    /// Of a worker of its own.
    Single(&'w Worker),
    /// Of a member of a balancer.
    Member {
        /// Its balancer.
        balancer: &'w Balancer,
        /// Its place there.
        place: usize,
        /// The member.
        worker: &'w Worker,
    },
}

/// The checks of one process.
#[derive(Debug)]
pub struct Checks {
    /// Which engines are being checked, in their order.
    running: Vec<bool>,
    sender: Sender<Finished>,
    receiver: Receiver<Finished>,
}

/// A check that has ended.
struct Finished {
    /// Position of the engine.
    at: usize,
    /// When it began, seconds since 1970.
    begun: u64,
    result: Result<(), Failure>,
}

/// What a check has to know.
struct Job {
    target: Target,
    options: ConnectOptions,
    names: Arc<Names>,
    timeout: Duration,
}

impl<'w> Engine<'w> {
    fn worker(self) -> &'w Worker {
        match self {
            Self::Single(worker) | Self::Member { worker, .. } => worker,
        }
    }

    /// Whether both are one engine with one record, perhaps for two balancers.
    fn is_same_as(self, other: Self) -> bool {
        let (own, other) = (self.worker(), other.worker());
        own.position == other.position && own.config().target == other.config().target
    }
}

impl Default for Checks {
    fn default() -> Self {
        let (sender, receiver) = channel();
        Self { running: Vec::new(), sender, receiver }
    }
}

impl Checks {
    /// Draws the conclusions of checks that have ended, and begins those that are due. `engines`: the
    /// same ones each time. `unix`: now, seconds since 1970. `stop`: checks end soon after it is true.
    /// Returns when to come again at the latest; the calling thread is unparked before, where a check
    /// ends.
    pub fn run<'w>(
        &mut self,
        engines: impl Iterator<Item = Engine<'w>> + Clone,
        unix: u64,
        stop: &Arc<AtomicBool>,
        log: &impl Log,
    ) -> Duration {
        while let Ok(Finished { at, begun, result }) = self.receiver.try_recv() {
            if let Some(running) = self.running.get_mut(at) {
                *running = false;
            }
            if let Some(engine) = engines.clone().nth(at) {
                let all = engines.clone().filter(|other| other.is_same_as(engine));
                conclude(engine, all, begun, &result, unix, log);
            }
        }
        let mut wait = LONGEST_WAIT;
        for (at, engine) in engines.enumerate() {
            if self.running.len() <= at {
                self.running.push(false);
            }
            let Some(due_in) = engine.worker().check_due_in(unix) else { continue };
            wait = wait.min(due_in.max(Duration::from_secs(1)));
            if self.running.get(at) == Some(&false)
                && due_in.is_zero()
                && engine.worker().take_turn(unix)
            {
                self.begin(at, engine.worker(), unix, stop, log);
            }
        }
        wait
    }

    fn begin(
        &mut self,
        at: usize,
        worker: &Worker,
        begun: u64,
        stop: &Arc<AtomicBool>,
        log: &impl Log,
    ) {
        let (job, sender) = (Job::new(worker), self.sender.clone());
        let (stop, caller): (_, Thread) = (Arc::clone(stop), thread::current());
        let check = move || {
            let result = job.run(&stop);
            // Nobody waits for it where the process ends.
            let _ = sender.send(Finished { at, begun, result });
            caller.unpark();
        };
        match thread::Builder::new().name("jk-check".to_owned()).spawn(check) {
            Ok(_) => {
                if let Some(running) = self.running.get_mut(at) {
                    *running = true;
                }
            }
            Err(e) => {
                let name = &worker.config().name;
                jk_log!(
                    *log,
                    Level::Error,
                    "({name}) health_check_failed: no thread can be started for it: {e}"
                );
            }
        }
    }
}

impl Job {
    fn new(worker: &Worker) -> Self {
        let config = worker.config();
        let ping = config.connect_ping.or(config.prepost_ping).or(config.idle_ping);
        let mut options = config.connect.clone();
        let connect = options.socket_connect_timeout.unwrap_or(PATIENCE);
        options.socket_connect_timeout = Some(connect);
        Self {
            target: config.target.clone(),
            options,
            names: Arc::clone(&worker.names),
            timeout: ping.unwrap_or(PATIENCE),
        }
    }

    fn run(&self, stop: &AtomicBool) -> Result<(), Failure> {
        let Self { target, options, names, timeout } = self;
        let stream =
            Connector { target, options, names }.connect(&mut |_| ()).map_err(Failure::Connect)?;
        let now = Instant::now();
        let mut connection = Connection {
            stream,
            id: 0,
            carried: 0,
            idle_since: now,
            checked_at: now,
            _opened: None,
        };
        let ping = connection.ping_unless(*timeout, || stop.load(Ordering::Acquire));
        ping.map_err(Failure::Ping)
    }
}

impl Worker {
    /// How long it is until the next check, zero if it is due; `None` where there are none.
    fn check_due_in(&self, unix: u64) -> Option<Duration> {
        let interval = self.config().health_check?;
        if matches!(self.config().target, Target::Never { .. }) {
            return None;
        }
        let last = self.state()?.checked.load(Ordering::Relaxed);
        // A clock that was set back does not end the checks, and a process whose look at it was a
        // moment earlier than another one's makes no further one.
        let left = interval.as_secs().saturating_sub(unix.abs_diff(last));
        Some(Duration::from_secs(if last == 0 { 0 } else { left }))
    }

    /// Whether this process is to make the check that is due; true for one of all.
    fn take_turn(&self, unix: u64) -> bool {
        let Some(state) = self.state() else { return false };
        let last = state.checked.load(Ordering::Relaxed);
        let is_due = self.check_due_in(unix).is_some_and(|due_in| due_in.is_zero());
        let (set, seen) = (Ordering::Relaxed, Ordering::Relaxed);
        is_due && state.checked.compare_exchange(last, unix, set, seen).is_ok()
    }
}

/// What follows from a check that has `begun` then. `all`: the engine wherever it is named.
fn conclude<'w>(
    engine: Engine<'_>,
    all: impl Iterator<Item = Engine<'w>>,
    begun: u64,
    result: &Result<(), Failure>,
    unix: u64,
    log: &impl Log,
) {
    if let Err(Failure::Ping(PingError::GaveWay)) = result {
        return;
    }
    let worker = engine.worker();
    let Some(state) = worker.state() else { return };
    // Another process may have begun a check later and be done with it: what an engine that did not
    // answer has kept waiting says nothing of it now.
    if !state.is_newest_check(begun, unix) {
        return;
    }
    let is_failing = u32::from(result.is_err());
    let is_news = state.is_failing.swap(is_failing, Ordering::AcqRel) != is_failing;
    let (name, peer) = (&worker.config().name, worker.peer());
    match result {
        Ok(()) if is_news => jk_log!(
            *log,
            Level::Warn,
            "({name}) health_check_passed: the engine answers again; peer={peer}"
        ),
        Ok(()) => jk_log!(
            *log,
            Level::Debug,
            "({name}) health_check_passed: the engine answers; peer={peer}"
        ),
        Err(failure) => {
            let level = if is_news { Level::Warn } else { Level::Debug };
            jk_log!(*log, level, "({name}) health_check_failed: {failure}; peer={peer}");
        }
    }
    for engine in all {
        if let Engine::Member { balancer, place, .. } = engine {
            balancer.settle_check(place, result.is_ok(), is_news, unix, log);
        }
    }
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
