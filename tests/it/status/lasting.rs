//! How long changes last that were made by URL: over graceful restarts until the file says otherwise,
//! in all processes, and whatever happens to the one that made them.

use super::{ask, engine, request};
use crate::support::client::Client;
use crate::support::httpd::{Httpd, Module};
use crate::support::process::{self, Target};
use crate::support::{DEADLINE, eventually};

fn workers(ports: [u16; 2], host: &str, members: &str, more: &str) -> String {
    let [a, b] = ports;
    format!(
        "worker.list=lb,st\nworker.st.type=status\nworker.lb.type=lb\n\
         worker.lb.balance_workers={members}\nworker.a.host={host}\nworker.a.port={a}\n\
         worker.b.host=127.0.0.1\nworker.b.port={b}\n{more}"
    )
}

/// What a process says of a member: activation, factor, host.
fn settings(text: &str, member: &str) -> [String; 3] {
    ["activation", "lbfactor", "host"].map(|key| {
        let begin = format!("worker.{member}.{key}=");
        let line = text.lines().find_map(|line| line.strip_prefix(&begin));
        line.unwrap_or("gone").to_owned()
    })
}

fn update(httpd: &Httpd, query: &str) {
    let answer = ask(httpd, &format!("cmd=update&mime=txt&w=lb&{query}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

#[test]
fn a_change_by_url_lasts_until_the_file_says_otherwise() {
    let engines = [engine(), engine()];
    let ports = [engines[0].port(), engines[1].port()];
    let file = |host: &str, members: &str, more: &str| workers(ports, host, members, more);
    let mut httpd = Httpd::builder(Module::Ours)
        .size(4, 2)
        .workers(&file("127.0.0.1", "a,b", ""))
        .mount("/jk", "st")
        .mount("/x/*", "lb")
        .start();
    let shown = |httpd: &Httpd, member| {
        settings(&ask(httpd, "cmd=show&w=lb&mime=prop&opt=2").text(), member)
    };
    // For a moment a child of the generation before may answer.
    let becomes = |httpd: &Httpd, member, expected: [&str; 3]| {
        eventually(DEADLINE, || shown(httpd, member) == expected);
        assert_eq!(shown(httpd, member), expected);
    };
    let rewrite = |httpd: &Httpd, text: &str| {
        std::fs::write(httpd.path("conf/workers.properties"), text).expect("written");
    };
    update(&httpd, "sw=a&vwf=5&vwa=D&vahst=localhost");
    update(&httpd, "sw=b&vwf=6");
    // Connections of their own spread over the processes.
    for _ in 0..12 {
        assert_eq!(shown(&httpd, "a"), ["DIS", "5", "localhost"]);
    }
    httpd.graceful();
    for _ in 0..12 {
        assert_eq!(shown(&httpd, "a"), ["DIS", "5", "localhost"]);
        assert_eq!(shown(&httpd, "b"), ["ACT", "6", "127.0.0.1"]);
    }

    rewrite(&httpd, &file("127.0.0.1", "a,b", "worker.a.lbfactor=3"));
    httpd.graceful();
    becomes(&httpd, "a", ["DIS", "3", "localhost"]);
    let told = "(lb) edit_overruled: a setting that was changed at run time has a new value in the \
                file, which counts from now on; member=a key=lbfactor edit=\"5\" file_before=\"1\" \
                file_now=\"3\"";
    assert!(httpd.jk_log().contains(told), "{}", httpd.jk_log());

    let page = ask(&httpd, "cmd=edit&w=lb").text();
    let token = page.split("name=\"token\" value=\"").nth(1).expect("a token");
    let form = format!("cmd=update&w=lb&vlr=4&token={}", token.split('"').next().expect("its end"));
    rewrite(&httpd, &file("127.0.0.1", "a", "worker.a.lbfactor=3"));
    httpd.graceful();
    becomes(&httpd, "a", ["DIS", "3", "localhost"]);
    becomes(&httpd, "b", ["gone"; 3]);
    // A form that was open meanwhile can still be sent.
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(request(&httpd, "POST", "/jk", &kind, form.as_bytes()), 200);
    // Nobody remembers what was changed for a member that was not there.
    rewrite(&httpd, &file("127.0.0.2", "a,b", "worker.a.lbfactor=3"));
    httpd.graceful();
    becomes(&httpd, "b", ["ACT", "1", "127.0.0.1"]);
    becomes(&httpd, "a", ["ACT", "3", "127.0.0.2"]);
    let log = httpd.jk_log();
    assert!(log.contains("(lb) edit_ended: ") && log.contains("; member=a key=activation edit="));
}

#[test]
fn many_change_at_once_and_one_is_killed() {
    let engines = [engine(), engine()];
    let ports = [engines[0].port(), engines[1].port()];
    let httpd = Httpd::builder(Module::Ours)
        .size(4, 4)
        .workers(&workers(ports, "127.0.0.1", "a,b", ""))
        .mount("/jk", "st")
        .mount("/x/*", "lb")
        .start();
    let child = httpd.child_pids()[0];
    std::thread::scope(|scope| {
        for at in 0..8 {
            let (addr, member) = (httpd.addr(), ["a", "b"][at % 2]);
            scope.spawn(move || {
                for n in 0..12 {
                    let target = format!("/jk?cmd=update&w=lb&sw={member}&mime=txt&vwf={}", n + 2);
                    let text = format!("GET {target} HTTP/1.0\r\n\r\n");
                    let mut client = Client::connect(addr);
                    let _ = client.send(text.as_bytes());
                    let _ = client.try_read_response("GET");
                }
            });
        }
        assert!(process::signal(Target::Process(child), libc::SIGKILL));
    });
    let all_say = |factor: &str| {
        (0..8).all(|_| {
            let text = ask(&httpd, "cmd=show&w=lb&mime=prop&opt=2").text();
            ["a", "b"].iter().all(|member| settings(&text, member)[1] == factor)
        })
    };
    update(&httpd, "sw=*&vwf=77");
    assert!(all_say("77"));
    update(&httpd, "sw=*&vwf=78");
    assert!(all_say("78"));
}
