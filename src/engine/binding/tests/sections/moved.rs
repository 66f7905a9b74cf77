//! Stories of weights and verdicts that belong to another address, or to a time before (D8, D10).

use super::*;
use crate::engine::desired::ZeroBy;

/// One name that two services judge, good at 10.1.0.1 where its check gives it weight 7.
fn of_a_name() -> Story {
    let section = format!("virtual {VS} web/http+web/tcp w1 check");
    let lines = ["web/http w1", "web/tcp w1", &section];
    let mut story = Story {
        farm: Some(Farm::new(&lines)),
        kernel: kernel(&[("10.1.0.1", 7)]),
    };
    story.farm().resolves("w1", "10.1.0.1");
    story.looks();
    story.gives("w1", GivenWeight::Absolute(7));
    story.good("web/http web/tcp", "1=7");
    story
}

impl Story {
    /// What the check of `web/http` gives from now on.
    fn gives(&mut self, host: &str, weight: GivenWeight) {
        let web = self.farm().id("web/http");
        let farm = self.farm();
        let now = fixture::at(farm.seconds);
        farm.bindings
            .weigh(now, web, &HostName::new(host), Some(weight));
    }

    fn good(&mut self, services: &str, expected: &str) {
        for service in services.split(' ') {
            self.farm().succeeds(service);
        }
        self.settles(expected);
    }

    fn resets(&mut self) {
        let now = self.farm().now();
        let actions = self.farm().bindings.forget(now);
        self.farm().perform(actions);
        self.looks();
    }

    /// Since when a server is withdrawn, and why.
    fn withdrawal(&mut self, host: &str) -> (Wall, Reason) {
        let views = self.farm().bindings.real_servers();
        let mut views = views.iter();
        let view = views.find(|it| it.server == Some(rs(host))).unwrap();
        let [withdrawal] = view.withdrawals.as_slice() else {
            panic!("{host}: {:?}", view.withdrawals)
        };
        (withdrawal.since, withdrawal.reason)
    }

    /// Who gives a healthy server weight 0.
    fn zero_by(&mut self, host: &str) -> Option<ZeroBy> {
        let views = self.farm().bindings.real_servers();
        let mut views = views.into_iter();
        views
            .find(|it| it.server == Some(rs(host)))
            .unwrap()
            .zero_by
    }
}

#[test]
fn a_weight_that_is_found_at_the_next_address_is_for_the_server_there() {
    let mut story = of_a_name();
    story.farm().resolves("w1", "10.1.0.2");
    story.gives("w1", GivenWeight::Absolute(50));
    story.good("web/http", "1=7");
    story.good("web/tcp", "2=50");
}

#[test]
fn a_reset_forgets_what_was_good_at_the_next_address_and_each_weight() {
    let mut story = of_a_name();
    story.farm().resolves("w1", "10.1.0.2");
    story.gives("w1", GivenWeight::Absolute(50));
    story.good("web/http", "1=7");
    story.resets();
    story.good("web/tcp", "1=7");
    story.good("web/http", "2=5");
}

#[test]
fn weight_0_of_a_check_is_said_where_the_section_asks_for_it() {
    for (options, given, expected) in [
        ("check", GivenWeight::Percent(0), Some("check")),
        ("", GivenWeight::Percent(0), None),
        ("w=0", GivenWeight::Percent(0), Some("file")),
        ("w=0 check", GivenWeight::Percent(0), Some("check")),
        // A share of nothing is the file's word.
        ("w=0 check", GivenWeight::Percent(100), Some("file")),
        ("w=0 check", GivenWeight::Absolute(3), None),
    ] {
        let mut story = Story::found(options, kernel(&[("10.1.0.1", 1)]));
        story.gives("10.1.0.2", given);
        story.farm().succeeds("web/http");
        let zero_by = story.zero_by("10.1.0.2").map(|it| match it {
            ZeroBy::File => "file",
            ZeroBy::Checks(all) => {
                let services: Vec<ServiceId> = all.iter().map(|it| it.service).collect();
                assert_eq!(services, [story.farm().id("web/http")]);
                "check"
            }
        });
        assert_eq!(zero_by, expected, "{options} {given}");
    }
}

#[test]
fn a_server_that_fails_for_another_reason_has_that_one_over_a_restart_too() {
    let mut story = Story::new("");
    story.fails("2", "1=5 3=5");
    let (since, before) = story.withdrawal("10.1.0.2");
    assert_eq!(before, Reason::Timeout);
    let (now, web) = (story.farm().now(), story.farm().id("web/http"));
    let mut hosts = story.farm().report("web/http", "");
    let down = HostVerdict::Down(Reason::Refused);
    hosts.insert(HostName::new("10.1.0.2"), down);
    let bindings = &mut story.farm().bindings;
    let actions = bindings.failed(now, web, Ruling::Passed, &hosts, Some(Reason::Exit));
    story.farm().perform(actions);
    assert_eq!(story.withdrawal("10.1.0.2"), (since, Reason::Refused));
    story.restarts("");
    story.looks();
    assert_eq!(story.withdrawal("10.1.0.2"), (since, Reason::Refused));
}

#[test]
fn a_service_that_lost_its_lines_has_no_gate_for_its_section() {
    let line = "web/http 10.1.0.1 10.0.0.9:80/tcp 10.1.0.1";
    let section = "virtual 10.0.0.3:80/tcp web/http 10.1.0.1";
    let mut farm = Farm::new(&[line, section]);
    farm.fails("web/http", "10.1.0.1");
    assert!(farm.journal_keys().contains(&"gate web/http"));
    farm.reloads(&["web/http 10.1.0.1", section]);
    let keys = farm.journal_keys();
    assert!(!keys.contains(&"gate web/http"), "{keys:?}");
    // The lines come back: what they do begins with the next report.
    farm.reloads(&[line, section]);
    let wanted = farm.wanted();
    assert!(
        wanted.contains(&"10.0.0.9:80/tcp foreign 10.1.0.1=found".to_owned()),
        "{wanted:?}"
    );
}

#[test]
fn after_a_reset_a_line_is_told_of_and_waited_for_as_at_the_start() {
    let mut farm = Farm::new(&["www/http w1,w2 10.0.0.3:80/tcp each"]);
    let patience = farm.bindings.patience(ServiceId(0)).as_secs_f64();
    let unclear = |farm: &mut Farm| {
        farm.fails("www/http", "?");
        let said = farm.said();
        said.iter().filter(|it| it.contains("does not say")).count()
    };
    let resets = |farm: &mut Farm| {
        let now = farm.now();
        let actions = farm.bindings.forget(now);
        farm.perform(actions);
        farm.said();
    };
    // Half of the time is over.
    farm.waits_until(patience / 2.0);
    resets(&mut farm);
    farm.waits_until(patience + 1.0);
    assert_eq!(farm.said(), Vec::<String>::new(), "it is waited for");
    farm.waits_until(2.0 * patience);
    let said = farm.said();
    assert!(said.iter().any(|it| it.contains("no report")), "{said:?}");
    assert_eq!((unclear(&mut farm), unclear(&mut farm)), (1, 0));
    resets(&mut farm);
    assert_eq!(unclear(&mut farm), 1);
}

#[test]
fn a_section_whose_program_names_no_host_is_told_of_once() {
    let hosts = "web/http 10.1.0.1,10.1.0.2";
    let mut farm = Farm::new(&[hosts, &format!("virtual 10.0.0.3:80/tcp {hosts}")]);
    let unclear = |farm: &mut Farm| {
        farm.said();
        farm.fails("web/http", "?");
        let said = farm.said();
        let those: Vec<String> = said
            .into_iter()
            .filter(|it| it.contains("does not say which hosts fail"))
            .collect();
        assert!(those.iter().all(|it| !it.contains("-R")), "{those:?}");
        those.len()
    };
    assert_eq!((unclear(&mut farm), unclear(&mut farm)), (1, 0));
    // A good one, and it is said again.
    farm.succeeds("web/http");
    assert_eq!((unclear(&mut farm), unclear(&mut farm)), (1, 0));
}
