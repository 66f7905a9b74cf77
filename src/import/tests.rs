use proptest::prelude::{ProptestConfig, any, proptest};

use super::*;

mod marks;
mod slips;

fn of(format: Format, text: &str) -> Imported {
    let reading = Reading {
        format: Some(format),
        config_id: None,
    };
    let mut none = |_: &Include| Err("no files here".to_owned());
    import(&reading, "f", text.as_bytes(), &mut none).unwrap()
}

fn lost(imported: &Imported) -> Vec<&str> {
    let lost = |it: &&Remark| it.kind == RemarkKind::NoEquivalent;
    let remarks = imported.remarks.iter().filter(lost);
    remarks.map(|it| it.text.as_str()).collect()
}

fn kinds(imported: &Imported, kind: RemarkKind) -> usize {
    imported.remarks.iter().filter(|it| it.kind == kind).count()
}

/// Lines of a section that may be said in any order, what the text has to hold, and the beginning
/// of what is lost.
type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

fn check(format: Format, cases: &[Case<'_>], whole: impl Fn(&str) -> String) {
    for (lines, wanted, unsaid) in cases {
        let imported = of(format, &whole(lines));
        for text in *wanted {
            // "!" says that it must not be there.
            let (text, is_wanted) = match text.strip_prefix('!') {
                Some(text) => (text, false),
                None => (*text, true),
            };
            assert_eq!(
                imported.text.contains(text),
                is_wanted,
                "{lines}: {text}\n{}",
                imported.text
            );
        }
        let lost = lost(&imported);
        assert_eq!(lost.len(), unsaid.len(), "{lines}: {lost:?}");
        for (found, wanted) in lost.iter().zip(*unsaid) {
            assert!(found.contains(wanted), "{lines}: {found} / {wanted}");
        }
    }
}

const LDIRECTORD: &[Case<'_>] = &[
    (
        "checktype=connect",
        &[
            "service tcp\n",
            "monitor tcp.monitor -p 80 -t 5\n",
            "interval 10s\n",
        ],
        &[],
    ),
    (
        "checktype=connect\ncheckport=8080\nchecktimeout=2",
        &["tcp.monitor -p 8080 -t 2\n"],
        &[],
    ),
    // What is no port is said, and each server has one of its own.
    (
        "checktype=connect\ncheckport=99999",
        &["tcp.monitor -p 80 -t 5\n", "!fping"],
        &[],
    ),
    (
        "checktype=connect\nprotocol=udp",
        &["protocol udp", "monitor fping.monitor -t 5000 -r 1\n"],
        &[],
    ),
    (
        "checktype=ping\ncheckcount=3\nchecktimeout=1",
        &["fping.monitor -t 1000 -r 2\n"],
        &[],
    ),
    ("checktype=on", &["service none", "!watch"], &[]),
    (
        "checktype=off",
        &["real 10.0.0.7 weight 0\n", "service none"],
        &["checktype=off"],
    ),
    ("service=none", &["service none"], &[]),
    (
        "checktype=external\ncheckcommand=/opt/check it\nchecktimeout=3",
        &["misc.monitor -t 3 -- '/opt/check it' 10.0.0.3 80 %h 80\n"],
        &[],
    ),
    (
        "checktype=external-perl\ncheckcommand=\"/opt/50%.pl\"",
        &["misc.monitor -t 5 -- /usr/bin/perl /opt/50%%.pl 10.0.0.3 80 %h 80\n"],
        &[],
    ),
    (
        "checktype=external",
        &["tcp.monitor -p 80", "!service none"],
        &[],
    ),
    (
        "checktype=4\nservice=http\ncheckinterval=2",
        &[
            "service tcp\n        interval 2s\n",
            "service http\n        interval 10s\n",
            "service vs-10.0.0.3-80:tcp vs-10.0.0.3-80:http\n",
        ],
        &[],
    ),
    ("checktype=7x", &["http.monitor"], &["checktype"]),
    (
        "request=\"index.html\"\nreceive=\"Test Page\"\nvirtualhost=www.x.y",
        &[
            "http.monitor -p 80 -t 30 -n www.x.y -u /index.html -m '^HTTP/[0-9.]+ 2[0-9][0-9].*?\\r?\\n\\r?\\n.*(?-s:Test Page)'\n",
        ],
        &[],
    ),
    (
        "receive=\"(?=a)b\"",
        &["-m '^HTTP/[0-9.]+ 2[0-9][0-9]'\n"],
        &["is not compared"],
    ),
    (
        "service=https\nnegotiatetimeout=7",
        &["http.monitor -p 80 -t 7 -s -k -u / -m"],
        &[],
    ),
    (
        "request=\"http://10.9.9.9:81/x\"",
        &[
            "hostgroup vs-10.0.0.3-80 10.9.9.9\n",
            "-p 81 ",
            "-u /x",
            "real 10.0.0.7 service vs-10.0.0.3-80:http\n",
        ],
        &[],
    ),
    ("httpmethod=HEAD", &["http.monitor"], &["httpmethod"]),
    (
        "service=ftp\nlogin=\"joe\"\npasswd=\"s3cret\"\nrequest=\"x\"",
        &["ftp.monitor -p 80 -t 30\n", "!s3cret", "!joe"],
        &["login", "passwd", "request"],
    ),
    (
        "service=smtp",
        &["plugin.monitor -t 35 -- check_smtp -H %h -p 80 -t 30\n"],
        &[],
    ),
    ("service=submission", &["check_smtp"], &[]),
    ("service=imap", &["check_imap"], &[]),
    ("service=imaps", &["check_simap"], &[]),
    ("service=pop", &["check_pop"], &[]),
    ("service=pops", &["check_spop"], &[]),
    ("service=nntp", &["check_nntp"], &[]),
    (
        "service=dns\nrequest=\"x.y.z\"\nreceive=\"127.0.0.1\"",
        &["check_dig -H %h -p 80 -l x.y.z -a 127.0.0.1 -t 30\n"],
        &[],
    ),
    (
        "service=ldap\nrequest=\"dc=x, dc=y\"",
        &["check_ldap -H %h -p 80 -b 'dc=x, dc=y' -t 30\n"],
        &[],
    ),
    (
        "service=simpletcp\nrequest=\"PING\\n\"\nreceive=\"PONG\"",
        &["check_tcp -H %h -p 80 -E -s 'PING\\n' -e PONG -t 30\n"],
        &[],
    ),
    (
        "service=mysql\nsecret=\"s3cret\"",
        &["tcp.monitor -p 80", "!s3cret"],
        &["service=mysql", "secret"],
    ),
    ("service=radius", &["fping.monitor"], &["service=radius"]),
    (
        "scheduler=sh\nschedflags=sh-port,sh-fallback,odd",
        &["scheduler sh sh-fallback sh-port\n"],
        &["odd"],
    ),
    ("checktype=connect", &["scheduler wrr\n"], &[]),
    (
        "persistent=600\nnetmask=255.255.255.0",
        &["persistent 600 mask 255.255.255.0\n"],
        &[],
    ),
    (
        "persistent=600\nnetmask=255.0.255.0",
        &["persistent 600\n"],
        &["netmask"],
    ),
    (
        "protocol=udp\nops=yes\nchecktype=on",
        &["one_packet\n"],
        &[],
    ),
    ("quiescent=yes", &["on_failure quiesce\n"], &[]),
    ("quiescent=no", &["!on_failure"], &[]),
    ("quiescent=\"no\"", &["!on_failure"], &[]),
    (
        "quiescent=maybe",
        &[
            "on_failure quiesce\n",
            "tolerated: quiescent is yes or no, not \"maybe\"; yes is taken",
        ],
        &[],
    ),
    (
        "service=mysql",
        &["tcp.monitor -p 80", "!check plugins:"],
        &["service=mysql"],
    ),
    (
        "checktype=on",
        &["on_failure quiesce\n", "on_exit remove\n"],
        &[],
    ),
    ("cleanstop=no", &["!on_exit"], &[]),
    (
        "failurecount=3\ncheckinterval=4",
        &["fall 3\n    recheck 4s\n"],
        &[],
    ),
    (
        "fallback=127.0.0.1:80",
        &["fallback 127.0.0.1 forward dr\n"],
        &[],
    ),
    (
        "fallback=10.0.0.9:8081 masq",
        &["fallback 10.0.0.9:8081 forward nat\n"],
        &[],
    ),
    (
        "fallback=127.0.0.1:81 masq",
        &["!fallback 127"],
        &["left out"],
    ),
    ("fallbackcommand=/x", &[], &["fallbackcommand"]),
    (
        "scheduler=maglev",
        &["virtual 10.0.0.3:80\n", "scheduler wrr\n"],
        &["no scheduler \"maglev\" is known; wrr is taken"],
    ),
    (
        "emailalert=\"a@x.y, b@x.y\"\nfailurecount=2",
        &[
            "alertafter 2\n            numalerts 1\n            alert mail.alert a@x.y b@x.y\n            upalert mail.alert a@x.y b@x.y\n",
        ],
        &[],
    ),
    (
        "emailalert=a@x.y\nemailalertfreq=3600",
        &["alertevery 3600s\n", "!numalerts"],
        &[],
    ),
    (
        "emailalert=a@x.y\nemailalertstatus=none",
        &["!mail.alert"],
        &[],
    ),
    (
        "emailalert=a@x.y\nemailalertstatus=running",
        &["mail.alert"],
        &["emailalertstatus"],
    ),
    (
        "servicename=Web Site\ncomment=ask Joe",
        &["description Web Site: ask Joe\n"],
        &[],
    ),
    ("monitorfile=/x", &[], &["monitorfile"]),
    ("real=10.0.0.8:81 gate", &["real 10.0.0.8 service"], &[]),
    (
        "real=10.0.0.8:81 masq 7",
        &["real 10.0.0.8:81 weight 7 forward nat", "tcp.monitor -p 81"],
        &[],
    ),
    (
        "real=10.0.0.8->10.0.0.10:80 ipip 2",
        &["real 10.0.0.10 weight 2 forward tun\n"],
        &[],
    ),
    (
        "real=www8 gate 1 \"a.html\", \"b\" l:10 u:20",
        &[
            "real www8 upper 20 lower 10 service vs-10.0.0.3-80-2:http\n",
            "-u /a.html",
        ],
        &[],
    ),
    ("real=10.0.0.7 gate", &[], &[]),
    ("real=10.0.0.8", &["!10.0.0.8"], &["may be cut"]),
    (
        "real=10.0.0.8:80 gate 1 l:9 u:8",
        &["real 10.0.0.8 upper 8\n"],
        &["the lower threshold"],
    ),
    ("checktype=on\nops=yes", &["!one_packet"], &["is for UDP"]),
    ("real=10.0.0.8:80 gte", &["!10.0.0.8"], &["gte"]),
    (
        "real=10.0.0.9->10.0.0.8:80 gate",
        &[],
        &["before it begins"],
    ),
    (
        "real=10.0.0.8:80 gate 70000",
        &["weight 65535"],
        &["weight"],
    ),
    ("smtp=mail.x.y", &[], &["smtp"]),
    ("nonsense=s3cret", &["!s3cret"], &["nonsense"]),
];

#[test]
fn each_word_of_ldirectord_is_said_or_named() {
    check(Format::Ldirectord, LDIRECTORD, |lines| {
        let default = if lines.contains("checktype") || lines.contains("service=") {
            ""
        } else if lines.contains("real=10.0.0.8:81 masq") {
            "    checktype=connect\n"
        } else {
            "    service=http\n"
        };
        let lines = lines.replace('\n', "\n\t");
        format!("virtual=10.0.0.3:80\n{default}    real=10.0.0.7:80 gate\n\t{lines}\n")
    });
}

#[test]
fn what_a_line_means_for_several_services_is_said_once() {
    let one = "\tservice=http\n\treal=10.0.0.7:80 gate\n";
    let text = format!(
        "fallbackcommand=/x\nfailurecount=0\nvirtual=10.0.0.3:80\n{one}virtual=10.0.0.4:80\n{one}"
    );
    let imported = of(Format::Ldirectord, &text);
    let count = |words: &str| {
        let remarks = imported.remarks.iter();
        remarks.filter(|it| it.text.contains(words)).count()
    };
    let remarks = &imported.remarks;
    assert_eq!(count("fallbackcommand"), 1, "{remarks:?}");
    assert_eq!(
        count("failurecount 0: not a number from 1 on"),
        1,
        "{remarks:?}"
    );
}

#[test]
fn globals_of_ldirectord_hold_for_all_virtual_services() {
    let text = "checktimeout=3\ncheckinterval=1\nquiescent=no\ncleanstop=no\nfailurecount=2\r\n\
                emailalert=\"ops@x.y\"\nemailalertfrom=\"ld\" <ld@x.y>\nsmtp=mail.x.y\n\
                fallback=127.0.0.1:80\nautoreload=yes\ncallback=\"/x\"\nexecute=other\n\
                maintenancedir=/m\nfork=yes\nsupervised\nlogfile=\"/l\"\nreaddquiescent=no\n\
                virtual=7\n\tprotocol=fwm\n\tservice=http\n\treal=10.0.0.1 gate\n\n\
                virtual6=[2001:db8::3]:80\n\treal6=[2001:db8::7]:80 gate\n\tchecktype=connect\n\
                \tfallback6=[::1]:80\n";
    let imported = of(Format::Ldirectord, text);
    for wanted in [
        "mail_relay = smtp://mail.x.y:25\n",
        "mail_from = ld@x.y\n",
        "virtual fwmark 7\n    scheduler wrr\n    forward dr\n    real 10.0.0.1\n",
        "fallback 127.0.0.1:80 forward dr\n",
        "interval 1s\n",
        "http.monitor -p 80 -t 3 ",
        "fall 2\n    recheck 1s\n",
        "alert mail.alert ops@x.y\n",
        "virtual [2001:db8::3]:80\n    protocol tcp\n",
        "hostgroup vs-2001-db8--3-80 2001:db8::7\n",
        "real [2001:db8::7]:80\n",
        "fallback [::1]:80 forward dr\n",
    ] {
        assert!(
            imported.text.contains(wanted),
            "{wanted}\n{}",
            imported.text
        );
    }
    let lost = lost(&imported);
    for word in [
        "autoreload",
        "callback",
        "execute",
        "maintenancedir",
        "readdquiescent",
    ] {
        assert!(
            lost.iter().any(|it| it.starts_with(word)),
            "{word}: {lost:?}"
        );
    }
    assert_eq!(lost.len(), 5, "{lost:?}");
    assert!(!imported.is_complete());
}

#[test]
fn lost_indentation_is_read_as_it_was_meant() {
    let good = "quiescent=no\nvirtual=10.0.0.3:80\n\treal=10.0.0.7:80 gate\n\tchecktimeout=9\n\
                virtual=10.0.0.4:80\n\treal=10.0.0.7:80 gate\n";
    let lost = good.replace('\t', "").replace('\n', "\n\n");
    let (good, lost) = (of(Format::Ldirectord, good), of(Format::Ldirectord, &lost));
    assert_eq!(kinds(&good, RemarkKind::Tolerated), 0);
    assert_eq!(kinds(&lost, RemarkKind::Tolerated), 2);
    let words = |it: &Imported| {
        let lines = it.text.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(words(&good), words(&lost));
    assert!(lost.is_complete());
}

#[test]
fn a_second_virtual_service_with_the_same_key_is_named() {
    let text = "virtual=10.0.0.3:80\n real=10.0.0.7:80 gate\nvirtual=10.0.0.3:http\n real=10.0.0.8:80 gate\n\
                virtual=10.0.0.5:80\nvirtual=www:80\n real=10.0.0.8:80 gate\nvirtual=10.0.0.5\n";
    let imported = of(Format::Ldirectord, text);
    let lost = lost(&imported);
    assert_eq!(imported.text.matches("\nvirtual ").count(), 1);
    assert_eq!(lost.len(), 4, "{lost:?}");
    assert!(
        lost[0].contains("already") && lost[1].contains("without real servers"),
        "{lost:?}"
    );
}

#[test]
fn a_checkport_that_is_none_leaves_nobody_unchecked_and_is_said_at_its_line() {
    for (service, value, port) in [
        ("http", "abc", 80),
        ("http", "-1", 80),
        ("http", "0", 80),
        ("http", "99999", 80),
        ("smtp", "80 81", 25),
        ("dns\n\trequest=www.example.com", "0", 53),
    ] {
        let text = format!(
            "virtual=10.0.0.3:{port}\n\treal=10.0.0.7:{port} gate\n\tcheckport={value}\n\t\
             service={service}\n"
        );
        let imported = of(Format::Ldirectord, &text);
        assert_eq!(lost(&imported), [""; 0], "{text}");
        let tolerated = |it: &&Remark| it.kind == RemarkKind::Tolerated;
        let said = imported.remarks.iter().filter(tolerated);
        let said: Vec<String> = said.map(ToString::to_string).collect();
        let wanted = format!(
            "f:3: tolerated: checkport {value}: not a port from 1 to 65535; left out, each real \
             server is checked at its own port"
        );
        assert_eq!(said, [wanted]);
        let monitor = imported.text.lines().find(|it| it.contains("monitor "));
        let monitor = monitor.unwrap_or_else(|| panic!("{}", imported.text));
        assert!(monitor.contains(&format!("-p {port} ")), "{monitor}");
        assert!(!imported.text.contains("service none"), "{}", imported.text);
    }
}

#[test]
fn an_alert_that_cannot_be_costs_itself_and_not_the_virtual_service() {
    let text = "virtual=10.0.0.3:80\n\treal=10.0.0.7:80 gate\n\tservice=http\n\t\
                emailalert=\"a b@c -x\"\n";
    let imported = of(Format::Ldirectord, text);
    assert!(
        imported.text.contains("alert mail.alert a b@c\n"),
        "{}",
        imported.text
    );
    assert_eq!(
        lost(&imported),
        ["emailalert: \"-x\" is no mail address and is left out"]
    );
    // One that nobody thought of here.
    let mut remarks = Remarks::default();
    let mut plan = ldirectord::read(&"f".into(), text, &mut remarks);
    let [section] = plan.sections.as_mut_slice() else {
        panic!("{plan:?}")
    };
    let odd = vec!["mail.alert".to_owned(), "--odd".to_owned()];
    section.servers[0].checks[0].policy.alerts.push(odd);
    leave_out_what_is_refused(&mut plan, &mut remarks);
    assert_eq!(plan.sections.len(), 1);
    assert_eq!(plan.sections[0].servers[0].checks.len(), 1);
    let text = mon_cf::write(&plan);
    assert!(!text.contains("mail.alert"), "{text}");
    let said: Vec<&str> = remarks.list.iter().map(|it| it.text.as_str()).collect();
    let [said] = said.as_slice() else {
        panic!("{said:?}")
    };
    let beginning = "virtual=10.0.0.3:80: all its alerts are left out: ";
    assert!(
        said.starts_with(beginning) && said.contains("--odd"),
        "{said}"
    );
}

fn keepalived(lines: &str) -> String {
    format!(
        "global_defs {{\n notification_email {{\n  ops@x.y\n }}\n}}\nvirtual_server 10.0.0.3 80 {{\n \
         protocol TCP\n real_server 10.0.0.7 80 {{\n  smtp_alert no\n {lines}\n }}\n}}\n"
    )
}

const CHECKERS: &[Case<'_>] = &[
    (
        "TCP_CHECK {\n connect_timeout 3\n}",
        &[
            "interval 60s\n        monitor tcp.monitor -p 80 -t 3\n",
            "fall 2\n    recheck 1s\n",
        ],
        &[],
    ),
    (
        "TCP_CHECK {\n}\ndelay_loop 6\nretry 3\ndelay_before_retry 2",
        &["interval 6s\n", "fall 4\n    recheck 2s\n"],
        &[],
    ),
    (
        "TCP_CHECK { connect_port 81\n connect_ip 10.9.9.9 }",
        &[
            "hostgroup vs-10.0.0.3-80 10.9.9.9\n",
            "-p 81 ",
            "real 10.0.0.7 service vs-10.0.0.3-80:tcp\n",
        ],
        &[],
    ),
    (
        "TCP_CHECK {\n bindto 10.0.0.1\n fwmark 3\n warmup 2\n odd s3cret\n}",
        &["tcp.monitor", "!s3cret"],
        &["bindto", "fwmark", "odd"],
    ),
    (
        "TCP_CHECK {\n connect_port 0\n}",
        &["tcp.monitor -p 80 "],
        &[],
    ),
    // Without a check it is in for ever, which keepalived says nobody either.
    (
        "tcp_check {\n}",
        &["service none"],
        &[
            "none of its checks has an equivalent: the server is always in",
            "\"tcp_check\" is not known here; did you mean TCP_CHECK?",
        ],
    ),
    (
        "TCP_CHCK { connect_port 81 }\nPING_CHECK {\n}",
        &["fping.monitor", "!service none"],
        &["\"TCP_CHCK\" is not known here; did you mean TCP_CHECK?"],
    ),
    (
        "HTTPGET {\n url {\n path /\n}\n}",
        &["service none"],
        &["the server is always in", "did you mean HTTP_GET?"],
    ),
    (
        "PNIG_CHECK {\n}",
        &["service none"],
        &[
            "the server is always in",
            "a checker that is not known here; did you mean PING_CHECK?",
        ],
    ),
    (
        "quite_other {\n}",
        &["service none"],
        &[
            "the server is always in",
            "\"quite_other\" is not known here",
        ],
    ),
    ("PING_CHECK {\n}", &["fping.monitor -t 5000 -r 1\n"], &[]),
    (
        "HTTP_GET {\n url {\n path /x\n status_code 200\n}\n}",
        &[
            "http.monitor -p 80 -t 5 -u /x -m '^HTTP/[0-9.]+ 200'\n",
            "recheck 3s",
        ],
        &[],
    ),
    (
        "HTTP_GET {\n url {\n path /\n status_code 200-299 404\n virtualhost a.b\n regex \"Hel+o\"\n regex_options caseless\n}\n url {\n path /2\n digest 00\n}\n}",
        &[
            "-n a.b -u / -m '^HTTP/[0-9.]+ (?:2[0-9][0-9]|404).*?\\r?\\n\\r?\\n.*(?i-s:Hel+o)'\n",
            "service http-2\n",
            "service vs-10.0.0.3-80:http vs-10.0.0.3-80:http-2\n",
        ],
        &["digest"],
    ),
    (
        "HTTP_GET {\n url {\n regex a\n regex_no_match\n regex_min_offset 3\n}\n}",
        &["2[0-9][0-9]'\n"],
        &["regex_no_match", "regex_min_offset"],
    ),
    ("virtualhost v.h\nHTTP_GET {\n}", &["-n v.h -u / "], &[]),
    (
        "SSL_GET {\n enable_sni\n url {\n path /s\n}\n}",
        &["service https\n", "-s -k -u /s"],
        &[],
    ),
    (
        "SMTP_CHECK {\n connect_port 25\n helo_name me\n}",
        &["check_smtp -H %h -p 25 -t 5\n"],
        &["helo_name"],
    ),
    (
        "SMTP_CHECK {\n host {\n  connect_ip 10.0.1.99\n  connect_port 26\n  bindto 10.0.0.1\n }\n}",
        &[
            "hostgroup vs-10.0.0.3-80 10.0.1.99\n",
            "check_smtp -H %h -p 26 -t 5\n",
            "real 10.0.0.7 service vs-10.0.0.3-80:smtp\n",
        ],
        &["bindto"],
    ),
    (
        "SMTP_CHECK {\n host {\n  connect_port 26\n  odd 1\n }\n host {\n  connect_port 27\n }\n}",
        &["hostgroup vs-10.0.0.3-80 10.0.0.7\n", "-p 26 ", "!-p 27"],
        &["odd", "first one alone"],
    ),
    (
        "DNS_CHECK {\n type A\n name x.y\n}",
        &[
            "check_dig -H %h -p 80 -l x.y -T A -t 5\n",
            "fall 4\n    recheck 60s\n",
        ],
        &[],
    ),
    (
        "MISC_CHECK {\n misc_path \"/opt/c 10.0.0.7 'a b' 5%\"\n misc_timeout 4\n}",
        &["misc.monitor -t 4 -- /opt/c %h 'a b' 5%%\n", "!fall"],
        &[],
    ),
    (
        "MISC_CHECK {\n misc_path \"c 5% 10.0.0.7\"\n misc_dynamic\n user joe\n}",
        &[
            "misc.monitor -t 60 -d -- /usr/bin/env c 5%% %h\n",
            "weight_from check\n",
        ],
        &["user: monitor_user"],
    ),
    (
        "MISC_CHECK {\n}",
        &["service none"],
        &["always in", "without misc_path"],
    ),
    (
        "UDP_CHECK {\n payload 50494E47\n require_reply 504F4E47\n}",
        &["check_udp -H %h -p 80 -s PING -e PONG -t 5\n"],
        &[],
    ),
    (
        "UDP_CHECK {\n payload 00\n}",
        &["fping.monitor"],
        &["UDP_CHECK"],
    ),
    (
        "FILE_CHECK {\n track_file x\n}",
        &["service none"],
        &["always in", "FILE_CHECK"],
    ),
    (
        "BFD_CHECK {\n name x\n}\nTCP_CHECK {\n}",
        &["tcp.monitor"],
        &["BFD_CHECK"],
    ),
    (
        "TCP_CHECK {\n retry 5\n}\nPING_CHECK {\n}",
        &["fall 6"],
        &["differ"],
    ),
    ("", &["service none"], &[]),
    ("weight\nTCP_CHECK {\n}", &["real 10.0.0.7\n"], &[]),
    (
        "TCP_CHECK {\n}\nnotify_down /opt/d joe",
        &["alert /opt/d\n"],
        &[
            "notify_down: /opt/d is called with the arguments of an alert, and as the daemon's user in place of joe",
        ],
    ),
    (
        "TCP_CHECK {\n}\nnotify_down \"/opt/d\" joe staff",
        &["alert /opt/d\n"],
        &[
            "notify_down: /opt/d is called with the arguments of an alert, and as the daemon's user in place of joe",
        ],
    ),
    (
        "TCP_CHECK {\n}\nnotify_down \"/opt/d x\" joe",
        &["!alert /opt/d"],
        &[
            "notify_down is not imported: an alert gets lvsmon's arguments before its own, and runs as the daemon's user in place of joe",
        ],
    ),
    (
        "UDP_CHECK {\n payload 50\n require_reply 51\n min_reply_length 3\n}",
        &["check_udp"],
        &["min_reply_length"],
    ),
    (
        "weight 5\nuthreshold 10\nlthreshold 3\nlvs_method TUN type gue port 6080 csum",
        &["forward tun gue 6080 csum\n    real 10.0.0.7 weight 5 upper 10 lower 3\n"],
        &[],
    ),
    ("inhibit_on_failure", &["on_failure quiesce\n"], &[]),
    ("alpha", &["initial out\n"], &[]),
    ("TCP_CHECK {\n alpha\n}", &["initial out\n"], &[]),
    (
        "TCP_CHECK {\n}\nPING_CHECK {\n alpha yes\n}",
        &["initial out\n"],
        &[],
    ),
    ("alpha\nTCP_CHECK {\n alpha no\n}", &["initial in\n"], &[]),
    (
        "alpha\nTCP_CHECK {\n alpha no\n}\nPING_CHECK {\n}",
        &["initial out\n"],
        &[],
    ),
    (
        "alpha\nTCP_CHECK {\n connect_timeout 0.25\n alpha\n}",
        &["initial out\n", "monitor tcp.monitor -p 80 -t 0.25\n"],
        &[],
    ),
    (
        "MISC_CHECK {\n alpha\n misc_path /opt/c\n misc_timeout 3.5\n}",
        &["initial out\n", "monitor misc.monitor -t 3.5 -- /opt/c"],
        &[],
    ),
    (
        "DNS_CHECK {\n}\nsmtp_alert",
        &["fall 4\n    recheck 60s\n", "alertafter 4\n"],
        &[],
    ),
    (
        "MISC_CHECK {\n misc_path /x\n}\nsmtp_alert",
        &["!fall", "!alertafter"],
        &[],
    ),
    (
        "TCP_CHECK {\n retry 3\n}\nsmtp_alert",
        &["fall 4\n    recheck 1s\n", "alertafter 2\n"],
        &[],
    ),
    (
        "TCP_CHECK {\n}\nsmtp_alert",
        &[
            "period\n            alertafter 2\n            numalerts 1\n            alert mail.alert ops@x.y\n            upalert mail.alert ops@x.y\n",
        ],
        &[],
    ),
    (
        "TCP_CHECK {\n}\nnotify_down /opt/d\nnotify_up \"/opt/u x\"",
        &["alert /opt/d\n"],
        &["notify_up"],
    ),
];

#[test]
fn each_checker_of_keepalived_is_said_or_named() {
    check(Format::Keepalived, CHECKERS, keepalived);
}

const VIRTUAL_SERVERS: &[Case<'_>] = &[
    (
        "lvs_sched sh\nsh-port\nsh-fallback\nflag-3",
        &["scheduler sh sh-fallback sh-port\n"],
        &["flag-3"],
    ),
    (
        "lb_algo rr\nlb_kind DR",
        &["scheduler rr\n    forward dr\n"],
        &[],
    ),
    (
        "",
        &[
            "scheduler wlc\n    forward nat\n",
            "initial in\n    on_exit remove\n",
        ],
        &[],
    ),
    ("mh-port", &["scheduler wlc\n"], &["mh-port"]),
    (
        "lvs_sched sh\nsh-port sh-fallback\npersistence_timeout 50 60",
        &["scheduler sh sh-port\n", "persistent 50\n"],
        &[],
    ),
    ("lvs_method TUN", &["forward tun\n"], &[]),
    (
        "lvs_method TUN type gre csum",
        &["forward tun gre csum\n"],
        &[],
    ),
    ("lvs_method WARP", &["forward nat\n"], &["forwarding"]),
    (
        "protocol UDP\npersistence_timeout\npersistence_granularity 255.255.0.0\npersistence_engine sip",
        &["persistent 360 mask 255.255.0.0 engine sip\n"],
        &[],
    ),
    ("persistence_timeout 50", &["persistent 50\n"], &[]),
    (
        "protocol UDP\nops",
        &["protocol udp\n", "one_packet\n"],
        &[],
    ),
    ("protocol SCTP", &["protocol sctp\n"], &[]),
    (
        "sorry_server 10.0.0.9 8080",
        &["fallback 10.0.0.9:8080 forward nat\n"],
        &[],
    ),
    (
        "sorry_server 10.0.0.9 8080\nsorry_server_lvs_method DR\nsorry_server_inhibit",
        &["fallback 10.0.0.9 forward dr\n"],
        &["sorry_server_inhibit: the fallback leaves the table"],
    ),
    (
        "sorry_server 127.0.0.1 80",
        &["!fallback"],
        &["sorry_server is left out"],
    ),
    ("quorum 1\nhysteresis 1\nomega", &[], &["hysteresis"]),
    (
        "quorum 3\nquorum_down /opt/d\nquorum_up \"/opt/u a\"",
        &["    alert /opt/d\n"],
        &["quorum 3", "quorum_up"],
    ),
    (
        "smtp_alert yes",
        &["    alert mail.alert ops@x.y\n    upalert mail.alert ops@x.y\n"],
        &[],
    ),
    ("ha_suspend", &[], &["ha_suspend"]),
    (
        "alpha\ninhibit_on_failure",
        &["on_failure quiesce\n    initial out\n"],
        &[],
    ),
    ("odd s3cret", &["!s3cret"], &["odd"]),
    (
        "weight 5\nsorry_server 10.0.0.9 80\nreal_server 10.0.0.8 80 { weight 2 }",
        &[
            "real 10.0.0.7 weight 5",
            "real 10.0.0.8 weight 2",
            "fallback 10.0.0.9 forward nat\n",
        ],
        &[],
    ),
    (
        "real_server 10.0.0.8 80 { weight 0 TCP_CHECK { connect_port 81 } }",
        &["real 10.0.0.8 weight 0 service", "tcp.monitor -p 81"],
        &[],
    ),
    (
        "real_server 10.0.0.8 80 { weight 7 HTTP_GET { url { path /x status_code 200 } retry 1 } }",
        &[
            "real 10.0.0.8 weight 7 service",
            "-u /x -m '^HTTP/[0-9.]+ 200'",
        ],
        &[],
    ),
    (
        "real_server 10.0.0.8 80",
        &["!10.0.0.8"],
        &["a real server without braces"],
    ),
    (
        "real_server 10.0.0 80 {\n}",
        &["!real 10.0.0\n"],
        &["no address and port"],
    ),
    (
        "real_server 10.0.0.8 80 {\n uthreshold 5\n lthreshold 6\n}",
        &["real 10.0.0.8 upper 5"],
        &["the lower threshold 6 is above the upper one, 5"],
    ),
    (
        "sorry_server 10.0.0.7 80",
        &["!fallback"],
        &["is a real server too"],
    ),
    ("ops", &["!one_packet"], &["is for UDP"]),
    (
        "persistence_timeout 9\npersistence_engine sip",
        &["persistent 9\n"],
        &["reads UDP packets only"],
    ),
    (
        "protocol UDP\npersistence_engine sip",
        &["!    persistent"],
        &["without persistence"],
    ),
    (
        "protocol UDP\npersistence_timeout 9\npersistence_engine odd",
        &["persistent 9\n"],
        &["there is only sip"],
    ),
    (
        "real_server ::1 80 {\n}",
        &["!real ::1", "!real [::1"],
        &["other address family"],
    ),
    ("real_server 10.0.0.7 80 {\n}", &[], &[]),
    (
        "real_server 10.0.0.8 81 {\n TCP_CHECK {\n alpha\n }\n PING_CHECK {\n alpha\n }\n}",
        &[
            "initial in\n",
            "    real 10.0.0.8:81 initial out service ",
            "!on_failure",
        ],
        &[],
    ),
    (
        "real_server 10.0.0.8 81 {\n inhibit_on_failure\n}",
        &[
            "    real 10.0.0.8:81 on_failure quiesce\n",
            "!\n    on_failure",
        ],
        &[],
    ),
];

#[test]
fn each_word_of_a_virtual_server_is_said_or_named() {
    check(Format::Keepalived, VIRTUAL_SERVERS, |lines| {
        let whole = keepalived("");
        let inner = whole.strip_suffix("}\n").unwrap();
        format!("{inner} {lines}\n}}\n")
    });
}

#[test]
fn a_group_stands_for_each_of_its_members() {
    let text = "virtual_server_group G {\n 10.0.0.1-3 80\n 10.0.1.1 443\n fwmark 5\n 10.0.0.1-x 1\n}\n\
                virtual_server group G {\n lb_kind DR\n real_server 10.0.0.7 80 {\n  TCP_CHECK {\n  }\n }\n}\n\
                virtual_server fwmark 9 {\n ip_family inet6\n real_server ::7 {\n }\n}\n";
    let imported = of(Format::Keepalived, text);
    assert_eq!(
        imported.text.matches("\nvirtual ").count(),
        6,
        "{}",
        imported.text
    );
    assert_eq!(imported.text.matches("\nwatch ").count(), 1);
    for wanted in [
        "virtual 10.0.0.3:80\n",
        "virtual 10.0.1.1:443\n",
        "virtual fwmark 5\n",
        "virtual fwmark 9\n    family v6\n",
        "    real [::7]\n",
    ] {
        assert!(
            imported.text.contains(wanted),
            "{wanted}\n{}",
            imported.text
        );
    }
    assert_eq!(lost(&imported).len(), 1);
}

#[test]
fn members_of_a_group_that_do_not_fit_are_left_out_one_by_one() {
    let group = |members: &str, lines: &str| {
        let text = format!(
            "virtual_server_group G {{\n {members} }}\nvirtual_server group G {{\n {lines} \
             protocol TCP\n real_server 10.0.0.7 80 {{\n  TCP_CHECK {{\n  }}\n }}\n}}\n"
        );
        let imported = of(Format::Keepalived, &text);
        let virtuals = imported
            .text
            .lines()
            .filter(|it| it.starts_with("virtual "));
        let virtuals: Vec<String> = virtuals.map(str::to_owned).collect();
        let lost: Vec<String> = lost(&imported).into_iter().map(str::to_owned).collect();
        (virtuals, lost)
    };
    let fits = ["virtual 10.0.0.5:80", "virtual 10.0.0.6:443"];
    let out = |key: &str| {
        format!(
            "{key} is left out: 10.0.0.7 is of the other address family, which only a tunnel can \
             reach, not dr"
        )
    };
    for members in [
        "10.0.0.5 80\n fd00::5 80\n 10.0.0.6 443\n fd00::6 443\n",
        "fd00::5 80\n fd00::6 443\n 10.0.0.5 80\n 10.0.0.6 443\n",
    ] {
        let (virtuals, lost) = group(members, "lb_kind DR\n");
        assert_eq!(virtuals, fits, "{lost:?}");
        assert_eq!(lost, [out("[fd00::5]:80/tcp"), out("[fd00::6]:443/tcp")]);
        let (virtuals, lost) = group(members, "lb_kind TUN\n");
        assert_eq!((virtuals.len(), lost.len()), (4, 0), "{lost:?}");
    }
    let (virtuals, lost) = group(
        "10.0.0.5 80\n fd00::5 80\n",
        "lb_kind TUN\n sorry_server 10.0.0.9 80\n sorry_server_lvs_method DR\n",
    );
    assert_eq!(virtuals, ["virtual 10.0.0.5:80"]);
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(lost[0].contains("10.0.0.9 is of the other"), "{lost:?}");
}

#[test]
fn what_stands_behind_a_statement_of_keepalived_is_said() {
    for (line, expected) in [
        ("sh-port sh-fallback", "sh-port takes no word"),
        (
            "persistence_timeout 50 60",
            "persistence_timeout takes one word",
        ),
        (
            "sorry_server 10.0.0.9 80 inhibit",
            "sorry_server takes two words",
        ),
    ] {
        let inner = format!(" lvs_sched sh\n {line}\n}}\n");
        let whole = keepalived("");
        let imported = of(
            Format::Keepalived,
            &(whole.strip_suffix("}\n").unwrap().to_owned() + &inner),
        );
        let mut said = imported.remarks.iter().map(|it| it.text.as_str());
        assert!(said.any(|it| it.starts_with(expected)), "{expected}");
    }
}

#[test]
fn what_stands_behind_type_and_name_of_a_dns_check_is_said() {
    for (line, wanted, expected) in [
        ("type A name x.y", "-l . -T A ", "type takes one word"),
        ("name x.y type A", "-l x.y -T SOA ", "name takes one word"),
    ] {
        let text = format!(
            "virtual_server 10.0.0.3 53 {{\n protocol UDP\n real_server 10.0.0.7 53 {{\n  \
             DNS_CHECK {{ {line} }}\n }}\n}}\n"
        );
        let imported = of(Format::Keepalived, &text);
        assert!(imported.text.contains(wanted), "{}", imported.text);
        let said = imported.remarks.iter().map(|it| it.text.as_str());
        let said: Vec<&str> = said.filter(|it| it.contains("one word")).collect();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(expected), "{said:?}");
    }
}

#[test]
fn what_stands_behind_the_value_of_a_statement_of_keepalived_is_said() {
    let text = "virtual_server 10.0.0.3 80 {\n delay_loop 6 lb_algo wrr\n warmup 5\n \
                real_server 10.0.0.7 80 {\n  TCP_CHECK {\n   connect_timeout 3\n  }\n }\n}\n";
    let imported = of(Format::Keepalived, text);
    let remarks = imported.remarks.iter();
    let said: Vec<_> = remarks
        .map(|it| (it.place.line, it.text.as_str()))
        .collect();
    let of_line = |line| {
        let mut said = said.iter().filter(|it| it.0 == line);
        (said.next().map_or("", |it| it.1), said.count())
    };
    let (swallowed, others) = of_line(2);
    assert!(swallowed.contains("\"lb_algo\"") && others == 0, "{said:?}");
    assert!(of_line(3).0.starts_with("warmup"), "{said:?}");
    assert_eq!(of_line(5), ("", 0), "{said:?}");
    assert!(imported.text.contains("interval 6s\n"));
    assert!(
        imported.text.contains("scheduler wlc\n"),
        "as keepalived has it"
    );
}

#[test]
fn a_server_of_a_mark_is_checked_at_the_port_that_it_is_listed_with() {
    let keepalived = "virtual_server fwmark 3 { real_server 10.0.0.8 53 { TCP_CHECK { } } }\n";
    let ldirectord = "virtual=3\n\treal=10.0.0.8:53 gate\n\tchecktype=connect\n\tprotocol=fwm\n";
    for (format, text) in [
        (Format::Keepalived, keepalived),
        (Format::Ldirectord, ldirectord),
    ] {
        let imported = of(format, text);
        assert_eq!(lost(&imported), Vec::<&str>::new());
        for text in [
            "monitor tcp.monitor -p 53 -t 5\n",
            "virtual fwmark 3\n",
            "    real 10.0.0.8:53\n",
            "    service vs-fwmark-3:tcp\n",
        ] {
            assert!(imported.text.contains(text), "{text}\n{}", imported.text);
        }
    }
}

#[test]
fn sections_that_do_not_go_together_cost_the_later_ones_alone() {
    let file: Arc<str> = Arc::from("f");
    let plan_of = |address: &str| {
        let text = format!(
            "virtual_server {address} 80 {{\n protocol TCP\n real_server 10.0.0.7 80 {{\n \
             TCP_CHECK {{\n }}\n }}\n}}\n"
        );
        let mut none = |_: &Include| Err("no files here".to_owned());
        let (reading, remarks) = (Reading::default(), &mut Remarks::default());
        keepalived::read(&file, &text, &reading, &mut none, remarks)
    };
    let mut plan = plan_of("10.0.0.1");
    // No file comes to that: each by itself is good.
    for address in ["10.0.0.2", "10.0.0.1", "10.0.0.3", "10.0.0.2"] {
        plan.sections.extend(plan_of(address).sections);
    }
    let mut remarks = Remarks::default();
    leave_out_what_is_refused(&mut plan, &mut remarks);
    let titles: Vec<&str> = plan.sections.iter().map(|it| it.title.as_str()).collect();
    let expected = [1, 2, 3].map(|it| format!("virtual_server 10.0.0.{it} 80"));
    assert_eq!(titles, expected);
    assert_eq!(refusal(&plan), None);
    assert_eq!(remarks.list.len(), 2, "{:?}", remarks.list);
}

#[test]
fn what_keepalived_keeps_is_said_once() {
    let text = "global_defs {\n router_id A\n vrrp_strict\n smtp_server 10.0.0.1 2525\n \
                notification_email_from \"k\" <k@x.y>\n lvs_sync_daemon eth0 VI_1\n lvs_timeouts tcp 9\n}\n\
                vrrp_script x {\n script \"y\"\n}\nvrrp_instance VI_1 {\n authentication {\n auth_pass s3cret\n }\n}\n\
                virtual_server 10.0.0.3 80 {\n real_server 10.0.0.7 80 {\n }\n}\n";
    let imported = of(Format::Keepalived, text);
    assert!(
        imported
            .text
            .contains("mail_relay = smtp://10.0.0.1:2525\nmail_from = k@x.y\n")
    );
    assert!(
        imported
            .text
            .contains("router_id, vrrp_strict, vrrp_script, vrrp_instance\n")
    );
    assert!(!imported.text.contains("s3cret"));
    assert_eq!(lost(&imported).len(), 2, "{:?}", imported.remarks);
}

#[test]
fn a_missing_brace_is_seen_where_the_next_block_begins() {
    let whole = "virtual_server 10.0.0.3 80 {\n real_server 10.0.0.7 80 {\n  TCP_CHECK {\n  }\n }\n \
                 real_server 10.0.0.8 80 {\n  TCP_CHECK {\n  }\n }\n}\n\
                 virtual_server 10.0.0.4 80 {\n real_server 10.0.0.7 80 {\n  PING_CHECK {\n  }\n }\n}\n";
    let good = of(Format::Keepalived, whole);
    let braces: Vec<usize> = whole.match_indices('}').map(|(at, _)| at).collect();
    for at in &braces[..5] {
        let mut text = whole.to_owned();
        text.replace_range(*at..=*at, "");
        let found = of(Format::Keepalived, &text);
        assert!(kinds(&found, RemarkKind::Tolerated) > 0, "{text}");
        for key in ["10.0.0.3:80\n", "10.0.0.4:80\n"] {
            let part = |it: &Imported| {
                let from = it.text.find(&format!("virtual {key}")).unwrap();
                it.text[from..].split("\n\n").next().unwrap().to_owned()
            };
            assert_eq!(part(&found), part(&good), "{text}");
        }
    }
}

#[test]
fn a_file_cut_in_half_is_imported_as_far_as_it_goes_and_says_so() {
    let whole = "virtual_server 10.0.0.3 80 {\n real_server 10.0.0.7 80 {\n  TCP_CHECK {\n  }\n }\n \
                 real_server 10.0.0.8 80 {\n  weight 1\n";
    let imported = of(Format::Keepalived, whole);
    let lost = lost(&imported);
    assert!(
        lost.iter()
            .any(|it| it.contains("the file ends inside of virtual_server")),
        "{lost:?}"
    );
    // Without its check it would be in for ever.
    assert!(
        !imported.text.contains("real 10.0.0.8"),
        "{}",
        imported.text
    );
    assert!(imported.text.contains("real 10.0.0.7\n"));
    let cut = of(
        Format::Ldirectord,
        "virtual=10.0.0.3:80\n\treal=10.0.0.7:80 gate\n\treal=10.0.",
    );
    assert!(!cut.is_complete());
}

#[test]
fn what_is_none_of_both_is_refused() {
    let mut none = |_: &Include| Err(String::new());
    let mut try_it = |bytes: &[u8]| import(&Reading::default(), "f", bytes, &mut none).map(|_| ());
    assert_eq!(try_it(b""), Err(Refused::Unknown));
    assert_eq!(try_it(b"watch x\n service y\n"), Err(Refused::Unknown));
    assert_eq!(try_it(b"virtual=\0"), Err(Refused::Binary));
    assert_eq!(try_it(&vec![b'x'; TEXT_MAX + 1]), Err(Refused::TooLarge));
    let is_empty =
        |found| matches!(found, Err(Refused::Empty { remarks, .. }) if remarks.len() == 1);
    assert!(is_empty(try_it(b"vrrp_instance V {\n}\n")));
    // Also where there was something to say.
    assert!(is_empty(try_it(b"virtual=10.0.0.3:80\n")));
    let server = "virtual_server 10.0.0.3 80 {\n real_server 10.0.0.7 80 {\n  weight 5\n";
    let cut = try_it(server.as_bytes());
    let says = |it: &Remark| it.text.contains("the file ends inside of");
    assert!(matches!(cut, Err(Refused::Empty { remarks, .. }) if remarks.iter().any(says)));
    assert_eq!(
        try_it(b"\xef\xbb\xbfvirtual=1\n real=10.0.0.1 gate \xe4\n"),
        Ok(())
    );
}

#[test]
fn remarks_of_a_file_of_another_kind_are_limited() {
    let text = "virtual=1\nreal=10.0.0.1 gate\n".to_owned() + &"no line\n".repeat(2_000);
    let imported = of(Format::Ldirectord, &text);
    assert!(imported.remarks.len() <= REMARKS_MAX && imported.unsaid > 1_000);
    assert!(!imported.is_complete());
}

/// Pieces of which a file of either kind may be made.
const PIECES: [&str; 40] = [
    "virtual=10.0.0.3:80\n",
    "\treal=10.0.0.7:80 gate 1\n",
    "\treal=10.0.0.1->10.0.0.9:80 masq\n",
    "\tservice=",
    "\tchecktype=",
    "http",
    "external",
    "negotiate",
    "\n",
    "\"",
    "'",
    "\\",
    "#",
    "!",
    "virtual_server 10.0.0.3 80 {\n",
    "virtual_server group G {\n",
    "virtual_server_group G {\n",
    "real_server 10.0.0.7 80 {\n",
    "TCP_CHECK {\n",
    "HTTP_GET {\n",
    "url {\n",
    "}\n",
    "}",
    "{",
    "path /\n",
    "regex (\n",
    "status_code 100-599 7\n",
    "10.0.0.1-255 80\n",
    "$A=",
    "${A}",
    "$A ",
    "@x ",
    "@^x ",
    "include x\n",
    "~SEQ(a,1,9) ",
    "weight 99999999999\n",
    "retry 4294967295\n",
    "delay_loop 0.0000001\n",
    "\u{fffd}é\r\n",
    "fwmark 4294967295\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn no_text_is_too_much(
        pieces in proptest::collection::vec(0..PIECES.len(), 0..60),
        noise in any::<Vec<u8>>(),
        is_keepalived in any::<bool>(),
    ) {
        let mut text: Vec<u8> = pieces.iter().flat_map(|at| PIECES[*at].bytes()).collect();
        text.extend(noise);
        let format = if is_keepalived { Format::Keepalived } else { Format::Ldirectord };
        let reading = Reading { format: Some(format), config_id: None };
        let mut files = |_: &Include| Ok(vec![("x".to_owned(), text.clone())]);
        if let Ok(imported) = import(&reading, "f", &text, &mut files) {
            assert!(imported.remarks.len() <= REMARKS_MAX);
            let loaded = config::load_text(&imported.text);
            assert!(loaded.is_ok(), "{:#?}\n{}", loaded.err(), imported.text);
            assert!(imported.text.lines().all(|line| !line.contains(|it: char| it.is_control() && it != '\t')));
            for line in imported.text.lines().filter(|it| !it.starts_with('#')) {
                let indented = line.starts_with("    ") || line.is_empty();
                let begins = ["hostgroup ", "watch ", "virtual ", "mail_", "mondir = ", "alertdir = "].iter().any(|it| line.starts_with(it));
                assert!(indented || begins, "{line}");
            }
        }
    }
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_left_out_with_what_to_write() {
    let why = "::ffff:10.0.0.3 is IPv4 in IPv6 form, which no packet has as its destination: \
               write 10.0.0.3";
    let good = "virtual_server 10.0.0.9 80 {\n real_server 10.0.0.7 80 {\n }\n}\n";
    let own = "virtual_server ::ffff:10.0.0.3 80 {\n real_server 10.0.0.7 80 {\n }\n}\n";
    let group = "virtual_server_group g {\n ::ffff:10.0.0.3 80\n}\nvirtual_server group g {\n \
                 real_server 10.0.0.7 80 {\n }\n}\n";
    let ldirectord = "virtual=10.0.0.9:80\n\treal=10.0.0.7:80 gate\n\n\
                      virtual6=[::ffff:10.0.0.3]:80\n\treal6=[2001:db8::7]:80 gate\n";
    for (format, text) in [
        (Format::Keepalived, format!("{good}{own}")),
        (Format::Keepalived, format!("{good}{group}")),
        (Format::Ldirectord, ldirectord.to_owned()),
    ] {
        let imported = of(format, &text);
        let lost = lost(&imported);
        assert!(lost.iter().any(|it| it.contains(why)), "{text}: {lost:?}");
        let made = imported.text.matches("\nvirtual ").count();
        assert_eq!(made, 1, "{}", imported.text);
    }
}

#[test]
fn one_bad_word_costs_the_word_and_not_the_virtual_services() {
    let text = "virtual_server_group all {\n 10.0.0.3 80\n 2001:db8::3 80\n}\n\
                virtual_server group all {\n lb_algo maglev\n lb_kind TUN\n persistence_timeout 60\n \
                persistence_granularity 255.255.255.0\n real_server 10.0.0.7 80 {\n }\n}\n";
    let imported = of(Format::Keepalived, text);
    let lost = lost(&imported);
    assert_eq!(imported.text.matches("\nvirtual ").count(), 2, "{lost:?}");
    for word in ["mask 255.255.255.0\n", "scheduler wlc\n"] {
        assert!(imported.text.contains(word), "{}", imported.text);
    }
    assert!(!imported.text.contains("prefix"), "{}", imported.text);
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(
        lost[0].contains("maglev") || lost[1].contains("maglev"),
        "{lost:?}"
    );
}

/// A file of keepalived and those that it includes, by their names.
fn of_files(text: &[u8], included: &[(&str, &[u8])]) -> Result<Imported, Refused> {
    let mut files = |wanted: &Include| {
        let found = included.iter().filter(|it| it.0 == wanted.pattern);
        Ok(found.map(|it| (it.0.to_owned(), it.1.to_vec())).collect())
    };
    import(&Reading::default(), "f", text, &mut files)
}

const ONE: &str =
    "virtual_server 10.0.0.3 80 {\n real_server 10.0.1.1 80 {\n TCP_CHECK {\n }\n }\n}\n";

#[test]
fn letters_that_cannot_be_read_are_lost_and_ask_for_nothing_else() {
    let page: &[u8] = b"# caf\xe9\nvirtual_server 10.0.0.3 80 {\n virtualhost \"h\xf6st\"\n \
        real_server 10.0.1.1 80 {\n HTTP_GET {\n url {\n path /\n }\n }\n }\n}\n";
    let ldirectord: &[u8] = b"# caf\xe9\nvirtual=10.0.0.3:80\n real=10.0.1.1:80 gate\n \
        service=http\n checktype=negotiate\n request=\"caf\xe9.html\"\n receive=ok\n";
    let path: &[u8] = b"virtual_server 10.0.0.3 80 {\n real_server 10.0.1.1 80 {\n HTTP_GET {\n \
        url {\n path \"/\xfc\"\n status_code 200\n }\n }\n }\n}\n";
    for text in [page, ldirectord, path] {
        let imported = of_files(text, &[]).unwrap();
        let lost = lost(&imported);
        assert_eq!(lost.len(), 1, "{lost:?}");
        assert!(lost[0].contains("UTF-8"), "{lost:?}");
        let code = imported.text.lines().filter(|line| !line.starts_with('#'));
        let code: Vec<&str> = code.collect();
        assert!(
            code.iter().all(|line| !line.contains('\u{fffd}')),
            "{code:#?}"
        );
        assert!(
            code.iter().any(|line| line.contains("tcp.monitor -p 80")),
            "{code:#?}"
        );
    }
    let program = b"virtual_server 10.0.0.3 80 {\n real_server 10.0.1.1 80 {\n MISC_CHECK {\n \
        misc_path /bin/caf\xe9\n }\n TCP_CHECK {\n }\n }\n}\n";
    let imported = of_files(program, &[]).unwrap();
    assert!(!imported.is_complete());
    assert!(!imported.text.contains("misc.monitor"), "{}", imported.text);
    // In comments they cost nothing.
    let comment = [b"# caf\xe9\n", ONE.as_bytes()].concat();
    assert!(of_files(&comment, &[]).unwrap().is_complete());
}

#[test]
fn an_included_file_that_cannot_be_read_is_lost_with_its_reason() {
    let text = format!("include a\n{ONE}");
    let utf16: Vec<u8> = ONE.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let imported = of_files(text.as_bytes(), &[("a", &utf16)]).unwrap();
    assert_eq!(
        lost(&imported),
        ["include a: a: the file is no text: it holds a zero byte"]
    );
    let imported = of_files(text.as_bytes(), &[("b", b"")]).unwrap();
    assert_eq!(lost(&imported), ["include a: no file has such a name"]);
    let marked = [b"\xef\xbb\xbf", ONE.as_bytes()].concat();
    let imported = of_files(b"include a\n", &[("a", &marked)]).unwrap();
    assert!(imported.is_complete(), "{:?}", imported.remarks);
    assert!(imported.text.contains("virtual 10.0.0.3:80"));
}

#[test]
fn a_file_of_includes_alone_is_keepalived_s() {
    let imported = of_files(b"# all\ninclude a\n", &[("a", ONE.as_bytes())]).unwrap();
    assert!(imported.is_complete());
    let refused = of_files(b"include none\n", &[]).unwrap_err();
    assert!(matches!(refused, Refused::Empty { .. }), "{refused}");
}

#[test]
fn a_file_that_includes_itself_is_said_to_and_is_read_once() {
    let text = format!("include b\n{ONE}");
    let around: &[(&str, &[u8])] = &[("b", b"include f\n"), ("f", text.as_bytes())];
    let imported = of_files(text.as_bytes(), around).unwrap();
    assert_eq!(
        lost(&imported),
        ["include f: f is being read already: it includes itself, by way of others"]
    );
    let own: &[(&str, &[u8])] = &[("f", b"include f\n")];
    let refused = of_files(b"include f\n", own).unwrap_err();
    let Refused::Empty { remarks, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(remarks.len(), 1, "{remarks:?}");
    assert!(
        remarks[0].text.contains("it includes itself"),
        "{remarks:?}"
    );
}

#[test]
fn a_time_that_is_none_is_said() {
    let text = "virtual_server 10.0.0.3 80 {\n real_server 10.0.1.1 80 {\n MISC_CHECK {\n \
                misc_path /bin/x\n misc_timeout -5\n }\n }\n protocol TCP\n}\n";
    let imported = of(Format::Keepalived, text);
    let said: Vec<String> = imported.remarks.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["f:5: tolerated: misc_timeout without a time above 0; delay_loop counts, 60 s"]
    );
}

/// What a file of so many real servers costs to read and to write.
fn cost_of(
    format: Format,
    count: usize,
    head: &str,
    line: impl Fn(String) -> String,
    tail: &str,
) -> u64 {
    let servers = (0..count).map(|it| line(format!("10.1.{}.{}", it / 250, it % 250 + 1)));
    let text = format!("{head}{}{tail}", servers.collect::<String>());
    crate::effort::visits(|| {
        let imported = of(format, &text);
        assert_eq!(imported.text.matches(" real 10.1.").count(), count);
    })
}

#[test]
fn a_page_that_is_good_is_tried_once() {
    let pages = |count| {
        let head = "virtual_server 10.0.0.1 80 {\n lb_algo wlc\n lb_kind NAT\n protocol TCP\n";
        let line = |host: String| {
            format!(
                " real_server {host} 80 {{\n  HTTP_GET {{\n   url {{\n    path /{host}\n    \
                 status_code 200\n   }}\n  }}\n }}\n"
            )
        };
        cost_of(Format::Keepalived, count, head, line, "}\n")
    };
    // One of nine is the page; the others are the real server and its watch, written and loaded.
    assert_eq!(pages(300) - pages(200), 100 * 9);
}

#[test]
fn work_grows_with_real_servers_and_no_faster() {
    let ldirectord = |count| {
        let line = |host| format!("\treal={host}:80 masq\n");
        let tail =
            "\tservice=http\n\trequest=\"/\"\n\treceive=\"ok\"\n\tscheduler=wlc\n\tprotocol=tcp\n";
        cost_of(
            Format::Ldirectord,
            count,
            "virtual=10.0.0.1:80\n",
            line,
            tail,
        )
    };
    let keepalived = |count| {
        let head = "virtual_server 10.0.0.1 80 {\n lb_algo wlc\n lb_kind NAT\n protocol TCP\n";
        let port = std::cell::Cell::new(0);
        let line = |host| {
            // Each is checked in another way, so that each has a watch.
            port.set(port.get() + 1);
            let port = port.get();
            format!(
                " real_server {host} 80 {{\n  TCP_CHECK {{\n   connect_port {port}\n  }}\n }}\n"
            )
        };
        cost_of(Format::Keepalived, count, head, line, "}\n")
    };
    let costs: [&dyn Fn(usize) -> u64; 2] = [&ldirectord, &keepalived];
    for cost in costs {
        let [some, more, most] = [100, 200, 300].map(cost);
        assert!(
            some < more && most - more == more - some,
            "{some} {more} {most}"
        );
    }
    // A page is tried once, however many real servers have it, and what is written is loaded once.
    let visits = ldirectord(100);
    assert!(visits < 100 * 8, "{visits}");
}
