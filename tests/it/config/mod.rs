//! Configuration, as `httpd -t` judges it and as httpd then runs with it.

mod broken;
mod directives;
mod files;
mod log;
mod mistakes;
mod reference;
mod servers;
mod shipped;
mod workers;

use crate::support::httpd::{Builder, Httpd, Module, Refusal};

/// An httpd whose configuration includes `lines` as conf/test.conf, whose lines count from 1.
pub(crate) fn with(lines: &str) -> Builder {
    Httpd::builder(Module::Ours)
        .no_jk_log()
        .file("conf/test.conf", lines)
        .config("Include conf/test.conf")
}

/// What our module says, in order, without the path of the ServerRoot.
pub(crate) fn said(result: &Refusal) -> Vec<String> {
    let ours = result.output.lines().filter_map(|line| line.split_once("mod_jk: "));
    ours.map(|(_, text)| relative(text)).collect()
}

/// `text` with every path in it cut down to what is below the ServerRoot.
fn relative(text: &str) -> String {
    let is_below = |word: &str| ["/conf/", "/logs/"].iter().find_map(|dir| word.rfind(dir));
    let words = text.split(' ').map(|word| match is_below(word) {
        Some(at) if word.starts_with('/') => &word[at + 1..],
        _ => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `httpd -t` fails and says exactly `expected`.
#[track_caller]
pub(crate) fn refused(builder: Builder, expected: &[&str]) {
    let result = builder.config_test();
    assert_eq!(said(&result), expected, "\n{}", result.output);
    assert!(!result.status.success(), "{}", result.output);
    assert!(!result.output.contains("Syntax OK"), "{}", result.output);
}

/// `httpd -t` succeeds and says exactly `expected`, which are warnings.
#[track_caller]
pub(crate) fn accepted(builder: Builder, expected: &[&str]) {
    let result = builder.config_test();
    assert_eq!(said(&result), expected, "\n{}", result.output);
    assert!(result.status.success(), "{}", result.output);
    assert!(result.output.contains("Syntax OK"), "{}", result.output);
}
