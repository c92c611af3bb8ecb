//! A request of httpd: its record, and the same request as the core sees it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::iter;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use super::body::BodyReader;
use super::ffi;
use super::log::Sink;
use super::module;
use super::pool::{self, Pool, int, nothing};
use super::response::Output;
use super::server::Runtime;
use super::table::{self, Table};
use crate::ajp::message::ResponseHead;
use crate::host::{self, BodyError, Facts, Policy, RequestBody, ResponseError, Tls};
use crate::log::{Level, Log, Site};
use crate::worker::{headers, uri};

/// A request record during one call of httpd.
///
/// httpd hands a request to one thread at a time, so within a hook nobody else works on the record.
/// It is changed field by field through the pointer; no Rust reference that could be changed
/// through is ever made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'r> {
    raw: NonNull<ffi::request_rec>,
    life: PhantomData<&'r ()>,
}

/// What we keep with a request between hooks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes<'r> {
    /// The decoded path before it was normalised; set where a rule has mapped the request.
    pub original_uri: Option<&'r [u8]>,
    /// Position of the worker that the rule names.
    pub worker: Option<usize>,
    /// Whether we have read from the request's body.
    pub body_was_read: bool,
    /// Values, by address, of the headers that the client named in `Connection`. A header that a
    /// module of httpd has set since has another value, and is not the client's any more
    /// (CVE-2022-31813).
    pub hop_by_hop: &'r [*const u8],
}

impl<'r> Record<'r> {
    /// # Safety
    /// `raw` is null or the request that httpd has passed to the hook which runs during `'r`.
    pub(super) unsafe fn new(raw: *mut ffi::request_rec) -> Option<Self> {
        Some(Self { raw: NonNull::new(raw)?, life: PhantomData })
    }

    /// The record, to look at. Not to be held across a call into httpd.
    pub(super) fn get(&self) -> &ffi::request_rec {
        // SAFETY: alive during 'r; httpd writes to it only in calls that we make.
        unsafe { self.raw.as_ref() }
    }

    /// Sets the content handler.
    pub(super) fn set_handler(&self, handler: &'static CStr) {
        // SAFETY: alive during 'r, and no reference to the record is held here.
        unsafe { (*self.raw.as_ptr()).handler = handler.as_ptr() }
    }

    /// Sets the path; the string lives in the request's pool.
    pub(super) fn set_uri(&self, uri: *mut c_char) {
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).uri = uri }
    }

    /// Sets the file name; the string lives in the request's pool.
    pub(super) fn set_filename(&self, name: *mut c_char) {
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).filename = name }
    }

    /// Sets status and status line; null stands for httpd's own line.
    pub(super) fn set_status(&self, status: c_int, line: *const c_char) {
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).status = status };
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).status_line = line }
    }

    /// Takes back what describes the content of the response.
    pub(super) fn forget_content(&self) {
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).content_type = ptr::null() };
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).clength = 0 };
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).mtime = 0 }
    }

    /// Puts other output filters in place and returns those that were there.
    pub(super) fn replace_output_filters(
        &self,
        filters: *mut ffi::ap_filter_t,
    ) -> *mut ffi::ap_filter_t {
        let before = self.get().output_filters;
        // SAFETY: as in `set_handler`; the caller puts the old ones back before anybody writes.
        unsafe { (*self.raw.as_ptr()).output_filters = filters };
        before
    }

    /// Where httpd keeps what it knows of the file.
    pub(super) fn file_info(&self) -> *mut ffi::apr_finfo_t {
        // SAFETY: the address of a field of a live record; nothing is read.
        unsafe { &raw mut (*self.raw.as_ptr()).finfo }
    }

    /// The record for a call into httpd.
    pub(super) fn raw(&self) -> *mut ffi::request_rec {
        self.raw.as_ptr()
    }

    /// The request's pool.
    pub(super) fn pool(&self) -> Pool<'r> {
        // SAFETY: the request's pool outlives every hook on the request.
        unsafe { Pool::new(self.get().pool) }
    }

    /// A string of the record.
    fn text(&self, text: *const c_char) -> Option<&'r [u8]> {
        // SAFETY: strings of a request live in its pool or its connection's, and httpd replaces
        // rather than changes them.
        unsafe { pool::text(text) }
    }

    /// The decoded path.
    pub(super) fn uri(&self) -> &'r [u8] {
        self.text(self.get().uri).unwrap_or_default()
    }

    /// Name of the content handler.
    pub(super) fn handler(&self) -> &'r [u8] {
        self.text(self.get().handler).unwrap_or_default()
    }

    /// The client's headers.
    pub(super) fn headers_in(&self) -> Table<'r> {
        // SAFETY: httpd keeps the table for the life of the request.
        unsafe { Table::new(self.get().headers_in) }
    }

    /// The response's headers.
    pub(super) fn headers_out(&self) -> Table<'r> {
        // SAFETY: httpd keeps the table for the life of the request.
        unsafe { Table::new(self.get().headers_out) }
    }

    /// Response headers that error responses have as well.
    pub(super) fn err_headers_out(&self) -> Table<'r> {
        // SAFETY: httpd keeps the table for the life of the request.
        unsafe { Table::new(self.get().err_headers_out) }
    }

    /// Environment of the request.
    pub(super) fn environment(&self) -> Table<'r> {
        // SAFETY: httpd keeps the table for the life of the request.
        unsafe { Table::new(self.get().subprocess_env) }
    }

    /// Notes, for the access log and other modules.
    pub(super) fn notes(&self) -> Table<'r> {
        // SAFETY: httpd keeps the table for the life of the request.
        unsafe { Table::new(self.get().notes) }
    }

    /// The request that this is a subrequest of.
    pub(super) fn main(&self) -> Option<Record<'r>> {
        // SAFETY: a main request outlives its subrequests.
        unsafe { Record::new(self.get().main) }
    }

    /// The request that was redirected to this one.
    pub(super) fn previous(&self) -> Option<Record<'r>> {
        // SAFETY: the requests of a redirect chain live in the same pool.
        unsafe { Record::new(self.get().prev) }
    }

    /// Whether the request came over HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.get().proto_num >= 2000
    }

    /// Whether the request is for a directory, so that a subrequest of it looks for an index.
    pub(super) fn is_directory_request(&self) -> bool {
        self.text(self.get().filename).is_some_and(|name| name.ends_with(b"/"))
    }

    /// The client connection.
    pub(super) fn connection(&self) -> &ffi::conn_rec {
        // SAFETY: a request's connection outlives it.
        unsafe { &*self.get().connection }
    }

    /// A new brigade for this request's filters; it ends with the request.
    pub(super) fn new_brigade(&self) -> *mut ffi::apr_bucket_brigade {
        let allocator = self.connection().bucket_alloc;
        // SAFETY: the request's pool and its connection's allocator.
        unsafe { ffi::apr_brigade_create(self.get().pool, allocator) }
    }

    /// Has httpd close the client connection after this request.
    pub(super) fn close_connection(&self) {
        let connection = self.get().connection;
        // SAFETY: alive, within a hook on this thread only, and no reference to it is held here.
        unsafe { (*connection).keepalive = ffi::AP_CONN_CLOSE }
    }

    /// Tells httpd that the client connection is of no use any more.
    pub(super) fn abort_connection(&self) {
        let connection = self.get().connection;
        // SAFETY: as in `close_connection`.
        unsafe { (*connection).aborted = 1 }
    }

    /// The server that the request was matched to.
    pub(super) fn server(&self) -> Option<&'r ffi::server_rec> {
        // SAFETY: servers live as long as the configuration, which outlives its requests.
        unsafe { self.get().server.as_ref() }
    }

    /// What we keep with this request.
    pub(super) fn kept(&self) -> Option<Notes<'r>> {
        // SAFETY: the request's own vector; only `keep` puts something there.
        let kept = unsafe { module::config::<Notes<'r>>(self.get().request_config) };
        // SAFETY: a value in the request's pool.
        kept.map(|kept| unsafe { kept.read() })
    }

    /// Keeps something with this request.
    pub(super) fn keep(&self, notes: Notes<'r>) {
        let kept = self.pool().place(notes);
        // SAFETY: the request's own vector, and a value that lives in its pool.
        unsafe { module::set_config(self.get().request_config, kept) };
    }

    /// Whether a part of the body was read for a request that was redirected to this one, so that
    /// what is left is not what Content-Length announces.
    pub(super) fn lacks_a_part_of_its_body(&self) -> bool {
        iter::successors(self.previous(), Record::previous).any(|record| {
            record.get().read_length > 0 || record.kept().is_some_and(|notes| notes.body_was_read)
        })
    }

    /// The header values that the client declared hop by hop on this request or on the one that it
    /// comes from.
    fn hop_by_hop(&self) -> &'r [*const u8] {
        let mut record = *self;
        loop {
            match record.kept() {
                Some(notes) if !notes.hop_by_hop.is_empty() => return notes.hop_by_hop,
                _ => {}
            }
            match record.main().or_else(|| record.previous()) {
                Some(origin) => record = origin,
                None => return &[],
            }
        }
    }

    /// Notes which headers the client names in `Connection`, before modules set their own.
    pub(super) fn note_hop_by_hop(&self) {
        let Some(value) = self.headers_in().get(c"Connection") else {
            return;
        };
        let options = headers::connection_options(value);
        let is_named = |name: &[u8]| options.clone().any(|o| o.eq_ignore_ascii_case(name));
        let entries = self.headers_in().raw_entries();
        let named: Vec<*const u8> = entries
            .iter()
            .filter(|raw| table::entry(raw).is_some_and(|(name, _)| is_named(name)))
            .map(|raw| raw.val.cast_const().cast())
            .collect();
        if !named.is_empty() {
            let notes = self.kept().unwrap_or_default();
            self.keep(Notes { hop_by_hop: self.pool().keep_all(&named), ..notes });
        }
    }

    /// Request id for the log.
    pub(super) fn id(&self) -> &'r [u8] {
        let id = self.environment().get(c"UNIQUE_ID").filter(|id| !id.is_empty());
        id.or_else(|| self.text(self.get().log_id)).unwrap_or(b"NO-ID")
    }

    /// Where lines about this request go.
    pub(super) fn sink(&self, runtime: &'r Runtime) -> Sink<'r> {
        Sink { runtime: Some(runtime), request: Some(*self) }
    }
}

/// A request that is being served.
pub(super) struct HttpdRequest<'r> {
    record: Record<'r>,
    runtime: &'r Runtime,
    facts: Facts<'r>,
    body: BodyReader<'r>,
    output: Output<'r>,
    hop_by_hop: &'r [*const u8],
}

/// Values of the environment that replace facts (spec/mod_jk.md 1.7).
#[derive(Default)]
struct Environment<'r> {
    remote_addr: Option<&'r [u8]>,
    remote_port: Option<&'r [u8]>,
    remote_host: Option<&'r [u8]>,
    remote_user: Option<&'r [u8]>,
    auth_type: Option<&'r [u8]>,
    local_name: Option<&'r [u8]>,
    local_addr: Option<&'r [u8]>,
    local_port: Option<&'r [u8]>,
    route: Option<&'r [u8]>,
    ignore_content_length: bool,
    https: bool,
    tls: Tls<'r>,
}

/// Length of the longest name that [`Environment::read`] looks for: SSL_CIPHER_USEKEYSIZE.
const LONGEST_VARIABLE: usize = 21;

impl<'r> Environment<'r> {
    /// One walk over the table, however many names there are.
    fn read(table: Table<'r>) -> Self {
        let mut env = Self::default();
        for (name, value) in table.entries() {
            // APR's tables know no case, so neither does C mod_jk.
            let mut upper = [0; LONGEST_VARIABLE];
            let Some(upper) = upper.get_mut(..name.len()) else { continue };
            upper.copy_from_slice(name);
            upper.make_ascii_uppercase();
            let field = match &*upper {
                b"JK_REMOTE_ADDR" => &mut env.remote_addr,
                b"JK_REMOTE_PORT" => &mut env.remote_port,
                b"JK_REMOTE_HOST" => &mut env.remote_host,
                b"JK_REMOTE_USER" => &mut env.remote_user,
                b"JK_AUTH_TYPE" => &mut env.auth_type,
                b"JK_LOCAL_NAME" => &mut env.local_name,
                b"JK_LOCAL_ADDR" => &mut env.local_addr,
                b"JK_LOCAL_PORT" => &mut env.local_port,
                b"JK_ROUTE" => &mut env.route,
                b"SSL_CLIENT_CERT" => &mut env.tls.certificate,
                b"SSL_CIPHER" => &mut env.tls.cipher,
                b"SSL_SESSION_ID" => &mut env.tls.session,
                b"SSL_PROTOCOL" => &mut env.tls.protocol,
                b"SSL_CIPHER_USEKEYSIZE" => {
                    env.tls.key_size = Some(leading_number(value));
                    continue;
                }
                b"JK_IGNORE_CL" => {
                    env.ignore_content_length = true;
                    continue;
                }
                b"HTTPS" => {
                    env.https = value.eq_ignore_ascii_case(b"on");
                    continue;
                }
                _ => continue,
            };
            *field = Some(value);
        }
        env.tls.certificate = env.tls.certificate.filter(|value| !value.is_empty());
        env.tls.protocol = env.tls.protocol.filter(|value| !value.is_empty());
        env
    }
}

/// The decimal number that a text begins with, after blanks and a plus sign as in C; 0 where there
/// is none or it is too large.
fn leading_number(text: &[u8]) -> u16 {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"+").unwrap_or(text);
    let digits = text.iter().take_while(|b| b.is_ascii_digit());
    let number = digits.fold(0u32, |n, digit| {
        n.saturating_mul(10).saturating_add(u32::from(digit.saturating_sub(b'0')))
    });
    u16::try_from(number).unwrap_or(0)
}

/// A replaced fact: an empty value takes the fact away.
fn replaced<'r>(by: Option<&'r [u8]>, fact: Option<&'r [u8]>) -> Option<&'r [u8]> {
    by.or(fact).filter(|value| !value.is_empty())
}

impl<'r> HttpdRequest<'r> {
    /// Prepares a request for the core. `path`: the decoded path to forward.
    ///
    /// # Errors
    /// The status that httpd wants to be answered, for example for a bad Transfer-Encoding.
    pub(super) fn new(
        record: Record<'r>,
        runtime: &'r Runtime,
        path: &[u8],
        committed: &'r Cell<bool>,
    ) -> Result<Self, c_int> {
        let environment = Environment::read(record.environment());
        let body = BodyReader::new(record, environment.ignore_content_length, committed)?;
        let facts = facts(&record, &environment, path);
        Ok(Self {
            output: Output::new(record, committed),
            hop_by_hop: record.hop_by_hop(),
            record,
            runtime,
            facts,
            body,
        })
    }
}

fn facts<'r>(record: &Record<'r>, environment: &Environment<'r>, path: &[u8]) -> Facts<'r> {
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
    let r = record.get();
    // SAFETY: null or the address of the client, which lives as long as the request.
    let client = unsafe { r.useragent_addr.as_ref() };
    let client_port = client.map(|address| address.port.to_string());
    let port = client_port.as_ref().map(|port| pool.keep(port.as_bytes()));
    let local_port = environment.local_port.map(leading_number);
    Facts {
        method: record.text(r.method).unwrap_or_default(),
        is_head: r.header_only != 0,
        protocol: record.text(r.protocol).unwrap_or_default(),
        uri: pool.keep(&uri::escape(path)),
        query: record.text(r.args),
        remote_addr: replaced(environment.remote_addr, record.text(r.useragent_ip)),
        remote_host: replaced(environment.remote_host, record.text(remote_host)),
        remote_port: replaced(environment.remote_port, port),
        local_addr: environment.local_addr.or_else(|| record.text(record.connection().local_ip)),
        server_name: environment
            .local_name
            .or_else(|| record.text(server_name))
            .unwrap_or_default(),
        server_port: local_port.unwrap_or(server_port),
        remote_user: replaced(environment.remote_user, record.text(r.user)),
        auth_type: replaced(environment.auth_type, record.text(r.ap_auth_type)),
        route: environment.route.filter(|route| !route.is_empty()),
        tls: environment.https.then_some(environment.tls),
        environment: &[],
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
        self.facts
    }

    fn policy(&self) -> Policy<'_> {
        Policy::default()
    }

    fn add_challenge(&mut self, value: &[u8]) {
        let (table, pool) = (self.record.err_headers_out(), self.record.pool());
        table.add_copy(pool, b"WWW-Authenticate", value);
    }

    fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let hop_by_hop = self.hop_by_hop;
        self.record
            .headers_in()
            .raw_entries()
            .iter()
            .filter(move |raw| !hop_by_hop.iter().any(|value| ptr::addr_eq(*value, raw.val)))
            .filter_map(table::entry)
    }

    fn body(&self) -> RequestBody {
        self.body.kind()
    }

    fn read_body(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        self.body.read(buf)
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
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn abort(&mut self) {
        self.output.abort();
    }
}

/// The name of our content handler.
pub(super) const HANDLER: &CStr = c"jakarta-servlet";
