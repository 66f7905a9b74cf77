//! How long the decisions take: engine, configuration, diff, netlink messages.
//!
//!     cargo bench --bench micro            all of them
//!     cargo bench --bench micro -- diff    those whose name contains "diff"
//!
//! Prints for each the median of its rounds with the least and the greatest, and the machine.
//! No threads, no files, no sockets: what is measured is what one core does.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lvsmon::clock::Stopwatch;
use lvsmon::config;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{
    Action, Ended, Event, HostResult, HostVerdict, Reason, Report, Run, RunId,
};
use lvsmon::engine::saved::Saved;
use lvsmon::ipvs::codec;
use lvsmon::lvs::diff::diff;
use lvsmon::lvs::{
    Command, Desired, DesiredService, Family, Forwarding, Protocol, RealServer, RealServerKey,
    Scheduler, ServerWish, ServiceWish, Strangers, Table, TableEntry, VirtualService,
    VirtualServiceKey, Weight,
};
use lvsmon::model::{GroupId, Model};
use lvsmon::time::{Mono, Now, Wall};

/// Rounds of each benchmark; odd, so that the median is one of them.
const ROUNDS: usize = 11;
/// Checks in one round of the engine.
const CHECKS: usize = 20_000;

fn main() -> std::io::Result<()> {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let mut bench = Bench {
        wanted: wanted.unwrap_or_default(),
    };
    bench.say(&machine())?;
    for count in [100, 10_000, 1_000_000] {
        engine(&mut bench, count, false)?;
    }
    engine(&mut bench, 10_000, true)?;
    farms(&mut bench)?;
    loading(&mut bench)?;
    diffs(&mut bench)?;
    netlink(&mut bench)
}

/// Prints; knows which benchmarks are wanted.
struct Bench {
    wanted: String,
}

impl Bench {
    fn is_wanted(&self, name: &str) -> bool {
        name.contains(&self.wanted)
    }

    fn say(&self, line: &str) -> std::io::Result<()> {
        writeln!(std::io::stdout(), "{line}")
    }

    /// Runs `round` and prints its time divided by `count`.
    fn run(&self, name: &str, count: usize, mut round: impl FnMut()) -> std::io::Result<()> {
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let watch = Stopwatch::start();
                round();
                watch.elapsed()
            })
            .collect();
        self.report(name, count, &mut times)
    }

    fn report(&self, name: &str, count: usize, times: &mut [Duration]) -> std::io::Result<()> {
        times.sort_unstable();
        let each = |time: Option<&Duration>| match (time, u32::try_from(count)) {
            (Some(time), Ok(count)) if count > 0 => readable(*time, count),
            _ => "-".to_owned(),
        };
        let line = format!(
            "{name:<52} {:>10}  ({} to {})",
            each(times.get(times.len() / 2)),
            each(times.first()),
            each(times.last()),
        );
        self.say(&line)
    }
}

/// `time / count` with a unit that suits it.
fn readable(time: Duration, count: u32) -> String {
    let seconds = time.as_secs_f64() / f64::from(count);
    if seconds < 1e-6 {
        format!("{:.0} ns", seconds * 1e9)
    } else if seconds < 1e-3 {
        format!("{:.2} us", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}

/// Processor, cores, kernel and load, as far as this system tells.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown processor", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "machine: {model}, {cores} cores, Linux {}, load {}",
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown"),
    )
}

/// One watch of a web server with its table and mail lines.
fn watch(text: &mut String, number: usize) {
    let (high, low) = (number / 250, number % 250 + 1);
    let (a, b) = (high / 250 % 250, high % 250);
    let server = format!("10.{a}.{b}.{low}");
    let words = format!("-P tcp -V 192.0.2.1:80 -R {server} -W 5 -F dr");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "hostgroup web{number} {server}\n\n\
         watch web{number}\n    service http\n        interval 10s\n        monitor http.monitor -t 3\n        \
         period wd {{Sun-Sat}}\n            alertafter 2\n            alertevery 1h\n            \
         alert mail.alert ops\n            upalert mail.alert ops\n            \
         alert lvs.alert {words}\n            upalert lvs.alert {words}\n\n"
    );
}

fn loading(bench: &mut Bench) -> std::io::Result<()> {
    let name = "config: load 10,000 watches";
    if !bench.is_wanted(name) {
        return Ok(());
    }
    let mut text = String::new();
    (0..10_000).for_each(|number| watch(&mut text, number));
    let lines = text.lines().count();
    bench.run(
        &format!("{name} ({lines} lines)"),
        1,
        || match config::load_text(black_box(&text)) {
            Ok((model, _)) => assert_eq!(model.services.len(), 10_000),
            Err(errors) => unreachable!("the text is a valid configuration: {:?}", errors.first()),
        },
    )
}

/// A model of `count` services, each like a watch of the configuration above but without a table.
fn model(count: usize) -> Model {
    let text = "hostgroup web0 10.0.0.1\n\nwatch web0\n  service http\n    interval 60s\n    \
                monitor tcp.monitor -p 80\n    period wd {Sun-Sat}\n      alertafter 2\n      \
                alertevery 1h\n      alert mail.alert ops\n      upalert mail.alert ops\n";
    let Ok((mut model, _)) = config::load_text(text) else {
        unreachable!("the text is a valid configuration")
    };
    let (Some(service), Some(group)) = (model.services.pop(), model.hostgroups.pop()) else {
        unreachable!("the text has one service and one hostgroup")
    };
    model.globals.randstart = Some(Duration::from_secs(60));
    for number in 0..count {
        let name: Arc<str> = format!("web{number}").into();
        let mut group = group.clone();
        group.name = name.clone();
        model.hostgroups.push(group);
        let mut service = service.clone();
        service.group = name;
        service.hostgroup = GroupId(u32::try_from(number).unwrap_or(u32::MAX));
        model.services.push(service);
    }
    model
}

/// The engine with a virtual clock and runs that end at once.
struct Drive {
    engine: Engine,
    now: Now,
    fails: bool,
    /// Started and not yet ended.
    running: Vec<(RunId, Vec<HostResult>)>,
}

impl Drive {
    fn new(model: Model, fails: bool) -> Self {
        let now = Now {
            mono: Mono::from_micros(0),
            wall: Wall::from_micros(1_760_000_000_000_000),
        };
        let zone = jiff::tz::TimeZone::UTC;
        let saved = Saved::default();
        let mut drive = Self {
            engine: Engine::new(Arc::new(model), &saved, 1, zone, now),
            now,
            fails,
            running: Vec::new(),
        };
        let actions = drive.engine.handle(drive.now, Event::Start);
        drive.take(actions);
        drive
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Start(Run { id, hosts, .. }) = action {
                let verdict = if self.fails {
                    HostVerdict::Down(Reason::Refused)
                } else {
                    HostVerdict::Up
                };
                let result = |host| HostResult {
                    host,
                    verdict,
                    text: "what was found".to_owned(),
                    weight: None,
                    took: Duration::from_millis(1),
                };
                self.running
                    .push((id, hosts.into_iter().map(result).collect()));
            }
        }
    }

    /// Ends a run when one is going, else goes on to the next deadline; true for an ended run.
    fn step(&mut self) -> bool {
        let Some((run, hosts)) = self.running.pop() else {
            let Some(next) = self.engine.next_deadline() else {
                unreachable!("services with an interval are always due some time")
            };
            let passed = next.as_micros().saturating_sub(self.now.mono.as_micros());
            self.now = Now {
                mono: next,
                wall: Wall::from_micros(
                    self.now.wall.as_micros() + i64::try_from(passed).unwrap_or(0),
                ),
            };
            let actions = self.engine.handle(self.now, Event::Deadline);
            self.take(actions);
            return false;
        };
        let report = Report {
            ended: Ended::Exited(i32::from(self.fails)),
            output: b"10.0.0.1\n".to_vec(),
            hosts,
            took: Duration::from_millis(1),
        };
        let actions = self
            .engine
            .handle(self.now, Event::RunEnded { run, report });
        self.take(actions);
        true
    }
}

fn engine(bench: &mut Bench, count: usize, fails: bool) -> std::io::Result<()> {
    let kind = if fails { "failed" } else { "good" };
    let name = format!("engine: one {kind} check, {count} services");
    if !bench.is_wanted(&name) {
        return Ok(());
    }
    let before = resident_kb();
    let mut drive = Drive::new(model(count), fails);
    // Every service once, so that none is measured in its first state.
    let mut done = 0;
    while done < count {
        done += usize::from(drive.step());
    }
    bench.run(&name, CHECKS, || {
        let mut done = 0;
        while done < CHECKS {
            done += usize::from(drive.step());
        }
    })?;
    if count >= 10_000 && !fails {
        let grown = resident_kb().saturating_sub(before);
        let each = 1024 * grown / u64::try_from(count).unwrap_or(u64::MAX);
        bench.say(&format!(
            "{:<52} {each:>8} B",
            "    resident memory for each service"
        ))?;
    }
    Ok(())
}

/// The first verdicts after a start where all real servers are in one virtual service: what
/// one costs, and how much more in a farm ten times as large. Walking the farm would make it ten
/// times as much.
fn farms(bench: &mut Bench) -> std::io::Result<()> {
    let mut medians = Vec::new();
    for count in [1_000, 10_000] {
        let name = format!("engine: a first verdict, farm of {count} servers");
        if !bench.is_wanted(&name) {
            return Ok(());
        }
        let mut text = String::new();
        (0..count).for_each(|number| watch(&mut text, number));
        let Ok((model, _)) = config::load_text(&text) else {
            unreachable!("the text is a valid configuration")
        };
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let mut drive = Drive::new(model.clone(), false);
            let watch = Stopwatch::start();
            let mut done = 0;
            while done < count {
                done += usize::from(drive.step());
            }
            times.push(watch.elapsed());
            let wanted = drive.engine.desired().values();
            let servers = wanted.flat_map(|service| service.servers.values());
            let is_in = |wish: &&ServerWish| matches!(wish, ServerWish::In(_));
            assert_eq!(servers.filter(is_in).count(), count, "all are in");
        }
        bench.report(&name, count, &mut times)?;
        let median = times
            .get(times.len() / 2)
            .map_or(0.0, Duration::as_secs_f64);
        medians.push(median * 1000.0 / f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
    }
    if let [small, large] = *medians {
        bench.say(&format!(
            "{:<52} {:>10.1}",
            "    a verdict in the larger against the smaller",
            large / small
        ))?;
    }
    Ok(())
}

/// Resident memory of this process.
fn resident_kb() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

/// Ten virtual services of a hundred real servers each, wanted and as the kernel has them.
fn tables() -> (Desired, Table) {
    let settings = RealServer::new(Forwarding::Dr, Weight(5));
    let service = VirtualService::plain(Family::V4, Scheduler::wlc());
    let (mut desired, mut actual) = (Desired::new(), Table::new());
    for virtual_number in 0..10 {
        let address = SocketAddr::from((Ipv4Addr::new(192, 0, 2, virtual_number), 80));
        let key = VirtualServiceKey::Address(Protocol::Tcp, address);
        let servers = |last| {
            let ip = IpAddr::V4(Ipv4Addr::new(10, 0, virtual_number, last));
            RealServerKey(SocketAddr::new(ip, 80))
        };
        desired.insert(
            key,
            DesiredService {
                service: ServiceWish::Present(service.clone()),
                servers: (0..100)
                    .map(|last| (servers(last), ServerWish::In(settings)))
                    .collect(),
                strangers: Strangers::Ignored,
            },
        );
        actual.insert(
            key,
            TableEntry {
                service: service.clone(),
                servers: (0..100).map(|last| (servers(last), settings)).collect(),
            },
        );
    }
    (desired, actual)
}

fn diffs(bench: &mut Bench) -> std::io::Result<()> {
    let (desired, mut actual) = tables();
    let same = "diff: 1,000 real servers, equal";
    if bench.is_wanted(same) {
        bench.run(same, 100, || {
            for _ in 0..100 {
                assert!(diff(black_box(&desired), black_box(&actual)).is_empty());
            }
        })?;
    }
    let differ = "diff: 1,000 real servers, every tenth missing";
    if bench.is_wanted(differ) {
        for entry in actual.values_mut() {
            let mut number = 0;
            entry.servers.retain(|_, _| {
                number += 1;
                number % 10 != 0
            });
        }
        bench.run(differ, 100, || {
            for _ in 0..100 {
                assert_eq!(diff(black_box(&desired), black_box(&actual)).len(), 100);
            }
        })?;
    }
    Ok(())
}

fn netlink(bench: &mut Bench) -> std::io::Result<()> {
    let name = "netlink: encode one change of a real server";
    if !bench.is_wanted(name) {
        return Ok(());
    }
    let (desired, _) = tables();
    let commands: Vec<Command> = diff(&desired, &Table::new())
        .into_iter()
        .filter(|command| matches!(command, Command::AddServer(..)))
        .collect();
    assert_eq!(commands.len(), 1000);
    bench.run(name, commands.len(), || {
        for command in black_box(&commands) {
            assert!(!codec::command_request(27, 1, command).is_empty());
        }
    })
}
