//! Real Tomcats behind a balancer, one of which dies or hangs and comes back.

use std::sync::atomic::Ordering;

use super::load::count;
use super::trio::{Crowd, NAMES, descriptors, is_level, trio};
use crate::support::{DEADLINE, wait_until};

#[test]
fn nobody_notices_that_one_of_three_tomcats_is_killed() {
    let mut trio = trio();
    let httpd = [trio.httpd("").start()];
    let before = descriptors(&httpd[0]);
    let crowd = Crowd::new(&httpd, count(32, 8));
    crowd.during(|| {
        for round in 0..count(10, 1) {
            let at = round % NAMES.len();
            crowd.wait_for_all();
            crowd.round.store(round, Ordering::SeqCst);
            trio.tomcats[at].kill();
            crowd.wait_for_more("requests without it", &crowd.asked, 500);
            trio.tomcats[at].launch();
            crowd.wait_for_more("its return", &crowd.answers[at], 50);
        }
    });
    crowd.verify(&trio, 502);
    is_level(&httpd[0], &before);
    let log = httpd[0].jk_log();
    assert!(log.contains(" member_down: "), "{log}");
    assert!(log.contains(" member_up: "), "{log}");
}

#[test]
fn a_tomcat_that_hangs_costs_no_more_than_what_it_has() {
    let trio = trio();
    let more = "worker.a.reply_timeout=2000\nworker.b.reply_timeout=2000\n\
                worker.c.reply_timeout=2000\nworker.a.ping_timeout=1000";
    let httpd = [trio.httpd(more).start()];
    let before = descriptors(&httpd[0]);
    let crowd = Crowd::new(&httpd, count(32, 8));
    let seen = |event: &str| httpd[0].jk_log().matches(event).count();
    crowd.during(|| {
        for round in 0..count(10, 1) {
            let at = round % NAMES.len();
            crowd.wait_for_all();
            crowd.round.store(round, Ordering::SeqCst);
            let (down, tested) = (seen(" member_down: "), seen(" member_recovers: "));
            trio.tomcats[at].freeze();
            wait_until("it is out", || seen(" member_down: ") > down);
            // It is tested while it hangs, which costs nobody anything.
            wait_until("it is tested", || seen(" member_recovers: ") > tested);
            wait_until("the test fails", || seen(" member_down: ") > down + 1);
            crowd.wait_for_more("requests without it", &crowd.asked, 200);
            trio.tomcats[at].resume();
            crowd.wait_for_more("its return", &crowd.answers[at], 50);
        }
    });
    crowd.verify(&trio, 504);
    is_level(&httpd[0], &before);
    assert!(httpd[0].wait_log(" member_up: ", DEADLINE));
}
