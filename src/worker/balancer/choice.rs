//! The member for a request [6.4].
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use super::group::{Group, Seat};
use super::sticky::Session;
use crate::config::balancer::Activation;
use crate::shared::State;

/// What a request says about the member that it wants.
#[derive(Debug, Clone, Default)]
pub(super) struct Wish {
    pub session: Session,
    /// The request opens no session, so that any member will do.
    pub stateless: bool,
    /// What the rule says about the activation of each member, in their order; may be shorter.
    pub activations: Vec<Option<Activation>>,
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
}

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
    states: &'v [State],
}

impl Group {
    /// Chooses a member. `states`: the states of all members as the request sees them.
    pub(super) fn choose(&self, wish: &Wish, states: &[State]) -> Result<Choice, NoChoice> {
        let view = View { group: self, wish, states };
        if self.config.members.len() == 1 {
            if !view.is_open_to_sessions(0) {
                return Err(NoChoice::NoMember);
            }
            if view.activation(0) != Some(Activation::Disabled) {
                return Ok(Choice { is_sticky: true, ..Choice::plain(0) });
            }
        }
        let mut is_moved = false;
        if let Session::Routes(routes) = &wish.session {
            if let Some(choice) = routes.iter().find_map(|route| view.by_route(route)) {
                return Ok(choice);
            }
            if self.config.sticky_session_force {
                return Err(NoChoice::SessionHeld);
            }
            is_moved = routes.iter().any(|route| view.with_route(route).is_some());
        }
        let found = view.by_load().map(Choice::plain).or_else(|| view.standby());
        found.map(|choice| Choice { is_moved, ..choice }).ok_or(NoChoice::NoMember)
    }
}

impl View<'_> {
    fn activation(&self, place: usize) -> Option<Activation> {
        let seat = self.group.seat(place)?;
        Some(self.wish.activation(place, &seat))
    }

    fn is_usable(&self, place: usize) -> bool {
        self.states.get(place).is_some_and(|state| state.is_usable())
    }

    /// Whether it takes requests of any kind.
    fn is_open(&self, place: usize) -> bool {
        self.is_usable(place) && self.activation(place) == Some(Activation::Active)
    }

    /// Whether it takes requests of its own sessions.
    fn is_open_to_sessions(&self, place: usize) -> bool {
        let is_stopped = self.activation(place).is_none_or(|a| a == Activation::Stopped);
        self.is_usable(place) && !is_stopped
    }

    /// The member that has a route.
    fn with_route(&self, route: &[u8]) -> Option<usize> {
        self.group.seats().position(|seat| seat.config.route.as_bytes() == route)
    }

    /// The best member of a domain, which is what stands before the first dot.
    fn by_domain(&self, route_or_domain: &[u8]) -> Option<usize> {
        let domain = route_or_domain.split(|byte| *byte == b'.').next().unwrap_or_default();
        let of_domain = |(_, seat): &(usize, Seat<'_>)| {
            !seat.config.domain.is_empty() && seat.config.domain.as_bytes() == domain
        };
        let members = self.group.seats().enumerate().filter(of_domain);
        let open = members.filter(|(place, _)| self.is_open(*place));
        let rank = |(_, seat): &(usize, Seat<'_>)| (seat.config.distance, self.group.load(seat));
        open.min_by_key(rank).map(|(place, _)| place)
    }

    /// The member of a session's route, or who may take its place.
    fn by_route(&self, route: &[u8]) -> Option<Choice> {
        let Some(owner) = self.with_route(route) else {
            let place = self.by_domain(route)?;
            return Some(Choice { by_domain: true, ..Choice::plain(place) });
        };
        if self.is_open_to_sessions(owner) {
            return Some(Choice { is_sticky: true, ..Choice::plain(owner) });
        }
        if self.group.config.sticky_session_force {
            return None;
        }
        let member = &self.group.seat(owner)?.config;
        let moved = |place| Choice { is_moved: true, ..Choice::plain(place) };
        if !member.redirect.is_empty() {
            let place = self.with_route(member.redirect.as_bytes())?;
            return self.is_open_to_sessions(place).then(|| moved(place));
        }
        if member.domain.is_empty() {
            return None;
        }
        let place = self.by_domain(member.domain.as_bytes())?;
        Some(Choice { by_domain: true, ..moved(place) })
    }

    /// The nearest member with the least load; among equals the first after the one that was taken
    /// last.
    fn by_load(&self) -> Option<usize> {
        let count = self.group.config.members.len();
        let offset = self.group.offset.load(Ordering::Relaxed).checked_rem(count)?;
        let mut best: Option<(usize, i32, u64)> = None;
        for place in (offset..count).chain(0..offset) {
            if !self.is_open(place) {
                continue;
            }
            let Some(seat) = self.group.seat(place) else { continue };
            let (distance, load) = (seat.config.distance, self.group.load(&seat));
            let is_better = best.is_none_or(|(_, nearest, least)| {
                distance < nearest || distance == nearest && !self.wish.stateless && load < least
            });
            if is_better {
                best = Some((place, distance, load));
            }
        }
        let (place, _, _) = best?;
        self.group.offset.store(place.saturating_add(1), Ordering::Relaxed);
        Some(place)
    }

    /// Who is named as a member's substitute, where nobody else is left: so a disabled member can
    /// stand by.
    fn standby(&self) -> Option<Choice> {
        let mut redirects = self.group.config.members.iter().map(|member| &member.redirect);
        let redirect = redirects.find(|redirect| !redirect.is_empty())?;
        self.by_route(redirect.as_bytes()).map(|choice| Choice { is_sticky: false, ..choice })
    }
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
