//! What is said of the table: each change of it, and each trouble once.

use std::collections::BTreeSet;

use crate::daemon::chronicle::Chronicle;
use crate::engine::event::TableOutcome;
use crate::lvs::{RealServerKey, VirtualServiceKey};
use crate::time::Wall;
use crate::wire::{Source, table};

/// What was wrong with the table at the last look, so that it is said once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TableTrouble {
    unreadable: Option<String>,
    /// Thousands where a whole farm is refused: looked up, not searched.
    refused: BTreeSet<String>,
    missing: BTreeSet<VirtualServiceKey>,
    /// Real servers that nobody declared and that stay for now.
    kept: BTreeSet<(VirtualServiceKey, RealServerKey)>,
}

impl Chronicle {
    /// What came of looking at the table: changes each time, troubles when they change. The
    /// applier has logged them.
    pub(in crate::daemon) fn table(&mut self, time: Wall, source: Source, outcome: &TableOutcome) {
        for command in &outcome.applied {
            self.keep(time, "table", None, command.to_string());
        }
        let trouble = TableTrouble {
            unreadable: outcome.table.unreadable().cloned(),
            refused: outcome
                .refused
                .iter()
                .map(|(command, why)| table::undone(source, command, why))
                .collect(),
            missing: outcome.missing.iter().copied().collect(),
            kept: (outcome.kept.iter())
                .map(|it| (it.virtual_service, it.stranger))
                .collect(),
        };
        let before = std::mem::replace(&mut self.table, trouble);
        let mut said = Vec::new();
        match (&before.unreadable, &self.table.unreadable) {
            (old, Some(why)) if old.as_ref() != Some(why) => {
                said.push(("table_unreadable", why.clone()));
            }
            (Some(_), None) => {
                said.push(("table_readable", "the table can be read again".to_owned()));
            }
            (_, _) => {}
        }
        for why in self.table.refused.difference(&before.refused) {
            let kind = match source {
                Source::Observer => "table_differs",
                Source::Daemon | Source::File => "table_refused",
            };
            said.push((kind, why.clone()));
        }
        for vs in self.table.missing.difference(&before.missing) {
            said.push(("service_missing", format!("{vs} is missing")));
        }
        for (vs, rs) in self.table.kept.difference(&before.kept) {
            let text =
                format!("{rs}, not in the file, stays in {vs} until those of the file are in");
            said.push(("stranger_kept", text));
        }
        for (kind, text) in said {
            self.keep(time, kind, None, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::TableLook;
    use crate::lvs::{Command, Protocol};

    #[test]
    fn a_trouble_of_the_table_is_told_once_until_it_goes_and_comes_back() {
        let mut chronicle = Chronicle::default();
        let mut told = |refused: &[u16], missing: &[u16], unreadable: Option<&str>| {
            let key = |port: &u16| {
                VirtualServiceKey::Address(Protocol::Tcp, ([10, 0, 0, 3], *port).into())
            };
            let command = |port| (Command::DeleteService(key(port)), "no".to_owned());
            let outcome = TableOutcome {
                refused: refused.iter().map(command).collect(),
                missing: missing.iter().map(key).collect(),
                table: unreadable.map_or(TableLook::NotYet, |why| {
                    TableLook::Unreadable(why.to_owned())
                }),
                ..TableOutcome::default()
            };
            let last = chronicle.number;
            chronicle.table(Wall::from_seconds(1), Source::Daemon, &outcome);
            let events = chronicle.after(last).events;
            events.into_iter().map(|it| it.kind).collect::<Vec<_>>()
        };
        assert_eq!(told(&[80, 81], &[], None), ["table_refused"; 2]);
        assert_eq!(
            told(&[80, 81, 82], &[90], None),
            ["table_refused", "service_missing"]
        );
        assert!(told(&[82, 81, 80], &[90], None).is_empty());
        assert!(told(&[81], &[], None).is_empty());
        assert_eq!(
            told(&[80], &[90], None),
            ["table_refused", "service_missing"]
        );
        assert_eq!(told(&[80], &[90], Some("why")), ["table_unreadable"]);
        assert!(told(&[80], &[90], Some("why")).is_empty());
        assert_eq!(told(&[80], &[90], None), ["table_readable"]);
    }
}
