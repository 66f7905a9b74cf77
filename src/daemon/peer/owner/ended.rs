//! A connection has ended: what of it is said, and when is called again?

use super::LinkOwner;
use crate::daemon::peer::link::LinkId;

impl LinkOwner {
    /// Ends the link that stands.
    pub(super) fn lose(&mut self, why: &str) {
        let Some(link) = self.link.take() else {
            return;
        };
        link.task.abort();
        self.talk.unlinked();
        if self.said_up.take().is_some() {
            let name = &self.talk.peer().name;
            tracing::warn!(peer = name, why, "the link to the peer is gone");
            self.view.fault = Some(why.to_owned());
        } else {
            self.fault(why.to_owned());
        }
        self.view.link = self.view.link.down(self.clock.now().wall);
        self.call_later();
    }

    /// Of two calls that cross the peer has ended this one, it seems: it is said what comes of the
    /// other one, and why this one ended where none of those that are open comes to anything.
    fn give_way(&mut self, why: String) {
        self.link = None;
        self.gave_way = Some(why);
        self.talk.unlinked();
        self.call_later();
    }

    pub(super) fn ended(&mut self, id: LinkId, why: String) {
        if self.link.as_ref().is_some_and(|link| link.id == id) {
            // What is open may also be one that never shows the key: a second link that ends so
            // early gives way to nothing.
            let gives_way = self.said_up.is_none() && self.gave_way.is_none();
            return if gives_way && !self.opening.is_empty() {
                self.give_way(why);
            } else {
                self.lose(&why);
            };
        }
        let Some(at) = self.opening.iter().position(|(known, _)| *known == id) else {
            return;
        };
        self.opening.swap_remove(at);
        if self.call == Some(id) {
            self.call = None;
        } else {
            self.view.strangers += 1;
        }
        if self.link.is_none() {
            match self.gave_way.take() {
                None => self.fault(why),
                Some(why) if self.opening.is_empty() => self.fault(why),
                waits => self.gave_way = waits,
            }
            self.call_later();
        }
    }
}
