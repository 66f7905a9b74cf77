//! Slips of keepalived.conf that keepalived passes over, and what it makes of them.

use super::*;

/// The places and texts of one kind of remark.
fn said(imported: &Imported, kind: RemarkKind) -> Vec<(usize, &str)> {
    let remarks = imported.remarks.iter().filter(|it| it.kind == kind);
    remarks
        .map(|it| (it.place.line, it.text.as_str()))
        .collect()
}

/// Lines of a virtual server, its protocol here, and the lines and beginnings of what is said.
type Slip<'a> = (&'a str, &'a str, &'a [(usize, &'a str)]);

#[test]
fn a_virtual_server_without_protocol_is_udp_as_for_keepalived() {
    let none = "no protocol: keepalived takes UDP; write protocol TCP where that is meant";
    let unknown =
        "\"FOO\" is no protocol: keepalived passes over the line; write protocol TCP, UDP or SCTP";
    let again = |it: &str| format!("another protocol stands above; {it}, the last one, counts");
    let (tcp, udp) = (again("tcp"), again("udp"));
    let cases: [Slip<'_>; 9] = [
        ("", "udp", &[(1, none)]),
        ("protocol", "udp", &[(1, none), (2, "")]),
        ("protocol FOO", "udp", &[(1, none), (2, unknown)]),
        ("protocol tcp", "tcp", &[]),
        ("protocol TCP\nprotocol FOO", "tcp", &[(3, unknown)]),
        ("protocol FOO\nprotocol SCTP", "sctp", &[(2, unknown)]),
        ("protocol TCP\nprotocol UDP", "udp", &[(3, &udp)]),
        ("protocol UDP\nprotocol tcp", "tcp", &[(3, &tcp)]),
        ("protocol TCP\nprotocol tcp", "tcp", &[]),
    ];
    for (lines, protocol, expected) in cases {
        let text = format!(
            "virtual_server 10.0.0.3 53 {{\n{lines}\nreal_server 10.0.0.7 53 {{\nTCP_CHECK {{\n}}\n}}\n}}\n"
        );
        let imported = of(Format::Keepalived, &text);
        let wanted = format!("virtual 10.0.0.3:53\n    protocol {protocol}\n");
        assert!(
            imported.text.contains(&wanted),
            "{lines}\n{}",
            imported.text
        );
        let said = said(&imported, RemarkKind::Tolerated);
        let lines_of = |it: &[(usize, &str)]| it.iter().map(|it| it.0).collect::<Vec<_>>();
        assert_eq!(lines_of(&said), lines_of(expected), "{lines}: {said:?}");
        for ((_, text), (_, begin)) in said.iter().zip(expected) {
            assert!(text.starts_with(begin), "{lines}: {text}");
        }
    }
}

#[test]
fn a_mark_needs_no_protocol_and_its_neighbours_in_a_group_do() {
    let of_group = |members: &str| {
        let text = format!(
            "virtual_server_group G {{\n{members}}}\nvirtual_server group G {{\n \
             real_server 10.0.0.7 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n"
        );
        of(Format::Keepalived, &text)
    };
    let marked = of_group("fwmark 5\n");
    assert_eq!(marked.remarks, [], "{}", marked.text);
    let mixed = of_group("fwmark 5\n10.0.0.3 80\n");
    assert_eq!(said(&mixed, RemarkKind::Tolerated).len(), 1);
    assert!(
        mixed
            .text
            .contains("virtual 10.0.0.3:80\n    protocol udp\n")
    );
}
