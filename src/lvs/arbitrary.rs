//! Values of the vocabulary for property tests, here and in [`crate::ipvs`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::{
    Family, Forwarding, GueChecksum, Protocol, RealServer, RealServerKey, ServiceFlags, Table,
    TableEntry, Tunnel, VirtualService, VirtualServiceKey, Weight,
};
use crate::lvs::Scheduler;

/// What can be asked for: not what only the kernel sets.
pub(crate) fn forwarding() -> impl Strategy<Value = Forwarding> {
    prop_oneof![
        Just(Forwarding::Nat),
        Just(Forwarding::Dr),
        tunnel().prop_map(Forwarding::Tun)
    ]
}

fn tunnel() -> impl Strategy<Value = Tunnel> {
    let checksum = prop_oneof![
        Just(GueChecksum::None),
        Just(GueChecksum::Csum),
        Just(GueChecksum::Remcsum)
    ];
    prop_oneof![
        Just(Tunnel::Ipip),
        any::<bool>().prop_map(|checksum| Tunnel::Gre { checksum }),
        (any::<std::num::NonZeroU16>(), checksum)
            .prop_map(|(port, checksum)| Tunnel::Gue { port, checksum })
    ]
}

pub(crate) fn real_server() -> impl Strategy<Value = RealServer> {
    (forwarding(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
        |(forwarding, weight, upper_threshold, lower_threshold)| RealServer {
            forwarding,
            weight: Weight(weight),
            upper_threshold,
            lower_threshold,
        },
    )
}

/// Few addresses and ports, so that they meet.
fn address() -> impl Strategy<Value = SocketAddr> {
    let four = (1..4_u8).prop_map(|last| Ipv4Addr::new(10, 0, 0, last).into());
    let six = (1..4_u16).prop_map(|last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last).into());
    (
        prop_oneof![four, six],
        prop_oneof![Just(0), Just(80), any::<u16>()],
    )
        .prop_map(|(address, port)| SocketAddr::new(address, port))
}

pub(crate) fn real_key() -> impl Strategy<Value = RealServerKey> {
    address().prop_map(RealServerKey)
}

pub(crate) fn key() -> impl Strategy<Value = VirtualServiceKey> {
    let protocol = prop_oneof![
        Just(Protocol::Tcp),
        Just(Protocol::Udp),
        Just(Protocol::Sctp)
    ];
    let family = prop_oneof![Just(Family::V4), Just(Family::V6)];
    let mark = prop_oneof![1..4_u32, 1..=u32::MAX];
    prop_oneof![
        (protocol, address()).prop_map(|(protocol, at)| VirtualServiceKey::Address(protocol, at)),
        (family, mark).prop_map(|(family, mark)| VirtualServiceKey::Mark(family, mark))
    ]
}

/// Settings of a virtual service of that family.
pub(crate) fn service(family: Family) -> impl Strategy<Value = VirtualService> {
    let name = prop_oneof![Just("wlc"), Just("sh"), Just("mh"), Just("rr")];
    let netmask = match family {
        Family::V4 => (0..=32_u32)
            .prop_map(|prefix| u32::MAX.checked_shl(32 - prefix).unwrap_or(0))
            .boxed(),
        Family::V6 => (1..=128_u32).boxed(),
    };
    let engine = prop_oneof![Just(None), Just(Some("sip"))];
    (
        name,
        0..64_u32,
        prop_oneof![Just(0), any::<u32>()],
        netmask,
        engine,
    )
        .prop_map(
            move |(name, flags, persistence_seconds, netmask, engine)| VirtualService {
                flags: ServiceFlags::from_bits(flags),
                persistence_seconds,
                netmask,
                persistence_engine: engine.map(Into::into),
                ..VirtualService::plain(family, Scheduler::new(name).expect("a name"))
            },
        )
}

pub(crate) fn table() -> impl Strategy<Value = Table> {
    let entry = key().prop_flat_map(|key| {
        let servers = prop::collection::btree_map(real_key(), real_server(), 0..4);
        (Just(key), service(key.family()), servers)
    });
    prop::collection::vec(entry, 0..5).prop_map(|entries| {
        let entries = entries.into_iter();
        let entries = entries.map(|(key, service, servers)| (key, TableEntry { service, servers }));
        entries.collect::<BTreeMap<_, _>>()
    })
}
