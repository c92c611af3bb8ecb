//! What is wrong is named with file, line, key, mistake and remedy; all of it at once.

use super::{accepted, refused, said, with};
use crate::support::client;
use crate::support::engine::Engine;

/// The worker properties that this version refuses.
const PROPERTIES_NOT_YET: [&str; 40] = [
    "activation",
    "bad",
    "balance_workers",
    "busy_limit",
    "connection_ping_interval",
    "connection_pool_minsize",
    "connection_pool_timeout",
    "css",
    "distance",
    "doctype",
    "domain",
    "error_escalation_time",
    "fail_on_status",
    "good",
    "lb_retries",
    "lbfactor",
    "lock",
    "maintain",
    "max_reply_timeouts",
    "method",
    "mount",
    "ns",
    "prefix",
    "read_only",
    "recover_time",
    "recovery_options",
    "redirect",
    "reference",
    "route",
    "secretkey",
    "session_cookie",
    "session_cookie_path",
    "session_path",
    "set_session_cookie",
    "source",
    "sticky_session",
    "sticky_session_force",
    "user",
    "user_case_insensitive",
    "xmlns",
];

/// Old names, with what to write today.
const OLD: [(&str, &str); 20] = [
    ("balanced_workers", "remove the line; its name in C mod_jk is balance_workers today"),
    ("bridge", ""),
    ("cache_timeout", "remove the line; its name in C mod_jk is connection_pool_timeout today"),
    ("cachesize", "write connection_pool_size instead"),
    ("class_path", ""),
    ("cmd_line", ""),
    ("disabled", "remove the line; its name in C mod_jk is activation today"),
    ("jvm_lib", ""),
    ("jvm_route", "remove the line; its name in C mod_jk is route today"),
    ("ld_path", ""),
    ("local_worker", ""),
    ("local_worker_only", ""),
    ("ms", ""),
    ("mx", ""),
    ("native_lib", ""),
    ("recycle_timeout", ""),
    ("stderr", ""),
    ("stdout", ""),
    ("stopped", "remove the line; its name in C mod_jk is activation today"),
    ("sysprops", ""),
];

#[test]
fn every_property_that_is_not_supported_yet_says_so() {
    let mut lines = vec!["worker.list=w".to_owned(), "worker.w.host=localhost".to_owned()];
    let mut expected = Vec::new();
    let mut add = |name: &str, remedy: &str| {
        let key = match name {
            "maintain" => "worker.maintain".to_owned(),
            name => format!("worker.w.{name}"),
        };
        lines.push(format!("{key}=topsecret"));
        let line = lines.len();
        expected.push(format!(
            "conf/workers.properties:{line}: {key}: {name} is not supported yet by this version; \
             {remedy}"
        ));
    };
    for name in PROPERTIES_NOT_YET {
        add(name, "remove the line");
    }
    for (name, remedy) in OLD {
        let dead = "remove the line, it never had an effect";
        add(name, if remedy.is_empty() { dead } else { remedy });
    }
    let result = with("").workers(&lines.join("\n")).config_test();
    assert_eq!(said(&result), expected);
    assert!(!result.status.success());
    assert!(!result.output.contains("topsecret"), "{}", result.output);
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
            "conf/workers.properties:3: worker.w.host: \"ivy:8009\" has a port; write host=ivy and \
             port=8009",
            "conf/workers.properties:4: worker.w.port: 99999 is not a port number; use a number \
             from 1 to 65535",
            "conf/workers.properties:5: worker.w.connection_pool_size: a pool of 0 connections can \
             serve no request; use at least 1, or remove the line",
            "conf/workers.properties:6: worker.w.fail_on_status: fail_on_status is not supported \
             yet by this version; remove the line",
            "conf/workers.properties:7: worker.lb1.type: type \"lb\" is not supported yet by this \
             version; use type ajp13, or take the worker out of worker.list",
            "conf/workers.properties:8: worker.st.type: type \"status\" is not supported yet by \
             this version; use type ajp13, or take the worker out of worker.list",
            "conf/workers.properties:9: worker.old.type: type \"ajp12\" is not supported; use type \
             ajp13, which every Tomcat speaks",
            "conf/workers.properties:10: worker.new.type: type \"ajp14\" is not supported; use \
             type ajp13, which every Tomcat speaks",
            "conf/workers.properties:11: worker.odd.type: there is no worker type \"ajp31\"; did \
             you mean ajp13?",
            "conf/workers.properties:12: worker.sock.socket: \"run/ajp.sock\" is not an absolute \
             path; begin it with /, such as /run/ivy/ajp.sock",
            "warning: conf/workers.properties:13: worker.w.retries: \"many\" is not a number, the \
             default is used; use a whole number such as 2",
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
            "warning: conf/workers.properties:2: worker.w.port: 0 means that the engine is never \
             contacted, requests get 503; use a number from 1 to 65535"
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
