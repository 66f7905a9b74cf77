//! What does the log say of a look at the table, and of what came of it?
//!
//! One line for each change, for each trouble that is new, and for its end.

use tracing::{error, info, warn};

use super::contest::place;
use super::{Worker, by_place};
use crate::effort::visit;
use crate::engine::event::{Contested, TableOutcome};
use crate::ipvs::Touch;

impl Worker {
    pub(super) fn log_contests(&self, outcome: &TableOutcome) {
        let name = |it: &Contested| match place(&it.repair) {
            (key, Some(server)) => format!("{server} in {key}"),
            (key, None) => key.to_string(),
        };
        // Both in order.
        let before = &self.seen.outcome.contested;
        let is_among = |one: &Contested, all: &[Contested]| {
            let found = all.binary_search_by(|it| {
                visit();
                place(&it.repair).cmp(&place(&one.repair))
            });
            found.is_ok()
        };
        for it in outcome.contested.iter().filter(|it| !is_among(it, before)) {
            warn!(
                place = name(it),
                somebody_else = it.what(&outcome.wanted),
                "somebody else changes this again and again; put right more and more seldom \
                 from now on: find out who else writes the table, and then reload (SIGHUP) to have \
                 it put right at once",
            );
        }
        let is_over = |it: &&Contested| {
            outcome.table.unreadable().is_none() && !is_among(it, &outcome.contested)
        };
        for it in before.iter().filter(is_over) {
            info!(place = name(it), "nobody else changes this any more");
        }
    }

    /// A stranger that stays is no refusal: it may be all that serves.
    fn log_strangers(&self, outcome: &TableOutcome) {
        let before = &self.seen.outcome.kept;
        let now = self.clock.now().mono;
        for kept in outcome.kept.iter().filter(|it| !before.contains(it)) {
            warn!(
                stranger = %kept.stranger,
                virtual_service = %kept.virtual_service,
                why = outcome.why_kept(kept, now),
                "a real server that is not in the file is left in for now; declare it, or see to \
                 it that those of the file can be in",
            );
        }
    }

    /// One line for each difference that lasts, where nothing is changed because of it.
    pub(super) fn log_differences(&mut self, outcome: &TableOutcome) {
        let is_seen = outcome.table.unreadable().is_none();
        if self.backend.touch() != Touch::OnlyReads || !is_seen {
            return;
        }
        let commands = outcome.refused.iter().map(|(command, _)| command);
        let news = self.differences.look(commands);
        for command in news.lasting {
            warn!(would = %command, "observing: the table differs from what lvsmon wants");
        }
        for command in news.over {
            info!(no_longer = %command, "observing: a difference of the table is over");
        }
    }

    /// One line for each change, and for each trouble that is new.
    pub(super) fn log(&self, outcome: &TableOutcome) {
        let before = &self.seen.outcome;
        match (outcome.table.unreadable(), before.table.unreadable()) {
            (Some(why), old) if old != Some(why) => {
                error!(%why, "cannot read the virtual server table");
            }
            (None, Some(_)) => info!("the virtual server table can be read again"),
            _ => {}
        }
        for command in &outcome.applied {
            info!(%command, "table changed");
        }
        if outcome.drift > 0 {
            let changes = outcome.drift;
            warn!(changes, "the table was changed by others; put right again");
        }
        let is_observer = self.backend.touch() == Touch::OnlyReads;
        let refused = outcome.refused.iter().filter(|_| !is_observer);
        let refusals = by_place(&before.refused);
        for (command, why) in refused {
            let old = refusals.get(&place(command));
            if old.is_none_or(|(it, old)| it != command || old != why) {
                error!(%command, %why, "the kernel refused a change of the table");
            }
        }
        self.log_contests(outcome);
        self.log_strangers(outcome);
        for key in &outcome.missing {
            if before.missing.binary_search(key).is_err() {
                warn!(
                    virtual_service = %key,
                    "virtual service is not in the table; its real servers wait until whoever \
                     makes it has made it, or -B lets lvsmon make it",
                );
            }
        }
        for key in before
            .missing
            .iter()
            .filter(|_| outcome.table.unreadable().is_none())
        {
            if outcome.missing.binary_search(key).is_err() {
                info!(virtual_service = %key, "virtual service is in the table");
            }
        }
    }
}
