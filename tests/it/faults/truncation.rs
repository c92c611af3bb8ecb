//! Issue 2, "Shown by" 5: a valid answer that ends at every one of its bytes.

use super::case::{Case, Sees, Step, Then, end, flush, ok};
use super::stage::{Stage, Variant};
use crate::support::packet::body_chunk;

/// The packets of an answer and what the client has got for certain after each.
fn cases(headers: &[(&str, &str)]) -> Vec<Case> {
    let has_length = !headers.is_empty();
    let headers = [&[("Content-Type", "text/plain"), ("X-Engine", "1")], headers].concat();
    let packets = [ok(&headers), body_chunk(b"abc"), flush(), body_chunk(b"defg"), end()];
    let all = packets.concat();
    let mut ends = Vec::new();
    for packet in &packets {
        ends.push(ends.last().copied().unwrap_or(0) + packet.len());
    }
    let (head, flushed, complete) = (ends[0], ends[2], ends[3]);
    (0..all.len())
        .map(|at| {
            let mut play = vec![Step::Say(all[..at.min(flushed)].to_vec())];
            if at >= flushed {
                play.extend([Step::ClientHasHead, Step::Say(all[flushed..at].to_vec())]);
            }
            let case = Case::get(format!("cut at {at} of {}", all.len()), play).then(Then::Close);
            if has_length && at >= complete {
                let sees = Sees::Whole(200, b"abcdefg".to_vec());
                return case.sees(sees).event("warn", "no_end");
            }
            let case = case.error(match at {
                0 => "eof_before_head",
                at if at == head || ends.contains(&at) => "eof_mid_body",
                _ => "short_packet",
            });
            let case = if at == 0 { case.lost() } else { case };
            if at < flushed { case } else { case.sees(Sees::Broken(b"abcdefg".to_vec())) }
        })
        .collect()
}

#[test]
fn an_answer_cut_at_every_position() {
    let stage = Stage::new();
    for case in cases(&[]) {
        stage.run_as(&case, Variant::Fresh);
        stage.run_as(&case, Variant::Reused);
    }
}

#[test]
fn an_answer_with_a_length_cut_at_every_position() {
    let stage = Stage::new();
    for case in cases(&[("Content-Length", "7")]) {
        stage.run_as(&case, Variant::Fresh);
        stage.run_as(&case, Variant::Reused);
    }
}
