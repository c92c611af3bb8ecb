//! spec/reliability.md 1.1: mod_jk and the ISAPI redirector.

use std::os::unix::fs::symlink;

use super::*;
use crate::support::client::Noise;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};
use crate::support::process;

#[test]
fn cve_2006_7197_a_chunk_longer_than_its_packet_gives_nothing_away() {
    let stage = Stage::new();
    for length in [7, 4096, 8184, 0x7FFF, 0x8000, 0xFFFF] {
        let bytes = chunk(length, b"hello\0");
        stage.run_all(&before_and_after(&format!("{length} bytes"), &bytes, "bad_chunk"));
    }
}

#[test]
fn cve_2008_5519_a_body_that_does_not_come_costs_the_connection() {
    let stage = Stage::new();
    // Less than the first packet: no engine hears of it. More: its connection is closed.
    for sent in [0, 3_000, 30_000] {
        let path = unique("w", "echo");
        let mark = stage.mark();
        let part = Noise::bytes(sent);
        let client = send(&stage, "POST", &path, "Content-Length: 60000\r\n", &part);
        if sent == 30_000 {
            stage.engine.wait_until("the request", |seen| {
                seen.requests.iter().any(|request| request.uri() == path)
            });
        }
        drop(client);
        stage.check_log("aborted", &mark, "w", Some(("info", "client_abort")));
        let fate = stage.carried_by(&mark, &path).map(|number| (number, Fate::Closed));
        assert_eq!(fate.is_some(), sent == 30_000, "{sent}");
        stage.check_after("aborted", &mark, "w", Some(("info", "client_abort")), fate);
    }
}

#[test]
fn cve_2016_6808_a_long_host_changes_no_decision() {
    let stage = Stage::new();
    let host = format!("{}.example", "h".repeat(247));
    for length in [1, 4000, 7000, 8000] {
        let ask = |host: &str| {
            let path = unique("w", &"u".repeat(length));
            let mut client = Client::connect(stage.httpd.addr());
            let answer = client.request("GET", &path, &[("Host", host)], b"");
            (answer.status(), answer.text() == path)
        };
        let (short, long) = (ask("a"), ask(&host));
        if length == 8000 {
            // With the longer name it no longer fits a packet of 8 KiB.
            assert_eq!((short.0, long.0), (200, 413));
        } else {
            assert_eq!((short, long), ((200, true), (200, true)), "{length}");
        }
        let outside = format!("/outside/{}", "u".repeat(length));
        let [short, long] = ["a", &host].map(|host| {
            let mut client = Client::connect(stage.httpd.addr());
            client.request("GET", &outside, &[("Host", host)], b"").status()
        });
        // 403 where the name is too long for a file.
        assert!(short == long && [403, 404].contains(&long), "{short} {long}");
    }
}

#[test]
fn cve_2024_46544_no_file_holds_the_shared_memory() {
    let engine = Engine::recording().start();
    let outside = crate::support::temp_dir("jk-planted");
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "as it was").expect("a file");
    let planted = outside.path().join("jk.shm");
    symlink(&victim, &planted).expect("a link");
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .config(&format!("JkShmFile {}", planted.display()))
        .mount("/w/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/w/a").status(), 200);
    assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "as it was");
    let names = |path: &std::path::Path| {
        let entries = std::fs::read_dir(path).expect("a folder");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(outside.path()), ["jk.shm", "victim"]);
    // What a child shares with others is memory without a name that could be opened.
    let child = httpd.only_child();
    let maps = std::fs::read_to_string(format!("/proc/{child}/maps")).expect("maps");
    let shared =
        maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|p| p.ends_with('s')));
    for line in shared {
        let path = line.split_whitespace().nth(5).unwrap_or_default();
        assert!(!path.contains("jk") && !path.contains("planted"), "{line}");
    }
}

/// The bounds that 1.2.49 mended: a field is read within its packet, whatever lies behind it.
#[test]
fn jk_1_2_49_a_field_ends_with_its_packet() {
    let stage = Stage::new();
    let head = |value: &[u8]| {
        let header = [string(b"X-A"), value.to_vec()].concat();
        super::super::case::raw_head(200, &string(b"OK"), 1, &[&header])
    };
    stage.run_all(&[
        Case::bad(
            "a value that ends in the next packet",
            [head(b"\0\x10abc"), end()].concat(),
            "bad_string",
        ),
        Case::bad("a value without its length", [head(b"\0"), end()].concat(), "short_packet"),
    ]);
    for bytes in [chunk(0, b"")[..5].to_vec(), chunk(0, b"")[..6].to_vec()] {
        let short = frame(&bytes[4..]);
        stage.run_all(&before_and_after(&format!("{short:?}"), &short, "short_chunk"));
    }
}

#[test]
fn jk_1_2_44_descriptors_beyond_1024_are_like_others() {
    let pid = std::process::id().to_string();
    process::output(std::process::Command::new("prlimit").args(["--pid", &pid, "--nofile=8192:"]));
    let engine = Engine::recording().start();
    // Each log is a descriptor that children inherit.
    let logs: String = (0..1200).map(|n| format!("CustomLog @ROOT@/logs/many.{n} %h\n")).collect();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .workers("worker.w.prepost_timeout=10000\nworker.w.socket_timeout=10")
        .mount("/w/*", "w")
        .config(&logs)
        .start();
    let child = httpd.only_child();
    assert!(httpd.fd_count(child) > 1200, "{}", httpd.fd_count(child));
    for _ in 0..3 {
        let mut client = Client::connect(httpd.addr());
        let answer = client.request("POST", "/w/a", &[], &Noise::bytes(30_000));
        assert_eq!((answer.status(), answer.header("X-Body")), (200, Some("30000")));
    }
    assert_eq!(httpd.only_child(), child);
}

#[test]
fn bz_56133_a_request_may_fail_while_its_body_is_sent() {
    let stage = Stage::new();
    let post = |id: &str, play: Vec<Step>, then: Then, event: &'static str| {
        Case::get(id, play).ask(Ask::Post(60_000)).then(then).error(event)
    };
    stage.run_all(&[
        post("after the first part", vec![Step::ReadFirst], Then::Close, "eof_before_head"),
        post(
            "after two parts",
            vec![Step::ReadFirst, Step::Ask(8186, 8186)],
            Then::Close,
            "eof_in_body",
        ),
        post(
            "by a reset",
            vec![Step::ReadFirst, Step::Ask(8186, 8186)],
            Then::Reset,
            "reset_in_body",
        ),
        post(
            "by nonsense",
            vec![Step::ReadFirst, Step::Ask(8186, 8186), Step::Say(b"nonsense".to_vec())],
            Then::Keep,
            "bad_magic",
        ),
    ]);
}

/// What was mended upstream in June 2026: sends that take a part only, and IPv6 in the log.
#[test]
fn jk_2026_06_a_send_may_take_a_part_only() {
    let engine = Engine::recording().ipv6().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .workers(
            "worker.w.max_packet_size=65536\n\
             worker.w.socket_buffer=2048\n\
             worker.w.retries=1",
        )
        .mount("/w/*", "w")
        .start();
    let mut client = Client::connect(httpd.addr());
    let answer = client.request("POST", "/w/a", &[], &Noise::bytes(500_000));
    assert_eq!((answer.status(), answer.header("X-Body")), (200, Some("500000")));
    engine.refuse();
    engine.close_connections();
    assert_eq!(client::get(httpd.addr(), "/w/b").status(), 503);
    let address = format!("[::1]:{}", engine.port());
    assert!(httpd.wait_log(&address, crate::support::DEADLINE), "{}", httpd.jk_log());
}

/// An answer with an unknown code in a header is refused; the child lives. On ours only.
#[test]
fn jk_open_a_coded_header_that_nobody_knows() {
    let stage = Stage::new();
    for code in [0x00, 0x0C, 0x7F, 0xFF] {
        let header = [&[0xA0, code][..], &string(b"1")].concat();
        let head = super::super::case::raw_head(200, &string(b"OK"), 1, &[&header]);
        let bytes = [head, body_chunk(b"fine"), end()].concat();
        stage.run_all(&[Case::bad(format!("code {code:#x}"), bytes, "bad_header_code")]);
    }
}

/// How an answer is framed is httpd's business alone. On ours only.
#[test]
fn jk_open_the_engine_does_not_frame_the_answer() {
    let chunks = b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let cases: Vec<Case> = ["chunked", "identity", "gzip, chunked", ""]
        .iter()
        .map(|value| {
            let head = ok(&[("Transfer-Encoding", value)]);
            let bytes = [head, body_chunk(chunks), end()].concat();
            Case::good(format!("{value:?}"), bytes, chunks).event("warn", "dropped_header")
        })
        .collect();
    Stage::new().run_all(&cases);
}

/// Nobody gets what was left over from somebody else. On ours only.
#[test]
fn jk_open_bytes_behind_an_answer_reach_nobody() {
    let stage = Stage::new();
    for extra in [poison(), end(), packet::cpong(), vec![0x41]] {
        let bytes = [ok(&[]), body_chunk(b"own"), end(), extra].concat();
        let case = Case::good("behind", bytes, b"own").event("error", "unexpected_bytes").closed();
        stage.run_as(&case, super::super::stage::Variant::Fresh);
        stage.run_as(&case, super::super::stage::Variant::Reused);
    }
}

/// What has begun is neither repeated nor completed by an error page. On ours only.
#[test]
fn jk_open_an_answer_that_has_begun_is_not_begun_again() {
    let start = || {
        let bytes = [ok(&[("X-Engine", "1")]), body_chunk(b"begun"), flush()].concat();
        vec![Step::Say(bytes), Step::ClientHasHead]
    };
    let broken = |id: &str, then, event| {
        let case = Case::get(id, start()).then(then).error(event);
        case.sees(Sees::Broken(b"begun".to_vec()))
    };
    Stage::new().run_all(&[
        broken("closed", Then::Close, "eof_mid_body"),
        broken("reset", Then::Reset, "reset_mid_body"),
        broken("silent", Then::Keep, "reply_timeout").worker("t"),
    ]);
}
