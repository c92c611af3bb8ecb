//! Tests of changes at run time.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::config::{BalanceMethod, PacketSize};
use crate::worker::balancer::testing::{balancer, label, member};
use crate::worker::testing::config;

fn lb() -> WorkerConfig {
    WorkerConfig::Balancer(Box::new(balancer(&[member("a"), member("b")])))
}

fn ajp() -> WorkerConfig {
    WorkerConfig::Ajp13(Box::new(config(8009)))
}

fn edit(member: Option<usize>, key: Key, value: &str) -> Edit {
    Edit { member, key, value: value.into() }
}

#[test]
fn what_cannot_be_kept_is_refused_and_not_forgotten() {
    let long = [b'x'; 256];
    for (member, value, why) in [
        (Some(65_534), &long[..255], None),
        (None, &long[..255], None),
        (None, &long[..], Some("a value of 256 bytes cannot be kept, the limit is 255; ")),
        (Some(65_535), &b"x"[..], Some("only the first 65535 members can be changed; ")),
    ] {
        for values in [[value, b""], [b"", value]] {
            let found = no_room(member, values);
            assert_eq!(
                found.as_deref().map(|text| text.starts_with(why.unwrap())),
                why.map(|_| true)
            );
            // What is not refused is kept.
            let [value, file] = values.map(<[u8]>::to_vec);
            let stored = [Stored { member, key: Key::Route, value, file }];
            assert_eq!(decode(&encode(&stored)) == stored, found.is_none());
        }
    }
}

#[test]
fn taking_many_changes_back_leaves_the_file_and_the_others() {
    let file = lb();
    let change = [edit(Some(0), Key::Lbfactor, "5"), edit(Some(1), Key::Lbfactor, "6")];
    let changed = merge(&file, Vec::new(), &change).unwrap().stored;
    let back = [edit(Some(0), Key::Lbfactor, "1"), edit(Some(0), Key::Distance, "2")];
    let merged = merge(&file, changed, &back).unwrap();
    assert_eq!(merged.changes.len(), 2);
    let shown = |member, key| values(&merged.config, Some(member), key);
    assert_eq!((shown(0, Key::Lbfactor), shown(0, Key::Distance)), ("1".into(), "2".into()));
    assert_eq!((shown(1, Key::Lbfactor), merged.stored.len()), ("6".into(), 2));
}

fn values(config: &WorkerConfig, member: Option<usize>, key: Key) -> String {
    String::from_utf8(value(config, member, key).unwrap()).unwrap()
}

/// A key, the texts that it takes with how they are shown, and those that it does not take.
type Case = (Key, &'static [(&'static str, &'static str)], &'static [&'static str]);

const CASES: &[Case] = &[
    (Key::LbRetries, &[("7", "7")], &["0", "-1", "x", "", "2147483648"]),
    (Key::LbRetryInterval, &[("1", "1")], &["0"]),
    (Key::RecoverTime, &[("1", "1")], &["0"]),
    (Key::ErrorEscalationTime, &[("1", "1")], &["0", "-5"]),
    (Key::MaxReplyTimeouts, &[("3", "3")], &["-1", "many"]),
    (Key::StickySession, &[("0", "false"), ("off", "false"), ("no", "false")], &["", "2"]),
    (Key::StickySessionForce, &[("1", "true"), ("True", "true")], &["perhaps"]),
    (Key::Method, &[("b", "Busyness"), ("4", "Next"), ("Traffic", "Traffic")], &["", "x", "9"]),
    (Key::Lock, &[("P", "Pessimistic"), ("1", "Pessimistic")], &["2", "z"]),
    (Key::Activation, &[("d", "Disabled"), ("2", "Stopped"), ("STP", "Stopped")], &["3", ""]),
    (Key::Lbfactor, &[("5", "5")], &["0", "1.5"]),
    (Key::Route, &[("other", "other")], &["", "b"]),
    (Key::Redirect, &[("b", "b"), ("x.y", "x.y")], &[]),
    (Key::Domain, &[("d1", "d1")], &[]),
    (Key::Distance, &[("2", "2")], &["-1"]),
    (Key::Host, &[("ivy", "ivy"), ("::1", "::1")], &["", "ivy:80", "a b", "/x"]),
    (Key::Port, &[("65535", "65535")], &["0", "65536", "-1", "x"]),
    (Key::ConnectionPoolTimeout, &[("60", "60")], &["-1"]),
    (Key::PingTimeout, &[("5000", "5000")], &["-1"]),
    (Key::ConnectTimeout, &[("5000", "5000")], &["-1"]),
    (Key::PrepostTimeout, &[("5000", "5000")], &["-1"]),
    (Key::ReplyTimeout, &[("5000", "5000")], &["-1", "5s"]),
    (Key::Retries, &[("9", "9")], &["0"]),
    (Key::RetryInterval, &[("9", "9")], &["0"]),
    (Key::ConnectionPingInterval, &[("9", "9")], &["-1"]),
    (Key::RecoveryOptions, &[("27", "27")], &["32", "-1"]),
    (Key::BusyLimit, &[("9", "9")], &["-1"]),
    (Key::MaxPacketSize, &[("8193", "9216"), ("65536", "65536"), ("10k", "10240")], &["65537"]),
];

fn subject(key: Key) -> (WorkerConfig, Option<usize>) {
    match key.scope() {
        Scope::Balancer => (lb(), None),
        Scope::Member => (lb(), Some(0)),
        Scope::Engine => (ajp(), None),
    }
}

#[test]
fn every_setting_can_be_changed_to_what_makes_sense() {
    let tested: HashSet<Key> = CASES.iter().map(|(key, ..)| *key).collect();
    assert_eq!(tested.len(), Key::ALL.len());
    for (key, good, bad) in CASES {
        let (file, member) = subject(*key);
        let before = values(&file, member, *key);
        for (text, shown) in *good {
            let merged = merge(&file, Vec::new(), &[edit(member, *key, text)]).unwrap();
            assert_eq!(values(&merged.config, member, *key), *shown, "{key:?}");
            let (old, new) = (before.clone().into_bytes(), shown.as_bytes().to_vec());
            assert_eq!(merged.changes, [Change { member, key: *key, old, new }]);
            // Any setting of an engine is one of a member as well.
            if key.scope() == Scope::Engine {
                let merged = merge(&lb(), Vec::new(), &[edit(Some(1), *key, text)]).unwrap();
                assert_eq!(values(&merged.config, Some(1), *key), *shown, "{key:?}");
            }
            // And back again: nothing is kept of it.
            let back = [edit(member, *key, &before)];
            let merged = merge(&file, merged.stored, &back).unwrap();
            assert_eq!((merged.stored.len(), &merged.config), (0, &file), "{key:?}");
        }
        for text in *bad {
            let refused = merge(&file, Vec::new(), &[edit(member, *key, text)]).unwrap_err();
            assert_eq!((refused.len(), refused[0].key), (1, *key), "{key:?}={text}");
        }
        // What a form sends as it is changes nothing, whatever it is.
        let same = merge(&file, Vec::new(), &[edit(member, *key, &before)]).unwrap();
        assert_eq!((same.changes.len(), same.stored.len()), (0, 0));
    }
}

#[test]
fn a_worker_has_only_its_own_settings() {
    for key in Key::ALL {
        let is_engine = key.scope() == Scope::Engine;
        assert_eq!(value(&ajp(), None, *key).is_some(), is_engine, "{key:?}");
        assert_eq!(value(&lb(), None, *key).is_some(), key.scope() == Scope::Balancer);
        assert_eq!(value(&lb(), Some(0), *key).is_some(), key.scope() != Scope::Balancer);
        assert!(value(&lb(), Some(2), *key).is_none() && value(&ajp(), Some(0), *key).is_none());
        assert!(merge(&lb(), Vec::new(), &[edit(Some(2), *key, "1")]).is_err());
    }
}

#[test]
fn all_or_nothing() {
    let edits = [
        edit(Some(0), Key::Lbfactor, "3"),
        edit(Some(0), Key::Distance, "-3"),
        edit(None, Key::Method, "q"),
    ];
    let refused = merge(&lb(), Vec::new(), &edits).unwrap_err();
    let keys: Vec<Key> = refused.iter().map(|refusal| refusal.key).collect();
    assert_eq!(keys, [Key::Method, Key::Distance], "every reason is told");
    let text = refused[0].to_string();
    assert!(text.starts_with("method: \"q\" is none of Request, Traffic, Busyness, "), "{text}");
}

#[test]
fn routes_can_be_exchanged_and_bring_their_domain() {
    let swap = [edit(Some(0), Key::Route, "b"), edit(Some(1), Key::Route, "a")];
    let merged = merge(&lb(), Vec::new(), &swap).unwrap();
    assert_eq!(
        (values(&merged.config, Some(0), Key::Route), merged.changes.len()),
        ("b".into(), 2)
    );
    let dotted = merge(&lb(), Vec::new(), &[edit(Some(0), Key::Route, "d.r")]).unwrap();
    assert_eq!(values(&dotted.config, Some(0), Key::Domain), "d");
    assert_eq!((dotted.stored.len(), dotted.changes.len()), (2, 2));
    // As with C mod_jk, it can be taken back, and is not there at all where one says so.
    let none = edit(Some(0), Key::Domain, "");
    let merged = merge(&lb(), dotted.stored, std::slice::from_ref(&none)).unwrap();
    assert_eq!(
        (values(&merged.config, Some(0), Key::Domain), merged.changes.len()),
        ("".into(), 1)
    );
    let both = [none, edit(Some(0), Key::Route, "d.r")];
    let merged = merge(&lb(), Vec::new(), &both).unwrap();
    assert_eq!(
        (values(&merged.config, Some(0), Key::Domain), merged.changes.len()),
        ("".into(), 1)
    );
    let own = [edit(Some(0), Key::Domain, "x"), edit(Some(0), Key::Route, "d.r")];
    let merged = merge(&lb(), Vec::new(), &own).unwrap();
    assert_eq!(values(&merged.config, Some(0), Key::Domain), "x");
}

#[test]
fn an_engine_without_address_needs_all_of_it() {
    let mut balancer = balancer(&[member("a"), member("b")]);
    let why = String::new();
    balancer.members[0].worker.target = Target::Never { host: "a b".into(), why: why.clone() };
    balancer.members[0].activation = Activation::Stopped;
    balancer.members[1].worker.target = Target::Never { host: "ivy".into(), why };
    let file = WorkerConfig::Balancer(Box::new(balancer));
    let refused = |edits: &[Edit]| merge(&file, Vec::new(), edits).is_err();
    assert!(refused(&[edit(Some(0), Key::Host, "ivy")]));
    assert!(refused(&[edit(Some(0), Key::Port, "8009")]));
    assert!(refused(&[edit(Some(0), Key::Activation, "Active")]));
    assert!(!refused(&[edit(Some(1), Key::Port, "8009")]));
    let edits = [
        edit(Some(0), Key::Activation, "Active"),
        edit(Some(0), Key::Port, "8009"),
        edit(Some(0), Key::Host, "ivy"),
    ];
    let merged = merge(&file, Vec::new(), &edits).unwrap();
    assert_eq!(target(&merged.config, Some(0)).unwrap().to_string(), "ivy:8009");
    assert_eq!(values(&merged.config, Some(0), Key::Activation), "Active");
}

#[test]
fn buffers_grow_with_packets() {
    let mut worker = config(1);
    worker.connect.buffer = Some(8192);
    let file = WorkerConfig::Ajp13(Box::new(worker));
    let merged = merge(&file, Vec::new(), &[edit(None, Key::MaxPacketSize, "65536")]).unwrap();
    let WorkerConfig::Ajp13(worker) = merged.config else { panic!("no engine") };
    assert_eq!((worker.packet_size, worker.connect.buffer), (PacketSize::MAX, Some(65536)));
}

#[test]
fn a_changed_file_wins() {
    let edits = [
        edit(Some(0), Key::Lbfactor, "3"),
        edit(Some(1), Key::Lbfactor, "4"),
        edit(Some(1), Key::Route, "r"),
        edit(None, Key::Method, "T"),
    ];
    let stored = merge(&lb(), Vec::new(), &edits).unwrap().stored;
    let mut changed = balancer(&[member("n"), member("b")]);
    changed.members[1].lbfactor = 9;
    changed.method = BalanceMethod::Busyness;
    let new = WorkerConfig::Balancer(Box::new(changed));
    // Even who has not heard of it follows the file.
    let config = effective(&new, &stored);
    assert_eq!(values(&config, Some(1), Key::Lbfactor), "9");
    assert_eq!(values(&config, None, Key::Method), "Busyness");
    let (kept, overruled) = carry(stored, &new, |place| (place == 1).then_some(1));
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].member, kept[0].key, &*kept[0].value), (Some(1), Key::Route, &b"r"[..]));
    let texts: Vec<String> = overruled.iter().map(Overruled::to_string).collect();
    assert_eq!(
        texts,
        [
            "key=method edit=\"Traffic\" file_before=\"Request\" file_now=\"Busyness\"",
            "member=b key=lbfactor edit=\"4\" file_before=\"1\" file_now=\"9\"",
        ]
    );
}

#[test]
fn places_follow_their_members() {
    let stored = merge(&lb(), Vec::new(), &[edit(Some(1), Key::Lbfactor, "4")]).unwrap().stored;
    let new = WorkerConfig::Balancer(Box::new(balancer(&[member("b"), member("a")])));
    let (kept, overruled) = carry(stored, &new, |place| 1_usize.checked_sub(place));
    assert_eq!((kept[0].member, overruled.len()), (Some(0), 0));
}

#[test]
fn what_is_kept_comes_back() {
    let edits: Vec<Stored> = Key::ALL
        .iter()
        .enumerate()
        .map(|(at, key)| Stored {
            member: (at % 2 == 0).then_some(at),
            key: *key,
            value: label("value").as_bytes().to_vec(),
            file: vec![b'x'; at],
        })
        .collect();
    assert_eq!(decode(&encode(&edits)), edits);
    for length in 0..encode(&edits).len() {
        assert!(edits.starts_with(&decode(&encode(&edits)[..length])));
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes: Vec<u8>) {
        let stored = decode(&bytes);
        for file in [lb(), ajp()] {
            let config = effective(&file, &stored);
            prop_assert_eq!(config.name(), file.name());
        }
    }
}
