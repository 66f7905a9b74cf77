//! The active director loses its way to the host, tells of that and stands still just then.
//!
//! The other one heard of the outage, and not that anybody was told of it: it finds the host good
//! and owes nobody an end. What it finds later is another outage to it, and people hear of that
//! before the end of the first one.

use std::collections::BTreeSet;
use std::time::Duration;

use lvsmon::pair::talk::EventKind;

use super::{GROUP, World, place};

#[test]
fn who_was_told_by_a_director_that_stood_still_just_then_is_told_of_both_ends() {
    for seed in 0..4 {
        let _named = crate::sim::Named("PAIR_SEED", seed);
        let mut world = World::with_a_host_one_way(seed);
        world.coming.clear();
        world.is_calm = true;
        world.begin();
        world.live(60);
        world.reaches(0, false);
        world.stands_still_behind(service(), Duration::from_secs(60));
        world.live(20);
        world.reaches(1, false);
        world.live(35);
        let told = numbers(&world, EventKind::Failure);
        assert_eq!(told.len(), 2, "by each director: {told:?}");
        assert_eq!(numbers(&world, EventKind::Up), BTreeSet::new());
        world.live(30);
        world.reaches(0, true);
        world.reaches(1, true);
        world.live(60);
        world.what_was_told_has_its_end();
        world.nothing_is_told_as_another();
        assert_eq!(numbers(&world, EventKind::Up), told);
    }
}

fn service() -> String {
    format!("{GROUP}/http")
}

/// The numbers under which people were told that of the service.
fn numbers(world: &World, kind: EventKind<'_>) -> BTreeSet<String> {
    let told = world.told_one_way(kind).into_iter();
    let of_service = told.filter(|outage| place(outage) == service());
    of_service.map(str::to_owned).collect()
}
