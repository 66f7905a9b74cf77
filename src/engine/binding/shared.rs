//! Which wishes of real servers do both directors of a pair share (D26)?

use std::collections::BTreeSet;

use crate::engine::binding::Bindings;
use crate::engine::event::{Action, ServerWord, SharedWish};
use crate::time::Now;

impl Bindings {
    /// Those in force here.
    pub(crate) fn shared_wishes(&self) -> impl Iterator<Item = SharedWish> + '_ {
        let orders = self.manual.shared();
        orders.map(|order| SharedWish::Server(ServerWord::Wished(Box::new(order))))
    }

    /// Those of the peer's operators, each with how far the clock of its times is ahead of ours, in
    /// microseconds. What `min_live` says of them was asked where they were said.
    pub(crate) fn share(
        &mut self,
        now: Now,
        words: &[(&ServerWord, i64)],
        actions: &mut Vec<Action>,
    ) {
        let mut keys = BTreeSet::new();
        for &(word, ahead_micros) in words {
            let ((virtual_service, _), news) = match word {
                ServerWord::Wished(order) if order.is_over(now, ahead_micros) => continue,
                ServerWord::Wished(order) => {
                    (order.entry(), self.manual.share(now, order, ahead_micros))
                }
                ServerWord::Ended(entry) => (*entry, self.manual.share_end(*entry)),
            };
            actions.extend(news);
            keys.insert(virtual_service);
        }
        self.decide(&keys, actions);
        self.advance_wishes(now, actions);
    }
}
