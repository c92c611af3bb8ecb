//! Certificates of a test run: one CA, one server, one client. Made by `openssl`, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::process::{at_exit, output};

/// Files in PEM.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) server: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) client: PathBuf,
    pub(crate) client_key: PathBuf,
}

/// The certificates of this run.
pub(crate) fn certificates() -> &'static Certificates {
    static RUN: LazyLock<Certificates> = LazyLock::new(|| {
        let dir = super::temp_dir("jk-tls-").keep();
        let made = make(&dir);
        at_exit(move || drop(std::fs::remove_dir_all(dir)));
        made
    });
    &RUN
}

fn make(dir: &Path) -> Certificates {
    let ca =
        issue(dir, "ca", "mod_jk test CA", &["-addext", "keyUsage=critical,keyCertSign"], None);
    let names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"];
    let server = issue(dir, "server", "localhost", &names, Some(&ca));
    let client = issue(dir, "client", "Test Client", &[], Some(&ca));
    Certificates {
        ca: ca.0,
        server: server.0,
        server_key: server.1,
        client: client.0,
        client_key: client.1,
    }
}

/// Makes a key and a certificate for `cn`, signed by `ca` or by itself.
fn issue(
    dir: &Path,
    name: &str,
    cn: &str,
    extensions: &[&str],
    ca: Option<&(PathBuf, PathBuf)>,
) -> (PathBuf, PathBuf) {
    let cert = dir.join(format!("{name}.pem"));
    let key = dir.join(format!("{name}.key"));
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", &format!("/O=mod_jk tests/CN={cn}")])
        .args(extensions)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert);
    if let Some((ca_cert, ca_key)) = ca {
        command.arg("-CA").arg(ca_cert).arg("-CAkey").arg(ca_key);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    }
    output(&mut command);
    (cert, key)
}
