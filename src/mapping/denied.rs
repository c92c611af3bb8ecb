//! Paths that are not to be reached, in whatever spelling the engine would take for them.
#![forbid(unsafe_code)]

use super::normalize;
use super::target::{decode, path_of};

/// The first of the denied paths that a request is for. `decoded`: its path as httpd has it.
/// `forwarded`: the path as it goes to the engine, which decodes and normalises it by itself.
pub fn denied<'d>(paths: &'d [Vec<u8>], decoded: &[u8], forwarded: &[u8]) -> Option<&'d [u8]> {
    if paths.is_empty() {
        return None;
    }
    let find = |path: &[u8]| {
        let path = normalize(path).ok()?;
        paths.iter().map(Vec::as_slice).find(|denied| is_at(&path, denied))
    };
    let forwarded = path_of(forwarded);
    // Tomcat takes parameters out before it decodes; others may do it the other way round.
    let parameters_first = || find(&decode(&normalize(forwarded).ok()?));
    find(decoded).or_else(|| find(&decode(forwarded))).or_else(parameters_first)
}

/// Whether a path is another one or below it.
fn is_at(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_denied(decoded: &str, forwarded: &str) -> bool {
        let paths = [b"/ivy/system".to_vec()];
        denied(&paths, decoded.as_bytes(), forwarded.as_bytes()).is_some()
    }

    #[test]
    fn every_spelling_is_found() {
        for forwarded in [
            "/ivy/system",
            "/ivy/system/",
            "/ivy/system/x",
            "/ivy/%73ystem",
            "/ivy/s%79stem/x",
            "/ivy;a=b/system",
            "/ivy/system;x",
            "/ivy/;/system",
            "//ivy///system",
            "/ivy/./system",
            "/ivy/.;x/system",
            "/ivy/a/../system",
            "/ivy/a/..;/system",
            "/ivy/%2e/system",
            "/ivy/a/%2e%2e/system",
            "/x/%2E%2E/ivy/system",
            "/ivy%2fsystem",
            "/ivy/%73ystem%3bx",
            "http://host:80/ivy/system",
            "/ivy/a%3b/../system",
        ] {
            assert!(is_denied("/elsewhere", forwarded), "{forwarded}");
        }
        assert!(is_denied("/ivy//system", "/elsewhere"));
        assert!(is_denied("/ivy/system;x", "/elsewhere"));
    }

    #[test]
    fn others_pass() {
        for path in [
            "/ivy",
            "/ivy/",
            "/ivy/systems",
            "/ivy/System",
            "/ivy/SYSTEM/",
            "/system",
            "/ivy/a/system",
            "/ivy/system/..",
            "/ivy/%2573ystem",
            "*",
            "/..",
            "",
            "http://host",
            "/ivy/%",
            "/ivy/%7",
        ] {
            assert!(!is_denied("/ivy/", path), "{path}");
            assert!(!is_denied(path, "/ivy/"), "{path}");
        }
        assert_eq!(denied(&[], b"/ivy/system", b"/ivy/system"), None);
        assert_eq!(denied(&[b"/system".to_vec()], b"/system", b"/"), Some(&b"/system"[..]));
    }

    proptest! {
        #[test]
        fn encoding_any_byte_hides_nothing(at in prop::collection::vec(any::<bool>(), 11)) {
            let path: String = "/ivy/system".bytes().zip(&at).map(|(byte, encode)| match encode {
                true if byte != b'/' => format!("%{byte:02x}"),
                _ => char::from(byte).to_string(),
            }).collect();
            prop_assert!(is_denied("/", &path), "{}", path);
        }

        #[test]
        fn nothing_panics(
            decoded in prop::collection::vec(any::<u8>(), 0..40),
            forwarded in "[/.;%a-f0-9:]{0,40}",
        ) {
            denied(&[b"/a".to_vec()], &decoded, forwarded.as_bytes());
        }
    }
}
