//! By whose wish did a drain end that was waited for?
//!
//! The daemon says what is wished now, and nothing of what was: so the last look before the end is
//! kept.

use std::collections::BTreeMap;

use crate::cli::wishes::{Name, declared};
use crate::wire::server::{DrainRow, OperatorRow, ServerAnswer};

/// The drain of a real server, as it was seen while it was waited for.
#[derive(Clone, Debug)]
pub(super) struct SeenDrain {
    /// First: the one that this command began.
    first: OperatorRow,
    /// Last: another person's may have taken its place.
    last: OperatorRow,
}

impl SeenDrain {
    /// What came of it where the server is neither out nor drained, nor anything else wished of it.
    pub(super) fn ended(&self, now: i64) -> String {
        let is_own = (self.first.since, &self.first.by) == (self.last.since, &self.last.by);
        let is_over = self.last.until.is_some_and(|until| until <= now);
        match (is_own, is_over) {
            (true, true) => "the time of its --for is over".to_owned(),
            (true, false) => "somebody ended the drain; lvsmon's log says who".to_owned(),
            (false, true) => format!(
                "the {} took its place, and the time of that one's --for is over",
                self.last.called()
            ),
            (false, false) => format!(
                "the {} took its place, and somebody ended that; lvsmon's log says who",
                self.last.called()
            ),
        }
    }
}

/// Keeps what is seen of the drains that go on.
pub(super) fn watch(drains: &mut BTreeMap<Name, SeenDrain>, answer: &ServerAnswer) {
    for server in declared(answer) {
        let Some(wish) = server.operator.as_ref() else {
            continue;
        };
        if let Some(DrainRow::Draining { .. }) = wish.drain {
            let name = (server.virtual_service.clone(), server.real_server.clone());
            let seen = drains.entry(name).or_insert_with(|| SeenDrain {
                first: wish.clone(),
                last: wish.clone(),
            });
            seen.last = wish.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::wishes::end_of;
    use crate::engine::event::ManualWish;
    use crate::wire::server::{Expiry, ServerWhy, WaitsFor, fixture};
    use crate::wire::{ServerWanted, Source};

    /// One whose drain waits for connections, wished by whom and when, and until when.
    fn draining(by: &str, since: i64, until: Option<i64>) -> ServerWhy {
        let drain = DrainRow::Draining {
            deadline: 900,
            waits_for: WaitsFor::Connections,
        };
        ServerWhy {
            hosts: vec!["web1".to_owned()],
            operator: Some(OperatorRow {
                wish: ManualWish::Drain { limit_s: 60 },
                by: by.to_owned(),
                reason: String::new(),
                since,
                until,
                drain: Some(drain),
                gives_way: false,
            }),
            ..fixture::server(ServerWanted::In, Some(0))
        }
    }

    /// What is said at `now` of one of which nothing is wished any more, and which was seen so.
    fn end(rows: &[&ServerWhy], now: i64) -> String {
        let mut drains = BTreeMap::new();
        for &row in rows {
            let answer = ServerAnswer {
                time: 0,
                source: Some(Source::Daemon),
                servers: vec![row.clone()],
                expiry: Expiry::default(),
            };
            watch(&mut drains, &answer);
        }
        let ended = fixture::server(ServerWanted::In, Some(5));
        end_of(&ended, drains.values().next(), now)
    }

    #[test]
    fn a_drain_that_ended_otherwise_says_by_whose_wish() {
        let (own, timed) = (draining("ann", 1, None), draining("ann", 1, Some(60)));
        let (bobs, bobs_timed) = (draining("bob", 2, None), draining("bob", 2, Some(60)));
        let somebody = "somebody ended the drain; lvsmon's log says who";
        let somebody_else = "the drain by bob took its place, and somebody ended that; lvsmon's \
                             log says who";
        let over = "the time of its --for is over";
        let bobs_over = "the drain by bob took its place, and the time of that one's --for is over";
        for (rows, now, expected) in [
            (vec![&own], 60, somebody),
            (vec![&timed], 60, over),
            // It was ended before its time.
            (vec![&timed], 59, somebody),
            (vec![&own, &bobs], 60, somebody_else),
            (vec![&own, &bobs_timed], 59, somebody_else),
            (vec![&own, &bobs_timed], 60, bobs_over),
        ] {
            assert_eq!(end(&rows, now), format!("not drained: {expected}"));
        }
    }
}
