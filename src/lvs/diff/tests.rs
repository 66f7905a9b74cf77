use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::lvs::replay::apply;
use crate::lvs::{Family, Scheduler, ServiceFlags, Tunnel, VirtualService, Weight};

/// The server `192.168.0.LAST:80`.
fn server(last: u8) -> RealServerKey {
    RealServerKey(format!("192.168.0.{last}:80").parse().unwrap())
}

fn key(last: u8) -> VirtualServiceKey {
    format!("10.0.0.{last}:80/tcp").parse().unwrap()
}

fn plain(scheduler: &str) -> VirtualService {
    VirtualService::plain(Family::V4, Scheduler::new(scheduler).unwrap())
}

fn dr(weight: u32) -> RealServer {
    RealServer::new(Forwarding::Dr, Weight(weight))
}

fn entry(servers: &[(u8, RealServer)]) -> TableEntry {
    TableEntry {
        service: plain("wlc"),
        servers: servers
            .iter()
            .map(|&(last, settings)| (server(last), settings))
            .collect(),
    }
}

fn wanted(service: ServiceWish, servers: &[(u8, ServerWish)]) -> DesiredService {
    DesiredService {
        service,
        servers: servers
            .iter()
            .map(|&(last, wish)| (server(last), wish))
            .collect(),
        strangers: Strangers::Ignored,
    }
}

/// The commands for virtual service 10.0.0.1:80/tcp alone, as text.
fn commands(wanted: DesiredService, found: Option<TableEntry>) -> Vec<String> {
    let desired = BTreeMap::from([(key(1), wanted)]);
    let actual = found.map(|entry| (key(1), entry)).into_iter().collect();
    diff(&desired, &actual)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn servers_enter_before_others_change_and_leave() {
    let wishes = [
        (1, ServerWish::Out),
        (2, ServerWish::In(dr(5))),
        (3, ServerWish::In(dr(5))),
        (4, ServerWish::AsFound),
        // The one must not lose its weight before the other one gets its own.
        (5, ServerWish::In(dr(0))),
        (6, ServerWish::In(dr(5))),
    ];
    let found = [(1, dr(5)), (2, dr(7)), (4, dr(1)), (5, dr(5)), (6, dr(0))];
    let found = entry(&[&found[..], &[(9, dr(1))]].concat());
    assert_eq!(
        commands(wanted(ServiceWish::Foreign, &wishes), Some(found)),
        [
            "add real server 192.168.0.3:80 to 10.0.0.1:80/tcp (dr, weight 5)",
            "set real server 192.168.0.2:80 in 10.0.0.1:80/tcp to dr, weight 5",
            "set real server 192.168.0.6:80 in 10.0.0.1:80/tcp to dr, weight 5",
            "set real server 192.168.0.5:80 in 10.0.0.1:80/tcp to dr, weight 0",
            "delete real server 192.168.0.1:80 from 10.0.0.1:80/tcp",
        ]
    );
}

#[test]
fn every_wish_for_a_virtual_service_against_every_find() {
    let (add, put, delete) = (
        "add virtual service 10.0.0.1:80/tcp with scheduler rr",
        "add real server 192.168.0.1:80 to 10.0.0.1:80/tcp (dr, weight 5)",
        "delete virtual service 10.0.0.1:80/tcp",
    );
    let edit = "set virtual service 10.0.0.1:80/tcp to scheduler rr";
    let present = ServiceWish::Present(plain("rr"));
    let owned = ServiceWish::Owned(plain("rr"));
    let cases: [(ServiceWish, bool, &[&str]); 11] = [
        (ServiceWish::Foreign, false, &[]),
        (ServiceWish::Foreign, true, &[put]),
        (present.clone(), false, &[add, put]),
        // The scheduler of one that exists is never changed (D11).
        (present, true, &[put]),
        (owned.clone(), false, &[add, put]),
        (owned, true, &[edit, put]),
        (ServiceWish::Owned(plain("wlc")), true, &[put]),
        (ServiceWish::Absent, false, &[]),
        (ServiceWish::Absent, true, &[delete]),
        (ServiceWish::AsFound, false, &[]),
        (ServiceWish::AsFound, true, &[put]),
    ];
    for (wish, exists, expected) in cases {
        let found = exists.then(|| entry(&[]));
        let servers = [(1, ServerWish::In(dr(5)))];
        assert_eq!(
            commands(wanted(wish.clone(), &servers), found),
            expected,
            "{wish:?}, exists: {exists}"
        );
    }
}

#[test]
fn a_stranger_is_removed_last_and_only_where_the_service_is_owned_whole() {
    let wishes = [
        (2, ServerWish::Out),
        (4, ServerWish::In(dr(5))),
        (6, ServerWish::AsFound),
    ];
    let found = entry(&[(1, dr(1)), (2, dr(1)), (3, dr(1)), (6, dr(1)), (9, dr(1))]);
    let mut wanted = wanted(ServiceWish::Owned(plain("wlc")), &wishes);
    let put = "add real server 192.168.0.4:80 to 10.0.0.1:80/tcp (dr, weight 5)";
    let take = |last| format!("delete real server 192.168.0.{last}:80 from 10.0.0.1:80/tcp");
    let ignored = commands(wanted.clone(), Some(found.clone()));
    assert_eq!(ignored, [put.to_owned(), take(2)]);
    wanted.strangers = Strangers::Removed;
    let removed = commands(wanted, Some(found));
    let expected = [put.to_owned(), take(1), take(2), take(3), take(9)];
    assert_eq!(removed, expected);
}

#[test]
fn every_setting_of_an_owned_service_is_corrected() {
    let mut wish = plain("sh");
    wish.persistence_seconds = 300;
    wish.flags = ServiceFlags::FLAG_1;
    let differs = |change: &dyn Fn(&mut VirtualService)| {
        let mut found = wish.clone();
        change(&mut found);
        let found = TableEntry {
            service: found,
            ..entry(&[])
        };
        let wanted = wanted(ServiceWish::Owned(wish.clone()), &[]);
        !commands(wanted, Some(found)).is_empty()
    };
    assert!(!differs(&|_| {}));
    assert!(differs(&|it| it.scheduler = Scheduler::wlc()));
    assert!(differs(&|it| it.flags = ServiceFlags::NONE));
    assert!(differs(&|it| it.persistence_seconds = 0));
    assert!(differs(&|it| it.netmask = 0xffff_ff00));
    assert!(differs(&|it| it.persistence_engine = Some("sip".into())));
    // What a later kernel notes of itself is not ours.
    let noted = ServiceFlags::from_bits(1 << 20);
    assert!(!differs(&|it| it.flags = it.flags.with(noted)));
    // Nor does sh know a third flag.
    assert!(!differs(
        &|it| it.flags = it.flags.with(ServiceFlags::FLAG_3)
    ));
    // A mask without persistence means nothing, and ipvsadm does not show it.
    let mut masked = plain("rr");
    masked.netmask = 0xffff_ff00;
    assert!(service_agrees(&masked, &plain("rr")));
    assert!(service_agrees(&plain("rr"), &masked));
}

#[test]
fn a_server_that_the_kernel_serves_itself_is_left_alone() {
    for forwarding in [
        Forwarding::Dr,
        Forwarding::Tun(Tunnel::Ipip),
        Forwarding::Nat,
    ] {
        let wish = ServerWish::In(RealServer::new(forwarding, Weight(5)));
        for kernels in [Forwarding::Local, Forwarding::Bypass] {
            let found = entry(&[(1, RealServer::new(kernels, Weight(5)))]);
            let wanted = wanted(ServiceWish::Foreign, &[(1, wish)]);
            assert!(commands(wanted.clone(), Some(found)).is_empty());
            // Its weight is still ours.
            let found = entry(&[(1, RealServer::new(kernels, Weight(6)))]);
            assert_eq!(commands(wanted, Some(found)).len(), 1);
        }
    }
}

#[test]
fn a_missing_foreign_service_is_named_only_where_a_server_waits() {
    let cases = [
        (ServiceWish::Foreign, ServerWish::In(dr(5)), true),
        (ServiceWish::Foreign, ServerWish::AsFound, false),
        (ServiceWish::Foreign, ServerWish::Out, false),
        (
            ServiceWish::Present(plain("rr")),
            ServerWish::In(dr(5)),
            false,
        ),
        (ServiceWish::Absent, ServerWish::In(dr(5)), false),
        (ServiceWish::AsFound, ServerWish::In(dr(5)), false),
    ];
    for (service, server, expected) in cases {
        let desired = BTreeMap::from([(key(1), wanted(service.clone(), &[(1, server)]))]);
        let named = missing(&desired, &Table::new());
        assert_eq!(named.contains(&key(1)), expected, "{service:?} {server:?}");
        let found = BTreeMap::from([(key(1), entry(&[]))]);
        assert!(missing(&desired, &found).is_empty());
    }
}

#[test]
fn the_owned_part_has_no_key_of_others() {
    let wishes = [(1, ServerWish::Out), (2, ServerWish::AsFound)];
    let desired = BTreeMap::from([(key(1), wanted(ServiceWish::Foreign, &wishes))]);
    let actual = BTreeMap::from([
        (key(0), entry(&[(1, dr(1))])),
        (key(1), entry(&[(2, dr(2)), (3, dr(3))])),
        (key(2), entry(&[(1, dr(1))])),
    ]);
    let expected = BTreeMap::from([(key(1), entry(&[(2, dr(2))]))]);
    assert_eq!(owned(&desired, actual.clone()), expected);
    // Strangers are seen where they are to go.
    let mut whole = wanted(ServiceWish::Owned(plain("wlc")), &wishes);
    whole.strangers = Strangers::Removed;
    let desired = BTreeMap::from([(key(1), whole)]);
    let expected = BTreeMap::from([(key(1), actual[&key(1)].clone())]);
    assert_eq!(owned(&desired, actual), expected);
}

fn settings() -> impl Strategy<Value = RealServer> {
    let forwarding = prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::Dr),
        Just(Forwarding::Tun(Tunnel::Ipip)),
        Just(Forwarding::Tun(Tunnel::Gre { checksum: true }))
    ];
    (forwarding, 0..3_u32)
        .prop_map(|(forwarding, weight)| RealServer::new(forwarding, Weight(weight)))
}

fn found_settings() -> impl Strategy<Value = RealServer> {
    (settings(), any::<bool>(), 0..2_u32).prop_map(|(settings, local, upper_threshold)| {
        let forwarding = if local {
            Forwarding::Local
        } else {
            settings.forwarding
        };
        RealServer {
            forwarding,
            upper_threshold,
            ..settings
        }
    })
}

/// Few, so that what is wanted is found now and then.
fn service_settings() -> impl Strategy<Value = VirtualService> {
    let flags = prop_oneof![
        Just(ServiceFlags::NONE),
        Just(ServiceFlags::ONE_PACKET),
        Just(ServiceFlags::from_bits(1 << 20))
    ];
    let mask = prop_oneof![Just(u32::MAX), Just(0xffff_ff00)];
    (flags, 0..2_u32, mask).prop_map(|(flags, persistence_seconds, netmask)| VirtualService {
        flags,
        persistence_seconds,
        netmask,
        ..plain("sh")
    })
}

fn actual_table() -> impl Strategy<Value = Table> {
    let servers = prop::collection::btree_map((1..6_u8).prop_map(server), found_settings(), 0..5);
    let entry = (service_settings(), servers)
        .prop_map(|(service, servers)| TableEntry { service, servers });
    prop::collection::btree_map((1..5_u8).prop_map(key), entry, 0..4)
}

fn desired_table() -> impl Strategy<Value = Desired> {
    let wish = prop_oneof![
        settings().prop_map(ServerWish::In),
        Just(ServerWish::Out),
        Just(ServerWish::AsFound)
    ];
    let service = prop_oneof![
        Just(ServiceWish::Foreign),
        Just(ServiceWish::Present(plain("rr"))),
        service_settings().prop_map(ServiceWish::Owned),
        Just(ServiceWish::Absent),
        Just(ServiceWish::AsFound)
    ];
    let servers = prop::collection::btree_map((1..6_u8).prop_map(server), wish, 0..5);
    let strangers = prop_oneof![
        Just(Strangers::Ignored),
        Just(Strangers::Kept),
        Just(Strangers::Removed)
    ];
    let wanted =
        (service, servers, strangers).prop_map(|(service, servers, strangers)| DesiredService {
            service,
            servers,
            strangers,
        });
    prop::collection::btree_map((1..5_u8).prop_map(key), wanted, 0..4)
}

/// What is wanted where a table is exactly so.
fn wanting(actual: &Table) -> Desired {
    let wish = |(&key, entry): (&VirtualServiceKey, &TableEntry)| {
        let servers = entry.servers.iter();
        let wanted = DesiredService {
            service: ServiceWish::Owned(entry.service.clone()),
            servers: servers
                .map(|(&server, &settings)| (server, ServerWish::In(settings)))
                .collect(),
            strangers: Strangers::Removed,
        };
        (key, wanted)
    };
    actual.iter().map(wish).collect()
}

/// Whether each owned key of `after` is as wanted; `before` is what was found.
fn is_as_wanted(desired: &Desired, before: &Table, after: &Table) -> Result<(), TestCaseError> {
    for (key, wanted) in desired {
        let (found, now) = (before.get(key), after.get(key));
        match wanted.service {
            ServiceWish::Absent => prop_assert!(now.is_none()),
            ServiceWish::Present(ref settings) => {
                let kept = found.map_or(settings, |entry| &entry.service);
                prop_assert_eq!(now.map(|entry| &entry.service), Some(kept));
            }
            ServiceWish::Owned(ref settings) => {
                prop_assert!(now.is_some_and(|it| service_agrees(settings, &it.service)));
            }
            ServiceWish::Foreign | ServiceWish::AsFound => {
                prop_assert_eq!(
                    now.map(|entry| &entry.service),
                    found.map(|entry| &entry.service)
                );
            }
        }
        let Some(now) = now else { continue };
        let strangers = |entry: &TableEntry| {
            let all = entry.servers.keys();
            all.filter(|server| !wanted.servers.contains_key(server))
                .count()
        };
        let left = match wanted.strangers {
            Strangers::Removed => 0,
            Strangers::Ignored | Strangers::Kept => found.map_or(0, strangers),
        };
        prop_assert_eq!(strangers(now), left);
        for (server, wish) in &wanted.servers {
            let is = now.servers.get(server);
            match wish {
                ServerWish::In(settings) => {
                    prop_assert!(is.is_some_and(|is| agrees(settings, is)));
                }
                ServerWish::Out => prop_assert_eq!(is, None),
                ServerWish::AsFound => {
                    prop_assert_eq!(is, found.and_then(|entry| entry.servers.get(server)));
                }
            }
        }
    }
    Ok(())
}

/// Both keys that a command names.
fn names(command: &Command) -> (VirtualServiceKey, Option<RealServerKey>) {
    match *command {
        Command::AddService(key, _)
        | Command::EditService(key, _)
        | Command::DeleteService(key) => (key, None),
        Command::AddServer(key, server, _)
        | Command::EditServer(key, server, _)
        | Command::DeleteServer(key, server) => (key, Some(server)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_table_that_is_as_wanted_is_left_alone(table in actual_table()) {
        prop_assert_eq!(diff(&wanting(&table), &table), []);
    }

    #[test]
    fn after_the_commands_the_table_is_as_wanted(
        desired in desired_table(),
        found in actual_table(),
    ) {
        let mut table = found.clone();
        for command in diff(&desired, &found) {
            let (key, server) = names(&command);
            let wanted = desired.get(&key);
            prop_assert!(wanted.is_some(), "{command} names a virtual service of others");
            if let Some(server) = server {
                let owned = wanted.is_some_and(|wanted| {
                    wanted.servers.contains_key(&server)
                        || wanted.strangers == Strangers::Removed
                });
                prop_assert!(owned, "{command} names a real server of others");
            }
            prop_assert_eq!(apply(&mut table, &command), Ok(()), "{}", command);
        }
        is_as_wanted(&desired, &found, &table)?;
        prop_assert_eq!(diff(&desired, &table), []);
    }

    #[test]
    fn no_service_is_empty_while_a_server_waits(
        desired in desired_table(),
        found in actual_table(),
    ) {
        let mut table = found.clone();
        let commands = diff(&desired, &found);
        for (at, command) in commands.iter().enumerate() {
            apply(&mut table, command).unwrap();
            let Command::DeleteServer(key, _) = command else { continue };
            let waits = |later: &Command| matches!(later, Command::AddServer(of, ..) if of == key);
            prop_assert!(!table[key].servers.is_empty() || !commands[at..].iter().any(waits));
        }
    }
}
