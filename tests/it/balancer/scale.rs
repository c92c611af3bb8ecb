//! A balancer with a thousand members: it starts, serves, and takes little memory that all share.

use super::load::named;
use crate::support::client;
use crate::support::httpd::{Httpd, Module};

const MEMBERS: usize = 1_000;

/// Kibibytes of anonymous memory that a process shares with its children.
fn shared_kib(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("smaps");
    let mut kib = 0;
    let mut is_ours = false;
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [_, access, _, _, _, ref name @ ..] if access.len() == 4 => {
                is_ours = access.ends_with('s') && name.first() == Some(&"/dev/zero");
            }
            ["Size:", size, "kB"] if is_ours => kib += size.parse::<usize>().expect("a number"),
            _ => {}
        }
    }
    kib
}

fn start(members: usize, port: u16) -> Httpd {
    let names: Vec<String> = (0..members).map(|number| format!("m{number}")).collect();
    let workers: String = names
        .iter()
        .map(|name| format!("worker.{name}.host=127.0.0.1\nworker.{name}.port={port}\n"))
        .collect();
    Httpd::builder(Module::Ours)
        .size(8, 4)
        .workers(&format!(
            "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers={}\n{workers}",
            names.join(",")
        ))
        .mount("/*", "lb")
        .start()
}

#[test]
fn a_thousand_members() {
    let engines = named(&[0]);
    let few = shared_kib(start(1, engines[0].port()).pid());
    let httpd = start(MEMBERS, engines[0].port());
    let many = shared_kib(httpd.pid());
    assert!(many > few, "a record for each member: {few} KiB, {many} KiB");
    assert!(many < 1024, "{many} KiB are shared");
    for number in [0, 500, 999] {
        let answer = client::get(httpd.addr(), &format!("/x;jsessionid=1.m{number}"));
        assert_eq!(answer.text(), "a ");
    }
    let log = httpd.error_log() + &httpd.jk_log();
    assert!(!log.contains("[warn]") && !log.contains("[error]"), "{log}");
}
