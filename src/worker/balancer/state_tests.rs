//! Tests of what results and time do to members.
#![forbid(unsafe_code)]

use super::*;
use crate::config::balancer::BalanceMethod;
use crate::worker::balancer::testing::{group, member};

const NOW: u64 = 1_000_000;

fn two() -> Group {
    group(&[member("a"), member("b")], |_| ())
}

fn states(group: &Group) -> Vec<&'static str> {
    group.states().into_iter().map(State::text).collect()
}

fn settle(group: &Group, outcome: Ending, others: u32, now: u64) -> State {
    group.settle(0, outcome, others, now);
    group.states()[0]
}

#[test]
fn results_have_the_consequences_of_the_table() {
    // result, state before, state after, failures counted, whether the times are set after
    for (outcome, before, after, errors, has_times) in [
        (Ending::Done, State::Error, State::Ok, 0, false),
        (Ending::Done, State::Probe, State::Ok, 0, false),
        (Ending::ClientFailed, State::Force, State::Ok, 0, false),
        (Ending::StatusSoft, State::Idle, State::Ok, 0, false),
        (Ending::StatusFatal, State::Ok, State::Error, 1, true),
        (Ending::ReplyTimeout, State::Ok, State::Error, 1, true),
        (Ending::Garbled, State::Idle, State::Ok, 0, true),
        (Ending::Garbled, State::Error, State::Error, 0, true),
        (Ending::Garbled, State::Probe, State::Error, 0, true),
        (Ending::NoSlot, State::Ok, State::Busy, 0, true),
        (Ending::NoSlot, State::Error, State::Error, 0, true),
        (Ending::NoSlot, State::Probe, State::Recover, 0, true),
        (Ending::Saturated, State::Ok, State::Busy, 0, true),
        (Ending::Down, State::Ok, State::Error, 1, true),
        (Ending::Down, State::Force, State::Error, 1, true),
        (Ending::Down, State::Probe, State::Error, 1, true),
    ] {
        let group = two();
        let seat = group.seat(0).unwrap();
        seat.state.set_state(before);
        seat.state.first_error_time.store(NOW - 1, Ordering::Relaxed);
        seat.state.last_error_time.store(NOW - 1, Ordering::Relaxed);
        assert_eq!(settle(&group, outcome, 0, NOW), after, "{outcome:?} {before:?}");
        assert_eq!(seat.state.errors.load(Ordering::Relaxed), errors, "{outcome:?}");
        let times = [&seat.state.first_error_time, &seat.state.last_error_time];
        let are_set = times.map(|time| time.load(Ordering::Relaxed) > 0);
        assert_eq!(are_set, [has_times; 2], "{outcome:?}");
    }
}

#[test]
fn a_failure_counts_for_all_only_when_nothing_else_runs_or_after_a_while() {
    let group = two();
    assert_eq!(settle(&group, Ending::Down, 1, NOW), State::Ok);
    assert_eq!(settle(&group, Ending::Down, 1, NOW + 29), State::Ok);
    assert_eq!(settle(&group, Ending::Down, 1, NOW + 30), State::Error);
    let at_once = self::group(&[member("a"), member("b")], |config| {
        config.error_escalation_time = std::time::Duration::ZERO;
    });
    assert_eq!(settle(&at_once, Ending::Down, 5, NOW), State::Error);
}

#[test]
fn some_reply_timeouts_are_forgiven() {
    let forgiving =
        |most| group(&[member("a"), member("b")], |config| config.max_reply_timeouts = most);
    let two = forgiving(Some(2));
    let found: Vec<State> = (0..3).map(|_| settle(&two, Ending::ReplyTimeout, 0, NOW)).collect();
    assert_eq!(found, [State::Ok, State::Ok, State::Error]);
    let any = forgiving(None);
    assert!((0..9).all(|_| settle(&any, Ending::ReplyTimeout, 0, NOW) == State::Ok));
}

#[test]
fn one_failure_never_takes_out_the_last_sound_member() {
    for outcome in [Ending::Down, Ending::StatusFatal, Ending::ReplyTimeout] {
        let group = two();
        group.seat(1).unwrap().state.set_state(State::Error);
        assert_eq!(settle(&group, outcome, 0, NOW), State::Ok, "{outcome:?}");
        assert_eq!(settle(&group, outcome, 0, NOW + 29), State::Ok, "{outcome:?}");
        // It is no longer one failure then.
        assert_eq!(settle(&group, outcome, 0, NOW + 30), State::Error, "{outcome:?}");
    }
    let mut members = [member("a"), member("b")];
    members[0].redirect = members[1].route.clone();
    members[1].activation = Activation::Disabled;
    assert_eq!(settle(&group(&members, |_| ()), Ending::Down, 0, NOW), State::Error);
    let disabled = two();
    disabled.seat(1).unwrap().state.set_activation(Some(Activation::Disabled));
    assert_eq!(settle(&disabled, Ending::Down, 0, NOW), State::Ok);
}

#[test]
fn one_request_tests_a_member() {
    let group = two();
    let seat = group.seat(0).unwrap();
    seat.state.set_state(State::Recover);
    assert_eq!(group.claim(&seat, NOW), Ok(()));
    assert_eq!(group.claim(&seat, NOW), Err(State::Probe));
    assert_eq!(states(&group), ["ERR/PRB", "OK/IDLE"]);
    assert_eq!(settle(&group, Ending::Done, 0, NOW), State::Ok);
    assert_eq!(group.claim(&seat, NOW), Ok(()));
    // Where nobody else is left, all may try.
    seat.state.set_state(State::Force);
    assert_eq!([group.claim(&seat, NOW), group.claim(&seat, NOW)], [Ok(()), Ok(())]);
}

#[test]
fn busy_members_come_back_when_there_is_room() {
    let mut members = [member("a"), member("b")];
    members[0].worker.busy_limit = Some(1);
    let group = group(&members, |_| ());
    group.seats().for_each(|seat| {
        seat.state.set_state(State::Busy);
    });
    let (running, _) = group.seat(0).unwrap().worker.enter(None);
    group.end_busy(|place| place == 0);
    assert_eq!(states(&group), ["OK/BUSY", "OK/BUSY"]);
    drop(running);
    group.end_busy(|place| place == 0);
    assert_eq!(states(&group), ["OK", "OK/BUSY"]);
}

#[test]
fn time_heals() {
    let group = two();
    assert!(group.maintain(NOW).is_empty());
    let value = |place: usize| group.seat(place).unwrap().state.lb_value.load(Ordering::Relaxed);
    group.seat(1).unwrap().state.lb_value.store(800, Ordering::Relaxed);
    settle(&group, Ending::Down, 0, NOW + 1);
    // Once per interval, and only after recover_time.
    assert!(group.maintain(NOW + 59).is_empty());
    assert!(group.maintain(NOW + 60).is_empty());
    assert_eq!((value(0), value(1)), (0, 400));
    let recovered = Flip { place: 0, from: State::Error, to: State::Recover };
    assert_eq!(group.maintain(NOW + 180), [recovered]);
    assert_eq!((value(0), value(1)), (100, 100));
    assert!(group.maintain(NOW + 180).is_empty());
}

#[test]
fn idle_members_are_told_from_those_in_use() {
    let group = two();
    group.maintain(NOW);
    for seat in group.seats() {
        seat.state.set_state(State::Ok);
    }
    group.charge(&group.seat(1).unwrap(), true, NOW);
    group.maintain(NOW + 60);
    assert_eq!(states(&group), ["OK/IDLE", "OK"]);
    group.maintain(NOW + 120);
    assert_eq!(states(&group), ["OK/IDLE", "OK/IDLE"]);
}

#[test]
fn errors_escalate_and_tests_that_never_end_fail() {
    let group = two();
    group.maintain(NOW);
    settle(&group, Ending::Down, 1, NOW + 31);
    group.maintain(NOW + 60);
    assert_eq!(states(&group), ["OK/IDLE", "OK/IDLE"]);
    group.maintain(NOW + 120);
    assert_eq!(states(&group), ["ERR", "OK/IDLE"]);
    group.maintain(NOW + 180);
    assert_eq!(states(&group), ["ERR/REC", "OK/IDLE"]);
    // The process that tests it is killed.
    group.claim(&group.seat(0).unwrap(), NOW + 180).unwrap();
    group.maintain(NOW + 240);
    assert_eq!(states(&group), ["ERR", "OK/IDLE"]);
    for run in [300, 360, 420] {
        group.maintain(NOW + run);
        assert_eq!(states(&group), ["ERR/REC", "OK/IDLE"]);
    }
}

#[test]
fn when_all_are_in_error_all_are_tried() {
    let group = two();
    group.maintain(NOW);
    for seat in group.seats() {
        seat.state.set_state(State::Error);
        seat.state.first_error_time.store(NOW + 59, Ordering::Relaxed);
        seat.state.last_error_time.store(NOW + 59, Ordering::Relaxed);
    }
    assert_eq!(group.maintain(NOW + 60).len(), 2);
    assert_eq!(states(&group), ["ERR/FRC", "ERR/FRC"]);
    assert!(group.force().is_empty());
    group.seat(1).unwrap().state.set_state(State::Error);
    assert_eq!(group.force(), [1]);
}

#[test]
fn members_recover_without_maintenance() {
    let mut group = two();
    group.maintain = None;
    settle(&group, Ending::Down, 0, NOW);
    assert!(group.maintain(NOW + 1000).is_empty());
    assert!(group.recover(NOW + 60).is_empty());
    assert_eq!(group.recover(NOW + 61).len(), 1);
    assert_eq!(states(&group), ["ERR/REC", "OK/IDLE"]);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let group = two();
    group.maintain(NOW);
    settle(&group, Ending::Down, 0, NOW);
    assert_eq!(group.maintain(NOW / 2).len(), 1);
    assert_eq!(states(&group), ["ERR/REC", "OK/IDLE"]);
}

#[test]
fn a_recovered_member_of_method_busyness_has_no_load() {
    let group = group(&[member("a"), member("b")], |config| {
        config.method = BalanceMethod::Busyness;
    });
    group.maintain(NOW);
    settle(&group, Ending::Down, 0, NOW);
    let _running = group.seat(1).unwrap().worker.enter(None);
    group.maintain(NOW + 61);
    assert_eq!(group.load(&group.seat(0).unwrap()), 0);
}

#[test]
fn a_test_whose_process_died_is_repeated() {
    let group = two();
    let seat = group.seat(0).unwrap();
    assert_eq!(settle(&group, Ending::StatusFatal, 0, NOW), State::Error);
    let later = NOW + 61;
    assert_eq!(group.recover(later).len(), 1);
    assert_eq!(group.claim(&seat, later), Ok(()));
    // Nobody ends the test.
    assert_eq!(group.recover(later + 60).len(), 0);
    assert_eq!(group.recover(later + 61).len(), 1);
    assert_eq!(states(&group), ["ERR/REC", "OK/IDLE"]);
    assert_eq!(group.claim(&seat, later + 61), Ok(()));
}

#[test]
fn a_request_from_before_does_not_test_a_member() {
    for ending in [Ending::Garbled, Ending::ReplyTimeout, Ending::NoSlot, Ending::Saturated] {
        let mut members = [member("a"), member("b")];
        members[0].worker.busy_limit = Some(1);
        let group = group(&members, |config| config.max_reply_timeouts = Some(5));
        group.seat(0).unwrap().state.set_state(State::Recover);
        assert_eq!(settle(&group, ending, 0, NOW), State::Recover, "{ending:?}");
    }
}

#[test]
fn maintenance_does_not_take_out_the_last_member_for_one_failure() {
    let group = two();
    group.seat(1).unwrap().state.set_state(State::Error);
    group.seat(1).unwrap().state.last_error_time.store(NOW, Ordering::Relaxed);
    assert_eq!(settle(&group, Ending::Down, 0, NOW), State::Ok);
    group.maintain(NOW);
    group.maintain(NOW + 600);
    assert_ne!(group.seat(0).unwrap().state.state(), State::Error);
}

#[test]
fn checks_have_the_consequences_of_requests_that_test() {
    // state before, whether requests fail there on an engine that answers pings, state after a good
    // check, after a bad one
    for (before, is_unfit, good, bad) in [
        (State::Idle, false, State::Idle, State::Error),
        (State::Ok, false, State::Ok, State::Error),
        (State::Busy, false, State::Busy, State::Error),
        (State::Error, false, State::Ok, State::Error),
        (State::Error, true, State::Error, State::Error),
        (State::Recover, false, State::Ok, State::Error),
        (State::Recover, true, State::Recover, State::Error),
        (State::Force, false, State::Ok, State::Error),
        (State::Probe, false, State::Probe, State::Probe),
    ] {
        for (is_good, expected) in [(true, good), (false, bad)] {
            let group = two();
            let member = group.seat(0).unwrap().state;
            member.set_state(before);
            member.is_unfit.store(is_unfit.into(), Ordering::Relaxed);
            let flip = group.settle_check(0, is_good, true, NOW);
            assert_eq!(member.state(), expected, "{before:?} {is_unfit} {is_good}");
            assert_eq!(flip.is_some(), before != expected, "{before:?} {is_unfit} {is_good}");
            let errors = member.errors.load(Ordering::Relaxed);
            let is_taken_out = !is_good && before != expected;
            assert_eq!(errors, u32::from(is_taken_out), "{before:?} {is_unfit} {is_good}");
        }
    }
}

#[test]
fn a_check_never_takes_out_the_last_sound_member_at_once() {
    let group = two();
    group.seat(1).unwrap().state.set_state(State::Error);
    let state = || group.states()[0];
    assert_eq!(group.settle_check(0, false, true, NOW), None);
    assert_eq!(group.settle_check(0, false, false, NOW + 29), None);
    assert_eq!(state(), State::Idle);
    // It has been failing for long then.
    assert!(group.settle_check(0, false, false, NOW + 30).is_some());
    assert_eq!(state(), State::Error);
    // All are out and tried all the same; nobody else could take over.
    assert_eq!(group.force().len(), 2);
    assert_eq!(group.settle_check(0, false, false, NOW + 31), None);
    assert_eq!(state(), State::Force);
    // What a check has found does not outlast it.
    let forgiving = two();
    forgiving.seat(1).unwrap().state.set_state(State::Error);
    forgiving.settle_check(0, false, true, NOW);
    forgiving.settle_check(0, true, true, NOW + 5);
    assert!(forgiving.settle_check(0, false, true, NOW + 40).is_none());
}

#[test]
fn users_do_not_test_what_checks_find_out() {
    let group = two();
    group.maintain(NOW);
    group.settle_check(0, false, true, NOW);
    for run in 1..=20 {
        group.settle_check(0, false, false, NOW + 30 * run);
        assert!(group.maintain(NOW + 30 * run).iter().all(|flip| flip.to != State::Recover));
    }
    // Where nobody checks any more they do.
    assert_eq!(group.maintain(NOW + 1000).len(), 1);
    assert_eq!(states(&group), ["ERR/REC", "OK/IDLE"]);
}

#[test]
fn a_ping_does_not_excuse_an_engine_that_fails_requests() {
    for (ending, comes_back) in
        [(Ending::StatusFatal, false), (Ending::ReplyTimeout, false), (Ending::Down, true)]
    {
        let group = two();
        assert_eq!(settle(&group, ending, 0, NOW), State::Error);
        group.settle_check(0, true, false, NOW + 1);
        assert_eq!(group.states()[0].is_sound(), comes_back, "{ending:?}");
        // When it did not answer pings either, it has been started anew since.
        group.settle_check(0, false, true, NOW + 2);
        group.settle_check(0, true, true, NOW + 3);
        assert!(group.states()[0].is_sound(), "{ending:?}");
    }
}

#[test]
fn the_first_error_is_the_last_one_where_it_took_the_member_out() {
    for (ending, expected) in
        [(Ending::StatusFatal, NOW + 9), (Ending::ReplyTimeout, NOW + 9), (Ending::Down, NOW)]
    {
        let group = two();
        settle(&group, Ending::Down, 1, NOW);
        assert_eq!(settle(&group, ending, 0, NOW + 9), State::Error);
        let first = &group.seat(0).unwrap().state.first_error_time;
        assert_eq!(first.load(Ordering::Relaxed), expected, "{ending:?}");
    }
}
