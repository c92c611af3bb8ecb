//! What only HTTP/2 has; the cases of the matrix over HTTP/2 are in [`super::matrix`].

use super::stage::{Stage, unique};
use crate::support::client::{Noise, curl};
use std::sync::{Arc, Barrier};

use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet;

#[test]
fn u5_an_early_answer_reaches_a_client_that_is_still_sending() {
    let stage = Stage::with(|builder| builder.http2());
    let file = stage.httpd.path("htdocs/body");
    std::fs::write(&file, Noise::bytes(5_000_000)).expect("a file");
    let data = format!("@{}", file.display());
    for status in [413, 302] {
        let path = unique("w", "case");
        stage.play(&path, move |conn, _| {
            conn.send(&packet::answer(status, &[], b"enough"))?;
            Ok(Action::Keep)
        });
        let mark = stage.mark();
        let url = stage.httpd.http(&path);
        let answer = curl(&["--http2-prior-knowledge", "--data-binary", &data, &url]);
        assert_eq!((answer.exit, answer.status), (0, status), "{}", answer.complaint);
        assert_eq!(answer.body, b"enough");
        assert_eq!(stage.executions(&mark, &path), 1, "{status}");
    }
}

/// mod_http2 serves streams in threads of its own, half as many again as the MPM has.
#[test]
fn every_thread_of_http2_has_a_connection() {
    const STREAMS: usize = 6;
    let all_here = Arc::new(Barrier::new(STREAMS));
    let engine = Engine::scripted(move |conn, request| {
        all_here.wait();
        conn.send(&packet::answer(200, &[], request.uri().as_bytes()))?;
        Ok(Action::Keep)
    })
    .start();
    let httpd = Httpd::builder(Module::Ours)
        .size(4, 1)
        .tls("JkMount /* w")
        .http2()
        .worker("w", &engine.endpoint())
        .mount("/*", "w")
        .start();
    let urls: Vec<String> = (0..STREAMS).map(|n| httpd.https(&format!("/{n}"))).collect();
    let mut args = vec!["--insecure", "--parallel", "--http2"];
    args.extend(["--write-out", "%{http_code}\n"]);
    args.extend(urls.iter().map(String::as_str));
    let output = std::process::Command::new("curl")
        .args(["--silent", "--max-time", "20"])
        .args(&args)
        .output()
        .expect("curl");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.matches("200").count(), STREAMS, "{text}");
}
