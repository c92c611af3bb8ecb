//! Log levels, the line layout of mod_jk (spec/mod_jk.md 1.5), and the macro that writes a line.
//!
//! A line's text is `(worker) event: sentence; key=value …`, the same in every sink. Nothing is
//! formatted below the active level.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::Write;

/// Severity, in the order of JkLogLevel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Packets.
    Trace,
    /// Decisions of one request.
    Debug,
    /// Normal events worth a line: retries, client aborts.
    Info,
    /// State changes, odd but survivable behaviour.
    Warn,
    /// A request failed because of us or an engine.
    Error,
    /// The module cannot do its work.
    Emerg,
}

impl Level {
    /// Every level with the name that JkLogLevel takes.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("trace", Self::Trace),
        ("debug", Self::Debug),
        ("info", Self::Info),
        ("warn", Self::Warn),
        ("error", Self::Error),
        ("emerg", Self::Emerg),
    ];

    /// Finds a level by its name, case ignored.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
    }

    /// The name in a log line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Emerg => "emerg",
        }
    }
}

/// Where in the source a line comes from.
#[derive(Debug, Clone, Copy)]
pub struct Site {
    /// `module_path!()`.
    pub module: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// `line!()`.
    pub line: u32,
}

impl Site {
    /// Last part of the module path: what stands where C mod_jk names the function.
    pub fn function(&self) -> &'static str {
        self.module.rsplit("::").next().unwrap_or(self.module)
    }

    /// File name without folders.
    pub fn file_name(&self) -> &'static str {
        self.file.rsplit(['/', '\\']).next().unwrap_or(self.file)
    }
}

/// A sink for log lines.
pub trait Log {
    /// Whether a line of this level would be written at all.
    fn enabled(&self, level: Level) -> bool;
    /// Writes one line.
    fn write(&self, level: Level, site: Site, text: fmt::Arguments<'_>);
}

/// Writes a line where the sink's level lets it through: `jk_log!(sink, Level::Info, "…", …)`.
#[macro_export]
macro_rules! jk_log {
    ($sink:expr, $level:expr, $($text:tt)+) => {{
        let sink = &$sink;
        let level = $level;
        if $crate::log::Log::enabled(sink, level) {
            // Few lines are written: what makes them stays out of the way of what runs always.
            ::std::hint::cold_path();
            let site =
                $crate::log::Site { module: module_path!(), file: file!(), line: line!() };
            $crate::log::Log::write(sink, level, site, format_args!($($text)+));
        }
    }};
}

/// Who writes a line: request, process and thread.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// Request id, or what stands in its place (`NO-ID`, `CHILD_INIT` …).
    pub request: &'a [u8],
    /// Process id.
    pub pid: u32,
    /// Thread id as httpd's own log prints it.
    pub tid: u64,
}

/// Longest line in bytes, its newline included (spec/mod_jk.md 1.5).
pub const LINE_LIMIT: usize = 1024;

/// One line in mod_jk's layout behind its stamp; too long a text is cut and ends in `...`. Control characters of
/// the text are escaped, so that one fact stays one line whatever a peer sent.
pub fn format_line(
    stamp: &[u8],
    origin: Origin<'_>,
    level: Level,
    site: Site,
    text: fmt::Arguments<'_>,
) -> Vec<u8> {
    let mut line = Vec::with_capacity(LINE_LIMIT);
    line.extend_from_slice(stamp);
    // Writing into a Vec cannot fail.
    let _ = write!(
        line,
        "[{}] [{}:{}] [{}] {}::{} ({}): {text}",
        origin.request.escape_ascii(),
        origin.pid,
        origin.tid,
        level.name(),
        site.function(),
        site.file_name(),
        site.line
    );
    replace_controls(line.get_mut(stamp.len()..).unwrap_or_default());
    end_line(&mut line);
    line
}

/// Takes the meaning from control characters that a peer may have sent.
pub fn replace_controls(text: &mut [u8]) {
    for byte in text {
        if byte.is_ascii_control() {
            *byte = b'?';
        }
    }
}

/// Cuts a line that is too long, and ends it.
pub fn end_line(line: &mut Vec<u8>) {
    if line.len() >= LINE_LIMIT {
        line.truncate(LINE_LIMIT.saturating_sub(4));
        line.extend_from_slice(b"...");
    }
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn line(text: fmt::Arguments<'_>) -> String {
        let origin = Origin { request: b"NO-ID", pid: 12, tid: 34 };
        let site =
            Site { module: "mod_jk::worker::forward", file: "src/worker/forward.rs", line: 7 };
        String::from_utf8(format_line(b"[now] ", origin, Level::Error, site, text)).unwrap()
    }

    #[test]
    fn a_line_has_the_layout_that_people_grep() {
        assert_eq!(
            line(format_args!("(w1) connect_refused: no")),
            "[now] [NO-ID] [12:34] [error] \
             forward::forward.rs (7): (w1) connect_refused: no\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let long = line(format_args!("{}", "x".repeat(5000)));
        assert_eq!(long.len(), LINE_LIMIT);
        assert!(long.ends_with("x...\n"));
    }

    #[test]
    fn a_peer_cannot_forge_a_second_line() {
        assert_eq!(line(format_args!("a\nb\rc")).matches(['\n', '\r']).count(), 1);
    }

    /// Takes lines from a level on.
    struct From(Level, Cell<usize>);

    impl Log for From {
        fn enabled(&self, level: Level) -> bool {
            level >= self.0
        }

        fn write(&self, _: Level, _: Site, text: fmt::Arguments<'_>) {
            self.1.set(self.1.get() + text.to_string().len());
        }
    }

    /// Counts how often it is formatted.
    struct Shown(Cell<usize>);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.set(self.0.get() + 1);
            f.write_str("shown")
        }
    }

    #[test]
    fn below_the_level_nothing_is_formatted_nor_even_computed() {
        let (sink, shown, computed) =
            (From(Level::Info, Cell::new(0)), Shown(Cell::new(0)), Cell::new(0));
        let number = || {
            computed.set(computed.get() + 1);
            computed.get()
        };
        for level in [Level::Trace, Level::Debug] {
            jk_log!(sink, level, "{shown} {}", number());
        }
        assert_eq!((shown.0.get(), computed.get(), sink.1.get()), (0, 0, 0));
        jk_log!(sink, Level::Info, "{shown} {}", number());
        assert_eq!((shown.0.get(), computed.get(), sink.1.get()), (1, 1, "shown 1".len()));
    }

    #[test]
    fn levels_are_ordered_and_found_by_name() {
        assert!(Level::Trace < Level::Debug && Level::Warn < Level::Error);
        for (name, level) in Level::NAMES {
            assert_eq!(Level::parse(&name.to_uppercase()), Some(level));
            assert_eq!(level.name(), name);
        }
        assert_eq!(Level::parse("warning"), None);
    }
}
