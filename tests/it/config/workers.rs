//! Where workers come from: the workers file, JkWorkerProperty, both, or neither.

use super::{accepted, said, with};
use crate::support::client;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::Attr;
use crate::support::{Endpoint, ReservedPort};

fn port(engine: &Engine) -> u16 {
    let Endpoint::Tcp(addr) = engine.endpoint() else { panic!("not TCP") };
    addr.port()
}

#[test]
fn jk_worker_property_alone_makes_a_worker() {
    let engine = Engine::recording().start();
    let httpd = with(&format!(
        "JkWorkerProperty worker.list=w\nJkWorkerProperty worker.w.type=ajp13\n\
         JkWorkerProperty worker.w.host = 127.0.0.1\nJkWorkerProperty my.port={}\n\
         JkWorkerProperty worker.w.port=$(my.port)\nJkMount /* w",
        port(&engine)
    ))
    .start();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "/x");
}

#[test]
fn a_directive_has_no_comments() {
    accepted(
        with(
            "JkWorkerProperty worker.list=w\nJkWorkerProperty worker.w.host=localhost\n\
             JkWorkerProperty worker.w.port=8009 # not one\n\
             JkWorkerProperty worker.w.secret=a#b",
        ),
        &[
            "warning: conf/test.conf:3: worker.w.port: the value goes on behind '#', which begins \
             no comment here; put the comment on a line of its own",
            "warning: conf/test.conf:3: worker.w.port: \"8009 # not one\" is not a port number, it \
             is read as 8009; use a number from 1 to 65535",
        ],
    );
    let engine = Engine::recording().start();
    let httpd = with(&format!(
        "JkWorkerProperty worker.list=w\nJkWorkerProperty worker.w.host=127.0.0.1\n\
         JkWorkerProperty worker.w.port={}\nJkWorkerProperty worker.w.secret=a#b\nJkMount /* w",
        port(&engine)
    ))
    .start();
    assert_eq!(client::get(httpd.addr(), "/x").status(), 200);
    let requests = engine.requests();
    assert!(requests[0].attributes.contains(&Attr::Secret(Some("a#b".into()))), "{requests:?}");
}

#[test]
fn the_effective_configuration_is_logged_at_debug() {
    let properties = "worker.list=w,lb\nworker.w.port=1\nworker.w.secret=hush\n\
        worker.w.ping_mode=CP\nworker.lb.type=lb\nworker.lb.balance_workers=m\n\
        worker.lb.method=B\nworker.m.port=2\nworker.m.lbfactor=3";
    for (level, is_shown) in [("debug", true), ("info", false)] {
        let httpd =
            with(&format!("JkLogFile logs/jk.log\nJkLogLevel {level}")).workers(properties).start();
        let log = std::fs::read_to_string(httpd.path("logs/jk.log")).expect("the log");
        for said in [
            "(w) config: type=ajp13; host=localhost; port=1; ",
            "; secret=set; ",
            "; ping_mode=CP; ",
            "(lb) config: type=lb; balance_workers=m; method=Busyness; ",
            "(lb) config: member=m (route=m domain= redirect= distance=0 lbfactor=3 ",
        ] {
            assert_eq!(log.contains(said), is_shown, "{said} in\n{log}");
        }
        assert!(!log.contains("hush"), "{log}");
        assert!(!log.lines().any(|line| line.ends_with("...")), "a line is cut:\n{log}");
    }
}

#[test]
fn every_host_without_address_is_named_once() {
    // No resolver asks the net for a name with an empty label.
    let properties = "worker.list=w,v,lb,lb2\nworker.w.host=nowhere..invalid\n\
        worker.v.host=nowhere..invalid\nworker.lb.type=lb\nworker.lb.balance_workers=m,off\n\
        worker.lb2.type=lb\nworker.lb2.balance_workers=m\nworker.m.host=nowhere..invalid\n\
        worker.off.host=nowhere..invalid\nworker.off.port=0";
    let result = with("").workers(properties).config_test();
    let told = said(&result);
    let told: Vec<_> = told
        .iter()
        .filter_map(|line| line.split_once(": \"nowhere..invalid\" cannot be resolved now ("))
        .map(|(place, rest)| (place, rest.rsplit_once("): ").map(|(_, effect)| effect)))
        .collect();
    let remedy = "correct the name, or make it known to this host";
    let requests = format!("requests get 503 until it can; {remedy}");
    let member = format!("its balancer does without this member until it can; {remedy}");
    assert_eq!(
        told,
        [
            ("warning: conf/workers.properties:2: worker.w.host", Some(requests.as_str())),
            ("warning: conf/workers.properties:3: worker.v.host", Some(requests.as_str())),
            ("warning: conf/workers.properties:8: worker.m.host", Some(member.as_str())),
        ],
        "{}",
        result.output
    );
    assert!(result.status.success(), "{}", result.output);
}

#[test]
fn a_template_makes_workers() {
    let engine = Engine::recording().start();
    let httpd = with("JkMount /x w")
        .workers(&format!(
            "worker.list=w\nworker.w.reference=worker.base\nworker.base.host=127.0.0.1\n\
             worker.base.reference=common\ncommon.port={}\ncommon.secret=hush",
            port(&engine)
        ))
        .start();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "/x");
    let requests = engine.requests();
    assert!(requests[0].attributes.contains(&Attr::Secret(Some("hush".into()))), "{requests:?}");
}

#[test]
fn file_and_directives_are_merged_and_the_file_wins() {
    let engine = Engine::recording().start();
    let dead = ReservedPort::v4();
    let directives = format!(
        "JkWorkerProperty worker.list=w\nJkWorkerProperty worker.w.host=127.0.0.1\n\
         JkWorkerProperty worker.w.port={}\nJkWorkerProperty worker.w.secret=hush\n\
         JkMount /w w\nJkMount /v v",
        dead.port()
    );
    let both = || {
        with(&directives).workers(&format!(
            "worker.list=v\nworker.w.port={0}\nworker.v.host=127.0.0.1\nworker.v.port={0}",
            port(&engine)
        ))
    };
    accepted(
        both(),
        &[
            "warning: conf/workers.properties:2: worker.w.port: is set again after conf/test.conf:3, \
           the last value is used; keep one of the lines",
        ],
    );
    let httpd = both().start();
    assert_eq!(client::get(httpd.addr(), "/w").text(), "/w");
    assert_eq!(client::get(httpd.addr(), "/v").text(), "/v", "the lists are joined");
    let requests = engine.requests();
    let is_secret = |attr: &Attr| *attr == Attr::Secret(Some("hush".into()));
    let known: Vec<bool> =
        requests.iter().map(|request| request.attributes.iter().any(is_secret)).collect();
    assert_eq!(known, [true, false], "only its worker gets the secret");
}

#[test]
fn without_a_list_there_is_the_worker_ajp13() {
    accepted(with("JkMount /x ajp13"), &[]);
    accepted(
        with("JkMount /x nobody"),
        &["warning: conf/test.conf:1: JkMount: worker nobody is not in worker.list: requests for \
           this path get status 500; add nobody to worker.list, which names ajp13"],
    );
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .workers(&format!("worker.ajp13.host=127.0.0.1\nworker.ajp13.port={}", port(&engine)))
        .mount("/*", "ajp13")
        .start();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "/x");
}

#[test]
fn server_root_is_known_in_the_file() {
    use crate::support::{temp_dir, wait_until};
    let dir = temp_dir("jk-root-");
    let engine = Engine::recording().unix(dir.path().join("ajp.sock")).start();
    let httpd = Httpd::builder(Module::Ours)
        .workers("worker.list=w\nworker.w.socket=$(ServerRoot)/run/ajp.sock")
        .mount("/*", "w")
        .start();
    assert_eq!(client::get(httpd.addr(), "/before").status(), 503);
    std::os::unix::fs::symlink(dir.path().join("ajp.sock"), httpd.path("run/ajp.sock"))
        .expect("a link");
    wait_until("the engine answers", || client::get(httpd.addr(), "/x").text() == "/x");
    drop(engine);
}

#[test]
fn a_workers_file_of_the_c_module_s_habits_loads() {
    let engine = Engine::recording().start();
    let httpd = with("JkMount /x a.b")
        .workers(&format!(
            "# comment\r\n\r\n  worker.list = a.b , c # another\r\nworker.list=d\r\n\
             worker.a.b.type=ajp13\r\nworker.a.b.host=127.0.0.1\r\nworker.a.b.port={}\r\n\
             worker.c.host=localhost\r\nworker.d.port=1\r\nps=/\r\n\
             workers.tomcat_home=/opt/tomcat\r\nworkers.java_home=/usr/lib/jvm\r\n",
            port(&engine)
        ))
        .start();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "/x");
}
