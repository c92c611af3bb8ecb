//! The Axon Ivy Engines of a configuration: their files, and what follows from them for workers and
//! servers.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::conftree;
use super::ffi;
use super::log::lossy;
use super::pool;
use super::server::{RawConfig, ServerConfig};
use crate::config::ivy::{
    Engine, EngineFiles, EngineLine, FrontEnd, MAX_FILE, Source, check_base_url,
};
use crate::config::{Place, Problems, Properties, Target, WorkerConfig, WorkerName};
use crate::mapping::{Mount, Rule};
use crate::net::NameCache;

const DIRECTIVE: &str = "JkIvyEngine";

/// A JkIvyEngine line with the engine's files.
#[derive(Debug)]
struct Connected {
    line: EngineLine,
    files: Rc<EngineFiles>,
    /// What tells the engine from others: its ivy.yaml without links.
    file: PathBuf,
}

impl Connected {
    fn engine(&self) -> Engine<'_> {
        Engine { line: &self.line, files: &self.files }
    }

    /// Whether two lines reach the engine in the same way.
    fn is_same_worker(&self, other: &Self) -> bool {
        let address = |line: &EngineLine| (line.host.clone(), line.port, line.socket.clone());
        address(&self.line) == address(&other.line)
    }
}

/// All engines of a configuration.
#[derive(Debug, Default)]
pub(super) struct Ivy {
    connected: Vec<Connected>,
}

/// What JkIvyEngine makes of one server.
#[derive(Debug, Default)]
pub(super) struct IvyRules {
    /// Paths that answer 403, with all below them.
    pub denied: Vec<Vec<u8>>,
    /// Where `/` leads.
    pub redirect: Option<Vec<u8>>,
}

impl Ivy {
    /// Reads the files of all engines that the servers name.
    pub(super) fn read(records: &[&ServerConfig], problems: &mut Problems) -> Self {
        let mut ivy = Self::default();
        let mut known: HashMap<PathBuf, Rc<EngineFiles>> = HashMap::new();
        let mut seen: Vec<&EngineLine> = Vec::new();
        // httpd has the main server first, and then the virtual hosts from the last one on.
        let (main, hosts) = records.split_at(records.len().min(1));
        let records = main.iter().chain(hosts.iter().rev());
        for line in records.flat_map(|record| &record.raw.ivy.engines) {
            // Virtual hosts have the lines of the main server.
            if seen.contains(&line) {
                continue;
            }
            seen.push(line);
            let Some(path) = ivy_yaml(line, problems) else { continue };
            let file = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let files = match known.get(&file) {
                Some(files) => Rc::clone(files),
                None => {
                    let Some(files) = read_files(&path, &line.place, problems).map(Rc::new) else {
                        continue;
                    };
                    known.insert(file.clone(), Rc::clone(&files));
                    files
                }
            };
            ivy.add(Connected { line: line.clone(), files, file }, problems);
        }
        ivy
    }

    fn add(&mut self, connected: Connected, problems: &mut Problems) {
        connected.engine().check(problems);
        let name = &connected.line.worker;
        let same = self.connected.iter().find(|known| known.line.worker == *name);
        if let Some(known) = same {
            let place = &connected.line.place;
            if known.file != connected.file {
                problems.error(
                    place,
                    DIRECTIVE,
                    format!("worker {name} is the engine of {} already", known.line.place),
                    format!("give this one a name of its own, such as worker={name}2"),
                );
                return;
            }
            if !known.is_same_worker(&connected) {
                problems.error(
                    place,
                    DIRECTIVE,
                    format!(
                        "worker {name} of {} has another host, port or socket",
                        known.line.place
                    ),
                    "write the same ones, or give this one a name of its own with worker=",
                );
                return;
            }
        }
        self.connected.push(connected);
    }

    /// Whether a worker is that of a JkIvyEngine line.
    pub(super) fn is_engine(&self, worker: &WorkerName) -> bool {
        self.connected.iter().any(|connected| connected.line.worker == *worker)
    }

    /// Each worker once.
    fn workers(&self) -> impl Iterator<Item = &Connected> {
        self.connected.iter().enumerate().filter_map(|(at, connected)| {
            let before = self.connected.get(..at).unwrap_or_default();
            let is_new = before.iter().all(|known| known.line.worker != connected.line.worker);
            is_new.then_some(connected)
        })
    }

    /// Adds the workers to the properties that the administrator has set, which win.
    pub(super) fn add_workers(&self, properties: &mut Properties, problems: &mut Problems) {
        if self.connected.is_empty() {
            return;
        }
        // What a worker inherits from a template is set for it, too.
        properties.resolve_references(problems);
        for connected in self.workers() {
            connected.engine().add_to(properties, problems);
        }
    }

    /// The engines of a server.
    fn of<'i>(&'i self, raw: &'i RawConfig) -> impl Iterator<Item = &'i Connected> {
        self.connected.iter().filter(|connected| raw.ivy.engines.contains(&connected.line))
    }

    /// The mapping rules of a server's engines.
    pub(super) fn mounts(&self, raw: &RawConfig, problems: &mut Problems) -> Vec<Rule> {
        let mut rules = Vec::new();
        let mut taken: Vec<&Connected> = Vec::new();
        for connected in self.of(raw) {
            let (engine, line) = (connected.engine(), &connected.line);
            let same = |known: &&&Connected| known.engine().context() == engine.context();
            if let Some(known) = taken.iter().find(same) {
                let what = format!(
                    "the application of {} has the same path /{}",
                    known.line.place,
                    String::from_utf8_lossy(engine.context())
                );
                let remedy = "write another context=, or remove one of the two lines";
                problems.error(&line.place, DIRECTIVE, what, remedy);
                continue;
            }
            if engine.redirect().is_some()
                && let Some(known) = taken.iter().find(|known| known.engine().redirect().is_some())
            {
                let what = format!("redirect=on has no effect: / leads to {}", known.line.place);
                problems.warning(&line.place, DIRECTIVE, what, "remove redirect=on");
            }
            taken.push(connected);
            rules.extend(Rule::engine(&engine.mount(), line.worker.as_bytes(), &line.place));
        }
        rules
    }

    /// What else the engines make of a server.
    pub(super) fn rules(&self, raw: &RawConfig) -> IvyRules {
        IvyRules {
            denied: self.of(raw).flat_map(|connected| connected.engine().denied()).collect(),
            redirect: self.of(raw).find_map(|connected| connected.engine().redirect()),
        }
    }

    /// For each worker the headers in which its engines believe to find the user. `resolved`: what is
    /// known of the workers' hosts.
    pub(super) fn user_headers(
        &self,
        workers: &[WorkerConfig],
        resolved: &NameCache,
    ) -> Vec<Vec<Vec<u8>>> {
        let mut engines: Vec<(Vec<u8>, Vec<Target>)> = Vec::new();
        for connected in &self.connected {
            let Some(header) = connected.files.user_header() else { continue };
            let worker = self.worker(connected, workers);
            let mut listens: Vec<Target> =
                worker.map(targets).unwrap_or_default().into_iter().cloned().collect();
            listens.extend(connected.engine().beside_socket());
            engines.push((header.into_bytes(), listens));
        }
        let headers_of = |worker: &WorkerConfig| {
            let own = targets(worker);
            let mut headers: Vec<Vec<u8>> = Vec::new();
            for (header, listens) in &engines {
                let is_there = |target: &Target| own.iter().any(|o| is_same(o, target, resolved));
                if !headers.contains(header) && listens.iter().any(is_there) {
                    headers.push(header.clone());
                }
            }
            headers
        };
        workers.iter().map(headers_of).collect()
    }

    fn worker<'w>(
        &self,
        connected: &Connected,
        workers: &'w [WorkerConfig],
    ) -> Option<&'w WorkerConfig> {
        workers.iter().find(|worker| worker.name() == &connected.line.worker)
    }

    /// Says what is not secure, and what does not fit the servers.
    pub(super) fn check(
        &self,
        servers: &[(&ffi::server_rec, &RawConfig)],
        workers: &[WorkerConfig],
        problems: &mut Problems,
    ) {
        for connected in self.workers() {
            connected.engine().check_access(self.worker(connected, workers), problems);
            if let Some(secret) = &connected.files.secret {
                warn_of_readable(Path::new(&*secret.place.source), &secret.place, problems);
            }
        }
        if self.connected.is_empty() {
            return;
        }
        let tls = conftree::tls_servers();
        for connected in self.workers() {
            check_open_mounts(connected, servers.iter().map(|(_, raw)| *raw), problems);
            let is_it = |line: &EngineLine| line.worker == connected.line.worker;
            let leads_here =
                |(_, raw): &&(&ffi::server_rec, &RawConfig)| raw.ivy.engines.iter().any(is_it);
            let mut front_ends: Vec<FrontEnd> = servers
                .iter()
                .rev()
                .filter(leads_here)
                .map(|(server, _)| front_end(server, &tls))
                .collect();
            // Requests that belong to no virtual host hardly come from a browser.
            if front_ends.iter().any(|server| server.is_virtual) {
                front_ends.retain(|server| server.is_virtual);
            }
            check_base_url(&connected.files, &front_ends, &connected.line.place, problems);
        }
        for connected in &self.connected {
            let have_it =
                servers.iter().filter(|(_, raw)| raw.ivy.engines.contains(&connected.line));
            for (_, raw) in have_it {
                check_user_header(connected, raw, problems);
            }
        }
    }
}

/// Where the engines of a worker listen.
fn targets(worker: &WorkerConfig) -> Vec<&Target> {
    match worker {
        WorkerConfig::Ajp13(config) => vec![&config.target],
        WorkerConfig::Balancer(balancer) => {
            balancer.members.iter().map(|member| &member.worker.target).collect()
        }
        WorkerConfig::Status(_) => Vec::new(),
    }
}

/// Whether two targets may be the same engine, however they are written. Where that is open they count
/// as the same: the only loss is a header that a client has sent.
fn is_same(a: &Target, b: &Target, resolved: &NameCache) -> bool {
    match (a, b) {
        (Target::Tcp { host: a, port }, Target::Tcp { host: b, port: other }) => {
            let plain = |host: &str| host.trim_end_matches('.').to_ascii_lowercase();
            port == other && (plain(a) == plain(b) || have_same_host(a, b, resolved))
        }
        #[cfg(unix)]
        (Target::Unix(a), Target::Unix(b)) => {
            let real = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            a == b || real(a) == real(b)
        }
        _ => false,
    }
}

/// Whether two names lead to the same host: they share an address, or both mean this host.
fn have_same_host(a: &str, b: &str, resolved: &NameCache) -> bool {
    let addresses = |name: &str| match name.parse::<IpAddr>() {
        Ok(address) => vec![address.to_canonical()],
        Err(_) if name.trim_end_matches('.').eq_ignore_ascii_case("localhost") => {
            vec![IpAddr::from(Ipv4Addr::LOCALHOST)]
        }
        Err(_) => resolved.addresses(name).iter().map(IpAddr::to_canonical).collect(),
    };
    let (a, b) = (addresses(a), addresses(b));
    let is_here = |address: &IpAddr| is_of_this_host(*address);
    a.iter().any(|address| b.contains(address)) || a.iter().any(is_here) && b.iter().any(is_here)
}

fn is_of_this_host(address: IpAddr) -> bool {
    // The system binds a socket to none but its own addresses.
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

/// Says where JkUserHeader is not what the engine reads.
/// Warns of a server without the engine's line whose own mount leads to the engine: there nothing is
/// denied.
fn check_open_mounts<'r>(
    connected: &Connected,
    records: impl Iterator<Item = &'r RawConfig>,
    problems: &mut Problems,
) {
    let engine = connected.engine();
    let Some(closed) = engine.denied().into_iter().next() else { return };
    let name = connected.line.worker.as_bytes();
    for raw in records {
        let has_line = raw.ivy.engines.iter().any(|line| line.worker == connected.line.worker);
        let leads_here = |mount: &&Mount| mount.worker.split(|b| *b == b';').next() == Some(name);
        let is_closed = |mount: &Mount| mount.is_exclusion && mount.path.starts_with(&closed);
        let mut mounts = raw.mounts.iter().filter(|mount| !mount.is_exclusion);
        if has_line || raw.mounts.iter().any(is_closed) {
            continue;
        }
        if let Some(mount) = mounts.find(leads_here) {
            let what = format!(
                "leads to the engine of {} where its line does not count: {} is open there",
                connected.line.place,
                String::from_utf8_lossy(&closed)
            );
            let remedy = format!(
                "write the {DIRECTIVE} line in this server as well, in place of the mount, or add \
                 JkUnMount \"{}|/*\" {}",
                String::from_utf8_lossy(&closed),
                connected.line.worker
            );
            problems.warning(&mount.place, "JkMount", what, remedy);
        }
    }
}

fn check_user_header(connected: &Connected, raw: &RawConfig, problems: &mut Problems) {
    let (Some((name, place)), Some(header)) = (&raw.user_header, connected.files.user_header())
    else {
        return;
    };
    if header.as_bytes().eq_ignore_ascii_case(name) {
        return;
    }
    let what = format!(
        "wins over the engine of {}, which reads the user in {header}: nobody is logged in there",
        connected.line.place
    );
    let remedy = format!("remove the line, or write JkUserHeader {header}");
    problems.warning(place, "JkUserHeader", what, remedy);
}

/// A server as its users see it.
fn front_end(server: &ffi::server_rec, tls: &conftree::TlsServers) -> FrontEnd {
    let mut names = vec![lossy(server.server_hostname)];
    for array in [server.names, server.wild_names] {
        // SAFETY: null or an array of C strings that lives as long as the configuration.
        let aliases: &[*const std::ffi::c_char] = unsafe { pool::elements(array) };
        names.extend(aliases.iter().map(|alias| lossy(*alias)));
    }
    // SAFETY: null or a C string that lives as long as the configuration.
    let scheme = unsafe { pool::text(server.server_scheme) };
    let is_tls = match scheme {
        Some(scheme) if !scheme.is_empty() => scheme.eq_ignore_ascii_case(b"https"),
        _ => tls.contains(server),
    };
    FrontEnd { is_tls, names, ports: ports(server), is_virtual: server.is_virtual != 0 }
}

/// The ports by which users reach a server: that of ServerName, those of `<VirtualHost>`, else those of
/// Listen.
fn ports(server: &ffi::server_rec) -> Vec<u16> {
    let mut ports = vec![server.port];
    if server.is_virtual != 0 {
        // SAFETY: null or the first address of the server, which lives as long as the configuration.
        let first = unsafe { server.addrs.as_ref() };
        let addresses = iter::successors(first, |address| {
            // SAFETY: httpd links the addresses by this field; the last one has null.
            unsafe { address.next.as_ref() }
        });
        ports.extend(addresses.map(|address| address.host_port));
    }
    ports.retain(|port| *port != 0);
    if ports.is_empty() {
        // SAFETY: httpd sets the variable before it checks the configuration, in this same thread.
        let listeners = unsafe { ffi::ap_listeners };
        // SAFETY: null or the first listener, which lives as long as the configuration.
        let first = unsafe { listeners.as_ref() };
        let listeners = iter::successors(first, |listener| {
            // SAFETY: httpd links the listeners by this field; the last one has null.
            unsafe { listener.next.as_ref() }
        });
        for listener in listeners {
            // SAFETY: null or the address that the listener is bound to.
            ports.extend(unsafe { listener.bind_addr.as_ref() }.map(|address| address.port));
        }
    }
    ports
}

/// The ivy.yaml that a line names.
fn ivy_yaml(line: &EngineLine, problems: &mut Problems) -> Option<PathBuf> {
    let (path, place) = (&line.path, &line.place);
    let mut error = |what: String, remedy: &str| {
        problems.error(place, DIRECTIVE, what, remedy);
        None
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) => {
            let what = format!("{} cannot be read: {e}", path.display());
            return error(
                what,
                "give the engine's folder or its ivy.yaml; httpd reads them as the \
                                user that starts it",
            );
        }
    };
    if !metadata.is_dir() {
        return Some(path.clone());
    }
    let file = path.join("configuration/ivy.yaml");
    match fs::metadata(&file) {
        Ok(_) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound && path.join("ivy.yaml").is_file() => {
            let what = format!("{} is not the folder of an engine", path.display());
            error(what, "give its ivy.yaml, or the folder above")
        }
        Err(e) => {
            let what = format!("{} cannot be read: {e}", file.display());
            error(
                what,
                "give the engine's folder or its ivy.yaml; httpd reads them as the user that \
                         starts it",
            )
        }
    }
}

/// What ivy.yaml and the ivy.webserver.yaml beside it say.
fn read_files(path: &Path, place: &Place, problems: &mut Problems) -> Option<EngineFiles> {
    let mut read = |path: &Path| match read_file(path) {
        Ok(text) => Some(text),
        Err(e) => {
            let what = format!("{} cannot be read: {e}", path.display());
            let remedy = "make it a file that the user who starts httpd can read";
            problems.error(place, DIRECTIVE, what, remedy);
            None
        }
    };
    let text = read(path)?;
    let beside = path.with_file_name("ivy.webserver.yaml");
    // A link that leads nowhere is there as well.
    let is_there = |file: &Path| match fs::symlink_metadata(file) {
        Ok(_) => true,
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    };
    let beside = Some(beside).filter(|beside| beside != path && is_there(beside));
    let web_server = match &beside {
        Some(beside) => Some((beside.display().to_string(), read(beside)?)),
        None => None,
    };
    let name = path.display().to_string();
    let ivy = Source { name: &name, text: &text };
    let web_server = web_server.as_ref().map(|(name, text)| Source { name, text });
    Some(EngineFiles::read(ivy, web_server, problems))
}

/// A file's content, but not more than one byte too much.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let limit = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// Warns where every user of this host can read a file with a secret.
pub(super) fn warn_of_readable(path: &Path, place: &Place, problems: &mut Problems) {
    if !is_world_readable(path) {
        return;
    }
    let what = "the file holds a secret, and every user of this host can read it";
    problems.warning(place, "", what, format!("run: chmod o= \"{}\"", path.display()));
}

#[cfg(unix)]
fn is_world_readable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_world_readable(_: &Path) -> bool {
    false
}
