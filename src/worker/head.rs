//! What becomes of an answer by its status and headers (spec/mod_jk.md 1.6, 4.7, 5.7).
#![forbid(unsafe_code)]

use super::error::{Failure, Phase};
use super::exchange::Drive;
use super::headers;
use crate::ajp::message::ResponseHead;
use crate::config::StatusFailure;
use crate::host::Request;
use crate::jk_log;
use crate::log::Level;

impl<R: Request> Drive<'_, R> {
    /// Takes status and headers over, unless the status stands for a failure or is answered by the
    /// web server itself.
    pub(super) fn head(&mut self, head: &ResponseHead<'_>) -> Result<(), Failure> {
        self.progress.phase = Phase::Stream;
        self.progress.status = head.status;
        self.check_status(head.status)?;
        let threshold = self.request.policy().use_server_errors;
        if threshold.is_some_and(|threshold| head.status >= threshold) {
            self.replaced = Some(head.status);
            jk_log!(
                *self.request,
                Level::Debug,
                "({}) server_error: httpd's error page replaces the engine's; status={}",
                self.config.name,
                head.status
            );
            let is = |name: &[u8]| name.eq_ignore_ascii_case(b"www-authenticate");
            // Without its challenge a browser would not ask for a password.
            for (_, challenge) in head.headers().filter(|(name, _)| head.status == 401 && is(name))
            {
                self.request.add_challenge(challenge);
            }
            return Ok(());
        }
        if head.bad_reason {
            jk_log!(
                *self.request,
                Level::Warn,
                "({}) bad_reason: the engine's reason phrase has a control character; the \
                 standard phrase is used; status={}",
                self.config.name,
                head.status
            );
        }
        if head.has_transfer_encoding {
            jk_log!(
                *self.request,
                Level::Warn,
                "({}) dropped_header: the engine sent Transfer-Encoding, which has no meaning \
                 in AJP13; httpd frames the response itself",
                self.config.name
            );
        }
        let cookie = self.cookie.map(|cookie| (&b"Set-Cookie"[..], cookie));
        self.request.start_response(head, headers::returned(head).chain(cookie));
        if self.flush.header {
            self.request.flush().map_err(Failure::Response)?;
        }
        Ok(())
    }

    /// `fail_on_status` of the rule, or else of the worker.
    fn check_status(&self, status: u16) -> Result<(), Failure> {
        let of_rule = self.request.policy().fail_on_status.filter(|list| !list.is_empty());
        let list = of_rule.unwrap_or(&self.config.fail_on_status);
        let text = || {
            let statuses: Vec<String> = list.statuses().iter().map(i32::to_string).collect();
            statuses.join(",")
        };
        match list.failure(status) {
            None => Ok(()),
            Some(StatusFailure::Engine) => Err(Failure::StatusFatal { status, list: text() }),
            Some(StatusFailure::Request) => Err(Failure::Status { status, list: text() }),
        }
    }

    /// Why the rest of an answer is not read that the client does not get.
    #[cold]
    pub(super) fn log_unwanted(&self, failure: &Failure) {
        if matches!(failure, Failure::ReplyTimeout(_)) {
            return;
        }
        jk_log!(
            *self.request,
            Level::Warn,
            "({}) {}: {failure}; httpd's error page replaces the answer, whatever its rest",
            self.config.name,
            failure.event(self.progress.phase)
        );
    }
}
