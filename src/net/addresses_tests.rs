#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use super::*;

type Answer = io::Result<Vec<SocketAddr>>;

const TTL: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, last], 0))
}

fn fails() -> Answer {
    Err(io::Error::new(ErrorKind::TimedOut, "the resolver is away"))
}

fn must_not_ask() -> Answer {
    panic!("the resolver is asked")
}

/// A name and a clock that only the test moves.
struct Scene {
    name: Addresses,
    start: Instant,
    millis: AtomicU64,
}

impl Scene {
    fn new() -> Self {
        Self { name: Addresses::default(), start: Instant::now(), millis: AtomicU64::new(0) }
    }

    fn pass(&self, time: Duration) {
        self.millis.fetch_add(time.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn find(&self, answer: impl Fn() -> Answer) -> Answer {
        self.name.find("engine", &Resolver { now: &|| self.now(), resolve: &|_| answer() })
    }

    fn renew(&self, min_age: Duration, answer: impl Fn() -> Answer) -> Option<Answer> {
        let resolver = Resolver { now: &|| self.now(), resolve: &|_| answer() };
        self.name.renew("engine", min_age, &resolver)
    }
}

#[test]
fn what_is_known_is_used_however_old_it_is() {
    let scene = Scene::new();
    assert_eq!(scene.find(|| Ok(vec![address(1)])).unwrap(), [address(1)]);
    scene.pass(1000 * TTL);
    assert_eq!(scene.find(must_not_ask).unwrap(), [address(1)]);
}

#[test]
fn old_addresses_are_renewed_and_outlive_a_resolver_that_is_away() {
    let scene = Scene::new();
    scene.find(|| Ok(vec![address(1)])).unwrap();
    scene.pass(TTL - Duration::from_millis(1));
    assert!(scene.renew(TTL, must_not_ask).is_none());
    scene.pass(Duration::from_millis(1));
    let error = scene.renew(TTL, fails).unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the resolver is away");
    assert!(scene.renew(TTL, must_not_ask).is_none(), "one question and one line for all");
    assert_eq!(scene.find(must_not_ask).unwrap(), [address(1)]);
    scene.pass(TTL);
    assert_eq!(scene.renew(TTL, || Ok(vec![address(2)])).unwrap().unwrap(), [address(2)]);
    assert_eq!(scene.find(must_not_ask).unwrap(), [address(2)]);
}

#[test]
fn while_one_thread_renews_the_others_use_what_is_known() {
    let scene = Scene::new();
    scene.find(|| Ok(vec![address(1)])).unwrap();
    scene.pass(TTL);
    let renewed = scene.renew(TTL, || {
        scene.pass(9 * TTL);
        assert_eq!(scene.find(must_not_ask).unwrap(), [address(1)]);
        assert!(scene.renew(TTL, must_not_ask).is_none());
        Ok(vec![address(2)])
    });
    assert_eq!(renewed.unwrap().unwrap(), [address(2)]);
}

#[test]
fn a_failure_is_good_for_a_second_after_the_answer() {
    let scene = Scene::new();
    assert!(scene.find(|| Ok(vec![])).is_err());
    scene.pass(SECOND - Duration::from_millis(1));
    let error = scene.find(must_not_ask).unwrap_err();
    let known = (error.kind(), error.to_string());
    assert_eq!(known, (ErrorKind::NotFound, "it has no address".to_owned()));
    scene.pass(Duration::from_millis(1));
    assert_eq!(scene.find(|| Ok(vec![address(1)])).unwrap(), [address(1)]);
    assert!(scene.name.failure().is_none() && scene.name.is_known());
}

#[test]
fn a_slow_resolver_is_left_alone_for_as_long_as_it_took() {
    let scene = Scene::new();
    let slow = || {
        scene.pass(6 * SECOND);
        fails()
    };
    assert!(scene.find(slow).is_err());
    scene.pass(6 * SECOND - Duration::from_millis(1));
    assert!(scene.find(must_not_ask).is_err());
    assert!(scene.renew(SECOND, must_not_ask).is_none());
    scene.pass(Duration::from_millis(1));
    let asked = AtomicUsize::new(0);
    let found = scene.find(|| {
        asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(scene.find(must_not_ask).unwrap_err().to_string(), "the resolver is away");
        slow()
    });
    assert!(found.is_err());
    assert_eq!(asked.into_inner(), 1);
}

#[test]
fn useless_addresses_are_renewed_before_their_time_but_once_a_second() {
    let scene = Scene::new();
    scene.find(|| Ok(vec![address(1)])).unwrap();
    let renew = |answer: fn() -> Answer| scene.renew(Duration::ZERO, answer);
    assert!(renew(must_not_ask).is_none());
    scene.pass(SECOND);
    assert_eq!(renew(|| Ok(vec![address(2)])).unwrap().unwrap(), [address(2)]);
    assert!(renew(must_not_ask).is_none());
    scene.pass(SECOND);
    assert!(renew(fails).unwrap().is_err());
    assert!(renew(must_not_ask).is_none());
}

#[test]
fn one_answer_is_for_all_that_wait() {
    let scene = Scene::new();
    let asked = AtomicUsize::new(0);
    let (asks, is_asked) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let answered = Mutex::new(answered);
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            scene.find(|| {
                asked.fetch_add(1, Ordering::SeqCst);
                asks.send(()).unwrap();
                answered.lock().unwrap().recv().unwrap();
                Ok(vec![address(1)])
            })
        });
        is_asked.recv().unwrap();
        let others: Vec<_> = (0..4).map(|_| scope.spawn(|| scene.find(must_not_ask))).collect();
        answer.send(()).unwrap();
        for thread in others.into_iter().chain([first]) {
            assert_eq!(thread.join().unwrap().unwrap(), [address(1)]);
        }
    });
    assert_eq!(asked.into_inner(), 1);
}

#[test]
fn nobody_waits_longer_than_a_second_for_the_answer_to_another() {
    let scene = Scene::new();
    let found = scene.find(|| {
        scene.pass(PATIENCE);
        let error = scene.find(must_not_ask).unwrap_err();
        let told = (error.kind(), error.to_string());
        assert_eq!(told, (ErrorKind::TimedOut, "the resolver does not answer".to_owned()));
        Ok(vec![address(1)])
    });
    assert_eq!(found.unwrap(), [address(1)], "a late answer is an answer");
}

#[test]
fn a_panic_does_not_end_all_asking() {
    let scene = Scene::new();
    assert!(catch_unwind(AssertUnwindSafe(|| scene.find(must_not_ask))).is_err());
    assert_eq!(scene.find(|| Ok(vec![address(1)])).unwrap(), [address(1)]);
}
