//! One director: an engine, its end of the talk, its outbox, its kernel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::desired::RealServerView;
use lvsmon::engine::desk::{DeskAction, DeskNote, Errand, WishDesk};
use lvsmon::engine::event::{Action, Event, PeerTold, TableLook, TableOutcome};
use lvsmon::engine::saved::{Record, Saved};
use lvsmon::lvs::{RealServerKey, ServerWish, Table, VirtualServiceKey};
use lvsmon::model::{HostName, Model};
use lvsmon::pair::talk::{EventId, Heard, Own, StampedWish, Talk, Word};
use lvsmon::pair::{Answers, Beat, Contact, Hearing, Lease, Pulse, SaidRole, Speak, Speaking};
use lvsmon::time::{Mono, Now, Wall};

use super::super::live;
use super::About;
use super::post::Outbox;

/// Wed 2024-03-13 08:00:00 UTC.
const START: i64 = 1_710_316_800_000_000;

/// Of a director that has heard nothing of its role yet.
const NONE: Lease = Lease {
    speaking: Speaking::Silent,
    until: Some(Mono::ZERO),
};

/// Who stamps: another number in each life.
const fn writer(seed: u64, life: u64) -> u64 {
    seed.wrapping_mul(1_000).wrapping_add(life)
}

/// A call on its way to the outbox.
struct Call {
    came: Mono,
    event: String,
    about: About,
}

pub(crate) struct Director {
    pub(crate) engine: Engine,
    talk: Talk,
    pub(crate) outbox: Outbox,
    /// Which director of the pair tells people.
    pub(crate) speak: Speak,
    /// Calls that wait until the other one has heard of their numbers.
    calls: VecDeque<Call>,
    answers: Answers,
    pub(crate) is_active: bool,
    pub(crate) is_alive: bool,
    pulse: Pulse,
    /// Whether messages may leave.
    lease: Lease,
    /// The link is to be given up for a new one.
    pub(crate) wants_link: bool,
    /// When its role was said last, and when all of the other one was heard on the link.
    role_heard: Contact,
    peer_heard: Contact,
    /// Counts restarts: what comes back from an earlier life is nobody's.
    pub(crate) life: u64,
    /// When this life began.
    pub(crate) began: Mono,
    /// By how much its clock goes wrong, in microseconds.
    ahead: i64,
    told: PeerTold,
    journal: Saved,
    /// What operators said on both.
    desk: WishDesk,
    pub(crate) kernel: Table,
    /// The kernel refused something when it was asked last.
    pub(crate) is_refused: bool,
    /// What the engine saw of it last, and when first with this file.
    looked: Option<Arc<Table>>,
    pub(crate) first_look: Option<Mono>,
    /// What stands in its file: the engine may have read an earlier one.
    pub(crate) file: Arc<Model>,
    seed: u64,
}

impl Director {
    pub(crate) fn new(model: &Arc<Model>, seed: u64, ahead: i64) -> Self {
        let now = Now {
            mono: Mono::ZERO,
            wall: Wall::from_micros(START + ahead),
        };
        let journal = Saved::default();
        let engine = Engine::new(Arc::clone(model), &journal, seed, TimeZone::UTC, now);
        Self {
            desk: WishDesk::restore(&journal, &engine, writer(seed, 0)),
            engine,
            talk: Talk::new("director"),
            outbox: Outbox::new(now),
            speak: Speak::Active,
            calls: VecDeque::new(),
            answers: Answers::Unneeded,
            is_active: false,
            is_alive: true,
            pulse: Pulse::started(Mono::ZERO, Contact::Waits),
            lease: NONE,
            wants_link: false,
            role_heard: Contact::Waits,
            peer_heard: Contact::Waits,
            life: 0,
            began: Mono::ZERO,
            ahead,
            told: PeerTold::default(),
            journal,
            kernel: Table::new(),
            is_refused: false,
            looked: None,
            first_look: None,
            file: Arc::clone(model),
            seed,
        }
    }

    /// Its disk is gone.
    pub(crate) fn loses_its_journal(&mut self) {
        self.journal = Saved::default();
    }

    /// Back from the journal.
    pub(crate) fn restart(&mut self, time: Mono) {
        // The engine would say them once more: the journal has nothing of what follows them.
        self.answers = Answers::Unneeded;
        self.let_go(time);
        let model = Arc::clone(&self.file);
        (self.looked, self.first_look) = (None, None);
        (self.is_alive, self.is_active) = (true, false);
        self.life += 1;
        self.began = time;
        let now = self.now(time);
        let zone = TimeZone::UTC;
        self.engine = Engine::new(model, &self.journal, self.seed + self.life, zone, now);
        let writer = writer(self.seed, self.life);
        self.desk = WishDesk::restore(&self.journal, &self.engine, writer);
        self.pulse = Pulse::started(Mono::ZERO, Contact::Waits);
        self.lease = Lease {
            speaking: self.speaking(),
            ..NONE
        };
        (self.role_heard, self.peer_heard) = (Contact::Waits, Contact::Waits);
        self.talk = Talk::new("director");
        self.told = PeerTold::default();
        let outbox = std::mem::replace(&mut self.outbox, Outbox::new(now));
        self.outbox = outbox.restarted(now);
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
        let all = [
            self.engine.next_deadline(),
            self.talk.next(),
            self.pulse.next(),
            self.answered_at(),
        ];
        let first = all.into_iter().flatten().min().filter(|_| self.is_alive)?;
        Some(self.began.after(first.since(Mono::ZERO)))
    }

    /// Whether messages may leave, by a lease that ends by itself.
    pub(crate) fn may_send(&mut self, time: Mono) -> bool {
        let now = self.now(time);
        let speaking = self.lease.speaking(now.mono);
        self.outbox.speak(now, speaking);
        speaking == Speaking::Speaks
    }

    fn beat(&mut self, time: Mono) {
        let now = self.now(time);
        if self.pulse.next().is_none_or(|at| at > now.mono) {
            return;
        }
        let beat = self
            .pulse
            .beat(now.mono, now.mono, self.role_heard, self.peer_heard);
        self.lease.until = beat.lease().or(self.lease.until);
        self.wants_link |= matches!(beat, Beat::Stood(_));
    }

    /// Whether it tells people, for all that its role says.
    pub(crate) fn speaks(&self) -> bool {
        match self.speak {
            Speak::Active => self.is_active,
            Speak::Standby => !self.is_active,
            Speak::Both => true,
        }
    }

    fn speaking(&self) -> Speaking {
        Speaking::of(self.speaks())
    }

    /// The engine calls for an alert.
    pub(crate) fn call(&mut self, time: Mono, event: &str, about: About) {
        let (came, event) = (self.now(time).mono, event.to_owned());
        self.calls.push_back(Call { came, event, about });
        self.let_go(time);
    }

    /// When a call waits no longer for an answer.
    fn answered_at(&self) -> Option<Mono> {
        let calls = self.calls.iter();
        let waiting = calls.filter_map(|it| self.answers.awaited(&it.event, it.came));
        waiting.min()
    }

    /// How many calls wait.
    pub(crate) fn waiting_calls(&self) -> usize {
        self.calls.len()
    }

    /// Gives the outbox what need not wait, in order for each service.
    fn let_go(&mut self, time: Mono) {
        let now = self.now(time);
        let mut waiting: VecDeque<Call> = VecDeque::new();
        for call in std::mem::take(&mut self.calls) {
            let place = |it: &Call| {
                EventId::of(&it.event)
                    .and_then(EventId::place)
                    .map(|(place, _)| place.to_owned())
            };
            let awaited = self.answers.awaited(&call.event, call.came);
            let is_behind = waiting.iter().any(|it| place(it) == place(&call));
            if is_behind || awaited.is_some_and(|until| until > now.mono) {
                waiting.push_back(call);
            } else {
                self.outbox.take(now, &call.event, call.about);
            }
        }
        self.calls = waiting;
    }

    pub(crate) fn tell(&mut self, time: Mono, event: Event) -> Vec<Action> {
        let (is_start, is_reload) = (
            matches!(event, Event::Start),
            matches!(event, Event::Reload { .. }),
        );
        let mut actions = Vec::new();
        if is_start {
            // As the daemon does: what both know of holds before all else.
            let errand = self.desk.errand(self.now(time));
            actions = self.run(time, errand);
        }
        if is_reload {
            let records = self.desk.settle(self.now(time), &self.engine);
            self.write_all(records);
        }
        actions.extend(self.handle(time, event));
        if is_reload {
            let (records, errand) = self.desk.reloaded(self.now(time), &self.engine);
            self.write_all(records);
            actions.extend(self.run(time, errand));
        }
        actions
    }

    fn handle(&mut self, time: Mono, event: Event) -> Vec<Action> {
        self.beat(time);
        self.may_send(time);
        self.let_go(time);
        let is_said = matches!(event, Event::Operator(_));
        if let Event::Table(TableOutcome {
            table: TableLook::Read(actual),
            ..
        }) = &event
        {
            self.looked = Some(Arc::clone(actual));
            self.first_look.get_or_insert(time);
        }
        let actions = self.engine.handle(self.now(time), event);
        if is_said {
            let records = self.desk.said(self.now(time), &self.engine);
            self.write_all(records);
        }
        self.servers_stand_as_they_should(time);
        for action in &actions {
            if let Action::Record(record) = action {
                self.write(record.as_ref().clone());
            }
            if let Action::Renumber(renumbering) = action {
                self.outbox.renumber(renumbering);
            }
        }
        self.outbox.tidy(self.now(time));
        self.pass_tidings(time);
        actions
    }

    /// The rules of one director hold on each of two.
    fn servers_stand_as_they_should(&self, time: Mono) {
        const GRACE: Duration = Duration::from_secs(2);
        let views = self.engine.real_servers();
        live::nobody_is_out_without_a_reason(&self.engine, &views);
        let is_waiting = self.first_look.is_none_or(|at| time <= at.after(GRACE));
        live::sections_are_served(&self.engine, &views, self.looked.as_deref(), is_waiting);
    }

    /// A kernel that refuses nothing has only the real servers of the file, as nobody else writes
    /// it. Those that leave may be all that serves where the kernel was not seen yet, or not all
    /// are checked: they stay as found until then, or as an operator wishes, and are not forgotten.
    pub(super) fn nobody_is_left_behind(&self) {
        let desired = self.engine.desired();
        let model = self.engine.model();
        for (key, entry) in &self.kernel {
            let mut sections = model.virtual_services.iter();
            let section = sections.find(|it| it.key == *key).unwrap();
            let named = section.servers.iter().map(|it| (&it.host, it.port));
            let fallback = section.fallback.iter().map(|it| (&it.host, it.port));
            let named: Vec<_> = named.chain(fallback).collect();
            for server in entry.servers.keys() {
                let host = HostName::new(&server.0.ip().to_string());
                let is_named = named.contains(&(&host, server.0.port()));
                let wish = desired.get(key).and_then(|it| it.servers.get(server));
                let stays = wish == Some(&ServerWish::AsFound);
                let may_stay = is_named || stays || self.is_wished(*key, *server);
                assert!(may_stay, "{server} of {key} is left behind: {wish:?}");
            }
        }
    }

    fn is_wished(&self, key: VirtualServiceKey, server: RealServerKey) -> bool {
        let mut views = self.engine.real_servers().into_iter();
        let is_it = |it: &RealServerView| (it.virtual_service, it.server) == (key, Some(server));
        views.any(|it| is_it(&it) && it.manual.is_some())
    }

    /// Somebody sets the wall clock.
    pub(crate) const fn set_clock(&mut self, millis: i64) {
        self.ahead += millis * 1_000;
    }

    fn write(&mut self, Record { key, value }: Record) {
        match value.is_null() {
            true => drop(self.journal.records.remove(&key)),
            false => drop(self.journal.records.insert(key, value)),
        }
    }

    fn write_all(&mut self, records: Vec<Record>) {
        for record in records {
            self.write(record);
        }
    }

    /// What the other one's operators said.
    fn hears_wishes(&mut self, time: Mono, heard: Vec<StampedWish>) -> Vec<Action> {
        let now = self.now(time);
        let (actions, errand) = self.desk.hear(now, &self.engine, heard);
        self.perform_wishes(actions);
        self.run(time, errand)
    }

    fn run(&mut self, time: Mono, errand: Option<Errand>) -> Vec<Action> {
        let Some(errand) = errand else {
            return Vec::new();
        };
        let actions = self.handle(time, errand.event());
        let done = self.desk.ran(errand, self.now(time), &self.engine);
        self.perform_wishes(done);
        actions
    }

    fn perform_wishes(&mut self, actions: Vec<DeskAction>) {
        for action in actions {
            match action {
                DeskAction::Record(record) => self.write(record),
                DeskAction::Note(DeskNote::LeftOut { count, why }) => {
                    panic!("{count} wishes are left out: {why}")
                }
                DeskAction::Note(_) | DeskAction::CarriedOut => {}
            }
        }
    }

    /// From the outbox to the link.
    fn pass_tidings(&mut self, time: Mono) {
        self.outbox.keep(self.now(time));
        let now = self.now(time).mono;
        while let Some(tidings) = self.outbox.next_tidings() {
            self.talk.pass_on(now, tidings);
        }
    }

    pub(crate) fn linked(&mut self) {
        self.talk.linked();
    }

    /// The first time that the whole state was heard on a link.
    fn hears_whole(&mut self, time: Mono, was_heard: bool) {
        if self.talk.is_heard() && !was_heard {
            self.peer_heard = Contact::Heard(self.now(time).mono);
        }
    }

    /// The link is gone.
    pub(crate) fn unlinked(&mut self, time: Mono) -> Vec<Action> {
        self.talk.unlinked();
        self.outbox.hear(self.now(time), Hearing::Lost);
        self.look_at_peer(time)
    }

    /// All that there is to say now.
    pub(crate) fn says(&mut self, time: Mono) -> Vec<Word> {
        let (wishes, records) = self.desk.tell(self.now(time), &self.engine);
        self.write_all(records);
        let (outages, numbers) = self.engine.outages();
        self.talk.tell(Own {
            role: SaidRole::Unknown,
            speaks: self.speaks(),
            numbers,
            outages: Arc::new(outages),
            ended: Arc::new(self.engine.ended_outages()),
            withdrawn: Arc::new(self.engine.withdrawn_servers()),
            turns: self.engine.turn_clock(),
            wishes,
        });
        let now = self.now(time);
        let mut words = Vec::new();
        while let Some(word) = self.talk.say(now) {
            words.push(word);
        }
        words
    }

    pub(crate) fn hears(&mut self, time: Mono, word: &Word) -> Vec<Action> {
        self.may_send(time);
        let word = Word::of_text(word.text().as_bytes()).unwrap();
        let was_heard = self.talk.is_heard();
        let heard = self.talk.hear(self.now(time), word).unwrap();
        self.hears_whole(time, was_heard);
        match heard {
            Some(Heard::Delivered(news)) => {
                self.outbox.told_elsewhere(self.now(time), &news);
                self.outbox.keep(self.now(time));
                let events = news.iter().map(|it| Arc::clone(&it.event)).collect();
                self.tell(time, Event::PeerDelivered(events))
            }
            Some(Heard::Wishes(heard)) => self.hears_wishes(time, heard),
            Some(Heard::State) | None => {
                if self.talk.is_heard() {
                    self.outbox.hear(self.now(time), Hearing::Linked);
                }
                self.look_at_peer(time)
            }
        }
    }

    /// The relay took this.
    pub(crate) fn delivered(&mut self, time: Mono, number: u64) -> Vec<Action> {
        let events = self.outbox.delivered(number);
        self.pass_tidings(time);
        self.tell(time, Event::Delivered(events))
    }

    /// Another role.
    pub(crate) fn role(&mut self, time: Mono, is_active: bool) -> Vec<Action> {
        self.is_active = is_active;
        let now = self.now(time);
        self.role_heard = Contact::Heard(now.mono);
        self.lease.speaking = self.speaking();
        self.outbox.speak(now, self.lease.speaking(now.mono));
        self.look_at_peer(time)
    }

    pub(crate) fn is_linked(&self) -> bool {
        self.is_alive && self.talk.is_heard()
    }

    fn look_at_peer(&mut self, time: Mono) -> Vec<Action> {
        let speaking = Speaking::of(self.speaks());
        let told = PeerTold::of(self.talk.peer(), self.talk.is_heard(), speaking);
        if told == self.told {
            return Vec::new();
        }
        self.told = told.clone();
        let answers = told.answers();
        let actions = self.tell(time, Event::Peer(told));
        self.answers = answers;
        self.let_go(time);
        actions
    }
}
