//! The sample application in a real Tomcat, through our module.

mod connect;
mod large;
mod pages;
mod protocol;
mod restart;
mod streaming;
mod upload;

use crate::support::client::{Client, Response};
use crate::support::httpd::{Builder, Httpd, Module, Mpm};
use crate::support::tomcat::Tomcat;

/// Makes a test of each function under each of the MPMs: `event::name`, `worker::name` …
macro_rules! under {
    ($($mpm:ident: $kind:ident),+; $names:tt) => {
        $(under!(@ $mpm, $kind, $names);)+
    };
    (@ $mpm:ident, $kind:ident, [$($name:ident),+ $(,)?]) => {
        mod $mpm {
            $(
                #[test]
                fn $name() {
                    super::$name(crate::support::httpd::Mpm::$kind);
                }
            )+
        }
    };
}
use under;

/// An httpd that sends /ivy to the shared Tomcat's sample application.
fn app(mpm: Mpm) -> Builder {
    Httpd::builder(Module::Ours).mpm(mpm).worker("ivy", &Tomcat::shared()).mount("/ivy|/*", "ivy")
}

/// The value of a line `key: value` of the request dump.
#[track_caller]
fn dumped<'t>(dump: &'t str, key: &str) -> &'t str {
    let mut lines = dump.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(known, _)| *known == key);
    found.unwrap_or_else(|| panic!("no line {key} in\n{dump}")).1
}

/// What `download.jsp` sends for this length and seed; the head of that page defines it.
struct SplitMix {
    state: u64,
    left: u64,
}

impl SplitMix {
    fn new(length: u64, seed: u64) -> Self {
        Self { state: seed, left: length }
    }

    /// Appends up to 64 KiB of what is left. False at the end.
    fn next_block(&mut self, block: &mut Vec<u8>) -> bool {
        block.clear();
        let wanted = usize::try_from(self.left.min(65_536)).expect("it is small");
        while block.len() < wanted {
            self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            block.extend(z.to_le_bytes());
        }
        block.truncate(wanted);
        self.left -= wanted as u64;
        wanted > 0
    }

    fn bytes(length: u64, seed: u64) -> Vec<u8> {
        let (mut source, mut all, mut block) = (Self::new(length, seed), Vec::new(), Vec::new());
        while source.next_block(&mut block) {
            all.extend_from_slice(&block);
        }
        all
    }
}

/// GET that must be answered with 200.
#[track_caller]
fn ok(client: &mut Client, target: &str) -> Response {
    let response = client.get(target);
    assert_eq!(response.status(), 200, "{target}: {}", response.text());
    assert!(response.end.is_complete(), "{target}: {:?}", response.end);
    response
}
