//! What options of a server and extensions of a rule change in the handling of a response
//! ([1.2], [1.6], [3.4]).

use std::io;

use crate::support::client::{self, Client};
use crate::support::engine::{Action, Conn, Engine, echo};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{self, Request};
use crate::support::{Gate, wait_until};

/// Answers with the status that the path ends with.
fn statuses(conn: &mut Conn, request: &Request) -> io::Result<Action> {
    conn.read_body(request)?;
    let status = request.uri().rsplit('/').next().and_then(|text| text.parse().ok());
    let headers = [("X-Engine", "1"), ("WWW-Authenticate", "Basic realm=engine")];
    conn.send(&packet::answer(status.unwrap_or(200), &headers, b"engine page"))?;
    Ok(Action::Keep)
}

#[test]
fn httpd_answers_errors_itself_where_the_rule_says_so() {
    for module in Module::BOTH {
        let engine = Engine::scripted(statuses).start();
        let httpd = Httpd::builder(module)
            .worker("w", &engine.endpoint())
            .mount("/errors/*", "\"w;use_server_errors=400\"")
            .mount("/faults/*", "\"w;use_server_errors=500\"")
            .config("ErrorDocument 401 \"httpd page\"\nErrorDocument 404 \"httpd page\"")
            .config("ErrorDocument 503 \"httpd page\"")
            .start();
        for (method, path, status, page, challenge) in [
            ("GET", "/errors/404", 404, "httpd page", false),
            ("POST", "/errors/404", 404, "httpd page", false),
            ("HEAD", "/errors/404", 404, "", false),
            ("GET", "/errors/401", 401, "httpd page", true),
            ("GET", "/errors/503", 503, "httpd page", false),
            ("GET", "/faults/404", 404, "engine page", true),
            ("GET", "/faults/401", 401, "engine page", true),
            ("GET", "/errors/200", 200, "engine page", true),
        ] {
            let body: &[u8] = if method == "POST" { b"body" } else { b"" };
            let answer = Client::connect(httpd.addr()).request(method, path, &[], body);
            let what = format!("{module:?} {method} {path}: {answer:?}");
            assert_eq!((answer.status(), answer.text().as_str()), (status, page), "{what}");
            assert_eq!(answer.header("X-Engine").is_some(), page == "engine page", "{what}");
            assert_eq!(answer.header("WWW-Authenticate").is_some(), challenge, "{what}");
            assert_eq!(answer.header("Retry-After"), None, "{what}");
        }
        assert_eq!(engine.accepted(), 1, "{module:?}: the connection is used again");
    }
}

#[test]
fn a_rule_has_its_own_failures_and_patience() {
    for (module, executions) in [(Module::C, 2), (Module::Ours, 1)] {
        let engine = Engine::scripted(|conn, request| match request.uri() {
            "/patience/silent" => Ok(Action::Hold),
            _ => statuses(conn, request),
        })
        .start();
        let httpd = Httpd::builder(module)
            .worker("w", &engine.endpoint())
            .workers("worker.w.retry_interval=1\nworker.w.connection_acquire_timeout=20000")
            .mount("/failures/*", "\"w;fail_on_status=404,-500\"")
            .mount("/patience/*", "\"w;reply_timeout=200\"")
            .start();
        for (path, status, times) in [
            ("/failures/404", 503, executions),
            ("/failures/500", 503, executions),
            ("/failures/403", 403, 1),
            ("/patience/silent", 504, executions),
            ("/patience/404", 404, 1),
        ] {
            assert_eq!(client::get(httpd.addr(), path).status(), status, "{module:?} {path}");
            let requests = engine.requests();
            let asked = requests.iter().filter(|request| request.uri() == path).count();
            assert_eq!(asked, times, "{module:?} {path}");
        }
    }
}

#[test]
fn with_disable_reuse_every_request_has_a_connection_of_its_own() {
    for module in Module::BOTH {
        let engine = Engine::recording().start();
        let httpd = Httpd::builder(module)
            .worker("w", &engine.endpoint())
            .mount("/w/*", "w")
            .config("JkOptions +DisableReuse")
            .start();
        for number in 0..3 {
            let answer = client::get(httpd.addr(), "/w/x");
            let connection = number.to_string();
            assert_eq!(answer.header("X-Connection"), Some(&*connection), "{module:?}");
        }
        engine.wait_until("all connections are closed", |seen| seen.open == 0);
    }
}

/// Asks an engine that answers in three steps; each of them begins once the client has seen what
/// the step before must have brought it.
fn in_steps(module: Module, option: &str, head_is_step: bool) {
    let gates = [Gate::default(), Gate::default()];
    let inside = gates.clone();
    let engine = Engine::scripted(move |conn, request| {
        if request.uri() != "/w/steps" {
            conn.send(&echo(request, 0))?;
            return Ok(Action::Keep);
        }
        conn.send(&packet::send_headers(200, "OK", &[]))?;
        if head_is_step {
            inside[0].pass();
        }
        conn.send(&packet::body_chunk(b"one"))?;
        inside[1].pass();
        conn.send(&packet::body_chunk(b"two"))?;
        conn.send(&packet::end_response(true))?;
        Ok(Action::Keep)
    })
    .start();
    let httpd = Httpd::builder(module)
        .worker("w", &engine.endpoint())
        .mount("/w/*", "w")
        .config(option)
        .start();
    let mut client = Client::connect(httpd.addr());
    client.send(format!("{}\r\n", client::head("GET", "/w/steps", &[])).as_bytes()).expect("sent");
    let head = client.read_head().expect("a head");
    let (mut body, mut at_first) = (Vec::new(), 0);
    gates[0].open();
    if head_is_step {
        gates[1].open();
    }
    client
        .read_body("GET", &head, |data| {
            at_first += 1;
            body.extend_from_slice(data);
            gates[1].open();
        })
        .expect("a body");
    assert_eq!((body.as_slice(), head.status), (&b"onetwo"[..], 200), "{module:?} {option}");
    assert!(head_is_step || at_first == 2, "{module:?} {option}");
}

#[test]
fn headers_and_packets_are_flushed_where_the_options_say_so() {
    for module in Module::BOTH {
        in_steps(module, "JkOptions +FlushHeader", true);
        in_steps(module, "JkOptions +FlushPackets", false);
    }
}

#[test]
fn hop_by_hop_headers_and_underscores_pass_as_the_options_say() {
    let sent = [
        ("Connection", "X-Named"),
        ("X-Named", "1"),
        ("TE", "trailers"),
        ("Upgrade", "h3"),
        ("Proxy-Authorization", "Basic eA=="),
        ("X_Under", "1"),
    ];
    let all = ["Connection", "X-Named", "TE", "Upgrade", "Proxy-Authorization", "X_Under"];
    let cases: [(Module, &str, &[&str]); 4] = [
        (Module::C, "", &all),
        (Module::Ours, "", &["X_Under"]),
        (Module::Ours, "JkOptions +ForwardHopByHop", &all),
        (Module::Ours, "JkOptions +ForwardHopByHop +DropUnderscoreHeaders", &all[..5]),
    ];
    for (module, option, expected) in cases {
        let engine = Engine::recording().start();
        let httpd = Httpd::builder(module)
            .worker("w", &engine.endpoint())
            .mount("/w/*", "w")
            .config(option)
            .start();
        Client::connect(httpd.addr()).request("GET", "/w/x", &sent, b"");
        let requests = engine.requests();
        let passed = |name: &str| requests[0].header(name).is_some();
        let found: Vec<&str> =
            sent.iter().map(|(name, _)| name).filter(|name| passed(name)).copied().collect();
        assert_eq!(found, expected, "{module:?} {option}");
    }
}

/// The engine's challenge belongs to its own answer, not to the error of a client that breaks off.
#[test]
fn a_challenge_does_not_stand_on_another_error() {
    let engine = Engine::scripted(|conn, _| {
        conn.send(&packet::send_headers(401, "", &[("WWW-Authenticate", "Basic")]))?;
        conn.send(&packet::get_body_chunk(8000))?;
        Ok(Action::Hold)
    })
    .start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .mount("/w/*", "\"w;use_server_errors=400\"")
        .start();
    let mut client = Client::connect(httpd.addr());
    let head = client::head("POST", "/w/x", &[("Transfer-Encoding", "chunked")]);
    client.send(format!("{head}\r\n").as_bytes()).expect("sent");
    engine.wait_until("the request", |seen| !seen.requests.is_empty());
    client.send(b"nonsense\r\n").expect("sent");
    let answer = client.read_response("POST");
    assert_eq!((answer.status(), answer.header("WWW-Authenticate")), (400, None), "{answer:?}");
}

/// Log formats read the variables that CGI programs get.
#[test]
fn the_environment_has_the_variables_of_cgi() {
    for module in Module::BOTH {
        let engine = Engine::recording().start();
        let httpd = Httpd::builder(module)
            .modules(&["log_config"])
            .config(
                "LogFormat \"%U %{SERVER_ADDR}e %{REMOTE_ADDR}e %{HTTP_X_OWN}e\" short\n\
                 CustomLog logs/access.log short",
            )
            .worker("w", &engine.endpoint())
            .mount("/w/*", "w")
            .start();
        let mut client = Client::connect(httpd.addr());
        assert_eq!(client.request("GET", "/w/x", &[("X-Own", "1")], b"").status(), 200);
        let log = || std::fs::read_to_string(httpd.path("logs/access.log")).unwrap_or_default();
        wait_until("a line", || log().ends_with('\n'));
        assert_eq!(log(), "/w/x 127.0.0.1 127.0.0.1 1\n", "{module:?}");
    }
}
