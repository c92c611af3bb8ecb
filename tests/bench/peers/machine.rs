//! Where and with what the measurement ran: nothing that names the machine.

use std::process::Command;

/// Two lines of Markdown: machine, versions.
pub(super) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // What follows the numbers may name who built it.
    let kernel = kernel.trim().split('-').next().unwrap_or_default().to_owned();
    let versions: Vec<String> = [
        ("httpd", package("apache2-bin")),
        ("mod_jk", package("libapache2-mod-jk")),
        ("Tomcat", package("tomcat10-common")),
        ("Java", java()),
        ("rustc", said("rustc", &["--version"]).split(' ').nth(1).unwrap_or("?").to_owned()),
        ("wrk", package("wrk")),
        ("h2load", package("nghttp2-client")),
    ]
    .into_iter()
    .map(|(name, version)| format!("{name} {version}"))
    .collect();
    format!(
        "Machine: {cores} cores, {}, Linux {kernel}.\n\nVersions: {}; MPM event, one child.\n\n",
        cpu_model(),
        versions.join(", ")
    )
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map_or("unknown CPU", |pair| pair.1);
    model.trim().to_owned()
}

/// The version of a Debian package.
fn package(name: &str) -> String {
    let version = said("dpkg-query", &["-W", "-f=${Version}", name]);
    if version.is_empty() { "?".into() } else { version }
}

fn java() -> String {
    let output = Command::new("java").arg("-version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    text.ok().and_then(|text| Some(text.split('"').nth(1)?.to_owned())).unwrap_or("?".into())
}

fn said(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
