//! A broken file of each kind: all that is wrong is said, with line, key, mistake and remedy.

use super::{accepted, refused, with};

/// What one writes wrong in a uriworkermap.properties.
const BROKEN_MAP: &str = "\
/admin/*=balancer
examples/*=w
/blank/* w
/nothing/*=
/misspelt/*=w;reply_timeuot=5
/twice/*=w;fail_on_status=500;fail_on_status=503
/again/*=w
/again/*=balancer
/macro/*=$(nowhere)
!/images/*=balanser
-/off/*=w
/number/*=w;reply_timeout=soon
*.jsp=w
/regexp/(.*)=w
";

#[test]
fn a_broken_map_file_is_explained() {
    let builder = with("JkMountFile conf/uriworkermap.properties\nJkMountFileReload soon")
        .workers("worker.list=w\nworker.w.host=localhost")
        .file("conf/uriworkermap.properties", BROKEN_MAP);
    accepted(
        builder,
        &[
            "warning: conf/test.conf:2: JkMountFileReload: \"soon\" is not a number of seconds, \
             it is read as 0; use a whole number without a unit, such as 60",
            "warning: conf/uriworkermap.properties:1: /admin/*: worker balancer is not in \
             worker.list: requests for this path get status 500; add balancer to worker.list, \
             which names w",
            "warning: conf/uriworkermap.properties:2: examples/*: the path \"examples/*\" does \
             not begin with \"/\"; begin the path with /",
            "warning: conf/uriworkermap.properties:3: the line has no '=' and is ignored; write \
             name=value on one line, or begin the line with '#'",
            "warning: conf/uriworkermap.properties:4: /nothing/*: has no value and is ignored; \
             write a value, or remove the line",
            "warning: conf/uriworkermap.properties:5: /misspelt/*: there is no rule extension \
             \"reply_timeuot\", it is ignored; did you mean reply_timeout?",
            "warning: conf/uriworkermap.properties:6: /twice/*: rule extension fail_on_status is \
             set again, the first value is used; keep one of them",
            "warning: conf/uriworkermap.properties:8: /again/*: is set again after \
             conf/uriworkermap.properties:7, the last value is used; keep one of the lines",
            "warning: conf/uriworkermap.properties:8: /again/*: worker balancer is not in \
             worker.list: requests for this path get status 500; add balancer to worker.list, \
             which names w",
            "warning: conf/uriworkermap.properties:9: /macro/*: $(nowhere) is neither set above \
             this line nor an environment variable, it stays as it is; set the variable above its \
             use",
            "warning: conf/uriworkermap.properties:9: /macro/*: worker $(nowhere) is not in \
             worker.list: requests for this path get status 500; add $(nowhere) to worker.list, \
             which names w",
            "warning: conf/uriworkermap.properties:10: !/images/*: worker balanser is not in \
             worker.list: the line has no effect; add balanser to worker.list, which names w",
            "warning: conf/uriworkermap.properties:12: /number/*: rule extension reply_timeout: \
             \"soon\" is not a number, it is read as 0; use a whole number without a unit",
            "warning: conf/uriworkermap.properties:13: *.jsp: the path \"*.jsp\" does not begin \
             with \"/\"; begin the path with /",
        ],
    );
}

/// What one writes wrong in a workers.properties.
const BROKEN_WORKERS: &str = "\
worker.list=balancer, status, ghost
worker.list=status
worker.node1.type=ajp13
worker.node1.host=ivy:8009
worker.node1.prot=8009
worker.node1.reply_timeout=60
worker.balancer.type=lb
worker.balancer.balance_workers=node1,node2
worker.balancer.balance_worker=node3
worker.balancer.method=busy
worker.balancer.sticky_session=perhaps
worker.status.type=state
worker.node2.reference=worker.templat
Worker.node2.port=8010
worker.node1.lbfactor: 2
worker.node1.secret
";

#[test]
fn a_broken_workers_file_is_explained() {
    let builder = with("JkMount /x balancer").workers(BROKEN_WORKERS);
    refused(
        builder,
        &[
            "warning: conf/workers.properties:2: worker.list: names status twice, one worker is \
             made; remove one of them",
            "warning: conf/workers.properties:2: worker.list: names ghost, which has no \
             properties; it is type ajp13 at localhost, port 8009; set worker.ghost.host and \
             worker.ghost.port",
            "warning: conf/workers.properties:4: worker.node1.host: \"ivy:8009\" has a port: the \
             engine is never contacted, requests get 503, a member of a balancer is stopped; write \
             host=ivy and port=8009",
            "conf/workers.properties:5: worker.node1.prot: there is no worker property \"prot\"; \
             did you mean worker.node1.port?",
            "warning: conf/workers.properties:6: worker.node1.reply_timeout: 60 is read as 60 \
             milliseconds; write 60000 if you mean seconds",
            "conf/workers.properties:9: worker.balancer.balance_worker: there is no worker \
             property \"balance_worker\"; did you mean worker.balancer.balance_workers?",
            "warning: conf/workers.properties:11: worker.balancer.sticky_session: \"perhaps\" is \
             neither on nor off, on is used; use on or off",
            "conf/workers.properties:12: worker.status.type: there is no worker type \"state\"; \
             did you mean status?",
            "conf/workers.properties:13: worker.node2.reference: there is no property that \
             begins with \"worker.templat.\"; write all of its keys but the last part, such as \
             worker.template",
            "warning: conf/workers.properties:14: Worker.node2.port: does not begin with \
             \"worker.\", so it is a variable and sets up no worker; did you mean \
             worker.node2.port?",
            "warning: conf/workers.properties:15: worker.node1.lbfactor: the line has no '=' and \
             is ignored; write name=value on one line, or begin the line with '#'",
            "warning: conf/workers.properties:16: worker.node1.secret: the line has no '=' and \
             is ignored; write name=value on one line, or begin the line with '#'",
        ],
    );
}

/// What one writes wrong in a mod_jk.conf.
const BROKEN_DIRECTIVES: &str = "\
JkWorkerFile conf/workers.properties
";

/// What one writes wrong with the directives, each of which httpd knows.
const BROKEN_CONF: &str = "\
JkLogLevel inof
JkLogFile logs/none/jk.log
JkShmSize large
JkWatchdogInterval -1
JkMount ivy/* w
JkMount /ivy/* v
JkUnMount /other/* w
JkMountCopy Yes
JkOptions +ForwardURIProxi -ForwardURIEscaped
JkStripSession Maybe
JkEnvVar SSL_CLIENT_S_DN \"\"
JkMountFile conf/none.properties
JkRequestLogFormat %z
JkAutoAlias conf/webapps
<VirtualHost *:81>
JkMountCopy All
JkWatchdogInterval 5
</VirtualHost>
";

#[test]
fn broken_directives_are_explained() {
    let result = with(BROKEN_DIRECTIVES).config_test();
    assert!(!result.status.success());
    assert!(result.output.contains("Invalid command 'JkWorkerFile'"), "{}", result.output);
    let builder = with(BROKEN_CONF).workers("worker.list=w\nworker.w.host=localhost");
    refused(
        builder,
        &[
            "warning: conf/test.conf:1: JkLogLevel: \"inof\" is not a level, info is used, did \
             you mean info?; use trace, debug, info, warn, error or emerg",
            "conf/test.conf:2: JkLogFile: logs/none/jk.log cannot be opened: it has no folder; \
             create its folder, or correct the path",
            "warning: conf/test.conf:3: JkShmSize: \"large\" is not a number of KiB; remove the \
             line, the size is found out",
            "warning: conf/test.conf:4: JkWatchdogInterval: \"-1\" is not a number of seconds, \
             it is read as 0; use a whole number without a unit, such as 60",
            "conf/test.conf:5: JkMount: JkMount context should start with /, but this is \
             \"ivy/*\"; begin the path with /",
            "warning: conf/test.conf:6: JkMount: worker v is not in worker.list: requests for \
             this path get status 500; did you mean w? else add v to worker.list",
            "warning: conf/test.conf:6: JkMount: no virtual host inherits the main server's \
             mounts: requests that belong to a virtual host do not get to the engine by them; \
             write JkMountCopy All in the main server, or move the mounts into the virtual host",
            "conf/test.conf:8: JkMountCopy: JkMountCopy must be All, On or Off; use All or Off \
             in the main server, On or Off in a virtual host",
            "conf/test.conf:9: JkOptions: JkOptions: Illegal option 'ForwardURIProxi'; did you \
             mean ForwardURIProxy?",
            "conf/test.conf:9: JkOptions: JkOptions: Illegal option '-ForwardURIEscaped': option \
             can not be disabled; name the ForwardURI option to use instead, ForwardURIProxy is \
             the default",
            "conf/test.conf:10: JkStripSession: JkStripSession must be On or Off; use On or Off",
            "warning: conf/test.conf:11: JkEnvVar: an empty default is no default: the attribute \
             is sent only where the variable is set; remove the quotes, or give a default that is \
             not empty",
            "conf/test.conf:12: JkMountFile: JkMountFile: Can't find the mount file specified: \
             conf/none.properties is not a file; create it, or correct the path (relative ones \
             are below ServerRoot)",
            "warning: conf/test.conf:13: JkRequestLogFormat: Unrecognized JkRequestLogFormat \
             directive %z, no request is logged; use %b %B %H %m %p %q %r %s %T %U %v %V %w %R",
            "warning: conf/test.conf:14: JkAutoAlias: is read as conf/webapps; C mod_jk wants an \
             absolute path: write it out",
            "warning: conf/test.conf:14: JkAutoAlias: conf/webapps is not a folder, nothing is \
             aliased; create it, or correct the path",
            "conf/test.conf:16: JkMountCopy: JkMountCopy cannot occur within <VirtualHost> \
             section; move it out of the section, into the main server",
            "conf/test.conf:17: JkWatchdogInterval: JkWatchdogInterval cannot occur within \
             <VirtualHost> section; move it out of the section, into the main server",
        ],
    );
}
