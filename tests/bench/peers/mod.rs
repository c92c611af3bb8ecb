//! Measures this module beside its peers: same httpd, same engine, same load, in turns.
//!
//! ```text
//! rows       what is measured                  peer    who is measured, and its configuration
//! engine     an engine that costs nothing      stage   engines that rows share
//! load       wrk, h2load, uploads              measure rounds, medians, ratios
//! calls      system calls (strace)             report  the table
//! ```

mod calls;
mod engine;
mod load;
mod measure;
mod peer;
mod report;
mod rows;
mod stage;

const HELP: &str = "\
cargo bench --bench peers -- [--rounds N] [--seconds S] [--quick] [ROW…]

  ROW          names or beginnings of names; all rows unless said
  --rounds N   how often the peers take turns, 7 unless said
  --seconds S  how long each turn takes, whole seconds, 1 unless said
  --quick      time only: no system calls, no instructions
  --list       lists the rows
JK_MODULE=FILE measures another module instead of ours.";

/// What was asked for.
struct Options {
    rounds: u32,
    seconds: u32,
    quick: bool,
    rows: Vec<String>,
}

/// Measures what `args` say, see [`HELP`], and prints it.
pub(crate) fn main(args: &[String]) -> Result<(), String> {
    let mut options = Options { rounds: 7, seconds: 1, quick: false, rows: Vec::new() };
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
    for name in &options.rows {
        if !rows.iter().any(|row| row.name.starts_with(name.as_str())) {
            return Err(format!("there is no row {name}; --list lists them"));
        }
    }
    if !options.rows.is_empty() {
        rows.retain(|row| options.rows.iter().any(|name| row.name.starts_with(name.as_str())));
    }
    let staged = stage::Staged::default();
    let mut failed = Vec::new();
    for row in rows {
        match measure::row(&row, &staged, &options) {
            Ok(result) => println!("{}", report::text(&result)),
            Err(problem) => {
                println!("{}: FAILED: {problem}\n", row.name);
                failed.push(row.name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}
