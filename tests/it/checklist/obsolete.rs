//! Old names of properties [2.3]: C mod_jk warns of each, some still mean what today's name means.

use super::case::{Case, Scene, worker};
use super::run::Group;

/// Without effect, but for the warning.
const DEAD: [&str; 14] = [
    "bridge",
    "class_path",
    "cmd_line",
    "jvm_lib",
    "ld_path",
    "local_worker",
    "local_worker_only",
    "ms",
    "mx",
    "native_lib",
    "recycle_timeout",
    "stderr",
    "stdout",
    "sysprops",
];

/// With what they are called today.
const RENAMED: [(&str, &str); 6] = [
    ("balanced_workers", "balance_workers"),
    ("cache_timeout", "connection_pool_timeout"),
    ("cachesize", "connection_pool_size"),
    ("disabled", "activation"),
    ("jvm_route", "route"),
    ("stopped", "activation"),
];

pub(super) fn group() -> Group {
    let warned = |name: &str| {
        let theirs = format!("The attribute 'worker.@.{name}' is deprecated");
        worker(name, &format!("> {name}=1")).says(&theirs, &format!("worker.@.{name}: "))
    };
    let mut cases: Vec<Case> = DEAD.into_iter().map(warned).collect();
    cases.extend(RENAMED.map(|(name, _)| warned(name)));
    cases.push(
        worker("cachesize means connection_pool_size", "> cachesize=1")
            .scene(Scene::Held { settles: 0, busy: true }),
    );
    Group {
        test: "old_names_are_warned_of",
        modules: &[],
        config: "",
        workers: "",
        files: &[],
        cases,
    }
}
