use super::*;
use crate::protocol::auth::AuthRules;
use crate::protocol::trap::{Outgoing, parse};

const RULES: &str = "trap section\n10.0.0.1 joe abNANd1rDfiNc\n10.0.0.1 ann xy/gRonXQz8UE\n\
                     10.0.0.2 * -\n10.0.0.3 joe abNANd1rDfiNc\n10.0.0.4 joe abmF1QH4PEr.E\n";
const SECOND: Duration = Duration::from_secs(1);
const ROOM: usize = 1_000;

fn guard(rules: &str) -> Guard {
    Guard::new(AuthRules::read(rules).rules.traps().clone(), [7; 32])
}

/// For the service of this name; the password and the service tell it from others.
fn packet(from: &str, user: &str, password: &str, service: &str) -> Packet {
    let outgoing = Outgoing {
        user: user.to_owned(),
        password: password.to_owned(),
        group: "g".to_owned(),
        service: service.to_owned(),
        ..Outgoing::default()
    };
    parse(&outgoing.render(), from.parse().unwrap()).unwrap()
}

fn at(seconds: u64) -> Mono {
    Mono::from_micros(seconds * 1_000_000)
}

fn told(decided: Vec<Decided>) -> Vec<String> {
    let tell = |one: Decided| {
        let password = String::from_utf8(one.packet.password).unwrap();
        let fate = match one.fate {
            Fate::Take => "taken".to_owned(),
            Fate::Refuse(TrapRefusal::Password) => "wrong".to_owned(),
            Fate::Refuse(_) => "refused".to_owned(),
            Fate::Full => "full".to_owned(),
        };
        format!("{} {password} {fate}", one.packet.user)
    };
    decided.into_iter().map(tell).collect()
}

fn offer(guard: &mut Guard, packet: Packet) -> Vec<String> {
    told(guard.offer(packet, true))
}

/// Looks at the next password; a look takes a second.
fn look(guard: &mut Guard, now: Mono) -> Option<String> {
    let look = guard.next_look(now)?;
    let password = String::from_utf8(look.password.clone()).unwrap();
    assert_eq!(guard.next_look(now), None, "one look at once");
    guard.looked(look.fits(), SECOND, now);
    Some(password)
}

/// Looks at all that waits, without rests.
fn settle(guard: &mut Guard) -> Vec<String> {
    let mut all = told(guard.release(ROOM));
    while let Some(look) = guard.next_look(at(1_000)) {
        guard.looked(look.fits(), SECOND, Mono::ZERO);
        all.append(&mut told(guard.release(ROOM)));
    }
    assert!(guard.senders.is_empty(), "{guard:?}");
    assert_eq!((guard.weight, guard.weights.len()), (0, 0));
    all
}

#[test]
fn a_password_is_looked_at_once_and_new_ones_wait_for_their_time() {
    let mut guard = guard(RULES);
    let good = || packet("10.0.0.1", "joe", "secret", "s");
    let bad = || packet("10.0.0.1", "joe", "guess", "s");
    assert!(offer(&mut guard, bad()).is_empty());
    assert!(offer(&mut guard, good()).is_empty());
    assert_eq!(look(&mut guard, at(0)).as_deref(), Some("guess"));
    assert_eq!(told(guard.release(ROOM)), ["joe guess wrong"]);
    assert_eq!(guard.wakes(at(1)), Some(at(3)));
    assert_eq!(look(&mut guard, at(2)), None);
    assert_eq!(guard.wakes(at(3)), None);
    assert_eq!(look(&mut guard, at(3)).as_deref(), Some("secret"));
    assert_eq!(told(guard.release(ROOM)), ["joe secret taken"]);
    assert_eq!(guard.wakes(at(3)), None, "nothing waits");
    // What is known needs no look, and what is refused for another reason neither.
    assert_eq!(offer(&mut guard, bad()), ["joe guess wrong"]);
    assert_eq!(offer(&mut guard, good()), ["joe secret taken"]);
    let everybody = packet("10.0.0.2", "x", "y", "s");
    assert_eq!(offer(&mut guard, everybody), ["x y taken"]);
    let stranger = packet("10.0.0.9", "joe", "secret", "s");
    assert_eq!(offer(&mut guard, stranger), ["joe secret refused"]);
    let star = packet("10.0.0.1", "*", "secret", "s");
    assert_eq!(offer(&mut guard, star), ["* secret refused"]);
    assert_eq!(look(&mut guard, at(100)), None);
}

#[test]
fn senders_take_turns_and_so_do_the_users_of_one() {
    let mut guard = guard(RULES);
    for number in 0..3 {
        offer(
            &mut guard,
            packet("10.0.0.1", "joe", &format!("a{number}"), "s"),
        );
    }
    offer(&mut guard, packet("10.0.0.1", "ann", "b", "s"));
    offer(&mut guard, packet("10.0.0.3", "joe", "c", "s"));
    offer(&mut guard, packet("10.0.0.4", "joe", "d", "s"));
    let mut order = Vec::new();
    let late = at(1_000);
    while let Some(password) = look(&mut guard, late) {
        guard.rests_until = Mono::ZERO;
        order.push(password);
        guard.release(ROOM);
    }
    assert_eq!(order, ["b", "c", "d", "a0", "a1", "a2"]);
}

#[test]
fn one_look_decides_for_all_who_wait_for_it() {
    let mut guard = guard(RULES);
    for from in ["10.0.0.3", "10.0.0.1"] {
        offer(&mut guard, packet(from, "joe", "secret", "s"));
    }
    assert_eq!(look(&mut guard, at(0)).as_deref(), Some("secret"));
    assert_eq!(told(guard.release(ROOM)).len(), 2);
    assert!(guard.senders.is_empty());
}

#[test]
fn traps_of_one_sender_for_one_service_leave_as_they_came() {
    let mut guard = guard(&format!("{RULES}10.0.0.1 tim abmF1QH4PEr.E\n"));
    let known = |service: &str| packet("10.0.0.1", "ann", "secret", service);
    offer(&mut guard, known("s"));
    settle(&mut guard);
    offer(&mut guard, packet("10.0.0.1", "joe", "secret", "s"));
    assert!(offer(&mut guard, known("s")).is_empty(), "it waits");
    // Others do not.
    assert_eq!(offer(&mut guard, known("t")), ["ann secret taken"]);
    let other = packet("10.0.0.2", "x", "", "s");
    assert_eq!(offer(&mut guard, other), ["x  taken"]);
    assert!(guard.release(ROOM).is_empty());
    assert_eq!(settle(&mut guard), ["joe secret taken", "ann secret taken"]);
    // A guess for a user whose password is known holds up nobody.
    assert!(offer(&mut guard, packet("10.0.0.1", "joe", "x", "s")).is_empty());
    assert_eq!(offer(&mut guard, known("s")), ["ann secret taken"]);
    let good = packet("10.0.0.1", "joe", "secret", "s");
    assert_eq!(offer(&mut guard, good), ["joe secret taken"]);
    // Nor does a wrong one that was waiting, once it is known as such.
    offer(&mut guard, packet("10.0.0.1", "tim", "x", "s"));
    assert!(offer(&mut guard, known("s")).is_empty());
    assert_eq!(
        settle(&mut guard),
        ["joe x wrong", "tim x wrong", "ann secret taken"]
    );
}

#[test]
fn what_has_no_room_waits_in_its_order() {
    let mut guard = guard(RULES);
    let packet = |from: &str, number: u32| packet(from, "joe", "secret", &number.to_string());
    let of = |decided: Vec<Decided>| -> Vec<String> {
        decided
            .into_iter()
            .map(|one| one.packet.trap.service)
            .collect()
    };
    for number in [1, 2] {
        guard.offer(packet("10.0.0.1", number), true);
    }
    assert!(look(&mut guard, at(0)).is_some());
    assert!(guard.release(0).is_empty());
    assert!(guard.has_ready());
    assert!(
        guard.offer(packet("10.0.0.1", 1), true).is_empty(),
        "behind the first"
    );
    assert!(guard.offer(packet("10.0.0.3", 3), false).is_empty());
    assert_eq!(of(guard.release(1)), ["3"], "the other's turn");
    assert_eq!(of(guard.release(2)), ["1", "2"]);
    assert_eq!(of(guard.release(2)), ["1"]);
    assert!(!guard.has_ready());
}

#[test]
fn no_sender_and_no_user_takes_more_than_its_share() {
    let mut guard = guard(RULES);
    let count = USER_MAX / WEIGHT_LEAST;
    for number in 0..count {
        let new = packet("10.0.0.1", "joe", &number.to_string(), "s");
        assert!(offer(&mut guard, new).is_empty());
    }
    let more = packet("10.0.0.1", "joe", "more", "s");
    assert_eq!(offer(&mut guard, more), ["joe more full"]);
    // Another user and another sender have theirs.
    assert!(offer(&mut guard, packet("10.0.0.1", "ann", "secret", "t")).is_empty());
    assert!(offer(&mut guard, packet("10.0.0.3", "joe", "secret", "t")).is_empty());
    let all = settle(&mut guard);
    assert_eq!(all.len(), count + 2);
    let taken = all.iter().filter(|one| one.ends_with("taken")).count();
    assert_eq!(taken, 2);
}

#[test]
fn a_sender_of_little_makes_room_at_the_cost_of_one_of_much() {
    let mut guard = guard(
        "trap section\n* joe abNANd1rDfiNc\n* ann abNANd1rDfiNc\n* tim abNANd1rDfiNc\n* sue abNANd1rDfiNc\n",
    );
    for sender in 0..16 {
        for number in 0..SENDER_MAX / WEIGHT_LEAST {
            let user = ["joe", "ann", "tim", "sue"][number % 4];
            let new = packet(&format!("10.1.0.{sender}"), user, &number.to_string(), "s");
            assert!(offer(&mut guard, new).is_empty());
        }
    }
    assert_eq!(guard.weight, ALL_MAX);
    let of_much = packet("10.1.0.1", "joe", "more", "s");
    assert_eq!(offer(&mut guard, of_much), ["joe more full"]);
    let dropped = guard.offer(packet("10.0.0.1", "joe", "secret", "s"), true);
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].fate, Fate::Full);
    assert_eq!(dropped[0].packet.trap.from.to_string(), "10.1.0.15");
    assert_eq!(guard.weight, ALL_MAX);
    assert!(settle(&mut guard).contains(&"joe secret taken".to_owned()));
}

#[test]
fn a_known_password_is_rather_let_in_out_of_its_order_than_dropped() {
    let mut guard = guard(RULES);
    offer(&mut guard, packet("10.0.0.1", "ann", "secret", "s"));
    settle(&mut guard);
    guard.opened.clear();
    // A guess of ann would hold up nobody; here it has the weight of nearly a share.
    for number in 0..USER_MAX / WEIGHT_LEAST {
        offer(
            &mut guard,
            packet("10.0.0.1", "ann", &number.to_string(), "s"),
        );
    }
    let good = packet("10.0.0.1", "ann", "secret", "s");
    assert_eq!(offer(&mut guard, good.clone()), ["ann secret taken"]);
    assert_eq!(told(guard.offer(good, false)), ["ann secret full"]);
}

#[test]
fn what_is_remembered_holds_for_one_hash_only_and_what_waits_gets_the_new_rules() {
    let mut guard = guard(RULES);
    let good = || packet("10.0.0.1", "joe", "secret", "s");
    offer(&mut guard, good());
    assert_eq!(settle(&mut guard), ["joe secret taken"]);
    let reload = |guard: &mut Guard, text: &str| {
        guard.reload(AuthRules::read(text).rules.traps().clone());
    };
    reload(&mut guard, &format!("{RULES}10.0.0.9 ann x\n"));
    assert_eq!(offer(&mut guard, good()), ["joe secret taken"]);
    reload(&mut guard, "trap section\n10.0.0.1 joe abmF1QH4PEr.E\n");
    assert!(offer(&mut guard, good()).is_empty());
    assert_eq!(settle(&mut guard), ["joe secret wrong"]);
    offer(&mut guard, packet("10.0.0.1", "joe", "new", "s"));
    reload(&mut guard, "");
    assert_eq!(told(guard.release(ROOM)), ["joe new refused"]);
    assert_eq!(offer(&mut guard, good()), ["joe secret refused"]);
}

#[test]
fn no_number_of_passwords_fills_the_memory() {
    let mut guard = guard(RULES);
    for number in 0..REMEMBERED_MAX * 2 + 5 {
        offer(
            &mut guard,
            packet("10.0.0.1", "joe", &number.to_string(), "s"),
        );
        assert!(guard.next_look(Mono::ZERO).is_some(), "{number}");
        guard.looked(false, Duration::ZERO, Mono::ZERO);
        guard.release(ROOM);
        assert!(guard.wrong.len() <= REMEMBERED_MAX);
    }
    assert_eq!(guard.right.len(), 0);
}

#[test]
fn a_packet_for_which_others_cannot_make_enough_room_costs_them_nothing() {
    let users = ["joe", "ann", "tim", "sue"];
    let mut guard = guard(
        "trap section\n* joe abNANd1rDfiNc\n* ann abNANd1rDfiNc\n* tim abNANd1rDfiNc\n* sue abNANd1rDfiNc\n* eve abNANd1rDfiNc\n",
    );
    let fill = |guard: &mut Guard, sender: &str, count: usize| {
        for number in 0..count {
            let new = packet(sender, users[number % 4], &number.to_string(), "s");
            assert!(offer(guard, new).is_empty());
        }
    };
    // All is full; of seventeen senders one has a little more than the others.
    let all = ALL_MAX / WEIGHT_LEAST;
    let (each, more) = (all / 17, all % 17);
    for sender in 1..17 {
        fill(&mut guard, &format!("10.1.0.{sender}"), each);
    }
    fill(&mut guard, "10.1.0.17", each + more);
    // A packet that needs the room of fifteen, of a sender that has nearly as much as that one.
    let heavy = |sender: &str| {
        let mut packet = packet(sender, "eve", "p", "s");
        packet.trap.detail = "x".repeat(15 * WEIGHT_LEAST - 100);
        packet
    };
    let before = guard.weight;
    let refused = told(guard.offer(heavy("10.1.0.9"), true));
    assert_eq!(refused, ["eve p full"]);
    assert_eq!(guard.weight, before);
    // Somebody of whom less waits gets the room, and each loss is told.
    let told = told(guard.offer(heavy("10.0.0.1"), true));
    assert_eq!(told.len(), 15, "{told:?}");
    assert!(told.iter().all(|one| one.ends_with("full")), "{told:?}");
    assert!(guard.weight <= ALL_MAX);
}
