//! Runs the cases of a group through one httpd with the C module, then through one with ours.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::case::{Case, Difference, Ours, Reply, echo};
use super::seen::{Answer, Seen, differences};
use super::tls::Tunnel;
use crate::support::ReservedPort;
use crate::support::client::Client;
use crate::support::engine::{Action, Conn, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::Request;

/// Cases that one configuration serves.
pub(crate) struct Group {
    /// Name of its test function.
    pub(crate) test: &'static str,
    /// Modules of httpd to load.
    pub(crate) modules: &'static [&'static str],
    /// The main server's configuration. `@SERVE@` becomes the address that the clients use, which
    /// is the same for both modules.
    pub(crate) config: String,
    /// Further lines for the worker `w`.
    pub(crate) workers: String,
    /// Files below the ServerRoot.
    pub(crate) files: &'static [(&'static str, &'static str)],
    pub(crate) cases: Vec<Case>,
}

/// The ports of a run. They show in packets and answers, so both modules get the same ones: they
/// run one after the other, and every client leaves with a reset so that nothing of its connection
/// stays behind.
struct Ports {
    server: ReservedPort,
    clients: Vec<ReservedPort>,
}

impl Group {
    /// Compares the two modules, and fails with all that differs.
    pub(crate) fn check(&self) {
        let ports = Ports {
            server: ReservedPort::v4(),
            clients: self.cases.iter().map(|_| ReservedPort::v4()).collect(),
        };
        let theirs = self.observe(Module::C, &ports);
        let ours = self.observe(Module::Ours, &ports);
        let mut problems = Vec::new();
        for (case, (theirs, ours)) in self.cases.iter().zip(theirs.iter().zip(&ours)) {
            for problem in judge(case.difference, theirs, ours) {
                problems.push(format!("{}: {problem}", case.name));
            }
        }
        assert!(
            problems.is_empty(),
            "{} of {} cases:\n{}",
            problems.len(),
            self.cases.len(),
            problems.join("\n")
        );
    }

    fn observe(&self, module: Module, ports: &Ports) -> Vec<Seen> {
        let reply = Arc::new(Mutex::new(Reply::Echo));
        let current = Arc::clone(&reply);
        let engine = Engine::scripted(move |conn, request| answer(&current, conn, request)).start();
        let server = ports.server.addr();
        let mut builder = Httpd::builder(module)
            .modules(self.modules)
            // The one thing that may differ: each module tells its version to the Server header.
            .config(&format!("ServerTokens Prod\nListen {server}"))
            .config(&self.config.replace("@SERVE@", &server.to_string()))
            .worker("w", &engine.endpoint())
            .workers(&self.workers);
        for (path, content) in self.files {
            builder = builder.file(path, content);
        }
        let httpd = builder.start();
        let mut all = Vec::new();
        for (case, from) in self.cases.iter().zip(&ports.clients) {
            *reply.lock().unwrap_or_else(PoisonError::into_inner) = case.reply.clone();
            let before = packets(&engine);
            let answers = ask(case, from, &ports.server);
            let packets = newer(&before, packets(&engine));
            let mut seen = Seen { packets, answers, facts: Vec::new() };
            if case.tls.is_some() {
                assert_eq!(seen.requests(), 1, "{}: {seen:?}", case.name);
                seen = seen.with_equal_session_ids();
            }
            all.push(seen);
        }
        assert_eq!(engine.seen().faults, [""; 0], "{module:?}");
        drop(httpd);
        all
    }
}

/// An engine's answer to one request.
pub(crate) fn answer(
    reply: &Mutex<Reply>,
    conn: &mut Conn,
    request: &Request,
) -> io::Result<Action> {
    let reply = reply.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match reply {
        Reply::Echo => echo(conn, request),
        Reply::Bytes(bytes) => {
            conn.read_body(request)?;
            conn.send(&bytes)?;
            Ok(Action::Keep)
        }
        Reply::Script(script) => script(conn, request),
    }
}

fn ask(case: &Case, from: &ReservedPort, to: &ReservedPort) -> Vec<Answer> {
    match case.tls {
        Some(who) => converse(case, &mut Tunnel::connect(from.addr(), to.addr(), who).client),
        None => {
            let mut client = Client::connect_from(from.addr(), to.addr());
            let answers = converse(case, &mut client);
            client.abort();
            answers
        }
    }
}

pub(crate) fn converse(case: &Case, client: &mut Client) -> Vec<Answer> {
    // A server may answer and close without reading it all.
    let _ = client.send(&case.bytes());
    let methods = case.methods();
    methods.iter().map(|method| Answer::new(client.try_read_response(method))).collect()
}

/// The packets of every connection so far.
pub(crate) fn packets(engine: &Engine) -> Vec<Vec<Vec<u8>>> {
    engine.seen().connections.iter().map(|connection| connection.packets.clone()).collect()
}

/// What `after` has and `before` had not.
pub(crate) fn newer(before: &[Vec<Vec<u8>>], after: Vec<Vec<Vec<u8>>>) -> Vec<Vec<u8>> {
    let known = |connection: usize| before.get(connection).map_or(0, Vec::len);
    after
        .into_iter()
        .enumerate()
        .flat_map(|(connection, packets)| packets.into_iter().skip(known(connection)))
        .collect()
}

/// What is wrong with ours.
pub(crate) fn judge(difference: Option<Difference>, theirs: &Seen, ours: &Seen) -> Vec<String> {
    let Some(difference) = difference else {
        return differences(theirs, ours);
    };
    let row = difference.row;
    if theirs == ours {
        return vec![format!("does not differ, so `{row}` of COMPAT.md is not true here")];
    }
    let expect = |sent: usize, status: u16, by_httpd: bool| {
        if ours.requests() == sent && ours.is_answered(status, by_httpd) {
            return Vec::new();
        }
        let mut problems = vec![format!("is not what `{row}` of COMPAT.md says ({status})")];
        problems.extend(differences(theirs, ours));
        problems
    };
    match difference.ours {
        Ours::Refused(status) => expect(0, status, true),
        Ours::Failed { sent, status } => expect(sent, status, true),
        Ours::Served(status) => expect(1, status, false),
        Ours::Changed(change) => {
            let mut expected = theirs.clone();
            change(&mut expected);
            differences(&expected, ours)
        }
    }
}

#[test]
fn every_kind_of_difference_is_found() {
    use super::case::get;
    use crate::support::client::NoResponse;
    let seen = |packet: &[u8], error: NoResponse| Seen {
        packets: vec![packet.to_vec()],
        answers: vec![Answer::None(error)],
        facts: Vec::new(),
    };
    let theirs = seen(b"abc", NoResponse::Closed);
    let case = get("/");
    assert_eq!(judge(case.difference, &theirs, &theirs.clone()), [""; 0]);
    for ours in [
        seen(b"abd", NoResponse::Closed),
        seen(b"abc", NoResponse::Reset),
        Seen { packets: Vec::new(), ..theirs.clone() },
        Seen { answers: Vec::new(), ..theirs.clone() },
        Seen { facts: vec!["more".into()], ..theirs.clone() },
    ] {
        assert_eq!(judge(case.difference, &theirs, &ours).len(), 1, "{ours:?}");
    }
    // A difference must be there, and be the one that is documented.
    let changed = get("/").differs("row", |seen| seen.packets[0][2] = b'd');
    assert_eq!(judge(changed.difference, &theirs, &theirs.clone()).len(), 1);
    assert_eq!(judge(changed.difference, &theirs, &seen(b"abd", NoResponse::Closed)), [""; 0]);
    assert_eq!(judge(changed.difference, &theirs, &seen(b"abe", NoResponse::Closed)).len(), 1);
    for case in [get("/").refused("row", 400), get("/").failed("row", 1, 502)] {
        assert!(!judge(case.difference, &theirs, &seen(b"abd", NoResponse::Closed)).is_empty());
    }
}
