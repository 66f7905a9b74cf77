//! Which events become one mail, and which mails one transaction (D25).
//!
//! Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::alert::message::message_id;
use crate::daemon::outbox::spool::{Destination, Item, Seal};
use crate::time::Mono;

/// Most events in one mail; the others follow in the next.
pub(super) const EVENTS_MAX: usize = 200;
/// Most bytes of spool files in one mail.
pub(super) const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Over this time mails are counted.
const RATE_SPAN: Duration = Duration::from_secs(3_600);

/// Mails to one recipient during the last hour.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate(VecDeque<Mono>);

impl Rate {
    /// One more left at `now`; at most `keep` are remembered.
    pub(super) fn count(&mut self, now: Mono, keep: usize) {
        self.0.push_back(now);
        while self.0.len() > keep {
            self.0.pop_front();
        }
    }

    /// Until when `most` or more have left during the hour before; none where fewer are known.
    pub(super) fn reached_until(&self, most: usize) -> Option<Mono> {
        let last = self.0.len().checked_sub(most.max(1))?;
        Some(self.0.get(last)?.after(RATE_SPAN))
    }

    /// Whether nothing of it matters any more.
    pub(super) fn is_over(&self, now: Mono) -> bool {
        self.recent(now) == 0
    }

    fn recent(&self, now: Mono) -> usize {
        let is_recent = |&&at: &&Mono| now.since(at) < RATE_SPAN;
        self.0.iter().filter(is_recent).count()
    }
}

/// How many of these messages, given by size and oldest first, fit into one mail: at least one.
pub(super) fn fitting(sizes: impl Iterator<Item = u64>) -> usize {
    let mut total = 0_u64;
    let fits = sizes.take(EVENTS_MAX).take_while(|size| {
        total = total.saturating_add(*size);
        total <= BYTES_MAX
    });
    fits.count().max(1)
}

/// One settled mail made of messages to one recipient, the oldest first; `left_out` were
/// dropped before them. None where there is no message.
///
/// An event that is there twice (two periods, one recipient) is told once. A mail about one
/// event keeps all recipients of its line in the header, so that it is one mail for all.
pub(super) fn seal(items: Vec<(u64, Item)>, left_out: u32, domain: &str) -> Option<Item> {
    let numbers: Vec<u64> = items.iter().map(|(number, _)| *number).collect();
    let mut items = items.into_iter().map(|(_, item)| item);
    let mut first = items.next()?;
    for item in items {
        for notice in item.notices {
            match first.notices.iter_mut().find(|n| n.event == notice.event) {
                Some(known) => known.left_out = known.left_out.saturating_add(notice.left_out),
                None => first.notices.push(notice),
            }
        }
    }
    if let Some(notice) = first.notices.first_mut() {
        notice.left_out = notice.left_out.saturating_add(left_out);
    }
    let is_single = first.notices.len() == 1;
    if let Destination::Mail { to, header_to, .. } = &mut first.destination
        && !is_single
    {
        *header_to = vec![to.clone()];
    }
    first.held = false;
    let id = message_id(identity(&first), domain);
    first.seal = Some(Seal {
        message_id: id,
        replaces: numbers.into_iter().skip(1).collect(),
    });
    Some(first)
}

/// All that makes two mails the same mail.
fn identity(item: &Item) -> impl Iterator<Item = &str> {
    let (from, header_to) = match &item.destination {
        Destination::Mail {
            from, header_to, ..
        } => (from.as_str(), header_to.as_slice()),
        Destination::Webhook(_) | Destination::Program(_) => ("", [].as_slice()),
    };
    let events = item.notices.iter().map(|notice| notice.event.as_str());
    let summary = item.notices.first().map(|notice| notice.summary.as_str());
    events
        .chain(summary)
        .chain([from])
        .chain(header_to.iter().map(String::as_str))
}

/// Puts mails that are the same but for the recipient together, in the order of the first of
/// each; at most `most` transactions. Given are number and Message-ID.
pub(super) fn transactions(mails: &[(u64, &str)], most: usize) -> Vec<Vec<u64>> {
    let mut places = BTreeMap::new();
    let mut transactions: Vec<Vec<u64>> = Vec::new();
    for &(number, id) in mails {
        let place = *places.entry(id).or_insert(transactions.len());
        if let Some(same) = transactions.get_mut(place) {
            same.push(number);
        } else if place < most {
            transactions.push(vec![number]);
        }
    }
    transactions
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::daemon::outbox::spool::tests::item;

    fn event(to: &str, event: &str) -> Item {
        let mut item = item(to);
        item.notices[0].event = event.to_owned();
        item
    }

    fn id(item: &Item) -> String {
        item.seal.as_ref().unwrap().message_id.clone()
    }

    #[test]
    fn one_event_keeps_its_recipients_and_has_one_id_for_all() {
        let mut one = event("a@b", "e1");
        let mut two = event("c@d", "e1");
        for item in [&mut one, &mut two] {
            if let Destination::Mail { header_to, .. } = &mut item.destination {
                *header_to = vec!["a@b".to_owned(), "c@d".to_owned()];
            }
        }
        let one = seal(vec![(1, one)], 0, "h").unwrap();
        let two = seal(vec![(2, two)], 0, "h").unwrap();
        assert_eq!(id(&one), id(&two));
        assert!(one.seal.unwrap().replaces.is_empty());
    }

    #[test]
    fn mails_that_differ_have_different_ids() {
        let plain = seal(vec![(1, event("a@b", "e1"))], 0, "h").unwrap();
        let other_event = seal(vec![(1, event("a@b", "e2"))], 0, "h").unwrap();
        let other_to = seal(vec![(1, event("x@b", "e1"))], 0, "h").unwrap();
        let mut item = event("a@b", "e1");
        item.notices[0].summary = "another -S".to_owned();
        let other_subject = seal(vec![(1, item)], 0, "h").unwrap();
        let ids: BTreeSet<String> = [&plain, &other_event, &other_to, &other_subject]
            .into_iter()
            .map(id)
            .collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn a_group_tells_each_event_once_in_order() {
        let items = vec![
            (4, event("a@b", "e1")),
            (5, event("a@b", "e2")),
            (7, event("a@b", "e1")),
        ];
        let sealed = seal(items, 2, "h").unwrap();
        let events: Vec<&str> = sealed.notices.iter().map(|n| n.event.as_str()).collect();
        assert_eq!(events, ["e1", "e2"]);
        assert_eq!(sealed.notices[0].left_out, 2);
        assert_eq!(sealed.seal.unwrap().replaces, [5, 7]);
        assert!(seal(Vec::new(), 0, "h").is_none());
    }

    #[test]
    fn groups_are_bounded_and_never_empty() {
        assert_eq!(fitting(std::iter::repeat_n(1, 1_000)), EVENTS_MAX);
        assert_eq!(fitting([BYTES_MAX - 1, 1, 1].into_iter()), 2);
        assert_eq!(fitting([BYTES_MAX * 2, 1].into_iter()), 1);
    }

    #[test]
    fn the_same_mail_to_several_is_one_transaction() {
        let mails = [(1, "x"), (2, "y"), (3, "x"), (4, "z")];
        assert_eq!(transactions(&mails, 9), [vec![1, 3], vec![2], vec![4]]);
        assert_eq!(transactions(&mails, 2), [vec![1, 3], vec![2]]);
    }

    #[test]
    fn the_rate_looks_back_one_hour() {
        let at = |seconds: u64| Mono::from_micros(seconds * 1_000_000);
        let mut rate = Rate::default();
        for second in 0..5 {
            rate.count(at(second), 3);
        }
        assert_eq!(rate.reached_until(3), Some(at(3_602)));
        assert_eq!(rate.reached_until(2), Some(at(3_603)));
        assert_eq!(rate.reached_until(4), None, "only three are remembered");
        assert!(!rate.is_over(at(3_603)));
        assert!(rate.is_over(at(3_604)));
    }
}
