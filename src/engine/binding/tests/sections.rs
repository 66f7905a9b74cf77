//! Stories of `virtual` sections. A section is a line
//! `virtual KEY SERVICES HOSTS [OPTION...]`: the services joined by `+`, or `none`.

use std::num::NonZeroU32;
use std::time::Duration;

use super::*;
use crate::engine::desired::{Given, GivenBy};
use crate::engine::section::in_table::InTable;
use crate::engine::section::live::ServedBy;
use crate::engine::section::wanted::ServerRole;
use crate::lvs::clients::ClientOdds;
use crate::lvs::{
    ConnectionCounts, GivenWeight, ServiceFlags, Strangers, TableEntry, VirtualService,
};
use crate::model::{
    DeclaredJudge, DeclaredServer, DeclaredService, Fallback, Initial, JudgedBy, MinLive, OnExit,
    OnFailure, OwnRules, WeightFrom,
};

mod held;
mod initial;
mod kept;
mod lines;
mod looks;
mod moved;
mod named;

mod slow;
mod stand_in;
mod weightless;
mod wished;
mod withdrawn;

pub(super) const VS: &str = "10.0.0.3:80/tcp";

/// One line as a section.
pub(super) fn section(model: &Model, line: &str) -> DeclaredService {
    let mut words = line.split(' ').skip(1);
    let key: VirtualServiceKey = words.next().unwrap().parse().unwrap();
    let judges: Vec<ServiceId> = match words.next().unwrap() {
        "none" => Vec::new(),
        services => services
            .split('+')
            .map(|it| it.split_once('/').unwrap())
            .map(|(group, name)| model.find(group, name).unwrap())
            .collect(),
    };
    let settings = VirtualService::plain(key.family(), Scheduler::wlc());
    let mut section = DeclaredService::new(key, settings);
    let hosts = words.next().unwrap().split(',');
    let port = key.port().unwrap_or(0);
    let mut weight = 5;
    // What the line of the server with this number says.
    let mut own: BTreeMap<u32, OwnRules> = BTreeMap::new();
    let whole = Duration::from_secs;
    for option in words {
        let (name, value) = option.split_once('=').unwrap_or((option, "0"));
        let number: u32 = value.parse().unwrap_or(0);
        match name {
            "fall" => section.counts.fall = NonZeroU32::new(number).unwrap(),
            "rise" => section.counts.rise = NonZeroU32::new(number).unwrap(),
            "min_live" => section.min_live = MinLive::Count(number),
            "w" => weight = number,
            "slow" => section.slow_start = Some(whole(number.into())),
            "drain" => section.on_failure = OnFailure::Drain(whole(number.into())),
            "quiesce" => section.on_failure = OnFailure::Quiesce,
            "in" => section.initial = Initial::In,
            "out" => section.initial = Initial::Out,
            _ if name.starts_with("own-") => own_rule(own.entry(number).or_default(), name),
            "keep" => section.foreign = Strangers::Kept,
            "exit-quiesce" => section.on_exit = OnExit::Quiesce,
            "exit-remove" => section.on_exit = OnExit::Remove,
            "check" => section.weight_from = WeightFrom::Check,
            "ops" => section.settings.flags = ServiceFlags::ONE_PACKET,
            "rr" => section.settings.scheduler = Scheduler::new("rr").unwrap(),
            "fallback" => {
                section.fallback = Some(Fallback {
                    host: HostName::new(value),
                    port,
                    settings: RealServer::new(Forwarding::Dr, Weight(1)),
                });
            }
            // Behind `fallback`.
            "fallback-w" => {
                let fallback = section.fallback.as_mut().unwrap();
                fallback.settings.weight = Weight(number);
            }
            _ => panic!("{option}"),
        }
    }
    let server = |host: &str| DeclaredServer {
        host: HostName::new(host),
        port,
        settings: RealServer::new(Forwarding::Dr, Weight(weight)),
        own: OwnRules::default(),
        judges: judges
            .iter()
            .map(|&service| DeclaredJudge {
                service,
                verdict: JudgedBy::Host,
            })
            .collect(),
    };
    section.servers = hosts.map(server).collect();
    for (number, server) in (1..).zip(&mut section.servers) {
        server.own = own.get(&number).copied().unwrap_or_default();
    }
    section
}

/// What the line of a server says for itself.
fn own_rule(own: &mut OwnRules, name: &str) {
    match name {
        "own-remove" => own.on_failure = Some(OnFailure::Remove),
        "own-quiesce" => own.on_failure = Some(OnFailure::Quiesce),
        "own-drain" => own.on_failure = Some(OnFailure::Drain(Duration::from_secs(60))),
        "own-out" => own.initial = Some(Initial::Out),
        "own-in" => own.initial = Some(Initial::In),
        _ => panic!("{name}"),
    }
}

fn rs(host: &str) -> RealServerKey {
    RealServerKey(format!("{host}:80").parse().unwrap())
}

/// A kernel that has the virtual service with these real servers at these weights.
fn kernel(servers: &[(&str, u32)]) -> Table {
    let key: VirtualServiceKey = VS.parse().unwrap();
    let entry = TableEntry {
        service: VirtualService::plain(key.family(), Scheduler::wlc()),
        servers: servers
            .iter()
            .map(|&(host, weight)| (rs(host), RealServer::new(Forwarding::Dr, Weight(weight))))
            .collect(),
    };
    [(key, entry)].into()
}

/// What the kernel has in the virtual service: `1=5` is 10.1.0.1 with weight 5.
fn servers(table: &Table) -> String {
    let Some(entry) = table.get(&VS.parse().unwrap()) else {
        return "missing".to_owned();
    };
    let servers = entry.servers.iter().map(|(server, found)| {
        let host = server.0.ip().to_string();
        format!("{}={}", host.replace("10.1.0.", ""), found.weight)
    });
    servers.collect::<Vec<String>>().join(" ")
}

const WEB: &str = "web/http 10.1.0.1,10.1.0.2,10.1.0.3";

const FIVE: [(&str, u32); 3] = [("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 5)];

/// Two files as lines: the services, and a section of all three hosts with these options.
fn file(options: &str) -> Vec<String> {
    let section = format!("virtual {VS} web/http 10.1.0.1,10.1.0.2,10.1.0.3 {options}");
    vec![WEB.to_owned(), section.trim_end().to_owned()]
}

struct Story {
    farm: Option<Farm>,
    kernel: Table,
}

impl Story {
    /// A director whose kernel has all three servers, each checked once and good.
    fn new(options: &str) -> Self {
        let full = kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 5)]);
        let mut story = Self::found(options, full);
        story.farm().succeeds("web/http");
        story.settles("1=5 2=5 3=5");
        story
    }

    /// A director that starts with this kernel.
    fn found(options: &str, kernel: Table) -> Self {
        let lines = file(options);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let mut story = Self {
            farm: Some(Farm::new(&lines)),
            kernel,
        };
        story.looks();
        story
    }

    fn farm(&mut self) -> &mut Farm {
        self.farm.as_mut().unwrap()
    }

    /// The applier looks until there is nothing to do.
    fn looks(&mut self) -> usize {
        let farm = self.farm.as_mut().unwrap();
        let mut changes = 0;
        for _ in 0..4 {
            changes += farm.applies(&mut self.kernel).len();
        }
        assert_eq!(farm.applies(&mut self.kernel), []);
        changes
    }

    fn settles(&mut self, expected: &str) {
        self.looks();
        assert_eq!(servers(&self.kernel), expected);
    }

    fn fails(&mut self, hosts: &str, expected: &str) {
        let hosts: Vec<String> = hosts.split(' ').map(|it| format!("10.1.0.{it}")).collect();
        self.farm().fails("web/http", &hosts.join(" "));
        self.settles(expected);
    }

    fn succeeds(&mut self, expected: &str) {
        self.farm().succeeds("web/http");
        self.settles(expected);
    }

    /// The checks say from now on that these servers take this share of their weight.
    fn weighs(&mut self, hosts: &[&str], share: u32) {
        let web = self.farm().id("web/http");
        for host in hosts {
            let (host, share) = (HostName::new(host), GivenWeight::Percent(share));
            let farm = self.farm();
            farm.bindings
                .weigh(fixture::at(0.0), web, &host, Some(share));
        }
    }

    fn waits(&mut self, seconds: f64, expected: &str) {
        let until = self.farm().seconds + seconds;
        self.farm().waits_until(until);
        self.settles(expected);
    }

    /// The daemon ends, and leaves the table as `on_exit` says.
    fn exits(&mut self) {
        let last = self.farm().bindings.at_exit().unwrap();
        for command in diff::diff(&last, &self.kernel) {
            apply(&mut self.kernel, &command).unwrap();
        }
    }

    fn reloads(&mut self, lines: &[String]) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        self.farm().reloads(&lines);
    }

    fn restarts(&mut self, options: &str) {
        let lines = file(options);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let farm = self.farm.take().unwrap();
        self.farm = Some(farm.restarted(&lines));
    }

    fn role(&mut self, host: &str) -> Option<ServerRole> {
        let views = self.farm().bindings.real_servers();
        let mut views = views.iter();
        views.find(|it| it.server == Some(rs(host))).unwrap().role
    }

    fn served_by(&mut self) -> Option<ServedBy> {
        let key = VS.parse().unwrap();
        self.farm().bindings.served_by(key)
    }

    /// How many of its real servers serve, as readers are told.
    fn serving(&mut self) -> usize {
        let views = self.farm().bindings.real_servers();
        views[0].section.unwrap().serving
    }

    fn has(&mut self, host: &str, active: u32) {
        let counts = ConnectionCounts {
            active,
            ..ConnectionCounts::default()
        };
        let key = VS.parse().unwrap();
        self.farm().connections.insert((key, rs(host)), counts);
    }
}

#[test]
fn a_failed_server_leaves_and_a_good_one_comes_back() {
    let mut story = Story::new("fall=2 rise=2");
    story.farm().said();
    story.fails("2", "1=5 2=5 3=5");
    story.fails("2", "1=5 3=5");
    let said = story.farm().said();
    assert_eq!(said, ["10.1.0.2 out by web/http:timeout", "apply"]);
    story.succeeds("1=5 3=5");
    story.succeeds("1=5 2=5 3=5");
    assert_eq!(story.farm().said(), ["10.1.0.2 in", "apply"]);
    assert_eq!(
        story.farm().journal_keys().len(),
        4,
        "no withdrawal is left"
    );
}

#[test]
fn quiesce_keeps_a_failed_server_with_weight_0() {
    let mut story = Story::new("quiesce");
    story.farm().said();
    story.fails("2", "1=5 2=0 3=5");
    assert_eq!(story.role("10.1.0.2"), Some(ServerRole::Quiesced));
    let said = story.farm().said();
    assert_eq!(said, ["10.1.0.2 zero by web/http:timeout", "apply"]);
    story.waits(9_000.0, "1=5 2=0 3=5");
    story.succeeds("1=5 2=5 3=5");
    assert_eq!(story.farm().said(), ["10.1.0.2 in", "apply"]);
}

#[test]
fn a_drain_ends_with_the_connections_or_in_its_time() {
    let mut story = Story::new("drain=60");
    story.has("10.1.0.2", 7);
    story.has("10.1.0.3", 7);
    story.fails("2 3", "1=5 2=0 3=0");
    story.waits(10.0, "1=5 2=0 3=0");
    // The first loses its last connection, the other keeps one until the time is over; a
    // restart in between forgets neither.
    story.has("10.1.0.2", 0);
    story.settles("1=5 3=0");
    story.restarts("drain=60");
    story.has("10.1.0.3", 7);
    story.settles("1=5 3=0");
    story.waits(49.0, "1=5 3=0");
    story.waits(1.0, "1=5");
    story.succeeds("1=5 2=5 3=5");
}

#[test]
fn a_server_that_is_not_in_is_not_put_in_to_drain() {
    let mut story = Story::found("drain=60", kernel(&[("10.1.0.1", 5)]));
    story.fails("2", "1=5 3=5");
}

#[test]
fn what_the_line_of_a_server_says_of_its_failure_counts_before_the_section() {
    let mut story = Story::new("quiesce own-remove=2");
    story.fails("2", "1=5 3=5");
    story.fails("2 3", "1=5 3=0");
    story.succeeds("1=5 2=5 3=5");
    let mut story = Story::new("own-drain=2 own-quiesce=3");
    story.has("10.1.0.1", 7);
    story.has("10.1.0.2", 7);
    story.fails("1 2 3", "2=0 3=0");
    story.restarts("own-drain=2 own-quiesce=3");
    story.has("10.1.0.2", 7);
    story.settles("2=0 3=0");
    // Only the one that drains leaves with its last connection.
    story.has("10.1.0.2", 0);
    story.has("10.1.0.3", 0);
    story.settles("3=0");
    // Where weight 0 keeps no client away, no line has it.
    let mut story = Story::new("ops own-quiesce=2");
    let said = story.farm().said();
    assert!(
        said.iter()
            .any(|line| line.contains("on_failure quiesce would leave"))
    );
    story.fails("2", "1=5 3=5");
}

#[test]
fn what_the_line_of_a_server_says_of_its_beginning_counts_before_the_section() {
    let mut story = Story::found("in own-out=2", Table::new());
    story.settles("1=5 3=5");
    assert_eq!(story.role("10.1.0.2"), Some(ServerRole::OutUntested));
    story.succeeds("1=5 2=5 3=5");
    let mut story = Story::found("out own-in=2", Table::new());
    story.settles("2=5");
    story.succeeds("1=5 2=5 3=5");
}

#[test]
fn datagrams_are_not_left_with_a_failed_server() {
    let mut story = Story::new("quiesce ops");
    let said = story.farm().said();
    let is_said = |line: &String| line.contains("on_failure quiesce would leave");
    assert_eq!(said.iter().filter(|line| is_said(line)).count(), 1);
    story.fails("2", "1=5 3=5");
}

#[test]
fn min_live_keeps_the_last_ones_at_their_weight() {
    let mut story = Story::new("min_live=2");
    story.fails("2", "1=5 3=5");
    story.fails("1 2", "1=5 3=5");
    assert_eq!(story.role("10.1.0.1"), Some(ServerRole::Kept));
    story.fails("1 2 3", "1=5 3=5");
    // Also across a restart, and in every order of looks.
    story.restarts("min_live=2");
    story.settles("1=5 3=5");
    story.fails("1 2 3", "1=5 3=5");
    story.fails("2", "1=5 3=5");
    story.fails("1", "2=5 3=5");
}

#[test]
fn the_fallback_takes_over_when_nobody_is_healthy() {
    let options = "min_live=1 fallback=10.1.0.9";
    let mut story = Story::new(options);
    story.fails("1 2", "3=5");
    story.fails("1 2 3", "9=1");
    assert_eq!(story.role("10.1.0.9"), Some(ServerRole::FallbackIn));
    story.restarts(options);
    story.settles("9=1");
    // Another fallback in the file: the old one leaves.
    story.reloads(&file("min_live=1 fallback=10.1.0.8"));
    story.settles("8=1");
    story.fails("1 3", "2=5");
    assert_eq!(story.role("10.1.0.8"), Some(ServerRole::FallbackOut));
}

#[test]
fn a_fallback_that_serves_stays_while_first_verdicts_are_waited_for() {
    let mut story = Story::found("fallback=10.1.0.9", kernel(&[("10.1.0.9", 1)]));
    assert_eq!(servers(&story.kernel), "9=1");
    story.waits(1.5, "9=1");
    story.fails("1 2", "3=5");
}

#[test]
fn a_found_table_stays_as_it_is_until_the_verdicts_come() {
    let found = kernel(&[("10.1.0.2", 3), ("10.1.0.7", 1)]);
    let mut story = Story::found("", found.clone());
    assert_eq!(story.kernel, found);
    story.waits(100.0, "2=3 7=1");
    // The stranger leaves once all have a verdict.
    story.succeeds("1=5 2=5 3=5");
    let mut story = Story::found("keep", found);
    story.succeeds("1=5 2=5 3=5 7=1");
}

#[test]
fn what_is_found_empty_gets_all_servers_after_two_seconds() {
    let mut story = Story::found("rr", Table::new());
    story.waits(1.9, "");
    story.waits(0.2, "1=5 2=5 3=5");
    story.fails("2", "1=5 3=5");
    // And none of those that failed before a restart.
    story.kernel.clear();
    story.restarts("rr");
    story.settles("");
    assert_eq!(story.served_by(), None, "no alarm yet");
    story.waits(2.0, "1=5 3=5");
    story.succeeds("1=5 2=5 3=5");
    assert_eq!(story.served_by(), Some(ServedBy::Servers));
    // A first verdict in time makes the others wait for theirs.
    let mut story = Story::found("fallback=10.1.0.9", Table::new());
    story.waits(0.5, "");
    story.fails("1 2 3", "9=1");
}

#[test]
fn initial_in_and_out_decide_before_the_first_verdict() {
    let mut story = Story::found("in", kernel(&[("10.1.0.1", 1)]));
    assert_eq!(servers(&story.kernel), "1=5 2=5 3=5");
    story.fails("2", "1=5 3=5");
    let mut story = Story::found("out", kernel(&[("10.1.0.1", 5)]));
    assert_eq!(servers(&story.kernel), "");
    story.fails("2", "1=5 3=5");
}

#[test]
fn a_server_that_comes_back_starts_slowly() {
    let full = [("10.1.0.1", 100), ("10.1.0.2", 100), ("10.1.0.3", 100)];
    let mut story = Story::found("slow=27 w=100", kernel(&full));
    story.succeeds("1=100 2=100 3=100");
    story.settles("1=100 2=100 3=100");
    story.fails("2", "1=100 3=100");
    story.succeeds("1=100 2=10 3=100");
    assert_eq!(
        story.role("10.1.0.2"),
        Some(ServerRole::Serves { share: 10 })
    );
    story.waits(3.0, "1=100 2=20 3=100");
    story.waits(21.0, "1=100 2=90 3=100");
    story.waits(3.0, "1=100 2=100 3=100");
    assert_eq!(story.farm().bindings.sections.next_due(), None);
}

#[test]
fn a_slow_start_goes_on_behind_a_restart() {
    let full = [("10.1.0.1", 100), ("10.1.0.2", 100), ("10.1.0.3", 100)];
    let options = "slow=27 w=100";
    let mut story = Story::found(options, kernel(&full));
    story.succeeds("1=100 2=100 3=100");
    story.fails("2", "1=100 3=100");
    story.succeeds("1=100 2=10 3=100");
    story.waits(3.0, "1=100 2=20 3=100");
    story.restarts(options);
    story.settles("1=100 2=20 3=100");
    story.succeeds("1=100 2=20 3=100");
    story.waits(3.0, "1=100 2=30 3=100");
    story.waits(21.0, "1=100 2=100 3=100");
    story.restarts(options);
    story.settles("1=100 2=100 3=100");
    story.succeeds("1=100 2=100 3=100");
}

#[test]
fn min_live_keeps_servers_that_their_checks_give_weight_0() {
    let full = [("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 5)];
    let mut story = Story::found("check min_live=2", kernel(&full));
    let web = story.farm().id("web/http");
    for host in ["10.1.0.1", "10.1.0.2", "10.1.0.3"] {
        let host = HostName::new(host);
        let weight = GivenWeight::Absolute(0);
        story
            .farm()
            .bindings
            .weigh(fixture::at(0.0), web, &host, Some(weight));
    }
    story.succeeds("1=5 2=5 3=0");
    assert_eq!(story.role("10.1.0.1"), Some(ServerRole::Kept));
}

#[test]
fn a_reload_that_changes_nothing_changes_nothing() {
    let options = "fall=2 min_live=1 slow=27 fallback=10.1.0.9";
    let mut story = Story::new(options);
    story.fails("2", "1=5 2=5 3=5");
    story.fails("2 3", "1=5 3=5");
    let before = story.farm().bindings.desired().clone();
    story.farm().said();
    story.reloads(&file(options));
    assert_eq!(*story.farm().bindings.desired(), before);
    assert_eq!(story.farm().said(), Vec::<String>::new());
    // A running count goes on.
    story.fails("2 3", "1=5");
}

#[test]
fn a_reload_edits_adds_and_drops_while_one_is_down() {
    let mut story = Story::new("");
    story.fails("2", "1=5 3=5");
    story.reloads(&file("rr w=7"));
    story.settles("1=7 3=7");
    let key = VS.parse().unwrap();
    assert_eq!(story.kernel[&key].service.scheduler.as_str(), "rr");
    // One is dropped, a new one waits for its verdict, the failed one stays out.
    let section = format!("virtual {VS} web/http 10.1.0.1,10.1.0.2,10.1.0.4");
    let web = "web/http 10.1.0.1,10.1.0.2,10.1.0.4".to_owned();
    story.reloads(&[web.clone(), section]);
    story.settles("1=5 3=7");
    story.fails("2", "1=5 4=5");
    // Nothing of it is in the file any more: it goes with all in it.
    story.reloads(&[web]);
    story.settles("missing");
    assert_eq!(story.farm().journal_keys(), Vec::<&str>::new());
}

#[test]
fn a_section_may_become_lines_and_come_back() {
    let mut story = Story::new("");
    story.fails("2", "1=5 3=5");
    let line = format!("{WEB} {VS} each -B");
    story.reloads(&[line]);
    story.settles("1=5 3=5");
    story.succeeds("1=5 2=5 3=5");
    story.reloads(&file(""));
    story.settles("1=5 2=5 3=5");
    story.restarts("");
    story.settles("1=5 2=5 3=5");
}

#[test]
fn lines_and_sections_decide_over_the_same_server() {
    let lines = [
        "web/http 10.1.0.1,10.1.0.2",
        "web/ping 10.1.0.1,10.1.0.2 10.0.0.3:80/tcp each",
        "virtual 10.0.0.3:80/tcp web/http 10.1.0.1,10.1.0.2",
    ];
    let mut farm = Farm::new(&lines);
    let mut table = kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5)]);
    farm.applies(&mut table);
    farm.succeeds("web/http");
    farm.fails("web/ping", "10.1.0.1");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "2=5");
    farm.fails("web/http", "10.1.0.1 10.1.0.2");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "");
    farm.succeeds("web/http");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "2=5");
    farm.succeeds("web/ping");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5 2=5");
}

#[test]
fn names_have_addresses_and_change_them_after_a_good_verdict() {
    let lines = [
        "web/http w1,w2",
        "virtual 10.0.0.3:80/tcp web/http w1,w2 fallback=w9",
    ];
    let mut farm = Farm::new(&lines);
    assert_eq!(
        farm.said(),
        ["resolve w1", "resolve w2", "resolve w9", "apply"]
    );
    let mut table = kernel(&[("10.1.0.1", 5)]);
    for (host, address) in [("w1", "10.1.0.1"), ("w2", "10.1.0.2"), ("w9", "10.1.0.9")] {
        farm.resolves(host, address);
    }
    farm.applies(&mut table);
    farm.succeeds("web/http");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5 2=5");
    farm.resolves("w2", "10.1.0.7");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5 2=5");
    farm.succeeds("web/http");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5 7=5");
    farm.fails("web/http", "w1 w2");
    farm.applies(&mut table);
    assert_eq!(servers(&table), "9=1");
    let mut farm = farm.restarted(&lines);
    farm.applies(&mut table);
    farm.applies(&mut table);
    assert_eq!(servers(&table), "9=1");
}

#[test]
fn a_server_that_nobody_judges_is_always_in() {
    let lines = ["virtual 10.0.0.3:80/tcp none 10.1.0.1,10.1.0.2"];
    let mut farm = Farm::new(&lines);
    let mut table = Table::new();
    farm.applies(&mut table);
    farm.applies(&mut table);
    assert_eq!(servers(&table), "1=5 2=5");
    let views = farm.bindings.real_servers();
    assert!(views.iter().all(|view| view.hosts.len() == 1));
}

#[test]
fn nothing_is_changed_before_the_first_look() {
    let lines = file("in");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut farm = Farm::new(&lines);
    farm.fails("web/http", "10.1.0.1");
    let found = ["10.0.0.3:80/tcp found 10.1.0.1=found 10.1.0.2=found 10.1.0.3=found"];
    assert_eq!(farm.wanted(), found);
}

#[test]
fn a_reset_leaves_all_as_found() {
    let mut story = Story::new("");
    story.fails("2", "1=5 3=5");
    let now = story.farm().now();
    let actions = story.farm().bindings.forget(now);
    story.farm().perform(actions);
    story.settles("1=5 3=5");
    assert_eq!(story.role("10.1.0.2"), Some(ServerRole::AsFound));
}

#[test]
fn at_the_end_the_table_is_left_as_on_exit_says() {
    let mut story = Story::new("");
    assert_eq!(story.farm().bindings.at_exit(), None);
    let mut story = Story::new("exit-quiesce");
    story.fails("2", "1=5 3=5");
    story.exits();
    assert_eq!(servers(&story.kernel), "1=0 3=0");
    // The next start gives them their weights back with the first verdict.
    story.restarts("exit-quiesce");
    story.settles("1=0 3=0");
    story.succeeds("1=5 2=5 3=5");
    let mut story = Story::new("exit-remove");
    story.exits();
    assert_eq!(story.kernel, Table::new());
}

#[test]
fn the_weight_comes_from_the_check_where_the_section_says_so() {
    let full = [("10.1.0.1", 5), ("10.1.0.2", 5), ("10.1.0.3", 5)];
    let host = HostName::new("10.1.0.2");
    for (options, after, back) in [
        ("check", "1=5 2=3 3=5", "1=5 2=0 3=5"),
        ("", "1=5 2=5 3=5", "1=5 2=5 3=5"),
    ] {
        let mut story = Story::found(options, kernel(&full));
        let web = story.farm().id("web/http");
        let weigh = |story: &mut Story, weight| {
            story
                .farm()
                .bindings
                .weigh(fixture::at(0.0), web, &host, Some(weight));
        };
        weigh(&mut story, GivenWeight::Absolute(3));
        story.succeeds(after);
        story.reloads(&file(options));
        story.settles(after);
        weigh(&mut story, GivenWeight::Percent(0));
        story.succeeds(back);
    }
}

#[test]
fn of_two_checks_the_smaller_weight_counts_and_one_without_weight_says_nothing() {
    let full = kernel(&[("10.1.0.1", 5), ("10.1.0.2", 5)]);
    let lines = [
        "web/http 10.1.0.1,10.1.0.2",
        "web/ftp 10.1.0.1,10.1.0.2",
        "virtual 10.0.0.3:80/tcp web/http+web/ftp 10.1.0.1,10.1.0.2 check",
    ];
    let mut story = Story {
        farm: Some(Farm::new(&lines)),
        kernel: full,
    };
    story.looks();
    let weigh = |story: &mut Story, service: &str, weight: u16| {
        let service = story.farm().id(service);
        let host = HostName::new("10.1.0.2");
        let weight = GivenWeight::Absolute(weight);
        story
            .farm()
            .bindings
            .weigh(fixture::at(0.0), service, &host, Some(weight));
    };
    let given_by = |story: &mut Story| -> Vec<String> {
        let views = story.farm().bindings.real_servers();
        let view = views
            .into_iter()
            .find(|view| view.hosts == [HostName::new("10.1.0.2")]);
        let Some(GivenBy::Checks(given)) = view.and_then(|view| view.given_by) else {
            return Vec::new();
        };
        let model = story.farm().bindings.model.clone();
        let name = |it: &Given| model.service(it.service).name.to_string();
        given.iter().map(name).collect()
    };
    weigh(&mut story, "web/http", 3);
    story.farm().succeeds("web/ftp");
    story.succeeds("1=5 2=3");
    assert_eq!(given_by(&mut story), ["http"]);
    weigh(&mut story, "web/ftp", 4);
    story.farm().succeeds("web/ftp");
    story.settles("1=5 2=3");
    weigh(&mut story, "web/ftp", 2);
    story.farm().succeeds("web/ftp");
    story.settles("1=5 2=2");
    assert_eq!(given_by(&mut story), ["ftp"]);
    // Each of those that give it is named.
    weigh(&mut story, "web/http", 2);
    story.farm().succeeds("web/ftp");
    assert_eq!(given_by(&mut story), ["http", "ftp"]);
}

#[test]
fn a_server_that_min_live_kept_does_not_start_slowly() {
    let full = [("10.1.0.1", 100), ("10.1.0.2", 100), ("10.1.0.3", 100)];
    let mut story = Story::found("slow=27 w=100 min_live=3", kernel(&full));
    story.succeeds("1=100 2=100 3=100");
    story.fails("2", "1=100 2=100 3=100");
    assert_eq!(story.role("10.1.0.2"), Some(ServerRole::Kept));
    story.succeeds("1=100 2=100 3=100");
}
