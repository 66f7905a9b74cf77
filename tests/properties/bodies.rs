//! What no input may do, one function for each kind of input.
//!
//! The same functions are the bodies of the fuzz targets (`fuzz/`) and of the property tests
//! beside this file; whatever is wrong ends in a panic. They use the public parts of the
//! library only.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use jiff::tz::TimeZone;
use lvsmon::config::{self, Diagnostic};
use lvsmon::depend::{Expression, Form, TEXT_MAX};
use lvsmon::engine::Engine;
use lvsmon::engine::event::{Action, Ended, Event, Memory, Report, RunId, Wish};
use lvsmon::engine::saved::{Classic, Record, Saved, StateFile};
use lvsmon::lvs::Weight;
use lvsmon::model::Model;
use lvsmon::period::Period;
use lvsmon::protocol::auth::{AuthRules, UserFile};
use lvsmon::protocol::log_file::Strangers;
use lvsmon::protocol::trap::{self, Outgoing, Unreadable};
use lvsmon::protocol::{Process, Processes, Session, Sight, Turn};
use lvsmon::time::{Mono, Now, Wall};

/// So many deadlines of a strange configuration are played: enough for each timer to come.
const DEADLINES: usize = 40;

/// 2024-03-13 10:00 UTC
const START: Wall = Wall::from_seconds(1_710_324_000);

/// A whole `mon.cf`: it is refused with places in the file, or an engine lives by it.
pub(crate) fn configuration(bytes: &[u8]) {
    let lines = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let in_file = |said: &[Diagnostic]| {
        for one in said {
            let line = one.place.as_ref().map_or(1, |place| place.line as usize);
            assert!((1..=lines).contains(&line), "line {line} of {lines}: {one}");
            assert!(one.to_string().starts_with("cf "), "{one}");
        }
    };
    match config::load_bytes("mon.cf", bytes) {
        Ok((model, warnings)) => {
            in_file(&warnings);
            assert!(!warnings.iter().any(Diagnostic::is_error));
            live(model, &Saved::default());
        }
        Err(mistakes) => {
            in_file(&mistakes);
            assert!(mistakes.iter().any(Diagnostic::is_error));
        }
    }
}

/// One line of a service or of a period.
pub(crate) fn statement(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes).replace(['\n', '\r'], " ");
    for indent in ["", "        period wd {Mon-Sun}\n            "] {
        let file = format!(
            "hostgroup g a b\n\nwatch g\n    service s\n        interval 1m\n        \
             monitor x.monitor\n        {indent}{text}\n"
        );
        configuration(file.as_bytes());
    }
    section_line(&text);
}

/// One line of a `virtual` section; a section that is taken names real servers within the bounds.
fn section_line(text: &str) {
    let watch = "hostgroup g a b\n\nwatch g\n    service s\n        interval 1m\n        \
                 monitor x.monitor\n\n";
    for name in ["10.0.0.3:80", "[2001:db8::3]:53", "fwmark 7"] {
        let file = format!(
            "{watch}virtual {name}\n    real a\n    service g:s\n    {text}\n    foreign remove\n"
        );
        configuration(file.as_bytes());
        let Ok((model, _)) = config::load_bytes("mon.cf", file.as_bytes()) else {
            continue;
        };
        for declared in &model.virtual_services {
            assert!(!declared.servers.is_empty(), "{text}");
            let count = declared.servers.len();
            assert!(declared.min_live.of(count) <= count, "{text}");
            let servers: BTreeSet<(&str, u16)> = declared
                .servers
                .iter()
                .map(|server| (server.host.as_str(), server.port))
                .collect();
            assert_eq!(servers.len(), count, "{text}");
            for server in &declared.servers {
                assert!(server.settings.weight.0 <= Weight::MAX, "{text}");
                let services = server.judges.iter().map(|judge| judge.service.index());
                assert!(
                    services
                        .into_iter()
                        .all(|index| index < model.services.len())
                );
            }
        }
    }
}

/// A period: what it says of the next change is so.
pub(crate) fn period(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let reading = match Period::parse(&text) {
        Ok(reading) => reading,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(fault.start <= fault.end && fault.end <= text.len());
                assert!(text.get(fault.start..fault.end).is_some(), "{fault:?}");
            }
            return;
        }
    };
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a POSIX zone");
    for seconds in [0, 1_710_324_000, 1_711_846_800, 1_729_990_800] {
        let at = Wall::from_seconds(seconds);
        let now = reading.period.holds(at, &zone);
        if let Some(change) = reading.period.next_change(at, &zone) {
            assert!(change > at);
            assert_ne!(
                reading.period.holds(change, &zone),
                now,
                "{text:?} at {at:?}"
            );
            let before = Wall::from_seconds(change.seconds() - 1).max(at);
            assert_eq!(
                reading.period.holds(before, &zone),
                now,
                "{text:?} at {at:?}"
            );
        }
    }
}

/// A dependency expression: faults lie in the text, and what is written down again reads the
/// same.
pub(crate) fn dependency(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for form in [Form::Expression, Form::Names] {
        let reading = match Expression::parse(&text, "own", form) {
            Ok(reading) => reading,
            Err(fault) => {
                assert!(text.get(fault.start..fault.end).is_some(), "{fault:?}");
                continue;
            }
        };
        let count = reading.expression.names().len();
        assert_eq!(reading.places.len(), count);
        for (name, (start, end)) in reading.expression.names().iter().zip(&reading.places) {
            let written = text.get(*start..*end).expect("a place in the text");
            assert!(written.ends_with(&*name.service), "{written} for {name}");
        }
        // No value may be looked for outside of what is given.
        for given in [0, count / 2, count] {
            let _ = reading.expression.holds(&vec![true; given]);
        }
        if reading.written.len() <= TEXT_MAX {
            let again = Expression::parse(&reading.written, "other", form).expect("it was read");
            assert_eq!(
                again.expression, reading.expression,
                "{:?}",
                reading.written
            );
        }
    }
}

/// A trap packet: what was taken is the same when it is sent on.
pub(crate) fn trap(bytes: &[u8]) {
    let from = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    let Ok(packet) = trap::parse(bytes, from) else {
        return;
    };
    let outgoing = Outgoing {
        user: packet.user.clone(),
        password: String::from_utf8_lossy(&packet.password).into_owned(),
        group: packet.trap.group.clone(),
        service: packet.trap.service.clone(),
        status: packet.trap.status.clone(),
        opstatus: 0,
        time: 0,
        summary: packet.trap.summary.clone(),
        detail: packet.trap.detail.clone().into_bytes(),
    };
    let bytes = outgoing.render();
    assert!(bytes.len() <= Outgoing::BYTES_MAX);
    // Escapes are longer than what they stand for: a long text does not come back whole.
    if bytes.len() < 8_000 {
        let again = match trap::parse(&bytes, from) {
            Ok(again) => again,
            // Bounds hold for what is escaped: a strange name grows on the way.
            Err(Unreadable::TooLong) => return,
            Err(error) => panic!("a packet of our own: {error}"),
        };
        assert_eq!(again.trap, packet.trap);
        assert_eq!(again.user, packet.user);
        assert_eq!(again.odd_lines, 0);
    }
}

/// `auth.cf` and a user file: mistakes lie in the file, and who is not named may nothing.
pub(crate) fn users(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split('\n').count();
    let rules = AuthRules::read(&text);
    for mistake in rules.mistakes.iter().chain(&rules.warnings) {
        assert!(mistake.line as usize <= lines, "{mistake:?}");
    }
    if !text.contains("nobody-knows") {
        assert!(!rules.rules.may(Some("joe"), "nobody-knows"));
    }
    let _ = rules
        .rules
        .traps()
        .judge(IpAddr::V4(Ipv4Addr::LOCALHOST), "*");
    let users = UserFile::read(&text);
    for mistake in users.mistakes.iter().chain(&users.warnings) {
        assert!(mistake.line as usize <= lines, "{mistake:?}");
    }
    // No hash is tried here: that takes its time on purpose.
    let _ = users.rules.hash("joe");
}

/// Lines of a journal: what makes no sense is named and left out, and the engine goes on.
pub(crate) fn journal(bytes: &[u8]) {
    let mut saved = Saved::default();
    for line in bytes.split(|&byte| byte == b'\n') {
        if let Ok(Record { key, value }) = serde_json::from_slice(line) {
            saved.records.insert(key, value);
        }
    }
    let (model, _) = config::load_text(WORLD).expect("a good configuration");
    live(model, &saved);
}

/// The configuration to which saved states and wishes are applied.
pub(crate) const WORLD: &str = "\
hostgroup web h1 h2

hostgroup tg t1

watch web
    service http
        interval 10s
        failure_interval 4s
        monitor x.monitor
        unack_summary yes
        period wd {Sun-Sat}
            alertevery 5m strict
            alertafter 2
            numalerts 3
            alert page.alert ops
            upalert page.alert
        period night: hr {8pm-6am}
            alertafter 3 10m
            no_comp_alerts
            alert mail.alert x
            upalert mail.alert x
            ackalert mail.alert x

watch tg
    service ts
        traptimeout 1m
        trapduration 30s
        depend web:http
        period
            alert page.alert
            upalert page.alert
";

/// Lets an engine live by a configuration for a while: runs fail and come back, it is loaded
/// again, and started again from what it recorded.
pub(crate) fn live(model: Model, saved: &Saved) {
    let model = Arc::new(model);
    let mut now = Now {
        mono: Mono::ZERO,
        wall: START,
    };
    let mut journal: BTreeMap<String, serde_json::Value> = saved.records.clone();
    for daemon in 0..2 {
        let restored = Saved {
            records: journal.clone(),
        };
        now.mono = Mono::ZERO;
        let mut engine = Engine::new(Arc::clone(&model), &restored, 7, TimeZone::UTC, now);
        let mut todo = engine.handle(now, Event::Start);
        for turn in 0..DEADLINES {
            let mut next = Vec::new();
            for action in todo {
                match action {
                    Action::Start(run) => {
                        let exit = i32::from(turn % 5 < 3);
                        let report = Report {
                            ended: Ended::Exited(exit),
                            output: b"h1 a10\nsome detail\n".to_vec(),
                            hosts: Vec::new(),
                            took: std::time::Duration::from_millis(5),
                        };
                        let run = run.id;
                        next.extend(engine.handle(now, Event::RunEnded { run, report }));
                    }
                    Action::Record(record) => {
                        journal.insert(record.key, record.value);
                    }
                    Action::Stop(_)
                    | Action::Hold(_)
                    | Action::LetGo(_)
                    | Action::Send(_)
                    | Action::Resolve(_)
                    | Action::ApplyTable
                    | Action::Suppressed(_)
                    | Action::History(_)
                    | Action::Renumber { .. }
                    | Action::Downtime(_)
                    | Action::Answer(_)
                    | Action::Note(_) => {}
                }
            }
            for view in engine.services() {
                let _ = view.summary.len();
            }
            if turn == DEADLINES / 2 {
                let memory = if daemon == 0 {
                    Memory::Kept
                } else {
                    Memory::Forgotten
                };
                let model = Arc::clone(&model);
                next.extend(engine.handle(now, Event::Reload { model, memory }));
            }
            let Some(due) = engine.next_deadline() else {
                break;
            };
            assert!(due > now.mono, "a deadline in the past");
            now.wall = now.wall.after(due.since(now.mono));
            now.mono = due;
            next.extend(engine.handle(now, Event::Deadline));
            todo = next;
        }
    }
}

/// A configuration for clients: a failing service, one with traps only, a view, an alias.
const CLIENTS: &str = "hostgroup web h1 h2\n\nview v web\n\nalias a\n  text\n\n\
    watch web\n    service http\n        interval 1m\n        monitor x.monitor\n        \
    depend web:trap\n        period p: wd {Sun-Sat}\n            alertafter 2\n            \
    alert exit=1-3 file.alert\n            ackalert file.alert\n            disablealert file.alert\n    \
    service trap\n        traptimeout 10m\n        period\n            alert file.alert\n";

/// An engine that lives by [`CLIENTS`], its first service failing.
fn clients_engine(now: &mut Now) -> Option<Engine> {
    let (model, _) = config::load_bytes("mon.cf", CLIENTS.as_bytes()).ok()?;
    let mut engine = Engine::new(Arc::new(model), &Saved::default(), 7, TimeZone::UTC, *now);
    engine.handle(*now, Event::Start);
    advance(&mut engine, now);
    Some(engine)
}

/// To the next deadline; a run that starts there fails.
fn advance(engine: &mut Engine, now: &mut Now) {
    let Some(due) = engine.next_deadline() else {
        return;
    };
    assert!(due > now.mono, "a deadline in the past");
    now.wall = now.wall.after(due.since(now.mono));
    now.mono = due;
    for action in engine.handle(*now, Event::Deadline) {
        if let Action::Start(run) = action {
            let report = Report {
                ended: Ended::Exited(1),
                output: b"h1\ndetail\n".to_vec(),
                hosts: Vec::new(),
                took: std::time::Duration::from_millis(5),
            };
            engine.handle(
                *now,
                Event::RunEnded {
                    run: run.id,
                    report,
                },
            );
        }
    }
}

/// What one client sends: each line gets one reply, which a client can find the end of.
pub(crate) fn client(bytes: &[u8]) {
    let mut now = Now {
        mono: Mono::ZERO,
        wall: START,
    };
    let Some(mut engine) = clients_engine(&mut now) else {
        panic!("the configuration of the clients is wrong");
    };
    let words = "list set get test reset reload loadstate savestate disable enable ack stop start \
                 servertime clear term";
    let rules: Vec<String> = words
        .split(' ')
        .map(|word| format!("{word}: all\n"))
        .collect();
    let auth = AuthRules::read(&rules.concat()).rules;
    let mut session = Session::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
    for line in bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .take(DEADLINES)
    {
        let sight = Sight {
            engine: &engine,
            auth: &auth,
            now,
            zone: &TimeZone::UTC,
            pid: 4_711,
            processes: &InDaemon,
            has_downtime_log: false,
        };
        let reply = match session.take(line, &sight) {
            Turn::Say(reply) => reply,
            Turn::Denied { .. } => lvsmon::protocol::DENIED.to_owned(),
            Turn::Leave(reply) => {
                whole(&reply);
                return;
            }
            Turn::List(mut listing) => {
                let mut reply = String::new();
                loop {
                    let (part, is_last) = listing.part(&sight);
                    reply.push_str(&part);
                    if is_last {
                        break reply;
                    }
                }
            }
            Turn::Wish { wish, done } => {
                engine.handle(now, Event::Operator(*wish));
                done
            }
            Turn::Work(work) => work.reply().to_owned(),
        };
        whole(&reply);
        advance(&mut engine, &mut now);
    }
}

/// Lines of text, of which the last and only the last is a status line.
fn whole(reply: &str) {
    let is_status = |line: &str| {
        let (code, rest) = line.split_at_checked(3).unwrap_or_default();
        code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(' ')
    };
    assert!(reply.ends_with('\n'), "{reply:?}");
    let lines: Vec<&str> = reply.lines().collect();
    let statuses = lines.iter().filter(|line| is_status(line)).count();
    assert_eq!(statuses, 1, "{reply:?}");
    assert!(
        lines.last().is_some_and(|line| is_status(line)),
        "{reply:?}"
    );
}

/// A state file of mon's: refused with a reason, or, once it was written again, the same for
/// ever, and an engine takes in what it says.
pub(crate) fn state(bytes: &[u8]) {
    for file in StateFile::ALL {
        let mut classic = Classic::default();
        if let Err(why) = file.read(bytes, &mut classic) {
            assert_eq!(classic, Classic::default());
            assert!(!why.to_string().is_empty());
            continue;
        }
        let text = file.text(&classic).unwrap_or_default();
        let mut again = Classic::default();
        assert_eq!(
            file.read(text.as_bytes(), &mut again),
            Ok(Strangers::default()),
            "{text:?}"
        );
        assert_eq!(file.text(&again), Some(text), "written twice");
        let mut now = Now {
            mono: Mono::ZERO,
            wall: START,
        };
        if let Some(mut engine) = clients_engine(&mut now) {
            engine.handle(now, Event::Operator(Wish::LoadState(classic)));
            for _ in 0..5 {
                advance(&mut engine, &mut now);
            }
            // What it then is can be kept and read.
            let kept = engine.classic();
            let text = file.text(&kept).unwrap_or_default();
            let mut back = Classic::default();
            assert_eq!(
                file.read(text.as_bytes(), &mut back),
                Ok(Strangers::default()),
                "{text:?}"
            );
        }
    }
}

/// All runs go on in the daemon.
#[derive(Debug)]
struct InDaemon;

impl Processes for InDaemon {
    fn of(&self, _: RunId) -> Process {
        Process::Daemon
    }
}
