//! One line serves the application of an engine, and follows its ivy.yaml.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{connector, with};
use crate::support::client;
use crate::support::engine::Engine;
use crate::support::httpd::Httpd;
use crate::support::tomcat::Tomcat;
use crate::support::{Endpoint, temp_dir, wait_until};

const YAML: &str = "conf/ivy/configuration/ivy.yaml";

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/demo/ivy")
}

/// Writes the engine's file, which only who starts httpd can read.
fn write(httpd: &Httpd, yaml: &str) {
    let file = httpd.path(YAML);
    std::fs::write(&file, yaml).expect("ivy.yaml");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("chmod");
}

/// Asks until an answer is as expected: children of an old generation may take a request or two.
#[track_caller]
fn wait_for(httpd: &Httpd, path: &str, status: u16) {
    wait_until(&format!("{status} for {path}"), || {
        client::get(httpd.addr(), path).status() == status
    });
}

#[test]
fn two_lines_serve_the_application_and_follow_its_ivy_yaml() {
    let tomcat =
        Tomcat::builder().secret("first").app("ivy", sample()).app("flow", sample()).start();
    let other = Engine::recording().start();
    let of_tomcat = connector(&tomcat.endpoint());
    let mut httpd = with("JkIvyEngine conf/ivy", &of_tomcat).start();
    wait_for(&httpd, "/ivy/dump.jsp", 403);
    write(&httpd, &format!("{of_tomcat}    Secret: first\n"));
    httpd.graceful();
    wait_for(&httpd, "/ivy/dump.jsp", 200);
    wait_for(&httpd, "/flow/dump.jsp", 404);
    write(&httpd, &format!("{of_tomcat}    Secret: first\nWebServer.IvyContextName: flow\n"));
    httpd.graceful();
    wait_for(&httpd, "/flow/dump.jsp", 200);
    wait_for(&httpd, "/ivy/dump.jsp", 404);
    write(&httpd, &format!("{}    Secret: second\n", connector(&other.endpoint())));
    httpd.graceful();
    wait_for(&httpd, "/ivy/x", 200);
    let seen = other.requests();
    assert!(seen.iter().all(|request| request.uri() == "/ivy/x" && has_secret(request, "second")));
    assert!(!httpd.error_log().contains("first"), "{}", httpd.error_log());
}

fn has_secret(request: &crate::support::packet::Request, secret: &str) -> bool {
    request.raw.windows(secret.len()).any(|text| text == secret.as_bytes())
}

#[test]
fn every_virtual_host_has_the_engine_unless_it_says_otherwise() {
    let (one, two) = (Engine::recording().start(), Engine::recording().start());
    let httpd = with("JkIvyEngine conf/ivy", &connector(&one.endpoint()))
        .file("conf/two/configuration/ivy.yaml", connector(&two.endpoint()))
        .vhost("plain.test", "")
        .vhost("copy.test", "JkMountCopy On")
        .vhost("off.test", "JkIvyEngine Off")
        .vhost("copyoff.test", "JkMountCopy On\nJkIvyEngine Off")
        .vhost("same.test", "JkIvyEngine conf/ivy/configuration/ivy.yaml context=/else")
        .vhost("other.test", "JkIvyEngine conf/two worker=two context=/ redirect=on")
        .vhost("both.test", "JkIvyEngine conf/ivy\nJkIvyEngine conf/two worker=two context=b")
        .config("JkMount /main/* AxonIvyEngine")
        .start();
    let engines = [&one, &two];
    for (host, path, expected) in [
        (None, "/ivy/a", Some(0)),
        (None, "/main/a", Some(0)),
        (Some("plain.test"), "/ivy/b", Some(0)),
        (Some("plain.test"), "/ivy", Some(0)),
        (Some("plain.test"), "/ivyx", None),
        (Some("plain.test"), "/main/b", None),
        (Some("copy.test"), "/ivy/c", Some(0)),
        (Some("copy.test"), "/main/c", Some(0)),
        (Some("off.test"), "/ivy/d", None),
        (Some("copyoff.test"), "/ivy/e", None),
        (Some("copyoff.test"), "/main/e", Some(0)),
        (Some("same.test"), "/else/f", Some(0)),
        (Some("same.test"), "/ivy/f", None),
        (Some("other.test"), "/ivy/g", Some(1)),
        (Some("other.test"), "/", Some(1)),
        (Some("both.test"), "/ivy/h", Some(0)),
        (Some("both.test"), "/b/h", Some(1)),
    ] {
        let before = engines.map(|engine| engine.requests().len());
        let addr = host.map_or(httpd.addr(), |host| httpd.vhost(host));
        let status = client::get(addr, path).status();
        assert_eq!(status, if expected.is_some() { 200 } else { 404 }, "{host:?} {path}");
        let seen = engines.map(|engine| engine.requests().len());
        let got = (0..2).find(|at| seen[*at] > before[*at]);
        assert_eq!(got, expected, "{host:?} {path}");
    }
}

#[test]
fn the_site_leads_to_the_application() {
    let engine = Engine::recording().start();
    let httpd = with("JkIvyEngine conf/ivy redirect=on", &connector(&engine.endpoint()))
        .file("htdocs/index.html", "own page")
        .modules(&["dir"])
        .vhost("no.test", "JkIvyEngine conf/ivy")
        .vhost("mounted.test", "JkIvyEngine conf/ivy redirect=on\nJkMount / AxonIvyEngine")
        .start();
    for target in ["/", "/?a=b", "//", "/x/.."] {
        let answer = client::get(httpd.addr(), target);
        assert_eq!((answer.status(), answer.header("Location")), (302, Some("/ivy/")), "{target}");
    }
    let mut client = client::Client::connect(httpd.addr());
    let answer = client.request("HEAD", "/", &[], b"");
    assert_eq!((answer.status(), answer.header("Location")), (302, Some("/ivy/")));
    assert_eq!(client::get(httpd.addr(), "/index.html").text(), "own page");
    assert_eq!(client::get(httpd.addr(), "/ivy/x").status(), 200);
    assert_eq!(client::get(httpd.vhost("no.test"), "/").status(), 200);
    assert_eq!(client::get(httpd.vhost("mounted.test"), "/").text(), "/");
}

#[test]
fn what_is_written_out_goes_first() {
    let (one, two) = (Engine::recording().start(), Engine::recording().start());
    let httpd = with("JkIvyEngine conf/ivy", &connector(&one.endpoint()))
        .worker("two", &two.endpoint())
        .mount("/ivy/two/*", "two")
        .config("JkUnMount /ivy/static/* AxonIvyEngine")
        .start();
    assert_eq!(client::get(httpd.addr(), "/ivy/x").status(), 200);
    assert_eq!(client::get(httpd.addr(), "/ivy/two/x").status(), 200);
    assert_eq!(client::get(httpd.addr(), "/ivy/static/x").status(), 404);
    assert_eq!((one.requests().len(), two.requests().len()), (1, 1));
}

#[test]
fn a_socket_and_a_path_with_blanks_are_fine() {
    let dir = temp_dir("jk ivy-");
    let engine = Engine::recording().unix(dir.path().join("ajp.sock")).start();
    let Endpoint::Unix(socket) = engine.endpoint() else { panic!("no socket") };
    let line = format!("JkIvyEngine \"conf/my ivy\" \"socket={}\"", socket.display());
    // Whoever runs httpd's children must be able to connect.
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).expect("chmod");
    let yaml = "# only here\r\nConnector.AJP.Secret: &s 'hush'\r\n";
    let httpd = with(&line, "")
        .file("conf/my ivy/configuration/ivy.yaml", yaml)
        .file("conf/my ivy/configuration/ivy.webserver.yaml", "WebServer:\n  IvyContextName: w\n")
        .file("conf/my ivy/configuration/reference/ivy.yaml", "not: [read")
        .start();
    assert_eq!(client::get(httpd.addr(), "/w/x").status(), 200);
    assert!(has_secret(&engine.requests()[0], "hush"));
}

#[test]
fn an_ipv6_address_and_overrides_are_fine() {
    let engine = Engine::recording().ipv6().start();
    let port = engine.port();
    let own = with(
        "JkIvyEngine conf/ivy",
        &format!("Connector:\n  AJP: {{Address: '[::]', Port: {port}, Secret: s}}"),
    );
    assert_eq!(client::get(own.start().addr(), "/ivy/1").status(), 200);
    let over = with(
        &format!("JkIvyEngine conf/ivy host=::1 port={port}"),
        "Connector.AJP: {Address: localhost, Port: 1}",
    );
    assert_eq!(client::get(over.start().addr(), "/ivy/2").status(), 200);
}
