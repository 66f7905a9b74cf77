//! One section of two real servers with an alert and an upalert, told of each trouble once.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{
    Action, Aim, AlertCall, AlertKind, Caution, Contested, Event, ManualWish, Note, Order,
    PeerTold, RealServerName, Report, Resolved, SectionNews, TableLook, TableOutcome, Wish,
};
use crate::engine::fixture::{self, at};
use crate::engine::saved::Saved;
use crate::lvs::diff::diff;
use crate::lvs::replay::apply;
use crate::lvs::{
    Command, Family, Forwarding, RealServer, RealServerKey, Scheduler, Table, VirtualService,
    Weight,
};
use crate::model::{
    DeclaredJudge, DeclaredServer, DeclaredService, Fallback, HostName, JudgedBy, MinLive, Model,
    OwnRules, ServiceId,
};
use crate::pair::Speaking;
use crate::pair::talk::counted::Events;
use crate::pair::talk::delivered::SECTION_GROUP;
use crate::pair::talk::word::{Lasted, OpenOutage, Past, ServiceName, ToldPeriods};
use crate::pair::talk::{EventId, Reached};
use crate::time::{Mono, Wall};

use super::{ServedBy, servers, young};

mod beside;
mod wished;

const VS: &str = "10.0.0.3:80/tcp";

fn section() -> DeclaredService {
    let key: crate::lvs::VirtualServiceKey = VS.parse().unwrap();
    let settings = VirtualService::plain(key.family(), Scheduler::wlc());
    let mut section = DeclaredService::new(key, settings);
    let server = |host: &str| DeclaredServer {
        host: HostName::new(host),
        port: 80,
        settings: RealServer::new(Forwarding::Dr, Weight(5)),
        own: OwnRules::default(),
        judges: vec![DeclaredJudge {
            service: ServiceId(0),
            verdict: JudgedBy::Host,
        }],
    };
    section.servers = ["10.1.0.1", "10.1.0.2"].map(server).into();
    section.counts.fall = NonZeroU32::MIN;
    section.alerts = vec![fixture::alert("page.alert"), fixture::alert("log.alert")];
    section.upalerts = vec![fixture::alert("page.alert")];
    section
}

fn model(change: impl Fn(&mut DeclaredService)) -> Model {
    let services = vec![fixture::service("web", "http")];
    let mut model = fixture::model_of(services, &["10.1.0.1", "10.1.0.2"]);
    let mut section = section();
    change(&mut section);
    model.virtual_services.push(section);
    model
}

/// A section that wants one server, of a director that has a peer.
fn with_peer() -> Model {
    let mut model = model(|section| section.min_live = MinLive::Count(1));
    model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
    model
}

/// A director with its journal and its kernel.
struct Director {
    engine: Engine,
    journal: Saved,
    kernel: Table,
    seconds: f64,
    /// What its first look at the table brought about.
    at_start: Vec<Action>,
}

fn keep(journal: &mut Saved, action: &Action) {
    let Action::Record(record) = action else {
        return;
    };
    if record.value.is_null() {
        journal.records.remove(&record.key);
    } else {
        let (key, value) = (record.key.clone(), record.value.clone());
        journal.records.insert(key, value);
    }
}

impl Director {
    fn start(model: Model, journal: Saved, kernel: Table, seconds: f64) -> Self {
        let now = at(seconds);
        let engine = Engine::new(model.into(), &journal, 1, TimeZone::UTC, now);
        let mut director = Self {
            engine,
            journal,
            kernel,
            seconds,
            at_start: Vec::new(),
        };
        director.tell(Event::Start);
        director.at_start = director.looks();
        director
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.engine.handle(at(self.seconds), event);
        for action in &actions {
            keep(&mut self.journal, action);
        }
        actions
    }

    fn looks(&mut self) -> Vec<Action> {
        let mut told = Vec::new();
        for _ in 0..2 {
            let wanted = self.engine.desired().clone();
            for command in diff(&wanted, &self.kernel) {
                apply(&mut self.kernel, &command).unwrap();
            }
            told.extend(self.sees(TableOutcome {
                wanted: wanted.into(),
                table: TableLook::Read(self.kernel.clone().into()),
                ..TableOutcome::default()
            }));
        }
        told
    }

    fn sees(&mut self, outcome: TableOutcome) -> Vec<Action> {
        self.tell(Event::Table(outcome))
    }

    /// What goes on has lasted long enough to be told.
    fn lasts(&mut self) -> Vec<Action> {
        self.seconds += young::TOLD_AFTER.as_secs_f64() + 0.001;
        self.tell(Event::Deadline)
    }

    /// The next run reports this, and the table follows; no time passes behind it.
    fn hears(&mut self, report: &Report) -> Vec<Action> {
        let mut actions = self.hears_alone(report);
        actions.extend(self.looks());
        actions
    }

    /// The next run reports this, and nobody looks at the table.
    fn hears_alone(&mut self, report: &Report) -> Vec<Action> {
        for _ in 0..100 {
            let run = self.engine.runs().next();
            if let Some((run, _)) = run {
                let report = report.clone();
                return self.tell(Event::RunEnded { run, report });
            }
            let due = self.engine.next_deadline().unwrap();
            self.seconds = self.seconds.max(due.since(Mono::ZERO).as_secs_f64());
            self.tell(Event::Deadline);
        }
        panic!("no run is started");
    }

    /// The next run reports this; the alerts that follow, in short.
    fn reports(&mut self, report: &Report) -> Vec<String> {
        let mut actions = self.hears(report);
        actions.extend(self.lasts());
        alerts(&actions)
    }

    /// An operator wishes this of a real server, and the table follows.
    fn orders(&mut self, server: &str, wish: ManualWish) -> Vec<Action> {
        let aim = Aim {
            server: RealServerName(server.to_owned()),
            within: None,
        };
        let mut actions = self.tell(Event::Operator(Wish::Manual(Order {
            aim,
            wish,
            span: None,
            by: "ann".to_owned(),
            reason: "new kernel".to_owned(),
            caution: Caution::Force,
        })));
        actions.extend(self.looks());
        actions
    }

    /// An operator disables all real servers; the alerts that follow.
    fn keeps_all_out(&mut self) -> Vec<String> {
        let mut actions = self.orders("10.1.0.1", ManualWish::Disable);
        actions.extend(self.orders("10.1.0.2", ManualWish::Disable));
        actions.extend(self.lasts());
        alerts(&actions)
    }

    /// Whether the kernel has this real server.
    fn is_in(&self, host: &str) -> bool {
        let entries = self.kernel.values().flat_map(|entry| entry.servers.keys());
        let mut hosts = entries.map(|server| server.0.ip().to_string());
        hosts.any(|it| it == host)
    }
}

fn call(action: &Action) -> Option<&AlertCall> {
    let Action::Send(call) = action else {
        return None;
    };
    Some(call)
}

fn calls(actions: &[Action]) -> Vec<&AlertCall> {
    actions.iter().filter_map(call).collect()
}

fn alerts(actions: &[Action]) -> Vec<String> {
    let calls = calls(actions).into_iter();
    calls
        .map(|call| format!("{} {} {}", call.command.name, call.kind.word(), call.event))
        .collect()
}

#[test]
fn each_trouble_is_told_once_and_so_is_its_end() {
    let file = || {
        model(|section| {
            section.min_live = MinLive::Count(1);
        })
    };
    let mut director = Director::start(file(), Saved::default(), Table::new(), 0.0);
    let good = fixture::exited(0, "");
    let bad = fixture::exited(1, "10.1.0.1 10.1.0.2");
    assert_eq!(director.reports(&good), Vec::<String>::new());
    let told = director.reports(&bad);
    let began = &told[0].rsplit('/').nth(2).unwrap().to_owned();
    let expected = [
        format!("page.alert failure virtual/{VS} too_few/{began}/failure/1"),
        format!("log.alert failure virtual/{VS} too_few/{began}/failure/2"),
    ];
    assert_eq!(told, expected);
    assert_eq!(director.reports(&bad), Vec::<String>::new());
    // Nor after a restart.
    let (journal, kernel) = (director.journal.clone(), director.kernel.clone());
    let mut director = Director::start(file(), journal, kernel, director.seconds);
    assert_eq!(director.reports(&bad), Vec::<String>::new());
    let told = director.reports(&good);
    let expected = format!("page.alert up virtual/{VS} too_few/{began}/up/1");
    assert_eq!(told, [expected]);
    assert!(
        !director
            .journal
            .records
            .keys()
            .any(|key| key.starts_with("trouble "))
    );
    // Another time has another number.
    assert!(!director.reports(&bad)[0].contains(began.as_str()));
}

/// The trouble's record, where there is one, and the calls that belong to it, in their order.
fn in_order(actions: &[Action]) -> Vec<&'static str> {
    let key = format!("trouble {VS} too_few");
    let said = |action: &Action| -> Option<&'static str> {
        if let Action::Record(record) = action {
            let word = if record.value.is_null() {
                "over"
            } else {
                "on record"
            };
            return (record.key == key).then_some(word);
        }
        let call = call(action)?;
        if *call.record == *key {
            Some(call.kind.word())
        } else {
            Some("a call of another record")
        }
    };
    actions.iter().filter_map(said).collect()
}

#[test]
fn a_crash_before_its_calls_are_in_the_spool_costs_none_and_makes_no_second_id() {
    let file = || model(|section| section.min_live = MinLive::Count(1));
    let (good, bad) = (
        fixture::exited(0, ""),
        fixture::exited(1, "10.1.0.1 10.1.0.2"),
    );
    let mut director = Director::start(file(), Saved::default(), Table::new(), 0.0);
    director.reports(&good);
    director.hears(&bad);
    let mut crashed = director.journal.clone();
    let began = director.lasts();
    let expected = ["on record", "failure", "failure", "on record"];
    assert_eq!(in_order(&began), expected);
    let is_call = |action: &&Action| matches!(action, Action::Send(_));
    for action in began.iter().take_while(|action| !is_call(action)) {
        keep(&mut crashed, action);
    }
    let restart = |journal: &Saved| {
        let (journal, kernel) = (journal.clone(), director.kernel.clone());
        Director::start(file(), journal, kernel, director.seconds)
    };
    let again = restart(&crashed);
    assert_eq!(alerts(&again.at_start), alerts(&began));
    for told in [&again.journal, &director.journal] {
        assert_eq!(alerts(&restart(told).at_start), Vec::<String>::new());
    }
    // Its end is told, too, before it is forgotten: also where the crash came before its begin.
    for journal in [&crashed, &director.journal] {
        let mut director = restart(journal);
        let mut over = director.hears(&good);
        over.extend(director.lasts());
        assert_eq!(in_order(&over), ["up", "over"]);
        let number = number_of(&alerts(&began));
        assert_eq!(number_of(&alerts(&over)), number);
    }
}

fn with_fallback() -> Model {
    model(|section| {
        section.min_live = MinLive::Count(2);
        section.fallback = Some(Fallback {
            host: HostName::new("10.1.0.9"),
            port: 80,
            settings: RealServer::new(Forwarding::Dr, Weight(1)),
        });
    })
}

#[test]
fn one_trouble_may_become_another() {
    let mut director = Director::start(with_fallback(), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let kinds = |told: Vec<String>| -> Vec<String> {
        told.iter()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
            .collect()
    };
    let told = director.reports(&fixture::exited(1, "10.1.0.2"));
    assert_eq!(kinds(told), ["page.alert failure", "log.alert failure"]);
    let told = director.reports(&fixture::exited(1, "10.1.0.1 10.1.0.2"));
    let expected = ["page.alert up", "page.alert failure", "log.alert failure"];
    assert_eq!(kinds(told), expected);
    let told = director.reports(&fixture::exited(0, ""));
    assert_eq!(kinds(told), ["page.alert up"]);
}

/// Somebody else deletes the virtual service again and again.
fn deleted() -> Contested {
    let plain = VirtualService::plain(Family::V4, Scheduler::wlc());
    Contested {
        repair: Command::AddService(VS.parse().unwrap(), plain),
        rests_until: None,
    }
}

/// A look at the table in which somebody else writes these places.
fn outcome(director: &Director, contested: Vec<Contested>) -> TableOutcome {
    TableOutcome {
        wanted: director.engine.desired().clone().into(),
        table: TableLook::Read(director.kernel.clone().into()),
        contested,
        ..TableOutcome::default()
    }
}

#[test]
fn somebody_else_who_writes_the_same_place_is_reported() {
    let mut director = Director::start(model(|_| {}), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let fight = outcome(&director, vec![deleted()]);
    assert_eq!(calls(&director.sees(fight.clone())).len(), 0);
    let actions = director.lasts();
    let told = calls(&actions);
    assert_eq!(told.len(), 2);
    let summary = &told[0].summary;
    assert!(summary.contains("somebody else"), "{summary}");
    assert!(summary.contains("it deletes 10.0.0.3:80/tcp"), "{summary}");
    assert_eq!((told[0].kind, told[0].service), (AlertKind::Failure, None));
    assert_eq!(calls(&director.sees(fight)).len(), 0);
    let peace = outcome(&director, Vec::new());
    assert_eq!(calls(&director.sees(peace)).len(), 1);
}

#[test]
fn an_alert_names_what_somebody_else_does_and_not_more_than_a_person_reads() {
    let mut director = Director::start(model(|_| {}), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let put_in = |last: u8| {
        let server = RealServerKey(format!("10.9.9.{last}:80").parse().unwrap());
        Contested {
            repair: Command::DeleteServer(VS.parse().unwrap(), server),
            rests_until: None,
        }
    };
    let fight = outcome(&director, (1..6).map(put_in).collect());
    director.sees(fight);
    let actions = director.lasts();
    let summary = &calls(&actions)[0].summary;
    let foreign = "puts 10.9.9.1:80 (not in the file) into 10.0.0.3:80/tcp";
    assert!(summary.contains(foreign), "{summary}");
    assert!(summary.contains("10.9.9.3:80"), "{summary}");
    assert!(!summary.contains("10.9.9.4:80"), "{summary}");
    assert!(summary.contains("and 2 more"), "{summary}");
}

#[test]
fn what_begins_while_the_scheduler_is_stopped_is_told_at_its_start() {
    let mut director = Director::start(model(|_| {}), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let fight = outcome(&director, vec![deleted()]);
    let peace = outcome(&director, Vec::new());
    director.tell(Event::Operator(Wish::Stop));
    assert_eq!(calls(&director.sees(fight.clone())).len(), 0);
    assert_eq!(calls(&director.sees(peace.clone())).len(), 0);
    let told = director.tell(Event::Operator(Wish::Start));
    assert_eq!(
        alerts(&told),
        Vec::<String>::new(),
        "no end of what nobody was told"
    );
    director.tell(Event::Operator(Wish::Stop));
    assert_eq!(calls(&director.sees(fight)).len(), 0);
    assert_eq!(calls(&director.lasts()).len(), 0);
    let told = director.tell(Event::Operator(Wish::Start));
    assert_eq!(calls(&told).len(), 2, "it has lasted");
    assert_eq!(calls(&director.lasts()).len(), 0);
    assert_eq!(calls(&director.sees(peace)).len(), 1);
}

/// Operators keep all real servers out, so the table is empty: at a restart the first verdicts are
/// waited for, and whatever they are nobody serves.
#[test]
fn a_restart_ends_no_trouble_while_operators_keep_all_servers_out() {
    let file = || model(|section| section.min_live = MinLive::Count(0));
    let mut director = Director::start(file(), Saved::default(), Table::new(), 0.0);
    let good = fixture::exited(0, "");
    director.reports(&good);
    let told = director.keeps_all_out();
    let began = number_of(&told);
    assert_eq!(
        told[0],
        format!("page.alert failure virtual/{VS} no_server/{began}/failure/1")
    );
    assert!(!director.is_in("10.1.0.1") && !director.is_in("10.1.0.2"));
    let (journal, kernel, seconds) = (director.journal, director.kernel, director.seconds);
    // Nor of one that only the other director found.
    let mut known = journal.clone();
    known.records.retain(|key, _| !key.starts_with("trouble "));
    let mut other = Director::start(file(), known, kernel.clone(), seconds);
    other.tell(Event::Peer(peer("no_server", PEERS, Speaking::Speaks)));
    let failure = format!("virtual/{VS} no_server/{PEERS}/failure/1");
    other.tell(Event::PeerDelivered(vec![failure.into()]));
    let lost = PeerTold {
        is_linked: false,
        ..peer("no_server", PEERS, Speaking::Silent)
    };
    assert_eq!(alerts(&other.tell(Event::Peer(lost))), Vec::<String>::new());
    let mut director = Director::start(file(), journal, kernel, seconds);
    let mut actions = director.looks();
    for _ in 0..4 {
        actions.extend(director.lasts());
        actions.extend(director.looks());
        actions.extend(director.hears(&good));
    }
    assert_eq!(alerts(&actions), Vec::<String>::new());
    let aim = Aim {
        server: RealServerName("10.1.0.1".to_owned()),
        within: None,
    };
    let mut actions = director.tell(Event::Operator(Wish::EnableServer(aim)));
    actions.extend(director.looks());
    let expected = format!("page.alert up virtual/{VS} no_server/{began}/up/1");
    assert_eq!(alerts(&actions), [expected]);
}

/// What the peer tells: this trouble of the section goes on under this number.
fn peer(trouble: &str, number: i64, peer: Speaking) -> PeerTold {
    let name = ServiceName {
        group: "virtual".to_owned(),
        service: format!("{VS} {trouble}"),
    };
    let open = OpenOutage {
        id: number,
        began: Wall::default(),
        calls: 0,
        events: Events::default(),
        alerted: Vec::new(),
        ack: None,
        reached: Reached::Nothing,
    };
    PeerTold {
        is_linked: true,
        outages: Arc::new([(name, open)].into()),
        withdrawn: Arc::default(),
        turns: None,
        ended: Arc::default(),
        numbers: number,
        speaking: match peer {
            Speaking::Speaks => Speaking::Silent,
            Speaking::Silent => Speaking::Speaks,
        },
        peer,
    }
}

fn number_of(told: &[String]) -> i64 {
    told[0].rsplit('/').nth(2).unwrap().parse().unwrap()
}

#[test]
fn both_directors_tell_one_trouble_under_one_number_whoever_finds_it_first() {
    let start = || Director::start(with_peer(), Saved::default(), Table::new(), 0.0);
    let (good, bad) = (
        fixture::exited(0, ""),
        fixture::exited(1, "10.1.0.1 10.1.0.2"),
    );
    // The second takes the number of the first, and none that had its end here.
    let mut director = start();
    director.reports(&good);
    let number = i64::from(u32::MAX);
    director.tell(Event::Peer(peer("too_few", number, Speaking::Speaks)));
    assert_eq!(number_of(&director.reports(&bad)), number);
    let shared = director.engine.outages().0;
    let name = |name: &ServiceName| format!("{}/{}", name.group, name.service);
    let found: Vec<(String, i64)> = shared
        .iter()
        .map(|(it, open)| (name(it), open.id))
        .collect();
    assert!(
        found.contains(&(format!("virtual/{VS} too_few"), number)),
        "{found:?}"
    );
    assert_eq!(number_of(&director.reports(&good)), number);
    assert!(number_of(&director.reports(&bad)) > number);
    // Where both found it the silent one gives way, also after a restart.
    let mut director = start();
    director.reports(&good);
    let ours = number_of(&director.reports(&bad));
    let told = peer("too_few", ours + 7, Speaking::Silent);
    let renumbered = |actions: Vec<Action>| {
        let one = |action| {
            let Action::Renumber(it) = action else {
                return None;
            };
            Some((it.from, it.to))
        };
        actions.into_iter().filter_map(one).collect::<Vec<_>>()
    };
    assert_eq!(renumbered(director.tell(Event::Peer(told))), []);
    let told = peer("too_few", ours + 7, Speaking::Speaks);
    let outage = |number| format!("virtual/{VS} too_few/{number}");
    let expected = [(outage(ours), outage(ours + 7))];
    assert_eq!(renumbered(director.tell(Event::Peer(told))), expected);
    let seconds = director.seconds;
    let mut again = Director::start(with_peer(), director.journal, director.kernel, seconds);
    assert_eq!(number_of(&again.reports(&good)), ours + 7);
}

/// What a director that finds its section good tells of a trouble of the peer's, of which this
/// reached people, when the roles are these.
fn comes_back(reached: &[&str], then: PeerTold) -> Vec<String> {
    let mut model = model(|section| section.min_live = MinLive::Count(1));
    model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    director.tell(Event::Peer(peer("too_few", PEERS, Speaking::Speaks)));
    let event = |rest: &&str| format!("virtual/{VS} too_few/{PEERS}/{rest}").into();
    director.tell(Event::PeerDelivered(reached.iter().map(event).collect()));
    let good = fixture::exited(0, "");
    assert_eq!(
        director.reports(&good),
        Vec::<String>::new(),
        "the peer tells people"
    );
    // At once, not with the next check.
    let told = alerts(&director.tell(Event::Peer(then)));
    assert_eq!(director.reports(&good), Vec::<String>::new(), "once");
    told
}

/// Only this director does not reach its servers any more: the other one has told the end.
#[test]
fn a_trouble_that_goes_on_behind_the_end_that_people_know_is_told_under_another_number() {
    let (good, bad) = (
        fixture::exited(0, ""),
        fixture::exited(1, "10.1.0.1 10.1.0.2"),
    );
    let nothing = Vec::<String>::new();
    for is_restarted in [false, true] {
        let mut director = Director::start(with_peer(), Saved::default(), Table::new(), 0.0);
        director.reports(&good);
        let first = number_of(&director.reports(&bad));
        let event = |rest| vec![format!("virtual/{VS} too_few/{first}/{rest}").into()];
        director.tell(Event::Delivered(event("failure/1")));
        let hears = |peers| {
            Event::Peer(PeerTold {
                outages: Arc::default(),
                ..peer("too_few", first, peers)
            })
        };
        director.tell(hears(Speaking::Speaks));
        director.tell(Event::PeerDelivered(event("up/1")));
        if is_restarted {
            let (journal, kernel, seconds) = (director.journal, director.kernel, director.seconds);
            director = Director::start(with_peer(), journal, kernel, seconds);
            director.looks();
        }
        let mut actions = director.tell(hears(Speaking::Silent));
        actions.extend(director.lasts());
        assert_eq!(alerts(&actions), nothing, "the next check may find it good");
        let told = director.reports(&bad);
        let second = number_of(&told);
        assert!(second > first, "{is_restarted}");
        let outage = format!("virtual/{VS} too_few/{second}");
        let expected = format!("page.alert failure {outage}/failure/1");
        assert_eq!(told[0], expected);
        let ended = director.engine.ended_outages();
        let ended = ended.values().flatten();
        let ended: Vec<_> = ended.map(|(&id, it)| (id, it.reached)).collect();
        assert_eq!(ended, [(first, Reached::End)]);
        let over = director.reports(&good);
        assert_eq!(over, [format!("page.alert up {outage}/up/1")]);
    }
}

/// The other one, which told the end, has found the next trouble too, and told nobody of that.
#[test]
fn a_trouble_that_goes_on_behind_the_end_is_told_by_a_number_that_nobody_told() {
    let (good, bad) = (
        fixture::exited(0, ""),
        fixture::exited(1, "10.1.0.1 10.1.0.2"),
    );
    for peers in [Speaking::Silent, Speaking::Speaks] {
        let mut director = Director::start(with_peer(), Saved::default(), Table::new(), 0.0);
        director.reports(&good);
        let first = number_of(&director.reports(&bad));
        let event = |rest| vec![format!("virtual/{VS} too_few/{first}/{rest}").into()];
        director.tell(Event::Delivered(event("failure/1")));
        director.tell(Event::PeerDelivered(event("up/1")));
        let second = first + 7;
        director.tell(Event::Peer(peer("too_few", second, peers)));
        let outage = format!("virtual/{VS} too_few/{second}");
        let told = director.reports(&bad);
        assert_eq!(told[0], format!("page.alert failure {outage}/failure/1"));
        let over = director.reports(&good);
        assert_eq!(over, [format!("page.alert up {outage}/up/1")]);
    }
}

/// The peer goes on with the number that this director took, and has former ones of the same time.
#[test]
fn a_number_that_both_agreed_on_stays_behind_a_greater_one_that_was_given_up() {
    let mut model = model(|section| section.min_live = MinLive::Count(1));
    model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let bad = fixture::exited(1, "10.1.0.1 10.1.0.2");
    let given_up = number_of(&director.reports(&bad));
    let event = |number| vec![format!("virtual/{VS} too_few/{number}/failure/1").into()];
    director.tell(Event::Delivered(event(given_up)));
    let (agreed, former) = (given_up - 7, given_up - 20);
    director.tell(Event::PeerDelivered(event(agreed)));
    let mut told = peer("too_few", agreed, Speaking::Speaks);
    let of = told.outages.keys().next().unwrap().clone();
    let mut outages = (*told.outages).clone();
    outages.get_mut(&of).unwrap().reached = Reached::Failure;
    told.outages = Arc::new(outages);
    director.tell(Event::Peer(told.clone()));
    let past = Past {
        lasted: Lasted {
            began: Wall::default(),
            ended: Wall::from_seconds(PEERS),
        },
        reached: Reached::Failure,
        periods: ToldPeriods::default(),
    };
    let open = |director: &Director| director.engine.outages().0[&of].id;
    assert_eq!(open(&director), agreed);
    assert!(director.engine.ended_outages()[&of].contains_key(&given_up));
    told.ended = Arc::new([(of.clone(), [(former, past)].into())].into());
    director.tell(Event::Peer(told.clone()));
    assert_eq!(open(&director), agreed, "not a former one of the peer's");
    // Nor is a greater number than one of the peer's that goes on in the way of that.
    let mut outages = (*told.outages).clone();
    outages.get_mut(&of).unwrap().id = agreed + 2;
    told.outages = Arc::new(outages);
    director.tell(Event::Peer(told));
    assert_eq!(open(&director), agreed + 2);
}

/// The peer gives a number up that is before an end here, and hears a moment later of which it is:
/// no director takes it.
#[test]
fn a_trouble_takes_no_number_that_is_before_an_end_here() {
    for goes_on_there in [true, false] {
        let mut model = model(|section| section.min_live = MinLive::Count(1));
        model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
        let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
        let (good, bad) = (
            fixture::exited(0, ""),
            fixture::exited(1, "10.1.0.1 10.1.0.2"),
        );
        director.reports(&good);
        let over = number_of(&director.reports(&bad));
        director.reports(&good);
        let ours = number_of(&director.reports(&bad));
        let before = over - 5;
        let mut told = peer("too_few", before, Speaking::Silent);
        let of = told.outages.keys().next().unwrap().clone();
        let past = Past {
            lasted: Lasted {
                began: Wall::from_seconds(before),
                ended: Wall::from_seconds(ours + 60),
            },
            reached: Reached::Failure,
            periods: ToldPeriods::default(),
        };
        told.ended = Arc::new([(of.clone(), [(before, past)].into())].into());
        if !goes_on_there {
            told.outages = Arc::default();
        }
        director.tell(Event::Peer(told));
        let open = director.engine.outages().0[&of].id;
        assert_eq!(open, ours, "{goes_on_there}");
    }
}

/// The number of the peer's trouble.
const PEERS: i64 = 1_800_000_000;

#[test]
fn the_end_of_a_trouble_that_only_the_peer_found_is_told_by_whoever_speaks_then() {
    let open = |peers| peer("too_few", PEERS, peers);
    let lost = |peers| PeerTold {
        is_linked: false,
        ..open(peers)
    };
    let over = |peers| PeerTold {
        outages: Arc::default(),
        ..open(peers)
    };
    let up = format!("page.alert up virtual/{VS} too_few/{PEERS}/up/1");
    let failure = ["failure/1", "failure/2"];
    for then in [lost(Speaking::Silent), over(Speaking::Silent)] {
        assert_eq!(comes_back(&failure, then), [up.as_str()]);
    }
    // The peer still finds it, or tells its end itself.
    for then in [
        open(Speaking::Silent),
        open(Speaking::Speaks),
        over(Speaking::Speaks),
        lost(Speaking::Speaks),
    ] {
        assert_eq!(comes_back(&failure, then), Vec::<String>::new());
    }
    // Nobody was told, or was told of the end, too.
    for reached in [&[][..], &["failure/1", "up/1"]] {
        let told = comes_back(reached, lost(Speaking::Silent));
        assert_eq!(told, Vec::<String>::new(), "{reached:?}");
    }
}

#[test]
fn the_end_of_a_trouble_that_the_peer_holds_is_told_by_who_speaks_and_saw_nothing_of_it() {
    let up = format!("page.alert up virtual/{VS} too_few/{PEERS}/up/1");
    for (reached, upalerts, expected) in [
        (Reached::Failure, vec![0], 1),
        (Reached::Failure, vec![], 0),
        (Reached::Nothing, vec![0], 0),
        (Reached::End, vec![0], 0),
    ] {
        let mut model = model(|section| section.min_live = MinLive::Count(1));
        model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
        let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
        let past = Past {
            lasted: Lasted {
                began: Wall::from_seconds(PEERS),
                ended: Wall::from_seconds(PEERS + 5),
            },
            reached,
            periods: ToldPeriods {
                alerts: vec![0],
                upalerts,
            },
        };
        let of = ServiceName {
            group: "virtual".to_owned(),
            service: format!("{VS} too_few"),
        };
        let then = PeerTold {
            outages: Arc::default(),
            ended: Arc::new([(of, [(PEERS, past)].into())].into()),
            ..peer("too_few", PEERS, Speaking::Silent)
        };
        let nothing = Vec::<String>::new();
        let early = alerts(&director.tell(Event::Peer(then.clone())));
        assert_eq!(early, nothing, "nothing is known of the servers yet");
        let told = director.reports(&fixture::exited(0, ""));
        assert_eq!(told, vec![up.clone(); expected], "{reached:?}");
        assert_eq!(alerts(&director.tell(Event::Peer(then))), nothing, "once");
        assert_eq!(director.reports(&fixture::exited(0, "")), nothing, "once");
    }
}

#[test]
fn before_a_director_knows_its_servers_it_tells_no_end_of_what_the_peer_found() {
    let mut model = model(|section| {
        section.min_live = MinLive::Count(1);
        section.counts.fall = NonZeroU32::new(2).unwrap();
    });
    model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    director.tell(Event::Peer(peer("too_few", PEERS, Speaking::Speaks)));
    let event = format!("virtual/{VS} too_few/{PEERS}/failure/1").into();
    director.tell(Event::PeerDelivered(vec![event]));
    let lost = PeerTold {
        is_linked: false,
        ..peer("too_few", PEERS, Speaking::Silent)
    };
    let nothing = Vec::<String>::new();
    assert_eq!(alerts(&director.tell(Event::Peer(lost))), nothing);
    let bad = fixture::exited(1, "10.1.0.1 10.1.0.2");
    assert_eq!(alerts(&director.hears(&bad)), nothing);
    let told = director.reports(&bad);
    assert_eq!(number_of(&told), PEERS, "the trouble goes on: {told:?}");
    let up = format!("page.alert up virtual/{VS} too_few/{PEERS}/up/1");
    assert_eq!(director.reports(&fixture::exited(0, "")), [up]);
}

/// Nobody serves yet: that the peer is lost just then does not end its trouble here.
#[test]
fn while_nobody_serves_yet_a_lost_peers_trouble_keeps_its_number() {
    let file = || {
        let mut model = model(|section| section.min_live = MinLive::Count(0));
        model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
        model
    };
    let mut director = Director::start(file(), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    director.keeps_all_out();
    let Director {
        mut journal,
        kernel,
        seconds,
        ..
    } = director;
    let is_other = |key: &String| !key.starts_with("trouble ");
    journal.records.retain(|key, _| is_other(key));
    let mut director = Director::start(file(), journal, kernel, seconds);
    director.tell(Event::Peer(peer("no_server", PEERS, Speaking::Speaks)));
    let failure = format!("virtual/{VS} no_server/{PEERS}/failure/1");
    director.tell(Event::PeerDelivered(vec![failure.into()]));
    let lost = PeerTold {
        is_linked: false,
        ..peer("no_server", PEERS, Speaking::Silent)
    };
    assert_eq!(alerts(&director.tell(Event::Peer(lost))), [""; 0]);
    // The section is decided over once more, before the first verdicts.
    let mut actions = director.orders("10.1.0.1", ManualWish::Quiesce);
    let served = director.engine.bindings.served_by(VS.parse().unwrap());
    assert_eq!(served, Some(ServedBy::NobodyYet));
    let bad = fixture::exited(1, "10.1.0.1 10.1.0.2");
    for _ in 0..2 {
        actions.extend(director.hears(&bad));
        actions.extend(director.lasts());
    }
    let told = alerts(&actions);
    assert_eq!(number_of(&told), PEERS, "the trouble goes on: {told:?}");
    let aim = Aim {
        server: RealServerName("10.1.0.1".to_owned()),
        within: None,
    };
    let mut actions = director.tell(Event::Operator(Wish::EnableServer(aim)));
    actions.extend(director.looks());
    actions.extend(director.hears(&fixture::exited(0, "")));
    let up = format!("page.alert up virtual/{VS} no_server/{PEERS}/up/1");
    assert_eq!(alerts(&actions), [up]);
}

/// The disk had no room for the end of the trouble, and the daemon was killed.
#[test]
fn a_trouble_whose_end_was_told_before_a_restart_is_over_and_the_next_one_is_told() {
    let (good, bad) = (
        fixture::exited(0, ""),
        fixture::exited(1, "10.1.0.1 10.1.0.2"),
    );
    for next in [&good, &bad] {
        let mut director = Director::start(with_peer(), Saved::default(), Table::new(), 0.0);
        director.reports(&good);
        let number = number_of(&director.reports(&bad));
        let (full, kernel) = (director.journal.clone(), director.kernel.clone());
        director.reports(&good);
        let mut again = Director::start(with_peer(), full, kernel, director.seconds + 60.0);
        let told = ["failure/1", "failure/2", "up/1"];
        let told = told.map(|rest| format!("virtual/{VS} too_few/{number}/{rest}").into());
        again.tell(Event::Delivered(told.to_vec()));
        let open = again.engine.outages().0;
        let mut open = open.keys().filter(|it| it.group == SECTION_GROUP);
        assert_eq!(open.next(), None, "people know its end");
        let mut actions = again.hears(next);
        for _ in 0..4 {
            actions.extend(again.lasts());
            actions.extend(again.looks());
        }
        let told = alerts(&actions);
        if std::ptr::eq(next, &good) {
            assert_eq!(told, [""; 0], "its end was told");
            continue;
        }
        let next = number_of(&told);
        assert!(next > number, "{told:?}");
        let up = format!("page.alert up virtual/{VS} too_few/{next}/up/1");
        assert_eq!(again.reports(&good), [up]);
    }
}

#[test]
fn who_else_writes_into_the_table_is_each_directors_own() {
    let mut director = Director::start(model(|_| {}), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    director.tell(Event::Peer(peer(
        "contested",
        i64::from(u32::MAX),
        Speaking::Speaks,
    )));
    director.sees(outcome(&director, vec![deleted()]));
    let actions = director.lasts();
    let event = &calls(&actions)[0].event;
    assert!(event.ends_with("/contested/1"), "{event}");
    assert!(!EventId::of(event).unwrap().is_shared());
    assert!(director.engine.outages().0.is_empty());
}

#[test]
fn two_kinds_of_trouble_under_one_number_have_two_ids() {
    let number = i64::from(u32::MAX);
    let told = |trouble: &str, least: u32| {
        let model = || {
            let mut model = model(|section| section.min_live = MinLive::Count(least));
            model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
            model
        };
        let mut director = Director::start(model(), Saved::default(), Table::new(), 0.0);
        director.reports(&fixture::exited(0, ""));
        director.tell(Event::Peer(peer(trouble, number, Speaking::Speaks)));
        let told = director.reports(&fixture::exited(1, "10.1.0.1 10.1.0.2"));
        told[0].rsplit_once(" failure ").unwrap().1.to_owned()
    };
    let (few, none) = (told("too_few", 1), told("no_server", 0));
    assert_eq!(few, format!("virtual/{VS} too_few/{number}/failure/1"));
    assert_eq!(none, format!("virtual/{VS} no_server/{number}/failure/1"));
    let (few, none) = (EventId::of(&few).unwrap(), EventId::of(&none).unwrap());
    assert!(!few.covers(none) && few.outage != none.outage);
}

/// Checked so often that a trouble may be over before it is told.
fn often(mut model: Model) -> Model {
    for service in &mut model.services {
        service.interval = Some(Duration::from_millis(400));
    }
    model
}

#[test]
fn a_trouble_that_does_not_last_is_told_to_nobody_and_the_table_follows_at_once() {
    let mut director = Director::start(often(model(|_| {})), Saved::default(), Table::new(), 0.0);
    let (good, bad) = (
        fixture::exited(0, ""),
        fixture::exited(1, "10.1.0.1 10.1.0.2"),
    );
    director.hears(&good);
    let journal = |director: &Director| {
        let records = director.journal.records.clone().into_iter();
        let is_ours = |key: &str| key.starts_with("trouble ") || key == "event numbers";
        let ours: Vec<_> = records.filter(|(key, _)| is_ours(key)).collect();
        ours
    };
    let before = journal(&director);
    for _ in 0..3 {
        let actions = director.hears(&bad);
        assert!(!director.is_in("10.1.0.1") && !director.is_in("10.1.0.2"));
        assert_eq!(alerts(&actions), Vec::<String>::new());
        let shared = director.engine.outages().0;
        assert!(shared.keys().all(|it| it.group != "virtual"), "{shared:?}");
        let actions = director.hears(&good);
        assert!(director.is_in("10.1.0.1") && director.is_in("10.1.0.2"));
        assert_eq!(alerts(&actions), Vec::<String>::new());
    }
    assert_eq!(alerts(&director.lasts()), Vec::<String>::new());
    assert_eq!(journal(&director), before);
    // Nor does one that a restart has cut short begin twice.
    director.hears(&bad);
    let (journal, kernel) = (director.journal.clone(), director.kernel.clone());
    let model = often(model(|_| {}));
    let mut director = Director::start(model, journal, kernel, director.seconds);
    assert_eq!(director.reports(&bad).len(), 2);
}

#[test]
fn a_trouble_that_becomes_another_for_a_moment_goes_on() {
    let mut director = Director::start(often(with_fallback()), Saved::default(), Table::new(), 0.0);
    let one = fixture::exited(1, "10.1.0.2");
    let both = fixture::exited(1, "10.1.0.1 10.1.0.2");
    director.hears(&fixture::exited(0, ""));
    assert_eq!(director.reports(&one).len(), 2);
    let actions = director.hears(&both);
    assert!(director.is_in("10.1.0.9"), "the fallback serves at once");
    assert_eq!(alerts(&actions), Vec::<String>::new());
    assert_eq!(director.reports(&one), Vec::<String>::new());
    director.hears(&both);
    let told = alerts(&director.hears(&fixture::exited(0, "")));
    assert_eq!(told.len(), 1, "the end of the first: {told:?}");
    assert!(told[0].contains("too_few") && told[0].contains("/up/"));
}

/// The list of real servers in what the first alert is told.
fn listed(actions: &[Action]) -> Vec<String> {
    let calls = calls(actions);
    let input = String::from_utf8_lossy(&calls[0].input).into_owned();
    let list = input.split_once("\n\nReal servers").expect("a list").1;
    list.lines().map(str::to_owned).collect()
}

#[test]
fn an_alert_lists_who_is_out_and_who_is_in_and_why() {
    let mut model = with_fallback();
    model.virtual_services[0].min_live = MinLive::Count(1);
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let order = Order {
        aim: Aim {
            server: RealServerName("10.1.0.1".to_owned()),
            within: None,
        },
        wish: ManualWish::Disable,
        span: None,
        by: "ann".to_owned(),
        reason: "new disks".to_owned(),
        caution: Caution::Force,
    };
    director.tell(Event::Operator(Wish::Manual(order)));
    director.looks();
    let wished = date(director.seconds);
    let mut actions = director.hears(&fixture::exited(1, "10.1.0.2"));
    let failed = date(director.seconds);
    actions.extend(director.lasts());
    let lines = [
        ", 2 of 3 without clients:".to_owned(),
        format!("  out       10.1.0.1:80  the disable by ann (new disks) since {wished}"),
        format!("  out       10.1.0.2:80  web/http since {failed}, exit: named in \"10.1.0.2\""),
        "  in        10.1.0.9:80  the fallback, it serves".to_owned(),
    ];
    assert_eq!(listed(&actions), lines);
    // Also the end says who is still out.
    let mut actions = director.hears(&fixture::exited(0, ""));
    actions.extend(director.lasts());
    assert_eq!(listed(&actions)[1], lines[1]);
    // The table follows behind it.
    assert_eq!(listed(&actions)[0], " as wanted, 2 of 3 without clients:");
}

#[test]
fn an_alert_counts_what_stays_for_a_name_as_with_clients_and_names_it_by_its_address() {
    let mut before = Director::start(model(|_| {}), Saved::default(), Table::new(), 0.0);
    before.hears(&fixture::exited(0, ""));
    let names = ["w1", "w2"].map(HostName::new);
    let mut named = fixture::model_of(vec![fixture::service("web", "http")], &["w1", "w2"]);
    let mut of_names = section();
    for (server, name) in of_names.servers.iter_mut().zip(&names) {
        server.host = name.clone();
    }
    named.virtual_services.push(of_names);
    let mut director = Director::start(named, before.journal, before.kernel, before.seconds);
    let nowhere = names.map(|host| Resolved::fresh(host, Err("no such name".to_owned())));
    director.tell(Event::Resolved(nowhere.to_vec()));
    let mut actions = director.looks();
    actions.extend(director.lasts());
    let lines = listed(&actions);
    assert_eq!(lines[0], " as wanted, 2 of 4 without clients:");
    let stays = "not in the file any more: stays until w1 has a usable address";
    assert_eq!(lines[3], format!("  as found  10.1.0.1:80  {stays}"));
    assert_eq!(lines[4], format!("  as found  10.1.0.2:80  {stays}"));
}

#[test]
fn an_alert_does_not_list_an_address_that_a_name_has_just_left() {
    let hosts = ["w1", "10.1.0.2"];
    let mut named = fixture::model_of(vec![fixture::service("web", "http")], &hosts);
    let mut section = section();
    section.servers[0].host = HostName::new("w1");
    section.min_live = MinLive::Count(2);
    named.virtual_services.push(section);
    let mut director = Director::start(named, Saved::default(), Table::new(), 0.0);
    let leads = |director: &mut Director, address: &str| {
        let (host, answer) = (HostName::new("w1"), Ok(vec![address.parse().unwrap()]));
        director.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
    };
    leads(&mut director, "10.1.0.1");
    director.hears(&fixture::exited(0, ""));
    leads(&mut director, "10.1.0.5");
    let mut actions = director.hears_alone(&fixture::exited(1, "10.1.0.2"));
    actions.extend(director.lasts());
    let lines = listed(&actions);
    let is_listed = |server: &str| lines.iter().any(|it| it.contains(server));
    assert!(lines[0].contains(" of 2 without clients"), "{lines:?}");
    assert!(
        is_listed("10.1.0.5:80 (w1)") && is_listed("10.1.0.2"),
        "{lines:?}"
    );
    assert!(!is_listed("10.1.0.1:"), "{lines:?}");
}

/// What a director without a healthy server tells, and what it tells at the end: `looks` is what
/// comes of looking at the table meanwhile.
fn told_where(looks: impl Fn(&Director) -> Option<TableOutcome>) -> [String; 2] {
    let mut director = Director::start(with_fallback(), Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let bad = fixture::exited(1, "10.1.0.1 10.1.0.2");
    [bad, fixture::exited(0, "")].map(|report| {
        let mut actions = director.hears_alone(&report);
        if let Some(outcome) = looks(&director) {
            actions.extend(director.sees(outcome));
        }
        actions.extend(director.lasts());
        String::from_utf8_lossy(&calls(&actions)[0].input).into_owned()
    })
}

#[test]
fn an_alert_says_what_is_wanted_where_the_table_has_it_otherwise_or_nobody_knows() {
    let unread = |_: &Director| {
        Some(TableOutcome {
            table: TableLook::Unreadable("no module".to_owned()),
            ..TableOutcome::default()
        })
    };
    let refused = |director: &Director| {
        Some(TableOutcome {
            wanted: director.engine.desired().clone().into(),
            table: TableLook::Read(director.kernel.clone().into()),
            ..TableOutcome::default()
        })
    };
    let hangs = |_: &Director| None;
    let wanted = format!(
        "virtual service {VS} has no healthy real server: the fallback 10.1.0.9:80 is wanted to \
         serve"
    );
    let over = format!("virtual service {VS} needs its fallback no more, after ");
    let unknown = "nobody knows whether the kernel's table has it so: ";
    let reach = "new connections do not reach 10.1.0.9:80, and reach 10.1.0.1:80, 10.1.0.2:80";
    for ([began, ended], tail, at_end) in [
        (
            told_where(unread),
            format!(", but {unknown}it cannot be read: no module"),
            format!(", but {unknown}it cannot be read: no module"),
        ),
        (
            told_where(hangs),
            format!(", but {unknown}it was not read since"),
            String::new(),
        ),
        (
            told_where(refused),
            format!(", but as the kernel's table is {reach}"),
            String::new(),
        ),
    ] {
        let (first, list) = began.split_once('\n').unwrap();
        assert_eq!(first, format!("{wanted}{tail}"));
        let as_wanted = "\nReal servers as wanted, 2 of 3 without clients:\n";
        assert!(list.starts_with(as_wanted), "{list}");
        let fallback = "  in        10.1.0.9:80  the fallback, wanted to serve\n";
        assert!(list.ends_with(fallback), "{list}");
        let first = ended.lines().next().unwrap();
        let rest = first.strip_prefix(&over).expect(first);
        assert_eq!(rest.split_once("s").unwrap().1, at_end);
    }
}

fn date(seconds: f64) -> String {
    let stamp = jiff::Timestamp::from_second(at(seconds).wall.seconds()).unwrap();
    stamp.to_zoned(TimeZone::UTC).strftime("%F %T").to_string()
}

#[test]
fn an_alert_lists_no_more_servers_than_a_person_reads() {
    let hosts: Vec<String> = (1..=servers::LINES_MAX + 5)
        .map(|last| format!("10.1.1.{last}"))
        .collect();
    let words: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut model = fixture::model_of(vec![fixture::service("web", "http")], &words);
    let mut many = section();
    let server = many.servers[0].clone();
    many.servers = (hosts.iter())
        .map(|host| DeclaredServer {
            host: HostName::new(host),
            ..server.clone()
        })
        .collect();
    model.virtual_services.push(many);
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    director.reports(&fixture::exited(0, ""));
    let all_but_one = words[1..].join(" ");
    director.reports(&fixture::exited(1, &all_but_one));
    let mut actions = director.hears(&fixture::exited(1, &words.join(" ")));
    actions.extend(director.lasts());
    let lines = listed(&actions);
    assert_eq!(lines.len(), servers::LINES_MAX + 2);
    assert_eq!(lines[0], ", 45 of 45 without clients:");
    assert_eq!(lines.last().unwrap(), "and 5 more: lvsmon table");
    assert!(lines.iter().all(|line| line.len() < 250), "{lines:?}");
}

/// Both told it while they did not hear each other: each number has its end, and the log one line.
#[test]
fn the_end_of_a_troubles_other_number_says_why_there_is_one() {
    let mut model = model(|section| section.min_live = MinLive::Count(1));
    model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
    let mut director = Director::start(model, Saved::default(), Table::new(), 0.0);
    let good = fixture::exited(0, "");
    director.reports(&good);
    let ours = number_of(&director.reports(&fixture::exited(1, "10.1.0.1 10.1.0.2")));
    let failure = format!("virtual/{VS} too_few/{ours}/failure/1");
    director.tell(Event::Delivered(vec![failure.into()]));
    let mut told = peer("too_few", ours + 7, Speaking::Speaks);
    for open in Arc::make_mut(&mut told.outages).values_mut() {
        open.reached = Reached::Failure;
    }
    director.tell(Event::Peer(told));
    let gone = PeerTold {
        is_linked: false,
        outages: Arc::default(),
        ..peer("too_few", ours + 7, Speaking::Silent)
    };
    director.tell(Event::Peer(gone));
    let mut actions = director.hears(&good);
    actions.extend(director.lasts());
    let ends = calls(&actions).into_iter();
    let ends: Vec<(String, &str)> = ends
        .map(|it| (it.event.clone(), it.summary.as_str()))
        .collect();
    let [first, second] = ends.as_slice() else {
        panic!("{ends:?}");
    };
    let up = |number| format!("virtual/{VS} too_few/{number}/up/1");
    assert_eq!(first.0, up(ours + 7));
    assert_ne!(first.1, "this outage was told under two numbers");
    let expected = (up(ours), "this outage was told under two numbers");
    assert_eq!(*second, expected);
    let over = |it: &&Action| {
        let Action::Note(Note::Section { news, .. }) = it else {
            return false;
        };
        matches!(news, SectionNews::Over(..))
    };
    assert_eq!(actions.iter().filter(over).count(), 1);
}
