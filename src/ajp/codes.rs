//! The numbers of AJP13 and the names they stand for (spec/mod_jk.md 4.1, 4.2, 4.3, 4.7).
#![forbid(unsafe_code)]

/// Packet types: the first payload byte of every packet but request body data.
pub mod packet {
    /// Web server to container: a request.
    pub const FORWARD_REQUEST: u8 = 2;
    /// Container to web server: a part of the response body.
    pub const SEND_BODY_CHUNK: u8 = 3;
    /// Container to web server: status and headers.
    pub const SEND_HEADERS: u8 = 4;
    /// Container to web server: the response is complete.
    pub const END_RESPONSE: u8 = 5;
    /// Container to web server: asks for request body data.
    pub const GET_BODY_CHUNK: u8 = 6;
    /// Container to web server: answer to a CPING.
    pub const CPONG: u8 = 9;
    /// Web server to container: are you there?
    pub const CPING: u8 = 10;

    /// Name of a packet type, for the log.
    pub fn name(code: u8) -> &'static str {
        match code {
            FORWARD_REQUEST => "FORWARD_REQUEST",
            SEND_BODY_CHUNK => "SEND_BODY_CHUNK",
            SEND_HEADERS => "SEND_HEADERS",
            END_RESPONSE => "END_RESPONSE",
            GET_BODY_CHUNK => "GET_BODY_CHUNK",
            CPONG => "CPONG",
            CPING => "CPING",
            _ => "unknown",
        }
    }
}

/// Attribute codes of FORWARD_REQUEST.
pub mod attribute {
    /// The authenticated user.
    pub const REMOTE_USER: u8 = 3;
    /// How the user authenticated.
    pub const AUTH_TYPE: u8 = 4;
    /// Query string without `?`.
    pub const QUERY_STRING: u8 = 5;
    /// Route (`jvm_route`).
    pub const ROUTE: u8 = 6;
    /// Client certificate, PEM.
    pub const SSL_CERT: u8 = 7;
    /// Cipher suite.
    pub const SSL_CIPHER: u8 = 8;
    /// TLS session id.
    pub const SSL_SESSION: u8 = 9;
    /// A named attribute: two strings.
    pub const REQ_ATTRIBUTE: u8 = 10;
    /// Key size as a 16-bit number, not a string.
    pub const SSL_KEY_SIZE: u8 = 11;
    /// Shared secret.
    pub const SECRET: u8 = 12;
    /// Method name where the method has no code.
    pub const STORED_METHOD: u8 = 13;
    /// End of the attributes.
    pub const ARE_DONE: u8 = 0xFF;
}

/// Method code that says: the name is in the attribute [`attribute::STORED_METHOD`].
pub const METHOD_STORED: u8 = 0xFF;

const METHODS: [&[u8]; 27] = [
    b"OPTIONS",
    b"GET",
    b"HEAD",
    b"POST",
    b"PUT",
    b"DELETE",
    b"TRACE",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"ACL",
    b"REPORT",
    b"VERSION-CONTROL",
    b"CHECKIN",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"SEARCH",
    b"MKWORKSPACE",
    b"UPDATE",
    b"LABEL",
    b"MERGE",
    b"BASELINE-CONTROL",
    b"MKACTIVITY",
];

/// Code of a method, names compared case-sensitively; `None` where it must be stored by name.
pub fn method_code(name: &[u8]) -> Option<u8> {
    match name {
        b"GET" => Some(2),
        b"POST" => Some(4),
        _ => (1u8..).zip(METHODS).find(|(_, known)| *known == name).map(|(code, _)| code),
    }
}

/// Name of a method code, the inverse of [`method_code`].
pub fn method_name(code: u8) -> Option<&'static [u8]> {
    METHODS.get(usize::from(code).checked_sub(1)?).copied()
}

const REQUEST_HEADERS: [&[u8]; 14] = [
    b"accept",
    b"accept-charset",
    b"accept-encoding",
    b"accept-language",
    b"authorization",
    b"connection",
    b"content-type",
    b"content-length",
    b"cookie",
    b"cookie2",
    b"host",
    b"pragma",
    b"referer",
    b"user-agent",
];

/// Code to send a request header name as, compared without regard to case. `accept-charset`,
/// `accept-encoding` and `accept-language` (0xA002 to 0xA004) are sent by name, as C mod_jk does.
pub fn request_header_code(name: &[u8]) -> Option<u16> {
    // The length leaves at most three names to compare, so no table or hash is needed.
    let candidates: &[u16] = match name.len() {
        4 => &[0xA00B],
        6 => &[0xA001, 0xA009, 0xA00C],
        7 => &[0xA00A, 0xA00D],
        10 => &[0xA006, 0xA00E],
        12 => &[0xA007],
        13 => &[0xA005],
        14 => &[0xA008],
        _ => &[],
    };
    candidates
        .iter()
        .copied()
        .find(|code| request_header_name(*code).is_some_and(|n| n.eq_ignore_ascii_case(name)))
}

/// Lower-case name of a request header code (0xA001 to 0xA00E).
pub fn request_header_name(code: u16) -> Option<&'static [u8]> {
    REQUEST_HEADERS.get(usize::from(code).checked_sub(0xA001)?).copied()
}

const RESPONSE_HEADERS: [&[u8]; 11] = [
    b"Content-Type",
    b"Content-Language",
    b"Content-Length",
    b"Date",
    b"Last-Modified",
    b"Location",
    b"Set-Cookie",
    b"Set-Cookie2",
    b"Servlet-Engine",
    b"Status",
    b"WWW-Authenticate",
];

/// Name of a response header code (0xA001 to 0xA00B).
pub fn response_header_name(code: u16) -> Option<&'static [u8]> {
    RESPONSE_HEADERS.get(usize::from(code).checked_sub(0xA001)?).copied()
}

/// Code of a response header name, the inverse of [`response_header_name`].
pub fn response_header_code(name: &[u8]) -> Option<u16> {
    (0xA001u16..)
        .zip(RESPONSE_HEADERS)
        .find(|(_, known)| known.eq_ignore_ascii_case(name))
        .map(|(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_the_codes_of_the_specification() {
        for (name, code) in [
            ("OPTIONS", 1),
            ("GET", 2),
            ("HEAD", 3),
            ("POST", 4),
            ("PUT", 5),
            ("DELETE", 6),
            ("TRACE", 7),
            ("PROPFIND", 8),
            ("ACL", 15),
            ("VERSION-CONTROL", 17),
            ("SEARCH", 21),
            ("MKACTIVITY", 27),
        ] {
            assert_eq!(method_code(name.as_bytes()), Some(code), "{name}");
            assert_eq!(method_name(code), Some(name.as_bytes()));
        }
        for unknown in ["PATCH", "get", "CONNECT", ""] {
            assert_eq!(method_code(unknown.as_bytes()), None, "{unknown}");
        }
        assert_eq!(method_name(0), None);
        assert_eq!(method_name(28), None);
    }

    #[test]
    fn every_header_code_is_found_by_its_name_in_any_case() {
        for code in 0xA001..=0xA00E {
            let name = request_header_name(code).unwrap();
            let sent = (!(0xA002..=0xA004).contains(&code)).then_some(code);
            assert_eq!(request_header_code(name), sent);
            assert_eq!(request_header_code(&name.to_ascii_uppercase()), sent);
        }
        for code in 0xA001..=0xA00B {
            let name = response_header_name(code).unwrap();
            assert_eq!(response_header_code(&name.to_ascii_lowercase()), Some(code));
        }
        assert_eq!(request_header_code(b"x-forwarded-for"), None);
        assert_eq!(request_header_name(0xA000), None);
        assert_eq!(request_header_name(0xA00F), None);
        assert_eq!(response_header_name(0xA000), None);
        assert_eq!(response_header_name(0xA00C), None);
    }
}
