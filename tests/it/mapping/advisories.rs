//! The advisories about paths: nothing that is written into a path reaches what is not mounted, or
//! gets a guarded file of the application from the file system. In every test the document root has
//! the application's folder, as where static files are served by httpd.

use mod_jk::config::{Place, Problems};
use mod_jk::mapping::{Lookup, Rule, Table, contains_backslash, normalize};

use super::ask::{Answer, Engines, ask};
use super::differential::unescaped;
use super::model::segments;
use crate::support::client::Client;
use crate::support::httpd::{Builder, Httpd, Module};

/// Stands in every file that no client may have.
const GUARDED: &str = "guarded file";

/// Stands in the file of the part that httpd serves.
const STATIC: &str = "static file";

const MOUNTS: &str = "\
JkMount /app|/* w
JkUnMount /app/private|/* w
JkUnMount /app/*.txt *";

/// The rules of [`MOUNTS`].
fn table() -> Table {
    let (place, mut problems) = (Place::new("httpd.conf", 1), Problems::new());
    let mut rules = Rule::mount(b"/app|/*", b"w", &place, &mut problems);
    rules.extend(Rule::unmount(b"/app/private|/*", b"w", &place, &mut problems));
    rules.extend(Rule::unmount(b"/app/*.txt", b"*", &place, &mut problems));
    Table::new(rules, |_| Some(0))
}

/// What an application of [`MOUNTS`] may get to see.
fn is_mounted(path: &str) -> bool {
    let is_in = |folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
    is_in("/app") && !is_in("/app/private") && !path.ends_with(".txt")
}

/// The path that Tomcat finds in a URI; `None` when it refuses it.
fn tomcat(uri: &str) -> Option<String> {
    let path = unescaped(uri);
    if contains_backslash(&path) {
        return None;
    }
    segments(&path.iter().copied().map(char::from).collect::<Vec<_>>())
}

/// The folders of an application, below the document root.
fn site(builder: Builder) -> Builder {
    builder
        .file("htdocs/app/WEB-INF/web.xml", GUARDED)
        .file("htdocs/app/META-INF/MANIFEST.MF", GUARDED)
        .file("htdocs/app/index.jsp", GUARDED)
        .file("htdocs/app/private/page", STATIC)
        .file("htdocs/app/read.txt", STATIC)
}

struct Stage {
    httpd: Httpd,
    // Ends after httpd.
    _engines: Engines,
}

impl Stage {
    fn new(config: &str) -> Self {
        let engines = Engines::start(&["w"]);
        let httpd = site(engines.httpd(Module::Ours)).config(config).start();
        Self { httpd, _engines: engines }
    }

    /// Asks for all targets; none may reach what it must not.
    fn check(&self, targets: &[String]) -> Vec<Answer> {
        let answers = ask(self.httpd.addr(), targets);
        for (target, answer) in targets.iter().zip(&answers) {
            if let Some((_, uri)) = &answer.forwarded {
                if let Some(path) = tomcat(uri) {
                    assert!(is_mounted(&path), "{target} reaches {path} as {uri}");
                }
                continue;
            }
            let body = String::from_utf8_lossy(&answer.body);
            assert!(!body.contains(GUARDED), "{target} gives {}: {body}", answer.status);
        }
        answers
    }
}

/// All sequences of up to `length` pieces.
fn sequences(pieces: &[&str], length: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut last = all.clone();
    for _ in 0..length {
        let longer =
            |text: &String| pieces.iter().map(|p| format!("{text}{p}")).collect::<Vec<_>>();
        last = last.iter().flat_map(longer).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// `path` with `insert` at each side of each slash and at the end.
fn with_insert(path: &str, insert: &str) -> Vec<String> {
    let at = |position: usize| {
        let (before, after) = path.split_at(position);
        format!("{before}{insert}{after}")
    };
    let slashes = path.match_indices('/').map(|(position, _)| position);
    let mut all: Vec<String> = slashes.flat_map(|slash| [slash, slash + 1]).map(at).collect();
    all.push(at(path.len()));
    // A request needs a slash at its beginning.
    all.retain(|path| path.starts_with('/'));
    all
}

/// Every sequence at every place of paths to what is guarded.
fn attacks(pieces: &[&str], length: usize) -> Vec<String> {
    let mut all = Vec::new();
    for insert in sequences(pieces, length) {
        for path in ["/app/private/page", "/app/WEB-INF/web.xml", "/app/read.txt", "/other/page"] {
            all.extend(with_insert(path, &insert));
        }
        // Out of what is mounted, and out of what is not.
        all.push(format!("/app/x{insert}/private/page"));
        all.push(format!("/app/private{insert}/WEB-INF/web.xml"));
        all.push(format!("/other{insert}/app/WEB-INF/web.xml"));
    }
    all
}

fn is_long() -> bool {
    std::env::var_os("JK_LONG").is_some()
}

#[test]
fn cve_2018_11759_no_path_parameter_hides_where_a_path_leads() {
    let signs = [";", "/", ".", "%", "\\"];
    let encoded = [";", "/", "..", "%3b", "%2e", "%2f", "%5c", "%25"];
    let more = usize::from(is_long());
    for (encoded_slashes, length) in [("On", 2 + more), ("Off", 1 + more), ("NoDecode", 1 + more)] {
        let stage = Stage::new(&format!(
            "MergeSlashes Off\nAllowEncodedSlashes {encoded_slashes}\n{MOUNTS}"
        ));
        let mut targets = attacks(&signs, length + 1 + more);
        targets.extend(attacks(&encoded, length));
        let answers = stage.check(&targets);
        // Without any sequence each path has its own answer.
        let plain = |path: &str| {
            let at = targets.iter().position(|target| target == path).expect("asked for");
            (answers[at].status, answers[at].worker().is_some())
        };
        assert_eq!(plain("/app/private/page"), (200, false));
        assert_eq!(plain("/app/read.txt"), (200, false));
        assert_eq!(plain("/app/WEB-INF/web.xml"), (200, true));
        assert_eq!(plain("/other/page"), (404, false));
    }
}

#[test]
fn cve_2018_1323_the_decision_is_made_on_the_path_that_tomcat_sees() {
    let table = table();
    let length = if is_long() { 6 } else { 5 };
    let pieces = [";", "/", ".", "%", "\\"];
    let mut mapped = 0;
    for path in attacks(&pieces, length) {
        let bytes = path.as_bytes();
        let Ok(normal) = normalize(bytes) else { continue };
        match table.lookup(&normal) {
            Lookup::Mapped { .. } if contains_backslash(bytes) => {}
            Lookup::Mapped { .. } => {
                mapped += 1;
                // The engine gets the path as it came, each byte encoded once.
                let uri = path.replace('%', "%25");
                let seen = tomcat(&uri).expect("normal");
                assert!(is_mounted(&seen), "{path} reaches {seen}");
            }
            _ => assert!(!is_guarded_file(&path), "{path} is served from the file system"),
        }
    }
    assert!(mapped > 1000, "only {mapped} were mapped");
}

/// Whether httpd finds a guarded file by this path. Dot segments it has resolved before anybody sees
/// the path, so there are none; a backslash or a semicolon is part of a file's name.
fn is_guarded_file(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_resolved = !segments.iter().any(|segment| matches!(*segment, "." | ".."));
    is_resolved
        && matches!(segments[..], ["app", "WEB-INF" | "META-INF", ..] | ["app", "index.jsp"])
}

#[test]
fn cve_2014_8111_slashes_do_not_undo_an_unmount() {
    let stage = Stage::new(&format!("MergeSlashes Off\n{MOUNTS}"));
    let paths = [
        "/app//private/page",
        "//app/private/page",
        "/app/private//page",
        "///app///private///page",
        "/app/./private/page",
        "/app/x/..//private/page",
        "//app//read.txt",
    ];
    for answer in stage.check(&paths.map(str::to_owned)) {
        assert_eq!((answer.status, answer.worker()), (200, None));
        assert_eq!(String::from_utf8_lossy(&answer.body), STATIC);
    }
}

#[test]
fn cve_2007_1860_and_2007_0450_a_uri_is_decoded_once() {
    let stage = Stage::new(&format!("AllowEncodedSlashes On\n{MOUNTS}"));
    let mut paths = Vec::new();
    for dots in ["%252e%252e", "%25%32%65%25%32%65", ".%252e", "%252e."] {
        for slash in ["/", "%252f", "%255c"] {
            for to in ["private/page", "..%252fother", "WEB-INF/web.xml", "app/private/page"] {
                paths.push(format!("/app/x/{dots}{slash}{to}"));
                paths.push(format!("/app/{dots}{slash}{dots}{slash}{to}"));
            }
        }
    }
    let answers = stage.check(&paths);
    assert!(answers.iter().all(|answer| answer.worker().is_some()));
    let double = stage.check(&["/app/%252e%252e/other".to_owned()]);
    assert_eq!(
        double[0].forwarded.as_ref().map(|(_, uri)| uri.as_str()),
        Some("/app/%252e%252e/other")
    );
}

#[test]
fn cve_2007_0774_long_paths_are_mapped_like_any_other() {
    let stage = Stage::new(&format!("LimitRequestLine 80000\n{MOUNTS}"));
    let child = stage.httpd.only_child();
    let mut targets = Vec::new();
    for length in [1, 2, 255, 4094, 4095, 4096, 4097, 8100, 16 * 1024, 64 * 1024] {
        for piece in ["a", "a/", "./", ";", ";a/", "%41", "a/../"] {
            let filling = piece.repeat(length / unescaped(piece).len() + 1);
            targets.push(format!("/app/{filling}"));
            targets.push(format!("/app/{filling}/private/page"));
            targets.push(format!("/app/private/{filling}"));
            targets.push(format!("/app/{filling}/../WEB-INF/web.xml"));
        }
    }
    for (target, answer) in targets.iter().zip(stage.check(&targets)) {
        let is_sane = answer.worker().is_some() || (400..500).contains(&answer.status);
        let is_static = answer.body == STATIC.as_bytes();
        assert!(is_sane || is_static, "{} bytes: {}", target.len(), answer.status);
    }
    assert_eq!(stage.httpd.only_child(), child);
    // As short as it gets.
    assert_eq!(Client::connect(stage.httpd.addr()).get("/").status(), 404);
    let table = table();
    let long = format!("/app/{}/x", "a".repeat(100_000));
    assert!(matches!(table.lookup(long.as_bytes()), Lookup::Mapped { .. }));
}

#[test]
fn cve_2023_41081_what_is_not_mounted_is_never_forwarded() {
    let handler = "<Location /other>\nSetHandler jakarta-servlet\n</Location>";
    let stage = Stage::new(&format!("{MOUNTS}\nJkOptions +ForwardDirectories\n{handler}"));
    let paths = ["/", "/other", "/other/", "/other/status", "/app/private/", "/app/private", "/x/"];
    for (path, answer) in paths.iter().zip(stage.check(&paths.map(str::to_owned))) {
        assert_eq!(answer.worker(), None, "{path}");
    }
}

/// A file of the application is authorised by the path under which it is served.
#[test]
fn no_path_parameter_leads_past_an_access_rule_under_autoalias() {
    let engines = Engines::start(&["w"]);
    let httpd = engines
        .httpd(Module::Ours)
        .file("webapps/app/private/page", GUARDED)
        .file("webapps/app/WEB-INF/web.xml", GUARDED)
        .file("webapps/app/style.css", STATIC)
        .config(
            "JkAutoAlias @ROOT@/webapps
             <Directory @ROOT@/webapps>
             Require all granted
             </Directory>
             <Location /app/private>
             Require all denied
             </Location>",
        )
        .start();
    let length = if std::env::var_os("JK_LONG").is_some() { 4 } else { 3 };
    let mut targets = Vec::new();
    for insert in sequences(&[";", "/", ".", "x"], length) {
        for path in ["/app/private/page", "/app/WEB-INF/web.xml"] {
            targets.extend(with_insert(path, &insert));
        }
    }
    for (target, answer) in targets.iter().zip(ask(httpd.addr(), &targets)) {
        let body = String::from_utf8_lossy(&answer.body);
        assert!(!body.contains(GUARDED), "{target} gives {}: {body}", answer.status);
    }
    let open = ["/app/style.css", "/app/style.css;jsessionid=1", "/app;x/style.css"];
    for (target, answer) in open.iter().zip(ask(httpd.addr(), &open.map(str::to_owned))) {
        assert_eq!(String::from_utf8_lossy(&answer.body), STATIC, "{target}");
    }
}

/// What a `<Location>` gives to a worker stays below that location for Tomcat as well.
#[test]
fn no_path_parameter_leads_out_of_a_location_with_a_handler() {
    let location =
        "<Location /env>\nSetHandler jakarta-servlet\nSetEnv JK_WORKER_NAME w\n</Location>";
    let engines = Engines::start(&["w"]);
    let httpd = site(engines.httpd(Module::Ours))
        .modules(&["env"])
        .config(&format!("{MOUNTS}\n{location}"))
        .start();
    let length = if std::env::var_os("JK_LONG").is_some() { 6 } else { 4 };
    let inserts = sequences(&[";", "/", ".", "..", "x"], length);
    let targets: Vec<String> =
        inserts.iter().map(|insert| format!("/env{insert}/app/private/page")).collect();
    let mut forwarded = 0;
    for (target, answer) in targets.iter().zip(ask(httpd.addr(), &targets)) {
        let Some((_, uri)) = &answer.forwarded else { continue };
        forwarded += 1;
        let path = tomcat(uri).unwrap_or_default();
        assert!(path.starts_with("/env/") || is_mounted(&path), "{target} reaches {path} as {uri}");
    }
    assert!(forwarded > 10, "{forwarded}");
}

/// Where a `<Location>` gives a path to a worker, httpd authorises the path as it was sent, and Tomcat
/// maps it without its parameters.
#[test]
fn no_path_parameter_leads_past_an_access_rule_in_a_location_with_a_handler() {
    let engines = Engines::start(&["w"]);
    let httpd = engines
        .httpd(Module::Ours)
        .modules(&["env", "rewrite", "auth_basic", "authn_core", "authn_file", "authz_user"])
        .file("users", "")
        .config(
            "RewriteEngine on
             RewriteRule ^/go/(.*)$ /env/$1 [PT]
             <Location /env>
             SetHandler jakarta-servlet
             SetEnv JK_WORKER_NAME w
             </Location>
             <Location /env/private>
             Require all denied
             </Location>
             <Location /env/users>
             AuthType Basic
             AuthName here
             AuthUserFile @ROOT@/users
             Require valid-user
             </Location>",
        )
        .start();
    let length = if std::env::var_os("JK_LONG").is_some() { 4 } else { 3 };
    let mut targets = Vec::new();
    for insert in sequences(&[";", "/", ".", "x", "%3b"], length) {
        targets.extend(with_insert("/env/private/page", &insert));
        targets.push(format!("/go/private{insert}/page"));
    }
    let mut forwarded = 0;
    for (target, answer) in targets.iter().zip(ask(httpd.addr(), &targets)) {
        let Some((_, uri)) = &answer.forwarded else { continue };
        forwarded += 1;
        let path = tomcat(uri).unwrap_or_default();
        assert!(path != "/env/private" && !path.starts_with("/env/private/"), "{target} as {uri}");
    }
    assert!(forwarded > 10, "{forwarded}");
    let mut client = Client::connect(httpd.addr());
    let asked = client.get("/env/users/page;jsessionid=1");
    assert_eq!(
        (asked.status(), asked.header("WWW-Authenticate")),
        (401, Some("Basic realm=\"here\""))
    );
    assert_eq!(Client::connect(httpd.addr()).get("/env/page;jsessionid=1.w").status(), 200);
}
