//! What JkIvyEngine denies is not reached: no spelling, no detour.

use super::{connector, with};
use crate::support::client;
use crate::support::engine::Engine;
use crate::support::tomcat::Tomcat;

const SECRET: &str = "administration";

/// Spellings of /ivy/system/, for a server that decodes them once.
const SPELLINGS: [&str; 26] = [
    "/ivy/system/",
    "/ivy/system/index.html",
    "/ivy/%73ystem/",
    "/ivy/%73%79%73%74%65%6d/index.html",
    "/ivy/s%79stem/index%2ehtml",
    "/ivy/system;a=b/",
    "/ivy;a/system;/index.html;x",
    "/ivy/;a=b/system/",
    "//ivy//system//",
    "///ivy/system/index.html",
    "/./ivy/./system/./",
    "/ivy/.;x/system/",
    "/ivy/a/../system/",
    "/ivy/a/..;/system/",
    "/ivy/a/..;x=y/system/index.html",
    "/ivy/%2e/system/",
    "/ivy/a/%2e%2e/system/",
    "/ivy/a/%2e%2e;/system/",
    "/other/../ivy/system/",
    "/ivy/system/a/..",
    "/ivy/system/a/..;/index.html",
    "/ivy/system/?a=/ivy/ok",
    "/ivy/system/%3b",
    "/ivy%2fsystem/",
    "/ivy/%2573ystem/",
    "/ivy/%252e/system/",
];

#[test]
fn no_spelling_leads_to_what_is_denied() {
    let page = SECRET;
    let tomcat = Tomcat::builder()
        .file("ivy/system/index.html", page)
        .file("ivy/deep/in/index.html", page)
        .file("ivy/systems/index.html", "harmless")
        .file("ROOT/system/index.html", page)
        .start();
    let mut builder =
        with("JkIvyEngine conf/ivy deny=/ivy/deep/in", &connector(&tomcat.endpoint()));
    let options = [
        "",
        "ForwardURIEscaped",
        "ForwardURICompat",
        "ForwardURICompatUnparsed",
        "RejectUnsafeURI",
    ];
    for (at, option) in options.iter().enumerate() {
        let option = if option.is_empty() { String::new() } else { format!("JkOptions +{option}") };
        let encoded = "AllowEncodedSlashes On\n";
        builder = builder.vhost(&format!("denied{at}.test"), &format!("{encoded}{option}")).vhost(
            &format!("open{at}.test"),
            &format!("{encoded}{option}\nJkIvyEngine conf/ivy system=allow"),
        );
    }
    let httpd = builder.vhost("root.test", "JkIvyEngine conf/ivy context=/").start();
    for (at, option) in options.iter().enumerate() {
        let mut reached = 0;
        for path in SPELLINGS {
            let open = client::get(httpd.vhost(&format!("open{at}.test")), path);
            let denied = client::get(httpd.vhost(&format!("denied{at}.test")), path);
            assert!(!denied.text().contains(SECRET), "{option} {path}");
            if open.text().contains(SECRET) {
                reached += 1;
                assert_eq!(denied.status(), 403, "{option} {path}");
            }
        }
        assert!(reached >= 15, "{option}: only {reached} spellings lead anywhere");
    }
    for (host, path, status) in [
        ("denied0.test", "/ivy/deep/in/", 403),
        ("denied0.test", "/ivy/deep/in", 403),
        ("denied0.test", "/ivy/deep/%69n;x/index.html", 403),
        ("denied0.test", "/ivy/system", 403),
        ("denied0.test", "/ivy/systems/", 200),
        // Case matters to Tomcat: there is no such page.
        ("denied0.test", "/ivy/System/", 404),
        ("root.test", "/system/", 403),
        ("root.test", "/%73ystem/", 403),
        ("root.test", "/ivy/system/", 200),
    ] {
        assert_eq!(client::get(httpd.vhost(host), path).status(), status, "{host} {path}");
    }
}

#[test]
fn no_detour_leads_to_what_is_denied() {
    let engine = Engine::recording().start();
    let lines = "\
JkIvyEngine conf/ivy
JkMountCopy All
JkMount /ivy/system/mounted AxonIvyEngine
RewriteEngine on
RewriteRule ^/pass$ /ivy/system/x [PT]
Alias /ssi @ROOT@/htdocs/ssi
ErrorDocument 404 /ivy/system/error
<Location /handled>
SetHandler jakarta-servlet
SetEnv JK_WORKER_NAME AxonIvyEngine
</Location>
<Location /ivy/system/handled>
SetHandler jakarta-servlet
</Location>
<Directory @ROOT@/htdocs/ssi>
Options +Includes
SetOutputFilter INCLUDES
</Directory>
";
    let page = "[<!--#include virtual=\"/ivy/system/x\" -->|<!--#include virtual=\"/ivy/ok\" -->]";
    let httpd = with(lines, &connector(&engine.endpoint()))
        .modules(&["alias", "env", "rewrite", "include", "dir"])
        .file("htdocs/ssi/page.html", page)
        .jk_log_level("info")
        .start();
    for path in ["/ivy/system/mounted", "/pass", "/ivy/system/handled/x"] {
        assert_eq!(client::get(httpd.addr(), path).status(), 403, "{path}");
    }
    // The page for the error is denied itself.
    assert_eq!(client::get(httpd.addr(), "/nothing").status(), 404);
    let text = client::get(httpd.addr(), "/ssi/page.html").text();
    assert!(text.contains("|/ivy/ok]"), "{text}");
    assert_eq!(client::get(httpd.addr(), "/handled/x").status(), 200);
    let seen: Vec<String> = engine.requests().iter().map(|r| r.uri().to_owned()).collect();
    assert_eq!(seen, ["/ivy/ok", "/handled/x"]);
    let line = "(AxonIvyEngine) path_denied: JkIvyEngine denies /ivy/system and what is below; \
                phase=prepare in=0 out=0 body=0 tries=0 outcome=403 path=/ivy/system/x";
    assert!(httpd.jk_log().contains(line), "{}", httpd.jk_log());
}
