#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::*;

fn read(ivy: &str, web_server: Option<&str>) -> (EngineFiles, Vec<String>) {
    let mut problems = Problems::new();
    let source = |name, text: &'static [u8]| Source { name, text };
    let leak =
        |text: &str| -> &'static [u8] { Box::leak(text.to_string().into_boxed_str()).as_bytes() };
    let web_server = web_server.map(|text| source("web.yaml", leak(text)));
    let files = EngineFiles::read(source("ivy.yaml", leak(ivy)), web_server, &mut problems);
    (files, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn wrong(ivy: &str, expected: &[&str]) {
    assert_eq!(read(ivy, None).1, expected, "{ivy}");
}

fn value<T: Clone>(found: &Option<Found<T>>) -> Option<T> {
    found.as_ref().map(|found| found.value.clone())
}

#[test]
fn everything_that_a_front_end_wants_is_read() {
    let (files, problems) = read(
        "Connector:\n  AJP:\n    Enabled: yes\n    Port: 8010\n    Address: '[::1]'\n    Secret: s\n  \
         HTTP.Enabled: off\n  HTTP.Address: 127.0.0.1\n  HTTP.Port: 8081\n\
         WebServer.IvyContextName: /workflow/\nFrontend:\n  HostName: h\n  Port: 443\n  Protocol: \
         https\nBaseUrl: https://h/\nSSO:\n  Enabled: On\n  UserHeader: X-User\n",
        None,
    );
    assert_eq!(problems, [""; 0]);
    assert_eq!((value(&files.ajp_enabled), value(&files.ajp_port)), (Some(true), Some(8010)));
    assert_eq!(value(&files.ajp_address).as_deref(), Some("::1"));
    assert_eq!(value(&files.secret), Some(Secret::new(b"s")));
    assert_eq!(value(&files.http_enabled), Some(false));
    assert_eq!(value(&files.http_address).as_deref(), Some("127.0.0.1"));
    assert_eq!(value(&files.context).as_deref(), Some(&b"workflow"[..]));
    assert_eq!(value(&files.frontend_port), Some(443));
    assert_eq!(value(&files.base_url).as_deref(), Some("https://h/"));
    assert_eq!(files.user_header().as_deref(), Some("X-User"));
    let place = files.secret.unwrap().place;
    assert_eq!(place, Place::new("ivy.yaml", 6));
}

#[test]
fn silence_is_none() {
    for text in ["", "Connector:\n", "Connector.AJP.Port:\nSSO: ~", "Databases: [1]"] {
        let (files, problems) = read(text, None);
        assert_eq!(problems, [""; 0], "{text}");
        assert!(files.ajp_port.is_none() && files.user_header().is_none());
    }
    assert_eq!(
        read("SSO.Enabled: true", None).0.user_header().as_deref(),
        Some("X-Forwarded-User")
    );
    assert_eq!(read("SSO.UserHeader: X", None).0.user_header(), None);
    assert_eq!(value(&read("WebServer.IvyContextName: ''", None).0.context), Some(Vec::new()));
}

#[test]
fn switches_are_those_of_yaml_1_1() {
    for (text, expected) in [
        ("true", Some(true)),
        ("True", Some(true)),
        ("TRUE", Some(true)),
        ("yes", Some(true)),
        ("On", Some(true)),
        ("'true'", Some(true)),
        ("no", Some(false)),
        ("OFF", Some(false)),
        ("False", Some(false)),
        ("tRUE", None),
        ("1", None),
        ("y", None),
        ("maybe", None),
    ] {
        let (files, problems) = read(&format!("SSO.Enabled: {text}"), None);
        assert_eq!(value(&files.sso_enabled), expected, "{text}");
        assert_eq!(problems.len(), usize::from(expected.is_none()), "{problems:?}");
    }
}

#[test]
fn wrong_types_are_errors() {
    let port = |text: &str| {
        format!(
            "ivy.yaml:1: Connector.AJP.Port: \"{text}\" is no port number; use a number from 1 to \
             65535"
        )
    };
    for text in ["80x9", "0", "65536", "-1", "8_009", "0x1f49", "08009", "8009.0", "8009 9"] {
        wrong(&format!("Connector.AJP.Port: {text}"), &[&port(text)]);
    }
    for (text, expected) in [
        ("Connector.AJP.Port: [1]", "ivy.yaml:1: Connector.AJP.Port: is a list; write one value"),
        (
            "Connector.AJP.Port: {a: 1}",
            "ivy.yaml:1: Connector.AJP.Port: is a mapping; write one value",
        ),
        ("AJP.Enabled: 2", "ivy.yaml:1: AJP.Enabled: \"2\" is no switch; write true or false"),
        (
            "Connector: 5",
            "ivy.yaml:1: Connector: is no mapping, but must be one; write its keys below \
                          it, indented by two blanks",
        ),
        (
            "Connector:\n  AJP: [x]",
            "ivy.yaml:2: Connector.AJP: is no mapping, but must be one; write \
                                    its keys below it, indented by two blanks",
        ),
        (
            "BaseUrl: ' '",
            "ivy.yaml:1: BaseUrl: \"\" is no value for it; write one, or remove the key",
        ),
        (
            "Connector.AJP.Secret: ''",
            "ivy.yaml:1: Connector.AJP.Secret: is empty; write the secret, \
                                      or remove the key",
        ),
        (
            "WebServer.IvyContextName: a;b",
            "ivy.yaml:1: WebServer.IvyContextName: a;b is no path that \
                                           an application can have; use a name such as ivy, or / for \
                                           the whole site",
        ),
        (
            "SSO.UserHeader: X User",
            "ivy.yaml:1: SSO.UserHeader: \"X User\" is no name of a header; use \
                                    a name such as X-Forwarded-User",
        ),
        (
            "SSO.UserHeader: Host",
            "ivy.yaml:1: SSO.UserHeader: Host has a meaning of its own; use a \
                                  name such as X-Forwarded-User",
        ),
    ] {
        wrong(text, &[expected]);
    }
}

#[test]
fn what_yaml_reads_as_a_number_wants_quotes() {
    for text in [
        "yes",
        "Off",
        "0x1F",
        "0b1",
        "017",
        "1_000",
        "12:30",
        "190:20:30",
        "1e3",
        "1.5",
        ".5",
        "+12",
        "-3",
        "2024-01-31",
        ".inf",
        "-.NaN",
        "1.5e+3",
        "12345678901234567",
        "1:2:3:4:5:6:7:8",
    ] {
        let (files, problems) = read(&format!("Connector.AJP.Secret: {text}"), None);
        assert_eq!(
            problems,
            [
                "ivy.yaml:1: Connector.AJP.Secret: can be read as a number or a switch without quotes; \
              put it in quotes"
            ],
            "{text}"
        );
        assert!(files.secret.is_none());
        assert_eq!(read(&format!("Connector.AJP.Secret: '{text}'"), None).1, [""; 0], "{text}");
    }
    for text in [
        "s3cret",
        "12345",
        "0",
        "4f9e2c",
        "127.0.0.1",
        "::1",
        "fe80::1",
        "0x",
        "0xg",
        "089",
        "a:b",
        "1-2",
        "e3",
        "..",
        "1e",
        "2024-x",
        "1.2.3",
        "10.0.0.5",
    ] {
        let (files, problems) = read(&format!("Connector.AJP.Secret: {text}"), None);
        assert_eq!(problems, [""; 0], "{text}");
        assert_eq!(value(&files.secret), Some(Secret::new(text.as_bytes())));
    }
}

#[test]
fn the_web_servers_file_and_the_newer_spelling_count() {
    let (files, problems) = read(
        "Connector.AJP.Port: 1\nSSO.Enabled: true",
        Some("\nConnector.AJP.Port: 2\nSSO.Enabled: on"),
    );
    assert_eq!(value(&files.ajp_port), Some(2));
    assert_eq!(
        problems,
        [
            "ivy.yaml:1: Connector.AJP.Port: is not what web.yaml:2 says, which counts; keep one of the \
          two"
        ]
    );
    let (files, problems) =
        read("AJP.Port: 1\nConnector.AJP.Secret: a", Some("Connector.AJP: {Port: 2, Secret: b}"));
    assert_eq!((value(&files.ajp_port), value(&files.secret)), (Some(2), Some(Secret::new(b"b"))));
    assert_eq!(
        problems,
        [
            "ivy.yaml:1: AJP.Port: is not what Connector.AJP.Port at web.yaml:1 says, which counts; \
             remove the older spelling",
            "ivy.yaml:2: Connector.AJP.Secret: is not what web.yaml:1 says, which counts; keep one of \
             the two",
        ]
    );
    let (files, problems) = read("Connector.AJP.Port: 1", Some("AJP.Port: 2"));
    assert_eq!(value(&files.ajp_port), Some(2));
    assert_eq!(
        problems,
        [
            "ivy.yaml:1: Connector.AJP.Port: is not what AJP.Port at web.yaml:1 says, which counts; keep one \
          of the two"
        ]
    );
    let (files, problems) = read("AJP:\n  Enabled: no\n  Port: 8010", None);
    assert_eq!((value(&files.ajp_enabled), value(&files.ajp_port)), (Some(false), Some(8010)));
    assert_eq!(problems, [""; 0]);
}

#[test]
fn no_spelling_of_a_taken_name_is_a_user_header() {
    for name in ["Content_Length", "CONTENT.TYPE", "Transfer_Encoding", "Off", "on", "None", ""] {
        assert!(check_user_header(name.as_bytes()).is_some(), "{name}");
    }
    for name in ["X-Forwarded-User", "X_User", "Remote.User", "Offline"] {
        assert!(check_user_header(name.as_bytes()).is_none(), "{name}");
    }
}

#[test]
fn what_looks_like_a_key_is_pointed_at() {
    for (text, key, meant) in [
        ("connector.ajp.port: 1", "connector.ajp.port", "Connector.AJP.Port"),
        ("Connector:\n  AJP:\n    Prot: 1", "Connector.AJP.Prot", "Connector.AJP.Port"),
        ("FrontEnd:\n  X: 1", "FrontEnd", "Frontend"),
        ("SSO.UserHeadr: X", "SSO.UserHeadr", "SSO.UserHeader"),
        ("AJP.Secret: x", "AJP.Secret", "Connector.AJP.Secret"),
        ("HTTP.Address: x", "HTTP.Address", "Connector.HTTP.Address"),
        ("Conector: 1", "Conector", "Connector"),
        ("Conector.AJP.Port: 1", "Conector.AJP.Port", "Connector.AJP.Port"),
    ] {
        let line = text.lines().count() - usize::from(key == "FrontEnd");
        wrong(
            text,
            &[&format!("ivy.yaml:{line}: {key}: is no key that is read; did you mean {meant}?")],
        );
    }
    wrong("Connector.AJP.MaxThreads: 5\nEMail.Server.Port: 25\nX: 1", &[]);
    wrong("Connector.HTTPS.Port: 1\nServer: 1\nSSL: 1", &[]);
}

proptest! {
    #[test]
    fn any_value_of_any_key_is_read_or_refused(at in 0..KEYS.len(), value in "[^\\x00]{0,20}", quote: bool) {
        let value = if quote { format!("\"{}\"", value.replace(['"', '\\'], "")) } else { value };
        let text = format!("{}: {value}", KEYS[at]);
        let mut problems = Problems::new();
        let source = Source { name: "ivy.yaml", text: text.as_bytes() };
        EngineFiles::read(source, Some(source), &mut problems);
    }
}
