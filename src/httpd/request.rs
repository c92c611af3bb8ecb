//! httpd's record of a request.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::iter;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::environment::Variable;
use super::ffi;
use super::identity::is_about_tls;
use super::log::{Sink, Speaker};
use super::module;
use super::pool::{self, Pool, int};
use super::server::Runtime;
use super::table::{self, Table};
use crate::mapping::RuleOptions;
use crate::mapping::target::path_of;
use crate::worker::headers;

/// The name of our content handler.
pub(super) const HANDLER: &CStr = c"jakarta-servlet";

/// What begins the name of a variable of the request that was redirected.
const REDIRECT: &[u8] = b"REDIRECT_";

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
#[derive(Debug, Default)]
pub(super) struct Notes<'r> {
    /// The decoded path before it was normalised; set where a rule has mapped the request.
    original_uri: Cell<Option<&'r [u8]>>,
    /// Position of the worker that the rule names.
    pub worker: Cell<Option<usize>>,
    /// What the rule changes about its worker.
    options: Cell<Option<&'r RuleOptions>>,
    /// Whether the handler has taken the request, so that it is logged by JkRequestLogFormat.
    pub handled: Cell<bool>,
    /// Whether we have read from the request's body.
    pub body_was_read: Cell<bool>,
    /// Values, by address, of the headers that the client named in `Connection`. A header that a
    /// module of httpd has set since has another value, and is not the client's any more
    /// (CVE-2022-31813).
    hop_by_hop: Cell<&'r [*const u8]>,
    /// Whether httpd has found out who its user is, so that the name is not what a client claims.
    pub user_is_known: Cell<bool>,
    /// Values, by address, of the headers in which the client tells of its certificate.
    tls_claims: Cell<&'r [*const u8]>,
}

impl<'r> Notes<'r> {
    /// See the field.
    pub(super) fn original_uri(&self) -> Option<&'r [u8]> {
        self.original_uri.get()
    }

    /// Sets the field.
    ///
    /// # Safety
    /// The path lives as long as the request, not only during this call of httpd.
    pub(super) unsafe fn set_original_uri(&self, path: &'r [u8]) {
        self.original_uri.set(Some(path));
    }

    /// See the field.
    pub(super) fn options(&self) -> Option<&'r RuleOptions> {
        self.options.get()
    }

    /// Sets the field.
    ///
    /// # Safety
    /// The options live as long as the request, not only during this call of httpd.
    pub(super) unsafe fn set_options(&self, options: Option<&'r RuleOptions>) {
        self.options.set(options);
    }
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

    /// Has httpd send no `100 Continue` any more.
    pub(super) fn expect_nothing(&self) {
        // SAFETY: as in `set_handler`.
        unsafe { (*self.raw.as_ptr()).expecting_100 = 0 }
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
    pub(super) fn text(&self, text: *const c_char) -> Option<&'r [u8]> {
        // SAFETY: strings of a request live in its pool or its connection's, and httpd replaces
        // rather than changes them.
        unsafe { pool::text(text) }
    }

    /// The decoded path.
    pub(super) fn uri(&self) -> &'r [u8] {
        self.text(self.get().uri).unwrap_or_default()
    }

    /// The path as the client sent it, without scheme, host and query.
    pub(super) fn sent_path(&self) -> &'r [u8] {
        let target = self.text(self.get().unparsed_uri).unwrap_or_default();
        path_of(target.split(|byte| *byte == b'?').next().unwrap_or_default())
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

    /// What the client sent behind its body.
    pub(super) fn trailers_in(&self) -> Table<'r> {
        // SAFETY: httpd keeps the table for the life of the request.
        unsafe { Table::new(self.get().trailers_in) }
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

    /// Adds the variables to the environment that CGI programs get.
    pub(super) fn add_cgi_variables(&self) {
        // SAFETY: a live request; no reference to its environment is held here.
        unsafe { ffi::ap_add_common_vars(self.raw()) }
    }

    /// Whether httpd would serve the client another path, which is encoded: 200, or the status for it.
    /// Nothing is served; a challenge that belongs to the status becomes one of this request.
    pub(super) fn try_path(&self, path: &[u8]) -> c_int {
        let path = self.pool().copy(path);
        // SAFETY: a live request, its own method, and a C string in its pool; without a filter to write
        // to httpd takes the request's.
        let raw = unsafe {
            ffi::ap_sub_req_method_uri(self.get().method, path, self.raw(), pool::nothing())
        };
        // SAFETY: null or the request that httpd has just made, which lives until it is destroyed.
        let Some(tried) = (unsafe { Record::new(raw) }) else {
            return int(ffi::HTTP_INTERNAL_SERVER_ERROR);
        };
        let status = tried.get().status;
        if status == int(ffi::HTTP_UNAUTHORIZED) {
            for (name, value) in tried.err_headers_out().entries() {
                if name.eq_ignore_ascii_case(b"www-authenticate") {
                    self.err_headers_out().add_copy(self.pool(), name, value);
                }
            }
        }
        // SAFETY: made above, and not used any more.
        unsafe { ffi::ap_destroy_sub_req(raw) };
        status
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

    /// What we keep with this request, as far as there is something.
    pub(super) fn kept(&self) -> Option<&'r Notes<'r>> {
        // SAFETY: the request's own vector; only `keep` puts something there.
        let kept = unsafe { module::config::<Notes<'r>>(self.get().request_config) };
        // SAFETY: a value in the request's pool, which is changed through cells only.
        kept.map(|kept| unsafe { kept.as_ref() })
    }

    /// What we keep with this request, to note more.
    pub(super) fn keep(&self) -> &'r Notes<'r> {
        self.kept().unwrap_or_else(|| {
            let notes: &'r Notes<'r> = self.pool().hold(Notes::default());
            // SAFETY: the request's own vector, and a value that lives in its pool.
            unsafe { module::set_config(self.get().request_config, NonNull::from(notes)) };
            notes
        })
    }

    /// Whether a part of the body was read for a request that was redirected to this one, so that
    /// what is left is not what Content-Length announces.
    pub(super) fn lacks_a_part_of_its_body(&self) -> bool {
        iter::successors(self.previous(), Record::previous).any(|record| {
            record.get().read_length > 0
                || record.kept().is_some_and(|notes| notes.body_was_read.get())
        })
    }

    /// This request, the one that it comes from, and so on.
    fn origins(self) -> impl Iterator<Item = Record<'r>> {
        iter::successors(Some(self), |record| record.main().or_else(|| record.previous()))
    }

    /// What is noted of this request or of the one that it comes from.
    fn noted(&self, values: impl Fn(&Notes<'r>) -> &'r [*const u8]) -> &'r [*const u8] {
        let noted = self.origins().filter_map(|record| record.kept()).map(values);
        noted.into_iter().find(|values| !values.is_empty()).unwrap_or_default()
    }

    /// The header values that the client declared hop by hop on this request or on the one that it
    /// comes from.
    pub(super) fn hop_by_hop(&self) -> &'r [*const u8] {
        self.noted(|notes| notes.hop_by_hop.get())
    }

    /// The values of headers in which the client tells of its certificate, as
    /// [`Record::hop_by_hop`].
    pub(super) fn tls_claims(&self) -> &'r [*const u8] {
        self.noted(|notes| notes.tls_claims.get())
    }

    /// Whether the user's name is only what a client claimed: httpd hands the name from a request
    /// whose authentication failed to the error page.
    pub(super) fn user_is_a_claim(&self) -> bool {
        let user = self.get().user;
        let mut before = self.origins().filter_map(|record| record.previous());
        before.any(|record| {
            ptr::eq(record.get().user, user)
                && !record.kept().is_some_and(|notes| notes.user_is_known.get())
        })
    }

    /// Whether a variable of the environment has what only a client claimed of its user: httpd makes
    /// variables for CGI programs of the name that came with a wrong password as well.
    pub(super) fn is_claimed_variable(&self, name: &[u8]) -> bool {
        let mut last = name;
        while let Some((_, rest)) = last
            .split_at_checked(REDIRECT.len())
            .filter(|(start, _)| start.eq_ignore_ascii_case(REDIRECT))
        {
            last = rest;
        }
        if ![&b"REMOTE_USER"[..], b"AUTH_TYPE"].iter().any(|own| own.eq_ignore_ascii_case(last)) {
            return false;
        }
        if last.len() == name.len() {
            return self.user_is_a_claim();
        }
        self.origins().filter_map(|record| record.previous()).any(|record| {
            !record.get().user.is_null()
                && !record.kept().is_some_and(|notes| notes.user_is_known.get())
        })
    }

    /// Notes which headers tell of a certificate, before modules set their own.
    pub(super) fn note_tls_claims(&self) {
        let entries = self.headers_in().raw_entries();
        let about = |raw: &&ffi::apr_table_entry_t| table::name(raw).is_some_and(is_about_tls);
        let claims: Vec<*const u8> =
            entries.iter().filter(about).map(|raw| raw.val.cast_const().cast()).collect();
        if !claims.is_empty() {
            self.keep().tls_claims.set(self.pool().keep_all(&claims));
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
            .filter(|raw| table::name(raw).is_some_and(is_named))
            .map(|raw| raw.val.cast_const().cast())
            .collect();
        if !named.is_empty() {
            self.keep().hop_by_hop.set(self.pool().keep_all(&named));
        }
    }

    /// Request id for the log.
    pub(super) fn id(&self, runtime: &Runtime) -> &'r [u8] {
        let environment = self.environment();
        let named = |name| environment.get(name).filter(|id| !id.is_empty());
        named(runtime.environment.name(Variable::RequestId))
            .or_else(|| named(c"UNIQUE_ID"))
            .or_else(|| self.text(self.get().log_id))
            .unwrap_or(b"NO-ID")
    }

    /// Where lines about this request go.
    pub(super) fn sink(&self, runtime: &'r Runtime) -> Sink<'r> {
        Sink { runtime, speaker: Speaker::Request(*self) }
    }
}
