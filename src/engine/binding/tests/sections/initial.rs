//! Stories of what is known before the first verdict: new servers, restarts, reloads (D16).

use super::held::{WAYS, files, texts};
use super::lines::By;
use super::*;

#[test]
fn a_section_with_another_address_behind_a_restart_puts_no_failed_server_in() {
    let before = file("");
    let before = before
        .iter()
        .map(|line| line.replace(VS, "10.0.0.4:80/tcp"));
    let before: Vec<String> = before.collect();
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let mut story = Story {
        farm: Some(Farm::new(&before)),
        kernel: Table::new(),
    };
    story.looks();
    story.farm().succeeds("web/http");
    story.looks();
    story.farm().fails("web/http", "10.1.0.2");
    story.looks();
    story.restarts("");
    story.settles("");
    story.waits(2.0, "1=5 3=5");
    story.succeeds("1=5 2=5 3=5");
    assert_eq!(story.kernel.len(), 1, "the old one is gone");
}

#[test]
fn a_failure_of_any_age_keeps_a_server_out_at_a_start_until_its_first_good_check() {
    let mut story = Story::new("");
    story.fails("1", "2=5 3=5");
    // No daemon runs for a week, and the machine boots: the table is empty.
    story.farm().seconds += 604_800.0;
    story.restarts("");
    story.kernel = kernel(&[]);
    story.settles("");
    story.waits(2.0, "2=5 3=5");
    story.succeeds("1=5 2=5 3=5");
}

#[test]
fn a_server_that_failed_is_not_put_in_by_another_word_behind_a_boot() {
    let leads = |story: &mut Story| {
        for number in 1..4 {
            let address = format!("10.1.0.{number}");
            story.farm().resolves(&format!("w{number}"), &address);
        }
    };
    for by in WAYS {
        // The word is another one before the boot, or with it.
        for is_before in [true, false] {
            let mut story = Story::new("");
            story.fails("2", "1=5 3=5");
            let [_, named] = files("w1,w2,w3", "");
            if is_before {
                story.gets(by, &texts(&named));
                leads(&mut story);
                story.settles("1=5 3=5");
            }
            story.kernel = Table::new();
            story.gets(By::Restart, &texts(&named));
            leads(&mut story);
            story.settles("");
            story.waits(2.0, "1=5 3=5");
            story.succeeds("1=5 2=5 3=5");
        }
    }
}

#[test]
fn a_server_that_failed_before_a_reset_is_put_in_behind_a_boot() {
    let mut story = Story::new("");
    story.fails("2", "1=5 3=5");
    let now = story.farm().now();
    let actions = story.farm().bindings.forget(now);
    story.farm().perform(actions);
    story.settles("1=5 3=5");
    story.kernel = Table::new();
    story.restarts("");
    story.settles("");
    story.waits(2.0, "1=5 2=5 3=5");
}

#[test]
fn strangers_that_serve_are_none_of_the_servers_that_are_found_in() {
    let mut story = Story::found("keep", kernel(&[("10.1.0.7", 1)]));
    story.waits(1.9, "7=1");
    story.waits(0.2, "1=5 2=5 3=5 7=1");
    // Others take out the last one of the file: it comes back, and nobody who was not in.
    let mut story = Story::found("keep", kernel(&[("10.1.0.1", 5), ("10.1.0.7", 1)]));
    story.waits(9.0, "1=5 7=1");
    story.kernel = kernel(&[("10.1.0.7", 1)]);
    story.settles("1=5 7=1");
}

const ALL: &str = "10.1.0.1,10.1.0.2,10.1.0.3";

/// The first server failed; the others serve.
fn one_is_dead(options: &str) -> Story {
    let mut story = Story::found(options, Table::new());
    story.fails("1", "2=5 3=5");
    story
}

/// The three words of `initial`, with `min_live 1`.
const INITIALS: [&str; 3] = ["in min_live=1", "out min_live=1", "min_live=1"];

#[test]
fn a_restart_takes_no_server_out_and_puts_no_dead_one_in() {
    for options in INITIALS {
        let mut story = one_is_dead(options);
        story.farm().said();
        story.restarts(options);
        story.settles("2=5 3=5");
        assert_eq!(story.served_by(), None, "{options}: nothing is known yet");
        // No verdict comes while the director is cut off, so nothing changes (D17).
        story.waits(9_000.0, "2=5 3=5");
        assert_eq!(story.served_by(), Some(ServedBy::Servers), "{options}");
        story.fails("1", "2=5 3=5");
        story.succeeds("1=5 2=5 3=5");
    }
}

#[test]
fn a_judge_with_another_name_leaves_the_table_as_it_is() {
    for options in INITIALS {
        let mut story = one_is_dead(options);
        story.reloads(&[
            format!("web/https {ALL}"),
            format!("virtual {VS} web/https {ALL} {options}"),
        ]);
        story.settles("2=5 3=5");
        assert_eq!(story.served_by(), None, "{options}: nothing is known yet");
        story.waits(1.0, "2=5 3=5");
        story.farm().fails("web/https", "10.1.0.1");
        story.settles("2=5 3=5");
    }
}

#[test]
fn a_judge_more_leaves_the_table_as_it_is() {
    for options in INITIALS {
        let mut story = one_is_dead(options);
        let section = format!("virtual {VS} web/http+web/two {ALL} {options}");
        story.reloads(&[WEB.to_owned(), format!("web/two {ALL}"), section]);
        story.settles("2=5 3=5");
        assert_eq!(story.served_by(), None, "{options}: nothing is known yet");
        story.farm().succeeds("web/two");
        story.settles("2=5 3=5");
        assert_eq!(story.served_by(), Some(ServedBy::Servers), "{options}");
    }
}

#[test]
fn initial_out_is_for_servers_that_are_new() {
    let mut story = one_is_dead("out");
    let hosts = format!("{ALL},10.1.0.4");
    story.reloads(&[
        format!("web/http {hosts}"),
        format!("virtual {VS} web/http {hosts} out"),
    ]);
    story.settles("2=5 3=5");
    story.fails("1", "2=5 3=5 4=5");
    // After a boot all wait for their verdicts, and the dead one does not stand in for them.
    let mut story = one_is_dead("out min_live=1");
    story.kernel.clear();
    story.restarts("out min_live=1");
    story.waits(3.0, "");
    assert_eq!(story.served_by(), None, "no alarm yet");
    // Nobody judges the others either: one of them counts before one that failed.
    story.waits(9_000.0, "2=5");
    story.fails("1", "2=5 3=5");
}

#[test]
fn an_alarm_goes_on_while_verdicts_are_waited_for() {
    for options in INITIALS {
        let mut story = one_is_dead(options);
        story.fails("1 2 3", "2=5");
        assert_eq!(story.served_by(), Some(ServedBy::TooFew));
        story.reloads(&[
            format!("web/https {ALL}"),
            format!("virtual {VS} web/https {ALL} {options}"),
        ]);
        story.settles("2=5");
        assert_eq!(story.served_by(), None, "{options}: neither over nor new");
        story
            .farm()
            .fails("web/https", "10.1.0.1 10.1.0.2 10.1.0.3");
        story.looks();
        assert_eq!(story.served_by(), Some(ServedBy::TooFew), "{options}");
    }
}

#[test]
fn min_live_puts_no_failed_server_in_before_the_others_are_judged() {
    let mut story = Story::found("out min_live=1", Table::new());
    let one = BTreeMap::from([(
        HostName::new("10.1.0.1"),
        HostVerdict::Down(Reason::Timeout),
    )]);
    let web = story.farm().id("web/http");
    let actions = story.farm().bindings.failed(
        fixture::at(0.0),
        web,
        Ruling::Passed,
        &one,
        Some(Reason::Timeout),
    );
    story.farm().perform(actions);
    story.settles("");
    assert_eq!(story.served_by(), None);
}

/// Services that never run, and servers that the journal knows: whoever was put in since nobody
/// was found stays in without an alarm that begins or ends, and comes back after a flush.
#[test]
fn who_is_put_in_for_want_of_others_stays_in() {
    for (options, filled) in [
        ("out min_live=1", "1=5"),
        ("out min_live=3", "1=5 2=5 3=5"),
        ("", "1=5 2=5 3=5"),
        ("in", "1=5 2=5 3=5"),
    ] {
        let mut story = Story::found(options, Table::new());
        for _ in ["first start", "restart"] {
            story.restarts(options);
            story.looks();
            story.waits(9_000.0, filled);
            assert_eq!(story.served_by(), Some(ServedBy::Servers), "{options}");
            let before = story.farm().bindings.desired().clone();
            story.farm().said();
            story.reloads(&file(options));
            assert_eq!(story.farm().said(), [""; 0], "{options}");
            assert_eq!(*story.farm().bindings.desired(), before, "{options}");
            assert_eq!(story.served_by(), Some(ServedBy::Servers), "{options}");
            story.kernel.clear();
            story.settles(filled);
            assert_eq!(story.served_by(), Some(ServedBy::Servers), "{options}");
        }
    }
}

impl Story {
    /// A good report that speaks of these only.
    fn finds_good(&mut self, hosts: &[&str]) {
        let up = hosts.iter().map(|it| (HostName::new(it), HostVerdict::Up));
        let up: BTreeMap<HostName, HostVerdict> = up.collect();
        self.farm().now();
        let web = self.farm().id("web/http");
        let actions = self.farm().bindings.succeeded(web, &up);
        self.farm().perform(actions);
    }

    pub(super) fn loses(&mut self, host: &str) {
        let entry = self.kernel.get_mut(&VS.parse().unwrap()).unwrap();
        entry.servers.remove(&rs(host)).unwrap();
    }
}

#[test]
fn who_was_found_in_comes_back_with_those_that_are_put_back() {
    // While verdicts are waited for, and where none is to come.
    for seconds in [1.0, 9_000.0] {
        for emptied in [Table::new(), kernel(&[]), kernel(&[("10.1.0.7", 1)])] {
            let mut story = Story::found("keep", kernel(&FIVE));
            story.finds_good(&["10.1.0.1"]);
            story.waits(seconds, "1=5 2=5 3=5");
            let strangers = match servers(&emptied).as_str() {
                "7=1" => " 7=1",
                _ => "",
            };
            // Its look comes behind the repair.
            story.kernel = emptied;
            story.settles(&format!("1=5 2=5 3=5{strangers}"));
        }
    }
    // A stranger counts as the server of a name without an address.
    let hosts = "10.1.0.1,10.1.0.2,w3";
    let lines = [
        format!("web/http {hosts}"),
        format!("virtual {VS} web/http {hosts}"),
    ];
    let mut story = Story {
        farm: Some(Farm::new(&lines.each_ref().map(String::as_str))),
        kernel: kernel(&FIVE),
    };
    story.looks();
    story.finds_good(&["10.1.0.1"]);
    story.settles("1=5 2=5 3=5");
    story.kernel = kernel(&[]);
    story.settles("1=5 2=5");
}

#[test]
fn who_was_found_in_and_goes_alone_stays_out() {
    let mut story = Story::found("", kernel(&FIVE));
    story.finds_good(&["10.1.0.1"]);
    story.settles("1=5 2=5 3=5");
    story.loses("10.1.0.2");
    story.settles("1=5 3=5");
    // Nor when the one that we keep goes, too.
    story.loses("10.1.0.1");
    story.settles("1=5 3=5");
}
