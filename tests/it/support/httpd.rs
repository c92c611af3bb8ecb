//! Debian's httpd with a ServerRoot of its own.

mod site;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::LazyLock;
use std::time::Duration;

use super::process::{self, Target};
use super::{DEADLINE, Endpoint, eventually};
use site::Site;

/// What httpd says once all of a generation's set-up is done.
const READY: &str = "resuming normal operations";

/// Who connects clients to threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mpm {
    Event,
    Worker,
    Prefork,
}

impl Mpm {
    pub(crate) const ALL: [Self; 3] = [Self::Event, Self::Worker, Self::Prefork];

    fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Worker => "worker",
            Self::Prefork => "prefork",
        }
    }
}

/// Which module is under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    /// The one this crate builds. `JK_MODULE` names another file.
    Ours,
    /// Debian's C mod_jk.
    C,
}

impl Module {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::C];

    /// The file to load.
    pub(crate) fn path(self) -> PathBuf {
        match self {
            Self::Ours => our_module(),
            Self::C => {
                let file = module_file("jk");
                assert!(file.exists(), "{} is missing: misc/dev test installs it", file.display());
                file
            }
        }
    }
}

/// `libmod_jk.so` as cargo built it for this run: beside the test binary (`cargo test` puts
/// it nowhere else) or one directory up (`cargo build`), whichever is newer.
fn our_module() -> PathBuf {
    if let Some(path) = std::env::var_os("JK_MODULE") {
        return path.into();
    }
    let binary = std::env::current_exe().expect("the test binary has a path");
    let built = binary
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join("libmod_jk.so"))
        .filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file)))
        .max();
    let Some((_, file)) = built else {
        panic!("no libmod_jk.so near {}: is crate-type cdylib?", binary.display());
    };
    file
}

/// What `misc/dev asan` wants in the environment of an httpd with our module: the sanitizer's
/// runtime, which must be there before anything else is loaded, and its options.
fn sanitizer() -> Option<[(&'static str, OsString); 3]> {
    Some([
        ("LD_PRELOAD", std::env::var_os("JK_SANITIZER")?),
        ("ASAN_OPTIONS", std::env::var_os("JK_ASAN_OPTIONS").unwrap_or_default()),
        ("LSAN_OPTIONS", std::env::var_os("JK_LSAN_OPTIONS").unwrap_or_default()),
    ])
}

/// Where httpd and its modules are.
struct Install {
    program: PathBuf,
    modules: PathBuf,
}

static INSTALL: LazyLock<Install> = LazyLock::new(|| {
    let ask = |what| process::output(Command::new("apxs").args(["-q", what])).trim().to_owned();
    let program = Path::new(&ask("SBINDIR")).join(ask("PROGNAME"));
    Install { program, modules: ask("LIBEXECDIR").into() }
});

fn module_file(name: &str) -> PathBuf {
    INSTALL.modules.join(format!("mod_{name}.so"))
}

/// How an httpd is set up. `@PORT@`, `@TLSPORT@` and `@ROOT@` in any text given to it become
/// the main port, the TLS port and the ServerRoot.
pub(crate) struct Builder {
    mpm: Mpm,
    module: Option<Module>,
    modules: Vec<String>,
    threads: u32,
    servers: u32,
    config: String,
    workers: String,
    worker_list: Vec<String>,
    vhosts: Vec<(String, String)>,
    tls: Option<String>,
    ipv6: bool,
    http2: bool,
    jk_log_level: Option<String>,
    files: Vec<(PathBuf, Vec<u8>)>,
    private: Vec<PathBuf>,
    environment: Vec<(String, OsString)>,
    patience: Duration,
    wrapper: Vec<String>,
}

impl Builder {
    /// The MPM; event unless said.
    pub(crate) fn mpm(mut self, mpm: Mpm) -> Self {
        self.mpm = mpm;
        self
    }

    /// Loads further modules by their file's name, `alias` for mod_alias.so. What is compiled
    /// into httpd or loaded already is left out.
    pub(crate) fn modules(mut self, names: &[&str]) -> Self {
        self.modules.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// ThreadsPerChild, and how many such children there may be at most (prefork: the product
    /// is the number of children). 8 and 1 unless said.
    pub(crate) fn size(mut self, threads: u32, servers: u32) -> Self {
        (self.threads, self.servers) = (threads, servers);
        self
    }

    /// Adds lines to the main server's configuration.
    pub(crate) fn config(mut self, lines: &str) -> Self {
        self.config += lines;
        self.config.push('\n');
        self
    }

    /// Adds lines to conf/workers.properties, which is then given as JkWorkersFile.
    pub(crate) fn workers(mut self, lines: &str) -> Self {
        self.workers += lines;
        self.workers.push('\n');
        self
    }

    /// Defines an ajp13 worker for an engine and lists it.
    pub(crate) fn worker(mut self, name: &str, endpoint: &Endpoint) -> Self {
        self.worker_list.push(name.to_owned());
        self.workers(&endpoint.worker(name))
    }

    /// `JkMount path worker` in the main server.
    pub(crate) fn mount(self, path: &str, worker: &str) -> Self {
        self.config(&format!("JkMount {path} {worker}"))
    }

    /// Adds a virtual host with a port of its own; see [`Httpd::vhost`].
    pub(crate) fn vhost(mut self, name: &str, lines: &str) -> Self {
        self.vhosts.push((name.to_owned(), lines.to_owned()));
        self
    }

    /// Adds a virtual host with TLS and the run's certificates; see [`Httpd::tls_addr`].
    pub(crate) fn tls(mut self, lines: &str) -> Self {
        self.tls = Some(lines.to_owned());
        self
    }

    /// Listens on `::1` too; see [`Httpd::addr6`].
    pub(crate) fn ipv6(mut self) -> Self {
        self.ipv6 = true;
        self
    }

    /// Speaks HTTP/2, with and without TLS. Not for prefork.
    pub(crate) fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// JkLogLevel; `info` unless said.
    pub(crate) fn jk_log_level(mut self, level: &str) -> Self {
        self.jk_log_level = Some(level.to_owned());
        self
    }

    /// Writes no JkLogFile and no JkLogLevel: the test's own lines decide.
    pub(crate) fn no_jk_log(mut self) -> Self {
        self.jk_log_level = None;
        self
    }

    /// A file to write below the ServerRoot.
    pub(crate) fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((path.into(), content.as_ref().to_vec()));
        self
    }

    /// Makes a file that was given private to who starts httpd.
    pub(crate) fn private(mut self, path: &str) -> Self {
        self.private.push(path.into());
        self
    }

    /// Variables that its processes are started with.
    pub(crate) fn env(mut self, variables: impl IntoIterator<Item = (String, OsString)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// How long it may take until it serves; [`DEADLINE`] unless said.
    pub(crate) fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs httpd under another program, given with its arguments.
    pub(crate) fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Starts it and waits until it serves. Panics with its logs if it does not.
    #[track_caller]
    pub(crate) fn start(self) -> Httpd {
        self.try_start().unwrap_or_else(|refusal| {
            panic!("httpd does not start: {}\n{}", refusal.status, refusal.output)
        })
    }

    /// Starts it, or says why it refuses to.
    pub(crate) fn try_start(self) -> Result<Httpd, Refusal> {
        // A reserved port is ours alone where reservations work as on Linux; elsewhere, and if
        // somebody asks for it by number, another one may be luckier.
        for _ in 0..5 {
            match Site::write(&self).start(self.patience) {
                Err(refusal) if refusal.output.contains("AH00072") => {}
                outcome => return outcome,
            }
        }
        panic!("no port is free for httpd");
    }

    /// What `httpd -L` prints: every directive of the loaded modules.
    pub(crate) fn list_directives(self) -> String {
        Site::write(&self).list_directives()
    }

    /// `httpd -t`.
    pub(crate) fn config_test(self) -> Refusal {
        Site::write(&self).config_test()
    }
}

/// What an httpd that ended by itself left behind; also the result of `httpd -t`.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: ExitStatus,
    /// What it printed and logged.
    pub(crate) output: String,
}

/// A running httpd. Dropping it stops it; if the test is failing, its logs are printed.
pub(crate) struct Httpd {
    site: Site,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Httpd {
    /// An httpd with `module` loaded.
    pub(crate) fn builder(module: Module) -> Builder {
        Builder {
            mpm: Mpm::Event,
            module: Some(module),
            modules: Vec::new(),
            threads: 8,
            servers: 1,
            config: String::new(),
            workers: String::new(),
            worker_list: Vec::new(),
            vhosts: Vec::new(),
            tls: None,
            ipv6: false,
            http2: false,
            jk_log_level: Some("info".into()),
            files: Vec::new(),
            private: Vec::new(),
            environment: Vec::new(),
            patience: DEADLINE,
            wrapper: Vec::new(),
        }
    }

    /// An httpd without any mod_jk.
    pub(crate) fn builder_without_jk() -> Builder {
        Builder { module: None, ..Self::builder(Module::C) }
    }

    /// The main server's address.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.site.main.addr()
    }

    /// The main server's address on ::1, with [`Builder::ipv6`].
    pub(crate) fn addr6(&self) -> SocketAddr {
        self.site.main6.as_ref().expect("Builder::ipv6 was called").addr()
    }

    /// The address of the virtual host with TLS, with [`Builder::tls`].
    pub(crate) fn tls_addr(&self) -> SocketAddr {
        self.site.tls.as_ref().expect("Builder::tls was called").addr()
    }

    /// `https://localhost:port` + `target`: a name its certificate is for.
    pub(crate) fn https(&self, target: &str) -> String {
        format!("https://localhost:{}{target}", self.tls_addr().port())
    }

    /// `http://127.0.0.1:port` + `target`.
    pub(crate) fn http(&self, target: &str) -> String {
        format!("http://{}{target}", self.addr())
    }

    /// The address of a virtual host, with [`Builder::vhost`].
    #[track_caller]
    pub(crate) fn vhost(&self, name: &str) -> SocketAddr {
        let found = self.site.vhosts.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no virtual host {name}")).1.addr()
    }

    /// A path below the ServerRoot.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.site.path(relative)
    }

    pub(crate) fn error_log(&self) -> String {
        self.site.log("error")
    }

    pub(crate) fn jk_log(&self) -> String {
        self.site.log("jk")
    }

    /// Everything it printed and logged.
    fn all_logs(&self) -> String {
        ["output", "error", "jk"]
            .map(|name| (name, self.site.log(name)))
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| format!("--- logs/{name}.log of {}\n{text}", self.addr()))
            .collect()
    }

    /// Waits until one of the logs contains `text`. False if `deadline` passes first.
    pub(crate) fn wait_log(&self, text: &str, deadline: Duration) -> bool {
        eventually(deadline, || self.error_log().contains(text) || self.jk_log().contains(text))
    }

    /// The parent process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The processes that serve, old generations included.
    pub(crate) fn child_pids(&self) -> Vec<u32> {
        process::children_of(self.pid())
    }

    /// The one process that serves: with event or worker and one server.
    #[track_caller]
    pub(crate) fn only_child(&self) -> u32 {
        let children = self.child_pids();
        assert_eq!(children.len(), 1, "children {children:?}");
        children[0]
    }

    /// Resident memory of a process.
    #[track_caller]
    pub(crate) fn rss_kib(&self, pid: u32) -> u64 {
        process::status_kib(pid, "VmRSS").unwrap_or_else(|| panic!("process {pid} is gone"))
    }

    /// Resident memory of a process without files and shared memory: what it allocated.
    #[track_caller]
    pub(crate) fn anon_kib(&self, pid: u32) -> u64 {
        process::status_kib(pid, "RssAnon").unwrap_or_else(|| panic!("process {pid} is gone"))
    }

    /// How many descriptors a process has open.
    pub(crate) fn fd_count(&self, pid: u32) -> usize {
        process::fd_count(pid)
    }

    /// Restarts gracefully and waits until the new generation serves. Children of the old one
    /// may still be finishing.
    #[track_caller]
    pub(crate) fn graceful(&mut self) {
        self.restart_by(libc::SIGUSR1);
    }

    /// As `apachectl restart`: ends all children first.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.restart_by(libc::SIGHUP);
    }

    #[track_caller]
    fn restart_by(&mut self, signal: libc::c_int) {
        let generations = |httpd: &Self| httpd.error_log().matches(READY).count();
        let before = generations(self);
        assert!(process::signal(Target::Process(self.pid()), signal), "httpd is gone");
        let mut ended = None;
        let restarted = eventually(DEADLINE, || {
            ended = self.child.try_wait().expect("waitpid");
            ended.is_some() || generations(self) > before
        });
        self.ended = ended;
        assert!(restarted && ended.is_none(), "no restart: {ended:?}");
    }

    /// Kills the parent alone and returns the children, which go on: nobody else ends them. See
    /// [`Httpd::start_again`].
    pub(crate) fn kill_parent(&mut self) -> Vec<u32> {
        // Stopped, it starts no further ones while they are counted.
        process::signal(Target::Process(self.pid()), libc::SIGSTOP);
        let children = self.child_pids();
        process::signal(Target::Process(self.pid()), libc::SIGKILL);
        self.ended = Some(self.child.wait().expect("waitpid"));
        children
    }

    /// Starts it at the same place once it has ended.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        assert!(self.ended.is_some(), "httpd runs");
        let before = self.error_log().matches(READY).count();
        self.child = self.site.spawn();
        self.ended = None;
        let mut ended = None;
        let ready = eventually(DEADLINE, || {
            ended = self.child.try_wait().expect("waitpid");
            ended.is_some() || self.error_log().matches(READY).count() > before
        });
        self.ended = ended;
        assert!(ready && ended.is_none(), "no start: {ended:?}");
    }

    /// Runs `httpd -t` with its configuration as it now is on disk.
    pub(crate) fn config_test(&self) -> Refusal {
        self.site.config_test()
    }

    /// Stops it as `apachectl stop` does and returns how it ended. Children that are stuck in
    /// a request are not waited for.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        process::signal(Target::Process(self.pid()), libc::SIGTERM);
        // Who looks for leaks at its end needs longer for it.
        let patience = Duration::from_secs(if sanitizer().is_some() { 20 } else { 1 });
        let status = process::wait(&mut self.child, patience)
            .or_else(|| {
                // The parent waits for a child that waits for an engine. With the child gone
                // it cleans up after itself, which it could not do if we killed it.
                for child in self.child_pids() {
                    process::signal(Target::Process(child), libc::SIGKILL);
                }
                process::wait(&mut self.child, Duration::from_secs(10))
            })
            .unwrap_or_else(|| {
                process::signal(Target::Group(self.pid()), libc::SIGKILL);
                self.child.wait().expect("waitpid")
            });
        self.ended = Some(status);
        status
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("{}", self.all_logs());
        }
    }
}
