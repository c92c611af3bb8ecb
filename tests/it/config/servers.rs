//! Which server has which mounts, and which log (spec/mod_jk.md 1.3).

use super::with;
use crate::support::client;
use crate::support::engine::Engine;
use crate::support::httpd::{Httpd, Module, Mpm};

#[test]
fn a_virtual_host_has_its_own_mounts_and_no_others() {
    let one = Engine::recording().start();
    let two = Engine::recording().start();
    for mpm in Mpm::ALL {
        let httpd = Httpd::builder(Module::Ours)
            .mpm(mpm)
            .worker("one", &one.endpoint())
            .worker("two", &two.endpoint())
            .mount("/main|/*", "one")
            .mount("/both/*", "one")
            // No directive of ours: httpd would let it share the main server's record.
            .vhost("bare.example", "DocumentRoot htdocs")
            .vhost("level.example", "JkLogLevel debug")
            .vhost("own.example", "JkMount /own/* two\nJkMount /both/* two\nJkUnMount /own/not/* *")
            .vhost("only-unmount.example", "JkUnMount /main/* one")
            .file("htdocs/own/not/x", "a file")
            .start();
        let at = |name: &str, path: &str| {
            let addr = if name.is_empty() { httpd.addr() } else { httpd.vhost(name) };
            let answer = client::get(addr, path);
            (answer.status(), answer.text())
        };
        let served = |path: &str| (200, path.to_owned());
        assert_eq!(at("", "/main"), served("/main"), "{mpm:?}");
        assert_eq!(at("", "/main/x"), served("/main/x"), "{mpm:?}");
        for name in ["bare.example", "level.example", "own.example", "only-unmount.example"] {
            assert_eq!(at(name, "/main/x").0, 404, "{mpm:?} {name} inherited a mount");
        }
        assert_eq!(at("", "/own/x").0, 404, "{mpm:?} the main server took a mount of a vhost");
        assert_eq!(at("own.example", "/own/x"), served("/own/x"), "{mpm:?}");
        assert_eq!(at("own.example", "/own/not/x"), (200, "a file".to_owned()), "{mpm:?}");
        let (before_one, before_two) = (one.requests().len(), two.requests().len());
        assert_eq!(at("", "/both/x"), served("/both/x"), "{mpm:?}");
        assert_eq!(at("own.example", "/both/x"), served("/both/x"), "{mpm:?}");
        let counts = (one.requests().len() - before_one, two.requests().len() - before_two);
        assert_eq!(counts, (1, 1), "{mpm:?} each server has its worker");
    }
}

#[test]
fn a_location_mounts_its_own_path_literally() {
    let engine = Engine::recording().start();
    let httpd = with(
        "<Location \"/exact\">\nJkMount w\n</Location>\n\
         <Location \"/below/*\">\nJkMount w\n</Location>\n\
         <Location \"/below/not/*\">\nJkUnMount w\n</Location>\n\
         <Directory \"/srv/as/a/path\">\nJkMount w\n</Directory>",
    )
    .worker("w", &engine.endpoint())
    .start();
    for (path, status) in [
        ("/exact", 200),
        ("/exact/x", 404),
        ("/below/x", 200),
        ("/below", 404),
        ("/below/not/x", 404),
        // httpd itself ends the path of this section with a slash.
        ("/srv/as/a/path/", 200),
    ] {
        assert_eq!(client::get(httpd.addr(), path).status(), status, "{path}");
    }
}

#[test]
fn a_virtual_host_inherits_log_file_and_level_unless_it_has_its_own() {
    let engine = Engine::recording().start();
    let httpd = with("JkLogFile logs/main.log\nJkLogLevel debug")
        .worker("w", &engine.endpoint())
        .vhost("heir.example", "JkMount /heir w")
        .vhost("file.example", "JkMount /file w\nJkLogFile logs/own.log")
        .vhost("level.example", "JkMount /level w\nJkLogLevel error")
        .start();
    for name in ["heir", "file", "level"] {
        let path = format!("/{name}");
        assert_eq!(client::get(httpd.vhost(&format!("{name}.example")), &path).text(), path);
    }
    let log = |name: &str| std::fs::read_to_string(httpd.path(name)).expect("a log file");
    let (main, own) = (log("logs/main.log"), log("logs/own.log"));
    let mapped = |log: &str, path: &str| log.contains(&format!("mapped: {path} to worker w"));
    assert!(mapped(&main, "/heir") && !mapped(&own, "/heir"), "{main}\n{own}");
    assert!(mapped(&own, "/file") && !mapped(&main, "/file"), "{main}\n{own}");
    assert!(!mapped(&main, "/level") && !mapped(&own, "/level"), "its level is error: {main}");
    assert!(!httpd.error_log().contains("mapped:"), "{}", httpd.error_log());
}
