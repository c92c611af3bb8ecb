//! What engine, client and log are told about the choice of a member, and about the members.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::choice::{Choice, Full, NoChoice, Wish};
use super::group::Seat;
use super::serve::Balancer;
use super::state::Flip;
use super::sticky::{Session, opened};
use crate::config::WorkerName;
use crate::config::balancer::Activation;
use crate::host::Request;
use crate::jk_log;
use crate::log::{Level, Log};
use crate::shared::State;
use crate::worker::forward::Parcel;
use crate::worker::report::Tried;

/// What the log is told about a request of a balancer.
#[derive(Debug, Default)]
pub struct Report<'b> {
    /// The route that the last engine was told.
    pub route: Option<Vec<u8>>,
    /// The first member after its part.
    pub first: Option<Snapshot<'b>>,
    /// The last member after its part.
    pub last: Option<Snapshot<'b>>,
}

/// A member at a moment (spec/mod_jk.md 1.8).
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'b> {
    /// Its name.
    pub name: &'b WorkerName,
    /// What it has had of the load.
    pub value: u64,
    /// Requests that it was chosen for.
    pub accessed: u64,
    /// Sessions opened there, as far as one can tell.
    pub sessions: u64,
    /// Bytes received from it.
    pub read: u64,
    /// Bytes sent to it.
    pub transferred: u64,
    /// Failures.
    pub errors: u32,
    /// Requests that it is serving.
    pub busy: u32,
    /// `ACT`, `DIS` or `STP`.
    pub activation: &'static str,
    /// As [`State::text`].
    pub state: &'static str,
}

impl Balancer {
    /// The route that an engine is told. `is_elsewhere`: another member should have had the request.
    pub(super) fn route<'r>(
        &self,
        seat: &Seat<'r>,
        choice: Choice,
        asked: Option<&'r [u8]>,
        is_elsewhere: bool,
    ) -> &'r [u8] {
        let own = seat.config.route.as_bytes();
        let is_known = |route: &[u8]| {
            self.config().members.iter().any(|member| member.route.as_bytes() == route)
        };
        match asked {
            _ if choice.by_domain => seat.config.domain.as_bytes(),
            // As in C mod_jk an administrator may tell an engine any route.
            Some(route) if !is_elsewhere || !is_known(route) => route,
            _ => own,
        }
    }

    /// The cookie that leads the client back to a member [6.8].
    pub(super) fn cookie<R: Request>(
        &self,
        seat: &Seat<'_>,
        choice: Choice,
        request: &R,
    ) -> Option<Vec<u8>> {
        let (config, policy) = (self.config(), request.policy().balancing);
        if choice.is_sticky || !(policy.set_session_cookie || config.set_session_cookie) {
            return None;
        }
        let name = policy.session_cookie.unwrap_or(config.session_cookie.as_bytes());
        let path = policy.session_cookie_path.unwrap_or(config.session_cookie_path.as_bytes());
        let mut cookie = [name, b"=.", seat.config.route.as_bytes()].concat();
        if !path.is_empty() {
            cookie.extend_from_slice(b";PATH=");
            cookie.extend_from_slice(path);
        }
        cookie.extend_from_slice(b";HttpOnly");
        if request.facts().tls.is_some() {
            cookie.extend_from_slice(b";Secure");
        }
        Some(cookie)
    }

    /// The route of a session that an engine has just opened and that no member has; empty for a
    /// session without one. `None`: every session will be found again. `cookies`: values of Set-Cookie.
    /// `name`: the cookie of the rule.
    pub fn foreign_route<'c>(
        &self,
        mut cookies: impl Iterator<Item = &'c [u8]>,
        name: Option<&[u8]>,
    ) -> Option<&'c [u8]> {
        let config = self.config();
        if !config.sticky_session || config.members.len() < 2 {
            return None;
        }
        let name = name.unwrap_or(config.session_cookie.as_bytes());
        let is_known = |route: &[u8]| {
            let domain = route.split(|byte| *byte == b'.').next().unwrap_or_default();
            config.members.iter().any(|member| {
                let own = member.domain.as_bytes();
                member.route.as_bytes() == route || !own.is_empty() && own == domain
            })
        };
        cookies.find_map(|cookie| opened(cookie, name).filter(|route| !is_known(route)))
    }

    pub(super) fn snapshot<'s>(&self, seat: &Seat<'s>) -> Snapshot<'s> {
        let (state, worker) = (seat.state, seat.worker);
        Snapshot {
            name: &seat.config.worker.name,
            value: self.group.load(seat),
            accessed: worker.used.load(Ordering::Relaxed),
            sessions: state.sessions.load(Ordering::Relaxed),
            read: worker.read.load(Ordering::Relaxed),
            transferred: worker.transferred.load(Ordering::Relaxed),
            errors: state.errors.load(Ordering::Relaxed),
            busy: worker.busy.load(Ordering::Relaxed),
            activation: text(seat.activation()),
            state: state.state().text(),
        }
    }

    /// Says where a request goes that does not go where it should have.
    pub(super) fn log_choice<R: Request>(
        &self,
        request: &R,
        wish: &Wish,
        seat: &Seat<'_>,
        choice: Choice,
    ) {
        let (lb, to) = (&self.config().name, &seat.config.worker.name);
        if choice.is_moved {
            jk_log!(
                *request,
                Level::Info,
                "({lb}) session_moved: the member of the session is not available; to={to}"
            );
        } else if !choice.is_sticky && matches!(wish.session, Session::Routes(_)) {
            jk_log!(
                *request,
                Level::Debug,
                "({lb}) sticky_miss: no member has the route of the session; to={to}"
            );
        }
    }

    /// Says that a request was answered by another member than the first one.
    pub(super) fn log_failover<R: Request>(&self, request: &R, to: &WorkerName, tried: &Tried) {
        jk_log!(
            *request,
            Level::Warn,
            "({}) failover: a member failed, another one has answered the request; to={to}{tried}",
            self.config().name
        );
    }

    /// Tells the log, and what status pages read, that a state has changed. `now`: seconds since
    /// 1970.
    pub(super) fn log_flip(&self, log: &impl Log, flip: Flip, why: &str, now: u64) {
        // Where all members are out every request tries them: that, and that nobody asks for a while,
        // would leave nothing else to read.
        let is_news = match (flip.from, flip.to) {
            (State::Force, State::Error) | (State::Error, State::Force) => false,
            (from, to) => !matches!((from, to), (State::Idle | State::Ok, State::Idle | State::Ok)),
        };
        if is_news {
            self.group.write_down(flip, why, now);
        }
        let (event, level) = match (flip.from, flip.to) {
            // Where all members are out each request tries them again: no news, and thousands of them.
            (State::Force, State::Error) => ("member_down", Level::Debug),
            (State::Error, State::Force) => ("member_recovers", Level::Debug),
            (_, State::Error) => ("member_down", Level::Warn),
            (_, State::Busy) => ("member_busy", Level::Warn),
            (State::Error | State::Probe | State::Force | State::Recover, State::Ok) => {
                ("member_up", Level::Warn)
            }
            (_, State::Recover | State::Force) => ("member_recovers", Level::Info),
            _ => ("member_state", Level::Debug),
        };
        let member = self.config().members.get(flip.place);
        jk_log!(
            *log,
            level,
            "({}) {event}: the state of a member changes: {why}; member={} from={} to={}",
            self.config().name,
            member.map_or(String::new(), |member| member.worker.name.to_string()),
            flip.from.text(),
            flip.to.text()
        );
    }

    /// Says that a request is refused because as many are in flight as may be: for all to see once a
    /// minute, and with the number of those that were refused since.
    pub(super) fn log_full<R: Request>(&self, request: &R, full: Full, parcel: &Parcel<'_>) {
        let lb = &self.config().name;
        let of_member = |seat: &Seat<'_>| {
            let limit = seat.config.worker.max_inflight.map_or("-".to_owned(), |n| n.to_string());
            let count = seat.worker.inflight.count.load(Ordering::Relaxed);
            format!("{}:{count}/{limit}", seat.config.worker.name)
        };
        let own = self.group.state().map(|state| &state.inflight);
        let (sentence, inflight, numbers) = match full {
            Full::Balancer => {
                let limit = self.config().max_inflight.unwrap_or_default();
                let count = own.map_or(0, |own| own.count.load(Ordering::Relaxed));
                (
                    "its members serve as many requests as they may together",
                    own,
                    format!("inflight={count} limit={limit}"),
                )
            }
            Full::Members => {
                let members: Vec<String> =
                    self.group.seats().map(|seat| of_member(&seat)).collect();
                (
                    "no usable member may have another request",
                    own,
                    format!("members={}", members.join(",")),
                )
            }
            Full::Member(place) => {
                let Some(seat) = self.group.seat(place) else { return };
                (
                    "the member of the session may not have another request, and elsewhere there is no \
                  session",
                    Some(&seat.worker.inflight),
                    format!("member={}", of_member(&seat)),
                )
            }
        };
        let refused = inflight.and_then(|inflight| inflight.refuse(request.now()));
        // A request that engines have failed before has no other line.
        let is_for_all = refused.is_some() || !parcel.tried.is_empty();
        let level = if is_for_all { Level::Error } else { Level::Debug };
        jk_log!(
            *request,
            level,
            "({lb}) max_inflight: {sentence}; {numbers} refused={} {} tries={} outcome=503{}",
            refused.unwrap_or(1),
            parcel.got,
            parcel.tries,
            parcel.tried
        );
    }

    pub(super) fn log_no_member<R: Request>(
        &self,
        request: &R,
        why: NoChoice,
        status: u16,
        parcel: &Parcel<'_>,
    ) {
        let (event, sentence) = match why {
            NoChoice::NoMember | NoChoice::Full(_) => {
                ("no_usable_member", "no member can take the request")
            }
            NoChoice::SessionHeld => (
                "session_held",
                "the member of the session is not available, and sticky_session_force allows no \
                 other",
            ),
        };
        let members: Vec<String> = self
            .group
            .seats()
            .map(|seat| {
                let state = seat.state.state().text();
                format!("{}:{}:{state}", seat.config.worker.name, text(seat.activation()))
            })
            .collect();
        jk_log!(
            *request,
            Level::Error,
            "({}) {event}: {sentence}; members={} {} tries={} outcome={status}{}",
            self.config().name,
            members.join(","),
            parcel.got,
            parcel.tries,
            parcel.tried
        );
    }
}

/// As the engine and the log notes are told.
pub(super) fn text(activation: Activation) -> &'static str {
    match activation {
        Activation::Active => "ACT",
        Activation::Disabled => "DIS",
        Activation::Stopped => "STP",
    }
}
