use proptest::prelude::*;

use super::*;

fn peer() -> IpAddr {
    "10.0.0.7".parse().unwrap()
}

fn read(text: &str) -> Result<Packet, Unreadable> {
    parse(text.as_bytes(), peer())
}

/// Captured from Perl's Mon::Client.
const CAPTURED: &str = "pro='0.3807'\nusr='joe'\npas='pw'\nspc='0'\nseq='0'\ntyp='trap'\ngrp='g'\n\
                        svc='s'\nsta='1'\nspc='0'\ntsp='1795216381'\nsum='sum\\20x'\n\
                        dtl='det\\20a\\0adet\\20b'\n";

#[test]
fn a_packet_of_the_library_is_read() {
    let packet = read(CAPTURED).unwrap();
    assert_eq!(
        (packet.user.as_str(), packet.password.as_slice()),
        ("joe", &b"pw"[..])
    );
    let expected = Trap {
        group: "g".to_owned(),
        service: "s".to_owned(),
        status: "1".to_owned(),
        summary: "sum x".to_owned(),
        detail: "det a\ndet b".to_owned(),
        from: peer(),
    };
    assert_eq!(packet.trap, expected);
    assert_eq!(packet.odd_lines, 0);
    assert!(!format!("{packet:?}").contains("pw"), "{packet:?}");
}

#[test]
fn what_we_send_is_what_the_library_sends() {
    let outgoing = Outgoing {
        user: "joe".to_owned(),
        password: "pw".to_owned(),
        group: "g".to_owned(),
        service: "s".to_owned(),
        status: "1".to_owned(),
        opstatus: 0,
        time: 1_795_216_381,
        summary: "sum x".to_owned(),
        detail: b"det a\ndet b".to_vec(),
    };
    assert_eq!(String::from_utf8(outgoing.render()).unwrap(), CAPTURED);
    assert!(!format!("{outgoing:?}").contains("pw"));
    let nobody = Outgoing {
        user: String::new(),
        ..outgoing
    };
    assert!(!String::from_utf8(nobody.render()).unwrap().contains("pas="));
}

#[test]
fn packets_of_every_shape_are_read_or_refused_with_a_reason() {
    let good = "pro=0.3807\ngrp=g\nsvc=s\nsta=1\n";
    let table: [(&str, Result<&str, Unreadable>); 21] = [
        ("", Err(Unreadable::NoTrap)),
        ("\n\n\n", Err(Unreadable::NoTrap)),
        ("garbage\n\n===", Err(Unreadable::NoTrap)),
        ("pro", Err(Unreadable::NoTrap)),
        ("\0\0\0=x", Err(Unreadable::NoTrap)),
        ("pro=\n", Err(Unreadable::Protocol)),
        ("grp=g\nsvc=s\nsta=1\n", Err(Unreadable::Protocol)),
        (
            "pro='0.3000'\ngrp=g\nsvc=s\nsta=1\n",
            Err(Unreadable::Protocol),
        ),
        ("pro=x\ngrp=g\nsvc=s\nsta=1\n", Err(Unreadable::Protocol)),
        ("pro=-1\ngrp=g\nsvc=s\nsta=1\n", Err(Unreadable::Protocol)),
        ("pro=0.3807\ngrp=g\nsvc=s\n", Err(Unreadable::NoStatus)),
        ("pro=0.3807\nsvc=s\nsta=1\n", Err(Unreadable::NoService)),
        ("pro=0.3807\ngrp=g\nsta=1\n", Err(Unreadable::NoService)),
        // As in the recordings: a large number is a young protocol.
        (
            "pro='9611'\ngrp='tg'\nsvc='ts'\nsta='4'\nsum='short packet'\n",
            Ok("tg ts 4 short packet"),
        ),
        (
            "pro='0.3807beta'\r\ngrp='g'\r\nsvc='s'\r\nsta='1'\r\n",
            Ok("g s 1 "),
        ),
        (good, Ok("g s 1 ")),
        // Order is free, the last of equal tags counts, unknown tags mean nothing.
        (
            "sta=1\nsvc=s\nxyz=1\nabcd=2\ngrp=a\ngrp=b\npro=1",
            Ok("b s 1 "),
        ),
        ("pro=1\ngrp=g\nsvc=s\nsta=", Ok("g s  ")),
        (
            "pro=1\ngrp='it\\27s'\nsvc='s\nsta=0\nsum='a'b'",
            Ok("it's 's 0 a'b"),
        ),
        // P-6 kept: a doubled backslash is not undone, one with digits behind it is a byte.
        (
            "pro=1\ngrp=g\nsvc=s\nsta=0\nsum=a\\\\b\\\\41\\5c\\4G\\C4",
            Ok("g s 0 a\\\\b\\A\\\\4G\\C4"),
        ),
        (
            "pro=1\ngrp=g\nsvc=s\nsta=0\nsum=\\e4\\",
            Ok("g s 0 \u{fffd}\\"),
        ),
    ];
    for (text, expected) in table {
        let got = read(text).map(|packet| {
            let Trap {
                group,
                service,
                status,
                summary,
                ..
            } = packet.trap;
            format!("{group} {service} {status} {summary}")
        });
        assert_eq!(got.as_deref().map_err(|&why| why), expected, "{text:?}");
    }
    assert_eq!(
        read(&format!("{good}a b\nx=y\n===\n")).unwrap().odd_lines,
        3
    );
    let long = format!("{good}grp={}\n", "x".repeat(NAME_MAX + 1));
    assert_eq!(read(&long), Err(Unreadable::TooLong));
    let mapped = parse(good.as_bytes(), "::ffff:10.0.0.7".parse().unwrap()).unwrap();
    assert_eq!(mapped.trap.from, peer());
}

#[test]
fn a_long_detail_is_cut_to_what_a_datagram_holds() {
    for byte in [b'x', b' ', 0xff] {
        for more in 0..4 {
            let outgoing = Outgoing {
                status: "1".to_owned(),
                summary: "s".repeat(SUMMARY_MAX + 9),
                detail: [vec![b'x'; more], vec![byte; 200_000]].concat(),
                ..Outgoing::default()
            };
            let bytes = outgoing.render();
            assert!(bytes.len() <= Outgoing::BYTES_MAX && bytes.len() > Outgoing::BYTES_MAX - 4);
            let packet = parse(&bytes, peer()).unwrap();
            assert_eq!(packet.trap.summary.len(), SUMMARY_MAX);
            let bad = |c: char| !matches!(c, 'x' | ' ' | '\u{fffd}');
            assert!(!packet.trap.detail.contains(bad));
        }
    }
}

#[test]
fn what_has_no_room_in_a_packet_is_said() {
    let mut outgoing = Outgoing {
        group: "g".to_owned(),
        service: "s".to_owned(),
        summary: "x".repeat(SUMMARY_MAX),
        detail: b"short".to_vec(),
        ..Outgoing::default()
    };
    assert_eq!(outgoing.left_out(), None);
    outgoing.summary = "x".repeat(70_000);
    outgoing.detail = vec![b' '; 70_000];
    let kept = parse(&outgoing.render(), peer()).unwrap().trap.detail.len();
    let expected = format!(
        "of the summary only the first 16000 of 70000 bytes, \
         of the detail only the first {kept} of 70000 bytes"
    );
    assert_eq!(outgoing.left_out(), Some(expected));
}

proptest! {
    #[test]
    fn what_is_sent_arrives(
        user in any::<String>(), password in any::<String>(), group in any::<String>(),
        service in any::<String>(), summary in any::<String>(), detail in any::<String>(),
        status in 0_u8..,
    ) {
        let outgoing = Outgoing {
            user: user.clone(), password: password.clone(), group: group.clone(),
            service: service.clone(), status: status.to_string(), opstatus: 1, time: 5,
            summary: summary.clone(), detail: detail.clone().into_bytes(),
        };
        let packet = parse(&outgoing.render(), peer()).unwrap();
        if !user.is_empty() {
            prop_assert_eq!(packet.password, password.into_bytes());
        }
        prop_assert_eq!(packet.user, user);
        prop_assert_eq!(packet.odd_lines, 0);
        let trap = Trap { group, service, status: status.to_string(), summary, detail, from: peer() };
        prop_assert_eq!(packet.trap, trap);
    }

    #[test]
    fn no_bytes_break_the_reading(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = parse(&bytes, peer());
        let _ = number(&bytes);
    }

    #[test]
    fn no_lines_break_the_reading(text in "((pro|usr|pas|grp|svc|sta|sum|dtl|x)=?'?[\\\\0-9a-f.' =]{0,9}'?\n){0,12}") {
        if let Ok(packet) = read(&text) {
            prop_assert!(packet.trap.group.len() <= text.len());
        }
    }
}
