//! Changes of settings at run time (spec/mod_jk.md 7.4): what can be changed, what makes sense, and
//! how a change is kept.
//!
//! Only what differs from the file is kept, with what the file says: a change holds until the file
//! says something else. All values are texts as in a file, numbers in decimal.
//!
//! `recovery_options` that no line sets count as 0, and changing them to 0 leaves them unset.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use thiserror::Error;

use super::balancer::Activation;
use super::edit_field::{set, text};
use super::text::quoted;
use super::worker::{Target, WorkerConfig, WorkerName};

/// What the settings belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A balancer.
    Balancer,
    /// What a balancer knows of a member.
    Member,
    /// An engine: a worker of type ajp13, or a member.
    Engine,
}

macro_rules! keys {
    ($($key:ident $scope:ident $name:literal,)*) => {
        /// A setting that can be changed. Changes are applied in this order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Key {
            $(#[doc = concat!("`", $name, "`")] $key,)*
        }

        impl Key {
            /// All of them.
            pub const ALL: &[Key] = &[$(Key::$key),*];

            /// Its name in a file.
            pub fn name(self) -> &'static str {
                match self { $(Key::$key => $name,)* }
            }

            /// What it belongs to.
            pub fn scope(self) -> Scope {
                match self { $(Key::$key => Scope::$scope,)* }
            }
        }
    };
}

keys! {
    LbRetries Balancer "retries",
    LbRetryInterval Balancer "retry_interval",
    RecoverTime Balancer "recover_time",
    ErrorEscalationTime Balancer "error_escalation_time",
    MaxReplyTimeouts Balancer "max_reply_timeouts",
    StickySession Balancer "sticky_session",
    StickySessionForce Balancer "sticky_session_force",
    Method Balancer "method",
    Lock Balancer "lock",
    Activation Member "activation",
    Lbfactor Member "lbfactor",
    Route Member "route",
    Redirect Member "redirect",
    Domain Member "domain",
    Distance Member "distance",
    Host Engine "host",
    Port Engine "port",
    ConnectionPoolTimeout Engine "connection_pool_timeout",
    PingTimeout Engine "ping_timeout",
    ConnectTimeout Engine "connect_timeout",
    PrepostTimeout Engine "prepost_timeout",
    ReplyTimeout Engine "reply_timeout",
    Retries Engine "retries",
    RetryInterval Engine "retry_interval",
    ConnectionPingInterval Engine "connection_ping_interval",
    RecoveryOptions Engine "recovery_options",
    BusyLimit Engine "busy_limit",
    MaxPacketSize Engine "max_packet_size",
}

impl Key {
    fn from_number(number: u8) -> Option<Key> {
        Key::ALL.get(usize::from(number)).copied()
    }
}

/// What is to become of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Place of the member; `None` for the worker itself.
    pub member: Option<usize>,
    /// Which setting.
    pub key: Key,
    /// The new value as an administrator writes it.
    pub value: Vec<u8>,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Place of the member; `None` for the worker itself.
    pub member: Option<usize>,
    /// Which setting.
    pub key: Key,
    /// The value until now.
    pub old: Vec<u8>,
    /// The value from now on.
    pub new: Vec<u8>,
}

/// A change that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}: {why}", key.name())]
pub struct Refusal {
    /// Place of the member; `None` for the worker itself.
    pub member: Option<usize>,
    /// Which setting.
    pub key: Key,
    /// What is wrong and what would be right.
    pub why: String,
}

/// A change that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Place of the member; `None` for the worker itself.
    pub member: Option<usize>,
    /// Which setting.
    pub key: Key,
    /// The value.
    pub value: Vec<u8>,
    /// The value in the file when the change was made.
    pub file: Vec<u8>,
}

/// A change that holds no longer, as the file says something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overruled {
    /// The change.
    pub edit: Stored,
    /// Its member.
    pub member: Option<WorkerName>,
    /// What the file says now.
    pub now: Vec<u8>,
}

impl fmt::Display for Overruled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { edit, member, now } = self;
        if let Some(member) = member {
            write!(f, "member={member} ")?;
        }
        let [value, file, now] = [&edit.value, &edit.file, now].map(|text| quoted(text));
        write!(f, "key={} edit={value} file_before={file} file_now={now}", edit.key.name())
    }
}

/// No member.
const NO_MEMBER: u16 = u16::MAX;

/// Most bytes of a value that is kept.
const MOST_VALUE: usize = u8::MAX as usize;

/// Changes as bytes for [`decode`]. [`merge`] has refused all that do not fit.
pub fn encode(edits: &[Stored]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Stored { member, key, value, file } in edits {
        let member = member.map_or(Ok(NO_MEMBER), u16::try_from);
        let lengths = (u8::try_from(value.len()), u8::try_from(file.len()));
        let (Ok(member), (Ok(value_length), Ok(file_length))) = (member, lengths) else {
            continue;
        };
        bytes.extend_from_slice(&member.to_le_bytes());
        bytes.extend_from_slice(&[*key as u8, value_length, file_length]);
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(file);
    }
    bytes
}

/// What [`encode`] has made; of anything else, what can be read up to where it ends.
pub fn decode(mut bytes: &[u8]) -> Vec<Stored> {
    let mut edits = Vec::new();
    while let Some(([low, high, key, value, file], rest)) = bytes.split_first_chunk::<5>() {
        let member = u16::from_le_bytes([*low, *high]);
        let member = (member != NO_MEMBER).then(|| usize::from(member));
        let Some((value, rest)) = rest.split_at_checked(usize::from(*value)) else { break };
        let Some((file, rest)) = rest.split_at_checked(usize::from(*file)) else { break };
        let Some(key) = Key::from_number(*key) else { break };
        edits.push(Stored { member, key, value: value.to_vec(), file: file.to_vec() });
        bytes = rest;
    }
    edits
}

/// The value of a setting; `None` where there is no such setting.
pub fn value(config: &WorkerConfig, member: Option<usize>, key: Key) -> Option<Vec<u8>> {
    text(config, member, key)
}

/// The settings of a file with those changes that were made to what it says.
pub fn effective(file: &WorkerConfig, stored: &[Stored]) -> WorkerConfig {
    let mut config = file.clone();
    let mut in_order: Vec<&Stored> = stored.iter().collect();
    in_order.sort_by_key(|edit| (edit.member, edit.key));
    for edit in in_order {
        if value(file, edit.member, edit.key).as_ref() != Some(&edit.file) {
            continue;
        }
        // What some other build may have kept and this one refuses leaves the file's value.
        let _ = set(&mut config, edit.member, edit.key, &edit.value);
    }
    config
}

/// What comes of a set of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// All that is kept from now on.
    pub stored: Vec<Stored>,
    /// What is different now.
    pub changes: Vec<Change>,
    /// The settings from now on.
    pub config: WorkerConfig,
}

/// Adds changes to those that were made before; all of them or none.
///
/// # Errors
/// All that makes no sense.
pub fn merge(
    file: &WorkerConfig,
    stored: Vec<Stored>,
    edits: &[Edit],
) -> Result<Merged, Vec<Refusal>> {
    let is_of_file =
        |edit: &Stored| value(file, edit.member, edit.key).as_ref() == Some(&edit.file);
    let mut stored: Vec<Stored> = stored.into_iter().filter(is_of_file).collect();
    let before = effective(file, &stored);
    let mut scratch = before.clone();
    let mut refusals = Vec::new();
    let mut edits = with_domains(&before, edits);
    edits.sort_by_key(|edit| (edit.member, edit.key));
    // A form sends all of its fields.
    let is_new = |edit: &&Edit| value(&before, edit.member, edit.key).as_ref() != Some(&edit.value);
    // What the file says needs no other reason, even where it stands for nothing being set.
    let (taken_back, others): (Vec<&Edit>, Vec<&Edit>) = edits
        .iter()
        .filter(is_new)
        .partition(|edit| value(file, edit.member, edit.key).as_ref() == Some(&edit.value));
    if !taken_back.is_empty() {
        let taken_back: HashSet<_> =
            taken_back.iter().map(|edit| (edit.member, edit.key)).collect();
        stored.retain(|known| !taken_back.contains(&(known.member, known.key)));
        scratch = effective(file, &stored);
    }
    // All settings of a thousand members can come at once.
    let mut stored: BTreeMap<_, Stored> =
        stored.into_iter().map(|edit| ((edit.member, edit.key), edit)).collect();
    for Edit { member, key, value: text } in others {
        let (member, key) = (*member, *key);
        if let Err(why) = set(&mut scratch, member, key, text) {
            refusals.push(Refusal { member, key, why });
            continue;
        }
        let Some(new) = value(&scratch, member, key) else { continue };
        let Some(in_file) = value(file, member, key) else { continue };
        if let Some(why) = no_room(member, [&new, &in_file]) {
            refusals.push(Refusal { member, key, why });
            continue;
        }
        if new == in_file {
            stored.remove(&(member, key));
        } else {
            stored.insert((member, key), Stored { member, key, value: new, file: in_file });
        }
    }
    let stored: Vec<Stored> = stored.into_values().collect();
    let config = effective(file, &stored);
    refusals.extend(contradictions(&config, &edits));
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let mut changes = Vec::new();
    let mut known = HashSet::new();
    for Edit { member, key, .. } in &edits {
        let values = (value(&before, *member, *key), value(&config, *member, *key));
        let (Some(old), Some(new)) = values else { continue };
        if old != new && known.insert((*member, *key)) {
            changes.push(Change { member: *member, key: *key, old, new });
        }
    }
    Ok(Merged { stored, changes, config })
}

/// Why a change cannot be kept: it is one that [`encode`] has no room for.
fn no_room(member: Option<usize>, values: [&[u8]; 2]) -> Option<String> {
    let longest = values.map(<[u8]>::len).into_iter().max().unwrap_or_default();
    if longest > MOST_VALUE {
        return Some(format!(
            "a value of {longest} bytes cannot be kept, the limit is {MOST_VALUE}; change it in the file"
        ));
    }
    let is_too_far = member.is_some_and(|place| place >= usize::from(NO_MEMBER));
    is_too_far.then(|| {
        format!("only the first {NO_MEMBER} members can be changed; change it in the file")
    })
}

/// The changes, and those that follow from them: a route with a dot gives a member without a domain
/// the part before the dot. Kept as a change of its own, so that it can be taken back.
fn with_domains(before: &WorkerConfig, edits: &[Edit]) -> Vec<Edit> {
    let is_given =
        |member| edits.iter().any(|edit| (edit.member, edit.key) == (member, Key::Domain));
    let domain = |edit: &Edit| {
        let Edit { member, key: Key::Route, value: route } = edit else { return None };
        let is_new = value(before, *member, Key::Route).is_some_and(|known| known != *route);
        let has_none = value(before, *member, Key::Domain).is_some_and(|known| known.is_empty());
        let dot = route.iter().position(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
        let value = route.get(..dot).unwrap_or_default().to_vec();
        (is_new && has_none && !is_given(*member)).then_some(Edit {
            member: *member,
            key: Key::Domain,
            value,
        })
    };
    edits.iter().cloned().chain(edits.iter().filter_map(domain)).collect()
}

/// What does not go together after the changes.
fn contradictions(config: &WorkerConfig, edits: &[Edit]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for Edit { member, key, .. } in edits {
        let why = match (key, config, member) {
            (Key::Route, WorkerConfig::Balancer(balancer), Some(place)) => {
                let Some(own) = balancer.members.get(*place) else { continue };
                let others = balancer.members.iter().enumerate().filter(|(at, _)| at != place);
                let same = others.map(|(_, m)| m).find(|other| other.route == own.route);
                let Some(same) = same else { continue };
                format!(
                    "the route {} is that of member {}; no two members can have the same",
                    quoted(own.route.as_bytes()),
                    same.worker.name
                )
            }
            (Key::Host | Key::Port, config, member) => match target(config, *member) {
                Some(Target::Tcp { port: 0, .. }) => {
                    "the file has no usable port; set port as well".to_owned()
                }
                _ => continue,
            },
            (Key::Activation, WorkerConfig::Balancer(balancer), Some(place)) => {
                let Some(own) = balancer.members.get(*place) else { continue };
                let is_nowhere = matches!(own.worker.target, Target::Never { .. });
                if !is_nowhere || own.activation == Activation::Stopped {
                    continue;
                }
                "the member has no usable host and port; set them as well".to_owned()
            }
            _ => continue,
        };
        refusals.push(Refusal { member: *member, key: *key, why });
    }
    refusals
}

fn target(config: &WorkerConfig, member: Option<usize>) -> Option<&Target> {
    match (config, member) {
        (WorkerConfig::Ajp13(config), None) => Some(&config.target),
        (WorkerConfig::Balancer(config), Some(place)) => {
            config.members.get(place).map(|member| &member.worker.target)
        }
        _ => None,
    }
}

/// The changes that still hold when the file says `new` instead of `old`, and those that do not
/// although their member is still there. `same`: the place that a member of the old file has in
/// the new one.
pub fn carry(
    stored: Vec<Stored>,
    new: &WorkerConfig,
    same: impl Fn(usize) -> Option<usize>,
) -> (Vec<Stored>, Vec<Overruled>) {
    let (mut kept, mut overruled) = (Vec::new(), Vec::new());
    for mut edit in stored {
        if let Some(place) = edit.member {
            let Some(place) = same(place) else { continue };
            edit.member = Some(place);
        }
        let Some(now) = value(new, edit.member, edit.key) else { continue };
        if now == edit.file {
            kept.push(edit);
            continue;
        }
        let member = match (new, edit.member) {
            (WorkerConfig::Balancer(balancer), Some(place)) => {
                balancer.members.get(place).map(|member| member.worker.name.clone())
            }
            _ => None,
        };
        overruled.push(Overruled { edit, member, now });
    }
    kept.sort_by_key(|edit| (edit.member, edit.key));
    (kept, overruled)
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
