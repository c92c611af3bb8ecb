//! Runs the cases of a group with the C module, then with ours, and judges what was seen.

use super::case::{Case, Place, Side};
use super::engines::Engines;
use super::judge::judge_case;
use super::looks::Logs;
use super::stage::Stage;
use crate::compliance::seen::Seen;
use crate::support::ReservedPort;
use crate::support::httpd::{Builder, Httpd, Module};

/// Cases that one httpd serves, but for those that need one of their own.
pub(super) struct Group {
    /// Name of its test function.
    pub(super) test: &'static str,
    /// Modules of httpd to load.
    pub(super) modules: &'static [&'static str],
    /// The main server's configuration.
    pub(super) config: &'static str,
    /// Lines of workers.properties for all.
    pub(super) workers: &'static str,
    /// Files below the ServerRoot.
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) cases: Vec<Case>,
}

/// The ports that show in packets and answers: both modules get the same ones, one after the other.
pub(super) struct Ports {
    main: ReservedPort,
    sites: ReservedPort,
    pub(super) client: ReservedPort,
}

/// What was seen of a case, variant by variant.
pub(super) type Variants = Vec<Seen>;

impl Group {
    /// Compares the two modules, and fails with all that is wrong.
    pub(super) fn check(&self) {
        let ports = Ports {
            main: ReservedPort::v4(),
            sites: ReservedPort::v4(),
            client: ReservedPort::v4(),
        };
        let theirs = self.observe(Module::C, &ports);
        let ours = self.observe(Module::Ours, &ports);
        let mut problems = Vec::new();
        for (case, (theirs, ours)) in self.cases.iter().zip(theirs.iter().zip(&ours)) {
            let found = judge_case(case, theirs.as_deref(), ours.as_deref());
            problems.extend(found.iter().map(|problem| format!("{}: {problem}", case.name)));
        }
        let count = self.cases.len();
        assert!(
            problems.is_empty(),
            "{} problems in {count} cases:\n{}",
            problems.len(),
            problems.join("\n")
        );
    }

    fn observe(&self, module: Module, ports: &Ports) -> Vec<Option<Variants>> {
        let engines = Engines::start();
        let shared: Vec<(usize, &Case)> = self
            .cases
            .iter()
            .enumerate()
            .filter(|(_, case)| case.runs_with(module))
            .filter(|(_, case)| matches!(case.place, Place::Site | Place::Main))
            .collect();
        let mut seen: Vec<Option<Variants>> = self.cases.iter().map(|_| None).collect();
        if !shared.is_empty() {
            let stage = Stage::new(module, &engines, ports.main.addr(), ports.sites.addr(), ports);
            let mut builder = self.builder(module, ports);
            for (number, case) in &shared {
                builder = stage.add(builder, *number, case);
            }
            let mut httpd = builder.start();
            for (number, case) in &shared {
                seen[*number] = Some(stage.play(&httpd, *number, case));
            }
            for (number, case) in &shared {
                stage.wait(*number, case, seen[*number].as_mut().expect("played"));
            }
            // Whatever is written after an answer is written now.
            httpd.stop();
            for (number, case) in &shared {
                let logs = Logs::of(&httpd);
                stage.read(&logs, *number, case, seen[*number].as_mut().expect("seen above"));
            }
        }
        for (number, case) in self.cases.iter().enumerate() {
            if case.runs_with(module) && matches!(case.place, Place::Alone | Place::Test) {
                let stage =
                    Stage::new(module, &engines, ports.main.addr(), ports.main.addr(), ports);
                let variants = (0..case.variants().len())
                    .map(|variant| stage.play_alone(self, number, case, variant))
                    .collect();
                seen[number] = Some(variants);
            }
        }
        engines.assert_no_faults(module);
        seen
    }

    fn builder(&self, module: Module, ports: &Ports) -> Builder {
        let mut builder = Httpd::builder(module)
            .jk_log_level("debug")
            .modules(self.modules)
            .config(&format!(
                "ServerTokens Prod\nListen {}\nListen {}",
                ports.main.addr(),
                ports.sites.addr()
            ))
            .config(self.config)
            .workers(self.workers);
        for (path, text) in self.files {
            builder = builder.file(path, text);
        }
        builder
    }
}

impl Case {
    fn runs_with(&self, module: Module) -> bool {
        match self.side {
            Side::Both => true,
            Side::C => module == Module::C,
            Side::Ours => module == Module::Ours,
        }
    }
}
