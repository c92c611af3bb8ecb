//! What outlives a graceful restart: records are found again by the names of their workers.
//!
//! Where both configurations have the same records, the children of both generations use the same
//! memory, so that what old ones still serve counts for new ones as well. Otherwise the records are
//! copied into new memory, and requests that old children serve are counted there only.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ptr;

use super::edits::{self, Board};
use super::journal::Change;
use super::{Layout, Memory, State, positions};
use crate::config::balancer::BalanceMethod;
use crate::config::edit::{self, Overruled, Stored};
use crate::config::text::quoted;
use crate::config::{Ajp13Config, BalancerConfig, Target, WorkerConfig, WorkerName};

/// Most names in a list of the log.
const MOST_NAMES: usize = 20;

/// One generation: its workers, in their order, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Generation<'g> {
    /// As configured.
    pub workers: &'g [WorkerConfig],
    /// The records of these workers.
    pub memory: &'g dyn Memory,
}

/// What became of the records of engines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// How many go on.
    pub kept: usize,
    /// Those that were not there before.
    pub new: Vec<String>,
    /// Those that are no longer there.
    pub dropped: Vec<String>,
    /// Those that are now elsewhere, so that nothing is known of them.
    pub moved: Vec<String>,
    /// Changes made at run time that go on.
    pub edits: usize,
    /// Those that do not, as the file says something new, with their workers.
    pub overruled: Vec<(WorkerName, Overruled)>,
    /// Those that do not, as their engine is elsewhere now, with their workers.
    pub ended: Vec<(WorkerName, String)>,
    /// Workers whose changes there is no room for.
    pub not_kept: Vec<WorkerName>,
}

/// Where the records of one engine are.
struct Engine<'c> {
    balancer: Option<&'c BalancerConfig>,
    config: &'c Ajp13Config,
    at: Layout,
}

/// Balancer and engine.
type Name<'c> = (Option<&'c WorkerName>, &'c WorkerName);

impl<'c> Engine<'c> {
    fn name(&self) -> Name<'c> {
        (self.balancer.map(|balancer| &balancer.name), &self.config.name)
    }
}

impl fmt::Display for Engine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            (Some(balancer), name) => write!(f, "{balancer}.{name}"),
            (None, name) => write!(f, "{name}"),
        }
    }
}

fn is_same_place(a: &Target, b: &Target) -> bool {
    match (a, b) {
        (Target::Never { .. }, Target::Never { .. }) => true,
        _ => a == b,
    }
}

/// The engines of all workers, in the order of their records.
fn engines(workers: &[WorkerConfig]) -> Vec<Engine<'_>> {
    let mut engines = Vec::new();
    for (worker, place) in workers.iter().zip(positions(workers).0) {
        let configs: Vec<(Option<&BalancerConfig>, &Ajp13Config)> = match worker {
            WorkerConfig::Ajp13(config) => vec![(None, config)],
            WorkerConfig::Balancer(balancer) => {
                balancer.members.iter().map(|member| (Some(&**balancer), &member.worker)).collect()
            }
            WorkerConfig::Status(_) => Vec::new(),
        };
        let mut at = place.first;
        for ((balancer, config), position) in configs.into_iter().zip(place.engines) {
            at.workers = position;
            engines.push(Engine { balancer, config, at });
            at.members = at.members.saturating_add(1);
        }
    }
    engines
}

fn by_name(workers: &[WorkerConfig]) -> HashMap<Name<'_>, Engine<'_>> {
    engines(workers).into_iter().map(|engine| (engine.name(), engine)).collect()
}

/// The workers, with the positions of their records but for those of engines.
fn placed(workers: &[WorkerConfig]) -> impl Iterator<Item = (&WorkerConfig, Layout)> {
    workers.iter().zip(positions(workers).0.into_iter().map(|place| place.first))
}

/// The balancers, likewise.
fn balancers(workers: &[WorkerConfig]) -> impl Iterator<Item = (&BalancerConfig, Layout)> {
    placed(workers).filter_map(|(worker, at)| match worker {
        WorkerConfig::Balancer(balancer) => Some((&**balancer, at)),
        WorkerConfig::Ajp13(_) | WorkerConfig::Status(_) => None,
    })
}

/// Whether both have the same records, each for the same engine.
pub fn has_same_records(old: &[WorkerConfig], new: &[WorkerConfig]) -> bool {
    let (before, now) = (engines(old), engines(new));
    fn boards(workers: &[WorkerConfig]) -> impl Iterator<Item = (&WorkerName, usize)> {
        workers.iter().filter_map(|worker| Some((worker.name(), edits::engines(worker)?)))
    }
    let is_same = |(a, b): (&Engine<'_>, &Engine<'_>)| {
        a.name() == b.name() && is_same_place(&a.config.target, &b.config.target)
    };
    before.len() == now.len() && before.iter().zip(&now).all(is_same) && boards(old).eq(boards(new))
}

/// Copies into the memory of the new generation what is known of engines that it has as well; its
/// memory may be that of the old one. `process`: the caller's.
pub fn carry(old: Generation<'_>, new: Generation<'_>, process: u32) -> Carried {
    let is_shared = ptr::addr_eq(old.memory, new.memory);
    let mut carried = Carried::default();
    let (before, now) = (by_name(old.workers), engines(new.workers));
    for engine in &now {
        match before.get(&engine.name()) {
            Some(known) if is_same_place(&known.config.target, &engine.config.target) => {
                carried.kept = carried.kept.saturating_add(1);
                if !is_shared {
                    copy_engine(old.memory, known, new.memory, engine);
                }
            }
            Some(_) => carried.moved.push(engine.to_string()),
            None => carried.new.push(engine.to_string()),
        }
    }
    let names: HashSet<Name<'_>> = now.iter().map(Engine::name).collect();
    let before_in_order = engines(old.workers);
    let gone = before_in_order.iter().filter(|engine| !names.contains(&engine.name()));
    carried.dropped = gone.map(Engine::to_string).collect();
    let known: HashMap<_, _> = balancers(old.workers).map(|(b, at)| (&b.name, (b, at))).collect();
    for (balancer, at) in balancers(new.workers) {
        let Some((known, known_at)) = known.get(&balancer.name).copied() else {
            continue;
        };
        if !is_shared
            && let Some(from) = old.memory.balancers().get(known_at.balancers)
            && let Some(to) = new.memory.balancers().get(at.balancers)
        {
            to.carry(from);
        }
        align_load(known, balancer, at, &before, new.memory);
    }
    carry_edits(old, new, process, &mut carried);
    if !is_shared {
        carry_changes(old, new, &before_in_order, &now);
    }
    carried
}

/// Keeps what is told of the past of members that there still are.
fn carry_changes(
    old: Generation<'_>,
    new: Generation<'_>,
    before: &[Engine<'_>],
    now: &[Engine<'_>],
) {
    fn members<'e, 'c>(engines: &'e [Engine<'c>]) -> impl Iterator<Item = &'e Engine<'c>> {
        engines.iter().filter(|engine| engine.balancer.is_some())
    }
    let names: HashMap<_, _> =
        members(before).map(|engine| (engine.at.members, engine.name())).collect();
    let places: HashMap<_, _> =
        members(now).map(|engine| (engine.name(), engine.at.members)).collect();
    for change in old.memory.common().journal.changes().iter().rev() {
        let place = names.get(&change.member).and_then(|name| places.get(name));
        if let Some(member) = place {
            let Change { time, from, to, cause, .. } = *change;
            new.memory.common().journal.write(time, *member, from, to, cause);
        }
    }
}

/// Keeps the changes that were made at run time, where they still hold.
fn carry_edits(old: Generation<'_>, new: Generation<'_>, process: u32, carried: &mut Carried) {
    let is_shared = ptr::addr_eq(old.memory, new.memory);
    let known: HashMap<_, _> = placed(old.workers).map(|(w, at)| (w.name(), (w, at))).collect();
    for (worker, at) in placed(new.workers) {
        let name = worker.name();
        let Some((before, before_at)) = known.get(name).copied() else { continue };
        let board = Board::of(old.memory, before_at.edits, before);
        let stored = board.and_then(|board| board.read()).unwrap_or_default().1;
        let stored = edit::decode(&stored);
        if stored.is_empty() {
            continue;
        }
        let count = stored.len();
        let ended = stored.iter().filter_map(|edit| ended(before, worker, edit));
        carried.ended.extend(ended.map(|text| (name.clone(), text)));
        let (kept, overruled) = match is_same_kind(before, worker) {
            true => edit::carry(stored, worker, |place| same_member(before, worker, place)),
            false => Default::default(),
        };
        carried.overruled.extend(overruled.into_iter().map(|edit| (name.clone(), edit)));
        if is_shared && kept.len() == count {
            carried.edits = carried.edits.saturating_add(count);
            continue;
        }
        let written = Board::of(new.memory, at.edits, worker)
            .map(|board| board.lock(process, new.memory)?.write(&edit::encode(&kept)));
        match written {
            Some(Ok(())) => carried.edits = carried.edits.saturating_add(kept.len()),
            _ => carried.not_kept.push(name.clone()),
        }
    }
}

/// Whether changes of one can be changes of the other: an engine that moved is another one.
fn is_same_kind(old: &WorkerConfig, new: &WorkerConfig) -> bool {
    match (old, new) {
        (WorkerConfig::Ajp13(old), WorkerConfig::Ajp13(new)) => {
            is_same_place(&old.target, &new.target)
        }
        (WorkerConfig::Balancer(_), WorkerConfig::Balancer(_)) => true,
        _ => false,
    }
}

/// A change that ends as its engine is elsewhere now, as the log shows it. `None` where it goes on, or
/// where the engine is not there any more.
fn ended(old: &WorkerConfig, new: &WorkerConfig, edit: &Stored) -> Option<String> {
    let member = match (old, new, edit.member) {
        (WorkerConfig::Ajp13(_), WorkerConfig::Ajp13(_), None) if is_same_kind(old, new) => {
            return None;
        }
        (WorkerConfig::Ajp13(_), WorkerConfig::Ajp13(_), None) => String::new(),
        (WorkerConfig::Balancer(old_one), WorkerConfig::Balancer(new_one), Some(place)) => {
            let name = &old_one.members.get(place)?.worker.name;
            let is_there = new_one.members.iter().any(|now| now.worker.name == *name);
            if !is_there || same_member(old, new, place).is_some() {
                return None;
            }
            format!("member={name} ")
        }
        _ => return None,
    };
    Some(format!("{member}key={} edit={}", edit.key.name(), quoted(&edit.value)))
}

/// The place in a new balancer of the member that has this one in the old.
fn same_member(old: &WorkerConfig, new: &WorkerConfig, place: usize) -> Option<usize> {
    let (WorkerConfig::Balancer(old), WorkerConfig::Balancer(new)) = (old, new) else {
        return None;
    };
    let member = &old.members.get(place)?.worker;
    new.members.iter().position(|now| {
        now.worker.name == member.name && is_same_place(&now.worker.target, &member.target)
    })
}

fn copy_engine(old: &dyn Memory, from: &Engine<'_>, new: &dyn Memory, to: &Engine<'_>) {
    let workers = (old.workers().get(from.at.workers), new.workers().get(to.at.workers));
    if let (Some(from), Some(to)) = workers {
        to.carry(from);
    }
    let members = (old.members().get(from.at.members), new.members().get(to.at.members));
    if let (Some(_), (Some(from), Some(to))) = (to.balancer, members) {
        to.carry(from);
        // Who tests it, or has taken its last connection, tells the old records.
        match to.state() {
            State::Probe => to.set_state(State::Recover),
            State::Busy => to.set_state(State::Ok),
            other => other,
        };
    }
}

/// Makes what the members have had of the load comparable: another method has another unit, and a
/// new member must not get all requests at once because it had none.
fn align_load(
    old: &BalancerConfig,
    new: &BalancerConfig,
    at: Layout,
    before: &HashMap<Name<'_>, Engine<'_>>,
    memory: &dyn Memory,
) {
    let records = memory.members().get(at.members..).unwrap_or_default();
    let members = || new.members.iter().zip(records);
    if old.method != new.method || is_activation_changed(old, new) {
        // What old children still serve counts in their unit.
        if let Some(state) = memory.balancers().get(at.balancers) {
            state.begin_era();
        }
        members().for_each(|(_, record)| record.set_lb_value(0));
        return;
    }
    let is_known = |config: &Ajp13Config| {
        let known = before.get(&(Some(&new.name), &config.name));
        known.is_some_and(|known| is_same_place(&known.config.target, &config.target))
    };
    if new.method == BalanceMethod::Busyness {
        return;
    }
    let highest = members().map(|(_, record)| record.lb_value()).max().unwrap_or_default();
    for (_, record) in members().filter(|(member, _)| !is_known(&member.worker)) {
        record.set_lb_value(highest);
    }
}

/// Whether a member gets other requests than before.
fn is_activation_changed(old: &BalancerConfig, new: &BalancerConfig) -> bool {
    new.members.iter().any(|member| {
        let same = |known: &&crate::config::Member| known.worker.name == member.worker.name;
        old.members.iter().find(same).is_some_and(|known| known.activation != member.activation)
    })
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kept={} edits={}", self.kept, self.edits)?;
        for (what, names) in
            [("new", &self.new), ("dropped", &self.dropped), ("moved", &self.moved)]
        {
            let some: Vec<&str> = names.iter().take(MOST_NAMES).map(String::as_str).collect();
            let list = if some.is_empty() { "-".to_owned() } else { some.join(",") };
            write!(f, " {what}={list}")?;
            match names.len().saturating_sub(MOST_NAMES) {
                0 => {}
                more => write!(f, " and {more} more")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "carry_tests.rs"]
mod tests;
