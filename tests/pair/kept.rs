//! Both directors keep the same failed servers below `min_live`.

use super::link::{Director, LINKED, World};
use crate::daemon::farm::SOON;
use crate::support::wait_until;

/// Which of three servers `min_live` keeps, as `lvsmon why` says it.
fn kept(director: &Director) -> Vec<usize> {
    let is_kept = |last: &usize| {
        let said = director.says(&["why", &format!("192.0.2.{last}")]);
        said.contains("kept in although")
    };
    (1..=3).filter(is_kept).collect()
}

#[test]
fn one_that_finds_all_failed_at_once_keeps_whom_the_other_one_saw_fail_last() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    let section = "\nhostgroup w 192.0.2.1 192.0.2.2 192.0.2.3\n\nwatch w\n    service s\n\t\
                   interval 0.5s\n\tmonitor state.monitor\n\tperiod wd {Sun-Sat}\n\nvirtual \
                   10.0.0.3:80\n    real w\n    service w:s\n    fall 1\n    min_live 2\n";
    for (own, peer) in [(&one, &two), (&two, &one)] {
        let settings = format!(
            "peer = 127.0.0.1:{}\npeer_bind = 127.0.0.1:{}\n",
            peer.port, own.port
        );
        own.configure_with(&settings, section);
    }
    one.start();
    wait_until("a healthy table", SOON, || {
        one.says(&["table"]).contains("192.0.2.1:80")
    });
    world.fails_with("192.0.2.1");
    one.wait_for_log("real server out");
    world.fails_with("192.0.2.1 192.0.2.2");
    wait_until("the second is kept", SOON, || kept(&one) == [2]);
    two.start();
    two.wait_for_log(LINKED);
    wait_until("the same on the other one", SOON, || kept(&two) == [2]);
    assert_eq!(kept(&one), [2]);
}
