//! The ways from httpd to Tomcat: Unix socket, IPv6, names; and the secret between them.

use super::{dumped, ok};
use crate::support::client::{self, Client, Noise, Upload};
use crate::support::httpd::{Httpd, Module, Mpm};
use crate::support::tomcat::Tomcat;
use crate::support::{Endpoint, ReservedPort};

fn sample() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/demo/ivy")
}

/// A page, an upload and a download, on one connection.
#[track_caller]
fn works(httpd: &Httpd) {
    let mut client = Client::connect(httpd.addr());
    let dump = ok(&mut client, "/ivy/dump.jsp?a=b").text();
    assert_eq!(dumped(&dump, "queryString"), "a=b");
    assert_eq!(dumped(&dump, "remoteAddr"), "127.0.0.1");
    let sha256 = client
        .upload("POST", "/ivy/upload.jsp", &[], 200_000, Upload::Chunked(7_000))
        .expect("sent");
    assert_eq!(client.read_response("POST").text(), format!("size=200000 sha256={sha256}\n"));
    let download = ok(&mut client, "/ivy/download.jsp?bytes=200000&seed=3");
    assert!(download.body == super::SplitMix::bytes(200_000, 3));
}

#[test]
fn tomcat_answers_through_a_unix_socket_under_every_mpm() {
    let tomcat = Tomcat::builder().unix().app("ivy", sample()).start();
    assert!(matches!(tomcat.endpoint(), Endpoint::Unix(_)));
    for mpm in Mpm::ALL {
        let httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .worker("ivy", &tomcat.endpoint())
            .mount("/ivy|/*", "ivy")
            .start();
        works(&httpd);
    }
}

#[test]
fn tomcat_answers_on_ipv6_and_by_a_name_of_several_addresses() {
    let six = ReservedPort::v6();
    // One Tomcat, two connectors: this text ends the first one's tag and begins the second one's.
    let second = format!(
        "secretRequired=\"false\"/>\n<Connector protocol=\"AJP/1.3\" address=\"::1\" port=\"{}\"",
        six.port()
    );
    let tomcat = Tomcat::builder().connector(&second).app("ivy", sample()).start();
    let Endpoint::Tcp(four) = tomcat.endpoint() else { panic!("not TCP") };
    let worker = |host: &str, port: u16, more: &str| {
        let lines = format!(
            "worker.list=ivy\nworker.ivy.type=ajp13\nworker.ivy.host={host}\n\
             worker.ivy.port={port}\n{more}"
        );
        Httpd::builder(Module::Ours).workers(&lines).mount("/ivy|/*", "ivy").start()
    };

    works(&worker("::1", six.port(), ""));
    works(&worker("127.0.0.1", four.port(), ""));
    // Whatever localhost means here first, at each port only one of its addresses is listened on.
    works(&worker("localhost", four.port(), ""));
    works(&worker("localhost", four.port(), "worker.ivy.prefer_ipv6=on"));
    let names = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let is_localhost = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        words.next() == Some("::1") && words.any(|name| name == "localhost")
    };
    if names.lines().any(is_localhost) {
        works(&worker("localhost", six.port(), ""));
        works(&worker("localhost", six.port(), "worker.ivy.prefer_ipv6=on"));
    }
}

#[test]
fn a_client_on_ipv6_is_known_by_its_address() {
    let httpd = super::app(Mpm::Event).ipv6().start();
    let mut client = Client::connect(httpd.addr6());
    let dump = client.request("GET", "/ivy/dump.jsp", &[("Host", "[::1]:81")], b"").text();
    let address = dumped(&dump, "remoteAddr");
    assert!(["::1", "0:0:0:0:0:0:0:1"].contains(&address), "{address}");
    assert_eq!(dumped(&dump, "remotePort"), client.local_addr().port().to_string());
    assert_eq!(dumped(&dump, "serverPort"), "81");
}

#[test]
fn the_right_secret_opens_and_any_other_is_403() {
    let tomcat = Tomcat::builder().secret("s3cr=t !x").app("ivy", sample()).start();
    let start = |lines: &str| {
        Httpd::builder(Module::Ours)
            .worker("ivy", &tomcat.endpoint())
            .workers(lines)
            .mount("/ivy|/*", "ivy")
            .jk_log_level("trace")
            .config("LogLevel jk:trace8")
            .start()
    };

    let right = start("worker.ivy.secret=s3cr=t !x");
    works(&right);
    for wrong in ["worker.ivy.secret=s3cr=t !y", "worker.ivy.secret=s3cr=t", ""] {
        let httpd = start(wrong);
        let mut client = Client::connect(httpd.addr());
        assert_eq!(client.get("/ivy/dump.jsp").status(), 403, "{wrong:?}");
        let body = Noise::bytes(20_000);
        let refused = client.request("POST", "/ivy/upload.jsp", &[], &body);
        assert_eq!(refused.status(), 403, "{wrong:?}");
        assert!(!httpd.jk_log().contains("s3cr"), "{}", httpd.jk_log());
        assert!(!httpd.error_log().contains("s3cr"), "{}", httpd.error_log());
    }
    assert!(!right.jk_log().contains("s3cr") && !right.error_log().contains("s3cr"));
    assert_eq!(client::get(right.addr(), "/ivy/dump.jsp").status(), 200);
}

#[test]
fn packets_of_64_kib_carry_large_headers() {
    let tomcat = Tomcat::builder().packet_size(65_536).app("ivy", sample()).start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("ivy", &tomcat.endpoint())
        .workers("worker.ivy.max_packet_size=65536")
        .mount("/ivy|/*", "ivy")
        .start();
    let mut client = Client::connect(httpd.addr());
    let large = "v".repeat(8_000);
    let names: Vec<String> = (1..=7).map(|n| format!("X-Large-{n}")).collect();
    let headers: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), large.as_str())).collect();
    let dump = client.request("GET", "/ivy/dump.jsp", &headers, b"");
    assert_eq!(dump.status(), 200);
    for name in &names {
        assert_eq!(dumped(&dump.text(), &format!("header.{name}")), large);
    }
    let answer = ok(&mut client, "/ivy/headers.jsp?count=7&size=8000");
    assert_eq!(answer.header("X-Demo-7").map(str::len), Some(8_000));
    works(&httpd);
}
