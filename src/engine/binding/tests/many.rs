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

/// How much is looked up when so many names of one section are answered at once, all with an
/// address or all without.
fn effort_of_names(count: usize, are_known: bool) -> u64 {
    let names: Vec<String> = (0..count).map(|at| format!("w{at}")).collect();
    let text = format!(
        "hostgroup web {}\n\nwatch web\n service http\n  interval 10s\n  monitor \
         http.monitor\n\nvirtual 10.1.0.1:80\n real web\n service web:http\n",
        names.join(" ")
    );
    let model = Arc::new(crate::config::load_text(&text).unwrap().0);
    let mut bindings = Bindings::new(&model, &Saved::default(), at(0.0));
    let answer = |(at, name): (usize, &String)| Resolved {
        host: HostName::new(name),
        answer: match are_known {
            true => Ok(vec![IpAddr::from([10, 2, 0, u8::try_from(at).unwrap()])]),
            false => Err("no such name".to_owned()),
        },
    };
    let answers: Vec<Resolved> = names.iter().enumerate().map(answer).collect();
    crate::effort::looks(|| assert_ne!(bindings.resolved(&answers), []))
}

#[test]
fn names_that_are_answered_at_once_cost_one_look_at_each_of_their_section() {
    for are_known in [true, false] {
        let [some, more, most] = [20, 40, 60].map(|count| effort_of_names(count, are_known));
        assert!(
            some > 0 && most - more == more - some,
            "{some} {more} {most}"
        );
    }
}

#[test]
fn a_look_that_shows_one_section_otherwise_costs_no_look_at_the_others() {
    for is_filled in [false, true] {
        let (few, many) = (effort(20, is_filled), effort(200, is_filled));
        assert!(few > 0, "{is_filled}");
        assert_eq!(few, many, "{is_filled}");
    }
}
