//! Roles of two directors that do not go together.

use super::link::{Director, LINKED, World};
use crate::daemon::farm::SOON;
use crate::support::wait_until;

#[test]
fn two_that_are_active_or_standby_at_once_say_so_with_what_to_do() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    for (own, peer) in [(&one, &two), (&two, &one)] {
        own.configure_with(
            &format!(
                "peer = 127.0.0.1:{}\npeer_bind = 127.0.0.1:{}\nnotify_fifo = {}\n",
                peer.port,
                own.port,
                own.folder.join("fifo").display()
            ),
            "",
        );
    }
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
    let shows = |director: &Director, text: &str| {
        let what = format!("{text:?} in lvsmon role");
        wait_until(&what, SOON, || director.says(&["role"]).contains(text));
    };
    one.role("master");
    two.role("master");
    for director in [&one, &two] {
        shows(director, "WRONG: both directors are active");
        shows(director, "IP protocol 112");
        director.wait_for_log("ERROR both directors are active");
    }
    one.role("backup");
    for director in [&one, &two] {
        director.wait_for_log("the roles of both directors go together again");
        wait_until("nothing wrong", SOON, || {
            !director.says(&["role"]).contains("WRONG")
        });
    }
    two.role("backup");
    for director in [&one, &two] {
        shows(director, "WRONG: no director is active");
        director.wait_for_log("ERROR no director is active");
    }
}
