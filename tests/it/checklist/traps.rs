//! Traps of the C module [9.2]: what each does, and what ours does instead.

use super::case::{Case, Look, alone, get, site, tested, worker};
use super::run::Group;
use crate::compliance::seen::Seen;

pub(super) fn group() -> Group {
    Group {
        test: "traps_are_kept_or_mended_as_documented",
        modules: &["setenvif", "dir"],
        config: "",
        workers: "",
        files: &[
            ("htdocs/a%b.txt", "the source\n"),
            ("webapps/shop/inner/WEB-INF/web.txt", "not for clients\n"),
        ],
        cases: cases(),
    }
}

fn cases() -> Vec<Case> {
    const ACQUIRE: &str = "connection_acquire_timeout=0, also by retry_interval=0";
    let half = "x".repeat(5000);
    let large = get("/2").header("X-Half", &half).header("X-Other-Half", &half);
    vec![
        // 3
        worker("connection_acquire_timeout=0", "connection_acquire_timeout=0").served(ACQUIRE, 200),
        worker("retry_interval=0", "retry_interval=0").served(ACQUIRE, 200),
        alone("connection_pool_size=0", "JkMount /* @")
            .props("connection_pool_size=0")
            .differs("connection_pool_size=0", does_not_start),
        // 6
        site("a map file with a mistake and JkMount", "JkMount /x @\nJkMountFile conf/@.map")
            .file("conf/@.map", "worker.bogus=1\n/y=@\n")
            .served(
                "A JkMountFile that cannot be read, or has a bad `worker.` line, at the start",
                200,
            ),
        // 12
        site("RejectUnsafeURI and a file", "JkMount /* @\nJkOptions +RejectUnsafeURI")
            .gets(&["/a%25b.txt"])
            .refused("RejectUnsafeURI", 404),
        // 17
        worker("413 and the connection", "")
            .asks([get("/1"), large, get("/3")])
            .looks(Look::Connections)
            .differs("busy_limit reached, request too large", |seen| {
                seen.facts = vec!["1 connections".into()];
            }),
        // 22
        site("WEB-INF of an inner folder", "JkMount /y @\nJkAutoAlias {root}/webapps")
            .gets(&["/shop/inner/WEB-INF/web.txt"])
            .refused("WEB-INF and META-INF under JkAutoAlias", 404),
        // 24
        tested("a pattern that begins with a star", "JkMount *.jsp w"),
        alone("host and port in one", "JkMount /* @")
            .props("host=127.0.0.1:{one}\nretries=1")
            .differs("A port above 65535, a host with a port", does_not_start),
        alone("a port above 65535", "JkMount /* @")
            .props("port=70000\nretries=1")
            .differs("A port above 65535, a host with a port", does_not_start),
    ]
}

fn does_not_start(seen: &mut Seen) {
    *seen = Seen { facts: vec!["httpd does not start".into()], ..Seen::default() };
}
