//! Tests of workers whose settings change while they serve.
#![forbid(unsafe_code)]

use std::thread;

use super::*;
use crate::config::{Activation, Ajp13Config, Target};
use crate::net::Names;
use crate::shared::{Heap, Positions};
use crate::worker::Outcome;
use crate::worker::balancer::testing::{balancer, member};
use crate::worker::testing::{Memory as Client, answer, config, engine, run};

fn ajp(config: &Ajp13Config) -> WorkerConfig {
    WorkerConfig::Ajp13(Box::new(config.clone()))
}

fn lb() -> WorkerConfig {
    WorkerConfig::Balancer(Box::new(balancer(&[member("a"), member("b"), member("c")])))
}

fn heap(worker: &WorkerConfig) -> Arc<Heap> {
    Arc::new(Heap::new(Layout { requests: 8, ..Layout::of(worker) }))
}

/// What another process has of the same worker.
fn live_worker(config: &Ajp13Config, memory: &Arc<Heap>) -> Live<Worker> {
    let worker = Worker::new(config.clone(), Names::default(), memory.clone(), 0);
    Live::new(worker, ajp(config), memory.clone(), Layout::default())
}

fn live_balancer(file: &WorkerConfig, memory: &Arc<Heap>) -> Live<Balancer> {
    let WorkerConfig::Balancer(config) = file else { panic!("no balancer") };
    let (config, names, at) = ((**config).clone(), NameCache::default(), Layout::default());
    let place = Positions::first(config.members.len());
    let balancer = Balancer::new(config, &names, memory.clone(), place, None);
    Live::new(balancer, file.clone(), memory.clone(), at)
}

fn edit(member: Option<usize>, key: Key, value: &str) -> Edit {
    Edit { member, key, value: value.into() }
}

#[test]
fn all_processes_follow_a_change() {
    let file = lb();
    let memory = heap(&file);
    let (one, other) = (live_balancer(&file, &memory), live_balancer(&file, &memory));
    let log = Client::get();
    for record in one.current().members() {
        record.state.set_lb_value(5);
    }
    let edits = [edit(Some(1), Key::Activation, "d"), edit(None, Key::StickySession, "0")];
    let changes = one.edit(&edits, "admin", &log).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(log.logged("(lb) edited: "), 2);
    assert_eq!(log.logged("member=b key=activation old=\"Active\" new=\"Disabled\" by=admin"), 1);
    for live in [&one, &other] {
        let now = live.current();
        assert!(!now.config().sticky_session);
        assert_eq!(now.config().members[1].activation, Activation::Disabled);
        assert!(now.members().all(|member| member.load == 0));
        assert_eq!(live.config(), WorkerConfig::Balancer(Box::new(now.config().clone())));
        assert_eq!(live.file(), &file);
    }
    // Without a change nothing is rebuilt.
    assert!(Arc::ptr_eq(&other.current(), &other.current()));
    let other_edit = [edit(Some(2), Key::Lbfactor, "4")];
    other.edit(&other_edit, "admin", &log).unwrap();
    let now = one.current();
    assert_eq!((now.config().members[2].lbfactor, now.config().sticky_session), (4, false));
    let multipliers: Vec<u64> = now.members().map(|member| member.multiplier).collect();
    assert_eq!(multipliers, [4, 4, 1]);
    // Who comes later begins with it.
    assert_eq!(live_balancer(&file, &memory).current().config(), now.config());
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let file = lb();
    let memory = heap(&file);
    let live = live_balancer(&file, &memory);
    let before = live.current();
    let edits = [edit(Some(0), Key::Lbfactor, "4"), edit(Some(9), Key::Lbfactor, "4")];
    let refused = live.edit(&edits, "admin", &Client::get()).unwrap_err();
    let EditError::Refused(refused) = refused else { panic!("{refused}") };
    assert_eq!((refused.len(), refused[0].member), (1, Some(9)));
    let host = [edit(Some(0), Key::Host, "no-such-host.invalid")];
    let refused = live.edit(&host, "admin", &Client::get()).unwrap_err();
    let EditError::Refused(refused) = refused else { panic!("{refused}") };
    assert!(refused[0].why.contains("cannot be resolved"), "{}", refused[0]);
    assert!(Arc::ptr_eq(&before, &live.current()));
    assert_eq!(live.config(), file);
}

#[test]
fn another_engine_gets_new_connections_and_the_old_ones_are_closed() {
    let (config, first) = engine(vec![vec![answer(b"one"), answer(b"never")]]);
    let memory = heap(&ajp(&config));
    let (one, other) = (live_worker(&config, &memory), live_worker(&config, &memory));
    assert_eq!(run(&one.current(), &mut Client::get()), Outcome::Completed);
    assert_eq!(one.current().pool().idle(), 1);
    let (elsewhere, second) = engine(vec![vec![answer(b"two"), answer(b"three")]]);
    let Target::Tcp { port, .. } = elsewhere.target else { panic!("no port") };
    let log = Client::get();
    other.edit(&[edit(None, Key::Port, &port.to_string())], "admin", &log).unwrap();
    for body in [&b"two"[..], b"three"] {
        let mut request = Client::get();
        assert_eq!(run(&one.current(), &mut request), Outcome::Completed);
        assert_eq!(request.client, body);
        // The first engine sees its idle connection closed now at the latest, or would wait.
    }
    assert_eq!(first.join().unwrap()[0].len(), 1);
    // Another setting leaves the connections alone.
    one.edit(&[edit(None, Key::MaxPacketSize, "16384")], "admin", &log).unwrap();
    assert_eq!(one.current().pool().idle(), 1);
    assert_eq!(one.current().config().packet_size.bytes(), 16384);
    drop((one, other));
    second.join().unwrap();
}

#[test]
fn requests_go_on_while_settings_change() {
    let config = config(1);
    let memory = heap(&ajp(&config));
    let live = live_worker(&config, &memory);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 1..300 {
                let retries = edit(None, Key::Retries, &n.to_string());
                live.edit(&[retries], "admin", &Client::get()).unwrap();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 299 {
                    let now = live.current().config().retries;
                    assert!(now >= last || last == 2);
                    last = now;
                }
            });
        }
    });
}

#[test]
fn counters_and_states_are_set_back() {
    let file = lb();
    let memory = heap(&file);
    let live = live_balancer(&file, &memory);
    for record in live.current().members() {
        record.state.set_state(State::Error);
        record.state.set_lb_value(7);
        record.state.errors.store(3, Ordering::Relaxed);
        record.engine.used.store(9, Ordering::Relaxed);
        record.engine.busy.store(1, Ordering::Relaxed);
        record.engine.reply_timeouts.store(4, Ordering::Relaxed);
    }
    live.recover(0, 7).unwrap();
    assert_eq!(live.recover(0, 7), Err(State::Recover));
    live.reset(Some(1), 7);
    let seen = |place: usize| {
        let now = live.current();
        let record = now.members().nth(place).unwrap();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (record.state.state(), record.load, load(&record.engine.used))
    };
    assert_eq!(seen(0), (State::Recover, 7, 9));
    assert_eq!(seen(1), (State::Idle, 0, 0));
    assert_eq!(seen(2), (State::Error, 7, 9));
    live.reset(None, 7);
    assert_eq!(seen(0), (State::Idle, 0, 0));
    assert_eq!(memory.workers()[0].busy.load(Ordering::Relaxed), 1, "it is still running");
    assert_eq!(memory.workers()[0].reply_timeouts.load(Ordering::Relaxed), 0);
    let config = config(1);
    let memory = heap(&ajp(&config));
    let worker = live_worker(&config, &memory);
    memory.workers()[0].used.store(9, Ordering::Relaxed);
    worker.reset(7);
    assert_eq!(memory.workers()[0].used.load(Ordering::Relaxed), 0);
}

#[test]
fn what_lies_in_the_memory_does_no_harm() {
    let config = config(1);
    let memory = heap(&ajp(&config));
    let live = live_worker(&config, &memory);
    for word in memory.edits() {
        word.store(u64::MAX, Ordering::Relaxed);
    }
    assert_eq!(live.current().config(), &config);
    assert!(Arc::ptr_eq(&live.current(), &live.current()), "it is not read again and again");
    // Nobody holds the right to write that a process of this number seems to have.
    let retries = [edit(None, Key::Retries, "5")];
    live.edit(&retries, "admin", &Client::get()).unwrap();
    assert_eq!(live.current().config().retries, 5);
}

#[test]
fn changes_without_room_are_refused() {
    let names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
    let members: Vec<_> = names.iter().map(|name| member(name)).collect();
    let file = WorkerConfig::Balancer(Box::new(balancer(&members)));
    let memory = heap(&file);
    let live = live_balancer(&file, &memory);
    let mut edits = Vec::new();
    for place in 0..names.len() {
        for key in [Key::Redirect, Key::Domain] {
            edits.push(edit(Some(place), key, &"x".repeat(63)));
        }
        edits.push(edit(Some(place), Key::Route, &format!("{place:x>63}")));
        let numbers = [Key::Lbfactor, Key::Distance, Key::Retries, Key::RetryInterval];
        let timeouts = Key::ALL.iter().filter(|key| key.name().ends_with("_timeout"));
        for key in numbers.iter().chain(timeouts) {
            edits.push(edit(Some(place), *key, "1234567890"));
        }
    }
    let (few, _) = edits.split_at(10);
    assert_eq!(live.edit(few, "admin", &Client::get()).unwrap().len(), 10);
    let before = live.current();
    let Err(all) = live.edit(&edits, "admin", &Client::get()) else { panic!("there is room") };
    assert!(matches!(all, EditError::NotKept(BoardError::Full { .. })), "{all}");
    assert!(Arc::ptr_eq(&before, &live.current()), "all or nothing");
}
