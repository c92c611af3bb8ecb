//! Debian's httpd with a ServerRoot of its own.

use std::fmt::Write as _;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{self, Target};
use super::tls::certificates;
use super::{DEADLINE, Endpoint, ReservedPort, eventually};

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
            match Site::write(&self).start() {
                Err(refusal) if refusal.output.contains("AH00072") => {}
                outcome => return outcome,
            }
        }
        panic!("no port is free for httpd");
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

/// A ServerRoot on disk, and the ports it names.
struct Site {
    root: TempDir,
    main: ReservedPort,
    main6: Option<ReservedPort>,
    tls: Option<ReservedPort>,
    vhosts: Vec<(String, ReservedPort)>,
}

impl Site {
    fn write(builder: &Builder) -> Self {
        let root = super::temp_dir("jk-httpd-");
        let site = Self {
            root,
            main: ReservedPort::v4(),
            main6: builder.ipv6.then(ReservedPort::v6),
            tls: builder.tls.is_some().then(ReservedPort::v4),
            vhosts: builder
                .vhosts
                .iter()
                .map(|(name, _)| (name.clone(), ReservedPort::v4()))
                .collect(),
        };
        for dir in ["conf", "logs", "run", "htdocs"] {
            std::fs::create_dir(site.path(dir)).expect("mkdir");
        }
        site.put("conf/mime.types", b"text/html html\ntext/plain txt\n");
        if let Some(workers) = builder.workers_file() {
            site.put("conf/workers.properties", site.fill(&workers).as_bytes());
        }
        for (path, content) in &builder.files {
            let content = match std::str::from_utf8(content) {
                Ok(text) => site.fill(text).into_bytes(),
                Err(_) => content.clone(),
            };
            site.put(path, &content);
        }
        site.put("conf/httpd.conf", site.fill(&builder.httpd_conf(&site)).as_bytes());
        site
    }

    fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(relative)
    }

    fn put(&self, relative: impl AsRef<Path>, content: &[u8]) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("mkdir");
        std::fs::write(&path, content)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    fn fill(&self, text: &str) -> String {
        let tls = self.tls.as_ref().map(|port| port.port().to_string()).unwrap_or_default();
        text.replace("@ROOT@", &self.root.path().display().to_string())
            .replace("@PORT@", &self.main.port().to_string())
            .replace("@TLSPORT@", &tls)
    }

    fn command(&self) -> Command {
        let output = || {
            let path = self.path("logs/output.log");
            File::options().append(true).create(true).open(path).expect("logs/output.log")
        };
        let mut command = Command::new(&INSTALL.program);
        command
            .arg("-d")
            .arg(self.root.path())
            .arg("-f")
            .arg(self.path("conf/httpd.conf"))
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C")
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        command
    }

    fn start(self) -> Result<Httpd, Refusal> {
        let mut command = self.command();
        command.args(["-D", "FOREGROUND"]);
        // SIGTERM lets httpd take its children along.
        let child = process::spawn(command, libc::SIGTERM)
            .unwrap_or_else(|error| panic!("{}: {error}", INSTALL.program.display()));
        let mut httpd = Httpd { site: self, child, ended: None };
        let mut ready = false;
        eventually(DEADLINE, || {
            httpd.ended = httpd.child.try_wait().expect("waitpid");
            ready = httpd.error_log().contains(READY);
            ready || httpd.ended.is_some()
        });
        match httpd.ended {
            Some(status) => Err(Refusal { status, output: httpd.all_logs() }),
            None if ready => Ok(httpd),
            None => panic!("httpd is not ready after {DEADLINE:?}:\n{}", httpd.all_logs()),
        }
    }

    fn config_test(&self) -> Refusal {
        let mut child = process::spawn(
            {
                let mut c = self.command();
                c.arg("-t");
                c
            },
            libc::SIGKILL,
        )
        .unwrap_or_else(|error| panic!("{}: {error}", INSTALL.program.display()));
        let status = process::wait(&mut child, DEADLINE).unwrap_or_else(|| {
            let _ = child.kill();
            panic!("httpd -t does not end");
        });
        Refusal { status, output: self.log("output") + &self.log("error") }
    }

    fn log(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(format!("logs/{name}.log"))).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Builder {
    fn workers_file(&self) -> Option<String> {
        if self.worker_list.is_empty() {
            return (!self.workers.is_empty()).then(|| self.workers.clone());
        }
        Some(format!("worker.list={}\n{}", self.worker_list.join(","), self.workers))
    }

    fn httpd_conf(&self, site: &Site) -> String {
        let mut conf = String::from(
            "ServerRoot \"@ROOT@\"\nServerName localhost\nDefaultRuntimeDir run\n\
             PidFile run/httpd.pid\nMutex file:run default\nErrorLog logs/error.log\n\
             DocumentRoot htdocs\nTimeout 60\nKeepAliveTimeout 60\nMaxKeepAliveRequests 0\n\
             AcceptFilter http none\nAcceptFilter https none\n",
        );
        self.put_modules(&mut conf);
        self.put_mpm(&mut conf);
        put(&mut conf, format_args!("Listen {}", site.main.addr()));
        if let Some(port) = &site.main6 {
            put(&mut conf, format_args!("Listen {}", port.addr()));
        }
        conf.push_str("<IfModule mime_module>\nTypesConfig conf/mime.types\n</IfModule>\n");
        if running_as_root() {
            conf.push_str("User www-data\nGroup www-data\n");
        }
        if self.http2 {
            conf.push_str("Protocols h2 h2c http/1.1\n");
        }
        self.put_jk(&mut conf);
        conf.push_str(&self.config);
        for ((name, lines), (_, port)) in self.vhosts.iter().zip(&site.vhosts) {
            put_vhost(&mut conf, port, name, lines);
        }
        if let (Some(lines), Some(port)) = (&self.tls, &site.tls) {
            let certificates = certificates();
            let engine = format!(
                "SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\n\
                 SSLCACertificateFile {}\n{lines}",
                certificates.server.display(),
                certificates.server_key.display(),
                certificates.ca.display()
            );
            put_vhost(&mut conf, port, "localhost", &engine);
        }
        conf
    }

    fn put_modules(&self, conf: &mut String) {
        let mpm = format!("mpm_{}", self.mpm.name());
        let mut names = vec![mpm.as_str(), "unixd", "authz_core"];
        names.extend(self.tls.is_some().then_some("ssl"));
        names.extend(self.http2.then_some("http2"));
        names.extend(self.modules.iter().map(String::as_str));
        let mut loaded: Vec<&str> = Vec::new();
        for name in names {
            let file = module_file(name);
            let compiled_in = ["unixd", "log_config", "logio", "version", "watchdog", "so"];
            if loaded.contains(&name) || (compiled_in.contains(&name) && !file.exists()) {
                continue;
            }
            loaded.push(name);
            // The MPMs' files say mpm_event, their symbols mpm_event_module: the rule holds.
            put(conf, format_args!("LoadModule {name}_module {}", file.display()));
        }
        if let Some(module) = self.module {
            put(conf, format_args!("LoadModule jk_module {}", module.path().display()));
        }
    }

    fn put_mpm(&self, conf: &mut String) {
        let (threads, most) = (self.threads, self.threads * self.servers);
        if self.mpm == Mpm::Prefork {
            let first = most.min(4);
            put(
                conf,
                format_args!(
                    "ServerLimit {most}\nMaxRequestWorkers {most}\nStartServers {first}\n\
                     MinSpareServers 1\nMaxSpareServers {most}"
                ),
            );
            return;
        }
        // Room for one old generation and one new one during a graceful restart.
        let limit = self.servers * 2 + 2;
        put(
            conf,
            format_args!(
                "ServerLimit {limit}\nStartServers {}\nThreadLimit {threads}\n\
                 ThreadsPerChild {threads}\nMaxRequestWorkers {most}\nMinSpareThreads 1\n\
                 MaxSpareThreads {most}",
                self.servers
            ),
        );
    }

    fn put_jk(&self, conf: &mut String) {
        let Some(module) = self.module else { return };
        if self.workers_file().is_some() {
            conf.push_str("JkWorkersFile conf/workers.properties\n");
        }
        if module == Module::C {
            // Without it the C module warns and uses logs/jk-runtime-status.
            conf.push_str("JkShmFile run/jk-shm\n");
        }
        if let Some(level) = &self.jk_log_level {
            put(conf, format_args!("JkLogFile logs/jk.log\nJkLogLevel {level}"));
        }
    }
}

fn put(conf: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(conf, "{line}").expect("a String takes it");
}

fn put_vhost(conf: &mut String, port: &ReservedPort, name: &str, lines: &str) {
    let addr = port.addr();
    put(
        conf,
        format_args!(
            "Listen {addr}\n<VirtualHost {addr}>\nServerName {name}\n{lines}\n</VirtualHost>"
        ),
    );
}

fn running_as_root() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
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
        let generations = |httpd: &Self| httpd.error_log().matches(READY).count();
        let before = generations(self);
        assert!(process::signal(Target::Process(self.pid()), libc::SIGUSR1), "httpd is gone");
        let mut ended = None;
        let restarted = eventually(DEADLINE, || {
            ended = self.child.try_wait().expect("waitpid");
            ended.is_some() || generations(self) > before
        });
        self.ended = ended;
        assert!(restarted && ended.is_none(), "no graceful restart: {ended:?}");
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
        let status = process::wait(&mut self.child, Duration::from_secs(1))
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
