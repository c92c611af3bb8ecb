//! What was measured, for people.

use std::fmt::Write as _;
use std::path::Path;

use super::growth::Growth;
use super::measure::{Measured, Outcomes, Spread};
use super::peer::Peer;
use super::{chart, machine, targets};

/// The columns: their names on a terminal, its width there, and their names on the page.
const COLUMNS: [(&str, usize, &str); 12] = [
    ("req/s", 9, "requests/s, or as said"),
    ("to C", 19, "to C (least–most)"),
    ("to http", 7, "to http"),
    ("p50 µs", 8, "p50 µs"),
    ("p99 µs", 8, "p99 µs"),
    ("to C", 6, "to C"),
    ("CPU µs", 9, "CPU µs"),
    ("to C", 19, "to C (least–most)"),
    ("calls", 7, "calls"),
    ("instr", 8, "instructions"),
    ("PSS", 7, "PSS KiB"),
    ("anon", 7, "anonymous KiB"),
];

/// What a peer has in the columns.
fn cells(row: &Outcomes, measured: &Measured) -> [String; COLUMNS.len()] {
    let to = |peer, column| row.ratio(measured.peer, peer, column);
    let optional = |value: Option<f64>, digits: usize| {
        value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
    };
    let median = |spread: Option<Spread>| optional(spread.map(|spread| spread.median), 2);
    [
        row.throughput(measured),
        spread(to(Peer::C, |sample| sample.rate)),
        median(to(Peer::Http, |sample| sample.rate)),
        format!("{:.0}", measured.median(|sample| sample.p50)),
        format!("{:.0}", measured.median(|sample| sample.p99)),
        median(to(Peer::C, |sample| sample.p99)),
        format!("{:.1}", measured.median(|sample| sample.cpu)),
        spread(to(Peer::C, |sample| sample.cpu)),
        optional(measured.calls, 1),
        optional(measured.instructions, 0),
        measured.pss.to_string(),
        measured.anon.to_string(),
    ]
}

/// A row as text for a terminal.
pub(super) fn text(result: &Outcomes) -> String {
    let line = |name: &str, cells: [&str; COLUMNS.len()]| {
        let cells = cells.into_iter().zip(COLUMNS);
        let cells = cells.map(|(cell, (_, width, _))| format!(" {cell:>width$}"));
        format!("  {name:19}{}\n", cells.collect::<String>())
    };
    let mut text = format!("{} ({})\n", result.name, result.title);
    text += &line("", COLUMNS.map(|(name, _, _)| name));
    for measured in &result.peers {
        text += &line(measured.peer.name(), cells(result, measured).each_ref().map(String::as_str));
    }
    text
}

fn spread(spread: Option<Spread>) -> String {
    spread
        .map_or("–".to_owned(), |it| format!("{:.2} ({:.2}-{:.2})", it.median, it.least, it.most))
}

/// The page's measured part: machine, targets, table, growth, charts.
pub(super) fn page(rows: &[Outcomes], growth: &[Growth], how: &str) -> String {
    let mut page = format!("{}{how}\n\n## Targets\n\n", machine::describe());
    page += "| No | What | Limit | Measured | |\n|---|---|---|---|---|\n";
    for target in targets::judge(rows) {
        let measured = target.measured.map_or("–".to_owned(), |value| format!("{value:.2}"));
        let limit = target.limit.map_or("–".to_owned(), |limit| {
            format!("{} {limit:.2}", if target.at_least { "≥" } else { "≤" })
        });
        let verdict = match target.is_reached() {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None if target.measured.is_some() => "for comparison",
            None => "not measured",
        };
        let _ = writeln!(
            page,
            "| {} | {} | {limit} | {measured} | {verdict} |",
            target.number, target.what
        );
    }
    page += "\n## Ratios to C mod_jk\n\n\
        ![CPU time per request of each row, as ratio to C mod_jk](benchmarks/cpu.svg)\n\n\
        ![Throughput of each row, as ratio to C mod_jk](benchmarks/rate.svg)\n\n\
        ## All rows\n\n";
    let names = COLUMNS.map(|(_, _, name)| name).join(" | ");
    let _ = writeln!(page, "| Row | | {names} |\n|---|---|{}", "--:|".repeat(COLUMNS.len()));
    for row in rows {
        for measured in &row.peers {
            let (title, name) = (row.title, measured.peer.name());
            let _ = writeln!(page, "| {title} | {name} | {} |", cells(row, measured).join(" | "));
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
