//! Properties of plain workers [2.3].

use super::case::{Case, Look, Scene, get, head, post, status_answer, worker};
use super::run::Group;
use crate::compliance::failures::once;
use crate::support::engine::Action;

pub(super) fn group() -> Group {
    let mut cases = targets();
    cases.extend(pings());
    cases.extend(waiting());
    cases.extend(failures());
    Group {
        test: "worker_properties_do_the_same",
        modules: &["setenvif", "env"],
        config: "",
        workers: "",
        files: &[],
        cases,
    }
}

fn targets() -> Vec<Case> {
    vec![
        worker("type", "> type=status\nhost=127.0.0.1\nport={one}").config("type=status"),
        worker("host", "> host=127.0.0.9\nport={one}\nretries=1"),
        worker(
            "host is localhost by default",
            "host=127.0.0.9\nport={one}\nretries=1\n> host=localhost",
        ),
        worker("port", "> port={one}\nretries=1"),
        worker("port 0", "port={one}\n> port=0\nretries=1"),
        worker("source", "> source=127.0.0.5").looks(Look::Peers),
        worker("source that is unknown", "> source=nowhere.invalid").says(
            "worker @ can't resolve source address 'nowhere.invalid'",
            "(@) source_unresolved",
        ),
        worker("prefer_ipv6", "> prefer_ipv6=true")
            .dumped("worker.@.prefer_ipv6=true")
            .config("prefer_ipv6=on"),
        worker("secret", "> secret=hush"),
        worker("max_packet_size for a request", "> max_packet_size=16384")
            .asks([get("/x").header("X-Large", "x".repeat(8100))]),
        worker("max_packet_size for a body", "> max_packet_size=16384")
            .asks([post("/x", &[b'x'; 12000])]),
        worker("max_packet_size is rounded up", "> max_packet_size=9k")
            .asks([post("/x", &[b'x'; 12000])]),
        worker("max_packet_size is at least 8192", "max_packet_size=1000")
            .asks([post("/x", &[b'x'; 12000])]),
        worker("socket_keepalive", "> socket_keepalive=true").looks(Look::Keepalive),
        worker("socket_buffer", "> socket_buffer=20000")
            .site("JkLogFile logs/@.log")
            .own_says("SO_SNDBUF and SO_RCVBUF set to 20000", "")
            .config("socket_buffer=20000"),
    ]
}

fn pings() -> Vec<Case> {
    let twice = ["/first", "/second"];
    vec![
        worker("ping_mode=C", "> ping_mode=C").gets(&twice),
        worker("ping_mode=P", "> ping_mode=P").gets(&twice),
        worker("ping_mode=A", "> ping_mode=A").gets(&twice),
        worker("ping_mode=cp", "> ping_mode=cp").gets(&twice),
        worker("ping_mode=I", "> ping_mode=I").status_line("worker.@.connection_ping_interval=100"),
        worker("ping_mode with unknown letters", "> ping_mode=xCy").gets(&twice),
        worker("connect_timeout", "> connect_timeout=5000").gets(&twice),
        worker("prepost_timeout", "> prepost_timeout=5000").gets(&twice),
        worker("connect_timeout and no pong", "port={mute}\nretries=1\n> connect_timeout=100"),
        worker("prepost_timeout and no pong", "port={mute}\nretries=1\n> prepost_timeout=100"),
        worker("ping_timeout", "port={late}\nretries=1\nping_mode=C\n> ping_timeout=100")
            .ends_first(),
        worker(
            "ping_timeout and connect_timeout",
            "port={late}\nretries=1\nping_mode=C\nping_timeout=100\n> connect_timeout=60000",
        )
        .scene(Scene::Held { settles: 1, busy: false }),
    ]
}

fn waiting() -> Vec<Case> {
    let busy = |settles| Scene::Held { settles, busy: true };
    vec![
        worker("reply_timeout", "> reply_timeout=100").ends_first(),
        worker("socket_timeout", "retries=1\n> socket_timeout=1").ends_first(),
        worker("socket_connect_timeout", "port={full}\nretries=1\n> socket_connect_timeout=100")
            .scene(Scene::Hangs),
        worker("connection_pool_size", "> connection_pool_size=1").scene(busy(0)),
        worker("busy_limit", "> busy_limit=1").scene(busy(0)),
        worker(
            "connection_acquire_timeout",
            "connection_pool_size=1\n> connection_acquire_timeout=60000",
        )
        .scene(busy(1)),
        worker(
            "retry_interval waits for a connection",
            "connection_pool_size=1\n> retry_interval=60000",
        )
        .scene(busy(1)),
        worker("retries waits for a connection", "connection_pool_size=1\n> retries=600")
            .scene(busy(1)),
    ]
}

fn failures() -> Vec<Case> {
    let failing = |name: &str, properties: &str, status: u16| {
        worker(name, properties).props("retries=1").gets(&["/x"]).answered(status_answer(status))
    };
    let closing = |name: &str, properties: &str| {
        worker(name, properties).gets(&["/x"]).scripted(|_, _| Ok(Action::Close))
    };
    vec![
        worker("retries", "port={mute}\nconnect_timeout=50\nretry_interval=10\n> retries=3")
            .looks(Look::Connections),
        worker("retries=1", "port={mute}\nconnect_timeout=50\nretry_interval=10\n> retries=1")
            .looks(Look::Connections),
        worker(
            "retries below 1",
            "port={mute}\nconnect_timeout=50\nretry_interval=10\n> retries=0",
        )
        .looks(Look::Connections),
        failing("fail_on_status", "> fail_on_status=404", 404),
        failing("fail_on_status of several", "> fail_on_status=500, 404", 404),
        failing("fail_on_status on two lines", "fail_on_status=500\n> fail_on_status=404", 404),
        failing("fail_on_status with a minus", "> fail_on_status=-404", 404),
        worker("fail_on_status is tried again", "> fail_on_status=404")
            .gets(&["/x"])
            .answered(status_answer(404))
            .differs("Reply timeout, fail_on_status", once),
        closing("recovery_options=1", "> recovery_options=1").no_effect("recovery_options not set"),
        closing("recovery_options=17", "recovery_options=1\n> recovery_options=17"),
        closing("recovery_options=9 and HEAD", "recovery_options=1\n> recovery_options=9")
            .asks([head("/x")])
            .scripted(|_, _| Ok(Action::Close)),
        closing("recovery_options=25", "recovery_options=25")
            .differs("recovery_options with 8 and 16", |seen| {
                seen.packets.extend(seen.packets.clone())
            }),
    ]
}

/// What a worker does while nobody asks.
pub(super) fn idle() -> Group {
    let idle =
        |name: &str, properties: &str| worker(name, properties).scene(Scene::Idle { settles: 0 });
    Group {
        test: "idle_connections_end_the_same",
        modules: &[],
        config: "JkWatchdogInterval 1",
        workers: "worker.maintain=1",
        files: &[],
        cases: vec![
            idle(
                "connection_pool_timeout",
                "connection_pool_minsize=0\n> connection_pool_timeout=1",
            ),
            idle(
                "connection_pool_minsize",
                "connection_pool_timeout=1\n> connection_pool_minsize=0",
            ),
            idle("cache_timeout", "connection_pool_minsize=0\n> cache_timeout=1"),
            idle("connection_ping_interval", "> connection_ping_interval=1"),
        ],
    }
}
