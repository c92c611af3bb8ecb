//! Reads workers by their type, and the members of balancers [2.3].
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{
    ajp13,
    balancer::{self, Member},
    error::Problems,
    line::worker_text,
    properties::Properties,
    settings::Settings,
    status,
    text::{MAX_SUGGESTIONS, printable, quoted, suggestion},
    worker::{Ajp13Config, Label, WorkerConfig, WorkerName},
    workers::configured,
};

/// The types that can be used.
const TYPES: [&str; 3] = ["ajp13", "lb", "status"];

/// What makes a worker.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Ajp13,
    Balancer,
    Status,
}

/// Reads workers, each once, however many balancers it is a member of.
pub(super) struct Reader<'a> {
    properties: &'a Properties,
    /// The workers that have properties.
    configured: BTreeSet<&'a [u8]>,
    /// Members without properties so far.
    unknown_members: usize,
    threads: usize,
    problems: &'a mut Problems,
    engines: HashMap<WorkerName, Ajp13Config>,
    members: HashMap<WorkerName, Member>,
    /// Those whose type is an error.
    pub(super) mistyped: HashSet<WorkerName>,
}

impl<'a> Reader<'a> {
    /// `threads` is how many connections a process can use, at least 1.
    pub(super) fn new(
        properties: &'a Properties,
        threads: usize,
        problems: &'a mut Problems,
    ) -> Reader<'a> {
        Reader {
            properties,
            configured: configured(properties).into_iter().map(|(worker, _)| worker).collect(),
            unknown_members: 0,
            threads,
            problems,
            engines: HashMap::new(),
            members: HashMap::new(),
            mistyped: HashSet::new(),
        }
    }

    fn settings<'s>(&'s mut self, name: &'s WorkerName) -> Settings<'s> {
        Settings { properties: self.properties, name, problems: &mut *self.problems }
    }

    /// A worker of the list.
    pub(super) fn worker(&mut self, name: &WorkerName) -> WorkerConfig {
        match self.kind(name) {
            Type::Ajp13 => WorkerConfig::Ajp13(Box::new(self.engine(name))),
            Type::Balancer => {
                let members = self.members_of(name);
                let mut settings = self.settings(name);
                WorkerConfig::Balancer(Box::new(balancer::balancer(&mut settings, members)))
            }
            Type::Status => {
                let mut settings = self.settings(name);
                WorkerConfig::Status(Box::new(status::status(&mut settings)))
            }
        }
    }

    fn engine(&mut self, name: &WorkerName) -> Ajp13Config {
        if let Some(known) = self.engines.get(name) {
            return known.clone();
        }
        let threads = self.threads;
        let engine = ajp13::worker(&mut self.settings(name), threads);
        self.engines.insert(name.clone(), engine.clone());
        engine
    }

    /// The members of a balancer. What cannot be a member is an error, and left out.
    fn members_of(&mut self, name: &WorkerName) -> Vec<Member> {
        let names = balancer::member_names(&mut self.settings(name));
        let mut members: Vec<Member> = Vec::new();
        for item in names {
            let Some(member) = self.member(name, &item) else { continue };
            match members.iter().find(|known| known.route == member.route) {
                None => members.push(member),
                Some(known) => {
                    let what = format!(
                        "{} and {} have the same route {}",
                        known.worker.name, member.worker.name, member.route
                    );
                    self.member_error(name, what, "give each its own, the jvmRoute of its engine");
                }
            }
        }
        self.warn_of_lost_redirects(name, &members);
        members
    }

    /// Warns of members whose `redirect` leads to none of the others.
    fn warn_of_lost_redirects(&mut self, of: &WorkerName, members: &[Member]) {
        let routes = || members.iter().flat_map(|member| [&member.route, &member.domain]);
        for member in members.iter().filter(|member| !member.redirect.is_empty()) {
            if routes().any(|known| *known == member.redirect) {
                continue;
            }
            let near = suggestion(member.redirect.as_bytes(), routes().map(Label::as_bytes));
            let remedy = match near {
                Some(near) => format!("did you mean {}?", printable(near)),
                None => "name the route or the domain of another member".to_string(),
            };
            let what = format!("{of} has no member with the route or domain {}", member.redirect);
            let mut settings = self.settings(&member.worker.name);
            if let Some(found) = settings.find("redirect") {
                settings.warning(found, what, &remedy);
            }
        }
    }

    fn member(&mut self, of: &WorkerName, item: &[u8]) -> Option<Member> {
        let name = match WorkerName::new(item) {
            Ok(name) => name,
            Err(error) => {
                let what = format!("{}: {error}", quoted(item));
                self.member_error(of, what, "use letters, digits, - and _");
                return None;
            }
        };
        if let Some(known) = self.members.get(&name) {
            return Some(known.clone());
        }
        if self.kind(&name) != Type::Ajp13 {
            let what = format!("{name} is a worker of type lb or status, which cannot be a member");
            self.member_error(of, what, "name workers of type ajp13");
            return None;
        }
        self.warn_of_unknown_member(of, &name);
        let engine = self.engine(&name);
        let member = balancer::member(&mut self.settings(&name), engine);
        self.members.insert(name, member.clone());
        Some(member)
    }

    fn member_error(&mut self, of: &WorkerName, what: String, remedy: &str) {
        let mut settings = self.settings(of);
        let lists = ["balance_workers", "balanced_workers"];
        if let Some(list) = lists.iter().find_map(|property| settings.find(property)) {
            settings.error(list, what, remedy);
        }
    }

    fn warn_of_unknown_member(&mut self, of: &WorkerName, name: &WorkerName) {
        if self.configured.contains(name.as_bytes()) {
            return;
        }
        let lists = ["balance_workers", "balanced_workers"];
        let list = lists.iter().find_map(|property| self.properties.find(&of.key(property)));
        let Some(list) = list else { return };
        let suggests = self.unknown_members < MAX_SUGGESTIONS;
        self.unknown_members = self.unknown_members.saturating_add(1);
        let candidates = self.configured.iter().take_while(|_| suggests);
        let remedy = match suggestion(name.as_bytes(), candidates) {
            Some(near) => format!("did you mean {}?", worker_text(near)),
            None => format!("set worker.{name}.host and worker.{name}.port"),
        };
        let what = format!(
            "names {name}, which has no properties; it is type ajp13 at localhost, port 8009"
        );
        self.problems.warning(&list.place, printable(&list.key), what, remedy);
    }

    /// The type of a worker; ajp13 in place of one that cannot be used.
    fn kind(&mut self, name: &WorkerName) -> Type {
        let Some(found) = self.properties.find(&name.key("type")) else { return Type::Ajp13 };
        let shown = quoted(&found.value);
        let (what, remedy) = match found.value.as_slice() {
            b"ajp13" => return Type::Ajp13,
            b"lb" => return Type::Balancer,
            b"status" => return Type::Status,
            b"ajp12" | b"ajp14" => (
                format!("type {shown} is not supported"),
                "use type ajp13, which every Tomcat speaks".to_string(),
            ),
            unknown => {
                let remedy = match suggestion(unknown, TYPES) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("use one of {}", TYPES.join(", ")),
                };
                (format!("there is no worker type {shown}"), remedy)
            }
        };
        // A member of several balancers comes here for each of them.
        if self.mistyped.insert(name.clone()) {
            self.problems.error(&found.place, printable(&found.key), what, remedy);
        }
        Type::Ajp13
    }
}
