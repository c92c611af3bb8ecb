//! What belongs to the whole server, each with an httpd of its own [1.1] [2.3].

use super::case::{Case, Look, alone};
use super::run::Group;

pub(super) fn group() -> Group {
    Group {
        test: "the_whole_server_does_the_same",
        modules: &["setenvif"],
        config: "",
        workers: "",
        files: &FILES,
        cases: cases(),
    }
}

const FILES: [(&str, &str); 1] = [(
    "conf/other.properties",
    "worker.list=other\nworker.other.host=127.0.0.1\nworker.other.port=1\nworker.other.retries=1\n",
)];

fn cases() -> Vec<Case> {
    vec![
        alone("JkWorkersFile", "JkMount /* other\n> JkWorkersFile conf/other.properties"),
        alone(
            "JkWorkerProperty",
            "JkMount /* @\nJkWorkerProperty worker.list=@
             JkWorkerProperty worker.@.host=127.0.0.1\n> JkWorkerProperty worker.@.port={one}",
        ),
        alone("JkShmFile", "JkMount /* @\n> JkShmFile logs/@.shm")
            .looks(Look::Exists("logs/@.shm")),
        alone("JkShmSize", "JkMount /* @\n> JkShmSize 512")
            .says("You can remove the JkShmSize directive", "JkShmSize"),
        alone("JkWatchdogInterval", "JkMount /* @\n> JkWatchdogInterval 7")
            .says("Watchdog thread initialized with 7 second interval", "watchdog"),
        alone("balanced_workers", "JkMount /* @")
            .props("type=lb\n> balanced_workers=@x")
            .workers("worker.@x.port={one}"),
    ]
}
