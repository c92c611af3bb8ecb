//! What is logged: the worker log [1.5], the request log [1.5], the notes [1.8].

use super::case::{Case, get, head, post, site, status_answer};
use super::rows::NOTES;
use super::run::Group;

pub(super) fn group() -> Group {
    let mut cases = worker_log();
    cases.extend(request_log());
    cases.extend(notes());
    Group {
        test: "logs_say_the_same",
        modules: &["setenvif", "env", "unique_id"],
        config: "",
        workers: "",
        files: &[],
        cases,
    }
}

fn worker_log() -> Vec<Case> {
    // A worker that nobody answers for: there is something to say.
    let log = |name: &str, lines: &str| {
        site(name, "JkMount /* @").site(lines).props("port={dead}\nretries=1")
    };
    vec![
        log("JkLogFile", "> JkLogFile logs/@.log").own("[error]"),
        log("JkLogLevel info", "JkLogFile logs/@.log\n> JkLogLevel info").own("[debug]"),
        log("JkLogLevel error", "JkLogFile logs/@.log\n> JkLogLevel emerg").own("[error]"),
        site("JkLogLevel trace", "JkMount /* @\nJkLogFile logs/@.log\n> JkLogLevel trace")
            .own("[trace]"),
        log("JkLogLevel in upper case", "JkLogFile logs/@.log\n> JkLogLevel EMERG").own("[error]"),
        log("JkLogLevel of no name", "JkLogFile logs/@.log\n> JkLogLevel loud").own("[debug]"),
        log("JkLogStampFormat", "JkLogFile logs/@.log\n> JkLogStampFormat \"At %Y/%m/%d: \"")
            .own("At ####/##/##: ["),
        log("JkLogStampFormat %Q", "JkLogFile logs/@.log\n> JkLogStampFormat \"At %S.%Q: \"")
            .own("At ##.###: ["),
        log("JkLogStampFormat %q", "JkLogFile logs/@.log\n> JkLogStampFormat \"At %S.%q: \"")
            .own("At ##.######: ["),
        log(
            "JkLogStampFormat with both",
            "JkLogFile logs/@.log\n> JkLogStampFormat \"At %q %Q: \"",
        )
        .own("At "),
        log(
            "JkRequestIdIndicator",
            "JkLogFile logs/@.log\nSetEnvIf Request_URI . MINE=request-4711\n\
             > JkRequestIdIndicator MINE",
        )
        .own("[request-4711]")
        .ours_alone(),
    ]
}

/// A request log of its own, in which nothing else is.
fn logged(format: &str) -> Case {
    site(
        &format!("JkRequestLogFormat {format}"),
        &format!(
            "JkMount /* @\nJkLogFile logs/@.log\nJkLogLevel emerg\nJkLogStampFormat Log:
             > JkRequestLogFormat \"{format}\""
        ),
    )
    .writes("logs/@.log")
}

fn request_log() -> Vec<Case> {
    vec![
        logged("%w"),
        logged("%R"),
        logged("%b %B"),
        logged("%b %B").named("no body").asks([get("/x")]).answered(status_answer(204)),
        logged("%H %m %r"),
        logged("%p %v %V"),
        logged("%U%q").gets(&["/a//b;x=1/%41?c=%42"]),
        logged("%q").gets(&["/x?"]).named("empty query"),
        logged("%s").asks([get("/x")]).answered(status_answer(404)),
        logged("%T").digits(),
        logged("<%w> \\\\%s\\n"),
        logged("%w\\t%s"),
        logged("%s").asks([head("/x"), post("/x", b"12345")]).named("three"),
        site("JkRequestLogFormat with an unknown token", "JkMount /* @\nJkLogFile logs/@.log")
            .site("JkLogLevel emerg\nJkRequestLogFormat %z")
            .writes("logs/@.log"),
        logged("%R").named("route").site("SetEnvIf Request_URI . JK_ROUTE=node7"),
        site(
            "JkRequestLogFormat is for mapped requests only",
            "<<JkMount /x @>>\nJkLogFile logs/@.log\nJkLogLevel emerg\nJkLogStampFormat Log:
             JkRequestLogFormat \"%w\"",
        )
        .writes("logs/@.log"),
    ]
}

/// A note in the access log.
fn note(name: &str) -> Case {
    site(name, &format!("<<JkMount /* @>>\nCustomLog logs/@.access \"%{{{name}}}n\""))
        .writes("logs/@.access")
}

fn notes() -> Vec<Case> {
    let balancer = NOTES.iter().filter(|name| name.starts_with("JK_LB_"));
    let mut cases = vec![
        note("JK_WORKER_NAME"),
        note("JK_WORKER_TYPE"),
        note("JK_WORKER_ROUTE").site("SetEnvIf Request_URI . JK_ROUTE=node7"),
        note("JK_REQUEST_DURATION").digits(),
    ];
    cases.extend(balancer.map(|name| note(name).balances()));
    cases
}
