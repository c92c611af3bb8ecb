//! What an administrator copies: each file of apache-conf and misc/apache loads as it is, and serves.

use std::collections::BTreeSet;

use crate::config::{accepted, said};
use crate::support::client::{Client, curl, get};
use crate::support::engine::Engine;
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::packet::Attr;
use crate::support::process::output;
use crate::support::tls::certificates;

use super::{read, root};

/// The sites, and the modules that the head of each tells to enable.
const SITES: [(&str, &[&str]); 8] = [
    ("ivy-cluster.conf", &["alias"]),
    ("ivy-engine.conf", &[]),
    ("ivy-site.conf", &["alias"]),
    ("ivy-sso-basic.conf", &["authn_core", "auth_basic", "authn_file", "authz_user"]),
    ("ivy-sso-kerberos.conf", &["authn_core", "ssl", "auth_gssapi", "authz_user"]),
    ("ivy-sso-openid.conf", &["authn_core", "ssl", "auth_openidc", "authz_user"]),
    ("ivy-tls.conf", &["alias", "ssl", "http2", "headers"]),
    ("ivy-websocket.conf", &["rewrite", "proxy", "proxy_wstunnel"]),
];

fn files_in(dir: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(dir)).expect("a directory");
    let names = entries.map(|entry| entry.expect("it").file_name());
    names.map(|name| name.into_string().expect("UTF-8")).collect()
}

fn module_file() -> Vec<u8> {
    std::fs::read(Module::Ours.path()).expect("the module")
}

/// An httpd with jk.load, jk.conf and one site, as a2enmod and a2ensite link them.
fn debian(site: &str, modules: &[&str], edit: impl Fn(String) -> String) -> Builder {
    let certificates = certificates();
    let module = Module::Ours.path().display().to_string();
    let load = read("apache-conf/jk.load").replace("/usr/lib/apache2/modules/mod_jk.so", &module);
    let site = edit(read(&format!("apache-conf/{site}")))
        .replace("/etc/ssl/certs/ivy.example.com.pem", &certificates.server.display().to_string())
        .replace(
            "/etc/ssl/private/ivy.example.com.key",
            &certificates.server_key.display().to_string(),
        )
        .replace("/opt/ivy", "@ROOT@/my ivy");
    Httpd::builder_without_jk()
        .modules(modules)
        .file("mods/jk.load", load)
        .file("mods/jk.conf", read("apache-conf/jk.conf"))
        .file("my ivy/configuration/ivy.yaml", "Connector.AJP.Port: 8009\n")
        .file("sites/site.conf", site)
        .config(
            "Define APACHE_LOG_DIR @ROOT@/logs\nInclude mods/jk.load\nInclude mods/jk.conf\n\
             Include sites/site.conf",
        )
}

/// The site, served at the main port, with `workers.properties` and one engine.
fn serving(site: &str, port: &str, engine: &Engine) -> Builder {
    let (_, modules) = SITES.iter().find(|(name, _)| *name == site).expect("a site");
    let workers = read("apache-conf/workers.properties")
        .replace("host=localhost", "host=127.0.0.1")
        .replace("port=8009", &format!("port={}", engine.port()));
    debian(site, modules, |text| text.replace(&format!("*:{port}>"), "*:@PORT@>"))
        .file("workers.properties", workers)
}

/// Makes the commented line with `key` a line in force.
fn uncomment(text: &str, key: &str, value: &str) -> String {
    let is_it = |line: &str| line.starts_with("#worker.") && line.contains(key);
    assert_eq!(text.lines().filter(|line| is_it(line)).count(), 1, "{key}");
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if is_it(line) => format!("{rest}{value}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn every_file_of_apache_conf_loads() {
    let mut known: BTreeSet<String> = SITES.iter().map(|(name, _)| (*name).to_owned()).collect();
    known.extend(["jk.conf", "jk.load", "workers.properties"].map(str::to_owned));
    assert_eq!(files_in("apache-conf"), known, "a file without a test");
    let load = read("apache-conf/jk.load");
    let line = "LoadModule jk_module /usr/lib/apache2/modules/mod_jk.so";
    assert_eq!(load.lines().filter(|known| *known == line).count(), 1, "{load}");

    let properties = read("apache-conf/workers.properties");
    for (site, modules) in SITES {
        // Nobody asks for addresses that only exist in samples.
        let local = |text: String| {
            ["1", "2"].iter().fold(text, |text, node| {
                text.replace(&format!("host=ivynode{node}.example.com"), "host=127.0.0.1")
            })
        };
        let builder = debian(site, modules, local).file("workers.properties", &properties);
        accepted(builder, &[]);
    }
    // The lines to choose from are right, too.
    let site = || debian("ivy-site.conf", &["alias"], |text| text);
    accepted(site().file("workers.properties", uncomment(&properties, ".secret=", "hush")), &[]);
    let socket = uncomment(&properties, ".socket=", "");
    let socket: String = socket
        .lines()
        .filter(|line| !line.contains(".host=") && !line.contains(".port="))
        .map(|line| format!("{line}\n"))
        .collect();
    accepted(site().file("workers.properties", socket), &[]);
}

#[test]
fn the_plain_site_serves() {
    let engine = Engine::recording().start();
    let httpd = serving("ivy-site.conf", "80", &engine).start();
    assert_eq!(get(httpd.addr(), "/ivy/page").text(), "/ivy/page");
    let redirect = get(httpd.addr(), "/");
    assert_eq!(redirect.status(), 302);
    assert!(redirect.header("Location").is_some_and(|place| place.ends_with("/ivy/")));
    for inside in
        ["/ivy/system", "/ivy/system/x", "/ivy/%73ystem/x", "/ivy;a/system/", "/ivy//system"]
    {
        assert_eq!(get(httpd.addr(), inside).status(), 404, "{inside}");
    }
    assert_eq!(engine.requests().len(), 1);
}

#[test]
fn the_site_of_an_engine_serves() {
    let engine = Engine::recording().start();
    let yaml = format!("Connector:\n  AJP:\n    Port: {}\n    Secret: hush\n", engine.port());
    let httpd = serving("ivy-engine.conf", "80", &engine)
        .file("my ivy/configuration/ivy.yaml", yaml)
        .start();
    assert_eq!(get(httpd.addr(), "/ivy/page").text(), "/ivy/page");
    assert_eq!(get(httpd.addr(), "/ivy/system/x").status(), 403);
    assert_eq!(get(httpd.addr(), "/").header("Location"), Some("/ivy/"));
}

#[test]
fn the_site_with_tls_serves_http2() {
    let engine = Engine::recording().start();
    let httpd = serving("ivy-tls.conf", "443", &engine).start();
    let url = format!("https://localhost:{}/ivy/page", httpd.addr().port());
    let ca = certificates().ca.display().to_string();
    let answer = curl(&["--http2", "--cacert", &ca, &url]);
    assert_eq!((answer.status, &*answer.version), (200, "2"), "{}", answer.complaint);
    assert_eq!(answer.body, b"/ivy/page");
    let is_strict = |(name, _): &(String, String)| name == "strict-transport-security";
    assert!(answer.headers.iter().any(is_strict), "{:?}", answer.headers);
    assert!(engine.requests()[0].is_ssl, "the engine sees https");
}

#[test]
fn the_site_with_basic_authentication_serves_users_only() {
    let engine = Engine::recording().start();
    // anna, secret
    let passwords =
        output(std::process::Command::new("openssl").args(["passwd", "-apr1", "secret"]));
    let httpd = serving("ivy-sso-basic.conf", "80", &engine)
        .file("sites/site.conf", {
            read("apache-conf/ivy-sso-basic.conf")
                .replace("*:80>", "*:@PORT@>")
                .replace("/etc/apache2/ivy.passwd", "@ROOT@/conf/ivy.passwd")
        })
        .file("conf/ivy.passwd", format!("anna:{passwords}"))
        .start();
    let mut client = Client::connect(httpd.addr());
    assert_eq!(client.get("/ivy/page").status(), 401);
    let login = [("Authorization", "Basic YW5uYTpzZWNyZXQ="), ("X-Forwarded-User", "root")];
    // No spelling of a page is one of a service.
    for page in [
        "/ivy/api/../page",
        "/ivy/api/..;/page",
        "/ivy/api/..;a=b/page",
        "/ivy/api/%2e%2e/page",
        "/ivy/api/%2e%2e;/page",
        "/ivy/api;/../page",
        "/ivy/api/./..;/page",
        "/ivy/api/x/..;/..;/page",
        "/ivy//page",
        "/ivy;/page",
    ] {
        let mut client = Client::connect(httpd.addr());
        let status = client.get(page).status();
        assert!([400, 401, 404].contains(&status), "{page}: {status}");
    }
    let mut client = Client::connect(httpd.addr());
    assert_eq!(client.request("GET", "/ivy/page", &login, b"").status(), 200);
    assert_eq!(client.request("GET", "/ivy/api/x", &login, b"").status(), 200);
    assert_eq!(client.get("/ivy/api/x").status(), 200);
    let requests = engine.requests();
    let anna = Attr::RemoteUser(Some("anna".into()));
    assert!(requests[0].attributes.contains(&anna), "{:?}", requests[0]);
    assert_eq!(requests[0].header_values("x-forwarded-user"), ["anna"]);
    assert!(requests[1].header_values("x-forwarded-user").is_empty());
    // The engine itself judges the login of a service.
    assert!(!requests[1].attributes.contains(&anna), "{:?}", requests[1]);
    assert_eq!(requests[1].header("Authorization").as_deref(), Some(login[0].1));
    assert_eq!(requests.len(), 3);
}

/// Engines as nodes 1 and 2: their hosts and ports instead of those in `text`.
fn as_nodes(text: &str, nodes: [&Engine; 2]) -> String {
    let mut text = text.to_owned();
    for (number, node) in (1..).zip(nodes) {
        let sample = format!("host=ivynode{number}.example.com");
        let line = text.lines().find(|line| line.contains(&sample)).expect("a host").to_owned();
        let port = line.replace(&sample, &format!("port={}", node.port()));
        text = text.replace(&line, &format!("{}\n{port}", line.replace(&sample, "host=127.0.0.1")));
    }
    text
}

/// Node 1 gets two of three requests, and a session stays where it is.
#[track_caller]
fn serves_as_a_cluster(httpd: &Httpd, nodes: [&Engine; 2]) {
    for _ in 0..6 {
        assert_eq!(get(httpd.addr(), "/ivy/page").status(), 200);
    }
    assert_eq!(nodes.map(|node| node.requests().len()), [4, 2]);
    for (number, node) in (1..).zip(nodes) {
        let cookie = format!("JSESSIONID=0a1b.ivynode{number}.example.com");
        let before = node.requests().len();
        for _ in 0..3 {
            let mut client = Client::connect(httpd.addr());
            client.request("GET", "/ivy/page", &[("Cookie", &cookie)], b"");
        }
        assert_eq!(node.requests().len(), before + 3, "the session of node {number}");
    }
}

#[test]
fn the_site_of_a_cluster_serves() {
    let nodes = [Engine::recording().start(), Engine::recording().start()];
    let site = as_nodes(&read("apache-conf/ivy-cluster.conf"), [&nodes[0], &nodes[1]]);
    let httpd = debian("ivy-cluster.conf", &["alias"], |_| site.replace("*:80>", "*:@PORT@>"))
        .file("workers.properties", read("apache-conf/workers.properties"))
        .start();
    serves_as_a_cluster(&httpd, [&nodes[0], &nodes[1]]);
}

#[test]
fn websockets_go_to_the_http_port_and_all_else_by_ajp() {
    use std::io::{Read, Write};
    let engine = Engine::recording().start();
    let sockets = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = sockets.local_addr().expect("it").port();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = sockets.accept().expect("a connection");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                      Connection: Upgrade\r\n\r\nhello";
        stream.write_all(answer.as_bytes()).expect("it");
        String::from_utf8_lossy(&head).into_owned()
    });
    let site = read("apache-conf/ivy-websocket.conf")
        .replace("*:80>", "*:@PORT@>")
        .replace("localhost:8080", &format!("127.0.0.1:{port}"));
    let httpd = serving("ivy-websocket.conf", "80", &engine).file("sites/site.conf", site).start();
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    for inside in ["/ivy/system/ws", "/ivy;a/system/ws", "/ivy/%73ystem/ws"] {
        let mut client = Client::connect(httpd.addr());
        assert_eq!(client.request("GET", inside, &upgrade, b"").status(), 404, "{inside}");
    }
    let mut client = Client::connect(httpd.addr());
    let head = crate::support::client::head("GET", "/ivy/ws", &upgrade) + "\r\n";
    client.send(head.as_bytes()).expect("it");
    let mut answer = String::new();
    while !answer.ends_with("hello") {
        answer += &String::from_utf8_lossy(&client.read_some(1000).expect("an answer"));
    }
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(asked.join().expect("it").starts_with("GET /ivy/ws HTTP/1.1"));
    assert_eq!(get(httpd.addr(), "/ivy/page").text(), "/ivy/page");
    assert_eq!(engine.requests().len(), 1);
}

/// The integration directory at `dir`, with the hosts and ports of `workers` in its files.
fn integration(builder: Builder, dir: &str, edit: impl Fn(String) -> String) -> Builder {
    let text = ["mod_jk.conf", "uriworkermap.properties", "README.md"];
    let workers = ["workers.properties", "cluster_loadbalancer_workers.properties"];
    let known: BTreeSet<String> = text.iter().chain(&workers).map(|&name| name.into()).collect();
    assert_eq!(files_in("misc/apache"), known, "a file without a test");
    let copied = text.iter().fold(builder, |builder, name| {
        builder.file(&format!("{dir}/{name}"), read(&format!("misc/apache/{name}")))
    });
    workers.iter().fold(copied, |builder, name| {
        builder.file(&format!("{dir}/{name}"), edit(read(&format!("misc/apache/{name}"))))
    })
}

/// The lines that the directory's README tells to write, for another place.
fn two_lines(dir: &str) -> String {
    let readme = read("misc/apache/README.md");
    let block = readme.split("```apache\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines = block.expect("a block of configuration");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("\"/opt/my ivy\""), "{lines}");
    lines.replace("/opt/my ivy", &format!("@ROOT@/{dir}"))
}

#[test]
fn the_integration_directory_serves_with_two_lines() {
    let engine = Engine::recording().start();
    let here = |text: String| {
        text.replace("host=localhost", "host=127.0.0.1")
            .replace("port=8009", &format!("port={}", engine.port()))
    };
    for dir in ["ivy", "my ivy", "Program Files/Axon Ivy"] {
        // Debian's default site is such a virtual host.
        let httpd = integration(Httpd::builder_without_jk(), dir, here)
            .file(&format!("{dir}/mod_jk.so"), module_file())
            .config(&two_lines(dir))
            .vhost("other", "")
            .vhost("without", "JkMountCopy Off")
            .start();
        for address in [httpd.addr(), httpd.vhost("other")] {
            assert_eq!(get(address, "/ivy").text(), "/ivy");
            assert_eq!(get(address, "/ivy/page").text(), "/ivy/page");
            assert_eq!(get(address, "/ivy/system/x").status(), 404);
        }
        assert_eq!(get(httpd.vhost("without"), "/ivy/page").status(), 404);
        let result = httpd.config_test();
        assert!(result.status.success() && said(&result).is_empty(), "{}", result.output);
        assert!(httpd.path(&format!("{dir}/mod_jk.log")).exists());
    }
}

#[test]
fn the_integration_directory_finds_an_installed_module() {
    let lines = two_lines("ivy");
    let plain = |builder| integration(builder, "ivy", |text| text).config(&lines);
    // Loaded already.
    accepted(plain(Httpd::builder(Module::Ours).no_jk_log()), &[]);
    // Debian's place, where the tests have the C module.
    let c = plain(Httpd::builder_without_jk()).config_test();
    assert!(c.status.success(), "{}", c.output);
    // httpd's own.
    let conf = read("misc/apache/mod_jk.conf").replace("/usr/lib/apache2/modules/", "/nowhere/");
    let builder = plain(Httpd::builder_without_jk()).file("ivy/mod_jk.conf", conf);
    accepted(builder.file("modules/mod_jk.so", module_file()), &[]);
    // The lines to choose from.
    for (key, value) in [(".secret=", "hush"), (".reply_timeout=", "")] {
        let edit = |text: String| match text.contains("balance_workers") {
            true => text,
            false => uncomment(&text, key, value),
        };
        let builder = Httpd::builder(Module::Ours).no_jk_log().config(&lines);
        accepted(integration(builder, "ivy", edit), &[]);
    }
    // Not even started.
    let builder =
        Httpd::builder(Module::Ours).file("ivy/mod_jk.conf", read("misc/apache/mod_jk.conf"));
    let result = builder.config("Include ivy/mod_jk.conf").config_test();
    assert!(!result.status.success());
    let expected = "mod_jk.conf: IVY_FRONTEND is not set; write Define IVY_FRONTEND with the path";
    assert!(result.output.contains(expected), "{}", result.output);
}

#[test]
fn the_integration_directory_serves_a_cluster() {
    let nodes = [Engine::recording().start(), Engine::recording().start()];
    let edit = |text: String| match text.contains("balance_workers") {
        true => as_nodes(&text, [&nodes[0], &nodes[1]]),
        false => text,
    };
    let lines = format!("Define IVY_CLUSTER\n{}", two_lines("my ivy"));
    let builder = Httpd::builder(Module::Ours).no_jk_log().config(&lines);
    let httpd = integration(builder, "my ivy", edit).start();
    let result = httpd.config_test();
    assert!(result.status.success() && said(&result).is_empty(), "{}", result.output);
    serves_as_a_cluster(&httpd, [&nodes[0], &nodes[1]]);
    // The lines to choose from.
    for (key, value) in [(".secret=", "hush"), (".session_cookie=", ""), (".session_path=", "")] {
        let edit = |text: String| match text.contains("balance_workers") {
            true => uncomment(&as_nodes(&text, [&nodes[0], &nodes[1]]), key, value),
            false => text,
        };
        let builder = Httpd::builder(Module::Ours).no_jk_log().config(&lines);
        accepted(integration(builder, "my ivy", edit), &[]);
    }
}
