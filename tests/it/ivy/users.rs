//! Who httpd has authenticated is who the engine sees: Basic, client certificate, scripted module.

use std::collections::BTreeMap;

use super::{connector, with};
use crate::support::client::{self, Client, Response, curl};
use crate::support::engine::Engine;
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::packet::{Attr, Request};
use crate::support::tls::certificates;
use crate::support::tomcat::Tomcat;

/// alice, whose password is "password".
pub(super) const USERS: &str = "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n";

/// `alice:password`.
pub(super) const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6cGFzc3dvcmQ=");

/// `admin:wrong`.
pub(super) const WRONG: (&str, &str) = ("Authorization", "Basic YWRtaW46d3Jvbmc=");

pub(super) const BASIC: &str = "AuthType Basic\nAuthName ivy\nAuthBasicProvider file\n\
                                AuthUserFile @ROOT@/conf/users\nRequire valid-user\n";

pub(super) const BASIC_MODULES: [&str; 5] =
    ["auth_basic", "authn_core", "authn_file", "authz_core", "authz_user"];

const SSO: &str = "SSO.Enabled: yes\nConnector.HTTP.Address: localhost\n";

/// Passes only who has a ticket; its user is what the ticket says.
const TICKETS: &str = "
require 'apache2'
function check(r)
    local name = string.match(r.headers_in['X-Ticket'] or '', '^good:(%a+)$')
    if name then
        r.user = name
        return apache2.OK
    end
    return 401
end
";

/// The user as an engine is told: remote_user, auth_type, and each header of the name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) remote_user: Option<String>,
    pub(super) auth_type: Option<String>,
    pub(super) headers: Vec<String>,
}

pub(super) fn user(request: &Request, header: &str) -> User {
    let attribute = |wanted: fn(&Attr) -> Option<&Option<String>>| {
        request.attributes.iter().find_map(wanted).cloned().flatten()
    };
    let fold = |name: &str| name.to_ascii_lowercase().replace(|c: char| !c.is_alphanumeric(), "-");
    let named = request.headers.iter().filter(|(name, _)| fold(name.as_str()) == fold(header));
    User {
        remote_user: attribute(|a| match a {
            Attr::RemoteUser(user) => Some(user),
            _ => None,
        }),
        auth_type: attribute(|a| match a {
            Attr::AuthType(kind) => Some(kind),
            _ => None,
        }),
        headers: named.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect(),
    }
}

/// What dump.jsp says, names in lower case, all values of each.
fn dump(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        all.entry(name.to_ascii_lowercase()).or_default().push(value.to_owned());
    }
    all
}

#[track_caller]
fn says(text: &str, expected: &[(&str, &[&str])]) {
    let said = dump(text);
    for (name, values) in expected {
        let found = said.get(*name).map_or(&[][..], Vec::as_slice);
        assert_eq!(found, *values, "{name} in\n{text}");
    }
}

fn front_end(more: &str) -> Builder {
    let yaml = format!("{}{SSO}", connector(&Tomcat::shared()));
    with(&format!("JkIvyEngine conf/ivy\n{more}"), &yaml).file("conf/users", USERS)
}

fn ask(httpd: &Httpd, headers: &[(&str, &str)]) -> Response {
    Client::connect(httpd.addr()).request("GET", "/ivy/dump.jsp", headers, b"")
}

#[test]
fn basic_login() {
    let config = format!("<Location /ivy>\n{BASIC}</Location>\n");
    let httpd = front_end(&config).modules(&BASIC_MODULES).start();
    let spoofed = ("X-Forwarded-User", "admin");
    assert_eq!(ask(&httpd, &[spoofed]).status(), 401);
    assert_eq!(ask(&httpd, &[spoofed, WRONG]).status(), 401);
    let answer = ask(&httpd, &[("x_forwarded_user", "admin"), ALICE, spoofed]);
    assert_eq!(answer.status(), 200);
    says(
        &answer.text(),
        &[
            ("remoteuser", &["alice"]),
            ("authtype", &["Basic"]),
            ("header.x-forwarded-user", &["alice"]),
            ("header.x_forwarded_user", &[]),
            ("header.authorization", &[ALICE.1]),
        ],
    );
}

#[test]
fn without_login_the_applications_own_passes() {
    let httpd = front_end("").start();
    let answer = ask(&httpd, &[("X-FORWARDED-USER", "admin"), ALICE]);
    says(
        &answer.text(),
        &[
            ("remoteuser", &["null"]),
            ("header.x-forwarded-user", &[]),
            ("header.authorization", &[ALICE.1]),
        ],
    );
}

#[test]
fn client_certificate_login_behind_tls() {
    let tls = "\
UseCanonicalName On
SSLVerifyClient optional
SSLUserName SSL_CLIENT_S_DN_CN
SSLOptions +StdEnvVars +ExportCertData
";
    let httpd = front_end("").tls(tls).start();
    let files = certificates();
    let path = |file: &std::path::Path| file.display().to_string();
    let (ca, cert, key) = (path(&files.ca), path(&files.client), path(&files.client_key));
    let url = httpd.https("/ivy/dump.jsp");
    let port = httpd.tls_addr().port().to_string();
    let spoofs = [
        "X-Forwarded-User: admin",
        "SSL_CLIENT_CERT: forged",
        "SSL-CLIENT-S-DN-CN: admin",
        "Ssl_Client_Verify: SUCCESS",
    ];
    let ask = |more: &[&str]| {
        let mut args = vec!["--cacert", &ca];
        spoofs.iter().for_each(|spoof| args.extend(["-H", spoof]));
        args.extend(more);
        args.push(&url);
        let answer = curl(&args);
        assert_eq!(answer.status, 200, "{}", answer.complaint);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let lower = text.to_ascii_lowercase();
        assert!(!lower.contains("header.ssl") && !lower.contains("forged"), "{text}");
        says(
            &text,
            &[
                ("scheme", &["https"]),
                ("secure", &["true"]),
                ("servername", &["localhost"]),
                ("serverport", &[&port]),
            ],
        );
        text
    };
    let subject = "attribute.jakarta.servlet.request.x509certificate";
    let known = ask(&["--cert", &cert, "--key", &key]);
    says(
        &known,
        &[("remoteuser", &["Test Client"]), ("header.x-forwarded-user", &["Test Client"])],
    );
    assert!(dump(&known)[subject][0].contains("CN=Test Client"), "{known}");
    let unknown = ask(&[]);
    says(&unknown, &[("remoteuser", &["null"]), ("header.x-forwarded-user", &[])]);
    assert!(dump(&unknown).get(subject).is_none_or(|said| said[0] == "null"), "{unknown}");
}

#[test]
fn a_scripted_module_logs_in() {
    let config = "\
<Location /ivy>
AuthType ticket
AuthName ivy
LuaHookCheckUserID @ROOT@/conf/tickets.lua check
Require valid-user
</Location>
";
    let modules = ["lua", "authn_core", "authz_core", "authz_user"];
    let httpd = front_end(config).modules(&modules).file("conf/tickets.lua", TICKETS).start();
    assert_eq!(ask(&httpd, &[("X-Forwarded-User", "admin")]).status(), 401);
    let answer = ask(&httpd, &[("X-Forwarded-User", "admin"), ("X-Ticket", "good:carol")]);
    assert_eq!(answer.status(), 200);
    says(&answer.text(), &[("remoteuser", &["carol"]), ("header.x-forwarded-user", &["carol"])]);
}

/// The header of JkUserHeader, that of the engine, and none: by server and by engine.
#[test]
fn which_header_a_server_sends() {
    let engine = Engine::recording().start();
    let other = Engine::recording().start();
    let sso =
        format!("{}SSO: {{Enabled: on, UserHeader: X-Engine}}\n", connector(&engine.endpoint()));
    let login = format!("<Location />\n{BASIC}</Location>\n");
    let httpd = with(&format!("JkIvyEngine conf/ivy\n{login}"), &sso)
        .file("conf/users", USERS)
        .modules(&BASIC_MODULES)
        .worker("other", &other.endpoint())
        .worker("same", &engine.endpoint())
        .config("JkWorkerProperty worker.list=lb\nJkWorkerProperty worker.lb.type=lb")
        .config("JkWorkerProperty worker.lb.balance_workers=same")
        .vhost("engine.test", "JkMount /other/* other\nJkMount /same/* same\nJkMount /lb/* lb")
        .vhost("own.test", "JkUserHeader X_Own\nJkMount /other/* other")
        .vhost("off.test", "JkIvyEngine Off\nJkMount /ivy/* AxonIvyEngine")
        .start();
    let spoofs = [("X-Engine", "admin"), ("x.engine", "admin"), ("X-Own", "admin")];
    for (host, path, of_engine, of_own) in [
        ("engine.test", "/ivy/a", &["alice"][..], &["admin"][..]),
        ("engine.test", "/same/a", &["alice"], &["admin"]),
        ("engine.test", "/lb/a", &["alice"], &["admin"]),
        ("engine.test", "/other/a", &["admin", "admin"], &["admin"]),
        ("own.test", "/ivy/b", &[], &["alice"]),
        ("own.test", "/other/b", &["admin", "admin"], &["alice"]),
        // The engine believes its header, whoever has mounted it.
        ("off.test", "/ivy/c", &["alice"], &["admin"]),
    ] {
        let headers = [&spoofs[..], &[ALICE]].concat();
        let mut client = Client::connect(httpd.vhost(host));
        assert_eq!(client.request("GET", path, &headers, b"").status(), 200, "{host} {path}");
        let seen = if path.starts_with("/other") { &other } else { &engine };
        let request = seen.requests().pop().expect("a request");
        let by = |header: &str| user(&request, header).headers;
        assert_eq!(
            (by("X-Engine"), by("X-Own")),
            (owned(of_engine), owned(of_own)),
            "{host} {path}"
        );
        assert_eq!(user(&request, "X-Own").remote_user.as_deref(), Some("alice"));
    }
}

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// httpd keeps the name that a client gave with a wrong password, and its page for 401 has it.
#[test]
fn the_page_for_401_has_no_user() {
    let mut names = Vec::new();
    for module in Module::BOTH {
        let engine = Engine::recording().start();
        let header = if module == Module::Ours { "JkUserHeader X-User\n" } else { "" };
        let httpd = Httpd::builder(module)
            .modules(&BASIC_MODULES)
            .worker("w", &engine.endpoint())
            .mount("/*", "w")
            .file("conf/users", USERS)
            .config(&format!("ErrorDocument 401 /login\n{header}<Location />\n{BASIC}</Location>"))
            .start();
        let ask = |headers: &[(&str, &str)]| {
            Client::connect(httpd.addr()).request("GET", "/a", headers, b"").status()
        };
        assert_eq!((ask(&[WRONG]), ask(&[ALICE])), (200, 200));
        let requests = engine.requests();
        assert_eq!(requests.iter().map(Request::uri).collect::<Vec<_>>(), ["/login", "/a"]);
        names.push(requests.iter().map(|request| user(request, "X-User")).collect::<Vec<_>>());
    }
    let [ours, c] = &names[..] else { panic!("{names:?}") };
    let nobody = User { remote_user: None, auth_type: None, headers: Vec::new() };
    let alice = User {
        remote_user: Some("alice".into()),
        auth_type: Some("Basic".into()),
        headers: vec!["alice".into()],
    };
    assert_eq!(*ours, [nobody, alice]);
    assert_eq!(c[0].remote_user.as_deref(), Some("admin"));
}

/// With a wrong password, an unknown state of the password file, and a user who may not pass.
#[test]
fn error_pages_have_the_user_that_httpd_knows() {
    let engine = Engine::recording().start();
    let config = format!(
        "JkUserHeader X-User\nErrorDocument 401 /page/401\nErrorDocument 403 /page/403\n\
         ErrorDocument 404 /page/404\n<Location />\n{BASIC}</Location>\n\
         <Location /bob>\nAuthzSendForbiddenOnFailure On\nRequire user bob\n</Location>\n"
    );
    let httpd = Httpd::builder(Module::Ours)
        .modules(&BASIC_MODULES)
        .worker("w", &engine.endpoint())
        .mount("/page/*", "w")
        .file("conf/users", USERS)
        .config(&config)
        .vhost(
            "broken.test",
            &format!(
                "JkMount /page/* w\nErrorDocument 500 /page/500\n<Location />\n{}</Location>",
                BASIC.replace("conf/users", "conf/none")
            ),
        )
        .start();
    for (path, login, page, expected) in [
        ("/a", WRONG, "/page/401", None),
        ("/bob", ALICE, "/page/403", Some("alice")),
        ("/a", ALICE, "/page/404", Some("alice")),
    ] {
        Client::connect(httpd.addr()).request("GET", path, &[login], b"");
        let request = engine.requests().pop().expect("the page");
        assert_eq!(request.uri(), page);
        let user = user(&request, "X-User");
        assert_eq!(user.remote_user.as_deref(), expected, "{path}");
        assert_eq!(user.headers, owned(&expected.into_iter().collect::<Vec<_>>()), "{path}");
    }
    // Nobody could look whether the password is right.
    let addr = httpd.vhost("broken.test");
    Client::connect(addr).request("GET", "/a", &[ALICE], b"");
    let request = engine.requests().pop().expect("the page");
    assert_eq!(request.uri(), "/page/500");
    let nobody = User { remote_user: None, auth_type: None, headers: Vec::new() };
    assert_eq!(user(&request, "X-User"), nobody);
}

/// httpd makes variables for CGI programs of the claimed name as well, which JkEnvVar may forward.
#[test]
fn variables_of_an_error_page_have_no_claimed_user() {
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .modules(&BASIC_MODULES)
        .worker("w", &engine.endpoint())
        .mount("/page/*", "w")
        .mount("/app/*", "w")
        .file("conf/users", USERS)
        .config(
            "ErrorDocument 401 /page/401\nJkEnvVar REMOTE_USER nobody\nJkEnvVar AUTH_TYPE\nJkEnvVar \
             REDIRECT_REMOTE_USER nobody\nJkRemoteUserIndicator REMOTE_USER",
        )
        .vhost("same.test", &format!("JkMountCopy On\n<Location />\n{BASIC}</Location>"))
        .vhost("other.test", &format!("JkMountCopy On\n<Location /app>\n{BASIC}</Location>"))
        .start();
    for (host, login, uri, expected) in [
        ("same.test", WRONG, "/page/401", ["nobody", "nobody"]),
        ("other.test", WRONG, "/page/401", ["nobody", "nobody"]),
        ("same.test", ALICE, "/app/x", ["alice", "nobody"]),
        ("other.test", ALICE, "/app/x", ["alice", "nobody"]),
    ] {
        Client::connect(httpd.vhost(host)).request("GET", "/app/x", &[login], b"");
        let request = engine.requests().pop().expect("a request");
        assert_eq!(request.uri(), uri);
        let named = |wanted: &str| {
            request.attributes.iter().find_map(|attribute| match attribute {
                Attr::Named(Some(name), Some(value)) if name == wanted => Some(value.as_str()),
                _ => None,
            })
        };
        let seen = ["REMOTE_USER", "REDIRECT_REMOTE_USER"].map(|name| named(name).unwrap_or("-"));
        assert_eq!(seen, expected, "{host} {uri}");
        assert_eq!(named("AUTH_TYPE"), (uri == "/app/x").then_some("Basic"), "{host} {uri}");
    }
}

/// A header that the configuration sets is no user whom httpd knows; a variable is one.
#[test]
fn who_sets_the_user_without_a_login() {
    let engine = Engine::recording().start();
    let yaml = format!("{}{SSO}", connector(&engine.endpoint()));
    let httpd = with("JkIvyEngine conf/ivy", &yaml)
        .modules(&["headers", "env"])
        .vhost("header.test", "RequestHeader set X-Forwarded-User dave")
        .vhost("variable.test", "SetEnv JK_REMOTE_USER dave")
        .start();
    for (host, expected) in [("header.test", None), ("variable.test", Some("dave"))] {
        assert_eq!(client::get(httpd.vhost(host), "/ivy/x").status(), 200);
        let user = user(&engine.requests().pop().expect("a request"), "X-Forwarded-User");
        assert_eq!(user.remote_user.as_deref(), expected, "{host}");
        assert_eq!(user.headers, owned(&expected.into_iter().collect::<Vec<_>>()), "{host}");
    }
}
