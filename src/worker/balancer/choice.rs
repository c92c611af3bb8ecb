//! The member for a request [6.4].
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::address::Address;
use super::group::{Group, Seat};
use super::method::Part;
use super::sticky::Session;
use crate::config::balancer::{Activation, BalanceMethod};

/// What a request says about the member that it wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    pub session: Session,
    /// The request opens no session, so that any member will do.
    pub stateless: bool,
    /// What the rule says about the activation of each member, in their order; may be shorter.
    pub activations: Vec<Option<Activation>>,
    /// The client's address, where it decides.
    pub address: Option<Address>,
}

/// What a request has found out on its way about members, beyond their states.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<(usize, Mark)>);

/// Why a request does not go to a member that others may go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It has failed in this round, or another request was faster.
    Failed,
    /// It may have executed the request.
    Spent,
    /// It was full when the request came to it.
    Full,
}

impl Marks {
    pub(super) fn add(&mut self, place: usize, mark: Mark) {
        self.0.push((place, mark));
    }

    /// Forgets all but who may have executed the request.
    pub(super) fn begin_round(&mut self) {
        self.0.retain(|(_, mark)| *mark == Mark::Spent);
    }

    /// Forgets that these have failed.
    pub(super) fn forgive(&mut self, places: &[usize]) {
        self.0.retain(|(place, mark)| *mark != Mark::Failed || !places.contains(place));
    }

    /// Whether a member cannot be had, however many requests it has.
    fn is_out(&self, place: usize) -> bool {
        self.0.iter().any(|(marked, mark)| *marked == place && *mark != Mark::Full)
    }

    fn is_full(&self, place: usize) -> bool {
        self.0.contains(&(place, Mark::Full))
    }
}

/// A member that was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its place.
    pub place: usize,
    /// Whether the client will find it again without being told.
    pub is_sticky: bool,
    /// Whether it was found by its domain, which is then told the engine instead of the route.
    pub by_domain: bool,
    /// Whether a route was known and its member could not be had.
    pub is_moved: bool,
}

impl Choice {
    fn plain(place: usize) -> Self {
        Self { place, is_sticky: false, by_domain: false, is_moved: false }
    }
}

/// Why there is no member for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChoice {
    /// None is usable.
    NoMember,
    /// The member of the session is not usable, and no other one may take it
    /// (`sticky_session_force`).
    SessionHeld,
    /// There would be one but for `max_inflight`.
    Full(Full),
}

/// Who has as many requests as may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All members together.
    Balancer,
    /// Each member that could have the request.
    Members,
    /// The member that the request's session leads to.
    Member(usize),
}

/// What makes one member better than another, the smallest goes first: its distance, then its load.
type Rank = (i32, u64);

impl Wish {
    /// Which requests a member gets, by the rule or else its own setting.
    pub(super) fn activation(&self, place: usize, seat: &Seat<'_>) -> Activation {
        self.activations.get(place).copied().flatten().unwrap_or_else(|| seat.activation())
    }

    /// Whether a response may bring a session of its own.
    pub(super) fn opens_session(&self) -> bool {
        !self.stateless && !matches!(self.session, Session::Routes(_))
    }
}

/// The members as one request sees them.
struct View<'v> {
    group: &'v Group,
    wish: &'v Wish,
    marks: &'v Marks,
    now: u64,
}

impl Group {
    /// Chooses a member. `marks`: what the request knows of members beyond their states. `now`:
    /// seconds since 1970.
    pub(super) fn choose(&self, wish: &Wish, marks: &Marks, now: u64) -> Result<Choice, NoChoice> {
        let view = View { group: self, wish, marks, now };
        if self.config.members.len() == 1 {
            if !view.is_open_to_sessions(0) {
                return Err(NoChoice::NoMember);
            }
            if view.activation(0) != Some(Activation::Disabled) {
                view.unless_full(0)?;
                return Ok(Choice { is_sticky: true, ..Choice::plain(0) });
            }
        }
        let mut is_moved = false;
        if let Session::Routes(routes) = &wish.session {
            for route in routes {
                if let Some(choice) = view.by_route(route)? {
                    return Ok(choice);
                }
            }
            if self.config.sticky_session_force {
                return Err(NoChoice::SessionHeld);
            }
            is_moved = routes.iter().any(|route| view.with_route(route).is_some());
        }
        let found = match view.by_load() {
            Ok(Some(place)) => Choice::plain(place),
            none => match (view.standby()?, none) {
                (Some(choice), _) => choice,
                (None, Err(full)) => return Err(full),
                (None, Ok(_)) => return Err(NoChoice::NoMember),
            },
        };
        Ok(Choice { is_moved, ..found })
    }
}

impl View<'_> {
    fn activation(&self, place: usize) -> Option<Activation> {
        let seat = self.group.seat(place)?;
        Some(self.wish.activation(place, &seat))
    }

    fn is_usable(&self, place: usize, seat: &Seat<'_>) -> bool {
        seat.state.state().is_usable() && !self.marks.is_out(place)
    }

    /// Whether it takes requests of any kind.
    fn is_open(&self, place: usize, seat: &Seat<'_>) -> bool {
        self.is_usable(place, seat) && self.wish.activation(place, seat) == Activation::Active
    }

    /// Whether it takes requests of its own sessions.
    fn is_open_to_sessions(&self, place: usize) -> bool {
        let Some(seat) = self.group.seat(place) else { return false };
        let is_stopped = self.wish.activation(place, &seat) == Activation::Stopped;
        self.is_usable(place, &seat) && !is_stopped
    }

    fn is_full(&self, place: usize, seat: &Seat<'_>) -> bool {
        let limit = seat.config.worker.max_inflight;
        seat.worker.inflight.is_full(limit) || self.marks.is_full(place)
    }

    /// Whose session is there would lose it elsewhere.
    fn unless_full(&self, place: usize) -> Result<(), NoChoice> {
        let is_full = self.group.seat(place).is_some_and(|seat| self.is_full(place, &seat));
        if is_full { Err(NoChoice::Full(Full::Member(place))) } else { Ok(()) }
    }

    /// The member that has a route.
    fn with_route(&self, route: &[u8]) -> Option<usize> {
        self.group.seats().position(|seat| seat.config.route.as_bytes() == route)
    }

    /// What speaks against a member: what it has had of the load, or how far it is from the client's
    /// address.
    fn load(&self, seat: &Seat<'_>) -> u64 {
        match self.wish.address {
            // Numbers from zero up are in the order of their bits.
            Some(address) => address.distance(seat.seed, seat.config.lbfactor).max(0.0).to_bits(),
            None => self.group.load_at(seat, self.now),
        }
    }

    /// Whether a member has not come to its full share and leaves a request to others that would be
    /// its own, where its load does not see to that.
    fn is_late(&self, place: usize) -> bool {
        let Some(seat) = self.group.seat(place) else { return false };
        if let Some(address) = self.wish.address {
            let is_among = |part: Part| address.is_among(seat.seed, part.part, part.whole);
            return !self.group.part(&seat, self.now).is_none_or(is_among);
        }
        let is_busyness = self.group.config.method == BalanceMethod::Busyness;
        (is_busyness || self.wish.stateless) && self.group.leaves_to_others(&seat, self.now)
    }

    /// The best member of a domain, which is what stands before the first dot.
    fn by_domain(&self, route_or_domain: &[u8]) -> Result<Option<usize>, NoChoice> {
        let domain = route_or_domain.split(|byte| *byte == b'.').next().unwrap_or_default();
        let of_domain = |(_, seat): &(usize, Seat<'_>)| {
            !seat.config.domain.is_empty() && seat.config.domain.as_bytes() == domain
        };
        let members = self.group.seats().enumerate().filter(of_domain);
        let mut best: Option<(usize, Rank)> = None;
        let mut is_any_full = false;
        for (place, seat) in members.filter(|(place, seat)| self.is_open(*place, seat)) {
            if self.is_full(place, &seat) {
                is_any_full = true;
                continue;
            }
            let rank = (seat.config.distance, self.load(&seat));
            if best.is_none_or(|(_, least)| rank < least) {
                best = Some((place, rank));
            }
        }
        match best {
            None if is_any_full => Err(NoChoice::Full(Full::Members)),
            best => Ok(best.map(|(place, _)| place)),
        }
    }

    /// The member of a session's route, or who may take its place.
    fn by_route(&self, route: &[u8]) -> Result<Option<Choice>, NoChoice> {
        let Some(owner) = self.with_route(route) else {
            let place = self.by_domain(route)?;
            return Ok(place.map(|place| Choice { by_domain: true, ..Choice::plain(place) }));
        };
        if self.is_open_to_sessions(owner) {
            self.unless_full(owner)?;
            return Ok(Some(Choice { is_sticky: true, ..Choice::plain(owner) }));
        }
        let Some(Seat { config: member, .. }) = self.group.seat(owner) else { return Ok(None) };
        if self.group.config.sticky_session_force {
            return Ok(None);
        }
        let moved = |place| Choice { is_moved: true, ..Choice::plain(place) };
        if !member.redirect.is_empty() {
            let substitute = self.with_route(member.redirect.as_bytes());
            let Some(place) = substitute.filter(|place| self.is_open_to_sessions(*place)) else {
                return Ok(None);
            };
            self.unless_full(place)?;
            return Ok(Some(moved(place)));
        }
        if member.domain.is_empty() {
            return Ok(None);
        }
        let place = self.by_domain(member.domain.as_bytes())?;
        Ok(place.map(|place| Choice { by_domain: true, ..moved(place) }))
    }

    /// The nearest member with the least load; among equals the first after the one that was taken
    /// last.
    fn by_load(&self) -> Result<Option<usize>, NoChoice> {
        let Some(first) = self.best(&[])? else { return Ok(None) };
        let (mut place, (distance, _)) = first;
        if self.is_late(place) {
            let mut late = vec![place];
            // Who is farther away is not better for that.
            while let Ok(Some((next, (same, _)))) = self.best(&late)
                && same == distance
            {
                if !self.is_late(next) {
                    place = next;
                    break;
                }
                late.push(next);
            }
        }
        self.group.offset.store(place.saturating_add(1), Ordering::Relaxed);
        Ok(Some(place))
    }

    /// The best of all members but for some.
    fn best(&self, but: &[usize]) -> Result<Option<(usize, Rank)>, NoChoice> {
        let count = self.group.config.members.len();
        let offset = self.group.offset.load(Ordering::Relaxed).checked_rem(count);
        let offset = offset.unwrap_or_default();
        let ignores_load = self.wish.stateless && self.wish.address.is_none();
        let mut best: Option<(usize, Rank, usize)> = None;
        let mut is_any_full = false;
        for (place, seat) in self.group.seats().enumerate() {
            if !self.is_open(place, &seat) || but.contains(&place) {
                continue;
            }
            if self.is_full(place, &seat) {
                is_any_full = true;
                continue;
            }
            let load = if ignores_load { 0 } else { self.load(&seat) };
            let rank = (seat.config.distance, load);
            // How far behind the one that was taken last.
            let turn = match place.checked_sub(offset) {
                Some(turn) => turn,
                None => place.saturating_add(count),
            };
            if best.is_none_or(|(_, least, first)| (rank, turn) < (least, first)) {
                best = Some((place, rank, turn));
            }
        }
        match best {
            None if is_any_full => Err(NoChoice::Full(Full::Members)),
            best => Ok(best.map(|(place, rank, _)| (place, rank))),
        }
    }

    /// Who is named as a member's substitute, where nobody else is left: so a disabled member can
    /// stand by.
    fn standby(&self) -> Result<Option<Choice>, NoChoice> {
        let mut redirects = self.group.config.members.iter().map(|member| &member.redirect);
        let Some(redirect) = redirects.find(|redirect| !redirect.is_empty()) else {
            return Ok(None);
        };
        let choice = self.by_route(redirect.as_bytes())?;
        Ok(choice.map(|choice| Choice { is_sticky: false, ..choice }))
    }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
