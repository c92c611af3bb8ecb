//! JkOptions: its tokens, their groups, and what a virtual host inherits (spec/mod_jk.md 1.2).

use std::fmt;

use crate::config::text::suggestion;

/// One token of JkOptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum JkOption {
    ForwardURICompat,
    ForwardURICompatUnparsed,
    ForwardURIEscaped,
    ForwardURIProxy,
    CollapseSlashesAll,
    CollapseSlashesNone,
    CollapseSlashesUnmount,
    ForwardDirectories,
    ForwardLocalAddress,
    ForwardPhysicalAddress,
    FlushPackets,
    FlushHeader,
    DisableReuse,
    ForwardSSLCertChain,
    ForwardKeySize,
    RejectUnsafeURI,
    /// New here: hop-by-hop request headers go to the engine as C mod_jk sends them.
    ForwardHopByHop,
    /// New here: request headers with `_` in their name are dropped.
    DropUnderscoreHeaders,
}

use JkOption::*;

impl JkOption {
    /// Every token with its name.
    pub(super) const ALL: [(&'static str, Self); 18] = [
        ("ForwardURICompat", ForwardURICompat),
        ("ForwardURICompatUnparsed", ForwardURICompatUnparsed),
        ("ForwardURIEscaped", ForwardURIEscaped),
        ("ForwardURIProxy", ForwardURIProxy),
        ("CollapseSlashesAll", CollapseSlashesAll),
        ("CollapseSlashesNone", CollapseSlashesNone),
        ("CollapseSlashesUnmount", CollapseSlashesUnmount),
        ("ForwardDirectories", ForwardDirectories),
        ("ForwardLocalAddress", ForwardLocalAddress),
        ("ForwardPhysicalAddress", ForwardPhysicalAddress),
        ("FlushPackets", FlushPackets),
        ("FlushHeader", FlushHeader),
        ("DisableReuse", DisableReuse),
        ("ForwardSSLCertChain", ForwardSSLCertChain),
        ("ForwardKeySize", ForwardKeySize),
        ("RejectUnsafeURI", RejectUnsafeURI),
        ("ForwardHopByHop", ForwardHopByHop),
        ("DropUnderscoreHeaders", DropUnderscoreHeaders),
    ];

    fn parse(name: &[u8]) -> Option<Self> {
        let is_name = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
        Self::ALL.iter().find(|(known, _)| is_name(known)).map(|(_, option)| *option)
    }

    /// Whether it has no effect any more: paths are always compared as Tomcat sees them.
    pub(super) const fn is_ignored(self) -> bool {
        COLLAPSE.has(self)
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }

    /// The options of which a server has at most one, this one among them.
    const fn group(self) -> Set {
        match self {
            ForwardURICompat | ForwardURICompatUnparsed | ForwardURIEscaped | ForwardURIProxy => {
                URI
            }
            CollapseSlashesAll | CollapseSlashesNone | CollapseSlashesUnmount => COLLAPSE,
            ForwardLocalAddress | ForwardPhysicalAddress => ADDRESS,
            _ => Set(0),
        }
    }
}

/// A set of options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Set(u32);

const URI: Set = Set(ForwardURICompat.bit()
    | ForwardURICompatUnparsed.bit()
    | ForwardURIEscaped.bit()
    | ForwardURIProxy.bit());
const COLLAPSE: Set =
    Set(CollapseSlashesAll.bit() | CollapseSlashesNone.bit() | CollapseSlashesUnmount.bit());
const ADDRESS: Set = Set(ForwardLocalAddress.bit() | ForwardPhysicalAddress.bit());
const DEFAULT: Set = Set(ForwardURIProxy.bit() | ForwardKeySize.bit());

impl Set {
    /// Whether an option is in it.
    pub(super) const fn has(self, option: JkOption) -> bool {
        self.0 & option.bit() != 0
    }

    const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, option) in JkOption::ALL {
            if self.has(option) {
                write!(f, " +{name}")?;
            }
        }
        Ok(())
    }
}

/// What the JkOptions lines of one server say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    named: Set,
    excluded: Set,
}

impl Default for Options {
    fn default() -> Self {
        Self::HOST
    }
}

impl Options {
    /// A main server without a line.
    pub(super) const MAIN: Self = Self { named: DEFAULT, excluded: Set(0) };
    /// A virtual host without a line.
    pub(super) const HOST: Self = Self { named: Set(0), excluded: Set(0) };

    /// Takes one word of a line, `Name`, `+Name` or `-Name`, and says which option it is.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub(super) fn apply(&mut self, word: &[u8]) -> Result<JkOption, (String, String)> {
        let (sign, name) = match word {
            [sign @ (b'+' | b'-'), name @ ..] => (*sign, name),
            name => (b'+', name),
        };
        let shown = name.escape_ascii();
        let is_uri = name.get(..10).is_some_and(|n| n.eq_ignore_ascii_case(b"ForwardURI"));
        if sign == b'-' && is_uri {
            return Err((
                format!("JkOptions: Illegal option '-{shown}': option can not be disabled"),
                "name the ForwardURI option to use instead, ForwardURIProxy is the default".into(),
            ));
        }
        let Some(option) = JkOption::parse(name) else {
            let names = JkOption::ALL.map(|(name, _)| name);
            let remedy = suggestion(name, names).map_or_else(
                || "remove it, or see the manual for the options".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            return Err((format!("JkOptions: Illegal option '{shown}'"), remedy));
        };
        self.named = self.named.without(option.group());
        let set = if sign == b'-' { &mut self.excluded } else { &mut self.named };
        *set = set.with(Set(option.bit()));
        Ok(option)
    }

    /// The options of a virtual host: its own on top of the main server's.
    pub(super) fn inherit(self, main: Self) -> Self {
        let mut inherited = main.effective();
        for group in [URI, COLLAPSE] {
            if self.named.intersects(group) {
                inherited = inherited.without(group);
            }
        }
        Self { named: self.named.with(inherited), excluded: self.excluded }
    }

    /// What is in force. An exclusion beats an inclusion, wherever it stands.
    pub(super) fn effective(self) -> Set {
        self.named.without(self.excluded)
    }

    /// Whether lines switch an option both on and off; off is what counts.
    pub(super) fn contradicts_itself(self, option: JkOption) -> bool {
        self.named.has(option) && self.excluded.has(option) && !DEFAULT.has(option)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(start: Options, words: &str) -> Options {
        let mut options = start;
        for word in words.split_whitespace() {
            options.apply(word.as_bytes()).unwrap();
        }
        options
    }

    fn main(words: &str) -> String {
        read(Options::MAIN, words).effective().to_string()
    }

    fn host(of_main: &str, words: &str) -> String {
        let main = read(Options::MAIN, of_main);
        read(Options::HOST, words).inherit(main).effective().to_string()
    }

    #[test]
    fn the_last_of_a_group_counts() {
        assert_eq!(main(""), " +ForwardURIProxy +ForwardKeySize");
        assert_eq!(
            main("ForwardURICompat +forwarduriESCAPED"),
            " +ForwardURIEscaped +ForwardKeySize"
        );
        assert_eq!(
            main("ForwardLocalAddress +ForwardPhysicalAddress"),
            " +ForwardURIProxy +ForwardPhysicalAddress +ForwardKeySize"
        );
        // Excluding one member clears the whole group.
        assert_eq!(
            main("ForwardPhysicalAddress -ForwardLocalAddress"),
            " +ForwardURIProxy +ForwardKeySize"
        );
    }

    #[test]
    fn an_exclusion_beats_an_inclusion_in_any_order() {
        for words in ["FlushHeader -FlushHeader", "-FlushHeader +FlushHeader"] {
            assert_eq!(main(words), " +ForwardURIProxy +ForwardKeySize");
            let options = read(Options::MAIN, words);
            assert!(options.contradicts_itself(FlushHeader));
        }
        assert_eq!(main("-ForwardKeySize"), " +ForwardURIProxy");
        assert!(!read(Options::MAIN, "-ForwardKeySize").contradicts_itself(ForwardKeySize));
    }

    #[test]
    fn a_host_inherits_as_in_c() {
        let default = " +ForwardURIProxy +ForwardKeySize";
        assert_eq!(host("", ""), default);
        assert_eq!(host("FlushHeader", ""), " +ForwardURIProxy +FlushHeader +ForwardKeySize");
        assert_eq!(host("FlushHeader", "-FlushHeader"), default);
        assert_eq!(
            host("-FlushHeader", "FlushHeader"),
            " +ForwardURIProxy +FlushHeader +ForwardKeySize"
        );
        assert_eq!(
            host("ForwardURICompat", "ForwardURIEscaped -ForwardKeySize"),
            " +ForwardURIEscaped"
        );
        // The address group is not masked: both may be there.
        assert_eq!(
            host("ForwardLocalAddress", "ForwardPhysicalAddress"),
            " +ForwardURIProxy +ForwardLocalAddress +ForwardPhysicalAddress +ForwardKeySize"
        );
        assert_eq!(
            host("CollapseSlashesAll", "CollapseSlashesNone"),
            " +ForwardURIProxy +CollapseSlashesNone +ForwardKeySize"
        );
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |word: &str| Options::MAIN.clone().apply(word.as_bytes()).unwrap_err();
        assert_eq!(error("+FlushPacket").0, "JkOptions: Illegal option 'FlushPacket'");
        assert_eq!(error("+FlushPacket").1, "did you mean FlushPackets?");
        assert_eq!(
            error("-ForwardURIProxy").0,
            "JkOptions: Illegal option '-ForwardURIProxy': option can not be disabled"
        );
        assert_eq!(error("-").0, "JkOptions: Illegal option ''");
    }
}
