//! The environment of a request: which variables are read (the *Indicator directives, JkEnvVar),
//! and what they say (spec/mod_jk.md 1.1, 1.4, 1.7).

use std::ffi::{CStr, CString};

use super::pool::Pool;
use super::table::{self, Table};
use crate::host::Tls;

/// What a variable is read for. The first ones have a directive that gives them another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Variable {
    Worker,
    RequestId,
    RemoteAddr,
    RemotePort,
    RemoteHost,
    RemoteUser,
    AuthType,
    LocalName,
    LocalAddr,
    LocalPort,
    IgnoreContentLength,
    Https,
    TlsProtocol,
    TlsCertificate,
    TlsCipher,
    TlsSession,
    TlsKeySize,
    TlsChainPrefix,
    Route,
    ReplyTimeout,
    StickyIgnore,
    Stateless,
}

/// Number of [`Variable`]s.
const VARIABLES: usize = 22;

/// Number of directives that rename a variable; they come first in [`Variable`].
const INDICATORS: usize = 18;

/// Every variable with the name that it has where no directive gives it another.
const NAMES: [(Variable, &CStr); VARIABLES] = [
    (Variable::Worker, c"JK_WORKER_NAME"),
    (Variable::RequestId, c"UNIQUE_ID"),
    (Variable::RemoteAddr, c"JK_REMOTE_ADDR"),
    (Variable::RemotePort, c"JK_REMOTE_PORT"),
    (Variable::RemoteHost, c"JK_REMOTE_HOST"),
    (Variable::RemoteUser, c"JK_REMOTE_USER"),
    (Variable::AuthType, c"JK_AUTH_TYPE"),
    (Variable::LocalName, c"JK_LOCAL_NAME"),
    (Variable::LocalAddr, c"JK_LOCAL_ADDR"),
    (Variable::LocalPort, c"JK_LOCAL_PORT"),
    (Variable::IgnoreContentLength, c"JK_IGNORE_CL"),
    (Variable::Https, c"HTTPS"),
    (Variable::TlsProtocol, c"SSL_PROTOCOL"),
    (Variable::TlsCertificate, c"SSL_CLIENT_CERT"),
    (Variable::TlsCipher, c"SSL_CIPHER"),
    (Variable::TlsSession, c"SSL_SESSION_ID"),
    (Variable::TlsKeySize, c"SSL_CIPHER_USEKEYSIZE"),
    (Variable::TlsChainPrefix, c"SSL_CLIENT_CERT_CHAIN_"),
    (Variable::Route, c"JK_ROUTE"),
    (Variable::ReplyTimeout, c"JK_REPLY_TIMEOUT"),
    (Variable::StickyIgnore, c"JK_STICKY_IGNORE"),
    (Variable::Stateless, c"JK_STATELESS"),
];

impl Variable {
    /// Whether C mod_jk reads it after it has added the CGI variables to the environment.
    fn is_tls(self) -> bool {
        matches!(
            self,
            Self::Https
                | Self::TlsProtocol
                | Self::TlsCertificate
                | Self::TlsCipher
                | Self::TlsSession
                | Self::TlsKeySize
                | Self::TlsChainPrefix
        )
    }
}

/// The names that a server's directives give to variables; `None`: not renamed.
pub(super) type Renamed = [Option<CString>; INDICATORS];

/// A JkEnvVar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnvVar {
    /// The variable, and the attribute at the engine.
    pub name: CString,
    /// Sent where the variable is not set.
    pub default: Option<Vec<u8>>,
}

/// Which variables a server reads.
#[derive(Debug)]
pub(super) struct Plan {
    names: [CString; VARIABLES],
    /// By the length of a name, all beyond the last in that: bit n stands for variable n.
    by_length: [u32; LENGTHS],
    env_vars: Vec<EnvVar>,
    extract_tls: bool,
    needs_cgi_variables: bool,
}

/// Values of a request's environment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Values<'r>([Option<&'r [u8]>; VARIABLES]);

impl<'r> Values<'r> {
    /// The value of a variable; `None` where it is not set.
    pub(super) fn get(&self, variable: Variable) -> Option<&'r [u8]> {
        self.0.get(variable as usize).copied().flatten()
    }
}

/// Names of this many bytes or more are not told apart by their length.
const LENGTHS: usize = 64;

impl Plan {
    /// What a server reads. `extract_tls`: JkExtractSSL. `others_read`: whether others may look at the
    /// environment behind us.
    pub(super) fn new(
        renamed: &Renamed,
        env_vars: Vec<EnvVar>,
        extract_tls: bool,
        others_read: bool,
    ) -> Self {
        let names = NAMES.map(|(variable, default)| {
            let renamed = renamed.get(variable as usize).and_then(Option::as_ref);
            renamed.map_or_else(|| default.to_owned(), Clone::clone)
        });
        let mut by_length = [0; LENGTHS];
        for (at, name) in names.iter().enumerate() {
            if let Some(bits) = by_length.get_mut(name.count_bytes().min(LENGTHS - 1)) {
                *bits |= 1 << at;
            }
        }
        // C mod_jk adds them to each request, and log formats and header directives count on it. They
        // cost more with each header, and with many of them more than all else. mod_ssl's own variables
        // are there without them, but directives may mean others.
        let is_seen_late =
            |variable: Variable| variable.is_tls() || variable == Variable::RequestId;
        let are_others_meant = NAMES
            .iter()
            .zip(renamed)
            .any(|((variable, _), renamed)| is_seen_late(*variable) && renamed.is_some());
        let needs_cgi_variables =
            !env_vars.is_empty() || extract_tls && (others_read || are_others_meant);
        Self { names, by_length, env_vars, extract_tls, needs_cgi_variables }
    }

    /// The name that a variable has on this server.
    pub(super) fn name(&self, variable: Variable) -> &CStr {
        self.names.get(variable as usize).map_or(c"", CString::as_c_str)
    }

    /// Reads all variables in one walk over the environment. `add_cgi_variables` is called where
    /// the server needs them, after those were read that must not see them.
    pub(super) fn read<'r>(
        &self,
        values: &mut Values<'r>,
        table: Table<'r>,
        add_cgi_variables: impl FnOnce(),
    ) {
        self.walk(table, values, |variable| self.extract_tls || !variable.is_tls());
        if self.needs_cgi_variables {
            add_cgi_variables();
            // Where the connection is none nobody asks for the others.
            if self.extract_tls && table.get(self.name(Variable::Https)).is_some() {
                self.walk(table, values, Variable::is_tls);
            }
        }
    }

    fn walk<'r>(
        &self,
        table: Table<'r>,
        values: &mut Values<'r>,
        wanted: impl Fn(Variable) -> bool,
    ) {
        for raw in table.raw_entries() {
            let Some(name) = table::name(raw) else { continue };
            let mut bits = self.by_length.get(name.len().min(LENGTHS - 1)).copied().unwrap_or(0);
            while bits != 0 {
                let at = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                let known = NAMES.get(at).zip(self.names.get(at)).zip(values.0.get_mut(at));
                // APR's tables know no case.
                if let Some((((variable, _), known), place @ None)) = known
                    && wanted(*variable)
                    && known.to_bytes().eq_ignore_ascii_case(name)
                {
                    *place = table::entry(raw).map(|(_, value)| value);
                }
            }
        }
    }

    /// The TLS data in `values`; `None` where the connection is none.
    pub(super) fn tls<'r>(
        &self,
        values: &Values<'r>,
        table: Table<'r>,
        pool: Pool<'r>,
        chain: bool,
        key_size: bool,
    ) -> Option<Tls<'r>> {
        if !values.get(Variable::Https)?.eq_ignore_ascii_case(b"on") {
            return None;
        }
        let mut certificate = values.get(Variable::TlsCertificate);
        if chain {
            let prefix = self.name(Variable::TlsChainPrefix).to_bytes();
            let is_link = |name: &[u8]| {
                name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
            };
            let links = table.entries().filter(|(name, _)| is_link(name)).map(|(_, value)| value);
            let all: Vec<&[u8]> = certificate.into_iter().chain(links).collect();
            certificate = Some(pool.keep(&all.concat()));
        }
        let not_empty = |value: &&[u8]| !value.is_empty();
        Some(Tls {
            certificate: certificate.filter(not_empty),
            cipher: values.get(Variable::TlsCipher),
            session: values.get(Variable::TlsSession),
            key_size: values.get(Variable::TlsKeySize).filter(|_| key_size).map(port_number),
            protocol: values.get(Variable::TlsProtocol).filter(not_empty),
        })
    }

    /// The attributes that JkEnvVar adds, in their order. `is_unset`: whether a variable counts as not
    /// set, whatever its value.
    pub(super) fn attributes<'r>(
        &'r self,
        table: Table<'r>,
        pool: Pool<'r>,
        is_unset: impl Fn(&[u8]) -> bool,
    ) -> &'r [(&'r [u8], &'r [u8])] {
        if self.env_vars.is_empty() {
            return &[];
        }
        let attribute = |var: &'r EnvVar| {
            let value = table.get(&var.name).filter(|_| !is_unset(var.name.to_bytes()));
            value.or(var.default.as_deref()).map(|value| (var.name.to_bytes(), value))
        };
        let attributes: Vec<_> = self.env_vars.iter().filter_map(attribute).collect();
        pool.keep_all(&attributes)
    }
}

/// A number as C's atoi reads it: after blanks and a sign, 0 where there is none; never out of
/// range.
pub(super) fn number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] => (1, digits),
        digits => (1, digits),
    };
    let digits = digits.iter().take_while(|b| b.is_ascii_digit());
    let number = digits.fold(0i64, |n, digit| {
        n.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0')))
    });
    number.saturating_mul(sign)
}

/// A [`number`] that fits 16 bits, else 0.
pub(super) fn port_number(text: &[u8]) -> u16 {
    u16::try_from(number(text)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_at_their_own_position() {
        for (at, (variable, _)) in NAMES.iter().enumerate() {
            assert_eq!(*variable as usize, at);
        }
    }

    #[test]
    fn numbers_are_read_as_atoi_does() {
        for (text, expected) in [
            ("12", 12),
            (" +7x", 7),
            ("-3", -3),
            ("", 0),
            ("x1", 0),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
        assert_eq!((port_number(b"8080"), port_number(b"70000"), port_number(b"-1")), (8080, 0, 0));
    }

    #[test]
    fn cgi_variables_are_added_for_those_who_can_see_them() {
        let needs = |renamed: &Renamed, vars: Vec<EnvVar>, tls: bool, others: bool| {
            Plan::new(renamed, vars, tls, others).needs_cgi_variables
        };
        let none = || -> Renamed { Default::default() };
        assert!(needs(&none(), Vec::new(), true, true));
        assert!(!needs(&none(), Vec::new(), true, false));
        assert!(!needs(&none(), Vec::new(), false, true));
        let var = EnvVar { name: c"X".into(), default: None };
        assert!(needs(&none(), vec![var], false, false));
        let mut renamed = none();
        renamed[Variable::Https as usize] = Some(c"HTTP_FRONT_END_HTTPS".into());
        assert_eq!(
            Plan::new(&renamed, Vec::new(), true, false).name(Variable::Https),
            c"HTTP_FRONT_END_HTTPS"
        );
        assert!(needs(&renamed, Vec::new(), true, false));
    }
}
