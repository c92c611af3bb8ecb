//! JkOptions [1.2]: the sixteen words, their groups, and what a virtual host makes of the main
//! server's.

use super::case::{Case, Look, Scene, alone, get, site};
use super::run::Group;
use crate::support::packet::{body_chunk, send_headers};

/// With the defaults in the main server.
pub(super) fn group() -> Group {
    let mut cases = words();
    cases.extend(rules());
    Group {
        test: "options_do_the_same",
        modules: &["setenvif", "env", "remoteip", "rewrite", "dir"],
        config: "",
        workers: "",
        files: &[("htdocs/folder/file.txt", "a file\n")],
        cases,
    }
}

/// With options in the main server.
pub(super) fn inheriting() -> Group {
    Group {
        test: "options_of_the_main_server_are_inherited",
        modules: &["setenvif", "env", "remoteip"],
        config: "JkOptions +ForwardURIEscaped +ForwardLocalAddress\n\
                 JkOptions +ForwardSSLCertChain -ForwardKeySize",
        workers: "",
        files: &[],
        cases: merged(),
    }
}

/// Letters that the four ways to write a URI treat in four ways.
const ODD: &str = "/x/%41%7e;p=1/%5e%22%c3%a9%25?q=%41";

fn options(name: &str, lines: &str) -> Case {
    site(name, &format!("JkMount /* @\n{lines}")).gets(&[ODD])
}

/// Without a percent sign, which ours encodes whatever the option.
fn compat(name: &str, lines: &str) -> Case {
    site(name, &format!("JkMount /* @\n{lines}")).gets(&["/x/%41%7e;p=1/%5e%22%c3%a9?q=%41"])
}

/// From an address that mod_remoteip replaces.
fn remote(name: &str, lines: &str) -> Case {
    site(name, "JkMount /* @\nRemoteIPHeader X-Client-IP\nRemoteIPInternalProxy 127.0.0.1")
        .site(lines)
        .asks([get("/x").header("X-Client-IP", "198.51.100.7")])
}

/// Over TLS, as far as mod_jk can tell.
fn secure(name: &str, lines: &str) -> Case {
    site(name, "JkMount /* @\nSetEnvIf Request_URI . HTTPS=on")
        .site("SetEnvIf Request_URI . SSL_CIPHER_USEKEYSIZE=256")
        .site("SetEnvIf Request_URI . SSL_CLIENT_CERT=first")
        .site("SetEnvIf Request_URI . SSL_CLIENT_CERT_CHAIN_0=second")
        .site(lines)
}

fn words() -> Vec<Case> {
    vec![
        compat("ForwardURICompat", "> JkOptions +ForwardURICompat"),
        options("ForwardURICompatUnparsed", "> JkOptions +ForwardURICompatUnparsed"),
        options("ForwardURIEscaped", "> JkOptions +ForwardURIEscaped"),
        compat("ForwardURIProxy", "JkOptions +ForwardURICompat\n> JkOptions +ForwardURIProxy"),
        compat("without a sign", "> JkOptions ForwardURICompat"),
        compat("in lower case", "> JkOptions +forwarduricompat"),
        compat("in quotes", "> JkOptions \"+ForwardURICompat\""),
        options("CompatUnparsed and a rewrite", "> JkOptions +ForwardURICompatUnparsed")
            .site("RewriteEngine On\nRewriteRule ^/x/ /y [PT]"),
        // A folder without an index is httpd's own affair unless a rule maps it.
        site(
            "ForwardDirectories",
            "DirectoryIndex none.html\n<Directory htdocs>\nOptions -Indexes\n</Directory>
             SetEnvIf Request_URI ^/folder/$ JK_WORKER_NAME=@
             > JkOptions +ForwardDirectories",
        )
        .gets(&["/folder/"]),
        remote("ForwardLocalAddress", "> JkOptions +ForwardLocalAddress"),
        remote("ForwardPhysicalAddress", "> JkOptions +ForwardPhysicalAddress"),
        options("DisableReuse", "> JkOptions +DisableReuse")
            .gets(&["/again", "/and/again"])
            .looks(Look::Connections),
        secure("ForwardSSLCertChain", "> JkOptions +ForwardSSLCertChain"),
        secure("ForwardKeySize", "> JkOptions -ForwardKeySize"),
        options("RejectUnsafeURI and a percent sign", "> JkOptions +RejectUnsafeURI"),
        site("RejectUnsafeURI and a backslash", "JkMount /* @\n> JkOptions +RejectUnsafeURI")
            .gets(&["/x%5cy"])
            .refused("Backslash in a mapped path", 400),
        site("FlushPackets", "JkMount /* @\n> JkOptions +FlushPackets").scene(Scene::Streams(
            || {
                [send_headers(200, "", &[("Content-Type", "text/plain")]), body_chunk(b"begin")]
                    .concat()
            },
        )),
        site("FlushHeader", "JkMount /* @\n> JkOptions +FlushHeader")
            .scene(Scene::Streams(|| send_headers(200, "", &[("Content-Type", "text/plain")]))),
        // Without effect, but for a warning of the whole server.
        alone("CollapseSlashesAll", "JkMount /* @\n> JkOptions +CollapseSlashesAll")
            .props("host=127.0.0.1")
            .says("Deprecated CollapseSlashes setting ignored", "CollapseSlashes"),
        options("CollapseSlashesNone", "JkOptions +CollapseSlashesNone"),
        options("CollapseSlashesUnmount", "JkOptions +CollapseSlashesUnmount"),
    ]
}

fn rules() -> Vec<Case> {
    vec![
        compat("the last of a group wins", "JkOptions +ForwardURICompat<< +ForwardURIEscaped>>"),
        compat("on two lines too", "JkOptions +ForwardURICompat\n> JkOptions +ForwardURIEscaped"),
        secure("minus beats plus", "JkOptions +ForwardKeySize<< -ForwardKeySize>>"),
        secure(
            "minus beats plus in the other order",
            "JkOptions<< -ForwardKeySize>> +ForwardKeySize",
        ),
        secure(
            "minus beats plus on two lines",
            "> JkOptions -ForwardKeySize\nJkOptions +ForwardKeySize",
        ),
        remote(
            "the later of the addresses wins",
            "JkOptions +ForwardLocalAddress<< +ForwardPhysicalAddress>>",
        ),
        remote(
            "minus one address takes the other with it",
            "JkOptions +ForwardPhysicalAddress<< -ForwardLocalAddress>>",
        ),
        compat("a tab between words", "JkOptions +FlushHeader<<\t+ForwardURICompat>>"),
    ]
}

fn merged() -> Vec<Case> {
    vec![
        compat("inherits", "<<JkOptions +ForwardURICompat>>"),
        options("another way to write a URI", "> JkOptions +ForwardURIProxy"),
        secure("takes a key size back", "> JkOptions +ForwardKeySize"),
        secure("takes a chain away", "> JkOptions -ForwardSSLCertChain"),
        remote(
            "both addresses: the local one",
            "JkOptions +ForwardPhysicalAddress<< -ForwardLocalAddress>>",
        ),
        remote("no local address", "> JkOptions -ForwardLocalAddress"),
        remote(
            "the physical address",
            "JkOptions<< -ForwardLocalAddress>>\nJkOptions +ForwardPhysicalAddress",
        ),
        secure("keeps what it does not name", "> JkOptions +ForwardURIProxy").gets(&[ODD]),
    ]
}
