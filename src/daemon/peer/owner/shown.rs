//! What does the daemon's loop see of the link and of the peer?

use std::sync::Arc;

use super::LinkOwner;

impl LinkOwner {
    /// Something had no room: counted, and said once.
    fn look_at_what_is_left_out(&mut self) {
        let count = self.talk.left_out() + self.cut_off;
        if count > 0 && self.view.left_out == 0 {
            let peer = &self.talk.peer().name;
            tracing::warn!(
                peer,
                count,
                "something is left out of what the directors tell each other, for want of room: \
                 they know less of each other; lvsmon role counts it"
            );
        }
        self.view.left_out = count;
    }

    /// Something may be another than what the loop sees. What a peer says without end it sees at
    /// the link's own pace, and each time one state of it: so nobody can hold it up, and what the
    /// peer says in between is taken in where nobody else has it.
    pub(super) fn show(&mut self) {
        self.pace.changed();
        let now = self.clock.now().mono;
        if self.pace.due().is_some_and(|at| at <= now) {
            self.pace.passed_on(now);
            self.publish();
        }
    }

    pub(super) fn publish(&mut self) {
        self.look_at_what_is_left_out();
        self.view.peer = self.talk.peer().clone();
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
