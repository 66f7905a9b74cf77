//! One wish in force: how it ends by itself, how far its drain has come, how the journal has it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::event::{Action, Caution, ManualWish};
use crate::engine::manual::reach::Reach;
use crate::engine::manual::shared::Term;
use crate::engine::manual::{
    BY_MAX, DRAIN_MIN, DrainView, Drained, Effect, EntryKey, Heed, LOST_KEPT, ManualView,
    REASON_MAX, SPAN_MAX, Seen, called, key, line,
};
use crate::engine::saved::Record;
use crate::engine::state::Moment;
use crate::lvs::{ConnectionCounts, Protocol, RealServerKey, VirtualServiceKey};
use crate::time::{Mono, Now, Readable, Wall};

/// A wish in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WishInForce {
    pub(super) wish: ManualWish,
    pub(super) drain: Drain,
    /// Since when the entry is as the wish has it: a drain that is done has another effect.
    pub(super) effective: Begun,
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) since: Moment,
    /// What the wall clock said then.
    pub(super) reported: Wall,
    pub(super) until: Option<Mono>,
    /// What both directors of a pair call these moments.
    pub(super) said: Term,
    /// When it is forgotten, the file having lost its entry.
    pub(super) lost: Option<Mono>,
    /// Where else it holds, once the file names the server there.
    pub(super) reach: Reach,
    /// Whether it gives way where wishes together leave fewer than `min_live`.
    pub(super) caution: Caution,
}

/// When something began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    moment: Moment,
    /// What the wall clock said then.
    reported: Wall,
}

impl Begun {
    pub(super) fn now(now: Now) -> Self {
        Self {
            moment: Moment::of(now),
            reported: now.wall,
        }
    }

    /// At this moment by the wall clock, as the journal or the other director has it.
    pub(super) fn at(reported: Wall, now: Now) -> Self {
        Self {
            moment: Moment::restored(reported, now),
            reported,
        }
    }

    fn told(self, now: Now) -> Wall {
        self.moment.told(self.reported, now)
    }
}

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// The wish is none.
    No,
    /// It has not begun, or begins anew: its wish gives way.
    Waits,
    /// It waits for connections to end.
    Going {
        /// Not over before; none once that is past.
        earliest: Option<Mono>,
        deadline: Mono,
        /// Connections that were active when it was seen in the table last.
        active: u32,
    },
    /// The server is out.
    Done(Drained),
}

impl Drain {
    /// One that begins now.
    pub(super) fn going(now: Now, limit_s: u64) -> Self {
        Self::Going {
            earliest: Some(now.mono.after(DRAIN_MIN)),
            deadline: now.mono.after(Duration::from_secs(limit_s)),
            active: 0,
        }
    }

    /// What a wish does whose drain has come so far.
    pub(super) const fn effect(self, wish: &ManualWish) -> Effect {
        match self {
            Self::Done(_) => Effect::Out,
            Self::Going { .. } | Self::Waits | Self::No => Effect::at_first(wish),
        }
    }
}

/// A wish in the journal. Moments by the wall clock.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SavedWish {
    pub(super) virtual_service: VirtualServiceKey,
    pub(super) server: RealServerKey,
    #[serde(flatten)]
    wish: ManualWish,
    by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    since: Wall,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Wall>,
    /// None in a journal of a daemon that knew of no pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<Term>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drained: Option<Drained>,
    /// None of a wish that had its present effect from its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effective: Option<Wall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost: Option<Wall>,
    #[serde(default, skip_serializing_if = "Reach::is_one")]
    reach: Reach,
    #[serde(default, skip_serializing_if = "Caution::is_refuse")]
    caution: Caution,
}

/// What is said at the deadline of a drain whose server a reload took out, and no drain.
fn taken_by_the_file(seen: Seen, active: u32, tied: &str) -> String {
    let has_it = match seen {
        Seen::Absent => "it is out of the table",
        Seen::Quiesced | Seen::Takes => "it is to leave the table",
    };
    let last = match seen {
        Seen::Absent if active == 0 => String::new(),
        Seen::Absent => format!("; it was last seen with {active} active connections"),
        Seen::Quiesced => format!("; it was last seen with {active} active connections{tied}"),
        Seen::Takes => "; nobody knows its connections, or new ones still reach it".to_owned(),
    };
    format!("the time of the drain is over, and the file no longer has the server: {has_it}{last}")
}

/// When `until` comes of what was said at `since`. No span is longer than it was when it was asked
/// for, nor than anybody may ask for, whatever the clock says since.
pub(super) fn due(now: Now, since: Wall, until: Wall) -> Mono {
    let asked = until.since(since).min(SPAN_MAX);
    now.mono.after(until.since(now.wall).min(asked))
}

impl WishInForce {
    /// From the journal.
    pub(super) fn restored(saved: SavedWish, now: Now) -> Self {
        let left = |until| due(now, saved.since, until);
        let drain = match (saved.wish, saved.drained, saved.deadline) {
            (ManualWish::Drain { .. }, Some(drained), _) => Drain::Done(drained),
            (ManualWish::Drain { limit_s }, None, deadline) => Drain::Going {
                earliest: Some(now.mono.after(DRAIN_MIN)),
                deadline: deadline
                    .map_or_else(|| now.mono.after(Duration::from_secs(limit_s)), left),
                active: 0,
            },
            (ManualWish::Quiesce | ManualWish::Disable | ManualWish::Weight { .. }, ..) => {
                Drain::No
            }
        };
        Self {
            wish: saved.wish,
            drain,
            effective: Begun::at(saved.effective.unwrap_or(saved.since), now),
            by: line(&saved.by, BY_MAX),
            reason: line(&saved.reason, REASON_MAX),
            since: Moment::restored(saved.since, now),
            reported: saved.since,
            until: saved.until.map(left),
            said: saved.said.unwrap_or(Term {
                since: saved.since,
                until: saved.until,
            }),
            lost: saved.lost.map(|lost| {
                let left = lost.since(now.wall).min(LOST_KEPT);
                now.mono.after(left)
            }),
            reach: saved.reach,
            caution: saved.caution,
        }
    }

    pub(super) fn record(&self, entry: EntryKey, now: Now) -> Action {
        let wall = |due: Mono| now.wall.after(due.since(now.mono));
        let (deadline, drained) = match self.drain {
            Drain::No | Drain::Waits => (None, None),
            Drain::Going { deadline, .. } => (Some(wall(deadline)), None),
            Drain::Done(drained) => (None, Some(drained)),
        };
        let since = self.since.told(self.reported, now);
        let effective = Some(self.effective.told(now)).filter(|it| *it != since);
        let saved = SavedWish {
            virtual_service: entry.0,
            server: entry.1,
            wish: self.wish,
            by: self.by.clone(),
            reason: self.reason.clone(),
            since,
            until: self.until.map(wall),
            said: Some(self.said),
            deadline,
            drained,
            effective,
            lost: self.lost.map(wall),
            reach: self.reach,
            caution: self.caution,
        };
        Action::record(Record {
            key: key(entry),
            // A struct of texts and numbers has no way to fail here.
            value: serde_json::to_value(saved).unwrap_or_default(),
        })
    }

    pub(super) fn effect(&self) -> Effect {
        self.drain.effect(&self.wish)
    }

    /// What is said where it ends by itself now.
    pub(super) fn is_over(&self, now: Now) -> Option<String> {
        if self.until.is_some_and(|until| until <= now.mono) {
            let after = Readable(self.since.ago(now));
            return Some(format!("{} is over after {after}", self.called()));
        }
        let is_forgotten = self.lost.is_some_and(|lost| lost <= now.mono);
        is_forgotten.then(|| {
            let kept = Readable(LOST_KEPT);
            format!(
                "{} is forgotten: the file has not had it for {kept}",
                self.called()
            )
        })
    }

    /// Where a drain is over now: what is said.
    pub(super) fn drain_on(
        &mut self,
        now: Now,
        key: VirtualServiceKey,
        seen: Seen,
        counts: ConnectionCounts,
    ) -> Option<String> {
        let Drain::Going {
            earliest,
            deadline,
            active,
        } = &mut self.drain
        else {
            return None;
        };
        *earliest = earliest.filter(|earliest| *earliest > now.mono);
        if seen != Seen::Absent {
            *active = counts.active;
        }
        let active = *active;
        let is_empty = match seen {
            Seen::Takes => false,
            Seen::Quiesced => counts.active == 0,
            Seen::Absent => true,
        };
        let is_empty = is_empty && earliest.is_none();
        let drained = if is_empty && self.lost.is_none() {
            match seen {
                Seen::Absent if active > 0 => Drained::Left,
                Seen::Absent | Seen::Quiesced | Seen::Takes => Drained::Empty,
            }
        } else if *deadline <= now.mono {
            Drained::Deadline
        } else {
            return None;
        };
        self.drain = Drain::Done(drained);
        self.effective = Begun::now(now);
        let tied = match counts.persistent {
            0 => String::new(),
            count => format!("; {count} persistent clients that are tied to it go elsewhere"),
        };
        let is_udp = matches!(key, VirtualServiceKey::Address(Protocol::Udp, _));
        Some(match drained {
            Drained::Empty if seen == Seen::Absent => {
                "drained: it is out of the table already".to_owned()
            }
            Drained::Empty if is_udp => format!(
                "drained, taken out: of UDP the kernel counts no connection as active{tied}"
            ),
            Drained::Empty => format!("drained: no active connections any more, taken out{tied}"),
            Drained::Left => {
                format!("not drained: it left the table with {active} active connections")
            }
            Drained::Deadline if self.lost.is_some() => taken_by_the_file(seen, active, &tied),
            // The table follows behind it, and may not be known.
            Drained::Deadline => match seen {
                Seen::Quiesced => format!(
                    "the time of the drain is over, to be taken out; it was last seen with {active} active connections{tied}"
                ),
                Seen::Takes => "the time of the drain is over, to be taken out; nobody knows its connections, or new ones still reach it".to_owned(),
                Seen::Absent => "the time of the drain is over: it is out of the table already".to_owned(),
            },
        })
    }

    /// It gives way: a drain waits.
    pub(super) fn give_way(&mut self) {
        if let Drain::Going { .. } = self.drain {
            self.drain = Drain::Waits;
        }
    }

    /// It begins to have an effect: a drain begins anew.
    pub(super) fn begin_anew(&mut self, now: Now) {
        if let (ManualWish::Drain { limit_s }, Drain::Waits) = (self.wish, self.drain) {
            self.drain = Drain::going(now, limit_s);
        }
        self.effective = Begun::now(now);
    }

    /// When something about it changes by itself.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Mono> + use<> {
        let (earliest, deadline) = match self.drain {
            Drain::Going {
                earliest, deadline, ..
            } => (earliest, Some(deadline)),
            Drain::Waits | Drain::No | Drain::Done(_) => (None, None),
        };
        let all = [self.until, self.lost, earliest, deadline];
        all.into_iter().flatten()
    }

    /// `the drain by ann (kernel update)`
    pub(super) fn called(&self) -> String {
        called(&self.wish, &self.by, &self.reason)
    }

    pub(super) fn view(&self, now: Now) -> ManualView {
        let wall = |due: Mono| now.wall.after(due.since(now.mono));
        ManualView {
            wish: self.wish,
            drain: match self.drain {
                Drain::No | Drain::Waits => None,
                // The end of the wish ends the waiting too.
                Drain::Going { deadline, .. } => {
                    let ends = self.until.map_or(deadline, |until| until.min(deadline));
                    Some(DrainView::Going(wall(ends)))
                }
                Drain::Done(drained) => Some(DrainView::Done(drained)),
            },
            by: self.by.clone(),
            reason: self.reason.clone(),
            since: self.since.told(self.reported, now),
            effective: self.effective.told(now),
            until: self.until.map(wall),
            caution: self.caution,
            heed: Heed::Obeyed,
        }
    }
}
