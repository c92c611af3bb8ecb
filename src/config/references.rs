//! `reference`: a worker that takes over the properties of another [2.3].
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use super::{
    error::Problems,
    line::key_text,
    properties::{Properties, Property},
    text::{MAX_SUGGESTIONS, quoted, suggestion},
};

const SUFFIX: &[u8] = b".reference";

/// References that may follow from one to the next, as in C mod_jk.
const MAX_CHAIN: usize = 19;

/// Properties that references may add: more than any configuration needs. References between parts of
/// names can double what they add with every line.
const MAX_INHERITED: usize = 1_000_000;

/// A line such as `worker.a.reference=worker.b`.
#[derive(Clone)]
struct Reference {
    /// `worker.a.`, with its dot.
    to: Vec<u8>,
    /// `worker.b.`, with its dot.
    from: Vec<u8>,
    property: Property,
}

impl Reference {
    fn of(property: &Property) -> Option<Reference> {
        let to = property.key.strip_suffix(SUFFIX)?;
        Some(Reference {
            to: [to, b"."].concat(),
            from: [&property.value[..], b"."].concat(),
            property: property.clone(),
        })
    }
}

/// A reference that cannot be followed.
struct Broken {
    key: Vec<u8>,
    why: Why,
}

enum Why {
    Circle,
    Chain,
    Nothing,
    TooMany,
}

impl Properties {
    /// Adds to each worker with a `reference` what it takes over. What a worker sets itself stays.
    /// To be called once everything has been read.
    pub fn resolve_references(&mut self, problems: &mut Problems) {
        self.resolve_up_to(MAX_INHERITED, problems);
    }

    fn resolve_up_to(&mut self, inherited: usize, problems: &mut Problems) {
        let mut reported: HashSet<Vec<u8>> = HashSet::new();
        let mut origins = Origins::default();
        let most = self.iter().len().saturating_add(inherited);
        let mut at: usize = 0;
        // What is taken over may be a reference itself, of a worker whose name has a dot.
        while let Some(property) = self.at(at) {
            at = at.saturating_add(1);
            // Neither worker.reference nor a reference of a variable is one.
            let rest = property.key.strip_prefix(b"worker.").unwrap_or_default();
            let Some(first) = Reference::of(property).filter(|_| rest.ends_with(SUFFIX)) else {
                continue;
            };
            let result = match self.iter().len() > most {
                true => Err(Broken { key: property.key.clone(), why: Why::TooMany }),
                false => self.resolve(first, &mut origins),
            };
            let Err(broken) = result else { continue };
            if !reported.contains(&broken.key)
                && let Some(property) = self.find(&broken.key)
            {
                let suggests = reported.len() < MAX_SUGGESTIONS;
                let (what, remedy) = self.explain(property, &broken.why, inherited, suggests);
                problems.error(&property.place, key_text(&property.key), what, remedy);
            }
            reported.insert(broken.key);
            if matches!(broken.why, Why::Circle | Why::TooMany) {
                return;
            }
        }
    }

    /// Follows a chain to its end, and lets the properties flow back from there.
    fn resolve(&mut self, first: Reference, origins: &mut Origins) -> Result<(), Broken> {
        let mut chain: Vec<Reference> = Vec::new();
        let mut next = Some(first);
        while let Some(reference) = next {
            let broken = |why| Broken { key: reference.property.key.clone(), why };
            // Who takes over what it gives, or gives it to a part of itself, never comes to an end.
            let leads_back = |target: &Reference| target.to.starts_with(&reference.from);
            if leads_back(&reference)
                || chain.iter().any(leads_back)
                || origins.repeats(&reference.property)
            {
                return Err(broken(Why::Circle));
            }
            if chain.len() == MAX_CHAIN {
                return Err(broken(Why::Chain));
            }
            let found = self.find(&[&reference.property.value[..], SUFFIX].concat());
            next = found.and_then(Reference::of);
            chain.push(reference);
        }
        chain.into_iter().rev().try_for_each(|reference| self.take_over(reference, origins))
    }

    fn take_over(&mut self, reference: Reference, origins: &mut Origins) -> Result<(), Broken> {
        let Reference { to, from, property } = reference;
        let inherited: Vec<Property> = self.below(&from).into_iter().cloned().collect();
        if inherited.is_empty() {
            return Err(Broken { key: property.key, why: Why::Nothing });
        }
        for known in inherited {
            let rest = known.key.get(from.len()..).unwrap_or_default();
            let key = [&to[..], rest].concat();
            if self.find(&key).is_some() {
                continue;
            }
            if key.ends_with(SUFFIX) {
                origins.note(&key, &property);
            }
            self.inherit(key, &known);
        }
        Ok(())
    }

    /// What is wrong with a reference, and what would be right.
    fn explain(
        &self,
        property: &Property,
        why: &Why,
        inherited: usize,
        suggests: bool,
    ) -> (String, String) {
        match why {
            Why::Circle => (
                format!("{} leads back to itself", quoted(&property.value)),
                "refer to a worker without a reference".to_string(),
            ),
            Why::Chain => (
                format!("more than {MAX_CHAIN} references follow each other"),
                "refer to the last one of them".to_string(),
            ),
            Why::TooMany => (
                format!("references add more than {inherited} properties"),
                "take out references below what others refer to, such as worker.t.x.reference"
                    .to_string(),
            ),
            Why::Nothing => {
                let from = [&property.value[..], b"."].concat();
                let what = format!("there is no property that begins with {}", quoted(&from));
                let known = self.iter().take_while(|_| suggests);
                let known = known.filter_map(|known| prefix(&known.key));
                let remedy = match suggestion(&property.value, known) {
                    Some(near) => format!("did you mean {}?", key_text(near)),
                    None => {
                        "write all of its keys but the last part, such as worker.template".into()
                    }
                };
                (what, remedy)
            }
        }
    }
}

/// Which reference has brought each one that was taken over.
#[derive(Default)]
struct Origins(HashMap<Vec<u8>, (Vec<u8>, Vec<u8>)>);

impl Origins {
    /// Notes that `by` brings the reference `key`.
    fn note(&mut self, key: &[u8], by: &Property) {
        self.0.insert(key.to_vec(), (by.key.clone(), by.value.clone()));
    }

    /// Whether a reference was brought by one to the same place: it brings itself again, further
    /// below each time.
    fn repeats(&self, reference: &Property) -> bool {
        let mut key = &reference.key;
        while let Some((by, value)) = self.0.get(key) {
            if *value == reference.value {
                return true;
            }
            key = by;
        }
        false
    }
}

/// A key without its last part.
fn prefix(key: &[u8]) -> Option<&[u8]> {
    let at = key.iter().rposition(|byte| *byte == b'.')?;
    key.get(..at).filter(|prefix| !prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> (Properties, Vec<String>) {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        properties.resolve_references(&mut problems);
        (properties, problems.iter().map(ToString::to_string).collect())
    }

    fn value(properties: &Properties, key: &str) -> Option<String> {
        properties.value(key.as_bytes()).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn chain(references: usize) -> String {
        let link = |n| format!("worker.w{n}.reference=worker.w{}\n", n + 1);
        (0..references).map(link).collect::<String>() + &format!("worker.w{references}.port=7\n")
    }

    #[test]
    fn takes_over_what_is_not_set() {
        let (properties, problems) = resolve(
            "worker.a.reference=worker.t\nworker.a.port=1\nworker.t.port=2\nworker.t.host=ivy\n\
             worker.t2.secret=x\nworker.b.reference=base\nbase.port=3\nbase.retries=4",
        );
        assert_eq!(problems, [""; 0]);
        let a = properties.find(b"worker.a.host").unwrap();
        assert_eq!((&a.value[..], a.is_inherited), (&b"ivy"[..], true));
        assert_eq!(a.place.line, 4, "the line that says so");
        assert_eq!(value(&properties, "worker.a.port").as_deref(), Some("1"));
        assert_eq!(value(&properties, "worker.a.secret"), None);
        assert_eq!(value(&properties, "worker.b.retries").as_deref(), Some("4"));
    }

    #[test]
    fn follows_chains_as_long_as_c_mod_jk_does() {
        let (properties, problems) = resolve(&chain(MAX_CHAIN));
        assert_eq!(problems, [""; 0]);
        assert_eq!(value(&properties, "worker.w0.port").as_deref(), Some("7"));
        let (_, problems) = resolve(&chain(MAX_CHAIN + 1));
        assert_eq!(
            problems,
            [
                "w:20: worker.w19.reference: more than 19 references follow each other; refer to the \
              last one of them"
            ]
        );
        let nearer = "worker.a.reference=worker.b\nworker.b.reference=worker.c\nworker.b.port=1\n\
            worker.c.port=2";
        let (properties, _) = resolve(nearer);
        assert_eq!(value(&properties, "worker.a.port").as_deref(), Some("1"), "the nearest wins");
    }

    #[test]
    fn takes_over_workers_below_it() {
        let (properties, problems) = resolve(
            "worker.a.reference=worker.t\nworker.t.x.reference=worker.u\nworker.t.x.host=ivy\n\
             worker.u.port=5",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(value(&properties, "worker.a.x.host").as_deref(), Some("ivy"));
        assert_eq!(value(&properties, "worker.a.x.port").as_deref(), Some("5"));
    }

    #[test]
    fn ends_every_circle() {
        for text in [
            "worker.a.reference=worker.a",
            "worker.a.reference=worker",
            "worker.a.b.reference=worker.a",
            "worker.a.reference=worker.b\nworker.b.reference=worker.a",
            "worker.a.reference=worker.b\nworker.b.x.reference=worker.a",
            "worker.a.x.reference=worker.b\nworker.b.y.reference=worker.a",
            "worker.x.reference=worker.a\nworker.a.reference=worker.b\n\
             worker.b.reference=worker.a",
        ] {
            let (_, problems) = resolve(text);
            assert!(!problems.is_empty(), "{text}");
            for problem in problems {
                let end = "leads back to itself; refer to a worker without a reference";
                assert!(problem.ends_with(end), "{problem}");
            }
        }
    }

    #[test]
    fn tells_a_circle_from_many_workers() {
        let mut text = (0..20).map(|n| format!("worker.t.x{n}.port={n}\n")).collect::<String>();
        text += &(0..3000).map(|n| format!("worker.w{n}.reference=worker.t\n")).collect::<String>();
        let (properties, problems) = resolve(&text);
        assert_eq!(problems, [""; 0]);
        assert_eq!(properties.iter().len(), 20 + 3000 * 21);
        assert_eq!(value(&properties, "worker.w2999.x19.port").as_deref(), Some("19"));
        // The same template twice is none either.
        let twice = "worker.a.reference=worker.t\nworker.t.x.reference=worker.u\n\
            worker.t.y.reference=worker.u\nworker.u.z.reference=worker.v\nworker.v.port=1";
        let (properties, problems) = resolve(twice);
        assert_eq!(problems, [""; 0]);
        assert_eq!(value(&properties, "worker.a.y.z.port").as_deref(), Some("1"));
    }

    #[test]
    fn ends_where_references_add_without_measure() {
        let doubled = |n| {
            let next = n + 1;
            format!(
                "worker.t{n}.x.reference=worker.t{next}\nworker.t{n}.y.reference=worker.t{next}\n"
            )
        };
        let text: String = (0..12).map(doubled).collect();
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        let text = format!("worker.a.reference=worker.t0\n{text}worker.t12.port=1");
        properties.read_text(text.as_bytes(), "w", &|_| None, &mut problems);
        let mut refused = properties.clone();
        refused.resolve_up_to(1000, &mut problems);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{problems:?}");
        let what = "references add more than 1000 properties; take out references below what others \
                    refer to, such as worker.t.x.reference";
        assert!(problems[0].ends_with(what), "{problems:?}");
        let mut problems = Problems::new();
        properties.resolve_references(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn explains_what_leads_nowhere_once() {
        let (_, problems) = resolve(
            "worker.a.reference=worker.b\nworker.b.reference=worker.tmplate\n\
             worker.template.port=1\nworker.c.reference=zzzzzzzzzz\nworker.reference=x\n\
             worker.d.reference=worker.template.",
        );
        assert_eq!(
            problems,
            [
                "w:2: worker.b.reference: there is no property that begins with \
                 \"worker.tmplate.\"; did you mean worker.template?",
                "w:4: worker.c.reference: there is no property that begins with \"zzzzzzzzzz.\"; \
                 write all of its keys but the last part, such as worker.template",
                "w:6: worker.d.reference: there is no property that begins with \
                 \"worker.template..\"; did you mean worker.template?",
            ]
        );
    }
}
