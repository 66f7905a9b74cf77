//! Good inputs of each kind, and how they are spoiled.

use std::fs;

use proptest::prelude::{Strategy, any, prop};

use crate::support;

/// Words that mean something to one of the readers.
const WORDS: [&str; 92] = [
    "watch",
    "service",
    "hostgroup",
    "alias",
    "view",
    "period",
    "interval",
    "monitor",
    "alert",
    "upalert",
    "alertevery",
    "alertafter",
    "numalerts",
    "depend",
    "dep_behavior",
    "exclude_hosts",
    "exclude_period",
    "traptimeout",
    "trapduration",
    "redistribute",
    "unack_summary",
    "randskew",
    "failure_interval",
    "include",
    "virtual",
    "real",
    "scheduler",
    "forward",
    "persistent",
    "one_packet",
    "fall",
    "rise",
    "recheck",
    "on_failure",
    "drain",
    "min_live",
    "fallback",
    "slow_start",
    "weight_from",
    "initial",
    "foreign",
    "on_exit",
    "witness",
    "weight",
    "upper",
    "lower",
    "port",
    "fwmark",
    "10.0.0.3:80",
    "[2001:db8::3]:80",
    "192.168.0.7",
    "tun gue 6080",
    "mask 255.255.255.0",
    "150%",
    "none",
    "tripwire",
    "lvs.alert",
    "http.monitor",
    ";;",
    "\\\n",
    "\n\n",
    "#",
    "\"",
    "'",
    "=",
    ":",
    "{",
    "}",
    ",",
    "-",
    "wd",
    "hr",
    "md",
    "mo",
    "yr",
    "1s",
    "0s",
    "99999999999999999999d",
    "4294967296",
    "-1",
    "0.0000001s",
    "exit=1-2",
    "SELF:",
    "&&",
    "||",
    "!",
    "(",
    ")",
    "\0",
    "\u{7f}",
    "\u{fffd}",
    "\\20",
];

/// Files of the tests, good and bad.
pub(crate) fn configurations() -> Vec<Vec<u8>> {
    let folder = support::root().join("tests/data");
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|file| file.extension().is_some_and(|end| end == "cf"))
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Lines of services and periods.
pub(crate) fn statements() -> Vec<Vec<u8>> {
    lines(
        "interval 30s\nfailure_interval 1.5m\nrandskew 2s\nmonitor x.monitor -t 10 'two words' ;;\n\
         description Front page\nexclude_hosts h1 h2\nexclude_period wd {Sat-Sun} hr {8am-6pm}\n\
         traptimeout 5m\ntrapduration 1h\ndepend SELF:ping && (router:reach || !gate:up)\n\
         dep_behavior hm\ndep_memory 1m\nredistribute x.alert a b\nunack_summary\n\
         period work: wd {Mon-Fri} hr {8am-6pm}\nalert exit=1-3 mail.alert ops@example.org\n\
         upalert lvs.alert -A -t 10.0.0.1:80 -r h1 -w 5\nalertevery 1h observe_detail\n\
         alertafter 3 30m\nalertafter 2\nupalertafter 5m\nnumalerts 3\nno_comp_alerts\n\
         alertexitrange 1-9\nNAME=a value\nstartupalert x.alert\ntripwire on",
    )
}

/// Lines of `virtual` sections.
pub(crate) fn section_lines() -> Vec<Vec<u8>> {
    lines(
        "protocol udp\nfamily v6\nscheduler sh sh-fallback sh-port\nscheduler other mine flag-3\n\
         forward tun gue 6080 remcsum\nweight 65535\npersistent 300 mask 255.255.255.0 engine sip\n\
         persistent 5m prefix 24\none_packet\nreal 192.168.0.7:8080 weight 3 forward nat upper 9 lower 5\n\
         real b port 81 forward nat service g:s\nreal [2001:db8::7]:80 forward tun gre csum service none\n\
         service g:s none\nfall 2\nrise 1000\nrecheck 250ms\non_failure drain 60s\nmin_live 50%\n\
         fallback 192.168.0.9:81 forward nat weight 0\nslow_start 1d\nweight_from check\ninitial as_found\n\
         foreign keep\non_exit quiesce\nwitness g:s\nalert x.alert 'two words'\nupalert x.alert",
    )
}

/// Periods of all scales.
pub(crate) fn periods() -> Vec<Vec<u8>> {
    lines(
        "wd {Mon-Fri} hr {8am-6pm}\nwd {1-7}, mo {Jan-Feb 3-12}\nyd {1-366} md {31} wk {1-6}\n\
         min {0-59} sec {0-30 45}\nyr {2024-2030} mo {2} md {29}\nhr {22-6}\nnone\n\
         week {2} hour {12am 12noon}\nwd {Sun} hr {2-3} min {30-20}",
    )
}

/// Expressions of all operators.
pub(crate) fn dependencies() -> Vec<Vec<u8>> {
    lines(
        "rtr:ping\nSELF:ping && !(web:dns || web.2:dns-2)\nnot a:b and c:d or e:f\n\
         a:b || c:d && e:f\n!!((1)) or 0\na:b c:d SELF:e\na:1&&1:a\nnot(a:b)or(c:d)",
    )
}

/// Packets as Perl's Mon::Client sends them, and stranger ones.
pub(crate) fn traps() -> Vec<Vec<u8>> {
    [
        "pro='0.3807'\nusr='joe'\npas='pw'\nspc='0'\nseq='0'\ntyp='trap'\ngrp='g'\nsvc='s'\n\
         sta='1'\nspc='0'\ntsp='1795216381'\nsum='sum\\20x'\ndtl='det\\20a\\0adet\\20b'\n",
        "pro=0.3807\ngrp=g\nsvc=s\nsta=0\nsum=all well\n",
        "sta='00'\npro='1e9'\nsvc=''\ngrp=''\nxyz='1'\n\r\nusr='*'\nsum='\\ff\\5c41'",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What clients send.
pub(crate) fn clients() -> Vec<Vec<u8>> {
    [
        "protid 9745\nlist opstatus\nlist failures\nack web http 'on\\20it'\nlist opstatus web,http\n\
         disable host h1\nlist disabled\nenable host h1\nquit\n",
        "set web http interval 30\nget web http interval\nset web http opstatus ok\n\
         get web http _ack\nset web http x_y 'a b'\nget web http x_y\nset maxkeep 3\n",
        "setview v\nlist watch\nlist group web\nlist deps\nlist pids\nlist aliases\nlist views\n\
         list descriptions\nlist alerthist\nlist failurehist\nlist dtlog\nlist state\ngetview\n",
        "test monitor web http\ntest alert web http 1 p\ntest ackalert web trap 0 \nclear timers web http\n\
         stop\nlist state\nstart\nreset stopped keepstate\nloadstate all\nsavestate disabled\n",
        "login joe secret\ncheckauth list\nservertime\nversion\ndisable watch web\ndisable service web http\n\
         enable service web http\nterm\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// mon's state files.
pub(crate) fn state_files() -> Vec<Vec<u8>> {
    [
        "disable host h1\ndisable watch web\ndisable service web http\n",
        "group=web\tservice=http\top_status=0\tfailure_count=3\talert_count=1\tlast_success=1710320000\t\
         consec_failures=2\tlast_failure=1710323000\tfirst_failure=1710322000\tlast_summary=h1\\20x\t\
         ack=1710323100\tack_comment=joe:\\20a=b\tp:last_alert=1710323000\tp:alert_sent=1\t\
         p:1stfailtime=1710322000\tp:failcount=2\n",
        "group=web\tservice=trap\top_status=7\tlast_trap=0\tlast_traphost=\texitval=undef\t:last_alert=\n",
        "group=web\tservice=http\top_status=99\tack=99999999999999999999\tfailure_count=-1\tp:alert_sent=x\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Files `auth.cf`, and a user file.
pub(crate) fn users() -> Vec<Vec<u8>> {
    [
        "# who may what\ncommand section\nlist: all\nreset: root, admin\nack: AUTH_ANY,!guest\n\n\
         trap section\n10.0.0.5 joe abGk1XyZ0123.\n* mon $1$ab$0123456789012345678901\n",
        "set:\n: all\ncommand section trap section\nget all\ntrap section\n* * none\nh u\n",
        "joe: $6$salt$x\nann : $y$j9T$x\n# c\nbob:abGk1XyZ0123.:1000:\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// Records as the engine writes them.
pub(crate) fn journals() -> Vec<Vec<u8>> {
    lines(
        r#"{"key":"service web/http","value":{"status":"fail","exit":1,"failure_count":3,"alert_count":1,"last_check":1710324000000000,"text":{"output":"h1\nmore\n"},"outage":{"first_failure":1710323000000000,"id":1710323000,"last_failure":1710324000000000,"consec_failures":3,"calls":1},"periods":{"wd {Sun-Sat}":{"alert_sent":1,"last_alert":1710323500000000,"1stfailtime":1710323000000000,"failcount":2}}}}
{"key":"service tg/ts","value":{"status":"ok","exit":0,"last_success":9223372036854775807,"failure_count":0,"alert_count":0}}
{"key":"service web/http","value":{"status":"untested","exit":-2147483648,"outage":{"first_failure":-9223372036854775808,"id":0,"last_failure":0,"consec_failures":4294967295,"calls":4294967295}}}
{"key":"service web/http","value":null}"#,
    )
}

/// Files of ldirectord and keepalived.
pub(crate) fn files_of_others() -> Vec<Vec<u8>> {
    let folder = support::root().join("tests/import/data");
    let file = |name| fs::read(folder.join(name)).unwrap();
    let group = "virtual_server_group G {\n 10.0.0.1-3 80\n 2001:db8::3 443\n fwmark 5\n}\n\
                 virtual_server group G {\n lvs_sched mh\n lb_kind TUN\n sorry_server 10.0.0.9 80\n \
                 real_server 10.0.0.7 80 {\n weight 3\n uthreshold 9\n HTTP_GET {\n url {\n path /\n \
                 status_code 200\n }\n retry 2\n }\n }\n}\n";
    let range = "checkinterval=5\nvirtual=7\n\treal=10.0.0.7->10.0.0.9 gate 5 \"GET /\"\n\tprotocol=fwm\n\
                 \tservice=http\n\trequest=\"x\"\n\treceive=\"a.*b\"\n\tfallback=127.0.0.1:80\n\
                 virtual6=[2001:db8::3]:80\n\treal6=[2001:db8::7]:80 masq l:3 u:9\n";
    vec![
        file("keepalived.conf"),
        file("ldirectord.cf"),
        group.as_bytes().to_vec(),
        range.as_bytes().to_vec(),
    ]
}

/// What VRRP daemons write.
pub(crate) fn announcements() -> Vec<Vec<u8>> {
    [
        "GROUP \"G\" MASTER 100\nINSTANCE \"VI_1\" MASTER 100\n",
        "INSTANCE \"VI_1\" BACKUP 100\nINSTANCE \"VI 2\" FAULT 0\nINSTANCE VI_1 STOP\n",
        "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 100\nINSTANCE \"VI_1\" DELETED 100\n\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

/// What `lvsmon` asks the daemon.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    lines(
        r#"{"request":"table"}
{"request":"services","from":3}
{"request":"why","group":"web","service":"http","until_ms":5}
{"request":"wish","server":"192.168.0.1","within":"10.0.0.3:80","wish":{"wish":"drain","limit_s":600},"for_s":7200,"reason":"new kernel","login":"joe"}
{"request":"wish","server":"192.168.0.2:80","wish":{"wish":"weight","weight":65535},"caution":"force"}
{"request":"wish","server":"192.168.0.3","wish":{"wish":"disable"},"for_s":1}
{"request":"enable","server":"[2001:db8::7]:80"}
{"request":"set_role","instance":"VI_1","state":"master"}
{"request":"server","server":"192.168.0.1"}"#,
    )
}

/// What the other director says inside a session, and a greeting.
pub(crate) fn words_of_a_peer() -> Vec<Vec<u8>> {
    let here =
        r#"{"here":{"role":"active","speaks":true,"numbers":1710324000,"time":1710324000000000}}"#;
    let open = r#"{"open":[[{"group":"web","service":"http"},{"id":1710323000,"began":1710323000000000,"calls":2,"alerted":[0],"ack":{"time":1710324000000000,"comment":"joe: seen"}}],[{"group":"virtual","service":"10.0.0.3:80/tcp fallback"},{"id":1710323001,"began":1710323001000000,"calls":1}]]}"#;
    let over = r#"{"over":[{"group":"web","service":"http"}]}"#;
    let ended = r#"{"ended":[{"of":{"group":"web","service":"http"},"id":1710322000,"began":1710322000000000,"ended":1710322060000000}]}"#;
    let told =
        r#"{"delivered":[{"event":"web/http/1710323000/failure/1","to":"ops@example.org"}]}"#;
    let wishes = r#"{"wishes":[{"key":"wish 10.0.0.3:80/tcp 192.168.0.1:80","stamp":{"time":1710324000000000,"writer":7},"value":{"wish":"quiesce"}},{"key":"host web 192.168.0.1","stamp":{"time":1,"writer":1}}]}"#;
    let begin = "{\"hello\":{\"name\":\"two\"}}\n\"whole\"\n";
    vec![
        format!(
            "{begin}{here}\n{open}\n{ended}\n{told}\n{wishes}\n\"told\"\n{over}\n{ended}\n{here}\n"
        )
        .into_bytes(),
        format!("{begin}\"told\"\n{open}\n{over}\n{wishes}\n").into_bytes(),
        format!("{begin}{wishes}\n{here}\n\"told\"\n{told}\n").into_bytes(),
        format!("lvsmon-pair 1 {} 0000000000000002\n", "02".repeat(32)).into_bytes(),
    ]
}

/// Files of the spool: a mail, two events that became one, a webhook, two programs.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let mail = r#""destination":{"mail":{"to":"ops@b.example","from":"mon@h.example","header_to":["ops@b.example","boss@b.example"]}}"#;
    let hook = r#""destination":{"webhook":{"url":"https://h.example/hook","key":"/etc/mon/key","timeout":{"secs":10,"nanos":0},"headers":[["Authorization","@/etc/mon/token"]]}}"#;
    let program = |path: &str, name: &str, args: &str, input: &str| {
        format!(
            r#""destination":{{"program":{{"path":"{path}","name":"{name}","args":{args},"written":"x","environment":[["MON_ALERTTYPE","failure"],["MON_DESCRIPTION","the farm"]],"input":{input}}}}}"#
        )
    };
    let page = program(
        "/a/page.alert",
        "page.alert",
        r#"["-x","b c"]"#,
        r#"{"bytes":[119,101,98,255,10]}"#,
    );
    let trap = program(
        "trap.alert",
        "trap.alert",
        r#"["10.0.0.9"]"#,
        r#"{"text":"web1\n"}"#,
    );
    let seal = r#"{"message_id":"<lvsmon.00@h.example>","replaces":[18]}"#;
    let notice = |number: u8| {
        format!(
            r#"{{"event":"web/http/1710323000/failure/{number}","kind":"failure","group":"web","service":"http","period":"wd {{Sun-Sat}}","description":"the farm","hosts":["web1","web2"],"time":1710323000000000,"summary":"web1","detail":"HOST web1: refused\n","status":"fail","exit":1,"first_failure":1710323000000000,"results":[{{"host":"web1","verdict":"down","reason":"refused","text":"connection refused"}}],"next_alert":null,"left_out":0}}"#
        )
    };
    let (one, other) = (notice(1), notice(2));
    let file = |destination: &str, seal: &str, notices: &str, held: &str| {
        let begin = r#"{"version":1,"accepted":1710323000000001"#;
        format!(r#"{begin},{destination},"seal":{seal},"notices":[{notices}]{held}}}"#).into_bytes()
    };
    vec![
        file(mail, "null", &one, ""),
        file(mail, seal, &format!("{one},{other}"), ""),
        file(hook, "null", &one, r#","held":true"#),
        file(&page, "null", &one, r#","held":true"#),
        file(&trap, "null", &other, ""),
    ]
}

/// Lists of what was delivered.
pub(crate) fn lists_of_deliveries() -> Vec<Vec<u8>> {
    let line = |word: &str, event: &str, to: &str| {
        format!(
            "{{\"at\":1710323000000000,\"{word}\":{{\"event\":\"{event}\",\"to\":\"{to}\"}}}}\n"
        )
    };
    let event = "web/http/1710323000/failure/1";
    let own = line("delivered", event, "ops@example.org");
    let told = line("told", event, "ops@example.org");
    let later = line("told", "web/http/1710323000/failure/2", "program 00ff");
    let end = line("told", "web/http/1710323001/up/1", "ops@example.org");
    let renumbered = r#"{"at":1710323000000000,"renumbered":{"from":"web/http/1710323000","to":"web/http/1710323001"}}"#;
    [
        format!("{own}{told}{end}"),
        format!("{told}{renumbered}\n{end}"),
        format!("{later}{renumbered}\n{told}{own}"),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn lines(text: &str) -> Vec<Vec<u8>> {
    text.lines().map(|line| line.as_bytes().to_vec()).collect()
}

/// One of the good inputs after a few accidents.
pub(crate) fn mutated(good: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    assert!(good.len() > 2, "nothing to spoil");
    let accident = (0..6_u8, any::<u16>(), any::<u16>(), any::<u8>());
    let accidents = prop::collection::vec(accident, 0..8);
    (any::<prop::sample::Index>(), accidents).prop_map(move |(which, accidents)| {
        let mut bytes = good[which.index(good.len())].clone();
        for (kind, at, length, byte) in accidents {
            accident_happens(&mut bytes, &good, kind, (at.into(), length.into()), byte);
        }
        bytes
    })
}

fn accident_happens(
    bytes: &mut Vec<u8>,
    good: &[Vec<u8>],
    kind: u8,
    (at, length): (usize, usize),
    byte: u8,
) {
    let at = at % (bytes.len() + 1);
    let end = (at + length % 20).min(bytes.len());
    match kind {
        0 => drop(bytes.drain(at..end)),
        1 => bytes.truncate(at),
        2 => {
            let piece = bytes[at..end].to_vec();
            bytes.splice(at..at, piece);
        }
        3 => {
            let word = WORDS[length % WORDS.len()];
            bytes.splice(at..at, word.bytes());
        }
        4 => {
            let other = &good[length % good.len()];
            let from = other.len() * usize::from(byte) / 256;
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            if let Some(here) = bytes.get_mut(at) {
                *here = byte;
            }
        }
    }
}
