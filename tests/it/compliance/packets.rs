//! Packets of another size, and the secret.

use super::case::{get, request};
use super::run::Group;
use crate::support::client::Noise;
use crate::support::engine::Action;
use crate::support::packet;

pub(super) fn group() -> Group {
    let noise = Noise::bytes(70_000);
    let large = Noise::bytes(65_536 - 8);
    Group {
        test: "large_packets_and_the_secret_are_the_same",
        modules: &[],
        config: "JkMount /* w\nLimitRequestLine 65000\nLimitRequestFieldSize 65000".into(),
        workers: "worker.w.max_packet_size=65536\nworker.w.secret=s3cret=word !".into(),
        files: &[],
        cases: vec![
            get("/a?q"),
            request("PATCH", "/a"),
            get("/a").named("a large header").header("X-Large", "x".repeat(40_000)),
            get("/a")
                .named("too large a header")
                .header("X-A", "x".repeat(64_000))
                .header("X-B", "x".repeat(2000)),
            get(format!("/a?{}", "q".repeat(60_000))).named("a large query"),
            request("POST", "/a").body(&noise[..100]),
            request("POST", "/a").body(&noise[..65_530]),
            request("POST", "/a").body(&noise[..65_531]),
            request("POST", "/a").named("large asks").body(&noise).scripted(|conn, _| {
                let first = conn.read_body_packet()?.len();
                let second = conn.ask_body(65_530)?.len();
                let text = format!("{first} {second}");
                conn.send(&packet::answer(200, &[], text.as_bytes()))?;
                Ok(Action::Keep)
            }),
            get("/a").named("a large part").answered(
                [
                    packet::send_headers(200, "", &[]),
                    packet::body_chunk(&large),
                    packet::body_chunk(b"the end"),
                    packet::end_response(true),
                ]
                .concat(),
            ),
        ],
    }
}
