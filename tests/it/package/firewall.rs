//! The rules of misc/doc/exclusive-access.md, in networks and directories of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use super::docs::{Block, tested_by};
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};
use crate::support::namespace::Network;
use crate::support::packet;
use crate::support::process::output;
use crate::support::temp_dir;

const DOCUMENT: &str = "misc/doc/exclusive-access.md";

/// The one block whose text has `part`.
#[track_caller]
fn block(test: &str, part: &str) -> String {
    let blocks = tested_by(DOCUMENT, &format!("package::firewall::{test}"));
    let found: Vec<Block> = blocks.into_iter().filter(|block| block.text.contains(part)).collect();
    assert_eq!(found.len(), 1, "{part}: {found:?}");
    found[0].text.clone()
}

/// Three hosts: the front end and another one, each with a cable to the engine's.
#[test]
fn only_the_front_end_reaches_the_engine() {
    let test = "only_the_front_end_reaches_the_engine";
    let (rules, load) = (block(test, "table inet"), block(test, "nft -f"));
    let check = block(test, "/dev/tcp");
    let (engine, front, other) = (Network::new(), Network::new(), Network::new());
    engine.connect("192.0.2.20", &front, "192.0.2.10");
    engine.connect("192.0.2.20", &other, "192.0.2.30");
    let everywhere = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let (_ajp, http) = engine.inside(|| {
        let http = TcpListener::bind(everywhere(8080)).expect("a port");
        (Engine::recording().at(everywhere(8009)).start(), http)
    });
    let reaches = |from: &Network, port: u16| {
        let check = check.replace("8009", &port.to_string());
        let run = || Command::new("sh").arg("-c").arg(&check).output().expect("sh");
        from.inside(run).status.success()
    };
    // An engine that is open to others is told of at the start.
    let yaml = "Connector.AJP.Address: 192.0.2.20\n";
    let warned = Httpd::builder(Module::Ours)
        .file("ivy/configuration/ivy.yaml", yaml)
        .config("JkIvyEngine ivy")
        .config_test();
    let expected = "no secret: whoever reaches it can claim to be any user";
    assert!(warned.output.contains(expected), "{}", warned.output);
    // Without the rules everybody gets through: this check can fail.
    assert!(reaches(&front, 8009) && reaches(&other, 8009) && reaches(&other, 8080));

    let dir = temp_dir("jk-nft-");
    let file = dir.path().join("ivy.nft");
    std::fs::write(&file, rules).expect("write");
    let file = file.display().to_string();
    assert!(load.contains("/etc/nftables.d/ivy.nft"), "{load}");
    engine.run(&load.replace("/etc/nftables.d/ivy.nft", &file));
    assert!(reaches(&front, 8009), "the front end is shut out");
    assert!(!reaches(&other, 8009) && !reaches(&other, 8080), "another host gets in");
    assert!(!reaches(&front, 8080), "the front end needs no HTTP");
    assert!(reaches(&engine, 8009) && reaches(&engine, 8080), "the engine's host itself");
    drop(http);

    // It is AJP that gets through.
    front.inside(|| {
        let mut stream = std::net::TcpStream::connect("192.0.2.20:8009").expect("a connection");
        stream.write_all(&[0x12, 0x34, 0, 1, 10]).expect("a ping");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[..], packet::cpong());
    });
}

#[test]
fn only_root_reads_the_secret() {
    let block = block("only_root_reads_the_secret", "chmod");
    let httpd = Httpd::builder(Module::Ours).workers("worker.list=a\nworker.a.secret=hush").start();
    let file = httpd.path("conf/workers.properties");
    output(
        Command::new("sh")
            .arg("-ec")
            .arg(block.replace("/etc/apache2/workers.properties", &file.display().to_string())),
    );
    let mode = file.metadata().expect("it").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = Command::new("setpriv")
        .args(["--reuid=www-data", "--regid=www-data", "--clear-groups", "cat"])
        .arg(&file)
        .output()
        .expect("setpriv");
    assert!(!read.status.success());
    // httpd itself still can.
    assert!(httpd.config_test().status.success());
}

#[test]
fn the_socket_is_for_httpd_only() {
    let block = block("the_socket_is_for_httpd_only", "install -d");
    let dir = temp_dir("jk-run-");
    let run = dir.path().join("ivy");
    // A user that every system has stands for the engine's.
    let command =
        block.replace("-o ivy", "-o daemon").replace("/run/ivy", &run.display().to_string());
    output(Command::new("sh").arg("-ec").arg(command));
    let socket = run.join("ajp.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    // unixDomainSocketPathPermissions="rw-rw----"
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660)).expect("chmod");
    output(Command::new("chown").arg("daemon").arg(&socket));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        }
    });
    let connects = |user: &str, group: &str| {
        let status = Command::new("setpriv")
            .args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"])
            .args(["curl", "-q", "-s", "--max-time", "20", "http://engine/", "--unix-socket"])
            .arg(&socket)
            .status();
        // 7 is curl's word for "no connection".
        match status.expect("setpriv").code() {
            Some(0) => true,
            Some(7) => false,
            other => panic!("curl ended with {other:?}"),
        }
    };
    assert!(connects("www-data", "www-data"), "httpd's user is shut out");
    assert!(connects("daemon", "daemon"), "the engine's user is shut out");
    assert!(!connects("nobody", "nogroup"), "another user gets in");
}
