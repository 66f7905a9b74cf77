//! What operators wish of real servers, as an axis of its own beside their health.
//!
//! A wish is about one entry: a real server, by its address, in a virtual service. It is the
//! last step over what is wanted of the entry ([`Effect::over`]): a server that its checks
//! withdraw stays out whatever is wished, and comes back as wished. A wish lasts until it is
//! ended or its time is over, through reloads and restarts; a clock that is set moves no span.
//!
//! Where a person meant the server, and not one of its virtual services, the wish holds for the
//! entries too that the file names later: see `reach`.
//!
//! The wish for an entry that the file no longer has is kept for [`LOST_KEPT`], so that a server
//! under maintenance is not put to work when a file that lost it by mistake is mended.
//!
//! A drained server goes once the kernel shows it with weight 0 and no active connection, at
//! the latest at the deadline. What persistence does to each (docs/wishes.md): weight 0 keeps
//! clients that are tied to the server coming back to it unless `expire_quiescent_template` is
//! set, so only the deadline may end a drain; once it is out, they are sent elsewhere.
//!
//! Wishes of both directors, each allowed where it was said, may leave too few together: which of
//! them then give way is said in `merged`; such a wish has no effect until it counts again.
//!
//! Pure. Not here: who is meant ([`crate::engine::binding`]), what health says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effort::visit;
use crate::engine::event::{Action, Caution, ManualWish, Note, Order, TableLook, TableOutcome};
use crate::engine::saved::{Record, Saved};
use crate::engine::state::Moment;
use crate::lvs::{Connections, RealServerKey, ServerWish, Table, VirtualServiceKey, Weight};
use crate::text;
use crate::time::{Mono, Now, Readable, Wall};

use in_force::{Begun, Drain, SavedWish, WishInForce};
use reach::Reach;
pub use shared::SharedOrder;
use shared::Term;

mod in_force;
pub(crate) mod merged;
mod reach;
mod shared;

#[cfg(test)]
mod tests;

/// A drained server has weight 0 for at least this long: a client whose first packet came just
/// before has no connection yet that the kernel counts as active.
const DRAIN_MIN: Duration = Duration::from_secs(2);

/// How long the wish for a server that the file no longer has is kept: a week of holidays.
const LOST_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// The longest drain and the longest time after which a wish ends by itself: a year. What is to
/// last longer belongs in the file.
pub const SPAN_MAX: Duration = Duration::from_secs(366 * 86_400);

/// Bytes of a reason that are kept: one line of a listing.
pub const REASON_MAX: usize = 200;

/// Bytes of the name of who wished it.
const BY_MAX: usize = 64;

/// Prefix of the journal keys of this file.
const PREFIX: &str = "wish ";

/// A real server in a virtual service.
pub type EntryKey = (VirtualServiceKey, RealServerKey);

/// What a wish makes of what is wanted of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// In with this weight instead of its own.
    Weight(Weight),
    /// Out.
    Out,
}

impl Effect {
    /// What a wish does from its first moment on.
    pub(crate) const fn at_first(wish: &ManualWish) -> Self {
        match wish {
            ManualWish::Drain { .. } | ManualWish::Quiesce => Self::Weight(Weight(0)),
            ManualWish::Disable => Self::Out,
            ManualWish::Weight { weight } => Self::Weight(Weight(*weight)),
        }
    }

    /// The last step: what is wanted once health has spoken.
    ///
    /// What is left as found, since there is no verdict yet, gets no weight: nobody knows whether
    /// it is in the table at all.
    pub(crate) const fn over(self, wish: ServerWish) -> ServerWish {
        match (self, wish) {
            (_, ServerWish::Out) | (Self::Out, ServerWish::In(_) | ServerWish::AsFound) => {
                ServerWish::Out
            }
            (Self::Weight(weight), ServerWish::In(mut settings)) => {
                settings.weight = weight;
                ServerWish::In(settings)
            }
            (Self::Weight(_), ServerWish::AsFound) => ServerWish::AsFound,
        }
    }

    /// Whether new connections go elsewhere.
    pub(crate) const fn takes_away(self) -> bool {
        match self {
            Self::Weight(weight) => weight.0 == 0,
            Self::Out => true,
        }
    }
}

/// All wishes in force, and what was seen last of the entries they are about.
#[derive(Debug, Default)]
pub(crate) struct Manual {
    wishes: BTreeMap<EntryKey, WishInForce>,
    /// The earliest deadline of all, where `is_stirred` says nothing else.
    due: Option<Mono>,
    /// Those of them that are not obeyed, since `min_live` would not hold.
    gives_way: BTreeSet<EntryKey>,
    /// Wishes or the table are other ones since [`Manual::advance`].
    is_stirred: bool,
    table: Option<Arc<Table>>,
    connections: Arc<Connections>,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drained {
    /// No connection was active any more.
    Empty,
    /// Its time was over, with some still active.
    Deadline,
    /// It left the table before, with some still active: its checks took it out, or somebody else.
    Left,
}

/// A wish as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualView {
    /// What is wished.
    pub wish: ManualWish,
    /// How far a drain has come; none for other wishes.
    pub drain: Option<DrainView>,
    /// Who wished it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub since: Wall,
    /// Since when the entry is so: before that by an older wish of the same effect, or since a
    /// drain is done.
    pub effective: Wall,
    /// When it ends by itself.
    pub until: Option<Wall>,
    /// Whether a person insisted on it, or it was accepted although few were left.
    pub caution: Caution,
    /// Whether it has any effect.
    pub heed: Heed,
}

/// A wish for an entry that the file no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostWish {
    /// Of which.
    pub entry: EntryKey,
    /// What is wished.
    pub wish: ManualView,
    /// Until then it is kept, unless the file has the entry again.
    pub until: Wall,
}

/// Whether a wish has any effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heed {
    /// It has.
    Obeyed,
    /// It has none: with it too few would be left of `min_live`.
    GivesWay,
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainView {
    /// It waits for connections to end, until then at the latest: the deadline, or the end of the
    /// wish where that comes first.
    Going(Wall),
    /// The server is out.
    Done(Drained),
}

impl Manual {
    /// What the journal has. What cannot be read is to be forgotten.
    pub(crate) fn restore(saved: &Saved, now: Now) -> (Self, Vec<Action>) {
        let mut manual = Self {
            is_stirred: true,
            ..Self::default()
        };
        let mut actions = Vec::new();
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            match serde_json::from_value::<SavedWish>(value.clone()) {
                Ok(saved) => {
                    let entry = (saved.virtual_service, saved.server);
                    let standing = WishInForce::restored(saved, now);
                    let record = standing.record(entry, now);
                    // Where the clock was set back meanwhile, the next restart must know.
                    if !matches!(&record, Action::Record(it) if it.value == *value) {
                        actions.push(record);
                    }
                    manual.wishes.insert(entry, standing);
                }
                Err(error) => {
                    actions.push(forget(key.clone()));
                    let (key, reason) = (key.clone(), error.to_string());
                    actions.push(Action::Note(Note::NotRestored { key, reason }));
                }
            }
        }
        (manual, actions)
    }

    /// All that is to survive a restart.
    pub(crate) fn record_all(&self, now: Now) -> impl Iterator<Item = Action> + '_ {
        let wishes = self.wishes.iter();
        wishes.map(move |(entry, standing)| standing.record(*entry, now))
    }

    /// What is wished of an entry.
    pub(crate) fn effect(&self, entry: EntryKey) -> Option<Effect> {
        let standing = self.wishes.get(&entry);
        let standing = standing.filter(|_| !self.gives_way.contains(&entry));
        standing.map(WishInForce::effect)
    }

    /// The last step over what is wanted of an entry.
    pub(crate) fn over(&self, entry: EntryKey, wish: ServerWish) -> ServerWish {
        self.effect(entry).map_or(wish, |it| it.over(wish))
    }

    /// Since when an entry is so that a new wish has this effect on from then on: it may be so by
    /// the wish before.
    fn effective(&self, entry: EntryKey, effect: Effect, then: Begun) -> Begun {
        let is_so = self.effect(entry) == Some(effect);
        let before = self.wishes.get(&entry).filter(|_| is_so);
        before.map_or(then, |before| before.effective)
    }

    /// The wish that has this effect on an entry, in words.
    pub(crate) fn reason_for(&self, entry: EntryKey, effect: Effect) -> Option<String> {
        let has_it = self.effect(entry) == Some(effect);
        let standing = self.wishes.get(&entry).filter(|_| has_it);
        standing.map(WishInForce::called)
    }

    /// A person wishes something of an entry, in the place of what was wished before. One that
    /// was out by a wish is not put in again to be drained once more.
    pub(crate) fn wish(&mut self, now: Now, entry: EntryKey, order: &Order) -> Action {
        let before = self.effect(entry);
        let drain = match order.wish {
            ManualWish::Drain { .. } if before == Some(Effect::Out) => Drain::Done(Drained::Empty),
            ManualWish::Drain { limit_s } => Drain::going(now, limit_s),
            ManualWish::Quiesce | ManualWish::Disable | ManualWish::Weight { .. } => Drain::No,
        };
        let standing = WishInForce {
            wish: order.wish,
            effective: self.effective(entry, drain.effect(&order.wish), Begun::now(now)),
            drain,
            by: line(&order.by, BY_MAX),
            reason: line(&order.reason, REASON_MAX),
            since: Moment::of(now),
            reported: now.wall,
            until: order.span.map(|span| now.mono.after(span)),
            said: Term {
                since: now.wall,
                until: order.span.map(|span| now.wall.after(span)),
            },
            lost: None,
            reach: Reach::of(&order.aim, entry.1),
            caution: order.caution,
        };
        let record = standing.record(entry, now);
        self.gives_way.remove(&entry);
        self.wishes.insert(entry, standing);
        self.is_stirred = true;
        record
    }

    /// A person ends what was wished of an entry: what it was, with the record that forgets it.
    pub(crate) fn end(&mut self, now: Now, entry: EntryKey) -> Option<(ManualView, Action)> {
        let standing = self.wishes.remove(&entry)?;
        self.gives_way.remove(&entry);
        self.is_stirred = true;
        Some((standing.view(now), forget(key(entry))))
    }

    /// Which entries the file has now: wishes for others are forgotten some day.
    pub(crate) fn known(&mut self, now: Now, known: impl Fn(EntryKey) -> bool) -> Vec<Action> {
        let mut actions = Vec::new();
        for (&entry, standing) in &mut self.wishes {
            if known(entry) == standing.lost.is_none() {
                continue;
            }
            self.is_stirred = true;
            let lost = standing.lost.is_none();
            standing.lost = lost.then(|| now.mono.after(LOST_KEPT));
            actions.push(standing.record(entry, now));
            if lost {
                let text = format!(
                    "nothing in the file is known to lead to it there now; {} is kept for {} in case something does again",
                    standing.called(),
                    Readable(LOST_KEPT)
                );
                actions.push(note(entry, text));
            } else {
                let text = format!(
                    "the file leads to it there again; {} holds",
                    standing.called()
                );
                actions.push(note(entry, text));
            }
        }
        actions
    }

    /// The kernel's table was looked at.
    pub(crate) fn seen(&mut self, outcome: &TableOutcome) {
        match &outcome.table {
            TableLook::Read(table) => {
                self.is_stirred = true;
                self.table = Some(Arc::clone(table));
                self.connections = Arc::clone(&outcome.connections);
            }
            // What it was is no word on what it is: no drain is done by it.
            TableLook::Unreadable(_) => self.table = None,
            TableLook::NotYet => {}
        }
    }

    /// The real servers that the kernel had at the newest look, in the virtual services of the
    /// file.
    pub(crate) fn in_kernel(&self) -> impl Iterator<Item = EntryKey> + '_ {
        let table = self.table.iter().flat_map(|table| table.iter());
        table.flat_map(|(&key, entry)| entry.servers.keys().map(move |&server| (key, server)))
    }

    /// Whether the kernel had the real server at the newest look, or nobody knows.
    pub(crate) fn may_have(&self, entry: EntryKey) -> bool {
        let table = self.table.as_deref();
        table.is_none_or(|table| seen(Some(table), entry) != Seen::Absent)
    }

    /// Whether [`Manual::advance`] may find anything.
    pub(crate) fn is_due(&self, now: Now) -> bool {
        self.is_stirred || self.due.is_some_and(|due| due <= now.mono)
    }

    /// What time and connections have brought about: the virtual services to decide anew, with
    /// what there is to record and to say.
    pub(crate) fn advance(&mut self, now: Now) -> (BTreeSet<VirtualServiceKey>, Vec<Action>) {
        let mut keys = BTreeSet::new();
        let mut actions = Vec::new();
        if !self.is_due(now) {
            return (keys, actions);
        }
        let (table, connections) = (self.table.as_deref(), &self.connections);
        self.wishes.retain(|&entry, standing| {
            visit();
            if let Some(text) = standing.is_over(now) {
                actions.extend([forget(key(entry)), note(entry, text)]);
                keys.insert(entry.0);
                return false;
            }
            let counts = connections.get(&entry).copied().unwrap_or_default();
            if let Some(text) = standing.drain_on(now, entry.0, seen(table, entry), counts) {
                actions.extend([standing.record(entry, now), note(entry, text)]);
                keys.insert(entry.0);
            }
            true
        });
        self.due = self.earliest();
        self.is_stirred = false;
        (keys, actions)
    }

    /// When [`Manual::advance`] is wanted next.
    pub(crate) fn next_deadline(&self) -> Option<Mono> {
        if self.is_stirred {
            self.earliest()
        } else {
            self.due
        }
    }

    fn earliest(&self) -> Option<Mono> {
        let standings = self.wishes.values().inspect(|_| visit());
        standings.flat_map(WishInForce::deadlines).min()
    }

    /// The wishes for entries that the file no longer has.
    pub(crate) fn lost(&self, now: Now) -> impl Iterator<Item = LostWish> + '_ {
        let wishes = self.wishes.iter();
        wishes.filter_map(move |(&entry, standing)| {
            let lost = standing.lost?;
            let ends = standing.until.map_or(lost, |until| until.min(lost));
            let until = now.wall.after(ends.since(now.mono));
            let wish = standing.view(now);
            Some(LostWish { entry, wish, until })
        })
    }

    /// All of which something is wished.
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryKey> + '_ {
        self.wishes.keys().copied()
    }

    /// Whether nothing at all is wished.
    pub(crate) fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// What is wished of an entry, for readers.
    pub(crate) fn view(&self, entry: EntryKey, now: Now) -> Option<ManualView> {
        let heed = match self.gives_way.contains(&entry) {
            true => Heed::GivesWay,
            false => Heed::Obeyed,
        };
        let standing = self.wishes.get(&entry);
        standing.map(|standing| ManualView {
            heed,
            ..standing.view(now)
        })
    }
}

/// What the kernel was seen to do with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It may send it new connections, or nobody knows.
    Takes,
    /// It has weight 0.
    Quiesced,
    /// It is not in the table.
    Absent,
}

fn seen(table: Option<&Table>, (key, server): EntryKey) -> Seen {
    let Some(table) = table else {
        return Seen::Takes;
    };
    let entry = table.get(&key);
    match entry.and_then(|entry| entry.servers.get(&server)) {
        None => Seen::Absent,
        Some(found) if found.weight == Weight(0) => Seen::Quiesced,
        Some(_) => Seen::Takes,
    }
}

/// `the drain by ann (kernel update)`
fn called(wish: &ManualWish, by: &str, reason: &str) -> String {
    let what = match wish {
        ManualWish::Drain { .. } => "drain".to_owned(),
        ManualWish::Quiesce => "quiesce".to_owned(),
        ManualWish::Disable => "disable".to_owned(),
        ManualWish::Weight { weight } => format!("weight {weight}"),
    };
    match reason {
        "" => format!("the {what} by {by}"),
        reason => format!("the {what} by {by} ({reason})"),
    }
}

impl ManualView {
    /// What it makes of what is wanted; none where it has no effect.
    pub(crate) const fn effect(&self) -> Option<Effect> {
        match (self.heed, self.drain) {
            (Heed::GivesWay, _) => None,
            (Heed::Obeyed, Some(DrainView::Done(_))) => Some(Effect::Out),
            (Heed::Obeyed, Some(DrainView::Going(_)) | None) => Some(Effect::at_first(&self.wish)),
        }
    }

    /// `the drain by ann (kernel update)`
    #[must_use]
    pub fn called(&self) -> String {
        called(&self.wish, &self.by, &self.reason)
    }
}

fn line(text: &str, most: usize) -> String {
    text::cut(&text::one_line(text.trim()), most).to_owned()
}

fn note((virtual_service, server): EntryKey, text: String) -> Action {
    Action::Note(Note::Manual {
        virtual_service,
        server,
        text,
    })
}

pub(crate) fn key((virtual_service, server): EntryKey) -> String {
    format!("{PREFIX}{virtual_service} {server}")
}

/// Which entry has this key. An address can be written in several ways, and a key is written in
/// one.
pub(crate) fn entry_named(text: &str) -> Option<EntryKey> {
    let (service, server) = text.strip_prefix(PREFIX)?.rsplit_once(' ')?;
    let entry = (service.parse().ok()?, RealServerKey(server.parse().ok()?));
    (key(entry) == text).then_some(entry)
}

fn forget(key: String) -> Action {
    Action::record(Record {
        key,
        value: serde_json::Value::Null,
    })
}
