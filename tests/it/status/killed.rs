//! What a killed process had open does not stay counted.

use super::{ask, json};
use crate::support::client::{self, Client};
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::process::{self, Target};
use crate::support::wait_until;

#[test]
fn connections_of_a_killed_process_do_not_stay_counted() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .mpm(Mpm::Prefork)
        .size(3, 1)
        .workers(&format!(
            "worker.list=one,st\nworker.maintain=1\nworker.st.type=status\n{}",
            engine.worker("one")
        ))
        .mount("/jk", "st")
        .mount("/one/*", "one")
        .start();
    let connected = || {
        let document = json::parse(&ask(&httpd, "mime=json").text());
        document.path("ajp_workers.0.connected").number().expect("a number") as usize
    };
    let open = || engine.seen().open;
    // Clients that stay keep their processes apart.
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(httpd.addr());
        assert_eq!(client.get("/one/x").status(), 200);
        clients.push(client);
    }
    wait_until("two processes have connections", || open() == 2 && connected() == 2);
    let of_engine = engine.seen().connections[0].peer.expect("TCP").port();
    let owner = httpd
        .child_pids()
        .into_iter()
        .find(|pid| has_port(*pid, of_engine))
        .expect("a process that has the connection");
    assert!(process::signal(Target::Process(owner), libc::SIGKILL));
    wait_until("the engine sees its connection end", || open() == 1);
    wait_until("what is counted is what is open", || connected() == open());
    assert!(httpd.jk_log().contains("(one) connected_repaired: "));
    drop(clients);
    assert_eq!(client::get(httpd.addr(), "/one/x").status(), 200);
    wait_until("and stays so", || connected() == open());
}

/// Whether a process has a TCP socket with this local port.
fn has_port(pid: u32, port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the sockets");
    let inodes: Vec<String> = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let local = u16::from_str_radix(words[1].rsplit(':').next()?, 16).ok()?;
            (local == port).then(|| format!("socket:[{}]", words[9]))
        })
        .collect();
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let mut links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    links.any(|link| inodes.iter().any(|inode| link.as_os_str() == inode.as_str()))
}
