//! No outage is told as another one.

use std::collections::{BTreeMap, BTreeSet};

use lvsmon::pair::talk::{EventId, EventKind};
use lvsmon::time::Mono;

use super::{Mail, World};

/// What people were told of and not of its end.
#[derive(Debug)]
struct Open<'a> {
    /// One outage may have several, if the directors could not agree.
    numbers: BTreeSet<&'a str>,
    /// That by which it was told last, and when.
    last: i64,
    at: Mono,
}

impl World {
    /// Who was told of one outage is told of its end before the next, unless the directors could
    /// not agree between those two words, or the one not know of the other: then both numbers have
    /// an end some time. Of one outage with several numbers the first end ends it. Who could not
    /// hear of an end may go on under that number, and no end follows on that. Who could not hear
    /// of the later one tells the earlier one behind it, which only it has seen. Who told of one
    /// and stood still with that may go on with it behind a later one of the other director, which
    /// did not know that anybody was told. What ended on the director that does not speak, and
    /// fails again on the one that speaks before that has found it good, is told the end of later.
    /// So is what the other director told of one that takes over and loses its way before a check.
    /// So is who was told of one under a number that the other director, which had a greater one
    /// that was over by then, cannot take.
    /// So is one that was one outage for the director that told of it, and two for the other one.
    /// Of a number that only a director told which died with that, nobody knows that it was told.
    pub(super) fn nothing_is_told_as_another(&self) {
        let mut open: BTreeMap<&str, Open<'_>> = BTreeMap::new();
        let (mut over, mut late) = (BTreeMap::new(), BTreeSet::new());
        let mut over_at: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
        let awaits =
            |it: &str, mail: &Mail| self.one_way.awaits_a_good_check(mail.side, it, mail.at);
        let others = |mail: &&Mail| self.one_outage(&mail.about).is_none();
        for mail in self.mails.iter().filter(others) {
            let id = EventId::of(&mail.event).unwrap();
            let (place, number) = id.place().unwrap();
            let known = open.remove(place);
            let is_same = known
                .as_ref()
                .is_some_and(|it| it.numbers.contains(id.outage));
            let is_end = id.kind == EventKind::Up;
            if is_end {
                over.insert(id.outage, mail.at);
                over_at.entry(place).or_default().insert(number);
            }
            let is_late = match over.get(id.outage) {
                Some(end) => self.was_unheard(*end, mail.at),
                None => late.contains(id.outage),
            };
            let left = match known {
                Some(Open { numbers, .. }) if is_end && is_same => {
                    late.extend(numbers);
                    None
                }
                known if is_end || is_late => known,
                Some(known) => {
                    let mut numbers = known.numbers.clone();
                    let are_two = self.could_not_agree(known.at, mail.at, mail.at);
                    if !is_same && !are_two {
                        let is_behind = known.last > number;
                        let above =
                            |it: &BTreeSet<i64>| it.range(known.last + 1..number).next().is_some();
                        let cannot_take = !is_behind && over_at.get(place).is_some_and(above);
                        let mut before = numbers.iter();
                        let is_excused = self.could_not_know(known.at, mail.at)
                            || before.all(|it| self.stood_still_behind(it, mail.at))
                            || numbers.iter().all(|it| awaits(it, mail))
                            || numbers
                                .iter()
                                .all(|it| self.took_over_between_checks(it, known.at, mail))
                            || numbers.iter().all(|it| self.saw_two(it, known.at, mail))
                            || cannot_take
                            || (is_behind && self.was_unheard(known.at, mail.at));
                        assert!(is_excused, "{known:?} has no end before {mail:?}");
                        late.append(&mut numbers);
                    }
                    numbers.insert(id.outage);
                    Some(Open {
                        numbers,
                        last: number,
                        at: mail.at,
                    })
                }
                None => Some(Open {
                    numbers: BTreeSet::from([id.outage]),
                    last: number,
                    at: mail.at,
                }),
            };
            open.extend(left.map(|it| (place, it)));
        }
        let is_known = |outage: &str| {
            let mut known = self.mails.iter().filter(|it| !it.is_unknown);
            known.any(|it| EventId::of(&it.event).unwrap().outage == outage)
        };
        late.retain(|it| is_known(it) && !over.contains_key(it));
        assert_eq!(late, BTreeSet::new(), "nobody hears of the end");
    }
}
