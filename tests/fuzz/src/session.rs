//! Session ids in paths and cookies: a well-formed one is found, and nothing is found that is not
//! there.

use mod_jk::worker::balancer::sticky::{Session, find};

use super::input::Input;
use super::memory;

/// Lines: the URI, the value of a Cookie header, that of another one, names of parameter and cookie,
/// the administrator's route.
pub fn session(data: &[u8]) {
    let mut lines = data.splitn(6, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (uri, one, two, path, cookie, route) = (line(), line(), line(), line(), line(), line());
    for (path, cookie) in [(path, cookie), (b";jsessionid", b"JSESSIONID"), (b"", b"")] {
        hostile(uri, [one, two], path, cookie);
        let search = || find(Some(route), uri, [one, two].into_iter(), path, cookie);
        if !route.is_empty() {
            assert_eq!(search(), Session::Routes(vec![route.to_vec()]));
        }
    }
    well_formed(data);
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn hostile(uri: &[u8], cookies: [&[u8]; 2], path: &[u8], cookie: &[u8]) {
    let limit = 10_000 + 100 * (uri.len() + cookies.concat().len());
    let found = memory::at_most(limit, || find(None, uri, cookies.into_iter(), path, cookie));
    // A session needs its name and a value.
    let has =
        |text: &[u8], name: &[u8]| !name.is_empty() && holds(text, name) && text.contains(&b'=');
    let in_path = has(uri, path);
    let in_cookies = cookies.iter().any(|value| has(value, cookie));
    assert!(found == Session::None || in_path || in_cookies, "{found:?}");
    if let Session::Routes(routes) = &found {
        for route in routes {
            // Each is what stands behind a dot somewhere, up to some end.
            let dotted = [b".", &route[..]].concat();
            let is_there = holds(uri, &dotted) || cookies.iter().any(|value| holds(value, &dotted));
            assert!(is_there, "{route:?}");
            assert!(!route.contains(&b';'), "{route:?}");
        }
        assert!(routes.len() <= 1 + uri.len().max(cookies.concat().len()));
    }
    // What the path says counts more than cookies.
    let of_path = find(None, uri, std::iter::empty(), path, cookie);
    if of_path != Session::None {
        assert_eq!(found, of_path);
    } else {
        assert_eq!(found, find(None, b"", cookies.into_iter(), path, cookie));
    }
    // Another cookie changes nothing.
    if !holds(b"other=1.x", cookie) {
        let more = [&b"other=1.x"[..], cookies[0], cookies[1]];
        let with_more = find(None, uri, more.into_iter(), path, cookie);
        assert_eq!(found, with_more);
    }
}

/// Cookies and parameters as they should be, with names and values of the input.
fn well_formed(data: &[u8]) {
    let mut input = Input::new(data);
    let clean = |text: &[u8]| -> Vec<u8> {
        text.iter().copied().filter(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).collect()
    };
    let name = &b"SESSION"[..];
    let mut expected = Vec::new();
    let mut pairs = Vec::new();
    let mut ids = 0;
    while !input.is_empty() && pairs.len() < 20 {
        let decision = input.byte();
        let length = usize::from(input.byte() % 16);
        let value = clean(input.bytes(length));
        if decision & 1 == 1 && !value.is_empty() {
            ids += 1;
            expected
                .extend(value.iter().position(|b| *b == b'.').map(|dot| value[dot + 1..].to_vec()));
            let quotes: &[u8] = if decision & 2 == 2 { b"\"" } else { b"" };
            pairs.push([name, b"=", quotes, &value, quotes].concat());
        } else {
            pairs.push([b"x-", &clean(&[decision])[..], b"=", &value].concat());
        }
    }
    let header = pairs.join(&b"; "[..]);
    let found = find(None, b"/a", std::iter::once(&header[..]), b";id", name);
    let routes = if ids == 0 { Session::None } else { Session::Routes(expected.clone()) };
    assert_eq!(found, routes, "{}", header.escape_ascii());
    let one_each = find(None, b"/a", pairs.iter().map(Vec::as_slice), b";id", name);
    assert_eq!(one_each, routes);
    let Some(route) = expected.first() else { return };
    for uri in ["/a;id=1.ROUTE", "/a;id=1.ROUTE/b;id=2.x", "/a;x=1;id=1.ROUTE;y=2"] {
        let uri = uri.replace("ROUTE", &String::from_utf8_lossy(route));
        let found = find(None, uri.as_bytes(), std::iter::once(&header[..]), b";id", name);
        assert_eq!(found, Session::Routes(vec![route.clone()]), "{uri}");
    }
}
