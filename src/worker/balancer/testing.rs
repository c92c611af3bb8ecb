//! Balancers without engines for the unit tests of this module.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use super::group::Group;
use crate::config::WorkerName;
use crate::config::balancer::{Activation, BalanceLock, BalanceMethod, BalancerConfig, Member};
use crate::config::worker::Label;
use crate::shared::{Heap, Layout, Positions};
use crate::worker::testing::config;

pub(crate) fn label(text: &str) -> Label {
    Label::new(text.as_bytes()).unwrap()
}

/// A member as it is when its properties are not set; its route is its name.
pub(crate) fn member(name: &str) -> Member {
    let mut worker = config(1);
    worker.name = WorkerName::new(name.as_bytes()).unwrap();
    Member {
        worker,
        route: label(name),
        domain: label(name.split_once('.').map_or("", |(domain, _)| domain)),
        redirect: Label::default(),
        distance: 0,
        lbfactor: 1,
        activation: Activation::Active,
    }
}

pub(crate) fn balancer(members: &[Member]) -> BalancerConfig {
    BalancerConfig {
        name: WorkerName::new(b"lb").unwrap(),
        members: members.to_vec(),
        method: BalanceMethod::Request,
        lock: BalanceLock::Optimistic,
        sticky_session: true,
        sticky_session_force: false,
        session_cookie: label("JSESSIONID"),
        session_path: label(";jsessionid"),
        set_session_cookie: false,
        session_cookie_path: label("/"),
        recover_time: Duration::from_secs(60),
        error_escalation_time: Duration::from_secs(30),
        max_reply_timeouts: Some(0),
        lb_retries: 2,
        retries: 2,
        retry_interval: Duration::from_millis(9),
        max_inflight: None,
        slow_start: Duration::ZERO,
        secret: None,
    }
}

pub(super) fn layout(members: usize) -> Layout {
    Layout { workers: members, balancers: 1, members, requests: 8, ..Layout::default() }
}

/// A group in memory of its own, maintained every 60 seconds.
pub(super) fn group(members: &[Member], change: impl FnOnce(&mut BalancerConfig)) -> Group {
    let mut config = balancer(members);
    change(&mut config);
    let memory = Arc::new(Heap::new(layout(members.len())));
    let at = Positions::first(members.len());
    Group::new(config, memory, at, Some(Duration::from_secs(60)))
}
