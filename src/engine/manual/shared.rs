//! What of a wish do both directors of a pair know (D26)?
//!
//! What the person said, when, and when it ends: nothing that goes on, so that the same wish is
//! the same text on both. How far a drain has come each finds in its own kernel.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::effort::visit;
use crate::engine::event::{Action, Caution, ManualWish, NoWish};
use crate::engine::manual::in_force::{Begun, Drain, WishInForce, due};
use crate::engine::manual::reach::Reach;
use crate::engine::manual::{
    BY_MAX, DRAIN_MIN, Drained, Effect, EntryKey, Manual, REASON_MAX, SPAN_MAX, forget, key, line,
    note,
};
use crate::engine::state::Moment;
use crate::lvs::{RealServerKey, VirtualServiceKey, Weight};
use crate::time::{Now, Wall};

/// When it was said and when it ends, by the clock of the director that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Term {
    pub(super) since: Wall,
    pub(super) until: Option<Wall>,
}

/// A wish as the directors tell it to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedOrder {
    virtual_service: VirtualServiceKey,
    server: RealServerKey,
    #[serde(flatten)]
    wish: ManualWish,
    by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    since: Wall,
    /// Where a tombstone looks for it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Wall>,
    /// Where else it holds: each director's file may name the server elsewhere first.
    #[serde(default, skip_serializing_if = "Reach::is_one")]
    reach: Reach,
    /// Whether it gives way to `min_live`.
    #[serde(default, skip_serializing_if = "Caution::is_refuse")]
    caution: Caution,
}

impl Term {
    /// As [`Wall::by_our_clock`] has it.
    fn by_our_clock(self, ahead_micros: i64) -> Self {
        Self {
            since: self.since.by_our_clock(ahead_micros),
            until: self.until.map(|until| until.by_our_clock(ahead_micros)),
        }
    }
}

impl SharedOrder {
    /// Reads what the other director says of an entry.
    pub(crate) fn of(entry: EntryKey, value: &Value) -> Result<Self, NoWish> {
        let order = Self::deserialize(value).map_err(|_| NoWish::Value)?;
        match order.entry() == entry {
            true if order.is_bounded() => Ok(order),
            true => Err(NoWish::Bounds),
            false => Err(NoWish::Value),
        }
    }

    /// As it is told.
    pub(crate) fn value(&self) -> Value {
        // A struct of texts and numbers has no way to fail here.
        serde_json::to_value(self).unwrap_or_default()
    }

    const fn term(&self) -> Term {
        Term {
            since: self.since,
            until: self.until,
        }
    }

    /// Which entry it is about.
    pub(crate) const fn entry(&self) -> EntryKey {
        (self.virtual_service, self.server)
    }

    /// Whether a person could have said it.
    fn is_bounded(&self) -> bool {
        match self.wish {
            ManualWish::Drain { limit_s } => Duration::from_secs(limit_s) <= SPAN_MAX,
            ManualWish::Weight { weight } => weight <= Weight::MAX,
            ManualWish::Quiesce | ManualWish::Disable => true,
        }
    }

    /// Whether its time is over. Its times are by a clock that is ahead of ours by so much.
    pub(crate) fn is_over(&self, now: Now, ahead_micros: i64) -> bool {
        let until = self.until.map(|until| until.by_our_clock(ahead_micros));
        until.is_some_and(|until| until <= now.wall)
    }
}

impl Manual {
    /// Every wish in force.
    pub(crate) fn shared(&self) -> impl Iterator<Item = SharedOrder> + '_ {
        self.wishes.iter().map(|(&entry, standing)| SharedOrder {
            virtual_service: entry.0,
            server: entry.1,
            wish: standing.wish,
            by: standing.by.clone(),
            reason: standing.reason.clone(),
            since: standing.said.since,
            until: standing.said.until,
            reach: standing.reach,
            caution: standing.caution,
        })
    }

    /// The peer's operator wishes this, in the place of what was wished before. Its times are by a
    /// clock that is ahead of ours by so much.
    pub(crate) fn share(
        &mut self,
        now: Now,
        shared: &SharedOrder,
        ahead_micros: i64,
    ) -> Vec<Action> {
        let entry = shared.entry();
        let Term { since, until } = shared.term().by_our_clock(ahead_micros);
        let drain = match shared.wish {
            ManualWish::Drain { .. } if self.effect(entry) == Some(Effect::Out) => {
                Drain::Done(Drained::Empty)
            }
            ManualWish::Drain { limit_s } => Drain::Going {
                earliest: Some(now.mono.after(DRAIN_MIN)),
                deadline: due(now, since, since.after(Duration::from_secs(limit_s))),
                active: 0,
            },
            ManualWish::Quiesce | ManualWish::Disable | ManualWish::Weight { .. } => Drain::No,
        };
        let standing = WishInForce {
            wish: shared.wish,
            effective: self.effective(entry, drain.effect(&shared.wish), Begun::at(since, now)),
            drain,
            by: line(&shared.by, BY_MAX),
            reason: line(&shared.reason, REASON_MAX),
            since: Moment::restored(since, now),
            reported: since,
            until: until.map(|until| due(now, since, until)),
            said: shared.term(),
            lost: None,
            reach: shared.reach,
            caution: shared.caution,
        };
        let text = format!("{} holds, said on the other director", standing.called());
        let actions = vec![standing.record(entry, now), note(entry, text)];
        self.gives_way.remove(&entry);
        self.wishes.insert(entry, standing);
        self.is_stirred = true;
        actions
    }

    /// The peer's operator ended what was wished, or it came to its end there.
    pub(crate) fn share_end(&mut self, entry: EntryKey) -> Vec<Action> {
        visit();
        let Some(standing) = self.wishes.remove(&entry) else {
            return Vec::new();
        };
        self.gives_way.remove(&entry);
        self.is_stirred = true;
        let text = format!("{} is ended on the other director", standing.called());
        vec![forget(key(entry)), note(entry, text)]
    }
}
