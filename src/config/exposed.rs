//! Engines on other hosts that ask for no secret: whoever reaches their connector is believed
//! (spec/reliability.md 1.5, CVE-2020-1938).
#![forbid(unsafe_code)]

use std::{collections::HashSet, net::IpAddr};

use super::{
    Ajp13Config, WorkerConfig,
    error::{Place, Problems},
    properties::Properties,
    text::printable,
    worker::{Target, WorkerName},
};

/// Warns of each line that names the host of such an engine. `is_checked` tells the workers of
/// which more is known and said elsewhere (JkIvyEngine).
pub fn warn_of_missing_secrets(
    workers: &[WorkerConfig],
    properties: &Properties,
    is_checked: impl Fn(&WorkerName) -> bool,
    problems: &mut Problems,
) {
    let mut warned: HashSet<&Place> = HashSet::new();
    let unchecked = workers.iter().filter(|worker| !is_checked(worker.name()));
    for engine in unchecked.flat_map(engines) {
        let Target::Tcp { host, .. } = &engine.target else { continue };
        if engine.secret.is_some() || is_loopback(host) {
            continue;
        }
        let Some(found) = properties.find(&engine.name.key("host")) else { continue };
        if !warned.insert(&found.place) {
            continue;
        }
        let what = format!(
            "the AJP connector at {} has no secret: whoever reaches it can claim to be any user",
            printable(host.as_bytes())
        );
        let remedy = format!(
            "set worker.{}.secret and the same secret at the connector, and let only this host in \
             by a firewall on the engine's host",
            engine.name
        );
        problems.warning(&found.place, printable(&found.key), what, remedy);
    }
}

fn engines(worker: &WorkerConfig) -> Vec<&Ajp13Config> {
    match worker {
        WorkerConfig::Ajp13(config) => vec![config],
        WorkerConfig::Balancer(balancer) => {
            balancer.members.iter().map(|member| &member.worker).collect()
        }
        WorkerConfig::Status(_) => Vec::new(),
    }
}

/// Whether a host is this one, as far as its name tells.
pub(super) fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Defaults, validate};

    /// What is said of these lines.
    fn said(lines: &str) -> Vec<String> {
        let (mut properties, mut problems) = (Properties::new(), Problems::new());
        properties.read_text(lines.as_bytes(), "w", &|_| None, &mut problems);
        let workers = validate(&mut properties, &Defaults { pool_size: 5 }, &mut problems);
        let mut problems = Problems::new();
        let is_checked = |name: &WorkerName| name.as_bytes() == b"checked";
        warn_of_missing_secrets(&workers.workers, &properties, is_checked, &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_engine_elsewhere_needs_a_secret() {
        let said_of_a = "w:2: worker.a.host: the AJP connector at 10.0.0.5 has no secret: whoever \
                         reaches it can claim to be any user; set worker.a.secret and the same \
                         secret at the connector, and let only this host in by a firewall on the \
                         engine's host";
        assert_eq!(said("worker.list=a\nworker.a.host=10.0.0.5"), [said_of_a]);
        for lines in [
            "worker.list=a\nworker.a.host=10.0.0.5\nworker.a.secret=s",
            "worker.list=a\nworker.a.port=8010",
            "worker.list=a\nworker.a.host=127.0.0.9",
            "worker.list=a\nworker.a.host=::1",
            "worker.list=a\nworker.a.host=LocalHost",
            "worker.list=a\nworker.a.socket=/run/ajp.sock",
            "worker.list=checked\nworker.checked.host=10.0.0.5",
        ] {
            assert_eq!(said(lines), [""; 0], "{lines}");
        }
    }

    #[test]
    fn members_are_engines_and_a_template_is_told_once() {
        let lb = "worker.list=lb\nworker.lb.type=lb\nworker.lb.balance_workers=a,b\n\
                  worker.t.host=ivy.test\nworker.a.reference=worker.t\nworker.b.reference=worker.t\n\
                  worker.b.port=8010";
        assert_eq!(said(lb).len(), 1, "{:?}", said(lb));
        assert_eq!(said(&format!("{lb}\nworker.lb.secret=s")), [""; 0]);
    }
}
