//! What fails on behind an end that was told is told again.
//!
//! The director that does not reach the host told of it, and the other one told the end while it
//! spoke alone. To people it is over: what goes on is another outage as soon as the one that sees
//! it speaks.

use std::collections::BTreeSet;

use lvsmon::pair::talk::{EventId, EventKind};

use super::{Cause, Mail, World, is_about, open, place};

impl World {
    /// When nothing happened for a while and both directors hear each other, the last that people
    /// were told of what a director that speaks does not reach is that it fails, and by the number
    /// by which it goes on. "Of a director that dies while the relay takes a message nobody knows
    /// whether it was told" (docs/peer.md): behind such an end it goes on.
    pub(super) fn what_fails_is_told(&self) {
        let Some(changed) = self.one_way.changed else {
            return;
        };
        if !self.is_at_rest(changed) {
            return;
        }
        let sides = self.directors.iter().zip(self.one_way.is_cut);
        let failing = sides.filter(|(director, is_cut)| director.speaks() && *is_cut);
        let outages: BTreeSet<String> = failing.flat_map(|(it, _)| open(it)).collect();
        let is_it = |outage: &&String| {
            let (group, name) = place(outage).split_once('/').unwrap();
            is_about(group, name)
        };
        for outage in outages.iter().filter(is_it) {
            let mut ids = self.mails.iter().filter_map(told);
            let last = ids.rfind(|id| place(id.outage) == place(outage));
            let goes_on = last.filter(|it| it.kind != EventKind::Up);
            let known = goes_on.map(|it| self.renumbered.now_called(it.outage));
            assert_eq!(known.as_ref(), Some(outage), "{last:?} was told last");
        }
    }
}

/// What was told, but for an end that only a director told which died with that.
fn told(mail: &Mail) -> Option<EventId<'_>> {
    let id = EventId::of(&mail.event).unwrap();
    (!mail.is_unknown || id.kind != EventKind::Up).then_some(id)
}

#[test]
fn what_fails_on_behind_an_end_that_was_told_is_told_again() {
    for seed in 0..4 {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::with_a_host_one_way(seed);
        world.nothing_comes();
        world.begin();
        world.live(60);
        world.reaches(0, false);
        world.live(40);
        assert_eq!(failures(&world).len(), 2, "the service and the section");
        world.cut(Cause::Cut);
        world.role(0, false);
        world.role(1, true);
        world.live(30);
        let ends = world.told_one_way(EventKind::Up);
        assert_eq!(ends.len(), 2, "of both: {ends:?}");
        world.heal();
        world.live(10);
        world.role(1, false);
        world.role(0, true);
        world.live(60);
        world.what_fails_is_told();
        assert_eq!(failures(&world).len(), 4, "both once more");
        world.reaches(0, true);
        world.live(60);
        world.what_was_told_has_its_end();
        let ends = world.told_one_way(EventKind::Up);
        assert_eq!(ends.len(), 4, "each once: {ends:?}");
    }
}

/// The outages that people were told of.
fn failures(world: &World) -> BTreeSet<&str> {
    let told = world.told_one_way(EventKind::Failure);
    told.into_iter().collect()
}
