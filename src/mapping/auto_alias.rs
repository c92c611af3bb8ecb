//! JkAutoAlias [1.6]: static files of a web application, served from the folder that it is deployed in.
#![forbid(unsafe_code)]

/// What JkAutoAlias makes of a path that no rule maps. The caller asks the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AutoAlias<'p> {
    /// Nothing: the path names no application.
    NoContext,
    /// 404: the application hides such files from everybody.
    Hidden,
    /// An application, if there is a folder for it.
    Context {
        /// The folder below the alias folder: the first segment with its slash, `/app`. When it is a
        /// folder, the whole path below the alias folder is the file.
        directory: &'p [u8],
        /// When it is not a folder: 403 instead of nothing, because it names a packed application.
        is_archive: bool,
    },
}

/// The folders of a web application that no client may see.
const HIDDEN: [&[u8]; 2] = [b"WEB-INF", b"META-INF"];

/// Looks at a path that [`normalize`](super::normalize()) returned.
///
/// C mod_jk looks for hidden folders in the second segment only. Here they are hidden wherever they
/// are, since an application may be deployed in a folder of another one, and in every spelling that
/// some file system takes for the same name: other case, dots or blanks at the end, backslashes.
pub fn auto_alias(normalized: &[u8]) -> AutoAlias<'_> {
    let Some(relative) = normalized.strip_prefix(b"/").filter(|rest| !rest.is_empty()) else {
        return AutoAlias::NoContext;
    };
    if relative.split(|byte| matches!(byte, b'/' | b'\\')).any(is_hidden) {
        return AutoAlias::Hidden;
    }
    let length = relative.iter().take_while(|byte| **byte != b'/').count();
    let directory = normalized.get(..length.saturating_add(1)).unwrap_or(normalized);
    AutoAlias::Context { directory, is_archive: is_archive(directory) }
}

fn is_hidden(segment: &[u8]) -> bool {
    let mut name = segment;
    while let [rest @ .., b'.' | b' '] = name {
        name = rest;
    }
    HIDDEN.iter().any(|hidden| hidden.eq_ignore_ascii_case(name))
}

fn is_archive(directory: &[u8]) -> bool {
    let ending = directory.len().checked_sub(4).and_then(|at| directory.get(at..));
    ending.is_some_and(|ending| ending.eq_ignore_ascii_case(b".war"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(directory: &str, is_archive: bool) -> AutoAlias<'_> {
        AutoAlias::Context { directory: directory.as_bytes(), is_archive }
    }

    #[test]
    fn the_first_segment_is_the_application() {
        for (path, expected) in [
            ("/", AutoAlias::NoContext),
            ("*", AutoAlias::NoContext),
            ("", AutoAlias::NoContext),
            ("/app", context("/app", false)),
            ("/app/", context("/app", false)),
            ("/app/a/b.gif", context("/app", false)),
            ("/app.war", context("/app.war", true)),
            ("/APP.WAR/x", context("/APP.WAR", true)),
            ("/.war", context("/.war", true)),
            ("/war", context("/war", false)),
            ("/app/x.war", context("/app", false)),
        ] {
            assert_eq!(auto_alias(path.as_bytes()), expected, "{path}");
        }
    }

    #[test]
    fn hidden_folders_are_hidden_everywhere() {
        for path in [
            "/app/WEB-INF",
            "/app/WEB-INF/web.xml",
            "/app/web-inf/",
            "/app/Meta-Inf/MANIFEST.MF",
            "/WEB-INF/web.xml",
            "/app/nested/WEB-INF/classes/A.class",
            "/app/WEB-INF./web.xml",
            "/app/WEB-INF . /web.xml",
            "/app\\WEB-INF\\web.xml",
        ] {
            assert_eq!(auto_alias(path.as_bytes()), AutoAlias::Hidden, "{path}");
        }
        for path in ["/app/WEB-INFO/x", "/app/xWEB-INF", "/app/WEB-INF%2Fweb.xml", "/app/WEB_INF"] {
            assert!(matches!(auto_alias(path.as_bytes()), AutoAlias::Context { .. }), "{path}");
        }
    }
}
