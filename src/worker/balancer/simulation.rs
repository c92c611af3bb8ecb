//! Balancers under load whose engines fail, with an injected clock. Several processes share the
//! records; what must never happen is checked after every step.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::address::Address;
use super::choice::{Mark, Marks, NoChoice, Wish};
use super::group::Group;
use super::state::Ending;
use super::sticky::Session;
use super::testing::{balancer, layout, member};
use crate::config::balancer::{Activation, BalanceMethod, BalancerConfig, Member};
use crate::shared::{Busy, Heap, Positions, State};

/// Runs, and those of `misc/dev long`; the environment variable `JK_SEEDS` says otherwise.
const SEEDS: u64 = 256;
const SEEDS_OF_LONG: u64 = 10_000;
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
    marks: Marks,
    was_forced: bool,
    charged: u64,
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

/// A limit that is reached, or none.
fn limit(random: &mut Random) -> Option<u32> {
    random.one_in(3).then(|| 1 + u32::try_from(random.below(4)).unwrap())
}

fn random_config(random: &mut Random) -> BalancerConfig {
    let count = 2 + random.place(4);
    let members: Vec<Member> = (0..count)
        .map(|place| {
            let mut member = Member {
                lbfactor: 1 + u32::try_from(random.below(4)).unwrap(),
                distance: i32::from(random.one_in(4)),
                ..member(&format!("d{}.{place}", place % 2))
            };
            member.worker.max_inflight = limit(random);
            member.worker.health_check = random.one_in(3).then(|| Duration::from_secs(5));
            member
        })
        .collect();
    let methods = [
        BalanceMethod::Request,
        BalanceMethod::Traffic,
        BalanceMethod::Busyness,
        BalanceMethod::Sessions,
        BalanceMethod::Next,
        BalanceMethod::Address,
    ];
    BalancerConfig {
        method: methods[random.place(6)],
        slow_start: Duration::from_secs(random.below(2) * random.below(90)),
        max_inflight: limit(random).map(|limit| limit * 2),
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
        let address = (group.config.method == BalanceMethod::Address).then(|| self.address());
        Wish { session, stateless: self.random.one_in(8), activations, address }
    }

    fn address(&mut self) -> Address {
        Address::new(self.random.below(1 << 32).to_string().as_bytes())
    }

    /// A request looks for a member, and gets it or gives up.
    fn elect(&mut self, group: &Group, mut request: Running) {
        let all = &group.state().unwrap().inflight;
        if all.is_full(group.config.max_inflight) {
            return;
        }
        for _ in 0..20 {
            let choice = match group.choose(&request.wish, &request.marks, self.now) {
                Ok(choice) => choice,
                Err(NoChoice::Full(_)) => {
                    let limits = group.config.members.iter().map(|m| m.worker.max_inflight);
                    assert!(limits.flatten().count() > 0, "refused without a limit");
                    return;
                }
                Err(_) if request.was_forced => return,
                Err(_) => {
                    request.was_forced = true;
                    let forced = group.force();
                    request.marks.forgive(&forced);
                    continue;
                }
            };
            let seat = group.seat(choice.place).unwrap();
            let before = seat.state.state();
            if group.claim(&seat, self.now).is_err() {
                request.marks.add(choice.place, Mark::Failed);
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
            request.charged = group.charge(&seat, request.wish.opens_session(), self.now);
            keep(seat.worker.enter(None).0);
            all.count.fetch_add(1, Ordering::Relaxed);
            seat.worker.inflight.count.fetch_add(1, Ordering::Relaxed);
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
        let marks = Marks::default();
        let request = Running { process, place: 0, wish, marks, was_forced: false, charged: 0 };
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
        uncount(group, place);
        let ending = self.engines[place].ending();
        if self.random.one_in(20) {
            // It was never sent after all.
            group.refund(&seat, request.wish.opens_session(), request.charged);
        }
        group.charge_traffic(&seat, 1000, self.now);
        let before = sound(group, place);
        let since = seat.state.first_error_time.load(Ordering::Relaxed);
        let others = seat.worker.busy.load(Ordering::Relaxed);
        group.settle(place, ending, others, self.now);
        if before == [place] && since == 0 {
            assert_eq!(
                sound(group, place),
                [place],
                "one request took out the last member: {ending:?}"
            );
        }
        if ending == Ending::Done {
            self.served[place] += 1;
        } else if self.random.one_in(2) {
            request.marks.add(place, Mark::Failed);
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
        self.check(groups);
        self.ping(&groups[process]);
        self.check(groups);
    }

    /// Engines are checked where it is time for that.
    fn ping(&mut self, group: &Group) {
        for (place, engine) in self.engines.clone().into_iter().enumerate() {
            let seat = group.seat(place).unwrap();
            let Some(interval) = seat.config.worker.health_check else { continue };
            let last = seat.worker.checked.load(Ordering::Relaxed);
            if self.now - last < interval.as_secs() {
                continue;
            }
            seat.worker.checked.store(self.now, Ordering::Relaxed);
            let is_good = engine != Engine::Refuses;
            let failing = u32::from(!is_good);
            let is_news = seat.worker.is_failing.swap(failing, Ordering::Relaxed) != failing;
            let is_last = sound(group, place) == [place];
            let since = seat.state.first_error_time.load(Ordering::Relaxed);
            let before = seat.state.state();
            let unfit = seat.state.is_unfit.load(Ordering::Relaxed) != 0;
            group.settle_check(place, is_good, is_news, self.now);
            let after = seat.state.state();
            if is_last && since == 0 {
                assert_ne!(after, State::Error, "a check took out the last member");
            }
            if is_good && before == State::Error && !unfit {
                assert_eq!(after, State::Ok, "a good check without effect");
            }
            assert!(is_good || before != State::Error || after == State::Error);
        }
    }

    /// A request ends without a word about its member, as one does within a panic.
    fn lose(&mut self, groups: &[Group]) {
        if let Some(request) = self.running.pop() {
            uncount(&groups[0], request.place);
        }
    }

    fn check(&mut self, groups: &[Group]) {
        let config = &groups[0].config;
        let all = groups[0].state().unwrap().inflight.count.load(Ordering::Relaxed);
        assert_eq!(usize::try_from(all).unwrap(), self.running.len(), "in flight at all");
        assert!(all <= config.max_inflight.unwrap_or(u32::MAX), "too many in flight");
        for (place, seat) in groups[0].seats().enumerate() {
            let running = self.running.iter().filter(|request| request.place == place).count();
            let busy = seat.worker.busy.load(Ordering::Relaxed);
            assert_eq!(usize::try_from(busy).unwrap(), running, "busy of member {place}");
            let inflight = seat.worker.inflight.count.load(Ordering::Relaxed);
            let most = seat.config.worker.max_inflight.unwrap_or(u32::MAX);
            assert!(inflight == busy && inflight <= most, "in flight at member {place}");
            if let Some(part) = groups[0].part(&seat, self.now) {
                assert!(part.part > 0 && part.part < part.whole, "{part:?}");
                let since = seat.state.warming_since.load(Ordering::Relaxed);
                assert!(self.now - since < config.slow_start.as_secs(), "slow without end");
            }
            let state = seat.state.state();
            if state != State::Probe {
                self.tests[place] = 0;
                self.tested_since[place] = None;
            }
            let is_pinged = seat.config.worker.health_check.is_some()
                && seat.state.is_unfit.load(Ordering::Relaxed) == 0;
            if state != State::Error {
                self.error_since[place] = None;
            } else if is_pinged && self.engines[place] == Engine::Refuses {
                // Nobody need test it.
                self.error_since[place] = Some(self.now);
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
        let rest = config.recover_time + config.slow_start;
        let bound = rest.as_secs() + 3 * MAINTAIN + LONGEST_STEP;
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
        let is_limited = config.max_inflight.is_some()
            || config.members.iter().any(|member| member.worker.max_inflight.is_some());
        self.served.fill(0);
        for _ in 0..200 * self.engines.len() {
            let process = self.random.place(PROCESSES);
            let is_by_address = config.method == BalanceMethod::Address;
            let address = is_by_address.then(|| self.address());
            self.request(groups, process, Wish { address, ..Wish::default() });
            if is_limited || self.running.len() > 3 {
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

/// The members that are sound, of those that could take the place of one, and it.
fn sound(group: &Group, place: usize) -> Vec<usize> {
    let is_sound = |(_, state): &(usize, State)| -> bool { state.is_sound() };
    let states = group.states().into_iter().enumerate().filter(is_sound);
    let can_serve = states.filter(|(other, _)| {
        *other == place || group.seat(*other).unwrap().activation() == Activation::Active
    });
    can_serve.map(|(place, _)| place).collect()
}

/// Takes a request of a member out of all counts.
fn uncount(group: &Group, place: usize) {
    let seat = group.seat(place).unwrap();
    let all = &group.state().unwrap().inflight;
    for count in [&seat.worker.busy, &seat.worker.inflight.count, &all.count] {
        leave(count);
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
    let is_long = std::env::var_os("JK_LONG").is_some();
    let default = if is_long { SEEDS_OF_LONG } else { SEEDS };
    let seeds = std::env::var("JK_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    for seed in 1..=seeds.unwrap_or(default) {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let config = random_config(&mut random);
        let members = config.members.len();
        let memory = Arc::new(Heap::new(layout(members)));
        let every = Some(Duration::from_secs(MAINTAIN));
        let at = Positions::first(members);
        let group = || Group::new(config.clone(), memory.clone(), at.clone(), every);
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
