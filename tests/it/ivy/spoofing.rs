//! Attempts to be somebody else: the engine never sees a user whom httpd does not know, and never two.

use super::users::{ALICE, BASIC, BASIC_MODULES, USERS, User, WRONG, user};
use super::with;
use crate::support::client::{Client, curl};
use crate::support::engine::Engine;
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::packet::Request;

const HEADER: &str = "X-Forwarded-User";

/// Header lines that a client may try, each ended. Some are no HTTP: httpd may refuse them.
const ATTEMPTS: [&str; 38] = [
    "X-Forwarded-User: admin\r\n",
    "x-forwarded-user: admin\r\n",
    "X-FORWARDED-USER: admin\r\n",
    "x-FoRwArDeD-uSeR: admin\r\n",
    "X_Forwarded_User: admin\r\n",
    "X_Forwarded-User: admin\r\n",
    "X-Forwarded_User: admin\r\n",
    "x_forwarded_user: admin\r\n",
    "X.Forwarded.User: admin\r\n",
    "X!Forwarded~User: admin\r\n",
    "X-Forwarded-User : admin\r\n",
    " X-Forwarded-User: admin\r\n",
    "X-Forwarded-User:admin\r\n",
    "X-Forwarded-User:\tadmin\r\n",
    "X-Forwarded-User:   admin  \r\n",
    "X-Forwarded-User:\r\n",
    "X-Forwarded-User: \r\n admin\r\n",
    "X-A: b\r\n X-Forwarded-User: admin\r\n",
    "X-Forwarded-User: admin\r\nX-Forwarded-User: root\r\n",
    "X-Forwarded-User: admin\r\nX_Forwarded_User: root\r\nx-forwarded_user: toor\r\n",
    "X-Forwarded-User: alice\r\n",
    "X-Forwarded-User: alice, admin\r\n",
    "X-Forwarded-User\0: admin\r\n",
    "X-Forwarded-User: ad\0min\r\n",
    "X-Forwarded-User: \u{fc}admin\r\n",
    "X-A: b\nX-Forwarded-User: admin\r\n",
    "X-A: b\rX-Forwarded-User: admin\r\n",
    "X-Forwarded-User: admin\nX-A: b\r\n",
    "Connection: X-Forwarded-User\r\nX-Forwarded-User: admin\r\n",
    "Connection: keep-alive, x-forwarded-user\r\nX-Forwarded-User: admin\r\n",
    "Connection: Remote-User, Authorization\r\nX-Forwarded-User: admin\r\n",
    "Remote_User: admin\r\nREMOTE-USER: admin\r\nAuth-Type: Basic\r\n",
    "JK_REMOTE_USER: admin\r\nJK_AUTH_TYPE: Basic\r\n",
    "HTTP_X_FORWARDED_USER: admin\r\nREDIRECT_REMOTE_USER: admin\r\n",
    "Proxy: http://x\r\nX-Forwarded-User: admin\r\nTE: trailers\r\n",
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: Upgrade, HTTP2-Settings\r\n\
     X-Forwarded-User: admin\r\n",
    "X-Forwarded-User: admin\r\nExpect: 100-continue\r\n",
    "X-HTTP-Method-Override: PUT\r\nX-Original-URL: /ivy/x\r\nX-Forwarded-User: admin\r\n",
];

/// Paths of /ivy/x, which wants a login, and of those that look like it.
const PATHS: [&str; 14] = [
    "/ivy/x",
    "/ivy//x",
    "//ivy/x",
    "/%69vy/x",
    "/ivy/%78",
    "/ivy/./x",
    "/ivy/a/../x",
    "/ivy;a=b/x",
    "/ivy/;/x",
    "/ivy/x;jsessionid=1",
    "/open/../ivy/x",
    "/open/..;/ivy/x",
    "/open/%2e%2e/ivy/x",
    "/open/%2e%2e;x/ivy/x",
];

struct Scene {
    httpd: Httpd,
    engine: Engine,
}

impl Scene {
    /// /ivy wants a login, /open does not.
    fn start(change: impl FnOnce(Builder) -> Builder) -> Self {
        let engine = Engine::recording().start();
        let builder = Httpd::builder(Module::Ours)
            .modules(&BASIC_MODULES)
            .modules(&["include", "rewrite", "env", "alias"])
            .worker("w", &engine.endpoint())
            .mount("/ivy|/*", "w")
            .mount("/open|/*", "w")
            .file("conf/users", USERS)
            .config(&format!("JkUserHeader {HEADER}\n<Location /ivy>\n{BASIC}</Location>"));
        Self { httpd: change(builder).start(), engine }
    }

    /// Every request since `from`: none has a user but the expected one, and never two headers.
    #[track_caller]
    fn check(&self, from: usize, what: &str, expected: &[Option<&str>]) {
        let seen = self.engine.requests();
        let seen = seen.get(from..).expect("requests");
        for request in seen {
            let user = user(request, HEADER);
            let name = user.remote_user.clone();
            assert!(expected.contains(&name.as_deref()), "{what}: {user:?} at {}", request.uri());
            assert_eq!(user.headers, name.into_iter().collect::<Vec<_>>(), "{what}");
            assert_eq!(user.auth_type.is_some(), user.remote_user.is_some(), "{what}: {user:?}");
        }
    }

    fn count(&self) -> usize {
        self.engine.requests().len()
    }
}

/// Sends bytes on a connection of their own and reads all that comes.
fn send(httpd: &Httpd, bytes: &[u8]) -> String {
    let mut client = Client::connect(httpd.addr());
    client.send(bytes).expect("to send");
    client.finish_sending();
    let mut all = Vec::new();
    while let Ok(some) = client.read_some(65536) {
        if some.is_empty() {
            break;
        }
        all.extend(some);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: h\r\n{headers}\r\n")
}

fn login((name, value): (&str, &str)) -> String {
    format!("{name}: {value}\r\n")
}

fn pass_in_every_position(scene: &Scene) {
    let httpd = &scene.httpd;
    let (good, bad) = (login(ALICE), login(WRONG));
    let mut reached = 0;
    for attempt in ATTEMPTS {
        let before = scene.count();
        send(httpd, get("/open/x", attempt).as_bytes());
        // A good name without its need for a login is nobody's.
        send(httpd, get("/open/x", &format!("{attempt}{good}")).as_bytes());
        scene.check(before, attempt, &[None]);
        reached += scene.count() - before;
        let before = scene.count();
        send(httpd, get("/ivy/x", attempt).as_bytes());
        send(httpd, get("/ivy/x", &format!("{bad}{attempt}")).as_bytes());
        assert_eq!(scene.count(), before, "{attempt:?} needs no login");
        send(httpd, get("/ivy/x", &format!("{attempt}{good}")).as_bytes());
        send(httpd, get("/ivy/x", &format!("{good}{attempt}")).as_bytes());
        scene.check(before, attempt, &[Some("alice")]);
        reached += scene.count() - before;
    }
    assert!(reached >= 3 * ATTEMPTS.len(), "only {reached} requests reached the engine");
}

#[test]
fn no_spelling_of_the_header_passes() {
    pass_in_every_position(&Scene::start(|builder| builder));
}

#[test]
fn no_spelling_passes_whatever_else_is_forwarded() {
    pass_in_every_position(&Scene::start(|builder| {
        builder.config(
            "HttpProtocolOptions Unsafe\nMergeTrailers On\nJkOptions +ForwardHopByHop \
             +ForwardURICompatUnparsed\nJkEnvVar HTTP_X_FORWARDED_USER nobody",
        )
    }));
}

#[test]
fn no_path_leads_round_the_login() {
    let scene = Scene::start(|builder| builder);
    for path in PATHS {
        let before = scene.count();
        send(&scene.httpd, get(path, "X-Forwarded-User: admin\r\n").as_bytes());
        assert_eq!(scene.count(), before, "{path} needs no login");
        let request = get(path, &format!("X_Forwarded_User: admin\r\n{}", login(ALICE)));
        send(&scene.httpd, request.as_bytes());
        scene.check(before, path, &[Some("alice")]);
    }
}

#[test]
fn requests_of_one_connection_have_nothing_to_do_with_each_other() {
    let scene = Scene::start(|builder| builder);
    let (good, spoof) = (login(ALICE), "X-Forwarded-User: admin\r\n");
    let pipeline = [
        get("/ivy/1", &format!("{good}{spoof}")),
        get("/open/2", spoof),
        "POST /open/3 HTTP/1.1\r\nHost: h\r\nContent-Length: 37\r\n\r\nGET /x HTTP/1.1\r\nX-Forwarded-User: ad"
            .to_owned(),
        get("/open/4", ""),
        get("/ivy/5", &format!("{spoof}{good}Connection: close\r\n")),
    ];
    let answers = send(&scene.httpd, pipeline.concat().as_bytes());
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 5, "{answers}");
    let seen: Vec<(String, User)> =
        scene.engine.requests().iter().map(|r| (r.uri().to_owned(), user(r, HEADER))).collect();
    for (uri, user) in &seen {
        let expected = uri.starts_with("/ivy").then(|| "alice".to_owned());
        assert_eq!(user.remote_user, expected, "{uri}");
        assert_eq!(user.headers, expected.into_iter().collect::<Vec<_>>(), "{uri}");
    }
    assert_eq!(seen.len(), 5);
}

#[test]
fn trailers_are_no_headers() {
    let scene = Scene::start(|builder| builder.config("MergeTrailers On"));
    let body = "Transfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\n\r\n3\r\nabc\r\n0\r\n\
                X-Forwarded-User: admin\r\nx_forwarded_user: root\r\nSSL_CLIENT_CERT: \
                forged\r\n\r\n";
    let post = |path: &str, login: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{login}{body}")
    };
    assert!(send(&scene.httpd, post("/open/x", "").as_bytes()).starts_with("HTTP/1.1 200"));
    scene.check(0, "trailers", &[None]);
    let answer = send(&scene.httpd, post("/ivy/x", &login(ALICE)).as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    scene.check(1, "trailers", &[Some("alice")]);
    let seen = scene.engine.requests();
    assert!(seen.iter().all(|request| request.header("SSL_CLIENT_CERT").is_none()));
    assert_eq!(scene.count(), 2);
}

/// Front ends before this one may set such headers; a client that sends them is no front end.
#[test]
fn headers_about_certificates_come_from_httpd_alone() {
    let scene = Scene::start(|builder| {
        builder.modules(&["headers"]).config("RequestHeader set SSL_CLIENT_VERIFY NONE")
    });
    let spoof = "SSL_CLIENT_VERIFY: SUCCESS\r\nSSL_CLIENT_CERT: forged\r\nSsl-Cipher: x\r\n\
                 ssl_client_verify: GENEROUS\r\n";
    for path in ["/open/x", "/open/to/..;/x"] {
        send(&scene.httpd, get(path, spoof).as_bytes());
        let request = scene.engine.requests().pop().expect("a request");
        assert_eq!(request.header_values("SSL_CLIENT_VERIFY"), ["NONE"], "{path}");
        assert_eq!(request.header("SSL_CLIENT_CERT"), None);
        assert_eq!(request.header("Ssl-Cipher"), None);
    }
    // Where no engine reads a user from a header they pass, as with C mod_jk.
    let engine = Engine::recording().start();
    let plain =
        Httpd::builder(Module::Ours).worker("w", &engine.endpoint()).mount("/*", "w").start();
    send(&plain, get("/x", spoof).as_bytes());
    let request = engine.requests().pop().expect("a request");
    assert_eq!(request.header("SSL_CLIENT_CERT").as_deref(), Some("forged"));
}

#[test]
fn http2_is_no_way_round() {
    let scene = Scene::start(|builder| builder.http2());
    let (name, value) = ALICE;
    let good = format!("{name}: {value}");
    let spoofs = [
        "X-Forwarded-User: admin",
        "x_forwarded_user: admin",
        "X.Forwarded-User: admin",
        "x-forwarded-user;",
        "Remote_User: admin",
    ];
    for spoof in spoofs {
        for (path, user, status) in [
            ("/open/x", None, 200),
            ("/ivy/x", None, 401),
            ("/ivy/x", Some("alice"), 200),
            ("/open/..;/ivy/x", None, 401),
        ] {
            let before = scene.count();
            let url = scene.httpd.http(path);
            let mut args =
                vec!["--http2-prior-knowledge", "--path-as-is", "-H", spoof, "-H", spoof];
            args.extend(user.iter().flat_map(|_| ["-H", &good]));
            args.push(&url);
            let answer = curl(&args);
            assert_eq!((answer.status, answer.version.as_str()), (status, "2"), "{spoof} {path}");
            assert_eq!(scene.count() - before, usize::from(status == 200), "{spoof} {path}");
            scene.check(before, spoof, &[user]);
        }
    }
}

#[test]
fn requests_that_httpd_makes_itself_have_their_own_user() {
    let config = "\
Alias /ssi @ROOT@/htdocs/ssi
RewriteEngine on
RewriteRule ^/to-open$ /open/rewritten [PT]
RewriteRule ^/to-ivy$ /ivy/rewritten [PT]
ErrorDocument 404 /open/missing
ErrorDocument 401 /open/login
<Directory @ROOT@/htdocs/ssi>
Options +Includes
SetOutputFilter INCLUDES
</Directory>
";
    let page = "<!--#include virtual=\"/open/a\" --><!--#include virtual=\"/ivy/b\" -->";
    let scene = Scene::start(|builder| builder.config(config).file("htdocs/ssi/p.html", page));
    let spoof = "X-Forwarded-User: admin\r\nx_forwarded_user: root\r\nConnection: close\r\n";
    let (good, bad) = (login(ALICE), login(WRONG));
    // Without a login: nobody. A wrong one: its name goes nowhere, not to the page for 401 either.
    for headers in [spoof.to_owned(), format!("{spoof}{bad}")] {
        for path in ["/ssi/p.html", "/to-open", "/to-ivy", "/nothing", "/ivy/x"] {
            send(&scene.httpd, get(path, &headers).as_bytes());
        }
    }
    scene.check(0, "nobody", &[None]);
    let uris: Vec<String> = scene.engine.requests().iter().map(|r| r.uri().to_owned()).collect();
    assert!(uris.iter().all(|uri| uri.starts_with("/open/")), "{uris:?}");
    assert!(uris.contains(&"/open/login".to_owned()), "{uris:?}");
    let before = scene.count();
    for path in ["/ssi/p.html", "/to-ivy", "/to-open"] {
        send(&scene.httpd, get(path, &format!("{spoof}{good}")).as_bytes());
    }
    scene.check(before, "alice", &[None, Some("alice")]);
    let of = |request: &Request| (request.uri().to_owned(), user(request, HEADER).remote_user);
    let seen: Vec<_> = scene.engine.requests().iter().skip(before).map(of).collect();
    for (uri, user) in &seen {
        assert_eq!(user.is_some(), uri.starts_with("/ivy/"), "{uri}");
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

/// Another worker for the same engine, or one that writes its host in another way, is no way round.
#[test]
fn an_engine_is_known_however_its_address_is_written() {
    let engine = Engine::recording().start();
    let port = engine.port();
    let hosts = ["127.0.0.1", "LOCALHOST", "localhost", "::ffff:127.0.0.1"];
    let names = ["a", "b", "c", "d"];
    let mut lines = "JkIvyEngine conf/ivy\n".to_owned();
    let mut workers = format!("worker.list={}\n", names.join(","));
    for (name, host) in names.iter().zip(hosts) {
        lines += &format!("JkMount /{name}/* {name}\n");
        workers += &format!("worker.{name}.host={host}\nworker.{name}.port={port}\n");
    }
    let yaml =
        format!("Connector.AJP.Port: {port}\nConnector.HTTP.Address: localhost\nSSO.Enabled: on\n");
    let socket = lines.replace("conf/ivy", "conf/ivy socket=/run/none.sock");
    for (lines, paths) in
        [(lines, &["/ivy/x", "/a/x", "/b/x", "/c/x", "/d/x"][..]), (socket, &["/a/x", "/c/x"])]
    {
        let httpd = with(&lines, &yaml).workers(&workers).start();
        for path in paths {
            let before = engine.requests().len();
            send(&httpd, get(path, "X-Forwarded-User: admin\r\n").as_bytes());
            let request = engine.requests().pop().expect("a request");
            assert_eq!((engine.requests().len(), request.uri()), (before + 1, *path));
            assert_eq!(user(&request, HEADER).headers, [""; 0], "{path}");
        }
    }
}
