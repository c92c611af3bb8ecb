//! The thread of each child that maintains idle connections, so that it does not depend on
//! requests (spec/mod_jk.md 5.2, JkWatchdogInterval).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::guard::guard;

/// Longest wait for the thread when the child ends. It may be pinging an engine; the process ends
/// with or without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// A running watchdog. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Watchdog {
    thread: JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Watchdog {
    /// Runs `work` every `interval`. Its flag turns true when the child ends: from then on nothing of
    /// httpd may be touched.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn start(
        interval: Duration,
        work: impl Fn(&AtomicBool) + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let run = move || {
            let mut due = Instant::now() + interval;
            while !stopped.load(Ordering::Acquire) {
                let now = Instant::now();
                match due.checked_duration_since(now).filter(|left| !left.is_zero()) {
                    Some(left) => thread::park_timeout(left),
                    None => {
                        guard(|_| (), || work(&stopped));
                        due = Instant::now() + interval;
                    }
                }
            }
        };
        let thread =
            without_signals(|| thread::Builder::new().name("jk-watchdog".to_owned()).spawn(run))?;
        Ok(Self { thread, stop })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // prefork ends a child within its signal handler, on top of a request that may hold a lock
        // that the thread waits for: so there is an end to the patience.
        let end = Instant::now() + PATIENCE;
        while !self.thread.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
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
