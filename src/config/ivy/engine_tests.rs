#![forbid(unsafe_code)]

use std::path::PathBuf;

use super::*;
use crate::config::{Defaults, ivy::Source, validate};

struct Scene {
    line: EngineLine,
    files: EngineFiles,
    problems: Problems,
}

impl Scene {
    fn new(keys: &str, yaml: &str) -> Scene {
        let words: Vec<Vec<u8>> =
            keys.split(' ').filter(|w| !w.is_empty()).map(Into::into).collect();
        let mut problems = Problems::new();
        let place = Place::new("c", 1);
        let line = EngineLine::parse(PathBuf::new(), &words, &place, &mut problems).unwrap();
        let source = Source { name: "ivy.yaml", text: yaml.as_bytes() };
        let files = EngineFiles::read(source, None, &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        Scene { line, files, problems }
    }

    fn engine(&self) -> Engine<'_> {
        Engine { line: &self.line, files: &self.files }
    }

    /// The worker with these properties, and what is said.
    fn worker(mut self, properties: &str) -> (WorkerConfig, Vec<String>) {
        let mut all = Properties::new();
        all.read_text(properties.as_bytes(), "w", &|_| None, &mut self.problems);
        let engine = Engine { line: &self.line, files: &self.files };
        engine.check(&mut self.problems);
        engine.add_to(&mut all, &mut self.problems);
        let workers = validate(&mut all, &Defaults { pool_size: 8 }, &mut self.problems).workers;
        let is_it = |worker: &&WorkerConfig| worker.name() == &self.line.worker;
        let worker = workers.iter().find(is_it).unwrap().clone();
        engine.check_access(Some(&worker), &mut self.problems);
        (worker, self.problems.iter().map(ToString::to_string).collect())
    }
}

/// Host and port or socket, and whether there is a secret; and what is said.
#[track_caller]
fn check(keys: &str, yaml: &str, properties: &str, expected: &str, said: &[&str]) {
    let (worker, problems) = Scene::new(keys, yaml).worker(properties);
    let target = match &worker {
        WorkerConfig::Ajp13(config) => {
            let secret = config
                .secret
                .as_ref()
                .map(|secret| format!(" {}", String::from_utf8_lossy(secret.expose())));
            match &config.target {
                Target::Tcp { host, port } => {
                    format!("{host} {port}{}", secret.unwrap_or_default())
                }
                Target::Unix(path) => format!("{}{}", path.display(), secret.unwrap_or_default()),
                Target::Never { why, .. } => why.clone(),
            }
        }
        other => other.type_name().to_string(),
    };
    assert_eq!(
        (target.as_str(), problems),
        (expected, said.iter().map(|s| (*s).to_string()).collect())
    );
}

#[test]
fn the_worker_is_as_the_files_say() {
    for (keys, yaml, expected) in [
        ("", "", "localhost 8009"),
        ("", "Connector.AJP: {Port: 8010, Secret: s}", "localhost 8010 s"),
        ("", "Connector.AJP: {Address: 127.0.0.2, Secret: s}", "127.0.0.2 8009 s"),
        ("", "Connector.AJP: {Address: 0.0.0.0, Secret: s}", "127.0.0.1 8009 s"),
        ("", "Connector.AJP: {Address: '::', Secret: s}", "::1 8009 s"),
        ("", "Connector.AJP: {Address: '[fe80::1]', Secret: s}", "fe80::1 8009 s"),
        ("host=ivy port=8011", "Connector.AJP: {Address: 0.0.0.0, Secret: s}", "ivy 8011 s"),
        ("host=[::1]", "", "::1 8009"),
        ("worker=w", "AJP.Port: 8010", "localhost 8010"),
        #[cfg(unix)]
        ("socket=/run/a.sock", "Connector.AJP: {Port: 8010, Secret: s}", "/run/a.sock s"),
    ] {
        check(keys, yaml, "", expected, &[]);
    }
}

#[test]
fn properties_win_and_it_is_said() {
    let name = "worker.AxonIvyEngine";
    check("", "", &format!("{name}.host=h.test\n{name}.secret=t"), "h.test 8009 t", &[]);
    check(
        "",
        "Connector.AJP:\n  Address: localhost\n  Port: 8010\n  Secret: s",
        &format!(
            "{name}.host=127.0.0.2\n{name}.port=8010\n{name}.secret=t\nworker.list=a\nworker.a.port=1"
        ),
        "127.0.0.2 8010 t",
        &[
            "ivy.yaml:2: Connector.AJP.Address: is not used: worker.AxonIvyEngine.host at w:1 wins; \
             remove one of the two",
            "ivy.yaml:3: Connector.AJP.Port: says the same as worker.AxonIvyEngine.port at w:2",
            "ivy.yaml:4: Connector.AJP.Secret: is not used: worker.AxonIvyEngine.secret at w:3 wins; \
             remove one of the two",
        ],
    );
    check(
        "host=127.0.0.3",
        "",
        &format!("{name}.host=127.0.0.2"),
        "127.0.0.2 8009",
        &[
            "c:1: JkIvyEngine: is not used: worker.AxonIvyEngine.host at w:1 wins; remove one of the two",
        ],
    );
    let template = format!("{name}.reference=worker.t\nworker.t.host=127.0.0.2");
    let mut all = Properties::new();
    let mut problems = Problems::new();
    all.read_text(template.as_bytes(), "w", &|_| None, &mut problems);
    all.resolve_references(&mut problems);
    Scene::new("", "").engine().add_to(&mut all, &mut problems);
    assert_eq!(all.value(b"worker.AxonIvyEngine.host"), Some(&b"127.0.0.2"[..]));
}

#[cfg(unix)]
#[test]
fn a_socket_and_an_address_are_one_setting() {
    let name = "worker.AxonIvyEngine";
    check(
        "socket=/a",
        "",
        &format!("{name}.host=localhost"),
        "localhost 8009",
        &[
            "c:1: JkIvyEngine: is not used: worker.AxonIvyEngine.host at w:1 wins; remove one of the two",
        ],
    );
    check(
        "",
        "Connector.AJP.Port: 8010",
        &format!("{name}.socket=/b"),
        "/b",
        &[
            "ivy.yaml:1: Connector.AJP.Port: is not used: worker.AxonIvyEngine.socket at w:1 wins; remove \
           one of the two",
        ],
    );
    check(
        "socket=/a host=h",
        "",
        "",
        "/a",
        &[
            "c:1: JkIvyEngine: host= and port= have no effect beside socket=; remove them, or remove socket=",
        ],
    );
}

#[test]
fn a_balancer_of_that_name_is_the_worker() {
    check(
        "",
        "Connector.AJP.Port: 8010",
        "worker.AxonIvyEngine.type=lb\nworker.AxonIvyEngine.balance_workers=n1\nworker.n1.port=8010",
        "lb",
        &[
            "c:1: JkIvyEngine: worker AxonIvyEngine is of type lb by w:1: host, port and secret of the \
           engine are not used",
        ],
    );
}

#[test]
fn paths_follow_the_context() {
    for (keys, yaml, mount, denied, redirect) in [
        ("", "", "/ivy|/*", "/ivy/system", None),
        (
            "redirect=on",
            "WebServer.IvyContextName: workflow",
            "/workflow|/*",
            "/workflow/system",
            Some("/workflow/"),
        ),
        (
            "context=/a/b/ redirect=on",
            "WebServer.IvyContextName: c",
            "/a/b|/*",
            "/a/b/system",
            Some("/a/b/"),
        ),
        ("context=/ system=deny", "", "/*", "/system", None),
        ("", "WebServer.IvyContextName: ''", "/*", "/system", None),
        ("system=allow deny=/ivy/x/", "", "/ivy|/*", "/ivy/x", None),
    ] {
        let scene = Scene::new(keys, yaml);
        let engine = scene.engine();
        let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
        assert_eq!(text(engine.mount()), mount);
        assert_eq!(engine.denied().into_iter().map(text).collect::<Vec<_>>(), [denied]);
        assert_eq!(engine.redirect().map(text).as_deref(), redirect);
    }
}

#[test]
fn what_cannot_be_is_said() {
    let off = "ivy.yaml:1: Connector.AJP.Enabled: the AJP connector of the engine is off, so no front \
               end can connect; write true, or remove the line";
    check("", "Connector.AJP.Enabled: no", "", "localhost 8009", &[off]);
    check(
        "context=/ redirect=on",
        "",
        "",
        "localhost 8009",
        &[
            "c:1: JkIvyEngine: redirect=on has no effect: / is the application itself; remove redirect=on",
        ],
    );
    check(
        "deny=/x deny=/ivyx/y deny=/ivy/z deny=/ivy/",
        "",
        "",
        "localhost 8009",
        &[
            "c:1: JkIvyEngine: deny=/x is not below the application, which is at /ivy; write the context as \
         well: deny=/ivy/x",
            "c:1: JkIvyEngine: deny=/ivyx/y is not below the application, which is at /ivy; write the \
         context as well: deny=/ivy/ivyx/y",
            "c:1: JkIvyEngine: deny=/ivy denies the whole application; remove it, or name a path below",
        ],
    );
}

#[test]
fn open_doors_are_warned_of() {
    let ajp = |at: &str, address: &str| {
        format!(
            "{at}: the AJP connector at {address} has no secret: whoever reaches it can claim to be \
             any user; set Connector.AJP.Secret in ivy.yaml, and let only this host in by a firewall \
             on the engine's host"
        )
    };
    let at = "ivy.yaml:1: Connector.AJP.Address";
    for (keys, yaml, properties, expected, said) in [
        ("", "Connector.AJP.Address: 0.0.0.0", "", "127.0.0.1 8009", Some(ajp(at, "0.0.0.0"))),
        ("", "Connector.AJP.Address: 10.0.0.5", "", "10.0.0.5 8009", Some(ajp(at, "10.0.0.5"))),
        ("", "Connector.AJP.Address: ivy.test", "", "ivy.test 8009", Some(ajp(at, "ivy.test"))),
        ("host=10.0.0.5", "", "", "10.0.0.5 8009", Some(ajp("c:1: JkIvyEngine", "10.0.0.5"))),
        ("", "Connector.AJP.Address: '::1'", "", "::1 8009", None),
        ("", "Connector.AJP.Address: LocalHost", "", "LocalHost 8009", None),
        ("", "Connector.AJP.Address: 127.9.9.9", "", "127.9.9.9 8009", None),
        ("host=10.0.0.5", "Connector.AJP.Secret: s", "", "10.0.0.5 8009 s", None),
        ("host=10.0.0.5", "", "worker.AxonIvyEngine.secret=s", "10.0.0.5 8009 s", None),
    ] {
        check(
            keys,
            yaml,
            properties,
            expected,
            &said.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    let http = |at: &str, address: &str, header: &str| {
        format!(
            "ivy.yaml:{at}: the HTTP connector of the engine listens on {address}, and single sign-on \
             is on: whoever reaches it can claim to be any user with the header {header}; write \
             Connector.HTTP.Address: localhost"
        )
    };
    for (yaml, said) in [
        ("SSO.Enabled: on", Some(http("1: SSO.Enabled", "all addresses", "X-Forwarded-User"))),
        (
            "SSO: {Enabled: on, UserHeader: X-U}",
            Some(http("1: SSO.Enabled", "all addresses", "X-U")),
        ),
        (
            "SSO.Enabled: on\nConnector.HTTP.Address: 0.0.0.0",
            Some(http("2: Connector.HTTP.Address", "0.0.0.0", "X-Forwarded-User")),
        ),
        ("SSO.Enabled: on\nConnector.HTTP.Address: localhost", None),
        ("SSO.Enabled: on\nConnector.HTTP.Enabled: no", None),
        ("SSO.Enabled: off", None),
    ] {
        check("", yaml, "", "localhost 8009", &said.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn members_without_secret_are_open_doors() {
    let lb = "worker.AxonIvyEngine.type=lb\nworker.AxonIvyEngine.balance_workers=n1,n2\n\
              worker.n1.host=127.0.0.1\nworker.n2.port=8010\n";
    let note = "c:1: JkIvyEngine: worker AxonIvyEngine is of type lb by w:1: host, port and secret of \
                the engine are not used";
    let open = |at: &str, address: &str| {
        format!(
            "{at}: the AJP connector at {address} has no secret: whoever reaches it can claim to be any \
             user; set worker.AxonIvyEngine.secret, and Connector.AJP.Secret in ivy.yaml, and let only \
             this host in by a firewall on the engine's host"
        )
    };
    let bound = "ivy.yaml:1: Connector.AJP.Address";
    for (yaml, properties, said) in [
        ("", "", None),
        ("", "worker.n2.host=10.0.0.5", Some(open("c:1: JkIvyEngine", "10.0.0.5"))),
        ("Connector.AJP.Address: 0.0.0.0", "", Some(open(bound, "0.0.0.0"))),
        ("Connector.AJP.Address: 0.0.0.0", "worker.AxonIvyEngine.secret=s", None),
        ("", "worker.n2.host=10.0.0.5\nworker.n2.secret=s", None),
    ] {
        let said: Vec<&str> = [note].into_iter().chain(said.as_deref()).collect();
        check("", yaml, &format!("{lb}{properties}"), "lb", &said);
    }
}

#[test]
fn what_only_the_engine_knows_is_to_be_said_otherwise() {
    let open = "has a ${...}, and only the engine knows what that stands for; write";
    for (yaml, key, remedy, keys, properties, expected) in [
        (
            "Connector.AJP.Secret: '${decrypt:x}'",
            "Connector.AJP.Secret",
            "the value itself, or set worker.AxonIvyEngine.secret",
            "",
            "worker.AxonIvyEngine.secret=s",
            "localhost 8009 s",
        ),
        (
            "Connector.AJP: {Address: '${ivy.host}', Secret: s}",
            "Connector.AJP.Address",
            "the value itself, or set worker.AxonIvyEngine.host",
            "host=::1",
            "",
            "::1 8009 s",
        ),
        (
            "WebServer.IvyContextName: ${name}",
            "WebServer.IvyContextName",
            "the name itself, or context= into the JkIvyEngine line",
            "context=flow",
            "",
            "localhost 8009",
        ),
    ] {
        let (_, said) = Scene::new("", yaml).worker("");
        assert_eq!(said.first(), Some(&format!("ivy.yaml:1: {key}: {open} {remedy}")));
        let (_, said) = Scene::new(keys, yaml).worker(properties);
        assert!(!said.iter().any(|said| said.contains(open)), "{said:?}");
        if properties.is_empty() {
            check(keys, yaml, properties, expected, &[]);
        }
    }
    assert!(!is_placeholder(b"a$b}{") && !is_placeholder(b"${a"));
}
