//! A balancer of two engines with a status worker, for what must not be held against an engine.

use crate::support::client;
use crate::support::engine::{self, Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::wait_until;

/// `/lb/*` goes to the members `a` and `b`, which answer with the URI, but `/lb/silent` never and
/// `/lb/closed` by closing the connection; `/jk` is the status worker.
pub(super) struct Pair {
    pub(super) httpd: Httpd,
    pub(super) engines: [Engine; 2],
}

impl Pair {
    /// `workers` are further lines of the workers file.
    pub(super) fn new(workers: &str) -> Self {
        let engines = [(); 2].map(|()| {
            Engine::scripted(|conn, request| {
                if request.uri().starts_with("/lb/closed") {
                    return Ok(Action::Close);
                }
                if request.uri() == "/lb/silent" {
                    return Ok(Action::Hold);
                }
                let body = conn.read_body(request)?;
                conn.send(&engine::echo(request, body.len()))?;
                Ok(Action::Keep)
            })
            .start()
        });
        let [a, b] = [0, 1].map(|at: usize| engines[at].port());
        let httpd = Httpd::builder(Module::Ours)
            .workers(&format!(
                "worker.list=lb,st\n\
                 worker.st.type=status\n\
                 worker.lb.type=lb\n\
                 worker.lb.balance_workers=a,b\n\
                 worker.a.host=127.0.0.1\n\
                 worker.a.port={a}\n\
                 worker.b.host=127.0.0.1\n\
                 worker.b.port={b}\n\
                 {workers}"
            ))
            .mount("/lb/*", "lb")
            .mount("/jk", "st")
            .start();
        Self { httpd, engines }
    }

    /// The values of a field of both members.
    fn values(&self, field: &str) -> [String; 2] {
        let answer = client::get(self.httpd.addr(), "/jk?mime=prop");
        assert_eq!(answer.status(), 200, "{answer:?}");
        ["a", "b"].map(|name| {
            let text = answer.text();
            let key = format!("worker.{name}.{field}=");
            let value = text.lines().find_map(|line| line.strip_prefix(&key));
            value.unwrap_or_else(|| panic!("{key} is not in\n{text}")).to_owned()
        })
    }

    /// A counter of both members.
    pub(super) fn members(&self, field: &str) -> [u64; 2] {
        self.values(field).map(|value| value.parse().expect("a number"))
    }

    pub(super) fn wait_members(&self, field: &str, mut is_right: impl FnMut([u64; 2]) -> bool) {
        wait_until(field, || is_right(self.members(field)));
    }

    /// Both members are usable and both are used.
    pub(super) fn check_usable(&self) {
        for state in self.values("state") {
            assert!(state.starts_with("OK"), "{state}");
        }
        let before = [0, 1].map(|at: usize| self.engines[at].requests().len());
        for _ in 0..10 {
            assert_eq!(client::get(self.httpd.addr(), "/lb/echo").status(), 200);
        }
        let after = [0, 1].map(|at: usize| self.engines[at].requests().len());
        assert!(before[0] < after[0] && before[1] < after[1], "{before:?} {after:?}");
    }

    /// How often the engines together were sent this path.
    pub(super) fn executions(&self, path: &str) -> usize {
        let sent = self.engines.iter().flat_map(Engine::requests);
        sent.filter(|request| request.uri() == path).count()
    }
}
