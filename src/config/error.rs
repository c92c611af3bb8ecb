//! What is wrong with a configuration: all of it, each with its place and its remedy.
//!
//! Reading never stops at the first mistake. Everything found goes into [`Problems`], so that one
//! `httpd -t` shows the administrator the whole list.
#![forbid(unsafe_code)]

use std::{collections::HashMap, fmt, sync::Arc};

/// Where a setting was read. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file's name as the administrator gave it, or the name of a directive.
    pub source: Arc<str>,
    /// Line in that file, counted from 1. 0 when there is no line to name.
    pub line: u32,
}

impl Place {
    /// A line of a file.
    pub fn new(source: &str, line: u32) -> Place {
        Place { source: Arc::from(source), line }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.source),
            line => write!(f, "{}:{line}", self.source),
        }
    }
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used; httpd must not start with it.
    Error,
    /// The configuration loads, as in C mod_jk, but hardly means what was intended.
    Warning,
    /// Of interest only to those who look for it; no mistake.
    Note,
}

/// One mistake in a configuration. Holds no secret's value.
///
/// Displayed as one line: `workers.properties:12: worker.a.port: "80x9" is not a port number, it is
/// read as 80; use a number from 1 to 65535`. Empty parts are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether httpd may start.
    pub severity: Severity,
    /// File name as given, or a directive.
    pub source: String,
    /// Line in `source`, counted from 1; 0 for none.
    pub line: u32,
    /// The full key, such as `worker.a.port`; empty for none.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What would be right; empty when there is nothing to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.source.is_empty() {
            f.write_str(&self.source)?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            f.write_str(": ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Everything found wrong so far, in the order in which it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    all: Vec<Problem>,
    /// Positions in `all`, by file and line.
    by_place: HashMap<(String, u32), Vec<usize>>,
}

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Problems {
        Problems::default()
    }

    /// Adds one, unless it was found before: several servers may use the same lines.
    pub fn push(&mut self, problem: Problem) {
        let place = (problem.source.clone(), problem.line);
        let same_place = self.by_place.entry(place).or_default();
        if !same_place.iter().any(|at| self.all.get(*at) == Some(&problem)) {
            same_place.push(self.all.len());
            self.all.push(problem);
        }
    }

    /// Adds an error at a place.
    pub fn error(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Error, place, key.into(), what.into(), remedy.into());
    }

    /// Adds a warning at a place.
    pub fn warning(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Warning, place, key.into(), what.into(), remedy.into());
    }

    /// Adds what is of interest only to those who look for it.
    pub fn note(
        &mut self,
        place: &Place,
        key: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Severity::Note, place, key.into(), what.into(), remedy.into());
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.all.iter()
    }

    /// Whether any of them forbids to start.
    pub fn has_errors(&self) -> bool {
        self.all.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Turns every warning into an error (JkStrict).
    pub fn escalate(&mut self) {
        for problem in &mut self.all {
            if problem.severity == Severity::Warning {
                problem.severity = Severity::Error;
            }
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        place: &Place,
        key: String,
        what: String,
        remedy: String,
    ) {
        let source = place.source.to_string();
        self.push(Problem { severity, source, line: place.line, key, what, remedy });
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_file_line_key_mistake_and_remedy() {
        let mut problems = Problems::new();
        assert!(problems.is_empty() && !problems.has_errors());
        problems.warning(&Place::new("workers.properties", 12), "worker.a.port", "bad", "do so");
        assert!(!problems.is_empty() && !problems.has_errors());
        let mut strict = problems.clone();
        strict.escalate();
        assert!(strict.has_errors());
        problems.error(&Place::new("JkWorkersFile", 0), "", "worse", "");
        assert!(problems.has_errors());
        let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["workers.properties:12: worker.a.port: bad; do so", "JkWorkersFile: worse"]
        );
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut problems = Problems::new();
        for line in [1, 2, 1] {
            problems.warning(&Place::new("a", line), "", "bad", "");
        }
        assert_eq!(problems.iter().count(), 2);
    }

    #[test]
    fn a_problem_without_a_place_is_still_a_sentence() {
        let mut problems = Problems::new();
        problems.error(&Place::new("", 0), "worker.list", "is empty", "name a worker");
        let shown: Vec<String> = problems.into_iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["worker.list: is empty; name a worker"]);
        assert_eq!(Place::new("a", 3).to_string(), "a:3");
        assert_eq!(Place::new("a", 0).to_string(), "a");
    }
}
