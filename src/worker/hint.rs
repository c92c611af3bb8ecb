//! Hints where an engine's behaviour shows which setting is wrong, in lines of their own and each at
//! most once a minute (spec/reliability.md 4 and 5.5).
#![forbid(unsafe_code)]

use std::time::Duration;

use super::error::{Failure, Phase};
use super::forward::Serving;
use crate::ajp::exchange::CloseReason;
use crate::config::{PacketSize, Target};
use crate::host::Request;
use crate::jk_log;
use crate::log::Level;
use crate::net::{ConnectError, Notice};
use crate::shared::Hint;

/// Most bytes of the names of attributes in a hint.
const MOST_NAMES: usize = 300;

impl<R: Request> Serving<'_, '_, R> {
    fn is_due(&self, hint: Hint) -> bool {
        self.worker.state().is_some_and(|state| state.hints.is_due(hint, self.request.now()))
    }

    /// Looks at an answer after which the connection is closed: so Tomcat ends those that no application
    /// has given, on the first request of a connection where it does not know the secret.
    #[cold]
    pub(super) fn hint_at_answer(&self, reason: CloseReason) {
        let (_, carried) = self.connection;
        match (self.progress.status, reason) {
            (403, CloseReason::EngineAsked) if carried == 0 => {
                if self.request.facts().environment.is_empty() {
                    self.hint_secret();
                } else {
                    self.hint_attribute();
                }
            }
            (400, CloseReason::EngineAsked) => self.hint_packet_size(),
            // Where an application could not read the body, and the rest of it made no sense.
            (500, CloseReason::EngineAsked | CloseReason::NoEnd) => self.hint_packet_size(),
            _ => {}
        }
    }

    fn hint_secret(&self) {
        if !self.is_due(Hint::Secret) {
            return;
        }
        let name = self.worker.name();
        let cause = match self.worker.config.secret {
            Some(_) => "its secret is probably another one than the worker's",
            None => "it probably asks for a secret, and the worker has none",
        };
        jk_log!(
            *self.request,
            Level::Warn,
            "({name}) hint_secret: the engine answers 403 and closes the connection: {cause}; set \
             worker.{name}.secret to the text of secret in its AJP connector"
        );
    }

    fn hint_attribute(&self) {
        if !self.is_due(Hint::Attribute) {
            return;
        }
        let name = self.worker.name();
        let mut names = String::new();
        for (attribute, _) in self.request.facts().environment {
            let attribute = attribute.escape_ascii().to_string();
            if names.len().saturating_add(attribute.len()) > MOST_NAMES {
                names.push_str(",...");
                break;
            }
            if !names.is_empty() {
                names.push(',');
            }
            names.push_str(&attribute);
        }
        jk_log!(
            *self.request,
            Level::Warn,
            "({name}) hint_attribute: the engine answers 403 and closes the connection: it probably \
             refuses a request attribute of JkEnvVar; allow them in allowedRequestAttributesPattern \
             of its AJP connector, or else compare worker.{name}.secret; attributes={names}"
        );
    }

    /// Where a packet was larger than one that every engine takes.
    fn hint_packet_size(&self) {
        let most = PacketSize::MIN.bytes();
        let sent = self.parcel.largest_packet();
        if sent <= most || !self.is_due(Hint::PacketSize) {
            return;
        }
        let name = self.worker.name();
        jk_log!(
            *self.request,
            Level::Warn,
            "({name}) hint_packet_size: the engine refuses a packet of {sent} bytes: its packets are \
             probably smaller than worker.{name}.max_packet_size; set packetSize of its AJP connector \
             to {} as well",
            self.worker.config.packet_size.bytes()
        );
    }

    /// Looks at an attempt that failed.
    #[cold]
    pub(super) fn hint_at_failure(&self, failure: &Failure) {
        let nothing_came = self.progress.received == 0;
        match failure {
            Failure::Connect(ConnectError::Resolve { host, .. }) => self.hint_unresolved(host),
            Failure::Closed { partial: 0, .. } | Failure::Reset(_) | Failure::BodySend(_)
                if nothing_came && self.progress.phase <= Phase::Head =>
            {
                self.hint_packet_size();
            }
            _ => {}
        }
    }

    /// Looks at an idle connection that the engine had closed before a request could use it.
    #[cold]
    pub(super) fn hint_stale(&self, idle: Duration) {
        let (name, now) = (self.worker.name(), self.request.now());
        let is_habit = self.worker.state().is_some_and(|state| state.hints.is_habit(now));
        if !is_habit || !self.is_due(Hint::Stale) {
            return;
        }
        let own = match self.worker.config.pool_idle_timeout {
            Some(timeout) => timeout.as_secs().to_string(),
            None => "not set".to_owned(),
        };
        jk_log!(
            *self.request,
            Level::Warn,
            "({name}) hint_stale: again and again the engine has closed idle connections, the last \
             one after {} s at most; set worker.{name}.connection_pool_timeout (now: {own}) to fewer \
             seconds than keepAliveTimeout of its AJP connector, or raise that",
            idle.as_secs().saturating_add(1)
        );
    }

    /// Looks at what was odd about a name.
    #[cold]
    pub(super) fn hint_at_notice(&self, notice: &Notice) {
        match notice {
            Notice::Outdated { host, .. } => self.hint_unresolved(host),
            Notice::Fallback(attempts) => {
                let Target::Tcp { host, .. } = &self.worker.config.target else { return };
                if !self.is_due(Hint::Resolver) {
                    return;
                }
                let name = self.worker.name();
                jk_log!(
                    *self.request,
                    Level::Warn,
                    "({name}) hint_resolver: {host} has several addresses, and nothing listens on all of \
                     them ({attempts}); set worker.{name}.host to the address that the engine listens on"
                );
            }
            Notice::Moved { .. } | Notice::NoSource { .. } => {}
        }
    }

    fn hint_unresolved(&self, host: &str) {
        if !self.is_due(Hint::Resolver) {
            return;
        }
        let name = self.worker.name();
        jk_log!(
            *self.request,
            Level::Warn,
            "({name}) hint_resolver: the resolver does not know {host}; correct its spelling, its \
             entry in DNS or /etc/hosts, or set worker.{name}.host to an address"
        );
    }
}
