//! Debian's tomcat10 with a CATALINA_BASE of its own and nothing but an AJP connector.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use super::process::{self, at_exit};
use super::{Endpoint, ReservedPort, eventually};

/// What applications inherit: static files and JSP. The server's own file is in a package that also
/// installs a service.
const WEB_XML: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
  <servlet>
    <servlet-name>default</servlet-name>
    <servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class>
    <load-on-startup>1</load-on-startup>
  </servlet>
  <servlet>
    <servlet-name>jsp</servlet-name>
    <servlet-class>org.apache.jasper.servlet.JspServlet</servlet-class>
    <load-on-startup>3</load-on-startup>
  </servlet>
  <servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
  <servlet-mapping><servlet-name>jsp</servlet-name><url-pattern>*.jsp</url-pattern></servlet-mapping>
  <welcome-file-list>
    <welcome-file>index.html</welcome-file>
    <welcome-file>index.jsp</welcome-file>
  </welcome-file-list>
</web-app>
"#;

const HOME: &str = "/usr/share/tomcat10";

/// A JVM on a busy machine takes its time.
const START: Duration = Duration::from_secs(120);

/// How a Tomcat is set up.
pub(crate) struct Builder {
    secret: Option<String>,
    secret_required: bool,
    packet_size: u32,
    tomcat_authentication: bool,
    max_threads: u32,
    connection_timeout_ms: Option<u32>,
    connector: String,
    unix: bool,
    route: Option<String>,
    cluster: String,
    apps: Vec<(String, PathBuf)>,
    files: Vec<(String, String)>,
    http: Option<SocketAddr>,
}

impl Builder {
    /// Serves HTTP too, here.
    pub(crate) fn http(mut self, addr: SocketAddr) -> Self {
        self.http = Some(addr);
        self
    }

    /// `secret` and `secretRequired="true"`.
    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self.secret_required = true;
        self
    }

    /// `packetSize`.
    pub(crate) fn packet_size(mut self, bytes: u32) -> Self {
        self.packet_size = bytes;
        self
    }

    /// `tomcatAuthentication`; false unless said, so that httpd's user counts.
    pub(crate) fn tomcat_authentication(mut self, on: bool) -> Self {
        self.tomcat_authentication = on;
        self
    }

    /// `maxThreads`.
    pub(crate) fn max_threads(mut self, threads: u32) -> Self {
        self.max_threads = threads;
        self
    }

    /// `connectionTimeout`: after how many idle milliseconds Tomcat closes a connection.
    pub(crate) fn connection_timeout_ms(mut self, timeout: u32) -> Self {
        self.connection_timeout_ms = Some(timeout);
        self
    }

    /// Further attributes of the `<Connector>`, as XML.
    pub(crate) fn connector(mut self, attributes: &str) -> Self {
        self.connector = attributes.to_owned();
        self
    }

    /// `jvmRoute`: what session ids end with.
    pub(crate) fn route(mut self, route: &str) -> Self {
        self.route = Some(route.to_owned());
        self
    }

    /// A `<Cluster>` element of the engine, as XML.
    pub(crate) fn cluster(mut self, element: &str) -> Self {
        self.cluster = element.to_owned();
        self
    }

    /// Listens on a Unix socket instead of a port.
    pub(crate) fn unix(mut self) -> Self {
        self.unix = true;
        self
    }

    /// Copies a directory to webapps/`name`.
    pub(crate) fn app(mut self, name: &str, dir: impl Into<PathBuf>) -> Self {
        self.apps.push((name.to_owned(), dir.into()));
        self
    }

    /// Writes a file below webapps.
    pub(crate) fn file(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// Starts it and waits until its connector answers CPING.
    #[track_caller]
    pub(crate) fn start(self) -> Tomcat {
        let mut tomcat = self.prepare();
        tomcat.launch();
        tomcat
    }

    /// Writes all that it needs; [`Tomcat::launch`] starts it.
    pub(crate) fn prepare(self) -> Tomcat {
        let base = super::temp_dir("jk-tomcat-");
        let (endpoint, reserved) = if self.unix {
            (Endpoint::Unix(base.path().join("ajp.sock")), None)
        } else {
            let port = ReservedPort::v4();
            (Endpoint::Tcp(port.addr()), Some(port))
        };
        self.write(base.path(), &endpoint);
        Tomcat { base, endpoint, child: None, _reserved: reserved }
    }

    fn write(&self, base: &Path, endpoint: &Endpoint) {
        for dir in ["conf", "logs", "temp", "work", "webapps"] {
            std::fs::create_dir(base.join(dir)).expect("mkdir");
        }
        std::fs::write(base.join("conf/web.xml"), WEB_XML).expect("web.xml");
        // Scanning every jar of the server for tag libraries takes longer than all the rest.
        let context = "<Context><JarScanner scanClassPath=\"false\" \
                       scanBootstrapClassPath=\"false\"/></Context>\n";
        std::fs::write(base.join("conf/context.xml"), context).expect("context.xml");
        std::fs::write(base.join("conf/server.xml"), self.server_xml(endpoint))
            .expect("server.xml");
        for (name, dir) in &self.apps {
            copy_tree(dir, &base.join("webapps").join(name));
        }
        for (path, text) in &self.files {
            let path = base.join("webapps").join(path);
            std::fs::create_dir_all(path.parent().expect("below webapps")).expect("mkdir");
            std::fs::write(path, text).expect("a file of the web application");
        }
    }

    fn server_xml(&self, endpoint: &Endpoint) -> String {
        let place = match endpoint {
            Endpoint::Tcp(addr) => format!("address=\"{}\" port=\"{}\"", addr.ip(), addr.port()),
            Endpoint::Unix(path) => format!(
                "unixDomainSocketPath=\"{}\" unixDomainSocketPathPermissions=\"rw-rw-rw-\"",
                path.display()
            ),
        };
        let secret = match &self.secret {
            Some(secret) => format!("secret=\"{secret}\""),
            None => String::new(),
        };
        let timeout = match self.connection_timeout_ms {
            Some(timeout) => format!("connectionTimeout=\"{timeout}\""),
            None => String::new(),
        };
        let route = match &self.route {
            Some(route) => format!("jvmRoute=\"{route}\""),
            None => String::new(),
        };
        let http = match self.http {
            Some(addr) => format!(
                "<Connector protocol=\"HTTP/1.1\" address=\"{}\" port=\"{}\" \
                 maxThreads=\"{}\"/>\n",
                addr.ip(),
                addr.port(),
                self.max_threads
            ),
            None => String::new(),
        };
        format!(
            "<Server port=\"-1\">\n<Service name=\"Catalina\">\n\
             <Connector protocol=\"AJP/1.3\" {place} {secret} {timeout} {} \
             secretRequired=\"{}\" packetSize=\"{}\" tomcatAuthentication=\"{}\" \
             maxThreads=\"{}\" minSpareThreads=\"2\"/>\n{http}\
             <Engine name=\"Catalina\" defaultHost=\"localhost\" {route}>\n{}\n\
             <Host name=\"localhost\" appBase=\"webapps\" autoDeploy=\"false\" \
             startStopThreads=\"0\"/>\n</Engine>\n</Service>\n</Server>\n",
            self.connector,
            self.secret_required,
            self.packet_size,
            self.tomcat_authentication,
            self.max_threads,
            self.cluster
        )
    }
}

/// A running Tomcat. Dropping it kills it; if the test is failing, its log is printed.
pub(crate) struct Tomcat {
    base: TempDir,
    endpoint: Endpoint,
    child: Option<Child>,
    _reserved: Option<ReservedPort>,
}

impl Tomcat {
    pub(crate) fn builder() -> Builder {
        Builder {
            secret: None,
            secret_required: false,
            packet_size: 8192,
            tomcat_authentication: false,
            max_threads: 50,
            connection_timeout_ms: None,
            connector: String::new(),
            unix: false,
            route: None,
            cluster: String::new(),
            apps: Vec::new(),
            files: Vec::new(),
            http: None,
        }
    }

    /// The Tomcat of the whole run, for tests that neither restart nor reconfigure it: no
    /// secret, the sample application under /ivy, and [`PROBE`] under /probe/.
    pub(crate) fn shared() -> Endpoint {
        static ENDPOINT: OnceLock<Endpoint> = OnceLock::new();
        static TOMCAT: Mutex<Option<Tomcat>> = Mutex::new(None);
        ENDPOINT
            .get_or_init(|| {
                let mut builder = Self::builder().max_threads(200).file("probe/index.jsp", PROBE);
                let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/demo/ivy");
                if sample.is_dir() {
                    builder = builder.app("ivy", sample);
                }
                let tomcat = builder.start();
                let endpoint = tomcat.endpoint();
                *TOMCAT.lock().unwrap_or_else(PoisonError::into_inner) = Some(tomcat);
                at_exit(|| drop(TOMCAT.lock().unwrap_or_else(PoisonError::into_inner).take()));
                endpoint
            })
            .clone()
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(self.base.path().join("logs/out.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills it: connections break, connects are refused.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it in the middle of whatever it does: connections stay, connects are accepted by the
    /// system, nobody answers. See [`Tomcat::resume`].
    pub(crate) fn freeze(&self) {
        self.signal(libc::SIGSTOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: libc::c_int) {
        let pid = self.pid().expect("Tomcat runs");
        assert!(process::signal(process::Target::Process(pid), signal), "Tomcat is gone");
    }

    /// Lets it stop in its own way: requests end, connections are closed.
    pub(crate) fn stop(&mut self) {
        if let Some(child) = &mut self.child {
            process::signal(process::Target::Process(child.id()), libc::SIGTERM);
            process::wait(child, Duration::from_secs(20));
        }
        self.kill();
    }

    /// Starts it again at the same place, after [`Tomcat::kill`] or [`Tomcat::stop`].
    #[track_caller]
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "Tomcat runs already");
        if let Endpoint::Unix(path) = &self.endpoint {
            let _ = std::fs::remove_file(path);
        }
        self.child = Some(self.spawn());
        let mut ended = None;
        let ready = eventually(START, || {
            ended = self.child.as_mut().and_then(|child| child.try_wait().expect("waitpid"));
            ended.is_some() || answers_cping(&self.endpoint)
        });
        assert!(ready && ended.is_none(), "Tomcat does not start: {ended:?}\n{}", self.log());
    }

    /// Stops it in its own way and starts it again.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.launch();
    }

    fn spawn(&self) -> Child {
        let base = self.base.path();
        let output = || {
            let path = base.join("logs/out.log");
            File::options().append(true).create(true).open(path).expect("logs/out.log")
        };
        // All compilers stay on: C1 alone starts no sooner and hashes an upload at a quarter of
        // the speed.
        let mut command = Command::new("java");
        command
            .args(["-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xshare:auto", "-Xmx256m"])
            .args(["-Djava.awt.headless=true", "-Djava.security.egd=file:/dev/urandom"])
            .arg("-cp")
            .arg(format!("{HOME}/bin/bootstrap.jar:{HOME}/bin/tomcat-juli.jar"))
            .arg(format!("-Dcatalina.home={HOME}"))
            .arg(format!("-Dcatalina.base={}", base.display()))
            .arg(format!("-Djava.io.tmpdir={}", base.join("temp").display()))
            .args(["org.apache.catalina.startup.Bootstrap", "start"])
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output());
        process::spawn(command, libc::SIGKILL)
            .unwrap_or_else(|error| panic!("java: {error}; misc/dev test installs it"))
    }
}

impl Drop for Tomcat {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- Tomcat at {:?}\n{}", self.endpoint, self.log());
        }
    }
}

/// A page that names the request it serves, and the hash of a body if there was one.
pub(crate) const PROBE: &str = r#"<%@ page contentType="text/plain" session="false"
  import="java.io.InputStream,java.security.MessageDigest,java.util.HexFormat" %><%
  MessageDigest hash = MessageDigest.getInstance("SHA-256");
  long length = 0;
  byte[] block = new byte[65536];
  InputStream in = request.getInputStream();
  for (int n; (n = in.read(block)) > 0; length += n) hash.update(block, 0, n);
%>method=<%= request.getMethod() %>
uri=<%= request.getRequestURI() %>
query=<%= request.getQueryString() %>
scheme=<%= request.getScheme() %>
length=<%= length %>
sha256=<%= HexFormat.of().formatHex(hash.digest()) %>
"#;

/// True if the connector answers a CPING with CPONG.
fn answers_cping(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Tcp(addr) => TcpStream::connect(addr).is_ok_and(|stream| {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            pings(stream)
        }),
        Endpoint::Unix(path) => UnixStream::connect(path).is_ok_and(|stream| {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            pings(stream)
        }),
    }
}

fn pings(mut stream: impl Read + Write) -> bool {
    let mut answer = [0; 5];
    stream.write_all(&[0x12, 0x34, 0, 1, super::packet::CPING]).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer[..] == super::packet::cpong()
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("mkdir");
    let entries = std::fs::read_dir(from)
        .unwrap_or_else(|error| panic!("web application {}: {error}", from.display()));
    for entry in entries {
        let entry = entry.expect("a directory entry");
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            copy_tree(&source, &target);
        } else {
            std::fs::copy(&source, &target)
                .unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        }
    }
}
