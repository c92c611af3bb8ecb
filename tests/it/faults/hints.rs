//! Hints where the cause of a failure is known: each once a minute, from all processes together.

use std::net::{TcpListener, ToSocketAddrs};

use super::stage::{Stage, unique};
use crate::support::client::{self, Client};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::packet;
use crate::support::tomcat::{PROBE, Tomcat};
use crate::support::{Endpoint, ReservedPort, wait_until};

/// How often a log has an event of `w` as a warning.
fn told(httpd: &Httpd, event: &str) -> usize {
    let words = format!(": (w) {event}: ");
    let log = httpd.jk_log();
    log.lines().filter(|line| line.contains(&words) && line.contains(" [warn] ")).count()
}

#[track_caller]
fn assert_told(httpd: &Httpd, event: &str, words: &[&str]) {
    // The client may have its answer before the line is written.
    wait_until(event, || told(httpd, event) > 0);
    let log = httpd.jk_log();
    assert_eq!(told(httpd, event), 1, "{log}");
    let line = log.lines().find(|line| line.contains(event)).expect("it");
    for word in words {
        assert!(line.contains(word), "no {word}: {line}");
    }
    assert_eq!(log.matches(" hint_").count(), 1, "{log}");
}

fn tomcat(endpoint: &Endpoint, lines: &str) -> Builder {
    // Several processes: the hint is theirs together.
    Httpd::builder(Module::Ours).size(2, 3).worker("w", endpoint).workers(lines).mount("/*", "w")
}

/// A Tomcat that wants a secret, has small packets, and allows one attribute.
fn strict() -> Tomcat {
    Tomcat::builder()
        .secret("the-right-one")
        .connector("allowedRequestAttributesPattern=\"ALLOWED\"")
        .file("ROOT/index.jsp", "<%= request.getMethod() %>")
        .file("ROOT/upload.jsp", PROBE)
        .start()
}

#[test]
fn what_a_real_tomcat_does_not_like() {
    let tomcat_server = strict();
    let endpoint = tomcat_server.endpoint();

    for (lines, words) in [
        ("", "the worker has none"),
        ("worker.w.secret=another-one", "another one than the worker's"),
    ] {
        let httpd = tomcat(&endpoint, lines).start();
        for _ in 0..10 {
            assert_eq!(client::get(httpd.addr(), "/").status(), 403);
        }
        assert_told(&httpd, "hint_secret", &[words, "set worker.w.secret"]);
        assert!(!httpd.jk_log().contains("another-one"), "{}", httpd.jk_log());
    }

    let right = "worker.w.secret=the-right-one";
    let httpd = tomcat(&endpoint, right).config("JkEnvVar ALLOWED yes").start();
    assert_eq!(client::get(httpd.addr(), "/").status(), 200);
    assert!(!httpd.jk_log().contains(" hint_"), "{}", httpd.jk_log());

    let httpd = tomcat(&endpoint, right).config("JkEnvVar ALLOWED yes\nJkEnvVar OTHER no").start();
    for _ in 0..3 {
        assert_eq!(client::get(httpd.addr(), "/").status(), 403);
    }
    assert_told(&httpd, "hint_attribute", &["attributes=ALLOWED,OTHER", "JkEnvVar"]);

    let httpd = tomcat(&endpoint, &format!("{right}\nworker.w.max_packet_size=65536")).start();
    let cookie = "x".repeat(20_000);
    let big = |path: &str| {
        let config = [("Cookie", "a=1"), ("X-Big", &cookie[..7000]), ("X-Too", &cookie[..7000])];
        Client::connect(httpd.addr()).request("GET", path, &config, b"").status()
    };
    assert_eq!(client::get(httpd.addr(), "/").status(), 200);
    let status = big("/");
    assert!(matches!(status, 400 | 502), "{status}: {}", httpd.jk_log());
    big("/again");
    assert_told(&httpd, "hint_packet_size", &["max_packet_size", "packetSize"]);

    // A request body comes in packets of the same size; here an application has begun to read it.
    let httpd = tomcat(&endpoint, &format!("{right}\nworker.w.max_packet_size=65536")).start();
    let mut client = Client::connect(httpd.addr());
    assert_eq!(client.request("POST", "/upload.jsp", &[], &[b'x'; 5_000]).status(), 200);
    assert_eq!(told(&httpd, "hint_packet_size"), 0);
    let mut client = Client::connect(httpd.addr());
    assert_eq!(client.request("POST", "/upload.jsp", &[], &[b'x'; 30_000]).status(), 500);
    assert_told(&httpd, "hint_packet_size", &["30006 bytes", "packetSize"]);
}

#[test]
fn l13_a_wrong_secret_on_one_member() {
    // Refuses as Tomcat does: 403, and it closes.
    let refusing = Engine::scripted(|conn, _| {
        conn.send(&[packet::send_headers(403, "", &[]), packet::end_response(false)].concat())?;
        Ok(Action::Close)
    })
    .start();
    let serving = Engine::recording().start();
    let members = refusing.worker("w") + &serving.worker("v");
    let httpd = Httpd::builder(Module::Ours)
        .workers(&format!(
            "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=w,v\n\
             worker.lb.method=Next\n{members}"
        ))
        .mount("/*", "lb")
        .start();
    let mut refused = 0;
    for number in 0..20 {
        let answer = client::get(httpd.addr(), &format!("/{number}"));
        match answer.status() {
            403 => refused += 1,
            status => assert_eq!(status, 200),
        }
    }
    assert_eq!(refused, refusing.requests().len(), "it reaches the client");
    assert!(refused > 3);
    assert_told(&httpd, "hint_secret", &["set worker.w.secret"]);
}

#[test]
fn an_application_may_say_403() {
    let stage = Stage::new();
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        conn.send(&packet::answer(403, &[], b"not you"))?;
        Ok(Action::Keep)
    });
    assert_eq!(client::get(stage.httpd.addr(), &path).status(), 403);
    assert_eq!(stage.httpd.jk_log().matches(" hint_").count(), 0);
}

#[test]
fn an_engine_that_closes_on_a_large_packet() {
    let engine = Engine::scripted(|conn, request| {
        match request.header_values("X-Big").is_empty() {
            true => conn.send(&packet::answer(200, &[], b"small"))?,
            false => return Ok(Action::Close),
        }
        Ok(Action::Keep)
    })
    .start();
    let httpd = tomcat(&engine.endpoint(), "worker.w.max_packet_size=16384").start();
    let ask = |size: usize| {
        let (big, rest) = ("x".repeat(size / 2), "y".repeat(size / 2));
        let headers = [("X-Big", big.as_str()), ("X-More", rest.as_str())];
        Client::connect(httpd.addr()).request("GET", "/x", &headers, b"").status()
    };
    assert_eq!(ask(4000), 502);
    assert_eq!(told(&httpd, "hint_packet_size"), 0, "each engine takes as much as that");
    for _ in 0..3 {
        assert_eq!(ask(12_000), 502);
    }
    assert_told(&httpd, "hint_packet_size", &["packetSize of its AJP connector to 16384"]);
    assert_eq!(httpd.jk_log().matches("(w) eof_before_head: ").count(), 4);
}

#[test]
fn an_engine_that_closes_idle_connections() {
    let stage = Stage::new();
    // One end of all connections may be a restart.
    stage.warm("w");
    stage.engine.close_connections();
    stage.engine.wait_until("they are closed", |seen| seen.open == 0);
    stage.echo("w");
    assert_eq!(told(&stage.httpd, "hint_stale"), 0);
    wait_until("it is seen to be a habit", || {
        stage.engine.close_connections();
        stage.engine.wait_until("they are closed", |seen| seen.open == 0);
        stage.echo("w");
        told(&stage.httpd, "hint_stale") > 0
    });
    assert_told(
        &stage.httpd,
        "hint_stale",
        &["connection_pool_timeout (now: ", "keepAliveTimeout"],
    );
}

#[test]
fn a_name_with_an_address_where_nobody_listens() {
    let port = ReservedPort::v4();
    let addresses: Vec<_> =
        ("localhost", port.port()).to_socket_addrs().expect("localhost").collect();
    if addresses.len() < 2 {
        // A machine may know localhost by one address only; then there is nothing to hint at.
        return;
    }
    let listener = TcpListener::bind(addresses.last().expect("an address")).expect("the address");
    let engine = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().expect("mod_jk");
            std::io::Read::read(&mut stream, &mut [0; 1000]).expect("a request");
            let bytes = [packet::send_headers(200, "", &[]), packet::end_response(false)].concat();
            std::io::Write::write_all(&mut stream, &bytes).expect("sent");
        }
    });
    let httpd = Httpd::builder(Module::Ours)
        .workers(&format!("worker.list=w\nworker.w.host=localhost\nworker.w.port={}", port.port()))
        .mount("/*", "w")
        .start();
    for _ in 0..3 {
        assert_eq!(client::get(httpd.addr(), "/").status(), 200);
    }
    engine.join().expect("the engine answers");
    assert_told(&httpd, "hint_resolver", &["localhost", "set worker.w.host"]);
}

#[test]
fn a_name_that_nobody_knows() {
    let httpd = Httpd::builder(Module::Ours)
        .workers("worker.list=w\nworker.w.host=nowhere..invalid\nworker.w.port=8009")
        .workers("worker.w.retries=1")
        .mount("/*", "w")
        .start();
    for _ in 0..3 {
        assert_eq!(client::get(httpd.addr(), "/").status(), 503);
    }
    assert_eq!(httpd.jk_log().matches("(w) resolve_failed: ").count(), 3);
    assert_told(&httpd, "hint_resolver", &["nowhere..invalid", "worker.w.host"]);
}
