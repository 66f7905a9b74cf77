//! What a look at the table costs where there are many virtual services.

use super::*;
use crate::engine::event::{Caution, ManualWish, Order};
use crate::engine::fixture::at;
use crate::lvs::{TableEntry, VirtualService};
use crate::pair::talk::withdrawn::WithdrawnServers;
use crate::pair::turn::Turn;

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
    crate::effort::visits(|| look(&mut bindings, &table))
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
    let answer = |(at, name): (usize, &String)| {
        let answer = Ok(vec![IpAddr::from([
            10,
            2,
            subnet,
            u8::try_from(at).unwrap(),
        ])]);
        Resolved::fresh(HostName::new(name), answer)
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
    crate::effort::visits(|| assert_ne!(bindings.resolved(&answers), []))
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
    let visits = crate::effort::visits(|| {
        bindings.succeeded(ServiceId(0), &good);
    });
    assert!(elsewhere(&bindings));
    visits
}

/// How much is looked up when of so many names of one section each second one is found good at the
/// address of the one before it, which keeps it out.
fn effort_of_refused_names(count: usize) -> u64 {
    let names = names(count);
    let mut bindings = named(&names);
    let good = |name: &String| (HostName::new(name), HostVerdict::Up);
    let good: BTreeMap<HostName, HostVerdict> = names.iter().map(good).collect();
    let mut answers = answers(&names, 0);
    bindings.resolved(&answers);
    bindings.succeeded(ServiceId(0), &good);
    for pair in answers.chunks_mut(2) {
        pair[1].answer = pair[0].answer.clone();
    }
    bindings.resolved(&answers);
    let visits = crate::effort::visits(|| {
        bindings.succeeded(ServiceId(0), &good);
    });
    let told = bindings.told.values().flat_map(BTreeMap::values).flatten();
    let kept_out = told.filter(|it| it.contains("so they would be one real server"));
    assert_eq!(kept_out.count(), count / 2);
    visits
}

/// A section of so many addresses that says this, of which the kernel has nothing, and a good
/// verdict on each of them.
fn of_addresses(count: usize, says: &str) -> (Bindings, BTreeMap<HostName, HostVerdict>) {
    let addresses = (0..count).map(|at| format!("10.2.{}.{}", at / 250, at % 250));
    let addresses: Vec<String> = addresses.collect();
    let text = format!(
        "hostgroup web {}\n\nwatch web\n service http\n  interval 10s\n  monitor \
         http.monitor\n\nvirtual 10.1.0.1:80\n {says}\n real web\n service web:http\n",
        addresses.join(" ")
    );
    let model = Arc::new(crate::config::load_text(&text).unwrap().0);
    let mut bindings = Bindings::new(&model, &Saved::default(), at(0.0));
    look(&mut bindings, &Table::default());
    let good = |it: &String| (HostName::new(it), HostVerdict::Up);
    (bindings, addresses.iter().map(good).collect())
}

/// How many of its real servers take clients.
fn serving(bindings: &Bindings) -> usize {
    let wanted = bindings
        .desired()
        .values()
        .flat_map(|it| it.servers.values());
    wanted
        .filter(|it| matches!(it, ServerWish::In(settings) if settings.weight > Weight(0)))
        .count()
}

/// How much is looked up when so many real servers are found good at once.
fn effort_of_good_ones(count: usize, says: &str) -> u64 {
    let (mut bindings, good) = of_addresses(count, says);
    assert_eq!(serving(&bindings), 0);
    let visits = crate::effort::visits(|| {
        bindings.succeeded(ServiceId(0), &good);
    });
    assert_eq!(serving(&bindings), count);
    visits
}

/// How much is looked up for a look at the table when half of so many real servers failed.
fn effort_of_failed_ones(count: usize, says: &str) -> u64 {
    let (mut bindings, mut verdicts) = of_addresses(count, says);
    bindings.succeeded(ServiceId(0), &verdicts);
    let reason = Reason::Timeout;
    for verdict in verdicts.values_mut().skip(count / 2) {
        *verdict = HostVerdict::Down(reason);
    }
    bindings.failed(
        at(1.0),
        ServiceId(0),
        Ruling::Passed,
        &verdicts,
        Some(reason),
    );
    assert_eq!(serving(&bindings), count / 2);
    crate::effort::visits(|| look(&mut bindings, &Table::default()))
}

#[test]
fn verdicts_cost_as_much_as_their_section_is_long() {
    for says in ["weight_from file", "weight_from check"] {
        let [some, more, most] = [20, 40, 60].map(|count| effort_of_good_ones(count, says));
        assert!(
            some > 0 && most - more == more - some,
            "{says}: {some} {more} {most}"
        );
    }
}

#[test]
fn withdrawn_servers_cost_a_look_as_much_as_their_section_is_long() {
    for says in ["remove", "quiesce", "drain 60s"] {
        let says = format!("on_failure {says}");
        let [some, more, most] = [20, 40, 60].map(|count| effort_of_failed_ones(count, &says));
        assert!(
            some > 0 && most - more == more - some,
            "{says}: {some} {more} {most}"
        );
    }
}

/// How much is looked up in a section of so many, of which so many failed, to say which these are;
/// and to hear that they failed earlier on the other director, in the same order.
fn effort_of_telling(count: usize, failed: usize) -> [u64; 2] {
    let (mut bindings, mut verdicts) = of_addresses(count, "min_live 1");
    bindings.succeeded(ServiceId(0), &verdicts);
    let reason = Reason::Timeout;
    for verdict in verdicts.values_mut().take(failed) {
        *verdict = HostVerdict::Down(reason);
    }
    bindings.failed(
        at(1.0),
        ServiceId(0),
        Ruling::Passed,
        &verdicts,
        Some(reason),
    );
    let mut withdrawn = WithdrawnServers::new();
    let told = crate::effort::visits(|| withdrawn = bindings.withdrawn());
    assert_eq!(withdrawn.len(), failed);
    for it in withdrawn.values_mut() {
        it.turn = Turn(1);
    }
    let (peers, mut written) = (Arc::new(withdrawn), Vec::new());
    let heard = crate::effort::visits(|| written = bindings.peer_withdrew(&peers, None));
    assert_eq!(written.len(), failed);
    [told, heard]
}

#[test]
fn withdrawn_servers_cost_the_pair_as_much_as_they_are_and_healthy_ones_nothing() {
    assert_eq!(effort_of_telling(60, 0), [0, 0]);
    let [few, among_many] = [20, 60].map(|count| effort_of_telling(count, 5));
    assert_eq!(few, among_many);
    let [some, more, most] = [5, 10, 15].map(|failed| effort_of_telling(60, failed));
    for it in 0..2 {
        assert!(some[it] > 0 && most[it] - more[it] == more[it] - some[it]);
    }
}

/// How much is looked up for a reload of so many services that decide as a whole.
fn effort_of_whole_services(count: usize) -> u64 {
    let one = |at: usize| {
        let line = format!("alert lvs.alert -P tcp -V 10.1.0.1:80 -R n{at}:80");
        format!(
            "hostgroup g{at} m{at}\n\nwatch g{at}\n service http\n  interval 10s\n  monitor \
             http.monitor\n  period wd {{Sun-Sat}}\n   {line}\n   up{line}\n\n"
        )
    };
    let text: String = (0..count).map(one).collect();
    let model = Arc::new(crate::config::load_text(&text).unwrap().0);
    let bindings = Bindings::new(&model, &Saved::default(), at(0.0));
    let before = Families::of(&model);
    crate::effort::visits(|| {
        bindings.turned(&model);
        before.left_behind(&before, Some);
    })
}

#[test]
fn a_reload_costs_as_much_as_there_are_services_that_decide_as_a_whole() {
    let [some, more, most] = [20, 40, 60].map(effort_of_whole_services);
    assert!(
        some > 0 && most - more == more - some,
        "{some} {more} {most}"
    );
}

/// So many sections of the same two real servers, both good.
fn of_sections(count: usize) -> Bindings {
    let mut text =
        "hostgroup web 10.2.0.1 10.2.0.2\n\nwatch web\n service http\n  interval 10s\n  \
                    monitor http.monitor\n\n"
            .to_owned();
    for place in 0..count {
        let (high, low) = (place / 250, place % 250);
        text +=
            &format!("virtual 10.1.{high}.{low}:80\n min_live 1\n real web\n service web:http\n\n");
    }
    let model = Arc::new(crate::config::load_text(&text).unwrap().0);
    let mut bindings = Bindings::new(&model, &Saved::default(), at(0.0));
    look(&mut bindings, &Table::default());
    let good = ["10.2.0.1", "10.2.0.2"].map(|it| (HostName::new(it), HostVerdict::Up));
    bindings.succeeded(ServiceId(0), &good.into());
    assert_eq!(serving(&bindings), 2 * count);
    bindings
}

/// How much is looked up when an operator takes one real server out of so many sections, and when
/// he ends that beside as many wishes for another one.
fn effort_of_wishes(count: usize) -> [u64; 2] {
    let mut bindings = of_sections(count);
    let order = Order {
        aim: aim("10.2.0.1", None),
        wish: ManualWish::Disable,
        span: None,
        by: "op".to_owned(),
        reason: String::new(),
        caution: Caution::Refuse,
    };
    let wished = crate::effort::visits(|| {
        bindings.order(at(1.0), &order).0.unwrap();
    });
    assert_eq!(serving(&bindings), count);
    let other = Order {
        aim: aim("10.2.0.2", None),
        caution: Caution::Force,
        ..order.clone()
    };
    bindings.order(at(1.0), &other).0.unwrap();
    let ended = crate::effort::visits(|| {
        bindings.enable(at(2.0), &order.aim).0.unwrap();
    });
    assert_eq!(serving(&bindings), count);
    [wished, ended]
}

#[test]
fn a_wish_costs_as_much_as_there_are_sections_of_its_server() {
    let [some, more, most] = [20, 40, 60].map(effort_of_wishes);
    for at in [0, 1] {
        assert!(
            some[at] > 0 && most[at] - more[at] == more[at] - some[at],
            "{some:?} {more:?} {most:?}"
        );
    }
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
fn names_that_are_kept_out_at_once_cost_one_look_at_each_of_their_section() {
    let [some, more, most] = [20, 40, 60].map(effort_of_refused_names);
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
