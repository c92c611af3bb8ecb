//! Engines, balancers of them in front, and requests one after the other.

use std::fmt::Write as _;

use crate::support::client::{Client, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, Attr, Request};

/// Names of the engines, which are members of every balancer.
pub(super) const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The row about what the engine is told after a failure.
pub(super) const ROUTE: &str = "Route after failover";

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// A GET of this path below the mount.
    Get(&'static str),
    /// A GET with this Cookie header.
    Cookie(&'static str),
    /// This number of GETs.
    Times(usize),
    /// An engine ends, and refuses connections.
    Down(usize),
    /// It listens again.
    Up(usize),
}

/// A balancer, and what happens to it.
pub(super) struct Scenario {
    /// For messages.
    pub name: &'static str,
    /// Properties of the balancer, and of its members with their letter: `method=N`,
    /// `a.lbfactor=2`. Members have retries=1 unless there is `defaults=1`.
    pub properties: &'static [&'static str],
    /// Number of members.
    pub members: usize,
    /// Rule extensions, beginning with `;`. `@` in names of members is the scenario's own.
    pub extensions: &'static str,
    pub steps: Vec<Step>,
    /// Subject of the row of COMPAT.md because of which engines are told other things.
    pub differs: Option<&'static str>,
    /// Subject of the row because of which others serve.
    pub goes_elsewhere: Option<&'static str>,
}

impl Scenario {
    pub(super) fn new(
        name: &'static str,
        members: usize,
        properties: &'static [&'static str],
        steps: Vec<Step>,
    ) -> Self {
        Self {
            name,
            properties,
            members,
            extensions: "",
            steps,
            differs: None,
            goes_elsewhere: None,
        }
    }

    pub(super) fn extensions(self, extensions: &'static str) -> Self {
        Self { extensions, ..self }
    }

    pub(super) fn differs(self, row: &'static str) -> Self {
        Self { differs: Some(row), ..self }
    }

    pub(super) fn goes_elsewhere(self, row: &'static str) -> Self {
        Self { goes_elsewhere: Some(row), ..self }
    }

    /// The lines of workers.properties of the scenario with this number.
    fn workers(&self, number: usize, engines: &[Engine]) -> String {
        let members: Vec<String> =
            NAMES[..self.members].iter().map(|name| format!("s{number}{name}")).collect();
        let mut lines = format!(
            "worker.lb{number}.type=lb\nworker.lb{number}.balance_workers={}\n",
            members.join(",")
        );
        for ((member, engine), name) in members.iter().zip(engines).zip(NAMES) {
            lines += &engine.worker(member);
            if !self.properties.contains(&"defaults=1") {
                writeln!(lines, "worker.{member}.retries=1").unwrap();
            }
            if !self.properties.iter().any(|p| p.starts_with(&format!("{name}.route="))) {
                writeln!(lines, "worker.{member}.route={name}").unwrap();
            }
        }
        for property in self.properties.iter().filter(|property| **property != "defaults=1") {
            let (key, value) = property.split_once('=').unwrap();
            let key = match key.split_once('.') {
                Some((member, key)) => format!("s{number}{member}.{key}"),
                None => format!("lb{number}.{key}"),
            };
            writeln!(lines, "worker.{key}={value}").unwrap();
        }
        lines
    }
}

/// Engines that say who they are and what they were told.
pub(super) fn engines(count: usize) -> Vec<Engine> {
    let start = |name: &&'static str| {
        let name = *name;
        Engine::scripted(move |conn, request| {
            let body = conn.read_body(request)?;
            let told = format!("{name} {} {}", told(request), body.len());
            conn.send(&packet::answer(200, &[("Content-Type", "text/plain")], told.as_bytes()))?;
            Ok(Action::Keep)
        })
        .start()
    };
    NAMES[..count].iter().map(start).collect()
}

/// Route and activation that an engine is told.
fn told(request: &Request) -> String {
    let route = request.attributes.iter().find_map(|attribute| match attribute {
        Attr::Route(route) => route.as_deref(),
        _ => None,
    });
    let activation = request.attribute("JK_LB_ACTIVATION");
    format!("{} {}", route.unwrap_or("-"), activation.unwrap_or("-"))
}

/// The notes of a balancer in an access log.
pub(super) const NOTES: &str = "%U %s %{JK_WORKER_NAME}n %{JK_WORKER_TYPE}n %{JK_WORKER_ROUTE}n \
     first=%{JK_LB_FIRST_NAME}n,%{JK_LB_FIRST_VALUE}n,%{JK_LB_FIRST_ACCESSED}n,\
     %{JK_LB_FIRST_SESSIONS}n,%{JK_LB_FIRST_READ}n,%{JK_LB_FIRST_TRANSFERRED}n,\
     %{JK_LB_FIRST_ERRORS}n,%{JK_LB_FIRST_BUSY}n,%{JK_LB_FIRST_ACTIVATION}n,%{JK_LB_FIRST_STATE}n \
     last=%{JK_LB_LAST_NAME}n,%{JK_LB_LAST_VALUE}n,%{JK_LB_LAST_ACCESSED}n,\
     %{JK_LB_LAST_SESSIONS}n,%{JK_LB_LAST_READ}n,%{JK_LB_LAST_TRANSFERRED}n,\
     %{JK_LB_LAST_ERRORS}n,%{JK_LB_LAST_BUSY}n,%{JK_LB_LAST_ACTIVATION}n,%{JK_LB_LAST_STATE}n";

/// What came of the requests of a scenario.
pub(super) struct Found {
    /// For each request the engine that answered, or the status.
    pub sequence: Vec<String>,
    /// What each of them was told, and its answer's cookies.
    pub told: Vec<String>,
    /// The lines of the access log.
    pub notes: Vec<String>,
}

/// Runs scenarios one after the other in front of one module, in one process. `config`: further
/// lines.
pub(super) fn run(module: Module, scenarios: &[Scenario], config: &str) -> Vec<Found> {
    let engines = engines(NAMES.len());
    let mut workers = String::new();
    let mut list = Vec::new();
    let mut mounts = String::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        workers += &scenario.workers(number, &engines);
        list.push(format!("lb{number}"));
        let extensions = scenario.extensions.replace('@', &format!("s{number}"));
        writeln!(mounts, "JkMount /s{number}/* lb{number}{extensions}").unwrap();
    }
    let httpd = Httpd::builder(module)
        .size(2, 1)
        .modules(&["log_config", "setenvif"])
        .workers(&format!("worker.list={}\n{workers}", list.join(",")))
        .config(&format!("{config}\n{mounts}CustomLog logs/notes.log \"{NOTES}\""))
        .start();
    let mut served = 0;
    let play = |(number, scenario)| play(&httpd, &engines, number, scenario, &mut served);
    scenarios.iter().enumerate().map(play).collect()
}

/// Waits until the access log has this number of lines, and returns the last one. By then all that
/// follows from the request has happened.
fn logged(httpd: &Httpd, requests: usize) -> String {
    let mut last = String::new();
    crate::support::wait_until("the request is in the log", || {
        let text = std::fs::read_to_string(httpd.path("logs/notes.log")).unwrap_or_default();
        last = text.lines().last().unwrap_or_default().to_owned();
        text.matches('\n').count() >= requests
    });
    last
}

fn play(
    httpd: &Httpd,
    engines: &[Engine],
    number: usize,
    scenario: &Scenario,
    served: &mut usize,
) -> Found {
    let mut found = Found { sequence: Vec::new(), told: Vec::new(), notes: Vec::new() };
    let mut down = Vec::new();
    for step in &scenario.steps {
        let path = match step {
            Step::Get(path) => path,
            _ => "x",
        };
        let headers: &[(&str, &str)] = match step {
            Step::Cookie(cookie) => &[("Cookie", cookie)],
            _ => &[],
        };
        let times = match step {
            Step::Times(times) => *times,
            Step::Get(_) | Step::Cookie(_) => 1,
            Step::Down(engine) => {
                engines[*engine].refuse();
                engines[*engine].close_connections();
                down.push(*engine);
                0
            }
            Step::Up(engine) => {
                engines[*engine].listen();
                down.retain(|known| known != engine);
                0
            }
        };
        for _ in 0..times {
            // httpd closes the connection after some errors.
            let mut client = Client::connect(httpd.addr());
            let response = client.request("GET", &format!("/s{number}/{path}"), headers, b"");
            found.add(&response);
            *served += 1;
            found.notes.push(logged(httpd, *served));
        }
    }
    down.into_iter().for_each(|engine| engines[engine].listen());
    found
}

impl Found {
    fn add(&mut self, response: &Response) {
        if response.status() != 200 {
            self.sequence.push(response.status().to_string());
            self.told.push(String::new());
            return;
        }
        let text = response.text();
        let (name, told) = text.split_once(' ').unwrap();
        self.sequence.push(name.to_owned());
        let cookies = response.head.header_values("Set-Cookie").join(" | ");
        self.told.push(format!("{told} {cookies}"));
    }
}

/// Runs scenarios in front of both modules and compares them.
pub(super) fn compare(scenarios: &[Scenario], config: &str) {
    let [ours, theirs] = Module::BOTH.map(|module| run(module, scenarios, config));
    let mut faults = String::new();
    for ((scenario, ours), theirs) in scenarios.iter().zip(ours).zip(theirs) {
        let name = scenario.name;
        if (ours.sequence != theirs.sequence) != scenario.goes_elsewhere.is_some() {
            let (ours, theirs) = (ours.sequence.join(""), theirs.sequence.join(""));
            writeln!(faults, "{name}: ours {ours}\n{name}: C    {theirs}").unwrap();
        }
        if scenario.goes_elsewhere.is_some() {
            continue;
        }
        let told = ours.told != theirs.told;
        let has_own = |property: &&str| property.contains(".route") || property.contains(".domain");
        if !scenario.properties.iter().any(has_own) && scenario.differs == Some(ROUTE) {
            let answers = ours.sequence.iter().zip(&ours.told).filter(|(_, told)| !told.is_empty());
            for (name, told) in answers {
                assert_eq!(told.split(' ').next(), Some(name.as_str()), "{}", scenario.name);
            }
        }
        if told != scenario.differs.is_some() {
            writeln!(faults, "{name}: told\nours {:?}\nC    {:?}", ours.told, theirs.told).unwrap();
        }
        if !told {
            for (ours, theirs) in ours.notes.iter().zip(&theirs.notes).filter(|(o, t)| o != t) {
                writeln!(faults, "{name}: ours {ours}\n{name}: C    {theirs}").unwrap();
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}
