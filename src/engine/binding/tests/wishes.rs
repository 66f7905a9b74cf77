//! Whom an operator means, and what a wish does beside what services say.

use std::time::Duration;

use proptest::prelude::*;

use super::random::{FILES, HOSTS, Step, step};
use super::*;
use crate::engine::desired::RealServerView;
use crate::engine::event::{Aim, Caution, ManualWish, Miss, Order};
use crate::engine::manual::{Effect, EntryKey};
use crate::lvs::{TableEntry, VirtualService};
use crate::model::{DeclaredServer, DeclaredService, MinLive, OwnRules};

const TWO: [&str; 2] = [
    "web/http a,b 10.0.0.3:80/tcp each",
    "web/ssl a,b 10.0.0.3:443/tcp each w7",
];

impl Farm {
    pub(super) fn orders(
        &mut self,
        wish: ManualWish,
        server: &str,
        within: Option<&str>,
    ) -> String {
        self.insists(wish, server, within, Caution::Refuse)
    }

    fn insists(
        &mut self,
        wish: ManualWish,
        server: &str,
        within: Option<&str>,
        caution: Caution,
    ) -> String {
        let order = Order {
            aim: aim(server, within),
            wish,
            span: None,
            by: "ann".to_owned(),
            reason: String::new(),
            caution,
        };
        let now = self.now();
        let (answer, actions) = self.bindings.order(now, &order);
        self.perform(actions);
        match answer {
            Ok(text) => text,
            Err(why) => format!("refused: {why}"),
        }
    }

    /// `ADDRESS:PORT=WEIGHT`, or `=out`, of all real servers.
    fn weights(&self) -> String {
        let mut words = Vec::new();
        for wanted in self.bindings.desired.values() {
            for (server, wish) in &wanted.servers {
                words.push(match wish {
                    ServerWish::In(settings) => format!("{server}={}", settings.weight),
                    ServerWish::Out => format!("{server}=out"),
                    ServerWish::AsFound => format!("{server}=found"),
                });
            }
        }
        words.join(" ")
    }
}

/// The farm of [`TWO`], all good.
fn good() -> Farm {
    let mut farm = Farm::new(&TWO);
    farm.resolves("a", "192.168.0.1");
    farm.resolves("b", "192.168.0.2");
    farm.succeeds("web/http");
    farm.succeeds("web/ssl");
    farm.said();
    farm
}

#[test]
fn a_server_is_meant_in_all_its_virtual_services_unless_one_is_named() {
    for (server, within, expected) in [
        ("a", None, "0 5 0 7"),
        ("192.168.0.1", None, "0 5 0 7"),
        ("[192.168.0.1]", None, "0 5 0 7"),
        ("a:443", None, "5 5 0 7"),
        ("192.168.0.1:80", None, "0 5 7 7"),
        ("b", Some("10.0.0.3:443"), "5 5 7 0"),
        ("b", Some("10.0.0.3:443/tcp"), "5 5 7 0"),
    ] {
        let mut farm = good();
        let answer = farm.orders(ManualWish::Quiesce, server, within);
        let weights = expected.split(' ').collect::<Vec<_>>();
        let expected = format!(
            "192.168.0.1:80={} 192.168.0.2:80={} 192.168.0.1:443={} 192.168.0.2:443={}",
            weights[0], weights[1], weights[2], weights[3]
        );
        assert_eq!(farm.weights(), expected, "{server} {within:?}: {answer}");
        let said = farm.said();
        assert_eq!(said.last().map(String::as_str), Some("apply"));
        let zero = |it: &&String| it.ends_with(" zero by ann: the quiesce by ann");
        assert_eq!(said.iter().filter(zero).count(), said.len() - 1, "{said:?}");
    }
}

#[test]
fn enable_ends_what_is_kept_of_a_server_that_the_file_lost() {
    for name in ["192.168.0.1", "192.168.0.1:80", "[192.168.0.1]"] {
        let mut farm = good();
        farm.orders(ManualWish::Disable, "a", None);
        farm.reloads(&["web/http b 10.0.0.3:80/tcp each"]);
        farm.waits_until(100.0);
        let said = farm.enables(name).unwrap();
        assert!(
            said.contains("192.168.0.1:80 in 10.0.0.3:80/tcp, where the file no longer has it"),
            "{said}"
        );
        let is_one = name.ends_with(":80");
        assert_eq!(said.contains("192.168.0.1:443"), !is_one, "{said}");
        let why = farm.enables("192.168.0.1:80").unwrap_err();
        assert!(why.starts_with("no real server is called"), "{why}");
        // It is in again once the file is mended; what is left of the server is.
        farm.reloads(&TWO);
        farm.resolves("a", "192.168.0.1");
        farm.succeeds("web/http");
        let is_in = farm.weights().contains("192.168.0.1:80=5");
        assert_eq!(is_in, !is_one, "{}", farm.weights());
    }
}

#[test]
fn who_asks_for_a_server_that_the_file_lost_is_told_what_is_kept_of_it() {
    let mut farm = good();
    farm.orders(ManualWish::Disable, "a:80", None);
    farm.reloads(&["web/http b 10.0.0.3:80/tcp each"]);
    farm.waits_until(100.0);
    for name in ["a", "192.168.0.1", "192.168.0.1:80"] {
        let why = farm
            .bindings
            .aimed(&aim(name, None))
            .unwrap_err()
            .into_text();
        assert!(
            why.contains("192.168.0.1:80 in 10.0.0.3:80/tcp") && why.contains("disable by ann"),
            "{why}"
        );
        assert!(why.contains("lvsmon enable 192.168.0.1:80"), "{why}");
    }
    let why = farm.bindings.aimed(&aim("192.168.0.9", None)).unwrap_err();
    assert!(!why.into_text().contains("kept"));
}

#[test]
fn who_names_a_hostgroup_is_told_whom_to_name() {
    let text = "hostgroup web 10.1.0.1 10.1.0.2\n\nhostgroup rest 10.1.0.9\n\nwatch web\n service \
                http\n  interval 10s\n  monitor http.monitor\n\nvirtual 10.0.0.3:80\n real web\n \
                service web:http\n";
    let model = Arc::new(crate::config::load_text(text).unwrap().0);
    let bindings = Bindings::new(&model, &Saved::default(), fixture::at(0.0));
    let why = |name: &str| bindings.aimed(&aim(name, None)).unwrap_err().into_text();
    assert_eq!(
        why("web"),
        "\"web\" is a hostgroup, and no real server; write each in a command of its own: 10.1.0.1, \
         10.1.0.2"
    );
    assert_eq!(
        why("rest"),
        "\"rest\" is a hostgroup, and no real server; none of its hosts is a real server"
    );
}

#[test]
fn who_is_not_meant_clearly_is_asked_to_say_it_better() {
    let mut farm = good();
    for (server, within, expected) in [
        ("c", None, "no real server is called \"c\"; there are a, b"),
        ("192.168.0.1:81", None, "no real server is called"),
        ("a", Some("10.0.0.4:80"), "no virtual service is called"),
        ("a:80", Some("10.0.0.3:443"), "it is in 10.0.0.3:80/tcp"),
    ] {
        let answer = farm.orders(ManualWish::Disable, server, within);
        assert!(answer.starts_with("refused: "), "{answer}");
        assert!(answer.contains(expected), "{answer}");
    }
    assert_eq!(farm.said(), [""; 0]);
    let mut farm = Farm::new(&[
        "dns/udp a 10.0.0.3:53/udp each",
        "dns/tcp a 10.0.0.3:53/tcp each",
    ]);
    let answer = farm.orders(ManualWish::Disable, "a", Some("10.0.0.3:53"));
    assert!(
        answer.contains("may be 10.0.0.3:53/tcp or 10.0.0.3:53/udp"),
        "{answer}"
    );
    let aimed = |within: &str| {
        let server = RealServerName("a".to_owned());
        let within = Some(within.to_owned());
        farm.bindings.aimed(&Aim { server, within })
    };
    assert!(matches!(aimed("10.0.0.3:53"), Err(Miss::Unclear(_))));
    assert!(matches!(aimed("10.0.0.3:54"), Err(Miss::Unknown(_))));
    let answer = farm.orders(ManualWish::Disable, "a", None);
    assert!(answer.contains("a wish is about an address"), "{answer}");
}

/// It is in the kernel's table, and no line of the file has it.
#[test]
fn who_means_a_server_that_nobody_declared_is_told_where_it_is_and_what_to_do() {
    let mut farm = good();
    let table = |key: &str, server: &str| {
        let key: VirtualServiceKey = key.parse().unwrap();
        let service = TableEntry {
            service: VirtualService::plain(key.family(), Scheduler::wlc()),
            servers: [(
                RealServerKey(server.parse().unwrap()),
                RealServer::new(Forwarding::Dr, Weight(5)),
            )]
            .into(),
        };
        (key, service)
    };
    let outcome = TableOutcome {
        table: TableLook::Read(Arc::new(Table::from([table(
            "10.0.0.3:80/tcp",
            "192.168.0.9:80",
        )]))),
        ..TableOutcome::default()
    };
    let now = farm.now();
    farm.bindings.table_seen(now, &outcome);
    for (server, within, expected) in [
        (
            "192.168.0.9",
            None,
            "refused: 192.168.0.9:80 in 10.0.0.3:80/tcp is in the kernel's table, but the file does \
             not have it, so nothing can be wished of it: add it to the file, or take it out with \
             ipvsadm -d",
        ),
        (
            "192.168.0.9:80",
            Some("10.0.0.3:80"),
            "refused: 192.168.0.9:80 in 10.0.0.3:80/tcp is in the kernel's table, but the file does \
             not have it, so nothing can be wished of it: add it to the file, or take it out with \
             ipvsadm -d",
        ),
        (
            "192.168.0.9",
            Some("10.0.0.3:443"),
            "refused: no real server is called \"192.168.0.9\"; there are a, b",
        ),
        (
            "192.168.0.9:81",
            None,
            "refused: no real server is called \"192.168.0.9:81\"; there are a, b",
        ),
    ] {
        let answer = farm.orders(ManualWish::Disable, server, within);
        assert_eq!(answer, expected);
    }
}

#[test]
fn a_mark_is_meant_by_its_number_in_either_family() {
    let mut farm = Farm::new(&["web/s 2001:db8::1 fwmark_8/v6 each"]);
    farm.resolves("2001:db8::1", "2001:db8::1");
    let answer = farm.orders(ManualWish::Disable, "2001:db8::1", Some("fwmark 8"));
    assert!(answer.contains("fwmark 8/v6"), "{answer}");
    assert!(!answer.starts_with("refused"), "{answer}");
}

#[test]
fn numbers_beyond_their_bounds_are_refused() {
    let mut farm = good();
    let forever = ManualWish::Drain { limit_s: u64::MAX };
    for wish in [forever, ManualWish::Weight { weight: 65_536 }] {
        let answer = farm.orders(wish, "a", None);
        assert!(answer.starts_with("refused: a w"), "{answer}");
    }
    assert!(
        farm.orders(ManualWish::Weight { weight: 65_535 }, "a", None)
            .starts_with("192")
    );
}

#[test]
fn ipv6_is_named_with_and_without_brackets() {
    let mut farm = Farm::new(&["v6/s 2001:db8::11 [2001:db8::3]:80/tcp each"]);
    farm.succeeds("v6/s");
    for (name, within) in [
        ("2001:db8::11", None),
        ("[2001:db8::11]", Some("[2001:db8::3]:80")),
        ("[2001:db8::11]:80", Some("[2001:db8::3]:80/tcp")),
    ] {
        let answer = farm.orders(ManualWish::Quiesce, name, within);
        let expected = "[2001:db8::11]:80 in [2001:db8::3]:80/tcp: weight 0";
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[test]
fn health_and_wishes_do_not_overwrite_each_other() {
    let mut farm = good();
    farm.orders(ManualWish::Disable, "a", Some("10.0.0.3:80"));
    assert_eq!(
        farm.said(),
        ["192.168.0.1 out by ann: the disable by ann", "apply"]
    );
    // What fails meanwhile is out for two reasons; neither ends the other.
    farm.fails("web/http", "a");
    farm.succeeds("web/http");
    assert!(
        farm.weights()
            .starts_with("192.168.0.1:80=out 192.168.0.2:80=5")
    );
    farm.fails("web/http", "a");
    let answer = farm.enables("a").unwrap();
    let expected = "the disable by ann is ended; still withdrawn by web/http, until a good check";
    assert!(answer.contains(expected), "{answer}");
    assert!(farm.weights().starts_with("192.168.0.1:80=out"));
    farm.said();
    farm.succeeds("web/http");
    assert_eq!(farm.said(), ["192.168.0.1 in", "apply"]);
    assert!(farm.weights().starts_with("192.168.0.1:80=5"));
    let nothing = farm.enables("a").unwrap_err();
    assert!(nothing.contains("nothing withdraws"), "{nothing}");
}

#[test]
fn the_answer_to_a_wish_says_what_becomes_of_a_server_that_is_out_or_not_known() {
    let mut farm = good();
    let drain = |limit_s| ManualWish::Drain { limit_s };
    let said = |farm: &mut Farm, wish, span: Option<u64>| {
        let order = Order {
            aim: aim("a:80", None),
            wish,
            span: span.map(Duration::from_secs),
            by: "ann".to_owned(),
            reason: String::new(),
            caution: Caution::Force,
        };
        let now = farm.now();
        let (answer, actions) = farm.bindings.order(now, &order);
        farm.perform(actions);
        let answer = answer.unwrap();
        let what = answer.strip_prefix("192.168.0.1:80 in 10.0.0.3:80/tcp: ");
        let what = what.unwrap().split("; in the place of").next().unwrap();
        what.to_owned()
    };
    let when_empty = "weight 0, and out once no connection is active";
    assert_eq!(
        said(&mut farm, drain(600), None),
        format!("{when_empty}, in 10m at the latest")
    );
    // It ends before that.
    assert_eq!(
        said(&mut farm, drain(600), Some(30)),
        format!("{when_empty}; ends by itself in 30s")
    );
    farm.fails("web/http", "a");
    let weight = |weight| ManualWish::Weight { weight };
    for (wish, expected) in [
        (drain(600), "stays out"),
        (ManualWish::Quiesce, "stays out; weight 0 when it is back"),
        (weight(3), "stays out; weight 3 when it is back"),
        (ManualWish::Disable, "stays out"),
    ] {
        assert_eq!(said(&mut farm, wish, None), expected);
    }
    let mut farm = good().restarted(&TWO);
    farm.resolves("a", "192.168.0.1");
    let until = "as it is found until its first verdict; then ";
    assert_eq!(
        said(&mut farm, drain(600), None),
        format!("{until}{when_empty}, in 10m at the latest")
    );
    assert_eq!(said(&mut farm, weight(3), None), format!("{until}weight 3"));
    assert_eq!(said(&mut farm, ManualWish::Disable, None), "to be out");
}

#[test]
fn an_enable_in_one_virtual_service_that_ends_nothing_speaks_of_that_one_only() {
    let mut farm = good();
    let enables = |farm: &mut Farm, within| {
        let now = farm.now();
        farm.bindings.enable(now, &aim("a", within)).0.unwrap_err()
    };
    farm.fails("web/http", "a");
    assert_eq!(
        enables(&mut farm, Some("10.0.0.3:443")),
        "a: nothing withdraws this real server in 10.0.0.3:443/tcp"
    );
    let withdrawn =
        "a: it is withdrawn from 10.0.0.3:80/tcp by web/http; that ends with the next good check";
    assert_eq!(enables(&mut farm, Some("10.0.0.3:80")), withdrawn);
    assert_eq!(enables(&mut farm, None), withdrawn);
    farm.fails("web/ssl", "a");
    assert_eq!(enables(&mut farm, Some("10.0.0.3:80")), withdrawn);
    farm.succeeds("web/http");
    farm.succeeds("web/ssl");
    assert_eq!(
        enables(&mut farm, None),
        "a: nothing withdraws this real server"
    );
}

#[test]
fn a_wish_outlives_restart_and_reload_and_a_server_that_comes_back_is_still_drained() {
    let mut farm = good();
    let answer = farm.orders(ManualWish::Weight { weight: 2 }, "a:80", None);
    assert_eq!(answer, "192.168.0.1:80 in 10.0.0.3:80/tcp: weight 2");
    farm.reloads(&TWO);
    assert!(
        farm.weights().starts_with("192.168.0.1:80=2 "),
        "{}",
        farm.weights()
    );
    farm.reloads(&TWO[1..]);
    farm.reloads(&TWO);
    farm.succeeds("web/http");
    assert!(
        farm.weights().starts_with("192.168.0.1:80=2 "),
        "{}",
        farm.weights()
    );
    let mut farm = farm.restarted(&TWO);
    assert!(farm.weights().starts_with("192.168.0.1:80=found "));
    farm.succeeds("web/http");
    assert!(
        farm.weights().starts_with("192.168.0.1:80=2 "),
        "{}",
        farm.weights()
    );
}

#[test]
fn a_drained_server_leaves_by_the_look_that_shows_it_empty() {
    let mut farm = good();
    let mut table = Table::new();
    let service = crate::lvs::VirtualService::plain(crate::lvs::Family::V4, Scheduler::wlc());
    for key in ["10.0.0.3:80/tcp", "10.0.0.3:443/tcp"] {
        apply(
            &mut table,
            &Command::AddService(key.parse().unwrap(), service.clone()),
        )
        .unwrap();
    }
    farm.applies(&mut table);
    farm.orders(ManualWish::Drain { limit_s: 60 }, "a:80", None);
    assert_eq!(farm.applies(&mut table).len(), 1);
    assert!(
        farm.weights().starts_with("192.168.0.1:80=0"),
        "{}",
        farm.weights()
    );
    let now = farm.seconds;
    farm.waits_until(now + 2.0);
    assert!(
        farm.weights().starts_with("192.168.0.1:80=out"),
        "{}",
        farm.weights()
    );
    let said = farm.said();
    assert!(
        said.iter()
            .any(|it| it.contains("out by ann: the drain by ann")),
        "{said:?}"
    );
    farm.applies(&mut table);
    assert_eq!(table.values().map(|it| it.servers.len()).sum::<usize>(), 3);
}

#[test]
fn a_wish_that_leaves_too_few_is_refused_unless_a_person_insists() {
    let mut farm = good();
    let mut model = Model::clone(&farm.model);
    let key: VirtualServiceKey = "10.0.0.3:80/tcp".parse().unwrap();
    let service = crate::lvs::VirtualService::plain(key.family(), Scheduler::wlc());
    let mut declared = DeclaredService::new(key, service);
    declared.min_live = MinLive::Count(1);
    declared.servers = ["a", "b"]
        .map(|host| DeclaredServer {
            host: HostName::new(host),
            port: 80,
            settings: RealServer::new(Forwarding::Dr, Weight(5)),
            own: OwnRules::default(),
            judges: Vec::new(),
        })
        .to_vec();
    model.virtual_services = vec![declared];
    farm.bindings.model = Arc::new(model);
    let drain = ManualWish::Drain { limit_s: 60 };
    assert!(
        farm.orders(drain, "a:80", None)
            .contains("weight 0, and out once")
    );
    for wish in [
        drain,
        ManualWish::Quiesce,
        ManualWish::Disable,
        ManualWish::Weight { weight: 0 },
    ] {
        let answer = farm.orders(wish, "b:80", None);
        assert!(
            answer.contains("0 real servers would be left of 1"),
            "{answer}"
        );
        assert!(
            answer.contains("min_live is 1") && answer.contains("--force"),
            "{answer}"
        );
    }
    // Who takes no connections already may be taken out altogether.
    assert!(
        farm.orders(ManualWish::Disable, "a:80", None)
            .contains("in the place of the drain")
    );
    assert!(
        farm.orders(ManualWish::Weight { weight: 1 }, "b:80", None)
            .contains("weight 1")
    );
    let answer = farm.insists(ManualWish::Disable, "b:80", None, Caution::Force);
    assert!(
        answer.contains("no real server takes new connections now"),
        "{answer}"
    );
}

/// What happens to two farms, of which one has no operator.
#[derive(Clone, Debug)]
enum Both {
    Happens(Step),
    Wishes(ManualWish, &'static str),
}

fn both() -> impl Strategy<Value = Both> {
    let host = prop::sample::select(HOSTS.as_slice());
    let wish = prop::sample::select(vec![
        ManualWish::Disable,
        ManualWish::Quiesce,
        ManualWish::Weight { weight: 9 },
    ]);
    prop_oneof![
        4 => step().prop_map(Both::Happens),
        1 => (wish, host).prop_map(|(wish, host)| Both::Wishes(wish, host)),
    ]
}

fn happens(farm: Farm, step: &Step, kernel: &mut Table) -> Farm {
    let mut farm = farm;
    let is_there = |farm: &Farm, service: &str| {
        let (group, name) = service.split_once('/').unwrap();
        farm.model.find(group, name).is_some()
    };
    match step {
        Step::Fails {
            service,
            ruling,
            down,
        } if is_there(&farm, service) => farm.failing(service, down, *ruling),
        Step::Succeeds(service) if is_there(&farm, service) => farm.succeeds(service),
        Step::Fails { .. } | Step::Succeeds(_) => {}
        Step::Resolves(host, answer) => farm.resolves(host, answer),
        Step::FailsToResolve(host) => farm.fails_to_resolve(host),
        Step::Reloads(file) => drop(farm.reloads(FILES[*file])),
        Step::Restarts(file) => farm = farm.restarted(FILES[*file]),
        Step::Enables(server) => drop(farm.enables(server)),
        Step::Waits => farm.waits_until(farm.seconds + 700.0),
        Step::Applies => drop(farm.applies(kernel)),
    }
    farm
}

/// The real servers that the file declares, with what is wanted of them; and those of a name.
fn entries(farm: &Farm, name: Option<&str>) -> BTreeMap<EntryKey, ServerWish> {
    let views = farm.bindings.real_servers().into_iter();
    let meant = |view: &RealServerView| {
        let ip = view.server.map(|server| server.0.ip().to_string());
        let mut hosts = view.hosts.iter();
        // What stays for a name is meant by its address.
        let is_named = !view.hosts.is_empty() || name.is_some() && view.held.is_some();
        is_named
            && name.is_none_or(|name| {
                ip.as_deref() == Some(name) || hosts.any(|host| host.as_str() == name)
            })
    };
    let views = views.filter(meant);
    views
        .filter_map(|view| Some(((view.virtual_service, view.server?), view.wish)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The two axes: with wishes the table is what it would be without, and the wishes over it.
    #[test]
    fn what_is_wanted_is_health_with_the_wishes_over_it(
        first in 0..FILES.len(),
        steps in prop::collection::vec(both(), 1..60),
    ) {
        let (mut kernel, mut other_kernel) = (Table::new(), Table::new());
        let (mut farm, mut other) = (Farm::new(FILES[first]), Farm::new(FILES[first]));
        // With which step it was said.
        let mut wishes: BTreeMap<EntryKey, (usize, ManualWish)> = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            let before = entries(&farm, None);
            match step {
                Both::Happens(step) => {
                    farm = happens(farm, step, &mut kernel);
                    other = happens(other, step, &mut other_kernel);
                    if let Step::Enables(name) = step {
                        let ended = entries(&farm, Some(name));
                        let mut ips: BTreeSet<_> = ended.keys().map(|it| it.1.0.ip()).collect();
                        // By its address also one that the file has nowhere.
                        ips.extend(name.parse::<IpAddr>());
                        wishes.retain(|entry, _| {
                            let is_lost = !before.contains_key(entry);
                            !(ended.contains_key(entry) || is_lost && ips.contains(&entry.1.0.ip()))
                        });
                    }
                }
                Both::Wishes(wish, name) => {
                    let all = farm.bindings.real_servers();
                    let nameless = |view: &RealServerView| {
                        view.server.is_none() && view.hosts.iter().any(|it| it.as_str() == *name)
                    };
                    farm.orders(*wish, name, None);
                    // One that has no address is refused with all the others of the name.
                    if !all.iter().any(nameless) {
                        let meant = entries(&farm, Some(name)).into_keys();
                        wishes.extend(meant.map(|entry| (entry, (number, *wish))));
                    }
                    other.seconds += 1.0;
                }
            }
            // Of the server wherever the file has it: the newest one.
            for entry in entries(&farm, None).into_keys().filter(|it| !before.contains_key(it)) {
                let of_server = wishes.iter().filter(|(it, _)| it.1.0.ip() == entry.1.0.ip());
                let newest = of_server.map(|(_, said)| *said).max_by_key(|said| said.0);
                if let (Some(said), false) = (newest, wishes.contains_key(&entry)) {
                    wishes.insert(entry, said);
                }
            }
            let mut expected = entries(&other, None);
            for (entry, wish) in &mut expected {
                let effect = wishes.get(entry).map(|(_, wish)| Effect::at_first(wish));
                *wish = effect.map_or(*wish, |effect| effect.over(*wish));
            }
            prop_assert_eq!(entries(&farm, None), expected);
        }
    }
}

/// The second virtual service of [`TWO`], and the first with another address.
const RENUMBERED: [&str; 2] = ["web/http a,b 10.0.0.4:80/tcp each", TWO[1]];

/// What is wanted of a virtual service, or nothing.
fn wanted_in(farm: &Farm, key: &str) -> String {
    let wanted = farm.bindings.desired.get(&key.parse().unwrap());
    let weight = |wish: &ServerWish| match wish {
        ServerWish::In(settings) => settings.weight.to_string(),
        ServerWish::Out => "out".to_owned(),
        ServerWish::AsFound => "found".to_owned(),
    };
    let servers = wanted.into_iter().flat_map(|it| it.servers.values());
    servers.map(weight).collect::<Vec<String>>().join(" ")
}

#[test]
fn a_wish_for_a_server_holds_where_a_reload_names_it_anew() {
    for (server, within, expected) in [
        ("a", None, "0 5"),
        ("192.168.0.1", None, "0 5"),
        ("[192.168.0.1]", None, "0 5"),
        ("a:80", None, "0 5"),
        ("192.168.0.1:80", None, "0 5"),
        // Of another port, and of one virtual service.
        ("a:443", None, "5 5"),
        ("192.168.0.1:443", None, "5 5"),
        ("a", Some("10.0.0.3:80"), "5 5"),
        ("a", Some("10.0.0.3:443"), "5 5"),
    ] {
        let mut farm = good();
        farm.orders(ManualWish::Quiesce, server, within);
        farm.reloads(&RENUMBERED);
        let found = wanted_in(&farm, "10.0.0.4:80/tcp");
        assert_eq!(found, expected, "{server} {within:?}");
    }
}

#[test]
fn a_disabled_server_stays_out_of_a_virtual_service_that_a_reload_adds() {
    let mut farm = Farm::new(&TWO[1..]);
    farm.resolves("a", "192.168.0.1");
    farm.resolves("b", "192.168.0.2");
    farm.succeeds("web/ssl");
    farm.orders(ManualWish::Weight { weight: 3 }, "b:443", None);
    farm.orders(ManualWish::Disable, "a", None);
    let more = ["web/ssl a,b 10.0.0.2:443/tcp each", TWO[0], TWO[1]];
    farm.reloads(&more);
    assert_eq!(wanted_in(&farm, "10.0.0.2:443/tcp"), "out 3");
    farm.succeeds("web/http");
    assert_eq!(wanted_in(&farm, "10.0.0.3:80/tcp"), "out 5");
    // What is said of one of them is not undone by a reload nor a restart.
    let (now, one) = (farm.now(), aim("a", Some("10.0.0.3:80")));
    let (answer, actions) = farm.bindings.enable(now, &one);
    farm.perform(actions);
    answer.unwrap();
    assert_eq!(wanted_in(&farm, "10.0.0.3:80/tcp"), "5 5");
    farm.reloads(&more);
    assert_eq!(wanted_in(&farm, "10.0.0.3:80/tcp"), "5 5");
    // An end of all of them is one of those too that the file has no more.
    farm.reloads(&more[1..]);
    farm.enables("a").unwrap();
    farm.reloads(&["web/ssl a,b 10.0.0.5:443/tcp each", TWO[1]]);
    assert_eq!(wanted_in(&farm, "10.0.0.5:443/tcp"), "5 3");
}
