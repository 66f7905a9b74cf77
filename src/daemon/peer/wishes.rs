//! How do operators' wishes get over to the other director and back?
//!
//! What is done about them is decided at the desk ([`crate::engine::desk`]); here the engine, the
//! journal and the log get what it says.

use std::sync::Arc;

use crate::daemon::Daemon;
use crate::engine::desk::{DeskAction, DeskNote, Errand};
use crate::engine::saved::Record;
use crate::pair::talk::StampedWish;

impl Daemon {
    /// What is wished, for the peer.
    pub(super) fn wishes_for_peer(&mut self) -> Arc<Vec<StampedWish>> {
        let (wishes, records) = self.peer.desk.tell(self.clock.now(), &self.engine);
        self.record_wishes(records);
        wishes
    }

    /// What a person has just said gets its stamp at once.
    pub(in crate::daemon) fn stamp_wishes(&mut self) {
        let records = self.peer.desk.said(self.clock.now(), &self.engine);
        self.record_wishes(records);
    }

    /// The peer knows of these.
    pub(super) fn peer_wishes(&mut self, heard: Vec<StampedWish>) {
        let (actions, errand) = self.peer.desk.hear(self.clock.now(), &self.engine, heard);
        self.perform_wishes(actions);
        self.run(errand);
    }

    /// Carries out what counts and does not hold here yet, as far as this director has what it is
    /// about.
    pub(in crate::daemon) fn carry_out_shared(&mut self) {
        let errand = self.peer.desk.errand(self.clock.now());
        self.run(errand);
    }

    fn run(&mut self, errand: Option<Errand>) {
        let Some(errand) = errand else {
            return;
        };
        self.tell(errand.event());
        let actions = self.peer.desk.ran(errand, self.clock.now(), &self.engine);
        self.perform_wishes(actions);
    }

    /// Another file is about to take effect.
    pub(in crate::daemon) fn settle_wishes(&mut self) {
        let records = self.peer.desk.settle(self.clock.now(), &self.engine);
        self.record_wishes(records);
    }

    /// Another file took effect.
    pub(in crate::daemon) fn rebase_wishes(&mut self) {
        let (records, errand) = self.peer.desk.reloaded(self.clock.now(), &self.engine);
        self.record_wishes(records);
        self.run(errand);
    }

    /// The journal begins again: all that is to survive.
    pub(in crate::daemon) fn record_peer_wishes(&mut self) {
        self.record_wishes(self.peer.desk.record_all());
    }

    fn perform_wishes(&mut self, actions: Vec<DeskAction>) {
        for action in actions {
            match action {
                DeskAction::Record(record) => self.store.record(record),
                DeskAction::Note(note) => log(&note),
                DeskAction::CarriedOut => {
                    self.save_disabled();
                    self.peer.has_news();
                }
            }
        }
    }

    fn record_wishes(&mut self, records: Vec<Record>) {
        for record in records {
            self.store.record(record);
        }
    }
}

fn log(note: &DeskNote) {
    match note {
        DeskNote::Said(what) => tracing::info!(what, "said on the other director"),
        DeskNote::Ended(what) => tracing::info!(what, "ended on the other director"),
        DeskNote::Waits(what) => tracing::info!(
            what,
            "said on the other director, of what this one does not have or what is over: it waits \
             until a reload brings it"
        ),
        DeskNote::LeftOut { count, why } => {
            let help = "both directors want the same version of lvsmon; lvsmon enable on either \
                        ends what is no longer wished";
            tracing::warn!(
                count,
                why,
                help,
                "wishes of the other director are left out"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::log::tests::told;

    #[test]
    fn the_log_says_how_many_wishes_are_left_out_and_why() {
        let why = "its name is nobody's".to_owned();
        let said = told(|| log(&DeskNote::LeftOut { count: 1, why }));
        let [(4, line)] = said.as_slice() else {
            panic!("{said:?}")
        };
        let said = "wishes of the other director are left out";
        for word in [said, "count=1", "its name is nobody's"] {
            assert!(line.contains(word), "{word}: {line}");
        }
    }
}
