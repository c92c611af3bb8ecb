//! Balancers under load whose engines fail, with an injected clock. Several processes share the
//! records; what must never happen is checked after every step.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::choice::Wish;
use super::group::Group;
use super::state::Ending;
use super::sticky::Session;
use super::testing::{balancer, layout, member};
use crate::config::balancer::{Activation, BalanceMethod, BalancerConfig, Member};
use crate::shared::{Busy, Heap, Layout, State};

/// Runs, unless the environment variable `JK_SEEDS` says how many.
const SEEDS: u64 = 256;
const STEPS: usize = 400;
const PROCESSES: usize = 3;
/// `worker.maintain`, and the longest time between two looks of any process, seconds.
const MAINTAIN: u64 = 20;
const LONGEST_STEP: u64 = 7;

/// A generator whose numbers depend on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn place(&mut self, n: usize) -> usize {
        usize::try_from(self.below(u64::try_from(n).unwrap())).unwrap()
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What an engine does with every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Works,
    Refuses,
    IsSlow,
    Raves,
    Overloaded,
}

const ENGINES: [Engine; 5] =
    [Engine::Works, Engine::Refuses, Engine::IsSlow, Engine::Raves, Engine::Overloaded];

impl Engine {
    fn ending(self) -> Ending {
        match self {
            Self::Works => Ending::Done,
            Self::Refuses => Ending::Down,
            Self::IsSlow => Ending::ReplyTimeout,
            Self::Raves => Ending::Garbled,
            Self::Overloaded => Ending::StatusFatal,
        }
    }
}

/// A request that a member is serving.
struct Running {
    process: usize,
    place: usize,
    wish: Wish,
    states: Vec<State>,
    was_forced: bool,
}

struct World {
    random: Random,
    now: u64,
    engines: Vec<Engine>,
    running: Vec<Running>,
    /// Who tests a member, by its place.
    tests: Vec<u32>,
    /// Since when a member is being tested.
    tested_since: Vec<Option<u64>>,
    /// Since when a member is in error.
    error_since: Vec<Option<u64>>,
    served: Vec<u64>,
}

fn random_config(random: &mut Random) -> BalancerConfig {
    let count = 2 + random.place(4);
    let members: Vec<Member> = (0..count)
        .map(|place| Member {
            lbfactor: 1 + u32::try_from(random.below(4)).unwrap(),
            distance: i32::from(random.one_in(4)),
            ..member(&format!("d{}.{place}", place % 2))
        })
        .collect();
    let methods = [
        BalanceMethod::Request,
        BalanceMethod::Traffic,
        BalanceMethod::Busyness,
        BalanceMethod::Sessions,
        BalanceMethod::Next,
    ];
    BalancerConfig {
        method: methods[random.place(5)],
        recover_time: Duration::from_secs(1 + random.below(90)),
        error_escalation_time: Duration::from_secs(random.below(60)),
        max_reply_timeouts: Some(u32::try_from(random.below(3)).unwrap()),
        sticky_session_force: random.one_in(5),
        ..balancer(&members)
    }
}

impl World {
    fn new(seed: u64, members: usize, random: Random) -> Self {
        Self {
            random,
            now: 1_000_000 + seed,
            engines: vec![Engine::Works; members],
            running: Vec::new(),
            tests: vec![0; members],
            tested_since: vec![None; members],
            error_since: vec![None; members],
            served: vec![0; members],
        }
    }

    fn wish(&mut self, group: &Group) -> Wish {
        let count = group.config.members.len();
        let session = if self.random.one_in(2) {
            let owner = &group.config.members[self.random.place(count)];
            Session::Routes(vec![owner.route.as_bytes().to_vec()])
        } else {
            Session::None
        };
        let choices =
            [None, Some(Activation::Active), Some(Activation::Disabled), Some(Activation::Stopped)];
        let activations = if self.random.one_in(4) {
            (0..count).map(|_| choices[self.random.place(4)]).collect()
        } else {
            Vec::new()
        };
        Wish { session, stateless: self.random.one_in(8), activations }
    }

    /// A request looks for a member, and gets it or gives up.
    fn elect(&mut self, group: &Group, mut request: Running) {
        for _ in 0..20 {
            let Ok(choice) = group.choose(&request.wish, &request.states) else {
                if request.was_forced {
                    return;
                }
                request.was_forced = true;
                for place in group.force() {
                    request.states[place] = State::Force;
                }
                continue;
            };
            let seat = group.seat(choice.place).unwrap();
            let before = seat.state.state();
            if let Err(state) = group.claim(&seat, self.now) {
                request.states[choice.place] = state;
                continue;
            }
            let activation = request.wish.activation(choice.place, &seat);
            assert_ne!(activation, Activation::Stopped, "a request for a stopped member");
            assert!(before.is_usable(), "a request for a member in state {}", before.text());
            if before == State::Recover {
                self.tests[choice.place] += 1;
                self.tested_since[choice.place] = Some(self.now);
                assert_eq!(self.tests[choice.place], 1, "a crowd tests a member");
            }
            group.charge(&seat, request.wish.opens_session());
            keep(seat.worker.enter(None).0);
            request.place = choice.place;
            self.running.push(request);
            return;
        }
        panic!("a request that finds no end");
    }

    fn start(&mut self, groups: &[Group]) {
        let process = self.random.place(PROCESSES);
        let wish = self.wish(&groups[0]);
        self.request(groups, process, wish);
    }

    fn request(&mut self, groups: &[Group], process: usize, wish: Wish) {
        let group = &groups[process];
        group.end_busy(|_| true);
        let states = group.states();
        let request = Running { process, place: 0, wish, states, was_forced: false };
        self.elect(group, request);
    }

    /// A running request ends; where it failed, it may go elsewhere.
    fn finish(&mut self, groups: &[Group]) {
        if self.running.is_empty() {
            return;
        }
        let at = self.random.place(self.running.len());
        let mut request = self.running.swap_remove(at);
        let (group, place) = (&groups[request.process], request.place);
        let seat = group.seat(place).unwrap();
        leave(&seat.worker.busy);
        let ending = self.engines[place].ending();
        group.charge_traffic(&seat, 1000);
        let sound = |group: &Group| {
            let is_sound = |(_, state): &(usize, State)| -> bool { state.is_sound() };
            let states = group.states().into_iter().enumerate().filter(is_sound);
            let can_serve = states.filter(|(other, _)| {
                *other == place || group.seat(*other).unwrap().activation() == Activation::Active
            });
            can_serve.map(|(place, _)| place).collect::<Vec<_>>()
        };
        let before = sound(group);
        let since = seat.state.first_error_time.load(Ordering::Relaxed);
        let others = seat.worker.busy.load(Ordering::Relaxed);
        group.settle(place, ending, others, self.now);
        if before == [place] && since == 0 {
            assert_eq!(sound(group), [place], "one request took out the last member: {ending:?}");
        }
        if ending == Ending::Done {
            self.served[place] += 1;
        } else if self.random.one_in(2) {
            request.states[place] = State::Error;
            self.elect(group, request);
        }
    }

    fn step(&mut self, groups: &[Group]) {
        match self.random.below(12) {
            0..=4 => self.start(groups),
            5..=8 => self.finish(groups),
            9 => {
                let place = self.random.place(self.engines.len());
                self.engines[place] = match self.random.one_in(2) {
                    true => Engine::Works,
                    false => ENGINES[self.random.place(5)],
                };
            }
            10 => self.wait(groups),
            _ if self.random.one_in(4) => {
                let choices = [None, Some(Activation::Disabled), Some(Activation::Stopped)];
                let (place, choice) = (self.random.place(self.engines.len()), self.random.place(3));
                groups[0].seat(place).unwrap().state.set_activation(choices[choice]);
            }
            _ => self.lose(groups),
        }
        self.check(groups);
    }

    /// Time passes, and some process looks after the members.
    fn wait(&mut self, groups: &[Group]) {
        self.now += 1 + self.random.below(LONGEST_STEP);
        let process = self.random.place(PROCESSES);
        groups[process].maintain(self.now);
    }

    /// A request ends without a word about its member, as one does within a panic.
    fn lose(&mut self, groups: &[Group]) {
        if let Some(request) = self.running.pop() {
            leave(&groups[0].seat(request.place).unwrap().worker.busy);
        }
    }

    fn check(&mut self, groups: &[Group]) {
        let config = &groups[0].config;
        for (place, seat) in groups[0].seats().enumerate() {
            let running = self.running.iter().filter(|request| request.place == place).count();
            let busy = seat.worker.busy.load(Ordering::Relaxed);
            assert_eq!(usize::try_from(busy).unwrap(), running, "busy of member {place}");
            let state = seat.state.state();
            if state != State::Probe {
                self.tests[place] = 0;
                self.tested_since[place] = None;
            }
            if state != State::Error {
                self.error_since[place] = None;
            } else {
                let last = seat.state.last_error_time.load(Ordering::Relaxed);
                let since = last.max(*self.error_since[place].get_or_insert(self.now));
                let bound = config.recover_time.as_secs() + MAINTAIN + LONGEST_STEP;
                assert!(self.now - since <= bound, "member {place} does not recover");
            }
            if let Some(since) = self.tested_since[place] {
                let bound = config.error_escalation_time.as_secs() + MAINTAIN + LONGEST_STEP;
                assert!(self.now - since <= bound, "a test of member {place} without end");
            }
        }
    }

    /// All engines work again: so do all members, and each gets its part.
    fn heal(&mut self, groups: &[Group]) {
        self.engines.fill(Engine::Works);
        while !self.running.is_empty() {
            self.finish(groups);
        }
        for seat in groups[0].seats() {
            seat.state.set_activation(None);
        }
        let config = &groups[0].config;
        let bound = config.recover_time.as_secs() + 3 * MAINTAIN + LONGEST_STEP;
        let end = self.now + bound + config.error_escalation_time.as_secs();
        while self.now < end {
            self.wait(groups);
            for process in 0..PROCESSES {
                // Requests of each member's own sessions reach those far away as well.
                for member in &config.members {
                    let route = member.route.as_bytes().to_vec();
                    let session = Session::Routes(vec![route]);
                    let wish = Wish { session, ..Wish::default() };
                    self.request(groups, process, wish);
                    self.finish(groups);
                }
            }
            self.check(groups);
        }
        let states = groups[0].states();
        assert!(states.iter().all(|state| state.is_sound()), "{states:?}");
        let nearest = config.members.iter().map(|member| member.distance).min();
        self.served.fill(0);
        for _ in 0..200 * self.engines.len() {
            let process = self.random.place(PROCESSES);
            self.request(groups, process, Wish::default());
            if self.running.len() > 3 {
                self.finish(groups);
            }
            if self.random.one_in(50) {
                self.wait(groups);
            }
        }
        while !self.running.is_empty() {
            self.finish(groups);
        }
        for (served, member) in self.served.iter().zip(&config.members) {
            let is_near = Some(member.distance) == nearest;
            assert_eq!(*served > 10, is_near, "shares {:?}", self.served);
        }
    }
}

/// Keeps a request counted; [`leave`] takes it out.
fn keep(busy: Busy<'_>) {
    std::mem::forget(busy);
}

fn leave(busy: &std::sync::atomic::AtomicU32) {
    assert!(busy.fetch_sub(1, Ordering::Relaxed) > 0, "a request that nobody has counted");
}

#[test]
fn nothing_happens_that_must_not() {
    let seeds = std::env::var("JK_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 1..=seeds.unwrap_or(SEEDS) {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let config = random_config(&mut random);
        let members = config.members.len();
        let memory = Arc::new(Heap::new(layout(members)));
        let every = Some(Duration::from_secs(MAINTAIN));
        let group = || Group::new(config.clone(), memory.clone(), Layout::default(), every);
        let groups: Vec<Group> = (0..PROCESSES).map(|_| group()).collect();
        let mut world = World::new(seed, members, random);
        let run = std::panic::AssertUnwindSafe(|| {
            for _ in 0..STEPS {
                world.step(&groups);
            }
            world.heal(&groups);
        });
        if std::panic::catch_unwind(run).is_err() {
            panic!("seed {seed}: {config:?}");
        }
    }
}
