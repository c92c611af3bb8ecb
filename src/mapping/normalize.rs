//! The form of a path that rules are compared with [3.5], which is the one that Tomcat maps.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use thiserror::Error;

/// Why a path has no normal form. All of them are answered with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NormalizeError {
    /// It does not begin with `/` and is not the `*` of `OPTIONS *`.
    #[error("the path does not begin with /")]
    NotAbsolute,
    /// More `..` than segments before them.
    #[error("the path leads above the root")]
    AboveRoot,
    /// A NUL byte, which C strings on the way to the engine would cut off.
    #[error("the path has a NUL byte")]
    Nul,
}

/// Brings a decoded path into its normal form: without path parameters (`;` up to the next `/`),
/// doubled slashes, `.` and `..` segments.
///
/// `*` stays as it is. Length is not limited. Nothing is allocated when the path is normal already,
/// and normalising twice changes nothing. Backslashes stay; see [`contains_backslash`].
pub fn normalize(path: &[u8]) -> Result<Cow<'_, [u8]>, NormalizeError> {
    if path == b"*" {
        return Ok(Cow::Borrowed(path));
    }
    let Some(relative) = path.strip_prefix(b"/") else { return Err(NormalizeError::NotAbsolute) };
    if path.contains(&0) {
        return Err(NormalizeError::Nul);
    }
    if is_normal(relative) {
        return Ok(Cow::Borrowed(path));
    }
    rebuild(relative, path.len()).map(Cow::Owned)
}

/// Whether a path has a backslash (also one that was written `%5c`). Tomcat refuses it, and some
/// systems take it for a separator, so a *mapped* path with one is answered with 400
/// (spec/reliability.md 0). Ask after the table has said that the path is mapped: other paths are
/// httpd's business.
pub fn contains_backslash(path: &[u8]) -> bool {
    path.contains(&b'\\')
}

fn is_normal(relative: &[u8]) -> bool {
    if relative.contains(&b';') {
        return false;
    }
    let mut segments = relative.split(|byte| *byte == b'/');
    let last = segments.next_back().unwrap_or_default();
    !matches!(last, b"." | b"..") && segments.all(|segment| !matches!(segment, b"" | b"." | b".."))
}

fn rebuild(relative: &[u8], capacity: usize) -> Result<Vec<u8>, NormalizeError> {
    let mut normal = Vec::with_capacity(capacity);
    normal.push(b'/');
    for written in relative.split_inclusive(|byte| *byte == b'/') {
        let (segment, slash) = match written.strip_suffix(b"/") {
            Some(segment) => (segment, &b"/"[..]),
            None => (written, &b""[..]),
        };
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        match name {
            b"" | b"." => {}
            b".." => leave_segment(&mut normal)?,
            name => {
                normal.extend_from_slice(name);
                normal.extend_from_slice(slash);
            }
        }
    }
    Ok(normal)
}

/// Cuts the last segment off a path that ends in `/`.
fn leave_segment(normal: &mut Vec<u8>) -> Result<(), NormalizeError> {
    normal.pop();
    let Some(slash) = normal.iter().rposition(|byte| *byte == b'/') else {
        return Err(NormalizeError::AboveRoot);
    };
    normal.truncate(slash.saturating_add(1));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(path: &str) -> Result<String, NormalizeError> {
        normalize(path.as_bytes()).map(|normal| String::from_utf8_lossy(&normal).into_owned())
    }

    #[test]
    fn follows_the_specification() {
        for (path, expected) in [
            ("/", "/"),
            ("*", "*"),
            ("/app/p", "/app/p"),
            ("/app/", "/app/"),
            ("//app//x", "/app/x"),
            ("/app//", "/app/"),
            ("/app;x=1/p", "/app/p"),
            ("/app/;x", "/app/"),
            ("/app/;x/", "/app/"),
            ("/app/p;jsessionid=A.n1", "/app/p"),
            ("/a/..;/b", "/b"),
            ("/a/.;x/b", "/a/b"),
            ("/./a/./b/.", "/a/b/"),
            ("/a/b/..", "/a/"),
            ("/a/b/../", "/a/"),
            ("/a/..", "/"),
            ("/a/b/../../c", "/c"),
            ("/a/.../b", "/a/.../b"),
            ("/.a/..b/c..", "/.a/..b/c.."),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
            ("/a\\..\\b", "/a\\..\\b"),
            ("/;", "/"),
            ("/t/x/..;a=b/secret", "/t/secret"),
            ("/t/..;/t/secret", "/t/secret"),
        ] {
            assert_eq!(normal(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn refuses_what_has_no_normal_form() {
        for (path, expected) in [
            ("", NormalizeError::NotAbsolute),
            ("a/b", NormalizeError::NotAbsolute),
            ("*/", NormalizeError::NotAbsolute),
            ("**", NormalizeError::NotAbsolute),
            ("http://a/", NormalizeError::NotAbsolute),
            ("/..", NormalizeError::AboveRoot),
            ("/../", NormalizeError::AboveRoot),
            ("/..;/x", NormalizeError::AboveRoot),
            ("/a/../..", NormalizeError::AboveRoot),
            ("//..", NormalizeError::AboveRoot),
            ("/a\0b", NormalizeError::Nul),
        ] {
            assert_eq!(normal(path), Err(expected), "{path}");
        }
    }

    #[test]
    fn has_no_length_limit() {
        let path = format!("/{}", "a/../".repeat(100_000));
        assert_eq!(normal(&path).as_deref(), Ok("/"));
    }

    #[test]
    fn allocates_nothing_for_normal_paths() {
        for path in ["/", "/a", "/a/", "/a/b.c", "/..a/.b/..."] {
            assert!(matches!(normalize(path.as_bytes()), Ok(Cow::Borrowed(_))), "{path}");
        }
    }

    #[test]
    fn finds_backslashes() {
        assert!(contains_backslash(b"/a\\b"));
        assert!(!contains_backslash(b"/a/b"));
    }

    /// What Tomcat does with a decoded path, written as plainly as it can be said: parameters go
    /// first, then doubled slashes, then `/./` and `/../` are replaced as text, one at a time.
    fn tomcat(path: &str) -> Option<String> {
        let mut text = String::new();
        let mut is_parameter = false;
        for c in path.chars() {
            is_parameter = c != '/' && (is_parameter || c == ';');
            if !is_parameter {
                text.push(c);
            }
        }
        while text.contains("//") {
            text = text.replace("//", "/");
        }
        if text.ends_with("/.") || text.ends_with("/..") {
            text.push('/');
        }
        while let Some(at) = text.find("/./") {
            text.replace_range(at..at + 2, "");
        }
        while let Some(at) = text.find("/../") {
            let parent = text.split_at(at).0.rfind('/')?;
            text.replace_range(parent..at + 3, "");
        }
        Some(text)
    }

    proptest! {
        #![proptest_config(crate::generated(2000))]

        #[test]
        fn agrees_with_tomcat(path in "/[a./;\\\\%é]{0,24}") {
            prop_assert_eq!(normal(&path).ok(), tomcat(&path));
        }

        #[test]
        fn is_idempotent(path in "/[a./;\\\\%é]{0,24}") {
            if let Ok(once) = normal(&path) {
                prop_assert_eq!(normal(&once), Ok(once));
            }
        }

        #[test]
        fn leaves_nothing_that_a_rule_could_be_fooled_with(
            path in prop::collection::vec(prop::sample::select(&b"/.;a\\\xff\xc0"[..]), 0..40)
        ) {
            if let Ok(normal) = normalize(&path) {
                prop_assert!(normal.starts_with(b"/"));
                prop_assert!(!normal.contains(&b';'));
                prop_assert!(!normal.windows(2).any(|pair| pair == b"//"));
                let mut segments = normal.split(|byte| *byte == b'/');
                prop_assert!(segments.all(|segment| segment != b"." && segment != b".."));
            }
        }
    }
}
