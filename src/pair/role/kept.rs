//! How is on the disk what was said of the role?
//!
//! Under one key of the journal, since a VRRP daemon does not repeat itself. What was seen is not
//! kept: the next look tells it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Facts, Said};
use crate::pair::fifo::{InstanceName, State};

/// The journal's key.
const KEY: &str = "role";

impl Facts {
    /// What a journal says that was said. Of one that makes no sense nothing is believed.
    #[must_use]
    pub fn restore(records: &BTreeMap<String, Value>) -> Self {
        let mut facts = Self::default();
        let value = records.get(KEY).cloned().unwrap_or_default();
        let said: Vec<(Option<InstanceName>, Said)> =
            serde_json::from_value(value).unwrap_or_default();
        for (name, said) in said.into_iter().take(Self::INSTANCES_MAX + 1) {
            match name {
                None => facts.said_of_all = Some(said),
                Some(name) => {
                    facts.said.insert(name, said);
                }
            }
        }
        facts
    }

    /// What was said, as the journal has it: key and value.
    #[must_use]
    pub fn record(&self) -> (String, Value) {
        let named = self.said.iter().map(|(name, said)| (Some(name), said));
        let all = self.said_of_all.iter().map(|said| (None, said));
        let said: Vec<(Option<&InstanceName>, &Said)> = named.chain(all).collect();
        let value = if said.is_empty() {
            Value::Null
        } else {
            // Names, words and numbers: nothing of it has a way to fail.
            serde_json::to_value(said).unwrap_or_default()
        };
        (KEY.to_owned(), value)
    }

    /// Whether the same was said, as far as it matters: a word that was merely said again is not
    /// written again.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        self.states().eq(other.states())
    }

    fn states(&self) -> impl Iterator<Item = (Option<&InstanceName>, State)> {
        let named = self
            .said
            .iter()
            .map(|(name, said)| (Some(name), said.state));
        named.chain(self.said_of_all.iter().map(|said| (None, said.state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::role::Source;
    use crate::time::Wall;

    #[test]
    fn what_was_said_survives_in_the_journal() {
        let said = |state, number| Said {
            state,
            at: Wall::from_seconds(7),
            source: Source::Fifo,
            number,
        };
        let facts = Facts {
            said: [
                ("VI_1".parse().unwrap(), said(State::Master, 3)),
                ("VI 2".parse().unwrap(), said(State::Backup, 4)),
            ]
            .into(),
            said_of_all: Some(said(State::Fault, 5)),
            ..Facts::default()
        };
        let kept = |value| Facts::restore(&[(KEY.to_owned(), value)].into());
        assert_eq!(kept(facts.record().1), facts);
        assert_eq!(Facts::default().record().1, Value::Null);
        for nonsense in [
            serde_json::json!(7),
            serde_json::json!([["", 1]]),
            Value::Null,
        ] {
            assert_eq!(kept(nonsense), Facts::default());
        }
    }
}
