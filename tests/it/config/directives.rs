//! Every directive: where it may stand, what it takes, and what is said about a mistake.

use super::{accepted, refused, said, with};

/// Every directive as one may find it.
const DIRECTIVES: [&str; 40] = [
    "JkWorkersFile conf/workers.properties",
    "JkWorkerProperty worker.w.port=8009",
    "JkShmFile logs/jk.shm",
    "JkShmSize 512",
    "JkWatchdogInterval 60",
    "JkStrict Off",
    "JkIvyEngine conf/ivy redirect=on",
    "JkUserHeader X-Forwarded-User",
    "JkMount /a/* w",
    "JkUnMount /a/b w",
    "JkMountFile conf/uriworkermap.properties",
    "JkMountFileReload 0",
    "JkMountCopy Off",
    "JkAutoAlias @ROOT@/htdocs",
    "JkStripSession On ;sid",
    "JkLogFile logs/jk.log",
    "JkLogLevel debug",
    "JkLogStampFormat \"[%a %b %d %H:%M:%S %Y] \"",
    "JkRequestLogFormat \"%w %V %T\"",
    "JkWorkerIndicator JK_WORKER_NAME",
    "JkRequestIdIndicator UNIQUE_ID",
    "JkRemoteAddrIndicator JK_REMOTE_ADDR",
    "JkRemotePortIndicator JK_REMOTE_PORT",
    "JkRemoteHostIndicator JK_REMOTE_HOST",
    "JkRemoteUserIndicator JK_REMOTE_USER",
    "JkAuthTypeIndicator JK_AUTH_TYPE",
    "JkLocalNameIndicator JK_LOCAL_NAME",
    "JkLocalAddrIndicator JK_LOCAL_ADDR",
    "JkLocalPortIndicator JK_LOCAL_PORT",
    "JkIgnoreCLIndicator JK_IGNORE_CL",
    "JkExtractSSL Off",
    "JkHTTPSIndicator HTTPS",
    "JkSSLPROTOCOLIndicator SSL_PROTOCOL",
    "JkCERTSIndicator SSL_CLIENT_CERT",
    "JkCIPHERIndicator SSL_CIPHER",
    "JkSESSIONIndicator SSL_SESSION_ID",
    "JkKEYSIZEIndicator SSL_CIPHER_USEKEYSIZE",
    "JkCERTCHAINPrefix SSL_CLIENT_CERT_CHAIN_",
    "JkOptions +ForwardURICompat -ForwardDirectories",
    "JkEnvVar SSL_CLIENT_S_DN \"none given\"",
];

/// The directives for all servers at once.
const GLOBAL: [&str; 6] = [
    "JkWorkersFile",
    "JkWorkerProperty",
    "JkShmFile",
    "JkShmSize",
    "JkWatchdogInterval",
    "JkStrict",
];

fn name(directive: &str) -> &str {
    directive.split(' ').next().expect("a word")
}

#[test]
fn every_directive_is_accepted_in_the_main_server() {
    let builder = with(&DIRECTIVES.join("\n"))
        .file("conf/uriworkermap.properties", "/b/*=w\n")
        .file("conf/ivy/configuration/ivy.yaml", "")
        .file("conf/workers.properties", "worker.list=w\n");
    accepted(builder, &[]);
}

#[test]
fn what_is_for_all_servers_is_refused_in_a_virtual_host() {
    let lines = format!("<VirtualHost *:81>\n{}\n</VirtualHost>", DIRECTIVES.join("\n"));
    let builder = with(&lines)
        .file("conf/uriworkermap.properties", "/b/*=w\n")
        .file("conf/ivy/configuration/ivy.yaml", "")
        .file("conf/workers.properties", "worker.list=w\nworker.w.port=1\n")
        .config("JkWorkersFile conf/workers.properties");
    let expected: Vec<String> = (2..)
        .zip(DIRECTIVES)
        .filter(|(_, directive)| GLOBAL.contains(&name(directive)))
        .map(|(line, directive)| {
            let name = name(directive);
            format!(
                "conf/test.conf:{line}: {name}: {name} cannot occur within <VirtualHost> section; \
                 move it out of the section, into the main server"
            )
        })
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    refused(builder, &expected);
    let all = with("<VirtualHost *:81>\nJkMountCopy All\n</VirtualHost>");
    refused(
        all,
        &["conf/test.conf:2: JkMountCopy: JkMountCopy cannot occur within <VirtualHost> section; \
           move it out of the section, into the main server"],
    );
}

#[test]
fn only_mounts_may_stand_in_a_section() {
    for directive in DIRECTIVES {
        let name = name(directive);
        if matches!(name, "JkMount" | "JkUnMount") {
            continue;
        }
        let result = with(&format!("<Location /x>\n{directive}\n</Location>")).config_test();
        let text = format!("{name} not allowed in <Location> context");
        assert!(result.output.contains(&text), "{name}: {}", result.output);
    }
    accepted(
        with(
            "JkWorkerProperty worker.w.port=1\nJkWorkerProperty worker.list=w\n\
              <Location /x>\nJkMount w\n</Location>\n<Location /x/y>\nJkUnMount w\n</Location>",
        ),
        &[],
    );
}

/// Each line, and what is said about it.
const MISTAKES: [(&str, &str); 15] = [
    (
        "JkWatchdogInterval 9223372036854775807",
        "warning: JkWatchdogInterval: \"9223372036854775807\" is not a number of seconds, it is read \
         as 2147483647; use a whole number without a unit, such as 60",
    ),
    (
        "JkMountCopy Some",
        "JkMountCopy: JkMountCopy must be All, On or Off; use All or Off in the main server, On or \
         Off in a virtual host",
    ),
    (
        "JkMountFile conf/none.properties",
        "JkMountFile: JkMountFile: Can't find the mount file specified: conf/none.properties is \
         not a file; create it, or correct the path (relative ones are below ServerRoot)",
    ),
    ("JkStripSession Perhaps", "JkStripSession: JkStripSession must be On or Off; use On or Off"),
    (
        "JkOptions +FlushPacket",
        "JkOptions: JkOptions: Illegal option 'FlushPacket'; did you mean FlushPackets?",
    ),
    (
        "JkOptions -ForwardURIProxy",
        "JkOptions: JkOptions: Illegal option '-ForwardURIProxy': option can not be disabled; name \
         the ForwardURI option to use instead, ForwardURIProxy is the default",
    ),
    (
        "JkOptions +CollapseSlashesAll",
        "warning: JkOptions: Deprecated CollapseSlashes setting ignored; remove it: paths are \
         compared as Tomcat sees them",
    ),
    (
        "JkOptions -FlushHeader \"+FlushHeader\"",
        "warning: JkOptions: +FlushHeader and another line switch the same option on and off, it \
         is off; keep one of the two",
    ),
    (
        "JkMountFileReload soon",
        "warning: JkMountFileReload: \"soon\" is not a number of seconds, it is read as 0; use a \
         whole number without a unit, such as 60",
    ),
    (
        "JkWatchdogInterval 60s",
        "warning: JkWatchdogInterval: \"60s\" is not a number of seconds, it is read as 60; use a \
         whole number without a unit, such as 60",
    ),
    (
        "JkShmSize much",
        "warning: JkShmSize: \"much\" is not a number of KiB; remove the line, the size is found out",
    ),
    (
        "JkAutoAlias @ROOT@/logs/none",
        "warning: JkAutoAlias: logs/none is not a folder, nothing is aliased; create it, or \
         correct the path",
    ),
    (
        "JkEnvVar NAME \"\"",
        "warning: JkEnvVar: an empty default is no default: the attribute is sent only where the \
         variable is set; remove the quotes, or give a default that is not empty",
    ),
    (
        "JkRequestLogFormat %w%x",
        "warning: JkRequestLogFormat: Unrecognized JkRequestLogFormat directive %x, no request is \
         logged; use %b %B %H %m %p %q %r %s %T %U %v %V %w %R",
    ),
    (
        "JkLogStampFormat %c",
        "warning: JkLogStampFormat: has no effect without JkLogFile, the lines go to httpd's ErrorLog; \
         set JkLogFile, or remove the line",
    ),
];

#[test]
fn every_mistake_is_said_with_its_remedy() {
    for (line, expected) in MISTAKES {
        let (kind, text) = match expected.strip_prefix("warning: ") {
            Some(text) => ("warning: ", text),
            None => ("", expected),
        };
        let expected = format!("{kind}conf/test.conf:1: {text}");
        if kind.is_empty() {
            refused(with(line), &[&expected]);
        } else {
            accepted(with(line), &[&expected]);
            let strict = expected.replace("warning: ", "");
            refused(with(&format!("{line}\nJkStrict On")), &[&strict]);
        }
    }
}

#[test]
fn arguments_are_counted() {
    for (line, expected) in [
        ("JkMount", "JkMount takes 1-2 arguments"),
        ("JkMount /a b c", "JkMount takes 1-2 arguments"),
        ("JkLogLevel", "JkLogLevel takes one argument"),
        ("JkEnvVar", "JkEnvVar takes 1-2 arguments"),
        ("JkExtractSSL Perhaps", "JkExtractSSL must be On or Off"),
        ("JkStrict Perhaps", "JkStrict must be On or Off"),
    ] {
        let result = with(line).config_test();
        assert!(result.output.contains(expected), "{line}: {}", result.output);
    }
}

#[test]
fn memory_without_a_file_is_told_to_those_who_look() {
    let result = with("LogLevel info\nJkShmFile logs/jk.shm\nJkShmSize 100").config_test();
    assert!(result.status.success(), "{}", result.output);
    assert_eq!(
        said(&result),
        [
            "note: conf/test.conf:2: JkShmFile: has no effect: httpd's children share memory that \
             has no file; remove the line once C mod_jk is not needed any more",
            "note: conf/test.conf:3: JkShmSize: has no effect: the size is found out from the \
             workers; remove the line once C mod_jk is not needed any more",
        ]
    );
}

#[test]
fn mounts_that_no_virtual_host_inherits_are_warned_of() {
    let workers = "JkWorkerProperty worker.list=w\nJkWorkerProperty worker.w.port=1\n";
    let lost = "warning: conf/test.conf:3: JkMount: no virtual host inherits the main server's \
                mounts: requests that belong to a virtual host do not get to the engine by them; \
                write JkMountCopy All in the main server, or move the mounts into the virtual host";
    let host = |lines: &str| format!("<VirtualHost *:81>\n{lines}\n</VirtualHost>\n");
    let check = |lines: &str, expected: &[&str]| {
        accepted(with(&format!("{workers}JkMount /a w\n{lines}")), expected);
    };
    check("", &[]);
    check(&host(""), &[lost]);
    check(&host("JkMount /b w"), &[lost]);
    check(&host("JkMountCopy On"), &[]);
    check(&host("JkMountCopy On\nJkMount /b w"), &[]);
    check(&host("JkMountCopy On\nJkMount /a w"), &[]);
    check(&format!("{}{}", host(""), host("JkMountCopy On")), &[]);
    check(&format!("JkMountCopy All\n{}", host("")), &[]);
    check(&format!("JkMountCopy All\n{}", host("JkMountCopy Off")), &[lost]);
}

#[test]
fn an_option_that_a_shared_table_takes_away_is_warned_of() {
    let lines = |main: &str, host: &str| {
        format!(
            "JkWorkerProperty worker.list=w\nJkWorkerProperty worker.w.port=1\nJkMount /a w\n{main}\n\
             <VirtualHost *:81>\n{host}\nJkMountCopy On\n</VirtualHost>"
        )
    };
    let option = "JkOptions +RejectUnsafeURI";
    let warning = "warning: conf/test.conf:6: JkOptions: RejectUnsafeURI has no effect here: the \
                   virtual host has the main server's rules, and the main server's option with \
                   them; set the option in the main server, or mount something in the virtual host";
    accepted(with(&lines("", option)), &[warning]);
    accepted(with(&lines(option, option)), &[]);
    accepted(with(&lines("", &format!("{option}\nJkMount /b w"))), &[]);
}
