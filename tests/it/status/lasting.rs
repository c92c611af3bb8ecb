//! How long changes last that were made by URL: over graceful restarts until the file says otherwise,
//! in all processes, and whatever happens to the one that made them.

use std::collections::BTreeMap;

use super::json::{self, Value};
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

/// Changes of state belong to members, not to places: they follow their member where the file moves
/// it, and go with it.
#[test]
fn recent_changes_follow_their_members_over_a_graceful_restart() {
    let engines = [engine(), engine(), engine(), engine()];
    let file = |members: &[(&str, usize)]| {
        let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        let mut text = format!(
            "worker.list=lb,st\nworker.st.type=status\nworker.lb.type=lb\n\
             worker.lb.balance_workers={}\n",
            names.join(",")
        );
        for (name, at) in members {
            let port = engines[*at].port();
            text += &format!("worker.{name}.host=127.0.0.1\nworker.{name}.port={port}\n");
        }
        text
    };
    let mut httpd = Httpd::builder(Module::Ours)
        .workers(&file(&[("a", 0), ("b", 1), ("c", 2), ("z", 3)]))
        .mount("/jk", "st")
        .mount("/x/*", "lb")
        .start();
    let changes = |httpd: &Httpd| -> Vec<[String; 5]> {
        let document = json::parse(&ask(httpd, "mime=json").text());
        let change = |change: &Value| {
            let text = |key| change.path(key).text().expect("a text").to_owned();
            let time = change.path("time").number().expect("a number").to_string();
            [text("member"), time, text("from"), text("to"), text("cause")]
        };
        document.path("changes").list().iter().map(change).collect()
    };
    // The last member that is sound would stay so.
    for engine in &engines[..3] {
        engine.refuse();
    }
    let fail = |httpd: &Httpd, members: &[&str]| {
        for member in members {
            let path = format!("/x/1;jsessionid=1.{member}");
            let status = request(httpd, "GET", &path, &[], b"");
            assert!([200, 503].contains(&status), "{status}");
        }
    };
    fail(&httpd, &["a", "b", "c"]);
    let before = changes(&httpd);
    for member in ["a", "b", "c"] {
        assert!(before.iter().any(|[name, ..]| name == member), "{member} in {before:?}");
    }
    let of_a: Vec<_> = before.iter().filter(|[name, ..]| name == "a").cloned().collect();

    // One comes before it, one goes, one has another name.
    let text = file(&[("n", 1), ("a", 0), ("d", 2), ("z", 3)]);
    std::fs::write(httpd.path("conf/workers.properties"), text).expect("written");
    httpd.graceful();
    assert!(eventually(DEADLINE, || ask(&httpd, "mime=prop").text().contains("worker.n.port=")));
    assert_eq!(changes(&httpd), of_a);
    // What is new is told beside it, of the right one.
    fail(&httpd, &["n", "d"]);
    let after = changes(&httpd);
    for member in ["n", "d"] {
        assert!(after.iter().any(|[name, ..]| name == member), "{member} in {after:?}");
    }
    assert!(after.ends_with(&of_a), "{after:?}");
    assert!(!after.iter().any(|[name, ..]| name == "b" || name == "c"), "{after:?}");
}

/// All values of a document by their paths.
fn flat(path: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                flat(&format!("{path}.{name}"), value, all);
            }
        }
        Value::List(values) => {
            for (at, value) in values.iter().enumerate() {
                flat(&format!("{path}.{at}"), value, all);
            }
        }
        other => {
            all.insert(path.to_owned(), format!("{other:?}"));
        }
    }
}

#[test]
fn one_setting_of_a_thousand_members_is_changed_and_no_other() {
    let [engine, other] = [engine(), engine()];
    let names: Vec<String> = (0..1000).map(|at| format!("m{at}")).collect();
    let mut workers = format!(
        "worker.list=lb,st\nworker.st.type=status\nworker.lb.type=lb\n\
         worker.lb.balance_workers={}\n",
        names.join(",")
    );
    for name in names {
        let port = engine.port();
        workers += &format!("worker.{name}.host=127.0.0.1\nworker.{name}.port={port}\n");
    }
    let httpd = Httpd::builder(Module::Ours)
        .workers(&workers)
        .mount("/jk", "st")
        .mount("/x/*", "lb")
        .start();
    // Without what the clock changes.
    let shown = || {
        let mut all = BTreeMap::new();
        flat("", &json::parse(&ask(&httpd, "mime=json").text()), &mut all);
        all.retain(|path, _| {
            !["time", "_ago", "_min", "_max"].iter().any(|part| path.contains(part))
        });
        all
    };
    let before = shown();
    assert!(before.len() > 20_000, "{}", before.len());
    update(&httpd, &format!("sw=m500&vaprt={}", other.port()));
    let after = shown();
    let changed: Vec<&str> = before
        .iter()
        .filter(|(path, value)| after.get(*path) != Some(*value))
        .map(|(path, _)| path.as_str())
        .collect();
    assert_eq!(changed, [".balancers.0.members.500.address", ".balancers.0.members.500.port"]);
    assert_eq!(before.len(), after.len());
    let get = |route: &str| {
        let path = format!("/x/1;jsessionid=1.{route}");
        assert_eq!(request(&httpd, "GET", &path, &[], b""), 200);
    };
    get("m500");
    assert_eq!((engine.accepted(), other.accepted()), (0, 1));
    get("m499");
    assert_eq!((engine.accepted(), other.accepted()), (1, 1));
}
