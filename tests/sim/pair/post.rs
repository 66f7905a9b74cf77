//! The outbox of one director, for one recipient of mail: a spool and a queue around the daemon's
//! own rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use lvsmon::engine::event::Renumbering;
use lvsmon::pair::ledger::{Line, Page};
use lvsmon::pair::post::{Admission, Forgotten, Origin, Stage, Terms, Tidings, Why};
use lvsmon::pair::talk::Delivery;
use lvsmon::pair::{Hearing, Letter, Post, Speaking};
use lvsmon::time::Now;

use super::About;

/// An event that a director was to tell, and why it does not.
#[derive(Debug)]
pub(crate) struct Dropped {
    pub(crate) event: Arc<str>,
    pub(crate) why: Why,
}

/// All of one director.
#[derive(Debug)]
pub(crate) struct Outbox {
    post: Post,
    /// The event of each letter as it was called, and which outage of which host it is about.
    letters: BTreeMap<u64, (Arc<str>, About)>,
    last: u64,
    /// The file beside the spool.
    ledger: String,
    /// What was not told here and is not held any more.
    dropped: Vec<Dropped>,
}

impl Outbox {
    /// Of a director that speaks not and hears nothing yet.
    pub(crate) fn new(now: Now) -> Self {
        let mut post = Post::new(now.mono, Terms::default());
        post.speak(now, Speaking::Silent);
        post.hear(now.mono, Hearing::Lost);
        Self {
            post,
            letters: BTreeMap::new(),
            last: 0,
            ledger: String::new(),
            dropped: Vec::new(),
        }
    }

    /// After a restart: the spool is there with its ledger, nothing else.
    pub(crate) fn restarted(self, now: Now) -> Self {
        let mut new = Self::new(now);
        for &number in self.letters.keys() {
            let Some(letter) = self.post.letter(number) else {
                continue;
            };
            let stage = match letter.stage {
                Stage::Held => Stage::Held,
                Stage::Own | Stage::UnderWay => Stage::Own,
            };
            let letter = Letter {
                since: now.mono,
                origin: Origin::Spool,
                stage,
                ..letter.clone()
            };
            new.post.put(number, letter);
        }
        let page = Page::of(self.ledger.as_bytes(), now.wall);
        let entries = page.lines.into_iter().map(|line| line.entry).collect();
        let renumbered = new.post.recall(now.mono, entries);
        let mut new = Self {
            letters: self.letters,
            last: self.last,
            ledger: self.ledger,
            dropped: self.dropped,
            ..new
        };
        new.forget(&renumbered.forgotten);
        new
    }

    /// Writes down what was told, as the daemon does before it deletes a message's file.
    pub(crate) fn keep(&mut self, now: Now) {
        for entry in self.post.unkept() {
            let line = Line {
                at: now.wall,
                entry,
            };
            self.ledger.push_str(&line.text());
        }
    }

    pub(crate) fn take(&mut self, now: Now, event: &str, about: About) {
        let renamed = self.post.now_called(event);
        let event = renamed.as_deref().unwrap_or(event);
        let letter = Letter {
            events: vec![event.into()],
            to: recipient(),
            accepted: now.wall,
            since: now.mono,
            origin: Origin::Call,
            stage: Stage::of(self.post.speaking()),
        };
        self.last += 1;
        let event: Arc<str> = event.into();
        match self.post.admit(self.last, letter, |_| true) {
            Admission::Taken => drop(self.letters.insert(self.last, (event, about))),
            Admission::Needless => self.dropped.push(Dropped {
                event,
                why: Why::ToldElsewhere,
            }),
            Admission::Known(_) => {}
        }
    }

    pub(crate) fn speak(&mut self, now: Now, speaking: Speaking) {
        let forgotten = self.post.speak(now, speaking);
        self.forget(&forgotten);
    }

    pub(crate) fn hear(&mut self, now: Now, hearing: Hearing) {
        self.post.hear(now.mono, hearing);
    }

    /// Whether something waits to leave.
    pub(crate) fn has_work(&self) -> bool {
        self.post.speaking() == Speaking::Speaks && !self.letters.is_empty()
    }

    /// The events that are still to be told, or held.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = Arc<str>> + '_ {
        let letters = self.letters.keys().filter_map(|it| self.post.letter(*it));
        letters.flat_map(|it| it.events.iter().cloned())
    }

    /// What was dropped since this was asked last.
    pub(crate) fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped)
    }

    /// The next one leaves: its number, its event, and what it is about.
    pub(crate) fn next(&mut self) -> Option<(u64, Arc<str>, About)> {
        let stage = |number| Some(self.post.letter(number)?.stage);
        let mut letters = self.letters.iter().filter(|_| self.has_work());
        // Of one that is on its way this director is still to hear.
        let (&number, (_, about)) = letters.find(|(it, _)| stage(**it) != Some(Stage::UnderWay))?;
        let about = about.clone();
        self.post.leaves(number);
        let event = self.post.letter(number)?.events.first()?;
        Some((number, Arc::clone(event), about))
    }

    /// The relay has taken it: these events, by their names of now.
    pub(crate) fn delivered(&mut self, number: u64) -> Vec<Arc<str>> {
        let events = self.post.delivered(number);
        self.letters.remove(&number);
        events
    }

    /// The other director told these.
    pub(crate) fn told_elsewhere(&mut self, now: Now, news: &[Delivery]) {
        let forgotten = self.post.told(now.mono, news);
        self.forget(&forgotten);
    }

    pub(crate) fn renumber(&mut self, renumbering: &Renumbering) {
        let Renumbering { from, to } = renumbering;
        let renumbered = self.post.renumber([(from.as_str(), to.as_str())]);
        self.forget(&renumbered.forgotten);
    }

    /// What is to be looked at now and then.
    pub(crate) fn tidy(&mut self, now: Now) {
        let forgotten = self.post.tidy(now);
        self.forget(&forgotten);
    }

    pub(crate) fn next_tidings(&mut self) -> Option<Tidings> {
        self.post.next_tidings()
    }

    fn forget(&mut self, forgotten: &[Forgotten]) {
        for &Forgotten { number, why } in forgotten {
            let letter = self.letters.remove(&number);
            let dropped = letter.map(|(event, _)| Dropped { event, why });
            self.dropped.extend(dropped);
        }
    }
}

/// Who is told.
pub(crate) fn recipient() -> Arc<str> {
    "ops@example.org".into()
}
