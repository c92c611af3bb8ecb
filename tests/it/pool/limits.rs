//! How many requests a worker takes at a time ([2.3] `busy_limit`).

use crate::support::Gate;
use crate::support::client;
use crate::support::engine::{Action, Engine, echo};
use crate::support::httpd::{Httpd, Module, Mpm};

#[test]
fn the_busy_limit_counts_the_requests_of_all_processes() {
    for module in Module::BOTH {
        let (gate, held) = (Gate::default(), Gate::default());
        let (inside, outside) = (gate.clone(), held.clone());
        let engine = Engine::scripted(move |conn, request| {
            if request.uri() == "/w/held" {
                outside.open();
                inside.pass();
            }
            conn.send(&echo(request, 0))?;
            Ok(Action::Keep)
        })
        .start();
        let httpd = Httpd::builder(module)
            .mpm(Mpm::Prefork)
            .size(1, 2)
            .worker("w", &engine.endpoint())
            .workers("worker.w.busy_limit=1\nworker.w.retry_interval=1")
            .workers("worker.w.connection_acquire_timeout=20000")
            .mount("/w/*", "w")
            .start();
        std::thread::scope(|scope| {
            let first = scope.spawn(|| client::get(httpd.addr(), "/w/held"));
            held.pass();
            // A process of prefork serves one request, so this is another one.
            let refused = client::get(httpd.addr(), "/w/refused");
            gate.open();
            assert_eq!(refused.status(), 503, "{module:?} {refused:?}");
            assert_eq!(first.join().expect("a client").text(), "/w/held", "{module:?}");
        });
        assert_eq!(client::get(httpd.addr(), "/w/after").text(), "/w/after", "{module:?}");
        assert_eq!(engine.requests().len(), 2, "{module:?}");
        if module == Module::Ours {
            let log = httpd.jk_log();
            assert_eq!(log.matches("[error]").count(), 1, "{log}");
            assert!(log.contains("(w) busy_limit: ") && log.contains("tries=1"), "{log}");
        }
    }
}
