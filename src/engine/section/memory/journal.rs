//! What of a section's real servers is in the journal, and what does a start make of it?

use serde::{Deserialize, Serialize};

use super::{Drained, Memory, Out, Sections, Word};
use crate::engine::binding::{self, Part};
use crate::engine::event::Action;
use crate::engine::saved::Saved;
use crate::engine::section::turn::Given;
use crate::engine::state::{Dated, Moment};
use crate::lvs::{Family, VirtualServiceKey};
use crate::model::{HostName, Model, ServiceId, ServiceNames};
use crate::pair::turn::Turn;
use crate::time::{Now, Wall};

/// Prefix of the journal keys of this file.
const PREFIX: &str = "out ";

/// What is remembered of a real server, in the journal.
#[derive(Debug, Serialize, Deserialize)]
struct SavedOut {
    virtual_service: VirtualServiceKey,
    host: String,
    port: u16,
    /// When it came back. Earlier versions wrote the turn of one that is withdrawn here.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Wall>,
    /// Its turn, where it is withdrawn.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    turn: Option<Turn>,
    /// Whether that was given before the clock was compared with the other director's.
    #[serde(default)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
    /// When it began to wait for its connections to end.
    #[serde(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    draining: Option<Wall>,
    /// None where it is not withdrawn, but starts slowly.
    drained: Option<Drained>,
}

impl Sections {
    /// The withdrawals of the journal, as far as the file still has their real servers; the
    /// records of all others are to be forgotten. `is_known` and `is_void` are as for
    /// [`Tally::restore`](crate::engine::section::count::Tally::restore). After
    /// [`Sections::declare`].
    pub(crate) fn restore(
        &mut self,
        (model, names): (&Model, &ServiceNames<'_>),
        saved: &Saved,
        is_known: impl Fn(VirtualServiceKey) -> bool,
        is_void: impl Fn(ServiceId, &Part, Family) -> bool,
        now: Now,
    ) -> Vec<Action> {
        let tally = &mut self.tally;
        let mut actions = tally.restore((model, names), saved, is_known, is_void);
        let records = saved.records.iter();
        for (key, value) in records.filter(|(key, _)| key.starts_with(PREFIX)) {
            let known = serde_json::from_value::<SavedOut>(value.clone()).ok();
            let place = known.as_ref().and_then(|it| {
                let state = self.states.get_mut(&it.virtual_service)?;
                let section = model.virtual_services.get(state.index)?;
                let word = (HostName::new(&it.host), it.port);
                let mut servers = section.servers.iter();
                let is_there = servers.any(|it| it.host == word.0 && it.port == word.1);
                is_there.then(|| state.memories.entry(word).or_default())
            });
            match (place, known) {
                (Some(memory), Some(it)) => {
                    let dated = |wall| Dated {
                        moment: Moment::restored(wall, now),
                        wall,
                    };
                    let turn = it.turn.or(it.since.map(|it| Turn(it.as_micros())));
                    let out = it.drained.zip(turn).map(|(drained, turn)| Out {
                        given: Given {
                            turn,
                            is_alone: it.alone,
                        },
                        draining: it.draining.map(dated),
                        drained,
                    });
                    memory.back = match it.drained {
                        Some(_) => None,
                        None => it.since.map(|since| dated(since).moment),
                    };
                    memory.out = out;
                    if let Some(turn) = memory.turn() {
                        self.turns.restored(turn, now);
                    }
                    if memory.out.is_some() && it.turn.is_none() {
                        let word = (HostName::new(&it.host), it.port);
                        actions.push(record(it.virtual_service, &word, *memory, now));
                    }
                }
                (None, _) | (_, None) => actions.push(binding::record(key.clone(), None::<&()>)),
            }
        }
        actions
    }
}

/// The record of what is remembered of a real server; without anything it is to be forgotten.
pub(crate) fn record(
    key: VirtualServiceKey,
    (host, port): &Word,
    memory: Memory,
    now: Now,
) -> Action {
    let out = memory.out;
    let back = memory.back.filter(|_| out.is_none());
    let saved = memory.is_known().then(|| SavedOut {
        virtual_service: key,
        host: host.to_string(),
        port: *port,
        since: back.map(|back| back.wall(now)),
        turn: out.map(|out| out.given.turn),
        alone: out.is_some_and(|out| out.given.is_alone),
        draining: out.and_then(|out| out.draining).map(|it| it.told(now)),
        drained: out.map(|out| out.drained),
    });
    binding::record(format!("{PREFIX}{key} {host} {port}"), saved.as_ref())
}
