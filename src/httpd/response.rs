//! The response, into httpd's output filters.

use std::cell::Cell;

use super::ffi;
use super::pool::{int, nothing};
use super::request::Record;
use crate::ajp::exchange::decimal;
use crate::ajp::message::ResponseHead;
use crate::host::ClientGone;

/// Body bytes that are held back until more comes, a flush, or the end: what C mod_jk's writes are
/// collected to. A response that fails before can still become a clean error, and a short one
/// gets a Content-Length from httpd.
const HOLD: usize = 8192;

/// Sends one response.
pub(super) struct Output<'r> {
    record: Record<'r>,
    brigade: *mut ffi::apr_bucket_brigade,
    held: usize,
    /// Outlives a panic, which must know whether the response had begun.
    committed: &'r Cell<bool>,
}

impl<'r> Output<'r> {
    pub(super) fn new(record: Record<'r>, committed: &'r Cell<bool>) -> Self {
        Self { record, brigade: std::ptr::null_mut(), held: 0, committed }
    }

    pub(super) fn is_committed(&self) -> bool {
        self.committed.get()
    }

    /// Sets status and headers (spec/mod_jk.md 4.7).
    pub(super) fn start<'h>(
        &mut self,
        head: &ResponseHead<'_>,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        let pool = self.record.pool();
        let line = status_line(head);
        let line = pool.copy(&line);
        let record = self.record.get_mut();
        record.status = int(head.status);
        record.status_line = line;
        for (name, value) in headers {
            self.header(name, value, head.status);
        }
    }

    fn header(&mut self, name: &[u8], value: &[u8], status: u16) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let (pool, raw) = (self.record.pool(), self.record.raw());
        if is(b"content-type") {
            let value = pool.copy(value);
            // SAFETY: a C string of ours, changed in place.
            unsafe { ffi::ap_content_type_tolower(value) };
            // SAFETY: a live request and a C string in its pool.
            unsafe { ffi::ap_set_content_type(raw, value) };
        } else if is(b"content-length") {
            // Neither of them has a body whose length could be told.
            if let Some(length) = decimal(value).filter(|_| status != 204 && status != 304) {
                let length = ffi::apr_off_t::try_from(length).unwrap_or(ffi::apr_off_t::MAX);
                // SAFETY: a live request.
                unsafe { ffi::ap_set_content_length(raw, length) };
            }
        } else if is(b"last-modified") {
            let value = pool.copy(value);
            // SAFETY: a C string.
            let time = unsafe { ffi::apr_date_parse_http(value) };
            // SAFETY: a live request.
            unsafe { ffi::ap_update_mtime(raw, time) };
            // SAFETY: a live request.
            unsafe { ffi::ap_set_last_modified(raw) };
        } else if is(b"location") {
            self.record.headers_out().set_copy(pool, name, value);
        } else {
            self.record.headers_out().add_copy(pool, name, value);
        }
    }

    /// Takes body data. Short data is copied and held back; longer data is passed on where it
    /// stands, and httpd copies what it cannot send at once.
    pub(super) fn write(&mut self, parts: &[&[u8]]) -> Result<(), ClientGone> {
        let brigade = self.brigade();
        let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        self.held = self.held.saturating_add(length);
        if self.held < HOLD && !self.is_committed() {
            for part in parts {
                let (start, length) = (part.as_ptr().cast(), part.len() as ffi::apr_size_t);
                // SAFETY: copies `length` bytes into the brigade.
                unsafe { ffi::apr_brigade_write(brigade, None, nothing(), start, length) };
            }
            return Ok(());
        }
        let allocator = self.record.connection().bucket_alloc;
        for part in parts {
            let (start, length) = (part.as_ptr().cast(), part.len() as ffi::apr_size_t);
            // SAFETY: the bytes stay until `pass` has returned; by then every filter that wants to
            // keep a transient bucket has copied it.
            let bucket = unsafe { ffi::apr_bucket_transient_create(start, length, allocator) };
            self.append(bucket);
        }
        self.pass()
    }

    pub(super) fn flush(&mut self) -> Result<(), ClientGone> {
        let allocator = self.record.connection().bucket_alloc;
        // SAFETY: the connection's allocator.
        let bucket = unsafe { ffi::apr_bucket_flush_create(allocator) };
        self.append(bucket);
        self.pass()
    }

    pub(super) fn finish(&mut self) -> Result<(), ClientGone> {
        let allocator = self.record.connection().bucket_alloc;
        // SAFETY: the connection's allocator.
        let bucket = unsafe { ffi::apr_bucket_eos_create(allocator) };
        self.append(bucket);
        self.pass()
    }

    /// Takes status, headers and held body back.
    pub(super) fn retract(&mut self) {
        if !self.brigade.is_null() {
            // SAFETY: a live brigade.
            unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        }
        self.held = 0;
        reset_response(&mut self.record);
    }

    /// Breaks a response off that has begun: httpd then sends no final chunk and closes the
    /// connection, or resets the stream of HTTP/2.
    pub(super) fn abort(&mut self) {
        if !self.brigade.is_null() {
            // SAFETY: a live brigade.
            unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        }
        let (allocator, pool) = (self.record.connection().bucket_alloc, self.record.get().pool);
        // SAFETY: the request's pool and its connection's allocator.
        let error = unsafe {
            ffi::ap_bucket_error_create(
                int(ffi::HTTP_BAD_GATEWAY),
                std::ptr::null(),
                pool,
                allocator,
            )
        };
        self.append(error);
        // SAFETY: the connection's allocator.
        let end = unsafe { ffi::apr_bucket_eos_create(allocator) };
        self.append(end);
        // The client is told as far as it still listens; there is nothing to do if it does not.
        let _ = self.pass();
        let connection = self.record.connection_mut();
        connection.keepalive = ffi::AP_CONN_CLOSE;
        connection.aborted = 1;
    }

    fn append(&mut self, bucket: *mut ffi::apr_bucket) {
        let brigade = self.brigade();
        // SAFETY: a live brigade and a bucket that is in no other.
        unsafe { ffi::jk_shim_brigade_append(brigade, bucket) };
    }

    fn pass(&mut self) -> Result<(), ClientGone> {
        self.committed.set(true);
        let filters = self.record.get().output_filters;
        // SAFETY: the request's own filters and a brigade of its connection.
        let status = unsafe { ffi::ap_pass_brigade(filters, self.brigade) };
        // SAFETY: a live brigade.
        unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        if status != 0 || self.record.connection().aborted != 0 {
            self.record.connection_mut().aborted = 1;
            return Err(ClientGone);
        }
        Ok(())
    }

    fn brigade(&mut self) -> *mut ffi::apr_bucket_brigade {
        if self.brigade.is_null() {
            let allocator = self.record.connection().bucket_alloc;
            // SAFETY: the request's pool and its connection's allocator.
            self.brigade = unsafe { ffi::apr_brigade_create(self.record.get().pool, allocator) };
        }
        self.brigade
    }
}

/// Leaves nothing of a response that was begun, so that an error can be answered.
pub(super) fn reset_response(record: &mut Record<'_>) {
    record.headers_out().clear();
    let r = record.get_mut();
    r.status = int(ffi::HTTP_OK);
    r.status_line = std::ptr::null();
    r.content_type = std::ptr::null();
    r.clength = 0;
    r.mtime = 0;
}

/// `404 Reason`, with the engine's reason or the standard one.
fn status_line(head: &ResponseHead<'_>) -> Vec<u8> {
    let standard;
    let reason = match head.reason {
        Some(reason) => reason,
        None => {
            // SAFETY: any number is allowed; the result is a constant string.
            let line = unsafe { ffi::ap_get_status_line(int(head.status)) };
            // SAFETY: as above.
            standard = unsafe { super::pool::text(line) }.unwrap_or_default();
            match standard.strip_prefix(b"500 ") {
                // What httpd says of a number that it does not know.
                Some(_) if head.status != 500 => b"Unknown Reason",
                _ => standard.get(4..).unwrap_or_default(),
            }
        }
    };
    [head.status.to_string().as_bytes(), b" ", reason].concat()
}
