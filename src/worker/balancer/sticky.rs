//! Where a request says that its session is [6.5].
#![forbid(unsafe_code)]

use crate::host::{Facts, Request};

/// What a request says about its session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Session {
    /// It has none.
    #[default]
    None,
    /// There is an id, but nothing in it.
    Empty,
    /// It has ids: the routes that they name, in their order, maybe none.
    Routes(Vec<Vec<u8>>),
}

/// The session of a request.
pub(super) fn session<R: Request>(request: &R, path: &[u8], cookie: &[u8]) -> Session {
    let Facts { route, uri, .. } = request.facts();
    let cookies = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case(b"cookie"));
    find(route, uri, cookies.map(|(_, value)| value), path, cookie)
}

/// Looks for a session: the administrator's word (`route`) first, then the path, then all cookies of
/// the name. `cookies`: values of the Cookie headers. `path` and `cookie`: names of the parameter, with
/// its `;`, and of the cookie.
pub fn find<'r>(
    route: Option<&[u8]>,
    uri: &[u8],
    cookies: impl Iterator<Item = &'r [u8]>,
    path: &[u8],
    cookie: &'r [u8],
) -> Session {
    if let Some(route) = route.filter(|route| !route.is_empty()) {
        return Session::Routes(vec![route.to_vec()]);
    }
    if let Some(id) = path_parameter(uri, path) {
        return match id {
            [] => Session::Empty,
            id => Session::Routes(route_of(id).map(<[u8]>::to_vec).into_iter().collect()),
        };
    }
    let ids: Vec<&[u8]> = cookies.flat_map(|value| cookies_named(value, cookie)).collect();
    match ids.as_slice() {
        [] => Session::None,
        [[]] => Session::Empty,
        ids => {
            Session::Routes(ids.iter().filter_map(|id| route_of(id)).map(<[u8]>::to_vec).collect())
        }
    }
}

/// What follows the first dot of a session id. It may have dots itself.
fn route_of(id: &[u8]) -> Option<&[u8]> {
    let dot = id.iter().position(|byte| *byte == b'.')?;
    id.get(dot.saturating_add(1)..)
}

/// Places of `name` in `text`, none for an empty name.
fn places<'t>(text: &'t [u8], name: &'t [u8]) -> impl Iterator<Item = usize> + 't {
    let windows = text.windows(name.len().max(1)).enumerate();
    windows.filter(move |(_, window)| *window == name).map(|(at, _)| at)
}

/// The value of a parameter of the path, up to the next `?`, `;` or `/`.
fn path_parameter<'u>(uri: &'u [u8], name: &'u [u8]) -> Option<&'u [u8]> {
    let value_at = |at: usize| match uri.get(at.checked_add(name.len())?..)? {
        [b'=', value @ ..] if !value.is_empty() => Some(value),
        _ => None,
    };
    let value = places(uri, name).find_map(value_at)?;
    value.split(|byte| matches!(byte, b'?' | b';' | b'/')).next()
}

/// The values of all cookies of one name in a Cookie header.
fn cookies_named<'h>(header: &'h [u8], name: &'h [u8]) -> Vec<&'h [u8]> {
    let mut values = Vec::new();
    let mut end = 0;
    for at in places(header, name) {
        let before = at.checked_sub(1).and_then(|at| header.get(at));
        let begins = before.is_none_or(|b| matches!(b, b';' | b',') || is_blank(*b));
        if at < end || !begins {
            continue;
        }
        let after = header.get(at.saturating_add(name.len())..).unwrap_or_default();
        let blanks = after.iter().take_while(|b| is_blank(**b)).count();
        let Some([b'=', value @ ..]) = after.get(blanks..) else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        end = header.len().saturating_sub(value.len());
        let value = value.split(|b| matches!(b, b';' | b',')).next().unwrap_or_default();
        end = end.saturating_add(value.len());
        values.push(match value {
            [b'"', inner @ .., b'"'] => inner,
            value => value,
        });
    }
    values
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::testing::Memory;

    fn found(uri: &'static str, cookies: &[&str]) -> Session {
        let headers = cookies.iter().map(|value| ("cOOkie".to_owned(), (*value).to_owned()));
        let request = Memory { uri, headers: headers.collect(), ..Memory::get() };
        session(&request, b";jsessionid", b"JSESSIONID")
    }

    fn routes(routes: &[&str]) -> Session {
        Session::Routes(routes.iter().map(|route| route.as_bytes().to_vec()).collect())
    }

    #[test]
    fn paths_name_routes() {
        for (uri, expected) in [
            ("/a;jsessionid=1.r1", routes(&["r1"])),
            ("/a;jsessionid=1.node1.example.ch", routes(&["node1.example.ch"])),
            ("/a;jsessionid=1.r1;x=2", routes(&["r1"])),
            ("/a;jsessionid=1.r1/b;jsessionid=2.r2", routes(&["r1"])),
            ("/a;jsessionid=1.r1?q", routes(&["r1"])),
            ("/a;jsessionid=1", routes(&[])),
            ("/a;jsessionid=", Session::None),
            ("/a;jsessionid=/b", Session::Empty),
            ("/a;jsessionid;jsessionid=1.r1", routes(&["r1"])),
            ("/a;JSESSIONID=1.r1", Session::None),
            ("/a", Session::None),
        ] {
            assert_eq!(found(uri, &[]), expected, "{uri}");
        }
        assert_eq!(found("/a;jsessionid=1.r1", &["JSESSIONID=1.r2"]), routes(&["r1"]));
        assert_eq!(found("/a;jsessionid=/b", &["JSESSIONID=1.r2"]), Session::Empty);
    }

    #[test]
    fn cookies_name_routes() {
        for (cookies, expected) in [
            (&["JSESSIONID=1.r1"][..], routes(&["r1"])),
            (&["a=b; JSESSIONID=1.r1; c=d"], routes(&["r1"])),
            (&["a=b;JSESSIONID \t=1.r1"], routes(&["r1"])),
            (&["JSESSIONID=1.r1; JSESSIONID=2.r2"], routes(&["r1", "r2"])),
            (&["JSESSIONID=1.r1,JSESSIONID=2.r2"], routes(&["r1", "r2"])),
            (&["JSESSIONID=1.r1", "JSESSIONID=2.r2"], routes(&["r1", "r2"])),
            (&["JSESSIONID=1; JSESSIONID=2.r2"], routes(&["r2"])),
            (&["JSESSIONID=1 JSESSIONID=2.r2"], routes(&["r2"])),
            (&["JSESSIONID=\"1.r1\""], routes(&["r1"])),
            (&["JSESSIONID=\"1.r1"], routes(&["r1"])),
            (&["JSESSIONID=1"], routes(&[])),
            (&["XJSESSIONID=1.r1"], Session::None),
            (&["JSESSIONIDX=1.r1"], Session::None),
            (&["jsessionid=1.r1"], Session::None),
            (&["x=JSESSIONID=1.r1"], Session::None),
            (&["JSESSIONID="], Session::None),
            (&["JSESSIONID=;a=b"], Session::Empty),
            (&["JSESSIONID=\"\""], Session::Empty),
            (&["JSESSIONID=\"\"; JSESSIONID=1.r1"], routes(&["r1"])),
            (&["a=b"], Session::None),
            (&[], Session::None),
        ] {
            assert_eq!(found("/a", cookies), expected, "{cookies:?}");
        }
    }

    #[test]
    fn the_administrators_route_is_the_only_one() {
        let request = Memory {
            route: Some("r9"),
            uri: "/a;jsessionid=1.r1",
            headers: vec![("Cookie".to_owned(), "JSESSIONID=1.r2".to_owned())],
            ..Memory::get()
        };
        assert_eq!(session(&request, b";jsessionid", b"JSESSIONID"), routes(&["r9"]));
    }
}
