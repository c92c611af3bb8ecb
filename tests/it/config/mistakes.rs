//! What is wrong is named with file, line, key, mistake and remedy; all of it at once.

use super::{accepted, refused, said, with};
use crate::support::client;
use crate::support::engine::Engine;

/// A balancer with a member, a status worker, a template, and a worker of its own. The lines, and the
/// place of the type that answers 503.
const ALL_TYPES: &str = "\
worker.list=w,lb,st
worker.w.host=localhost
worker.lb.type=lb
worker.lb.balance_workers=m
worker.m.host=localhost
worker.st.type=status
template.port=8009
";

/// The 60 properties of C mod_jk and ours, each on a worker of its type with a value that nothing is wrong with,
/// but for those that [`ALL_TYPES`] has, and for secretkey.
const LIVE: [&str; 59] = [
    "worker.maintain=30",
    "worker.lb.error_escalation_time=10",
    "worker.lb.lb_retries=3",
    "worker.lb.lock=Pessimistic",
    "worker.lb.max_reply_timeouts=2",
    "worker.lb.method=Busyness",
    "worker.lb.recover_time=30",
    "worker.lb.retries=3",
    "worker.lb.session_cookie=SID",
    "worker.lb.session_cookie_path=/app",
    "worker.lb.session_path=;sid",
    "worker.lb.set_session_cookie=on",
    "worker.lb.slow_start=60",
    "worker.lb.sticky_session=off",
    "worker.lb.sticky_session_force=on",
    "worker.m.activation=Disabled",
    "worker.m.distance=1",
    "worker.m.domain=d",
    "worker.m.lbfactor=2",
    "worker.m.redirect=d",
    "worker.m.route=r1",
    "worker.st.bad=e",
    "worker.st.css=/s.css",
    "worker.st.doctype=<!DOCTYPE x>",
    "worker.st.good=o",
    "worker.st.ns=x:",
    "worker.st.prefix=p",
    "worker.st.read_only=on",
    "worker.st.user=admin",
    "worker.st.user_case_insensitive=on",
    "worker.st.xmlns=-",
    "worker.w.busy_limit=100",
    "worker.w.connect_timeout=5000",
    "worker.w.connection_acquire_timeout=500",
    "worker.w.connection_ping_interval=30",
    "worker.w.connection_pool_minsize=0",
    "worker.w.connection_pool_size=1000",
    "worker.w.connection_pool_timeout=600",
    "worker.w.fail_on_status=500,-503",
    "worker.w.max_packet_size=65536",
    "worker.w.mount=/w /w/*",
    "worker.w.ping_mode=A",
    "worker.w.ping_timeout=2000",
    "worker.w.prefer_ipv6=on",
    "worker.w.prepost_timeout=3000",
    "worker.w.recovery_options=3",
    "worker.w.reference=template",
    "worker.w.reply_timeout=60000",
    "worker.w.retry_interval=50",
    "worker.w.secret=topsecret",
    "worker.w.socket_buffer=65536",
    "worker.w.socket_connect_timeout=2000",
    "worker.w.socket_keepalive=on",
    "worker.w.socket_timeout=300",
    "worker.w.source=127.0.0.1",
    "worker.w.type=ajp13",
    "worker.w.dns_ttl=30",
    "worker.w.health_check_interval=30",
    "worker.w.max_inflight=100",
];

/// Old names, with what to write today; nothing for those that never have an effect.
const OLD: [(&str, &str); 20] = [
    ("worker.lb.balanced_workers=m", "balance_workers"),
    ("worker.m.bridge=x", ""),
    ("worker.m.cache_timeout=5", "connection_pool_timeout"),
    ("worker.m.cachesize=1000", "connection_pool_size"),
    ("worker.m.class_path=x", ""),
    ("worker.m.cmd_line=x", ""),
    ("worker.m.disabled=0", "activation"),
    ("worker.m.jvm_lib=x", ""),
    ("worker.m.jvm_route=r1", "route"),
    ("worker.m.ld_path=x", ""),
    ("worker.m.local_worker=1", ""),
    ("worker.m.local_worker_only=1", ""),
    ("worker.m.ms=1", ""),
    ("worker.m.mx=1", ""),
    ("worker.m.native_lib=x", ""),
    ("worker.m.recycle_timeout=1", ""),
    ("worker.m.stderr=x", ""),
    ("worker.m.stdout=x", ""),
    ("worker.m.stopped=0", "activation"),
    ("worker.m.sysprops=x", ""),
];

#[test]
fn the_lists_have_every_property() {
    use mod_jk::config::keys::{KEYS, Status};
    let name = |line: &str| {
        let key = line.split('=').next().unwrap_or_default();
        key.rsplit('.').next().unwrap_or_default().to_owned()
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names.dedup();
        names
    };
    let named = |wanted: &dyn Fn(Status) -> bool| -> Vec<String> {
        let keys = KEYS.iter().filter(|key| wanted(key.status));
        keys.map(|key| key.name.to_owned()).filter(|name| name != "socket").collect()
    };
    let others = ALL_TYPES.lines().map(name).chain(["secretkey".to_owned()]);
    let live = LIVE.iter().map(|line| name(line)).chain(others).collect();
    assert_eq!(sorted(live), named(&|status| status == Status::Supported));
    let old = OLD.iter().map(|(line, _)| name(line)).collect();
    assert_eq!(sorted(old), named(&|status| status != Status::Supported));
}

#[test]
fn every_property_is_accepted() {
    let lines = LIVE.join("\n");
    accepted(with("").workers(&format!("{ALL_TYPES}{lines}")), &[]);
    let text = format!("{ALL_TYPES}worker.w.secretkey=topsecret");
    let result = with("").workers(&text).config_test();
    let expected = "warning: conf/workers.properties:8: worker.w.secretkey: has no effect on a \
                    worker of type ajp13; use secret, which type ajp13 has instead";
    let mut said = said(&result);
    assert_eq!(said.pop().as_deref(), Some(expected));
    assert_eq!(said, [""; 0]);
    assert!(result.status.success() && !result.output.contains("topsecret"), "{}", result.output);
}

#[test]
fn every_old_name_is_accepted_and_named() {
    let lines: Vec<&str> = OLD.iter().map(|(line, _)| *line).collect();
    let places = (8..).zip(OLD).map(|(place, (line, today))| {
        let (key, value) = line.split_once('=').expect("a property");
        let said = match (key, today) {
            ("worker.lb.balanced_workers", _) => {
                "is the old name of balance_workers, which is set too and goes first; remove the \
                 line"
                    .to_owned()
            }
            ("worker.m.disabled", _) => {
                "is the old name of activation; write activation=Disabled instead".to_owned()
            }
            ("worker.m.stopped", _) => {
                "is the old name of activation; write activation=Stopped instead".to_owned()
            }
            (_, "") => "never has an effect; remove the line".to_owned(),
            (_, today) => format!("is the old name of {today}; write {today} instead"),
        };
        assert!(!value.is_empty());
        format!("warning: conf/workers.properties:{place}: {key}: {said}")
    });
    let expected: Vec<String> = places.collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    accepted(with("").workers(&format!("{ALL_TYPES}{}", lines.join("\n"))), &expected);
}

#[test]
fn what_a_value_does_is_said() {
    let properties = "\
worker.list=w
worker.w.reference=worker.t
worker.w.connection_pool_size=2
worker.w.connection_pool_timeout=600
worker.w.reply_timeout=30
worker.w.recovery_options=27
worker.w.fail_on_status=5xx
worker.w.lbfactor=2
worker.t.socket_timeout=30000
worker.t.ping_mode=
worker.u.reference=worker.tt
";
    refused(
        with("").workers(properties),
        &[
            "warning: conf/workers.properties:3: worker.w.connection_pool_size: 2 connections for \
             8 threads: when all are in use, further requests wait 200 ms and get 503; use at \
             least 8, or remove the line",
            "warning: conf/workers.properties:4: worker.w.connection_pool_timeout: connections \
             that are idle for up to 600 seconds are used again: where the engine closes them \
             earlier, requests find them closed; set keepAliveTimeout of its connector to 600000 \
             or more, and ping_mode=P",
            "warning: conf/workers.properties:5: worker.w.reply_timeout: 30 is read as 30 \
             milliseconds; write 30000 if you mean seconds",
            "warning: conf/workers.properties:6: worker.w.recovery_options: 27 has the bits 8 \
             (HEAD) and 16 (GET); C mod_jk ignores 16 beside 8, here both count; take 16 out if \
             GET must not be sent again",
            "warning: conf/workers.properties:7: worker.w.fail_on_status: \"5xx\" is no status, it \
             never matches; list single statuses, such as 500 or -503",
            "warning: conf/workers.properties:8: worker.w.lbfactor: has no effect on a worker that \
             is no member of a balancer; remove the line, it is for members of a balancer",
            "warning: conf/workers.properties:9: worker.w.socket_timeout: 30000 is read as 30000 \
             seconds; write 30 if you mean milliseconds",
            "warning: conf/workers.properties:10: worker.t.ping_mode: has no value and is ignored; \
             write a value, or remove the line",
            "conf/workers.properties:11: worker.u.reference: there is no property that begins with \
             \"worker.tt.\"; did you mean worker.t?",
            "warning: conf/workers.properties:11: worker.u: has properties but is not in \
             worker.list, so it is not used; add u to worker.list, or remove its properties",
        ],
    );
}

#[test]
fn all_mistakes_of_a_configuration_are_shown_at_once() {
    let directives = "\
JkWorkersFile conf/workers.properties
JkMountCopy On
JkLogLevel wran
JkMount /a
JkMount app w
JkUnMount /a/b
JkMount /c w;replytimeout=5
JkMount /d v
JkUnMount /d/e nobody
<Location \"/loc\">
JkMount /x w
JkUnMount w
</Location>
<LocationMatch \"^/x\">
JkMount w
</LocationMatch>
<VirtualHost *:81>
JkWorkersFile conf/other.properties
JkWorkerProperty worker.x.port=1
JkMount /v elsewhere
JkLogLevel debug
</VirtualHost>
";
    let properties = "\
worker.list=w,lb1,st,old,new,odd,sock
worker.w.conect_timeout=5
worker.w.host=ivy:8009
worker.w.port=99999
worker.w.connection_pool_size=0
worker.w.fail_on_status=500
worker.lb1.type=lb
worker.st.type=status
worker.old.type=ajp12
worker.new.type=ajp14
worker.odd.type=ajp31
worker.sock.socket=run/ajp.sock
worker.w.retries=many
";
    // The first JkWorkersFile is the harness's.
    let builder = with(directives).workers(properties);
    refused(
        builder,
        &[
            "conf/test.conf:1: JkWorkersFile: JkWorkersFile only allowed once; remove one of the \
             two lines",
            "warning: conf/test.conf:2: JkMountCopy: On has no effect in the main server; write \
             JkMountCopy All, or On in the virtual hosts that are to inherit",
            "warning: conf/test.conf:3: JkLogLevel: \"wran\" is not a level, info is used, did you \
             mean warn?; use trace, debug, info, warn, error or emerg",
            "warning: conf/test.conf:3: JkLogLevel: has no effect without JkLogFile, the lines go \
             to httpd's ErrorLog; use LogLevel jk:info, or set JkLogFile",
            "conf/test.conf:4: JkMount: JkMount needs a path when not defined in a location; write \
             it as: JkMount /path worker",
            "conf/test.conf:5: JkMount: JkMount context should start with /, but this is \"app\"; \
             begin the path with /",
            "conf/test.conf:6: JkUnMount: JkUnMount needs a path when not defined in a location; \
             write it as: JkUnMount /path worker",
            "warning: conf/test.conf:7: JkMount: there is no rule extension \"replytimeout\", it is \
             ignored; did you mean reply_timeout?",
            "warning: conf/test.conf:7: JkMount: no virtual host inherits the main server's mounts: \
             requests that belong to a virtual host do not get to the engine by them; write \
             JkMountCopy All in the main server, or move the mounts into the virtual host",
            "warning: conf/test.conf:8: JkMount: worker v is not in worker.list: requests for this \
             path get status 500; did you mean w? else add v to worker.list",
            "warning: conf/test.conf:9: JkUnMount: worker nobody is not in worker.list: the line \
             has no effect; add nobody to worker.list, which names w, lb1, st, old, new, odd, sock",
            "conf/test.conf:11: JkMount: JkMount can not have a path when defined in a location; \
             give only the worker; the path is the section's",
            "conf/test.conf:15: JkMount: JkMount context should start with /, but this is \
             \"^/x\"; begin the path with /",
            "conf/test.conf:18: JkWorkersFile: JkWorkersFile cannot occur within <VirtualHost> \
             section; move it out of the section, into the main server",
            "conf/test.conf:19: JkWorkerProperty: JkWorkerProperty cannot occur within \
             <VirtualHost> section; move it out of the section, into the main server",
            "warning: conf/test.conf:20: JkMount: worker elsewhere is not in worker.list: requests \
             for this path get status 500; add elsewhere to worker.list, which names w, lb1, st, \
             old, new, odd, sock",
            "warning: conf/test.conf:21: JkLogLevel: has no effect without JkLogFile, the lines go \
             to httpd's ErrorLog; use LogLevel jk:debug, or set JkLogFile",
            "conf/workers.properties:2: worker.w.conect_timeout: there is no worker property \
             \"conect_timeout\"; did you mean worker.w.connect_timeout?",
            "warning: conf/workers.properties:3: worker.w.host: \"ivy:8009\" has a port: the engine \
             is never contacted, requests get 503, a member of a balancer is stopped; write \
             host=ivy and port=8009",
            "warning: conf/workers.properties:4: worker.w.port: 99999 is read as 34463, its lower \
             16 bits; use a number from 1 to 65535",
            "warning: conf/workers.properties:5: worker.w.connection_pool_size: a pool of 0 \
             connections serves no request: all of them get 503; use at least 1, or remove the line",
            "conf/workers.properties:7: worker.lb1.type: a worker of type lb needs \
             balance_workers, which is missing; name its members, such as \
             balance_workers=node1,node2",
            "conf/workers.properties:9: worker.old.type: type \"ajp12\" is not supported; use type \
             ajp13, which every Tomcat speaks",
            "conf/workers.properties:10: worker.new.type: type \"ajp14\" is not supported; use \
             type ajp13, which every Tomcat speaks",
            "conf/workers.properties:11: worker.odd.type: there is no worker type \"ajp31\"; did \
             you mean ajp13?",
            "conf/workers.properties:12: worker.sock.socket: \"run/ajp.sock\" is not an absolute \
             path; begin it with /, such as /run/ivy/ajp.sock",
            "warning: conf/workers.properties:13: worker.w.retries: \"many\" is not a number, it is \
             read as 0; use a whole number such as 2",
            "warning: conf/workers.properties:13: worker.w.retries: 0 is read as 1; use at least 1",
        ],
    );
}

#[test]
fn a_missing_workers_file_is_named() {
    refused(
        with("JkWorkersFile conf/wrokers.properties"),
        &[
            "conf/test.conf:1: JkWorkersFile: JkWorkersFile: Can't find the workers file specified: \
           conf/wrokers.properties is not a file; create it, or correct the path (relative ones \
           are below ServerRoot)",
        ],
    );
    let result = with("JkWorkersFile conf").config_test();
    assert!(
        !result.status.success() && result.output.contains("is not a file"),
        "{}",
        result.output
    );
}

#[test]
fn a_misspelt_key_names_what_may_have_been_meant() {
    refused(
        with("JkWorkerProperty worker.w.prot=8009\nJkWorkerProperty worker.lsit=w"),
        &[
            "conf/test.conf:1: worker.w.prot: there is no worker property \"prot\"; did you mean \
             worker.w.port?",
            "conf/test.conf:2: worker.lsit: there is no worker property \"lsit\"; did you mean \
             worker.list?",
        ],
    );
    refused(
        with("JkWorkerProperty worker.w.frobnicate=1"),
        &["conf/test.conf:1: worker.w.frobnicate: there is no worker property \"frobnicate\"; \
           correct the name, or remove the line"],
    );
}

#[test]
fn a_level_without_a_log_file_is_warned_of_once_and_only_where_it_has_no_effect() {
    let useless = |line: u32, level: &str| {
        format!(
            "warning: conf/test.conf:{line}: JkLogLevel: has no effect without JkLogFile, the \
             lines go to httpd's ErrorLog; use LogLevel jk:{level}, or set JkLogFile"
        )
    };
    let vhost = |lines: &str| format!("<VirtualHost *:81>\n{lines}\n</VirtualHost>");
    for (lines, expected) in [
        ("JkLogLevel debug".to_owned(), vec![useless(1, "debug")]),
        // Three servers inherit it.
        (format!("JkLogLevel warn\n{0}\n{0}", vhost("")), vec![useless(1, "warn")]),
        (vhost("JkLogLevel error"), vec![useless(2, "error")]),
        ("JkLogFile logs/jk.log\nJkLogLevel debug".to_owned(), vec![]),
        (format!("JkLogFile logs/jk.log\n{}", vhost("JkLogLevel debug")), vec![]),
        (format!("JkLogLevel debug\n{}", vhost("JkLogFile logs/jk.log")), vec![]),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        accepted(with(&lines), &expected);
    }
}

#[test]
fn httpd_refuses_to_start_with_mistakes_and_says_them() {
    let broken =
        || with("JkMount /x w\nJkMountCopy Some").workers("worker.list=w\nworker.w.port=0x");
    let Err(refusal) = broken().try_start() else { panic!("it started") };
    assert!(!refusal.status.success());
    assert_eq!(
        said(&refusal),
        [
            "conf/test.conf:2: JkMountCopy: JkMountCopy must be All, On or Off; use All or Off in \
             the main server, On or Off in a virtual host"
                .to_owned(),
            "warning: conf/workers.properties:2: worker.w.port: \"0x\" is not a port number, it is \
             read as 0; use a number from 1 to 65535"
                .to_owned(),
            "warning: conf/workers.properties:2: worker.w.port: 0 is no port number: the engine is \
             never contacted, requests get 503, a member of a balancer is stopped; use a number \
             from 1 to 65535"
                .to_owned(),
        ],
        "{}",
        refusal.output
    );
}

#[test]
fn httpd_starts_with_warnings_only_and_shows_them() {
    let engine = Engine::recording().start();
    let httpd = with("JkMount /x w\nJkMount /y v\nJkLogLevel loud")
        .worker("w", &engine.endpoint())
        .workers("worker.w.retry_interval=soon\nworker.left.over.host=localhost")
        .start();
    assert_eq!(client::get(httpd.addr(), "/x").text(), "/x");
    assert_eq!(client::get(httpd.addr(), "/y").status(), 500);
    let shown = std::fs::read_to_string(httpd.path("logs/output.log")).expect("its output")
        + &httpd.error_log();
    for part in [
        "test.conf:2: JkMount: worker v is not in worker.list",
        "test.conf:3: JkLogLevel: \"loud\" is not a level",
        "workers.properties:6: worker.w.retry_interval: \"soon\" is not a number",
        "workers.properties:7: worker.left.over: has properties but is not in worker.list",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_keeps_httpd_from_starting() {
    let Err(refusal) = with("JkLogFile no/such/folder/jk.log").try_start() else {
        panic!("it started")
    };
    assert!(!refusal.status.success());
    let said = said(&refusal).join("\n");
    for part in [
        "conf/test.conf:1: JkLogFile: ",
        "no/such/folder/jk.log cannot be opened",
        "; create its folder",
    ] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    let folder = "conf/test.conf:1: JkLogFile: JkLogFile file name invalid; name the program behind \
                  the |";
    refused(with("JkLogFile \"| \""), &[folder]);
}

#[test]
fn no_message_shows_a_secret() {
    let result = with(
        "JkWorkerProperty worker.w.secret=hush1\nJkWorkerProperty worker.w.secret=hush2\n\
         JkWorkerProperty worker.w.secrte=hush3\nJkWorkerProperty worker.w.secret hush4\n\
         JkWorkerProperty worker.w.secretkey=hush5\nJkWorkerProperty my=hush6\n\
         JkWorkerProperty worker.w.secret=$(hush7)",
    )
    .config_test();
    assert!(!result.status.success());
    assert!(said(&result).len() >= 4, "{}", result.output);
    assert!(!result.output.contains("hush"), "{}", result.output);
}
