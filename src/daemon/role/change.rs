//! What is done when the role changes?
//!
//! On becoming active the table is looked at before anything else, also where it is left as
//! somebody else makes it; when that is done the messages that were held go out. What was said of
//! the role is kept in the journal, because a VRRP daemon does not repeat itself.

use crate::daemon::Daemon;
use crate::daemon::role::takeover::{Step, Takeover};
use crate::daemon::role::{Heard, News};
use crate::engine::saved::{Record, Saved};
use crate::model::Globals;
use crate::pair::Speaking;
use crate::pair::role::Source;
use crate::pair::{Change, Facts, Reception, RoleKeeper};
use crate::time::{Mono, Now};

/// Words on instances that find no place are logged up to this many.
const UNKEPT_LOGGED: u64 = 20;

/// Whether people are told in that role.
pub(in crate::daemon) fn speaking(role: &RoleKeeper) -> Speaking {
    Speaking::of(role.speaks())
}

/// The role at a start, and what the journal says that was said of it.
pub(in crate::daemon) fn begin(globals: &Globals, saved: &Saved, now: Now) -> (RoleKeeper, Facts) {
    let kept = Facts::restore(&saved.records);
    let role = RoleKeeper::new(globals.pair.clone(), kept.clone(), now);
    (role, kept)
}

impl Daemon {
    /// The FIFO or the addresses say something new, or it is time to settle.
    pub(in crate::daemon) fn role_news(&mut self, news: Option<News>) {
        match news {
            Some(News::Heard(heard)) => self.role_heard(&heard),
            Some(News::Sight(sight)) => self.role.see(sight),
            None => {}
        }
        self.settle_role();
    }

    fn role_heard(&mut self, heard: &Heard) {
        let mut words: Vec<_> = heard.words.iter().collect();
        words.retain(|(_, word)| word.number >= self.heard);
        words.sort_by_key(|(_, word)| word.number);
        for (name, word) in words {
            let heard = self
                .role
                .hear(Some(name.clone()), word.state, Source::Fifo, word.at);
            if heard == Reception::NoRoom && self.role.unkept() <= UNKEPT_LOGGED {
                let (instance, limit) = (name.as_str(), Facts::INSTANCES_MAX);
                let why = "so many other instances are known, and it does not count";
                tracing::warn!(instance, limit, why, "a word of the FIFO is not kept");
            }
        }
        self.heard = heard.count;
        // Where the word is of a change, the address is on its way.
        self.role_sources.look_now();
    }

    /// Acts upon the role that follows from what is known.
    pub(in crate::daemon) fn settle_role(&mut self) {
        if let Some(change) = self.role.settle(self.clock.now()) {
            self.role_changed(&change);
        }
        self.heed_speaking();
        let is_settled = self.role.settled();
        if is_settled && !self.role.facts().says_as(&self.role_kept) {
            self.role_kept = self.role.facts().clone();
            self.record_role();
        }
        self.tell_of_silence();
    }

    /// Why nobody is told by a director whose file names no other one, and how to end that.
    pub(in crate::daemon) fn silence(&self) -> Option<String> {
        let peer = self.engine.model().globals.peer.address;
        self.role.silence().filter(|_| peer.is_none())
    }

    /// Says that once, at the start, too.
    fn tell_of_silence(&mut self) {
        let silence = self.silence();
        if let Some(why) = silence.as_ref().filter(|_| silence != self.silence_told) {
            tracing::warn!(why, "nobody is told");
        }
        self.silence_told = silence;
    }

    /// Writes down what was said of the role.
    pub(in crate::daemon) fn record_role(&mut self) {
        let (key, value) = self.role_kept.record();
        self.store.record(Record { key, value });
    }

    fn role_changed(&mut self, change: &Change) {
        if change.to.role.is_active() && !change.from.is_active() {
            // Before anything else: whoever comes now must find it right.
            self.takeover = Takeover::Began(self.clock.now().mono);
            self.applier.end_all_rests();
            self.publish();
        }
        let (role, why) = (change.to.role, &change.to.why);
        let speaks = self.role.speaks();
        let passed_over = change.passed_over;
        tracing::warn!(from = %change.from, to = %role, why, speaks, passed_over, "the role of this director changes");
        let wall = self.clock.now().wall;
        let text = format!("{} -> {role}: {why}", change.from);
        self.chronicle.keep(wall, "role", None, text);
        self.role_holds();
    }

    /// Who tells people may change while the role does not.
    pub(in crate::daemon) fn heed_speaking(&mut self) {
        if self.outbox.speaking() == self.speaking_by_now() {
            return;
        }
        if let Some(why) = self.role.speaks_because() {
            tracing::warn!(why, "this director tells people, whatever its role");
        }
        self.role_holds();
    }

    /// Whether people are told: after a takeover not before the table was looked at.
    fn speaking_by_now(&mut self) -> Speaking {
        let speaking = speaking(&self.role);
        let now = self.clock.now().mono;
        match self.takeover.step(now, self.applier.looked()) {
            Step::Nothing => speaking,
            Step::Waits => Speaking::Silent,
            Step::GivenUp => {
                let why = "the table was not looked at in time since the takeover";
                tracing::warn!(why, "messages leave all the same: people have to know");
                speaking
            }
        }
    }

    /// When the role, or what was begun with it, is to be looked at without news.
    pub(in crate::daemon) fn role_deadline(&self) -> Option<Mono> {
        let both = [self.role.next_deadline(), self.takeover.deadline()];
        both.into_iter().flatten().min()
    }

    /// Tells those who do something else in each role.
    pub(in crate::daemon) fn role_holds(&mut self) {
        // It may have become one of a pair.
        self.pulse.wake();
        let speaking = self.speaking_by_now();
        self.outbox.speak(speaking);
        let sync = self.role.settings().sync.as_ref();
        let role = self.role.standing().role;
        self.role_sources.want_sync(sync.map(|it| it.daemon(role)));
        // Of two numbers of one outage the role decides, on both directors.
        self.peer.has_news();
        self.peer_view();
        self.tell_of_silence();
    }
}
