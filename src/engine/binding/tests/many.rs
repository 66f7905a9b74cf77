//! What a look at the table costs where there are many virtual services.

use super::*;
use crate::engine::fixture::at;
use crate::lvs::{TableEntry, VirtualService};

/// So many sections with one real server each.
fn farm(count: usize) -> Arc<Model> {
    let one = |at: usize| {
        let (high, low) = (at / 250, at % 250);
        format!(
            "hostgroup g{at} 10.0.{high}.{low}\n\nwatch g{at}\n service http\n  interval 10s\n  \
             monitor http.monitor\n\nvirtual 10.1.{high}.{low}:80\n real g{at}\n service g{at}:http\n\n"
        )
    };
    let text: String = (0..count).map(one).collect();
    Arc::new(crate::config::load_text(&text).unwrap().0)
}

/// A look at this table, for what is wanted now.
fn look(bindings: &mut Bindings, table: &Table) {
    let outcome = TableOutcome {
        wanted: Arc::new(bindings.desired().clone()),
        table: TableLook::Read(Arc::new(table.clone())),
        ..TableOutcome::default()
    };
    bindings.table_seen(at(1.0), &outcome);
}

/// How much is looked up for a look that shows another server in one of so many sections, of which
/// none has a verdict yet, after one that showed them all with or without their servers.
fn effort(count: usize, is_filled: bool) -> u64 {
    let mut bindings = Bindings::new(&farm(count), &Saved::default(), at(0.0));
    let entry = |(key, wanted): (&VirtualServiceKey, &DesiredService)| {
        let server = RealServer::new(Forwarding::Dr, Weight(1));
        let servers = wanted.servers.keys().filter(|_| is_filled);
        let entry = TableEntry {
            service: VirtualService::plain(key.family(), Scheduler::wlc()),
            servers: servers.map(|key| (*key, server)).collect(),
        };
        (*key, entry)
    };
    let mut table: Table = bindings.desired().iter().map(entry).collect();
    assert_eq!(table.len(), count);
    // What is wanted is another thing behind the first look, and is looked at with the second.
    look(&mut bindings, &table);
    look(&mut bindings, &table);
    let mut entries = table.values_mut();
    let one = entries.nth(count / 2).unwrap();
    let stranger = RealServerKey("10.9.9.9:80".parse().unwrap());
    one.servers = [(stranger, RealServer::new(Forwarding::Dr, Weight(1)))].into();
    crate::effort::looks(|| look(&mut bindings, &table))
}

#[test]
fn a_look_that_shows_one_section_otherwise_costs_no_look_at_the_others() {
    for is_filled in [false, true] {
        let (few, many) = (effort(20, is_filled), effort(200, is_filled));
        assert!(few > 0, "{is_filled}");
        assert_eq!(few, many, "{is_filled}");
    }
}
