//! Three Tomcats for the tests that need real ones, and a crowd of clients in front of them.
//!
//! A Tomcat is heavy: one test at a time has them. Two are a cluster, see [`super::cluster`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;

use super::cluster;
use crate::support::client::{self, Client, NoResponse};
use crate::support::httpd::{self, Httpd, Module};
use crate::support::tomcat::Tomcat;
use crate::support::{DEADLINE, ReservedPort, eventually, process, temp_dir, wait_until};

pub(super) const NAMES: [&str; 3] = ["a", "b", "c"];

const PAGE: &str = "/who/index.jsp";

/// Threads of each of the httpd's processes.
const THREADS: u32 = 8;

/// What sessions of a Tomcat end with.
pub(super) fn route(name: &str) -> String {
    format!("{name}.example.ch")
}

/// Writes the `id` of a POST at the end of a file and answers with the Tomcat's name. Before and
/// after it takes its time, so that who kills it finds requests that are executed and not answered,
/// and some that are not.
fn page(name: &str, file: &str) -> String {
    format!(
        r#"<%@ page session="false" contentType="text/plain" import="java.io.FileOutputStream"
        %><%
String id = request.getParameter("id");
Thread.sleep(10);
if (id != null) {{
    try (FileOutputStream executed = new FileOutputStream("{file}", true)) {{
        executed.write((id + "\n").getBytes());
    }}
}}
Thread.sleep(10);
%>{name}"#
    )
}

/// The Tomcats, and what they have executed.
pub(super) struct Trio {
    pub(super) tomcats: [Tomcat; 3],
    dir: TempDir,
    /// Where the nodes of the cluster talk to each other.
    _ports: [ReservedPort; 2],
}

static TRIO: Mutex<Option<Trio>> = Mutex::new(None);

/// All three, running, for one test.
pub(super) struct Borrowed(MutexGuard<'static, Option<Trio>>);

impl Deref for Borrowed {
    type Target = Trio;

    fn deref(&self) -> &Trio {
        self.0.as_ref().expect("they were started")
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Trio {
        self.0.as_mut().expect("they were started")
    }
}

/// Waits until no other test has them.
pub(super) fn trio() -> Borrowed {
    let mut place = TRIO.lock().unwrap_or_else(PoisonError::into_inner);
    if place.is_none() {
        process::at_exit(|| drop(TRIO.lock().unwrap_or_else(PoisonError::into_inner).take()));
    }
    let trio = place.get_or_insert_with(Trio::prepare);
    trio.revive();
    Borrowed(place)
}

impl Trio {
    fn prepare() -> Self {
        let dir = temp_dir("jk-trio-");
        let file = dir.path().join("executed").display().to_string();
        let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/demo/ivy");
        let ports = [ReservedPort::v4(), ReservedPort::v4()];
        let tomcats = [0, 1, 2].map(|number| {
            let name = NAMES[number];
            let tomcat = Tomcat::builder()
                .max_threads(100)
                .route(&route(name))
                .file(&PAGE[1..], &page(name, &file))
                .app("ivy", &sample);
            let tomcat = if number < 2 { cluster::member(tomcat, number, &ports) } else { tomcat };
            tomcat.prepare()
        });
        Self { tomcats, dir, _ports: ports }
    }

    /// Whatever the last test did to them.
    fn revive(&mut self) {
        let revive = |tomcat: &mut Tomcat| match tomcat.pid() {
            Some(_) => tomcat.resume(),
            None => tomcat.launch(),
        };
        let [a, b, c] = &mut self.tomcats;
        std::thread::scope(|scope| {
            scope.spawn(|| revive(c));
            // One after the other: of two that start, each would wait for the sessions of the other.
            revive(a);
            revive(b);
        });
    }

    /// httpd with a balancer of all three, which looks after them every second. `more`: properties.
    pub(super) fn httpd(&self, more: &str) -> httpd::Builder {
        let member = |(name, tomcat): (&&str, &Tomcat)| {
            let worker = tomcat.endpoint().worker(name);
            format!("{worker}worker.{name}.route={}\n", route(name))
        };
        let members: String = NAMES.iter().zip(&self.tomcats).map(member).collect();
        Httpd::builder(Module::Ours)
            .size(THREADS, 4)
            .modules(&["log_config", "setenvif"])
            .workers(&format!(
                "worker.list=lb\nworker.maintain=1\nworker.lb.type=lb\nworker.lb.recover_time=1\n\
                 worker.lb.balance_workers={}\n{members}{more}",
                NAMES.join(",")
            ))
            .mount("/*", "lb")
            // The first request for a page waits for its compiler.
            .config("SetEnvIf Request_URI jsessionid=warm JK_REPLY_TIMEOUT=0")
            .config("CustomLog logs/busy.log %{JK_LB_LAST_BUSY}n")
    }

    /// How often each POST was executed, by its id.
    fn executions(&self) -> HashMap<String, usize> {
        let text = std::fs::read_to_string(self.dir.path().join("executed")).unwrap_or_default();
        let mut executions = HashMap::new();
        for id in text.lines() {
            *executions.entry(id.to_owned()).or_default() += 1;
        }
        executions
    }
}

/// Clients that ask and count.
pub(super) struct Crowd<'h> {
    httpds: &'h [Httpd],
    clients: usize,
    over: AtomicBool,
    /// Number of the failure that is under way.
    pub(super) round: AtomicUsize,
    pub(super) asked: AtomicUsize,
    /// Answers of each Tomcat.
    pub(super) answers: [AtomicUsize; 3],
    tally: Mutex<Tally>,
}

/// What the clients were told.
#[derive(Default)]
struct Tally {
    /// Ids of POSTs that were answered.
    answered: Vec<String>,
    /// Round, id and status of POSTs that failed.
    failed: Vec<(usize, String, u16)>,
    /// GETs that failed.
    broken: usize,
    wrong: Vec<String>,
}

impl<'h> Crowd<'h> {
    /// Half of these clients get, the others post; all ask the given servers in turn.
    pub(super) fn new(httpds: &'h [Httpd], clients: usize) -> Self {
        for name in NAMES {
            // Now the page is compiled.
            let target = format!("{PAGE};jsessionid=warm.{}", route(name));
            assert_eq!(client::get(httpds[0].addr(), &target).text(), name);
        }
        Self {
            httpds,
            clients,
            over: AtomicBool::new(false),
            round: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            answers: Default::default(),
            tally: Mutex::default(),
        }
    }

    /// Runs `work` while all clients ask.
    pub(super) fn during(&self, work: impl FnOnce()) {
        std::thread::scope(|scope| {
            for number in 0..self.clients {
                scope.spawn(move || self.keep_asking(number));
            }
            // Clients end in any case.
            let work = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            self.over.store(true, Ordering::SeqCst);
            work.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        });
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_asking(&self, number: usize) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let addrs: Vec<SocketAddr> = self.httpds.iter().map(Httpd::addr).collect();
        let mut clients: Vec<Client> = addrs.iter().map(|addr| Client::connect(*addr)).collect();
        let mut turn = number;
        while !self.over.load(Ordering::SeqCst) {
            let at = turn % addrs.len();
            turn += 1;
            self.asked.fetch_add(1, Ordering::SeqCst);
            let id = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
            let posts = number % 2 == 1;
            let request = if posts {
                let form = format!("id={id}");
                format!(
                    "{}Content-Type: application/x-www-form-urlencoded\r\n\
                     Content-Length: {}\r\n\r\n{form}",
                    client::head("POST", PAGE, &[]),
                    form.len()
                )
            } else {
                client::head("GET", PAGE, &[]) + "\r\n"
            };
            let _ = clients[at].send(request.as_bytes());
            let answer = clients[at].try_read_response("");
            // Those under way when a Tomcat fails belong to that failure.
            let round = self.round.load(Ordering::SeqCst);
            match answer {
                Ok(answer) if answer.status() == 200 => {
                    let name = answer.text();
                    let who = NAMES.iter().position(|known| *known == name).expect("a name");
                    self.answers[who].fetch_add(1, Ordering::SeqCst);
                    if posts {
                        self.tally().answered.push(id);
                    }
                }
                Ok(answer) if posts => self.tally().failed.push((round, id, answer.status())),
                Ok(answer) if matches!(answer.status(), 502 | 504) => self.tally().broken += 1,
                // While its threads are being started httpd closes connections that are idle.
                Err(NoResponse::Closed | NoResponse::Reset) => {
                    clients[at] = Client::connect(addrs[at]);
                }
                other => self.tally().wrong.push(format!("{other:?}")),
            }
        }
    }

    pub(super) fn wait_for_more(&self, what: &str, counter: &AtomicUsize, more: usize) {
        let before = counter.load(Ordering::SeqCst);
        wait_until(what, || {
            counter.load(Ordering::SeqCst) >= before + more || !self.tally().wrong.is_empty()
        });
    }

    /// Waits until each Tomcat has served some more.
    pub(super) fn wait_for_all(&self) {
        for (name, answers) in NAMES.iter().zip(&self.answers) {
            self.wait_for_more(&format!("answers of {name}"), answers, 50);
        }
    }

    /// Panics unless no GET failed whose answer had not begun, no POST was executed twice, and in
    /// each round not more POSTs failed than can have been under way, with this status.
    pub(super) fn verify(&self, trio: &Trio, status: u16) {
        let tally = self.tally();
        let (asked, wrong) = (self.asked.load(Ordering::SeqCst), &tally.wrong);
        assert!(wrong.is_empty(), "{} of {asked}: {wrong:?}", wrong.len());
        // Nobody else gets a request whose answer has begun (spec/reliability.md 0).
        let begun: usize = self.httpds.iter().map(begun).sum();
        assert!(tally.broken <= begun, "{} GETs failed, {begun} had begun", tally.broken);
        let executions = trio.executions();
        let twice: Vec<_> = executions.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "executed more than once: {twice:?}");
        let lost: Vec<_> =
            tally.answered.iter().filter(|id| !executions.contains_key(*id)).collect();
        assert!(lost.is_empty(), "answered and not executed: {lost:?}");
        assert!(tally.answered.len() > self.clients, "{} POSTs", tally.answered.len());
        let odd: Vec<_> = tally.failed.iter().filter(|failed| failed.2 != status).collect();
        assert!(odd.is_empty(), "POSTs failed otherwise: {odd:?}");
        for round in 0..=self.round.load(Ordering::SeqCst) {
            let failed = tally.failed.iter().filter(|failed| failed.0 == round).count();
            assert!(failed <= self.clients / 2, "round {round}: {:?}", tally.failed);
        }
    }
}

/// GETs that failed after their answer had begun.
fn begun(httpd: &Httpd) -> usize {
    let log = httpd.jk_log();
    log.lines().filter(|line| line.contains(" phase=stream ")).count()
}

/// What each process of an httpd has open.
pub(super) fn descriptors(httpd: &Httpd) -> Vec<(u32, usize)> {
    httpd.child_pids().into_iter().map(|pid| (pid, httpd.fd_count(pid))).collect()
}

/// Panics unless nothing has piled up once all clients have gone: no request is counted as running,
/// and no process has more open than `before`, but for the connections of its pools.
pub(super) fn is_level(httpd: &Httpd, before: &[(u32, usize)]) {
    for name in NAMES {
        let log = || std::fs::read_to_string(httpd.path("logs/busy.log")).unwrap_or_default();
        wait_until("no request is counted", || {
            let lines = log().matches('\n').count();
            let target = format!("{PAGE};jsessionid=1.{}", route(name));
            assert_eq!(client::get(httpd.addr(), &target).text(), name);
            wait_until("it is logged", || log().matches('\n').count() > lines);
            log().lines().last() == Some("0")
        });
    }
    let most = before.iter().map(|(_, open)| *open).max().unwrap_or_default();
    let pools = NAMES.len() * THREADS as usize;
    // A process that had just begun had not opened all that is its own: pipes, files, an epoll.
    let own = 8;
    let is_level = || descriptors(httpd).iter().all(|(_, open)| *open <= most + own + pools);
    assert!(
        eventually(DEADLINE, is_level),
        "descriptors of each process: {before:?}, now {:?}",
        descriptors(httpd)
    );
}
