//! What becomes of a path, by its spelling: the table and the invariants of spec/reliability.md 2.5,
//! with the mount `/t|/*` and a denied `/t/secret`, for each way to forward a path and behind
//! rewrites.

use mod_jk::mapping::normalize;

use crate::faults::stage::Stage;
use crate::support::client::{self, Client, Response};
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Builder, Httpd, Module};
use crate::support::packet;
use crate::support::random::Random;
use crate::support::tomcat::Tomcat;

/// What becomes of a path.
enum Wanted {
    /// Not allowed: 403.
    Denied,
    /// Not ours: 404.
    Unmapped,
    /// One of these.
    Refused(&'static [u16]),
    /// The engine gets this URI.
    Forwarded(&'static str),
    /// The engine gets this URI, in which httpd has resolved what the engine would resolve to
    /// something else: 400 where it would get the path as it was sent.
    Resolved(&'static str),
}

use Wanted::{Denied, Forwarded, Refused, Resolved, Unmapped};

const TABLE: [(&str, Wanted); 56] = [
    ("/t/secret", Denied),
    ("/t//secret", Denied),
    ("//t/secret", Denied),
    ("/t/./secret", Denied),
    ("/t/x/../secret", Denied),
    ("/t/%2e/secret", Denied),
    ("/t/x/%2e%2e/secret", Denied),
    ("/t/s%65cret", Denied),
    ("/t/secret/deep", Denied),
    ("/%74/secret", Denied),
    ("/t/;x/secret", Denied),
    ("/t/secret;x", Denied),
    ("/t/secret;x/y", Denied),
    ("/t;x/secret", Denied),
    ("/t/..;/t/secret", Denied),
    ("/t/x/..;/secret", Denied),
    ("/t/x/..;a=b/secret", Denied),
    ("/t/x/%2e%2e;/secret", Denied),
    ("/t/x/.;/../secret", Resolved("/t/x/secret")),
    ("/t/x/./..;x/./secret", Denied),
    ("/t/secret%3bx", Denied),
    ("/t/%3bx/secret", Denied),
    ("/t/..;/other", Unmapped),
    ("/t/..;x/other", Unmapped),
    ("/t/%2e%2e;/other", Unmapped),
    ("/t/../other", Unmapped),
    ("/t/%2e%2e/other", Unmapped),
    ("/t/..%2fother", Unmapped),
    ("/t/x%2f..%2fsecret", Unmapped),
    ("/t/..;/..;/t/x", Refused(&[400, 404])),
    ("/t/..%5cother", Refused(&[400])),
    ("/t/x\\..\\secret", Refused(&[400])),
    ("/t/x%5c..%5csecret", Refused(&[400])),
    ("/t/%00secret", Refused(&[400, 404])),
    ("/t/secret%00", Refused(&[400, 404])),
    ("/t/%zz", Refused(&[400])),
    ("/t/x/%c0%ae%c0%ae/secret", Forwarded("/t/x/%C0%AE%C0%AE/secret")),
    ("/t/%252e%252e/other", Forwarded("/t/%252e%252e/other")),
    ("/t/%2573ecret", Forwarded("/t/%2573ecret")),
    ("/t/a%3fb", Forwarded("/t/a%3Fb")),
    ("/t/a%23b", Forwarded("/t/a%23b")),
    ("/t/a%25b", Forwarded("/t/a%25b")),
    ("/t/normal;jsessionid=A.n1/x", Forwarded("/t/normal;jsessionid=A.n1/x")),
    ("/t", Forwarded("/t")),
    ("/t/", Forwarded("/t/")),
    ("/tx", Unmapped),
    ("/T/normal", Unmapped),
    ("/t2/../tx", Unmapped),
    ("/t/x/;/../secret", Resolved("/t/x/secret")),
    ("/t/x//../secret", Denied),
    ("/t/%3b/x", Forwarded("/t/;/x")),
    ("/t/normal;a=..;b/x", Forwarded("/t/normal;a=..;b/x")),
    ("/t/a%20b", Forwarded("/t/a%20b")),
    ("/t/a%0ab", Forwarded("/t/a%0Ab")),
    ("/t/a%7fb", Forwarded("/t/a%7Fb")),
    ("/t/%e4%22%5e", Forwarded("/t/%E4%22%5E")),
];

/// The ways to forward a path; the first one is the default.
const OPTIONS: [&str; 4] =
    ["ForwardURIProxy", "ForwardURIEscaped", "ForwardURICompat", "ForwardURICompatUnparsed"];

/// Every path goes through mod_rewrite and comes out as it went in.
const SAME: &str = "RewriteEngine on\nRewriteRule ^(.*)$ $1 [PT]";

/// What is mounted is known to clients by another name.
const OTHER: &str = "RewriteEngine on\nRewriteRule ^/r(/.*)?$ /t$1 [PT]";

/// One virtual host for each way, without a rewrite and with each of them.
fn hosts(mut builder: Builder) -> Builder {
    for option in OPTIONS {
        for (rewrite, lines) in [("plain", ""), ("same", SAME), ("other", OTHER)] {
            let lines = format!(
                "JkMount /t|/* w\nJkOptions +{option}\n{lines}\n\
                 <Location /t/secret>\nRequire all denied\n</Location>\n\
                 Header always set X-Authorised expr=%{{escape:%{{REQUEST_URI}}}}"
            );
            builder = builder.vhost(&host(option, rewrite), &lines);
        }
    }
    builder.modules(&["rewrite", "headers"])
}

fn host(option: &str, rewrite: &str) -> String {
    format!("{}-{rewrite}.test", option.to_lowercase())
}

/// An engine that answers with the URI, byte for byte.
fn engine() -> Engine {
    Engine::scripted(|conn, request| {
        // Behind the packet's head, its type, the method, and the protocol.
        let string = |at: usize| at + 2..at + 2 + usize::from(request.raw[at + 1]);
        let protocol = string(6);
        let at = protocol.end + 1;
        let length = u16::from_be_bytes([request.raw[at], request.raw[at + 1]]);
        let uri = &request.raw[at + 2..at + 2 + usize::from(length)];
        conn.send(&packet::answer(200, &[], uri))?;
        Ok(Action::Keep)
    })
    .start()
}

/// The bytes that `%XX` stand for; `None` where a `%` stands for none.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(bytes)
}

/// The path that Tomcat maps a URI to; `None` where it answers 400. In its order: the path
/// parameters go, `%XX` is decoded, then slashes and dots are resolved.
fn tomcat(uri: &[u8]) -> Option<Vec<u8>> {
    let path = decoded(&without_parameters(uri))?;
    if !path.starts_with(b"/") || path.contains(&0) || path.contains(&b'\\') {
        return None;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut is_open = true;
    for segment in path.split(|byte| *byte == b'/').skip(1) {
        is_open = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()?),
            name => segments.push(name),
        }
    }
    let mut normal: Vec<u8> = segments.iter().flat_map(|name| [b"/", *name].concat()).collect();
    if is_open {
        normal.push(b'/');
    }
    Some(normal)
}

/// A path without what stands between `;` and the next `/`.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let names = path.split(|byte| *byte == b'/');
    let names: Vec<&[u8]> =
        names.map(|name| name.split(|byte| *byte == b';').next().unwrap_or_default()).collect();
    names.join(&b'/')
}

/// Asks on a connection of its own: some paths are refused with it.
fn ask(httpd: &Httpd, host: &str, path: &str) -> Response {
    Client::connect(httpd.vhost(host)).request("GET", path, &[], b"")
}

/// Whether `sent` is `uri`, written as the option writes it.
fn is_written(option: &str, path: &str, uri: &str, sent: &[u8]) -> bool {
    let same_bytes = decoded(sent) == decoded(uri.as_bytes());
    let printable = sent.iter().all(|byte| !byte.is_ascii_control() && !b" ?#".contains(byte));
    same_bytes
        && printable
        && match option {
            "ForwardURIProxy" => sent == uri.as_bytes(),
            "ForwardURIEscaped" => sent.to_ascii_lowercase() == uri.to_ascii_lowercase().as_bytes(),
            // What cannot be taken for something else stays as it is.
            "ForwardURICompat" => !contains(sent, b"%c0") && !contains(sent, b"%5e"),
            _ => sent == path.as_bytes(),
        }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// What is wrong with the answer to a row of the table.
fn problem(option: &str, path: &str, wanted: &Wanted, answer: &Response) -> Option<String> {
    let status = answer.status();
    let right = match wanted {
        Denied => status == 403,
        Unmapped => status == 404,
        Refused(statuses) => statuses.contains(&status),
        Resolved(_) if option == "ForwardURICompatUnparsed" => status == 400,
        Forwarded(uri) | Resolved(uri) => {
            status == 200 && is_written(option, path, uri, &answer.body)
        }
    };
    (!right).then(|| format!("{option} {path}: {status} {}", answer.body.escape_ascii()))
}

/// Whether a path is `top` or below it.
fn is_below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[test]
fn the_table_of_paths_holds_for_each_way_to_forward_them() {
    let engine = engine();
    let builder = Httpd::builder(Module::Ours).jk_log_level("info");
    let httpd = hosts(builder.worker("w", &engine.endpoint())).start();
    let child = httpd.only_child();
    let (mut wrong, mut forwarded) = (Vec::new(), 0);
    for option in OPTIONS {
        for rewrite in ["plain", "same"] {
            for (path, wanted) in &TABLE {
                let answer = ask(&httpd, &host(option, rewrite), path);
                forwarded += usize::from(answer.status() == 200);
                if rewrite == "same" && *path == "/t/a%3fb" {
                    assert_eq!(answer.status(), 403, "mod_rewrite keeps it away");
                    continue;
                }
                let problem = problem(option, path, wanted, &answer);
                wrong.extend(problem.map(|text| format!("{rewrite} {text}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(engine.requests().len(), forwarded, "what is refused reaches no engine");
    assert_eq!(httpd.only_child(), child);
}

/// Paths of the table, and random ones made of what matters.
fn spellings() -> Vec<String> {
    let mut all: Vec<String> = TABLE.iter().map(|(path, _)| (*path).to_owned()).collect();
    let pieces = [
        "/", "/", "/", "t", "secret", "x", ".", "..", ";", ";a=b", "%2e", "%2f", "%3b", "%25",
        "%5c", "%252e", "%73ecret", "%20", "%3f", "%23", "%c3%a9", "//", "/..;/", "/.;/",
    ];
    let mut random = Random::new(25);
    let count = if std::env::var_os("JK_LONG").is_some() { 5_000 } else { 150 };
    for _ in 0..count {
        let length = 1 + random.below(9);
        let rest: String = (0..length).map(|_| random.pick(&pieces)).collect();
        all.push(format!("/t/{rest}"));
    }
    all
}

/// The invariants: what was authorised and mapped is what Tomcat maps; asking for that gives the
/// same again; what Tomcat refuses is refused here.
#[test]
fn what_was_authorised_and_mapped_is_what_tomcat_maps() {
    let engine = engine();
    let httpd = hosts(Httpd::builder(Module::Ours).worker("w", &engine.endpoint()))
        .config("LogLevel crit")
        .start();
    let child = httpd.only_child();
    for option in OPTIONS {
        let is_unparsed = option == "ForwardURICompatUnparsed";
        for rewrite in ["plain", "same", "other"] {
            let host = host(option, rewrite);
            let mut forwarded = 0;
            for path in spellings() {
                let is_renamed = rewrite == "other";
                let path = if is_renamed { path.replacen("/t", "/r", 1) } else { path };
                let answer = ask(&httpd, &host, &path);
                if answer.status() != 200 {
                    assert!([400, 403, 404].contains(&answer.status()), "{path}: {answer:?}");
                    continue;
                }
                forwarded += 1;
                let sent = &answer.body;
                let what = format!("{host} {path} as {}", sent.escape_ascii());
                let found = tomcat(sent).unwrap_or_else(|| panic!("{what}: Tomcat refuses it"));
                let authorised = answer.header("X-Authorised").expect("set for every answer");
                let authorised = decoded(authorised.as_bytes()).expect("escaped");
                if is_unparsed && is_renamed {
                    // The engine is not to see the rewrite.
                    assert_eq!(sent, path.as_bytes(), "{what}");
                    assert!(is_below(&found, b"/r"), "{what}: {}", found.escape_ascii());
                    continue;
                }
                // An encoded semicolon is one of the name to Tomcat where it comes as it was sent.
                let found = match normalize(&found) {
                    Ok(normal) if is_unparsed => normal.into_owned(),
                    _ => found,
                };
                assert_eq!(found, authorised, "{what}: {}", found.escape_ascii());
                assert!(is_below(&found, b"/t") && !is_below(&found, b"/t/secret"), "{what}");
                if !is_renamed {
                    let again: String = found.iter().map(|byte| format!("%{byte:02x}")).collect();
                    let again = again.replace("%2f", "/");
                    let next = ask(&httpd, &host, &again);
                    let next =
                        next.header("X-Authorised").and_then(|text| decoded(text.as_bytes()));
                    assert_eq!(next.as_ref(), Some(&found), "{what}: {again}");
                }
            }
            assert!(forwarded > 60, "{host}: only {forwarded} were forwarded");
        }
    }
    assert_eq!(httpd.only_child(), child);
}

/// The model is one thing, Tomcat another.
#[test]
fn no_spelling_reaches_a_denied_page_of_tomcat() {
    const PAGE: &str = "the denied page";
    let tomcat = Tomcat::builder()
        .file("t/secret/index.html", PAGE)
        .file("t/index.html", "an open page")
        .file("t/t/index.html", "an open page")
        .file("t/x/index.html", "an open page")
        .file("other/index.html", PAGE)
        .file("ROOT/index.html", PAGE)
        .file("r/secret/index.html", "an open page")
        .start();
    let httpd = hosts(Httpd::builder(Module::Ours).worker("w", &tomcat.endpoint()))
        .config("LogLevel crit")
        .start();
    for option in OPTIONS {
        for rewrite in ["plain", "same", "other"] {
            let host = host(option, rewrite);
            let mut open = 0;
            for path in spellings().into_iter().take(TABLE.len() + 100) {
                let to = if rewrite == "other" { "/r" } else { "/t" };
                for end in ["", "/", "/index.html"] {
                    let path = path.replacen("/t", to, 1) + end;
                    let answer = ask(&httpd, &host, &path);
                    assert!(!answer.text().contains(PAGE), "{host} {path}");
                    open += usize::from(answer.status() == 200);
                }
            }
            assert!(open > 10 || rewrite == "other", "{host}: only {open} pages are open");
        }
    }
}

#[test]
fn an_exclusion_cannot_be_walked_around() {
    // CVE-2014-8111.
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .config("JkMount /t|/* w\nJkUnMount /t/private/* w")
        .start();
    for path in [
        "/t/private/x",
        "/t//private/x",
        "//t/private/x",
        "/t/./private/x",
        "/t/a/../private/x",
        "/t/;a/private/x",
        "/t/private;a/x",
        "/t/a/..;/private/x",
        "/t/%70rivate/x",
    ] {
        assert_eq!(client::get(httpd.addr(), path).status(), 404, "{path}");
    }
    assert!(engine.requests().is_empty(), "{:?}", engine.requests());
    assert_eq!(client::get(httpd.addr(), "/t/privately/x").text(), "/t/privately/x");
}

#[test]
fn long_paths_are_mapped_or_refused() {
    // CVE-2007-0774.
    let engine = Engine::recording().start();
    let httpd = Httpd::builder(Module::Ours)
        .worker("w", &engine.endpoint())
        .config("JkMount /t|/* w\nLimitRequestLine 70000")
        .start();
    let child = httpd.only_child();
    for length in [1, 255, 4095, 4096, 8000, 8192, 20_000, 65_535, 69_000] {
        for part in ["x", "/", "../x", "a/", ";"] {
            let path = format!("/t/{}", &part.repeat(length)[..length]);
            let status = client::get(httpd.addr(), &path).status();
            assert!([200, 400, 403, 404, 413, 414].contains(&status), "{part} {length}: {status}");
        }
    }
    assert_eq!(httpd.only_child(), child);
    assert_eq!(client::get(httpd.addr(), "/t/next").text(), "/t/next");
}

#[test]
fn a_refused_path_is_logged_however_the_request_came_here() {
    let stage = Stage::with(|builder| {
        builder.modules(&["env"]).config(
            "<Location /by-handler>\nSetHandler jakarta-servlet\nSetEnv JK_WORKER_NAME w\n</Location>",
        )
    });
    for path in ["/w/a%5cb", "/by-handler/a%5cb"] {
        let before = stage.httpd.jk_log().matches("bad_path").count();
        assert_eq!(client::get(stage.httpd.addr(), path).status(), 400, "{path}");
        assert_eq!(stage.httpd.jk_log().matches("bad_path").count(), before + 1, "{path}");
    }
}

/// An absolute target names a host that counts for nothing, also where the engine gets the path as it
/// was sent: Tomcat would take the host over.
#[test]
fn f17_an_absolute_target_is_sent_without_its_host() {
    let engine = Engine::recording().start();
    let httpd = hosts(Httpd::builder(Module::Ours).worker("w", &engine.endpoint())).start();
    for option in OPTIONS {
        let host = host(option, "plain");
        let answer = ask(&httpd, &host, "http://other.example:99/t/x;a=b?c=http://d/");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "/t/x;a=b"), "{option}");
        let request = engine.requests().pop().expect("sent");
        assert_eq!(request.query(), Some("c=http://d/"), "{option}");
        let denied = ask(&httpd, &host, "http://other.example:99/t/secret");
        assert_eq!(denied.status(), 403, "{option}");
    }
}
