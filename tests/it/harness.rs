//! The harness, shown to work with Debian's C mod_jk: one test per piece.

use crate::support::client::{self, BodyEnd, Client, NoResponse, Noise, Upload, curl};
use crate::support::engine::{Action, End, Engine};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::packet::{self, Body};
use crate::support::process::Sha256;
use crate::support::tls::certificates;
use crate::support::tomcat::Tomcat;
use crate::support::{DEADLINE, Endpoint, Gate, ReservedPort, temp_dir, wait_until};

/// An httpd with the C module that sends everything to `engine`.
fn httpd(endpoint: &Endpoint) -> Httpd {
    Httpd::builder(Module::C).worker("w", endpoint).mount("/*", "w").start()
}

#[test]
fn a_get_arrives_and_its_answer_comes_back() {
    let engine = Engine::recording().start();
    let httpd = httpd(&engine.endpoint());

    let response = client::get(httpd.addr(), "/a%20b?q=1");

    assert_eq!((response.status(), response.text().as_str()), (200, "/a%20b"));
    assert_eq!(response.end, BodyEnd::Length);
    let requests = engine.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method(), requests[0].query()), ("GET", Some("q=1")));
    assert_eq!(requests[0].header("Host").as_deref(), Some("localhost"));
    assert_eq!(requests[0].attribute("JK_LB_ACTIVATION"), Some("ACT"));
    assert_eq!(engine.seen().connections[0].packets[0], requests[0].raw);
}

#[test]
fn every_mpm_serves() {
    for mpm in Mpm::ALL {
        let engine = Engine::recording().start();
        let httpd = Httpd::builder(Module::C)
            .mpm(mpm)
            .size(2, 2)
            .worker("w", &engine.endpoint())
            .mount("/*", "w")
            .start();
        assert_eq!(client::get(httpd.addr(), "/mpm").text(), "/mpm", "{mpm:?}");
        let children = httpd.child_pids();
        let expected = if mpm == Mpm::Prefork { 4 } else { 2 };
        assert_eq!(children.len(), expected, "{mpm:?}");
        assert!(httpd.rss_kib(children[0]) > 1000, "{mpm:?}");
        assert!(httpd.fd_count(children[0]) > 3, "{mpm:?}");
    }
}

#[test]
fn bodies_arrive_whole_with_a_length_and_in_chunks() {
    let engine = Engine::recording().start();
    let httpd = httpd(&engine.endpoint());
    let body = Noise::bytes(20_000);
    let mut client = Client::connect(httpd.addr());

    let whole = client.request("POST", "/length", &[], &body);
    let (first, second) = body.split_at(7_000);
    let chunked = client.request_chunked("PUT", "/chunks", &[], &[first, second]);

    assert_eq!(whole.header("X-Body"), Some("20000"));
    assert_eq!(chunked.header("X-Body"), Some("20000"));
    let requests = engine.requests();
    assert_eq!((requests[0].body(), requests[1].body()), (Body::Length(20_000), Body::Unknown));
    let seen = engine.seen();
    assert_eq!(seen.connections.len(), 1, "the connection was kept");
    // The first part comes unasked, in a full packet.
    assert_eq!(seen.connections[0].packets[1].len(), 8192);
    assert!(seen.connections[0].packets[1][6..] == body[..8186]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let engine = Engine::recording().start();
    let httpd = httpd(&engine.endpoint());
    let mut client = Client::connect(httpd.addr());
    let requests = ["/1", "/2", "/3"].map(|target| client::head("GET", target, &[]) + "\r\n");

    client.send(requests.concat().as_bytes()).expect("sent");

    for target in ["/1", "/2", "/3"] {
        assert_eq!(client.read_response("GET").text(), target);
    }
}

#[test]
fn a_broken_answer_is_seen_as_truncated() {
    let engine = Engine::scripted(|conn, request| {
        conn.send(&packet::send_headers(200, "OK", &[("Content-Length", "5000")]))?;
        conn.send(&packet::body_chunk(b"half."))?;
        // Without a flush httpd still holds it all back and may answer something else.
        conn.send(&packet::body_chunk(b""))?;
        Ok(if request.uri() == "/reset" { Action::Reset } else { Action::Close })
    })
    .start();
    // By default the C module sends the request again and appends the second answer to the
    // first. Even so it appends httpd's error page, and leaves closing to the client's wish.
    let httpd = Httpd::builder(Module::C)
        .worker("w", &engine.endpoint())
        .workers("worker.w.recovery_options=3")
        .mount("/*", "w")
        .start();

    for target in ["/reset", "/close"] {
        let mut client = Client::connect(httpd.addr());
        let response = client.request("GET", target, &[("Connection", "close")], b"");
        assert_eq!((response.status(), response.end), (200, BodyEnd::Truncated));
        assert!(response.text().starts_with("half."));
    }

    engine.wait_until("both connections ended", |seen| {
        seen.connections.iter().all(|connection| connection.end.is_some())
    });
    let ends: Vec<_> =
        engine.seen().connections.iter().map(|connection| connection.end.clone()).collect();
    let expected = [Action::Reset, Action::Close].map(|action| Some(End::ByScript(action)));
    assert_eq!(ends, expected);
}

/// Serves one connection: reads a request head, writes `answer`, closes or resets.
fn serve_once(answer: &'static [u8], reset: bool) -> Client {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = Client::connect(listener.local_addr().expect("its address"));
    client.send(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let (mut stream, _) = listener.accept().expect("the client");
    let request = stream.read(&mut [0; 100]).expect("a request");
    assert!(request > 0);
    stream.write_all(answer).expect("sent");
    if reset {
        // Read what was sent before it can be overtaken.
        client.peek(answer.len());
        socket2::SockRef::from(&stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("SO_LINGER");
    }
    client
}

#[test]
fn the_client_tells_how_an_answer_ended() {
    const HEAD: &str = "HTTP/1.1 200 OK\r\n";
    let cases: [(&str, bool, Result<BodyEnd, NoResponse>); 11] = [
        ("Content-Length: 2\r\n\r\nab", false, Ok(BodyEnd::Length)),
        ("Content-Length: 3\r\n\r\nab", false, Ok(BodyEnd::Truncated)),
        ("Content-Length: 3\r\n\r\nab", true, Ok(BodyEnd::Reset)),
        ("\r\nab", false, Ok(BodyEnd::Close)),
        ("\r\nab", true, Ok(BodyEnd::Reset)),
        (
            "Transfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\nT: 1\r\n\r\n",
            false,
            Ok(BodyEnd::Chunked),
        ),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", false, Ok(BodyEnd::Truncated)),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false, Ok(BodyEnd::Truncated)),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab", true, Ok(BodyEnd::Reset)),
        ("X: 1\r\n", false, Err(NoResponse::Truncated)),
        ("X: 1\r\n", true, Err(NoResponse::Reset)),
    ];
    for (rest, reset, expected) in cases {
        let answer: &'static [u8] = format!("{HEAD}{rest}").into_bytes().leak();
        let response = serve_once(answer, reset).try_read_response("GET");
        if let Ok(response) = &response {
            assert_eq!(response.body, b"ab", "{rest:?}");
        }
        assert_eq!(response.map(|response| response.end), expected, "{rest:?} {reset}");
    }
    let none = serve_once(b"HTTP/1.1 204 No Content\r\n\r\n", false).read_response("GET");
    assert_eq!(none.end, BodyEnd::NoBody);
    let nothing = serve_once(b"", false).try_read_response("GET");
    assert!(matches!(nothing, Err(NoResponse::Closed)), "{nothing:?}");
}

#[test]
fn an_answer_may_come_byte_by_byte_and_after_a_gate() {
    let gate = Gate::default();
    let inner = gate.clone();
    let engine = Engine::scripted(move |conn, _| {
        let answer = packet::answer(200, &[("X-A", "1"), ("x-a", "2")], b"slowly");
        conn.send_split(&answer[..20], 1)?;
        inner.pass();
        conn.send_split(&answer[20..], 1)?;
        Ok(Action::Keep)
    })
    .start();
    let httpd = httpd(&engine.endpoint());
    let mut client = Client::connect(httpd.addr());

    client.send((client::head("GET", "/", &[]) + "\r\n").as_bytes()).expect("sent");
    engine.wait_until("the request", |seen| seen.requests.len() == 1);
    gate.open();

    let response = client.read_response("GET");
    assert_eq!(response.text(), "slowly");
    assert_eq!(response.head.header_values("X-A"), ["1", "2"]);
}

#[test]
fn a_client_that_goes_away_is_seen_at_the_engine() {
    let engine = Engine::recording().start();
    let httpd = httpd(&engine.endpoint());
    let mut client = Client::connect(httpd.addr());
    let head = client::head("POST", "/", &[("Content-Length", "100000")]) + "\r\n";
    client.send(head.as_bytes()).expect("sent");
    client.send(&Noise::bytes(50_000)).expect("sent");
    engine.wait_until("the request", |seen| seen.requests.len() == 1);

    client.abort();

    engine.wait_until("the end of the connection", |seen| {
        seen.connections.first().is_some_and(|connection| connection.end.is_some())
    });
    assert_eq!(client::get(httpd.addr(), "/next").text(), "/next");
}

#[test]
fn an_engine_can_refuse_and_come_back_at_the_same_port() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::C)
        .worker("w", &engine.endpoint())
        .workers("worker.w.retries=1")
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/before").status(), 200);

    engine.refuse();
    engine.close_connections();
    engine.wait_until("no connection", |seen| seen.open == 0);
    assert_eq!(engine.seen().connections[0].end, Some(End::ByTest));
    assert_eq!(client::get(httpd.addr(), "/down").status(), 503);
    assert!(httpd.wait_log("connecting to backend failed", DEADLINE), "{}", httpd.jk_log());

    engine.listen();
    assert_eq!(client::get(httpd.addr(), "/after").text(), "/after");
}

#[test]
fn a_silent_engine_does_not_delay_the_end_of_a_test() {
    let started = std::time::Instant::now();
    let engine = Engine::scripted(|_, _| Ok(Action::Hold)).start();
    let httpd = httpd(&engine.endpoint());
    let mut client = Client::connect(httpd.addr());
    client.send((client::head("GET", "/", &[]) + "\r\n").as_bytes()).expect("sent");
    engine.wait_until("the request", |seen| seen.requests.len() == 1);
    let children = httpd.child_pids();

    drop(httpd);

    assert!(!children.is_empty());
    for child in children {
        let comm = format!("/proc/{child}/comm");
        assert!(!std::path::Path::new(&comm).exists(), "{child} lives on");
    }
    assert!(matches!(client.try_read_response("GET"), Err(NoResponse::Closed | NoResponse::Reset)));
    assert!(started.elapsed() < DEADLINE);
}

#[test]
fn both_ends_can_be_ipv6() {
    let engine = Engine::recording().ipv6().start();
    let Endpoint::Tcp(addr) = engine.endpoint() else { panic!("not TCP") };
    assert!(addr.is_ipv6());
    let httpd =
        Httpd::builder(Module::C).ipv6().worker("w", &engine.endpoint()).mount("/*", "w").start();
    assert_eq!(client::get(httpd.addr6(), "/six").text(), "/six");
    assert_eq!(engine.requests()[0].remote_addr.as_deref(), Some("::1"));
}

#[test]
fn a_unix_socket_engine_answers() {
    use std::io::{Read, Write};
    let dir = temp_dir("jk-unix-");
    let path = dir.path().join("ajp.sock");
    let engine = Engine::recording().unix(&path).start();
    let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.write_all(&[0x12, 0x34, 0, 1, packet::CPING]).expect("sent");
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).expect("CPONG");
    assert_eq!(answer[..], packet::cpong());
    assert_eq!(engine.seen().pings, 1);
    drop(stream);
    engine.wait_until("the end", |seen| seen.connections[0].end == Some(End::Closed));
}

#[test]
fn tls_is_announced_with_cipher_and_certificate() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::C)
        .worker("w", &engine.endpoint())
        .tls("JkMount /* w\nSSLVerifyClient optional\nSSLOptions +StdEnvVars +ExportCertData")
        .http2()
        .start();
    let files = certificates();
    let names =
        [&files.ca, &files.client, &files.client_key].map(|path| path.to_str().expect("utf8"));
    let [ca, cert, key] = names;

    let plain = curl(&["--http1.1", "--cacert", ca, &httpd.https("/tls")]);
    let h2 =
        curl(&["--http2", "--cacert", ca, "--cert", cert, "--key", key, &httpd.https("/cert")]);

    assert_eq!((plain.exit, plain.status, plain.body.as_slice()), (0, 200, &b"/tls"[..]));
    assert_eq!((h2.exit, h2.status, h2.version.as_str()), (0, 200, "2"), "{}", h2.complaint);
    let requests = engine.requests();
    assert!(requests.iter().all(|request| request.is_ssl));
    let has = |index: usize, wanted: fn(&packet::Attr) -> bool| {
        requests[index].attributes.iter().any(wanted)
    };
    assert!(has(0, |attr| matches!(attr, packet::Attr::SslCipher(Some(_)))));
    assert!(!has(0, |attr| matches!(attr, packet::Attr::SslCert(_))));
    assert!(has(
        1,
        |attr| matches!(attr, packet::Attr::SslCert(Some(pem)) if pem.contains("BEGIN"))
    ));
    assert_eq!(requests[1].protocol.as_deref(), Some("HTTP/2.0"));
}

#[test]
fn http2_without_tls_works_too() {
    let engine = Engine::recording().start();
    let httpd =
        Httpd::builder(Module::C).worker("w", &engine.endpoint()).mount("/*", "w").http2().start();
    let result = curl(&["--http2-prior-knowledge", &httpd.http("/h2")]);
    assert_eq!((result.status, result.version.as_str()), (200, "2"), "{}", result.complaint);
    assert_eq!(result.body, b"/h2");
}

#[test]
fn two_servers_see_the_same_request_byte_for_byte() {
    let port = ReservedPort::v4();
    let raw = [(); 2].map(|()| {
        let engine = Engine::recording().start();
        let httpd = httpd(&engine.endpoint());
        let mut client = Client::connect_from(port.addr(), httpd.addr());
        let headers = [("Host", "shop.example"), ("Cookie", "a=1")];
        assert_eq!(client.request("PATCH", "/x?y", &headers, b"body").status(), 200);
        engine.seen().connections[0].packets.clone()
    });
    assert_eq!(raw[0], raw[1]);
}

#[test]
fn vhosts_have_ports_of_their_own() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::C)
        .worker("w", &engine.endpoint())
        .vhost("one.example", "JkMount /* w")
        .vhost("two.example", "UseCanonicalName On\nJkMount /two/* w")
        .file("htdocs/index.html", "main")
        .modules(&["dir", "mime"])
        .config("DirectoryIndex index.html")
        .start();
    assert_eq!(client::get(httpd.addr(), "/").text(), "main");
    assert_eq!(client::get(httpd.vhost("one.example"), "/x").text(), "/x");
    assert_eq!(client::get(httpd.vhost("two.example"), "/x").status(), 404);
    assert_eq!(client::get(httpd.vhost("two.example"), "/two/").text(), "/two/");
    assert_eq!(engine.requests()[1].server_name.as_deref(), Some("two.example"));
}

#[test]
fn a_graceful_restart_and_a_stop_are_waited_for() {
    let engine = Engine::recording().start();
    let mut httpd = httpd(&engine.endpoint());
    let before = httpd.only_child();
    httpd.graceful();
    wait_until("the old child is gone", || !httpd.child_pids().contains(&before));
    assert_eq!(client::get(httpd.addr(), "/new").text(), "/new");
    assert!(httpd.config_test().output.contains("Syntax OK"));
    assert!(httpd.stop().success());
}

#[test]
fn a_bad_configuration_is_reported_by_test_and_start() {
    let broken = || Httpd::builder(Module::C).config("JkNonsense on");
    let tested = broken().config_test();
    assert!(!tested.status.success());
    assert!(tested.output.contains("Invalid command 'JkNonsense'"), "{}", tested.output);
    let Err(refusal) = broken().try_start() else { panic!("it started") };
    assert!(refusal.output.contains("Invalid command 'JkNonsense'"), "{}", refusal.output);
}

#[test]
fn the_shared_tomcat_serves_pages_and_takes_uploads() {
    let httpd = httpd(&Tomcat::shared());
    let mut client = Client::connect(httpd.addr());

    let page = client.get("/probe/?a=b");
    assert_eq!(page.status(), 200, "{}", page.text());
    assert!(page.text().contains("method=GET\nuri=/probe/\nquery=a=b\nscheme=http\n"));

    for upload in [Upload::ContentLength, Upload::Chunked(10_000)] {
        let sha256 = client.upload("POST", "/probe/", &[], 3_000_001, upload).expect("sent");
        let text = client.read_response("POST").text();
        assert!(text.contains("length=3000001\n"), "{upload:?}: {text}");
        assert!(text.contains(&sha256), "{upload:?}: {text}");
    }
}

#[test]
fn a_private_tomcat_restarts_at_its_port() {
    let mut tomcat = Tomcat::builder()
        .secret("s3cret")
        .packet_size(65_536)
        .connection_timeout_ms(60_000)
        .file("probe/index.html", "static")
        .start();
    let httpd = Httpd::builder(Module::C)
        .worker("w", &tomcat.endpoint())
        .workers("worker.w.secret=s3cret\nworker.w.max_packet_size=65536")
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/probe/").text(), "static");

    tomcat.kill();
    assert_eq!(client::get(httpd.addr(), "/probe/").status(), 503);

    tomcat.launch();
    assert_eq!(client::get(httpd.addr(), "/probe/").text(), "static");
}

#[test]
fn a_tomcat_on_a_unix_socket_answers() {
    let tomcat = Tomcat::builder().unix().start();
    assert!(matches!(tomcat.endpoint(), Endpoint::Unix(_)));
}

#[test]
fn a_large_answer_is_hashed_as_it_comes() {
    let body = Noise::bytes(5_000_000);
    let expected = Sha256::of(&body);
    let engine = Engine::answering(packet::answer(200, &[], &body), Action::Keep).start();
    let httpd = httpd(&engine.endpoint());
    let mut client = Client::connect(httpd.addr());
    client.send((client::head("GET", "/", &[]) + "\r\n").as_bytes()).expect("sent");
    let streamed = client.read_streamed("GET").expect("a response");
    assert_eq!((streamed.length, streamed.end), (5_000_000, BodyEnd::Chunked));
    assert_eq!(streamed.sha256, expected);
}

#[test]
fn expect_100_continue_is_shown_as_interim() {
    let engine = Engine::recording().start();
    let httpd = httpd(&engine.endpoint());
    let mut client = Client::connect(httpd.addr());
    let headers = [("Expect", "100-continue"), ("Content-Length", "4")];
    client.send((client::head("POST", "/", &headers) + "\r\n").as_bytes()).expect("sent");
    client.send(b"body").expect("sent");
    let response = client.read_response("POST");
    assert_eq!((response.status(), response.header("X-Body")), (200, Some("4")));
    assert_eq!(response.head.interim, [100]);
}
