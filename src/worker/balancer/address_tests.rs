//! Tests of the choice by the client's address: who serves it, and who moves.
#![forbid(unsafe_code)]

use super::*;
use crate::config::balancer::BalanceMethod;
use crate::config::balancer::Member;
use crate::shared::State;
use crate::worker::balancer::choice::{Marks, Wish};
use crate::worker::balancer::group::Group;
use crate::worker::balancer::sticky::Session;
use crate::worker::balancer::testing::{group, member};

const CLIENTS: u32 = 10_000;

fn by_address(members: &[Member]) -> Group {
    group(members, |config| config.method = BalanceMethod::Address)
}

fn named(names: &[&str]) -> Vec<Member> {
    names.iter().map(|name| member(name)).collect()
}

/// The name of the member of an address.
fn of(group: &Group, address: &str) -> String {
    let address = Some(Address::new(address.as_bytes()));
    let wish = Wish { address, ..Wish::default() };
    let place = group.choose(&wish, &Marks::default(), 0).unwrap().place;
    group.seat(place).unwrap().config.worker.name.to_string()
}

/// Neighbours in IPv4 and IPv6.
fn clients() -> impl Iterator<Item = String> {
    (0..CLIENTS).map(|n| match n % 2 {
        0 => std::net::Ipv4Addr::from(0x0A00_0000 + n).to_string(),
        _ => format!("2001:db8::{n:x}"),
    })
}

fn all(group: &Group) -> Vec<String> {
    clients().map(|client| of(group, &client)).collect()
}

fn count(members: &[String], name: &str) -> u32 {
    u32::try_from(members.iter().filter(|member| *member == name).count()).unwrap()
}

#[test]
fn addresses_are_spread_by_factor() {
    let mut members = named(&["a", "b", "c"]);
    (members[0].lbfactor, members[1].lbfactor) = (5, 3);
    let found = all(&by_address(&members));
    for (name, expected) in [("a", 5), ("b", 3), ("c", 1)] {
        let expected = CLIENTS * expected / 9;
        assert!(count(&found, name).abs_diff(expected) < CLIENTS / 50, "{name} {expected}");
    }
}

#[test]
fn only_the_addresses_of_a_member_that_leaves_move_and_they_come_back() {
    let group = by_address(&named(&["a", "b", "c", "d", "e"]));
    let before = all(&group);
    let state = group.seat(2).unwrap().state;
    state.set_state(State::Error);
    let without = all(&group);
    let lost = count(&before, "c");
    for (before, without) in before.iter().zip(&without) {
        assert!(before == without || before == "c" && without != "c", "{before} {without}");
    }
    for name in ["a", "b", "d", "e"] {
        let gained = count(&without, name) - count(&before, name);
        assert!(gained.abs_diff(lost / 4) < lost / 10, "{name} gains {gained} of {lost}");
    }
    state.set_state(State::Ok);
    assert_eq!(all(&group), before);
    // One more takes its part from all and moves nothing else.
    let more = all(&by_address(&named(&["a", "b", "c", "d", "e", "f"])));
    assert!(before.iter().zip(&more).all(|(before, more)| before == more || more == "f"));
    assert!(count(&more, "f").abs_diff(CLIENTS / 6) < CLIENTS / 50);
}

#[test]
fn neither_the_order_of_members_nor_what_was_before_matters() {
    let one = by_address(&named(&["a", "b", "c"]));
    let other = by_address(&named(&["c", "a", "b"]));
    other.offset.store(1, std::sync::atomic::Ordering::Relaxed);
    other.seat(0).unwrap().state.lb_value.store(99, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(all(&one), all(&other));
}

#[test]
fn sessions_distance_and_activation_count_before_addresses() {
    let mut members = named(&["a", "b", "c"]);
    members[0].distance = 1;
    let group = by_address(&members);
    let (address, session) =
        (Some(Address::new(b"192.0.2.1")), Session::Routes(vec![b"a".to_vec()]));
    let wish = Wish { address, session, ..Wish::default() };
    let choice = group.choose(&wish, &Marks::default(), 0).unwrap();
    assert_eq!((choice.place, choice.is_sticky), (0, true));
    assert_eq!(count(&all(&group), "a"), 0);
    let stopped = Some(crate::config::balancer::Activation::Stopped);
    group.seat(1).unwrap().state.set_activation(stopped);
    assert_eq!(count(&all(&group), "c"), CLIENTS);
    group.seat(2).unwrap().state.set_state(State::Busy);
    assert_eq!(count(&all(&group), "a"), CLIENTS);
}
