//! Tests of what outlives a graceful restart.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::*;
use crate::config::Activation;
use crate::config::edit::{Edit, Key, merge};
use crate::shared::Heap;
use crate::worker::balancer::testing::{balancer, member};
use crate::worker::testing::config;

fn lb(name: &str, members: &[&str]) -> WorkerConfig {
    let members: Vec<_> = members.iter().map(|name| member(name)).collect();
    let mut config = balancer(&members);
    config.name = WorkerName::new(name.as_bytes()).unwrap();
    WorkerConfig::Balancer(Box::new(config))
}

fn ajp(name: &str, port: u16) -> WorkerConfig {
    let mut config = config(port);
    config.name = WorkerName::new(name.as_bytes()).unwrap();
    WorkerConfig::Ajp13(Box::new(config))
}

fn change(worker: &mut WorkerConfig, change: impl FnOnce(&mut BalancerConfig)) {
    match worker {
        WorkerConfig::Balancer(config) => change(config),
        other => panic!("{other:?}"),
    }
}

fn memory(workers: &[WorkerConfig]) -> Heap {
    Heap::new(positions(workers).1)
}

/// Memory whose records are all different.
fn used(workers: &[WorkerConfig]) -> Heap {
    let memory = memory(workers);
    for (n, worker) in (1..).zip(memory.workers()) {
        worker.used.store(n, Ordering::Relaxed);
        worker.busy.store(9, Ordering::Relaxed);
    }
    for (n, member) in (1..).zip(memory.members()) {
        member.set_lb_value(n * 10);
        member.errors.store(7, Ordering::Relaxed);
        member.last_error_time.store(n * 100, Ordering::Relaxed);
        member.set_state(State::Error);
    }
    for (n, balancer) in (1..).zip(memory.balancers()) {
        balancer.maintained.store(n * 1000, Ordering::Relaxed);
    }
    memory
}

fn carry_all(old: &[WorkerConfig], new: &[WorkerConfig], from: &Heap) -> (Carried, Heap) {
    let to = memory(new);
    let carried = carry(
        Generation { workers: old, memory: from },
        Generation { workers: new, memory: &to },
        1,
    );
    (carried, to)
}

fn seen(memory: &Heap) -> (Vec<u64>, Vec<u64>, Vec<u64>) {
    let used = memory.workers().iter().map(|worker| worker.used.load(Ordering::Relaxed));
    let times = memory.members().iter().map(|m| m.last_error_time.load(Ordering::Relaxed));
    let runs = memory.balancers().iter().map(|b| b.maintained.load(Ordering::Relaxed));
    (used.collect(), times.collect(), runs.collect())
}

#[test]
fn records_are_found_by_name() {
    let old = [ajp("x", 1), lb("one", &["a", "b"]), lb("two", &["a", "c"]), ajp("y", 2)];
    let new = [lb("two", &["c", "d", "a"]), ajp("y", 2), lb("one", &["b"]), lb("three", &["a"])];
    assert!(has_same_records(&old, &old));
    assert!(!has_same_records(&old, &new));
    let from = used(&old);
    let (carried, to) = carry_all(&old, &new, &from);
    assert_eq!(seen(&to), (vec![4, 0, 2, 5, 3], vec![400, 0, 300, 200, 0], vec![2000, 1000, 0]));
    assert!(to.workers().iter().all(|worker| worker.busy.load(Ordering::Relaxed) == 0));
    assert_eq!(carried.to_string(), "kept=4 edits=0 new=two.d,three.a dropped=x,one.a moved=-");
    let states: Vec<State> = to.members().iter().map(|member| member.state()).collect();
    use State::{Error, Idle};
    assert_eq!(states, [Error, Idle, Error, Error, Idle]);
    assert_eq!(to.members()[0].errors.load(Ordering::Relaxed), 7);
}

#[test]
fn what_is_told_of_the_past_goes_on_under_the_same_names() {
    let old = [lb("one", &["a", "b"]), ajp("x", 1), lb("two", &["a"])];
    let new = [ajp("y", 1), lb("two", &["z", "a"]), lb("one", &["b"])];
    let from = memory(&old);
    for (time, member) in [(1, 0), (2, 1), (3, 2), (4, 1), (5, 99)] {
        from.common().journal.write(time, member, State::Ok, State::Error, "time");
    }
    let (_, to) = carry_all(&old, &new, &from);
    let told: Vec<_> = to.common().journal.changes().iter().map(|c| (c.time, c.member)).collect();
    assert_eq!(told, [(4, 2), (3, 1), (2, 2)], "one.b, two.a, one.b");
    let first = to.common().journal.changes()[0];
    assert_eq!((first.from, first.to, first.cause), (State::Ok, State::Error, "time"));
    // In the same memory nothing is told twice.
    let at = |workers| Generation { workers, memory: &from };
    carry(at(&old), at(&old), 1);
    assert_eq!(from.common().journal.changes().len(), 5);
}

#[test]
fn edits_without_an_engine_have_their_place_as_well() {
    let (mut old, mut new) = ([lb("empty", &[]), ajp("x", 1)], [ajp("x", 1), lb("empty", &[])]);
    assert!(!has_same_records(&old, &new));
    old.reverse();
    assert!(has_same_records(&old, &new));
    new.reverse();
    assert!(!has_same_records(&old, &new));
}

#[test]
fn loads_of_another_unit_begin_anew_for_old_children_too() {
    let old = [lb("lb", &["a", "b"])];
    let mut new = old.clone();
    change(&mut new[0], |config| config.method = BalanceMethod::Traffic);
    let memory = used(&old);
    let at = |workers| Generation { workers, memory: &memory };
    carry(at(&old), at(&old), 1);
    assert_eq!(memory.balancers()[0].era(), 0);
    carry(at(&old), at(&new), 1);
    assert_eq!(memory.balancers()[0].era(), 1);
    assert_eq!(memory.members()[0].lb_value(), 0);
}

#[test]
fn an_engine_that_moved_is_a_new_one() {
    let (old, mut new) =
        ([lb("lb", &["a", "b"]), ajp("x", 1)], [lb("lb", &["a", "b"]), ajp("x", 2)]);
    let elsewhere = |port| Target::Tcp { host: "127.0.0.1".to_owned(), port };
    change(&mut new[0], |config| config.members[0].worker.target = elsewhere(7));
    assert!(!has_same_records(&old, &new));
    let (carried, to) = carry_all(&old, &new, &used(&old));
    assert_eq!(carried.to_string(), "kept=1 edits=0 new=- dropped=- moved=lb.a,x");
    assert_eq!(seen(&to), (vec![0, 2, 0], vec![0, 200], vec![1000]));
    // Two that are both nowhere are the same.
    let nowhere = |why: &str| Target::Never { host: String::new(), why: why.to_owned() };
    let (mut a, mut b) = ([lb("lb", &["a"])], [lb("lb", &["a"])]);
    change(&mut a[0], |config| config.members[0].worker.target = nowhere("one"));
    change(&mut b[0], |config| config.members[0].worker.target = nowhere("two"));
    assert!(has_same_records(&a, &b));
}

#[test]
fn what_only_old_children_can_end_is_ended() {
    let workers = [lb("lb", &["a", "b", "c"])];
    let from = used(&workers);
    for (member, state) in from.members().iter().zip([State::Probe, State::Busy, State::Ok]) {
        member.set_state(state);
    }
    let (_, to) = carry_all(&workers, &workers, &from);
    let states: Vec<State> = to.members().iter().map(|member| member.state()).collect();
    assert_eq!(states, [State::Recover, State::Ok, State::Ok]);
}

#[test]
fn a_new_member_gets_no_crowd() {
    let (old, new) = ([lb("lb", &["a", "b"])], [lb("lb", &["n", "a", "b"])]);
    let values = |memory: &Heap| -> Vec<u64> {
        memory.members().iter().map(|member| member.lb_value()).collect()
    };
    assert_eq!(values(&carry_all(&old, &new, &used(&old)).1), [20, 10, 20]);
    // With another method the numbers mean something else.
    for changed in [
        |config: &mut BalancerConfig| config.method = BalanceMethod::Traffic,
        |config: &mut BalancerConfig| config.members[1].activation = Activation::Stopped,
    ] {
        let mut new = new.clone();
        change(&mut new[0], changed);
        assert_eq!(values(&carry_all(&old, &new, &used(&old)).1), [0, 0, 0]);
    }
}

#[test]
fn shared_memory_is_left_as_it_is() {
    let mut new = [lb("lb", &["a", "b"])];
    let old = new.clone();
    change(&mut new[0], |config| config.sticky_session = false);
    let both = used(&old);
    both.members()[0].set_state(State::Probe);
    let carried = carry(
        Generation { workers: &old, memory: &both },
        Generation { workers: &new, memory: &both },
        1,
    );
    assert_eq!(carried.kept, 2);
    assert_eq!(both.members()[0].state(), State::Probe);
    assert_eq!(both.workers()[0].busy.load(Ordering::Relaxed), 9);
    assert_eq!(both.members()[1].lb_value(), 20);
}

#[test]
fn long_lists_are_cut() {
    let carried = Carried { new: vec!["x".to_owned(); 23], ..Carried::default() };
    let text = carried.to_string();
    assert!(text.contains("x and 3 more dropped=-"), "{text}");
}

/// Makes a change that all processes see.
fn edit(workers: &[WorkerConfig], memory: &Heap, at: usize, edits: &[Edit]) {
    let (worker, place) = placed(workers).nth(at).unwrap();
    let board = Board::of(memory, place.edits, worker).unwrap();
    let stored = merge(worker, Vec::new(), edits).unwrap().stored;
    board.lock(1, memory).unwrap().write(&edit::encode(&stored)).unwrap();
}

fn edited(workers: &[WorkerConfig], memory: &Heap, at: usize) -> WorkerConfig {
    let (worker, place) = placed(workers).nth(at).unwrap();
    let bytes = Board::of(memory, place.edits, worker).unwrap().read().unwrap().1;
    edit::effective(worker, &edit::decode(&bytes))
}

fn lbfactors(worker: &WorkerConfig) -> Vec<u32> {
    let WorkerConfig::Balancer(balancer) = worker else { panic!("no balancer") };
    balancer.members.iter().map(|member| member.lbfactor).collect()
}

#[test]
fn changes_go_with_their_members() {
    let factor = |member, value: &str| {
        let value = value.as_bytes().to_vec();
        Edit { member: Some(member), key: Key::Lbfactor, value }
    };
    let retries = Edit { member: None, key: Key::Retries, value: b"7".to_vec() };
    let old = [lb("lb", &["a", "b", "c", "d"]), ajp("x", 1), ajp("y", 1)];
    let from = used(&old);
    edit(&old, &from, 0, &[factor(0, "3"), factor(1, "4"), factor(2, "5"), factor(3, "6")]);
    edit(&old, &from, 1, std::slice::from_ref(&retries));
    edit(&old, &from, 2, std::slice::from_ref(&retries));

    // a is still there, b is gone, c is elsewhere, d has a new value in the file, y is elsewhere.
    let mut new = [ajp("y", 2), ajp("x", 1), lb("lb", &["c", "n", "d", "a"])];
    change(&mut new[2], |config| {
        config.members[0].worker.target = Target::Tcp { host: "c".to_owned(), port: 1 };
        config.members[2].lbfactor = 2;
    });
    let (carried, to) = carry_all(&old, &new, &from);
    assert_eq!(lbfactors(&edited(&new, &to, 2)), [1, 1, 2, 3]);
    let of_engine = |at| match edited(&new, &to, at) {
        WorkerConfig::Ajp13(config) => config.retries,
        other => panic!("{other:?}"),
    };
    assert_eq!((of_engine(0), of_engine(1)), (2, 7));
    assert_eq!((carried.edits, carried.not_kept.len()), (2, 0));
    let texts: Vec<String> =
        carried.overruled.iter().map(|(name, what)| format!("{name} {what}")).collect();
    assert_eq!(texts, ["lb member=d key=lbfactor edit=\"6\" file_before=\"1\" file_now=\"2\""]);
    let ended: Vec<String> =
        carried.ended.iter().map(|(name, what)| format!("{name} {what}")).collect();
    assert_eq!(ended, ["y key=retries edit=\"7\"", "lb member=c key=lbfactor edit=\"5\""]);
}

#[test]
fn a_file_that_says_something_new_ends_a_change_for_good() {
    let factor = Edit { member: Some(0), key: Key::Lbfactor, value: b"3".to_vec() };
    let old = [lb("lb", &["a", "b"])];
    let both = used(&old);
    edit(&old, &both, 0, &[factor]);
    let again = |from: &[WorkerConfig], to: &[WorkerConfig]| {
        let old = Generation { workers: from, memory: &both };
        carry(old, Generation { workers: to, memory: &both }, 1)
    };
    assert_eq!(again(&old, &old).edits, 1);
    assert_eq!(lbfactors(&edited(&old, &both, 0)), [3, 1]);
    let mut new = old.clone();
    change(&mut new[0], |config| config.members[0].lbfactor = 2);
    let carried = again(&old, &new);
    assert_eq!((carried.edits, carried.overruled.len()), (0, 1));
    assert_eq!(lbfactors(&edited(&new, &both, 0)), [2, 1]);
    // Not even when the file is as it was.
    again(&new, &old);
    assert_eq!(lbfactors(&edited(&old, &both, 0)), [1, 1]);
}
