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

/// What comes of a virtual service whose mail goes to these words.
fn mailed(words: &str, is_keepalived: bool) -> Imported {
    if is_keepalived {
        let text = format!(
            "global_defs {{\n notification_email {{\n{words}\n }}\n}}\nvirtual_server 10.0.0.3 80 {{\n \
             protocol TCP\n real_server 10.0.0.7 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n"
        );
        of(Format::Keepalived, &text)
    } else {
        let text = format!(
            "emailalert=\"{words}\"\nvirtual=10.0.0.3:80\n\treal=10.0.0.7:80 masq\n\t\
             checktype=connect\n"
        );
        of(Format::Ldirectord, &text)
    }
}

fn alert_line(imported: &Imported) -> Option<&str> {
    let mut lines = imported.text.lines().map(str::trim);
    lines.find_map(|it| it.strip_prefix("alert mail.alert "))
}

#[test]
fn no_recipient_vanishes_unsaid() {
    let all = "ops@x.y dba@x.y boss@x.y";
    for (words, expected, commas) in [
        ("ops@x.y dba@x.y boss@x.y", all, 0),
        ("ops@x.y,", "ops@x.y", 1),
        ("ops@x.y, # team", "ops@x.y", 1),
        ("ops@x.y, dba@x.y, boss@x.y", all, 1),
        ("ops@x.y,dba@x.y\nboss@x.y", all, 1),
        ("ops@x.y,\ndba@x.y,\nboss@x.y", all, 2),
        (
            "\u{fc}ser@ex\u{e4}mple.org",
            "\u{fc}ser@ex\u{e4}mple.org",
            0,
        ),
        ("o'brien@x.y", "\"o'brien@x.y\"", 0),
        ("'ops@x.y' \"dba@x.y\" <boss@x.y>", all, 0),
    ] {
        let imported = mailed(words, true);
        assert_eq!(alert_line(&imported), Some(expected), "{words}");
        assert_eq!(lost(&imported), Vec::<&str>::new(), "{words}");
        let said = said(&imported, RemarkKind::Tolerated);
        assert_eq!(said.len(), commas, "{words}: {said:?}");
        assert!(
            config::load_text(&imported.text).is_ok(),
            "{}",
            imported.text
        );
    }
}

#[test]
fn what_is_no_mail_address_costs_itself_alone() {
    for bad in [
        "user@[10.0.0.1]",
        "ops@x.y;",
        "x@y@z",
        "@x",
        "x@",
        "-x@y",
        "a\\b@x.y",
    ] {
        for is_keepalived in [true, false] {
            let imported = mailed(&format!("good@x.y {bad} more@x.y"), is_keepalived);
            let line = alert_line(&imported);
            assert_eq!(
                line,
                Some("good@x.y more@x.y"),
                "{bad}: {:?}",
                imported.remarks
            );
            let lost = lost(&imported);
            assert_eq!(lost.len(), 1, "{lost:?}");
            let expected = format!("\"{bad}\" is no mail address and is left out");
            assert!(lost[0].ends_with(&expected), "{lost:?}");
        }
    }
    let apostrophe = mailed("o'brien@x.y", false);
    assert_eq!(alert_line(&apostrophe), Some("\"o'brien@x.y\""));
    assert!(apostrophe.is_complete());
    let alone = mailed("ops@x.y;", true);
    assert_eq!((alert_line(&alone), lost(&alone).len()), (None, 1));
}

#[test]
fn the_sender_keeps_its_apostrophe() {
    let text = "global_defs {\n notification_email_from \"Pat\" <o'brien@x.y>\n}\n\
                virtual_server 10.0.0.3 80 {\n protocol TCP\n real_server 10.0.0.7 80 {\n }\n}\n";
    let imported = of(Format::Keepalived, text);
    assert!(
        imported.text.contains("mail_from = o'brien@x.y\n"),
        "{}",
        imported.text
    );
    assert!(imported.is_complete(), "{:?}", imported.remarks);
}

#[test]
fn a_second_group_of_one_name_is_lost_and_the_first_one_counts() {
    let text = "virtual_server_group G {\n 10.1.0.1 80\n}\nvirtual_server_group G {\n 10.1.0.9 80\n}\n\
                virtual_server group G {\n protocol TCP\n real_server 10.0.0.7 80 {\n }\n}\n";
    let imported = of(Format::Keepalived, text);
    assert_eq!(
        said(&imported, RemarkKind::NoEquivalent),
        [(
            4,
            "the group G is in the file already; the first one counts"
        )]
    );
    assert!(imported.text.contains("virtual 10.1.0.1:80\n"));
    assert!(!imported.text.contains("10.1.0.9"), "{}", imported.text);
}

#[test]
fn notify_up_without_an_alert_is_called_nevertheless() {
    let of_server = |lines: &str| {
        let text = format!(
            "virtual_server 10.0.0.3 80 {{\n protocol TCP\n real_server 10.0.0.7 80 {{\n{lines}\n }}\n}}\n"
        );
        let imported = of(Format::Keepalived, &text);
        let warnings = config::load_text(&imported.text).unwrap().1;
        let upalerts: Vec<String> = warnings
            .iter()
            .map(|it| it.message.clone())
            .filter(|it| it.contains("upalert"))
            .collect();
        assert_eq!(upalerts, Vec::<String>::new(), "{}", imported.text);
        imported
    };
    let check = "TCP_CHECK {\n retry 0\n}";
    let alone = of_server(&format!("notify_up /bin/up\n{check}"));
    assert!(
        alone
            .text
            .contains("            no_comp_alerts\n            upalert /bin/up\n"),
        "{}",
        alone.text
    );
    let both = of_server(&format!(
        "notify_up /bin/up\nnotify_down /bin/down\n{check}"
    ));
    assert!(!both.text.contains("no_comp_alerts"), "{}", both.text);
    let retried = of_server("notify_up /bin/up\nTCP_CHECK {\n}");
    let notes = said(&retried, RemarkKind::Note);
    assert!(
        notes.iter().any(|it| it.1.contains("a retry takes back")),
        "{notes:?}"
    );
}

#[test]
fn a_misspelt_block_at_the_top_is_named() {
    let good = "virtual_server 10.0.0.3 80 {\n protocol TCP\n real_server 10.0.0.7 80 {\n }\n}\n";
    for (name, inner, meant) in [
        (
            "virtualserver 10.0.0.4 80",
            "lb_algo rr",
            Some("virtual_server?"),
        ),
        (
            "Virtual_Server 10.0.0.4 80",
            "lb_algo rr",
            Some("virtual_server?"),
        ),
        (
            "virtual_server_grp G",
            "10.0.0.4 80",
            Some("virtual_server_group?"),
        ),
        (
            "vs 10.0.0.4 80",
            "real_server 10.0.0.7 80 {\n }",
            Some("virtual_server?"),
        ),
        ("vrrp_instance V", "state MASTER", None),
        ("static_ipaddress", "10.0.0.4/24 dev eth0", None),
    ] {
        let imported = of(
            Format::Keepalived,
            &format!("{good}{name} {{\n {inner}\n}}\n"),
        );
        let lost = lost(&imported);
        assert_eq!(lost.len(), usize::from(meant.is_some()), "{name}: {lost:?}");
        if let Some(meant) = meant {
            assert!(
                lost[0].ends_with(&format!("did you mean {meant}")),
                "{lost:?}"
            );
        }
    }
}

#[test]
fn what_keepalived_drops_inside_of_a_virtual_server_is_said() {
    for (level, lines, expected) in [
        (
            "virtual",
            "persistence_granularity 255.255.255.0",
            "persistence_granularity means nothing",
        ),
        (
            "check",
            "connect_ip 10.0.0.9 connect_port 81",
            "connect_ip takes one word",
        ),
        (
            "check",
            "connect_port 81 connect_ip 10.0.0.9",
            "connect_port takes one word",
        ),
        ("url", "path /a b", "path takes one word"),
        ("url", "regex a b", "regex takes one word"),
        (
            "check",
            "connect_port 99999",
            "connect_port is no number from 1 to 65535",
        ),
    ] {
        let at = |it: &str| if it == level { lines } else { "" };
        let text = format!(
            "virtual_server 10.0.0.3 80 {{\n protocol TCP\n {}\n real_server 10.0.0.7 80 {{\n \
             HTTP_GET {{\n {}\n url {{\n {}\n }}\n }}\n }}\n}}\n",
            at("virtual"),
            at("check"),
            at("url")
        );
        let imported = of(Format::Keepalived, &text);
        let said = said(&imported, RemarkKind::Tolerated);
        assert_eq!(said.len(), 1, "{lines}: {said:?}");
        assert!(said[0].1.starts_with(expected), "{lines}: {said:?}");
    }
}

#[test]
fn hexadecimal_words_of_a_udp_check_are_bytes_of_their_own() {
    for (hex, expected) in [
        ("41 42", Some("-s AB -e AB")),
        ("4142", Some("-s AB -e AB")),
        // 04 01 42, which is no text.
        ("4 1 42", None),
        ("414", None),
        ("4x", None),
        ("+41", None),
    ] {
        let text = format!(
            "virtual_server 10.0.0.3 80 {{\n protocol UDP\n real_server 10.0.0.7 80 {{\n \
             UDP_CHECK {{\n payload {hex}\n require_reply {hex}\n }}\n }}\n}}\n"
        );
        let imported = of(Format::Keepalived, &text);
        let is_asked = expected.is_some_and(|it| imported.text.contains(it));
        assert_eq!(is_asked, expected.is_some(), "{hex}\n{}", imported.text);
        assert_eq!(
            lost(&imported).len(),
            usize::from(expected.is_none()),
            "{hex}"
        );
    }
}

/// What comes of words of the file, of the virtual server and of the real server.
fn with_words(global: &str, of_virtual: &str, of_real: &str) -> Imported {
    let text = format!(
        "global_defs {{\n notification_email {{ ops@x.y }}\n{global}\n}}\n\
         virtual_server 10.0.0.3 80 {{\n protocol TCP\n{of_virtual}\nreal_server 10.0.0.7 80 \
         {{\n{of_real}\nTCP_CHECK {{\n }}\n }}\n}}\n"
    );
    of(Format::Keepalived, &text)
}

/// What is said of a line that keepalived passes over.
fn passed(name: &str) -> String {
    format!(
        "{name} \"garbage\": keepalived passes over the line; write on, off, yes, no, true or \
         false"
    )
}

/// What is said of one that is on whatever stands behind it.
fn turned(name: &str, word: &str) -> String {
    format!("{name} takes no word in a virtual_server: keepalived drops \"{word}\", and it is on; ")
}

#[test]
fn a_switch_with_a_word_that_is_neither_yes_nor_no_is_as_for_keepalived() {
    // Lines of the file, the virtual server and the real server; what is there, and what is said.
    let (mail, alert) = ("            alert mail.alert", "\n    upalert mail.alert");
    let cases = [
        // Mail goes out by itself for real servers, and not for the virtual server.
        (["", "", "smtp_alert garbage"], mail, passed("smtp_alert")),
        (
            ["", "smtp_alert garbage", ""],
            "!\n    alert",
            passed("smtp_alert"),
        ),
        (
            ["", "smtp_alert\nsmtp_alert garbage", ""],
            alert,
            passed("smtp_alert"),
        ),
        (["smtp_alert garbage", "", ""], mail, passed("smtp_alert")),
        (
            ["smtp_alert_checker no\nsmtp_alert_checker garbage", "", ""],
            "!mail.alert",
            passed("smtp_alert_checker"),
        ),
        (["", "", "alpha garbage"], "initial in", passed("alpha")),
        (
            ["", "", "inhibit_on_failure garbage"],
            "!on_failure",
            passed("inhibit_on_failure"),
        ),
        (
            ["", "inhibit_on_failure", "inhibit_on_failure garbage"],
            "on_failure quiesce",
            passed("inhibit_on_failure"),
        ),
        (
            ["", "alpha garbage", ""],
            "initial out",
            turned("alpha", "garbage"),
        ),
        (["", "alpha no", ""], "initial out", turned("alpha", "no")),
        (["", "alpha", "alpha no"], "initial in", String::new()),
        (
            ["", "inhibit_on_failure off", ""],
            "on_failure quiesce",
            turned("inhibit_on_failure", "off"),
        ),
    ];
    for ([global, of_virtual, of_real], wanted, expected) in cases {
        let imported = with_words(global, of_virtual, of_real);
        let text = &imported.text;
        let body = text.lines().filter(|line| !line.starts_with('#'));
        let body = body.collect::<Vec<&str>>().join("\n");
        let lines = [global, of_virtual, of_real];
        match wanted.strip_prefix('!') {
            Some(unwanted) => assert!(!body.contains(unwanted), "{lines:?}\n{text}"),
            None => assert!(body.contains(wanted), "{lines:?}\n{text}"),
        }
        let found = said(&imported, RemarkKind::Tolerated);
        match expected.as_str() {
            "" => assert_eq!(found, [], "{lines:?}"),
            expected => assert!(
                found.len() == 1 && found[0].1.starts_with(expected),
                "{lines:?}: {found:?}"
            ),
        }
    }
}

#[test]
fn what_no_mailbox_is_called_is_no_recipient() {
    for word in [
        "$MAIL",
        "/dev/null",
        "|cmd",
        "root@-x.org",
        "root@x-.org",
        "root@x..org",
    ] {
        for is_keepalived in [true, false] {
            let imported = mailed(&format!("ops@x.y {word}"), is_keepalived);
            assert_eq!(alert_line(&imported), Some("ops@x.y"), "{word}");
            let wanted = format!("\"{word}\" is no mail address and is left out");
            let lost = lost(&imported);
            assert!(lost.len() == 1 && lost[0].contains(&wanted), "{lost:?}");
        }
    }
}

/// Its own code loses what it found while it looks whether the request begins with a slash.
#[test]
fn a_pair_of_a_real_line_that_ldirectord_passes_over_is_noted() {
    for (pair, count) in [
        ("\"/b\", \"well\"", 1),
        ("\"/b\" \"well\" u:5", 1),
        ("\"b\", \"well\"", 0),
        ("", 0),
    ] {
        let text = format!(
            "virtual=10.0.0.3:80\n\treal=10.0.0.7:80 gate 2 {pair}\n\tprotocol=tcp\n\t\
             service=http\n\trequest=\"/c\"\n\treceive=\"ok\"\n"
        );
        let imported = of(Format::Ldirectord, &text);
        let notes = said(&imported, RemarkKind::Note);
        let own = notes.iter().filter(|(line, _)| *line == 2);
        let own: Vec<&str> = own.map(|(_, text)| *text).collect();
        assert_eq!(own.len(), count, "{pair}: {notes:?}");
        assert!(own.iter().all(|it| it.contains("takes the server out")));
        assert!(imported.is_complete());
    }
}
