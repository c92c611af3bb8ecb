#![forbid(unsafe_code)]

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;
use std::thread;

use super::super::Outcome;
use super::super::testing::{Memory, answer, config, read_packet, run, worker};
use super::*;
use crate::ajp::message::CPONG;
use crate::config::Ajp13Config;
use crate::net::Stream;

const SECOND: Duration = Duration::from_secs(1);

/// A worker whose engine is in the hands of the test.
struct Scene {
    engine: TcpListener,
    worker: Worker,
    start: Instant,
}

impl Scene {
    fn new(change: impl FnOnce(&mut Ajp13Config)) -> Self {
        let engine = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = config(engine.local_addr().unwrap().port());
        change(&mut config);
        Self { engine, worker: worker(config), start: Instant::now() }
    }

    /// Puts idle connections into the pool, each idle since that many seconds after the start.
    /// Returns the engine's ends.
    fn idle(&self, since: &[u32]) -> Vec<TcpStream> {
        let pool = self.worker.pool();
        let mut slots = Vec::new();
        let mut peers = Vec::new();
        for after in since {
            let slot = pool.acquire(Duration::ZERO).unwrap();
            let socket = TcpStream::connect(self.engine.local_addr().unwrap()).unwrap();
            peers.push(self.engine.accept().unwrap().0);
            let idle_since = self.start + SECOND * *after;
            let connection = Connection {
                stream: Stream::new(socket.into()),
                id: slot.next_id(),
                carried: 1,
                idle_since,
                checked_at: idle_since,
                _opened: Some(self.worker.open.count()),
            };
            slots.push((slot, connection, idle_since));
        }
        for (slot, connection, idle_since) in slots {
            slot.release(connection, idle_since);
        }
        peers
    }

    /// Runs maintenance that many seconds after the start and returns what it logs.
    fn maintain(&self, after: u32) -> Vec<String> {
        let log = Memory::get();
        self.worker.maintain(self.start + SECOND * after, &log);
        log.log.into_inner()
    }
}

/// Answers `pings` CPINGs.
fn pong(mut peer: TcpStream, pings: usize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for _ in 0..pings {
            assert_eq!(read_packet(&mut peer).unwrap(), [0x12, 0x34, 0, 1, 10]);
            peer.write_all(&CPONG).unwrap();
        }
        assert_eq!(read_packet(&mut peer), None, "nothing but {pings} pings");
    })
}

#[test]
fn one_thread_per_interval_runs_maintenance() {
    let start = Instant::now();
    let schedule = Schedule::new(start, 10 * SECOND);
    assert!(!schedule.is_due(start));
    assert!(!schedule.is_due(start + 9 * SECOND));
    for round in 1..4 {
        let due = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let is_due = schedule.is_due(start + 11 * SECOND * round);
                    due.fetch_add(is_due.into(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(due.into_inner(), 1, "round {round}");
    }
    assert!(!Schedule::new(start, Duration::ZERO).is_due(start + 9999 * SECOND));
}

#[test]
fn idle_connections_are_closed_oldest_first_down_to_the_minimum() {
    let scene = Scene::new(|config| {
        config.pool_size = 5;
        config.pool_min_size = 2;
        config.pool_idle_timeout = Some(10 * SECOND);
    });
    let mut peers = scene.idle(&[0, 1, 2, 3, 14]);
    assert!(scene.maintain(10).is_empty(), "10 s are not longer than 10 s");
    let log = scene.maintain(12);
    assert_eq!(log.len(), 2);
    assert!(log[0].starts_with("[debug] (w) idle_closed: ") && log[0].ends_with("idle=12s"));
    assert!(peers.drain(..2).all(|mut peer| read_packet(&mut peer).is_none()), "the oldest ones");
    assert_eq!(scene.maintain(60).len(), 1, "two of three stay open");
    assert_eq!(scene.worker.pool().idle(), 2);
    assert!(scene.maintain(600).is_empty());
}

#[test]
fn connections_in_use_count_for_the_minimum() {
    let scene = Scene::new(|config| {
        config.pool_size = 3;
        config.pool_min_size = 1;
        config.pool_idle_timeout = Some(SECOND);
    });
    let _peers = scene.idle(&[0, 0, 0]);
    let _in_use = scene.worker.pool().acquire(Duration::ZERO);
    assert_eq!(scene.maintain(10).len(), 2);
    assert_eq!(scene.worker.pool().idle(), 0);
}

#[test]
fn the_only_connection_of_a_pool_of_one_is_closed_as_well() {
    let scene = Scene::new(|config| config.pool_idle_timeout = Some(SECOND));
    let _peers = scene.idle(&[0]);
    assert_eq!(scene.maintain(2).len(), 1);
    assert_eq!(scene.worker.pool().idle(), 0);
}

#[test]
fn nothing_is_closed_or_pinged_unless_it_is_configured() {
    let scene = Scene::new(|config| config.pool_size = 2);
    let _peers = scene.idle(&[0, 0]);
    assert!(scene.maintain(9999).is_empty());
    assert_eq!(scene.worker.pool().idle(), 2);
}

#[test]
fn a_connection_is_pinged_once_per_interval_and_stays_as_old_as_it_is() {
    let scene = Scene::new(|config| {
        config.pool_size = 3;
        config.pool_min_size = 0;
        config.ping_interval = Some(10 * SECOND);
        config.idle_ping = Some(20 * SECOND);
        config.pool_idle_timeout = Some(100 * SECOND);
    });
    let peers = scene.idle(&[0, 5]);
    // At 11 s the first is due, at 16 s the second, at 22 s the first again, at 103 s the second.
    let pongs: Vec<_> = peers.into_iter().zip([2, 2]).map(|(peer, n)| pong(peer, n)).collect();
    for after in [9, 11, 12, 16, 17, 22, 23] {
        assert!(scene.maintain(after).is_empty(), "{after}");
    }
    let log = scene.maintain(103);
    assert!(log.iter().any(|line| line.contains("idle_closed") && line.ends_with("idle=103s")));
    drop(scene);
    pongs.into_iter().for_each(|pong| pong.join().unwrap());
}

#[test]
fn a_connection_that_answers_a_ping_wrongly_is_closed() {
    let scene = Scene::new(|config| {
        config.pool_size = 3;
        config.ping_interval = Some(SECOND);
        config.idle_ping = Some(20 * SECOND);
    });
    let mut peers = scene.idle(&[0, 0, 0]).into_iter();
    let (mut wrong, mut gone) = (peers.next().unwrap(), peers.next().unwrap());
    let engine = thread::spawn(move || {
        read_packet(&mut wrong).unwrap();
        wrong.write_all(b"AB\0\x02\x05\x01").unwrap();
        read_packet(&mut gone).unwrap();
        drop(gone);
        wrong
    });
    let good = pong(peers.next().unwrap(), 1);
    let log = scene.maintain(5);
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].starts_with("[warn] (w) cping_unexpected: an idle connection is closed"));
    assert!(log[1].starts_with("[warn] (w) cping_broken"));
    assert_eq!(scene.worker.pool().idle(), 1);
    engine.join().unwrap();
    drop(scene);
    good.join().unwrap();
}

#[test]
fn an_engine_that_hangs_takes_the_time_of_one_ping_per_run() {
    let scene = Scene::new(|config| {
        config.pool_size = 3;
        config.ping_interval = Some(SECOND);
        config.idle_ping = Some(Duration::from_millis(30));
    });
    let _peers = scene.idle(&[0, 0, 0]);
    for left in [2, 1, 0] {
        let log = scene.maintain(5);
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].starts_with("[warn] (w) cping_timeout"), "{log:?}");
        assert_eq!(scene.worker.pool().idle(), left);
    }
}

#[test]
fn connections_that_are_closed_or_have_stray_bytes_leave_the_pool() {
    let scene = Scene::new(|config| config.pool_size = 3);
    let mut peers = scene.idle(&[0, 0, 0]);
    peers[0].write_all(b"stray").unwrap();
    drop(peers.remove(1));
    let mut log = Vec::new();
    while scene.worker.pool().idle() > 1 {
        log.extend(scene.maintain(0));
    }
    log.sort();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].starts_with("[debug] (w) stale_conn: the engine has closed an idle connection"));
    assert!(log[1].starts_with("[error] (w) unexpected_bytes: the engine sent something unasked"));
}

#[test]
fn two_threads_are_not_at_it_at_the_same_time() {
    let scene = Scene::new(|config| {
        config.pool_size = 2;
        config.ping_interval = Some(SECOND);
        config.idle_ping = Some(20 * SECOND);
    });
    let mut peers = scene.idle(&[0, 0]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| scene.maintain(5));
        read_packet(&mut peers[0]).unwrap();
        assert!(scene.maintain(5).is_empty());
        assert_eq!(scene.worker.pool().idle(), 1, "the other one was not taken out");
        peers[0].write_all(&CPONG).unwrap();
        read_packet(&mut peers[1]).unwrap();
        peers[1].write_all(&CPONG).unwrap();
        assert!(slow.join().unwrap().is_empty());
    });
}

#[test]
fn a_ping_gives_way_to_a_request_that_needs_the_place() {
    let scene = Scene::new(|config| {
        config.ping_interval = Some(SECOND);
        config.idle_ping = Some(20 * SECOND);
    });
    let mut pinged = scene.idle(&[0]).remove(0);
    thread::scope(|scope| {
        let maintenance = scope.spawn(|| scene.maintain(5));
        // Now the only slot is taken.
        read_packet(&mut pinged).unwrap();
        let engine = scope.spawn(|| {
            let mut stream = scene.engine.accept().unwrap().0;
            read_packet(&mut stream).unwrap();
            stream.write_all(&answer(b"served")).unwrap();
        });
        let mut request = Memory::get();
        assert_eq!(run(&scene.worker, &mut request), Outcome::Completed);
        assert_eq!(request.client, b"served");
        let log = maintenance.join().unwrap();
        assert!(log[0].starts_with("[debug] (w) cping_gave_way"), "{log:?}");
        engine.join().unwrap();
    });
    assert_eq!(read_packet(&mut pinged), None, "never more connections than the pool has places");
}
