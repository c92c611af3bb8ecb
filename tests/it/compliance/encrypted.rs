//! Requests over TLS.

use super::case::{Case, Credentials, get, request};
use super::run::Group;
use super::tls::CIPHER;
use crate::support::tls::certificates;

pub(super) fn group() -> Group {
    let files = certificates();
    let common = format!(
        "SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\nSSLCACertificateFile {}\n\
         SSLProtocol TLSv1.2\nSSLCipherSuite {CIPHER}\nSSLVerifyClient optional\nJkMount /* w",
        files.server.display(),
        files.server_key.display(),
        files.ca.display()
    );
    let mut config = "SSLSessionCache shmcb:run/sessions(512000)\n".to_owned();
    for (name, lines) in [
        ("exported.test", "SSLOptions +StdEnvVars +ExportCertData"),
        ("variables.test", "SSLOptions +StdEnvVars"),
        ("bare.test", ""),
        ("user.test", "SSLOptions +StdEnvVars +FakeBasicAuth\nSSLUserName SSL_CLIENT_S_DN_CN"),
    ] {
        config += &format!(
            "<VirtualHost @SERVE@>\nServerName {name}\n{common}\n{lines}\n</VirtualHost>\n"
        );
    }
    let mut cases = Vec::new();
    for credentials in [Credentials::Anonymous, Credentials::Certificate] {
        let certificate = match credentials {
            Credentials::Anonymous => "no certificate",
            Credentials::Certificate => "a certificate",
        };
        let on =
            |case: Case, host: &str| case.http10().host(host).named(certificate).tls(credentials);
        for host in ["exported.test", "variables.test:8443", "bare.test", "user.test"] {
            cases.push(on(get("/tls?q"), host));
        }
        cases.push(on(request("POST", "/tls").body(&[b'x'; 9000]), "exported.test"));
        cases.push(on(request("PATCH", "/tls"), "exported.test"));
    }
    Group {
        test: "tls_facts_are_the_same",
        modules: &["ssl", "socache_shmcb"],
        config,
        workers: String::new(),
        files: &[],
        cases,
    }
}
