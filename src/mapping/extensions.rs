//! Rule extensions [3.4]: what follows the worker's name in a rule, `;`-separated, and in the
//! environment variable that names a worker for `SetHandler`.
#![forbid(unsafe_code)]

use std::time::Duration;

use thiserror::Error;

use crate::config::{
    StatusList,
    text::{printable, quoted, suggestion},
};

/// The extensions that take a number: the last one counts.
const NUMBERS: [&str; 5] =
    ["reply_timeout", "sticky_ignore", "stateless", "use_server_errors", "set_session_cookie"];

/// The extensions that take a text: the first one counts.
const TEXTS: [&str; 7] = [
    "active",
    "disabled",
    "stopped",
    "fail_on_status",
    "session_cookie",
    "session_path",
    "session_cookie_path",
];

/// What a rule changes about its worker. The default changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleOptions {
    /// `reply_timeout`: replaces the worker's longest time between two packets of an answer;
    /// `Some(None)` for no limit.
    pub reply_timeout: Option<Option<Duration>>,
    /// `sticky_ignore`: a balancer does not look at sessions.
    pub sticky_ignore: bool,
    /// `stateless`: the request opens no session, a balancer takes the next member.
    pub stateless: bool,
    /// `use_server_errors`: from this status on the client gets the web server's page.
    pub use_server_errors: Option<u16>,
    /// `active`: members of a balancer. The three lists have no name in common.
    pub active: Vec<Box<[u8]>>,
    /// `disabled`: members of a balancer.
    pub disabled: Vec<Box<[u8]>>,
    /// `stopped`: members of a balancer.
    pub stopped: Vec<Box<[u8]>>,
    /// `fail_on_status`: replaces the worker's list, also when it is empty.
    pub fail_on_status: Option<StatusList>,
    /// `session_cookie`: the cookie in which a balancer looks for the session.
    pub session_cookie: Option<Box<[u8]>>,
    /// `session_path`: the path parameter in which a balancer looks for the session. A `;` that was
    /// written before it is not part of it.
    pub session_path: Option<Box<[u8]>>,
    /// `set_session_cookie`: a balancer sets the session cookie.
    pub set_session_cookie: bool,
    /// `session_cookie_path`: the path of that cookie.
    pub session_cookie_path: Option<Box<[u8]>>,
}

impl RuleOptions {
    /// The names of the options set here that only a balancer heeds.
    pub fn of_balancers(&self) -> impl Iterator<Item = &'static str> {
        [
            ("sticky_ignore", self.sticky_ignore),
            ("stateless", self.stateless),
            ("active", !self.active.is_empty()),
            ("disabled", !self.disabled.is_empty()),
            ("stopped", !self.stopped.is_empty()),
            ("session_cookie", self.session_cookie.is_some()),
            ("session_path", self.session_path.is_some()),
            ("set_session_cookie", self.set_session_cookie),
            ("session_cookie_path", self.session_cookie_path.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
    }
}

/// Something odd about the extensions of a rule. The rule is good all the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExtensionProblem {
    /// No extension has this name.
    #[error("there is no rule extension \"{0}\", it is ignored")]
    Unknown(String),
    /// An extension stands there twice and C mod_jk heeds the first.
    #[error("rule extension {0} is set again, the first value is used")]
    FirstCounts(&'static str),
    /// An extension stands there twice and C mod_jk heeds the last.
    #[error("rule extension {0} is set again, the last value is used")]
    LastCounts(&'static str),
    /// More or something else than a number.
    #[error("rule extension {name}: {value} is not a number, it is read as {read}")]
    NotANumber {
        /// The extension.
        name: &'static str,
        /// As it was written, in quotes.
        value: String,
        /// What C mod_jk makes of it.
        read: i32,
    },
    /// Nothing after the `=`.
    #[error("rule extension {0} has no value")]
    NoValue(&'static str),
    /// A threshold that no status is below.
    #[error("rule extension use_server_errors: {0} is no status, every answer is an error")]
    NotAStatus(i32),
    /// A member in two of the three lists.
    #[error("member {member} is {ignored} and {used} in the same rule, {used} is used")]
    Conflict {
        /// Its name.
        member: String,
        /// The extension that loses.
        ignored: &'static str,
        /// The extension that wins.
        used: &'static str,
    },
}

impl ExtensionProblem {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Unknown(name) => {
                match suggestion(name.as_bytes(), TEXTS.into_iter().chain(NUMBERS)) {
                    Some(near) if near == name => format!("write {near}=value"),
                    Some(near) if near == name.trim() => {
                        format!("write {near} without the blank")
                    }
                    Some(near) => format!("did you mean {near}?"),
                    None => "remove it, or correct its name".to_string(),
                }
            }
            Self::FirstCounts(_) | Self::LastCounts(_) => "keep one of them".to_string(),
            Self::NotANumber { .. } => "use a whole number without a unit".to_string(),
            Self::NoValue(name) => format!("write {name}=value, or remove it"),
            Self::NotAStatus(_) => {
                "use the lowest status that is an error, such as 400, or 0 for none".to_string()
            }
            Self::Conflict { .. } => "name the member in one of the lists".to_string(),
        }
    }
}

/// Reads `worker;name=value;…`: the worker's name, and what the rule changes about it.
///
/// The syntax is C mod_jk's to the byte: nothing is trimmed, empty parts count nothing, and a `;` at
/// the very beginning is part of the name.
pub fn parse(text: &[u8]) -> (&[u8], RuleOptions, Vec<ExtensionProblem>) {
    let (name, rest) = split_name(text);
    let mut parser = Parser::default();
    let mut parts = rest.split(|byte| *byte == b';').filter(|part| !part.is_empty());
    while let Some(part) = parts.next() {
        parser.read(part, &mut parts);
    }
    parser.resolve_conflicts();
    (name, parser.options, parser.problems)
}

fn split_name(text: &[u8]) -> (&[u8], &[u8]) {
    let leading = text.iter().take_while(|byte| **byte == b';').count();
    let after = text.get(leading..).unwrap_or_default();
    let length = after.iter().take_while(|byte| **byte != b';').count();
    text.split_at_checked(leading.saturating_add(length)).unwrap_or((text, b""))
}

#[derive(Default)]
struct Parser {
    options: RuleOptions,
    problems: Vec<ExtensionProblem>,
    /// Names seen so far.
    seen: Vec<&'static str>,
}

impl Parser {
    fn read<'t>(&mut self, part: &'t [u8], following: &mut impl Iterator<Item = &'t [u8]>) {
        let mut halves = part.splitn(2, |byte| *byte == b'=');
        let given = halves.next().unwrap_or_default();
        let value = halves.next();
        let named = |name: &&&'static str| name.as_bytes() == given;
        let number = NUMBERS.iter().find(named).zip(value);
        let text = TEXTS.iter().find(named).zip(value);
        match (number, text) {
            (Some((name, value)), _) => self.number(name, value),
            (_, Some((name, value))) => self.text(name, value, following),
            _ => self.problems.push(ExtensionProblem::Unknown(printable(given))),
        }
    }

    /// Whether the extension was there before.
    fn is_repeated(&mut self, name: &'static str) -> bool {
        let is_repeated = self.seen.contains(&name);
        if !is_repeated {
            self.seen.push(name);
        }
        is_repeated
    }

    fn number(&mut self, name: &'static str, text: &[u8]) {
        let is_repeated = self.is_repeated(name);
        if name == "set_session_cookie" && self.options.set_session_cookie {
            self.problems.push(ExtensionProblem::FirstCounts(name));
            return;
        }
        if is_repeated {
            self.problems.push(ExtensionProblem::LastCounts(name));
        }
        let (number, is_clean) = atoi(text);
        if text.is_empty() {
            self.problems.push(ExtensionProblem::NoValue(name));
        } else if !is_clean {
            let value = quoted(text);
            self.problems.push(ExtensionProblem::NotANumber { name, value, read: number });
        }
        match name {
            "reply_timeout" => self.options.reply_timeout = reply_timeout(number),
            "sticky_ignore" => self.options.sticky_ignore = number != 0,
            "stateless" => self.options.stateless = number != 0,
            "use_server_errors" => self.use_server_errors(number),
            _ => self.options.set_session_cookie = number != 0,
        }
    }

    fn use_server_errors(&mut self, number: i32) {
        if number < 0 {
            self.problems.push(ExtensionProblem::NotAStatus(number));
        }
        let threshold = u16::try_from(number.max(0)).unwrap_or(u16::MAX);
        self.options.use_server_errors = (number != 0).then_some(threshold);
    }

    fn text<'t>(
        &mut self,
        name: &'static str,
        value: &'t [u8],
        following: &mut impl Iterator<Item = &'t [u8]>,
    ) {
        if self.is_repeated(name) {
            self.problems.push(ExtensionProblem::FirstCounts(name));
            return;
        }
        let value = match name {
            // A value may begin with the `;` that separates extensions.
            "session_path" if value.is_empty() => following.next(),
            _ => Some(value),
        };
        if value.is_none_or(<[u8]>::is_empty) {
            self.problems.push(ExtensionProblem::NoValue(name));
        }
        let options = &mut self.options;
        let kept = value.map(Box::from);
        match name {
            "active" => options.active = members(value),
            "disabled" => options.disabled = members(value),
            "stopped" => options.stopped = members(value),
            "fail_on_status" => self.fail_on_status(value),
            "session_cookie" => options.session_cookie = kept,
            "session_path" => options.session_path = kept,
            _ => options.session_cookie_path = kept,
        }
    }

    fn fail_on_status(&mut self, value: Option<&[u8]>) {
        let mut statuses = Vec::new();
        for item in items(value) {
            let (read, is_clean) = atoi(item);
            if !is_clean {
                let (name, value) = ("fail_on_status", quoted(item));
                self.problems.push(ExtensionProblem::NotANumber { name, value, read });
            }
            statuses.push(read);
        }
        self.options.fail_on_status = Some(StatusList::new(statuses));
    }

    /// A member keeps the last of active, disabled, stopped.
    fn resolve_conflicts(&mut self) {
        let RuleOptions { active, disabled, stopped, .. } = &mut self.options;
        let mut take_out = |list: &mut Vec<Box<[u8]>>, ignored, winners: &[Box<[u8]>], used| {
            list.retain(|member| {
                let wins = !winners.contains(member);
                if !wins {
                    let member = printable(member);
                    self.problems.push(ExtensionProblem::Conflict { member, ignored, used });
                }
                wins
            });
        };
        take_out(active, "active", disabled, "disabled");
        take_out(active, "active", stopped, "stopped");
        take_out(disabled, "disabled", stopped, "stopped");
    }
}

/// `None`, the worker's own, for what is negative.
fn reply_timeout(milliseconds: i32) -> Option<Option<Duration>> {
    let milliseconds = u64::try_from(milliseconds).ok()?;
    Some((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
}

fn items(value: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    let is_separator = |byte: &u8| matches!(byte, b',' | b' ');
    value.unwrap_or_default().split(is_separator).filter(|item| !item.is_empty())
}

fn members(value: Option<&[u8]>) -> Vec<Box<[u8]>> {
    items(value).map(Box::from).collect()
}

/// A number as `atoi` of the C library reads it, what does not fit cut to 32 bits, and whether it was
/// nothing but a number that fits.
fn atoi(text: &[u8]) -> (i32, bool) {
    let unsigned = text.trim_ascii_start();
    let (sign, digits) = match unsigned {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, unsigned),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = digits.iter().take(count).fold(0_i64, |number, digit| {
        let digit = i64::from(digit.saturating_sub(b'0'));
        number.saturating_mul(10).saturating_add(sign * digit)
    });
    let fits = i32::try_from(number);
    let is_clean = count > 0 && count == digits.len() && fits.is_ok() && unsigned == text;
    #[allow(clippy::cast_possible_truncation, reason = "what the C library does")]
    let cut = number as i32;
    (cut, is_clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn options(text: &str) -> RuleOptions {
        parse(text.as_bytes()).1
    }

    fn problems(text: &str) -> Vec<String> {
        let problems = parse(text.as_bytes()).2;
        problems.iter().map(|problem| format!("{problem}; {}", problem.remedy())).collect()
    }

    fn names(list: &[Box<[u8]>]) -> Vec<&str> {
        list.iter().map(|name| std::str::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn the_name_ends_at_the_first_semicolon_after_it() {
        for (text, name) in [
            ("w", "w"),
            ("w;", "w"),
            ("w;stateless=1", "w"),
            ("", ""),
            (";", ";"),
            (";;", ";;"),
            (";w;stateless=1", ";w"),
            ("a b, c;x", "a b, c"),
        ] {
            assert_eq!(parse(text.as_bytes()).0, name.as_bytes(), "{text}");
        }
        assert!(options(";w;stateless=1").stateless);
        assert_eq!(options("w;;;"), RuleOptions::default());
    }

    #[test]
    fn reads_all_twelve() {
        let text = "w;reply_timeout=5000;sticky_ignore=1;stateless=1;use_server_errors=500;active=a;\
            disabled=b, c;stopped=d;fail_on_status=500,-503;session_cookie=SID;session_path=sid;\
            set_session_cookie=1;session_cookie_path=/app";
        let read = options(text);
        assert_eq!(problems(text), [""; 0]);
        assert_eq!(read.reply_timeout, Some(Some(Duration::from_secs(5))));
        assert!(read.sticky_ignore && read.stateless && read.set_session_cookie);
        assert_eq!(read.use_server_errors, Some(500));
        assert_eq!(names(&read.active), ["a"]);
        assert_eq!(names(&read.disabled), ["b", "c"]);
        assert_eq!(names(&read.stopped), ["d"]);
        assert_eq!(read.fail_on_status, Some(StatusList::new([500, -503])));
        assert_eq!(read.session_cookie.as_deref(), Some(&b"SID"[..]));
        assert_eq!(read.session_path.as_deref(), Some(&b"sid"[..]));
        assert_eq!(read.session_cookie_path.as_deref(), Some(&b"/app"[..]));
        assert_eq!(read.of_balancers().count(), 9);
        assert_eq!(RuleOptions::default().of_balancers().count(), 0);
    }

    #[test]
    fn reads_times_as_c_does() {
        for (text, expected) in [
            ("0", Some(None)),
            ("-1", None),
            ("-0", Some(None)),
            ("250", Some(Some(250))),
            (" 7", Some(Some(7))),
            ("9s", Some(Some(9))),
            ("x", Some(None)),
            ("", Some(None)),
            ("4294967297", Some(Some(1))),
            ("99999999999999999999", None),
            ("-99999999999999999999", Some(None)),
        ] {
            let read = options(&format!("w;reply_timeout={text}")).reply_timeout;
            assert_eq!(read, expected.map(|time| time.map(Duration::from_millis)), "{text}");
        }
    }

    #[test]
    fn reads_thresholds_as_c_does() {
        for (text, expected) in
            [("0", None), ("1", Some(1)), ("-1", Some(0)), ("99999", Some(u16::MAX)), ("x", None)]
        {
            let read = options(&format!("w;use_server_errors={text}")).use_server_errors;
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_session_path_may_begin_with_a_semicolon() {
        for (text, expected, stateless) in [
            ("session_path=;sid;stateless=1", Some("sid"), true),
            ("session_path=;;sid", Some("sid"), false),
            ("session_path=;stateless=1", Some("stateless=1"), false),
            ("session_path=", None, false),
            ("session_path=a;session_path=;b", Some("a"), false),
        ] {
            let read = options(&format!("w;{text}"));
            assert_eq!(read.session_path.as_deref(), expected.map(str::as_bytes), "{text}");
            assert_eq!(read.stateless, stateless, "{text}");
        }
    }

    #[test]
    fn the_last_number_and_the_first_text_count() {
        let read = options("w;stateless=1;stateless=0;reply_timeout=1;reply_timeout=2");
        assert!(!read.stateless);
        assert_eq!(read.reply_timeout, Some(Some(Duration::from_millis(2))));
        let read = options("w;active=a;active=b;session_cookie=;session_cookie=S");
        assert_eq!(names(&read.active), ["a"]);
        assert_eq!(read.session_cookie.as_deref(), Some(&b""[..]));
        // The one number that does not follow the rule.
        assert!(options("w;set_session_cookie=1;set_session_cookie=0").set_session_cookie);
        assert!(options("w;set_session_cookie=0;set_session_cookie=1").set_session_cookie);
    }

    #[test]
    fn an_empty_list_replaces_the_workers_list() {
        assert_eq!(options("w;fail_on_status=").fail_on_status, Some(StatusList::default()));
        assert_eq!(options("w").fail_on_status, None);
        let read = options("w;fail_on_status=, 500 ,,-404x\t3");
        assert_eq!(read.fail_on_status, Some(StatusList::new([500, -404])));
    }

    #[test]
    fn stopped_beats_disabled_beats_active() {
        let read = options("w;stopped=c;active=a,b,c,d;disabled=b c");
        assert_eq!(names(&read.active), ["a", "d"]);
        assert_eq!(names(&read.disabled), ["b"]);
        assert_eq!(names(&read.stopped), ["c"]);
    }

    #[test]
    fn says_what_is_odd() {
        for (text, expected) in [
            (
                "w; stateless=1;stateless =1;Active=a;stopped",
                vec![
                    "there is no rule extension \" stateless\", it is ignored; write stateless \
                     without the blank",
                    "there is no rule extension \"stateless \", it is ignored; write stateless \
                     without the blank",
                    "there is no rule extension \"Active\", it is ignored; did you mean active?",
                    "there is no rule extension \"stopped\", it is ignored; write stopped=value",
                ],
            ),
            (
                "w;bananas=1",
                vec![
                    "there is no rule extension \"bananas\", it is ignored; remove it, or correct \
                     its name",
                ],
            ),
            (
                "w;stateless=1;stateless=1;active=a;active=a",
                vec![
                    "rule extension stateless is set again, the last value is used; keep one of \
                     them",
                    "rule extension active is set again, the first value is used; keep one of them",
                ],
            ),
            (
                "w;set_session_cookie=1;set_session_cookie=0",
                vec![
                    "rule extension set_session_cookie is set again, the first value is used; keep \
                     one of them",
                ],
            ),
            (
                "w;reply_timeout=10s;stateless=;fail_on_status=5xx;session_path=",
                vec![
                    "rule extension reply_timeout: \"10s\" is not a number, it is read as 10; use \
                     a whole number without a unit",
                    "rule extension stateless has no value; write stateless=value, or remove it",
                    "rule extension fail_on_status: \"5xx\" is not a number, it is read as 5; use a \
                     whole number without a unit",
                    "rule extension session_path has no value; write session_path=value, or remove \
                     it",
                ],
            ),
            (
                "w;use_server_errors=-1",
                vec![
                    "rule extension use_server_errors: -1 is no status, every answer is an error; \
                     use the lowest status that is an error, such as 400, or 0 for none",
                ],
            ),
            (
                "w;active=a;disabled=a;stopped=a",
                vec![
                    "member a is active and disabled in the same rule, disabled is used; name the \
                     member in one of the lists",
                    "member a is disabled and stopped in the same rule, stopped is used; name the \
                     member in one of the lists",
                ],
            ),
        ] {
            assert_eq!(problems(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_alone_allocates_no_options() {
        let (_, read, problems) = parse(b"worker");
        assert_eq!(read.active.capacity() + problems.capacity(), 0);
    }

    proptest! {
        #[test]
        fn takes_any_bytes(text in prop::collection::vec(prop::sample::select(
            &b"w;;;=,, 019-stateless=active=stopped=session_path=fail_on_status=\xff"[..]), 0..60))
        {
            let (name, read, _) = parse(&text);
            prop_assert!(text.starts_with(name));
            for list in [&read.active, &read.disabled, &read.stopped] {
                prop_assert!(list.iter().all(|member| !member.is_empty()));
            }
        }

        #[test]
        fn finds_what_was_written(
            number in any::<i32>(),
            members in prop::collection::vec("[a-z]{1,5}", 0..4),
        ) {
            let text = format!("w;stateless={number};stopped={}", members.join(","));
            let read = options(&text);
            prop_assert_eq!(read.stateless, number != 0);
            prop_assert_eq!(names(&read.stopped), members);
        }
    }
}
