//! What was measured, for people.

use std::fmt::Write as _;
use std::path::Path;

use super::growth::Growth;
use super::measure::{Measured, Outcomes, Spread};
use super::peer::Peer;
use super::{chart, machine, targets};

/// A row as text for a terminal.
pub(super) fn text(result: &Outcomes) -> String {
    let mut text = format!("{} ({})\n", result.name, result.title);
    let _ = writeln!(
        text,
        "  {:19} {:>9} {:>19} {:>8} {:>8} {:>6} {:>9} {:>19} {:>7} {:>8} {:>7} {:>7}",
        "",
        "req/s",
        "to C",
        "p50 µs",
        "p99 µs",
        "to C",
        "CPU µs",
        "to C",
        "calls",
        "instr",
        "PSS",
        "anon"
    );
    for measured in &result.peers {
        let to_c = |column| result.ratio(measured.peer, Peer::C, column);
        let calls = measured.calls.map_or("-".to_owned(), |calls| format!("{calls:.1}"));
        let p99 =
            to_c(|sample| sample.p99).map_or("-".to_owned(), |it| format!("{:.2}", it.median));
        let _ = writeln!(
            text,
            "  {:19} {:9.0} {:>19} {:8.0} {:8.0} {:>6} {:9.1} {:>19} {:>7} {:>8} {:7} {:7}",
            measured.peer.name(),
            measured.median(|sample| sample.rate),
            spread(to_c(|sample| sample.rate)),
            measured.median(|sample| sample.p50),
            measured.median(|sample| sample.p99),
            p99,
            measured.median(|sample| sample.cpu),
            spread(to_c(|sample| sample.cpu)),
            calls,
            measured.instructions.map_or("-".to_owned(), |count| format!("{count:.0}")),
            measured.pss,
            measured.anon
        );
    }
    text
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or("-".to_owned(), |it| format!("{:.2} ({:.2}-{:.2})", it.median, it.least, it.most))
}

/// The page's measured part: machine, targets, table, growth, charts.
pub(super) fn page(rows: &[Outcomes], growth: &[Growth], how: &str) -> String {
    let mut page = format!("{}{how}\n\n## Targets\n\n", machine::describe());
    page += "| No | What | Limit | Measured | |\n|---|---|---|---|---|\n";
    for target in targets::judge(rows) {
        let measured = target.measured.map_or("–".to_owned(), |value| format!("{value:.2}"));
        let sign = if target.at_least { "≥" } else { "≤" };
        let verdict = match target.is_reached() {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not measured",
        };
        let _ = writeln!(
            page,
            "| {} | {} | {sign} {:.2} | {measured} | {verdict} |",
            target.number, target.what, target.limit
        );
    }
    page += "\n## Ratios to C mod_jk\n\n\
        ![CPU time per request of each row, as ratio to C mod_jk](benchmarks/cpu.svg)\n\n\
        ![Throughput of each row, as ratio to C mod_jk](benchmarks/rate.svg)\n\n\
        ## All rows\n\n";
    page += "| Row | | requests/s | to C (least–most) | p50 µs | p99 µs | to C | CPU µs | \
        to C (least–most) | calls | instructions | PSS KiB | anonymous KiB |\n\
        |---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        for measured in &row.peers {
            page += &table_line(row, measured);
        }
    }
    page += "\n## How cost grows\n\n| | slope of | ";
    let names: Vec<&str> = growth
        .first()
        .map(|growth| growth.lines.iter().map(|line| line.peer.name()).collect())
        .unwrap_or_default();
    let _ = writeln!(page, "{} |\n|---|---|{}", names.join(" | "), "--:|".repeat(names.len()));
    for growth in growth {
        let slopes: Vec<String> =
            growth.lines.iter().map(|line| format!("{:.2}", growth.slope_of(line))).collect();
        let _ = writeln!(page, "| {} | {} | {} |", growth.title, growth.slope, slopes.join(" | "));
    }
    for growth in growth {
        let _ = write!(page, "\n![{}](benchmarks/{}.svg)\n", growth.title, growth.name);
    }
    page
}

fn table_line(row: &Outcomes, measured: &Measured) -> String {
    let to_c = |column| row.ratio(measured.peer, Peer::C, column);
    let p99 = to_c(|sample| sample.p99).map_or("–".to_owned(), |it| format!("{:.2}", it.median));
    let optional = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    format!(
        "| {} | {} | {:.0} | {} | {:.0} | {:.0} | {p99} | {:.1} | {} | {} | {} | {} | {} |\n",
        row.title,
        measured.peer.name(),
        measured.median(|sample| sample.rate),
        spread(to_c(|sample| sample.rate)),
        measured.median(|sample| sample.p50),
        measured.median(|sample| sample.p99),
        measured.median(|sample| sample.cpu),
        spread(to_c(|sample| sample.cpu)),
        optional(measured.calls, 1),
        optional(measured.instructions, 0),
        measured.pss,
        measured.anon
    )
}

/// Puts the measured part between the marks of the page, and the charts beside it.
pub(super) fn write(rows: &[Outcomes], growth: &[Growth], how: &str) -> Result<(), String> {
    const BEGIN: &str = "<!-- measured by misc/dev bench -->\n";
    const END: &str = "<!-- end of what is measured -->";
    let doc = Path::new(env!("CARGO_MANIFEST_DIR")).join("misc/doc");
    let file = doc.join("benchmarks.md");
    let old = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let (head, rest) = old.split_once(BEGIN).ok_or("benchmarks.md has lost its marks")?;
    let (_, tail) = rest.split_once(END).ok_or("benchmarks.md has lost its marks")?;
    let text = format!("{head}{BEGIN}\n{}\n{END}{tail}", page(rows, growth, how));
    let charts = doc.join("benchmarks");
    let put = |name: &str, text: &str| {
        std::fs::write(charts.join(name), text).map_err(|error| format!("{name}: {error}"))
    };
    std::fs::create_dir_all(&charts).map_err(|error| error.to_string())?;
    put("cpu.svg", &chart::bars("CPU time per request", rows, |sample| sample.cpu))?;
    put("rate.svg", &chart::bars("Throughput", rows, |sample| sample.rate))?;
    for growth in growth {
        put(&format!("{}.svg", growth.name), &chart::lines(growth))?;
    }
    std::fs::write(&file, text).map_err(|error| error.to_string())
}
