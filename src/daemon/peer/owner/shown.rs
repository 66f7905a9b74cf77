//! What does the daemon's loop see of the link and of the peer?

use std::sync::Arc;

use super::LinkOwner;

impl LinkOwner {
    /// Something had no room: counted, and said once.
    fn look_at_what_is_left_out(&mut self) {
        let count = self.talk.left_out() + self.cut_off;
        if count > 0 && self.view.left_out == 0 {
            let peer = &self.view.peer.name;
            tracing::warn!(
                peer,
                count,
                "something is left out of what the directors tell each other, for want of room: \
                 they know less of each other; lvsmon role counts it"
            );
        }
        self.view.left_out = count;
    }

    pub(super) fn publish(&mut self) {
        self.look_at_what_is_left_out();
        self.view.delivered = self.talk.delivered().len();
        if let Some(link) = &self.link
            && self.talk.is_heard()
            && self.unheard.is_empty()
        {
            self.view.heard = Some(link.id);
        }
        let view = &self.view;
        self.says.send_if_modified(|known| {
            let is_news = **known != *view;
            if is_news {
                *known = Arc::new(view.clone());
            }
            is_news
        });
    }
}
