//! Two httpds with the same configuration in front of the same Tomcats: they share nothing, and
//! sessions do not care.

use std::sync::atomic::Ordering;

use super::load::count;
use super::trio::{Crowd, NAMES, descriptors, is_level, route, trio};
use crate::support::client::Client;
use crate::support::httpd::Httpd;

/// Asks for the page that counts requests of a session. Returns its answer and the cookie to come
/// back with.
fn visit(httpd: &Httpd, cookie: &str) -> (String, String) {
    let headers = [("Cookie", cookie)];
    let response = Client::connect(httpd.addr()).request("GET", "/ivy/session.jsp", &headers, b"");
    let set = response.head.header_values("Set-Cookie");
    let cookie = match set.first() {
        Some(set) => set.split(';').next().unwrap_or_default(),
        None => cookie,
    };
    (response.text(), cookie.to_owned())
}

#[test]
fn sessions_are_sticky_through_both_of_two_httpds() {
    let mut trio = trio();
    let httpds = [trio.httpd("").start(), trio.httpd("").start()];
    let mut homes = [0; 3];
    for number in 0..count(200, 30) {
        let opened_by = number % 2;
        let (_, cookie) = visit(&httpds[opened_by], "");
        for request in 2..=5 {
            let (answer, same) = visit(&httpds[(opened_by + request) % 2], &cookie);
            assert!(answer.ends_with(&format!("new=false count={request}\n")), "{cookie} {answer}");
            assert_eq!(same, cookie);
        }
        let home = NAMES.iter().position(|name| cookie.ends_with(&format!(".{}", route(name))));
        homes[home.expect("a known route")] += 1;
    }
    assert!(homes.iter().all(|sessions| *sessions > 0), "{homes:?}");

    // Each of them finds out that a Tomcat is dead, at no one's expense, and that it is back.
    let before = httpds.each_ref().map(descriptors);
    let crowd = Crowd::new(&httpds, count(32, 8));
    crowd.during(|| {
        crowd.wait_for_all();
        trio.tomcats[2].kill();
        crowd.wait_for_more("requests without it", &crowd.asked, 300);
        trio.tomcats[2].launch();
        crowd.wait_for_more("its return", &crowd.answers[2], 50);
    });
    crowd.verify(&trio, 502);
    for (httpd, before) in httpds.iter().zip(before) {
        is_level(httpd, &before);
        let log = httpd.jk_log();
        assert!(log.contains(" member_down: ") && log.contains(" member_up: "), "{log}");
    }
    assert_eq!(crowd.round.load(Ordering::SeqCst), 0);
}
