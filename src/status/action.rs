//! Commands that change something: from a query to what is to be done [7.2, 7.4].
#![forbid(unsafe_code)]

use super::query::{Command, Query};
use super::snapshot::Balancer;
use crate::config::edit::{Edit, Key};
use crate::mapping::Pattern;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Change settings, all of them or none.
    Update(Vec<Edit>),
    /// Set counters back, those of one member or of all.
    Reset(Option<usize>),
    /// Have a member tried that is in error.
    Recover(usize),
}

/// One parameter of a query, and what it sets.
pub(super) type Parameter = (&'static str, Key, &'static str);

/// Those of a balancer, as C mod_jk names them, with the words of its forms.
pub(super) const OF_BALANCER: [Parameter; 9] = [
    ("vlr", Key::LbRetries, "Retries"),
    ("vlri", Key::LbRetryInterval, "Retry Interval (ms)"),
    ("vlt", Key::RecoverTime, "Recover Wait Time (s)"),
    ("vlee", Key::ErrorEscalationTime, "Error Escalation Time (s)"),
    ("vlx", Key::MaxReplyTimeouts, "Max Reply Timeouts"),
    ("vls", Key::StickySession, "Sticky Sessions"),
    ("vlf", Key::StickySessionForce, "Force Sticky Sessions"),
    ("vlm", Key::Method, "LB Method"),
    ("vll", Key::Lock, "Locking"),
];

/// Those of a member.
pub(super) const OF_MEMBER: [Parameter; 6] = [
    ("vwa", Key::Activation, "Activation"),
    ("vwf", Key::Lbfactor, "LB Factor"),
    ("vwn", Key::Route, "Route"),
    ("vwr", Key::Redirect, "Redirect Route"),
    ("vwc", Key::Domain, "Cluster Domain"),
    ("vwd", Key::Distance, "Distance"),
];

/// Those of an engine, be it a worker or behind a member.
pub(super) const OF_ENGINE: [Parameter; 13] = [
    ("vahst", Key::Host, "Hostname"),
    ("vaprt", Key::Port, "Port"),
    ("vacpt", Key::ConnectionPoolTimeout, "Connection Pool Timeout (s)"),
    ("vapng", Key::PingTimeout, "Ping Timeout (ms)"),
    ("vact", Key::ConnectTimeout, "Connect Timeout (ms)"),
    ("vapt", Key::PrepostTimeout, "Prepost Timeout (ms)"),
    ("vart", Key::ReplyTimeout, "Reply Timeout (ms)"),
    ("var", Key::Retries, "Retries"),
    ("vari", Key::RetryInterval, "Retry Interval (ms)"),
    ("vacpi", Key::ConnectionPingInterval, "Connection Ping Interval (s)"),
    ("varo", Key::RecoveryOptions, "Recovery Options"),
    ("vabl", Key::BusyLimit, "Busy Limit"),
    ("vamps", Key::MaxPacketSize, "Max Packet Size (bytes)"),
];

/// The parameters that `att` can name: those of all members at once.
pub(super) fn of_all_members() -> impl Iterator<Item = Parameter> {
    let engine = OF_ENGINE.into_iter().filter(|(_, key, _)| !matches!(key, Key::Host | Key::Port));
    OF_MEMBER.into_iter().chain(engine)
}

/// What a change is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Subject<'a> {
    /// A balancer, or the members whose names match.
    Balancer(&'a Balancer<'a>),
    /// A worker that is one engine.
    Engine,
}

/// The action of a command.
///
/// # Errors
/// Why there is none.
pub(super) fn action(
    command: Command,
    query: &Query,
    subject: Subject<'_>,
) -> Result<Action, String> {
    let member = query.find("sw");
    match (command, subject) {
        (Command::Update, subject) => {
            let edits = update(query, subject)?;
            // Somebody who takes a member out of service must not be told that it is done.
            if edits.is_empty() {
                return Err(
                    "no setting is named that such a worker has; those of members need sw \
                            or att"
                        .to_owned(),
                );
            }
            Ok(Action::Update(edits))
        }
        (Command::Reset, Subject::Balancer(balancer)) => {
            let place = member.map(|name| places(balancer, name).first().copied());
            Ok(Action::Reset(place.flatten()))
        }
        (Command::Reset, Subject::Engine) => Ok(Action::Reset(None)),
        (Command::Recover, Subject::Balancer(balancer)) => {
            let place = member.and_then(|name| places(balancer, name).first().copied());
            place.map(Action::Recover).ok_or_else(|| "name a member as sw".to_owned())
        }
        (Command::Recover, Subject::Engine) => {
            Err("only members of a balancer can be recovered".to_owned())
        }
        _ => Err("this command changes nothing".to_owned()),
    }
}

/// The places of the members whose names match a pattern.
pub(super) fn places(balancer: &Balancer<'_>, pattern: &[u8]) -> Vec<usize> {
    let pattern = Pattern::new(pattern);
    let members = balancer.members.iter().enumerate();
    let found = members.filter(|(_, member)| pattern.matches(member.name().as_bytes()));
    found.map(|(place, _)| place).collect()
}

fn update(query: &Query, subject: Subject<'_>) -> Result<Vec<Edit>, String> {
    let given = |parameters: &[Parameter], member: Option<usize>| -> Vec<Edit> {
        let edit = |(name, key, _): &Parameter| {
            query.find(name).map(|value| Edit { member, key: *key, value: value.to_vec() })
        };
        parameters.iter().filter_map(edit).collect()
    };
    let balancer = match subject {
        Subject::Engine => return Ok(given(&OF_ENGINE, None)),
        Subject::Balancer(balancer) => balancer,
    };
    if let Some(member) = query.find("sw") {
        let edits = places(balancer, member).into_iter().flat_map(|place| {
            let mut edits = given(&OF_MEMBER, Some(place));
            edits.extend(given(&OF_ENGINE, Some(place)));
            edits
        });
        return Ok(edits.collect());
    }
    let Some(attribute) = query.find("att") else { return Ok(given(&OF_BALANCER, None)) };
    let found = of_all_members().find(|(name, _, _)| name.as_bytes() == attribute);
    let Some((_, key, _)) = found else {
        let names: Vec<&str> = of_all_members().map(|(name, _, _)| name).collect();
        return Err(format!("att is none of {}", names.join(", ")));
    };
    let edit = |place: usize| {
        let value = query.find(&format!("val{place}"))?;
        Some(Edit { member: Some(place), key, value: value.to_vec() })
    };
    Ok((0..balancer.members.len()).filter_map(edit).collect())
}
