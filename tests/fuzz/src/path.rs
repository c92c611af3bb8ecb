//! Paths: every spelling that Tomcat takes for the same path gets the same answer.

use std::borrow::Cow;
use std::sync::OnceLock;

use mod_jk::config::{Place, Problems};
use mod_jk::mapping::{
    AutoAlias, Lookup, NormalizeError, Rule, Table, auto_alias, contains_backslash, denied,
    normalize, strip_session,
};
use mod_jk::worker::uri::escape;

use super::memory;
use super::uriworkermap::naive;

/// A decoded path; in further lines the path as the client wrote it, and the name of a session
/// parameter.
pub fn path(data: &[u8]) {
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (decoded, forwarded, name) = (line(), line(), line());
    for path in [decoded, forwarded] {
        spellings(path);
        hidden(path);
        only_cut(path, name);
        only_cut(path, b";jsessionid");
        assert_eq!(contains_backslash(path), path.contains(&b'\\'));
    }
    kept_away(decoded, forwarded);
}

/// What Tomcat makes of a decoded path, segment by segment; `None` above the root.
fn tomcat(path: &[u8]) -> Option<Vec<u8>> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut is_folder = false;
    for segment in path[1..].split(|byte| *byte == b'/') {
        let name = segment.split(|byte| *byte == b';').next().unwrap();
        is_folder = matches!(name, b"" | b"." | b"..");
        match name {
            b"" | b"." => {}
            b".." => drop(kept.pop()?),
            name => kept.push(name),
        }
    }
    let mut normal = vec![b'/'];
    normal.extend(kept.join(&b'/'));
    if is_folder && !kept.is_empty() {
        normal.push(b'/');
    }
    Some(normal)
}

fn spellings(path: &[u8]) {
    let normal = match memory::at_most(path.len(), || normalize(path)) {
        Ok(normal) => normal,
        Err(NormalizeError::NotAbsolute) => {
            assert!(path != b"*" && !path.starts_with(b"/"));
            return;
        }
        Err(NormalizeError::Nul) => return assert!(path.starts_with(b"/") && path.contains(&0)),
        Err(NormalizeError::AboveRoot) => return assert_eq!(tomcat(path), None),
    };
    if path == b"*" {
        return assert_eq!(&*normal, b"*");
    }
    assert_eq!(tomcat(path).as_deref(), Some(&*normal));
    assert_eq!(normalize(&normal), Ok(Cow::Borrowed(&*normal)));
    assert_eq!(matches!(normal, Cow::Borrowed(_)), *normal == *path);
    let bad = |segment: &[u8]| matches!(segment, b"." | b"..") || segment.contains(&b';');
    assert!(normal.starts_with(b"/") && !normal.split(|b| *b == b'/').any(bad));
    assert!(!normal.windows(2).any(|pair| pair == b"//"));
    for inserted in [&b"//"[..], b"/./", b"/x/../", b";/", b";a=b/", b"/.;x/", b"/x/y/..;/../"] {
        let mut other = Vec::new();
        for (at, segment) in path.split(|byte| *byte == b'/').enumerate() {
            match at {
                0 => {}
                // No parameter may stand before the first slash.
                1 if inserted.starts_with(b";") => other.push(b'/'),
                _ => other.extend_from_slice(inserted),
            }
            other.extend_from_slice(segment);
        }
        assert_eq!(normalize(&other).as_deref(), Ok(&*normal), "{}", other.escape_ascii());
    }
    mapped(&normal);
}

fn mapped(normal: &[u8]) {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let (place, mut problems) = (Place::new("c", 1), Problems::new());
        let mut rules = Vec::new();
        for (path, worker) in [
            ("/a|/*", "w"),
            ("/a/*.jsp", "v"),
            ("/b?/c*d", "w"),
            ("/b*", "v"),
            ("/*.do", "w"),
            ("/a/b", "v"),
            ("/", "u"),
        ] {
            rules.extend(Rule::mount(path.as_bytes(), worker.as_bytes(), &place, &mut problems));
        }
        for (path, worker) in [("/a/x*", "w"), ("/b/no", "*"), ("/*.gif", "w"), ("/a", "v")] {
            rules.extend(Rule::unmount(path.as_bytes(), worker.as_bytes(), &place, &mut problems));
        }
        assert!(problems.is_empty());
        Table::new(rules, |_| None).rejecting_unsafe(true)
    });
    let found = memory::at_most(0, || table.lookup(normal));
    assert_eq!(found, naive(table, normal, true));
    assert!(!matches!(found, Lookup::Mapped { .. }) || !contains_backslash(normal));
}

fn hidden(path: &[u8]) {
    let Ok(normal) = normalize(path) else { return };
    let is_hidden = |segment: &[u8]| {
        let text = String::from_utf8_lossy(segment).to_uppercase();
        matches!(text.trim_end_matches(['.', ' ']), "WEB-INF" | "META-INF")
    };
    let any = normal.split(|byte| matches!(byte, b'/' | b'\\')).any(is_hidden);
    match auto_alias(&normal) {
        AutoAlias::NoContext => assert!(&*normal == b"/" || &*normal == b"*"),
        AutoAlias::Hidden => assert!(any),
        AutoAlias::Context { directory, is_archive } => {
            assert!(!any && normal.starts_with(directory) && directory.len() > 1);
            assert!(directory.starts_with(b"/") && !directory[1..].contains(&b'/'));
            assert!(!is_archive || directory.len() > 4);
        }
    }
}

fn only_cut(path: &[u8], name: &[u8]) {
    let dots = |path: &[u8]| {
        path.split(|byte| *byte == b'/').filter(|s| matches!(*s, b"." | b"..")).count()
    };
    match strip_session(path, name) {
        Some(stripped) => {
            let start = path.iter().zip(&stripped).take_while(|(a, b)| a == b).count();
            let end = stripped.len() - start;
            assert!(
                stripped.len() + name.len() <= path.len()
                    && path.ends_with(&stripped[stripped.len() - end..])
            );
            assert!(dots(&stripped) <= dots(path), "a new dot segment");
        }
        None => {
            let at = path.windows(name.len().max(1)).position(|window| window == name);
            assert!(
                at.is_none_or(|at| at > 0 && path[..at].ends_with(b".") || path.contains(&b'.'))
            );
        }
    }
}

/// What is denied is denied in every spelling, and nothing else is.
fn kept_away(decoded: &[u8], forwarded: &[u8]) {
    let paths = [b"/ivy/system".to_vec(), b"/a".to_vec()];
    let is_at = |path: &[u8]| {
        let normal = tomcat_of(path)?;
        let is_below = |top: &&Vec<u8>| {
            normal.strip_prefix(&top[..]).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
        };
        paths.iter().find(is_below)
    };
    assert_eq!(denied(&[], decoded, forwarded), None);
    if let Some(top) = is_at(decoded) {
        assert_eq!(denied(&paths, decoded, b"/"), Some(&top[..]));
        assert!(denied(&paths, decoded, forwarded).is_some());
        // Written as this module sends it, and with every byte encoded.
        assert!(denied(&paths, b"/", &escape(decoded)).is_some());
        let all: String = decoded[1..].iter().map(|byte| format!("%{byte:02x}")).collect();
        assert!(denied(&paths, b"/", format!("/{all}").as_bytes()).is_some());
    } else {
        assert_eq!(denied(&paths, decoded, b"/"), None);
    }
    assert_eq!(unescape(&escape(decoded)), decoded);
    if forwarded.starts_with(b"/") && is_at(&unescape(forwarded)).is_some() {
        assert!(denied(&paths, b"/", forwarded).is_some());
    }
    // Parameters first, as Tomcat does it.
    if let Some(normal) = tomcat_of(forwarded)
        && is_at(&unescape(&normal)).is_some()
    {
        assert!(denied(&paths, b"/", forwarded).is_some());
    }
}

fn tomcat_of(path: &[u8]) -> Option<Vec<u8>> {
    (path.starts_with(b"/") && !path.contains(&0)).then(|| tomcat(path)).flatten()
}

/// Decodes each `%XX`; what is none stays.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        let digits = path.get(at + 1..at + 3).filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *byte == b'%') {
            Some(digits) => {
                decoded.push(u8::from_str_radix(digits, 16).unwrap());
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}
