use std::net::IpAddr;
use std::num::NonZeroU32;

use jiff::tz::TimeZone;

use super::*;
use crate::depend::{Expression, Form};
use crate::engine::event::{
    Ended, Event, HostResult, Memory, Note, Resolved, Run, ServerChange, Status, Trap, Wire,
};
use crate::engine::fixture::{self, at, seconds};
use crate::engine::saved::Saved;
use crate::engine::view::{BackOff, TripwireView};
use crate::lvs::{Forwarding, RealServer, Scheduler, ServerWish, VirtualService, Weight};
use crate::model::{
    AlertPeriod, DeclaredJudge, DeclaredServer, DeclaredService, DependKind, Dependency, JudgedBy,
    Model, MonitorProgram, OwnRules, Service, Tripwire,
};
use crate::options::MonitorOptions;
use crate::time::{Mono, Wall};

/// A service `web/s` of the built-in tcp with `tripwire on`, checked every minute.
fn wired() -> Service {
    let options = MonitorOptions::parse("tcp.monitor", &["-p".into(), "80".into()]);
    let mut monitor = fixture::monitor("tcp.monitor");
    monitor.program = MonitorProgram::Native(options.unwrap().unwrap());
    Service {
        interval: Some(seconds(60)),
        monitor: Some(Arc::new(monitor)),
        tripwire: Tripwire::On,
        ..fixture::service("web", "s")
    }
}

/// A section over these hosts, each judged by the first service, with `fall 3`.
fn section(hosts: &[&str]) -> DeclaredService {
    let key: crate::lvs::VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
    let settings = VirtualService::plain(key.family(), Scheduler::wlc());
    let mut section = DeclaredService::new(key, settings);
    section.counts.fall = NonZeroU32::new(3).unwrap();
    let server = |host: &&str| DeclaredServer {
        host: HostName::new(host),
        port: 80,
        settings: RealServer::new(Forwarding::Dr, Weight(1)),
        own: OwnRules::default(),
        judges: vec![DeclaredJudge {
            service: ServiceId(0),
            verdict: JudgedBy::Host,
        }],
    };
    section.servers = hosts.iter().map(server).collect();
    section
}

/// An engine with its clock.
struct Play {
    engine: Engine,
    model: Arc<Model>,
    now: Now,
    going: Option<Run>,
    /// Checks of single hosts beside it.
    beside: Vec<Run>,
    journal: Saved,
}

impl Play {
    fn new(model: Model) -> Self {
        Self::of_journal(Arc::new(model), Saved::default(), at(0.0))
    }

    fn of_journal(model: Arc<Model>, journal: Saved, now: Now) -> Self {
        let zone = TimeZone::UTC;
        let engine = Engine::new(Arc::clone(&model), &journal, 1, zone, now);
        let mut play = Self {
            engine,
            model,
            now,
            going: None,
            beside: Vec::new(),
            journal,
        };
        play.tell(Event::Start);
        play
    }

    /// One service, one host.
    fn of_one() -> Self {
        Self::new(fixture::model_of(vec![wired()], &["h1"]))
    }

    /// One service whose hosts are the real servers of a section with `fall 3`.
    fn of_section(hosts: &[&str]) -> Self {
        Self::of_section_with(hosts, 3)
    }

    fn of_section_with(hosts: &[&str], fall: u32) -> Self {
        let mut play = Self::new(Self::model_of_section(hosts, fall));
        play.look();
        play
    }

    fn model_of_section(hosts: &[&str], fall: u32) -> Model {
        let mut model = fixture::model_of(vec![wired()], hosts);
        let mut section = section(hosts);
        section.counts.fall = NonZeroU32::new(fall).unwrap();
        model.virtual_services.push(section);
        model
    }

    /// A look for what is wanted, at a table that is empty.
    fn look(&mut self) {
        let seen = fixture::empty_seen(&self.engine);
        self.tell(seen);
    }

    /// Whether the host is wanted in the table.
    fn is_in(&self, host: &str) -> bool {
        let servers = self.engine.desired().values().flat_map(|it| &it.servers);
        let wished = servers.map(|(server, wish)| (server.0.ip().to_string(), wish));
        let is_in = |wish: &ServerWish| matches!(wish, ServerWish::In(_));
        wished
            .into_iter()
            .any(|(ip, wish)| ip == host && is_in(wish))
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.engine.handle(self.now, event);
        fixture::write(&mut self.journal, &actions);
        for action in &actions {
            if let Action::Stop(run) = action {
                self.beside.retain(|it| it.id != *run);
                self.going = self.going.take().filter(|it| it.id != *run);
            }
        }
        let started = actions.iter().filter_map(Action::started);
        let is_beside = |run: &&Run| run.purpose.is_single();
        let (beside, started): (Vec<&Run>, Vec<&Run>) = started.partition(is_beside);
        self.beside.extend(beside.into_iter().cloned());
        assert!(started.len() + usize::from(self.going.is_some()) <= 1);
        self.going = started
            .first()
            .map(|&run| run.clone())
            .or(self.going.take());
        let next = self.engine.next_deadline();
        assert!(next.is_none_or(|next| next > self.now.mono), "{next:?}");
        actions
    }

    /// Lets time pass until a run goes on; answers with its start.
    fn wait(&mut self) -> Mono {
        while self.going.is_none() {
            let mono = self.engine.next_deadline().expect("something is planned");
            let wall = Wall::from_seconds(fixture::EPOCH).after(mono.since(Mono::ZERO));
            self.now = Now { mono, wall };
            self.tell(Event::Deadline);
        }
        self.now.mono
    }

    /// Ends the run that goes on: these hosts are refused, the others good.
    fn end(&mut self, down: &[&str]) -> Vec<Action> {
        let run = self.going.take().expect("a run goes on");
        let result = |host: &HostName| HostResult {
            host: host.clone(),
            verdict: match down.contains(&host.as_str()) {
                true => HostVerdict::Down(Reason::Refused),
                false => HostVerdict::Up,
            },
            text: match down.contains(&host.as_str()) {
                true => format!(
                    "nobody listens at {:.0} s",
                    self.now.mono.since(Mono::ZERO).as_secs_f64()
                ),
                false => String::new(),
            },
            weight: None,
            took: seconds(0),
        };
        let report = Report {
            ended: Ended::Exited(i32::from(!down.is_empty())),
            output: down.join(" ").into_bytes(),
            hosts: run.hosts.iter().map(result).collect(),
            took: seconds(0),
        };
        let run = run.id;
        self.tell(Event::RunEnded { run, report })
    }

    /// Waits for the next run; what came with it.
    fn begin(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while self.going.is_none() {
            let mono = self.engine.next_deadline().expect("something is planned");
            let wall = Wall::from_seconds(fixture::EPOCH).after(mono.since(Mono::ZERO));
            self.now = Now { mono, wall };
            actions = self.tell(Event::Deadline);
        }
        actions
    }

    /// Waits for the next run and ends it.
    fn check(&mut self, down: &[&str]) -> (Mono, Vec<Action>) {
        let began = self.wait();
        (began, self.end(down))
    }
}

fn held(actions: &[Action]) -> Vec<Wire> {
    let holds = actions.iter().filter_map(|action| {
        let Action::Hold(wire) = action else {
            return None;
        };
        Some(wire.clone())
    });
    holds.collect()
}

fn at_second(second: u64) -> Mono {
    Mono::ZERO.after(seconds(second))
}

#[test]
fn a_connection_is_held_between_checks_while_they_are_good() {
    let mut play = Play::of_one();
    let (_, actions) = play.check(&[]);
    let wires = held(&actions);
    let [wire] = wires.as_slice() else {
        panic!("{wires:?}");
    };
    assert_eq!((wire.host.as_str(), wire.port), ("h1", 80));
    assert_eq!(wire.wait, seconds(0));
    let actions = play.begin();
    let at = |found: &dyn Fn(&Action) -> bool| actions.iter().position(found);
    let let_go = at(&|it| *it == Action::LetGo(wire.id));
    assert!(let_go.is_some() && let_go < at(&|it| it.started().is_some()));
    let run = play.going.as_ref().unwrap();
    assert_eq!(run.let_go, [wire.id], "the server is to take note");
    let again = held(&play.end(&[]));
    assert!(again[0].id > wire.id && again[0].wait == seconds(0));
    assert!(play.begin().contains(&Action::LetGo(again[0].id)));
    assert_eq!(held(&play.end(&["h1"])), []);
    // Its end was on its way already, and a bad check knows of it.
    play.tell(Event::Tripped(again[0].id));
    assert_eq!(play.going, None);
    play.begin();
    assert_eq!(play.going.as_ref().unwrap().let_go, []);
    assert_eq!(held(&play.end(&[])).len(), 1);
}

#[test]
fn a_check_is_about_the_address_that_its_name_had_when_it_began() {
    let hosts = ["w1", "10.1.0.9"];
    let mut model = fixture::model_of(vec![wired()], &hosts);
    let mut both = section(&hosts);
    both.counts.fall = NonZeroU32::MIN;
    model.virtual_services.push(both);
    let mut play = Play::new(model);
    play.look();
    let resolved = |address: &str| {
        let (host, answer) = (HostName::new("w1"), Ok(vec![address.parse().unwrap()]));
        Event::Resolved(vec![Resolved::fresh(host, answer)])
    };
    play.tell(resolved("10.1.0.1"));
    play.check(&[]);
    assert!(play.is_in("10.1.0.1"));
    // Good at the address of before: no word on the one that is next.
    play.wait();
    let led_to = |play: &Play| {
        play.going.as_ref().unwrap().leads[&HostName::new("w1")]
            .known()
            .to_vec()
    };
    assert_eq!(led_to(&play), ["10.1.0.1".parse::<IpAddr>().unwrap()]);
    play.tell(resolved("10.1.0.2"));
    play.end(&[]);
    assert!(play.is_in("10.1.0.1") && !play.is_in("10.1.0.2"));
    // Bad at the one that was next, and the name leads back meanwhile.
    play.wait();
    assert_eq!(led_to(&play), ["10.1.0.2".parse::<IpAddr>().unwrap()]);
    play.tell(resolved("10.1.0.1"));
    play.end(&["w1"]);
    assert!(play.is_in("10.1.0.1"));
    play.check(&["w1"]);
    assert!(!play.is_in("10.1.0.1"));
}

#[test]
fn a_connection_that_waits_is_put_off_by_no_check() {
    let mut play = Play::of_one();
    let mut wire = held(&play.check(&[]).1)[0].clone();
    // The server closes each at once, until one is to wait for longer than an interval.
    for _ in 0..10 {
        play.now = Now {
            mono: play.now.mono.after(wire.wait),
            wall: play.now.wall.after(wire.wait),
        };
        play.tell(Event::Tripped(wire.id));
        wire = held(&play.check(&[]).1)[0].clone();
    }
    assert_eq!(wire.wait, seconds(128));
    let due = play.now.mono.after(wire.wait);
    for _ in 0..2 {
        let actions = play.begin();
        assert!(actions.contains(&Action::LetGo(wire.id)));
        let run = play.going.as_ref().unwrap();
        assert_eq!(run.let_go, [], "there was none yet");
        wire = held(&play.end(&[]))[0].clone();
        assert_eq!(play.now.mono.after(wire.wait), due);
    }
}

#[test]
fn a_server_that_resets_each_connection_and_is_good_at_each_slot_is_left_alone_after_three_rounds()
{
    let mut play = Play::of_section(&TWO);
    let of_first = |actions: &[Action]| -> Vec<Wire> {
        let mut wires = held(actions);
        wires.retain(|it| it.host.as_str() == TWO[0]);
        wires
    };
    let host = HostName::new(TWO[0]);
    let mut wire = of_first(&play.check(&[]).1)[0].clone();
    for round in 1..=3 {
        assert_eq!(wire.wait, seconds(0), "round {round}");
        play.tell(Event::Tripped(wire.id));
        assert_eq!(going(&mut play).1, Purpose::Trip);
        play.end(&[TWO[0]]);
        assert!(!play.is_in(TWO[0]), "out in round {round}");
        wire = of_first(&play.check(&[]).1)[0].clone();
    }
    assert_eq!(wire.wait, seconds(3_600));
    let view = play.engine.tripwire(ServiceId(0), &host);
    let Some(TripwireView::BacksOff { why, wait, .. }) = view else {
        panic!("{view:?}");
    };
    assert_eq!((why, wait), (BackOff::Resets, seconds(3_600)));
    // A connection that lasts shows that the server has changed.
    let due = play.now.mono.after(wire.wait);
    while play.now.mono <= due.after(seconds(120)) {
        let (_, actions) = play.check(&[]);
        wire = of_first(&actions)[0].clone();
    }
    play.tell(Event::Tripped(wire.id));
    going(&mut play);
    play.end(&[TWO[0]]);
    let (_, actions) = play.check(&[]);
    assert_eq!(of_first(&actions)[0].wait, seconds(0));
}

#[test]
fn a_server_that_lives_for_a_while_between_its_crashes_keeps_its_connection() {
    let mut play = Play::of_section(&TWO);
    let mut wire = held(&play.check(&[]).1)[0].clone();
    for _ in 0..5 {
        play.now = Now {
            mono: play.now.mono.after(seconds(6)),
            wall: play.now.wall.after(seconds(6)),
        };
        play.tell(Event::Tripped(wire.id));
        going(&mut play);
        play.end(&[TWO[0]]);
        let (_, actions) = play.check(&[]);
        let mut wires = held(&actions).into_iter();
        wire = wires.find(|it| it.host.as_str() == TWO[0]).unwrap();
        assert_eq!(wire.wait, seconds(0));
    }
}

#[test]
fn nothing_is_held_where_the_service_does_not_ask_for_it() {
    let without = Service {
        tripwire: Tripwire::Off,
        ..wired()
    };
    let script = Service {
        tripwire: Tripwire::On,
        ..fixture::service("web", "s")
    };
    for service in [without, script] {
        let mut play = Play::new(fixture::model_of(vec![service], &["h1"]));
        assert_eq!(held(&play.check(&[]).1), []);
    }
}

#[test]
fn the_end_of_a_connection_brings_the_check_forward_and_the_grid_stays() {
    let mut play = Play::of_one();
    let (first, actions) = play.check(&[]);
    assert_eq!(first, at_second(60));
    let wire = held(&actions)[0].id;
    play.now = at(75.0);
    play.tell(Event::Tripped(wire));
    assert!(play.going.is_some(), "it is checked at once");
    play.end(&["h1"]);
    assert_eq!(play.wait(), at_second(120));
    play.end(&["h1"]);
    assert_eq!(play.wait(), at_second(180));
}

#[test]
fn a_server_that_merely_closes_is_connected_to_later_and_later() {
    let mut play = Play::of_one();
    let (_, actions) = play.check(&[]);
    let mut wire = held(&actions)[0].clone();
    let mut waits = Vec::new();
    for _ in 0..5 {
        play.now = Now {
            mono: play.now.mono.after(wire.wait).after(seconds(1)),
            wall: play.now.wall.after(wire.wait).after(seconds(1)),
        };
        play.tell(Event::Tripped(wire.id));
        let (_, actions) = play.check(&[]);
        wire = held(&actions)[0].clone();
        waits.push(wire.wait.as_millis());
    }
    assert_eq!(waits, [0, 50, 1_000, 2_000, 4_000]);
    // A crash that was one begins anew.
    play.tell(Event::Tripped(wire.id));
    play.check(&["h1"]);
    let (_, actions) = play.check(&[]);
    assert_eq!(held(&actions)[0].wait, seconds(0));
}

#[test]
fn an_end_during_a_check_is_looked_at_behind_it() {
    let mut play = Play::of_one();
    let wire = held(&play.check(&[]).1)[0].id;
    play.wait();
    play.tell(Event::Tripped(wire));
    play.end(&[]);
    let began = play.going.as_ref().map(|run| run.purpose);
    assert_eq!(began, Some(Purpose::Slot), "checked again at once");
    play.end(&["h1"]);
    assert_eq!(play.going, None);
}

#[test]
fn a_reload_lets_go_of_all_and_good_checks_ask_anew() {
    let mut play = Play::of_one();
    let wire = held(&play.check(&[]).1)[0].id;
    let reload = Event::Reload {
        model: Arc::clone(&play.model),
        memory: Memory::Kept,
    };
    let actions = play.tell(reload);
    assert!(actions.contains(&Action::LetGo(wire)), "{actions:?}");
    play.tell(Event::Tripped(wire));
    assert_eq!(play.going, None);
    assert_eq!(held(&play.check(&[]).1).len(), 1);
}

mod beside;
mod former;

const TWO: [&str; 2] = ["10.0.1.1", "10.0.1.2"];

/// When the run that goes on began, and what it is for, with its hosts.
fn going(play: &mut Play) -> (Mono, Purpose, Vec<String>) {
    let began = play.wait();
    let run = play.going.as_ref().unwrap();
    let hosts = run.hosts.iter().map(ToString::to_string).collect();
    (began, run.purpose, hosts)
}

fn half_a_second_after(mono: Mono) -> Mono {
    mono.after(std::time::Duration::from_millis(500))
}

#[test]
fn fall_is_reached_by_rechecks_of_the_failing_host_and_the_grid_stays() {
    let mut play = Play::of_section(&TWO);
    let (mut before, _) = play.check(&[]);
    let slot = play.wait();
    assert_eq!(slot, before.after(seconds(60)));
    assert!(play.is_in("10.0.1.1"));
    play.end(&["10.0.1.1"]);
    before = slot;
    for _ in 0..2 {
        assert!(play.is_in("10.0.1.1"), "fall is 3");
        let recheck = going(&mut play);
        let hosts = vec!["10.0.1.1".to_owned()];
        assert_eq!(
            recheck,
            (half_a_second_after(before), Purpose::Recheck, hosts)
        );
        before = recheck.0;
        play.end(&["10.0.1.1"]);
    }
    assert!(!play.is_in("10.0.1.1") && play.is_in("10.0.1.2"));
    let next = going(&mut play);
    assert_eq!(
        (next.0, next.1, next.2.len()),
        (slot.after(seconds(60)), Purpose::Slot, 2)
    );
}

#[test]
fn rechecks_end_with_a_good_one_and_nobody_else_hears_of_them() {
    let mut play = Play::of_section(&TWO);
    play.check(&[]);
    play.check(&["10.0.1.1"]);
    let failures = play.engine.service(ServiceId(0)).unwrap().consec_failures;
    let (_, purpose, _) = going(&mut play);
    assert_eq!(purpose, Purpose::Recheck);
    let actions = play.end(&[]);
    let is_told = |action: &Action| matches!(action, Action::Note(_) | Action::Send(_));
    assert!(!actions.iter().any(is_told), "{actions:?}");
    let view = play.engine.service(ServiceId(0)).unwrap();
    assert_eq!(
        (view.consec_failures, view.status),
        (failures, Status::Fail)
    );
    assert_eq!(going(&mut play).1, Purpose::Slot);
}

#[test]
fn what_refuses_behind_an_ended_connection_is_out_at_once_and_the_slot_comes_forward() {
    let mut play = Play::of_section(&TWO);
    let (first, actions) = play.check(&[]);
    let wires = held(&actions);
    let wire = wires
        .iter()
        .find(|it| it.host.as_str() == TWO[0])
        .unwrap()
        .id;
    let soon = first.after(seconds(15));
    let wall = play.now.wall.after(seconds(15));
    play.now = Now { mono: soon, wall };
    play.tell(Event::Tripped(wire));
    let (_, purpose, hosts) = going(&mut play);
    assert_eq!((purpose, hosts), (Purpose::Trip, vec![TWO[0].to_owned()]));
    play.end(&[TWO[0]]);
    assert!(
        !play.is_in(TWO[0]) && play.is_in(TWO[1]),
        "fall is 3, but it is certain"
    );
    let (_, purpose, hosts) = going(&mut play);
    assert_eq!(
        (purpose, hosts.len()),
        (Purpose::Slot, 2),
        "all others learn of it"
    );
    assert_eq!(play.now.mono, soon);
    play.end(&[TWO[0]]);
    assert_eq!(going(&mut play).0, first.after(seconds(60)));
}

/// A crash of the first host of two, whose section and whose period are these: what follows.
fn crash(fall: u32, alertafter: Option<u32>) -> (Vec<Purpose>, usize) {
    let mut service = wired();
    service.periods = vec![AlertPeriod {
        alertafter_count: alertafter,
        ..fixture::alerting()
    }];
    let mut model = fixture::model_of(vec![service], &TWO);
    let mut section = section(&TWO);
    section.counts.fall = NonZeroU32::new(fall).unwrap();
    model.virtual_services.push(section);
    let mut play = Play::new(model);
    play.look();
    let (_, actions) = play.check(&[]);
    let wires = held(&actions);
    play.now = at(15.0);
    play.tell(Event::Tripped(wires[0].id));
    let mut purposes = Vec::new();
    let mut told = 0;
    while let Some(run) = &play.going {
        purposes.push(run.purpose);
        let actions = play.end(&[TWO[0]]);
        told += actions
            .iter()
            .filter(|it| matches!(it, Action::Send(_)))
            .count();
    }
    assert!(!play.is_in(TWO[0]));
    (purposes, told)
}

#[test]
fn a_crash_is_told_at_once_as_a_withdrawal_by_rechecks_is() {
    use Purpose::{Slot, Trip};
    assert_eq!(crash(3, None), (vec![Trip, Slot], 1));
    assert_eq!(crash(3, Some(2)), (vec![Trip, Slot, Slot], 1));
    assert_eq!(
        crash(3, Some(3)),
        (vec![Trip, Slot, Slot], 0),
        "one check more, and no third one"
    );
    assert_eq!(
        crash(1, Some(2)),
        (vec![Trip, Slot], 0),
        "the slots are what both count"
    );
}

#[test]
fn a_slot_that_comes_while_a_recheck_runs_is_kept() {
    let mut play = Play::of_section(&TWO);
    let (first, _) = play.check(&[]);
    play.check(&[TWO[0]]);
    going(&mut play);
    let slot = first.after(seconds(120));
    let wall = Wall::from_seconds(fixture::EPOCH)
        .after(slot.since(Mono::ZERO))
        .after(seconds(5));
    play.now = Now {
        mono: slot.after(seconds(5)),
        wall,
    };
    play.end(&[]);
    let (began, purpose, _) = going(&mut play);
    assert_eq!((began, purpose), (slot.after(seconds(5)), Purpose::Slot));
    play.end(&[]);
    assert_eq!(going(&mut play).0, slot.after(seconds(60)));
}

#[test]
fn a_recheck_fails_nobody_while_a_dependency_explains_it() {
    let mut child = wired();
    child.tripwire = Tripwire::Off;
    let reading = Expression::parse("web:p", "web", Form::Expression).unwrap();
    let dependency = Dependency {
        written: reading.written.into(),
        parents: [Some(ServiceId(1))].into(),
        expression: reading.expression,
    };
    child.depend.push((DependKind::Alert, dependency));
    let parent = Service {
        interval: None,
        monitor: None,
        ..fixture::service("web", "p")
    };
    let mut model = fixture::model_of(vec![child, parent], &["10.1.0.1"]);
    model.virtual_services.push(section(&["10.1.0.1"]));
    let mut play = Play::new(model);
    play.look();
    play.check(&[]);
    assert!(play.is_in("10.1.0.1"));
    let says = |status: &str| {
        Event::Trap(Trap {
            group: "web".to_owned(),
            service: "p".to_owned(),
            status: status.to_owned(),
            summary: "said so".to_owned(),
            detail: String::new(),
            from: std::net::Ipv4Addr::LOCALHOST.into(),
        })
    };
    play.check(&["10.1.0.1"]);
    play.tell(says("1"));
    for _ in 0..4 {
        play.check(&["10.1.0.1"]);
        assert!(play.is_in("10.1.0.1"));
    }
    play.tell(says("0"));
    play.check(&["10.1.0.1"]);
    play.check(&["10.1.0.1"]);
    assert!(!play.is_in("10.1.0.1"));
}

/// What the log says of real servers, with the words of the checks.
fn out(actions: &[Action]) -> Vec<(String, String)> {
    let notes = actions.iter().filter_map(Action::noted);
    let causes = notes.filter_map(|note| {
        let Note::Server {
            change: ServerChange::Out(causes),
            ..
        } = note
        else {
            return None;
        };
        Some(causes.clone())
    });
    let causes = causes.flatten();
    causes.map(|it| (it.reason.to_string(), it.text)).collect()
}

#[test]
fn a_server_goes_out_with_the_words_of_the_check_that_found_it_down() {
    let mut play = Play::of_section(&TWO);
    let (_, actions) = play.check(&[]);
    let wires = held(&actions);
    play.now = at(75.0);
    play.tell(Event::Tripped(wires[0].id));
    let said = out(&play.end(&["10.0.1.1"]));
    let expected = ("refused".to_owned(), "nobody listens at 75 s".to_owned());
    assert_eq!(said, [expected]);
    let host = HostName::new("10.0.1.1");
    let text = |play: &Play| {
        play.engine
            .said(ServiceId(0), Some(&host))
            .unwrap()
            .text
            .into_owned()
    };
    assert_eq!(text(&play), "nobody listens at 75 s");
    // The slot has the last word.
    let (began, _) = play.check(&["10.0.1.1"]);
    assert_eq!(
        text(&play),
        format!("nobody listens at {} s", began.since(Mono::ZERO).as_secs())
    );
}

/// The same section with another address, or of another port beside it.
fn renamed(hosts: &[&str], key: &str) -> DeclaredService {
    DeclaredService {
        key: key.parse().unwrap(),
        ..section(hosts)
    }
}

#[test]
fn a_section_that_a_reload_adds_starts_with_what_is_known_of_its_servers() {
    let hosts = ["10.1.0.1", "10.1.0.2"];
    let more = ["10.1.0.1", "10.1.0.2", "10.1.0.3"];
    // Whether a section listened before; whether the monitor stays; who fails; what is wanted at
    // once.
    let (one, nobody) = (&["10.1.0.2"][..], &[][..]);
    let cases = [
        (true, true, one, "in out -"),
        (false, true, one, "in out -"),
        (true, false, one, "in out -"),
        (false, false, one, "- - -"),
        (true, true, nobody, "in in -"),
        (false, true, nobody, "in in -"),
        (false, false, nobody, "- - -"),
    ];
    for (had_section, is_same, failing, expected) in cases {
        let mut play = if had_section {
            Play::of_section(&hosts)
        } else {
            Play::new(fixture::model_of(vec![wired()], &hosts))
        };
        let checks = if had_section { 3 } else { 1 };
        for _ in 0..checks {
            play.check(failing);
        }
        let mut service = wired();
        if !is_same {
            service.monitor = Some(Arc::new(fixture::monitor("ping.monitor")));
        }
        let mut model = fixture::model_of(vec![service], &more);
        model.virtual_services = vec![renamed(&more, "10.0.0.9:80/tcp")];
        play.tell(Event::Reload {
            model: Arc::new(model),
            memory: Memory::Kept,
        });
        play.look();
        let key = "10.0.0.9:80/tcp".parse().unwrap();
        let wanted = &play.engine.desired()[&key];
        let wish = |host: &&str| {
            let mut servers = wanted.servers.iter();
            match servers.find(|(it, _)| it.0.ip().to_string() == *host) {
                Some((_, ServerWish::In(_))) => "in",
                Some((_, ServerWish::Out)) => "out",
                Some((_, ServerWish::AsFound)) | None => "-",
            }
        };
        let wishes: Vec<&str> = more.iter().map(wish).collect();
        assert_eq!(
            wishes.join(" "),
            expected,
            "{had_section} {is_same} {failing:?}"
        );
    }
}
