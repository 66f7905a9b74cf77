//! One director: an engine, its end of the talk, its outbox, its kernel.

use std::sync::Arc;

use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, Event, PeerTold, Speaking};
use lvsmon::engine::saved::Saved;
use lvsmon::lvs::Table;
use lvsmon::model::Model;
use lvsmon::pair::talk::{Delivery, EventId, Heard, Own, Talk, Word};
use lvsmon::time::{Mono, Now, Wall};

use super::post::{Post, recipient};

/// Wed 2024-03-13 08:00:00 UTC.
const START: i64 = 1_710_316_800_000_000;

pub(crate) struct Director {
    pub(crate) engine: Engine,
    talk: Talk,
    pub(crate) post: Post,
    pub(crate) is_active: bool,
    pub(crate) is_alive: bool,
    /// Counts restarts: what comes back from an earlier life is nobody's.
    pub(crate) life: u64,
    /// When this life began.
    pub(crate) began: Mono,
    /// By how much its clock goes wrong, in microseconds.
    ahead: i64,
    told: PeerTold,
    journal: Saved,
    pub(crate) kernel: Table,
    seed: u64,
}

impl Director {
    pub(crate) fn new(model: &Arc<Model>, seed: u64, ahead: i64) -> Self {
        let now = Now {
            mono: Mono::ZERO,
            wall: Wall::from_micros(START + ahead),
        };
        let journal = Saved::default();
        Self {
            engine: Engine::new(Arc::clone(model), &journal, seed, TimeZone::UTC, now),
            talk: Talk::new("director"),
            post: Post::new(),
            is_active: false,
            is_alive: true,
            life: 0,
            began: Mono::ZERO,
            ahead,
            told: PeerTold::default(),
            journal,
            kernel: Table::new(),
            seed,
        }
    }

    /// Back from the journal.
    pub(crate) fn restart(&mut self, time: Mono) {
        let model = Arc::clone(self.engine.model());
        (self.is_alive, self.is_active) = (true, false);
        self.life += 1;
        self.began = time;
        let now = self.now(time);
        let zone = TimeZone::UTC;
        self.engine = Engine::new(model, &self.journal, self.seed + self.life, zone, now);
        self.talk = Talk::new("director");
        self.told = PeerTold::default();
        self.post.restarted(time);
    }

    pub(crate) fn now(&self, time: Mono) -> Now {
        let passed = i64::try_from(time.as_micros()).unwrap();
        Now {
            mono: Mono::ZERO.after(time.since(self.began)),
            wall: Wall::from_micros(START + self.ahead + passed),
        }
    }

    /// When something is due, in the time of the world.
    pub(crate) fn due(&self) -> Option<Mono> {
        let both = [self.engine.next_deadline(), self.talk.next()];
        let first = both.into_iter().flatten().min().filter(|_| self.is_alive)?;
        Some(self.began.after(first.since(Mono::ZERO)))
    }

    pub(crate) fn tell(&mut self, time: Mono, event: Event) -> Vec<Action> {
        let actions = self.engine.handle(self.now(time), event);
        for action in &actions {
            if let Action::Record(record) = action {
                match record.value.is_null() {
                    true => drop(self.journal.records.remove(&record.key)),
                    false => {
                        let (key, value) = (record.key.clone(), record.value.clone());
                        self.journal.records.insert(key, value);
                    }
                }
            }
            if let Action::Renumber(renumbering) = action {
                let now = self.now(time).mono;
                self.talk.renumber(now, &renumbering.from, &renumbering.to);
                self.post.renumber(time, renumbering);
            }
        }
        actions
    }

    pub(crate) fn linked(&mut self) {
        self.talk.linked();
    }

    /// The link is gone.
    pub(crate) fn unlinked(&mut self, time: Mono) -> Vec<Action> {
        self.talk.unlinked();
        self.post.lost.get_or_insert(time);
        self.look_at_peer(time)
    }

    /// All that there is to say now.
    pub(crate) fn says(&mut self, time: Mono) -> Vec<Word> {
        let (outages, numbers) = self.engine.outages();
        self.talk.tell(Own {
            role: String::new(),
            speaks: self.is_active,
            numbers,
            outages: Arc::new(outages),
            wishes: Arc::default(),
        });
        let now = self.now(time);
        let mut words = Vec::new();
        while let Some(word) = self.talk.say(now) {
            words.push(word);
        }
        words
    }

    pub(crate) fn hears(&mut self, time: Mono, word: &Word) -> Vec<Action> {
        let word = Word::of_text(word.text().as_bytes()).unwrap();
        match self.talk.hear(self.now(time), word).unwrap() {
            Some(Heard::Delivered(mut news)) => {
                news.retain(|it| EventId::of(&it.event).is_some_and(EventId::is_shared));
                self.post.told_elsewhere(time, &news);
                Vec::new()
            }
            Some(Heard::State | Heard::Wishes(_)) | None => {
                if self.talk.is_heard() {
                    self.post.lost = None;
                }
                self.look_at_peer(time)
            }
        }
    }

    /// The relay took this.
    pub(crate) fn delivered(&mut self, time: Mono, event: &str) {
        let delivery = Delivery {
            event: event.into(),
            to: recipient(),
        };
        self.talk.deliver(self.now(time).mono, delivery);
    }

    /// Another role.
    pub(crate) fn role(&mut self, time: Mono, is_active: bool) -> Vec<Action> {
        self.is_active = is_active;
        self.post.speak(time, !is_active);
        self.look_at_peer(time)
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.is_alive && self.talk.is_heard()
    }

    fn look_at_peer(&mut self, time: Mono) -> Vec<Action> {
        let says = |speaks| match speaks {
            true => Speaking::Speaks,
            false => Speaking::Silent,
        };
        let peer = self.talk.peer();
        let told = PeerTold {
            is_linked: self.talk.is_heard(),
            outages: Arc::clone(&peer.outages),
            numbers: peer.here.as_ref().map_or(0, |here| here.numbers),
            speaking: says(self.is_active),
            peer: says(peer.here.as_ref().is_none_or(|here| here.speaks)),
        };
        if told == self.told {
            return Vec::new();
        }
        self.told = told.clone();
        self.tell(time, Event::Peer(told))
    }
}
