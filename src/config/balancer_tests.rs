//! Every property of a balancer and of its members: default, set, odd, and what is said of it.
#![forbid(unsafe_code)]

use super::*;
use crate::config::{Defaults, Problems, Properties, WorkerConfig, validate};

/// Balancer `l` of the members `m` and `n`, and what is said but for the 503 that it answers.
fn read(lines: &str) -> (BalancerConfig, Vec<String>, bool) {
    let base = "worker.list=l\nworker.l.type=lb\nworker.l.balance_workers=m,n\n\
        worker.m.port=1\nworker.n.port=2\n";
    let (mut properties, mut problems) = (Properties::new(), Problems::new());
    properties.read_text(format!("{base}{lines}").as_bytes(), "w", &|_| None, &mut problems);
    let mut workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
    let mut said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    said.retain(|problem| !problem.ends_with("; mount its members instead"));
    let WorkerConfig::Balancer(config) = workers.workers.remove(0) else { panic!() };
    (*config, said, problems.has_errors())
}

fn config(lines: &str) -> BalancerConfig {
    let (config, problems, _) = read(lines);
    assert_eq!(problems, [""; 0]);
    config
}

/// What is said of one more line, without its place.
#[track_caller]
fn warned(line: &str, expected: &[&str]) {
    let (_, problems, has_errors) = read(&format!("worker.{line}"));
    let begin = format!("w:6: worker.{}: ", line.split('=').next().unwrap_or_default());
    let said: Vec<&str> =
        problems.iter().map(|problem| problem.strip_prefix(&begin).unwrap_or(problem)).collect();
    assert_eq!(said, expected, "{line}");
    assert!(!has_errors, "{line}");
}

fn label(text: &str) -> Label {
    Label::new(text.as_bytes()).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn has_the_defaults_of_the_specification() {
    let config = config("");
    assert_eq!(config.method, BalanceMethod::Request);
    assert_eq!(config.lock, BalanceLock::Optimistic);
    assert_eq!((config.sticky_session, config.sticky_session_force), (true, false));
    assert_eq!(config.session_cookie, label("JSESSIONID"));
    assert_eq!(config.session_path, label(";jsessionid"));
    assert_eq!((config.set_session_cookie, config.session_cookie_path), (false, label("/")));
    assert_eq!(config.recover_time, 60 * SECOND);
    assert_eq!(config.error_escalation_time, 30 * SECOND);
    assert_eq!(config.max_reply_timeouts, Some(0));
    assert_eq!((config.lb_retries, config.retries), (2, 2));
    assert_eq!(config.retry_interval, Duration::from_millis(100));
    assert_eq!(config.secret, None);
    let [m, n] = &config.members[..] else { panic!("{:?}", config.members) };
    assert_eq!((m.worker.name.to_string(), n.worker.name.to_string()), ("m".into(), "n".into()));
    assert_eq!(m.worker.target, Target::Tcp { host: "localhost".to_string(), port: 1 });
    assert_eq!((&m.route, &m.domain, &m.redirect), (&label("m"), &label(""), &label("")));
    assert_eq!((m.distance, m.lbfactor, m.activation), (0, 1, Activation::Active));
}

#[test]
fn takes_over_what_is_set() {
    let config = config(
        "worker.l.method=Busyness\nworker.l.lock=Pessimistic\nworker.l.sticky_session=off\n\
         worker.l.sticky_session_force=on\nworker.l.session_cookie=SID\n\
         worker.l.session_path=;sid\nworker.l.set_session_cookie=on\n\
         worker.l.session_cookie_path=/app\nworker.l.recover_time=9\n\
         worker.l.max_reply_timeouts=3\nworker.l.lb_retries=4\nworker.l.retries=5\n\
         worker.l.retry_interval=70\nworker.l.secret=all\nworker.n.secret=own\n\
         worker.m.route=r.one\nworker.n.route=r.two\nworker.n.domain=d\nworker.n.redirect=r.one\n\
         worker.n.distance=-2\nworker.n.lbfactor=7\nworker.n.activation=Disabled",
    );
    assert_eq!(config.method, BalanceMethod::Busyness);
    assert_eq!(config.lock, BalanceLock::Pessimistic);
    assert_eq!((config.sticky_session, config.sticky_session_force), (false, true));
    assert_eq!(config.session_cookie, label("SID"));
    assert_eq!(config.session_path, label(";sid"));
    assert_eq!((config.set_session_cookie, config.session_cookie_path), (true, label("/app")));
    assert_eq!(config.recover_time, 9 * SECOND);
    assert_eq!(config.error_escalation_time, 4 * SECOND, "whole seconds");
    assert_eq!(config.max_reply_timeouts, Some(3));
    assert_eq!((config.lb_retries, config.retries), (4, 5));
    assert_eq!(config.retry_interval, Duration::from_millis(70));
    let [m, n] = &config.members[..] else { panic!("{:?}", config.members) };
    let secrets = [b"all", b"own"].map(|secret| Some(Secret::new(secret)));
    assert_eq!([m.worker.secret.clone(), n.worker.secret.clone()], secrets);
    assert_eq!((&m.route, &m.domain), (&label("r.one"), &label("r")));
    assert_eq!((&n.route, &n.domain, &n.redirect), (&label("r.two"), &label("d"), &m.route));
    assert_eq!((n.distance, n.lbfactor, n.activation), (-2, 7, Activation::Disabled));
}

#[test]
fn reads_words_by_their_first_letter() {
    for (value, expected, number) in [
        ("R", BalanceMethod::Request, "0"),
        ("traffic", BalanceMethod::Traffic, "1"),
        ("Busy", BalanceMethod::Busyness, "2"),
        ("s", BalanceMethod::Sessions, "3"),
        ("next", BalanceMethod::Next, "4"),
    ] {
        assert_eq!(config(&format!("worker.l.method={value}")).method, expected);
        assert_eq!(config(&format!("worker.l.method={number}")).method, expected);
    }
    for (value, expected) in
        [("0", Activation::Active), ("d", Activation::Disabled), ("2", Activation::Stopped)]
    {
        assert_eq!(config(&format!("worker.m.activation={value}")).members[0].activation, expected);
    }
    assert_eq!(config("worker.l.lock=1").lock, BalanceLock::Pessimistic);
    warned("l.method=Busines", &["\"Busines\" is read as Busyness; write Busyness"]);
    warned("m.activation=Dead", &["\"Dead\" is read as Disabled; write Disabled"]);
    warned(
        "l.method=Weight",
        &[
            "\"Weight\" is none of Request, Traffic, Busyness, Sessions, Next, Address, the default \
           is used; use one of them, or remove the line",
        ],
    );
    // To C mod_jk all that it does not know is Request.
    for value in ["A", "a", "addr", "Address", "ADDRESS"] {
        let read = config(&format!("worker.l.method={value}"));
        assert_eq!(read.method, BalanceMethod::Address, "{value}");
    }
    for value in ["5", "Auto", "Addresses", "Adress"] {
        let (read, said, _) = read(&format!("worker.l.method={value}"));
        assert_eq!((read.method, said.len()), (BalanceMethod::Request, 1), "{value}");
    }
    warned(
        "l.method=Adress",
        &[
            "\"Adress\" is none of Request, Traffic, Busyness, Sessions, Next, Address, the default \
           is used; did you mean Address?",
        ],
    );
    warned(
        "l.lock=5",
        &["\"5\" is none of Optimistic, Pessimistic, the default is used; use one of them, or \
           remove the line"],
    );
}

#[test]
fn reads_the_old_switches_of_a_member_as_c_mod_jk_does() {
    let activation = |lines: &str| read(lines).0.members[0].activation;
    assert_eq!(activation("worker.m.disabled=1"), Activation::Disabled);
    assert_eq!(activation("worker.m.disabled=1\nworker.m.stopped=on"), Activation::Stopped);
    assert_eq!(activation("worker.m.stopped=off"), Activation::Active);
    assert_eq!(activation("worker.m.stopped=1\nworker.m.activation=?"), Activation::Active);
    warned("m.stopped=1", &["is the old name of activation; write activation=Stopped instead"]);
    warned("m.disabled=1", &["is the old name of activation; write activation=Disabled instead"]);
    assert_eq!(read("worker.m.jvm_route=r").0.members[0].route, label("r"));
    let both = "worker.m.jvm_route=r\nworker.m.route=s";
    assert_eq!(read(both).0.members[0].route, label("s"));
    warned("m.jvm_route=r", &["is the old name of route; write route instead"]);
}

#[test]
fn warns_of_a_redirect_to_nobody() {
    assert_eq!(config("worker.m.redirect=n").members[0].redirect, label("n"));
    assert_eq!(config("worker.m.redirect=d\nworker.n.domain=d").members[0].redirect, label("d"));
    warned(
        "m.redirect=node3",
        &["l has no member with the route or domain node3; name the route or the domain of \
           another member"],
    );
    let (_, problems, _) = read("worker.n.route=node2\nworker.m.redirect=noed2");
    assert_eq!(
        problems,
        ["w:7: worker.m.redirect: l has no member with the route or domain noed2; did you mean \
          node2?"]
    );
}

#[test]
fn a_member_that_is_never_contacted_is_stopped() {
    for line in ["worker.m.port=0", "worker.m.host=ivy:8009"] {
        let (config, _, has_errors) = read(&format!("{line}\nworker.m.activation=Active"));
        assert_eq!(config.members[0].activation, Activation::Stopped);
        assert!(!has_errors);
    }
}

#[test]
fn reads_odd_numbers_as_c_does_and_says_so() {
    let one = "0 is read as 1; use at least 1";
    for line in ["l.lb_retries=0", "l.retries=0", "m.lbfactor=0"] {
        warned(line, &[one]);
    }
    warned("l.recover_time=0", &["less than 1 is read as 1; use at least 1"]);
    assert_eq!(read("worker.l.recover_time=0").0.recover_time, SECOND);
    assert_eq!(read("worker.l.recover_time=1").0.error_escalation_time, Duration::ZERO);
    warned(
        "l.max_reply_timeouts=-1",
        &["-1 is less than nothing: no number of reply timeouts is an error; use a whole number \
           such as 2"],
    );
    assert_eq!(read("worker.l.max_reply_timeouts=-1").0.max_reply_timeouts, None);
    warned(
        "l.recover_time=60000",
        &["60000 is read as 60000 seconds; write 60 if you mean milliseconds"],
    );
    let (config, problems, _) = read("worker.m.distance=1\nworker.m.distance=2");
    assert_eq!(config.members[0].distance, 1, "1*2");
    assert_eq!(problems.len(), 2);
    warned("l.session_path=sid", &["does not begin with ';', so no path has it; write ;sid"]);
}

#[test]
fn limits_the_length_of_names() {
    let redirect = |length| read(&format!("worker.n.redirect={}", "x".repeat(length))).2;
    assert_eq!((redirect(63), redirect(64)), (false, true));
    for property in ["m.route", "m.domain", "l.session_cookie", "l.session_cookie_path"] {
        let fits = format!("worker.{property}={}", "x".repeat(63));
        assert_eq!(read(&fits).1, [""; 0]);
        assert_eq!(
            read(&format!("{fits}x")).1,
            [format!(
                "w:6: worker.{property}: the value has 64 bytes, the limit is 63; use a shorter one"
            )]
        );
    }
    assert!(read(&format!("worker.l.session_path=;{}", "x".repeat(63))).2);
}

#[test]
fn takes_members_from_the_old_name_too() {
    let text = "worker.list=l\nworker.l.type=lb\nworker.l.balance_workers=,\n\
        worker.l.balanced_workers=m\nworker.m.port=1";
    let (mut properties, mut problems) = (Properties::new(), Problems::new());
    properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
    let workers = validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
    assert!(!problems.has_errors(), "{problems:?}");
    let WorkerConfig::Balancer(config) = &workers.workers[0] else { panic!() };
    assert_eq!(config.members.len(), 1);
}

#[test]
fn refuses_members_that_cannot_be() {
    let refused = |lines: &str| {
        let text = format!("worker.list=l\nworker.l.type=lb\n{lines}");
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
        assert!(problems.has_errors(), "{lines}");
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        said.into_iter().find(|problem| !problem.contains("get 503")).unwrap()
    };
    for (lines, expected) in [
        (
            "",
            "w:2: worker.l.type: a worker of type lb needs balance_workers, which is missing; name \
             its members, such as balance_workers=node1,node2",
        ),
        (
            "worker.l.balance_workers=,",
            "w:3: worker.l.balance_workers: names no member; name its members, such as \
             balance_workers=node1,node2",
        ),
        (
            "worker.l.balance_workers=s\nworker.s.type=status",
            "w:3: worker.l.balance_workers: s is a worker of type lb or status, which cannot be a \
             member; name workers of type ajp13",
        ),
        (
            "worker.l.balance_workers=l",
            "w:3: worker.l.balance_workers: l is a worker of type lb or status, which cannot be a \
             member; name workers of type ajp13",
        ),
        (
            "worker.l.balance_workers=m,n\nworker.m.port=1\nworker.n.route=m",
            "w:3: worker.l.balance_workers: m and n have the same route m; give each its own, the \
             jvmRoute of its engine",
        ),
        (
            "worker.l.balance_workers=m,m\nworker.m.port=1",
            "w:3: worker.l.balance_workers: m and m have the same route m; give each its own, the \
             jvmRoute of its engine",
        ),
        (
            "worker.l.balance_workers=m\nworker.m.type=ajp14",
            "w:4: worker.m.type: type \"ajp14\" is not supported; use type ajp13, which every \
             Tomcat speaks",
        ),
    ] {
        assert_eq!(refused(lines), expected);
    }
    let long = format!("worker.l.balance_workers={}", "x".repeat(64));
    assert!(refused(&long).contains("the name has 64 bytes, the limit is 63"));
}

#[test]
fn warns_of_members_without_properties_and_says_the_503_once() {
    let text = "worker.list=l\nworker.l.type=lb\nworker.l.balance_workers=node1,noed2,other\n\
        worker.node1.port=1\nworker.node2.port=2";
    let (mut properties, mut problems) = (Properties::new(), Problems::new());
    properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
    validate(&mut properties, &Defaults { pool_size: 25 }, &mut problems);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let bare = "which has no properties; it is type ajp13 at localhost, port 8009";
    assert_eq!(
        said,
        [
            "w:5: worker.node2: has properties but is not in worker.list, so it is not used; add \
             node2 to worker.list, or remove its properties"
                .to_string(),
            format!("w:3: worker.l.balance_workers: names noed2, {bare}; did you mean node2?"),
            format!(
                "w:3: worker.l.balance_workers: names other, {bare}; set worker.other.host and \
                 worker.other.port"
            ),
        ]
    );
}

#[test]
fn a_worker_in_several_places_is_read_once() {
    let (config, problems, _) = read(
        "worker.list=k,m\nworker.k.type=lb\nworker.k.balance_workers=m\nworker.k.secret=k\n\
         worker.m.retries=0",
    );
    assert_eq!(problems, ["w:10: worker.m.retries: 0 is read as 1; use at least 1"]);
    assert_eq!(config.members[0].worker.secret, None, "the other balancer's");
}
