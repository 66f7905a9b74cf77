//! Each keyword and each quirk of mon's language: what it becomes in the Model, or what is said
//! of it. The mistakes among them have a `bad-*.cf` or `trap-*.cf` of their own.

use std::path::PathBuf;
use std::time::Duration;

use lvsmon::config::{self, Diagnostic};
use lvsmon::model::{
    AlertCommand, AlertPeriod, AuthType, Bind, DependBehavior, DependKind, ExitRange, Model,
    Repeat, Service,
};
use lvsmon::period::Period;

fn load(text: &str) -> (Model, Vec<String>) {
    match config::load_text(text) {
        Ok((model, warnings)) => (model, warnings.into_iter().map(|one| one.message).collect()),
        Err(errors) => panic!("{text}\n{errors:#?}"),
    }
}

/// The one service of a watch with these lines, and what is said of them.
fn service(lines: &str) -> (Service, Vec<String>) {
    let watch = format!("hostgroup web web1 web2\n\nwatch web\n service http\n{lines}\n");
    let (model, said) = load(&watch);
    assert_eq!(model.services.len(), 1, "{watch}");
    (model.services[0].clone(), said)
}

/// A period with these lines, and what is said of them.
fn period(lines: &str) -> (AlertPeriod, Vec<String>) {
    let (service, said) = service(&format!(
        "interval 30s\nmonitor http.monitor\nperiod\nalert mail.alert ops\n{lines}"
    ));
    (service.periods[0].clone(), said)
}

fn first_error(text: &str) -> String {
    let errors = config::load_text(text).unwrap_err();
    let error = errors.into_iter().find(Diagnostic::is_error).unwrap();
    error.message
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_upalert_that_nothing_is_sent_before_is_warned_of() {
    let table = "alert lvs.alert -P tcp -V 10.0.0.3:80 -R 10.0.0.7:80\n";
    for (lines, warns) in [
        ("upalert mail.alert ops\n", true),
        ("upalert mail.alert ops\nackalert mail.alert ops\n", true),
        (&*format!("{table}upalert mail.alert ops\n"), true),
        ("alert mail.alert ops\nupalert mail.alert ops\n", false),
        (
            "startupalert mail.alert ops\nupalert mail.alert ops\n",
            false,
        ),
        (
            "disablealert mail.alert ops\nupalert mail.alert ops\n",
            false,
        ),
        ("upalert mail.alert ops\nno_comp_alerts\n", false),
        (&*format!("{table}up{table}"), false),
    ] {
        let (_, said) = service(&format!(
            "interval 30s\nmonitor http.monitor\nperiod\n{lines}"
        ));
        let is_it = |it: &&String| it.starts_with("this upalert never runs: nothing is sent");
        let found = said.iter().filter(is_it);
        assert_eq!(found.count(), usize::from(warns), "{lines}: {said:?}");
    }
    // A line that cannot be read has a mistake of its own.
    let said = config::load_text(
        "hostgroup web web1\n\nwatch web\n service http\n interval 30s\n monitor http.monitor\n \
         period\n alert mail.alert -q ops\n upalert mail.alert ops\n",
    );
    let said = said.unwrap_err();
    let is_it = |it: &Diagnostic| it.message.contains("never runs");
    assert!(!said.iter().any(is_it), "{said:?}");
}

#[test]
fn every_keyword_of_a_service_reaches_the_model() {
    let lines = "\
interval 30s
failure_interval 5s
randskew 2s
monitor own.monitor -x 'two words' ;;
description Front page,  \"quoted\" = verbatim
allow_empty_group
exclude_hosts web2
exclude_period hr {3}
traptimeout 10m
trapduration 20m
redistribute own.alert to everybody
unack_summary no
all_hosts_on_failure
KEY=  value with  blanks \"and quotes\"
EMPTY=
";
    let (service, _) = service(lines);
    assert_eq!(service.interval, Some(seconds(30)));
    assert_eq!(service.failure_interval, Some(seconds(5)));
    assert_eq!(service.randskew, Some(seconds(2)));
    let monitor = service.monitor.as_ref().unwrap();
    assert_eq!(
        (&*monitor.name, &*monitor.args, monitor.appends_hosts),
        (
            "own.monitor",
            &["-x".to_owned(), "two words".to_owned()][..],
            false
        )
    );
    assert_eq!(
        service.description.as_deref(),
        Some("Front page,  \"quoted\" = verbatim")
    );
    assert!(service.allow_empty_group && service.all_hosts_on_failure);
    assert_eq!(service.exclude_hosts[0].as_str(), "web2");
    assert!(service.exclude_period.is_some());
    assert_eq!(service.traptimeout, Some(seconds(600)));
    assert_eq!(service.trapduration, Some(seconds(1_200)));
    let redistribute = service.redistribute.as_ref().unwrap();
    assert_eq!(
        (&*redistribute.name, &*redistribute.args),
        ("own.alert", &["to".to_owned(), "everybody".to_owned()][..])
    );
    assert!(!service.unack_summary);
    let environment: Vec<(&str, &str)> = service
        .environment
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(
        environment,
        [
            ("KEY", "  value with  blanks \"and quotes\""),
            ("EMPTY", "")
        ]
    );
}

#[test]
fn every_keyword_of_dependencies_reaches_the_model() {
    let lines = "\
depend SELF:ping && router:ping
alertdepend SELF:a
monitordepend SELF:m
hostdepend SELF:h
dep_behavior hm
dep_memory 4m
";
    let (service, _) = service(lines);
    let depend: Vec<(DependKind, &str)> = service
        .depend
        .iter()
        .map(|(kind, dependency)| (*kind, &*dependency.written))
        .collect();
    assert_eq!(
        depend,
        [
            (DependKind::Depend, "web:ping && router:ping"),
            (DependKind::Alert, "web:a"),
            (DependKind::Monitor, "web:m"),
            (DependKind::Host, "web:h"),
        ]
    );
    assert_eq!(service.dep_behavior, DependBehavior::Hosts);
    assert_eq!(service.dep_memory, Some(seconds(240)));
}

#[test]
fn every_keyword_of_a_period_reaches_the_model() {
    let lines = "\
upalert a.alert
startupalert b.alert
ackalert c.alert
disablealert d.alert
alertevery 1h OBSERVE_DETAIL
alertafter 3
alertafter 2 90m
alertafter 10m
upalertafter 5m
numalerts 4
no_comp_alerts
alerts_dont_count
alertexitrange 2-5
";
    let (period, _) = period(lines);
    let name = |list: &[std::sync::Arc<AlertCommand>]| list[0].name.to_string();
    assert_eq!(name(&period.alerts), "mail.alert");
    assert_eq!(name(&period.upalerts), "a.alert");
    assert_eq!(name(&period.startupalerts), "b.alert");
    assert_eq!(name(&period.ackalerts), "c.alert");
    assert_eq!(name(&period.disablealerts), "d.alert");
    assert_eq!(
        period.alertevery,
        Some((seconds(3_600), Repeat::ObserveDetail))
    );
    assert_eq!(period.alertafter_count, Some(3));
    assert_eq!(period.alertafter_window, Some((2, seconds(5_400))));
    assert_eq!(period.alertafter_time, Some(seconds(600)));
    assert_eq!(period.upalertafter, Some(seconds(300)));
    assert_eq!(period.numalerts, Some(4));
    assert!(period.no_comp_alerts && period.alerts_dont_count);
    assert_eq!(period.alertexitrange, Some(ExitRange { low: 2, high: 5 }));
}

#[test]
fn a_service_that_says_nothing_has_mon_s_defaults() {
    let (service, _) = service("period\n");
    let times = [
        service.interval,
        service.failure_interval,
        service.randskew,
        service.traptimeout,
        service.trapduration,
        service.dep_memory,
    ];
    assert_eq!(times, [None; 6]);
    assert!(service.monitor.is_none() && service.description.is_none());
    assert!(!service.allow_empty_group && !service.unack_summary);
    assert_eq!(service.dep_behavior, DependBehavior::Alerts);
    let period = &service.periods[0];
    assert_eq!((&*period.label, &period.when), ("", &Period::ALWAYS));
    assert_eq!((period.alertevery, period.numalerts), (None, None));
    assert!(!period.no_comp_alerts && !period.alerts_dont_count);
}

#[test]
fn settings_of_folders_and_limits_are_read() {
    let text = "\
maxprocs=20
randstart = 30s
histlength =7
dep_recur_limit = 3
startupalerts_on_reset = YES
exclude_period = hr {3}
basedir = /b
cfbasedir = /c
statedir = s
logdir = l
mondir = m
alertdir = a
";
    let (model, _) = load(text);
    let globals = &model.globals;
    assert_eq!(globals.maxprocs, Some(20));
    assert_eq!(globals.randstart, Some(seconds(30)));
    assert_eq!((globals.histlength, globals.dep_recur_limit), (7, 3));
    assert!(globals.startupalerts_on_reset && globals.exclude_period.is_some());
    assert_eq!(globals.cfbasedir, PathBuf::from("/c"));
    let folders = [
        &globals.basedir,
        &globals.statedir,
        &globals.logdir,
        &globals.mondir[0],
        &globals.alertdir[0],
    ];
    assert_eq!(
        folders,
        ["/b", "/b/s", "/b/l", "/b/m", "/b/a"]
            .map(PathBuf::from)
            .each_ref()
    );
    for name in ["ocfile", "snmp", "snmpport", "MAXPROCS"] {
        let error = first_error(&format!("{name} = 1\n"));
        assert_eq!(error, format!("unknown variable \"{name}\""));
    }
}

#[test]
fn settings_of_clients_traps_and_files_are_read_and_rebased() {
    let text = "\
cfbasedir = /c
logdir = /l
authfile = auth.cf
authtype = userfile getpwnam trustlocal
pamservice = login
userfile = users
serverbind = 192.0.2.1
trapbind = traps.example.org
serverport = 7001
trapport = 7002
clientallow = 10.0.0.\\d+ 192.0.2.0/24
cltimeout = 1m
pidfile = /run/own.pid
historicfile = history
historictime = 1d
dtlogging = yes
dtlogfile = down
monerrfile = /tmp/err
syslog_facility = local3
monremote = /usr/bin/mon-remote -x
";
    let (model, _) = load(text);
    let globals = model.globals;
    let auth = &globals.auth;
    assert_eq!(auth.authfile, PathBuf::from("/c/auth.cf"));
    assert!(auth.is_authfile_named);
    assert_eq!(auth.userfile, PathBuf::from("/c/users"));
    assert_eq!(auth.pamservice, "login");
    let types = [AuthType::Userfile, AuthType::Getpwnam, AuthType::Trustlocal];
    assert_eq!(auth.authtype, types);
    assert_eq!(globals.server.bind, Bind::Host("192.0.2.1".to_owned()));
    assert_eq!(
        globals.trap.bind,
        Bind::Host("traps.example.org".to_owned())
    );
    assert_eq!((globals.server.port, globals.trap.port), (7001, 7002));
    for (address, expected) in [
        ("10.0.0.77", true),
        ("192.0.2.9", true),
        ("10.0.1.7", false),
    ] {
        let allowed = globals.clients.allow(address.parse().unwrap());
        assert_eq!(allowed, expected, "{address}");
    }
    assert_eq!(globals.clients.cltimeout, seconds(60));
    let history = &globals.history;
    assert_eq!(history.historicfile, Some(PathBuf::from("/l/history")));
    assert_eq!(history.historictime, Some(seconds(86_400)));
    assert!(globals.downtime.dtlogging);
    assert_eq!(globals.downtime.dtlogfile, PathBuf::from("/l/down"));
    let process = &globals.process;
    assert_eq!(process.pidfile, Some(PathBuf::from("/run/own.pid")));
    assert_eq!(process.monerrfile, PathBuf::from("/tmp/err"));
    assert_eq!(process.syslog_facility.to_string(), "local3");
    assert_eq!(process.monremote.as_deref(), Some("/usr/bin/mon-remote -x"));
}

#[test]
fn what_is_not_said_of_clients_traps_and_files_is_as_in_mon() {
    let (model, _) = load("maxprocs = 1\n");
    let globals = model.globals;
    assert_eq!(globals.auth.authfile, PathBuf::from("/etc/mon/auth.cf"));
    assert_eq!(globals.auth.userfile, PathBuf::from("/etc/mon/monusers.cf"));
    assert!(!globals.auth.is_authfile_named);
    assert_eq!(globals.auth.authtype, [AuthType::Getpwnam]);
    assert_eq!(globals.auth.pamservice, "passwd");
    assert_eq!(
        (&globals.server, globals.server.port),
        (&globals.trap, 2583)
    );
    assert_eq!(globals.server.bind, Bind::Loopback);
    assert!(globals.clients.allow("203.0.113.1".parse().unwrap()));
    assert_eq!(globals.clients.cltimeout, seconds(30));
    assert_eq!(globals.history.historicfile, None);
    assert!(!globals.downtime.dtlogging);
    let dtlogfile = PathBuf::from("/var/log/mon/downtime.log");
    assert_eq!(globals.downtime.dtlogfile, dtlogfile);
    assert_eq!(globals.process.monerrfile, PathBuf::from("/dev/null"));
    assert_eq!(globals.process.pidfile, None);
    assert_eq!(globals.process.monremote, None);
    assert_eq!(globals.process.syslog_facility.to_string(), "daemon");
}

#[test]
fn a_setting_of_clients_and_files_that_cannot_be_meant_is_a_mistake() {
    for (line, message) in [
        ("serverport = 70000", "bad value \"70000\" for serverport"),
        ("trapport = 65536", "bad value \"65536\" for trapport"),
        ("serverbind =", "bad value \"\" for serverbind"),
        ("trapbind = a b", "bad value \"a b\" for trapbind"),
        ("clientallow = 10.(", "bad pattern \"10.(\" in clientallow"),
        ("clientallow = 10/8", "bad pattern \"10/8\" in clientallow"),
        (
            "authtype = pam",
            "could not use PAM authentication: lvsmon has none",
        ),
        ("syslog_facility = x", "bad value \"x\" for syslog_facility"),
        ("dtlogfile =", "bad value \"\" for dtlogfile"),
    ] {
        assert_eq!(first_error(&format!("{line}\n")), message);
    }
    let (model, said) = load("authtype = shadow userfile\n");
    assert_eq!(model.globals.auth.authtype, [AuthType::Userfile]);
    let expected = "authtype \"shadow\" never lets anybody in";
    assert!(said.iter().any(|one| one == expected), "{said:?}");
    for value in ["", "no", "YES", "on"] {
        let (model, _) = load(&format!("dtlogging = {value}\n"));
        assert!(!model.globals.downtime.dtlogging, "{value}");
    }
    for line in ["pidfile =", "historicfile =", "monremote ="] {
        let (model, _) = load(&format!("{line}\n"));
        assert_eq!(model.globals.process.pidfile, None);
        assert_eq!(model.globals.history.historicfile, None);
        assert_eq!(model.globals.process.monremote, None);
    }
}

#[test]
fn a_group_that_looks_like_the_number_of_a_reply_is_named() {
    let message = "group \"220\" looks like the number that ends a reply";
    let (_, said) = load("hostgroup 220 h\n\nwatch 220\n service s\n");
    assert!(said.iter().any(|one| one == message), "{said:?}");
    let (_, said) = load("watch 220\n service s\n");
    assert!(said.iter().any(|one| one == message), "{said:?}");
    let (_, said) = load("hostgroup 2200 h\n\nwatch 2200\n service s\n");
    assert!(
        !said.iter().any(|one| one.contains("ends a reply")),
        "{said:?}"
    );
}

#[test]
fn defaults_for_services_count_for_those_that_follow() {
    let text = "\
watch a
service s

dep_behavior = m
dep_memory = 5m
unack_summary = 1

watch b
service s
service t
unack_summary 0
dep_behavior a

dep_memory = 0s

watch c
service s
";
    let (model, _) = load(text);
    let found: Vec<_> = model
        .services
        .iter()
        .map(|one| (one.dep_behavior, one.dep_memory, one.unack_summary))
        .collect();
    let (alerts, monitor) = (DependBehavior::Alerts, DependBehavior::Monitor);
    assert_eq!(
        found,
        [
            (alerts, None, false),
            (monitor, Some(seconds(300)), true),
            (alerts, Some(seconds(300)), false),
            (monitor, None, true),
        ]
    );
}

#[test]
fn time_values_have_one_number_and_one_unit() {
    for (text, millis) in [
        ("1s", 1_000),
        ("2M", 120_000),
        ("1.5h", 5_400_000),
        ("0.5s", 500),
        ("1D", 86_400_000),
        ("  7s  ", 7_000),
    ] {
        let (service, _) = service(&format!("interval {text}\n"));
        assert_eq!(
            service.interval,
            Some(Duration::from_millis(millis)),
            "{text}"
        );
    }
    for text in [
        "5", "1h30m", ".5h", "-1s", "+1s", "0s", "0.0h", "1w", "s", "1 s", "1.s",
    ] {
        let error = first_error(&format!("watch w\nservice s\ninterval {text}\n"));
        assert_eq!(error, format!("invalid time interval \"{text}\""));
    }
    // Only here zero has a meaning.
    for name in ["randstart", "historictime", "cltimeout", "dep_memory"] {
        load(&format!("{name} = 0s\n"));
        let error = first_error(&format!("{name} = 30\n"));
        assert!(error.contains("bad value \"30\""), "{error}");
    }
}

#[test]
fn periods_have_labels_in_every_form() {
    let lines = "\
period wd {Mon-Fri}
period work: wd {Mon-Fri}
period  _x9\t:\thr {3}
period all:
period hr {1} min {2}
";
    let (service, _) = service(lines);
    let labels: Vec<&str> = service.periods.iter().map(|one| &*one.label).collect();
    assert_eq!(
        labels,
        ["wd {Mon-Fri}", "work", "_x9", "all", "hr {1} min {2}"]
    );
    assert_eq!(service.periods[3].when, Period::ALWAYS);
    assert_eq!(service.periods[0].when, service.periods[1].when);
}

#[test]
fn no_hosts_are_appended_behind_two_semicolons() {
    for (text, args, appends) in [
        ("own.monitor -x ;;", vec!["-x"], false),
        ("own.monitor -x;;", vec!["-x"], false),
        ("own.monitor;;", vec![], false),
        ("own.monitor -x ; ;", vec!["-x", ";", ";"], true),
        ("own.monitor ';;'", vec![";;"], true),
    ] {
        let (service, _) = service(&format!("interval 1m\nmonitor {text}\n"));
        let monitor = service.monitor.unwrap();
        assert_eq!(
            (monitor.args.clone(), monitor.appends_hosts),
            (args.into_iter().map(str::to_owned).collect(), appends),
            "{text}"
        );
    }
}

#[test]
fn the_words_of_a_line_are_kept_as_the_file_has_them() {
    let text = "exit=1 own.alert   -x  'a  b'\t\"c \\\"d\\\"\"; y";
    let (found, _) = period(&format!(
        "upalert {text}\nupalert own.alert\nupalert trap.alert -U me -P 's3 cret' h\nupalert trap.alert  h\nupalert webhook.alert http://me:s3cret@h/\n"
    ));
    let shown: Vec<_> = found.upalerts.iter().map(|line| line.shown()).collect();
    assert_eq!(
        shown.iter().map(|line| &**line).collect::<Vec<_>>(),
        [
            "-x  'a  b'\t\"c \\\"d\\\"\"; y",
            "",
            "-U me -P *** h",
            "h",
            "http://me:***@h/"
        ]
    );
    let (service, _) = service("interval 1m\nmonitor own.monitor  a  'b'  -x;;\n");
    assert_eq!(
        &*service.monitor.unwrap().written,
        "own.monitor  a  'b'  -x;;"
    );
}

#[test]
fn c14_unack_summary_alone_means_yes() {
    assert!(service("unack_summary\n").0.unack_summary);
    assert_eq!(
        first_error("unack_summary =\n"),
        "invalid unack_summary value \"\""
    );
}

#[test]
fn c16_text_before_the_value_is_passed_over_and_said() {
    let (found, said) = period("alertafter at least 3\n");
    assert_eq!(found.alertafter_count, Some(3));
    assert_eq!(said, ["\"at least\" is ignored"]);
    let (found, said) = period("alertafter about 2 5m\n");
    assert_eq!(found.alertafter_window, Some((2, seconds(300))));
    assert_eq!(said, ["\"about\" is ignored"]);
}

#[test]
fn c17_alertafter_takes_every_time_value() {
    for (text, expected) in [("1d", 86_400), ("1.5h", 5_400), ("2M", 120)] {
        let (found, said) = period(&format!("alertafter {text}\n"));
        assert_eq!(found.alertafter_time, Some(seconds(expected)), "{text}");
        assert_eq!(said, [""; 0], "{text}");
    }
}

#[test]
fn alertevery_takes_every_modifier_of_mon() {
    for (text, expected) in [
        ("1h", Repeat::Summary),
        ("1h summary", Repeat::Summary),
        ("1h Observe_Detail", Repeat::ObserveDetail),
        ("1h ignore_summary", Repeat::IgnoreSummary),
        ("1h STRICT", Repeat::Strict),
    ] {
        let (found, said) = period(&format!("alertevery {text}\n"));
        assert_eq!(found.alertevery, Some((seconds(3_600), expected)), "{text}");
        assert_eq!(said, [""; 0], "{text}");
    }
}

#[test]
fn c21_and_c22_exit_ranges_are_read_with_any_blanks() {
    for text in [
        "exit=1-3 own.alert x",
        "exit = 1-3 own.alert x",
        "EXIT=1-3  own.alert x",
        "Exit  =\t1-3\town.alert x",
    ] {
        let (found, said) = period(&format!("upalert {text}\n"));
        let alert = &found.upalerts[0];
        assert_eq!(
            (&*alert.name, alert.exit, alert.args.len()),
            ("own.alert", Some(ExitRange { low: 1, high: 3 }), 1),
            "{text}"
        );
        assert_eq!(said, [""; 0], "{text}");
    }
}

#[test]
fn c23_redistribute_finds_its_program_whatever_its_arguments() {
    let (_, said) = service("redistribute own.alert a b\n");
    assert!(
        !said.iter().any(|one| one.contains("missing")),
        "its program was not looked up by its name: {said:?}"
    );
}

#[test]
fn an_alias_and_a_view_are_kept_as_they_are() {
    let text = "alias www\nservice http\nurl http://h/ # text\n\nview unix web:http mail\nother\n";
    let (model, _) = load(text);
    let (name, lines) = &model.aliases[0];
    assert_eq!((&**name, lines.len()), ("www", 2));
    assert_eq!(lines[1], "url http://h/ # text");
    let (name, members) = &model.views[0];
    assert_eq!(&**name, "unix");
    assert_eq!(*members, ["web:http", "mail", "other"]);
}

#[test]
fn of_two_aliases_the_texts_are_joined_and_of_two_views_the_later_one_counts() {
    let text =
        "alias www\none\n\nview unix web\n\nview other x\n\nalias www\ntwo\n\nview unix mail\n";
    let (model, said) = load(text);
    assert_eq!(
        model.aliases,
        [("www".into(), vec!["one".to_owned(), "two".to_owned()])]
    );
    assert_eq!(
        model.views,
        [
            ("unix".into(), vec!["mail".to_owned()]),
            ("other".into(), vec!["x".to_owned()])
        ]
    );
    assert!(
        said.iter().any(|one| one.contains("another view")),
        "{said:?}"
    );
}

#[test]
fn host_words_are_passed_on_as_they_are() {
    let (model, _) = load("hostgroup g h1 h2:80 /a/b http://h/ 10.0.0.1 ::1\n  h3\n");
    let hosts: Vec<&str> = model.hostgroups[0]
        .members
        .iter()
        .map(|member| member.host.as_str())
        .collect();
    assert_eq!(
        hosts,
        ["h1", "h2:80", "/a/b", "http://h/", "10.0.0.1", "::1", "h3"]
    );
}

#[test]
fn the_example_of_the_language_means_what_it_says() {
    let text = "\
hostgroup web web1 web2
    web3

watch web
    service http
        description Front page
        interval 30s
        monitor http.monitor -t 10
        depend SELF:ping
        period work: wd {Mon-Fri} hr {8am-6pm}
            alertafter 2
            alertevery 1h
            alert exit=1-3 mail.alert ops@example.org
            upalert mail.alert ops@example.org
        period
            numalerts 1
            alert file.alert -d /var/log/mon http.log
    service ping
        interval 15s
        monitor fping.monitor
        period
            alert mail.alert ops@example.org
";
    let (model, said) = load(text);
    assert_eq!(said, [""; 0]);
    assert_eq!(model.hostgroups[0].members.len(), 3);
    let http = model.service(model.find("web", "http").unwrap());
    assert_eq!(http.periods.len(), 2);
    assert_eq!(&*http.periods[0].label, "work");
    assert_eq!(
        http.periods[1].alerts[0].args,
        ["-d", "/var/log/mon", "http.log"]
    );
    assert!(model.find("web", "ping").is_some());
}
