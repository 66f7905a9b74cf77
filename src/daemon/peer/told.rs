//! What the loop tells the peer, and what it makes of what the peer told.

use std::sync::Arc;

use crate::clock::boot_moment;
use crate::daemon::Daemon;
use crate::daemon::peer::News;
use crate::daemon::role::speaking;
use crate::engine::event::{Event, PeerTold, Renumbering};
use crate::pair::talk::{Delivery, Own};
use crate::pair::{Contact, SaidRole, Saying};
use crate::time::{Readable, Wall};
use crate::wire::role::PeerRow;

impl Daemon {
    /// Tells the peer what holds now, all that changed since the last time at once.
    pub(in crate::daemon) fn tell_peer(&mut self) {
        self.peer.pace.passed_on(self.clock.now().mono);
        if self.engine.model().globals.peer.address.is_none() {
            return;
        }
        let wishes = self.wishes_for_peer();
        let (outages, numbers) = self.engine.outages();
        self.peer.tell(Own {
            role: SaidRole::Known(self.role.standing().role),
            speaks: self.role.speaks(),
            numbers,
            outages: Arc::new(outages),
            ended: Arc::new(self.engine.ended_outages()),
            withdrawn: Arc::new(self.engine.withdrawn_servers()),
            turns: self.engine.turn_clock(),
            wishes,
        });
    }

    /// The peer told something.
    pub(in crate::daemon) fn peer_news(&mut self, news: News) {
        match news {
            News::View => {
                self.peer_heard();
                self.peer_view();
            }
            News::Delivered(told) => self.peer_delivered(told),
            News::Wishes(wishes) => self.peer_wishes(wishes),
        }
    }

    /// Of a new link, all that the peer delivered is with the outbox by now: it comes before the
    /// view.
    fn peer_heard(&mut self) {
        if let Some(link) = self.peer.view().heard
            && self.peer.heard.is_none_or(|(known, _)| known != link)
        {
            self.peer.heard = Some((link, boot_moment()));
            // It may be all that messages wait for.
            self.pulse.wake();
        }
    }

    /// When the whole state of a peer was heard last for the first time on its link.
    pub(in crate::daemon) fn peer_contact(&self) -> Contact {
        match self.engine.model().globals.peer.address {
            None => Contact::Unneeded,
            Some(_) => Contact::of(self.peer.heard.map(|(_, at)| at)),
        }
    }

    /// What the peer delivered need not go out here.
    fn peer_delivered(&mut self, told: Vec<Delivery>) {
        let events = told.iter().map(|it| Arc::clone(&it.event)).collect();
        self.outbox.told_elsewhere(told);
        self.tell(Event::PeerDelivered(events));
    }

    /// Outages have other numbers from now on, the peer's or new ones: so has what waits of them,
    /// and what was told.
    pub(in crate::daemon) fn renumber(&mut self, renumberings: Vec<Renumbering>) {
        for Renumbering { from, to } in &renumberings {
            tracing::info!(from, to, "an outage has another number from now on");
        }
        self.outbox.renumber(renumberings);
    }

    /// The engine and the outbox hear what they have not heard yet.
    pub(in crate::daemon) fn peer_view(&mut self) {
        let view = self.peer.view();
        let hearing = view.link.hearing();
        self.outbox.hear(hearing);
        self.role.hear_peer(self.clock.now().mono, hearing);
        self.heed_speaking();
        let told = PeerTold::of(&view.peer, view.link.is_up(), speaking(&self.role));
        if told != self.peer.told {
            self.peer.told = told.clone();
            let answers = told.answers();
            self.tell(Event::Peer(told));
            // Behind what follows from it: what leaves now has the numbers that both agreed on.
            self.store.answered(answers);
        }
        self.look_at_accord();
    }

    /// Says where the roles of both directors do not go together. The peer says every second that
    /// it is there, so that this is looked at often enough.
    fn look_at_accord(&mut self) {
        let view = self.peer.view();
        let here = view.peer.here.as_ref().filter(|_| view.link.is_up());
        let (now, own) = (self.clock.now(), self.role.standing().role);
        let role = here.map(|here| here.role);
        match self.peer.accord.look(now.mono, own, role) {
            Some(Saying::Wrong(discord, lasts)) => {
                let (what, help) = (discord.text(), discord.help());
                let peer = &view.peer.name;
                tracing::error!(peer, lasts = %Readable(lasts), help, "{what}");
                self.chronicle.keep(now.wall, "role", None, what.to_owned());
            }
            Some(Saying::Right) => {
                tracing::info!(%own, peer = role.map(SaidRole::word), "the roles of both directors go together again");
            }
            None => {}
        }
    }

    /// What a person is shown of the link.
    pub(in crate::daemon) fn peer_row(&self) -> Option<PeerRow> {
        let view = self.peer.view();
        let here = view.peer.here.as_ref();
        Some(PeerRow {
            address: view.link.address()?,
            linked: view.link.is_up(),
            since: view.link.since().map(Wall::seconds),
            fault: view.fault.clone(),
            name: view.peer.name.clone(),
            role: here.map(|here| here.role).unwrap_or_default(),
            speaks: here.map(|here| here.speaks),
            outages: view.peer.outages.len(),
            ahead_ms: view.peer.ahead_micros / 1_000,
            discord: self
                .peer
                .accord
                .present()
                .map(|it| (it.text().to_owned(), it.help().to_owned())),
            refused: view.strangers,
            left_out: view.left_out + self.peer.desk.left_out(),
        })
    }
}
