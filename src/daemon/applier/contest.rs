//! Is somebody else writing the same place of the table, again and again?
//!
//! Whoever puts a place right more than [`REPAIRS_MAX`] times within [`WINDOW`] is not mending
//! drift: two writers want different things. From then on the place is put right every
//! [`REST_MIN`] only, and more and more seldom, until the other one rests: no fight for ever, and
//! the other writer's wish is the one that mostly stands. A virtual service that would be left
//! without any real server rests for [`REST_EMPTY`]: nobody wishes that. What a person or a check
//! of ours wants anew is no part of the fight and goes in at once. Pure; who reads the clock and
//! writes the table is the daemon's applier.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::event::Contested;
use crate::lvs::{Command, RealServerKey, Table, VirtualServiceKey};
use crate::time::Mono;

/// So many repairs within [`WINDOW`] are drift: an operator who tries something by hand, a script
/// that runs twice.
const REPAIRS_MAX: usize = 5;
/// In which repairs are counted, and after which a place that nobody else changes any more is
/// forgotten. A look comes every second at most, so a writer that changes the place at once is
/// noticed after some six seconds, one that does so every ten within a minute.
const WINDOW: Duration = Duration::from_secs(60);
/// First rest of a place that is fought for.
const REST_MIN: Duration = Duration::from_secs(30);
/// Longest rest: what is left of our wish is said and shown, and tried again now and then.
const REST_MAX: Duration = Duration::from_secs(600);
/// Rest of a place without which its virtual service serves nobody. Long enough that two writers
/// who both insist write a dozen times a minute and not without end, short enough that a client
/// that tries again a few times finds the service.
const REST_EMPTY: Duration = Duration::from_secs(5);

/// What a command is about: a virtual service, or a real server in it.
pub(super) type Place = (VirtualServiceKey, Option<RealServerKey>);

/// What a command is about. No two commands of one look are about the same.
pub(super) const fn place(command: &Command) -> Place {
    match command {
        Command::AddService(key, _)
        | Command::EditService(key, _)
        | Command::DeleteService(key) => (*key, None),
        Command::AddServer(key, server, _)
        | Command::EditServer(key, server, _)
        | Command::DeleteServer(key, server) => (*key, Some(*server)),
    }
}

/// What serves where a command is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// No real server at all.
    Nothing,
    /// What the other writer wants.
    Something,
}

impl Left {
    /// With this table. Only what puts something in can be missed by clients.
    pub(super) fn without(command: &Command, table: &Table) -> Self {
        match command {
            Command::AddService(key, _) | Command::AddServer(key, ..) => {
                let entry = table.get(key);
                match entry.is_some_and(|entry| !entry.servers.is_empty()) {
                    true => Self::Something,
                    false => Self::Nothing,
                }
            }
            Command::EditService(..)
            | Command::DeleteService(_)
            | Command::EditServer(..)
            | Command::DeleteServer(..) => Self::Something,
        }
    }
}

/// Which places people want to be put right at once, all told since the daemon began: whoever sees
/// the newest value only misses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// How often for all places.
    everywhere: u64,
    /// How often for this place, since it was asked for all.
    places: BTreeMap<Place, u64>,
}

impl Asked {
    /// All places: the file was read again.
    pub(super) fn ask_everywhere(&mut self) {
        self.everywhere = self.everywhere.saturating_add(1);
        self.places.clear();
    }

    /// One place: an operator enabled it.
    pub(super) fn ask(&mut self, place: Place) {
        let count = self.places.entry(place).or_default();
        *count = count.saturating_add(1);
    }
}

/// The places that were put right lately.
#[derive(Debug, Default)]
pub(super) struct Contests {
    places: BTreeMap<Place, Contest>,
    heeded: Asked,
}

/// What is known of one place.
#[derive(Debug)]
struct Contest {
    /// What puts it right.
    command: Command,
    /// When it was, lately; at most [`REPAIRS_MAX`] and one more.
    repairs: VecDeque<Mono>,
    /// When it was found changed last.
    changed: Mono,
    /// None where that is drift so far.
    rest: Option<Rest>,
    /// The next command there is ours: somebody asked for it.
    is_asked_for: bool,
}

/// The place rests.
#[derive(Clone, Copy, Debug)]
struct Rest {
    since: Mono,
    span: Duration,
}

impl Rest {
    /// When the place is put right again.
    fn until(self, left: Left) -> Mono {
        self.since.after(match left {
            Left::Nothing => self.span.min(REST_EMPTY),
            Left::Something => self.span,
        })
    }

    fn next_span(rest: Option<Self>, left: Left) -> Duration {
        let longer = rest.map_or(REST_MIN, |rest| rest.span.saturating_mul(2));
        match left {
            Left::Nothing => REST_EMPTY,
            Left::Something => longer.clamp(REST_MIN, REST_MAX),
        }
    }
}

impl Contests {
    /// The place was put right at `now`, since somebody else had changed it.
    pub(super) fn repaired(&mut self, command: &Command, left: Left, now: Mono) {
        let place = place(command);
        let contest = self
            .places
            .entry(place)
            .or_insert_with(|| Contest::new(command, now));
        contest.command = command.clone();
        contest.changed = now;
        contest.forget(now);
        contest.repairs.push_back(now);
        if contest.rest.is_none() && contest.repairs.len() <= REPAIRS_MAX {
            return;
        }
        contest.repairs.clear();
        let span = Rest::next_span(contest.rest, left);
        contest.rest = Some(Rest { since: now, span });
    }

    /// Until when this repair has to wait; none where it is to be made.
    pub(super) fn holds(&mut self, command: &Command, left: Left, now: Mono) -> Option<Mono> {
        let contest = self.places.get_mut(&place(command))?;
        let until = contest.rest?.until(left);
        if until <= now {
            return None;
        }
        contest.changed = now;
        contest.command = command.clone();
        Some(until)
    }

    /// The rest of every place ends at which `is_ours` is so: what we want there has changed, so
    /// that the next command is no repair.
    pub(super) fn end_rests(&mut self, now: Mono, is_ours: impl Fn(&Place) -> bool) {
        self.places.retain(|place, contest| {
            if !is_ours(place) {
                return true;
            }
            contest.repairs.clear();
            contest.is_asked_for = true;
            if let Some(rest) = &mut contest.rest {
                // If the other one goes on, it begins anew.
                *rest = Rest {
                    since: now,
                    span: Duration::ZERO,
                };
            }
            contest.rest.is_some()
        });
    }

    /// The same for what people asked for since the last time.
    pub(super) fn heed(&mut self, asked: &Asked, now: Mono) {
        if *asked == self.heeded {
            return;
        }
        let before = std::mem::replace(&mut self.heeded, asked.clone());
        let is_for_all = asked.everywhere != before.everywhere;
        self.end_rests(now, |place| {
            is_for_all || asked.places.get(place) != before.places.get(place)
        });
    }

    /// Whether a command there is asked for, so that it mends nothing that others changed.
    pub(super) fn is_asked_for(&self, place: &Place) -> bool {
        let contest = self.places.get(place);
        contest.is_some_and(|contest| contest.is_asked_for)
    }

    /// What was asked for was carried out, or there was nothing to do.
    pub(super) fn settled(&mut self) {
        for contest in self.places.values_mut() {
            contest.is_asked_for = false;
        }
    }

    /// Forgets what nobody fights for any more: a place that was fought for and then left alone
    /// for [`WINDOW`], and repairs longer ago than that.
    pub(super) fn calm(&mut self, now: Mono) {
        self.places.retain(|_, contest| {
            contest.forget(now);
            match contest.rest {
                Some(_) => now.since(contest.changed) < WINDOW,
                None => !contest.repairs.is_empty(),
            }
        });
    }

    /// The places that are fought for, in order; `rests` has until when they wait.
    pub(super) fn contested(&self, rests: &BTreeMap<Place, Mono>) -> Vec<Contested> {
        let places = self.places.iter();
        let fought_for = places.filter(|(_, contest)| contest.rest.is_some());
        let contested = fought_for.map(|(place, contest)| Contested {
            repair: contest.command.clone(),
            rests_until: rests.get(place).copied(),
        });
        contested.collect()
    }
}

impl Contest {
    fn new(command: &Command, now: Mono) -> Self {
        Self {
            command: command.clone(),
            repairs: VecDeque::new(),
            changed: now,
            rest: None,
            is_asked_for: false,
        }
    }

    fn forget(&mut self, now: Mono) {
        while let Some(&first) = self.repairs.front()
            && now.since(first) > WINDOW
        {
            self.repairs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lvs::{
        Family, Forwarding, RealServer, Scheduler, TableEntry, VirtualService, Weight,
    };

    fn second(count: u64) -> Mono {
        Mono::ZERO.after(Duration::from_secs(count))
    }

    fn service() -> VirtualServiceKey {
        "10.0.0.3:80/tcp".parse().unwrap()
    }

    fn server() -> RealServerKey {
        RealServerKey("10.1.0.1:80".parse().unwrap())
    }

    fn weighing(weight: u32) -> RealServer {
        RealServer::new(Forwarding::Dr, Weight(weight))
    }

    fn put_in() -> Command {
        Command::AddServer(service(), server(), weighing(5))
    }

    fn contested(contests: &Contests) -> Vec<Place> {
        let contested = contests.contested(&BTreeMap::new());
        contested.iter().map(|it| place(&it.repair)).collect()
    }

    /// One look at a place that is found changed; whether it is put right.
    fn look(contests: &mut Contests, command: &Command, left: Left, now: u64) -> bool {
        contests.calm(second(now));
        let is_due = contests.holds(command, left, second(now)).is_none();
        if is_due && !contests.is_asked_for(&place(command)) {
            contests.repaired(command, left, second(now));
        }
        contests.settled();
        is_due
    }

    /// Somebody changes the place every `gap` seconds until `end`; answers with the seconds at
    /// which it is put right.
    fn repairs(contests: &mut Contests, left: Left, gap: u64, end: u64) -> Vec<u64> {
        let looks = (0..end).step_by(usize::try_from(gap).unwrap());
        looks
            .filter(|&now| look(contests, &put_in(), left, now))
            .collect()
    }

    #[test]
    fn a_place_that_is_fought_for_is_put_right_more_and_more_seldom() {
        let mut contests = Contests::default();
        let found = repairs(&mut contests, Left::Something, 1, 3_000);
        let expected = [0, 1, 2, 3, 4, 5, 35, 95, 215, 455, 935, 1_535, 2_135, 2_735];
        assert_eq!(found, expected);
        assert_eq!(contested(&contests), [place(&put_in())]);
        // It ends when the other one rests for a minute, whoever put it right.
        contests.calm(second(2_999 + 59));
        assert_eq!(contested(&contests).len(), 1);
        contests.calm(second(2_999 + 60));
        assert!(contests.places.is_empty());
    }

    #[test]
    fn what_changes_now_and_then_is_drift() {
        let mut contests = Contests::default();
        let found = repairs(&mut contests, Left::Something, 13, 1_300);
        assert_eq!(found.len(), 100);
        assert_eq!(contested(&contests), []);
        let found = repairs(&mut Contests::default(), Left::Something, 12, 61);
        assert_eq!(found.len(), 6);
    }

    #[test]
    fn a_service_that_would_serve_nobody_rests_for_seconds_only() {
        let mut contests = Contests::default();
        let found = repairs(&mut contests, Left::Nothing, 1, 60);
        let expected = [0, 1, 2, 3, 4, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55];
        assert_eq!(found, expected);
        // As soon as others serve there, the place is one as all.
        assert!(look(&mut contests, &put_in(), Left::Something, 60));
        assert!(!look(&mut contests, &put_in(), Left::Something, 89));
        // And the other way round: a long rest ends when nobody is left.
        let mut contests = Contests::default();
        repairs(&mut contests, Left::Something, 1, 1_000);
        assert!(!look(&mut contests, &put_in(), Left::Something, 1_000));
        assert!(look(&mut contests, &put_in(), Left::Nothing, 1_001));
    }

    #[test]
    fn what_is_missed_without_a_command_follows_from_the_table() {
        let plain = VirtualService::plain(Family::V4, Scheduler::wlc());
        let table = |servers: &[RealServerKey]| {
            let servers = servers.iter().map(|&server| (server, weighing(1)));
            let entry = TableEntry {
                service: plain.clone(),
                servers: servers.collect(),
            };
            Table::from([(service(), entry)])
        };
        let (nowhere, empty, served) = (Table::new(), table(&[]), table(&[server()]));
        let add = Command::AddService(service(), plain.clone());
        for command in [add, put_in()] {
            assert_eq!(Left::without(&command, &nowhere), Left::Nothing);
            assert_eq!(Left::without(&command, &empty), Left::Nothing);
            assert_eq!(Left::without(&command, &served), Left::Something);
        }
        let out = Command::DeleteServer(service(), server());
        assert_eq!(Left::without(&out, &empty), Left::Something);
    }

    #[test]
    fn a_writer_that_does_now_this_and_now_that_is_not_fought_for_ever_either() {
        let mut contests = Contests::default();
        let mend = Command::EditServer(service(), server(), weighing(5));
        let mut repairs = 0;
        for now in 0..60 {
            let command = if now % 2 == 0 { put_in() } else { mend.clone() };
            repairs += u32::from(look(&mut contests, &command, Left::Something, now));
        }
        assert_eq!(repairs, 7);
        let other = Command::DeleteService(service());
        assert!(look(&mut contests, &other, Left::Something, 60));
    }

    #[test]
    fn another_wish_of_ours_is_carried_out_at_once_and_is_no_repair() {
        let mut contests = Contests::default();
        repairs(&mut contests, Left::Something, 1, 500);
        assert!(!look(&mut contests, &put_in(), Left::Something, 500));
        let ours = place(&put_in());
        contests.end_rests(second(500), |place| *place == ours);
        assert!(contests.is_asked_for(&ours));
        assert!(look(&mut contests, &put_in(), Left::Something, 500));
        // Nobody is told that the fight is over while that is not known.
        assert_eq!(contested(&contests), [ours]);
        // If the other one goes on, it is mended once, and rests for the shortest time again.
        let mended = (501..560).filter(|&now| look(&mut contests, &put_in(), Left::Something, now));
        assert_eq!(mended.collect::<Vec<u64>>(), [501, 531]);
    }

    #[test]
    fn another_wish_for_a_place_that_only_drifted_leaves_nothing_of_it() {
        let mut contests = Contests::default();
        repairs(&mut contests, Left::Something, 1, 5);
        contests.end_rests(second(5), |_| true);
        assert!(contests.places.is_empty());
    }

    #[test]
    fn who_asks_ends_the_rest_of_what_is_asked_for_once() {
        let mut contests = Contests::default();
        let (one, other) = (put_in(), Command::DeleteService(service()));
        let mut asked = Asked::default();
        let fight = |contests: &mut Contests, from: u64| {
            for now in from..from + 7 {
                for command in [&one, &other] {
                    look(contests, command, Left::Something, now);
                }
            }
        };
        let rests = |contests: &mut Contests, asked: &Asked, now: u64| {
            contests.heed(asked, second(now));
            [&one, &other].map(|it| !look(contests, it, Left::Something, now))
        };
        fight(&mut contests, 0);
        assert_eq!(rests(&mut contests, &asked, 7), [true, true]);
        asked.ask(place(&one));
        assert_eq!(rests(&mut contests, &asked, 8), [false, true]);
        fight(&mut contests, 9);
        assert_eq!(rests(&mut contests, &asked, 16), [true, true]);
        asked.ask_everywhere();
        assert_eq!(rests(&mut contests, &asked, 17), [false, false]);
        fight(&mut contests, 18);
        assert_eq!(rests(&mut contests, &asked, 25), [true, true]);
        // Many times at once are seen as one.
        asked.ask(place(&one));
        asked.ask_everywhere();
        asked.ask(place(&one));
        assert_eq!(rests(&mut contests, &asked, 26), [false, false]);
    }
}
