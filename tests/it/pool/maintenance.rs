//! What happens to connections while nobody sends a request ([5.2]).

use crate::support::client;
use crate::support::engine::{End, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::{DEADLINE, eventually, wait_until};

fn httpd(module: Module, engine: &Engine, lines: &str) -> Httpd {
    Httpd::builder(module)
        .config("JkWatchdogInterval 1")
        .jk_log_level("debug")
        .worker("w", &engine.endpoint())
        .workers("worker.maintain=1")
        .workers(lines)
        .mount("/w/*", "w")
        .start()
}

#[test]
fn an_idle_connection_is_closed_even_if_it_is_the_only_one_of_its_pool() {
    for module in Module::BOTH {
        let engine = Engine::recording().start();
        let lines = "worker.w.connection_pool_size=1\nworker.w.connection_pool_timeout=1";
        let httpd = httpd(module, &engine, lines);
        assert_eq!(client::get(httpd.addr(), "/w/one").text(), "/w/one", "{module:?}");
        engine.wait_until("the connection is closed", |seen| {
            seen.connections[0].end == Some(End::Closed)
        });
        assert_eq!(client::get(httpd.addr(), "/w/two").text(), "/w/two", "{module:?}");
        if module == Module::Ours {
            assert!(httpd.jk_log().contains("(w) idle_closed: "), "{}", httpd.jk_log());
        }
    }
}

#[test]
fn idle_connections_are_pinged_and_closed_if_they_do_not_answer() {
    for module in Module::BOTH {
        let engine = Engine::recording().start();
        let lines = "worker.w.connection_ping_interval=1";
        let httpd = httpd(module, &engine, lines);
        assert_eq!(client::get(httpd.addr(), "/w/one").text(), "/w/one", "{module:?}");
        engine.wait_until("two pings", |seen| seen.pings >= 2);
        assert_eq!(client::get(httpd.addr(), "/w/two").text(), "/w/two", "{module:?}");
        assert_eq!(engine.seen().connections[0].end, None, "{module:?}");

        let deaf = Engine::recording().ignore_cping().start();
        let lines = "worker.w.connection_ping_interval=1\nworker.w.ping_timeout=50";
        let httpd = self::httpd(module, &deaf, lines);
        assert_eq!(client::get(httpd.addr(), "/w/one").text(), "/w/one", "{module:?}");
        deaf.wait_until("the connection is closed", |seen| {
            seen.connections[0].end == Some(End::Closed)
        });
        if module == Module::Ours {
            assert!(httpd.jk_log().contains("[warn]"), "{}", httpd.jk_log());
            assert!(httpd.jk_log().contains("(w) cping_timeout: an idle"), "{}", httpd.jk_log());
        }
    }
}

/// Ours looks after connections without being told to; off, the next request does it, as with the
/// C module, whose default that is.
#[test]
fn the_watchdog_is_on_unless_it_is_switched_off() {
    let start = |module, lines: &str, engine: &Engine| {
        Httpd::builder(module)
            .size(2, 1)
            .config(lines)
            .worker("w", &engine.endpoint())
            .workers(
                "worker.maintain=1\nworker.w.connection_pool_timeout=1\n\
                 worker.w.connection_pool_minsize=0",
            )
            .mount("/w/*", "w")
            .start()
    };
    let engine = Engine::recording().start();
    let httpd = start(Module::Ours, "", &engine);
    assert_eq!(client::get(httpd.addr(), "/w/one").text(), "/w/one");
    engine.wait_until("the connection is closed", |seen| {
        seen.connections[0].end == Some(End::Closed)
    });
    let has_thread = |httpd: &Httpd| {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", httpd.only_child())).expect("tasks");
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
            .any(|name| name.trim() == "jk-watchdog")
    };
    assert!(has_thread(&httpd));

    for module in Module::BOTH {
        let engine = Engine::recording().start();
        let httpd = start(module, "JkWatchdogInterval 0", &engine);
        assert_eq!(client::get(httpd.addr(), "/w/one").text(), "/w/one", "{module:?}");
        assert!(!has_thread(&httpd));
        // Two at once, so that a second connection is there to be closed by a later request.
        wait_until("two connections", || {
            let addr = httpd.addr();
            let ask = move || assert_eq!(client::get(addr, "/w/two").status(), 200);
            let both = [std::thread::spawn(ask), std::thread::spawn(ask)];
            both.into_iter().for_each(|request| request.join().expect("an answer"));
            engine.seen().connections.len() >= 2
        });
        let is_closed = || engine.seen().connections.iter().any(|c| c.end == Some(End::Closed));
        eventually(DEADLINE, || {
            assert_eq!(client::get(httpd.addr(), "/w/three").status(), 200, "{module:?}");
            is_closed()
        });
        assert!(is_closed(), "{module:?}");
    }
}
