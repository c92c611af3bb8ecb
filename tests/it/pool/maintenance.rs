//! What happens to connections while nobody sends a request ([5.2]).

use crate::support::client;
use crate::support::engine::{End, Engine};
use crate::support::httpd::{Httpd, Module};

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
