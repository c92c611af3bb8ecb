//! Whether a request that changes something comes from where it should: from a program, from the
//! address bar, or from our own page, but from no other site's.
#![forbid(unsafe_code)]

use std::hash::{DefaultHasher, Hash, Hasher};

/// What a browser says about where a request comes from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Browser<'a> {
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<&'a [u8]>,
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `Referer`.
    pub referer: Option<&'a [u8]>,
    /// `Host`.
    pub host: Option<&'a [u8]>,
    /// `Accept-Language`.
    pub language: Option<&'a [u8]>,
}

impl Browser<'_> {
    /// Whether another site has the browser send the request. A program says nothing at all.
    ///
    /// `Sec-Fetch-Site` decides where it is: no page can set it, and the browser knows the name that the
    /// person sees, where a proxy before httpd may have changed `Host`.
    pub(super) fn is_foreign(&self) -> bool {
        let is_other = |url: &[u8]| self.host.is_none_or(|host| !is_of(url, host));
        match self {
            Browser { fetch_site: Some(site), .. } => !matches!(*site, b"same-origin" | b"none"),
            Browser { origin: Some(origin), .. } => is_other(origin),
            Browser { referer: Some(referer), .. } => is_other(referer),
            _ => false,
        }
    }

    /// Whether a browser sends the request and nobody knows for which page. Without TLS no browser
    /// sends `Sec-Fetch-Site`, images have no `Origin`, and any page can leave out `Referer`. But all
    /// browsers send a language, which a page can change and not take away, and programs do not.
    pub(super) fn is_silent(&self) -> bool {
        let Browser { fetch_site, origin, referer, language, .. } = self;
        language.is_some() && [fetch_site, origin, referer].iter().all(|header| header.is_none())
    }
}

/// Whether a URL is one of a host, with its port.
fn is_of(url: &[u8], host: &[u8]) -> bool {
    let rest = url.strip_prefix(b"http://").map(|rest| (rest, &b":80"[..]));
    let rest = rest.or_else(|| url.strip_prefix(b"https://").map(|rest| (rest, &b":443"[..])));
    let Some((rest, default)) = rest else { return false };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#'));
    let there = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
    let without = |name: &[u8]| name.strip_suffix(default).unwrap_or(name).to_ascii_lowercase();
    without(there) == without(host)
}

/// What our page sends along with its forms: a page of another site cannot know it. `secret`: of all
/// processes. `user`: who has the page.
pub(super) fn token(secret: (u64, u64), worker: &[u8], user: Option<&[u8]>) -> String {
    let half = |number: u64| {
        let mut hasher = DefaultHasher::new();
        (secret, number, worker, user).hash(&mut hasher);
        (secret.1, number, secret.0).hash(&mut hasher);
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(0), half(1))
}

/// Whether a token is the one that is expected, in a time that does not tell how much of it is right.
pub(super) fn is_token(known: &str, given: &[u8]) -> bool {
    let bytes = known.bytes().zip(given);
    let differences = bytes.fold(0, |all, (known, given)| all | (known ^ given));
    known.len() == given.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browser<'a>(site: &'a str, origin: &'a str, referer: &'a str) -> Browser<'a> {
        let some = |text: &'a str| (!text.is_empty()).then_some(text.as_bytes());
        Browser {
            fetch_site: some(site),
            origin: some(origin),
            referer: some(referer),
            host: Some(b"www.example.com:8080"),
            language: None,
        }
    }

    #[test]
    fn only_other_sites_are_foreign() {
        let own = "http://www.example.com:8080";
        for (site, origin, referer, expected) in [
            ("", "", "", false),
            ("none", "", "", false),
            ("same-origin", own, "", false),
            ("same-site", "", "", true),
            ("cross-site", "", "", true),
            ("same-origin", "https://public.example", "https://public.example/jk", false),
            ("same-site", own, own, true),
            ("", own, "", false),
            ("", "null", "", true),
            ("", "http://www.example.com", "", true),
            ("", "http://www.example.com:8080.evil.example", "", true),
            ("", "", "http://WWW.example.com:8080/jk?cmd=list", false),
            ("", "", "http://evil.example/http://www.example.com:8080/", true),
            ("", "", "about:blank", true),
        ] {
            let found = browser(site, origin, referer).is_foreign();
            assert_eq!(found, expected, "{site} {origin} {referer}");
        }
        let plain =
            Browser { host: Some(b"h"), origin: Some(b"http://h:80"), ..Browser::default() };
        assert!(!plain.is_foreign());
        let nowhere = Browser { origin: Some(b"http://h"), ..Browser::default() };
        assert!(nowhere.is_foreign());
    }

    #[test]
    fn a_token_is_one_users() {
        let of = |secret, user: &str| token(secret, b"st", Some(user.as_bytes()));
        assert_eq!(of((1, 2), "ann"), of((1, 2), "ann"));
        assert_ne!(of((1, 2), "ann"), of((1, 2), "bob"));
        assert_ne!(of((1, 2), "ann"), of((2, 1), "ann"));
        assert_eq!(of((1, 2), "ann").len(), 32);
        assert!(is_token("abc", b"abc"));
        for given in ["", "ab", "abd", "abcd"] {
            assert!(!is_token("abc", given.as_bytes()), "{given}");
        }
    }

    #[test]
    fn a_browser_that_says_nothing_is_told_from_a_program() {
        for (site, origin, referer, expected) in [
            ("", "", "", true),
            ("none", "", "", false),
            ("", "http://www.example.com:8080", "", false),
            ("", "", "http://www.example.com:8080/", false),
        ] {
            let program = browser(site, origin, referer);
            assert!(!program.is_silent());
            for language in ["de", ""] {
                let browser = Browser { language: Some(language.as_bytes()), ..program };
                assert_eq!(browser.is_silent(), expected, "{site} {origin} {referer}");
            }
        }
    }
}
