//! Clients that go away or read slowly: spec/reliability.md S20, S21, U2, H2.

use std::io::Write as _;
use std::process::{Command, Stdio};

use super::case::{end, flush, ok};
use super::stage::{Mark, Stage, unique};
use super::under_each_mpm;
use crate::support::DEADLINE;
use crate::support::client::{self, Client, Noise};
use crate::support::engine::{Action, End};
use crate::support::httpd::Mpm;
use crate::support::packet::{CHUNK_MAX, body_chunk};
use crate::support::{Gate, process, wait_until};

/// Scripts a download of `chunks` packets, the first of them flushed; returns its path.
fn download(stage: &Stage, chunks: usize) -> String {
    let path = unique("w", "case");
    stage.play(&path, move |conn, _| {
        let chunk = body_chunk(&Noise::bytes(CHUNK_MAX));
        conn.send(&[ok(&[("X-A", "1")]), chunk.clone(), flush()].concat())?;
        for _ in 1..chunks {
            conn.send(&chunk)?;
        }
        conn.send(&end())?;
        Ok(Action::Keep)
    });
    path
}

/// The connection of `path` has been closed by us, and was not used for anything else.
fn check_gone(stage: &Stage, what: &str, mark: &Mark, path: &str) {
    let number = stage.carried_by(mark, path).expect("sent");
    let closed = stage.engine.wait_for(DEADLINE, |seen| seen.connections[number].end.is_some());
    assert!(closed, "{what}: the engine's connection stays open");
    let by_peer = match stage.engine.seen().connections[number].end.clone() {
        Some(End::Closed | End::Broken(_)) => true,
        end => panic!("{what}: {end:?}"),
    };
    assert!(by_peer);
    assert_eq!(stage.executions(mark, path), 1, "{what}");
    stage.check_after(what, mark, "w", Some(("info", "client_abort")), None);
}

#[test]
fn s20_a_client_that_goes_away_in_mid_download() {
    under_each_mpm(s20);
}

fn s20(mpm: Mpm) {
    let stage = Stage::under(mpm);
    for reset in [true, false] {
        let path = download(&stage, 4000);
        let mark = stage.mark();
        let mut client = Client::connect(stage.httpd.addr());
        client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
        assert_eq!(client.read_head().expect("a head").status, 200);
        assert!(!client.read_some(1000).expect("data").is_empty());
        if reset {
            client.abort()
        } else {
            drop(client)
        }
        check_gone(&stage, &format!("S20 reset {reset}"), &mark, &path);
    }
}

#[test]
fn a_client_that_goes_away_while_the_engine_thinks() {
    let stage = Stage::new();
    let (path, gone) = (unique("w", "case"), Gate::default());
    let wait = gone.clone();
    stage.play(&path, move |conn, _| {
        wait.pass();
        let chunk = body_chunk(&Noise::bytes(CHUNK_MAX));
        conn.send(&ok(&[]))?;
        for _ in 0..1000 {
            conn.send(&chunk)?;
        }
        conn.send(&end())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
    stage.engine.wait_until("the request", |seen| {
        seen.requests.iter().any(|request| request.uri() == path)
    });
    client.abort();
    gone.open();
    check_gone(&stage, "gone before the head", &mark, &path);
}

#[test]
fn all_threads_are_free_again_after_clients_have_gone() {
    let stage = Stage::with(|builder| builder.size(4, 1));
    for round in 0..3 {
        let mark = stage.mark();
        let path = download(&stage, 4000);
        let clients: Vec<Client> = (0..4)
            .map(|_| {
                let mut client = Client::connect(stage.httpd.addr());
                client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
                client
            })
            .collect();
        stage.engine.wait_until("four requests", |seen| {
            seen.requests.iter().filter(|request| request.uri() == path).count() == 4
        });
        clients.into_iter().for_each(Client::abort);
        let closed = stage.engine.wait_for(DEADLINE, |seen| seen.open == 0);
        assert!(closed, "round {round}: engine connections stay open");
        // All threads are needed for this.
        let held: Vec<Client> = (0..4).map(|_| Client::connect(stage.httpd.addr())).collect();
        for mut client in held {
            let path = unique("w", "echo");
            assert_eq!(client.get(&path).text(), path, "round {round}");
        }
        let aborts = |lines: &[String]| {
            lines.iter().filter(|line| line.contains(": (w) client_abort: ")).count()
        };
        wait_until("four lines", || aborts(&stage.log_since(&mark)) >= 4);
        let lines = stage.log_since(&mark);
        assert_eq!(aborts(&lines), 4, "{}", lines.join("\n"));
    }
    stage.check_after("threads", &stage.mark(), "w", None, None);
}

/// curl over HTTP/2, to be killed.
fn curl(args: &[&str], stdin: Stdio) -> std::process::Child {
    let mut command = Command::new("curl");
    command
        .args(["-q", "-sS", "--noproxy", "*", "--http2-prior-knowledge", "-o", "/dev/null"])
        .args(["-H", "Expect:"])
        .args(args)
        .stdin(stdin)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    process::spawn(command, libc::SIGKILL).expect("curl")
}

#[test]
fn h2_a_client_that_goes_away_in_mid_download() {
    let stage = Stage::with(|builder| builder.http2());
    let path = download(&stage, 100_000);
    let mark = stage.mark();
    let url = stage.httpd.http(&path);
    let mut curl = curl(&["--limit-rate", "100k", &url], Stdio::null());
    stage.engine.wait_until("the request", |seen| {
        seen.requests.iter().any(|request| request.uri() == path)
    });
    curl.kill().expect("ours");
    curl.wait().expect("ours");
    check_gone(&stage, "HTTP/2 download", &mark, &path);
}

#[test]
fn h2_a_client_that_goes_away_in_mid_upload() {
    let stage = Stage::with(|builder| builder.http2());
    let path = unique("w", "case");
    let mark = stage.mark();
    let url = stage.httpd.http(&path);
    let mut curl = curl(&["-T", "-", "-X", "POST", &url], Stdio::piped());
    let mut body = curl.stdin.take().expect("piped");
    body.write_all(&Noise::bytes(50_000)).expect("curl reads");
    stage.engine.wait_until("some of the body", |seen| {
        let sent = seen.requests.iter().find(|request| request.uri() == path);
        sent.is_some_and(|request| seen.connections[request.connection].packets.len() > 3)
    });
    curl.kill().expect("ours");
    curl.wait().expect("ours");
    check_gone(&stage, "HTTP/2 upload", &mark, &path);
}

#[test]
fn s21_a_slow_client_does_not_fill_the_memory() {
    under_each_mpm(s21);
}

fn s21(mpm: Mpm) {
    const CHUNKS: usize = 4000;
    let stage = Stage::under(mpm);
    let child = stage.httpd.only_child();
    // Once through at full speed, so that what is used at all is there.
    let path = download(&stage, CHUNKS);
    assert_eq!(client::get(stage.httpd.addr(), &path).body.len(), CHUNKS * CHUNK_MAX);
    let before = stage.httpd.anon_kib(child);

    let (path, stuck) = (unique("w", "case"), Gate::default());
    let seen_stuck = stuck.clone();
    stage.play(&path, move |conn, _| {
        let chunk = body_chunk(&Noise::bytes(CHUNK_MAX));
        conn.send(&[ok(&[]), chunk.clone(), flush()].concat())?;
        seen_stuck.open();
        for _ in 1..CHUNKS {
            conn.send(&chunk)?;
        }
        conn.send(&end())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
    let head = client.read_head().expect("a head");
    stuck.pass();
    let mut most = before;
    let mut read = 0;
    let end = client.read_body("GET", &head, |data| {
        // Reading only as fast as this loop looks at the memory.
        most = most.max(stage.httpd.anon_kib(child));
        read += data.len();
    });
    assert_eq!((end, read), (Ok(client::BodyEnd::Chunked), CHUNKS * CHUNK_MAX));
    assert!(most < before + 2048, "{before} KiB before, {most} KiB at most");
    drop(client);
    stage.check_after("S21", &mark, "w", None, None);
}
