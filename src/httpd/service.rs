//! A request that is being served, as the core sees it.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::mem;
use std::ptr;
use std::time::Duration;

use super::body::BodyReader;
use super::environment::{Values, Variable, number, port_number};
use super::ffi;
use super::identity::Identity;
use super::options::{JkOption, Set};
use super::pool::{int, nothing};
use super::request::Record;
use super::response::Output;
use super::server::{Runtime, unix_time};
use super::table;
use crate::ajp::message::ResponseHead;
use crate::host::{self, Balancing, BodyError, Facts, Policy, RequestBody, ResponseError};
use crate::log::{Level, Log, Site};
use crate::mapping::RuleOptions;
use crate::worker::uri;

/// Asks a browser for a password.
const CHALLENGE: &CStr = c"WWW-Authenticate";

/// Note with the event that broke a response off, for log formats (spec/reliability.md 4, 12).
const ABORT: &CStr = c"JK_ABORT";

/// A request that is being served.
pub(super) struct HttpdRequest<'r> {
    record: Record<'r>,
    runtime: &'r Runtime,
    /// In the request's pool, as the policy, so that the request as a whole is small to move.
    facts: &'r Facts<'r>,
    policy: &'r Policy<'r>,
    /// Whether the engine's challenge stands among the headers of an error page.
    challenged: bool,
    body: BodyReader<'r>,
    output: Output<'r>,
    hop_by_hop: &'r [*const u8],
    identity: Identity<'r>,
}

/// A replaced fact: an empty value takes the fact away.
fn replaced<'r>(by: Option<&'r [u8]>, fact: Option<&'r [u8]>) -> Option<&'r [u8]> {
    by.or(fact).filter(|value| !value.is_empty())
}

impl<'r> HttpdRequest<'r> {
    /// Prepares a request for the worker at a position. `path`: the decoded path to forward.
    ///
    /// # Errors
    /// The status that httpd wants to be answered, for example for a bad Transfer-Encoding.
    pub(super) fn new(
        record: Record<'r>,
        runtime: &'r Runtime,
        worker: usize,
        path: &[u8],
        committed: &'r Cell<bool>,
    ) -> Result<Self, c_int> {
        let mut values = Values::default();
        let add_cgi_variables = || record.add_cgi_variables();
        runtime.environment.read(&mut values, record.environment(), add_cgi_variables);
        let ignores_length = values.get(Variable::IgnoreContentLength).is_some();
        let body = BodyReader::new(record, ignores_length, committed)?;
        let mut facts = facts(&record, runtime, &values, path);
        let identity = Identity::new(&record, runtime, worker, &facts);
        facts.environment = identity.attributes(&record, facts.environment);
        let rule = record.kept().and_then(|notes| notes.options());
        let policy = record.pool().hold(policy(runtime, &values, rule));
        Ok(Self {
            output: Output::new(record, committed),
            hop_by_hop: if policy.forward_hop_by_hop { &[] } else { record.hop_by_hop() },
            identity,
            policy,
            challenged: false,
            record,
            runtime,
            facts: record.pool().hold(facts),
            body,
        })
    }
}

/// How a request is served: its environment counts before the rule that has mapped it.
fn policy<'r>(runtime: &Runtime, values: &Values<'r>, rule: Option<&'r RuleOptions>) -> Policy<'r> {
    let has = |option| runtime.options.has(option);
    let timeout = values.get(Variable::ReplyTimeout).map(number);
    let timeout = timeout.and_then(|ms| u64::try_from(ms).ok());
    let timeout = timeout.map(|ms| Some(Duration::from_millis(ms)).filter(|t| !t.is_zero()));
    Policy {
        reply_timeout: timeout.or_else(|| rule.and_then(|rule| rule.reply_timeout)),
        fail_on_status: rule.and_then(|rule| rule.fail_on_status.as_ref()),
        use_server_errors: rule.and_then(|rule| rule.use_server_errors),
        balancing: balancing(values, rule),
        disable_reuse: has(JkOption::DisableReuse),
        flush_packets: has(JkOption::FlushPackets),
        flush_header: has(JkOption::FlushHeader),
        forward_hop_by_hop: has(JkOption::ForwardHopByHop),
        drop_underscore_headers: has(JkOption::DropUnderscoreHeaders),
    }
}

/// How a balancer chooses: likewise.
fn balancing<'r>(values: &Values<'r>, rule: Option<&'r RuleOptions>) -> Balancing<'r> {
    let is_on = |variable| values.get(variable).map(|text| text.is_empty() || number(text) != 0);
    let (sticky_ignore, stateless) = (is_on(Variable::StickyIgnore), is_on(Variable::Stateless));
    let Some(rule) = rule else {
        return Balancing {
            sticky_ignore: sticky_ignore.unwrap_or_default(),
            stateless: stateless.unwrap_or_default(),
            ..Balancing::default()
        };
    };
    Balancing {
        sticky_ignore: sticky_ignore.unwrap_or(rule.sticky_ignore),
        stateless: stateless.unwrap_or(rule.stateless),
        set_session_cookie: rule.set_session_cookie,
        session_cookie: rule.session_cookie.as_deref(),
        session_path: rule.session_path.as_deref(),
        session_cookie_path: rule.session_cookie_path.as_deref(),
        active: &rule.active,
        disabled: &rule.disabled,
        stopped: &rule.stopped,
    }
}

/// The path for the engine, in the form that the server's options name.
fn forwarded_uri<'r>(record: &Record<'r>, options: Set, path: &[u8]) -> &'r [u8] {
    let pool = record.pool();
    if options.has(JkOption::ForwardURICompatUnparsed) {
        return record.sent_path();
    }
    if options.has(JkOption::ForwardURICompat) {
        return pool.keep(&uri::escape_least(path));
    }
    if options.has(JkOption::ForwardURIEscaped) {
        let path = pool.copy(path);
        // SAFETY: the request's pool and a C string in it.
        let escaped = unsafe { ffi::ap_os_escape_path(pool.raw(), path, 1) };
        return record.text(escaped).unwrap_or_default();
    }
    pool.keep(&uri::escape(path))
}

/// Address and port of the client, as the server's options choose them.
fn client<'r>(record: &Record<'r>, options: Set) -> (Option<&'r [u8]>, Option<&'r [u8]>) {
    let (r, connection) = (record.get(), record.connection());
    if options.has(JkOption::ForwardLocalAddress) {
        return (record.text(connection.local_ip), Some(b"0"));
    }
    let (ip, address) = if options.has(JkOption::ForwardPhysicalAddress) {
        (connection.client_ip, connection.client_addr)
    } else {
        (r.useragent_ip, r.useragent_addr)
    };
    // SAFETY: null or an address that lives as long as the connection.
    let port = unsafe { address.as_ref() }.map(|address| address.port);
    let text = |port: u16| record.pool().number(port.into()).bytes();
    (record.text(ip), port.map(text))
}

/// A function of its own: its frame is only there while it runs.
#[inline(never)]
fn facts<'r>(
    record: &Record<'r>,
    runtime: &'r Runtime,
    values: &Values<'r>,
    path: &[u8],
) -> Facts<'r> {
    let (raw, pool) = (record.raw(), record.pool());
    let (connection, settings) = (record.get().connection, record.get().per_dir_config);
    // SAFETY: a live request; the result is null or a string in its pool or the configuration's.
    let remote_host = unsafe {
        ffi::ap_get_remote_host(connection, settings.cast(), int(ffi::REMOTE_HOST), nothing())
    };
    // SAFETY: a live request.
    let server_name = unsafe { ffi::ap_get_server_name(raw) };
    // SAFETY: a live request.
    let server_port = unsafe { ffi::ap_get_server_port(raw) };
    let (r, options) = (record.get(), runtime.options);
    let (address, port) = client(record, options);
    let (plan, table) = (&runtime.environment, record.environment());
    let chain = options.has(JkOption::ForwardSSLCertChain);
    let key_size = options.has(JkOption::ForwardKeySize);
    let value = |variable| values.get(variable);
    let is_claimed = |variable| record.is_claimed_variable(plan.name(variable).to_bytes());
    let trusted = |variable| value(variable).filter(|_| !is_claimed(variable));
    let (user, auth_type) = match record.user_is_a_claim() {
        true => (None, None),
        false => (record.text(r.user), record.text(r.ap_auth_type)),
    };
    Facts {
        method: record.text(r.method).unwrap_or_default(),
        is_head: r.header_only != 0,
        protocol: record.text(r.protocol).unwrap_or_default(),
        uri: forwarded_uri(record, options, path),
        query: record.text(r.args),
        client: record.text(r.useragent_ip),
        remote_addr: replaced(value(Variable::RemoteAddr), address),
        remote_host: replaced(value(Variable::RemoteHost), record.text(remote_host)),
        remote_port: replaced(value(Variable::RemotePort), port),
        local_addr: value(Variable::LocalAddr)
            .or_else(|| record.text(record.connection().local_ip)),
        server_name: value(Variable::LocalName)
            .or_else(|| record.text(server_name))
            .unwrap_or_default(),
        server_port: value(Variable::LocalPort).map_or(server_port, port_number),
        remote_user: replaced(trusted(Variable::RemoteUser), user),
        auth_type: replaced(trusted(Variable::AuthType), auth_type),
        route: value(Variable::Route).filter(|route| !route.is_empty()),
        tls: plan.tls(values, table, pool, chain, key_size),
        environment: plan.attributes(table, pool, |name| record.is_claimed_variable(name)),
    }
}

#[cfg(feature = "test-panic")]
impl HttpdRequest<'_> {
    /// Panics where the client's header `X-Jk-Test-Panic` names this moment: `before` or `after`
    /// the response has begun.
    #[allow(clippy::panic, reason = "the feature is there to panic")]
    pub(super) fn panic_if_asked(&self, moment: &str) {
        if self.record.headers_in().get(c"X-Jk-Test-Panic") == Some(moment.as_bytes()) {
            panic!("asked to panic {moment} the response");
        }
    }
}

impl Log for HttpdRequest<'_> {
    fn enabled(&self, level: Level) -> bool {
        self.record.sink(self.runtime).enabled(level)
    }

    fn write(&self, level: Level, site: Site, text: std::fmt::Arguments<'_>) {
        self.record.sink(self.runtime).write(level, site, text);
    }
}

impl host::Request for HttpdRequest<'_> {
    fn facts(&self) -> Facts<'_> {
        *self.facts
    }

    fn policy(&self) -> Policy<'_> {
        *self.policy
    }

    fn add_challenge(&mut self, value: &[u8]) {
        self.challenged = true;
        let (table, pool) = (self.record.err_headers_out(), self.record.pool());
        table.add_copy(pool, CHALLENGE.to_bytes(), value);
    }

    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let hop_by_hop = self.hop_by_hop;
        self.record
            .headers_in()
            .raw_entries()
            .iter()
            .filter(move |raw| !hop_by_hop.iter().any(|value| ptr::addr_eq(*value, raw.val)))
            .filter(|raw| self.identity.lets_pass(raw))
            .filter_map(table::entry)
            .chain(self.identity.header())
    }

    fn body(&self) -> RequestBody {
        self.body.kind()
    }

    fn read_body(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        self.body.read(buf)
    }

    fn read_body_ahead(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        self.body.read_ahead(buf)
    }

    fn start_response<'h>(
        &mut self,
        head: &ResponseHead<'_>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        self.output.start(head, headers);
    }

    fn write_body(&mut self, parts: &[&[u8]]) -> Result<(), ResponseError> {
        self.output.write(parts)
    }

    fn flush(&mut self) -> Result<(), ResponseError> {
        self.output.flush()?;
        #[cfg(feature = "test-panic")]
        self.panic_if_asked("after");
        Ok(())
    }

    fn finish_response(&mut self, now: bool) -> Result<(), ResponseError> {
        // A stream of HTTP/2 whose response is complete is reset, and clients that still send may
        // then forget the response: they are let finish first, as C mod_jk does it.
        if self.record.is_http2() {
            self.body.drain();
            return self.output.finish(now);
        }
        // Any other client that is still sending gets its answer first.
        self.output.finish(now || !self.body.is_at_end())?;
        self.body.drain();
        Ok(())
    }

    fn is_committed(&self) -> bool {
        self.output.is_committed()
    }

    fn retract(&mut self) {
        self.output.retract();
        if mem::take(&mut self.challenged) {
            self.record.err_headers_out().unset(CHALLENGE);
        }
    }

    fn now(&self) -> u64 {
        unix_time()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn abort(&mut self, why: &'static str) {
        self.record.notes().set(self.record.pool(), ABORT, why.as_bytes());
        self.output.abort();
    }
}
