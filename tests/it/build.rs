//! What the build script says where something is missing: one sentence with a package's name.

use std::path::Path;
use std::process::Command;

/// Builds with one environment variable pointing at something that is not there.
fn build_with(variable: &str, value: &str) -> (bool, String) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let output = Command::new(cargo)
        .args(["check", "--quiet", "--locked", "--offline", "--lib"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        // A directory of its own, so that no build waits for the other.
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("build-script"))
        .env(variable, value)
        .output()
        .expect("cargo");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_is_missing_is_named_with_its_package() {
    for (variable, package) in
        [("APXS", "apache2-dev"), ("LIBCLANG_PATH", "libclang-dev"), ("CC", "gcc")]
    {
        let (built, said) = build_with(variable, "/nonexistent/x");
        assert!(!built, "{variable}");
        let errors: Vec<&str> =
            said.lines().filter(|line| line.starts_with("error: mod_jk@")).collect();
        assert_eq!(errors.len(), 1, "{variable}: {said}");
        assert!(errors[0].contains("install") && errors[0].contains(package), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
