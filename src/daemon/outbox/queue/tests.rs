//! The queue with made-up times.

use super::*;

const SECOND: u64 = 1_000_000;

fn at(seconds: u64) -> Now {
    Now {
        mono: Mono::from_micros(seconds * SECOND),
        wall: Wall::from_seconds(1_795_000_000 + i64::try_from(seconds).unwrap()),
    }
}

fn queue(limits: Limits) -> Queue {
    Queue::new(limits, Duration::from_secs(5), fastrand::Rng::with_seed(7))
}

fn mail_lane(to: &str) -> Lane {
    Lane::Mail {
        to: to.to_owned(),
        from: "mon@h".to_owned(),
    }
}

fn hook_lane(url: &str, service: &str) -> Lane {
    Lane::Webhook {
        url: url.into(),
        service: service.to_owned(),
    }
}

fn entry(now: Now, lane: Lane, service: &str) -> Entry {
    Entry {
        lane: Arc::new(lane),
        service: service.into(),
        came: Came::Here(now.mono),
        since: now.mono,
        bytes: 100,
        message_id: None,
        calls: Vec::new(),
        left_out: 0,
        in_memory: false,
    }
}

fn mail(queue: &mut Queue, now: Now, number: u64, to: &str, service: &str) {
    queue.insert(number, entry(now, mail_lane(to), service));
}

fn hook(queue: &mut Queue, now: Now, number: u64, url: &str, service: &str) {
    queue.insert(number, entry(now, hook_lane(url, service), service));
}

/// Settles all groups that are due and says what they are made of.
fn seal_all(queue: &mut Queue, now: Now) -> Vec<Vec<u64>> {
    let groups = queue.groups(now);
    for group in &groups {
        queue.sealed(group, &format!("<{}@h>", group.members[0]), 100, false);
    }
    groups.into_iter().map(|group| group.members).collect()
}

fn members(groups: &[Group]) -> Vec<Vec<u64>> {
    groups.iter().map(|group| group.members.clone()).collect()
}

fn gone(dropped: &[(u64, Entry)]) -> Vec<u64> {
    dropped.iter().map(|(number, _)| *number).collect()
}

#[test]
fn events_within_the_group_wait_become_one_mail() {
    let mut queue = queue(Limits::default());
    mail(&mut queue, at(0), 1, "a@b", "g/http");
    mail(&mut queue, at(2), 2, "a@b", "g/ping");
    mail(&mut queue, at(4), 3, "c@d", "g/http");
    assert_eq!(queue.next(), Some(at(5).mono));
    assert!(queue.groups(at(4)).is_empty());
    assert_eq!(seal_all(&mut queue, at(5)), [vec![1, 2]]);
    assert_eq!(queue.due(at(5)), [Due::Mails(vec![vec![1]])]);
    assert_eq!(queue.len(), 2);
}

#[test]
fn while_the_relay_is_away_events_go_on_collecting() {
    let mut queue = queue(Limits::default());
    mail(&mut queue, at(0), 1, "a@b", "g/http");
    seal_all(&mut queue, at(5));
    queue.due(at(5));
    queue.settle(at(6), 1, Outcome::Untried, 0);
    let wait = queue
        .endpoint_done(at(6), &Endpoint::Relay, Some(("refused".to_owned(), None)))
        .unwrap();
    assert!((4..=6).contains(&wait.as_secs()), "{wait:?}");
    mail(&mut queue, at(6), 2, "a@b", "g/http");
    mail(&mut queue, at(6), 3, "c@d", "g/http");
    let ready = at(6).mono.after(wait);
    assert_eq!(queue.next(), Some(ready.min(at(11).mono).max(ready)));
    assert!(queue.groups(at(7)).is_empty());
    assert!(queue.due(at(7)).is_empty());
    // The relay is back: the settled mail and those that collected meanwhile, in order.
    assert_eq!(seal_all(&mut queue, at(30)), [vec![3]]);
    assert_eq!(queue.due(at(30)), [Due::Mails(vec![vec![1], vec![3]])]);
    for number in [1, 3] {
        let (_, result) = queue.settle(at(31), number, Outcome::Delivered, 0).unwrap();
        assert_eq!(result, Ok(()));
    }
    queue.endpoint_done(at(31), &Endpoint::Relay, None);
    assert_eq!(seal_all(&mut queue, at(31)), [vec![2]]);
}

#[test]
fn a_message_waits_as_long_as_its_receiver_rests() {
    let mut queue = queue(Limits::default());
    hook(&mut queue, at(0), 1, "http://h/", "g/http");
    queue.due(at(0));
    let receiver = Endpoint::Webhook("http://h/".into());
    let asked = Some(Duration::from_secs(120));
    queue.endpoint_done(at(1), &receiver, Some(("503".to_owned(), asked)));
    queue.settle(at(1), 1, Outcome::Later("503".to_owned()), 0);
    assert_eq!(queue.again_in(at(1), 1), Duration::from_secs(120));
    assert_eq!(queue.next(), Some(at(121).mono));
}

#[test]
fn a_recipient_that_is_refused_for_now_does_not_hold_the_others() {
    let mut queue = queue(Limits::default());
    for (number, to) in [(1, "a@b"), (2, "c@d")] {
        let mut entry = entry(at(0), mail_lane(to), "g/http");
        entry.message_id = Some("<same@h>".to_owned());
        queue.insert(number, entry);
    }
    assert_eq!(queue.due(at(0)), [Due::Mails(vec![vec![1, 2]])]);
    queue.settle(at(1), 1, Outcome::Later("450 greylisted".to_owned()), 0);
    queue.settle(at(1), 2, Outcome::Delivered, 0);
    queue.endpoint_done(at(1), &Endpoint::Relay, None);
    let wait = queue.next().unwrap();
    assert!(wait >= at(5).mono && wait <= at(7).mono, "{wait:?}");
    let mut other = entry(at(1), mail_lane("c@d"), "g/http");
    other.message_id = Some("<other@h>".to_owned());
    queue.insert(3, other);
    assert_eq!(queue.due(at(2)), [Due::Mails(vec![vec![3]])]);
}

#[test]
fn a_mail_on_which_the_relay_chokes_goes_behind_the_others() {
    let mut queue = queue(Limits::default());
    for (number, to) in [(1, "a@b"), (2, "c@d")] {
        let mut entry = entry(at(0), mail_lane(to), "g/http");
        entry.message_id = Some(format!("<{number}@h>"));
        queue.insert(number, entry);
    }
    queue.due(at(0));
    let choked = || Some(("connection lost".to_owned(), None));
    queue.settle(at(1), 1, Outcome::Later("connection lost".to_owned()), 0);
    queue.settle(at(1), 2, Outcome::Untried, 0);
    queue.endpoint_done(at(1), &Endpoint::Relay, choked());
    assert_eq!(queue.due(at(60)), [Due::Mails(vec![vec![2], vec![1]])]);
}

#[test]
fn over_the_hourly_number_mails_become_digests() {
    let limits = Limits {
        mails_per_hour: 3,
        ..Limits::default()
    };
    let mut queue = queue(limits);
    for number in 1..=3 {
        let now = at(number * 10);
        mail(&mut queue, now, number, "a@b", "g/http");
        assert_eq!(seal_all(&mut queue, at(number * 10 + 5)), [vec![number]]);
        queue.due(at(number * 10 + 5));
        queue.settle(at(number * 10 + 6), number, Outcome::Delivered, 0);
        queue.endpoint_done(at(number * 10 + 6), &Endpoint::Relay, None);
    }
    mail(&mut queue, at(100), 4, "a@b", "g/http");
    mail(&mut queue, at(400), 5, "a@b", "g/ping");
    mail(&mut queue, at(400), 6, "other@b", "g/ping");
    assert_eq!(
        seal_all(&mut queue, at(405)),
        [vec![6]],
        "others are not concerned"
    );
    assert!(queue.groups(at(699)).is_empty());
    assert_eq!(members(&queue.groups(at(700))), [vec![4, 5]]);
    // The hour is over: back to the short wait.
    mail(&mut queue, at(4_000), 7, "new@b", "g/http");
    assert_eq!(members(&queue.groups(at(4_005))).len(), 2);
}

#[test]
fn webhooks_of_one_service_keep_their_order_and_receivers_are_not_flooded() {
    let mut queue = queue(Limits::default());
    for number in 1..=6 {
        hook(
            &mut queue,
            at(0),
            number,
            "http://h/",
            &format!("g/s{}", number % 5),
        );
    }
    let due = queue.due(at(0));
    let webhooks = |numbers: &[u64]| -> Vec<Due> {
        numbers
            .iter()
            .map(|&number| Due::Webhook(number, 0))
            .collect()
    };
    assert_eq!(due, webhooks(&[1, 2, 3, 4]));
    assert!(queue.due(at(0)).is_empty());
    assert_eq!(queue.next(), None);
    let receiver = Endpoint::Webhook("http://h/".into());
    queue.settle(at(1), 1, Outcome::Later("500".to_owned()), 0);
    let again_in = queue.again_in(at(1), 1);
    assert!(again_in > Duration::from_secs(1), "{again_in:?}");
    let second = Duration::from_secs(1);
    assert_eq!(queue.again_in(at(2), 1), again_in.saturating_sub(second));
    queue.endpoint_done(at(1), &receiver, None);
    // 6 is of the service of 1 and waits behind it; 5 goes.
    assert_eq!(queue.due(at(1)), webhooks(&[5]));
    for number in 2..=5 {
        queue.settle(at(2), number, Outcome::Delivered, 0);
        queue.endpoint_done(at(2), &receiver, None);
    }
    assert!(queue.due(at(2)).is_empty());
    assert_eq!(queue.due(at(10)), webhooks(&[1]));
    queue.settle(at(11), 1, Outcome::Delivered, 0);
    queue.endpoint_done(at(11), &receiver, None);
    assert_eq!(queue.due(at(11)), webhooks(&[6]));
}

#[test]
fn a_receiver_that_is_away_is_tried_with_one_message_after_the_wait_it_asked_for() {
    let mut queue = queue(Limits::default());
    for number in 1..=4 {
        hook(
            &mut queue,
            at(0),
            number,
            "http://h/",
            &format!("g/s{number}"),
        );
    }
    hook(&mut queue, at(0), 9, "http://other/", "g/s1");
    assert_eq!(queue.due(at(0)).len(), 5);
    let receiver = Endpoint::Webhook("http://h/".into());
    for number in 1..=4 {
        queue.settle(at(1), number, Outcome::Untried, 0);
        let asked = Some(Duration::from_secs(120));
        queue.endpoint_done(at(1), &receiver, Some(("503".to_owned(), asked)));
    }
    assert_eq!(queue.next(), Some(at(121).mono));
    assert!(queue.due(at(120)).is_empty());
    assert_eq!(queue.due(at(121)), [Due::Webhook(1, 0)]);
    queue.settle(at(122), 1, Outcome::Delivered, 0);
    queue.endpoint_done(at(122), &receiver, None);
    assert_eq!(queue.due(at(122)).len(), 3, "it is back: all of them");
}

#[test]
fn when_it_is_full_repeats_collapse_to_the_newest() {
    let limits = Limits {
        messages: 4,
        ..Limits::default()
    };
    let mut queue = queue(limits);
    let a = mail_lane("a@b");
    for number in 1..=3 {
        mail(&mut queue, at(0), number, "a@b", "g/http");
    }
    mail(&mut queue, at(0), 4, "a@b", "g/ping");
    let (dropped, left_out) = queue.make_room(Bound::Spool, &a, "g/http", 100);
    assert_eq!((gone(&dropped), left_out), (vec![1], 1));
    let mut newer = entry(at(1), a.clone(), "g/http");
    newer.left_out = 1;
    queue.insert(5, newer);
    // 2, 3 and 5 are repeats of g/http; a service that is not there takes the oldest of them.
    let (dropped, left_out) = queue.make_room(Bound::Spool, &a, "g/new", 100);
    assert_eq!((gone(&dropped), left_out), (vec![2], 0));
    mail(&mut queue, at(1), 6, "a@b", "g/new");
    // What a dropped message had to tell of others is not lost either.
    let (dropped, _) = queue.make_room(Bound::Spool, &a, "g/http", 100);
    assert_eq!(gone(&dropped), [3]);
    queue.insert(7, entry(at(1), a.clone(), "g/http"));
    let (dropped, left_out) = queue.make_room(Bound::Spool, &a, "g/http", 100);
    assert_eq!((gone(&dropped), left_out), (vec![5], 2));
    // The one of another service is said in the next mail of the lane.
    let groups = queue.groups(at(60));
    assert_eq!(
        (groups[0].left_out, members(&groups)),
        (1, vec![vec![4, 6, 7]])
    );
}

#[test]
fn without_repeats_the_oldest_goes_and_what_is_under_way_stays() {
    let limits = Limits {
        messages: 3,
        ..Limits::default()
    };
    let mut queue = queue(limits);
    for number in 1..=3 {
        hook(
            &mut queue,
            at(0),
            number,
            "http://h/",
            &format!("g/s{number}"),
        );
    }
    assert_eq!(queue.due(at(0)).len(), 3);
    queue.settle(at(1), 2, Outcome::Untried, 0);
    let lane = hook_lane("http://h/", "g/s4");
    let (dropped, left_out) = queue.make_room(Bound::Spool, &lane, "g/s4", 100);
    assert_eq!((gone(&dropped), left_out), (vec![2], 0));
    hook(&mut queue, at(1), 4, "http://h/", "g/s2");
    queue.endpoint_done(at(1), &Endpoint::Webhook("http://h/".into()), None);
    assert_eq!(
        queue.due(at(1)),
        [Due::Webhook(4, 1)],
        "the next of the lane says so"
    );
    let lane = hook_lane("http://h/", "g/s5");
    assert!(
        queue
            .make_room(Bound::Spool, &lane, "g/s5", 100)
            .0
            .is_empty()
    );
}

#[test]
fn bytes_are_bounded_as_well() {
    let limits = Limits {
        bytes: 1_000,
        ..Limits::default()
    };
    let mut queue = queue(limits);
    for number in 1..=10 {
        mail(&mut queue, at(0), number, "a@b", "g/http");
    }
    let (dropped, left_out) = queue.make_room(Bound::Spool, &mail_lane("a@b"), "g/http", 250);
    assert_eq!((gone(&dropped), left_out), (vec![1, 2, 3], 3));
}

#[test]
fn a_hundred_megabytes_are_the_most() {
    let mut queue = queue(Limits::default());
    let (size, most) = (120_000, 100_000_000);
    for number in 1..=2_000 {
        let lane = mail_lane(&format!("{}@b", number % 7));
        let service = format!("g/s{}", number % 100);
        queue.make_room(Bound::Spool, &lane, &service, size);
        let mut entry = entry(at(number), lane, &service);
        entry.bytes = size;
        queue.insert(number, entry);
        assert!(queue.len() as u64 * size <= most, "at {number}");
    }
    assert_eq!(queue.len() as u64, most / size);
}

#[test]
fn what_the_disk_does_not_take_has_its_own_bound() {
    let limits = Limits {
        memory_messages: 2,
        ..Limits::default()
    };
    let mut queue = queue(limits);
    let lane = mail_lane("a@b");
    mail(&mut queue, at(0), 1, "a@b", "g/http");
    for number in [2, 3] {
        mail(&mut queue, at(0), number, "a@b", "g/http");
        queue.set_in_memory(number, true);
    }
    let (dropped, left_out) = queue.make_room(Bound::Memory, &lane, "g/http", 100);
    assert_eq!((gone(&dropped), left_out), (vec![2], 1));
    assert_eq!(queue.memory().collect::<Vec<_>>(), [3]);
    queue.set_in_memory(3, false);
    assert_eq!(queue.memory().count(), 0);
    assert_eq!(queue.len(), 2);
}

#[test]
fn old_messages_are_given_up_after_some_attempts_with_the_last_reason() {
    let limits = Limits {
        give_up_after: Duration::from_secs(1_000),
        ..Limits::default()
    };
    let mut queue = queue(limits);
    mail(&mut queue, at(0), 1, "a@b", "g/http");
    mail(&mut queue, at(900), 2, "a@b", "g/http");
    let fault = || Some(("connection refused".to_owned(), None));
    for second in [1_000, 1_100] {
        queue.endpoint_done(at(second), &Endpoint::Relay, fault());
        assert!(queue.give_up_old(at(second)).is_empty(), "too few attempts");
    }
    queue.endpoint_done(at(1_300), &Endpoint::Relay, fault());
    let old = queue.give_up_old(at(1_300));
    assert_eq!(old.len(), 1);
    assert_eq!((old[0].0, old[0].2.as_str()), (1, "connection refused"));
    assert_eq!(queue.len(), 1);
}

/// The wall clock was set by so many seconds.
fn set(now: Now, seconds: i64) -> Now {
    Now {
        wall: Wall::from_seconds(now.wall.seconds() + seconds),
        ..now
    }
}

#[test]
fn a_clock_that_is_set_gives_up_no_message_of_this_process_and_keeps_none_for_ever() {
    const YEARS: i64 = 26 * 365 * 86_400;
    let most = Limits::default().give_up_after.as_secs();
    let mut queue = queue(Limits::default());
    mail(&mut queue, at(0), 1, "a@b", "g/http");
    hook(&mut queue, at(0), 2, "http://h/", "g/http");
    let fault = || Some(("connection refused".to_owned(), None));
    let webhook = Endpoint::Webhook("http://h/".into());
    for second in [100, 200, 300] {
        let now = set(at(second), YEARS);
        queue.endpoint_done(now, &Endpoint::Relay, fault());
        queue.endpoint_done(now, &webhook, fault());
        assert_eq!(queue.give_up_old(now), [], "after {second} seconds");
    }
    mail(&mut queue, set(at(400), YEARS), 3, "a@b", "g/http");
    let back = |second| set(at(second), -YEARS);
    assert_eq!(queue.give_up_old(back(most - 1)), []);
    let old = queue.give_up_old(back(most));
    let numbers: Vec<u64> = old.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, [1, 2]);
    // Of one that the spool had, nothing else is known.
    let before = Entry {
        came: Came::Before(at(0).wall),
        ..entry(at(50), mail_lane("a@b"), "g/http")
    };
    queue.insert(0, before);
    let fits = |now| Now {
        mono: at(60).mono,
        ..now
    };
    assert_eq!(queue.give_up_old(fits(at(most - 1))), []);
    assert_eq!(queue.give_up_old(fits(at(most))).len(), 1);
}

#[test]
fn rests_double_up_to_the_longest_and_vary_by_a_fifth() {
    let limits = Limits::default();
    let seconds = |attempts, random| backoff(&limits, attempts, random).as_secs_f64();
    let middle: Vec<f64> = (1..=9).map(|attempts| seconds(attempts, 0.5)).collect();
    assert_eq!(
        middle,
        [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]
    );
    assert!((seconds(1, 0.0) - 4.0).abs() < 1e-9);
    assert!((seconds(1, 1.0) - 6.0).abs() < 1e-9);
    assert!((seconds(u32::MAX, 0.5) - 600.0).abs() < 1e-9);
}

/// Settles and delivers all that is due at `now` and says what left. With `trouble`, endpoints
/// are away and messages are refused for now, at random.
fn deliver(queue: &mut Queue, now: Now, trouble: Option<&mut fastrand::Rng>) -> Vec<u64> {
    let mut left = Vec::new();
    for group in queue.groups(now) {
        queue.sealed(&group, &group.members[0].to_string(), 100, false);
        left.extend(&group.members[1..]);
    }
    let mut kind = fastrand::Rng::with_seed(0);
    let is_kind = trouble.is_none();
    let random = trouble.unwrap_or(&mut kind);
    for due in queue.due(now) {
        let numbers = match due {
            Due::Mails(transactions) => transactions.concat(),
            Due::Webhook(number, _) => vec![number],
        };
        let endpoint = queue.entry(numbers[0]).unwrap().lane.endpoint();
        let is_away = !is_kind && random.u32(0..3) == 0;
        for number in numbers {
            let outcome = match random.u32(0..4) {
                _ if is_away => Outcome::Untried,
                0 if !is_kind => Outcome::Later("busy".to_owned()),
                _ => Outcome::Delivered,
            };
            if queue.settle(now, number, outcome, 0).is_some() {
                left.push(number);
            }
        }
        let fault = is_away.then(|| ("away".to_owned(), None));
        queue.endpoint_done(now, &endpoint, fault);
    }
    left
}

/// A seeded world: whatever comes back, after doing all that is due the next moment lies in
/// the future, order within a lane is kept, and everything leaves.
#[test]
fn nothing_is_lost_or_overtaken_and_no_moment_stays_in_the_past() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut queue = queue(Limits::default());
        let mut left: Vec<u64> = Vec::new();
        let mut lanes: BTreeMap<u64, Lane> = BTreeMap::new();
        let mut now = at(0);
        for step in 0..600 {
            if step < 200 {
                let name = random.u32(0..4).to_string();
                if random.bool() {
                    mail(&mut queue, now, step, &name, "g/s");
                } else {
                    hook(&mut queue, now, step, &random.u32(0..2).to_string(), &name);
                }
                lanes.insert(step, Lane::clone(&queue.entry(step).unwrap().lane));
            }
            left.extend(deliver(&mut queue, now, Some(&mut random)));
            queue.tidy(now);
            let mut rounds = 0;
            while queue.next().is_some_and(|next| next <= now.mono) {
                // Deliveries that ended made room for others at the same moment.
                rounds += 1;
                assert!(rounds < 50, "seed {seed}: a moment stays in the past");
                left.extend(deliver(&mut queue, now, None));
            }
            let span = Duration::from_millis(random.u64(100..20_000));
            now = Now {
                mono: now.mono.after(span),
                wall: now.wall.after(span),
            };
        }
        assert_eq!(queue.len(), 0, "seed {seed}");
        assert_eq!(left.len(), lanes.len(), "seed {seed}");
        let mut last: BTreeMap<&Lane, u64> = BTreeMap::new();
        for number in &left {
            let lane = &lanes[number];
            // The members of a mail leave before its first, which stands for them.
            if let Lane::Webhook { .. } = lane
                && let Some(before) = last.insert(lane, *number)
            {
                assert!(before < *number, "seed {seed}: {number} overtook {before}");
            }
        }
    }
}

#[test]
fn a_mail_that_could_not_be_settled_waits_before_it_is_tried_again() {
    let mut queue = queue(Limits::default());
    mail(&mut queue, at(0), 1, "a@b", "g/http");
    assert_eq!(members(&queue.groups(at(5))), [[1]]);
    let unreadable = Outcome::Later("too many open files".to_owned());
    assert_eq!(queue.settle(at(5), 1, unreadable, 0), None);
    assert!(queue.groups(at(5)).is_empty());
    let again = queue.next().unwrap();
    assert!(again > at(5).mono, "else the outbox would never rest");
    assert_eq!(seal_all(&mut queue, at(20)), [[1]]);
}

/// Most visits to lanes and messages for each message of a storm, on the average: twenty mails
/// are looked at for each that leaves, and its lane at each change.
const VISITS_MOST: u64 = 40;

/// How a crowd of messages is spread.
#[derive(Clone, Copy, Debug)]
enum Crowd {
    Recipients,
    OneRecipient,
    Services,
    Receivers,
}

/// Puts `count` messages in line, as the courier does, then as many again into the full queue,
/// and delivers all. At each step the queue is asked for everything that a wake asks for.
fn storm(count: u64, crowd: Crowd) {
    let limits = Limits {
        messages: usize::try_from(count).unwrap(),
        ..Limits::default()
    };
    let lane = |number: u64| match crowd {
        Crowd::Recipients => mail_lane(&format!("{number}@b")),
        Crowd::OneRecipient => mail_lane("a@b"),
        Crowd::Services => hook_lane("http://h/", &number.to_string()),
        Crowd::Receivers => hook_lane(&format!("http://{number}/"), "g/s"),
    };
    let mut queue = queue(limits);
    for number in 1..=2 * count {
        let lane = lane(number);
        let service = format!("g/s{number}");
        let (dropped, _) = queue.make_room(Bound::Spool, &lane, &service, 100);
        assert_eq!(dropped.len(), usize::from(number > count));
        let entry = entry(at(0), lane, &service);
        queue.insert(number, entry);
    }
    let mut now = at(10);
    let mut under_way: Vec<u64> = Vec::new();
    let mut rounds = 0;
    while queue.len() > 0 {
        rounds += 1;
        assert!(rounds < 10 * count, "{} left", queue.len());
        assert!(queue.give_up_old(now).is_empty());
        seal_all(&mut queue, now);
        for due in queue.due(now) {
            match due {
                Due::Mails(transactions) => under_way.extend(transactions.concat()),
                Due::Webhook(number, _) => under_way.push(number),
            }
        }
        let Some(number) = under_way.pop() else {
            now.mono = queue.next().unwrap();
            continue;
        };
        let endpoint = queue.entry(number).unwrap().lane.endpoint();
        assert!(queue.settle(now, number, Outcome::Delivered, 1).is_some());
        if endpoint != Endpoint::Relay || under_way.is_empty() {
            queue.endpoint_done(now, &endpoint, None);
        }
    }
}

/// However many lanes there are, each message of a storm costs the same few visits: no step
/// walks over all of them.
#[test]
fn lanes_by_the_thousand_are_drained_without_walking_over_all_at_each_step() {
    let crowds = [
        Crowd::Recipients,
        Crowd::OneRecipient,
        Crowd::Services,
        Crowd::Receivers,
    ];
    for crowd in crowds {
        let count = 2_000;
        let visits = crate::effort::visits(|| storm(count, crowd));
        assert!(visits <= count * VISITS_MOST, "{crowd:?}: {visits} visits");
    }
}

#[test]
fn while_it_is_held_nothing_leaves_and_afterwards_all_that_is_left_does() {
    let mut queue = queue(Limits::default());
    queue.hold();
    mail(&mut queue, at(0), 1, "a@b", "s1");
    hook(&mut queue, at(0), 2, "http://x", "s2");
    assert_eq!(queue.next(), None);
    assert!(queue.groups(at(100)).is_empty());
    assert!(queue.due(at(100)).is_empty());
    queue.release();
    assert!(queue.next().is_some());
    assert_eq!(seal_all(&mut queue, at(100)), [vec![1]]);
    assert_eq!(queue.due(at(100)).len(), 2);
}
