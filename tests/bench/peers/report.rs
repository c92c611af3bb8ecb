//! What was measured, for people.

use std::fmt::Write as _;

use super::measure::{Outcomes, Spread};
use super::peer::Peer;

/// A row as text for a terminal.
pub(super) fn text(result: &Outcomes) -> String {
    let mut text = format!("{} ({})\n", result.name, result.title);
    let _ = writeln!(
        text,
        "  {:19} {:>9} {:>19} {:>8} {:>8} {:>6} {:>9} {:>19} {:>7} {:>7} {:>7}",
        "", "req/s", "to C", "p50 µs", "p99 µs", "to C", "CPU µs", "to C", "calls", "PSS", "anon"
    );
    for measured in &result.peers {
        let to_c = |column| result.ratio(measured.peer, Peer::C, column);
        let calls = measured.calls.map_or("-".to_owned(), |calls| format!("{calls:.1}"));
        let p99 =
            to_c(|sample| sample.p99).map_or("-".to_owned(), |it| format!("{:.2}", it.median));
        let _ = writeln!(
            text,
            "  {:19} {:9.0} {:>19} {:8.0} {:8.0} {:>6} {:9.1} {:>19} {:>7} {:7} {:7}",
            measured.peer.name(),
            measured.median(|sample| sample.rate),
            spread(to_c(|sample| sample.rate)),
            measured.median(|sample| sample.p50),
            measured.median(|sample| sample.p99),
            p99,
            measured.median(|sample| sample.cpu),
            spread(to_c(|sample| sample.cpu)),
            calls,
            measured.pss,
            measured.anon
        );
    }
    text
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |it| format!("{:.2} ({:.2}-{:.2})", it.median, it.least, it.most))
}
