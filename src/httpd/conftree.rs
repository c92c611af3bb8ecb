//! The directives of other modules, as httpd keeps them after it has read the configuration.

use std::iter;

use super::ffi;
use super::pool;

/// The servers that speak TLS. mod_ssl itself knows only later, and not at all in `httpd -t`.
#[derive(Debug, Default)]
pub(super) struct TlsServers {
    main: bool,
    /// File and line of each `<VirtualHost>`, and whether it speaks TLS.
    hosts: Vec<(Vec<u8>, u32, bool)>,
}

impl TlsServers {
    /// Whether a server speaks TLS.
    pub(super) fn contains(&self, server: &ffi::server_rec) -> bool {
        if server.is_virtual == 0 {
            return self.main;
        }
        // SAFETY: null or a C string that lives as long as the configuration.
        let file = unsafe { pool::text(server.defn_name) }.unwrap_or_default();
        let line = server.defn_line_number;
        let own = self.hosts.iter().find(|(name, at, _)| name == file && *at == line);
        own.map_or(self.main, |(_, _, on)| *on)
    }
}

/// A directive and those that follow it.
///
/// # Safety
/// `first` is null or a directive of a tree that stays as it is during `'t`.
unsafe fn siblings<'t>(
    first: *const ffi::ap_directive_t,
) -> impl Iterator<Item = &'t ffi::ap_directive_t> {
    // SAFETY: the caller's promise.
    let first: Option<&'t ffi::ap_directive_t> = unsafe { first.as_ref() };
    iter::successors(first, |directive| {
        // SAFETY: httpd links the directives of a section by this field; the last one has null.
        unsafe { directive.next.as_ref() }
    })
}

fn is(directive: &ffi::ap_directive_t, name: &[u8]) -> bool {
    // SAFETY: null or a C string of the tree.
    let found = unsafe { pool::text(directive.directive) }.unwrap_or_default();
    found.eq_ignore_ascii_case(name)
}

/// What the last SSLEngine among directives says.
fn engine<'t>(directives: impl Iterator<Item = &'t ffi::ap_directive_t>) -> Option<bool> {
    let last = directives.filter(|directive| is(directive, b"SSLEngine")).last()?;
    // SAFETY: null or a C string of the tree.
    let argument = unsafe { pool::text(last.args) }.unwrap_or_default().trim_ascii();
    let argument = argument.strip_prefix(b"\"").unwrap_or(argument);
    let argument = argument.strip_suffix(b"\"").unwrap_or(argument);
    Some(argument.eq_ignore_ascii_case(b"on"))
}

/// Which servers have `SSLEngine on`.
pub(super) fn tls_servers() -> TlsServers {
    // SAFETY: httpd sets the variable before it checks the configuration, in this same thread.
    let tree = unsafe { ffi::ap_conftree };
    // SAFETY: the tree stays as it is until the configuration is read again.
    let main = engine(unsafe { siblings(tree) }).unwrap_or(false);
    let mut hosts = Vec::new();
    // SAFETY: as above.
    for section in unsafe { siblings(tree) }.filter(|section| is(section, b"<VirtualHost")) {
        // SAFETY: null or a C string of the tree.
        let file = unsafe { pool::text(section.filename) }.unwrap_or_default().to_vec();
        let line = u32::try_from(section.line_num).unwrap_or_default();
        // SAFETY: null or the first directive of the section.
        let own = engine(unsafe { siblings(section.first_child) });
        hosts.push((file, line, own.unwrap_or(main)));
    }
    TlsServers { main, hosts }
}
