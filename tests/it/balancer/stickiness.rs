//! Sessions stay where they are, whichever process gets a request and however the client says which
//! session it is.

use std::collections::HashMap;

use super::load::{all_processes_served, ask_all, count, processes};
use crate::support::engine::{Action, Engine};
use crate::support::packet;
use crate::support::random::Random;

const SESSIONS: usize = 500;

/// Names of engines in Axon Ivy clusters are those of hosts.
const ROUTES: [&str; 3] = ["ivynode1.example.ch", "ivynode2.example.ch", "ivynode10.example.ch"];

/// A request of a session in one of the ways in which a client may name it: target and cookies.
fn request_of(id: &str, way: usize) -> (String, String) {
    match way {
        0 => ("/app/x".into(), format!("JSESSIONID={id}")),
        1 => (format!("/app/x;jsessionid={id}"), String::new()),
        // Of an application that is not here, one that was forgotten, and a blank one.
        2 => ("/app/x".into(), format!("JSESSIONID=7.gone; a=b; JSESSIONID=8; JSESSIONID={id}")),
        3 => ("/app/x".into(), format!("a=\".{}\"; JSESSIONID=\"{id}\"; z", ROUTES[0])),
        // What is in the path counts.
        4 => (format!("/app/x;jsessionid={id}?y"), format!("JSESSIONID=1.{}", ROUTES[1])),
        _ => (format!("/app;jsessionid={id};v=1/x"), "other=1".into()),
    }
}

#[test]
fn every_request_of_a_session_goes_to_its_engine() {
    let engines: Vec<Engine> = ROUTES
        .iter()
        .map(|route| {
            let answer = packet::answer(200, &[], route.as_bytes());
            Engine::answering(answer, Action::Keep).start()
        })
        .collect();
    let mut workers = String::from(
        "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=m0,m1,m2\n\
         worker.m0.lbfactor=3\n",
    );
    for (number, (engine, route)) in engines.iter().zip(ROUTES).enumerate() {
        workers += &engine.worker(&format!("m{number}"));
        workers += &format!("worker.m{number}.route={route}\n");
    }
    let httpd = processes().workers(&workers).mount("/*", "lb").start();
    let mut random = Random::new(500);
    // Whoever answers the first request has the session.
    let first: Vec<_> = (0..SESSIONS).map(|_| ("/app/x".to_owned(), String::new())).collect();
    let ids: Vec<String> = ask_all(&httpd, &first)
        .iter()
        .enumerate()
        .map(|(number, answer)| format!("{number:04X}.{}", answer.text()))
        .collect();
    let mut homes: HashMap<&str, usize> = HashMap::new();
    for id in &ids {
        *homes.entry(id.split_once('.').expect("a route").1).or_default() += 1;
    }
    assert_eq!(homes.len(), ROUTES.len(), "{homes:?}");

    let all = count(10_000, 2_000);
    let mut asked: Vec<&String> = (0..all).map(|number| &ids[number % SESSIONS]).collect();
    random.shuffle(&mut asked);
    let targets: Vec<_> = asked.iter().map(|id| request_of(id, random.below(6))).collect();
    let answers = ask_all(&httpd, &targets);
    let strays: Vec<String> = answers
        .iter()
        .zip(&asked)
        .zip(&targets)
        .filter(|((answer, id), _)| !id.ends_with(&format!(".{}", answer.text())))
        .map(|((answer, id), target)| format!("{id} {target:?}: {}", answer.text()))
        .collect();
    assert!(strays.is_empty(), "{} of {all}: {:?}", strays.len(), &strays[..strays.len().min(5)]);
    all_processes_served(&httpd, all + SESSIONS);
}
