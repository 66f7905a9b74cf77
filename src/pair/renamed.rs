//! Which outages have another number by now (D26)?
//!
//! Pure. An alert call may be on its way, or a program may run, while its outage is given the
//! number that the other director has for it: what comes of it later belongs to that number.

use std::collections::{BTreeMap, VecDeque};

use crate::pair::talk::{EventId, EventKind};

/// Outages that are remembered: as many as there may be services, twice.
pub const RENAMED_MAX: usize = 40_000;

/// The outages that got another number lately.
#[derive(Debug, Default)]
pub(super) struct Renamed {
    /// What is asked for is never also a name of the present: no way leads in a circle.
    to: BTreeMap<String, Next>,
    /// The oldest first.
    order: VecDeque<String>,
}

/// How much of an outage has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it: it is one outage.
    All,
    /// All but its end, which people know: what goes on is another outage.
    AllButItsEnd,
}

impl Part {
    /// Whether calls of this kind have the other number.
    pub(super) fn has(self, kind: EventKind<'_>) -> bool {
        match self {
            Self::All => true,
            Self::AllButItsEnd => kind != EventKind::Up,
        }
    }
}

/// The number that an outage got, and of how much of it that is.
#[derive(Debug)]
struct Next {
    outage: String,
    part: Part,
}

impl Renamed {
    /// One more.
    pub(super) fn add(&mut self, from: &str, to: &str, part: Part) {
        if from == to {
            return;
        }
        self.to.remove(to);
        let outage = to.to_owned();
        self.to.insert(from.to_owned(), Next { outage, part });
        self.order.push_back(from.to_owned());
        while self.order.len() > RENAMED_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.to.remove(&oldest);
            }
        }
    }

    /// What this event is called now; none where that has not changed.
    pub(super) fn now(&self, event: &str) -> Option<String> {
        let id = EventId::of(event)?;
        let next = |outage: &str| {
            let next = self.to.get(outage).filter(|next| next.part.has(id.kind));
            next.map(|next| &next.outage)
        };
        let mut outage = next(id.outage)?;
        while let Some(next) = next(outage) {
            outage = next;
        }
        Some(id.within(outage))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(steps: &[(&str, &str)]) -> Renamed {
        let mut renamed = Renamed::default();
        for (from, to) in steps {
            renamed.add(from, to, Part::All);
        }
        renamed
    }

    #[test]
    fn an_old_id_leads_to_the_newest_and_never_in_a_circle() {
        let known = renamed(&[("g/s/1", "g/s/2"), ("g/s/2", "g/s/3")]);
        let now = |renamed: &Renamed, event: &str| renamed.now(event);
        assert_eq!(now(&known, "g/s/1/up/1").as_deref(), Some("g/s/3/up/1"));
        assert_eq!(now(&known, "g/s/3/up/1"), None);
        assert_eq!(now(&known, "g/s/11/up/1"), None);
        assert_eq!(now(&known, "g/s/1"), None, "no event id");
        let back = renamed(&[("g/s/1", "g/s/2"), ("g/s/2", "g/s/3"), ("g/s/3", "g/s/1")]);
        assert_eq!(now(&back, "g/s/1/up/1"), None);
        assert_eq!(now(&back, "g/s/2/up/1").as_deref(), Some("g/s/1/up/1"));
        assert_eq!(now(&renamed(&[("g/s/1", "g/s/1")]), "g/s/1/up/1"), None);
    }

    #[test]
    fn it_is_bounded() {
        let mut renamed = Renamed::default();
        for n in 0..RENAMED_MAX + 3 {
            renamed.add(&format!("g/s/{n}"), "g/t/0", Part::All);
        }
        assert_eq!(
            (renamed.to.len(), renamed.order.len()),
            (RENAMED_MAX, RENAMED_MAX)
        );
        assert_eq!(renamed.now("g/s/2/up/1"), None);
        assert!(renamed.now("g/s/3/up/1").is_some());
    }
}
