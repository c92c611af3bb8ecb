//! The proof that `misc/dev asan` reports what it is there for. That command runs these tests
//! first, with a module that makes the mistakes on request; any other run leaves them out.

use std::path::PathBuf;

use crate::support::client::Client;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module};
use crate::support::{DEADLINE, eventually};

/// The directory that the sanitizer writes its reports to.
fn reports() -> PathBuf {
    std::env::var_os("JK_SANITIZER_REPORTS").expect("misc/dev asan sets it").into()
}

/// Takes the report with `words` away, so that only those of mistakes of our own are left.
fn take_report(words: &[&str]) -> bool {
    let files = std::fs::read_dir(reports()).expect("the directory of reports");
    for path in files.map(|entry| entry.expect("an entry").path()) {
        let text = std::fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        if words.iter().all(|word| text.contains(word)) {
            std::fs::remove_file(path).expect("its file can go");
            return true;
        }
    }
    false
}

/// Asks for a mistake, stops httpd and waits for the report.
#[track_caller]
fn is_reported(mistake: &str, words: &[&str]) {
    let engine = Engine::recording().start();
    let mut httpd =
        Httpd::builder(Module::Ours).worker("w", &engine.endpoint()).mount("/*", "w").start();
    // A child that the sanitizer ends answers nothing.
    let headers = [("X-Jk-Test-Memory", mistake)];
    let request = crate::support::client::head("GET", "/x", &headers) + "\r\n";
    let mut client = Client::connect(httpd.addr());
    client.send(request.as_bytes()).expect("sent");
    let _ = client.try_read_response("GET");
    httpd.stop();
    assert!(eventually(DEADLINE, || take_report(words)), "no report with {words:?}");
}

#[test]
#[ignore = "misc/dev asan: needs a module that makes the mistake"]
fn a_use_after_free_is_reported() {
    is_reported("use-after-free", &["heap-use-after-free", "test_memory", "libmod_jk"]);
}

#[test]
#[ignore = "misc/dev asan: needs a module that makes the mistake"]
fn a_leak_is_reported() {
    is_reported("leak", &["LeakSanitizer: detected memory leaks", "test_memory", "libmod_jk"]);
}
