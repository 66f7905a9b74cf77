//! All is well in the end: what must hold then?

use lvsmon::engine::event::{Aim, Event, RealServerName, Wish};

use super::unrest::Step;
use super::{Coming, HOSTS, World};

impl World {
    /// Nothing happens but what a test does itself.
    pub(super) fn nothing_comes(&mut self) {
        self.coming.clear();
        self.is_calm = true;
    }

    /// All is well and stays so: everything is told.
    pub(super) fn settle(&mut self) {
        self.is_calm = true;
        let unrest = |it: &Coming| {
            matches!(
                it,
                Coming::Flip
                    | Coming::FlipApart
                    | Coming::FlipOneWay
                    | Coming::Cut
                    | Coming::HandOver
                    | Coming::Die
                    | Coming::Wish
                    | Coming::Unrest(Step::RollOut | Step::SetClock)
                    | Coming::Freeze
            )
        };
        self.coming.retain(|_, what| !unrest(what));
        self.live(150);
        for outages in &mut self.outages {
            if let Some((_, end @ None)) = outages.last_mut() {
                *end = Some(self.time);
            }
        }
        self.apart.recover(self.time);
        self.one_way.recover(self.time);
        self.quiet_since = self.time;
        self.heal();
        self.live(10);
        // Else a fallback that operators have brought into use stays for ever.
        for host in 0..HOSTS {
            let aim = Aim {
                server: RealServerName(format!("10.1.0.{host}")),
                within: None,
            };
            self.tell(0, Event::Operator(Wish::EnableServer(aim)));
        }
        self.live(300);
        self.forget_what_one_saw();
        self.compare();
        self.who_fails_is_told();
        self.what_was_told_has_its_end();
        self.everything_is_told();
        self.troubles_have_an_end();
        self.nothing_has_two_ids();
        self.nothing_is_told_as_another();
        self.nothing_is_told_twice();
        self.outages_end_well();
        self.what_is_dropped_is_needless();
        self.nothing_waits();
    }
}
