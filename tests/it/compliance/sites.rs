//! Requests to virtual hosts, each with a configuration of its own.

use super::case::{Case, get, request};
use super::run::Group;

/// alice, with the password `word`.
const PASSWORDS: &str = "alice:{SHA}PLzZCtxLGSqHpiWFC38jHK3fDrM=\n";

/// Name and configuration of each site.
const SITES: [(&str, &str); 17] = [
    // The first one also gets what names no other.
    ("first.test", "JkMount /* w"),
    ("alias.test", "ServerAlias *.alias.test other.test\nJkMount /* w"),
    ("canonical.test:4711", "UseCanonicalName On\nJkMount /* w"),
    ("plain-canonical.test", "UseCanonicalName On\nUseCanonicalPhysicalPort On\nJkMount /* w"),
    ("physical.test", "UseCanonicalPhysicalPort On\nJkMount /* w"),
    (
        "login.test",
        "JkMount /* w
         <Location />
         AuthType Basic
         AuthName it
         AuthUserFile conf/passwords
         Require valid-user
         </Location>",
    ),
    ("lookups.test", "HostnameLookups On\nJkMount /* w"),
    ("local.test", "SetEnvIf Request_URI ^/local$ JK_LOCAL_ADDR=192.0.2.1\nJkMount /* w"),
    ("proxied.test", "RemoteIPHeader X-Client-IP\nRemoteIPInternalProxy 127.0.0.1\nJkMount /* w"),
    (
        "rewritten.test",
        "RewriteEngine On
         RewriteRule ^/old/(.*)$ /app/$1 [PT]
         RewriteRule ^/query/(.*)$ /app/x?q=$1 [PT,QSA]
         RewriteRule ^/escaped$ /app/a%20b;c\\?d [PT]
         RewriteRule ^/encoded$ /app/a\\%20b [PT,NE]
         RewriteRule ^/plain/(.*)$ /app/$1
         RewriteRule ^/away/ - [E=no-jk:1]
         RewriteRule ^/user/(.*)$ /app/user [PT,E=JK_REMOTE_USER:$1]
         RewriteRule ^/redirect/(.*)$ /app/$1 [R=302]
         RewriteRule ^/gone$ - [G]
         RewriteRule ^/late/(.*)$ /app/$1 [PT,E=JK_WORKER_NAME:w]
         JkMount /app/* w
         JkMount /away/* w",
    ),
    (
        "errors.test",
        "ErrorDocument 404 /app/error.jsp?code=404
         ErrorDocument 403 /app/forbidden.jsp
         JkMount /app/* w
         <Location /app/secret>
         Require all denied
         </Location>
         <Location /closed>
         Require all denied
         </Location>",
    ),
    (
        "pages.test",
        "<Directory htdocs>
         Options +Includes
         SetOutputFilter INCLUDES
         </Directory>
         DirectoryIndex index.jsp index.html
         JkMount /*.jsp w
         JkMount /app/* w",
    ),
    (
        "handlers.test",
        "<Location /handled>
         SetHandler jakarta-servlet
         SetEnv JK_WORKER_NAME w
         </Location>
         <Location /nobody>
         SetHandler jakarta-servlet
         SetEnv JK_WORKER_NAME nobody
         </Location>
         <Location /nameless>
         SetHandler jakarta-servlet
         </Location>
         <Location /both>
         SetHandler jakarta-servlet
         </Location>
         JkMount /both/mounted w",
    ),
    (
        "mounts.test",
        "<Location /exact>
         JkMount w
         </Location>
         <Location /section/*>
         JkMount w
         </Location>
         <Location /section/out>
         JkUnMount w
         </Location>
         JkMount /both|/* w
         JkMount /suffix/*.jsp w
         JkMount /one/?/x w
         JkMount /file.txt w
         JkMount /star*end w
         JkMount /a/b/* w
         JkMount /out/* w
         JkUnMount /out/static/* w
         JkUnMount /out/*.gif *
         JkUnMount /out/other/* somebody
         JkMount /unknown/* nobody
         JkUnMount /both/closed|/* w",
    ),
    (
        "guarded.test",
        "JkMount /t|/* w
         <Location /t/secret>
         Require all denied
         </Location>",
    ),
    ("slashes.test", "AllowEncodedSlashes On\nJkMount /* w"),
    ("kept.test", "AllowEncodedSlashes NoDecode\nJkMount /* w\nTraceEnable off"),
];

pub(super) fn group() -> Group {
    let mut config = String::new();
    for (name, lines) in SITES {
        config += &format!("<VirtualHost @SERVE@>\nServerName {name}\n{lines}\n</VirtualHost>\n");
    }
    let mut cases = Vec::new();
    cases.extend(names());
    cases.extend(users());
    cases.extend(on(
        "rewritten.test",
        &[
            "/old/a",
            "/old/a%20b?c",
            "/old/",
            "/query/z?own=1",
            "/query/a%26b",
            "/escaped",
            "/encoded",
            "/plain/a",
            "/away/a",
            "/user/bob",
            "/redirect/a%20b",
            "/gone",
            "/late/x",
            "/old/%e4;p/x",
            "/old/../app/x",
            "/app/direct",
        ],
    ));
    cases.extend(errors());
    cases.extend(on(
        "pages.test",
        &[
            "/page.html",
            "/page.html?own=query",
            "/post.html",
            "/there/",
            "/there/?q",
            "/there",
            "/notthere/",
            "/plain/",
            "/x.jsp",
            "/there/index.jsp",
            "/nested.html",
            "/file.html",
        ],
    ));
    cases.extend(on(
        "handlers.test",
        &[
            "/handled",
            "/handled/x;y/../z?q",
            "/handled//a",
            "/nobody",
            "/nameless",
            "/both/mounted",
            "/both/other",
        ],
    ));
    cases.extend(on(
        "mounts.test",
        &[
            "/exact",
            "/exact/",
            "/exact/x",
            "/section/a",
            "/section/out",
            "/section/out/x",
            "/section",
            "/both",
            "/both/",
            "/both/x",
            "/bothx",
            "/both/closed",
            "/both/closed/x",
            "/suffix/a.jsp",
            "/suffix/a/b.jsp",
            "/suffix/a.jsp/x",
            "/suffix/a.jsp;x",
            "/one/1/x",
            "/one/12/x",
            "/one//x",
            "/file.txt",
            "/file.txt/",
            "/File.txt",
            "/starend",
            "/star/x/end",
            "/a/b/",
            "/a/b",
            "/out/a",
            "/out/static/a",
            "/out/static;x/a",
            "/out//static/a",
            "/out/x/../static/a",
            "/out/a.gif",
            "/out/a.gif;x",
            "/out/other/a",
            "/unknown/a",
        ],
    ));
    cases.extend(guarded());
    cases.extend(on("slashes.test", &["/a%2fb", "/a%2Fb%2f", "/a/..%2fb", "/%2f%2fa", "/..%2f.."]));
    cases.extend(on("kept.test", &["/a%2fb", "/a%2Fb", "/a/..%2fb", "/%2e%2e%2fx"]));
    cases.push(request("TRACE", "/a").host("kept.test"));
    Group {
        test: "every_site_does_the_same",
        modules: &[
            "setenvif",
            "env",
            "auth_basic",
            "authn_core",
            "authn_file",
            "authz_user",
            "authz_host",
            "remoteip",
            "rewrite",
            "include",
            "dir",
            "mime",
        ],
        config,
        workers: String::new(),
        files: &[
            ("conf/passwords", PASSWORDS),
            ("htdocs/page.html", "[<!--#include virtual=\"/app/part.jsp?x=1\" -->]\n"),
            ("htdocs/post.html", "[<!--#include virtual=\"/missing/part\" -->]\n"),
            ("htdocs/nested.html", "[<!--#include virtual=\"/page.html?a\" -->]\n"),
            ("htdocs/file.html", "[<!--#include file=\"there/part.txt\" -->]\n"),
            ("htdocs/there/index.jsp", "the source of a page"),
            ("htdocs/there/part.txt", "a part\n"),
            ("htdocs/notthere/other.txt", "no index here"),
            ("htdocs/plain/index.html", "<p>an index\n"),
        ],
        cases,
    }
}

fn on(site: &str, targets: &[&str]) -> Vec<Case> {
    targets.iter().map(|target| get(target).host(site)).collect()
}

fn names() -> Vec<Case> {
    let mut cases = Vec::new();
    for host in [
        "first.test",
        "unknown.test",
        "unknown.test:81",
        "alias.test",
        "www.alias.test",
        "WWW.Alias.Test:82",
        "other.test:83",
        "canonical.test",
        "canonical.test:84",
        "plain-canonical.test",
        "plain-canonical.test:85",
        "physical.test",
        "physical.test:86",
        "lookups.test",
        "first.test.",
    ] {
        cases.push(get("/name").host(host));
    }
    cases.extend([
        get("/name").http10().without_host(),
        get("http://canonical.test:87/name").host("alias.test"),
        get("/name").host("lookups.test").then(get("/name").host("physical.test")),
        get("/name").host("proxied.test"),
        get("/name").host("proxied.test").named("IPv4").header("X-Client-IP", "198.51.100.7"),
        get("/name").host("proxied.test").named("IPv6").header("X-Client-IP", "2001:db8::7"),
        get("/name")
            .host("proxied.test")
            .named("two")
            .header("X-Client-IP", "192.0.2.8, 192.0.2.9"),
        get("/name").host("proxied.test").named("garbage").header("X-Client-IP", "nonsense"),
        get("/other").host("local.test"),
        get("/local").host("local.test").differs("JK_LOCAL_ADDR in a virtual host", |seen| {
            seen.with_local_addr(b"192.0.2.1");
        }),
    ]);
    cases
}

fn users() -> Vec<Case> {
    let login = |word: &str| get("/user").host("login.test").header("Authorization", word);
    vec![
        get("/user").host("login.test"),
        login("Basic YWxpY2U6d29yZA==").named("the right password"),
        login("Basic YWxpY2U6d3Jvbmc=").named("a wrong password"),
        login("basic   YWxpY2U6d29yZA==").named("another spelling"),
        request("POST", "/user")
            .host("login.test")
            .header("Authorization", "Basic YWxpY2U6d29yZA==")
            .body(b"body"),
        request("POST", "/user").host("login.test").named("refused").body(b"body"),
    ]
}

fn errors() -> Vec<Case> {
    const GONE: &str = "Error page for a request whose body was read";
    let mut cases =
        on("errors.test", &["/missing", "/missing?own=1", "/app/secret", "/closed", "/app/x"]);
    cases.extend([
        request("POST", "/missing")
            .host("errors.test")
            .body(b"a body that is gone")
            .served(GONE, 200),
        request("PUT", "/closed").host("errors.test").body(b"a body that nobody has read"),
        request("PUT", "/closed")
            .host("errors.test")
            .chunked(&[b"chunk"])
            .differs("Transfer-Encoding of a request", |seen| {
                seen.without_request_headers(&["transfer-encoding"])
            }),
        request("PUT", "/closed").host("errors.test").body(&[b'x'; 9000]),
        request("PUT", "/closed")
            .host("errors.test")
            .body(b"first")
            .then(get("/app/x").host("errors.test")),
        request("POST", "/missing")
            .host("errors.test")
            .chunked(&[b"chunk"])
            .differs("Transfer-Encoding of a request", |seen| {
                seen.without_request_headers(&["transfer-encoding"])
            }),
        get("/app/x").host("errors.test").named("a status of the engine").answered(
            crate::support::packet::answer(404, &[("Content-Type", "text/plain")], b"not here"),
        ),
    ]);
    cases
}

/// spec/reliability.md 2.5: what httpd guards must not be reached by another spelling.
fn guarded() -> Vec<Case> {
    let mut cases = on(
        "guarded.test",
        &[
            "/t",
            "/t/",
            "/t/open",
            "/t/secret",
            "/t//secret",
            "//t/secret",
            "/t/./secret",
            "/t/x/../secret",
            "/t/%2e/secret",
            "/t/x/%2e%2e/secret",
            "/t/s%65cret",
            "/t/;x/secret",
            "/t/secret;x",
            "/t/secret;x/y",
            "/t;x/secret",
            "/t/..;/t/secret",
            "/t/x/..;/secret",
            "/t/x/..;a=b/secret",
            "/t/x/%2e%2e;/secret",
            "/t/secret%3bx",
            "/t/%3bx/secret",
            "/t/..;/other",
            "/t/..;x/other",
            "/t/%2e%2e;/other",
            "/t/../other",
            "/t/%2e%2e/other",
            "/t/..%2fother",
            "/t/x%2f..%2fsecret",
            "/t/%252e%252e/other",
            "/t/%2573ecret",
            "/t/%00secret",
            "/t/secret%00",
            "/t/x/%c0%ae%c0%ae/secret",
            "/t/a%3fb",
            "/t/a%23b",
            "/t/a%25b",
            "/t/normal;jsessionid=A.n1/x",
            "/tx",
            "/T/normal",
            "/t/Secret",
        ],
    );
    const BACKSLASH: &str = "Backslash in a mapped path";
    cases.extend([
        get("/t/..%5cother").host("guarded.test").refused(BACKSLASH, 400),
        get("/t/x\\..\\secret").host("guarded.test").refused(BACKSLASH, 400),
        get("/other\\x").host("guarded.test"),
    ]);
    cases
}
