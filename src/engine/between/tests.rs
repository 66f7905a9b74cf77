use jiff::tz::TimeZone;

use super::*;
use crate::engine::event::{Ended, Event, HostResult, Memory, Run, Wire};
use crate::engine::fixture::{self, at, seconds};
use crate::engine::saved::Saved;
use crate::model::{Model, MonitorProgram, Service, Tripwire};
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

/// An engine with its clock.
struct Play {
    engine: Engine,
    model: Arc<Model>,
    now: Now,
    going: Option<Run>,
}

impl Play {
    fn new(model: Model) -> Self {
        let model = Arc::new(model);
        let now = at(0.0);
        let zone = TimeZone::UTC;
        let engine = Engine::new(Arc::clone(&model), &Saved::default(), 1, zone, now);
        let mut play = Self {
            engine,
            model,
            now,
            going: None,
        };
        play.tell(Event::Start);
        play
    }

    /// One service, one host.
    fn of_one() -> Self {
        Self::new(fixture::model_of(vec![wired()], &["h1"]))
    }

    fn tell(&mut self, event: Event) -> Vec<Action> {
        let actions = self.engine.handle(self.now, event);
        let started: Vec<&Run> = actions.iter().filter_map(Action::started).collect();
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
            text: String::new(),
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
fn a_good_check_asks_for_a_connection_once_and_a_bad_one_closes_it() {
    let mut play = Play::of_one();
    let (_, actions) = play.check(&[]);
    let wires = held(&actions);
    let [wire] = wires.as_slice() else {
        panic!("{wires:?}");
    };
    assert_eq!((wire.host.as_str(), wire.port), ("h1", 80));
    assert_eq!(wire.wait, seconds(0));
    assert_eq!(held(&play.check(&[]).1), []);
    let (_, actions) = play.check(&["h1"]);
    assert!(actions.contains(&Action::LetGo(wire.id)), "{actions:?}");
    // Its end was on its way already.
    play.tell(Event::Tripped(wire.id));
    assert_eq!(play.going, None);
    let again = held(&play.check(&[]).1);
    assert!(again[0].id > wire.id && again[0].wait == seconds(0));
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
    for _ in 0..4 {
        play.now = Now {
            mono: play.now.mono.after(wire.wait).after(seconds(1)),
            wall: play.now.wall.after(wire.wait).after(seconds(1)),
        };
        play.tell(Event::Tripped(wire.id));
        let (_, actions) = play.check(&[]);
        wire = held(&actions)[0].clone();
        waits.push(wire.wait.as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8]);
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
