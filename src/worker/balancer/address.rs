//! Which member a client's address belongs to (`method=Address`): rendezvous hashing.
//!
//! Each member has a distance to each address, and the nearest one serves it. So where a member
//! leaves, its addresses go to whoever is the second nearest to each, and no other one moves. Nothing
//! is drawn but from address, name and factor, with integers and the four operations of IEEE 754, so
//! every process on every machine finds the same.
#![forbid(unsafe_code)]

use std::f64::consts::LN_2;
use std::net::{IpAddr, Ipv6Addr};

/// An address, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(u64);

impl Address {
    /// Of its text; what is no address of IPv4 or IPv6 stands for itself.
    pub(super) fn new(text: &[u8]) -> Self {
        let without_zone = text.split(|byte| *byte == b'%').next().unwrap_or_default();
        let parsed = std::str::from_utf8(without_zone).ok().and_then(|text| text.parse().ok());
        Self(match parsed {
            Some(IpAddr::V4(v4)) => hash(&v4.to_ipv6_mapped().octets()),
            Some(IpAddr::V6(v6)) => hash(&Ipv6Addr::octets(&v6)),
            None => hash(text),
        })
    }

    /// How far a member is from the address. Members with twice the factor are the nearest ones twice
    /// as often: their distances are drawn from an exponential distribution with that rate.
    pub(super) fn distance(self, seed: u64, factor: u32) -> f64 {
        minus_ln(self.draw(seed)) / f64::from(factor.max(1))
    }

    /// Whether the address is among the first `part` of `whole` that a member takes over. Who is among
    /// them is among them in a larger part as well.
    pub(super) fn is_among(self, seed: u64, part: u64, whole: u64) -> bool {
        let drawn = u128::from(mix(self.draw(seed)));
        drawn.saturating_mul(whole.into()) < u128::from(part) << 64
    }

    fn draw(self, seed: u64) -> u64 {
        mix(self.0 ^ seed)
    }
}

/// What tells a member from others: of its name.
pub(super) fn seed(name: &[u8]) -> u64 {
    mix(hash(name))
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Spreads what is near to all 64 bits (the last step of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

/// The negative natural logarithm of a number taken as a fraction of 2^64. The standard library's
/// may differ in the last bit between systems.
fn minus_ln(number: u64) -> f64 {
    let number = number.max(1);
    let zeros = number.leading_zeros();
    // 1 to 2, in all the bits that there are.
    let bits = (number << zeros) >> 11;
    let one_to_two = bits as f64 / (1_u64 << 52) as f64;
    let s = (one_to_two - 1.0) / (one_to_two + 1.0);
    let square = s * s;
    // ln x = 2 artanh((x - 1) / (x + 1)); s is at most 1/3.
    let terms = [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0];
    let sum = terms.into_iter().fold(0.0, |sum, n| sum * square + 1.0 / n);
    f64::from(zeros.saturating_add(1)) * LN_2 - 2.0 * s * sum
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod choices;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_near_enough() {
        for number in [1, 2, 3, 1 << 20, u64::MAX / 3, u64::MAX / 2, u64::MAX] {
            let exact = -(number as f64 / 2f64.powi(64)).ln();
            assert!((minus_ln(number) - exact).abs() < 1e-7, "{number}: {exact}");
            assert!(minus_ln(number) > -1e-7);
        }
    }

    #[test]
    fn an_address_is_the_same_in_every_spelling() {
        for (a, b, same) in [
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "::ffff:c000:201", true),
            ("2001:db8::1", "2001:0DB8:0:0::1", true),
            ("fe80::1", "fe80::1%eth0", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "2001:db8::1", false),
            ("unknown", "", false),
        ] {
            let [a_hash, b_hash] = [a, b].map(|text| Address::new(text.as_bytes()));
            assert_eq!(a_hash == b_hash, same, "{a} {b}");
        }
    }

    /// Numbers that must not change, or users would move with an update of this module.
    #[test]
    fn what_is_drawn_stays_for_ever() {
        let address = Address::new(b"192.0.2.1");
        let near = |name: &[u8]| address.distance(seed(name), 1);
        let drawn = [b"node1", b"node2", b"node3"].map(|name| near(name).to_bits());
        assert_eq!(drawn, DRAWN, "{drawn:?}");
    }

    const DRAWN: [u64; 3] =
        [4_599_732_172_065_749_398, 4_597_335_558_691_638_550, 4_606_802_636_753_772_372];
}
