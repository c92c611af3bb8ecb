//! A table that follows its map file [3.7].
#![forbid(unsafe_code)]

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use super::{check::WorkerNames, rule::Rule, table::Table};
use crate::{
    config::{Place, Problems, Properties},
    jk_log,
    log::{Level, Log},
};

/// A map file [3.2].
#[derive(Debug, Clone)]
pub struct MapFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its name as messages show it.
    pub name: String,
    /// How long a look at the file is good for (JkMountFileReload); `None`: for good.
    pub reload: Option<Duration>,
}

/// What a [`LiveTable`] is made of.
#[derive(Debug, Clone)]
pub struct TableSources {
    /// The rules that stay: JkMount, JkUnMount, the property `mount`.
    pub rules: Vec<Rule>,
    /// The file with the other rules.
    pub file: Option<MapFile>,
    /// `JkOptions +RejectUnsafeURI`.
    pub rejects_unsafe: bool,
    /// The workers that the rules may name.
    pub workers: Arc<WorkerNames>,
    /// Environment variables for `$(name)` in the file.
    pub environment: fn(&[u8]) -> Option<Vec<u8>>,
}

/// The table of a server, as its map file is now. One look at the file serves all threads of the
/// process; a request waits for nothing, not even for the thread that looks.
#[derive(Debug)]
pub struct LiveTable {
    sources: TableSources,
    current: RwLock<Arc<Table>>,
    /// When time began for this table.
    start: Instant,
    /// Milliseconds from `start` to the last look at the file.
    looked: AtomicU64,
    /// Whoever has it looks at the file. Nobody waits for it.
    seen: Mutex<Seen>,
}

/// Lines of a file that are logged one by one when it was read again.
const LOGGED: usize = 20;

/// What is known of the file.
#[derive(Debug, Default)]
struct Seen {
    /// The file whose rules are in the table.
    loaded: Option<Stamp>,
    /// An empty file that may still be being written.
    empty: Option<Stamp>,
    /// Why the last look failed, as it was logged.
    trouble: Option<String>,
}

/// Tells one state of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

/// What a look at the file has found.
enum Found {
    /// Nothing new.
    Same,
    /// It is being written. The next look may know more.
    Unfinished,
    /// Other rules.
    Changed(Stamp, Vec<u8>),
}

impl LiveTable {
    /// Reads the map file and compiles the rules. Everything odd about the rules is a problem. When
    /// the file cannot be read, the other rules stand alone until it can (C mod_jk loses them all, trap
    /// 6 of [9.2]).
    pub fn new(sources: TableSources, now: Instant, problems: &mut Problems) -> LiveTable {
        let mut seen = Seen::default();
        let mut rules = sources.rules.clone();
        if let Some(file) = &sources.file {
            match read(file) {
                Ok((stamp, text)) => {
                    rules.extend(parse(&sources, file, &text, problems));
                    seen.loaded = Some(stamp);
                }
                Err(e) => {
                    let what = format!(
                        "{} cannot be read ({e}), its rules are missing",
                        file.path.display()
                    );
                    let remedy = "make it a file that the user of httpd can read";
                    problems.warning(&Place::new(&file.name, 0), "", what, remedy);
                    seen.trouble = Some(e.to_string());
                }
            }
        }
        let table = sources.compile(rules);
        table.check(&sources.workers, problems);
        LiveTable {
            sources,
            current: RwLock::new(Arc::new(table)),
            start: now,
            looked: AtomicU64::new(0),
            seen: Mutex::new(seen),
        }
    }

    /// The table, after a look at the file if it is time for one.
    pub fn current(&self, now: Instant, log: &impl Log) -> Arc<Table> {
        if let Some(file) = &self.sources.file
            && self.is_due(file, now)
            && let Some(mut seen) = self.take_turn()
            // Another thread may have had its turn in between.
            && self.is_due(file, now)
        {
            self.look(file, &mut seen, now, log);
        }
        self.table()
    }

    /// The table after a look at the file whether or not it is time for one: for the status worker.
    pub fn check_now(&self, now: Instant, log: &impl Log) -> Arc<Table> {
        if let Some(file) = &self.sources.file
            && let Some(mut seen) = self.take_turn()
        {
            self.look(file, &mut seen, now, log);
        }
        self.table()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn millis(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    fn is_due(&self, file: &MapFile, now: Instant) -> bool {
        let Some(reload) = file.reload else { return false };
        let looked = Duration::from_millis(self.looked.load(Ordering::Relaxed));
        Duration::from_millis(self.millis(now)).saturating_sub(looked) > reload
    }

    fn take_turn(&self) -> Option<std::sync::MutexGuard<'_, Seen>> {
        match self.seen.try_lock() {
            Ok(seen) => Some(seen),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn look(&self, file: &MapFile, seen: &mut Seen, now: Instant, log: &impl Log) {
        self.looked.store(self.millis(now), Ordering::Relaxed);
        match find(file, seen) {
            Ok(Found::Same | Found::Unfinished) => {}
            Ok(Found::Changed(stamp, text)) => {
                self.reload(file, &text, log);
                *seen = Seen { loaded: Some(stamp), empty: None, trouble: None };
            }
            Err(e) => {
                let trouble = e.to_string();
                if seen.trouble.as_ref() != Some(&trouble) {
                    jk_log!(
                        *log,
                        Level::Error,
                        "map_unreadable: {} cannot be read ({trouble}), the rules read before stay; \
                         make it a file that the user of httpd can read",
                        file.path.display()
                    );
                    seen.trouble = Some(trouble);
                }
            }
        }
    }

    fn reload(&self, file: &MapFile, text: &[u8], log: &impl Log) {
        let mut problems = Problems::new();
        let of_file = parse(&self.sources, file, text, &mut problems);
        let count = of_file.len();
        let table = Arc::new(self.sources.compile([self.sources.rules.clone(), of_file].concat()));
        // Thousands of rules take their time to free: not under the lock.
        let before = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&table))
        };
        drop(before);
        table.check(&self.sources.workers, &mut problems);
        // What is odd about the other rules was said at the start.
        let of_file = || problems.iter().filter(|problem| problem.source == file.name);
        for problem in of_file().take(LOGGED) {
            jk_log!(*log, Level::Warn, "map_rule_bad: {problem}");
        }
        let more = of_file().count().saturating_sub(LOGGED);
        if more > 0 {
            jk_log!(
                *log,
                Level::Warn,
                "map_rule_bad: {more} more lines of {} are odd; httpd -t names them all",
                file.path.display()
            );
        }
        let path = file.path.display();
        jk_log!(*log, Level::Info, "map_reloaded: {path} was read again; rules={count}");
    }
}

impl TableSources {
    fn compile(&self, rules: Vec<Rule>) -> Table {
        let table = Table::new(rules, |name| self.workers.position(name));
        table.rejecting_unsafe(self.rejects_unsafe)
    }
}

fn parse(
    sources: &TableSources,
    file: &MapFile,
    text: &[u8],
    problems: &mut Problems,
) -> Vec<Rule> {
    let mut map = Properties::of_map_file();
    map.read_text(text, &file.name, &sources.environment, problems);
    map.iter()
        .flat_map(|line| Rule::from_map_file(&line.key, &line.value, &line.place, problems))
        .collect()
}

fn find(file: &MapFile, seen: &mut Seen) -> io::Result<Found> {
    // After trouble the file is read whatever it looks like.
    if seen.trouble.is_none() && Some(Stamp::of(&file.path.metadata()?)) == seen.loaded {
        return Ok(Found::Same);
    }
    let (stamp, text) = read(file)?;
    // Many editors empty a file before they write it.
    if text.is_empty() && seen.empty.as_ref() != Some(&stamp) {
        seen.empty = Some(stamp);
        return Ok(Found::Unfinished);
    }
    if Stamp::of(&file.path.metadata()?) != stamp {
        return Ok(Found::Unfinished);
    }
    Ok(Found::Changed(stamp, text))
}

/// The contents of the file, and its stamp from before they were read.
fn read(file: &MapFile) -> io::Result<(Stamp, Vec<u8>)> {
    // To open a pipe waits for its writer.
    if !file.path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut open = File::open(&file.path)?;
    let stamp = Stamp::of(&open.metadata()?);
    let mut text = Vec::new();
    open.read_to_end(&mut text)?;
    Ok((stamp, text))
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode: inode(metadata) }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use std::{fmt, path::Path};

    use super::*;
    use crate::{
        log::Site,
        mapping::{Lookup, WorkerKind},
    };

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Log for Lines {
        fn enabled(&self, _level: Level) -> bool {
            true
        }

        fn write(&self, level: Level, _site: Site, text: fmt::Arguments<'_>) {
            self.0.lock().unwrap().push(format!("{} {text}", level.name()));
        }
    }

    impl Lines {
        /// The lines since the last call, without the folder of the file.
        fn take(&self, folder: &Path) -> Vec<String> {
            let folder = format!("{}/", folder.display());
            let lines = std::mem::take(&mut *self.0.lock().unwrap());
            lines.into_iter().map(|line| line.replace(&folder, "")).collect()
        }
    }

    /// A map file whose time of modification is a count of changes.
    struct Stage {
        folder: tempfile::TempDir,
        changes: u64,
        log: Lines,
        start: Instant,
    }

    const RELOAD: Duration = Duration::from_secs(60);

    impl Stage {
        fn new(text: &str) -> Stage {
            let folder = tempfile::tempdir().unwrap();
            let mut stage =
                Stage { folder, changes: 0, log: Lines::default(), start: Instant::now() };
            stage.write(text);
            stage
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("map")
        }

        fn write(&mut self, text: &str) {
            self.changes += 1;
            std::fs::write(self.path(), text).unwrap();
            self.stamp();
        }

        fn stamp(&self) {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.changes);
            File::options().write(true).open(self.path()).unwrap().set_modified(time).unwrap();
        }

        fn table_and_problems(&self, reload: Option<Duration>) -> (LiveTable, Vec<String>) {
            let mut problems = Problems::new();
            let place = Place::new("httpd.conf", 1);
            let workers = WorkerNames::new([(&b"w"[..], WorkerKind::Other)]);
            let sources = TableSources {
                rules: Rule::mount(b"/fixed", b"w", &place, &mut problems),
                file: Some(MapFile { path: self.path(), name: "map".to_string(), reload }),
                rejects_unsafe: true,
                workers: Arc::new(workers),
                environment: |name| (name == b"WORKER").then(|| b"w".to_vec()),
            };
            let table = LiveTable::new(sources, self.start, &mut problems);
            let problems = problems.iter().map(|problem| {
                let folder = format!("{}/", self.folder.path().display());
                problem.to_string().replace(&folder, "")
            });
            (table, problems.collect())
        }

        fn table(&self) -> LiveTable {
            let (table, problems) = self.table_and_problems(Some(RELOAD));
            assert_eq!(problems, [""; 0]);
            table
        }

        /// The paths of the rules `seconds` after the start.
        fn rules(&self, table: &LiveTable, seconds: u64) -> String {
            let now = self.start + Duration::from_secs(seconds);
            shown(&table.current(now, &self.log))
        }

        fn said(&self) -> Vec<String> {
            self.log.take(self.folder.path())
        }
    }

    fn shown(table: &Table) -> String {
        let patterns: Vec<String> = table.rules().iter().map(|r| r.pattern.to_string()).collect();
        patterns.join(" ")
    }

    #[test]
    fn looks_at_the_file_when_it_is_time() {
        let mut stage = Stage::new("/one=$(WORKER)");
        let table = stage.table();
        stage.write("/other|/*=w");
        assert_eq!(stage.rules(&table, 60), "/fixed /one");
        assert_eq!(stage.rules(&table, 61), "/other/* /other /fixed");
        assert_eq!(stage.said(), ["info map_reloaded: map was read again; rules=2"]);
        stage.write("/two=w");
        assert_eq!(stage.rules(&table, 121), "/other/* /other /fixed");
        assert_eq!(stage.rules(&table, 122), "/fixed /two");
        assert_eq!(stage.rules(&table, 183), "/fixed /two");
        assert_eq!(stage.said().len(), 1);
    }

    #[test]
    fn rules_of_the_file_have_workers_and_reject_unsafe_paths() {
        let mut stage = Stage::new("");
        let table = stage.table();
        stage.write("/two=w\n/three=x;stateless=1");
        let table = table.check_now(stage.start, &stage.log);
        let Lookup::Mapped { rule } = table.lookup(b"/two") else { panic!("not mapped") };
        assert_eq!(table.worker(rule), Some(0));
        stage.write("/two/*=w");
        let table = stage.table().current(stage.start, &stage.log);
        assert!(matches!(table.lookup(b"/two/%"), Lookup::Unsafe { .. }));
    }

    #[test]
    fn sees_a_change_of_time_length_or_file() {
        let mut stage = Stage::new("/one=w");
        let table = stage.table();
        std::fs::write(stage.path(), "/more=w").unwrap();
        stage.stamp();
        assert_eq!(stage.rules(&table, 100), "/fixed /more");
        let other = stage.folder.path().join("other");
        std::fs::write(&other, "/file=w").unwrap();
        std::fs::rename(other, stage.path()).unwrap();
        stage.stamp();
        assert_eq!(stage.rules(&table, 200), "/fixed /file");
        // Time runs backwards when an old file is restored.
        stage.changes = 0;
        std::fs::write(stage.path(), "/back=w").unwrap();
        stage.stamp();
        assert_eq!(stage.rules(&table, 300), "/fixed /back");
    }

    #[test]
    fn never_looks_again_without_an_interval_unless_told() {
        let mut stage = Stage::new("/one=w");
        let (table, _) = stage.table_and_problems(None);
        stage.write("/two=w");
        assert_eq!(stage.rules(&table, 1_000_000), "/fixed /one");
        assert_eq!(shown(&table.check_now(stage.start, &stage.log)), "/fixed /two");
    }

    #[test]
    fn keeps_its_rules_while_the_file_is_away() {
        let mut stage = Stage::new("/one=w");
        let table = stage.table();
        std::fs::remove_file(stage.path()).unwrap();
        for seconds in [100, 200, 300] {
            assert_eq!(stage.rules(&table, seconds), "/fixed /one");
        }
        let gone = "error map_unreadable: map cannot be read (No such file or directory (os error \
            2)), the rules read before stay; make it a file that the user of httpd can read";
        assert_eq!(stage.said(), [gone]);
        std::fs::create_dir(stage.path()).unwrap();
        for seconds in [400, 500] {
            assert_eq!(stage.rules(&table, seconds), "/fixed /one");
        }
        let folder = "error map_unreadable: map cannot be read (it is not a regular file), the \
            rules read before stay; make it a file that the user of httpd can read";
        assert_eq!(stage.said(), [folder]);
        std::fs::remove_dir(stage.path()).unwrap();
        stage.write("/one=w\n/two=w");
        assert_eq!(stage.rules(&table, 600), "/fixed /one /two");
        assert_eq!(stage.said(), ["info map_reloaded: map was read again; rules=2"]);
        std::fs::remove_file(stage.path()).unwrap();
        assert_eq!(stage.rules(&table, 700), "/fixed /one /two");
        assert_eq!(stage.said(), [gone]);
    }

    #[test]
    fn waits_for_an_emptied_file_to_be_written() {
        let mut stage = Stage::new("/one=w");
        let table = stage.table();
        stage.write("");
        assert_eq!(stage.rules(&table, 100), "/fixed /one");
        stage.write("/two=w");
        assert_eq!(stage.rules(&table, 200), "/fixed /two");
        stage.write("");
        assert_eq!(stage.rules(&table, 300), "/fixed /two");
        assert_eq!(stage.rules(&table, 400), "/fixed");
        stage.write("# none");
        assert_eq!(stage.rules(&table, 500), "/fixed");
    }

    #[test]
    fn starts_without_its_file() {
        let mut stage = Stage::new("");
        std::fs::remove_file(stage.path()).unwrap();
        let (table, problems) = stage.table_and_problems(Some(RELOAD));
        assert_eq!(
            problems,
            ["map: map cannot be read (No such file or directory (os error 2)), its rules are \
              missing; make it a file that the user of httpd can read"]
        );
        assert_eq!(stage.rules(&table, 100), "/fixed");
        assert_eq!(stage.said(), [""; 0]);
        stage.write("/one=w");
        assert_eq!(stage.rules(&table, 200), "/fixed /one");
    }

    #[test]
    fn a_bad_line_costs_no_other() {
        let bad = "/one=w\nnonsense\nworker.bogus=1\n/two=v\n/three=w;oops";
        let expected = [
            "map:2: the line has no '=' and is ignored; write name=value on one line, or begin the \
             line with '#'",
            "map:3: worker.bogus: the path \"worker.bogus\" does not begin with \"/\"; begin the \
             path with /",
            "map:5: /three: there is no rule extension \"oops\", it is ignored; remove it, or \
             correct its name",
            "map:4: /two: worker v is not in worker.list: requests for this path get status 500; \
             did you mean w? else add v to worker.list",
        ];
        let mut stage = Stage::new(bad);
        let (table, problems) = stage.table_and_problems(Some(RELOAD));
        assert_eq!(problems, expected);
        let rules = "/three /fixed /one /two";
        assert_eq!(stage.rules(&table, 1), rules);
        stage.write(&format!("# again\n{bad}"));
        assert_eq!(stage.rules(&table, 100), rules);
        let said = stage.said();
        assert_eq!(said.len(), 5);
        assert!(said[..4].iter().all(|line| line.starts_with("warn map_rule_bad: map:")));
        assert_eq!(said[4], "info map_reloaded: map was read again; rules=3");
    }

    #[test]
    fn a_file_full_of_bad_lines_does_not_fill_the_log() {
        let mut stage = Stage::new("/one=w");
        let table = stage.table();
        let bad: Vec<String> = (0..30).map(|n| format!("/bad{n}=nobody")).collect();
        stage.write(&bad.join("\n"));
        stage.rules(&table, 100);
        let said = stage.said();
        assert_eq!(said.len(), LOGGED + 2, "{said:?}");
        let more = "warn map_rule_bad: 10 more lines of ";
        assert!(said[LOGGED].starts_with(more), "{}", said[LOGGED]);
        assert_eq!(said[LOGGED + 1], "info map_reloaded: map was read again; rules=30");
    }

    #[test]
    fn a_thread_that_looks_keeps_nobody_waiting() {
        let mut stage = Stage::new("/one=w");
        let table = stage.table();
        stage.write("/two=w");
        let turn = table.take_turn().unwrap();
        assert_eq!(stage.rules(&table, 100), "/fixed /one");
        assert_eq!(shown(&table.check_now(stage.start, &stage.log)), "/fixed /one");
        drop(turn);
        assert_eq!(stage.rules(&table, 100), "/fixed /two");
    }

    #[test]
    fn many_threads_reload_once() {
        let mut stage = Stage::new("/one=w");
        let table = stage.table();
        stage.write("/two=w");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| stage.rules(&table, 100));
            }
        });
        assert_eq!(stage.rules(&table, 100), "/fixed /two");
        assert_eq!(stage.said().len(), 1);
    }
}
