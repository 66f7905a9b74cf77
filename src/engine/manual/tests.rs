use super::*;
use crate::engine::event::{Aim, Caution, RealServerName, TableLook};
use crate::engine::fixture::{EPOCH, at};
use crate::lvs::{ConnectionCounts, Forwarding, RealServer, Scheduler, TableEntry, VirtualService};

const OWN: RealServer = RealServer::new(Forwarding::Dr, Weight(5));
const HOUR: f64 = 3_600.0;

fn entry() -> EntryKey {
    let server = RealServerKey("192.168.0.1:80".parse().unwrap());
    ("10.0.0.3:80/tcp".parse().unwrap(), server)
}

fn order(wish: ManualWish) -> Order {
    Order {
        aim: Aim {
            server: RealServerName("192.168.0.1".to_owned()),
            within: None,
        },
        wish,
        span: None,
        by: "ann".to_owned(),
        reason: "new kernel".to_owned(),
        caution: Caution::Refuse,
    }
}

fn drain(limit_s: u64) -> Order {
    order(ManualWish::Drain { limit_s })
}

/// A look that finds the entry with this weight, where it is there, and so many active
/// connections.
fn look(weight: Option<u32>, active: u32) -> TableOutcome {
    let (key, server) = entry();
    let settings = |weight| RealServer::new(Forwarding::Dr, Weight(weight));
    let service = TableEntry {
        service: VirtualService::plain(key.family(), Scheduler::wlc()),
        servers: weight
            .map(|weight| (server, settings(weight)))
            .into_iter()
            .collect(),
    };
    let counts = ConnectionCounts {
        active,
        inactive: 9,
        persistent: 2,
    };
    TableOutcome {
        table: TableLook::Read(Arc::new(Table::from([(key, service)]))),
        connections: Arc::new(Connections::from([(entry(), counts)])),
        ..TableOutcome::default()
    }
}

#[test]
fn wishes_are_looked_at_when_something_is_due_and_not_at_each_turn() {
    let mut manual = Manual::default();
    let mut timed = drain(600);
    timed.span = Some(Duration::from_secs(3_600));
    for port in 1..=1_000_u16 {
        let server = RealServerKey(([192, 168, 0, 1], port).into());
        manual.wish(at(0.0), (entry().0, server), &timed);
    }
    manual.advance(at(0.0));
    let visits = crate::effort::visits(|| {
        for _ in 0..100 {
            let due = manual.next_deadline().unwrap();
            assert!(due > at(0.5).mono);
            manual.advance(at(0.5));
        }
    });
    assert_eq!(visits, 0);
    // What is due is found, and so is what the table shows.
    let due = manual.next_deadline().unwrap();
    assert!(manual.is_due(Now {
        mono: due,
        ..at(0.5)
    }));
    manual.seen(&look(Some(0), 0));
    assert!(manual.is_due(at(0.5)));
    manual.advance(at(HOUR));
    assert!(manual.is_empty());
    assert_eq!(manual.next_deadline(), None);
}

/// However many are wished: the end of each is looked up by its name.
#[test]
fn a_thousand_wishes_that_end_on_the_other_director_cost_one_look_each() {
    let mut manual = Manual::default();
    let mark = "fwmark 7/v6".parse().unwrap();
    let six = RealServerKey("[2001:db8::1]:0".parse().unwrap());
    manual.wish(at(0.0), (mark, six), &drain(600));
    for port in 1..=1_000_u16 {
        let server = RealServerKey(([192, 168, 0, 1], port).into());
        manual.wish(at(0.0), (entry().0, server), &drain(600));
    }
    let entries: Vec<EntryKey> = manual.shared().map(|order| order.entry()).collect();
    let visits = crate::effort::visits(|| {
        for &entry in &entries {
            assert_eq!(entry_named(&key(entry)), Some(entry));
            assert_eq!(manual.share_end(entry).len(), 2);
            assert_eq!(manual.share_end(entry).len(), 0, "it has ended");
        }
    });
    assert!(manual.is_empty());
    assert_eq!(visits, 2 * 1_001);
}

fn texts(actions: &[Action]) -> Vec<&str> {
    let mut texts = Vec::new();
    for action in actions {
        if let Action::Note(Note::Manual { text, .. }) = action {
            texts.push(text.as_str());
        }
    }
    texts
}

fn advance(manual: &mut Manual, seconds: f64) -> Vec<String> {
    let (_, actions) = manual.advance(at(seconds));
    let next = manual.next_deadline();
    assert!(next.is_none_or(|next| next > at(seconds).mono), "{next:?}");
    texts(&actions).into_iter().map(str::to_owned).collect()
}

fn wished(seconds: f64, order: &Order) -> Manual {
    let mut manual = Manual::default();
    manual.wish(at(seconds), entry(), order);
    manual
}

/// Through the text of the journal, and a daemon whose clocks say this at its start.
fn restarted(manual: &Manual, before: Now, after: Now) -> Manual {
    let mut saved = Saved::default();
    for action in manual.record_all(before) {
        let Action::Record(record) = action else {
            panic!("{action:?}")
        };
        let text = serde_json::to_string(&*record).unwrap();
        let record: Record = serde_json::from_str(&text).unwrap();
        saved.records.insert(record.key, record.value);
    }
    let (restored, actions) = Manual::restore(&saved, after);
    assert!(texts(&actions).is_empty(), "{actions:?}");
    restored
}

fn wall(seconds: i64) -> Wall {
    Wall::from_seconds(EPOCH + seconds)
}

#[test]
fn a_wish_is_the_last_step_over_what_health_wants() {
    let own = ServerWish::In(OWN);
    let weighted = |weight| {
        ServerWish::In(RealServer {
            weight: Weight(weight),
            ..OWN
        })
    };
    let (out, found) = (ServerWish::Out, ServerWish::AsFound);
    let cases = [
        (ManualWish::Disable, own, out),
        (ManualWish::Disable, found, out),
        (ManualWish::Disable, out, out),
        (ManualWish::Quiesce, own, weighted(0)),
        (ManualWish::Quiesce, found, found),
        (ManualWish::Quiesce, out, out),
        (ManualWish::Weight { weight: 9 }, own, weighted(9)),
        (ManualWish::Weight { weight: 0 }, own, weighted(0)),
        (ManualWish::Weight { weight: 9 }, found, found),
        (ManualWish::Weight { weight: 9 }, out, out),
        (ManualWish::Drain { limit_s: 60 }, own, weighted(0)),
        (ManualWish::Drain { limit_s: 60 }, out, out),
    ];
    for (wish, health, wanted) in cases {
        let manual = wished(0.0, &order(wish));
        assert_eq!(manual.over(entry(), health), wanted, "{wish:?} {health:?}");
    }
    assert_eq!(Manual::default().over(entry(), own), own);
}

#[test]
fn a_drain_waits_for_the_last_active_connection() {
    let mut manual = wished(0.0, &drain(600));
    let is_out = |manual: &Manual| manual.effect(entry()) == Some(Effect::Out);
    // Before the kernel was seen with weight 0 the counts say nothing.
    manual.seen(&look(Some(5), 0));
    assert_eq!(advance(&mut manual, 3.0), [""; 0]);
    manual.seen(&look(Some(0), 1));
    assert_eq!(advance(&mut manual, 300.0), [""; 0]);
    assert!(!is_out(&manual));
    manual.seen(&look(Some(0), 0));
    let said = advance(&mut manual, 301.0);
    assert_eq!(
        said,
        [
            "drained: no active connections any more, taken out; 2 persistent clients that are \
          tied to it go elsewhere"
        ]
    );
    assert!(is_out(&manual));
    // It stays out, whatever is seen from here on.
    manual.seen(&look(Some(0), 7));
    assert_eq!(advance(&mut manual, 9_000.0), [""; 0]);
    assert!(is_out(&manual));
    assert_eq!(manual.next_deadline(), None);
}

#[test]
fn a_drain_gives_packets_under_way_two_seconds() {
    let mut manual = wished(10.0, &drain(600));
    manual.seen(&look(Some(0), 0));
    assert_eq!(advance(&mut manual, 11.9), [""; 0]);
    assert_eq!(manual.next_deadline(), Some(at(12.0).mono));
    assert_eq!(advance(&mut manual, 12.0).len(), 1);
}

#[test]
fn a_drain_of_a_server_that_is_not_in_the_table_is_done() {
    let mut manual = wished(0.0, &drain(600));
    manual.seen(&look(None, 0));
    assert_eq!(
        advance(&mut manual, 2.0),
        ["drained: it is out of the table already"]
    );
}

/// Its checks took it out meanwhile, or somebody else did.
#[test]
fn a_drain_whose_server_leaves_with_connections_is_no_drain() {
    let mut manual = wished(0.0, &drain(600));
    manual.seen(&look(Some(0), 3));
    assert_eq!(advance(&mut manual, 30.0), [""; 0]);
    manual.seen(&look(None, 0));
    assert_eq!(
        advance(&mut manual, 31.0),
        ["not drained: it left the table with 3 active connections"]
    );
    let restored = restarted(&manual, at(32.0), at(32.0));
    for manual in [&manual, &restored] {
        let view = manual.view(entry(), at(32.0)).unwrap();
        assert_eq!(view.drain, Some(DrainView::Done(Drained::Left)));
        assert_eq!(manual.effect(entry()), Some(Effect::Out));
    }
}

#[test]
fn a_drain_whose_last_connection_ended_before_its_server_left_is_done() {
    let mut manual = wished(0.0, &drain(600));
    manual.seen(&look(Some(0), 3));
    assert_eq!(advance(&mut manual, 1.0), [""; 0]);
    manual.seen(&look(Some(0), 0));
    assert_eq!(advance(&mut manual, 1.5), [""; 0]);
    manual.seen(&look(None, 0));
    assert_eq!(
        advance(&mut manual, 2.0),
        ["drained: it is out of the table already"]
    );
}

#[test]
fn a_drain_ends_at_its_deadline_and_says_what_it_cut() {
    let mut manual = wished(0.0, &drain(60));
    manual.seen(&look(Some(0), 3));
    assert_eq!(advance(&mut manual, 59.0), [""; 0]);
    let said = advance(&mut manual, 60.0);
    let tied = "2 persistent clients that are tied to it go elsewhere";
    assert_eq!(
        said,
        [format!(
            "the time of the drain is over, to be taken out; it was last seen with 3 active \
             connections; {tied}"
        )]
    );
    let view = manual.view(entry(), at(61.0)).unwrap();
    assert_eq!(view.drain, Some(DrainView::Done(Drained::Deadline)));
    // Nothing is known of the table: the deadline counts all the same.
    let mut blind = wished(0.0, &drain(60));
    let unknown = "the time of the drain is over, to be taken out; nobody knows its connections, or \
                   new ones still reach it";
    assert_eq!(advance(&mut blind, 60.0), [unknown]);
}

/// A reload took it out with its connections: no drain did.
#[test]
fn a_drain_of_a_server_that_the_file_lost_says_that_at_its_deadline() {
    let lost = "the time of the drain is over, and the file no longer has the server: ";
    for (weight, text) in [
        (
            None,
            "it is out of the table; it was last seen with 3 active connections",
        ),
        (
            Some(0),
            "it is to leave the table; it was last seen with 3 active connections; 2 \
             persistent clients that are tied to it go elsewhere",
        ),
        (
            Some(5),
            "it is to leave the table; nobody knows its connections, or new ones still \
             reach it",
        ),
    ] {
        let mut manual = wished(0.0, &drain(60));
        manual.seen(&look(Some(0), 3));
        assert_eq!(advance(&mut manual, 10.0), [""; 0]);
        manual.known(at(11.0), |_| false);
        manual.seen(&look(weight, 3));
        assert_eq!(advance(&mut manual, 59.0), [""; 0]);
        assert_eq!(advance(&mut manual, 60.0), [format!("{lost}{text}")]);
    }
}

#[test]
fn no_drain_is_done_by_what_the_table_was_before_it_could_not_be_read() {
    let unread = TableOutcome {
        table: TableLook::Unreadable("no module".to_owned()),
        ..TableOutcome::default()
    };
    for weight in [None, Some(0)] {
        let mut manual = Manual::default();
        manual.seen(&look(weight, 0));
        manual.seen(&unread);
        manual.wish(at(0.0), entry(), &drain(60));
        assert_eq!(advance(&mut manual, 30.0), [""; 0]);
        let said = advance(&mut manual, 60.0);
        assert!(said[0].contains("nobody knows its connections"), "{said:?}");
    }
}

#[test]
fn who_is_out_is_not_put_in_to_be_drained() {
    let mut manual = wished(0.0, &order(ManualWish::Disable));
    manual.wish(at(1.0), entry(), &drain(60));
    assert_eq!(manual.effect(entry()), Some(Effect::Out));
    assert_eq!(manual.next_deadline(), None);
}

#[test]
fn a_wish_ends_by_itself_and_says_so() {
    let mut hour = order(ManualWish::Quiesce);
    hour.span = Some(Duration::from_secs(3_600));
    let mut manual = wished(0.0, &hour);
    assert_eq!(
        manual.view(entry(), at(1.0)).unwrap().until,
        Some(wall(3_600))
    );
    assert_eq!(advance(&mut manual, HOUR - 1.0), [""; 0]);
    let (keys, actions) = manual.advance(at(HOUR));
    assert_eq!(
        texts(&actions),
        ["the quiesce by ann (new kernel) is over after 1h"]
    );
    assert_eq!(keys, BTreeSet::from([entry().0]));
    assert!(manual.is_empty());
    let forgotten = actions
        .iter()
        .any(|action| matches!(action, Action::Record(record) if record.value.is_null()));
    assert!(forgotten);
}

#[test]
fn a_drain_waits_no_longer_than_its_wish_lasts() {
    let mut short = drain(600);
    short.span = Some(Duration::from_secs(3));
    let view = wished(0.0, &short).view(entry(), at(0.0)).unwrap();
    assert_eq!(view.drain, Some(DrainView::Going(wall(3))));
    assert_eq!(view.until, Some(wall(3)));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut long = drain(600);
    long.span = Some(Duration::from_secs(7_200));
    let manual = wished(0.0, &long);
    // The new daemon's own clock begins at zero, 100 s later by the wall clock.
    let after = Now {
        mono: Mono::ZERO,
        wall: wall(100),
    };
    let mut restored = restarted(&manual, at(90.0), after);
    let view = restored.view(entry(), after).unwrap();
    assert_eq!(view.drain, Some(DrainView::Going(wall(600))));
    assert_eq!((view.since, view.until), (wall(0), Some(wall(7_200))));
    assert_eq!((&*view.by, &*view.reason), ("ann", "new kernel"));
    assert_eq!(restored.next_deadline(), Some(at(2.0).mono));
    assert_eq!(advance(&mut restored, 499.0), [""; 0]);
    assert_eq!(advance(&mut restored, 500.0).len(), 1);
    let again = restarted(&restored, at(501.0), at(501.0));
    let view = again.view(entry(), at(501.0)).unwrap();
    assert_eq!(view.drain, Some(DrainView::Done(Drained::Deadline)));
}

#[test]
fn a_clock_that_is_set_moves_no_span() {
    let mut hour = order(ManualWish::Quiesce);
    hour.span = Some(Duration::from_secs(3_600));
    let manual = wished(0.0, &hour);
    for step in [-86_400, 86_400] {
        let set = |seconds: f64| {
            let now = at(seconds);
            Now {
                wall: Wall::from_seconds(now.wall.seconds() + step),
                ..now
            }
        };
        let view = manual.view(entry(), set(600.0)).unwrap();
        assert_eq!(
            (view.since, view.until),
            (wall(step), Some(wall(step + 3_600)))
        );
        // Written anew after the step, and read by a daemon that starts at 1,000 s.
        let after = Now {
            mono: Mono::ZERO,
            wall: set(1_000.0).wall,
        };
        let restored = restarted(&manual, set(700.0), after);
        assert_eq!(restored.next_deadline(), Some(at(2_600.0).mono), "{step}");
    }
}

#[test]
fn a_clock_that_was_set_back_while_no_daemon_ran_makes_no_wish_longer() {
    let mut hour = order(ManualWish::Quiesce);
    hour.span = Some(Duration::from_secs(3_600));
    let manual = wished(0.0, &hour);
    let after = Now {
        mono: Mono::ZERO,
        wall: wall(-86_400 * 365),
    };
    let restored = restarted(&manual, at(1.0), after);
    assert_eq!(restored.next_deadline(), Some(at(HOUR).mono));
}

#[test]
fn the_wish_for_a_server_that_the_file_lost_is_kept_for_a_week() {
    let week = 7.0 * 24.0 * HOUR;
    let mut manual = wished(0.0, &order(ManualWish::Disable));
    assert_eq!(manual.known(at(1.0), |_| true), []);
    let lost = manual.known(at(2.0), |_| false);
    assert!(texts(&lost)[0].contains("is kept for 7d"), "{lost:?}");
    assert_eq!(manual.known(at(3.0), |_| false), []);
    let restored = restarted(&manual, at(4.0), at(4.0));
    assert_eq!(restored.next_deadline(), Some(at(2.0 + week).mono));
    // It comes back.
    let found = manual.known(at(5.0), |_| true);
    let again = "the file leads to it there again; the disable by ann (new kernel) holds";
    assert_eq!(texts(&found), [again]);
    assert_eq!(manual.next_deadline(), None);
    manual.known(at(6.0), |_| false);
    assert_eq!(advance(&mut manual, 5.0 + week), [""; 0]);
    assert!(advance(&mut manual, 6.0 + week)[0].contains("is forgotten"));
    assert!(manual.is_empty());
}

#[test]
fn what_a_person_writes_stays_one_short_line() {
    let mut long = order(ManualWish::Quiesce);
    long.reason = format!("a\nb\u{1b}[31m{}", "x".repeat(1_000));
    long.by = "y".repeat(1_000);
    let manual = wished(0.0, &long);
    let view = manual.view(entry(), at(0.0)).unwrap();
    assert!(view.reason.starts_with("a b [31mxxx"), "{}", view.reason);
    assert_eq!((view.reason.len(), view.by.len()), (REASON_MAX, BY_MAX));
}

#[test]
fn a_record_that_makes_no_sense_is_said_and_forgotten() {
    let mut saved = Saved::default();
    let key = format!("{PREFIX}x");
    saved
        .records
        .insert(key.clone(), serde_json::json!({"wish": "dance"}));
    let (manual, actions) = Manual::restore(&saved, at(0.0));
    assert!(manual.is_empty());
    assert_eq!(actions[0], forget(key));
    assert!(matches!(
        &actions[1],
        Action::Note(Note::NotRestored { .. })
    ));
}

/// What is wished here, as the other director hears it.
fn shared(manual: &Manual) -> Vec<SharedOrder> {
    let all = manual.shared();
    all.map(|it| SharedOrder::of(it.entry(), &it.value()).unwrap())
        .collect()
}

#[test]
fn a_wish_lasts_as_long_on_both_directors_though_a_clock_is_minutes_off() {
    let minutes = |count: i64| count * 60_000_000;
    for ahead in [minutes(-15), minutes(15)] {
        // What the other one's clock says at the same moment.
        let there = |seconds: f64| Now {
            wall: Wall::from_micros(at(seconds).wall.as_micros() + ahead),
            ..at(seconds)
        };
        let (mut one, mut two) = (Manual::default(), Manual::default());
        let order = Order {
            span: Some(Duration::from_secs(600)),
            ..drain(300)
        };
        two.wish(there(0.0), entry(), &order);
        let [wish] = shared(&two).try_into().unwrap();
        assert!(!wish.is_over(at(1.0), ahead) && !wish.is_over(at(599.0), ahead));
        assert!(wish.is_over(at(600.0), ahead));
        one.share(at(1.0), &wish, ahead);
        assert_eq!(shared(&one), shared(&two), "as it was said");
        let view = one.view(entry(), at(2.0)).unwrap();
        let seconds = |count| at(0.0).wall.after(Duration::from_secs(count));
        assert_eq!((view.since, view.until), (seconds(0), Some(seconds(600))));
        assert_eq!(view.drain, Some(DrainView::Going(seconds(300))));
        // The same after a restart.
        let mut saved = Saved::default();
        for action in one.record_all(at(3.0)) {
            let Action::Record(record) = action else {
                panic!("not a record")
            };
            saved.records.insert(record.key, record.value);
        }
        let (restored, _) = Manual::restore(&saved, at(3.0));
        assert_eq!(shared(&restored), shared(&two));
        assert_eq!(restored.view(entry(), at(3.0)), one.view(entry(), at(3.0)));
    }
}

#[test]
fn a_wish_is_the_same_on_both_directors_and_ends_at_the_same_time() {
    let (mut one, mut two) = (Manual::default(), Manual::default());
    let order = Order {
        span: Some(Duration::from_secs(3_600)),
        ..drain(600)
    };
    one.wish(at(0.0), entry(), &order);
    let [wish] = shared(&one).try_into().unwrap();
    assert!(!wish.is_over(at(60.0), 0));
    two.share(at(60.0), &wish, 0);
    assert_eq!(shared(&two), std::slice::from_ref(&wish));
    assert_eq!(wish.entry(), entry());
    let view = |manual: &Manual| manual.view(entry(), at(70.0)).unwrap();
    assert_eq!(view(&one), view(&two));
    // Neither time, nor a drain that goes on, nor a restart makes it another one.
    two.seen(&look(Some(0), 0));
    two.advance(at(80.0));
    assert_eq!(two.effect(entry()), Some(Effect::Out));
    let mut saved = Saved::default();
    for action in two.record_all(at(90.0)) {
        let Action::Record(record) = action else {
            panic!("no record");
        };
        saved.records.insert(record.key, record.value);
    }
    let (restored, _) = Manual::restore(&saved, at(100.0));
    assert_eq!(shared(&restored), std::slice::from_ref(&wish));
    // Its end by itself, and by a word on the other director.
    let over = at(HOUR);
    assert!(wish.is_over(over, 0));
    assert_eq!(one.advance(over).0.len(), 1);
    assert_eq!(two.advance(over).0.len(), 1);
    assert!(one.is_empty() && two.is_empty());
    let mut restored = restored;
    assert_eq!(restored.share_end(entry()).len(), 2);
    assert!(restored.is_empty() && restored.share_end(entry()).is_empty());
}

#[test]
fn no_wish_of_the_peer_is_longer_or_heavier_than_a_person_may_ask_for() {
    let mut manual = Manual::default();
    let sound = |order: &Order, manual: &mut Manual| {
        manual.wish(at(0.0), entry(), order);
        let order = manual.shared().next().unwrap();
        SharedOrder::of(order.entry(), &order.value()).is_ok()
    };
    let year = SPAN_MAX.as_secs();
    assert!(sound(&drain(year), &mut manual));
    assert!(!sound(&drain(year + 1), &mut manual));
    let weight = |weight| order(ManualWish::Weight { weight });
    assert!(sound(&weight(Weight::MAX), &mut manual));
    assert!(!sound(&weight(Weight::MAX + 1), &mut manual));
}
