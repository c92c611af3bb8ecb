//! Tests of what a member gets that has recovered (`slow_start`), with a clock of their own.
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::*;
use crate::shared::State;
use crate::worker::balancer::address::Address;
use crate::worker::balancer::choice::{Marks, Wish};
use crate::worker::balancer::state::Ending;
use crate::worker::balancer::testing::{group, member};

const NOW: u64 = 1_000_000;
const SLOW: u64 = 100;

/// Three members, the first of which has recovered just now.
fn recovered(method: BalanceMethod, factors: [u32; 3]) -> Group {
    let members = ["a", "b", "c"]
        .into_iter()
        .zip(factors)
        .map(|(name, f)| Member { lbfactor: f, ..member(name) });
    let group = group(&members.collect::<Vec<_>>(), |config| {
        config.method = method;
        config.slow_start = Duration::from_secs(SLOW);
    });
    group.seat(0).unwrap().state.set_state(State::Probe);
    group.settle(0, Ending::Done, 0, NOW);
    group
}

/// How many of `n` requests each member gets at a moment, `running` of them at a time.
fn served(group: &Group, now: u64, n: usize, running: usize, wish: &Wish) -> [usize; 3] {
    let mut served = [0; 3];
    let mut queue = VecDeque::new();
    let done = |place: usize| {
        let seat = group.seat(place).unwrap();
        seat.worker.busy.fetch_sub(1, Ordering::Relaxed);
        group.charge_traffic(&seat, 1000, now);
    };
    for _ in 0..n {
        let place = group.choose(wish, &Marks::default(), now).unwrap().place;
        let seat = group.seat(place).unwrap();
        group.charge(&seat, wish.opens_session(), now);
        seat.worker.busy.fetch_add(1, Ordering::Relaxed);
        served[place] += 1;
        queue.push_back(place);
        if queue.len() > running {
            queue.pop_front().into_iter().for_each(done);
        }
    }
    queue.into_iter().for_each(done);
    served
}

/// The part of its share that the first member should have, in percent.
fn percent(time: u64) -> usize {
    usize::try_from((10 + 90 * time / SLOW).min(100)).unwrap()
}

#[test]
fn a_recovered_member_comes_to_its_share_by_and_by() {
    let methods = [
        BalanceMethod::Request,
        BalanceMethod::Sessions,
        BalanceMethod::Next,
        BalanceMethod::Traffic,
    ];
    for (method, factors) in methods.into_iter().flat_map(|m| [(m, [1, 1, 1]), (m, [4, 2, 1])]) {
        let group = recovered(method, factors);
        for time in [0, 1, 20, 50, 80, 99, 100, 500] {
            let [a, b, c] = served(&group, NOW + time, 3000, 0, &Wish::default());
            let weight = |place: usize| usize::try_from(factors[place]).unwrap();
            let own = weight(0) * percent(time);
            let expected = 3000 * own / (own + 100 * (weight(1) + weight(2)));
            let what = format!("{method:?} {factors:?} after {time} s: {a} {b} {c} of {expected}");
            assert!(a.abs_diff(expected) <= 30, "{what}");
            assert!((b * weight(2)).abs_diff(c * weight(1)) <= 30, "{what}");
        }
    }
}

#[test]
fn so_does_one_whose_load_is_no_memory() {
    let stateless = Wish { stateless: true, ..Wish::default() };
    let any = Wish::default();
    for (method, wish, running) in [
        (BalanceMethod::Busyness, &any, 0),
        (BalanceMethod::Busyness, &any, 3),
        (BalanceMethod::Busyness, &any, 60),
        (BalanceMethod::Request, &stateless, 0),
        (BalanceMethod::Busyness, &stateless, 0),
    ] {
        let group = recovered(method, [1, 1, 1]);
        let mut before = 0;
        for time in [0, 20, 50, 80, 100] {
            let [a, b, c] = served(&group, NOW + time, 3000, running, wish);
            let expected = 3000 * percent(time) / (percent(time) + 200);
            let what = format!("{method:?} {running} {time}: {a} {b} {c} of {expected}");
            assert!(a >= before && a * 2 >= expected && a <= expected * 2, "{what}");
            before = a;
        }
        assert!(before.abs_diff(1000) < 20, "{method:?}: {before}");
    }
}

#[test]
fn of_its_addresses_it_takes_more_and_more_and_gives_none_back() {
    let group = recovered(BalanceMethod::Address, [1, 1, 1]);
    let addresses: Vec<Address> =
        (0..3000).map(|n| Address::new(format!("192.0.2.{n}").as_bytes())).collect();
    let of_first = |time: u64| -> BTreeSet<usize> {
        let is_of_first = |address: &Address| {
            let wish = Wish { address: Some(*address), ..Wish::default() };
            group.choose(&wish, &Marks::default(), NOW + time).unwrap().place == 0
        };
        let places = addresses.iter().enumerate().filter(|(_, address)| is_of_first(address));
        places.map(|(at, _)| at).collect()
    };
    let all = of_first(SLOW);
    assert!(all.len().abs_diff(1000) < 100, "{}", all.len());
    let mut before = BTreeSet::new();
    for time in 0..=SLOW {
        let now = of_first(time);
        assert!(before.is_subset(&now) && now.is_subset(&all), "after {time} s");
        let expected = all.len() * percent(time) / 100;
        assert!(now.len().abs_diff(expected) < 50, "{time}: {} of {expected}", now.len());
        before = now;
    }
}

#[test]
fn only_what_was_out_begins_slowly() {
    for (from, is_slow) in [
        (State::Idle, false),
        (State::Ok, false),
        (State::Busy, false),
        (State::Error, true),
        (State::Recover, true),
        (State::Force, true),
        (State::Probe, true),
    ] {
        let group = group(&[member("a"), member("b")], |config| {
            config.slow_start = Duration::from_secs(SLOW);
        });
        let seat = group.seat(0).unwrap();
        assert_eq!(group.part(&seat, NOW), None);
        seat.state.set_state(from);
        group.seat(1).unwrap().state.lb_value.store(700, Ordering::Relaxed);
        group.settle(0, Ending::Done, 0, NOW);
        assert_eq!(group.part(&seat, NOW).is_some(), is_slow, "{from:?}");
        // It does not have to catch up.
        assert_eq!(group.load(&seat), if is_slow { 700 } else { 0 }, "{from:?}");
        assert_eq!(group.part(&seat, NOW + SLOW), None);
        assert_eq!(group.part(&seat, NOW - 1), None, "a clock that was set back");
    }
    let unset = group(&[member("a"), member("b")], |_| ());
    let seat = unset.seat(0).unwrap();
    seat.state.set_state(State::Probe);
    unset.settle(0, Ending::Done, 0, NOW);
    assert_eq!((unset.part(&seat, NOW), unset.load(&seat)), (None, 0));
}

#[test]
fn its_sessions_and_a_lonely_member_do_not_mind() {
    for method in [BalanceMethod::Request, BalanceMethod::Busyness, BalanceMethod::Address] {
        let group = recovered(method, [1, 1, 1]);
        let session = crate::worker::balancer::sticky::Session::Routes(vec![b"a".to_vec()]);
        let address = Some(Address::new(b"192.0.2.9"));
        let wish = Wish { session, address, ..Wish::default() };
        assert_eq!(served(&group, NOW, 50, 0, &wish), [50, 0, 0]);
        // Farther members, and those in error, do not take its place.
        group.seat(1).unwrap().state.set_state(State::Error);
        group.seat(2).unwrap().state.set_state(State::Error);
        let wish = Wish { address, ..Wish::default() };
        assert_eq!(served(&group, NOW, 50, 0, &wish), [50, 0, 0]);
    }
}

#[test]
fn what_was_charged_is_refunded() {
    let group = recovered(BalanceMethod::Request, [1, 3, 1]);
    let seat = group.seat(0).unwrap();
    let before = group.load(&seat);
    for _ in 0..50 {
        let charged = group.charge(&seat, true, NOW + 1);
        assert!(charged > seat.multiplier);
        group.refund(&seat, true, charged);
    }
    assert_eq!(group.load(&seat), before);
}
