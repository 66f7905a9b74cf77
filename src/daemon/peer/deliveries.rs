//! Which deliveries go over the link, both ways?

use crate::daemon::outbox::Told;
use crate::daemon::peer::keeper::Keeper;
use crate::engine::event::Renumbering;
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::pair::talk::{Delivery, EventId};

impl Keeper {
    /// This director delivered a message, which the peer need not deliver.
    pub(super) fn delivered(&mut self, told: Told) {
        let Told { event, to } = told;
        let is_shared = EventId::of(&event).is_some_and(EventId::is_shared);
        if is_shared && self.settings.address.is_some() {
            let now = self.clock.now().mono;
            self.talk.deliver(now, Delivery { event, to });
        }
    }

    /// What was delivered of these outages counts under their new numbers too, so that the peer
    /// finds it under either.
    pub(super) fn renumbered(&mut self, renumberings: &[Renumbering]) {
        let now = self.clock.now().mono;
        for Renumbering { from, to } in renumberings {
            self.talk.renumber(now, from, to);
        }
    }

    /// The peer delivered these.
    pub(super) fn peer_delivered(&mut self, news: Vec<Delivery>) {
        let is_shared = |it: &Delivery| EventId::of(&it.event).is_some_and(EventId::is_shared);
        let news = news.into_iter().filter(is_shared);
        let told = |Delivery { event, to }| Told { event, to };
        self.unheard.extend(news.map(told));
        let excess = self.unheard.len().saturating_sub(DELIVERED_MAX);
        self.unheard.drain(..excess);
    }
}
