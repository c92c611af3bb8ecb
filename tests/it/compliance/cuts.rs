//! Where bodies are cut: request bodies into packets, response bodies into answers with and without
//! a length.

use super::case::{get, request};
use super::run::Group;
use crate::support::client::Noise;
use crate::support::packet::{body_chunk, end_response, send_headers};

fn group(cases: Vec<super::case::Case>) -> Group {
    Group {
        test: "",
        modules: &[],
        config: "JkMount /app/* w\nErrorDocument 404 /app/error.jsp".into(),
        workers: String::new(),
        files: &[],
        cases,
    }
}

#[test]
fn chunked_bodies_are_cut_into_the_same_packets() {
    const ENCODING: &str = "Transfer-Encoding of a request";
    let noise = Noise::bytes(20_000);
    let cases = [
        &[&b"hello"[..], b" ", b"world"][..],
        &[&noise[..5000], &noise[..3174], &noise[..1]],
        &[&noise[..5000], &noise[..3186], &noise[..1]],
        &[&noise[..8000], &noise[..8000], &noise[..4000]],
    ]
    .map(|chunks| {
        request("PUT", "/app/chunks")
            .chunked(chunks)
            .differs(ENCODING, |seen| seen.without_request_headers(&["transfer-encoding"]))
    });
    group(cases.to_vec()).check();
}

#[test]
fn responses_get_a_length_up_to_the_same_size() {
    let noise = Noise::bytes(20_000);
    let parts = |sizes: &[usize]| {
        let mut packets = send_headers(200, "", &[]);
        sizes.iter().for_each(|size| packets.extend(body_chunk(&noise[..*size])));
        packets.extend(end_response(true));
        get("/app/r").named(&format!("{sizes:?}")).answered(packets)
    };
    let cases: Vec<_> = [
        &[8000][..],
        &[8001],
        &[8184],
        &[5000, 3000],
        &[5000, 3001],
        &[8000, 1],
        &[1, 8000],
        &[8000, 8000],
    ]
    .iter()
    .map(|sizes| parts(sizes))
    .collect();
    group(cases).check();
}

#[test]
fn error_pages_of_head_requests_are_the_same() {
    group(vec![request("HEAD", "/missing")]).check();
}
