use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::pair::settings::Vip;

fn at(ms: u64) -> Now {
    Now {
        mono: Mono::from_micros(1_000_000 + ms * 1_000),
        wall: Wall::from_micros(i64::try_from(ms * 1_000).unwrap()),
    }
}

fn with_fifo() -> RoleKeeper {
    let settings = PairSettings {
        notify_fifo: Some("/run/x".into()),
        ..PairSettings::default()
    };
    RoleKeeper::new(settings, Facts::default(), at(0))
}

fn say(keeper: &mut RoleKeeper, state: State, now: Now) {
    keeper.hear(Some("a".parse().unwrap()), state, Source::Fifo, now.wall);
}

#[test]
fn a_takeover_is_acted_upon_at_once() {
    let mut keeper = with_fifo();
    assert_eq!(keeper.standing().role, Role::Standby);
    say(&mut keeper, State::Backup, at(10));
    assert_eq!(keeper.settle(at(10)), None);
    say(&mut keeper, State::Master, at(5_000));
    let change = keeper.settle(at(5_000)).unwrap();
    assert_eq!((change.from, change.to.role), (Role::Standby, Role::Active));
    assert_eq!(keeper.since(), at(5_000).wall);
    assert_eq!(keeper.settle(at(5_000)), None);
}

#[test]
fn a_role_that_changes_ten_times_a_second_is_followed_at_an_even_pace() {
    let mut keeper = with_fifo();
    let mut changes = Vec::new();
    for step in 0..600_u64 {
        let now = at(step * 100);
        let state = if step % 2 == 0 {
            State::Master
        } else {
            State::Backup
        };
        say(&mut keeper, state, now);
        changes.extend(keeper.settle(now));
    }
    // Four at once, and one more each ten seconds of a minute.
    assert!((4..=10).contains(&changes.len()), "{}", changes.len());
    assert!(changes.iter().map(|change| change.passed_over).sum::<u32>() > 200);
    // What is said last holds in the end.
    say(&mut keeper, State::Master, at(60_000));
    let deadline = keeper.next_deadline();
    if let Some(deadline) = deadline {
        assert!(deadline <= at(70_000).mono);
    }
    keeper.settle(at(70_000));
    assert_eq!(keeper.standing().role, Role::Active);
    assert_eq!(keeper.next_deadline(), None);
}

#[test]
fn a_fault_waits_for_no_turn_and_what_is_held_back_is_named_with_its_time() {
    let mut keeper = with_fifo();
    for state in [State::Master, State::Backup, State::Master, State::Backup] {
        say(&mut keeper, state, at(0));
        assert!(keeper.settle(at(0)).is_some());
        assert_eq!(keeper.coming(at(0)), None);
    }
    say(&mut keeper, State::Master, at(1_000));
    assert_eq!(keeper.settle(at(1_000)), None);
    let coming = keeper.coming(at(1_000)).unwrap();
    assert_eq!((coming.role, coming.at), (Role::Active, at(10_000).wall));
    assert_eq!(keeper.next_deadline(), Some(at(10_000).mono));
    say(&mut keeper, State::Fault, at(2_000));
    assert_eq!(keeper.settle(at(2_000)).unwrap().to.role, Role::Fault);
    assert_eq!(keeper.coming(at(2_000)), None);
    // The way back waits.
    say(&mut keeper, State::Master, at(3_000));
    assert_eq!(keeper.settle(at(3_000)), None);
    assert_eq!(keeper.settle(at(10_000)).unwrap().to.role, Role::Active);
}

#[test]
fn who_is_silent_for_a_standby_that_is_gone_speaks_and_who_is_standby_never_does() {
    let silent = |speak, role| {
        let mut keeper = with_fifo();
        keeper.settings.speak = speak;
        say(&mut keeper, role, at(0));
        keeper.settle(at(0));
        assert!(!keeper.speaks());
        keeper
    };
    for role in [State::Master, State::Fault] {
        let mut keeper = silent(Speak::Standby, role);
        keeper.hear_peer(at(0).mono, Hearing::Linked);
        assert_eq!(keeper.next_deadline(), None);
        // A link that comes back soon was no loss.
        keeper.hear_peer(at(1_000).mono, Hearing::Lost);
        keeper.hear_peer(at(5_000).mono, Hearing::Lost);
        assert_eq!(keeper.next_deadline(), Some(at(11_000).mono));
        keeper.hear_peer(at(6_000).mono, Hearing::Linked);
        assert_eq!(keeper.settle(at(60_000)), None);
        assert!(!keeper.speaks());
        keeper.hear_peer(at(60_000).mono, Hearing::Lost);
        assert_eq!(keeper.settle(at(69_999)), None);
        assert!(!keeper.speaks());
        assert_eq!(keeper.settle(at(70_000)), None);
        assert_eq!(keeper.speaks_because(), Some("the peer is gone"));
        assert!(keeper.speaks());
        assert_eq!(keeper.next_deadline(), None);
        keeper.hear_peer(at(80_000).mono, Hearing::Lost);
        assert!(keeper.speaks());
        keeper.hear_peer(at(90_000).mono, Hearing::Linked);
        assert!(!keeper.speaks());
    }
    for role in [State::Backup, State::Fault] {
        let mut keeper = silent(Speak::Active, role);
        keeper.hear_peer(at(0).mono, Hearing::Lost);
        keeper.settle(at(60_000));
        assert!(!keeper.speaks());
    }
    // Without a peer in the file nobody knows.
    let mut keeper = silent(Speak::Standby, State::Master);
    keeper.hear_peer(at(0).mono, Hearing::Never);
    keeper.settle(at(60_000));
    assert!(!keeper.speaks());
}

#[test]
fn nothing_heard_for_long_makes_active_and_a_word_ends_that() {
    let mut keeper = with_fifo();
    assert_eq!(keeper.next_deadline(), Some(at(30_000).mono));
    assert_eq!(keeper.settle(at(29_999)), None);
    assert_eq!(keeper.settle(at(30_000)).unwrap().to.role, Role::Active);
    assert_eq!(keeper.next_deadline(), None);
    say(&mut keeper, State::Backup, at(40_000));
    assert_eq!(keeper.settle(at(40_000)).unwrap().to.role, Role::Standby);
}

#[test]
fn what_was_said_before_a_restart_counts_and_newer_words_beat_it() {
    let mut before = with_fifo();
    say(&mut before, State::Backup, at(0));
    say(&mut before, State::Master, at(1));
    let settings = before.settings().clone();
    let mut after = RoleKeeper::new(settings, before.facts().clone(), at(2_000));
    assert_eq!(after.standing().role, Role::Active);
    after.hear(None, State::Fault, Source::Command, at(2_000).wall);
    assert_eq!(after.settle(at(2_000)).unwrap().to.role, Role::Fault);
    after.hear(None, State::Deleted, Source::Command, at(2_000).wall);
    assert_eq!(after.settle(at(2_000)).unwrap().to.role, Role::Active);
}

#[test]
fn a_dissolved_pair_is_alone_after_a_reload_and_after_a_restart() {
    let mut keeper = with_fifo();
    say(&mut keeper, State::Backup, at(0));
    keeper.settle(at(0));
    assert!(!keeper.speaks());
    let kept = BTreeMap::from([keeper.facts().record()]);
    keeper.reload(PairSettings::default());
    assert_eq!(keeper.settle(at(1_000)).unwrap().to.role, Role::Alone);
    assert!(keeper.speaks());
    assert_eq!(keeper.next_deadline(), None);
    let restarted = RoleKeeper::new(PairSettings::default(), Facts::restore(&kept), at(2_000));
    assert_eq!(restarted.standing().role, Role::Alone);
    assert!(restarted.speaks());
    // The file names the FIFO again: keepalived does not say it again.
    keeper.reload(with_fifo().settings);
    assert_eq!(keeper.settle(at(3_000)).unwrap().to.role, Role::Standby);
}

#[test]
fn words_of_a_fifo_that_is_gone_leave_room_for_what_somebody_says() {
    let mut keeper = with_fifo();
    for number in 0..Facts::INSTANCES_MAX {
        let name = Some(format!("x{number}").parse().unwrap());
        keeper.hear(name, State::Backup, Source::Fifo, at(0).wall);
    }
    keeper.reload(PairSettings::default());
    let name = Some("y".parse().unwrap());
    let heard = keeper.hear(name, State::Fault, Source::Command, at(1).wall);
    assert_eq!(heard, Reception::Noted);
    keeper.settle(at(1));
    assert_eq!(keeper.standing().role, Role::Fault);
    assert_eq!(keeper.facts().said.len(), Facts::INSTANCES_MAX);
}

#[test]
fn only_so_many_instances_are_kept() {
    let mut keeper = with_fifo();
    for number in 0..557 {
        let name = Some(format!("x{number}").parse().unwrap());
        let heard = keeper.hear(name, State::Backup, Source::Fifo, at(0).wall);
        assert_eq!(heard == Reception::NoRoom, number >= 512, "{number}");
    }
    assert_eq!(keeper.facts().said.len(), 512);
    assert_eq!(keeper.unkept(), 45);
    say(&mut keeper, State::Deleted, at(0));
}

#[test]
fn the_instances_that_count_find_a_place_among_any_number_of_others() {
    let name = |name: &str| -> InstanceName { name.parse().unwrap() };
    let named = PairSettings {
        notify_instance: Some(name("a")),
        notify_fifo: Some("/run/x".into()),
        ..PairSettings::default()
    };
    for settings in [
        named,
        with_vips("10.0.0.3 instance a"),
        with_fifo().settings,
    ] {
        let mut keeper = RoleKeeper::new(settings, Facts::default(), at(0));
        for number in 0..1_000 {
            let other = Some(name(&format!("x{number}")));
            keeper.hear(other, State::Backup, Source::Fifo, at(0).wall);
        }
        say(&mut keeper, State::Fault, at(1));
        keeper.settle(at(1));
        let standing = keeper.standing();
        assert_eq!(standing.role, Role::Fault, "{}", standing.why);
        assert_eq!(keeper.facts().said.len(), Facts::INSTANCES_MAX);
        // Also of those that a restart brings back.
        let kept: BTreeMap<_, _> = [keeper.facts().record()].into_iter().collect();
        assert!(Facts::restore(&kept).said.contains_key(&name("a")));
    }
}

fn with_vips(text: &str) -> PairSettings {
    PairSettings {
        notify_fifo: Some("/run/x".into()),
        vips: Vip::list(text).unwrap(),
        ..PairSettings::default()
    }
}

/// What a look finds: `ADDRESS=yes` or `ADDRESS=no` for each.
fn seen(text: &str) -> Sight {
    let words = text.split_whitespace();
    let found = words.map(|word| word.split_once('=').unwrap());
    let found = found.map(|(address, is_here)| (address.parse().unwrap(), is_here == "yes"));
    Sight::Seen(found.collect())
}

#[test]
fn other_addresses_change_no_role_before_somebody_has_looked_for_them() {
    for (here, role) in [("no", Role::Standby), ("yes", Role::Active)] {
        let mut keeper = RoleKeeper::new(with_vips("10.0.0.3"), Facts::default(), at(0));
        keeper.see(seen(&format!("10.0.0.3={here}")));
        keeper.settle(at(0));
        assert_eq!(keeper.standing().role, role);
        // Long after the start, and all over again an hour later.
        for (start, vips) in [
            (40_000, "10.0.0.3 10.0.0.4"),
            (50_000, "10.0.0.3 instance X"),
            (60_000, "10.0.0.4"),
        ] {
            keeper.reload(with_vips(vips));
            assert_eq!(keeper.settle(at(start)), None, "{vips}");
            assert_eq!(keeper.settle(at(start + 1)), None, "{vips}");
            assert!(keeper.settled());
        }
        // The look says what is so.
        assert_eq!(keeper.vips()[0].is_here, None);
        keeper.see(seen("10.0.0.4=yes"));
        keeper.settle(at(60_002));
        assert_eq!(keeper.standing().role, Role::Active);
        keeper.see(seen("10.0.0.4=no"));
        keeper.settle(at(60_003));
        assert_eq!(keeper.standing().role, Role::Standby);
        assert_eq!(keeper.next_deadline(), None);
    }
}

#[test]
fn addresses_that_nobody_can_look_for_leave_a_director_active_after_a_while() {
    let mut keeper = RoleKeeper::new(with_vips("10.0.0.3"), Facts::default(), at(0));
    keeper.see(seen("10.0.0.3=no"));
    assert_eq!(keeper.settle(at(40_000)), None);
    keeper.reload(with_vips("10.0.0.4"));
    assert_eq!(keeper.settle(at(50_000)), None);
    assert_eq!(keeper.next_deadline(), Some(at(80_000).mono));
    assert_eq!(keeper.settle(at(79_999)), None);
    assert_eq!(keeper.settle(at(80_000)).unwrap().to.role, Role::Active);
    assert_eq!(keeper.next_deadline(), None);
}

fn blind() -> Sight {
    Sight::Blind("the addresses change".to_owned())
}

#[test]
fn a_look_that_fails_changes_no_role() {
    for here in ["no", "yes"] {
        let found = || seen(&format!("10.0.0.3={here}"));
        let mut keeper = RoleKeeper::new(with_vips("10.0.0.3"), Facts::default(), at(0));
        keeper.see(found());
        keeper.settle(at(0));
        let role = keeper.standing().role;
        keeper.see(blind());
        assert_eq!(keeper.settle(at(40_000)), None);
        assert_eq!(keeper.next_deadline(), Some(at(50_000).mono));
        // Neither does one minute of looks of which the half fail.
        for second in 41..100 {
            keeper.see(if second % 2 == 0 { blind() } else { found() });
            assert_eq!(keeper.settle(at(second * 1_000)), None);
        }
        assert_eq!(keeper.standing().role, role);
        assert_eq!(keeper.next_deadline(), None);
    }
}

#[test]
fn who_cannot_look_for_long_believes_words_and_without_any_is_active_in_the_end() {
    let mut keeper = RoleKeeper::new(with_vips("10.0.0.3"), Facts::default(), at(0));
    keeper.see(seen("10.0.0.3=no"));
    keeper.settle(at(60_000));
    keeper.see(blind());
    assert_eq!(keeper.settle(at(60_000)), None);
    assert_eq!(keeper.settle(at(70_000)), None);
    assert_eq!(keeper.standing().role, Role::Standby);
    assert_eq!(keeper.next_deadline(), Some(at(100_000).mono));
    assert_eq!(keeper.settle(at(100_000)).unwrap().to.role, Role::Active);
    say(&mut keeper, State::Backup, at(110_000));
    assert_eq!(keeper.settle(at(110_000)).unwrap().to.role, Role::Standby);
    // What was found counts for a while, whatever is said, and then the word.
    keeper.see(seen("10.0.0.3=yes"));
    assert_eq!(keeper.settle(at(120_000)).unwrap().to.role, Role::Active);
    keeper.see(blind());
    assert_eq!(keeper.settle(at(120_001)), None);
    assert_eq!(keeper.settle(at(130_001)).unwrap().to.role, Role::Standby);
    assert_eq!(keeper.next_deadline(), None);
}

proptest! {
    /// Whatever is said when: no deadline is left in the past, and in the end the role that is
    /// acted upon is the one that follows from what is known.
    #[test]
    fn the_newest_role_holds_in_the_end(
        steps in proptest::collection::vec((0_usize..5, 0_u64..20_000), 1..60),
    ) {
        let mut keeper = with_fifo();
        let mut time = 0;
        for (state, pause) in steps {
            time += pause;
            say(&mut keeper, State::ALL[state], at(time));
            keeper.settle(at(time));
            if let Some(deadline) = keeper.next_deadline() {
                prop_assert!(deadline > at(time).mono);
            }
        }
        for _ in 0..10 {
            let Some(deadline) = keeper.next_deadline() else { break };
            time = (deadline.as_micros() - 1_000_000) / 1_000 + 1;
            keeper.settle(at(time));
        }
        prop_assert_eq!(keeper.next_deadline(), None);
        let latest = role::of_director(keeper.settings(), keeper.facts());
        prop_assert_eq!(keeper.standing(), &latest);
    }
}
