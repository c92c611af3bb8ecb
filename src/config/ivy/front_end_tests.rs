#![forbid(unsafe_code)]

use super::*;
use crate::config::ivy::Source;

fn server(url: &str, aliases: &[&str], is_virtual: bool) -> FrontEnd {
    let url = Url::parse(url).unwrap();
    let names = url.host.iter().cloned().chain(aliases.iter().map(|a| (*a).to_string())).collect();
    let is_tls = url.scheme.as_deref() == Some("https");
    FrontEnd { is_tls, names, ports: url.port.into_iter().collect(), is_virtual }
}

#[track_caller]
fn check(yaml: &str, servers: &[FrontEnd], expected: &[&str]) {
    let mut problems = Problems::new();
    let source = Source { name: "ivy.yaml", text: yaml.as_bytes() };
    let files = EngineFiles::read(source, None, &mut problems);
    check_base_url(&files, servers, &Place::new("c", 1), &mut problems);
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expected, "{yaml}");
}

#[test]
fn a_url_that_leads_here_is_fine() {
    let servers = [
        server("http://www.example.com", &[], true),
        server("https://www.example.com", &["*.example.org", "Ivy"], true),
    ];
    for yaml in [
        "BaseUrl: https://www.example.com",
        "BaseUrl: HTTPS://WWW.example.com:443/ivy/",
        "BaseUrl: http://www.example.com/",
        "BaseUrl: https://a.b.example.org",
        "Frontend: {Protocol: https, HostName: ivy, Port: 443}",
        "Frontend.HostName: www.example.com",
        "Frontend.Port: 443",
    ] {
        check(yaml, &servers, &[]);
    }
    check("BaseUrl: https://[::1]:8443/", &[server("https://[::1]:8443", &[], false)], &[]);
}

#[test]
fn a_difference_comes_with_the_yaml_to_write() {
    let servers = [
        server("http://main", &[], false),
        server("http://www", &[], true),
        server("https://www:8443", &[], true),
        server("https://other", &[], true),
    ];
    let yaml = "write Frontend: {Protocol: https, HostName: www, Port: 8443}";
    for (text, at, theirs) in [
        ("Frontend: {HostName: x, Port: 80}", "1: Frontend.HostName", "?://x:80"),
        (
            "Frontend:\n  Protocol: https\n  HostName: www\n  Port: 443",
            "3: Frontend.HostName",
            "https://www",
        ),
        ("Frontend.Protocol: ftp", "1: Frontend.Protocol", "ftp://?"),
        ("Frontend.Port: 1", "1: Frontend.Port", "?://?:1"),
    ] {
        let what =
            format!("links in mails lead to {theirs}, but the front end is https://www:8443");
        check(text, &servers, &[&format!("ivy.yaml:{at}: {what}; {yaml}")]);
    }
    check(
        "BaseUrl: https://www",
        &servers,
        &["ivy.yaml:1: BaseUrl: links in mails lead to https://www, but the front end is \
         https://www:8443; write BaseUrl: https://www:8443"],
    );
    for text in ["www", "https://", "https://www:x", "gopher://www"] {
        check(
            &format!("BaseUrl: {text}"),
            &servers,
            &[&format!("ivy.yaml:1: BaseUrl: {text} is no URL; write BaseUrl: https://www:8443")],
        );
    }
    check(
        "",
        &servers,
        &[
            "c:1: JkIvyEngine: the engine does not know its external base URL: links in mails lead to \
         its own address; write into its ivy.yaml: Frontend: {Protocol: https, HostName: www, Port: \
         8443}",
        ],
    );
    check("", &[], &[]);
}

#[test]
fn what_only_the_engine_knows_is_not_compared() {
    let servers = [server("https://www", &[], true)];
    for (yaml, key) in [
        ("BaseUrl: https://${host}/", "BaseUrl"),
        ("Frontend: {Port: 1, HostName: '${host}'}", "Frontend.HostName"),
    ] {
        let what = "is not compared with the virtual host: only the engine knows what its ${...} stands \
                    for; see that it leads to https://www";
        check(yaml, &servers, &[&format!("ivy.yaml:1: {key}: {what}")]);
    }
}

#[test]
fn the_yaml_to_write_is_yaml() {
    for (url, host) in [("https://[::1]:8443", "\"[::1]\""), ("https://10.0.0.1:8443", "10.0.0.1")]
    {
        let yaml = server(url, &[], true).yaml();
        assert_eq!(yaml, format!("Frontend: {{Protocol: https, HostName: {host}, Port: 8443}}"));
        check(&yaml, &[server(url, &[], true)], &[]);
    }
}
