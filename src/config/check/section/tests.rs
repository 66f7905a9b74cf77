//! Sections to declared virtual services. What is refused is in tests/data/bad-virtual-*.cf.

use std::num::NonZeroU16;
use std::time::Duration;

use crate::config::load_text;
use crate::lvs::{
    Family, Forwarding, GueChecksum, RealServer, Scheduler, ServiceFlags, Strangers, Tunnel, Weight,
};
use crate::model::{
    DeclaredJudge, DeclaredServer, DeclaredService, Initial, JudgedBy, MinLive, Model, OnExit,
    OnFailure, WeightFrom,
};

const WATCHES: &str = "\
hostgroup web w1 w2 2001:db8::1
hostgroup gate g1

watch web
 service http
  interval 10s
  monitor http.monitor
 service ping
  interval 5s
  exclude_hosts w2
  monitor fping.monitor

watch gate
 service ping
  interval 5s
  monitor fping.monitor

";

fn model(sections: &str) -> Model {
    let text = format!("{WATCHES}{sections}");
    match load_text(&text) {
        Ok((model, _)) => model,
        Err(mistakes) => panic!("{}", mistakes[0]),
    }
}

fn section(text: &str) -> DeclaredService {
    let mut all = model(text).virtual_services;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Host, port and judges of each server: `w1:80 web/http+ gate/ping!`, `!` for as a whole.
fn servers(text: &str) -> Vec<String> {
    let model = model(text);
    let judge = |judge: &DeclaredJudge| {
        let service = model.service(judge.service);
        let mark = match judge.verdict {
            JudgedBy::Host => "",
            JudgedBy::Whole => "!",
        };
        format!(" {}:{}{mark}", service.group, service.name)
    };
    let shown = |server: &DeclaredServer| {
        let judges: String = server.judges.iter().map(judge).collect();
        format!("{}:{}{judges}", server.host, server.port)
    };
    let sections = model.virtual_services.iter();
    let servers = sections.flat_map(|section| &section.servers);
    servers.map(shown).collect()
}

#[test]
fn a_hostgroup_is_three_lines_and_each_host_is_judged_by_who_checks_it() {
    assert_eq!(
        servers("virtual 10.0.0.3:80\n forward tun\n real web\n service web:http web:ping\n"),
        [
            "w1:80 web:http web:ping",
            "w2:80 web:http",
            "2001:db8::1:80 web:http web:ping",
        ]
    );
}

#[test]
fn a_line_may_name_its_own_judges_and_a_service_that_does_not_check_it_decides_as_a_whole() {
    assert_eq!(
        servers(
            "virtual 10.0.0.3:80\n service web:http\n real w1\n real w2 service gate:ping web:http\n \
             real 10.0.0.9:80 service none\n real W1 forward nat port 81\n"
        ),
        [
            "w1:80 web:http",
            "w2:80 gate:ping! web:http",
            "10.0.0.9:80",
            // Verdicts are looked up by the word of the hostgroup.
            "w1:81 web:http",
        ]
    );
    assert_eq!(
        servers("virtual [2001:db8::3]:80\n real [2001:DB8::1]:80\n service web:http\n"),
        ["2001:db8::1:80 web:http"]
    );
}

#[test]
fn a_section_may_stand_before_all_that_it_names() {
    let text =
        format!("virtual 10.0.0.3:80\n forward tun\n real web\n service web:http\n\n{WATCHES}");
    let (model, _) = load_text(&text).unwrap();
    assert_eq!(model.virtual_services[0].servers.len(), 3);
}

#[test]
fn lines_of_servers_have_the_last_word_over_the_section() {
    let text = "virtual 10.0.0.3:80\n real w1\n real w2 weight 0 forward tun gue 6080 remcsum\n \
                real 10.0.0.9 upper 10 lower 5 forward tun gre csum\n weight 7\n forward nat\n \
                service none\n";
    let tunnel = |tunnel| Forwarding::Tun(tunnel);
    let gue = Tunnel::Gue {
        port: NonZeroU16::new(6080).unwrap(),
        checksum: GueChecksum::Remcsum,
    };
    let settings: Vec<RealServer> = section(text).servers.iter().map(|it| it.settings).collect();
    let last = RealServer {
        upper_threshold: 10,
        lower_threshold: 5,
        ..RealServer::new(tunnel(Tunnel::Gre { checksum: true }), Weight(7))
    };
    assert_eq!(
        settings,
        [
            RealServer::new(Forwarding::Nat, Weight(7)),
            RealServer::new(tunnel(gue), Weight(0)),
            last,
        ]
    );
}

#[test]
fn what_a_section_leaves_out_is_cautious() {
    let found = section("virtual 10.0.0.3:80\n real w1\n service web:http\n");
    let expected = DeclaredService::new(found.key, found.settings.clone());
    let servers = found.servers.clone();
    assert_eq!(
        found,
        DeclaredService {
            servers,
            ..expected
        }
    );
    assert_eq!(found.key.to_string(), "10.0.0.3:80/tcp");
    assert_eq!(found.settings.words(found.key.family()), "scheduler wlc");
    let settings = RealServer::new(Forwarding::Dr, Weight(1));
    assert_eq!(found.servers[0].settings, settings);
}

#[test]
fn every_keyword_reaches_the_model() {
    let found = section(
        "virtual 10.0.0.3:80\n protocol udp\n scheduler sh sh-port sh-fallback\n one_packet\n \
         persistent 5m prefix 24 engine sip\n real w1\n service web:http\n fall 2\n rise 3\n \
         recheck 250ms\n on_failure remove\n min_live 1\n fallback g1:81 forward nat weight 4\n \
         slow_start 30s\n weight_from check\n initial out\n foreign keep\n on_exit quiesce\n \
         witness gate:ping\n alert a.alert x\n alert b.alert\n upalert c.alert\n",
    );
    assert_eq!(found.key.to_string(), "10.0.0.3:80/udp");
    assert_eq!(
        found.settings.words(found.key.family()),
        "scheduler sh sh-fallback sh-port, persistent 300 mask 255.255.255.0 engine sip, one_packet"
    );
    let counts = found.counts;
    assert_eq!((counts.fall.get(), counts.rise.get()), (2, 3));
    assert_eq!(counts.recheck, Duration::from_millis(250));
    assert_eq!(found.on_failure, OnFailure::Remove);
    assert_eq!(found.min_live, MinLive::Count(1));
    let fallback = found.fallback.unwrap();
    assert_eq!((fallback.host.as_str(), fallback.port), ("g1", 81));
    let settings = RealServer::new(Forwarding::Nat, Weight(4));
    assert_eq!(fallback.settings, settings);
    assert_eq!(found.slow_start, Some(Duration::from_secs(30)));
    assert_eq!(found.weight_from, WeightFrom::Check);
    assert_eq!(found.initial, Initial::Out);
    assert_eq!(found.foreign, Strangers::Kept);
    assert_eq!(found.on_exit, OnExit::Quiesce);
    assert_eq!(found.witnesses.len(), 1);
    assert_eq!((found.alerts.len(), found.upalerts.len()), (2, 1));
    assert_eq!(found.alerts[0].args, ["x"]);
}

#[test]
fn a_line_of_servers_has_rules_of_its_own() {
    let found = section(
        "virtual 10.0.0.3:80\n on_failure quiesce\n initial in\n service web:http\n \
         real w1 on_failure drain 60s weight 3 initial out\n real w2 initial as_found\n",
    );
    let own = |index: usize| found.servers[index].own;
    assert_eq!(
        own(0).on_failure,
        Some(OnFailure::Drain(Duration::from_secs(60)))
    );
    assert_eq!(own(0).initial, Some(Initial::Out));
    assert_eq!(found.servers[0].settings.weight, Weight(3));
    assert_eq!(
        (own(1).on_failure, own(1).initial),
        (None, Some(Initial::AsFound))
    );
    // Of UDP none stays with weight 0.
    let found = section(
        "virtual 10.0.0.3:80\n protocol udp\n real w1 on_failure quiesce\n service web:http\n",
    );
    assert_eq!(found.servers[0].own.on_failure, Some(OnFailure::Remove));
}

#[test]
fn an_alert_of_a_section_is_looked_for_like_any_other() {
    let text =
        format!("{WATCHES}virtual 10.0.0.3:80\n real w1\n service web:http\n alert x.alert\n");
    let (model, _) = load_text(&text).unwrap();
    let program = &model.virtual_services[0].alerts[0].program;
    let is_found = matches!(program, crate::model::AlertProgram::Executable(_));
    assert!(is_found, "{program:?}");
}

#[test]
fn witnesses_that_are_all_known_by_name_are_warned_of() {
    let warned = |setting: &str, hosts: &str, line: &str| {
        let text = format!(
            "{setting}hostgroup gates {hosts}\n\nwatch gates\n service ping\n  interval 1s\n  \
             monitor fping.monitor -t 500 -r 1\n\n{WATCHES}virtual 10.0.0.3:80\n real w1\n \
             service web:http\n{line}"
        );
        let (_, warnings) = load_text(&text).unwrap();
        let warnings = warnings.iter().map(ToString::to_string);
        warnings.filter(|it| it.contains("by name only")).count()
    };
    for (setting, line) in [
        ("witness = gates:ping\n\n", ""),
        ("", " witness gates:ping\n"),
    ] {
        assert_eq!(warned(setting, "gw1 gw2", line), 1, "{setting}{line}");
        for with_address in ["gw1 192.0.2.1", "2001:db8::1"] {
            assert_eq!(warned(setting, with_address, line), 0, "{setting}{line}");
        }
    }
    assert_eq!(
        warned("", "192.0.2.1", " witness gates:ping gate:ping\n"),
        0
    );
    assert_eq!(warned("", "gw1", ""), 0);
}

#[test]
fn of_all_witnesses_a_section_takes_its_own_or_those_of_the_setting() {
    let text = "witness = gate:ping\n\nvirtual 10.0.0.3:80\n real w1\n service web:http\n\n\
                virtual 10.0.0.3:81\n real w1\n service web:http\n witness none\n";
    let model = model(text);
    let gate = model.find("gate", "ping").unwrap();
    assert_eq!(model.witnesses, [gate]);
    let of = |index: usize| model.virtual_services[index].witnesses.clone();
    assert_eq!((of(0), of(1)), (vec![gate], vec![]));
}

#[test]
fn failure_of_a_udp_server_removes_it_and_others_may_quiesce_or_drain() {
    let of = |lines: &str| {
        section(&format!(
            "virtual 10.0.0.3:80\n real w1\n service web:http\n{lines}"
        ))
        .on_failure
    };
    let minute = Duration::from_secs(60);
    assert_eq!(of(" on_failure quiesce\n"), OnFailure::Quiesce);
    assert_eq!(of(" on_failure drain 1m\n"), OnFailure::Drain(minute));
    assert_eq!(
        of(" protocol udp\n on_failure drain 1m\n"),
        OnFailure::Remove
    );
}

#[test]
fn a_scheduler_that_nobody_knows_can_be_asked_for_on_purpose() {
    let text = "virtual 10.0.0.3:80\n scheduler other mine flag-2\n real w1\n service web:http\n";
    let settings = section(text).settings;
    assert_eq!(settings.scheduler, Scheduler::new("mine").unwrap());
    assert_eq!(settings.flags, ServiceFlags::FLAG_2);
}

#[test]
fn every_scheduler_is_taken_with_its_flags() {
    const ONE: ServiceFlags = ServiceFlags::FLAG_1;
    const TWO: ServiceFlags = ServiceFlags::FLAG_2;
    const THREE: ServiceFlags = ServiceFlags::FLAG_3;
    let lines = |words: &str| {
        format!("virtual 10.0.0.3:80\n scheduler {words}\n real w1\n service web:http\n")
    };
    let refuses = |words: &str| load_text(&format!("{WATCHES}{}", lines(words))).is_err();
    for name in Scheduler::KNOWN {
        let scheduler = Scheduler::new(name).unwrap();
        // Those that have none of their own take what the kernel takes, with a warning.
        let (own, others): (&[(&str, ServiceFlags)], _) = match name {
            "sh" => (&[("sh-fallback", ONE), ("sh-port", TWO)], "mh-port"),
            "mh" => (&[("mh-fallback", ONE), ("mh-port", TWO)], "sh-port"),
            _ => (
                &[("flag-1", ONE), ("flag-2", TWO), ("flag-3", THREE)],
                "sh-port",
            ),
        };
        let alone = own.iter().map(|(word, flag)| (word.to_string(), *flag));
        let words: Vec<&str> = own.iter().map(|(word, _)| *word).collect();
        let flags = own.iter().map(|(_, flag)| *flag);
        let all = flags.reduce(ServiceFlags::with).unwrap();
        let cases = alone.chain([(String::new(), ServiceFlags::NONE), (words.join(" "), all)]);
        for (words, flags) in cases {
            let words = format!("{name} {words}");
            let found = section(&lines(&words)).settings;
            assert_eq!(
                (&found.scheduler, found.flags),
                (&scheduler, flags),
                "{words}"
            );
            // It is told as it was written.
            let told = found.words(Family::V4);
            assert_eq!(told, format!("scheduler {}", words.trim_end()));
        }
        assert!(refuses(&format!("{name} {others}")), "{name} {others}");
    }
}

#[test]
fn a_mark_takes_any_port_with_nat_alone() {
    let found =
        section("virtual fwmark 7\n real w1\n real w2 forward nat port 81\n service web:http\n");
    assert_eq!(found.key.to_string(), "fwmark 7");
    let ports: Vec<u16> = found.servers.iter().map(|server| server.port).collect();
    assert_eq!(ports, [0, 81]);
    let six = "virtual fwmark 7\n family v6\n real 2001:db8::1\n service web:http\n";
    assert_eq!(section(six).key.to_string(), "fwmark 7/v6");
}

#[test]
fn two_models_differ_where_their_sections_do() {
    let of = |fall: u8| {
        model(&format!(
            "virtual 10.0.0.3:80\n real w1\n service web:http\n fall {fall}\n"
        ))
    };
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

#[test]
fn a_section_of_a_hundred_thousand_servers_is_read_in_time() {
    let hosts: String = (0..100_000).map(|host| format!(" h{host}")).collect();
    let text = format!(
        "hostgroup big{hosts}\n\nwatch big\n service s\n  interval 1m\n  monitor http.monitor\n\n\
         virtual 10.0.0.3:80\n real big\n real big\n service big:s\n"
    );
    // Each of the second line's is one too many; more mistakes than anybody reads are counted.
    let mistakes = load_text(&text).unwrap_err();
    assert!(mistakes.len() > 1);
}

#[test]
fn weights_of_0_that_leave_nobody_for_the_clients_are_warned_of() {
    let warned = |lines: &str| -> Vec<String> {
        let section = format!("virtual 10.0.0.3:80\n{lines} service web:http\n alert page.alert\n");
        let (_, warnings) = load_text(&format!("{WATCHES}{section}")).unwrap();
        let warnings = warnings.iter().map(ToString::to_string);
        warnings.filter(|it| it.contains("weight")).collect()
    };
    for (lines, expected) in [
        (
            " real w1 weight 0\n real w2 weight 0\n",
            "no real server of virtual 10.0.0.3:80/tcp takes clients: each has weight 0",
        ),
        (
            " weight 0\n real w1\n real w2\n",
            "no real server of virtual 10.0.0.3:80/tcp takes clients",
        ),
        (
            " real w1\n fallback 10.0.0.9 weight 0\n",
            "the fallback has weight 0: it takes nobody's place",
        ),
        (
            " real w1\n real w2 weight 0\n min_live 2\n",
            "min_live asks for 2 real servers, and 1 has a weight above 0",
        ),
    ] {
        let said = warned(lines);
        assert_eq!(said.len(), 1, "{lines}: {said:?}");
        assert!(said[0].contains(expected), "{said:?}");
    }
    for lines in [
        " real w1\n real w2 weight 0\n min_live 1\n fallback 10.0.0.9\n",
        // A check may say any weight.
        " real w1 weight 0\n weight_from check\n min_live 1\n",
    ] {
        assert_eq!(warned(lines), [""; 0], "{lines}");
    }
}

#[test]
fn a_section_costs_no_look_at_the_hostgroups_of_the_others() {
    let farm = |count: usize| -> String {
        let one = |at: usize| {
            format!(
                "hostgroup g{at} 10.0.{}.{}\n\nwatch g{at}\n service http\n  interval 10s\n  \
                 monitor http.monitor\n\nvirtual 10.1.{}.{}:80\n real g{at}\n service \
                 g{at}:http\n\n",
                at / 250,
                at % 250,
                at / 250,
                at % 250
            )
        };
        (0..count).map(one).collect()
    };
    let effort = |count: usize| {
        let text = farm(count);
        crate::effort::visits(|| {
            let (model, _) = load_text(&text).unwrap();
            assert_eq!(model.virtual_services.len(), count);
        })
    };
    let (few, many) = (effort(20), effort(200));
    assert!(few > 0);
    assert!(many <= 10 * few, "{few} visits for 20, {many} for 200");
}

#[test]
fn no_service_decides_over_one_name_in_both_families() {
    let mistakes = |sections: &str| match load_text(&format!("{WATCHES}{sections}")) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    let four = "virtual 10.0.0.3:80\n real w1\n real w2\n service web:http\n\n";
    let six = "virtual [2001:db8::3]:80\n";
    let refused = mistakes(&format!(
        "{four}{six} real w1\n real W2\n service web:http\n"
    ));
    assert_eq!(refused.len(), 1, "{refused:?}");
    let words = "service web:http decides over w1 in 10.0.0.3:80/tcp and, by its IPv6 address, in \
                 [2001:db8::3]:80/tcp: one verdict cannot speak for two addresses, line 24";
    assert!(refused[0].contains(words), "{refused:?}");
    // As a whole, in a mark of the other family, and by a line beside the section.
    let marked = "virtual fwmark 7\n family v6\n real w1 service gate:ping\n";
    let whole = "virtual 10.0.0.4:80\n real w1 service gate:ping\n\n";
    assert_eq!(mistakes(&format!("{whole}{marked}")).len(), 1);
    for good in [
        format!("{four}{six} real w1 service web:ping\n real w2 service gate:ping\n"),
        format!("{four}{six} real 2001:db8::1\n service web:http\n"),
        format!("{four}{six} real w1 service none\n fallback w2\n"),
        format!("{four}virtual fwmark 7\n real w1\n real w2\n service web:http\n"),
    ] {
        assert_eq!(mistakes(&good), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn an_address_that_is_no_host_s_is_no_virtual_service() {
    for address in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        let text = format!("{WATCHES}virtual {address}:80\n real 10.0.0.7 service none\n");
        let mistakes = load_text(&text).unwrap_err();
        let said = mistakes[0].message.clone();
        assert!(
            said.contains("is not an address that clients connect to"),
            "{said}"
        );
    }
}

/// ldirectord makes such entries; who takes it for a translation is told, once for a section.
#[test]
fn with_a_mark_a_port_names_the_entry_and_is_warned_of() {
    let section = |lines: &str| {
        let text = format!("{WATCHES}virtual fwmark 7\n service none\n{lines}");
        let (model, warnings) = load_text(&text).unwrap();
        let ports = model.virtual_services[0].servers.iter();
        let ports: Vec<u16> = ports.map(|server| server.port).collect();
        let warnings = warnings.iter().map(ToString::to_string);
        let said = warnings.filter(|it| it.contains("only names its entry"));
        (ports, said.collect::<Vec<String>>())
    };
    let (ports, said) = section(" real 10.0.0.7:81\n real 10.0.0.8 port 82 forward tun\n");
    assert_eq!((ports, said.len()), (vec![81, 82], 1), "{said:?}");
    assert!(said[0].contains("port 81 of 10.0.0.7") && said[0].contains("with a mark, dr"));
    let (ports, said) = section(" real 10.0.0.7\n fallback 10.0.0.9:81\n");
    assert_eq!((ports, said.len()), (vec![0], 1), "{said:?}");
    let (ports, said) = section(" forward nat\n real 10.0.0.7:81\n real 10.0.0.7:82\n");
    assert_eq!((ports, said), (vec![81, 82], Vec::new()));
}
