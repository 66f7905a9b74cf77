//! A name that stands in several virtual services, of which some services judge each (D8).

use super::*;
use crate::engine::event::{Caution, ManualWish, Order};
use crate::engine::section::count::Opinion;

const ALT: &str = "10.0.0.4:80/tcp";

/// A name at 10.1.0.1 that `web/http` judges in one virtual service, and `web/alt` in another one:
/// both in sections, both in lines, one by each, services of one watch or of two.
fn farms() -> Vec<(&'static str, Vec<String>)> {
    let line = |service: &str, key: &str| format!("{service} w1 {key} each");
    let section = |service: &str, key: &str| format!("virtual {key} {service} w1");
    let hosts = |service: &str| format!("{service} w1");
    vec![
        (
            "web/alt",
            vec![
                hosts("web/http"),
                hosts("web/alt"),
                section("web/http", VS),
                section("web/alt", ALT),
            ],
        ),
        (
            "alt/tcp",
            vec![
                hosts("web/http"),
                hosts("alt/tcp"),
                section("web/http", VS),
                section("alt/tcp", ALT),
            ],
        ),
        ("web/alt", vec![line("web/http", VS), line("web/alt", ALT)]),
        (
            "web/alt",
            vec![
                hosts("web/http"),
                section("web/http", VS),
                line("web/alt", ALT),
            ],
        ),
        (
            "web/alt",
            vec![
                hosts("web/alt"),
                line("web/http", VS),
                section("web/alt", ALT),
            ],
        ),
    ]
}

impl Farm {
    /// What a check found at the address that the name has left.
    fn finds_at_former(&mut self, service: &str, opinion: Opinion) {
        let (now, id) = (self.now(), self.id(service));
        let part = Part::Host(HostName::new("w1"));
        let opinions = BTreeMap::from([(part, opinion)]);
        let actions = self.bindings.found_at_former(now, id, &opinions);
        self.perform(actions);
    }

    fn disables(&mut self, server: &str, key: &str) {
        let now = self.now();
        let order = Order {
            aim: aim(server, Some(key)),
            wish: ManualWish::Disable,
            span: None,
            by: "ann".to_owned(),
            reason: String::new(),
            caution: Caution::Force,
        };
        let (answer, actions) = self.bindings.order(now, &order);
        answer.unwrap();
        self.perform(actions);
    }

    /// What is wanted in both virtual services, without addresses that were left.
    fn stands(&self) -> [String; 2] {
        let views = self.bindings.real_servers();
        [VS, ALT].map(|key| {
            let here = views
                .iter()
                .filter(|it| it.virtual_service.to_string() == key && !it.hosts.is_empty());
            let words = here.map(|it| {
                let wish = match it.wish {
                    ServerWish::In(_) => "in",
                    ServerWish::Out => "out",
                    ServerWish::AsFound => "found",
                };
                format!("{}={wish}", it.server.unwrap().0.ip())
            });
            words.collect::<Vec<String>>().join(" ")
        })
    }

    fn trouble(&self) -> Option<String> {
        let views = self.bindings.real_servers();
        let mut own = views.into_iter().filter(|it| !it.hosts.is_empty());
        let first = own.next().unwrap().problem;
        assert!(own.all(|it| it.problem == first));
        first
    }
}

fn of_two(lines: &[String], alt: &str) -> Farm {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut farm = Farm::new(&lines);
    let mut table = Table::new();
    farm.resolves("w1", "10.1.0.1");
    farm.applies(&mut table);
    farm.succeeds("web/http");
    farm.succeeds(alt);
    assert_eq!(farm.stands(), ["10.1.0.1=in", "10.1.0.1=in"]);
    farm.resolves("w1", "10.1.0.2");
    farm.said();
    farm
}

const REFUSED: Opinion = Opinion::Bad(Reason::Refused);

#[test]
fn a_changed_address_enters_for_one_virtual_service_where_no_other_one_loses_by_it() {
    for (at, (alt, lines)) in farms().into_iter().enumerate() {
        let mut farm = of_two(&lines, alt);
        farm.succeeds("web/http");
        farm.fails(alt, "w1");
        // The old machine serves the other one.
        assert_eq!(farm.stands(), ["10.1.0.1=in", "10.1.0.1=in"], "{at}");
        farm.finds_at_former("web/http", REFUSED);
        // While the gate of a line is closed its failures say nothing.
        assert_eq!(farm.stands()[1], "10.1.0.1=in", "{at}");
        farm.finds_at_former(alt, REFUSED);
        assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=out"], "{at}");
        assert_eq!(farm.trouble(), None, "{at}");
        farm.fails(alt, "w1");
        farm.succeeds("web/http");
        assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=out"], "{at}");
        farm.succeeds(alt);
        assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=in"], "{at}");
    }
}

#[test]
fn a_failure_at_the_old_address_moves_no_name_that_serves_another_service_well_there() {
    let by_sections = farms().into_iter().filter(|(_, lines)| lines.len() == 4);
    for (at, (alt, lines)) in by_sections.enumerate() {
        let mut farm = of_two(&lines, alt);
        farm.fails(alt, "w1");
        farm.finds_at_former(alt, REFUSED);
        // The old machine is well for the first one, and so is the new one.
        farm.succeeds("web/http");
        assert_eq!(farm.stands(), ["10.1.0.1=in", "10.1.0.1=out"], "{at}");
        farm.finds_at_former(alt, Opinion::Good);
        assert_eq!(farm.stands(), ["10.1.0.1=in", "10.1.0.1=in"], "{at}");
        farm.finds_at_former(alt, REFUSED);
        farm.finds_at_former("web/http", REFUSED);
        assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=out"], "{at}");
    }
}

#[test]
fn what_is_dead_at_both_addresses_keeps_no_line_at_the_old_one_that_may_be_dead_unheard() {
    let lines = [
        "web/http w1 10.0.0.3:80/tcp each",
        "web/alt w1 10.0.0.4:80/tcp each",
    ];
    let mut farm = of_two(&lines.map(str::to_owned), "web/alt");
    farm.fails("web/alt", "w1");
    farm.finds_at_former("web/alt", REFUSED);
    assert_eq!(farm.stands(), ["10.1.0.1=in", "10.1.0.1=out"]);
    farm.finds_at_former("web/http", REFUSED);
    farm.succeeds("web/http");
    assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=out"]);
}

#[test]
fn where_the_old_address_serves_one_virtual_service_it_is_said_which_check_fails_at_the_new_one() {
    for (at, (alt, lines)) in farms().into_iter().enumerate() {
        let mut farm = of_two(&lines, alt);
        farm.succeeds("web/http");
        farm.fails(alt, "w1");
        farm.finds_at_former("web/http", REFUSED);
        farm.finds_at_former(alt, Opinion::Good);
        assert_eq!(farm.stands()[1], "10.1.0.1=in", "{at}");
        let trouble = farm.trouble().unwrap();
        let words = format!("w1 has the address 10.1.0.2 now, where {alt} fails since ");
        assert!(trouble.starts_with(&words), "{at} {trouble}");
        let said = farm.said().join("\n");
        assert_eq!(said.matches(&words).count(), 2, "{at} {said}");
        farm.finds_at_former(alt, REFUSED);
        assert_eq!(farm.stands()[0], "10.1.0.2=in", "{at}");
    }
}

#[test]
fn what_a_person_has_taken_out_keeps_no_other_service_at_the_old_address() {
    for (at, (alt, lines)) in farms().into_iter().enumerate() {
        let mut farm = of_two(&lines, alt);
        farm.disables("10.1.0.1", ALT);
        farm.finds_at_former("web/http", REFUSED);
        farm.succeeds("web/http");
        // Nobody knows yet how it is for the other one there.
        assert_eq!(farm.stands()[1], "10.1.0.1=out", "{at}");
        farm.fails(alt, "w1");
        // It was good at the old address, and does not come in by that.
        assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=out"], "{at}");
        farm.succeeds(alt);
        assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=in"], "{at}");
    }
}

#[test]
fn a_failed_service_stays_out_over_a_restart_where_its_name_moved_for_another_one() {
    let (alt, lines) = farms().remove(0);
    let mut farm = of_two(&lines, alt);
    farm.fails(alt, "w1");
    farm.finds_at_former(alt, REFUSED);
    farm.finds_at_former("web/http", REFUSED);
    farm.succeeds("web/http");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut farm = farm.restarted(&lines);
    farm.applies(&mut Table::new());
    farm.resolves("w1", "10.1.0.2");
    assert_eq!(farm.stands()[1], "10.1.0.2=out");
    farm.succeeds("web/http");
    farm.fails(alt, "w1");
    assert_eq!(farm.stands(), ["10.1.0.2=in", "10.1.0.2=out"]);
}

#[test]
fn an_answer_that_turns_between_bad_addresses_is_said_once_for_each() {
    let lines = ["web/http w1", "virtual 10.0.0.3:80/tcp web/http w1"];
    let mut farm = Farm::new(&lines);
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("web/http");
    farm.said();
    let mut said = String::new();
    for _ in 0..5 {
        for address in ["10.1.0.2", "10.1.0.3"] {
            farm.resolves("w1", address);
            farm.fails("web/http", "w1");
            said.push_str(&farm.said().join("\n"));
        }
    }
    for address in ["10.1.0.2", "10.1.0.3"] {
        let words = format!("w1 has the address {address} now");
        assert_eq!(said.matches(&words).count(), 1, "{said}");
    }
    // Since when it failed there first.
    let trouble = farm.bindings.real_servers()[0].problem.clone().unwrap();
    assert!(trouble.contains("since 2024-03-13T10:00:03Z"), "{trouble}");
}

#[test]
fn who_was_good_at_an_address_stays_in_where_names_exchange_theirs() {
    let section = "virtual 10.0.0.3:80/tcp web/http w1,w2 rise=3";
    let mut farm = Farm::new(&["web/http w1,w2", section]);
    farm.resolves("w1", "10.1.0.1");
    farm.resolves("w2", "10.1.0.2");
    farm.applies(&mut Table::new());
    farm.succeeds("web/http");
    farm.fails("web/http", "w1");
    let has = |farm: &Farm, servers: &str| farm.wanted()[0].ends_with(servers);
    farm.resolves("w1", "10.1.0.2");
    farm.resolves("w2", "10.1.0.1");
    // The machine at 10.1.0.2 never failed.
    farm.fails("web/http", "w2");
    assert!(
        has(&farm, " 10.1.0.1=out 10.1.0.2=in"),
        "{:?}",
        farm.wanted()
    );
    farm.said();
    farm.succeeds("web/http");
    assert!(
        has(&farm, " 10.1.0.1=in 10.1.0.2=in"),
        "{:?}",
        farm.wanted()
    );
    let said = farm.said().join(" ");
    assert!(!said.contains("10.1.0.2 "), "{said}");
    // Nobody was good at another one.
    farm.fails("web/http", "w1");
    farm.resolves("w1", "10.1.0.7");
    farm.succeeds("web/http");
    assert!(!has(&farm, "10.1.0.7=in"), "{:?}", farm.wanted());
}
