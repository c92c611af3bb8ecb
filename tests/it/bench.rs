//! The program that measures works: it is not run as a whole but where somebody wants its numbers.

use crate::peers;

#[test]
fn a_row_is_measured_for_all_peers() {
    peers::main(&["--rounds", "1", "small-1"].map(str::to_owned)).expect("a measurement");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    for (args, part) in [
        (&["nonsense"][..], "there is no row nonsense"),
        (&["--rounds", "0"], "--rounds needs a positive number"),
        (&["--write", "small-1"], "--write wants all rows"),
        (&["--loud"], "--loud?"),
    ] {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let refusal = peers::main(&args).expect_err("it was refused");
        assert!(refusal.contains(part), "{args:?}: {refusal}");
    }
}
