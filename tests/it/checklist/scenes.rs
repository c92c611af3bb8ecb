//! Scenes in which the order of events shows what a case does, never the time they take.

use super::case::Case;
use super::run::Variants;
use super::stage::Stage;
use crate::compliance::seen::{Answer, Seen};
use crate::support::client::Client;
use crate::support::engine::Action;
use crate::support::{Gate, packet, wait_until};

impl Stage<'_> {
    /// The engine holds all requests until one variant has its answer.
    pub(super) fn hold(
        &self,
        case: &Case,
        names: &[String],
        settles: usize,
        busy: bool,
    ) -> Variants {
        let gate = Gate::default();
        let (door, pong) = (gate.clone(), self.engines.pong.clone());
        let talk = case.questions().remove(0);
        self.engines.set(
            &talk
                .clone()
                .scripted(move |conn, request| {
                    conn.read_body(request)?;
                    door.pass();
                    conn.send(&packet::answer(200, &[], b"at last"))?;
                    Ok(Action::Keep)
                })
                .reply,
        );
        let ask = |name: &String| self.ask(case, &talk, name);
        let mut first: Vec<Client> = Vec::new();
        if busy {
            first = names.iter().map(ask).collect();
            for name in names {
                wait_until("the first request is at the engine", || {
                    !self.engines.connections_of(name).is_empty()
                });
            }
        }
        let mut clients: Vec<Client> = names.iter().map(ask).collect();
        let methods = talk.methods();
        let read = |client: &mut Client| Answer::new(client.try_read_response(methods[0]));
        let settled = read(&mut clients[settles]);
        gate.open();
        pong.open();
        let mut variants: Variants = clients
            .iter_mut()
            .enumerate()
            .map(|(at, client)| if at == settles { settled.clone() } else { read(client) })
            .map(|answer| Seen { answers: vec![answer], ..Seen::default() })
            .collect();
        for (seen, client) in variants.iter_mut().zip(&mut first) {
            seen.answers.push(read(client));
        }
        pong.close();
        variants
    }

    /// All variants are asked, and only the case as it stands gets an answer.
    pub(super) fn hang(&self, case: &Case, names: &[String]) -> Variants {
        let talk = case.questions().remove(0);
        let mut clients: Vec<Client> =
            names.iter().map(|name| self.ask(case, &talk, name)).collect();
        let answer = Answer::new(clients[0].try_read_response(talk.methods()[0]));
        let others = clients[1..].iter().map(|client| Seen {
            facts: vec![format!("waits: {}", client.is_silent())],
            ..Seen::default()
        });
        let first = Seen { answers: vec![answer], ..Seen::default() };
        std::iter::once(first).chain(others).collect()
    }

    /// The engine sends the beginning of its answer, and the rest once the case's client has it.
    pub(super) fn stream(&self, case: &Case, names: &[String], begin: fn() -> Vec<u8>) -> Variants {
        let gate = Gate::default();
        let door = gate.clone();
        let talk = case.questions().remove(0).scripted(move |conn, request| {
            conn.read_body(request)?;
            conn.send(&begin())?;
            door.pass();
            conn.send(&packet::end_response(true))?;
            Ok(Action::Keep)
        });
        self.engines.set(&talk.reply);
        let mut clients: Vec<Client> =
            names.iter().rev().map(|name| self.ask(case, &talk, name)).collect();
        clients.reverse();
        clients[0].wait_for_bytes().expect("the beginning of the answer");
        let silent: Vec<bool> = clients[1..].iter().map(Client::is_silent).collect();
        gate.open();
        let seen = clients.iter_mut().zip([false].iter().chain(&silent)).map(|(client, silent)| {
            let answer = Answer::new(client.try_read_response(talk.methods()[0]));
            let fact = format!("silent before the end: {silent}");
            Seen { answers: vec![answer], facts: vec![fact], ..Seen::default() }
        });
        seen.collect()
    }
}
