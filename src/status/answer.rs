//! What is answered to a request to a status worker: the checks in their order, and then a document
//! in the format that was asked for [7.1].
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::action::{Action, Subject, action, places};
use super::origin::{Browser, is_token, token};
use super::query::{Command, Format, Options, Query};
use super::snapshot::{Balancer, Engine, Head, Map, Member, Snapshot};
use super::{html, json, prometheus, properties, text, xml};
use crate::config::status::StatusConfig;
use crate::config::{WorkerConfig, WorkerName};

/// As it presents itself.
pub const VERSION: &str = concat!("mod_jk/", env!("CARGO_PKG_VERSION"));

/// Where everything that is shown comes from.
pub trait Source {
    /// Where and when.
    fn head(&self) -> Head<'_>;

    /// The workers as they are now.
    fn snapshot(&self) -> Snapshot<'_>;

    /// The properties of the configuration in their order, without those that are secrets.
    fn entries(&self) -> Vec<Entry<'_>>;

    /// The settings that a worker runs with, its own first and then those of its members.
    fn settings(&self, worker: &WorkerName) -> Vec<Setting>;

    /// What becomes of a request for a decoded path, in each server that has rules.
    fn lookup(&self, path: &[u8]) -> Vec<Mapped<'_>>;

    /// What a worker runs with.
    fn config(&self, worker: &WorkerName) -> Option<WorkerConfig>;

    /// Numbers that only the processes of this httpd know.
    fn secret(&self) -> (u64, u64);

    /// Does something to a worker, all of it or nothing, and logs it.
    ///
    /// # Errors
    /// [`NotDone`], with all reasons.
    fn act(&self, worker: &WorkerName, action: &Action) -> Result<Vec<Changed>, NotDone>;
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotDone {
    /// What was asked for makes no sense, for all these reasons.
    Refused(Vec<String>),
    /// It makes sense and may go well the next time.
    Busy(String),
}

/// A setting that was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The member that it is of.
    pub member: Option<WorkerName>,
    /// Its property.
    pub key: &'static str,
    /// Its value until now.
    pub old: Vec<u8>,
    /// Its value from now on.
    pub new: Vec<u8>,
}

/// A setting that goes, set or not.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The member that it is of.
    pub member: Option<WorkerName>,
    /// Its property.
    pub key: &'static str,
    /// Its value, as text.
    pub value: String,
    /// The line that sets it; `None`: no line does.
    pub source: Option<String>,
}

/// What the rules of a server say about a path.
#[derive(Debug, Clone)]
pub struct Mapped<'a> {
    /// The server.
    pub server: &'a str,
    /// What becomes of the request.
    pub verdict: String,
    /// The rule that decides, and its line.
    pub rule: Option<(String, String)>,
}

/// One property of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its key.
    pub key: &'a [u8],
    /// Its value, references resolved.
    pub value: &'a [u8],
    /// The line that sets it.
    pub place: &'a str,
}

/// A request to a status worker.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The query string.
    pub query: &'a [u8],
    /// A form that was posted; it goes before the query string.
    pub form: &'a [u8],
    /// Where the request comes from.
    pub browser: Browser<'a>,
    /// Who asks, where httpd knows.
    pub user: Option<&'a [u8]>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status of HTTP.
    pub status: u16,
    /// Content-Type.
    pub content_type: &'static str,
    /// The document.
    pub body: Vec<u8>,
    /// What was wrong with the request; empty where nothing was.
    pub problem: Cow<'static, str>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Status of HTTP.
    pub status: u16,
    /// In the words of C mod_jk, which scripts know.
    pub message: Cow<'static, str>,
}

fn problem(status: u16, message: &'static str) -> Problem {
    Problem { status, message: Cow::Borrowed(message) }
}

/// What a document says.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub shown: Option<Shown<'a>>,
    /// What was changed, where something was to be.
    pub changed: Option<Vec<Changed>>,
    pub problem: Option<Problem>,
}

impl Document<'_> {
    fn refused(problem: Problem) -> Self {
        Self { shown: None, changed: None, problem: Some(problem) }
    }

    /// `OK` or `ERROR`, and a sentence.
    pub(super) fn result(&self) -> (&'static str, &str) {
        match &self.problem {
            Some(problem) => ("ERROR", &problem.message),
            None => ("OK", "Action finished"),
        }
    }
}

/// What is shown.
#[derive(Debug)]
pub(super) enum Shown<'a> {
    /// A form for the settings of a worker; for programs the server, and nothing else.
    Form(Head<'a>, Found<'a>),
    /// The server and its software.
    Version(Head<'a>),
    /// All workers.
    Workers { snapshot: &'a Snapshot<'a>, opt: Hidden },
    /// A balancer; with the place of a member, only that of its members.
    Balancer {
        snapshot: &'a Snapshot<'a>,
        balancer: &'a Balancer<'a>,
        member: Option<usize>,
        opt: Hidden,
    },
    /// A worker that is one engine.
    Engine { snapshot: &'a Snapshot<'a>, engine: &'a Engine<'a>, opt: Hidden },
    /// The configuration.
    Configuration { head: Head<'a>, entries: Vec<Entry<'a>> },
}

impl<'a> Shown<'a> {
    /// Where and when.
    pub(super) fn head(&self) -> &Head<'a> {
        match self {
            Shown::Form(head, _) | Shown::Version(head) | Shown::Configuration { head, .. } => head,
            Shown::Workers { snapshot, .. }
            | Shown::Balancer { snapshot, .. }
            | Shown::Engine { snapshot, .. } => &snapshot.head,
        }
    }

    /// Whether time and software are told.
    pub(super) fn has_software(&self) -> bool {
        !matches!(self, Shown::Form(..))
    }

    /// The snapshot, with what of its workers is shown.
    pub(super) fn workers(&self) -> Option<Part<'a>> {
        match self {
            Shown::Form(..) | Shown::Version(_) | Shown::Configuration { .. } => None,
            Shown::Workers { snapshot, opt } => {
                let balancers = if opt.hides_balancers() { &[][..] } else { &snapshot.balancers };
                let engines = if opt.hides_engines() { &[][..] } else { &snapshot.engines };
                let is_list = true;
                Some(Part { snapshot, balancers, engines, member: None, opt: *opt, is_list })
            }
            Shown::Balancer { snapshot, balancer, member, opt } => {
                let balancers = std::slice::from_ref(*balancer);
                let (member, opt, is_list) = (*member, *opt, false);
                Some(Part { snapshot, balancers, engines: &[], member, opt, is_list })
            }
            Shown::Engine { snapshot, engine, opt } => {
                let engines = std::slice::from_ref(*engine);
                let (member, opt, is_list) = (None, *opt, false);
                Some(Part { snapshot, balancers: &[], engines, member, opt, is_list })
            }
        }
    }
}

/// Those workers of a snapshot that are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub snapshot: &'a Snapshot<'a>,
    pub balancers: &'a [Balancer<'a>],
    pub engines: &'a [Engine<'a>],
    /// The place of the one member that is shown.
    pub member: Option<usize>,
    pub opt: Hidden,
    /// Whether all workers were asked for.
    pub is_list: bool,
}

impl<'a> Part<'a> {
    /// The members of a balancer that are shown.
    pub(super) fn members(
        &self,
        balancer: &'a Balancer<'a>,
    ) -> impl Iterator<Item = &'a Member<'a>> {
        let is_shown = move |place: usize| self.member.is_none_or(|only| only == place);
        let is_hidden = self.opt.hides_members();
        let members = balancer.members.iter().enumerate();
        members.filter(move |(place, _)| !is_hidden && is_shown(*place)).map(|(_, member)| member)
    }

    /// The rules of a worker that are shown, with their numbers.
    pub(super) fn maps(
        &self,
        worker: &'a WorkerName,
    ) -> impl Iterator<Item = (usize, &'a Map<'a>)> {
        let hides = self.opt.hides_maps();
        (1..).zip(if hides { Vec::new() } else { self.snapshot.maps.of(worker) })
    }
}

/// What the bits of `opt` hide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hidden(Options);

impl Hidden {
    pub(super) fn hides_members(self) -> bool {
        self.0.has(Options::NO_MEMBERS)
    }

    pub(super) fn hides_maps(self) -> bool {
        self.0.has(Options::NO_MAPS)
    }

    pub(super) fn hides_balancers(self) -> bool {
        self.0.has(Options::NO_BALANCERS)
    }

    pub(super) fn hides_engines(self) -> bool {
        self.0.has(Options::NO_ENGINES)
    }
}

/// Whether a user may see the pages of a status worker.
fn is_allowed(status: &StatusConfig, user: Option<&[u8]>) -> bool {
    let Some(user) = user else { return status.users.is_empty() };
    let is_same = |known: &Vec<u8>| match status.user_case_insensitive {
        true => known.eq_ignore_ascii_case(user),
        false => known == user,
    };
    status.users.is_empty() || status.users.iter().any(is_same)
}

/// Whether nothing may be changed by a request.
pub(super) fn is_read_only(status: &StatusConfig, query: &Query) -> bool {
    status.read_only || query.options().has(Options::READ_ONLY)
}

/// Answers a request to the status worker `status`.
pub fn answer(status: &StatusConfig, asked: &Asked<'_>, source: &impl Source) -> Answer {
    let query = Query::parse(if asked.form.is_empty() { asked.query } else { asked.form });
    let token = token(source.secret(), status.name.as_bytes(), asked.user);
    // Scripts that name a format want the reason in it as well.
    let format = query.format().unwrap_or(Format::Properties);
    let (snapshot, document);
    match check(status, asked, &query, &token) {
        Err(problem) => document = Document::refused(problem),
        Ok(command) => {
            snapshot = source.snapshot();
            document = match command.is_change() {
                true => change(command, &query, &snapshot, source),
                false => show(command, &query, &snapshot, source),
            };
        }
    }
    let body = match format {
        Format::Html => html::write(status, &document, &query, source, &token),
        Format::Xml => xml::write(status, &document),
        Format::Text => text::write(status, &document),
        Format::Properties => properties::write(status, &document),
        Format::Json => json::write(status, &document),
        Format::Prometheus => prometheus::write(status, &document),
    };
    let content_type = match format {
        Format::Html => "text/html; charset=utf-8",
        Format::Xml => "text/xml",
        Format::Text | Format::Properties => "text/plain",
        Format::Json => "application/json",
        Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
    };
    let (code, problem) = match document.problem {
        Some(problem) => (problem.status, problem.message),
        None => (200, Cow::Borrowed("")),
    };
    Answer { status: code, content_type, body, problem }
}

/// All that is checked before anybody looks at workers.
fn check(
    status: &StatusConfig,
    asked: &Asked<'_>,
    query: &Query,
    token: &str,
) -> Result<Command, Problem> {
    if !is_allowed(status, asked.user) {
        return Err(problem(403, "Access denied."));
    }
    if query.is_broken() {
        return Err(problem(400, "Error during parsing of URI"));
    }
    let command = query.command();
    if is_read_only(status, query) && !command.is_some_and(Command::is_harmless) {
        return Err(problem(403, "This command is not allowed in read only mode."));
    }
    let command = command.ok_or_else(|| problem(400, "Invalid command."))?;
    query.format().ok_or_else(|| problem(400, "Invalid mime type."))?;
    if command.is_change() && asked.browser.is_foreign() {
        return Err(problem(403, "Access denied. Another site has sent this request."));
    }
    let has_token = query.find("token").is_some_and(|given| is_token(token, given));
    if command.is_change() && !asked.form.is_empty() && !has_token {
        let message = "Access denied. The form is too old or not ours, load its page again.";
        return Err(problem(403, message));
    }
    if command.is_change() && asked.browser.is_silent() && !has_token {
        let message = "Access denied. The browser does not say which page sends this request; use \
                       the buttons of this page, or a program.";
        return Err(problem(403, message));
    }
    Ok(command)
}

/// A worker that a query names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    /// A balancer, and the places of those of its members that are named.
    Balancer(&'a Balancer<'a>, Option<usize>),
    /// A worker that is one engine.
    Engine(&'a Engine<'a>),
}

/// The worker and the member that a query names.
fn find<'a>(
    query: &Query,
    snapshot: &'a Snapshot<'a>,
    command: Command,
) -> Result<Found<'a>, Problem> {
    let name = query.find("w").filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| problem(400, "NULL or EMPTY worker param"))?;
    let member = query.find("sw");
    if member.is_some_and(<[u8]>::is_empty) {
        return Err(problem(400, "EMPTY sub worker param"));
    }
    let is_named = |worker: &WorkerName| worker.as_bytes() == name;
    let balancer = snapshot.balancers.iter().find(|balancer| is_named(&balancer.config.name));
    let engine = snapshot.engines.iter().find(|engine| is_named(&engine.config.name));
    let has_wildcard =
        member.is_some_and(|member| member.iter().any(|byte| matches!(byte, b'*' | b'?')));
    if (balancer.is_some() || engine.is_some()) && has_wildcard && command != Command::Update {
        return Err(problem(400, "wildcard not allowed in sub worker for this command"));
    }
    match (balancer, engine) {
        (Some(balancer), _) => {
            let Some(member) = member else { return Ok(Found::Balancer(balancer, None)) };
            if has_wildcard {
                return match places(balancer, member).is_empty() {
                    true => Err(problem(404, "could not find sub worker")),
                    false => Ok(Found::Balancer(balancer, None)),
                };
            }
            let mut members = balancer.members.iter();
            let place = members.position(|known| known.name().as_bytes() == member);
            let place = place.ok_or_else(|| problem(404, "could not find sub worker"))?;
            Ok(Found::Balancer(balancer, Some(place)))
        }
        (None, Some(_)) if member.is_some() => Err(problem(404, "worker type has no sub workers")),
        (None, Some(engine)) => Ok(Found::Engine(engine)),
        (None, None) => Err(problem(404, "Could not find given worker")),
    }
}

/// The document of a command that changes nothing.
fn show<'a>(
    command: Command,
    query: &Query,
    snapshot: &'a Snapshot<'a>,
    source: &'a impl Source,
) -> Document<'a> {
    let opt = Hidden(query.options());
    let found = match command.needs_worker() {
        true => match find(query, snapshot, command) {
            Ok(found) => Some(found),
            Err(problem) => return Document::refused(problem),
        },
        false => None,
    };
    let shown = match (command, found) {
        (Command::Edit, Some(found)) => Shown::Form(snapshot.head, found),
        (Command::Version, _) => Shown::Version(snapshot.head),
        (Command::Dump, _) => {
            Shown::Configuration { head: snapshot.head, entries: source.entries() }
        }
        (_, Some(Found::Balancer(balancer, member))) => {
            Shown::Balancer { snapshot, balancer, member, opt }
        }
        (_, Some(Found::Engine(engine))) => Shown::Engine { snapshot, engine, opt },
        (_, None) => Shown::Workers { snapshot, opt },
    };
    Document { shown: Some(shown), changed: None, problem: None }
}

/// The document of a command that changes something, once it is done.
fn change<'a>(
    command: Command,
    query: &Query,
    snapshot: &Snapshot<'_>,
    source: &impl Source,
) -> Document<'a> {
    let (worker, subject) = match find(query, snapshot, command) {
        Ok(Found::Balancer(balancer, _)) => (&balancer.config.name, Subject::Balancer(balancer)),
        Ok(Found::Engine(engine)) => (&engine.config.name, Subject::Engine),
        Err(problem) => return Document::refused(problem),
    };
    let done = action(command, query, subject).map_err(|why| NotDone::Refused(vec![why]));
    match done.and_then(|action| source.act(worker, &action)) {
        Ok(changed) => Document { shown: None, changed: Some(changed), problem: None },
        Err(why) => {
            let (status, reasons) = match why {
                NotDone::Refused(reasons) => (400, reasons.join("; ")),
                NotDone::Busy(reason) => (503, reason),
            };
            let failed = match command {
                Command::Update => "Update failed",
                Command::Reset => "Reset failed",
                _ => "Marking worker for recovery failed",
            };
            let message = Cow::Owned(format!("{failed}: {reasons}"));
            Document::refused(Problem { status, message })
        }
    }
}
