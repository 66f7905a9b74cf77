//! What operators wish on one director holds on the other one.

use nix::sys::signal::Signal;

use super::link::{Director, GONE, LINKED, World};
use crate::daemon::farm::SOON;
use crate::support::wait_until;

/// What is wished of the one real server, as `lvsmon table` shows it.
#[track_caller]
fn wait_for_wish(director: &Director, reason: &str) {
    let what = format!("{reason:?} in the table");
    wait_until(&what, SOON, || director.says(&["table"]).contains(reason));
}

#[track_caller]
fn wait_for_no_wish(director: &Director, reason: &str) {
    let what = format!("no {reason:?} in the table");
    wait_until(&what, SOON, || {
        let table = director.says(&["table"]);
        table.contains("192.0.2.1:80") && !table.contains(reason)
    });
}

#[test]
fn a_wish_holds_on_both_directors_through_restarts_and_ends_on_both() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    let line = "\t    alert lvs.alert -P tcp -V 10.0.0.3:80 -R 192.0.2.1 -W 5 -F dr\n\
                \t    upalert lvs.alert -P tcp -V 10.0.0.3:80 -R 192.0.2.1 -W 5 -F dr\n";
    for (own, peer) in [(&one, &two), (&two, &one)] {
        let settings = format!(
            "peer = 127.0.0.1:{}\npeer_bind = 127.0.0.1:{}\n",
            peer.port, own.port
        );
        own.configure_with(&settings, line);
    }
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
    one.says(&[
        "disable",
        "192.0.2.1",
        "--for",
        "1h",
        "--reason",
        "new kernel",
    ]);
    wait_for_wish(&one, "(new kernel)");
    wait_for_wish(&two, "(new kernel)");
    let until = |director: &Director| {
        let text = director.says(&["why", "192.0.2.1", "--json"]);
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        answer["servers"][0]["operator"]["until"].as_i64()
    };
    assert!(until(&one).is_some());
    let apart = until(&one).unwrap().abs_diff(until(&two).unwrap());
    assert!(apart <= 1, "rounded to seconds: {apart}");
    // A newer one takes its place, and it is in the journals of both.
    two.says(&["weight", "7", "192.0.2.1", "--reason", "too hot"]);
    wait_for_wish(&one, "(too hot)");
    two.end(Signal::SIGTERM);
    one.wait_for_log(GONE);
    two.start();
    wait_for_wish(&two, "(too hot)");
    // What is ended while the other one is away stays ended when it comes back with it.
    two.wait_for_log(LINKED);
    two.end(Signal::SIGKILL);
    one.wait_for_times(GONE, 2);
    one.says(&["enable", "192.0.2.1"]);
    wait_for_no_wish(&one, "(too hot)");
    two.start();
    two.wait_for_log(LINKED);
    wait_for_no_wish(&two, "(too hot)");
    wait_for_no_wish(&one, "(too hot)");
}
