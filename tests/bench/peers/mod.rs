//! Measures this module beside its peers: same httpd, same engine, same load, in turns.
//!
//! ```text
//! rows       what is measured                  peer    who is measured, and its configuration
//! engine     an engine that costs nothing      stage   engines that rows share
//! load       wrk, h2load, uploads              measure rounds, medians, ratios
//! calls      system calls (strace)             instructions  callgrind
//! growth     slopes; memory                    targets what is to be reached
//! report     tables, misc/doc/benchmarks.md    chart   SVG
//! ```

mod calls;
mod chart;
mod engine;
mod growth;
mod instructions;
mod least;
mod load;
mod machine;
mod measure;
mod peer;
mod report;
mod rows;
mod stage;
mod targets;

const HELP: &str = "\
cargo bench --bench peers -- [--rounds N] [--seconds S] [--quick] [ROW…]

  ROW          names or beginnings of names; all rows unless said
  --rounds N   how often the peers take turns, 7 unless said
  --seconds S  how long each turn takes, whole seconds, 1 unless said
  --quick      time only: no system calls, no instructions
  --write      writes misc/doc/benchmarks.md and its charts; all rows only
  --list       lists the rows
JK_MODULE=FILE measures another module instead of ours; FILE must end in mod_jk.so.";

/// What was asked for.
struct Options {
    rounds: u32,
    seconds: u32,
    quick: bool,
    write: bool,
    rows: Vec<String>,
}

/// Measures what `args` say, see [`HELP`], and prints it.
pub(crate) fn main(args: &[String]) -> Result<(), String> {
    let mut options =
        Options { rounds: 7, seconds: 1, quick: false, write: false, rows: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || {
            let value = args.next().and_then(|value| value.parse().ok()).filter(|n| *n > 0);
            value.ok_or_else(|| format!("{arg} needs a positive number"))
        };
        match arg.as_str() {
            "--rounds" => options.rounds = number()?,
            "--seconds" => options.seconds = number()?,
            "--quick" => options.quick = true,
            "--write" => options.write = true,
            "--list" => {
                rows::rows().iter().for_each(|row| println!("{:18} {}", row.name, row.title));
                return Ok(());
            }
            "--help" => {
                println!("{HELP}");
                return Ok(());
            }
            option if option.starts_with('-') => return Err(format!("{option}?\n{HELP}")),
            row => options.rows.push(row.to_owned()),
        }
    }
    let mut rows = rows::rows();
    let whole = options.rows.is_empty();
    if options.write && (!whole || options.quick) {
        return Err("--write wants all rows with all columns".into());
    }
    let mut wanted = Vec::new();
    for name in &options.rows {
        let exact = rows.iter().any(|row| row.name == name);
        let takes =
            |row: &&rows::Row| row.name == name || !exact && row.name.starts_with(name.as_str());
        let found: Vec<&str> = rows.iter().filter(takes).map(|row| row.name).collect();
        if found.is_empty() {
            return Err(format!("there is no row {name}; --list lists them"));
        }
        wanted.extend(found);
    }
    rows.retain(|row| whole || wanted.contains(&row.name));
    measure_all(&rows, &options, whole)
}

fn measure_all(rows: &[rows::Row], options: &Options, whole: bool) -> Result<(), String> {
    let staged = stage::Staged::default();
    let (mut measured, mut failed) = (Vec::new(), Vec::new());
    for row in rows {
        match measure::row(row, &staged, options) {
            Ok(result) => {
                println!("{}", report::text(&result));
                measured.push(result);
            }
            Err(problem) => {
                println!("{}: FAILED: {problem}\n", row.name);
                failed.push(row.name);
            }
        }
    }
    if whole {
        let mut growth = growth::of_time(&measured);
        growth.extend(growth::of_memory()?);
        let how = format!(
            "{} rounds in which the peers took turns, {} s each; medians.",
            options.rounds, options.seconds
        );
        println!("{}", report::page(&measured, &growth, &how));
        if options.write && failed.is_empty() {
            report::write(&measured, &growth, &how)?;
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
