//! The request body, from httpd's input filters.

use std::cell::Cell;
use std::ffi::c_int;

use super::ffi;
use super::pool::{int, is_connection_lost, nothing};
use super::request::Record;
use crate::ajp::exchange::decimal;
use crate::host::{BodyError, RequestBody};

/// Most bytes of an unread body that are read and thrown away so that the client's connection can
/// be kept.
const DRAIN_LIMIT: u64 = 1 << 20;
/// The same for a stream of HTTP/2, which is reset beyond it.
const DRAIN_LIMIT_HTTP2: u64 = 16 << 20;

/// Reads of nothing that a filter may give in a row before we give up on it.
const EMPTY_READS: u32 = 10_000;

/// Reads one request's body.
pub(super) struct BodyReader<'r> {
    record: Record<'r>,
    kind: RequestBody,
    brigade: *mut ffi::apr_bucket_brigade,
    ended: bool,
    failed: bool,
    /// What a read ahead has found wrong, for the next one that must have something.
    pending: Option<BodyError>,
    /// Bytes that were read to see whether there is a body at all, or that came unasked.
    ahead: Vec<u8>,
    /// Bytes that the input filters have given.
    received: u64,
    /// Whether the response has begun.
    committed: &'r Cell<bool>,
}

impl<'r> BodyReader<'r> {
    /// Looks at the framing of the request.
    ///
    /// # Errors
    /// httpd's status for a bad Transfer-Encoding or Content-Length.
    pub(super) fn new(
        record: Record<'r>,
        ignore_length: bool,
        committed: &'r Cell<bool>,
    ) -> Result<Self, c_int> {
        let mut reader = Self {
            record,
            kind: RequestBody::None,
            brigade: std::ptr::null_mut(),
            ended: false,
            failed: false,
            pending: None,
            ahead: Vec::new(),
            received: 0,
            committed,
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
        if record.previous().is_some() && matches!(reader.kind, RequestBody::Length(_)) {
            if record.lacks_a_part_of_its_body() {
                reader.kind = RequestBody::None;
            } else {
                reader.look_ahead();
            }
        }
        Ok(reader)
    }

    /// What is known of the body.
    pub(super) fn kind(&self) -> RequestBody {
        self.kind
    }

    /// An internal redirect has the headers of the request that it comes from, but whoever served
    /// that one may have read its body. Announcing a body that cannot follow would leave the engine
    /// waiting for it.
    fn look_ahead(&mut self) {
        let mut buf = vec![0; 4096];
        match self.read_once(&mut buf) {
            Ok(got) if got > 0 => {
                buf.truncate(got);
                self.ahead = buf;
            }
            _ => self.kind = RequestBody::None,
        }
    }

    /// Whether all of the body has been read.
    pub(super) fn is_at_end(&self) -> bool {
        let all_came = match self.kind {
            RequestBody::None => true,
            RequestBody::Length(length) => self.received >= length,
            RequestBody::Unknown => false,
        };
        self.ahead.is_empty() && (self.ended || all_came)
    }

    /// Reads some bytes; 0 at the end.
    ///
    /// # Errors
    /// [`BodyError`].
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buf.len());
            let taken = self.ahead.drain(..length);
            buf.iter_mut().zip(taken).for_each(|(place, byte)| *place = byte);
            return Ok(length);
        }
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        if self.is_at_end() {
            return Ok(0);
        }
        self.record.keep().body_was_read.set(true);
        let result = self.read_once(buf);
        self.failed = result.is_err();
        result
    }

    /// Reads what is there already, without waiting; 0 where that is nothing. An error waits for the
    /// next [`BodyReader::read`]: it is of no interest to an engine that wants no more.
    ///
    /// # Errors
    /// [`BodyError::Answered`]: the client has an answer, and must not get another one.
    pub(super) fn read_ahead(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        // What lies here already costs nothing to wait for.
        if !self.ahead.is_empty() || self.failed || self.is_at_end() {
            return Ok(0);
        }
        let brigade = self.brigade();
        let result = match self.read_filters(brigade, buf.len(), ffi::APR_NONBLOCK_READ) {
            0 => self.taken(buf),
            status => Err(status),
        };
        self.clean();
        let error = match result {
            Err(status) if status == int(ffi::APR_EAGAIN) => return Ok(0),
            Err(status) => self.error(status),
            Ok(got) => return Ok(got),
        };
        self.failed = true;
        match error {
            BodyError::Answered(_) => Err(error),
            _ => {
                self.pending = Some(error);
                Ok(0)
            }
        }
    }

    fn read_once(&mut self, buf: &mut [u8]) -> Result<usize, BodyError> {
        let brigade = self.brigade();
        for _ in 0..EMPTY_READS {
            let got = match self.read_filters(brigade, buf.len(), ffi::APR_BLOCK_READ) {
                0 => self.taken(buf),
                status => Err(status),
            };
            self.clean();
            let got = got.map_err(|status| self.error(status))?;
            // A filter may give nothing although more is to come.
            if got > 0 || self.ended {
                return Ok(got);
            }
        }
        Err(BodyError::Disconnected)
    }

    /// One read from the input filters.
    ///
    /// A filter that refuses the body answers by itself, into the request's output filters. Once
    /// our response has begun that would end it as if it were whole, and the filter would then say
    /// that all is well. So it finds no output filters, and the refusal comes back as an error.
    fn read_filters(
        &self,
        brigade: *mut ffi::apr_bucket_brigade,
        wanted: usize,
        block: ffi::apr_read_type_e,
    ) -> ffi::apr_status_t {
        let wanted = ffi::apr_off_t::try_from(wanted).unwrap_or(ffi::apr_off_t::MAX);
        let output = self.committed.get().then(|| {
            // It would stand in the middle of our response.
            self.record.expect_nothing();
            self.record.replace_output_filters(nothing())
        });
        let filters = self.record.get().input_filters;
        let mode = ffi::AP_MODE_READBYTES;
        // SAFETY: the request's own filters and an empty brigade of its connection.
        let status = unsafe { ffi::ap_get_brigade(filters, brigade, mode, block, wanted) };
        if let Some(output) = output {
            self.record.replace_output_filters(output);
        }
        status
    }

    /// Takes what the input filters have given.
    fn taken(&mut self, buf: &mut [u8]) -> Result<usize, ffi::apr_status_t> {
        // SAFETY: a live brigade.
        self.ended = unsafe { ffi::jk_shim_brigade_ends_in_eos(self.brigade) } != 0;
        self.take(buf)
    }

    /// Copies the brigade into `buf`; what a filter gave beyond it is kept for the next read.
    fn take(&mut self, buf: &mut [u8]) -> Result<usize, ffi::apr_status_t> {
        let mut length: ffi::apr_off_t = 0;
        // SAFETY: a live brigade, and a variable of ours for the result.
        let status = unsafe { ffi::apr_brigade_length(self.brigade, 1, &raw mut length) };
        if status != 0 {
            return Err(status);
        }
        self.received = self.received.saturating_add(u64::try_from(length).unwrap_or(0));
        let length = usize::try_from(length).unwrap_or(0);
        if length <= buf.len() {
            return self.flatten(buf);
        }
        let mut all = vec![0; length];
        let got = self.flatten(&mut all)?;
        all.truncate(got);
        let rest = all.split_off(got.min(buf.len()));
        buf.iter_mut().zip(&all).for_each(|(place, byte)| *place = *byte);
        self.ahead = rest;
        Ok(all.len())
    }

    fn flatten(&self, buf: &mut [u8]) -> Result<usize, ffi::apr_status_t> {
        let (start, mut got) = (buf.as_mut_ptr().cast(), buf.len());
        // SAFETY: writes at most `got` bytes into the buffer, which has that many.
        match unsafe { ffi::apr_brigade_flatten(self.brigade, start, &raw mut got) } {
            0 => Ok(got.min(buf.len())),
            status => Err(status),
        }
    }

    /// What a status of the input filters means.
    fn error(&self, status: ffi::apr_status_t) -> BodyError {
        if status == ffi::AP_FILTER_ERROR {
            let answer = self.record.get().status;
            return BodyError::Answered(u16::try_from(answer).unwrap_or_default());
        }
        body_error(status)
    }

    /// Reads what is left of the body, so that the connection can be kept; where that is too much,
    /// the connection is closed instead, or the stream of HTTP/2 is reset.
    pub(super) fn drain(&mut self) {
        if self.is_at_end() || self.failed {
            return;
        }
        if self.record.is_http2() {
            self.skip(DRAIN_LIMIT_HTTP2);
            return;
        }
        if self.record.connection().keepalive == ffi::AP_CONN_CLOSE {
            return;
        }
        // A client that waits for 100 Continue sends nothing more.
        if self.record.get().expecting_100 == 0 {
            self.skip(DRAIN_LIMIT);
        }
        if !self.is_at_end() {
            self.record.close_connection();
        }
    }

    /// Its own function, not part of [`BodyReader::drain`], which every request calls: what lies on the
    /// stack here would take a page more of each thread.
    #[inline(never)]
    fn skip(&mut self, limit: u64) {
        let mut buf = [0; 4096];
        let mut skipped = 0u64;
        while !self.is_at_end() && skipped <= limit {
            match self.read(&mut buf) {
                Ok(n) => skipped = skipped.saturating_add(u64::try_from(n).unwrap_or(u64::MAX)),
                Err(_) => return,
            }
        }
    }

    fn brigade(&mut self) -> *mut ffi::apr_bucket_brigade {
        if self.brigade.is_null() {
            self.brigade = self.record.new_brigade();
        }
        self.brigade
    }

    fn clean(&mut self) {
        // SAFETY: a live brigade.
        unsafe { ffi::apr_brigade_cleanup(self.brigade.cast()) };
    }
}

fn body_error(status: ffi::apr_status_t) -> BodyError {
    if status == int(ffi::APR_TIMEUP) {
        BodyError::Timeout
    } else if status == int(ffi::APR_ENOSPC) {
        BodyError::TooLarge
    } else if is_connection_lost(status) {
        BodyError::Disconnected
    } else if status == int(ffi::APR_EGENERAL) || status == int(ffi::APR_EINVAL) {
        BodyError::Malformed
    } else {
        BodyError::Refused(status)
    }
}
