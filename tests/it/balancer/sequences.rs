//! The same requests, one after the other, go to the same engines as with C mod_jk.

use super::load::{named, workers};
use super::scene::Step::{Cookie, Down, Get, Times, Up};
use super::scene::{ROUTE, Scenario, compare};
use crate::support::client;
use crate::support::httpd::{Httpd, Module};
use crate::support::wait_until;

#[test]
fn methods_and_factors() {
    let plain = || vec![Times(12)];
    let mixed = || {
        vec![
            Times(3),
            Get("x;jsessionid=1.b"),
            Get("x;jsessionid=1.b"),
            Get("x;jsessionid=1.b"),
            Times(4),
            Get("x;jsessionid=nothing"),
            Times(3),
        ]
    };
    compare(
        &[
            Scenario::new("R", 3, &["method=R"], plain()),
            Scenario::new("R 2:1", 2, &["method=R", "a.lbfactor=2"], plain()),
            Scenario::new(
                "R 5:3:1",
                3,
                &["method=R", "a.lbfactor=5", "b.lbfactor=3"],
                vec![Times(36)],
            ),
            Scenario::new("R sessions", 3, &["method=R"], mixed()),
            Scenario::new("S", 3, &["method=S"], mixed()),
            Scenario::new("S 2:1", 2, &["method=S", "b.lbfactor=2"], mixed()),
            Scenario::new("N", 3, &["method=N"], mixed()),
            Scenario::new("N 5:3:1", 3, &["method=N", "a.lbfactor=5", "b.lbfactor=3"], mixed()),
            Scenario::new("B", 3, &["method=B"], mixed()),
            Scenario::new("B 2:1", 2, &["method=B", "a.lbfactor=2"], plain()),
            Scenario::new("T", 3, &["method=T"], mixed()),
            Scenario::new("T 2:1", 2, &["method=T", "a.lbfactor=2"], plain()),
            Scenario::new("stateless", 3, &["method=S"], plain()).extensions(";stateless=1"),
            Scenario::new("pessimistic", 3, &["lock=P", "b.lbfactor=2"], plain()),
            Scenario::new("one", 1, &[], mixed()),
        ],
        "",
    );
}

#[test]
fn distance_and_activation() {
    let own = || {
        vec![
            Times(4),
            Get("x;jsessionid=1.a"),
            Get("x;jsessionid=1.b"),
            Get("x;jsessionid=1.c"),
            Times(3),
        ]
    };
    compare(
        &[
            Scenario::new("distance", 4, &["a.distance=1", "d.distance=1"], own()),
            Scenario::new("disabled", 3, &["b.activation=D"], own()),
            Scenario::new("stopped", 3, &["b.activation=S"], own()),
            Scenario::new("all disabled", 2, &["a.activation=D", "b.activation=D"], own()),
            Scenario::new("one disabled", 1, &["a.activation=D"], own()),
            Scenario::new("one stopped", 1, &["a.activation=S"], own()),
            Scenario::new("rule disabled", 3, &[], own()).extensions(";disabled=@b"),
            Scenario::new("rule stopped", 3, &[], own()).extensions(";stopped=@b,@c"),
            Scenario::new("rule active", 3, &["a.activation=S", "b.activation=D"], own())
                .extensions(";active=@a;stopped=@c"),
            Scenario::new(
                "standby",
                3,
                &["a.redirect=c", "c.activation=D", "b.activation=S"],
                vec![Times(3), Down(0), Times(3), Up(0), Times(2)],
            )
            .differs(ROUTE),
        ],
        "",
    );
}

/// The row about the member that is not taken out.
const LAST: &str = "The last usable member";

#[test]
fn connect_failures() {
    let failures = || {
        vec![
            Times(4),
            Down(0),
            Times(5),
            Get("x;jsessionid=1.a"),
            Get("x;jsessionid=1.b"),
            Up(0),
            Times(4),
            Get("x;jsessionid=1.a"),
        ]
    };
    let two = &["retries=1", "lb_retries=2"];
    compare(
        &[
            Scenario::new("R", 3, two, failures()).differs(ROUTE),
            Scenario::new("all defaults", 3, &["defaults=1"], failures()).differs(ROUTE),
            Scenario::new("lb_retries=1", 3, &["retries=1", "lb_retries=1"], failures()),
            Scenario::new("S", 3, &["retries=1", "lb_retries=2", "method=S"], failures())
                .differs(ROUTE),
            Scenario::new("N", 3, &["retries=1", "lb_retries=2", "method=N"], failures())
                .differs(ROUTE),
            Scenario::new("B", 3, &["retries=1", "lb_retries=2", "method=B"], failures())
                .differs(ROUTE),
            Scenario::new("T", 3, &["retries=1", "lb_retries=2", "method=T"], failures())
                .differs(ROUTE),
            Scenario::new(
                "rounds",
                2,
                &["retries=3", "lb_retries=1", "retry_interval=1"],
                failures(),
            )
            .differs(ROUTE),
            Scenario::new(
                "two of three",
                3,
                &["retries=1", "lb_retries=3"],
                vec![Times(2), Down(0), Down(1), Times(4), Up(0), Up(1), Times(3)],
            )
            .differs(ROUTE),
            Scenario::new(
                "all, and back",
                2,
                two,
                vec![Times(2), Down(0), Down(1), Times(3), Up(0), Up(1), Times(4)],
            )
            .goes_elsewhere(LAST),
        ],
        "",
    );
}

#[test]
fn sessions_that_move() {
    let moves = || {
        vec![
            Get("x;jsessionid=1.a"),
            Down(0),
            Get("x;jsessionid=1.a"),
            Get("x;jsessionid=1.a"),
            Cookie("JSESSIONID=1.a; JSESSIONID=2.c"),
            Get("x;jsessionid=1.b"),
            Up(0),
            Get("x;jsessionid=1.a"),
        ]
    };
    compare(
        &[
            Scenario::new("redirect", 3, &["a.redirect=c"], moves()),
            Scenario::new("domain", 4, &["a.domain=x", "c.domain=x", "d.domain=x"], moves())
                .differs(ROUTE),
            Scenario::new(
                "dots",
                3,
                &["a.route=n1.example.ch", "b.route=n1.example.org", "c.route=n2.example.ch"],
                vec![
                    Get("x;jsessionid=1.n1.example.ch"),
                    Get("x;jsessionid=1.n1.example.org"),
                    Get("x;jsessionid=1.n2.example.ch"),
                    Get("x;jsessionid=1.n2"),
                    Get("x;jsessionid=1.n3.example.ch"),
                    Down(2),
                    Get("x;jsessionid=1.n2.example.ch"),
                    Get("x;jsessionid=1.n2"),
                    Down(0),
                    Get("x;jsessionid=1.n1.example.ch"),
                ],
            )
            .differs(ROUTE),
            Scenario::new(
                "several ids",
                4,
                &["retries=1", "lb_retries=3"],
                vec![Down(0), Cookie("JSESSIONID=1.a; JSESSIONID=2.c")],
            )
            .goes_elsewhere("Several session ids"),
            Scenario::new("force", 3, &["sticky_session_force=1", "retries=1"], moves()),
            Scenario::new("off", 3, &["sticky_session=0"], moves()).differs(ROUTE),
        ],
        "",
    );
}

/// With both modules a member that failed gets requests again after recover_time and the next
/// maintenance, which would be minutes by default.
#[test]
fn members_come_back() {
    for module in Module::BOTH {
        let engines = named(&[0; 2]);
        let more = "worker.maintain=1\nworker.lb.recover_time=1\n\
                    worker.a.retries=1\nworker.b.retries=1";
        let httpd = Httpd::builder(module)
            .size(2, 1)
            .workers(&workers(&engines, &[1, 1], more))
            .mount("/*", "lb")
            .start();
        let ask = || client::get(httpd.addr(), "/x").text();
        engines[0].refuse();
        assert_eq!([ask(), ask(), ask()], ["b ", "b ", "b "], "{module:?}");
        engines[0].listen();
        wait_until("a is back", || ask() == "a ");
        // It is not made up for what it has missed.
        let next: Vec<String> = (0..4).map(|_| ask()).collect();
        assert_eq!(next.iter().filter(|name| *name == "a ").count(), 2, "{module:?} {next:?}");
    }
}
