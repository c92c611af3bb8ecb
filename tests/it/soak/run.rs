//! The soak: what runs, what is looked at, and what makes it a pass.

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::chart::{self, Event, Line, Panel};
use super::content::{JSP, Wish};
use super::engine::EngineProcess;
use super::seed;
use super::traffic::{Kind, Outcome, Traffic};
use super::watch::{self, Sample, median, slope};
use crate::status::json::{self, Value};
use crate::support::client;
use crate::support::httpd::{Httpd, Module};
use crate::support::process;
use crate::support::random::Random;
use crate::support::tomcat::Tomcat;
use crate::support::{Endpoint, dawdle, wait_until};

/// Processes of httpd that serve, and threads of each.
const PROCESSES: u32 = 2;
const THREADS: u32 = 16;

/// How long a soak takes, and how much of everything there is.
struct Plan {
    time: Duration,
    tomcats: usize,
    engines: usize,
    clients: usize,
    /// Between two graceful restarts, and until when there are any, so that the last generation of
    /// children lives long enough for growth to show.
    restart_every: Duration,
    restarts_until: Duration,
    /// Between two faults of engines at most.
    fault_pause: Duration,
}

/// An engine of either kind.
enum Member {
    Tomcat(Box<Tomcat>),
    Process(EngineProcess),
}

impl Member {
    fn endpoint(&self) -> Endpoint {
        match self {
            Self::Tomcat(tomcat) => tomcat.endpoint(),
            Self::Process(engine) => engine.endpoint(),
        }
    }

    fn port(&self) -> u16 {
        match self.endpoint() {
            Endpoint::Tcp(addr) => addr.port(),
            Endpoint::Unix(_) => 0,
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Tomcat(tomcat) => tomcat.kill(),
            Self::Process(engine) => engine.kill(),
        }
    }

    fn launch(&mut self) {
        match self {
            Self::Tomcat(tomcat) => tomcat.launch(),
            Self::Process(engine) => engine.launch(),
        }
    }

    fn freeze(&self) {
        match self {
            Self::Tomcat(tomcat) => tomcat.freeze(),
            Self::Process(engine) => engine.freeze(),
        }
    }

    fn resume(&self) {
        match self {
            Self::Tomcat(tomcat) => tomcat.resume(),
            Self::Process(engine) => engine.resume(),
        }
    }
}

/// Pings and short times, so that an engine which is stopped is left behind soon.
const BALANCER: &str = "worker.lb.type=lb
worker.lb.recover_time=1
worker.lb.error_escalation_time=1
worker.maintain=1
worker.template.connect_timeout=1000
worker.template.prepost_timeout=1000
worker.template.socket_connect_timeout=1000
worker.template.reply_timeout=15000
worker.template.retries=1
worker.template.recovery_options=3
worker.template.connection_pool_timeout=30
";

fn start_httpd(members: &[Member]) -> Httpd {
    let names: Vec<String> = (0..members.len()).map(|at| format!("m{at}")).collect();
    let mut workers = format!(
        "worker.list=lb,jk\nworker.jk.type=status\nworker.lb.balance_workers={}\n{BALANCER}",
        names.join(",")
    );
    for (name, member) in names.iter().zip(members) {
        writeln!(
            workers,
            "{}worker.{name}.reference=worker.template",
            member.endpoint().worker(name)
        )
        .expect("a String");
    }
    Httpd::builder(Module::Ours)
        .size(THREADS, PROCESSES)
        .http2()
        .tls("JkMountCopy On")
        .workers(&workers)
        .mount("/soak/*", "lb")
        .mount("/jk", "jk")
        // Clients read slowly, but never that slowly.
        .config("Timeout 30\nH2Direct on\nMaxMemFree 256")
        .start()
}

/// The page of the status worker.
fn status(httpd: std::net::SocketAddr) -> Value {
    let answer = client::get(httpd, "/jk?mime=json");
    assert_eq!(answer.status(), 200);
    json::parse(&answer.text())
}

fn sum(status: &Value, field: &str) -> usize {
    let members = status.path("balancers.0.members").list();
    members.iter().map(|member| member.path(field).number().expect("a number") as usize).sum()
}

fn are_all_sound(status: &Value) -> bool {
    let members = status.path("balancers.0.members").list();
    members.iter().all(|member| member.path("state").text().is_some_and(|s| s.starts_with("OK")))
}

/// Kills or stops an engine now and then, lets it come back, and waits until it serves again.
fn break_engines(
    members: &mut [Member],
    traffic: &Traffic,
    plan: &Plan,
    begun: Instant,
    random: &mut Random,
    events: &Mutex<Vec<Event>>,
) {
    let is_over = || traffic.over.load(Ordering::SeqCst);
    let pause = |most: Duration, random: &mut Random| {
        let end = Instant::now()
            + Duration::from_millis(random.below(most.as_millis() as usize) as u64 + 200);
        while Instant::now() < end && !is_over() {
            dawdle(Duration::from_millis(20));
        }
    };
    loop {
        pause(plan.fault_pause, random);
        if is_over() {
            return;
        }
        let count = members.len();
        let member = &mut members[random.below(count)];
        let at = begun.elapsed().as_secs_f64();
        traffic.weather.begin();
        let is_killed = random.one_in(2);
        if is_killed {
            member.kill();
            pause(plan.fault_pause / 3, random);
            member.launch();
        } else {
            member.freeze();
            pause(plan.fault_pause / 3, random);
            member.resume();
        }
        wait_until("the engine serves again", || is_over() || are_all_sound(&status(traffic.addr)));
        // Requests that it was stopped in end first.
        pause(Duration::from_secs(1), random);
        traffic.weather.end();
        let color = if is_killed { "#fbd9d5" } else { "#fdeecb" };
        let until = begun.elapsed().as_secs_f64();
        events.lock().expect("no panic").push(Event { at, until, color });
    }
}

fn take_sample(
    httpd: u32,
    ports: &[u16],
    traffic: &Traffic,
    generation: usize,
    begun: Instant,
) -> Sample {
    let status = status(traffic.addr);
    traffic.record(Kind::Status, Outcome::Served);
    let mut sample = Sample {
        at: begun.elapsed(),
        parent: watch::memory(httpd).unwrap_or_default(),
        parent_fds: process::fd_count(httpd),
        connections: watch::connections(ports).established,
        counted: sum(&status, "connected"),
        generation,
        ..Sample::default()
    };
    watch::children(httpd, PROCESSES as usize, &mut sample);
    for ((_, outcome), count) in traffic.tally() {
        match outcome {
            Outcome::Served => sample.served += count,
            Outcome::Aborted => sample.aborted += count,
            _ => sample.failed += count,
        }
    }
    sample
}

/// What a run found.
struct Report {
    text: String,
    faults: Vec<String>,
    svg: String,
}

fn soak(plan: &Plan) -> Report {
    let seed = seed();
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..plan.tomcats {
        let tomcat = Tomcat::builder().file("soak/x.jsp", JSP).start();
        members.push(Member::Tomcat(Box::new(tomcat)));
    }
    members.extend((0..plan.engines).map(|_| Member::Process(EngineProcess::start())));
    let ports: Vec<u16> = members.iter().map(Member::port).collect();
    let mut httpd = start_httpd(&members);
    let (pid, addr) = (httpd.pid(), httpd.addr());
    let traffic = Traffic::new(addr, httpd.https(""));
    let (begun, generation) = (Instant::now(), AtomicUsize::new(0));
    let events: Mutex<Vec<Event>> = Mutex::default();
    let mut samples = Vec::new();
    std::thread::scope(|scope| {
        let (traffic, ports, generation, events) = (&traffic, &ports, &generation, &events);
        for client in 0..plan.clients as u64 {
            scope.spawn(move || traffic.ask(seed.wrapping_add(client << 32)));
        }
        scope.spawn(move || traffic.ask_tls(seed ^ 1));
        let members = &mut members;
        scope.spawn(move || {
            break_engines(members, traffic, plan, begun, &mut Random::new(seed ^ 2), events);
        });
        let sampler = scope.spawn(move || {
            let mut samples = Vec::new();
            while !traffic.over.load(Ordering::SeqCst) {
                let generation = generation.load(Ordering::SeqCst);
                samples.push(take_sample(pid, ports, traffic, generation, begun));
                dawdle(Duration::from_secs(1));
            }
            samples
        });
        let mut next = plan.restart_every;
        while begun.elapsed() < plan.time && traffic.wrong().len() < 20 {
            dawdle(Duration::from_millis(50));
            if begun.elapsed() > next && next < plan.restarts_until {
                let at = begun.elapsed().as_secs_f64();
                traffic.weather.restart();
                httpd.graceful();
                traffic.weather.restart();
                generation.fetch_add(1, Ordering::SeqCst);
                let until = begun.elapsed().as_secs_f64();
                events.lock().expect("no panic").push(Event { at, until, color: "#3a6ea5" });
                next += plan.restart_every;
            }
        }
        traffic.over.store(true, Ordering::SeqCst);
        samples = sampler.join().expect("no panic");
    });
    let mut faults = at_the_end(&mut httpd, &ports, plan, generation.into_inner());
    faults.extend(traffic.wrong().into_iter().take(20));
    if !faults.is_empty() {
        // The log goes with httpd, and says why.
        let path = "target/soak.log";
        std::fs::write(path, httpd.jk_log()).expect("the log");
        eprintln!("the log of mod_jk is in {path}");
    }
    let mut text = format!("JK_SEED={seed}, {:.0} s\n", begun.elapsed().as_secs_f64());
    tell_requests(&mut text, &traffic);
    faults.extend(growth(&mut text, &samples, plan));
    let events = events.into_inner().expect("no panic");
    let svg = picture(&samples, &events, plan, seed);
    Report { text, faults, svg }
}

/// What must hold once nobody asks any more.
fn at_the_end(httpd: &mut Httpd, ports: &[u16], plan: &Plan, restarts: usize) -> Vec<String> {
    let addr = httpd.addr();
    let (mut faults, mut last) = (Vec::new(), (0, 0, watch::Connections::default()));
    let mut check = |what: &str, is_right: bool, found: String| {
        if !is_right {
            faults.push(format!("{what}: {found}"));
        }
    };
    let is_settled = crate::support::eventually(crate::support::DEADLINE, || {
        // A member that failed is tried with a request.
        for _ in ports {
            client::get(addr, &Wish { token: 1, length: 1, upload: None }.target());
        }
        let status = status(addr);
        last = (sum(&status, "busy"), sum(&status, "connected"), watch::connections(ports));
        are_all_sound(&status)
            && last.0 == 0
            && last.1 == last.2.established
            && last.2.half_closed == 0
    });
    check("busy, connections counted and found", is_settled, format!("{last:?}"));
    let children = process::children_of(httpd.pid());
    check("processes", children.len() == PROCESSES as usize, format!("{children:?}"));
    let mut pids = children;
    pids.push(httpd.pid());
    let status = httpd.stop();
    check("the end of httpd", status.success(), status.to_string());
    let is_gone = crate::support::eventually(crate::support::DEADLINE, || {
        watch::connections(ports) == Default::default()
    });
    check("connections after the end", is_gone, format!("{:?}", watch::connections(ports)));
    let memory = watch::lasting_memory(&pids);
    check("memory after the end", memory.is_empty(), format!("{memory:?}"));
    let (error_log, jk_log) = (httpd.error_log(), httpd.jk_log());
    for sign in ["exit signal", "panic", "Segmentation", "child died", "scoreboard is full"] {
        check("the error log", !error_log.contains(sign), sign.to_owned());
    }
    for sign in ["panic", "busy_repaired", "connected_repaired"] {
        let line = jk_log.lines().find(|line| line.contains(sign)).unwrap_or_default();
        check("the log", line.is_empty(), line.to_owned());
    }
    let kept = jk_log.matches(" states_kept: ").count();
    check("states kept", kept == restarts, format!("{kept} of {restarts}"));
    check("restarts", restarts > 0 || plan.restarts_until < plan.restart_every, "none".into());
    faults
}

fn tell_requests(text: &mut String, traffic: &Traffic) {
    let tally = traffic.tally();
    let total: u64 = tally.values().sum();
    writeln!(text, "{total} requests").expect("a String");
    for ((kind, outcome), count) in &tally {
        writeln!(text, "  {kind:?} {outcome:?}: {count}").expect("a String");
    }
}

/// Whether something grew: the median of the last third against that of the first, after a warm-up of a
/// tenth for the parent, over the whole run, and of a fifth for the children of the last generation.
fn growth(text: &mut String, samples: &[Sample], plan: &Plan) -> Vec<String> {
    let last = samples.last().map_or(0, |sample| sample.generation);
    let newest: Vec<&Sample> = samples.iter().filter(|s| s.generation == last).collect();
    let all: Vec<&Sample> = samples.iter().collect();
    let children = |value: fn(&watch::Memory) -> u64| {
        move |s: &Sample| s.children.iter().map(|(_, memory)| value(memory)).sum::<u64>() as f64
    };
    type Value<'a> = Box<dyn Fn(&Sample) -> f64 + 'a>;
    // What it is, of which samples, its value, and how much more is no growth: allocators keep
    // what they once needed, and clients come in waves.
    let rows: Vec<(&str, &[&Sample], usize, Value<'_>, f64)> = vec![
        ("parent, anonymous KiB", &all, 10, Box::new(|s| s.parent.anonymous as f64), 1024.0),
        ("parent, descriptors", &all, 10, Box::new(|s| s.parent_fds as f64), 0.0),
        ("children, anonymous KiB", &newest, 5, Box::new(children(|m| m.anonymous)), 2048.0),
        ("children, resident KiB", &newest, 5, Box::new(children(|m| m.rss)), 3072.0),
        ("children, descriptors", &newest, 5, Box::new(|s| s.child_fds as f64), 16.0),
        ("children, threads", &newest, 5, Box::new(|s| s.child_threads as f64), 8.0),
        ("connections to engines", &newest, 5, Box::new(|s| s.connections as f64), 12.0),
    ];
    let mut faults = Vec::new();
    for (what, samples, warm_up, value, allowed) in rows {
        let points: Vec<(f64, f64)> = samples
            .iter()
            .skip(samples.len() / warm_up)
            .map(|sample| (sample.at.as_secs_f64(), value(sample)))
            .collect();
        let third = points.len() / 3;
        if third < 5 {
            writeln!(text, "  {what}: too few samples").expect("a String");
            continue;
        }
        let values: Vec<f64> = points.iter().map(|point| point.1).collect();
        let (first, last) = (median(&values[..third]), median(&values[values.len() - third..]));
        let minutes = (points[points.len() - 1].0 - points[0].0) / 60.0;
        let line = format!(
            "{what}: median {first:.0} in the first third, {last:.0} in the last, slope {:+.2} a \
             minute over {minutes:.1} min; allowed {allowed:+.0}",
            slope(&points) * 60.0
        );
        writeln!(text, "  {line}").expect("a String");
        // A run of seconds is still warming up.
        if last - first > allowed && plan.time >= Duration::from_secs(240) {
            faults.push(format!("growth: {line}"));
        }
    }
    faults
}

fn picture(samples: &[Sample], events: &[Event], plan: &Plan, seed: u64) -> String {
    let line = |name: &str, color, value: &dyn Fn(&Sample) -> f64| Line {
        name: name.into(),
        color,
        points: samples.iter().map(|s| (s.at.as_secs_f64(), Some(value(s)))).collect(),
    };
    let rate = |name: &str, color, value: &dyn Fn(&Sample) -> u64| {
        // A mean over some samples: single ones jump.
        let width = (samples.len() / 120).clamp(2, 15);
        let points = samples.windows(width + 1).map(|part| {
            let (a, b) = (&part[0], &part[width]);
            let seconds = (b.at - a.at).as_secs_f64().max(0.001);
            (b.at.as_secs_f64(), Some((value(b) - value(a)) as f64 / seconds))
        });
        Line { name: name.into(), color, points: points.collect() }
    };
    let mib = |kib: u64| kib as f64 / 1024.0;
    let memory = |s: &Sample, value: fn(&watch::Memory) -> u64| {
        mib(s.children.iter().map(|(_, memory)| value(memory)).sum())
    };
    let panels = [
        Panel {
            title: "Requests per second".into(),
            lines: vec![
                rate("whole and right", "#2a7f3f", &|s| s.served),
                rate("aborted by the client", "#8a8a8a", &|s| s.aborted),
                rate("failed with an engine", "#c0392b", &|s| s.failed),
            ],
        },
        Panel {
            title: format!("Memory of the {PROCESSES} children together, MiB"),
            lines: vec![
                line("resident", "#9b59b6", &|s| memory(s, |m| m.rss)),
                line("proportional", "#e08e0b", &|s| memory(s, |m| m.pss)),
                line("anonymous", "#c0392b", &|s| memory(s, |m| m.anonymous)),
            ],
        },
        Panel {
            title: "Memory of the parent, MiB".into(),
            lines: vec![
                line("resident", "#9b59b6", &|s| mib(s.parent.rss)),
                line("proportional", "#e08e0b", &|s| mib(s.parent.pss)),
                line("anonymous", "#c0392b", &|s| mib(s.parent.anonymous)),
            ],
        },
        Panel {
            title: "Connections to the engines".into(),
            lines: vec![
                line("status worker", "#e08e0b", &|s| s.counted as f64),
                line("kernel", "#1f5fa8", &|s| s.connections as f64),
            ],
        },
        Panel {
            title: "Descriptors and threads".into(),
            lines: vec![
                line("descriptors, children", "#1f5fa8", &|s| s.child_fds as f64),
                line("descriptors, parent", "#2a7f3f", &|s| s.parent_fds as f64),
                line("threads, children", "#8a8a8a", &|s| s.child_threads as f64),
            ],
        },
    ];
    let last = samples.last();
    let subtitle = format!(
        "{} clients, {} Tomcats, {} scripted engines, {} requests, JK_SEED={seed}",
        plan.clients + 1,
        plan.tomcats,
        plan.engines,
        last.map_or(0, |s| s.served + s.failed + s.aborted)
    );
    let legend = [
        ("#3a6ea5", "graceful restart of httpd"),
        ("#fbd9d5", "engine killed, until it serves again"),
        ("#fdeecb", "engine stopped, until it serves again"),
    ];
    let seconds = last.map_or(1.0, |s| s.at.as_secs_f64());
    chart::draw("Soak of mod_jk", &subtitle, seconds, &panels, events, &legend)
}

fn judge(report: &Report) {
    eprintln!("{}", report.text);
    for fault in &report.faults {
        eprintln!("FAULT {fault}");
    }
    assert!(
        report.faults.is_empty(),
        "{} faults:\n{}",
        report.faults.len(),
        report.faults.join("\n")
    );
    eprintln!("clean");
}

/// The soak as part of all tests: everything once, and too short for growth to show.
#[test]
fn a_short_soak_is_clean() {
    let plan = Plan {
        time: Duration::from_secs(20),
        tomcats: 1,
        engines: 2,
        clients: 8,
        restart_every: Duration::from_secs(6),
        restarts_until: Duration::from_secs(15),
        fault_pause: Duration::from_secs(3),
    };
    let report = soak(&plan);
    assert!(report.svg.ends_with("</svg>\n"));
    judge(&report);
}

/// `misc/dev soak MINUTES`.
#[test]
#[ignore = "takes as long as it is told; misc/dev soak MINUTES"]
fn soak_for_minutes() {
    let Some(minutes) = std::env::var("JK_SOAK_MINUTES").ok().and_then(|n| n.parse::<f64>().ok())
    else {
        return;
    };
    let time = Duration::from_secs_f64(minutes * 60.0);
    let plan = Plan {
        time,
        tomcats: 2,
        engines: 2,
        clients: 14,
        restart_every: time / 24,
        restarts_until: time / 2,
        fault_pause: Duration::from_secs(12),
    };
    let report = soak(&plan);
    let path = std::env::var("JK_SOAK_SVG").unwrap_or_else(|_| "target/soak.svg".into());
    std::fs::write(&path, &report.svg).expect("the picture");
    eprintln!("{path}");
    judge(&report);
}
