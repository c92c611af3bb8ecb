//! Directives that name an environment variable, and what the variables do.

use super::case::{Case, Scene, get, post, site, status_answer};
use super::run::Group;

pub(super) fn group() -> Group {
    let mut cases = renamed();
    cases.extend(tls());
    cases.extend(variables());
    cases.extend(forwarded());
    Group {
        test: "environment_variables_do_the_same",
        modules: &["setenvif", "env", "rewrite"],
        config: "JkEnvVar INHERITED main",
        workers: "",
        files: &[],
        cases,
    }
}

/// A variable of the request, and a directive that names it, taken out for the comparison.
fn named(directive: &str, value: &str) -> Case {
    let lines = format!("JkMount /* @\nSetEnvIf Request_URI . MINE={value}\n> {directive} MINE");
    site(directive, &lines)
}

/// Variables with another name.
fn renamed() -> Vec<Case> {
    vec![
        named("JkRemoteAddrIndicator", "192.0.2.7"),
        named("JkRemotePortIndicator", "4711"),
        named("JkRemoteHostIndicator", "client.example.test"),
        named("JkRemoteUserIndicator", "bob"),
        named("JkAuthTypeIndicator", "Digest"),
        named("JkLocalNameIndicator", "www.example.test"),
        named("JkLocalPortIndicator", "4712"),
        named("JkLocalAddrIndicator", "192.0.2.1").ours_alone(),
        named("JkIgnoreCLIndicator", "1").asks([post("/x", b"body")]),
        site(
            "JkWorkerIndicator",
            "<Location /x>\nSetHandler jakarta-servlet\nSetEnv MINE @\n</Location>\n\
             > JkWorkerIndicator MINE",
        ),
    ]
}

/// A site whose requests look like TLS to mod_jk.
fn secure(name: &str, lines: &str) -> Case {
    site(name, "JkMount /* @\nSetEnvIf Request_URI . HTTPS=on").site(lines)
}

fn tls() -> Vec<Case> {
    let mine = |directive: &str, value: &str| {
        secure(directive, &format!("SetEnvIf Request_URI . MINE={value}\n> {directive} MINE"))
    };
    vec![
        named("JkHTTPSIndicator", "on"),
        named("JkHTTPSIndicator", "ON").named("upper case"),
        mine("JkSSLPROTOCOLIndicator", "TLSv1.3"),
        mine("JkCERTSIndicator", "-----BEGIN"),
        mine("JkCIPHERIndicator", "AES256"),
        mine("JkSESSIONIndicator", "0123abcd"),
        mine("JkKEYSIZEIndicator", "256"),
        secure(
            "JkCERTCHAINPrefix",
            "JkOptions +ForwardSSLCertChain
             SetEnvIf Request_URI . SSL_CLIENT_CERT=first
             SetEnvIf Request_URI . MINE_0=second
             SetEnvIf Request_URI . MINE_1=third
             > JkCERTCHAINPrefix MINE_",
        ),
        secure("JkExtractSSL Off", "> JkExtractSSL Off"),
        secure(
            "JkExtractSSL Off hides the rest",
            "SetEnvIf Request_URI . SSL_CIPHER=AES128\n> JkExtractSSL Off",
        ),
    ]
}

/// A variable that mod_jk reads by its own name.
fn variable(name: &str, value: &str) -> Case {
    let line = format!("JkMount /* @\n<<SetEnvIf Request_URI . {name}={value}>>");
    site(&format!("{name}={value}"), &line)
}

fn variables() -> Vec<Case> {
    let tls = |name: &str, value: &str| {
        let line = format!("<<SetEnvIf Request_URI . {name}={value}>>");
        secure(&format!("{name}={value}"), &line)
    };
    vec![
        variable("JK_REMOTE_ADDR", "192.0.2.8"),
        variable("JK_REMOTE_ADDR", ""),
        variable("JK_REMOTE_PORT", "1"),
        variable("JK_REMOTE_PORT", ""),
        variable("JK_REMOTE_HOST", "client.example.test"),
        variable("JK_REMOTE_USER", "alice"),
        variable("JK_AUTH_TYPE", "Basic"),
        variable("JK_LOCAL_NAME", "name.example.test"),
        variable("JK_LOCAL_NAME", ""),
        site("JK_LOCAL_ADDR", "JkMount /* @\nSetEnvIf Request_URI . JK_LOCAL_ADDR=192.0.2.1")
            .differs("JK_LOCAL_ADDR in a virtual host", |seen| seen.with_local_addr(b"192.0.2.1")),
        variable("JK_LOCAL_PORT", "99"),
        variable("JK_LOCAL_PORT", "many"),
        variable("JK_IGNORE_CL", "1").asks([post("/x", b"body")]),
        variable("JK_IGNORE_CL", "").asks([post("/x", b"body")]),
        variable("JK_ROUTE", "node1"),
        variable("no-jk", "1"),
        variable("no-jk", ""),
        variable("HTTPS", "on"),
        tls("SSL_PROTOCOL", "TLSv1.2"),
        tls("SSL_CIPHER", "AES128"),
        tls("SSL_SESSION_ID", "00ff"),
        tls("SSL_CLIENT_CERT", "-----BEGIN"),
        tls("SSL_CIPHER_USEKEYSIZE", "128"),
        tls("SSL_CIPHER_USEKEYSIZE", "large"),
        tls("SSL_CLIENT_CERT_CHAIN_0", "one").site("JkOptions +ForwardSSLCertChain"),
        tls("ssl_client_cert_chain_0", "one").site("JkOptions +ForwardSSLCertChain"),
        variable("JK_REPLY_TIMEOUT", "100").ends_first(),
        site(
            "JK_REPLY_TIMEOUT=0",
            "JkMount /* @;reply_timeout=100\n<<SetEnvIf Request_URI . JK_REPLY_TIMEOUT=0>>",
        )
        .scene(Scene::Held { settles: 1, busy: false }),
        site(
            "JK_WORKER_NAME",
            "<Location /x>\nSetHandler jakarta-servlet\n<<SetEnv JK_WORKER_NAME @>>\n</Location>",
        ),
        site(
            "JK_WORKER_NAME with an extension",
            "<Location /x>\nSetHandler jakarta-servlet
             SetEnv JK_WORKER_NAME @<<;use_server_errors=400>>\n</Location>",
        )
        .asks([get("/x")])
        .answered(status_answer(404)),
        site(
            "a worker name by rewriting",
            "RewriteEngine On\nRewriteRule ^/x$ - [E=JK_WORKER_NAME:@]\n\
             <<RewriteRule ^/x$ - [H=jakarta-servlet]>>",
        ),
        site(
            "no-jk by rewriting",
            "RewriteEngine On\n<<RewriteRule ^/x$ - [E=no-jk:1]>>\nJkMount /* @",
        ),
        sticky("JK_STICKY_IGNORE", "1"),
        sticky("JK_STICKY_IGNORE", ""),
        sticky("JK_ROUTE", "@x").named("of a balancer"),
        site("JK_STATELESS", "JkMount /x @\n<<SetEnvIf Request_URI ^/x JK_STATELESS=1>>")
            .balances()
            .workers("worker.@.method=Sessions")
            .gets(&["/x"])
            .status_line("worker.@x.sessions=0")
            .c_alone(),
        site("UNIQUE_ID", "JkMount /* @\nJkLogFile logs/@.log\nJkLogLevel trace")
            .site("<<SetEnvIf Request_URI . UNIQUE_ID=request-4712>>")
            .own("[request-4712]")
            .ours_alone(),
        site(
            "no-jk by SetEnv is late",
            "<Location /x>\n<<SetEnv no-jk 1>>\n</Location>\nJkMount /* @",
        ),
    ]
}

/// A session of the second member, which the variable overrules.
fn sticky(name: &str, value: &str) -> Case {
    variable(name, value).balances().asks([get("/x").header("Cookie", "JSESSIONID=a.@y")])
}

/// JkEnvVar [1.4].
fn forwarded() -> Vec<Case> {
    let env = |name: &str, lines: &str| site(name, &format!("JkMount /* @\n{lines}"));
    vec![
        env("JkEnvVar with a value", "SetEnvIf Request_URI . COLOUR=red\n> JkEnvVar COLOUR"),
        env("JkEnvVar with a default", "> JkEnvVar COLOUR blue"),
        env(
            "JkEnvVar prefers the value",
            "<<SetEnvIf Request_URI . COLOUR=red>>\n> JkEnvVar COLOUR blue",
        ),
        env("JkEnvVar of a header", "> JkEnvVar HTTP_HOST"),
        env("JkEnvVar of a CGI variable", "> JkEnvVar REMOTE_ADDR"),
        env("JkEnvVar twice", "JkEnvVar COLOUR blue\n> JkEnvVar COLOUR green"),
        env("JkEnvVar in another case", "JkEnvVar COLOUR blue\n> JkEnvVar colour green"),
        env("JkEnvVar with a quoted default", "> JkEnvVar COLOUR \"deep blue\""),
        env(
            "JkEnvVar with an empty default and a value",
            "SetEnvIf Request_URI . COLOUR=red\n> JkEnvVar COLOUR \"\"",
        ),
        env(
            "JkEnvVar with an empty value",
            "SetEnvIf Request_URI . COLOUR=\n> JkEnvVar COLOUR blue",
        ),
        env("JkEnvVar with an empty default", "JkEnvVar COLOUR \"\""),
        env("JkEnvVar without a value", "JkEnvVar COLOUR"),
        env("several JkEnvVar", "> JkEnvVar A 1\n> JkEnvVar B 2\nJkEnvVar C 3"),
        env("JkEnvVar overrides the main server's", "> JkEnvVar INHERITED own"),
    ]
}
