//! Every command with its replies, the wrong ones among them, as mon 1.3.6 gives them; and
//! that no bytes at all bring a session out of step.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;

use super::*;
use crate::config;
use crate::engine::event::{Action, AlertKind, Event, Run, Target};
use crate::engine::fixture::{at, exited};
use crate::engine::saved::{Saved, StateFile};
use crate::model::{HostName, ServiceId};

const CONFIG: &str = r#"
alias first
    line one
    line two

alias second
    text "quoted"

hostgroup web h1 h2 h3

hostgroup mail mx1

hostgroup unused u1 *u2

view left web

view both mail
    web

view one web:http

watch web
    service http
        description Web pages of the "shop"
        interval 5s
        failure_interval 4s
        randskew 1s
        monitor play.monitor web/http -p 80 ;;
        exclude_period hr {3am-4am}
        exclude_hosts h3 h2
        period wd {Sun-Sat}
            alert record.alert ops
        period
            alert record.alert always
    service ping
        interval 6s
        depend SELF:http || mail:smtp
        monitor play.monitor web/ping
        period p: wd {Sun-Sat}
            alert record.alert ops

watch mail
    service smtp
        interval 5s
        monitor play.monitor 'two words'
    service trap
        period wd {Sun-Sat}
            alert record.alert ops
"#;

const HTTP: ServiceId = ServiceId(0);
const PING: ServiceId = ServiceId(1);

/// A daemon in small: an engine, rules, one connection.
struct Daemon {
    engine: Engine,
    auth: AuthRules,
    session: Session,
    seconds: f64,
    runs: Vec<Run>,
    processes: Places,
}

/// The runs that are not in the daemon.
#[derive(Debug, Default)]
struct Places(BTreeMap<RunId, Process>);

impl Processes for Places {
    fn of(&self, run: RunId) -> Process {
        self.0.get(&run).copied().unwrap_or(Process::Daemon)
    }
}

impl Daemon {
    fn new(config: &str, auth: &str) -> Self {
        let (model, _) = config::load_text(config).unwrap();
        let saved = Saved::default();
        let engine = Engine::new(Arc::new(model), &saved, 1, TimeZone::UTC, at(0.0));
        let mut daemon = Self {
            engine,
            auth: AuthRules::read(auth).rules,
            session: Session::new("127.0.0.1".parse().unwrap()),
            seconds: 0.0,
            runs: Vec::new(),
            processes: Places::default(),
        };
        daemon.tell(Event::Start);
        daemon
    }

    /// One where everybody may everything.
    fn open() -> Self {
        let all = command::ALL.map(|(word, _)| format!("{word}: all\n"));
        Self::new(CONFIG, &all.concat())
    }

    fn tell(&mut self, event: Event) {
        for action in self.engine.handle(at(self.seconds), event) {
            if let Action::Start(run) = action {
                self.runs.push(run);
            }
        }
    }

    /// Waits for the first run of a service and lets it end so.
    fn run(&mut self, service: ServiceId, exit: i32, output: &str) {
        for _ in 0..100 {
            if let Some(place) = self.runs.iter().position(|run| run.service == service) {
                let run = self.runs.remove(place).id;
                let report = exited(exit, output);
                return self.tell(Event::RunEnded { run, report });
            }
            self.seconds += 1.0;
            self.tell(Event::Deadline);
        }
        panic!("no run");
    }

    fn turn(&mut self, line: &[u8]) -> Turn {
        let sight = Sight {
            engine: &self.engine,
            auth: &self.auth,
            now: at(self.seconds),
            zone: &TimeZone::UTC,
            pid: 4242,
            processes: &self.processes,
            has_downtime_log: false,
        };
        self.session.take(line, &sight)
    }

    /// The reply, that of the good case where the engine or the shell is asked.
    fn reply(&mut self, line: &[u8]) -> String {
        match self.turn(line) {
            Turn::Say(text) | Turn::Leave(text) => text,
            Turn::Denied { .. } => DENIED.to_owned(),
            Turn::Wish { done, .. } => done,
            Turn::Work(work) => work.reply().to_owned(),
            Turn::List(mut listing) => {
                let mut all = String::new();
                loop {
                    let (text, is_last) = listing.part(&Sight {
                        engine: &self.engine,
                        auth: &self.auth,
                        now: at(self.seconds),
                        zone: &TimeZone::UTC,
                        pid: 4242,
                        processes: &self.processes,
                        has_downtime_log: false,
                    });
                    assert!(text.len() < list::PART_MAX + 2_000, "a long part");
                    all.push_str(&text);
                    if is_last {
                        return all;
                    }
                }
            }
        }
    }

    fn say(&mut self, line: &str) -> Vec<String> {
        let reply = self.reply(line.as_bytes());
        reply.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn expect(&mut self, table: &[(&str, &[&str])]) {
        for (line, expected) in table {
            assert_eq!(self.say(line), *expected, "{line}");
        }
    }

    #[track_caller]
    fn wish(&mut self, line: &str) -> Wish {
        let Turn::Wish { wish, .. } = self.turn(line.as_bytes()) else {
            panic!("{line} is no wish");
        };
        *wish
    }

    #[track_caller]
    fn work(&mut self, line: &str) -> Work {
        let Turn::Work(work) = self.turn(line.as_bytes()) else {
            panic!("{line} is no work");
        };
        work
    }
}

#[test]
fn small_commands_answer_as_in_mon() {
    Daemon::open().expect(&[
        ("version", &["version 9745", "220 version completed"]),
        ("Version x", &["version 9745", "220 version completed"]),
        ("protid 9745", &["220 protocol match"]),
        ("protid 9745x", &["220 protocol match"]),
        ("protid 09745", &["220 protocol match"]),
        ("protid 97451", &["520 protocol mismatch"]),
        ("protid 1", &["520 protocol mismatch"]),
        ("protid", &["520 protocol mismatch"]),
        ("checkauth list", &["220 command authorized"]),
        ("checkauth LIST watch", &["220 command authorized"]),
        ("checkauth nosuch", &["520 command could not be executed"]),
        ("checkauth", &["520 command could not be executed"]),
        ("checkauth quit", &["220 command authorized"]),
        ("bogus", &["520 invalid command"]),
        ("", &["520 invalid command"]),
        ("  list watch", &["520 invalid command"]),
        (
            "dump",
            &["520 command could not be executed, unknown command"],
        ),
        (
            "servertime",
            &[
                "1710324000 Wed Mar 13 10:00:00 2024",
                "220 servertime completed",
            ],
        ),
        ("quit", &["220 quitting"]),
    ]);
}

#[test]
fn the_day_of_servertime_is_filled_up_with_a_blank() {
    let mut daemon = Daemon::open();
    daemon.seconds = 19.0 * 86_400.0;
    assert_eq!(
        daemon.say("servertime")[0],
        "1711965600 Mon Apr  1 10:00:00 2024"
    );
}

#[test]
fn what_is_not_allowed_looks_like_an_unknown_command() {
    let rules = "list: all\nreset: admin\nack: AUTH_ANY\nservertime: AUTH_ANY,!guest\n";
    let mut daemon = Daemon::new(CONFIG, rules);
    let unknown = ["520 command could not be executed, unknown command"];
    for line in ["servertime", "reset", "term", "ack web http x", "dump"] {
        assert_eq!(daemon.say(line), unknown, "{line}");
    }
    let mut lacks = |line: &str| {
        let Turn::Denied { lacks } = daemon.turn(line.as_bytes()) else {
            panic!("{line} is allowed");
        };
        lacks
    };
    assert_eq!(lacks("clear timers g s"), Some("clear"));
    assert_eq!(lacks("clear timers g t"), None, "it was said before");
    assert_eq!(
        daemon.say("list state"),
        ["scheduler running", "220 list state completed"]
    );
    assert_eq!(
        daemon.session.logged_in("admin".to_owned(), false),
        "530 login unsuccessful\n"
    );
    assert_eq!(daemon.say("reset"), unknown);
    assert_eq!(
        daemon.session.logged_in("admin".to_owned(), true),
        "220 login accepted\n"
    );
    daemon.work("reset");
    daemon.session.logged_in("guest".to_owned(), false);
    daemon.work("reset");
    daemon.session.logged_in("guest".to_owned(), true);
    assert_eq!(daemon.say("servertime"), unknown);
    assert_eq!(daemon.say("reset"), unknown);
    assert_eq!(daemon.say("checkauth ack"), ["220 command authorized"]);
}

#[test]
fn a_login_hands_over_user_and_password_and_shows_no_password() {
    let mut daemon = Daemon::open();
    let credentials = Credentials {
        user: "joe".to_owned(),
        password: "two  words".to_owned(),
    };
    let work = daemon.work("login joe  two  words ");
    assert_eq!(format!("{work:?}"), "Login(Credentials(\"joe\"))");
    assert_eq!(work, Work::Login(credentials));
    daemon.expect(&[("login", &["530 login unsuccessful"])]);
    daemon.work("login joe");
}

#[test]
fn a_view_restricts_the_lists_of_one_connection() {
    let no_view = "no view selected -- all groups will be displayed";
    Daemon::open().expect(&[
        ("getview", &[no_view, "220 getview completed"]),
        (
            "list views",
            &["views both left one", "220 list group completed"],
        ),
        (
            "setview left",
            &["selecting view left", "220 setview completed"],
        ),
        ("getview", &["view left selected", "220 getview completed"]),
        (
            "list watch",
            &["web http", "web ping", "220 list watch completed"],
        ),
        ("setview nosuch", &["504 unknown view nosuch"]),
        ("setview a b", &["500 Unknown setview command"]),
        ("getview", &["view left selected", "220 getview completed"]),
        (
            "setview one",
            &["selecting view one", "220 setview completed"],
        ),
        ("list watch", &["web http", "220 list watch completed"]),
        (
            "list deps",
            &[
                "exp web http 'NONE'",
                "cmp web http NONE",
                "220 list deps completed",
            ],
        ),
        (
            "setview both",
            &["selecting view both", "220 setview completed"],
        ),
        (
            "list watch",
            &[
                "web http",
                "web ping",
                "mail smtp",
                "mail trap",
                "220 list watch completed",
            ],
        ),
        ("setview", &[no_view, "220 setview completed"]),
        ("getview", &[no_view, "220 getview completed"]),
    ]);
}

#[test]
fn a_view_shows_of_what_is_disabled_only_its_own() {
    let mut daemon = Daemon::open();
    for line in [
        "disable watch mail",
        "disable watch web",
        "disable service web http",
        "disable service web ping",
        "disable service mail trap",
        "disable host h1 mx1",
    ] {
        let wish = daemon.wish(line);
        daemon.tell(Event::Operator(wish));
    }
    let completed = "220 list disabled completed";
    daemon.expect(&[
        (
            "list disabled",
            &[
                "group web: h1",
                "group mail: mx1",
                "group unused: u2",
                "watch web",
                "watch mail",
                "watch web service http",
                "watch web service ping",
                "watch mail service trap",
                completed,
            ],
        ),
        (
            "setview one",
            &["selecting view one", "220 setview completed"],
        ),
        (
            "list disabled",
            &[
                "group web: h1",
                "watch web",
                "watch web service http",
                completed,
            ],
        ),
        (
            "setview left",
            &["selecting view left", "220 setview completed"],
        ),
        (
            "list disabled",
            &[
                "group web: h1",
                "watch web",
                "watch web service http",
                "watch web service ping",
                completed,
            ],
        ),
    ]);
}

const LISTS: &[(&str, &[&str])] = &[
    (
        "list group web",
        &["hostgroup web h1 h2 h3", "220 list group completed"],
    ),
    (
        "list group unused",
        &["hostgroup unused u1 *u2", "220 list group completed"],
    ),
    (
        "list group nosuch",
        &["520 list group error, undefined group"],
    ),
    ("list group", &["520 list group error, undefined group"]),
    (
        "list group web mail",
        &["520 list group error, undefined group"],
    ),
    (
        "LIST  watch x",
        &[
            "web http",
            "web ping",
            "mail smtp",
            "mail trap",
            "220 list watch completed",
        ],
    ),
    (
        "list descriptions",
        &[
            "web http Web\\20pages\\20of\\20the\\20\\22shop\\22",
            "web ping ",
            "mail smtp ",
            "mail trap ",
            "220 list descriptions completed",
        ],
    ),
    (
        "list deps",
        &[
            "exp web http 'NONE'",
            "cmp web http NONE",
            "exp web ping 'web:http\\20||\\20mail:smtp'",
            "cmp web ping web:http mail:smtp",
            "exp mail smtp 'NONE'",
            "cmp mail smtp NONE",
            "exp mail trap 'NONE'",
            "cmp mail trap NONE",
            "220 list deps completed",
        ],
    ),
    (
        "list aliases",
        &[
            "alias first",
            "line one",
            "line two",
            "",
            "alias second",
            "text \"quoted\"",
            "",
            "220 list aliases completed",
        ],
    ),
    (
        "list aliases second nosuch second",
        &[
            "alias second",
            "text \"quoted\"",
            "",
            "alias nosuch",
            "",
            "220 list aliases completed",
        ],
    ),
    (
        "list aliasgroups",
        &["first second", "220 list aliasgroups completed"],
    ),
    (
        "list disabled",
        &["group unused: u2", "220 list disabled completed"],
    ),
    ("list pids", &["server 4242", "220 list pids completed"]),
    ("list alerthist", &["220 list alerthist completed"]),
    ("list failurehist", &["220 list failurehist completed"]),
    (
        "list dtlog",
        &["520 list dtlog error, dtlogging is not turned on"],
    ),
    ("list warnings", &["220 list successes completed"]),
    ("list nosuch", &["520 unknown list command"]),
    ("list WATCH", &["520 unknown list command"]),
    ("list", &["520 unknown list command"]),
];

#[test]
fn lists_of_the_configuration_are_in_file_order() {
    Daemon::open().expect(LISTS);
}

#[test]
fn the_line_of_a_service_has_the_fields_of_mon_in_its_order() {
    let mut daemon = Daemon::open();
    let before = daemon.say("list opstatus web,http");
    assert_eq!(
        before[0],
        "group=web service=http opstatus=7 last_opstatus=7 exitval=undef timer=5 last_success=0 \
         last_trap=0 last_traphost= last_check= ack=0 ackcomment= alerts_sent=0 depstatus= \
         depend= hostdepend= monitordepend= alertdepend= \
         monitor=play.monitor\\20web/http\\20-p\\2080\\20;; last_summary= last_detail= \
         interval=5 monitor_duration=-1 monitor_running=0 exclude_period=hr\\20{3am-4am} \
         exclude_hosts=h3\\20h2 randskew=1"
    );
    assert_eq!(before[1..], ["220 list opstatus completed"]);
    let output = "h1 h2\nh1: it's \"down\"\nh2: timeout \\ 3s\n";
    daemon.run(HTTP, 1, output);
    daemon.seconds += 2.0;
    // It is skewed by one second at random.
    let after = daemon.say("list opstatus web,http");
    let after = [1, 2, 3].map(|timer| after[0].replace(&format!("timer={timer} "), "timer=N "));
    let after = after.iter().find(|line| line.contains("timer=N "));
    let after = after.expect("a timer of 2 s, but for the skew");
    let check = 1_710_324_005;
    assert_eq!(
        *after,
        format!(
            "group=web service=http opstatus=0 last_opstatus=7 exitval=1 timer=N last_success=0 \
             last_trap=0 last_traphost= last_check={check} ack=0 ackcomment= alerts_sent=2 \
             depstatus= depend= hostdepend= monitordepend= alertdepend= \
             monitor=play.monitor\\20web/http\\20-p\\2080\\20;; last_summary=h1\\20h2 \
             last_detail=h1:\\20it\\27s\\20\\22down\\22\\0ah2:\\20timeout\\20\\\\\\203s\\0a \
             last_failure={check} interval=4 monitor_duration=0 monitor_running=0 \
             exclude_period=hr\\20{{3am-4am}} exclude_hosts=h3\\20h2 randskew=1 \
             last_alert={check} first_failure={check} failure_duration=2"
        )
    );
}

#[test]
fn a_service_without_monitor_or_interval_leaves_their_fields_empty() {
    let line = &Daemon::open().say("list opstatus mail,trap")[0];
    assert_eq!(
        line,
        "group=mail service=trap opstatus=7 last_opstatus=7 exitval=undef timer=0 last_success=0 \
         last_trap=0 last_traphost= last_check= ack=0 ackcomment= alerts_sent=0 depstatus= \
         depend= hostdepend= monitordepend= alertdepend= monitor= last_summary= last_detail="
    );
}

#[test]
fn services_are_listed_by_name_and_by_status() {
    let mut daemon = Daemon::open();
    let mut names = |line: &str| {
        let lines = daemon.say(line);
        let name = |line: &String| match line.strip_prefix("group=") {
            Some(rest) => rest.split(" opstatus").next().unwrap_or("").to_owned(),
            None => line.clone(),
        };
        lines.iter().map(name).collect::<Vec<_>>().join("; ")
    };
    let end = "220 list opstatus completed";
    assert_eq!(
        names("list opstatus mail web,ping"),
        format!("mail service=smtp; mail service=trap; web service=ping; {end}")
    );
    assert_eq!(names("list opstatus nosuch"), end);
    for (words, named) in [
        ("web,no", "web,no"),
        ("web,no web,http mail", "web,no"),
        ("web,no no,web", "no,web"),
        ("web,no mail,no web,nope", "mail,no"),
        ("web,no mail,smtp extra", "extra,"),
        ("extra web,no", "web,no"),
    ] {
        let reply = names(&format!("list opstatus {words}"));
        assert_eq!(reply, format!("520 {named} does not exist"), "{words}");
    }
    assert_eq!(
        names("list opstatus web no,http a b c d e"),
        "520 e, does not exist"
    );
    let many = names("list opstatus a b c d e mail web,ping web,ping");
    assert_eq!(
        many,
        format!("mail service=smtp; mail service=trap; web service=ping; web service=ping; {end}")
    );
    assert_eq!(names("list failures"), "220 list failures completed");
    assert_eq!(names("list successes").matches("service=").count(), 4);
    daemon.run(HTTP, 1, "h1\n");
    daemon.run(PING, 0, "");
    let failures = daemon.say("list failures");
    assert!(failures[0].starts_with("group=web service=http opstatus=0 "));
    assert_eq!(failures[1..], ["220 list failures completed"]);
    assert_eq!(daemon.say("list successes").len(), 4);
}

#[test]
fn histories_are_escaped_as_a_whole() {
    let mut daemon = Daemon::open();
    daemon.run(HTTP, 1, "h1 it's\nd\n");
    assert_eq!(
        daemon.say("list failurehist"),
        [
            "web\\20http\\201710324005\\20h1\\20it\\27s",
            "220 list failurehist completed"
        ]
    );
    let alerts = daemon.say("list alerthist");
    assert_eq!(alerts.len(), 3, "{alerts:?}");
    assert!(
        alerts[0].starts_with("alert\\20web\\20http\\201710324005\\20"),
        "{alerts:?}"
    );
    assert!(
        alerts[0].ends_with("record.alert\\20(ops)\\20h1\\20it\\27s"),
        "{alerts:?}"
    );
}

#[test]
fn arguments_are_shown_as_the_file_has_them() {
    let config = r#"
hostgroup g h1

watch g
    service s
        interval 5s
        monitor play.monitor   g/s -x 'a b'  "c \"d\"" x;;
        period
            alert record.alert 'a b'   "c \"d\""
            upalert trap.alert -U me -P s3cret h
"#;
    let mut daemon = Daemon::new(config, "list: all\nget: all\n");
    let monitor = daemon.say("get g s monitor").remove(0);
    let shown = r"play.monitor\20\20\20g/s\20-x\20\27a\20b\27\20\20\22c\20\\\22d\\\22\22\20x;;";
    assert!(monitor.contains(shown), "{monitor}");
    assert!(daemon.say("list opstatus g,s")[0].contains(&format!(" monitor={shown} ")));
    daemon.run(ServiceId(0), 1, "h1\n");
    daemon.run(ServiceId(0), 0, "");
    let alerts = daemon.say("list alerthist");
    let mut args = String::new();
    escape::plain(&mut args, r#" ('a b'   "c \"d\"") h1"#);
    assert!(alerts[0].ends_with(&args), "{alerts:?}");
    escape::plain(&mut args, " (-U me -P *** h) ");
    assert!(
        alerts[1].contains("***") && !alerts[1].contains("s3cret"),
        "{alerts:?}"
    );
}

#[test]
fn running_checks_are_listed_with_the_process_they_are_in() {
    let mut daemon = Daemon::open();
    while daemon.runs.len() < 3 {
        assert!(daemon.seconds < 20.0, "all run");
        daemon.seconds += 1.0;
        daemon.tell(Event::Deadline);
    }
    let run = |service: u32| {
        let mut runs = daemon.runs.iter();
        let run = runs.find(|run| run.service == ServiceId(service));
        run.unwrap().id
    };
    let (http, smtp) = (run(0), run(2));
    daemon.processes.0.insert(http, Process::Child(77));
    daemon.processes.0.insert(smtp, Process::None);
    let (first, last) = ("server 4242", "220 list pids completed");
    let (http, ping) = ("web http 77", "web ping 4242");
    daemon.say("setview left");
    let expected = [first, http, ping, last];
    assert_eq!(daemon.say("list pids"), expected, "those of all views");
}

const WRONG_NAMES: &[(&str, &[&str])] = &[
    ("clear", &["520 unknown clear command"]),
    ("clear nothing", &["520 unknown clear command"]),
    ("clear timers", &["520 unknown clear command"]),
    ("clear timers web", &["520 unknown clear command"]),
    ("clear Timers web http", &["220 clear timers completed"]),
    ("clear timers web nosvc", &["520 unknown group"]),
    ("clear timers web http", &["220 clear timers completed"]),
    ("ack", &["520 unknown group"]),
    ("ack nog x", &["520 unknown group"]),
    ("ack web", &["520 unknown service"]),
    ("ack web nosvc x", &["520 unknown service"]),
    ("ack web http x", &["520 service is in a non-failure state"]),
    ("disable", &["520 command could not be executed"]),
    ("disable something", &["520 command could not be executed"]),
    ("enable something", &["520 command could not be executed"]),
    (
        "disable service web nosvc",
        &["520 disable error, unknown service"],
    ),
    (
        "disable service web http ping",
        &["520 disable error, unknown service"],
    ),
    ("disable service", &["520 disable error, unknown service"]),
    (
        "disable watch nog",
        &["520 disable error, unknown watch \"nog\""],
    ),
    (
        "disable watch web mail",
        &["520 disable error, unknown watch \"web mail\""],
    ),
    (
        "disable host nosuch h1 other",
        &["520 disable host failed, host(s) nosuch other do not exist"],
    ),
    (
        "disable host u2",
        &["520 disable host failed, host(s) u2 do not exist"],
    ),
    (
        "disable host h.",
        &["520 disable host failed, host(s) h. do not exist"],
    ),
    ("enable service nog x", &["520 enable error, unknown group"]),
    (
        "enable service web nosvc",
        &["520 enable error, unknown group"],
    ),
    ("enable watch nog", &["520 enable error, unknown watch"]),
    ("enable host nosuch", &["220 enable completed"]),
    ("test", &["520 test error"]),
    ("test nosuch", &["520 test error"]),
    (
        "test monitor nog nosvc",
        &["nog nosvc not defined", "220 test monitor completed"],
    ),
    ("test alert web nosvc 1 p", &["520 web nosvc not defined"]),
    ("test alert web http 1 p", &["520 period not defined"]),
    ("reload nothing", &["520 unknown reload command"]),
    ("reload auth x", &["520 unknown reload command"]),
    ("savestate", &["520 savestate error, arguments required"]),
    ("savestate foo", &["220 savestate completed"]),
    ("loadstate", &["220 loadstate completed"]),
    ("loadstate foo", &["220 loadstate completed"]),
];

#[test]
fn wrong_names_are_answered_in_one_line_each() {
    Daemon::open().expect(WRONG_NAMES);
}

#[test]
fn operators_wishes_are_told_to_the_engine() {
    let mut daemon = Daemon::open();
    daemon.session.logged_in("joe".to_owned(), true);
    daemon.run(HTTP, 1, "h1\n");
    let disable = |target| Wish::Disable {
        target,
        user: "joe".to_owned(),
    };
    let hosts = |names: &[&str]| Target::Hosts(names.iter().map(|it| HostName::new(it)).collect());
    let ack = |comment: &str| Wish::Ack {
        service: HTTP,
        user: "joe".to_owned(),
        comment: comment.to_owned(),
    };
    let test = |service, period, kind, exit| Wish::TestAlert {
        service,
        period,
        kind,
        exit,
    };
    for (line, expected) in [
        ("stop", Wish::Stop),
        ("start x", Wish::Start),
        ("clear timers web http", Wish::ClearTimers(HTTP)),
        ("test monitor web ping x", Wish::TestMonitor(PING)),
        ("disable watch web", disable(Target::Watch("web".into()))),
        ("disable service web ping", disable(Target::Service(PING))),
        ("disable host h1  h1 mx1", disable(hosts(&["h1", "mx1"]))),
        (
            "enable watch mail",
            Wish::Enable(Target::Watch("mail".into())),
        ),
        (
            "enable service web http",
            Wish::Enable(Target::Service(HTTP)),
        ),
        ("enable host any h1", Wish::Enable(hosts(&["any", "h1"]))),
        ("ack web http first\\20words", ack("first20words")),
        ("ack web http on it now", ack("on it now")),
        ("ack web http 'on\\20it\\27s' rest", ack("on it's")),
        ("ack web http", ack("")),
        (
            "test alert web http 3 wd {Sun-Sat}",
            test(HTTP, 0, AlertKind::Test, 3),
        ),
        ("test alert web http 1", test(HTTP, 1, AlertKind::Test, 1)),
        ("test alert web http", test(HTTP, 1, AlertKind::Test, 0)),
        ("test upalert web ping x p", test(PING, 0, AlertKind::Up, 0)),
        (
            "test startupalert web ping 0 p",
            test(PING, 0, AlertKind::Startup, 0),
        ),
        (
            "test ackalert web ping 1 p",
            test(PING, 0, AlertKind::Ack, 1),
        ),
        (
            "test disablealert web ping 2 p",
            test(PING, 0, AlertKind::Disable, 2),
        ),
        ("set maxkeep 17", Wish::SetHistoryLength(17)),
        ("set maxkeep 17 5", Wish::SetHistoryLength(17)),
    ] {
        assert_eq!(daemon.wish(line), expected, "{line}");
    }
}

#[test]
fn work_of_the_shell_is_named() {
    let mut daemon = Daemon::open();
    let reset = |stops, memory| Work::Reset { stops, memory };
    for (line, expected) in [
        ("term", Work::Term),
        ("reload", Work::ReloadAuth),
        ("reload auth", Work::ReloadAuth),
        ("test config x", Work::TestConfig),
        ("reset", reset(false, Memory::Forgotten)),
        ("reset keepstate", reset(false, Memory::Kept)),
        ("reset STOPPED,keepstate", reset(true, Memory::Kept)),
        (
            "savestate disabled",
            Work::SaveState(vec![StateFile::Disabled]),
        ),
        (
            "savestate disabled opstatus x",
            Work::SaveState(StateFile::ALL.to_vec()),
        ),
        (
            "loadstate opstatus",
            Work::LoadState(vec![StateFile::Opstatus]),
        ),
    ] {
        assert_eq!(daemon.work(line), expected, "{line}");
    }
    assert_eq!(reset_reply(1, "vm", true), "220 reset PID 1@vm\n");
    assert_eq!(
        reset_reply(1, "vm", false),
        "520 reset PID 1@vm failed, error in config file\n"
    );
    assert_eq!(
        config_reply(["mon.cf:3: bad\nword", "220 x"].into_iter()),
        "mon.cf:3: bad word\n 220 x\n520 test config completed, errors found in config file\n"
    );
    assert_eq!(refused("a\nb"), "520 a b\n");
}

const VARIABLES: &[(&str, &[&str])] = &[
    ("get maxkeep", &["maxkeep = 100", "220 set completed"]),
    ("set maxkeep", &["maxkeep = 100", "220 set completed"]),
    ("set maxkeep 17", &["220 set completed"]),
    ("set maxkeep 17 5", &["220 set completed"]),
    ("set maxkeep abc", &["520 maxkeep,abc not defined"]),
    (
        "get web http interval extra",
        &["web http interval extra=''", "220 get completed"],
    ),
    (
        "get web http interval ",
        &["web http interval='5'", "220 get completed"],
    ),
    ("get maxkeep x", &["520 maxkeep,x not defined"]),
    (
        "get web http interval",
        &["web http interval='5'", "220 get completed"],
    ),
    (
        "get web http monitor",
        &[
            "web http monitor='play.monitor\\20web/http\\20-p\\2080\\20;;'",
            "220 get completed",
        ],
    ),
    (
        "get mail smtp monitor",
        &[
            "mail smtp monitor='play.monitor\\20\\27two\\20words\\27'",
            "220 get completed",
        ],
    ),
    (
        "get web http description",
        &[
            "web http description='Web\\20pages\\20of\\20the\\20\\22shop\\22'",
            "220 get completed",
        ],
    ),
    (
        "get web ping depend",
        &[
            "web ping depend='web:http\\20||\\20mail:smtp'",
            "220 get completed",
        ],
    ),
    (
        "get web ping _exitval",
        &["web ping _exitval='undef'", "220 get completed"],
    ),
    (
        "get web ping dep_behavior",
        &["web ping dep_behavior='a'", "220 get completed"],
    ),
    (
        "get web http nosuch",
        &["web http nosuch=''", "220 get completed"],
    ),
    ("get web http", &["web http =''", "220 get completed"]),
    ("get web nosvc x", &["520 web,nosvc not defined"]),
    ("get web", &["520 web, not defined"]),
    ("get", &["520 , not defined"]),
    ("set web nosvc a b", &["520 web,nosvc not defined"]),
    ("set", &["520 , not defined"]),
    ("set web http opstatus fail", &["220 set completed"]),
    ("set web http opstatus nosuch", &["520 undefined opstatus"]),
    ("set web http opstatus", &["520 undefined opstatus"]),
    ("set web http opstatus OK", &["520 undefined opstatus"]),
    (
        "set web http myvar 'some\\20text'",
        &["web http myvar='some text'", "220 set completed"],
    ),
    (
        "set web http myvar 'a\\0a220\\20set'",
        &["web http myvar='a 220 set'", "220 set completed"],
    ),
];

#[test]
fn variables_are_read_and_set() {
    let mut daemon = Daemon::open();
    daemon.expect(VARIABLES);
    let set = |variable: &str, value: &str| Wish::Set {
        service: HTTP,
        variable: variable.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(daemon.wish("set web http x y  z"), set("x", "y  z"));
    assert_eq!(
        daemon.wish("set web http opstatus ok"),
        set("opstatus", "ok")
    );
}

#[test]
fn a_long_list_comes_in_parts_that_make_it_up() {
    let mut text = String::new();
    for watch in 0..3_000 {
        text.push_str(&format!(
            "\nwatch group-with-a-long-name-{watch}\n    service s\n        monitor x.monitor\n"
        ));
    }
    let mut daemon = Daemon::new(&text, "list: all");
    assert_eq!(daemon.say("list watch").len(), 3_001);
    let lines = daemon.say("list opstatus");
    assert_eq!(lines.len(), 3_001);
    assert!(lines[2_999].starts_with("group=group-with-a-long-name-2999 "));
    let mut words = String::from("list opstatus");
    for watch in (0..500).rev() {
        words.push_str(&format!(" group-with-a-long-name-{watch},s"));
    }
    let lines = daemon.say(&words);
    assert_eq!(lines.len(), 501);
    assert!(lines[0].starts_with("group=group-with-a-long-name-499 "));
}

#[test]
fn a_listing_goes_on_where_a_reload_took_services_away() {
    let mut text = String::new();
    for watch in 0..1_000 {
        text.push_str(&format!(
            "\nwatch g{watch}\n    service s\n        monitor x.monitor\n"
        ));
    }
    let mut daemon = Daemon::new(&text, "list: all");
    let Turn::List(mut listing) = daemon.turn(b"list watch") else {
        panic!("no list")
    };
    let zone = TimeZone::UTC;
    let part = |daemon: &Daemon, listing: &mut Listing| {
        listing.part(&Sight {
            engine: &daemon.engine,
            auth: &daemon.auth,
            now: at(0.0),
            zone: &zone,
            pid: 1,
            processes: &daemon.processes,
            has_downtime_log: false,
        })
    };
    assert!(!part(&daemon, &mut listing).1);
    let (model, _) = config::load_text("\nwatch g\n    service s\n        monitor x\n").unwrap();
    daemon.tell(Event::Reload {
        model: Arc::new(model),
        memory: Memory::Kept,
    });
    let mut all = String::new();
    for _ in 0..100 {
        let (text, is_last) = part(&daemon, &mut listing);
        all.push_str(&text);
        if is_last {
            break;
        }
    }
    assert_eq!(all, "220 list watch completed\n");
}

/// A reply is lines of which the last, and only the last, is a status line.
fn is_in_step(reply: &str) -> bool {
    let is_status = |line: &str| {
        let bytes = line.as_bytes();
        bytes
            .iter()
            .take(3)
            .filter(|it| it.is_ascii_digit())
            .count()
            == 3
            && bytes.get(3) == Some(&b' ')
    };
    let lines: Vec<&str> = reply.split_inclusive('\n').collect();
    let Some((last, data)) = lines.split_last() else {
        return false;
    };
    is_status(last)
        && lines.iter().all(|line| line.ends_with('\n'))
        && !data.iter().any(|line| is_status(line))
}

/// Lines that come close to commands, and all others.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let words = command::ALL.map(|(word, _)| word).to_vec();
    let more = vec![
        "web",
        "http",
        "mail",
        "watch",
        "host",
        "service",
        "monitor",
        "alert",
        "opstatus",
        "timers",
        "maxkeep",
        "h1",
        "p",
        "'",
        "\"",
        "\\",
        "\\0a220\\20x",
        "111 x",
        "web,http",
        "\u{1b}",
        "\u{85}",
        "group",
        "aliases",
        "view",
    ];
    let word = prop_oneof![
        proptest::sample::select(words.clone()),
        proptest::sample::select(more),
    ];
    let close = (
        proptest::sample::select(words),
        proptest::collection::vec(word, 0..6),
    )
        .prop_map(|(command, words)| format!("{command} {}", words.join(" ")).into_bytes());
    prop_oneof![
        4 => close,
        1 => proptest::collection::vec(any::<u8>(), 0..80),
    ]
}

/// Each command with any bytes behind it, and behind the words that take it furthest.
fn commands_with_bytes() -> impl Strategy<Value = Vec<u8>> {
    let begins = [
        "",
        " ",
        " web http ",
        " web,http ",
        " host ",
        " service web ",
        " monitor web ",
        " alert web http 1 ",
        " opstatus ",
        " group ",
        " aliases ",
        " timers web ",
        " maxkeep ",
        " web http opstatus ",
        " web http myvar '",
        " web http interval ",
        " disabled ",
        "\t'",
    ];
    (
        proptest::sample::select(command::ALL.map(|(word, _)| word).to_vec()),
        proptest::sample::select(begins.to_vec()),
        proptest::collection::vec(any::<u8>(), 0..300),
    )
        .prop_map(|(command, begin, bytes)| [command.as_bytes(), begin.as_bytes(), &bytes].concat())
}

/// Bytes of the longest reply: the status of the four services, each with a comment or a summary
/// of one of the requests, which have 300 bytes and come escaped.
const REPLY_MAX: usize = 16 * 1_024;

#[test]
fn any_bytes_behind_any_command_get_one_reply_of_bounded_length() {
    let mut daemon = Daemon::open();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = commands_with_bytes();
    for _ in 0..3_000 {
        let line = strategy.new_tree(&mut runner).unwrap().current();
        let line: Vec<u8> = line
            .into_iter()
            .filter(|it| !b"\r\n".contains(it))
            .collect();
        let reply = daemon.reply(&line);
        let shown = String::from_utf8_lossy(&line);
        assert!(is_in_step(&reply), "{shown:?}: {reply:?}");
        assert!(reply.len() <= REPLY_MAX, "{shown:?}: {} bytes", reply.len());
    }
}

proptest! {
    #[test]
    fn no_lines_bring_a_session_out_of_step(lines in proptest::collection::vec(lines(), 0..12)) {
        let mut daemon = Daemon::open();
        for line in lines {
            // The reader gives lines only.
            let line: Vec<u8> = line.into_iter().filter(|it| !b"\r\n".contains(it)).collect();
            let reply = daemon.reply(&line);
            prop_assert!(is_in_step(&reply), "{:?}: {reply:?}", String::from_utf8_lossy(&line));
        }
    }
}
