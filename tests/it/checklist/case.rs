//! What a row of the table says: lines of configuration, what is asked, what is looked at.
//!
//! In every text `@` is the name of the case's own worker and site, and `{one}`, `{two}`, `{mute}`,
//! `{late}`, `{dead}`, `{full}` and `{over}` are ports: of two engines, of one that answers no CPING,
//! of one that answers CPINGs only once the scene lets it, of nobody, of a listener that accepts no
//! connection, and 65536 above the first. A line that begins with `> ` is marked: the case runs as it stands, and once more
//! without each of its marked lines. `<<text>>` marks a part of a line.

use std::io;

use crate::compliance::case::{self as talk, Case as Talk, Difference, Ours, Reply};
use crate::compliance::seen::Seen;
use crate::support::engine::{Action, Conn};
use crate::support::packet::{Request, answer};

/// One row of the table.
pub(super) struct Case {
    pub(super) name: String,
    /// Lines of the case's virtual host, or of the main server if it is [`Place::Alone`].
    pub(super) site: String,
    /// Lines of workers.properties.
    pub(super) workers: String,
    /// Files below the ServerRoot.
    pub(super) files: Vec<(&'static str, &'static str)>,
    pub(super) talk: Vec<Talk>,
    pub(super) looks: Vec<Look>,
    pub(super) place: Place,
    pub(super) scene: Scene,
    pub(super) side: Side,
    pub(super) ours: OnOurs,
    pub(super) difference: Option<Difference>,
}

/// Where a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In a virtual host of its group's httpd.
    Site,
    /// Asks the main server of its group's httpd.
    Main,
    /// In the main server of an httpd of its own.
    Alone,
    /// `httpd -t`.
    Test,
}

/// What happens besides question and answer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scene {
    Plain,
    /// The engine answers only when the variant with this number has its answer: 0 is the case as
    /// it stands, 1 is without its first marked line. With `busy`, another request is at the engine
    /// already.
    Held {
        settles: usize,
        busy: bool,
    },
    /// The file gets new content, then the case is asked again until it answers with `status`; the
    /// other variants are asked once after that.
    Edited {
        file: &'static str,
        text: &'static str,
        status: u16,
    },
    /// The case is answered while the other variants still wait.
    Hangs,
    /// The engine sends this and waits: of the case as it stands the client sees something by then,
    /// of the other variants nothing.
    Streams(fn() -> Vec<u8>),
    /// After the answer nothing is asked until the engine sees the connection of this variant
    /// closed, or pinged.
    Idle {
        settles: usize,
    },
}

/// Which module knows the names of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Both,
    /// What ours does not do yet.
    C,
    /// What is newer than the installed C module, or new with ours.
    Ours,
}

/// What is looked at with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnOurs {
    /// The same as with the C module.
    Same,
    /// The worker's line `config: key=value; …` in the log: balancers and status workers do no
    /// more than say what they read.
    Config(&'static str),
    /// Nothing changes, as this row of COMPAT.md says.
    NoEffect(&'static str),
}

/// What is looked at besides packets and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// Whether any log has the text; each module has words of its own. `#` is any digit.
    Logged { c: String, ours: String },
    /// The same of the site's own log only, `logs/@.log`.
    Own { c: String, ours: String },
    /// Whether the last answer's body has the text, rather than what all of it is.
    Body(&'static str),
    /// A file below the ServerRoot, if it is there. With `digits`, each of them reads `9`.
    File { path: &'static str, digits: bool },
    /// While httpd runs, whether a file's path begins like this.
    Exists(&'static str),
    /// How many connections the engines got.
    Connections,
    /// Whether the connections to the engines have keep-alive on.
    Keepalive,
    /// Where the engines' connections came from.
    Peers,
}

/// A case with lines of its virtual host; its worker is `@` at the engine `{one}`.
pub(super) fn site(name: &str, lines: &str) -> Case {
    Case {
        name: name.to_owned(),
        site: lines.to_owned(),
        workers: String::new(),
        files: Vec::new(),
        talk: Vec::new(),
        looks: Vec::new(),
        place: Place::Site,
        scene: Scene::Plain,
        side: Side::Both,
        ours: OnOurs::Same,
        difference: None,
    }
}

/// A case with properties of its worker, which has all requests.
pub(super) fn worker(name: &str, properties: &str) -> Case {
    site(name, "JkMount /* @").props(properties)
}

/// A balancer `@` with the members `@x` at the engine `{one}` and `@y` at `{two}`.
pub(super) fn balancer(name: &str, properties: &str) -> Case {
    worker(name, "").balances().props(properties)
}

/// A status worker `@` with properties, at /status.
pub(super) fn status(name: &str, properties: &str) -> Case {
    site(name, "JkMount /status @").props("type=status").props(properties)
}

/// A case with an httpd of its own.
pub(super) fn alone(name: &str, lines: &str) -> Case {
    let mut case = site(name, lines);
    case.place = Place::Alone;
    case
}

/// A case of `httpd -t`.
pub(super) fn tested(name: &str, lines: &str) -> Case {
    let mut case = site(name, lines);
    case.place = Place::Test;
    case
}

/// A GET.
pub(super) fn get(target: &str) -> Talk {
    talk::get(target)
}

/// A HEAD.
pub(super) fn head(target: &str) -> Talk {
    talk::request("HEAD", target)
}

/// A POST with a body.
pub(super) fn post(target: &str, body: &[u8]) -> Talk {
    talk::request("POST", target).body(body)
}

impl Case {
    /// Adds to the name, which is to be unique.
    pub(super) fn named(mut self, what: &str) -> Self {
        self.name = format!("{} ({what})", self.name);
        self
    }

    /// Adds lines of the virtual host.
    pub(super) fn site(mut self, lines: &str) -> Self {
        self.site = format!("{}\n{lines}", self.site);
        self
    }

    /// Adds properties of the worker `@`, a line each.
    pub(super) fn props(mut self, properties: &str) -> Self {
        for line in properties.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (mark, line) = match line.strip_prefix("> ") {
                Some(line) => ("> ", line),
                None => ("", line),
            };
            self.workers += &format!("{mark}worker.@.{line}\n");
        }
        self
    }

    /// Adds lines of workers.properties as they are.
    pub(super) fn workers(mut self, lines: &str) -> Self {
        self.workers += lines;
        self.workers.push('\n');
        self
    }

    /// Its worker is a balancer, with `@x` at the engine `{one}` and `@y` at `{two}`.
    pub(super) fn balances(self) -> Self {
        self.workers(
            "worker.@.type=lb\nworker.@.balance_workers=@x,@y\n\
             worker.@x.host=127.0.0.1\nworker.@x.port={one}\n\
             worker.@y.host=127.0.0.1\nworker.@y.port={two}",
        )
    }

    pub(super) fn file(mut self, path: &'static str, text: &'static str) -> Self {
        self.files.push((path, text));
        self
    }

    /// Asks this rather than `GET /x`.
    pub(super) fn asks(mut self, talk: impl IntoIterator<Item = Talk>) -> Self {
        self.talk.extend(talk);
        self
    }

    /// Asks for these paths.
    pub(super) fn gets(self, targets: &[&str]) -> Self {
        self.asks(targets.iter().map(|target| get(target)))
    }

    /// Asks the main server.
    pub(super) fn in_main(mut self) -> Self {
        self.place = Place::Main;
        self
    }

    /// What the engine answers to all questions of the case so far.
    pub(super) fn answered(mut self, packets: Vec<u8>) -> Self {
        for talk in &mut self.talk {
            talk.reply = Reply::Bytes(packets.clone());
        }
        self
    }

    /// What the engine does with all questions of the case so far.
    pub(super) fn scripted(
        mut self,
        script: fn(&mut Conn, &Request) -> io::Result<Action>,
    ) -> Self {
        self.talk = self.talk.into_iter().map(|talk| talk.scripted(script)).collect();
        self
    }

    /// See [`Look::Logged`].
    pub(super) fn says(self, c: &str, ours: &str) -> Self {
        self.looks(Look::Logged { c: c.to_owned(), ours: ours.to_owned() })
    }

    /// See [`Look::Own`]; both modules write the same.
    pub(super) fn own(self, text: &str) -> Self {
        self.own_says(text, text)
    }

    /// See [`Look::Own`].
    pub(super) fn own_says(self, c: &str, ours: &str) -> Self {
        self.looks(Look::Own { c: c.to_owned(), ours: ours.to_owned() })
    }

    /// See [`Look::Body`].
    pub(super) fn shows(mut self, text: &'static str) -> Self {
        self.looks.push(Look::Body(text));
        self
    }

    pub(super) fn looks(mut self, look: Look) -> Self {
        self.looks.push(look);
        self
    }

    /// Looks at a file below the ServerRoot.
    pub(super) fn writes(self, path: &'static str) -> Self {
        self.looks(Look::File { path, digits: false })
    }

    /// Whichever digits the file has.
    pub(super) fn digits(mut self) -> Self {
        for look in &mut self.looks {
            if let Look::File { digits, .. } = look {
                *digits = true;
            }
        }
        self
    }

    /// Looks for a line in what a status worker says of the worker `@`.
    pub(super) fn status_line(self, text: &'static str) -> Self {
        self.status_of("/status?cmd=show&w=@&mime=prop", text)
    }

    /// Looks for a line in what a status worker says.
    pub(super) fn status_of(self, target: &str, text: &'static str) -> Self {
        self.site("JkMount /status @s")
            .workers("worker.list=@,@s\nworker.@s.type=status")
            .gets(&[target])
            .shows(text)
    }

    /// Looks for a line in the status worker's dump of the configuration: the C module does
    /// something with it that nobody can see.
    pub(super) fn dumped(self, text: &'static str) -> Self {
        self.status_of("/status?cmd=dump&mime=txt", text)
    }

    /// The engine answers only when the case has its answer.
    pub(super) fn ends_first(self) -> Self {
        self.scene(Scene::Held { settles: 0, busy: false })
    }

    pub(super) fn scene(mut self, scene: Scene) -> Self {
        self.scene = scene;
        self
    }

    /// Ours says this in its line about the worker, and does not do it yet.
    pub(super) fn config(mut self, text: &'static str) -> Self {
        self.ours = OnOurs::Config(text);
        self
    }

    /// Ours does not know or do it yet.
    pub(super) fn c_alone(mut self) -> Self {
        self.side = Side::C;
        self
    }

    /// The installed C module does not know it.
    pub(super) fn ours_alone(mut self) -> Self {
        self.side = Side::Ours;
        self
    }

    /// Marked lines change nothing with ours.
    pub(super) fn no_effect(mut self, row: &'static str) -> Self {
        self.ours = OnOurs::NoEffect(row);
        self
    }

    /// Ours does what `change` makes of what the C module does.
    pub(super) fn differs(mut self, row: &'static str, change: fn(&mut Seen)) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Changed(change) });
        self
    }

    /// Ours refuses the request with `status`.
    pub(super) fn refused(mut self, row: &'static str, status: u16) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Refused(status) });
        self
    }

    /// Ours has the engine answer it with `status`.
    pub(super) fn served(mut self, row: &'static str, status: u16) -> Self {
        self.difference = Some(Difference { row, ours: Ours::Served(status) });
        self
    }

    /// Its questions; one if it says none.
    pub(super) fn questions(&self) -> Vec<Talk> {
        if self.talk.is_empty() { vec![get("/x")] } else { self.talk.clone() }
    }

    /// The rows of the checklist that the case covers, by its marked lines.
    pub(super) fn rows(&self) -> Vec<String> {
        let directives =
            marked(&self.site).filter_map(|line| line.split_whitespace().next().map(str::to_owned));
        let properties = marked(&self.workers).filter_map(|line| {
            let key = line.split('=').next()?.trim();
            key.rsplit('.').next().map(str::to_owned)
        });
        directives.chain(properties).collect()
    }

    /// The texts of the case as it stands, then without each thing that is marked.
    pub(super) fn variants(&self) -> Vec<Variant> {
        let marks = |text: &str| marks(text).len();
        let files: usize = self.files.iter().map(|(_, text)| marks(text)).sum();
        let all = marks(&self.site) + marks(&self.workers) + files;
        (0..=all)
            .map(|number| {
                // The mark to leave out, counted over all texts.
                let mut left_out = number.checked_sub(1);
                let mut pick = |text: &str| {
                    let without = left_out.filter(|at| *at < marks(text));
                    left_out = left_out.and_then(|at| at.checked_sub(marks(text)));
                    pick(text, without)
                };
                Variant {
                    site: pick(&self.site),
                    workers: pick(&self.workers),
                    files: self.files.iter().map(|(path, text)| (*path, pick(text))).collect(),
                }
            })
            .collect()
    }
}

/// The texts of one run of a case.
pub(super) struct Variant {
    pub(super) site: String,
    pub(super) workers: String,
    pub(super) files: Vec<(&'static str, String)>,
}

fn marked(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("> ")).map(str::trim_start)
}

/// The marked lines and parts of lines.
fn marks(text: &str) -> Vec<&str> {
    let part = |line: &str| line.contains("<<");
    text.lines().filter(|line| line.trim_start().starts_with("> ") || part(line)).collect()
}

/// The text without its marks, and without what is marked as number `without`.
fn pick(text: &str, without: Option<usize>) -> String {
    let mut number = 0;
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = line.trim_start();
        let (whole, part) = (line.strip_prefix("> "), line.contains("<<"));
        let gone = (whole.is_some() || part) && without == Some(number);
        number += usize::from(whole.is_some() || part);
        match whole {
            Some(_) if gone => {}
            Some(line) => lines.push(line.to_owned()),
            None if part => {
                let (before, rest) = line.split_once("<<").expect("a mark");
                let (inside, after) = rest.split_once(">>").expect("the end of the mark");
                lines.push(format!("{before}{}{after}", if gone { "" } else { inside }));
            }
            None => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// A short answer with a status.
pub(super) fn status_answer(status: u16) -> Vec<u8> {
    answer(status, &[("Content-Type", "text/plain")], b"from the engine")
}

#[test]
fn each_mark_is_left_out_once() {
    let case = site("a", "JkMount /* @\n> JkEnvVar A\nJkOptions<< +FlushHeader>>")
        .props("> retries=1\nhost=localhost");
    assert_eq!(case.rows(), ["JkEnvVar", "retries"]);
    let variants: Vec<(String, String)> = case
        .variants()
        .into_iter()
        .map(|variant| (variant.site.replace('\n', "|"), variant.workers.replace('\n', "|")))
        .collect();
    let (all, env) = ("JkMount /* @|JkEnvVar A|JkOptions +FlushHeader|", "JkMount /* @|");
    let (retries, host) =
        ("worker.@.retries=1|worker.@.host=localhost|", "worker.@.host=localhost|");
    assert_eq!(
        variants,
        [
            (all.to_owned(), retries.to_owned()),
            (format!("{env}JkOptions +FlushHeader|"), retries.to_owned()),
            (format!("{env}JkEnvVar A|JkOptions|"), retries.to_owned()),
            (all.to_owned(), host.to_owned()),
        ]
    );
}
