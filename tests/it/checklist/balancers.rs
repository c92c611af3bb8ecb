//! Properties of balancers and their members, and of status workers [2.3]. Where a status worker is
//! needed to see what comes of it, ours says what it read.

use super::case::{Case, balancer, get, status};
use super::run::Group;
use crate::compliance::seen::Seen;

pub(super) fn group() -> Group {
    let mut cases = balancers();
    cases.extend(members());
    cases.extend(status_workers());
    Group {
        test: "balancers_and_status_workers_read_the_same",
        modules: &["setenvif", "env"],
        config: "",
        workers: "",
        files: &[],
        cases,
    }
}

fn balancers() -> Vec<Case> {
    let session = |cookie: &str| get("/x").header("Cookie", cookie);
    vec![
        balancer("balance_workers", "")
            .workers("> worker.@.balance_workers=@z\nworker.@z.port={dead}\n")
            .status_line("worker.@.member_count=3"),
        balancer("recover_time", "> recover_time=77").status_line("worker.@.recover_time=77"),
        balancer("error_escalation_time", "> error_escalation_time=7")
            .status_line("worker.@.error_escalation_time=7"),
        balancer("max_reply_timeouts", "> max_reply_timeouts=5")
            .status_line("worker.@.max_reply_timeouts=5"),
        balancer("method", "> method=Busyness").status_line("worker.@.method=Busyness"),
        balancer("method by letter", "> method=t").status_line("worker.@.method=Traffic"),
        balancer("lock", "> lock=Pessimistic").status_line("worker.@.lock=Pessimistic"),
        balancer("retries of a balancer", "> retries=5").status_line("worker.@.retries=5"),
        balancer("retry_interval of a balancer", "> retry_interval=55")
            .dumped("worker.@.retry_interval=55")
            .config("retry_interval=55"),
        balancer("sticky_session", "> sticky_session=false").asks([session("JSESSIONID=a.@y")]),
        balancer("sticky_session_force", "> sticky_session_force=true")
            .workers("worker.@y.activation=stopped")
            .asks([session("JSESSIONID=a.@y")]),
        balancer("session_cookie", "> session_cookie=SID").asks([session("SID=a.@y")]),
        balancer("session_path", "> session_path=;sid").gets(&["/x;sid=a.@y"]),
        balancer("set_session_cookie", "> set_session_cookie=true"),
        balancer("session_cookie_path", "set_session_cookie=true\n> session_cookie_path=/shop"),
        balancer("lb_retries", "retries=1\n> lb_retries=1")
            .workers("worker.@x.port={dead}\nworker.@x.retries=1")
            .config("lb_retries=1"),
        balancer("secret of a balancer", "> secret=hush").config("; secret=set"),
    ]
}

fn members() -> Vec<Case> {
    let member = |name: &str, lines: &str| balancer(name, "").workers(lines);
    let session = |cookie: &str| get("/x").header("Cookie", cookie);
    vec![
        member("activation", "> worker.@x.activation=disabled"),
        member("activation by letter", "> worker.@x.activation=s"),
        member("disabled", "> worker.@x.disabled=true"),
        member("stopped", "> worker.@x.stopped=1"),
        member("distance", "> worker.@x.distance=1"),
        // The values are joined with a star, and a number ends there.
        member("distance twice", "> worker.@x.distance=3\nworker.@x.distance=5")
            .status_line("worker.@x.distance=3"),
        member("lbfactor", "> worker.@x.lbfactor=3").status_line("worker.@x.lbfactor=3"),
        member("route", "> worker.@x.route=node1"),
        member("jvm_route", "> worker.@x.jvm_route=node1"),
        // The C module tells the engine what happens to lie in its memory.
        member("domain", "> worker.@y.domain=d")
            .asks([session("JSESSIONID=a.d")])
            .config("domain=d"),
        member("redirect", "worker.@x.activation=stopped\n> worker.@x.redirect=@y")
            .asks([session("JSESSIONID=a.@x")])
            .status_line("worker.@x.redirect=@y"),
    ]
}

/// What the C module says, with the status of HTTP that goes with it.
fn with_status(seen: &mut Seen) {
    let status = match seen.facts.first().map(String::as_str) {
        Some("the answer has read only mode: false") => 404,
        Some("the answer has Access denied: false") => 200,
        _ => 403,
    };
    if let Some(answers) = seen.facts.get_mut(1) {
        *answers = format!("answers {status}");
    }
}

fn status_workers() -> Vec<Case> {
    let list = |name: &str, properties: &str| {
        status(name, properties).gets(&["/status?cmd=version&mime=xml"])
    };
    vec![
        status("css", "> css=/style.css").gets(&["/status"]).shows("href=\"/style.css\""),
        list("ns", "> ns=x:").shows("<x:status"),
        list("ns=-", "> ns=-").shows("<status"),
        list("xmlns", "> xmlns=xmlns:jk=\"urn:x\"").shows("xmlns:jk=\"urn:x\""),
        list("doctype", "> doctype=<!DOCTYPE s>").shows("<!DOCTYPE s>"),
        status("prefix", "> prefix=mine").gets(&["/status?cmd=version&mime=prop"]).shows("mine."),
        status("read_only", "> read_only=true")
            .gets(&["/status?cmd=reset&w=nobody&mime=txt"])
            .shows("read only mode")
            .differs("Workers of type status", with_status),
        status("user", "> user=alice")
            .gets(&["/status?cmd=version&mime=txt"])
            .shows("Access denied")
            .differs("Workers of type status", with_status),
        status("user_case_insensitive", "user=alice\n> user_case_insensitive=true")
            .site("SetEnvIf Request_URI . JK_REMOTE_USER=ALICE")
            .gets(&["/status?cmd=version&mime=txt"])
            .shows("Access denied")
            .differs("Workers of type status", with_status),
        balancer("good", "").workers("> worker.@s.good=e").status_line("worker.@.good=2"),
        balancer("bad", "").workers("> worker.@s.bad=a.i").status_line("worker.@.bad=2"),
    ]
}
