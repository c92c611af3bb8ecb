//! Changes that an administrator makes, and who may not make them.

use super::{Scene, ask, request};
use crate::support::client::Client;
use crate::support::httpd::Module;

fn shows(scene: &Scene, query: &str, line: &str) -> bool {
    ask(&scene.httpd, &format!("mime=prop&{query}")).text().lines().any(|known| known == line)
}

#[test]
fn scripts_change_settings_by_get() {
    let scene = Scene::start(Module::Ours, "");
    for (query, line) in [
        ("w=lb&vlr=5&vlt=7&vlee=3&vlx=2&vls=0&vlf=off&vlm=B&vll=1", "worker.lb.retries=5"),
        ("w=lb&sw=b&vwa=D&vwf=4&vwn=other&vwr=b&vwc=dom&vwd=2", "worker.b.route=other"),
        ("w=lb&sw=*&vacpt=60&vapng=11&vact=12&vapt=13&vart=14", "worker.a.reply_timeout=14"),
        ("w=lb&att=vwf&val0=9&val1=8", "worker.b.lbfactor=8"),
        (
            "w=one&var=4&vari=50&vacpi=30&varo=1&vabl=6&vamps=9000",
            "worker.one.max_packet_size=9216",
        ),
        ("w=one&vahst=localhost&vaprt=1234", "worker.one.port=1234"),
    ] {
        let answer = ask(&scene.httpd, &format!("cmd=update&mime=txt&{query}"));
        assert_eq!(answer.text(), "Result: type=OK message=\"Action finished\"\n", "{query}");
        assert!(shows(&scene, "cmd=list", line), "{line}");
    }
    for line in [
        "worker.lb.sticky_session=False",
        "worker.lb.sticky_session_force=False",
        "worker.lb.method=Busyness",
        "worker.lb.lock=Pessimistic",
        "worker.lb.recover_time=7",
        "worker.a.lbfactor=9",
        "worker.b.activation=DIS",
        "worker.b.domain=dom",
        "worker.b.connection_pool_timeout=60",
        "worker.one.busy_limit=6",
        "worker.one.retries=4",
    ] {
        assert!(shows(&scene, "cmd=list", line), "{line}");
    }
    let log = scene.httpd.jk_log();
    assert!(log.contains("member=b key=lbfactor old=\"4\" new=\"8\" by=-@127.0.0.1 through=st"));
    let page = ask(&scene.httpd, "cmd=show&w=one").text();
    assert!(page.contains("changed at run time, was 1"), "{page}");
}

#[test]
fn sticky_switches_can_be_cleared_and_set_in_every_spelling() {
    let scene = Scene::start(Module::Ours, "");
    let spellings = [
        ("False", ["0", "off", "Off", "false", "False", "F"]),
        ("True", ["1", "on", "On", "true", "True", "T"]),
    ];
    for round in 0..spellings[0].1.len() {
        for (meaning, spelling) in spellings {
            let value = spelling[round];
            let query = format!("cmd=update&mime=txt&w=lb&vls={value}&vlf={value}");
            assert_eq!(ask(&scene.httpd, &query).status(), 200, "{value}");
            for key in ["sticky_session", "sticky_session_force"] {
                let line = format!("worker.lb.{key}={meaning}");
                assert!(shows(&scene, "cmd=list", &line), "{value}: {line}");
            }
        }
    }
}

#[test]
fn a_bad_value_changes_nothing() {
    let scene = Scene::start(Module::Ours, "");
    let before = ask(&scene.httpd, "cmd=list&mime=prop&opt=2").text();
    for query in ["w=lb&sw=nobody&vamps=9000", "w=one&sw=a&vamps=9000", "w=nobody&vamps=9000"] {
        assert_eq!(ask(&scene.httpd, &format!("cmd=update&{query}")).status(), 404, "{query}");
    }
    for (query, reasons) in [
        ("w=lb&sw=a&vwf=0&vwd=x&vart=5", &["a: lbfactor: ", "a: distance: "][..]),
        ("w=one&vamps=99999999", &["max_packet_size: "]),
        ("w=lb&sw=*&vwf=3&vabl=-1", &["a: busy_limit: ", "b: busy_limit: "]),
        ("w=lb&att=nothing&val0=1", &["att is none of vwa, "]),
        ("w=lb&vwa=D", &["no setting is named that such a worker has; those of members need sw"]),
    ] {
        let answer = ask(&scene.httpd, &format!("cmd=update&mime=prop&{query}"));
        assert_eq!(answer.status(), 400, "{query}");
        for reason in reasons {
            assert!(answer.text().contains(reason), "{query}: {}", answer.text());
        }
    }
    let after = ask(&scene.httpd, "cmd=list&mime=prop&opt=2").text();
    for (before, after) in before.lines().zip(after.lines()) {
        if !["time", "ago"].iter().any(|name| before.contains(name)) {
            assert_eq!(before, after);
        }
    }
}

#[test]
fn counters_and_errors_are_forgotten_on_demand() {
    let scene = Scene::start(Module::Ours, "");
    scene.traffic();
    assert!(shows(&scene, "cmd=show&w=lb", "worker.a.state=ERR"));
    assert_eq!(ask(&scene.httpd, "cmd=recover&w=lb&sw=b&mime=txt").status(), 400);
    assert_eq!(ask(&scene.httpd, "cmd=recover&w=lb&sw=a&mime=txt").status(), 200);
    assert!(shows(&scene, "cmd=show&w=lb", "worker.a.state=ERR/REC"));
    assert!(ask(&scene.httpd, "").text().contains("an administrator wants it tried"));
    scene.engines[0].listen();
    assert_eq!(request(&scene.httpd, "GET", "/lb/1", &[], b""), 200);
    assert!(shows(&scene, "cmd=show&w=lb", "worker.a.state=OK"));
    assert!(shows(&scene, "cmd=show&w=lb", "worker.a.elected=6"));
    assert_eq!(ask(&scene.httpd, "cmd=reset&w=lb&sw=a&mime=txt").status(), 200);
    assert!(shows(&scene, "cmd=show&w=lb", "worker.a.elected=0"));
    assert!(shows(&scene, "cmd=show&w=lb", "worker.b.elected=1"));
    assert_eq!(ask(&scene.httpd, "cmd=reset&w=lb&mime=txt").status(), 200);
    assert!(shows(&scene, "cmd=show&w=lb", "worker.b.elected=0"));
    assert_eq!(ask(&scene.httpd, "cmd=reset&w=one&mime=txt").status(), 200);
    assert!(shows(&scene, "cmd=show&w=one", "worker.one.used=0"));
    let log = scene.httpd.jk_log();
    assert!(log.contains("(lb) counters_reset: the counters begin anew; member=a by=-@127.0.0.1"));
}

#[test]
fn another_site_changes_nothing() {
    let scene = Scene::start(Module::Ours, "");
    let host = scene.httpd.addr().to_string();
    let own = format!("http://{host}");
    let status = |method: &str, target: &str, headers: &[(&str, &str)], body: &str| {
        let mut client = Client::connect(scene.httpd.addr());
        client.request(method, target, headers, body.as_bytes()).status()
    };
    let update = "/jk?cmd=update&w=lb&vlr=9";
    for (headers, expected) in [
        (&[("Sec-Fetch-Site", "cross-site")][..], 403),
        (&[("Origin", "http://evil.example")], 403),
        (&[("Referer", "http://evil.example/jk")], 403),
        (&[("Referer", own.as_str()), ("Host", host.as_str())], 200),
        (&[], 200),
        // What browsers send for the image of a page without referrer, where there is no TLS.
        (&[("Accept-Language", "de"), ("User-Agent", "Mozilla/5.0"), ("Accept", "image/*")], 403),
        (&[("Accept-Language", "de"), ("Sec-Fetch-Site", "none")], 200),
    ] {
        assert_eq!(status("GET", update, headers, ""), expected, "{headers:?}");
    }
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(status("POST", "/jk", &form, "cmd=update&w=lb&vlr=8"), 403);
    let page = ask(&scene.httpd, "cmd=edit&w=lb").text();
    let token = page.split("name=\"token\" value=\"").nth(1).expect("a token");
    let token = token.split('"').next().expect("its end");
    let body = format!("cmd=update&w=lb&vlr=8&token={token}");
    assert_eq!(status("POST", "/jk", &form, &body), 200);
    assert!(shows(&scene, "cmd=show&w=lb", "worker.lb.retries=8"));
    let silent = [form[0], ("Accept-Language", "de")];
    assert_eq!(status("POST", "/jk", &silent, &body), 200);
    let long = format!("{body}&x={}", "y".repeat(100_000));
    assert_eq!(status("POST", "/jk", &form, &long), 413);
}
