//! Faults while connecting and on idle connections: spec/reliability.md 5.1.

use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::process::Command;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use super::case::Fate;
use super::stage::{Stage, connection, poison, unique};
use super::{one_process, under_each_mpm};
use crate::support::client::{self, Client, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet;
use crate::support::process;
use crate::support::{DEADLINE, Endpoint, Gate, ReservedPort};

/// An httpd with one worker `w`, defined by `lines` in addition to its endpoint.
fn httpd(mpm: Mpm, endpoint: &Endpoint, lines: &str) -> Httpd {
    one_process(Httpd::builder(Module::Ours), mpm)
        .jk_log_level("debug")
        .worker("w", endpoint)
        .workers(lines)
        .mount("/w/*", "w")
        .start()
}

/// The lines of the log above `info`, but for hints.
fn complaints(httpd: &Httpd) -> Vec<String> {
    let is = |line: &str, level: &str| line.contains(&format!(" [{level}] "));
    let log = httpd.jk_log();
    log.lines()
        .filter(|line| ["warn", "error", "emerg"].iter().any(|level| is(line, level)))
        .filter(|line| !line.contains(" (w) hint_"))
        .map(str::to_owned)
        .collect()
}

#[track_caller]
fn assert_refused(what: &str, httpd: &Httpd, answer: &Response, event: &str) {
    assert_eq!(answer.status(), 503, "{what}: {answer:?}");
    assert!(answer.header("Retry-After").is_some(), "{what}: {answer:?}");
    let told = complaints(httpd);
    let right = told.len() == 1
        && told[0].contains(" [error] ")
        && told[0].contains(&format!(": (w) {event}: "));
    assert!(right, "{what}: not one line of {event}:\n{}", httpd.jk_log());
}

#[test]
fn c1_nobody_listens() {
    under_each_mpm(|mpm| {
        let engine = Engine::recording().start();
        engine.refuse();
        let httpd = httpd(mpm, &engine.endpoint(), "worker.w.retries=3\nworker.w.retry_interval=1");
        let child = httpd.only_child();

        let answer = client::get(httpd.addr(), "/w/a");

        assert_refused("C1", &httpd, &answer, "connect_refused");
        let log = httpd.jk_log();
        assert_eq!(log.matches("(w) retry: connect_refused").count(), 2, "{log}");
        engine.listen();
        assert_eq!(client::get(httpd.addr(), "/w/b").text(), "/w/b");
        assert_eq!(httpd.only_child(), child);
    });
}

#[test]
fn c1_on_a_unix_socket() {
    under_each_mpm(|mpm| {
        let dir = crate::support::temp_dir("jk-unix-");
        let path = dir.path().join("ajp.sock");
        let place = Endpoint::Unix(path.clone());
        let httpd = httpd(mpm, &place, "worker.w.retries=1");
        // There is no socket, then one that nobody listens on, then an engine.
        let none = client::get(httpd.addr(), "/w/none");
        assert_refused("C1 no socket", &httpd, &none, "connect_failed");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        let deserted = client::get(httpd.addr(), "/w/deserted");
        assert_eq!(deserted.status(), 503);
        std::fs::remove_file(&path).expect("removed");
        let engine = Engine::recording().unix(&path).start();
        assert_eq!(client::get(httpd.addr(), "/w/here").text(), "/w/here");
        assert_eq!(engine.accepted(), 1);
    });
}

/// A listener whose queue is full: Linux drops every further SYN.
fn black_hole() -> (Socket, Vec<TcpStream>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&any.into()).expect("bound");
    listener.listen(0).expect("listens");
    let addr = listener.local_addr().expect("bound").as_socket().expect("IP");
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, std::time::Duration::from_millis(200))
    {
        waiting.push(stream);
    }
    (listener, waiting)
}

#[test]
fn c2_connects_that_are_never_answered() {
    under_each_mpm(|mpm| {
        let (listener, _waiting) = black_hole();
        let addr = listener.local_addr().expect("bound").as_socket().expect("IP");
        let httpd = httpd(
            mpm,
            &Endpoint::Tcp(addr),
            "worker.w.socket_connect_timeout=100\nworker.w.retries=2\nworker.w.retry_interval=1",
        );
        let started = Instant::now();
        let answer = client::get(httpd.addr(), "/w/a");
        assert!(started.elapsed() < DEADLINE);
        assert_refused("C2", &httpd, &answer, "connect_timeout");
    });
}

#[test]
fn c3_every_address_of_a_name_is_tried() {
    under_each_mpm(c3);
}

fn c3(mpm: Mpm) {
    let port = ReservedPort::v4();
    let addresses: Vec<_> =
        ("localhost", port.port()).to_socket_addrs().expect("localhost").collect();
    let last = addresses.last().expect("an address");
    let listener = TcpListener::bind(last).expect("the last address");
    let engine = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("mod_jk");
        std::io::Read::read(&mut stream, &mut [0; 1000]).expect("a request");
        std::io::Write::write_all(&mut stream, &packet::answer(200, &[], b"here")).expect("sent");
    });
    let httpd = one_process(Httpd::builder(Module::Ours), mpm)
        .workers(&format!("worker.list=w\nworker.w.host=localhost\nworker.w.port={}", port.port()))
        .mount("/w/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/w/a").text(), "here");
    engine.join().expect("the engine answers");
    // A machine may know localhost by one address only; then there is nothing to fall back from.
    let told =
        httpd.jk_log().matches("[info] ").count() - httpd.jk_log().matches("[POST_CONFIG]").count();
    assert_eq!(told, usize::from(addresses.len() > 1), "{}", httpd.jk_log());
    assert_eq!(httpd.jk_log().matches("(w) connect_fallback: ").count(), told);
    assert!(complaints(&httpd).is_empty(), "{}", httpd.jk_log());
}

#[test]
fn c4_a_name_that_does_not_exist() {
    under_each_mpm(|mpm| {
        let engine = Engine::recording().start();
        // No resolver asks the net for a name with an empty label.
        let name = "nowhere..invalid";
        let httpd = one_process(Httpd::builder(Module::Ours), mpm)
            .worker("v", &engine.endpoint())
            .workers(&format!("worker.list=w\nworker.w.host={name}\nworker.w.port=8009"))
            .workers("worker.w.retries=1")
            .mount("/w/*", "w")
            .mount("/v/*", "v")
            .start();
        let answer = client::get(httpd.addr(), "/w/a");
        assert_refused("C4", &httpd, &answer, "resolve_failed");
        assert_eq!(client::get(httpd.addr(), "/v/b").text(), "/v/b", "others serve");
    });
}

#[test]
fn c5_a_ping_that_is_never_answered() {
    under_each_mpm(|mpm| {
        let engine = Engine::recording().ignore_cping().start();
        let httpd = httpd(
            mpm,
            &engine.endpoint(),
            "worker.w.connect_timeout=100\nworker.w.retries=2\nworker.w.retry_interval=1",
        );
        let answer = client::get(httpd.addr(), "/w/a");
        assert_refused("C5", &httpd, &answer, "cping_timeout");
        assert_eq!(engine.requests().len(), 0, "nothing is sent behind a ping");
        engine.wait_until("both connections are closed", |seen| {
            seen.connections.len() == 2 && seen.open == 0
        });
    });
}

#[test]
fn c12_an_engine_that_accepts_and_never_reads() {
    under_each_mpm(|mpm| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let httpd = httpd(
            mpm,
            &Endpoint::Tcp(listener.local_addr().expect("bound")),
            "worker.w.ping_mode=CP\nworker.w.ping_timeout=100\nworker.w.retries=1",
        );
        let answer = client::get(httpd.addr(), "/w/a");
        assert_refused("C12", &httpd, &answer, "cping_timeout");
    });
}

/// What an engine may answer to a ping but a CPONG.
fn not_pongs() -> [Vec<u8>; 5] {
    [
        b"garbage".to_vec(),
        vec![0x12, 0x34, 0, 1, packet::CPONG],
        packet::send_headers(200, "", &[]),
        poison(),
        packet::end_response(true),
    ]
}

#[test]
fn c6_an_idle_connection_that_answers_a_ping_with_something_else() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        for (number, answer) in not_pongs().into_iter().enumerate() {
            let what = format!("C6 {number}");
            let path = unique("p", "case");
            // After its own answer this engine answers one ping wrongly.
            stage.play(&path, move |conn, _| {
                conn.send(&packet::answer(200, &[], b"own"))?;
                conn.read_packet()?;
                conn.send(&answer)?;
                Ok(Action::Keep)
            });
            let mark = stage.mark();
            assert_eq!(client::get(stage.httpd.addr(), &path).text(), "own");
            let number = stage.carried_by(&mark, &path).expect("sent");

            let next = stage.echo("p");

            assert_ne!(connection(&next), number, "{what}");
            let event = Some(("warn", "cping_unexpected"));
            stage.check_after(&what, &mark, "p", event, None);
            stage.engine.wait_until("it is closed", |seen| seen.connections[number].end.is_some());
        }
    });
}

#[test]
fn c6_a_new_connection_that_answers_a_ping_with_something_else() {
    under_each_mpm(|mpm| {
        for answer in not_pongs() {
            // Each connection but the last pings wrong, so this engine is not the harness's.
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let addr = listener.local_addr().expect("bound");
            let engine = std::thread::spawn(move || {
                use std::io::{Read, Write};
                let mut ping = [0; 5];
                let (mut first, _) = listener.accept().expect("mod_jk");
                first.read_exact(&mut ping).expect("a ping");
                first.write_all(&answer).expect("sent");
                let (mut second, _) = listener.accept().expect("mod_jk again");
                second.read_exact(&mut ping).expect("a ping");
                second.write_all(&packet::cpong()).expect("sent");
                second.read(&mut [0; 1000]).map(drop).expect("a request");
                second.write_all(&packet::answer(200, &[], b"right")).expect("sent");
                first.read(&mut [0; 10]).unwrap_or(0)
            });
            let httpd = httpd(
                mpm,
                &Endpoint::Tcp(addr),
                "worker.w.connect_timeout=10000\nworker.w.retry_interval=1",
            );
            assert_eq!(client::get(httpd.addr(), "/w/a").text(), "right");
            assert_eq!(engine.join().expect("the engine"), 0, "the first connection is closed");
            let log = httpd.jk_log();
            assert_eq!(log.matches("(w) retry: cping_unexpected").count(), 1, "{log}");
            assert!(complaints(&httpd).is_empty(), "{log}");
        }
    });
}

#[test]
fn c7_an_idle_connection_that_the_engine_closed() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        for method in ["GET", "POST"] {
            let before = stage.warm("w");
            let mark = stage.mark();
            stage.engine.close_connections();
            stage.engine.wait_until("it is closed", |seen| seen.open == 0);
            let path = unique("w", "echo");
            let body = if method == "POST" { &b"body"[..] } else { b"" };
            let answer = Client::connect(stage.httpd.addr()).request(method, &path, &[], body);
            assert_eq!((answer.status(), answer.text().as_str()), (200, path.as_str()), "{method}");
            assert_ne!(connection(&answer), before);
            assert_eq!(stage.executions(&mark, &path), 1);
            let fate = Some((connection(&answer), Fate::Pooled));
            stage.check_after("C7", &mark, "w", Some(("debug", "stale_conn")), fate);
        }
    });
}

#[test]
fn c8_an_idle_connection_whose_peer_has_vanished() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        // An engine that answers once and then never again, and says no word of it.
        let vanish = |worker| {
            let path = unique(worker, "case");
            stage.play(&path, |conn, _| {
                conn.send(&packet::answer(200, &[], b"last words"))?;
                Ok(Action::Hold)
            });
            assert_eq!(client::get(stage.httpd.addr(), &path).text(), "last words");
        };

        vanish("p");
        let mark = stage.mark();
        stage.echo("p");
        stage.check_after("C8 ping", &mark, "p", Some(("warn", "cping_timeout")), None);

        vanish("t");
        let mark = stage.mark();
        let path = unique("t", "echo");
        let mut client = Client::connect(stage.httpd.addr());
        assert_eq!(client.request("POST", &path, &[], b"body").status(), 504);
        drop(client);
        assert_eq!(stage.executions(&mark, &path), 0, "it is not sent again");
        stage.check_after("C8 POST", &mark, "t", Some(("error", "reply_timeout")), None);
    });
}

#[test]
fn c9_bytes_that_wait_on_an_idle_connection() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        for worker in ["w", "p"] {
            let mark = stage.mark();
            let number = stage.late(worker, 200, &poison());
            assert_ne!(connection(&stage.echo(worker)), number);
            stage.check_after("C9", &mark, worker, Some(("error", "unexpected_bytes")), None);
        }
    });
}

/// Asks `MANY` times at once for a page that comes once all have asked, so that each request needs a
/// connection of its own.
fn all_at_once(engine: &Engine, httpd: &Httpd, gate: &Gate, round: usize) {
    let path = format!("/w/hold/{round}");
    gate.close();
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..MANY).map(|_| scope.spawn(|| client::get(httpd.addr(), &path))).collect();
        engine.wait_until("all requests", |seen| {
            seen.requests.iter().filter(|request| request.uri() == path).count() == MANY
        });
        gate.open();
        for client in clients {
            let answer = client.join().expect("a client");
            assert_eq!((answer.status(), answer.text()), (200, path.clone()));
        }
    });
}

const MANY: usize = 25;

/// Under prefork they are those of as many processes.
#[test]
fn c10_all_idle_connections_die_at_once() {
    under_each_mpm(|mpm| {
        let gate = Gate::default();
        let engine = Engine::behind(&gate);
        let threads = if mpm == Mpm::Prefork { MANY as u32 } else { 32 };
        let httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .size(threads, 1)
            .jk_log_level("debug")
            .worker("w", &engine.endpoint())
            .mount("/w/*", "w")
            .start();
        all_at_once(&engine, &httpd, &gate, 0);
        let children = httpd.child_pids();
        assert_eq!(engine.seen().open, MANY);
        engine.close_connections();
        engine.wait_until("all are closed", |seen| seen.open == 0);
        let before = httpd.jk_log().lines().count();

        all_at_once(&engine, &httpd, &gate, 1);

        let log = httpd.jk_log();
        let lines: Vec<&str> = log.lines().skip(before).collect();
        let stale = lines.iter().filter(|line| line.contains("(w) stale_conn: ")).count();
        assert_eq!(stale, MANY, "{}", lines.join("\n"));
        assert!(lines.iter().all(|line| line.contains(" [debug] ")), "{}", lines.join("\n"));
        assert_eq!(httpd.child_pids(), children, "the same processes serve");
        assert_eq!(engine.seen().open, MANY);
    });
}

#[test]
fn c11_no_descriptor_is_left() {
    under_each_mpm(c11);
}

fn c11(mpm: Mpm) {
    let stage = Stage::under(mpm);
    stage.drain("w");
    let mut client = Client::connect(stage.httpd.addr());
    let path = unique("w", "bye");
    assert_eq!(client.get(&path).text(), path);
    let child = stage.httpd.only_child();
    let mark = stage.mark();
    limit_descriptors(child, &lowest_free(child).to_string());

    let path = unique("w", "echo");
    let answer = client.get(&path);

    limit_descriptors(child, "1024");
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert_eq!(stage.executions(&mark, &path), 0);
    drop(client);
    stage.check_after("C11", &mark, "w", Some(("error", "no_fd")), None);
}

/// The number that the process would give to the next descriptor.
fn lowest_free(pid: u32) -> u64 {
    let path = |number: &u64| std::path::PathBuf::from(format!("/proc/{pid}/fd/{number}"));
    (0..).find(|number| path(number).symlink_metadata().is_err()).expect("a number")
}

/// Sets the soft limit on descriptors of a child of httpd.
fn limit_descriptors(pid: u32, limit: &str) {
    use std::os::unix::fs::MetadataExt;
    // A process may limit those of its own user; the children of a root httpd have another one.
    let owner = |pid: &str| {
        let process = std::fs::metadata(format!("/proc/{pid}")).expect("a process");
        (process.uid().to_string(), process.gid().to_string())
    };
    let pid = pid.to_string();
    let mut words = vec!["prlimit".to_owned(), "--pid".to_owned(), pid.clone()];
    words.push(format!("--nofile={limit}:"));
    if owner(&pid) != owner("self") {
        let (user, group) = owner(&pid);
        let become_it = ["setpriv", "--reuid", &user, "--regid", &group, "--clear-groups"];
        words.splice(0..0, become_it.map(str::to_owned));
    }
    process::output(Command::new(&words[0]).args(&words[1..]));
}
