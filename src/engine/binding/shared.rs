//! Which wishes of real servers do both directors of a pair share (D26)?

use std::collections::BTreeSet;

use serde_json::Value;

use crate::engine::binding::Bindings;
use crate::engine::event::{Action, PeerWish};
use crate::engine::manual::shared::SharedWish;
use crate::time::Now;

impl Bindings {
    /// Those in force here, by names that are the same on both.
    pub(crate) fn shared_wishes(&self) -> impl Iterator<Item = (String, Value)> + '_ {
        self.manual.shared()
    }

    /// Those of the peer's operators: name and value, none where nothing is wished any more. What
    /// `min_live` says of them was asked where they were said.
    pub(crate) fn share(&mut self, now: Now, wishes: &[&PeerWish], actions: &mut Vec<Action>) {
        let mut keys = BTreeSet::new();
        for wish in wishes {
            let value = wish.value.as_ref();
            let shared = value.map(|it| serde_json::from_value::<SharedWish>(it.clone()));
            match shared {
                Some(Ok(shared)) if shared.is_sound(now, wish.ahead_micros) => {
                    actions.extend(self.manual.share(now, &shared, wish.ahead_micros));
                    keys.insert(shared.entry().0);
                }
                // Over, or no wish that this version knows.
                Some(Ok(_) | Err(_)) => {}
                None => {
                    if let Some(entry) = self.manual.entry_named(&wish.name) {
                        actions.extend(self.manual.share_end(entry));
                        keys.insert(entry.0);
                    }
                }
            }
        }
        self.decide(&keys, actions);
        self.advance_wishes(now, actions);
    }
}
