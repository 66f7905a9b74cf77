//! Crashes while a run goes on that waits for another host.

use super::*;
use crate::engine::event::{RunId, Target, Tell, Wish};
use crate::model::{Binding, BoundServers, Creation, Ends, Withdraws};

impl Play {
    /// The run that goes on is over with a host; the connections that come of it.
    fn checked(&mut self, host: &str, verdict: HostVerdict) -> Vec<Wire> {
        let run = self.going.as_ref().expect("a run goes on").id;
        let host = HostName::new(host);
        held(&self.tell(Event::HostChecked { run, host, verdict }))
    }

    /// The hosts that are checked beside the run, in the order of their checks.
    fn beside(&self) -> Vec<String> {
        let hosts = self.beside.iter().flat_map(|run| &run.hosts);
        hosts.map(ToString::to_string).collect()
    }

    /// Ends the oldest check beside the run.
    fn end_beside(&mut self, verdict: HostVerdict) -> Vec<Action> {
        let run = self.beside.remove(0);
        self.tell(ended(run.id, &[(run.hosts[0].as_str(), verdict)]))
    }

    /// Ends the run that goes on.
    fn end_as(&mut self, verdicts: &[(&str, HostVerdict)]) -> Vec<Action> {
        let run = self.going.take().expect("a run goes on").id;
        self.tell(ended(run, verdicts))
    }

    /// A service whose hosts are judged by a section, in the middle of the run of a slot after a
    /// good one.
    fn in_a_run(hosts: &[&str]) -> Self {
        let mut play = Self::of_section(hosts);
        play.check(&[]);
        assert_eq!(going(&mut play).1, Purpose::Slot);
        assert_eq!(play.going.as_ref().unwrap().tell, Tell::EachHost);
        play
    }
}

fn ended(run: RunId, verdicts: &[(&str, HostVerdict)]) -> Event {
    let result = |(host, verdict): &(&str, HostVerdict)| HostResult {
        host: HostName::new(host),
        verdict: *verdict,
        text: String::new(),
        weight: None,
        took: seconds(0),
    };
    let bad = verdicts.iter().filter(|it| it.1 != HostVerdict::Up);
    let bad: Vec<&str> = bad.map(|it| it.0).collect();
    Event::RunEnded {
        run,
        report: Report {
            ended: Ended::Exited(i32::from(!bad.is_empty())),
            output: bad.join(" ").into_bytes(),
            hosts: verdicts.iter().map(result).collect(),
            took: seconds(0),
        },
    }
}

const UP: HostVerdict = HostVerdict::Up;
const REFUSED: HostVerdict = HostVerdict::Down(Reason::Refused);
const SILENT: HostVerdict = HostVerdict::Down(Reason::Timeout);

#[test]
fn a_crash_counts_while_the_run_waits_for_another_host() {
    let mut play = Play::in_a_run(&TWO);
    let wires = play.checked(TWO[0], UP);
    assert_eq!(wires.len(), 1, "held again before the run ends");
    play.tell(Event::Tripped(wires[0].id));
    assert_eq!(play.beside(), [TWO[0]]);
    play.end_beside(REFUSED);
    assert!(
        !play.is_in(TWO[0]) && play.is_in(TWO[1]),
        "fall is 3, but it is certain"
    );
    // What the run found before the crash does not undo it, and the next run follows at once.
    play.end_as(&[(TWO[0], UP), (TWO[1], SILENT)]);
    assert!(!play.is_in(TWO[0]) && play.is_in(TWO[1]));
    let ended = play.now.mono;
    let (began, purpose, hosts) = going(&mut play);
    assert_eq!((began, purpose, hosts.len()), (ended, Purpose::Slot, 2));
    // A run that begins later counts as ever.
    play.end(&[]);
    assert!(play.is_in(TWO[0]));
}

#[test]
fn a_run_that_is_good_otherwise_does_not_undo_a_crash_either() {
    let mut play = Play::in_a_run(&TWO);
    let wire = play.checked(TWO[0], UP)[0].id;
    play.tell(Event::Tripped(wire));
    play.end_beside(REFUSED);
    play.end_as(&[(TWO[0], UP), (TWO[1], UP)]);
    assert!(!play.is_in(TWO[0]));
}

#[test]
fn a_crash_counts_while_a_recheck_waits_for_another_host() {
    let mut play = Play::of_section(&TWO);
    play.check(&[]);
    let wires = held(&play.check(&[TWO[1]]).1);
    let (_, purpose, hosts) = going(&mut play);
    assert_eq!(
        (purpose, hosts),
        (Purpose::Recheck, vec![TWO[1].to_owned()])
    );
    play.tell(Event::Tripped(wires[0].id));
    assert_eq!(play.beside(), [TWO[0]]);
    play.end_beside(REFUSED);
    assert!(!play.is_in(TWO[0]));
}

#[test]
fn a_host_is_not_checked_twice_at_the_same_time() {
    let mut play = Play::of_section(&TWO);
    let wire = held(&play.check(&[]).1)[0].id;
    going(&mut play);
    // Its end was on its way when it was let go of for the run.
    play.tell(Event::Tripped(wire));
    assert!(play.beside().is_empty(), "the run is at it");
    assert_eq!(play.checked(TWO[0], REFUSED), []);
    assert_eq!(play.beside(), [TWO[0]]);
    play.end_beside(REFUSED);
    assert!(!play.is_in(TWO[0]));
    play.end_as(&[(TWO[0], REFUSED), (TWO[1], SILENT)]);
    // The run knew of it: none follows at once.
    assert_eq!(going(&mut play).1, Purpose::Recheck);
}

#[test]
fn a_server_that_merely_closes_while_a_run_goes_on_stays_in() {
    let mut play = Play::in_a_run(&TWO);
    let mut wire = play.checked(TWO[0], UP)[0].id;
    let mut waits = Vec::new();
    for _ in 0..4 {
        play.tell(Event::Tripped(wire));
        let again = held(&play.end_beside(UP));
        wire = again[0].id;
        waits.push(again[0].wait.as_millis());
    }
    assert_eq!(waits, [0, 50, 1_000, 2_000]);
    assert!(
        held(&play.end_as(&[(TWO[0], UP), (TWO[1], UP)])).len() == 1,
        "of the other one"
    );
    assert!(play.is_in(TWO[0]));
}

#[test]
fn a_run_that_begins_looks_at_the_host_in_place_of_the_check_beside() {
    let mut play = Play::in_a_run(&TWO);
    let wire = play.checked(TWO[0], UP)[0].id;
    play.tell(Event::Tripped(wire));
    assert_eq!(play.beside(), [TWO[0]]);
    let wires = held(&play.end_as(&[(TWO[0], UP), (TWO[1], UP)]));
    let hosts: Vec<&str> = wires.iter().map(|wire| wire.host.as_str()).collect();
    assert_eq!(hosts, [TWO[1]], "the other one is looked at");
    assert_eq!(going(&mut play).1, Purpose::Slot);
    assert!(play.beside().is_empty(), "it gave way");
    assert_eq!(play.checked(TWO[0], REFUSED), []);
    assert_eq!(play.beside(), [TWO[0]], "and looks again, at once");
    play.end_beside(REFUSED);
    assert!(!play.is_in(TWO[0]));
}

#[test]
fn so_many_hosts_are_checked_beside_a_run_at_once() {
    let names: Vec<String> = (1..=12).map(|it| format!("10.0.1.{it}")).collect();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut play = Play::in_a_run(&hosts);
    let wires: Vec<Wire> = hosts[..11]
        .iter()
        .flat_map(|it| play.checked(it, UP))
        .collect();
    for wire in &wires {
        play.tell(Event::Tripped(wire.id));
    }
    assert_eq!(play.beside().len(), 8);
    assert_eq!(play.engine.runs_going(), (0, 9));
    for left in (0..11).rev() {
        play.end_beside(REFUSED);
        assert_eq!(play.beside().len(), left.min(8));
    }
    assert!(hosts[..11].iter().all(|it| !play.is_in(it)) && play.is_in(hosts[11]));
}

#[test]
fn a_reload_keeps_what_a_check_beside_the_run_said() {
    let mut play = Play::in_a_run(&TWO);
    let wires = [TWO[0], TWO[1]].map(|it| play.checked(it, UP)[0].id);
    play.tell(Event::Tripped(wires[0]));
    play.end_beside(REFUSED);
    play.tell(Event::Tripped(wires[1]));
    let reload = |play: &mut Play, memory| {
        let model = Arc::clone(&play.model);
        play.tell(Event::Reload { model, memory });
    };
    reload(&mut play, Memory::Kept);
    assert_eq!(
        (play.beside(), play.engine.runs_going()),
        (vec![TWO[1].to_owned()], (0, 2))
    );
    play.end_as(&[(TWO[0], UP), (TWO[1], UP)]);
    assert!(!play.is_in(TWO[0]));
    // The run that follows has taken the place of the check beside the last one.
    play.checked(TWO[1], REFUSED);
    assert_eq!(
        (play.beside(), play.engine.runs_going()),
        (vec![TWO[1].to_owned()], (0, 2))
    );
    reload(&mut play, Memory::Forgotten);
    let first = u32::from(play.going.is_some());
    assert_eq!(
        (play.beside(), play.engine.runs_going()),
        (vec![], (0, first))
    );
}

#[test]
fn a_host_that_was_disabled_since_its_check_began_is_taken_out_by_no_crash() {
    let mut play = Play::of_section(&TWO);
    let wire = held(&play.check(&[]).1)[0].id;
    play.tell(Event::Tripped(wire));
    assert_eq!(going(&mut play).1, Purpose::Trip);
    let host = Target::Hosts(vec![HostName::new(TWO[0])]);
    play.tell(Event::Operator(Wish::Disable {
        target: host,
        user: "joe".to_owned(),
    }));
    play.end(&[TWO[0]]);
    assert!(play.is_in(TWO[0]), "frozen (D10)");
}

#[test]
fn a_host_that_dies_under_its_own_check_is_looked_at_before_the_run_ends() {
    let mut play = Play::of_section(&TWO);
    play.check(&[]);
    going(&mut play);
    // Its connection was let go of for this check, which ends with it.
    play.checked(TWO[0], HostVerdict::Down(Reason::Reply));
    assert_eq!(play.beside(), [TWO[0]]);
    play.end_beside(REFUSED);
    // No idle connection ended by itself: it is one of three, and the run's own word is none.
    assert!(play.is_in(TWO[0]));
    play.end_as(&[(TWO[0], REFUSED), (TWO[1], UP)]);
    for count in 2..=3 {
        let (_, purpose, hosts) = going(&mut play);
        let wanted = (Purpose::Recheck, vec![TWO[0].to_owned()]);
        assert_eq!((purpose, hosts), wanted, "{count}");
        play.end(&[TWO[0]]);
        assert_eq!(play.is_in(TWO[0]), count < 3, "{count}");
    }
}

/// The check of the single host is told to the section alone.
#[test]
fn lines_hear_at_once_of_a_host_that_dies_under_its_own_check() {
    let mut model = Play::model_of_section(&TWO, 1);
    model.bindings = vec![Binding {
        service: ServiceId(0),
        virtual_service: "10.0.0.4:80/tcp".parse().unwrap(),
        real: BoundServers::EachHost { port: 80 },
        forwarding: Forwarding::Dr,
        weight: Weight(1),
        creation: Creation::ByOthers,
        withdraws: Withdraws::RealServer,
        ends: Ends::WithSuccess,
    }];
    let mut play = Play::new(model);
    play.look();
    play.check(&[]);
    going(&mut play);
    play.checked(TWO[0], REFUSED);
    assert_eq!(play.beside(), [TWO[0]]);
    play.end_beside(REFUSED);
    play.end_as(&[(TWO[0], REFUSED), (TWO[1], UP)]);
    let ended = play.now.mono;
    let (began, purpose, _) = going(&mut play);
    assert_eq!(
        (began, purpose),
        (ended, Purpose::Slot),
        "not a minute later"
    );
}

#[test]
fn no_run_follows_a_crash_that_the_run_of_the_slot_has_found_itself() {
    let mut play = Play::of_section_with(&TWO, 1);
    play.check(&[]);
    let (slot, ..) = going(&mut play);
    let wires = play.checked(TWO[1], UP);
    play.checked(TWO[0], REFUSED);
    assert_eq!(play.beside(), [TWO[0]]);
    // All learn of it by the end of this run, and the check beside it is not over yet.
    play.end_as(&[(TWO[0], REFUSED), (TWO[1], UP)]);
    assert!(!play.is_in(TWO[0]) && play.is_in(TWO[1]));
    let actions = play.end_beside(REFUSED);
    // A crash of another one is heard of: nothing lets go of its connection for one more run.
    assert!(
        !actions.contains(&Action::LetGo(wires[0].id)),
        "{actions:?}"
    );
    assert_eq!(play.going, None);
    play.tell(Event::Tripped(wires[0].id));
    let (_, purpose, hosts) = going(&mut play);
    assert_eq!((purpose, hosts), (Purpose::Trip, vec![TWO[1].to_owned()]));
    play.end(&[TWO[1]]);
    assert!(!play.is_in(TWO[1]));
    // Of that nobody else knows.
    let (began, purpose, _) = going(&mut play);
    assert_eq!((began, purpose), (slot, Purpose::Slot));
}

#[test]
fn a_host_that_is_good_behind_a_check_that_it_ended_stays_in() {
    let mut play = Play::of_section_with(&TWO, 1);
    play.check(&[]);
    going(&mut play);
    play.checked(TWO[0], REFUSED);
    assert_eq!(held(&play.end_beside(UP)).len(), 1, "held again");
    play.end_as(&[(TWO[0], REFUSED), (TWO[1], SILENT)]);
    assert!(play.is_in(TWO[0]) && !play.is_in(TWO[1]), "the later word");
    // One that was down before has no connection, and is not looked at twice at each run.
    going(&mut play);
    assert_eq!(play.checked(TWO[1], REFUSED), []);
    assert!(play.beside().is_empty());
    // Nor is one that says nothing, or something else.
    let status = HostVerdict::Down(Reason::Status);
    for verdict in [SILENT, status] {
        assert_eq!(play.checked(TWO[0], verdict), []);
        assert!(play.beside().is_empty(), "{verdict:?}");
    }
    // Where one failure is enough, it is out at once.
    play.checked(TWO[0], REFUSED);
    play.end_beside(REFUSED);
    assert!(!play.is_in(TWO[0]));
}

#[test]
fn one_that_is_looked_at_behind_the_run_for_its_failed_check_is_no_sure_crash_either() {
    let mut model = fixture::model_of(vec![wired()], &TWO);
    model.globals.maxchecks = 1;
    model.virtual_services.push(section(&TWO));
    let mut play = Play::new(model);
    play.look();
    play.check(&[]);
    going(&mut play);
    play.checked(TWO[0], REFUSED);
    assert!(play.beside().is_empty(), "there is no place");
    play.end_as(&[(TWO[0], REFUSED), (TWO[1], UP)]);
    let (_, purpose, hosts) = going(&mut play);
    assert_eq!((purpose, hosts), (Purpose::Trip, vec![TWO[0].to_owned()]));
    play.end(&[TWO[0]]);
    assert!(play.is_in(TWO[0]), "two of three");
}
