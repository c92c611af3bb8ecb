//! Traps of the C module [9.2]: what each does, and what ours does instead.

use super::case::{Case, Look, get, site, tested, worker};
use super::run::Group;

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
        worker("connection_pool_size=0", "> connection_pool_size=0"),
        worker("cachesize=0", "> cachesize=0"),
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
        // The other workers of the same httpd work.
        worker("host and port in one", "> host=127.0.0.1:{one}\nretries=1"),
        worker("a host in brackets", "> host=[::1]\nretries=1"),
        worker("a host with a blank", "> host=local host\nretries=1"),
        worker("a host that is a path", "> host=/run/engine\nretries=1"),
        worker("a port less than nothing", "port={one}\n> port=-1\nretries=1"),
        worker("a port above 65535", "port={dead}\n> port={over}\nretries=1"),
        worker("a port that is 0 in 16 bits", "port={one}\n> port=65536\nretries=1"),
    ]
}
