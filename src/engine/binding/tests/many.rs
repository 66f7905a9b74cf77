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

/// A section of so many names.
fn named(names: &[String]) -> Bindings {
    let text = format!(
        "hostgroup web {}\n\nwatch web\n service http\n  interval 10s\n  monitor \
         http.monitor\n\nvirtual 10.1.0.1:80\n real web\n service web:http\n",
        names.join(" ")
    );
    let model = Arc::new(crate::config::load_text(&text).unwrap().0);
    Bindings::new(&model, &Saved::default(), at(0.0))
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("w{at}")).collect()
}

/// The name of each of these places has the address of this subnet.
fn answers(names: &[String], subnet: u8) -> Vec<Resolved> {
    let answer = |(at, name): (usize, &String)| Resolved {
        host: HostName::new(name),
        answer: Ok(vec![IpAddr::from([
            10,
            2,
            subnet,
            u8::try_from(at).unwrap(),
        ])]),
    };
    names.iter().enumerate().map(answer).collect()
}

/// How much is looked up when so many names of one section are answered at once, all with an
/// address or all without.
fn effort_of_names(count: usize, are_known: bool) -> u64 {
    let names = names(count);
    let mut bindings = named(&names);
    let mut answers = answers(&names, 0);
    for it in answers.iter_mut().filter(|_| !are_known) {
        it.answer = Err("no such name".to_owned());
    }
    crate::effort::looks(|| assert_ne!(bindings.resolved(&answers), []))
}

/// How much is looked up when so many names of one section, which all lead elsewhere, are found
/// good there at once.
fn effort_of_moved_names(count: usize) -> u64 {
    let names = names(count);
    let mut bindings = named(&names);
    let good = |name: &String| (HostName::new(name), HostVerdict::Up);
    let good: BTreeMap<HostName, HostVerdict> = names.iter().map(good).collect();
    bindings.resolved(&answers(&names, 0));
    bindings.succeeded(ServiceId(0), &good);
    bindings.resolved(&answers(&names, 1));
    let elsewhere = |bindings: &Bindings| {
        let mut addresses = bindings.addresses().map(|(_, address)| address);
        let second: IpAddr = "10.2.1.0".parse().unwrap();
        addresses.all(|address| address >= second)
    };
    assert!(!elsewhere(&bindings));
    let looks = crate::effort::looks(|| {
        bindings.succeeded(ServiceId(0), &good);
    });
    assert!(elsewhere(&bindings));
    looks
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
fn names_that_enter_at_once_elsewhere_cost_one_look_at_each_of_their_section() {
    let [some, more, most] = [20, 40, 60].map(effort_of_moved_names);
    assert!(
        some > 0 && most - more == more - some,
        "{some} {more} {most}"
    );
}

#[test]
fn a_look_that_shows_one_section_otherwise_costs_no_look_at_the_others() {
    for is_filled in [false, true] {
        let (few, many) = (effort(20, is_filled), effort(200, is_filled));
        assert!(few > 0, "{is_filled}");
        assert_eq!(few, many, "{is_filled}");
    }
}
