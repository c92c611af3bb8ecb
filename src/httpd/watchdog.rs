//! The threads of each child that do what must not depend on requests (spec/mod_jk.md 5.2,
//! JkWatchdogInterval).
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | jk-watchdog | states of members, counts of killed processes | nobody |
//! | jk-upkeep | idle connections, names | engines that are pinged, the resolver |
//! | jk-health | begins checks of engines and judges them | nobody: each check has its own thread |

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::ffi;
use super::guard::guard;
use super::lifecycle;
use super::log::{self, Sink, Speaker};
use super::pool::Pool;
use super::server::{Child, Current, Runtime, unix_time};
use crate::config::WorkerConfig;
use crate::log::{Level, Log, Site};
use crate::worker::Checks;

/// Longest wait for the threads when the child ends. One may be pinging an engine; the process ends
/// with or without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two looks after what went wrong unexpectedly.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// Running threads. Dropping it ends them.
#[derive(Debug, Default)]
struct Threads {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Threads {
    /// Runs `work` after `first`, and again and again after what it returns, or when somebody unparks
    /// the thread. Its flag turns true when the child ends: from then on nothing of httpd may be
    /// touched.
    fn start(
        &mut self,
        name: &str,
        first: Duration,
        mut work: impl FnMut(&Arc<AtomicBool>) -> Duration + Send + 'static,
    ) -> io::Result<()> {
        let stop = Arc::clone(&self.stop);
        let run = move || {
            let mut wait = first;
            while !stop.load(Ordering::Acquire) {
                thread::park_timeout(wait);
                if !stop.load(Ordering::Acquire) {
                    wait = guard(|_| AFTER_PANIC, || work(&stop));
                }
            }
        };
        let builder = thread::Builder::new().name(name.to_owned());
        self.threads.push(without_signals(|| builder.spawn(run))?);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.threads.iter().for_each(|thread| thread.thread().unpark());
        // prefork ends a child within its signal handler, on top of a request that may hold a lock
        // that a thread waits for: so there is an end to the patience.
        let end = Instant::now() + PATIENCE;
        while !self.threads.iter().all(JoinHandle::is_finished) && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A server that a thread of ours may look at.
#[derive(Clone, Copy)]
struct Shared(NonNull<ffi::server_rec>);

// SAFETY: a server is only read once the children run, and lives as long as their configuration.
unsafe impl Send for Shared {}

impl Shared {
    /// Has `work` done with the workers of this child.
    fn with<T>(
        &self,
        thread: &'static str,
        stop: &AtomicBool,
        work: impl FnOnce(&Child, &WhileRunning<'_>) -> T,
    ) -> Option<T> {
        let Shared(server) = self;
        // SAFETY: the configuration outlives the child's pool, which ends the thread.
        let server = unsafe { server.as_ref() };
        let runtime = lifecycle::runtime(server)?;
        let sink = Sink { runtime, speaker: Speaker::Server(server, thread) };
        let child = runtime.workers.child.get()?;
        Some(work(child, &WhileRunning { sink, stop }))
    }
}

/// A log that falls silent when the child ends, as httpd's records are gone soon after.
struct WhileRunning<'s> {
    sink: Sink<'s>,
    stop: &'s AtomicBool,
}

impl Log for WhileRunning<'_> {
    fn enabled(&self, level: Level) -> bool {
        !self.stop.load(Ordering::Acquire) && self.sink.enabled(level)
    }

    fn write(&self, level: Level, site: Site, text: fmt::Arguments<'_>) {
        if !self.stop.load(Ordering::Acquire) {
            self.sink.write(level, site, text);
        }
    }
}

/// Starts the threads that the configuration asks for. They end with `pchild`.
pub(super) fn start(main: &ffi::server_rec, runtime: &Runtime, pchild: Pool<'_>) {
    let workers = &runtime.workers;
    let server = Shared(NonNull::from(main));
    let mut threads = Threads::default();
    let mut start = || {
        if let (Some(interval), Some(_)) = (workers.watchdog, workers.maintain) {
            threads.start("jk-watchdog", interval, move |stop| {
                server.with("WATCHDOG", stop, |child, log| child.maintain_states(unix_time(), log));
                interval
            })?;
            threads.start("jk-upkeep", interval, move |stop| {
                server.with("UPKEEP", stop, |child, log| {
                    child.maintain_connections(Instant::now(), log);
                    child.renew_names(log);
                });
                interval
            })?;
        }
        if workers.configs.iter().any(has_checks) {
            let mut checks = Checks::default();
            threads.start("jk-health", Duration::ZERO, move |stop| {
                let run = |child: &Child, log: &WhileRunning<'_>| {
                    let current = child.current();
                    let engines = current.iter().flat_map(Current::engines);
                    checks.run(engines, unix_time(), stop, log)
                };
                server.with("HEALTH", stop, run).unwrap_or(AFTER_PANIC)
            })?;
        }
        Ok::<(), io::Error>(())
    };
    if let Err(e) = start() {
        let text = format!(
            "mod_jk: no thread can be started: {e}; idle connections stay open, names are not looked \
             up again, or engines are not checked"
        );
        log::startup(None, Level::Error, &text);
    }
    pchild.park(threads);
}

/// Whether an engine is checked.
fn has_checks(config: &WorkerConfig) -> bool {
    match config {
        WorkerConfig::Ajp13(config) => config.health_check.is_some(),
        WorkerConfig::Balancer(balancer) => {
            balancer.members.iter().any(|member| member.worker.health_check.is_some())
        }
        WorkerConfig::Status(_) => false,
    }
}

/// Makes a thread that gets none of the process's signals: they are for httpd's own threads.
#[cfg(unix)]
fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    use std::mem::MaybeUninit;
    use std::ptr;

    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: writes a whole set into our variable.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set was filled in the line above; the old one is written to our variable.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let result = spawn();
    // SAFETY: the set that pthread_sigmask wrote; it cannot fail with these arguments.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    result
}

#[cfg(not(unix))]
fn without_signals<T>(spawn: impl FnOnce() -> T) -> T {
    spawn()
}
