//! The response, into httpd's output filters.

use std::cell::Cell;
use std::ffi::c_char;

use super::ffi;
use super::pool::{Pool, int, is_connection_lost, nothing};
use super::request::Record;
use crate::ajp::exchange::decimal;
use crate::ajp::message::ResponseHead;
use crate::host::ResponseError;

/// Most body bytes that are held back until more comes, a flush, or the end: as many as httpd
/// collects of C mod_jk's writes. A response that fails before can still become a clean error, and
/// a short one gets a Content-Length from httpd.
const HOLD: usize = 8000;

/// Sends one response.
pub(super) struct Output<'r> {
    record: Record<'r>,
    brigade: *mut ffi::apr_bucket_brigade,
    held: usize,
    finished: bool,
    /// Something has passed the filters.
    sent: bool,
    /// Outlives a panic, which must know whether the response had begun.
    committed: &'r Cell<bool>,
}

impl<'r> Output<'r> {
    pub(super) fn new(record: Record<'r>, committed: &'r Cell<bool>) -> Self {
        Self {
            record,
            brigade: std::ptr::null_mut(),
            held: 0,
            finished: false,
            sent: false,
            committed,
        }
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
        self.record.set_status(int(head.status), status_line(self.record.pool(), head));
        for (name, value) in headers {
            self.header(name, value, head.has_no_body());
        }
        if head.status == 205 {
            // SAFETY: a live request.
            unsafe { ffi::ap_set_content_length(self.record.raw(), 0) };
        }
    }

    fn header(&mut self, name: &[u8], value: &[u8], has_no_body: bool) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let (pool, raw) = (self.record.pool(), self.record.raw());
        if is(b"content-type") {
            let value = pool.copy(value);
            // SAFETY: a C string of ours, changed in place.
            unsafe { ffi::ap_content_type_tolower(value) };
            // SAFETY: a live request and a C string in its pool.
            unsafe { ffi::ap_set_content_type(raw, value) };
        } else if is(b"content-length") {
            // A length that nothing follows would take the next response for the body.
            if let Some(length) = decimal(value).filter(|_| !has_no_body) {
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
    pub(super) fn write(&mut self, parts: &[&[u8]]) -> Result<(), ResponseError> {
        let brigade = self.brigade();
        let length = parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        self.held = self.held.saturating_add(length);
        if self.held <= HOLD && !self.is_committed() {
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

    pub(super) fn flush(&mut self) -> Result<(), ResponseError> {
        let allocator = self.record.connection().bucket_alloc;
        // SAFETY: the connection's allocator.
        let bucket = unsafe { ffi::apr_bucket_flush_create(allocator) };
        self.append(bucket);
        self.pass()
    }

    /// Completes the response. `now`: httpd shall not hold its end back for what may follow.
    pub(super) fn finish(&mut self, now: bool) -> Result<(), ResponseError> {
        self.finished = true;
        let allocator = self.record.connection().bucket_alloc;
        // SAFETY: the connection's allocator.
        let bucket = unsafe { ffi::apr_bucket_eos_create(allocator) };
        self.append(bucket);
        self.pass()?;
        if now {
            // A filter may drop what stands behind the end, so the flush comes by itself; whether
            // it finds a client is of no interest.
            let _ = self.flush();
        }
        Ok(())
    }

    /// Takes status, headers and held body back.
    pub(super) fn retract(&mut self) {
        if !self.brigade.is_null() {
            // SAFETY: a live brigade.
            unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        }
        self.held = 0;
        reset_response(&self.record);
    }

    /// Breaks a response off that has begun: httpd then sends no final chunk and closes the
    /// connection, or resets the stream of HTTP/2.
    pub(super) fn abort(&mut self) {
        if !self.brigade.is_null() {
            // SAFETY: a live brigade.
            unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        }
        if !self.finished {
            let allocator = self.record.connection().bucket_alloc;
            let (status, text) = (int(ffi::HTTP_BAD_GATEWAY), std::ptr::null());
            let pool = self.record.get().pool;
            // SAFETY: the request's pool and its connection's allocator.
            let error = unsafe { ffi::ap_bucket_error_create(status, text, pool, allocator) };
            self.append(error);
            // SAFETY: the connection's allocator.
            let end = unsafe { ffi::apr_bucket_eos_create(allocator) };
            self.append(end);
            // The client is told as far as it still listens; if it does not, nothing can be done.
            let _ = self.pass();
        }
        self.record.close_connection();
        self.record.abort_connection();
    }

    fn append(&mut self, bucket: *mut ffi::apr_bucket) {
        let brigade = self.brigade();
        // SAFETY: a live brigade and a bucket that is in no other.
        unsafe { ffi::jk_shim_brigade_append(brigade, bucket) };
    }

    fn pass(&mut self) -> Result<(), ResponseError> {
        self.committed.set(true);
        let filters = self.record.get().output_filters;
        // SAFETY: the request's own filters and a brigade of its connection.
        let status = unsafe { ffi::ap_pass_brigade(filters, self.brigade) };
        // SAFETY: a live brigade.
        unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
        // A client may be gone as soon as it has the end of its response, and has lost nothing.
        let is_gone = self.record.connection().aborted != 0 && !(status == 0 && self.finished);
        if is_gone || is_connection_lost(status) {
            self.record.abort_connection();
            return Err(ResponseError::ClientGone);
        }
        match status {
            0 => {
                self.sent = true;
                Ok(())
            }
            // httpd ignores the answer of its own where a part of ours has gone out.
            ffi::AP_FILTER_ERROR if !self.sent => Err(ResponseError::Answered(self.answer())),
            status => Err(ResponseError::Failed(status)),
        }
    }

    /// The status that httpd has answered with.
    fn answer(&self) -> u16 {
        u16::try_from(self.record.get().status).unwrap_or_default()
    }

    fn brigade(&mut self) -> *mut ffi::apr_bucket_brigade {
        if self.brigade.is_null() {
            self.brigade = self.record.new_brigade();
        }
        self.brigade
    }
}

/// Leaves nothing of a response that was begun, so that an error can be answered.
pub(super) fn reset_response(record: &Record<'_>) {
    record.headers_out().clear();
    record.set_status(int(ffi::HTTP_OK), std::ptr::null());
    record.forget_content();
}

/// `404 Reason` with the engine's reason; null, which means httpd's own, where it has none.
fn status_line(pool: Pool<'_>, head: &ResponseHead<'_>) -> *const c_char {
    let status = head.status;
    let digit = |unit: u16| b'0'.saturating_add(u8::try_from(status / unit % 10).unwrap_or(0));
    let number = [digit(100), digit(10), digit(1)];
    if let Some(reason) = head.reason {
        return pool.concat(&[&number, b" ", reason]);
    }
    // SAFETY: any number is allowed; the result is a constant string.
    let standard = unsafe { ffi::ap_get_status_line(int(status)) };
    // SAFETY: as above.
    let standard = unsafe { super::pool::text(standard) }.unwrap_or_default();
    if standard.starts_with(&number) {
        return std::ptr::null();
    }
    pool.concat(&[&number, b" Unknown Reason"])
}
