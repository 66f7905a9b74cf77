//! What does a monitoring system read in numbers?
//!
//! The loop gathers what it and the workers know already; whoever asked makes the text
//! ([`crate::wire::metrics`]). Counted here is only what would be gone otherwise.

use tokio::sync::mpsc;

use crate::daemon::Daemon;
use crate::daemon::control::Ask;
use crate::daemon::scrape::Scrape;
use crate::engine::event::{DeliveryOutcome, TableOutcome};
use crate::model::Globals;
use crate::pair::Role;
use crate::wire::metrics::{
    ApplierMetrics, DeliveryMetrics, EngineMetrics, JournalMetrics, MetricsAnswer, PairMetrics,
    millis,
};

/// What is counted, and the port on which it is read.
#[derive(Debug)]
pub(super) struct Metrics {
    tally: Tally,
    port: Scrape,
}

impl Metrics {
    /// Begins to count, and listens where the file says so.
    pub(super) fn start(globals: &Globals, asks: mpsc::Sender<Ask>) -> Self {
        Self {
            tally: Tally::default(),
            port: Scrape::start(globals.metrics.listener(), asks),
        }
    }

    /// Another file holds.
    pub(super) fn reload(&self, globals: &Globals) {
        self.port.reload(globals.metrics.listener());
    }

    /// Counts what a look at the table came to.
    pub(super) const fn looked(&mut self, outcome: &TableOutcome) {
        self.tally.looked(outcome);
    }

    /// Counts what became of an alert.
    pub(super) const fn delivered(&mut self, delivery: &DeliveryOutcome) {
        self.tally.delivered(delivery);
    }
}

/// What happened since the start, in numbers that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    applied: u64,
    drift: u64,
    sent: u64,
    elsewhere: u64,
    given_up: u64,
}

impl Tally {
    /// Each change of the table is told.
    const fn looked(&mut self, outcome: &TableOutcome) {
        self.applied += outcome.applied.len() as u64;
        self.drift += outcome.drift as u64;
    }

    const fn delivered(&mut self, delivery: &DeliveryOutcome) {
        match delivery {
            DeliveryOutcome::Done => self.sent += 1,
            DeliveryOutcome::Elsewhere | DeliveryOutcome::Left => self.elsewhere += 1,
            DeliveryOutcome::GivenUp(_) => self.given_up += 1,
            DeliveryOutcome::Observed | DeliveryOutcome::Overtaken => {}
        }
    }
}

impl Daemon {
    /// The answer to "everything in numbers".
    pub(super) fn metrics(&self) -> MetricsAnswer {
        let now = self.clock.now();
        let (seen, tally) = (self.seen(), self.metrics.tally);
        let looked = self.applier.looked();
        let stock = self.outbox.stock();
        MetricsAnswer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            source: self.source(),
            health: self.health(),
            pair: self.pair_metrics(),
            is_reload_refused: self.refused_reload.is_some(),
            engine: EngineMetrics::of(&self.engine, &seen, now),
            applier: ApplierMetrics {
                look_age_ms: looked.map(|at| millis(now.mono.since(at))),
                is_readable: looked.is_some() && seen.table.unreadable().is_none(),
                applied: tally.applied,
                drift: tally.drift,
                refusals: self.applier.refusals(),
            },
            deliveries: DeliveryMetrics {
                waiting: stock.waiting,
                held: stock.held,
                sent: tally.sent,
                elsewhere: tally.elsewhere,
                given_up: tally.given_up,
                is_spool_good: stock.spool.is_good(),
            },
            journal: JournalMetrics {
                is_good: self.store.is_good(),
                losses: self.store.losses(),
            },
        }
    }

    fn pair_metrics(&self) -> PairMetrics {
        let role: Role = self.role.standing().role;
        PairMetrics {
            role,
            speaks: self.role.speaks(),
            is_linked: self.peer_row().map(|peer| peer.linked),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_alerts_and_of_the_table_is_counted() {
        let mut tally = Tally::default();
        for delivery in [
            DeliveryOutcome::Done,
            DeliveryOutcome::Done,
            DeliveryOutcome::Elsewhere,
            DeliveryOutcome::Observed,
            DeliveryOutcome::GivenUp("too old".to_owned()),
        ] {
            tally.delivered(&delivery);
        }
        for drift in [2, 0] {
            tally.looked(&TableOutcome {
                drift,
                ..TableOutcome::default()
            });
        }
        let expected = Tally {
            applied: 0,
            drift: 2,
            sent: 2,
            elsewhere: 1,
            given_up: 1,
        };
        assert_eq!(tally, expected);
    }
}
