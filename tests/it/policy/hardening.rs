//! What the file of the module must look like to the loader, so that an error is harder to use.

use std::process::Command;

use crate::support::httpd::Module;
use crate::support::process::output;

/// What is missing in the output of `readelf -lWd` and `nm -D`.
fn missing(elf: &str, symbols: &str) -> Vec<&'static str> {
    let line = |name: &str| elf.lines().find(|line| line.split_whitespace().next() == Some(name));
    let tag = |tag: &str, word: &str| {
        let mut lines = elf.lines().filter(|line| line.contains(&format!("({tag})")));
        lines.any(|line| line.split_whitespace().any(|known| known == word))
    };
    let mut missing = Vec::new();
    if line("GNU_RELRO").is_none() {
        missing.push("RELRO");
    }
    if !(tag("FLAGS", "BIND_NOW") || tag("FLAGS_1", "NOW")) {
        missing.push("BIND_NOW, without which RELRO leaves out the addresses of functions");
    }
    // The flags stand before the alignment: `RW  0x10`, `RWE 0x10`.
    let is_executable =
        |line: &str| line.split_whitespace().rev().nth(1).is_none_or(|flags| flags.contains('E'));
    if line("GNU_STACK").is_none_or(is_executable) {
        missing.push("a stack that is not executable");
    }
    if elf.contains("(TEXTREL)") || tag("FLAGS", "TEXTREL") {
        missing.push("code that the loader does not write to");
    }
    if elf.contains("(RPATH)") || elf.contains("(RUNPATH)") {
        missing.push("libraries from the system's directories only");
    }
    // Nothing but the shim is compiled with a stack protector.
    if !symbols.contains(" U __stack_chk_fail") {
        missing.push("a stack protector in the C shim");
    }
    missing
}

#[test]
fn the_module_is_hardened() {
    let file = Module::Ours.path();
    let elf = output(Command::new("readelf").arg("-lWd").arg(&file));
    let symbols = output(Command::new("nm").args(["-D", "--undefined-only"]).arg(&file));
    assert_eq!(missing(&elf, &symbols), [""; 0], "{}", file.display());
}

#[test]
fn each_missing_protection_is_found() {
    const ELF: &str = "  GNU_STACK      0x000000 0x0 0x0 0x000000 0x000000 RW  0x10\n  \
        GNU_RELRO      0x1192d0 0x11b2d0 0x11b2d0 0x008050 0x008d30 R   0x1\n \
        0x000000000000001e (FLAGS)              BIND_NOW\n";
    const SYMBOLS: &str = "                 U __stack_chk_fail@GLIBC_2.4\n";
    assert_eq!(missing(ELF, SYMBOLS), [""; 0]);
    assert_eq!(missing(&ELF.replace("BIND_NOW", "SYMBOLIC"), SYMBOLS).len(), 1);
    assert_eq!(missing(&ELF.replace("BIND_NOW", "BIND_NOW TEXTREL"), SYMBOLS).len(), 1);
    assert_eq!(missing(&ELF.replace("GNU_RELRO", "LOAD"), SYMBOLS).len(), 1);
    assert_eq!(missing(&ELF.replace("RW ", "RWE"), SYMBOLS).len(), 1);
    assert_eq!(missing(&ELF.replace("GNU_STACK", "LOAD"), SYMBOLS).len(), 1);
    assert_eq!(
        missing(&(ELF.to_owned() + " 0x1d (RUNPATH) Library runpath: [/a]"), SYMBOLS).len(),
        1
    );
    assert_eq!(missing(ELF, "").len(), 1);
    assert_eq!(missing("", "").len(), 4);
}
