use proptest::prelude::*;

use super::*;
use crate::lvs::{Interface, SyncChange, SyncDaemon, SyncRole, Tunnel, arbitrary};

/// Number that the kernel of the golden messages gave the family.
const FAMILY: u16 = 0x1c;

fn key(text: &str) -> VirtualServiceKey {
    text.parse().unwrap()
}

fn real(text: &str) -> RealServerKey {
    RealServerKey(text.parse().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    let words: Vec<String> = bytes
        .chunks(4)
        .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    words.join(" ")
}

fn only_part(datagram: &[u8]) -> Vec<u8> {
    let messages: Vec<_> = messages(datagram).map(Result::unwrap).collect();
    let [message] = messages[..] else {
        panic!("{messages:?}")
    };
    let Answer::Part(part) = message.answer else {
        panic!("{message:?}")
    };
    part.to_vec()
}

#[cfg(target_endian = "little")]
#[test]
fn an_added_real_server_has_exactly_these_bytes() {
    let to = RealServer {
        upper_threshold: 100,
        lower_threshold: 50,
        ..RealServer::new(Forwarding::Dr, Weight(5))
    };
    let command = Command::AddServer(key("10.0.0.3:80/tcp"), real("192.168.0.1:80"), to);
    assert_eq!(
        hex(&command_request(FAMILY, 7, &command)),
        "8c000000 1c000500 07000000 00000000 05010000 \
         30000180 06000100 02000000 06000200 06000000 \
         14000300 0a000003 00000000 00000000 00000000 06000400 00500000 \
         48000280 14000100 c0a80001 00000000 00000000 00000000 06000200 00500000 \
         06000b00 02000000 08000300 03000000 08000400 05000000 08000500 64000000 \
         08000600 32000000"
    );
}

#[cfg(target_endian = "little")]
#[test]
fn the_kind_of_a_tunnel_has_exactly_these_bytes() {
    let cases = [
        ("tun", ""),
        ("tun gre csum", " 05000d00 02000000 06000f00 01000000"),
        (
            "tun gue 6080 remcsum",
            " 05000d00 01000000 06000e00 17c00000 06000f00 02000000",
        ),
    ];
    for (text, expected) in cases {
        let to = RealServer::new(text.parse().unwrap(), Weight(5));
        let command = Command::AddServer(key("10.0.0.3:80/tcp"), real("192.168.0.1:80"), to);
        let bytes = hex(&command_request(FAMILY, 7, &command));
        let rest = bytes.split_once(" 08000600 00000000").unwrap().1;
        assert_eq!(rest, expected, "{text}");
    }
}

#[test]
fn a_tunnel_of_a_kind_yet_to_come_is_no_entry_of_ours() {
    let to = RealServer::new("tun gue 6080".parse().unwrap(), Weight(5));
    let command = Command::AddServer(key("10.0.0.3:80/tcp"), real("192.168.0.1:80"), to);
    let mut part = only_part(&command_request(FAMILY, 7, &command));
    let at = part.windows(2).position(|it| it == [13, 0]).unwrap() + 2;
    part[at] = 9;
    assert_eq!(read_server(&part, Family::V4), Ok(None));
}

#[cfg(target_endian = "little")]
#[test]
fn an_added_virtual_service_has_exactly_these_bytes() {
    let mut service = VirtualService::plain(Family::V4, Scheduler::new("rr").unwrap());
    service.persistence_seconds = 60;
    service.netmask = 0xffff_ff00;
    let command = Command::AddService(key("10.0.0.3:80/tcp"), service);
    let text = hex(&command_request(FAMILY, 7, &command));
    let settings =
        "07000600 72720000 0c000700 01000000 ffffffff 08000800 3c000000 08000900 ffffff00";
    assert!(text.ends_with(settings), "{text}");
}

#[cfg(target_endian = "little")]
#[test]
fn an_edited_virtual_service_leaves_unknown_flags_alone() {
    let mut service = VirtualService::plain(Family::V4, Scheduler::new("rr").unwrap());
    service.flags = ServiceFlags::ONE_PACKET;
    let command = Command::EditService(key("10.0.0.3:80/tcp"), service);
    let text = hex(&command_request(FAMILY, 7, &command));
    assert!(text.contains(" 02010000 "), "{text}");
    let settings = "0c000700 04000000 3d000000 08000800 00000000 08000900 ffffffff";
    assert!(text.ends_with(settings), "{text}");
}

#[cfg(target_endian = "little")]
#[test]
fn a_mark_service_is_named_by_its_mark_only() {
    let command = Command::DeleteService(key("fwmark 7/v6"));
    assert_eq!(
        hex(&command_request(FAMILY, 1, &command)),
        "28000000 1c000500 01000000 00000000 03010000 14000180 06000100 0a000000 08000500 07000000"
    );
}

#[cfg(target_endian = "little")]
#[test]
fn the_family_is_asked_for_by_name() {
    assert_eq!(
        hex(&family_request(1)),
        "20000000 10000500 01000000 00000000 03010000 09000200 49505653 00000000"
    );
    let answer = [6, 0, 1, 0, 0x1c, 0, 0, 0];
    assert_eq!(read_family(&answer), Ok(FAMILY));
    assert!(read_family(&answer[..4]).is_err());
}

#[test]
fn everything_asked_for_is_read_back_as_it_was() {
    let mut six = VirtualService::plain(Family::V6, Scheduler::new("sh").unwrap());
    six.netmask = 64;
    six.persistence_seconds = 60;
    six.flags = ServiceFlags::FLAG_1;
    six.persistence_engine = Some("sip".into());
    let four = VirtualService::plain(Family::V4, Scheduler::wlc());
    let services = [
        (key("10.0.0.3:80/tcp"), four.clone()),
        (key("10.0.0.3:53/udp"), four.clone()),
        (key("10.0.0.3:7/sctp"), four.clone()),
        (key("fwmark 7"), four),
        (key("[2001:db8::3]:80/tcp"), six.clone()),
        (key("fwmark 4294967295/v6"), six),
    ];
    let servers = [
        (
            real("192.168.0.1:80"),
            RealServer::new(Forwarding::Nat, Weight(u32::MAX)),
        ),
        (
            real("192.168.0.1:0"),
            RealServer::new(Forwarding::Tun(Tunnel::Ipip), Weight(0)),
        ),
        (
            real("[2001:db8::11]:80"),
            RealServer::new(Forwarding::Dr, Weight(1)),
        ),
        (
            real("192.168.0.2:80"),
            RealServer::new(Forwarding::Local, Weight(1)),
        ),
        (
            real("192.168.0.3:80"),
            RealServer::new(Forwarding::Bypass, Weight(1)),
        ),
    ];
    for (key, service) in services {
        let add = command_request(FAMILY, 1, &Command::AddService(key, service.clone()));
        assert_eq!(read_service(&only_part(&add)), Ok(Some((key, service))));
        for (server, to) in servers {
            let add = command_request(FAMILY, 1, &Command::AddServer(key, server, to));
            let part = only_part(&add);
            assert_eq!(read_server(&part, key.family()), Ok(Some((server, to))));
        }
    }
}

#[test]
fn the_kernels_own_notes_are_left_out() {
    let mut inner = service_key(key("10.0.0.3:80/tcp"));
    put(&mut inner, SVC_SCHEDULER, b"rr\0");
    put(
        &mut inner,
        SVC_FLAGS,
        &[
            ServiceFlags::HASHED_BIT.to_ne_bytes(),
            u32::MAX.to_ne_bytes(),
        ]
        .concat(),
    );
    put(&mut inner, SVC_TIMEOUT, &360_u32.to_ne_bytes());
    // 64-bit counters, and an attribute of a kernel yet to come.
    put(&mut inner, 12, &[1; 80]);
    put(&mut inner, 99, b"?");
    let mut body = Vec::new();
    nest(&mut body, CMD_SERVICE, &inner);
    let plain = VirtualService::plain(Family::V4, Scheduler::new("rr").unwrap());
    assert_eq!(
        read_service(&body),
        Ok(Some((key("10.0.0.3:80/tcp"), plain)))
    );
}

#[test]
fn a_flag_yet_to_come_is_kept() {
    let mut service = VirtualService::plain(Family::V4, Scheduler::wlc());
    service.flags = ServiceFlags::from_bits(1 << 20).with(ServiceFlags::ONE_PACKET);
    let web = key("10.0.0.3:80/tcp");
    let add = command_request(FAMILY, 1, &Command::AddService(web, service.clone()));
    assert_eq!(read_service(&only_part(&add)), Ok(Some((web, service))));
}

#[test]
fn connections_stand_beside_a_real_server() {
    let mut inner = Vec::new();
    for (kind, count) in [(7, 3_u32), (8, 1), (9, 2)] {
        put(&mut inner, kind, &count.to_ne_bytes());
    }
    let mut body = Vec::new();
    nest(&mut body, CMD_DEST, &inner);
    let counts = ConnectionCounts {
        active: 3,
        inactive: 1,
        persistent: 2,
    };
    assert_eq!(read_counts(&body), Ok(counts));
}

fn daemon() -> SyncDaemon {
    SyncDaemon::new(SyncRole::Master, Interface::new("br0").unwrap(), 7)
}

#[cfg(target_endian = "little")]
#[test]
fn a_synchronisation_daemon_has_exactly_these_bytes() {
    let mut daemon = daemon();
    daemon.length_max = Some(1400);
    daemon.group = Some("224.0.0.82".parse().unwrap());
    daemon.port = Some(8849);
    daemon.ttl = Some(2);
    let start = sync::sync_request(FAMILY, 7, &SyncChange::Start(daemon));
    assert_eq!(
        hex(&start[16..]),
        "09010000 3c000380 08000100 01000000 08000200 62723000 08000300 07000000 \
         06000400 78050000 08000500 e0000052 06000700 91220000 05000800 02000000"
    );
    let stop = sync::sync_request(FAMILY, 7, &SyncChange::Stop(SyncRole::Backup));
    assert_eq!(hex(&stop[16..]), "0a010000 0c000380 08000100 02000000");
}

#[test]
fn a_synchronisation_daemon_is_read_back_as_it_was() {
    let mut full = daemon();
    full.role = SyncRole::Backup;
    full.length_max = Some(u16::MAX);
    full.group = Some("ff02::1:81".parse().unwrap());
    full.port = Some(1);
    full.ttl = Some(255);
    for daemon in [daemon(), full] {
        let start = SyncChange::Start(daemon.clone());
        let part = only_part(&sync::sync_request(FAMILY, 1, &start));
        assert_eq!(sync::read_daemon(&part), Ok(Some(daemon)));
    }
    let stop = SyncChange::Stop(SyncRole::Master);
    let part = only_part(&sync::sync_request(FAMILY, 1, &stop));
    assert!(sync::read_daemon(&part).is_err());
}

#[test]
fn an_old_kernel_names_no_family_of_a_real_server() {
    let mut inner = Vec::new();
    put(
        &mut inner,
        DEST_ADDRESS,
        &address_bytes("2001:db8::11".parse().unwrap()),
    );
    put(&mut inner, DEST_PORT, &80_u16.to_be_bytes());
    let mut body = Vec::new();
    nest(&mut body, CMD_DEST, &inner);
    let read = read_server(&body, Family::V6).unwrap().unwrap();
    assert_eq!(read.0, real("[2001:db8::11]:80"));
}

#[test]
fn a_datagram_holds_several_messages() {
    let part = |flags| message(FAMILY, 7, flags, NEW_DEST, &[1, 2, 3, 4]);
    let end = |kind: u16, code: i32| {
        let mut out = part(0);
        out.truncate(HEADER_LEN);
        out.extend(code.to_ne_bytes());
        out[..4].copy_from_slice(&20_u32.to_ne_bytes());
        out[4..6].copy_from_slice(&kind.to_ne_bytes());
        out
    };
    let datagram = [
        part(0),
        part(NLM_F_DUMP_INTR),
        end(NLMSG_DONE, 0),
        end(NLMSG_ERROR, 0),
        end(NLMSG_ERROR, -17),
        end(NLMSG_NOOP, 0),
    ]
    .concat();
    let read: Vec<_> = messages(&datagram).map(Result::unwrap).collect();
    let answers: Vec<_> = read.iter().map(|message| message.answer).collect();
    let expected = [
        Answer::Part(&[1, 2, 3, 4]),
        Answer::Part(&[1, 2, 3, 4]),
        Answer::Ended(Ok(())),
        Answer::Ended(Ok(())),
        Answer::Ended(Err(17)),
        Answer::Nothing,
    ];
    assert_eq!(answers, expected);
    let interrupted: Vec<_> = read.iter().map(|message| message.interrupted).collect();
    assert_eq!(interrupted, [false, true, false, false, false, false]);
    assert!(read.iter().all(|message| message.sequence == 7));
    assert!(messages(&datagram[..30]).any(|message| message.is_err()));
}

proptest! {
    #[test]
    fn whatever_is_asked_for_is_read_back(
        (key, service) in arbitrary::key()
            .prop_flat_map(|key| (Just(key), arbitrary::service(key.family()))),
        server in arbitrary::real_key(),
        to in arbitrary::real_server(),
    ) {
        let add = Command::AddService(key, service.clone());
        let part = only_part(&command_request(FAMILY, 1, &add));
        prop_assert_eq!(read_service(&part), Ok(Some((key, service))));
        let edit = Command::EditServer(key, server, to);
        let part = only_part(&command_request(FAMILY, 1, &edit));
        prop_assert_eq!(read_server(&part, key.family()), Ok(Some((server, to))));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for message in messages(&bytes).flatten() {
            if let Answer::Part(part) = message.answer {
                let _ = read_service(part);
            }
        }
        let _ = (read_family(&bytes), read_service(&bytes), read_counts(&bytes));
        let _ = (sync::read_daemon(&bytes), sync::read_timeouts(&bytes));
        let _ = (read_server(&bytes, Family::V4), read_server(&bytes, Family::V6));
    }

    #[test]
    fn no_damage_to_an_answer_panics(at in 0_usize..200, value: u8, cut in 0_usize..200) {
        let to = RealServer::new(Forwarding::Dr, Weight(5));
        let service = VirtualService::plain(Family::V4, Scheduler::wlc());
        let web = key("10.0.0.3:80/tcp");
        let mut bytes = command_request(FAMILY, 7, &Command::AddService(web, service));
        bytes.extend(command_request(FAMILY, 7, &Command::AddServer(web, real("192.168.0.1:80"), to)));
        let last = bytes.len() - 1;
        bytes[at.min(last)] = value;
        bytes.truncate(bytes.len() - cut.min(last));
        for message in messages(&bytes).flatten() {
            if let Answer::Part(part) = message.answer {
                let _ = (read_service(part), read_server(part, Family::V4));
            }
        }
    }
}
