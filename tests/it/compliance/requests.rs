//! Requests to the main server: methods, paths, headers, bodies, the environment.

use super::case::{Case, get, request};
use super::run::Group;
use crate::support::client::Noise;
use crate::support::packet::{self, METHODS};

pub(super) fn group() -> Group {
    // Each variable is set for the path of its name.
    let environment = [
        "addr JK_REMOTE_ADDR=10.1.2.3",
        "addr6 JK_REMOTE_ADDR=2001:db8::1",
        "addr-empty JK_REMOTE_ADDR=",
        "port JK_REMOTE_PORT=65535",
        "port-text JK_REMOTE_PORT=none",
        "port-empty JK_REMOTE_PORT=",
        "host JK_REMOTE_HOST=client.example.test",
        "host-empty JK_REMOTE_HOST=",
        "user JK_REMOTE_USER=alice",
        "user-empty JK_REMOTE_USER=",
        "auth JK_AUTH_TYPE=SPNEGO",
        "auth-empty JK_AUTH_TYPE=",
        "login JK_REMOTE_USER=b%C3%B6b JK_AUTH_TYPE=Form",
        "name JK_LOCAL_NAME=other.example.test",
        "name-empty JK_LOCAL_NAME=",
        "local JK_LOCAL_ADDR=192.0.2.1",
        "local-empty JK_LOCAL_ADDR=",
        "lport JK_LOCAL_PORT=443",
        "lport-empty JK_LOCAL_PORT=",
        "lport-tail JK_LOCAL_PORT=81x",
        "lport-sign JK_LOCAL_PORT=+82",
        "lport-blank \"JK_LOCAL_PORT= 83\"",
        "route JK_ROUTE=node1",
        "route-empty JK_ROUTE=",
        "ignore-cl JK_IGNORE_CL",
        "ignore-cl-empty JK_IGNORE_CL=",
        "no-jk no-jk",
        "no-jk-empty no-jk=",
        "https HTTPS=on",
        "https-case HTTPS=ON",
        "https-off HTTPS=off",
        "https-bits HTTPS=on SSL_CIPHER=A SSL_SESSION_ID= SSL_CIPHER_USEKEYSIZE=256 SSL_PROTOCOL=",
        "https-cert HTTPS=on SSL_CLIENT_CERT= SSL_CIPHER_USEKEYSIZE=x SSL_PROTOCOL=TLSv1.3",
        "activation JK_LB_ACTIVATION=DIS",
        "case jk_remote_addr=10.9.9.9 Jk_Route=other",
        "twice JK_ROUTE=one JK_ROUTE=two",
    ];
    let mut config = "JkMount /* w\n".to_owned();
    for line in environment {
        let (path, variables) = line.split_once(' ').expect("a path and variables");
        config += &format!("SetEnvIf Request_URI ^/env/{path}$ {variables}\n");
    }
    let mut cases = Vec::new();
    cases.extend(methods());
    cases.extend(paths());
    cases.extend(headers());
    cases.extend(bodies());
    cases.extend(connections());
    for line in environment {
        let path = line.split_once(' ').expect("a path and variables").0;
        let target = format!("/env/{path}");
        cases.push(match path.starts_with("ignore-cl") {
            true => request("POST", target).body(b"twelve bytes"),
            false => get(target),
        });
    }
    Group {
        test: "the_engine_sees_the_same_requests",
        modules: &["setenvif"],
        config,
        workers: String::new(),
        files: &[],
        cases,
    }
}

fn methods() -> Vec<Case> {
    let mut cases: Vec<Case> = METHODS.map(|method| request(method, "/method")).to_vec();
    let others =
        ["PATCH", "QUERY", "get", "Get", "PRI", "X", "M-SEARCH", "LINK", "INVALID", "CONNECTED"];
    cases.extend(others.map(|method| request(method, "/method")));
    cases.extend([
        request("OPTIONS", "*"),
        request("HEAD", "/head?q"),
        request(&"M".repeat(64), "/method").named("64 bytes"),
        request(&"M".repeat(65), "/method").refused("Methods longer than 64 bytes", 501),
        request("!#$%&'*+-.^_`|~", "/method"),
        request("BREW", "/method").body(b"coffee"),
        request("CONNECT", "www.example.test:8888"),
    ]);
    cases
}

fn paths() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "/",
        "/a/b/c.jsp",
        "/%61%2d%2D%7e%7E",
        "/%e4%C4%fF",
        "/%c3%a4%C3%96%e2%82%ac",
        "/%f0%9f%98%80",
        "/%c0%ae%c0%ae/x",
        "/app;jsessionid=1234.node1",
        "/app;jsessionid=1234.node1/x;a=b;c",
        "/;/a",
        "//doubled//slashes///here",
        "/./dot/./s/.",
        "/up/../down/x/..",
        "/..;/x",
        "/a/..;/b",
        "/a/..;x=y/b",
        "/../x",
        "/%2e%2e/x",
        "/a/.../b",
        "/.hidden/..data",
        "/100%25",
        "/%2525",
        "/%252e%252e/other",
        "/a%3fb",
        "/a%3Fb?c",
        "/a%23b",
        "/a%22b",
        "/a%20b",
        "/a+b%2Bc",
        "/~user/%7euser",
        "/it's/(a)*!,:@&=$",
        "/%27%28%29%2a%21%2c%3a%40%26%3d%24",
        "/%3b",
        "/a%3bx/b",
        "/%5b%5d%7b%7d%7c%5e%60%3c%3e",
        "/[a]",
        "/{a}",
        "/a|b",
        "/a^b`c",
        "/<a>",
        "/a\"b",
        "/%01%1f%7f",
        "/a%0d%0ab",
        "/a%00b",
        "/a%2fb",
        "/a%zzb",
        "/a%",
        "/a?",
        "/a??",
        "/a?b?c#d",
        "/a#b",
        "/a?b=c&d=%20+e;f",
        "/a?%00%ff%zz%",
        "/a?/../..;/x\\y",
        "/a?[]{}|^`<>\"'",
        "/?",
        "relative",
        "http://other.example.test/absolute?q=1",
        "http://other.example.test:81/absolute",
        "HTTP://OTHER.example.test/",
        "https://other.example.test/absolute",
        "http://other.example.test",
        "http://user:word@other.example.test/x",
        "ftp://other.example.test/x",
        "*",
    ]
    .map(get)
    .to_vec();
    const LONG: &str = "Paths longer than 4095 bytes";
    let long = |length: usize| format!("/{}", "x".repeat(length - 1));
    cases.extend([
        get(b"/raw/\xe4\xff"),
        get(b"/raw/\xc3\xa4\xe2\x82\xac?\xc3\xa4"),
        get(long(4000)).named("4000 bytes"),
        get(long(4095)).named("4095 bytes"),
        get(long(4096)).named("4096 bytes").served(LONG, 200),
        get(long(8000)).named("8000 bytes").served(LONG, 200),
        get(format!("{}?x", long(4095))).named("4095 bytes and a query"),
        get(format!("/{}", "%41".repeat(2000))).named("2000 encoded bytes"),
        get(format!("/{}", "%e4".repeat(2600))).named("2600 high bytes, which do not fit"),
        get(format!("/q?{}", "x".repeat(7000))).named("a long query"),
        get(format!("/q?{}", "x".repeat(8000))).named("a query that does not fit"),
        get("/a%5cb").refused("Backslash in a mapped path", 400),
        get("/a%5Cb").refused("Backslash in a mapped path", 400),
        get("/a\\b").refused("Backslash in a mapped path", 400),
        get("/a\\..\\b").refused("Backslash in a mapped path", 400),
    ]);
    cases
}

fn headers() -> Vec<Case> {
    let all_coded = get("/headers")
        .named("all with a code")
        .header("ACCEPT", "text/html, */*;q=0.1")
        .header("accept-charset", "utf-8")
        .header("aCCEPT-eNCODING", "gzip, br")
        .header("Accept-language", "de-CH, en;q=0.5")
        .header("AUTHORIZATION", "Bearer abc")
        .header("content-TYPE", "text/plain; charset=UTF-8")
        .header("CONTENT-length", "0")
        .header("cookie", "a=b; c=d")
        .header("COOKIE2", "$Version=1")
        .header("PRAGMA", "no-cache")
        .header("rEFERER", "http://example.test/?q")
        .header("USER-agent", "test/1.0 (x; y)");
    let spelled = |how: &str, spell: fn(&str) -> String| {
        let names = [
            "Accept",
            "Accept-Charset",
            "Accept-Encoding",
            "Accept-Language",
            "Authorization",
            "Content-Type",
            "Cookie",
            "Cookie2",
            "Pragma",
            "Referer",
            "User-Agent",
            "Accept-Charse",
            "Accept-Languages",
            "Hos",
            "Hosts",
        ];
        names.iter().fold(get("/headers").named(how), |case, name| case.header(&spell(name), "x"))
    };
    let hundred = (0..95).fold(get("/headers").named("almost 100"), |case, number| {
        case.header(&format!("X-Header-{number}"), format!("value {number}"))
    });
    let too_many = (0..101).fold(get("/headers").named("too many"), |case, number| {
        case.header(&format!("X-Header-{number}"), "x")
    });
    let large = |length| get("/headers").header("X-Large", "x".repeat(length));
    const HOP: &str = "Hop-by-hop request headers";
    vec![
        all_coded,
        spelled("as in RFC 9110", str::to_owned),
        spelled("lower case", str::to_ascii_lowercase),
        spelled("upper case", str::to_ascii_uppercase),
        hundred,
        too_many,
        large(7000).named("7000 bytes"),
        large(8100).named("more than a packet"),
        get("/headers").named("a name twice").header("X-A", "1").header("x-a", "2"),
        get("/headers")
            .named("mixed order")
            .header("X-A", "1")
            .header("Accept", "a")
            .header("X-B", "2")
            .header("Accept", "b")
            .header("X-A", "3"),
        get("/headers").named("two Cookie lines").header("Cookie", "a=1").header("Cookie", "b=2"),
        get("/headers").named("empty").header("X-Empty", "").lines(b"X-None:\r\nAccept:\r\n"),
        get("/headers").named("blanks").lines(b"X-A: \t a b \t \r\nX-B:c\r\n"),
        get("/headers").named("folded").lines(b"X-A: a\r\n b\r\n\tc\r\nX-B: d\r\n"),
        get("/headers").named("underscore").header("X_Under", "1").header("Content_Length", "3"),
        get("/headers").named("high bytes").header("X-A", b"\xe4 \xc3\xa4 \xff"),
        get("/headers").named("token name").header("!#$%&'*+-.^_`|~", "odd"),
        get("/headers").named("a control character").header("X-A", "a\x01b"),
        get("/headers").named("a colon in the value").header("X-A", "a: b:c"),
        get("/headers").named("a blank before the colon").lines(b"X-A : 1\r\n"),
        get("/headers").named("bare LF").lines(b"X-A: 1\nX-B: 2\r\n"),
        get("/headers").named("a long name").header(&"N".repeat(300), "x"),
        get("/headers")
            .named("spoofed attributes")
            .header("REMOTE_USER", "admin")
            .header("Remote-User", "admin")
            .header("AJP_REMOTE_PORT", "1")
            .header("AJP_SSL_PROTOCOL", "TLS")
            .header("X-Forwarded-For", "10.0.0.1")
            .header("JK_ROUTE", "x")
            .header("Secret", "x"),
        get("/headers").named("CL 0").header("Content-Length", "0"),
        get("/headers").named("CL 000").header("Content-Length", "000"),
        get("/headers").named("CL garbage").header("Content-Length", "x"),
        get("/headers").named("CL signed").header("Content-Length", "+3"),
        get("/headers").named("two CL").header("Content-Length", "0").header("Content-Length", "0"),
        get("/headers").named("basic credentials").header("Authorization", "Basic dTpw"),
        get("/headers").named("range").header("Range", "bytes=0-1").header("If-Range", "\"x\""),
        get("/headers").named("conditional").header("If-None-Match", "*"),
        get("/headers").named("date").header("If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT"),
        get("/hop")
            .named("all of them")
            .header("Connection", "close, X-Named, Cookie")
            .header("X-Named", "1")
            .header("X-Other", "2")
            .header("Cookie", "a=b")
            .header("Keep-Alive", "timeout=5")
            .header("TE", "trailers")
            .header("Trailer", "X-T")
            .header("Upgrade", "websocket")
            .header("Proxy", "http://other.example.test/")
            .header("Proxy-Connection", "keep-alive")
            .header("Proxy-Authorization", "Basic x")
            .differs(HOP, |seen| {
                seen.without_request_headers(&[
                    "connection",
                    "x-named",
                    "cookie",
                    "keep-alive",
                    "te",
                    "trailer",
                    "upgrade",
                    "proxy",
                    "proxy-connection",
                    "proxy-authorization",
                ]);
            }),
        get("/hop").named("Connection").header("Connection", "keep-alive").differs(HOP, |seen| {
            seen.without_request_headers(&["connection"]);
        }),
        request("POST", "/hop")
            .named("expecting 100")
            .header("Expect", "100-continue")
            .body(b"body")
            .differs(HOP, |seen| seen.without_request_headers(&["expect"])),
        get("/hop").named("expecting 100").header("Expect", "100-continue").differs(HOP, |seen| {
            seen.without_request_headers(&["expect"]);
        }),
    ]
}

fn bodies() -> Vec<Case> {
    const ENCODING: &str = "Transfer-Encoding of a request";
    let noise = Noise::bytes(70_000);
    let mut cases = Vec::new();
    for length in [0, 1, 2, 8185, 8186, 8187, 16_372, 16_373, 20_000, 70_000] {
        cases.push(request("POST", "/body").body(&noise[..length]));
    }
    cases.extend(
        [
            request("PUT", "/body").body(&noise[..100]),
            request("GET", "/body").body(&noise[..100]),
            request("HEAD", "/body").body(&noise[..100]),
            request("DELETE", "/body").body(&noise[..100]),
            request("OPTIONS", "/body").body(&noise[..100]),
            request("POST", "/body").named("no length"),
            request("PUT", "/body").named("no length"),
            request("POST", "/body?q").body(b"a=b").header("Content-Type", "text/plain"),
            // The engine asks in its own way.
            request("POST", "/body").named("small asks").body(&noise[..9000]).scripted(
                |conn, _| {
                    let mut all = conn.read_body_packet()?.len();
                    for ask in [1, 10, 0, 500] {
                        all += conn.ask_body(ask)?.len();
                    }
                    loop {
                        let part = conn.ask_body(0xFFFF)?.len();
                        if part == 0 {
                            break;
                        }
                        all += part;
                    }
                    conn.send(&packet::answer(200, &[], all.to_string().as_bytes()))?;
                    Ok(crate::support::engine::Action::Keep)
                },
            ),
            request("GET", "/body").named("an ask for nothing").scripted(|conn, _| {
                let data = conn.ask_body(100)?;
                conn.send(&packet::answer(200, &[], &data))?;
                Ok(crate::support::engine::Action::Keep)
            }),
            request("POST", "/body")
                .named("an answer without asking")
                .body(&noise[..20_000])
                .scripted(|conn, _| {
                    conn.read_body_packet()?;
                    conn.send(&packet::answer(413, &[], b"enough"))?;
                    Ok(crate::support::engine::Action::Keep)
                }),
            request("POST", "/chunks").chunked(&[]),
            request("POST", "/chunks").chunked(&[b"hello"]),
            request("GET", "/chunks").chunked(&[b"hello"]),
            request("POST", "/chunks").chunked(&[&noise[..8000]]),
            request("POST", "/chunks").chunked(&[&noise[..20_000]]),
            request("POST", "/chunks")
                .named("a length too")
                .header("Content-Length", "5")
                .chunked(&[b"hello"]),
        ]
        .map(|case| {
            if !case.name.contains("/chunks") {
                return case;
            }
            case.differs(ENCODING, |seen| seen.without_request_headers(&["transfer-encoding"]))
        }),
    );
    let odd = |value: &str| {
        get("/body").named(value).header("Transfer-Encoding", value).lines(b"X: y\r\n")
    };
    cases.extend(["gzip, chunked", "xchunked", "identity", "chunked, chunked"].map(odd));
    cases
}

fn connections() -> Vec<Case> {
    vec![
        get("/1").then(get("/2?q")).then(get("/3")),
        request("POST", "/1").body(b"one").then(request("POST", "/2").body(b"two")).then(get("/3")),
        request("HEAD", "/1").then(get("/2")).then(request("PATCH", "/3").body(b"p")),
        get("/1").http10(),
        get("/1").http10().without_host(),
        request("POST", "/1").http10().without_host().body(b"body"),
        get("/1").without_host(),
        get("/1").host(""),
        get("/1").host("other.example.test"),
        get("/1").host("OTHER.Example.TEST:99"),
        get("/1").host("[::1]:99"),
        get("/1").host("[2001:db8::1]"),
        get("/1").host("other.example.test:"),
        get("/1").host("other.example.test:0"),
        get("/1").host("other.example.test:65536"),
        get("/1").host("a b"),
        get("http://other.example.test:99/1").host("another.example.test"),
    ]
}
