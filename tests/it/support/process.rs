//! Child processes that cannot outlive the test run.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::eventually;

/// A request to the thread that starts children.
struct Job {
    command: Command,
    signal: libc::c_int,
    reply: SyncSender<io::Result<Child>>,
}

/// Starts `command` as the leader of its own process group (httpd signals its whole group)
/// and has the kernel send it `on_our_death` when this test process ends, however it ends.
///
/// The kernel ties that signal to the *thread* that forks, and a test's thread ends with its
/// test, so one thread that lives as long as the process starts every child.
pub(crate) fn spawn(command: Command, on_our_death: libc::c_int) -> io::Result<Child> {
    static STARTER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs, inbox) = channel::<Job>();
        std::thread::Builder::new()
            .name("starter".into())
            .spawn(move || {
                for job in inbox {
                    let _ = job.reply.send(start(job.command, job.signal));
                }
            })
            .expect("the starter thread");
        Mutex::new(jobs)
    });
    let (reply, answer) = sync_channel(1);
    let job = Job { command, signal: on_our_death, reply };
    starter.lock().unwrap_or_else(PoisonError::into_inner).send(job).expect("the starter lives");
    answer.recv().expect("the starter answers")
}

fn start(mut command: Command, signal: libc::c_int) -> io::Result<Child> {
    let parent = std::process::id();
    command.process_group(0);
    // SAFETY: the closure runs between fork and exec and only makes two system calls; it
    // neither allocates nor takes a lock.
    unsafe { command.pre_exec(move || die_with(parent, signal)) };
    command.spawn()
}

fn die_with(parent: u32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes one signal number and touches no memory of ours.
    let set = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) };
    if set != 0 {
        return Err(io::Error::last_os_error());
    }
    if std::os::unix::process::parent_id() != parent {
        // The parent died before the signal was armed: nobody would ever end this child.
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    Ok(())
}

/// Sends `signal` to one process that we started, or to the group it leads.
pub(crate) fn signal(target: Target, signal: libc::c_int) -> bool {
    let pid = match target {
        Target::Process(pid) => libc::pid_t::try_from(pid).expect("a pid"),
        Target::Group(pid) => -libc::pid_t::try_from(pid).expect("a pid"),
    };
    // 0, 1 and -1 would address ourselves, init or everybody.
    assert!(pid.unsigned_abs() > 1, "not a process we started: {pid}");
    // SAFETY: kill reads its two integers only.
    unsafe { libc::kill(pid, signal) == 0 }
}

/// Whom a signal is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Process(u32),
    Group(u32),
}

/// Waits for `child` to end by itself. `None` if it does not within `deadline`.
pub(crate) fn wait(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let mut status = None;
    eventually(deadline, || {
        status = child.try_wait().expect("waitpid");
        status.is_some()
    });
    status
}

/// The processes whose parent is `pid`, zombies left out.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let mut children: Vec<u32> = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|candidate| parent_of(*candidate) == Some(pid))
        .collect();
    children.sort_unstable();
    children
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name) state ppid …: the name may hold anything, so count from its last bracket.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.next()?.parse().ok()
}

/// A `kB` line of /proc/pid/status, such as `VmRSS` or `RssAnon`.
pub(crate) fn status_kib(pid: u32, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.split(':').next() == Some(field))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// How many descriptors the process has open.
pub(crate) fn fd_count(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).unwrap_or(0)
}

/// Runs `work` when the test process exits: statics are not dropped.
pub(crate) fn at_exit(work: impl FnOnce() + Send + 'static) {
    let mut pending = AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner);
    if pending.is_empty() {
        // SAFETY: run_at_exit is a plain function that lives as long as the process.
        let registered = unsafe { libc::atexit(run_at_exit) };
        assert_eq!(registered, 0, "atexit");
    }
    pending.push(Box::new(work));
}

type Work = Box<dyn FnOnce() + Send>;

static AT_EXIT: Mutex<Vec<Work>> = Mutex::new(Vec::new());

extern "C" fn run_at_exit() {
    let work = std::mem::take(&mut *AT_EXIT.lock().unwrap_or_else(PoisonError::into_inner));
    for job in work.into_iter().rev() {
        // A panic must not cross into C.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// Runs a helper program to its end and returns what it wrote to stdout.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    String::from_utf8_lossy(&output_bytes(command)).into_owned()
}

/// As [`output`], for what is not text.
#[track_caller]
pub(crate) fn output_bytes(command: &mut Command) -> Vec<u8> {
    let out = command.output().unwrap_or_else(|error| {
        panic!("cannot run {:?}: {error}; misc/dev test installs it", command.get_program())
    });
    assert!(
        out.status.success(),
        "{command:?} ended with {}:\n{}{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    out.stdout
}

/// SHA-256 of a stream, in lower-case hex, by `openssl dgst`: optimised code whatever the
/// profile of this binary, and it runs beside the test rather than in its thread.
pub(crate) struct Sha256 {
    child: Child,
}

impl Sha256 {
    pub(crate) fn new() -> Self {
        let mut command = Command::new("openssl");
        command
            .args(["dgst", "-sha256", "-r"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped());
        Self { child: spawn(command, libc::SIGKILL).expect("openssl dgst") }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        use std::io::Write;
        self.child.stdin.as_mut().expect("piped").write_all(bytes).expect("openssl reads");
    }

    pub(crate) fn finish(mut self) -> String {
        use std::io::Read;
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut line).expect("a line");
        assert!(self.child.wait().expect("openssl ends").success(), "openssl dgst failed");
        line.split_whitespace().next().expect("a digest").to_owned()
    }

    /// The digest of bytes already in memory.
    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut hash = Self::new();
        hash.update(bytes);
        hash.finish()
    }
}

impl Drop for Sha256 {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
