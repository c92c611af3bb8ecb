//! spec/reliability.md 1.5 and 1.6: what Tomcat, Undertow and other engines had, hence what we must
//! never set off and must survive.

use super::pair::Pair;
use super::*;
use crate::support::client::Noise;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{Body, send_headers};
use crate::support::wait_until;

#[test]
fn cve_2005_3164_a_body_that_breaks_off_is_nobody_elses() {
    let stage = Stage::new();
    for _ in 0..3 {
        let path = unique("w", "echo");
        let part = Noise::bytes(20_000);
        let client = send(&stage, "POST", &path, "Content-Length: 60000\r\n", &part);
        stage.engine.wait_until("the request", |seen| {
            seen.requests.iter().any(|request| request.uri() == path)
        });
        client.abort();
        let next = unique("w", "echo");
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request("POST", &next, &[], b"own");
        assert_eq!((answer.text(), answer.header("X-Body")), (next, Some("3")));
    }
}

/// CVE-2009-0033, CVE-2020-27782, CVE-2022-2053 and CVE-2023-5379: an engine that closes at some
/// requests is not out of order, and nobody else notices.
#[test]
fn cve_2009_0033_and_2022_2053_and_kin_requests_that_engines_close_at_harm_nobody_else() {
    let pair = Pair::new("");
    for number in 0..100 {
        let path = format!("/lb/closed/{number}");
        let mut client = Client::connect(pair.httpd.addr());
        let answer = client.request("POST", &path, &[], b"x");
        assert!([502, 503].contains(&answer.status()), "{answer:?}");
        assert_eq!(pair.executions(&path), 1, "a POST is executed once");
        // Never a 503 for others.
        assert_eq!(client::get(pair.httpd.addr(), "/lb/echo").status(), 200, "{number}");
    }
}

#[test]
fn cve_2011_3190_no_body_packet_that_nobody_waits_for() {
    let stage = Stage::new();
    // Refused without a look at the body: the first packet has gone out, more does not.
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        conn.read_body_packet()?;
        conn.send(&[send_headers(401, "", &[]), body_chunk(b"no"), end()].concat())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    let answer = client.request("POST", &path, &[], &Noise::bytes(60_000));
    assert_eq!((answer.status(), answer.text().as_str()), (401, "no"));
    let number = stage.carried_by(&mark, &path).expect("sent");
    stage.echo("w");
    {
        let seen = stage.engine.seen();
        let packets = &seen.connections[number].packets;
        let at = packets
            .iter()
            .position(|packet| packet.windows(path.len()).any(|part| part == path.as_bytes()));
        let behind = &packets[at.expect("sent") + 1..];
        // The one that came unasked; then nothing that is no request.
        assert!(behind.iter().skip(1).all(|packet| packet.get(4) == Some(&2)), "{behind:?}");
    }
    // An ask that the answer overtakes: nobody could tell whose the packet would be.
    let path = unique("w", "case");
    stage.play(&path, |conn, _| {
        conn.read_body_packet()?;
        conn.send(&[packet::get_body_chunk(8186), send_headers(401, "", &[]), end()].concat())?;
        Ok(Action::Keep)
    });
    let mark = stage.mark();
    let mut client = Client::connect(stage.httpd.addr());
    assert_eq!(client.request("POST", &path, &[], &Noise::bytes(60_000)).status(), 401);
    let number = stage.carried_by(&mark, &path).expect("sent");
    stage.engine.wait_until("closed", |seen| seen.connections[number].end.is_some());
}

#[test]
fn cve_2013_4286_there_is_one_length_or_none() {
    let stage = Stage::new();
    for lines in [
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: 3;4\r\n",
        "Content-Length: -0\r\n",
    ] {
        refused(&stage, "POST", lines, &[400]);
    }
    let path = unique("w", "echo");
    send(&stage, "POST", &path, "Content-Length: 003\r\n", b"abc").read_response("POST");
    assert_eq!(forwarded(&stage, &path).header_values("Content-Length").len(), 1);
}

#[test]
fn cve_2014_0095_a_length_of_zero_has_no_body_packet() {
    let stage = Stage::new();
    for method in ["POST", "PUT", "GET", "DELETE"] {
        let before = stage.warm("w");
        let path = unique("w", "echo");
        let mark = stage.mark();
        let answer =
            send(&stage, method, &path, "Content-Length: 0\r\n", b"").read_response(method);
        assert_eq!((answer.status(), answer.text()), (200, path.clone()), "{method}");
        assert_eq!(forwarded(&stage, &path).header_values("Content-Length"), ["0"]);
        stage.check_after(method, &mark, "w", None, Some((before, Fate::Pooled)));
    }
}

#[test]
fn cve_2014_0099_a_length_that_is_too_large_for_anybody() {
    let stage = Stage::new();
    for length in ["9223372036854775808", "18446744073709551616", "99999999999999999999999"] {
        refused(&stage, "POST", &format!("Content-Length: {length}\r\n"), &[400, 413]);
    }
}

/// CVE-2020-1938 and its fallout: the secret goes with every request, and where there is none and
/// the engine is elsewhere, the start says so.
#[test]
fn cve_2020_1938_the_secret_is_always_sent_and_its_lack_is_told() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .workers("worker.w.secret=hush-hush\nworker.far.host=192.0.2.1\nworker.list=far")
        .mount("/w/*", "w")
        .mount("/far/*", "far")
        .start();
    for _ in 0..3 {
        assert_eq!(client::get(httpd.addr(), "/w/a").status(), 200);
    }
    for request in engine.requests() {
        let secret = packet::Attr::Secret(Some("hush-hush".into()));
        assert_eq!(request.attributes.first(), Some(&secret));
    }
    let log = httpd.error_log() + &httpd.jk_log();
    let told = log.lines().any(|line| line.contains("far") && line.contains("secret"));
    assert!(told, "{log}");
}

/// BZ 66512 and CVE-2023-34981: an answer without its head is none, and never a head of another.
#[test]
fn cve_2023_34981_no_answer_has_the_head_of_another() {
    let stage = Stage::new();
    let first = [ok(&[("X-Secret", "of the first")]), body_chunk(b"first"), end()].concat();
    for bytes in [end(), [body_chunk(b"second"), end()].concat()] {
        let path = unique("w", "case");
        let answer = first.clone();
        stage.play(&path, move |conn, _| {
            conn.send(&answer)?;
            Ok(Action::Keep)
        });
        assert_eq!(client::get(stage.httpd.addr(), &path).text(), "first");
        let path = unique("w", "case");
        stage.play(&path, move |conn, _| {
            conn.send(&bytes)?;
            Ok(Action::Keep)
        });
        let answer = client::get(stage.httpd.addr(), &path);
        assert_eq!((answer.status(), answer.header("X-Secret")), (502, None), "{answer:?}");
    }
}

/// BZ 69848: each method arrives under its own code.
#[test]
fn bz_69848_every_method_has_the_code_of_the_protocol() {
    let stage = Stage::new();
    let codes = [("OPTIONS", 1), ("GET", 2), ("POST", 4), ("PUT", 5), ("DELETE", 6), ("LOCK", 13)];
    for (method, code) in codes {
        let path = unique("w", "echo");
        send(&stage, method, &path, "", b"").read_response(method);
        assert_eq!(forwarded(&stage, &path).raw.get(5), Some(&code), "{method}");
    }
}

/// PR 916: what we send fits the packet with its four bytes in front.
#[test]
fn tomcat_pr_916_no_packet_is_larger_than_agreed() {
    let stage = Stage::new();
    for length in (8100..8200).step_by(3).chain([8186, 16_372, 16_373]) {
        let path = unique("w", "echo");
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request("POST", &path, &[], &Noise::bytes(length));
        assert_eq!(answer.header("X-Body"), Some(length.to_string().as_str()));
    }
    for length in 7700..7900 {
        let path = unique("w", "echo");
        let value = "x".repeat(length);
        let mut client = Client::connect(stage.httpd.addr());
        let answer = client.request("GET", &path, &[("X-A", &value)], b"");
        assert!([200, 413].contains(&answer.status()), "{length}");
    }
    let seen = stage.engine.seen();
    let largest = seen.connections.iter().flat_map(|c| &c.packets).map(Vec::len).max();
    assert_eq!(largest, Some(8192));
}

/// CVE-2026-78383: a thread of the engine never waits for a client's first bytes.
#[test]
fn cve_2026_78383_an_announced_body_is_there_before_the_engine_hears_of_it() {
    let stage = Stage::new();
    let path = unique("w", "echo");
    let mark = stage.mark();
    let mut client = send(&stage, "POST", &path, "Content-Length: 5\r\n", b"");
    for byte in b"hell" {
        client.send(&[*byte]).expect("sent");
        stage.echo("w");
        assert_eq!(stage.executions(&mark, &path), 0);
    }
    client.send(b"o").expect("sent");
    assert_eq!(client.read_response("POST").header("X-Body"), Some("5"));
    assert_eq!(forwarded(&stage, &path).body(), Body::Length(5));
}

/// CVE-2026-103119: what comes late on a connection is not taken for the next answer.
#[test]
fn cve_2026_103119_a_late_packet_is_nobody_elses() {
    let stage = Stage::new();
    for round in 0..3 {
        stage.late("w", 200, &[body_chunk(b"late"), end()].concat());
        for _ in 0..5 {
            stage.echo("w");
        }
        assert_eq!(client::get(stage.httpd.addr(), &unique("w", "echo")).status(), 200, "{round}");
    }
}

/// What Tomcat mended in June 2026: a header with a control byte is caught here as well.
#[test]
fn tomcat_2026_06_03_control_bytes_do_not_pass() {
    let stage = Stage::new();
    for byte in (0..0x20_u8).chain([0x7F]).filter(|byte| *byte != b'\t') {
        let path = unique("w", "case");
        let bytes = [head_with(b"X-A", &[b'a', byte, b'b']), body_chunk(b"fine"), end()].concat();
        stage.play(&path, move |conn, _| {
            conn.send(&bytes)?;
            Ok(Action::Keep)
        });
        assert_eq!(client::get(stage.httpd.addr(), &path).status(), 502, "{byte:#x}");
    }
}

/// A stale packet where a CPONG is due costs the connection, not the engine.
#[test]
fn cve_2022_1319_a_stale_packet_instead_of_a_pong_is_no_failure() {
    let stage = Stage::new();
    for extra in [send_headers(400, "", &[]), end()] {
        stage.late("p", 400, &extra);
        for _ in 0..5 {
            stage.echo("p");
        }
    }
}

/// Many at a time, each with its own path: nobody gets what another asked for.
#[test]
fn cve_2024_6162_paths_are_not_mixed_up() {
    let stage = Stage::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    stage.echo("w");
                }
            });
        }
    });
    wait_until("all are answered", || stage.engine.seen().requests.len() >= 400);
}

/// CVE-2026-43514 and everybody's nights: the secret is in no log and on no page.
#[test]
fn cve_2026_43514_the_secret_is_shown_to_nobody() {
    let pair = Pair::new("worker.a.secret=hush-hush\nworker.b.secret=hush-hush");
    for _ in 0..4 {
        assert_eq!(client::get(pair.httpd.addr(), "/lb/echo").status(), 200);
    }
    for mime in ["html", "xml", "prop", "txt", "json", "prom"] {
        for query in ["", "&cmd=show&w=lb&opt=31", "&cmd=edit&w=lb&sw=a", "&cmd=dump"] {
            let page = client::get(pair.httpd.addr(), &format!("/jk?mime={mime}{query}"));
            assert!(!page.text().contains("hush-hush"), "{mime} {query}");
        }
    }
    assert!(!pair.httpd.jk_log().contains("hush-hush"));
    assert!(!pair.httpd.error_log().contains("hush-hush"));
}
