//! JkIvyEngine and JkUserHeader: an engine's own files connect it, what is denied stays denied, and
//! nobody is who httpd does not know.

mod denied;
mod messages;
mod serving;
mod spoofing;
mod users;

use crate::support::Endpoint;
use crate::support::httpd::{Builder, Httpd, Module};

/// An httpd whose configuration includes `lines` as conf/test.conf, and an engine in the folder
/// conf/ivy whose ivy.yaml is `yaml`.
fn with(lines: &str, yaml: &str) -> Builder {
    Httpd::builder(Module::Ours)
        .no_jk_log()
        .file("conf/ivy/configuration/ivy.yaml", yaml)
        .file("conf/test.conf", lines)
        .config("Include conf/test.conf")
}

/// The lines of an ivy.yaml for an engine at a TCP port.
fn connector(endpoint: &Endpoint) -> String {
    let Endpoint::Tcp(addr) = endpoint else { panic!("no TCP: {endpoint:?}") };
    format!("Connector:\n  AJP:\n    Address: {}\n    Port: {}\n", addr.ip(), addr.port())
}
