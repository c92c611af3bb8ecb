//! JkStripSession [3.8]: session ids that an application wrote into links to static files.
#![forbid(unsafe_code)]

/// A path without the session id that it names: the first `name` is cut out with everything up to the
/// next `;` or `/`. `None` when there is nothing to cut.
///
/// Nothing is cut when a segment `.` or `..` would remain (C mod_jk cuts): httpd has resolved those
/// before, and one that comes up later leads past the rules for folders and locations.
pub fn strip_session(path: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    if name.is_empty() {
        return None;
    }
    let at = path.windows(name.len()).position(|window| window == name)?;
    let (before, from_name) = path.split_at_checked(at)?;
    let value = from_name.get(name.len()..)?;
    let end = value.iter().position(|byte| matches!(byte, b';' | b'/')).unwrap_or(value.len());
    let after = value.get(end..)?;
    let segment_start = before.rsplit(|byte| *byte == b'/').next()?;
    let segment_end = after.split(|byte| *byte == b'/').next()?;
    if matches!([segment_start, segment_end].concat().as_slice(), b"." | b"..") {
        return None;
    }
    Some([before, after].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_the_first_session_id() {
        for (path, expected) in [
            ("/a.gif;jsessionid=1.n", Some("/a.gif")),
            ("/a.gif;jsessionid=1;x=2", Some("/a.gif;x=2")),
            ("/a;jsessionid=1/b;jsessionid=2", Some("/a/b;jsessionid=2")),
            ("/a;jsessionid", Some("/a")),
            ("/a;jsessionids=1", Some("/a")),
            ("/a/;jsessionid=1/b", Some("/a//b")),
            ("/a;JSESSIONID=1", None),
            ("/a;x;jsessionid=1", Some("/a;x")),
            ("/a", None),
            ("", None),
        ] {
            let stripped = strip_session(path.as_bytes(), b";jsessionid");
            assert_eq!(stripped.as_deref(), expected.map(str::as_bytes), "{path}");
        }
        assert_eq!(strip_session(b"/asid=1/b", b"sid").as_deref(), Some(&b"/a/b"[..]));
        assert_eq!(strip_session(b"/a", b""), None);
    }

    #[test]
    fn makes_no_dot_segments() {
        for path in [
            "/x/..;jsessionid=1/secret",
            "/x/.;jsessionid=1",
            "/x/.;jsessionid/",
            "/.;jsessionid=./a",
        ] {
            assert_eq!(strip_session(path.as_bytes(), b";jsessionid"), None, "{path}");
        }
        assert!(strip_session(b"/x/...;jsessionid=1/y", b";jsessionid").is_some());
        assert_eq!(strip_session(b"/x/.sid=1;./a", b"sid").as_deref(), Some(&b"/x/.;./a"[..]));
        assert_eq!(strip_session(b"/x/.sid=1/./a", b"sid"), None);
    }

    proptest! {
        #[test]
        fn only_cuts(path in "/[a./;]{0,8}(;sid)?[a./;=]{0,8}") {
            let dots = |path: &[u8]| {
                path.split(|byte| *byte == b'/').filter(|s| matches!(*s, b"." | b"..")).count()
            };
            match strip_session(path.as_bytes(), b";sid") {
                Some(stripped) => {
                    prop_assert!(stripped.len() < path.len());
                    prop_assert_eq!(dots(&stripped), dots(path.as_bytes()));
                }
                None => prop_assert!(!path.contains(";sid") || path.contains(".;sid")),
            }
        }
    }
}
