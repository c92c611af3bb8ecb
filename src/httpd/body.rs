//! The request body, from httpd's input filters.

use std::ffi::c_int;

use super::ffi;
use super::pool::int;
use super::request::Record;
use crate::ajp::exchange::decimal;
use crate::host::{BodyError, RequestBody};

/// Most bytes of an unread body that are read and thrown away so that the client's connection can
/// be kept.
const DRAIN_LIMIT: u64 = 1 << 20;

/// Reads of nothing that a filter may give in a row before we give up on it.
const EMPTY_READS: u32 = 10_000;

/// Reads one request's body.
pub(super) struct BodyReader<'r> {
    record: Record<'r>,
    kind: RequestBody,
    brigade: *mut ffi::apr_bucket_brigade,
    ended: bool,
    failed: bool,
}

impl<'r> BodyReader<'r> {
    /// Looks at the framing of the request.
    ///
    /// # Errors
    /// httpd's status for a bad Transfer-Encoding or Content-Length.
    pub(super) fn new(record: Record<'r>, ignore_length: bool) -> Result<Self, c_int> {
        let mut reader = Self {
            record,
            kind: RequestBody::None,
            brigade: std::ptr::null_mut(),
            ended: false,
            failed: false,
        };
        // A subrequest has no body of its own.
        if record.main().is_some() {
            return Ok(reader);
        }
        // SAFETY: a live request whose body nobody has begun to read.
        let status =
            unsafe { ffi::ap_setup_client_block(record.raw(), int(ffi::REQUEST_CHUNKED_DECHUNK)) };
        if status != int(ffi::OK) {
            return Err(status);
        }
        let length = record.headers_in().get(c"Content-Length");
        reader.kind = if record.get().read_chunked != 0 {
            RequestBody::Unknown
        } else {
            match length.map(|text| decimal(text.trim_ascii()).ok_or(int(ffi::HTTP_BAD_REQUEST))) {
                None => RequestBody::None,
                Some(Err(status)) => return Err(status),
                Some(Ok(0)) => RequestBody::None,
                Some(Ok(_)) if ignore_length => RequestBody::Unknown,
                Some(Ok(length)) => RequestBody::Length(length),
            }
        };
        // An error document is served with the headers of a request whose body is gone.
        if record.previous().is_some() && reader.kind != RequestBody::None && reader.is_at_end() {
            reader.kind = RequestBody::None;
        }
        Ok(reader)
    }

    /// What is known of the body.
    pub(super) fn kind(&self) -> RequestBody {
        self.kind
    }

    /// Whether the body was read to its end by somebody else before us.
    fn is_at_end(&mut self) -> bool {
        let record = self.record.get();
        record.method_number == int(ffi::M_GET) && record.kept_body.is_null()
    }

    /// Reads some bytes; 0 at the end.
    ///
    /// # Errors
    /// [`BodyError`].
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        if self.ended || self.kind == RequestBody::None {
            return Ok(0);
        }
        let result = self.read_once(buf);
        self.failed = result.is_err();
        result
    }

    fn read_once(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        let brigade = self.brigade();
        let wanted = ffi::apr_off_t::try_from(buf.len()).unwrap_or(ffi::apr_off_t::MAX);
        for _ in 0..EMPTY_READS {
            let filters = self.record.get().input_filters;
            // SAFETY: the request's own filters and an empty brigade of its connection.
            let status = unsafe {
                ffi::ap_get_brigade(
                    filters,
                    brigade,
                    ffi::AP_MODE_READBYTES,
                    ffi::APR_BLOCK_READ,
                    wanted,
                )
            };
            if status != 0 {
                self.clean();
                return Err(self.error(status));
            }
            // SAFETY: a live brigade.
            self.ended = unsafe { ffi::jk_shim_brigade_ends_in_eos(brigade) } != 0;
            let mut got = buf.len();
            // SAFETY: writes at most `got` bytes into the buffer, which has that many.
            let status =
                unsafe { ffi::apr_brigade_flatten(brigade, buf.as_mut_ptr().cast(), &raw mut got) };
            self.clean();
            if status != 0 {
                return Err(self.error(status));
            }
            // A filter may give nothing although more is to come.
            if got > 0 || self.ended {
                return Ok(got.min(buf.len()));
            }
        }
        Err(BodyError::Disconnected)
    }

    /// Reads what is left of the body after the response, so that the connection can be kept; where
    /// that is too much, the connection is closed instead.
    pub(super) fn drain(&mut self) {
        // A stream of HTTP/2 is reset by its own module where its body is not wanted.
        let is_http2 = self.record.get().proto_num >= 2000;
        // httpd has decided to close it, for example after a 413 or for want of a 100 Continue.
        let is_closing = self.record.connection().keepalive == ffi::AP_CONN_CLOSE;
        if self.ended || self.failed || is_http2 || is_closing || self.kind == RequestBody::None {
            return;
        }
        // The client may be waiting for the response before it goes on; httpd would hold it back.
        if !self.flush_connection() {
            return;
        }
        let mut buf = [0; 4096];
        let mut drained = 0u64;
        while !self.ended && drained <= DRAIN_LIMIT {
            match self.read(&mut buf) {
                Ok(n) => drained = drained.saturating_add(u64::try_from(n).unwrap_or(u64::MAX)),
                Err(_) => break,
            }
        }
        if !self.ended {
            self.record.connection_mut().keepalive = ffi::AP_CONN_CLOSE;
        }
    }

    /// Sends what httpd holds back to the client. `false` where the client is gone.
    fn flush_connection(&mut self) -> bool {
        let brigade = self.brigade();
        let connection = self.record.connection();
        let (filters, allocator) = (connection.output_filters, connection.bucket_alloc);
        // SAFETY: the connection's allocator.
        let flush = unsafe { ffi::apr_bucket_flush_create(allocator) };
        // SAFETY: a live brigade and a bucket that is in no other.
        unsafe { ffi::jk_shim_brigade_append(brigade, flush) };
        // SAFETY: the connection's own filters and a brigade of it.
        let status = unsafe { ffi::ap_pass_brigade(filters, brigade) };
        self.clean();
        status == 0 && self.record.connection().aborted == 0
    }

    fn brigade(&mut self) -> *mut ffi::apr_bucket_brigade {
        if self.brigade.is_null() {
            let allocator = self.record.connection().bucket_alloc;
            // SAFETY: the request's pool and its connection's allocator.
            self.brigade = unsafe { ffi::apr_brigade_create(self.record.get().pool, allocator) };
        }
        self.brigade
    }

    /// What a failed read means.
    fn error(&self, status: ffi::apr_status_t) -> BodyError {
        if status == ffi::AP_FILTER_ERROR {
            // The filter that refused the body has had its error answered, which sets the status.
            return BodyError::Answered(u16::try_from(self.record.get().status).unwrap_or(0));
        }
        body_error(status)
    }

    fn clean(&mut self) {
        // SAFETY: a live brigade.
        unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
    }
}

fn body_error(status: ffi::apr_status_t) -> BodyError {
    if status == int(ffi::APR_TIMEUP) {
        return BodyError::Timeout;
    }
    if status == int(ffi::APR_ENOSPC) {
        return BodyError::TooLarge;
    }
    let connection_lost = [
        int(ffi::APR_EOF),
        int(ffi::APR_INCOMPLETE),
        int(ffi::APR_ECONNRESET),
        int(ffi::APR_ECONNABORTED),
        int(ffi::APR_EPIPE),
    ];
    if connection_lost.contains(&status) {
        return BodyError::Disconnected;
    }
    BodyError::Malformed
}
