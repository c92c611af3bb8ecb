//! What the log is told of a request: one line if it fails or has needed several attempts, and one
//! for each connection that is given up.
#![forbid(unsafe_code)]

use std::fmt::{self, Display};
use std::time::Instant;

use super::endpoint::Connection;
use super::error::{Failure, Phase};
use super::forward::{Outcome, Serving};
use crate::ajp::exchange::CloseReason;
use crate::config::WorkerName;
use crate::host::{BodyError, Request, ResponseError};
use crate::jk_log;
use crate::log::Level;
use crate::net::{IdleState, Notice};

/// How far a request had got that is refused before an engine was chosen, in the words of the lines
/// about requests that failed.
pub const UNSENT: &str = "phase=prepare in=0 out=0 body=0 tries=0";

/// Attempts that are named one by one; of further ones only the number.
const NAMED: usize = 16;

/// The attempts of one request that failed and were followed by another one, at all engines.
#[derive(Debug, Default)]
pub(in crate::worker) struct Tried {
    /// Worker, event, and how often in a row.
    list: Vec<(String, &'static str, u32)>,
    more: u32,
}

impl Tried {
    fn add(&mut self, worker: &WorkerName, event: &'static str) {
        let name = worker.to_string();
        if let Some((last, same, times)) = self.list.last_mut()
            && *last == name
            && *same == event
        {
            *times = times.saturating_add(1);
        } else if self.list.len() < NAMED {
            self.list.push((name, event, 1));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(in crate::worker) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// ` tried=a:connect_refused*2,b:eof_before_head`, or nothing where there was none.
impl Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (worker, event, times)) in self.list.iter().enumerate() {
            let before = if place == 0 { " tried=" } else { "," };
            write!(f, "{before}{worker}:{event}")?;
            if *times > 1 {
                write!(f, "*{times}")?;
            }
        }
        if self.more > 0 {
            write!(f, ",+{}", self.more)?;
        }
        Ok(())
    }
}

impl<R: Request> Serving<'_, '_, R> {
    /// The last word on a request that failed.
    #[cold]
    pub(super) fn give_up(&mut self, failure: &Failure) -> Outcome {
        let phase = self.progress.phase;
        let (outcome, words) = match failure {
            Failure::Response(ResponseError::Answered(status))
            | Failure::ClientBody { source: BodyError::Answered(status), .. } => {
                (Outcome::Answered, format!("{status} by httpd"))
            }
            _ if self.request.is_committed() => {
                self.request.abort(failure.event(phase));
                match failure {
                    Failure::Response(ResponseError::ClientGone) => {
                        (Outcome::ClientGone, "client gone".to_owned())
                    }
                    _ => (Outcome::Aborted, "aborted".to_owned()),
                }
            }
            _ => {
                self.request.retract();
                match failure.http_status() {
                    Some(status) => (Outcome::Refused(status), status.to_string()),
                    None => (Outcome::ClientGone, "client gone".to_owned()),
                }
            }
        };
        let (id, carried) = self.connection;
        let balancer = match self.routing.balancer {
            Some(name) => format!(" balancer={name}"),
            None => String::new(),
        };
        jk_log!(
            *self.request,
            failure.level(),
            "({}) {}: {failure}; peer={} conn={id}/{carried} {} tries={} outcome={words}{balancer}{}",
            self.worker.name(),
            failure.event(phase),
            self.worker.peer(),
            self.progress,
            self.tries,
            self.parcel.tried
        );
        self.hint_at_failure(failure);
        outcome
    }

    /// Notes an attempt that is followed by another one here.
    pub(super) fn log_retry(&mut self, failure: &Failure) {
        self.log_attempt("retry", failure);
    }

    /// Leaves the request as another worker wants it, and notes why it gets it.
    #[cold]
    pub(super) fn pass_on(&mut self, failure: &Failure) {
        self.log_attempt("member_failed", failure);
        self.parcel.got = self.progress;
        self.parcel.tries = self.parcel.tries.saturating_add(self.tries);
        if self.progress.phase == Phase::Stream {
            self.request.retract();
        }
    }

    #[cold]
    fn log_attempt(&mut self, name: &str, failure: &Failure) {
        let (id, carried) = self.connection;
        let event = failure.event(self.progress.phase);
        jk_log!(
            *self.request,
            Level::Debug,
            "({}) {name}: {event}: {failure}; peer={} conn={id}/{carried} tries={}",
            self.worker.name(),
            self.worker.peer(),
            self.tries
        );
        self.parcel.tried.add(self.worker.name(), event);
        self.hint_at_failure(failure);
    }

    /// Says that a request was answered after attempts that failed.
    pub(super) fn log_retried(&self) {
        if !self.parcel.tried.is_empty() {
            jk_log!(
                *self.request,
                Level::Info,
                "({}) retried: the request was answered after attempts that failed; peer={} \
                 tries={}{}",
                self.worker.name(),
                self.worker.peer(),
                self.tries,
                self.parcel.tried
            );
        }
    }

    /// Notes an idle connection that cannot be used.
    #[cold]
    pub(super) fn log_stale(&self, connection: &Connection, state: IdleState) {
        let (level, text) = match state {
            IdleState::Quiet => return,
            IdleState::Closed => (Level::Debug, "stale_conn: the engine has closed"),
            IdleState::UnexpectedBytes => {
                (Level::Error, "unexpected_bytes: the engine sent something unasked on")
            }
        };
        let idle = connection.idle_time(Instant::now());
        jk_log!(
            *self.request,
            level,
            "({}) {text} an idle connection; another one is used; conn={}/{} idle={}s",
            self.worker.name(),
            connection.id,
            connection.carried,
            idle.as_secs()
        );
        if state == IdleState::Closed {
            self.hint_stale(idle);
        }
    }

    /// Puts the idle connections that an attempt has found dead, before it failed, among what was
    /// tried.
    #[cold]
    pub(super) fn note_given_up(&mut self) {
        for (why, _) in self.given_up.iter().skip(self.noted) {
            self.parcel.tried.add(self.worker.name(), why.event());
        }
        self.noted = self.given_up.len();
    }

    /// Tells of the idle connections that were found dead by a ping, unless a line that is as loud
    /// names them among what was tried.
    #[cold]
    pub(super) fn log_given_up(&self, result: &Result<Outcome, Failure>) {
        let is_told = matches!(result, Err(failure) if failure.level() >= Level::Warn);
        let level = if is_told { Level::Debug } else { Level::Warn };
        for (why, (id, carried)) in &self.given_up {
            jk_log!(
                *self.request,
                level,
                "({}) {}: an idle connection is given up: {why}; conn={id}/{carried}",
                self.worker.name(),
                why.event()
            );
        }
    }

    /// Notes what was odd about a name or an address.
    #[cold]
    pub(super) fn log_notice(&self, notice: &Notice) {
        let level = match notice {
            Notice::Fallback(_) | Notice::Moved { .. } => Level::Info,
            Notice::Outdated { .. } | Notice::NoSource { .. } => Level::Warn,
        };
        jk_log!(*self.request, level, "({}) {}: {notice}", self.worker.name(), notice.event());
        self.hint_at_notice(notice);
    }

    #[cold]
    pub(super) fn log_close(&self, reason: CloseReason) {
        let level = match reason {
            CloseReason::UnexpectedBytes => Level::Error,
            _ if reason.is_fault() => Level::Warn,
            _ => Level::Debug,
        };
        self.log_closed(level, format_args!("{}: {}", reason.event(), reason.sentence()));
    }

    #[cold]
    pub(super) fn log_closed(&self, level: Level, why: impl Display) {
        let (id, carried) = self.connection;
        jk_log!(
            *self.request,
            level,
            "({}) {why}; the connection is closed, the response is complete; conn={id}/{carried}",
            self.worker.name()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_not_sent_has_got_nowhere() {
        let nowhere = crate::worker::exchange::Progress::new();
        assert_eq!(UNSENT, format!("{nowhere} tries=0"));
    }

    #[test]
    fn attempts_are_named_in_their_order() {
        let name = |name: &str| WorkerName::new(name.as_bytes()).unwrap();
        let mut tried = Tried::default();
        assert_eq!(tried.to_string(), "");
        tried.add(&name("a"), "connect_refused");
        tried.add(&name("a"), "connect_refused");
        tried.add(&name("b"), "eof_before_head");
        assert_eq!(tried.to_string(), " tried=a:connect_refused*2,b:eof_before_head");
        for member in 0..100 {
            tried.add(&name(&format!("m{member}")), "connect_timeout");
        }
        assert!(tried.to_string().ends_with(",m13:connect_timeout,+86"), "{tried}");
    }
}
