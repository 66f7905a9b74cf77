//! What operators wish on one director holds on the other one.

use nix::sys::signal::Signal;

use super::link::{Director, GONE, LINKED, World};
use crate::clients::daemon::{Client, OPEN};
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
    one.wait_for_next(GONE, || two.end(Signal::SIGTERM));
    two.start();
    wait_for_wish(&two, "(too hot)");
    // What is ended while the other one is away stays ended when it comes back with it.
    two.wait_for_log(LINKED);
    one.wait_for_next(GONE, || two.end(Signal::SIGKILL));
    one.says(&["enable", "192.0.2.1"]);
    wait_for_no_wish(&one, "(too hot)");
    two.start();
    two.wait_for_log(LINKED);
    wait_for_no_wish(&two, "(too hot)");
    wait_for_no_wish(&one, "(too hot)");
}

/// Each is allowed where it is said, and all of them together leave nobody.
#[test]
fn wishes_of_both_that_leave_too_few_together_give_way_on_both_and_count_again() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    let section = "\nvirtual 10.0.0.3:80\n    real 192.0.2.1\n    real 192.0.2.2\n    \
                   real 192.0.2.3\n    real 192.0.2.4\n    service none\n    min_live 1\n";
    let linked = |own: &Director, peer: u16| {
        let settings = format!(
            "peer = 127.0.0.1:{peer}\npeer_bind = 127.0.0.1:{}\n",
            own.port
        );
        own.configure_with(&settings, section);
    };
    linked(&one, two.port);
    linked(&two, one.port);
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
    one.configure_with(&format!("peer = 127.0.0.9:{}\n", two.port), section);
    two.wait_for_next(GONE, || one.signal(Signal::SIGHUP));
    for (director, server) in [(&one, 1), (&one, 2), (&two, 3), (&two, 4)] {
        let server = format!("192.0.2.{server}");
        let said = director.says(&["disable", &server]);
        assert!(said.contains("out"), "{said}");
    }
    // A fifth one would be refused by either.
    let said = one.says(&["why", "192.0.2.3"]);
    assert!(!said.contains("disable"), "it has not heard of it: {said}");
    linked(&one, two.port);
    two.wait_for_next(LINKED, || one.signal(Signal::SIGHUP));
    let not_obeyed = |director: &Director| {
        let table = director.says(&["table"]);
        let mut lines = table.lines().filter(|line| line.contains("not obeyed"));
        let line = lines.next().map(str::to_owned);
        line.filter(|_| lines.next().is_none())
    };
    let is_last = |line: String| line.contains("192.0.2.4");
    for director in [&one, &two] {
        director.wait_for_log("is not obeyed: with what else is wished");
        wait_until("the newest to give way", SOON, || {
            not_obeyed(director).is_some_and(is_last)
        });
        let why = director.says(&["why", "192.0.2.4"]);
        assert!(why.contains("not obeyed"), "{why}");
    }
    one.says(&["enable", "192.0.2.1"]);
    for director in [&one, &two] {
        director.wait_for_log("counts again");
        wait_until("all to be obeyed", SOON, || {
            let table = director.says(&["table"]);
            table.contains("192.0.2.4:80") && !table.contains("not obeyed")
        });
    }
    // Whoever insists is obeyed, on both.
    one.says(&["disable", "192.0.2.1", "--force"]);
    for director in [&one, &two] {
        let all = || {
            let table = director.says(&["table"]);
            table.matches("disable by").count() == 4 && !table.contains("not obeyed")
        };
        wait_until("all four to be out", SOON, all);
    }
}

/// What a client of mon's protocol is answered.
#[track_caller]
pub(super) fn asks(director: &Director, words: &str) -> String {
    let log = director.log();
    let (_, rest) = log
        .split_once("listening for clients address=127.0.0.1:")
        .unwrap();
    let port = rest.split_whitespace().next().unwrap().parse().unwrap();
    Client::new(port).ask(words).join("\n")
}

/// Waits until exactly these services are disabled.
#[track_caller]
fn wait_for_disabled(director: &Director, services: &[&str]) {
    let what = format!("{services:?} to be disabled");
    wait_until(&what, SOON, || disabled(director) == services);
}

/// The disabled services of `g`.
#[track_caller]
fn disabled(director: &Director) -> Vec<String> {
    let text = asks(director, "list disabled");
    let lines = text.lines();
    let services = lines.filter_map(|line| line.strip_prefix("watch g service "));
    let mut services: Vec<String> = services
        .map(|rest| rest.split_whitespace().next().unwrap().to_owned())
        .collect();
    services.sort();
    services
}

/// A file that loses a service, and `reset`, end nothing that a person said on the other director;
/// what was said of a service that the file does not have yet holds when it has it.
#[test]
fn only_a_person_ends_what_a_person_said_and_what_waits_holds_after_a_reload() {
    let world = World::new();
    let [mut one, mut two] = Director::pair(&world);
    let configure = |own: &Director, peer: u16, with: &str| {
        let folder = own.folder.path().display();
        own.folder.write("auth.cf", OPEN);
        let settings = format!(
            "peer = 127.0.0.1:{peer}\npeer_bind = 127.0.0.1:{}\nauthfile = {folder}/auth.cf\n\
             authtype = trustlocal\n",
            own.port
        );
        own.configure_with(&settings, with);
    };
    let more = "    service t\n\tinterval 1s\n\tmonitor state.monitor\n";
    let one_port = one.port;
    let reload = |two: &Director, with: &str, times: usize| {
        configure(two, one_port, with);
        two.signal(Signal::SIGHUP);
        two.wait_for_times("configuration reloaded", times);
    };
    configure(&one, two.port, more);
    configure(&two, one.port, "");
    one.start();
    two.start();
    one.wait_for_log(LINKED);
    two.wait_for_log(LINKED);
    // The second one has no such service yet. What is said next is heard after it.
    asks(&one, "disable service g t");
    asks(&one, "disable service g s");
    wait_for_disabled(&two, &["s"]);
    reload(&two, more, 1);
    wait_for_disabled(&two, &["s", "t"]);
    // It has it no more, which is no word of a person.
    reload(&two, "", 2);
    wait_for_disabled(&two, &["s"]);
    asks(&two, "enable service g s");
    wait_for_disabled(&one, &["t"]);
    reload(&two, more, 3);
    wait_for_disabled(&two, &["t"]);
    // A reset begins what one director knows anew, not what persons said to both.
    asks(&two, "reset");
    two.wait_for_times("configuration reloaded", 4);
    wait_for_disabled(&two, &["t"]);
    asks(&two, "disable service g s");
    wait_for_disabled(&one, &["s", "t"]);
    // Who wants it enabled says so.
    asks(&two, "enable service g t");
    wait_for_disabled(&one, &["s"]);
    wait_for_disabled(&two, &["s"]);
}
