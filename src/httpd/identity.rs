//! Who the user is, as the engine is told in headers: what httpd knows, and nothing that the client
//! claims.

use super::ffi;
use super::request::Record;
use super::server::Runtime;
use super::table::{self, Table};
use crate::host::Facts;

/// What begins the names of headers in which front ends tell of certificates.
const TLS: &[u8] = b"ssl-";

/// What begins the variable that CGI makes of a header.
const VARIABLE: &[u8] = b"http-";

/// The headers of a request that tell of its user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'r> {
    /// JkUserHeader of the server.
    own: Option<&'r [u8]>,
    /// What the engine of the worker reads.
    engines: &'r [Vec<u8>],
    /// JkUserHeader, else what the engine reads, with the user.
    sent: Option<(&'r [u8], &'r [u8])>,
    /// Values, by address, of headers that the client sent about its certificate.
    claims: &'r [*const u8],
    /// What the client sent behind its body, which MergeTrailers makes headers of.
    trailers: Table<'r>,
}

impl<'r> Identity<'r> {
    /// Who `facts` say the user is, for the worker at a position.
    pub(super) fn new(
        record: &Record<'r>,
        runtime: &'r Runtime,
        worker: usize,
        facts: &Facts<'r>,
    ) -> Self {
        let own = runtime.user_header.as_deref();
        let engines = runtime.workers.user_headers.get(worker).map_or(&[][..], Vec::as_slice);
        let name = own.or(engines.first().map(Vec::as_slice));
        let is_plain = |user: &&[u8]| !user.iter().any(u8::is_ascii_control);
        Self {
            own,
            engines,
            sent: name.zip(facts.remote_user.filter(is_plain)),
            claims: record.tls_claims(),
            trailers: record.trailers_in(),
        }
    }

    fn is_off(&self) -> bool {
        self.own.is_none() && self.engines.is_empty()
    }

    fn is_user_header(&self, name: &[u8]) -> bool {
        self.own
            .iter()
            .copied()
            .chain(self.engines.iter().map(Vec::as_slice))
            .any(|header| is_same(header, name))
    }

    /// Whether a header of the request may pass.
    pub(super) fn lets_pass(&self, raw: &ffi::apr_table_entry_t) -> bool {
        if self.is_off() {
            return true;
        }
        let Some(name) = table::name(raw) else { return false };
        let is_claim = || {
            let value: *const u8 = raw.val.cast_const().cast();
            let is_trailer = || self.trailers.entries().any(|(trailer, _)| is_same(trailer, name));
            is_about_tls(name) && (self.claims.contains(&value) || is_trailer())
        };
        !self.is_user_header(name) && !is_claim()
    }

    /// The header with the user.
    pub(super) fn header(&self) -> Option<(&'r [u8], &'r [u8])> {
        self.sent
    }

    /// Attributes without those that JkEnvVar makes of a header with the user.
    pub(super) fn attributes(
        &self,
        record: &Record<'r>,
        all: &'r [(&'r [u8], &'r [u8])],
    ) -> &'r [(&'r [u8], &'r [u8])] {
        let is_header = |name: &[u8]| {
            name.split_at_checked(VARIABLE.len())
                .is_some_and(|(start, rest)| is_same(start, VARIABLE) && self.is_user_header(rest))
        };
        if self.is_off() || !all.iter().any(|(name, _)| is_header(name)) {
            return all;
        }
        let kept: Vec<_> = all.iter().copied().filter(|(name, _)| !is_header(name)).collect();
        record.pool().keep_all(&kept)
    }
}

/// A character of a name as those see it who make variables of headers: without case, and all
/// punctuation the same.
fn folded(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// Whether somebody may take two names of headers for the same.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| folded(*a) == folded(*b))
}

/// Whether a header may be taken for one about the client's certificate.
pub(super) fn is_about_tls(name: &[u8]) -> bool {
    name.get(..TLS.len()).is_some_and(|start| is_same(start, TLS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_every_spelling() {
        for name in ["X-Forwarded-User", "x_forwarded_user", "X-FORWARDED_uSER", "x.forwarded!user"]
        {
            assert!(is_same(b"X-Forwarded-User", name.as_bytes()), "{name}");
        }
        for name in ["X-Forwarded-Users", "XForwardedUser", "X-Forwarded-Use", ""] {
            assert!(!is_same(b"X-Forwarded-User", name.as_bytes()), "{name}");
        }
        assert!(is_about_tls(b"SSL_CLIENT_CERT") && is_about_tls(b"ssl-cipher"));
        assert!(!is_about_tls(b"ssl") && !is_about_tls(b"Sslx-a"));
    }
}
