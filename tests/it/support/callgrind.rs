//! Instructions of httpd's processes, counted by callgrind.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::httpd::{Builder, Httpd};
use super::process::{self, Target};
use super::{temp_dir, wait_until};

/// Where httpd calls the module that answers a request.
pub(crate) const HANDLER: &str = "ap_run_handler";

/// A directory for what is counted in one run.
pub(crate) struct Run(TempDir);

impl Run {
    pub(crate) fn new() -> Self {
        let dir = temp_dir("jk-callgrind-");
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(dir.path(), everybody).expect("chmod");
        Self(dir)
    }

    /// An httpd that is counted.
    pub(crate) fn under(&self, httpd: Builder) -> Builder {
        self.with(httpd, &[])
    }

    /// An httpd that is counted request by request: see [`Run::end_each`].
    pub(crate) fn under_each(&self, httpd: Builder) -> Builder {
        self.with(httpd, &[&format!("--dump-after={HANDLER}")])
    }

    fn with(&self, httpd: Builder, options: &[&str]) -> Builder {
        let out = format!("--callgrind-out-file={}/out.%p", self.0.path().display());
        let command = [&["valgrind", "-q", "--tool=callgrind", &out], options].concat();
        httpd.under(&command).patience(Duration::from_secs(300))
    }

    /// Ends httpd; what its only child has done.
    pub(crate) fn end(&self, httpd: Httpd) -> Profile {
        self.profile(self.stop(httpd), "")
    }

    /// Ends httpd; what its only child has done for each request.
    pub(crate) fn end_each(&self, httpd: Httpd, requests: usize) -> Vec<Profile> {
        let child = self.stop(httpd);
        (1..=requests).map(|number| self.profile(child, &format!(".{number}"))).collect()
    }

    fn stop(&self, httpd: Httpd) -> u32 {
        let (pid, child) = (httpd.pid(), httpd.only_child());
        // The file is written when the child ends by itself.
        process::signal(Target::Process(pid), libc::SIGTERM);
        wait_until("httpd ends under callgrind", || process::children_of(pid).is_empty());
        child
    }

    fn profile(&self, child: u32, end: &str) -> Profile {
        let file = self.0.path().join(format!("out.{child}{end}"));
        let text = std::fs::read_to_string(&file);
        Profile(text.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
    }
}

/// A profile in callgrind's format.
pub(crate) struct Profile(String);

impl Profile {
    /// The cost of all calls from one of `callers` into one of the files `modules`.
    pub(crate) fn inclusive(&self, callers: &[&str], modules: &[&str]) -> u64 {
        let (mut files, mut names) = (Names::default(), Names::default());
        let (mut file, mut caller) = ("", "");
        let mut called = None;
        let mut is_cost = false;
        let mut sum = 0;
        for line in self.0.lines() {
            if let Some(rest) = line.strip_prefix("ob=") {
                file = files.resolve(rest);
            } else if let Some(rest) = line.strip_prefix("fn=") {
                caller = names.resolve(rest);
            } else if let Some(rest) = line.strip_prefix("cob=") {
                called = Some(files.resolve(rest));
            } else if let Some(rest) = line.strip_prefix("cfn=") {
                names.resolve(rest);
            } else if line.starts_with("calls=") {
                is_cost = true;
            } else if std::mem::take(&mut is_cost) {
                let into = called.take().unwrap_or(file);
                let into = Path::new(into).file_name().and_then(|name| name.to_str());
                let ours =
                    into.is_some_and(|name| modules.iter().any(|module| name.ends_with(module)));
                if ours && callers.contains(&caller) {
                    let cost = line.split_whitespace().nth(1).expect("a cost");
                    sum += cost.parse::<u64>().expect("a number");
                }
            }
        }
        sum
    }
}

/// Names that are written out once, with a number that stands for them later: `(1) name`, `(1)`.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    fn resolve(&mut self, text: &'a str) -> &'a str {
        match text.split_once(' ') {
            Some((number, name)) => {
                self.0.insert(number, name);
                name
            }
            None => self.0.get(text).copied().unwrap_or(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "\
events: Ir
ob=(1) /usr/sbin/apache2
fn=(1) ap_run_handler
10 5
cob=(2) /somewhere/libmod_jk.so
cfn=(2) 0x1234
calls=3 0
10 300
cfn=(3) ap_log
calls=1 0
+1 7
fn=(4) main
cob=(2)
cfn=(2)
calls=1 0
* 50
ob=(2)
fn=(2)
11 290
ob=(1)
fn=(1)
cob=(2)
cfn=(2)
calls=1 0
10 100
";

    #[test]
    fn only_calls_of_hooks_into_the_module_count() {
        assert_eq!(Profile(PROFILE.to_owned()).inclusive(&["ap_run_handler"], &["mod_jk.so"]), 400);
        assert_eq!(
            Profile(PROFILE.to_owned()).inclusive(&["ap_run_handler", "main"], &["mod_jk.so"]),
            450
        );
        assert_eq!(
            Profile(PROFILE.to_owned()).inclusive(&["ap_run_handler"], &["mod_proxy.so"]),
            0
        );
    }
}
