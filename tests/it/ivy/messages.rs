//! What `httpd -t` says of engines: every message, with its place and its remedy.

use std::os::unix::fs::PermissionsExt as _;

use super::with;
use crate::config::{accepted, refused, said};
use crate::support::httpd::Builder;

const LINE: &str = "JkIvyEngine conf/ivy";
const YAML: &str = "conf/ivy/configuration/ivy.yaml";

/// An engine's file that only its owner can read, as it should be.
fn private(yaml: &str) -> Builder {
    with(LINE, yaml).private(YAML)
}

#[test]
fn an_engine_that_nothing_is_wrong_with_is_accepted() {
    let yaml = "Connector.AJP.Secret: hush\nSSO.Enabled: yes\nConnector.HTTP.Address: localhost\n\
                BaseUrl: http://localhost:@PORT@\n";
    accepted(private(yaml), &[]);
    accepted(private(yaml).config("JkStrict On"), &[]);
    accepted(with("JkIvyEngine conf/ivy/configuration/ivy.yaml", ""), &[]);
}

#[test]
fn a_path_that_leads_nowhere() {
    for (line, expected) in [
        (
            "JkIvyEngine conf/none",
            "conf/none cannot be read: No such file or directory (os error 2); give the engine's \
             folder or its ivy.yaml; httpd reads them as the user that starts it",
        ),
        (
            "JkIvyEngine htdocs",
            "@ROOT@/htdocs/configuration/ivy.yaml cannot be read: No such file or directory (os error \
             2); give the engine's folder or its ivy.yaml; httpd reads them as the user that starts it",
        ),
        (
            "JkIvyEngine conf/ivy/configuration",
            "conf/ivy/configuration is not the folder of an engine; give its ivy.yaml, or the folder \
             above",
        ),
        (
            "JkIvyEngine conf/folder",
            "conf/folder/configuration/ivy.yaml cannot be read: it is not a file; make it a file that \
             the user who starts httpd can read",
        ),
        ("JkIvyEngine", "names no engine; write it as: JkIvyEngine /path/of/the/engine"),
        ("JkIvyEngine Off worker=w", "Off takes nothing behind it; write JkIvyEngine Off"),
        (
            "JkIvyEngine conf/my ivy",
            "\"ivy\" is no key=value; put a path or a value with blanks in quotes, such as \"/opt/my \
             ivy\" or \"socket=/run/my ivy/ajp.sock\"",
        ),
        ("JkIvyEngine conf/ivy contxet=a", "there is no key contxet=; did you mean context=?"),
    ] {
        let builder = with(line, "")
            .file("conf/folder/configuration/ivy.yaml/x", "")
            .file("conf/my/configuration/ivy.yaml", "");
        let result = builder.config_test();
        let said: Vec<String> = said(&result).iter().map(|text| without_root(text)).collect();
        let expected = expected.replace("@ROOT@/", "");
        assert_eq!(
            said,
            [format!("conf/test.conf:1: JkIvyEngine: {expected}")],
            "{}",
            result.output
        );
        assert!(!result.status.success());
    }
}

/// Paths of the ServerRoot that are not below conf or logs.
fn without_root(text: &str) -> String {
    text.split(' ')
        .map(|word| word.rfind("/htdocs/").map_or(word, |at| &word[at + 1..]))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn off_stands_alone() {
    refused(
        with("<VirtualHost *:81>\nJkIvyEngine Off\nJkIvyEngine conf/ivy\n</VirtualHost>", ""),
        &[
            "conf/test.conf:3: JkIvyEngine: stands beside JkIvyEngine Off; remove one of the two lines",
        ],
    );
    refused(
        with("<VirtualHost *:81>\nJkIvyEngine conf/ivy\nJkIvyEngine Off\n</VirtualHost>", ""),
        &[
            "conf/test.conf:3: JkIvyEngine: Off stands beside an engine; remove one of the two lines",
        ],
    );
    accepted(
        with("JkIvyEngine Off", ""),
        &[
            "warning: conf/test.conf:1: JkIvyEngine: Off has no effect in the main server, which inherits \
           no engine; remove the line, or move it into a virtual host",
        ],
    );
}

#[test]
fn two_engines_need_two_names() {
    let second = |line: &str| {
        with(&format!("{LINE}\n<VirtualHost *:81>\n{line}\n</VirtualHost>"), "")
            .file("conf/two/configuration/ivy.yaml", "Connector.AJP.Port: 8010\n")
    };
    refused(
        second("JkIvyEngine conf/two"),
        &["conf/test.conf:3: JkIvyEngine: worker AxonIvyEngine is the engine of conf/test.conf:1 \
           already; give this one a name of its own, such as worker=AxonIvyEngine2"],
    );
    refused(
        second("JkIvyEngine conf/ivy port=8010"),
        &[
            "conf/test.conf:3: JkIvyEngine: worker AxonIvyEngine of conf/test.conf:1 has another host, \
           port or socket; write the same ones, or give this one a name of its own with worker=",
        ],
    );
    accepted(second("JkIvyEngine conf/two worker=two"), &[]);
    accepted(second("JkIvyEngine conf/ivy context=other"), &[]);
    let both = |keys: &str| {
        with(&format!("{LINE}\nJkIvyEngine conf/two worker=two {keys}"), "")
            .file("conf/two/configuration/ivy.yaml", "")
    };
    refused(
        both(""),
        &[
            "conf/test.conf:2: JkIvyEngine: the application of conf/test.conf:1 has the same path /ivy; \
           write another context=, or remove one of the two lines",
        ],
    );
    accepted(both("context=two"), &[]);
    let vhost = "<VirtualHost *:81>\n</VirtualHost>";
    let both = with(
        &format!(
            "{LINE} redirect=on\nJkIvyEngine conf/two worker=two context=two redirect=on\n{vhost}"
        ),
        "",
    );
    accepted(
        both.file("conf/two/configuration/ivy.yaml", "Connector.AJP.Port: 8010\n"),
        &[
            "warning: conf/test.conf:2: JkIvyEngine: redirect=on has no effect: / leads to conf/test.conf:1; \
           remove redirect=on",
        ],
    );
}

#[test]
fn mistakes_in_the_files_are_told_at_their_lines() {
    let yaml = "Connector:\n  AJP:\n    Port: 80x9\nConnector.AJP.Port: 8010\nSSO.Enabled: maybe\n";
    refused(
        with(LINE, yaml),
        &[
            "conf/ivy/configuration/ivy.yaml:3: Connector.AJP.Port: \"80x9\" is no port number; use a \
             number from 1 to 65535",
            "conf/ivy/configuration/ivy.yaml:4: Connector.AJP.Port: is there twice, in line 3 as well; \
             keep one of them; Key.Name and Name below Key are the same",
            "conf/ivy/configuration/ivy.yaml:5: SSO.Enabled: \"maybe\" is no switch; write true or false",
        ],
    );
    refused(
        with(LINE, "Connector:\n\tAJP: 1"),
        &[
            "conf/ivy/configuration/ivy.yaml:2: is no valid YAML here: tabs disallowed within this context \
           (block indentation); look at the blanks and quotes of this line and of the one before it",
        ],
    );
    accepted(
        with(LINE, "Connector.AJP.Port: 8010\n")
            .file("conf/ivy/configuration/ivy.webserver.yaml", "Connector:\n  AJP.Port: 8011\n"),
        &["warning: conf/ivy/configuration/ivy.yaml:1: Connector.AJP.Port: is not what \
           conf/ivy/configuration/ivy.webserver.yaml:2 says, which counts; keep one of the two"],
    );
}

#[test]
fn files_with_secrets_are_private() {
    let secret = "Connector.AJP.Secret: hush\n";
    let result = with(LINE, secret).config_test();
    let shown = said(&result).join("\n");
    let begin = "warning: conf/ivy/configuration/ivy.yaml:1: the file holds a secret, and every user of \
                 this host can read it; run: chmod o= \"";
    assert!(result.status.success() && shown.starts_with(begin), "{shown}");
    assert!(!result.output.contains("hush"), "{}", result.output);
    accepted(private(secret), &[]);
    let httpd =
        with("", "").workers("worker.list=w\nworker.w.port=1\nworker.w.secret=hush").start();
    accepted_as_it_is(&httpd, &[]);
    let file = httpd.path("conf/workers.properties");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let before = said(&httpd.config_test()).join("\n");
    let begin = "warning: conf/workers.properties:3: the file holds a secret, and every user of this \
                 host can read it; run: chmod o= \"";
    assert!(before.starts_with(begin) && !before.contains("hush"), "{before}");
}

#[track_caller]
fn accepted_as_it_is(httpd: &crate::support::httpd::Httpd, expected: &[&str]) {
    let result = httpd.config_test();
    assert_eq!(said(&result), expected, "{}", result.output);
}

#[test]
fn open_doors_are_warned_of() {
    let yaml = "Connector:\n  AJP.Address: 0.0.0.0\nSSO:\n  Enabled: true\n";
    accepted(
        with(LINE, yaml),
        &[
            "warning: conf/ivy/configuration/ivy.yaml:2: Connector.AJP.Address: the AJP connector at \
             0.0.0.0 has no secret: whoever reaches it can claim to be any user; set \
             Connector.AJP.Secret in ivy.yaml, and let only this host in by a firewall on the engine's \
             host",
            "warning: conf/ivy/configuration/ivy.yaml:4: SSO.Enabled: the HTTP connector of the engine \
             listens on all addresses, and single sign-on is on: whoever reaches it can claim to be any \
             user with the header X-Forwarded-User; write Connector.HTTP.Address: localhost",
        ],
    );
    let result = with(LINE, yaml).config("JkStrict On").config_test();
    assert!(!result.status.success() && said(&result).len() == 2, "{}", result.output);
}

#[test]
fn mounts_without_the_line_of_their_engine_are_open() {
    let host = |text: &str| {
        format!(
            "{LINE}\n<VirtualHost *:@PORT@>\nServerName a.test\nJkIvyEngine Off\n{text}\n</VirtualHost>"
        )
    };
    let mount = "JkMount /ivy|/* AxonIvyEngine";
    let result = with(&host(mount), "BaseUrl: http://a.test:@PORT@\n").private(YAML).config_test();
    assert!(result.status.success(), "{}", result.output);
    let expected = "conf/test.conf:5: JkMount: leads to the engine of conf/test.conf:1 where its line \
                    does not count: /ivy/system is open there; write the JkIvyEngine line in this \
                    server as well, in place of the mount, or add JkUnMount \"/ivy/system|/*\" \
                    AxonIvyEngine";
    assert!(said(&result).iter().any(|said| said.contains(expected)), "{}", result.output);
    let closed = format!("{mount}\nJkUnMount \"/ivy/system|/*\" AxonIvyEngine");
    for text in [closed.as_str(), LINE] {
        let result =
            with(&host(text).replace("JkIvyEngine Off\n", ""), "").private(YAML).config_test();
        assert!(!result.output.contains("is open there"), "{}", result.output);
    }
    let result = with(&host(&closed), "").private(YAML).config_test();
    assert!(!result.output.contains("is open there"), "{}", result.output);
}

#[test]
fn what_is_set_elsewhere_wins() {
    let workers = "worker.list=AxonIvyEngine\nworker.AxonIvyEngine.type=ajp13 \n\
                   worker.AxonIvyEngine.host=127.0.0.1\nworker.AxonIvyEngine.port=8009\n";
    accepted(
        with(LINE, "Connector.AJP.Port: 8010").workers(workers),
        &["warning: conf/ivy/configuration/ivy.yaml:1: Connector.AJP.Port: is not used: \
           worker.AxonIvyEngine.port at conf/workers.properties:4 wins; remove one of the two"],
    );
    accepted(
        with(
            "JkIvyEngine conf/ivy\nJkUserHeader X-User",
            "SSO.Enabled: on\nConnector.HTTP.Address: localhost",
        ),
        &[
            "warning: conf/test.conf:2: JkUserHeader: wins over the engine of conf/test.conf:1, which \
           reads the user in X-Forwarded-User: nobody is logged in there; remove the line, or write \
           JkUserHeader X-Forwarded-User",
        ],
    );
    refused(
        with("JkUserHeader \"X User\"\nJkUserHeader Host", ""),
        &[
            "conf/test.conf:1: JkUserHeader: \"X User\" is no name of a header; use a name such as \
             X-Forwarded-User",
            "conf/test.conf:2: JkUserHeader: Host has a meaning of its own; use a name such as \
             X-Forwarded-User",
        ],
    );
    accepted(
        with("JkRemoteUserIndicator HTTP_X_USER", ""),
        &[
            "warning: conf/test.conf:1: JkRemoteUserIndicator: HTTP_X_USER is a header of the client, who \
           can claim to be any user with it; let a module of httpd authenticate the user",
        ],
    );
    accepted(
        with("JkUserHeader X_User\nJkOptions +DropUnderscoreHeaders", ""),
        &[
            "warning: conf/test.conf:1: JkUserHeader: JkOptions +DropUnderscoreHeaders drops X_User: the \
           engine does not get the user in it; use - in place of _",
        ],
    );
}

#[test]
fn the_external_base_url_is_compared_with_the_virtual_host() {
    let site = "\
LogLevel info
<VirtualHost *:80>
ServerName ivy.example
JkIvyEngine conf/ivy
</VirtualHost>
<VirtualHost *:443>
ServerName ivy.example
ServerAlias www.ivy.example
SSLEngine on
JkIvyEngine conf/ivy
</VirtualHost>
";
    let with = |yaml: &str| with(site, yaml).modules(&["ssl"]);
    for yaml in [
        "BaseUrl: https://ivy.example",
        "BaseUrl: http://ivy.example",
        "Frontend:\n  HostName: www.ivy.example\n  Port: 443\n  Protocol: https",
    ] {
        let told = said(&with(yaml).config_test());
        assert_eq!(told, [""; 0], "{yaml}");
    }
    let yaml = "Frontend: {Protocol: https, HostName: ivy.example, Port: 443}";
    for (text, expected) in [
        (
            "BaseUrl: https://old.example",
            "warning: conf/ivy/configuration/ivy.yaml:1: BaseUrl: links in mails lead to \
             https://old.example, but the front end is https://ivy.example; write BaseUrl: \
             https://ivy.example"
                .to_owned(),
        ),
        (
            "Frontend:\n  HostName: ivy.example\n  Port: 8443",
            format!(
                "warning: conf/ivy/configuration/ivy.yaml:2: Frontend.HostName: links in mails lead to \
                 ?://ivy.example:8443, but the front end is https://ivy.example; write {yaml}"
            ),
        ),
        (
            "",
            format!(
                "note: conf/test.conf:4: JkIvyEngine: the engine does not know its external base URL: \
                 links in mails lead to its own address; write into its ivy.yaml: {yaml}"
            ),
        ),
    ] {
        let result = with(text).config_test();
        assert!(result.status.success(), "{}", result.output);
        assert_eq!(said(&result), [expected], "{}", result.output);
    }
}

/// The mistakes that the engine's documentation invites to (its copies of the cluster example have the
/// first one).
#[test]
fn documented_mistakes_are_diagnosed() {
    let cluster = "\
worker.list=XIvy
worker.AxonIvyEngine.type=lb
worker.AxonIvyEngine.balance_workers=AxonIvyEngineNode1,AxonIvyEngineNode2
worker.AxonIvyEngineNode1.type=ajp13 \nworker.AxonIvyEngineNode1.host=127.0.0.1
worker.AxonIvyEngineNode1.port=8009
worker.AxonIvyEngineNode1.lbfactor=2
worker.AxonIvyEngineNode1.route=ivynode1.soreco.ch
worker.AxonIvyEngineNode2.host=127.0.0.2
worker.AxonIvyEngineNode2.lbfactor=1
worker.AxonIvyEngineNode2.route=ivynode2.soreco.ch
";
    let unlisted = "worker.AxonIvyEngine: has properties but is not in worker.list, so it is not used; \
                    add AxonIvyEngine to worker.list, or remove its properties";
    accepted(
        with("JkMount /ivy/* AxonIvyEngine", "").workers(cluster),
        &[
            "warning: conf/workers.properties:1: worker.list: names XIvy, which has no properties; it is \
             type ajp13 at localhost, port 8009; properties without a place in the list exist for \
             AxonIvyEngine",
            &format!("warning: conf/workers.properties:2: {unlisted}"),
            "warning: conf/test.conf:1: JkMount: worker AxonIvyEngine is not in worker.list: requests \
             for this path get status 500; add AxonIvyEngine to worker.list, which names XIvy",
        ],
    );
    // The line for the engine lists the balancer of that name.
    accepted(
        with(LINE, "").workers(cluster),
        &[
            "warning: conf/workers.properties:1: worker.list: names XIvy, which has no properties; it is \
           type ajp13 at localhost, port 8009; set worker.XIvy.host and worker.XIvy.port",
        ],
    );
    // The other name of the file in the delivered folder.
    let result =
        with("JkWorkersFile conf/worker.properties", "").file("conf/workers.properties", "");
    refused(
        result,
        &[
            "conf/test.conf:1: JkWorkersFile: JkWorkersFile: Can't find the workers file specified: \
           conf/worker.properties is not a file; create it, or correct the path (relative ones are \
           below ServerRoot)",
        ],
    );
    let old = "worker.list=XpertIvyServer3x,AxonIvyEngine5x\nworker.XpertIvyServer3x.port=8009\n\
               worker.AxonIvyEngine5x.port=8010\n";
    accepted(
        with("JkMount /ivy/* XpertIvyServer3x\nJkMount /ivy5/* AxonIvyEngine", "").workers(old),
        &[
            "warning: conf/test.conf:2: JkMount: worker AxonIvyEngine is not in worker.list: requests for \
           this path get status 500; did you mean AxonIvyEngine5x? else add AxonIvyEngine to \
           worker.list",
        ],
    );
}

#[test]
fn the_blocks_of_the_guide_load() {
    let guide = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/doc/axonivy.md");
    let guide = std::fs::read_to_string(guide).expect("axonivy.md");
    let mut run = 0;
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').expect("a block");
        // No test asks a resolver for the names of samples.
        let text = ["ivy1", "ivynode1", "ivynode2"].iter().fold(text.to_owned(), |text, name| {
            text.replace(&format!("host={name}.example.com"), "host=127.0.0.1")
        });
        let builder = match kind {
            "apache" => {
                let lines = text.lines().filter(|line| !line.starts_with("LoadModule "));
                let lines: Vec<&str> = lines.collect();
                let yaml = "Connector.AJP.Port: 8009\n";
                let lines = lines
                    .join("\n")
                    .replace("/opt/ivy5", "conf/five")
                    .replace("/opt/ivy", "conf/ivy")
                    .replace("/etc/ivy/ivy.yaml", YAML);
                with(&lines, yaml).file("conf/five/configuration/ivy.yaml", yaml)
            }
            "yaml" => private(&text),
            "properties" => with(LINE, "").workers(&text),
            other => panic!("a block of type {other}"),
        };
        let result = builder.config_test();
        assert!(result.status.success(), "{text}{}", result.output);
        // The server of this test has another name.
        let is_fault = |said: &String| !said.contains("links in mails lead to");
        let faults: Vec<String> = said(&result).into_iter().filter(is_fault).collect();
        assert_eq!(faults, [""; 0], "{text}");
        run += 1;
    }
    assert_eq!(run, guide.matches("\n```").count() / 2);
    assert!(run > 7, "{run}");
}

#[test]
fn a_link_that_leads_nowhere_is_no_missing_file() {
    let httpd = with(LINE, "").start();
    let link = httpd.path("conf/ivy/configuration/ivy.webserver.yaml");
    std::os::unix::fs::symlink("nowhere", link).expect("symlink");
    let result = httpd.config_test();
    assert_eq!(
        said(&result),
        [
            "conf/test.conf:1: JkIvyEngine: conf/ivy/configuration/ivy.webserver.yaml cannot be read: No \
          such file or directory (os error 2); make it a file that the user who starts httpd can read"
        ]
    );
    assert!(!result.status.success());
}
