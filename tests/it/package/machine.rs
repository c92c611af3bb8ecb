//! A Debian of its own: a chroot with its own processes, mounts and network.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::namespace::{Network, forbidden};
use crate::support::{DEADLINE, process, temp_dir, wait_until};

/// A chroot is made anew after this time, so that it has the distribution's updates.
const FRESH: Duration = Duration::from_secs(7 * 24 * 3600);

/// What runs as the first process: it says that all is mounted, and collects orphans.
const INIT: &str = "echo ready; while sleep 0.2; do :; done";

/// Mounts the chroot `$0` and, above it, memory for what changes, at `$1`; then becomes the
/// machine's first process.
const BOOT: &str = "\
mount -t tmpfs tmpfs \"$1\"
mkdir \"$1/upper\" \"$1/work\" \"$1/root\"
mount -t overlay overlay -o \"lowerdir=$0,upperdir=$1/upper,workdir=$1/work\" \"$1/root\"
mount -t proc proc \"$1/root/proc\"
ip link set lo up
exec chroot \"$1/root\" sh -c \"$2\"";

/// A running Debian with apache2, which is stopped. It goes away with the value.
pub(super) struct Machine {
    /// Ends with its child, the machine's first process, and with the test.
    guard: Child,
    /// The machine's first process, as the test sees it.
    init: u32,
    pub(super) network: Network,
    _mounted_at: TempDir,
}

impl Machine {
    #[track_caller]
    pub(super) fn boot() -> Self {
        if process::output(Command::new("id").arg("-u")).trim() != "0" {
            forbidden(&"a chroot takes root");
        }
        let dir = temp_dir("jk-debian-");
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child=SIGKILL",
                "sh",
                "-ec",
                BOOT,
            ])
            .args([base(), dir.path(), Path::new(INIT)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut guard = process::spawn(command, libc::SIGKILL).expect("unshare");
        let mut line = String::new();
        let _ = BufReader::new(guard.stdout.take().expect("piped")).read_line(&mut line);
        if line != "ready\n" {
            let _ = guard.kill();
            let mut said = String::new();
            let _ = guard.stderr.take().expect("piped").read_to_string(&mut said);
            forbidden(&said);
        }
        let init = process::children_of(guard.id())[0];
        let machine = Self { guard, init, network: Network::of(init), _mounted_at: dir };
        // A small Debian has none, and its resolver would ask the network.
        machine.write("/etc/hosts", "127.0.0.1 localhost\n");
        machine
    }

    /// Runs a shell command in the machine and returns what it prints, errors included.
    #[track_caller]
    pub(super) fn run(&self, command: &str) -> String {
        let (ok, text) = self.try_run(command);
        assert!(ok, "{command} failed:\n{text}");
        text
    }

    /// The same, with whether it succeeded.
    pub(super) fn try_run(&self, command: &str) -> (bool, String) {
        let out = Command::new("nsenter")
            .args(["--mount", "--net", "--pid", "--root", "--target"])
            .arg(self.init.to_string())
            .args(["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"])
            .args(["DEBIAN_FRONTEND=noninteractive", "sh", "-ec"])
            .arg(format!("cd /\nexec 2>&1\n{command}"))
            .stdin(Stdio::null())
            .output()
            .expect("nsenter");
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// A path of the machine, from its root, as the test sees it.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).expect("it");
    }

    /// Restarts httpd gracefully and waits until the new generation serves.
    #[track_caller]
    pub(super) fn graceful(&self) {
        let before = self.generations();
        self.run("apachectl graceful");
        wait_until("a graceful restart", || self.generations() > before);
    }

    pub(super) fn start_httpd(&self) {
        let before = self.generations();
        self.run("apachectl start");
        wait_until("httpd starts", || self.generations() > before);
    }

    /// Stops httpd, if it runs.
    pub(super) fn stop_httpd(&self) {
        self.run("apachectl stop");
        wait_until("httpd stops", || !self.path("/run/apache2/apache2.pid").exists());
    }

    fn generations(&self) -> usize {
        self.read("/var/log/apache2/error.log").matches("resuming normal operations").count()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The first process takes all others along.
        process::signal(process::Target::Process(self.init), libc::SIGKILL);
        if process::wait(&mut self.guard, DEADLINE).is_none() {
            let _ = self.guard.kill();
        }
        if std::thread::panicking() {
            eprintln!("--- httpd of the machine\n{}", self.read("/var/log/apache2/error.log"));
        }
    }
}

/// The folder of a Debian with apache2: the release of the system that the test runs on.
fn base() -> &'static Path {
    static LOCK: Mutex<()> = Mutex::new(());
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-apache2", codename()))
    });
    // Not within DIR: a test whose chroot cannot be made must not poison the others' message.
    let _one_at_a_time = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // Written last, so a folder that has it is whole; its time is that of the folder.
    let stamp = DIR.join("whole");
    let age = stamp.metadata().and_then(|data| data.modified()).map(|made| made.elapsed());
    if !age.is_ok_and(|age| age.is_ok_and(|age| age < FRESH)) {
        if DIR.exists() {
            fs::remove_dir_all(&*DIR).expect("the old chroot");
        }
        process::output(
            Command::new("mmdebstrap")
                .args(["--quiet", "--variant=apt", "--include=apache2", &codename()])
                .arg(&*DIR),
        );
        fs::write(stamp, "").expect("write");
    }
    &DIR
}

fn codename() -> String {
    let release = fs::read_to_string("/etc/os-release").expect("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    name.expect("VERSION_CODENAME in /etc/os-release").trim_matches('"').to_owned()
}
