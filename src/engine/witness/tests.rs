use std::num::NonZeroU32;

use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{
    AlertKind, Ended, Event, HostResult, Memory, Purpose, Reason, Resolved, Run, Status, Target,
    Trap, Wish,
};
use crate::engine::fixture::{self, at, seconds};
use crate::engine::saved::{Record, Saved};
use crate::lvs::{Forwarding, RealServer, Scheduler, ServerWish, VirtualService, Weight};
use crate::model::{
    AlertPeriod, DeclaredJudge, DeclaredServer, DeclaredService, HostName, JudgedBy,
    MonitorProgram, OwnRules, Repeat, Service, Tripwire,
};
use crate::options::MonitorOptions;

/// `gate/ping`, which alerts, every 30 s.
fn gate() -> Service {
    Service {
        interval: Some(seconds(30)),
        periods: vec![AlertPeriod {
            alertevery: Some((seconds(3600), Repeat::IgnoreSummary)),
            ..fixture::alerting()
        }],
        ..fixture::service("gate", "ping")
    }
}

/// `web/http`, which alerts, every 10 s.
fn web() -> Service {
    Service {
        periods: vec![fixture::alerting()],
        ..fixture::service("web", "http")
    }
}

const GATE: &str = "gate/ping";
const WEB: &str = "web/http";

/// The setting `witness = gate:ping` for these services; every group has the members given.
fn model(services: Vec<Service>, hosts: &[&str]) -> Model {
    let mut model = fixture::model_of(services, hosts);
    model.witnesses = vec![model.find("gate", "ping").expect("a gate")];
    model
}

/// A section over h1 and h2, judged by `web/http`, whose witness is that of the setting.
fn with_section(mut model: Model, fall: u32) -> Model {
    let key: crate::lvs::VirtualServiceKey = "10.0.0.3:80/tcp".parse().expect("a key");
    let settings = VirtualService::plain(key.family(), Scheduler::wlc());
    let mut section = DeclaredService::new(key, settings);
    section.counts.fall = NonZeroU32::new(fall).expect("not zero");
    section.witnesses = model.witnesses.clone();
    let judge = DeclaredJudge {
        service: model.find("web", "http").expect("a judge"),
        verdict: JudgedBy::Host,
    };
    let server = |host: &&str| DeclaredServer {
        host: HostName::new(host),
        port: 80,
        settings: RealServer::new(Forwarding::Dr, Weight(1)),
        own: OwnRules::default(),
        judges: vec![judge],
    };
    section.servers = ["10.0.1.1", "10.0.1.2"].iter().map(server).collect();
    model.virtual_services.push(section);
    model
}

/// An engine with its clock and the runs that go on.
struct Play {
    engine: Engine,
    model: Arc<Model>,
    now: Now,
    going: Vec<Run>,
    sent: Vec<(String, AlertKind)>,
    notes: Vec<Note>,
    journal: Saved,
    /// Whether runs of the gate fail that end beside what a test waits for.
    is_cut: bool,
    /// Whose runs go on meanwhile.
    held: &'static str,
}

impl Play {
    fn new(model: Model) -> Self {
        Self::restarted(model, Saved::default(), at(0.0))
    }

    fn restarted(model: Model, saved: Saved, now: Now) -> Self {
        let model = Arc::new(model);
        let engine = Engine::new(Arc::clone(&model), &saved, 1, TimeZone::UTC, now);
        let mut play = Self {
            engine,
            model,
            now,
            going: Vec::new(),
            sent: Vec::new(),
            notes: Vec::new(),
            journal: saved,
            is_cut: false,
            held: "",
        };
        play.tell(Event::Start);
        play.look();
        play
    }

    /// A look for what is wanted, at a table that is empty.
    fn look(&mut self) {
        let seen = fixture::empty_seen(&self.engine);
        self.tell(seen);
    }

    fn tell(&mut self, event: Event) {
        let actions = self.engine.handle(self.now, event);
        for action in actions {
            if let Action::Start(run) = action {
                self.going.push(run);
            } else if let Action::Stop(run) = action {
                self.going.retain(|going| going.id != run);
            } else if let Action::Send(call) = action {
                let name = format!("{}/{}", call.group, call.name);
                self.sent.push((name, call.kind));
            } else if let Action::Note(note) = action {
                self.notes.push(note);
            } else if let Action::Record(record) = action {
                let Record { key, value } = *record;
                self.journal.records.insert(key, value);
            }
        }
        let next = self.engine.next_deadline();
        assert!(next.is_none_or(|next| next > self.now.mono), "{next:?}");
    }

    /// Lets time pass until then; what falls due in between is told.
    fn until(&mut self, end: f64) {
        let end = at(end);
        while let Some(next) = self.engine.next_deadline().filter(|&it| it <= end.mono) {
            self.now = at(next.since(Mono::ZERO).as_secs_f64());
            self.now.mono = next;
            self.tell(Event::Deadline);
        }
        self.now = end;
    }

    /// The same for so long.
    fn pass(&mut self, span: f64) {
        let now = self.now.mono.since(Mono::ZERO).as_secs_f64();
        self.until(now + span);
    }

    /// Lets time pass until a run of this service goes on; those of others end at once.
    fn wait_for(&mut self, name: &str) {
        for _ in 0..100 {
            if self.is_running(name) {
                return;
            }
            self.end_others(name);
            if self.is_running(name) {
                return;
            }
            let next = self.engine.next_deadline().expect("something is planned");
            self.now.wall = at(next.since(Mono::ZERO).as_secs_f64()).wall;
            self.now.mono = next;
            self.tell(Event::Deadline);
        }
        panic!("{name} never runs");
    }

    /// Runs of others than this service end, the gate's as [`Self::is_cut`] says, all others good.
    fn end_others(&mut self, name: &str) {
        for _ in 0..10 {
            let others = self.going.iter().map(|run| self.name(run));
            let others: Vec<String> = others.filter(|it| it != name && it != self.held).collect();
            for other in &others {
                let is_down = self.is_cut && other == GATE;
                self.end(other, if is_down { &["*"] } else { &[] });
            }
            if others.is_empty() {
                return;
            }
        }
    }

    fn name(&self, run: &Run) -> String {
        let service = self.model.service(run.service);
        format!("{}/{}", service.group, service.name)
    }

    fn is_running(&self, name: &str) -> bool {
        self.going.iter().any(|run| self.name(run) == name)
    }

    fn purpose(&self, name: &str) -> Option<Purpose> {
        let mut going = self.going.iter();
        let run = going.find(|run| self.name(run) == name);
        run.map(|run| run.purpose)
    }

    /// Ends the run of a service that goes on: these hosts do not answer, `*` stands for all.
    fn end(&mut self, name: &str, down: &[&str]) {
        let place = self.going.iter().position(|run| self.name(run) == name);
        let run = self.going.remove(place.expect("a run goes on"));
        let is_down = |host: &HostName| down.contains(&host.as_str()) || down.contains(&"*");
        let result = |host: &HostName| HostResult {
            host: host.clone(),
            verdict: match is_down(host) {
                true => HostVerdict::Down(Reason::Timeout),
                false => HostVerdict::Up,
            },
            text: String::new(),
            weight: None,
            took: seconds(0),
        };
        let report = Report {
            ended: Ended::Exited(i32::from(!down.is_empty())),
            output: b"no answer\n".to_vec(),
            hosts: run.hosts.iter().map(result).collect(),
            took: seconds(0),
        };
        self.tell(Event::RunEnded {
            run: run.id,
            report,
        });
    }

    /// The next check of a service, with these hosts down.
    fn check(&mut self, name: &str, down: &[&str]) {
        self.wait_for(name);
        self.pass(0.01);
        self.end(name, down);
    }

    fn status(&self, name: &str) -> Status {
        let mut services = self.engine.services();
        let found = services.find(|it| format!("{}/{}", it.group, it.name) == name);
        found.expect("a service").status
    }

    fn failures(&self, name: &str) -> u32 {
        let mut services = self.engine.services();
        let found = services.find(|it| format!("{}/{}", it.group, it.name) == name);
        found.expect("a service").consec_failures
    }

    /// Addresses that are wanted in the table.
    fn table(&self) -> Vec<String> {
        let servers = self.engine.desired().values().flat_map(|it| &it.servers);
        let is_in = |wish: &ServerWish| matches!(wish, ServerWish::In(_));
        let servers = servers.filter(|(_, wish)| is_in(wish));
        servers.map(|(key, _)| key.0.ip().to_string()).collect()
    }

    fn is_cut_off(&self) -> bool {
        let web = self.model.find("web", "http").expect("a service");
        self.engine.cut_off(web).is_some()
    }

    fn alerts_of(&self, name: &str) -> Vec<AlertKind> {
        let sent = self.sent.iter().filter(|(of, _)| of == name);
        sent.map(|&(_, kind)| kind).collect()
    }
}

fn one_of_each() -> Play {
    Play::new(model(vec![gate(), web()], &["10.0.1.1", "10.0.1.2"]))
}

fn of_section(fall: u32) -> Play {
    let hosts = ["10.0.1.1", "10.0.1.2"];
    Play::new(with_section(model(vec![gate(), web()], &hosts), fall))
}

#[test]
fn a_failure_counts_as_soon_as_a_witness_that_was_asked_reaches_something() {
    let mut play = one_of_each();
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    assert_eq!(play.status(WEB), Status::Ok, "it waits");
    assert_eq!(play.purpose(GATE), Some(Purpose::Witness), "asked at once");
    assert!(play.alerts_of(WEB).is_empty());
    play.pass(0.1);
    play.end(GATE, &[]);
    assert_eq!(play.status(WEB), Status::Fail);
    assert_eq!(play.alerts_of(WEB), [AlertKind::Failure]);
    assert!(!play.is_cut_off() && play.notes.iter().all(|it| !is_cut_off(it)));
    play.check(WEB, &[]);
    assert_eq!(play.status(WEB), Status::Ok, "a good report passes at once");
    assert_eq!(play.alerts_of(WEB), [AlertKind::Failure, AlertKind::Up]);
}

fn is_cut_off(note: &Note) -> bool {
    matches!(note, Note::CutOff(_))
}

#[test]
fn while_the_witness_fails_nothing_changes_and_its_own_alert_is_the_only_one() {
    let mut play = of_section(1);
    play.check(WEB, &[]);
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
    play.is_cut = true;
    for _ in 0..5 {
        play.check(WEB, &["*"]);
        play.pass(0.5);
        play.end_others(WEB);
        assert_eq!(play.status(WEB), Status::Ok);
        assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
        assert!(play.is_cut_off());
    }
    assert_eq!(play.sent, [(GATE.to_owned(), AlertKind::Failure)]);
    assert_eq!(play.notes.iter().filter(|it| is_cut_off(it)).count(), 1);
    let web = play.model.find("web", "http").expect("a service");
    let results = &play.engine.recent(web).expect("results").results;
    let last = results.last().expect("one");
    assert_eq!((last.status, last.count), (Status::Unknown, 5));
    assert_eq!(last.reason, Some(Reason::Witness));

    // The link is back: all as before, and one recovery.
    play.is_cut = false;
    play.check(GATE, &[]);
    assert!(!play.is_cut_off());
    play.check(WEB, &[]);
    let told = [AlertKind::Failure, AlertKind::Up];
    assert_eq!(play.alerts_of(GATE), told);
    assert!(play.alerts_of(WEB).is_empty());
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
    let over = |it: &&Note| matches!(it, Note::Reached { .. });
    assert_eq!(play.notes.iter().filter(over).count(), 1);
}

#[test]
fn the_alert_of_the_witness_does_not_wait_for_its_slot() {
    let mut play = one_of_each();
    play.check(GATE, &[]);
    play.check(WEB, &["*"]);
    assert_eq!(play.purpose(GATE), Some(Purpose::Witness));
    let asked = play.now.mono;
    play.end(GATE, &["*"]);
    assert!(play.alerts_of(GATE).is_empty(), "it is no run of the slot");
    assert_eq!(play.purpose(GATE), Some(Purpose::Slot));
    assert_eq!(play.now.mono, asked);
    play.end(GATE, &["*"]);
    assert_eq!(play.alerts_of(GATE), [AlertKind::Failure]);
}

#[test]
fn a_server_that_fails_while_the_director_is_cut_off_leaves_after_the_next_check() {
    let mut play = of_section(1);
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    play.end(GATE, &["*"]);
    play.end(GATE, &["*"]);
    assert!(play.is_cut_off());
    play.check(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
    play.check(WEB, &["10.0.1.2"]);
    play.end(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.1"]);
    assert_eq!(play.alerts_of(WEB), [AlertKind::Failure]);
}

#[test]
fn a_link_that_was_cut_while_a_check_ran_and_is_back_makes_no_failure() {
    let mut play = one_of_each();
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    play.end(GATE, &["*"]);
    play.end(GATE, &["*"]);
    // This check begins while the link is cut, and runs into its time limit behind that.
    play.is_cut = true;
    play.wait_for(WEB);
    play.held = WEB;
    play.check(GATE, &["*"]);
    play.check(GATE, &[]);
    assert!(!play.is_cut_off());
    play.end(WEB, &["*"]);
    assert_eq!(play.status(WEB), Status::Ok);
    assert!(play.alerts_of(WEB).is_empty());
}

#[test]
fn a_good_witness_of_before_the_check_proves_nothing() {
    let mut play = one_of_each();
    play.held = GATE;
    play.wait_for(GATE);
    play.wait_for(WEB);
    play.pass(0.1);
    // The witness began before the check ended, and is good a moment later.
    play.end(WEB, &["*"]);
    play.end(GATE, &[]);
    assert_eq!(play.status(WEB), Status::Ok);
    assert_eq!(play.purpose(GATE), Some(Purpose::Witness), "asked anew");
    play.end(GATE, &[]);
    assert_eq!(play.status(WEB), Status::Fail);
}

#[test]
fn no_answer_within_two_seconds_means_cut_off_and_not_for_ever() {
    let mut play = one_of_each();
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    let began = play.now;
    play.pass(1.9);
    assert!(!play.is_cut_off());
    play.pass(0.2);
    assert!(play.is_cut_off());
    assert_eq!(play.status(WEB), Status::Ok);
    let mut last = play.now.mono;
    while play.status(WEB) == Status::Ok {
        play.pass(1.0);
        if play.is_running(WEB) {
            play.end(WEB, &["*"]);
            last = play.now.mono;
        }
        let waited = play.now.mono.since(began.mono);
        assert!(waited < SILENCE_MAX + seconds(20), "hidden for {waited:?}");
    }
    assert!(last.since(began.mono) >= SILENCE_MAX - seconds(10));
    assert_eq!(play.alerts_of(WEB), [AlertKind::Failure]);
    assert!(!play.is_cut_off());
    assert!(play.notes.iter().any(|it| matches!(it, Note::Unheeded(_))));
}

#[test]
fn a_witness_that_always_answers_too_late_hides_failures_for_no_longer() {
    let mut play = one_of_each();
    play.check(WEB, &[]);
    let began = play.now.mono;
    while play.status(WEB) == Status::Ok {
        play.pass(1.0);
        if play.is_running(WEB) {
            play.end(WEB, &["*"]);
            assert_ne!(play.status(WEB), Status::Fail);
        } else if play.is_running(GATE) {
            play.pass(3.0);
            play.end(GATE, &[]);
        }
        assert!(play.now.mono.since(began) < SILENCE_MAX * 2);
    }
    assert!(play.now.mono.since(began) >= SILENCE_MAX);
}

#[test]
fn of_several_witnesses_one_that_reaches_something_is_enough() {
    let other = Service {
        periods: vec![fixture::alerting()],
        ..fixture::service("gate2", "ping")
    };
    let mut model = model(vec![gate(), web(), other], &["10.0.1.1"]);
    model.witnesses.push(ServiceId(2));
    let mut play = Play::new(model.clone());
    play.check(WEB, &["*"]);
    assert!(play.is_running(GATE) && play.is_running("gate2/ping"));
    play.end(GATE, &["*"]);
    assert_eq!(play.status(WEB), Status::Untested);
    play.end("gate2/ping", &[]);
    assert_eq!(play.status(WEB), Status::Fail);

    let mut play = Play::new(model);
    play.check(WEB, &["*"]);
    play.end(GATE, &["*"]);
    assert!(!play.is_cut_off());
    play.end("gate2/ping", &["*"]);
    assert!(play.is_cut_off());
}

#[test]
fn a_witness_of_several_hosts_reaches_something_where_one_of_them_answers() {
    let mut play = one_of_each();
    play.check(WEB, &["*"]);
    play.end(GATE, &["10.0.1.1"]);
    assert_eq!(play.status(WEB), Status::Fail);
}

#[test]
fn a_witness_that_is_disabled_is_none() {
    let mut play = one_of_each();
    let wish = Wish::Disable {
        target: Target::Service(GATE_ID),
        user: String::new(),
    };
    play.tell(Event::Operator(wish));
    play.check(WEB, &["*"]);
    assert_eq!(play.status(WEB), Status::Fail);
}

const GATE_ID: ServiceId = ServiceId(0);

#[test]
fn what_is_good_in_a_failing_report_counts_also_while_cut_off() {
    let mut play = of_section(1);
    play.check(WEB, &["10.0.1.2"]);
    play.end(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.1"]);
    play.check(WEB, &["10.0.1.1"]);
    play.end(GATE, &["*"]);
    assert!(play.is_cut_off());
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
}

#[test]
fn a_count_of_failures_goes_on_behind_the_cut_and_waits_meanwhile() {
    let mut play = of_section(3);
    play.check(WEB, &[]);
    play.check(WEB, &["10.0.1.2"]);
    play.end(GATE, &[]);
    play.wait_for(WEB);
    assert_eq!(play.purpose(WEB), Some(Purpose::Recheck));
    play.end(WEB, &["*"]);
    play.end(GATE, &["*"]);
    play.end(GATE, &["*"]);
    assert!(play.is_cut_off());
    let cut = play.now.mono;
    play.wait_for(WEB);
    assert_eq!(play.purpose(WEB), Some(Purpose::Slot));
    assert!(
        play.now.mono.since(cut) > seconds(5),
        "no re-check meanwhile"
    );
    play.end(WEB, &["10.0.1.2"]);
    play.end(GATE, &[]);
    assert_eq!(play.table().len(), 2, "two of three");
    play.check(WEB, &["10.0.1.2"]);
    play.end(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.1"]);
}

#[test]
fn alertafter_counts_on_and_the_failure_interval_comes_into_force() {
    let service = Service {
        failure_interval: Some(seconds(3)),
        periods: vec![AlertPeriod {
            alertafter_count: Some(2),
            ..fixture::alerting()
        }],
        ..web()
    };
    let mut play = Play::new(model(vec![gate(), service], &["10.0.1.1"]));
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    let first = play.now.mono;
    play.end(GATE, &[]);
    assert_eq!((play.failures(WEB), play.alerts_of(WEB).len()), (1, 0));
    play.wait_for(WEB);
    assert_eq!(
        play.now.mono.since(first),
        seconds(3) - Duration::from_millis(10)
    );
    play.end(WEB, &["*"]);
    play.end(GATE, &["*"]);
    play.end(GATE, &["*"]);
    assert_eq!((play.failures(WEB), play.alerts_of(WEB).len()), (1, 0));
    assert_eq!(play.status(WEB), Status::Fail, "as before");
    play.held = WEB;
    play.check(GATE, &[]);
    play.check(WEB, &["*"]);
    play.end(GATE, &[]);
    assert_eq!((play.failures(WEB), play.alerts_of(WEB).len()), (2, 1));
}

#[test]
fn a_trap_that_came_counts_at_once_and_one_that_did_not_waits() {
    let traps = Service {
        interval: None,
        monitor: None,
        traptimeout: Some(seconds(65)),
        periods: vec![fixture::alerting()],
        ..fixture::service("far", "trap")
    };
    let mut play = Play::new(model(vec![gate(), traps, web()], &["10.0.1.1"]));
    let trap = |status: &str| {
        Event::Trap(Trap {
            group: "far".into(),
            service: "trap".into(),
            status: status.into(),
            summary: "it says so".into(),
            detail: String::new(),
            from: "10.0.0.9".parse().expect("an address"),
        })
    };
    play.tell(trap("1"));
    assert_eq!(play.status("far/trap"), Status::Fail);
    play.tell(trap("0"));
    while play.purpose(GATE) != Some(Purpose::Witness) {
        play.end_others("");
        play.pass(1.0);
        assert_eq!(play.status("far/trap"), Status::Ok);
    }
    assert!(play.now.mono >= at(60.0).mono, "it was waited for");
    play.end(GATE, &["*"]);
    assert_eq!(play.status("far/trap"), Status::Ok);
}

#[test]
fn what_looks_at_this_machine_only_needs_no_witness() {
    let mut own = fixture::service("own", "disk");
    own.interval = Some(seconds(5));
    let mut model = model(vec![gate(), own, web()], &["10.0.1.1"]);
    model.hostgroups[1].members = vec![fixture::member("localhost"), fixture::member("::1")];
    let mut play = Play::new(model);
    play.check("own/disk", &["*"]);
    assert_eq!(play.status("own/disk"), Status::Fail);
    assert_eq!(play.status(GATE), Status::Untested);
}

#[test]
fn a_section_has_its_own_witnesses_or_none_and_its_judges_with_it() {
    let hosts = ["10.0.1.1", "10.0.1.2"];
    let mut without = with_section(model(vec![gate(), web()], &hosts), 1);
    without.virtual_services[0].witnesses.clear();
    let mut play = Play::new(without.clone());
    play.check(WEB, &["10.0.1.1"]);
    assert_eq!(play.status(WEB), Status::Fail);

    let mut own = without;
    own.virtual_services[0].witnesses = vec![GATE_ID];
    own.witnesses.clear();
    let mut play = Play::new(own);
    play.check(WEB, &["10.0.1.1"]);
    assert_eq!(play.status(WEB), Status::Untested);
    play.end(GATE, &[]);
    assert_eq!(play.status(WEB), Status::Fail);
}

#[test]
fn what_cannot_look_at_all_does_not_wait() {
    let mut play = one_of_each();
    play.wait_for(WEB);
    let run = play.going.remove(0).id;
    let report = fixture::ended(Ended::NotStarted("no such file".into()), "");
    play.tell(Event::RunEnded { run, report });
    assert_eq!(play.status(WEB), Status::Fail);
}

#[test]
fn a_reload_while_cut_off_and_a_restart_change_nothing() {
    let mut play = of_section(1);
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    play.end(GATE, &["*"]);
    play.end(GATE, &["*"]);
    let model = Arc::clone(&play.model);
    // The services stand in another order, so that all numbers change.
    let hosts = ["10.0.1.1", "10.0.1.2"];
    let mut swapped = self::model(vec![web(), gate()], &hosts);
    swapped = with_section(swapped, 1);
    swapped.witnesses = vec![ServiceId(1)];
    play.model = Arc::new(swapped);
    play.tell(Event::Reload {
        model: Arc::clone(&play.model),
        memory: Memory::Kept,
    });
    assert!(play.is_cut_off());
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
    play.check(WEB, &["*"]);
    if play.is_running(GATE) {
        play.end(GATE, &["*"]);
    }
    assert_eq!(play.alerts_of(WEB), []);

    let saved = std::mem::take(&mut play.journal);
    let mut play = Play::restarted(Arc::unwrap_or_clone(model), saved, play.now);
    play.check(WEB, &["*"]);
    if play.is_running(GATE) {
        play.end(GATE, &["*"]);
    }
    assert!(play.alerts_of(WEB).is_empty());
    assert!(play.is_cut_off());
}

#[test]
fn a_full_house_lets_the_witness_in_first() {
    let mut others: Vec<Service> = (0..5)
        .map(|number| Service {
            interval: Some(seconds(1)),
            ..fixture::service(&format!("w{number}"), "s")
        })
        .collect();
    others.insert(0, gate());
    let mut model = model(others, &["10.0.1.1"]);
    model.globals.maxprocs = Some(1);
    let mut play = Play::new(model);
    play.until(1.5);
    let first = play.name(&play.going[0]);
    play.end(&first, &["*"]);
    assert_eq!(play.purpose(GATE), Some(Purpose::Witness));
}

#[test]
fn being_cut_off_ends_when_its_witness_is_disabled() {
    let mut play = of_section(2);
    play.check(WEB, &[]);
    play.is_cut = true;
    play.check(WEB, &["*"]);
    play.end_others(WEB);
    assert!(play.is_cut_off());
    let wish = Wish::Disable {
        target: Target::Service(GATE_ID),
        user: String::new(),
    };
    play.tell(Event::Operator(wish));
    play.check(WEB, &["10.0.1.2"]);
    assert!(!play.is_cut_off());
    let unheeded = |it: &&Note| matches!(it, Note::NoWitness(_));
    assert_eq!(play.notes.iter().filter(unheeded).count(), 1);
    // What is left of the count is looked for before the next slot.
    play.wait_for(WEB);
    assert_eq!(play.purpose(WEB), Some(Purpose::Recheck));
}

#[test]
fn a_witness_that_says_nothing_is_not_run_without_a_rest() {
    let mut play = one_of_each();
    play.check(WEB, &[]);
    play.check(WEB, &["*"]);
    let mut runs = 0;
    let end = play.now.mono.after(ANSWER_MAX);
    while play.now.mono < end {
        while let Some(place) = play.going.iter().position(|run| play.name(run) == GATE) {
            let run = play.going.remove(place);
            runs += 1;
            assert!(runs < 1_000, "it is run all the time");
            let report = Report {
                ended: Ended::NotStarted("too many open files".into()),
                output: Vec::new(),
                hosts: Vec::new(),
                took: seconds(0),
            };
            play.pass(0.001);
            play.tell(Event::RunEnded {
                run: run.id,
                report,
            });
        }
        play.pass(0.001);
    }
    assert!((2..=40).contains(&runs), "{runs} runs within two seconds");
}

#[test]
fn a_good_run_voids_no_crash_that_was_seen_since_it_began() {
    let options = MonitorOptions::parse("tcp.monitor", &["-p".into(), "80".into()]);
    let mut monitor = fixture::monitor("tcp.monitor");
    monitor.program = MonitorProgram::Native(options.expect("known").expect("right"));
    let wired = Service {
        monitor: Some(Arc::new(monitor)),
        tripwire: Tripwire::On,
        ..web()
    };
    let hosts = ["10.0.1.1", "10.0.1.2"];
    let mut play = Play::new(with_section(model(vec![gate(), wired], &hosts), 3));
    play.check(WEB, &[]);
    play.wait_for(WEB);
    let (run, host) = (play.going[0].id, HostName::new(hosts[0]));
    let verdict = HostVerdict::Up;
    let now = play.now;
    let checked = Event::HostChecked { run, host, verdict };
    let actions = play.engine.handle(now, checked);
    let [Action::Hold(wire)] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    play.pass(0.01);
    play.tell(Event::Tripped(wire.id));
    let beside = play.going.pop().expect("a check beside the run");
    assert_eq!(beside.purpose, Purpose::Beside);
    play.tell(Event::RunEnded {
        run: beside.id,
        report: Report {
            ended: Ended::Exited(1),
            output: Vec::new(),
            hosts: vec![HostResult {
                host: beside.hosts[0].clone(),
                verdict: HostVerdict::Down(Reason::Refused),
                text: String::new(),
                weight: None,
                took: seconds(0),
            }],
            took: seconds(0),
        },
    });
    play.end(WEB, &[]);
    assert_eq!(play.table(), hosts, "it waits for the witness");
    play.pass(0.01);
    play.end(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.2"]);
}

#[test]
fn a_good_run_says_nothing_of_the_address_that_the_name_has_left() {
    let model = with_section(model(vec![gate(), web()], &["10.0.1.1", "10.0.1.2"]), 1);
    let id = model.find("web", "http").expect("a service");
    let began = at(0.0).mono;
    let doubt = |run, purpose| Doubt {
        report: Doubted::Run(
            Going {
                run: RunId(run),
                service: id,
                purpose,
                started: began,
                hosts: Vec::new(),
                checked: BTreeSet::new(),
                tripped: BTreeSet::new(),
                answers: 0,
                is_early: false,
                told: Arc::default(),
                former: Vec::new(),
                is_overtaken: false,
            },
            Report {
                ended: Ended::Exited(1),
                output: Vec::new(),
                hosts: Vec::new(),
                took: seconds(0),
            },
        ),
        began,
        ended: began,
    };
    for good in [Some(RunId(3)), None] {
        let mut witnesses = Witnesses::new(&model);
        witnesses.put_aside(doubt(1, Purpose::Slot));
        witnesses.put_aside(doubt(2, Purpose::Former));
        witnesses.forget_doubts(id, good);
        let left = witnesses.take_doubt(id).map(|left| left.report);
        let Some(Doubted::Run(left, _)) = left else {
            panic!("{left:?}");
        };
        assert_eq!(left.purpose, Purpose::Former);
        assert!(!witnesses.has_doubts(id));
    }
}

/// A section of a name and an address, whose hosts are checked every ten seconds.
const NAMED: &str = "witness = gate:ping\n\nhostgroup gate 10.9.0.1\n\n\
                     hostgroup web w1 10.0.1.2\n\nwatch gate\n service ping\n  interval 30s\n  \
                     monitor tcp.monitor -p 1\n\nwatch web\n service http\n  interval 10s\n  \
                     monitor tcp.monitor -p 80\n\nvirtual 10.0.0.3:80\n real web\n \
                     service web:http\n fall 1\n";

impl Play {
    fn leads(&mut self, name: &str, address: &str) {
        let host = HostName::new(name);
        let answer = Ok(vec![address.parse().unwrap()]);
        self.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
    }

    /// Ends the oldest check of an address that its name has left.
    fn end_former(&mut self, down: &[&str]) {
        self.going
            .sort_by_key(|run| (run.purpose != Purpose::Former, run.id));
        assert_eq!(self.going[0].purpose, Purpose::Former);
        self.end(WEB, down);
    }
}

/// Which one waits for a witness while another one is over is a matter of chance.
#[test]
fn a_failure_at_the_address_of_before_is_void_once_a_later_check_there_was_good() {
    for is_good in [true, false] {
        let (model, _) = crate::config::load_text(NAMED).unwrap();
        let mut play = Play::new(model);
        play.leads("w1", "10.0.1.1");
        play.wait_for(WEB);
        play.end(WEB, &[]);
        assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
        play.leads("w1", "10.0.1.3");
        play.wait_for(WEB);
        // The check of before is slow: it ends just before the next slot, of which it is good.
        play.going.sort_by_key(|run| run.purpose != Purpose::Slot);
        play.end(WEB, &["w1"]);
        play.end_others(WEB);
        play.pass(9.5);
        play.end_others(WEB);
        play.end_former(&["w1"]);
        assert!(play.is_running(GATE), "a witness is asked");
        play.pass(0.6);
        play.end_former(if is_good { &[] } else { &["w1"] });
        play.end(GATE, &[]);
        let stays = play.table().contains(&"10.0.1.1".to_owned());
        assert_eq!(stays, is_good);
    }
}

/// The name `w1` leads elsewhere and back: the check of before is at work, and one behind it where
/// the name leads now, each at 10.0.1.1.
fn of_a_check_of_before() -> Play {
    let (model, _) = crate::config::load_text(NAMED).unwrap();
    let mut play = Play::new(model);
    play.leads("w1", "10.0.1.1");
    play.wait_for(WEB);
    play.end(WEB, &[]);
    play.leads("w1", "10.0.1.3");
    play.wait_for(WEB);
    play.end_slot(&["w1"]);
    play.end_others(WEB);
    play.pass(5.0);
    play.leads("w1", "10.0.1.1");
    play.end_others(WEB);
    let purposes: Vec<Purpose> = play.going.iter().map(|run| run.purpose).collect();
    assert_eq!(purposes, [Purpose::Former, Purpose::Slot]);
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"]);
    play
}

impl Play {
    fn end_slot(&mut self, down: &[&str]) {
        self.going.sort_by_key(|run| run.purpose != Purpose::Slot);
        assert_eq!(self.going[0].purpose, Purpose::Slot);
        self.end(WEB, down);
    }
}

#[test]
fn a_failure_that_says_nothing_leaves_the_check_of_before_its_word() {
    let mut play = of_a_check_of_before();
    play.end_slot(&["w1"]);
    assert!(play.is_running(GATE), "a witness is asked");
    // It does not answer in time.
    play.pass(ANSWER_MAX.as_secs_f64());
    assert!(play.is_cut_off(), "what the slot found says nothing");
    play.end(GATE, &[]);
    play.end_former(&["w1"]);
    play.pass(0.2);
    play.end(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.2"], "nobody said anything since");
}

#[test]
fn a_failure_of_a_check_of_before_is_void_once_a_later_run_there_was_good() {
    let mut play = of_a_check_of_before();
    play.end_former(&["w1"]);
    assert!(play.is_running(GATE), "a witness is asked");
    play.end_slot(&[]);
    play.pass(0.01);
    play.end(GATE, &[]);
    assert_eq!(play.table(), ["10.0.1.1", "10.0.1.2"], "it was good since");
}
