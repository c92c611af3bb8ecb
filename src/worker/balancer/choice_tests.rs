//! Tests of the choice of a member.
#![forbid(unsafe_code)]

use super::*;
use crate::config::balancer::{BalancerConfig, Member};
use crate::shared::{MemberState, State};
use crate::worker::balancer::testing::{group, label, member};

const NOW: u64 = 1_000_000;
const ACTIVE: Activation = Activation::Active;
const DISABLED: Activation = Activation::Disabled;
const STOPPED: Activation = Activation::Stopped;

fn with(members: &[Member]) -> Group {
    group(members, |_| ())
}

fn three() -> [Member; 3] {
    [member("a"), member("b"), member("c")]
}

fn session(routes: &[&str]) -> Wish {
    let routes = routes.iter().map(|route| route.as_bytes().to_vec()).collect();
    Wish { session: Session::Routes(routes), ..Wish::default() }
}

fn chosen(group: &Group, wish: &Wish) -> Result<Choice, NoChoice> {
    group.choose(wish, &Marks::default(), NOW)
}

/// The member's name, or a dash.
fn name(group: &Group, wish: &Wish) -> String {
    let place = chosen(group, wish).map(|choice| choice.place);
    let seat = place.ok().and_then(|place| group.seat(place));
    seat.map_or("-".to_owned(), |seat| seat.config.worker.name.to_string())
}

/// The members of `n` requests that are counted one after the other.
fn sequence(group: &Group, wish: &Wish, n: usize) -> String {
    let one = |_| {
        let choice = chosen(group, wish).unwrap();
        let seat = group.seat(choice.place).unwrap();
        group.charge(&seat, wish.opens_session(), NOW);
        seat.config.worker.name.to_string()
    };
    (0..n).map(one).collect()
}

fn state(group: &Group, place: usize) -> &MemberState {
    group.seat(place).unwrap().state
}

#[test]
fn requests_are_spread_by_factor() {
    let mut members = three();
    members[0].lbfactor = 2;
    assert_eq!(sequence(&with(&members[..2]), &Wish::default(), 9), "ababaabaa");
    (members[0].lbfactor, members[1].lbfactor) = (5, 3);
    let group = with(&members);
    let all = sequence(&group, &Wish::default(), 900);
    let count = |name| all.chars().filter(|c| *c == name).count();
    assert_eq!([count('a'), count('b'), count('c')], [500, 300, 100]);
}

#[test]
fn stateless_requests_go_round() {
    let mut members = three();
    members[0].lbfactor = 100;
    let wish = Wish { stateless: true, ..Wish::default() };
    assert_eq!(sequence(&with(&members), &wish, 7), "abcabca");
}

#[test]
fn nearer_members_go_first() {
    let mut members = three();
    members[0].distance = 1;
    let group = with(&members);
    assert_eq!(sequence(&group, &Wish::default(), 4), "bcbc");
    state(&group, 1).set_state(State::Error);
    state(&group, 2).set_state(State::Busy);
    assert_eq!(sequence(&group, &Wish::default(), 2), "aa");
}

#[test]
fn sessions_stay_with_their_route() {
    let group = with(&three());
    for (routes, expected) in [
        (&["b"][..], "b"),
        (&["x", "c"], "c"),
        (&["b", "c"], "b"),
        (&["B"], "a"),
        (&["x"], "b"),
        (&[], "c"),
    ] {
        assert_eq!(name(&group, &session(routes)), expected, "{routes:?}");
    }
    state(&group, 1).set_state(State::Error);
    // The others of the list are asked as well, also after a failure.
    assert_eq!(name(&group, &session(&["b", "c"])), "c");
    let moved = chosen(&group, &session(&["b"])).unwrap();
    assert!(moved.is_moved && !moved.is_sticky && moved.place != 1);
    assert!(!chosen(&group, &session(&["x"])).unwrap().is_moved);
    assert!(chosen(&group, &session(&["c"])).unwrap().is_sticky);
}

#[test]
fn activation_decides_who_may_come() {
    // activation, for the session of b, for anybody when b is the only one
    for (activation, own, any) in [(ACTIVE, "b", "b"), (DISABLED, "b", "-"), (STOPPED, "a", "-")] {
        let mut members = three();
        members[1].activation = activation;
        assert_eq!(name(&with(&members), &session(&["b"])), own, "{activation:?}");
        members[0].activation = STOPPED;
        members[2].activation = STOPPED;
        assert_eq!(name(&with(&members), &Wish::default()), any, "{activation:?}");
        assert_eq!(name(&with(&members[1..2]), &Wish::default()), any, "{activation:?}");
    }
}

#[test]
fn a_rule_overrides_activation() {
    let mut members = three();
    members[2].activation = STOPPED;
    let group = with(&members);
    let activations = vec![Some(STOPPED), Some(DISABLED), Some(ACTIVE)];
    let wish = Wish { activations: activations.clone(), ..Wish::default() };
    assert_eq!(name(&group, &wish), "c");
    assert_eq!(name(&group, &Wish { activations: activations.clone(), ..session(&["a"]) }), "c");
    assert_eq!(name(&group, &Wish { activations, ..session(&["b"]) }), "b");
    // What an administrator does at run time counts where no rule says anything.
    state(&group, 1).set_activation(Some(STOPPED));
    assert_eq!(name(&group, &session(&["b"])), "a");
}

#[test]
fn a_session_moves_to_the_redirect_or_within_its_domain() {
    let mut members = [member("a.1"), member("a.2"), member("b.1"), member("b.2")];
    let plain = with(&members);
    state(&plain, 0).set_state(State::Error);
    let within = chosen(&plain, &session(&["a.1"])).unwrap();
    assert_eq!((within.place, within.by_domain, within.is_sticky), (1, true, false));
    // A route that nobody has may still name a domain.
    for route in ["b.9", "b"] {
        let found = chosen(&plain, &session(&[route])).unwrap();
        assert_eq!((found.place, found.by_domain, found.is_moved), (2, true, false), "{route}");
    }
    let mut far = members.clone();
    far[2].distance = 1;
    let far = with(&far);
    state(&far, 3).lb_value.store(99, Ordering::Relaxed);
    assert_eq!(name(&far, &session(&["b"])), "b.2", "the nearest one of the domain");
    members[0].redirect = label("b.2");
    members[3].activation = DISABLED;
    let group = with(&members);
    state(&group, 0).set_state(State::Error);
    let redirected = chosen(&group, &session(&["a.1"])).unwrap();
    assert_eq!((redirected.place, redirected.by_domain), (3, false));
    // The redirect alone counts, not the domain, if there is one.
    state(&group, 3).set_state(State::Error);
    assert!(!chosen(&group, &session(&["a.1"])).unwrap().by_domain);
}

#[test]
fn domains_are_what_stands_before_the_first_dot() {
    let node = |name: &str| Member { domain: label("ivynode1"), ..member(name) };
    let group = with(&[member("x"), node("ivynode1.soreco.ch"), node("other")]);
    assert!(chosen(&group, &session(&["ivynode1.soreco.ch"])).unwrap().is_sticky);
    state(&group, 1).set_state(State::Error);
    assert_eq!(name(&group, &session(&["ivynode1.soreco.ch"])), "other");
    // C mod_jk never finds a domain that has a dot.
    let dotted = |name: &str| Member { domain: label("d.e"), ..member(name) };
    let group = with(&[dotted("x"), dotted("y")]);
    assert!(!chosen(&group, &session(&["d.e"])).unwrap().by_domain);
}

#[test]
fn forced_sessions_fail_rather_than_move() {
    let force = |config: &mut BalancerConfig| config.sticky_session_force = true;
    let mut members = [member("a.1"), member("a.2")];
    members[0].redirect = label("a.2");
    let group = group(&members, force);
    state(&group, 0).set_state(State::Error);
    for routes in [&["a.1"][..], &["x"], &[]] {
        assert_eq!(chosen(&group, &session(routes)), Err(NoChoice::SessionHeld), "{routes:?}");
    }
    assert_eq!(name(&group, &session(&["a.1", "a.2"])), "a.2");
    assert_eq!(name(&group, &Wish::default()), "a.2");
}

#[test]
fn a_disabled_member_stands_by() {
    let mut members = three();
    members[1].redirect = label("c");
    members[2].activation = DISABLED;
    let group = with(&members);
    assert_eq!(sequence(&group, &Wish::default(), 3), "aba");
    state(&group, 0).set_state(State::Error);
    state(&group, 1).set_state(State::Error);
    let standby = chosen(&group, &Wish::default()).unwrap();
    assert_eq!((standby.place, standby.is_sticky), (2, false));
    state(&group, 2).set_state(State::Probe);
    assert_eq!(chosen(&group, &Wish::default()), Err(NoChoice::NoMember));
}

#[test]
fn one_member_needs_no_search() {
    let group = with(&[member("a")]);
    assert!(chosen(&group, &Wish::default()).unwrap().is_sticky);
    state(&group, 0).set_state(State::Error);
    assert_eq!(chosen(&group, &session(&["a"])), Err(NoChoice::NoMember));
}

#[test]
fn a_full_member_gets_no_more_and_its_sessions_wait() {
    let mut members = [member("a.1"), member("a.2"), member("b.1")];
    for member in &mut members {
        member.worker.max_inflight = Some(2);
    }
    members[2].distance = 1;
    let full = |group: &Group, places: &[usize]| {
        for place in places {
            let inflight = &group.seat(*place).unwrap().worker.inflight;
            inflight.count.store(2, Ordering::Relaxed);
        }
    };
    let refused = |full| Err(NoChoice::Full(full));
    let group = with(&members);
    full(&group, &[0]);
    assert_eq!(sequence(&group, &Wish::default(), 2), "a.2a.2");
    assert_eq!(chosen(&group, &session(&["a.1"])), refused(Full::Member(0)));
    // Its session is one of two.
    assert_eq!(chosen(&group, &session(&["a.1", "a.2"])), refused(Full::Member(0)));
    assert_eq!(name(&group, &session(&["a.2", "a.1"])), "a.2");
    assert_eq!(name(&group, &session(&["a.9"])), "a.2");
    full(&group, &[1]);
    assert_eq!(sequence(&group, &Wish::default(), 1), "b.1", "farther away, but free");
    // Those who would take over the session of a member that is out.
    state(&group, 0).set_state(State::Error);
    assert_eq!(chosen(&group, &session(&["a.1"])), refused(Full::Members));
    full(&group, &[2]);
    assert_eq!(chosen(&group, &Wish::default()), refused(Full::Members));
    let stopped = Wish { activations: vec![Some(STOPPED); 3], ..Wish::default() };
    assert_eq!(chosen(&group, &stopped), Err(NoChoice::NoMember));
    members[0].redirect = label("b.1");
    let redirecting = with(&members);
    state(&redirecting, 0).set_state(State::Error);
    assert_eq!(name(&redirecting, &session(&["a.1"])), "b.1");
    full(&redirecting, &[2]);
    assert_eq!(chosen(&redirecting, &session(&["a.1"])), refused(Full::Member(2)));
    let one = with(&members[..1]);
    full(&one, &[0]);
    assert_eq!(chosen(&one, &Wish::default()), refused(Full::Member(0)));
}

#[test]
fn marks_are_of_one_round_or_of_all() {
    let group = with(&three());
    let name = |marks: &Marks| group.choose(&session(&["b"]), marks, NOW).map(|c| c.place);
    let mut marks = Marks::default();
    marks.add(1, Mark::Failed);
    assert_ne!(name(&marks), Ok(1));
    marks.forgive(&[0, 1]);
    assert_eq!(name(&marks), Ok(1));
    marks.add(1, Mark::Full);
    assert_eq!(name(&marks), Err(NoChoice::Full(Full::Member(1))));
    marks.begin_round();
    assert_eq!(name(&marks), Ok(1));
    marks.add(1, Mark::Spent);
    marks.forgive(&[1]);
    marks.begin_round();
    assert_ne!(name(&marks), Ok(1));
}

/// What a request of a balancer costs beyond one of a single worker: looking, choosing, claiming,
/// counting, settling.
#[test]
#[ignore = "measures and judges nothing: cargo test --release --lib what_a_choice -- --ignored --nocapture"]
fn what_a_choice_costs() {
    use crate::config::balancer::BalanceMethod;
    use crate::worker::balancer::state::Ending;
    use std::io::Write as _;

    const ROUNDS: u32 = 100_000;
    let names: Vec<String> = (0..100).map(|n| format!("node{n}.example.ch")).collect();
    let members: Vec<Member> = names.iter().map(|name| member(name)).collect();
    let address = |n: u32| Address::new(std::net::Ipv4Addr::from(n).to_string().as_bytes());
    for method in [
        BalanceMethod::Request,
        BalanceMethod::Traffic,
        BalanceMethod::Busyness,
        BalanceMethod::Sessions,
        BalanceMethod::Next,
        BalanceMethod::Address,
    ] {
        for is_sticky in [false, true] {
            let group = group(&members, |config| config.method = method);
            let sticky = session(&["node99.example.ch"]);
            let begin = std::time::Instant::now();
            for n in 0..ROUNDS {
                let is_by_address = method == BalanceMethod::Address;
                let wish = Wish {
                    address: is_by_address.then(|| address(n)),
                    session: if is_sticky { sticky.session.clone() } else { Session::None },
                    ..Wish::default()
                };
                group.end_busy(|_| true);
                let choice = group.choose(&wish, &Marks::default(), NOW).unwrap();
                let seat = group.seat(choice.place).unwrap();
                group.claim(&seat, NOW).unwrap();
                group.charge(&seat, wish.opens_session(), NOW);
                group.charge_traffic(&seat, 1000, NOW);
                group.settle(choice.place, Ending::Done, 0, NOW);
            }
            let each = begin.elapsed().as_nanos() / u128::from(ROUNDS);
            let what = format!("{method:?}, sticky {is_sticky}: {each} ns among 100 members");
            writeln!(std::io::stderr(), "{what}").unwrap();
        }
    }
}
