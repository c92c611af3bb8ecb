//! Who the engine is told the client is: spec/reliability.md 2.4. Headers that applications read are in
//! [`crate::ivy`].

use super::headers::forwarded;
use crate::faults::case::{end, ok};
use crate::faults::stage::{Stage, unique};
use crate::support::client;
use crate::support::engine::{Action, Engine};
use crate::support::httpd::{Httpd, Module};
use crate::support::packet::{Attr, body_chunk};

#[test]
fn no_header_of_the_client_becomes_an_attribute() {
    let stage = Stage::new();
    let request = forwarded(
        &stage,
        &[
            ("REMOTE_USER", "admin"),
            ("Remote-User", "admin"),
            ("X-Remote-User", "admin"),
            ("AJP_REMOTE_ADDR", "10.0.0.1"),
            ("AJP-Secret", "guess"),
            ("Auth-Type", "Basic"),
        ],
    );
    for attribute in &request.attributes {
        let named = match attribute {
            Attr::Named(Some(name), _) => name.as_str(),
            other => panic!("{other:?}"),
        };
        let ours = ["AJP_REMOTE_PORT", "AJP_LOCAL_ADDR", "JK_LB_ACTIVATION"];
        assert!(ours.contains(&named), "{attribute:?}");
    }
    assert_eq!(request.remote_addr.as_deref(), Some("127.0.0.1"));
}

#[test]
fn the_secret_is_sent_and_never_logged() {
    let engine = Engine::scripted(|conn, request| {
        if request.uri() == "/w/bad" {
            conn.send(b"nonsense")?;
        } else {
            conn.send(&[ok(&[]), body_chunk(b"fine"), end()].concat())?;
        }
        Ok(Action::Keep)
    })
    .start();
    let httpd = Httpd::builder(Module::Ours)
        .jk_log_level("trace")
        .worker("w", &engine.endpoint())
        .workers("worker.w.secret=hush-hush")
        .mount("/w/*", "w")
        .config("LogLevel trace8")
        .start();
    assert_eq!(client::get(httpd.addr(), "/w/good").text(), "fine");
    assert_eq!(client::get(httpd.addr(), "/w/bad").status(), 502);
    for request in engine.requests() {
        assert_eq!(request.attributes[0], Attr::Secret(Some("hush-hush".into())));
    }
    assert!(!httpd.jk_log().contains("hush-hush"));
    assert!(!httpd.error_log().contains("hush-hush"));
}

/// What an application must not believe a client, an administrator takes away.
#[test]
fn headers_that_claim_a_user_can_be_taken_away() {
    let stage = Stage::with(|builder| {
        builder.modules(&["headers"]).config(
            "JkOptions +DropUnderscoreHeaders\n\
             RequestHeader unset Remote-User early\nRequestHeader unset X-Remote-User early",
        )
    });
    let claims = ["REMOTE_USER", "Remote-User", "remote_user", "X-Remote-User", "X_REMOTE_USER"];
    let request = forwarded(&stage, &claims.map(|name| (name, "admin")));
    for name in claims {
        assert_eq!(request.header(name), None, "{name}");
    }
}

/// What makes a variable out of a client's word says no more than its value.
#[test]
fn names_of_attributes_come_from_the_configuration_alone() {
    let stage = Stage::with(|builder| {
        builder.modules(&["setenvif"]).config(
            "SetEnvIf X-Client (.*) AJP_GUESS=$1\nSetEnvIf X-Client (.*) SENT=$1\nJkEnvVar SENT",
        )
    });
    let request = forwarded(&stage, &[("X-Client", "REMOTE_USER=admin")]);
    let named: Vec<_> = request
        .attributes
        .iter()
        .filter_map(|attribute| match attribute {
            Attr::Named(Some(name), value) if name != "AJP_REMOTE_PORT" => {
                Some((name.as_str(), value.clone()))
            }
            _ => None,
        })
        .collect();
    let sent = named.iter().find(|(name, _)| *name == "SENT").expect("SENT");
    assert_eq!(sent.1.as_deref(), Some("REMOTE_USER=admin"));
    let known = ["SENT", "AJP_LOCAL_ADDR", "JK_LB_ACTIVATION"];
    assert!(named.iter().all(|(name, _)| known.contains(name)), "{named:?}");
}

/// Nothing is said of TLS where the client has none.
#[test]
fn attributes_about_tls_need_tls() {
    let stage = Stage::new();
    let request = forwarded(
        &stage,
        &[
            ("SSL_CIPHER", "x"),
            ("HTTPS", "on"),
            ("X-Forwarded-Proto", "https"),
            ("SSL-Client-Cert", "x"),
        ],
    );
    assert!(!request.is_ssl);
    let is_tls = |attribute: &Attr| !matches!(attribute, Attr::Named(..));
    assert!(!request.attributes.iter().any(is_tls), "{:?}", request.attributes);
}

/// A chain of certificates may be larger than a packet.
#[test]
fn a_certificate_that_fits_no_packet_is_named() {
    let stage = Stage::with(|builder| {
        let certificate = "x".repeat(9000);
        builder.modules(&["env"]).config(&format!(
            "<Location /w/tls>\nSetEnv HTTPS on\nSetEnv SSL_CLIENT_CERT {certificate}\n</Location>"
        ))
    });
    let mark = stage.mark();
    let answer = client::get(stage.httpd.addr(), &unique("w", "tls"));
    assert_eq!(answer.status(), 413);
    let lines = stage.log_since(&mark).join("\n");
    for part in ["the client certificate", "9000", "max_packet_size", "packetSize"] {
        assert!(lines.contains(part), "{part} is missing:\n{lines}");
    }
}
