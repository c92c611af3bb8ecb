//! Attacks at every place where one can be: clients that go at each byte, packets of exactly the
//! largest size and one byte more, a handshake in the middle of a body, a pool that is in use.

use super::case::{end, flush, ok};
use super::stage::{Stage, unique};
use super::{is_long, one_process, under_each_mpm};
use crate::support::client::{self, Client, Noise, curl};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet::{self, body_chunk, frame};
use crate::support::tls::certificates;
use crate::support::{DEADLINE, Gate, eventually};

/// Ends that a client can put to its connection.
fn leave(client: Client, by_reset: bool) {
    if by_reset { client.abort() } else { drop(client) }
}

#[test]
fn a_client_may_go_at_each_byte_of_its_request() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        let body = "x".repeat(40);
        let step = if is_long() { 1 } else { 5 };
        for (what, lines, body) in [
            ("length", "Content-Length: 40\r\n", body.clone()),
            (
                "chunks",
                "Transfer-Encoding: chunked\r\n",
                format!("14\r\n{0}\r\n14\r\n{0}\r\n0\r\n\r\n", &body[..20]),
            ),
            ("expect", "Expect: 100-continue\r\nContent-Length: 40\r\n", body.clone()),
        ] {
            let mark = stage.mark();
            let bytes = client::head("POST", "/w/at/each/byte", &[]) + lines + "\r\n" + &body;
            for place in (0..bytes.len()).step_by(step) {
                let mut client = Client::connect(stage.httpd.addr());
                client.send(&bytes.as_bytes()[..place]).expect("sent");
                leave(client, place / step % 2 == 0);
            }
            // Nothing of it may be worth more than a line at info. All lines are there once all
            // connections are gone, which the first check waits for.
            stage.check_after(what, &mark, "w", None, None);
            stage.check_log(what, &mark, "w", None);
        }
    });
}

#[test]
fn a_client_may_go_at_each_phase_of_the_answer() {
    under_each_mpm(|mpm| {
        let stage = Stage::under(mpm);
        let steps = vec![
            ok(&[("X-A", "1")]),
            flush(),
            body_chunk(b"first"),
            flush(),
            body_chunk(&Noise::bytes(packet::CHUNK_MAX)),
            body_chunk(b"last"),
            end(),
        ];
        const LAST_FLUSH: usize = 3;
        for gone_before in 0..=steps.len() {
            for by_reset in [true, false] {
                let (path, here, gone) = (unique("w", "case"), Gate::default(), Gate::default());
                let (tell, wait, play) = (here.clone(), gone.clone(), steps.clone());
                stage.play(&path, move |conn, _| {
                    conn.send(&play[..gone_before].concat())?;
                    tell.open();
                    wait.pass();
                    // The other side may have closed by now.
                    let _ = conn.send(&play[gone_before..].concat());
                    Ok(Action::Keep)
                });
                let mark = stage.mark();
                let mut client = Client::connect(stage.httpd.addr());
                client.send((client::head("GET", &path, &[]) + "\r\n").as_bytes()).expect("sent");
                here.pass();
                leave(client, by_reset);
                gone.open();
                let what = format!("gone before step {gone_before}, reset {by_reset}");
                assert_eq!(stage.executions(&mark, &path), 1, "{what}");
                // A flush to a client that has reset its connection fails. Without one, and where
                // the client has only closed its side, httpd may find out when the answer is done.
                let is_due = by_reset && gone_before <= LAST_FLUSH;
                let event = is_due.then_some(("info", "client_abort"));
                stage.check_after(&what, &mark, "w", event, None);
            }
        }
    });
}

/// A stage whose worker `big` has packets of 65536 bytes.
fn big() -> Stage {
    Stage::with(|builder| {
        builder
            .config("LimitRequestFieldSize 70000\nLimitRequestLine 70000")
            .mount("/big/*", "big")
            .workers(
                "worker.list=big\nworker.big.reference=worker.w\nworker.big.max_packet_size=65536",
            )
    })
}

const MOST: usize = 65_536;

#[test]
fn a_request_may_be_exactly_as_large_as_the_largest_packet() {
    let stage = big();
    let ask = |size: usize| {
        let (value, mark) = ("x".repeat(size), stage.mark());
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request("GET", "/big/x", &[("X-Big", &value)], b"");
        let seen = stage.engine.seen();
        let sent = seen.requests.last().map(|request| request.raw.len());
        (answer.status(), sent, mark)
    };
    let (status, Some(sent), _) = ask(60_000) else { panic!("not sent") };
    assert_eq!(status, 200);
    let room = MOST - sent;
    for more in 0..6 {
        let (status, sent, _) = ask(60_000 + room - more);
        assert_eq!((status, sent), (200, Some(MOST - more)));
    }
    for more in 1..6 {
        let (status, _, mark) = ask(60_000 + room + more);
        assert_eq!(status, 413, "{more} bytes too many");
        stage.check_log("too big", &mark, "big", Some(("info", "request_too_big")));
    }
}

#[test]
fn an_answer_may_have_packets_exactly_as_large_as_the_largest() {
    let stage = big();
    // Behind type and length, with and without the NUL behind the data.
    let chunk = |length: usize, nul: &[u8]| {
        let size = u16::try_from(length).expect("a length").to_be_bytes();
        frame(&[&[packet::SEND_BODY_CHUNK], &size[..], &Noise::bytes(length), nul].concat())
    };
    let most = MOST - 4 - 3;
    for (what, bytes, length) in [
        ("NUL", chunk(most - 1, b"\0"), most - 1),
        ("one less", chunk(most - 2, b"\0"), most - 2),
        ("two of them", [chunk(most - 1, b"\0"), chunk(1, b"\0")].concat(), most),
    ] {
        let path = unique("big", "case");
        stage.play(&path, move |conn, _| {
            conn.send(&[ok(&[]), bytes.clone(), end()].concat())?;
            Ok(Action::Keep)
        });
        let answer = client::get(stage.httpd.addr(), &path);
        assert_eq!((answer.status(), answer.body.len()), (200, length), "{what}");
    }
    for (extra, status) in [(0, 200), (1, 502)] {
        // One header that fills the packet.
        let room = MOST - packet::send_headers(200, "OK", &[("X-A", "")]).len();
        let value = "v".repeat(room + extra);
        let (path, sent) = (unique("big", "case"), value.clone());
        stage.play(&path, move |conn, _| {
            conn.send(&[ok(&[("X-A", &sent)]), body_chunk(b"fine"), end()].concat())?;
            Ok(Action::Keep)
        });
        let curl = curl(&[&stage.httpd.http(&path)]);
        assert_eq!(curl.status, status, "{extra} bytes too many: {}", curl.complaint);
    }
    let path = unique("big", "case");
    stage.play(&path, |conn, _| {
        assert_eq!(conn.read_body_packet()?.len(), MOST - 6);
        assert_eq!(conn.ask_body(0xFFFF)?.len(), MOST - 6);
        assert_eq!(conn.ask_body(0xFFFF)?.len(), 7);
        conn.send(&packet::answer(200, &[], b"fine"))?;
        Ok(Action::Keep)
    });
    let body = Noise::bytes(2 * (MOST - 6) + 7);
    let mut client = Client::connect(stage.httpd.addr());
    assert_eq!(client.request("POST", &path, &[], &body).text(), "fine");
    let faults = stage.engine.seen().faults.clone();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(client::get(stage.httpd.addr(), "/big/next").text(), "/big/next");
}

/// mod_ssl asks for the certificate of one directory in a handshake of its own, and keeps the body
/// that comes with the request until then.
#[test]
fn a_body_survives_the_handshake_for_a_directory() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .tls(&format!(
            "SSLProtocol TLSv1.2\nSSLCACertificateFile {}\nJkMount /* w\n\
             <Location /known>\nSSLVerifyClient require\nSSLRenegBufferSize 20000\n</Location>",
            certificates().ca.display()
        ))
        .worker("w", &engine.endpoint())
        .start();
    let file = httpd.path("htdocs/body");
    let files = certificates();
    let words = [files.client.display().to_string(), files.client_key.display().to_string()];
    let post = |length: usize, has_certificate: bool| {
        std::fs::write(&file, Noise::bytes(length)).expect("a file");
        let (data, url) = (format!("@{}", file.display()), httpd.https("/known/x"));
        let mut args = vec!["--insecure", "--http1.1", "--tls-max", "1.2", "--data-binary", &data];
        if has_certificate {
            args.extend(["--cert", &words[0], "--key", &words[1]]);
        }
        args.push(&url);
        let answer = curl(&args);
        (
            answer.status,
            answer.headers.iter().find(|(name, _)| name == "X-Body").map(|(_, n)| n.clone()),
        )
    };
    for length in [1, 8_186, 8_187, 20_000] {
        assert_eq!(post(length, true), (200, Some(length.to_string())), "{length}");
    }
    let sent = engine.requests().len();
    assert_eq!(post(30_000, true).0, 413, "more than mod_ssl keeps");
    assert_ne!(post(100, false).0, 200, "without a certificate");
    assert_eq!(engine.requests().len(), sent, "neither of them was sent on");
    assert_eq!(post(100, true).0, 200);
}

/// All threads wait for the one connection of the pool, and their clients do not wait.
#[test]
fn clients_that_wait_for_a_busy_pool_may_go() {
    const WAITING: usize = 7;
    let gate = Gate::default();
    let engine = Engine::behind(&gate);
    let lines = "worker.w.connection_pool_size=1\nworker.w.connection_acquire_timeout=2000";
    let httpd = one_process(Httpd::builder(Module::Ours), Mpm::Event)
        .worker("w", &engine.endpoint())
        .workers(lines)
        .mount("/*", "w")
        .start();
    let (child, get) = (httpd.only_child(), client::head("GET", "/x", &[]) + "\r\n");
    let ask = || {
        let mut client = Client::connect(httpd.addr());
        client.send(get.as_bytes()).expect("sent");
        client
    };
    let mut first = ask();
    engine.wait_until("it is there", |seen| seen.requests.len() == 1);
    let waiting: Vec<Client> = (0..WAITING).map(|_| ask()).collect();
    for (number, client) in waiting.into_iter().enumerate() {
        leave(client, number % 2 == 0);
    }
    let told = || httpd.jk_log().matches("(w) worker_saturated: ").count();
    assert!(eventually(DEADLINE, || told() == WAITING), "{}", httpd.jk_log());
    let log = httpd.jk_log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(" outcome=")).collect();
    assert_eq!(lines.len(), WAITING, "{log}");
    for line in lines {
        assert!(line.contains(" phase=connect in=0 out=0 body=0 tries=1 outcome=503"), "{line}");
    }
    gate.open();
    assert_eq!(first.read_response("GET").status(), 200);
    for _ in 0..8 {
        assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
    }
    assert_eq!((engine.accepted(), httpd.only_child()), (1, child));
}
