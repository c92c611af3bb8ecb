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

/// The modules of httpd that look at the environment of a request behind the handler only where one of
/// their directives says so, or only at variables that CGI programs do not get. All others, of httpd
/// or not, may look at any time: filters that run programs, scripts, firewalls.
const DISCREET: [&[u8]; 64] = [
    b"core.c",
    b"event.c",
    b"http_core.c",
    b"mod_access_compat.c",
    b"mod_alias.c",
    b"mod_allowmethods.c",
    b"mod_auth_basic.c",
    b"mod_auth_digest.c",
    b"mod_authn_anon.c",
    b"mod_authn_core.c",
    b"mod_authn_dbm.c",
    b"mod_authn_file.c",
    b"mod_authn_socache.c",
    b"mod_authz_core.c",
    b"mod_authz_dbm.c",
    b"mod_authz_groupfile.c",
    b"mod_authz_host.c",
    b"mod_authz_owner.c",
    b"mod_authz_user.c",
    b"mod_autoindex.c",
    b"mod_brotli.c",
    b"mod_buffer.c",
    b"mod_deflate.c",
    b"mod_dir.c",
    b"mod_env.c",
    b"mod_expires.c",
    b"mod_file_cache.c",
    b"mod_filter.c",
    b"mod_headers.c",
    b"mod_http2.c",
    b"mod_info.c",
    b"mod_jk.c",
    b"mod_lbmethod_bybusyness.c",
    b"mod_lbmethod_byrequests.c",
    b"mod_lbmethod_bytraffic.c",
    b"mod_log_config.c",
    b"mod_logio.c",
    b"mod_mime.c",
    b"mod_mime_magic.c",
    b"mod_negotiation.c",
    b"mod_proxy.c",
    b"mod_proxy_ajp.c",
    b"mod_proxy_balancer.c",
    b"mod_proxy_http.c",
    b"mod_proxy_wstunnel.c",
    b"mod_ratelimit.c",
    b"mod_remoteip.c",
    b"mod_reqtimeout.c",
    b"mod_rewrite.c",
    b"mod_setenvif.c",
    b"mod_slotmem_shm.c",
    b"mod_so.c",
    b"mod_socache_shmcb.c",
    b"mod_ssl.c",
    b"mod_status.c",
    b"mod_systemd.c",
    b"mod_unique_id.c",
    b"mod_unixd.c",
    b"mod_userdir.c",
    b"mod_version.c",
    b"mod_vhost_alias.c",
    b"mod_watchdog.c",
    b"prefork.c",
    b"worker.c",
];

/// Who may look at the environment of a request behind the handler, so that it must have the variables
/// that CGI programs get: a directive with its place, or a module. `None`: nobody.
pub(super) fn reader_of_environment() -> Option<String> {
    // SAFETY: httpd sets the variable before it checks the configuration, in this same thread.
    let tree = unsafe { ffi::ap_conftree };
    // SAFETY: the tree stays as it is until the configuration is read again.
    let directive = unsafe { mention_of_environment(tree) };
    directive.or_else(|| {
        let module = modules().find(|name| !DISCREET.contains(name))?;
        Some(String::from_utf8_lossy(module).into_owned())
    })
}

/// The source files of all modules that are loaded, which are their names.
fn modules<'m>() -> impl Iterator<Item = &'m [u8]> {
    // SAFETY: httpd has set the variable before it loads us, and loads nobody while it checks.
    let mut next = unsafe { ffi::ap_loaded_modules };
    iter::from_fn(move || {
        // SAFETY: the list ends in a null pointer, behind which nothing is read.
        let module = unsafe { next.read() };
        // SAFETY: null or a module that stays loaded.
        let module = unsafe { module.as_ref() }?;
        // SAFETY: not yet the end of the list.
        next = unsafe { next.add(1) };
        // SAFETY: a C string that lives as long as its module; nobody unloads one during the check.
        Some(unsafe { pool::text(module.name) }.unwrap_or_default())
    })
}

/// The first directive, also of sections, that mentions the environment. One that lets `.htaccess` files
/// do so counts as such.
///
/// # Safety
/// As [`siblings`].
unsafe fn mention_of_environment(first: *const ffi::ap_directive_t) -> Option<String> {
    // SAFETY: the caller's promise.
    unsafe { siblings(first) }.find_map(|directive| {
        // SAFETY: null or a C string of the tree.
        let arguments = unsafe { pool::text(directive.args) }.unwrap_or_default();
        let is_open = is(directive, b"AllowOverride") || is(directive, b"AllowOverrideList");
        if is_open && !arguments.trim_ascii().eq_ignore_ascii_case(b"none")
            || mentions_environment(arguments)
        {
            // SAFETY: null or a C string of the tree.
            let name = unsafe { pool::text(directive.directive) }.unwrap_or_default();
            // SAFETY: null or a C string of the tree.
            let file = unsafe { pool::text(directive.filename) }.unwrap_or_default();
            let (name, file) = (name.escape_ascii(), file.escape_ascii());
            return Some(format!("{name} at {file}:{}", directive.line_num));
        }
        // SAFETY: null or the first directive of a section of the same tree.
        unsafe { mention_of_environment(directive.first_child) }
    })
}

/// Whether arguments name a variable of the environment, or may: `%{NAME}e` of formats, with modifiers
/// even between `}` and `e`; `env=`, `%{ENV:NAME}`, `reqenv('NAME')` and the like; and what error pages
/// find of the request before.
fn mentions_environment(arguments: &[u8]) -> bool {
    (0..arguments.len()).any(|at| {
        let rest = arguments.get(at..).unwrap_or_default();
        let behind = |word: &[u8]| {
            let (start, rest) = rest.split_at_checked(word.len())?;
            start.eq_ignore_ascii_case(word).then_some(rest)
        };
        let is_modifier = |b: u8| b.is_ascii_digit() || b"<>!,+-".contains(&b);
        let item = behind(b"}").and_then(|rest| first(rest, is_modifier));
        let sign = behind(b"env").and_then(|rest| first(rest, |b| b.is_ascii_whitespace()));
        matches!(item, Some(b'e' | b'E'))
            || matches!(sign, Some(b'=' | b':' | b'('))
            || behind(b"redirect_").is_some()
    })
}

/// The first byte that is not to be skipped.
fn first(text: &[u8], is_skipped: impl Fn(u8) -> bool) -> Option<u8> {
    text.iter().copied().find(|byte| !is_skipped(*byte))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_name_variables_are_found() {
        for arguments in [
            "\"%h %{REMOTE_ADDR}e\" short",
            "%{REMOTE_ADDR}>e",
            "%{HTTP_X_OWN}!200,304e",
            "\"[%t] %{SERVER_NAME}-e %M\"",
            "logs/access.log common env=!quiet",
            "X-Own %{HTTP_X_OWN}E",
            "append X \"expr=%{reqenv:SERVER_ADDR}\"",
            "set X x \"expr=-n env ('SERVER_ADDR')\"",
            "%{ENV:SERVER_NAME} ^a",
            "REDIRECT_REMOTE_ADDR 127 local",
        ] {
            assert!(mentions_environment(arguments.as_bytes()), "{arguments}");
        }
        for arguments in [
            "\"%h %l %u %t \\\"%r\\\" %>s %b \\\"%{Referer}i\\\" %{end}t\" common",
            "+StdEnvVars",
            "env1.example.com",
            "/express/* w",
            "expr=%{REQUEST_STATUS} -eq 200",
            "On",
            "",
        ] {
            assert!(!mentions_environment(arguments.as_bytes()), "{arguments}");
        }
    }

    #[test]
    fn no_module_is_listed_twice() {
        assert!(DISCREET.is_sorted_by(|a, b| a < b));
    }
}
