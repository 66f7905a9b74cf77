//! Which deliveries go over the link, both ways?

use crate::daemon::peer::keeper::Keeper;
use crate::pair::post::Tidings;
use crate::pair::talk::delivered::DELIVERED_MAX;
use crate::pair::talk::{Delivery, EventId};

impl Keeper {
    /// What the peer is to hear of this director's messages.
    pub(super) fn tidings(&mut self, tidings: Tidings) {
        let now = self.clock.now().mono;
        match tidings {
            Tidings::Delivered(delivery) => {
                let id = EventId::of(&delivery.event);
                if id.is_some_and(EventId::is_shared) && self.settings.address.is_some() {
                    self.talk.deliver(now, delivery);
                }
            }
            // What was delivered of the outage counts under its new number too, so that the peer
            // finds it under either.
            Tidings::Renumbered { from, to } => self.talk.renumber(now, &from, &to),
        }
    }

    /// The peer delivered these.
    pub(super) fn peer_delivered(&mut self, news: Vec<Delivery>) {
        let is_shared = |it: &Delivery| EventId::of(&it.event).is_some_and(EventId::is_shared);
        self.unheard.extend(news.into_iter().filter(is_shared));
        let excess = self.unheard.len().saturating_sub(DELIVERED_MAX);
        self.unheard.drain(..excess);
    }
}
