//! YAML as the engine's files use it: text in, keys with dots and their values out.
//!
//! The parser tells where everything stands; what a scalar means is decided by the key that it
//! belongs to. Aliases are never copied, so that a small file cannot become a large one.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::config::{
    error::{Place, Problems},
    text::printable,
};

/// Largest file that is read, in bytes. Those of real engines have a few KiB.
pub const MAX_FILE: usize = 1024 * 1024;

/// Most mappings and lists within each other.
const MAX_DEPTH: usize = 64;

/// Most keys, those that aliases repeat included.
const MAX_KEYS: usize = 20_000;

/// Most bytes of all keys with dots together.
const MAX_KEY_BYTES: usize = 8 * 1024 * 1024;

/// What a merge counts for, in bytes: one of nothing takes its time as well.
const MERGE_BYTES: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// One value; `is_plain`: without quotes, so that YAML decides what it is.
    Scalar { text: String, is_plain: bool },
    /// Its items are nobody's business.
    List,
    /// Keys, each with its line and the position of its value.
    Mapping(Vec<(String, u32, usize)>),
}

impl Node {
    /// Whether it says nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Node::Scalar { text, is_plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// The keys of a file, in their order.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Name of the file as messages show it; empty: there is none.
    pub(super) source: String,
    nodes: Vec<Node>,
    /// Key with dots, line, position of the value.
    entries: Vec<(String, u32, usize)>,
    positions: HashMap<String, usize>,
}

impl Tree {
    /// Reads a file. `source` is its name as messages show it.
    pub(super) fn read(text: &[u8], source: &str, problems: &mut Problems) -> Tree {
        let mut tree = Tree { source: source.to_string(), ..Tree::default() };
        let Some(text) = decode(text, source, problems) else { return tree };
        match Builder::default().build(text) {
            Err(wrong) => wrong.report(source, problems),
            Ok((nodes, root)) => {
                tree.nodes = nodes;
                if let Some(root) = root {
                    tree.collect(root, problems);
                }
            }
        }
        tree
    }

    /// The value of a key, with its line.
    pub(super) fn find(&self, key: &str) -> Option<(&Node, Place)> {
        let (_, line, node) = self.entries.get(*self.positions.get(key)?)?;
        Some((self.nodes.get(*node)?, Place::new(&self.source, *line)))
    }

    /// All keys with their places, in their order; those of mappings, too.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, Place)> {
        self.entries.iter().map(|(key, line, _)| (key.as_str(), Place::new(&self.source, *line)))
    }

    fn collect(&mut self, root: usize, problems: &mut Problems) {
        let nodes = std::mem::take(&mut self.nodes);
        let mut walk = Walk { nodes: &nodes, tree: self, bytes: 0, problems };
        if let Some(Node::Mapping(_)) = nodes.get(root) {
            let _ = walk.mapping(root, "", 0);
        } else if !nodes.get(root).is_none_or(Node::is_null) {
            let what = "holds no keys";
            let place = Place::new(&walk.tree.source, 1);
            walk.problems.error(&place, "", what, "write it as Key: value");
        }
        self.nodes = nodes;
    }
}

/// The text of a file; `None` where it is none.
fn decode<'t>(text: &'t [u8], source: &str, problems: &mut Problems) -> Option<&'t str> {
    if text.len() > MAX_FILE {
        let what = format!("has {} bytes, the limit is {MAX_FILE}", text.len());
        problems.error(&Place::new(source, 0), "", what, "name the engine's ivy.yaml");
        return None;
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let line_at = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1)
    };
    if let Some(at) = text.iter().position(|byte| *byte == 0) {
        let what = "the line has a NUL byte";
        problems.error(&Place::new(source, line_at(at)), "", what, "save the file as UTF-8");
        return None;
    }
    match std::str::from_utf8(text) {
        Ok(text) => Some(text),
        Err(e) => {
            let place = Place::new(source, line_at(e.valid_up_to()));
            problems.error(&place, "", "the line is not UTF-8", "save the file as UTF-8");
            None
        }
    }
}

/// Why a file is no YAML that can be used.
struct Wrong {
    line: u32,
    what: String,
    remedy: &'static str,
}

impl Wrong {
    fn report(self, source: &str, problems: &mut Problems) {
        problems.error(&Place::new(source, self.line), "", self.what, self.remedy);
    }
}

fn line_of(span: Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

/// What is open while a file is read.
enum Frame {
    List,
    /// Position of the mapping, and the key whose value comes next; `None` inside: a key that is no
    /// text.
    Mapping(usize, Option<(Option<String>, u32)>),
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    anchors: HashMap<usize, usize>,
    open: Vec<Frame>,
    root: Option<usize>,
}

impl Builder {
    fn build(mut self, text: &str) -> Result<(Vec<Node>, Option<usize>), Wrong> {
        let mut documents: usize = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|e| Wrong {
                line: u32::try_from(e.marker().line()).unwrap_or(u32::MAX),
                // Its quotes need no escape.
                what: format!(
                    "is no valid YAML here: {}",
                    printable(e.info().as_bytes()).replace("\\'", "'")
                ),
                remedy: "look at the blanks and quotes of this line and of the one before it",
            })?;
            let line = line_of(span);
            match event {
                Event::DocumentStart(_) => {
                    documents = documents.saturating_add(1);
                    if documents > 1 {
                        let what = "a second document begins".to_string();
                        return Err(Wrong { line, what, remedy: "remove the line with ---" });
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let is_plain = style == ScalarStyle::Plain && tag.is_none();
                    let node = Node::Scalar { text: text.into_owned(), is_plain };
                    self.add(node, anchor, line)?;
                }
                Event::Alias(anchor) => {
                    if let Some(at) = self.anchors.get(&anchor).copied() {
                        self.attach(at, line)?;
                    }
                }
                Event::SequenceStart(anchor, _) => {
                    self.add(Node::List, anchor, line)?;
                    self.enter(Frame::List, line)?;
                }
                Event::MappingStart(anchor, _) => {
                    let at = self.add(Node::Mapping(Vec::new()), anchor, line)?;
                    self.enter(Frame::Mapping(at, None), line)?;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    self.open.pop();
                }
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
        }
        Ok((self.nodes, self.root))
    }

    fn enter(&mut self, frame: Frame, line: u32) -> Result<(), Wrong> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        self.open.push(frame);
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize, line: u32) -> Result<usize, Wrong> {
        let at = self.nodes.len();
        self.nodes.push(node);
        if anchor > 0 {
            self.anchors.insert(anchor, at);
        }
        self.attach(at, line)?;
        Ok(at)
    }

    /// Puts a value where it stands in the file.
    fn attach(&mut self, at: usize, line: u32) -> Result<(), Wrong> {
        match self.open.last_mut() {
            None => self.root = Some(at),
            Some(Frame::List) => {}
            Some(Frame::Mapping(mapping, pending)) => match pending.take() {
                Some((Some(key), line)) => {
                    if let Some(Node::Mapping(pairs)) = self.nodes.get_mut(*mapping) {
                        pairs.push((key, line, at));
                    }
                }
                Some((None, _)) => {}
                None => match self.nodes.get(at) {
                    Some(Node::Scalar { text, .. }) => *pending = Some((Some(text.clone()), line)),
                    _ => {
                        let what = "a key is a list or a mapping".to_string();
                        return Err(Wrong { line, what, remedy: "write it as Key: value" });
                    }
                },
            },
        }
        Ok(())
    }
}

fn too_deep(line: u32) -> Wrong {
    let what = format!("more than {MAX_DEPTH} levels are nested");
    Wrong { line, what, remedy: "write the keys with dots" }
}

/// Stops a walk; what is wrong has been said.
struct Stop;

struct Walk<'w> {
    nodes: &'w [Node],
    tree: &'w mut Tree,
    bytes: usize,
    problems: &'w mut Problems,
}

impl<'w> Walk<'w> {
    fn mapping(&mut self, at: usize, prefix: &str, depth: usize) -> Result<(), Stop> {
        let nodes = self.nodes;
        let Some(Node::Mapping(pairs)) = nodes.get(at) else { return Ok(()) };
        let is_mapping = |at: usize| matches!(nodes.get(at), Some(Node::Mapping(_)));
        let mut first: HashMap<&'w str, (u32, usize)> = HashMap::new();
        for (key, line, value) in pairs {
            if key == "<<" {
                continue;
            }
            if let Some((before, earlier)) = first.get(key.as_str()) {
                // Leaves are compared by their whole key.
                if is_mapping(*value) || is_mapping(*earlier) {
                    self.say_twice(&join(prefix, key), *line, *before);
                }
            } else {
                first.insert(key, (*line, *value));
            }
            self.entry(prefix, key, *line, *value, depth)?;
        }
        let mut known: HashSet<&'w str> = first.into_keys().collect();
        for (_, line, value) in pairs.iter().filter(|(key, ..)| key == "<<") {
            self.merge(*value, prefix, *line, depth, &mut known)?;
        }
        Ok(())
    }

    /// `<<: *anchor` gives what the mapping does not say itself.
    fn merge(
        &mut self,
        at: usize,
        prefix: &str,
        line: u32,
        depth: usize,
        known: &mut HashSet<&'w str>,
    ) -> Result<(), Stop> {
        let nodes = self.nodes;
        self.count(prefix.len().saturating_add(MERGE_BYTES), line)?;
        let Some(Node::Mapping(pairs)) = nodes.get(at) else {
            let place = Place::new(&self.tree.source, line);
            let what = "does not merge a mapping";
            self.problems.error(&place, join(prefix, "<<"), what, "write the keys out");
            return Ok(());
        };
        if depth >= MAX_DEPTH {
            return self.stop(too_deep(line));
        }
        let deeper = depth.saturating_add(1);
        for (key, line, value) in pairs {
            if key == "<<" {
                self.merge(*value, prefix, *line, deeper, known)?;
            } else if known.insert(key) {
                self.entry(prefix, key, *line, *value, depth)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        prefix: &str,
        key: &str,
        line: u32,
        value: usize,
        depth: usize,
    ) -> Result<(), Stop> {
        let path = join(prefix, key);
        self.count(path.len(), line)?;
        if depth >= MAX_DEPTH {
            return self.stop(too_deep(line));
        }
        let is_mapping = matches!(self.nodes.get(value), Some(Node::Mapping(_)));
        let known = self.tree.positions.get(&path).and_then(|at| self.tree.entries.get(*at));
        match known {
            Some((_, before, earlier)) if !is_mapping => {
                let before = *before;
                if !matches!(self.nodes.get(*earlier), Some(Node::Mapping(_))) {
                    self.say_twice(&path, line, before);
                }
            }
            Some(_) => {}
            None => {
                self.tree.positions.insert(path.clone(), self.tree.entries.len());
            }
        }
        self.tree.entries.push((path.clone(), line, value));
        if is_mapping {
            self.mapping(value, &path, depth.saturating_add(1))?;
        }
        Ok(())
    }

    /// Ends a walk that aliases make too long.
    fn count(&mut self, bytes: usize, line: u32) -> Result<(), Stop> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.tree.entries.len() < MAX_KEYS && self.bytes <= MAX_KEY_BYTES {
            return Ok(());
        }
        let what = format!("there are more than {MAX_KEYS} keys, counting what aliases repeat");
        self.stop(Wrong { line, what, remedy: "remove what the engine does not need" })
    }

    fn say_twice(&mut self, key: &str, line: u32, before: u32) {
        let what = format!("is there twice, in line {before} as well");
        let place = Place::new(&self.tree.source, line);
        let remedy = "keep one of them; Key.Name and Name below Key are the same";
        self.problems.error(&place, printable(key.as_bytes()), what, remedy);
    }

    fn stop(&mut self, wrong: Wrong) -> Result<(), Stop> {
        wrong.report(&self.tree.source, self.problems);
        Err(Stop)
    }
}

fn join(prefix: &str, key: &str) -> String {
    match prefix {
        "" => key.to_string(),
        prefix => format!("{prefix}.{key}"),
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
