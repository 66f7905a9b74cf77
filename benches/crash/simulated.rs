//! The same farm in virtual time: the engine as it is, and around it a network in which a check
//! takes 2 ms, the end of a connection is heard of after 1 ms, and the table is written in 1 ms.
//! Nothing else takes time, so the figure is what the interval alone costs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lvsmon::engine::Engine;
use lvsmon::engine::event::{
    Action, Ended, Event, HostResult, HostVerdict, Reason, Report, Resolved, Run, RunId, TableLook,
    TableOutcome, WireId,
};
use lvsmon::engine::saved::Saved;
use lvsmon::lvs::diff::{diff, owned};
use lvsmon::lvs::{Table, replay};
use lvsmon::model::HostName;
use lvsmon::time::{Mono, Now, Wall};

use super::{SEED, SERVERS, address};

pub(super) const INTERVAL_S: u64 = 60;
const CHECK: Duration = Duration::from_millis(2);
const HEARD_OF: Duration = Duration::from_millis(1);
const WRITTEN: Duration = Duration::from_millis(1);
/// Wed 2024-03-13 08:00:00 UTC.
const START: i64 = 1_710_316_800_000_000;

enum Coming {
    Ends(RunId, Report),
    Resolved(HostName),
    Tripped(WireId),
    Written,
    Crash(HostName),
}

struct World {
    engine: Engine,
    time: Mono,
    coming: BTreeMap<(Mono, u64), Coming>,
    count: u64,
    wires: BTreeMap<WireId, HostName>,
    down: BTreeSet<HostName>,
    /// Those that are still in, and since when they are dead.
    dead: BTreeMap<HostName, Mono>,
    kernel: Table,
    times: Vec<Duration>,
}

/// Each server crashes at its moment within one interval; how long each was in after that.
pub(super) fn measure(tripwire: &str) -> Vec<Duration> {
    let hosts: Vec<String> = (1..=SERVERS).map(|it| address(it).to_string()).collect();
    let text = format!(
        "hostgroup web {}\n\nwatch web\n    service tcp\n        interval {INTERVAL_S}s\n        \
         monitor tcp.monitor -p 80 -t 1\n        tripwire {tripwire}\n\n\
         virtual 10.0.0.3:80\n    scheduler wlc\n    real web\n    service web:tcp\n",
        hosts.join(" ")
    );
    let (model, _) = lvsmon::config::load_text(&text).expect("a good file");
    let now = at(Mono::ZERO);
    let engine = Engine::new(Arc::new(model), &Saved::default(), SEED, TimeZone::UTC, now);
    let mut world = World {
        engine,
        time: Mono::ZERO,
        coming: BTreeMap::new(),
        count: 0,
        wires: BTreeMap::new(),
        down: BTreeSet::new(),
        dead: BTreeMap::new(),
        kernel: Table::new(),
        times: Vec::new(),
    };
    let interval = Duration::from_secs(INTERVAL_S);
    let mut random = fastrand::Rng::with_seed(SEED);
    for host in hosts {
        // In the second and third interval all are in, and held.
        let moment = interval * 2 + interval.mul_f64(random.f64());
        world.later(moment, Coming::Crash(HostName::new(&host)));
    }
    world.tell(Event::Start);
    world.look();
    world.live(interval * 5);
    assert_eq!(world.times.len(), usize::from(SERVERS), "all are out");
    world.times.sort_unstable();
    world.times
}

fn at(time: Mono) -> Now {
    let passed = i64::try_from(time.as_micros()).expect("a short time");
    Now {
        mono: time,
        wall: Wall::from_micros(START + passed),
    }
}

impl World {
    fn later(&mut self, delay: Duration, what: Coming) {
        self.count += 1;
        self.coming
            .insert((self.time.after(delay), self.count), what);
    }

    fn live(&mut self, span: Duration) {
        let end = self.time.after(span);
        while self.time < end {
            let due = self.engine.next_deadline();
            let coming = self.coming.first_key_value().map(|(&(at, _), _)| at);
            match (due, coming) {
                (Some(due), other) if other.is_none_or(|other| due <= other) => {
                    self.time = self.time.max(due);
                    self.tell(Event::Deadline);
                }
                (_, Some(at)) => {
                    self.time = self.time.max(at);
                    if let Some((_, what)) = self.coming.pop_first() {
                        self.happen(what);
                    }
                }
                (_, None) => return,
            }
        }
    }

    fn happen(&mut self, what: Coming) {
        match what {
            Coming::Ends(run, report) => self.tell(Event::RunEnded { run, report }),
            Coming::Resolved(host) => {
                let answer = Ok(vec![host.as_str().parse().expect("an address")]);
                self.tell(Event::Resolved(vec![Resolved::fresh(host, answer)]));
            }
            Coming::Tripped(wire) => {
                if self.wires.remove(&wire).is_some() {
                    self.tell(Event::Tripped(wire));
                }
            }
            Coming::Written => self.look(),
            Coming::Crash(host) => {
                self.dead.insert(host.clone(), self.time);
                self.down.insert(host.clone());
                let wires = self.wires.iter().filter(|(_, it)| **it == host);
                let wires: Vec<WireId> = wires.map(|(&wire, _)| wire).collect();
                for wire in wires {
                    self.later(HEARD_OF, Coming::Tripped(wire));
                }
            }
        }
    }

    fn tell(&mut self, event: Event) {
        for action in self.engine.handle(at(self.time), event) {
            if let Some(run) = action.started() {
                let report = self.found(run);
                self.later(CHECK, Coming::Ends(run.id, report));
            } else if let Action::Hold(wire) = &action {
                self.wires.insert(wire.id, wire.host.clone());
            } else if let Action::LetGo(wire) = &action {
                self.wires.remove(wire);
            } else if let Action::Resolve(host) = &action {
                self.later(CHECK, Coming::Resolved(host.clone()));
            } else if let Action::ApplyTable = &action {
                self.later(WRITTEN, Coming::Written);
            }
        }
    }

    /// The table is written; who died and is not in it is out.
    fn look(&mut self) {
        let desired = Arc::new(self.engine.desired().clone());
        let mut outcome = TableOutcome {
            wanted: Arc::clone(&desired),
            ..TableOutcome::default()
        };
        for command in diff(&desired, &self.kernel) {
            replay::apply(&mut self.kernel, &command).expect("a table in memory");
            outcome.applied.push(command);
        }
        outcome.table = TableLook::Read(Arc::new(owned(&desired, self.kernel.clone())));
        let entries = self.kernel.values().flat_map(|entry| entry.servers.keys());
        let is_in: BTreeSet<IpAddr> = entries.map(|server| server.0.ip()).collect();
        let (time, times) = (self.time, &mut self.times);
        self.dead.retain(|host, died| {
            let address = host.as_str().parse().expect("an address");
            let stays = is_in.contains(&address);
            if !stays {
                times.push(time.since(*died));
            }
            stays
        });
        self.tell(Event::Table(outcome));
    }

    fn found(&self, run: &Run) -> Report {
        let is_dead = |host: &HostName| self.down.contains(host);
        let hosts = run.hosts.iter().map(|host| HostResult {
            host: host.clone(),
            verdict: match is_dead(host) {
                true => HostVerdict::Down(Reason::Refused),
                false => HostVerdict::Up,
            },
            text: String::new(),
            weight: None,
            took: CHECK,
        });
        Report {
            ended: Ended::Exited(i32::from(run.hosts.iter().any(is_dead))),
            output: Vec::new(),
            hosts: hosts.collect(),
            took: CHECK,
        }
    }
}
