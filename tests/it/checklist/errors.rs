//! What `httpd -t` refuses [1.1], and what keeps httpd from starting [2]: the same with both
//! modules, in words that both say.

use super::case::{Case, alone, tested};
use super::run::Group;

pub(super) fn group() -> Group {
    let mut cases: Vec<Case> = DIRECTIVES
        .iter()
        .map(|(lines, text)| {
            let name = lines.lines().find_map(|line| line.strip_prefix("> ")).expect("a mark");
            tested(&format!("{name}: {text}"), lines).says(text, text)
        })
        .collect();
    cases.extend(STARTS.iter().map(|(lines, name)| {
        alone(&format!("does not start with {name}"), "JkMount /* @").workers(lines)
    }));
    Group {
        test: "mistakes_are_refused_with_the_same_words",
        modules: &[],
        config: "",
        workers: "",
        files: &[("conf/w.properties", "worker.list=w\n"), ("conf/m.properties", "/x=w\n")],
        cases,
    }
}

/// Lines of the main server, and what `httpd -t` says of the marked one.
const DIRECTIVES: [(&str, &str); 40] = [
    (
        "JkWorkersFile conf/w.properties\n> JkWorkersFile conf/w.properties",
        "JkWorkersFile only allowed once",
    ),
    (
        "> JkWorkersFile conf/none.properties",
        "JkWorkersFile: Can't find the workers file specified",
    ),
    ("> JkWorkersFile conf", "JkWorkersFile: Can't find the workers file specified"),
    ("> JkMountFile conf/none.properties", "JkMountFile: Can't find the mount file specified"),
    ("> JkMountFile conf", "JkMountFile: Can't find the mount file specified"),
    ("> JkMount w", "JkMount needs a path when not defined in a location"),
    (
        "<Location /x>\n> JkMount /y w\n</Location>",
        "JkMount can not have a path when defined in a location",
    ),
    ("> JkMount x w", "JkMount context should start with /"),
    ("> JkMount *.jsp w", "JkMount context should start with /"),
    ("<LocationMatch ^/x>\n> JkMount w\n</LocationMatch>", "JkMount context should start with /"),
    ("> JkUnMount w", "JkUnMount needs a path when not defined in a location"),
    (
        "<Location /x>\n> JkUnMount /y w\n</Location>",
        "JkUnMount can not have a path when defined in a location",
    ),
    ("> JkUnMount x w", "JkUnMount context should start with /"),
    ("> JkMountCopy Perhaps", "JkMountCopy must be All, On or Off"),
    ("> JkStripSession Perhaps", "JkStripSession must be On or Off"),
    ("> JkOptions +Nonsense", "JkOptions: Illegal option 'Nonsense'"),
    ("> JkOptions -Nonsense", "JkOptions: Illegal option 'Nonsense'"),
    (
        "> JkOptions -ForwardURIProxy",
        "JkOptions: Illegal option '-ForwardURIProxy': option can not be disabled",
    ),
    (
        "> JkOptions -ForwardURICompat",
        "JkOptions: Illegal option '-ForwardURICompat': option can not be disabled",
    ),
    (
        "> JkOptions -ForwardURIEscaped",
        "JkOptions: Illegal option '-ForwardURIEscaped': option can not be disabled",
    ),
    ("> JkExtractSSL Perhaps", "must be On or Off"),
    ("> JkWorkerProperty worker.w.nonsense=1", "nonsense"),
    (
        "<VirtualHost *:81>\n> JkWorkersFile conf/w.properties\n</VirtualHost>",
        "JkWorkersFile cannot occur within <VirtualHost> section",
    ),
    (
        "<VirtualHost *:81>\n> JkWorkerProperty worker.w.port=1\n</VirtualHost>",
        "JkWorkerProperty cannot occur within <VirtualHost> section",
    ),
    (
        "<VirtualHost *:81>\n> JkShmFile logs/shm\n</VirtualHost>",
        "JkShmFile cannot occur within <VirtualHost> section",
    ),
    (
        "<VirtualHost *:81>\n> JkShmSize 512\n</VirtualHost>",
        "JkShmSize cannot occur within <VirtualHost> section",
    ),
    (
        "<VirtualHost *:81>\n> JkWatchdogInterval 5\n</VirtualHost>",
        "JkWatchdogInterval cannot occur within <VirtualHost> section",
    ),
    (
        "<VirtualHost *:81>\n> JkMountCopy All\n</VirtualHost>",
        "JkMountCopy cannot occur within <VirtualHost> section",
    ),
    ("<Location /x>\n> JkLogLevel info\n</Location>", "JkLogLevel not allowed here"),
    ("<Location /x>\n> JkOptions +FlushHeader\n</Location>", "JkOptions not allowed here"),
    ("<Location /x>\n> JkEnvVar A\n</Location>", "JkEnvVar not allowed here"),
    ("<Directory /x>\n> JkAutoAlias /y\n</Directory>", "JkAutoAlias not allowed here"),
    ("> JkNonsense 1", "Invalid command 'JkNonsense'"),
    ("> JkLogFile", "JkLogFile takes one argument"),
    ("> JkLogLevel", "JkLogLevel takes one argument"),
    ("> JkLogStampFormat \"\"", "JkLogStampFormat takes one argument"),
    ("> JkMount", "JkMount takes 1-2 arguments"),
    ("> JkMount /a b c", "JkMount takes 1-2 arguments"),
    ("> JkEnvVar", "JkEnvVar takes 1-2 arguments"),
    ("> JkShmSize 1 2", "JkShmSize takes one argument"),
];

/// Lines of workers.properties, and what they are.
const STARTS: [(&str, &str); 8] = [
    ("> worker.@.nonsense=1", "an unknown property"),
    ("> worker.@.Port=1", "a property in upper case"),
    ("> worker.@.type=ajp31", "an unknown type"),
    ("> worker.@.type=AJP13", "a type in upper case"),
    ("> worker.@.reference=worker.none", "a reference to nothing"),
    (
        "worker.@a.reference=worker.@b\n> worker.@b.reference=worker.@a\n\
         worker.@b.port=1\nworker.@a.port=1",
        "a circle of references",
    ),
    ("> worker.@.mount=x", "a mount that does not begin with a slash"),
    (
        "> worker.@.host=a123456789b123456789c123456789d123456789e123456789f123456789g123",
        "a long host",
    ),
];
