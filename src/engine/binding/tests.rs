//! The machine against the decisions, one by one. A farm is written in lines
//! `GROUP/SERVICE HOSTS VIRTUAL_SERVICE REAL [op] [-B] [-D] [wN] [nat]`, where REAL is a host
//! or `each`; what is wanted is read as `10.0.0.3:80/tcp foreign 192.168.0.1=in`.

mod carried;
mod many;
mod names;
mod random;
mod sections;
mod shared_names;
mod wishes;

use std::net::IpAddr;

use super::*;
use crate::engine::desired::service;
use crate::engine::event::{
    Aim, Cause, HostVerdict, Note, RealServerName, Reason, SectionNews, ServerChange, TableLook,
    TableOutcome,
};
use crate::engine::fixture;
use crate::engine::section::count::Past;
use crate::lvs::replay::apply;
use crate::lvs::{
    Command, Connections, DesiredService, Forwarding, RealServer, RealServerKey, Scheduler,
    ServerWish, ServiceWish, Table, Weight, diff,
};
use crate::model::{Binding, BoundServers, Creation, Ends, Member, Withdraws};
use crate::time::Wall;

/// One line of a farm as a binding.
fn binding(model: &Model, line: &str) -> Binding {
    let mut words = line.split(' ');
    let (group, name) = words.next().unwrap().split_once('/').unwrap();
    // The words of a mark are joined.
    let virtual_service = words.nth(1).unwrap().replace('_', " ");
    let virtual_service: VirtualServiceKey = virtual_service.parse().unwrap();
    let real = words.next().unwrap();
    let flags: Vec<&str> = words.collect();
    let has = |flag| flags.contains(&flag);
    let weight = flags.iter().find_map(|flag| flag.strip_prefix('w'));
    let port = virtual_service.port().unwrap_or(0);
    Binding {
        service: model.find(group, name).unwrap(),
        virtual_service,
        real: match real {
            "each" => BoundServers::EachHost { port },
            host => BoundServers::One {
                host: HostName::new(host),
                port,
            },
        },
        forwarding: if has("nat") {
            Forwarding::Nat
        } else if has("tun") {
            Forwarding::Tun(crate::lvs::Tunnel::Ipip)
        } else {
            Forwarding::Dr
        },
        weight: Weight(weight.map_or(5, |weight| weight.parse().unwrap())),
        creation: if has("-B") {
            Creation::ByUs(Scheduler::wlc())
        } else {
            Creation::ByOthers
        },
        withdraws: if has("-D") {
            Withdraws::VirtualService
        } else {
            Withdraws::RealServer
        },
        ends: if has("op") {
            Ends::ByOperator
        } else {
            Ends::WithSuccess
        },
    }
}

fn model(lines: &[&str]) -> Arc<Model> {
    let mut services = Vec::new();
    let mut hosts = BTreeMap::new();
    let is_section = |line: &&&str| line.starts_with("virtual ");
    for line in lines.iter().filter(|line| !is_section(line)) {
        let mut words = line.split(' ');
        let (group, name) = words.next().unwrap().split_once('/').unwrap();
        let service = fixture::service(group, name);
        if !services.contains(&service) {
            services.push(service);
        }
        hosts.insert(group.to_owned(), words.next().unwrap());
    }
    let mut model = fixture::model(services);
    for group in &mut model.hostgroups {
        let members = hosts[&*group.name].split(',');
        group.members = members.map(fixture::member).collect::<Vec<Member>>();
    }
    model.bindings = lines
        .iter()
        .filter(|line| !is_section(line) && line.split(' ').count() > 2)
        .map(|line| binding(&model, line))
        .collect();
    model.virtual_services = lines
        .iter()
        .filter(is_section)
        .map(|line| sections::section(&model, line))
        .collect();
    Arc::new(model)
}

/// Bindings with all that the shell does for them: a clock, a journal, a kernel.
struct Farm {
    bindings: Bindings,
    model: Arc<Model>,
    journal: Saved,
    seconds: f64,
    /// What passes through the kernel.
    connections: Connections,
    /// What was said since last asked, without records.
    said: Vec<Action>,
}

impl Farm {
    fn new(lines: &[&str]) -> Self {
        Self::started(lines, Saved::default(), 0.0)
    }

    fn started(lines: &[&str], journal: Saved, seconds: f64) -> Self {
        let model = model(lines);
        let now = fixture::at(seconds);
        let mut farm = Self {
            bindings: Bindings::new(&model, &journal, now),
            model,
            journal,
            seconds,
            connections: Connections::new(),
            said: Vec::new(),
        };
        let actions = farm.bindings.start();
        farm.perform(actions);
        farm
    }

    /// Killed and started again, perhaps with another file.
    fn restarted(self, lines: &[&str]) -> Self {
        // Through text, as the real journal.
        let text = serde_json::to_string(&self.journal.records).unwrap();
        let records = serde_json::from_str(&text).unwrap();
        Self::started(lines, Saved { records }, self.seconds)
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            let Action::Record(record) = action else {
                self.said.push(action);
                continue;
            };
            if record.value.is_null() {
                self.journal.records.remove(&record.key);
            } else {
                self.journal.records.insert(record.key, record.value);
            }
        }
        // A journal that was lost can be written anew at any moment.
        let now = fixture::at(self.seconds);
        let anew = self.bindings.record_all(now).into_iter().map(|action| {
            let Action::Record(record) = action else {
                panic!("{action:?} is no record")
            };
            (record.key, record.value)
        });
        let anew: BTreeMap<_, _> = anew.collect();
        let mut known = self.journal.records.clone();
        // What a hand wrote and nobody reads.
        known.retain(|key, _| !key.starts_with("service ") && key != "declared x");
        assert_eq!(anew, known);
        self.agrees_with_whole_surveys();
    }

    /// What verdicts changed bit by bit is what whole surveys find.
    fn agrees_with_whole_surveys(&self) {
        for (&key, wanted) in &self.bindings.desired {
            let survey = self.bindings.survey(key);
            if survey.section.is_some() {
                assert_eq!(self.bindings.grounds.get(&key), None);
                continue;
            }
            let owned = &self.bindings.owned;
            let over = |server, wish| self.bindings.manual.over((key, server), wish);
            let held = self.bindings.held_by_lines(key, &survey);
            let leaving = (owned.wishes(key), held.as_ref());
            let whole = service(key, &survey, owned.is_made(key), leaving, over);
            assert_eq!(*wanted, whole, "{key}");
            let ground = survey
                .is_declared
                .then(|| Ground::of(&survey, wanted, held));
            assert_eq!(self.bindings.grounds.get(&key), ground.as_ref(), "{key}");
        }
        let mut kept = self.bindings.grounds.keys();
        assert!(kept.all(|key| self.bindings.desired.contains_key(key)));
    }

    fn now(&mut self) -> Now {
        self.seconds += 1.0;
        self.is_it()
    }

    /// The time as it is, told to the bindings.
    fn is_it(&mut self) -> Now {
        let now = fixture::at(self.seconds);
        self.bindings.take_time(now);
        now
    }

    fn id(&self, service: &str) -> ServiceId {
        let (group, name) = service.split_once('/').unwrap();
        self.model.find(group, name).unwrap()
    }

    fn report(&self, service: &str, down: &str) -> BTreeMap<HostName, HostVerdict> {
        let group = self.model.hostgroup(self.id(service));
        let verdict = |host: &HostName| match down {
            "?" => HostVerdict::Unknown(Reason::NoHostNamed),
            _ if down.split(' ').any(|it| it == host.as_str()) => {
                HostVerdict::Down(Reason::Timeout)
            }
            _ => HostVerdict::Up,
        };
        let members = group.members.iter();
        members
            .map(|member| (member.host.clone(), verdict(&member.host)))
            .collect()
    }

    /// A failing report that passed the alert rules; `down` are the hosts it names, `?` for
    /// one that names none.
    fn fails(&mut self, service: &str, down: &str) {
        self.failing(service, down, Ruling::Passed);
    }

    /// A failing report that the alert rules hold back.
    fn fails_quietly(&mut self, service: &str, down: &str) {
        self.failing(service, down, Ruling::HeldBack);
    }

    fn failing(&mut self, service: &str, down: &str, ruling: Ruling) {
        let (now, id, hosts) = (self.now(), self.id(service), self.report(service, down));
        let actions = self
            .bindings
            .failed(now, id, ruling, &hosts, Some(Reason::Exit));
        self.perform(actions);
    }

    fn succeeds(&mut self, service: &str) {
        self.now();
        let (id, hosts) = (self.id(service), self.report(service, ""));
        let actions = self.bindings.succeeded(id, &hosts);
        self.perform(actions);
    }

    fn resolves(&mut self, host: &str, answer: &str) {
        let addresses = answer.split(' ').filter(|word| !word.is_empty());
        let addresses: Vec<IpAddr> = addresses.map(|word| word.parse().unwrap()).collect();
        let (host, answer) = (HostName::new(host), Ok(addresses));
        let actions = self.bindings.resolved(&[Resolved::fresh(host, answer)]);
        self.perform(actions);
    }

    fn fails_to_resolve(&mut self, hosts: &str) {
        let failed = |host| Resolved::fresh(HostName::new(host), Err("no such name".to_owned()));
        let answers: Vec<Resolved> = hosts.split(' ').map(failed).collect();
        let actions = self.bindings.resolved(&answers);
        self.perform(actions);
    }

    /// Answers with who is to look at other addresses than before.
    fn reloads(&mut self, lines: &[&str]) -> BTreeSet<ServiceId> {
        self.model = model(lines);
        let now = self.now();
        let turned = self.bindings.turned(&self.model);
        // No monitor is another.
        let past = Past {
            unchanged: self.model.services().map(|(id, _)| id).collect(),
            ..Past::default()
        };
        let actions = self.bindings.reload(now, &self.model, (past, &turned));
        self.perform(actions);
        turned.behind().clone()
    }

    fn enables(&mut self, server: &str) -> Result<String, String> {
        let now = fixture::at(self.seconds);
        let (answer, actions) = self.bindings.enable(now, &aim(server, None));
        self.perform(actions);
        answer
    }

    /// Until this many seconds after the start.
    fn waits_until(&mut self, seconds: f64) {
        self.seconds = seconds;
        let now = self.is_it();
        let actions = self.bindings.deadline(now);
        self.perform(actions);
        let next = self.bindings.next_deadline();
        assert!(next.is_none_or(|next| next > fixture::at(seconds).mono));
    }

    /// The applier looks at the kernel's table and makes it as wanted.
    fn applies(&mut self, table: &mut Table) -> Vec<Command> {
        let desired = self.bindings.desired().clone();
        let commands = diff::diff(&desired, table);
        for command in &commands {
            apply(table, command).unwrap();
        }
        let outcome = TableOutcome {
            table: TableLook::Read(Arc::new(diff::owned(&desired, table.clone()))),
            connections: Arc::new(self.connections.clone()),
            wanted: Arc::new(desired),
            applied: commands.clone(),
            ..TableOutcome::default()
        };
        let now = self.is_it();
        let actions = self.bindings.table_seen(now, &outcome);
        self.perform(actions);
        commands
    }

    fn wanted(&self) -> Vec<String> {
        in_words(self.bindings.desired())
    }

    /// What was said since last asked: notes in short, `apply`, `resolve NAME`.
    fn said(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.said);
        said.iter().map(|action| self.in_short(action)).collect()
    }

    fn in_short(&self, action: &Action) -> String {
        if *action == Action::ApplyTable {
            return "apply".to_owned();
        }
        if let Action::Resolve(host) = action {
            return format!("resolve {host}");
        }
        if let Action::Note(Note::Binding { text, .. }) = action {
            return text.clone();
        }
        if let Action::Note(Note::Section { news, .. }) = action {
            return match news {
                SectionNews::Mend { text, .. } => format!("Mend({text:?})"),
                SectionNews::Began(..) | SectionNews::Over(..) => format!("{news:?}"),
            };
        }
        let Action::Note(Note::Server { server, change, .. }) = action else {
            return format!("{action:?}");
        };
        let server = server.0.ip();
        match change {
            ServerChange::In => format!("{server} in"),
            ServerChange::Kept(by) => format!("{server} kept although {}", self.reasons(by)),
            ServerChange::Moved { host, to } => format!("{server} left, {host} is {to}"),
            ServerChange::Dropped => format!("{server} dropped"),
            ServerChange::OutByWish(why) => format!("{server} out by ann: {why}"),
            ServerChange::Quiesced(by) => format!("{server} zero by {}", self.reasons(by)),
            ServerChange::QuiescedByWish(why) => format!("{server} zero by ann: {why}"),
            ServerChange::Weightless => format!("{server} zero by its own weight"),
            ServerChange::Out(by) => format!("{server} out by {}", self.reasons(by)),
        }
    }

    fn reasons(&self, by: &[Cause]) -> String {
        let by = by.iter().map(|cause| {
            let service = self.model.service(cause.service);
            format!("{}/{}:{}", service.group, service.name, cause.reason)
        });
        by.collect::<Vec<String>>().join(" ")
    }

    fn journal_keys(&self) -> Vec<&str> {
        self.journal.records.keys().map(String::as_str).collect()
    }
}

fn aim(server: &str, within: Option<&str>) -> Aim {
    Aim {
        server: RealServerName(server.to_owned()),
        within: within.map(str::to_owned),
    }
}

/// What is wanted, one line for each virtual service.
fn in_words(desired: &Desired) -> Vec<String> {
    let line = |(key, wanted): (&VirtualServiceKey, &DesiredService)| {
        let service = match &wanted.service {
            ServiceWish::Foreign => "foreign",
            ServiceWish::Present(_) => "present",
            ServiceWish::Owned(_) => "owned",
            ServiceWish::Absent => "absent",
            ServiceWish::AsFound => "found",
        };
        let mut line = format!("{key} {service}");
        for (RealServerKey(server), wish) in &wanted.servers {
            let wish = match wish {
                ServerWish::In(settings) if settings.weight == Weight(0) => "zero",
                ServerWish::In(_) => "in",
                ServerWish::Out => "out",
                ServerWish::AsFound => "found",
            };
            line.push_str(&format!(" {}={wish}", server.ip()));
        }
        line
    };
    desired.iter().map(line).collect()
}

const VS: &str = "10.0.0.3:80/tcp";

/// The HOWTO's farm: one watch for each real server.
const HOWTO: [&str; 2] = [
    "www1/http www1.domain.com 10.0.0.3:80/tcp 192.168.0.1",
    "www2/http www2.domain.com 10.0.0.3:80/tcp 192.168.0.2",
];

/// One group, each host a real server.
const GROUP: [&str; 1] = ["www/http 10.1.0.1,10.1.0.2,10.1.0.3 10.0.0.3:80/tcp each"];

#[test]
fn the_howtos_farm_loses_and_regains_a_server() {
    let mut farm = Farm::new(&HOWTO);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=found 192.168.0.2=found")]
    );
    assert_eq!(farm.said(), ["apply"]);
    farm.succeeds("www1/http");
    farm.succeeds("www2/http");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=in 192.168.0.2=in")]
    );
    assert_eq!(
        farm.said(),
        ["192.168.0.1 in", "apply", "192.168.0.2 in", "apply"]
    );
    farm.fails("www1/http", "www1.domain.com");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=out 192.168.0.2=in")]
    );
    assert_eq!(farm.said(), ["192.168.0.1 out by www1/http:exit", "apply"]);
    farm.fails("www1/http", "www1.domain.com");
    farm.succeeds("www2/http");
    assert!(farm.said().is_empty(), "nothing new was said");
    farm.succeeds("www1/http");
    assert_eq!(farm.said(), ["192.168.0.1 in", "apply"]);
}

#[test]
fn a_failure_that_the_rules_hold_back_is_no_verdict() {
    let mut farm = Farm::new(&HOWTO);
    farm.fails_quietly("www1/http", "");
    assert!(farm.wanted()[0].contains("192.168.0.1=found"));
    farm.succeeds("www1/http");
    farm.fails_quietly("www1/http", "");
    assert!(farm.wanted()[0].contains("192.168.0.1=in"));
    farm.fails("www1/http", "");
    assert!(farm.wanted()[0].contains("192.168.0.1=out"));
    // The gate is open: what limits messages does not limit the table.
    farm.succeeds("www1/http");
    farm.fails("www1/http", "");
    farm.fails_quietly("www1/http", "");
    assert!(farm.wanted()[0].contains("192.168.0.1=out"));
}

#[test]
fn within_one_outage_each_host_follows_the_latest_report() {
    let mut farm = Farm::new(&GROUP);
    farm.succeeds("www/http");
    let mut expect = |down: &str, ruling, one, two, three| {
        match down {
            "" => farm.succeeds("www/http"),
            down => farm.failing("www/http", down, ruling),
        }
        let servers = format!("10.1.0.1={one} 10.1.0.2={two} 10.1.0.3={three}");
        assert_eq!(farm.wanted(), [format!("{VS} foreign {servers}")], "{down}");
    };
    expect("10.1.0.1", Ruling::HeldBack, "in", "in", "in");
    expect("10.1.0.1", Ruling::Passed, "out", "in", "in");
    expect("10.1.0.1 10.1.0.2", Ruling::HeldBack, "out", "out", "in");
    expect("10.1.0.2", Ruling::HeldBack, "in", "out", "in");
    expect("?", Ruling::Passed, "in", "out", "in");
    expect(
        "10.1.0.1 10.1.0.2 10.1.0.3",
        Ruling::HeldBack,
        "out",
        "out",
        "out",
    );
    expect("", Ruling::Passed, "in", "in", "in");
    // The success closed the gate.
    expect("10.1.0.3", Ruling::HeldBack, "in", "in", "in");
}

#[test]
fn a_good_host_of_a_failing_group_enters_before_the_gate_opens() {
    let mut farm = Farm::new(&GROUP);
    farm.fails_quietly("www/http", "10.1.0.1");
    assert_eq!(
        farm.wanted(),
        [format!(
            "{VS} foreign 10.1.0.1=found 10.1.0.2=in 10.1.0.3=in"
        )]
    );
}

#[test]
fn a_failure_that_names_no_host_changes_nothing_and_says_so_once() {
    let mut farm = Farm::new(&GROUP);
    farm.succeeds("www/http");
    farm.said();
    farm.fails("www/http", "?");
    let said = farm.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("does not say which hosts fail"),
        "{said:?}"
    );
    farm.fails("www/http", "?");
    assert!(farm.said().is_empty());
    assert!(farm.wanted()[0].contains("10.1.0.1=in"));
    // With -R the service's verdict alone counts.
    let mut farm = Farm::new(&HOWTO);
    farm.fails("www1/http", "?");
    assert!(farm.wanted()[0].contains("192.168.0.1=out"));
}

#[test]
fn a_server_is_in_only_when_all_its_services_agree() {
    let mut farm = Farm::new(&[
        "www1/http w1 10.0.0.3:80/tcp 192.168.0.1",
        "www1/ping w1 10.0.0.3:80/tcp 192.168.0.1",
    ]);
    let mut expect = |is_good: bool, service: &str, wish: &str| {
        if is_good {
            farm.succeeds(service);
        } else {
            farm.fails(service, "");
        }
        assert_eq!(farm.wanted(), [format!("{VS} foreign 192.168.0.1={wish}")]);
    };
    expect(true, "www1/ping", "found");
    expect(true, "www1/http", "in");
    expect(false, "www1/http", "out");
    expect(false, "www1/ping", "out");
    expect(true, "www1/ping", "out");
    expect(true, "www1/http", "in");
}

#[test]
fn hosts_of_several_groups_share_one_real_server() {
    let mut farm = Farm::new(&[
        "a/http 10.1.0.1,10.1.0.2 10.0.0.3:80/tcp each",
        "b/ping 10.1.0.2 10.0.0.3:80/tcp each",
    ]);
    farm.succeeds("a/http");
    farm.fails("b/ping", "10.1.0.2");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=in 10.1.0.2=out")]
    );
    let views = farm.bindings.real_servers();
    assert_eq!(views.len(), 2);
    assert_eq!(views[1].withdrawals.len(), 1);
    assert_eq!(views[1].withdrawals[0].service, farm.id("b/ping"));
    assert_eq!(views[1].withdrawals[0].reason, Reason::Timeout);
    assert_eq!(views[1].withdrawals[0].since, fixture::at(2.0).wall);
}

#[test]
fn a_service_that_never_runs_leaves_the_count_after_one_interval() {
    let lines = [
        "www1/http w1 10.0.0.3:80/tcp 192.168.0.1",
        "www1/trap w1 10.0.0.3:80/tcp 192.168.0.1",
    ];
    let mut farm = Farm::new(&lines);
    farm.succeeds("www1/http");
    // An interval of 10 s and a limit of 600 s.
    farm.waits_until(609.0);
    assert!(farm.wanted()[0].ends_with("=found"));
    farm.said();
    farm.waits_until(610.0);
    assert!(farm.wanted()[0].ends_with("=in"));
    let said = farm.said();
    assert!(said[0].contains("decided without this service"), "{said:?}");
    let view = &farm.bindings.real_servers()[0];
    assert_eq!(view.left_out, [farm.id("www1/trap")]);
    // Even a failure that is held back shows that it runs, so it is waited for again.
    farm.fails_quietly("www1/trap", "");
    assert!(farm.wanted()[0].ends_with("=found"));
    farm.fails("www1/trap", "");
    assert!(farm.wanted()[0].ends_with("=out"));
}

#[test]
fn a_server_of_which_no_service_can_speak_is_left_alone() {
    let mut farm = Farm::new(&HOWTO);
    farm.waits_until(10_000.0);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 192.168.0.1=found 192.168.0.2=found")]
    );
}

#[test]
fn an_excluded_host_leaves_the_count_while_others_of_its_service_are_heard() {
    let mut farm = Farm::new(&[
        "a/http 10.1.0.1,10.1.0.2 10.0.0.3:80/tcp each",
        "a/ping 10.1.0.1,10.1.0.2 10.0.0.3:80/tcp each",
    ]);
    farm.succeeds("a/http");
    let only_first = BTreeMap::from([(HostName::new("10.1.0.1"), HostVerdict::Up)]);
    let ping = farm.id("a/ping");
    let actions = farm.bindings.succeeded(ping, &only_first);
    farm.perform(actions);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=in 10.1.0.2=found")]
    );
    farm.waits_until(610.0);
    assert_eq!(
        farm.wanted(),
        [format!("{VS} foreign 10.1.0.1=in 10.1.0.2=in")]
    );
}

#[test]
fn a_host_that_is_not_checked_keeps_its_verdict_over_a_success_of_the_others() {
    let mut farm = Farm::new(&GROUP);
    farm.fails("www/http", "10.1.0.1");
    let http = farm.id("www/http");
    let mut others = farm.report("www/http", "");
    others.remove(&HostName::new("10.1.0.1"));
    let actions = farm.bindings.succeeded(http, &others);
    farm.perform(actions);
    assert!(farm.wanted()[0].contains("10.1.0.1=out 10.1.0.2=in"));
}

#[test]
fn without_an_upalert_line_only_a_person_ends_a_withdrawal() {
    let mut farm = Farm::new(&[
        "www1/http w1 10.0.0.3:80/tcp 192.168.0.1 op",
        "www1/ping w1 10.0.0.3:80/tcp 192.168.0.1",
    ]);
    farm.succeeds("www1/ping");
    farm.fails("www1/http", "");
    farm.succeeds("www1/http");
    assert!(farm.wanted()[0].ends_with("=out"));
    for name in ["192.168.0.2", "192.168.0.1:8", "w1", "192.168.0.10"] {
        let answer = farm.enables(name).unwrap_err();
        assert!(answer.contains("there are 192.168.0.1"), "{answer}");
    }
    let answer = farm.enables("192.168.0.1:80").unwrap();
    assert_eq!(
        answer,
        "192.168.0.1:80 in 10.0.0.3:80/tcp: the withdrawal by www1/http is ended"
    );
    assert!(farm.wanted()[0].ends_with("=in"));
    let answer = farm.enables("192.168.0.1").unwrap_err();
    assert!(answer.contains("nothing withdraws"), "{answer}");
    farm.fails("www1/ping", "");
    let answer = farm.enables("192.168.0.1").unwrap_err();
    assert!(answer.contains("by www1/ping; that ends with"), "{answer}");
    farm.fails("www1/http", "");
    let answer = farm.enables("192.168.0.1").unwrap();
    assert!(answer.contains("still failing"), "{answer}");
    assert!(answer.contains("still withdrawn by www1/ping"), "{answer}");
    farm.succeeds("www1/ping");
    assert!(farm.wanted()[0].ends_with("=in"));
    farm.fails("www1/http", "");
    assert!(farm.wanted()[0].ends_with("=out"));
}

#[test]
fn a_recovery_within_the_outage_does_not_end_what_only_a_person_ends() {
    let lines = ["www/http 10.1.0.1,10.1.0.2 10.0.0.3:80/tcp each op"];
    let mut farm = Farm::new(&lines);
    farm.fails("www/http", "10.1.0.1");
    farm.fails("www/http", "10.1.0.2");
    assert!(farm.wanted()[0].ends_with("10.1.0.1=out 10.1.0.2=out"));
    farm.enables("10.1.0.1").unwrap();
    assert!(farm.wanted()[0].ends_with("10.1.0.1=in 10.1.0.2=out"));
}

#[test]
fn with_creation_the_service_comes_with_its_first_server() {
    let mut farm = Farm::new(&["www1/http w1 10.0.0.3:80/tcp 192.168.0.1 -B"]);
    let mut table = Table::new();
    assert_eq!(farm.wanted(), [format!("{VS} found 192.168.0.1=found")]);
    farm.fails("www1/http", "");
    assert!(farm.applies(&mut table).is_empty());
    farm.succeeds("www1/http");
    assert_eq!(farm.wanted(), [format!("{VS} present 192.168.0.1=in")]);
    assert_eq!(farm.applies(&mut table).len(), 2);
    // All down: the service stays, empty.
    farm.fails("www1/http", "");
    assert_eq!(farm.applies(&mut table).len(), 1);
    assert_eq!(table.len(), 1);
}

#[test]
fn with_deletion_a_failure_takes_the_service_and_a_success_makes_it_again() {
    let mut farm = Farm::new(&[
        "www1/http w1 10.0.0.3:80/tcp 192.168.0.1 -B -D",
        "www2/http w2 10.0.0.3:80/tcp 192.168.0.2 -B",
    ]);
    let mut table = Table::new();
    farm.succeeds("www1/http");
    farm.succeeds("www2/http");
    farm.applies(&mut table);
    farm.said();
    farm.fails("www1/http", "");
    assert_eq!(
        farm.wanted(),
        [format!("{VS} absent 192.168.0.1=out 192.168.0.2=out")]
    );
    let said = farm.said();
    assert!(
        said.contains(&"192.168.0.2 out by www1/http:exit".to_owned()),
        "{said:?}"
    );
    assert_eq!(farm.applies(&mut table).len(), 1);
    assert!(table.is_empty());
    farm.succeeds("www1/http");
    farm.applies(&mut table);
    assert_eq!(table.len(), 1);
    // Without -B it comes back only with whoever makes it.
    let mut farm = Farm::new(&["www1/http w1 10.0.0.3:80/tcp 192.168.0.1 -D"]);
    farm.fails("www1/http", "");
    assert_eq!(farm.wanted(), [format!("{VS} absent 192.168.0.1=out")]);
    farm.applies(&mut table);
    assert!(table.is_empty());
    farm.succeeds("www1/http");
    assert_eq!(farm.wanted(), [format!("{VS} foreign 192.168.0.1=in")]);
    assert!(farm.applies(&mut table).is_empty());
}

#[test]
fn services_without_bindings_decide_nothing() {
    let mut farm = Farm::new(&["www1/http w1", HOWTO[1]]);
    farm.said();
    farm.fails("www1/http", "w1");
    farm.succeeds("www1/http");
    assert!(farm.said().is_empty());
    assert!(!farm.bindings.decides(farm.id("www1/http")));
    assert!(farm.bindings.decides(farm.id("www2/http")));
}

/// A thousand services with a real server each in one virtual service; how many claims the
/// work looks at.
fn looked_at_by_a_farm(flags: &str, work: impl Fn(&mut Bindings, ServiceId, u32)) -> usize {
    let line = |at: u32| {
        let host = format!("10.1.{}.{}", at / 250, at % 250 + 1);
        format!("w{at}/http {host} 10.0.0.3:80/tcp {host}{flags}")
    };
    let lines: Vec<String> = (0..1000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let model = model(&lines);
    let mut bindings = Bindings::new(&model, &Saved::default(), fixture::at(0.0));
    bindings.looked_at.set(0);
    for at in 0..1000 {
        let id = model.find(&format!("w{at}"), "http").unwrap();
        work(&mut bindings, id, at);
    }
    bindings.looked_at.get()
}

#[test]
fn a_question_about_a_real_server_surveys_its_virtual_service_only() {
    let line = |at: u32| {
        let host = format!("10.1.{}.{}", at / 250, at % 250 + 1);
        format!("w{at}/http {host} 10.0.0.3:{}/tcp {host}", at + 1)
    };
    let lines: Vec<String> = (0..1000).map(line).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let bindings = Bindings::new(&model(&lines), &Saved::default(), fixture::at(0.0));
    for (name, looks) in [("10.1.0.8", 1), ("10.1.0.8:8", 1), ("[10.1.0.8]", 1)] {
        bindings.looked_at.set(0);
        let aim = Aim {
            server: RealServerName(name.to_owned()),
            within: None,
        };
        let found = bindings.aimed(&aim).map(|views| views.len());
        assert_eq!(found, Ok(1), "{name}");
        assert_eq!(bindings.looked_at.get(), looks, "{name}");
    }
}

fn makes_news(bindings: &mut Bindings, id: ServiceId, _: u32) {
    let none = BTreeMap::new();
    let now = fixture::at(1.0);
    for is_good in [true, false, true] {
        let actions = if is_good {
            bindings.succeeded(id, &none)
        } else {
            bindings.failed(now, id, Ruling::Passed, &none, Some(Reason::Exit))
        };
        assert!(actions.contains(&Action::ApplyTable), "{actions:?}");
    }
}

#[test]
fn a_verdict_looks_at_the_real_servers_of_its_own_service_only() {
    assert_eq!(looked_at_by_a_farm("", makes_news), 3 * 1000);
    assert_eq!(
        looked_at_by_a_farm(" -B op", |bindings, id, _| {
            let (none, now) = (BTreeMap::new(), fixture::at(1.0));
            bindings.succeeded(id, &none);
            bindings.failed(now, id, Ruling::Passed, &none, Some(Reason::Exit));
        }),
        2 * 1000
    );
}

#[test]
fn the_whole_is_surveyed_only_when_its_withdrawal_begins_or_ends() {
    // The first failure looks at all; those after it find the whole withdrawn already.
    let fails = |bindings: &mut Bindings, id, _| {
        bindings.failed(
            fixture::at(1.0),
            id,
            Ruling::Passed,
            &BTreeMap::new(),
            Some(Reason::Exit),
        );
    };
    assert_eq!(looked_at_by_a_farm(" -B -D", fails), 1000);
}
