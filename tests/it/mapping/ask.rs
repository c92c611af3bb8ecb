//! Many requests over few connections.

use std::net::SocketAddr;

use crate::support::client::{Client, Response, head};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::packet;

/// Requests that are sent before the first answer is read.
const AHEAD: usize = 64;

/// Connections that a list of requests is spread over.
const CONNECTIONS: usize = 4;

/// What a client sees of the mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The worker that answered, and the URI that it was sent.
    pub(super) forwarded: Option<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The worker that answered.
    pub(super) fn worker(&self) -> Option<&str> {
        self.forwarded.as_ref().map(|(worker, _)| worker.as_str())
    }
}

/// One engine for each of some workers, which answers with the worker's name and the URI.
pub(super) struct Engines(Vec<(String, Engine)>);

impl Engines {
    pub(super) fn start(names: &[&str]) -> Self {
        let engine = |name: &&str| {
            let worker = (*name).to_owned();
            let engine = Engine::scripted(move |conn, request| {
                conn.read_body(request)?;
                let headers = [("X-Worker", worker.as_str())];
                conn.send(&packet::answer(200, &headers, request.uri().as_bytes()))?;
                Ok(Action::Keep)
            });
            ((*name).to_owned(), engine.start())
        };
        Self(names.iter().map(engine).collect())
    }

    /// An httpd with `module` in which each engine is a worker.
    pub(super) fn httpd(&self, module: Module) -> Builder {
        let builder = Httpd::builder(module).size(CONNECTIONS as u32 * 2, 1);
        self.0
            .iter()
            .fold(builder, |builder, (name, engine)| builder.worker(name, &engine.endpoint()))
    }
}

/// GETs all targets and returns the answers in their order.
pub(super) fn ask(addr: SocketAddr, targets: &[String]) -> Vec<Answer> {
    let share = targets.len().div_ceil(CONNECTIONS).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = targets
            .chunks(share)
            .map(|part| scope.spawn(move || ask_in_turn(addr, part)))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("a client")).collect()
    })
}

fn ask_in_turn(addr: SocketAddr, targets: &[String]) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(targets.len());
    while answers.len() < targets.len() {
        let before = answers.len();
        let mut client = Client::connect(addr);
        // httpd closes the connection after some errors: what is left is sent again.
        'connection: while answers.len() < targets.len() {
            let ahead = targets[answers.len()..].iter().take(AHEAD);
            let requests: Vec<String> =
                ahead.map(|target| head("GET", target, &[]) + "\r\n").collect();
            let _ = client.send(requests.concat().as_bytes());
            for _ in &requests {
                let Ok(response) = client.try_read_response("GET") else { break 'connection };
                answers.push(answer(&response));
                let closes = |value: &str| value.eq_ignore_ascii_case("close");
                if response.header("Connection").is_some_and(closes) {
                    break 'connection;
                }
            }
        }
        assert!(answers.len() > before, "no answer to {}", targets[before]);
    }
    answers
}

fn answer(response: &Response) -> Answer {
    let forwarded = response.header("X-Worker").map(|worker| (worker.to_owned(), response.text()));
    Answer { status: response.status(), forwarded, body: response.body.clone() }
}
