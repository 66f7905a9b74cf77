//! A small outbox of one director, for one recipient of mail: what is held, what is dropped
//! since the other director told it, what gets another number. The rules are those of
//! `daemon/outbox/courier`; what was delivered is remembered by the real [`Delivered`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lvsmon::engine::event::Renumbering;
use lvsmon::pair::talk::{Delivered, Delivery, EventId};
use lvsmon::time::Mono;

/// Where nothing is heard of what the peer told, it told all that is older.
const HELD_MOST: Duration = Duration::from_secs(120);

/// One message that waits.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) event: String,
    /// Which outage of which host it is about.
    pub(crate) about: (usize, usize),
    accepted: Mono,
    is_held: bool,
}

/// All of one director. Moments are those of the world.
#[derive(Debug, Default)]
pub(crate) struct Post {
    letters: Vec<Letter>,
    pub(crate) is_silent: bool,
    /// Since when that holds.
    turned: Mono,
    elsewhere: Delivered,
    renamed: BTreeMap<String, String>,
    /// When the link was lost; none while there is one.
    pub(crate) lost: Option<Mono>,
}

impl Post {
    /// Of a director that speaks not and hears nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            is_silent: true,
            lost: Some(Mono::ZERO),
            ..Self::default()
        }
    }

    /// After a restart: the spool is there, nothing else.
    pub(crate) fn restarted(&mut self, now: Mono) {
        *self = Self {
            letters: std::mem::take(&mut self.letters),
            is_silent: true,
            turned: now,
            lost: Some(now),
            ..Self::default()
        };
    }

    pub(crate) fn take(&mut self, now: Mono, event: &str, about: (usize, usize)) {
        let event = self.now_called(event);
        let is_known = self.letters.iter().any(|it| it.event == event);
        if !is_known && !self.is_told_elsewhere(&event) {
            self.letters.push(Letter {
                event,
                about,
                accepted: now,
                is_held: self.is_silent,
            });
        }
    }

    pub(crate) fn speak(&mut self, now: Mono, is_silent: bool) {
        if self.is_silent == is_silent {
            return;
        }
        if !is_silent {
            self.forget_held(now);
        } else if now.since(self.turned) > HELD_MOST {
            for letter in &mut self.letters {
                letter.is_held = false;
            }
        }
        (self.is_silent, self.turned) = (is_silent, now);
    }

    /// The next one to leave.
    pub(crate) fn next(&mut self) -> Option<Letter> {
        let may_leave = !self.is_silent && !self.letters.is_empty();
        may_leave.then(|| self.letters.remove(0))
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.is_silent && !self.letters.is_empty()
    }

    /// The other director told these.
    pub(crate) fn told_elsewhere(&mut self, now: Mono, news: &[Delivery]) {
        for delivery in news {
            let event = self.now_called(&delivery.event);
            let delivery = Delivery {
                event: event.into(),
                to: Arc::clone(&delivery.to),
            };
            self.elsewhere.add(now, delivery);
        }
        self.drop_told();
    }

    pub(crate) fn renumber(&mut self, now: Mono, renumbering: &Renumbering) {
        let Renumbering { from, to } = renumbering;
        self.renamed.remove(to);
        self.renamed.insert(from.clone(), to.clone());
        self.elsewhere.also(now, from, to);
        for letter in &mut self.letters {
            if let Some(id) = EventId::of(&letter.event).filter(|id| id.outage == from) {
                letter.event = id.within(to);
            }
        }
        self.drop_told();
    }

    /// What was held for long, and is taken to be told.
    pub(crate) fn forget_held(&mut self, now: Mono) {
        let lost = self.lost;
        self.letters.retain(|letter| {
            let is_old = now.since(letter.accepted) > HELD_MOST;
            let is_heard = lost.is_none_or(|at| letter.accepted <= at);
            !letter.is_held || is_heard || !is_old
        });
    }

    fn drop_told(&mut self) {
        let letters = std::mem::take(&mut self.letters);
        let told = |it: &Letter| self.is_told_elsewhere(&it.event);
        self.letters = letters.iter().filter(|it| !told(it)).cloned().collect();
    }

    fn is_told_elsewhere(&self, event: &str) -> bool {
        let to = recipient();
        match self.is_silent {
            true => self.elsewhere.covers(event, &to),
            false => self.elsewhere.has(event, &to),
        }
    }

    fn now_called(&self, event: &str) -> String {
        let mut event = event.to_owned();
        while let Some(id) = EventId::of(&event)
            && let Some(to) = self.renamed.get(id.outage)
        {
            event = id.within(to);
        }
        event
    }
}

/// Who is told.
pub(crate) fn recipient() -> Arc<str> {
    "ops@example.org".into()
}
