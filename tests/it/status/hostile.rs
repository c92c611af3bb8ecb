//! Names and values that try to break a document: what strict parsers make of every command in every
//! format, with real httpd around it.

use super::formats::accepted_by_promtool;
use super::{ask, engine};
use crate::support::client;
use crate::support::httpd::{Httpd, Module};
use crate::support::strict;

/// A route or a name of a member that ends whatever it is written in, where it may.
const NAME: &str = "n\"'<b>&amp;]]>\\u0041{}é\u{2028}\u{7f}";
/// The same for a route, which a cookie can name: nothing that ends a cookie or that httpd refuses.
const ROUTE: &str = "r\"'<b>&amp]]>\\u0041{}é\u{2028}";
/// The same for a cookie's name, and a path that is asked for.
const COOKIE: &str = "c'<i>&lt";
/// The same for a domain, a path of a session, a URI.
const VALUE: &str = "x'<i>&lt;\u{1b}[31mü";

fn encoded(text: &[u8]) -> String {
    text.iter().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn every_command_gives_a_document_of_its_format() {
    let engine = engine();
    let port = engine.port();
    let httpd = Httpd::builder(Module::Ours)
        .workers(&format!(
            "worker.list=lb,one,st\nworker.st.type=status\nworker.lb.type=lb\n\
             worker.lb.balance_workers={NAME},b\n\
             worker.{NAME}.host=127.0.0.1\nworker.{NAME}.port={port}\nworker.{NAME}.route={ROUTE}\n\
             worker.{NAME}.domain={VALUE}\nworker.b.host=127.0.0.1\nworker.b.port={port}\n\
             worker.b.activation=d\nworker.one.host=127.0.0.1\nworker.one.port={port}\n\
             worker.lb.session_cookie={COOKIE}\nworker.lb.session_path=;{VALUE}=\n\
             worker.one.secret=s3<cret"
        ))
        .mount("/jk", "st")
        .config(&format!(
            "JkMount \"/{VALUE}/*\" lb\nJkMount \"/{COOKIE}/*\" lb\nJkMount \"/{NAME}|/y*\" one"
        ))
        .start();
    // The route of the member, one of nobody, one that is no text.
    for (sent, route) in [ROUTE.as_bytes(), b"n'<b>", b"\xff\"<b>"].into_iter().enumerate() {
        let path: String = encoded(COOKIE.as_bytes());
        let mut client = client::Client::connect(httpd.addr());
        let head = format!("GET /{path}/1 HTTP/1.1\r\nHost: h\r\nCookie: {COOKIE}=id.");
        let head = [head.as_bytes(), route, b"\r\n\r\n"].concat();
        client.send(&head).expect("sent");
        assert_eq!(client.read_response("GET").status(), 200, "{}", route.escape_ascii());
        assert_eq!(engine.requests().len(), sent + 1, "{}", route.escape_ascii());
    }
    let member = encoded(NAME.as_bytes());
    let value = encoded(b"\"><script>&\n\r\x1b\xff#\\");
    let queries = [
        "cmd=list".to_owned(),
        "cmd=version".to_owned(),
        "cmd=dump".to_owned(),
        "cmd=show&w=lb".to_owned(),
        format!("cmd=show&w=lb&sw={member}&url=/{value}"),
        "cmd=show&w=one&re=9".to_owned(),
        "cmd=edit&w=lb".to_owned(),
        format!("cmd=edit&w=lb&sw={member}&from={value}"),
        "cmd=edit&w=lb&att=vwn".to_owned(),
        "cmd=edit&w=one".to_owned(),
        format!("cmd={value}"),
        format!("cmd=show&w={value}"),
        format!("cmd=show&w=lb&sw={value}"),
        format!("cmd=update&w=lb&sw={member}&vwf={value}&vwd={value}"),
        format!("cmd=update&w=lb&sw={member}&vwn={value}"),
        format!("cmd=update&w=lb&sw=b&vwc={value}"),
        format!("cmd=update&w=lb&vlm={value}"),
        format!("cmd=reset&w=lb&sw={member}"),
        format!("cmd=recover&w=lb&sw={member}"),
    ];
    for query in queries {
        let get = |format: &str| ask(&httpd, &format!("{query}&mime={format}"));
        let text = |format: &str| String::from_utf8(get(format).body).expect("UTF-8");
        strict::xml(&text("xml"));
        strict::html(&text("html"));
        strict::json(&text("json"));
        strict::prometheus(&text("prom"));
        accepted_by_promtool(&text("prom"));
        let properties = strict::properties(&get("prop").body);
        let results = properties.iter().filter(|(key, _)| key == b"worker.result.type");
        assert_eq!(results.count(), 1, "{query}");
        strict::lines(&get("txt").body);
        for format in ["xml", "html", "json", "prop", "txt", "prom"] {
            assert!(!get(format).text().contains("s3<cret"), "{query} {format}");
            assert!(!get(format).text().contains("s3&lt;cret"), "{query} {format}");
        }
    }
    // What a parser gets is the name.
    let properties = strict::properties(&ask(&httpd, "mime=prop").body);
    assert!(properties.iter().any(|(_, value)| value == NAME.as_bytes()));
    assert!(strict::json(&ask(&httpd, "mime=json").text()).iter().any(|text| text == NAME));
    let values = strict::xml(&ask(&httpd, "mime=xml").text());
    let shown = NAME.replace('\u{7f}', "\\x7f");
    assert!(values.contains(&shown), "{values:?}");
}
