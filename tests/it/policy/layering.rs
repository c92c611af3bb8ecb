//! DESIGN.md section 2, rules 1 and 2: who may name whom.

/// The modules that face a web server.
const BORDERS: [&str; 2] = ["httpd", "iis"];

/// Which rule of the house `reference` breaks when it is named in `module`.
pub(super) fn broken_by(module: &[String], reference: &[String]) -> Option<&'static str> {
    let storey = module.first().map(String::as_str)?;
    if BORDERS.contains(&storey) {
        return None;
    }
    let (root, next) = (reference.first()?.as_str(), reference.get(1).map(String::as_str));
    match root {
        "crate" => in_crate(storey, next.unwrap_or("*")),
        "std" | "core" | "alloc" => in_std(storey, next.unwrap_or("*")),
        // net forbids unsafe code and so can only name constants of the system, such as EMFILE.
        "libc" if storey != "net" => Some("libc is for the border to a web server"),
        "socket2" | "serde_yaml" if storey == "ajp" => Some("ajp imports std and itself"),
        _ => None,
    }
}

fn in_crate(storey: &str, module: &str) -> Option<&'static str> {
    if module == "*" || module == "self" {
        return Some("the whole crate is too much to import");
    }
    if BORDERS.contains(&module) {
        return Some("nothing but the border knows a web server; the core has `host`");
    }
    match storey {
        "ajp" if module != "ajp" => Some("ajp imports std and itself"),
        "config" | "mapping" | "shared" | "status" if matches!(module, "worker" | "net") => {
            Some("config, mapping, shared and status never import worker, net, httpd")
        }
        "net" | "host" | "log" if module == "worker" => Some("net, host and log are below worker"),
        "worker"
            if !matches!(
                module,
                "ajp" | "config" | "mapping" | "net" | "shared" | "host" | "log" | "worker"
            ) =>
        {
            Some("worker may use ajp, config, mapping, net, shared, host, log")
        }
        _ => None,
    }
}

fn in_std(storey: &str, module: &str) -> Option<&'static str> {
    match storey {
        "ajp"
            if matches!(
                module,
                "*" | "env" | "fs" | "io" | "net" | "os" | "process" | "thread" | "time"
            ) =>
        {
            Some("ajp is pure: no I/O, clock or system")
        }
        "worker" if module == "os" => Some("nothing in the core assumes Unix"),
        _ => None,
    }
}

#[test]
fn every_rule_can_be_broken() {
    let broken = |module: &str, reference: &str| {
        let split = |path: &str| -> Vec<String> { path.split("::").map(str::to_owned).collect() };
        broken_by(&split(module), &split(reference)).is_some()
    };
    let bad = [
        ("ajp::frame", "std::io::Read"),
        ("ajp", "core::time::Duration"),
        ("ajp", "std::*"),
        ("ajp", "crate::config::X"),
        ("ajp", "crate"),
        ("ajp::error", "libc::c_int"),
        ("ajp", "socket2::Socket"),
        ("config", "crate::worker::X"),
        ("mapping::table", "crate::net::X"),
        ("shared", "crate::httpd::X"),
        ("status::html", "crate::iis"),
        ("net", "crate::worker"),
        ("worker", "libc::close"),
        ("host", "crate::httpd"),
        ("log", "crate::worker"),
        ("worker::pool", "crate::httpd::ffi"),
        ("worker", "crate::status"),
        ("worker", "crate::*"),
        ("worker", "std::os::fd::AsRawFd"),
        ("something_new", "crate::httpd"),
    ];
    for (module, reference) in bad {
        assert!(broken(module, reference), "{module} may not name {reference}");
    }
    let good = [
        ("ajp::frame", "crate::ajp::reader::Reader"),
        ("ajp", "std::fmt"),
        ("ajp::error", "thiserror::Error"),
        ("config", "crate::config::X"),
        ("net", "crate::config::Place"),
        ("net", "std::os::fd::AsFd"),
        ("net", "libc::EMFILE"),
        ("worker::pool", "crate::shared::X"),
        ("worker", "std::time::Duration"),
        ("httpd::handler", "crate::worker::X"),
        ("httpd::handler", "libc::c_int"),
        ("status", "crate::shared::X"),
    ];
    for (module, reference) in good {
        assert!(!broken(module, reference), "{module} may name {reference}");
    }
}
