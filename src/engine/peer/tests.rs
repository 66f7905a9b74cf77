//! Both directors name one outage by one number, whoever finds it first.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::engine::Engine;
use crate::engine::event::{Action, Event, Note, PeerTold, Renumbering, RunId, Wish};
use crate::engine::fixture::{EPOCH, alert, alerting, at, exited, model, service};
use crate::engine::saved::Saved;
use crate::model::{AlertPeriod, Service, ServiceId};
use crate::pair::Speaking;
use crate::pair::talk::counted::Events;
use crate::pair::talk::word::{
    Lasted, OpenOutage, Past, Reached, ServiceName, SharedAck, ToldPeriods,
};
use crate::pair::talk::{Own, Talk};
use crate::time::Wall;

/// One service `g/s` that alerts at every failure, checked every ten seconds.
struct Desk {
    engine: Engine,
    run: RunId,
    seconds: f64,
}

impl Desk {
    fn new() -> Self {
        Self::with(AlertPeriod {
            ackalerts: vec![alert("ack.alert")],
            ..alerting()
        })
    }

    /// The same with another period.
    fn with(period: AlertPeriod) -> Self {
        Self::of(Service {
            periods: vec![period],
            ..service("g", "s")
        })
    }

    fn of(service: Service) -> Self {
        let mut model = model(vec![service]);
        model.globals.peer.address = Some("192.0.2.2:2584".parse().unwrap());
        let model = Arc::new(model);
        let mut engine = Engine::new(model, &Saved::default(), 1, TimeZone::UTC, at(0.0));
        engine.handle(at(0.0), Event::Start);
        Self {
            engine,
            run: RunId(0),
            seconds: 0.0,
        }
    }

    fn tell(&mut self, told: PeerTold) -> Vec<Action> {
        self.engine.handle(at(self.seconds), Event::Peer(told))
    }

    /// The next report ends with this value; ids of the alerts that it causes.
    fn hears(&mut self, exit: i32) -> Vec<String> {
        self.reads(exit, "h1\n")
    }

    /// The same with this output.
    fn reads(&mut self, exit: i32, output: &str) -> Vec<String> {
        let mut actions = Vec::new();
        while !actions
            .iter()
            .any(|action: &Action| action.started().is_some())
        {
            self.seconds += 0.5;
            actions = self.engine.handle(at(self.seconds), Event::Deadline);
        }
        let started = actions.iter().find_map(Action::started).unwrap();
        self.run = started.id;
        let report = exited(exit, output);
        let run = self.run;
        let ended = Event::RunEnded { run, report };
        ids(&self.engine.handle(at(self.seconds), ended))
    }

    /// From what its journal has.
    fn restart(&mut self) {
        let now = at(self.seconds);
        let mut saved = Saved::default();
        for action in self.engine.handle(now, Event::JournalLost) {
            if let Action::Record(record) = action {
                saved.records.insert(record.key, record.value);
            }
        }
        let model = Arc::clone(self.engine.model());
        self.engine = Engine::new(model, &saved, 1, TimeZone::UTC, now);
        self.engine.handle(now, Event::Start);
    }

    fn ack(&self) -> Option<SharedAck> {
        let mut outages = self.engine.outages().0.into_values();
        outages.next().and_then(|it| it.ack)
    }

    /// A person acknowledges the outage here.
    fn acknowledge(&mut self, comment: &str) {
        let wish = Wish::Ack {
            service: self.engine.model().services().next().unwrap().0,
            user: "ann".to_owned(),
            comment: comment.to_owned(),
        };
        let now = at(self.seconds);
        self.engine.handle(now, Event::Operator(wish));
    }

    fn outage(&self) -> Option<i64> {
        self.engine.outages().0.values().next().map(|it| it.id)
    }
}

fn ids(actions: &[Action]) -> Vec<String> {
    let calls = actions.iter().filter_map(Action::sent);
    calls.map(|call| call.event.clone()).collect()
}

/// What the peer tells, with this open outage of `g/s`: its number and its calls.
fn told(open: Option<(i64, u32)>) -> PeerTold {
    let name = ServiceName {
        group: "g".to_owned(),
        service: "s".to_owned(),
    };
    let ack = None;
    let outage = |(id, calls)| {
        let open = OpenOutage {
            id,
            began: Wall::from_seconds(id),
            calls,
            events: Events::default(),
            alerted: (0..u32::from(calls > 0)).collect(),
            ack,
            reached: Reached::Nothing,
        };
        (name.clone(), open)
    };
    PeerTold {
        is_linked: true,
        outages: Arc::new(open.map(outage).into_iter().collect()),
        ended: Arc::default(),
        withdrawn: Arc::default(),
        turns: None,
        numbers: 0,
        speaking: Speaking::Silent,
        peer: Speaking::Speaks,
    }
}

fn lost(told: PeerTold) -> PeerTold {
    PeerTold {
        is_linked: false,
        speaking: Speaking::Speaks,
        ..told
    }
}

#[test]
fn who_finds_it_second_takes_the_number_of_the_first() {
    let mut desk = Desk::new();
    desk.tell(told(Some((EPOCH + 3, 1))));
    let expected = format!("g/s/{}/failure/1", EPOCH + 3);
    assert_eq!(desk.hears(1), [expected]);
    let expected = format!("g/s/{}/failure/2", EPOCH + 3);
    assert_eq!(desk.hears(1), [expected]);
    let expected = format!("g/s/{}/up/1", EPOCH + 3);
    assert_eq!(desk.hears(0), [expected], "whatever repeats were counted");
}

#[test]
fn a_number_that_had_its_end_here_is_not_taken_again() {
    let mut desk = Desk::new();
    desk.tell(told(Some((EPOCH + 3, 1))));
    desk.hears(1);
    desk.hears(0);
    desk.hears(1);
    let own = desk.outage().unwrap();
    assert!(
        own > EPOCH + 3,
        "the peer has not seen the end, but we have"
    );
    let actions = desk.tell(told(Some((EPOCH + 3, 2))));
    assert_eq!((actions.len(), desk.outage()), (0, Some(own)));
}

#[test]
fn of_two_that_began_apart_the_silent_one_gives_way_and_renames_what_waits() {
    let mut desk = Desk::new();
    desk.hears(1);
    let own = desk.outage().unwrap();
    for (speaking, peer, number, gives_way) in [
        (Speaking::Speaks, Speaking::Silent, own - 1, false),
        (Speaking::Speaks, Speaking::Speaks, own + 1, false),
        (Speaking::Silent, Speaking::Silent, own + 1, false),
        (Speaking::Silent, Speaking::Speaks, own + 1, true),
    ] {
        let told = PeerTold {
            speaking,
            peer,
            ..told(Some((number, 1)))
        };
        let actions = desk.tell(told);
        let renamed = Action::Renumber(Renumbering {
            from: format!("g/s/{own}"),
            to: format!("g/s/{number}"),
        });
        assert_eq!(
            actions.contains(&renamed),
            gives_way,
            "{speaking:?} {peer:?}"
        );
        let expected = if gives_way { number } else { own };
        assert_eq!(desk.outage(), Some(expected));
    }
    let both_speak = PeerTold {
        speaking: Speaking::Speaks,
        ..told(Some((own - 1, 1)))
    };
    desk.tell(both_speak);
    assert_eq!(desk.outage(), Some(own - 1), "the lesser number stays");
}

#[test]
fn what_a_lost_peer_said_counts_until_the_service_is_found_good() {
    let mut desk = Desk::new();
    let last = told(Some((EPOCH + 3, 1)));
    desk.tell(last.clone());
    desk.tell(lost(last.clone()));
    assert_eq!(desk.hears(1), [format!("g/s/{}/failure/1", EPOCH + 3)]);

    let mut desk = Desk::new();
    desk.tell(last.clone());
    desk.tell(lost(last));
    assert_eq!(desk.hears(0), [""; 0]);
    desk.hears(1);
    assert!(desk.outage().unwrap() > EPOCH + 3, "it is another outage");
}

#[test]
fn who_takes_over_goes_on_behind_the_calls_of_the_peer() {
    let mut desk = Desk::new();
    let last = told(Some((EPOCH + 3, 7)));
    desk.tell(last.clone());
    assert_eq!(desk.hears(1), [format!("g/s/{}/failure/1", EPOCH + 3)]);
    desk.tell(lost(last));
    assert_eq!(desk.hears(1), [format!("g/s/{}/failure/8", EPOCH + 3)]);
}

#[test]
fn outages_of_both_have_numbers_above_all_that_either_had() {
    let mut desk = Desk::new();
    let ahead = PeerTold {
        numbers: EPOCH + 10_000,
        ..told(None)
    };
    desk.tell(ahead);
    desk.hears(1);
    assert_eq!(desk.outage(), Some(EPOCH + 10_001));
    assert!(desk.engine.outages().1 > EPOCH + 10_000);
    let nonsense = PeerTold {
        numbers: i64::MAX,
        ..told(Some((i64::MAX, 1)))
    };
    desk.tell(nonsense);
    desk.hears(0);
    desk.hears(1);
    assert!(desk.outage().unwrap() < EPOCH + 20_000);
}

/// The peer's outage of this number is acknowledged, at that second of its clock.
fn acked(number: i64, seconds: i64, comment: &str) -> PeerTold {
    let told = told(Some((number, 1)));
    let mut outages = Arc::unwrap_or_clone(told.outages);
    for outage in outages.values_mut() {
        outage.ack = Some(SharedAck {
            time: Wall::from_seconds(EPOCH + seconds),
            comment: comment.to_owned(),
        });
    }
    PeerTold {
        outages: Arc::new(outages),
        ..told
    }
}

#[test]
fn an_acknowledgement_is_told_once_also_after_a_restart_where_the_peers_clock_is_ahead() {
    let mut desk = Desk::new();
    desk.hears(1);
    let number = desk.outage().unwrap();
    let told = PeerTold {
        speaking: Speaking::Speaks,
        peer: Speaking::Silent,
        ..acked(number, 900, "eve: mended")
    };
    let actions = desk.tell(told.clone());
    assert_eq!(ids(&actions), [format!("g/s/{number}/ack/2")]);
    let theirs = Wall::from_seconds(EPOCH + 900);
    assert_eq!(
        desk.ack().unwrap().time,
        theirs,
        "by the clock of who said it"
    );
    let service = desk.engine.model().services().next().unwrap().0;
    let shown = desk.engine.variable(service, "_ack");
    let now = at(desk.seconds).wall.seconds();
    assert_eq!(shown, Some(now.to_string()), "not in the future");
    desk.restart();
    assert_eq!(ids(&desk.tell(told.clone())), [""; 0]);
    // Who knows of it and says another one wins.
    desk.acknowledge("no, I do");
    assert!(desk.ack().unwrap().time > theirs);
    assert_eq!(ids(&desk.tell(told)), [""; 0]);
    assert_eq!(desk.ack().unwrap().comment, "ann: no, I do");
}

#[test]
fn a_long_comment_is_cut_and_hides_no_outage() {
    let mut desk = Desk::new();
    desk.hears(1);
    desk.acknowledge(&"ä".repeat(20_000));
    let (outages, _) = desk.engine.outages();
    let comment = desk.ack().unwrap().comment;
    assert!(
        (1_000..=1_024).contains(&comment.len()),
        "{}",
        comment.len()
    );
    // As it goes over the link.
    let link = |name| {
        let mut talk = Talk::new(name);
        talk.linked();
        talk
    };
    let (mut one, mut two) = (link("one"), link("two"));
    one.tell(Own {
        outages: Arc::new(outages.clone()),
        ..Own::default()
    });
    while let Some(word) = one.say(at(desk.seconds)) {
        two.hear(at(desk.seconds), word).unwrap();
    }
    assert_eq!(*two.peer().outages, outages);
}

#[test]
fn an_acknowledgement_travels_and_is_told_by_the_one_that_speaks() {
    let mut desk = Desk::new();
    desk.hears(1);
    let number = desk.outage().unwrap();
    let acked = |seconds, comment| acked(number, seconds, comment);
    let ack = |desk: &Desk| desk.ack().map(|ack| ack.comment);
    // What somebody gave for a comment by hand need not begin with who it was.
    for (seconds, comment) in [
        (-1, "ticket 7"),
        (0, "at home: ticket 7"),
        (1, "ann: on it"),
    ] {
        let actions = desk.tell(acked(seconds, comment));
        assert_eq!(ids(&actions), [""; 0]);
        let notes: Vec<&Note> = actions.iter().filter_map(Action::noted).collect();
        let noted = Note::AcknowledgedThere {
            service: ServiceId(0),
            comment: comment.to_owned(),
        };
        assert_eq!(notes, [&noted]);
    }
    assert_eq!(ack(&desk).as_deref(), Some("ann: on it"));
    assert_eq!(desk.hears(1), [""; 0], "nobody is told of it any more");
    // An older one says nothing, a newer one does; who speaks tells it.
    let speaks = |told| PeerTold {
        speaking: Speaking::Speaks,
        peer: Speaking::Silent,
        ..told
    };
    assert!(desk.tell(speaks(acked(0, "bob: who?"))).is_empty());
    let actions = desk.tell(speaks(acked(2, "eve: mended")));
    assert_eq!(ids(&actions), [format!("g/s/{number}/ack/2")]);
    assert_eq!(ack(&desk).as_deref(), Some("eve: mended"));
    // It ends with its outage, and one of another outage is none of ours.
    desk.hears(0);
    desk.hears(1);
    desk.tell(acked(3, "ann: on it"));
    assert_eq!(ack(&desk), None);
}

#[test]
fn an_acknowledgement_that_a_changed_summary_has_ended_does_not_come_back_with_a_restart() {
    let mut desk = Desk::of(Service {
        periods: vec![alerting()],
        unack_summary: true,
        ..service("g", "s")
    });
    desk.hears(1);
    let number = desk.outage().unwrap();
    let mut acked = acked(number, 1, "ann: on it");
    desk.tell(acked.clone());
    assert_eq!(desk.hears(1), [""; 0], "it is acknowledged");
    assert_eq!(desk.reads(1, "h1 h2\n").len(), 1, "it is another failure");
    assert_eq!(desk.ack(), None);
    // The other director has not seen that yet.
    desk.restart();
    acked.peer = Speaking::Silent;
    acked.speaking = Speaking::Speaks;
    assert!(ids(&desk.tell(acked)).is_empty());
    assert_eq!(desk.ack(), None);
    assert_eq!(desk.reads(1, "h1 h2\n").len(), 1, "people are told");
    // A later one is a word about this failure.
    let later = PeerTold {
        speaking: Speaking::Speaks,
        peer: Speaking::Silent,
        ..self::acked(number, 2, "ann: I know")
    };
    desk.tell(later);
    assert_eq!(desk.ack().unwrap().comment, "ann: I know");
}

/// Of a director that has seen nothing of the outage of which the peer alerted people: what it
/// calls when it finds the service good.
fn comes_back(reached: &[&str], then: PeerTold) -> Vec<String> {
    let mut desk = Desk::new();
    desk.tell(told(Some((EPOCH + 3, 2))));
    let event = |rest: &&str| format!("g/s/{}/{rest}", EPOCH + 3).into();
    let events = reached.iter().map(event).collect();
    let now = at(desk.seconds);
    let actions = desk.engine.handle(now, Event::PeerDelivered(events));
    assert_eq!(ids(&actions), Vec::<String>::new());
    assert_eq!(desk.hears(0), Vec::<String>::new(), "the peer tells people");
    desk.tell(then);
    let told = desk.hears(0);
    assert_eq!(desk.hears(0), Vec::<String>::new(), "once");
    told
}

#[test]
fn the_end_of_what_the_peer_told_is_told_by_whoever_speaks_then() {
    let outage = Some((EPOCH + 3, 2));
    let up = format!("g/s/{}/up/1", EPOCH + 3);
    let roles = |open, peer| PeerTold {
        speaking: Speaking::Speaks,
        peer,
        ..told(open)
    };
    let failure = ["failure/1", "failure/2"];
    let told_here = comes_back(&failure, lost(told(outage)));
    assert_eq!(told_here, std::slice::from_ref(&up));
    let handed_over = roles(None, Speaking::Silent);
    assert_eq!(comes_back(&failure, handed_over), [up]);
    // The peer still sees it fail, or tells its end itself.
    for told in [
        roles(outage, Speaking::Silent),
        roles(None, Speaking::Speaks),
        told(outage),
    ] {
        assert_eq!(comes_back(&failure, told), Vec::<String>::new());
    }
    // Nobody was told, or was told of the end, too.
    for reached in [&[][..], &["ack/1"], &["failure/1", "up/1"]] {
        let told = lost(told(outage));
        assert_eq!(
            comes_back(reached, told),
            Vec::<String>::new(),
            "{reached:?}"
        );
    }
}

#[test]
fn who_saw_less_of_an_outage_than_the_peer_told_of_tells_its_end_all_the_same() {
    let mut desk = Desk::with(AlertPeriod {
        alertafter_count: Some(3),
        ..alerting()
    });
    desk.tell(told(Some((EPOCH + 3, 1))));
    assert_eq!(desk.hears(1), Vec::<String>::new());
    let reached = format!("g/s/{}/failure/1", EPOCH + 3);
    let now = at(desk.seconds);
    desk.engine
        .handle(now, Event::PeerDelivered(vec![reached.into()]));
    desk.tell(lost(told(Some((EPOCH + 3, 1)))));
    let up = format!("g/s/{}/up/1", EPOCH + 3);
    assert_eq!(desk.hears(0), [up]);
}

/// An outage that was over on the peer before all others: its number.
const FORMER: i64 = EPOCH - 20;

/// It, with what of it has reached people, and the periods that called for its end.
fn former(reached: Reached, upalerts: &[u32]) -> (i64, Past) {
    let past = Past {
        lasted: Lasted {
            began: Wall::from_seconds(FORMER),
            ended: Wall::from_seconds(FORMER + 10),
        },
        reached,
        periods: ToldPeriods {
            alerts: vec![0, 1],
            upalerts: upalerts.to_vec(),
        },
    };
    (FORMER, past)
}

/// What a peer that holds its messages tells to a director that speaks, of `g/s` when these are
/// over.
fn holds_ends<const N: usize>(ended: [(i64, Past); N]) -> PeerTold {
    let name = ServiceName {
        group: "g".to_owned(),
        service: "s".to_owned(),
    };
    PeerTold {
        ended: Arc::new([(name, ended.into())].into()),
        speaking: Speaking::Speaks,
        peer: Speaking::Silent,
        ..told(None)
    }
}

/// Two periods, each with a line of its own for the end.
fn two_periods() -> Desk {
    let period = |program| AlertPeriod {
        upalerts: vec![alert(program)],
        ..alerting()
    };
    Desk::of(Service {
        periods: vec![period("one.alert"), period("two.alert")],
        ..service("g", "s")
    })
}

#[test]
fn an_end_that_the_peer_holds_is_told_by_who_speaks_and_saw_nothing_of_it() {
    let mut desk = two_periods();
    assert_eq!(desk.hears(0), [""; 0]);
    let told = holds_ends([former(Reached::Failure, &[1])]);
    assert_eq!(
        ids(&desk.tell(told.clone())),
        [""; 0],
        "not before it is good"
    );
    let now = at(desk.seconds + 10.0);
    assert_eq!(desk.hears(0), [format!("g/s/{FORMER}/up/1")]);
    assert!(at(desk.seconds).mono <= now.mono);
    assert_eq!(desk.hears(0), [""; 0], "once");
    desk.tell(told.clone());
    assert_eq!(desk.hears(0), [""; 0], "once");
    desk.restart();
    desk.tell(told);
    assert_eq!(
        desk.hears(0),
        [""; 0],
        "once, whatever happens to this director"
    );
    let ended = desk.engine.ended_outages();
    let past = &ended.values().next().unwrap()[&FORMER];
    let lasted = former(Reached::Failure, &[1]).1.lasted;
    assert_eq!((past.lasted, &*past.periods.upalerts), (lasted, &[1][..]));
}

#[test]
fn an_end_that_nobody_waits_for_or_that_is_not_ours_to_tell_is_not_told() {
    use Reached::{End, Failure, Nothing};
    let hears = |told: PeerTold| {
        let mut desk = two_periods();
        desk.tell(told);
        desk.hears(0)
    };
    let both = [1, 2].map(|count| format!("g/s/{FORMER}/up/{count}"));
    assert_eq!(hears(holds_ends([former(Failure, &[0, 1])])), both);
    for (reached, upalerts) in [(Nothing, &[0, 1][..]), (End, &[0, 1]), (Failure, &[])] {
        let told = holds_ends([former(reached, upalerts)]);
        assert_eq!(hears(told), [""; 0], "{reached:?} {upalerts:?}");
    }
    let told = || holds_ends([former(Failure, &[0, 1])]);
    for (speaking, peer, is_linked) in [
        (Speaking::Silent, Speaking::Silent, true),
        (Speaking::Silent, Speaking::Speaks, true),
        (Speaking::Speaks, Speaking::Speaks, true),
        (Speaking::Silent, Speaking::Speaks, false),
    ] {
        let told = PeerTold {
            speaking,
            peer,
            is_linked,
            ..told()
        };
        assert_eq!(hears(told), [""; 0], "{speaking:?} {peer:?} {is_linked}");
    }
    // It said that before it died.
    let lost = PeerTold {
        peer: Speaking::Speaks,
        is_linked: false,
        ..told()
    };
    assert_eq!(hears(lost), both);
}

#[test]
fn an_end_of_which_the_rules_here_have_decided_is_told_by_none_else() {
    // The rules here hold the end back; those of the peer, which saw it a little longer, do not.
    let mut desk = Desk::with(AlertPeriod {
        upalertafter: Some(std::time::Duration::from_secs(3_600)),
        ..alerting()
    });
    let number = EPOCH + 3;
    desk.tell(told(Some((number, 1))));
    assert_eq!(desk.hears(1), [format!("g/s/{number}/failure/1")]);
    assert_eq!(desk.hears(0), [""; 0]);
    let (_, past) = former(Reached::Failure, &[0]);
    desk.tell(holds_ends([(number, past.clone())]));
    assert_eq!(desk.hears(0), [""; 0]);
    // Nobody was alerted by them.
    let mut desk = Desk::with(AlertPeriod {
        alertafter_count: Some(3),
        ..alerting()
    });
    desk.tell(told(Some((number, 1))));
    assert_eq!(desk.hears(1), [""; 0]);
    desk.tell(holds_ends([(number, past)]));
    assert_eq!(desk.hears(0), [format!("g/s/{number}/up/1")]);
    assert_eq!(desk.hears(0), [""; 0], "once");
}

#[test]
fn what_may_be_an_outage_of_ours_by_another_number_is_not_told_before_both_agreed() {
    let mut desk = Desk::new();
    let ours = desk.hears(1);
    assert_eq!(ours.len(), 1);
    let number = desk.outage().unwrap();
    let now = at(desk.seconds);
    desk.engine
        .handle(now, Event::Delivered(vec![ours[0].as_str().into()]));
    assert_eq!(desk.hears(0), [format!("g/s/{number}/up/1")]);
    // The peer saw two in that time, of which the one has our number in the end.
    let during = |from, to| Past {
        lasted: Lasted {
            began: Wall::from_seconds(EPOCH).after(std::time::Duration::from_secs_f64(from)),
            ended: Wall::from_seconds(EPOCH).after(std::time::Duration::from_secs_f64(to)),
        },
        ..former(Reached::Failure, &[0]).1
    };
    let began = now.mono.since(crate::time::Mono::ZERO).as_secs_f64();
    let (one, two) = (during(began, began + 2.0), during(began + 3.0, began + 4.0));
    desk.tell(holds_ends([
        (EPOCH - 2, one.clone()),
        (EPOCH - 1, two.clone()),
    ]));
    assert_eq!(desk.hears(0), [""; 0]);
    desk.tell(holds_ends([(number, one), (EPOCH - 1, two)]));
    assert_eq!(desk.hears(0), [format!("g/s/{}/up/1", EPOCH - 1)]);
}
