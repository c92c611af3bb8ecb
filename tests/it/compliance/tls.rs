//! The client's side of TLS: `openssl s_client` between our plain client and httpd.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::case::Credentials;
use crate::support::client::Client;
use crate::support::process;
use crate::support::tls::certificates;

/// TLS 1.2 has a session id that both sides know, and names its cipher in the configuration.
pub(super) const CIPHER: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";

/// A TLS connection and the process that makes it one.
pub(super) struct Tunnel {
    pub(super) client: Client,
    child: Child,
}

impl Tunnel {
    /// Connects from a certain local port. The server is to close first, so that the port can
    /// be used again: ask with HTTP/1.0.
    pub(super) fn connect(from: SocketAddr, to: SocketAddr, credentials: Credentials) -> Self {
        let near = TcpListener::bind("127.0.0.1:0").expect("a port");
        let client = Client::connect(near.local_addr().expect("its address"));
        let far = OwnedFd::from(near.accept().expect("the client").0);
        let files = certificates();
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-quiet", "-tls1_2", "-no_ticket", "-cipher", CIPHER])
            .args(["-bind", &from.to_string(), "-connect", &to.to_string()])
            .args(["-servername", "localhost", "-verify_return_error", "-CAfile"])
            .arg(&files.ca);
        if credentials == Credentials::Certificate {
            command.arg("-cert").arg(&files.client).arg("-key").arg(&files.client_key);
        }
        command.stdin(far.try_clone().expect("dup")).stdout(far).stderr(Stdio::null());
        let child = process::spawn(command, libc::SIGKILL)
            .unwrap_or_else(|error| panic!("openssl: {error}; misc/dev test installs it"));
        Self { client, child }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
