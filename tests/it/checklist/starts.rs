//! What belongs to the whole server, each with an httpd of its own [1.1] [2.3].

use super::case::{Case, Look, Scene, alone};
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
        alone(
            "JkWorkersFile beside JkWorkerProperty",
            "JkMount /x @\nJkWorkersFile conf/other.properties
             JkWorkerProperty worker.@.host=127.0.0.1\nJkWorkerProperty worker.@.port={one}
             > JkWorkerProperty worker.list=@",
        ),
        alone(
            "JkWorkersFile wins over JkWorkerProperty",
            "JkMount /* other\nJkWorkersFile conf/other.properties
             JkWorkerProperty worker.other.port={one}",
        ),
        alone(
            "JkWorkerProperty wins after JkWorkersFile",
            "JkMount /* @\n> JkWorkerProperty worker.@.port={one}\nJkWorkersFile conf/@.properties",
        )
        .file("conf/@.properties", "worker.list=@\nworker.@.host=127.0.0.1\nworker.@.retries=1\n"),
        // Nothing is written for a case that names JkWorkersFile.
        alone("no worker is defined", "JkMount /* ajp13\nJkMountFileReload 60\n# JkWorkersFile"),
        alone("JkShmFile", "JkMount /* @\n> JkShmFile logs/@.shm")
            .looks(Look::Exists("logs/@.shm"))
            .c_alone(),
        alone("JkShmFile is not needed", "JkMount /* @\nLogLevel info\n> JkShmFile logs/@.shm")
            .looks(Look::Exists("logs/@.shm"))
            .says("", "JkShmFile: has no effect")
            .ours_alone(),
        alone("JkShmFile makes no file", "JkMount /* @\nJkShmFile logs/@.shm")
            .looks(Look::Exists("logs/@.shm"))
            .differs("JkShmFile, JkShmSize", |seen| {
                seen.facts = vec!["logs/@.shm exists: false".into()];
            }),
        alone("JkShmSize", "JkMount /* @\nLogLevel info\n> JkShmSize 512")
            .says("You can remove the JkShmSize directive", "JkShmSize: has no effect"),
        alone("JkWatchdogInterval", "JkMount /* @\n> JkWatchdogInterval 7")
            .says("Watchdog thread initialized with 7 second interval", "")
            .c_alone(),
        alone("maintain", "JkMount /* @\nJkWatchdogInterval 1")
            .props("connection_pool_minsize=0\nconnection_pool_timeout=1")
            .workers("> worker.maintain=1")
            .scene(Scene::Idle { settles: 0 }),
        // Ours looks after connections unless this says 0.
        alone("JkWatchdogInterval 0", "JkMount /* @\n> JkWatchdogInterval 0")
            .props("connection_pool_minsize=0\nconnection_pool_timeout=1")
            .workers("worker.maintain=1")
            .scene(Scene::Idle { settles: 1 })
            .ours_alone(),
        alone(
            "JkLocalAddrIndicator",
            "JkMount /* @\nSetEnvIf Request_URI . MINE=192.0.2.1\n> JkLocalAddrIndicator MINE",
        ),
        // Type ajp14 does not start without it.
        alone("secretkey", "JkMount /y @")
            .props("type=ajp14\nport={dead}\n> secretkey=hush")
            .no_effect("Worker types ajp12, ajp14"),
        alone("secretkey of ajp13", "JkMount /* @")
            .props("> secretkey=hush")
            .says("", "worker.@.secretkey: ")
            .ours_alone(),
        alone("balanced_workers", "JkMount /* @")
            .props("type=lb\n> balanced_workers=@x")
            .workers("worker.@x.port={one}")
            .config("balance_workers=@x"),
    ]
}
