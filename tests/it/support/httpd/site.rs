//! What an httpd is started from: its ServerRoot, its configuration, its ports.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{Builder, Httpd, INSTALL, Module, Mpm, READY, Refusal, module_file, sanitizer};
use crate::support::tls::certificates;
use crate::support::{DEADLINE, ReservedPort, eventually, process, temp_dir};

/// A ServerRoot on disk, and the ports it names.
pub(super) struct Site {
    pub(super) root: TempDir,
    pub(super) main: ReservedPort,
    pub(super) main6: Option<ReservedPort>,
    pub(super) tls: Option<ReservedPort>,
    pub(super) vhosts: Vec<(String, ReservedPort)>,
    environment: Vec<(String, OsString)>,
    wrapper: Vec<String>,
    module: Option<Module>,
}

impl Site {
    pub(super) fn write(builder: &Builder) -> Self {
        let root = temp_dir("jk-httpd-");
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
            environment: builder.environment.clone(),
            wrapper: builder.wrapper.clone(),
            module: builder.module,
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
        for path in &builder.private {
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(site.path(path), private).expect("chmod 600");
        }
        site.put("conf/httpd.conf", site.fill(&builder.httpd_conf(&site)).as_bytes());
        site
    }

    pub(super) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(relative)
    }

    fn put(&self, relative: impl AsRef<Path>, content: &[u8]) {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("mkdir");
        std::fs::write(&path, content)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Only who starts httpd reads these, and a warning says so where they hold a secret.
        let name = path.to_string_lossy();
        if name.ends_with("workers.properties") || name.ends_with(".conf") {
            let private = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(&path, private).expect("chmod 640");
        }
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
        let mut command = match self.wrapper.split_first() {
            Some((program, args)) => {
                let mut command = Command::new(program);
                command.args(args).arg(&INSTALL.program);
                command
            }
            None => Command::new(&INSTALL.program),
        };
        command
            .arg("-d")
            .arg(self.root.path())
            .arg("-f")
            .arg(self.path("conf/httpd.conf"))
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        // C mod_jk and what belongs to no module of ours are not under test.
        if let (Some(Module::Ours), Some(sanitizer)) = (self.module, sanitizer()) {
            command.envs(sanitizer);
        }
        command
    }

    pub(super) fn spawn(&self) -> Child {
        let mut command = self.command();
        command.args(["-D", "FOREGROUND"]);
        // SIGTERM lets httpd take its children along.
        process::spawn(command, libc::SIGTERM)
            .unwrap_or_else(|error| panic!("{}: {error}", INSTALL.program.display()))
    }

    pub(super) fn start(self, patience: Duration) -> Result<Httpd, Refusal> {
        let child = self.spawn();
        let mut httpd = Httpd { site: self, child, ended: None };
        let mut ready = false;
        eventually(patience, || {
            httpd.ended = httpd.child.try_wait().expect("waitpid");
            ready = httpd.error_log().contains(READY);
            ready || httpd.ended.is_some()
        });
        match httpd.ended {
            Some(status) => Err(Refusal { status, output: httpd.all_logs() }),
            None if ready => Ok(httpd),
            None => panic!("httpd is not ready after {patience:?}:\n{}", httpd.all_logs()),
        }
    }

    pub(super) fn list_directives(&self) -> String {
        let mut command = self.command();
        // httpd lists the modules of LoadModule directives that it is given beforehand.
        let loads = std::fs::read_to_string(self.path("conf/httpd.conf")).expect("httpd.conf");
        for line in loads.lines().filter(|line| line.starts_with("LoadModule ")) {
            command.args(["-C", line]);
        }
        let output = command.arg("-L").stdout(Stdio::piped()).output();
        String::from_utf8_lossy(&output.expect("httpd -L").stdout).into_owned()
    }

    pub(super) fn config_test(&self) -> Refusal {
        let mut command = self.command();
        command.arg("-t");
        let mut child = process::spawn(command, libc::SIGKILL)
            .unwrap_or_else(|error| panic!("{}: {error}", INSTALL.program.display()));
        let status = process::wait(&mut child, DEADLINE).unwrap_or_else(|| {
            let _ = child.kill();
            panic!("httpd -t does not end");
        });
        Refusal { status, output: self.log("output") + &self.log("error") }
    }

    pub(super) fn log(&self, name: &str) -> String {
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
