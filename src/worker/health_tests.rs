//! Tests of the checks of engines, against scripted ones.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::net::TcpListener;

use super::super::testing::{Memory as Client, config, engine, read_packet};
use super::*;
use crate::ajp::message::{CPING, CPONG};
use crate::config::Ajp13Config;
use crate::net::NameCache;
use crate::shared::{Heap, Layout, Memory, Positions};
use crate::worker::balancer::testing::{balancer, member};

const NOW: u64 = 1_000_000;
const EVERY: u64 = 5;

fn checked(config: Ajp13Config) -> Ajp13Config {
    Ajp13Config { health_check: Some(Duration::from_secs(EVERY)), ..config }
}

fn heap(workers: usize) -> Arc<Heap> {
    Arc::new(Heap::new(Layout {
        workers,
        balancers: 1,
        members: workers,
        requests: 8,
        ..Layout::default()
    }))
}

fn worker(config: Ajp13Config, memory: &Arc<Heap>) -> Worker {
    Worker::new(checked(config), Names::default(), memory.clone(), 0)
}

/// A process that checks engines.
#[derive(Default)]
struct Process {
    checks: Checks,
    stop: Arc<AtomicBool>,
    log: Client,
}

impl Process {
    fn run<'w>(&mut self, engines: impl Iterator<Item = Engine<'w>> + Clone, now: u64) -> Duration {
        self.checks.run(engines, now, &self.stop, &self.log)
    }

    /// Runs until all checks that it has begun have ended.
    fn finish<'w>(&mut self, engines: impl Iterator<Item = Engine<'w>> + Clone, now: u64) {
        self.run(engines.clone(), now);
        let end = Instant::now() + Duration::from_secs(30);
        while self.checks.running.contains(&true) {
            assert!(Instant::now() < end, "a check without end");
            thread::park_timeout(Duration::from_millis(20));
            self.run(engines.clone(), now);
        }
    }

    /// The lines since the last call.
    fn said(&self) -> Vec<String> {
        self.log.log.take()
    }
}

fn one(worker: &Worker) -> impl Iterator<Item = Engine<'_>> + Clone {
    std::iter::once(Engine::Single(worker))
}

fn pongs(n: usize) -> Vec<Vec<Vec<u8>>> {
    vec![vec![CPONG.to_vec()]; n]
}

#[test]
fn an_engine_is_asked_once_per_interval_on_a_connection_of_its_own() {
    let (config, thread) = engine(pongs(2));
    let memory = heap(1);
    let worker = worker(config, &memory);
    let mut process = Process::default();
    process.finish(one(&worker), NOW);
    let seconds = |n| Duration::from_secs(n);
    assert_eq!(process.run(one(&worker), NOW), seconds(EVERY));
    assert_eq!(process.run(one(&worker), NOW + 3), seconds(EVERY - 3));
    process.finish(one(&worker), NOW + EVERY);
    let said = process.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].starts_with("[debug] (w) health_check_passed: "), "{said:?}");
    assert_eq!(thread.join().unwrap(), [[CPING], [CPING]]);
    assert_eq!((worker.pool().idle(), worker.pool().has_slot()), (0, true));
}

#[test]
fn one_process_of_all_makes_a_check_and_another_one_the_next() {
    let (config, thread) = engine(pongs(3));
    let memory = heap(1);
    let workers: Vec<Worker> = (0..4).map(|_| worker(config.clone(), &memory)).collect();
    let mut processes: Vec<Process> = workers.iter().map(|_| Process::default()).collect();
    for turn in 0..3 {
        // Whoever made the last one may be gone.
        for (worker, process) in workers.iter().zip(&mut processes).skip(turn) {
            process.finish(one(worker), NOW + EVERY * turn as u64);
        }
    }
    let checks: Vec<usize> = processes.iter().map(|process| process.said().len()).collect();
    assert_eq!(checks, [1, 1, 1, 0]);
    assert_eq!(thread.join().unwrap().len(), 3);
    // Nor does a process whose look at the clock was a moment earlier make one more.
    assert!(workers[0].take_turn(NOW + EVERY * 9));
    assert!(!workers[1].take_turn(NOW + EVERY * 9 - 1));
    // A clock that is set back does not end them.
    assert!(workers[0].take_turn(NOW / 2));
    assert!(!workers[1].take_turn(NOW / 2));
}

#[test]
fn a_check_that_ends_late_does_not_outweigh_a_later_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let memory = heap(1);
    let worker = worker(config(listener.local_addr().unwrap().port()), &memory);
    let [mut late, mut later] = [(); 2].map(|()| Process::default());
    late.run(one(&worker), NOW);
    let (held, _) = listener.accept().unwrap();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_packet(&mut stream);
        stream.write_all(&CPONG).unwrap();
    });
    later.finish(one(&worker), NOW + EVERY);
    thread.join().unwrap();
    assert_eq!(later.said().len(), 1);
    drop(held);
    late.finish(one(&worker), NOW + EVERY + 1);
    assert_eq!(late.said(), [""; 0]);
    assert_eq!(worker.state().unwrap().is_failing.load(Ordering::Relaxed), 0);
}

#[test]
fn changes_are_told_once() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let memory = heap(1);
    let config = Ajp13Config { idle_ping: Some(Duration::from_millis(50)), ..config(port) };
    let worker = worker(config, &memory);
    let mut process = Process::default();
    for turn in 0..2 {
        process.finish(one(&worker), NOW + EVERY * turn);
    }
    drop(silent);
    process.finish(one(&worker), NOW + EVERY * 2);
    let said = process.said();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("[warn] (w) health_check_failed: the engine accepted"), "{said:?}");
    assert!(said[0].contains("did not answer a CPING within 50ms; peer=127.0.0.1:"), "{said:?}");
    assert!(said[1..].iter().all(|line| line.starts_with("[debug] (w) health_check_failed")));
}

#[test]
fn an_engine_that_hangs_delays_no_other_check_and_no_end() {
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let (good, thread) = engine(pongs(1));
    let memory = heap(1);
    let patient = Ajp13Config {
        idle_ping: Some(Duration::from_secs(1000)),
        ..config(hanging.local_addr().unwrap().port())
    };
    let (hanging_worker, worker) = (worker(patient, &memory), worker(good, &heap(1)));
    let engines = || [&hanging_worker, &worker].into_iter().map(Engine::Single);
    let mut process = Process::default();
    process.run(engines(), NOW);
    while process.checks.running[1] {
        thread::park_timeout(Duration::from_millis(20));
        process.run(engines(), NOW);
    }
    thread.join().unwrap();
    // It is not checked twice at a time.
    process.run(std::iter::once(Engine::Single(&hanging_worker)), NOW + EVERY);
    assert_eq!(memory.workers()[0].checked.load(Ordering::Relaxed), NOW);
    process.stop.store(true, Ordering::Release);
    process.finish(std::iter::once(Engine::Single(&hanging_worker)), NOW);
    assert_eq!(process.said().len(), 1, "nothing is said of a check that was given up");
}

#[test]
fn members_go_and_come_back_without_a_request() {
    // The second time it closes the connection.
    let (a, a_thread) = engine(vec![vec![CPONG.to_vec()], vec![], vec![CPONG.to_vec()]]);
    let (b, b_thread) = engine(pongs(3));
    let [mut first, mut second] = [member("a"), member("b")];
    first.worker.target = a.target;
    second.worker.target = b.target;
    for member in [&mut first, &mut second] {
        member.worker.health_check = Some(Duration::from_secs(EVERY));
    }
    let memory = heap(2);
    let settings = balancer(&[first, second]);
    let names = NameCache::default();
    let balancer = Balancer::new(settings, &names, memory.clone(), Positions::first(2), None);
    let mut process = Process::default();
    let states =
        || -> Vec<&str> { memory.members().iter().map(|member| member.state().text()).collect() };
    process.finish(balancer.engines(), NOW);
    assert_eq!(states(), ["OK/IDLE", "OK/IDLE"]);
    process.finish(balancer.engines(), NOW + EVERY);
    assert_eq!(states(), ["ERR", "OK/IDLE"]);
    let said = process.said().join("\n");
    let line = "[warn] (lb) member_down: the state of a member changes: its engine answers no ping; \
                member=a from=OK/IDLE to=ERR";
    assert!(said.contains(line), "{said}");
    process.finish(balancer.engines(), NOW + EVERY * 2);
    a_thread.join().unwrap();
    b_thread.join().unwrap();
    assert_eq!(states(), ["OK", "OK/IDLE"]);
    let said = process.said().join("\n");
    assert!(said.contains("[warn] (a) health_check_passed: the engine answers again"), "{said}");
    assert!(said.contains("[warn] (lb) member_up: "), "{said}");
    // All engines are gone: one member stays.
    process.finish(balancer.engines(), NOW + EVERY * 3);
    let out = states().iter().filter(|state| **state == "ERR").count();
    assert_eq!(out, 1, "{:?}", states());
}
