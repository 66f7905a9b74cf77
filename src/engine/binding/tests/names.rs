//! Names and their addresses (D8).

use super::*;

const NAMED: [&str; 1] = ["www/http w1,w2 10.0.0.3:80/tcp each"];

/// Where the checks of w1 are to go.
fn checked(farm: &Farm) -> String {
    let found = farm.bindings.latest(ServiceId(0), &HostName::new("w1"));
    let found = found.into_iter().flatten().map(|it| it.to_string());
    found.collect::<Vec<String>>().join(" ")
}

#[test]
fn names_enter_when_they_are_looked_up() {
    let mut farm = Farm::new(&NAMED);
    assert_eq!(farm.said(), ["resolve w1", "resolve w2", "apply"]);
    assert_eq!(farm.wanted(), [format!("{VS} foreign")]);
    farm.succeeds("www/http");
    assert_eq!(farm.wanted(), [format!("{VS} foreign")]);
    farm.resolves("w1", "10.1.0.1 2001:db8::1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=in")]);
    let views = farm.bindings.real_servers();
    assert_eq!(views.len(), 2);
    assert_eq!(views[1].server, None);
    assert_eq!(views[1].problem.as_deref(), Some("w2 is not looked up yet"));
    farm.resolves("elsewhere", "10.1.0.9");
    farm.resolves("w2", "10.1.0.2 10.1.0.2");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=in 10.1.0.2=in")]
    );
}

#[test]
fn a_name_without_exactly_one_address_is_said_once() {
    let mut farm = Farm::new(&NAMED);
    farm.said();
    farm.resolves("w1", "10.1.0.1 10.1.0.2");
    let said = farm.said();
    assert_eq!(
        said,
        [
            "w1 has 2 IPv4 addresses (10.1.0.1, 10.1.0.2), a real server has one: write the address in place of the name"
        ]
    );
    farm.resolves("w1", "10.1.0.2 10.1.0.1");
    assert!(farm.said().is_empty());
    farm.resolves("w2", "2001:db8::2");
    assert_eq!(farm.said(), ["w2 has no IPv4 address"]);
    farm.fails_to_resolve("w2");
    assert_eq!(farm.said(), ["cannot look up w2: no such name"]);
    farm.succeeds("www/http");
    assert_eq!(farm.wanted(), [format!("{VS} foreign")]);
}

#[test]
fn the_last_good_answer_stays() {
    let mut farm = Farm::new(&NAMED);
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    farm.said();
    farm.fails_to_resolve("w1");
    let said =
        "cannot look up w1: no such name; until then its address of before, 10.1.0.1, counts";
    assert_eq!(farm.said(), [said]);
    farm.resolves("w1", "");
    assert!(farm.said().is_empty());
    let stays = [format!("{VS} foreign 10.1.0.1=in")];
    for elsewhere in ["2001:db8::1", "10.1.0.2 10.1.0.3"] {
        farm.resolves("w1", elsewhere);
        assert_eq!(farm.said().len(), 1, "{elsewhere}");
        farm.fails("www/http", "w1");
        assert_eq!(farm.wanted(), stays, "{elsewhere}");
    }
    farm.resolves("w1", "10.1.0.1 10.1.0.2");
    assert_eq!(farm.said().len(), 1);
    assert_eq!(farm.wanted(), stays);
    // None of both answers, so neither does the one that counts.
    farm.fails("www/http", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
}

#[test]
fn a_changed_address_enters_after_its_first_good_verdict() {
    let mut farm = Farm::new(&[
        "www/http w1 10.0.0.3:80/tcp each",
        "www/ping w1 10.0.0.3:80/tcp each",
    ]);
    let mut table = Table::new();
    table.insert(VS.parse().unwrap(), fixture_entry());
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    farm.succeeds("www/ping");
    farm.applies(&mut table);
    farm.resolves("w1", "10.1.0.2");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=in")]);
    farm.succeeds("www/http");
    farm.resolves("w1", "10.1.0.2");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=in")]);
    farm.said();
    farm.succeeds("www/ping");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=out 10.1.0.2=in")]
    );
    let left = "10.1.0.1 left, w1 is 10.1.0.2:80";
    assert_eq!(farm.said(), ["10.1.0.2 in", left, "apply"]);
    let commands = farm.applies(&mut table);
    assert!(matches!(
        commands.as_slice(),
        [Command::AddServer(..), Command::DeleteServer(..)]
    ));
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.2=in")]);
}

#[test]
fn a_server_stays_as_it_was_while_the_checks_of_its_changed_address_fail() {
    let mut farm = Farm::new(&["www/http w1 10.0.0.3:80/tcp each"]);
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    farm.resolves("w1", "10.1.0.2");
    farm.said();
    farm.fails("www/http", "w1");
    farm.fails("www/http", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=in")]);
    let said = farm.said().join("\n");
    assert!(said.contains("w1 has the address 10.1.0.2 now"), "{said}");
    assert_eq!(said.matches("w1 has the address").count(), 1, "{said}");
    // Back to the old one: nothing is left to enter, and its own failure counts.
    farm.resolves("w1", "10.1.0.1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=in")]);
    farm.fails("www/http", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
    // One that is out stays out until the new one is good.
    farm.resolves("w1", "10.1.0.2");
    farm.fails("www/http", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
    farm.resolves("w1", "10.1.0.3");
    farm.resolves("w1", "10.1.0.2");
    farm.succeeds("www/http");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=out 10.1.0.2=in")]
    );
}

#[test]
fn a_server_that_is_out_is_not_put_in_by_some_checks_of_its_changed_address() {
    let mut farm = Farm::new(&[
        "www/http w1 10.0.0.3:80/tcp each",
        "www/ping w1 10.0.0.3:80/tcp each",
    ]);
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/ping");
    farm.fails("www/http", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
    farm.resolves("w1", "10.1.0.2");
    farm.succeeds("www/http");
    farm.fails("www/ping", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
    farm.succeeds("www/ping");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=out 10.1.0.2=in")]
    );
}

#[test]
fn a_restart_while_a_changed_address_fails_takes_no_server_of_a_section_out() {
    let lines = [
        "www/http w1",
        "virtual 10.0.0.3:80/tcp www/http w1 fall=2 rise=2",
    ];
    let mut farm = Farm::new(&lines);
    let mut table = Table::new();
    table.insert(VS.parse().unwrap(), fixture_entry());
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    farm.applies(&mut table);
    let stands = |farm: &Farm, server: &str| farm.wanted()[0].contains(server);
    // Half a streak is of the address of before.
    farm.fails("www/http", "w1");
    farm.resolves("w1", "10.1.0.2");
    let service = farm.id("www/http");
    assert_eq!(farm.bindings.wants_recheck(service), None);
    for _ in 0..3 {
        farm.fails("www/http", "w1");
    }
    assert!(stands(&farm, "10.1.0.1=in"), "{:?}", farm.wanted());
    let views = farm.bindings.real_servers();
    let problem = views[0].problem.as_deref().unwrap_or_default();
    assert!(
        problem.contains("10.1.0.2 now, where www/http fails since"),
        "{problem}"
    );
    let mut farm = farm.restarted(&lines);
    farm.applies(&mut table);
    farm.resolves("w1", "10.1.0.2");
    for _ in 0..3 {
        farm.fails("www/http", "w1");
    }
    assert!(!stands(&farm, "10.1.0.1=out"), "{:?}", farm.wanted());
    farm.succeeds("www/http");
    assert!(stands(&farm, "10.1.0.2=in"), "{:?}", farm.wanted());
    assert!(stands(&farm, "10.1.0.1=out"), "{:?}", farm.wanted());
    let views = farm.bindings.real_servers();
    assert_eq!(views[0].problem, None);
}

#[test]
fn names_of_a_section_that_come_to_one_address_take_no_server_out() {
    let mut farm = Farm::new(&[
        "www/http w1,w2,w3",
        "virtual 10.0.0.3:80/tcp www/http w1,w2,w3",
    ]);
    let mut table = Table::new();
    table.insert(VS.parse().unwrap(), fixture_entry());
    farm.resolves("w1", "10.1.0.1");
    farm.resolves("w2", "10.1.0.2");
    farm.resolves("w3", "10.1.0.3");
    farm.succeeds("www/http");
    farm.applies(&mut table);
    farm.said();
    let has = |farm: &Farm, servers: &str| farm.wanted()[0].ends_with(servers);
    let all = " 10.1.0.1=in 10.1.0.2=in 10.1.0.3=in";
    assert!(has(&farm, all), "{:?}", farm.wanted());
    farm.resolves("w2", "10.1.0.1");
    farm.resolves("w3", "10.1.0.1");
    for _ in 0..2 {
        farm.succeeds("www/http");
    }
    assert!(has(&farm, all), "{:?}", farm.wanted());
    let said = farm.said().join("\n");
    let words = "w2 has the address 10.1.0.1 now, as w1 has";
    assert_eq!(said.matches(words).count(), 1, "{said}");
    let views = farm.bindings.real_servers();
    let problem = views[1].problem.as_deref().unwrap_or_default();
    assert!(problem.starts_with(words), "{problem}");
    // Names that change places clash with none.
    farm.resolves("w2", "10.1.0.2");
    farm.resolves("w3", "10.1.0.1");
    farm.resolves("w1", "10.1.0.3");
    farm.succeeds("www/http");
    assert!(has(&farm, all), "{:?}", farm.wanted());
    assert!(
        farm.bindings
            .real_servers()
            .iter()
            .all(|it| it.problem.is_none())
    );
    assert_eq!(farm.bindings.real_servers()[0].hosts, [HostName::new("w3")]);
}

#[test]
fn names_of_a_section_that_have_one_address_at_first_are_said() {
    let mut farm = Farm::new(&["www/http w1,w2", "virtual 10.0.0.3:80/tcp www/http w1,w2"]);
    farm.said();
    farm.resolves("w1", "10.1.0.1");
    assert_eq!(farm.said(), ["apply"]);
    farm.resolves("w2", "10.1.0.1");
    let said = farm.said().join("\n");
    let words =
        "w1 and w2 have one address, 10.1.0.1: they are one real server of 10.0.0.3:80/tcp, not 2";
    assert_eq!(said.matches(words).count(), 1, "{said}");
    let views = farm.bindings.real_servers();
    let problem = views[0].problem.as_deref().unwrap_or_default();
    assert!(problem.starts_with(words), "{views:#?}");
}

#[test]
fn an_address_that_is_next_is_dropped_when_the_name_no_longer_has_exactly_it() {
    for later in ["", "2001:db8::1", "10.1.0.2 10.1.0.3"] {
        let mut farm = Farm::new(&["www/http w1 10.0.0.3:80/tcp each"]);
        farm.resolves("w1", "10.1.0.1");
        farm.succeeds("www/http");
        farm.resolves("w1", "10.1.0.2");
        farm.resolves("w1", later);
        farm.succeeds("www/http");
        let stays = [format!("{VS} foreign 10.1.0.1=in")];
        assert_eq!(farm.wanted(), stays, "after {later:?}");
        // Named again it waits for a good verdict again.
        farm.resolves("w1", "10.1.0.2");
        assert_eq!(farm.wanted(), stays, "after {later:?}");
        // A resolver that fails says nothing about it.
        farm.fails_to_resolve("w1");
        farm.succeeds("www/http");
        assert_eq!(
            farm.wanted(),
            [format!("{VS} foreign 10.1.0.1=out 10.1.0.2=in")]
        );
    }
}

#[test]
fn an_address_that_changed_while_the_daemon_was_gone_enters_like_any_other() {
    let mut farm = Farm::new(&["www/http w1 10.0.0.3:80/tcp each"]);
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    let mut farm = farm.restarted(&["www/http w1 10.0.0.3:80/tcp each"]);
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=found")]);
    farm.resolves("w1", "10.1.0.2");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=found")]);
    farm.succeeds("www/http");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=out 10.1.0.2=in")]
    );
}

#[test]
fn one_name_serves_both_families() {
    let mut farm = Farm::new(&[
        "www/http w1 10.0.0.3:80/tcp each",
        "www/http6 w1 [2001:db8::3]:80/tcp each",
    ]);
    farm.resolves("w1", "10.1.0.1 2001:db8::1");
    farm.succeeds("www/http");
    farm.succeeds("www/http6");
    assert_eq!(
        farm.wanted(),
        [
            format!("{VS} foreign 10.1.0.1=in"),
            "[2001:db8::3]:80/tcp foreign 2001:db8::1=in".to_owned()
        ]
    );
}

#[test]
fn an_address_that_no_virtual_service_uses_may_change() {
    let mut farm = Farm::new(&["www/http w1 10.0.0.3:80/tcp each"]);
    farm.resolves("w1", "10.1.0.1 2001:db8::1");
    farm.succeeds("www/http");
    farm.resolves("w1", "10.1.0.1 2001:db8::2");
    farm.fails("www/http", "w1");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
}

#[test]
fn two_names_of_one_address_share_a_server_and_must_agree() {
    let mut farm = Farm::new(&[
        "a/http w1 10.0.0.3:80/tcp w1 w5",
        "b/http w2 10.0.0.3:80/tcp w2 w7",
    ]);
    farm.resolves("w1", "10.1.0.1");
    farm.said();
    farm.resolves("w2", "10.1.0.1");
    let said = farm.said();
    assert!(
        said[0].contains("w1 with dr weight 5 and w2 with dr weight 7"),
        "{said:?}"
    );
    farm.succeeds("a/http");
    farm.fails("b/http", "w2");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=out")]);
    farm.succeeds("b/http");
    let key: VirtualServiceKey = VS.parse().unwrap();
    let server = RealServerKey("10.1.0.1:80".parse().unwrap());
    assert_eq!(
        farm.bindings.desired()[&key].servers[&server],
        ServerWish::In(RealServer::new(Forwarding::Dr, Weight(5)))
    );
}

#[test]
fn a_name_that_nat_cannot_reach_is_no_real_server() {
    let mut farm = Farm::new(&["a/http w1 10.0.0.3:80/tcp w1 nat"]);
    farm.said();
    farm.resolves("w1", "127.0.0.1");
    let said = farm.said();
    assert!(said[0].starts_with("w1: -F nat cannot reach"), "{said:?}");
    farm.succeeds("a/http");
    assert_eq!(farm.wanted(), [format!("{VS} foreign")]);
}

pub(super) fn fixture_entry() -> crate::lvs::TableEntry {
    crate::lvs::TableEntry {
        service: crate::lvs::VirtualService::plain(crate::lvs::Family::V4, Scheduler::wlc()),
        servers: BTreeMap::new(),
    }
}

#[test]
fn an_address_of_another_family_is_reached_through_a_tunnel_only() {
    for (flag, wanted, said) in [
        ("tun", format!("{VS} foreign 2001:db8::7=in"), None),
        ("dr", format!("{VS} foreign"), Some("another family")),
    ] {
        let line = format!("www/http 2001:db8::7 10.0.0.3:80/tcp each {flag}");
        let mut farm = Farm::new(&[&line]);
        farm.succeeds("www/http");
        assert_eq!(farm.wanted(), [wanted]);
        let views = farm.bindings.real_servers();
        let problem = views[0].problem.as_deref();
        assert_eq!(problem.is_some(), said.is_some(), "{problem:?}");
        assert!(said.is_none_or(|said| problem.unwrap_or_default().contains(said)));
    }
}

#[test]
fn a_fallback_without_an_address_shows_among_the_real_servers() {
    let mut farm = Farm::new(&[
        "www/http 10.1.0.1",
        "virtual 10.0.0.3:80/tcp www/http 10.1.0.1 fallback=fb",
    ]);
    farm.fails_to_resolve("fb");
    let views = farm.bindings.real_servers();
    assert_eq!(views.len(), 2, "{views:#?}");
    assert_eq!(views[1].hosts, [HostName::new("fb")]);
    let expected = "the fallback: cannot look up fb: no such name";
    assert_eq!(views[1].problem.as_deref(), Some(expected));
    farm.resolves("fb", "10.1.0.9");
    let views = farm.bindings.real_servers();
    assert_eq!(views[1].problem, None);
    assert!(views[1].server.is_some(), "{views:#?}");
}

#[test]
fn what_nobody_judges_moves_with_its_name_at_once() {
    let mut farm = Farm::new(&[
        "www/http w3",
        "virtual 10.0.0.3:80/tcp none w1,w2",
        "virtual 10.0.0.4:80/tcp www/http w3 fallback=fb",
    ]);
    let mut table = Table::new();
    for (name, address) in [("w1", 1), ("w2", 2), ("w3", 3), ("fb", 8)] {
        farm.resolves(name, &format!("10.1.0.{address}"));
    }
    farm.succeeds("www/http");
    farm.applies(&mut table);
    farm.applies(&mut table);
    let servers = |farm: &Farm| farm.wanted()[0].clone();
    assert!(servers(&farm).ends_with(" 10.1.0.1=in 10.1.0.2=in"));
    farm.resolves("w1", "10.1.0.5");
    farm.applies(&mut table);
    farm.applies(&mut table);
    let moved = " 10.1.0.2=in 10.1.0.5=in";
    assert!(servers(&farm).ends_with(moved), "{:?}", farm.wanted());
    let fallback = |farm: &Farm| {
        let views = farm.bindings.real_servers();
        let of_name = |it: &&RealServerView| it.hosts == [HostName::new("fb")];
        let servers: Vec<String> = views
            .iter()
            .filter(of_name)
            .map(|it| it.server.unwrap().0.ip().to_string())
            .collect();
        servers
    };
    assert_eq!(fallback(&farm), ["10.1.0.8"]);
    farm.resolves("fb", "10.1.0.9");
    assert_eq!(fallback(&farm), ["10.1.0.9"]);
    // The address of a real server is none for a fallback: it would be lost.
    farm.said();
    farm.resolves("fb", "10.1.0.3");
    assert_eq!(fallback(&farm), ["10.1.0.9"]);
    let said = farm.said().join("\n");
    assert!(said.contains("as w3 has"), "{said}");
    farm.resolves("fb", "10.1.0.9");
    // Nor is that of the fallback one for a real server.
    farm.resolves("w3", "10.1.0.9");
    farm.succeeds("www/http");
    farm.applies(&mut table);
    assert_eq!(fallback(&farm), ["10.1.0.9"]);
    farm.resolves("w3", "10.1.0.3");
    // Nor do two of them become one.
    farm.said();
    farm.resolves("w1", "10.1.0.2");
    assert!(servers(&farm).ends_with(moved), "{:?}", farm.wanted());
    let said = farm.said().join("\n");
    assert!(
        said.contains("as w2 has, so they would be one real server"),
        "{said}"
    );
}

#[test]
fn a_name_that_comes_to_an_address_of_the_file_stays_where_it_was() {
    let mut farm = Farm::new(&[
        "www/http 10.1.0.99",
        "virtual 10.0.0.3:80/tcp none w1,10.1.0.9",
    ]);
    farm.resolves("w1", "10.1.0.1");
    farm.said();
    farm.resolves("w1", "10.1.0.9");
    let said = farm.said().join("\n");
    assert!(said.contains("as 10.1.0.9 has"), "{said}");
}

/// Four names of one section that nobody judges, first and then at these addresses; at which they
/// are in the end.
fn moved(first: [u8; 4], then: [u8; 4]) -> [u8; 4] {
    let mut farm = Farm::new(&[
        "www/http 10.1.0.99",
        "virtual 10.0.0.3:80/tcp none w1,w2,w3,w4",
    ]);
    for addresses in [first, then] {
        let answer = |(name, address): (&str, u8)| {
            let there = vec![IpAddr::from([10, 1, 0, address])];
            Resolved::fresh(HostName::new(name), Ok(there))
        };
        let answers = ["w1", "w2", "w3", "w4"].into_iter().zip(addresses);
        let answers: Vec<Resolved> = answers.map(answer).collect();
        let actions = farm.bindings.resolved(&answers);
        farm.perform(actions);
    }
    let mut there = farm.bindings.addresses().map(|(_, address)| match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(_) => unreachable!("none was said"),
    });
    std::array::from_fn(|_| there.next().unwrap())
}

/// The same as the rule has it: the first name that another one is in the way of stays.
fn expected(first: [u8; 4], then: [u8; 4]) -> [u8; 4] {
    let mut there = then;
    let is_in_the_way = |there: [u8; 4], at: usize| {
        let mut others = (0..4).filter(|&other| other != at);
        there[at] != first[at] && others.any(|other| there[other] == there[at])
    };
    while let Some(at) = (0..4).find(|&at| is_in_the_way(there, at)) {
        there[at] = first[at];
    }
    there
}

#[test]
fn names_of_a_section_that_move_at_once_never_become_one_real_server() {
    for (first, then, there) in [
        // Each has the place of the next one, and the last one makes room, or does not.
        ([1, 2, 3, 4], [2, 3, 4, 5], [2, 3, 4, 5]),
        ([1, 2, 3, 4], [2, 3, 4, 4], [1, 2, 3, 4]),
        ([1, 2, 3, 4], [4, 3, 2, 1], [4, 3, 2, 1]),
        // Of two that would be one, one goes.
        ([1, 2, 3, 4], [1, 2, 8, 8], [1, 2, 3, 8]),
    ] {
        assert_eq!(moved(first, then), there, "{first:?} {then:?}");
        assert_eq!(expected(first, then), there, "{first:?} {then:?}");
    }
    for first in [[1, 2, 3, 4], [3, 2, 1, 1]] {
        for number in 0..625_u16 {
            let digit = |at: u32| u8::try_from(number / 5_u16.pow(at) % 5).unwrap() + 1;
            let then = [digit(0), digit(1), digit(2), digit(3)];
            let there = expected(first, then);
            assert_eq!(moved(first, then), there, "{first:?} {then:?}");
        }
    }
}

#[test]
fn a_line_that_names_a_host_of_its_group_does_not_wait_for_the_others() {
    let mut farm = Farm::new(&["www/http w1,w2 10.0.0.3:80/tcp w1"]);
    let mut table = Table::new();
    table.insert(VS.parse().unwrap(), fixture_entry());
    farm.resolves("w1", "10.1.0.1");
    farm.succeeds("www/http");
    farm.applies(&mut table);
    farm.resolves("w1", "10.1.0.2");
    farm.fails_quietly("www/http", "w1 w2");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.1=in")]);
    farm.fails_quietly("www/http", "w2");
    let moved = format!("{VS} foreign 10.1.0.1=out 10.1.0.2=in");
    assert_eq!(farm.wanted(), [moved]);
    farm.applies(&mut table);
    // Whether it is in is the word of the service as a whole, as before.
    farm.fails("www/http", "w2");
    farm.applies(&mut table);
    farm.resolves("w1", "10.1.0.3");
    farm.fails("www/http", "w2");
    farm.applies(&mut table);
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.3=out")]);
    farm.succeeds("www/http");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 10.1.0.3=in")]);
}

#[test]
fn the_checks_of_a_name_that_leads_nowhere_any_more_go_to_its_address_of_before() {
    let lines = ["www/http w1", "virtual 10.0.0.3:80/tcp www/http w1"];
    let mut farm = Farm::new(&lines);
    farm.fails_to_resolve("w1");
    assert_eq!(checked(&farm), "");
    for (address, counts, former) in [("10.1.0.1", "10.1.0.1", 0), ("10.1.0.5", "10.1.0.1", 1)] {
        farm.resolves("w1", address);
        farm.said();
        farm.fails_to_resolve("w1");
        assert_eq!(checked(&farm), address);
        assert_eq!(
            farm.bindings
                .former(ServiceId(0), &HostName::new("w1"))
                .len(),
            former
        );
        let said = farm.said();
        let words = format!("no such name; until then its address of before, {counts}, counts");
        assert!(said.iter().any(|it| it.contains(&words)), "{said:?}");
    }
    farm.succeeds("www/http");
    let mut farm = farm.restarted(&lines);
    farm.fails_to_resolve("w1");
    assert_eq!(checked(&farm), "10.1.0.5");
}

#[test]
fn the_checks_of_a_name_with_several_addresses_go_to_the_one_that_counts() {
    let lines = ["www/http w1", "virtual 10.0.0.3:80/tcp www/http w1"];
    let mut farm = Farm::new(&lines);
    assert_eq!(checked(&farm), "");
    // Nothing counts yet: whoever asks about the name hears of all.
    farm.resolves("w1", "10.1.0.1 10.1.0.5");
    assert_eq!(checked(&farm), "10.1.0.1 10.1.0.5");
    farm.resolves("w1", "10.1.0.1");
    farm.said();
    for answer in [
        "10.1.0.1 10.1.0.5",
        "10.1.0.5 10.1.0.1",
        "10.1.0.1 2001:db8::1",
        "10.1.0.1 10.1.0.5 2001:db8::1",
    ] {
        farm.resolves("w1", answer);
        assert_eq!(checked(&farm), "10.1.0.1", "{answer}");
    }
    let said = farm.said();
    let words = "w1 has 2 IPv4 addresses (10.1.0.1, 10.1.0.5), a real server has one, here \
                 10.1.0.1, which is checked: write the address in place of the name";
    assert!(said[0].contains(words), "{said:?}");
    farm.succeeds("www/http");
    let mut farm = farm.restarted(&lines);
    assert_eq!(checked(&farm), "10.1.0.1");
    farm.resolves("w1", "10.1.0.5 10.1.0.1");
    assert_eq!(checked(&farm), "10.1.0.1");
    // It has left: the next one is checked, and the one of before beside it.
    farm.resolves("w1", "10.1.0.5");
    assert_eq!(checked(&farm), "10.1.0.5");
    assert_eq!(
        farm.bindings
            .former(ServiceId(0), &HostName::new("w1"))
            .len(),
        1
    );
}

/// The same name in both families, where a service of its own judges each.
const BOTH: [&str; 4] = [
    "web/four w1",
    "web/six w1",
    "virtual 10.0.0.3:80/tcp web/four w1 fall=2",
    "virtual [2001:db8::3]:80/tcp web/six w1",
];

impl Farm {
    /// The same once both are in.
    fn of_both() -> Self {
        let mut farm = Self::new(&BOTH);
        farm.resolves("w1", "10.1.0.1 2001:db8::1");
        farm.succeeds("web/four");
        farm.succeeds("web/six");
        farm.applies(&mut Table::new());
        assert_eq!(farm.in_both(), [true, true]);
        farm
    }

    /// Whether the real server of each family is in, IPv4 first.
    fn in_both(&self) -> [bool; 2] {
        let wanted = self.wanted();
        ["10.1.0.1=in", "2001:db8::1=in"].map(|it| wanted.iter().any(|line| line.contains(it)))
    }
}

#[test]
fn of_two_services_each_judges_the_address_of_its_family() {
    let mut farm = Farm::of_both();
    let host = HostName::new("w1");
    for (service, address) in [("web/four", "10.1.0.1"), ("web/six", "2001:db8::1")] {
        let there = farm.bindings.latest(farm.id(service), &host).unwrap();
        assert_eq!(there, [address.parse::<IpAddr>().unwrap()]);
    }
    farm.fails("web/six", "w1");
    assert_eq!(farm.in_both(), [true, false]);
    farm.succeeds("web/six");
    farm.fails("web/four", "w1");
    farm.fails("web/four", "w1");
    assert_eq!(farm.in_both(), [false, true]);
    // Neither comes in by the other's word.
    farm.fails("web/six", "w1");
    farm.succeeds("web/four");
    assert_eq!(farm.in_both(), [true, false]);
}

#[test]
fn an_address_that_a_name_left_in_one_family_says_nothing_about_the_other() {
    let mut farm = Farm::of_both();
    let host = HostName::new("w1");
    farm.fails("web/four", "w1");
    farm.resolves("w1", "10.1.0.1");
    let [four, six] = ["web/four", "web/six"].map(|it| farm.id(it));
    let of_six: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(farm.bindings.latest(six, &host), Some(vec![of_six]));
    assert_eq!(farm.bindings.former(six, &host), [of_six]);
    assert_eq!(farm.bindings.former(four, &host), Vec::<IpAddr>::new());
    farm.fails("web/four", "w1");
    assert_eq!(farm.in_both(), [false, true], "the second failure of two");
    // Not the other one, though what is found where the name leads is good.
    farm.succeeds("web/six");
    assert_eq!(farm.in_both(), [false, true]);
}

#[test]
fn a_failure_of_a_name_without_an_address_of_its_family_is_no_verdict() {
    let mut farm = Farm::new(&BOTH);
    farm.applies(&mut Table::new());
    let [four, six] = ["web/four", "web/six"].map(|it| farm.id(it));
    let w1 = HostName::new("w1");
    for (service, address) in [(four, None), (six, Some("2001:db8::1"))] {
        farm.resolves("w1", "2001:db8::1");
        let address = address.map(|it| vec![it.parse().unwrap()]);
        assert_eq!(farm.bindings.latest(service, &w1), address);
    }
    farm.fails("web/four", "w1");
    farm.fails("web/four", "w1");
    farm.resolves("w1", "10.1.0.1 2001:db8::1");
    let views = farm.bindings.real_servers();
    let withdrawn: Vec<usize> = views.iter().map(|it| it.withdrawals.len()).collect();
    assert_eq!(withdrawn, [0, 0]);
}
