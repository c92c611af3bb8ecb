//! Pages, sessions, the request as the application sees it, status codes, headers.

use super::{SplitMix, app, dumped, ok, under};
use crate::support::client::{self, BodyEnd, Client, Noise, curl};
use crate::support::httpd::Mpm;
use crate::support::process::Sha256;
use crate::support::tls::certificates;

under!(event: Event, worker: Worker, prefork: Prefork; [
    a_page_with_a_form_counts_the_requests_of_a_session,
    the_application_sees_the_request_as_it_came,
    the_application_knows_the_user_whom_httpd_authenticated,
    the_application_knows_the_tls_connection,
    uploads_arrive_whole,
    downloads_arrive_whole_with_and_without_a_length,
    every_status_arrives_with_and_without_a_body,
    error_pages_of_the_engine_pass_unchanged,
    many_and_large_headers_pass,
    a_request_larger_than_the_packet_is_413,
    head_brings_the_headers_of_get_alone,
]);

fn session_cookie(response: &client::Response) -> Option<String> {
    let cookie = response.header("Set-Cookie")?;
    let pair = cookie.split(';').next().expect("a pair");
    assert!(pair.starts_with("JSESSIONID=") && cookie.contains("HttpOnly"), "{cookie}");
    Some(pair.to_owned())
}

fn a_page_with_a_form_counts_the_requests_of_a_session(mpm: Mpm) {
    let httpd = app(mpm).start();

    let redirect = client::get(httpd.addr(), "/ivy");
    assert_eq!(redirect.status(), 302);
    assert!(redirect.header("Location").is_some_and(|to| to.ends_with("/ivy/")), "{redirect:?}");

    let first = client::get(httpd.addr(), "/ivy/");
    assert_eq!(first.header("Content-Type"), Some("text/html;charset=UTF-8"));
    assert!(first.text().contains(r#"<span class="count" id="count">1</span>"#));
    assert!(first.text().contains(r#"<form method="post" action="post.jsp">"#));
    let cookie = session_cookie(&first).expect("a session begins");

    // Connections of their own: the cookie alone makes the session.
    for count in 2..5 {
        let mut client = Client::connect(httpd.addr());
        let page = client.request("GET", "/ivy/index.jsp", &[("Cookie", &cookie)], b"");
        assert!(page.text().contains(&format!(r#"id="count">{count}</span>"#)), "{count}");
        assert_eq!(session_cookie(&page), None);
    }
    let other = client::get(httpd.addr(), "/ivy/");
    assert!(other.text().contains(r#"id="count">1</span>"#), "another client, another session");
    assert_ne!(session_cookie(&other), Some(cookie.clone()));

    let mut client = Client::connect(httpd.addr());
    let form = [("Content-Type", "application/x-www-form-urlencoded"), ("Cookie", &cookie)];
    let posted = client.request("POST", "/ivy/post.jsp?a=1", &form, "name=Zo%C3%AB&a=2".as_bytes());
    assert_eq!((posted.status(), posted.text().as_str()), (200, "a=1\na=2\nname=Zoë\n"));
    let ended = client.request("POST", "/ivy/session.jsp", &form, b"end=true");
    assert_eq!(ended.status(), 302);
    assert!(ended.header("Location").is_some_and(|to| to.ends_with("index.jsp")), "{ended:?}");
    let anew = client.request("GET", "/ivy/session.jsp", &[("Cookie", &cookie)], b"");
    assert!(anew.text().ends_with(" new=true count=1\n"), "{}", anew.text());
}

fn the_application_sees_the_request_as_it_came(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    let (from, to) = (client.local_addr(), httpd.addr());
    let headers = [
        ("Host", "shop.example:8443"),
        ("User-Agent", "test/1"),
        ("Accept", "text/plain"),
        ("X-Many", "one"),
        ("X-Many", "two"),
        ("X-Umlaut", "\u{e4}"),
        ("Connection", "keep-alive"),
    ];
    // `PURGE` is no method that AJP has a code for, `REPORT` is.
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "REPORT", "PURGE"] {
        let target = "/ivy/dump.jsp;v=1?q=a%20b&x=%C3%A4&empty";
        let dump = client.request(method, target, &headers, b"");
        assert_eq!(dump.status(), 200, "{method}: {}", dump.text());
        // ISO-8859-1, see the head of the page.
        let dump: String = dump.body.iter().map(|byte| char::from(*byte)).collect();
        for (key, value) in [
            ("method", method),
            ("requestURI", "/ivy/dump.jsp;v=1"),
            ("queryString", "q=a%20b&x=%C3%A4&empty"),
            ("protocol", "HTTP/1.1"),
            ("scheme", "http"),
            ("secure", "false"),
            ("serverName", "shop.example"),
            ("serverPort", "8443"),
            ("remoteAddr", "127.0.0.1"),
            ("remotePort", &from.port().to_string()),
            ("localAddr", "127.0.0.1"),
            ("localPort", "8443"),
            ("remoteUser", "null"),
            ("authType", "null"),
            ("header.host", "shop.example:8443"),
            ("header.user-agent", "test/1"),
            ("header.accept", "text/plain"),
            // httpd folds equal names into one line, RFC 9110 5.3.
            ("header.X-Many", "one, two"),
            ("header.X-Umlaut", "\u{c3}\u{a4}"),
        ] {
            assert_eq!(dumped(&dump, key), value, "{method} {key} at {to}");
        }
        assert!(!dump.contains("header.connection"), "{dump}");
    }
}

fn the_application_knows_the_user_whom_httpd_authenticated(mpm: Mpm) {
    let httpd = app(mpm)
        .modules(&["auth_basic", "authn_core", "authn_file", "authz_user"])
        // The password is "open sesame".
        .file("conf/users", "ali:{SHA}W8r/fyL/UzygmbNAjq2HbA67qac=\n")
        .config(
            "<Location \"/ivy/dump.jsp\">\nAuthType Basic\nAuthName cave\n\
             AuthUserFile conf/users\nRequire valid-user\n</Location>",
        )
        .start();
    let mut client = Client::connect(httpd.addr());

    let refused = client.get("/ivy/dump.jsp");
    assert_eq!(refused.status(), 401);
    assert_eq!(refused.header("WWW-Authenticate"), Some("Basic realm=\"cave\""));
    let basic = [("Authorization", "Basic YWxpOm9wZW4gc2VzYW1l")];
    let dump = client.request("GET", "/ivy/dump.jsp", &basic, b"");
    assert_eq!(dump.status(), 200, "{}", dump.text());
    assert_eq!(dumped(&dump.text(), "remoteUser"), "ali");
    assert_eq!(dumped(&dump.text(), "authType"), "Basic");
    let open = ok(&mut client, "/ivy/session.jsp");
    assert!(open.text().starts_with("session="), "other pages need no user");
}

fn the_application_knows_the_tls_connection(mpm: Mpm) {
    let httpd = app(mpm)
        // Without a cache and with tickets a TLS 1.2 session has no id.
        .modules(&["socache_shmcb"])
        .config(
            "<IfModule ssl_module>\nSSLSessionCache shmcb:run/ssl(512000)\n\
             SSLSessionTickets off\n</IfModule>",
        )
        .tls(
            "JkMount /ivy|/* ivy\nSSLVerifyClient optional\n\
             SSLOptions +StdEnvVars +ExportCertData",
        )
        .start();
    let files = certificates();
    let [ca, cert, key] =
        [&files.ca, &files.client, &files.client_key].map(|path| path.to_str().expect("UTF-8"));
    let url = httpd.https("/ivy/dump.jsp");

    let known = curl(&["--cacert", ca, "--cert", cert, "--key", key, "--tlsv1.3", &url]);
    let unknown = curl(&["--cacert", ca, "--tls-max", "1.2", &url]);

    let dump = String::from_utf8(known.body).expect("text");
    assert_eq!((known.exit, known.status), (0, 200), "{}{dump}", known.complaint);
    let port = httpd.tls_addr().port().to_string();
    for (key, value) in [
        ("scheme", "https"),
        ("secure", "true"),
        ("serverName", "localhost"),
        ("serverPort", port.as_str()),
        ("attribute.jakarta.servlet.request.X509Certificate", "CN=Test Client,O=mod_jk tests"),
        ("attribute.jakarta.servlet.request.cipher_suite", "TLS_AES_256_GCM_SHA384"),
        ("attribute.jakarta.servlet.request.key_size", "256"),
        ("attribute.org.apache.tomcat.util.net.secure_protocol_version", "TLSv1.3"),
    ] {
        assert_eq!(dumped(&dump, key), value, "{key} in\n{dump}");
    }

    let dump = String::from_utf8(unknown.body).expect("text");
    assert_eq!((unknown.exit, unknown.status), (0, 200), "{}{dump}", unknown.complaint);
    assert!(!dump.contains("X509Certificate"), "{dump}");
    let protocol = "attribute.org.apache.tomcat.util.net.secure_protocol_version";
    assert_eq!(dumped(&dump, protocol), "TLSv1.2");
    let session = dumped(&dump, "attribute.jakarta.servlet.request.ssl_session_id");
    assert!(session.len() >= 32 && session.bytes().all(|b| b.is_ascii_hexdigit()), "{session}");

    // The same server without TLS in front says so.
    let plain = client::get(httpd.addr(), "/ivy/dump.jsp").text();
    assert_eq!(dumped(&plain, "scheme"), "http");
    assert!(!plain.contains("cipher_suite"), "{plain}");
}

fn uploads_arrive_whole(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    // One byte below, at and above what fits one AJP packet, and many packets.
    for length in [0, 1, 8_185, 8_186, 8_187, 16_372, 16_373, 300_001] {
        let body = Noise::bytes(length);
        let expected = format!("size={length} sha256={}\n", Sha256::of(&body));
        let whole = client.request("POST", "/ivy/upload.jsp", &[], &body);
        assert_eq!((whole.status(), whole.text()), (200, expected.clone()), "Content-Length");
        for size in [1_000, 8_186, 100_000] {
            let chunks: Vec<&[u8]> = body.chunks(size).collect();
            let chunked = client.request_chunked("PUT", "/ivy/upload.jsp", &[], &chunks);
            assert_eq!((chunked.status(), chunked.text()), (200, expected.clone()), "{size}");
        }
    }
    // Many tiny chunks in one packet each of the client.
    let body = Noise::bytes(3_000);
    let chunks: Vec<&[u8]> = body.chunks(1).collect();
    let tiny = client.request_chunked("POST", "/ivy/upload.jsp", &[], &chunks);
    assert_eq!(tiny.text(), format!("size=3000 sha256={}\n", Sha256::of(&body)));
}

fn downloads_arrive_whole_with_and_without_a_length(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    for length in [0, 1, 8_183, 8_184, 8_185, 65_536, 1_000_003] {
        let expected = SplitMix::bytes(length, length);
        let target = format!("/ivy/download.jsp?bytes={length}&seed={length}");
        let known = ok(&mut client, &target);
        assert_eq!(known.header("Content-Length"), Some(length.to_string().as_str()));
        let kind = known.header("Content-Type").expect("a type");
        assert!(kind.starts_with("application/octet-stream"), "{kind}");
        assert!(known.body == expected, "{length} bytes with a length differ");
        let unknown = ok(&mut client, &(target + "&length=false"));
        assert!(unknown.body == expected, "{length} bytes without a length differ");
        if length > 65_536 {
            assert_eq!((unknown.header("Content-Length"), unknown.end), (None, BodyEnd::Chunked));
        }
    }
    // HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    let mut old = Client::connect(httpd.addr());
    let target = "/ivy/download.jsp?bytes=100000&seed=7&length=false";
    old.send(format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()).expect("sent");
    let response = old.read_response("GET");
    assert_eq!(response.end, BodyEnd::Close);
    assert!(response.body == SplitMix::bytes(100_000, 7));
}

/// Final codes with a meaning in RFC 9110 or its successors, but for 204, 205, 304.
const CODES: [u16; 57] = [
    200, 201, 202, 203, 206, 207, 208, 226, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403,
    404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 424,
    425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 599, 299,
];

fn every_status_arrives_with_and_without_a_body(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    for code in CODES {
        // httpd itself drops the connection after these, whoever answered.
        let drops = [400, 408, 411, 413, 414, 500, 501, 503].contains(&code);
        let target = format!("/ivy/status.jsp?code={code}");
        let bare = client.get(&target);
        assert_eq!((bare.status(), bare.text().as_str()), (code, ""));
        assert!(bare.end.is_complete(), "{code}: {:?}", bare.end);
        assert_eq!(bare.header("Connection") == Some("close"), drops, "{code}");
        if drops {
            client = Client::connect(httpd.addr());
        }
        let full = client.get(&(target + "&body=own+words"));
        assert_eq!((full.status(), full.text().as_str()), (code, "own words"));
        assert!(full.end.is_complete(), "{code}: {:?}", full.end);
        if drops {
            client = Client::connect(httpd.addr());
        }
    }
    for code in [204, 304] {
        for body in ["", "&body=never+sent"] {
            let response = client.get(&format!("/ivy/status.jsp?code={code}{body}"));
            assert_eq!((response.status(), response.end), (code, BodyEnd::NoBody));
            assert_eq!(response.header("Transfer-Encoding"), None, "{code}{body}");
            // Had a body been sent, it would be taken for the next answer.
            let next = ok(&mut client, &format!("/ivy/dump.jsp?after={code}"));
            assert_eq!(dumped(&next.text(), "queryString"), format!("after={code}"));
        }
    }
    let reset = client.get("/ivy/status.jsp?code=205");
    assert_eq!((reset.status(), reset.text().as_str()), (205, ""));
    ok(&mut client, "/ivy/dump.jsp");
}

fn error_pages_of_the_engine_pass_unchanged(mpm: Mpm) {
    // Ours must not be there: the engine's page is the answer, whatever httpd has for that code.
    let httpd = app(mpm).config("ErrorDocument 503 \"of httpd\"").start();
    for code in [400, 401, 403, 404, 405, 410, 413, 500, 502, 503, 504] {
        let target = format!("/ivy/status.jsp?code={code}&sendError=true&body=because+of+you");
        let page = client::get(httpd.addr(), &target);
        assert_eq!(page.status(), code);
        assert_eq!(page.header("Content-Type"), Some("text/html;charset=UTF-8"));
        assert!(page.text().contains("<p>because of you</p>"), "{code}: {}", page.text());
        assert!(page.text().contains("This page comes from the sample application."));
    }
    let missing = client::get(httpd.addr(), "/ivy/no-such-page.jsp");
    assert_eq!(missing.status(), 404);
    assert!(missing.text().contains("This page comes from the sample application."));
}

fn many_and_large_headers_pass(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());

    let answer = ok(&mut client, "/ivy/headers.jsp?count=60&size=70&cookies=40");
    for number in 1..=60 {
        let value = "a".repeat(70);
        assert_eq!(answer.header(&format!("X-Demo-{number}")), Some(value.as_str()));
    }
    let cookies: Vec<String> =
        (1..=40).map(|number| format!("demo{number}={number}; Path=/; HttpOnly")).collect();
    assert_eq!(answer.head.header_values("Set-Cookie"), cookies);
    let one = ok(&mut client, "/ivy/headers.jsp?count=1&size=7500&cookies=0");
    assert_eq!(one.header("X-Demo-1").map(str::len), Some(7_500));

    let cookie: Vec<String> = (1..=200).map(|n| format!("c{n}=value-of-cookie-{n}")).collect();
    let cookie = cookie.join("; ");
    let dump = client.request("GET", "/ivy/dump.jsp", &[("Cookie", &cookie)], b"");
    assert_eq!(dumped(&dump.text(), "header.cookie"), cookie);
    let lines: Vec<String> = (1..=60).map(|n| format!("c{n}=value-of-cookie-{n}")).collect();
    let headers: Vec<(&str, &str)> = lines.iter().map(|line| ("Cookie", line.as_str())).collect();
    let dump = client.request("GET", "/ivy/dump.jsp", &headers, b"").text();
    // httpd folds equal names into one line, RFC 9110 5.3.
    let seen: Vec<&str> = dump
        .lines()
        .filter_map(|line| line.strip_prefix("header.cookie: "))
        .flat_map(|line| line.split([';', ',']).map(str::trim))
        .collect();
    assert_eq!(seen, lines);
}

fn a_request_larger_than_the_packet_is_413(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    let big = "b".repeat(5_000);

    let fits = client.request("GET", "/ivy/dump.jsp", &[("X-Big", &big)], b"");
    assert_eq!(fits.status(), 200);
    assert_eq!(dumped(&fits.text(), "header.X-Big"), big);
    let headers = [("X-Big", big.as_str()), ("X-Bigger", &big)];
    let refused = client.request("GET", "/ivy/dump.jsp", &headers, b"");
    assert_eq!(refused.status(), 413);
    let log = httpd.jk_log();
    let line = log.lines().find(|line| line.contains("(ivy) request_too_big:")).expect("a line");
    for part in ["X-Big", "5000", "max_packet_size", "packetSize", "outcome=413"] {
        assert!(line.contains(part), "{part} is missing in: {line}");
    }
    assert!(!line.contains(&big[..100]), "the log repeats the header: {line}");
    assert_eq!(client::get(httpd.addr(), "/ivy/dump.jsp").status(), 200);
}

fn head_brings_the_headers_of_get_alone(mpm: Mpm) {
    let httpd = app(mpm).start();
    let mut client = Client::connect(httpd.addr());
    for target in [
        "/ivy/download.jsp?bytes=70000",
        "/ivy/download.jsp?bytes=70000&length=false",
        "/ivy/headers.jsp?count=3",
        "/ivy/status.jsp?code=404&body=text",
        "/ivy/post.jsp?name=value",
    ] {
        let get = client.get(target);
        let head = client.request("HEAD", target, &[], b"");
        assert_eq!((head.status(), head.end), (get.status(), BodyEnd::NoBody), "{target}");
        assert_eq!(head.header("Content-Type"), get.header("Content-Type"), "{target}");
        assert_eq!(head.header("X-Demo-3"), get.header("X-Demo-3"), "{target}");
        if target.ends_with("70000") {
            assert_eq!(head.header("Content-Length"), Some("70000"));
        }
        if let Some(length) = head.header("Content-Length") {
            assert_eq!(length, get.body.len().to_string(), "{target}: a length that is not true");
        }
    }
    let dump = ok(&mut client, "/ivy/dump.jsp");
    assert_eq!(dumped(&dump.text(), "method"), "GET");
}
